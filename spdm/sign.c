/*
 * The message that is signed. Since 1.2: four times "dmtf-spdm-v1.2.*", the context string right-aligned in 36
 * bytes, the hash of the transcript; the signature algorithm hashes this again, with the same hash (Ed25519 signs it as
 * it is, Ed448 too, and has the context string once more as its own). With 1.1: the transcript, hashed by the
 * algorithm; 1.1's Sign(SK, Hash(M1)) makes it the hash for Ed25519 and Ed448.
 */
#include "spdm/sign.h"

#include <string.h>

#include "bytes.h"
#include "spdm/wire.h"

#define PREFIX_LEN  64
#define CONTEXT_LEN 36

typedef struct SignedMessage {
    uint8_t bytes[PREFIX_LEN + CONTEXT_LEN + SPDM_HASH_MAX];
    size_t  len;
} SignedMessage;

/* Whether the algorithm gets the transcript itself. */
static bool signs_transcript(const SpdmSigner *s)
{
    return s->version < SPDM_VERSION_12 && !spdm_key_is_edwards(s->asym->kind);
}

static bool build_message(const SpdmSigner *s, const char *context, const SpdmSpan *spans, size_t n,
                          SignedMessage *m)
{
    char   prefix[] = "dmtf-spdm-v1.2.*";
    size_t context_len = strlen(context);

    memset(m, 0, sizeof(*m));
    if (s->version < SPDM_VERSION_12) {
        m->len = s->hash->len;
        return spdm_hash_spans(s->hash, spans, n, m->bytes);
    }
    if (context_len > CONTEXT_LEN) {
        return false;
    }
    prefix[11] = (char)('0' + (s->version >> 4));
    prefix[13] = (char)('0' + (s->version & 0xf));
    for (size_t i = 0; i < PREFIX_LEN; i += 16) {
        memcpy(m->bytes + i, prefix, 16);
    }
    memcpy(m->bytes + PREFIX_LEN + CONTEXT_LEN - context_len, context, context_len);
    m->len = PREFIX_LEN + CONTEXT_LEN + s->hash->len;
    return spdm_hash_spans(s->hash, spans, n, m->bytes + PREFIX_LEN + CONTEXT_LEN);
}

bool spdm_sign(const SpdmSigner *s, Entropy *entropy, const SpdmPrivateKey *key, const char *context,
               const SpdmSpan *spans, size_t n, uint8_t *sig)
{
    SignedMessage m;

    if (signs_transcript(s)) {
        return spdm_key_sign(s->asym, s->hash, entropy, key, NULL, spans, n, sig);
    }
    return build_message(s, context, spans, n, &m) &&
           spdm_key_sign(s->asym, s->hash, entropy, key, s->version >= SPDM_VERSION_12 ? context : NULL,
                         &(SpdmSpan){ m.bytes, m.len }, 1, sig);
}

bool spdm_verify(const SpdmSigner *s, const SpdmPublicKey *key, const char *context, const SpdmSpan *spans,
                 size_t n, const uint8_t *sig)
{
    SignedMessage m;

    if (signs_transcript(s)) {
        return spdm_key_verify(s->asym, s->hash, key, NULL, spans, n, sig);
    }
    return build_message(s, context, spans, n, &m) &&
           spdm_key_verify(s->asym, s->hash, key, s->version >= SPDM_VERSION_12 ? context : NULL,
                           &(SpdmSpan){ m.bytes, m.len }, 1, sig);
}
