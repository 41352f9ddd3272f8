/*
 * The AArch64 CPU: architectural state, exceptions, and what firmware models and interrupt controllers need of it.
 * EL0 to EL3, AArch64 only, Secure, Non-secure, Realm and Root state. Arm DDI 0487.
 */
#ifndef BAILEY_A64_H
#define BAILEY_A64_H

#include "cpu/cpu.h"

typedef struct A64Cpu A64Cpu;

/* System registers of EL1 and EL0: what a hypervisor or RMM switches between guests, as one plain structure. */
typedef struct A64El1Regs {
    uint64_t sctlr, actlr, cpacr, tcr, tcr2, ttbr0, ttbr1, mair, amair, vbar, esr, far, afsr0, afsr1, par, elr, spsr;
    uint64_t contextidr, cntkctl, csselr, mdscr, sp_el0, sp_el1, tpidr_el0, tpidrro_el0, tpidr_el1, mdccint;
    uint64_t disr, scxtnum_el0, scxtnum_el1, osdlr, oslsr;
    uint64_t cntv_ctl, cntv_cval, cntp_ctl, cntp_cval;
    uint64_t apkey[5][2]; /* IA, IB, DA, DB, GA: low, high */
    uint64_t dbgbvr[16], dbgbcr[16], dbgwvr[16], dbgwcr[16];
    uint64_t pmcr, pmcntenset, pmintenset, pmovsset, pmselr, pmuserenr, pmccntr, pmccfiltr;
    uint64_t pmevcntr[31], pmevtyper[31];
} A64El1Regs;

/* System registers of EL2. */
typedef struct A64El2Regs {
    uint64_t sctlr, actlr, hcr, hcrx, mdcr, cptr, hstr, hacr, tcr, ttbr0, ttbr1, vtcr, vttbr, mair, amair, vbar;
    uint64_t esr, far, hpfar, afsr0, afsr1, elr, spsr, sp, tpidr, contextidr, vpidr, vmpidr;
    uint64_t vsttbr, vstcr, vsesr, vdisr, scxtnum;
    uint64_t cnthctl, cntvoff, cntpoff, cnthp_ctl, cnthp_cval, cnthv_ctl, cnthv_cval, cnthps_ctl, cnthps_cval,
        cnthvs_ctl, cnthvs_cval;
    uint64_t hfgrtr, hfgwtr, hfgitr, hdfgrtr, hdfgwtr, hafgrtr;
} A64El2Regs;

typedef struct A64El3Regs {
    uint64_t sctlr, actlr, scr, cptr, mdcr, tcr, ttbr0, mair, amair, vbar, esr, far, afsr0, afsr1, elr, spsr, sp;
    uint64_t tpidr, gpccr, gptbr, mfar, cntps_ctl, cntps_cval, scxtnum;
} A64El3Regs;

typedef enum A64ExcKind { A64_EXC_SYNC, A64_EXC_IRQ, A64_EXC_FIQ, A64_EXC_SERROR } A64ExcKind;

/* An exception on its way to @target; the registers of the target are not written yet. */
typedef struct A64Exception {
    A64ExcKind kind;
    uint8_t    target;  /* exception level 1 to 3 */
    uint64_t   esr;     /* EC, IL, ISS (and ISS2) */
    uint64_t   far;
    uint64_t   hpfar;   /* for stage 2 faults: as HPFAR_EL2, with NS bit */
    bool       far_valid, hpfar_valid;
    uint64_t   return_pc; /* preferred return address */
} A64Exception;

/* C models that stand where firmware would run (monitor at EL3, RMM at R-EL2, built-in host at NS-EL2). */
typedef struct A64Firmware {
    /* Returns true when a model took the exception (it changed the CPU's state itself and nothing else is done).
     * SMC and HVC arrive here too, as exceptions with their EC. */
    bool (*exception)(void *opaque, A64Cpu *cpu, const A64Exception *exc);
    /* Which levels exist as code: with @has_el3 false, nothing ever runs there and SMC goes to the model. */
    void *opaque;
} A64Firmware;

/* Interrupt inputs. */
typedef enum A64Line { A64_LINE_IRQ, A64_LINE_FIQ, A64_LINE_VIRQ, A64_LINE_VFIQ, A64_LINE_SERROR, A64_N_LINES } A64Line;

/* The generic timers, as numbers of the board's interrupt lines. */
typedef enum A64Timer {
    A64_TIMER_PHYS, A64_TIMER_VIRT, A64_TIMER_HYP, A64_TIMER_HYP_VIRT, A64_TIMER_SEC, A64_TIMER_SEC_HYP,
    A64_TIMER_SEC_HYP_VIRT, A64_N_TIMERS
} A64Timer;

struct A64Cpu {
    Cpu      cpu;
    uint64_t x[31];
    uint64_t sp;      /* of the current level and SPSel */
    uint64_t pc;
    uint32_t nzcv;    /* IR_PACK_* bits */
    uint64_t v[32][2] __attribute__((aligned(16)));
    uint32_t fpcr, fpsr;

    /* PSTATE without NZCV. */
    uint8_t  el;
    uint8_t  btype;
    bool     sp_sel, d, a, i, f, pan, uao, dit, ssbs, tco, il, ss, allint;

    Pas      security; /* state of the current level: derived from el3.scr and el */
    A64El1Regs el1;    /* el1.sp_el0/sp_el1 and el2.sp, el3.sp hold the banked SPs that are not current */
    A64El2Regs el2;
    A64El3Regs el3;

    /* Local exclusive monitor: the address of the last load-exclusive and what it read. A store-exclusive passes
     * when the address is the same and memory still holds that value. */
    bool     excl_valid;
    uint8_t  excl_size;     /* bytes */
    uint64_t excl_va, excl_value[2];

    uint8_t  step_iss;      /* of a software step exception about to be taken: bit 0 ISV, bit 1 EX */

    bool     event;          /* WFE event register */
    bool     line[A64_N_LINES];
    bool     off;            /* PSCI: powered down */
    uint64_t mpidr;
    uint64_t midr;

    ClockTimer timer[A64_N_TIMERS];
    bool       timer_level[A64_N_TIMERS];
    struct {
        void (*set)(void *opaque, unsigned n, bool level);
        void  *opaque;
        unsigned n;
    } timer_irq[A64_N_TIMERS];

    A64Firmware firmware;
    void       *gic;         /* the GIC CPU interface's state, for its system registers */
    struct Entropy *entropy; /* RNDR */
    uint64_t    cntfrq;
};

/* ---- life cycle ---- */

/**
 * a64_cpu_new - a CPU in its cold reset state.
 * @mpidr: affinity fields (RES1 bit 31 is added)
 */
A64Cpu *a64_cpu_new(CpuEngine *e, Memory *memory, Clock *clock, unsigned index, uint64_t mpidr, struct Entropy *rng);
void    a64_cpu_free(A64Cpu *cpu);
void    a64_reset(A64Cpu *cpu);

/* ---- running state ---- */

/* SPSR-format view of PSTATE (with NZCV). */
uint64_t a64_get_spsr(const A64Cpu *cpu);

/* a64_set_spsr - PSTATE from an SPSR value that is legal for this CPU; a64_eret() checks illegal returns. */
void a64_set_spsr(A64Cpu *cpu, uint64_t spsr);

/* a64_enter - go to @pc at the level in @spsr with security state @security (a model's exception return). */
void a64_enter(A64Cpu *cpu, Pas security, uint64_t pc, uint64_t spsr);

/* a64_context_changed - system registers were replaced as a whole (world switch): select translation contexts,
 * re-evaluate timers, traps and interrupts. */
void a64_context_changed(A64Cpu *cpu);

/**
 * a64_raise - take an exception now: fills ESR, FAR, ELR, SPSR and jumps to the vector, or gives it to the firmware
 * model when one stands at the target.
 */
void a64_raise(A64Cpu *cpu, const A64Exception *exc);

/* a64_undefined - the current instruction is UNDEFINED (EC 0), to the level that takes it. */
void a64_undefined_now(A64Cpu *cpu);

/* a64_vector_entry - the architected entry to EL1 or EL2 of the CPU's current security state, used by a model that
 * injects an exception into its guest (RMM: SEA, UNDEF). */
void a64_inject(A64Cpu *cpu, unsigned target_el, uint64_t esr, uint64_t far, bool far_valid);

/* ---- interrupts, events ---- */

void a64_set_line(A64Cpu *cpu, A64Line line, bool level);
void a64_send_event(A64Cpu *cpu); /* SEV from another CPU, or a timer event */

/* Counters now, ticks of 1 ns * cntfrq / 1e9. */
uint64_t a64_physical_count(const A64Cpu *cpu);
void     a64_timers_update(A64Cpu *cpu); /* after a change of timer registers or offsets */

/* ---- translation for others ---- */

typedef enum A64FaultKind {
    A64_FAULT_NONE, A64_FAULT_ADDR_SIZE, A64_FAULT_TRANSLATION, A64_FAULT_ACCESS, A64_FAULT_PERMISSION,
    A64_FAULT_WALK_ABORT, A64_FAULT_GPF, A64_FAULT_GPF_WALK, A64_FAULT_ALIGNMENT, A64_FAULT_TLB_CONFLICT,
} A64FaultKind;

typedef struct A64Walk {
    A64FaultKind fault;
    uint8_t      level;     /* where the fault or the leaf was found, 0 to 3 (-1 as 255) */
    bool         stage2;    /* the fault was in stage 2 */
    bool         s1ptw;     /* of a stage 1 table access */
    uint64_t     pa, ipa;
    Pas          pas;
    uint64_t     page_size; /* of the smaller stage */
    bool         readable, writable, executable, device, guarded, not_global;
    uint8_t      attr;      /* MAIR format memory attributes, combined */
} A64Walk;

/* a64_debug_walk - translate @va as the current state would read it, without faults, A/D updates or caching. */
bool a64_debug_walk(A64Cpu *cpu, uint64_t va, A64Walk *out);

/**
 * a64_stage2_walk - one stage 2 table walk by explicit registers; shared by the CPU's MMU, the RMM (its Realm's
 * RTT as hardware sees it) and the SMMU.
 * @vtcr, @vttbr: as VTCR_EL2 and VTTBR_EL2
 * @pas: space of the tables and, but for NS descriptors of a Realm, of the output
 * @update_af: hardware access flag and dirty updates
 */
void a64_stage2_walk(Memory *memory, uint64_t vtcr, uint64_t vttbr, Pas pas, uint64_t ipa, bool write, bool fetch,
                     bool privileged, bool update_af, A64Walk *out);

extern const CpuGuest a64_guest;

#endif
