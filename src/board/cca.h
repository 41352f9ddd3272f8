/*
 * The `cca` machine: every address and interrupt number, and what the built-in host and the device tree share of
 * them. Memory map, interrupt numbers and device tree shape are those of QEMU's `virt` board, a de facto standard,
 * so that firmware and kernels made for it start unmodified.
 */
#ifndef BAILEY_BOARD_CCA_H
#define BAILEY_BOARD_CCA_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "cpu/a64/a64.h"
#include "machine.h"
#include "options.h"

#define CCA_GICD_BASE      0x08000000ull
#define CCA_GICD_SIZE      0x00010000ull
#define CCA_ITS_BASE       0x08080000ull
#define CCA_ITS_SIZE       0x00020000ull
#define CCA_GICR_BASE      0x080a0000ull
#define CCA_GICR_STRIDE    0x00020000ull
#define CCA_UART_BASE      0x09000000ull
#define CCA_UART_SIZE      0x00001000ull
#define CCA_RTC_BASE       0x09010000ull
#define CCA_RTC_SIZE       0x00001000ull
#define CCA_FW_CFG_BASE    0x09020000ull
#define CCA_FW_CFG_SIZE    0x00000018ull
#define CCA_UART1_BASE     0x09040000ull
#define CCA_SMMU_BASE      0x09050000ull
#define CCA_SMMU_SIZE      0x00020000ull
#define CCA_SMMU_ROOT_BASE 0x0b040000ull /* Root register page; not in the device tree */
#define CCA_SMMU_REALM_BASE 0x0b050000ull /* Realm pages 0 and 1 */
#define CCA_PCI_MMIO_BASE  0x10000000ull
#define CCA_PCI_MMIO_SIZE  0x2eff0000ull
#define CCA_PCI_PIO_BASE   0x3eff0000ull
#define CCA_PCI_PIO_SIZE   0x00010000ull
#define CCA_RAM_BASE       0x40000000ull
#define CCA_PCI_ECAM_BASE  0x4010000000ull
#define CCA_PCI_ECAM_SIZE  0x0000000010000000ull
#define CCA_PCI_HIGH_BASE  0x8000000000ull
#define CCA_PCI_HIGH_SIZE  0x8000000000ull

/* Shared peripheral interrupts (INTID = 32 + n). */
#define CCA_SPI_UART      1
#define CCA_SPI_RTC       2
#define CCA_SPI_PCI       3 /* INTA to INTD: 3 to 6 */
#define CCA_SPI_UART1     8
#define CCA_SPI_SMMU_EVTQ 74
#define CCA_SPI_SMMU_PRIQ 75
#define CCA_SPI_SMMU_SYNC 76
#define CCA_SPI_SMMU_GERR 77
#define CCA_N_SPIS        256

/* Private peripheral interrupts, as INTIDs. */
#define CCA_PPI_GIC_MAINT  25
#define CCA_PPI_HYP_TIMER  26
#define CCA_PPI_VIRT_TIMER 27
#define CCA_PPI_HVIRT_TIMER 28
#define CCA_PPI_SEC_TIMER  29
#define CCA_PPI_PHYS_TIMER 30

#define CCA_UART_CLOCK_HZ 24000000

/* What differs between the device tree of the machine and the one the built-in host makes for a Realm. */
typedef struct CcaTree {
    unsigned    n_cpus;
    uint64_t    ram_size;
    const char *bootargs;
    uint64_t    initrd_start, initrd_end; /* 0: none */
    bool        smmu;         /* SMMUv3 in front of PCIe */
    bool        hyp_timers;   /* EL2 is visible */
    bool        probe_only;   /* linux,pci-probe-only: BARs are placed already */
    bool        second_uart, fw_cfg;
    uint64_t    seed;         /* of /chosen rng-seed and kaslr-seed; 0: leave them out */
} CcaTree;

/* cca_tree_build - a flattened device tree of exact size. */
GBytes *cca_tree_build(const CcaTree *t);

typedef struct Cca Cca;

/**
 * cca_new - build the machine from the options.
 * Returns NULL with a sentence (exit status EXIT_BAD_INPUT, or EXIT_BAD_OPTION when @bad_option is set).
 */
Cca *cca_new(Machine *m, const Options *o, bool *bad_option, GError **error);
void cca_free(Cca *c);

A64Cpu **cca_cpus(Cca *c);
unsigned cca_n_cpus(const Cca *c);

/* cca_report - the machine's part of -result: further members of the JSON object, each led by a comma. */
void cca_report(Cca *c, GString *json);

#endif
