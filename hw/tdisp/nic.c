/*
 * Class "tdisp-nic": puts the parts together. BAR 0: virtio structures; BAR 2: MSI-X alone, so that a VMM can
 * hand the rest of the function to a guest and keep this; BAR 4: DMA test engine.
 */
#include <string.h>

#include "hw/pci/root_port.h"
#include "hw/tdisp/nic_int.h"

static const VirtioLayout layout = {
    .bar = TDISP_NIC_BAR_VIRTIO, .common = 0, .isr = 0x1000, .device = 0x2000, .notify = 0x3000,
    .msix_bar = TDISP_NIC_BAR_MSIX, .devcap = PCI_EXP_DEVCAP_TEE_IO,
};

static const DeviceClass tdisp_nic_class;

static TdispNic *tdisp_nic(Device *dev)
{
    return (TdispNic *)dev;
}

const Tdi *tdisp_nic_tdi(const PciDevice *pd)
{
    return pd->dev.cls == &tdisp_nic_class ? &((const TdispNic *)pd)->tdi : NULL;
}

uint64_t nic_bar_address(TdispNic *nic, unsigned bar)
{
    PciDevice *pd = nic_pci(nic);
    unsigned   reg = PCI_BAR0 + 4 * bar;
    uint64_t   low = pci_get(pd, reg, 4) & ~0xfu;

    return pd->bars[bar].flags & PCI_BAR_MEM64 ? low | (uint64_t)pci_get(pd, reg + 4, 4) << 32 : low;
}

/* The class's reset does it: the engine's registers by their table, rings and frames below. */
void nic_scrub(TdispNic *nic)
{
    device_reset(&nic_pci(nic)->dev);
}

static void nic_reset(Device *dev)
{
    TdispNic *nic = tdisp_nic(dev);

    virtio_pci_reset(dev);
    memset(nic->net.frame, 0, sizeof(nic->net.frame));
    memset(&nic->net.v.chain, 0, sizeof(nic->net.v.chain));
}

/* "Component Measurement and Authentication (CMA-SPDM)": the two data objects. */
const DoeProtocol tdisp_nic_protocols[TDISP_NIC_N_PROTOCOLS] = {
    { DOE_VENDOR_PCISIG, DOE_TYPE_SPDM, "CMA/SPDM", dsm_object },
    { DOE_VENDOR_PCISIG, DOE_TYPE_SECURED_SPDM, "Secured CMA/SPDM", dsm_object },
};

static bool nic_realize(Device *dev, GError **error)
{
    static const IdeConfig   ide = {
          .n_sel = NIC_N_STREAMS, .n_addr = NIC_N_ADDR, .ide_km = true, .tee_limited = true,
          .cfg_requests = true,
    };
    TdispNic                *nic = tdisp_nic(dev);
    PciDevice               *pd = nic_pci(nic);

    if (root_port_of(pd) == NULL) {
        g_set_error(error, BAILEY_ERROR, 0,
                    "device %s needs a link to protect: put it below a pcie-root-port, with the "
                    "port's id as bus=",
                    dev->id);
        return false;
    }
    if (!dsm_configure(nic, error) || !virtio_net_realize(&nic->net, &layout, NULL, error)) {
        return false;
    }
    pd->hooks = &guard_hooks;
    guard_listen(nic);
    pci_add_bar(pd, TDISP_NIC_BAR_ENGINE, NIC_ENGINE_SIZE, PCI_BAR_MEM64 | PCI_BAR_PREFETCH, &engine_ops);
    pci_add_aer(pd);
    doe_init(&nic->doe, pd, 2, tdisp_nic_protocols, TDISP_NIC_N_PROTOCOLS, PCI_MSIX_NONE, nic);
    ide_init(&nic->ide, pd, &ide, &dsm_ide_ops, nic);
    root_port_set_endpoint_ide(pd, &nic->ide);
    dsm_init(nic);
    return true;
}

static void nic_unrealize(Device *dev)
{
    TdispNic *nic = tdisp_nic(dev);

    root_port_set_endpoint_ide(nic_pci(nic), NULL);
    dsm_deinit(nic);
    doe_deinit(&nic->doe);
    virtio_net_unrealize(&nic->net);
    spdm_wipe(nic->identity.private_key, sizeof(nic->identity.private_key));
}

static const Prop props[] = {
    VIRTIO_NET_PROPS(offsetof(TdispNic, net)),
    { "cert-chain", PROP_STRING, offsetof(TdispNic, cert_chain), NULL,
      "file of PEM certificates, root first (default: the test PKI)" },
    { "key", PROP_STRING, offsetof(TdispNic, key), NULL, "file of the last certificate's P-384 key in PEM" },
    { "spdm-version", PROP_STRING, offsetof(TdispNic, spdm_version), "1.2:1.3",
      "SPDM version, or lowest:highest, of 1.1, 1.2, 1.3" },
    { "spdm-heartbeat", PROP_UINT, offsetof(TdispNic, heartbeat_s), "0",
      "seconds between signs of life that a session needs, up to 255 (default 0: none)" },
    { "tamper", PROP_STRING, offsetof(TdispNic, tamper), NULL,
      "be a device that must not be accepted: wrong-root or wrong-measurement" },
};

DEVICE(tdisp_nic, .name = "tdisp-nic", .desc = "virtio network card with SPDM, IDE and TDISP", .bus = "pci",
       .state_size = sizeof(TdispNic), .access = ACCESS_64, .regs = engine_regs, .n_regs = ENGINE_N_REGS,
       .props = props, .n_props = ARRAY_LEN(props), .realize = nic_realize, .unrealize = nic_unrealize,
       .reset = nic_reset);
