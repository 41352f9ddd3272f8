/*
 * PCI Express root port: class "pcie-root-port" (1b36:000c), with ACS and one selective IDE capability.
 * Trusted requests (T=1) of the function below pass only over a Secure selective stream whose keys both ends
 * hold.
 */
#ifndef BAILEY_HW_PCI_ROOT_PORT_H
#define BAILEY_HW_PCI_ROOT_PORT_H

#include "hw/pci/ide.h"

/* root_port_ide - the port's IDE capability, for whoever programs its keys; NULL when @pd is not a root
 * port. */
IdeCap *root_port_ide(PciDevice *pd);

/**
 * root_port_set_endpoint_ide - name the IDE capability of the function below, NULL to forget it.
 * Called by the endpoint's realize(); the port compares keys with it.
 */
void root_port_set_endpoint_ide(PciDevice *endpoint, IdeCap *ide);

/* root_port_of - the root port above @pd, or NULL when it sits on the root bus. */
PciDevice *root_port_of(PciDevice *pd);

/* root_port_takes_cards - @dev, of any class, is a port with hotplug=on. */
bool root_port_takes_cards(const Device *dev);

/* root_port_tdisp_enabled, root_port_stream_locked - RME-DA DVSEC: control 1 bit 0; lock bitmap of control
 * 2. */
bool root_port_tdisp_enabled(const PciDevice *pd);
bool root_port_stream_locked(const PciDevice *pd, unsigned sel);

/* root_port_set_tdisp - the same registers, written by the RMM (Root and Realm writes only, so not by
 * config space). */
void root_port_set_tdisp(PciDevice *pd, bool enable, uint32_t lock_mask);

#endif
