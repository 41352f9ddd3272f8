/*
 * The `cca` machine on one of its boards: what the machine, its device tree, the firmware model and the built-in host
 * share of addresses and interrupt numbers. Each board is one constant table, in a file of its own.
 */
#ifndef BAILEY_BOARD_CCA_H
#define BAILEY_BOARD_CCA_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "cpu/a64/a64.h"
#include "hw/pflash.h"
#include "iommu/smmuv3.h"
#include "machine.h"
#include "options.h"
#include "owner.h"

#define CCA_GICR_STRIDE 0x00020000ull
#define CCA_N_SPIS      256

/* Private peripheral interrupts, as INTIDs: the same on every board, as Arm's base architecture recommends. */
#define CCA_PPI_PMU        23
#define CCA_PPI_GIC_MAINT  25
#define CCA_PPI_HYP_TIMER  26
#define CCA_PPI_VIRT_TIMER 27
#define CCA_PPI_HVIRT_TIMER 28
#define CCA_PPI_SEC_TIMER  29
#define CCA_PPI_PHYS_TIMER 30

#define CCA_UART_CLOCK_HZ 24000000
#define CCA_POWER_PIN     3

enum { CCA_MAX_RAM = 2, CCA_MAX_UARTS = 4, CCA_MAX_FLASH = 2, CCA_MAX_KEPT = 4 };

/* A range of addresses. */
typedef struct CcaSpan {
    uint64_t base, size; /* size 0: the board has none */
} CcaSpan;

/* A device with one wired interrupt: shared peripheral interrupt @spi (INTID 32 + n). */
typedef struct CcaPart {
    uint64_t base; /* 0: the board has none */
    unsigned spi;
} CcaPart;

/* A range that firmware keeps from the Normal world. */
typedef struct CcaKept {
    CcaSpan at;
    Owner   owner;
} CcaKept;

/* A board. What it does not have is zero. */
typedef struct CcaBoard {
    const char *name, *help; /* -M cca,board= */
    const char *compatible;  /* of the device tree's root: strings, each with its NUL */
    size_t      compatible_len;

    CcaSpan  ram[CCA_MAX_RAM];       /* banks, filled in this order; size: the most a bank holds */
    CcaKept  kept[CCA_MAX_KEPT];     /* memory of the firmware at fixed places; none: it follows the guest's */
    uint64_t rmm;                    /* the RMM's part of it, CCA_RMM_SIZE bytes; 0: the same */
    uint64_t tree;                   /* where payloads find the device tree, from ram[0].base */
    CcaSpan  flash[CCA_MAX_FLASH];
    uint32_t flash_block;

    CcaSpan  gicd, its;
    uint64_t gicr;
    CcaPart  uart[CCA_MAX_UARTS], rtc;
    CcaPart  gpio;                   /* its pin CCA_POWER_PIN is the power button */
    uint64_t fw_cfg;
    CcaSpan  smmu;                   /* Non-secure pages */
    uint64_t smmu_root, smmu_realm;  /* Root page; Realm pages 0 and 1. Not in the device tree */
    unsigned spi_smmu[SMMU_N_IRQS];
    CcaSpan  ecam, pci_mmio, pci_high, pci_io;
    unsigned spi_pci;                /* INTA to INTD: four of them */

    CcaPart  sp805;
    CcaPart  gwdt;                   /* control frame */
    uint64_t gwdt_refresh;
    uint64_t cntcontrol, cntread, memtimer;
    CcaPart  memtimer_frame;
    unsigned memtimer_number;        /* of that frame */
    uint64_t ve_sysregs, pwrc;
    uint32_t ve_id;                  /* SYS_ID */

    bool     keeps_ram;              /* over a reset: what was Non-secure in the banks */
    unsigned cluster_cpus;           /* CPUs of a cluster, whose number is Aff2, the CPU's Aff1; 0: all by Aff0 */
} CcaBoard;

/* The RMM's own memory. */
#define CCA_RMM_SIZE (16ull << 20)

extern const CcaBoard cca_virt, cca_fvp;

/* cca_board - the board of -M cca,board=; options.c lets only these names through. */
const CcaBoard *cca_board(const Options *o);

/* cca_fill_ram - @size bytes into the board's banks, in order. False: they do not hold so much. */
bool cca_fill_ram(const CcaBoard *b, uint64_t size, CcaSpan banks[CCA_MAX_RAM]);

/* cca_mpidr - MPIDR_EL1 of CPU @i: affinities, and MT where a board's CPUs have threads. */
uint64_t cca_mpidr(const CcaBoard *b, unsigned i);

/* What differs between the device tree of the machine and the one the built-in host makes for a Realm. */
typedef struct CcaTree {
    const CcaBoard *board;
    unsigned    n_cpus;
    CcaSpan     ram[CCA_MAX_RAM];
    const char *bootargs;
    uint64_t    initrd_start, initrd_end; /* 0: none */
    bool        realm; /* of a Realm: CPUs are RECs without EL2, no SMMU, BARs are placed already, and of the small
                        * devices there are serial ports, the clock and the power button */
    bool        realm_pmu; /* the Realm has performance monitors, as the machine always has */
    unsigned    n_uarts;
    uint64_t    seed;  /* of /chosen rng-seed and kaslr-seed; 0: leave them out */
} CcaTree;

/* cca_tree_build - a flattened device tree of exact size. */
GBytes *cca_tree_build(const CcaTree *t);

typedef struct Cca Cca;

/* What outlives a reset of the machine. */
typedef struct CcaLasting {
    PflashCells *flash[CCA_MAX_FLASH]; /* NULL: the board has none */
    uint8_t     *ram[CCA_MAX_RAM];     /* of memory_take_ram(), when the machine is to start anew; else NULL */
    uint64_t     ram_size[CCA_MAX_RAM];
    bool         again;                /* the machine was on before: flash has content of its own */
    int64_t      on_ns;                /* how long it was on: clocks show later dates */
} CcaLasting;

/* cca_lasting_init - before the first power on. False with a sentence: the host has no memory for it. */
bool cca_lasting_init(CcaLasting *l, const Options *o, GError **error);
void cca_lasting_free(CcaLasting *l);

/* cca_reset - the machine is to start anew: what outlives that goes to where cca_new() got it from. */
void cca_reset(Cca *c);

/**
 * cca_new - build the machine from the options.
 * @lasting: the owner keeps it longer than the machine
 * Returns NULL with a sentence (exit status EXIT_BAD_INPUT, or EXIT_BAD_OPTION when @bad_option is set).
 */
Cca *cca_new(Machine *m, const Options *o, CcaLasting *lasting, bool *bad_option, GError **error);
void cca_free(Cca *c);

A64Cpu **cca_cpus(Cca *c);
unsigned cca_n_cpus(const Cca *c);
struct Rmm *cca_rmm(const Cca *c);
struct PciHost *cca_pci(const Cca *c);
struct PciHost *cca_realm_pci(const Cca *c); /* what the built-in host emulates; NULL: there is none */
struct Gic *cca_gic(const Cca *c);
struct Smmu *cca_smmu(const Cca *c);

/* cca_plug - a PCI function comes while the machine runs; @cca: a Cca, @text: as of -device. False with a sentence. */
bool cca_plug(void *cca, const char *text, GError **error);

/* cca_powerdown - somebody presses the guest's power button; @cca: a Cca. False with a sentence: it has none. */
bool cca_powerdown(void *cca, GError **error);

/* cca_report - the machine's part of -result: further members of the JSON object, each led by a comma. */
void cca_report(Cca *c, GString *json);

#endif
