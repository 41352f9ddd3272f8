/*
 * Code that runs hot, so that as machine code it is a region with registers and flags kept elsewhere, and what may
 * happen to it there: it changes (by itself, by another CPU, by a device, through another mapping), its page or the
 * page's owner goes, an access or a helper faults in the middle, a debugger stops it. Every state is known exactly.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <glib.h>

#include "bits.h"
#include "cpu/engine.h"
#include "toy_guest.h"

enum { CODE = TOY_CODE, VECTOR = TOY_VECTOR, DATA = TOY_DATA, ALIAS = 0x60000, HOT = 1000, N = 5 };

static const MemAttrs attrs = { .pas = PAS_NONSECURE };

static ToyMachine *machine(const uint32_t *code, size_t n)
{
    ToyMachine *m = toy_machine_flat(code, n);

    toy_map(m, ALIAS, CODE, 0x1000);
    return m;
}

static uint64_t run(ToyMachine *m, Cpu *cpu, uint64_t budget, CpuStop expect)
{
    uint64_t used;

    assert_int_equal(cpu_run(cpu, clock_now(m->clock), budget, &used), expect);
    return used;
}

/* As machine code it must have become a region, or the test is about something else. */
static void check_regions(const ToyMachine *m)
{
    CpuEngineStats stats;

    cpu_engine_stats(m->engine, &stats);
    assert_true(stats.regions > 0 || cpu_engine_accel(m->engine) != CPU_ACCEL_JIT);
}

/* ---- code that changes ---- */

/* Five instructions a round, in two blocks; a store in the round in which register 3 becomes register 5. */
static const uint32_t store_code[] = {
    TOY(TOY_ADDI, 3, 3, 1), TOY(TOY_SUBS, 6, 3, 5),  TOY(TOY_BC, IR_COND_NZ, 0, 2), TOY(TOY_STW, 2, 1, 0),
    TOY(TOY_ADDI, 4, 4, 1), TOY(TOY_ADDI, 7, 7, 1),  TOY(TOY_B, 0, 0, 1),           TOY(TOY_ADDI, 8, 8, 1),
    TOY(TOY_B, 0, 0, -8),
};

static const struct {
    const char *name;
    unsigned    at;   /* the instruction that is written: it adds 50 then */
    unsigned    reg;  /* to this register */
    bool        now;  /* in the round of the store already */
    bool        alias;
} change_rows[] = {
    {"the next", 4, 4, true, false},
    {"later in the block", 5, 7, true, false},
    {"a later part of the region", 7, 8, true, false},
    {"an earlier part", 0, 3, false, false},
    {"the next, through another mapping", 4, 4, true, true},
    {"a later part, through another mapping", 7, 8, true, true},
    {"an earlier part, through another mapping", 0, 3, false, true},
};

static void test_store_to_running_code(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(change_rows); i++) {
        ToyMachine *m = machine(store_code, ARRAY_LEN(store_code));
        unsigned    reg = change_rows[i].reg, round = 8, rounds = HOT + 3;

        print_message("%s\n", change_rows[i].name);
        m->cpu->s.x[1] = (change_rows[i].alias ? ALIAS : CODE) + 4 * change_rows[i].at;
        m->cpu->s.x[2] = TOY(TOY_ADDI, reg, reg, 50);
        m->cpu->s.x[5] = HOT;
        run(m, &m->cpu->cpu, (uint64_t)round * (HOT - 1), CPU_STOP_TIME);
        check_regions(m);
        assert_int_equal(m->cpu->s.x[reg], HOT - 1);
        assert_int_equal(m->cpu->s.pc, CODE);
        run(m, &m->cpu->cpu, 1 + (uint64_t)round * 4, CPU_STOP_TIME); /* one round is longer by the store */
        assert_int_equal(m->cpu->s.pc, CODE);
        assert_int_equal(m->cpu->s.x[4], change_rows[i].at == 4 ? HOT - 1 + 4 * 50 : rounds);
        assert_int_equal(m->cpu->s.x[7], change_rows[i].at == 5 ? HOT - 1 + 4 * 50 : rounds);
        assert_int_equal(m->cpu->s.x[8], change_rows[i].at == 7 ? HOT - 1 + 4 * 50 : rounds);
        assert_int_equal(m->cpu->s.x[3], change_rows[i].at == 0 ? HOT + 3 * 50 : rounds);
        toy_machine_free(m);
    }
}

/* A device writes to hot code while it does not run. */
static void test_dma_to_hot_code(void **state)
{
    ToyMachine    *m = machine(store_code, ARRAY_LEN(store_code));
    const uint32_t insn = TOY(TOY_ADDI, 8, 8, 50);

    run(m, &m->cpu->cpu, 8 * HOT + 5, CPU_STOP_TIME); /* in the middle of the region */
    check_regions(m);
    toy_load(m, CODE + 4 * 7, &insn, 1);
    run(m, &m->cpu->cpu, 8, CPU_STOP_TIME);
    assert_int_equal(m->cpu->s.x[8], HOT + 50);
    assert_int_equal(m->cpu->s.pc, CODE + 4 * 6);
    toy_machine_free(m);
}

/* One CPU writes to the hot code of another. */
static void test_other_cpu_writes(void **state)
{
    static const uint32_t writer[] = { TOY(TOY_STW, 2, 1, 0), TOY(TOY_ADDI, 3, 3, 1), TOY(TOY_B, 0, 0, -2) };
    ToyMachine *m = machine(store_code, ARRAY_LEN(store_code));
    ToyCpu     *other = g_aligned_alloc0(1, sizeof(ToyCpu), 16);

    cpu_init(&other->cpu, m->engine, &toy_guest, m->memory, m->clock, 1);
    cpu_select_context(&other->cpu, 0, 0);
    memcpy(other->map, m->cpu->map, sizeof(other->map));
    other->n_maps = m->cpu->n_maps;
    toy_load(m, CODE + 0x2000, writer, ARRAY_LEN(writer));
    other->s.pc = CODE + 0x2000;
    other->s.x[1] = DATA;
    run(m, &other->cpu, 3 * HOT, CPU_STOP_TIME); /* hot as well, and its page had a fast entry */
    run(m, &m->cpu->cpu, 8 * HOT, CPU_STOP_TIME);
    check_regions(m);
    for (unsigned i = 0; i < N; i++) {
        other->s.x[1] = CODE + 4 * 7;
        other->s.x[2] = TOY(TOY_ADDI, 8, 8, i + 2);
        run(m, &other->cpu, 3, CPU_STOP_TIME);
        run(m, &m->cpu->cpu, 8 * HOT, CPU_STOP_TIME);
    }
    assert_int_equal(m->cpu->s.x[8], HOT * (1 + 2 + 3 + 4 + 5 + 6));
    assert_int_equal(other->s.x[3], HOT + N);
    cpu_deinit(&other->cpu);
    g_aligned_free(other);
    toy_machine_free(m);
}

/* ---- its page goes ---- */

static void test_owner_of_hot_code(void **state)
{
    ToyMachine *m = machine(store_code, ARRAY_LEN(store_code));

    run(m, &m->cpu->cpu, 8 * HOT + 4, CPU_STOP_TIME);
    check_regions(m);
    owners_set(m->owners, CODE, 0x1000, OWNER_REALM);
    run(m, &m->cpu->cpu, 100, CPU_STOP_WAIT);
    assert_int_equal(m->cpu->s.cause, TOY_CAUSE_TRANSLATION);
    assert_int_equal(m->cpu->s.epc, CODE + 4 * 5);
    assert_int_equal(m->cpu->s.x[8], HOT);
    owners_set(m->owners, CODE, 0x1000, OWNER_NONSECURE);
    m->cpu->s.pc = CODE + 4 * 5;
    m->cpu->cpu.waiting = false;
    run(m, &m->cpu->cpu, 4, CPU_STOP_TIME);
    assert_int_equal(m->cpu->s.x[8], HOT + 1);
    toy_machine_free(m);
}

/* Another page is put in its place, and the guest says so. */
static void test_hot_code_is_mapped_elsewhere(void **state)
{
    uint32_t    code[ARRAY_LEN(store_code)];
    ToyMachine *m = machine(store_code, ARRAY_LEN(store_code));

    memcpy(code, store_code, sizeof(code));
    code[7] = TOY(TOY_ADDI, 9, 9, 1);
    toy_load(m, 0x30000, code, ARRAY_LEN(code));
    run(m, &m->cpu->cpu, 8 * HOT, CPU_STOP_TIME);
    check_regions(m);
    m->cpu->map[0].pa = 0x30000;
    cpu_flush_va(&m->cpu->cpu, NULL, NULL, CODE, PAGE_SIZE);
    run(m, &m->cpu->cpu, 8 * HOT, CPU_STOP_TIME);
    m->cpu->map[0].pa = CODE;
    cpu_flush_va(&m->cpu->cpu, NULL, NULL, CODE, PAGE_SIZE);
    run(m, &m->cpu->cpu, 8 * HOT, CPU_STOP_TIME);
    assert_int_equal(m->cpu->s.x[8], 2 * HOT);
    assert_int_equal(m->cpu->s.x[9], HOT);
    toy_machine_free(m);
}

/* Stores of hot code beside code are direct: until there is code, too, another page is in its place, or it goes. The
 * table's entry for its loads is gone already. */
static void test_stores_beside_code(void **state)
{
    enum { PAGE = 0x30000, FN = ALIAS + 0x800, SAME_ENTRY = ALIAS + TLB_ENTRIES * PAGE_SIZE };
    static const uint32_t code[] = { TOY(TOY_ADDI, 3, 3, 1), TOY(TOY_STW, 2, 1, 0), TOY(TOY_SHADD, 1, 1, 4),
                                     TOY(TOY_B, 0, 0, -3), TOY(TOY_LD, 9, 10, 0), TOY(TOY_B, 0, 0, -5) };
    static const uint32_t fn[] = { TOY(TOY_ADDI, 8, 8, 1), TOY(TOY_B, 0, 0, -1) };
    ToyMachine           *m = toy_machine_flat(code, ARRAY_LEN(code));
    ToyMap               *map = toy_map(m, ALIAS, PAGE, 0x1000);
    const uint64_t        loop = 4 * HOT;
    uint32_t              word;

    toy_map(m, SAME_ENTRY, DATA, 0x1000);
    m->cpu->s.x[10] = SAME_ENTRY;
    toy_load(m, PAGE, fn, ARRAY_LEN(fn));
    toy_load(m, PAGE + 0x800, fn, ARRAY_LEN(fn));
    m->cpu->s.pc = ALIAS;
    run(m, &m->cpu->cpu, 20, CPU_STOP_TIME); /* the page has code */
    m->cpu->s.pc = CODE;
    m->cpu->s.x[1] = FN - 9 * 4;
    m->cpu->s.x[2] = 5;
    run(m, &m->cpu->cpu, loop, CPU_STOP_TIME);
    check_regions(m);

    m->cpu->s.pc = FN;
    run(m, &m->cpu->cpu, 20, CPU_STOP_TIME);
    m->cpu->s.pc = CODE;
    m->cpu->s.x[2] = TOY(TOY_ADDI, 8, 8, 50);
    m->cpu->s.x[4] = 4;
    run(m, &m->cpu->cpu, 4 * 10, CPU_STOP_TIME); /* the last one hits it */
    m->cpu->s.pc = FN;
    run(m, &m->cpu->cpu, 20, CPU_STOP_TIME);
    assert_int_equal(m->cpu->s.x[8], 10 + 10 + 10 * 50);

    m->cpu->s.x[1] = FN + 0x400;
    m->cpu->s.x[2] = 6;
    m->cpu->s.x[4] = 0;
    for (unsigned i = 0; i < 2; i++) {
        m->cpu->s.pc = CODE + 4 * 4;
        run(m, &m->cpu->cpu, loop, CPU_STOP_TIME);
        map->pa = PAGE + 0x1000;
        cpu_flush_va(&m->cpu->cpu, NULL, NULL, ALIAS, PAGE_SIZE);
        m->cpu->s.x[2]++;
        run(m, &m->cpu->cpu, loop, CPU_STOP_TIME);
        memory_read(m->memory, PAGE + 0xc00, attrs, &word, sizeof(word));
        assert_int_equal(word, 6 + i);
        memory_read(m->memory, PAGE + 0x1c00, attrs, &word, sizeof(word));
        assert_int_equal(word, 7 + i);
        map->pa = PAGE;
        cpu_flush_va(&m->cpu->cpu, NULL, NULL, ALIAS, PAGE_SIZE);
    }

    m->cpu->s.pc = CODE + 4 * 4;
    run(m, &m->cpu->cpu, loop, CPU_STOP_TIME);
    owners_set(m->owners, PAGE, 0x1000, OWNER_REALM);
    run(m, &m->cpu->cpu, 100, CPU_STOP_WAIT);
    assert_int_equal(m->cpu->s.cause, TOY_CAUSE_TRANSLATION);
    assert_int_equal(m->cpu->s.far, FN + 0x400);
    toy_machine_free(m);
}

/* ---- faults in the middle ---- */

static const struct {
    const char *name;
    uint32_t    insn; /* address: register 1 */
    unsigned    size, ahead; /* bytes; how far before its access it adds to the address */
    uint8_t     cause;
} fault_rows[] = {
    {"load", TOY(TOY_LD, 2, 1, 0), 8, 0, TOY_CAUSE_TRANSLATION},
    {"byte", TOY(TOY_LDB, 2, 1, 0), 1, 0, TOY_CAUSE_TRANSLATION},
    {"store", TOY(TOY_ST, 2, 1, 0), 8, 0, TOY_CAUSE_TRANSLATION},
    {"store of a word", TOY(TOY_STW, 2, 1, 0), 4, 0, TOY_CAUSE_TRANSLATION},
    {"load, register moves after", TOY(TOY_LDPOST, 2, 1, 4), 8, 0, TOY_CAUSE_TRANSLATION},
    {"store, register moves before", TOY(TOY_STPRE, 2, 1, 8), 8, 8, TOY_CAUSE_TRANSLATION},
    {"load with index", TOY(TOY_LDX, 2, 1, 15), 8, 0, TOY_CAUSE_TRANSLATION},
    {"store with index", TOY(TOY_STX, 2, 1, 15), 8, 0, TOY_CAUSE_TRANSLATION},
    {"pair", TOY(TOY_LDP, 9, 1, 0), 16, 0, TOY_CAUSE_TRANSLATION},
    {"store of a pair", TOY(TOY_STP, 9, 1, 0), 16, 0, TOY_CAUSE_TRANSLATION},
    {"store of a pair, register moves before", TOY(TOY_STPPRE, 9, 1, 8), 16, 8, TOY_CAUSE_TRANSLATION},
    {"vector", TOY(TOY_LDQ, 2, 1, 0), 16, 0, TOY_CAUSE_TRANSLATION},
    {"store of a vector", TOY(TOY_STQ, 2, 1, 0), 16, 0, TOY_CAUSE_TRANSLATION},
    {"big-endian", TOY(TOY_LDBE, 2, 1, 0), 4, 0, TOY_CAUSE_TRANSLATION},
    {"atomic", TOY(TOY_SWAP, 2, 1, 6), 8, 0, TOY_CAUSE_TRANSLATION},
};

static unsigned flags_of_difference(uint64_t a, uint64_t b)
{
    uint64_t r = a - b;

    return (unsigned)(r >> 63) << 3 | (unsigned)(r == 0) << 2 | (unsigned)(a >= b) << 1 |
           (unsigned)(((a ^ b) & (a ^ r)) >> 63);
}

/* An address walks off the page: the flags of the comparison before are in no register, others are pinned. */
static void test_faults_in_hot_code(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(fault_rows); i++) {
        const uint32_t code[] = {
            TOY(TOY_ADDI, 3, 3, 1), TOY(TOY_VADD, 1, 1, 3),
            TOY(TOY_SUBS, 5, 3, 6), fault_rows[i].insn,
            TOY(TOY_ADDI, 12, 12, 8), TOY(TOY_SHADD, 1, 12, 15),
            TOY(TOY_SUBS, 5, 12, 3), TOY(TOY_BC, IR_COND_NZ, 0, -7),
        };
        unsigned    size = fault_rows[i].size, round = ARRAY_LEN(code);
        uint64_t    steps = (0x2000 - size - fault_rows[i].ahead) / 8 + 1; /* that succeed */
        uint64_t    last = DATA + 8 * steps + fault_rows[i].ahead;         /* the address that does not */
        ToyMachine *m = machine(code, ARRAY_LEN(code));

        print_message("%s\n", fault_rows[i].name);
        m->cpu->map[2].size = 0x2000;
        m->cpu->s.x[1] = m->cpu->s.x[12] = DATA;
        m->cpu->s.x[6] = steps + 1 - i % 3; /* equal, less or more */
        m->cpu->s.v[3][0] = 1;
        assert_int_equal(run(m, &m->cpu->cpu, 100000, CPU_STOP_WAIT), round * steps + 4 + 1);
        check_regions(m);
        assert_int_equal(m->cpu->s.cause, fault_rows[i].cause);
        assert_int_equal(m->cpu->s.far, MAX(last, (uint64_t)DATA + 0x2000));
        assert_int_equal(m->cpu->s.epc, CODE + 4 * 3);
        assert_int_equal(m->cpu->s.exceptions, 1);
        assert_int_equal(m->cpu->s.x[1], DATA + 8 * steps);
        assert_int_equal(m->cpu->s.x[3], steps + 1);
        assert_int_equal(m->cpu->s.x[5], steps + 1 - m->cpu->s.x[6]);
        assert_int_equal(m->cpu->s.nzcv, flags_of_difference(steps + 1, m->cpu->s.x[6]));
        assert_int_equal(m->cpu->s.v[1][0], steps + 1);
        assert_int_equal(cpu_insns(&m->cpu->cpu), round * steps + 4 + 1);
        toy_machine_free(m);
    }
}

/* A load and a store of the same bytes, which are checked together, come to a page that may be read or written only. */
static void test_read_and_write_of_one_page(void **state)
{
    static const struct {
        const char *name;
        bool        no_write, no_read;
        unsigned    at; /* the instruction that faults */
    } rows[] = {
        { "read only", true, false, 4 },
        { "written only", false, true, 1 },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const uint32_t code[] = {
            TOY(TOY_ADDI, 3, 3, 1),
            TOY(TOY_LD, 2, 1, 0),
            TOY(TOY_ADDI, 2, 2, 7),
            rows[i].no_write ? TOY(TOY_ADDI, 9, 9, 1) : TOY(TOY_ST, 3, 8, 0), /* what was written may not be read */
            TOY(TOY_ST, 2, 1, 0),
            TOY(TOY_ADDI, 1, 1, 8),
            TOY(TOY_SUBS, 5, 3, 6),
            TOY(TOY_BC, IR_COND_NZ, 0, -7),
        };
        ToyMachine *m = machine(code, ARRAY_LEN(code));
        ToyMap     *map = toy_map(m, DATA + 0x2000, DATA + 0x2000, 0x1000);

        print_message("%s\n", rows[i].name);
        map->writable = !rows[i].no_write;
        map->no_read = rows[i].no_read;
        m->cpu->s.x[1] = DATA;
        m->cpu->s.x[8] = DATA + 0x2ff8;
        assert_int_equal(run(m, &m->cpu->cpu, 100000, CPU_STOP_WAIT), 8 * 0x400 + rows[i].at + 1 + 1);
        check_regions(m);
        assert_int_equal(m->cpu->s.cause, TOY_CAUSE_TRANSLATION);
        assert_int_equal(m->cpu->s.far, DATA + 0x2000);
        assert_int_equal(m->cpu->s.epc, CODE + 4 * rows[i].at);
        assert_int_equal(m->cpu->s.x[1], DATA + 0x2000);
        assert_int_equal(m->cpu->s.x[2], 7);
        toy_machine_free(m);
    }
}

/* Helpers that look at time, count and pc, and one that raises an exception. */
static void test_helpers_in_hot_code(void **state)
{
    static const uint32_t code[] = {
        TOY(TOY_ADDI, 3, 3, 1),  TOY(TOY_SYS, 2, 0, TOY_SYS_TIME), TOY(TOY_SYS, 4, 0, TOY_SYS_COUNT),
        TOY(TOY_SUBS, 5, 3, 6),  TOY(TOY_SYS, 7, 0, TOY_SYS_PC),   TOY(TOY_BC, IR_COND_NZ, 0, -5),
        TOY(TOY_ADDI, 8, 8, 1),  TOY(TOY_SYS, 0, 0, TOY_SYS_CALL), TOY(TOY_ADDI, 8, 8, 1),
    };
    ToyMachine *m = machine(code, ARRAY_LEN(code));

    m->cpu->s.x[6] = HOT;
    assert_int_equal(run(m, &m->cpu->cpu, 100000, CPU_STOP_WAIT), 6 * HOT + 2 + 1);
    check_regions(m);
    assert_int_equal(m->cpu->s.x[2], 6 * (HOT - 1) + 1);
    assert_int_equal(m->cpu->s.x[4], 6 * (HOT - 1) + 2);
    assert_int_equal(m->cpu->s.x[7], CODE + 16);
    assert_int_equal(m->cpu->s.nzcv, flags_of_difference(0, 0));
    assert_int_equal(m->cpu->s.cause, TOY_CAUSE_CALL);
    assert_int_equal(m->cpu->s.x[8], 1);
    toy_machine_free(m);
}

/* ---- the debugger ---- */

static const uint32_t debug_code[] = {
    TOY(TOY_ADDI, 3, 3, 1), TOY(TOY_LD, 2, 1, 0),        TOY(TOY_SUBS, 5, 3, 6), TOY(TOY_BC, IR_COND_Z, 0, 3),
    TOY(TOY_ST, 3, 1, 0),   TOY(TOY_BC, IR_COND_NZ, 0, 2), TOY(TOY_ADDI, 8, 8, 1), TOY(TOY_B, 0, 0, -7),
};

/* Which instruction a round runs as its @i-th: all but one, which is jumped over. */
static unsigned nth(unsigned i) { return i < 6 ? i : 7; }

static void test_breakpoints_in_hot_code(void **state)
{
    for (unsigned i = 0; i < 7; i++) {
        ToyMachine *m = machine(debug_code, ARRAY_LEN(debug_code));
        uint64_t    va = CODE + 4 * nth(i), used;

        m->cpu->s.x[1] = DATA;
        run(m, &m->cpu->cpu, 7 * HOT + 3, CPU_STOP_TIME);
        check_regions(m);
        cpu_break_insert(m->engine, va);
        assert_int_equal(run(m, &m->cpu->cpu, 100, CPU_STOP_BREAK), (i + 7 - 3) % 7);
        for (unsigned n = 0; n < N; n++) {
            assert_int_equal(m->cpu->s.pc, va);
            assert_int_equal(run(m, &m->cpu->cpu, 100, CPU_STOP_BREAK), 0);
            assert_int_equal(cpu_step(&m->cpu->cpu, 0, &used), CPU_STOP_BREAK);
            assert_int_equal(run(m, &m->cpu->cpu, 100, CPU_STOP_BREAK), 6);
        }
        assert_int_equal(m->cpu->s.x[3], HOT + 1 + N + (i == 1 || i == 2));
        cpu_break_remove(m->engine, va);
        run(m, &m->cpu->cpu, 7 * HOT, CPU_STOP_TIME);
        assert_int_equal(m->cpu->s.pc, va);
        toy_machine_free(m);
    }
}

/* Step by step through hot code, and on at full speed: as if nobody had looked. */
static void test_single_steps_in_hot_code(void **state)
{
    ToyMachine *m = machine(debug_code, ARRAY_LEN(debug_code));
    uint64_t    used;

    m->cpu->s.x[1] = DATA;
    for (unsigned n = 0; n < N; n++) {
        run(m, &m->cpu->cpu, 7 * HOT, CPU_STOP_TIME);
        for (unsigned i = 0; i < 14; i++) {
            assert_int_equal(m->cpu->s.pc, CODE + 4 * nth(i % 7));
            assert_int_equal(m->cpu->s.x[3], (n + 1) * HOT + 2 * n + i / 7 + (i % 7 > 0));
            assert_int_equal(cpu_step(&m->cpu->cpu, 0, &used), CPU_STOP_BREAK);
            assert_int_equal(used, 1);
        }
    }
    check_regions(m);
    uint64_t v = 0;
    memory_read(m->memory, DATA, attrs, &v, 8);
    assert_int_equal(v, N * (HOT + 2));
    toy_machine_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store_to_running_code),
        cmocka_unit_test(test_dma_to_hot_code),
        cmocka_unit_test(test_other_cpu_writes),
        cmocka_unit_test(test_owner_of_hot_code),
        cmocka_unit_test(test_hot_code_is_mapped_elsewhere),
        cmocka_unit_test(test_stores_beside_code),
        cmocka_unit_test(test_faults_in_hot_code),
        cmocka_unit_test(test_read_and_write_of_one_page),
        cmocka_unit_test(test_helpers_in_hot_code),
        cmocka_unit_test(test_breakpoints_in_hot_code),
        cmocka_unit_test(test_single_steps_in_hot_code),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
