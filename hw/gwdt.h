/*
 * Generic watchdog of the Arm Base System Architecture (DEN0094, "Generic Watchdog"). Class "gwdt": the control frame
 * at offset 0, the refresh frame as registers of its own (gwdt_refresh_ops).
 */
#ifndef BAILEY_HW_GWDT_H
#define BAILEY_HW_GWDT_H

#include "device.h"

/**
 * gwdt_connect - what the watchdog is wired to.
 * @tick_ns: nanoseconds of one tick of the system counter
 * @ws0:     the first signal, an interrupt
 * @ws1:     the second: nobody refreshed for two periods
 */
void gwdt_connect(Device *dev, unsigned tick_ns, IrqLine ws0, void (*ws1)(void *opaque), void *opaque);

/* The refresh frame, 4 KiB; opaque is the Device. */
extern const MmioOps gwdt_refresh_ops;

#endif
