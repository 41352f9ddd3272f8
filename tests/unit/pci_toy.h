/* A PCI function with one of everything, for tests: BARs, MSI-X, INTx, DOE with an echo protocol, IDE,
 * hooks. */
#ifndef BAILEY_TESTS_PCI_TOY_H
#define BAILEY_TESTS_PCI_TOY_H

#include "hw/pci/doe.h"
#include "hw/pci/ide.h"

typedef struct PciToy {
    PciDevice      pci;
    Doe            doe;
    IdeCap         ide;
    uint64_t       reg[8]; /* BAR 0 */
    PciConfigWrite last_write;
    unsigned       n_writes, n_resets, n_changed, n_reconfigured;
    PciResetKind   reset_kind;
    size_t         reply_len; /* of the echo protocol; 0: silence */
    bool           refuse_mmio, refuse_dma;
} PciToy;

enum { TOY_PROTO = 7 };

#endif
