/*
 * Every device assignment command of 1.1-alp17, and those that 1.1-alp12 has alike, by their failure labels: rows for
 * rmm_rows.h. RSI commands likewise, called by a Realm. Then a host that does what it likes.
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
#define NSUPP   RMI_ERROR_NOT_SUPPORTED
#define T(l)    RMI_RETURN(RMI_ERROR_RTT, l)
#define RD      PAGE(W_RD)
#define PDEV    PAGE(D_PDEV)
#define VDEV    PAGE(D_VDEV)
#define PARAMS  PAGE(D_PARAMS)
#define PAR_TOP WORLD_NS

enum { BUFFER_IPA = 0x5000 };

static DevRig *d;

static uint8_t *params(void) { return rig_bytes(d->rig, PARAMS); }
static uint8_t *comm(void) { return rig_bytes(d->rig, PAGE(D_COMM)); }

/* ---- the valid calls ---- */

static void ready_key(void) { dev_key_params(d); }
static void ready_vdev(void) { dev_vdev_params(d); }
static void ready_measure(void) { dev_measure_params(d, RMI_MEASURE_SIGNED); }

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

static const RmmValid valid[] = {
    {RMI_FID_PDEV_AUX_COUNT, {3}, STAGE_NONE, NULL, NULL},
    {RMI_FID_PDEV_CREATE, {PDEV, PARAMS}, STAGE_NONE, NULL, "pdev_state"},
    {RMI_FID_PDEV_GET_STATE, {PDEV}, STAGE_CREATED, NULL, NULL},
    {RMI_FID_PDEV_COMMUNICATE, {PDEV, PAGE(D_COMM)}, STAGE_CREATED, ready_comm, "comm_active"},
    {RMI_FID_PDEV_SET_PUBKEY, {PDEV, PARAMS}, STAGE_NEEDS_KEY, ready_key, "pdev_state"},
    {RMI_FID_PDEV_ABORT, {PDEV}, STAGE_CREATED, NULL, NULL},
    {RMI_FID_PDEV_IDE_RESET, {PDEV}, STAGE_READY, NULL, "pdev_state"},
    {RMI_FID_PDEV_IDE_KEY_REFRESH, {PDEV, 0}, STAGE_VDEV, NULL, "pdev_state"},
    {RMI_FID_PDEV_STOP, {PDEV}, STAGE_READY, NULL, "pdev_state"},
    {RMI_FID_PDEV_DESTROY, {PDEV}, STAGE_READY, ready_destroy_pdev, "pdev_gran_state"},
    {RMI_FID_VDEV_AUX_COUNT, {3, 0}, STAGE_NONE, NULL, NULL},
    {RMI_FID_VDEV_CREATE, {RD, PDEV, VDEV, PARAMS}, STAGE_READY, ready_vdev, "vdev_gran_state"},
    {RMI_FID_VDEV_GET_STATE, {VDEV}, STAGE_VDEV, NULL, NULL},
    {RMI_FID_VDEV_COMMUNICATE, {RD, PDEV, VDEV, PAGE(D_COMM)}, STAGE_VDEV, ready_comm, "comm_state"},
    {RMI_FID_VDEV_LOCK, {RD, PDEV, VDEV}, STAGE_UNLOCKED, NULL, "comm_state"},
    {RMI_FID_VDEV_START, {RD, PDEV, VDEV}, STAGE_LOCKED, NULL, "comm_state"},
    {RMI_FID_VDEV_GET_INTERFACE_REPORT, {RD, PDEV, VDEV}, STAGE_LOCKED, NULL, "comm_state"},
    {RMI_FID_VDEV_GET_MEASUREMENTS, {RD, PDEV, VDEV, PARAMS}, STAGE_UNLOCKED, ready_measure, "comm_state"},
    {RMI_FID_VDEV_UNLOCK, {RD, PDEV, VDEV}, STAGE_STARTED, NULL, "comm_state"},
    {RMI_FID_VDEV_ABORT, {VDEV}, STAGE_VDEV, NULL, "comm_state"},
    {RMI_FID_VDEV_DESTROY, {RD, PDEV, VDEV}, STAGE_UNLOCKED, NULL, "vdev_gran_state"},
    {RMI_FID_VDEV_COMPLETE, {PAGE(W_REC0), VDEV}, STAGE_UNLOCKED, ready_complete, NULL},
    {RMI_FID_VDEV_MAP, {RD, VDEV, D_IPA, 3, D_BAR}, STAGE_VDEV, ready_map, "addr_state"},
    {RMI_FID_VDEV_UNMAP, {RD, D_IPA, 3}, STAGE_VDEV, ready_unmap, "rtte_state"},
    {RMI_FID_VDEV_VALIDATE_MAPPING,
     {RD, PAGE(W_REC0), PDEV, VDEV, D_IPA, D_IPA + 0x1000},
     STAGE_LOCKED,
     ready_validate,
     "base_bound"},
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
static void index_255(void) { params()[RMI_MEASURE_INDICES + 31] = 0x80; }
static void all_and_index_0(void) { params()[RMI_MEASURE_INDICES] = 1; }
static void all_and_index_253(void) { params()[RMI_MEASURE_INDICES + 31] |= 0x20; }
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
#define POKE(fid, label, x0, off, len, v) RMM_POKE(fid, label, x0, D_PARAMS, off, len, v)
#define COMM(fid, label, x0, off, len, v) RMM_POKE(fid, label, x0, D_COMM, off, len, v)
#define GRANULE(fid, reg, name, state)    RMM_GRANULE(fid, reg, name, state, PAGE(W_ROOT))
#define HOST_PAGE(fid, reg, name)                                                                      \
    ARG(fid, name "_align", I, { reg, PAGE(W_FREE) + 8 }), ARG(fid, name "_pas", I, { reg, ROWS_NOWHERE }), \
        ARG(fid, name "_pas", I, { reg, PAGE(W_ROOT) })

/* What the two COMMUNICATEs check of the host's page. */
#define COMM_ROWS(fid, idle, active)                                                                   \
    DO(fid, "data_pas", I, lose_comm),                                                                 \
    COMM(fid, "req_align", I, RMI_COMM_REQ_ADDR, 8, PAGE(D_REQ) + 8),                                  \
    COMM(fid, "req_pas", I, RMI_COMM_REQ_ADDR, 8, ROWS_NOWHERE),                                          \
    COMM(fid, "req_pas", I, RMI_COMM_REQ_ADDR, 8, PDEV),                                               \
    COMM(fid, "resp_align", I, RMI_COMM_RESP_ADDR, 8, PAGE(D_RSP) + 1),                                \
    COMM(fid, "resp_pas", I, RMI_COMM_RESP_ADDR, 8, ROWS_NOWHERE),                                        \
    COMM(fid, "resp_pas", I, RMI_COMM_RESP_ADDR, 8, PAGE(W_DATA)),                                     \
    COMM(fid, "resp_len", I, RMI_COMM_RESP_LEN, 8, 4097),                                              \
    COMM(fid, "status_valid", I, RMI_COMM_STATUS, 1, 3),                                               \
    COMM(fid, "resp_empty", I, RMI_COMM_STATUS, 1, RMI_COMM_RESPONSE),                                 \
    DO(fid, "comm_state", DEV, idle),                                                                  \
    COMM(fid, "comm_pending", DEV, RMI_COMM_STATUS, 1, RMI_COMM_ERROR),                                \
    DO(fid, "comm_active", DEV, active)

/* A VDEV that is not of this Realm, or not of this PDEV. */
#define OWNER_ROWS(fid, rd_status)                                                                     \
    ARG(fid, "vdev_realm", rd_status, { 1, PAGE(W_RD2) }),                                             \
    DO_ARG(fid, "vdev_pdev", DEV, other_pdev, { 2, PAGE(D_SPARE) })

static const RmmRow rows[] = {
    GRANULE(PDEV_CREATE, 1, "pdev", "pdev_state"),
    HOST_PAGE(PDEV_CREATE, 2, "params"),
    GRANULE(PDEV_GET_STATE, 1, "pdev", "pdev_gran_state"),
    GRANULE(PDEV_COMMUNICATE, 1, "pdev", "pdev_gran_state"),
    HOST_PAGE(PDEV_COMMUNICATE, 2, "data"),
    GRANULE(PDEV_SET_PUBKEY, 1, "pdev", "pdev_gran_state"),
    HOST_PAGE(PDEV_SET_PUBKEY, 2, "params"),
    GRANULE(PDEV_ABORT, 1, "pdev", "pdev_gran_state"),
    GRANULE(PDEV_IDE_RESET, 1, "pdev", "pdev_gran_state"),
    GRANULE(PDEV_IDE_KEY_REFRESH, 1, "pdev", "pdev_gran_state"),
    GRANULE(PDEV_STOP, 1, "pdev", "pdev_gran_state"),
    GRANULE(PDEV_DESTROY, 1, "pdev", "pdev_gran_state"),
    GRANULE(VDEV_CREATE, 1, "rd", "rd_state"),
    GRANULE(VDEV_CREATE, 2, "pdev", "pdev_gran_state"),
    GRANULE(VDEV_CREATE, 3, "vdev", "vdev_gran_state"),
    HOST_PAGE(VDEV_CREATE, 4, "params"),
    GRANULE(VDEV_GET_STATE, 1, "vdev", "vdev_gran_state"),
    GRANULE(VDEV_COMMUNICATE, 1, "rd", "rd_state"),
    GRANULE(VDEV_COMMUNICATE, 2, "pdev", "pdev_gran_state"),
    GRANULE(VDEV_COMMUNICATE, 3, "vdev", "vdev_gran_state"),
    HOST_PAGE(VDEV_COMMUNICATE, 4, "data"),
    GRANULE(VDEV_LOCK, 1, "rd", "rd_state"),
    GRANULE(VDEV_LOCK, 2, "pdev", "pdev_gran_state"),
    GRANULE(VDEV_LOCK, 3, "vdev", "vdev_gran_state"),
    GRANULE(VDEV_START, 1, "rd", "rd_state"),
    GRANULE(VDEV_START, 2, "pdev", "pdev_gran_state"),
    GRANULE(VDEV_START, 3, "vdev", "vdev_gran_state"),
    GRANULE(VDEV_GET_INTERFACE_REPORT, 1, "rd", "rd_state"),
    GRANULE(VDEV_GET_INTERFACE_REPORT, 2, "pdev", "pdev_gran_state"),
    GRANULE(VDEV_GET_INTERFACE_REPORT, 3, "vdev", "vdev_gran_state"),
    GRANULE(VDEV_GET_MEASUREMENTS, 1, "rd", "rd_state"),
    GRANULE(VDEV_GET_MEASUREMENTS, 2, "pdev", "pdev_gran_state"),
    GRANULE(VDEV_GET_MEASUREMENTS, 3, "vdev", "vdev_gran_state"),
    HOST_PAGE(VDEV_GET_MEASUREMENTS, 4, "params"),
    GRANULE(VDEV_UNLOCK, 1, "rd", "rd_state"),
    GRANULE(VDEV_UNLOCK, 2, "pdev", "pdev_gran_state"),
    GRANULE(VDEV_UNLOCK, 3, "vdev", "vdev_gran_state"),
    GRANULE(VDEV_ABORT, 1, "vdev", "vdev_gran_state"),
    GRANULE(VDEV_DESTROY, 1, "rd", "rd_gran_state"),
    GRANULE(VDEV_DESTROY, 2, "pdev", "pdev_gran_state"),
    GRANULE(VDEV_DESTROY, 3, "vdev", "vdev_gran_state"),
    GRANULE(VDEV_COMPLETE, 1, "rec", "rec_state"),
    GRANULE(VDEV_COMPLETE, 2, "vdev", "vdev_gran_state"),
    GRANULE(VDEV_MAP, 1, "rd", "rd_state"),
    GRANULE(VDEV_MAP, 2, "vdev", "vdev_gran_state"),
    GRANULE(VDEV_UNMAP, 1, "rd", "rd_state"),
    GRANULE(VDEV_VALIDATE_MAPPING, 1, "rd", "rd_state"),
    GRANULE(VDEV_VALIDATE_MAPPING, 2, "rec", "rec_gran_state"),
    GRANULE(VDEV_VALIDATE_MAPPING, 3, "pdev", "pdev_gran_state"),
    GRANULE(VDEV_VALIDATE_MAPPING, 4, "vdev", "vdev_gran_state"),

    ARG(PDEV_AUX_COUNT, "flags_supp", NSUPP, {1, RMI_PDEV_FLAG_SPDM}),
    ARG(PDEV_AUX_COUNT, "flags_supp", NSUPP, {1, 3 | RMI_PDEV_FLAG_P2P}),

    DO(PDEV_CREATE, "params_pas", I, lose_params),
    POKE(PDEV_CREATE, "flags_supp", NSUPP, RMI_PDEV_FLAGS, 8, RMI_PDEV_FLAG_NCOH_IDE),
    POKE(PDEV_CREATE, "flags_supp", NSUPP, RMI_PDEV_FLAGS, 8, 3 | RMI_PDEV_FLAG_COH_IDE),
    POKE(PDEV_CREATE, "params_valid/cert_id", I, RMI_PDEV_CERT_ID, 8, 8),
    POKE(PDEV_CREATE, "cert_id_supp", NSUPP, RMI_PDEV_CERT_ID, 8, 1),
    POKE(PDEV_CREATE, "ncoh_ide_sid_bound", I, RMI_PDEV_IDE_SID, 8, 32),
    POKE(PDEV_CREATE, "params_valid/rid", I, RMI_PDEV_RID_TOP, 2, PAIR_FUNCTION),
    POKE(PDEV_CREATE, "params_valid/addr", I, RMI_PDEV_NCOH_NUM_ADDR, 8, 17),
    POKE(PDEV_CREATE, "params_valid/addr", I, RMI_PDEV_NCOH_NUM_ADDR, 8, 2), /* the second one is empty */
    POKE(PDEV_CREATE, "params_valid/addr", I, RMI_PDEV_NCOH_ADDR, 8, D_BAR + 8),
    POKE(PDEV_CREATE, "params_valid/addr", I, RMI_PDEV_NCOH_ADDR + 8, 8, 1ull << 49),
    POKE(PDEV_CREATE, "params_valid/addr", I, RMI_PDEV_COH_NUM_ADDR, 8, 1),
    POKE(PDEV_CREATE, "params_valid/hash_algo", I, RMI_PDEV_HASH_ALGO, 1, 2),
    POKE(PDEV_CREATE, "num_aux", I, RMI_PDEV_NUM_AUX, 8, PDEV_N_AUX - 1),
    POKE(PDEV_CREATE, "aux_align", I, RMI_PDEV_AUX + 8, 8, PAGE(D_AUX) + 8),
    POKE(PDEV_CREATE, "aux_state", I, RMI_PDEV_AUX + 8, 8, ROWS_NOWHERE),
    POKE(PDEV_CREATE, "aux_state", I, RMI_PDEV_AUX + 8, 8, RD),
    POKE(PDEV_CREATE, "aux_alias", I, RMI_PDEV_AUX + 8, 8, PAGE(D_AUX)),
    POKE(PDEV_CREATE, "aux_alias", I, RMI_PDEV_AUX + 8, 8, PDEV),
    DO(PDEV_CREATE, "ide_sid_used", I, second_pdev),
    DO(PDEV_CREATE, "params_valid/rid_used", I, second_pdev_rid),
    DO(PDEV_CREATE, "num_pdevs", DEV, many_pdevs),

    COMM_ROWS(PDEV_COMMUNICATE, pdev_idle, pdev_active),

    DO(PDEV_SET_PUBKEY, "params_pas", I, lose_params),
    POKE(PDEV_SET_PUBKEY, "key_len_oflow", I, RMI_KEY_LEN, 8, 1025),
    POKE(PDEV_SET_PUBKEY, "metadata_len_oflow", I, RMI_KEY_METADATA_LEN, 8, 1025),
    POKE(PDEV_SET_PUBKEY, "key_invalid/algo", I, RMI_KEY_ALGO, 1, 3),
    POKE(PDEV_SET_PUBKEY, "key_invalid/len", I, RMI_KEY_LEN, 8, 96),
    DO(PDEV_SET_PUBKEY, "pdev_state", DEV, pdev_ready),
    DO(PDEV_SET_PUBKEY, "algo_negotiated", DEV, p256_key),
    POKE(PDEV_SET_PUBKEY, "key_invalid/key", I, RMI_KEY_KEY + 5, 8, 0x1234),

    DO(PDEV_ABORT, "pdev_state", DEV, pdev_ready),
    DO(PDEV_IDE_RESET, "pdev_state", DEV, pdev_new),
    DO(PDEV_IDE_RESET, "num_vdevs", DEV, pdev_live),
    ARG(PDEV_IDE_KEY_REFRESH, "coh_valid", I, {2, 2}),
    ARG(PDEV_IDE_KEY_REFRESH, "no_connection", NSUPP, {2, 1}),
    DO(PDEV_IDE_KEY_REFRESH, "pdev_state", DEV, pdev_new),
    DO(PDEV_IDE_KEY_REFRESH, "pdev_busy", DEV, pdev_busy),
    DO(PDEV_STOP, "pdev_state", DEV, pdev_stopping),
    DO(PDEV_STOP, "num_vdevs", DEV, pdev_live),
    DO(PDEV_DESTROY, "pdev_state", DEV, pdev_stopping),

    ARG(VDEV_AUX_COUNT, "flags_supp", NSUPP, {2, 1}),

    DO(VDEV_CREATE, "params_pas", I, lose_params),
    POKE(VDEV_CREATE, "params_valid/flags", I, RMI_VDEV_FLAGS, 8, 1),
    POKE(VDEV_CREATE, "num_aux", I, RMI_VDEV_NUM_AUX, 8, 1),
    DO(VDEV_CREATE, "da_en", RMI_ERROR_REALM, realm_without),
    DO(VDEV_CREATE, "pdev_state", DEV, pdev_new),
    DO(VDEV_CREATE, "vdev_id_free", I, same_id),
    POKE(VDEV_CREATE, "tdi_id_bound", I, RMI_VDEV_TDI_ID, 8, PAIR_FUNCTION - 1),
    POKE(VDEV_CREATE, "tdi_id_bound", I, RMI_VDEV_TDI_ID, 8, PAIR_FUNCTION + 2),
    DO(VDEV_CREATE, "num_vdevs", RMI_ERROR_REALM, realm_full),
    DO(VDEV_CREATE, "pdev_num_vdevs", DEV, pdev_full),
    DO(VDEV_CREATE, "stream_bound", DEV, rid_beyond),
    DO(VDEV_CREATE, "tdi_id_free", I, stream_taken),

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

    DO(VDEV_GET_MEASUREMENTS, "params_pas", I, lose_params),
    POKE(VDEV_GET_MEASUREMENTS, "flags_valid", I, RMI_MEASURE_FLAGS, 8, 8),
    DO(VDEV_GET_MEASUREMENTS, "indices", I, index_255),
    DO(VDEV_GET_MEASUREMENTS, "indices", I, all_and_index_0),
    DO(VDEV_GET_MEASUREMENTS, "indices", I, all_and_index_253),
    DO(VDEV_GET_MEASUREMENTS, "indices_none", I, no_indices),
    DO(VDEV_GET_MEASUREMENTS, "indices_none", I, only_index_0),
    OWNER_ROWS(VDEV_GET_MEASUREMENTS, I),
    DO(VDEV_GET_MEASUREMENTS, "pdev_busy", DEV, pdev_busy),
    DO(VDEV_GET_MEASUREMENTS, "pdev_busy", DEV, pdev_new),
    DO(VDEV_GET_MEASUREMENTS, "comm_state", DEV, vdev_active),

    OWNER_ROWS(VDEV_UNLOCK, I),
    DO(VDEV_UNLOCK, "vdev_state", DEV, vdev_new),
    DO(VDEV_UNLOCK, "comm_state", DEV, vdev_active),
    DO(VDEV_UNLOCK, "num_map", DEV, vdev_mapped),
    DO(VDEV_ABORT, "comm_state", DEV, vdev_idle),
    OWNER_ROWS(VDEV_DESTROY, DEV),
    DO(VDEV_DESTROY, "vdev_state", DEV, vdev_locked),
    DO(VDEV_DESTROY, "comm_state", DEV, vdev_active),
    DO(VDEV_DESTROY, "num_map", DEV, vdev_mapped),

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
    ARG(VDEV_MAP, "addr_align", I, {5, D_BAR + 8}),
    ARG(VDEV_MAP, "addr_bound", I, {5, 1ull << 48}),
    ARG(VDEV_MAP, "addr_state", I, {5, D_BAR + 0x2000}),           /* the host's */
    ARG(VDEV_MAP, "addr_state", I, {5, PAGE(D_SPARE)}),            /* no device */
    ARG(VDEV_MAP, "addr_state", I, {3, D_IPA + 0x200000}, {4, 2}), /* two of 512 */
    ARG(VDEV_MAP, "rtt_walk", T(2), {3, D_IPA + 0x200000}),
    DO(VDEV_MAP, "rtte_ripas", T(3), ram_there),
    ARG(VDEV_MAP, "rtte_state", T(3), {3, 0x1000}),

    ARG(VDEV_UNMAP, "level_bound", I, {3, 1}),
    ARG(VDEV_UNMAP, "ipa_align", I, {2, D_IPA + 8}),
    ARG(VDEV_UNMAP, "ipa_bound", I, {2, PAR_TOP}),
    ARG(VDEV_UNMAP, "rtt_walk", T(2), {2, D_IPA + 0x200000}),
    ARG(VDEV_UNMAP, "rtte_state", T(3), {2, D_IPA + 0x1000}),

    ARG(VDEV_VALIDATE_MAPPING, "size_valid", I, {6, D_IPA}),
    ARG(VDEV_VALIDATE_MAPPING, "top_gran_align", I, {6, D_IPA + 8}),
    DO(VDEV_VALIDATE_MAPPING, "rec_state", REC, rec_runs),
    ARG(VDEV_VALIDATE_MAPPING, "rec_owner", REC, {2, PAGE(W_REC2)}),
    ARG(VDEV_VALIDATE_MAPPING, "base_bound", I, {5, D_IPA - 0x1000}),
    DO(VDEV_VALIDATE_MAPPING, "base_bound", I, nothing_pending),
    DO_ARG(VDEV_VALIDATE_MAPPING, "top_bound", I, one_page_asked, {6, D_IPA + 0x2000}),
    DO_ARG(VDEV_VALIDATE_MAPPING, "vdev_owner", DEV, other_vdev, {4, PAGE(D_VDEV2)}),
    DO_ARG(VDEV_VALIDATE_MAPPING, "vdev_pdev", DEV, other_pdev, {3, PAGE(D_SPARE)}),
    DO(VDEV_VALIDATE_MAPPING, "vdev_nonce", DEV, vdev_relocked),
    DO(VDEV_VALIDATE_MAPPING, "vdev_nonce", DEV, vdev_unlocked),
    DO_ARG(VDEV_VALIDATE_MAPPING, "base_align", T(2), block_there, {5, D_IPA + 0x401000},
           {6, D_IPA + 0x402000}),
    DO(VDEV_VALIDATE_MAPPING, "no_progress", T(3), other_pa),
};

/* ---- running them ---- */

static Rig *open_world(unsigned stage)
{
    d = dev_rig_new();
    dev_go_to(d, (DevStage)stage);
    return d->rig;
}

static void close_world(void) { dev_rig_free(d); }

static bool is_of_devices(const RmmFunction *f) { return (f->dialects & IN_ALP17) && f->dialects != IN_ALL; }

static const RmmRows table = {
    valid, ARRAY_LEN(valid), rows, ARRAY_LEN(rows), D_LAST, open_world, close_world, NULL, is_of_devices,
};

/* The commands that 1.1-alp12 has alike are broken there, too. */
static void test_rows(void **state)
{
    for (rig_dialect = RMM_1_1_ALP12; rig_dialect <= RMM_1_1_ALP17; rig_dialect++) {
        print_message("dialect %s\n", rmm_dialects[rig_dialect].name);
        rmm_rows_break(&table);
        rmm_rows_repeat(&table);
    }
    rig_dialect = RMM_1_1_ALP17;
    rmm_rows_complete(&table);
}

/* ---- a hostile host ---- */

static void any_rsi(DevStorm *s)
{
    static const uint32_t fids[] = {RSI_FID_VDEV_GET_INFO, RSI_FID_VDEV_VALIDATE_MAPPING,
                                    RSI_FID_VDEV_DMA_ENABLE, RSI_FID_VDEV_DMA_DISABLE, RSI_FID_IPA_STATE_SET};
    const Vdev *v = granule_state(d->rig->rmm, VDEV) == GRANULE_VDEV ? dev_vdev(d) : NULL;
    uint32_t    fid = fids[storm_roll(s, ARRAY_LEN(fids))];
    uint64_t    x[9] = { SMC64_STD(fid), D_VDEV_ID, D_IPA, D_IPA + 0x2000, D_BAR };
    uint64_t n[] = {v != NULL ? v->lock_nonce : 0, v != NULL ? v->meas_nonce : 0,
                    v != NULL ? v->report_nonce : 0};

    if (fid == RSI_FID_VDEV_DMA_ENABLE) {
        x[2] = x[3] = 0;
        memcpy(x + 4, n, sizeof(n));
    } else {
        x[2] = fid == RSI_FID_VDEV_GET_INFO ? BUFFER_IPA : x[2];
        memcpy(x + 6, n, sizeof(n));
    }
    storm_rsi(s, x, ARRAY_LEN(x));
}

static void ready_world(unsigned world)
{
    ready_comm();
    ready_map();
}

static void test_hostile_host(void **state)
{
    DevStorm storm = { .rows = &table, .rsi = any_rsi, .status = { RMI_COMM_NONE, RMI_COMM_NONE } };

    storm_worlds(&storm, &d, STAGE_STARTED, ready_world);
}

/* ---- RSI ---- */

static void named(void) { rmi_ok(d->rig, RMI_FID_VDEV_COMPLETE, PAGE(W_REC0), VDEV); }

static void named_then_destroyed(void)
{
    named();
    rmi_ok(d->rig, RMI_FID_VDEV_DESTROY, RD, PDEV, VDEV);
}

/* Another REC of the Realm gives the buffer up. */
static void named_then_page_gone(void)
{
    RttWalk w = rtt_walk(d->rig->rmm, realm_at(d->rig->rmm, RD), BUFFER_IPA, 3);

    named();
    rtt_put(&w, (RttValue){ .kind = RTT_UNASSIGNED, .ripas = RIPAS_EMPTY });
}

static void known_nonces(void)
{
    Vdev *v = dev_vdev(d);

    v->lock_nonce = 1;
    v->meas_nonce = 2;
    v->report_nonce = 3;
}

#define RANGE D_VDEV_ID, D_IPA, D_IPA + 0x2000, D_BAR, 0
#define VDEV_NOW(fid, label, stage, ...)                                                               \
    { RSI_FID_VDEV_##fid, label, RSI_ERROR_INPUT, { __VA_ARGS__ }, stage, NULL, RMI_EXIT_SYNC, NULL }
#define VDEV_WITHOUT(fid)                                                                              \
    { RSI_FID_VDEV_##fid, "da_en", RSI_ERROR_STATE, { D_VDEV_ID }, STAGE_UNLOCKED, realm_without, RMI_EXIT_SYNC, NULL }
#define VDEV_LATER(fid, label, status, stage, prepare, meanwhile, ...)                                 \
    { RSI_FID_VDEV_##fid, label, RSI_ERROR_##status, { __VA_ARGS__ }, stage, prepare, RMI_EXIT_VDEV_REQUEST, meanwhile }
#define VDEV_NAMING(fid, ...)                                                                          \
    VDEV_LATER(fid, "vdev_id", INPUT, STAGE_UNLOCKED, NULL, NULL, __VA_ARGS__),                        \
        VDEV_LATER(fid, "vdev_id", INPUT, STAGE_UNLOCKED, NULL, named_then_destroyed, __VA_ARGS__)

static const RsiRow rsi_rows[] = {
    VDEV_WITHOUT(GET_INFO),
    VDEV_NOW(GET_INFO, "addr_align", STAGE_UNLOCKED, D_VDEV_ID, BUFFER_IPA + 0x100),
    VDEV_NOW(GET_INFO, "addr_bound", STAGE_UNLOCKED, D_VDEV_ID, PAR_TOP),
    VDEV_NOW(GET_INFO, "addr_empty", STAGE_UNLOCKED, D_VDEV_ID, 0x9000),
    VDEV_NAMING(GET_INFO, D_VDEV_ID, BUFFER_IPA),
    VDEV_LATER(GET_INFO, "addr_empty", INPUT, STAGE_UNLOCKED, NULL, named_then_page_gone, D_VDEV_ID, BUFFER_IPA),

    VDEV_WITHOUT(VALIDATE_MAPPING),
    VDEV_NOW(VALIDATE_MAPPING, "ipa_base_align", STAGE_UNLOCKED, D_VDEV_ID, D_IPA + 8, D_IPA + 0x1000, D_BAR),
    VDEV_NOW(VALIDATE_MAPPING, "ipa_top_align", STAGE_UNLOCKED, D_VDEV_ID, D_IPA, D_IPA + 0x1008, D_BAR),
    VDEV_NOW(VALIDATE_MAPPING, "size_valid", STAGE_UNLOCKED, D_VDEV_ID, D_IPA, D_IPA, D_BAR),
    VDEV_NOW(VALIDATE_MAPPING, "rgn_bound", STAGE_UNLOCKED, D_VDEV_ID, D_IPA, PAR_TOP + 0x1000, D_BAR),
    VDEV_NOW(VALIDATE_MAPPING, "pa_align", STAGE_UNLOCKED, D_VDEV_ID, D_IPA, D_IPA + 0x1000, D_BAR + 8),
    VDEV_NOW(VALIDATE_MAPPING, "pa_bound", STAGE_UNLOCKED, D_VDEV_ID, D_IPA, D_IPA + 0x1000, 1ull << 48),
    VDEV_NOW(VALIDATE_MAPPING, "pa_bound", STAGE_UNLOCKED, D_VDEV_ID, D_IPA, D_IPA + 0x2000, (1ull << 48) - 0x1000),
    VDEV_NOW(VALIDATE_MAPPING, "flags_valid", STAGE_UNLOCKED, D_VDEV_ID, D_IPA, D_IPA + 0x1000, D_BAR, 4),
    VDEV_NAMING(VALIDATE_MAPPING, RANGE),
    VDEV_LATER(VALIDATE_MAPPING, "vdev_state", INPUT, STAGE_UNLOCKED, known_nonces, named, RANGE, 1, 2, 3),
    VDEV_LATER(VALIDATE_MAPPING, "attest_info", DEVICE, STAGE_LOCKED, NULL, named, RANGE),
    VDEV_LATER(VALIDATE_MAPPING, "attest_info", DEVICE, STAGE_LOCKED, known_nonces, named, RANGE, 7, 2, 3),
    VDEV_LATER(VALIDATE_MAPPING, "attest_info", DEVICE, STAGE_LOCKED, known_nonces, named, RANGE, 1, 7, 3),
    VDEV_LATER(VALIDATE_MAPPING, "attest_info", DEVICE, STAGE_STARTED, known_nonces, named, RANGE, 1, 2, 7),

    VDEV_WITHOUT(DMA_ENABLE),
    VDEV_NOW(DMA_ENABLE, "flags_valid", STAGE_STARTED, D_VDEV_ID, 1),
    VDEV_NOW(DMA_ENABLE, "non_ats_plane", STAGE_STARTED, D_VDEV_ID, 0, 1),
    VDEV_NAMING(DMA_ENABLE, D_VDEV_ID),
    VDEV_LATER(DMA_ENABLE, "vdev_state", DEVICE, STAGE_LOCKED, known_nonces, named, D_VDEV_ID, 0, 0, 1, 2, 3),
    VDEV_LATER(DMA_ENABLE, "attest_info", DEVICE, STAGE_STARTED, NULL, named, D_VDEV_ID),
    VDEV_LATER(DMA_ENABLE, "attest_info", DEVICE, STAGE_STARTED, known_nonces, named, D_VDEV_ID, 0, 0, 7, 2, 3),
    VDEV_LATER(DMA_ENABLE, "attest_info", DEVICE, STAGE_STARTED, known_nonces, named, D_VDEV_ID, 0, 0, 1, 7, 3),
    VDEV_LATER(DMA_ENABLE, "attest_info", DEVICE, STAGE_STARTED, known_nonces, named, D_VDEV_ID, 0, 0, 1, 2, 7),

    VDEV_WITHOUT(DMA_DISABLE),
    VDEV_NAMING(DMA_DISABLE, D_VDEV_ID),
};

static DevRig *open_rig(unsigned stage)
{
    (void)open_world(stage);
    return d;
}

static void test_rsi_rows(void **state)
{
    static const RsiRows t = { rsi_rows, ARRAY_LEN(rsi_rows), open_rig, is_of_devices };

    rsi_rows_break(&t);
    rsi_rows_complete(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_rsi_rows),
        cmocka_unit_test(test_hostile_host),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
