/*
 * Device memory in a Realm's tables: mapped by the host, used by the Realm once it has validated what is
 * there. DEN0137 1.1-alp17, command pages RMI_VDEV_MAP, RMI_VDEV_UNMAP, RMI_VDEV_VALIDATE_MAPPING; "RTT entry
 * state transitions". 1.1-alp12 has commands that do the same without naming a VDEV.
 */
#include "rmm/rec_dev.h"

#include <inttypes.h>

enum { LEAST_DEV_LEVEL = 2 };

/* What a device page gets while the Realm may use it: no more than Normal non-cacheable, which the Realm's
 * stage 1 weakens to Device. */
#define DEV_ATTRS ((uint64_t)RTT_MEMATTR_NORMAL_NC << RTT_MEMATTR_LSB | 3ull << RTT_S2AP_LSB)

/* A page or 2 MiB block of the protected half. */
#define REQUIRE_DEV_LEAF(realm, ipa, level)                                                            \
    REQUIRE((level) >= LEAST_DEV_LEVEL && (level) >= (realm)->level_start && (level) <= RTT_LAST_LEVEL, \
            RMI_ERROR_INPUT, "level_bound");                                                           \
    REQUIRE(rtt_ipa_aligned(ipa, (int)(level)), RMI_ERROR_INPUT, "ipa_align");                         \
    REQUIRE(realm_ipa_protected(realm, ipa), RMI_ERROR_INPUT, "ipa_bound")

static bool all_in_state(Rmm *rmm, uint64_t pa, uint64_t len, GranuleState state)
{
    for (uint64_t at = 0; at < len; at += RMM_GRANULE_SIZE) {
        if (granule_state(rmm, pa + at) != state) {
            return false;
        }
    }
    return true;
}

static void set_all(Rmm *rmm, uint64_t pa, uint64_t len, GranuleState state)
{
    for (uint64_t at = 0; at < len; at += RMM_GRANULE_SIZE) {
        granule_set(rmm, pa + at, state);
    }
}

/* Device memory at @pa that nobody has mapped. */
#define REQUIRE_DEV_PA(pa, level)                                                                      \
    REQUIRE(is_aligned(pa, rtt_size((int)(level))), RMI_ERROR_INPUT, "addr_align");                    \
    REQUIRE(granule_state(rmm, pa) != GRANULE_OUTSIDE, RMI_ERROR_INPUT, "addr_bound");                 \
    REQUIRE(all_in_state(rmm, pa, rtt_size((int)(level)), GRANULE_DEV_DELEGATED), RMI_ERROR_INPUT, "addr_state")

/* An entry at @level with nothing in it; leaves the walk in @w. */
#define REQUIRE_DEV_UNASSIGNED(w, realm, ipa, at)                                                      \
    RttWalk w = rtt_walk(rmm, realm, ipa, (int)(at));                                                  \
    REQUIRE_AT(w.level == (at), RMI_ERROR_RTT, w.level, "rtt_walk");                                   \
    REQUIRE_AT(rtt_get(&w).kind == RTT_UNASSIGNED, RMI_ERROR_RTT, at, "rtte_state");                   \
    REQUIRE_AT(rtt_get(&w).ripas != RIPAS_RAM, RMI_ERROR_RTT, at, "rtte_ripas")

static void map(Rmm *rmm, const Realm *realm, const RttWalk *w, uint64_t ipa, uint64_t pa, uint8_t vdev)
{
    set_all(rmm, pa, rtt_size(w->level), GRANULE_DEV_MAPPED);
    rtt_put(w, (RttValue){ .kind = RTT_ASSIGNED_DEV, .ripas = rtt_get(w).ripas, .pa = pa, .attrs = DEV_ATTRS,
                           .vdev = vdev });
    LOG(RTT, "vmid %u ipa 0x%" PRIx64 " level %d: device 0x%" PRIx64, realm->vmid, ipa, w->level, pa);
}

/* RMI_VDEV_MAP. x1: RD, x2: VDEV, x3: IPA, x4: level, x5: PA. */
RMI(VDEV_MAP, .in = 5, .out = 0, .dialects = IN_ALP17, .needs_da = true, .source = RMM_SUITE)
{
    uint64_t ipa = in->x[3], pa = in->x[5];
    int64_t  level = (int64_t)in->x[4];

    REQUIRE_GRANULE(in->x[1], GRANULE_RD, "rd");
    REQUIRE_GRANULE_AS(in->x[2], GRANULE_VDEV, "vdev", "vdev_gran_state");
    Realm *realm = realm_at(rmm, in->x[1]);
    Vdev  *vdev = vdev_at(rmm, in->x[2]);
    REQUIRE(vdev->rd == in->x[1], RMI_ERROR_INPUT, "vdev_realm");
    REQUIRE_DEV_LEAF(realm, ipa, level);
    REQUIRE_DEV_PA(pa, level);
    REQUIRE_DEV_UNASSIGNED(w, realm, ipa, level);

    map(rmm, realm, &w, ipa, pa, (uint8_t)vdev->index);
    vdev->n_mapped += rtt_size(w.level) / RMM_GRANULE_SIZE;
    return RMI_SUCCESS;
}

/* RMI_DEV_MEM_MAP. x1: RD, x2: IPA, x3: level, x4: PA. */
RMI(DEV_MEM_MAP, .in = 4, .out = 0, .dialects = IN_ALP12, .needs_da = true, .source = RMM_PEERS)
{
    uint64_t ipa = in->x[2], pa = in->x[4];
    int64_t  level = (int64_t)in->x[3];

    REQUIRE_GRANULE(in->x[1], GRANULE_RD, "rd");
    Realm *realm = realm_at(rmm, in->x[1]);
    REQUIRE_DEV_LEAF(realm, ipa, level);
    REQUIRE_DEV_PA(pa, level);
    REQUIRE_DEV_UNASSIGNED(w, realm, ipa, level);

    map(rmm, realm, &w, ipa, pa, 0);
    return RMI_SUCCESS;
}

/* The walk's entry, which maps device memory, does no more. Returns what it mapped. */
static RttValue unmap(Rmm *rmm, const Realm *realm, const RttWalk *w, uint64_t ipa)
{
    RttValue v = rtt_get(w);
    uint64_t size = rtt_size(w->level);
    Ripas    ripas = v.ripas == RIPAS_EMPTY ? RIPAS_EMPTY : RIPAS_DESTROYED;

    rtt_put(w, (RttValue){ .kind = RTT_UNASSIGNED, .ripas = ripas });
    rtt_flush(rmm, realm, ipa, v.pa, size);
    set_all(rmm, v.pa, size, GRANULE_DEV_DELEGATED);
    LOG(RTT, "vmid %u ipa 0x%" PRIx64 " level %d: device unmapped", realm->vmid, ipa, w->level);
    return v;
}

/* What both commands that unmap check; leaves the Realm and the walk to the entry in @realm and @w. */
#define REQUIRE_DEV_MAPPED(realm, w, ipa, at)                                                          \
    REQUIRE_GRANULE(in->x[1], GRANULE_RD, "rd");                                                       \
    Realm *realm = realm_at(rmm, in->x[1]);                                                            \
    REQUIRE_DEV_LEAF(realm, ipa, at);                                                                  \
    RttWalk w = rtt_walk(rmm, realm, ipa, (int)(at));                                                  \
    out->x[2] = rtt_non_live_top(&w, ipa);                                                             \
    REQUIRE_AT(w.level == (at), RMI_ERROR_RTT, w.level, "rtt_walk");                                   \
    REQUIRE_AT(rtt_get(&w).kind == RTT_ASSIGNED_DEV, RMI_ERROR_RTT, w.level, "rtte_state")

/* RMI_VDEV_UNMAP. x1: RD, x2: IPA, x3: level. Out: PA, non-live top. */
RMI(VDEV_UNMAP, .in = 3, .out = 2, .dialects = IN_ALP17, .needs_da = true, .source = RMM_SUITE)
{
    int64_t level = (int64_t)in->x[3];

    REQUIRE_DEV_MAPPED(realm, w, in->x[2], level);

    RttValue v = unmap(rmm, realm, &w, in->x[2]);
    vdev_at(rmm, realm_devices(realm)->vdev[v.vdev])->n_mapped -= rtt_size(w.level) / RMM_GRANULE_SIZE;
    out->x[1] = v.pa;
    out->x[2] = rtt_non_live_top(&w, in->x[2]);
    return RMI_SUCCESS;
}

/* RMI_DEV_MEM_UNMAP. x1: RD, x2: IPA, x3: level. Out: PA, non-live top. */
RMI(DEV_MEM_UNMAP, .in = 3, .out = 2, .dialects = IN_ALP12, .needs_da = true, .source = RMM_PEERS)
{
    int64_t level = (int64_t)in->x[3];

    REQUIRE_DEV_MAPPED(realm, w, in->x[2], level);

    out->x[1] = unmap(rmm, realm, &w, in->x[2]).pa;
    out->x[2] = rtt_non_live_top(&w, in->x[2]);
    return RMI_SUCCESS;
}

/* Entries of one table from the walk on that map, for this VDEV, what the Realm expects; returns the IPA of
 * the first that does not. @pa: expected at @base. @vdev: its index. */
static uint64_t validate(const RttWalk *w, uint64_t base, uint64_t top, uint64_t pa, uint32_t vdev)
{
    uint64_t size = rtt_size(w->level), done = base;

    for (unsigned i = w->index; i < RTT_ENTRIES && top - done >= size; i++, done += size) {
        RttValue v = rtt_get_at(w, i);
        if (v.kind != RTT_ASSIGNED_DEV || v.ripas != RIPAS_EMPTY || v.pa != pa + (done - base) ||
            v.vdev != vdev) {
            break;
        }
        v.ripas = RIPAS_DEV;
        rtt_put_at(w, i, v);
    }
    return done;
}

/* The request goes on from @done, which is returned. */
static uint64_t validated(RecDevice *q, uint64_t done)
{
    LOG(RTT, "ipa 0x%" PRIx64 " to 0x%" PRIx64 ": RIPAS DEV", q->base, done);
    q->pa += done - q->base;
    q->base = done;
    return done;
}

/* RMI_VDEV_VALIDATE_MAPPING. x1: RD, x2: REC that asked, x3: PDEV, x4: VDEV, x5: base, x6: top. Out:
 * how far. */
RMI(VDEV_VALIDATE_MAPPING, .in = 6, .out = 1, .dialects = IN_ALP17, .needs_da = true, .source = RMM_SUITE)
{
    uint64_t base = in->x[5], top = in->x[6];

    REQUIRE_GRANULE(in->x[1], GRANULE_RD, "rd");
    REQUIRE_GRANULE_AS(in->x[2], GRANULE_REC, "rec", "rec_gran_state");
    REQUIRE_GRANULE_AS(in->x[3], GRANULE_PDEV, "pdev", "pdev_gran_state");
    REQUIRE_GRANULE_AS(in->x[4], GRANULE_VDEV, "vdev", "vdev_gran_state");
    Rec       *rec = rec_at(rmm, in->x[2]);
    RecDevice *q = rec_device(rec);
    Vdev      *vdev = vdev_at(rmm, in->x[4]);
    REQUIRE(!rec->running, RMI_ERROR_REC, "rec_state");
    REQUIRE(rec->rd == in->x[1], RMI_ERROR_REC, "rec_owner");
    REQUIRE(vdev->pdev == in->x[3], RMI_ERROR_DEVICE, "vdev_pdev");
    REQUIRE(top > base, RMI_ERROR_INPUT, "size_valid");
    REQUIRE(rec->pending == REC_VDEV_MAP && base == q->base, RMI_ERROR_INPUT, "base_bound");
    REQUIRE(top <= q->top, RMI_ERROR_INPUT, "top_bound");
    REQUIRE_OURS(vdev == rec_vdev(rmm, rec), RMI_ERROR_DEVICE, "vdev_owner");
    /* Still locked, and not anew since the Realm was told the nonce: unlocking makes it zero, which no
     * request has. */
    REQUIRE_OURS(vdev->lock_nonce == q->lock_nonce, RMI_ERROR_DEVICE, "vdev_nonce");
    RttWalk w = rtt_walk(rmm, realm_at(rmm, in->x[1]), base, RTT_LAST_LEVEL);
    REQUIRE_AT(is_aligned(base, rtt_size(w.level)), RMI_ERROR_RTT, w.level, "base_align");
    REQUIRE(is_aligned(top, RMM_GRANULE_SIZE), RMI_ERROR_INPUT, "top_gran_align");
    uint64_t done = validate(&w, base, top, q->pa, vdev->index);
    REQUIRE_AT(done != base, RMI_ERROR_RTT, w.level, "no_progress");

    out->x[1] = validated(q, done);
    return RMI_SUCCESS;
}

/* RMI_RTT_DEV_MEM_VALIDATE. x1: RD, x2: REC that asked, x3: base, x4: top. Out: how far. */
RMI(RTT_DEV_MEM_VALIDATE, .in = 4, .out = 1, .dialects = IN_ALP12, .needs_da = true, .source = RMM_PEERS)
{
    uint64_t base = in->x[3], top = in->x[4];

    REQUIRE_GRANULE(in->x[1], GRANULE_RD, "rd");
    REQUIRE_GRANULE_AS(in->x[2], GRANULE_REC, "rec", "rec_gran_state");
    Rec       *rec = rec_at(rmm, in->x[2]);
    RecDevice *q = rec_device(rec);
    REQUIRE(!rec->running, RMI_ERROR_REC, "rec_state");
    REQUIRE(rec->rd == in->x[1], RMI_ERROR_REC, "rec_owner");
    REQUIRE(top > base, RMI_ERROR_INPUT, "size_valid");
    REQUIRE(rec->pending == REC_VDEV_MAP && base == q->base, RMI_ERROR_INPUT, "base_bound");
    REQUIRE(top <= q->top, RMI_ERROR_INPUT, "top_bound");
    /* Still locked, and not anew since the Realm asked. */
    const Vdev *vdev = rec_vdev(rmm, rec);
    REQUIRE_OURS(vdev != NULL && vdev->lock_nonce == q->lock_nonce, RMI_ERROR_DEVICE, "vdev_nonce");
    RttWalk w = rtt_walk(rmm, realm_at(rmm, in->x[1]), base, RTT_LAST_LEVEL);
    REQUIRE_AT(is_aligned(base, rtt_size(w.level)), RMI_ERROR_RTT, w.level, "base_align");
    REQUIRE(is_aligned(top, RMM_GRANULE_SIZE), RMI_ERROR_INPUT, "top_gran_align");
    uint64_t done = validate(&w, base, top, q->pa, 0);
    REQUIRE_AT(done != base, RMI_ERROR_RTT, w.level, "no_progress");

    out->x[1] = validated(q, done);
    return RMI_SUCCESS;
}
