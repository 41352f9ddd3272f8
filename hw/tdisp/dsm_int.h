/* What the files of the security manager share: dsm.c (SPDM, IDE_KM, TDISP), guard.c (what an interface's state lets
 * through), measure.c (measurements). */
#ifndef BAILEY_HW_TDISP_DSM_INT_H
#define BAILEY_HW_TDISP_DSM_INT_H

#include "hw/tdisp/dsm.h"

/* The interface is CONFIG_LOCKED or RUN: somebody relies on how the function is set up. */
static inline bool tdi_is_held(const TdiFunction *f)
{
    return f->tdi->state == TDI_CONFIG_LOCKED || f->tdi->state == TDI_RUN;
}

/* The MSI-X table is part of what is locked. */
static inline bool tdi_msix_is_locked(const TdiFunction *f)
{
    return tdi_is_held(f) && (f->tdi->lock_flags & TDISP_LOCK_MSIX) != 0;
}

/* ---- dsm.c ---- */

/* A function was reset. Function 0 takes the others and the SPDM connection along. */
void dsm_reset(TdiFunction *f, PciResetKind kind);

/* A rule of CONFIG_LOCKED or RUN was broken: ERROR; nothing in other states. @why goes to the trace. */
void dsm_violation(TdiFunction *f, const char *why);

/* The same for the function and, when it is not a virtual one, for its virtual functions. */
void dsm_violation_all(TdiFunction *f, const char *why);

/* The function's requester ID may have changed. */
void dsm_check_requester(TdiFunction *f);

/* ---- guard.c ---- */

/* guard_attach - stand in the ways of function @f: its hooks, and its requests upstream. */
void guard_attach(TdiFunction *f);

/* The function behind a guarded PCI function, or NULL. */
TdiFunction *guard_function(const PciDevice *pd);

/* Whether a place in a BAR is TEE memory now; what the gate and the interface report both go by. */
bool guard_is_tee(const TdiFunction *f, unsigned bar, uint64_t off);

/* ---- ide_fault.c ---- */

/* ide_fault_configure - what the property says; false with a sentence when it is wrong. */
bool ide_fault_configure(Dsm *dsm, GError **error);

/* ide_fault_named - whether the text is about a fault of the link encryption. ide_fault_inject - it happens at the next
 * TLP, or the Nth from now; false with a sentence. */
bool ide_fault_named(const char *text);
bool ide_fault_inject(Dsm *dsm, const char *text, GError **error);
void ide_fault_init(Dsm *dsm);
void ide_fault_deinit(Dsm *dsm);

/* IdeOps.spoils */
bool ide_fault_spoils(void *opaque, IdeCap *ide, unsigned sel, IdeDirection dir);

/* ---- measure.c ---- */

/* What SpdmResponderConfig's measurement and log_entry are. */
bool measure_get(void *opaque, unsigned n, SpdmMeasurement *m);
bool log_get(void *opaque, unsigned n, SpdmLogEntry *entry);

/* That of the firmware; what it points at is good until the next one. */
void measure_firmware(Dsm *dsm, SpdmMeasurement *m);

/* tamper=wrong-measurement has just begun: whoever wants to know is told. */
void measure_firmware_changed(Dsm *dsm);

#endif
