/*
 * Device memory in a Realm's tables: mapped by the host, used by the Realm once it has validated what is
 * there. DEN0137 1.1-alp17, command pages RMI_VDEV_MAP, RMI_VDEV_UNMAP, RMI_VDEV_VALIDATE_MAPPING; "RTT entry
 * state transitions".
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

/* RMI_VDEV_MAP. x1: RD, x2: VDEV, x3: IPA, x4: level, x5: PA. */
RMI(VDEV_MAP, .in = 5, .out = 0, .dialects = IN_ALP17, .needs_da = true)
{
    uint64_t ipa = in->x[3], pa = in->x[5];
    int64_t  level = (int64_t)in->x[4];

    REQUIRE_GRANULE(in->x[1], GRANULE_RD, "rd");
    REQUIRE_GRANULE(in->x[2], GRANULE_VDEV, "vdev");
    Realm *realm = realm_at(rmm, in->x[1]);
    Vdev  *vdev = vdev_at(rmm, in->x[2]);
    REQUIRE(vdev->rd == in->x[1], RMI_ERROR_INPUT, "vdev_realm");
    REQUIRE_DEV_LEAF(realm, ipa, level);
    uint64_t size = rtt_size((int)level);
    REQUIRE(is_aligned(pa, size), RMI_ERROR_INPUT, "pa_align");
    REQUIRE(pa < BIT(RMM_PA_BITS), RMI_ERROR_INPUT, "pa_bound");
    REQUIRE(all_in_state(rmm, pa, size, GRANULE_DEV_DELEGATED), RMI_ERROR_INPUT, "pa_state");
    RttWalk w = rtt_walk(rmm, realm, ipa, (int)level);
    REQUIRE_AT(w.level == level, RMI_ERROR_RTT, w.level, "rtt_walk");
    RttValue v = rtt_get(&w);
    REQUIRE_AT(v.kind == RTT_UNASSIGNED && (v.ripas == RIPAS_EMPTY || v.ripas == RIPAS_DESTROYED),
               RMI_ERROR_RTT, level, "rtte_state");

    set_all(rmm, pa, size, GRANULE_DEV_MAPPED);
    rtt_put(&w, (RttValue){ .kind = RTT_ASSIGNED_DEV, .ripas = v.ripas, .pa = pa, .attrs = DEV_ATTRS,
                            .vdev = (uint8_t)vdev->index });
    vdev->n_mapped += size / RMM_GRANULE_SIZE;
    LOG(RTT, "vmid %u ipa 0x%" PRIx64 " level %d: device 0x%" PRIx64, realm->vmid, ipa, (int)level, pa);
    return RMI_SUCCESS;
}

/* RMI_VDEV_UNMAP. x1: RD, x2: IPA, x3: level. Out: PA, non-live top. */
RMI(VDEV_UNMAP, .in = 3, .out = 2, .dialects = IN_ALP17, .needs_da = true)
{
    uint64_t ipa = in->x[2];
    int64_t  level = (int64_t)in->x[3];

    REQUIRE_GRANULE(in->x[1], GRANULE_RD, "rd");
    Realm *realm = realm_at(rmm, in->x[1]);
    REQUIRE_DEV_LEAF(realm, ipa, level);
    RttWalk  w = rtt_walk(rmm, realm, ipa, (int)level);
    RttValue v = rtt_get(&w);
    out->x[2] = rtt_non_live_top(&w, ipa);
    REQUIRE_AT(w.level == level, RMI_ERROR_RTT, w.level, "rtt_walk");
    REQUIRE_AT(v.kind == RTT_ASSIGNED_DEV, RMI_ERROR_RTT, w.level, "rtte_state");

    uint64_t size = rtt_size(w.level);
    Ripas    ripas = v.ripas == RIPAS_EMPTY ? RIPAS_EMPTY : RIPAS_DESTROYED;
    rtt_put(&w, (RttValue){ .kind = RTT_UNASSIGNED, .ripas = ripas });
    rtt_flush(rmm, realm, ipa, v.pa, size);
    set_all(rmm, v.pa, size, GRANULE_DEV_DELEGATED);
    vdev_at(rmm, realm_devices(realm)->vdev[v.vdev])->n_mapped -= size / RMM_GRANULE_SIZE;
    out->x[1] = v.pa;
    out->x[2] = rtt_non_live_top(&w, ipa);
    LOG(RTT, "vmid %u ipa 0x%" PRIx64 " level %d: device unmapped", realm->vmid, ipa, w.level);
    return RMI_SUCCESS;
}

/* Entries of one table from the walk on that map, for this VDEV, what the Realm expects; returns the IPA of
 * the first that does not. @pa: expected at @base. */
static uint64_t validate(const RttWalk *w, uint64_t base, uint64_t top, uint64_t pa, const Vdev *vdev)
{
    uint64_t size = rtt_size(w->level), done = base;

    for (unsigned i = w->index; i < RTT_ENTRIES && top - done >= size; i++, done += size) {
        RttValue v = rtt_get_at(w, i);
        if (v.kind != RTT_ASSIGNED_DEV || v.ripas != RIPAS_EMPTY || v.pa != pa + (done - base) ||
            v.vdev != vdev->index) {
            break;
        }
        v.ripas = RIPAS_DEV;
        rtt_put_at(w, i, v);
    }
    return done;
}

/* RMI_VDEV_VALIDATE_MAPPING. x1: RD, x2: REC that asked, x3: PDEV, x4: VDEV, x5: base, x6: top. Out:
 * how far. */
RMI(VDEV_VALIDATE_MAPPING, .in = 6, .out = 1, .dialects = IN_ALP17, .needs_da = true)
{
    uint64_t base = in->x[5], top = in->x[6];

    REQUIRE(top > base, RMI_ERROR_INPUT, "size_valid");
    REQUIRE(is_aligned(base, RMM_GRANULE_SIZE), RMI_ERROR_INPUT, "base_align");
    REQUIRE(is_aligned(top, RMM_GRANULE_SIZE), RMI_ERROR_INPUT, "top_align");
    REQUIRE_GRANULE(in->x[1], GRANULE_RD, "rd");
    REQUIRE_GRANULE(in->x[2], GRANULE_REC, "rec");
    REQUIRE_GRANULE(in->x[3], GRANULE_PDEV, "pdev");
    REQUIRE_GRANULE(in->x[4], GRANULE_VDEV, "vdev");
    Rec       *rec = rec_at(rmm, in->x[2]);
    RecDevice *q = rec_device(rec);
    Vdev      *vdev = vdev_at(rmm, in->x[4]);
    REQUIRE(!rec->running, RMI_ERROR_REC, "rec_running");
    REQUIRE(rec->rd == in->x[1], RMI_ERROR_REC, "rec_owner");
    REQUIRE(rec->pending == REC_VDEV_MAP && base == q->base, RMI_ERROR_INPUT, "base_bound");
    REQUIRE(top <= q->top, RMI_ERROR_INPUT, "top_bound");
    REQUIRE(vdev == rec_vdev(rmm, rec) && vdev->pdev == in->x[3], RMI_ERROR_DEVICE, "vdev_owner");
    /* Still locked, and not anew since the Realm was told the nonce: unlocking makes it zero, which no
     * request has. */
    REQUIRE(vdev->lock_nonce == q->lock_nonce, RMI_ERROR_DEVICE, "vdev_nonce");
    Realm  *realm = realm_at(rmm, in->x[1]);
    RttWalk w = rtt_walk(rmm, realm, base, RTT_LAST_LEVEL);
    REQUIRE_AT(is_aligned(base, rtt_size(w.level)), RMI_ERROR_RTT, w.level, "base_walk_align");
    uint64_t done = validate(&w, base, top, q->pa, vdev);
    REQUIRE_AT(done != base, RMI_ERROR_RTT, w.level, "no_progress");

    q->pa += done - base;
    q->base = done;
    out->x[1] = done;
    LOG(RTT, "vmid %u ipa 0x%" PRIx64 " to 0x%" PRIx64 ": RIPAS DEV", realm->vmid, base, done);
    return RMI_SUCCESS;
}
