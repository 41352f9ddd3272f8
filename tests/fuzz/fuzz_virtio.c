/*
 * A hostile driver against each virtio device: the input is a list of steps that write rings, descriptors,
 * registers and configuration space, and notify. Nothing may crash, leak or run away.
 */
#include "blockdev.h"
#include "bytes.h"
#include "chardev.h"
#include "display/display.h"
#include "fsdev.h"
#include "netdev.h"
#include "unit/virtio_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { N_DEVICES = 8, MAX_STEPS = 256 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char vsock_path[] = "/tmp/bailey-fuzz-XXXXXX";

static void remove_socket(void) { unlink(vsock_path); }

/* An empty folder to share, which is nobody else's. */
static void make_folder(void)
{
    char path[] = "/tmp/bailey-fuzz-XXXXXX", text[80];

    if (mkdtemp(path) == NULL) {
        abort();
    }
    snprintf(text, sizeof(text), "local,id=f0,path=%s", path);
    (void)fsdev_new(text, NULL);
    rmdir(path);
}

/* The device that listens replaces the file. */
static char *vsock_option(void)
{
    int fd = mkstemp(vsock_path);

    if (fd < 0) {
        abort();
    }
    close(fd);
    atexit(remove_socket);
    return g_strdup_printf("virtio-vsock-pci,id=vs,socket=%s", vsock_path);
}

static VirtioRig *make(unsigned i)
{
    static const char *const option[N_DEVICES] = {
        "virtio-net-pci,id=net,netdev=n0",
        "virtio-blk-pci,id=blk,drive=d0",
        "virtio-console-pci,id=con,chardev=c0",
        "virtio-rng-pci,id=rng",
        "virtio-gpu-pci,id=gpu,max_hostmem=4M",
        "virtio-tablet-pci,id=tablet",
        "virtio-9p-pci,id=p9,fsdev=f0,mount_tag=share",
        NULL,
    };
    PciRig *p = rig_new();

    if (i == 0) {
        (void)netdev_new("loop,id=n0", p->clock, NULL);
    } else if (i == 1) {
        char  path[] = "/tmp/bailey-fuzz-XXXXXX", text[64];
        int   fd = mkstemp(path);

        if (fd < 0 || ftruncate(fd, 16384) != 0) {
            abort();
        }
        close(fd);
        snprintf(text, sizeof(text), "file=%s,id=d0,snapshot=on", path);
        (void)blockdev_new(text, NULL);
        unlink(path);
    } else if (i == 2) {
        (void)chardev_new("null,id=c0", false, NULL);
    } else if (i == 6) {
        make_folder();
    }
    g_autofree char *text = option[i] != NULL ? g_strdup(option[i]) : vsock_option();

    return vr_new(p, text, 0);
}

/* Numbers that are often near something. */
static uint64_t address(const VirtioRig *v, ByteReader *r)
{
    uint8_t how = br_u8(r);

    switch (how & 7) {
    case 0:
        return br_u64(r);
    case 1:
        return VR_QUEUE(how >> 3 & 1) + br_u16(r);
    case 2:
        return RIG_RAM + RIG_RAM_SIZE - br_u16(r);
    case 3:
        return ~0ull - br_u8(r);
    case 7: /* the device's own registers, and the way to its configuration space */
        return how >> 3 & 1 ? RIG_ECAM + (8u << 12) + (br_u16(r) & 0xfff) : v->bar + (br_u16(r) & 0x3fff);
    default:
        return VR_BUFFERS + br_u16(r);
    }
}

/*
 * The driver's start: in D0, as a device in D3hot answers nothing, and with the BARs where they were at first: ever
 * new addresses would end outside the window.
 */
static void restart(VirtioRig *v, uint64_t features)
{
    const PciDevice *pd = &v->v->pci;

    rig_cfg_write(v->pci, pci_bdf(pd), pd->pm_cap + 4u, 2, 0);
    v->pci->next_mem32 = RIG_MEM32;
    v->pci->next_mem64 = RIG_MEM64;
    rig_place(v->pci, &v->v->pci);
    v->bar = v->v->pci.bars[4].base;
    vr_vectors(v);
    vr_start(v, features);
}

/*
 * A request that the display adapter may find sensible: words of small numbers, and the two descriptors for it. Without
 * this hardly any input would get beyond a command's first check.
 */
static void request(VirtioRig *v, ByteReader *r, uint16_t at)
{
    static const uint16_t types[] = { 0x100, 0x101, 0x102, 0x103, 0x104, 0x105, 0x106, 0x107, 0x10a, 0x300, 0x301 };
    unsigned              n = at & 15, q = at >> 12 & 1;

    rig_write(v->pci, VR_BUFFERS, 8, types[(at >> 4) % ARRAY_LEN(types)]);
    for (unsigned i = 0; i < n; i++) {
        uint8_t b = br_u8(r);

        rig_write(v->pci, VR_BUFFERS + 24 + 4 * i, 4, b < 0xf0 ? b & 0x7f : b == 0xf0 ? VR_BUFFERS : ~0u << (b & 15));
    }
    vr_desc(v, VR_QUEUE(q), 0, VR_BUFFERS, 24 + 4 * n, VIRTQ_DESC_NEXT, 1);
    vr_desc(v, VR_QUEUE(q), 1, VR_BUFFERS + 0x4000, 2048, VIRTQ_DESC_WRITE, 0);
    vr_offer(v, q, 0, true);
}

static void step(VirtioRig *v, ByteReader *r)
{
    uint8_t  op = br_u8(r);
    unsigned q = op >> 4 & 1, size = 1u << (op >> 6);
    uint16_t at = br_u16(r);

    switch (op & 15) {
    case 0:
        rig_write(v->pci, VR_QUEUE(q) + align_down(at, 8), size, br_u64(r));
        break;
    case 1:
        rig_write(v->pci, v->bar + align_down(at & 0x3fff, size), size, br_u64(r));
        break;
    case 2:
        (void)rig_read(v->pci, v->bar + align_down(at & 0x3fff, size), size);
        break;
    case 3:
        size = MIN(size, 4);
        pci_host_config_write(v->pci->host, 8, (unsigned)align_down(at & 0xfff, size), size, br_u32(r));
        break;
    case 4:
        size = MIN(size, 4);
        (void)pci_host_config_read(v->pci->host, 8, (unsigned)align_down(at & 0xfff, size), size);
        break;
    case 5:
        restart(v, br_u64(r));
        break;
    case 6:
        rig_run(v->pci, at);
        break;
    case 7:
        if (chardev_find("c0") != NULL) {
            chardev_input(chardev_find("c0"), "input", 5);
        }
        input_pointer(at, at >> 3, at & 31);
        break;
    case 8:
        request(v, r, at);
        break;
    case 9:
    case 10:
    case 11: {
        uint64_t table = op & 1 ? VR_QUEUE(q) : VR_BUFFERS + 0x8000;
        uint64_t addr = address(v, r);

        vr_desc(v, table, at & 31, addr, br_u32(r) & (0xffffffffu >> (at >> 11)), br_u8(r) & 7,
                br_u8(r) & 31);
        break;
    }
    default:
        vr_offer(v, q, at & 31, (at & 0x100) != 0);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static VirtioRig *rigs[N_DEVICES];
    ByteReader        r = br_init(data, size);
    unsigned          i = br_u8(&r) % N_DEVICES;

    if (rigs[i] == NULL) {
        rigs[i] = make(i);
    }
    VirtioRig *v = rigs[i];

    pci_host_reset(v->pci->host); /* each input starts from the same state */
    restart(v, br_u64(&r));
    for (unsigned n = 0; n < MAX_STEPS && br_left(&r) != 0; n++) {
        v->bar = v->v->pci.bars[4].mapped ? v->v->pci.bars[4].base : VR_BUFFERS;
        v->pci->n_msi = 0;
        step(v, &r);
    }
    return 0;
}
