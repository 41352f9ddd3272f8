/*
 * Performance monitors: FEAT_PMUv3p5 with a cycle counter and A64_N_COUNTERS event counters of 64 bits, FEAT_HPMN0. Arm
 * DDI 0487, chapter "The Performance Monitors Extension", "PMU Event Descriptions", pseudocode CountPMUEvents().
 *
 * Nothing is counted one by one: the engine knows how many instructions a CPU has executed, and the counters take what
 * was added since they were looked at last. They are looked at when a register of theirs is accessed, when the level or
 * the state changes by which they are filtered, and when one of them overflows, which is a deadline of the clock: its
 * interrupt is taken before the instruction after the one that made it overflow.
 *
 * A cycle is an instruction, as a nanosecond is; so that none stalls, and a CPU that waits has no cycles. Caches and
 * branch prediction are not modelled, so that their events, some of which the architecture requires where there are
 * caches, are not there. No FEAT_PMUv3p7 (freezing), no fine-grained traps, no external interface.
 */
#include "cpu/a64/system.h"

#define CYCLE_COUNTER  31u
#define PMCR_E         BIT(0)
#define PMCR_P         BIT(1)
#define PMCR_C         BIT(2)
#define PMCR_DP        BIT(5)
#define PMCR_LC        BIT(6) /* RES1 without AArch32, which D goes with */
#define PMCR_LP        BIT(7)
#define PMCR_N_SHIFT   11
#define PMCR_STORED    (PMCR_E | PMCR_DP | PMCR_LP)
#define USER_EN        BIT(0)
#define USER_SW        BIT(1)
#define USER_CR        BIT(2)
#define USER_ER        BIT(3)
#define FILTER_P       BIT(31)
#define FILTER_U       BIT(30)
#define FILTER_NSK     BIT(29)
#define FILTER_NSU     BIT(28)
#define FILTER_NSH     BIT(27)
#define FILTER_M       BIT(26)
#define FILTER_SH      BIT(24)
#define FILTER_RLK     BIT(22)
#define FILTER_RLU     BIT(21)
#define FILTER_RLH     BIT(20)
#define FILTER_BITS                                                                                             \
    (FILTER_P | FILTER_U | FILTER_NSK | FILTER_NSU | FILTER_NSH | FILTER_M | FILTER_SH | FILTER_RLK | FILTER_RLU | \
     FILTER_RLH)
#define EVENT_BITS     0xffffull
#define ALL_COUNTERS   ((uint32_t)(BIT(CYCLE_COUNTER) | (BIT(A64_N_COUNTERS) - 1)))

/* "PMU Event Descriptions". The last three, which FEAT_PMUv3p1 and FEAT_PMUv3p4 require, never happen here. */
enum {
    EVENT_SW_INCR = 0x00, EVENT_INST_RETIRED = 0x08, EVENT_EXC_TAKEN = 0x09, EVENT_EXC_RETURN = 0x0a,
    EVENT_CPU_CYCLES = 0x11, EVENT_CHAIN = 0x1e, EVENT_STALL_FRONTEND = 0x23, EVENT_STALL_BACKEND = 0x24,
    EVENT_STALL = 0x3c,
};

/* ---- what counts ---- */

/* EffectiveHPMN(); a reserved value is as if it were the number of counters. */
static unsigned hpmn(uint64_t mdcr) { return (unsigned)MIN(mdcr & MDCR_HPMN, A64_N_COUNTERS); }

static unsigned first_range(const A64Cpu *cpu) { return hpmn(cpu->el2.mdcr); }

/* "Enabling PMU counters": the counters whose global enable control is 1. */
static uint32_t globally_enabled(const A64El1Regs *el1, uint64_t mdcr)
{
    uint32_t first = (uint32_t)(BIT(CYCLE_COUNTER) | (BIT(hpmn(mdcr)) - 1));

    return (el1->pmcr & PMCR_E ? first : 0) | (mdcr & MDCR_HPME ? ALL_COUNTERS & ~first : 0);
}

/* "Prohibiting counting": events here, by a counter in the first range or not. */
static bool events_prohibited(const A64Cpu *cpu, bool first)
{
    if ((cpu->security == PAS_SECURE || cpu->el == 3) && !(cpu->el3.mdcr & MDCR3_SPME)) {
        return true;
    }
    return cpu->el == 2 && first && (cpu->el2.mdcr & MDCR_HPMD);
}

static bool cycles_prohibited(const A64Cpu *cpu)
{
    if ((cpu->security == PAS_SECURE || cpu->el == 3) && (cpu->el3.mdcr & MDCR3_SCCD)) {
        return true;
    }
    if (cpu->el == 2 && (cpu->el2.mdcr & MDCR_HCCD)) {
        return true;
    }
    return (cpu->el1.pmcr & PMCR_DP) && events_prohibited(cpu, true);
}

/* "Filtering by Exception level and Security state": a bit of a state says that it differs from that of its level. */
static bool filtered(const A64Cpu *cpu, uint64_t filter)
{
    static const uint32_t user[PAS_N] = { [PAS_NONSECURE] = FILTER_NSU, [PAS_REALM] = FILTER_RLU };
    static const uint32_t kernel[PAS_N] = { [PAS_NONSECURE] = FILTER_NSK, [PAS_REALM] = FILTER_RLK };
    static const uint32_t hyp[PAS_N] = { [PAS_SECURE] = FILTER_SH, [PAS_REALM] = FILTER_RLH };
    bool                  p = filter & FILTER_P, u = filter & FILTER_U, nsh = filter & FILTER_NSH;

    switch (cpu->el) {
    case 0:
        return u != !!(filter & user[cpu->security]);
    case 1:
        return p != !!(filter & kernel[cpu->security]);
    case 2:
        return nsh == !!(filter & hyp[cpu->security]);
    default:
        return p != !!(filter & FILTER_M);
    }
}

static bool counts_here(const A64Cpu *cpu, unsigned n)
{
    if (n == CYCLE_COUNTER) {
        return !cycles_prohibited(cpu) && !filtered(cpu, cpu->el1.pmccfiltr);
    }
    return !events_prohibited(cpu, n < first_range(cpu)) && !filtered(cpu, cpu->el1.pmevtyper[n]);
}

static unsigned event_of(const A64Cpu *cpu, unsigned n)
{
    return n == CYCLE_COUNTER ? EVENT_CPU_CYCLES : cpu->el1.pmevtyper[n] & EVENT_BITS;
}

/* ---- counting ---- */

/* Whether a counter overflows from bit 63, not 31. "Behavior on overflow". */
static bool is_long(const A64Cpu *cpu, unsigned n)
{
    return n == CYCLE_COUNTER || (n < first_range(cpu) ? cpu->el1.pmcr & PMCR_LP : cpu->el2.mdcr & MDCR_HLP);
}

static uint64_t *counter_of(A64Cpu *cpu, unsigned n)
{
    return n == CYCLE_COUNTER ? &cpu->el1.pmccntr : &cpu->el1.pmevcntr[n];
}

/* AArch64.IncrementEventCounter(), AArch64.IncrementCycleCounter(): @k at once. */
static void add(A64Cpu *cpu, unsigned n, uint64_t k)
{
    uint64_t *counter = counter_of(cpu, n), before = *counter;
    bool      wide = is_long(cpu, n);

    *counter += k;
    uint64_t overflows = wide ? *counter < before : ((uint32_t)before + k) >> 32;
    if (overflows == 0) {
        return;
    }
    cpu->el1.pmovsset |= BIT(n);
    /* UNPREDICTABLE when the two are in different ranges: it does not count. */
    if (!wide && n % 2 == 0 && n + 1 < A64_N_COUNTERS && n + 1 != first_range(cpu) &&
        (cpu->pmu.counting & BIT(n + 1)) && event_of(cpu, n + 1) == EVENT_CHAIN) {
        add(cpu, n + 1, overflows);
    }
}

/* The counters see the instructions before the @at-th of the CPU, of which the last was given up if @aborted. */
static void advance(A64Cpu *cpu, uint64_t at, bool aborted)
{
    uint64_t cycles = at > cpu->pmu.at ? at - cpu->pmu.at : 0;

    cpu->pmu.at += cycles;
    for (uint32_t left = cycles != 0 ? cpu->pmu.counting : 0; left != 0; left &= left - 1) {
        unsigned n = (unsigned)__builtin_ctz(left), event = event_of(cpu, n);

        if (event == EVENT_CPU_CYCLES) {
            add(cpu, n, cycles);
        } else if (event == EVENT_INST_RETIRED) {
            add(cpu, n, cycles - aborted);
        }
    }
}

/* An event that is not time, to the counters in @mask. */
static void happens(A64Cpu *cpu, unsigned event, uint64_t mask)
{
    for (uint32_t left = cpu->pmu.counting & (uint32_t)mask; left != 0; left &= left - 1) {
        unsigned n = (unsigned)__builtin_ctz(left);

        if (event_of(cpu, n) == event) {
            add(cpu, n, 1);
        }
    }
}

/* ---- overflow ---- */

/* "Generating overflow interrupt requests". */
bool a64_pmu_requests(const A64El1Regs *el1, uint64_t mdcr)
{
    uint64_t asked = el1->pmovsset & el1->pmintenset;

    return asked != 0 && (asked & globally_enabled(el1, mdcr)) != 0;
}

static void update_level(A64Cpu *cpu)
{
    bool level = a64_pmu_requests(&cpu->el1, cpu->el2.mdcr);

    if (cpu->pmu.level != level) {
        cpu->pmu.level = level;
        if (cpu->pmu.irq.set != NULL) {
            cpu->pmu.irq.set(cpu->pmu.irq.opaque, cpu->pmu.irq.n, level);
        }
    }
}

/* How many of what time counts until one counter overflows; 0: more than there can be. */
static uint64_t to_overflow(A64Cpu *cpu)
{
    uint64_t least = UINT64_MAX;

    for (uint32_t left = cpu->pmu.counting; left != 0; left &= left - 1) {
        unsigned n = (unsigned)__builtin_ctz(left), event = event_of(cpu, n);

        if (event == EVENT_CPU_CYCLES || event == EVENT_INST_RETIRED) {
            uint64_t value = *counter_of(cpu, n);

            least = MIN(least, (is_long(cpu, n) ? 0 - value : BIT(32) - (uint32_t)value) - 1);
        }
    }
    return least + 1;
}

/* The deadline is where the CPU would be if it went on now and gave nothing up. Where it does not, nothing has
 * overflowed yet when the timer fires, and a64_attend() asks for the next one. */
void a64_pmu_arm(A64Cpu *cpu)
{
    uint64_t distance = to_overflow(cpu);
    int64_t  at = cpu_now(&cpu->cpu) + (int64_t)(cpu->pmu.at - cpu_insns(&cpu->cpu)), deadline = INT64_MAX;

    if (distance != 0 && distance < INT64_MAX && __builtin_add_overflow(at, (int64_t)distance, &deadline)) {
        deadline = INT64_MAX;
    }
    if (deadline != cpu->pmu.timer.deadline_ns) {
        timer_set(&cpu->pmu.timer, deadline);
    }
}

static uint32_t enabled_by(const A64Cpu *cpu)
{
    uint32_t set = (uint32_t)cpu->el1.pmcntenset;

    return set != 0 ? set & globally_enabled(&cpu->el1, cpu->el2.mdcr) : 0;
}

/* Registers, level or state may be others than before. */
static void derive(A64Cpu *cpu)
{
    A64Pmu *pmu = &cpu->pmu;

    pmu->enabled = enabled_by(cpu);
    pmu->counting = 0;
    for (uint32_t left = pmu->enabled; left != 0; left &= left - 1) {
        unsigned n = (unsigned)__builtin_ctz(left);

        pmu->counting |= counts_here(cpu, n) ? (uint32_t)BIT(n) : 0;
    }
    update_level(cpu);
    a64_pmu_arm(cpu);
}

/* The counters see what was executed so far. */
static void catch_up(A64Cpu *cpu) { advance(cpu, cpu_insns(&cpu->cpu), false); }

/* Each world's switch comes here. While nothing is enabled, pmu.at stays behind: that counts for nobody. */
void a64_pmu_update(A64Cpu *cpu)
{
    if (cpu->pmu.enabled == 0 && enabled_by(cpu) == 0) {
        update_level(cpu);
        return;
    }
    catch_up(cpu);
    derive(cpu);
}

/* "Exception-related events": they count where the exception comes from. */
void a64_pmu_exception(A64Cpu *cpu, const A64Exception *exc)
{
    bool sync = exc->kind == A64_EXC_SYNC; /* else it came between two instructions */

    advance(cpu, cpu_insns(&cpu->cpu) + sync, sync && exc->return_pc == cpu_current_pc(&cpu->cpu));
    happens(cpu, EVENT_EXC_TAKEN, ALL_COUNTERS);
    derive(cpu);
}

void a64_pmu_eret(A64Cpu *cpu)
{
    advance(cpu, cpu_insns(&cpu->cpu) + 1, false);
    happens(cpu, EVENT_EXC_RETURN, ALL_COUNTERS);
}

static void overflowed(void *opaque)
{
    A64Cpu *cpu = opaque;

    catch_up(cpu);
    update_level(cpu);
}

void a64_pmu_init(A64Cpu *cpu)
{
    timer_init(&cpu->pmu.timer, cpu->cpu.clock, overflowed, cpu);
}

/* ---- access checks ---- */

/* GetNumEventCountersAccessible(), and GetPMUAccessMask() of the same and the cycle counter. */
static unsigned accessible(const A64Cpu *cpu)
{
    return cpu->el < 2 && a64_el2_enabled(cpu) ? first_range(cpu) : A64_N_COUNTERS;
}

static uint32_t accessible_mask(const A64Cpu *cpu)
{
    return (uint32_t)(BIT(CYCLE_COUNTER) | (BIT(accessible(cpu)) - 1));
}

/* @user: bits of PMUSERENR_EL0 of which one lets EL0 in, 0: it is; @el2: bits of MDCR_EL2 that trap. @n: of the event
 * counter; one that is there but not accessible is UNDEFINED, which is permitted without fine-grained traps. */
static A64Access check(const A64Cpu *cpu, uint64_t user, uint64_t el2, unsigned n)
{
    if (cpu->el == 0 && user != 0 && !(cpu->el1.pmuserenr & user)) {
        return A64_TRAP_EL1;
    }
    if (cpu->el < 2 && a64_el2_enabled(cpu) && (cpu->el2.mdcr & el2)) {
        return A64_TRAP_EL2;
    }
    if (n != CYCLE_COUNTER && n >= accessible(cpu)) {
        return A64_UNDEF;
    }
    return cpu->el < 3 && (cpu->el3.mdcr & MDCR_TPM) ? A64_TRAP_EL3 : A64_OK;
}

static A64Access plain(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    return check(cpu, USER_EN, MDCR_TPM, CYCLE_COUNTER);
}

static A64Access control(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    return check(cpu, USER_EN, MDCR_TPM | MDCR_TPMCR, CYCLE_COUNTER);
}

static A64Access increment(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    return check(cpu, USER_EN | USER_SW, MDCR_TPM, CYCLE_COUNTER);
}

static A64Access cycles(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    return check(cpu, USER_EN | (write ? 0 : USER_CR), MDCR_TPM, CYCLE_COUNTER);
}

static A64Access selector(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    return check(cpu, USER_EN | USER_ER, MDCR_TPM, CYCLE_COUNTER);
}

/* PMUSERENR_EL0 does not stand in its own way. */
static A64Access user_enable(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    return check(cpu, 0, MDCR_TPM, CYCLE_COUNTER);
}

/* The number of PMEVCNTR<n>_EL0 and PMEVTYPER<n>_EL0: CRm<1:0>:op2. */
static unsigned number_of(const A64Sysreg *r) { return r->enc & 31; }

static A64Access counter(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    return check(cpu, USER_EN | (write ? 0 : USER_ER), MDCR_TPM, number_of(r));
}

static A64Access type(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    return check(cpu, USER_EN, MDCR_TPM, number_of(r));
}

static A64Access selected_counter(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    unsigned n = (unsigned)cpu->el1.pmselr;

    return n >= A64_N_COUNTERS ? A64_UNDEF : check(cpu, USER_EN | (write ? 0 : USER_ER), MDCR_TPM, n);
}

static A64Access selected_type(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    unsigned n = (unsigned)cpu->el1.pmselr;

    return n >= A64_N_COUNTERS && n != CYCLE_COUNTER ? A64_UNDEF : check(cpu, USER_EN, MDCR_TPM, n);
}

/* ---- registers ---- */

static uint64_t *storage(A64Cpu *cpu, const A64Sysreg *r) { return (uint64_t *)((uint8_t *)cpu + r->offset); }

static uint64_t read_counted(A64Cpu *cpu, const A64Sysreg *r)
{
    catch_up(cpu);
    return *storage(cpu, r);
}

void a64_pmu_write(A64Cpu *cpu, const A64Sysreg *r, uint64_t value)
{
    catch_up(cpu);
    *storage(cpu, r) = value;
    derive(cpu);
}

/* PMXEVCNTR_EL0 and PMXEVTYPER_EL0 are those of PMSELR_EL0.SEL. */
static const A64Sysreg *selected(const A64Cpu *cpu, unsigned crm)
{
    unsigned n = (unsigned)cpu->el1.pmselr;

    return a64_sysreg_find(n == CYCLE_COUNTER ? A64_SYSREG_ENC(3, 3, 14, 15, 7)
                                              : A64_SYSREG_ENC(3, 3, 14, crm | n >> 3, n & 7));
}

static uint64_t read_selected_counter(A64Cpu *cpu, const A64Sysreg *r)
{
    return a64_sysreg_get(cpu, selected(cpu, 8));
}

static void write_selected_counter(A64Cpu *cpu, const A64Sysreg *r, uint64_t v)
{
    a64_sysreg_set(cpu, selected(cpu, 8), v);
}

static uint64_t read_selected_type(A64Cpu *cpu, const A64Sysreg *r)
{
    return a64_sysreg_get(cpu, selected(cpu, 12));
}

static void write_selected_type(A64Cpu *cpu, const A64Sysreg *r, uint64_t v)
{
    a64_sysreg_set(cpu, selected(cpu, 12), v);
}

static uint64_t read_pmcr(A64Cpu *cpu, const A64Sysreg *r)
{
    return cpu->el1.pmcr | PMCR_LC | (uint64_t)accessible(cpu) << PMCR_N_SHIFT;
}

static void write_pmcr(A64Cpu *cpu, const A64Sysreg *r, uint64_t v)
{
    catch_up(cpu);
    cpu->el1.pmcr = v & PMCR_STORED;
    if (v & PMCR_C) {
        cpu->el1.pmccntr = 0;
    }
    for (unsigned n = 0; (v & PMCR_P) && n < accessible(cpu); n++) {
        cpu->el1.pmevcntr[n] = 0;
    }
    derive(cpu);
}

/* The bits of counters that are not accessible are RAZ/WI. */
static uint64_t read_bits(A64Cpu *cpu, const A64Sysreg *r)
{
    return read_counted(cpu, r) & accessible_mask(cpu);
}

static void set_bits(A64Cpu *cpu, const A64Sysreg *r, uint64_t v)
{
    catch_up(cpu);
    *storage(cpu, r) |= v & accessible_mask(cpu);
    derive(cpu);
}

static void clear_bits(A64Cpu *cpu, const A64Sysreg *r, uint64_t v)
{
    catch_up(cpu);
    *storage(cpu, r) &= ~(v & accessible_mask(cpu));
    derive(cpu);
}

static void write_pmswinc(A64Cpu *cpu, const A64Sysreg *r, uint64_t v)
{
    catch_up(cpu);
    happens(cpu, EVENT_SW_INCR, v & accessible_mask(cpu) & ~BIT(CYCLE_COUNTER));
    derive(cpu);
}

#define ROW(ident, op1, crn, crm, op2, ...) \
    A64_SYSREG(ident, .name = #ident, .enc = A64_SYSREG_ENC(3, op1, crn, crm, op2), __VA_ARGS__)
#define EL(n)     .min_el = (n), .min_el_write = (n)
#define EL_RO(n)  .min_el = (n), .min_el_write = 9
#define EL_WO(n)  .min_el = 9, .min_el_write = (n)
#define AT(field) .offset = offsetof(A64Cpu, el1.field)
#define NOWHERE   .offset = -1
#define COUNTS    .effects = SYSREG_TIME | SYSREG_IRQ

ROW(PMCR_EL0, 3, 9, 12, 0, EL(0), AT(pmcr), .access = control, .read = read_pmcr, .write = write_pmcr, COUNTS);
ROW(PMCNTENSET_EL0, 3, 9, 12, 1, EL(0), AT(pmcntenset), .access = plain,
    .read = read_bits, .write = set_bits, COUNTS);
ROW(PMCNTENCLR_EL0, 3, 9, 12, 2, EL(0), AT(pmcntenset), .access = plain,
    .read = read_bits, .write = clear_bits, COUNTS);
ROW(PMOVSCLR_EL0, 3, 9, 12, 3, EL(0), AT(pmovsset), .access = plain,
    .read = read_bits, .write = clear_bits, COUNTS);
ROW(PMSWINC_EL0, 3, 9, 12, 4, EL_WO(0), NOWHERE, .access = increment, .write = write_pmswinc, COUNTS);
ROW(PMSELR_EL0, 3, 9, 12, 5, EL(0), AT(pmselr), .access = selector, .mask = 31);
ROW(PMCEID0_EL0, 3, 9, 12, 6, EL_RO(0), NOWHERE, .access = plain,
    .reset = BIT(EVENT_SW_INCR) | BIT(EVENT_INST_RETIRED) | BIT(EVENT_EXC_TAKEN) | BIT(EVENT_EXC_RETURN) |
             BIT(EVENT_CPU_CYCLES) | BIT(EVENT_CHAIN));
ROW(PMCEID1_EL0, 3, 9, 12, 7, EL_RO(0), NOWHERE, .access = plain,
    .reset = BIT(EVENT_STALL_FRONTEND - 32) | BIT(EVENT_STALL_BACKEND - 32) | BIT(EVENT_STALL - 32));
ROW(PMCCNTR_EL0, 3, 9, 13, 0, EL(0), AT(pmccntr), .access = cycles,
    .read = read_counted, .write = a64_pmu_write, COUNTS);
ROW(PMXEVTYPER_EL0, 3, 9, 13, 1, EL(0), NOWHERE, .access = selected_type, .read = read_selected_type,
    .write = write_selected_type, COUNTS);
ROW(PMXEVCNTR_EL0, 3, 9, 13, 2, EL(0), NOWHERE, .access = selected_counter, .read = read_selected_counter,
    .write = write_selected_counter, COUNTS);
ROW(PMUSERENR_EL0, 3, 9, 14, 0, .min_el = 0, .min_el_write = 1, AT(pmuserenr), .access = user_enable, .mask = 15);
ROW(PMINTENSET_EL1, 0, 9, 14, 1, EL(1), AT(pmintenset), .access = plain,
    .read = read_bits, .write = set_bits, COUNTS);
ROW(PMINTENCLR_EL1, 0, 9, 14, 2, EL(1), AT(pmintenset), .access = plain,
    .read = read_bits, .write = clear_bits, COUNTS);
ROW(PMOVSSET_EL0, 3, 9, 14, 3, EL(0), AT(pmovsset), .access = plain,
    .read = read_bits, .write = set_bits, COUNTS);
ROW(PMMIR_EL1, 0, 9, 14, 6, EL_RO(1), NOWHERE, .access = plain); /* no slots, no thresholds */
ROW(PMCCFILTR_EL0, 3, 14, 15, 7, EL(0), AT(pmccfiltr), .access = plain, .mask = FILTER_BITS, .write = a64_pmu_write,
    COUNTS);

#define COUNTER_ROWS(n)                                                                                          \
    A64_SYSREG(PMEVCNTR##n, .name = "PMEVCNTR" #n "_EL0", .enc = A64_SYSREG_ENC(3, 3, 14, 8 + (n) / 8, (n) % 8),     \
               EL(0), AT(pmevcntr[n]), .access = counter, .read = read_counted, .write = a64_pmu_write, COUNTS); \
    A64_SYSREG(PMEVTYPER##n, .name = "PMEVTYPER" #n "_EL0", .enc = A64_SYSREG_ENC(3, 3, 14, 12 + (n) / 8, (n) % 8), \
               EL(0), AT(pmevtyper[n]), .access = type, .mask = FILTER_BITS | EVENT_BITS, .write = a64_pmu_write, \
               COUNTS)

COUNTER_ROWS(0);
COUNTER_ROWS(1);
COUNTER_ROWS(2);
COUNTER_ROWS(3);
COUNTER_ROWS(4);
COUNTER_ROWS(5);
COUNTER_ROWS(6);
COUNTER_ROWS(7);
