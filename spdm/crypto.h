/*
 * The cryptography SPDM needs, over OpenSSL, with plain bytes on both sides: no OpenSSL object outlives a
 * call, so every key and every state can be saved. The algorithm tables hold what is offered and selected; an
 * algorithm joins by a row here and a test. Functions that need random numbers take the Entropy to draw from.
 */
#ifndef BAILEY_SPDM_CRYPTO_H
#define BAILEY_SPDM_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "entropy.h"

/* Widest value of any algorithm in the tables; state structures are sized by these. */
#define SPDM_HASH_MAX   48
#define SPDM_SIG_MAX    96
#define SPDM_POINT_MAX  97 /* uncompressed point: 04 || X || Y */
#define SPDM_SCALAR_MAX 48
#define SPDM_DHE_MAX    96 /* exchange data: X || Y */
#define SPDM_AEAD_KEY   32
#define SPDM_AEAD_IV    12
#define SPDM_AEAD_TAG   16

/* Selections are the single bit of DSP0274 "NEGOTIATE_ALGORITHMS request message format", and index these
 * tables. */
typedef struct SpdmHash {
    uint32_t    bit;         /* BaseHashAlgo */
    uint32_t    measure_bit; /* MeasurementHashAlgo numbers the same hashes differently */
    size_t      len;
    const char *name; /* OpenSSL's */
} SpdmHash;

typedef struct SpdmAsym {
    uint32_t    bit; /* BaseAsymAlgo */
    size_t      sig_len, scalar_len, point_len;
    const char *curve, *hash;
} SpdmAsym;

typedef struct SpdmDhe {
    uint32_t    bit;
    size_t      len, secret_len; /* exchange data; shared secret */
    const char *curve;
} SpdmDhe;

typedef struct SpdmAead {
    uint32_t    bit;
    size_t      key_len;
    const char *name;
} SpdmAead;

/* The row of one selected bit, or NULL for a bit (or a combination) that is not offered here. */
const SpdmHash *spdm_hash(uint32_t bit);
const SpdmAsym *spdm_asym(uint32_t bit);
const SpdmDhe  *spdm_dhe(uint32_t bit);
const SpdmAead *spdm_aead(uint32_t bit);

/* Everything the tables offer, as masks for NEGOTIATE_ALGORITHMS. */
typedef struct SpdmAlgMasks {
    uint32_t hash, measure_hash, asym;
    uint16_t dhe, aead;
} SpdmAlgMasks;

SpdmAlgMasks spdm_algorithms_offered(void);

/* A span of bytes to hash or sign over; messages are hashed in pieces, without being joined first. */
typedef struct SpdmSpan {
    const void *data;
    size_t      len;
} SpdmSpan;

/**
 * spdm_hash_spans - hash spans as one message.
 * @out: receives @hash->len bytes
 * Returns false only when the library fails.
 */
bool spdm_hash_spans(const SpdmHash *hash, const SpdmSpan *spans, size_t n, uint8_t *out);

bool spdm_hmac(const SpdmHash *hash, const uint8_t *key, size_t key_len, const void *data, size_t len,
               uint8_t *out);

/**
 * spdm_ecdsa_sign - sign the message that the spans make up (it is hashed here, with @asym's hash).
 * @scalar: private key, big-endian, @asym->scalar_len bytes
 * @sig:    receives r || s, @asym->sig_len bytes
 */
bool spdm_ecdsa_sign(const SpdmAsym *asym, Entropy *entropy, const uint8_t *scalar, const SpdmSpan *spans,
                     size_t n, uint8_t *sig);

/* Whether @sig (r || s) is @point's signature over @msg. @point: uncompressed, @asym->point_len bytes. */
bool spdm_ecdsa_verify(const SpdmAsym *asym, const uint8_t *point, const SpdmSpan *spans, size_t n,
                       const uint8_t *sig);

/* Whether @point is an uncompressed point of the curve. */
bool spdm_point_is_valid(const char *curve, const uint8_t *point, size_t len);

/* The public point of a private scalar. */
bool spdm_public_point(const SpdmAsym *asym, Entropy *entropy, const uint8_t *scalar, uint8_t *point);

/**
 * spdm_dhe_generate - make an ephemeral key pair.
 * @scalar: receives the private half, @dhe->secret_len bytes
 * @share:  receives the exchange data X || Y, @dhe->len bytes
 */
bool spdm_dhe_generate(const SpdmDhe *dhe, Entropy *entropy, uint8_t *scalar, uint8_t *share);

/* The shared secret (X of the product), false when @peer is no point of the curve. */
bool spdm_dhe_secret(const SpdmDhe *dhe, Entropy *entropy, const uint8_t *scalar, const uint8_t *peer,
                     uint8_t *secret);

/* AES-GCM. @out may be @in. The tag is SPDM_AEAD_TAG bytes; open returns false when it does not match. */
bool spdm_aead_seal(const SpdmAead *aead, const uint8_t *key, const uint8_t *nonce, SpdmSpan aad,
                    const uint8_t *in, size_t len, uint8_t *out, uint8_t *tag);
bool spdm_aead_open(const SpdmAead *aead, const uint8_t *key, const uint8_t *nonce, SpdmSpan aad,
                    const uint8_t *in, size_t len, uint8_t *out, const uint8_t *tag);

/* Comparison in time that does not depend on where the difference is; for MACs and nonces. */
bool spdm_equal(const void *a, const void *b, size_t len);

/* Overwrites a secret in a way the compiler keeps. */
void spdm_wipe(void *p, size_t len);

#endif
