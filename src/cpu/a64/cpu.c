/*
 * The A64 CPU as a whole: its life, PSTATE and stack pointer banks, the block key, and the CpuGuest that the
 * engine runs. Rules that many files ask for (effective HCR_EL2, security state) are here too. Arm DDI 0487,
 * "The AArch64 Application Level Programmers' Model" and "The AArch64 System Level Programmers' Model".
 */
#include "bytes.h"
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/a64/decode.h"
#include "cpu/a64/fp.h"
#include "cpu/a64/system.h"
#include "entropy.h"
#include "log.h"

A64Cpu *a64_cpus;

/* ---- rules ---- */

/* DDI 0487, "HCR_EL2", TGE and the notes of each trap bit: with {E2H, TGE} = {1, 1} it is treated as 0. */
uint64_t a64_hcr_with_tge(uint64_t hcr)
{
    hcr |= HCR_FMO | HCR_IMO | HCR_AMO;
    hcr &= ~(HCR_VM | HCR_DC | HCR_VF | HCR_VI | HCR_VSE | HCR_FB);
    if (hcr & HCR_E2H) {
        hcr &= ~(HCR_PTW | HCR_TWI | HCR_TWE | HCR_TID1 | HCR_TID2 | HCR_TID3 | HCR_TSC | HCR_TIDCP | HCR_TACR |
                 HCR_TSW | HCR_TPCP | HCR_TPU | HCR_TTLB | HCR_TVM | HCR_TDZ | HCR_TRVM | HCR_TERR | HCR_TEA |
                 HCR_TID4 | HCR_TICAB | HCR_TOCU | HCR_TTLBIS | HCR_TTLBOS);
        hcr |= HCR_APK | HCR_API;
    }
    return hcr;
}

uint64_t a64_sctlr(const A64Cpu *cpu)
{
    switch (cpu->el) {
    case 3:
        return cpu->el3.sctlr;
    case 2:
        return cpu->el2.sctlr;
    case 1:
        return cpu->el1.sctlr;
    default:
        return a64_host(cpu) ? cpu->el2.sctlr : cpu->el1.sctlr;
    }
}

/* ---- stack pointers ---- */

static uint64_t *sp_bank(A64Cpu *cpu, unsigned el, bool sp_sel)
{
    if (!sp_sel || el == 0) {
        return &cpu->el1.sp_el0;
    }
    return el == 1 ? &cpu->el1.sp_el1 : el == 2 ? &cpu->el2.sp : &cpu->el3.sp;
}

void a64_bank_sp(A64Cpu *cpu)
{
    *sp_bank(cpu, cpu->el, cpu->sp_sel) = cpu->sp;
}

void a64_unbank_sp(A64Cpu *cpu)
{
    cpu->sp = *sp_bank(cpu, cpu->el, cpu->sp_sel);
}

void a64_switch_sp(A64Cpu *cpu, unsigned el, bool sp_sel)
{
    a64_bank_sp(cpu);
    cpu->el = (uint8_t)el;
    cpu->sp_sel = sp_sel;
    cpu->sp = *sp_bank(cpu, el, sp_sel);
    cpu->derived.key_valid = false;
}

/* ---- PSTATE ---- */

/* DDI 0487, "SPSR_EL1" and its fellows, for an exception taken from AArch64 state. */
uint64_t a64_get_spsr(const A64Cpu *cpu)
{
    return (uint64_t)cpu->nzcv << 28 | (uint64_t)cpu->tco << 25 | (uint64_t)cpu->dit << 24 |
           (uint64_t)cpu->uao << 23 | (uint64_t)cpu->pan << 22 | (uint64_t)cpu->ss << 21 | (uint64_t)cpu->il << 20 |
           (uint64_t)cpu->ssbs << 12 | (uint64_t)(cpu->btype & 3) << 10 |
           (uint64_t)a64_daif(cpu) << 6 | (uint64_t)cpu->el << 2 | cpu->sp_sel;
}

static void set_masks_and_flags(A64Cpu *cpu, uint64_t spsr)
{
    cpu->nzcv = spsr >> 28 & 15;
    cpu->pan = spsr >> 22 & 1;
    cpu->d = spsr >> 9 & 1;
    cpu->a = spsr >> 8 & 1;
    cpu->i = spsr >> 7 & 1;
    cpu->f = spsr >> 6 & 1;
}

/* All of PSTATE but the level and the stack pointer. */
static void set_pstate_fields(A64Cpu *cpu, uint64_t spsr)
{
    set_masks_and_flags(cpu, spsr);
    cpu->dit = spsr >> 24 & 1;
    cpu->uao = spsr >> 23 & 1;
    cpu->ss = spsr >> 21 & 1;
    cpu->il = spsr >> 20 & 1;
    cpu->ssbs = spsr >> 12 & 1;
    cpu->btype = spsr >> 10 & 3;
}

void a64_set_spsr(A64Cpu *cpu, uint64_t spsr)
{
    unsigned el = spsr >> 2 & 3;

    set_pstate_fields(cpu, spsr);
    a64_switch_sp(cpu, el, el != 0 && (spsr & 1));
    a64_context_changed(cpu);
}

/*
 * Why an exception return is illegal, or not. DDI 0487, "Illegal return events from AArch64 state"; there is
 * no AArch32 here. @spsr of the current level.
 */
static bool return_is_illegal(const A64Cpu *cpu, uint64_t spsr)
{
    unsigned el = spsr >> 2 & 3;

    if ((spsr & (BIT(4) | BIT(1))) || (el == 0 && (spsr & 1)) || el > cpu->el) {
        return true;
    }
    if (cpu->el == 3 && el < 3 && a64_lower_security(cpu) == PAS_ROOT) {
        return true; /* SCR_EL3.{NSE, NS} reserved */
    }
    if (el == 2) {
        return !a64_el2_enabled(cpu);
    }
    return el == 1 && a64_el2_enabled(cpu) && (cpu->el2.hcr & HCR_TGE);
}

static uint64_t current_spsr(const A64Cpu *cpu)
{
    return cpu->el == 3 ? cpu->el3.spsr : cpu->el == 2 ? cpu->el2.spsr : cpu->el1.spsr;
}

uint64_t a64_elr(const A64Cpu *cpu)
{
    return cpu->el == 3 ? cpu->el3.elr : cpu->el == 2 ? cpu->el2.elr : cpu->el1.elr;
}

/* Whether an exception return to @spsr sets PSTATE.SS: DebugExceptionReturnSS(). */
static bool return_steps(A64Cpu *cpu, uint64_t spsr, bool illegal)
{
    uint8_t from = cpu->el;
    bool    d = cpu->d, before = (cpu->el1.mdscr & MDSCR_SS) && a64_step_active(cpu);

    if (!(cpu->el1.mdscr & MDSCR_SS) || !(spsr & SPSR_SS)) {
        return false;
    }
    cpu->el = illegal ? from : spsr >> 2 & 3;
    cpu->d = spsr >> 9 & 1;
    bool after = a64_step_active(cpu);
    cpu->el = from;
    cpu->d = d;
    return !before && after;
}

/* For traces. */
static void tell_return(const A64Cpu *cpu, uint64_t spsr, uint64_t pc, bool illegal)
{
    if (log_on(LOG_EXC) && log_has_pc(cpu_current_pc(&cpu->cpu))) {
        LOG(EXC, "return EL%u -> EL%u spsr 0x%" PRIx64 " to 0x%" PRIx64 "%s", cpu->el,
            illegal ? cpu->el : (unsigned)(spsr >> 2 & 3), spsr, pc, illegal ? ", illegal" : "");
    }
}

void a64_eret(A64Cpu *cpu, uint64_t pc)
{
    uint64_t spsr = current_spsr(cpu);
    bool     illegal = return_is_illegal(cpu, spsr);
    bool     ss = return_steps(cpu, spsr, illegal);
    unsigned from = cpu->el;

    tell_return(cpu, spsr, pc, illegal);
    if (a64_pmu_active(cpu)) {
        a64_pmu_eret(cpu);
    }
    if (illegal) {
        set_masks_and_flags(cpu, spsr);
        cpu->il = true;
        cpu->ss = ss;
        cpu->btype = 0;
    } else {
        set_pstate_fields(cpu, spsr);
        cpu->ss = ss;
        a64_switch_sp(cpu, spsr >> 2 & 3, spsr & 1);
    }
    cpu->excl_size = 0;
    cpu->event = true; /* SendEventLocal() */
    a64_update_security(cpu);
    cpu->pc = a64_branch_addr(cpu, pc);
    a64_tell_level(cpu, from);
    a64_select_contexts(cpu);
    if (a64_pmu_active(cpu)) {
        a64_pmu_update(cpu);
    }
    a64_unmasked(cpu);
}

void a64_set_daif(A64Cpu *cpu, unsigned daif)
{
    bool d = daif >> 3 & 1;

    if (d != cpu->d && (cpu->el1.mdscr & (MDSCR_SS | MDSCR_MDE))) {
        cpu_attend(&cpu->cpu); /* A64_KEY_SS may change */
    }
    cpu->derived.key_valid &= d == cpu->d;
    cpu->d = d;
    cpu->a = daif >> 2 & 1;
    cpu->i = daif >> 1 & 1;
    cpu->f = daif & 1;
    a64_unmasked(cpu);
}

/* MSR (immediate). DDI 0487, "MSR (immediate)"; UAO, PAN and SPSel need EL1. */
bool a64_msr_imm(A64Cpu *cpu, unsigned op1, unsigned op2, unsigned crm)
{
    bool     on = crm & 1;
    unsigned field = op1 << 3 | op2;

    if (op1 == 0 && cpu->el == 0) {
        a64_undefined_now(cpu);
        return false;
    }
    if ((field == 036 || field == 037) && cpu->el == 0 && !(a64_sctlr(cpu) & SCTLR_UMA)) {
        /* Op0 0, Op2, Op1 3, CRn 4, Rt 31, CRm, Direction 0. */
        a64_raise_sync(cpu, a64_sync_target(cpu), EC_SYSREG, op2 << 17 | 3 << 14 | 4 << 10 | 31 << 5 | crm << 1,
                       false);
        return false;
    }
    switch (field) {
    case 003:
        cpu->uao = on;
        break;
    case 004:
        cpu->pan = on;
        break;
    case 005:
        a64_switch_sp(cpu, cpu->el, on);
        return true;
    case 036:
    case 037:
        a64_set_daif(cpu, field == 036 ? a64_daif(cpu) | crm : a64_daif(cpu) & ~crm);
        return true;
    default:
        a64_undefined_now(cpu);
        return false;
    }
    a64_select_contexts(cpu);
    return true;
}

/* ---- floating point traps ---- */

/* DDI 0487, AArch64.CheckFPAdvSIMDEnabled() and CheckFPAdvSIMDTrap(). */
unsigned a64_fp_trap_el(const A64Cpu *cpu)
{
    bool host = a64_host(cpu);

    if (cpu->el < 2 && !host) {
        unsigned fpen = cpu->el1.cpacr >> 20 & 3;
        if (!(fpen & 1) || (fpen == 1 && cpu->el == 0)) {
            return cpu->el == 0 && (a64_hcr(cpu) & HCR_TGE) ? 2 : 1;
        }
    }
    if (cpu->el < 3 && a64_el2_enabled(cpu)) {
        if (cpu->el2.hcr & HCR_E2H) {
            unsigned fpen = cpu->el2.cptr >> 20 & 3;
            if (!(fpen & 1) || (fpen == 1 && cpu->el == 0 && host)) {
                return 2;
            }
        } else if (cpu->el2.cptr & BIT(10)) {
            return 2;
        }
    }
    return cpu->el3.cptr & BIT(10) ? 3 : 0;
}

void a64_fp_trap(A64Cpu *cpu)
{
    unsigned target = a64_fp_trap_el(cpu);
    bool     by_tge = target == 2 && cpu->el == 0 && (cpu->el2.hcr & HCR_TGE) && !(cpu->el2.hcr & HCR_E2H) &&
                  (cpu->el1.cpacr >> 20 & 3) != 3;

    /* Routed from EL1 by TGE it is an uncategorised exception. AArch64.AdvSIMDFPAccessTrap(). */
    a64_raise_sync(cpu, target, by_tge ? EC_UNKNOWN : EC_FP_TRAP, by_tge ? 0 : ISS_CV_AL, false);
}

/* ---- the block key ---- */

static uint64_t key_of_sctlr(const A64Cpu *cpu)
{
    uint64_t sctlr = a64_sctlr(cpu), key = 0;

    key |= sctlr & SCTLR_A ? A64_KEY_ALIGN : 0;
    key |= sctlr & (cpu->el == 0 ? SCTLR_SA0 : SCTLR_SA) ? A64_KEY_SP_ALIGN : 0;
    key |= sctlr & SCTLR_ENIA ? A64_KEY_PAC_IA : 0;
    key |= sctlr & SCTLR_ENIB ? A64_KEY_PAC_IB : 0;
    key |= sctlr & SCTLR_ENDA ? A64_KEY_PAC_DA : 0;
    key |= sctlr & SCTLR_ENDB ? A64_KEY_PAC_DB : 0;
    key |= sctlr & (cpu->el == 0 ? SCTLR_BT0 : SCTLR_BT1) ? A64_KEY_BT : 0;
    key |= sctlr & SCTLR_NAA ? A64_KEY_NAA : 0;
    if ((cpu->el == 0 && !(sctlr & SCTLR_DZE)) || (cpu->el < 2 && (a64_hcr(cpu) & HCR_TDZ))) {
        key |= A64_KEY_ZVA_SLOW;
    }
    return key;
}

static uint64_t key_but_btype(A64Cpu *cpu)
{
    uint64_t key = cpu->el | (uint64_t)cpu->security << A64_KEY_SECURITY_SHIFT | key_of_sctlr(cpu);

    if (a64_fp_trap_el(cpu) != 0) {
        key |= A64_KEY_FP_TRAP;
    }
    if ((cpu->el1.mdscr & (MDSCR_SS | MDSCR_MDE)) && (a64_step_active(cpu) || a64_breakpoints_active(cpu))) {
        key |= A64_KEY_SS;
    }
    if ((cpu->el == 1 || (cpu->el == 2 && a64_host(cpu))) && !cpu->uao) {
        key |= A64_KEY_UNPRIV;
    }
    key |= cpu->il ? A64_KEY_IL : 0;
    key |= cpu->sp_sel ? A64_KEY_SPSEL : 0;
    key |= (uint64_t)a64_pac_layout(cpu) << A64_KEY_PAC_SHIFT;
    return key;
}

static const CpuKeyBit key_bits[] = {
    { A64_R_FPCR, FPCR_RMODE | FPCR_FZ | FPCR_FZ16 | FPCR_AHP, A64_KEY_FP_MODE },
    { A64_R_FPCR, FPCR_DN, A64_KEY_FP_DN },
};

/* Asked after every block that does not know its successor: BTYPE and FPCR are what blocks change by themselves, the
 * rest is kept until a64_select_contexts(), a64_switch_sp() or a register with SYSREG_KEY says otherwise. */
uint64_t a64_block_key(const Cpu *c)
{
    A64Cpu *cpu = CONTAINER_OF(c, A64Cpu, cpu);

    if (!cpu->derived.key_valid) {
        cpu->derived.block_key = key_but_btype(cpu);
        cpu->derived.key_valid = true;
    }
    uint64_t key = cpu->derived.block_key;

    for (size_t i = 0; i < ARRAY_LEN(key_bits); i++) {
        key |= cpu->fpcr & key_bits[i].mask ? key_bits[i].bit : 0;
    }
    if (cpu->btype == 0) {
        return key;
    }
    return key | A64_KEY_BTYPE_SET | (uint64_t)cpu->btype << A64_KEY_BTYPE_SHIFT;
}

/* ---- world switches ---- */

/* The exception return of a model, but for what is derived. */
static void go_to(A64Cpu *cpu, Pas security, uint64_t pc, uint64_t spsr)
{
    unsigned el = spsr >> 2 & 3;

    if (el < 3) {
        cpu->el3.scr = (cpu->el3.scr & ~(SCR_NS | SCR_NSE)) | (security & 1 ? SCR_NS : 0) |
                       (security & 2 ? SCR_NSE : 0);
    }
    set_pstate_fields(cpu, spsr);
    cpu->el = (uint8_t)el;
    cpu->sp_sel = el != 0 && (spsr & 1);
    cpu->sp = *sp_bank(cpu, el, cpu->sp_sel);
    cpu->pc = pc;
    cpu->excl_size = 0;
    cpu->event = true;
}

/* Of what is derived, that for which it matters what it was before. */
static void renew(A64Cpu *cpu)
{
    a64_watchpoints_written(cpu);
    a64_timers_update(cpu);
    a64_pmu_update(cpu);
    cpu_attend(&cpu->cpu);
}

void a64_enter(A64Cpu *cpu, Pas security, uint64_t pc, uint64_t spsr)
{
    go_to(cpu, security, pc, spsr);
    a64_context_changed(cpu);
}

/* Debug builds derive it all the same. */
static void check_kept(A64Cpu *cpu, const A64Derived *kept)
{
#ifdef BAILEY_DEBUG
    a64_select_contexts(cpu);
    if (kept->asid_bound == cpu->asid_bound) {
        g_assert(memcmp(kept->context, cpu->derived.context, sizeof(kept->context)) == 0);
        g_assert(!kept->key_valid || kept->block_key == key_but_btype(cpu));
    }
#endif
}

void a64_enter_again(A64Cpu *cpu, Pas security, uint64_t pc, uint64_t spsr, const A64Derived *kept)
{
    go_to(cpu, security, pc, spsr);
    a64_update_security(cpu);
    check_kept(cpu, kept);
    a64_select_kept(cpu, kept);
    renew(cpu);
}

void a64_context_changed(A64Cpu *cpu)
{
    a64_update_security(cpu);
    a64_select_contexts(cpu);
    renew(cpu);
}

/* ---- life ---- */

static void timer_fired(void *opaque)
{
    a64_timers_update(opaque);
}

static void reset_register(const A64Sysreg *r, void *opaque)
{
    if (r->offset >= 0 && r->alias == 0) {
        *(uint64_t *)((uint8_t *)opaque + r->offset) = r->reset;
    }
}

/* DDI 0487, "PE state on reset to AArch64 state": EL3 with SP_EL3, everything masked, at address 0 here
 * (RVBAR_EL3 is IMPLEMENTATION DEFINED). Registers that the architecture leaves UNKNOWN become zero. */
void a64_reset(A64Cpu *cpu)
{
    memset(cpu->x, 0, sizeof(cpu->x));
    memset(cpu->v, 0, sizeof(cpu->v));
    memset(&cpu->el1, 0, sizeof(cpu->el1));
    memset(&cpu->el2, 0, sizeof(cpu->el2));
    memset(&cpu->el3, 0, sizeof(cpu->el3));
    cpu->cntfrq = A64_COUNTER_HZ;
    cpu->fpcr = cpu->fpsr = 0;
    cpu->event = false;
    cpu->excl_size = 0;
    cpu->asid_bound = 0;
    cpu->pmu.counting = 0; /* what was executed before counts for nobody */
    cpu->cpu.waiting = false;
    a64_sysreg_foreach(reset_register, cpu);
    cpu->el2.vpidr = cpu->midr;
    cpu->el2.vmpidr = cpu->mpidr;
    a64_enter(cpu, PAS_SECURE, 0, 0x3c0 | SPSR_MODE_EL3H);
    cpu->event = false;
    cpu_flush_contexts(&cpu->cpu, NULL, NULL);
}

A64Cpu *a64_cpu_new(CpuEngine *e, Memory *memory, Clock *clock, unsigned index, uint64_t mpidr, struct Entropy *rng)
{
    void *block = NULL;

    /* malloc() knows nothing of A64_COPIED. */
    if (posix_memalign(&block, _Alignof(A64Cpu), sizeof(A64Cpu)) != 0) {
        g_error("out of memory for a CPU");
    }
    A64Cpu *cpu = memset(block, 0, sizeof(A64Cpu));
    cpu_init(&cpu->cpu, e, &a64_guest, memory, clock, index);
    cpu->midr = A64_MIDR;
    cpu->mpidr = mpidr | BIT(31);
    cpu->entropy = rng;
    for (unsigned n = 0; n < A64_N_TIMERS; n++) {
        timer_init(&cpu->timer[n], clock, timer_fired, cpu);
    }
    a64_pmu_init(cpu);
    cpu->next = a64_cpus;
    a64_cpus = cpu;
    a64_reset(cpu);
    return cpu;
}

void a64_cpu_free(A64Cpu *cpu)
{
    if (cpu == NULL) {
        return;
    }
    for (A64Cpu **p = &a64_cpus; *p != NULL; p = &(*p)->next) {
        if (*p == cpu) {
            *p = cpu->next;
            break;
        }
    }
    for (unsigned n = 0; n < A64_N_TIMERS; n++) {
        timer_deinit(&cpu->timer[n]);
    }
    timer_deinit(&cpu->pmu.timer);
    cpu_deinit(&cpu->cpu);
    free(cpu);
}

/* ---- the guest, for the engine ---- */

static uint64_t guest_pc(const Cpu *cpu)
{
    return CONTAINER_OF(cpu, A64Cpu, cpu)->pc;
}

/* Also the way of every indirect branch that finds no block at its target: BranchTo() drops the tag here. */
static void guest_set_pc(Cpu *cpu, uint64_t pc)
{
    a64_from_cpu(cpu)->pc = a64_branch_addr(a64_from_cpu(cpu), pc);
}

/* The exceptions in the order of FPSR's cumulative flags. */
static void guest_fp_raised(Cpu *c, unsigned raised)
{
    static_assert(CPU_FP_INVALID == FPSR_IOC && CPU_FP_DIVISION_BY_ZERO == FPSR_DZC && CPU_FP_OVERFLOW == FPSR_OFC &&
                      CPU_FP_UNDERFLOW == FPSR_UFC && CPU_FP_INEXACT == FPSR_IXC, "FPSR");
    a64_from_cpu(c)->fpsr |= raised;
}

/* BTYPE is the one part of the key that blocks write with a known value. */
static bool guest_key_after(uint64_t *key, unsigned reg, uint64_t value)
{
    if (reg != A64_R_BTYPE) {
        return false;
    }
    *key &= ~(uint64_t)(A64_KEY_BTYPE_SET | A64_KEY_BTYPE);
    if (value != 0) {
        *key |= A64_KEY_BTYPE_SET | value << A64_KEY_BTYPE_SHIFT;
    }
    return true;
}

static void guest_disassemble(uint64_t pc, const uint8_t *code, char *dst, size_t cap)
{
    a64_disassemble(pc, le32_get(code), dst, cap);
}

typedef struct StateVisit {
    const Cpu *cpu;
    void     (*fn)(void *opaque, const char *name, uint64_t value);
    void      *opaque;
} StateVisit;

static void visit_sysreg(const A64Sysreg *r, void *opaque)
{
    const StateVisit *v = opaque;
    uint64_t          value;

    if (r->offset >= 0) {
        memcpy(&value, (const uint8_t *)v->cpu + r->offset, sizeof(value));
        v->fn(v->opaque, r->name, value);
    }
}

static void guest_other_state(const Cpu *cpu, void (*fn)(void *opaque, const char *name, uint64_t value), void *opaque)
{
    const A64Cpu *a64 = CONTAINER_OF(cpu, A64Cpu, cpu);
    StateVisit    v = { cpu, fn, opaque };

    fn(opaque, "pstate", a64_get_spsr(a64));
    fn(opaque, "security", a64->security);
    fn(opaque, "event", a64->event);
    a64_sysreg_foreach(visit_sysreg, &v);
}

const CpuGuest a64_guest = {
    .name = "a64",
    .regs = a64_regs,
    .n_regs = A64_N_REGS,
    .insn_bytes = 4,
    .pc = guest_pc,
    .key = a64_block_key,
    .set_pc = guest_set_pc,
    .key_after = guest_key_after,
    .key_bits = key_bits,
    .n_key_bits = ARRAY_LEN(key_bits),
    .fp_raised = guest_fp_raised,
    .sticky_reg = A64_R_FPSR,
    .invalid_bits = FPSR_IOC,
    .sticky_bits = FPSR_QC,
    .translate = a64_translate,
    .fill = a64_fill,
    .unaligned = a64_unaligned,
    .bus_error = a64_bus_error,
    .attend = a64_attend,
    .disassemble = guest_disassemble,
    .other_state = guest_other_state,
};
