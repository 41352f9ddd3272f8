/* What the files of tdisp-nic share: nic.c (the function), engine.c (DMA test engine). */
#ifndef BAILEY_HW_TDISP_NIC_INT_H
#define BAILEY_HW_TDISP_NIC_INT_H

#include "hw/tdisp/dsm.h"
#include "hw/tdisp/tdisp_nic.h"
#include "hw/virtio/virtio_net.h"

enum { NIC_ENGINE_SIZE = 0x4000 };

typedef struct DmaEngine {
    uint64_t addr, len, pattern, status, result, count, flags;
    bool     busy; /* the request under way is the engine's */
} DmaEngine;

typedef struct TdispNic {
    VirtioNet net; /* first: also the PciDevice and the Device */
    Dsm       dsm;
    DmaEngine engine;
} TdispNic;

static inline PciDevice *nic_pci(TdispNic *nic)
{
    return &nic->net.v.pci;
}

/* ---- engine.c ---- */

enum { ENGINE_N_REGS = 9 };

extern const Reg     engine_regs[ENGINE_N_REGS];
extern const MmioOps engine_ops;

#endif
