/*
 * Realms: creation, activation, destruction. DEN0137 "Realm", command pages RMI_REALM_*. The RD granule holds
 * struct Realm; its root tables are consecutive granules.
 */
#include "rmm/rmm_int.h"

#include <string.h>

/* What REALM_CREATE reads of RmiRealmParams. */
typedef struct RealmParams {
    uint64_t flags0, flags1, rtt_base;
    int64_t  level_start;
    uint32_t s2sz, n_bps, n_wps, n_ctrs, n_aux_planes, n_root;
    uint16_t vmid;
    uint8_t  hash;
    uint8_t  page[RMM_GRANULE_SIZE];
} RealmParams;

static void parse_params(RealmParams *p)
{
    p->flags0 = le64_get(p->page + RMI_REALM_FLAGS0);
    p->flags1 = le64_get(p->page + RMI_REALM_FLAGS1);
    p->s2sz = le32_get(p->page + RMI_REALM_S2SZ);
    p->n_bps = le32_get(p->page + RMI_REALM_NUM_BPS);
    p->n_wps = le32_get(p->page + RMI_REALM_NUM_WPS);
    p->n_ctrs = le32_get(p->page + RMI_REALM_PMU_NUM_CTRS);
    p->n_aux_planes = le32_get(p->page + RMI_REALM_NUM_AUX_PLANES);
    p->hash = p->page[RMI_REALM_HASH_ALGO];
    p->vmid = le16_get(p->page + RMI_REALM_VMID);
    p->rtt_base = le64_get(p->page + RMI_REALM_RTT_BASE);
    p->level_start = (int64_t)le64_get(p->page + RMI_REALM_RTT_LEVEL_START);
    p->n_root = le32_get(p->page + RMI_REALM_RTT_NUM_START);
}

/* DDI 0487, "concatenated translation tables": as many root tables as the IPA size needs at the start level,
 * at most 16; and none of them empty by half, so that one size has one shape at a level. */
static bool geometry_valid(const RealmParams *p)
{
    if (p->level_start < 0 || p->level_start > RTT_LAST_LEVEL) {
        return false;
    }
    unsigned table_bits = 12 + 9 * (unsigned)(RTT_LAST_LEVEL - p->level_start) + 9;
    unsigned next_bits = table_bits - 9; /* of one entry */
    uint64_t needed = p->s2sz <= table_bits ? 1 : BIT(p->s2sz - table_bits);

    return p->s2sz > next_bits && needed <= 16 && p->n_root == needed;
}

static bool vmid_is_free(const Rmm *rmm, uint16_t vmid)
{
    return !(rmm->vmid_used[vmid / 64] & BIT(vmid % 64));
}
static void vmid_take(Rmm *rmm, uint16_t vmid) { rmm->vmid_used[vmid / 64] |= BIT(vmid % 64); }
static void vmid_free(Rmm *rmm, uint16_t vmid) { rmm->vmid_used[vmid / 64] &= ~BIT(vmid % 64); }

/* DEN0137, RMI_REALM_CREATE "params_valid" (encodings; a number of breakpoints of 0 is reserved) and "params_supp"
 * (what this machine has), item by item. Unused bits of the flags should be zero; other RMMs insist on it, too. With
 * the one plane that a Realm has here, a tree for each plane is one tree. */
static uint64_t rmi_REALM_CREATE__params(Rmm *rmm, const RealmParams *p)
{
    bool     planes = rmm->dialect->realm_planes;
    uint64_t flags1 = planes ? p->flags1 : 0;

    REQUIRE((p->flags0 & ~rmm->dialect->realm_flags) == 0 &&
                (flags1 & ~(RMI_REALM_FLAG_RTT_TREE_PP | RMI_REALM_FLAG_S2AP_INDIRECT)) == 0,
            RMI_ERROR_INPUT, "params_valid/flags");
    REQUIRE(p->n_bps >= 1, RMI_ERROR_INPUT, "params_valid/num_bps");
    REQUIRE(p->n_wps >= 1, RMI_ERROR_INPUT, "params_valid/num_wps");
    REQUIRE(p->hash <= RMI_HASH_SHA_512, RMI_ERROR_INPUT, "params_valid/hash_algo");
    REQUIRE(!(p->flags0 & RMI_REALM_FLAG_LPA2), RMI_ERROR_INPUT, "params_supp/lpa2");
    REQUIRE(p->s2sz >= 32 && p->s2sz <= RMM_PA_BITS, RMI_ERROR_INPUT, "params_supp/s2sz");
    REQUIRE(p->n_bps <= rmm->max_bps, RMI_ERROR_INPUT, "params_supp/num_bps");
    REQUIRE(p->n_wps <= rmm->max_wps, RMI_ERROR_INPUT, "params_supp/num_wps");
    REQUIRE(!(p->flags0 & RMI_REALM_FLAG_SVE), RMI_ERROR_INPUT, "params_supp/sve");
    REQUIRE(!(p->flags0 & RMI_REALM_FLAG_PMU) || p->n_ctrs <= A64_N_COUNTERS, RMI_ERROR_INPUT,
            "params_supp/pmu_num_ctrs");
    REQUIRE(rmm->da || !(p->flags0 & RMI_REALM_FLAG_DA), RMI_ERROR_INPUT, "params_supp/da");
    REQUIRE(!planes || p->n_aux_planes == 0, RMI_ERROR_INPUT, "params_supp/planes");
    REQUIRE(!(flags1 & RMI_REALM_FLAG_S2AP_INDIRECT), RMI_ERROR_INPUT, "params_supp/rtt_s2ap_indirect");
    return RMI_SUCCESS;
}

static bool root_is_delegated(Rmm *rmm, const RealmParams *p)
{
    for (uint32_t i = 0; i < p->n_root; i++) {
        if (granule_state(rmm, p->rtt_base + (uint64_t)i * RMM_GRANULE_SIZE) != GRANULE_DELEGATED) {
            return false;
        }
    }
    return true;
}

/* DEN0137 "Realm creation": the protected half is UNASSIGNED, EMPTY; the other UNASSIGNED_NS. */
static void make_root(Rmm *rmm, const Realm *realm)
{
    uint64_t size = rtt_size(realm->level_start), ipa = 0;

    for (uint32_t t = 0; t < realm->n_root; t++) {
        uint64_t pa = realm->rtt_base + (uint64_t)t * RMM_GRANULE_SIZE;
        RttWalk  w = { .level = realm->level_start, .table = granule_ptr(rmm, pa), .base = ipa };
        granule_zero(rmm, pa);
        for (unsigned i = 0; i < RTT_ENTRIES; i++, ipa += size) {
            bool protected = realm_ipa_protected(realm, ipa);
            rtt_put_at(&w, i, (RttValue){ .kind = protected ? RTT_UNASSIGNED : RTT_UNASSIGNED_NS });
        }
        granule_set(rmm, pa, GRANULE_RTT);
    }
}

const char *realm_state_name(RealmState state)
{
    static const char *const names[] = { [REALM_NEW] = "NEW", [REALM_ACTIVE] = "ACTIVE",
                                         [REALM_SYSTEM_OFF] = "SYSTEM_OFF" };

    return names[state];
}

/* For whoever waits for it. @from: NULL: it was made. */
static void tell_state(const Realm *realm, uint64_t rd, const char *from, const char *to)
{
    event_tell(&(Event){ .kind = EVENT_REALM, .name = to, .from = from, .number = rd, .realm = realm->vmid });
}

void realm_set_state(Realm *realm, uint64_t rd, RealmState state)
{
    tell_state(realm, rd, realm_state_name(realm->state), realm_state_name(state));
    realm->state = state;
}

/* RMI_REALM_CREATE. x1: granule for the RD, x2: NS page of RmiRealmParams. */
RMI(REALM_CREATE, .in = 2, .out = 0)
{
    uint64_t    rd = in->x[1];
    RealmParams p;

    REQUIRE_NS(in->x[2], p.page, sizeof(p.page), "params");
    parse_params(&p);
    uint64_t st = rmi_REALM_CREATE__params(rmm, &p);
    if (st != RMI_SUCCESS) {
        return st;
    }
    REQUIRE(!ranges_overlap(rd, RMM_GRANULE_SIZE, p.rtt_base, (uint64_t)p.n_root * RMM_GRANULE_SIZE),
            RMI_ERROR_INPUT, "alias");
    REQUIRE_GRANULE(rd, GRANULE_DELEGATED, "rd");
    REQUIRE(geometry_valid(&p), RMI_ERROR_INPUT, "rtt_num_level"); /* first: alignment is to a power of 2 then */
    REQUIRE(is_aligned(p.rtt_base, (uint64_t)p.n_root * RMM_GRANULE_SIZE), RMI_ERROR_INPUT, "rtt_align");
    REQUIRE(root_is_delegated(rmm, &p), RMI_ERROR_INPUT, "rtt_state");
    REQUIRE(vmid_is_free(rmm, p.vmid), RMI_ERROR_INPUT, "vmid_valid");

    Realm *realm = realm_at(rmm, rd);
    granule_zero(rmm, rd);
    granule_set(rmm, rd, GRANULE_RD);
    *realm = (Realm){
        .state = REALM_NEW, .ipa_bits = p.s2sz, .level_start = (int32_t)p.level_start, .n_root = p.n_root,
        .rtt_base = p.rtt_base, .vmid = p.vmid, .hash = (RmiHash)p.hash, .flags0 = p.flags0, .n_bps = p.n_bps,
        .n_wps = p.n_wps, .n_ctrs = p.n_ctrs,
    };
    memcpy(realm->rpv, p.page + RMI_REALM_RPV, sizeof(realm->rpv));
    vmid_take(rmm, p.vmid);
    make_root(rmm, realm);
    measure_realm(rmm, realm, p.page);
    tell_state(realm, rd, NULL, "NEW");
    return RMI_SUCCESS;
}

/* RMI_REALM_ACTIVATE. x1: RD. From here on the RIM does not change. */
RMI(REALM_ACTIVATE, .in = 1, .out = 0)
{
    REQUIRE_GRANULE(in->x[1], GRANULE_RD, "rd");
    Realm *realm = realm_at(rmm, in->x[1]);
    REQUIRE(realm->state == REALM_NEW, RMI_ERROR_REALM, "realm_state");

    realm_set_state(realm, in->x[1], REALM_ACTIVE);
    return RMI_SUCCESS;
}

/* DEN0137 "Realm liveness". */
static bool realm_is_live(Rmm *rmm, const Realm *realm)
{
    bool live = realm->n_recs != 0 || realm->n_vdevs != 0;

    for (uint32_t t = 0; t < realm->n_root; t++) {
        live =
            live || rtt_count_in_use(granule_ptr(rmm, realm->rtt_base + (uint64_t)t * RMM_GRANULE_SIZE)) != 0;
    }
    return live;
}

/* Host pages that the root itself still maps, in the unprotected half. */
static void drop_root_mappings(Rmm *rmm, const Realm *realm)
{
    uint64_t size = rtt_size(realm->level_start);

    for (uint64_t ipa = realm_par_top(realm); ipa < realm_ipa_top(realm); ipa += size) {
        RttWalk  w = rtt_walk(rmm, realm, ipa, realm->level_start);
        RttValue v = rtt_get(&w);
        if (v.kind == RTT_ASSIGNED_NS) {
            rtt_flush(rmm, realm, ipa, v.pa, size);
        }
    }
}

/* RMI_REALM_DESTROY. x1: RD. */
RMI(REALM_DESTROY, .in = 1, .out = 0)
{
    uint64_t rd = in->x[1];

    REQUIRE_GRANULE(rd, GRANULE_RD, "rd");
    Realm realm = *realm_at(rmm, rd);
    REQUIRE(!realm_is_live(rmm, &realm), RMI_ERROR_REALM, "realm_live");

    drop_root_mappings(rmm, &realm);
    rtt_flush_all(rmm, &realm);
    for (uint32_t t = 0; t < realm.n_root; t++) {
        granule_set(rmm, realm.rtt_base + (uint64_t)t * RMM_GRANULE_SIZE, GRANULE_DELEGATED);
    }
    granule_set(rmm, rd, GRANULE_DELEGATED);
    vmid_free(rmm, realm.vmid);
    tell_state(&realm, rd, realm_state_name(realm.state), "destroyed");
    return RMI_SUCCESS;
}
