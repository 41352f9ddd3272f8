/* What the files of hw/pci share with each other and with nobody else. */
#ifndef BAILEY_HW_PCI_PCI_INT_H
#define BAILEY_HW_PCI_PCI_INT_H

#include "hw/pci/pci.h"

struct PciHost {
    PciHostConfig cfg;
    PciBus        root;
    MemRegion    *ecam;
    unsigned      intx_level[4]; /* functions that assert each line */
    void        (*on_deleted)(void *opaque, const char *id); /* pci_host_on_deleted() */
    void         *on_deleted_opaque;
};

/* One configuration request to a function that decoded it. */
uint32_t pci_config_read(PciDevice *pd, unsigned off, unsigned size);
void     pci_config_write(PciDevice *pd, unsigned off, unsigned size, uint32_t value);

/* Whether a request may leave the function and pass every bridge above it. */
DmaResult pci_dma_gate(PciDevice *pd, const DmaRequest *req);

/* Bridge registers or a bus number changed: names, requester IDs and mappings below follow. */
void pci_bridge_changed(PciDevice *bridge);

/* MSI-X: an access that falls on the table or the pending bits is served here (true). */
bool pci_msix_read(PciDevice *pd, unsigned bar, uint64_t off, unsigned size, uint64_t *value);
bool pci_msix_write(PciDevice *pd, unsigned bar, uint64_t off, unsigned size, uint64_t value);
void pci_msix_control_written(PciDevice *pd);
void pci_msix_free(PciDevice *pd);

/* Puts a function at a place of a bus that the caller answers for, and realizes it; pci_detach() undoes that. */
bool pci_attach(PciBus *bus, PciDevice *pd, uint8_t devfn, GError **error);
void pci_detach(PciDevice *pd);

/* A message of a root port's own services. They are the root complex's, and tell of events in D3hot, too: that is how
 * software hears that it should wake the port. */
void pci_service_notify(PciDevice *port, unsigned v);

/* A function leaves its bus for good; virtual functions go with theirs. */
void pci_remove(PciDevice *pd);

/* ---- hotplug.c: what pci.c asks and tells ---- */

/* Whether the link of the slot's port is up; that it went up or down; that a card was plugged before power on. */
bool pci_slot_link_active(const PciSlot *s);
void pci_slot_link_changed(PciSlot *s);
void pci_slot_filled(PciSlot *s);

/* ---- sriov.c: what pci.c asks about virtual functions ---- */

/* Takes away from a realized function's registers what a virtual function does not have. */
void sriov_make_vf(PciDevice *pd);

/* Where a virtual function's share of a VF BAR is; whether it is there and VF MSE is set. */
uint64_t sriov_bar_address(const PciDevice *vf, unsigned bar);
bool     sriov_memory_enabled(const PciDevice *vf);

/* The bus of the physical function has another number. */
void sriov_bus_changed(Sriov *s);

/* The virtual function that @devfn is kept for, there or not, of a physical function on the bus. */
bool sriov_reserves(const PciBus *bus, unsigned devfn);

/* Drives root line @line of the host by one function more or less. */
void pci_host_intx(PciHost *host, unsigned line, bool level);

#endif
