/*
 * Every device assignment command by its failure labels: one thing is broken, the command says so and nothing
 * has changed; then the valid call succeeds, and the same call again finds what it changed. At the end: every
 * label that the code has was seen. RSI commands likewise, called by a Realm.
 */
#include "tests/unit/rmm_dev_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define NOWHERE 0x1000ull /* no memory there */
#define I       RMI_ERROR_INPUT
#define DEV     RMI_ERROR_DEVICE
#define REC     RMI_ERROR_REC
#define NSUPP   RMI_ERROR_NOT_SUPPORTED
#define T(l)    RMI_RETURN(RMI_ERROR_RTT, l)
#define RD      PAGE(W_RD)
#define PDEV    PAGE(D_PDEV)
#define VDEV    PAGE(D_VDEV)
#define PARAMS  PAGE(D_PARAMS)
#define PAR_TOP WORLD_NS

static DevRig *d;

static uint8_t *params(void) { return rig_bytes(d->rig, PARAMS); }
static uint8_t *comm(void) { return rig_bytes(d->rig, PAGE(D_COMM)); }

/* ---- the valid calls ---- */

static void ready_key(void) { dev_key_params(d); }
static void ready_vdev(void) { dev_vdev_params(d); }
static void ready_measure(void) { dev_measure_params(d, RMI_MEASURE_SIGNED, 0xff); }

static void ready_comm(void)
{
    memset(comm(), 0, 4096);
    le64_put(comm() + RMI_COMM_REQ_ADDR, PAGE(D_REQ));
    le64_put(comm() + RMI_COMM_RESP_ADDR, PAGE(D_RSP));
}

static void ready_destroy_pdev(void)
{
    rmi_ok(d->rig, RMI_FID_PDEV_STOP, PDEV);
    assert_int_equal(dev_converse(d, false), RMI_SUCCESS);
}

static void ready_complete(void)
{
    assert_int_equal(dev_rsi_call(d, RSI_FID_VDEV_DMA_DISABLE, D_VDEV_ID), RMI_EXIT_VDEV_REQUEST);
}

static void ready_map(void)
{
    rmi_ok(d->rig, RMI_FID_RTT_CREATE, RD, PAGE(D_L2), D_IPA, 3);
    rig_delegate(d->rig, D_BAR, 2);
}

static void ready_unmap(void)
{
    ready_map();
    rmi_ok(d->rig, RMI_FID_VDEV_MAP, RD, VDEV, D_IPA, 3, D_BAR);
}

static void ready_validate(void)
{
    Vdev *v = dev_vdev(d);

    ready_unmap();
    assert_int_equal(dev_rsi_call(d, RSI_FID_VDEV_VALIDATE_MAPPING, D_VDEV_ID, D_IPA, D_IPA + 0x2000, D_BAR,
                                  0, v->lock_nonce, v->meas_nonce, v->report_nonce),
                     RMI_EXIT_VDEV_REQUEST);
    rmi_ok(d->rig, RMI_FID_VDEV_COMPLETE, PAGE(W_REC0), VDEV);
    assert_int_equal(dev_enter(d, 0), RMI_EXIT_VDEV_MAP);
}

static const struct Valid {
    uint32_t    fid;
    uint64_t    x[6]; /* x1 on */
    DevStage    stage;
    void      (*ready)(void);
    const char *again; /* label of the same call a second time, NULL: it succeeds */
} valid[] = {
    {RMI_FID_PDEV_AUX_COUNT, {3}, STAGE_NONE, NULL, NULL},
    {RMI_FID_PDEV_CREATE, {PDEV, PARAMS}, STAGE_NONE, NULL, "aux_state"},
    {RMI_FID_PDEV_GET_STATE, {PDEV}, STAGE_CREATED, NULL, NULL},
    {RMI_FID_PDEV_COMMUNICATE, {PDEV, PAGE(D_COMM)}, STAGE_CREATED, ready_comm, "comm_active"},
    {RMI_FID_PDEV_SET_PUBKEY, {PDEV, PARAMS}, STAGE_NEEDS_KEY, ready_key, "pdev_state"},
    {RMI_FID_PDEV_ABORT, {PDEV}, STAGE_CREATED, NULL, NULL},
    {RMI_FID_PDEV_IDE_RESET, {PDEV}, STAGE_READY, NULL, "pdev_state"},
    {RMI_FID_PDEV_IDE_KEY_REFRESH, {PDEV, 0}, STAGE_VDEV, NULL, "pdev_state"},
    {RMI_FID_PDEV_STOP, {PDEV}, STAGE_READY, NULL, "pdev_state"},
    {RMI_FID_PDEV_DESTROY, {PDEV}, STAGE_READY, ready_destroy_pdev, "pdev_state"},
    {RMI_FID_VDEV_AUX_COUNT, {3, 0}, STAGE_NONE, NULL, NULL},
    {RMI_FID_VDEV_CREATE, {RD, PDEV, VDEV, PARAMS}, STAGE_READY, ready_vdev, "vdev_state"},
    {RMI_FID_VDEV_GET_STATE, {VDEV}, STAGE_VDEV, NULL, NULL},
    {RMI_FID_VDEV_COMMUNICATE, {RD, PDEV, VDEV, PAGE(D_COMM)}, STAGE_VDEV, ready_comm, "comm_active"},
    {RMI_FID_VDEV_LOCK, {RD, PDEV, VDEV}, STAGE_UNLOCKED, NULL, "comm_state"},
    {RMI_FID_VDEV_START, {RD, PDEV, VDEV}, STAGE_LOCKED, NULL, "comm_state"},
    {RMI_FID_VDEV_GET_INTERFACE_REPORT, {RD, PDEV, VDEV}, STAGE_LOCKED, NULL, "comm_state"},
    {RMI_FID_VDEV_GET_MEASUREMENTS, {RD, PDEV, VDEV, PARAMS}, STAGE_UNLOCKED, ready_measure, "comm_state"},
    {RMI_FID_VDEV_UNLOCK, {RD, PDEV, VDEV}, STAGE_STARTED, NULL, "comm_state"},
    {RMI_FID_VDEV_ABORT, {VDEV}, STAGE_VDEV, NULL, "comm_idle"},
    {RMI_FID_VDEV_DESTROY, {RD, PDEV, VDEV}, STAGE_UNLOCKED, NULL, "vdev_state"},
    {RMI_FID_VDEV_COMPLETE, {PAGE(W_REC0), VDEV}, STAGE_UNLOCKED, ready_complete, NULL},
    {RMI_FID_VDEV_MAP, {RD, VDEV, D_IPA, 3, D_BAR}, STAGE_VDEV, ready_map, "pa_state"},
    {RMI_FID_VDEV_UNMAP, {RD, D_IPA, 3}, STAGE_VDEV, ready_unmap, "rtte_state"},
    {RMI_FID_VDEV_VALIDATE_MAPPING,
     {RD, PAGE(W_REC0), PDEV, VDEV, D_IPA, D_IPA + 0x1000},
     STAGE_LOCKED,
     ready_validate,
     "base_bound"},
};

/* Registers that name a granule, with the three failures that all of those have. */
static const struct GranuleArg {
    uint32_t    fid;
    unsigned    reg;
    const char *name;
    bool        ns; /* a page of the host's: the third label ends in _pas */
} granule_args[] = {
    {RMI_FID_PDEV_CREATE, 1, "pdev", false},
    {RMI_FID_PDEV_CREATE, 2, "params", true},
    {RMI_FID_PDEV_GET_STATE, 1, "pdev", false},
    {RMI_FID_PDEV_COMMUNICATE, 1, "pdev", false},
    {RMI_FID_PDEV_COMMUNICATE, 2, "data", true},
    {RMI_FID_PDEV_SET_PUBKEY, 1, "pdev", false},
    {RMI_FID_PDEV_SET_PUBKEY, 2, "params", true},
    {RMI_FID_PDEV_ABORT, 1, "pdev", false},
    {RMI_FID_PDEV_IDE_RESET, 1, "pdev", false},
    {RMI_FID_PDEV_IDE_KEY_REFRESH, 1, "pdev", false},
    {RMI_FID_PDEV_STOP, 1, "pdev", false},
    {RMI_FID_PDEV_DESTROY, 1, "pdev", false},
    {RMI_FID_VDEV_CREATE, 1, "rd", false},
    {RMI_FID_VDEV_CREATE, 2, "pdev", false},
    {RMI_FID_VDEV_CREATE, 3, "vdev", false},
    {RMI_FID_VDEV_CREATE, 4, "params", true},
    {RMI_FID_VDEV_GET_STATE, 1, "vdev", false},
    {RMI_FID_VDEV_COMMUNICATE, 1, "rd", false},
    {RMI_FID_VDEV_COMMUNICATE, 2, "pdev", false},
    {RMI_FID_VDEV_COMMUNICATE, 3, "vdev", false},
    {RMI_FID_VDEV_COMMUNICATE, 4, "data", true},
    {RMI_FID_VDEV_LOCK, 1, "rd", false},
    {RMI_FID_VDEV_LOCK, 2, "pdev", false},
    {RMI_FID_VDEV_LOCK, 3, "vdev", false},
    {RMI_FID_VDEV_START, 1, "rd", false},
    {RMI_FID_VDEV_START, 2, "pdev", false},
    {RMI_FID_VDEV_START, 3, "vdev", false},
    {RMI_FID_VDEV_GET_INTERFACE_REPORT, 1, "rd", false},
    {RMI_FID_VDEV_GET_INTERFACE_REPORT, 2, "pdev", false},
    {RMI_FID_VDEV_GET_INTERFACE_REPORT, 3, "vdev", false},
    {RMI_FID_VDEV_GET_MEASUREMENTS, 1, "rd", false},
    {RMI_FID_VDEV_GET_MEASUREMENTS, 2, "pdev", false},
    {RMI_FID_VDEV_GET_MEASUREMENTS, 3, "vdev", false},
    {RMI_FID_VDEV_GET_MEASUREMENTS, 4, "params", true},
    {RMI_FID_VDEV_UNLOCK, 1, "rd", false},
    {RMI_FID_VDEV_UNLOCK, 2, "pdev", false},
    {RMI_FID_VDEV_UNLOCK, 3, "vdev", false},
    {RMI_FID_VDEV_ABORT, 1, "vdev", false},
    {RMI_FID_VDEV_DESTROY, 1, "rd", false},
    {RMI_FID_VDEV_DESTROY, 2, "pdev", false},
    {RMI_FID_VDEV_DESTROY, 3, "vdev", false},
    {RMI_FID_VDEV_COMPLETE, 1, "rec", false},
    {RMI_FID_VDEV_COMPLETE, 2, "vdev", false},
    {RMI_FID_VDEV_MAP, 1, "rd", false},
    {RMI_FID_VDEV_MAP, 2, "vdev", false},
    {RMI_FID_VDEV_UNMAP, 1, "rd", false},
    {RMI_FID_VDEV_VALIDATE_MAPPING, 1, "rd", false},
    {RMI_FID_VDEV_VALIDATE_MAPPING, 2, "rec", false},
    {RMI_FID_VDEV_VALIDATE_MAPPING, 3, "pdev", false},
    {RMI_FID_VDEV_VALIDATE_MAPPING, 4, "vdev", false},
};

/* ---- what to break ---- */

/* The host's page belongs to somebody else by the page owner table, though its granule is NS. */
static void lose(unsigned page)
{
    assert_int_equal(granule_state(d->rig->rmm, PAGE(page)), GRANULE_NS);
    owners_set(d->rig->owners, PAGE(page), 4096, OWNER_ROOT);
}

static void lose_params(void) { lose(D_PARAMS); }
static void lose_comm(void) { lose(D_COMM); }

/* A PDEV or VDEV that looks right but is another one. */
static void copy_granule(unsigned to, GranuleState state, uint64_t from)
{
    granule_set(d->rig->rmm, PAGE(to), state);
    memcpy(granule_ptr(d->rig->rmm, PAGE(to)), granule_ptr(d->rig->rmm, from), 4096);
}

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

static void pdev_idle(void) { dev_pdev(d)->comm.state = DEV_COMM_IDLE; }
static void pdev_active(void) { dev_pdev(d)->comm.state = DEV_COMM_ACTIVE; }
static void pdev_ready(void) { dev_pdev(d)->state = RMI_PDEV_READY; }
static void pdev_new(void) { dev_pdev(d)->state = RMI_PDEV_NEW; }
static void pdev_stopping(void) { dev_pdev(d)->state = RMI_PDEV_STOPPING; }
static void pdev_busy(void) { dev_pdev(d)->talker = PAGE(D_VDEV2); }
static void pdev_live(void) { dev_pdev(d)->n_vdevs = 1; }
static void pdev_full(void) { memset(dev_pdev(d)->vdev, 1, sizeof(dev_pdev(d)->vdev)); }
static void vdev_idle(void) { dev_vdev(d)->comm.state = DEV_COMM_IDLE; }
static void vdev_pending(void) { dev_vdev(d)->comm.state = DEV_COMM_PENDING; }
static void vdev_active(void) { dev_vdev(d)->comm.state = DEV_COMM_ACTIVE; }
static void vdev_new(void) { dev_vdev(d)->state = RMI_VDEV_NEW; }
static void vdev_locked(void) { dev_vdev(d)->state = RMI_VDEV_LOCKED; }
static void vdev_mapped(void) { dev_vdev(d)->n_mapped = 1; }
static void vdev_relocked(void) { dev_vdev(d)->lock_nonce++; }
static void vdev_unlocked(void) { dev_vdev(d)->lock_nonce = 0; }
static void rec_runs(void) { dev_rec(d)->running = true; }
static void nothing_pending(void) { dev_rec(d)->pending = REC_NOTHING; }
static void one_page_asked(void) { rec_device(dev_rec(d))->top = D_IPA + 0x1000; }
static void realm_without(void) { realm_at(d->rig->rmm, RD)->flags0 = 0; }
static void other_pa(void) { rec_device(dev_rec(d))->pa += 0x1000; }

/* The Realm is full of VDEVs; their ID is 0. */
static void realm_full(void)
{
    granule_set(d->rig->rmm, PAGE(D_VDEV2), GRANULE_VDEV);
    for (unsigned i = 0; i < DEV_MAX_VDEVS; i++) {
        realm_devices(realm_at(d->rig->rmm, RD))->vdev[i] = PAGE(D_VDEV2);
    }
}

/* Places that are all taken, by a PDEV far away. */
static void many_pdevs(void)
{
    granule_set(d->rig->rmm, PAGE(D_SPARE), GRANULE_PDEV);
    pdev_at(d->rig->rmm, PAGE(D_SPARE))->ide_sid = 200;
    for (unsigned i = 0; i < DEV_MAX_PDEVS; i++) {
        dev_state(d->rig->rmm)->pdev[i] = PAGE(D_SPARE);
    }
}

static void take_stream(void)
{
    rmi_ok(d->rig, RMI_FID_PDEV_CREATE, PAGE(D_PDEV2), PARAMS);
    dev_pdev_params(d, D_AUX);
}

static void second_pdev(void)
{
    dev_pdev_params(d, D_AUX2);
    take_stream();
    le16_put(params() + RMI_PDEV_RID_BASE, 0x300);
    le16_put(params() + RMI_PDEV_RID_TOP, 0x301);
}

static void second_pdev_rid(void)
{
    dev_pdev_params(d, D_AUX2);
    take_stream();
    le64_put(params() + RMI_PDEV_IDE_SID, 9);
}

static void rid_beyond(void)
{
    dev_pdev(d)->rid_top = 0xffff;
    le64_put(params() + RMI_VDEV_TDI_ID, 0xfff0);
}

static void stream_taken(void)
{
    rmi_ok(d->rig, RMI_FID_VDEV_CREATE, RD, PDEV, PAGE(D_VDEV2), PARAMS);
    le64_put(params() + RMI_VDEV_ID, 1);
}

static void same_id(void)
{
    rmi_ok(d->rig, RMI_FID_VDEV_CREATE, RD, PDEV, PAGE(D_VDEV2), PARAMS);
    le64_put(params() + RMI_VDEV_TDI_ID, PAIR_FUNCTION + 1);
}

static void p256_key(void)
{
    params()[RMI_KEY_ALGO] = RMI_KEY_ECDSA_P256;
    le64_put(params() + RMI_KEY_LEN, 65);
}

static void no_indices(void) { memset(params() + RMI_MEASURE_INDICES, 0, 32); }
static void only_index_0(void)
{
    no_indices();
    params()[RMI_MEASURE_INDICES] = 1;
}
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

typedef struct Row {
    uint32_t    fid;
    const char *label;
    uint64_t    x0;
    struct { uint8_t reg; uint64_t value; } arg[2]; /* reg 0: not changed */
    struct { unsigned page, offset, len; uint64_t value; } poke; /* len 0: nothing */
    void      (*prepare)(void);
} Row;

#define ARG(fid, label, x0, ...)          { RMI_FID_##fid, label, x0, .arg = { __VA_ARGS__ } }
#define POKE(fid, label, x0, off, len, v) { RMI_FID_##fid, label, x0, .poke = { D_PARAMS, off, len, v } }
#define COMM(fid, label, x0, off, len, v) { RMI_FID_##fid, label, x0, .poke = { D_COMM, off, len, v } }
#define DO(fid, label, x0, fn)            { RMI_FID_##fid, label, x0, .prepare = fn }
#define DO_ARG(fid, label, x0, fn, ...)   { RMI_FID_##fid, label, x0, .arg = { __VA_ARGS__ }, .prepare = fn }

/* What the two COMMUNICATEs check of the host's page. */
#define COMM_ROWS(fid, idle, active)                                                                   \
    DO(fid, "data_read", I, lose_comm),                                                                \
    COMM(fid, "req_align", I, RMI_COMM_REQ_ADDR, 8, PAGE(D_REQ) + 8),                                  \
    COMM(fid, "req_bound", I, RMI_COMM_REQ_ADDR, 8, NOWHERE),                                          \
    COMM(fid, "req_pas", I, RMI_COMM_REQ_ADDR, 8, PDEV),                                               \
    COMM(fid, "resp_align", I, RMI_COMM_RESP_ADDR, 8, PAGE(D_RSP) + 1),                                \
    COMM(fid, "resp_bound", I, RMI_COMM_RESP_ADDR, 8, NOWHERE),                                        \
    COMM(fid, "resp_pas", I, RMI_COMM_RESP_ADDR, 8, PAGE(W_DATA)),                                     \
    COMM(fid, "resp_len", I, RMI_COMM_RESP_LEN, 8, 4097),                                              \
    COMM(fid, "status_valid", I, RMI_COMM_STATUS, 1, 3),                                               \
    COMM(fid, "resp_empty", I, RMI_COMM_STATUS, 1, RMI_COMM_RESPONSE),                                 \
    DO(fid, "comm_idle", DEV, idle),                                                                   \
    COMM(fid, "comm_pending", DEV, RMI_COMM_STATUS, 1, RMI_COMM_ERROR),                                \
    DO(fid, "comm_active", DEV, active)

/* A VDEV that is not of this Realm, or not of this PDEV. */
#define OWNER_ROWS(fid, rd_status)                                                                     \
    ARG(fid, "vdev_realm", rd_status, { 1, PAGE(W_RD2) }),                                             \
    DO_ARG(fid, "vdev_pdev", DEV, other_pdev, { 2, PAGE(D_SPARE) })

static const Row rows[] = {
    ARG(PDEV_AUX_COUNT, "flags_supp", NSUPP, {1, RMI_PDEV_FLAG_SPDM}),
    ARG(PDEV_AUX_COUNT, "flags_supp", NSUPP, {1, 3 | RMI_PDEV_FLAG_P2P}),

    DO(PDEV_CREATE, "params_read", I, lose_params),
    POKE(PDEV_CREATE, "flags_supp", NSUPP, RMI_PDEV_FLAGS, 8, RMI_PDEV_FLAG_NCOH_IDE),
    POKE(PDEV_CREATE, "flags_supp", NSUPP, RMI_PDEV_FLAGS, 8, 3 | RMI_PDEV_FLAG_COH_IDE),
    POKE(PDEV_CREATE, "cert_id", I, RMI_PDEV_CERT_ID, 8, 8),
    POKE(PDEV_CREATE, "cert_id_supp", NSUPP, RMI_PDEV_CERT_ID, 8, 1),
    POKE(PDEV_CREATE, "ide_sid", I, RMI_PDEV_IDE_SID, 8, 256),
    POKE(PDEV_CREATE, "rid_range", I, RMI_PDEV_RID_TOP, 2, PAIR_FUNCTION),
    POKE(PDEV_CREATE, "addr_range", I, RMI_PDEV_NCOH_NUM_ADDR, 8, 17),
    POKE(PDEV_CREATE, "addr_range", I, RMI_PDEV_NCOH_NUM_ADDR, 8, 2), /* the second one is empty */
    POKE(PDEV_CREATE, "addr_range", I, RMI_PDEV_NCOH_ADDR, 8, D_BAR + 8),
    POKE(PDEV_CREATE, "addr_range", I, RMI_PDEV_NCOH_ADDR + 8, 8, 1ull << 49),
    POKE(PDEV_CREATE, "addr_range", I, RMI_PDEV_COH_NUM_ADDR, 8, 1),
    POKE(PDEV_CREATE, "hash_supp", I, RMI_PDEV_HASH_ALGO, 1, 2),
    POKE(PDEV_CREATE, "num_aux", I, RMI_PDEV_NUM_AUX, 8, PDEV_N_AUX - 1),
    POKE(PDEV_CREATE, "aux_align", I, RMI_PDEV_AUX + 8, 8, PAGE(D_AUX) + 8),
    POKE(PDEV_CREATE, "aux_bound", I, RMI_PDEV_AUX + 8, 8, NOWHERE),
    POKE(PDEV_CREATE, "aux_state", I, RMI_PDEV_AUX + 8, 8, RD),
    POKE(PDEV_CREATE, "aux_alias", I, RMI_PDEV_AUX + 8, 8, PAGE(D_AUX)),
    POKE(PDEV_CREATE, "aux_alias", I, RMI_PDEV_AUX + 8, 8, PDEV),
    DO(PDEV_CREATE, "ide_sid_used", I, second_pdev),
    DO(PDEV_CREATE, "rid_used", I, second_pdev_rid),
    DO(PDEV_CREATE, "num_pdevs", DEV, many_pdevs),

    COMM_ROWS(PDEV_COMMUNICATE, pdev_idle, pdev_active),

    DO(PDEV_SET_PUBKEY, "params_read", I, lose_params),
    POKE(PDEV_SET_PUBKEY, "key_len_bound", I, RMI_KEY_LEN, 8, 1025),
    POKE(PDEV_SET_PUBKEY, "metadata_len_bound", I, RMI_KEY_METADATA_LEN, 8, 1025),
    POKE(PDEV_SET_PUBKEY, "algo_valid", I, RMI_KEY_ALGO, 1, 3),
    POKE(PDEV_SET_PUBKEY, "key_len", I, RMI_KEY_LEN, 8, 96),
    DO(PDEV_SET_PUBKEY, "pdev_state", DEV, pdev_ready),
    DO(PDEV_SET_PUBKEY, "algo_negotiated", DEV, p256_key),
    POKE(PDEV_SET_PUBKEY, "key_valid", I, RMI_KEY_KEY + 5, 8, 0x1234),

    DO(PDEV_ABORT, "pdev_state", DEV, pdev_ready),
    DO(PDEV_IDE_RESET, "pdev_state", DEV, pdev_new),
    DO(PDEV_IDE_RESET, "pdev_live", DEV, pdev_live),
    ARG(PDEV_IDE_KEY_REFRESH, "coh_valid", I, {2, 2}),
    ARG(PDEV_IDE_KEY_REFRESH, "coh_supp", NSUPP, {2, 1}),
    DO(PDEV_IDE_KEY_REFRESH, "pdev_state", DEV, pdev_new),
    DO(PDEV_IDE_KEY_REFRESH, "pdev_busy", DEV, pdev_busy),
    DO(PDEV_STOP, "pdev_state", DEV, pdev_stopping),
    DO(PDEV_STOP, "pdev_live", DEV, pdev_live),
    DO(PDEV_DESTROY, "pdev_state", DEV, pdev_stopping),

    ARG(VDEV_AUX_COUNT, "flags_supp", NSUPP, {2, 1}),

    DO(VDEV_CREATE, "params_read", I, lose_params),
    POKE(VDEV_CREATE, "flags_valid", I, RMI_VDEV_FLAGS, 8, 1),
    POKE(VDEV_CREATE, "num_aux", I, RMI_VDEV_NUM_AUX, 8, 1),
    DO(VDEV_CREATE, "realm_da", RMI_ERROR_REALM, realm_without),
    DO(VDEV_CREATE, "pdev_state", DEV, pdev_new),
    DO(VDEV_CREATE, "vdev_id", I, same_id),
    POKE(VDEV_CREATE, "tdi_id", I, RMI_VDEV_TDI_ID, 8, PAIR_FUNCTION - 1),
    POKE(VDEV_CREATE, "tdi_id", I, RMI_VDEV_TDI_ID, 8, PAIR_FUNCTION + 2),
    DO(VDEV_CREATE, "num_vdevs", RMI_ERROR_REALM, realm_full),
    DO(VDEV_CREATE, "pdev_num_vdevs", DEV, pdev_full),
    DO(VDEV_CREATE, "stream_bound", DEV, rid_beyond),
    DO(VDEV_CREATE, "stream_used", DEV, stream_taken),

    OWNER_ROWS(VDEV_COMMUNICATE, I),
    COMM_ROWS(VDEV_COMMUNICATE, vdev_idle, vdev_active),
    DO(VDEV_COMMUNICATE, "pdev_state", DEV, pdev_new),
    DO(VDEV_COMMUNICATE, "pdev_busy", DEV, pdev_busy),

    OWNER_ROWS(VDEV_LOCK, I),
    DO(VDEV_LOCK, "vdev_state", DEV, vdev_locked),
    DO(VDEV_LOCK, "comm_state", DEV, vdev_pending),
    OWNER_ROWS(VDEV_START, I),
    DO(VDEV_START, "vdev_state", DEV, vdev_new),
    DO(VDEV_START, "comm_state", DEV, vdev_active),
    OWNER_ROWS(VDEV_GET_INTERFACE_REPORT, I),
    DO(VDEV_GET_INTERFACE_REPORT, "vdev_state", DEV, vdev_new),
    DO(VDEV_GET_INTERFACE_REPORT, "comm_state", DEV, vdev_active),

    DO(VDEV_GET_MEASUREMENTS, "params_read", I, lose_params),
    POKE(VDEV_GET_MEASUREMENTS, "flags_valid", I, RMI_MEASURE_FLAGS, 8, 4),
    DO(VDEV_GET_MEASUREMENTS, "indices_valid", I, no_indices),
    DO(VDEV_GET_MEASUREMENTS, "indices_valid", I, only_index_0),
    OWNER_ROWS(VDEV_GET_MEASUREMENTS, I),
    DO(VDEV_GET_MEASUREMENTS, "pdev_busy", DEV, pdev_busy),
    DO(VDEV_GET_MEASUREMENTS, "pdev_busy", DEV, pdev_new),
    DO(VDEV_GET_MEASUREMENTS, "comm_state", DEV, vdev_active),

    OWNER_ROWS(VDEV_UNLOCK, DEV),
    DO(VDEV_UNLOCK, "vdev_state", DEV, vdev_new),
    DO(VDEV_UNLOCK, "comm_state", DEV, vdev_active),
    DO(VDEV_UNLOCK, "vdev_mapped", DEV, vdev_mapped),
    DO(VDEV_ABORT, "comm_idle", DEV, vdev_idle),
    OWNER_ROWS(VDEV_DESTROY, I),
    DO(VDEV_DESTROY, "vdev_state", DEV, vdev_locked),
    DO(VDEV_DESTROY, "comm_state", DEV, vdev_active),
    DO(VDEV_DESTROY, "vdev_mapped", DEV, vdev_mapped),

    DO(VDEV_COMPLETE, "pending", I, nothing_pending),
    DO(VDEV_COMPLETE, "pending", I, rec_runs),
    DO_ARG(VDEV_COMPLETE, "owner", I, alien_vdev, {2, PAGE(D_VDEV2)}),
    DO_ARG(VDEV_COMPLETE, "vdev_id", I, other_vdev, {2, PAGE(D_VDEV2)}),
    DO(VDEV_COMPLETE, "comm_state", DEV, vdev_pending),

    DO_ARG(VDEV_MAP, "vdev_realm", I, alien_vdev, {2, PAGE(D_VDEV2)}),
    ARG(VDEV_MAP, "level_bound", I, {4, 1}),
    ARG(VDEV_MAP, "level_bound", I, {4, 4}),
    ARG(VDEV_MAP, "ipa_align", I, {3, D_IPA + 8}),
    ARG(VDEV_MAP, "ipa_align", I, {3, D_IPA + 0x1000}, {4, 2}),
    ARG(VDEV_MAP, "ipa_bound", I, {3, PAR_TOP}),
    ARG(VDEV_MAP, "pa_align", I, {5, D_BAR + 8}),
    ARG(VDEV_MAP, "pa_bound", I, {5, 1ull << 48}),
    ARG(VDEV_MAP, "pa_state", I, {5, D_BAR + 0x2000}),           /* the host's */
    ARG(VDEV_MAP, "pa_state", I, {5, PAGE(D_SPARE)}),            /* no device */
    ARG(VDEV_MAP, "pa_state", I, {3, D_IPA + 0x200000}, {4, 2}), /* two of 512 */
    ARG(VDEV_MAP, "rtt_walk", T(2), {3, D_IPA + 0x200000}),
    DO(VDEV_MAP, "rtte_state", T(3), ram_there),

    ARG(VDEV_UNMAP, "level_bound", I, {3, 1}),
    ARG(VDEV_UNMAP, "ipa_align", I, {2, D_IPA + 8}),
    ARG(VDEV_UNMAP, "ipa_bound", I, {2, PAR_TOP}),
    ARG(VDEV_UNMAP, "rtt_walk", T(2), {2, D_IPA + 0x200000}),
    ARG(VDEV_UNMAP, "rtte_state", T(3), {2, D_IPA + 0x1000}),

    ARG(VDEV_VALIDATE_MAPPING, "size_valid", I, {6, D_IPA}),
    ARG(VDEV_VALIDATE_MAPPING, "base_align", I, {5, D_IPA + 8}),
    ARG(VDEV_VALIDATE_MAPPING, "top_align", I, {6, D_IPA + 8}),
    DO(VDEV_VALIDATE_MAPPING, "rec_running", REC, rec_runs),
    ARG(VDEV_VALIDATE_MAPPING, "rec_owner", REC, {2, PAGE(W_REC2)}),
    ARG(VDEV_VALIDATE_MAPPING, "base_bound", I, {5, D_IPA - 0x1000}),
    DO(VDEV_VALIDATE_MAPPING, "base_bound", I, nothing_pending),
    DO_ARG(VDEV_VALIDATE_MAPPING, "top_bound", I, one_page_asked, {6, D_IPA + 0x2000}),
    DO_ARG(VDEV_VALIDATE_MAPPING, "vdev_owner", DEV, other_vdev, {4, PAGE(D_VDEV2)}),
    DO_ARG(VDEV_VALIDATE_MAPPING, "vdev_owner", DEV, other_pdev, {3, PAGE(D_SPARE)}),
    DO(VDEV_VALIDATE_MAPPING, "vdev_nonce", DEV, vdev_relocked),
    DO(VDEV_VALIDATE_MAPPING, "vdev_nonce", DEV, vdev_unlocked),
    DO_ARG(VDEV_VALIDATE_MAPPING, "base_walk_align", T(2), block_there, {5, D_IPA + 0x401000},
           {6, D_IPA + 0x402000}),
    DO(VDEV_VALIDATE_MAPPING, "no_progress", T(3), other_pa),
};

/* ---- the loop ---- */

enum { SNAPSHOT_PAGES = D_LAST };

static uint8_t snapshot[SNAPSHOT_PAGES * 4096];

static void take_snapshot(void) { memcpy(snapshot, rig_bytes(d->rig, PAGE(0)), sizeof(snapshot)); }

static void assert_unchanged(void)
{
    assert_memory_equal(snapshot, rig_bytes(d->rig, PAGE(0)), sizeof(snapshot));
}

static void open_world(const struct Valid *v)
{
    d = dev_rig_new();
    dev_go_to(d, v->stage);
    if (v->ready != NULL) {
        v->ready();
    }
}

static uint64_t call(const struct Valid *v, const Row *row)
{
    uint64_t x[7] = { SMC64_STD(v->fid) };

    memcpy(x + 1, v->x, sizeof(v->x));
    for (unsigned i = 0; row != NULL && i < 2; i++) {
        if (row->arg[i].reg != 0) {
            x[row->arg[i].reg] = row->arg[i].value;
        }
    }
    return rig_smc(d->rig, 0, x, ARRAY_LEN(x));
}

static void check_row(const struct Valid *v, const Row *row)
{
    print_message("  %s\n", row->label);
    open_world(v);
    if (row->prepare != NULL) {
        row->prepare();
    }
    if (row->poke.len != 0) {
        le_put(rig_bytes(d->rig, PAGE(row->poke.page)) + row->poke.offset, row->poke.value, row->poke.len);
    }
    take_snapshot();
    assert_int_equal(call(v, row), row->x0);
    assert_string_equal(rmm_last_failure(d->rig->rmm), row->label);
    assert_unchanged();
    if (row->prepare == NULL && row->poke.len == 0) {
        assert_int_equal(call(v, NULL), RMI_SUCCESS);
    }
    dev_rig_free(d);
}

/* Not aligned, not there, of another kind. */
static void check_granule(const struct Valid *v, const struct GranuleArg *a)
{
    const struct { const char *ending; uint64_t value;
    } cases[] = {
        {"_align", v->x[a->reg - 1] + 8},
        {"_bound", NOWHERE},
        {a->ns ? "_pas" : "_state", PAGE(W_ROOT)},
    };

    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        g_autofree char *label = g_strconcat(a->name, cases[i].ending, NULL);
        Row              row = { a->fid, label, I, .arg = { { (uint8_t)a->reg, cases[i].value } } };
        check_row(v, &row);
    }
}

static void test_failures(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(valid); i++) {
        print_message("RMI 0x%x\n", valid[i].fid);
        for (size_t r = 0; r < ARRAY_LEN(rows); r++) {
            if (rows[r].fid == valid[i].fid) {
                check_row(&valid[i], &rows[r]);
            }
        }
        for (size_t g = 0; g < ARRAY_LEN(granule_args); g++) {
            if (granule_args[g].fid == valid[i].fid) {
                check_granule(&valid[i], &granule_args[g]);
            }
        }
    }
}

static void test_valid_twice(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(valid); i++) {
        print_message("RMI 0x%x\n", valid[i].fid);
        open_world(&valid[i]);
        assert_int_equal(call(&valid[i], NULL), RMI_SUCCESS);
        assert_null(rmm_last_failure(d->rig->rmm));
        uint64_t again = call(&valid[i], NULL);
        if (valid[i].again == NULL) {
            assert_int_equal(again, RMI_SUCCESS);
        } else {
            assert_int_not_equal(again, RMI_SUCCESS);
            assert_string_equal(rmm_last_failure(d->rig->rmm), valid[i].again);
        }
        dev_rig_free(d);
    }
}

/* ---- a hostile host ---- */

static Entropy dice;

static uint32_t roll(uint32_t n)
{
    uint8_t b[4];

    entropy_bytes(&dice, b, sizeof(b));
    return le32_get(b) % n;
}

static uint64_t any_argument(void)
{
    static const uint64_t values[] = { RD, PAGE(W_RD2), PDEV, VDEV, PAGE(D_VDEV2), PAGE(W_REC0), PARAMS,
                                       PAGE(D_COMM), D_IPA, D_IPA + 0x1000, D_IPA + 0x200000, D_BAR,
                                       D_BAR + 0x1000, 0, 1, 2, 3, ~0ull };

    return values[roll(ARRAY_LEN(values))] + (roll(16) == 0 ? roll(4096) : 0);
}

static void any_params(void)
{
    static void (*const fill[])(void) = { ready_key, ready_vdev, ready_measure };

    if (roll(4) == 0) {
        dev_pdev_params(d, D_AUX);
    } else {
        fill[roll(ARRAY_LEN(fill))]();
    }
    if (roll(4) == 0) {
        params()[roll(4096)] ^= (uint8_t)(1u << roll(8));
    }
}

/* One COMMUNICATE, as a host does it or not: the answer of the last request, perhaps spoilt, perhaps none. */
static void any_talk(bool vdev, unsigned *status)
{
    bool more;

    if (roll(8) == 0) {
        *status = roll(3);
    }
    (void)dev_communicate(d, vdev, status, &more);
    if (!more) {
        *status = RMI_COMM_NONE;
    }
}

static size_t any_spoil(DevRig *rig, uint8_t *rsp, size_t len)
{
    if (len != 0 && roll(100) == 0) {
        unsigned at = roll((uint32_t)len);

        rsp[at] ^= (uint8_t)(1u << roll(8));
    }
    return roll(200) == 0 ? roll((uint32_t)len + 1) : len;
}

static void any_call(void)
{
    const struct Valid *v = &valid[roll(ARRAY_LEN(valid))];
    uint64_t            x[7] = { SMC64_STD(v->fid) };

    memcpy(x + 1, v->x, sizeof(v->x));
    if (roll(3) == 0) {
        unsigned at = 1 + roll(6);

        x[at] = any_argument();
    }
    if (v->fid == RMI_FID_PDEV_COMMUNICATE || v->fid == RMI_FID_VDEV_COMMUNICATE) {
        return; /* any_talk() does */
    }
    (void)rig_smc(d->rig, 0, x, ARRAY_LEN(x));
}

static void any_rsi(void)
{
    static const uint32_t fids[] = {RSI_FID_VDEV_GET_INFO, RSI_FID_VDEV_VALIDATE_MAPPING,
                                    RSI_FID_VDEV_DMA_ENABLE, RSI_FID_VDEV_DMA_DISABLE, RSI_FID_IPA_STATE_SET};
    const Vdev *v = granule_state(d->rig->rmm, VDEV) == GRANULE_VDEV ? dev_vdev(d) : NULL;
    uint64_t    x[9] = { SMC64_STD(fids[roll(ARRAY_LEN(fids))]), D_VDEV_ID, D_IPA, D_IPA + 0x2000, D_BAR };
    uint64_t n[] = {v != NULL ? v->lock_nonce : 0, v != NULL ? v->meas_nonce : 0,
                    v != NULL ? v->report_nonce : 0};

    if ((x[0] & 0xffff) == RSI_FID_VDEV_DMA_ENABLE) {
        x[2] = x[3] = 0;
        memcpy(x + 4, n, sizeof(n));
    } else {
        x[2] = (x[0] & 0xffff) == RSI_FID_VDEV_GET_INFO ? 0x5000 : x[2];
        memcpy(x + 6, n, sizeof(n));
    }
    (void)dev_rsi(d, x, ARRAY_LEN(x));
}

/* The Realm goes on, or waits once more. */
static void any_enter(void)
{
    dev_rec(d)->pc = 4;
    rig_enter(d->rig, W_RUN, RMI_ENTER_FLAGS,
              RMI_ENTER_TRAP_WFI | (roll(2) != 0 ? RMI_ENTER_DEV_MEM_REJECT : 0));
    rmi(d->rig, RMI_FID_REC_ENTER, PAGE(W_REC0), PAGE(W_RUN));
}

/* What must hold whatever the host does: a stream is valid only for a VDEV that is STARTED with keys in
 * use. */
static void check_invariants(void)
{
    unsigned n_dma = 0, n_vdevs = 0;

    for (unsigned page = D_VDEV; page <= D_VDEV2; page++) {
        if (granule_state(d->rig->rmm, PAGE(page)) == GRANULE_VDEV) {
            const Vdev *v = vdev_at(d->rig->rmm, PAGE(page));
            n_vdevs++;
            n_dma += v->dma;
            assert_true(!v->dma || (v->state == RMI_VDEV_STARTED && pdev_at(d->rig->rmm, v->pdev)->keyed));
        }
    }
    assert_int_equal(dev_state(d->rig->rmm)->psmmu.n_valid, n_dma);
    assert_int_equal(realm_at(d->rig->rmm, RD)->n_vdevs, n_vdevs);
}

static void test_hostile_host(void **state)
{
    unsigned status[2] = { RMI_COMM_NONE, RMI_COMM_NONE }, seen_dma = 0;

    entropy_init(&dice, 1, "test");
    for (unsigned world = 0; world < 12; world++) {
        d = dev_rig_new();
        dev_go_to(d, world % 4 == 0 ? STAGE_NONE : world % 4 == 1 ? STAGE_READY : STAGE_STARTED);
        d->spoil = world & 1 ? any_spoil : NULL; /* not before: the way there must succeed */
        ready_comm();
        ready_map();
        for (unsigned i = 0; i < 3000; i++) {
            unsigned what = roll(8), object = roll(2); /* one after the other: compilers order arguments differently */

            switch (what) {
            case 0: any_params(); break;
            case 1: any_call(); break;
            case 2: any_rsi(); break;
            case 3: rmi(d->rig, RMI_FID_VDEV_COMPLETE, PAGE(W_REC0), VDEV); break;
            case 4: any_enter(); break;
            default: any_talk(object, &status[roll(2)]); break;
            }
            check_invariants();
            seen_dma += dev_state(d->rig->rmm)->psmmu.n_valid;
        }
        dev_rig_free(d);
    }
    assert_int_not_equal(seen_dma, 0);
}

/* ---- RSI ---- */

static const struct RsiRow {
    uint32_t    fid;
    const char *label;
    uint64_t    x[8]; /* x1 on */
} rsi_rows[] = {
    {RSI_FID_VDEV_GET_INFO, "addr_align", {D_VDEV_ID, 0x5100}},
    {RSI_FID_VDEV_GET_INFO, "addr_bound", {D_VDEV_ID, PAR_TOP}},
    {RSI_FID_VDEV_GET_INFO, "addr_empty", {D_VDEV_ID, 0x9000}},
    {RSI_FID_VDEV_VALIDATE_MAPPING, "base_align", {D_VDEV_ID, D_IPA + 8, D_IPA + 0x1000, D_BAR}},
    {RSI_FID_VDEV_VALIDATE_MAPPING, "top_align", {D_VDEV_ID, D_IPA, D_IPA + 0x1008, D_BAR}},
    {RSI_FID_VDEV_VALIDATE_MAPPING, "size_valid", {D_VDEV_ID, D_IPA, D_IPA, D_BAR}},
    {RSI_FID_VDEV_VALIDATE_MAPPING, "rgn_bound", {D_VDEV_ID, D_IPA, PAR_TOP + 0x1000, D_BAR}},
    {RSI_FID_VDEV_VALIDATE_MAPPING, "pa_align", {D_VDEV_ID, D_IPA, D_IPA + 0x1000, D_BAR + 8}},
    {RSI_FID_VDEV_VALIDATE_MAPPING, "pa_bound", {D_VDEV_ID, D_IPA, D_IPA + 0x1000, 1ull << 48}},
    {RSI_FID_VDEV_VALIDATE_MAPPING, "pa_bound", {D_VDEV_ID, D_IPA, D_IPA + 0x2000, (1ull << 48) - 0x1000}},
    {RSI_FID_VDEV_VALIDATE_MAPPING, "flags_valid", {D_VDEV_ID, D_IPA, D_IPA + 0x1000, D_BAR, 4}},
    {RSI_FID_VDEV_DMA_ENABLE, "flags_valid", {D_VDEV_ID, 1}},
    {RSI_FID_VDEV_DMA_ENABLE, "plane_bound", {D_VDEV_ID, 0, 1}},
};

static void test_rsi_failures(void **state)
{
    uint64_t x[9];

    d = dev_rig_new();
    dev_go_to(d, STAGE_UNLOCKED);
    for (size_t i = 0; i < ARRAY_LEN(rsi_rows); i++) {
        print_message("RSI 0x%x %s\n", rsi_rows[i].fid, rsi_rows[i].label);
        x[0] = SMC64_STD(rsi_rows[i].fid);
        memcpy(x + 1, rsi_rows[i].x, sizeof(rsi_rows[i].x));
        assert_int_equal(dev_rsi(d, x, ARRAY_LEN(x)), RMI_EXIT_SYNC);
        assert_int_equal(dev_rec(d)->x[0], RSI_ERROR_INPUT);
    }
    realm_without();
    assert_int_equal(dev_rsi_call(d, RSI_FID_VDEV_DMA_DISABLE, D_VDEV_ID), RMI_EXIT_SYNC);
    assert_int_equal(dev_rec(d)->x[0], RSI_ERROR_STATE);
    dev_rig_free(d);
}

/* ---- all labels ---- */

static bool granule_row_exists(uint32_t fid, const char *label)
{
    for (size_t i = 0; i < ARRAY_LEN(granule_args); i++) {
        size_t n = strlen(granule_args[i].name);
        const char *end = label + n;
        if (SMC64_STD(granule_args[i].fid) == fid && strncmp(label, granule_args[i].name, n) == 0 &&
            (strcmp(end, "_align") == 0 || strcmp(end, "_bound") == 0 ||
             strcmp(end, granule_args[i].ns ? "_pas" : "_state") == 0)) {
            return true;
        }
    }
    return false;
}

static bool row_exists(const char *iface, uint32_t fid, const char *label)
{
    bool rsi = strcmp(iface, "RSI") == 0;

    for (size_t i = 0; !rsi && i < ARRAY_LEN(rows); i++) {
        if (SMC64_STD(rows[i].fid) == fid && strcmp(rows[i].label, label) == 0) {
            return true;
        }
    }
    for (size_t i = 0; rsi && i < ARRAY_LEN(rsi_rows); i++) {
        if (SMC64_STD(rsi_rows[i].fid) == fid && strcmp(rsi_rows[i].label, label) == 0) {
            return true;
        }
    }
    return !rsi && granule_row_exists(fid, label);
}

static void check_listed(void *opaque, const RmmFunction *f)
{
    if (!(f->dialects & IN_ALP17) || (strncmp(f->name, "PDEV_", 5) != 0 && strncmp(f->name, "VDEV_", 5) != 0)) {
        return;
    }
    *(unsigned *)opaque += strcmp(f->iface, "RMI") == 0;
    for (size_t i = 0; i < f->n_failures; i++) {
        if (!row_exists(f->iface, f->fid, f->failures[i])) {
            fail_msg("no row breaks %s_%s by %s", f->iface, f->name, f->failures[i]);
        }
    }
}

static void test_every_label_has_a_row(void **state)
{
    unsigned n_commands = 0;

    rmm_conformance(check_listed, &n_commands);
    assert_int_equal(n_commands, ARRAY_LEN(valid));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_valid_twice),
        cmocka_unit_test(test_rsi_failures),
        cmocka_unit_test(test_hostile_host),
        cmocka_unit_test(test_every_label_has_a_row),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
