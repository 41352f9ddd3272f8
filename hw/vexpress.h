/*
 * What Arm's FVP models have of the Versatile Express motherboard: "ve-sysregs" (system registers) and "fvp-pwrc" (the
 * power controller of the clusters).
 */
#ifndef BAILEY_HW_VEXPRESS_H
#define BAILEY_HW_VEXPRESS_H

#include "device.h"

/* ve_sysregs_connect - @event is called when the guest asks the board to go off or to start anew (@reset). */
void ve_sysregs_connect(Device *dev, uint32_t id, void (*event)(void *opaque, bool reset), void *opaque);

/* fvp_pwrc_connect - @is_on tells whether the CPU with affinities @mpidr (Aff2, Aff1, Aff0) is on; @exists, whether
 * there is one. */
void fvp_pwrc_connect(Device *dev, bool (*exists)(void *opaque, uint32_t mpidr, bool *is_on), void *opaque);

#endif
