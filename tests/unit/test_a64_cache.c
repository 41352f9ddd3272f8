/*
 * What the engine keeps (translated code, regions, translations of addresses) and finds again must have been made for
 * the state that finds it. Each test changes a property that is easily forgotten in a key, and changes it back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <glib.h>

#include "bits.h"
#include "bytes.h"
#include "tests/unit/a64_box.h"

enum {
    ROUNDS = 1000,
    SVC = 0xd4000001,
    EC_SVC = 0x15,
    EC_BTI = 0x0d,
    EC_PC_ALIGNMENT = 0x22,
};

/* ---- guarded pages ---- */

static const struct {
    const char *name;
    uint32_t    branch, target;
    unsigned    guarded_ec;
} guarded_rows[] = {
    { "br x5 to nop", 0xd61f00a0, 0xd503201f, EC_BTI },
    { "br x5 to bti c", 0xd61f00a0, 0xd503245f, EC_BTI },
    { "br x5 to bti j", 0xd61f00a0, 0xd503249f, EC_SVC },
    { "br x16 to bti c", 0xd61f0200, 0xd503245f, EC_SVC },
    { "blr x5 to nop", 0xd63f00a0, 0xd503201f, EC_BTI },
    { "blr x5 to bti c", 0xd63f00a0, 0xd503245f, EC_SVC },
};

/* The descriptor that maps the code gets its bit GP; other translations are dropped. */
static void guard(A64Box *box, bool on)
{
    uint8_t *entry = box->code + BOX_CODE_SIZE + 0x2000 + (BOX_CODE >> 21) * 8;

    le64_put(entry, deposit64(le64_get(entry), 50, 1, on));
    cpu_flush_contexts(&box->cpu->cpu, NULL, NULL);
}

/* The same code at the same place, guarded or not: what indirect branches leave in BTYPE, and whether that counts. */
static void test_guarded(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(guarded_rows); i++) {
        const uint32_t code[] = { 0x91000463 /* add x3, x3, #1 */, guarded_rows[i].branch, guarded_rows[i].target,
                                  0xf10004c6 /* subs x6, x6, #1 */, 0x54ffff81 /* b.ne -4 */, SVC };
        A64Box        *box = a64_box_new();

        print_message("%s\n", guarded_rows[i].name);
        a64_box_code(box, BOX_CODE, code, ARRAY_LEN(code));
        for (unsigned n = 0; n < 6; n++) {
            bool on = n & 1, faults = on && guarded_rows[i].guarded_ec == EC_BTI;

            guard(box, on);
            a64_box_enter(box, 0, BOX_CODE);
            box->cpu->x[3] = 0;
            box->cpu->x[5] = box->cpu->x[16] = BOX_CODE + 8;
            box->cpu->x[6] = ROUNDS;
            assert_true(a64_box_run(box, 100000));
            assert_int_equal(a64_box_ec(box), on ? guarded_rows[i].guarded_ec : EC_SVC);
            assert_int_equal(box->exc.return_pc, BOX_CODE + (faults ? 8 : 24));
            assert_int_equal(box->cpu->x[3], faults ? 1 : ROUNDS);
        }
        a64_box_free(box);
    }
}

/* ---- branches to many places ---- */

enum { TARGETS = BOX_CODE + 0x40, N_TARGETS = 8 };

/* Targets of a branch in turn, so many that a region finds them by a table; some were reached between two instructions
 * before, as code of its own. */
static void test_misaligned_targets(void **state)
{
    static const uint32_t loop[] = {
        0x924008c7, /* and x7, x6, #7 */
        0x8b070d05, /* add x5, x8, x7, lsl #3 */
        0xd61f00a0, /* br x5 */
        0xf10004c6, /* subs x6, x6, #1 */
        0x54ffff81, /* b.ne -4 */
        SVC,
    };
    A64Box *box = a64_box_new();

    a64_box_code(box, BOX_CODE, loop, ARRAY_LEN(loop));
    for (unsigned i = 0; i < N_TARGETS; i++) {
        const uint64_t at = TARGETS + 8 * i;
        const uint32_t to[] = { 0x91000463, 0x14000000 | ((BOX_CODE + 12 - (at + 4)) >> 2 & 0x3ffffff) };

        a64_box_code(box, at, to, ARRAY_LEN(to));
    }
    for (unsigned n = 0; n < 3 * N_TARGETS; n++) {
        unsigned off = n % 3 + 1;

        a64_box_enter(box, 0, BOX_CODE + 8);
        box->cpu->x[5] = TARGETS + 8 * (n / 3) + off;
        assert_true(a64_box_run(box, 100));
        assert_int_equal(a64_box_ec(box), EC_PC_ALIGNMENT);
        assert_int_equal(box->exc.return_pc, TARGETS + 8 * (n / 3) + off);
    }
    for (unsigned n = 0; n < 3; n++) {
        a64_box_enter(box, 0, BOX_CODE);
        box->cpu->x[3] = 0;
        box->cpu->x[6] = ROUNDS;
        box->cpu->x[8] = TARGETS;
        assert_true(a64_box_run(box, 100000));
        assert_int_equal(a64_box_ec(box), EC_SVC);
        assert_int_equal(box->cpu->x[3], ROUNDS);
    }
    a64_box_free(box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_guarded),
        cmocka_unit_test(test_misaligned_targets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
