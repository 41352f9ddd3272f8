/*
 * pvpanic as a PCI function: one byte at the start of BAR 0. Reading it tells which events the machine
 * understands, writing reports some. Source: the pvpanic specification QEMU publishes.
 */
#include "hw/pvpanic.h"

#include "hw/pci/pci.h"
#include "log.h"

static void (*handler)(void *opaque, unsigned bits);
static void *handler_opaque;

void pvpanic_set_handler(void (*event)(void *opaque, unsigned bits), void *opaque)
{
    handler = event;
    handler_opaque = opaque;
}

typedef struct Pvpanic {
    PciDevice pci;
} Pvpanic;

static const unsigned known = PVPANIC_PANICKED | PVPANIC_CRASH_LOADED | PVPANIC_SHUTDOWN;

static MemResult bar_read(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t *value)
{
    *value = off == 0 ? known : 0;
    return MEM_OK;
}

static MemResult bar_write(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t value)
{
    if (off == 0 && (value & known) != 0 && handler != NULL) {
        handler(handler_opaque, (unsigned)value & known);
    }
    return MEM_OK;
}

static const MmioOps pvpanic_ops = { bar_read, bar_write };

static bool pvpanic_realize(Device *dev, GError **error)
{
    static const PciIds ids = { .vendor = 0x1b36,
                               .device = 0x0011,
                               .subsystem_vendor = 0x1af4,
                               .subsystem = 0x1100,
                               .class_code = 0x088000,
                               .revision = 1 };
    PciDevice          *pd = pci_device(dev);

    pci_set_ids(pd, &ids);
    pci_add_bar(pd, 0, 0x1000, PCI_BAR_MEM32, &pvpanic_ops);
    pci_add_exp(pd, pd->bus->bridge == NULL ? PCI_EXP_RC_ENDPOINT : PCI_EXP_ENDPOINT, 0);
    return true;
}

DEVICE(pvpanic, .name = "pvpanic-pci", .desc = "reports a guest's panic to the machine", .bus = "pci",
       .state_size = sizeof(Pvpanic), .realize = pvpanic_realize);
