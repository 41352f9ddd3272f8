/*
 * Virtual devices as 1.1-alp12 has them: the Realm asks for each step of a VDEV's life (rsi_rdev.c), the host only
 * carries the messages and may end it. DEN0137 1.1-alp12, command pages RMI_VDEV_*. The document is not public; where
 * it leaves us in doubt we do what TF-RMM 0.8 does.
 *
 * There are two views of one VDEV: Vdev.state is the interface, as the Realm sees it; Vdev.host_state is what the host
 * is told, which says whose turn it is.
 */
#include "rmm/rec_dev.h"

#include <inttypes.h>

static void set_host_state(Vdev *vdev, RmiVdev12State state)
{
    static const char *const names[] = {
        [RMI_VDEV12_READY] = "READY", [RMI_VDEV12_COMMUNICATING] = "COMMUNICATING",
        [RMI_VDEV12_STOPPING] = "STOPPING", [RMI_VDEV12_STOPPED] = "STOPPED", [RMI_VDEV12_ERROR] = "ERROR",
    };

    LOG(RMI, "vdev 0x%" PRIx64 ": %s to %s", vdev->id, names[vdev->host_state], names[state]);
    vdev->host_state = state;
}

/* RMI_VDEV_GET_STATE. x1: VDEV. Out: RmiVdevState. */
RMI(VDEV_GET_STATE, .in = 1, .out = 1, .dialects = IN_ALP12, .needs_da = true, .source = RMM_PEERS)
{
    REQUIRE_GRANULE_AS(in->x[1], GRANULE_VDEV, "vdev", "vdev_gran_state");
    out->x[1] = vdev_at(rmm, in->x[1])->host_state;
    return RMI_SUCCESS;
}

/* RMI_VDEV_COMMUNICATE. x1: PDEV, x2: VDEV, x3: NS page of RmiDevCommData. A VDEV that stops does so even when there is
 * nobody left to talk to. */
RMI(VDEV_COMMUNICATE, .in = 3, .out = 0, .dialects = IN_ALP12, .needs_da = true, .source = RMM_PEERS)
{
    DevEnter enter;

    REQUIRE_GRANULE_AS(in->x[1], GRANULE_PDEV, "pdev", "pdev_gran_state");
    REQUIRE_GRANULE_AS(in->x[2], GRANULE_VDEV, "vdev", "vdev_gran_state");
    Pdev *pdev = pdev_at(rmm, in->x[1]);
    Vdev *vdev = vdev_at(rmm, in->x[2]);
    REQUIRE(vdev->pdev == in->x[1], RMI_ERROR_INPUT, "vdev_pdev");
    REQUIRE_COMM_DATA(in->x[3], &enter);
    bool stops = vdev->host_state == RMI_VDEV12_STOPPING;
    REQUIRE(vdev->host_state == RMI_VDEV12_COMMUNICATING || stops, RMI_ERROR_DEVICE, "vdev_state");
    REQUIRE_COMM_STATE(&vdev->comm, &enter);
    bool begins = vdev->comm.state == DEV_COMM_PENDING;
    REQUIRE(!begins || stops || pdev->state == RMI_PDEV_READY, RMI_ERROR_DEVICE, "pdev_state");
    REQUIRE(!begins || pdev->talker == 0, RMI_ERROR_DEVICE, "pdev_busy");

    DevResult r = dev_talk(rmm, pdev, vdev, &enter);
    pdev->talker = r == DEV_WAITS ? in->x[2] : 0;
    if (r == DEV_WAITS) {
        return RMI_SUCCESS;
    }
    if (r == DEV_DONE) {
        vdev_conversation_done(rmm, pdev, vdev);
        vdev_set_dma(rmm, vdev, vdev->state == RMI_VDEV_STARTED); /* there is no command of its own for that */
    } else {
        vdev_conversation_failed(rmm, pdev, vdev);
    }
    set_host_state(vdev, stops           ? RMI_VDEV12_STOPPED
                         : r == DEV_DONE ? RMI_VDEV12_READY
                                         : RMI_VDEV12_ERROR);
    return RMI_SUCCESS;
}

/* RMI_VDEV_ABORT. x1: VDEV. The Realm finds the interface in ERROR; only stopping it leads out of that. */
RMI(VDEV_ABORT, .in = 1, .out = 0, .dialects = IN_ALP12, .needs_da = true, .source = RMM_PEERS)
{
    REQUIRE_GRANULE_AS(in->x[1], GRANULE_VDEV, "vdev", "vdev_gran_state");
    Vdev *vdev = vdev_at(rmm, in->x[1]);
    REQUIRE(vdev->host_state == RMI_VDEV12_COMMUNICATING, RMI_ERROR_DEVICE, "vdev_state");

    vdev_cut_short(rmm, vdev);
    set_host_state(vdev, RMI_VDEV12_READY);
    return RMI_SUCCESS;
}

/* RMI_VDEV_STOP. x1: VDEV. What the Realm had asked for and was not begun is forgotten; DMA ends here. */
RMI(VDEV_STOP, .in = 1, .out = 0, .dialects = IN_ALP12, .needs_da = true, .source = RMM_PEERS)
{
    REQUIRE_GRANULE_AS(in->x[1], GRANULE_VDEV, "vdev", "vdev_gran_state");
    Vdev *vdev = vdev_at(rmm, in->x[1]);
    REQUIRE(vdev->host_state == RMI_VDEV12_READY || vdev->host_state == RMI_VDEV12_ERROR, RMI_ERROR_DEVICE,
            "vdev_state");

    vdev_set_dma(rmm, vdev, false);
    vdev->lock_nonce = 0;
    dev_queue(&vdev->comm, DEV_UNLOCK);
    set_host_state(vdev, RMI_VDEV12_STOPPING);
    return RMI_SUCCESS;
}

/* RMI_VDEV_DESTROY. x1: RD, x2: PDEV, x3: VDEV. */
RMI(VDEV_DESTROY, .in = 3, .out = 0, .dialects = IN_ALP12, .needs_da = true, .source = RMM_PEERS)
{
    REQUIRE_GRANULE(in->x[1], GRANULE_RD, "rd");
    REQUIRE_GRANULE_AS(in->x[2], GRANULE_PDEV, "pdev", "pdev_gran_state");
    REQUIRE_GRANULE_AS(in->x[3], GRANULE_VDEV, "vdev", "vdev_gran_state");
    const Vdev *vdev = vdev_at(rmm, in->x[3]);
    REQUIRE(vdev->rd == in->x[1], RMI_ERROR_INPUT, "vdev_realm");
    REQUIRE(vdev->pdev == in->x[2], RMI_ERROR_INPUT, "vdev_pdev");
    REQUIRE(vdev->host_state == RMI_VDEV12_STOPPED, RMI_ERROR_INPUT, "vdev_state");

    vdev_remove(rmm, in->x[3]);
    return RMI_SUCCESS;
}

/* RMI_VDEV_COMPLETE. x1: REC, x2: VDEV. */
RMI(VDEV_COMPLETE, .in = 2, .out = 0, .dialects = IN_ALP12, .needs_da = true, .source = RMM_PEERS)
{
    REQUIRE_GRANULE(in->x[1], GRANULE_REC, "rec");
    REQUIRE_GRANULE_AS(in->x[2], GRANULE_VDEV, "vdev", "vdev_gran_state");
    Rec        *rec = rec_at(rmm, in->x[1]);
    const Vdev *vdev = vdev_at(rmm, in->x[2]);
    REQUIRE(!rec->running && rec->pending == REC_RDEV_REQUEST, RMI_ERROR_INPUT, "pending");
    REQUIRE(vdev->rd == rec->rd, RMI_ERROR_INPUT, "owner");
    REQUIRE(vdev->id == rec_device(rec)->id, RMI_ERROR_INPUT, "vdev_id");
    REQUIRE(rec_device(rec)->instance == 0 || vdev->instance == rec_device(rec)->instance, RMI_ERROR_INPUT,
            "vdev_inst_id");

    rec_device(rec)->vdev = in->x[2];
    return RMI_SUCCESS;
}
