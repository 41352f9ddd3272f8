/* Watchdog SP805 (Arm DDI 0270). Class "sp805", 4 KiB of registers, one level interrupt and a reset request. */
#ifndef BAILEY_HW_SP805_H
#define BAILEY_HW_SP805_H

#include "device.h"

/**
 * sp805_connect - what the watchdog is wired to.
 * @irq:   WDOGINT
 * @reset: WDOGRES: the second period ended with the interrupt still there. It stays so until a reset.
 */
void sp805_connect(Device *dev, IrqLine irq, void (*reset)(void *opaque), void *opaque);

#endif
