/* PrimeCell UART PL011 (Arm DDI 0183). Class "pl011", 4 KiB of registers, one level interrupt. */
#ifndef BAILEY_HW_PL011_H
#define BAILEY_HW_PL011_H

#include "chardev.h"
#include "device.h"

/* pl011_connect - before use: the interrupt and the back end (NULL: output is lost, no input). */
void pl011_connect(Device *dev, IrqLine irq, Chardev *chardev);

#endif
