#include "pci_toy.h"

#include <string.h>

#include "hw/pci/root_port.h"

static MemResult bar_read(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t *value)
{
    *value = ((PciToy *)opaque)->reg[off / 8 % 8];
    return MEM_OK;
}

static MemResult bar_write(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t value)
{
    ((PciToy *)opaque)->reg[off / 8 % 8] = value;
    return MEM_OK;
}

static const MmioOps bar_ops = { bar_read, bar_write };

static void config_written(PciDevice *pd, const PciConfigWrite *w)
{
    ((PciToy *)pd)->last_write = *w;
    ((PciToy *)pd)->n_writes++;
}

static bool mmio_allowed(PciDevice *pd, unsigned bar, uint64_t off, unsigned size, MemAttrs attrs, bool write)
{
    return !((PciToy *)pd)->refuse_mmio;
}

static DmaResult dma_allowed(PciDevice *pd, const DmaRequest *req)
{
    return ((PciToy *)pd)->refuse_dma ? DMA_REFUSED : DMA_OK;
}

static void on_reset(PciDevice *pd, PciResetKind kind)
{
    ((PciToy *)pd)->n_resets++;
    ((PciToy *)pd)->reset_kind = kind;
}

static const PciHooks hooks = { .config_written = config_written, .mmio_allowed = mmio_allowed,
                                .dma_allowed = dma_allowed, .reset = on_reset };

static size_t echo(void *opaque, const DoeProtocol *proto, const uint8_t *req, size_t req_len, uint8_t *rsp,
                   size_t rsp_cap)
{
    PciToy *t = opaque;

    for (size_t i = 0; i < t->reply_len; i++) {
        rsp[i] = req_len != 0 ? req[i % req_len] : 0xee;
    }
    return t->reply_len;
}

static void changed(void *opaque, IdeCap *ide, unsigned sel, IdeStreamState state)
{
    ((PciToy *)opaque)->n_changed++;
}

static void reconfigured(void *opaque, IdeCap *ide, unsigned sel, IdeStreamState was)
{
    ((PciToy *)opaque)->n_reconfigured++;
}

static const IdeOps ide_callbacks = { changed, reconfigured, NULL };

static bool toy_realize(Device *dev, GError **error)
{
    static const PciIds      ids = { .vendor = 0x1234, .device = 0x5678, .class_code = 0xff0000 };
    static const DoeProtocol proto[] = { { DOE_VENDOR_PCISIG, TOY_PROTO, "toy", echo }, { 0x1234, 1, "other", echo } };
    static const IdeConfig   ide = { .n_link = 1, .n_sel = 2, .n_addr = 1, .ide_km = true,
                                     .tee_limited = true };
    PciToy                  *t = (PciToy *)dev;
    PciDevice               *pd = &t->pci;

    pci_set_ids(pd, &ids);
    pci_set_interrupt_pin(pd, 1);
    pci_add_bar(pd, 0, 0x1000, PCI_BAR_MEM32, &bar_ops);
    pci_add_bar(pd, 1, 0x1000, PCI_BAR_MEM32, NULL);
    pci_add_bar(pd, 2, 0x4000, PCI_BAR_MEM64 | PCI_BAR_PREFETCH, &bar_ops);
    pci_add_msix(pd, 4, 1, 0, 1, 0x800);
    pci_add_exp(pd, pd->bus->bridge != NULL ? PCI_EXP_ENDPOINT : PCI_EXP_RC_ENDPOINT,
                PCI_EXP_DEVCAP_FLR | PCI_EXP_DEVCAP_TEE_IO);
    pci_add_pm(pd);
    pci_add_aer(pd);
    doe_init(&t->doe, pd, 2, proto, ARRAY_LEN(proto), 3, t);
    ide_init(&t->ide, pd, &ide, &ide_callbacks, t);
    pd->hooks = &hooks;
    root_port_set_endpoint_ide(pd, &t->ide);
    t->reply_len = 8;
    return true;
}

static void toy_unrealize(Device *dev)
{
    doe_deinit(&((PciToy *)dev)->doe);
}

DEVICE(pci_toy, .name = "pci-toy", .bus = "pci", .state_size = sizeof(PciToy), .realize = toy_realize,
       .unrealize = toy_unrealize);
