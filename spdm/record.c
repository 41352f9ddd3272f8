/*
 * Seal and open one record. The associated data is SessionID || Length; the nonce is the channel's IV with
 * its first eight bytes XORed by the little-endian sequence number (DSP0277 1.2 fixes that order; 1.0 and 1.1
 * left it open).
 */
#include "spdm/record.h"

#include <string.h>

#include "bytes.h"
#include "spdm/wire.h"

#define HEADER_LEN 6 /* SessionID u32, Length u16 */

static void make_nonce(const SpdmChannel *c, uint8_t nonce[SPDM_AEAD_IV])
{
    memcpy(nonce, c->iv, SPDM_AEAD_IV);
    le64_put(nonce, le64_get(nonce) ^ c->sequence);
}

size_t spdm_record_seal(const SpdmAead *aead, SpdmChannel *c, uint32_t session_id, const uint8_t *msg,
                        size_t len, uint8_t *out, size_t cap)
{
    ByteWriter w = bw_init(out, cap);
    uint8_t    nonce[SPDM_AEAD_IV], *tag;

    if (len > UINT16_MAX - SPDM_RECORD_OVERHEAD || c->sequence == UINT64_MAX) {
        return 0;
    }
    bw_u32(&w, session_id);
    bw_u16(&w, (uint16_t)(2 + len + SPDM_AEAD_TAG));
    bw_u16(&w, (uint16_t)len);
    bw_bytes(&w, msg, len);
    tag = bw_take(&w, SPDM_AEAD_TAG);
    if (!bw_ok(&w)) {
        return 0;
    }
    make_nonce(c, nonce);
    if (!spdm_aead_seal(aead, c->key, nonce, (SpdmSpan){ out, HEADER_LEN }, out + HEADER_LEN, 2 + len,
                        out + HEADER_LEN, tag)) {
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
    uint8_t        plain[2 + SPDM_MSG_MAX], nonce[SPDM_AEAD_IV];
    const uint8_t *body, *tag;
    size_t         sealed, plain_len, app_len;

    br_skip(&r, 4);
    sealed = br_u16(&r);
    plain_len = sealed < SPDM_AEAD_TAG ? 0 : sealed - SPDM_AEAD_TAG;
    body = br_take(&r, plain_len);
    tag = br_take(&r, SPDM_AEAD_TAG);
    if (!spdm_message_ends(&r) || plain_len < 2 || plain_len > sizeof(plain) || c->sequence == UINT64_MAX) {
        return false;
    }
    make_nonce(c, nonce);
    if (!spdm_aead_open(aead, c->key, nonce, (SpdmSpan){ in, HEADER_LEN }, body, plain_len, plain, tag)) {
        return false;
    }
    c->sequence++;
    app_len = le16_get(plain);
    if (app_len > plain_len - 2 || app_len > cap) {
        return false;
    }
    memcpy(out, plain + 2, app_len);
    *out_len = app_len;
    return true;
}
