/*
 * Exceptions: routing, entry, the instructions that generate them, interrupts and waiting. Arm DDI 0487,
 * "Exception model" and shared pseudocode AArch64.TakeException(). A firmware model is asked first about
 * every exception to EL2 or EL3. Not modelled: FEAT_DoubleFault, FEAT_NMI, RAS error records (an SError has
 * no syndrome of its own).
 */
#include <inttypes.h>

#include "cpu/a64/system.h"
#include "event.h"
#include "log.h"

/* ---- entry ---- */

/* FEAT_PAN: whether entry to @target sets PSTATE.PAN. */
static bool entry_sets_pan(const A64Cpu *cpu, unsigned target)
{
    if (target == 1) {
        return !(cpu->el1.sctlr & SCTLR_SPAN);
    }
    return target == 2 && a64_host(cpu) && !(cpu->el2.sctlr & SCTLR_SPAN);
}

static uint64_t sctlr_of(const A64Cpu *cpu, unsigned el)
{
    return el == 1 ? cpu->el1.sctlr : el == 2 ? cpu->el2.sctlr : cpu->el3.sctlr;
}

/* Exceptions of a completed instruction: their SPSR shows the step as used up. SSAdvance(). */
static bool completes_step(const A64Exception *exc)
{
    unsigned ec = exc->esr >> 26 & 0x3f;

    return exc->kind != A64_EXC_SYNC || ec == EC_SVC || ec == EC_HVC || ec == EC_SMC || ec == EC_STEP ||
           ec == EC_STEP_SAME;
}

static void write_syndrome(A64Cpu *cpu, const A64Exception *exc)
{
    bool      has_esr = exc->kind == A64_EXC_SYNC || exc->kind == A64_EXC_SERROR;
    uint64_t *esr = exc->target == 1 ? &cpu->el1.esr : exc->target == 2 ? &cpu->el2.esr : &cpu->el3.esr;
    uint64_t *far = exc->target == 1 ? &cpu->el1.far : exc->target == 2 ? &cpu->el2.far : &cpu->el3.far;

    if (has_esr) {
        *esr = exc->esr;
    }
    if (exc->far_valid) {
        *far = exc->far;
    }
    if (exc->hpfar_valid && exc->target == 2) {
        cpu->el2.hpfar = exc->hpfar;
    }
}

static void write_return(A64Cpu *cpu, unsigned target, uint64_t spsr, uint64_t pc)
{
    if (target == 1) {
        cpu->el1.spsr = spsr;
        cpu->el1.elr = pc;
    } else if (target == 2) {
        cpu->el2.spsr = spsr;
        cpu->el2.elr = pc;
    } else {
        cpu->el3.spsr = spsr;
        cpu->el3.elr = pc;
    }
}

/* AArch64.TakeException(). The vector's offset: group by where it came from, then the kind in the order of
 * A64ExcKind. */
static void enter_vector(A64Cpu *cpu, const A64Exception *exc, uint64_t spsr)
{
    unsigned target = exc->target;
    uint64_t vbar = target == 1 ? cpu->el1.vbar : target == 2 ? cpu->el2.vbar : cpu->el3.vbar;
    uint64_t group = target > cpu->el ? 0x400 : cpu->sp_sel ? 0x200 : 0;

    write_syndrome(cpu, exc);
    write_return(cpu, target, spsr, cpu->pc);
    a64_switch_sp(cpu, target, true);
    a64_update_security(cpu);
    cpu->d = cpu->a = cpu->i = cpu->f = true;
    cpu->ss = cpu->il = cpu->uao = false;
    cpu->btype = 0;
    cpu->pan = cpu->pan || entry_sets_pan(cpu, target);
    cpu->ssbs = sctlr_of(cpu, target) & SCTLR_DSSBS;
    cpu->excl_size = 0;
    cpu->pc = (vbar & ~0x7ffull) + group + 0x80u * exc->kind;
}

const char *a64_exc_kind_name(unsigned n)
{
    static const char *const kinds[] = { "sync", "IRQ", "FIQ", "SError" };

    return n < ARRAY_LEN(kinds) ? kinds[n] : NULL;
}

/* For traces and whoever waits for it. */
static void tell_exception(A64Cpu *cpu, const A64Exception *exc)
{
    const CpuHooks *hooks = cpu->cpu.hooks;
    const char     *kind = a64_exc_kind_name(exc->kind);
    char            text[160];

    if (hooks != NULL && hooks->exception != NULL) {
        hooks->exception(hooks->opaque, &cpu->cpu, exc);
    }
    if (log_on(LOG_EXC) || event_on(EVENT_EXC)) {
        g_snprintf(text, sizeof(text), "%s EL%u -> EL%u esr 0x%" PRIx64 " far 0x%" PRIx64 " elr 0x%" PRIx64, kind,
                   cpu->el, exc->target, exc->esr, exc->far_valid ? exc->far : 0, exc->return_pc);
        if (log_has_pc(exc->return_pc)) {
            LOG(EXC, "%s", text);
        }
        event_tell(&(Event){ .kind = EVENT_EXC, .name = kind, .number = exc->target, .text = text });
    }
}

const char *a64_level_name(unsigned el)
{
    static const char *const names[] = { "EL0", "EL1", "EL2", "EL3" };

    return names[el & 3];
}

void a64_tell_level(const A64Cpu *cpu, unsigned from)
{
    if (event_on(EVENT_LEVEL) && from != cpu->el) {
        event_tell(&(Event){ .kind = EVENT_LEVEL, .name = a64_level_name(cpu->el), .from = a64_level_name(from) });
    }
}

void a64_raise(A64Cpu *cpu, const A64Exception *exc)
{
    unsigned from = cpu->el;
    bool     stepping = a64_step_active(cpu) && !completes_step(exc);

    tell_exception(cpu, exc);
    if (a64_pmu_active(cpu)) { /* before a model puts the counters away */
        a64_pmu_exception(cpu, exc);
    }
    cpu->pc = exc->return_pc;
    cpu->ss = stepping;
    cpu->cpu.fault = true;
    cpu->cpu.waiting = false;
    a64_bank_sp(cpu);
    if (exc->target >= 2 && cpu->firmware.exception != NULL) {
        cpu_settle(&cpu->cpu); /* it may put FPSR away */
        if (cpu->firmware.exception(cpu->firmware.opaque, cpu, exc)) {
            cpu_attend(&cpu->cpu);
            return;
        }
    }
    enter_vector(cpu, exc, a64_get_spsr(cpu)); /* masks only: no interrupt becomes takeable */
    a64_tell_level(cpu, from);
    a64_select_contexts(cpu);
    if (a64_pmu_active(cpu)) {
        a64_pmu_update(cpu);
    }
}

void a64_inject(A64Cpu *cpu, unsigned target_el, uint64_t esr, uint64_t far, bool far_valid)
{
    A64Exception exc = {
        .kind = A64_EXC_SYNC,
        .target = (uint8_t)target_el,
        .esr = esr,
        .far = far,
        .far_valid = far_valid,
        .return_pc = cpu->pc,
    };

    unsigned from = cpu->el;

    tell_exception(cpu, &exc);
    enter_vector(cpu, &exc, a64_get_spsr(cpu));
    a64_tell_level(cpu, from);
    a64_context_changed(cpu);
}

/* ---- synchronous exceptions ---- */

unsigned a64_sync_target(const A64Cpu *cpu)
{
    if (cpu->el != 0) {
        return cpu->el;
    }
    return a64_hcr(cpu) & HCR_TGE ? 2 : 1;
}

void a64_raise_sync(A64Cpu *cpu, unsigned target, unsigned ec, uint32_t iss, bool after)
{
    A64Exception exc = {
        .kind = A64_EXC_SYNC,
        .target = (uint8_t)target,
        .esr = (uint64_t)ec << 26 | ESR_IL | iss,
        .return_pc = cpu_current_pc(&cpu->cpu) + (after ? 4 : 0),
    };

    a64_raise(cpu, &exc);
}

void a64_undefined_now(A64Cpu *cpu)
{
    a64_raise_sync(cpu, a64_sync_target(cpu), EC_UNKNOWN, 0, false);
}

void a64_svc(A64Cpu *cpu, uint16_t imm)
{
    a64_raise_sync(cpu, a64_sync_target(cpu), EC_SVC, imm, true);
}

/* DDI 0487, "HVC": UNDEFINED at EL0, at EL1 without EL2, and while SCR_EL3.HCE is 0. */
void a64_hvc(A64Cpu *cpu, uint16_t imm)
{
    if (cpu->el == 0 || (cpu->el == 1 && !a64_el2_enabled(cpu)) || !(cpu->el3.scr & SCR_HCE)) {
        a64_undefined_now(cpu);
        return;
    }
    a64_raise_sync(cpu, cpu->el == 3 ? 3 : 2, EC_HVC, imm, true);
}

/* DDI 0487, "SMC": the trap by HCR_EL2.TSC comes before SCR_EL3.SMD, and returns to the SMC itself. */
void a64_smc(A64Cpu *cpu, uint16_t imm)
{
    if (cpu->el == 0) {
        a64_undefined_now(cpu);
    } else if (cpu->el == 1 && (a64_hcr(cpu) & HCR_TSC)) {
        a64_raise_sync(cpu, 2, EC_SMC, imm, false);
    } else if (cpu->el3.scr & SCR_SMD) {
        a64_undefined_now(cpu);
    } else {
        a64_raise_sync(cpu, 3, EC_SMC, imm, true);
    }
}

/* AArch64.SoftwareBreakpoint(). */
void a64_brk(A64Cpu *cpu, uint16_t imm)
{
    unsigned target = a64_debug_target(cpu);

    a64_raise_sync(cpu, target > cpu->el ? target : cpu->el, EC_BRK, imm, false);
}

void a64_bti_fault(A64Cpu *cpu)
{
    a64_raise_sync(cpu, a64_sync_target(cpu), EC_BTI, cpu->btype, false);
}

/* ISS: bit 1 data key, bit 0 B key. */
void a64_pac_fail(A64Cpu *cpu, bool data_key, bool b_key)
{
    a64_raise_sync(cpu, a64_sync_target(cpu), EC_PAC_FAIL, (uint32_t)data_key << 1 | b_key, false);
}

bool a64_pauth_trap(A64Cpu *cpu)
{
    if (cpu->el < 2 && a64_el2_enabled(cpu) && !(a64_hcr(cpu) & HCR_API)) {
        a64_raise_sync(cpu, 2, EC_PAUTH, 0, false);
        return false;
    }
    if (cpu->el < 3 && !(cpu->el3.scr & SCR_API)) {
        a64_raise_sync(cpu, 3, EC_PAUTH, 0, false);
        return false;
    }
    return true;
}

void a64_sp_alignment(A64Cpu *cpu)
{
    a64_raise_sync(cpu, a64_sync_target(cpu), EC_SP_ALIGN, 0, false);
}

void a64_pc_alignment(A64Cpu *cpu, uint64_t pc)
{
    A64Exception exc = {
        .kind = A64_EXC_SYNC,
        .target = (uint8_t)a64_sync_target(cpu),
        .esr = (uint64_t)EC_PC_ALIGN << 26 | ESR_IL,
        .far = pc,
        .far_valid = true,
        .return_pc = pc,
    };

    a64_raise(cpu, &exc);
}

/* ---- waiting ---- */

/* Where WFI or WFE traps to, 0: nowhere. AArch64.CheckForWFxTrap(). */
static unsigned wait_trap(const A64Cpu *cpu, bool wfe)
{
    if (cpu->el == 0 && !(a64_sctlr(cpu) & (wfe ? SCTLR_NTWE : SCTLR_NTWI))) {
        return a64_sync_target(cpu);
    }
    if (cpu->el < 2 && (a64_hcr(cpu) & (wfe ? HCR_TWE : HCR_TWI))) {
        return 2;
    }
    return cpu->el < 3 && (cpu->el3.scr & (wfe ? SCR_TWE : SCR_TWI)) ? 3 : 0;
}

/* IMPLEMENTATION DEFINED: WFE never suspends (it may complete at any time), so that a spinning CPU keeps its
 * share of counted time and needs no event stream; it traps when the event register is clear. */
bool a64_wait(A64Cpu *cpu, bool wfe)
{
    if (wfe ? cpu->event : a64_interrupt_pending(cpu)) {
        cpu->event = wfe ? false : cpu->event;
        return true;
    }
    unsigned target = wait_trap(cpu, wfe);
    if (target != 0) {
        a64_raise_sync(cpu, target, EC_WFX, ISS_CV_AL | wfe, false);
        return false;
    }
    if (!wfe) {
        cpu->cpu.waiting = true;
        cpu_attend(&cpu->cpu);
    }
    return true;
}

void a64_send_event(A64Cpu *cpu)
{
    cpu->event = true;
}

void a64_sev(A64Cpu *cpu)
{
    for (A64Cpu *c = a64_cpus; c != NULL; c = c->next) {
        if (c->cpu.engine == cpu->cpu.engine) {
            a64_send_event(c);
        }
    }
}

/* ---- interrupts ---- */

void a64_set_line(A64Cpu *cpu, A64Line line, bool level)
{
    if (cpu->line[line] != level) {
        cpu->line[line] = level;
        if (level) {
            cpu_attend(&cpu->cpu);
        }
    }
}

static uint64_t scr_bit(A64ExcKind kind)
{
    return kind == A64_EXC_IRQ ? SCR_IRQ : kind == A64_EXC_FIQ ? SCR_FIQ : SCR_EA;
}

static uint64_t hcr_bit(A64ExcKind kind)
{
    return kind == A64_EXC_IRQ ? HCR_IMO : kind == A64_EXC_FIQ ? HCR_FMO : HCR_AMO;
}

static bool pstate_mask(const A64Cpu *cpu, A64ExcKind kind)
{
    return kind == A64_EXC_IRQ ? cpu->i : kind == A64_EXC_FIQ ? cpu->f : cpu->a;
}

/*
 * The level that takes a physical interrupt now, 0: none (masked, or routed below the current level). DDI
 * 0487, "Asynchronous exception routing" and "Asynchronous exception masking".
 */
static unsigned physical_target(const A64Cpu *cpu, A64ExcKind kind)
{
    unsigned target = 1;

    if (cpu->el3.scr & scr_bit(kind)) {
        target = 3;
    } else if (cpu->el < 3 && (a64_hcr(cpu) & hcr_bit(kind))) {
        target = 2;
    }
    if (target < cpu->el) {
        return 0;
    }
    if (target == cpu->el || target == 1 || (target == 2 && a64_host(cpu))) {
        return pstate_mask(cpu, kind) ? 0 : target;
    }
    return target;
}

/* Whether a virtual interrupt is pending for EL1: DDI 0487, "Virtual interrupts". */
static bool virtual_pending(const A64Cpu *cpu, A64ExcKind kind)
{
    uint64_t hcr = a64_hcr(cpu);

    if (cpu->el >= 2 || !(hcr & hcr_bit(kind)) || (hcr & HCR_TGE)) {
        return false;
    }
    switch (kind) {
    case A64_EXC_IRQ:
        return (hcr & HCR_VI) || cpu->line[A64_LINE_VIRQ];
    case A64_EXC_FIQ:
        return (hcr & HCR_VF) || cpu->line[A64_LINE_VFIQ];
    default:
        return hcr & HCR_VSE;
    }
}

static bool physical_pending(const A64Cpu *cpu, A64ExcKind kind)
{
    return cpu->line[kind == A64_EXC_IRQ ? A64_LINE_IRQ : kind == A64_EXC_FIQ ? A64_LINE_FIQ : A64_LINE_SERROR];
}

/* Asked at every unmasking, so the common answer comes first. */
static bool nothing_pending(const A64Cpu *cpu)
{
    bool line = false;

    for (A64Line n = 0; n < A64_N_LINES; n++) {
        line |= cpu->line[n];
    }
    return !line && !(cpu->el2.hcr & (HCR_VI | HCR_VF | HCR_VSE));
}

/* DDI 0487, "WFI wake-up events": masks of PSTATE do not count. */
bool a64_interrupt_pending(const A64Cpu *cpu)
{
    if (nothing_pending(cpu)) {
        return false;
    }
    for (A64ExcKind kind = A64_EXC_IRQ; kind <= A64_EXC_SERROR; kind++) {
        if (physical_pending(cpu, kind) || virtual_pending(cpu, kind)) {
            return true;
        }
    }
    return false;
}

/* ISR_EL1: bits I 7, F 6, A 8; the virtual ones where HCR_EL2 routes the physical ones to EL2. */
uint64_t a64_isr(const A64Cpu *cpu)
{
    static const uint8_t bit[] = { [A64_EXC_IRQ] = 7, [A64_EXC_FIQ] = 6, [A64_EXC_SERROR] = 8 };
    uint64_t             isr = 0;

    for (A64ExcKind kind = A64_EXC_IRQ; kind <= A64_EXC_SERROR; kind++) {
        bool virt = cpu->el == 1 && (a64_hcr(cpu) & hcr_bit(kind));
        if (virt ? virtual_pending(cpu, kind) : physical_pending(cpu, kind)) {
            isr |= BIT(bit[kind]);
        }
    }
    return isr;
}

void a64_unmasked(A64Cpu *cpu)
{
    if (a64_interrupt_pending(cpu)) {
        cpu_attend(&cpu->cpu);
    }
}

static void take_interrupt(A64Cpu *cpu, A64ExcKind kind, unsigned target, uint64_t esr)
{
    A64Exception exc = { .kind = kind, .target = (uint8_t)target, .esr = esr, .return_pc = cpu->pc };

    a64_raise(cpu, &exc);
    cpu->cpu.fault = false; /* between blocks: there is no instruction to leave */
}

/* The first interrupt that may be taken now. IMPLEMENTATION DEFINED order: SError, FIQ, IRQ; physical first. */
static bool take_one(A64Cpu *cpu)
{
    static const A64ExcKind order[] = { A64_EXC_SERROR, A64_EXC_FIQ, A64_EXC_IRQ };

    if (nothing_pending(cpu)) {
        return false;
    }
    for (unsigned n = 0; n < ARRAY_LEN(order); n++) {
        A64ExcKind kind = order[n];
        unsigned   target = physical_pending(cpu, kind) ? physical_target(cpu, kind) : 0;
        if (target != 0) {
            if (kind == A64_EXC_SERROR) {
                cpu->line[A64_LINE_SERROR] = false;
            }
            take_interrupt(cpu, kind, target, (uint64_t)EC_SERROR << 26 | ESR_IL);
            return true;
        }
    }
    for (unsigned n = 0; n < ARRAY_LEN(order); n++) {
        A64ExcKind kind = order[n];
        if (virtual_pending(cpu, kind) && !pstate_mask(cpu, kind)) {
            if (kind == A64_EXC_SERROR) {
                cpu->el2.hcr &= ~HCR_VSE;
            }
            take_interrupt(cpu, kind, 1, (uint64_t)EC_SERROR << 26 | ESR_IL | (cpu->el2.vsesr & 0x1ffffff));
            return true;
        }
    }
    return false;
}

bool a64_attend(Cpu *c)
{
    A64Cpu *cpu = a64_from_cpu(c);

    if (cpu->off) {
        return false;
    }
    if (c->waiting) {
        if (!a64_interrupt_pending(cpu)) {
            return false;
        }
        c->waiting = false;
    }
    if (!c->party) {
        take_one(cpu);
    }
    bool runs = !cpu->off && !c->waiting;
    if (runs && cpu->pmu.counting != 0) {
        a64_pmu_arm(cpu);
    }
    return runs;
}

/* ESB: an SError that is pending and masked is recorded in DISR_EL1 (a virtual one in VDISR_EL2) instead. DDI
 * 0487, "ESB", without the syndrome of a physical error. */
void a64_esb(A64Cpu *cpu)
{
    if (virtual_pending(cpu, A64_EXC_SERROR) && cpu->a) {
        cpu->el2.hcr &= ~HCR_VSE;
        cpu->el2.vdisr = BIT(31) | (cpu->el2.vsesr & 0x1ffffff);
    }
    if (cpu->line[A64_LINE_SERROR] && physical_target(cpu, A64_EXC_SERROR) == 0) {
        cpu->line[A64_LINE_SERROR] = false;
        cpu->el1.disr = BIT(31);
    }
}
