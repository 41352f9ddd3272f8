/*
 * A host that keeps no books: all it knows of its Realm's tables is what the answers say (DEN0137: the level in
 * the index of ERROR_RTT, the non-live top, the granules that come back), as a KVM host does. It maps, splits,
 * folds and removes at random in Realms of every shape, then takes everything apart, and must have each granule
 * back, wiped.
 */
#include "tests/unit/rmm_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define RD     PAGE(0)
#define ROOT   PAGE(16)                /* up to 16 tables, aligned */
#define POOL   PAGE(64)
#define BLOCK  (RIG_RAM + 0x400000)    /* 2 MiB that one block may use */
#define FILLER 0xa5

enum { N_POOL = 448, BLOCK_PAGES = 512, N_STEPS = 120, N_SEEDS = 6, PATIENCE = 200000 };

static const struct Shape {
    unsigned ipa_bits;
    int      level;  /* of the root */
    unsigned n_root;
} shapes[] = {
    { 32, 2, 4 }, { 33, 2, 8 },  { 34, 2, 16 }, { 33, 1, 1 },  { 39, 1, 1 },
    { 40, 1, 2 }, { 43, 1, 16 }, { 40, 0, 1 },  { 44, 0, 1 },  { 48, 0, 1 },
};

static Rig               *rig;
static const struct Shape *shape;
static uint64_t           pool[N_POOL];
static unsigned           n_pool, n_calls;
static uint32_t           rng;
static bool               block_used;

static unsigned roll(unsigned n)
{
    rng = rng * 1664525u + 1013904223u;
    return (rng >> 8) % n;
}

/* A loop that trusts the answers ends only if they are right. */
#define ASK(...) (assert_true(++n_calls < PATIENCE), rmi(rig, __VA_ARGS__))
#define OUT(n)   (rig->cpu[0]->x[n])

static bool in_rtt(uint64_t x0) { return RMI_RETURN_STATUS(x0) == RMI_ERROR_RTT; }

/* ---- granules ---- */

static uint64_t take(void)
{
    assert_true(n_pool > 0);
    uint64_t pa = pool[--n_pool];

    memset(rig_bytes(rig, pa), FILLER, 4096);
    rmi_ok(rig, RMI_FID_GRANULE_DELEGATE, pa);
    return pa;
}

/* What comes back is empty and, if it is not the block's, used again. */
static void give(uint64_t pa)
{
    static const uint8_t zero[4096];

    rmi_ok(rig, RMI_FID_GRANULE_UNDELEGATE, pa);
    assert_memory_equal(rig_bytes(rig, pa), zero, sizeof(zero));
    if (pa >= POOL && pa < POOL + N_POOL * 4096) {
        pool[n_pool++] = pa;
    }
}

/* ---- building ---- */

/* The table that an answer says is missing. */
static void add_table(uint64_t ipa, unsigned level)
{
    uint64_t rtt = take();

    assert_int_equal(ASK(RMI_FID_RTT_CREATE, RD, rtt, align_down(ipa, rtt_size((int)level - 1)), level), RMI_SUCCESS);
}

static void map_private_at(uint64_t ipa, uint64_t pa)
{
    uint64_t x0;

    while (in_rtt(x0 = ASK(RMI_FID_DATA_CREATE_UNKNOWN, RD, pa, ipa)) && RMI_RETURN_INDEX(x0) < 3) {
        add_table(ipa, RMI_RETURN_INDEX(x0) + 1);
    }
    if (x0 != RMI_SUCCESS) { /* it is mapped */
        assert_int_equal(x0, RMI_RETURN(RMI_ERROR_RTT, 3));
        assert_int_equal(ASK(RMI_FID_RTT_READ_ENTRY, RD, ipa, 3), RMI_SUCCESS);
        assert_int_equal(OUT(2), RMI_ASSIGNED);
        give(pa);
    }
}

static void map_shared(uint64_t ipa, unsigned level)
{
    uint64_t desc = BLOCK | (uint64_t)RTT_MEMATTR_NORMAL_WB << RTT_MEMATTR_LSB | 3ull << RTT_S2AP_LSB;
    uint64_t x0;

    ipa = align_down(ipa, rtt_size((int)level));
    while (in_rtt(x0 = ASK(RMI_FID_RTT_MAP_UNPROTECTED, RD, ipa, level, desc)) && RMI_RETURN_INDEX(x0) < level) {
        add_table(ipa, RMI_RETURN_INDEX(x0) + 1);
        assert_int_equal(ASK(RMI_FID_RTT_READ_ENTRY, RD, ipa, level), RMI_SUCCESS);
        if (OUT(2) == RMI_ASSIGNED) { /* that was a block, which has been split */
            return;
        }
    }
}

static void init_ripas(uint64_t base, uint64_t top)
{
    while (base < top) {
        uint64_t x0 = ASK(RMI_FID_RTT_INIT_RIPAS, RD, base, top);
        if (x0 == RMI_SUCCESS) {
            assert_true(OUT(1) > base);
            base = OUT(1);
        } else if (in_rtt(x0) && RMI_RETURN_INDEX(x0) < 3) {
            assert_int_equal(ASK(RMI_FID_RTT_READ_ENTRY, RD, align_down(base, rtt_size((int)RMI_RETURN_INDEX(x0))),
                                 RMI_RETURN_INDEX(x0)), RMI_SUCCESS);
            if (OUT(2) == RMI_ASSIGNED) {
                return;
            }
            add_table(base, RMI_RETURN_INDEX(x0) + 1);
        } else { /* a page is mapped there: too late */
            assert_int_equal(x0, RMI_RETURN(RMI_ERROR_RTT, 3));
            base += 4096;
        }
    }
}

/* ---- taking apart ---- */

static void unmap_private(uint64_t ipa, uint64_t end)
{
    while (ipa < end) {
        uint64_t x0 = ASK(RMI_FID_DATA_DESTROY, RD, ipa);
        uint64_t data = OUT(1), top = OUT(2);
        if (x0 == RMI_SUCCESS) {
            assert_true(top > ipa);
            give(data);
            ipa = top;
        } else {
            assert_true(in_rtt(x0));
            assert_true(top >= ipa);
            if (top == ipa) { /* live, and no page: a block */
                assert_int_equal(RMI_RETURN_INDEX(x0), 2);
                add_table(ipa, 3);
            }
            ipa = top;
        }
    }
}

static void unmap_shared(uint64_t ipa, uint64_t end, unsigned level)
{
    while (ipa < end) {
        uint64_t size = rtt_size((int)level);
        if (level == 0 || !is_aligned(ipa, size) || ipa + size > end) {
            uint64_t next = MIN(end, align_down(ipa, size) + size);
            unmap_shared(ipa, next, level + 1);
            ipa = next;
            continue;
        }
        uint64_t x0 = ASK(RMI_FID_RTT_UNMAP_UNPROTECTED, RD, ipa, level);
        uint64_t top = OUT(1);
        if (x0 == RMI_SUCCESS || (in_rtt(x0) && top > ipa)) {
            assert_true(top > ipa);
            ipa = top;
            continue;
        }
        assert_true(in_rtt(x0));
        if (RMI_RETURN_INDEX(x0) < level) { /* part of a block */
            add_table(ipa, RMI_RETURN_INDEX(x0) + 1);
            continue;
        }
        unmap_shared(ipa, ipa + size, level + 1); /* a table: what is below it? */
        ipa += size;
    }
}

static void fold(uint64_t ipa, unsigned level)
{
    if ((int)level > shape->level &&
        ASK(RMI_FID_RTT_FOLD, RD, align_down(ipa, rtt_size((int)level - 1)), level) == RMI_SUCCESS) {
        give(OUT(1));
    }
}

/* All tables of @level and below in a range that holds nothing any more. */
static void remove_tables(uint64_t ipa, uint64_t end, unsigned level)
{
    while (ipa < end) {
        uint64_t x0 = ASK(RMI_FID_RTT_DESTROY, RD, ipa, level);
        uint64_t rtt = OUT(1), top = OUT(2);
        if (x0 == RMI_SUCCESS) {
            give(rtt);
        } else {
            assert_true(in_rtt(x0));
            if (top == ipa) {
                assert_int_equal(RMI_RETURN_INDEX(x0), level);
                remove_tables(ipa, ipa + rtt_size((int)level - 1), level + 1);
                continue; /* once more */
            }
        }
        assert_true(top > ipa);
        ipa = top;
    }
}

/* ---- the run ---- */

static uint64_t half(void) { return 1ull << (shape->ipa_bits - 1); }

/* Some pages lie together, some at the ends of the half. */
static uint64_t some_page(void)
{
    static const uint64_t at[] = { 0, 0x1ff000, 0x200000, 0x3ff000, 0x40000000 - 0x1000, 0x40000000 };
    uint64_t              page = roll(4) == 0 ? half() - 0x1000 - roll(8) * 0x1000ull : at[roll(ARRAY_LEN(at))];

    return MIN(page + roll(4) * 0x1000ull, half() - 0x1000);
}

/* 2 MiB of consecutive pages at 4 MiB become one entry. */
static void make_block(void)
{
    if (block_used) {
        return;
    }
    block_used = true;
    for (unsigned i = 0; i < BLOCK_PAGES; i++) {
        rmi_ok(rig, RMI_FID_GRANULE_DELEGATE, BLOCK + i * 4096ull);
        map_private_at(0x400000 + i * 4096ull, BLOCK + i * 4096ull);
    }
    fold(0x400000, 3);
}

static void step(void)
{
    uint64_t ipa = some_page();
    unsigned level = 1 + roll(3);

    switch (roll(9)) {
    case 0:
    case 1:
        map_private_at(ipa, take());
        break;
    case 2:
        map_shared(half() | ipa, 3);
        break;
    case 3:
        map_shared(half() | ipa, 2);
        break;
    case 4:
        init_ripas(ipa, MIN(ipa + 0x1000 * (1 + roll(4)), half()));
        break;
    case 5:
        unmap_private(ipa, MIN(ipa + 0x1000 * (1 + roll(600)), half()));
        break;
    case 6:
        unmap_shared(half() | ipa, half() + MIN(ipa + 0x1000 * (1 + roll(600)), half()), (unsigned)shape->level);
        break;
    case 7:
        fold(roll(2) != 0 ? ipa : half() | ipa, level);
        break;
    default:
        if (roll(8) == 0) {
            make_block();
        }
        break;
    }
}

static void no_granule(void *opaque, const char *state, uint64_t count)
{
    fail_msg("%u granules are still %s", (unsigned)count, state);
}

static void run(unsigned seed)
{
    rng = seed * 2654435761u + 1;
    n_pool = n_calls = 0;
    block_used = false;
    rig = rig_new();
    for (unsigned i = 0; i < N_POOL; i++) {
        pool[n_pool++] = POOL + i * 4096ull;
    }
    rig_delegate(rig, RD, 1);
    rig_delegate(rig, ROOT, shape->n_root);
    uint8_t *p = rig_bytes(rig, PAGE(W_PARAMS));
    world_params(rig, ROOT, 5, RMI_HASH_SHA_256);
    le32_put(p + RMI_REALM_S2SZ, shape->ipa_bits);
    le64_put(p + RMI_REALM_RTT_LEVEL_START, (uint64_t)shape->level);
    le32_put(p + RMI_REALM_RTT_NUM_START, shape->n_root);
    rmi_ok(rig, RMI_FID_REALM_CREATE, RD, PAGE(W_PARAMS));

    for (unsigned i = 0; i < N_STEPS; i++) {
        step();
    }
    unmap_private(0, half());
    unmap_shared(half(), 2 * half(), (unsigned)shape->level);
    remove_tables(0, 2 * half(), (unsigned)shape->level + 1);
    rmi_ok(rig, RMI_FID_REALM_DESTROY, RD);
    for (unsigned i = 0; i < shape->n_root; i++) {
        give(ROOT + i * 4096ull);
    }
    give(RD);
    assert_int_equal(n_pool, N_POOL);
    rmm_granule_counts(rig->rmm, no_granule, NULL);
    rig_free(rig);
}

static void test_everything_comes_back(void **state)
{
    static const RmmDialectId dialects[] = { RMM_1_0, RMM_1_1_ALP12, RMM_1_1_ALP17 };

    for (unsigned s = 0; s < ARRAY_LEN(shapes); s++) {
        for (unsigned seed = 0; seed < N_SEEDS; seed++) {
            shape = &shapes[s];
            rig_dialect = dialects[seed % ARRAY_LEN(dialects)];
            print_message("IPA of %u bits, root at level %d, seed %u\n", shape->ipa_bits, shape->level, seed);
            run(seed);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_everything_comes_back) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
