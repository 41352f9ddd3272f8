/*
 * Exceptions from hot A64 code, from every kind of operation that may raise one: the flags come from a comparison that
 * may not have been written down yet, FPSR from floating point whose exceptions the host collects, registers are
 * pinned. As test_hot.c does with the toy guest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <glib.h>

#include "bits.h"
#include "bytes.h"
#include "cpu/a64/system.h"
#include "cpu/ir/block.h"
#include "tests/unit/a64_box.h"

enum { ROUNDS = 500, END = BOX_DATA + BOX_DATA_SIZE, FPSR_INEXACT = 0x10, NOP = 0xd503201f };

static const uint64_t one = 0x3ff0000000000000, three = 0x4008000000000000, third = 0x3fd5555555555555;

/* FDIV is inexact, FCMP finds less: N. */
#define LOOP(insn, last, after)                                                                                        \
    { 0x91000463 /* add x3, x3, #1 */, 0x1e611802 /* fdiv d2, d0, d1 */, 0x1e612000 /* fcmp d0, d1 */, insn,           \
      0x91004021 /* add x1, x1, #16 */, 0xcb060065 /* sub x5, x3, x6 */, last, after }

static A64Box *box_with(const uint32_t *code, size_t n)
{
    A64Box *box = a64_box_new();

    a64_box_code(box, BOX_CODE, code, n);
    return box;
}

static void enter(A64Box *box)
{
    A64Cpu *cpu = box->cpu;

    a64_box_enter(box, 0, BOX_CODE);
    memset(cpu->x, 0, sizeof(cpu->x));
    cpu->x[1] = END - 16 * ROUNDS;
    cpu->x[6] = ROUNDS;
    cpu->v[0][0] = one;
    cpu->v[1][0] = three;
    cpu->v[2][0] = 0;
    cpu->fpsr = 0;
    cpu->nzcv = 0;
}

static void check_regions(const A64Box *box)
{
    CpuEngineStats stats;

    cpu_engine_stats(box->engine, &stats);
    assert_true(stats.regions > 0 || cpu_engine_accel(box->engine) != CPU_ACCEL_JIT);
}

static void check_state(const A64Box *box, uint64_t rounds, unsigned nzcv)
{
    const A64Cpu *cpu = box->cpu;

    assert_int_equal(cpu->x[3], rounds);
    assert_int_equal(cpu->nzcv, nzcv);
    assert_int_equal(cpu->fpsr, FPSR_INEXACT);
    assert_int_equal(cpu->v[2][0], third);
}

/* Addresses walk to the end of memory. */
static const struct {
    const char *name;
    uint32_t    insn;
} access_rows[] = {
    { "ldrb w7, [x1]", 0x39400027 },
    { "ldrsh x7, [x1]", 0x79800027 },
    { "ldr x7, [x1]", 0xf9400027 },
    { "ldr w7, [x1, x9, lsl #2]", 0xb8697827 },
    { "ldr q7, [x1]", 0x3dc00027 },
    { "ldp x7, x8, [x1]", 0xa9402027 },
    { "ldp q7, q8, [x1, #-16]", 0xad7fa027 },
    { "ldpsw x7, x8, [x1]", 0x69402027 },
    { "str x7, [x1]", 0xf9000027 },
    { "str s7, [x1]", 0xbd000027 },
    { "stp x7, x8, [x1]", 0xa9002027 },
    { "stp q7, q8, [x1, #-16]", 0xad3fa027 },
    { "ldxr x7, [x1]", 0xc85f7c27 },
    { "ldaxp x7, x8, [x1]", 0xc87fa027 },
    { "ldar x7, [x1]", 0xc8dffc27 },
    { "ldapr w7, [x1]", 0xb8bfc027 },
    { "stlr x7, [x1]", 0xc89ffc27 },
    { "cas x7, x8, [x1]", 0xc8a77c28 },
    { "caspal x10, x11, x12, x13, [x1]", 0x486afc2c },
    { "ldaddal x7, x8, [x1]", 0xf8e70028 },
    { "swp w7, w8, [x1]", 0xb8278028 },
    { "ld1 {v7.16b}, [x1]", 0x4c407027 },
    { "ld1r {v7.4s}, [x1]", 0x4d40c827 },
    { "ld1 {v7.h}[3], [x1]", 0x0d405827 },
    { "st1 {v7.d}[1], [x1]", 0x4d008427 },
    { "dc zva, x1", 0xd50b7421 },
};

static void test_accesses(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(access_rows); i++) {
        const uint32_t code[] = LOOP(access_rows[i].insn, 0x17fffffa /* b -6 */, 0);
        A64Box        *box = box_with(code, ARRAY_LEN(code));

        print_message("%s\n", access_rows[i].name);
        for (unsigned n = 0; n < 3; n++) { /* cold first */
            uint64_t before = cpu_insns(&box->cpu->cpu);

            enter(box);
            assert_true(a64_box_run(box, 100000));
            assert_int_equal(a64_box_ec(box), 0x24);
            assert_int_equal(box->exc.far, END);
            assert_int_equal(box->exc.return_pc, BOX_CODE + 12);
            assert_int_equal(box->cpu->x[1], END);
            assert_int_equal(box->cpu->x[5], 0); /* of the round before */
            assert_int_equal(cpu_insns(&box->cpu->cpu) - before, 7 * ROUNDS + 4);
            check_state(box, ROUNDS + 1, 8);
        }
        check_regions(box);
        a64_box_free(box);
    }
}

/* The debugger stops before each of them, and they go on as if it had not. */
static void test_watchpoints(void **state)
{
    static const CpuWatch watch = { END - 0x1000, 8, CPU_WATCH_READ | CPU_WATCH_WRITE };
    enum { BEFORE = ROUNDS - 0x1000 / 16 };

    for (size_t i = 0; i < ARRAY_LEN(access_rows); i++) {
        const uint32_t code[] = LOOP(access_rows[i].insn, 0x17fffffa /* b -6 */, 0);
        A64Box        *box = box_with(code, ARRAY_LEN(code));
        Cpu           *cpu = &box->cpu->cpu;
        CpuWatch       hit;
        uint64_t       used;

        print_message("%s\n", access_rows[i].name);
        enter(box);
        assert_true(a64_box_run(box, 100000)); /* hot now */
        check_regions(box);
        cpu_watch_insert(box->engine, &watch);
        enter(box);
        assert_int_equal(cpu_run(cpu, clock_now(box->clock), 100000, &used), CPU_STOP_BREAK);
        assert_int_equal(used, 7 * BEFORE + 3);
        assert_true(cpu_watch_hit(cpu, &hit));
        assert_int_equal(hit.va, watch.va);
        assert_int_equal(box->cpu->pc, BOX_CODE + 12);
        assert_int_equal(box->cpu->x[1], watch.va);
        check_state(box, BEFORE + 1, 8);
        cpu_watch_remove(box->engine, &watch);
        assert_true(a64_box_run(box, 100000));
        assert_int_equal(box->exc.far, END);
        check_state(box, ROUNDS + 1, 8);
        a64_box_free(box);
    }
}

static const struct {
    const char *name;
    uint32_t    insn;
    unsigned    ec;
    bool        after; /* the exception returns behind it */
} helper_rows[] = {
    { "svc #7", 0xd40000e1, 0x15, true },
    { "brk #9", 0xd4200120, 0x3c, false },
    { "udf #3", 0x00000003, 0x00, false },
    { "mrs x7, sctlr_el1", 0xd5381007, 0x00, false },
};

/* In the round in which register 3 is register 6 the loop leads to what raises the exception. */
static void test_helpers(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(helper_rows); i++) {
        const uint32_t code[] = LOOP(NOP, 0xb5ffff45 /* cbnz x5, -6 */, helper_rows[i].insn);
        A64Box        *box = box_with(code, ARRAY_LEN(code));

        print_message("%s\n", helper_rows[i].name);
        for (unsigned n = 0; n < 3; n++) {
            uint64_t before = cpu_insns(&box->cpu->cpu);

            enter(box);
            assert_true(a64_box_run(box, 100000));
            assert_int_equal(a64_box_ec(box), helper_rows[i].ec);
            assert_int_equal(box->exc.return_pc, BOX_CODE + 4 * (helper_rows[i].after ? 8 : 7));
            assert_int_equal(cpu_insns(&box->cpu->cpu) - before, 7 * ROUNDS + 1);
            check_state(box, ROUNDS, 8);
        }
        check_regions(box);
        a64_box_free(box);
    }
}

/* A code in a pointer is wrong for once, when the flags may not have been written. */
static void test_wrong_code(void **state)
{
    static const struct {
        const char *name;
        uint32_t    compare;
        unsigned    nzcv;
    } rows[] = {
        { "fcmp d0, d1", 0x1e612000, 8 },
        { "cmp x3, x6", 0xeb06007f, 2 },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const uint32_t code[] = {
            0x91000463, /* add x3, x3, #1 */
            0x1e611802, /* fdiv d2, d0, d1 */
            rows[i].compare,
            0xd37ffca8, /* lsr x8, x5, #63 */
            0xaa0403e7, /* mov x7, x4 */
            0xdac11107, /* autia x7, x8 */
            0xcb060065, /* sub x5, x3, x6 */
            0x17fffff9, /* b -7 */
            0xdac10104, /* pacia x4, x8 */
            0xd4200000, /* brk #0 */
        };
        A64Box *box = box_with(code, ARRAY_LEN(code));
        A64Cpu *cpu = box->cpu;

        print_message("%s\n", rows[i].name);
        cpu->el2.sctlr |= BIT(31); /* EnIA */
        a64_context_changed(cpu);
        cpu->el1.apkey[0][0] = 0x0123456789abcdef;
        cpu->el1.apkey[0][1] = 0xfedcba9876543210;
        a64_box_enter(box, 0, BOX_CODE + 8 * 4);
        cpu->x[4] = BOX_CODE;
        cpu->x[8] = 1;
        assert_true(a64_box_run(box, 10));
        uint64_t ptr = cpu->x[4];
        assert_true(ptr != BOX_CODE);
        for (unsigned n = 0; n < 3; n++) {
            uint64_t before = cpu_insns(&cpu->cpu);

            enter(box);
            cpu->x[4] = ptr;
            cpu->x[5] = ~0ull;
            assert_true(a64_box_run(box, 100000));
            assert_int_equal(a64_box_ec(box), 0x1c);
            assert_int_equal(box->exc.return_pc, BOX_CODE + 5 * 4);
            assert_int_equal(cpu->x[7], ptr);
            assert_int_equal(cpu_insns(&cpu->cpu) - before, 8 * ROUNDS + 6);
            check_state(box, ROUNDS + 1, rows[i].nzcv);
        }
        check_regions(box);
        a64_box_free(box);
    }
}

/* A store-exclusive faults where the load-exclusive before it did not: code memory is read-only. */
static void test_store_exclusive(void **state)
{
    static const uint32_t code[] = {
        0x91000463, /* add x3, x3, #1 */
        0xc85f7c27, /* ldxr x7, [x1] */
        0xc8087c23, /* stxr w8, x3, [x1] */
        0xeb06007f, /* cmp x3, x6 */
        0x9a810121, /* csel x1, x9, x1, eq */
        0x17fffffb, /* b -5 */
    };
    A64Box *box = box_with(code, ARRAY_LEN(code));

    for (unsigned n = 0; n < 3; n++) {
        uint64_t before = cpu_insns(&box->cpu->cpu);

        enter(box);
        box->cpu->x[9] = BOX_CODE;
        assert_true(a64_box_run(box, 100000));
        assert_int_equal(a64_box_ec(box), 0x24);
        assert_int_equal(box->exc.esr & 0x40, 0x40); /* WnR */
        assert_int_equal(box->exc.far, BOX_CODE);
        assert_int_equal(box->exc.return_pc, BOX_CODE + 8);
        assert_int_equal(box->cpu->x[7], (uint64_t)code[1] << 32 | code[0]);
        assert_int_equal(box->cpu->x[8], 0);
        assert_int_equal(cpu_insns(&box->cpu->cpu) - before, 6 * ROUNDS + 3);
        assert_int_equal(le64_get(box->data + BOX_DATA_SIZE - 16 * ROUNDS), ROUNDS);
    }
    check_regions(box);
    a64_box_free(box);
}

/* ---- conditions in a later part than the comparison, whose operands may be gone ---- */

static const struct {
    const char *name;
    uint32_t    insn;
    IrFlagsKind kind;
    unsigned    width;
    bool        constant; /* 5 */
} compare_rows[] = {
    { "cmp x1, x2", 0xeb02003f, IR_FLAGS_SUB, 64, false }, { "cmp w1, w2", 0x6b02003f, IR_FLAGS_SUB, 32, false },
    { "cmn x1, x2", 0xab02003f, IR_FLAGS_ADD, 64, false }, { "cmn w1, w2", 0x2b02003f, IR_FLAGS_ADD, 32, false },
    { "cmp x1, #5", 0xf100143f, IR_FLAGS_SUB, 64, true },  { "cmn w1, #5", 0x3100143f, IR_FLAGS_ADD, 32, true },
    { "tst x1, x2", 0xea02003f, IR_FLAGS_LOGIC, 64, false }, { "tst w1, w2", 0x6a02003f, IR_FLAGS_LOGIC, 32, false },
};

/* How often the condition does not hold. */
static uint64_t count_failing(size_t row, IrCond cond)
{
    IrFlagsKind kind = compare_rows[row].kind;
    uint64_t    x = 0, count = 0;

    for (unsigned i = 0; i < ROUNDS; i++) {
        x = x * 0x5851f42d4c957f2d + 0x14057b7ef767814f;
        uint64_t a = (uint64_t)((int64_t)x >> 60), b = (uint64_t)((int64_t)(x << 10) >> 60);

        a = kind == IR_FLAGS_LOGIC ? a & b : a;
        b = compare_rows[row].constant ? 5 : b;
        count += !ir_eval_cond(cond, ir_eval_flags(kind, compare_rows[row].width, a, b, kind == IR_FLAGS_SUB));
    }
    return count;
}

static void check_late_condition(size_t row, uint32_t cond, bool gone)
{
    const uint32_t code[] = {
        0x9b0a2ce7, /* madd x7, x7, x10, x11 */
        0x937cfce1, /* asr x1, x7, #60 */
        0x9372d4e2, /* sbfx x2, x7, #50, #4 */
        compare_rows[row].insn,
        0xb6400047, /* tbz x7, #40, 1f */
        0x91000484, /* add x4, x4, #1 */
        0xf9000061, /* 1: str x1, [x3] */
        gone ? 0xaa0403e1 /* mov x1, x4 */ : NOP,
        gone ? 0xd2800002 /* mov x2, #0 */ : NOP,
        0x54000040 | cond, /* b.cond 2f */
        0x910004a5, /* add x5, x5, #1 */
        0xd10004c6, /* 2: sub x6, x6, #1 */
        0xb5fffe86, /* cbnz x6, -12 */
        0xd4200000, /* brk #0 */
    };
    A64Box *box = box_with(code, ARRAY_LEN(code));

    enter(box);
    box->cpu->x[3] = BOX_DATA;
    box->cpu->x[10] = 0x5851f42d4c957f2d;
    box->cpu->x[11] = 0x14057b7ef767814f;
    assert_true(a64_box_run(box, 100000));
    assert_int_equal(a64_box_ec(box), 0x3c);
    assert_int_equal(box->cpu->x[5], count_failing(row, (IrCond)cond));
    check_regions(box);
    a64_box_free(box);
}

static void test_late_conditions(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(compare_rows); i++) {
        print_message("%s\n", compare_rows[i].name);
        for (uint32_t cond = 0; cond < 14; cond++) { /* as IrCond counts them */
            check_late_condition(i, cond, true);
            check_late_condition(i, cond, false);
        }
    }
}

/* ---- flags that CCMP chooses ---- */

/* How often the last condition does not hold: x1 is compared with 2, then, or else the flags are given, with x2, then
 * likewise, when @chain, with 5. */
static uint64_t count_failing_chosen(IrCond first, unsigned given, IrCond cond, bool chain)
{
    uint64_t x = 0, count = 0;

    for (unsigned i = 0; i < ROUNDS; i++) {
        x = x * 0x5851f42d4c957f2d + 0x14057b7ef767814f;
        uint64_t a = (uint64_t)((int64_t)x >> 60), b = (uint64_t)((int64_t)(x << 10) >> 60);
        uint32_t flags = ir_eval_flags(IR_FLAGS_SUB, 64, a, 2, true);

        flags = ir_eval_cond(first, flags) ? ir_eval_flags(IR_FLAGS_SUB, 32, (uint32_t)a, (uint32_t)b, true) : given;
        if (chain) {
            flags = ir_eval_cond(IR_COND_NZ, flags) ? ir_eval_flags(IR_FLAGS_ADD, 64, a, 5, false) : given;
        }
        count += !ir_eval_cond(cond, flags);
    }
    return count;
}

static void check_chosen(IrCond first, unsigned given, IrCond cond, bool chain)
{
    const uint32_t code[] = {
        0x9b0a2ce7, /* madd x7, x7, x10, x11 */
        0x937cfce1, /* asr x1, x7, #60 */
        0x9372d4e2, /* sbfx x2, x7, #50, #4 */
        0xf100083f, /* cmp x1, #2 */
        0x7a420020 | first << 12 | given, /* ccmp w1, w2, #given, first */
        chain ? 0xba451820 | given /* ccmn x1, #5, #given, ne */ : NOP,
        0xb6400047, /* tbz x7, #40, 1f */
        0x91000484, /* add x4, x4, #1 */
        0xf9000061, /* 1: str x1, [x3] */
        0x54000040 | cond, /* b.cond 2f */
        0x910004a5, /* add x5, x5, #1 */
        0xd10004c6, /* 2: sub x6, x6, #1 */
        0xb5fffe86, /* cbnz x6, -12 */
        0xd4200000, /* brk #0 */
    };
    A64Box *box = box_with(code, ARRAY_LEN(code));

    enter(box);
    box->cpu->x[3] = BOX_DATA;
    box->cpu->x[10] = 0x5851f42d4c957f2d;
    box->cpu->x[11] = 0x14057b7ef767814f;
    assert_true(a64_box_run(box, 100000));
    assert_int_equal(a64_box_ec(box), 0x3c);
    assert_int_equal(box->cpu->x[5], count_failing_chosen(first, given, cond, chain));
    check_regions(box);
    a64_box_free(box);
}

static void test_chosen_flags(void **state)
{
    static const struct {
        IrCond   first;
        unsigned given;
    } rows[] = {
        { IR_COND_Z, 0 },        { IR_COND_NZ, 4 }, { IR_COND_LT, 8 },
        { IR_COND_C_AND_NZ, 2 }, { IR_COND_NC, 1 }, { IR_COND_GE, 15 },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (IrCond cond = IR_COND_Z; cond <= IR_COND_LE; cond++) {
            check_chosen(rows[i].first, rows[i].given, cond, false);
            check_chosen(rows[i].first, rows[i].given, cond, true);
        }
    }
}

/* A round of SipHash over x3, x4, x5 and x8. */
#define SIP_ROUND                                                                                                      \
    0x8b040063 /* add x3, x3, x4 */, 0xcac4cc64 /* eor x4, x3, x4, ror #51 */, 0x93c38063 /* ror x3, x3, #32 */,       \
    0x8b0800a5 /* add x5, x5, x8 */, 0xcac8c0a8 /* eor x8, x5, x8, ror #48 */, 0x8b080063 /* add x3, x3, x8 */,        \
    0xcac8ac68 /* eor x8, x3, x8, ror #43 */, 0x8b0400a5 /* add x5, x5, x4 */,                                         \
    0xcac4bca4 /* eor x4, x5, x4, ror #47 */, 0x93c580a5 /* ror x5, x5, #32 */

static uint64_t left(uint64_t v, unsigned n) { return v << n | v >> (64 - n); }

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = left(v[1], 13) ^ v[0];
    v[0] = left(v[0], 32);
    v[2] += v[3];
    v[3] = left(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = left(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = left(v[1], 17) ^ v[2];
    v[2] = left(v[2], 32);
}

/* Values between two reads of the guest's registers lie where those are pinned: a fault must not find them there. */
static void test_lent_pins(void **state)
{
    const uint32_t code[] = {
        SIP_ROUND, SIP_ROUND,
        0xf8410427, /* ldr x7, [x1], #16 */
        0xca070108, /* eor x8, x8, x7 */
        SIP_ROUND,
        0xca070063, /* eor x3, x3, x7 */
        0x17ffffdf, /* b -33 */
    };
    A64Box  *box = box_with(code, ARRAY_LEN(code));
    uint64_t v[4] = { 1, 2, 3, 4 };

    enter(box);
    box->cpu->x[3] = v[0];
    box->cpu->x[4] = v[1];
    box->cpu->x[5] = v[2];
    box->cpu->x[8] = v[3];
    for (unsigned i = 0; i < ROUNDS; i++) {
        le64_put(box->data + BOX_DATA_SIZE - 16 * (ROUNDS - i), i * UINT64_C(0x9e3779b97f4a7c15));
    }
    assert_true(a64_box_run(box, 100000));
    assert_int_equal(a64_box_ec(box), 0x24);
    for (unsigned i = 0; i <= ROUNDS; i++) {
        uint64_t word = i * UINT64_C(0x9e3779b97f4a7c15);

        sip_round(v);
        sip_round(v);
        if (i < ROUNDS) {
            v[3] ^= word;
            sip_round(v);
            v[0] ^= word;
        }
    }
    assert_int_equal(box->cpu->x[1], END);
    assert_int_equal(box->cpu->x[3], v[0]);
    assert_int_equal(box->cpu->x[4], v[1]);
    assert_int_equal(box->cpu->x[5], v[2]);
    assert_int_equal(box->cpu->x[7], (ROUNDS - 1) * UINT64_C(0x9e3779b97f4a7c15));
    assert_int_equal(box->cpu->x[8], v[3]);
    check_regions(box);
    a64_box_free(box);
}

/*
 * More values than the host has registers, while nobody reads x6 any more: its pin is the one that could be lent. It
 * must not be, as the load between may fault.
 */
static void test_pins_kept(void **state)
{
    const uint32_t code[] = {
        0x8b0300c9, /* add x9, x6, x3 */
        0xca0400ca, /* eor x10, x6, x4 */
        0xcb0500cb, /* sub x11, x6, x5 */
        0xaa0800cc, /* orr x12, x6, x8 */
        0x8b0400cd, /* add x13, x6, x4 */
        0xca0500ce, /* eor x14, x6, x5 */
        0xcb0800cf, /* sub x15, x6, x8 */
        0xca0300d0, /* eor x16, x6, x3 */
        0xf8410427, /* ldr x7, [x1], #16 */
        0x8b0a0129, /* add x9, x9, x10 */
        0xcacb1529, /* eor x9, x9, x11, ror #5 */
        0x8b0c0129, /* add x9, x9, x12 */
        0xcacd1d29, /* eor x9, x9, x13, ror #7 */
        0x8b0e0129, /* add x9, x9, x14 */
        0xcacf2d29, /* eor x9, x9, x15, ror #11 */
        0x8b100129, /* add x9, x9, x16 */
        0x8b0a0d29, /* add x9, x9, x10, lsl #3 */
        0xca0b0129, /* eor x9, x9, x11 */
        0x8b0c2529, /* add x9, x9, x12, lsl #9 */
        0xca0d0129, /* eor x9, x9, x13 */
        0x8b0e3529, /* add x9, x9, x14, lsl #13 */
        0xca0f0129, /* eor x9, x9, x15 */
        0x8b104529, /* add x9, x9, x16, lsl #17 */
        0x8b070126, /* add x6, x9, x7 */
        0x17ffffe8, /* b -24 */
    };
    A64Box  *box = box_with(code, ARRAY_LEN(code));
    uint64_t x6 = 1;

    enter(box);
    box->cpu->x[3] = 0x0123456789abcdef;
    box->cpu->x[4] = 0x5851f42d4c957f2d;
    box->cpu->x[5] = 0x14057b7ef767814f;
    box->cpu->x[6] = x6;
    box->cpu->x[8] = 0x9e3779b97f4a7c15;
    for (unsigned i = 0; i < ROUNDS; i++) {
        le64_put(box->data + BOX_DATA_SIZE - 16 * (ROUNDS - i), i);
    }
    assert_true(a64_box_run(box, 100000));
    assert_int_equal(a64_box_ec(box), 0x24);
    for (unsigned i = 0; i < ROUNDS; i++) {
        const uint64_t *x = box->cpu->x;
        const uint64_t t[] = {
            x6 + x[3], x6 ^ x[4], x6 - x[5], x6 | x[8], x6 + x[4], x6 ^ x[5], x6 - x[8], x6 ^ x[3],
        };
        uint64_t sum = t[0] + t[1];

        sum = ((sum ^ left(t[2], 64 - 5)) + t[3]) ^ left(t[4], 64 - 7);
        sum = ((sum + t[5]) ^ left(t[6], 64 - 11)) + t[7];
        sum = ((sum + (t[1] << 3)) ^ t[2]) + (t[3] << 9);
        sum = ((((sum ^ t[4]) + (t[5] << 13)) ^ t[6]) + (t[7] << 17)) + i;
        x6 = sum;
    }
    assert_int_equal(box->cpu->x[6], x6);
    assert_int_equal(box->cpu->x[9], x6 + box->cpu->x[3]);
    assert_int_equal(box->cpu->x[16], x6 ^ box->cpu->x[3]);
    check_regions(box);
    a64_box_free(box);
}

/* FPCR is part of the key, and the loop changes it twice a round: execution stays in generated code all the same. */
static void test_rounding(void **state)
{
    enum { UP = 1 << 22, DOWN = 2 << 22, ZERO = 3 << 22, FZ = 1 << 24, DN = 1 << 25, AHP = 1 << 26 };
    static const uint32_t fpcr[] = { 0, UP, DOWN, DN, ZERO, UP | DN, 0, AHP, DN | FZ };
    static const uint32_t code[] = {
        0xb9400027, /* ldr w7, [x1] */
        0xd51b4407, /* msr fpcr, x7 */
        0x1e611802, /* fdiv d2, d0, d1 */
        0x1e602864, /* fadd d4, d3, d0 */
        0xd53b440a, /* mrs x10, fpcr */
        0xd51b441f, /* msr fpcr, xzr */
        0x1e611805, /* fdiv d5, d0, d1 */
        0x9e660048, /* fmov x8, d2 */
        0x9e660089, /* fmov x9, d4 */
        0x8b080063, /* add x3, x3, x8 */
        0x8b090084, /* add x4, x4, x9 */
        0x8b0a00a5, /* add x5, x5, x10 */
        0x91004021, /* add x1, x1, #16 */
        0x17fffff3, /* b -13 */
    };
    static const uint64_t nan = 0xfff8000000001234, default_nan = 0x7ff8000000000000;
    A64Box  *box = box_with(code, ARRAY_LEN(code));
    uint64_t thirds = 0, nans = 0, values = 0;

    for (unsigned i = 0; i < ROUNDS; i++) {
        uint32_t v = fpcr[i % ARRAY_LEN(fpcr)];

        le32_put(box->data + BOX_DATA_SIZE - 16 * (ROUNDS - i), v);
        thirds += third + ((v & ZERO) == UP);
        nans += v & DN ? default_nan : nan;
        values += v;
    }
    for (unsigned n = 0; n < 3; n++) { /* cold first */
        CpuEngineStats before, after;

        cpu_engine_stats(box->engine, &before);
        enter(box);
        box->cpu->v[3][0] = nan;
        assert_true(a64_box_run(box, 100000));
        assert_int_equal(a64_box_ec(box), 0x24);
        assert_int_equal(box->cpu->x[3], thirds);
        assert_int_equal(box->cpu->x[4], nans);
        assert_int_equal(box->cpu->x[5], values);
        assert_int_equal(box->cpu->v[5][0], third);
        assert_int_equal(box->cpu->fpsr, FPSR_INEXACT);
        cpu_engine_stats(box->engine, &after);
        assert_true(n == 0 || after.entries - before.entries < ROUNDS / 10);
    }
    check_regions(box);
    a64_box_free(box);
}

/* What a load or store of one or two registers does: @size bytes each. */
typedef struct AcrossRow {
    const char *name;
    uint32_t    insn;
    unsigned    size, n;
    bool        store, vector, sign, zero; /* zero: the last one is XZR */
} AcrossRow;

static const AcrossRow across_rows[] = {
    { "ldrh w7, [x1]", 0x79400027, 2, 1 },
    { "ldrsh x7, [x1]", 0x79800027, 2, 1, .sign = true },
    { "ldr w7, [x1]", 0xb9400027, 4, 1 },
    { "ldrsw x7, [x1]", 0xb9800027, 4, 1, .sign = true },
    { "ldr x7, [x1]", 0xf9400027, 8, 1 },
    { "ldp w7, w8, [x1]", 0x29402027, 4, 2 },
    { "ldpsw x7, x8, [x1]", 0x69402027, 4, 2, .sign = true },
    { "ldp x7, x8, [x1]", 0xa9402027, 8, 2 },
    { "ldr h7, [x1]", 0x7d400027, 2, 1, .vector = true },
    { "ldr s7, [x1]", 0xbd400027, 4, 1, .vector = true },
    { "ldr d7, [x1]", 0xfd400027, 8, 1, .vector = true },
    { "ldr q7, [x1]", 0x3dc00027, 16, 1, .vector = true },
    { "ldp s7, s8, [x1]", 0x2d402027, 4, 2, .vector = true },
    { "ldp q7, q8, [x1]", 0xad402027, 16, 2, .vector = true },
    { "strh w7, [x1]", 0x79000027, 2, 1, .store = true },
    { "str w7, [x1]", 0xb9000027, 4, 1, .store = true },
    { "str x7, [x1]", 0xf9000027, 8, 1, .store = true },
    { "stp w7, w8, [x1]", 0x29002027, 4, 2, .store = true },
    { "stp x7, x8, [x1]", 0xa9002027, 8, 2, .store = true },
    { "stp x7, xzr, [x1]", 0xa9007c27, 8, 2, .store = true, .zero = true },
    { "str wzr, [x1]", 0xb900003f, 4, 1, .store = true, .zero = true },
    { "str d7, [x1]", 0xfd000027, 8, 1, .store = true, .vector = true },
    { "str q7, [x1]", 0x3d800027, 16, 1, .store = true, .vector = true },
    { "stp d7, d8, [x1]", 0x6d002027, 8, 2, .store = true, .vector = true },
    { "stp q7, q8, [x1]", 0xad002027, 16, 2, .store = true, .vector = true },
};

enum { ACROSS_FROM = 0x3000 - 40, ACROSS_ROUNDS = 60 };

/* The loop below by its meaning: x3 to x6 of @sum, and what the stores leave in @data. */
static void do_across(const AcrossRow *row, uint8_t *data, uint64_t x[2], uint64_t v[2][2], uint64_t sum[4])
{
    uint64_t zero = 0;

    for (unsigned i = 0; i < ACROSS_ROUNDS; i++) {
        for (unsigned k = 0; k < row->n; k++) {
            uint8_t *at = data + ACROSS_FROM + i + k * row->size;
            void    *reg = row->zero && k == row->n - 1 ? &zero : row->vector ? v[k] : &x[k];

            if (row->store) {
                memcpy(at, reg, row->size);
                continue;
            }
            memset(reg, 0, row->vector ? 16 : 8);
            memcpy(reg, at, row->size);
            x[k] = row->sign ? (uint64_t)sign_extend64(x[k], row->size * 8) : x[k];
        }
        sum[0] += x[0] + v[0][0];
        sum[1] += x[1] + v[0][1];
        sum[2] += v[1][0];
        sum[3] += v[1][1];
    }
}

static void test_across(void **state)
{
    g_autofree uint8_t *data = g_malloc(BOX_DATA_SIZE);

    for (size_t i = 0; i < ARRAY_LEN(across_rows); i++) {
        const uint32_t code[] = {
            across_rows[i].insn,
            0x8b070063, /* add x3, x3, x7 */
            0x8b080084, /* add x4, x4, x8 */
            0x9e6600e9, /* fmov x9, d7 */
            0x8b090063, /* add x3, x3, x9 */
            0x9eae00e9, /* fmov x9, v7.d[1] */
            0x8b090084, /* add x4, x4, x9 */
            0x9e660109, /* fmov x9, d8 */
            0x8b0900a5, /* add x5, x5, x9 */
            0x9eae0109, /* fmov x9, v8.d[1] */
            0x8b0900c6, /* add x6, x6, x9 */
            0x91000421, /* add x1, x1, #1 */
            0xd1000442, /* sub x2, x2, #1 */
            0xb5fffe62, /* cbnz x2, -13 */
            0xd4000001, /* svc #0 */
        };
        A64Box *box = box_with(code, ARRAY_LEN(code));

        print_message("%s\n", across_rows[i].name);
        for (unsigned k = 0; k < BOX_DATA_SIZE; k++) {
            box->data[k] = (uint8_t)(k * 0x9e3779b1u >> 24);
        }
        memcpy(data, box->data, BOX_DATA_SIZE);
        for (unsigned n = 0; n < 20; n++) { /* cold first */
            A64Cpu  *cpu = box->cpu;
            uint64_t x[2] = { 0x1122334455667788 + n, 0x99aabbccddeeff01 }, sum[4] = { 0 };
            uint64_t v[2][2] = { { 0x0123456789abcdef, 0xfedcba9876543210 - n }, { 0x1020304050607080, 0x90a0b0c0 } };

            enter(box);
            cpu->x[1] = BOX_DATA + ACROSS_FROM;
            cpu->x[2] = ACROSS_ROUNDS;
            cpu->x[6] = 0;
            memcpy(&cpu->x[7], x, sizeof(x));
            memcpy(cpu->v[7], v, sizeof(v));
            do_across(&across_rows[i], data, x, v, sum);
            assert_true(a64_box_run(box, 100000));
            assert_int_equal(a64_box_ec(box), 0x15);
            assert_memory_equal(&cpu->x[3], sum, sizeof(sum));
            assert_memory_equal(box->data, data, BOX_DATA_SIZE);
        }
        check_regions(box);
        a64_box_free(box);
    }
}

/* The stack pointer is tested once in a round, and again in the one after which it is 8 more. */
static void test_stack_pointer(void **state)
{
    const uint32_t code[] = {
        0x91000463, /* add x3, x3, #1 */
        0xf94003e7, /* ldr x7, [sp] */
        0xd10043ff, /* sub sp, sp, #16 */
        0xb400004a, /* cbz x10, +8 */
        0xd503201f, /* nop */
        0xf94003e8, /* ldr x8, [sp] */
        0xeb06007f, /* cmp x3, x6 */
        0x9a9f0189, /* csel x9, x12, xzr, eq */
        0x910043ff, /* add sp, sp, #16 */
        0x8b2963ff, /* add sp, sp, x9 */
        0x17fffff6, /* b -10 */
    };
    A64Box *box = box_with(code, ARRAY_LEN(code));

    for (unsigned n = 0; n < 3; n++) {
        box->cpu->el2.sctlr |= SCTLR_SA0;
        enter(box);
        box->cpu->sp = BOX_DATA + 64;
        box->cpu->x[12] = 8;
        assert_true(a64_box_run(box, 100000));
        assert_int_equal(a64_box_ec(box), 0x26);
        assert_int_equal(box->exc.return_pc, BOX_CODE + 4);
        assert_int_equal(box->cpu->x[3], ROUNDS + 1);
        assert_int_equal(box->cpu->sp, BOX_DATA + 64 + 8);
    }
    check_regions(box);
    a64_box_free(box);
}

/* The upper half of x7 is zero in all rounds but the first. */
static void test_words(void **state)
{
    const uint32_t code[] = {
        0xf8410429, /* ldr x9, [x1], #16 */
        0x91000463, /* add x3, x3, #1 */
        0x2a0703e8, /* mov w8, w7 */
        0x8b08014a, /* add x10, x10, x8 */
        0xb400004b, /* cbz x11, +8 */
        0xd503201f, /* nop */
        0x8b27418c, /* add x12, x12, w7, uxtw */
        0x110004e7, /* add w7, w7, #1 */
        0x17fffff8, /* b -8 */
    };
    A64Box *box = box_with(code, ARRAY_LEN(code));

    for (unsigned n = 0; n < 3; n++) {
        uint64_t sum = 0;

        enter(box);
        box->cpu->x[7] = 0x12345678ffffff80;
        assert_true(a64_box_run(box, 100000));
        assert_int_equal(a64_box_ec(box), 0x24);
        for (unsigned i = 0; i < ROUNDS; i++) {
            sum += (uint32_t)(0xffffff80 + i);
        }
        assert_int_equal(box->cpu->x[3], ROUNDS);
        assert_int_equal(box->cpu->x[7], ROUNDS - 0x80);
        assert_int_equal(box->cpu->x[8], ROUNDS - 1 - 0x80);
        assert_int_equal(box->cpu->x[10], sum);
        assert_int_equal(box->cpu->x[12], sum);
    }
    check_regions(box);
    a64_box_free(box);
}

/* Both halves of products, carries that are added, and frames up to the end of memory. */
static void test_products(void **state)
{
    const uint32_t code[] = {
        0xa9bf4027, /* stp x7, x16, [x1, #-16]! */
        0xf9000428, /* str x8, [x1, #8] */
        0x91008021, /* add x1, x1, #32 */
        0x91000463, /* add x3, x3, #1 */
        0x9b057c87, /* mul x7, x4, x5 */
        0x9bc57c88, /* umulh x8, x4, x5 */
        0xab0700e9, /* adds x9, x7, x7 */
        0x9a883508, /* cinc x8, x8, hs */
        0xeb04013f, /* cmp x9, x4 */
        0x9a8a354a, /* cinc x10, x10, hs */
        0x9a8b256b, /* cinc x11, x11, lo */
        0x9bcc7d2d, /* umulh x13, x9, x12 */
        0x9b0c7d2e, /* mul x14, x9, x12 */
        0xca0e0084, /* eor x4, x4, x14 */
        0x8b0d00a5, /* add x5, x5, x13 */
        0x17fffff1, /* b -15 */
    };
    A64Box *box = box_with(code, ARRAY_LEN(code));

    for (unsigned n = 0; n < 3; n++) {
        uint64_t x4 = 0x0123456789abcdef, x5 = 0xfedcba9876543210, x8 = 0, x10 = 0, x11 = 0;
        const uint64_t x12 = 0x9e3779b97f4a7c15;

        enter(box);
        box->cpu->x[1] += 16;
        box->cpu->x[4] = x4;
        box->cpu->x[5] = x5;
        box->cpu->x[12] = x12;
        assert_true(a64_box_run(box, 100000));
        assert_int_equal(a64_box_ec(box), 0x24);
        for (unsigned i = 0; i < ROUNDS; i++) {
            unsigned __int128 p = (unsigned __int128)x4 * x5;
            uint64_t          x9 = (uint64_t)p * 2;
            unsigned __int128 q = (unsigned __int128)x9 * x12;

            x8 = (uint64_t)(p >> 64) + ((uint64_t)p >> 63);
            x10 += x9 >= x4;
            x11 += x9 < x4;
            x4 ^= (uint64_t)q;
            x5 += (uint64_t)(q >> 64);
        }
        assert_int_equal(box->cpu->x[3], ROUNDS);
        assert_int_equal(box->cpu->x[1], END + 16);
        assert_int_equal(box->cpu->x[4], x4);
        assert_int_equal(box->cpu->x[5], x5);
        assert_int_equal(box->cpu->x[8], x8);
        assert_int_equal(box->cpu->x[10], x10);
        assert_int_equal(box->cpu->x[11], x11);
    }
    check_regions(box);
    a64_box_free(box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accesses),
        cmocka_unit_test(test_watchpoints),
        cmocka_unit_test(test_helpers),
        cmocka_unit_test(test_wrong_code),
        cmocka_unit_test(test_store_exclusive),
        cmocka_unit_test(test_late_conditions),
        cmocka_unit_test(test_chosen_flags),
        cmocka_unit_test(test_lent_pins),
        cmocka_unit_test(test_pins_kept),
        cmocka_unit_test(test_rounding),
        cmocka_unit_test(test_across),
        cmocka_unit_test(test_stack_pointer),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_products),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
