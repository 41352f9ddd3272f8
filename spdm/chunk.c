/*
 * Messages longer than the other side's buffer, in chunks: CHUNK_SEND and CHUNK_GET of the responder. DMTF DSP0274
 * 1.2, "Large SPDM message transfer mechanism" and message sections of those names. One transfer at a time in each
 * direction; only GET_VERSION may break into one.
 */
#include <string.h>

#include "spdm/responder.h"

#define LAST_CHUNK  BIT(0) /* Param1 of CHUNK_SEND and CHUNK_RESPONSE */
#define EARLY_ERROR BIT(0) /* Param1 of CHUNK_SEND_ACK */

enum { HEADER_LEN = 12, TOTAL_LEN = 4 }; /* of CHUNK_SEND and CHUNK_RESPONSE; the first one's more */

/* Of CHUNK_SEND_ACK. */
static size_t ack_len(uint8_t version) { return version >= SPDM_VERSION_14 ? 8 : 6; }

bool spdm_chunks_agreed(const SpdmResponder *s)
{
    return (spdm_capabilities(s) & s->peer_capabilities & SPDM_CAP_CHUNK) != 0;
}

void spdm_transfers_end(SpdmResponder *s, uint32_t session_id)
{
    SpdmTransfer *both[] = { &s->large_request, &s->large_response };

    for (unsigned i = 0; i < ARRAY_LEN(both); i++) {
        if (both[i]->active && both[i]->session_id == session_id) {
            both[i]->active = false;
            spdm_wipe(both[i]->message, sizeof(both[i]->message));
        }
    }
}

bool spdm_breaks_transfer(const SpdmResponder *s, const SpdmExchange *x)
{
    const SpdmTransfer *in = &s->large_request, *out = &s->large_response;

    return x->code != SPDM_GET_VERSION &&
           ((in->active && (x->code != SPDM_CHUNK_SEND || in->session_id != x->record_session)) ||
            (out->active && (x->code != SPDM_CHUNK_GET || out->session_id != x->record_session)));
}

/* Chunks that are not the last fill the smallest buffer that the standard allows. */
static size_t chunk_min(bool first) { return SPDM_DATA_TRANSFER_MIN - HEADER_LEN - (first ? TOTAL_LEN : 0); }

/* Takes one chunk of the requester's; false: what it says is wrong. */
static bool take_chunk(SpdmTransfer *t, uint8_t handle, bool last, uint32_t sequence, SpdmSpan chunk)
{
    size_t left = t->len - t->done;

    if (handle != t->handle || sequence != t->sequence || chunk.len > left || last != (chunk.len == left) ||
        (!last && chunk.len < chunk_min(t->done == 0))) {
        return false;
    }
    memcpy(t->message + t->done, chunk.data, chunk.len);
    t->done += (uint32_t)chunk.len;
    t->sequence++;
    return true;
}

/* The first chunk tells how long the message is. */
static bool begin(SpdmTransfer *t, const SpdmExchange *x, uint32_t len)
{
    if (len <= SPDM_DATA_TRANSFER_MIN || len > sizeof(t->message)) {
        return false;
    }
    t->active = true;
    t->handle = x->param2;
    t->sequence = 0;
    t->session_id = x->record_session;
    t->len = len;
    t->done = 0;
    return true;
}

/* The whole request, and its answer behind the acknowledgement. */
static SpdmError answer_large(SpdmResponder *s, SpdmExchange *x, ByteWriter *rsp)
{
    uint8_t      message[SPDM_MSG_MAX], plain[SPDM_MSG_MAX];
    uint32_t     len = s->large_request.len;
    ByteWriter   w = bw_init(plain, sizeof(plain));
    SpdmExchange y = { .session = x->session, .record_session = x->record_session,
                       .room = x->room - ack_len(s->version), .in_chunks = true };

    memcpy(message, s->large_request.message, len);
    spdm_transfers_end(s, x->record_session);
    spdm_answer(s, &y, message, len, &w);
    spdm_wipe(message, sizeof(message));
    x->session = y.session;
    x->after = y.after;
    bw_bytes(rsp, plain, w.pos);
    return w.pos != 0 ? SPDM_OK : SPDM_SILENT;
}

SPDM_REQUEST(CHUNK_SEND, .from = SPDM_AFTER_CAPABILITIES, .needs = SPDM_CAP_CHUNK, .peer_needs = SPDM_CAP_CHUNK,
             .where = SPDM_WHEREVER, .carries = true)
{
    SpdmTransfer *t = &s->large_request;
    bool          first = !t->active, last = x->param1 & LAST_CHUNK, ok;
    uint32_t      sequence = spdm_read_chunk_number(req, s->version);
    SpdmSpan      chunk;
    uint32_t      total;

    br_skip(req, spdm_chunk_gap(s->version));
    chunk.len = br_u32(req);
    total = first ? br_u32(req) : 0;
    if (!br_ok(req)) {
        return SPDM_INVALID_REQUEST;
    }
    chunk.data = br_take(req, chunk.len);
    ok = spdm_message_ends(req) && (!first || (!last && begin(t, x, total))) &&
         take_chunk(t, x->param2, last, sequence, chunk);
    spdm_reply(s, x, rsp, ok ? 0 : EARLY_ERROR, x->param2);
    spdm_write_chunk_number(rsp, s->version, sequence);
    if (!ok) {
        spdm_transfers_end(s, x->record_session);
        spdm_begin(rsp, s->version, SPDM_ERROR, SPDM_INVALID_REQUEST, 0);
        return SPDM_OK;
    }
    return last ? answer_large(s, x, rsp) : SPDM_OK;
}

void spdm_keep_large_response(SpdmResponder *s, const SpdmExchange *x, ByteWriter *rsp)
{
    SpdmTransfer *t = &s->large_response;

    t->active = true;
    t->handle++; /* so that a late CHUNK_GET cannot mean the next one */
    t->sequence = 0;
    t->session_id = x->record_session;
    t->len = (uint32_t)rsp->pos;
    t->done = 0;
    memcpy(t->message, rsp->data, t->len);
    rsp->pos = 0;
    spdm_begin(rsp, s->version, SPDM_ERROR, SPDM_LARGE_RESPONSE, 0);
    bw_u8(rsp, t->handle);
}

SPDM_REQUEST(CHUNK_GET, .from = SPDM_AFTER_CAPABILITIES, .needs = SPDM_CAP_CHUNK, .peer_needs = SPDM_CAP_CHUNK,
             .where = SPDM_WHEREVER, .carries = true)
{
    SpdmTransfer *t = &s->large_response;
    uint32_t      sequence = spdm_read_chunk_number(req, s->version);
    bool          first = t->done == 0;
    size_t        room = x->room - HEADER_LEN - (first ? TOTAL_LEN : 0), len = t->len - t->done;

    if (!spdm_message_ends(req)) {
        return SPDM_INVALID_REQUEST;
    }
    if (!t->active) {
        return SPDM_UNEXPECTED_REQUEST;
    }
    if (x->param2 != t->handle || sequence != t->sequence) {
        return SPDM_INVALID_REQUEST;
    }
    len = len < room ? len : room;
    spdm_reply(s, x, rsp, t->done + len == t->len ? LAST_CHUNK : 0, t->handle);
    spdm_write_chunk_number(rsp, s->version, sequence);
    bw_zero(rsp, spdm_chunk_gap(s->version));
    bw_u32(rsp, (uint32_t)len);
    if (first) {
        bw_u32(rsp, t->len);
    }
    bw_bytes(rsp, t->message + t->done, len);
    t->done += (uint32_t)len;
    t->sequence++;
    if (t->done == t->len) {
        spdm_transfers_end(s, t->session_id);
    }
    return SPDM_OK;
}
