/*
 * State of the RMM's objects: transitions of RTT entries, unfolding and folding, non-live tops, wiping and
 * ownership of granules, Realm geometry; and measurements, computed a second time here from the
 * specification's description.
 */
#include "tests/unit/rmm_rig.h"

#include <openssl/sha.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define SPARE(n) PAGE(W_SPARE + (n))
#define HERE     0x20000ull             /* a page in the table at IPA 0 */
#define BIG      (RIG_RAM + 0x200000)   /* 2 MiB of RAM, aligned */

static Rig *rig;

static int setup(void **state)
{
    rig = rig_new();
    world_new(rig, NULL, 0);
    world_recs(rig);
    return 0;
}

static int teardown(void **state)
{
    rig_free(rig);
    return 0;
}

static RttValue entry(uint64_t ipa, int level)
{
    RttWalk w = rtt_walk(rig->rmm, realm_at(rig->rmm, PAGE(W_RD)), ipa, level);

    assert_int_equal(w.level, level);
    return rtt_get(&w);
}

/* ---- transitions of an entry ---- */

static void init_ripas(void) { rmi_ok(rig, RMI_FID_RTT_INIT_RIPAS, PAGE(W_RD), HERE, HERE + 4096); }
static void create_unknown(void) { rmi_ok(rig, RMI_FID_DATA_CREATE_UNKNOWN, PAGE(W_RD), SPARE(0), HERE); }
static void destroy(void) { rmi_ok(rig, RMI_FID_DATA_DESTROY, PAGE(W_RD), HERE); }

static void create(void)
{
    rmi_ok(rig, RMI_FID_DATA_CREATE, PAGE(W_RD), SPARE(0), HERE, PAGE(W_SRC), 0);
}

static uint64_t set_ripas(Ripas to, bool change_destroyed)
{
    Rec *rec = rec_at(rig->rmm, PAGE(W_REC0));

    rec->pending = REC_RIPAS;
    rec->ripas.base = HERE;
    rec->ripas.top = HERE + 4096;
    rec->ripas.ripas = (uint8_t)to;
    rec->ripas.change_destroyed = change_destroyed;
    return rmi(rig, RMI_FID_RTT_SET_RIPAS, PAGE(W_RD), PAGE(W_REC0), HERE, HERE + 4096);
}

/* Ways to each state, by commands only. */
static void to_unassigned_empty(void) {}
static void to_unassigned_ram(void) { init_ripas(); }
static void to_assigned_ram(void) { create(); }
static void to_assigned_empty(void) { create_unknown(); }

static void to_unassigned_destroyed(void)
{
    create();
    destroy();
}

static void to_assigned_destroyed(void)
{
    to_unassigned_destroyed();
    create_unknown();
}

typedef uint64_t Trigger(void);

static uint64_t ev_init(void) { return rmi(rig, RMI_FID_RTT_INIT_RIPAS, PAGE(W_RD), HERE, HERE + 4096); }
static uint64_t ev_ram(void) { return set_ripas(RIPAS_RAM, false); }
static uint64_t ev_ram_destroyed(void) { return set_ripas(RIPAS_RAM, true); }
static uint64_t ev_empty(void) { return set_ripas(RIPAS_EMPTY, false); }
static uint64_t ev_empty_destroyed(void) { return set_ripas(RIPAS_EMPTY, true); }
static uint64_t ev_destroy(void) { return rmi(rig, RMI_FID_DATA_DESTROY, PAGE(W_RD), HERE); }

static uint64_t ev_create(void)
{
    return rmi(rig, RMI_FID_DATA_CREATE, PAGE(W_RD), SPARE(1), HERE, PAGE(W_SRC), 0);
}

static uint64_t ev_unknown(void) { return rmi(rig, RMI_FID_DATA_CREATE_UNKNOWN, PAGE(W_RD), SPARE(1), HERE); }

#define STOP RMI_RETURN(RMI_ERROR_RTT, 3)

static const struct {
    const char *name;
    void      (*before)(void);
    Trigger *event;
    uint64_t    x0;
    RttEntry    kind;
    Ripas       ripas;
} transitions[] = {
    { "INIT_RIPAS, UNASSIGNED EMPTY", to_unassigned_empty, ev_init, 0, RTT_UNASSIGNED, RIPAS_RAM },
    { "INIT_RIPAS, UNASSIGNED RAM", to_unassigned_ram, ev_init, 0, RTT_UNASSIGNED, RIPAS_RAM },
    { "INIT_RIPAS, UNASSIGNED DESTROYED", to_unassigned_destroyed, ev_init, 0, RTT_UNASSIGNED, RIPAS_RAM },
    { "INIT_RIPAS, ASSIGNED EMPTY", to_assigned_empty, ev_init, STOP, RTT_ASSIGNED, RIPAS_EMPTY },
    { "DATA_CREATE, UNASSIGNED EMPTY", to_unassigned_empty, ev_create, 0, RTT_ASSIGNED, RIPAS_RAM },
    { "DATA_CREATE, UNASSIGNED RAM", to_unassigned_ram, ev_create, 0, RTT_ASSIGNED, RIPAS_RAM },
    { "DATA_CREATE, UNASSIGNED DESTROYED", to_unassigned_destroyed, ev_create, 0, RTT_ASSIGNED, RIPAS_RAM },
    { "DATA_CREATE, ASSIGNED RAM", to_assigned_ram, ev_create, STOP, RTT_ASSIGNED, RIPAS_RAM },
    { "CREATE_UNKNOWN, UNASSIGNED EMPTY", to_unassigned_empty, ev_unknown, 0, RTT_ASSIGNED, RIPAS_EMPTY },
    { "CREATE_UNKNOWN, UNASSIGNED RAM", to_unassigned_ram, ev_unknown, 0, RTT_ASSIGNED, RIPAS_RAM },
    { "CREATE_UNKNOWN, UNASSIGNED DESTROYED", to_unassigned_destroyed, ev_unknown, 0, RTT_ASSIGNED, RIPAS_DESTROYED },
    { "DATA_DESTROY, ASSIGNED RAM", to_assigned_ram, ev_destroy, 0, RTT_UNASSIGNED, RIPAS_DESTROYED },
    { "DATA_DESTROY, ASSIGNED EMPTY", to_assigned_empty, ev_destroy, 0, RTT_UNASSIGNED, RIPAS_EMPTY },
    { "DATA_DESTROY, ASSIGNED DESTROYED", to_assigned_destroyed, ev_destroy, 0, RTT_UNASSIGNED, RIPAS_DESTROYED },
    { "DATA_DESTROY, UNASSIGNED RAM", to_unassigned_ram, ev_destroy, STOP, RTT_UNASSIGNED, RIPAS_RAM },
    { "to RAM, UNASSIGNED EMPTY", to_unassigned_empty, ev_ram, 0, RTT_UNASSIGNED, RIPAS_RAM },
    { "to RAM, ASSIGNED EMPTY", to_assigned_empty, ev_ram, 0, RTT_ASSIGNED, RIPAS_RAM },
    { "to RAM, UNASSIGNED RAM", to_unassigned_ram, ev_ram, 0, RTT_UNASSIGNED, RIPAS_RAM },
    { "to RAM, ASSIGNED RAM", to_assigned_ram, ev_ram, 0, RTT_ASSIGNED, RIPAS_RAM },
    { "to RAM, UNASSIGNED DESTROYED", to_unassigned_destroyed, ev_ram, STOP, RTT_UNASSIGNED, RIPAS_DESTROYED },
    { "to RAM, ASSIGNED DESTROYED", to_assigned_destroyed, ev_ram, STOP, RTT_ASSIGNED, RIPAS_DESTROYED },
    { "to RAM with flag, UNASSIGNED DESTROYED", to_unassigned_destroyed, ev_ram_destroyed, 0, RTT_UNASSIGNED,
        RIPAS_RAM },
    { "to RAM with flag, ASSIGNED DESTROYED", to_assigned_destroyed, ev_ram_destroyed, 0, RTT_ASSIGNED, RIPAS_RAM },
    { "to EMPTY, UNASSIGNED RAM", to_unassigned_ram, ev_empty, 0, RTT_UNASSIGNED, RIPAS_EMPTY },
    { "to EMPTY, ASSIGNED RAM", to_assigned_ram, ev_empty, 0, RTT_ASSIGNED, RIPAS_EMPTY },
    { "to EMPTY, UNASSIGNED EMPTY", to_unassigned_empty, ev_empty, 0, RTT_UNASSIGNED, RIPAS_EMPTY },
    { "to EMPTY, UNASSIGNED DESTROYED", to_unassigned_destroyed, ev_empty, STOP, RTT_UNASSIGNED, RIPAS_DESTROYED },
    { "to EMPTY with flag, ASSIGNED DESTROYED", to_assigned_destroyed, ev_empty_destroyed, 0, RTT_ASSIGNED,
        RIPAS_EMPTY },
};

static void test_transitions(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(transitions); i++) {
        print_message("%s\n", transitions[i].name);
        teardown(state);
        setup(state);
        transitions[i].before();
        assert_int_equal(transitions[i].event(), transitions[i].x0);
        RttValue v = entry(HERE, 3);
        assert_int_equal(v.kind, transitions[i].kind);
        assert_int_equal(v.ripas, transitions[i].ripas);
    }
}

/* A device's page (of the device assignment commands): it never becomes RAM. */
static void test_device_ripas(void **state)
{
    RttWalk w = rtt_walk(rig->rmm, realm_at(rig->rmm, PAGE(W_RD)), HERE, 3);
    uint64_t nc = (uint64_t)RTT_MEMATTR_NORMAL_NC << RTT_MEMATTR_LSB | 3 << RTT_S2AP_LSB;
    RttValue v = { .kind = RTT_ASSIGNED_DEV, .ripas = RIPAS_DEV, .pa = 0x10000000, .attrs = nc };

    rtt_put(&w, v);
    assert_int_equal(*(w.table + w.index) & 1, 1);
    assert_int_equal(set_ripas(RIPAS_RAM, true), STOP);
    assert_int_equal(set_ripas(RIPAS_EMPTY, false), RMI_SUCCESS);
    assert_int_equal(*(w.table + w.index) & 1, 0);
    v = rtt_get(&w);
    assert_int_equal(v.kind, RTT_ASSIGNED_DEV);
    assert_int_equal(v.ripas, RIPAS_EMPTY);
    assert_int_equal(v.pa, 0x10000000);
    assert_int_equal(v.attrs, nc);
    assert_int_equal(set_ripas(RIPAS_RAM, true), STOP);
}

/* Hardware sees exactly what the Realm may use: the walker of the CPU agrees with each state. */
static void test_hardware_view(void **state)
{
    static const struct { void (*before)(void); bool mapped; } rows[] = {
        { to_unassigned_empty, false }, { to_unassigned_ram, false }, { to_unassigned_destroyed, false },
        { to_assigned_ram, true }, { to_assigned_empty, false }, { to_assigned_destroyed, false },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        teardown(state);
        setup(state);
        rows[i].before();
        const Realm *realm = realm_at(rig->rmm, PAGE(W_RD));
        A64Walk      w = { 0 };
        a64_stage2_walk(rig->memory, realm_vtcr(realm), realm_vttbr(realm), PAS_REALM, HERE + 0x123, true, false, true,
                        false, &w);
        assert_int_equal(w.fault, rows[i].mapped ? A64_FAULT_NONE : A64_FAULT_TRANSLATION);
        if (rows[i].mapped) {
            assert_int_equal(w.pa, SPARE(0) + 0x123);
            assert_int_equal(w.pas, PAS_REALM);
        } else {
            assert_int_equal(w.level, 3);
        }
    }
    rmi_ok(rig, RMI_FID_RTT_MAP_UNPROTECTED, PAGE(W_RD), WORLD_NS + 0x3000, 3, PAGE(W_FREE) | 6 << 2 | 1 << 6);
    const Realm *realm = realm_at(rig->rmm, PAGE(W_RD));
    A64Walk      w = { 0 };
    a64_stage2_walk(rig->memory, realm_vtcr(realm), realm_vttbr(realm), PAS_REALM, WORLD_NS + 0x3008, false, false,
                    true, false, &w);
    assert_int_equal(w.fault, A64_FAULT_NONE);
    assert_int_equal(w.pas, PAS_NONSECURE);
    assert_int_equal(w.pa, PAGE(W_FREE) + 8);
    assert_false(w.writable);
}

/* ---- folding ---- */

/* A table at 2 MiB with 512 pages of RAM that would make a block. */
static void full_table(void)
{
    rmi_ok(rig, RMI_FID_RTT_CREATE, PAGE(W_RD), SPARE(2), 0x200000, 3);
    rmi_ok(rig, RMI_FID_RTT_INIT_RIPAS, PAGE(W_RD), 0x200000, 0x400000);
    assert_int_equal(rig->cpu[0]->x[1], 0x400000);
    rig_delegate(rig, BIG, 512);
    for (uint64_t i = 0; i < 512; i++) {
        rmi_ok(rig, RMI_FID_DATA_CREATE_UNKNOWN, PAGE(W_RD), BIG + 4096 * i, 0x200000 + 4096 * i);
    }
}

static void test_fold_block(void **state)
{
    full_table();
    rmi_ok(rig, RMI_FID_RTT_FOLD, PAGE(W_RD), 0x200000, 3);
    assert_int_equal(rig->cpu[0]->x[1], SPARE(2));
    assert_int_equal(granule_state(rig->rmm, SPARE(2)), GRANULE_DELEGATED);
    RttValue v = entry(0x200000, 2);
    assert_int_equal(v.kind, RTT_ASSIGNED);
    assert_int_equal(v.ripas, RIPAS_RAM);
    assert_int_equal(v.pa, BIG);

    /* A page of a block cannot go; unfolded it can. */
    assert_int_equal(rmi(rig, RMI_FID_DATA_DESTROY, PAGE(W_RD), 0x201000), RMI_RETURN(RMI_ERROR_RTT, 2));
    rmi_ok(rig, RMI_FID_RTT_CREATE, PAGE(W_RD), SPARE(2), 0x200000, 3);
    for (uint64_t i = 0; i < 512; i++) {
        v = entry(0x200000 + 4096 * i, 3);
        assert_int_equal(v.kind, RTT_ASSIGNED);
        assert_int_equal(v.pa, BIG + 4096 * i);
    }
    rmi_ok(rig, RMI_FID_DATA_DESTROY, PAGE(W_RD), 0x201000);
    assert_int_equal(rig->cpu[0]->x[1], BIG + 4096);
    assert_int_equal(rmi(rig, RMI_FID_RTT_FOLD, PAGE(W_RD), 0x200000, 3), RMI_RETURN(RMI_ERROR_RTT, 3));
}

static void test_fold_not_consecutive(void **state)
{
    full_table();
    rmi_ok(rig, RMI_FID_DATA_DESTROY, PAGE(W_RD), 0x200000);
    rmi_ok(rig, RMI_FID_DATA_CREATE, PAGE(W_RD), SPARE(3), 0x200000, PAGE(W_SRC), 0);
    assert_int_equal(rmi(rig, RMI_FID_RTT_FOLD, PAGE(W_RD), 0x200000, 3), RMI_RETURN(RMI_ERROR_RTT, 3));
}

static void test_fold_unassigned(void **state)
{
    rmi_ok(rig, RMI_FID_RTT_CREATE, PAGE(W_RD), SPARE(2), 0x200000, 3);
    rmi_ok(rig, RMI_FID_RTT_INIT_RIPAS, PAGE(W_RD), 0x200000, 0x3ff000);
    assert_int_equal(rmi(rig, RMI_FID_RTT_FOLD, PAGE(W_RD), 0x200000, 3), RMI_RETURN(RMI_ERROR_RTT, 3));
    rmi_ok(rig, RMI_FID_RTT_INIT_RIPAS, PAGE(W_RD), 0x200000, 0x400000);
    rmi_ok(rig, RMI_FID_RTT_FOLD, PAGE(W_RD), 0x200000, 3);
    RttValue v = entry(0x200000, 2);
    assert_int_equal(v.kind, RTT_UNASSIGNED);
    assert_int_equal(v.ripas, RIPAS_RAM);
}

/* Host mappings unfold and fold with their attributes. */
static void test_fold_unprotected(void **state)
{
    uint64_t attrs = 5 << 2 | 1 << 6;

    rmi_ok(rig, RMI_FID_RTT_MAP_UNPROTECTED, PAGE(W_RD), WORLD_NS + 0x200000, 2, BIG | attrs);
    rmi_ok(rig, RMI_FID_RTT_CREATE, PAGE(W_RD), SPARE(2), WORLD_NS + 0x200000, 3);
    RttValue v = entry(WORLD_NS + 0x201000, 3);
    assert_int_equal(v.kind, RTT_ASSIGNED_NS);
    assert_int_equal(v.pa, BIG + 0x1000);
    assert_int_equal(v.attrs, attrs);
    rmi_ok(rig, RMI_FID_RTT_FOLD, PAGE(W_RD), WORLD_NS + 0x200000, 3);
    rmi_ok(rig, RMI_FID_RTT_READ_ENTRY, PAGE(W_RD), WORLD_NS + 0x200000, 2);
    assert_int_equal(rig->cpu[0]->x[3], BIG | attrs);

    /* A table with mappings of the host's may be destroyed. */
    rmi_ok(rig, RMI_FID_RTT_CREATE, PAGE(W_RD), SPARE(2), WORLD_NS + 0x200000, 3);
    rmi_ok(rig, RMI_FID_RTT_DESTROY, PAGE(W_RD), WORLD_NS + 0x200000, 3);
    assert_int_equal(entry(WORLD_NS + 0x200000, 2).kind, RTT_UNASSIGNED_NS);
}

static void test_table_destroyed(void **state)
{
    rmi_ok(rig, RMI_FID_RTT_CREATE, PAGE(W_RD), SPARE(2), 0x200000, 3);
    rmi_ok(rig, RMI_FID_RTT_DESTROY, PAGE(W_RD), 0x200000, 3);
    assert_int_equal(rig->cpu[0]->x[1], SPARE(2));
    assert_int_equal(rig->cpu[0]->x[2], 0x40000000); /* nothing more in the table above */
    RttValue v = entry(0x200000, 2);
    assert_int_equal(v.kind, RTT_UNASSIGNED);
    assert_int_equal(v.ripas, RIPAS_DESTROYED);
}

static void test_non_live_top(void **state)
{
    static const struct { uint64_t ipa, x0, top; } rows[] = {
        { 0x3000, 0, 0x4000 }, { 0x3000, STOP, 0x4000 }, { 0x4000, 0, 0x5000 }, { 0x3000, STOP, 0x5000 },
        { 0x7000, 0, 0x200000 }, { 0x9000, STOP, 0x200000 }, { 0x200000, RMI_RETURN(RMI_ERROR_RTT, 2), 0x40000000 },
        { 0x40000000, RMI_RETURN(RMI_ERROR_RTT, 1), 1ull << 39 }, { 0x3008, RMI_ERROR_INPUT, 0 },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(rmi(rig, RMI_FID_DATA_DESTROY, PAGE(W_RD), rows[i].ipa), rows[i].x0);
        assert_int_equal(rig->cpu[0]->x[2], rows[i].top);
    }
}

/* ---- granules ---- */

static MemResult host_reads(uint64_t pa, uint8_t *byte)
{
    return memory_read(rig->memory, pa, (MemAttrs){ .pas = PAS_NONSECURE }, byte, 1);
}

static void test_wiped_and_owned(void **state)
{
    uint8_t byte;

    rig_bytes(rig, PAGE(W_FREE))[5] = 0xaa;
    rig_delegate(rig, PAGE(W_FREE), 1);
    assert_int_equal(host_reads(PAGE(W_FREE) + 5, &byte), MEM_GPF);
    rmi_ok(rig, RMI_FID_DATA_CREATE_UNKNOWN, PAGE(W_RD), PAGE(W_FREE), HERE);
    assert_int_equal(rig_bytes(rig, PAGE(W_FREE))[5], 0); /* unknown content is zero here */
    rig_bytes(rig, PAGE(W_FREE))[6] = 0xbb;
    assert_int_equal(rmi(rig, RMI_FID_GRANULE_UNDELEGATE, PAGE(W_FREE)), RMI_ERROR_INPUT);
    rmi_ok(rig, RMI_FID_DATA_DESTROY, PAGE(W_RD), HERE);
    assert_int_equal(rig_bytes(rig, PAGE(W_FREE))[6], 0);
    rmi_ok(rig, RMI_FID_GRANULE_UNDELEGATE, PAGE(W_FREE));
    assert_int_equal(host_reads(PAGE(W_FREE) + 6, &byte), MEM_OK);

    /* Also when it was never used: the RMM does not tell one from the other. */
    rig_bytes(rig, PAGE(W_FREE))[7] = 0xcc;
    rig_delegate(rig, PAGE(W_FREE), 1);
    rmi_ok(rig, RMI_FID_GRANULE_UNDELEGATE, PAGE(W_FREE));
    assert_int_equal(rig_bytes(rig, PAGE(W_FREE))[7], 0);
}

/* Everything comes back when a Realm is taken apart. */
static void test_take_apart(void **state)
{
    for (unsigned i = 0; i < WORLD_DATA_PAGES; i++) {
        rmi_ok(rig, RMI_FID_DATA_DESTROY, PAGE(W_RD), i * 4096);
    }
    rmi_ok(rig, RMI_FID_REC_DESTROY, PAGE(W_REC0));
    rmi_ok(rig, RMI_FID_REC_DESTROY, PAGE(W_REC1));
    for (unsigned level = 3; level >= 1; level--) {
        rmi_ok(rig, RMI_FID_RTT_DESTROY, PAGE(W_RD), 0, level);
        rmi_ok(rig, RMI_FID_RTT_DESTROY, PAGE(W_RD), WORLD_NS, level);
    }
    rmi_ok(rig, RMI_FID_REALM_DESTROY, PAGE(W_RD));
    for (unsigned i = 0; i < W_RD2; i++) {
        rmi_ok(rig, RMI_FID_GRANULE_UNDELEGATE, PAGE(i));
        for (unsigned b = 0; b < 4096; b++) {
            assert_int_equal(rig_bytes(rig, PAGE(i))[b], 0);
        }
    }
    /* Its VMID is free again. */
    rig_delegate(rig, PAGE(W_RD), 2);
    world_params(rig, PAGE(W_ROOT), 1, RMI_HASH_SHA_256);
    rmi_ok(rig, RMI_FID_REALM_CREATE, PAGE(W_RD), PAGE(W_PARAMS));
}

/* ---- geometry ---- */

static void test_geometry(void **state)
{
    static const struct { unsigned bits; int level; unsigned n; bool ok; } rows[] = {
        { 48, 0, 1, true }, { 40, 0, 1, true },  { 40, 1, 2, true },  { 40, 1, 1, false }, { 39, 1, 1, true },
        { 43, 1, 16, true }, { 44, 1, 32, false }, { 32, 1, 1, true }, { 32, 2, 4, true },  { 34, 2, 16, true },
        { 35, 2, 32, false }, { 39, 0, 1, false }, { 33, 3, 16, false }, { 48, 1, 512, false },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        teardown(state);
        setup(state);
        uint8_t *p = rig_bytes(rig, PAGE(W_PARAMS));
        rig_delegate(rig, BIG, 17);
        world_params(rig, BIG, 5, RMI_HASH_SHA_256);
        le32_put(p + RMI_REALM_S2SZ, rows[i].bits);
        le64_put(p + RMI_REALM_RTT_LEVEL_START, (uint64_t)rows[i].level);
        le32_put(p + RMI_REALM_RTT_NUM_START, rows[i].n);
        assert_int_equal(rmi(rig, RMI_FID_REALM_CREATE, SPARE(0), PAGE(W_PARAMS)), rows[i].ok ? 0 : RMI_ERROR_INPUT);
        if (rows[i].ok) {
            uint64_t top = 1ull << rows[i].bits, last = top - rtt_size(rows[i].level);
            rmi_ok(rig, RMI_FID_RTT_READ_ENTRY, SPARE(0), last, (uint64_t)rows[i].level);
            rmi_ok(rig, RMI_FID_RTT_CREATE, SPARE(0), SPARE(1), last, (uint64_t)rows[i].level + 1);
            rmi_ok(rig, RMI_FID_RTT_DESTROY, SPARE(0), last, (uint64_t)rows[i].level + 1);
            rmi_ok(rig, RMI_FID_REALM_DESTROY, SPARE(0));
        }
    }
}

/* A host maps the same GiB everywhere in the roots of the unprotected half. Taking it all down in one call is work for
 * each mapping, not for each page that is mapped: not much more than mapping them was. */
static void test_many_blocks(void **state)
{
    enum { BLOCKS = 8 * 512, GIB_BITS = 30 };
    const uint64_t unprotected = 1ull << 42;
    uint8_t       *p = rig_bytes(rig, PAGE(W_PARAMS));

    rig_delegate(rig, BIG, 16);
    world_params(rig, BIG, 5, RMI_HASH_SHA_256);
    le32_put(p + RMI_REALM_S2SZ, 43);
    le64_put(p + RMI_REALM_RTT_LEVEL_START, 1);
    le32_put(p + RMI_REALM_RTT_NUM_START, 16);
    rmi_ok(rig, RMI_FID_REALM_CREATE, SPARE(0), PAGE(W_PARAMS));
    for (uint64_t pa = RIG_RAM; pa < RIG_RAM + (1ull << GIB_BITS); pa += 1 << 20) { /* as if it had been used */
        assert_true(owners_fill(rig->owners, pa, PAS_NONSECURE) || pa < RIG_RAM + RIG_RAM_SIZE);
    }
    clock_t before = clock();
    for (uint64_t i = 0; i < BLOCKS; i++) {
        rmi_ok(rig, RMI_FID_RTT_MAP_UNPROTECTED, SPARE(0), unprotected + (i << GIB_BITS), 1,
               RIG_RAM | (uint64_t)RTT_MEMATTR_NORMAL_NC << RTT_MEMATTR_LSB | 3ull << RTT_S2AP_LSB);
    }
    clock_t mapped = clock();
    rmi_ok(rig, RMI_FID_REALM_DESTROY, SPARE(0));
    assert_in_range(clock() - mapped, 0, 8 * (mapped - before) + CLOCKS_PER_SEC / 50);
}

/* ---- measurements ---- */

/* The RIM as DEN0137 describes it, with nothing of the RMM's code. */
typedef struct Rim {
    bool    sha512;
    uint8_t value[64];
} Rim;

static void hash(const Rim *r, const void *data, size_t len, uint8_t out[64])
{
    memset(out, 0, 64);
    if (r->sha512) {
        SHA512(data, len, out);
    } else {
        SHA256(data, len, out);
    }
}

static void rim_extend(Rim *r, uint8_t type, const uint64_t *words, size_t n_words, const uint8_t *content)
{
    uint8_t d[256] = { type };

    d[9] = 1; /* length 0x100 */
    memcpy(d + 0x10, r->value, 64);
    for (size_t i = 0; i < n_words; i++) {
        memcpy(d + 0x50 + 8 * i, &words[i], 8);
    }
    if (content != NULL) {
        memcpy(d + 0x50 + 8 * n_words, content, 64);
    }
    hash(r, d, sizeof(d), r->value);
}

/* REALM_CREATE; RIPAS of four pages and of one block; data measured and not; a REC that runs and one that
 * does not. */
static void check_rim(bool sha512)
{
    Rim      r = { .sha512 = sha512 };
    uint8_t  page[4096] = { 0 }, content[64];
    uint64_t rd = PAGE(W_FREE), root = PAGE(W_FREE + 1);

    rig_delegate(rig, rd, 16);
    world_params(rig, root, 77, sha512 ? RMI_HASH_SHA_512 : RMI_HASH_SHA_256);
    rmi_ok(rig, RMI_FID_REALM_CREATE, rd, PAGE(W_PARAMS));
    page[0x08] = 48;
    page[0x18] = page[0x20] = 1;
    page[0x30] = sha512;
    hash(&r, page, sizeof(page), r.value);

    for (uint64_t level = 1; level <= 3; level++) {
        rmi_ok(rig, RMI_FID_RTT_CREATE, rd, PAGE(W_FREE + 1 + level), 0, level);
    }
    rmi_ok(rig, RMI_FID_RTT_INIT_RIPAS, rd, 0x4000, 0x8000);
    for (uint64_t ipa = 0x4000; ipa < 0x8000; ipa += 0x1000) {
        rim_extend(&r, 2, (uint64_t[]){ ipa, ipa + 0x1000 }, 2, NULL);
    }
    rmi_ok(rig, RMI_FID_RTT_INIT_RIPAS, rd, 0x200000, 0x401000); /* the second block is crossed by the top */
    assert_int_equal(rig->cpu[0]->x[1], 0x400000);
    rim_extend(&r, 2, (uint64_t[]){ 0x200000, 0x400000 }, 2, NULL);

    memset(page, 0x77, sizeof(page));
    memcpy(rig_bytes(rig, PAGE(W_SRC)), page, sizeof(page));
    rmi_ok(rig, RMI_FID_DATA_CREATE, rd, PAGE(W_FREE + 5), 0x4000, PAGE(W_SRC), 1);
    hash(&r, page, sizeof(page), content);
    rim_extend(&r, 0, (uint64_t[]){ 0x4000, 1 }, 2, content);
    rmi_ok(rig, RMI_FID_DATA_CREATE, rd, PAGE(W_FREE + 6), 0x5000, PAGE(W_SRC), 0);
    rim_extend(&r, 0, (uint64_t[]){ 0x5000, 0 }, 2, NULL);
    rmi_ok(rig, RMI_FID_DATA_CREATE_UNKNOWN, rd, PAGE(W_FREE + 7), 0x6000);

    world_rec_params(rig, 0, 0x4000, PAGE(W_FREE + 9), true);
    rmi_ok(rig, RMI_FID_REC_CREATE, rd, PAGE(W_FREE + 8), PAGE(W_PARAMS));
    memset(page, 0, sizeof(page));
    page[0] = 1;
    page[0x201] = 0x40;
    page[0x300] = 0x34;
    page[0x301] = 0x12;
    hash(&r, page, sizeof(page), content);
    rim_extend(&r, 1, NULL, 0, content);
    world_rec_params(rig, 1, 0x4000, PAGE(W_FREE + 11), false);
    rmi_ok(rig, RMI_FID_REC_CREATE, rd, PAGE(W_FREE + 10), PAGE(W_PARAMS));
    rmi_ok(rig, RMI_FID_REALM_ACTIVATE, rd);
    assert_memory_equal(realm_at(rig->rmm, rd)->measurement[0], r.value, 64);
}

static void test_rim_sha256(void **state) { check_rim(false); }
static void test_rim_sha512(void **state) { check_rim(true); }

/* REM = H(REM || data), by RSI, and read back by RSI. */
static void test_rem(void **state)
{
    static const uint64_t lengths[] = { 0, 1, 64 };
    Rec    *rec = rec_at(rig->rmm, PAGE(W_REC0));
    uint8_t rem[64] = { 0 }, text[128];

    rmi_ok(rig, RMI_FID_REALM_ACTIVATE, PAGE(W_RD));
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        uint64_t x[11] = { SMC64_STD(RSI_FID_MEASUREMENT_EXTEND), 2, lengths[i] };
        memset(&x[3], 0x31, 64);
        RsiCall call = { .cpu = &rig->rmm->cpu[0], .realm = realm_at(rig->rmm, PAGE(W_RD)), .rec = rec };
        memcpy(call.x, x, sizeof(x));
        assert_int_equal(rig->rmm->rsi[RSI_FID_MEASUREMENT_EXTEND - RSI_FID_FIRST]->handler(rig->rmm, &call),
            RSI_SUCCESS);
        memcpy(text, rem, 32);
        memset(text + 32, 0x31, 64);
        memset(rem, 0, sizeof(rem));
        SHA256(text, 32 + lengths[i], rem);
        call.x[1] = 2;
        assert_int_equal(rig->rmm->rsi[RSI_FID_MEASUREMENT_READ - RSI_FID_FIRST]->handler(rig->rmm, &call),
            RSI_SUCCESS);
        assert_memory_equal(&call.out[1], rem, 64);
    }
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_transitions), T(test_device_ripas), T(test_hardware_view), T(test_fold_block),
        T(test_fold_not_consecutive), T(test_fold_unassigned), T(test_fold_unprotected), T(test_table_destroyed),
        T(test_non_live_top), T(test_wiped_and_owned), T(test_take_apart), T(test_geometry), T(test_many_blocks),
        T(test_rim_sha256), T(test_rim_sha512), T(test_rem),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
