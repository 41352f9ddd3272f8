/*
 * Class "tdisp-nic": puts the parts together. Function 0 has the security manager, and with vfs= the SR-IOV capability.
 */
#include "hw/tdisp/nic_int.h"

static TdispNic *tdisp_nic(Device *dev)
{
    return (TdispNic *)dev;
}

static void nic_unrealize(Device *dev)
{
    TdispNic *nic = tdisp_nic(dev);

    sriov_deinit(&nic->sriov);
    dsm_unrealize(&nic->dsm);
    virtio_net_unrealize(&nic->fn.net);
}

static bool nic_realize(Device *dev, GError **error)
{
    TdispNic *nic = tdisp_nic(dev);

    if (!dsm_configure(&nic->dsm, nic_pci(&nic->fn), error)) {
        return false;
    }
    if (!nic_function_realize(&nic->fn, &nic_layout, error)) {
        dsm_unconfigure(&nic->dsm);
        return false;
    }
    dsm_realize(&nic->dsm, &nic_model, nic->fn.net.v.pci_cfg_cap);
    if (!nic_add_vfs(nic, error)) {
        nic_unrealize(dev);
        return false;
    }
    return true;
}

static bool nic_assignable(const Device *dev)
{
    return true;
}

static const Prop props[] = {
    VIRTIO_NET_PROPS(offsetof(TdispNic, fn.net)),
    { "vfs", PROP_UINT, offsetof(TdispNic, n_vfs), "0",
      "virtual functions (SR-IOV), up to 8: network cards with an interface of their own" },
    { "vf-netdevs", PROP_STRING, offsetof(TdispNic, vf_netdevs), NULL,
      "ids of the -netdevs that the virtual functions are connected to, in order, joined by : (an empty one: none)" },
    DSM_PROPS(offsetof(TdispNic, dsm)),
};

DEVICE(tdisp_nic, .name = "tdisp-nic", .desc = "virtio network card with SPDM, IDE and TDISP", .bus = "pci",
       .state_size = sizeof(TdispNic), .access = ACCESS_64, .regs = engine_regs, .n_regs = ENGINE_N_REGS,
       .props = props, .n_props = ARRAY_LEN(props), .realize = nic_realize, .unrealize = nic_unrealize,
       .reset = nic_function_reset, .assignable = nic_assignable);
