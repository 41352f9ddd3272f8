/* PrimeCell GPIO PL061 (Arm DDI 0190). Class "pl061": eight pins, 4 KiB of registers, one level interrupt. */
#ifndef BAILEY_HW_PL061_H
#define BAILEY_HW_PL061_H

#include "device.h"

enum { PL061_N_PINS = 8 };

/* pl061_connect - the interrupt. */
void pl061_connect(Device *dev, IrqLine irq);

/* pl061_pulse - the outside holds a pin high for @length_ns: a button is pressed. */
void pl061_pulse(Device *dev, unsigned pin, int64_t length_ns);

#endif
