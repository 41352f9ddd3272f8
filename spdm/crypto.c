/*
 * The algorithm tables and the few OpenSSL calls behind crypto.h. OpenSSL objects live inside one function
 * each. ECDSA signatures cross this interface as r || s (DSP0274 "Signature generation"), not as OpenSSL's
 * DER.
 *
 * Ed448's signatures have SPDM's context string inside (DSP0274 "Signature generation"), which libcrypto takes since
 * 3.2: it is known where it does, when the program runs. Left out: SM2, SM3 and SM4.
 */
#include "spdm/crypto.h"

#include <limits.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/dh.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#include "bits.h"

#define DER_SIG_MAX   160 /* P-521's r and s */
#define EC_POINT_MAX  133
#define UNCOMPRESSED  4

/* OSSL_SIGNATURE_PARAM_CONTEXT_STRING, which the headers of 3.0 do not have. */
static const char context_string[] = "context-string";

/* The tables are in order of preference: the first row both sides know is selected. */
static const SpdmHash hashes[] = {
    /* bit     measure   len  name                        libcrypto's */
    { BIT(1), BIT(2), 48, "sha384",   "meas-sha384",   "SHA384"   },
    { BIT(2), BIT(3), 64, "sha512",   "meas-sha512",   "SHA512"   },
    { BIT(0), BIT(1), 32, "sha256",   "meas-sha256",   "SHA256"   },
    { BIT(4), BIT(5), 48, "sha3-384", "meas-sha3-384", "SHA3-384" },
    { BIT(5), BIT(6), 64, "sha3-512", "meas-sha3-512", "SHA3-512" },
    { BIT(3), BIT(4), 32, "sha3-256", "meas-sha3-256", "SHA3-256" },
};

static const SpdmKeyType key_types[] = {
    [SPDM_KEY_RSA_2048] = { "rsa2048", "RSA",     NULL,    2048, 256 },
    [SPDM_KEY_RSA_3072] = { "rsa3072", "RSA",     NULL,    3072, 384 },
    [SPDM_KEY_RSA_4096] = { "rsa4096", "RSA",     NULL,    4096, 512 },
    [SPDM_KEY_P256]     = { "p256",    "EC",      "P-256", 256,  65  },
    [SPDM_KEY_P384]     = { "p384",    "EC",      "P-384", 384,  97  },
    [SPDM_KEY_P521]     = { "p521",    "EC",      "P-521", 521,  133 },
    [SPDM_KEY_ED25519]  = { "ed25519", "ED25519", NULL,    256,  32  },
    [SPDM_KEY_ED448]    = { "ed448",   "ED448",   NULL,    456,  57  },
};
_Static_assert(ARRAY_LEN(key_types) == SPDM_N_KEY_KINDS, "each kind has a row");

static const SpdmAsym asyms[] = {
    /* bit      key                PSS    signature name */
    { BIT(7),  SPDM_KEY_P384,     false, 96,  "ecdsa-p384" },
    { BIT(8),  SPDM_KEY_P521,     false, 132, "ecdsa-p521" },
    { BIT(4),  SPDM_KEY_P256,     false, 64,  "ecdsa-p256" },
    { BIT(10), SPDM_KEY_ED25519,  false, 64,  "ed25519"    },
    { BIT(11), SPDM_KEY_ED448,    false, 114, "ed448"      },
    { BIT(6),  SPDM_KEY_RSA_4096, true,  512, "rsapss4096" },
    { BIT(3),  SPDM_KEY_RSA_3072, true,  384, "rsapss3072" },
    { BIT(5),  SPDM_KEY_RSA_4096, false, 512, "rsassa4096" },
    { BIT(2),  SPDM_KEY_RSA_3072, false, 384, "rsassa3072" },
    { BIT(1),  SPDM_KEY_RSA_2048, true,  256, "rsapss2048" },
    { BIT(0),  SPDM_KEY_RSA_2048, false, 256, "rsassa2048" },
};

static const SpdmDhe dhes[] = {
    /* bit      data  answer secret private name        libcrypto's */
    { BIT(4),  96,   96,   48,  48,  "secp384r1",   "EC",          "P-384",     false },
    { BIT(5),  132,  132,  66,  66,  "secp521r1",   "EC",          "P-521",     false },
    { BIT(3),  64,   64,   32,  32,  "secp256r1",   "EC",          "P-256",     false },
    { BIT(2),  512,  512,  512, 512, "ffdhe4096",   "DH",          "ffdhe4096", false },
    { BIT(1),  384,  384,  384, 384, "ffdhe3072",   "DH",          "ffdhe3072", false },
    { BIT(0),  256,  256,  256, 256, "ffdhe2048",   "DH",          "ffdhe2048", false },
    { BIT(9),  1184, 1088, 32,  64,  "ml-kem-768",  "ML-KEM-768",  NULL,        true  },
    { BIT(10), 1568, 1568, 32,  64,  "ml-kem-1024", "ML-KEM-1024", NULL,        true  },
    { BIT(8),  800,  768,  32,  64,  "ml-kem-512",  "ML-KEM-512",  NULL,        true  },
};

static const SpdmAead aeads[] = {
    { BIT(1), 32, "aes-256-gcm",       "AES-256-GCM"       },
    { BIT(2), 32, "chacha20-poly1305", "ChaCha20-Poly1305" },
    { BIT(0), 16, "aes-128-gcm",       "AES-128-GCM"       },
};

static const char measure_raw[] = "meas-raw";

/* ---- choosing ------------------------------------------------------------------------------------------ */

#define DEFINE_LOOKUP(type, function, table, field)                                                          \
    const type *function(uint32_t bit)                                                                       \
    {                                                                                                        \
        for (size_t i = 0; i < ARRAY_LEN(table); i++) {                                                      \
            if ((table)[i].field == bit) {                                                                   \
                return &(table)[i];                                                                          \
            }                                                                                                \
        }                                                                                                    \
        return NULL;                                                                                         \
    }

DEFINE_LOOKUP(SpdmHash, spdm_hash, hashes, bit)
DEFINE_LOOKUP(SpdmHash, spdm_measure_hash, hashes, measure_bit)
DEFINE_LOOKUP(SpdmAsym, spdm_asym, asyms, bit)
DEFINE_LOOKUP(SpdmDhe, spdm_dhe, dhes, bit)
DEFINE_LOOKUP(SpdmAead, spdm_aead, aeads, bit)

#define DEFINE_PREFER(width, function, table, field)                                                         \
    width function(width mask)                                                                               \
    {                                                                                                        \
        for (size_t i = 0; i < ARRAY_LEN(table); i++) {                                                      \
            if (mask & (table)[i].field) {                                                                   \
                return (width)(table)[i].field;                                                              \
            }                                                                                                \
        }                                                                                                    \
        return 0;                                                                                            \
    }

DEFINE_PREFER(uint32_t, spdm_prefer_hash, hashes, bit)
DEFINE_PREFER(uint32_t, spdm_prefer_measure_hash, hashes, measure_bit)
DEFINE_PREFER(uint32_t, spdm_prefer_asym, asyms, bit)
DEFINE_PREFER(uint16_t, spdm_prefer_dhe, dhes, bit)
DEFINE_PREFER(uint16_t, spdm_prefer_aead, aeads, bit)

const SpdmKeyType *spdm_key_type(SpdmKeyKind kind) { return &key_types[kind]; }

uint32_t spdm_asyms_of(SpdmKeyKind kind)
{
    uint32_t mask = 0;

    for (size_t i = 0; i < ARRAY_LEN(asyms); i++) {
        mask |= asyms[i].kind == kind ? asyms[i].bit : 0;
    }
    return mask;
}

static bool has_digest(const char *name)
{
    EVP_MD *md = EVP_MD_fetch(NULL, name, NULL);

    EVP_MD_free(md);
    return md != NULL;
}

static bool has_cipher(const char *name)
{
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, name, NULL);

    EVP_CIPHER_free(cipher);
    return cipher != NULL;
}

static bool has_keys(const char *name)
{
    EVP_KEYMGMT *keys = EVP_KEYMGMT_fetch(NULL, name, NULL);

    EVP_KEYMGMT_free(keys);
    return keys != NULL;
}

/* Whether signatures of that kind take a context string. Without it, Ed448's would be made as if it were empty. */
static bool takes_context(const char *name)
{
    EVP_SIGNATURE    *method = EVP_SIGNATURE_fetch(NULL, name, NULL);
    const OSSL_PARAM *params = method != NULL ? EVP_SIGNATURE_settable_ctx_params(method) : NULL;
    bool              takes = params != NULL && OSSL_PARAM_locate_const(params, context_string) != NULL;

    EVP_SIGNATURE_free(method);
    return takes;
}

static bool has_signature(const SpdmAsym *asym)
{
    const char *name = key_types[asym->kind].fetch;

    return has_keys(name) && (asym->kind != SPDM_KEY_ED448 || takes_context(name));
}

SpdmAlgMasks spdm_algorithms_known(void)
{
    SpdmAlgMasks m = { .measure_hash = SPDM_MEASURE_RAW };

    for (size_t i = 0; i < ARRAY_LEN(hashes); i++) {
        bool known = has_digest(hashes[i].fetch);

        m.hash |= known ? hashes[i].bit : 0;
        m.measure_hash |= known ? hashes[i].measure_bit : 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(asyms); i++) {
        m.asym |= has_signature(&asyms[i]) ? asyms[i].bit : 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(dhes); i++) {
        m.dhe |= (uint16_t)(has_keys(dhes[i].fetch) ? dhes[i].bit : 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(aeads); i++) {
        m.aead |= (uint16_t)(has_cipher(aeads[i].fetch) ? aeads[i].bit : 0);
    }
    ERR_clear_error();
    return m;
}

/* One name: where its bit goes. */
typedef struct Named {
    const char  *name;
    SpdmAlgMasks masks;
} Named;

static bool named_algorithm(size_t n, Named *out)
{
    if (n < ARRAY_LEN(hashes)) {
        *out = (Named){ hashes[n].name, { .hash = hashes[n].bit } };
    } else if ((n -= ARRAY_LEN(hashes)) < ARRAY_LEN(asyms)) {
        *out = (Named){ asyms[n].name, { .asym = asyms[n].bit } };
    } else if ((n -= ARRAY_LEN(asyms)) < ARRAY_LEN(dhes)) {
        *out = (Named){ dhes[n].name, { .dhe = (uint16_t)dhes[n].bit } };
    } else if ((n -= ARRAY_LEN(dhes)) < ARRAY_LEN(aeads)) {
        *out = (Named){ aeads[n].name, { .aead = (uint16_t)aeads[n].bit } };
    } else if ((n -= ARRAY_LEN(aeads)) < ARRAY_LEN(hashes)) {
        *out = (Named){ hashes[n].measure_name, { .measure_hash = hashes[n].measure_bit } };
    } else {
        *out = (Named){ measure_raw, { .measure_hash = SPDM_MEASURE_RAW } };
        return n == ARRAY_LEN(hashes);
    }
    return true;
}

/* Whether this libcrypto has it. */
static bool is_known(const SpdmAlgMasks *named, const SpdmAlgMasks *known)
{
    return (named->hash & known->hash) != 0 || (named->measure_hash & known->measure_hash) != 0 ||
           (named->asym & known->asym) != 0 || (named->dhe & known->dhe) != 0 || (named->aead & known->aead) != 0;
}

/* The sentence for a name that is not known. */
static void list_names(const char *bad, size_t bad_len, const SpdmAlgMasks *known, char why[SPDM_WHY_MAX])
{
    Named  named;
    size_t at = (size_t)snprintf(why, SPDM_WHY_MAX, "there is no algorithm \"%.*s\" here; join these by +:",
                                 bad_len < 64 ? (int)bad_len : 64, bad);

    for (size_t n = 0; named_algorithm(n, &named) && at < SPDM_WHY_MAX; n++) {
        if (is_known(&named.masks, known)) {
            at += (size_t)snprintf(why + at, SPDM_WHY_MAX - at, " %s", named.name);
        }
    }
}

static bool add_named(const char *name, size_t len, const SpdmAlgMasks *known, SpdmAlgMasks *m)
{
    Named named;

    for (size_t n = 0; named_algorithm(n, &named); n++) {
        if (strlen(named.name) == len && memcmp(named.name, name, len) == 0 && is_known(&named.masks, known)) {
            m->hash |= named.masks.hash;
            m->measure_hash |= named.masks.measure_hash;
            m->asym |= named.masks.asym;
            m->dhe |= named.masks.dhe;
            m->aead |= named.masks.aead;
            return true;
        }
    }
    return false;
}

bool spdm_algorithms_parse(const char *text, SpdmAlgMasks *out, char why[SPDM_WHY_MAX])
{
    SpdmAlgMasks known = spdm_algorithms_known(), m = { 0 };
    const char  *at = text, *end;

    do {
        end = at + strcspn(at, "+");
        if (!add_named(at, (size_t)(end - at), &known, &m)) {
            list_names(at, (size_t)(end - at), &known, why);
            return false;
        }
        at = end + 1;
    } while (*end != '\0');
    out->hash = m.hash != 0 ? m.hash : known.hash;
    out->measure_hash = m.measure_hash != 0 ? m.measure_hash : known.measure_hash;
    out->asym = m.asym != 0 ? m.asym : known.asym;
    out->dhe = m.dhe != 0 ? m.dhe : known.dhe;
    out->aead = m.aead != 0 ? m.aead : known.aead;
    return true;
}

/* ---- hashes -------------------------------------------------------------------------------------------- */

bool spdm_hash_spans(const SpdmHash *hash, const SpdmSpan *spans, size_t n, uint8_t *out)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool        ok = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_get_digestbyname(hash->fetch), NULL) == 1;

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
    return HMAC(EVP_get_digestbyname(hash->fetch), key, (int)key_len, data, len, out, NULL) != NULL;
}

/* ---- keys ---------------------------------------------------------------------------------------------- */

/* The parts of a key of a named group or of RSA; those that are NULL are not there. */
typedef struct Parts {
    const char    *type, *group;
    const uint8_t *private_half; /* EC: scalar; DH: exponent */
    size_t         private_len;
    const uint8_t *point; /* EC: the public half */
    size_t         point_len;
    const uint8_t *number; /* DH: the public half; RSA: the modulus */
    size_t         number_len;
    uint64_t       exponent; /* RSA */
} Parts;

static bool push_number(OSSL_PARAM_BLD *build, const char *name, const uint8_t *bytes, size_t len, BIGNUM **kept)
{
    if (bytes == NULL) {
        return true;
    }
    *kept = BN_bin2bn(bytes, (int)len, NULL);
    return *kept != NULL && OSSL_PARAM_BLD_push_BN(build, name, *kept) == 1;
}

/* NULL when the parts make no key, such as a point that is not on the curve. */
static EVP_PKEY *make_key(const Parts *p)
{
    bool            is_rsa = strcmp(p->type, "RSA") == 0;
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    BIGNUM         *secret = NULL, *number = NULL;
    OSSL_PARAM     *params = NULL;
    EVP_PKEY_CTX   *ctx = EVP_PKEY_CTX_new_from_name(NULL, p->type, NULL);
    EVP_PKEY       *key = NULL;
    bool            ok = build != NULL && ctx != NULL;

    ok = ok && (p->group == NULL ||
                OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, p->group, 0) == 1);
    ok = ok && push_number(build, OSSL_PKEY_PARAM_PRIV_KEY, p->private_half, p->private_len, &secret);
    ok = ok && push_number(build, is_rsa ? OSSL_PKEY_PARAM_RSA_N : OSSL_PKEY_PARAM_PUB_KEY, p->number, p->number_len,
                           &number);
    ok = ok && (p->point == NULL ||
                OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, p->point, p->point_len) == 1);
    ok = ok && (!is_rsa || OSSL_PARAM_BLD_push_uint64(build, OSSL_PKEY_PARAM_RSA_E, p->exponent) == 1);
    ok = ok && (params = OSSL_PARAM_BLD_to_param(build)) != NULL && EVP_PKEY_fromdata_init(ctx) == 1;
    if (ok) {
        (void)EVP_PKEY_fromdata(ctx, &key, secret != NULL ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, params);
    }
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    BN_clear_free(secret);
    BN_free(number);
    OSSL_PARAM_BLD_free(build);
    ERR_clear_error();
    return key;
}

static EVP_PKEY *open_public(const SpdmPublicKey *key)
{
    const SpdmKeyType *type = &key_types[key->kind];

    if (key->len != type->public_len) {
        return NULL;
    }
    if (spdm_key_is_edwards(key->kind)) {
        return EVP_PKEY_new_raw_public_key_ex(NULL, type->fetch, NULL, key->bytes, key->len);
    }
    if (type->group != NULL) {
        return key->bytes[0] == UNCOMPRESSED
                   ? make_key(&(Parts){ type->fetch, type->group, .point = key->bytes, .point_len = key->len })
                   : NULL;
    }
    return make_key(&(Parts){ type->fetch, .number = key->bytes, .number_len = key->len, .exponent = key->exponent });
}

static EVP_PKEY *open_private(const SpdmPrivateKey *key)
{
    const uint8_t *p = key->der;
    EVP_PKEY      *out = d2i_AutoPrivateKey(NULL, &p, key->len);

    ERR_clear_error();
    return out;
}

/* What can be seen of RSA numbers without random ones: both odd, the exponent not 1. */
static bool rsa_is_plausible(const SpdmPublicKey *key)
{
    return (key->bytes[key->len - 1] & 1) != 0 && (key->exponent & 1) != 0 && key->exponent > 1;
}

bool spdm_public_key_is_valid(const SpdmPublicKey *key)
{
    bool          is_rsa = key->kind <= SPDM_KEY_RSA_4096;
    EVP_PKEY     *opened = open_public(key);
    EVP_PKEY_CTX *ctx = opened != NULL ? EVP_PKEY_CTX_new(opened, NULL) : NULL;
    bool          ok = ctx != NULL && EVP_PKEY_get_bits(opened) == key_types[key->kind].bits &&
              (is_rsa ? rsa_is_plausible(key) : EVP_PKEY_public_check(ctx) == 1);

    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(opened);
    ERR_clear_error();
    return ok;
}

static bool kind_of(const EVP_PKEY *key, SpdmKeyKind *kind)
{
    char group[32] = "";

    for (unsigned i = 0; i < SPDM_N_KEY_KINDS; i++) {
        const SpdmKeyType *type = &key_types[i];
        bool is_group = type->group == NULL || (EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1 &&
                                                EC_curve_nist2nid(type->group) == OBJ_txt2nid(group));

        if (EVP_PKEY_is_a(key, type->fetch) && EVP_PKEY_get_bits(key) == type->bits && is_group) {
            *kind = (SpdmKeyKind)i;
            return true;
        }
    }
    return false;
}

static bool read_number(const EVP_PKEY *key, const char *name, uint8_t *out, size_t len)
{
    BIGNUM *n = NULL;
    bool    ok = EVP_PKEY_get_bn_param(key, name, &n) == 1 && BN_bn2binpad(n, out, (int)len) == (int)len;

    BN_free(n);
    return ok;
}

static bool read_exponent(const EVP_PKEY *key, uint64_t *out)
{
    BIGNUM *n = NULL;
    bool    ok = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &n) == 1 && BN_num_bits(n) <= 64;

    *out = ok ? BN_get_word(n) : 0;
    BN_free(n);
    return ok;
}

/* The public half of an EC or DH key in its fixed length: uncompressed point, or padded number. */
static bool read_encoded(EVP_PKEY *key, uint8_t *out, size_t len)
{
    uint8_t *encoded = NULL;
    bool     ok = EVP_PKEY_get1_encoded_public_key(key, &encoded) == len;

    if (ok) {
        memcpy(out, encoded, len);
    }
    OPENSSL_free(encoded);
    return ok;
}

static bool close_public(EVP_PKEY *key, SpdmPublicKey *out)
{
    size_t len;

    memset(out, 0, sizeof(*out));
    if (!kind_of(key, &out->kind)) {
        return false;
    }
    len = key_types[out->kind].public_len;
    out->len = (uint16_t)len;
    if (spdm_key_is_edwards(out->kind)) {
        return EVP_PKEY_get_raw_public_key(key, out->bytes, &len) == 1 && len == out->len;
    }
    if (key_types[out->kind].group != NULL) {
        return read_encoded(key, out->bytes, len);
    }
    return read_number(key, OSSL_PKEY_PARAM_RSA_N, out->bytes, len) && read_exponent(key, &out->exponent);
}

bool spdm_public_key_read(const uint8_t *der, size_t len, SpdmPublicKey *key)
{
    const uint8_t *p = der;
    EVP_PKEY      *opened = len <= LONG_MAX ? d2i_PUBKEY(NULL, &p, (long)len) : NULL;
    bool           ok = opened != NULL && close_public(opened, key);

    EVP_PKEY_free(opened);
    ERR_clear_error();
    return ok;
}

bool spdm_public_key_of(const SpdmPrivateKey *key, Entropy *entropy, SpdmPublicKey *out)
{
    Entropy  *before = entropy_use(entropy);
    EVP_PKEY *opened = open_private(key);
    bool      ok = opened != NULL && close_public(opened, out);

    EVP_PKEY_free(opened);
    ERR_clear_error();
    entropy_use(before);
    return ok;
}

bool spdm_private_key_read(const uint8_t *der, size_t len, Entropy *entropy, SpdmPrivateKey *key)
{
    Entropy  *before = entropy_use(entropy);
    EVP_PKEY *opened = NULL;
    bool      ok = len <= sizeof(key->der);

    memset(key, 0, sizeof(*key));
    if (ok) {
        memcpy(key->der, der, len);
        key->len = (uint16_t)len;
        ok = (opened = open_private(key)) != NULL && kind_of(opened, &key->kind);
    }
    EVP_PKEY_free(opened);
    entropy_use(before);
    return ok;
}

bool spdm_private_key_from_scalar(SpdmKeyKind kind, Entropy *entropy, const uint8_t *scalar, SpdmPrivateKey *key)
{
    const SpdmKeyType *type = &key_types[kind];
    Entropy           *before = entropy_use(entropy);
    size_t             scalar_len = (type->public_len - 1) / 2;
    EC_GROUP          *group = EC_GROUP_new_by_curve_name(EC_curve_nist2nid(type->group));
    EC_POINT          *point = group != NULL ? EC_POINT_new(group) : NULL;
    BIGNUM            *d = BN_bin2bn(scalar, (int)scalar_len, NULL);
    EVP_PKEY          *opened = NULL;
    uint8_t            public_half[EC_POINT_MAX], *p = key->der;
    int                len = 0;
    bool               ok = point != NULL && d != NULL && !BN_is_zero(d) && BN_cmp(d, EC_GROUP_get0_order(group)) < 0;

    memset(key, 0, sizeof(*key));
    key->kind = kind;
    ok = ok && EC_POINT_mul(group, point, d, NULL, NULL, NULL) == 1 &&
         EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, public_half, sizeof(public_half), NULL) ==
             type->public_len;
    ok = ok && (opened = make_key(&(Parts){ type->fetch, type->group, .private_half = scalar,
                                            .private_len = scalar_len, .point = public_half,
                                            .point_len = type->public_len })) != NULL;
    ok = ok && (len = i2d_PrivateKey(opened, NULL)) > 0 && (size_t)len <= sizeof(key->der) &&
         i2d_PrivateKey(opened, &p) == len;
    key->len = (uint16_t)(ok ? len : 0);
    EVP_PKEY_free(opened);
    BN_clear_free(d);
    EC_POINT_free(point);
    EC_GROUP_free(group);
    ERR_clear_error();
    entropy_use(before);
    return ok;
}

enum { SCALAR_TRIES = 8 };

bool spdm_private_key_generate(SpdmKeyKind kind, Entropy *entropy, SpdmPrivateKey *key)
{
    uint8_t scalar[SPDM_DHE_MAX];
    bool    ok = false;

    /* A scalar beyond the order of the group is one in 2^32 at most: the next one will do. */
    for (unsigned i = 0; i < SCALAR_TRIES && !ok && key_types[kind].group != NULL; i++) {
        entropy_bytes(entropy, scalar, (key_types[kind].public_len - 1) / 2);
        scalar[0] &= kind == SPDM_KEY_P521 ? 1 : 0xff;
        ok = spdm_private_key_from_scalar(kind, entropy, scalar, key);
    }
    spdm_wipe(scalar, sizeof(scalar));
    return ok;
}

/* ---- signatures ---------------------------------------------------------------------------------------- */

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

/* Keys of Edwards curves want their message in one piece; the caller frees it. */
static uint8_t *join(const SpdmSpan *spans, size_t n, size_t *len)
{
    uint8_t *all, *at;

    *len = 0;
    for (size_t i = 0; i < n; i++) {
        *len += spans[i].len;
    }
    at = all = OPENSSL_malloc(*len + 1);
    for (size_t i = 0; all != NULL && i < n; i++) {
        memcpy(at, spans[i].data, spans[i].len);
        at += spans[i].len;
    }
    return all;
}

/* RFC 8017 "RSASSA-PSS": the salt is as long as the hash, DSP0274 "Signature generation". */
static bool set_padding(const SpdmAsym *asym, EVP_PKEY_CTX *ctx)
{
    return !asym->pss || (EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
                          EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1);
}

static bool sign_hashed(const SpdmAsym *asym, const SpdmHash *hash, EVP_MD_CTX *ctx, EVP_PKEY *key,
                        const SpdmSpan *spans, size_t n, uint8_t *sig)
{
    bool          is_ec = key_types[asym->kind].group != NULL;
    EVP_PKEY_CTX *key_ctx = NULL;
    uint8_t       der[DER_SIG_MAX], *out = is_ec ? der : sig;
    size_t        len = is_ec ? sizeof(der) : asym->sig_len;
    bool          ok;

    ok = EVP_DigestSignInit(ctx, &key_ctx, EVP_get_digestbyname(hash->fetch), NULL, key) == 1 &&
         set_padding(asym, key_ctx);
    for (size_t i = 0; i < n; i++) {
        ok = ok && EVP_DigestSignUpdate(ctx, spans[i].data, spans[i].len) == 1;
    }
    ok = ok && EVP_DigestSignFinal(ctx, out, &len) == 1;
    return ok && (is_ec ? signature_to_fixed(der, len, sig, asym->sig_len) : len == asym->sig_len);
}

/* The context string as a parameter; nothing for keys without one. The string must outlive it. False: libcrypto would
 * leave it out. */
static bool context_params(const SpdmAsym *asym, const char *context, OSSL_PARAM params[2])
{
    bool has = asym->kind == SPDM_KEY_ED448 && context != NULL;

    params[0] = has ? OSSL_PARAM_construct_octet_string(context_string, (void *)(uintptr_t)context, strlen(context))
                    : OSSL_PARAM_construct_end();
    params[1] = OSSL_PARAM_construct_end();
    return !has || takes_context(key_types[asym->kind].fetch);
}

static bool sign_whole(const SpdmAsym *asym, EVP_MD_CTX *ctx, EVP_PKEY *key, const char *context,
                       const SpdmSpan *spans, size_t n, uint8_t *sig)
{
    size_t     len, sig_len = asym->sig_len;
    uint8_t   *all = join(spans, n, &len);
    OSSL_PARAM params[2];
    bool       ok = all != NULL && context_params(asym, context, params) &&
              EVP_DigestSignInit_ex(ctx, NULL, NULL, NULL, NULL, key, params) == 1 &&
              EVP_DigestSign(ctx, sig, &sig_len, all, len) == 1 && sig_len == asym->sig_len;

    OPENSSL_free(all);
    return ok;
}

bool spdm_key_sign(const SpdmAsym *asym, const SpdmHash *hash, Entropy *entropy, const SpdmPrivateKey *key,
                   const char *context, const SpdmSpan *spans, size_t n, uint8_t *sig)
{
    Entropy    *before = entropy_use(entropy);
    EVP_PKEY   *opened = key->kind == asym->kind ? open_private(key) : NULL;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool        ok = opened != NULL && ctx != NULL &&
              (spdm_key_is_edwards(asym->kind) ? sign_whole(asym, ctx, opened, context, spans, n, sig)
                                               : sign_hashed(asym, hash, ctx, opened, spans, n, sig));

    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(opened);
    ERR_clear_error();
    entropy_use(before);
    return ok;
}

static bool verify_hashed(const SpdmAsym *asym, const SpdmHash *hash, EVP_MD_CTX *ctx, EVP_PKEY *key,
                          const SpdmSpan *spans, size_t n, const uint8_t *sig)
{
    bool          is_ec = key_types[asym->kind].group != NULL;
    EVP_PKEY_CTX *key_ctx = NULL;
    uint8_t       der[DER_SIG_MAX];
    size_t        len = is_ec ? signature_to_der(sig, asym->sig_len, der, sizeof(der)) : asym->sig_len;
    bool          ok;

    ok = len != 0 && EVP_DigestVerifyInit(ctx, &key_ctx, EVP_get_digestbyname(hash->fetch), NULL, key) == 1 &&
         set_padding(asym, key_ctx);
    for (size_t i = 0; i < n; i++) {
        ok = ok && EVP_DigestVerifyUpdate(ctx, spans[i].data, spans[i].len) == 1;
    }
    return ok && EVP_DigestVerifyFinal(ctx, is_ec ? der : sig, len) == 1;
}

static bool verify_whole(const SpdmAsym *asym, EVP_MD_CTX *ctx, EVP_PKEY *key, const char *context,
                         const SpdmSpan *spans, size_t n, const uint8_t *sig)
{
    size_t     len;
    uint8_t   *all = join(spans, n, &len);
    OSSL_PARAM params[2];
    bool       ok = all != NULL && context_params(asym, context, params) &&
              EVP_DigestVerifyInit_ex(ctx, NULL, NULL, NULL, NULL, key, params) == 1 &&
              EVP_DigestVerify(ctx, sig, asym->sig_len, all, len) == 1;

    OPENSSL_free(all);
    return ok;
}

bool spdm_key_verify(const SpdmAsym *asym, const SpdmHash *hash, const SpdmPublicKey *key, const char *context,
                     const SpdmSpan *spans, size_t n, const uint8_t *sig)
{
    EVP_PKEY   *opened = key->kind == asym->kind ? open_public(key) : NULL;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool        ok = opened != NULL && ctx != NULL &&
              (spdm_key_is_edwards(asym->kind) ? verify_whole(asym, ctx, opened, context, spans, n, sig)
                                               : verify_hashed(asym, hash, ctx, opened, spans, n, sig));

    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(opened);
    ERR_clear_error();
    return ok;
}

/* ---- key exchange -------------------------------------------------------------------------------------- */

/* A share is a point without its first byte, or a number. */
static bool is_finite_field(const SpdmDhe *dhe) { return dhe->len == dhe->secret_len; }

/* OSSL_PKEY_PARAM_ML_KEM_SEED, which the headers of 3.0 do not have. */
static const char ml_kem_seed[] = "seed";

static bool generate_kem(const SpdmDhe *dhe, uint8_t *private_half, uint8_t *share)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, dhe->fetch);
    size_t    len = 0;
    bool      ok = key != NULL &&
              EVP_PKEY_get_octet_string_param(key, ml_kem_seed, private_half, dhe->private_len, &len) == 1 &&
              len == dhe->private_len &&
              EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, share, dhe->len, &len) == 1 &&
              len == dhe->len;

    EVP_PKEY_free(key);
    return ok;
}

/* A KEM's key out of its seed or its public half. FIPS 203's checks of the latter are libcrypto's. */
static EVP_PKEY *open_kem(const SpdmDhe *dhe, bool whole, const uint8_t *bytes)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, dhe->fetch, NULL);
    EVP_PKEY     *key = NULL;
    OSSL_PARAM    params[] = {
        OSSL_PARAM_construct_octet_string(whole ? ml_kem_seed : OSSL_PKEY_PARAM_PUB_KEY, (void *)(uintptr_t)bytes,
                                          whole ? dhe->private_len : dhe->len),
        OSSL_PARAM_construct_end(),
    };

    if (ctx != NULL && EVP_PKEY_fromdata_init(ctx) == 1) {
        (void)EVP_PKEY_fromdata(ctx, &key, whole ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, params);
    }
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static bool encapsulate(const SpdmDhe *dhe, const uint8_t *peer, uint8_t *share, uint8_t *secret)
{
    EVP_PKEY     *key = open_kem(dhe, false, peer);
    EVP_PKEY_CTX *ctx = key != NULL ? EVP_PKEY_CTX_new(key, NULL) : NULL;
    size_t        share_len = dhe->rsp_len, secret_len = dhe->secret_len;
    bool          ok = ctx != NULL && EVP_PKEY_encapsulate_init(ctx, NULL) == 1 &&
              EVP_PKEY_encapsulate(ctx, share, &share_len, secret, &secret_len) == 1 && share_len == dhe->rsp_len &&
              secret_len == dhe->secret_len;

    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(key);
    return ok;
}

static bool decapsulate(const SpdmDhe *dhe, const uint8_t *private_half, const uint8_t *peer, uint8_t *secret)
{
    EVP_PKEY     *key = open_kem(dhe, true, private_half);
    EVP_PKEY_CTX *ctx = key != NULL ? EVP_PKEY_CTX_new(key, NULL) : NULL;
    size_t        len = dhe->secret_len;
    bool          ok = ctx != NULL && EVP_PKEY_decapsulate_init(ctx, NULL) == 1 &&
              EVP_PKEY_decapsulate(ctx, secret, &len, peer, dhe->rsp_len) == 1 && len == dhe->secret_len;

    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(key);
    return ok;
}

static bool generate_pair(const SpdmDhe *dhe, uint8_t *private_half, uint8_t *share)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, dhe->fetch, NULL);
    EVP_PKEY     *key = NULL;
    uint8_t       encoded[SPDM_DHE_MAX];
    size_t        prefix = is_finite_field(dhe) ? 0 : 1;
    bool          ok = ctx != NULL && EVP_PKEY_keygen_init(ctx) == 1 &&
              EVP_PKEY_CTX_set_group_name(ctx, dhe->group) == 1 && EVP_PKEY_generate(ctx, &key) == 1;

    ok = ok && read_number(key, OSSL_PKEY_PARAM_PRIV_KEY, private_half, dhe->secret_len);
    ok = ok && read_encoded(key, encoded, prefix + dhe->len);
    if (ok) {
        memcpy(share, encoded + prefix, dhe->len);
    }
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(key);
    return ok;
}

bool spdm_dhe_generate(const SpdmDhe *dhe, Entropy *entropy, uint8_t *private_half, uint8_t *share)
{
    Entropy *before = entropy_use(entropy);
    bool     ok = dhe->kem ? generate_kem(dhe, private_half, share) : generate_pair(dhe, private_half, share);

    ERR_clear_error();
    entropy_use(before);
    return ok;
}

static EVP_PKEY *open_share(const SpdmDhe *dhe, const uint8_t *share)
{
    uint8_t point[EC_POINT_MAX] = { UNCOMPRESSED };

    if (is_finite_field(dhe)) {
        return make_key(&(Parts){ dhe->fetch, dhe->group, .number = share, .number_len = dhe->len });
    }
    memcpy(point + 1, share, dhe->len);
    return make_key(&(Parts){ dhe->fetch, dhe->group, .point = point, .point_len = 1 + dhe->len });
}

static bool derive(const SpdmDhe *dhe, const uint8_t *private_half, const uint8_t *peer, uint8_t *secret)
{
    EVP_PKEY     *ours = make_key(&(Parts){ dhe->fetch, dhe->group, .private_half = private_half,
                                            .private_len = dhe->secret_len });
    EVP_PKEY     *theirs = open_share(dhe, peer);
    EVP_PKEY_CTX *ctx = ours != NULL ? EVP_PKEY_CTX_new(ours, NULL) : NULL;
    size_t        len = dhe->secret_len;
    bool          ok = ctx != NULL && theirs != NULL && EVP_PKEY_derive_init(ctx) == 1;

    ok = ok && (!is_finite_field(dhe) || EVP_PKEY_CTX_set_dh_pad(ctx, 1) == 1);
    ok = ok && EVP_PKEY_derive_set_peer(ctx, theirs) == 1; /* which also checks the group's membership */
    ok = ok && EVP_PKEY_derive(ctx, secret, &len) == 1 && len == dhe->secret_len;
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(theirs);
    EVP_PKEY_free(ours);
    return ok;
}

bool spdm_dhe_secret(const SpdmDhe *dhe, Entropy *entropy, const uint8_t *private_half, const uint8_t *peer,
                     uint8_t *secret)
{
    Entropy *before = entropy_use(entropy);
    bool     ok = dhe->kem ? decapsulate(dhe, private_half, peer, secret) : derive(dhe, private_half, peer, secret);

    ERR_clear_error();
    entropy_use(before);
    return ok;
}

bool spdm_dhe_respond(const SpdmDhe *dhe, Entropy *entropy, const uint8_t *peer, uint8_t *share, uint8_t *secret)
{
    Entropy *before = entropy_use(entropy);
    uint8_t  private_half[SPDM_DHE_MAX];
    bool     ok = dhe->kem ? encapsulate(dhe, peer, share, secret)
                           : generate_pair(dhe, private_half, share) && derive(dhe, private_half, peer, secret);

    spdm_wipe(private_half, sizeof(private_half));
    ERR_clear_error();
    entropy_use(before);
    return ok;
}

/* ---- records ------------------------------------------------------------------------------------------- */

bool spdm_aead_seal(const SpdmAead *aead, const uint8_t *key, const uint8_t *nonce, SpdmSpan aad,
                    const uint8_t *in, size_t len, uint8_t *out, uint8_t *tag)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int             n = 0;
    bool ok = ctx != NULL && EVP_EncryptInit_ex(ctx, EVP_get_cipherbyname(aead->fetch), NULL, key, nonce) == 1;

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
    bool ok = ctx != NULL && EVP_DecryptInit_ex(ctx, EVP_get_cipherbyname(aead->fetch), NULL, key, nonce) == 1;

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
