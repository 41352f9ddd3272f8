/*
 * Generated code keeps the translation of the page, or the pages, that an access used last (PageSlot). Each row makes a
 * loop hot, so that its access does, then changes what the address means; the access must see that at once. By the
 * executor, which keeps nothing of that kind, too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "a64_box.h"
#include "bytes.h"

enum {
    WINDOW = BOX_DATA + BOX_DATA_SIZE, /* virtual: pages by the table of level 3 */
    PAGE_A = BOX_DATA + 0x100000,
    PAGE_B = BOX_DATA + 0x101000,
    FAR_PAGE = BOX_DATA + 0x180000,
    PAGES = 8, /* from PAGE_A, mapped in order */
    TABLE_2 = BOX_CODE + BOX_CODE_SIZE + 0x2000,
    TABLE_3 = BOX_DATA + 0x1f0000,
    OFFSET = 16, /* of what the loops access */

    EC_SVC = 0x15,
    EC_ABORT = 0x24,

    PAGE = 3 | 1 << 6 | 3 << 8 | 1 << 10, /* valid, EL0, inner shareable, AF */
    READ_ONLY = 1 << 7,

    MOVZ_X6 = 0xd2800006, /* and the number from bit 5 */
    SVC = 0xd4000021,
    HOT = 5000,
};

typedef enum Loop {
    LOAD = 0, STORE = 0x100, ALTERNATE = 0x200, LOAD_ALL = 0x300, STORE_ALL = 0x400, LOAD_PAIR = 0x500,
    GROUP_LOADS = 0x600, GROUP_STORES = 0x700, GROUP_BETWEEN = 0x800, GROUPS_MANY = 0x900,
    WALK_LOADS = 0xa00, WALK_STORES = 0xb00,
    LOADS = 0x1000, /* more of them than a context has slots */
} Loop;

enum { N_LOADS = 300, LOAD_BYTES = 16 };

static const uint32_t load[] = {
    0xf9400823, /* ldr x3, [x1, #16] */
    0xd1000400, /* sub x0, x0, #1 */
    0xb5ffffc0, /* cbnz x0 */
    SVC,
};
static const uint32_t store[] = {
    0xf9000824, /* str x4, [x1, #16] */
    0xd1000400, 0xb5ffffc0, SVC,
};
static const uint32_t alternate[] = {
    0xf9400823, /* ldr x3, [x1, #16] */
    0x8b0300c6, /* add x6, x6, x3 */
    0xd2740021, /* eor x1, x1, #0x1000 */
    0xd1000400, 0xb5ffff80, SVC,
};

static const uint32_t load_all[] = {
    0xf9400823, /* ldr x3, [x1, #16] */
    0x8b0300c6, /* add x6, x6, x3 */
    0x91400421, /* add x1, x1, #0x1000 */
    0xd1000400, 0xb5ffff80, SVC,
};
static const uint32_t store_all[] = {
    0xf9000824, /* str x4, [x1, #16] */
    0x91400421, 0xd1000400, 0xb5ffffa0, SVC,
};
static const uint32_t load_pair[] = {
    0xad408c22, /* ldp q2, q3, [x1, #16] */
    0xd1000400, 0xb5ffffc0, SVC,
};

/* Accesses off one base, which are checked together. */
#define LDR(t, n, offset) (0xf9400000u | (offset) / 8 << 10 | (n) << 5 | (t)) /* ldr xT, [xN, #offset] */
#define STR(t, n, offset) (0xf9000000u | (offset) / 8 << 10 | (n) << 5 | (t))

static const uint32_t group_loads[] = {
    LDR(3, 1, 16), LDR(5, 1, 24), LDR(6, 1, 40), 0xd1000400, 0xb5ffff80, SVC,
};
static const uint32_t group_stores[] = {
    STR(3, 1, 16), STR(5, 1, 24), STR(6, 1, 40), 0xd1000400, 0xb5ffff80, SVC,
};
static const uint32_t walk_loads[] = {
    LDR(3, 1, 16), LDR(5, 1, 24), LDR(6, 1, 40),
    0x8b0300e7, /* add x7, x7, x3 */
    0x8b0500e7, 0x8b0600e7, /* and x5, x6 */
    0x91002021, /* add x1, x1, #8 */
    0xd1000400, 0xb5ffff00, SVC,
};
static const uint32_t walk_stores[] = {
    STR(0, 1, 16), STR(0, 1, 24), STR(0, 1, 40), 0x91002021, 0xd1000400, 0xb5ffff60, SVC,
};
static const uint32_t group_between[] = {
    LDR(3, 1, 16), LDR(7, 2, 16), LDR(5, 1, 24), 0xd1000400, 0xb5ffff80, SVC,
};
/* More bases than there are registers for their addresses. */
static const uint32_t groups_many[] = {
    LDR(3, 1, 16), LDR(4, 2, 16), LDR(5, 8, 16), LDR(6, 9, 16), LDR(7, 10, 16),
    LDR(11, 1, 24), LDR(12, 2, 24), LDR(13, 8, 24), LDR(14, 9, 24), LDR(15, 10, 24),
    LDR(16, 1, 40), LDR(17, 2, 40), LDR(19, 8, 40), LDR(20, 9, 40), LDR(21, 10, 40),
    0xd1000400, 0xb5fffe00, SVC,
};

static A64Box  *box;
static unsigned often; /* how often loops run before something changes: until they are hot, or not */

static uint8_t *host(uint64_t pa) { return box->data + (pa - BOX_DATA); }

static void flush(unsigned page)
{
    cpu_flush_va(&box->cpu->cpu, NULL, NULL, WINDOW + page * 0x1000, 0x1000);
}

static void map(unsigned page, uint64_t descriptor)
{
    le64_put(host(TABLE_3) + page * 8, descriptor);
    flush(page);
}

static int setup(void **state)
{
    often = HOT;
    box = a64_box_new();
    a64_box_code(box, BOX_CODE + LOAD, load, G_N_ELEMENTS(load));
    a64_box_code(box, BOX_CODE + STORE, store, G_N_ELEMENTS(store));
    a64_box_code(box, BOX_CODE + ALTERNATE, alternate, G_N_ELEMENTS(alternate));
    a64_box_code(box, BOX_CODE + LOAD_ALL, load_all, G_N_ELEMENTS(load_all));
    a64_box_code(box, BOX_CODE + STORE_ALL, store_all, G_N_ELEMENTS(store_all));
    a64_box_code(box, BOX_CODE + LOAD_PAIR, load_pair, G_N_ELEMENTS(load_pair));
    a64_box_code(box, BOX_CODE + GROUP_LOADS, group_loads, G_N_ELEMENTS(group_loads));
    a64_box_code(box, BOX_CODE + GROUP_STORES, group_stores, G_N_ELEMENTS(group_stores));
    a64_box_code(box, BOX_CODE + WALK_LOADS, walk_loads, G_N_ELEMENTS(walk_loads));
    a64_box_code(box, BOX_CODE + WALK_STORES, walk_stores, G_N_ELEMENTS(walk_stores));
    a64_box_code(box, BOX_CODE + GROUP_BETWEEN, group_between, G_N_ELEMENTS(group_between));
    a64_box_code(box, BOX_CODE + GROUPS_MANY, groups_many, G_N_ELEMENTS(groups_many));
    for (unsigned i = 0; i < N_LOADS; i++) {
        a64_box_code(box, BOX_CODE + LOADS + i * LOAD_BYTES, load, G_N_ELEMENTS(load));
    }
    le64_put(box->code + (TABLE_2 - BOX_CODE) + (WINDOW >> 21 & 511) * 8, TABLE_3 | 3);
    for (unsigned i = 0; i < PAGES; i++) {
        map(i, (PAGE_A + i * 0x1000) | PAGE);
    }
    le64_put(host(PAGE_A) + OFFSET, 0xaaaa);
    le64_put(host(PAGE_B) + OFFSET, 0xbbbb);
    return 0;
}

static int setup_cold(void **state)
{
    setup(state);
    often = 2;
    return 0;
}

static int teardown(void **state)
{
    a64_box_free(box);
    return 0;
}

/* Until an exception, whose class it returns. */
static unsigned run_at(uint64_t pc)
{
    a64_box_enter(box, 0, pc);
    assert_true(a64_box_run(box, 1000000));
    return a64_box_ec(box);
}

static unsigned run(Loop loop, uint64_t va, unsigned n)
{
    box->cpu->x[0] = n;
    box->cpu->x[1] = va;
    return run_at(BOX_CODE + loop);
}

static unsigned once(Loop loop) { return run(loop, WINDOW, 1); }
static void     heat(Loop loop) { assert_int_equal(run(loop, WINDOW, often), EC_SVC); }

static void assert_abort(Loop loop, uint64_t far)
{
    assert_int_equal(once(loop), EC_ABORT);
    assert_int_equal(box->exc.far, far);
}

static void test_unmapped(void **state)
{
    heat(LOAD);
    heat(STORE);
    map(0, 0);
    assert_abort(LOAD, WINDOW + OFFSET);
    assert_abort(STORE, WINDOW + OFFSET);
    map(0, PAGE_A | PAGE);
    assert_int_equal(once(LOAD), EC_SVC);
    assert_int_equal(once(STORE), EC_SVC);
}

static void test_unmapped_with_all(void **state)
{
    heat(LOAD);
    heat(STORE);
    le64_put(host(TABLE_3), 0);
    cpu_flush_contexts(&box->cpu->cpu, NULL, NULL);
    assert_abort(LOAD, WINDOW + OFFSET);
    assert_abort(STORE, WINDOW + OFFSET);
}

static void test_unmapped_with_many(void **state)
{
    heat(LOAD);
    heat(STORE);
    le64_put(host(TABLE_3), 0);
    cpu_flush_va(&box->cpu->cpu, NULL, NULL, BOX_DATA, 16 << 20);
    assert_abort(LOAD, WINDOW + OFFSET);
    assert_abort(STORE, WINDOW + OFFSET);
}

static void test_moved(void **state)
{
    box->cpu->x[4] = 0xcccc;
    heat(STORE);
    heat(LOAD);
    assert_int_equal(box->cpu->x[3], 0xcccc);
    map(0, PAGE_B | PAGE);
    assert_int_equal(once(LOAD), EC_SVC);
    assert_int_equal(box->cpu->x[3], 0xbbbb);
    box->cpu->x[4] = 0xdddd;
    assert_int_equal(once(STORE), EC_SVC);
    assert_int_equal(le64_get(host(PAGE_A) + OFFSET), 0xcccc);
    assert_int_equal(le64_get(host(PAGE_B) + OFFSET), 0xdddd);
}

static void test_write_protected(void **state)
{
    heat(STORE);
    heat(LOAD);
    map(0, PAGE_A | PAGE | READ_ONLY);
    assert_abort(STORE, WINDOW + OFFSET);
    assert_int_equal(once(LOAD), EC_SVC);
}

static void test_owned_by_another(void **state)
{
    heat(STORE);
    heat(LOAD);
    owners_set(box->owners, PAGE_A, 0x1000, OWNER_REALM);
    assert_int_not_equal(once(STORE), EC_SVC);
    assert_int_not_equal(once(LOAD), EC_SVC);
    owners_set(box->owners, PAGE_A, 0x1000, OWNER_NONSECURE);
    assert_int_equal(once(STORE), EC_SVC);
    assert_int_equal(once(LOAD), EC_SVC);
}

static uint64_t code_for(unsigned v) { return (uint64_t)SVC << 32 | MOVZ_X6 | v << 5; }

static void test_code_appears(void **state)
{
    box->cpu->x[4] = code_for(1);
    heat(STORE); /* no code there yet */
    for (unsigned v = 1; v < 5; v++) {
        assert_int_equal(run_at(PAGE_A + OFFSET), EC_SVC);
        assert_int_equal(box->cpu->x[6], v);
        box->cpu->x[4] = code_for(v + 1);
        assert_int_equal(once(STORE), EC_SVC);
    }
    heat(STORE);
    assert_int_equal(run_at(PAGE_A + OFFSET), EC_SVC);
    assert_int_equal(box->cpu->x[6], 5);
}

static unsigned all(Loop loop)
{
    box->cpu->x[6] = 0;
    return run(loop, WINDOW, PAGES);
}

/* Makes spans of the pages. */
static void heat_all(void)
{
    for (unsigned i = 0; i < HOT; i++) {
        assert_int_equal(all(LOAD_ALL), EC_SVC);
        assert_int_equal(all(STORE_ALL), EC_SVC);
    }
}

static void test_span(void **state)
{
    box->cpu->x[4] = 1;
    heat_all();
    assert_int_equal(all(LOAD_ALL), EC_SVC);
    assert_int_equal(box->cpu->x[6], PAGES);

    map(3, 0);
    assert_int_equal(all(LOAD_ALL), EC_ABORT);
    assert_int_equal(box->exc.far, WINDOW + 3 * 0x1000 + OFFSET);
    assert_int_equal(all(STORE_ALL), EC_ABORT);
    assert_int_equal(box->exc.far, WINDOW + 3 * 0x1000 + OFFSET);

    map(3, FAR_PAGE | PAGE);
    le64_put(host(FAR_PAGE) + OFFSET, 100);
    heat_all();
    assert_int_equal(le64_get(host(FAR_PAGE) + OFFSET), 1);
    le64_put(host(FAR_PAGE) + OFFSET, 100);
    assert_int_equal(all(LOAD_ALL), EC_SVC);
    assert_int_equal(box->cpu->x[6], PAGES - 1 + 100);
}

static void test_span_write_protected(void **state)
{
    heat_all();
    map(5, (PAGE_A + 0x5000) | PAGE | READ_ONLY);
    assert_int_equal(all(STORE_ALL), EC_ABORT);
    assert_int_equal(box->exc.far, WINDOW + 5 * 0x1000 + OFFSET);
    assert_int_equal(all(LOAD_ALL), EC_SVC);
}

static void test_span_owned_by_another(void **state)
{
    heat_all();
    owners_set(box->owners, PAGE_A + 0x5000, 0x1000, OWNER_REALM);
    assert_int_not_equal(all(STORE_ALL), EC_SVC);
    assert_int_not_equal(all(LOAD_ALL), EC_SVC);
}

static void test_code_appears_in_span(void **state)
{
    box->cpu->x[4] = code_for(1);
    heat_all();
    for (unsigned v = 1; v < 5; v++) {
        assert_int_equal(run_at(PAGE_A + 0x5000 + OFFSET), EC_SVC);
        assert_int_equal(box->cpu->x[6], v);
        box->cpu->x[4] = code_for(v + 1);
        assert_int_equal(all(STORE_ALL), EC_SVC);
    }
}

/* An access that never finds its page again leaves the slot. */
static void test_alternating(void **state)
{
    map(1, FAR_PAGE | PAGE); /* not beside the other */
    le64_put(host(FAR_PAGE) + OFFSET, 0xbbbb);
    box->cpu->x[6] = 0;
    for (unsigned i = 0; i < 20; i++) { /* comes back in between, so that the region may be replaced */
        heat(ALTERNATE);
    }
    assert_int_equal(box->cpu->x[6], 20ull * (HOT / 2) * (0xaaaa + 0xbbbb));
    map(1, 0);
    assert_int_equal(run(ALTERNATE, WINDOW, 2), EC_ABORT);
    assert_int_equal(box->exc.far, WINDOW + 0x1000 + OFFSET);
    map(1, PAGE_B | PAGE);
    assert_int_equal(run(ALTERNATE, WINDOW, 2), EC_SVC);
}

/* Such an access goes by its own page, whatever the page of its base is. */
static void test_base_in_another_page(void **state)
{
    uint64_t base = WINDOW + 0x3000 - OFFSET / 2, at = WINDOW + 0x3000 + OFFSET / 2;

    map(2, 0);
    map(4, FAR_PAGE | PAGE);
    le64_put(host(PAGE_A + 0x3000) + OFFSET / 2, 3);
    le64_put(host(FAR_PAGE) + OFFSET / 2, 4);
    box->cpu->x[6] = 0;
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(run(ALTERNATE, base, HOT), EC_SVC);
    }
    assert_int_equal(box->cpu->x[6], 20ull * (HOT / 2) * (3 + 4));
    map(3, 0);
    map(2, PAGE_A | PAGE);
    assert_int_equal(run(ALTERNATE, base, 2), EC_ABORT);
    assert_int_equal(box->exc.far, at);
    map(3, PAGE_B | PAGE);
    le64_put(host(PAGE_B) + OFFSET / 2, 5);
    box->cpu->x[6] = 0;
    assert_int_equal(run(ALTERNATE, base, 2), EC_SVC);
    assert_int_equal(box->cpu->x[6], 5 + 4);
}

static void test_page_crossing(void **state)
{
    uint64_t across = WINDOW + 0x1000 - OFFSET - 4;

    heat(LOAD);
    heat(STORE);
    le32_put(host(PAGE_A) + 0xffc, 0x11111111);
    le32_put(host(PAGE_B), 0x22222222);
    assert_int_equal(run(LOAD, across, HOT), EC_SVC);
    assert_int_equal(box->cpu->x[3], 0x2222222211111111);
    box->cpu->x[4] = 0x4444444433333333;
    assert_int_equal(run(STORE, across, HOT), EC_SVC);
    assert_int_equal(le32_get(host(PAGE_A) + 0xffc), 0x33333333);
    assert_int_equal(le32_get(host(PAGE_B)), 0x44444444);
    map(1, 0);
    assert_int_equal(run(LOAD, across, 1), EC_ABORT);
    assert_int_equal(box->exc.far, WINDOW + 0x1000);
    assert_int_equal(run(STORE, across, 1), EC_ABORT);
    assert_int_equal(box->exc.far, WINDOW + 0x1000);
}

/* Slots are shared when all have been given out: what one access may do, another that came to use its slot may not. */
static void test_shared_with_loads(void **state)
{
    assert_int_equal(run(STORE, WINDOW + 0x1000, HOT), EC_SVC);
    map(0, PAGE_A | PAGE | READ_ONLY);
    for (unsigned i = 0; i < N_LOADS; i++) {
        heat(LOADS + i * LOAD_BYTES);
        assert_abort(STORE, WINDOW + OFFSET);
    }
}

static void test_shared_with_shorter(void **state)
{
    uint64_t last = WINDOW + 0x1000 - OFFSET - 8;

    assert_int_equal(run(LOAD_PAIR, WINDOW, HOT), EC_SVC);
    map(1, 0);
    for (unsigned i = 0; i < N_LOADS; i++) {
        assert_int_equal(run(LOADS + i * LOAD_BYTES, last, HOT), EC_SVC);
        assert_int_equal(run(LOAD_PAIR, last, 1), EC_ABORT);
        assert_int_equal(box->exc.far, WINDOW + 0x1000);
    }
}

static const unsigned group_offset[] = { 16, 24, 40 }; /* of 8 bytes each, by x3, x5, x6 */

enum { N_GROUP = G_N_ELEMENTS(group_offset) };

static uint64_t *group_register(unsigned i)
{
    return &box->cpu->x[i == 0 ? 3 : i == 1 ? 5 : 6];
}

/* The window's bytes, wherever its first two pages are. */
static uint8_t *host_of(uint64_t va, uint64_t second)
{
    return host(va - WINDOW < 0x1000 ? PAGE_A + (va - WINDOW) : second + (va - WINDOW - 0x1000));
}

static uint64_t read_window(uint64_t va, uint64_t second)
{
    uint64_t v = 0;

    for (unsigned i = 8; i-- > 0;) {
        v = v << 8 | *host_of(va + i, second);
    }
    return v;
}

/* The page ends before, in or behind each access of a group: @base is off it by @before bytes. */
static void check_group_at_end(unsigned before)
{
    uint64_t base = WINDOW + 0x1000 - before;
    unsigned fails = 0; /* the first that needs the second page */

    while (fails < N_GROUP && group_offset[fails] + 8 <= before) {
        fails++;
    }
    map(1, FAR_PAGE | PAGE);
    assert_int_equal(run(GROUP_LOADS, base, often), EC_SVC);
    for (unsigned i = 0; i < N_GROUP; i++) {
        assert_int_equal(*group_register(i), read_window(base + group_offset[i], FAR_PAGE));
        *group_register(i) = 0x0101010101010101 * (before + i);
    }
    assert_int_equal(run(GROUP_STORES, base, often), EC_SVC);
    for (unsigned i = 0; i < N_GROUP; i++) {
        assert_int_equal(read_window(base + group_offset[i], FAR_PAGE), 0x0101010101010101 * (before + i));
        *group_register(i) = 7;
    }
    map(1, 0);
    assert_int_equal(once(GROUP_LOADS), EC_SVC);
    for (unsigned i = 0; i < N_GROUP; i++) {
        *group_register(i) = 7;
    }
    assert_int_equal(run(GROUP_LOADS, base, 1), fails < N_GROUP ? EC_ABORT : EC_SVC);
    for (unsigned i = 0; i < N_GROUP; i++) {
        assert_int_equal(*group_register(i), i < fails ? 0x0101010101010101 * (before + i) : 7);
        *group_register(i) = 9;
    }
    if (fails < N_GROUP) {
        assert_int_equal(box->exc.return_pc, BOX_CODE + GROUP_LOADS + 4 * fails);
        assert_int_equal(box->exc.far, MAX(base + group_offset[fails], WINDOW + 0x1000));
    }
    assert_int_equal(run(GROUP_STORES, base, 1), fails < N_GROUP ? EC_ABORT : EC_SVC);
    for (unsigned i = 0; i < N_GROUP; i++) {
        assert_int_equal(read_window(base + group_offset[i], FAR_PAGE),
                         i < fails ? 9 : 0x0101010101010101 * (before + i));
    }
    if (fails < N_GROUP) {
        assert_int_equal(box->exc.return_pc, BOX_CODE + GROUP_STORES + 4 * fails);
        assert_int_equal(box->exc.far, MAX(base + group_offset[fails], WINDOW + 0x1000));
    }
}

static void test_group_at_end(void **state)
{
    heat(GROUP_LOADS);
    heat(GROUP_STORES);
    for (unsigned before = 8; before <= 56; before += 4) {
        check_group_at_end(before);
    }
}

/* A group's check holds, then not, then again: nothing of an iteration is left for the next. */
static void test_group_walks(void **state)
{
    enum { STEPS = 1000 };
    uint64_t memory[2 * 0x1000 / 8] = { 0 }, sum = 0;

    map(1, FAR_PAGE | PAGE);
    memset(host(PAGE_A), 0, 0x1000);
    for (unsigned round = 0; round < 20; round++) {
        assert_int_equal(run(WALK_STORES, WINDOW, STEPS), EC_SVC);
        box->cpu->x[7] = 0;
        assert_int_equal(run(WALK_LOADS, WINDOW, STEPS), EC_SVC);
    }
    for (unsigned i = 0; i < STEPS; i++) {
        for (unsigned k = 0; k < N_GROUP; k++) {
            memory[i + group_offset[k] / 8] = STEPS - i;
        }
    }
    for (unsigned i = 0; i < STEPS; i++) {
        for (unsigned k = 0; k < N_GROUP; k++) {
            sum += memory[i + group_offset[k] / 8];
        }
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(memory); i++) {
        assert_int_equal(read_window(WINDOW + i * 8, FAR_PAGE), memory[i]);
    }
    assert_int_equal(box->cpu->x[7], sum);
}

static void test_group_code_appears(void **state)
{
    box->cpu->x[5] = code_for(1);
    heat(GROUP_STORES);
    for (unsigned v = 1; v < 5; v++) {
        assert_int_equal(run_at(PAGE_A + 24), EC_SVC);
        assert_int_equal(box->cpu->x[6], v);
        box->cpu->x[5] = code_for(v + 1);
        assert_int_equal(once(GROUP_STORES), EC_SVC);
    }
    heat(GROUP_STORES);
    assert_int_equal(run_at(PAGE_A + 24), EC_SVC);
    assert_int_equal(box->cpu->x[6], 5);
}

static void test_group_watched(void **state)
{
    for (unsigned i = 0; i < N_GROUP; i++) {
        CpuWatch watch = { WINDOW + group_offset[i], 8, CPU_WATCH_READ }, hit;
        uint64_t used;

        heat(GROUP_LOADS);
        cpu_watch_insert(box->engine, &watch);
        box->cpu->x[0] = 1;
        a64_box_enter(box, 0, BOX_CODE + GROUP_LOADS);
        assert_int_equal(cpu_run(&box->cpu->cpu, clock_now(box->clock), 100, &used), CPU_STOP_BREAK);
        assert_int_equal(used, i);
        assert_int_equal(box->cpu->pc, BOX_CODE + GROUP_LOADS + 4 * i);
        assert_true(cpu_watch_hit(&box->cpu->cpu, &hit));
        assert_int_equal(hit.va, watch.va);
        cpu_watch_remove(box->engine, &watch);
    }
}

/* The slow path of an access between two of a group fills the tables, which takes entries out of them. */
static void test_group_between(void **state)
{
    enum { SAME_ENTRY = 8192 * 0x1000 }; /* as many pages as a table has */
    uint64_t other = BOX_CODE; /* in a block of its own */

    le64_put(host(PAGE_A) + 24, 0xeeee);
    box->cpu->x[2] = WINDOW + 0x1000;
    heat(GROUP_BETWEEN);
    for (unsigned i = 0; i < 8; i++) {
        box->cpu->x[5] = 0;
        box->cpu->x[2] = i % 2 == 0 ? WINDOW + 0x1000 : other;
        flush(1);
        assert_int_equal(once(GROUP_BETWEEN), EC_SVC);
        assert_int_equal(box->cpu->x[3], 0xaaaa);
        assert_int_equal(box->cpu->x[5], 0xeeee);
    }
    box->cpu->x[5] = 0;
    box->cpu->x[2] = WINDOW + SAME_ENTRY;
    assert_abort(GROUP_BETWEEN, WINDOW + SAME_ENTRY + OFFSET);
    assert_int_equal(box->cpu->x[5], 0);
}

static void test_groups_many(void **state)
{
    static const unsigned base[] = { 1, 2, 8, 9, 10 };
    static const unsigned to[3][5] = { { 3, 4, 5, 6, 7 }, { 11, 12, 13, 14, 15 }, { 16, 17, 19, 20, 21 } };

    for (unsigned i = 0; i < PAGES * 0x1000; i += 8) {
        le64_put(host(PAGE_A) + i, 1000 + i);
    }
    for (unsigned missing = 0; missing < 6; missing++) { /* the base whose page is not there; 5: none */
        for (unsigned i = 0; i < 5; i++) {
            box->cpu->x[base[i]] = WINDOW + i * 0x1100;
        }
        assert_int_equal(run(GROUPS_MANY, WINDOW, often), EC_SVC);
        if (missing < 5) {
            map(missing, 0);
        }
        assert_int_equal(run(GROUPS_MANY, WINDOW, 1), missing < 5 ? EC_ABORT : EC_SVC);
        for (unsigned i = 0; i < 5; i++) {
            for (unsigned k = 0; k < 3; k++) {
                assert_int_equal(box->cpu->x[to[k][i]], 1000 + i * 0x1100 + group_offset[k]);
            }
        }
        map(missing, (PAGE_A + missing * 0x1000) | PAGE);
    }
}

/* No address hits an empty slot: those of a region's first run. */
static void test_first_access(void **state)
{
    static const uint64_t nowhere[] = { 0, 0x1000 - OFFSET, UINT64_MAX - OFFSET - 7, 0x1000, 0x0010000000000000,
                                        0x7ffffffffff000 };

    for (size_t i = 0; i < G_N_ELEMENTS(nowhere); i++) {
        heat(LOAD);
        heat(STORE);
        flush(0);
        assert_int_equal(run(LOAD, nowhere[i], 1), EC_ABORT);
        flush(0);
        assert_int_equal(run(STORE, nowhere[i], 1), EC_ABORT);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define COLD(name) { #name " in cold code", name, setup_cold, teardown, NULL }

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_unmapped),        CASE(test_unmapped_with_all), CASE(test_unmapped_with_many),
        CASE(test_moved),           CASE(test_write_protected),   CASE(test_owned_by_another),
        CASE(test_code_appears),    CASE(test_alternating),       CASE(test_page_crossing),
        CASE(test_first_access),    CASE(test_span),              CASE(test_span_write_protected),
        CASE(test_span_owned_by_another), CASE(test_code_appears_in_span),
        CASE(test_shared_with_loads), CASE(test_shared_with_shorter), CASE(test_base_in_another_page),
        CASE(test_group_at_end),    CASE(test_group_code_appears), CASE(test_group_watched),
        CASE(test_group_between),   CASE(test_groups_many),   CASE(test_group_walks),
        COLD(test_group_at_end),    COLD(test_group_code_appears), COLD(test_group_watched),
        COLD(test_group_between),   COLD(test_groups_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
