#include "tests/unit/rmm_dev_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { SID_BITS = 12 };

/* ---- hardware ---- */

/* The keys of the stream at a root port; NULL: no such port or stream, or it refuses. */
static RootKeys *keys_of(DevRig *d, uint32_t root, unsigned stream)
{
    for (unsigned i = 0; i < ARRAY_LEN(d->roots); i++) {
        if (root == D_ROOT(i) && (stream == PAIR_STREAM || stream == D_LINK) && !d->roots[i].refuses) {
            return stream == D_LINK ? &d->links[i] : &d->roots[i];
        }
    }
    return NULL;
}

static bool key_program(void *opaque, uint32_t root, unsigned stream, unsigned set, bool tx, unsigned sub,
                        const uint8_t key[32], uint64_t iv)
{
    RootKeys *k = keys_of(opaque, root, stream);

    if (k == NULL || iv != IDE_INITIAL_IFV || k->slot[set][tx][sub].go) {
        return false;
    }
    k->slot[set][tx][sub].programmed = true;
    memcpy(k->slot[set][tx][sub].key, key, IDE_KEY_LEN);
    return true;
}

static bool key_go(void *opaque, uint32_t root, unsigned stream, unsigned set, bool tx, unsigned sub)
{
    RootKeys *k = keys_of(opaque, root, stream);

    return k != NULL && k->slot[set][tx][sub].programmed && (k->slot[set][tx][sub].go = true);
}

static bool key_stop(void *opaque, uint32_t root, unsigned stream, unsigned set, bool tx, unsigned sub)
{
    RootKeys *k = keys_of(opaque, root, stream);

    if (k == NULL) {
        return false;
    }
    memset(&k->slot[set][tx][sub], 0, sizeof(k->slot[set][tx][sub]));
    return true;
}

static bool tdisp_enable(void *opaque, uint32_t root, unsigned stream, bool enable)
{
    RootKeys *k = keys_of(opaque, root, stream);

    if (k == NULL) {
        return false;
    }
    k->tdisp = enable;
    return true;
}

static uint32_t stream_id(void *opaque, uint32_t requester) { return requester; }

/* Registers of the device: their offset, for a Realm only. */
static MemResult bar_read(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t *value)
{
    *value = off;
    return attrs.pas == PAS_REALM ? MEM_OK : MEM_SLAVE;
}

static MemResult bar_write(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t value)
{
    return MEM_OK;
}

static const MmioOps bar_ops = { bar_read, bar_write };

static void plug(Rig *rig, RmmPlatform *platform, void *opaque)
{
    DevRig    *d = opaque;
    SmmuConfig cfg = { .memory = rig->memory, .sid_bits = SID_BITS, .realm_offset = 0x20000 };

    d->smmu = smmu_new(&cfg);
    memory_add_mmio(rig->memory, "smmu", D_SMMU - cfg.realm_offset, 0x20000, &smmu_ns_ops, d->smmu);
    memory_add_mmio(rig->memory, "smmu-realm", D_SMMU, 0x20000, &smmu_realm_ops, d->smmu);
    owners_set(rig->owners, D_SMMU, 0x20000, OWNER_REALM);
    memory_add_mmio(rig->memory, "bar", D_BAR, 16 << 20, &bar_ops, NULL);
    *platform = (RmmPlatform){
        .opaque = d,
        .ide_key_program = key_program,
        .ide_key_go = key_go,
        .ide_key_stop = key_stop,
        .tdisp_enable = tdisp_enable,
        .smmu_base = D_SMMU - cfg.realm_offset,
        .smmu_realm_base = D_SMMU,
        .stream_id = stream_id,
        .dev_base = {D_BAR},
        .dev_size = {16 << 20},
    };
    rig->da = rmm_dialects[rig_dialect].da;
}

void dev_second_realm(DevRig *d)
{
    uint8_t *code = rig_bytes(d->rig, PAGE(W_SRC));

    for (unsigned level = 1; level <= 3; level++) {
        rmi_ok(d->rig, RMI_FID_RTT_CREATE, PAGE(W_RD2), PAGE(R2_L1 + level - 1), 0, level);
    }
    rmi_ok(d->rig, RMI_FID_RTT_INIT_RIPAS, PAGE(W_RD2), 0, R2_IPA + 4096);
    memset(code, 0, 4096);
    le32_put(code, A64_SMC);
    le32_put(code + 4, A64_WFI);
    rmi_ok(d->rig, RMI_FID_DATA_CREATE, PAGE(W_RD2), PAGE(R2_CODE), 0, PAGE(W_SRC), 0);
    rmi_ok(d->rig, RMI_FID_DATA_CREATE, PAGE(W_RD2), PAGE(R2_BUFFER), R2_IPA, PAGE(W_SRC), 0);
    rmi_ok(d->rig, RMI_FID_REALM_ACTIVATE, PAGE(W_RD2));
}

void dev_use(DevRig *d, unsigned device)
{
    d->device = device;
    d->pair = d->pairs[device];
    d->root = &d->roots[device];
    d->pdev = PAGE(device == 0 ? D_PDEV : D_PDEV2);
}

DevRig *dev_rig_bare(void)
{
    DevRig *d = g_new0(DevRig, 1);

    d->rig = rig_new_with(plug, d);
    d->rd = PAGE(W_RD);
    d->rec = PAGE(W_REC0);
    d->vdev = PAGE(D_VDEV);
    for (unsigned i = 0; i < ARRAY_LEN(d->pairs); i++) {
        d->pairs[i] = g_new0(SpdmPair, 1);
        pair_init(d->pairs[i], SPDM_RESPONDER_CAPS);
        tdisp_tdi_init(&d->pairs[i]->tdis[0], D_FUNCTION(i));
        tdisp_tdi_init(&d->pairs[i]->tdis[1], D_FUNCTION(i) + 1);
    }
    dev_use(d, 0);
    for (unsigned i = 0; i < ARRAY_LEN(d->object); i++) {
        d->object[i] = g_byte_array_new();
    }
    return d;
}

DevRig *dev_rig_new(void)
{
    static const uint32_t code[] = { A64_SMC, A64_WFI, [64] = A64_LDR(2, 1), A64_WFI,
                                     /* The vector of a fault, with vectors at 0x800. */
                                     [0xa00 / 4] = A64_WFI };
    DevRig               *d = dev_rig_bare();

    world_new(d->rig, code, ARRAY_LEN(code));
    world_recs(d->rig);
    rmi_ok(d->rig, RMI_FID_REALM_ACTIVATE, PAGE(W_RD));
    rig_delegate(d->rig, PAGE(D_PDEV), D_PARAMS - D_PDEV);
    dev_pdev_params(d, D_AUX);
    return d;
}

void dev_rig_free(DevRig *d)
{
    smmu_free(d->smmu);
    rig_free(d->rig);
    for (unsigned i = 0; i < ARRAY_LEN(d->object); i++) {
        g_byte_array_free(d->object[i], TRUE);
    }
    for (unsigned i = 0; i < ARRAY_LEN(d->pairs); i++) {
        g_free(d->pairs[i]);
    }
    g_free(d);
}

/* ---- parameters ---- */

static uint8_t *params(DevRig *d)
{
    uint8_t *p = rig_bytes(d->rig, PAGE(D_PARAMS));

    memset(p, 0, 4096);
    return p;
}

void dev_pdev_params(DevRig *d, unsigned aux)
{
    uint8_t *p = params(d);

    le64_put(p + RMI_PDEV_FLAGS, RMI_PDEV_FLAG_SPDM | RMI_PDEV_FLAG_NCOH_IDE);
    le64_put(p + RMI_PDEV_ID, D_FUNCTION(d->device));
    le16_put(p + RMI_PDEV_ROOT_ID, D_ROOT(d->device));
    le16_put(p + RMI_PDEV_RID_BASE, (uint16_t)D_FUNCTION(d->device));
    le16_put(p + RMI_PDEV_RID_TOP, (uint16_t)(D_FUNCTION(d->device) + 2));
    le64_put(p + RMI_PDEV_NUM_AUX, PDEV_N_AUX);
    le64_put(p + RMI_PDEV_IDE_SID, PAIR_STREAM);
    le64_put(p + RMI_PDEV_NCOH_NUM_ADDR, 1);
    le64_put(p + RMI_PDEV_NCOH_ADDR, D_BAR);
    le64_put(p + RMI_PDEV_NCOH_ADDR + 8, D_BAR + 0x4000);
    for (unsigned i = 0; i < PDEV_N_AUX; i++) {
        le64_put(p + RMI_PDEV_AUX + 8 * i, PAGE(aux + i));
    }
}

void dev_vdev_params(DevRig *d)
{
    uint8_t *p = params(d);

    le64_put(p + RMI_VDEV_ID, dev_vdev_id(d));
    le64_put(p + RMI_VDEV_TDI_ID, D_FUNCTION(d->device) + d->interface);
}

void dev_key_params(DevRig *d)
{
    const SpdmIdentity *id = pair_identity(SPDM_TEST_DEVICE);
    uint8_t            *p = params(d);
    SpdmPublicKey       key;

    assert_null(spdm_chain_check(id->certs, id->certs_len, NULL, 0, SPDM_CHAIN_OF_RESPONDER, 1767225600, &key));
    memcpy(p + RMI_KEY_KEY, key.bytes, key.len);
    le64_put(p + RMI_KEY_LEN, key.len);
    p[RMI_KEY_ALGO] = RMI_KEY_ECDSA_P384;
}

void dev_measure_params(DevRig *d, uint64_t flags)
{
    uint8_t *p = params(d);

    le64_put(p + RMI_MEASURE_FLAGS, flags);
    memset(p + RMI_MEASURE_INDICES, 0, 32);
    p[RMI_MEASURE_INDICES + 31] = 0x40;
    memset(p + RMI_MEASURE_NONCE, 0xa5, 32);
}

/* ---- the host's relay ---- */

static uint64_t comm_field(DevRig *d, unsigned off)
{
    return le64_get(rig_bytes(d->rig, PAGE(D_COMM)) + off);
}

static void keep(DevRig *d, unsigned page, uint64_t offset, uint64_t len)
{
    unsigned object = comm_field(d, RMI_COMM_CACHE_OBJ_ID) & 0xff;

    assert_true(object < 4 && offset + len <= 4096);
    g_byte_array_append(d->object[object], rig_bytes(d->rig, PAGE(page)) + offset, (guint)len);
}

/* To the device and back. Returns the next RmiCommStatus. */
static unsigned relay(DevRig *d, uint64_t *resp_len)
{
    bool   secured = (comm_field(d, RMI_COMM_PROTOCOL) & 0xff) == RMI_PROTOCOL_SECURE_SPDM, secured_out;
    size_t len = comm_field(d, rmm_dialects[rig_dialect].comm_req_len);
    uint8_t rsp[SPDM_MSG_MAX] = { 0 };

    assert_true(len != 0 && len <= DEV_KEEP_OFFSET);
    len = d->answer != NULL
              ? d->answer(d->answer_opaque, secured, rig_bytes(d->rig, PAGE(D_REQ)), len, rsp, sizeof(rsp))
              : spdm_responder_handle(&d->pair->responder, secured, rig_bytes(d->rig, PAGE(D_REQ)), len, rsp,
                                      sizeof(rsp), &secured_out);
    if (d->spoil != NULL) {
        len = d->spoil(d, rsp, len);
    }
    d->exchange++;
    *resp_len = align_up(len, 4); /* a mailbox pads */
    memcpy(rig_bytes(d->rig, PAGE(D_RSP)), rsp, *resp_len);
    return len != 0 ? RMI_COMM_RESPONSE : RMI_COMM_ERROR;
}

uint64_t dev_communicate(DevRig *d, bool vdev, unsigned *status, bool *more)
{
    uint8_t *comm = rig_bytes(d->rig, PAGE(D_COMM));
    uint64_t x0, len;

    comm[RMI_COMM_STATUS] = (uint8_t)*status;
    le64_put(comm + RMI_COMM_REQ_ADDR, PAGE(D_REQ));
    le64_put(comm + RMI_COMM_RESP_ADDR, PAGE(D_RSP));
    x0 = vdev && rmm_dialects[rig_dialect].rdev
             ? rmi(d->rig, RMI_FID_VDEV_COMMUNICATE, d->pdev, d->vdev, PAGE(D_COMM))
         : vdev ? rmi(d->rig, RMI_FID_VDEV_COMMUNICATE, d->rd, d->pdev, d->vdev, PAGE(D_COMM))
              : rmi(d->rig, RMI_FID_PDEV_COMMUNICATE, d->pdev, PAGE(D_COMM));
    uint64_t flags = comm_field(d, RMI_COMM_EXIT_FLAGS);
    *more = x0 == RMI_SUCCESS && flags != 0;
    if (x0 != RMI_SUCCESS) {
        return x0;
    }
    d->flags_seen |= flags;
    if (flags & RMI_COMM_CACHE_REQ) {
        keep(d, D_REQ, comm_field(d, RMI_COMM_CACHE_REQ_OFFSET), comm_field(d, RMI_COMM_CACHE_REQ_LEN));
    }
    if (flags & RMI_COMM_CACHE_RSP) {
        keep(d, D_RSP, comm_field(d, RMI_COMM_CACHE_RSP_OFFSET), comm_field(d, RMI_COMM_CACHE_RSP_LEN));
    }
    *status = RMI_COMM_NONE;
    if (flags & RMI_COMM_SEND) {
        *status = relay(d, &len);
        le64_put(comm + RMI_COMM_RESP_LEN, *status == RMI_COMM_RESPONSE ? len : 0);
    }
    return x0;
}

uint64_t dev_converse(DevRig *d, bool vdev)
{
    unsigned status = RMI_COMM_NONE;
    bool     more = true;
    uint64_t x0 = RMI_SUCCESS;

    for (unsigned i = 0; more && i < 1000; i++) {
        x0 = dev_communicate(d, vdev, &status, &more);
    }
    assert_false(more);
    return x0;
}

/* ---- the Realm ---- */

uint64_t dev_enter(DevRig *d, uint64_t flags)
{
    rig_enter(d->rig, W_RUN, RMI_ENTER_FLAGS, flags | RMI_ENTER_TRAP_WFI);
    rmi_ok(d->rig, RMI_FID_REC_ENTER, d->rec, PAGE(W_RUN));
    return rig_exit(d->rig, W_RUN, RMI_EXIT_REASON);
}

uint64_t dev_rsi(DevRig *d, const uint64_t *x, size_t n)
{
    Rec *rec = dev_rec(d);

    memset(rec->x, 0, sizeof(rec->x));
    memcpy(rec->x, x, 8 * n);
    rec->pc = 0;
    rec->spsr = 0x3c5;
    return dev_enter(d, 0);
}

uint64_t dev_rsi_complete(DevRig *d, const uint64_t *x, size_t n)
{
    assert_int_equal(dev_rsi(d, x, n), RMI_EXIT_VDEV_REQUEST);
    assert_int_equal(rig_exit(d->rig, W_RUN, RMI_EXIT_VDEV_ID_1), dev_vdev_id(d));
    rmi_ok(d->rig, RMI_FID_VDEV_COMPLETE, d->rec, d->vdev);
    assert_int_equal(dev_enter(d, 0), RMI_EXIT_SYNC);
    return dev_rec(d)->x[0];
}

uint64_t dev_rdev_talk(DevRig *d, RmiVdevAction action)
{
    uint64_t id = dev_vdev_id(d), instance = dev_vdev(d)->instance;
    unsigned status = RMI_COMM_NONE, turns = 0;
    bool     more;

    do {
        assert_int_equal(dev_rsi_call(d, RSI_FID_RDEV_CONTINUE, id, instance), RMI_EXIT12_VDEV_COMM);
        assert_int_equal(rig_exit(d->rig, W_RUN, RMI_EXIT12_VDEV), d->vdev);
        assert_int_equal(rig_exit(d->rig, W_RUN, RMI_EXIT12_VDEV_ACTION), action);
        assert_int_equal(dev_vdev(d)->host_state, RMI_VDEV12_COMMUNICATING);
        assert_int_equal(dev_communicate(d, true, &status, &more), RMI_SUCCESS);
        assert_int_equal(dev_enter(d, 0), RMI_EXIT_SYNC);
        assert_true(turns++ < 100);
    } while (dev_rec(d)->x[0] == RSI_INCOMPLETE);
    return dev_rec(d)->x[0];
}

/* ---- stages ---- */

/* LOCK, START: the host's command, or what the Realm asks for. */
static void move(DevRig *d, uint32_t fid, uint32_t rsi, RmiVdevAction action, RmiVdevState to)
{
    if (rmm_dialects[rig_dialect].rdev) {
        assert_int_equal(dev_rsi_done(d, rsi, dev_vdev_id(d), dev_vdev(d)->instance), RSI_SUCCESS);
        assert_int_equal(dev_rdev_talk(d, action), RSI_SUCCESS);
    } else {
        rmi_ok(d->rig, fid, d->rd, d->pdev, d->vdev);
        assert_int_equal(dev_converse(d, true), RMI_SUCCESS);
    }
    assert_int_equal(dev_vdev(d)->state, to);
}

void dev_reach(DevRig *d, DevStage stage)
{
    Rig *rig = d->rig;

    switch (stage) {
    case STAGE_CREATED:
        rmi_ok(rig, RMI_FID_PDEV_CREATE, d->pdev, PAGE(D_PARAMS));
        break;
    case STAGE_NEEDS_KEY:
        assert_int_equal(dev_converse(d, false), RMI_SUCCESS);
        assert_int_equal(dev_pdev(d)->state, RMI_PDEV_NEEDS_KEY);
        break;
    case STAGE_HAS_KEY:
        dev_key_params(d);
        rmi_ok(rig, RMI_FID_PDEV_SET_PUBKEY, d->pdev, PAGE(D_PARAMS));
        break;
    case STAGE_READY:
        assert_int_equal(dev_converse(d, false), RMI_SUCCESS);
        assert_int_equal(dev_pdev(d)->state, RMI_PDEV_READY);
        break;
    case STAGE_VDEV:
        dev_vdev_params(d);
        rmi_ok(rig, RMI_FID_VDEV_CREATE, d->rd, d->pdev, d->vdev, PAGE(D_PARAMS));
        break;
    case STAGE_UNLOCKED: /* in 1.1-alp12 from the beginning */
        if (!rmm_dialects[rig_dialect].rdev) {
            assert_int_equal(dev_converse(d, true), RMI_SUCCESS);
        }
        assert_int_equal(dev_vdev(d)->state, RMI_VDEV_UNLOCKED);
        break;
    case STAGE_LOCKED:
        move(d, RMI_FID_VDEV_LOCK, RSI_FID_RDEV_LOCK, RMI_VDEV_ACTION_LOCK, RMI_VDEV_LOCKED);
        break;
    case STAGE_STARTED:
        move(d, RMI_FID_VDEV_START, RSI_FID_RDEV_START, RMI_VDEV_ACTION_START, RMI_VDEV_STARTED);
        break;
    case STAGE_NONE:
    case N_STAGES:
        break;
    }
}

void dev_go_on(DevRig *d, DevStage from, DevStage stage)
{
    for (DevStage s = from + 1; s <= stage; s++) {
        dev_reach(d, s);
    }
}

void dev_go_to(DevRig *d, DevStage stage)
{
    dev_go_on(d, STAGE_NONE, stage);
}

DmaResult dev_dma(DevRig *d, bool trusted, uint64_t iova, uint64_t *pa)
{
    DmaRequest req = { .requester = D_FUNCTION(d->device) + d->interface, .trusted = trusted, .iova = iova };
    DmaTarget  to = { 0 };
    DmaResult  r = smmu_translate(d->smmu, &req, &to);

    *pa = to.pa;
    return r;
}

void dev_check(DevRig *d)
{
    Rmm            *rmm = d->rig->rmm;
    const DevState *s = dev_state(rmm);
    unsigned        n_dma = 0;

    for (unsigned i = 0; s != NULL && i < DEV_MAX_PDEVS; i++) {
        const Pdev *p = s->pdev[i] != 0 ? pdev_at(rmm, s->pdev[i]) : NULL;
        unsigned    n_vdevs = 0;

        assert_true(p == NULL || granule_state(rmm, s->pdev[i]) == GRANULE_PDEV);
        for (unsigned j = 0; p != NULL && j < DEV_MAX_VDEVS; j++) {
            if (p->vdev[j] == 0) {
                continue;
            }
            assert_int_equal(granule_state(rmm, p->vdev[j]), GRANULE_VDEV);
            const Vdev *v = vdev_at(rmm, p->vdev[j]);
            assert_int_equal(granule_state(rmm, v->rd), GRANULE_RD);
            assert_int_equal(v->pdev, s->pdev[i]);
            assert_int_equal(realm_devices(realm_at(rmm, v->rd))->vdev[v->index], p->vdev[j]);
            assert_true(!v->dma || (v->state == RMI_VDEV_STARTED && p->keyed));
            n_dma += v->dma;
            n_vdevs++;
        }
        assert_true(p == NULL || p->n_vdevs == n_vdevs);
    }
    assert_true(s == NULL || s->psmmu.n_valid == n_dma);
    for (uint64_t pa = PAGE(0); pa < PAGE(256); pa += 4096) {
        Realm   *r = granule_state(rmm, pa) == GRANULE_RD ? realm_at(rmm, pa) : NULL;
        unsigned n_vdevs = 0;

        for (unsigned i = 0; r != NULL && i < DEV_MAX_VDEVS; i++) {
            n_vdevs += realm_devices(r)->vdev[i] != 0;
        }
        assert_true(r == NULL || r->n_vdevs == n_vdevs);
    }
}
