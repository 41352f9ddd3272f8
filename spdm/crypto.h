/*
 * The cryptography SPDM needs, over OpenSSL, with plain bytes on both sides: no OpenSSL object outlives a
 * call, so every key and every state can be saved. The algorithm tables hold what can be negotiated; an
 * algorithm joins by a row there and a test. Functions that need random numbers take the Entropy to draw from.
 */
#ifndef BAILEY_SPDM_CRYPTO_H
#define BAILEY_SPDM_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "entropy.h"

/* Widest value of any algorithm in the tables; state structures are sized by these. */
#define SPDM_HASH_MAX    64
#define SPDM_SIG_MAX     512
#define SPDM_PUBLIC_MAX  512  /* RSA-4096's modulus */
#define SPDM_PRIVATE_MAX 2432 /* RSA-4096 as PKCS #8 */
#define SPDM_DHE_MAX     1568 /* exchange data of ML-KEM-1024; 512 of FFDHE-4096, its private half and secret too */
#define SPDM_AEAD_KEY    32
#define SPDM_AEAD_IV     12
#define SPDM_AEAD_TAG    16

/* Selections are the single bit of DSP0274 "NEGOTIATE_ALGORITHMS request message format", and index these
 * tables. @name is what users write; @fetch is OpenSSL's. */
typedef struct SpdmHash {
    uint32_t    bit;         /* BaseHashAlgo */
    uint32_t    measure_bit; /* MeasurementHashAlgo numbers the same hashes differently */
    size_t      len;
    const char *name, *measure_name, *fetch;
} SpdmHash;

/* Kinds of key pairs. RSA keys serve two signature algorithms. */
typedef enum SpdmKeyKind {
    SPDM_KEY_RSA_2048,
    SPDM_KEY_RSA_3072,
    SPDM_KEY_RSA_4096,
    SPDM_KEY_P256,
    SPDM_KEY_P384,
    SPDM_KEY_P521,
    SPDM_KEY_ED25519,
    SPDM_KEY_ED448,
    SPDM_N_KEY_KINDS,
} SpdmKeyKind;

typedef struct SpdmKeyType {
    const char *name, *fetch; /* as the test PKI's files are named; OpenSSL's type */
    const char *group;        /* EC alone */
    int         bits;
    size_t      public_len;   /* see SpdmPublicKey */
} SpdmKeyType;

typedef struct SpdmAsym {
    uint32_t    bit; /* BaseAsymAlgo */
    SpdmKeyKind kind;
    bool        pss;
    size_t      sig_len;
    const char *name;
} SpdmAsym;

/* KEM algorithms of 1.4 exchange keys, too: the requester sends an encapsulation key and gets a ciphertext back. Their
 * bits are above those of the DHE groups in masks; see SPDM_KEM_SHIFT. */
typedef struct SpdmDhe {
    uint32_t    bit;
    size_t      len, rsp_len; /* exchange data of KEY_EXCHANGE and its response */
    size_t      secret_len, private_len; /* shared secret; private half, of a KEM its seed */
    const char *name, *fetch, *group;
    bool        kem;
} SpdmDhe;

#define SPDM_KEM_SHIFT 8    /* bits of the KEM table in masks of key exchanges */
#define SPDM_DHE_MASK  0xff /* bits of the DHE table there */

typedef struct SpdmAead {
    uint32_t    bit;
    size_t      key_len;
    const char *name, *fetch;
} SpdmAead;

/* The row of one selected bit, or NULL for a bit (or a combination) that is in no table. */
const SpdmHash *spdm_hash(uint32_t bit);
const SpdmHash *spdm_measure_hash(uint32_t measure_bit);
const SpdmAsym *spdm_asym(uint32_t bit);
const SpdmDhe  *spdm_dhe(uint32_t bit);
const SpdmAead *spdm_aead(uint32_t bit);

const SpdmKeyType *spdm_key_type(SpdmKeyKind kind);

#define SPDM_MEASURE_RAW 1u /* MeasurementHashAlgo: no hash, all values as they are */

/* Keys of Edwards curves hash what they sign by themselves. */
static inline bool spdm_key_is_edwards(SpdmKeyKind kind) { return kind == SPDM_KEY_ED25519 || kind == SPDM_KEY_ED448; }

/* Sets of algorithms, as masks of NEGOTIATE_ALGORITHMS. */
typedef struct SpdmAlgMasks {
    uint32_t hash, measure_hash, asym;
    uint16_t dhe, aead;
} SpdmAlgMasks;

/* Everything in the tables that this libcrypto has. */
SpdmAlgMasks spdm_algorithms_known(void);

/* The signature algorithms that keys of @kind can serve. */
uint32_t spdm_asyms_of(SpdmKeyKind kind);

/* The most preferred of the algorithms in a mask, as its single bit; 0: the mask has none of the table. */
uint32_t spdm_prefer_hash(uint32_t mask);
uint32_t spdm_prefer_measure_hash(uint32_t mask);
uint32_t spdm_prefer_asym(uint32_t mask);
uint16_t spdm_prefer_dhe(uint16_t mask);
uint16_t spdm_prefer_aead(uint16_t mask);

#define SPDM_WHY_MAX 640

/**
 * spdm_algorithms_parse - "sha256+ecdsa-p256+aes-128-gcm": the named ones, and all known ones of a kind that none is
 * named of.
 * @text: names joined by +
 * @why:  receives, on failure, which name is not known, and those that are
 */
bool spdm_algorithms_parse(const char *text, SpdmAlgMasks *out, char why[SPDM_WHY_MAX]);

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

/* A public key as plain bytes. EC: the point, uncompressed (04 || X || Y); RSA: the modulus, big-endian, with the
 * exponent beside it; Ed25519, Ed448: RFC 8032's bytes. */
typedef struct SpdmPublicKey {
    SpdmKeyKind kind;
    uint16_t    len;
    uint64_t    exponent; /* RSA alone */
    uint8_t     bytes[SPDM_PUBLIC_MAX];
} SpdmPublicKey;

/* A private key, as DER: PKCS #8, or the older form of its kind. */
typedef struct SpdmPrivateKey {
    SpdmKeyKind kind;
    uint16_t    len; /* 0: none */
    uint8_t     der[SPDM_PRIVATE_MAX];
} SpdmPrivateKey;

/* Whether these bytes are a key of their kind: a point of its curve, a modulus of its length. */
bool spdm_public_key_is_valid(const SpdmPublicKey *key);

/* A public key out of DER SubjectPublicKeyInfo; false for other kinds of keys. */
bool spdm_public_key_read(const uint8_t *der, size_t len, SpdmPublicKey *key);

/* The public half of a private key. */
bool spdm_public_key_of(const SpdmPrivateKey *key, Entropy *entropy, SpdmPublicKey *out);

/* A private key out of DER. */
bool spdm_private_key_read(const uint8_t *der, size_t len, Entropy *entropy, SpdmPrivateKey *key);

/* A new EC key out of @entropy; false for another kind. */
bool spdm_private_key_generate(SpdmKeyKind kind, Entropy *entropy, SpdmPrivateKey *key);

/* A private key from an EC scalar, big-endian, as long as a coordinate; false when it is 0 or not below the order. */
bool spdm_private_key_from_scalar(SpdmKeyKind kind, Entropy *entropy, const uint8_t *scalar, SpdmPrivateKey *key);

/**
 * spdm_key_sign - sign the message that the spans make up.
 * @asym: of the key's kind
 * @hash: what hashes the message first; Ed25519 and Ed448 do without
 * @context: Ed448's context string; others have none. NULL: it is empty
 * @sig:  receives @asym->sig_len bytes; ECDSA: r || s
 */
bool spdm_key_sign(const SpdmAsym *asym, const SpdmHash *hash, Entropy *entropy, const SpdmPrivateKey *key,
                   const char *context, const SpdmSpan *spans, size_t n, uint8_t *sig);

/* Whether @sig is @key's signature over the message. */
bool spdm_key_verify(const SpdmAsym *asym, const SpdmHash *hash, const SpdmPublicKey *key, const char *context,
                     const SpdmSpan *spans, size_t n, const uint8_t *sig);

/**
 * spdm_dhe_generate - make an ephemeral key pair, of the requester.
 * @private_half: receives @dhe->private_len bytes
 * @share: receives the exchange data: X || Y, or FFDHE's public value, @dhe->len bytes
 */
bool spdm_dhe_generate(const SpdmDhe *dhe, Entropy *entropy, uint8_t *private_half, uint8_t *share);

/**
 * spdm_dhe_respond - what the responder does: its own key pair and the secret, or a secret for the requester's key.
 * @peer:   the requester's share
 * @share:  receives the response's exchange data, @dhe->rsp_len bytes
 * @secret: receives @dhe->secret_len bytes
 */
bool spdm_dhe_respond(const SpdmDhe *dhe, Entropy *entropy, const uint8_t *peer, uint8_t *share, uint8_t *secret);

/* The requester's shared secret (X of the product; FFDHE's, padded to the prime's length; a KEM's out of its
 * ciphertext), false when @peer is no member of the group. */
bool spdm_dhe_secret(const SpdmDhe *dhe, Entropy *entropy, const uint8_t *private_half, const uint8_t *peer,
                     uint8_t *secret);

/* One AEAD operation. @out may be @in. The tag is SPDM_AEAD_TAG bytes; open returns false when it does not match. */
bool spdm_aead_seal(const SpdmAead *aead, const uint8_t *key, const uint8_t *nonce, SpdmSpan aad,
                    const uint8_t *in, size_t len, uint8_t *out, uint8_t *tag);
bool spdm_aead_open(const SpdmAead *aead, const uint8_t *key, const uint8_t *nonce, SpdmSpan aad,
                    const uint8_t *in, size_t len, uint8_t *out, const uint8_t *tag);

/* Comparison in time that does not depend on where the difference is; for MACs and nonces. */
bool spdm_equal(const void *a, const void *b, size_t len);

/* Overwrites a secret in a way the compiler keeps. */
void spdm_wipe(void *p, size_t len);

#endif
