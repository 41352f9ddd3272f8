/*
 * A function of the card: virtio-net and the DMA test engine; and the virtual ones, which are that and nothing else.
 * BAR 0: virtio structures; BAR 2: MSI-X alone, so that a VMM can hand the rest of the function to a guest and keep
 * this; BAR 4: DMA test engine.
 */
#include <string.h>

#include "hw/tdisp/nic_int.h"

#define STRUCTURES                                                                                          \
    .bar = TDISP_NIC_BAR_VIRTIO, .common = 0, .isr = 0x1000, .device = 0x2000, .notify = 0x3000,            \
    .msix_bar = TDISP_NIC_BAR_MSIX, .devcap = PCI_EXP_DEVCAP_TEE_IO

const VirtioLayout        nic_layout = { STRUCTURES, .extra_vectors = DSM_N_VECTORS };
static const VirtioLayout vf_layout = { STRUCTURES };

bool nic_function_realize(NicFunction *fn, const VirtioLayout *layout, GError **error)
{
    if (!virtio_net_realize(&fn->net, layout, NULL, error)) {
        return false;
    }
    pci_add_bar(nic_pci(fn), TDISP_NIC_BAR_ENGINE, NIC_ENGINE_SIZE, PCI_BAR_MEM64 | PCI_BAR_PREFETCH, &engine_ops);
    return true;
}

void nic_function_reset(Device *dev)
{
    VirtioNet *net = &nic_function(dev)->net;

    virtio_pci_reset(dev);
    memset(net->frame, 0, sizeof(net->frame));
    memset(&net->v.chain, 0, sizeof(net->v.chain));
}

/* ---- interfaces ---- */

/* The class's reset does it: the engine's registers by their table, rings and frames above. */
static void scrub(PciDevice *pd)
{
    device_reset(&pd->dev);
}

/* The test engine is asked to make reads that fail, and reports them itself. */
static bool tells_failure(PciDevice *pd)
{
    return nic_function(&pd->dev)->engine.busy;
}

static const TdiRange ranges[] = {
    { TDISP_NIC_BAR_VIRTIO, 0, 0, 0 },
    { TDISP_NIC_BAR_ENGINE, 0, ENGINE_MIRROR, 0 },
    { TDISP_NIC_BAR_ENGINE, ENGINE_MIRROR, 0, TDISP_RANGE_NON_TEE | TDISP_RANGE_UPDATABLE },
};

const TdiModel nic_model = {
    .ranges = ranges, .n_ranges = ARRAY_LEN(ranges),
    .info = "bailey tdisp-nic 1: virtio-net, DMA test engine in BAR 4",
    .scrub = scrub, .tells_failure = tells_failure,
};

const TdiModel nic_vf_model = {
    .ranges = ranges, .n_ranges = ARRAY_LEN(ranges),
    .info = "bailey tdisp-nic 1, virtual function: virtio-net, DMA test engine in BAR 4",
    .scrub = scrub, .tells_failure = tells_failure,
};

/* ---- virtual functions ---- */

static bool vf_realize(Device *dev, GError **error)
{
    return nic_function_realize(nic_function(dev), &vf_layout, error);
}

static void vf_unrealize(Device *dev)
{
    virtio_net_unrealize(&nic_function(dev)->net);
}

static const Prop vf_props[] = { VIRTIO_NET_PROPS(offsetof(NicFunction, net)) };

/* Not registered: there is none without its card. */
static const DeviceClass vf_class = {
    .name = "tdisp-nic-vf", .desc = "virtual function of a tdisp-nic", .bus = "pci", .state_size = sizeof(NicFunction),
    .access = ACCESS_64, .regs = engine_regs, .n_regs = ENGINE_N_REGS,
    .props = vf_props, .n_props = ARRAY_LEN(vf_props),
    .realize = vf_realize, .unrealize = vf_unrealize, .reset = nic_function_reset,
};

/* Nothing of a VF is random: its generator stays unused. */
static bool add_vf(TdispNic *nic, const char *netdev, GError **error)
{
    PciDevice *pf = nic_pci(&nic->fn);
    char      *id = g_strdup_printf("%s.vf%u", pf->dev.id, nic->sriov.n_total);
    Device    *dev = device_new(&vf_class, id, pf->dev.clock, 0);

    g_free(id);
    if (netdev != NULL && *netdev != '\0' && !device_set(dev, "netdev", netdev, error)) {
        device_free(dev);
        return false;
    }
    if (!sriov_add_vf(&nic->sriov, dev, error)) {
        return false;
    }
    dsm_add_vf(&nic->dsm, nic_pci(nic_function(dev)), &nic_vf_model, nic_function(dev)->net.v.pci_cfg_cap);
    return true;
}

static bool add_all(TdispNic *nic, char *const *netdevs, GError **error)
{
    PciDevice *pf = nic_pci(&nic->fn);
    unsigned   n_netdevs = g_strv_length((char **)netdevs);

    if (n_netdevs > nic->n_vfs) {
        g_set_error(error, BAILEY_ERROR, 0, "vf-netdevs=%s of device %s names more netdevs than the %u virtual "
                    "functions of vfs=; raise that or name fewer", nic->vf_netdevs, pf->dev.id, (unsigned)nic->n_vfs);
        return false;
    }
    for (unsigned i = 0; i < nic->n_vfs; i++) {
        if (!add_vf(nic, i < n_netdevs ? netdevs[i] : NULL, error)) {
            return false;
        }
    }
    return true;
}

bool nic_add_vfs(TdispNic *nic, GError **error)
{
    PciDevice *pf = nic_pci(&nic->fn);
    char     **netdevs = g_strsplit(nic->vf_netdevs != NULL ? nic->vf_netdevs : "", ":", -1);
    bool       ok = true;

    if (nic->n_vfs > SRIOV_MAX_VFS) {
        g_set_error(error, BAILEY_ERROR, 0, "vfs=%llu of device %s: a card has at most %d virtual functions; give a "
                    "smaller number", (unsigned long long)nic->n_vfs, pf->dev.id, SRIOV_MAX_VFS);
        ok = false;
    } else if (nic->n_vfs != 0) {
        /* A driver may use them once it has agreed on the feature. */
        nic->fn.net.v.host_features |= VIRTIO_F_SR_IOV;
        ok = sriov_init(&nic->sriov, pf, (unsigned)nic->n_vfs, (uint16_t)pci_get(pf, PCI_DEVICE_ID, 2),
                        dsm_vfs_changed, &nic->dsm, error);
    }
    ok = ok && add_all(nic, netdevs, error);
    g_strfreev(netdevs);
    return ok;
}
