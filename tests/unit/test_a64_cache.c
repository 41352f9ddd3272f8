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

/* ---- watchpoints of the guest ---- */

enum { MDE = 1 << 15, KDE = 1 << 13, WATCHED = BOX_DATA + 0x2008, EC_WATCHPOINT = 0x34 };

/* Bytes 7:0 of WATCHED & ~7, loads and stores, enabled; at EL0, or at EL2 too. */
enum { WCR_EL0 = 0xff << 5 | 3 << 3 | 2 << 1 | 1, WCR_EL2 = 0xff << 5 | 3 << 3 | 3 << 14 | 1 << 13 | 1 };

typedef struct WatchState {
    unsigned el, mdscr, wcr, d, context, locked;
    uint64_t wvr;
} WatchState;

/* An access in the first state does not match, the same in the second does. */
static const struct {
    const char *name;
    uint32_t    first_insn, insn;
    WatchState  first, second;
} watch_rows[] = {
    { "ldtr at EL2, ldr at EL0", 0xf8400827, 0xf9400027, { 2, MDE, WCR_EL0, .wvr = WATCHED },
      { 0, MDE, WCR_EL0, .wvr = WATCHED } },
    { "sttr at EL2, str at EL0", 0xf8000827, 0xf9000027, { 2, MDE, WCR_EL0, .wvr = WATCHED },
      { 0, MDE, WCR_EL0, .wvr = WATCHED } },
    { "with PSTATE.D, without", 0xf9400027, 0xf9400027, { 2, MDE | KDE, WCR_EL2, .d = 1, .wvr = WATCHED },
      { 2, MDE | KDE, WCR_EL2, .wvr = WATCHED } },
    { "in another context", 0xf9000027, 0xf9000027,
      { 0, MDE, WCR_EL0 | 1 << 20 | 5 << 16, .wvr = WATCHED, .context = 7 },
      { 0, MDE, WCR_EL0 | 1 << 20 | 5 << 16, .wvr = WATCHED, .context = 8 } },
    { "under the OS lock", 0xf9400027, 0xf9400027, { 0, MDE, WCR_EL0, .wvr = WATCHED, .locked = 1 },
      { 0, MDE, WCR_EL0, .wvr = WATCHED } },
    { "debug exceptions become enabled", 0xf9400027, 0xf9400027, { 0, 0, WCR_EL0, .wvr = WATCHED },
      { 0, MDE, WCR_EL0, .wvr = WATCHED } },
    { "the watchpoint becomes enabled", 0xf9400027, 0xf9400027, { 0, MDE, WCR_EL0 & ~1, .wvr = WATCHED },
      { 0, MDE, WCR_EL0, .wvr = WATCHED } },
    { "it moves", 0xf9400027, 0xf9400027, { 0, MDE, WCR_EL0, .wvr = WATCHED + 0x1000 },
      { 0, MDE, WCR_EL0, .wvr = WATCHED } },
};

/* As a hypervisor's world switch does: registers as a whole, then PSTATE. */
static void watch(A64Box *box, const WatchState *s, uint32_t insn)
{
    const uint32_t code[] = { insn, 0xf10004c6 /* subs x6, x6, #1 */, 0x54ffffc1 /* b.ne -2 */, SVC };
    A64Cpu        *cpu = box->cpu;

    a64_box_code(box, BOX_CODE, code, ARRAY_LEN(code));
    cpu->el1.oslsr = 8 | s->locked << 1;
    cpu->el1.mdscr = s->mdscr;
    cpu->el1.dbgwvr[1] = s->wvr & ~7ull;
    cpu->el1.dbgwcr[1] = s->wcr;
    cpu->el1.dbgbcr[5] = 3 << 20 | 0xf << 5 | 3 << 1 | 1; /* linked to CONTEXTIDR_EL1 */
    cpu->el1.dbgbvr[5] = 8;
    cpu->el1.contextidr = s->context;
    a64_enter(cpu, PAS_NONSECURE, BOX_CODE, s->el << 2 | (s->el != 0) | 7 << 6 | s->d << 9);
    cpu->x[1] = WATCHED;
    cpu->x[6] = ROUNDS;
}

static void test_watchpoints(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(watch_rows); i++) {
        A64Box *box = a64_box_new();

        print_message("%s\n", watch_rows[i].name);
        for (unsigned n = 0; n < 3; n++) {
            watch(box, &watch_rows[i].first, watch_rows[i].first_insn);
            assert_true(a64_box_run(box, 100000));
            assert_int_equal(a64_box_ec(box), EC_SVC);
            watch(box, &watch_rows[i].second, watch_rows[i].insn);
            assert_true(a64_box_run(box, 100000));
            assert_int_equal(a64_box_ec(box), EC_WATCHPOINT + (watch_rows[i].second.el == 2));
            assert_int_equal(box->exc.far, WATCHED);
            assert_int_equal(box->cpu->x[6], ROUNDS);
        }
        a64_box_free(box);
    }
}

/* ---- exits to another page ---- */

enum {
    WINDOW = BOX_DATA + BOX_DATA_SIZE, /* virtual: the caller's page, then that of what it calls */
    CALLER = BOX_DATA + 0x100000,
    CALLEES = BOX_DATA + 0x101000,     /* two pages: each adds another number */
    LEVEL_3 = BOX_DATA + 0x1f0000,
    EC_FETCH = 0x20,

    NG = 1 << 11,
    PAGE = 3 | 1 << 6 | 3 << 8 | 1 << 10 | NG, /* valid, EL0, inner shareable, AF */
};

#define UXN   BIT(54)
#define GUARD BIT(50)

/* Without telling the caches of translations. */
static void map_callee(A64Box *box, uint64_t descriptor)
{
    le64_put(box->data + (LEVEL_3 + 8 - BOX_DATA), descriptor);
}

static uint64_t callee(unsigned n) { return (CALLEES + n * 0x1000u) | PAGE; }

static A64Box *calling_box(void)
{
    static const uint32_t caller[] = { 0x94000400 /* bl callee */, 0xf10004c6 /* subs x6, x6, #1 */,
                                       0x54ffffc1 /* b.ne -2 */, SVC };
    A64Box *box = a64_box_new();

    le64_put(box->code + BOX_CODE_SIZE + 0x2000 + (WINDOW >> 21 & 511) * 8, LEVEL_3 | 3);
    le64_put(box->data + (LEVEL_3 - BOX_DATA), CALLER | PAGE);
    memcpy(box->data + (CALLER - BOX_DATA), caller, sizeof(caller));
    for (uint32_t i = 0; i < 2; i++) {
        const uint32_t code[] = { 0x91000463 + (i << 10) /* add x3, x3, #1 + i */, 0xd61f00a0 /* br x5: to the next */,
                                  0x17fffbff /* b caller + 4 */ };

        memcpy(box->data + (CALLEES + i * 0x1000 - BOX_DATA), code, sizeof(code));
    }
    map_callee(box, callee(0));
    return box;
}

/* What the callee adds in each round. 0: an exception of class @ec came instead, at @offset of it. The caller, with the
 * ways out that it has, meets a page that is known already. */
static void assert_called(A64Box *box, unsigned adds, unsigned ec, unsigned offset)
{
    a64_box_enter(box, 0, WINDOW + 0x1000);
    box->cpu->x[5] = WINDOW + 12;
    assert_true(a64_box_run(box, 100));
    a64_box_enter(box, 0, WINDOW);
    box->cpu->x[3] = 0;
    box->cpu->x[5] = WINDOW + 0x1008;
    box->cpu->x[6] = ROUNDS;
    assert_true(a64_box_run(box, 100000));
    assert_int_equal(a64_box_ec(box), adds != 0 ? EC_SVC : ec);
    assert_int_equal(box->exc.return_pc, adds != 0 ? WINDOW + 16 : WINDOW + 0x1000 + offset);
    if (adds != 0) {
        assert_int_equal(box->cpu->x[3], ROUNDS * adds);
    }
}

static void flush_callee(A64Box *box) { cpu_flush_va(&box->cpu->cpu, NULL, NULL, WINDOW + 0x1000, 0x1000); }
static void flush_all(A64Box *box) { cpu_flush_contexts(&box->cpu->cpu, NULL, NULL); }

/* The page that a call leads to becomes another, or another kind of page, or is no more. */
static void test_far_exits(void **state)
{
    static void (*const flush[])(A64Box *) = { flush_callee, flush_all };

    for (unsigned i = 0; i < ARRAY_LEN(flush); i++) {
        A64Box *box = calling_box();

        for (unsigned n = 0; n < 12; n++) {
            const uint64_t kinds[] = { callee(0), callee(1), callee(1) | GUARD, callee(0) | UXN, callee(1), 0 };
            uint64_t       kind = kinds[n % ARRAY_LEN(kinds)];
            unsigned       adds = kind == 0 || (kind & (UXN | GUARD)) ? 0 : (kind & ~0xfffull) == CALLEES ? 1 : 2;

            map_callee(box, kind);
            flush[i](box);
            assert_called(box, adds, kind & GUARD ? EC_BTI : EC_FETCH, kind & GUARD ? 8 : 0);
        }
        a64_box_free(box);
    }
}

/* The same caller in two address spaces, in which the call leads elsewhere. */
static void test_far_exits_by_asid(void **state)
{
    A64Box *box = calling_box();

    for (unsigned n = 0; n < 6; n++) {
        unsigned asid = n & 1;

        box->cpu->el2.ttbr0 = deposit64(box->cpu->el2.ttbr0, 48, 16, asid + 1);
        map_callee(box, callee(asid));
        assert_called(box, 1 + asid, EC_SVC, 0);
    }
    a64_box_free(box);
}

/* The owner of the page changes: nothing leads there any more. */
static void test_far_exits_and_owners(void **state)
{
    A64Box *box = calling_box();

    for (unsigned n = 0; n < 3; n++) {
        assert_called(box, 1, EC_SVC, 0);
        owners_set(box->owners, CALLEES, 0x1000, OWNER_REALM);
        assert_called(box, 0, EC_FETCH, 0);
        owners_set(box->owners, CALLEES, 0x1000, OWNER_ANY);
    }
    a64_box_free(box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_guarded),
        cmocka_unit_test(test_misaligned_targets),
        cmocka_unit_test(test_watchpoints),
        cmocka_unit_test(test_far_exits),
        cmocka_unit_test(test_far_exits_by_asid),
        cmocka_unit_test(test_far_exits_and_owners),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
