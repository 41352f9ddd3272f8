/*
 * Hot loops of scalars in vector registers that are zero above their lanes when the loops become hot, and are not
 * later: what the loop does not write keeps all of its bytes, what it writes gets zeroes above the lane.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <glib.h>

#include "bits.h"
#include "tests/unit/a64_box.h"

enum { ROUNDS = 500, NOP = 0xd503201f };

typedef struct Row {
    const char *name;
    uint32_t    first, second; /* v0 + v1 to v0 or v2; another one */
    bool        single, to_v2;
    bool        copies; /* v0 to v3 in each round, first */
    bool        whole;  /* v4 to v0 likewise */
    bool        moves;  /* no sum: v0 */
} Row;

static const Row rows[] = {
    { "fadd d0, d0, d1", 0x1e612800, NOP },
    { "fadd s0, s0, s1", 0x1e212800, NOP, .single = true },
    { "fadd d2, d0, d1", 0x1e612802, NOP, .to_v2 = true },
    { "fadd s2, s0, s1", 0x1e212802, NOP, .single = true, .to_v2 = true },
    { "fmov d2, d0", 0x1e604002, NOP, .to_v2 = true, .moves = true },
    { "mov v3.16b, v0.16b; fadd d0, d0, d1", 0x4ea01c03, 0x1e612800, .copies = true },
    { "mov v3.16b, v0.16b; fadd s0, s0, s1", 0x4ea01c03, 0x1e212800, .single = true, .copies = true },
    { "mov v0.16b, v4.16b; fadd d2, d0, d1", 0x4ea41c80, 0x1e612802, .to_v2 = true, .whole = true },
};

static uint64_t number(const Row *r, unsigned n)
{
    double   d = n;
    float    s = (float)n;
    uint64_t bits = 0;

    if (r->single) {
        memcpy(&bits, &s, sizeof(s));
    } else {
        memcpy(&bits, &d, sizeof(d));
    }
    return bits;
}

static void put(A64Cpu *cpu, const Row *r, unsigned reg, unsigned n, bool wide)
{
    cpu->v[reg][0] = number(r, n) | (wide && r->single ? 0x1234567800000000 + ((uint64_t)reg << 32) : 0);
    cpu->v[reg][1] = wide ? 0xfedcba9876543210 + reg : 0;
}

static void check(const A64Cpu *cpu, const Row *r, unsigned reg, unsigned n, bool wide)
{
    A64Cpu want;

    put(&want, r, reg, n, wide);
    assert_int_equal(cpu->v[reg][0], want.v[reg][0]);
    assert_int_equal(cpu->v[reg][1], want.v[reg][1]);
}

static void run(A64Box *box, const Row *r, unsigned rounds, bool wide)
{
    A64Cpu *cpu = box->cpu;

    a64_box_enter(box, 0, BOX_CODE);
    memset(cpu->x, 0, sizeof(cpu->x));
    cpu->x[6] = rounds;
    for (unsigned reg = 0; reg < 5; reg++) {
        put(cpu, r, reg, 1, wide);
    }
    assert_true(a64_box_run(box, 100000));
    assert_int_equal(a64_box_ec(box), 0x15);
    check(cpu, r, 1, 1, wide);
    if (rounds == 0) {
        for (unsigned reg = 0; reg < 5; reg++) {
            check(cpu, r, reg, 1, wide);
        }
    } else if (r->to_v2) {
        check(cpu, r, 2, r->moves ? 1 : 2, false);
        check(cpu, r, 4, 1, wide);
        assert_memory_equal(cpu->v[0], cpu->v[r->whole ? 4 : 0], sizeof(cpu->v[0]));
    } else {
        check(cpu, r, 0, 1 + rounds, false);
        if (r->copies) {
            assert_int_equal(cpu->v[3][0], rounds == 1 && wide && r->single ? number(r, 1) | 0x1234567800000000
                                                                             : number(r, rounds));
            assert_int_equal(cpu->v[3][1], rounds == 1 && wide ? 0xfedcba9876543210 : 0);
        }
    }
}

static void test_rows(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const Row     *r = &rows[i];
        const uint32_t code[] = { 0xb40000a6 /* cbz x6, +5 */, r->first, r->second, 0xd10004c6 /* sub x6, x6, #1 */,
                                  0x17fffffc /* b -4 */, 0xd4000001 /* svc #0 */ };
        A64Box        *box = a64_box_new();

        print_message("%s\n", r->name);
        a64_box_code(box, BOX_CODE, code, ARRAY_LEN(code));
        for (unsigned n = 0; n < 24; n++) {
            static const unsigned rounds[] = { ROUNDS, 0, 1 };

            run(box, r, rounds[n % 3], n / 6 == 1 || n / 6 == 3);
        }
        a64_box_free(box);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
