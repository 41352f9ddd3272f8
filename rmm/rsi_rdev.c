/*
 * A Realm and its devices as 1.1-alp12 has them: the Realm moves the interface through its states by commands that exit
 * to the host twice. First the host says which VDEV is meant (RMI_VDEV_COMPLETE), then, at each RSI_RDEV_CONTINUE, it
 * carries messages (RMI_VDEV_COMMUNICATE) for as long as it likes. DEN0137 1.1-alp12, command pages RSI_RDEV_*; the
 * document is not public, in doubt we do what TF-RMM 0.8 does.
 */
#include "rmm/rec_dev.h"

#include <inttypes.h>
#include <string.h>

enum { TDISP_VERSION_10 = 0x10, MAP_SHARED = 1, MAP_COHERENT = 2, ATTEST_INDEPENDENT = 0 };

/* ---- what the Realm sees ---- */

/* "RsiRdevState": while something it asked for is not over, the state says so. */
static RsiRdevState rdev_state(const Vdev *v)
{
    static const uint8_t idle[] = {
        [RMI_VDEV_NEW] = RSI_RDEV_UNLOCKED,   [RMI_VDEV_UNLOCKED] = RSI_RDEV_UNLOCKED,
        [RMI_VDEV_LOCKED] = RSI_RDEV_LOCKED,  [RMI_VDEV_STARTED] = RSI_RDEV_STARTED,
        [RMI_VDEV_ERROR] = RSI_RDEV_ERROR,
    };
    bool busy = v->comm.state != DEV_COMM_IDLE;

    if (v->host_state == RMI_VDEV12_STOPPED) {
        return RSI_RDEV_STOPPED;
    }
    if (busy && v->comm.script == DEV_UNLOCK) {
        return RSI_RDEV_STOPPING;
    }
    return (RsiRdevState)(idle[v->state] + (busy && v->state != RMI_VDEV_ERROR)); /* _BUSY follows each */
}
_Static_assert(RSI_RDEV_UNLOCKED_BUSY == RSI_RDEV_UNLOCKED + 1 && RSI_RDEV_LOCKED_BUSY == RSI_RDEV_LOCKED + 1 &&
                   RSI_RDEV_STARTED_BUSY == RSI_RDEV_STARTED + 1,
               "busy states follow theirs");

static bool is_busy(RsiRdevState s)
{
    return s == RSI_RDEV_UNLOCKED_BUSY || s == RSI_RDEV_LOCKED_BUSY || s == RSI_RDEV_STARTED_BUSY ||
           s == RSI_RDEV_STOPPING;
}

/* "RdevIdsAreValid": the Realm's VDEV of this number and instance; NULL: none, or not any more. */
static Vdev *find(Rmm *rmm, Realm *realm, uint64_t id, uint64_t instance)
{
    for (unsigned i = 0; i < DEV_MAX_VDEVS; i++) {
        uint64_t pa = realm_devices(realm)->vdev[i];
        Vdev    *v = pa != 0 ? vdev_at(rmm, pa) : NULL;
        if (v != NULL && v->id == id && v->instance == instance) {
            return v;
        }
    }
    return NULL;
}

/* The connection is free for a conversation of this VDEV. */
static bool may_begin(Rmm *rmm, const Vdev *v)
{
    const Pdev *p = pdev_at(rmm, v->pdev);

    return v->host_state == RMI_VDEV12_READY && v->comm.state == DEV_COMM_IDLE && p->state == RMI_PDEV_READY &&
           p->comm.state == DEV_COMM_IDLE && p->talker == 0;
}

/* States of the interface in which each operation may begin; bits by RsiRdevState. */
static unsigned states_for(DevScript script)
{
    switch (script) {
    case DEV_LOCK: return 1u << RSI_RDEV_UNLOCKED;
    case DEV_START: return 1u << RSI_RDEV_LOCKED;
    case DEV_REPORT: return 1u << RSI_RDEV_LOCKED | 1u << RSI_RDEV_STARTED;
    case DEV_MEASURE: return 1u << RSI_RDEV_UNLOCKED | 1u << RSI_RDEV_LOCKED | 1u << RSI_RDEV_STARTED;
    default: /* DEV_UNLOCK */
        return 1u << RSI_RDEV_UNLOCKED | 1u << RSI_RDEV_LOCKED | 1u << RSI_RDEV_STARTED | 1u << RSI_RDEV_ERROR;
    }
}

static bool state_allows(const Vdev *v, DevScript script) { return states_for(script) >> rdev_state(v) & 1; }

/* ---- the first half: in the Realm ---- */

/* DEV_N_SCRIPTS: nothing but the VDEV's instance is asked for. */
static uint64_t ask_host(RsiCall *call, DevScript script, RecDevice request)
{
    request.id = call->x[1];
    request.script = script;
    *rec_device(call->rec) = request;
    call->rec->pending = REC_RDEV_REQUEST;
    call->cpu->exit.reason = RMI_EXIT_VDEV_REQUEST;
    call->cpu->exit.vdev_id = request.id;
    return RSI_TO_HOST;
}

/* x1: VDEV, x2: instance. Leaves the VDEV in @vdev. */
#define REQUIRE_RDEV(vdev, status)                                                                     \
    Vdev *vdev = find(rmm, call->realm, call->x[1], call->x[2]);                                       \
    REQUIRE(vdev != NULL, status, "rdev_ids")

#define REQUIRE_MAY(vdev, script)                                                                      \
    REQUIRE(state_allows(vdev, script), RSI_ERROR_DEVICE, "rdev_state");                               \
    REQUIRE(may_begin(rmm, vdev), RSI_ERROR_DEVICE, "vdev_state")

/* RSI_RDEV_GET_INSTANCE_ID. x1: VDEV. Out: instance. */
RSI(RDEV_GET_INSTANCE_ID, .in = 1, .out = 1, .dialects = IN_ALP12, .needs_da = true, .source = RMM_PEERS)
{
    return ask_host(call, DEV_N_SCRIPTS, (RecDevice){ 0 });
}

/* RSI_RDEV_GET_STATE. x1: VDEV, x2: instance. Out: RsiRdevState. */
RSI(RDEV_GET_STATE, .in = 2, .out = 1, .dialects = IN_ALP12, .needs_da = true, .source = RMM_PEERS)
{
    REQUIRE_RDEV(vdev, RSI_ERROR_INPUT);
    call->out[1] = rdev_state(vdev);
    return RSI_SUCCESS;
}

/* RSI_RDEV_LOCK. x1: VDEV, x2: instance. */
RSI(RDEV_LOCK, .in = 2, .out = 0, .dialects = IN_ALP12, .needs_da = true, .source = RMM_PEERS)
{
    REQUIRE_RDEV(vdev, RSI_ERROR_INPUT);
    REQUIRE_MAY(vdev, DEV_LOCK);
    return ask_host(call, DEV_LOCK, (RecDevice){ .instance = call->x[2] });
}

/* RSI_RDEV_START. x1: VDEV, x2: instance. */
RSI(RDEV_START, .in = 2, .out = 0, .dialects = IN_ALP12, .needs_da = true, .source = RMM_PEERS)
{
    REQUIRE_RDEV(vdev, RSI_ERROR_INPUT);
    REQUIRE_MAY(vdev, DEV_START);
    return ask_host(call, DEV_START, (RecDevice){ .instance = call->x[2] });
}

/* RSI_RDEV_STOP. x1: VDEV, x2: instance. */
RSI(RDEV_STOP, .in = 2, .out = 0, .dialects = IN_ALP12, .needs_da = true, .source = RMM_PEERS)
{
    REQUIRE_RDEV(vdev, RSI_ERROR_INPUT);
    REQUIRE_MAY(vdev, DEV_UNLOCK);
    return ask_host(call, DEV_UNLOCK, (RecDevice){ .instance = call->x[2] });
}

/* RSI_RDEV_GET_INTERFACE_REPORT. x1: VDEV, x2: instance, x3: the newest TDISP version the Realm reads. Out: version. */
RSI(RDEV_GET_INTERFACE_REPORT, .in = 3, .out = 1, .dialects = IN_ALP12, .needs_da = true, .source = RMM_PEERS)
{
    REQUIRE(call->x[3] >= TDISP_VERSION_10, RSI_ERROR_INPUT, "tdisp_version");
    REQUIRE_RDEV(vdev, RSI_ERROR_INPUT);
    REQUIRE_MAY(vdev, DEV_REPORT);
    return ask_host(call, DEV_REPORT, (RecDevice){ .instance = call->x[2] });
}

/* "RsiDevMeasureParams": without "all", a bit for each index but the first and the last, and at least one. */
static bool indices_valid(uint64_t flags, const uint8_t indices[32])
{
    static const uint8_t none[32];

    return (flags & RSI_RDEV_MEASURE_ALL) ||
           (!(indices[0] & 1) && !(indices[31] & 0x80) && memcmp(indices, none, sizeof(none)) != 0);
}

/* RSI_RDEV_GET_MEASUREMENTS. x1: VDEV, x2: instance, x3: IPA of RsiDevMeasureParams. */
RSI(RDEV_GET_MEASUREMENTS, .in = 3, .out = 0, .dialects = IN_ALP12, .needs_da = true, .source = RMM_PEERS)
{
    const uint64_t known = RSI_RDEV_MEASURE_ALL | RSI_RDEV_MEASURE_SIGNED | RSI_RDEV_MEASURE_RAW;
    RecDevice      q = { .instance = call->x[2] };
    uint8_t       *page;

    REQUIRE(is_aligned(call->x[3], RMM_GRANULE_SIZE), RSI_ERROR_INPUT, "params_align");
    REQUIRE(realm_ipa_protected(call->realm, call->x[3]), RSI_ERROR_INPUT, "params_bound");
    REQUIRE_RDEV(vdev, RSI_ERROR_INPUT);
    REQUIRE_MAY(vdev, DEV_MEASURE);
    REQUIRE_REALM_BUFFER(call->x[3], &page, "params");
    q.measure_flags = le64_get(page + RSI_RDEV_MEASURE_FLAGS);
    memcpy(q.indices, page + RSI_RDEV_MEASURE_INDICES, sizeof(q.indices));
    memcpy(q.nonce, page + RSI_RDEV_MEASURE_NONCE, sizeof(q.nonce));
    REQUIRE((q.measure_flags & ~known) == 0, RSI_ERROR_INPUT, "flags_valid");
    REQUIRE(indices_valid(q.measure_flags, q.indices), RSI_ERROR_INPUT, "indices_valid");
    return ask_host(call, DEV_MEASURE, q);
}

/* RSI_RDEV_CONTINUE. x1: VDEV, x2: instance. The host may need several of them. */
RSI(RDEV_CONTINUE, .in = 2, .out = 0, .dialects = IN_ALP12, .needs_da = true, .source = RMM_PEERS)
{
    static const uint8_t actions[DEV_N_SCRIPTS] = {
        [DEV_LOCK] = RMI_VDEV_ACTION_LOCK, [DEV_REPORT] = RMI_VDEV_ACTION_GET_INTERFACE_REPORT,
        [DEV_MEASURE] = RMI_VDEV_ACTION_GET_MEASUREMENTS, [DEV_START] = RMI_VDEV_ACTION_START,
        [DEV_UNLOCK] = RMI_VDEV_ACTION_STOP,
    };
    RecExit *e = &call->cpu->exit;

    REQUIRE_RDEV(vdev, RSI_ERROR_INPUT);
    REQUIRE(is_busy(rdev_state(vdev)), RSI_ERROR_DEVICE, "rdev_state");

    if (vdev->host_state == RMI_VDEV12_READY) {
        vdev->host_state = RMI_VDEV12_COMMUNICATING;
    }
    *rec_device(call->rec) = (RecDevice){ .id = call->x[1], .instance = call->x[2],
                                          .vdev = realm_devices(call->realm)->vdev[vdev->index] };
    call->rec->pending = REC_RDEV_COMM;
    e->reason = RMI_EXIT12_VDEV_COMM;
    e->vdev_id = call->x[1];
    e->vdev = rec_device(call->rec)->vdev;
    e->vdev_action = actions[vdev->comm.script];
    return RSI_TO_HOST;
}

/* RSI_RDEV_VALIDATE_MAPPING. x1: VDEV, x2: instance, x3: base, x4: top, x5: PA, x6: flags (hints). Out (at the next
 * enter): how far, accepted or not. */
RSI(RDEV_VALIDATE_MAPPING, .in = 6, .out = 2, .dialects = IN_ALP12, .needs_da = true, .source = RMM_PEERS)
{
    uint64_t base = call->x[3], top = call->x[4], pa = call->x[5];
    RecExit *e = &call->cpu->exit;

    REQUIRE(is_aligned(base, RMM_GRANULE_SIZE), RSI_ERROR_INPUT, "base_align");
    REQUIRE(is_aligned(top, RMM_GRANULE_SIZE), RSI_ERROR_INPUT, "top_align");
    REQUIRE(top > base, RSI_ERROR_INPUT, "size_valid");
    REQUIRE(top <= realm_par_top(call->realm), RSI_ERROR_INPUT, "rgn_bound");
    REQUIRE(is_aligned(pa, RMM_GRANULE_SIZE), RSI_ERROR_INPUT, "pa_align");
    REQUIRE(pa < BIT(RMM_PA_BITS) && top - base <= BIT(RMM_PA_BITS) - pa, RSI_ERROR_INPUT, "pa_bound");
    REQUIRE((call->x[6] & ~(uint64_t)(MAP_SHARED | MAP_COHERENT)) == 0, RSI_ERROR_INPUT, "flags_valid");
    REQUIRE_RDEV(vdev, RSI_ERROR_INPUT);
    RsiRdevState state = rdev_state(vdev);
    REQUIRE(state == RSI_RDEV_LOCKED || state == RSI_RDEV_STARTED, RSI_ERROR_DEVICE, "rdev_state");

    *rec_device(call->rec) = (RecDevice){ .id = call->x[1], .instance = call->x[2], .base = base, .top = top, .pa = pa,
                                          .vdev = realm_devices(call->realm)->vdev[vdev->index],
                                          .lock_nonce = vdev->lock_nonce };
    call->rec->pending = REC_VDEV_MAP;
    e->reason = RMI_EXIT12_DEV_MEM_MAP;
    e->vdev_id = call->x[1];
    e->dev_mem_base = base;
    e->dev_mem_top = top;
    e->dev_mem_pa = pa;
    return RSI_TO_HOST;
}

/* RSI_RDEV_GET_INFO. x1: VDEV, x2: instance, x3: IPA of RsiDevInfo. No exit: the host has said which VDEV it is. */
RSI(RDEV_GET_INFO, .in = 3, .out = 0, .dialects = IN_ALP12, .needs_da = true, .source = RMM_PEERS)
{
    uint64_t ipa = call->x[3];
    uint8_t *info;

    REQUIRE(is_aligned(ipa, RSI_RDEV_INFO_SIZE), RSI_ERROR_INPUT, "addr_align");
    REQUIRE(realm_ipa_protected(call->realm, ipa), RSI_ERROR_INPUT, "addr_bound");
    REQUIRE_RDEV(vdev, RSI_ERROR_STATE);
    REQUIRE_REALM_BUFFER(ipa, &info, "addr");

    const Pdev *p = pdev_at(rmm, vdev->pdev);
    memset(info, 0, RSI_RDEV_INFO_SIZE);
    le64_put(info + RSI_RDEV_INFO_ATTEST_TYPE, ATTEST_INDEPENDENT);
    le64_put(info + RSI_RDEV_INFO_CERT_ID, p->cert_id);
    info[RSI_RDEV_INFO_HASH_ALGO] = (uint8_t)p->hash;
    memcpy(info + RSI_RDEV_INFO_CERT_DIGEST, p->cert_digest, RMM_HASH_MAX);
    memcpy(info + RSI_RDEV_INFO_MEAS_DIGEST, vdev->meas_digest, RMM_HASH_MAX);
    memcpy(info + RSI_RDEV_INFO_REPORT_DIGEST, vdev->report_digest, RMM_HASH_MAX);
    realm_written(rmm, call->realm, ipa, RSI_RDEV_INFO_SIZE);
    return RSI_SUCCESS;
}

/* ---- the second half: at REC_ENTER ---- */

/* FINISH(RDEV_LOCK) { ... }: the rest of that command; @vdev is the one that the host named, NULL: none that the Realm
 * means. Conditions in it are the command's: what was checked before the exit may have changed since. */
#define FINISH(ident) static uint64_t rsi_##ident##__finish(Rmm *rmm, Rec *rec, Vdev *vdev)

#define REQUIRE_NAMED(vdev) REQUIRE((vdev) != NULL, RSI_ERROR_INPUT, "vdev_id")

#define REQUIRE_STILL(vdev, script)                                                                    \
    REQUIRE_NAMED(vdev);                                                                               \
    REQUIRE((vdev)->instance == rec_device(rec)->instance, RSI_ERROR_INPUT, "rdev_ids");               \
    REQUIRE_MAY(vdev, script)

FINISH(RDEV_GET_INSTANCE_ID)
{
    REQUIRE_NAMED(vdev);
    rec->x[1] = vdev->instance;
    return RSI_SUCCESS;
}

FINISH(RDEV_LOCK)
{
    REQUIRE_STILL(vdev, DEV_LOCK);
    dev_queue(&vdev->comm, DEV_LOCK);
    return RSI_SUCCESS;
}

FINISH(RDEV_START)
{
    REQUIRE_STILL(vdev, DEV_START);
    dev_queue(&vdev->comm, DEV_START);
    return RSI_SUCCESS;
}

FINISH(RDEV_STOP)
{
    REQUIRE_STILL(vdev, DEV_UNLOCK);
    vdev_set_dma(rmm, vdev, false); /* DMA ends here, not when the device has answered */
    vdev->lock_nonce = 0;
    dev_queue(&vdev->comm, DEV_UNLOCK);
    return RSI_SUCCESS;
}

FINISH(RDEV_GET_INTERFACE_REPORT)
{
    REQUIRE_STILL(vdev, DEV_REPORT);
    dev_queue(&vdev->comm, DEV_REPORT);
    rec->x[1] = TDISP_VERSION_10;
    return RSI_SUCCESS;
}

FINISH(RDEV_GET_MEASUREMENTS)
{
    const RecDevice *q = rec_device(rec);

    REQUIRE_STILL(vdev, DEV_MEASURE);
    vdev->sign = q->measure_flags & RSI_RDEV_MEASURE_SIGNED;
    vdev->raw = q->measure_flags & RSI_RDEV_MEASURE_RAW;
    vdev->measure_all = q->measure_flags & RSI_RDEV_MEASURE_ALL;
    memcpy(vdev->indices, q->indices, sizeof(vdev->indices));
    memcpy(vdev->measure_nonce, q->nonce, sizeof(vdev->measure_nonce));
    dev_queue(&vdev->comm, DEV_MEASURE);
    return RSI_SUCCESS;
}

/* How the conversation went. An aborted one leaves the host with a VDEV that is READY, the Realm with ERROR. */
FINISH(RDEV_CONTINUE)
{
    REQUIRE(vdev != NULL && vdev->instance == rec_device(rec)->instance, RSI_ERROR_STATE, "vdev_id");
    if (vdev->host_state == RMI_VDEV12_COMMUNICATING) {
        return RSI_INCOMPLETE;
    }
    REQUIRE(vdev->host_state == RMI_VDEV12_READY && vdev->state != RMI_VDEV_ERROR, RSI_ERROR_DEVICE, "rdev_error");
    return RSI_SUCCESS;
}

static RecResume finish(Rmm *rmm, Rec *rec, uint64_t (*fn)(Rmm *rmm, Rec *rec, Vdev *vdev))
{
    rec->x[0] = fn(rmm, rec, rec_vdev(rmm, rec));
    LOG(RSI, "vdev 0x%" PRIx64 " request: status %" PRIu64 "%s%s", rec_device(rec)->id, rec->x[0],
        rmm->failure != NULL ? " " : "", rmm->failure != NULL ? rmm->failure->label : "");
    return REC_RUNS;
}

/* The host has named the VDEV, or not. */
static RecResume finish_request(Rmm *rmm, RmmCpu *cpu, Realm *realm, Rec *rec, uint64_t flags)
{
    static uint64_t (*const fns[])(Rmm *rmm, Rec *rec, Vdev *vdev) = {
        [DEV_LOCK] = rsi_RDEV_LOCK__finish,             [DEV_START] = rsi_RDEV_START__finish,
        [DEV_UNLOCK] = rsi_RDEV_STOP__finish,           [DEV_REPORT] = rsi_RDEV_GET_INTERFACE_REPORT__finish,
        [DEV_MEASURE] = rsi_RDEV_GET_MEASUREMENTS__finish, [DEV_N_SCRIPTS] = rsi_RDEV_GET_INSTANCE_ID__finish,
    };

    return finish(rmm, rec, fns[rec_device(rec)->script]);
}
REC_RESUME(REC_RDEV_REQUEST, finish_request);

static RecResume finish_comm(Rmm *rmm, RmmCpu *cpu, Realm *realm, Rec *rec, uint64_t flags)
{
    return finish(rmm, rec, rsi_RDEV_CONTINUE__finish);
}
REC_RESUME(REC_RDEV_COMM, finish_comm);
