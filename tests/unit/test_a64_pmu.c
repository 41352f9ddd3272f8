/* Performance monitors: registers, traps, filters, counts by programs, overflow at its instruction. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "a64_machine.h"

#define NS     PAS_NONSECURE
#define REALM  PAS_REALM
#define SECURE PAS_SECURE
#define ROOT   PAS_ROOT
#define CYCLES BIT(31) /* of sets of counters */
#define E      BIT(0)  /* PMCR_EL0 */
#define DP     BIT(5)
#define LP     BIT(7)
enum { SW_INCR = 0, INST_RETIRED = 8, EXC_TAKEN = 9, EXC_RETURN = 10, CPU_CYCLES = 17, CHAIN = 30, STALL = 0x3c };

#define A64_NOP           0xd503201fu
#define A64_UDF           0x00000000u
#define A64_SVC           0xd4000021u
#define A64_ERET          0xd69f03e0u
#define A64_WFI           0xd503207fu
#define A64_INC(r)        (0x91000400u | (r) << 5 | (r)) /* add xr, xr, #1 */
#define A64_B(words)      (0x14000000u | ((words) & 0x3ffffff))
#define A64_MRS(rt, name) (0xd5200000u | enc_of(name) << 5 | (rt))
#define A64_MSR(rt, name) (0xd5000000u | enc_of(name) << 5 | (rt))

static uint32_t enc_of(const char *name)
{
    const A64Sysreg *r = a64_sysreg_by_name(name);

    if (r == NULL) {
        fail_msg("no register %s", name);
        return 0;
    }
    return r->enc;
}

static void go(TestMachine *t, unsigned el, Pas world)
{
    if (world == SECURE && el == 2) {
        t->cpu->el3.scr |= SCR_EEL2;
    }
    a64_enter(t->cpu, world, TEST_RAM, 0x3c0u | el << 2 | (el != 0));
}

static void wr(TestMachine *t, const char *name, uint64_t v)
{
    if (!a64_msr(t->cpu, enc_of(name), 9, v)) {
        fail_msg("cannot write %s", name);
    }
}

static uint64_t rd(TestMachine *t, const char *name)
{
    uint64_t v = 0;

    if (!a64_mrs(t->cpu, enc_of(name), 9, &v)) {
        fail_msg("cannot read %s", name);
    }
    return v;
}

/* ---- registers ---- */

typedef struct RegRow {
    const char *name;
    uint8_t     el;
    uint8_t     n; /* MDCR_EL2.HPMN */
    uint64_t    wrote, reads;
    const char *by; /* another name to read by; NULL: the same */
    Pas         world;
} RegRow;

static const RegRow reg_rows[] = {
    { "PMCR_EL0", 2, 8, ~0ull, 8 << 11 | LP | 1 << 6 | DP | E, NULL, NS },
    { "PMCR_EL0", 2, 3, 0, 8 << 11 | 1 << 6, NULL, NS },
    { "PMCR_EL0", 1, 3, E, 3 << 11 | 1 << 6 | E, NULL, NS },
    { "PMCR_EL0", 1, 0, 0, 1 << 6, NULL, REALM },
    { "PMCR_EL0", 1, 31, 0, 8 << 11 | 1 << 6, NULL, NS },   /* reserved HPMN */
    { "PMCR_EL0", 1, 3, 0, 8 << 11 | 1 << 6, NULL, SECURE }, /* EL2 not enabled */
    { "PMCNTENSET_EL0", 2, 8, ~0ull, 0x800000ff, NULL, NS },
    { "PMCNTENSET_EL0", 1, 3, ~0ull, 0x80000007, NULL, NS },
    { "PMCNTENSET_EL0", 1, 3, ~0ull, 0x80000007, "PMCNTENCLR_EL0", NS },
    { "PMCNTENSET_EL0", 1, 0, ~0ull, 0x80000000, NULL, NS },
    { "PMCNTENSET_EL0", 1, 3, ~0ull, 0x800000ff, NULL, SECURE },
    { "PMINTENSET_EL1", 2, 8, ~0ull, 0x800000ff, "PMINTENCLR_EL1", NS },
    { "PMINTENSET_EL1", 1, 2, ~0ull, 0x80000003, NULL, NS },
    { "PMOVSSET_EL0", 2, 8, ~0ull, 0x800000ff, "PMOVSCLR_EL0", NS },
    { "PMOVSSET_EL0", 1, 2, ~0ull, 0x80000003, NULL, NS },
    { "PMSELR_EL0", 1, 8, ~0ull, 31, NULL, NS },
    { "PMUSERENR_EL0", 1, 8, ~0ull, 15, NULL, NS },
    { "PMCCNTR_EL0", 1, 8, ~0ull, ~0ull, NULL, NS },
    { "PMCCFILTR_EL0", 1, 8, ~0ull, 0xfd700000, NULL, NS },
    { "PMEVTYPER7_EL0", 1, 8, ~0ull, 0xfd70ffff, NULL, NS },
    { "PMEVCNTR7_EL0", 1, 8, 0x123456789abcdefull, 0x123456789abcdefull, NULL, NS },
    { "MDCR_EL2", 2, 8, ~0ull, 0x4820fff, NULL, NS },
    { "MDCR_EL3", 3, 8, ~0ull, 0x830640, NULL, ROOT },
};

static void test_registers(void **state)
{
    TestMachine t;

    test_machine_init(&t);
    for (unsigned i = 0; i < ARRAY_LEN(reg_rows); i++) {
        const RegRow *row = &reg_rows[i];
        a64_reset(t.cpu);
        t.cpu->el2.mdcr = row->n;
        go(&t, row->el, row->world);
        wr(&t, row->name, row->wrote);
        uint64_t v = rd(&t, row->by != NULL ? row->by : row->name);
        if (v != row->reads) {
            fail_msg("row %u, %s: reads %#llx, not %#llx", i, row->name, (unsigned long long)v,
                     (unsigned long long)row->reads);
        }
    }
    a64_reset(t.cpu);
    go(&t, 2, NS);
    assert_int_equal(rd(&t, "MDCR_EL2"), 8);
    assert_int_equal(rd(&t, "PMCEID0_EL0"), 0x40020701);
    assert_int_equal(rd(&t, "PMCEID1_EL0"), 0x10000018);
    assert_int_equal(rd(&t, "PMMIR_EL1"), 0);
    wr(&t, "PMCNTENSET_EL0", 0xf0);
    wr(&t, "PMCNTENCLR_EL0", 0x30);
    assert_int_equal(rd(&t, "PMCNTENSET_EL0"), 0xc0);
    test_machine_free(&t);
}

/* PMSELR_EL0 chooses; PMCR_EL0.{C, P} reset what its level may reset, and no overflow flags. */
static void test_select_and_reset(void **state)
{
    TestMachine t;

    test_machine_init(&t);
    go(&t, 2, NS);
    for (unsigned n = 0; n < A64_N_COUNTERS; n++) {
        wr(&t, "PMSELR_EL0", n);
        wr(&t, "PMXEVCNTR_EL0", 100 + n);
        wr(&t, "PMXEVTYPER_EL0", n);
    }
    wr(&t, "PMSELR_EL0", 31);
    wr(&t, "PMXEVTYPER_EL0", ~0ull);
    assert_int_equal(rd(&t, "PMCCFILTR_EL0"), 0xfd700000);
    assert_int_equal(rd(&t, "PMXEVTYPER_EL0"), 0xfd700000);
    assert_int_equal(rd(&t, "PMEVCNTR5_EL0"), 105);
    assert_int_equal(rd(&t, "PMEVTYPER5_EL0"), 5);
    wr(&t, "PMSELR_EL0", 5);
    assert_int_equal(rd(&t, "PMXEVCNTR_EL0"), 105);
    assert_int_equal(rd(&t, "PMXEVTYPER_EL0"), 5);
    wr(&t, "PMCCNTR_EL0", 7);
    wr(&t, "PMOVSSET_EL0", 0x800000ff);
    wr(&t, "MDCR_EL2", 6);
    go(&t, 1, NS);
    wr(&t, "PMCR_EL0", 4);
    assert_int_equal(rd(&t, "PMCCNTR_EL0"), 0);
    assert_int_equal(rd(&t, "PMEVCNTR0_EL0"), 100);
    wr(&t, "PMCR_EL0", 2);
    assert_int_equal(rd(&t, "PMEVCNTR5_EL0"), 0);
    go(&t, 2, NS);
    assert_int_equal(rd(&t, "PMEVCNTR6_EL0"), 106); /* reserved for EL2 */
    wr(&t, "PMCR_EL0", 2);
    assert_int_equal(rd(&t, "PMEVCNTR7_EL0"), 0);
    assert_int_equal(rd(&t, "PMOVSCLR_EL0"), 0x800000ff);
    test_machine_free(&t);
}

/* ---- access ---- */

enum { OK, UNDEF, EL1, EL2, EL3 };

typedef struct AccessRow {
    const char *name;
    uint8_t     el;
    bool        write;
    uint8_t     expected;
    uint64_t    user, mdcr2, mdcr3, hcr; /* mdcr2: HPMN is 8 minus bits 4:0 */
    uint8_t     sel;
} AccessRow;

enum { EN = 1, SW = 2, CR = 4, ER = 8 };
static const AccessRow access_rows[] = {
    { "PMCR_EL0", 0, false, EL1 },
    { "PMCR_EL0", 0, false, EL1, .user = SW | CR | ER },
    { "PMCR_EL0", 0, false, OK, .user = EN },
    { "PMCR_EL0", 0, true, OK, .user = EN },
    { "PMCR_EL0", 0, true, EL2, .user = EN, .mdcr2 = MDCR_TPMCR },
    { "PMCR_EL0", 0, true, EL1, .mdcr2 = MDCR_TPMCR },
    { "PMCR_EL0", 0, true, EL2, .hcr = HCR_E2H | HCR_TGE },
    { "PMCR_EL0", 1, true, EL2, .mdcr2 = MDCR_TPMCR },
    { "PMCR_EL0", 1, false, EL2, .mdcr2 = MDCR_TPM },
    { "PMCR_EL0", 2, true, OK, .mdcr2 = MDCR_TPM | MDCR_TPMCR },
    { "PMCR_EL0", 2, true, EL3, .mdcr3 = MDCR_TPM },
    { "PMCR_EL0", 1, true, EL2, .mdcr2 = MDCR_TPM, .mdcr3 = MDCR_TPM },
    { "PMCNTENSET_EL0", 1, true, OK, .mdcr2 = MDCR_TPMCR },
    { "PMCNTENSET_EL0", 1, true, EL2, .mdcr2 = MDCR_TPM },
    { "PMCNTENCLR_EL0", 0, true, EL1, .user = SW | CR | ER },
    { "PMOVSCLR_EL0", 0, true, OK, .user = EN },
    { "PMOVSSET_EL0", 0, false, EL1 },
    { "PMSWINC_EL0", 0, true, EL1, .user = CR | ER },
    { "PMSWINC_EL0", 0, true, OK, .user = SW },
    { "PMSWINC_EL0", 1, false, UNDEF },
    { "PMSELR_EL0", 0, true, EL1, .user = SW | CR },
    { "PMSELR_EL0", 0, true, OK, .user = ER },
    { "PMCEID0_EL0", 0, false, EL1, .user = SW | CR | ER },
    { "PMCEID1_EL0", 0, false, OK, .user = EN },
    { "PMCEID0_EL0", 1, true, UNDEF },
    { "PMCCNTR_EL0", 0, false, OK, .user = CR },
    { "PMCCNTR_EL0", 0, true, EL1, .user = CR },
    { "PMCCNTR_EL0", 0, false, EL1, .user = SW | ER },
    { "PMCCFILTR_EL0", 0, false, EL1, .user = CR },
    { "PMEVCNTR0_EL0", 0, false, OK, .user = ER },
    { "PMEVCNTR0_EL0", 0, true, EL1, .user = ER },
    { "PMEVCNTR7_EL0", 0, false, UNDEF, .user = ER, .mdcr2 = 1 },
    { "PMEVCNTR7_EL0", 1, false, UNDEF, .mdcr2 = 1 },
    { "PMEVCNTR7_EL0", 1, false, EL2, .mdcr2 = 1 | MDCR_TPM },
    { "PMEVCNTR6_EL0", 1, false, OK, .mdcr2 = 1 },
    { "PMEVCNTR7_EL0", 2, false, OK, .mdcr2 = 1 },
    { "PMEVTYPER0_EL0", 0, false, EL1, .user = ER },
    { "PMEVTYPER7_EL0", 1, true, UNDEF, .mdcr2 = 1 },
    { "PMXEVCNTR_EL0", 0, false, OK, .user = ER },
    { "PMXEVCNTR_EL0", 0, true, EL1, .user = ER },
    { "PMXEVCNTR_EL0", 2, false, UNDEF, .sel = 8 },
    { "PMXEVCNTR_EL0", 2, false, UNDEF, .sel = 31 },
    { "PMXEVCNTR_EL0", 1, false, UNDEF, .sel = 7, .mdcr2 = 1 },
    { "PMXEVTYPER_EL0", 2, true, UNDEF, .sel = 30 },
    { "PMXEVTYPER_EL0", 1, true, OK, .sel = 31, .mdcr2 = 8 },
    { "PMXEVTYPER_EL0", 1, true, UNDEF, .sel = 7, .mdcr2 = 1 },
    { "PMXEVTYPER_EL0", 0, false, EL1, .user = ER },
    { "PMUSERENR_EL0", 0, false, OK },
    { "PMUSERENR_EL0", 0, true, UNDEF, .user = EN },
    { "PMUSERENR_EL0", 0, false, EL2, .mdcr2 = MDCR_TPM },
    { "PMUSERENR_EL0", 1, true, EL3, .mdcr3 = MDCR_TPM },
    { "PMINTENSET_EL1", 0, false, UNDEF, .user = EN },
    { "PMINTENCLR_EL1", 1, true, EL2, .mdcr2 = MDCR_TPM },
    { "PMMIR_EL1", 0, false, UNDEF, .user = EN },
    { "PMMIR_EL1", 1, false, EL2, .mdcr2 = MDCR_TPM },
    { "PMMIR_EL1", 1, true, UNDEF },
};

static void test_access(void **state)
{
    TestMachine t;

    test_machine_init(&t);
    for (unsigned i = 0; i < ARRAY_LEN(access_rows); i++) {
        const AccessRow *row = &access_rows[i];
        A64Cpu          *cpu = t.cpu;
        uint64_t         v;
        a64_reset(cpu);
        cpu->cpu.fault = false;
        cpu->el1.pmuserenr = row->user;
        cpu->el1.pmselr = row->sel;
        cpu->el2.mdcr = (row->mdcr2 & ~31ull) | (8 - (row->mdcr2 & 31));
        cpu->el3.mdcr = row->mdcr3;
        cpu->el2.hcr |= row->hcr;
        go(&t, row->el, NS);
        bool ok = row->write ? a64_msr(cpu, enc_of(row->name), 9, 0) : a64_mrs(cpu, enc_of(row->name), 9, &v);
        unsigned target = row->expected == OK ? row->el : row->expected == UNDEF ? MAX(row->el, 1)
                                                                                 : row->expected - EL1 + 1u;
        uint64_t esr = cpu->el == 1 ? cpu->el1.esr : cpu->el == 2 ? cpu->el2.esr : cpu->el3.esr;
        if (ok != (row->expected == OK) || cpu->el != target ||
            (!ok && esr >> 26 != (row->expected == UNDEF ? EC_UNKNOWN : EC_SYSREG))) {
            fail_msg("row %u, %s: %s, at EL%u", i, row->name, ok ? "done" : "an exception", cpu->el);
        }
    }
    test_machine_free(&t);
}

/* ---- what counts where ---- */

typedef struct FilterRow {
    uint8_t  el;
    Pas      world;
    uint64_t filter;
    bool     first, second, cycles; /* counters 0 and 7, of the two ranges; PMCCNTR_EL0 */
    uint64_t mdcr2, mdcr3, pmcr;
} FilterRow;

#define P   BIT(31)
#define U   BIT(30)
#define NSK BIT(29)
#define NSU BIT(28)
#define NSH BIT(27)
#define M   BIT(26)
#define SH  BIT(24)
#define RLK BIT(22)
#define RLU BIT(21)
#define RLH BIT(20)
#define ALL true, true, true
#define NONE false, false, false
static const FilterRow filter_rows[] = {
    { 0, NS, 0, ALL },
    { 0, NS, U, NONE },
    { 0, NS, U | NSU, ALL },
    { 0, NS, NSU, NONE },
    { 0, NS, U | RLU, NONE },
    { 0, REALM, 0, ALL },
    { 0, REALM, U, NONE },
    { 0, REALM, RLU, NONE },
    { 0, REALM, U | RLU, ALL },
    { 0, REALM, NSU, ALL },
    { 1, NS, 0, ALL },
    { 1, NS, P, NONE },
    { 1, NS, NSK, NONE },
    { 1, NS, P | NSK, ALL },
    { 1, NS, U, ALL },
    { 1, REALM, P | NSK, NONE },
    { 1, REALM, P | RLK, ALL },
    { 1, REALM, RLK, NONE },
    { 2, NS, 0, NONE },
    { 2, NS, NSH, ALL },
    { 2, NS, NSH | RLH | SH, ALL },
    { 2, REALM, NSH, ALL },
    { 2, REALM, NSH | RLH, NONE },
    { 2, REALM, RLH, ALL },
    { 2, NS, NSH, false, true, true, .mdcr2 = MDCR_HPMD },
    { 2, NS, NSH, false, true, false, .mdcr2 = MDCR_HPMD, .pmcr = DP },
    { 2, NS, NSH, true, true, false, .mdcr2 = MDCR_HCCD },
    { 1, NS, 0, ALL, .mdcr2 = MDCR_HPMD | MDCR_HCCD, .pmcr = DP },
    { 1, SECURE, 0, false, false, true },
    { 1, SECURE, 0, false, false, false, .pmcr = DP },
    { 1, SECURE, 0, ALL, .mdcr3 = MDCR3_SPME },
    { 1, SECURE, P, NONE, .mdcr3 = MDCR3_SPME },
    { 0, SECURE, 0, true, true, false, .mdcr3 = MDCR3_SPME | MDCR3_SCCD },
    { 0, SECURE, U | NSU, NONE, .mdcr3 = MDCR3_SPME },
    { 2, SECURE, NSH, ALL, .mdcr3 = MDCR3_SPME },
    { 2, SECURE, NSH | SH, NONE, .mdcr3 = MDCR3_SPME },
    { 2, SECURE, SH, ALL, .mdcr3 = MDCR3_SPME },
    { 3, ROOT, 0, false, false, true },
    { 3, ROOT, 0, ALL, .mdcr3 = MDCR3_SPME },
    { 3, ROOT, 0, true, true, false, .mdcr3 = MDCR3_SPME | MDCR3_SCCD },
    { 3, ROOT, M, NONE, .mdcr3 = MDCR3_SPME },
    { 3, ROOT, P, NONE, .mdcr3 = MDCR3_SPME },
    { 3, ROOT, P | M, ALL, .mdcr3 = MDCR3_SPME },
};

static void test_filters(void **state)
{
    TestMachine t;

    test_machine_init(&t);
    for (unsigned i = 0; i < ARRAY_LEN(filter_rows); i++) {
        const FilterRow *row = &filter_rows[i];
        A64Cpu          *cpu = t.cpu;
        a64_reset(cpu);
        cpu->el2.mdcr = row->mdcr2 | MDCR_HPME | 4;
        cpu->el3.mdcr = row->mdcr3;
        cpu->el1.pmcr = row->pmcr | E;
        cpu->el1.pmcntenset = 0x81 | CYCLES;
        cpu->el1.pmevtyper[0] = cpu->el1.pmevtyper[7] = cpu->el1.pmccfiltr = row->filter;
        go(&t, row->el, row->world);
        uint64_t want = (uint64_t)row->first | (uint64_t)row->second << 7 | (row->cycles ? CYCLES : 0);
        if (cpu->pmu.counting != want) {
            fail_msg("row %u: counters %#x count, not %#llx", i, cpu->pmu.counting, (unsigned long long)want);
        }
    }
    /* Each range has a switch of its own. */
    go(&t, 1, NS);
    wr(&t, "PMCR_EL0", 0);
    t.cpu->el2.mdcr = MDCR_HPME | 4;
    t.cpu->el1.pmevtyper[7] = 0;
    go(&t, 1, NS);
    assert_int_equal(t.cpu->pmu.counting, 0x80);
    t.cpu->el2.mdcr = 4;
    go(&t, 1, NS);
    assert_int_equal(t.cpu->pmu.counting, 0);
    test_machine_free(&t);
}

/* ---- programs ---- */

static TestMachine *running;

static int64_t runner_now(void *opaque) { return cpu_now(&running->cpu->cpu); }
static void runner_recut(void *opaque) { cpu_set_deadline(&running->cpu->cpu, clock_next_deadline(running->clock)); }

/* As machines do: @n instructions, in slices of at most @slice. */
static void run(TestMachine *t, uint64_t n, uint64_t slice)
{
    running = t;
    while (n > 0) {
        int64_t  now = clock_now(t->clock), deadline = clock_next_deadline(t->clock);
        uint64_t used;

        if (deadline <= now) {
            clock_advance(t->clock, now);
            continue;
        }
        clock_set_runner(t->clock, runner_now, runner_recut, t);
        cpu_run(&t->cpu->cpu, now, MIN(MIN(n, slice), (uint64_t)(deadline - now)), &used);
        clock_set_runner(t->clock, NULL, NULL, NULL);
        clock_advance(t->clock, now + (int64_t)used);
        n -= used;
        if (used == 0) {
            return; /* it waits */
        }
    }
}

static void put_code(TestMachine *t, uint64_t pa, const uint32_t *code, size_t n)
{
    assert_int_equal(memory_write(t->memory, pa, (MemAttrs){ .pas = NS }, code, n * 4), MEM_OK);
}

static const uint64_t slices[] = { UINT64_MAX, 1, 3 };

/* At EL0: nop, svc, nop, udf; at EL1 add and eret. Ten instructions: two nops, an svc and two attempts at udf at EL0;
 * three adds and two erets at EL1. */
static const struct CountRow {
    unsigned event;
    uint64_t filter, count;
} count_rows[] = {
    { CPU_CYCLES, 0, 10 },  { CPU_CYCLES, P, 5 },   { CPU_CYCLES, U, 5 },   { CPU_CYCLES, P | U, 0 },
    { INST_RETIRED, 0, 8 }, { INST_RETIRED, P, 3 }, { INST_RETIRED, U, 5 }, { EXC_TAKEN, 0, 3 },
    { EXC_TAKEN, P, 3 },    { EXC_TAKEN, U, 0 },    { EXC_RETURN, 0, 2 },   { EXC_RETURN, P, 0 },
    { EXC_RETURN, U, 2 },   { SW_INCR, 0, 0 },      { STALL, 0, 0 },        { CHAIN, 0, 0 },
    { 0x13, 0, 0 } /* MEM_ACCESS: not there */,
};

static void test_counts(void **state)
{
    static const uint32_t user[] = { A64_NOP, A64_SVC, A64_NOP, A64_UDF }, vector[] = { A64_INC(0), A64_ERET };

    for (unsigned i = 0; i < ARRAY_LEN(count_rows) * ARRAY_LEN(slices); i++) {
        const struct CountRow *row = &count_rows[i / ARRAY_LEN(slices)];
        TestMachine            t;
        test_machine_init(&t);
        put_code(&t, TEST_RAM, user, ARRAY_LEN(user));
        put_code(&t, TEST_RAM + 0x1400, vector, ARRAY_LEN(vector));
        t.cpu->el1.vbar = TEST_RAM + 0x1000;
        t.cpu->el1.pmcr = E;
        t.cpu->el1.pmcntenset = 1 | CYCLES;
        t.cpu->el1.pmevtyper[0] = row->filter | row->event;
        t.cpu->el1.pmccfiltr = U;
        go(&t, 0, NS);
        run(&t, 10, slices[i % ARRAY_LEN(slices)]);
        assert_int_equal(t.cpu->x[0], 3);
        if (rd(&t, "PMEVCNTR0_EL0") != row->count) {
            fail_msg("event %#x filter %#llx: %llu, not %llu", row->event, (unsigned long long)row->filter,
                     (unsigned long long)rd(&t, "PMEVCNTR0_EL0"), (unsigned long long)row->count);
        }
        assert_int_equal(rd(&t, "PMCCNTR_EL0"), 5);
        test_machine_free(&t);
    }
}

/* The counter as a program sees it: exact in the middle of a block, still while disabled or waiting. */
static void test_program(void **state)
{
    const uint32_t code[] = {
        A64_MSR(1, "PMCNTENSET_EL0"), A64_MRS(2, "PMCCNTR_EL0"), A64_NOP,       A64_NOP,
        A64_MRS(3, "PMCCNTR_EL0"),    A64_MSR(4, "PMSWINC_EL0"), A64_MSR(4, "PMSWINC_EL0"), A64_MRS(5, "PMEVCNTR1_EL0"),
        A64_MSR(1, "PMCNTENCLR_EL0"), A64_MSR(4, "PMSWINC_EL0"), A64_NOP,       A64_MRS(6, "PMCCNTR_EL0"),
        A64_MRS(7, "PMEVCNTR1_EL0"),  A64_MSR(1, "PMCNTENSET_EL0"), A64_WFI,    A64_MRS(8, "PMCCNTR_EL0"),
    };

    for (unsigned i = 0; i < ARRAY_LEN(slices); i++) {
        TestMachine t;
        test_machine_init(&t);
        put_code(&t, TEST_RAM, code, ARRAY_LEN(code));
        t.cpu->el1.pmcr = E;
        go(&t, 1, NS);
        t.cpu->x[1] = 2 | CYCLES;
        t.cpu->x[4] = 3;
        run(&t, 15, slices[i]);
        clock_advance(t.clock, clock_now(t.clock) + 1000000);
        run(&t, 1, slices[i]);
        assert_true(t.cpu->cpu.waiting);
        a64_set_line(t.cpu, A64_LINE_IRQ, true);
        run(&t, 1, slices[i]);
        assert_int_equal(t.cpu->x[2], 1); /* the instruction that enables counts */
        assert_int_equal(t.cpu->x[3], 4);
        assert_int_equal(t.cpu->x[5], 2);
        assert_int_equal(t.cpu->x[6], 8);
        assert_int_equal(t.cpu->x[7], 2);
        assert_int_equal(t.cpu->x[8], 10);
        test_machine_free(&t);
    }
}

/* ---- overflow ---- */

static unsigned n_raised;

static void set_irq(void *opaque, unsigned n, bool level)
{
    assert_int_equal(n, 23);
    n_raised += level;
    a64_set_line(opaque, A64_LINE_IRQ, level);
}

typedef struct OverflowRow {
    const char *name;
    unsigned    n;        /* counter that overflows; 31: PMCCNTR_EL0 */
    unsigned    event;
    uint64_t    wrap;     /* where it does: 2^64 as 0 */
    uint64_t    pmcr, mdcr2;
    bool        silent;   /* no interrupt */
} OverflowRow;

static const OverflowRow overflow_rows[] = {
    { "cycles", 31, 0, 0, E },
    { "CPU_CYCLES", 0, CPU_CYCLES, BIT(32), E },
    { "CPU_CYCLES, long", 3, CPU_CYCLES, 0, E | LP },
    { "INST_RETIRED", 7, INST_RETIRED, BIT(32), E },
    { "INST_RETIRED, high half not zero", 7, INST_RETIRED, 7 * BIT(32), E },
    { "second range", 5, INST_RETIRED, BIT(32), LP, .mdcr2 = 4 | MDCR_HPME },
    { "second range, long", 5, INST_RETIRED, 0, 0, .mdcr2 = 4 | MDCR_HPME | MDCR_HLP },
    { "CHAIN", 1, CHAIN, BIT(32), E },
    { "chain of two ranges", 1, CHAIN, BIT(32), E, .mdcr2 = 1 | MDCR_HPME, .silent = true },
    { "no chain of long counters", 1, CHAIN, BIT(32), E | LP, .silent = true },
    { "second range without HPME", 5, INST_RETIRED, BIT(32), E, .mdcr2 = 4, .silent = true },
};

/* A loop of two instructions: after @distance of them the interrupt is there, not one earlier or later. */
static void check_overflow(const OverflowRow *row, uint64_t distance, uint64_t slice)
{
    static const uint32_t loop[] = { A64_INC(0), A64_B(-1) }, vector[] = { 0xaa0003e1 /* mov x1, x0 */, A64_B(0) };
    TestMachine           t;

    test_machine_init(&t);
    put_code(&t, TEST_RAM, loop, ARRAY_LEN(loop));
    put_code(&t, TEST_RAM + 0x1280, vector, ARRAY_LEN(vector));
    A64Cpu *cpu = t.cpu;
    cpu->pmu.irq.set = set_irq;
    cpu->pmu.irq.opaque = cpu;
    cpu->pmu.irq.n = 23;
    n_raised = 0;
    cpu->el1.vbar = TEST_RAM + 0x1000;
    cpu->el1.pmcr = row->pmcr;
    cpu->el2.mdcr = row->mdcr2 != 0 ? row->mdcr2 : A64_N_COUNTERS;
    cpu->el1.pmintenset = BIT(row->n);
    cpu->el1.pmcntenset = BIT(row->n);
    if (row->n == 31) {
        cpu->el1.pmccntr = row->wrap - distance;
    } else if (row->event == CHAIN) {
        cpu->el1.pmcntenset |= 1;
        cpu->el1.pmevtyper[0] = INST_RETIRED;
        cpu->el1.pmevcntr[0] = BIT(32) - distance;
        cpu->el1.pmevcntr[1] = row->wrap - 1;
        cpu->el1.pmevtyper[1] = CHAIN;
    } else {
        cpu->el1.pmevtyper[row->n] = row->event;
        cpu->el1.pmevcntr[row->n] = row->wrap - distance;
    }
    a64_enter(cpu, NS, TEST_RAM, 5); /* unmasked */
    run(&t, distance + 10, slice);
    bool taken = n_raised == 1 && cpu->el1.elr == TEST_RAM + 4 * (distance & 1) && cpu->x[1] == (distance + 1) / 2 &&
                 (cpu->el1.pmovsset & BIT(row->n));
    if (row->silent ? n_raised != 0 : !taken) {
        fail_msg("%s after %llu, slices of %llu: raised %u times, elr %#llx, x1 %llu", row->name,
                 (unsigned long long)distance, (unsigned long long)slice, n_raised, (unsigned long long)cpu->el1.elr,
                 (unsigned long long)cpu->x[1]);
    }
    if (!row->silent) { /* a level: it goes with the flag */
        assert_true(cpu->line[A64_LINE_IRQ]);
        go(&t, 2, NS);
        wr(&t, "PMOVSCLR_EL0", BIT(row->n));
        assert_false(cpu->line[A64_LINE_IRQ]);
        wr(&t, "PMOVSSET_EL0", BIT(row->n));
        assert_true(cpu->line[A64_LINE_IRQ]);
        wr(&t, "PMINTENCLR_EL1", BIT(row->n));
        assert_false(cpu->line[A64_LINE_IRQ]);
    }
    test_machine_free(&t);
}

static void test_overflow(void **state)
{
    static const uint64_t distances[] = { 1, 2, 3, 10, 63, 64, 1001, 100002 };

    for (unsigned i = 0; i < ARRAY_LEN(overflow_rows); i++) {
        for (unsigned d = 0; d < ARRAY_LEN(distances); d++) {
            check_overflow(&overflow_rows[i], distances[d], UINT64_MAX);
            check_overflow(&overflow_rows[i], distances[d], distances[d] < 100 ? 1 : 777);
        }
    }
}

/* Others: an event that is no time, and instructions that are given up on the way. */
static void test_overflow_of_events(void **state)
{
    static const uint32_t user[] = { A64_NOP, A64_SVC, A64_UDF }, vector[] = { A64_INC(0), A64_ERET };
    static const struct { unsigned event; uint64_t left, insns; } rows[] = {
        { EXC_TAKEN, 1, 2 }, { EXC_TAKEN, 3, 8 }, { EXC_RETURN, 2, 7 }, { INST_RETIRED, 5, 6 }, { INST_RETIRED, 7, 9 },
    };

    /* nop svc add eret udf add eret udf add: where INST_RETIRED is 1 2 3 4 4 5 6 6 7 */
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        for (unsigned s = 0; s < ARRAY_LEN(slices); s++) {
            TestMachine t;
            test_machine_init(&t);
            put_code(&t, TEST_RAM, user, ARRAY_LEN(user));
            put_code(&t, TEST_RAM + 0x1400, vector, ARRAY_LEN(vector));
            t.cpu->pmu.irq.set = set_irq;
            t.cpu->pmu.irq.opaque = t.cpu;
            t.cpu->pmu.irq.n = 23;
            n_raised = 0;
            t.cpu->el1.vbar = TEST_RAM + 0x1000;
            t.cpu->el1.pmcr = E;
            t.cpu->el1.pmintenset = t.cpu->el1.pmcntenset = 4;
            t.cpu->el1.pmevtyper[2] = rows[i].event;
            t.cpu->el1.pmevcntr[2] = BIT(32) - rows[i].left;
            go(&t, 0, NS);
            run(&t, rows[i].insns - 1, slices[s]);
            if (n_raised != 0) {
                fail_msg("event %#x before %u: too early", rows[i].event, (unsigned)rows[i].insns);
            }
            run(&t, 1, slices[s]);
            if (n_raised != 1) {
                fail_msg("event %#x after %u: too late", rows[i].event, (unsigned)rows[i].insns);
            }
            test_machine_free(&t);
        }
    }
}

/* ---- random programs, in blocks of any length and slices ---- */

enum { PROGRAM = 400 };

static uint32_t pick(uint64_t *seed, uint32_t n)
{
    *seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(*seed >> 33) % n;
}

static uint32_t random_insn(uint64_t *seed)
{
    static const char *const counters[] = { "PMCCNTR_EL0", "PMEVCNTR0_EL0", "PMEVCNTR1_EL0", "PMEVCNTR2_EL0",
                                            "PMOVSSET_EL0" };
    static const char *const controls[] = { "PMCNTENSET_EL0", "PMCNTENCLR_EL0", "PMINTENSET_EL1", "PMINTENCLR_EL1",
                                            "PMSWINC_EL0", "PMOVSCLR_EL0", "PMCR_EL0" };
    unsigned r = 1 + pick(seed, 8), kind = pick(seed, 16);

    switch (kind) {
    case 0: case 1:
        return A64_MRS(16 + pick(seed, 8), counters[pick(seed, ARRAY_LEN(counters))]);
    case 2: case 3:
        return A64_MSR(r, controls[pick(seed, ARRAY_LEN(controls))]);
    case 4:
        return A64_SVC;
    case 5:
        return A64_MSR(9 + pick(seed, 4), counters[pick(seed, 4)]);
    default:
        return kind & 1 ? A64_INC(r) : A64_NOP;
    }
}

static void random_run(uint64_t seed, unsigned block, uint64_t slice, A64Cpu *out)
{
    const uint32_t vector[] = { A64_INC(0), A64_ERET };
    const uint32_t irq[] = { A64_INC(30), A64_MSR(29, "PMOVSCLR_EL0"), A64_ERET };
    uint32_t       code[PROGRAM];
    TestMachine    t;

    test_machine_init(&t);
    cpu_engine_set_max_block(t.engine, block);
    for (unsigned i = 0; i < PROGRAM - 1; i++) {
        code[i] = random_insn(&seed);
    }
    code[PROGRAM - 1] = A64_B(-(PROGRAM - 1));
    put_code(&t, TEST_RAM, code, PROGRAM);
    put_code(&t, TEST_RAM + 0x1200, vector, ARRAY_LEN(vector));
    put_code(&t, TEST_RAM + 0x1280, irq, ARRAY_LEN(irq));
    A64Cpu *cpu = t.cpu;
    cpu->el1.vbar = TEST_RAM + 0x1000;
    cpu->pmu.irq.set = set_irq;
    cpu->pmu.irq.opaque = cpu;
    cpu->pmu.irq.n = 23;
    cpu->el1.pmevtyper[0] = INST_RETIRED;
    cpu->el1.pmevtyper[1] = CHAIN;
    cpu->el1.pmevtyper[2] = pick(&seed, 2) ? EXC_TAKEN : CPU_CYCLES;
    for (unsigned i = 1; i < 9; i++) {
        cpu->x[i] = pick(&seed, 8) | (pick(&seed, 2) ? CYCLES : 0) | E;
    }
    for (unsigned i = 9; i < 13; i++) {
        cpu->x[i] = 0 - (uint64_t)pick(&seed, 60);
    }
    cpu->x[29] = ~0ull;
    a64_enter(cpu, NS, TEST_RAM, 5);
    run(&t, 20000, slice);
    *out = *cpu;
    test_machine_free(&t);
}

static void test_random(void **state)
{
    static A64Cpu one, other;
    unsigned      interrupts = 0;

    for (uint64_t seed = 1; seed <= 20; seed++) {
        random_run(seed, 1, UINT64_MAX, &one);
        interrupts += one.x[30] != 0;
        for (unsigned way = 0; way < 3; way++) {
            random_run(seed, way == 0 ? 64 : 7, way == 2 ? 11 : UINT64_MAX, &other);
            if (memcmp(one.x, other.x, sizeof(one.x)) != 0 || one.pc != other.pc ||
                memcmp(&one.el1, &other.el1, sizeof(one.el1)) != 0) {
                fail_msg("seed %llu, way %u: not what blocks of one instruction do", (unsigned long long)seed, way);
            }
        }
    }
    assert_true(interrupts > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registers), cmocka_unit_test(test_select_and_reset),
        cmocka_unit_test(test_access),    cmocka_unit_test(test_filters),
        cmocka_unit_test(test_counts),    cmocka_unit_test(test_program),
        cmocka_unit_test(test_overflow),  cmocka_unit_test(test_overflow_of_events),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
