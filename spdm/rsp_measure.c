/*
 * GET_MEASUREMENTS and the measurement summary. DMTF DSP0274 1.2, "GET_MEASUREMENTS request message" and
 * "DMTF measurement specification format". The values come from the device; this file hashes, frames and
 * signs them.
 */
#include "spdm/responder.h"

#define ASK_SIGNATURE  BIT(0)
#define ASK_RAW        BIT(1)
#define INDEX_COUNT    0
#define INDEX_ALL      0xff
#define VALUE_RAW      0x80
#define RECORD_LEN_AT  5 /* offset of MeasurementRecordLength in MEASUREMENTS */
#define BLOCKS_AT      4

static bool source_has(SpdmResponder *s, unsigned n, SpdmMeasurement *m)
{
    return s->config.measurement != NULL && s->config.measurement(s->config.opaque, n, m);
}

/* Whether the connection has that type of measurement: device mode and versions came with 1.2, others with 1.3; a
 * hash-extend measurement takes a log and something to hash with. */
static bool has_kind(const SpdmResponder *s, uint8_t kind)
{
    unsigned last = s->version >= SPDM_VERSION_13   ? SPDM_MEAS_STRUCTURED_MANIFEST
                    : s->version >= SPDM_VERSION_12 ? SPDM_MEAS_SECURITY_VERSION
                                                    : SPDM_MEAS_MANIFEST;
    bool     has_log = spdm_capabilities(s) & SPDM_CAP_MEL && spdm_measure_hash(s->selected.measure_hash) != NULL;

    return kind <= last && (kind != SPDM_MEAS_HASH_EXTEND || has_log);
}

/* The @n-th measurement that the connection has. */
static bool next_measurement(SpdmResponder *s, unsigned n, SpdmMeasurement *m)
{
    for (unsigned i = 0; source_has(s, i, m); i++) {
        if (has_kind(s, m->kind) && n-- == 0) {
            return true;
        }
    }
    return false;
}

/* What the log makes of a hash-extend measurement. */
static bool extend(SpdmResponder *s, const SpdmMeasurement *m, const SpdmHash *hash, uint8_t *out)
{
    uint8_t    bytes[SPDM_LOG_MAX];
    ByteWriter log = bw_init(bytes, sizeof(bytes));

    return spdm_device_log(s, &log) && spdm_log_extend((SpdmSpan){ bytes, log.pos }, m->index, hash, out) == NULL;
}

static void append_block(SpdmResponder *s, const SpdmMeasurement *m, bool raw, ByteWriter *w)
{
    const SpdmHash *hash = spdm_measure_hash(s->selected.measure_hash); /* NULL: SPDM_MEASURE_RAW */
    SpdmSpan        value = { m->value, m->len };
    bool            extends = m->kind == SPDM_MEAS_HASH_EXTEND; /* a digest, whatever was asked for */
    bool            as_is = !extends && (raw || m->raw_only || hash == NULL);
    size_t          len = as_is ? m->len : hash->len;
    uint8_t        *out;

    bw_u8(w, m->index);
    bw_u8(w, SPDM_MEAS_SPEC_DMTF);
    bw_u16(w, (uint16_t)(3 + len));
    bw_u8(w, (uint8_t)(m->kind | (as_is ? VALUE_RAW : 0)));
    bw_u16(w, (uint16_t)len);
    if (as_is) {
        bw_bytes(w, m->value, len);
    } else if ((out = bw_take(w, len)) != NULL) {
        w->failed |= extends ? !extend(s, m, hash, out) : !spdm_hash_spans(hash, &value, 1, out);
    }
}

bool spdm_summary_is_possible(const SpdmResponder *s, uint8_t type)
{
    return type == SPDM_SUMMARY_NONE || ((type == SPDM_SUMMARY_TCB || type == SPDM_SUMMARY_ALL) &&
                                         (s->config.capabilities & SPDM_CAP_MEAS) && s->selected.measure_spec != 0);
}

SpdmError spdm_append_summary(SpdmResponder *s, uint8_t type, ByteWriter *rsp)
{
    const SpdmHash *hash = spdm_hash(s->selected.hash);
    uint8_t         blocks[SPDM_MSG_MAX], *out;
    ByteWriter      w = bw_init(blocks, sizeof(blocks));
    SpdmMeasurement m;
    SpdmSpan        all;

    if (type == SPDM_SUMMARY_NONE) {
        return SPDM_OK;
    }
    if (!spdm_summary_is_possible(s, type)) {
        return SPDM_INVALID_REQUEST;
    }
    for (unsigned n = 0; next_measurement(s, n, &m); n++) {
        if (type == SPDM_SUMMARY_ALL || m.tcb) {
            append_block(s, &m, false, &w);
        }
    }
    all = (SpdmSpan){ blocks, w.pos };
    out = bw_take(rsp, hash->len);
    return bw_ok(&w) && out != NULL && spdm_hash_spans(hash, &all, 1, out) ? SPDM_OK : SPDM_UNSPECIFIED;
}

/* Count, record and its length; false when the index does not exist. */
static bool append_record(SpdmResponder *s, SpdmExchange *x, ByteWriter *rsp)
{
    SpdmMeasurement m;
    unsigned        total = 0, blocks = 0;
    size_t          start;

    bw_u8(rsp, 0);  /* NumberOfBlocks: below */
    bw_u24(rsp, 0); /* MeasurementRecordLength: below */
    start = rsp->pos;
    for (; next_measurement(s, total, &m); total++) {
        if (x->param2 == INDEX_ALL || x->param2 == m.index) {
            append_block(s, &m, s->version >= SPDM_VERSION_12 && (x->param1 & ASK_RAW), rsp);
            blocks++;
        }
    }
    if (bw_ok(rsp)) {
        rsp->data[2] = x->param2 == INDEX_COUNT ? (uint8_t)total : 0;
        rsp->data[BLOCKS_AT] = (uint8_t)blocks;
        le_put(rsp->data + RECORD_LEN_AT, rsp->pos - start, 3);
    }
    return x->param2 == INDEX_COUNT || x->param2 == INDEX_ALL || blocks != 0;
}

SPDM_REQUEST(GET_MEASUREMENTS, .from = SPDM_NEGOTIATED, .needs = SPDM_CAP_MEAS, .where = SPDM_ANYWHERE,
             .is_signed = true, .signed_bit = ASK_SIGNATURE, .drops_b = true)
{
    SpdmTranscript *l1l2 = x->session != NULL ? &x->session->l1l2 : &s->l1l2;
    bool            sign = x->param1 & ASK_SIGNATURE, has_vca = s->version >= SPDM_VERSION_12;
    uint8_t         slot = 0, nonce[SPDM_NONCE_LEN], context[SPDM_CONTEXT_LEN];
    SpdmSpan        spans[2], whole;
    SpdmChain       chain;
    SpdmError       e;

    if (sign) {
        br_skip(req, SPDM_NONCE_LEN);
        slot = br_u8(req) & 0xf;
    }
    spdm_read_context(s, req, context);
    if (!spdm_message_ends(req) || (sign && ((s->config.capabilities & SPDM_CAP_MEAS) != SPDM_CAP_MEAS_SIG ||
                                             !spdm_slot_chain(s, slot, &chain) ||
                                             !spdm_slot_is_for(s, slot, SPDM_USE_MEASUREMENT)))) {
        return SPDM_INVALID_REQUEST;
    }
    if (s->selected.measure_spec == 0) {
        return SPDM_UNEXPECTED_REQUEST;
    }
    entropy_bytes(s->config.entropy, nonce, sizeof(nonce));
    spdm_reply(s, x, rsp, 0, slot); /* content-changed 0: not detected */
    if (!append_record(s, x, rsp)) {
        return SPDM_INVALID_REQUEST;
    }
    bw_bytes(rsp, nonce, sizeof(nonce));
    bw_u16(rsp, 0); /* OpaqueDataLength */
    spdm_append_context(s, context, rsp);
    whole = spdm_whole_request(req);
    spdm_transcript_add(l1l2, whole.data, whole.len);
    spdm_transcript_add(l1l2, rsp->data, rsp->pos);
    if (!bw_ok(rsp) || l1l2->overflowed) {
        return SPDM_UNSPECIFIED;
    }
    if (!sign) {
        return SPDM_OK;
    }
    /* DSP0274 "L1 and L2": VCA (since 1.2), then every pair since the last signature, this one without its own. */
    spans[0] = spdm_transcript_span(&s->a);
    spans[1] = spdm_transcript_span(l1l2);
    e = spdm_append_signature(s, slot, SPDM_SIGN_MEASUREMENTS, spans + !has_vca, 1 + has_vca, rsp);
    spdm_transcript_reset(l1l2);
    return e;
}
