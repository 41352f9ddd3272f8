/* PrimeCell RTC PL031 (Arm DDI 0224). Class "pl031", 4 KiB of registers, one level interrupt. */
#ifndef BAILEY_HW_PL031_H
#define BAILEY_HW_PL031_H

#include "device.h"

/* pl031_connect - the interrupt, and the seconds since 1970 that the clock shows at guest time 0 (-rtc
 * base=). */
void pl031_connect(Device *dev, IrqLine irq, int64_t base_s);

#endif
