/*
 * Invalid operations of floating point, NaNs and tiny results in hot A64 code, where the host may trap at them: few,
 * and so many that code is made that asks instead. Results are those of DDI 0487, "NaN handling and the Default NaN"
 * and "Floating-point exceptions": a result is tiny if it is so before rounding, and underflows if it is inexact as
 * well.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <glib.h>

#include "bits.h"
#include "tests/unit/a64_box.h"

enum { FEW = 300, MANY = 3000, IOC = 1, UFC_IXC = 0x18, DN = 1 << 25, NOP = 0xd503201f };

static const uint64_t inf = 0x7ff0000000000000, minus = 0x8000000000000000, one = 0x3ff0000000000000,
                      default_nan = 0x7ff8000000000000, quiet_2 = 0x7ff8000000000002, quiet_3 = 0xfff8000000000003,
                      signals_4 = 0x7ff0000000000004, quieted_4 = 0x7ff8000000000004, half = 0x3fe0000000000000,
                      below_one = 0x3fefffffffffffff, least = 0x0010000000000000, three = 0x4008000000000000;

typedef struct Row {
    const char *name;
    uint32_t    insn, after;
    uint64_t    a, b, v2, x7;
    uint32_t    fpcr, fpsr;
    uint64_t    c; /* register 2 */
} Row;

#define FADD 0x1e612802 /* fadd d2, d0, d1, and so on */
#define FSUB 0x1e613802
#define FMUL 0x1e610802
#define FDIV 0x1e611802

static void test_rows(void **state)
{
    const Row rows[] = {
        { "inf - inf", FADD, NOP, inf, inf | minus, default_nan, 0, 0, IOC },
        { "inf - inf by FSUB", FSUB, NOP, inf, inf, default_nan, 0, 0, IOC },
        { "0 * inf", FMUL, NOP, 0, inf, default_nan, 0, 0, IOC },
        { "0 / 0", FDIV, NOP, 0, minus, default_nan, 0, 0, IOC },
        { "sqrt(-1)", 0x1e61c002, NOP, one | minus, 0, default_nan, 0, 0, IOC },
        { "inf - inf in lanes", 0x4e61d402 /* fadd v2.2d */, NOP, inf, inf | minus, default_nan, 0, 0, IOC },
        { "0 * inf + a NaN", 0x1f410802 /* fmadd d2, d0, d1, d2 */, NOP, 0, inf, default_nan, 0, 0, IOC, quiet_2 },
        { "a signalling NaN goes first", FADD, NOP, quiet_2, signals_4, quieted_4, 0, 0, IOC },
        { "the first of two NaNs, sum", FADD, NOP, quiet_2, quiet_3, quiet_2, 0, 0, 0 },
        { "the first of two NaNs, product", FMUL, NOP, quiet_3, quiet_2, quiet_3, 0, 0, 0 },
        { "the only NaN", FDIV, NOP, one, quiet_3, quiet_3, 0, 0, 0 },
        { "default NaN", FADD, NOP, quiet_3, quiet_2, default_nan, 0, DN, 0 },
        { "FCMPE and less", 0x1e612010, 0x1e61bc02 /* fcsel d2, d0, d1, lt */, quiet_2, one, quiet_2, 0, 0, IOC },
        { "FCMPE and overflow", 0x1e612010, 0x9a9f77e7 /* cset x7, vs */, quiet_2, one, 0, 1, 0, IOC },
        { "FCMP and equal", 0x1e612000, 0x1e610c02 /* fcsel d2, d0, d1, eq */, signals_4, one, one, 0, 0, IOC },
        { "FCMP, quiet", 0x1e612000, 0x1e610c02, quiet_2, one, one, 0, 0, 0 },
        { "FCMGE", 0x7e61e402, NOP, quiet_2, one, 0, 0, 0, IOC },
        { "FCVTZS", 0x9e780007, NOP, quiet_2, 0, 0, 0, 0, IOC },
        { "FMAX", 0x1e614802, NOP, signals_4, one, quieted_4, 0, 0, IOC },
        { "a NaN converted to single", 0x1e624002 /* fcvt s2, d0 */, NOP, 0xfff8000020000001, 0, 0xffc00001, 0, 0, 0 },
        { "a signalling NaN converted", 0x1e22c002 /* fcvt d2, s0 */, NOP,
          0x7f800001, 0, 0x7ff8000020000000, 0, 0, IOC },
        { "a NaN rounded", 0x1e64c002 /* frintp d2, d0 */, NOP, quiet_3, 0, quiet_3, 0, 0, 0 },
        { "a signalling NaN rounded", 0x1e674002 /* frintx d2, d0 */, NOP, signals_4, 0, quieted_4, 0, 0, IOC },
        { "the default NaN rounded", 0x1e64c002, NOP, quiet_3, 0, default_nan, 0, DN, 0 },
        { "rounded to the least normal number", FMUL, NOP, below_one, least, least, 0, 0, UFC_IXC },
        { "and by its negative", FMUL, NOP, least | minus, below_one, least | minus, 0, 0, UFC_IXC },
        { "the least normal number, exact", FMUL, NOP, one, least, least, 0, 0, 0 },
        { "a denormal number, exact", FMUL, NOP, half, least, least / 2, 0, 0, 0 },
        { "a denormal number, rounded", FMUL, NOP, half, least + 1, least / 2, 0, 0, UFC_IXC },
        { "rounded to zero", FMUL, NOP, least, least, 0, 0, 0, UFC_IXC },
        { "twice the least normal number", FMUL, NOP, 0x4000000000000000, least, 2 * least, 0, 0, 0 },
        { "a denormal operand, normal result", FMUL, NOP, 0x4000000000000000, least / 2, least, 0, 0, 0 },
        { "a denormal sum", FSUB, NOP, least + 1, least, 1, 0, 0, 0 },
        { "a denormal quotient", FDIV, NOP, least, three, 0x0005555555555555, 0, 0, UFC_IXC },
        { "a quotient rounded to the least", FDIV, NOP, 2 * least - 1, 0x4000000000000000, least, 0, 0, UFC_IXC },
        { "a denormal single", 0x1e624002 /* fcvt s2, d0 */, NOP, 0x3800000000000000, 0, 0x00400000, 0, 0, 0 },
        { "and rounded", 0x1e624002, NOP, 0x3800000000000001, 0, 0x00400000, 0, 0, UFC_IXC },
        { "lanes of doubles", 0x6e61dc02 /* fmul v2.2d */, NOP, below_one, least, least, 0, 0, UFC_IXC },
        { "lanes of singles", 0x6e21dc02 /* fmul v2.4s */, NOP, 0x3f7fffff3f7fffff, 0x0080000000800000,
          0x0080000000800000, 0, 0, UFC_IXC },
        { "short lanes by zero", 0x2e21fc02 /* fdiv v2.2s */, NOP, 0x0080000000800000, 0x4000000000000000,
          0x004000007f800000, 0, 0, 2 /* DZC */ },
        { "halves", 0x1ee10802 /* fmul h2, h0, h1 */, NOP, 0x3bff, 0x0400, 0x0400, 0, 0, UFC_IXC },
        { "a fused product", 0x1f410c02 /* fmadd d2, d0, d1, d3 */, NOP, below_one, least, least, 0, 0, UFC_IXC },
        { "unordered, then tiny", 0x1e622010 /* fcmpe d0, d2 */, 0x1e610803 /* fmul d3, d0, d1 */, below_one, least,
          quiet_2, 0, 0, IOC | UFC_IXC, quiet_2 },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const Row     *r = &rows[i];
        const uint32_t code[] = { 0x91000463 /* add x3, x3, #1 */, r->insn, r->after, 0xcb060065 /* sub x5, x3, x6 */,
                                  0xb5ffff85 /* cbnz x5, -4 */, 0xd4000001 /* svc #0 */ };
        A64Box        *box = a64_box_new();
        A64Cpu        *cpu = box->cpu;

        print_message("%s\n", r->name);
        a64_box_code(box, BOX_CODE, code, ARRAY_LEN(code));
        for (unsigned n = 0; n < 4; n++) {
            a64_box_enter(box, 0, BOX_CODE);
            memset(cpu->x, 0, sizeof(cpu->x));
            memset(cpu->v, 0, sizeof(cpu->v));
            cpu->x[6] = n < 2 ? FEW : MANY;
            cpu->v[0][0] = r->a;
            cpu->v[1][0] = r->b;
            cpu->v[2][0] = r->c;
            cpu->fpcr = r->fpcr;
            cpu->fpsr = 0;
            assert_true(a64_box_run(box, 100000));
            assert_int_equal(a64_box_ec(box), 0x15);
            assert_int_equal(cpu->x[3], cpu->x[6]);
            assert_int_equal(cpu->v[2][0], r->v2);
            assert_int_equal(cpu->v[2][1], 0);
            assert_int_equal(cpu->x[7], r->x7);
            assert_int_equal(cpu->fpsr, r->fpsr);
        }
        a64_box_free(box);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
