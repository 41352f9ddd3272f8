/*
 * See keys.h. RSA as FIPS 186-5, appendix A.1, makes keys of random primes, with the numbers searched from a starting
 * point upwards; ECDSA as its section 6.4 signs. Everybody has these keys: nothing here minds how long a number takes.
 */
#include "images/pki/keys.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <stdio.h>
#include <string.h>

enum { RSA_EXPONENT = 65537, NUMBER_MAX = 512, PARTY_MAX = 200 };

void pki_entropy(const char *name, Entropy *e)
{
    char party[PARTY_MAX];

    snprintf(party, sizeof(party), "Bailey test PKI: %s", name);
    entropy_init(e, 1, party);
}

static bool is_rsa(const SpdmKeyType *type)
{
    return strcmp(type->fetch, "RSA") == 0;
}

/* ---- keys ---- */

static BIGNUM *draw(Entropy *e, int bits)
{
    uint8_t bytes[NUMBER_MAX];
    int     len = (bits + 7) / 8;

    entropy_bytes(e, bytes, (size_t)len);
    bytes[0] &= (uint8_t)(0xff >> (8 * len - bits));
    return BN_bin2bn(bytes, len, NULL);
}

/* The first fitting prime from a drawn number on. Its two highest bits are set: a product of two has all its bits. */
static BIGNUM *new_prime(Entropy *e, int bits, BN_CTX *ctx)
{
    BIGNUM *p = draw(e, bits);

    if (p == NULL || !BN_set_bit(p, bits - 1) || !BN_set_bit(p, bits - 2) || !BN_set_bit(p, 0)) {
        BN_free(p);
        return NULL;
    }
    while (BN_mod_word(p, RSA_EXPONENT) == 1 || BN_check_prime(p, ctx, NULL) != 1) {
        BN_add_word(p, 2);
    }
    return p;
}

/* Numbers of an RSA key, in the order of RFC 8017's RSAPrivateKey. */
enum { N, E, D, P, Q, DP, DQ, QINV, N_NUMBERS };

static bool compute_numbers(BIGNUM *v[N_NUMBERS], BN_CTX *ctx)
{
    BIGNUM *p1 = BN_dup(v[P]), *q1 = BN_dup(v[Q]), *gcd = BN_new(), *lcm = BN_new();
    bool    ok = p1 != NULL && q1 != NULL && gcd != NULL && lcm != NULL && BN_sub_word(p1, 1) && BN_sub_word(q1, 1) &&
              BN_gcd(gcd, p1, q1, ctx) && BN_mul(lcm, p1, q1, ctx) && BN_div(lcm, NULL, lcm, gcd, ctx) &&
              BN_mul(v[N], v[P], v[Q], ctx) && BN_set_word(v[E], RSA_EXPONENT) &&
              BN_mod_inverse(v[D], v[E], lcm, ctx) != NULL && BN_mod(v[DP], v[D], p1, ctx) &&
              BN_mod(v[DQ], v[D], q1, ctx) && BN_mod_inverse(v[QINV], v[Q], v[P], ctx) != NULL;

    BN_free(lcm);
    BN_free(gcd);
    BN_free(q1);
    BN_free(p1);
    return ok;
}

static EVP_PKEY *rsa_of_numbers(BIGNUM *const v[N_NUMBERS])
{
    static const char *const names[N_NUMBERS] = {
        OSSL_PKEY_PARAM_RSA_N,         OSSL_PKEY_PARAM_RSA_E,
        OSSL_PKEY_PARAM_RSA_D,         OSSL_PKEY_PARAM_RSA_FACTOR1,
        OSSL_PKEY_PARAM_RSA_FACTOR2,   OSSL_PKEY_PARAM_RSA_EXPONENT1,
        OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
    };
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    OSSL_PARAM     *params;
    EVP_PKEY_CTX   *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY       *key = NULL;
    bool            ok = build != NULL && ctx != NULL && EVP_PKEY_fromdata_init(ctx) == 1;

    for (int i = 0; ok && i < N_NUMBERS; i++) {
        ok = OSSL_PARAM_BLD_push_BN(build, names[i], v[i]) == 1;
    }
    params = ok ? OSSL_PARAM_BLD_to_param(build) : NULL;
    if (params != NULL && EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params) != 1) {
        key = NULL;
    }
    OSSL_PARAM_free(params);
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_BLD_free(build);
    return key;
}

static EVP_PKEY *new_rsa(int bits, Entropy *e)
{
    BN_CTX   *ctx = BN_CTX_new();
    BIGNUM   *v[N_NUMBERS];
    EVP_PKEY *key = NULL;
    bool      ok = ctx != NULL;

    for (int i = 0; i < N_NUMBERS; i++) {
        v[i] = !ok ? NULL : i == P || i == Q ? new_prime(e, bits / 2, ctx) : BN_new();
        ok = v[i] != NULL;
    }
    if (ok && compute_numbers(v, ctx)) {
        key = rsa_of_numbers(v);
    }
    for (int i = 0; i < N_NUMBERS; i++) {
        BN_free(v[i]);
    }
    BN_CTX_free(ctx);
    return key;
}

EVP_PKEY *pki_key_new(SpdmKeyKind kind, const char *name)
{
    const SpdmKeyType *type = spdm_key_type(kind);
    SpdmPrivateKey     ec;
    const uint8_t     *p = ec.der;
    uint8_t            bytes[NUMBER_MAX];
    Entropy            e;

    pki_entropy(name, &e);
    if (is_rsa(type)) {
        return new_rsa(type->bits, &e);
    }
    if (type->group != NULL) {
        return spdm_private_key_generate(kind, &e, &ec) ? d2i_AutoPrivateKey(NULL, &p, ec.len) : NULL;
    }
    entropy_bytes(&e, bytes, type->public_len); /* RFC 8032: any bytes, as many as the public key has */
    return EVP_PKEY_new_raw_private_key_ex(NULL, type->fetch, NULL, bytes, type->public_len);
}

/* ---- signatures ---- */

static const EVP_MD *hash_of(const SpdmKeyType *type)
{
    return type->group == NULL ? (is_rsa(type) ? EVP_sha384() : NULL) /* RFC 8410 keys hash for themselves */
           : type->bits == 256 ? EVP_sha256()
           : type->bits == 384 ? EVP_sha384()
                               : EVP_sha512();
}

/* r and s of a hash that is no longer than the order; false: the next k, please. */
static bool ecdsa(const EC_GROUP *group, const BIGNUM *d, const BIGNUM *k, const BIGNUM *z, BIGNUM *r, BIGNUM *s,
                  BN_CTX *ctx)
{
    const BIGNUM *order = EC_GROUP_get0_order(group);
    EC_POINT     *point = EC_POINT_new(group);
    bool          ok = !BN_is_zero(k) && BN_cmp(k, order) < 0 && point != NULL &&
              EC_POINT_mul(group, point, k, NULL, NULL, ctx) == 1 &&
              EC_POINT_get_affine_coordinates(group, point, r, NULL, ctx) == 1 && BN_nnmod(r, r, order, ctx) &&
              !BN_is_zero(r) && BN_mod_mul(s, r, d, order, ctx) && BN_mod_add(s, s, z, order, ctx);
    BIGNUM *inverse = ok ? BN_mod_inverse(NULL, k, order, ctx) : NULL;

    ok = inverse != NULL && BN_mod_mul(s, s, inverse, order, ctx) && !BN_is_zero(s);
    BN_free(inverse);
    EC_POINT_free(point);
    return ok;
}

/* The signature of a message, DER; its length, 0 when the library fails. */
static int ecdsa_sign(EVP_PKEY *key, const SpdmKeyType *type, SpdmSpan message, Entropy *e, uint8_t **der)
{
    enum { TRIES = 64 }; /* each number drawn is below the order with more than one half */
    EC_GROUP    *group = EC_GROUP_new_by_curve_name(EC_curve_nist2nid(type->group));
    BN_CTX      *ctx = BN_CTX_new();
    BIGNUM      *d = NULL, *z = NULL, *r = BN_new(), *s = BN_new();
    ECDSA_SIG   *sig = ECDSA_SIG_new();
    uint8_t      digest[EVP_MAX_MD_SIZE];
    unsigned int digest_len;
    int          len = 0;
    bool         ok = group != NULL && ctx != NULL && r != NULL && s != NULL && sig != NULL &&
              EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &d) == 1 &&
              EVP_Digest(message.data, message.len, digest, &digest_len, hash_of(type), NULL) == 1 &&
              (z = BN_bin2bn(digest, (int)digest_len, NULL)) != NULL;

    for (int i = 0; ok && len == 0 && i < TRIES; i++) {
        BIGNUM *k = draw(e, type->bits);

        if (k != NULL && ecdsa(group, d, k, z, r, s, ctx)) {
            ok = ECDSA_SIG_set0(sig, r, s) == 1;
            len = ok ? i2d_ECDSA_SIG(sig, der) : 0;
            r = s = NULL; /* the signature's now */
        }
        BN_free(k);
    }
    ECDSA_SIG_free(sig);
    BN_free(s);
    BN_free(r);
    BN_free(z);
    BN_free(d);
    BN_CTX_free(ctx);
    EC_GROUP_free(group);
    return len > 0 ? len : 0;
}

bool pki_sign(X509 *cert, EVP_PKEY *key, SpdmKeyKind kind, const char *name)
{
    const SpdmKeyType     *type = spdm_key_type(kind);
    const ASN1_BIT_STRING *place;
    uint8_t               *tbs = NULL, *der = NULL;
    Entropy                e;
    int                    tbs_len, len;
    bool                   ok = X509_sign(cert, key, hash_of(type)) > 0;

    if (!ok || type->group == NULL) {
        return ok; /* RSASSA-PKCS1-v1_5 and EdDSA draw nothing */
    }
    /* libcrypto has put the algorithm and a signature in; ours goes in its place. */
    pki_entropy(name, &e);
    tbs_len = i2d_re_X509_tbs(cert, &tbs);
    len = tbs_len > 0 ? ecdsa_sign(key, type, (SpdmSpan){ tbs, (size_t)tbs_len }, &e, &der) : 0;
    X509_get0_signature(&place, NULL, cert);
    ok = len > 0 && ASN1_STRING_set((ASN1_STRING *)(uintptr_t)place, der, len) == 1;
    OPENSSL_free(der);
    OPENSSL_free(tbs);
    return ok;
}
