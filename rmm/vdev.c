/*
 * Virtual devices: one TDISP interface of a PDEV, assigned to a Realm, through its states. DEN0137 1.1-alp17,
 * "Virtual device", command pages RMI_VDEV_*. The commands queue a conversation; VDEV_COMMUNICATE holds it. What
 * 1.1-alp12 has otherwise is in vdev_alp12.c.
 */
#include "rmm/dev_int.h"

#include <inttypes.h>
#include <string.h>

enum { VDEV_N_AUX = 0 };

/* ---- states ---- */

const char *vdev_state_name(RmiVdevState state)
{
    static const char *const names[] = {
        [RMI_VDEV_NEW] = "NEW", [RMI_VDEV_UNLOCKED] = "UNLOCKED", [RMI_VDEV_LOCKED] = "LOCKED",
        [RMI_VDEV_STARTED] = "STARTED", [RMI_VDEV_ERROR] = "ERROR",
    };

    return names[state];
}

static void set_state(Vdev *vdev, RmiVdevState state)
{
    LOG(RMI, "vdev 0x%" PRIx64 ": %s to %s", vdev->id, vdev_state_name(vdev->state), vdev_state_name(state));
    event_tell(&(Event){ .kind = EVENT_VDEV, .name = vdev_state_name(state), .from = vdev_state_name(vdev->state),
                         .number = vdev->id });
    vdev->state = state;
}

void vdev_set_dma(Rmm *rmm, Vdev *vdev, bool on)
{
    if (vdev->dma != on) {
        vdev->dma = on;
        psmmu_stream_set_valid(rmm, realm_at(rmm, vdev->rd), vdev->stream, on);
    }
}

void vdev_fail(Rmm *rmm, Vdev *vdev)
{
    vdev_set_dma(rmm, vdev, false);
    vdev->comm.state = DEV_COMM_IDLE;
    vdev->lock_nonce = 0;
    vdev->host_state = RMI_VDEV12_ERROR;
    set_state(vdev, RMI_VDEV_ERROR);
}

uint64_t dev_nonce(Rmm *rmm)
{
    uint8_t b[8];

    do {
        entropy_bytes(&rmm->entropy, b, sizeof(b));
    } while (le64_get(b) == 0);
    return le64_get(b);
}

static void keep_report(Rmm *rmm, const Pdev *pdev, Vdev *vdev)
{
    const TdispClient *c = &dev_state(rmm)->link.tdisp;

    measure(rmm, pdev->hash, c->report, c->report_len, vdev->report_digest);
    vdev->report_nonce = dev_nonce(rmm);
}

static void keep_measurements(Rmm *rmm, const Pdev *pdev, Vdev *vdev)
{
    const DevLink *link = &dev_state(rmm)->link;

    measure(rmm, pdev->hash, link->object, link->object_len, vdev->meas_digest);
    vdev->meas_nonce = dev_nonce(rmm);
}

/* DEN0137 "VDEV lifecycle": where a conversation that succeeded leads. A report is of one lock only. */
void vdev_conversation_done(Rmm *rmm, const Pdev *pdev, Vdev *vdev)
{
    switch (vdev->comm.script) {
    case DEV_PREPARE:
    case DEV_UNLOCK:
        vdev->lock_nonce = vdev->report_nonce = 0;
        set_state(vdev, RMI_VDEV_UNLOCKED);
        break;
    case DEV_LOCK:
        vdev->lock_nonce = dev_nonce(rmm);
        vdev->report_nonce = 0;
        memset(vdev->report_digest, 0, sizeof(vdev->report_digest));
        set_state(vdev, RMI_VDEV_LOCKED);
        break;
    case DEV_START:
        set_state(vdev, RMI_VDEV_STARTED);
        break;
    case DEV_REPORT:
        keep_report(rmm, pdev, vdev);
        break;
    case DEV_MEASURE:
        keep_measurements(rmm, pdev, vdev);
        if (vdev->state == RMI_VDEV_NEW && !rmm->dialect->rdev) {
            dev_queue(&vdev->comm, DEV_PREPARE); /* which had to wait */
        }
        break;
    default:
        break;
    }
}

/* A conversation that failed: the interface is in an unknown state; with the session the whole device is
 * lost. */
void vdev_conversation_failed(Rmm *rmm, Pdev *pdev, Vdev *vdev)
{
    vdev_fail(rmm, vdev);
    if (!spdm_requester_has_session(&pdev_link(rmm, pdev)->spdm)) {
        pdev_fail(rmm, pdev);
    }
}

void vdev_cut_short(Rmm *rmm, Vdev *vdev)
{
    Pdev *pdev = pdev_at(rmm, vdev->pdev);
    bool  active = vdev->comm.state == DEV_COMM_ACTIVE;

    dev_cut_short(rmm, pdev, &vdev->comm);
    if (active) {
        pdev->talker = 0;
        vdev_conversation_failed(rmm, pdev, vdev);
    } else {
        vdev_fail(rmm, vdev);
    }
}

/* ---- creation ---- */

/* RMI_VDEV_AUX_COUNT. x1: flags of the PDEV, x2: flags of the VDEV. Out: number of auxiliary granules. */
RMI(VDEV_AUX_COUNT, .in = 2, .out = 1, .dialects = IN_DA, .needs_da = true, .source = RMM_SUITE)
{
    REQUIRE_OURS(in->x[2] == 0, RMI_ERROR_NOT_SUPPORTED, "flags_supp");
    out->x[1] = VDEV_N_AUX;
    return RMI_SUCCESS;
}

/* A free place in a table of VDEVs, DEV_MAX_VDEVS: none. */
static unsigned free_slot(const uint64_t *table)
{
    unsigned i = 0;

    while (i < DEV_MAX_VDEVS && table[i] != 0) {
        i++;
    }
    return i;
}

static bool id_is_used(Rmm *rmm, Realm *realm, uint64_t id)
{
    for (unsigned i = 0; i < DEV_MAX_VDEVS; i++) {
        uint64_t pa = realm_devices(realm)->vdev[i];
        if (pa != 0 && vdev_at(rmm, pa)->id == id) {
            return true;
        }
    }
    return false;
}

static void enter_tables(Rmm *rmm, Realm *realm, Pdev *pdev, uint64_t pa)
{
    Vdev *vdev = vdev_at(rmm, pa);

    vdev->index = free_slot(realm_devices(realm)->vdev);
    realm_devices(realm)->vdev[vdev->index] = pa;
    pdev->vdev[free_slot(pdev->vdev)] = pa;
    realm->n_vdevs++;
    pdev->n_vdevs++;
}

static void leave_tables(Rmm *rmm, Realm *realm, Pdev *pdev, uint64_t pa)
{
    realm_devices(realm)->vdev[vdev_at(rmm, pa)->index] = 0;
    for (unsigned i = 0; i < DEV_MAX_VDEVS; i++) {
        if (pdev->vdev[i] == pa) {
            pdev->vdev[i] = 0;
        }
    }
    realm->n_vdevs--;
    pdev->n_vdevs--;
}

void vdev_remove(Rmm *rmm, uint64_t pa)
{
    const Vdev *vdev = vdev_at(rmm, pa);

    event_tell(&(Event){ .kind = EVENT_VDEV, .name = "destroyed", .from = vdev_state_name(vdev->state),
                         .number = vdev->id });
    psmmu_stream_detach(rmm, vdev->stream);
    leave_tables(rmm, realm_at(rmm, vdev->rd), pdev_at(rmm, vdev->pdev), pa);
    granule_set(rmm, pa, GRANULE_DELEGATED);
}

/* RMI_VDEV_CREATE. x1: RD, x2: PDEV, x3: granule of the VDEV, x4: NS page of RmiVdevParams. */
RMI(VDEV_CREATE, .in = 4, .out = 0, .dialects = IN_DA, .needs_da = true, .source = RMM_SUITE)
{
    uint64_t pa = in->x[3];
    uint8_t  params[RMM_GRANULE_SIZE];

    REQUIRE_GRANULE(in->x[1], GRANULE_RD, "rd");
    REQUIRE_GRANULE_AS(in->x[2], GRANULE_PDEV, "pdev", "pdev_gran_state");
    REQUIRE_GRANULE_AS(pa, GRANULE_DELEGATED, "vdev", "vdev_gran_state");
    REQUIRE_HOST_PAGE(in->x[4], ns_read(rmm, in->x[4], params, sizeof(params)), "params");
    REQUIRE(le64_get(params + RMI_VDEV_FLAGS) == 0, RMI_ERROR_INPUT, "params_valid/flags");
    REQUIRE(le64_get(params + RMI_VDEV_NUM_AUX) == VDEV_N_AUX, RMI_ERROR_INPUT, "num_aux");
    Realm   *realm = realm_at(rmm, in->x[1]);
    Pdev    *pdev = pdev_at(rmm, in->x[2]);
    uint64_t id = le64_get(params + RMI_VDEV_ID), tdi = le64_get(params + RMI_VDEV_TDI_ID);
    REQUIRE(realm->flags0 & RMI_REALM_FLAG_DA, RMI_ERROR_REALM, "da_en");
    REQUIRE(pdev->state == RMI_PDEV_READY, RMI_ERROR_DEVICE, "pdev_state");
    REQUIRE(!id_is_used(rmm, realm, id), RMI_ERROR_INPUT, "vdev_id_free");
    REQUIRE(tdi >= pdev->rid_base && tdi < pdev->rid_top, RMI_ERROR_INPUT, "tdi_id_bound");
    uint32_t stream = rmm->platform.stream_id(rmm->platform.opaque, (uint32_t)tdi);
    REQUIRE_OURS(psmmu_stream_exists(rmm, stream), RMI_ERROR_DEVICE, "stream_bound");
    REQUIRE(!psmmu_stream_used(rmm, stream), RMI_ERROR_INPUT, "tdi_id_free");
    REQUIRE_OURS(free_slot(realm_devices(realm)->vdev) < DEV_MAX_VDEVS, RMI_ERROR_REALM, "num_vdevs");
    REQUIRE_OURS(free_slot(pdev->vdev) < DEV_MAX_VDEVS, RMI_ERROR_DEVICE, "pdev_num_vdevs");

    Vdev *vdev = vdev_at(rmm, pa);
    granule_zero(rmm, pa);
    granule_set(rmm, pa, GRANULE_VDEV);
    *vdev = (Vdev){ .state = RMI_VDEV_NEW, .rd = in->x[1], .pdev = in->x[2], .id = id, .stream = stream,
                    .function_id = (uint32_t)tdi };
    enter_tables(rmm, realm, pdev, pa);
    psmmu_stream_attach(rmm, realm, stream);
    if (rmm->dialect->rdev) {
        vdev->state = RMI_VDEV_UNLOCKED;
        vdev->host_state = RMI_VDEV12_READY;
        vdev->instance = ++realm_devices(realm)->instances;
    } else {
        dev_queue(&vdev->comm, DEV_PREPARE);
    }
    event_tell(&(Event){ .kind = EVENT_VDEV, .name = vdev_state_name(vdev->state), .number = vdev->id });
    return RMI_SUCCESS;
}

/* RMI_VDEV_GET_STATE. x1: VDEV. Out: RmiVdevState. */
RMI(VDEV_GET_STATE, .in = 1, .out = 1, .dialects = IN_ALP17, .needs_da = true, .source = RMM_SUITE)
{
    REQUIRE_GRANULE_AS(in->x[1], GRANULE_VDEV, "vdev", "vdev_gran_state");
    out->x[1] = vdev_at(rmm, in->x[1])->state;
    return RMI_SUCCESS;
}

/* ---- talking ---- */

/* Realm, PDEV and VDEV in x1 to x3, and that they belong together. Leaves the last in vdev. */
#define REQUIRE_VDEV(rd_status, rd_state)                                                              \
    REQUIRE_GRANULE_AS(in->x[1], GRANULE_RD, "rd", rd_state);                                          \
    REQUIRE_GRANULE_AS(in->x[2], GRANULE_PDEV, "pdev", "pdev_gran_state");                             \
    REQUIRE_GRANULE_AS(in->x[3], GRANULE_VDEV, "vdev", "vdev_gran_state");                             \
    Vdev *vdev = vdev_at(rmm, in->x[3]);                                                               \
    REQUIRE(vdev->rd == in->x[1], rd_status, "vdev_realm");                                            \
    REQUIRE(vdev->pdev == in->x[2], RMI_ERROR_DEVICE, "vdev_pdev")

/* RMI_VDEV_COMMUNICATE. x1: RD, x2: PDEV, x3: VDEV, x4: NS page of RmiDevCommData. */
RMI(VDEV_COMMUNICATE, .in = 4, .out = 0, .dialects = IN_ALP17, .needs_da = true, .source = RMM_SUITE)
{
    DevEnter enter;

    REQUIRE_VDEV(RMI_ERROR_INPUT, "rd_state");
    REQUIRE_COMM_DATA(in->x[4], &enter);
    REQUIRE_COMM_STATE(&vdev->comm, &enter);
    Pdev *pdev = pdev_at(rmm, in->x[2]);
    bool  begins = vdev->comm.state == DEV_COMM_PENDING;
    REQUIRE_OURS(!begins || pdev->state == RMI_PDEV_READY, RMI_ERROR_DEVICE, "pdev_state");
    REQUIRE(!begins || pdev->talker == 0, RMI_ERROR_DEVICE, "pdev_busy");

    DevResult r = dev_talk(rmm, pdev, vdev, &enter);
    pdev->talker = r == DEV_WAITS ? in->x[3] : 0;
    if (r == DEV_DONE) {
        vdev_conversation_done(rmm, pdev, vdev);
    } else if (r == DEV_FAILED) {
        vdev_conversation_failed(rmm, pdev, vdev);
    }
    return RMI_SUCCESS;
}

/* RMI_VDEV_LOCK. x1: RD, x2: PDEV, x3: VDEV. */
RMI(VDEV_LOCK, .in = 3, .out = 0, .dialects = IN_ALP17, .needs_da = true, .source = RMM_SUITE)
{
    REQUIRE_VDEV(RMI_ERROR_INPUT, "rd_state");
    REQUIRE(vdev->state == RMI_VDEV_UNLOCKED, RMI_ERROR_DEVICE, "vdev_state");
    REQUIRE(vdev->comm.state == DEV_COMM_IDLE, RMI_ERROR_DEVICE, "comm_state");

    dev_queue(&vdev->comm, DEV_LOCK);
    return RMI_SUCCESS;
}

/* RMI_VDEV_START. x1: RD, x2: PDEV, x3: VDEV. */
RMI(VDEV_START, .in = 3, .out = 0, .dialects = IN_ALP17, .needs_da = true, .source = RMM_SUITE)
{
    REQUIRE_VDEV(RMI_ERROR_INPUT, "rd_state");
    REQUIRE(vdev->state == RMI_VDEV_LOCKED, RMI_ERROR_DEVICE, "vdev_state");
    REQUIRE(vdev->comm.state == DEV_COMM_IDLE, RMI_ERROR_DEVICE, "comm_state");

    dev_queue(&vdev->comm, DEV_START);
    return RMI_SUCCESS;
}

/* RMI_VDEV_GET_INTERFACE_REPORT. x1: RD, x2: PDEV, x3: VDEV. */
RMI(VDEV_GET_INTERFACE_REPORT, .in = 3, .out = 0, .dialects = IN_ALP17, .needs_da = true, .source = RMM_SUITE)
{
    REQUIRE_VDEV(RMI_ERROR_INPUT, "rd_state");
    REQUIRE(vdev->state == RMI_VDEV_LOCKED || vdev->state == RMI_VDEV_STARTED, RMI_ERROR_DEVICE,
            "vdev_state");
    REQUIRE(vdev->comm.state == DEV_COMM_IDLE, RMI_ERROR_DEVICE, "comm_state");

    dev_queue(&vdev->comm, DEV_REPORT);
    return RMI_SUCCESS;
}

/* Whether bits @from to 253 of the indices ask for anything. */
static bool asks_something(const uint8_t indices[32], unsigned from)
{
    unsigned any = (indices[0] >> from | (indices[31] & 0x3f)) != 0;

    for (unsigned i = 1; i < 31; i++) {
        any |= indices[i];
    }
    return any != 0;
}

/* A new VDEV's first call is still to come. It may be measured before that, which leaves it new (compliance suite). */
static bool is_untouched(const Vdev *v) { return v->comm.state == DEV_COMM_PENDING && v->comm.script == DEV_PREPARE; }

/*
 * RMI_VDEV_GET_MEASUREMENTS. x1: RD, x2: PDEV, x3: VDEV, x4: NS page of RmiVdevMeasureParams. Bit 254 of the
 * indices, alone, asks for all there are, in one message; otherwise each is asked for by itself. Index 0 is their
 * number, none of them. The host keeps requests and responses always (RMI_MEASURE_EXCHANGE).
 */
RMI(VDEV_GET_MEASUREMENTS, .in = 4, .out = 0, .dialects = IN_ALP17, .needs_da = true, .source = RMM_SUITE)
{
    uint8_t params[RMI_MEASURE_NONCE + 32];

    REQUIRE_VDEV(RMI_ERROR_INPUT, "rd_state");
    REQUIRE_HOST_PAGE(in->x[4], ns_read(rmm, in->x[4], params, sizeof(params)), "params");
    uint64_t flags = le64_get(params + RMI_MEASURE_FLAGS);
    REQUIRE_OURS((flags & ~(uint64_t)(RMI_MEASURE_SIGNED | RMI_MEASURE_RAW | RMI_MEASURE_EXCHANGE)) == 0,
                 RMI_ERROR_INPUT, "flags_valid");
    const uint8_t *indices = params + RMI_MEASURE_INDICES;
    bool           all = indices[31] & 0x40;
    REQUIRE(!(indices[31] & 0x80) && (!all || !asks_something(indices, 0)), RMI_ERROR_INPUT, "indices");
    REQUIRE_OURS(all || asks_something(indices, 1), RMI_ERROR_INPUT, "indices_none");
    const Pdev *pdev = pdev_at(rmm, in->x[2]);
    REQUIRE_OURS(pdev->state == RMI_PDEV_READY && pdev->talker == 0, RMI_ERROR_DEVICE, "pdev_busy");
    REQUIRE(vdev->comm.state == DEV_COMM_IDLE || is_untouched(vdev), RMI_ERROR_DEVICE, "comm_state");

    vdev->sign = flags & RMI_MEASURE_SIGNED;
    vdev->raw = flags & RMI_MEASURE_RAW;
    vdev->measure_all = all;
    memcpy(vdev->indices, indices, sizeof(vdev->indices));
    memcpy(vdev->measure_nonce, params + RMI_MEASURE_NONCE, sizeof(vdev->measure_nonce));
    dev_queue(&vdev->comm, DEV_MEASURE);
    return RMI_SUCCESS;
}

/* RMI_VDEV_UNLOCK. x1: RD, x2: PDEV, x3: VDEV. DMA ends here, not when the device has answered, and so does
 * what the Realm was told of this lock. */
RMI(VDEV_UNLOCK, .in = 3, .out = 0, .dialects = IN_ALP17, .needs_da = true, .source = RMM_SUITE)
{
    REQUIRE_VDEV(RMI_ERROR_INPUT, "rd_state");
    REQUIRE(vdev->state == RMI_VDEV_LOCKED || vdev->state == RMI_VDEV_STARTED ||
                vdev->state == RMI_VDEV_ERROR,
            RMI_ERROR_DEVICE, "vdev_state");
    REQUIRE(vdev->comm.state == DEV_COMM_IDLE, RMI_ERROR_DEVICE, "comm_state");
    REQUIRE(vdev->n_mapped == 0, RMI_ERROR_DEVICE, "num_map");

    vdev_set_dma(rmm, vdev, false);
    vdev->lock_nonce = 0;
    dev_queue(&vdev->comm, DEV_UNLOCK);
    return RMI_SUCCESS;
}

/* RMI_VDEV_ABORT. x1: VDEV. */
RMI(VDEV_ABORT, .in = 1, .out = 0, .dialects = IN_ALP17, .needs_da = true, .source = RMM_SUITE)
{
    REQUIRE_GRANULE_AS(in->x[1], GRANULE_VDEV, "vdev", "vdev_gran_state");
    Vdev *vdev = vdev_at(rmm, in->x[1]);
    REQUIRE(vdev->comm.state != DEV_COMM_IDLE, RMI_ERROR_DEVICE, "comm_state");

    vdev_cut_short(rmm, vdev);
    return RMI_SUCCESS;
}

/* ---- the end ---- */

/* RMI_VDEV_DESTROY. x1: RD, x2: PDEV, x3: VDEV. */
RMI(VDEV_DESTROY, .in = 3, .out = 0, .dialects = IN_ALP17, .needs_da = true, .source = RMM_SUITE)
{
    REQUIRE_VDEV(RMI_ERROR_DEVICE, "rd_gran_state");
    REQUIRE(vdev->state == RMI_VDEV_NEW || vdev->state == RMI_VDEV_UNLOCKED || vdev->state == RMI_VDEV_ERROR,
            RMI_ERROR_DEVICE, "vdev_state");
    REQUIRE_OURS(vdev->comm.state != DEV_COMM_ACTIVE, RMI_ERROR_DEVICE, "comm_state");
    /* Its pages could not be told from another's. */
    REQUIRE(vdev->n_mapped == 0, RMI_ERROR_DEVICE, "num_map");

    vdev_remove(rmm, in->x[3]);
    return RMI_SUCCESS;
}
