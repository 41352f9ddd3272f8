/*
 * The system counter and the memory-mapped generic timer (Arm DDI 0487, "System level implementation of the generic
 * timer"), as three devices: "cntcontrol" and "cntread" (the counter), "memtimer" (CNTCTLBase and one timer frame).
 */
#ifndef BAILEY_HW_MEMTIMER_H
#define BAILEY_HW_MEMTIMER_H

#include "device.h"

/* syscount_connect - of a "cntcontrol" or "cntread": what the counter counts. */
void syscount_connect(Device *dev, unsigned tick_ns, uint32_t hz);

/**
 * memtimer_connect - of a "memtimer".
 * @frame: number of its frame, 0 to 7
 * @irq:   interrupt of the frame's physical timer
 */
void memtimer_connect(Device *dev, unsigned tick_ns, uint32_t hz, unsigned frame, IrqLine irq);

/* The registers of the frame (CNTBaseN), 4 KiB; opaque is the Device. */
extern const MmioOps memtimer_frame_ops;

#endif
