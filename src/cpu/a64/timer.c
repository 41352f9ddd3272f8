/*
 * The generic timers: counters from guest time, compare values as deadlines of the clock, level outputs. Arm
 * DDI 0487, "The Generic Timer in AArch64 state". No FEAT_ECV; the event streams are not modelled because WFE
 * never waits (a64_wait).
 */
#include "cpu/a64/system.h"

enum { CTL_ENABLE = 1, CTL_IMASK = 2, CTL_ISTATUS = 4 };

/* ---- counters and conditions ---- */

uint64_t a64_physical_count(const A64Cpu *cpu)
{
    return (uint64_t)clock_seen(cpu->cpu.clock) / A64_TICK_NS;
}

/* One timer's registers and what is subtracted from the physical count. */
typedef struct TimerState {
    uint64_t *ctl, *cval;
    uint64_t  offset;
} TimerState;

static TimerState timer_state(A64Cpu *cpu, A64Timer n)
{
    A64El2Regs *el2 = &cpu->el2;

    switch (n) {
    case A64_TIMER_PHYS:
        return (TimerState){ &cpu->el1.cntp_ctl, &cpu->el1.cntp_cval, 0 };
    case A64_TIMER_VIRT:
        return (TimerState){ &cpu->el1.cntv_ctl, &cpu->el1.cntv_cval, el2->cntvoff };
    case A64_TIMER_HYP:
        return (TimerState){ &el2->cnthp_ctl, &el2->cnthp_cval, 0 };
    case A64_TIMER_HYP_VIRT:
        return (TimerState){ &el2->cnthv_ctl, &el2->cnthv_cval, 0 };
    case A64_TIMER_SEC:
        return (TimerState){ &cpu->el3.cntps_ctl, &cpu->el3.cntps_cval, 0 };
    case A64_TIMER_SEC_HYP:
        return (TimerState){ &el2->cnthps_ctl, &el2->cnthps_cval, 0 };
    default:
        return (TimerState){ &el2->cnthvs_ctl, &el2->cnthvs_cval, 0 };
    }
}

static bool condition_met(const TimerState *t, uint64_t count)
{
    return count - t->offset >= *t->cval;
}

/* First nanosecond at which the condition, not met at @count, is met; INT64_MAX when guest time ends before. */
static int64_t deadline(const TimerState *t, uint64_t count)
{
    uint64_t distance = *t->cval - (count - t->offset), tick;

    if (__builtin_add_overflow(count, distance, &tick) || tick > (uint64_t)INT64_MAX / A64_TICK_NS) {
        return INT64_MAX;
    }
    return (int64_t)(tick * A64_TICK_NS);
}

static void set_level(A64Cpu *cpu, A64Timer n, bool level)
{
    if (cpu->timer_level[n] == level) {
        return;
    }
    cpu->timer_level[n] = level;
    if (cpu->timer_irq[n].set != NULL) {
        cpu->timer_irq[n].set(cpu->timer_irq[n].opaque, cpu->timer_irq[n].n, level);
    }
}

/* CNTHCTL_EL2.{CNTVMASK, CNTPMASK} (FEAT_RME): in Realm state the EL1 timer is as if IMASK were set. */
static uint32_t masked_by_rmm(const A64Cpu *cpu)
{
    if (a64_lower_security(cpu) != PAS_REALM) {
        return 0;
    }
    return (cpu->el2.cnthctl & BIT(18) ? 1u << A64_TIMER_VIRT : 0) |
           (cpu->el2.cnthctl & BIT(19) ? 1u << A64_TIMER_PHYS : 0);
}

static uint32_t live_timer(A64Timer n, uint64_t ctl)
{
    return (uint32_t)((ctl & (CTL_ENABLE | CTL_IMASK)) == CTL_ENABLE) << n;
}

/* The timers that have a deadline or assert their output, as a set. */
static uint32_t live_timers(const A64Cpu *cpu)
{
    const A64El1Regs *el1 = &cpu->el1;
    const A64El2Regs *el2 = &cpu->el2;
    uint64_t          any = el1->cntp_ctl | el1->cntv_ctl | el2->cnthp_ctl | el2->cnthv_ctl | el2->cnthps_ctl |
                   el2->cnthvs_ctl | cpu->el3.cntps_ctl;

    if (!(any & CTL_ENABLE)) {
        return 0;
    }
    uint32_t live =
        live_timer(A64_TIMER_PHYS, el1->cntp_ctl) | live_timer(A64_TIMER_VIRT, el1->cntv_ctl) |
        live_timer(A64_TIMER_HYP, el2->cnthp_ctl) | live_timer(A64_TIMER_HYP_VIRT, el2->cnthv_ctl) |
        live_timer(A64_TIMER_SEC, cpu->el3.cntps_ctl) | live_timer(A64_TIMER_SEC_HYP, el2->cnthps_ctl) |
        live_timer(A64_TIMER_SEC_HYP_VIRT, el2->cnthvs_ctl);

    return live & ~masked_by_rmm(cpu);
}

void a64_timers_update(A64Cpu *cpu)
{
    uint32_t live = live_timers(cpu);
    uint64_t count = a64_physical_count(cpu); /* once: the host's clock goes on between two looks */

    for (uint32_t left = live | cpu->timers_live; left != 0; left &= left - 1) {
        A64Timer   n = (A64Timer)__builtin_ctz(left);
        TimerState t = timer_state(cpu, n);
        bool       is_live = live & 1u << n, met = is_live && condition_met(&t, count);

        timer_set(&cpu->timer[n], is_live && !met ? deadline(&t, count) : INT64_MAX);
        set_level(cpu, n, met);
    }
    cpu->timers_live = live;
}

/* ---- access checks ---- */

/* CNTKCTL_EL1 (or CNTHCTL_EL2 for a host's EL0): bits that let EL0 in. */
static bool el0_enabled(const A64Cpu *cpu, unsigned bit)
{
    return (a64_host(cpu) ? cpu->el2.cnthctl : cpu->el1.cntkctl) & BIT(bit);
}

/* CNTHCTL_EL2.EL1PCTEN and EL1PCEN: bits 0 and 1, with E2H 10 and 11. */
static bool el2_traps(const A64Cpu *cpu, unsigned bit)
{
    bool e2h = cpu->el2.hcr & HCR_E2H;

    return cpu->el < 2 && a64_el2_enabled(cpu) && !a64_host(cpu) && !(cpu->el2.cnthctl & BIT(e2h ? bit + 10 : bit));
}

static A64Access physical_counter(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    if (cpu->el == 0 && !el0_enabled(cpu, 0)) {
        return A64_TRAP_EL1;
    }
    return el2_traps(cpu, 0) ? A64_TRAP_EL2 : A64_OK;
}

static A64Access virtual_counter(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    return cpu->el == 0 && !el0_enabled(cpu, 1) ? A64_TRAP_EL1 : A64_OK;
}

static A64Access frequency_access(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    return cpu->el == 0 && !el0_enabled(cpu, 0) && !el0_enabled(cpu, 1) ? A64_TRAP_EL1 : A64_OK;
}

static A64Access physical_timer(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    if (cpu->el == 0 && !el0_enabled(cpu, 9)) {
        return A64_TRAP_EL1;
    }
    return el2_traps(cpu, 1) ? A64_TRAP_EL2 : A64_OK;
}

static A64Access virtual_timer(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    return cpu->el == 0 && !el0_enabled(cpu, 8) ? A64_TRAP_EL1 : A64_OK;
}

/* CNTPS: EL3, and Secure EL1 with SCR_EL3.ST. */
static A64Access secure_timer(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    if (cpu->el == 3) {
        return A64_OK;
    }
    if (cpu->el != 1 || cpu->security != PAS_SECURE) {
        return A64_UNDEF;
    }
    return cpu->el3.scr & SCR_ST ? A64_OK : A64_TRAP_EL3;
}

/* CNTHPS and CNTHVS: Secure EL2, and EL3 while it would return there. */
static A64Access secure_hyp_timer(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    return a64_lower_security(cpu) == PAS_SECURE ? A64_OK : A64_UNDEF;
}

static A64Access e2h_only(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    return a64_el2_enabled(cpu) && (cpu->el2.hcr & HCR_E2H) ? A64_OK : A64_UNDEF;
}

/* ---- counters ---- */

static uint64_t read_physical(A64Cpu *cpu, const A64Sysreg *r)
{
    return a64_physical_count(cpu);
}

/* The offset is zero for EL2 with E2H and for the EL0 of a host. */
static uint64_t read_virtual(A64Cpu *cpu, const A64Sysreg *r)
{
    bool none = (cpu->el == 2 && (cpu->el2.hcr & HCR_E2H)) || (cpu->el == 0 && a64_host(cpu));

    return a64_physical_count(cpu) - (none || !a64_el2_enabled(cpu) ? 0 : cpu->el2.cntvoff);
}

static void write_stored(A64Cpu *cpu, const A64Sysreg *r, uint64_t v)
{
    *(uint64_t *)((uint8_t *)cpu + r->offset) = v;
    a64_timers_update(cpu);
}

#define ROW(ident, op1, crm, op2, ...) \
    A64_SYSREG(ident, .name = #ident, .enc = A64_SYSREG_ENC(3, op1, 14, crm, op2), __VA_ARGS__)
#define EL(n)     .min_el = (n), .min_el_write = (n)
#define AT(field) .offset = offsetof(A64Cpu, field)
#define NOWHERE   .offset = -1

ROW(CNTFRQ_EL0, 3, 0, 0, .min_el = 0, .min_el_write = 3, AT(cntfrq), .reset = A64_COUNTER_HZ, .mask = 0xffffffff,
    .access = frequency_access);
ROW(CNTPCT_EL0, 3, 0, 1, .min_el = 0, .min_el_write = 9, NOWHERE, .read = read_physical, .access = physical_counter,
    .effects = SYSREG_TIME);
ROW(CNTVCT_EL0, 3, 0, 2, .min_el = 0, .min_el_write = 9, NOWHERE, .read = read_virtual, .access = virtual_counter,
    .effects = SYSREG_TIME);
ROW(CNTKCTL_EL1, 0, 1, 0, EL(1), AT(el1.cntkctl), .mask = 0x3ff, .e2h_enc = A64_SYSREG_ENC(3, 4, 14, 1, 0));
ROW(CNTKCTL_EL12, 5, 1, 0, EL(2), NOWHERE, .alias = A64_SYSREG_ENC(3, 0, 14, 1, 0), .access = e2h_only);
ROW(CNTHCTL_EL2, 4, 1, 0, EL(2), AT(el2.cnthctl), .reset = 3, .mask = 0xc0fff, .write = write_stored,
    .effects = SYSREG_TIME | SYSREG_IRQ);
ROW(CNTVOFF_EL2, 4, 0, 3, EL(2), AT(el2.cntvoff), .write = write_stored, .effects = SYSREG_TIME | SYSREG_IRQ);

/* ---- timers ---- */

/*
 * CTL, CVAL and TVAL of one timer. @op1, @crm: where its registers are; e2h: the CRm at op1 4 of the timer
 * that E2H puts in its place, 0: none. TVAL is the signed 32-bit distance to CVAL.
 */
#define TIMER_FUNCTIONS(ident, which)                                                                             \
    static uint64_t ident##_read_ctl(A64Cpu *cpu, const A64Sysreg *r)                                             \
    {                                                                                                             \
        TimerState t = timer_state(cpu, which);                                                                   \
        bool       met = (*t.ctl & CTL_ENABLE) && condition_met(&t, a64_physical_count(cpu));                     \
        return *t.ctl | (met ? CTL_ISTATUS : 0);                                                                  \
    }                                                                                                             \
    static void ident##_write_ctl(A64Cpu *cpu, const A64Sysreg *r, uint64_t v)                                    \
    {                                                                                                             \
        *timer_state(cpu, which).ctl = v & (CTL_ENABLE | CTL_IMASK);                                              \
        a64_timers_update(cpu);                                                                                   \
    }                                                                                                             \
    static uint64_t ident##_read_tval(A64Cpu *cpu, const A64Sysreg *r)                                            \
    {                                                                                                             \
        TimerState t = timer_state(cpu, which);                                                                   \
        return (uint32_t)(*t.cval - (a64_physical_count(cpu) - t.offset));                                        \
    }                                                                                                             \
    static void ident##_write_tval(A64Cpu *cpu, const A64Sysreg *r, uint64_t v)                                   \
    {                                                                                                             \
        TimerState t = timer_state(cpu, which);                                                                   \
        *t.cval = a64_physical_count(cpu) - t.offset + (uint64_t)sign_extend64(v, 32);                            \
        a64_timers_update(cpu);                                                                                   \
    }

#define TIMER_EFFECTS .effects = SYSREG_TIME | SYSREG_IRQ
#define E2H_ENC(crm, op2) ((crm) != 0 ? A64_SYSREG_ENC(3, 4, 14, (crm), (op2)) : 0)

#define TIMER_ROWS(ident, suffix, which, el, op1, crm, e2h_crm, field, check)                                      \
    TIMER_FUNCTIONS(ident, which)                                                                                 \
    ROW(ident##_TVAL_##suffix, op1, crm, 0, EL(el), NOWHERE, .read = ident##_read_tval, .write = ident##_write_tval, \
        .access = check, .e2h_enc = E2H_ENC(e2h_crm, 0), TIMER_EFFECTS);                                          \
    ROW(ident##_CTL_##suffix, op1, crm, 1, EL(el), AT(field##_ctl), .read = ident##_read_ctl,                     \
        .write = ident##_write_ctl, .access = check, .e2h_enc = E2H_ENC(e2h_crm, 1), TIMER_EFFECTS);              \
    ROW(ident##_CVAL_##suffix, op1, crm, 2, EL(el), AT(field##_cval), .write = write_stored, .access = check,     \
        .e2h_enc = E2H_ENC(e2h_crm, 2), TIMER_EFFECTS)

#define EL02_ROWS(ident, crm)                                                                                     \
    ROW(ident##_TVAL_EL02, 5, crm, 0, EL(2), NOWHERE, .alias = A64_SYSREG_ENC(3, 3, 14, crm, 0),                  \
        .access = e2h_only, TIMER_EFFECTS);                                                                       \
    ROW(ident##_CTL_EL02, 5, crm, 1, EL(2), NOWHERE, .alias = A64_SYSREG_ENC(3, 3, 14, crm, 1),                   \
        .access = e2h_only, TIMER_EFFECTS);                                                                       \
    ROW(ident##_CVAL_EL02, 5, crm, 2, EL(2), NOWHERE, .alias = A64_SYSREG_ENC(3, 3, 14, crm, 2),                  \
        .access = e2h_only, TIMER_EFFECTS)

TIMER_ROWS(CNTP, EL0, A64_TIMER_PHYS, 0, 3, 2, 2, el1.cntp, physical_timer);
TIMER_ROWS(CNTV, EL0, A64_TIMER_VIRT, 0, 3, 3, 3, el1.cntv, virtual_timer);
TIMER_ROWS(CNTHP, EL2, A64_TIMER_HYP, 2, 4, 2, 0, el2.cnthp, NULL);
TIMER_ROWS(CNTHV, EL2, A64_TIMER_HYP_VIRT, 2, 4, 3, 0, el2.cnthv, NULL);
TIMER_ROWS(CNTHVS, EL2, A64_TIMER_SEC_HYP_VIRT, 2, 4, 4, 0, el2.cnthvs, secure_hyp_timer);
TIMER_ROWS(CNTHPS, EL2, A64_TIMER_SEC_HYP, 2, 4, 5, 0, el2.cnthps, secure_hyp_timer);
TIMER_ROWS(CNTPS, EL1, A64_TIMER_SEC, 1, 7, 2, 0, el3.cntps, secure_timer);
EL02_ROWS(CNTP, 2);
EL02_ROWS(CNTV, 3);
