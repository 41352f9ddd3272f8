/*
 * Physical devices: the SPDM connection to a device, its identity, and the IDE stream to it. DEN0137
 * 1.1-alp17, "Physical device", command pages RMI_PDEV_*. Devices behind a root port with one selective,
 * non-coherent stream; not offered: coherent streams, P2P, devices without SPDM.
 */
#include "rmm/dev_int.h"

#include <inttypes.h>
#include <string.h>

enum { STREAM_MAX = 31, CERT_SLOTS = 8 }; /* the bound is the compliance suite's */

static bool flags_offered(const RmmDialect *d, uint64_t flags)
{
    return (flags & ~d->pdev_flags_also) == d->pdev_flags;
}

/* ---- the link ---- */

DevLink *pdev_link(Rmm *rmm, Pdev *pdev)
{
    DevLink *link = &dev_state(rmm)->link;
    uint8_t *at = (uint8_t *)link;

    for (size_t i = 0, left = sizeof(*link); i < PDEV_N_AUX; i++) {
        size_t n = MIN(left, RMM_GRANULE_SIZE);
        memcpy(at, granule_ptr(rmm, pdev->aux[i]), n);
        at += n;
        left -= n;
    }
    link->spdm.entropy = &rmm->entropy;
    return link;
}

void pdev_link_keep(Rmm *rmm, const Pdev *pdev)
{
    DevLink       *link = &dev_state(rmm)->link;
    const uint8_t *at = (const uint8_t *)link;

    link->spdm.entropy = NULL; /* an address means nothing in a granule */
    for (size_t i = 0, left = sizeof(*link); i < PDEV_N_AUX; i++) {
        size_t n = MIN(left, RMM_GRANULE_SIZE);
        memcpy(granule_ptr(rmm, pdev->aux[i]), at, n);
        at += n;
        left -= n;
    }
}

/* ---- states ---- */

const char *pdev_state_name(RmiPdevState state)
{
    static const char *const names[] = {
        [RMI_PDEV_NEW] = "NEW",
        [RMI_PDEV_NEEDS_KEY] = "NEEDS_KEY",
        [RMI_PDEV_HAS_KEY] = "HAS_KEY",
        [RMI_PDEV_READY] = "READY",
        [RMI_PDEV_IDE_RESETTING] = "IDE_RESETTING",
        [RMI_PDEV_COMMUNICATING] = "COMMUNICATING",
        [RMI_PDEV_STOPPING] = "STOPPING",
        [RMI_PDEV_STOPPED] = "STOPPED",
        [RMI_PDEV_ERROR] = "ERROR",
    };

    return names[state];
}

static void set_state(Pdev *pdev, RmiPdevState state)
{
    LOG(RMI, "pdev 0x%" PRIx64 ": %s to %s", pdev->id, pdev_state_name(pdev->state), pdev_state_name(state));
    event_tell(&(Event){ .kind = EVENT_PDEV, .name = pdev_state_name(state), .from = pdev_state_name(pdev->state),
                         .number = pdev->id });
    pdev->state = state;
}

void pdev_fail(Rmm *rmm, Pdev *pdev)
{
    dev_root_release(rmm, pdev);
    pdev->comm.state = DEV_COMM_IDLE;
    pdev->talker = 0;
    for (unsigned i = 0; i < DEV_MAX_VDEVS; i++) {
        if (pdev->vdev[i] != 0) {
            vdev_fail(rmm, vdev_at(rmm, pdev->vdev[i]));
        }
    }
    set_state(pdev, RMI_PDEV_ERROR);
}

/* DEN0137 "PDEV lifecycle": where the end of a conversation leads. */
static void conversation_ended(Rmm *rmm, Pdev *pdev, bool failed)
{
    if (pdev->state == RMI_PDEV_STOPPING) { /* whatever the device said: it is given up */
        dev_root_release(rmm, pdev);
        set_state(pdev, RMI_PDEV_STOPPED);
    } else if (failed) {
        pdev_fail(rmm, pdev);
    } else {
        set_state(pdev, pdev->state == RMI_PDEV_NEW ? RMI_PDEV_NEEDS_KEY : RMI_PDEV_READY);
    }
}

/* ---- creation ---- */

/* RMI_PDEV_AUX_COUNT. x1: flags. Out: number of auxiliary granules. */
RMI(PDEV_AUX_COUNT, .in = 1, .out = 1, .dialects = IN_DA, .needs_da = true, .source = RMM_SUITE)
{
    REQUIRE(flags_offered(rmm->dialect, in->x[1]), RMI_ERROR_NOT_SUPPORTED, "flags_supp");
    out->x[1] = PDEV_N_AUX;
    return RMI_SUCCESS;
}

/* Address ranges that the host says the device has: granules, in order. */
static bool ranges_valid(const uint8_t *params)
{
    uint64_t n = le64_get(params + RMI_PDEV_NCOH_NUM_ADDR);

    if (n > RMI_PDEV_NCOH_MAX || le64_get(params + RMI_PDEV_COH_NUM_ADDR) != 0) {
        return false;
    }
    for (uint64_t i = 0; i < n; i++) {
        uint64_t base = le64_get(params + RMI_PDEV_NCOH_ADDR + 16 * i);
        uint64_t top = le64_get(params + RMI_PDEV_NCOH_ADDR + 16 * i + 8);
        if (!is_aligned(base | top, RMM_GRANULE_SIZE) || top <= base || top > BIT(RMM_PA_BITS)) {
            return false;
        }
    }
    return true;
}

/* Each auxiliary granule is DELEGATED, and named once. */
static uint64_t rmi_PDEV_CREATE__aux(Rmm *rmm, const uint8_t *params, uint64_t pdev)
{
    for (unsigned i = 0; i < PDEV_N_AUX; i++) {
        uint64_t pa = le64_get(params + RMI_PDEV_AUX + 8 * i);
        bool     once = pa != pdev;
        for (unsigned j = 0; j < i; j++) {
            once = once && pa != le64_get(params + RMI_PDEV_AUX + 8 * j);
        }
        REQUIRE(is_aligned(pa, RMM_GRANULE_SIZE), RMI_ERROR_INPUT, "aux_align");
        REQUIRE(once, RMI_ERROR_INPUT, "aux_alias");
        REQUIRE(granule_state(rmm, pa) == GRANULE_DELEGATED, RMI_ERROR_INPUT, "aux_state");
    }
    return RMI_SUCCESS;
}

/* Requester IDs from @base up to @top. A range of zeros, which public hosts leave there, is the function itself. */
typedef struct RidRange {
    uint16_t base, top;
} RidRange;

static RidRange rid_range(const uint8_t *params)
{
    RidRange r = { le16_get(params + RMI_PDEV_RID_BASE), le16_get(params + RMI_PDEV_RID_TOP) };
    uint16_t id = le16_get(params + RMI_PDEV_ID);

    return r.base == 0 && r.top == 0 ? (RidRange){ id, (uint16_t)(id + 1) } : r;
}

/* Another PDEV with this stream of the root port could key it anew under that one's feet; one with the same
 * requester IDs would pass for its functions. */
static bool stream_is_used(Rmm *rmm, const uint8_t *params)
{
    for (unsigned i = 0; i < DEV_MAX_PDEVS; i++) {
        const Pdev *p = dev_state(rmm)->pdev[i] != 0 ? pdev_at(rmm, dev_state(rmm)->pdev[i]) : NULL;
        if (p != NULL && p->root_id == le16_get(params + RMI_PDEV_ROOT_ID) &&
            (p->ide_sid == le64_get(params + RMI_PDEV_IDE_SID) ||
             (p->has_link && p->link_sid == le64_get(params + RMI_PDEV_IDE_SID)))) {
            return true;
        }
    }
    return false;
}

static bool rids_are_used(Rmm *rmm, const uint8_t *params)
{
    RidRange r = rid_range(params);

    for (unsigned i = 0; i < DEV_MAX_PDEVS; i++) {
        const Pdev *p = dev_state(rmm)->pdev[i] != 0 ? pdev_at(rmm, dev_state(rmm)->pdev[i]) : NULL;
        if (p != NULL && p->segment == params[RMI_PDEV_SEGMENT] && r.base < p->rid_top && p->rid_base < r.top) {
            return true;
        }
    }
    return false;
}

/* The place of @pa in the table of PDEVs (0: a free one); NULL: there is none. */
static uint64_t *find_place(Rmm *rmm, uint64_t pa)
{
    for (unsigned i = 0; i < DEV_MAX_PDEVS; i++) {
        if (dev_state(rmm)->pdev[i] == pa) {
            return &dev_state(rmm)->pdev[i];
        }
    }
    return NULL;
}

static void parse(Pdev *pdev, const uint8_t *params)
{
    RidRange rids = rid_range(params);

    *pdev = (Pdev){
        .state = RMI_PDEV_NEW,
        .flags = le64_get(params + RMI_PDEV_FLAGS), .id = le64_get(params + RMI_PDEV_ID),
        .ecam = le64_get(params + RMI_PDEV_ECAM), .cert_id = le64_get(params + RMI_PDEV_CERT_ID),
        .segment = params[RMI_PDEV_SEGMENT], .root_id = le16_get(params + RMI_PDEV_ROOT_ID),
        .rid_base = rids.base, .rid_top = rids.top,
        .hash = (RmiHash)params[RMI_PDEV_HASH_ALGO], .ide_sid = (uint8_t)le64_get(params + RMI_PDEV_IDE_SID),
    };
    for (unsigned i = 0; i < PDEV_N_AUX; i++) {
        pdev->aux[i] = le64_get(params + RMI_PDEV_AUX + 8 * i);
    }
}

/* What TF-RMM agrees to with a device: keys that RMI_PDEV_SET_PUBKEY can name, and what goes with them. */
static const SpdmOffer cma_profile = {
    .version_min = SPDM_VERSION_12,
    .version_max = SPDM_VERSION_12,
    .algorithms = {
        .hash = BIT(0) | BIT(1),            /* SHA-256, SHA-384 */
        .asym = BIT(2) | BIT(4) | BIT(7),   /* RSASSA-3072, ECDSA P-256, P-384 */
        .dhe = BIT(3) | BIT(4),             /* P-256, P-384 */
        .aead = BIT(0) | BIT(1),            /* AES-128-GCM, AES-256-GCM */
    },
};

/* RMI_PDEV_CREATE. x1: granule of the PDEV, x2: NS page of RmiPdevParams. */
RMI(PDEV_CREATE, .in = 2, .out = 0, .dialects = IN_DA, .needs_da = true, .source = RMM_SUITE)
{
    uint64_t pa = in->x[1];
    uint8_t  params[RMM_GRANULE_SIZE];

    REQUIRE_GRANULE(pa, GRANULE_DELEGATED, "pdev");
    REQUIRE_HOST_PAGE(in->x[2], ns_read(rmm, in->x[2], params, sizeof(params)), "params");
    REQUIRE(le64_get(params + RMI_PDEV_CERT_ID) < CERT_SLOTS, RMI_ERROR_INPUT, "params_valid/cert_id");
    REQUIRE(rid_range(params).base < rid_range(params).top, RMI_ERROR_INPUT, "params_valid/rid");
    REQUIRE(!rids_are_used(rmm, params), RMI_ERROR_INPUT, "params_valid/rid_used");
    REQUIRE(ranges_valid(params), RMI_ERROR_INPUT, "params_valid/addr");
    REQUIRE(params[RMI_PDEV_HASH_ALGO] <= RMI_HASH_SHA_512, RMI_ERROR_INPUT, "params_valid/hash_algo");
    REQUIRE(flags_offered(rmm->dialect, le64_get(params + RMI_PDEV_FLAGS)), RMI_ERROR_NOT_SUPPORTED, "flags_supp");
    REQUIRE_OURS(le64_get(params + RMI_PDEV_CERT_ID) == 0, RMI_ERROR_NOT_SUPPORTED, "cert_id_supp");
    REQUIRE(le64_get(params + RMI_PDEV_NUM_AUX) == PDEV_N_AUX, RMI_ERROR_INPUT, "num_aux");
    uint64_t st = rmi_PDEV_CREATE__aux(rmm, params, pa);
    if (st != RMI_SUCCESS) {
        return st;
    }
    REQUIRE(le64_get(params + RMI_PDEV_IDE_SID) <= STREAM_MAX, RMI_ERROR_INPUT, "ncoh_ide_sid_bound");
    REQUIRE_OURS(!stream_is_used(rmm, params), RMI_ERROR_INPUT, "ide_sid_used");
    uint64_t *place = find_place(rmm, 0);
    REQUIRE_OURS(place != NULL, RMI_ERROR_DEVICE, "num_pdevs");

    Pdev *pdev = pdev_at(rmm, pa);
    *place = pa;
    granule_zero(rmm, pa);
    granule_set(rmm, pa, GRANULE_PDEV);
    parse(pdev, params);
    for (unsigned i = 0; i < PDEV_N_AUX; i++) {
        granule_zero(rmm, pdev->aux[i]);
        granule_set(rmm, pdev->aux[i], GRANULE_PDEV_AUX);
    }
    event_tell(&(Event){ .kind = EVENT_PDEV, .name = pdev_state_name(pdev->state), .number = pdev->id });
    SpdmRequester *spdm = &pdev_link(rmm, pdev)->spdm;

    spdm_requester_init(spdm, &rmm->entropy);
    spdm_requester_offer(spdm, &cma_profile);
    spdm->options.transfer_size = SPDM_MSG_MAX; /* with CHUNK: for devices whose buffer is smaller */
    pdev_link_keep(rmm, pdev);
    dev_queue(&pdev->comm, DEV_CONNECT);
    return RMI_SUCCESS;
}

/* RMI_PDEV_GET_STATE. x1: PDEV. Out: RmiPdevState. */
RMI(PDEV_GET_STATE, .in = 1, .out = 1, .dialects = IN_DA, .needs_da = true, .source = RMM_SUITE)
{
    REQUIRE_GRANULE_AS(in->x[1], GRANULE_PDEV, "pdev", "pdev_gran_state");
    out->x[1] = pdev_at(rmm, in->x[1])->state;
    return RMI_SUCCESS;
}

/* ---- talking ---- */

/* RMI_PDEV_COMMUNICATE. x1: PDEV, x2: NS page of RmiDevCommData. That the device failed shows in the PDEV's
 * state. */
RMI(PDEV_COMMUNICATE, .in = 2, .out = 0, .dialects = IN_DA, .needs_da = true, .source = RMM_SUITE)
{
    DevEnter enter;

    REQUIRE_GRANULE_AS(in->x[1], GRANULE_PDEV, "pdev", "pdev_gran_state");
    REQUIRE_COMM_DATA(in->x[2], &enter);
    Pdev *pdev = pdev_at(rmm, in->x[1]);
    REQUIRE_COMM_STATE(&pdev->comm, &enter);

    DevResult r = dev_talk(rmm, pdev, NULL, &enter);
    if (r != DEV_WAITS) {
        conversation_ended(rmm, pdev, r == DEV_FAILED);
    }
    return RMI_SUCCESS;
}

/* "RmiPublicKeyAlgorithm". */
static const SpdmKeyKind key_kinds[] = {
    [RMI_KEY_RSASSA_3072] = SPDM_KEY_RSA_3072,
    [RMI_KEY_ECDSA_P256] = SPDM_KEY_P256,
    [RMI_KEY_ECDSA_P384] = SPDM_KEY_P384,
};

static size_t key_len(unsigned algo)
{
    return algo < ARRAY_LEN(key_kinds) ? spdm_key_type(key_kinds[algo])->public_len : 0;
}

/* @params: of a known algorithm, with a key of its length. The metadata of an RSA key is its exponent, big-endian,
 * as TF-A-tests' host gives it; no text of DEN0137 is at hand. */
static SpdmPublicKey read_key(const uint8_t *params)
{
    SpdmPublicKey key = { .kind = key_kinds[params[RMI_KEY_ALGO]], .len = le16_get(params + RMI_KEY_LEN) };
    uint64_t      metadata_len = le64_get(params + RMI_KEY_METADATA_LEN);

    memcpy(key.bytes, params + RMI_KEY_KEY, key.len);
    for (uint64_t i = 0; i < metadata_len && metadata_len <= sizeof(key.exponent); i++) {
        key.exponent = key.exponent << 8 | params[RMI_KEY_METADATA + i];
    }
    return key;
}

/* RMI_PDEV_SET_PUBKEY. x1: PDEV, x2: NS page of RmiPublicKeyParams. Whose key it is, the Realm finds out: by
 * its digest. */
RMI(PDEV_SET_PUBKEY, .in = 2, .out = 0, .dialects = IN_DA, .needs_da = true, .source = RMM_SUITE)
{
    uint8_t params[RMM_GRANULE_SIZE];

    REQUIRE_GRANULE_AS(in->x[1], GRANULE_PDEV, "pdev", "pdev_gran_state");
    REQUIRE_HOST_PAGE(in->x[2], ns_read(rmm, in->x[2], params, sizeof(params)), "params");
    unsigned algo = params[RMI_KEY_ALGO];
    uint64_t len = le64_get(params + RMI_KEY_LEN);
    REQUIRE(len <= RMI_KEY_MAX, RMI_ERROR_INPUT, "key_len_oflow");
    REQUIRE(key_len(algo) != 0, RMI_ERROR_INPUT, "key_invalid/algo");
    REQUIRE(key_len(algo) == len, RMI_ERROR_INPUT, "key_invalid/len");
    REQUIRE(le64_get(params + RMI_KEY_METADATA_LEN) <= RMI_KEY_MAX, RMI_ERROR_INPUT, "metadata_len_oflow");
    Pdev *pdev = pdev_at(rmm, in->x[1]);
    REQUIRE(pdev->state == RMI_PDEV_NEEDS_KEY, RMI_ERROR_DEVICE, "pdev_state");
    SpdmPublicKey key = read_key(params);
    SpdmKeyResult r = spdm_requester_set_public_key(&pdev_link(rmm, pdev)->spdm, &key);
    REQUIRE_OURS(r != SPDM_KEY_UNSUPPORTED, RMI_ERROR_DEVICE, "algo_negotiated");
    REQUIRE(r == SPDM_KEY_OK, RMI_ERROR_INPUT, "key_invalid/key");

    pdev_link_keep(rmm, pdev);
    measure(rmm, pdev->hash, params + RMI_KEY_KEY, len, pdev->key_digest);
    set_state(pdev, RMI_PDEV_HAS_KEY);
    dev_queue(&pdev->comm, DEV_SECURE);
    return RMI_SUCCESS;
}

/* RMI_PDEV_ABORT. x1: PDEV. What was under way begins anew at the next COMMUNICATE; a key refresh is
 * dropped. */
RMI(PDEV_ABORT, .in = 1, .out = 0, .dialects = IN_DA, .needs_da = true, .source = RMM_SUITE)
{
    REQUIRE_GRANULE_AS(in->x[1], GRANULE_PDEV, "pdev", "pdev_gran_state");
    Pdev *pdev = pdev_at(rmm, in->x[1]);
    REQUIRE(pdev->state == RMI_PDEV_NEW || pdev->state == RMI_PDEV_HAS_KEY ||
                pdev->state == RMI_PDEV_COMMUNICATING,
            RMI_ERROR_DEVICE, "pdev_state");

    dev_cut_short(rmm, pdev, &pdev->comm);
    if (pdev->state == RMI_PDEV_COMMUNICATING) {
        set_state(pdev, RMI_PDEV_READY);
    } else {
        dev_queue(&pdev->comm, pdev->state == RMI_PDEV_NEW ? DEV_CONNECT : DEV_SECURE);
    }
    return RMI_SUCCESS;
}

/* RMI_PDEV_IDE_RESET. x1: PDEV. */
RMI(PDEV_IDE_RESET, .in = 1, .out = 0, .dialects = IN_DA, .needs_da = true, .source = RMM_SUITE)
{
    REQUIRE_GRANULE_AS(in->x[1], GRANULE_PDEV, "pdev", "pdev_gran_state");
    Pdev *pdev = pdev_at(rmm, in->x[1]);
    REQUIRE(pdev->state == RMI_PDEV_READY, RMI_ERROR_DEVICE, "pdev_state");
    REQUIRE(pdev->n_vdevs == 0, RMI_ERROR_DEVICE, "num_vdevs");

    set_state(pdev, RMI_PDEV_IDE_RESETTING);
    dev_queue(&pdev->comm, DEV_IDE_RESET);
    return RMI_SUCCESS;
}

static void refresh(Pdev *pdev)
{
    set_state(pdev, RMI_PDEV_COMMUNICATING);
    dev_queue(&pdev->comm, DEV_REFRESH);
}

/* RMI_PDEV_IDE_KEY_REFRESH. x1: PDEV, x2: 1 for the coherent stream, which there is none of. */
RMI(PDEV_IDE_KEY_REFRESH, .in = 2, .out = 0, .dialects = IN_ALP17, .needs_da = true, .source = RMM_SUITE)
{
    REQUIRE_GRANULE_AS(in->x[1], GRANULE_PDEV, "pdev", "pdev_gran_state");
    Pdev *pdev = pdev_at(rmm, in->x[1]);
    REQUIRE_OURS(in->x[2] <= 1, RMI_ERROR_INPUT, "coh_valid");
    REQUIRE(in->x[2] == 0, RMI_ERROR_NOT_SUPPORTED, "no_connection");
    REQUIRE(pdev->state == RMI_PDEV_READY, RMI_ERROR_DEVICE, "pdev_state");
    REQUIRE_OURS(pdev->talker == 0, RMI_ERROR_DEVICE, "pdev_busy");

    refresh(pdev);
    return RMI_SUCCESS;
}

/* RMI_PDEV_NOTIFY. x1: PDEV, x2: event. The one event is that the keys have been used for too long. */
RMI(PDEV_NOTIFY, .in = 2, .out = 0, .dialects = IN_ALP12, .needs_da = true, .source = RMM_PEERS)
{
    REQUIRE_GRANULE_AS(in->x[1], GRANULE_PDEV, "pdev", "pdev_gran_state");
    Pdev *pdev = pdev_at(rmm, in->x[1]);
    REQUIRE(pdev->state == RMI_PDEV_READY, RMI_ERROR_DEVICE, "pdev_state");
    REQUIRE(in->x[2] == RMI_PDEV_EVENT_IDE_KEY_REFRESH, RMI_ERROR_INPUT, "ev_valid");
    REQUIRE_OURS(pdev->talker == 0, RMI_ERROR_DEVICE, "pdev_busy");

    refresh(pdev);
    return RMI_SUCCESS;
}

/* ---- the end ---- */

/* RMI_PDEV_STOP. x1: PDEV. */
RMI(PDEV_STOP, .in = 1, .out = 0, .dialects = IN_DA, .needs_da = true, .source = RMM_SUITE)
{
    REQUIRE_GRANULE_AS(in->x[1], GRANULE_PDEV, "pdev", "pdev_gran_state");
    Pdev *pdev = pdev_at(rmm, in->x[1]);
    REQUIRE(pdev->state != RMI_PDEV_COMMUNICATING && pdev->state != RMI_PDEV_STOPPING &&
                pdev->state != RMI_PDEV_STOPPED,
            RMI_ERROR_DEVICE, "pdev_state");
    REQUIRE(pdev->n_vdevs == 0, RMI_ERROR_DEVICE, "num_vdevs");

    dev_cut_short(rmm, pdev, &pdev->comm);
    set_state(pdev, RMI_PDEV_STOPPING);
    dev_queue(&pdev->comm, DEV_END);
    return RMI_SUCCESS;
}

/* RMI_PDEV_DESTROY. x1: PDEV. */
RMI(PDEV_DESTROY, .in = 1, .out = 0, .dialects = IN_DA, .needs_da = true, .source = RMM_SUITE)
{
    REQUIRE_GRANULE_AS(in->x[1], GRANULE_PDEV, "pdev", "pdev_gran_state");
    Pdev pdev = *pdev_at(rmm, in->x[1]);
    REQUIRE(pdev.state == RMI_PDEV_STOPPED, RMI_ERROR_DEVICE, "pdev_state");

    for (unsigned i = 0; i < PDEV_N_AUX; i++) {
        granule_set(rmm, pdev.aux[i], GRANULE_DELEGATED);
    }
    granule_set(rmm, in->x[1], GRANULE_DELEGATED);
    *find_place(rmm, in->x[1]) = 0;
    event_tell(&(Event){ .kind = EVENT_PDEV, .name = "destroyed", .from = pdev_state_name(pdev.state),
                         .number = pdev.id });
    return RMI_SUCCESS;
}

/* ---- life ---- */

/* Device assignment is there when the dialect has it and the platform all of its parts: root ports with IDE, a Realm
 * side of the SMMU. */
static void device_init(Rmm *rmm)
{
    const RmmPlatform *p = &rmm->platform;

    if (!rmm->dialect->da || p->ide_key_program == NULL || p->ide_key_go == NULL || p->ide_key_stop == NULL ||
        p->tdisp_enable == NULL || p->stream_id == NULL) {
        return;
    }
    rmm->device = g_new0(DevState, 1);
    rmm->da = psmmu_init(rmm);
}
RMM_INIT(device_init);
