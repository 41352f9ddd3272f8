/* See impostor.h. All its state is here; the protocols are the library's. */
#include "host/impostor.h"

#include <string.h>

#include "bytes.h"
#include "hw/pci/doe.h"
#include "log.h"
#include "spdm/ide_km.h"
#include "spdm/pki.h"
#include "spdm/tdisp.h"

enum { ADDRESS_WIDTH = 48 };

struct HostImpostor {
    const HostFunction *f;
    Entropy             entropy;
    bool                asked, in_flight;
    SpdmRequester       requester; /* towards the device, until its certificates are known */
    SpdmResponder       responder; /* towards the RMM */
    SpdmIdentity        identity;  /* their certificates, our key */
    IdeKm               ide;
    TdispDsm            dsm;
    Tdi                 tdi;
};

/* ---- what it pretends to be ---- */

static uint8_t max_port(void *opaque) { return 0; }
static bool    has_stream(void *opaque, uint8_t port, uint8_t stream_id) { return true; }

/* The keys go nowhere. */
static bool program(void *opaque, const IdeKeySlot *slot, const uint8_t key[IDE_KEY_LEN], uint64_t ifv)
{
    return true;
}

static void query(void *opaque, uint8_t port, uint8_t *dev_func, uint8_t *bus, uint8_t *segment,
                  ByteWriter *regs)
{
    const HostFunction *f = ((HostImpostor *)opaque)->f;

    *dev_func = (uint8_t)f->bdf;
    *bus = (uint8_t)(f->bdf >> 8);
    *segment = 0;
    for (unsigned i = 0; i < f->n_hidden; i++) {
        for (unsigned off = 4; f->hidden[i].off == f->ide_cap && off < f->hidden[i].len; off += 4) {
            bw_u32(regs, host_config_read(f, f->ide_cap + off, 4));
        }
    }
}

static const IdeKeySink key_sink = {
    .max_port = max_port, .has_stream = has_stream, .program = program, .query = query};

static TdispError may_lock(void *opaque, const Tdi *tdi) { return TDISP_OK; }

static void report(void *opaque, const Tdi *tdi, TdispReport *out)
{
    const HostFunction *f = ((HostImpostor *)opaque)->f;

    out->interface_info = TDISP_INFO_DMA_WITHOUT_PASID;
    for (unsigned i = 0; i < PCI_N_BARS; i++) {
        const HostBar *b = &f->bars[i];

        if (b->size != 0) {
            bool table = f->msix.cap != 0 && f->msix.bar == i;

            out->ranges[out->n_ranges++] = (TdispRange){
                .first_page = (b->base + tdi->mmio_offset) >> 12, .n_pages = (uint32_t)(b->size >> 12),
                .attributes = table ? TDISP_RANGE_NON_TEE : 0, .id = (uint16_t)i };
        }
    }
}

static const TdispOps tdisp_ops = { .may_lock = may_lock, .report = report };

static bool measurement(void *opaque, unsigned n, SpdmMeasurement *m)
{
    static const uint8_t value[] = "firmware of an impostor";

    *m = (SpdmMeasurement){
        .index = 1, .kind = SPDM_MEAS_MUTABLE_FIRMWARE, .value = value, .len = sizeof(value)};
    return n == 0;
}

static SpdmVendorResult vendor(void *opaque, uint32_t session_id, uint8_t protocol, const uint8_t *req,
                               size_t len, ByteWriter *rsp)
{
    HostImpostor *im = opaque;

    switch (protocol) {
    case SPDM_PCI_PROTOCOL_IDE_KM: return ide_km_handle(&im->ide, session_id, req, len, rsp);
    case SPDM_PCI_PROTOCOL_TDISP: return tdisp_handle(&im->dsm, session_id, req, len, rsp);
    default: return SPDM_VENDOR_UNSUPPORTED;
    }
}

static void session_changed(void *opaque, uint32_t session_id, bool established)
{
    HostImpostor *im = opaque;

    if (!established) {
        ide_km_session_ended(&im->ide, session_id);
        tdisp_session_ended(&im->dsm, session_id);
    }
}

/* ---- life ---- */

HostImpostor *impostor_new(const HostFunction *f, uint64_t seed)
{
    HostImpostor *im = g_new0(HostImpostor, 1);

    im->f = f;
    entropy_init(&im->entropy, seed, "impostor");
    spdm_requester_init(&im->requester, &im->entropy);
    ide_km_init(&im->ide, &key_sink, im);
    tdisp_tdi_init(&im->tdi, f->bdf);
    im->dsm = (TdispDsm){.ops = &tdisp_ops,
                         .opaque = im,
                         .entropy = &im->entropy,
                         .address_width = ADDRESS_WIDTH,
                         .lock_flags = TDISP_LOCK_NO_FW_UPDATE,
                         .tdis = &im->tdi,
                         .n_tdis = 1};
    return im;
}

void impostor_free(HostImpostor *im)
{
    g_free(im);
}

static ImpostorState take_place(HostImpostor *im)
{
    SpdmSpan            chain = spdm_requester_chain(&im->requester);
    size_t              header = 4 + spdm_hash(im->requester.selected.hash)->len;
    SpdmIdentity       *id = &im->identity;
    SpdmResponderConfig cfg = {
        .capabilities = SPDM_RESPONDER_CAPS,
        .entropy = &im->entropy,
        .identities = id,
        .n_identities = 1,
        .opaque = im,
        .measurement = measurement,
        .vendor = vendor,
        .session_changed = session_changed,
    };

    if (chain.len - header > sizeof(id->certs) ||
        !spdm_key_load(spdm_test_substitute_key_pem(), &im->entropy, &id->key)) {
        return IMPOSTOR_FAILED;
    }
    id->certs_len = (uint32_t)(chain.len - header);
    memcpy(id->certs, (const uint8_t *)chain.data + header, id->certs_len);
    id->root_len = (uint32_t)spdm_first_certificate_len(id->certs, id->certs_len);
    spdm_responder_init(&im->responder, &cfg);
    LOG(HOST, "fault substitute-key: answering in the place of %04x", im->f->bdf);
    return IMPOSTOR_READY;
}

static ImpostorState ask(HostImpostor *im, HostRelay *relay)
{
    uint8_t message[SPDM_MSG_MAX];
    bool    secured;
    size_t  len = spdm_requester_next(&im->requester, message, sizeof(message), &secured);

    if (len == 0) {
        return IMPOSTOR_FAILED;
    }
    relay_start(relay, im->f, DOE_TYPE_SPDM, message, len);
    im->in_flight = true;
    return IMPOSTOR_LEARNING;
}

ImpostorState impostor_learn(HostImpostor *im, HostRelay *relay, int64_t now_ns)
{
    size_t len;

    if (!im->asked) {
        im->asked = true;
        if (spdm_requester_start(&im->requester, SPDM_OP_CONNECT, NULL) != NULL) {
            return IMPOSTOR_FAILED;
        }
    }
    if (!im->in_flight) {
        return ask(im, relay);
    }
    if (!relay_step(relay, now_ns)) {
        return IMPOSTOR_LEARNING;
    }
    im->in_flight = false;
    if (relay->state != RELAY_DONE) {
        return IMPOSTOR_FAILED;
    }
    const uint8_t *payload = relay_payload(relay, &len);

    switch (spdm_requester_response(&im->requester, payload, len, false)) {
    case SPDM_CONTINUE: return IMPOSTOR_LEARNING;
    case SPDM_DONE: return take_place(im);
    default: return IMPOSTOR_FAILED;
    }
}

SpdmPublicKey impostor_key(HostImpostor *im)
{
    SpdmPublicKey key = { .kind = SPDM_KEY_P384 };

    (void)spdm_public_key_of(&im->identity.key, &im->entropy, &key); /* a test key: it has one */
    return key;
}

void impostor_answer(HostImpostor *im, HostRelay *relay)
{
    uint8_t        out[SPDM_MSG_MAX];
    size_t         len, n;
    bool           secured_out = false, secured = relay->type == DOE_TYPE_SECURED_SPDM;
    const uint8_t *request = relay_payload(relay, &len);

    n = spdm_responder_handle(&im->responder, secured, request, len, out, sizeof(out), &secured_out);
    if (n == 0 || n > RMI_COMM_BUFFER_MAX || secured_out != secured) {
        relay->state = RELAY_FAILED;
        return;
    }
    relay_start(relay, im->f, relay->type, out, n);
    relay->state = RELAY_DONE;
}
