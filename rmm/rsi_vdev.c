/*
 * A Realm and its devices: what it may know of a VDEV, the mapping of device memory, and the switch of the
 * DMA. DEN0137 1.1-alp17, command pages RSI_VDEV_*. A Realm names a VDEV by a number that the host gave; so
 * each command first exits to the host, which says by RMI_VDEV_COMPLETE which one that is, and is finished at
 * the next REC_ENTER.
 */
#include "rmm/rec_dev.h"

#include <inttypes.h>
#include <string.h>

enum { TDISP_VERSION_10 = 0x10, MAP_COHERENT = 1, MAP_LIMITED_ORDER = 2 };

Vdev *rec_vdev(Rmm *rmm, Rec *rec)
{
    const RecDevice *q = rec_device(rec);

    if (q->vdev == 0 || granule_state(rmm, q->vdev) != GRANULE_VDEV) {
        return NULL;
    }
    Vdev *vdev = vdev_at(rmm, q->vdev);

    return vdev->rd == rec->rd && vdev->id == q->id ? vdev : NULL;
}

/* ---- the first half: in the Realm ---- */

static uint64_t ask_host(RsiCall *call, uint32_t fid, RecDevice request)
{
    request.fid = fid;
    request.id = call->x[1];
    *rec_device(call->rec) = request;
    call->rec->pending = REC_VDEV_REQUEST;
    call->cpu->exit.reason = RMI_EXIT_VDEV_REQUEST;
    call->cpu->exit.vdev_id = request.id;
    return RSI_TO_HOST;
}

/* RSI_VDEV_GET_INFO. x1: VDEV, x2: IPA of RsiVdevInfo. */
RSI(VDEV_GET_INFO, .in = 2, .out = 0, .dialects = IN_ALP17, .needs_da = true, .source = RMM_SUITE)
{
    uint8_t *bytes;

    REQUIRE(is_aligned(call->x[2], RSI_VDEV_INFO_SIZE), RSI_ERROR_INPUT, "addr_align");
    REQUIRE(realm_ipa_protected(call->realm, call->x[2]), RSI_ERROR_INPUT, "addr_bound");
    REQUIRE_REALM_BUFFER(call->x[2], &bytes, "addr");
    return ask_host(call, RSI_FID_VDEV_GET_INFO, (RecDevice){ .ipa = call->x[2] });
}

/* RSI_VDEV_VALIDATE_MAPPING. x1: VDEV, x2: base, x3: top, x4: PA, x5: flags (hints), x6 to x8: lock,
 * measurement and report nonce. Out (at a later enter): how far, accepted or not. */
RSI(VDEV_VALIDATE_MAPPING, .in = 8, .out = 2, .dialects = IN_ALP17, .needs_da = true, .source = RMM_SUITE)
{
    uint64_t base = call->x[2], top = call->x[3], pa = call->x[4];

    REQUIRE(is_aligned(base, RMM_GRANULE_SIZE), RSI_ERROR_INPUT, "ipa_base_align");
    REQUIRE(is_aligned(top, RMM_GRANULE_SIZE), RSI_ERROR_INPUT, "ipa_top_align");
    REQUIRE(top > base, RSI_ERROR_INPUT, "size_valid");
    REQUIRE(top <= realm_par_top(call->realm), RSI_ERROR_INPUT, "rgn_bound");
    REQUIRE(is_aligned(pa, RMM_GRANULE_SIZE), RSI_ERROR_INPUT, "pa_align");
    REQUIRE_OURS(pa < BIT(RMM_PA_BITS) && top - base <= BIT(RMM_PA_BITS) - pa, RSI_ERROR_INPUT, "pa_bound");
    REQUIRE_OURS((call->x[5] & ~(uint64_t)(MAP_COHERENT | MAP_LIMITED_ORDER)) == 0, RSI_ERROR_INPUT,
                 "flags_valid");
    return ask_host(call, RSI_FID_VDEV_VALIDATE_MAPPING,
                    (RecDevice){ .base = base, .top = top, .pa = pa, .lock_nonce = call->x[6],
                                 .meas_nonce = call->x[7], .report_nonce = call->x[8] });
}

/* RSI_VDEV_DMA_ENABLE. x1: VDEV, x2: flags, x3: plane for DMA without ATS, x4 to x6: lock, measurement and
 * report nonce. There are no flags and no planes but the first. */
RSI(VDEV_DMA_ENABLE, .in = 6, .out = 0, .dialects = IN_ALP17, .needs_da = true, .source = RMM_SUITE)
{
    REQUIRE_OURS(call->x[2] == 0, RSI_ERROR_INPUT, "flags_valid");
    REQUIRE(call->x[3] == 0, RSI_ERROR_INPUT, "non_ats_plane");
    return ask_host(
        call, RSI_FID_VDEV_DMA_ENABLE,
        (RecDevice){ .lock_nonce = call->x[4], .meas_nonce = call->x[5], .report_nonce = call->x[6] });
}

/* RSI_VDEV_DMA_DISABLE. x1: VDEV. */
RSI(VDEV_DMA_DISABLE, .in = 1, .out = 0, .dialects = IN_ALP17, .needs_da = true, .source = RMM_SUITE)
{
    return ask_host(call, RSI_FID_VDEV_DMA_DISABLE, (RecDevice){ 0 });
}

/* ---- the host names the VDEV ---- */

/* RMI_VDEV_COMPLETE. x1: REC, x2: VDEV. */
RMI(VDEV_COMPLETE, .in = 2, .out = 0, .dialects = IN_ALP17, .needs_da = true, .source = RMM_SUITE)
{
    REQUIRE_GRANULE(in->x[1], GRANULE_REC, "rec");
    REQUIRE_GRANULE_AS(in->x[2], GRANULE_VDEV, "vdev", "vdev_gran_state");
    Rec        *rec = rec_at(rmm, in->x[1]);
    const Vdev *vdev = vdev_at(rmm, in->x[2]);
    REQUIRE(!rec->running && rec->pending == REC_VDEV_REQUEST, RMI_ERROR_INPUT, "pending");
    REQUIRE(vdev->rd == rec->rd, RMI_ERROR_INPUT, "owner");
    REQUIRE(vdev->id == rec_device(rec)->id, RMI_ERROR_INPUT, "vdev_id");
    REQUIRE(vdev->comm.state == DEV_COMM_IDLE, RMI_ERROR_DEVICE, "comm_state");

    rec_device(rec)->vdev = in->x[2];
    return RMI_SUCCESS;
}

/* ---- the second half: at REC_ENTER ---- */

/* FINISH(VDEV_GET_INFO) { ... }: the rest of that command; @vdev is the one that the host named, NULL: none that the
 * Realm means. Conditions in it are the command's. */
#define FINISH(ident) static uint64_t rsi_##ident##__finish(Rmm *rmm, RsiCall *call, Vdev *vdev)

#define REQUIRE_NAMED(vdev) REQUIRE((vdev) != NULL, RSI_ERROR_INPUT, "vdev_id")

static void put_info(Rmm *rmm, const Vdev *v, uint8_t info[RSI_VDEV_INFO_SIZE])
{
    static const uint8_t states[] = {
        [RMI_VDEV_NEW] = RSI_VDEV_UNLOCKED,  [RMI_VDEV_UNLOCKED] = RSI_VDEV_UNLOCKED,
        [RMI_VDEV_LOCKED] = RSI_VDEV_LOCKED, [RMI_VDEV_STARTED] = RSI_VDEV_STARTED,
        [RMI_VDEV_ERROR] = RSI_VDEV_ERROR,
    };
    const Pdev *p = pdev_at(rmm, v->pdev);

    memset(info, 0, RSI_VDEV_INFO_SIZE);
    le64_put(info + RSI_VDEV_INFO_CERT_ID, p->cert_id);
    info[RSI_VDEV_INFO_HASH_ALGO] = (uint8_t)p->hash;
    le64_put(info + RSI_VDEV_INFO_LOCK_NONCE, v->lock_nonce);
    le64_put(info + RSI_VDEV_INFO_MEAS_NONCE, v->meas_nonce);
    le64_put(info + RSI_VDEV_INFO_REPORT_NONCE, v->report_nonce);
    le64_put(info + RSI_VDEV_INFO_TDISP_VERSION, TDISP_VERSION_10);
    info[RSI_VDEV_INFO_STATE] = states[v->state];
    memcpy(info + RSI_VDEV_INFO_VCA_DIGEST, p->vca_digest, RMM_HASH_MAX);
    memcpy(info + RSI_VDEV_INFO_CERT_DIGEST, p->cert_digest, RMM_HASH_MAX);
    memcpy(info + RSI_VDEV_INFO_PUBKEY_DIGEST, p->key_digest, RMM_HASH_MAX);
    memcpy(info + RSI_VDEV_INFO_MEAS_DIGEST, v->meas_digest, RMM_HASH_MAX);
    memcpy(info + RSI_VDEV_INFO_REPORT_DIGEST, v->report_digest, RMM_HASH_MAX);
}

/* The page may have gone meanwhile: then the host has to bring it back first, and the request waits on. */
FINISH(VDEV_GET_INFO)
{
    uint64_t ipa = rec_device(call->rec)->ipa;
    uint8_t *bytes;

    REQUIRE_NAMED(vdev);
    REQUIRE_REALM_BUFFER(ipa, &bytes, "addr");
    put_info(rmm, vdev, bytes);
    realm_written(rmm, call->realm, ipa, RSI_VDEV_INFO_SIZE);
    return RSI_SUCCESS;
}

/* What the Realm checked is what there is now. */
static bool nonces_match(const RecDevice *q, const Vdev *v)
{
    return v->lock_nonce != 0 && q->lock_nonce == v->lock_nonce && q->meas_nonce == v->meas_nonce &&
           q->report_nonce == v->report_nonce;
}

/* The second exit: the host maps, by VDEV_MAP and VDEV_VALIDATE_MAPPING, as much as it likes. */
FINISH(VDEV_VALIDATE_MAPPING)
{
    const RecDevice *q = rec_device(call->rec);
    RecExit         *e = &call->cpu->exit;

    REQUIRE_NAMED(vdev);
    REQUIRE(vdev->state == RMI_VDEV_LOCKED || vdev->state == RMI_VDEV_STARTED, RSI_ERROR_INPUT, "vdev_state");
    REQUIRE(nonces_match(q, vdev), RSI_ERROR_DEVICE, "attest_info");

    call->rec->pending = REC_VDEV_MAP;
    e->reason = RMI_EXIT_VDEV_MAP;
    e->vdev_id = q->id;
    e->dev_mem_base = q->base;
    e->dev_mem_top = q->top;
    e->dev_mem_pa = q->pa;
    return RSI_TO_HOST;
}

FINISH(VDEV_DMA_ENABLE)
{
    REQUIRE_NAMED(vdev);
    REQUIRE_OURS(vdev->state == RMI_VDEV_STARTED, RSI_ERROR_DEVICE, "vdev_state");
    REQUIRE(nonces_match(rec_device(call->rec), vdev), RSI_ERROR_DEVICE, "attest_info");
    vdev_set_dma(rmm, vdev, true);
    return RSI_SUCCESS;
}

FINISH(VDEV_DMA_DISABLE)
{
    REQUIRE_NAMED(vdev);
    vdev_set_dma(rmm, vdev, false);
    return RSI_SUCCESS;
}

static RecResume finish_request(Rmm *rmm, RmmCpu *cpu, Realm *realm, Rec *rec, uint64_t flags)
{
    static const struct {
        uint32_t   fid;
        uint64_t (*fn)(Rmm *rmm, RsiCall *call, Vdev *vdev);
    } rows[] = {
        { RSI_FID_VDEV_GET_INFO, rsi_VDEV_GET_INFO__finish },
        { RSI_FID_VDEV_VALIDATE_MAPPING, rsi_VDEV_VALIDATE_MAPPING__finish },
        { RSI_FID_VDEV_DMA_ENABLE, rsi_VDEV_DMA_ENABLE__finish },
        { RSI_FID_VDEV_DMA_DISABLE, rsi_VDEV_DMA_DISABLE__finish },
    };
    RsiCall  call = { .cpu = cpu, .realm = realm, .rec = rec };
    uint32_t fid = rec_device(rec)->fid;
    size_t   i = 0;

    while (i + 1 < ARRAY_LEN(rows) && rows[i].fid != fid) { /* one of them: ask_host() makes no other */
        i++;
    }
    uint64_t action = rows[i].fn(rmm, &call, rec_vdev(rmm, rec));
    LOG(RSI, "vdev 0x%" PRIx64 " request 0x%x: %s%" PRIu64 "%s%s", rec_device(rec)->id, fid,
        action >= RSI_TO_HOST ? "exit " : "", action >= RSI_TO_HOST ? 0 : action, rmm->failure != NULL ? " " : "",
        rmm->failure != NULL ? rmm->failure->label : "");
    if (action == RSI_AGAIN) {
        rec->pending = REC_VDEV_REQUEST;
    }
    if (action >= RSI_TO_HOST) {
        return REC_EXITS;
    }
    rec->x[0] = action;
    return REC_RUNS;
}
REC_RESUME(REC_VDEV_REQUEST, finish_request);

/* How far the host got, and whether it refused the rest. */
static RecResume finish_map(Rmm *rmm, RmmCpu *cpu, Realm *realm, Rec *rec, uint64_t flags)
{
    const RecDevice *q = rec_device(rec);
    bool             refused = q->base != q->top && (flags & RMI_ENTER_DEV_MEM_REJECT);

    rec->x[0] = RSI_SUCCESS;
    rec->x[1] = q->base;
    rec->x[2] = refused ? RSI_REJECT : RSI_ACCEPT;
    return REC_RUNS;
}
REC_RESUME(REC_VDEV_MAP, finish_map);
