/*
 * Device assignment as 1.1-alp12 has it: a Realm takes a device through its life, the host follows. Then the commands
 * of this dialect alone by their failure labels: rows for rmm_rows.h.
 */
#include "tests/unit/rmm_dev_storm.h"
#include "tests/unit/rsi_rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define I       RMI_ERROR_INPUT
#define DEV     RMI_ERROR_DEVICE
#define REC     RMI_ERROR_REC
#define T(l)    RMI_RETURN(RMI_ERROR_RTT, l)
#define RD      PAGE(W_RD)
#define PDEV    PAGE(D_PDEV)
#define VDEV    PAGE(D_VDEV)
#define PARAMS  PAGE(D_PARAMS)
#define PAR_TOP WORLD_NS

enum { FIRST_INSTANCE = 1, BUFFER_IPA = 0x5000, BUFFER_PAGE = W_DATA + 5 };

static DevRig *d;

static uint8_t *buffer(void) { return rig_bytes(d->rig, PAGE(BUFFER_PAGE)); }

/* ---- the way ---- */

static unsigned rdev(void)
{
    assert_int_equal(dev_rsi_call(d, RSI_FID_RDEV_GET_STATE, D_VDEV_ID, FIRST_INSTANCE), RMI_EXIT_SYNC);
    assert_int_equal(dev_rec(d)->x[0], RSI_SUCCESS);
    return (unsigned)dev_rec(d)->x[1];
}

static unsigned host_state(void)
{
    rmi_ok(d->rig, RMI_FID_VDEV_GET_STATE, VDEV);
    return (unsigned)d->rig->cpu[0]->x[1];
}

/* A command of the Realm, the host naming the VDEV; returns the Realm's x0. */
#define ASK(fid, ...) dev_rsi_done(d, fid, D_VDEV_ID, ##__VA_ARGS__)

static void measure_params(uint64_t flags, uint8_t index_byte)
{
    memset(buffer(), 0, 4096);
    le64_put(buffer() + RSI_RDEV_MEASURE_FLAGS, flags);
    memset(buffer() + RSI_RDEV_MEASURE_INDICES, index_byte, 32);
    memset(buffer() + RSI_RDEV_MEASURE_NONCE, 0xa5, 32);
}

static void ask_lock(void)
{
    assert_int_equal(ASK(RSI_FID_RDEV_GET_INSTANCE_ID), RSI_SUCCESS);
    assert_int_equal(dev_rec(d)->x[1], FIRST_INSTANCE);
    assert_int_equal(ASK(RSI_FID_RDEV_LOCK, FIRST_INSTANCE), RSI_SUCCESS);
}

static void lock(void)
{
    ask_lock();
    assert_int_equal(dev_rdev_talk(d, RMI_VDEV_ACTION_LOCK), RSI_SUCCESS);
}

static void start(void)
{
    lock();
    assert_int_equal(ASK(RSI_FID_RDEV_START, FIRST_INSTANCE), RSI_SUCCESS);
    assert_int_equal(dev_rdev_talk(d, RMI_VDEV_ACTION_START), RSI_SUCCESS);
}

static void open_rig(DevStage stage)
{
    d = dev_rig_new();
    dev_go_to(d, stage);
}

static void stop(void)
{
    rmi_ok(d->rig, RMI_FID_VDEV_STOP, VDEV);
    assert_int_equal(dev_converse(d, true), RMI_SUCCESS);
    assert_int_equal(host_state(), RMI_VDEV12_STOPPED);
}

static void check_digest(unsigned object, unsigned offset)
{
    uint8_t want[RMM_HASH_MAX];

    assert_int_not_equal(d->object[object]->len, 0);
    measure(d->rig->rmm, RMI_HASH_SHA_256, d->object[object]->data, d->object[object]->len, want);
    assert_memory_equal(buffer() + offset, want, RMM_HASH_MAX);
}

/* What the first public series does, from bind to unbind. */
static void test_life(void **state)
{
    uint64_t pa;

    open_rig(STAGE_VDEV);
    assert_int_equal(host_state(), RMI_VDEV12_READY);
    assert_int_equal(rdev(), RSI_RDEV_UNLOCKED);
    ask_lock();
    assert_int_equal(rdev(), RSI_RDEV_UNLOCKED_BUSY);
    assert_int_equal(host_state(), RMI_VDEV12_READY); /* until the Realm says CONTINUE */
    assert_int_equal(dev_rdev_talk(d, RMI_VDEV_ACTION_LOCK), RSI_SUCCESS);
    assert_int_equal(rdev(), RSI_RDEV_LOCKED);
    assert_int_equal(host_state(), RMI_VDEV12_READY);
    assert_int_equal(ASK(RSI_FID_RDEV_GET_INTERFACE_REPORT, FIRST_INSTANCE, 0x10), RSI_SUCCESS);
    assert_int_equal(dev_rec(d)->x[1], 0x10);
    assert_int_equal(rdev(), RSI_RDEV_LOCKED_BUSY);
    assert_int_equal(dev_rdev_talk(d, RMI_VDEV_ACTION_GET_INTERFACE_REPORT), RSI_SUCCESS);
    measure_params(RSI_RDEV_MEASURE_ALL | RSI_RDEV_MEASURE_SIGNED, 0);
    assert_int_equal(ASK(RSI_FID_RDEV_GET_MEASUREMENTS, FIRST_INSTANCE, BUFFER_IPA), RSI_SUCCESS);
    assert_int_equal(dev_rdev_talk(d, RMI_VDEV_ACTION_GET_MEASUREMENTS), RSI_SUCCESS);

    assert_int_equal(dev_rsi_call(d, RSI_FID_RDEV_GET_INFO, D_VDEV_ID, FIRST_INSTANCE, BUFFER_IPA), RMI_EXIT_SYNC);
    assert_int_equal(dev_rec(d)->x[0], RSI_SUCCESS);
    check_digest(RMI_OBJECT_CERTIFICATE, RSI_RDEV_INFO_CERT_DIGEST);
    check_digest(RMI_OBJECT_MEASUREMENTS, RSI_RDEV_INFO_MEAS_DIGEST);
    check_digest(RMI_OBJECT_INTERFACE_REPORT, RSI_RDEV_INFO_REPORT_DIGEST);

    rmi_ok(d->rig, RMI_FID_RTT_CREATE, RD, PAGE(D_L2), D_IPA, 3);
    rig_delegate(d->rig, D_BAR, 2);
    assert_int_equal(dev_rsi_call(d, RSI_FID_RDEV_VALIDATE_MAPPING, D_VDEV_ID, FIRST_INSTANCE, D_IPA, D_IPA + 0x2000,
                                  D_BAR, 0),
                     RMI_EXIT12_DEV_MEM_MAP);
    assert_int_equal(rig_exit(d->rig, W_RUN, RMI_EXIT12_DEV_MEM_BASE), D_IPA);
    assert_int_equal(rig_exit(d->rig, W_RUN, RMI_EXIT12_DEV_MEM_TOP), D_IPA + 0x2000);
    assert_int_equal(rig_exit(d->rig, W_RUN, RMI_EXIT12_DEV_MEM_PA), D_BAR);
    rmi_ok(d->rig, RMI_FID_DEV_MEM_MAP, RD, D_IPA, 3, D_BAR);
    rmi_ok(d->rig, RMI_FID_DEV_MEM_MAP, RD, D_IPA + 0x1000, 3, D_BAR + 0x1000);
    rmi_ok(d->rig, RMI_FID_RTT_DEV_MEM_VALIDATE, RD, PAGE(W_REC0), D_IPA, D_IPA + 0x2000);
    assert_int_equal(d->rig->cpu[0]->x[1], D_IPA + 0x2000);
    assert_int_equal(dev_enter(d, 0), RMI_EXIT_SYNC);
    assert_int_equal(dev_rec(d)->x[1], D_IPA + 0x2000);
    assert_int_equal(dev_rec(d)->x[2], RSI_ACCEPT);

    /* DMA is the Realm's from START to STOP. */
    assert_int_not_equal(dev_dma(d, true, 0x1000, &pa), DMA_OK);
    assert_int_equal(ASK(RSI_FID_RDEV_START, FIRST_INSTANCE), RSI_SUCCESS);
    assert_int_not_equal(dev_dma(d, true, 0x1000, &pa), DMA_OK);
    assert_int_equal(dev_rdev_talk(d, RMI_VDEV_ACTION_START), RSI_SUCCESS);
    assert_int_equal(rdev(), RSI_RDEV_STARTED);
    assert_int_equal(dev_dma(d, true, 0x1000, &pa), DMA_OK);
    assert_int_equal(pa, PAGE(W_DATA + 1));
    assert_int_equal(ASK(RSI_FID_RDEV_STOP, FIRST_INSTANCE), RSI_SUCCESS);
    assert_int_not_equal(dev_dma(d, true, 0x1000, &pa), DMA_OK);
    assert_int_equal(rdev(), RSI_RDEV_STOPPING);
    assert_int_equal(dev_rdev_talk(d, RMI_VDEV_ACTION_STOP), RSI_SUCCESS);
    assert_int_equal(rdev(), RSI_RDEV_UNLOCKED);

    rmi_ok(d->rig, RMI_FID_DEV_MEM_UNMAP, RD, D_IPA, 3);
    assert_int_equal(d->rig->cpu[0]->x[1], D_BAR);
    rmi_ok(d->rig, RMI_FID_DEV_MEM_UNMAP, RD, D_IPA + 0x1000, 3);
    stop();
    assert_int_equal(rdev(), RSI_RDEV_STOPPED);
    rmi_ok(d->rig, RMI_FID_VDEV_DESTROY, RD, PDEV, VDEV);
    dev_rig_free(d);
}

/* A VDEV made anew has another instance: what the Realm knew of the old one is of no use. */
static void test_instances(void **state)
{
    open_rig(STAGE_VDEV);
    lock();
    stop();
    rmi_ok(d->rig, RMI_FID_VDEV_DESTROY, RD, PDEV, VDEV);
    rig_delegate(d->rig, VDEV, 0);
    dev_vdev_params(d);
    rmi_ok(d->rig, RMI_FID_VDEV_CREATE, RD, PDEV, VDEV, PARAMS);
    assert_int_equal(dev_rsi_call(d, RSI_FID_RDEV_LOCK, D_VDEV_ID, FIRST_INSTANCE), RMI_EXIT_SYNC);
    assert_int_equal(dev_rec(d)->x[0], RSI_ERROR_INPUT);
    assert_int_equal(ASK(RSI_FID_RDEV_GET_INSTANCE_ID), RSI_SUCCESS);
    assert_int_equal(dev_rec(d)->x[1], FIRST_INSTANCE + 1);
    dev_rig_free(d);
}

/* The host did not say which VDEV it is. */
static void test_not_completed(void **state)
{
    open_rig(STAGE_VDEV);
    assert_int_equal(dev_rsi_call(d, RSI_FID_RDEV_LOCK, D_VDEV_ID, FIRST_INSTANCE), RMI_EXIT_VDEV_REQUEST);
    assert_int_equal(dev_enter(d, 0), RMI_EXIT_SYNC);
    assert_int_equal(dev_rec(d)->x[0], RSI_ERROR_INPUT);
    assert_int_equal(rdev(), RSI_RDEV_UNLOCKED);
    dev_rig_free(d);
}

/* Given up in the middle: the host may go on, the Realm knows that it must not. */
static void test_abort(void **state)
{
    unsigned status = RMI_COMM_NONE;
    bool     more;

    open_rig(STAGE_VDEV);
    ask_lock();
    assert_int_equal(dev_rsi_call(d, RSI_FID_RDEV_CONTINUE, D_VDEV_ID, FIRST_INSTANCE), RMI_EXIT12_VDEV_COMM);
    assert_int_equal(dev_communicate(d, true, &status, &more), RMI_SUCCESS);
    rmi_ok(d->rig, RMI_FID_VDEV_ABORT, VDEV);
    assert_int_equal(host_state(), RMI_VDEV12_READY);
    assert_int_equal(dev_enter(d, 0), RMI_EXIT_SYNC);
    assert_int_equal(dev_rec(d)->x[0], RSI_ERROR_DEVICE);
    assert_int_equal(rdev(), RSI_RDEV_ERROR);
    stop();
    rmi_ok(d->rig, RMI_FID_VDEV_DESTROY, RD, PDEV, VDEV);
    dev_rig_free(d);
}

static size_t no_answer(DevRig *rig, uint8_t *rsp, size_t len) { return 0; }

/* The device is silent: both are in ERROR, and the way out is the host's. */
static void test_device_fails(void **state)
{
    uint64_t pa;

    open_rig(STAGE_VDEV);
    start();
    assert_int_equal(dev_dma(d, true, 0x1000, &pa), DMA_OK);
    assert_int_equal(ASK(RSI_FID_RDEV_GET_INTERFACE_REPORT, FIRST_INSTANCE, 0x10), RSI_SUCCESS);
    d->spoil = no_answer;
    assert_int_equal(dev_rdev_talk(d, RMI_VDEV_ACTION_GET_INTERFACE_REPORT), RSI_ERROR_DEVICE);
    assert_int_not_equal(dev_dma(d, true, 0x1000, &pa), DMA_OK);
    assert_int_equal(rdev(), RSI_RDEV_ERROR);
    assert_int_equal(host_state(), RMI_VDEV12_ERROR);
    stop();
    rmi_ok(d->rig, RMI_FID_VDEV_DESTROY, RD, PDEV, VDEV);
    dev_rig_free(d);
}

/* The keys are exchanged anew, while the interface runs. */
static void test_key_refresh(void **state)
{
    open_rig(STAGE_VDEV);
    start();
    rmi_ok(d->rig, RMI_FID_PDEV_NOTIFY, PDEV, RMI_PDEV_EVENT_IDE_KEY_REFRESH);
    unsigned set = dev_pdev(d)->key_set;
    assert_int_equal(dev_converse(d, false), RMI_SUCCESS);
    assert_int_equal(dev_pdev(d)->state, RMI_PDEV_READY);
    assert_int_not_equal(dev_pdev(d)->key_set, set);
    assert_int_equal(rdev(), RSI_RDEV_STARTED);
    dev_rig_free(d);
}

/* ---- rows ---- */

static void ready_comm(void)
{
    uint8_t *p = rig_bytes(d->rig, PAGE(D_COMM));

    ask_lock();
    assert_int_equal(dev_rsi_call(d, RSI_FID_RDEV_CONTINUE, D_VDEV_ID, FIRST_INSTANCE), RMI_EXIT12_VDEV_COMM);
    memset(p, 0, 4096);
    le64_put(p + RMI_COMM_REQ_ADDR, PAGE(D_REQ));
    le64_put(p + RMI_COMM_RESP_ADDR, PAGE(D_RSP));
}

static void ready_complete(void)
{
    assert_int_equal(dev_rsi_call(d, RSI_FID_RDEV_LOCK, D_VDEV_ID, FIRST_INSTANCE), RMI_EXIT_VDEV_REQUEST);
}

static void ready_map(void)
{
    rmi_ok(d->rig, RMI_FID_RTT_CREATE, RD, PAGE(D_L2), D_IPA, 3);
    rig_delegate(d->rig, D_BAR, 2);
}

static void ready_unmap(void)
{
    ready_map();
    rmi_ok(d->rig, RMI_FID_DEV_MEM_MAP, RD, D_IPA, 3, D_BAR);
}

static void ready_validate(void)
{
    lock();
    ready_unmap();
    assert_int_equal(dev_rsi_call(d, RSI_FID_RDEV_VALIDATE_MAPPING, D_VDEV_ID, FIRST_INSTANCE, D_IPA, D_IPA + 0x2000,
                                  D_BAR, 0),
                     RMI_EXIT12_DEV_MEM_MAP);
}

static const RmmValid valid[] = {
    { RMI_FID_PDEV_NOTIFY, { PDEV, 0 }, STAGE_VDEV, NULL, "pdev_state" },
    { RMI_FID_VDEV_GET_STATE, { VDEV }, STAGE_VDEV, NULL, NULL },
    { RMI_FID_VDEV_COMMUNICATE, { PDEV, VDEV, PAGE(D_COMM) }, STAGE_VDEV, ready_comm, "comm_active" },
    { RMI_FID_VDEV_ABORT, { VDEV }, STAGE_VDEV, ready_comm, "vdev_state" },
    { RMI_FID_VDEV_STOP, { VDEV }, STAGE_VDEV, NULL, "vdev_state" },
    { RMI_FID_VDEV_DESTROY, { RD, PDEV, VDEV }, STAGE_VDEV, stop, "vdev_gran_state" },
    { RMI_FID_VDEV_COMPLETE, { PAGE(W_REC0), VDEV }, STAGE_VDEV, ready_complete, NULL },
    { RMI_FID_DEV_MEM_MAP, { RD, D_IPA, 3, D_BAR }, STAGE_VDEV, ready_map, "addr_state" },
    { RMI_FID_DEV_MEM_UNMAP, { RD, D_IPA, 3 }, STAGE_VDEV, ready_unmap, "rtte_state" },
    { RMI_FID_RTT_DEV_MEM_VALIDATE, { RD, PAGE(W_REC0), D_IPA, D_IPA + 0x1000 }, STAGE_VDEV, ready_validate,
      "base_bound" },
};

static void copy_granule(unsigned to, GranuleState state, uint64_t from)
{
    granule_set(d->rig->rmm, PAGE(to), state);
    memcpy(granule_ptr(d->rig->rmm, PAGE(to)), granule_ptr(d->rig->rmm, from), 4096);
}

static void lose_comm(void) { owners_set(d->rig->owners, PAGE(D_COMM), 4096, OWNER_ROOT); }
static void other_pdev(void) { copy_granule(D_SPARE, GRANULE_PDEV, PDEV); }

static void other_vdev(void)
{
    copy_granule(D_VDEV2, GRANULE_VDEV, VDEV);
    vdev_at(d->rig->rmm, PAGE(D_VDEV2))->id++;
}

static void alien_vdev(void)
{
    copy_granule(D_VDEV2, GRANULE_VDEV, VDEV);
    vdev_at(d->rig->rmm, PAGE(D_VDEV2))->rd = PAGE(W_RD2);
}

static void new_vdev(void)
{
    copy_granule(D_VDEV2, GRANULE_VDEV, VDEV);
    vdev_at(d->rig->rmm, PAGE(D_VDEV2))->instance++;
}

static void pdev_new(void) { dev_pdev(d)->state = RMI_PDEV_NEW; }
static void pdev_busy(void) { dev_pdev(d)->talker = PAGE(D_VDEV2); }
static void vdev_ready(void) { dev_vdev(d)->host_state = RMI_VDEV12_READY; }
static void vdev_talks(void) { dev_vdev(d)->host_state = RMI_VDEV12_COMMUNICATING; }
static void vdev_idle(void) { dev_vdev(d)->comm.state = DEV_COMM_IDLE; }
static void vdev_active(void) { dev_vdev(d)->comm.state = DEV_COMM_ACTIVE; }
static void vdev_relocked(void) { dev_vdev(d)->lock_nonce++; }
static void vdev_other_instance(void) { dev_vdev(d)->instance++; }
static void rec_runs(void) { dev_rec(d)->running = true; }
static void nothing_pending(void) { dev_rec(d)->pending = REC_NOTHING; }
static void one_page_asked(void) { rec_device(dev_rec(d))->top = D_IPA + 0x1000; }
static void other_pa(void) { rec_device(dev_rec(d))->pa += 0x1000; }

static void ram_there(void)
{
    RttWalk w = rtt_walk(d->rig->rmm, realm_at(d->rig->rmm, RD), D_IPA, 3);
    rtt_put(&w, (RttValue){ .kind = RTT_UNASSIGNED, .ripas = RIPAS_RAM });
}

static void block_there(void)
{
    rec_device(dev_rec(d))->base = D_IPA + 0x401000;
    rec_device(dev_rec(d))->top = D_IPA + 0x402000;
}

#define ARG    RMM_ARG
#define DO     RMM_DO
#define DO_ARG RMM_DO_ARG
#define COMM(fid, label, off, len, v)  RMM_POKE(fid, label, I, D_COMM, off, len, v)
#define GRANULE(fid, reg, name, state) RMM_GRANULE(fid, reg, name, state, OTHER)
#define OTHER                          PAGE(W_ROOT)

static const RmmRow rows[] = {
    GRANULE(PDEV_NOTIFY, 1, "pdev", "pdev_gran_state"),
    DO(PDEV_NOTIFY, "pdev_state", DEV, pdev_new),
    ARG(PDEV_NOTIFY, "ev_valid", I, { 2, 1 }),
    DO(PDEV_NOTIFY, "pdev_busy", DEV, pdev_busy),

    GRANULE(VDEV_GET_STATE, 1, "vdev", "vdev_gran_state"),

    GRANULE(VDEV_COMMUNICATE, 1, "pdev", "pdev_gran_state"),
    GRANULE(VDEV_COMMUNICATE, 2, "vdev", "vdev_gran_state"),
    DO_ARG(VDEV_COMMUNICATE, "vdev_pdev", I, other_pdev, { 1, PAGE(D_SPARE) }),
    ARG(VDEV_COMMUNICATE, "data_align", I, { 3, PAGE(D_COMM) + 8 }),
    ARG(VDEV_COMMUNICATE, "data_pas", I, { 3, ROWS_NOWHERE }),
    ARG(VDEV_COMMUNICATE, "data_pas", I, { 3, OTHER }),
    DO(VDEV_COMMUNICATE, "data_pas", I, lose_comm),
    COMM(VDEV_COMMUNICATE, "req_align", RMI_COMM_REQ_ADDR, 8, PAGE(D_REQ) + 8),
    COMM(VDEV_COMMUNICATE, "req_pas", RMI_COMM_REQ_ADDR, 8, ROWS_NOWHERE),
    COMM(VDEV_COMMUNICATE, "req_pas", RMI_COMM_REQ_ADDR, 8, PDEV),
    COMM(VDEV_COMMUNICATE, "resp_align", RMI_COMM_RESP_ADDR, 8, PAGE(D_RSP) + 1),
    COMM(VDEV_COMMUNICATE, "resp_pas", RMI_COMM_RESP_ADDR, 8, ROWS_NOWHERE),
    COMM(VDEV_COMMUNICATE, "resp_pas", RMI_COMM_RESP_ADDR, 8, OTHER),
    COMM(VDEV_COMMUNICATE, "resp_len", RMI_COMM_RESP_LEN, 8, 4097),
    COMM(VDEV_COMMUNICATE, "status_valid", RMI_COMM_STATUS, 1, 3),
    COMM(VDEV_COMMUNICATE, "resp_empty", RMI_COMM_STATUS, 1, RMI_COMM_RESPONSE),
    DO(VDEV_COMMUNICATE, "vdev_state", DEV, vdev_ready),
    DO(VDEV_COMMUNICATE, "comm_state", DEV, vdev_idle),
    RMM_POKE(VDEV_COMMUNICATE, "comm_pending", DEV, D_COMM, RMI_COMM_STATUS, 1, RMI_COMM_ERROR),
    DO(VDEV_COMMUNICATE, "comm_active", DEV, vdev_active),
    DO(VDEV_COMMUNICATE, "pdev_state", DEV, pdev_new),
    DO(VDEV_COMMUNICATE, "pdev_busy", DEV, pdev_busy),

    GRANULE(VDEV_ABORT, 1, "vdev", "vdev_gran_state"),
    DO(VDEV_ABORT, "vdev_state", DEV, vdev_ready),

    GRANULE(VDEV_STOP, 1, "vdev", "vdev_gran_state"),
    DO(VDEV_STOP, "vdev_state", DEV, vdev_talks),

    GRANULE(VDEV_DESTROY, 1, "rd", "rd_state"),
    GRANULE(VDEV_DESTROY, 2, "pdev", "pdev_gran_state"),
    GRANULE(VDEV_DESTROY, 3, "vdev", "vdev_gran_state"),
    ARG(VDEV_DESTROY, "vdev_realm", I, { 1, PAGE(W_RD2) }),
    DO_ARG(VDEV_DESTROY, "vdev_pdev", I, other_pdev, { 2, PAGE(D_SPARE) }),
    DO(VDEV_DESTROY, "vdev_state", I, vdev_ready),

    GRANULE(VDEV_COMPLETE, 1, "rec", "rec_state"),
    GRANULE(VDEV_COMPLETE, 2, "vdev", "vdev_gran_state"),
    DO(VDEV_COMPLETE, "pending", I, nothing_pending),
    DO(VDEV_COMPLETE, "pending", I, rec_runs),
    DO_ARG(VDEV_COMPLETE, "owner", I, alien_vdev, { 2, PAGE(D_VDEV2) }),
    DO_ARG(VDEV_COMPLETE, "vdev_id", I, other_vdev, { 2, PAGE(D_VDEV2) }),
    DO_ARG(VDEV_COMPLETE, "vdev_inst_id", I, new_vdev, { 2, PAGE(D_VDEV2) }),

    GRANULE(DEV_MEM_MAP, 1, "rd", "rd_state"),
    ARG(DEV_MEM_MAP, "level_bound", I, { 3, 1 }),
    ARG(DEV_MEM_MAP, "level_bound", I, { 3, 4 }),
    ARG(DEV_MEM_MAP, "ipa_align", I, { 2, D_IPA + 8 }),
    ARG(DEV_MEM_MAP, "ipa_bound", I, { 2, PAR_TOP }),
    ARG(DEV_MEM_MAP, "addr_align", I, { 4, D_BAR + 8 }),
    ARG(DEV_MEM_MAP, "addr_bound", I, { 4, 1ull << 48 }),
    ARG(DEV_MEM_MAP, "addr_state", I, { 4, D_BAR + 0x2000 }),
    ARG(DEV_MEM_MAP, "addr_state", I, { 2, D_IPA + 0x200000 }, { 3, 2 }), /* two of 512 */
    ARG(DEV_MEM_MAP, "rtt_walk", T(2), { 2, D_IPA + 0x200000 }),
    DO(DEV_MEM_MAP, "rtte_ripas", T(3), ram_there),
    ARG(DEV_MEM_MAP, "rtte_state", T(3), { 2, 0x1000 }),

    GRANULE(DEV_MEM_UNMAP, 1, "rd", "rd_state"),
    ARG(DEV_MEM_UNMAP, "level_bound", I, { 3, 1 }),
    ARG(DEV_MEM_UNMAP, "ipa_align", I, { 2, D_IPA + 8 }),
    ARG(DEV_MEM_UNMAP, "ipa_bound", I, { 2, PAR_TOP }),
    ARG(DEV_MEM_UNMAP, "rtt_walk", T(2), { 2, D_IPA + 0x200000 }),
    ARG(DEV_MEM_UNMAP, "rtte_state", T(3), { 2, D_IPA + 0x1000 }),

    ARG(RTT_DEV_MEM_VALIDATE, "size_valid", I, { 4, D_IPA }),
    ARG(RTT_DEV_MEM_VALIDATE, "top_gran_align", I, { 4, D_IPA + 8 }),
    GRANULE(RTT_DEV_MEM_VALIDATE, 1, "rd", "rd_state"),
    GRANULE(RTT_DEV_MEM_VALIDATE, 2, "rec", "rec_gran_state"),
    DO(RTT_DEV_MEM_VALIDATE, "rec_state", REC, rec_runs),
    ARG(RTT_DEV_MEM_VALIDATE, "rec_owner", REC, { 2, PAGE(W_REC2) }),
    ARG(RTT_DEV_MEM_VALIDATE, "base_bound", I, { 3, D_IPA - 0x1000 }),
    DO(RTT_DEV_MEM_VALIDATE, "base_bound", I, nothing_pending),
    DO_ARG(RTT_DEV_MEM_VALIDATE, "top_bound", I, one_page_asked, { 4, D_IPA + 0x2000 }),
    DO(RTT_DEV_MEM_VALIDATE, "vdev_nonce", DEV, vdev_relocked),
    DO_ARG(RTT_DEV_MEM_VALIDATE, "base_align", T(2), block_there, { 3, D_IPA + 0x401000 },
           { 4, D_IPA + 0x402000 }),
    DO(RTT_DEV_MEM_VALIDATE, "no_progress", T(3), other_pa),
};

/* ---- running them ---- */

static Rig *open_world(unsigned stage)
{
    open_rig((DevStage)stage);
    return d->rig;
}

static void close_world(void) { dev_rig_free(d); }

static bool is_of_alp12(const RmmFunction *f) { return f->dialects == IN_ALP12; }

static const RmmRows table = {
    valid, ARRAY_LEN(valid), rows, ARRAY_LEN(rows), D_LAST, open_world, close_world, NULL, is_of_alp12,
};

static void test_rows(void **state)
{
    rmm_rows_break(&table);
    rmm_rows_repeat(&table);
    rmm_rows_complete(&table);
}

/* ---- RSI ---- */

static void params_one_index(void) { measure_params(0, 0x10); }
static void params_index_0(void) { measure_params(0, 0x11); }
static void params_none(void) { measure_params(0, 0); }
static void params_unknown(void) { measure_params(8, 0x10); }

#define ID D_VDEV_ID, FIRST_INSTANCE

/* Stages of these rows. */
enum { UNLOCKED, LOCKED };

static void realm_without(void) { realm_at(d->rig->rmm, RD)->flags0 = 0; }
static void named(void) { rmi_ok(d->rig, RMI_FID_VDEV_COMPLETE, PAGE(W_REC0), VDEV); }

static void destroy(void)
{
    (void)rmi(d->rig, RMI_FID_VDEV_ABORT, VDEV); /* if it talks */
    stop();
    rmi_ok(d->rig, RMI_FID_VDEV_DESTROY, RD, PDEV, VDEV);
}

static void abort_it(void) { rmi_ok(d->rig, RMI_FID_VDEV_ABORT, VDEV); }

/* The host names the VDEV, and then something else happens. */
#define NAMED_THEN(fn)                                                                                 \
    static void named_then_##fn(void)                                                                  \
    {                                                                                                  \
        named();                                                                                       \
        fn();                                                                                          \
    }
NAMED_THEN(destroy)
NAMED_THEN(vdev_other_instance)
NAMED_THEN(vdev_active)
NAMED_THEN(vdev_talks)
NAMED_THEN(pdev_busy)

#define RDEV(fid, label, status, ...) { RSI_FID_RDEV_##fid, label, RSI_ERROR_##status, __VA_ARGS__ }
#define RDEV_WITHOUT(fid)             RDEV(fid, "da_en", STATE, { ID }, UNLOCKED, realm_without)
#define RDEV_LATER(fid, label, status, stage, fn, ...)                                                 \
    RDEV(fid, label, status, { __VA_ARGS__ }, stage, NULL, RMI_EXIT_VDEV_REQUEST, fn)
/* What changes between the exit and the next entry is looked at again. */
#define RDEV_AGAIN(fid, stage, ...)                                                                    \
    RDEV_LATER(fid, "vdev_id", INPUT, stage, NULL, __VA_ARGS__),                                       \
        RDEV_LATER(fid, "vdev_id", INPUT, stage, named_then_destroy, __VA_ARGS__),                     \
        RDEV_LATER(fid, "rdev_ids", INPUT, stage, named_then_vdev_other_instance, __VA_ARGS__),        \
        RDEV_LATER(fid, "rdev_state", DEVICE, stage, named_then_vdev_active, __VA_ARGS__),             \
        RDEV_LATER(fid, "vdev_state", DEVICE, stage, named_then_vdev_talks, __VA_ARGS__),              \
        RDEV_LATER(fid, "vdev_state", DEVICE, stage, named_then_pdev_busy, __VA_ARGS__)

static const RsiRow rsi_rows[] = {
    RDEV_WITHOUT(GET_INSTANCE_ID),
    RDEV_LATER(GET_INSTANCE_ID, "vdev_id", INPUT, UNLOCKED, NULL, D_VDEV_ID),
    RDEV_LATER(GET_INSTANCE_ID, "vdev_id", INPUT, UNLOCKED, named_then_destroy, D_VDEV_ID),
    RDEV_WITHOUT(GET_STATE),
    RDEV_WITHOUT(LOCK),
    RDEV_WITHOUT(START),
    RDEV_WITHOUT(STOP),
    RDEV_WITHOUT(GET_INTERFACE_REPORT),
    RDEV_WITHOUT(GET_MEASUREMENTS),
    RDEV_WITHOUT(CONTINUE),
    RDEV_WITHOUT(VALIDATE_MAPPING),
    RDEV_WITHOUT(GET_INFO),
    RDEV_AGAIN(LOCK, UNLOCKED, ID),
    RDEV_AGAIN(START, LOCKED, ID),
    RDEV_AGAIN(STOP, LOCKED, ID),
    RDEV_AGAIN(GET_INTERFACE_REPORT, LOCKED, ID, 0x10),
    RDEV_AGAIN(GET_MEASUREMENTS, LOCKED, ID, BUFFER_IPA),
    RDEV(CONTINUE, "vdev_id", STATE, { ID }, UNLOCKED, ask_lock, RMI_EXIT12_VDEV_COMM, destroy),
    RDEV(CONTINUE, "rdev_error", DEVICE, { ID }, UNLOCKED, ask_lock, RMI_EXIT12_VDEV_COMM, abort_it),
    RDEV(GET_STATE, "rdev_ids", INPUT, { D_VDEV_ID, 2 }),
    RDEV(GET_STATE, "rdev_ids", INPUT, { D_VDEV_ID + 1, 1 }),
    RDEV(LOCK, "rdev_ids", INPUT, { D_VDEV_ID, 2 }),
    RDEV(LOCK, "rdev_state", DEVICE, { ID }, LOCKED),
    RDEV(LOCK, "vdev_state", DEVICE, { ID }, .prepare = vdev_talks),
    RDEV(LOCK, "vdev_state", DEVICE, { ID }, .prepare = pdev_busy),
    RDEV(START, "rdev_ids", INPUT, { D_VDEV_ID, 2 }, LOCKED),
    RDEV(START, "rdev_state", DEVICE, { ID }),
    RDEV(START, "vdev_state", DEVICE, { ID }, LOCKED, pdev_new),
    RDEV(STOP, "rdev_ids", INPUT, { D_VDEV_ID, 2 }),
    RDEV(STOP, "rdev_state", DEVICE, { ID }, .prepare = vdev_active),
    RDEV(STOP, "vdev_state", DEVICE, { ID }, .prepare = vdev_talks),
    RDEV(GET_INTERFACE_REPORT, "tdisp_version", INPUT, { ID, 0xf }, LOCKED),
    RDEV(GET_INTERFACE_REPORT, "rdev_ids", INPUT, { D_VDEV_ID, 2, 0x10 }, LOCKED),
    RDEV(GET_INTERFACE_REPORT, "rdev_state", DEVICE, { ID, 0x10 }),
    RDEV(GET_INTERFACE_REPORT, "vdev_state", DEVICE, { ID, 0x10 }, LOCKED, vdev_talks),
    RDEV(GET_MEASUREMENTS, "params_align", INPUT, { ID, BUFFER_IPA + 8 }),
    RDEV(GET_MEASUREMENTS, "params_bound", INPUT, { ID, PAR_TOP }),
    RDEV(GET_MEASUREMENTS, "rdev_ids", INPUT, { D_VDEV_ID, 2, BUFFER_IPA }),
    RDEV(GET_MEASUREMENTS, "rdev_state", DEVICE, { ID, BUFFER_IPA }, .prepare = vdev_active),
    RDEV(GET_MEASUREMENTS, "vdev_state", DEVICE, { ID, BUFFER_IPA }, .prepare = pdev_busy),
    RDEV(GET_MEASUREMENTS, "params_empty", INPUT, { ID, 0x9000 }),
    RDEV(GET_MEASUREMENTS, "flags_valid", INPUT, { ID, BUFFER_IPA }, .prepare = params_unknown),
    RDEV(GET_MEASUREMENTS, "indices_valid", INPUT, { ID, BUFFER_IPA }, .prepare = params_index_0),
    RDEV(GET_MEASUREMENTS, "indices_valid", INPUT, { ID, BUFFER_IPA }, .prepare = params_none),
    RDEV(CONTINUE, "rdev_ids", INPUT, { D_VDEV_ID, 2 }),
    RDEV(CONTINUE, "rdev_state", DEVICE, { ID }),
    RDEV(VALIDATE_MAPPING, "base_align", INPUT, { ID, D_IPA + 8, D_IPA + 0x1000, D_BAR }, LOCKED),
    RDEV(VALIDATE_MAPPING, "top_align", INPUT, { ID, D_IPA, D_IPA + 0x1008, D_BAR }, LOCKED),
    RDEV(VALIDATE_MAPPING, "size_valid", INPUT, { ID, D_IPA, D_IPA, D_BAR }, LOCKED),
    RDEV(VALIDATE_MAPPING, "rgn_bound", INPUT, { ID, D_IPA, PAR_TOP + 0x1000, D_BAR }, LOCKED),
    RDEV(VALIDATE_MAPPING, "pa_align", INPUT, { ID, D_IPA, D_IPA + 0x1000, D_BAR + 8 }, LOCKED),
    RDEV(VALIDATE_MAPPING, "pa_bound", INPUT, { ID, D_IPA, D_IPA + 0x1000, 1ull << 48 }, LOCKED),
    RDEV(VALIDATE_MAPPING, "flags_valid", INPUT, { ID, D_IPA, D_IPA + 0x1000, D_BAR, 4 }, LOCKED),
    RDEV(VALIDATE_MAPPING, "rdev_ids", INPUT, { D_VDEV_ID, 2, D_IPA, D_IPA + 0x1000, D_BAR }, LOCKED),
    RDEV(VALIDATE_MAPPING, "rdev_state", DEVICE, { ID, D_IPA, D_IPA + 0x1000, D_BAR }),
    RDEV(GET_INFO, "addr_align", INPUT, { ID, BUFFER_IPA + 0x100 }),
    RDEV(GET_INFO, "addr_bound", INPUT, { ID, PAR_TOP }),
    RDEV(GET_INFO, "rdev_ids", STATE, { D_VDEV_ID, 2, BUFFER_IPA }),
    RDEV(GET_INFO, "addr_empty", INPUT, { ID, 0x9000 }),
};

static DevRig *open_locked_or_not(unsigned stage)
{
    open_rig(STAGE_VDEV);
    if (stage == LOCKED) {
        lock();
    }
    params_one_index();
    return d;
}

static void test_rsi_rows(void **state)
{
    static const RsiRows t = { rsi_rows, ARRAY_LEN(rsi_rows), open_locked_or_not, is_of_alp12 };

    rsi_rows_break(&t);
    rsi_rows_complete(&t);
}

/* ---- a hostile host ---- */

static void any_rsi(DevStorm *s)
{
    static const struct { uint32_t fid; uint64_t x[4]; } calls[] = {
        { RSI_FID_RDEV_GET_INSTANCE_ID, { 0 } },
        { RSI_FID_RDEV_GET_STATE, { 0 } },
        { RSI_FID_RDEV_LOCK, { 0 } },
        { RSI_FID_RDEV_START, { 0 } },
        { RSI_FID_RDEV_STOP, { 0 } },
        { RSI_FID_RDEV_CONTINUE, { 0 } },
        { RSI_FID_RDEV_GET_INTERFACE_REPORT, { 0x10 } },
        { RSI_FID_RDEV_GET_MEASUREMENTS, { BUFFER_IPA } },
        { RSI_FID_RDEV_GET_INFO, { BUFFER_IPA } },
        { RSI_FID_RDEV_VALIDATE_MAPPING, { D_IPA, D_IPA + 0x2000, D_BAR, 0 } },
    };
    size_t   n = storm_roll(s, 3) == 0 ? 5 : storm_roll(s, ARRAY_LEN(calls)); /* CONTINUE most of the time */
    uint64_t x[7] = { SMC64_STD(calls[n].fid), D_VDEV_ID, FIRST_INSTANCE };

    memcpy(x + 3, calls[n].x, sizeof(calls[n].x));
    measure_params(RSI_RDEV_MEASURE_ALL | RSI_RDEV_MEASURE_SIGNED, 0);
    storm_rsi(s, x, ARRAY_LEN(x));
}

static void ready_world(unsigned world)
{
    if (world % 4 >= 2) { /* there is a VDEV */
        start();
    }
    ready_map();
}

static void test_hostile_host(void **state)
{
    DevStorm storm = { .rows = &table, .rsi = any_rsi, .status = { RMI_COMM_NONE, RMI_COMM_NONE } };

    storm_worlds(&storm, &d, STAGE_VDEV, ready_world);
}

/* Commands of 1.1-alp17 are not there. */
static void test_unknown(void **state)
{
    static const uint32_t fids[] = { RMI_FID_VDEV_LOCK, RMI_FID_VDEV_START, RMI_FID_VDEV_GET_MEASUREMENTS,
                                     RMI_FID_VDEV_GET_INTERFACE_REPORT };

    open_rig(STAGE_VDEV);
    for (size_t i = 0; i < ARRAY_LEN(fids); i++) {
        assert_int_equal(rmi(d->rig, fids[i], RD, PDEV, VDEV), SMC_UNKNOWN);
    }
    dev_rig_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life),          cmocka_unit_test(test_instances),
        cmocka_unit_test(test_not_completed), cmocka_unit_test(test_abort),
        cmocka_unit_test(test_device_fails),  cmocka_unit_test(test_key_refresh),
        cmocka_unit_test(test_rows),          cmocka_unit_test(test_rsi_rows),
        cmocka_unit_test(test_unknown),       cmocka_unit_test(test_hostile_host),
    };

    rig_dialect = RMM_1_1_ALP12;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
