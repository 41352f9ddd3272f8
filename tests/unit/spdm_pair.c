/*
 * The pair: a device with two interfaces, one link port, three measurements; and the module that assigns it.
 */
#include "spdm_pair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spdm/record.h"

void pair_load(SpdmTestPki which, SpdmKeyKind kind, SpdmIdentity *id)
{
    const char *why = NULL;
    Entropy     entropy;

    entropy_init(&entropy, 1, "identity");
    if (!spdm_identity_load(spdm_test_pem(which, kind), &entropy, id, &why)) {
        fprintf(stderr, "%s: %s\n", spdm_key_type(kind)->name, why);
        abort();
    }
}

const SpdmIdentity *pair_identity(SpdmTestPki which)
{
    static SpdmIdentity ids[SPDM_TEST_N];

    if (ids[which].certs_len == 0) {
        pair_load(which, SPDM_KEY_P384, &ids[which]);
    }
    return &ids[which];
}

SpdmPsk pair_psk(void)
{
    SpdmPsk psk;

    if (spdm_psk_read(spdm_psk_test(), &psk) != NULL) {
        abort();
    }
    return psk;
}

static bool measurement(void *opaque, unsigned n, SpdmMeasurement *m)
{
    static const uint8_t rom[] = "rom of the test device", firmware[] = "firmware, version 7",
                         mode[16] = { 4, 0, 0, 0, 4 };
    static const SpdmMeasurement list[] = {
        {.index = 1, .kind = SPDM_MEAS_IMMUTABLE_ROM, .tcb = true, .value = rom, .len = sizeof(rom)},
        {.index = 2,
         .kind = SPDM_MEAS_MUTABLE_FIRMWARE,
         .tcb = true,
         .value = firmware,
         .len = sizeof(firmware)},
        {.index = 0xfe, .kind = SPDM_MEAS_DEVICE_MODE, .raw_only = true, .value = mode, .len = sizeof(mode)},
    };

    if (n < ARRAY_LEN(list)) {
        *m = list[n];
    }
    return n < ARRAY_LEN(list);
}

static SpdmVendorResult vendor(void *opaque, uint32_t session_id, uint8_t protocol, const uint8_t *req,
                               size_t len, ByteWriter *rsp)
{
    SpdmPair *p = opaque;

    switch (protocol) {
    case SPDM_PCI_PROTOCOL_IDE_KM:
        return ide_km_handle(&p->ide, session_id, req, len, rsp);
    case SPDM_PCI_PROTOCOL_TDISP:
        return tdisp_handle(&p->dsm, session_id, req, len, rsp);
    default:
        return SPDM_VENDOR_UNSUPPORTED;
    }
}

static void session_changed(void *opaque, uint32_t session_id, bool established)
{
    SpdmPair *p = opaque;

    if (established) {
        p->sessions_begun++;
        return;
    }
    p->sessions_ended++;
    ide_km_session_ended(&p->ide, session_id);
    tdisp_session_ended(&p->dsm, session_id);
}

static void requester_authenticated(void *opaque) { ((SpdmPair *)opaque)->authenticated++; }

static uint8_t max_port(void *opaque) { return 0; }
static bool has_stream(void *opaque, uint8_t port, uint8_t stream_id) { return stream_id == PAIR_STREAM; }

static bool program(void *opaque, const IdeKeySlot *slot, const uint8_t key[IDE_KEY_LEN], uint64_t ifv)
{
    SpdmPair *p = opaque;

    p->keys_programmed++;
    memcpy(p->last_key, key, IDE_KEY_LEN);
    return !p->refuse_keys;
}

static void go(void *opaque, const IdeKeySlot *slot) { ((SpdmPair *)opaque)->keys_gone++; }

static void ready_changed(void *opaque, uint8_t port, uint8_t stream_id, bool ready)
{
    SpdmPair *p = opaque;

    if (!ready) {
        tdisp_stream_lost(&p->dsm, stream_id);
    }
}

static void query(void *opaque, uint8_t port, uint8_t *dev_func, uint8_t *bus, uint8_t *segment,
                  ByteWriter *regs)
{
    *bus = 1;
    bw_u32(regs, 0x42); /* IDE capability: selective, IDE_KM */
    bw_u32(regs, 0);
}

static TdispError may_lock(void *opaque, const Tdi *tdi) { return ((SpdmPair *)opaque)->may_lock; }

static bool stream_is_keyed(void *opaque, const Tdi *tdi, uint8_t stream_id, uint32_t session_id)
{
    SpdmPair *p = opaque;

    return ide_km_stream_ready(&p->ide, PAIR_PORT, stream_id) &&
           ide_km_stream_session(&p->ide, PAIR_PORT, stream_id) == session_id;
}

static void report(void *opaque, const Tdi *tdi, TdispReport *out)
{
    out->interface_info = TDISP_INFO_DMA_WITHOUT_PASID;
    out->n_ranges = 2;
    out->ranges[0] = (TdispRange){ (0x10000000 + tdi->mmio_offset) >> 12, 4, 0, 0 };
    out->ranges[1] = (TdispRange){ (0x20000000 + tdi->mmio_offset) >> 12, 1,
                                     TDISP_RANGE_NON_TEE | TDISP_RANGE_UPDATABLE, 2 };
    out->info_len = 3;
    memcpy(out->info, "nic", 3);
}

/* One peer-to-peer stream is fit to be bound; range 2 of the report is updatable. */
static bool bind_p2p(void *opaque, const Tdi *tdi, uint8_t stream_id, uint32_t session_id)
{
    return stream_id == PAIR_P2P_STREAM && session_id == tdi->session_id;
}

static void unbind_p2p(void *opaque, const Tdi *tdi, uint8_t stream_id) { ((SpdmPair *)opaque)->p2p_unbound++; }

static bool set_mmio_attribute(void *opaque, const Tdi *tdi, const TdispRange *range)
{
    ((SpdmPair *)opaque)->attributes = range->attributes;
    return range->first_page == PAIR_UPDATABLE_PAGE && range->n_pages == 1 && range->id == 2;
}

static const IdeKeySink sink = { max_port, has_stream, program, go, NULL, ready_changed, query };
static const TdispOps   ops = {
    may_lock, stream_is_keyed, report, NULL, bind_p2p, unbind_p2p, set_mmio_attribute,
};

void pair_init(SpdmPair *p, uint64_t responder_caps)
{
    const SpdmIdentity *id = pair_identity(SPDM_TEST_DEVICE);

    memset(p, 0, sizeof(*p));
    entropy_init(&p->device_entropy, 1, "device");
    entropy_init(&p->module_entropy, 1, "module");
    spdm_responder_init(&p->responder, &(SpdmResponderConfig){
                                           .capabilities = responder_caps,
                                           .entropy = &p->device_entropy,
                                           .identities = id,
                                           .n_identities = 1,
                                           .psk = pair_psk(),
                                           .opaque = p,
                                           .measurement = measurement,
                                           .vendor = vendor,
                                           .session_changed = session_changed,
                                           .requester_authenticated = requester_authenticated,
                                       });
    spdm_requester_init(&p->requester, &p->module_entropy);
    ide_km_init(&p->ide, &sink, p);
    tdisp_tdi_init(&p->tdis[0], PAIR_FUNCTION);
    tdisp_tdi_init(&p->tdis[1], PAIR_FUNCTION + 1);
    p->dsm = (TdispDsm){
        .ops = &ops, .opaque = p, .entropy = &p->device_entropy,
        .lock_flags = TDISP_LOCK_NO_FW_UPDATE | TDISP_LOCK_MSIX | TDISP_LOCK_BIND_P2P, .address_width = 52,
        .tdis = p->tdis, .n_tdis = 2,
    };
    tdisp_client_init(&p->tdi, PAIR_FUNCTION);
}

static size_t spoil(const SpdmPair *p, bool response, uint8_t *msg, size_t len)
{
    const PairTamper *t = p->tamper;

    if (t == NULL || t->exchange != p->exchange || t->response != response || t->at >= len) {
        return len;
    }
    if (t->truncate) {
        return t->at;
    }
    msg[t->at] ^= t->mask;
    return len;
}

/* What the RMM's host would append to its objects. */
static void cache(SpdmPair *p)
{
    SpdmCache c = spdm_requester_cache(&p->requester);
    const uint8_t *rsp = (const uint8_t *)spdm_requester_reply(&p->requester).data + c.rsp_offset;
    uint32_t  at = p->cached[c.object];

    if (c.object == SPDM_OBJECT_CERTIFICATE && at + c.rsp_len <= sizeof(p->certificates)) {
        memcpy(p->certificates + at, rsp, c.rsp_len);
    }
    if (c.object == SPDM_OBJECT_MEASUREMENTS && at + c.req_len + c.rsp_len <= sizeof(p->measurements)) {
        memcpy(p->measurements + at, spdm_requester_request(&p->requester).data, c.req_len);
        memcpy(p->measurements + at + c.req_len, rsp, c.rsp_len);
    }
    p->cached[c.object] += c.req_len + c.rsp_len;
}

SpdmResult pair_step(SpdmPair *p)
{
    uint8_t    request[SPDM_MSG_MAX], response[SPDM_MSG_MAX];
    bool       secured, secured_out;
    SpdmResult result;

    p->request_len = spdm_requester_next(&p->requester, request, sizeof(request), &secured);
    if (p->request_len == 0) {
        return SPDM_FAILED;
    }
    p->response_len =
        spdm_responder_handle(&p->responder, secured, request, spoil(p, false, request, p->request_len),
                              response, sizeof(response), &secured_out);
    if (p->response_len == 0) {
        spdm_requester_abort(&p->requester);
        result = SPDM_FAILED;
    } else {
        result = spdm_requester_response(&p->requester, response, spoil(p, true, response, p->response_len),
                                         secured_out);
        cache(p);
    }
    p->exchange++;
    return result;
}

SpdmResult pair_op(SpdmPair *p, SpdmOp op, const SpdmOpArgs *args)
{
    SpdmResult result = SPDM_CONTINUE;

    if (spdm_requester_start(&p->requester, op, args) != NULL) {
        return SPDM_FAILED;
    }
    for (unsigned i = 0; result == SPDM_CONTINUE && i < 1000; i++) {
        result = pair_step(p);
    }
    return result;
}

bool pair_spoil(SpdmPair *p, const SpdmPair *start, SpdmOp op, const PairTamper *t, SpdmResult *result)
{
    *p = *start;
    p->tamper = t;
    *result = SPDM_CONTINUE;
    if (spdm_requester_start(&p->requester, op, NULL) != NULL) {
        abort(); /* nothing would be spoilt, and every byte would seem to be noticed */
    }
    while (p->exchange <= t->exchange && *result == SPDM_CONTINUE) {
        *result = pair_step(p);
    }
    if (t->at >= p->request_len) {
        return false;
    }
    while (*result == SPDM_CONTINUE) {
        *result = pair_step(p);
    }
    return true;
}

bool pair_answered(const uint8_t *reply, size_t len, uint8_t error, uint8_t data)
{
    if (error == 0) {
        return len >= 4 && reply[1] != SPDM_ERROR;
    }
    return len == 4 && reply[1] == SPDM_ERROR && reply[2] == error && reply[3] == data;
}

SpdmResult pair_connect(SpdmPair *p)
{
    const SpdmIdentity *id = pair_identity(SPDM_TEST_DEVICE);
    SpdmResult          result = pair_op(p, SPDM_OP_CONNECT, NULL);
    SpdmPublicKey       key;

    /* The host reads the key out of the chain; a chain that was spoilt on the way is not believed here,
     * where only the protocol is tested: the device's true key is named. */
    if (result == SPDM_DONE &&
        (spdm_chain_check(id->certs, id->certs_len, NULL, 0, SPDM_CHAIN_OF_RESPONDER, 1767225600, &key) != NULL ||
         spdm_requester_set_public_key(&p->requester, &key) != SPDM_KEY_OK)) {
        return SPDM_FAILED;
    }
    return result;
}

/* Runs one PCI message through a session; the response is for the caller's sequence. */
static SpdmResult exchange_pci(SpdmPair *p, uint8_t protocol, const uint8_t *msg, size_t len)
{
    SpdmOpArgs args = { .protocol = protocol, .message = msg, .len = len };

    return pair_op(p, SPDM_OP_VENDOR, &args);
}

SpdmResult pair_ide(SpdmPair *p, IdeKmOp op, uint8_t key_set)
{
    uint8_t       keys[IDE_SUB_STREAMS][2][IDE_KEY_LEN], msg[64];
    IdeKmSequence q;
    SpdmResult    result = SPDM_CONTINUE;

    entropy_bytes(&p->module_entropy, keys, sizeof(keys));
    ide_km_sequence_start(&q, op, PAIR_PORT, PAIR_STREAM, key_set, keys);
    while (result == SPDM_CONTINUE) {
        size_t   len = ide_km_sequence_next(&q, msg, sizeof(msg));
        SpdmSpan reply;

        if (exchange_pci(p, SPDM_PCI_PROTOCOL_IDE_KM, msg, len) != SPDM_DONE) {
            return SPDM_FAILED;
        }
        reply = spdm_requester_vendor_reply(&p->requester);
        result = ide_km_sequence_response(&q, reply.data, reply.len);
    }
    return result;
}

SpdmResult pair_tdisp(SpdmPair *p, TdispOp op)
{
    uint8_t    msg[128];
    SpdmResult result = SPDM_CONTINUE;

    tdisp_client_start(&p->tdi, op);
    while (result == SPDM_CONTINUE) {
        size_t   len = tdisp_client_next(&p->tdi, msg, sizeof(msg));
        SpdmSpan reply;

        if (exchange_pci(p, SPDM_PCI_PROTOCOL_TDISP, msg, len) != SPDM_DONE) {
            return SPDM_FAILED;
        }
        reply = spdm_requester_vendor_reply(&p->requester);
        result = tdisp_client_response(&p->tdi, reply.data, reply.len);
    }
    return result;
}

static SpdmResult stage_session(SpdmPair *p) { return pair_op(p, SPDM_OP_SESSION, NULL); }
static SpdmResult stage_query(SpdmPair *p) { return pair_ide(p, IDE_KM_QUERY, 0); }
static SpdmResult stage_keys(SpdmPair *p) { return pair_ide(p, IDE_KM_KEYS, 0); }
static SpdmResult stage_go(SpdmPair *p) { return pair_ide(p, IDE_KM_GO, 0); }
static SpdmResult stage_probe(SpdmPair *p) { return pair_tdisp(p, TDISP_OP_PROBE); }
static SpdmResult stage_lock(SpdmPair *p) { return pair_tdisp(p, TDISP_OP_LOCK); }
static SpdmResult stage_report(SpdmPair *p) { return pair_tdisp(p, TDISP_OP_REPORT); }
static SpdmResult stage_start(SpdmPair *p) { return pair_tdisp(p, TDISP_OP_START); }
static SpdmResult stage_stop(SpdmPair *p) { return pair_tdisp(p, TDISP_OP_STOP); }
static SpdmResult stage_ide_stop(SpdmPair *p) { return pair_ide(p, IDE_KM_STOP, 0); }
static SpdmResult stage_end(SpdmPair *p) { return pair_op(p, SPDM_OP_END_SESSION, NULL); }

static SpdmResult stage_measurements(SpdmPair *p)
{
    static const uint8_t nonce[SPDM_NONCE_LEN] = "the guest's nonce";
    SpdmOpArgs           args = { .index = 0xff, .sign = true, .nonce = nonce };

    return pair_op(p, SPDM_OP_MEASUREMENTS, &args);
}

const PairStage pair_stages[] = {
    { "connect", pair_connect, false },
    { "session", stage_session, false },
    { "query", stage_query, true },
    { "keys", stage_keys, true },
    { "go", stage_go, true },
    { "probe", stage_probe, true },
    { "lock", stage_lock, true },
    { "report", stage_report, true },
    { "measurements", stage_measurements, true },
    { "start", stage_start, true },
    { "stop", stage_stop, true },
    { "ide stop", stage_ide_stop, true },
    { "end", stage_end, true },
};
const unsigned pair_n_stages = ARRAY_LEN(pair_stages);

bool pair_run(SpdmPair *p, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (pair_stages[i].run(p) != SPDM_DONE) {
            return false;
        }
    }
    return true;
}

unsigned pair_stage(const char *name)
{
    for (unsigned i = 0; i < pair_n_stages; i++) {
        if (strcmp(pair_stages[i].name, name) == 0) {
            return i;
        }
    }
    abort();
}

size_t pair_send(SpdmPair *p, bool secured, const uint8_t *msg, size_t len, uint8_t *reply, size_t cap)
{
    SpdmSession    *s = &p->requester.session;
    bool            handshake = s->state == SPDM_SESSION_HANDSHAKE, secured_out;
    const SpdmAead *aead = spdm_aead(p->requester.selected.aead);
    uint8_t         in[SPDM_MSG_MAX + SPDM_RECORD_OVERHEAD], out[SPDM_MSG_MAX];
    size_t          out_len, plain_len;

    if (!secured) {
        return spdm_responder_handle(&p->responder, false, msg, len, reply, cap, &secured_out);
    }
    len = spdm_record_seal(aead, handshake ? &s->keys.request_handshake : &s->keys.request_data, s->id, msg,
                           len, in, sizeof(in));
    out_len = spdm_responder_handle(&p->responder, true, in, len, out, sizeof(out), &secured_out);
    if (out_len == 0 || !secured_out ||
        !spdm_record_open(aead, handshake ? &s->keys.response_handshake : &s->keys.response_data, out,
                          out_len, reply, cap, &plain_len)) {
        return 0;
    }
    return plain_len;
}

size_t pair_send_pci(SpdmPair *p, uint8_t protocol, const uint8_t *msg, size_t len, uint8_t *reply,
                     size_t cap)
{
    uint8_t    wrapped[SPDM_MSG_MAX], answer[SPDM_MSG_MAX];
    ByteWriter w = bw_init(wrapped, sizeof(wrapped));
    ByteReader r;
    SpdmPciVdm vdm;
    size_t     n;

    spdm_pci_vdm_begin(&w, p->requester.version, SPDM_VENDOR_DEFINED, 0, protocol, len);
    bw_bytes(&w, msg, len);
    n = pair_send(p, true, wrapped, w.pos, answer, sizeof(answer));
    r = br_init(answer, n);
    br_skip(&r, 4);
    if (!br_ok(&r) || answer[1] != SPDM_RESPONSE_OF(SPDM_VENDOR_DEFINED) ||
        spdm_pci_vdm_read(&r, false, &vdm) != SPDM_OK || vdm.len > cap) {
        return 0;
    }
    memcpy(reply, vdm.data, vdm.len);
    return vdm.len;
}
