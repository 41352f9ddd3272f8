/*
 * Seal and open one record. The associated data is SessionID || sequence number, if the transport shows it || Length;
 * the nonce is the channel's IV with its first eight bytes XORed by the little-endian sequence number (DSP0277 1.2
 * fixes that order; 1.0 and 1.1 left it open).
 */
#include "spdm/record.h"

#include <string.h>

#include "bytes.h"
#include "spdm/wire.h"

enum { RANDOM_MAX = 32, INNER_MAX = 4 };

/* SessionID, part of the sequence number, Length. */
static size_t header_len(const SpdmChannel *c) { return 4 + spdm_binding(c->transport)->sequence_len + 2u; }

size_t spdm_record_overhead(SpdmTransport t)
{
    return SPDM_RECORD_OVERHEAD + spdm_binding(t)->sequence_len + spdm_binding(t)->inner_len;
}

static void make_nonce(const SpdmChannel *c, uint8_t nonce[SPDM_AEAD_IV])
{
    memcpy(nonce, c->iv, SPDM_AEAD_IV);
    le64_put(nonce, le64_get(nonce) ^ c->sequence);
}

/* IMPLEMENTATION DEFINED: no random data follows the message, which DSP0277 leaves to the sender and DOE forbids. */
size_t spdm_record_seal(const SpdmAead *aead, SpdmChannel *c, uint32_t session_id, const uint8_t *msg,
                        size_t len, uint8_t *out, size_t cap)
{
    ByteWriter w = bw_init(out, cap);
    size_t     head = header_len(c), inner = spdm_binding(c->transport)->inner_len;
    uint8_t    nonce[SPDM_AEAD_IV], *tag;

    if (aead == NULL || len > UINT16_MAX - SPDM_RECORD_OVERHEAD - inner || c->sequence == UINT64_MAX) {
        return 0;
    }
    bw_u32(&w, session_id);
    bw_le(&w, c->sequence, spdm_binding(c->transport)->sequence_len);
    bw_u16(&w, (uint16_t)(2 + inner + len + SPDM_AEAD_TAG));
    bw_u16(&w, (uint16_t)(inner + len));
    spdm_inner_wrap(c->transport, len, &w);
    bw_bytes(&w, msg, len);
    tag = bw_take(&w, SPDM_AEAD_TAG);
    if (!bw_ok(&w)) {
        return 0;
    }
    make_nonce(c, nonce);
    if (!spdm_aead_seal(aead, c->key, nonce, (SpdmSpan){ out, head }, out + head, 2 + inner + len, out + head, tag)) {
        return 0;
    }
    c->sequence++;
    return w.pos;
}

bool spdm_record_session(const uint8_t *in, size_t len, uint32_t *session_id)
{
    ByteReader r = br_init(in, len);

    *session_id = br_u32(&r);
    return br_ok(&r);
}

bool spdm_record_open(const SpdmAead *aead, SpdmChannel *c, const uint8_t *in, size_t len, uint8_t *out,
                      size_t cap, size_t *out_len)
{
    ByteReader     r = br_init(in, len);
    uint8_t        plain[2 + INNER_MAX + SPDM_MSG_MAX + RANDOM_MAX], nonce[SPDM_AEAD_IV];
    const uint8_t *body, *tag;
    size_t         shown = spdm_binding(c->transport)->sequence_len, sealed, plain_len, app_len;
    SpdmSpan       msg;
    bool           ok;

    br_skip(&r, 4);
    if (br_le(&r, shown) != (c->sequence & ((1ull << 8 * shown) - 1))) {
        return false;
    }
    sealed = br_u16(&r);
    plain_len = sealed < SPDM_AEAD_TAG ? 0 : sealed - SPDM_AEAD_TAG;
    body = br_take(&r, plain_len);
    tag = br_take(&r, SPDM_AEAD_TAG);
    if (aead == NULL || !spdm_message_ends(&r) || plain_len < 2 || plain_len > sizeof(plain) ||
        c->sequence == UINT64_MAX) {
        return false;
    }
    make_nonce(c, nonce);
    if (!spdm_aead_open(aead, c->key, nonce, (SpdmSpan){ in, header_len(c) }, body, plain_len, plain, tag)) {
        return false;
    }
    c->sequence++;
    app_len = le16_get(plain);
    msg = (SpdmSpan){ plain + 2, app_len };
    ok = app_len <= plain_len - 2 && spdm_inner_unwrap(c->transport, &msg) && msg.len <= cap;
    if (ok) {
        memcpy(out, msg.data, msg.len);
        *out_len = msg.len;
    }
    spdm_wipe(plain, sizeof(plain)); /* it may hold keys of IDE streams */
    return ok;
}
