/*
 * Class "tdisp-nic": puts the parts together. BAR 0: virtio structures; BAR 2: MSI-X alone, so that a VMM can
 * hand the rest of the function to a guest and keep this; BAR 4: DMA test engine.
 */
#include <string.h>

#include "hw/tdisp/nic_int.h"

static const VirtioLayout layout = {
    .bar = TDISP_NIC_BAR_VIRTIO, .common = 0, .isr = 0x1000, .device = 0x2000, .notify = 0x3000,
    .msix_bar = TDISP_NIC_BAR_MSIX, .extra_vectors = DSM_N_VECTORS, .devcap = PCI_EXP_DEVCAP_TEE_IO,
};

static TdispNic *tdisp_nic(Device *dev)
{
    return (TdispNic *)dev;
}

static void nic_reset(Device *dev)
{
    TdispNic *nic = tdisp_nic(dev);

    virtio_pci_reset(dev);
    memset(nic->net.frame, 0, sizeof(nic->net.frame));
    memset(&nic->net.v.chain, 0, sizeof(nic->net.v.chain));
}

/* The class's reset does it: the engine's registers by their table, rings and frames above. */
static void nic_scrub(PciDevice *pd)
{
    device_reset(&pd->dev);
}

/* The test engine is asked to make reads that fail, and reports them itself. */
static bool nic_tells_failure(PciDevice *pd)
{
    return tdisp_nic(&pd->dev)->engine.busy;
}

static const TdiRange ranges[] = {
    { TDISP_NIC_BAR_VIRTIO, 0, 0, 0 },
    { TDISP_NIC_BAR_ENGINE, 0, ENGINE_MIRROR, 0 },
    { TDISP_NIC_BAR_ENGINE, ENGINE_MIRROR, 0, TDISP_RANGE_NON_TEE | TDISP_RANGE_UPDATABLE },
};

static const TdiModel nic_model = {
    .ranges = ranges, .n_ranges = ARRAY_LEN(ranges),
    .info = "bailey tdisp-nic 1: virtio-net, DMA test engine in BAR 4",
    .scrub = nic_scrub, .tells_failure = nic_tells_failure,
};

static bool nic_realize(Device *dev, GError **error)
{
    TdispNic  *nic = tdisp_nic(dev);
    PciDevice *pd = nic_pci(nic);

    if (!dsm_configure(&nic->dsm, pd, error)) {
        return false;
    }
    if (!virtio_net_realize(&nic->net, &layout, NULL, error)) {
        dsm_unconfigure(&nic->dsm);
        return false;
    }
    pci_add_bar(pd, TDISP_NIC_BAR_ENGINE, NIC_ENGINE_SIZE, PCI_BAR_MEM64 | PCI_BAR_PREFETCH, &engine_ops);
    dsm_realize(&nic->dsm, &nic_model, nic->net.v.pci_cfg_cap);
    return true;
}

static void nic_unrealize(Device *dev)
{
    TdispNic *nic = tdisp_nic(dev);

    dsm_unrealize(&nic->dsm);
    virtio_net_unrealize(&nic->net);
}

static bool nic_assignable(const Device *dev)
{
    return true;
}

static const Prop props[] = {
    VIRTIO_NET_PROPS(offsetof(TdispNic, net)),
    DSM_PROPS(offsetof(TdispNic, dsm)),
};

DEVICE(tdisp_nic, .name = "tdisp-nic", .desc = "virtio network card with SPDM, IDE and TDISP", .bus = "pci",
       .state_size = sizeof(TdispNic), .access = ACCESS_64, .regs = engine_regs, .n_regs = ENGINE_N_REGS,
       .props = props, .n_props = ARRAY_LEN(props), .realize = nic_realize, .unrealize = nic_unrealize,
       .reset = nic_reset, .assignable = nic_assignable);
