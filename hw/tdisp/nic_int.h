/* What the files of tdisp-nic share: nic.c (the card), nic_function.c (what its functions have in common, and the
 * virtual ones), engine.c (DMA test engine). */
#ifndef BAILEY_HW_TDISP_NIC_INT_H
#define BAILEY_HW_TDISP_NIC_INT_H

#include "hw/pci/sriov.h"
#include "hw/tdisp/dsm.h"
#include "hw/tdisp/tdisp_nic.h"
#include "hw/virtio/virtio_net.h"

enum { NIC_ENGINE_SIZE = 0x4000 };

typedef struct DmaEngine {
    uint64_t addr, len, pattern, status, result, count, flags;
    bool     busy; /* the request under way is the engine's */
} DmaEngine;

/* A function of the card: the state of a virtual one. */
typedef struct NicFunction {
    VirtioNet net; /* first: also the PciDevice and the Device */
    DmaEngine engine;
} NicFunction;

typedef struct TdispNic {
    NicFunction fn; /* first, too */
    Dsm         dsm;
    Sriov       sriov;

    /* Properties. */
    uint64_t n_vfs;
    char    *vf_netdevs;
} TdispNic;

static inline NicFunction *nic_function(Device *dev)
{
    return (NicFunction *)dev;
}

static inline PciDevice *nic_pci(NicFunction *fn)
{
    return &fn->net.v.pci;
}

/* ---- nic_function.c ---- */

/* nic_function_realize - virtio structures, MSI-X and the test engine; nic_function_reset - the class's reset(). */
bool nic_function_realize(NicFunction *fn, const VirtioLayout *layout, GError **error);
void nic_function_reset(Device *dev);

/* Of the card: with the vectors of its security manager. */
extern const VirtioLayout nic_layout;

/* What the interfaces of the card and of a virtual function offer. */
extern const TdiModel nic_model, nic_vf_model;

/* nic_add_vfs - what vfs= and vf-netdevs= say, after dsm_realize(); false with a sentence. */
bool nic_add_vfs(TdispNic *nic, GError **error);

/* ---- engine.c ---- */

enum { ENGINE_N_REGS = 9 };

extern const Reg     engine_regs[ENGINE_N_REGS];
extern const MmioOps engine_ops;

#endif
