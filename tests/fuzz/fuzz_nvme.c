/*
 * A hostile driver against the NVMe controller: the input is a list of steps that put commands into the queues, write
 * registers, doorbells and the lists that commands point to. Nothing may crash, leak or run away.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "blockdev.h"
#include "bytes.h"
#include "hw/nvme/nvme_int.h"
#include "unit/pci_rig.h"

enum { MAX_STEPS = 256, QUEUES = 0x10000, QUEUE_STEP = 0x4000, LISTS = 0x80000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void set_reg(PciRig *p, unsigned off, unsigned size, uint64_t v)
{
    rig_write(p, RIG_MEM64 + off, size, v);
}

static void enable(PciRig *p)
{
    set_reg(p, 0x14, 4, 0);
    set_reg(p, 0x24, 4, 0x000f000f);
    set_reg(p, 0x28, 8, RIG_RAM + QUEUES);
    set_reg(p, 0x30, 8, RIG_RAM + QUEUES + 0x2000);
    set_reg(p, 0x14, 4, 0x00460001);
}

static uint64_t address(ByteReader *r)
{
    uint8_t how = br_u8(r);

    switch (how & 3) {
    case 0:
        return br_u64(r);
    case 1:
        return RIG_RAM + RIG_RAM_SIZE - (br_u16(r) & ~3u);
    case 2:
        return RIG_RAM + LISTS + (uint64_t)(how >> 2) * 4096 + (br_u16(r) & 0xff8);
    default:
        return RIG_RAM + QUEUES + (uint64_t)(how >> 2 & 15) * 0x2000;
    }
}

/* A command that is half sensible, into the next places of a queue. */
static void command(PciRig *p, ByteReader *r, uint8_t op)
{
    unsigned q = op & 3, slot = op >> 2 & 15;
    uint64_t at = RIG_RAM + QUEUES + (uint64_t)QUEUE_STEP * q + 64u * slot;

    rig_write(p, at, 8, (br_u8(r) & 0xf) | (uint64_t)(br_u8(r) & 3) << 32 | slot << 16);
    rig_write(p, at + 24, 8, address(r));
    rig_write(p, at + 32, 8, address(r));
    rig_write(p, at + 40, 8, (uint64_t)br_u16(r) | (uint64_t)br_u8(r) << 16 | (uint64_t)br_u32(r) << 32);
    rig_write(p, at + 48, 8, br_u16(r));
    set_reg(p, 0x1000 + 8 * q, 4, slot + 1);
}

static void step(PciRig *p, PciDevice *pd, ByteReader *r)
{
    uint8_t op = br_u8(r);

    switch (op & 7) {
    case 0:
        set_reg(p, br_u8(r) & 0x7cu, op & 8 ? 8 : 4, br_u64(r));
        break;
    case 1:
        set_reg(p, 0x1000 + (br_u8(r) & 0x7cu), 4, br_u16(r));
        break;
    case 2:
        rig_write(p, RIG_RAM + LISTS + (br_u16(r) & 0xfff8u), 8, address(r));
        break;
    case 3:
        enable(p);
        break;
    case 4:
        (void)rig_read(p, RIG_MEM64 + (br_u16(r) & 0x1ff8u), 1u << (op >> 4 & 3));
        rig_cfg_write(p, pci_bdf(pd), pci_find_cap(pd, PCI_CAP_MSIX) + 2, 2, op << 8);
        break;
    default:
        command(p, r, br_u8(r));
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ByteReader r = br_init(data, size);
    PciRig    *p = rig_new();
    char       path[] = "/tmp/bailey-fuzz-XXXXXX", text[64];
    int        fd = mkstemp(path);

    if (fd < 0 || ftruncate(fd, 1 << 20) != 0) {
        abort();
    }
    close(fd);
    snprintf(text, sizeof(text), "file=%s,id=d0,snapshot=on", path);
    (void)blockdev_new(text, NULL);
    unlink(path);
    PciDevice *pd = rig_add(p, "nvme,id=disk,drive=d0");

    pci_host_reset(p->host);
    rig_place(p, pd);
    enable(p);
    for (unsigned i = 0; br_ok(&r) && i < MAX_STEPS; i++) {
        step(p, pd, &r);
    }
    rig_free(p);
    blockdev_free_all();
    return 0;
}
