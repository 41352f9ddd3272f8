/* Generic timers: counts from guest time, deadlines, level outputs, offsets, traps. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "a64_machine.h"

typedef struct Lines {
    bool     level[A64_N_TIMERS];
    unsigned changes;
} Lines;

static void set_line(void *opaque, unsigned n, bool level)
{
    Lines *l = opaque;

    l->level[n] = level;
    l->changes++;
}

static void setup(TestMachine *t, Lines *l, unsigned el)
{
    test_machine_init(t);
    *l = (Lines){ 0 };
    for (unsigned n = 0; n < A64_N_TIMERS; n++) {
        t->cpu->timer_irq[n].set = set_line;
        t->cpu->timer_irq[n].opaque = l;
        t->cpu->timer_irq[n].n = n;
    }
    a64_enter(t->cpu, PAS_NONSECURE, 0x1000, 0x3c0 | el << 2 | 1);
}

static void wr(TestMachine *t, const char *name, uint64_t v)
{
    assert_true(a64_msr(t->cpu, a64_sysreg_by_name(name)->enc, 0, v));
}

static uint64_t rd(TestMachine *t, const char *name)
{
    uint64_t v;

    assert_true(a64_mrs(t->cpu, a64_sysreg_by_name(name)->enc, 0, &v));
    return v;
}

static void test_counts(void **state)
{
    TestMachine t;
    Lines       l;

    setup(&t, &l, 2);
    assert_int_equal(rd(&t, "CNTFRQ_EL0"), 62500000);
    clock_advance(t.clock, 1000000000);
    assert_int_equal(rd(&t, "CNTPCT_EL0"), 62500000);
    wr(&t, "CNTVOFF_EL2", 500);
    assert_int_equal(rd(&t, "CNTVCT_EL0"), 62500000 - 500);
    t.cpu->el2.hcr |= HCR_E2H; /* EL2 with E2H sees no offset */
    assert_int_equal(rd(&t, "CNTVCT_EL0"), 62500000);
    test_machine_free(&t);
}

/* The CPUs of a window run one after the other from its start. One that runs later does not see a count behind what an
 * earlier one has read, nor does its timer say that such a count is still to come. */
static void test_never_back(void **state)
{
    static const char *const reads[] = { "CNTPCT_EL0", "CNTVCT_EL0", "CNTP_TVAL_EL0" };
    TestMachine t;
    Lines       l;

    setup(&t, &l, 2);
    for (unsigned i = 0; i < ARRAY_LEN(reads); i++) {
        int64_t start = 100000 * (i + 1);

        clock_advance(t.clock, start + 20000);
        (void)a64_sysreg_peek(t.cpu, a64_sysreg_by_name(reads[i])); /* a debugger changes nothing */
        assert_int_equal(clock_seen(t.clock), start + 20000);
        clock_rewind(t.clock, start + 16);
        assert_int_equal(clock_seen(t.clock), start + 16);
        clock_advance(t.clock, start + 20000);
        (void)rd(&t, reads[i]);
        clock_rewind(t.clock, start + 16);
        assert_int_equal(rd(&t, "CNTPCT_EL0"), (start + 20000) / 16);
        wr(&t, "CNTP_CVAL_EL0", (uint64_t)(start + 20000) / 16);
        wr(&t, "CNTP_CTL_EL0", 1);
        assert_int_equal(rd(&t, "CNTP_CTL_EL0"), 5); /* ISTATUS */
        assert_true(l.level[A64_TIMER_PHYS]);
        wr(&t, "CNTP_TVAL_EL0", 1);
        assert_false(l.level[A64_TIMER_PHYS]);
        assert_int_equal(t.cpu->timer[A64_TIMER_PHYS].deadline_ns, start + 20000 + 16);
        clock_advance(t.clock, start + 20015);
        assert_int_equal(rd(&t, "CNTPCT_EL0"), (start + 20000) / 16);
        clock_advance(t.clock, start + 20016);
        assert_true(l.level[A64_TIMER_PHYS]);
        assert_int_equal(rd(&t, "CNTPCT_EL0"), (start + 20016) / 16);
        wr(&t, "CNTP_CTL_EL0", 0);
    }
    test_machine_free(&t);
}

/* The host's clock, under -clock host: it is later each time that anyone looks. */
static int64_t look(void *opaque)
{
    int64_t *now = opaque;

    return *now += 16;
}

/* A timer that is set to about now is met at once or has a deadline, wherever in between the clock goes on. */
static void test_clock_that_goes_on(void **state)
{
    for (unsigned ticks = 0; ticks < 16; ticks++) {
        TestMachine t;
        Lines       l;
        int64_t     now = 16000;

        setup(&t, &l, 2);
        clock_set_runner(t.clock, look, NULL, &now);
        wr(&t, "CNTP_CVAL_EL0", 1000 + ticks);
        wr(&t, "CNTP_CTL_EL0", 1);
        assert_true(l.level[A64_TIMER_PHYS] || t.cpu->timer[A64_TIMER_PHYS].deadline_ns == (1000 + (int)ticks) * 16);
        clock_set_runner(t.clock, NULL, NULL, NULL);
        clock_advance(t.clock, 2 * now);
        assert_true(l.level[A64_TIMER_PHYS]);
        test_machine_free(&t);
    }
}

/* Each timer by its own names, with the distance at which its condition falls. */
typedef struct TimerRow {
    const char *ctl, *cval, *tval;
    A64Timer    timer;
    uint8_t     el;
    Pas         world;
    uint64_t    offset;
} TimerRow;

static const TimerRow rows[] = {
    { "CNTP_CTL_EL0", "CNTP_CVAL_EL0", "CNTP_TVAL_EL0", A64_TIMER_PHYS, 2, PAS_NONSECURE, 0 },
    { "CNTV_CTL_EL0", "CNTV_CVAL_EL0", "CNTV_TVAL_EL0", A64_TIMER_VIRT, 2, PAS_NONSECURE, 40 },
    { "CNTV_CTL_EL0", "CNTV_CVAL_EL0", "CNTV_TVAL_EL0", A64_TIMER_VIRT, 2, PAS_NONSECURE, -40ull },
    { "CNTHP_CTL_EL2", "CNTHP_CVAL_EL2", "CNTHP_TVAL_EL2", A64_TIMER_HYP, 2, PAS_NONSECURE, 0 },
    { "CNTHV_CTL_EL2", "CNTHV_CVAL_EL2", "CNTHV_TVAL_EL2", A64_TIMER_HYP_VIRT, 2, PAS_NONSECURE, 40 },
    { "CNTHPS_CTL_EL2", "CNTHPS_CVAL_EL2", "CNTHPS_TVAL_EL2", A64_TIMER_SEC_HYP, 3, PAS_SECURE, 0 },
    { "CNTHVS_CTL_EL2", "CNTHVS_CVAL_EL2", "CNTHVS_TVAL_EL2", A64_TIMER_SEC_HYP_VIRT, 3, PAS_SECURE, 0 },
    { "CNTPS_CTL_EL1", "CNTPS_CVAL_EL1", "CNTPS_TVAL_EL1", A64_TIMER_SEC, 3, PAS_SECURE, 0 },
};

static void check_timer(const TimerRow *row)
{
    TestMachine t;
    Lines       l;

    setup(&t, &l, 2);
    t.cpu->el3.scr &= ~(SCR_NS | SCR_NSE);
    a64_enter(t.cpu, row->world, 0x1000, 0x3c0u | row->el << 2 | 1);
    clock_advance(t.clock, 1600); /* count 100 */
    t.cpu->el2.cntvoff = row->offset;
    uint64_t offset = row->timer == A64_TIMER_VIRT ? row->offset : 0;
    wr(&t, row->cval, 200 - offset); /* due at count 200 */
    wr(&t, row->ctl, 1);
    assert_int_equal(rd(&t, row->tval), 100);
    assert_int_equal(t.cpu->timer[row->timer].deadline_ns, 3200);
    assert_false(l.level[row->timer]);
    assert_int_equal(rd(&t, row->ctl), 1);
    clock_advance(t.clock, 3199);
    assert_false(l.level[row->timer]);
    clock_advance(t.clock, 3200);
    assert_true(l.level[row->timer]);
    assert_int_equal(rd(&t, row->ctl), 5); /* ISTATUS */
    wr(&t, row->ctl, 3);                   /* IMASK */
    assert_false(l.level[row->timer]);
    assert_int_equal(rd(&t, row->ctl), 7);
    wr(&t, row->ctl, 1);
    assert_true(l.level[row->timer]);
    wr(&t, row->tval, (uint32_t)-5); /* signed: still due */
    assert_true(l.level[row->timer]);
    wr(&t, row->tval, 10);
    assert_false(l.level[row->timer]);
    assert_int_equal(t.cpu->timer[row->timer].deadline_ns, 3200 + 160);
    wr(&t, row->ctl, 0);
    assert_int_equal(t.cpu->timer[row->timer].deadline_ns, INT64_MAX);
    for (unsigned n = 0; n < A64_N_TIMERS; n++) {
        assert_false(l.level[n]);
    }
    test_machine_free(&t);
}

static void test_timers(void **state)
{
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        check_timer(&rows[i]);
    }
}

/* A compare value beyond the end of guest time never fires and does not overflow. */
static void test_far_deadline(void **state)
{
    TestMachine t;
    Lines       l;

    setup(&t, &l, 1);
    t.cpu->el2.cnthctl = 3;
    wr(&t, "CNTP_CVAL_EL0", ~0ull);
    wr(&t, "CNTP_CTL_EL0", 1);
    assert_int_equal(t.cpu->timer[A64_TIMER_PHYS].deadline_ns, INT64_MAX);
    test_machine_free(&t);
}

typedef struct AccessRow {
    const char *name;
    uint8_t     el;
    uint64_t    hcr, cnthctl, cntkctl;
    uint8_t     expected; /* level the trap goes to; 0: none */
} AccessRow;

static const AccessRow access_rows[] = {
    { "CNTPCT_EL0", 1, 0, 0, 0, 2 },
    { "CNTPCT_EL0", 1, 0, 1, 0, 0 },
    { "CNTP_CTL_EL0", 1, 0, 1, 0, 2 },
    { "CNTP_CTL_EL0", 1, 0, 2, 0, 0 },
    { "CNTPCT_EL0", 1, HCR_E2H, 1, 0, 2 },
    { "CNTPCT_EL0", 1, HCR_E2H, 1 << 10, 0, 0 },
    { "CNTP_CTL_EL0", 1, HCR_E2H, 1 << 11, 0, 0 },
    { "CNTVCT_EL0", 0, 0, 0, 0, 1 },
    { "CNTVCT_EL0", 0, 0, 0, 2, 0 },
    { "CNTFRQ_EL0", 0, 0, 0, 0, 1 },
    { "CNTFRQ_EL0", 0, 0, 0, 1, 0 },
    { "CNTPCT_EL0", 0, 0, 0, 1, 2 },
    { "CNTV_CTL_EL0", 0, 0, 0, 3, 1 },
    { "CNTV_CTL_EL0", 0, 0, 0, 1 << 8, 0 },
    { "CNTP_CTL_EL0", 0, 0, 2, 1 << 9, 0 },
    { "CNTVCT_EL0", 0, HCR_E2H | HCR_TGE, 0, 2, 2 },
    { "CNTVCT_EL0", 0, HCR_E2H | HCR_TGE, 2, 0, 0 },
    { "CNTPCT_EL0", 0, HCR_E2H | HCR_TGE, 1, 0, 0 },
};

static void test_access(void **state)
{
    TestMachine t;
    Lines       l;

    setup(&t, &l, 2);
    for (unsigned i = 0; i < ARRAY_LEN(access_rows); i++) {
        const AccessRow *row = &access_rows[i];
        uint64_t         v;
        t.cpu->el2.hcr = HCR_RW | row->hcr;
        t.cpu->el2.cnthctl = row->cnthctl;
        t.cpu->el1.cntkctl = row->cntkctl;
        a64_enter(t.cpu, PAS_NONSECURE, 0x1000, 0x3c0u | row->el << 2 | (row->el != 0));
        bool ok = a64_mrs(t.cpu, a64_sysreg_by_name(row->name)->enc, 0, &v);
        if (ok != (row->expected == 0) || (!ok && t.cpu->el != row->expected)) {
            fail_msg("row %u, %s: %s, at EL%u", i, row->name, ok ? "allowed" : "trapped", t.cpu->el);
        }
    }
    test_machine_free(&t);
}

/* The timers of a host's EL2 under the names of EL0: CNTP is CNTHP, CNTV is CNTHV. */
static void test_host_names(void **state)
{
    TestMachine t;
    Lines       l;

    setup(&t, &l, 2);
    t.cpu->el2.hcr |= HCR_E2H;
    wr(&t, "CNTP_TVAL_EL0", 0);
    wr(&t, "CNTP_CTL_EL0", 1);
    assert_true(l.level[A64_TIMER_HYP]);
    wr(&t, "CNTV_CTL_EL0", 1);
    assert_true(l.level[A64_TIMER_HYP_VIRT]);
    wr(&t, "CNTP_CTL_EL02", 1);
    assert_true(l.level[A64_TIMER_PHYS]);
    assert_int_equal(l.changes, 3);
    test_machine_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),       cmocka_unit_test(test_never_back), cmocka_unit_test(test_timers),
        cmocka_unit_test(test_far_deadline), cmocka_unit_test(test_access),     cmocka_unit_test(test_host_names),
        cmocka_unit_test(test_clock_that_goes_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
