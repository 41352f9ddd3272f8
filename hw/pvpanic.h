/* PCI pvpanic (1b36:0011): the guest reports that it panicked. Class "pvpanic-pci". */
#ifndef BAILEY_HW_PVPANIC_H
#define BAILEY_HW_PVPANIC_H

#include "device.h"

enum { PVPANIC_PANICKED = 1, PVPANIC_CRASH_LOADED = 2, PVPANIC_SHUTDOWN = 4 };

/* pvpanic_set_handler - called with the event bits the guest writes; one handler for the machine. */
void pvpanic_set_handler(void (*event)(void *opaque, unsigned bits), void *opaque);

#endif
