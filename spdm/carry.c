/*
 * The requester's half of large messages and of RESPOND_IF_READY.
 */
#include "spdm/carry.h"

#include <stdio.h>
#include <string.h>

#define LAST_CHUNK  BIT(0)
#define EARLY_ERROR BIT(0)

enum { HEADER_LEN = 12, TOTAL_LEN = 4, POLLS_MAX = 256, WAIT_EXPONENT_MAX = 31 };

uint32_t spdm_requester_capabilities(const SpdmRequester *r)
{
    return SPDM_CAP_CERT | SPDM_CAP_ENCRYPT | SPDM_CAP_MAC | SPDM_CAP_KEY_EX | SPDM_CAP_HANDSHAKE_IN_THE_CLEAR |
           (r->identity != NULL ? SPDM_CAP_MUT_AUTH | SPDM_CAP_ENCAP : 0u) |
           (r->identity != NULL && r->challenge != NULL ? (uint32_t)SPDM_CAP_CHAL : 0u) |
           (spdm_has_own_keys(r) ? SPDM_CAP_MULTI_KEY_ONLY : 0u) |
           (r->options.heartbeat ? (uint32_t)SPDM_CAP_HBEAT : 0u) |
           (r->options.large && r->version >= SPDM_VERSION_14 ? SPDM_CAP_LARGE_RESP : 0u) |
           (r->options.encapsulated ? SPDM_CAP_ENCAP | SPDM_CAP_KEY_UPD : 0u) |
           (r->options.psk.key_len != 0 ? SPDM_CAP_PSK_PLAIN : 0u) |
           (r->options.transfer_size != 0 && r->version >= SPDM_VERSION_12 ? SPDM_CAP_CHUNK : 0u);
}

static bool chunks_agreed(const SpdmRequester *r)
{
    return (spdm_requester_capabilities(r) & r->peer_capabilities & SPDM_CAP_CHUNK) != 0;
}

static SpdmCarried broken(SpdmRequester *r, const char *why)
{
    snprintf(r->error, sizeof(r->error), "%s", why);
    return SPDM_CARRIED_BROKEN;
}

void spdm_carry_stop(SpdmRequester *r)
{
    r->carrier.what = SPDM_CARRY_NOTHING;
    spdm_wipe(r->carrier.message, sizeof(r->carrier.message));
}

static void begin(SpdmRequester *r, SpdmCarry what, uint8_t handle)
{
    r->carrier.what = what;
    r->carrier.handle = handle;
    r->carrier.sequence = 0;
    r->carrier.len = r->carrier.done = 0;
}

/* Nothing is known of the device's buffer before its CAPABILITIES. */
const char *spdm_carry_start(SpdmRequester *r)
{
    r->carrier.polls = 0;
    if (r->peer_transfer_size == 0 || r->request_len <= r->peer_transfer_size) {
        return NULL;
    }
    if (!chunks_agreed(r) || r->request_len > r->peer_max_size) {
        return "the request is longer than the device takes";
    }
    begin(r, SPDM_CARRY_SEND, ++r->carrier.last_handle);
    r->carrier.len = r->request_len;
    return NULL;
}

static void write_chunk(SpdmRequester *r, ByteWriter *w)
{
    SpdmCarrier *c = &r->carrier;
    bool         first = c->done == 0;
    uint32_t     room = r->peer_transfer_size - HEADER_LEN - (first ? TOTAL_LEN : 0), left = c->len - c->done;
    uint32_t     len = left < room ? left : room;

    spdm_begin(w, r->version, SPDM_CHUNK_SEND, len == left ? LAST_CHUNK : 0, c->handle);
    spdm_write_chunk_number(w, r->version, c->sequence);
    bw_zero(w, spdm_chunk_gap(r->version));
    bw_u32(w, len);
    if (first) {
        bw_u32(w, c->len);
    }
    bw_bytes(w, r->request + c->done, len);
    c->done += len;
}

SpdmSpan spdm_carry_request(SpdmRequester *r, ByteWriter *w)
{
    switch (r->carrier.what) {
    case SPDM_CARRY_SEND:
        write_chunk(r, w);
        break;
    case SPDM_CARRY_GET:
        spdm_begin(w, r->version, SPDM_CHUNK_GET, 0, r->carrier.handle);
        spdm_write_chunk_number(w, r->version, r->carrier.sequence);
        break;
    case SPDM_CARRY_POLL:
        spdm_begin(w, r->version, SPDM_RESPOND_IF_READY, r->request[1], r->carrier.handle);
        break;
    case SPDM_CARRY_NOTHING:
    default:
        return (SpdmSpan){ r->request, r->request_len };
    }
    return (SpdmSpan){ w->data, w->pos };
}

/* DSP0274 "ResponseNotReady extended error data": exponent of the time, request code, token, its multiplier. */
static SpdmCarried not_ready(SpdmRequester *r, ByteReader *rsp)
{
    uint8_t exponent = br_u8(rsp), code = br_u8(rsp), token = br_u8(rsp);

    br_skip(rsp, 1);
    if (!spdm_message_ends(rsp) || code != r->request[1] || exponent > WAIT_EXPONENT_MAX) {
        return broken(r, "ERROR ResponseNotReady is malformed");
    }
    if (r->carrier.polls == POLLS_MAX) {
        return broken(r, "the device was asked 256 times and is still not ready");
    }
    r->carrier.polls++;
    r->carrier.exponent = exponent;
    begin(r, SPDM_CARRY_POLL, token);
    return SPDM_CARRIED_MORE;
}

/* The rest of the reply becomes the reply. */
static SpdmCarried unwrap(SpdmRequester *r, const ByteReader *rsp)
{
    r->reply_len = (uint32_t)br_left(rsp);
    memmove(r->reply, rsp->data + rsp->pos, r->reply_len);
    spdm_carry_stop(r);
    return spdm_carry_reply(r); /* it may be an ERROR LargeResponse */
}

static SpdmCarried read_chunk_ack(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2)
{
    SpdmCarrier *c = &r->carrier;
    uint32_t     sequence = spdm_read_chunk_number(rsp, r->version);

    if (!br_ok(rsp) || param2 != c->handle || sequence != c->sequence) {
        return broken(r, "CHUNK_SEND_ACK is of another chunk");
    }
    if ((param1 & EARLY_ERROR) && (br_left(rsp) < 4 || rsp->data[rsp->pos + 1] != SPDM_ERROR)) {
        return broken(r, "CHUNK_SEND_ACK with an early error has none");
    }
    if ((param1 & EARLY_ERROR) || c->done == c->len) {
        return unwrap(r, rsp);
    }
    c->sequence++;
    return SPDM_CARRIED_MORE;
}

static SpdmCarried read_chunk(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2)
{
    SpdmCarrier   *c = &r->carrier;
    bool           last = param1 & LAST_CHUNK;
    uint32_t       sequence = spdm_read_chunk_number(rsp, r->version);
    uint32_t       len;
    const uint8_t *data;

    br_skip(rsp, spdm_chunk_gap(r->version));
    len = br_u32(rsp);
    if (c->sequence == 0) {
        c->len = br_u32(rsp);
    }
    data = br_take(rsp, len);
    if (!spdm_message_ends(rsp) || param2 != c->handle || sequence != c->sequence || len == 0 ||
        c->len > sizeof(c->message) || len > c->len - c->done || last != (c->done + len == c->len)) {
        return broken(r, "CHUNK_RESPONSE is malformed or of another chunk");
    }
    memcpy(c->message + c->done, data, len);
    c->done += len;
    c->sequence++;
    if (!last) {
        return SPDM_CARRIED_MORE;
    }
    memcpy(r->reply, c->message, c->len);
    r->reply_len = c->len;
    spdm_carry_stop(r);
    return SPDM_CARRIED_WHOLE;
}

SpdmCarried spdm_carry_reply(SpdmRequester *r)
{
    ByteReader rsp = br_init(r->reply, r->reply_len);
    SpdmCarry  what = r->carrier.what;
    uint8_t    version = br_u8(&rsp), code = br_u8(&rsp), param1 = br_u8(&rsp), param2 = br_u8(&rsp), handle;

    if (!br_ok(&rsp)) {
        return SPDM_CARRIED_WHOLE; /* which is too short, as will be noticed */
    }
    if (code == SPDM_ERROR) {
        if (param1 == SPDM_RESPONSE_NOT_READY && (what == SPDM_CARRY_NOTHING || what == SPDM_CARRY_POLL)) {
            return not_ready(r, &rsp);
        }
        handle = br_u8(&rsp);
        if (param1 == SPDM_LARGE_RESPONSE && chunks_agreed(r) && what != SPDM_CARRY_GET && spdm_message_ends(&rsp)) {
            begin(r, SPDM_CARRY_GET, handle);
            return SPDM_CARRIED_MORE;
        }
        spdm_carry_stop(r);
        return SPDM_CARRIED_WHOLE;
    }
    if (what == SPDM_CARRY_SEND && version == r->version && code == SPDM_RESPONSE_OF(SPDM_CHUNK_SEND)) {
        return read_chunk_ack(r, &rsp, param1, param2);
    }
    if (what == SPDM_CARRY_GET && version == r->version && code == SPDM_RESPONSE_OF(SPDM_CHUNK_GET)) {
        return read_chunk(r, &rsp, param1, param2);
    }
    if (what == SPDM_CARRY_SEND || what == SPDM_CARRY_GET) {
        return broken(r, "the response is no chunk, in the middle of a large message");
    }
    spdm_carry_stop(r);
    return SPDM_CARRIED_WHOLE;
}

uint64_t spdm_requester_wait_us(const SpdmRequester *r)
{
    return r->carrier.what == SPDM_CARRY_POLL ? 1ull << r->carrier.exponent : 0;
}
