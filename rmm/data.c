/*
 * Realm memory: pages that the host gives and takes. DEN0137, command pages RMI_DATA_*.
 */
#include "rmm/rmm_int.h"

#include <inttypes.h>
#include <string.h>

/* A page address in the protected half. */
#define REQUIRE_PROTECTED_PAGE(realm, ipa)                                                             \
    REQUIRE(is_aligned(ipa, RMM_GRANULE_SIZE), RMI_ERROR_INPUT, "ipa_align");                          \
    REQUIRE(realm_ipa_protected(realm, ipa), RMI_ERROR_INPUT, "ipa_bound")

/* RMI_DATA_CREATE. x1: RD, x2: granule, x3: IPA, x4: NS page with the content, x5: flags. */
RMI(DATA_CREATE, .in = 5, .out = 0)
{
    uint64_t data = in->x[2], ipa = in->x[3], src = in->x[4], flags = in->x[5];
    uint8_t  content[RMM_GRANULE_SIZE];

    /* Unused bits should be zero. Other RMMs insist on it, too. */
    REQUIRE_OURS((flags & ~RMI_DATA_MEASURE) == 0, RMI_ERROR_INPUT, "flags_valid");
    REQUIRE_NS(src, content, sizeof(content), "src");
    REQUIRE_TABLE_GRANULE(data, "data");
    REQUIRE_GRANULE(in->x[1], GRANULE_RD, "rd");
    Realm *realm = realm_at(rmm, in->x[1]);
    REQUIRE_PROTECTED_PAGE(realm, ipa);
    REQUIRE(realm->state == REALM_NEW, RMI_ERROR_REALM, "realm_state");
    RttWalk w = rtt_walk(rmm, realm, ipa, RTT_LAST_LEVEL);
    REQUIRE_AT(w.level == RTT_LAST_LEVEL, RMI_ERROR_RTT, w.level, "rtt_walk");
    REQUIRE_AT(rtt_get(&w).kind == RTT_UNASSIGNED, RMI_ERROR_RTT, w.level, "rtte_state");

    memcpy(granule_ptr(rmm, data), content, sizeof(content));
    memory_dirty(rmm->memory, data, RMM_GRANULE_SIZE);
    measure_data(rmm, realm, ipa, flags, content);
    granule_set(rmm, data, GRANULE_DATA);
    rtt_put(&w, (RttValue){ .kind = RTT_ASSIGNED, .ripas = RIPAS_RAM, .pa = data });
    return RMI_SUCCESS;
}

/* RMI_DATA_CREATE_UNKNOWN. x1: RD, x2: granule, x3: IPA. The content a Realm finds is zero. */
RMI(DATA_CREATE_UNKNOWN, .in = 3, .out = 0)
{
    uint64_t data = in->x[2], ipa = in->x[3];

    REQUIRE_TABLE_GRANULE(data, "data");
    REQUIRE_GRANULE(in->x[1], GRANULE_RD, "rd");
    Realm *realm = realm_at(rmm, in->x[1]);
    REQUIRE_PROTECTED_PAGE(realm, ipa);
    RttWalk w = rtt_walk(rmm, realm, ipa, RTT_LAST_LEVEL);
    REQUIRE_AT(w.level == RTT_LAST_LEVEL, RMI_ERROR_RTT, w.level, "rtt_walk");
    RttValue v = rtt_get(&w);
    REQUIRE_AT(v.kind == RTT_UNASSIGNED, RMI_ERROR_RTT, w.level, "rtte_state");

    granule_zero(rmm, data);
    granule_set(rmm, data, GRANULE_DATA);
    rtt_put(&w, (RttValue){ .kind = RTT_ASSIGNED, .ripas = v.ripas, .pa = data });
    return RMI_SUCCESS;
}

/* RMI_DATA_DESTROY. x1: RD, x2: IPA. Out: PA of the granule, non-live top. */
RMI(DATA_DESTROY, .in = 2, .out = 2)
{
    uint64_t ipa = in->x[2];

    REQUIRE_GRANULE(in->x[1], GRANULE_RD, "rd");
    Realm *realm = realm_at(rmm, in->x[1]);
    REQUIRE_PROTECTED_PAGE(realm, ipa);
    RttWalk  w = rtt_walk(rmm, realm, ipa, RTT_LAST_LEVEL);
    RttValue v = rtt_get(&w);
    out->x[2] = rtt_non_live_top(&w, ipa);
    REQUIRE_AT(w.level == RTT_LAST_LEVEL, RMI_ERROR_RTT, w.level, "rtt_walk");
    REQUIRE_AT(v.kind == RTT_ASSIGNED, RMI_ERROR_RTT, w.level, "rtte_state");

    Ripas ripas = v.ripas == RIPAS_EMPTY ? RIPAS_EMPTY : RIPAS_DESTROYED;
    rtt_put(&w, (RttValue){ .kind = RTT_UNASSIGNED, .ripas = ripas });
    rtt_flush(rmm, realm, ipa, v.pa, RMM_GRANULE_SIZE);
    granule_set(rmm, v.pa, GRANULE_DELEGATED);
    out->x[1] = v.pa;
    out->x[2] = rtt_non_live_top(&w, ipa);
    return RMI_SUCCESS;
}
