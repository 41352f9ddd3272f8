/*
 * The CPU engine with the toy guest: counts, faults, self-modifying code, device accesses, invalidation,
 * breakpoints; and that none of it depends on where blocks begin and end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <glib.h>

#include "bits.h"
#include "bytes.h"
#include "cpu/engine.h"
#include "toy_guest.h"

enum { CODE = TOY_CODE, VECTOR = TOY_VECTOR, DATA = TOY_DATA, DEVICE_VA = 0x50000 };

static const MemAttrs attrs = { .pas = PAS_NONSECURE };

/* With the device at DEVICE_VA. */
static ToyMachine *machine(const uint32_t *code, size_t n)
{
    ToyMachine *m = toy_machine_flat(code, n);

    toy_map(m, DEVICE_VA, TOY_DEVICE_PA, 0x1000)->device = true;
    return m;
}

#define MACHINE(code) machine(code, ARRAY_LEN(code))

static uint64_t read_ram(ToyMachine *m, uint64_t pa)
{
    uint64_t v = 0;

    memory_read(m->memory, pa, attrs, &v, 8);
    return v;
}

static uint64_t run(ToyMachine *m, uint64_t budget, CpuStop expect)
{
    uint64_t used;

    assert_int_equal(cpu_run(&m->cpu->cpu, clock_now(m->clock), budget, &used), expect);
    return used;
}

/* ---- counts ---- */

static const uint32_t loop_code[] = {
    TOY(TOY_ADDI, 1, 1, 1), TOY(TOY_ADDI, 2, 2, 2), TOY(TOY_CMPI, 0, 1, 1000), TOY(TOY_BC, IR_COND_NZ, 0, -3),
    TOY(TOY_SYS, 0, 0, TOY_SYS_WFI),
};

static void test_exact_budget(void **state)
{
    for (unsigned budget = 1; budget < 40; budget++) {
        ToyMachine *m = MACHINE(loop_code);

        assert_int_equal(run(m, budget, CPU_STOP_TIME), budget);
        assert_int_equal(m->cpu->cpu.n_insns, budget);
        assert_int_equal(m->cpu->s.x[1], (budget + 3) / 4);
        assert_int_equal(m->cpu->s.pc, CODE + 4 * (budget % 4));
        assert_int_equal(run(m, 7, CPU_STOP_TIME), 7);
        assert_int_equal(m->cpu->s.x[1], (budget + 7 + 3) / 4);
        toy_machine_free(m);
    }
}

/* With the clock's time, a run ends with a block: nothing is cut, nothing is done twice. */
static void test_follow_clock(void **state)
{
    ToyMachine *m = MACHINE(loop_code);
    uint64_t    sum = 0;

    cpu_follow_clock(&m->cpu->cpu, true);
    assert_int_equal(run(m, 3, CPU_STOP_TIME), 0); /* the block has four instructions */
    for (unsigned i = 0; i < 10; i++) {
        uint64_t used = run(m, 10, CPU_STOP_TIME);

        assert_in_range(used, 4, 10);
        assert_int_equal(used % 4, 0);
        sum += used;
    }
    assert_int_equal(m->cpu->s.x[1], sum / 4);
    assert_int_equal(cpu_insns(&m->cpu->cpu), sum);
    assert_int_equal(cpu_now(&m->cpu->cpu), clock_now(m->clock));
    toy_machine_free(m);
}

static void test_wait(void **state)
{
    ToyMachine *m = MACHINE(loop_code);

    assert_int_equal(run(m, 100000, CPU_STOP_WAIT), 4001);
    assert_int_equal(m->cpu->s.x[2], 2000);
    assert_int_equal(run(m, 100, CPU_STOP_WAIT), 0);
    m->cpu->s.line = 1;
    cpu_attend(&m->cpu->cpu);
    assert_int_equal(run(m, 3, CPU_STOP_TIME), 3);
    toy_machine_free(m);
}

static void test_request_stop(void **state)
{
    ToyMachine *m = MACHINE(loop_code);

    cpu_request_stop(&m->cpu->cpu);
    assert_int_equal(run(m, 100, CPU_STOP_REQUEST), 0);
    assert_int_equal(run(m, 100, CPU_STOP_TIME), 100);
    m->cpu->cpu.party = true;
    assert_int_equal(run(m, 100, CPU_STOP_PARTY), 0);
    toy_machine_free(m);
}

static void test_time_inside_block(void **state)
{
    static const uint32_t code[] = {
        TOY(TOY_ADDI, 1, 1, 1), TOY(TOY_SYS, 2, 0, TOY_SYS_TIME), TOY(TOY_ADDI, 1, 1, 1),
        TOY(TOY_SYS, 3, 0, TOY_SYS_COUNT), TOY(TOY_SYS, 4, 0, TOY_SYS_PC), TOY(TOY_SYS, 0, 0, TOY_SYS_WFI),
    };
    ToyMachine *m = MACHINE(code);

    clock_advance(m->clock, 1000);
    run(m, 100, CPU_STOP_WAIT);
    assert_int_equal(m->cpu->s.x[2], 1001);
    assert_int_equal(m->cpu->s.x[3], 3);
    assert_int_equal(m->cpu->s.x[4], CODE + 16);
    toy_machine_free(m);
}

/* ---- faults ---- */

static const struct {
    const char *name;
    uint32_t    insn;
    uint64_t    x1, far;
    unsigned    cause;
} fault_rows[] = {
    {"load, not mapped", TOY(TOY_LDPOST, 2, 1, 8), 0x900000, 0x900000, TOY_CAUSE_TRANSLATION},
    {"store, not mapped", TOY(TOY_STPRE, 2, 1, 8), 0x900000, 0x900008, TOY_CAUSE_TRANSLATION},
    {"load crossing into a hole", TOY(TOY_LD, 2, 1, 0), DATA + 0x1ffc, DATA + 0x2000, TOY_CAUSE_TRANSLATION},
    {"unaligned where alignment is asked", TOY(TOY_LDBE, 2, 1, 0), DATA + 2, DATA + 2, TOY_CAUSE_ALIGN},
    {"unaligned device access", TOY(TOY_LD, 2, 1, 0), DEVICE_VA + 4, DEVICE_VA + 4, TOY_CAUSE_ALIGN},
    {"device refuses", TOY(TOY_LD, 2, 1, 0), DEVICE_VA + 0x800, DEVICE_VA + 0x800, TOY_CAUSE_BUS},
    {"nothing there", TOY(TOY_LD, 2, 1, 0), 0xa0000, 0xa0000, TOY_CAUSE_BUS},
    {"undefined", TOY(TOY_UNDEF, 0, 0, 0), 7, 0, TOY_CAUSE_UNDEF},
};

static void test_faults(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(fault_rows); i++) {
        const uint32_t code[] = { TOY(TOY_ADDI, 3, 3, 1), TOY(TOY_ADDI, 4, 4, 1), fault_rows[i].insn,
                                  TOY(TOY_ADDI, 3, 3, 100) };
        ToyMachine    *m = MACHINE(code);

        print_message("%s\n", fault_rows[i].name);
        toy_map(m, 0xa0000, 0x80000000, 0x1000);
        m->cpu->s.x[1] = fault_rows[i].x1;
        m->cpu->s.x[2] = 0x55;
        assert_int_equal(run(m, 100, CPU_STOP_WAIT), 4); /* two, the faulting one, the handler's WFI */
        assert_int_equal(m->cpu->s.cause, fault_rows[i].cause);
        assert_int_equal(m->cpu->s.far, fault_rows[i].far);
        assert_int_equal(m->cpu->s.epc, CODE + 8);
        assert_int_equal(m->cpu->s.x[1], fault_rows[i].x1);
        assert_int_equal(m->cpu->s.x[2], 0x55);
        assert_int_equal(m->cpu->s.x[3], 1);
        toy_machine_free(m);
    }
}

static void test_fetch_fault(void **state)
{
    static const uint32_t code[] = { TOY(TOY_ADDI, 3, 3, 1), TOY(TOY_BR, 0, 1, 0) };
    ToyMachine           *m = MACHINE(code);

    m->cpu->s.x[1] = 0x900000;
    assert_int_equal(run(m, 100, CPU_STOP_WAIT), 4);
    assert_int_equal(m->cpu->s.cause, TOY_CAUSE_TRANSLATION);
    assert_int_equal(m->cpu->s.epc, 0x900000);
    toy_machine_free(m);
}

static void test_page_crossing(void **state)
{
    static const uint32_t code[] = { TOY(TOY_LD, 2, 1, 0), TOY(TOY_ST, 2, 1, 5), TOY(TOY_LDQ, 1, 1, 1),
                                     TOY(TOY_STQ, 1, 3, 0), TOY(TOY_SYS, 0, 0, TOY_SYS_WFI) };
    ToyMachine           *m = MACHINE(code);
    uint8_t               bytes[32], expect[32], got[16];

    for (unsigned i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(i * 7 + 1);
    }
    memcpy(expect, bytes, sizeof(bytes));
    memmove(expect + 9, bytes + 4, 8);
    memory_write(m->memory, DATA + 0xff8, attrs, bytes, sizeof(bytes));
    m->cpu->s.x[1] = DATA + 0xffc;
    m->cpu->s.x[3] = DATA + 0x17f8;
    run(m, 100, CPU_STOP_WAIT);
    memory_read(m->memory, DATA + 0xff8, attrs, bytes, sizeof(bytes));
    assert_memory_equal(bytes, expect, sizeof(bytes));
    memory_read(m->memory, DATA + 0x17f8, attrs, got, sizeof(got));
    assert_memory_equal(got, expect + 5, sizeof(got));
    toy_machine_free(m);
}

/* A store that crosses into a page it may not write leaves the first page alone. */
static void test_crossing_store_is_whole(void **state)
{
    static const uint32_t code[] = { TOY(TOY_ST, 2, 1, 0) };
    ToyMachine           *m = MACHINE(code);

    m->cpu->map[2].size = 0x1000;
    toy_map(m, DATA + 0x1000, DATA + 0x1000, 0x1000)->writable = false;
    m->cpu->s.x[1] = DATA + 0xffc;
    m->cpu->s.x[2] = ~0ull;
    run(m, 10, CPU_STOP_WAIT);
    assert_int_equal(m->cpu->s.far, DATA + 0x1000);
    assert_int_equal(read_ram(m, DATA + 0xff8), 0);
    toy_machine_free(m);
}

/* ---- code that changes ---- */

static void test_self_modifying(void **state)
{
    /* Overwrites the instruction right after the store, in the same block. */
    const uint32_t code[] = { TOY(TOY_ADDI, 3, 3, 1), TOY(TOY_STW, 2, 1, 12), TOY(TOY_ADDI, 3, 3, 1),
                              TOY(TOY_ADDI, 4, 4, 1), TOY(TOY_SYS, 0, 0, TOY_SYS_WFI) };
    ToyMachine    *m = MACHINE(code);

    m->cpu->s.x[1] = CODE;
    m->cpu->s.x[2] = TOY(TOY_ADDI, 4, 4, 50);
    assert_int_equal(run(m, 100, CPU_STOP_WAIT), 5);
    assert_int_equal(m->cpu->s.x[3], 2);
    assert_int_equal(m->cpu->s.x[4], 50);
    toy_machine_free(m);
}

/* Counts in memory right behind its own code. */
static const uint32_t beside_code[] = { TOY(TOY_LD, 2, 1, 0), TOY(TOY_ADDI, 2, 2, 1), TOY(TOY_ST, 2, 1, 0),
                                        TOY(TOY_B, 0, 0, -3) };

static void test_data_beside_code(void **state)
{
    ToyMachine    *m = MACHINE(beside_code);
    CpuEngineStats before, after;

    m->cpu->s.x[1] = CODE + sizeof(beside_code);
    run(m, 800, CPU_STOP_TIME); /* a region is made of it, where they are */
    cpu_engine_stats(m->engine, &before);
    run(m, 400, CPU_STOP_TIME);
    cpu_engine_stats(m->engine, &after);
    assert_int_equal(after.blocks, before.blocks);
    assert_true(memory_has_code(m->memory, CODE));
    assert_int_equal(read_ram(m, CODE + sizeof(beside_code)), 300);
    toy_machine_free(m);
}

/* Making a region looks for no translation of the page that running the code did not look for. */
static void test_hot_without_translation(void **state)
{
    enum { FAR = CODE + FETCH_ENTRIES * PAGE_SIZE }; /* which takes the place of the first page's fetch entry */
    const uint32_t near[] = { TOY(TOY_ADDI, 3, 3, 1), TOY(TOY_BR, 0, 5, 0) }, far[] = { TOY(TOY_BR, 0, 6, 0) };
    ToyMachine    *m = MACHINE(near);

    toy_map(m, FAR, CODE + 0x1000, 0x1000);
    toy_load(m, CODE + 0x1100, far, ARRAY_LEN(far));
    m->cpu->s.x[5] = FAR + 0x100; /* another slot of the jump cache */
    m->cpu->s.x[6] = CODE;
    run(m, 30, CPU_STOP_TIME);
    m->cpu->map[0].no_exec = true; /* without a word: what is known of the page may be used on */
    run(m, 30000, CPU_STOP_TIME);
    assert_int_equal(m->cpu->s.cause, TOY_CAUSE_NONE);
    assert_int_equal(m->cpu->s.x[3], 10010);
    toy_machine_free(m);
}

/* A page that gets many stores and whose code does not run any more becomes plain data; and code again. Hot machine
 * code stores beside it directly. */
static void test_data_where_code_was(void **state)
{
    ToyMachine *m = MACHINE(beside_code);
    uint64_t    total = 0;

    m->cpu->s.x[1] = CODE + 0x800;
    total += run(m, 40, CPU_STOP_TIME);
    toy_load(m, CODE + 0x1000, beside_code, ARRAY_LEN(beside_code));
    m->cpu->s.pc = CODE + 0x1000;
    total += run(m, 4 * 10000, CPU_STOP_TIME);
    assert_true(cpu_engine_accel(m->engine) == CPU_ACCEL_JIT || !memory_has_code(m->memory, CODE));
    m->cpu->s.pc = CODE;
    total += run(m, 40, CPU_STOP_TIME);
    assert_true(memory_has_code(m->memory, CODE));
    assert_int_equal(read_ram(m, CODE + 0x800), total / 4);
    toy_machine_free(m);
}

/* Of two functions in a page one is changed. */
static void test_code_dropped_exactly(void **state)
{
    const uint32_t caller[] = { TOY(TOY_BL, 0, 0, 8), TOY(TOY_BL, 0, 0, 15), TOY(TOY_B, 0, 0, -2) };
    uint32_t       fn[] = { TOY(TOY_ADDI, 3, 3, 1), TOY(TOY_BR, 0, TOY_LINK, 0) };
    ToyMachine    *m = MACHINE(caller);
    CpuEngineStats before, after;

    toy_load(m, CODE + 32, fn, ARRAY_LEN(fn));
    toy_load(m, CODE + 64, fn, ARRAY_LEN(fn));
    run(m, 70, CPU_STOP_TIME);
    cpu_engine_stats(m->engine, &before);
    fn[0] = TOY(TOY_ADDI, 4, 4, 1);
    toy_load(m, CODE + 64, fn, ARRAY_LEN(fn));
    run(m, 70, CPU_STOP_TIME);
    cpu_engine_stats(m->engine, &after);
    assert_int_equal(after.blocks, before.blocks + 1);
    assert_int_equal(m->cpu->s.x[3], 30);
    assert_int_equal(m->cpu->s.x[4], 10);
    toy_machine_free(m);
}

/* What is linked to a block that was dropped gets to its successor without the run loop, from the second time on. */
static void test_links_to_dropped_code(void **state)
{
    uint32_t       code[] = { TOY(TOY_ADDI, 3, 3, 1), TOY(TOY_B, 0, 0, 1), TOY(TOY_ADDI, 4, 4, 1),
                              TOY(TOY_B, 0, 0, -3) };
    ToyMachine    *m = MACHINE(code);
    CpuEngineStats before, after;

    run(m, 200, CPU_STOP_TIME);
    code[2] = TOY(TOY_ADDI, 4, 4, 2);
    toy_load(m, CODE + 8, code + 2, 1);
    cpu_engine_stats(m->engine, &before);
    run(m, 200, CPU_STOP_TIME);
    cpu_engine_stats(m->engine, &after);
    assert_int_equal(m->cpu->s.x[4], 50 + 100);
    if (cpu_engine_accel(m->engine) == CPU_ACCEL_JIT) { /* the executor goes through it each time */
        assert_true(after.entries - before.entries < 10);
    }
    toy_machine_free(m);
}

enum { FN = CODE + 0x1000, FN_WORDS = 10 };

#define BL_FN(from, word) TOY(TOY_BL, 0, 0, (FN - CODE) / 4 + (word) - (from))

/* A function that counts in register 3. */
static void load_fn(ToyMachine *m)
{
    uint32_t fn[FN_WORDS + 1];

    for (unsigned i = 0; i < FN_WORDS; i++) {
        fn[i] = TOY(TOY_ADDI, 3, 3, 1);
    }
    fn[FN_WORDS] = TOY(TOY_BR, 0, TOY_LINK, 0);
    toy_load(m, FN, fn, ARRAY_LEN(fn));
}

/* Of two blocks that overlap one is dropped, and with it what is known of its bytes but not of the other's. */
static void test_overlapping_code(void **state)
{
    const uint32_t code[] = { BL_FN(0, 0), BL_FN(1, 5), TOY(TOY_STW, 2, 1, 8), TOY(TOY_STW, 5, 1, 28),
                              BL_FN(4, 5), BL_FN(5, 0), TOY(TOY_SYS, 0, 0, TOY_SYS_WFI) };
    ToyMachine    *m = MACHINE(code);

    load_fn(m);
    m->cpu->s.x[1] = FN;
    m->cpu->s.x[2] = TOY(TOY_ADDI, 4, 4, 100);
    m->cpu->s.x[5] = TOY(TOY_ADDI, 6, 6, 7);
    run(m, 1000, CPU_STOP_WAIT);
    assert_int_equal(m->cpu->s.x[3], 10 + 5 + 4 + 8);
    assert_int_equal(m->cpu->s.x[4], 100);
    assert_int_equal(m->cpu->s.x[6], 2 * 7);
    toy_machine_free(m);
}

/* A function is written anew, word by word: the first one drops it, the others are stores beside code. */
static void test_code_written_anew(void **state)
{
    enum { ROUNDS = 100, INSNS = 4 + 1 + 1 + FN_WORDS + 1 };
    const uint32_t code[] = { TOY(TOY_STW, 2, 1, 0), TOY(TOY_STW, 2, 1, 4), TOY(TOY_STW, 2, 1, 8),
                              TOY(TOY_STW, 2, 1, 12), BL_FN(4, 0), TOY(TOY_B, 0, 0, -5) };
    ToyMachine    *m = MACHINE(code);
    CpuEngineStats before, after;

    load_fn(m);
    m->cpu->s.x[1] = FN;
    m->cpu->s.x[2] = TOY(TOY_ADDI, 4, 4, 1);
    m->cpu->s.pc = FN + 4 * FN_WORDS; /* a block that stays: the page has code all the time */
    m->cpu->s.x[TOY_LINK] = CODE;
    run(m, 1, CPU_STOP_TIME);
    run(m, ROUNDS * INSNS, CPU_STOP_TIME);
    cpu_engine_stats(m->engine, &before);
    run(m, ROUNDS * INSNS, CPU_STOP_TIME);
    cpu_engine_stats(m->engine, &after);
    assert_int_equal(m->cpu->s.x[4], 2 * ROUNDS * 4);
    assert_int_equal(m->cpu->s.x[3], 2 * ROUNDS * 6);
    assert_true(after.blocks - before.blocks <= 3 * ROUNDS);
    if (cpu_engine_accel(m->engine) == CPU_ACCEL_JIT) {
        assert_true(after.entries - before.entries <= 5 * ROUNDS);
    }
    toy_machine_free(m);
}

/* One instruction of a function changes over and over: the others are not translated each time. */
static void test_patched_often(void **state)
{
    enum { ROUNDS = 100, INSNS = 4 + FN_WORDS + 1 };
    const uint32_t code[] = { TOY(TOY_STW, 2, 1, 16), TOY(TOY_ADDI, 2, 2, 1), BL_FN(2, 0), TOY(TOY_B, 0, 0, -3) };
    ToyMachine    *m = MACHINE(code);
    CpuEngineStats before, after;

    load_fn(m);
    m->cpu->s.x[1] = FN;
    m->cpu->s.x[2] = TOY(TOY_ADDI, 4, 4, 1);
    run(m, ROUNDS * INSNS, CPU_STOP_TIME);
    cpu_engine_stats(m->engine, &before);
    run(m, ROUNDS * INSNS, CPU_STOP_TIME);
    cpu_engine_stats(m->engine, &after);
    assert_int_equal(m->cpu->s.x[3], 2 * ROUNDS * (FN_WORDS - 1));
    assert_int_equal(m->cpu->s.x[4], 2 * ROUNDS * (2 * ROUNDS + 1) / 2);
    assert_true(after.translated_insns - before.translated_insns <= 3 * ROUNDS);
    toy_machine_free(m);
}

/* The first store into code of all is to address 0. */
static void test_patched_at_zero(void **state)
{
    enum { LOW_VA = 0x70000 };
    const uint32_t code[] = { TOY(TOY_STW, 2, 1, 0), TOY(TOY_ADDI, 3, 3, 1), TOY(TOY_B, 0, 0, -2) };
    ToyMachine    *m = MACHINE(loop_code);

    toy_map(m, LOW_VA, 0, 0x1000);
    toy_load(m, 0, code, ARRAY_LEN(code));
    m->cpu->s.pc = m->cpu->s.x[1] = LOW_VA;
    m->cpu->s.x[2] = code[0];
    run(m, 60, CPU_STOP_TIME);
    assert_int_equal(m->cpu->s.x[3], 20);
    toy_machine_free(m);
}

static void test_code_written_by_dma(void **state)
{
    ToyMachine    *m = MACHINE(loop_code);
    const uint32_t insn = TOY(TOY_ADDI, 1, 1, 3);

    run(m, 40, CPU_STOP_TIME);
    assert_true(memory_has_code(m->memory, CODE));
    toy_load(m, CODE, &insn, 1);
    assert_false(memory_has_code(m->memory, CODE));
    run(m, 40, CPU_STOP_TIME);
    assert_int_equal(m->cpu->s.x[1], 10 + 30);
    toy_machine_free(m);
}

/* The same bytes mean something else in mode 1. */
static void test_key(void **state)
{
    static const uint32_t code[] = { TOY(TOY_ADDI, 3, 3, 5), TOY(TOY_MODE, 0, 0, 1), TOY(TOY_ADDI, 4, 4, 5),
                                     TOY(TOY_CBZ, 0, 5, -2), TOY(TOY_SYS, 0, 0, TOY_SYS_WFI) };
    ToyMachine           *m = MACHINE(code);

    m->cpu->s.x[5] = 1;
    run(m, 100, CPU_STOP_WAIT);
    assert_int_equal(m->cpu->s.x[3], 5);
    assert_int_equal(m->cpu->s.x[4], 10);
    m->cpu->s.pc = CODE;
    m->cpu->cpu.waiting = false;
    run(m, 100, CPU_STOP_WAIT);
    assert_int_equal(m->cpu->s.x[3], 15);
    toy_machine_free(m);
}

/* ---- devices ---- */

static void test_device_in_block(void **state)
{
    static const uint32_t code[] = {
        TOY(TOY_ADDI, 3, 3, 1), TOY(TOY_LD, 2, 1, 8), TOY(TOY_ADDI, 3, 3, 1), /* register 1: the time */
        TOY(TOY_ST, 3, 1, 0),   TOY(TOY_LD, 4, 1, 0), TOY(TOY_SYS, 0, 0, TOY_SYS_WFI),
    };
    ToyMachine *m = MACHINE(code);

    m->cpu->s.x[1] = DEVICE_VA;
    toy_run(m, 100, 1000);
    assert_int_equal(m->cpu->s.x[2], 1);
    assert_int_equal(m->cpu->s.x[4], 2);
    assert_int_equal(m->n_reads, 2); /* once each, although their blocks were left and came back */
    assert_int_equal(m->n_writes, 1);
    assert_int_equal(m->cpu->cpu.n_insns, 6);
    toy_machine_free(m);
}

/* An interrupt that a device raises is taken before the next instruction; a deadline at its own. */
static void test_interrupt_points(void **state)
{
    for (unsigned ahead = 0; ahead < 12; ahead++) {
        for (unsigned block = 1; block <= 64; block += 21) {
            uint32_t    code[32];
            ToyMachine *m;

            for (unsigned i = 0; i < ARRAY_LEN(code); i++) {
                code[i] = TOY(TOY_ADDI, 3, 3, 1);
            }
            code[5] = ahead == 0 ? TOY(TOY_ST, 2, 1, 16) : TOY(TOY_ST, 2, 1, 24);
            code[31] = TOY(TOY_B, 0, 0, 0);
            m = MACHINE(code);
            cpu_engine_set_max_block(m->engine, block);
            m->cpu->s.x[1] = DEVICE_VA;
            m->cpu->s.x[2] = ahead;
            m->cpu->s.irq_on = 1;
            toy_run(m, 100, 1000);
            assert_int_equal(m->cpu->s.irqs, 1);
            /* The store runs at 5 ns; a deadline n ahead falls before instruction 5 + n, but not before
             * the next. */
            assert_int_equal(m->cpu->s.epc, CODE + 4 * (ahead < 1 ? 6 : 5 + ahead));
            toy_machine_free(m);
        }
    }
}

/* ---- invalidation ---- */

static const uint32_t read_code[] = { TOY(TOY_LD, 2, 1, 0), TOY(TOY_B, 0, 0, -1) };

static void test_flush_va(void **state)
{
    ToyMachine *m = MACHINE(read_code);

    memory_write(m->memory, 0x30000, attrs, "\x11", 1);
    m->cpu->s.x[1] = DATA;
    run(m, 10, CPU_STOP_TIME);
    assert_int_equal(m->cpu->s.x[2], 0);
    m->cpu->map[2].pa = 0x30000;
    run(m, 10, CPU_STOP_TIME);
    assert_int_equal(m->cpu->s.x[2], 0); /* cached */
    cpu_flush_va(&m->cpu->cpu, NULL, NULL, DATA + 0x5000, 4096);
    run(m, 10, CPU_STOP_TIME);
    assert_int_equal(m->cpu->s.x[2], 0); /* another page */
    cpu_flush_va(&m->cpu->cpu, NULL, NULL, DATA + 0x1000, 4096);
    run(m, 10, CPU_STOP_TIME);
    assert_int_equal(m->cpu->s.x[2], 0x11); /* same 8 KiB mapping, dropped as a whole */
    toy_machine_free(m);
}

static bool tag_is(uint64_t tag, const void *opaque) { return tag == *(const uint64_t *)opaque; }

static void test_contexts(void **state)
{
    ToyMachine *m = MACHINE(read_code);
    Cpu        *cpu = &m->cpu->cpu;
    uint64_t    one = 1;

    for (unsigned space = 0; space < 2; space++) {
        for (unsigned i = 0; i < 3 && space == 1; i++) {
            *toy_map(m, m->cpu->map[i].va, m->cpu->map[i].pa + (i == 2 ? 0x10000 : 0), 0x1000) =
                (ToyMap){.va = m->cpu->map[i].va,
                         .pa = m->cpu->map[i].pa + (i == 2 ? 0x10000 : 0),
                         .size = 0x1000,
                         .space = 1,
                         .writable = true};
        }
    }
    memory_write(m->memory, 0x30000, attrs, "\x22", 1);
    m->cpu->s.x[1] = DATA;
    run(m, 10, CPU_STOP_TIME);
    m->cpu->s.space = 1;
    cpu_select_context(cpu, 0, 1);
    run(m, 10, CPU_STOP_TIME);
    assert_int_equal(m->cpu->s.x[2], 0x22);
    unsigned fills = m->cpu->n_fills;
    m->cpu->s.space = 0;
    cpu_select_context(cpu, 0, 0);
    run(m, 10, CPU_STOP_TIME);
    assert_int_equal(m->cpu->s.x[2], 0);
    assert_int_equal(m->cpu->n_fills, fills); /* the first context was kept */
    cpu_flush_contexts(cpu, tag_is, &one);
    run(m, 10, CPU_STOP_TIME);
    assert_int_equal(m->cpu->n_fills, fills);
    m->cpu->s.space = 1;
    cpu_select_context(cpu, 0, 1);
    run(m, 10, CPU_STOP_TIME);
    assert_true(m->cpu->n_fills > fills);
    for (unsigned tag = 2; tag < 40; tag++) { /* more than are kept */
        cpu_select_context(cpu, 0, tag);
    }
    toy_machine_free(m);
}

/* ---- the tables of one context against a list of what was entered ---- */

enum { SHADOWS = 4000 };

typedef struct Shadow {
    uint64_t page, base, size; /* of the mapping that the page was filled from */
    bool     live;
} Shadow;

static bool overlaps(const Shadow *s, uint64_t va, uint64_t len)
{
    return s->base - va < len || va - s->base < s->size;
}

static bool is_live(const Shadow *s, unsigned n, uint64_t va)
{
    for (unsigned i = n; i-- > 0;) {
        if (s[i].page == (va & PAGE_MASK) && s[i].live) {
            return true;
        }
    }
    return false;
}

/* Nothing may be there that an invalidation covered. */
static void check_tables(const CpuTlb *t, const Shadow *s, unsigned n)
{
    for (unsigned i = 0; i < TLB_ENTRIES; i++) {
        uint64_t empty = i == 0 ? PAGE_SIZE : 0;

        assert_true(t->read[i].tag == empty || is_live(s, n, t->read[i].tag));
        assert_true(t->write[i].tag == empty || is_live(s, n, t->write[i].tag));
    }
    for (unsigned i = 0; i < FETCH_ENTRIES; i++) {
        assert_true(t->fetch[i].page == 1 || is_live(s, n, t->fetch[i].page));
        assert_true(t->fetch[i].page != 1 || t->fetched[i] == 0);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(t->jump); i++) {
        assert_true(t->jump[i].block == NULL || is_live(s, n, t->jump[i].pc));
    }
}

static void enter_page(ToyMachine *m, Shadow *s, CpuBlock *b, unsigned random)
{
    static const uint64_t sizes[] = { 1 << 12, 1 << 12, 1 << 16, 1 << 21, 1 << 25 };
    Cpu    *cpu = &m->cpu->cpu;
    CpuFill f = { .pa = DATA, .page_size = sizes[random % 5], .readable = true, .writable = true };

    s->page = 0xffff800000000000 + ((uint64_t)(random >> 4) % 0x40000 << 12);
    s->base = align_down(s->page, f.page_size);
    s->size = f.page_size;
    s->live = true;
    tlb_fill(cpu, 0, s->page + 8, &f);
    tlb_number_fetch(cpu->engine, cpu->tlb[0], tlb_fill_fetch(cpu->engine, cpu->tlb[0], s->page + 8, &f));
    b->pc = s->page + (random >> 8 & 0xffc);
    b->key = random % 5;
    jump_set(cpu->tlb[0], b);
}

static void test_invalidation(void **state)
{
    static Shadow   shadow[SHADOWS];
    static CpuBlock block[SHADOWS];
    ToyMachine     *m = MACHINE(read_code);
    Cpu            *cpu = &m->cpu->cpu;
    GRand          *r = g_rand_new_with_seed(5);

    for (unsigned n = 0; n < SHADOWS; n++) {
        uint64_t len = PAGE_SIZE << g_rand_int_range(r, 0, 9), va;

        enter_page(m, &shadow[n], &block[n], g_rand_int(r));
        if (g_rand_int_range(r, 0, 40) != 0) {
            continue;
        }
        va = shadow[g_rand_int_range(r, 0, (gint32)n + 1)].page;
        if (n % 16 == 0) {
            cpu_flush_contexts(cpu, NULL, NULL);
            va = 0;
            len = UINT64_MAX;
        } else {
            cpu_flush_va(cpu, NULL, NULL, va, len);
        }
        for (unsigned i = 0; i <= n; i++) {
            shadow[i].live &= !overlaps(&shadow[i], va, len);
        }
        check_tables(cpu->tlb[0], shadow, n + 1);
    }
    bool writable;
    tlb_write_protect(cpu, memory_host_page(m->memory, DATA, &writable));
    for (unsigned i = 0; i < TLB_ENTRIES; i++) {
        assert_int_equal(cpu->tlb[0]->write[i].tag, i == 0 ? PAGE_SIZE : 0);
    }
    tlb_flush_pa(cpu, DATA, PAGE_SIZE);
    for (unsigned i = 0; i < FETCH_ENTRIES; i++) {
        assert_int_equal(cpu->tlb[0]->fetched[i], 0);
    }
    g_rand_free(r);
    toy_machine_free(m);
}

/* The slots of the first and the last instruction, with keys that move them and one that does not. */
static void test_jump_ends(void **state)
{
    static const uint64_t pcs[] = { 0, 4 * (JUMP_ENTRIES - 1) };
    ToyMachine *m = MACHINE(read_code);
    CpuTlb     *t = m->cpu->cpu.tlb[0];

    for (unsigned i = 0; i < G_N_ELEMENTS(pcs); i++) {
        for (uint64_t key = 0; key < 20; key++) {
            CpuBlock b = { .pc = pcs[i], .key = key };

            assert_null(jump_find(t, b.pc, key));
            jump_set(t, &b);
            assert_ptr_equal(jump_find(t, b.pc, key), &b);
            if (key % 2 == 0) {
                cpu_flush_contexts(&m->cpu->cpu, NULL, NULL);
            } else {
                cpu_flush_va(&m->cpu->cpu, NULL, NULL, b.pc, 4);
            }
            assert_null(jump_find(t, b.pc, key));
        }
    }
    toy_machine_free(m);
}

/* Pages of RAM at many addresses: of those that get code no entry for stores stays, of others all do. */
static void test_write_protect(void **state)
{
    enum { FILLS = 40000, PAGES = TOY_RAM_SIZE >> PAGE_BITS };
    static TlbEntry before[TLB_ENTRIES];
    ToyMachine     *m = MACHINE(read_code);
    Cpu            *cpu = &m->cpu->cpu;
    GRand          *r = g_rand_new_with_seed(6);
    bool            writable;

    for (unsigned n = 0; n < FILLS; n++) {
        uint64_t pa = (uint64_t)g_rand_int_range(r, PAGES / 2, PAGES) << PAGE_BITS;
        uint64_t va = (uint64_t)g_rand_int_range(r, 0, 3 * TLB_ENTRIES) << PAGE_BITS;
        CpuFill  f = { .pa = pa, .page_size = PAGE_SIZE, .readable = true, .writable = true };
        uint8_t *host = memory_host_page(m->memory, pa, &writable);

        tlb_fill(cpu, 0, va, &f);
        if (n % 10000 == 5000) {
            cpu_flush_contexts(cpu, NULL, NULL);
        }
        if (n % 64 != 0) {
            continue;
        }
        memcpy(before, cpu->tlb[0]->write, sizeof(before));
        tlb_write_protect(cpu, host);
        for (unsigned i = 0; i < TLB_ENTRIES; i++) {
            bool leads = before[i].tag + before[i].addend == (uintptr_t)host;

            assert_int_equal(cpu->tlb[0]->write[i].tag, !leads ? before[i].tag : i == 0 ? PAGE_SIZE : 0);
        }
    }
    g_rand_free(r);
    toy_machine_free(m);
}

static bool is_fetched(const FetchEntry *f, uint64_t pa, uint64_t len) { return f->page != 1 && f->pa - pa < len; }

/* Nothing leads to the pages that did before; what leads elsewhere is still there. */
static void check_flushed(const CpuTlb *was, const CpuTlb *t, uintptr_t host, uint64_t pa, uint64_t len)
{
    for (unsigned i = 0; i < TLB_ENTRIES; i++) {
        uint64_t empty = i == 0 ? PAGE_SIZE : 0;
        bool     read = was->read[i].tag + was->read[i].addend - host < len;
        bool     write = was->write[i].tag + was->write[i].addend - host < len;

        assert_int_equal(t->read[i].tag, read ? empty : was->read[i].tag);
        assert_int_equal(t->write[i].tag, write ? empty : was->write[i].tag);
    }
    for (unsigned i = 0; i < SLOW_ENTRIES; i++) {
        bool leads = was->slow[i].page != 1 && was->slow[i].pa - pa < len;

        assert_int_equal(t->slow[i].page, leads ? 1 : was->slow[i].page);
    }
    for (unsigned i = 0; i < FETCH_ENTRIES; i++) {
        assert_int_equal(t->fetch[i].page, is_fetched(&was->fetch[i], pa, len) ? 1 : was->fetch[i].page);
    }
}

/* Pages of RAM, more than tables have entries, at many addresses, read, written, fetched, with and without direct
 * access: what leads to those that change their owner goes, and nothing else. */
static void test_flush_pa(void **state)
{
    enum { FILLS = 60000, PAGES = 4 * TLB_ENTRIES, RAM = 1 << 30 };
    static CpuTlb was;
    ToyMachine   *m = MACHINE(read_code);
    Cpu          *cpu = &m->cpu->cpu;
    GRand        *r = g_rand_new_with_seed(7);
    bool          writable;

    memory_add_ram(m->memory, "more", RAM, (uint64_t)PAGES << PAGE_BITS, NULL);
    for (unsigned n = 0; n < FILLS; n++) {
        uint32_t random = g_rand_int(r);
        uint64_t pa = (uint64_t)g_rand_int_range(r, 0, PAGES - 2) << PAGE_BITS | RAM;
        uint64_t va = (uint64_t)g_rand_int_range(r, 0, 3 * TLB_ENTRIES) << PAGE_BITS;
        uint64_t len = random % 7 == 0 ? 3 * PAGE_SIZE : PAGE_SIZE;
        CpuFill  f = { .pa = pa, .page_size = PAGE_SIZE, .readable = random & 0x10, .writable = random & 0x20 };

        f.device = (random & 0xf00) == 0;
        tlb_fill(cpu, 0, va, &f);
        if ((random & 0xf000) == 0) {
            tlb_fill_fetch(cpu->engine, cpu->tlb[0], va, &f);
        }
        if (n % 20000 == 10000) {
            cpu_flush_contexts(cpu, NULL, NULL);
        }
        if (n % 16 == 0) {
            was = *cpu->tlb[0];
            tlb_flush_pa(cpu, pa, len);
            check_flushed(&was, cpu->tlb[0], (uintptr_t)memory_host_page(m->memory, pa, &writable), pa, len);
        }
    }
    g_rand_free(r);
    toy_machine_free(m);
}

/* More mappings than a context remembers: still, a page of one takes all of it along. */
static void test_many_large_mappings(void **state)
{
    enum { MAPPINGS = LARGE_ENTRIES };
    const uint64_t size = 2 << 20;
    ToyMachine    *m = MACHINE(read_code);
    Cpu           *cpu = &m->cpu->cpu;
    CpuFill        f = { .pa = DATA, .page_size = size, .readable = true };

    for (unsigned n = 0; n < MAPPINGS; n++) {
        tlb_fill(cpu, 0, n * size + (n % 256 << PAGE_BITS), &f);
    }
    for (unsigned n = 0; n < MAPPINGS; n++) {
        uint64_t va = n * size + (n % 256 << PAGE_BITS);

        assert_true(n != MAPPINGS - 1 || tlb_slot(cpu->tlb[0]->read, va)->tag == va);
        cpu_flush_va(cpu, NULL, NULL, n * size + (511 << PAGE_BITS), PAGE_SIZE);
        assert_true(va == 0 || tlb_slot(cpu->tlb[0]->read, va)->tag != va);
    }
    toy_machine_free(m);
}

/* The entry that makes a context begin anew goes with the next invalidation like any other. */
static void test_entry_beyond_large_mappings(void **state)
{
    enum { ENOUGH = LARGE_ENTRIES / 2 };
    const uint64_t size = 2 << 20, data = ENOUGH * size, code = data + size + PAGE_SIZE;
    ToyMachine    *m = MACHINE(read_code);
    Cpu           *cpu = &m->cpu->cpu;
    CpuFill        f = { .pa = DATA, .page_size = size, .readable = true };

    for (unsigned n = 0; n <= ENOUGH; n++) {
        tlb_fill(cpu, 0, n * size, &f);
    }
    assert_int_equal(tlb_slot(cpu->tlb[0]->read, data)->tag, data);
    cpu_flush_contexts(cpu, NULL, NULL);
    assert_int_not_equal(tlb_slot(cpu->tlb[0]->read, data)->tag, data);

    for (unsigned n = 0; n < ENOUGH; n++) {
        tlb_fill(cpu, 0, n * size, &f);
    }
    tlb_fill_fetch(cpu->engine, cpu->tlb[0], code, &f);
    assert_non_null(tlb_find_fetch(cpu->tlb[0], code));
    cpu_flush_contexts(cpu, NULL, NULL);
    assert_null(tlb_find_fetch(cpu->tlb[0], code));
    toy_machine_free(m);
}

static void test_owner_change(void **state)
{
    ToyMachine *m = MACHINE(read_code);

    m->cpu->s.x[1] = DATA;
    run(m, 10, CPU_STOP_TIME);
    assert_int_equal(m->cpu->s.exceptions, 0);
    owners_set(m->owners, DATA, 0x1000, OWNER_REALM);
    run(m, 10, CPU_STOP_WAIT);
    assert_int_equal(m->cpu->s.cause, TOY_CAUSE_TRANSLATION);
    assert_int_equal(m->cpu->s.far, DATA);
    toy_machine_free(m);
}

static void test_owner_change_of_code(void **state)
{
    ToyMachine *m = MACHINE(read_code);

    m->cpu->s.x[1] = DATA;
    run(m, 10, CPU_STOP_TIME);
    owners_set(m->owners, CODE, 0x1000, OWNER_REALM);
    run(m, 10, CPU_STOP_WAIT);
    assert_int_equal(m->cpu->s.cause, TOY_CAUSE_TRANSLATION);
    assert_int_equal(m->cpu->s.far & ~0xfffull, CODE);
    toy_machine_free(m);
}

static void test_region_moves(void **state)
{
    ToyMachine *m = MACHINE(read_code);

    m->cpu->s.x[1] = DEVICE_VA;
    m->reg[0] = 77;
    run(m, 10, CPU_STOP_TIME);
    assert_int_equal(m->cpu->s.x[2], 77);
    memory_move(m->memory, m->device, TOY_DEVICE_PA + 0x100000, true);
    run(m, 10, CPU_STOP_WAIT);
    assert_int_equal(m->cpu->s.cause, TOY_CAUSE_BUS);
    toy_machine_free(m);
}

/* Memory that comes to lie over code, from elsewhere or new, and goes again. */
static void test_region_hides_code(void **state)
{
    static const uint32_t old_code[] = { TOY(TOY_MOVI, 1, 0, 11), TOY(TOY_B, 0, 0, -1) };
    static const uint32_t new_code[] = { TOY(TOY_MOVI, 1, 0, 22), TOY(TOY_B, 0, 0, -1) };
    ToyMachine *m = MACHINE(old_code);
    MemRegion  *over = memory_add_ram(m->memory, "over", 1ull << 40, 0x1000, NULL);

    for (size_t i = 0; i < ARRAY_LEN(new_code); i++) {
        le32_put(over->host + 4 * i, new_code[i]);
    }
    for (unsigned n = 0; n < 4; n++) {
        memory_move(m->memory, over, n & 1 ? CODE : 1ull << 40, true);
        m->cpu->s.pc = CODE;
        run(m, 10, CPU_STOP_TIME);
        assert_int_equal(m->cpu->s.x[1], n & 1 ? 22 : 11);
    }
    memory_remove(m->memory, over);
    m->cpu->s.pc = CODE;
    run(m, 10, CPU_STOP_TIME);
    assert_int_equal(m->cpu->s.x[1], 11);
    toy_machine_free(m);
}

/* A page never cached is asked for at every access. */
static void test_slow_page(void **state)
{
    ToyMachine *m = MACHINE(read_code);
    unsigned    fills;

    m->cpu->map[2].slow = true;
    m->cpu->s.x[1] = DATA;
    run(m, 10, CPU_STOP_TIME);
    fills = m->cpu->n_fills;
    run(m, 10, CPU_STOP_TIME);
    assert_int_equal(m->cpu->n_fills, fills + 5);
    toy_machine_free(m);
}

/* ---- debugger ---- */

static void test_breakpoints(void **state)
{
    ToyMachine *m = MACHINE(loop_code);
    uint64_t    used;

    run(m, 41, CPU_STOP_TIME);
    cpu_break_insert(m->engine, CODE + 8);
    assert_int_equal(run(m, 100, CPU_STOP_BREAK), 1);
    assert_int_equal(m->cpu->s.pc, CODE + 8);
    assert_int_equal(run(m, 100, CPU_STOP_BREAK), 0);
    assert_int_equal(cpu_step(&m->cpu->cpu, 0, &used), CPU_STOP_BREAK);
    assert_int_equal(used, 1);
    assert_int_equal(m->cpu->s.pc, CODE + 12);
    assert_int_equal(run(m, 100, CPU_STOP_BREAK), 3);
    assert_int_equal(m->cpu->s.pc, CODE + 8);
    cpu_break_remove(m->engine, CODE + 8);
    assert_int_equal(run(m, 100, CPU_STOP_TIME), 100);
    toy_machine_free(m);
}

/* A loop that reads, writes, and reads elsewhere in the page, often enough to become a region. */
static const uint32_t watch_code[] = {
    TOY(TOY_ADDI, 3, 3, 1), TOY(TOY_LD, 2, 1, 8), TOY(TOY_ST, 3, 1, 16), TOY(TOY_LD, 4, 1, 0x800),
    TOY(TOY_SWAP, 6, 5, 3), TOY(TOY_B, 0, 0, -5), /* the atomic: at register 5 */
};

static const struct {
    const char *name;
    CpuWatch    watch;
    unsigned    at; /* instruction of the loop; ARRAY_LEN(watch_code): none stops */
    uint64_t    va;
} watch_rows[] = {
    {"write", {DATA + 16, 8, CPU_WATCH_WRITE}, 2, DATA + 16},
    {"write, last byte", {DATA + 23, 1, CPU_WATCH_WRITE}, 2, DATA + 23},
    {"write, from before", {DATA + 12, 5, CPU_WATCH_WRITE}, 2, DATA + 16},
    {"read", {DATA + 8, 4, CPU_WATCH_READ}, 1, DATA + 8},
    {"both, of a read", {DATA + 8, 4, CPU_WATCH_READ | CPU_WATCH_WRITE}, 1, DATA + 8},
    {"both, of a write", {DATA + 18, 1, CPU_WATCH_READ | CPU_WATCH_WRITE}, 2, DATA + 18},
    {"a write is no read", {DATA + 16, 8, CPU_WATCH_READ}, 6, 0},
    {"a read is no write", {DATA + 8, 8, CPU_WATCH_WRITE}, 6, 0},
    {"beside all", {DATA + 0x100, 0x700, CPU_WATCH_READ | CPU_WATCH_WRITE}, 6, 0},
    {"an atomic, as a read", {DATA + 0x1000, 8, CPU_WATCH_READ}, 4, DATA + 0x1000},
    {"an atomic, as a write", {DATA + 0x1004, 1, CPU_WATCH_WRITE}, 4, DATA + 0x1004},
    {"over two pages", {DATA + 0xf00, 0x200, CPU_WATCH_WRITE}, 4, DATA + 0x1000},
    {"with a tag", {DATA + 16 + (0x5aull << 56), 8, CPU_WATCH_WRITE}, 2, DATA + 16},
};

/* Stops before the instruction, as often as it is run; costs no time. */
static void test_watchpoints(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(watch_rows); i++) {
        ToyMachine *m = MACHINE(watch_code);
        unsigned    at = watch_rows[i].at;
        CpuWatch    hit;
        uint64_t    used;

        print_message("%s\n", watch_rows[i].name);
        m->cpu->s.x[1] = DATA;
        m->cpu->s.x[5] = DATA + 0x1000;
        run(m, 6 * 5000, CPU_STOP_TIME);
        assert_false(cpu_watch_hit(&m->cpu->cpu, &hit));
        cpu_watch_insert(m->engine, &watch_rows[i].watch);
        for (unsigned n = 0; n < 3 && at < ARRAY_LEN(watch_code); n++) {
            assert_int_equal(run(m, 100, CPU_STOP_BREAK), n == 0 ? at : 5);
            assert_int_equal(m->cpu->s.pc, CODE + 4 * at);
            assert_int_equal(m->cpu->s.x[3], 5001 + n);
            assert_true(cpu_watch_hit(&m->cpu->cpu, &hit));
            assert_int_equal(hit.va, watch_rows[i].va);
            assert_int_equal(hit.access, watch_rows[i].watch.access);
            assert_int_equal(run(m, 100, CPU_STOP_BREAK), 0);
            assert_int_equal(cpu_step(&m->cpu->cpu, 0, &used), CPU_STOP_BREAK);
            assert_int_equal(used, 0);
            cpu_watch_remove(m->engine, &watch_rows[i].watch);
            assert_int_equal(cpu_step(&m->cpu->cpu, 0, &used), CPU_STOP_BREAK);
            assert_int_equal(used, 1);
            cpu_watch_insert(m->engine, &watch_rows[i].watch);
        }
        if (at == ARRAY_LEN(watch_code)) {
            run(m, 6 * 5000, CPU_STOP_TIME);
        }
        cpu_watch_remove(m->engine, &watch_rows[i].watch);
        run(m, 6 * 5000, CPU_STOP_TIME);
        assert_false(cpu_watch_hit(&m->cpu->cpu, &hit));
        toy_machine_free(m);
    }
}

/* Nothing that a watchpoint does not meet changes: the same run with one in the page as without. */
static void test_watchpoints_cost_nothing(void **state)
{
    static const CpuWatch watch = { DATA + 0x700, 8, CPU_WATCH_READ | CPU_WATCH_WRITE };
    ToyMachine *m[2];

    for (unsigned i = 0; i < 2; i++) {
        m[i] = MACHINE(watch_code);
        m[i]->cpu->s.x[1] = DATA;
        m[i]->cpu->s.x[5] = DATA + 0x1000;
        if (i == 1) {
            cpu_watch_insert(m[i]->engine, &watch);
        }
        run(m[i], 33333, CPU_STOP_TIME);
    }
    assert_memory_equal(&m[0]->cpu->s, &m[1]->cpu->s, sizeof(m[0]->cpu->s));
    toy_machine_free(m[0]);
    toy_machine_free(m[1]);
}

/* A fault comes before a watchpoint: nothing was accessed. */
static void test_watchpoint_and_fault(void **state)
{
    static const uint32_t code[] = { TOY(TOY_LD, 2, 1, 0), TOY(TOY_ADDI, 3, 3, 1) };
    static const CpuWatch watch = { DATA + 0x1ff8, 8, CPU_WATCH_READ };
    ToyMachine *m = MACHINE(code);

    cpu_watch_insert(m->engine, &watch);
    m->cpu->s.x[1] = DATA + 0x1ffc;
    run(m, 100, CPU_STOP_WAIT);
    assert_int_equal(m->cpu->s.cause, TOY_CAUSE_TRANSLATION);
    assert_int_equal(m->cpu->s.far, DATA + 0x2000);
    toy_machine_free(m);
}

/* ---- arena ---- */

/* A program that rewrites itself for ever fills the code cache; it is emptied and the run goes on. */
static void test_arena_full(void **state)
{
    static uint32_t code[1024];
    char           *before = g_strdup(g_getenv("BAILEY_TEST_CACHE")), size[16];
    ToyMachine     *m;
    CpuEngineStats  stats = { 0 };
    uint64_t        total = 0;

    for (unsigned i = 0; i < ARRAY_LEN(code); i++) {
        code[i] = TOY(TOY_ADDI, i % 12, i % 12, 1);
    }
    code[ARRAY_LEN(code) - 1] = TOY(TOY_B, 0, 0, -(int)ARRAY_LEN(code) + 1);
    g_snprintf(size, sizeof(size), "%d", CPU_CACHE_MIN);
    g_setenv("BAILEY_TEST_CACHE", size, true);
    m = MACHINE(code);
    for (unsigned i = 0; i < 4000 && stats.flushes < 3; i++) {
        toy_load(m, CODE, code, ARRAY_LEN(code)); /* drops all blocks */
        m->cpu->s.pc = CODE;
        total += run(m, ARRAY_LEN(code), CPU_STOP_TIME);
        cpu_engine_stats(m->engine, &stats);
    }
    assert_int_equal(stats.flushes, 3);
    assert_int_equal(total % ARRAY_LEN(code), 0);
    assert_int_equal(m->cpu->s.x[2], total / ARRAY_LEN(code) * 86);
    toy_machine_free(m);
    before != NULL ? g_setenv("BAILEY_TEST_CACHE", before, true) : g_unsetenv("BAILEY_TEST_CACHE");
    g_free(before);
}

/* ---- independence of blocks ---- */

typedef struct Outcome {
    ToyState s;
    uint64_t insns, memory;
    int64_t  now;
    unsigned n_reads, n_writes;
    uint64_t reg[4];
} Outcome;

typedef struct Shape {
    unsigned max_block;
    uint64_t slice;
} Shape;

static const Shape shapes[] = {{1, 1 << 20}, {2, 13}, {7, 97}, {64, 1 << 20}, {64, 1}, {64, 31}, {256, 1009}};

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* Mostly one of four, so that values meet. */
static unsigned random_reg(uint64_t r)
{
    return r % 4 != 0 ? 5 + r / 4 % 4 : 5 + r / 4 % 10;
}

/* One random instruction: pointers in x0..x4 (data, data, data, device, code), x15 zero, the rest values. */
static uint32_t random_insn(uint64_t *seed)
{
    static const uint8_t ops[] = {
        TOY_MOVI,   TOY_MOV,  TOY_MOV,  TOY_MOV,  TOY_MOV,  TOY_ADDI, TOY_ADDI,  TOY_ADDI,  TOY_ADD,
        TOY_ADD,    TOY_SUBS, TOY_SUBS, TOY_CMPI, TOY_CMPI, TOY_BC,   TOY_BC,    TOY_BC,    TOY_B,
        TOY_BL,     TOY_BR,   TOY_LD,   TOY_LD,   TOY_ST,   TOY_ST,   TOY_LDB,   TOY_STW,   TOY_LDPOST,
        TOY_STPRE,  TOY_LDX,  TOY_STX,  TOY_LDQ,  TOY_STQ,  TOY_VADD, TOY_SHADD, TOY_AND,   TOY_ADDW,
        TOY_CSET,   TOY_CSEL, TOY_ADC,  TOY_CBZ,  TOY_TBNZ, TOY_LDBE, TOY_SWAP,  TOY_LDP,   TOY_STP,
        TOY_STPPRE, TOY_LDP,  TOY_STP,  TOY_MODE, TOY_SYS,  TOY_SYS,  TOY_SYS,   TOY_UNDEF,
    };
    uint64_t r = next_random(seed);
    unsigned op = ops[r % ARRAY_LEN(ops)], d = random_reg(r >> 8), a = random_reg(r >> 16),
             b = random_reg(r >> 20);
    unsigned base = (r >> 24) % 64;

    base = base < 3 ? 3 : base == 3 ? 4 : base % 3;
    switch (op) {
    case TOY_B: case TOY_BL: case TOY_BC: case TOY_CBZ: case TOY_TBNZ:
        return TOY(op, (r >> 8) % 14, a, (int)((r >> 32) % 64) - 31);
    case TOY_BR:
        return TOY(op, 0, TOY_LINK, 0);
    case TOY_LD: case TOY_ST: case TOY_LDB: case TOY_STW: case TOY_LDQ: case TOY_STQ:
        return TOY(op, d, base, (r >> 60) == 0 ? (r >> 32) % 64 : (r >> 32) % 8 * 8);
    case TOY_LDPOST: case TOY_STPRE: case TOY_STPPRE:
        return TOY(op, d, base % 3, (int)((r >> 32) % 64) - 24);
    case TOY_LDX: case TOY_STX:
        return TOY(op, d, base, (r >> 40) % 4 == 0 ? b : 15);
    case TOY_LDBE: case TOY_SWAP:
        return TOY(op, d, base, 5 + b % 10);
    case TOY_SYS:
        return TOY(op, d, a,
                   (r >> 32) % (TOY_SYS_N + 1) == TOY_SYS_SPACE ? TOY_SYS_TIME : (r >> 32) % (TOY_SYS_N + 1));
    case TOY_CSEL: case TOY_SHADD:
        return TOY(op, d, a, ((r >> 32) % 14) << 8 | b);
    case TOY_CMPI: case TOY_ADDI: case TOY_MOVI:
        return TOY(op, d, a, (int)((r >> 32) % 16) - 4);
    default:
        return TOY(op, d, a, b);
    }
}

/* Restores the pointers, then returns. */
static const uint32_t handler[] = {
    TOY(TOY_MOVI, 0, 0, DATA >> 4),      TOY(TOY_SHADD, 0, 15, 4 << 8 | 0),
    TOY(TOY_ADDI, 1, 0, 0x7f8),          TOY(TOY_ADDI, 2, 0, 0xfe8),
    TOY(TOY_MOVI, 3, 0, DEVICE_VA >> 4), TOY(TOY_SHADD, 3, 15, 4 << 8 | 3),
    TOY(TOY_MOVI, 4, 0, CODE >> 4),      TOY(TOY_SHADD, 4, 15, 4 << 8 | 4),
    TOY(TOY_ADDI, 12, 12, 1),            TOY(TOY_SYS, 0, 0, TOY_SYS_RETURN),
};

static Outcome run_random(uint64_t seed, Shape shape)
{
    enum { WORDS = 1100 }; /* into a second page */
    uint32_t    code[WORDS];
    ToyMachine *m;
    Outcome     out = { { .pc = 0 } };
    uint8_t    *ram;

    for (unsigned i = 0; i < WORDS; i++) {
        code[i] = random_insn(&seed);
    }
    m = machine(code, WORDS);
    cpu_engine_set_max_block(m->engine, shape.max_block);
    toy_load(m, VECTOR, handler, ARRAY_LEN(handler));
    m->wake = true;
    m->cpu->restart = CODE;
    m->cpu->restart_size = 4 * WORDS;
    m->cpu->s.pc = VECTOR; /* sets the pointers; epc is 0, so the program starts at its beginning */
    m->cpu->s.x[TOY_LINK] = CODE + 64;
    toy_run(m, 6000, shape.slice);
    out.s = m->cpu->s;
    out.insns = m->cpu->cpu.n_insns;
    out.now = clock_now(m->clock);
    out.n_reads = m->n_reads;
    out.n_writes = m->n_writes;
    memcpy(out.reg, m->reg, sizeof(out.reg));
    ram = m->ram->host;
    for (unsigned i = CODE; i < DATA + 0x2000; i++) {
        out.memory = out.memory * 31 + ram[i];
    }
    toy_machine_free(m);
    return out;
}

static void explain(const Outcome *a, const Outcome *b)
{
    for (unsigned i = 0; i < TOY_REGS; i++) {
        if (a->s.x[i] != b->s.x[i]) {
            print_message("x%u: 0x%llx, 0x%llx\n", i, (unsigned long long)a->s.x[i],
                          (unsigned long long)b->s.x[i]);
        }
    }
    print_message("pc 0x%llx 0x%llx, insns %llu %llu, exceptions %u %u, irqs %u %u, nzcv %x %x, memory %d\n",
                  (unsigned long long)a->s.pc, (unsigned long long)b->s.pc, (unsigned long long)a->insns,
                  (unsigned long long)b->insns, a->s.exceptions, b->s.exceptions, a->s.irqs, b->s.irqs,
                  a->s.nzcv, b->s.nzcv, a->memory == b->memory);
}

static void test_block_independence(void **state)
{
    uint64_t programs = 60, exceptions = 0, irqs = 0, device = 0;

    if (g_getenv("BAILEY_TEST_PROGRAMS") != NULL) {
        programs = g_ascii_strtoull(g_getenv("BAILEY_TEST_PROGRAMS"), NULL, 10);
    }
    for (uint64_t p = 0; p < programs; p++) {
        uint64_t seed = 0x9e3779b97f4a7c15ull * (p + 1);
        Outcome  first = run_random(seed, shapes[0]);

        exceptions += first.s.exceptions;
        irqs += first.s.irqs;
        device += first.n_reads + first.n_writes;
        for (size_t i = 1; i < ARRAY_LEN(shapes); i++) {
            Outcome other = run_random(seed, shapes[i]);

            if (memcmp(&first, &other, sizeof(first)) != 0) {
                print_message("program %u, at most %u instructions a block, slices of %u\n", (unsigned)p,
                              shapes[i].max_block, (unsigned)shapes[i].slice);
                explain(&first, &other);
                fail();
            }
        }
    }
    print_message("%u exceptions, %u interrupts, %u device accesses\n", (unsigned)exceptions, (unsigned)irqs,
                  (unsigned)device);
    assert_true(exceptions > programs && irqs > programs &&
                device > programs); /* the programs do something */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact_budget),
        cmocka_unit_test(test_follow_clock),
        cmocka_unit_test(test_wait),
        cmocka_unit_test(test_request_stop),
        cmocka_unit_test(test_time_inside_block),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_fetch_fault),
        cmocka_unit_test(test_page_crossing),
        cmocka_unit_test(test_crossing_store_is_whole),
        cmocka_unit_test(test_self_modifying),
        cmocka_unit_test(test_data_beside_code),
        cmocka_unit_test(test_data_where_code_was),
        cmocka_unit_test(test_hot_without_translation),
        cmocka_unit_test(test_code_dropped_exactly),
        cmocka_unit_test(test_links_to_dropped_code),
        cmocka_unit_test(test_overlapping_code),
        cmocka_unit_test(test_code_written_anew),
        cmocka_unit_test(test_patched_often),
        cmocka_unit_test(test_patched_at_zero),
        cmocka_unit_test(test_code_written_by_dma),
        cmocka_unit_test(test_key),
        cmocka_unit_test(test_device_in_block),
        cmocka_unit_test(test_interrupt_points),
        cmocka_unit_test(test_flush_va),
        cmocka_unit_test(test_contexts),
        cmocka_unit_test(test_invalidation),
        cmocka_unit_test(test_jump_ends),
        cmocka_unit_test(test_write_protect),
        cmocka_unit_test(test_flush_pa),
        cmocka_unit_test(test_many_large_mappings),
        cmocka_unit_test(test_entry_beyond_large_mappings),
        cmocka_unit_test(test_owner_change),
        cmocka_unit_test(test_owner_change_of_code),
        cmocka_unit_test(test_region_moves),
        cmocka_unit_test(test_region_hides_code),
        cmocka_unit_test(test_slow_page),
        cmocka_unit_test(test_breakpoints),
        cmocka_unit_test(test_watchpoints),
        cmocka_unit_test(test_watchpoints_cost_nothing),
        cmocka_unit_test(test_watchpoint_and_fault),
        cmocka_unit_test(test_arena_full),
        cmocka_unit_test(test_block_independence),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
