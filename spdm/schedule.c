/*
 * DSP0274 "Key schedule": HKDF (RFC 5869) with the negotiated hash. Left out: the export master secret, which
 * has no use here.
 */
#include "spdm/schedule.h"

#include <string.h>

#include "bytes.h"
#include "spdm/wire.h"

#define INFO_MAX 128

/* RFC 5869 "Step 2: Expand" for one block: T(1) = HMAC(PRK, info || 1). */
static bool expand_block(const SpdmHash *hash, const uint8_t *prk, ByteWriter *info, uint8_t *out,
                         size_t out_len)
{
    uint8_t block[SPDM_HASH_MAX];
    bool    ok;

    bw_u8(info, 1);
    ok = bw_ok(info) && out_len <= hash->len && spdm_hmac(hash, prk, hash->len, info->data, info->pos, block);
    if (ok) {
        memcpy(out, block, out_len);
    }
    spdm_wipe(block, sizeof(block));
    return ok;
}

bool spdm_expand(const SpdmSuite *suite, const uint8_t *secret, const char *label, const uint8_t *context,
                 uint8_t *out, size_t out_len)
{
    uint8_t    text[INFO_MAX];
    ByteWriter info = bw_init(text, sizeof(text));
    char       version[] = "spdm1.2 ";

    version[4] = (char)('0' + (suite->version >> 4));
    version[6] = (char)('0' + (suite->version & 0xf));
    bw_u16(&info, (uint16_t)out_len);
    bw_bytes(&info, version, strlen(version));
    bw_bytes(&info, label, strlen(label));
    if (context != NULL) {
        bw_bytes(&info, context, suite->hash->len);
    }
    return expand_block(suite->hash, secret, &info, out, out_len);
}

static bool derive_channel(const SpdmSuite *suite, const uint8_t *secret, SpdmChannel *c)
{
    memset(c, 0, sizeof(*c));
    c->transport = suite->transport;
    return spdm_expand(suite, secret, "key", NULL, c->key, suite->aead->key_len) &&
           spdm_expand(suite, secret, "iv", NULL, c->iv, sizeof(c->iv));
}

bool spdm_derive_handshake(const SpdmSuite *suite, bool psk, const uint8_t *secret, size_t secret_len,
                           const uint8_t *th1, SpdmKeys *keys)
{
    uint8_t              salt[SPDM_HASH_MAX];
    size_t               h = suite->hash->len;
    uint8_t              request[SPDM_HASH_MAX], response[SPDM_HASH_MAX];
    bool                 ok;

    memset(salt, psk && suite->version >= SPDM_VERSION_13 ? 0xff : 0, sizeof(salt)); /* Salt_0 */
    ok = spdm_hmac(suite->hash, salt, h, secret, secret_len, keys->handshake_secret) &&
         spdm_expand(suite, keys->handshake_secret, "req hs data", th1, request, h) &&
         spdm_expand(suite, keys->handshake_secret, "rsp hs data", th1, response, h) &&
         spdm_expand(suite, request, "finished", NULL, keys->request_finished, h) &&
         spdm_expand(suite, response, "finished", NULL, keys->response_finished, h) &&
         derive_channel(suite, request, &keys->request_handshake) &&
         derive_channel(suite, response, &keys->response_handshake);
    spdm_wipe(request, sizeof(request));
    spdm_wipe(response, sizeof(response));
    return ok;
}

bool spdm_derive_data(const SpdmSuite *suite, const uint8_t *th2, SpdmKeys *keys)
{
    static const uint8_t zero_ikm[SPDM_HASH_MAX];
    size_t               h = suite->hash->len;
    uint8_t              salt[SPDM_HASH_MAX], master[SPDM_HASH_MAX];
    bool                 ok;

    ok = spdm_expand(suite, keys->handshake_secret, "derived", NULL, salt, h) &&
         spdm_hmac(suite->hash, salt, h, zero_ikm, h, master) &&
         spdm_expand(suite, master, "req app data", th2, keys->request_secret, h) &&
         spdm_expand(suite, master, "rsp app data", th2, keys->response_secret, h) &&
         derive_channel(suite, keys->request_secret, &keys->request_data) &&
         derive_channel(suite, keys->response_secret, &keys->response_data);
    spdm_wipe(salt, sizeof(salt));
    spdm_wipe(master, sizeof(master));
    return ok;
}

void spdm_forget_handshake(SpdmKeys *keys)
{
    spdm_wipe(keys->handshake_secret, sizeof(keys->handshake_secret));
    spdm_wipe(keys->request_finished, sizeof(keys->request_finished));
    spdm_wipe(keys->response_finished, sizeof(keys->response_finished));
    spdm_wipe(&keys->request_handshake, sizeof(keys->request_handshake));
    spdm_wipe(&keys->response_handshake, sizeof(keys->response_handshake));
}

bool spdm_update_channel(const SpdmSuite *suite, uint8_t *secret, SpdmChannel *c)
{
    uint8_t next[SPDM_HASH_MAX];
    bool    ok = spdm_expand(suite, secret, "traffic upd", NULL, next, suite->hash->len) &&
              derive_channel(suite, next, c);

    if (ok) {
        memcpy(secret, next, suite->hash->len);
    }
    spdm_wipe(next, sizeof(next));
    return ok;
}
