/*
 * What user programs on the oracle cannot show of SIMD instructions: traps of their use and UNDEFINED before
 * that, element alignment under SCTLR_ELx.A, and faults in the middle of a structure. What they compute is in
 * tests/diff/test_diff_simd.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "bits.h"
#include "tests/unit/a64_box.h"

enum { EC_UNDEFINED = 0, EC_FP = 0x07, EC_DATA_ABORT = 0x24, EC_BRK = 0x3c, DFSC_ALIGNMENT = 0x21 };

enum { BRK = 0xd4200000, BASE_REG = 1, MIDDLE = BOX_DATA + 0x1000, SCTLR_A = 1 << 1 };

static A64Box *box_with(uint32_t insn)
{
    A64Box  *box = a64_box_new();
    uint32_t words[] = { insn, BRK };

    a64_box_code(box, BOX_CODE, words, ARRAY_LEN(words));
    for (unsigned i = 0; i < 512; i++) {
        box->data[0x1000 - 256 + i] = (uint8_t)(i * 7 + 1);
    }
    for (unsigned i = 0; i < 32; i++) {
        box->cpu->v[i][0] = i * 0x0101010101010101ull ^ 0x8040201008040201ull;
        box->cpu->v[i][1] = i * 0x0303030303030303ull + 0x1122334455667788ull;
    }
    a64_box_enter(box, 0, BOX_CODE);
    return box;
}

/* ---- traps ---- */

static const struct {
    const char *name;
    uint32_t    insn;
    unsigned    ec;
} trap_rows[] = {
    { "add v0.16b, v1.16b, v2.16b", 0x4e228420, EC_FP },
    { "fadd d0, d1, d2", 0x1e622820, EC_FP },
    { "fmov x0, d1", 0x9e660020, EC_FP },
    { "ld1 {v0.16b}, [x1]", 0x4c407020, EC_FP },
    { "movi v0.2d, #0", 0x6f00e400, EC_FP },
    { "aese v0.16b, v1.16b", 0x4e284820, EC_FP },
    { "fcmp s0, #0", 0x1e202008, EC_FP },
    { "scvtf d0, x1", 0x9e620020, EC_FP },
    { "add v0.1d, reserved", 0x0ee28420, EC_UNDEFINED },
    { "fadd of ftype 2, reserved", 0x1ea22820, EC_UNDEFINED },
    { "ld2 {v0.1d, v1.1d}, reserved", 0x0c408c20, EC_UNDEFINED },
    { "dup v0.2d with Q 0, reserved", 0x0e080420, EC_UNDEFINED },
    { "bfcvt h0, s1: no FEAT_BF16", 0x1e634020, EC_UNDEFINED },
};

static void test_traps(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(trap_rows); i++) {
        A64Box *box = box_with(trap_rows[i].insn);

        box->cpu->el2.cptr = 0; /* FPEN: all use traps */
        box->cpu->x[BASE_REG] = MIDDLE;
        assert_true(a64_box_run(box, 10));
        if (a64_box_ec(box) != trap_rows[i].ec || box->exc.return_pc != BOX_CODE) {
            fail_msg("%s: EC 0x%x", trap_rows[i].name, a64_box_ec(box));
        }
        a64_box_free(box);
    }
}

/* ---- structures ---- */

/* LD1 .. ST4 (multiple structures, post-indexed by the bytes transferred) of v30, v31, v0, v1 at x1. */
static uint32_t multiple(unsigned Q, unsigned L, unsigned opcode, unsigned size)
{
    return 0x0c9f0000 | Q << 30 | L << 22 | opcode << 12 | size << 10 | BASE_REG << 5 | 30;
}

static unsigned run_at(A64Box *box, uint64_t addr, bool align_check)
{
    box->cpu->x[BASE_REG] = addr;
    box->cpu->el2.sctlr |= align_check ? SCTLR_A : 0;
    assert_true(a64_box_run(box, 10));
    return a64_box_ec(box);
}

static void expect_same(const A64Box *a, const A64Box *b)
{
    assert_memory_equal(a->cpu->v, b->cpu->v, sizeof(a->cpu->v));
    assert_memory_equal(a->data, b->data, 0x2000);
    assert_int_equal(a->cpu->x[BASE_REG], b->cpu->x[BASE_REG]);
}

/* Element by element and register by register give the same; only the first checks alignment. */
static void check_structure(uint32_t insn, unsigned size)
{
    A64Box *whole = box_with(insn), *elements = box_with(insn), *crooked = box_with(insn);
    A64Box *before = box_with(insn);
    uint64_t addr = MIDDLE + (1u << size);
    unsigned ec = run_at(whole, addr, false);

    assert_int_equal(run_at(elements, addr, true), ec);
    expect_same(whole, elements);
    if (ec == EC_BRK && size > 0) {
        assert_int_equal(run_at(crooked, addr + 1, true), EC_DATA_ABORT);
        assert_int_equal(crooked->exc.esr & 0x3f, DFSC_ALIGNMENT);
        assert_int_equal(crooked->exc.far, addr + 1);
        before->cpu->x[BASE_REG] = addr + 1;
        expect_same(before, crooked);
    }
    a64_box_free(whole);
    a64_box_free(elements);
    a64_box_free(crooked);
    a64_box_free(before);
}

static void test_element_alignment(void **state)
{
    static const uint8_t opcodes[] = { 0, 2, 4, 6, 7, 8, 10 };

    for (unsigned i = 0; i < ARRAY_LEN(opcodes) * 16; i++) {
        unsigned size = i & 3;
        check_structure(multiple(i >> 2 & 1, i >> 3 & 1, opcodes[i >> 4], size), size);
    }
}

/* The last register lies beyond mapped memory: nothing is loaded, the base stays. */
static void test_fault_inside(void **state)
{
    static const uint8_t opcodes[] = { 0, 2, 4, 6, 8, 10 }; /* two registers and more */
    static const uint8_t n_regs[] = { 4, 4, 3, 3, 2, 2 };
    const uint64_t       end = BOX_DATA + BOX_DATA_SIZE;

    for (unsigned i = 0; i < ARRAY_LEN(opcodes); i++) {
        uint32_t insn = multiple(1, 1, opcodes[i], 2);
        A64Box  *box = box_with(insn), *before = box_with(insn);
        uint64_t addr = end - 16 * (n_regs[i] - 1u);

        assert_int_equal(run_at(box, addr, false), EC_DATA_ABORT);
        assert_int_equal(box->exc.far, end);
        before->cpu->x[BASE_REG] = addr;
        expect_same(before, box);
        a64_box_free(box);
        a64_box_free(before);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_traps),
        cmocka_unit_test(test_element_alignment),
        cmocka_unit_test(test_fault_inside),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
