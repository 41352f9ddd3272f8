/* What the files of tdisp-nic share: nic.c (the function), dsm.c (security manager), guard.c (what the
 * interface state lets through), engine.c (DMA test engine), measure.c (measurements). */
#ifndef BAILEY_HW_TDISP_NIC_INT_H
#define BAILEY_HW_TDISP_NIC_INT_H

#include "hw/pci/doe.h"
#include "hw/pci/ide.h"
#include "hw/tdisp/tdisp_nic.h"
#include "hw/virtio/virtio_net.h"
#include "spdm/ide_km.h"
#include "spdm/pki.h"
#include "spdm/spdm.h"

enum {
    NIC_PORT = 0,       /* IDE_KM's number of our only port */
    NIC_N_STREAMS = 2,  /* selective IDE streams */
    NIC_N_ADDR = 1,     /* address association blocks of each */
    NIC_ENGINE_SIZE = 0x4000,
    NIC_NO_STREAM = ~0u,
};

typedef struct DmaEngine {
    uint64_t addr, len, pattern, status, result, count, flags;
    bool     busy; /* the request under way is the engine's */
} DmaEngine;

typedef struct TdispNic {
    VirtioNet     net; /* first: also the PciDevice and the Device */
    Doe           doe;
    IdeCap        ide;
    SpdmIdentity  identity;
    SpdmResponder responder;
    SpdmResponderConfig spdm; /* what the properties set of it */
    IdeKm         km;
    TdispDsm      dsm;
    Tdi           tdi;
    unsigned      bound_sel; /* selective stream of the locked interface, or NIC_NO_STREAM */
    DmaEngine     engine;
    ClockTimer    heartbeat;    /* when a session ends that nothing is heard from */
    uint8_t       measured[64]; /* value of the measurement handed out last */

    /* The way upstream that guard.c listens on. */
    DmaTranslate *upstream;
    void         *upstream_opaque;

    /* Properties. */
    char    *cert_chain, *key, *tamper, *spdm_version;
    uint64_t heartbeat_s;
    bool     wrong_measurement;
} TdispNic;

static inline PciDevice *nic_pci(TdispNic *nic)
{
    return &nic->net.v.pci;
}

/* The interface is CONFIG_LOCKED or RUN: somebody relies on how the function is set up. */
static inline bool nic_is_held(const TdispNic *nic)
{
    return nic->tdi.state == TDI_CONFIG_LOCKED || nic->tdi.state == TDI_RUN;
}

/* The MSI-X table is part of what is locked. */
static inline bool nic_msix_is_locked(const TdispNic *nic)
{
    return nic_is_held(nic) && (nic->tdi.lock_flags & TDISP_LOCK_MSIX) != 0;
}

/* Where a BAR is by its registers, enabled or not. */
uint64_t nic_bar_address(TdispNic *nic, unsigned bar);

/* nic_scrub - forget all data of whoever used the function. */
void nic_scrub(TdispNic *nic);

/* ---- dsm.c ---- */

/* dsm_configure - what the properties say: certificates, versions; false with a sentence when one is wrong. */
bool dsm_configure(TdispNic *nic, GError **error);

void dsm_init(TdispNic *nic); /* after it */
void dsm_deinit(TdispNic *nic);
void dsm_reset(TdispNic *nic, PciResetKind kind);

/* A rule of CONFIG_LOCKED or RUN was broken: ERROR; nothing in other states. @why goes to the trace. */
void dsm_violation(TdispNic *nic, const char *why);

/* The function's requester ID may have changed. */
void dsm_check_requester(TdispNic *nic);

DoeHandler          dsm_object;
extern const IdeOps dsm_ide_ops;

/* ---- guard.c ---- */

extern const PciHooks guard_hooks;

/* guard_listen - see how reads of the function end; from realize(). */
void guard_listen(TdispNic *nic);

/* Whether a place in a BAR is TEE memory now; what the gate and the interface report both go by. */
bool guard_is_tee(const TdispNic *nic, unsigned bar, uint64_t off);

/* ---- engine.c ---- */

enum { ENGINE_N_REGS = 9 };

extern const Reg     engine_regs[ENGINE_N_REGS];
extern const MmioOps engine_ops;

/* ---- measure.c ---- */

bool measure_get(void *opaque, unsigned n, SpdmMeasurement *m);

#endif
