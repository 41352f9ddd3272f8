/*
 * Arm GICv3 (IHI 0069): distributor, redistributors with LPIs, CPU interfaces with the virtualization
 * extension, and one ITS. GICD_CTLR.DS is RAO/WI: one security state, Group 0 as FIQ and Group 1 as IRQ,
 * because nothing runs in Secure state while the monitor is a model. System register access only
 * (ICC_SRE_ELx.SRE is RAO/WI), affinity routing only, 5 priority bits, 16 list registers, 16-bit INTIDs.
 * Not modelled: GICv4, NMIs, extended INTID ranges, 1-of-N routing (GICD_TYPER.No1N says so).
 *
 * There are two kinds of instance. A physical one has CPU interfaces that ICC_* and ICH_* registers reach
 * (gicv3_sysreg.c). A virtual one is what a VMM emulates for its guest: its CPU interface is the list
 * registers of whoever runs the guest, filled and folded back by gicv3_virt_*. Frames, ITS and LPIs are the
 * same code. Nothing here depends on order of creation or iteration; equal priorities go by lowest INTID.
 */
#ifndef BAILEY_HW_GICV3_H
#define BAILEY_HW_GICV3_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bits.h"
#include "memory.h"

typedef struct Gic    Gic;    /* a whole interrupt controller */
typedef struct GicCpu GicCpu; /* redistributor and CPU interface of one CPU */
struct A64Cpu;

enum {
    GIC_MAX_CPUS = 512,             /* of one instance */
    GIC_MAX_SPIS = 988,             /* INTIDs 32 to 1019 */
    GIC_N_LRS = 16,                 /* ICH_VTR_EL2.ListRegs + 1 */
    GIC_MAINTENANCE_INTID = 25,
    GIC_SPURIOUS = 1023,
    GIC_FIRST_LPI = 8192,
    GICD_FRAME_SIZE = 0x10000,
    GICR_CPU_SIZE = 0x20000,        /* RD_base and SGI_base of one CPU */
    GITS_FRAME_SIZE = 0x20000,      /* control frame, translation frame */
    GITS_TRANSLATER_OFFSET = 0x10040,
};

/* Interrupt inputs of a CPU, with the values of A64Line. */
typedef enum GicLine { GIC_LINE_IRQ, GIC_LINE_FIQ, GIC_LINE_VIRQ, GIC_LINE_VFIQ, GIC_N_LINES } GicLine;

/* ICH_LR<n>_EL2 fields. */
#define ICH_LR_STATE_PENDING BIT(62)
#define ICH_LR_STATE_ACTIVE  BIT(63)
#define ICH_LR_STATE         (ICH_LR_STATE_PENDING | ICH_LR_STATE_ACTIVE)
#define ICH_LR_HW            BIT(61)
#define ICH_LR_GROUP         BIT(60)
#define ICH_LR_EOI           BIT(41) /* with HW == 0: maintenance interrupt at deactivation */

/* ICH_HCR_EL2 fields. */
#define ICH_HCR_EN       BIT(0)
#define ICH_HCR_UIE      BIT(1)
#define ICH_HCR_LRENPIE  BIT(2)
#define ICH_HCR_NPIE     BIT(3)
#define ICH_HCR_VGRP0EIE BIT(4)
#define ICH_HCR_VGRP0DIE BIT(5)
#define ICH_HCR_VGRP1EIE BIT(6)
#define ICH_HCR_VGRP1DIE BIT(7)
#define ICH_HCR_TC       BIT(10)
#define ICH_HCR_TALL0    BIT(11)
#define ICH_HCR_TALL1    BIT(12)
#define ICH_HCR_TDIR     BIT(14)
#define ICH_HCR_EOICOUNT_SHIFT 27 /* 5 bits */

/* The ICH_* registers of one CPU: what a hypervisor or RMM switches between guests. With 5 priority bits only
 * ap0r[0] and ap1r[0] exist; the others read as zero. */
typedef struct GicVirtState {
    uint64_t hcr, vmcr;
    uint64_t ap0r[4], ap1r[4];
    bool     lrs_clear; /* all list registers are zero, as between most entries of a guest */
    uint64_t lrs[GIC_N_LRS];
} GicVirtState;

/* Where the ITS and the redistributors find their tables when that is not plain physical memory. */
typedef struct GicBus {
    MemResult (*read)(void *opaque, uint64_t addr, void *dst, size_t len);
    MemResult (*write)(void *opaque, uint64_t addr, const void *src, size_t len);
    void *opaque;
} GicBus;

typedef struct GicConfig {
    unsigned        n_cpus;
    unsigned        n_spis;    /* rounded up to whole words of 32 INTIDs; INTIDs 32 to 31 + n_spis */
    const uint64_t *mpidr;     /* [n_cpus] affinities; NULL: Aff0 counts 0 to 15, then Aff1 */
    bool            has_its;   /* ITS and LPIs */
    bool            is_virtual; /* CPU interfaces are list registers of a VMM */
    Memory         *memory;    /* tables by physical address in @pas; or NULL and @bus */
    Pas             pas;
    GicBus          bus;
    /* Told when an input of a CPU changes. A virtual instance uses GIC_LINE_IRQ only: high while the vCPU has
     * an interrupt that is not in its list registers yet (time to make it exit). NULL: gicv3_connect() does
     * it. */
    void          (*set_line)(void *opaque, unsigned cpu, GicLine line, bool level);
    void           *opaque;
} GicConfig;

/**
 * gicv3_new - an interrupt controller in its reset state.
 * @config: copied; n_cpus 1 to GIC_MAX_CPUS, n_spis 0 to GIC_MAX_SPIS (both are the board's, not the guest's)
 */
Gic *gicv3_new(const GicConfig *config);
void gicv3_free(Gic *gic);

/* gicv3_reset - back to the reset state; input levels stay as they are. */
void gicv3_reset(Gic *gic);

/* gicv3_reset_cpu - ICC_* and ICH_* as after a warm reset of the CPU; the redistributor stays. */
void gicv3_reset_cpu(GicCpu *cpu);

/* gicv3_wake - GICR_WAKER as EL3 firmware leaves it for the Normal world: interrupts reach the CPU. */
void gicv3_wake(GicCpu *cpu);

/* The part of CPU @index, or NULL when there is none. */
GicCpu *gicv3_cpu(Gic *gic, unsigned index);

/* gicv3_connect - gives CPU @index its ICC_* and ICH_* (cpu->gic), and a64_set_line() as its lines. */
void gicv3_connect(Gic *gic, unsigned index, struct A64Cpu *cpu);

/* ---- registers: opaque is the Gic ---- */

extern const MmioOps gicv3_dist_ops;   /* GICD, GICD_FRAME_SIZE bytes */
extern const MmioOps gicv3_redist_ops; /* GICR of all CPUs in order, GICR_CPU_SIZE bytes each */
extern const MmioOps gicv3_its_ops;    /* GITS, GITS_FRAME_SIZE bytes; DeviceID: attrs.requester */

/* ---- inputs ---- */

/* gicv3_set_spi, gicv3_set_ppi - level of an input, by INTID (32 and up, 16 to 31); others are ignored. */
void gicv3_set_spi(Gic *gic, unsigned intid, bool level);
void gicv3_set_ppi(GicCpu *cpu, unsigned intid, bool level);

/* The same for IrqLine.set and A64Cpu.timer_irq: opaque is the Gic, the GicCpu; n is the INTID. */
void gicv3_spi_input(void *gic, unsigned intid, bool level);
void gicv3_ppi_input(void *gic_cpu, unsigned intid, bool level);

/**
 * gicv3_its_msi - an MSI as GITS_TRANSLATER receives it.
 * @devid: DeviceID, here the requester ID
 * Returns false when no LPI became pending: ITS off, device or event not mapped, collection not mapped.
 */
bool gicv3_its_msi(Gic *gic, uint32_t devid, uint32_t eventid);

/* ---- for those who look: a monitor ---- */

/* An interrupt that is enabled, pending or active. */
typedef struct GicLook {
    uint32_t intid;
    int      cpu;     /* whose it is, or where it is routed; -1: nowhere */
    uint8_t  prio, group;
    bool     enabled, pending, active, edge, level; /* level: of the input */
} GicLook;

/* gicv3_look - calls @fn for each such interrupt: private ones by CPU, then shared ones, then pending LPIs by CPU. */
void gicv3_look(const Gic *gic, void (*fn)(void *opaque, const GicLook *irq), void *opaque);

/* What a CPU's interface is at. */
typedef struct GicCpuLook {
    uint8_t  pmr, group_enable; /* ICC_PMR_EL1; bit per group */
    bool     asleep;            /* GICR_WAKER.ProcessorSleep */
    uint32_t best;              /* INTID that comes next, masks aside; GIC_SPURIOUS: none */
    bool     line[GIC_N_LINES];
    unsigned n_lrs;             /* list registers in use */
} GicCpuLook;

void gicv3_look_cpu(const Gic *gic, unsigned cpu, GicCpuLook *out);

/* gicv3_pend - make an interrupt pending as a write to GICD_ISPENDR or GICR_ISPENDR0 of CPU @cpu does; false: there is
 * no such one. */
bool gicv3_pend(Gic *gic, unsigned cpu, uint32_t intid);

/* ---- state of the virtualization interface (world switch) ---- */

/* gic_cpu_virt_get, gic_cpu_virt_set - all of ICH_*; set writes as the registers would take it and updates
 * lines. With lrs_clear, what is in lrs[] does not matter: get leaves it as it was. */
void     gic_cpu_virt_get(const GicCpu *cpu, GicVirtState *out);
void     gic_cpu_virt_set(GicCpu *cpu, const GicVirtState *restrict in);
uint64_t gic_cpu_misr(const GicCpu *cpu);  /* ICH_MISR_EL2 */
uint64_t gic_cpu_vtr(const GicCpu *cpu);   /* ICH_VTR_EL2 */

/* ---- CPU interface without traps: what the ICC_* registers do, for a model at the CPU's EL (built-in
 * host) ---- */

/**
 * gic_cpu_ack - read ICC_IAR0_EL1 or ICC_IAR1_EL1.
 * @group: 0 or 1
 * Returns the INTID, now active, or GIC_SPURIOUS.
 */
uint32_t gic_cpu_ack(GicCpu *cpu, unsigned group);
void     gic_cpu_eoi(GicCpu *cpu, unsigned group, uint32_t intid); /* ICC_EOIR<group>_EL1 */
void     gic_cpu_dir(GicCpu *cpu, uint32_t intid);                 /* ICC_DIR_EL1 */
uint32_t gic_cpu_hppi(const GicCpu *cpu, unsigned group);          /* ICC_HPPIR<group>_EL1 */
uint8_t  gic_cpu_rpr(const GicCpu *cpu);                           /* ICC_RPR_EL1 */
void     gic_cpu_set_pmr(GicCpu *cpu, uint8_t pmr);                /* ICC_PMR_EL1 */
void     gic_cpu_set_group_enable(GicCpu *cpu, unsigned group, bool enable); /* ICC_IGRPEN<group>_EL1 */
void     gic_cpu_set_ctlr(GicCpu *cpu, uint64_t ctlr);             /* ICC_CTLR_EL1: CBPR 0, EOImode 1 */
void     gic_cpu_set_bpr(GicCpu *cpu, unsigned group, unsigned bpr); /* ICC_BPR<group>_EL1 */

/* gic_cpu_sgi - write ICC_SGI0R_EL1 (@group 0) or ICC_SGI1R_EL1 (1). */
void gic_cpu_sgi(GicCpu *cpu, unsigned group, uint64_t value);

/* ---- virtual instance: the VMM's side ---- */

/**
 * gicv3_virt_fill_lrs - give a vCPU that is about to run its interrupts.
 * @lrs:   receives @n_lrs values for ICH_LR<n>_EL2 (HW = 0), unused ones zero; no INTID twice
 * @n_lrs: 1 to GIC_N_LRS
 * Active interrupts come before pending ones, each in order of priority, then INTID. Level-sensitive ones
 * ask for a maintenance interrupt at deactivation, so that their line is sampled again. Returns ICH_HCR_EL2
 * bits to run with: NPIE when pending interrupts did not fit, LRENPIE when active ones did not. Every fill
 * is followed by one gicv3_virt_sync_lrs() before the next.
 */
uint64_t gicv3_virt_fill_lrs(Gic *gic, unsigned vcpu, uint64_t *lrs, unsigned n_lrs);

/**
 * gicv3_virt_sync_lrs - take back, after an exit, what the last fill gave.
 * @lrs: ICH_LR<n>_EL2 as they are now, the same places
 * @hcr: ICH_HCR_EL2 as it is now; its EOIcount deactivates active interrupts that had no list register
 */
void gicv3_virt_sync_lrs(Gic *gic, unsigned vcpu, const uint64_t *lrs, unsigned n_lrs, uint64_t hcr);

/* gicv3_virt_has_pending - whether a vCPU that waits has an interrupt to wake for (list registers folded
 * back). */
bool gicv3_virt_has_pending(Gic *gic, unsigned vcpu);

/* gicv3_virt_sgi - the vCPU wrote @value to ICC_SGI1R_EL1 (trapped). */
void gicv3_virt_sgi(Gic *gic, unsigned vcpu, uint64_t value);

#endif
