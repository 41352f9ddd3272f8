/*
 * The RTT commands: making and removing tables, folding, unprotected mappings, RIPAS. DEN0137, command pages
 * RMI_RTT_*; state changes are the table of "RTT entry state transitions".
 */
#include "rmm/rmm_int.h"

#include <inttypes.h>
#include <string.h>

/* The level of a table below the root, and an IPA aligned to the entry that holds it. */
#define REQUIRE_TABLE_ADDRESS(realm, ipa, level)                                                       \
    REQUIRE((level) > (realm)->level_start && (level) <= RTT_LAST_LEVEL, RMI_ERROR_INPUT, "level_bound"); \
    REQUIRE(rtt_ipa_aligned(ipa, (int)(level) - 1), RMI_ERROR_INPUT, "ipa_align");                     \
    REQUIRE((ipa) < realm_ipa_top(realm), RMI_ERROR_INPUT, "ipa_bound")

/* A leaf of the unprotected half. DEN0137: block mappings at levels 1 and 2, pages at 3. */
#define REQUIRE_LEAF_LEVEL(realm, level)                                                               \
    REQUIRE((level) >= 1 && (level) >= (realm)->level_start && (level) <= RTT_LAST_LEVEL, RMI_ERROR_INPUT, \
            "level_bound")
#define REQUIRE_UNPROTECTED(realm, ipa, level)                                                         \
    REQUIRE(rtt_ipa_aligned(ipa, (int)(level)), RMI_ERROR_INPUT, "ipa_align");                         \
    REQUIRE((ipa) < realm_ipa_top(realm) && !realm_ipa_protected(realm, ipa), RMI_ERROR_INPUT, "ipa_bound")

static void log_entry(const Realm *realm, const char *what, uint64_t ipa, int level)
{
    LOG(RTT, "vmid %u ipa 0x%" PRIx64 " level %d: %s", realm->vmid, ipa, level, what);
}

/* ---- tables ---- */

/* DEN0137 "RTT unfolding": the 512 entries of a new table say what the parent entry @v at @level said. */
static void unfold(const RttWalk *child, RttValue v)
{
    bool has_pa = v.kind == RTT_ASSIGNED || v.kind == RTT_ASSIGNED_NS || v.kind == RTT_ASSIGNED_DEV;

    for (unsigned i = 0; i < RTT_ENTRIES; i++) {
        rtt_put_at(child, i, v);
        v.pa += has_pa ? rtt_size(child->level) : 0;
    }
}

/* RMI_RTT_CREATE. x1: RD, x2: granule of the table, x3: IPA, x4: level of the table. */
RMI(RTT_CREATE, .in = 4, .out = 0)
{
    uint64_t rtt = in->x[2], ipa = in->x[3];
    int64_t  level = (int64_t)in->x[4];

    REQUIRE_GRANULE(in->x[1], GRANULE_RD, "rd");
    Realm *realm = realm_at(rmm, in->x[1]);
    REQUIRE_TABLE_ADDRESS(realm, ipa, level);
    REQUIRE_TABLE_GRANULE(rtt, "rtt");
    RttWalk w = rtt_walk(rmm, realm, ipa, (int)level - 1);
    REQUIRE_AT(w.level == level - 1, RMI_ERROR_RTT, w.level, "rtt_walk");
    RttValue parent = rtt_get(&w);
    REQUIRE_AT(parent.kind != RTT_TABLE, RMI_ERROR_RTT, w.level, "rtte_state");

    RttWalk child = { .level = (int)level, .table = granule_ptr(rmm, rtt), .base = ipa };
    unfold(&child, parent);
    granule_set(rmm, rtt, GRANULE_RTT);
    rtt_put(&w, (RttValue){ .kind = RTT_TABLE, .pa = rtt });
    log_entry(realm, "table", ipa, (int)level);
    return RMI_SUCCESS;
}

/* A table in the unprotected half may still hold mappings of the host's pages. */
static void drop_ns_entries(Rmm *rmm, const Realm *realm, const RttWalk *child)
{
    for (unsigned i = 0; i < RTT_ENTRIES; i++) {
        RttValue v = rtt_get_at(child, i);
        if (v.kind == RTT_ASSIGNED_NS) {
            rtt_flush(rmm, realm, child->base + i * rtt_size(child->level), v.pa, rtt_size(child->level));
        }
    }
}

/* RMI_RTT_DESTROY. x1: RD, x2: IPA, x3: level of the table. Out: PA of the table, non-live top. */
RMI(RTT_DESTROY, .in = 3, .out = 2)
{
    uint64_t ipa = in->x[2];
    int64_t  level = (int64_t)in->x[3];

    REQUIRE_GRANULE(in->x[1], GRANULE_RD, "rd");
    Realm *realm = realm_at(rmm, in->x[1]);
    REQUIRE_TABLE_ADDRESS(realm, ipa, level);
    RttWalk  w = rtt_walk(rmm, realm, ipa, (int)level - 1);
    RttValue parent = rtt_get(&w);
    out->x[2] = rtt_non_live_top(&w, ipa);
    REQUIRE_AT(w.level == level - 1, RMI_ERROR_RTT, w.level, "rtt_walk");
    REQUIRE_AT(parent.kind == RTT_TABLE, RMI_ERROR_RTT, w.level, "rtte_state");
    RttWalk child = { .level = (int)level, .table = granule_ptr(rmm, parent.pa), .base = ipa };
    out->x[2] = ipa;
    REQUIRE_AT(rtt_count_in_use(child.table) == 0, RMI_ERROR_RTT, level, "rtt_live");

    bool     protected = realm_ipa_protected(realm, ipa);
    RttValue gone = { .kind = protected ? RTT_UNASSIGNED : RTT_UNASSIGNED_NS,
                      .ripas = protected ? RIPAS_DESTROYED : RIPAS_EMPTY };
    rtt_put(&w, gone);
    if (!protected) {
        drop_ns_entries(rmm, realm, &child);
    }
    granule_set(rmm, parent.pa, GRANULE_DELEGATED);
    out->x[1] = parent.pa;
    out->x[2] = rtt_non_live_top(&w, ipa);
    log_entry(realm, "table destroyed", ipa, (int)level);
    return RMI_SUCCESS;
}

static bool has_address(RttEntry kind)
{
    return kind == RTT_ASSIGNED || kind == RTT_ASSIGNED_NS || kind == RTT_ASSIGNED_DEV;
}

/* The smallest level of a table that folds into a block: there is none at level 0, and no device block at level 1. */
static int least_block_table(RttEntry kind) { return kind == RTT_ASSIGNED_DEV ? 3 : 2; }

/* DEN0137 "RTT folding": all entries are alike, and with addresses these are consecutive and suit a block. */
static bool table_homogeneous(const RttWalk *child)
{
    RttValue first = rtt_get_at(child, 0);
    uint64_t step = has_address(first.kind) ? rtt_size(child->level) : 0;

    if (first.kind == RTT_TABLE) {
        return false;
    }
    if (step != 0 && (child->level < least_block_table(first.kind) || !is_aligned(first.pa, step * RTT_ENTRIES))) {
        return false;
    }
    for (unsigned i = 1; i < RTT_ENTRIES; i++) {
        RttValue v = rtt_get_at(child, i);
        if (v.kind != first.kind || v.ripas != first.ripas || v.attrs != first.attrs ||
            v.vdev != first.vdev || v.pa != first.pa + i * step) {
            return false;
        }
    }
    return true;
}

/* RMI_RTT_FOLD. x1: RD, x2: IPA, x3: level of the table. Out: PA of the table. */
RMI(RTT_FOLD, .in = 3, .out = 1)
{
    uint64_t ipa = in->x[2];
    int64_t  level = (int64_t)in->x[3];

    REQUIRE_GRANULE(in->x[1], GRANULE_RD, "rd");
    Realm *realm = realm_at(rmm, in->x[1]);
    REQUIRE_TABLE_ADDRESS(realm, ipa, level);
    RttWalk  w = rtt_walk(rmm, realm, ipa, (int)level - 1);
    RttValue parent = rtt_get(&w);
    REQUIRE_AT(w.level == level - 1, RMI_ERROR_RTT, w.level, "rtt_walk");
    REQUIRE_AT(parent.kind == RTT_TABLE, RMI_ERROR_RTT, w.level, "rtte_state");
    RttWalk child = { .level = (int)level, .table = granule_ptr(rmm, parent.pa), .base = ipa };
    REQUIRE_AT(table_homogeneous(&child), RMI_ERROR_RTT, level, "rtt_homo");

    rtt_put(&w, rtt_get_at(&child, 0));
    granule_set(rmm, parent.pa, GRANULE_DELEGATED);
    out->x[1] = parent.pa;
    log_entry(realm, "folded", ipa, (int)level);
    return RMI_SUCCESS;
}

/* RMI_RTT_READ_ENTRY. x1: RD, x2: IPA, x3: level. Out: level of the walk, state, descriptor, RIPAS. The
 * descriptor has the address of every entry that has one: a KVM host whose VCPUs fault at one page together
 * learns by it that another has mapped its page already. Attributes are shown where the host chose them. */
RMI(RTT_READ_ENTRY, .in = 3, .out = 4)
{
    static const uint8_t states[] = {
        [RTT_UNASSIGNED] = RMI_UNASSIGNED,       [RTT_ASSIGNED] = RMI_ASSIGNED,
        [RTT_ASSIGNED_DEV] = RMI_ASSIGNED_DEV,   [RTT_UNASSIGNED_NS] = RMI_UNASSIGNED,
        [RTT_ASSIGNED_NS] = RMI_ASSIGNED,        [RTT_TABLE] = RMI_TABLE,
    };
    uint64_t ipa = in->x[2];
    int64_t  level = (int64_t)in->x[3];

    REQUIRE_GRANULE(in->x[1], GRANULE_RD, "rd");
    Realm *realm = realm_at(rmm, in->x[1]);
    REQUIRE(level >= realm->level_start && level <= RTT_LAST_LEVEL, RMI_ERROR_INPUT, "level_bound");
    REQUIRE(rtt_ipa_aligned(ipa, (int)level), RMI_ERROR_INPUT, "ipa_align");
    REQUIRE(ipa < realm_ipa_top(realm), RMI_ERROR_INPUT, "ipa_bound");

    RttWalk  w = rtt_walk(rmm, realm, ipa, (int)level);
    RttValue v = rtt_get(&w);
    out->x[1] = (uint64_t)w.level;
    out->x[2] = states[v.kind];
    out->x[3] = v.pa | (v.kind == RTT_ASSIGNED_NS ? v.attrs : 0);
    out->x[4] = realm_ipa_protected(realm, ipa) && v.kind != RTT_TABLE ? v.ripas : 0;
    return RMI_SUCCESS;
}

/* ---- unprotected mappings ---- */

/* Where a descriptor has its output address: bits 49:48 are in use with LPA2 only, which no Realm has. */
#define DESC_ADDRESS (mask64(50) & ~mask64(12))

/* DEN0137 "RTT entry attributes": of a mapping in the unprotected half the host chooses the address, MemAttr in FWB
 * form, and S2AP; all else is zero. */
static bool host_desc_valid(uint64_t desc)
{
    return (desc & ~(DESC_ADDRESS | RTT_HOST_ATTRS)) == 0 && extract64(desc, RTT_MEMATTR_LSB, 3) != 4;
}

/* RMI_RTT_MAP_UNPROTECTED. x1: RD, x2: IPA, x3: level, x4: descriptor. */
RMI(RTT_MAP_UNPROTECTED, .in = 4, .out = 0)
{
    uint64_t ipa = in->x[2], desc = in->x[4];
    int64_t  level = (int64_t)in->x[3];

    REQUIRE(host_desc_valid(desc), RMI_ERROR_INPUT, "attr_valid");
    REQUIRE_GRANULE(in->x[1], GRANULE_RD, "rd");
    Realm *realm = realm_at(rmm, in->x[1]);
    REQUIRE_LEAF_LEVEL(realm, level);
    REQUIRE(is_aligned(desc & DESC_ADDRESS, rtt_size((int)level)), RMI_ERROR_INPUT, "addr_align");
    REQUIRE((desc & DESC_ADDRESS) < BIT(RMM_PA_BITS), RMI_ERROR_INPUT, "addr_bound");
    REQUIRE_UNPROTECTED(realm, ipa, level);
    RttWalk w = rtt_walk(rmm, realm, ipa, (int)level);
    REQUIRE_AT(w.level == level, RMI_ERROR_RTT, w.level, "rtt_walk");
    REQUIRE_AT(rtt_get(&w).kind == RTT_UNASSIGNED_NS, RMI_ERROR_RTT, level, "rtte_state");

    rtt_put(&w, (RttValue){
                    .kind = RTT_ASSIGNED_NS, .pa = desc & ~RTT_HOST_ATTRS, .attrs = desc & RTT_HOST_ATTRS});
    log_entry(realm, "unprotected", ipa, (int)level);
    return RMI_SUCCESS;
}

/* RMI_RTT_UNMAP_UNPROTECTED. x1: RD, x2: IPA, x3: level. Out: non-live top. */
RMI(RTT_UNMAP_UNPROTECTED, .in = 3, .out = 1)
{
    uint64_t ipa = in->x[2];
    int64_t  level = (int64_t)in->x[3];

    REQUIRE_GRANULE(in->x[1], GRANULE_RD, "rd");
    Realm *realm = realm_at(rmm, in->x[1]);
    REQUIRE_LEAF_LEVEL(realm, level);
    REQUIRE_UNPROTECTED(realm, ipa, level);
    RttWalk  w = rtt_walk(rmm, realm, ipa, (int)level);
    RttValue v = rtt_get(&w);
    out->x[1] = rtt_non_live_top(&w, ipa);
    REQUIRE_AT(w.level == level, RMI_ERROR_RTT, w.level, "rtt_walk");
    REQUIRE_AT(v.kind == RTT_ASSIGNED_NS, RMI_ERROR_RTT, w.level, "rtte_state");

    rtt_put(&w, (RttValue){ .kind = RTT_UNASSIGNED_NS });
    rtt_flush(rmm, realm, ipa, v.pa, rtt_size(w.level));
    out->x[1] = rtt_non_live_top(&w, ipa);
    log_entry(realm, "unprotected, unmapped", ipa, (int)level);
    return RMI_SUCCESS;
}

/* ---- RIPAS ---- */

/* RMI_RTT_INIT_RIPAS. x1: RD, x2: base, x3: top. Out: how far. Entries of one table, each measured. */
RMI(RTT_INIT_RIPAS, .in = 3, .out = 1)
{
    uint64_t base = in->x[2], top = in->x[3];

    REQUIRE_GRANULE(in->x[1], GRANULE_RD, "rd");
    Realm *realm = realm_at(rmm, in->x[1]);
    REQUIRE(top > base, RMI_ERROR_INPUT, "size_valid");
    REQUIRE(top <= realm_par_top(realm), RMI_ERROR_INPUT, "top_bound");
    REQUIRE(realm->state == REALM_NEW, RMI_ERROR_REALM, "realm_state");
    RttWalk  w = rtt_walk(rmm, realm, base, RTT_LAST_LEVEL);
    uint64_t size = rtt_size(w.level), done = base;
    REQUIRE_AT(is_aligned(base, size), RMI_ERROR_RTT, w.level, "base_align");
    REQUIRE_AT(rtt_get(&w).kind == RTT_UNASSIGNED, RMI_ERROR_RTT, w.level, "rtte_state");
    REQUIRE(is_aligned(top, RMM_GRANULE_SIZE), RMI_ERROR_INPUT, "top_gran_align");

    for (unsigned i = w.index; i < RTT_ENTRIES && top - done >= size; i++, done += size) {
        if (rtt_get_at(&w, i).kind != RTT_UNASSIGNED) {
            break;
        }
        rtt_put_at(&w, i, (RttValue){ .kind = RTT_UNASSIGNED, .ripas = RIPAS_RAM });
        measure_ripas(rmm, realm, done, done + size);
    }
    REQUIRE_AT(done != base, RMI_ERROR_RTT, w.level, "no_progress");
    out->x[1] = done;
    log_entry(realm, "initial RIPAS RAM", base, w.level);
    return RMI_SUCCESS;
}

/* DEN0137 "RIPAS change": whether an entry follows the Realm's wish; the others stop the command. */
static bool ripas_may_change(RttValue v, Ripas to, bool change_destroyed)
{
    if (v.kind != RTT_UNASSIGNED && v.kind != RTT_ASSIGNED && v.kind != RTT_ASSIGNED_DEV) {
        return false;
    }
    if (v.ripas == RIPAS_DESTROYED && !change_destroyed) {
        return false;
    }
    return to == RIPAS_EMPTY || (v.kind != RTT_ASSIGNED_DEV && v.ripas != RIPAS_DEV);
}

/* A run of consecutive pages that lost access, flushed as one. */
typedef struct FlushRun {
    uint64_t ipa, pa, len;
} FlushRun;

static void run_end(Rmm *rmm, const Realm *realm, FlushRun *run)
{
    if (run->len != 0) {
        rtt_flush(rmm, realm, run->ipa, run->pa, run->len);
    }
    run->len = 0;
}

static void run_add(Rmm *rmm, const Realm *realm, FlushRun *run, uint64_t ipa, uint64_t pa, uint64_t size)
{
    if (run->len != 0 && (run->ipa + run->len != ipa || run->pa + run->len != pa)) {
        run_end(rmm, realm, run);
    }
    if (run->len == 0) {
        run->ipa = ipa;
        run->pa = pa;
    }
    run->len += size;
}

/* Entries of one table from the walk on, as far as they follow; returns the first that does not. */
static uint64_t change_ripas(Rmm *rmm, const Realm *realm, const RttWalk *w, uint64_t base, uint64_t top,
                             Ripas to, bool change_destroyed)
{
    uint64_t size = rtt_size(w->level), done = base;
    FlushRun run = { 0 };

    for (unsigned i = w->index; i < RTT_ENTRIES && top - done >= size; i++, done += size) {
        RttValue v = rtt_get_at(w, i);
        if (!ripas_may_change(v, to, change_destroyed)) {
            break;
        }
        bool accessible = (v.kind == RTT_ASSIGNED && v.ripas == RIPAS_RAM) ||
                          (v.kind == RTT_ASSIGNED_DEV && v.ripas == RIPAS_DEV);
        bool loses = accessible && to != v.ripas;
        v.ripas = to;
        rtt_put_at(w, i, v);
        if (loses) {
            run_add(rmm, realm, &run, done, v.pa, size);
        }
    }
    run_end(rmm, realm, &run);
    return done;
}

/* RMI_RTT_SET_RIPAS. x1: RD, x2: REC that asked, x3: base, x4: top. Out: how far. */
RMI(RTT_SET_RIPAS, .in = 4, .out = 1)
{
    uint64_t base = in->x[3], top = in->x[4];

    REQUIRE_GRANULE(in->x[1], GRANULE_RD, "rd");
    REQUIRE_GRANULE_AS(in->x[2], GRANULE_REC, "rec", "rec_gran_state");
    Realm *realm = realm_at(rmm, in->x[1]);
    Rec   *rec = rec_at(rmm, in->x[2]);
    REQUIRE(!rec->running, RMI_ERROR_REC, "rec_state");
    REQUIRE(rec->rd == in->x[1], RMI_ERROR_REC, "rec_owner");
    REQUIRE(top > base, RMI_ERROR_INPUT, "size_valid");
    REQUIRE(rec->pending == REC_RIPAS && base == rec->ripas.base, RMI_ERROR_INPUT, "base_bound");
    REQUIRE(top <= rec->ripas.top, RMI_ERROR_INPUT, "top_bound");
    RttWalk  w = rtt_walk(rmm, realm, base, RTT_LAST_LEVEL);
    uint64_t size = rtt_size(w.level);
    bool     same = rtt_get(&w).ripas == (Ripas)rec->ripas.ripas; /* of this entry nothing changes: all of it will do */
    REQUIRE_AT(same || is_aligned(base, size), RMI_ERROR_RTT, w.level, "base_align");
    REQUIRE(is_aligned(top, RMM_GRANULE_SIZE), RMI_ERROR_INPUT, "top_gran_align");
    uint64_t begin = same ? MIN(top, align_down(base, size) + size) : base;
    w.index += same;
    uint64_t done =
        change_ripas(rmm, realm, &w, begin, top, (Ripas)rec->ripas.ripas, rec->ripas.change_destroyed);
    REQUIRE_AT(done != base, RMI_ERROR_RTT, w.level, "no_progress");
    rec->ripas.base = done;
    out->x[1] = done;
    log_entry(realm, rec->ripas.ripas == RIPAS_RAM ? "RIPAS RAM" : "RIPAS EMPTY", base, w.level);
    return RMI_SUCCESS;
}
