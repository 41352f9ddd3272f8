/*
 * The physical address map and the page owner table.
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
#include "memory.h"

enum { PAGE = 4096 };

static const MemAttrs ns = { .pas = PAS_NONSECURE };
static const MemAttrs realm = { .pas = PAS_REALM };

typedef struct Fixture {
    Owners    *o;
    Memory    *m;
    MemRegion *ram;
    /* what the device saw, in order */
    struct {
        uint64_t off, value;
        unsigned size;
        bool     write;
    } seen[16];
    unsigned n_seen;
    /* what caches were told */
    uint64_t flush_pa, flush_len;
    unsigned n_flushes;
    uint64_t code_pa;
    unsigned n_code;
} Fixture;

static MemResult dev_read(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t *value)
{
    Fixture *f = opaque;

    f->seen[f->n_seen].off = off;
    f->seen[f->n_seen++].size = size;
    *value = 0x1111111111111111ull * (off & 15);
    return off >= 0x800 ? MEM_SLAVE : MEM_OK;
}

static MemResult dev_write(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t value)
{
    Fixture *f = opaque;

    f->seen[f->n_seen].off = off;
    f->seen[f->n_seen].write = true;
    f->seen[f->n_seen].value = value;
    f->seen[f->n_seen++].size = size;
    return MEM_OK;
}

static const MmioOps dev_ops = { dev_read, dev_write };

static void flushed(void *opaque, uint64_t pa, uint64_t len)
{
    Fixture *f = opaque;

    f->flush_pa = pa;
    f->flush_len = len;
    f->n_flushes++;
}

static void code_written(void *opaque, uint64_t pa, uint64_t len)
{
    Fixture *f = opaque;

    f->code_pa = pa;
    f->n_code++;
    memory_mark_code(f->m, pa, false);
}

static int setup(void **state)
{
    Fixture *f = g_new0(Fixture, 1);

    f->o = owners_new();
    f->m = memory_new(f->o);
    f->ram = memory_add_ram(f->m, "ram", 0x80000000, 16 * PAGE, NULL);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    Fixture *f = *state;

    memory_free(f->m);
    owners_free(f->o);
    g_free(f);
    return 0;
}

static void test_ram(void **state)
{
    Fixture *f = *state;
    uint8_t  in[100], out[100];

    for (unsigned i = 0; i < sizeof(in); i++) {
        in[i] = (uint8_t)(i + 1);
    }
    assert_int_equal(memory_write(f->m, 0x80000fd0, ns, in, sizeof(in)), MEM_OK);
    assert_int_equal(memory_read(f->m, 0x80000fd0, ns, out, sizeof(out)), MEM_OK);
    assert_memory_equal(in, out, sizeof(in));
    assert_int_equal(memory_zero(f->m, 0x80000fd1, ns, 98), MEM_OK);
    memory_read(f->m, 0x80000fd0, ns, out, sizeof(out));
    assert_int_equal(out[0], 1);
    assert_int_equal(out[1], 0);
    assert_int_equal(out[98], 0);
    assert_int_equal(out[99], 100);
    assert_int_equal(memory_ram_size(f->m), 16 * PAGE);
}

/* Two regions of RAM do not share bytes. */
static void test_two_rams(void **state)
{
    Fixture   *f = *state;
    MemRegion *second = memory_add_ram(f->m, "second", 0x200000000, PAGE, NULL);

    memory_write(f->m, 0x200000000, ns, "abc", 3);
    assert_int_equal(f->ram->host[0], 0);
    assert_memory_equal(second->host, "abc", 3);
}

static void test_owner_of_whole_span(void **state)
{
    Fixture *f = *state;
    uint8_t  bytes[2 * PAGE];

    memset(bytes, 0xff, sizeof(bytes));
    owners_set(f->o, 0x80002000, PAGE, OWNER_REALM);
    assert_int_equal(memory_write(f->m, 0x80001000, ns, bytes, PAGE + 1), MEM_GPF);
    assert_int_equal(f->ram->host[PAGE], 0); /* nothing was written */
    assert_int_equal(memory_read(f->m, 0x80001fff, ns, bytes, 2), MEM_GPF);
    assert_int_equal(memory_read(f->m, 0x80001fff, ns, bytes, 1), MEM_OK);
    assert_int_equal(memory_write(f->m, 0x80002000, realm, bytes, PAGE), MEM_OK);
    assert_int_equal(memory_write(f->m, 0x80002000, realm, bytes, PAGE + 1), MEM_GPF);
}

static void test_nothing_there(void **state)
{
    Fixture *f = *state;
    uint8_t  bytes[64] = { 0 };

    assert_int_equal(memory_read(f->m, 0x1000, ns, bytes, 1), MEM_DECODE);
    assert_int_equal(memory_write(f->m, 0x80000000 + 16 * PAGE - 8, ns, bytes, 16), MEM_DECODE);
    assert_int_equal(memory_read(f->m, UINT64_MAX - 3, ns, bytes, 16), MEM_DECODE);
    assert_int_equal(memory_read(f->m, 1ull << 50, ns, bytes, 1), MEM_GPF); /* beyond every owner's reach */
    assert_int_equal(memory_read(f->m, 0x1000, ns, bytes, 0), MEM_OK);
}

/* A device that masters the bus: a write has it write the value to the address that it has read before. */
typedef struct Master {
    Fixture *f;
    unsigned n;
    MemResult res;
} Master;

static MemResult master_write(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t value)
{
    Master  *d = opaque;
    MemAttrs own = { .pas = PAS_NONSECURE, .is_device = true };
    uint8_t  b[8];

    if (d->n++ < 10) {
        le64_put(b, value);
        d->res = memory_write(d->f->m, value, own, b, sizeof(b));
    }
    return d->res;
}

/* One that writes to its own register, by request of a CPU or of another bus master. */
static void test_device_of_device(void **state)
{
    static const MmioOps ops = { NULL, master_write };
    static const struct { const char *name; bool by_device; uint64_t to; unsigned n; MemResult res; } rows[] = {
        { "a CPU's, to memory", false, 0x80000000, 1, MEM_OK },
        { "a CPU's, to itself", false, 0x9001000, 2, MEM_SLAVE },
        { "a device's, to memory", true, 0x80000000, 1, MEM_OK },
        { "a device's, to itself", true, 0x9001000, 1, MEM_SLAVE },
    };
    Fixture *f = *state;
    Master   d = { .f = f };
    uint8_t  b[8];

    memory_add_mmio(f->m, "master", 0x9001000, PAGE, &ops, &d);
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        MemAttrs attrs = { .pas = PAS_NONSECURE, .is_device = rows[i].by_device };

        print_message("%s\n", rows[i].name);
        d.n = 0;
        le64_put(b, rows[i].to);
        assert_int_equal(memory_write(f->m, 0x9001000, attrs, b, sizeof(b)), rows[i].res);
        assert_int_equal(d.n, rows[i].n);
    }
}

static void test_device_pieces(void **state)
{
    Fixture *f = *state;
    uint8_t  bytes[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };

    memory_add_mmio(f->m, "dev", 0x9000000, PAGE, &dev_ops, f);
    assert_int_equal(memory_write(f->m, 0x9000003, ns, bytes, 14), MEM_OK);
    static const struct {
        uint64_t off, value;
        unsigned size;
    } expect[] = { { 3, 0x01, 1 }, { 4, 0x05040302, 4 }, { 8, 0x0d0c0b0a09080706, 8 }, { 16, 0x0e, 1 } };
    assert_int_equal(f->n_seen, ARRAY_LEN(expect));
    for (unsigned i = 0; i < ARRAY_LEN(expect); i++) {
        assert_int_equal(f->seen[i].off, expect[i].off);
        assert_int_equal(f->seen[i].size, expect[i].size);
        assert_int_equal(f->seen[i].value, expect[i].value);
    }
    assert_int_equal(memory_read(f->m, 0x9000004, ns, bytes, 4), MEM_OK);
    assert_int_equal(bytes[0], 0x44);
    assert_int_equal(memory_read(f->m, 0x9000800, ns, bytes, 4), MEM_SLAVE);
}

static void test_rom(void **state)
{
    Fixture   *f = *state;
    MemRegion *rom = memory_add_rom(f->m, "rom", 0, PAGE, NULL);
    uint8_t    b = 0;
    bool       writable = true;

    rom->host[5] = 0x42;
    assert_int_equal(memory_read(f->m, 5, ns, &b, 1), MEM_OK);
    assert_int_equal(b, 0x42);
    assert_int_equal(memory_write(f->m, 5, ns, &b, 1), MEM_SLAVE);
    rom->ops = &dev_ops; /* flash */
    rom->opaque = f;
    assert_int_equal(memory_write(f->m, 5, ns, &b, 1), MEM_OK);
    assert_true(f->seen[0].write);
    assert_ptr_equal(memory_host_page(f->m, 5, &writable), rom->host);
    assert_false(writable);
}

static void test_newest_wins(void **state)
{
    Fixture   *f = *state;
    MemRegion *over = memory_add_mmio(f->m, "over", 0x80001000, 2 * PAGE, &dev_ops, f);
    bool       writable;

    assert_ptr_equal(memory_find(f->m, 0x80000fff), f->ram);
    assert_ptr_equal(memory_find(f->m, 0x80001000), over);
    assert_ptr_equal(memory_find(f->m, 0x80002fff), over);
    assert_ptr_equal(memory_find(f->m, 0x80003000), f->ram);
    assert_null(memory_host_page(f->m, 0x80001000, &writable));
    memory_move(f->m, over, 0x80001000, false);
    assert_ptr_equal(memory_find(f->m, 0x80001000), f->ram);
    memory_move(f->m, over, 0x80000800, true);
    assert_null(memory_host_page(f->m, 0x80000000, &writable)); /* shares its page */
    memory_remove(f->m, over);
    assert_ptr_equal(memory_host_page(f->m, 0x80000800, &writable), f->ram->host);
    assert_true(writable);
    assert_null(memory_find(f->m, 0x80000000 + 16 * PAGE));
}

static void test_moves_flush(void **state)
{
    Fixture   *f = *state;
    MemRegion *bar = memory_add_mmio(f->m, "bar", 0x10000000, PAGE, &dev_ops, f);

    memory_add_cache(f->m, flushed, f);
    memory_move(f->m, bar, 0x10001000, true);
    assert_int_equal(f->n_flushes, 2); /* the old place, and what the new one hides */
    assert_int_equal(f->flush_pa, 0x10001000);
    memory_move(f->m, bar, 0x10001000, false);
    assert_int_equal(f->n_flushes, 3);
    memory_remove_cache(f->m, flushed, f);
    memory_move(f->m, bar, 0x10001000, true);
    assert_int_equal(f->n_flushes, 3);
}

static void test_code_pages(void **state)
{
    Fixture *f = *state;

    memory_set_code_hook(f->m, code_written, f);
    memory_mark_code(f->m, 0x80003000, true);
    memory_mark_code(f->m, 0x80005000, true);
    assert_true(memory_has_code(f->m, 0x80003fff));
    assert_false(memory_has_code(f->m, 0x80004000));
    memory_write(f->m, 0x80002000, ns, "x", 1);
    assert_int_equal(f->n_code, 0);
    memory_zero(f->m, 0x80002800, ns, 2 * PAGE);
    assert_int_equal(f->n_code, 1);
    assert_int_equal(f->code_pa, 0x80003000);
    assert_false(memory_has_code(f->m, 0x80003000));
    memory_dirty(f->m, 0x80005800, 1);
    assert_int_equal(f->n_code, 2);
}

/* ---- owners ---- */

static const struct {
    Owner owner;
    bool  allow[PAS_N]; /* secure, nonsecure, root, realm */
} owner_rows[] = {
    { OWNER_NONE, { false, false, false, false } },   { OWNER_SECURE, { true, false, false, false } },
    { OWNER_NONSECURE, { false, true, false, false } }, { OWNER_ROOT, { false, false, true, false } },
    { OWNER_REALM, { false, false, false, true } },   { OWNER_ANY, { true, true, true, true } },
};

static void test_owner_values(void **state)
{
    Fixture *f = *state;

    for (unsigned i = 0; i < ARRAY_LEN(owner_rows); i++) {
        owners_set(f->o, 0x5000, PAGE, owner_rows[i].owner);
        assert_int_equal(owners_get(f->o, 0x5fff), owner_rows[i].owner);
        for (Pas p = 0; p < PAS_N; p++) {
            assert_int_equal(owners_allow(f->o, 0x5123, p), owner_rows[i].allow[p]);
        }
        assert_int_equal(owners_get(f->o, 0x4fff), OWNER_NONSECURE);
        assert_int_equal(owners_get(f->o, 0x6000), OWNER_NONSECURE);
    }
}

static void test_owner_spans(void **state)
{
    Fixture       *f = *state;
    const uint64_t whole = 1ull << 48, start = (1ull << 36) * 3 + 0x1ff000, len = (1ull << 37) + 0x3000000;

    owners_set(f->o, 0, whole, OWNER_SECURE); /* costs neither time nor memory */
    assert_int_equal(owners_get(f->o, whole - 1), OWNER_SECURE);
    owners_set(f->o, start, len, OWNER_REALM);
    assert_int_equal(owners_get(f->o, start - 1), OWNER_SECURE);
    assert_int_equal(owners_get(f->o, start), OWNER_REALM);
    assert_int_equal(owners_get(f->o, start + len / 2), OWNER_REALM);
    assert_int_equal(owners_get(f->o, start + len - 1), OWNER_REALM);
    assert_int_equal(owners_get(f->o, start + len), OWNER_SECURE);
    assert_false(owners_allow(f->o, whole, PAS_SECURE));
}

typedef struct Pages {
    unsigned n;
    uint64_t pa[4], hash[4];
} Pages;

static void see_page(void *opaque, uint64_t pa, uint64_t hash)
{
    Pages *p = opaque;

    assert_true(p->n < ARRAY_LEN(p->pa));
    p->pa[p->n] = pa;
    p->hash[p->n++] = hash;
}

/* Pages that were written and are zero again count as those that never were. */
static void test_hash(void **state)
{
    Fixture   *f = *state;
    MemRegion *other = memory_add_ram(f->m, "other", 1ull << 40, 8 * PAGE, NULL);
    uint64_t   before = memory_hash(f->m);
    Pages      p = { 0 };

    assert_int_equal(memory_write(f->m, f->ram->base + 3 * PAGE + 8, ns, "a", 1), MEM_OK);
    assert_int_equal(memory_write(f->m, other->base + 7 * PAGE + 8, ns, "a", 1), MEM_OK);
    assert_int_equal(memory_write(f->m, other->base + PAGE - 1, ns, "a", 1), MEM_OK);
    assert_int_equal(memory_write(f->m, other->base + 5 * PAGE, ns, "", 1), MEM_OK);
    memory_foreach_page(f->m, see_page, &p);
    assert_int_equal(p.n, 3);
    assert_int_equal(p.pa[0], f->ram->base + 3 * PAGE);
    assert_int_equal(p.pa[1], other->base);
    assert_int_equal(p.pa[2], other->base + 7 * PAGE);
    assert_true(p.hash[0] == p.hash[2] && p.hash[0] != p.hash[1]);
    uint64_t with = memory_hash(f->m);
    assert_true(with != before);
    assert_int_equal(memory_write(f->m, other->base + 7 * PAGE + 8, ns, "", 1), MEM_OK);
    assert_int_equal(memory_write(f->m, other->base + 6 * PAGE + 8, ns, "a", 1), MEM_OK);
    assert_true(memory_hash(f->m) != with); /* the same bytes elsewhere */
    assert_int_equal(memory_zero(f->m, other->base, ns, 8 * PAGE), MEM_OK);
    assert_int_equal(memory_zero(f->m, f->ram->base + 3 * PAGE, ns, PAGE), MEM_OK);
    assert_true(memory_hash(f->m) == before);
}

static void test_owner_flush(void **state)
{
    Fixture *f = *state;

    owners_add_cache(f->o, flushed, f);
    owners_set(f->o, 0x100000, 16 * PAGE, OWNER_REALM);
    assert_int_equal(f->n_flushes, 0); /* nobody had filled */
    assert_false(owners_fill(f->o, 0x103000, PAS_NONSECURE));
    assert_true(owners_fill(f->o, 0x103000, PAS_REALM));
    assert_true(owners_fill(f->o, 0x104000, PAS_REALM));
    owners_set(f->o, 0x100000, 16 * PAGE, OWNER_REALM);
    assert_int_equal(f->n_flushes, 0); /* no change */
    owners_set(f->o, 0x100000, 16 * PAGE, OWNER_NONSECURE);
    assert_int_equal(f->n_flushes, 1); /* one run of two pages */
    assert_int_equal(f->flush_pa, 0x103000);
    assert_int_equal(f->flush_len, 2 * PAGE);
    owners_set(f->o, 0x103000, PAGE, OWNER_REALM);
    assert_int_equal(f->n_flushes, 1); /* dropped, and not filled since */
}

/* Access was taken away: one flush from the first to the last page that a cache may hold, and none the next time. */
static void test_owner_drop(void **state)
{
    Fixture *f = *state;

    owners_add_cache(f->o, flushed, f);
    owners_drop(f->o, 0x100000, 16 * PAGE);
    assert_int_equal(f->n_flushes, 0);
    for (unsigned i = 0; i < 2; i++) {
        assert_true(owners_fill(f->o, 0x103000, PAS_NONSECURE));
        assert_true(owners_fill(f->o, 0x103000, PAS_NONSECURE)); /* again is not once more */
        assert_true(owners_fill(f->o, 0x107000, PAS_NONSECURE));
        assert_true(owners_fill(f->o, 0x110000, PAS_NONSECURE));
    }
    owners_drop(f->o, 0x100000, 16 * PAGE);
    assert_int_equal(f->n_flushes, 1);
    assert_int_equal(f->flush_pa, 0x103000);
    assert_int_equal(f->flush_len, 5 * PAGE);
    owners_drop(f->o, 0x100000, 16 * PAGE);
    assert_int_equal(f->n_flushes, 1);
    owners_set(f->o, 0x110000, PAGE, OWNER_REALM); /* beyond what was dropped */
    assert_int_equal(f->n_flushes, 2);
    assert_true(owners_fill(f->o, 0x103000, PAS_NONSECURE));
    owners_drop(f->o, 0, 1ull << 30); /* through spans that have nothing of their own */
    assert_int_equal(f->n_flushes, 3);
    assert_int_equal(f->flush_pa, 0x103000);
    assert_int_equal(f->flush_len, PAGE);
}

/* RAM goes from one map to the next with what is in it. */
static void test_take_and_give(void **state)
{
    Owners    *o = owners_new();
    Memory    *first = memory_new(o), *second = memory_new(o);
    MemRegion *r = memory_add_ram(first, "ram", 0x1000, 2 * PAGE, NULL);
    uint32_t   word = 0x12345678;

    assert_int_equal(memory_write(first, 0x1ffe, ns, &word, 4), MEM_OK);
    uint8_t *bytes = memory_take_ram(first, r);
    memory_free(first);
    r = memory_give_ram(second, "ram", 0x80000000, 2 * PAGE, bytes);
    assert_int_equal(memory_ram_size(second), 2 * PAGE);
    word = 0;
    assert_int_equal(memory_read(second, 0x80000ffe, ns, &word, 4), MEM_OK);
    assert_int_equal(word, 0x12345678);
    memory_free(second);
    owners_free(o);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_take_and_give),
        TEST(test_ram),          TEST(test_two_rams),     TEST(test_owner_of_whole_span), TEST(test_nothing_there),
        TEST(test_device_pieces), TEST(test_device_of_device),
        TEST(test_rom),         TEST(test_newest_wins),         TEST(test_moves_flush),
        TEST(test_code_pages),   TEST(test_owner_values), TEST(test_owner_spans),         TEST(test_owner_flush),
        TEST(test_owner_drop),
        TEST(test_hash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
