/* A small hierarchy for tests of PCI functions: RAM, a doorbell that notes messages, one host, and its
 * windows. */
#ifndef BAILEY_TESTS_PCI_RIG_H
#define BAILEY_TESTS_PCI_RIG_H

#include "hw/pci/pci.h"

#define RIG_RAM      0x40000000ull
#define RIG_RAM_SIZE 0x01000000ull
#define RIG_DOORBELL 0x08080000ull
#define RIG_MEM32    0x10000000ull
#define RIG_MEM64    0x8000000000ull
#define RIG_ECAM     0x4010000000ull
#define RIG_N_MSI    64

typedef struct PciRig {
    Clock   *clock;
    Owners  *owners;
    Memory  *memory;
    PciHost *host;
    struct {
        uint32_t requester, data;
        uint64_t off;
    } msi[RIG_N_MSI];
    unsigned n_msi;
    bool     intx[4];
    uint32_t next_mem32;
    uint64_t next_mem64;
} PciRig;

PciRig *rig_new(void);
void    rig_free(PciRig *r);

/* A function from -device text on the host; fails the test when it cannot be made. */
PciDevice *rig_add(PciRig *r, const char *option);

/* Configuration space through ECAM. */
uint32_t rig_cfg_read(PciRig *r, uint16_t bdf, unsigned off, unsigned size);
void     rig_cfg_write(PciRig *r, uint16_t bdf, unsigned off, unsigned size, uint32_t value);

/* Sizes and places every BAR of a function on the root bus, and turns on memory and bus mastering. */
void rig_place(PciRig *r, PciDevice *pd);

uint64_t rig_read(PciRig *r, uint64_t pa, unsigned size);
void     rig_write(PciRig *r, uint64_t pa, unsigned size, uint64_t value);

/* Lets guest time pass, so that timers fire. */
void rig_run(PciRig *r, int64_t ns);

#endif
