/*
 * The AArch64 CPU: architectural state, exceptions, and what firmware models and interrupt controllers need
 * of it. EL0 to EL3, AArch64 only, Secure, Non-secure, Realm and Root state. Arm DDI 0487.
 */
#ifndef BAILEY_A64_H
#define BAILEY_A64_H

#include "bits.h"
#include "cpu/cpu.h"

typedef struct A64Cpu A64Cpu;

/* Of what a world switch copies, here and there: whole lines of the host's cache. */
#define A64_COPIED __attribute__((aligned(64)))

/* How many there are of what the architecture leaves open: ID_AA64DFR0_EL1, PMCR_EL0.N. */
enum { A64_N_BREAKPOINTS = 6, A64_N_CONTEXT_BREAKPOINTS = 2, A64_N_WATCHPOINTS = 4, A64_N_COUNTERS = 8 };

/* System registers of EL1 and EL0: what a hypervisor or RMM switches between guests, as one plain structure. */
typedef struct A64El1Regs {
    uint64_t sctlr, actlr, cpacr, tcr, tcr2, ttbr0, ttbr1, mair, amair, vbar, esr, far, afsr0, afsr1, par, elr, spsr;
    uint64_t contextidr, cntkctl, csselr, mdscr, sp_el0, sp_el1, tpidr_el0, tpidrro_el0, tpidr_el1, mdccint;
    uint64_t disr, scxtnum_el0, scxtnum_el1, osdlr, oslsr;
    uint64_t cntv_ctl, cntv_cval, cntp_ctl, cntp_cval;
    uint64_t apkey[5][2]; /* IA, IB, DA, DB, GA: low, high */
    uint64_t dbgbvr[A64_N_BREAKPOINTS], dbgbcr[A64_N_BREAKPOINTS];
    uint64_t dbgwvr[A64_N_WATCHPOINTS], dbgwcr[A64_N_WATCHPOINTS];
    uint64_t pmcr, pmcntenset, pmintenset, pmovsset, pmselr, pmuserenr, pmccntr, pmccfiltr;
    uint64_t pmevcntr[A64_N_COUNTERS], pmevtyper[A64_N_COUNTERS];
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

/* Watchpoints by which translations are cached or not: a64_watchpoint_near(). */
typedef struct A64Watchpoints {
    uint64_t on, value[A64_N_WATCHPOINTS], control[A64_N_WATCHPOINTS];
} A64Watchpoints;

typedef enum A64ExcKind { A64_EXC_SYNC, A64_EXC_IRQ, A64_EXC_FIQ, A64_EXC_SERROR } A64ExcKind;

/* a64_exc_kind_name - of the @n-th kind of exception; NULL past the last. */
const char *a64_exc_kind_name(unsigned n);

/* a64_level_name - "EL0" to "EL3". */
const char *a64_level_name(unsigned el);

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
    /* Asked first for every exception with target EL2 or EL3. Returns true when a model took the exception
     * (it changed the CPU's state itself and nothing else is done). SMC and HVC arrive here too, as
     * exceptions with their EC. cpu->pc is then the preferred return address. */
    bool (*exception)(void *opaque, A64Cpu *cpu, const A64Exception *exc);
    void *opaque;
} A64Firmware;

/* Interrupt inputs. */
typedef enum A64Line { A64_LINE_IRQ, A64_LINE_FIQ, A64_LINE_VIRQ, A64_LINE_VFIQ, A64_LINE_SERROR, A64_N_LINES } A64Line;

/* The generic timers, as numbers of the board's interrupt lines. */
typedef enum A64Timer {
    A64_TIMER_PHYS, A64_TIMER_VIRT, A64_TIMER_HYP, A64_TIMER_HYP_VIRT, A64_TIMER_SEC, A64_TIMER_SEC_HYP,
    A64_TIMER_SEC_HYP_VIRT, A64_N_TIMERS
} A64Timer;

/* The performance monitors beside their registers, which are in A64El1Regs: what is derived of these and of the current
 * state. Sets of counters have bit 31 for PMCCNTR_EL0. */
typedef struct A64Pmu {
    uint64_t   at;       /* instructions of the CPU that the counters have seen */
    uint32_t   enabled;  /* counters that count in some state */
    uint32_t   counting; /* that count in the current one */
    bool       level;    /* of the interrupt output */
    ClockTimer timer;    /* the next overflow */
    struct {
        void (*set)(void *opaque, unsigned n, bool level);
        void  *opaque;
        unsigned n;
    } irq;
} A64Pmu;

/* What the engine needs of system registers and PSTATE. */
typedef struct A64Derived {
    uint64_t context[CPU_SPACES]; /* tags of translation contexts */
    uint64_t block_key;           /* but for BTYPE */
    bool     key_valid;           /* else it is made when it is asked for */
    uint8_t  asid_bound;          /* A64Cpu.asid_bound by which the tags are right */
} A64Derived;

struct A64Cpu {
    Cpu      cpu;
    uint64_t sp;      /* of the current level and SPSel; what follows, up to x[25], is CPU_NEAR */
    uint32_t nzcv;    /* IR_PACK_* bits */
    uint64_t x[31];
    uint64_t pc;
    uint64_t v[32][2] A64_COPIED;
    uint32_t fpcr, fpsr; /* from x to here in one piece: rmm/enter.c */

    /* PSTATE without NZCV. What instructions write often is words: a byte stored in the Cpu makes hosts forget that
     * they may forward its count of instructions by register. */
    uint8_t  el;
    uint32_t btype, d, a, i, f;
    bool     sp_sel, pan, uao, dit, ssbs, tco, il, ss, allint;

    Pas      security; /* state of the current level: derived from el3.scr and el */
    A64El1Regs el1 A64_COPIED; /* el1.sp_el0/sp_el1 and el2.sp, el3.sp hold the banked SPs that are not current */
    A64El2Regs el2 A64_COPIED;
    A64El3Regs el3;

    /* Local exclusive monitor: the address of the last load-exclusive and what it read. A store-exclusive
     * passes when the address is the same and memory still holds that value. */
    uint32_t excl_size;     /* bytes; 0: open */
    uint64_t excl_va, excl_value[2];

    uint8_t    asid_bound;   /* bit per Pas: privileged code there uses pages of one ASID: a64_bind_asid() */
    A64Derived derived;      /* of the current state */

    A64Watchpoints watchpoints; /* as they were when they last changed, if they are on */

    uint8_t  pac_layout;    /* the last answer of a64_pac_layout() but 0 */
    uint8_t  step_iss;      /* of a software step exception about to be taken: bit 0 ISV, bit 1 EX */

    bool     event;          /* WFE event register */
    bool     line[A64_N_LINES];
    bool     off;            /* PSCI: powered down */
    uint64_t mpidr;
    uint64_t midr;

    ClockTimer timer[A64_N_TIMERS];
    bool       timer_level[A64_N_TIMERS];
    uint32_t   timers_live; /* a bit for each that may have a deadline or a level */
    A64Pmu     pmu;
    struct {
        void (*set)(void *opaque, unsigned n, bool level);
        void  *opaque;
        unsigned n;
    } timer_irq[A64_N_TIMERS];

    A64Firmware firmware;
    void       *gic;         /* the GIC CPU interface's state, for its system registers */
    struct Entropy *entropy; /* RNDR */
    uint64_t    cntfrq;      /* CNTFRQ_EL0; the counters run at A64_COUNTER_HZ whatever it says */
    struct A64Cpu *next;     /* every CPU of the program, for broadcast; those of one machine share an engine */
};

_Static_assert(offsetof(A64Cpu, x[26]) == offsetof(Cpu, flags_b) + CPU_NEAR, "the registers used most are near");

enum { A64_COUNTER_HZ = 62500000, A64_TICK_NS = 16 };

/* a64_from_cpu - the A64Cpu of the engine's Cpu. */
static inline A64Cpu *a64_from_cpu(Cpu *cpu)
{
    return CONTAINER_OF(cpu, A64Cpu, cpu);
}

/* ---- life cycle ---- */

/**
 * a64_cpu_new - a CPU in its cold reset state.
 * @mpidr: affinity fields (RES1 bit 31 is added)
 */
A64Cpu *a64_cpu_new(CpuEngine *e, Memory *memory, Clock *clock, unsigned index, uint64_t mpidr, struct Entropy *rng);
void    a64_cpu_free(A64Cpu *cpu);
void    a64_reset(A64Cpu *cpu);

/* ---- running state ---- */

/* SPSR-format view of PSTATE (with NZCV). Stack pointers: cpu->sp is the current one. Before a firmware model
 * is called it is copied to its bank as well, and a64_enter() loads it from the bank, so that a model only
 * ever touches the banks. */
uint64_t a64_get_spsr(const A64Cpu *cpu);

/* a64_set_spsr - PSTATE from an SPSR value that is legal for this CPU; a64_eret() checks illegal returns. */
void a64_set_spsr(A64Cpu *cpu, uint64_t spsr);

/* a64_enter - go to @pc at the level in @spsr with security state @security (a model's exception return). */
void a64_enter(A64Cpu *cpu, Pas security, uint64_t pc, uint64_t spsr);

/* a64_enter_again - the same, to a state that was left by an exception with the system registers and the SPSR that it
 * has now. @kept: cpu->derived as it was then. */
void a64_enter_again(A64Cpu *cpu, Pas security, uint64_t pc, uint64_t spsr, const A64Derived *kept);

/* a64_context_changed - system registers or PSTATE were written directly (world switch, debugger): derive
 * anew what is kept of them: translation contexts, block key, timers, interrupts. */
void a64_context_changed(A64Cpu *cpu);

/**
 * a64_raise - take an exception now: fills ESR, FAR, ELR, SPSR and jumps to the vector, or gives it to the
 * firmware model when one stands at the target.
 */
void a64_raise(A64Cpu *cpu, const A64Exception *exc);

/* a64_undefined - the current instruction is UNDEFINED (EC 0), to the level that takes it. */
void a64_undefined_now(A64Cpu *cpu);

/* a64_inject - the architected entry to EL1 or EL2 of the CPU's current security state, used by a model that
 * injects an exception into its guest (RMM: SEA, UNDEF). */
void a64_inject(A64Cpu *cpu, unsigned target_el, uint64_t esr, uint64_t far, bool far_valid);

/* ---- what instructions call ---- */

/* Each acts for the instruction at cpu_current_pc(), from a helper with IR_TIME | IR_FAULTS (and IR_ENDS where
 * state changes). Those that return bool return false when they raised an exception. */

void a64_svc(A64Cpu *cpu, uint16_t imm);
void a64_hvc(A64Cpu *cpu, uint16_t imm);
void a64_smc(A64Cpu *cpu, uint16_t imm);
void a64_brk(A64Cpu *cpu, uint16_t imm);

/* a64_eret - return to @pc (ELR, authenticated or not) with the current level's SPSR; illegal returns set
 * PSTATE.IL. */
void a64_eret(A64Cpu *cpu, uint64_t pc);
/* ELR of the current level; not for EL0. */
uint64_t a64_elr(const A64Cpu *cpu);

/* a64_wait - WFI or WFE: trap, go on at once, or wait (the engine then asks attend()). The block sets the
 * next pc. */
bool a64_wait(A64Cpu *cpu, bool wfe);
/* a64_sev - SEV: to every CPU of the machine. SEVL is a64_send_event() on the CPU itself. */
void a64_sev(A64Cpu *cpu);
void a64_esb(A64Cpu *cpu);

/* a64_msr_imm - MSR (immediate) to a PSTATE field but SSBS and DIT: op1, op2 and CRm as encoded. */
bool a64_msr_imm(A64Cpu *cpu, unsigned op1, unsigned op2, unsigned crm);

/* PSTATE.{D, A, I, F}, bits 3:0. */
static inline unsigned a64_daif(const A64Cpu *cpu)
{
    return (unsigned)cpu->d << 3 | (unsigned)cpu->a << 2 | (unsigned)cpu->i << 1 | cpu->f;
}

/* a64_set_daif - the same, not at EL0. The block ends; what follows need not come through the
 * run loop: when it must (an interrupt is pending, debug exceptions may happen now), no block is entered by itself. */
void a64_set_daif(A64Cpu *cpu, unsigned daif);

void a64_fp_trap(A64Cpu *cpu);            /* FP or SIMD use while the key says A64_KEY_FP_TRAP */
void a64_bti_fault(A64Cpu *cpu);          /* EC 0x0d with PSTATE.BTYPE */
void a64_pac_fail(A64Cpu *cpu, bool data_key, bool b_key); /* FEAT_FPAC, EC 0x1c */
bool a64_pauth_trap(A64Cpu *cpu);         /* before an enabled PAC or AUT: HCR_EL2.API, SCR_EL3.API */
void a64_sp_alignment(A64Cpu *cpu);
void a64_pc_alignment(A64Cpu *cpu, uint64_t pc);

/* a64_step_begin - when the key says A64_KEY_SS: before the one instruction of the block. Hardware
 * breakpoints, and the software step exception itself when PSTATE.SS is already 0. */
bool a64_step_begin(A64Cpu *cpu);

/* a64_branch_addr - a branch target without its tag, as the current regime's TBI and TBID say. */
uint64_t a64_branch_addr(const A64Cpu *cpu, uint64_t pc);

/* a64_block_key - CpuGuest.key; the layout is enum A64Key in decode.h. */
uint64_t a64_block_key(const Cpu *cpu);

/* ---- interrupts, events ---- */

void a64_set_line(A64Cpu *cpu, A64Line line, bool level);
void a64_send_event(A64Cpu *cpu); /* SEV from another CPU, or a timer event */

/* The physical counter now: guest time, as clock_seen() has it, in ticks of A64_TICK_NS. */
uint64_t a64_physical_count(const A64Cpu *cpu);
void     a64_timers_update(A64Cpu *cpu); /* after a change of timer registers or offsets */

/* a64_pmu_requests - whether counters that overflowed ask for an interrupt, with these registers and MDCR_EL2. */
bool     a64_pmu_requests(const A64El1Regs *el1, uint64_t mdcr);

/* ---- translation for others ---- */

typedef enum A64FaultKind {
    A64_FAULT_NONE, A64_FAULT_ADDR_SIZE, A64_FAULT_TRANSLATION, A64_FAULT_ACCESS, A64_FAULT_PERMISSION,
    A64_FAULT_WALK_ABORT, A64_FAULT_GPF, A64_FAULT_GPF_WALK, A64_FAULT_ALIGNMENT, A64_FAULT_EXTERNAL,
} A64FaultKind;

typedef struct A64Walk {
    A64FaultKind fault;
    uint8_t      level;     /* where the fault or the leaf was found, 0 to 3 (-1 as 255) */
    bool         stage2;    /* the fault was in stage 2 */
    bool         s1ptw;     /* of a stage 1 table access */
    uint64_t     pa, ipa;   /* on a fault: of the access that failed (a table's for s1ptw and walk faults) */
    Pas          pas, ipa_pas;
    uint64_t     page_size; /* of stage 1, into whatever stage 2 cuts it; of stage 2 where that is all */
    bool         readable, writable, executable, device, guarded, not_global;
    uint8_t      attr;      /* MAIR format memory attributes, combined */
} A64Walk;

/* a64_debug_walk - translate @va as the current state would read it, without faults, A/D updates or caching. */
bool a64_debug_walk(A64Cpu *cpu, uint64_t va, A64Walk *out);

/* a64_regime_walk - the same as privileged code of the current regime: at EL0, its kernel's memory is there, too. */
bool a64_regime_walk(A64Cpu *cpu, uint64_t va, A64Walk *out);

/* a64_stage1_on - whether the current regime translates: SCTLR_ELx.M as it acts. */
bool a64_stage1_on(const A64Cpu *cpu);

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
