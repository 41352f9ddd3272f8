/*
 * The algorithm tables and the few OpenSSL calls behind crypto.h. OpenSSL objects live inside one function
 * each. ECDSA signatures cross this interface as r || s (DSP0274 "Signature generation"), not as OpenSSL's
 * DER.
 */
#include "spdm/crypto.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <string.h>

#include "bits.h"

#define DER_SIG_MAX 128

/* Rows are in order of preference: the first row both sides know is selected. */
static const SpdmHash hashes[] = {
    { .bit = BIT(1), .measure_bit = BIT(2), .len = 48, .name = "SHA384" },
};

static const SpdmAsym asyms[] = {
    { .bit = BIT(7), .sig_len = 96, .scalar_len = 48, .point_len = 97, .curve = "P-384", .hash = "SHA384" },
};

static const SpdmDhe dhes[] = {
    { .bit = BIT(4), .len = 96, .secret_len = 48, .curve = "P-384" },
};

static const SpdmAead aeads[] = {
    { .bit = BIT(1), .key_len = 32, .name = "AES-256-GCM" },
};

#define DEFINE_LOOKUP(type, function, table)                                                                 \
    const type *function(uint32_t bit)                                                                       \
    {                                                                                                        \
        for (size_t i = 0; i < ARRAY_LEN(table); i++) {                                                      \
            if ((table)[i].bit == bit) {                                                                     \
                return &(table)[i];                                                                          \
            }                                                                                                \
        }                                                                                                    \
        return NULL;                                                                                         \
    }

DEFINE_LOOKUP(SpdmHash, spdm_hash, hashes)
DEFINE_LOOKUP(SpdmAsym, spdm_asym, asyms)
DEFINE_LOOKUP(SpdmDhe, spdm_dhe, dhes)
DEFINE_LOOKUP(SpdmAead, spdm_aead, aeads)

SpdmAlgMasks spdm_algorithms_offered(void)
{
    SpdmAlgMasks m = { 0 };

    for (size_t i = 0; i < ARRAY_LEN(hashes); i++) {
        m.hash |= hashes[i].bit;
        m.measure_hash |= hashes[i].measure_bit;
    }
    for (size_t i = 0; i < ARRAY_LEN(asyms); i++) {
        m.asym |= asyms[i].bit;
    }
    for (size_t i = 0; i < ARRAY_LEN(dhes); i++) {
        m.dhe |= (uint16_t)dhes[i].bit;
    }
    for (size_t i = 0; i < ARRAY_LEN(aeads); i++) {
        m.aead |= (uint16_t)aeads[i].bit;
    }
    return m;
}

bool spdm_hash_spans(const SpdmHash *hash, const SpdmSpan *spans, size_t n, uint8_t *out)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool        ok = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_get_digestbyname(hash->name), NULL) == 1;

    for (size_t i = 0; ok && i < n; i++) {
        ok = EVP_DigestUpdate(ctx, spans[i].data, spans[i].len) == 1;
    }
    ok = ok && EVP_DigestFinal_ex(ctx, out, NULL) == 1;
    EVP_MD_CTX_free(ctx);
    return ok;
}

bool spdm_hmac(const SpdmHash *hash, const uint8_t *key, size_t key_len, const void *data, size_t len,
               uint8_t *out)
{
    return HMAC(EVP_get_digestbyname(hash->name), key, (int)key_len, data, len, out, NULL) != NULL;
}

/* A key from its parts; @scalar or @point may be NULL. NULL when the point is not on the curve. */
static EVP_PKEY *make_key(const char *curve, const uint8_t *scalar, size_t scalar_len, const uint8_t *point,
                          size_t point_len)
{
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    BIGNUM         *d = scalar != NULL ? BN_bin2bn(scalar, (int)scalar_len, NULL) : NULL;
    OSSL_PARAM     *params = NULL;
    EVP_PKEY_CTX   *ctx = NULL;
    EVP_PKEY       *key = NULL;
    bool            ok = build != NULL && (scalar == NULL || d != NULL);

    ok = ok && OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, curve, 0) == 1;
    ok = ok && (scalar == NULL || OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PRIV_KEY, d) == 1);
    ok = ok && (point == NULL ||
                OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, point_len) == 1);
    ok = ok && (params = OSSL_PARAM_BLD_to_param(build)) != NULL;
    ok = ok && (ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL)) != NULL &&
         EVP_PKEY_fromdata_init(ctx) == 1;
    if (ok) {
        (void)EVP_PKEY_fromdata(ctx, &key, scalar != NULL ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, params);
    }
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    BN_clear_free(d);
    OSSL_PARAM_BLD_free(build);
    ERR_clear_error();
    return key;
}

static bool signature_to_fixed(const uint8_t *der, size_t der_len, uint8_t *sig, size_t sig_len)
{
    ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &der, (long)der_len);
    int        half = (int)(sig_len / 2);
    bool       ok = s != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(s), sig, half) == half &&
              BN_bn2binpad(ECDSA_SIG_get0_s(s), sig + half, half) == half;

    ECDSA_SIG_free(s);
    return ok;
}

/* Returns the DER length, 0 on failure. */
static size_t signature_to_der(const uint8_t *sig, size_t sig_len, uint8_t *der, size_t cap)
{
    int        half = (int)(sig_len / 2), len = 0;
    ECDSA_SIG *s = ECDSA_SIG_new();
    BIGNUM    *r_bn = BN_bin2bn(sig, half, NULL), *s_bn = BN_bin2bn(sig + half, half, NULL);

    if (s != NULL && r_bn != NULL && s_bn != NULL && ECDSA_SIG_set0(s, r_bn, s_bn) == 1) {
        len = i2d_ECDSA_SIG(s, NULL);
        len = len > 0 && (size_t)len <= cap ? i2d_ECDSA_SIG(s, &der) : 0;
    } else {
        BN_free(r_bn);
        BN_free(s_bn);
    }
    ECDSA_SIG_free(s);
    return len > 0 ? (size_t)len : 0;
}

bool spdm_ecdsa_sign(const SpdmAsym *asym, Entropy *entropy, const uint8_t *scalar, const SpdmSpan *spans,
                     size_t n, uint8_t *sig)
{
    Entropy    *before = entropy_use(entropy);
    EVP_PKEY   *key = make_key(asym->curve, scalar, asym->scalar_len, NULL, 0);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t     der[DER_SIG_MAX];
    size_t      der_len = sizeof(der);
    bool        ok = key != NULL && ctx != NULL;

    ok = ok && EVP_DigestSignInit(ctx, NULL, EVP_get_digestbyname(asym->hash), NULL, key) == 1;
    for (size_t i = 0; i < n; i++) {
        ok = ok && EVP_DigestSignUpdate(ctx, spans[i].data, spans[i].len) == 1;
    }
    ok = ok && EVP_DigestSignFinal(ctx, der, &der_len) == 1;
    ok = ok && signature_to_fixed(der, der_len, sig, asym->sig_len);
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    ERR_clear_error();
    entropy_use(before);
    return ok;
}

bool spdm_ecdsa_verify(const SpdmAsym *asym, const uint8_t *point, const SpdmSpan *spans, size_t n,
                       const uint8_t *sig)
{
    uint8_t     der[DER_SIG_MAX];
    size_t      der_len = signature_to_der(sig, asym->sig_len, der, sizeof(der));
    EVP_PKEY   *key = make_key(asym->curve, NULL, 0, point, asym->point_len);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool        ok = der_len != 0 && key != NULL && ctx != NULL;

    ok = ok && EVP_DigestVerifyInit(ctx, NULL, EVP_get_digestbyname(asym->hash), NULL, key) == 1;
    for (size_t i = 0; i < n; i++) {
        ok = ok && EVP_DigestVerifyUpdate(ctx, spans[i].data, spans[i].len) == 1;
    }
    ok = ok && EVP_DigestVerifyFinal(ctx, der, der_len) == 1;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return ok;
}

bool spdm_point_is_valid(const char *curve, const uint8_t *point, size_t len)
{
    EVP_PKEY *key = len >= 1 && point[0] == 4 ? make_key(curve, NULL, 0, point, len) : NULL;

    EVP_PKEY_free(key);
    return key != NULL;
}

/* @scalar times the generator, as 04 || X || Y. */
static bool scalar_to_point(const char *curve, const BIGNUM *scalar, uint8_t *point, size_t point_len)
{
    EC_GROUP *group = EC_GROUP_new_by_curve_name(EC_curve_nist2nid(curve));
    EC_POINT *p = group != NULL ? EC_POINT_new(group) : NULL;
    bool      ok = p != NULL && EC_POINT_mul(group, p, scalar, NULL, NULL, NULL) == 1;

    ok = ok &&
         EC_POINT_point2oct(group, p, POINT_CONVERSION_UNCOMPRESSED, point, point_len, NULL) == point_len;
    EC_POINT_free(p);
    EC_GROUP_free(group);
    return ok;
}

bool spdm_public_point(const SpdmAsym *asym, Entropy *entropy, const uint8_t *scalar, uint8_t *point)
{
    Entropy *before = entropy_use(entropy);
    BIGNUM  *d = BN_bin2bn(scalar, (int)asym->scalar_len, NULL);
    bool     ok = d != NULL && scalar_to_point(asym->curve, d, point, asym->point_len);

    BN_clear_free(d);
    ERR_clear_error();
    entropy_use(before);
    return ok;
}

bool spdm_dhe_generate(const SpdmDhe *dhe, Entropy *entropy, uint8_t *scalar, uint8_t *share)
{
    Entropy  *before = entropy_use(entropy);
    EVP_PKEY *key = EVP_EC_gen(dhe->curve);
    BIGNUM   *d = NULL;
    uint8_t   point[SPDM_POINT_MAX];
    bool      ok = key != NULL && EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &d) == 1;

    ok = ok && BN_bn2binpad(d, scalar, (int)dhe->secret_len) == (int)dhe->secret_len;
    ok = ok && scalar_to_point(dhe->curve, d, point, dhe->len + 1);
    if (ok) {
        memcpy(share, point + 1, dhe->len);
    }
    BN_clear_free(d);
    EVP_PKEY_free(key);
    ERR_clear_error();
    entropy_use(before);
    return ok;
}

bool spdm_dhe_secret(const SpdmDhe *dhe, Entropy *entropy, const uint8_t *scalar, const uint8_t *peer,
                     uint8_t *secret)
{
    Entropy      *before = entropy_use(entropy);
    uint8_t       point[SPDM_POINT_MAX] = { 4 };
    EVP_PKEY     *ours = make_key(dhe->curve, scalar, dhe->secret_len, NULL, 0), *theirs;
    EVP_PKEY_CTX *ctx = ours != NULL ? EVP_PKEY_CTX_new(ours, NULL) : NULL;
    size_t        len = dhe->secret_len;
    bool          ok;

    memcpy(point + 1, peer, dhe->len);
    theirs = make_key(dhe->curve, NULL, 0, point, dhe->len + 1);
    ok = ctx != NULL && theirs != NULL && EVP_PKEY_derive_init(ctx) == 1 &&
         EVP_PKEY_derive_set_peer(ctx, theirs) == 1;
    ok = ok && EVP_PKEY_derive(ctx, secret, &len) == 1 && len == dhe->secret_len;
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(theirs);
    EVP_PKEY_free(ours);
    ERR_clear_error();
    entropy_use(before);
    return ok;
}

bool spdm_aead_seal(const SpdmAead *aead, const uint8_t *key, const uint8_t *nonce, SpdmSpan aad,
                    const uint8_t *in, size_t len, uint8_t *out, uint8_t *tag)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int             n = 0;
    bool ok = ctx != NULL && EVP_EncryptInit_ex(ctx, EVP_get_cipherbyname(aead->name), NULL, key, nonce) == 1;

    ok = ok && EVP_EncryptUpdate(ctx, NULL, &n, aad.data, (int)aad.len) == 1;
    ok = ok && EVP_EncryptUpdate(ctx, out, &n, in, (int)len) == 1;
    ok = ok && EVP_EncryptFinal_ex(ctx, out + n, &n) == 1;
    ok = ok && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, SPDM_AEAD_TAG, tag) == 1;
    EVP_CIPHER_CTX_free(ctx);
    ERR_clear_error();
    return ok;
}

bool spdm_aead_open(const SpdmAead *aead, const uint8_t *key, const uint8_t *nonce, SpdmSpan aad,
                    const uint8_t *in, size_t len, uint8_t *out, const uint8_t *tag)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    uint8_t         want[SPDM_AEAD_TAG];
    int             n = 0;
    bool ok = ctx != NULL && EVP_DecryptInit_ex(ctx, EVP_get_cipherbyname(aead->name), NULL, key, nonce) == 1;

    memcpy(want, tag, sizeof(want));
    ok = ok && EVP_DecryptUpdate(ctx, NULL, &n, aad.data, (int)aad.len) == 1;
    ok = ok && EVP_DecryptUpdate(ctx, out, &n, in, (int)len) == 1;
    ok = ok && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, SPDM_AEAD_TAG, want) == 1;
    ok = ok && EVP_DecryptFinal_ex(ctx, out + n, &n) == 1;
    EVP_CIPHER_CTX_free(ctx);
    ERR_clear_error();
    return ok;
}

bool spdm_equal(const void *a, const void *b, size_t len) { return CRYPTO_memcmp(a, b, len) == 0; }

void spdm_wipe(void *p, size_t len) { OPENSSL_cleanse(p, len); }
