/*
 * Lives of a device that end badly or begin again: the Realm is killed in every state of PDEV and VDEV and in the
 * middle of every exchange, in both dialects with devices, and when the device was pulled out; what is left is taken
 * down, nothing of it is readable, and the same device serves another Realm. Many connections and locks one after
 * another; several VDEVs at once.
 */
#include "iommu/smmuv3_int.h"
#include "tests/unit/rmm_dev_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define RIG  (d->rig)
#define RD   (d->rd)
#define PDEV (d->pdev)
#define VDEV (d->vdev)
#define DATA_IPA 0x3010ull
#define REGISTERS (0x8000ull * d->device) /* of the device in use, from D_BAR on and, in the Realm, from D_IPA on */

enum { FOREVER = 1000000, BUFFER_IPA = R2_IPA, BUFFER_PAGE = W_DATA + 5 };

static DevRig  *d;
static unsigned budget; /* exchanges until the Realm is killed */

static bool rdev(void) { return rmm_dialects[rig_dialect].rdev; }
static bool is_vdev(void) { return granule_state(RIG->rmm, VDEV) == GRANULE_VDEV; }
static bool is_pdev(void) { return granule_state(RIG->rmm, PDEV) == GRANULE_PDEV; }

/* ---- a life, up to where it is cut off ---- */

/* A conversation; false when the Realm is to die in it: a request is out, its answer never comes. */
static bool talk(bool vdev)
{
    unsigned status = RMI_COMM_NONE;
    bool     more = true;

    while (more) {
        bool asked = vdev && rdev() && dev_vdev(d)->host_state != RMI_VDEV12_STOPPING;
        if (asked) {
            assert_int_equal(dev_rsi_call(d, RSI_FID_RDEV_CONTINUE, dev_vdev_id(d), dev_vdev(d)->instance),
                             RMI_EXIT12_VDEV_COMM);
        }
        assert_int_equal(dev_communicate(d, vdev, &status, &more), RMI_SUCCESS);
        if (budget-- == 0) {
            return false;
        }
        if (asked) {
            dev_enter(d, 0);
        }
    }
    return true;
}

static bool connect(void)
{
    dev_pdev_params(d, d->device == 0 ? D_AUX : D_AUX2);
    g_byte_array_set_size(d->object[RMI_OBJECT_CERTIFICATE], 0);
    g_byte_array_set_size(d->object[RMI_OBJECT_VCA], 0);
    rmi_ok(RIG, RMI_FID_PDEV_CREATE, PDEV, PAGE(D_PARAMS));
    if (!talk(false)) {
        return false;
    }
    dev_key_params(d);
    rmi_ok(RIG, RMI_FID_PDEV_SET_PUBKEY, PDEV, PAGE(D_PARAMS));
    return talk(false);
}

/* What the Realm asks for in 1.1-alp12, the host in 1.1-alp17. */
static bool move(uint32_t rsi, uint32_t fid)
{
    if (rdev()) {
        uint64_t instance = dev_vdev(d)->instance;

        le64_put(rig_bytes(RIG, PAGE(RD == PAGE(W_RD) ? BUFFER_PAGE : R2_BUFFER)) + RSI_RDEV_MEASURE_FLAGS,
                 RSI_RDEV_MEASURE_ALL | RSI_RDEV_MEASURE_SIGNED);
        assert_int_equal(dev_rsi_done(d, rsi, dev_vdev_id(d), instance,
                                      rsi == RSI_FID_RDEV_GET_INTERFACE_REPORT ? 0x10 : BUFFER_IPA),
                         RSI_SUCCESS);
    } else {
        dev_measure_params(d, RMI_MEASURE_SIGNED);
        rmi_ok(RIG, fid, RD, PDEV, VDEV, PAGE(D_PARAMS));
    }
    return talk(true);
}

/* The table that device registers are in; both devices' in one Realm. */
static uint64_t registers_table(void) { return PAGE(RD == PAGE(W_RD) ? D_L2 : R2_DEV_L3); }

static void map_registers(void)
{
    if (granule_state(RIG->rmm, registers_table()) != GRANULE_RTT) {
        rmi_ok(RIG, RMI_FID_RTT_CREATE, RD, registers_table(), D_IPA & ~0x1fffffull, 3);
    }
    rig_delegate(RIG, D_BAR + REGISTERS, 1);
    if (rdev()) {
        rmi_ok(RIG, RMI_FID_DEV_MEM_MAP, RD, D_IPA + REGISTERS, 3, D_BAR + REGISTERS);
    } else {
        rmi_ok(RIG, RMI_FID_VDEV_MAP, RD, VDEV, D_IPA + REGISTERS, 3, D_BAR + REGISTERS);
    }
}

static void unmap_registers(void)
{
    rmi_ok(RIG, rdev() ? RMI_FID_DEV_MEM_UNMAP : RMI_FID_VDEV_UNMAP, RD, D_IPA + REGISTERS, 3);
    rmi_ok(RIG, RMI_FID_GRANULE_UNDELEGATE, D_BAR + REGISTERS);
}

static bool refresh(void)
{
    rmi_ok(RIG, rdev() ? RMI_FID_PDEV_NOTIFY : RMI_FID_PDEV_IDE_KEY_REFRESH, PDEV, 0);
    return talk(false);
}

static bool reset(void)
{
    rmi_ok(RIG, RMI_FID_PDEV_IDE_RESET, PDEV);
    return talk(false);
}

static bool lock(void)
{
    dev_vdev_params(d);
    rmi_ok(RIG, RMI_FID_VDEV_CREATE, RD, PDEV, VDEV, PAGE(D_PARAMS));
    return (rdev() || talk(true)) && move(RSI_FID_RDEV_LOCK, RMI_FID_VDEV_LOCK);
}

static bool evidence(void)
{
    return move(RSI_FID_RDEV_GET_INTERFACE_REPORT, RMI_FID_VDEV_GET_INTERFACE_REPORT) &&
           move(RSI_FID_RDEV_GET_MEASUREMENTS, RMI_FID_VDEV_GET_MEASUREMENTS);
}

static bool start(void)
{
    if (!move(RSI_FID_RDEV_START, RMI_FID_VDEV_START)) {
        return false;
    }
    const Vdev *v = dev_vdev(d);

    return rdev() || dev_rsi_done(d, RSI_FID_VDEV_DMA_ENABLE, dev_vdev_id(d), 0, 0, v->lock_nonce,
                                  v->meas_nonce, v->report_nonce) == RSI_SUCCESS;
}

/* Where the DMA of the device in use to what the Realm has at @ipa goes; 0: it is refused. */
static uint64_t dma_to(uint64_t ipa)
{
    uint64_t pa;

    return dev_dma(d, true, ipa, &pa) == DMA_OK ? pa : 0;
}

/* Up to DMA in the Realm. */
static bool run(void)
{
    if (!is_pdev() && !connect()) {
        return false;
    }
    if (!lock() || !evidence()) {
        return false;
    }
    map_registers();
    return start();
}

static bool live(void)
{
    if (!is_pdev() && !(connect() && reset())) {
        return false;
    }
    if (!run()) {
        return false;
    }
    assert_int_equal(dma_to(DATA_IPA), PAGE(W_DATA + 3) + 0x10);
    return refresh();
}

/* And to its end: given up by the Realm, then by the host. */
static bool part(void)
{
    unmap_registers();
    if (!move(RSI_FID_RDEV_STOP, RMI_FID_VDEV_UNLOCK)) {
        return false;
    }
    assert_int_equal(dma_to(DATA_IPA), 0);
    if (rdev()) {
        rmi_ok(RIG, RMI_FID_VDEV_STOP, VDEV);
        if (!talk(true)) {
            return false;
        }
    }
    rmi_ok(RIG, RMI_FID_VDEV_DESTROY, RD, PDEV, VDEV);
    rmi_ok(RIG, RMI_FID_PDEV_STOP, PDEV);
    return talk(false);
}

/* ---- the end of it ---- */

/* The message that is out is answered by nobody. */
static void lose_message(bool vdev)
{
    unsigned status = RMI_COMM_ERROR;
    bool     more;

    assert_int_equal(dev_communicate(d, vdev, &status, &more), RMI_SUCCESS);
    assert_false(more);
}

static void drop_vdev(void)
{
    if (rdev()) {
        RmiVdev12State at = dev_vdev(d)->host_state;

        (void)rmi(RIG, RMI_FID_VDEV_ABORT, VDEV);
        if (at == RMI_VDEV12_STOPPING) {
            lose_message(true);
        } else if (at != RMI_VDEV12_STOPPED) {
            rmi_ok(RIG, RMI_FID_VDEV_STOP, VDEV);
            assert_int_equal(dev_converse(d, true), RMI_SUCCESS);
        }
    } else {
        (void)rmi(RIG, RMI_FID_VDEV_ABORT, VDEV);
        if (rmi(RIG, RMI_FID_VDEV_DESTROY, RD, PDEV, VDEV) == RMI_SUCCESS) {
            return;
        }
        rmi_ok(RIG, RMI_FID_VDEV_UNLOCK, RD, PDEV, VDEV);
        if (dev_converse(d, true) != RMI_SUCCESS) { /* nobody to talk to now: the PDEV was in a key refresh */
            rmi_ok(RIG, RMI_FID_VDEV_ABORT, VDEV);
        }
    }
    rmi_ok(RIG, RMI_FID_VDEV_DESTROY, RD, PDEV, VDEV);
}

static void drop_pdev(void)
{
    RmiPdevState at = dev_pdev(d)->state;

    if (at == RMI_PDEV_STOPPING) {
        lose_message(false);
    } else if (at != RMI_PDEV_STOPPED) {
        if (rmi(RIG, RMI_FID_PDEV_STOP, PDEV) != RMI_SUCCESS) { /* in a key refresh */
            rmi_ok(RIG, RMI_FID_PDEV_ABORT, PDEV);
            rmi_ok(RIG, RMI_FID_PDEV_STOP, PDEV);
        }
        assert_int_equal(dev_converse(d, false), RMI_SUCCESS);
    }
    rmi_ok(RIG, RMI_FID_PDEV_DESTROY, PDEV);
    assert_false(d->root->tdisp);
    for (unsigned i = 0; i < 2 * IDE_SUB_STREAMS; i++) {
        assert_false(d->root->slot[0][i & 1][i / 2].go || d->root->slot[1][i & 1][i / 2].go);
    }
}

static void drop_tables(uint64_t ipa, unsigned levels)
{
    for (unsigned level = 3; level > 3 - levels; level--) {
        rmi_ok(RIG, RMI_FID_RTT_DESTROY, RD, ipa, level);
    }
}

/* The SMMU keeps nothing of the stream of a VDEV that is no more: no entry, no translation. */
static void assert_stream_gone(void)
{
    const SmmuBank *b = &d->smmu->bank[SMMU_REALM];
    uint64_t        entry = dev_state(RIG->rmm)->psmmu.strtab + SMMU_STE_SIZE * D_FUNCTION(d->device);

    for (unsigned i = 0; i < SMMU_STE_SIZE; i++) {
        assert_int_equal(rig_bytes(RIG, entry)[i], 0);
    }
    for (unsigned i = 0; i < SMMU_N_TLB; i++) {
        assert_false(b->tlb[i].valid && b->tlb[i].sid == D_FUNCTION(d->device));
    }
    for (unsigned i = 0; i < SMMU_N_CONFIGS; i++) {
        assert_false(b->config[i].valid && b->config[i].sid == D_FUNCTION(d->device) && !b->config[i].abort);
    }
}

/* The Realm runs no more; its host gives nothing up before it has to. */
static void kill_realm(void)
{
    bool has_registers = granule_state(RIG->rmm, D_BAR) == GRANULE_DEV_MAPPED;
    bool has_table = granule_state(RIG->rmm, registers_table()) == GRANULE_RTT;

    if (is_vdev()) {
        assert_int_equal(rmi(RIG, RMI_FID_REALM_DESTROY, RD), RMI_ERROR_REALM);
        assert_int_equal(rmi(RIG, RMI_FID_PDEV_STOP, PDEV), RMI_ERROR_DEVICE);
        assert_int_equal(rmi(RIG, RMI_FID_PDEV_DESTROY, PDEV), RMI_ERROR_DEVICE);
        assert_int_not_equal(rmi(RIG, RMI_FID_GRANULE_UNDELEGATE, VDEV), RMI_SUCCESS);
    }
    if (has_registers) {
        unmap_registers();
    }
    if (is_vdev()) {
        drop_vdev();
    }
    assert_stream_gone();
    assert_int_equal(dma_to(DATA_IPA), 0);
    if (has_table) {
        rmi_ok(RIG, RMI_FID_RTT_DESTROY, RD, D_IPA & ~0x1fffffull, 3);
    }
    for (unsigned i = 0; i < WORLD_DATA_PAGES; i++) {
        rmi_ok(RIG, RMI_FID_DATA_DESTROY, RD, i * 4096);
    }
    drop_tables(0, 3);
    drop_tables(WORLD_NS, 3);
    rmi_ok(RIG, RMI_FID_REC_DESTROY, PAGE(W_REC0));
    rmi_ok(RIG, RMI_FID_REC_DESTROY, PAGE(W_REC1));
    rmi_ok(RIG, RMI_FID_REALM_DESTROY, RD);
}

/* The other Realm of the world, where it had no part in it. */
static void kill_other(void)
{
    rmi_ok(RIG, RMI_FID_REC_DESTROY, PAGE(W_REC2));
    rmi_ok(RIG, RMI_FID_REALM_DESTROY, PAGE(W_RD2));
}

static void assert_wiped(unsigned page)
{
    static const uint8_t none[4096];

    if (memcmp(rig_bytes(RIG, PAGE(page)), none, sizeof(none)) != 0) {
        fail_msg("something is left in page %u", page);
    }
}

/* All of it is the host's again, and empty. @pdev: but for the PDEV. */
static void take_all_back(bool pdev)
{
    for (unsigned page = W_RD; page < W_SPARE + 16; page++) {
        rmi_ok(RIG, RMI_FID_GRANULE_UNDELEGATE, PAGE(page));
        assert_wiped(page);
    }
    for (unsigned page = pdev ? D_VDEV : D_PDEV; page < D_PARAMS; page++) {
        rmi_ok(RIG, RMI_FID_GRANULE_UNDELEGATE, PAGE(page));
        assert_wiped(page);
    }
}

static void next_realm(bool pdev)
{
    static const uint32_t code[] = { A64_SMC, A64_WFI };

    world_new(RIG, code, ARRAY_LEN(code));
    world_recs(RIG);
    rmi_ok(RIG, RMI_FID_REALM_ACTIVATE, RD);
    rig_delegate(RIG, PAGE(pdev ? D_VDEV : D_PDEV), D_PARAMS - (pdev ? D_VDEV : D_PDEV));
}

/* ---- killed everywhere ---- */

static size_t no_answer(DevRig *rig, uint8_t *rsp, size_t len) { return 0; }

/* The device is silent in the middle of a key refresh: PDEV and VDEV are lost, its DMA ends. */
static void lose_device(void)
{
    rmi_ok(RIG, rdev() ? RMI_FID_PDEV_NOTIFY : RMI_FID_PDEV_IDE_KEY_REFRESH, PDEV, 0);
    d->spoil = no_answer;
    (void)dev_converse(d, false);
    d->spoil = NULL;
    assert_int_equal(dev_pdev(d)->state, RMI_PDEV_ERROR);
    assert_int_equal(dev_vdev(d)->state, RMI_VDEV_ERROR);
}

static bool whole_life(void) { return live() && part(); }

/* The device served a Realm whose life was @life(), and serves another. */
static bool two_realms(bool (*life)(void), unsigned at)
{
    d = dev_rig_new();
    budget = at;
    bool whole = life();

    kill_realm();
    kill_other();
    bool keep = is_pdev() && dev_pdev(d)->state == RMI_PDEV_READY;

    if (is_pdev() && !keep) {
        drop_pdev();
    }
    take_all_back(keep);
    next_realm(keep);
    budget = FOREVER;
    assert_true(live()); /* the device as if nothing had been, for another Realm */
    kill_realm();
    kill_other();
    drop_pdev();
    assert_int_equal(d->pair->tdis[0].state, TDI_CONFIG_UNLOCKED);
    take_all_back(false);
    dev_rig_free(d);
    return whole;
}

static void test_killed_everywhere(void **state)
{
    static const RmmDialectId dialects[] = { RMM_1_1_ALP17, RMM_1_1_ALP12 };

    for (size_t i = 0; i < ARRAY_LEN(dialects); i++) {
        unsigned at = 0;

        rig_dialect = dialects[i];
        while (!two_realms(whole_life, at)) {
            at++;
        }
        print_message("%s: killed in each of %u exchanges\n", rmm_dialects[rig_dialect].name, at);
        assert_true(at > 80);
    }
    rig_dialect = RMM_1_1_ALP17;
}

/* Pulled out while it runs, at the next message or at the next key refresh: the Realm dies with PDEV, VDEV or both in
 * ERROR. */
static bool unplugged_in_refresh(void)
{
    assert_true(live());
    lose_device();
    return false;
}

static bool unplugged_in_report(void)
{
    assert_true(live());
    d->spoil = no_answer;
    (void)move(RSI_FID_RDEV_GET_INTERFACE_REPORT, RMI_FID_VDEV_GET_INTERFACE_REPORT);
    d->spoil = NULL;
    assert_int_equal(dev_vdev(d)->state, RMI_VDEV_ERROR);
    assert_int_equal(dma_to(DATA_IPA), 0);
    return false;
}

static void test_unplugged(void **state)
{
    for (rig_dialect = RMM_1_1_ALP12; rig_dialect <= RMM_1_1_ALP17; rig_dialect++) {
        (void)two_realms(unplugged_in_refresh, FOREVER);
        (void)two_realms(unplugged_in_report, FOREVER);
    }
    rig_dialect = RMM_1_1_ALP17;
}

/* ---- again and again ---- */

static void many_locks(void)
{
    for (unsigned i = 0; i < 100; i++) {
        budget = FOREVER;
        assert_true((is_pdev() || connect()) && lock());
        if (i % 10 == 0) {
            assert_true(evidence() && start() && refresh());
        }
        drop_vdev();
        assert_stream_gone();
        assert_int_equal(d->pair->tdis[0].state, TDI_CONFIG_UNLOCKED);
        assert_int_equal(granule_state(RIG->rmm, VDEV), GRANULE_DELEGATED);
        assert_int_equal(dev_pdev(d)->state, RMI_PDEV_READY);
    }
}

/* The same VDEV: it is unlocked, and locked again. */
static void many_relocks(void)
{
    uint64_t nonce = 0;

    budget = FOREVER;
    assert_true(connect() && lock());
    for (unsigned i = 0; i < 100; i++) {
        assert_int_not_equal(dev_vdev(d)->lock_nonce, nonce); /* what the Realm knew of the lock before is no use */
        nonce = dev_vdev(d)->lock_nonce;
        if (i % 10 == 0) {
            assert_true(evidence() && start());
            assert_int_equal(dma_to(DATA_IPA), PAGE(W_DATA + 3) + 0x10);
        }
        assert_true(move(RSI_FID_RDEV_STOP, RMI_FID_VDEV_UNLOCK));
        assert_int_equal(dma_to(DATA_IPA), 0);
        assert_int_equal(d->pair->tdis[0].state, TDI_CONFIG_UNLOCKED);
        assert_true(move(RSI_FID_RDEV_LOCK, RMI_FID_VDEV_LOCK));
    }
    drop_vdev();
}

static void many_connections(void)
{
    for (unsigned i = 0; i < 100; i++) {
        budget = FOREVER;
        assert_true(connect());
        if (i % 20 == 0) {
            assert_true(lock() && evidence() && start());
            drop_vdev();
        }
        drop_pdev();
        for (unsigned page = D_PDEV; page < D_PARAMS; page++) {
            assert_int_equal(granule_state(RIG->rmm, PAGE(page)), GRANULE_DELEGATED);
        }
    }
    assert_int_equal(d->pair->sessions_ended, 100);
}

static void in_both_dialects(void (*test)(void))
{
    for (rig_dialect = RMM_1_1_ALP12; rig_dialect <= RMM_1_1_ALP17; rig_dialect++) {
        d = dev_rig_new();
        test();
        dev_rig_free(d);
    }
    rig_dialect = RMM_1_1_ALP17;
}

static void test_many_locks(void **state) { in_both_dialects(many_locks); }
static void test_many_relocks(void **state) { in_both_dialects(many_relocks); }
static void test_many_connections(void **state) { in_both_dialects(many_connections); }

/* ---- several ---- */

static void use(unsigned interface, uint64_t rd)
{
    d->interface = interface;
    d->vdev = PAGE(interface == 0 ? D_VDEV : D_VDEV2);
    d->rd = rd;
}

static void start_interface(unsigned interface, uint64_t rd)
{
    use(interface, rd);
    dev_vdev_params(d);
    rmi_ok(RIG, RMI_FID_VDEV_CREATE, rd, PDEV, d->vdev, PAGE(D_PARAMS));
    assert_int_equal(dev_converse(d, true), RMI_SUCCESS);
    rmi_ok(RIG, RMI_FID_VDEV_LOCK, rd, PDEV, d->vdev);
    assert_int_equal(dev_converse(d, true), RMI_SUCCESS);
    rmi_ok(RIG, RMI_FID_VDEV_START, rd, PDEV, d->vdev);
    assert_int_equal(dev_converse(d, true), RMI_SUCCESS);
    assert_int_equal(d->pair->tdis[interface].state, TDI_RUN);
}

static uint64_t enable(unsigned interface)
{
    const Vdev *v;

    use(interface, PAGE(W_RD));
    v = dev_vdev(d);
    return dev_rsi_done(d, RSI_FID_VDEV_DMA_ENABLE, D_VDEV_ID + interface, 0, 0, v->lock_nonce, v->meas_nonce,
                        v->report_nonce);
}

static DmaResult dma(unsigned interface)
{
    uint64_t pa;

    d->interface = interface;
    return dev_dma(d, true, DATA_IPA, &pa);
}

static void stop_interface(unsigned interface, uint64_t rd)
{
    use(interface, rd);
    rmi_ok(RIG, RMI_FID_VDEV_UNLOCK, rd, PDEV, d->vdev);
    assert_int_equal(dev_converse(d, true), RMI_SUCCESS);
    rmi_ok(RIG, RMI_FID_VDEV_DESTROY, rd, PDEV, d->vdev);
}

/* Each has its own stream, states and nonces; one's end is nothing to the other. */
static void test_two_in_one_realm(void **state)
{
    dev_go_to(d, STAGE_READY);
    start_interface(0, PAGE(W_RD));
    start_interface(1, PAGE(W_RD));
    assert_int_equal(enable(1), RSI_SUCCESS);
    assert_int_equal(dma(1), DMA_OK);
    assert_int_not_equal(dma(0), DMA_OK);
    assert_int_equal(enable(0), RSI_SUCCESS);
    assert_int_equal(dma(0), DMA_OK);
    stop_interface(1, PAGE(W_RD));
    assert_int_not_equal(dma(1), DMA_OK);
    assert_int_equal(dma(0), DMA_OK);
    start_interface(1, PAGE(W_RD));
    stop_interface(0, PAGE(W_RD));
    assert_int_equal(enable(1), RSI_SUCCESS);
    assert_int_equal(dma(1), DMA_OK);
    assert_int_not_equal(dma(0), DMA_OK);
    stop_interface(1, PAGE(W_RD));
    assert_int_equal(realm_at(RIG->rmm, PAGE(W_RD))->n_vdevs, 0);
}

/* A host that mixes them up is told so; no stream of one Realm leads to the other's memory. */
static void test_one_in_each_realm(void **state)
{
    dev_go_to(d, STAGE_READY);
    start_interface(0, PAGE(W_RD));
    start_interface(1, PAGE(W_RD2));
    assert_int_equal(enable(0), RSI_SUCCESS);
    assert_int_equal(dma(0), DMA_OK);
    assert_int_not_equal(dma(1), DMA_OK);
    assert_int_equal(rmi(RIG, RMI_FID_VDEV_UNLOCK, PAGE(W_RD), PDEV, PAGE(D_VDEV2)), RMI_ERROR_INPUT);
    assert_int_equal(rmi(RIG, RMI_FID_VDEV_DESTROY, PAGE(W_RD2), PDEV, PAGE(D_VDEV)), RMI_ERROR_DEVICE);
    assert_int_equal(dev_rsi_call(d, RSI_FID_VDEV_DMA_DISABLE, D_VDEV_ID + 1), RMI_EXIT_VDEV_REQUEST);
    assert_int_equal(rmi(RIG, RMI_FID_VDEV_COMPLETE, PAGE(W_REC0), PAGE(D_VDEV2)), RMI_ERROR_INPUT);
    assert_string_equal(rmm_last_failure(RIG->rmm), "owner");
    assert_int_equal(dev_enter(d, 0), RMI_EXIT_SYNC);
    assert_int_equal(dev_rec(d)->x[0], RSI_ERROR_INPUT);
    assert_int_equal(rmi(RIG, RMI_FID_REALM_DESTROY, PAGE(W_RD2)), RMI_ERROR_REALM);
    stop_interface(1, PAGE(W_RD2));
    assert_int_equal(dma(0), DMA_OK);
    stop_interface(0, PAGE(W_RD));
}

/* ---- two devices ---- */

/* Device @device for the Realm, or the second Realm, from here on. */
static void use_device(unsigned device, bool second)
{
    dev_use(d, device);
    d->interface = 0;
    d->vdev = PAGE(device == 0 ? D_VDEV : D_VDEV2);
    d->rd = PAGE(second ? W_RD2 : W_RD);
    d->rec = PAGE(second ? W_REC2 : W_REC0);
}

static void kill_second(void)
{
    rmi_ok(RIG, RMI_FID_RTT_DESTROY, RD, D_IPA & ~0x1fffffull, 3);
    rmi_ok(RIG, RMI_FID_DATA_DESTROY, RD, 0);
    rmi_ok(RIG, RMI_FID_DATA_DESTROY, RD, BUFFER_IPA);
    drop_tables(0, 3);
    rmi_ok(RIG, RMI_FID_REC_DESTROY, d->rec);
    rmi_ok(RIG, RMI_FID_REALM_DESTROY, RD);
}

static void retire(void)
{
    unmap_registers();
    drop_vdev();
    drop_pdev();
}

static void assert_lives(uint64_t ipa, uint64_t pa)
{
    assert_int_equal(dma_to(ipa), pa);
    assert_int_equal(d->pair->tdis[0].state, TDI_RUN);
    assert_true(evidence() && refresh());
    assert_int_equal(dma_to(ipa), pa);
}

/* One is lost, given up, connected anew; the other goes on. Then the Realm is killed with both. */
static void test_two_devices(void **state)
{
    for (rig_dialect = RMM_1_1_ALP12; rig_dialect <= RMM_1_1_ALP17; rig_dialect++) {
        d = dev_rig_new();
        budget = FOREVER;
        for (unsigned i = 0; i < 2; i++) {
            use_device(i, false);
            assert_true(run());
        }
        assert_int_equal(realm_at(RIG->rmm, RD)->n_vdevs, 2);
        for (unsigned lost = 0; lost < 2; lost++) {
            use_device(lost, false);
            assert_int_equal(dma_to(DATA_IPA), PAGE(W_DATA + 3) + 0x10);
            lose_device();
            assert_int_equal(dma_to(DATA_IPA), 0);
            use_device(!lost, false);
            assert_lives(DATA_IPA, PAGE(W_DATA + 3) + 0x10);
            use_device(lost, false);
            retire();
            use_device(!lost, false);
            assert_lives(DATA_IPA, PAGE(W_DATA + 3) + 0x10);
            use_device(lost, false);
            assert_true(run());
        }
        use_device(1, false);
        retire();
        use_device(0, false);
        kill_realm();
        kill_other();
        drop_pdev();
        take_all_back(false);
        dev_rig_free(d);
    }
    rig_dialect = RMM_1_1_ALP17;
}

/* A device for each of two Realms: each reaches its own Realm only, and one Realm's end is nothing to the other. */
static void test_two_devices_two_realms(void **state)
{
    for (unsigned killed = 0; killed < 4; killed++) {
        rig_dialect = killed & 2 ? RMM_1_1_ALP12 : RMM_1_1_ALP17;
        d = dev_rig_new();
        budget = FOREVER;
        dev_second_realm(d);
        for (unsigned i = 0; i < 2; i++) {
            use_device(i, i == 1);
            assert_true(run());
        }
        assert_int_equal(dma_to(BUFFER_IPA), PAGE(R2_BUFFER));
        assert_int_equal(dma_to(DATA_IPA), 0); /* the other's */
        for (unsigned n = 0; n < 2; n++) {
            bool second = (killed + n) & 1;

            use_device(second, second);
            if (second) {
                retire();
                kill_second();
            } else {
                kill_realm();
                drop_pdev();
            }
            assert_int_equal(dma_to(BUFFER_IPA), 0);
            if (n == 0) {
                use_device(!second, !second);
                assert_lives(BUFFER_IPA, second ? PAGE(W_DATA + 5) : PAGE(R2_BUFFER));
            }
        }
        take_all_back(false);
        dev_rig_free(d);
    }
    rig_dialect = RMM_1_1_ALP17;
}

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

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed_everywhere), cmocka_unit_test(test_unplugged), cmocka_unit_test(test_many_locks),
        cmocka_unit_test(test_many_relocks), cmocka_unit_test(test_many_connections),
        T(test_two_in_one_realm), T(test_one_in_each_realm), cmocka_unit_test(test_two_devices),
        cmocka_unit_test(test_two_devices_two_realms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
