/*
 * A device assigned to a Realm, from the first SPDM message to the last: states, objects and digests, keys at
 * both ends of the link, private DMA, device memory; then the same with every response spoilt.
 */
#include "tests/unit/rmm_dev_rig.h"
#include "spdm/record.h"
#include "spdm/sign.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define RIG      (d->rig)
#define RD       PAGE(W_RD)
#define PDEV     PAGE(D_PDEV)
#define VDEV     PAGE(D_VDEV)
#define INFO_IPA 0x5200ull

static DevRig *d;

static int setup(void **state)
{
    d = dev_rig_new();
    return 0;
}

static int teardown(void **state)
{
    dev_rig_free(d);
    return 0;
}

static const uint8_t *info(void) { return rig_bytes(RIG, PAGE(W_DATA + 5)) + 0x200; }
static uint64_t info_u64(unsigned off) { return le64_get(info() + off); }

/* GET_INFO by the Realm. */
static void read_info(void)
{
    assert_int_equal(dev_rsi_done(d, RSI_FID_VDEV_GET_INFO, D_VDEV_ID, INFO_IPA), RSI_SUCCESS);
}

static void assert_digest(unsigned off, const void *data, size_t len)
{
    uint8_t  want[64] = { 0 };
    unsigned n;

    assert_true(EVP_Digest(data, len, want, &n, EVP_sha256(), NULL) == 1);
    assert_memory_equal(info() + off, want, 64);
}

static void measure_all(uint64_t flags)
{
    dev_measure_params(d, flags);
    rmi_ok(RIG, RMI_FID_VDEV_GET_MEASUREMENTS, RD, PDEV, VDEV, PAGE(D_PARAMS));
    g_byte_array_set_size(d->object[RMI_OBJECT_MEASUREMENTS], 0);
    assert_int_equal(dev_converse(d, true), RMI_SUCCESS);
}

static void get_report(void)
{
    rmi_ok(RIG, RMI_FID_VDEV_GET_INTERFACE_REPORT, RD, PDEV, VDEV);
    g_byte_array_set_size(d->object[RMI_OBJECT_INTERFACE_REPORT], 0);
    assert_int_equal(dev_converse(d, true), RMI_SUCCESS);
}

static uint64_t dma_enable(void)
{
    return dev_rsi_done(d, RSI_FID_VDEV_DMA_ENABLE, D_VDEV_ID, 0, 0, info_u64(RSI_VDEV_INFO_LOCK_NONCE),
                        info_u64(RSI_VDEV_INFO_MEAS_NONCE), info_u64(RSI_VDEV_INFO_REPORT_NONCE));
}

/* LOCKED, with all evidence. */
static void lock_and_look(void)
{
    dev_go_to(d, STAGE_LOCKED);
    get_report();
    measure_all(RMI_MEASURE_SIGNED | RMI_MEASURE_EXCHANGE);
    read_info();
}

static void start(void)
{
    rmi_ok(RIG, RMI_FID_VDEV_START, RD, PDEV, VDEV);
    assert_int_equal(dev_converse(d, true), RMI_SUCCESS);
    assert_int_equal(dev_vdev(d)->state, RMI_VDEV_STARTED);
}

static void make_device_tables(void)
{
    rmi_ok(RIG, RMI_FID_RTT_CREATE, RD, PAGE(D_L2), D_IPA & ~0x1fffffull, 3);
}

/* ---- the whole sequence ---- */

static void check_root_keys(unsigned set)
{
    for (unsigned tx = 0; tx < 2; tx++) {
        for (unsigned sub = 0; sub < IDE_SUB_STREAMS; sub++) {
            assert_true(d->root->slot[set][tx][sub].go);
            assert_false(d->root->slot[set ^ 1][tx][sub].go);
        }
    }
    /* The last key of the device was for what it sends: completions. */
    assert_memory_equal(d->root->slot[set][0][IDE_CPL].key, d->pair->last_key, IDE_KEY_LEN);
    assert_memory_not_equal(d->root->slot[set][1][IDE_CPL].key, d->pair->last_key, IDE_KEY_LEN);
    assert_true(d->root->tdisp);
    assert_true(ide_km_stream_ready(&d->pair->ide, PAIR_PORT, PAIR_STREAM));
}

static void check_objects(void)
{
    const SpdmIdentity *id = pair_identity(SPDM_TEST_DEVICE);
    const GByteArray   *vca = d->object[RMI_OBJECT_VCA], *meas = d->object[RMI_OBJECT_MEASUREMENTS];
    const GByteArray *report = d->object[RMI_OBJECT_INTERFACE_REPORT],
                     *cert = d->object[RMI_OBJECT_CERTIFICATE];
    TdispReport         r;

    assert_int_equal(cert->len, id->certs_len);
    assert_memory_equal(cert->data, id->certs, cert->len);
    assert_int_equal(vca->len, d->pair->responder.a.len);
    assert_memory_equal(vca->data, d->pair->responder.a.data, vca->len);
    assert_true(tdisp_report_decode(report->data, report->len, &r));
    assert_int_equal(r.n_ranges, 2);
    assert_int_equal(meas->data[1], SPDM_GET_MEASUREMENTS);
    assert_memory_equal(meas->data + 4, rig_bytes(RIG, PAGE(D_PARAMS)) + RMI_MEASURE_NONCE, 32);

    assert_digest(RSI_VDEV_INFO_VCA_DIGEST, vca->data, vca->len);
    assert_digest(RSI_VDEV_INFO_CERT_DIGEST, cert->data, cert->len);
    assert_digest(RSI_VDEV_INFO_MEAS_DIGEST, meas->data, meas->len);
    assert_digest(RSI_VDEV_INFO_REPORT_DIGEST, report->data, report->len);
    dev_key_params(d);
    assert_digest(RSI_VDEV_INFO_PUBKEY_DIGEST, rig_bytes(RIG, PAGE(D_PARAMS)) + RMI_KEY_KEY, 97);

    /* Whoever has VCA, measurements and the key can check the signature. */
    SpdmSigner signer = { 0x12, spdm_hash(BIT(1)), spdm_asym(BIT(7)) };
    SpdmSpan   l1l2[] = { { vca->data, vca->len }, { meas->data, meas->len - 96 } };
    SpdmPublicKey key = { SPDM_KEY_P384, 97, 0, { 0 } };
    memcpy(key.bytes, rig_bytes(RIG, PAGE(D_PARAMS)) + RMI_KEY_KEY, key.len);
    assert_true(spdm_verify(&signer, &key, SPDM_SIGN_MEASUREMENTS,
                            l1l2, 2, meas->data + meas->len - 96));
}

static void check_private_dma(void)
{
    uint64_t pa;

    assert_int_equal(dev_dma(d, true, 0x3010, &pa), DMA_FAULT); /* RUN, but the Realm has not agreed */
    assert_int_equal(dma_enable(), RSI_SUCCESS);
    assert_int_equal(dma_enable(), RSI_SUCCESS);                 /* again: nothing happens */
    assert_int_equal(dev_dma(d, true, 0x3010, &pa), DMA_OK);
    assert_int_equal(pa, PAGE(W_DATA + 3) + 0x10);
    assert_int_equal(dev_dma(d, true, 0x4010, &pa), DMA_OK);
    assert_int_not_equal(dev_dma(d, true, 0x9000, &pa), DMA_OK); /* EMPTY */
    rmi_ok(RIG, RMI_FID_DATA_DESTROY, RD, 0x4000);               /* taken away: at once, here too */
    assert_int_not_equal(dev_dma(d, true, 0x4010, &pa), DMA_OK);
    assert_int_equal(dev_dma(d, true, 0x3010, &pa), DMA_OK);
}

static void test_whole_sequence(void **state)
{
    uint64_t pa;

    rmi_ok(RIG, RMI_FID_FEATURES, 0);
    assert_true(RIG->cpu[0]->x[1] & RMI_FEATURE0_DA);
    assert_int_equal(dev_rsi_call(d, RSI_FID_FEATURES, 0), RMI_EXIT_SYNC);
    assert_int_equal(dev_rec(d)->x[1], RSI_FEATURE0_DA);

    lock_and_look();
    check_root_keys(0);
    check_objects();
    assert_int_equal(info()[RSI_VDEV_INFO_STATE], RSI_VDEV_LOCKED);
    assert_int_equal(info()[RSI_VDEV_INFO_HASH_ALGO], RMI_HASH_SHA_256);
    assert_int_equal(info_u64(RSI_VDEV_INFO_TDISP_VERSION), 0x10);
    assert_int_equal(d->pair->tdis[0].state, TDI_CONFIG_LOCKED);
    /* The MSI-X table is the host's. */
    assert_int_equal(d->pair->tdis[0].lock_flags, TDISP_LOCK_NO_FW_UPDATE);
    assert_int_equal(dma_enable(), RSI_ERROR_DEVICE);
    start();
    assert_int_equal(d->pair->tdis[0].state, TDI_RUN);
    check_private_dma();
    assert_int_equal(dev_rsi_done(d, RSI_FID_VDEV_DMA_DISABLE, D_VDEV_ID), RSI_SUCCESS);
    assert_int_not_equal(dev_dma(d, true, 0x3010, &pa), DMA_OK);
    assert_int_equal(dma_enable(), RSI_SUCCESS);

    rmi_ok(RIG, RMI_FID_VDEV_UNLOCK, RD, PDEV, VDEV);
    assert_int_not_equal(dev_dma(d, true, 0x3010, &pa), DMA_OK); /* before the device has answered */
    assert_int_equal(dev_converse(d, true), RMI_SUCCESS);
    assert_int_equal(dev_vdev(d)->state, RMI_VDEV_UNLOCKED);
    assert_int_equal(d->pair->tdis[0].state, TDI_CONFIG_UNLOCKED);
    rmi_ok(RIG, RMI_FID_VDEV_DESTROY, RD, PDEV, VDEV);
    assert_int_equal(realm_at(RIG->rmm, RD)->n_vdevs, 0);

    rmi_ok(RIG, RMI_FID_PDEV_STOP, PDEV);
    assert_int_equal(dev_converse(d, false), RMI_SUCCESS);
    assert_int_equal(dev_pdev(d)->state, RMI_PDEV_STOPPED);
    assert_int_equal(d->pair->sessions_ended, 1);
    assert_false(d->root->tdisp);
    assert_false(d->root->slot[0][0][0].go);
    rmi_ok(RIG, RMI_FID_PDEV_DESTROY, PDEV);
    for (unsigned page = D_PDEV; page < D_PARAMS; page++) {
        assert_int_equal(granule_state(RIG->rmm, PAGE(page)), GRANULE_DELEGATED);
        assert_int_equal(le64_get(rig_bytes(RIG, PAGE(page))), 0);
    }
    g_byte_array_set_size(d->object[RMI_OBJECT_VCA], 0);
    g_byte_array_set_size(d->object[RMI_OBJECT_CERTIFICATE], 0);
    dev_pdev_params(d, D_AUX); /* and once more: nothing is left of the first time */
    dev_go_to(d, STAGE_STARTED);
}

/* ---- keys ---- */

static void test_key_refresh(void **state)
{
    dev_go_to(d, STAGE_STARTED);
    for (unsigned i = 0; i < 3; i++) {
        check_root_keys(i & 1);
        rmi_ok(RIG, RMI_FID_PDEV_IDE_KEY_REFRESH, PDEV, 0);
        assert_int_equal(dev_pdev(d)->state, RMI_PDEV_COMMUNICATING);
        assert_int_equal(dev_converse(d, false), RMI_SUCCESS);
        assert_int_equal(dev_pdev(d)->state, RMI_PDEV_READY);
    }
    assert_int_equal(d->pair->tdis[0].state, TDI_RUN); /* Secure all the time */
}

static void test_ide_reset(void **state)
{
    dev_go_to(d, STAGE_READY);
    rmi_ok(RIG, RMI_FID_PDEV_IDE_RESET, PDEV);
    assert_int_equal(dev_pdev(d)->state, RMI_PDEV_IDE_RESETTING);
    assert_int_equal(dev_converse(d, false), RMI_SUCCESS);
    assert_int_equal(dev_pdev(d)->state, RMI_PDEV_READY);
    check_root_keys(0);
    assert_int_equal(d->pair->keys_programmed, 12);
}

/* Its buffer is small: what is longer goes by CHUNK_SEND, in and out of the session. */
static void test_small_buffer(void **state)
{
    static const uint32_t sizes[] = { SPDM_DATA_TRANSFER_MIN, 64, 100 };

    for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
        if (i != 0) {
            dev_rig_free(d);
            d = dev_rig_new();
        }
        d->pair->responder.config.capabilities |= SPDM_CAP_CHUNK;
        d->pair->responder.config.transfer_size = sizes[i];
        dev_go_to(d, STAGE_STARTED);
        check_root_keys(0);
    }
    dev_rig_free(d); /* without CHUNK there is no way to it */
    d = dev_rig_new();
    d->pair->responder.config.transfer_size = 64;
    dev_go_to(d, STAGE_HAS_KEY);
    assert_int_equal(dev_converse(d, false), RMI_SUCCESS);
    assert_int_equal(dev_pdev(d)->state, RMI_PDEV_ERROR);
}

static void test_no_root_port(void **state)
{
    dev_go_to(d, STAGE_HAS_KEY);
    d->root->refuses = true;
    assert_int_equal(dev_converse(d, false), RMI_SUCCESS);
    assert_int_equal(dev_pdev(d)->state, RMI_PDEV_ERROR);
}

/* ---- what the Realm relies on ---- */

static void test_nonces(void **state)
{
    static const unsigned fields[] = {RSI_VDEV_INFO_LOCK_NONCE, RSI_VDEV_INFO_MEAS_NONCE,
                                      RSI_VDEV_INFO_REPORT_NONCE};
    uint64_t              n[3];

    lock_and_look();
    start();
    for (unsigned i = 0; i < 3; i++) {
        n[i] = info_u64(fields[i]);
        assert_int_not_equal(n[i], 0);
    }
    for (unsigned i = 0; i < 3; i++) { /* each one counts */
        uint64_t t[3] = { n[0], n[1], n[2] };
        t[i] ^= 1;
        assert_int_equal(dev_rsi_done(d, RSI_FID_VDEV_DMA_ENABLE, D_VDEV_ID, 0, 0, t[0], t[1], t[2]),
                         RSI_ERROR_DEVICE);
        assert_int_equal(dev_rsi_done(d, RSI_FID_VDEV_VALIDATE_MAPPING, D_VDEV_ID, D_IPA, D_IPA + 4096, D_BAR,
                                      0, t[0], t[1], t[2]),
                         RSI_ERROR_DEVICE);
        assert_false(dev_vdev(d)->dma);
    }
    get_report(); /* new evidence, new nonces: of its own kind only */
    read_info();
    assert_int_not_equal(info_u64(fields[2]), n[2]);
    assert_int_equal(info_u64(fields[1]), n[1]);
    assert_int_equal(info_u64(fields[0]), n[0]);
    measure_all(0);
    read_info();
    assert_int_not_equal(info_u64(fields[1]), n[1]);
    assert_int_equal(info_u64(fields[0]), n[0]);

    /* Unlocked and locked again behind the Realm's back. */
    rmi_ok(RIG, RMI_FID_VDEV_UNLOCK, RD, PDEV, VDEV);
    assert_int_equal(dev_converse(d, true), RMI_SUCCESS);
    assert_int_equal(dma_enable(), RSI_ERROR_DEVICE);
    rmi_ok(RIG, RMI_FID_VDEV_LOCK, RD, PDEV, VDEV);
    assert_int_equal(dev_converse(d, true), RMI_SUCCESS);
    start();
    assert_int_equal(dma_enable(), RSI_ERROR_DEVICE);
    read_info();
    assert_int_not_equal(info_u64(fields[0]), n[0]);
    assert_int_equal(info_u64(fields[2]), 0); /* the report was of the other lock */
    assert_int_equal(dma_enable(), RSI_SUCCESS);
}

/* The host unlocks between naming the VDEV and entering: nothing is enabled. */
static void test_unlock_meanwhile(void **state)
{
    lock_and_look();
    start();
    uint64_t x[] = { SMC64_STD(RSI_FID_VDEV_DMA_ENABLE), D_VDEV_ID, 0, 0, info_u64(RSI_VDEV_INFO_LOCK_NONCE),
                     info_u64(RSI_VDEV_INFO_MEAS_NONCE), info_u64(RSI_VDEV_INFO_REPORT_NONCE) };
    assert_int_equal(dev_rsi(d, x, ARRAY_LEN(x)), RMI_EXIT_VDEV_REQUEST);
    rmi_ok(RIG, RMI_FID_VDEV_COMPLETE, PAGE(W_REC0), VDEV);
    rmi_ok(RIG, RMI_FID_VDEV_UNLOCK, RD, PDEV, VDEV);
    assert_int_equal(dev_enter(d, 0), RMI_EXIT_SYNC);
    assert_int_equal(dev_rec(d)->x[0], RSI_ERROR_DEVICE);
    assert_false(dev_vdev(d)->dma);
}

/* The host does not say which VDEV it is, or takes it away again. */
static void test_not_completed(void **state)
{
    static const uint32_t fids[] = { RSI_FID_VDEV_DMA_ENABLE, RSI_FID_VDEV_DMA_DISABLE };

    dev_go_to(d, STAGE_UNLOCKED);
    for (unsigned i = 0; i < ARRAY_LEN(fids); i++) {
        assert_int_equal(dev_rsi_call(d, fids[i], D_VDEV_ID), RMI_EXIT_VDEV_REQUEST);
        assert_int_equal(dev_enter(d, 0), RMI_EXIT_SYNC);
        assert_int_equal(dev_rec(d)->x[0], RSI_ERROR_INPUT);
    }
    assert_int_equal(dev_rsi_call(d, RSI_FID_VDEV_GET_INFO, D_VDEV_ID, INFO_IPA), RMI_EXIT_VDEV_REQUEST);
    rmi_ok(RIG, RMI_FID_VDEV_COMPLETE, PAGE(W_REC0), VDEV);
    rmi_ok(RIG, RMI_FID_VDEV_DESTROY, RD, PDEV, VDEV);
    assert_int_equal(dev_enter(d, 0), RMI_EXIT_SYNC);
    assert_int_equal(dev_rec(d)->x[0], RSI_ERROR_INPUT);
}

/* The buffer's page goes away between the two halves: the host has to bring it back. */
static void test_info_page_lost(void **state)
{
    dev_go_to(d, STAGE_UNLOCKED);
    assert_int_equal(dev_rsi_call(d, RSI_FID_VDEV_GET_INFO, D_VDEV_ID, INFO_IPA), RMI_EXIT_VDEV_REQUEST);
    rmi_ok(RIG, RMI_FID_VDEV_COMPLETE, PAGE(W_REC0), VDEV);
    rmi_ok(RIG, RMI_FID_DATA_DESTROY, RD, 0x5000);
    assert_int_equal(dev_enter(d, 0), RMI_EXIT_SYNC);
    assert_int_equal(rig_exit(RIG, W_RUN, RMI_EXIT_HPFAR), 0x50);
    assert_int_equal(dev_rec(d)->pending, REC_VDEV_REQUEST);
    assert_int_equal(dev_rec(d)->pc, 4);
}

/* ---- measurements ---- */

static void test_measurements(void **state)
{
    static const struct {
        const char *name;
        uint64_t flags;
        uint8_t bits[32];
        RmiVdevState state;
        unsigned requests;
    } rows[] = {
        {"all, signed", RMI_MEASURE_SIGNED, {[31] = 0x40}, RMI_VDEV_UNLOCKED, 1},
        {"all, raw", RMI_MEASURE_RAW, {[31] = 0x40}, RMI_VDEV_UNLOCKED, 1},
        {"two by index, the last signed", RMI_MEASURE_SIGNED, {0x06}, RMI_VDEV_UNLOCKED, 2},
        {"two by index, raw, whole exchanges",
         RMI_MEASURE_SIGNED | RMI_MEASURE_RAW | RMI_MEASURE_EXCHANGE,
         {0x06},
         RMI_VDEV_UNLOCKED,
         2},
        {"one that is not there", 0, {0x08}, RMI_VDEV_ERROR, 0},
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        print_message("%s\n", rows[i].name);
        teardown(state);
        setup(state);
        dev_go_to(d, STAGE_UNLOCKED);
        dev_measure_params(d, rows[i].flags);
        memcpy(rig_bytes(RIG, PAGE(D_PARAMS)) + RMI_MEASURE_INDICES, rows[i].bits, 32);
        rmi_ok(RIG, RMI_FID_VDEV_GET_MEASUREMENTS, RD, PDEV, VDEV, PAGE(D_PARAMS));
        unsigned before = d->exchange;
        assert_int_equal(dev_converse(d, true), RMI_SUCCESS);
        assert_int_equal(dev_vdev(d)->state, rows[i].state);
        if (rows[i].state == RMI_VDEV_ERROR) {
            assert_int_equal(dev_vdev(d)->meas_nonce, 0);
            continue;
        }
        assert_int_equal(d->exchange - before, rows[i].requests);
        read_info();
        assert_digest(RSI_VDEV_INFO_MEAS_DIGEST, d->object[RMI_OBJECT_MEASUREMENTS]->data,
                      d->object[RMI_OBJECT_MEASUREMENTS]->len);
    }
}

/* ---- device memory ---- */

static uint64_t realm_load(uint64_t ipa)
{
    Rec *rec = dev_rec(d);

    rec->pc = 0x100;
    rec->spsr = 0x3c5;
    rec->x[1] = ipa;
    rec->x[2] = 0;
    rec->el1.vbar = 0x800;
    assert_int_equal(dev_enter(d, 0), RMI_EXIT_SYNC);
    return rec->x[2];
}

static void begin_validate(uint64_t top)
{
    uint64_t x[] = { SMC64_STD(RSI_FID_VDEV_VALIDATE_MAPPING), D_VDEV_ID, D_IPA, top, D_BAR, 0,
                     info_u64(RSI_VDEV_INFO_LOCK_NONCE), info_u64(RSI_VDEV_INFO_MEAS_NONCE),
                     info_u64(RSI_VDEV_INFO_REPORT_NONCE) };

    assert_int_equal(dev_rsi(d, x, ARRAY_LEN(x)), RMI_EXIT_VDEV_REQUEST);
    rmi_ok(RIG, RMI_FID_VDEV_COMPLETE, PAGE(W_REC0), VDEV);
    assert_int_equal(dev_enter(d, 0), RMI_EXIT_VDEV_MAP);
    assert_int_equal(rig_exit(RIG, W_RUN, RMI_EXIT_VDEV_ID_1), D_VDEV_ID);
    assert_int_equal(rig_exit(RIG, W_RUN, RMI_EXIT_DEV_MEM_BASE), D_IPA);
    assert_int_equal(rig_exit(RIG, W_RUN, RMI_EXIT_DEV_MEM_TOP), top);
    assert_int_equal(rig_exit(RIG, W_RUN, RMI_EXIT_DEV_MEM_PA), D_BAR);
}

static uint64_t validate(uint64_t base, uint64_t top)
{
    return rmi(RIG, RMI_FID_VDEV_VALIDATE_MAPPING, RD, PAGE(W_REC0), PDEV, VDEV, base, top);
}

static void test_device_memory(void **state)
{
    lock_and_look();
    make_device_tables();
    rig_delegate(RIG, D_BAR, 4);
    begin_validate(D_IPA + 0x4000);
    rmi_ok(RIG, RMI_FID_VDEV_MAP, RD, VDEV, D_IPA, 3, D_BAR);
    rmi_ok(RIG, RMI_FID_VDEV_MAP, RD, VDEV, D_IPA + 0x1000, 3, D_BAR + 0x1000);
    /* Not what the Realm expects. */
    rmi_ok(RIG, RMI_FID_VDEV_MAP, RD, VDEV, D_IPA + 0x2000, 3, D_BAR + 0x3000);
    assert_int_equal(granule_state(RIG->rmm, D_BAR), GRANULE_DEV_MAPPED);
    assert_int_equal(rmi(RIG, RMI_FID_GRANULE_UNDELEGATE, D_BAR), RMI_ERROR_INPUT);
    assert_int_equal(validate(D_IPA, D_IPA + 0x4000), RMI_SUCCESS);
    assert_int_equal(RIG->cpu[0]->x[1], D_IPA + 0x2000);
    assert_int_equal(validate(D_IPA + 0x2000, D_IPA + 0x4000), RMI_RETURN(RMI_ERROR_RTT, 3));
    assert_int_equal(dev_enter(d, RMI_ENTER_DEV_MEM_REJECT), RMI_EXIT_SYNC);
    assert_int_equal(dev_rec(d)->x[0], RSI_SUCCESS);
    assert_int_equal(dev_rec(d)->x[1], D_IPA + 0x2000);
    assert_int_equal(dev_rec(d)->x[2], RSI_REJECT);
    assert_int_equal(realm_load(D_IPA + 0x1008), 0x1008);
    rmi_ok(RIG, RMI_FID_RTT_READ_ENTRY, RD, D_IPA, 3);
    assert_int_equal(RIG->cpu[0]->x[2], RMI_ASSIGNED_DEV);
    assert_int_equal(RIG->cpu[0]->x[3], D_BAR);
    assert_int_equal(RIG->cpu[0]->x[4], RIPAS_DEV);

    /* Not validated: the Realm finds nothing there. */
    (void)realm_load(D_IPA + 0x2008);
    assert_int_equal(dev_rec(d)->x[2], 0);

    /* A Realm that gives the pages back; DEV never becomes RAM. */
    dev_rsi_call(d, RSI_FID_IPA_STATE_SET, D_IPA, D_IPA + 0x1000, RIPAS_RAM, 0);
    assert_int_equal(rmi(RIG, RMI_FID_RTT_SET_RIPAS, RD, PAGE(W_REC0), D_IPA, D_IPA + 0x1000),
                     RMI_RETURN(RMI_ERROR_RTT, 3));
    dev_enter(d, 0);
    dev_rsi_call(d, RSI_FID_IPA_STATE_SET, D_IPA, D_IPA + 0x1000, RIPAS_EMPTY, 0);
    rmi_ok(RIG, RMI_FID_RTT_SET_RIPAS, RD, PAGE(W_REC0), D_IPA, D_IPA + 0x1000);
    dev_enter(d, 0);
    assert_int_equal(realm_load(D_IPA + 8), 0);

    /* Away: the RIPAS tells what the Realm must expect. */
    static const struct { uint64_t at, pa; Ripas after;
    } pages[] = {
        {0, D_BAR, RIPAS_EMPTY},
        {0x1000, D_BAR + 0x1000, RIPAS_DESTROYED},
        {0x2000, D_BAR + 0x3000, RIPAS_EMPTY},
    };
    assert_int_equal(rmi(RIG, RMI_FID_VDEV_UNLOCK, RD, PDEV, VDEV), RMI_ERROR_DEVICE);
    for (unsigned i = 0; i < ARRAY_LEN(pages); i++) {
        rmi_ok(RIG, RMI_FID_VDEV_UNMAP, RD, D_IPA + pages[i].at, 3);
        assert_int_equal(RIG->cpu[0]->x[1], pages[i].pa);
        assert_int_equal(RIG->cpu[0]->x[2],
                         i + 1 < ARRAY_LEN(pages) ? D_IPA + pages[i].at + 0x1000 : D_IPA + 0x200000);
        rmi_ok(RIG, RMI_FID_RTT_READ_ENTRY, RD, D_IPA + pages[i].at, 3);
        assert_int_equal(RIG->cpu[0]->x[2], RMI_UNASSIGNED);
        assert_int_equal(RIG->cpu[0]->x[4], pages[i].after);
        rmi_ok(RIG, RMI_FID_GRANULE_UNDELEGATE, pages[i].pa);
    }
    rmi_ok(RIG, RMI_FID_VDEV_UNLOCK, RD, PDEV, VDEV);
}

/* 2 MiB at once, split into pages, joined again. */
static void test_device_block(void **state)
{
    lock_and_look();
    rig_delegate(RIG, D_BAR, 512);
    begin_validate(D_IPA + 0x200000);
    rmi_ok(RIG, RMI_FID_VDEV_MAP, RD, VDEV, D_IPA, 2, D_BAR);
    assert_int_equal(validate(D_IPA, D_IPA + 0x100000), RMI_RETURN(RMI_ERROR_RTT, 2)); /* half a block */
    assert_int_equal(validate(D_IPA, D_IPA + 0x200000), RMI_SUCCESS);
    assert_int_equal(dev_enter(d, 0), RMI_EXIT_SYNC);
    assert_int_equal(dev_rec(d)->x[1], D_IPA + 0x200000);
    assert_int_equal(dev_rec(d)->x[2], RSI_ACCEPT);
    rmi_ok(RIG, RMI_FID_RTT_CREATE, RD, PAGE(D_L2), D_IPA, 3);
    assert_int_equal(realm_load(D_IPA + 0x7010), 0x7010);
    rmi_ok(RIG, RMI_FID_RTT_FOLD, RD, D_IPA, 3);
    assert_int_equal(realm_load(D_IPA + 0x8010), 0x8010);
    rmi_ok(RIG, RMI_FID_RTT_CREATE, RD, PAGE(D_L2), D_IPA, 3);
    for (uint64_t at = 0; at < 0x200000; at += 0x1000) {
        rmi_ok(RIG, RMI_FID_VDEV_UNMAP, RD, D_IPA + at, 3);
    }
    assert_int_equal(dev_vdev(d)->n_mapped, 0);
    rmi_ok(RIG, RMI_FID_VDEV_UNLOCK, RD, PDEV, VDEV);
}

/* A request that was validated against one lock is not carried out under another. */
static void test_map_after_unlock(void **state)
{
    lock_and_look();
    make_device_tables();
    rig_delegate(RIG, D_BAR, 1);
    begin_validate(D_IPA + 0x1000);
    rmi_ok(RIG, RMI_FID_VDEV_UNLOCK, RD, PDEV, VDEV);
    assert_int_equal(dev_converse(d, true), RMI_SUCCESS);
    rmi_ok(RIG, RMI_FID_VDEV_LOCK, RD, PDEV, VDEV);
    assert_int_equal(dev_converse(d, true), RMI_SUCCESS);
    rmi_ok(RIG, RMI_FID_VDEV_MAP, RD, VDEV, D_IPA, 3, D_BAR);
    assert_int_equal(validate(D_IPA, D_IPA + 0x1000), RMI_ERROR_DEVICE);
    assert_string_equal(rmm_last_failure(RIG->rmm), "vdev_nonce");
}

/* ---- things go wrong ---- */

/* The interface fell into ERROR; unlocking brings it back. */
static void test_violation(void **state)
{
    uint64_t pa;

    lock_and_look();
    start();
    assert_int_equal(dma_enable(), RSI_SUCCESS);
    assert_true(tdisp_tdi_error(&d->pair->dsm, &d->pair->tdis[0]));
    rmi_ok(RIG, RMI_FID_VDEV_GET_INTERFACE_REPORT, RD, PDEV, VDEV);
    assert_int_equal(dev_converse(d, true), RMI_SUCCESS);
    assert_int_equal(dev_vdev(d)->state, RMI_VDEV_ERROR);
    assert_int_equal(dev_pdev(d)->state, RMI_PDEV_READY);
    assert_int_not_equal(dev_dma(d, true, 0x3010, &pa), DMA_OK);
    read_info();
    assert_int_equal(info()[RSI_VDEV_INFO_STATE], RSI_VDEV_ERROR);
    assert_int_equal(dma_enable(), RSI_ERROR_DEVICE);
    rmi_ok(RIG, RMI_FID_VDEV_UNLOCK, RD, PDEV, VDEV);
    assert_int_equal(dev_converse(d, true), RMI_SUCCESS);
    assert_int_equal(dev_vdev(d)->state, RMI_VDEV_UNLOCKED);
    rmi_ok(RIG, RMI_FID_VDEV_DESTROY, RD, PDEV, VDEV);
    dev_vdev_params(d); /* an interface that was left in another state is unlocked first for its next owner */
    d->pair->tdis[0].state = TDI_ERROR;
    rmi_ok(RIG, RMI_FID_VDEV_CREATE, RD, PDEV, VDEV, PAGE(D_PARAMS));
    assert_int_equal(dev_converse(d, true), RMI_SUCCESS);
    assert_int_equal(dev_vdev(d)->state, RMI_VDEV_UNLOCKED);
    rmi_ok(RIG, RMI_FID_VDEV_LOCK, RD, PDEV, VDEV);
    assert_int_equal(dev_converse(d, true), RMI_SUCCESS);
    assert_int_equal(dev_vdev(d)->state, RMI_VDEV_LOCKED);
    assert_int_equal(d->pair->tdis[0].state, TDI_CONFIG_LOCKED);
}

/* Hosts that leave the range of requester IDs zero mean the function itself, and no other. */
static void test_no_requester_ids(void **state)
{
    uint8_t *p = rig_bytes(RIG, PAGE(D_PARAMS));

    le16_put(p + RMI_PDEV_RID_BASE, 0);
    le16_put(p + RMI_PDEV_RID_TOP, 0);
    le64_put(p + RMI_PDEV_ID, 0xffff); /* there is no range for that one */
    assert_int_equal(rmi(RIG, RMI_FID_PDEV_CREATE, PDEV, PAGE(D_PARAMS)), RMI_ERROR_INPUT);
    assert_string_equal(rmm_last_failure(RIG->rmm), "params_valid/rid");
    le64_put(p + RMI_PDEV_ID, PAIR_FUNCTION);
    dev_go_to(d, STAGE_READY);
    dev_vdev_params(d);
    le64_put(p + RMI_VDEV_TDI_ID, PAIR_FUNCTION + 1);
    assert_int_equal(rmi(RIG, RMI_FID_VDEV_CREATE, RD, PDEV, VDEV, PAGE(D_PARAMS)), RMI_ERROR_INPUT);
    assert_string_equal(rmm_last_failure(RIG->rmm), "tdi_id_bound");
    dev_reach(d, STAGE_VDEV);
}

/* A new VDEV may be measured before anything else, and is new then. */
static void test_measured_first(void **state)
{
    dev_go_to(d, STAGE_VDEV);
    for (unsigned i = 0; i < 2; i++) {
        dev_measure_params(d, RMI_MEASURE_SIGNED);
        rmi_ok(RIG, RMI_FID_VDEV_GET_MEASUREMENTS, RD, PDEV, VDEV, PAGE(D_PARAMS));
        assert_int_equal(rmi(RIG, RMI_FID_VDEV_GET_MEASUREMENTS, RD, PDEV, VDEV, PAGE(D_PARAMS)), RMI_ERROR_DEVICE);
        assert_string_equal(rmm_last_failure(RIG->rmm), "comm_state");
        assert_int_equal(dev_converse(d, true), RMI_SUCCESS);
        assert_int_equal(dev_vdev(d)->state, RMI_VDEV_NEW);
        assert_int_not_equal(dev_vdev(d)->meas_nonce, 0);
    }
    dev_reach(d, STAGE_UNLOCKED);
    dev_reach(d, STAGE_LOCKED);
}

static void test_abort(void **state)
{
    unsigned status = RMI_COMM_NONE;
    bool     more;

    /* In NEW it begins again from the first message. */
    dev_go_to(d, STAGE_CREATED);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(dev_communicate(d, false, &status, &more), RMI_SUCCESS);
    }
    rmi_ok(RIG, RMI_FID_PDEV_ABORT, PDEV);
    g_byte_array_set_size(d->object[RMI_OBJECT_VCA], 0);
    assert_int_equal(dev_converse(d, false), RMI_SUCCESS);
    assert_int_equal(dev_pdev(d)->state, RMI_PDEV_NEEDS_KEY);

    /* A VDEV's unanswered record costs the session, and with it the PDEV. */
    dev_key_params(d);
    rmi_ok(RIG, RMI_FID_PDEV_SET_PUBKEY, PDEV, PAGE(D_PARAMS));
    assert_int_equal(dev_converse(d, false), RMI_SUCCESS);
    dev_vdev_params(d);
    rmi_ok(RIG, RMI_FID_VDEV_CREATE, RD, PDEV, VDEV, PAGE(D_PARAMS));
    status = RMI_COMM_NONE;
    assert_int_equal(dev_communicate(d, true, &status, &more), RMI_SUCCESS);
    assert_false(more); /* one call, and no word to the device */
    assert_int_equal(dev_vdev(d)->state, RMI_VDEV_UNLOCKED);
    rmi_ok(RIG, RMI_FID_VDEV_LOCK, RD, PDEV, VDEV);
    assert_int_equal(dev_communicate(d, true, &status, &more), RMI_SUCCESS);
    rmi_ok(RIG, RMI_FID_VDEV_ABORT, VDEV);
    assert_int_equal(dev_vdev(d)->state, RMI_VDEV_ERROR);
    assert_int_equal(dev_pdev(d)->state, RMI_PDEV_ERROR);
    assert_false(d->root->tdisp);
    rmi_ok(RIG, RMI_FID_VDEV_DESTROY, RD, PDEV, VDEV);
    rmi_ok(RIG, RMI_FID_PDEV_STOP, PDEV);
    assert_int_equal(dev_converse(d, false), RMI_SUCCESS);
    rmi_ok(RIG, RMI_FID_PDEV_DESTROY, PDEV);
}

/* Measures until the host has everything but the end: the last exit gives it something to keep. */
static void measure_but_for_the_end(unsigned *status)
{
    bool more = true;

    dev_measure_params(d, RMI_MEASURE_SIGNED);
    rmi_ok(RIG, RMI_FID_VDEV_GET_MEASUREMENTS, RD, PDEV, VDEV, PAGE(D_PARAMS));
    *status = RMI_COMM_NONE;
    do {
        assert_int_equal(dev_communicate(d, true, status, &more), RMI_SUCCESS);
        assert_true(more);
    } while (*status != RMI_COMM_NONE);
    assert_int_equal(dev_vdev(d)->comm.state, DEV_COMM_ACTIVE);
}

/* The call after that ends the conversation, whatever a host left in the status; it may be aborted as well, which
 * costs no session, for there is nothing unanswered. */
static void test_last_call(void **state)
{
    static const unsigned left[] = { RMI_COMM_NONE, RMI_COMM_RESPONSE, RMI_COMM_ERROR };
    unsigned              status;
    bool                  more;

    dev_go_to(d, STAGE_LOCKED);
    for (unsigned i = 0; i < ARRAY_LEN(left); i++) {
        measure_but_for_the_end(&status);
        uint64_t nonce = dev_vdev(d)->meas_nonce;
        status = left[i];
        assert_int_equal(dev_communicate(d, true, &status, &more), RMI_SUCCESS);
        assert_false(more);
        assert_int_equal(dev_vdev(d)->comm.state, DEV_COMM_IDLE);
        assert_int_not_equal(dev_vdev(d)->meas_nonce, nonce);
        assert_int_equal(dev_communicate(d, true, &status, &more), RMI_ERROR_DEVICE);
    }
    measure_but_for_the_end(&status);
    rmi_ok(RIG, RMI_FID_VDEV_ABORT, VDEV);
    assert_int_equal(dev_vdev(d)->state, RMI_VDEV_ERROR);
    assert_int_equal(dev_pdev(d)->state, RMI_PDEV_READY);
}

enum { SPOIL_SILENT, SPOIL_CUT, SPOIL_FLIP, SPOIL_FIRST, N_SPOILS };

static size_t spoil(DevRig *rig, uint8_t *rsp, size_t len)
{
    if (rig->exchange != rig->spoil_at) {
        return len;
    }
    switch (rig->spoil_how) {
    case SPOIL_SILENT: return 0;
    case SPOIL_CUT: return 3;
    case SPOIL_FLIP: rsp[len - 1] ^= 1; return len;
    default: rsp[1] ^= 0x20; return len; /* the code, or the session */
    }
}

/* Everything up to STARTED, as long as it works; the last state of each object must be ERROR or as it was. */
static void run_spoilt(void)
{
    Rig *rig = d->rig;

    rmi_ok(rig, RMI_FID_PDEV_CREATE, PDEV, PAGE(D_PARAMS));
    assert_int_equal(dev_converse(d, false), RMI_SUCCESS);
    dev_key_params(d);
    if (rmi(rig, RMI_FID_PDEV_SET_PUBKEY, PDEV, PAGE(D_PARAMS)) != RMI_SUCCESS) {
        return;
    }
    assert_int_equal(dev_converse(d, false), RMI_SUCCESS);
    dev_vdev_params(d);
    if (rmi(rig, RMI_FID_VDEV_CREATE, RD, PDEV, VDEV, PAGE(D_PARAMS)) != RMI_SUCCESS) {
        return;
    }
    static const uint32_t commands[] = {RMI_FID_VDEV_CREATE, RMI_FID_VDEV_LOCK,
                                        RMI_FID_VDEV_GET_INTERFACE_REPORT, RMI_FID_VDEV_GET_MEASUREMENTS,
                                        RMI_FID_VDEV_START};
    dev_measure_params(d, RMI_MEASURE_SIGNED);
    for (unsigned i = 0; i < ARRAY_LEN(commands); i++) {
        if (i != 0 && rmi(rig, commands[i], RD, PDEV, VDEV, PAGE(D_PARAMS)) != RMI_SUCCESS) {
            return;
        }
        assert_int_equal(dev_converse(d, true), RMI_SUCCESS);
    }
}

static void test_spoilt_responses(void **state)
{
    unsigned n;

    run_spoilt();
    n = d->exchange;
    assert_true(n >= 30);
    assert_int_equal(dev_vdev(d)->state, RMI_VDEV_STARTED);
    for (unsigned how = 0; how < N_SPOILS; how++) {
        for (unsigned at = 0; at < n; at++) {
            uint64_t pa;

            teardown(state);
            setup(state);
            d->spoil = spoil;
            d->spoil_at = at;
            d->spoil_how = how;
            run_spoilt();
            bool has_vdev = granule_state(d->rig->rmm, VDEV) == GRANULE_VDEV;
            bool failed =
                dev_pdev(d)->state == RMI_PDEV_ERROR || (has_vdev && dev_vdev(d)->state == RMI_VDEV_ERROR);
            if (!failed) {
                fail_msg("exchange %u spoilt (%u) and not noticed", at, how);
            }
            assert_int_not_equal(dev_dma(d, true, 0x3010, &pa), DMA_OK);
            if (dev_pdev(d)->state == RMI_PDEV_ERROR) { /* both ends of the link are without keys */
                assert_false(d->root->slot[0][0][0].go);
                assert_false(d->root->tdisp);
            }
            if (has_vdev) {
                rmi_ok(d->rig, RMI_FID_VDEV_DESTROY, RD, PDEV, VDEV);
            }
            d->spoil = NULL; /* what is left can be taken down */
            rmi_ok(d->rig, RMI_FID_PDEV_STOP, PDEV);
            assert_int_equal(dev_converse(d, false), RMI_SUCCESS);
            rmi_ok(d->rig, RMI_FID_PDEV_DESTROY, PDEV);
        }
    }
}

/* Whoever waits does so for ever. */
static size_t stay_unready(DevRig *rig, uint8_t *rsp, size_t len)
{
    rig->pair->responder.deferred.left = rig->pair->responder.deferred.left != 0 ? 255 : 0;
    return len;
}

/* A device that is not ready: the RMM asks again, and tells the host how long to wait before. It gives up at last. */
static void test_not_ready(void **state)
{
    static const struct {
        size_t  (*spoil)(DevRig *rig, uint8_t *rsp, size_t len);
        unsigned times, end;
    } rows[] = { { NULL, 3, RMI_PDEV_READY }, { stay_unready, 256, RMI_PDEV_ERROR } };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        unsigned status = RMI_COMM_NONE, waited = 0;
        bool     more = true;

        dev_go_to(d, STAGE_HAS_KEY);
        d->pair->responder.config.not_ready = 3;
        d->spoil = rows[i].spoil;
        while (more) {
            assert_int_equal(dev_communicate(d, false, &status, &more), RMI_SUCCESS);
            uint64_t delay_us = le64_get(rig_bytes(RIG, PAGE(D_COMM)) + RMI_COMM_REQ_DELAY);

            assert_true(delay_us == 0 || delay_us == 1024);
            waited += delay_us != 0;
        }
        assert_int_equal(dev_pdev(d)->state, rows[i].end);
        assert_int_equal(waited, rows[i].times);
        dev_rig_free(d);
        d = dev_rig_new();
    }
}

/* The true answer to an IDE_KM or TDISP message comes one exchange late: it is not ready first. */
static struct {
    uint8_t  plain[SPDM_MSG_MAX];
    size_t   len; /* 0: nothing waits */
    unsigned n;
} late;

static size_t put_off(DevRig *rig, uint8_t *rsp, size_t len)
{
    static const uint8_t not_ready[] = { 0x12, SPDM_ERROR, SPDM_RESPONSE_NOT_READY, 0, 10, SPDM_VENDOR_DEFINED, 1, 1 };
    const SpdmRequester *r = &pdev_link(rig->rig->rmm, dev_pdev(rig))->spdm;
    const SpdmAead      *aead = spdm_aead(r->selected.aead);
    SpdmChannel          from = r->session.keys.response_data, to = from;

    if (r->op != SPDM_OP_VENDOR) {
        return len;
    }
    if (late.len != 0) {
        len = spdm_record_seal(aead, &to, r->session.id, late.plain, late.len, rsp, SPDM_MSG_MAX);
        late.len = 0;
        return len;
    }
    assert_true(spdm_record_open(aead, &from, rsp, len, late.plain, sizeof(late.plain), &late.len));
    late.n++;
    return spdm_record_seal(aead, &to, r->session.id, not_ready, sizeof(not_ready), rsp, SPDM_MSG_MAX);
}

static void test_late_payloads(void **state)
{
    GByteArray *first = NULL, *report;

    for (unsigned i = 0; i < 2; i++) {
        report = d->object[RMI_OBJECT_INTERFACE_REPORT];
        d->spoil = i != 0 ? put_off : NULL;
        dev_go_to(d, STAGE_LOCKED);
        rmi_ok(RIG, RMI_FID_VDEV_GET_INTERFACE_REPORT, RD, PDEV, VDEV);
        assert_int_equal(dev_converse(d, true), RMI_SUCCESS);
        assert_true(report->len != 0);
        if (i == 0) {
            first = g_byte_array_new_take(g_memdup2(report->data, report->len), report->len);
            dev_rig_free(d);
            d = dev_rig_new();
        }
    }
    assert_true(late.n > 15);
    assert_int_equal(report->len, first->len);
    assert_memory_equal(report->data, first->data, first->len);
    g_byte_array_free(first, TRUE);
}

/* A host that names a key of its own cannot make a session with the true device. */
static void test_substituted_key(void **state)
{
    SpdmPrivateKey key;
    SpdmPublicKey  point;

    dev_go_to(d, STAGE_NEEDS_KEY);
    dev_key_params(d);
    assert_true(spdm_key_load(spdm_test_substitute_key_pem(), &d->pair->device_entropy, &key));
    assert_true(spdm_public_key_of(&key, &d->pair->device_entropy, &point));
    memcpy(rig_bytes(RIG, PAGE(D_PARAMS)) + RMI_KEY_KEY, point.bytes, point.len);
    rmi_ok(RIG, RMI_FID_PDEV_SET_PUBKEY, PDEV, PAGE(D_PARAMS));
    assert_int_equal(dev_converse(d, false), RMI_SUCCESS);
    assert_int_equal(dev_pdev(d)->state, RMI_PDEV_ERROR);
}

/* A machine without the parts has no device assignment. */
static void test_absent(void **state)
{
    Rig *rig = rig_new();

    assert_int_equal(rmi(rig, RMI_FID_PDEV_AUX_COUNT, 3), SMC_UNKNOWN);
    assert_int_equal(rmi(rig, RMI_FID_VDEV_GET_STATE, PAGE(1)), SMC_UNKNOWN);
    rmi_ok(rig, RMI_FID_FEATURES, 0);
    assert_false(rig->cpu[0]->x[1] & RMI_FEATURE0_DA);
    rig_free(rig);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_whole_sequence),  T(test_key_refresh),    T(test_ide_reset),      T(test_small_buffer),
        T(test_no_root_port),    T(test_nonces),         T(test_unlock_meanwhile),
        T(test_not_completed),   T(test_info_page_lost), T(test_measurements),
        T(test_device_memory),   T(test_device_block),   T(test_map_after_unlock),
        T(test_violation),       T(test_abort),          T(test_last_call),         T(test_no_requester_ids),
        T(test_measured_first),
        T(test_spoilt_responses),
        T(test_not_ready), T(test_late_payloads),
        T(test_substituted_key), T(test_absent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
