#include "pci_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bytes.h"
#include "netdev.h"

static MemResult bell_write(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t value)
{
    PciRig *r = opaque;

    if (r->n_msi < RIG_N_MSI) {
        r->msi[r->n_msi].requester = attrs.requester;
        r->msi[r->n_msi].data = (uint32_t)value;
        r->msi[r->n_msi++].off = off;
    }
    return MEM_OK;
}

static MemResult bell_read(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t *value)
{
    *value = 0;
    return MEM_OK;
}

static const MmioOps bell_ops = { bell_read, bell_write };

static void set_intx(void *opaque, unsigned n, bool level)
{
    ((PciRig *)opaque)->intx[n] = level;
}

PciRig *rig_new(void)
{
    PciRig       *r = g_new0(PciRig, 1);
    PciHostConfig cfg = { .name = "pcie.0", .last_bus = 15, .ecam_base = RIG_ECAM,
                          .mem32 = { RIG_MEM32, 0x10000000 }, .mem64 = { RIG_MEM64, 0x100000000ull } };

    r->clock = clock_new();
    r->owners = owners_new();
    r->memory = memory_new(r->owners);
    memory_add_ram(r->memory, "ram", RIG_RAM, RIG_RAM_SIZE, NULL);
    memory_add_mmio(r->memory, "doorbell", RIG_DOORBELL, 0x1000, &bell_ops, r);
    cfg.up.memory = cfg.up.dma_memory = r->memory;
    for (unsigned i = 0; i < 4; i++) {
        cfg.up.intx[i] = (IrqLine){ .set = set_intx, .opaque = r, .n = i };
    }
    r->host = pci_host_new(&cfg);
    r->next_mem32 = RIG_MEM32;
    r->next_mem64 = RIG_MEM64;
    return r;
}

void rig_free(PciRig *r)
{
    pci_host_free(r->host);
    netdev_free_all(); /* while their clock exists */
    memory_free(r->memory);
    owners_free(r->owners);
    clock_free(r->clock);
    g_free(r);
}

PciDevice *rig_add(PciRig *r, const char *option)
{
    GError *error = NULL;
    Device *dev = device_from_option(option, r->clock, 1, &error);
    char   *id = dev != NULL ? g_strdup(dev->id) : NULL;

    if (dev == NULL || !pci_plug_option(r->host, dev, &error)) {
        fail_msg("%s", error->message);
    }
    PciDevice *pd = pci_host_find_id(r->host, id);

    g_free(id);
    return pd;
}

uint64_t rig_read(PciRig *r, uint64_t pa, unsigned size)
{
    MemRegion *m = memory_find(r->memory, pa);
    MemAttrs   attrs = { .pas = PAS_NONSECURE };
    uint64_t   value = 0;
    uint8_t    b[8] = { 0 };

    if (m != NULL && m->kind == MEM_MMIO) {
        assert_int_equal(memory_mmio_read(r->memory, m, pa, size, attrs, &value), MEM_OK);
        return value;
    }
    assert_int_equal(memory_read(r->memory, pa, attrs, b, size), MEM_OK);
    return le_get(b, size);
}

void rig_write(PciRig *r, uint64_t pa, unsigned size, uint64_t value)
{
    MemRegion *m = memory_find(r->memory, pa);
    MemAttrs   attrs = { .pas = PAS_NONSECURE };
    uint8_t    b[8];

    if (m != NULL && m->kind == MEM_MMIO) {
        assert_int_equal(memory_mmio_write(r->memory, m, pa, size, attrs, value), MEM_OK);
        return;
    }
    le64_put(b, value);
    assert_int_equal(memory_write(r->memory, pa, attrs, b, size), MEM_OK);
}

uint32_t rig_cfg_read(PciRig *r, uint16_t bdf, unsigned off, unsigned size)
{
    return (uint32_t)rig_read(r, RIG_ECAM + ((uint64_t)bdf << 12) + off, size);
}

void rig_cfg_write(PciRig *r, uint16_t bdf, unsigned off, unsigned size, uint32_t value)
{
    rig_write(r, RIG_ECAM + ((uint64_t)bdf << 12) + off, size, value);
}

void rig_place(PciRig *r, PciDevice *pd)
{
    uint16_t bdf = pci_bdf(pd);

    for (unsigned i = 0; i < PCI_N_BARS; i++) {
        uint64_t size = pd->bars[i].size, base;
        unsigned reg = PCI_BAR0 + 4 * i;

        if (size == 0) {
            continue;
        }
        if (pd->bars[i].flags & PCI_BAR_MEM64) {
            base = align_up(r->next_mem64, size);
            r->next_mem64 = base + size;
            rig_cfg_write(r, bdf, reg + 4, 4, (uint32_t)(base >> 32));
        } else {
            base = align_up(r->next_mem32, size);
            r->next_mem32 = (uint32_t)(base + size);
        }
        rig_cfg_write(r, bdf, reg, 4, (uint32_t)base);
    }
    rig_cfg_write(r, bdf, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

void rig_run(PciRig *r, int64_t ns)
{
    clock_advance(r->clock, clock_now(r->clock) + ns);
}
