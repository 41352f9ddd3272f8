/*
 * The slot of a hot-plug capable port: cards that come and go while the machine runs. A card that comes is seen
 * at once, by Presence Detect Changed, Data Link Layer State Changed and the attention button. One that is to go
 * is asked for by the attention button; it goes when software switches the power indicator off, which is how it
 * says that nobody uses the card any more. There is no power controller, no sensor of a latch, and a command is
 * complete when it was written. A port that sleeps in D3hot tells of what happens by PME. Source: PCI Express
 * Base Specification 6.0, "PCI Express Native Hot-Plug", "Slot Capabilities Register".
 */
#ifndef BAILEY_HW_PCI_HOTPLUG_H
#define BAILEY_HW_PCI_HOTPLUG_H

#include "hw/pci/pci.h"

struct PciSlot {
    PciDevice *port;
    ClockTimer eject;     /* the card goes after the access that says so */
    uint8_t    indicator; /* what the power indicator was switched to last */
};

/* pci_slot_init - the port is hot-plug capable; from its realize(), behind pci_add_exp() and pci_add_pm(). */
void pci_slot_init(PciSlot *slot, PciDevice *port);
void pci_slot_deinit(PciSlot *slot);

/**
 * pci_hotplug - plug a device_new() function below a hot-plug capable port while the machine runs.
 * On failure, also when the bus that it names is none of such a port's, the device is freed, with a sentence in @error.
 */
bool pci_hotplug(PciHost *host, Device *dev, GError **error);

/* pci_hotunplug - press the attention button of the slot that @pd is in; false with a sentence when it is in none. */
bool pci_hotunplug(PciDevice *pd, GError **error);

/* pci_host_on_deleted - @fn hears of every function that has left a slot; by its id=. NULL: nobody does. */
void pci_host_on_deleted(PciHost *host, void (*fn)(void *opaque, const char *id), void *opaque);

#endif
