/*
 * The monitor's services to the Normal world, called by code at NS-EL2 and NS-EL1: SMCCC (DEN0028) and PSCI (DEN0022).
 * A row is a call and its answer; what a call does besides has a test of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "rmm_rig.h"

enum { CODE_PAGE = 64, OTHER_PAGE = 65, SPSR_EL2H = 0x3c9, SPSR_EL1H = 0x3c5, MARK = 77 };

#define HCR_RW  BIT(31)
#define SUCCESS 0
#define NOT_SUPPORTED      ((uint64_t)-1)
#define INVALID_PARAMETERS ((uint64_t)-2)
#define ALREADY_ON         ((uint64_t)-4)
#define HIGH               0xabcdef0100000000ull /* what an SMC32 call must not look at */

static Rig         *rig;
static MonitorEvent last_event;
static unsigned     n_events;

static void note_event(void *opaque, MonitorEvent ev)
{
    last_event = ev;
    n_events++;
}

/* At CODE_PAGE: SMC, x5 = MARK, stay. CPU 0 is on, as the board starts it; CPU 1 is off. */
static int setup(void **state)
{
    Code code = { { 0 }, 0 };

    rig = rig_new();
    code_word(&code, A64_SMC);
    code_mov(&code, 5, MARK);
    code_word(&code, A64_B_SELF);
    memcpy(rig_bytes(rig, PAGE(CODE_PAGE)), code.word, 4 * code.n);
    memcpy(rig_bytes(rig, PAGE(OTHER_PAGE)), code.word, 4 * code.n);
    memory_dirty(rig->memory, PAGE(CODE_PAGE), 2 * 4096);
    for (unsigned i = 0; i < RIG_CPUS; i++) {
        rmm_cpu(rig->rmm, rig->cpu[i])->builtin = false;
        monitor_start(rig->monitor, rig->cpu[i], PAGE(CODE_PAGE), 0);
        rig->cpu[i]->cpu.party = false;
        rig->cpu[i]->off = i != 0;
    }
    n_events = 0;
    monitor_on_event(rig->monitor, note_event, NULL);
    return 0;
}

static int teardown(void **state)
{
    rig_free(rig);
    return 0;
}

static CpuStop go(A64Cpu *cpu)
{
    uint64_t used;

    return cpu_run(&cpu->cpu, clock_now(rig->clock), 20, &used);
}

/* One call from the code page; x0 as it came back. */
static uint64_t call(A64Cpu *cpu, unsigned el, const uint64_t x[4])
{
    cpu->el2.hcr = HCR_RW;
    a64_enter(cpu, PAS_NONSECURE, PAGE(CODE_PAGE), el == 2 ? SPSR_EL2H : SPSR_EL1H);
    memset(cpu->x, 0, sizeof(cpu->x));
    memcpy(cpu->x, x, 4 * sizeof(x[0]));
    go(cpu);
    return cpu->x[0];
}

#define call0(...) call(rig->cpu[0], 2, (const uint64_t[4]){ __VA_ARGS__ })

/* ---- answers ---- */

typedef struct CallRow {
    const char *name;   /* opens with the name of the function */
    uint64_t    x[4];
    uint64_t    answer;
    bool        ends;   /* the call does not return */
    unsigned    el;     /* 0: 2 */
} CallRow;

static const CallRow call_rows[] = {
    { "SMCCC_VERSION", { 0x80000000 }, 0x10002 },
    { "SMCCC_VERSION at EL1", { 0x80000000 }, 0x10002, .el = 1 },
    { "SMCCC_VERSION, SMC64: there is none", { 0xc0000000 }, NOT_SUPPORTED },
    { "SMCCC_ARCH_FEATURES of itself", { 0x80000001, 0x80000001 }, SUCCESS },
    { "SMCCC_ARCH_FEATURES of SMCCC_VERSION", { 0x80000001, 0x80000000 }, SUCCESS },
    { "SMCCC_ARCH_FEATURES, high half ignored", { HIGH | 0x80000001, HIGH | 0x80000000 }, SUCCESS },
    { "SMCCC_ARCH_FEATURES of a workaround", { 0x80000001, 0x80008000 }, NOT_SUPPORTED },
    { "SMCCC_ARCH_FEATURES of a PSCI function", { 0x80000001, 0x84000000 }, NOT_SUPPORTED },
    { "PSCI_VERSION", { 0x84000000 }, 0x10001 },
    { "PSCI_VERSION at EL1", { 0x84000000 }, 0x10001, .el = 1 },
    { "PSCI_VERSION with the SVE hint", { 0x84010000 }, 0x10001 },
    { "PSCI_VERSION, SMC64: there is none", { 0xc4000000 }, NOT_SUPPORTED },
    { "PSCI_FEATURES of CPU_ON", { 0x8400000a, 0x84000003 }, SUCCESS },
    { "PSCI_FEATURES of CPU_ON, SMC64", { 0x8400000a, 0xc4000003 }, SUCCESS },
    { "PSCI_FEATURES of CPU_SUSPEND: original format, no OS initiated mode", { 0x8400000a, 0xc4000001 }, SUCCESS },
    { "PSCI_FEATURES of CPU_OFF, SMC64: there is none", { 0x8400000a, 0xc4000002 }, NOT_SUPPORTED },
    { "PSCI_FEATURES of SYSTEM_RESET2, SMC64", { 0x8400000a, 0xc4000012 }, SUCCESS },
    { "PSCI_FEATURES of SMCCC_VERSION", { 0x8400000a, 0x80000000 }, SUCCESS },
    { "PSCI_FEATURES of SMCCC_ARCH_FEATURES", { 0x8400000a, 0x80000001 }, NOT_SUPPORTED },
    { "PSCI_FEATURES of MIGRATE", { 0x8400000a, 0x84000005 }, NOT_SUPPORTED },
    { "MIGRATE_INFO_TYPE: no Trusted OS", { 0x84000006 }, 2 },
    { "AFFINITY_INFO of the other", { 0xc4000004, 1, 0 }, 1 },
    { "AFFINITY_INFO of itself", { 0xc4000004, 0, 0 }, 0 },
    { "AFFINITY_INFO, SMC32", { 0x84000004, HIGH | 1, HIGH }, 1 },
    { "AFFINITY_INFO of none", { 0xc4000004, 9, 0 }, INVALID_PARAMETERS },
    { "AFFINITY_INFO of none, in Aff3", { 0xc4000004, 1ull << 32, 0 }, INVALID_PARAMETERS },
    { "AFFINITY_INFO of level 1", { 0xc4000004, 0, 1 }, INVALID_PARAMETERS },
    { "CPU_ON of none", { 0xc4000003, 9 }, INVALID_PARAMETERS },
    { "CPU_ON of itself", { 0xc4000003, 0 }, ALREADY_ON },
    { "CPU_ON of the other", { 0xc4000003, 1, PAGE(OTHER_PAGE), 55 }, SUCCESS },
    { "CPU_ON, SMC32", { 0x84000003, HIGH | 1, HIGH | PAGE(OTHER_PAGE), HIGH | 55 }, SUCCESS },
    { "CPU_ON, SMC64, of none in the high half", { 0xc4000003, HIGH | 1 }, INVALID_PARAMETERS },
    { "CPU_OFF", { 0x84000002 }, 0, .ends = true },
    { "CPU_OFF, SMC64: there is none", { 0xc4000002 }, NOT_SUPPORTED },
    { "SYSTEM_OFF", { 0x84000008 }, 0, .ends = true },
    { "SYSTEM_RESET", { 0x84000009 }, 0, .ends = true },
    { "SYSTEM_RESET2, SMC32", { 0x84000012, HIGH }, 0, .ends = true },
    { "SYSTEM_RESET2, SMC64", { 0xc4000012 }, 0, .ends = true },
    { "SYSTEM_RESET2 of an unknown type", { 0xc4000012, 5 }, INVALID_PARAMETERS },
    { "SYSTEM_RESET2 of a vendor's type", { 0xc4000012, 0x80000000 }, INVALID_PARAMETERS },
    { "RMI_VERSION", { SMC64_STD(RMI_FID_VERSION), 0x10000 }, RMI_SUCCESS },
    { "RMI_VERSION at EL1", { SMC64_STD(RMI_FID_VERSION), 0x10000 }, NOT_SUPPORTED, .el = 1 },
    { "RSI at NS-EL2", { SMC64_STD(RSI_FID_VERSION), 0x10000 }, NOT_SUPPORTED },
    { "RMI that is not there", { SMC64_STD(0x18E) }, NOT_SUPPORTED },
    { "SMC32 of an RMI number", { 0x84000150, 0x10000 }, NOT_SUPPORTED },
    { "MIGRATE", { 0x84000005 }, NOT_SUPPORTED },
    { "unknown", { 0x12345678 }, NOT_SUPPORTED },
};

static void test_calls(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(call_rows); i++) {
        const CallRow *row = &call_rows[i];
        unsigned       el = row->el != 0 ? row->el : 2;

        print_message("%s\n", row->name);
        setup(state);
        A64Cpu  *cpu = rig->cpu[0];
        uint64_t x0 = call(cpu, el, row->x);

        assert_int_equal(cpu->off, row->ends);
        assert_int_equal(cpu->x[5], row->ends ? 0 : MARK);
        assert_int_equal(cpu->el, el);
        if (!row->ends) {
            assert_int_equal(x0, row->answer);
        }
        teardown(state);
    }
}

/* ---- what calls do ---- */

/* DEN0022, "CPU_ON", "Initial CPU state": at EL2 with everything masked, MMU and caches off, x0 the context. */
static void test_cpu_on(void **state)
{
    static const uint64_t fids[] = { 0xc4000003, 0x84000003 };
    A64Cpu               *target = rig->cpu[1];

    for (size_t i = 0; i < ARRAY_LEN(fids); i++) {
        uint64_t context = HIGH | 55;

        target->off = true;
        target->x[1] = target->el2.vbar = 99;
        target->el2.sctlr |= 1;
        assert_int_equal(call0(fids[i], 1, PAGE(OTHER_PAGE), context), SUCCESS);
        assert_false(target->off);
        assert_int_equal(target->pc, PAGE(OTHER_PAGE));
        assert_int_equal(target->x[0], fids[i] & BIT(30) ? context : (uint32_t)context);
        assert_int_equal(target->el, 2);
        assert_int_equal(target->security, PAS_NONSECURE);
        assert_int_equal(target->el2.sctlr & (BIT(0) | BIT(2) | BIT(12)), 0); /* M, C, I */
        assert_int_equal(call0(fids[i], 1, PAGE(OTHER_PAGE), 0), ALREADY_ON);
        assert_int_equal(target->x[0], fids[i] & BIT(30) ? context : (uint32_t)context);
    }
    uint64_t waker;

    gicv3_redist_ops.read(rig->gic, 0x20014, 4, (MemAttrs){ .pas = PAS_NONSECURE }, &waker);
    assert_int_equal(waker, 0); /* its redistributor is awake */
    target->x[0] = 0x84000000;  /* and it runs */
    go(target);
    assert_int_equal(target->x[0], 0x10001);
    assert_int_equal(target->x[5], MARK);
}

/* "CPU_OFF": seen by AFFINITY_INFO; the CPU takes no interrupt, and can be switched on again. */
static void test_cpu_off(void **state)
{
    A64Cpu *other = rig->cpu[1];

    assert_int_equal(call0(0xc4000003, 1, PAGE(OTHER_PAGE), 0), SUCCESS);
    other->x[0] = 0x84000002;
    go(other);
    assert_true(other->off);
    assert_int_equal(other->x[5], 0);
    assert_int_equal(n_events, 0);
    assert_int_equal(call0(0xc4000004, 1, 0), 1);
    a64_set_line(other, A64_LINE_IRQ, true);
    go(other);
    assert_int_equal(other->x[5], 0);
    a64_set_line(other, A64_LINE_IRQ, false);
    assert_int_equal(call0(0xc4000003, 1, PAGE(CODE_PAGE), 7), SUCCESS);
    assert_int_equal(other->pc, PAGE(CODE_PAGE));
    assert_int_equal(other->x[0], 7);
    assert_int_equal(call0(0xc4000004, 1, 0), 0);
}

/* "CPU_SUSPEND": a standby, whatever state was asked for; an interrupt ends it, masked or not, and nothing is lost. */
static void test_cpu_suspend(void **state)
{
    static const uint64_t fids[] = { 0xc4000001, 0x84000001 };
    A64Cpu               *cpu = rig->cpu[0];

    for (size_t i = 0; i < ARRAY_LEN(fids); i++) {
        call0(fids[i], 0x00010000, PAGE(OTHER_PAGE), 55); /* power down, if that were offered */
        assert_true(cpu->cpu.waiting);
        assert_int_equal(cpu->x[5], 0);
        go(cpu);
        assert_int_equal(cpu->x[5], 0);
        a64_set_line(cpu, A64_LINE_IRQ, true);
        go(cpu);
        assert_int_equal(cpu->x[0], SUCCESS);
        assert_int_equal(cpu->x[2], PAGE(OTHER_PAGE));
        assert_int_equal(cpu->x[5], MARK);
        assert_int_equal(cpu->el, 2);
        a64_set_line(cpu, A64_LINE_IRQ, false);
    }
}

static void test_system_events(void **state)
{
    static const struct {
        uint64_t     x0, x1;
        MonitorEvent ev;
        bool         happens;
    } rows[] = {
        { 0x84000008, 0, MONITOR_SYSTEM_OFF, true },   { 0x84000009, 0, MONITOR_SYSTEM_RESET, true },
        { 0x84000012, 0, MONITOR_SYSTEM_RESET, true }, { 0xc4000012, 0, MONITOR_SYSTEM_RESET, true },
        { 0xc4000012, 5, MONITOR_SYSTEM_RESET, false }, { 0xc4000008, 0, MONITOR_SYSTEM_OFF, false },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        n_events = 0;
        rig->cpu[0]->off = false;
        call0(rows[i].x0, rows[i].x1);
        assert_int_equal(n_events, rows[i].happens);
        assert_int_equal(rig->cpu[0]->off, rows[i].happens);
        assert_true(!rows[i].happens || last_event == rows[i].ev);
    }
}

/* ---- what is listed ---- */

/* CPU_SUSPEND does not come back by itself and has its own test. */
static bool has_row(uint32_t fid, const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(call_rows); i++) {
        if ((call_rows[i].x[0] & ~(HIGH | BIT(30))) == fid && g_str_has_prefix(call_rows[i].name, name)) {
            return true;
        }
    }
    return strcmp(name, "CPU_SUSPEND") == 0 && fid == 0x84000001;
}

static void check_listed(void *opaque, const RmmFunction *f)
{
    if (strcmp(f->iface, "SMC") == 0) {
        if (!has_row(f->fid, f->name)) {
            fail_msg("%s is listed, and no row here calls it", f->name);
        }
        ++*(unsigned *)opaque;
    }
}

static void test_conformance(void **state)
{
    unsigned n = 0;

    rmm_conformance(check_listed, &n);
    assert_int_equal(n, 12);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls), T(test_cpu_on),        T(test_cpu_off),
        T(test_cpu_suspend),          T(test_system_events), cmocka_unit_test(test_conformance),
    };

    return cmocka_run_group_tests_name("monitor", tests, NULL, NULL);
}
