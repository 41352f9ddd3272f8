/*
 * The checks of a CCA token, in the order in which they build on each other: the platform key's certificate, the
 * platform's signature with it, the Realm's with the key in the Realm token, the binding of the two, the claims by
 * their rules, and what the verifier expects.
 */
#include <inttypes.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <string.h>

#include "tool/cca_token_int.h"

#define PLATFORM_PROFILE "tag:arm.com,2023:cca_platform#1.0.0"
#define REALM_PROFILE    "tag:arm.com,2023:realm#1.0.0"

enum { COORDINATE_MAX = 66, COSE_KEY_MAX_ENTRIES = 8, SHOWN_BYTES = 8 };
enum { COSE_KTY = 1, COSE_KTY_EC2 = 2, COSE_CRV = -1, COSE_X = -2, COSE_Y = -3 };

typedef struct Checker {
    const CcaToken    *t;
    const TokenExpect *e;
    TokenReport       *report;
    void              *opaque;
    bool               failed;
} Checker;

static void G_GNUC_PRINTF(4, 5) say(Checker *c, CheckResult result, const char *name, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    char *text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    c->failed = c->failed || result == CHECK_FAIL;
    c->report(c->opaque, result, name, text);
    g_free(text);
}

/* The first bytes of a value, for a sentence. To be freed. */
static char *shown(const uint8_t *data, size_t len)
{
    char *hex = hex_of(data, MIN(len, SHOWN_BYTES)), *s = g_strconcat(hex, len > SHOWN_BYTES ? "..." : "", NULL);

    g_free(hex);
    return s;
}

/* ---- signatures ---- */

/* RFC 9053 "ECDSA" and "Elliptic Curve Keys": what a COSE algorithm is made of. */
typedef struct CoseAlg {
    int64_t       alg;
    const char   *name, *group;
    int64_t       curve;        /* COSE_Key crv */
    size_t        coordinate;   /* bytes of a coordinate, and of each half of a signature */
    const EVP_MD *(*md)(void);
} CoseAlg;

static const CoseAlg algs[] = {
    { -7, "ES256", "P-256", 1, 32, EVP_sha256 },
    { -35, "ES384", "P-384", 2, 48, EVP_sha384 },
    { -36, "ES512", "P-521", 3, 66, EVP_sha512 },
};

static const CoseAlg *alg_of(int64_t alg)
{
    for (size_t i = 0; i < ARRAY_LEN(algs); i++) {
        if (algs[i].alg == alg) {
            return &algs[i];
        }
    }
    return NULL;
}

/* RFC 8949: the head of a byte string of up to 64 KiB, in its shortest form, as RFC 9052 wants it signed. */
static void put_bytes(GByteArray *out, const uint8_t *data, size_t len)
{
    uint8_t head[3] = { 0x40 | (uint8_t)len };
    guint   n = 1;

    if (len >= 0x100) {
        head[0] = 0x59;
        head[1] = (uint8_t)(len >> 8);
        head[2] = (uint8_t)len;
        n = 3;
    } else if (len >= 24) {
        head[0] = 0x58;
        head[1] = (uint8_t)len;
        n = 2;
    }
    g_byte_array_append(out, head, n);
    if (len != 0) {
        g_byte_array_append(out, data, (guint)len);
    }
}

/* RFC 9052 "Signing and Verification Process": [ "Signature1", protected, h'', payload ]. */
static GByteArray *signed_bytes(const CcaToken *t, const TokenPart *p)
{
    static const uint8_t start[] = "\x84\x6aSignature1";
    GByteArray          *out = g_byte_array_new();

    g_byte_array_append(out, start, sizeof(start) - 1);
    put_bytes(out, t->data + p->header.content, (size_t)p->header.value);
    put_bytes(out, NULL, 0);
    put_bytes(out, t->data + p->payload.content, (size_t)p->payload.value);
    return out;
}

/* A signature as OpenSSL takes it, from its halves r and s. */
static uint8_t *der_signature(const uint8_t *halves, size_t half, int *len)
{
    ECDSA_SIG *sig = ECDSA_SIG_new();
    uint8_t   *der = NULL;

    ECDSA_SIG_set0(sig, BN_bin2bn(halves, (int)half, NULL), BN_bin2bn(halves + half, (int)half, NULL));
    *len = i2d_ECDSA_SIG(sig, &der);
    ECDSA_SIG_free(sig);
    return der;
}

static bool signature_holds(const CcaToken *t, const TokenPart *p, const CoseAlg *a, EVP_PKEY *key)
{
    int         der_len;
    uint8_t    *der = der_signature(t->data + p->signature.content, a->coordinate, &der_len);
    GByteArray *text = signed_bytes(t, p);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool        ok = der_len > 0 && EVP_DigestVerifyInit(ctx, NULL, a->md(), NULL, key) == 1 &&
              EVP_DigestVerify(ctx, der, (size_t)der_len, text->data, text->len) == 1;

    EVP_MD_CTX_free(ctx);
    g_byte_array_free(text, TRUE);
    OPENSSL_free(der);
    return ok;
}

static bool key_is_on(EVP_PKEY *key, const CoseAlg *a)
{
    char   group[64];
    size_t len;

    return EVP_PKEY_get_group_name(key, group, sizeof(group), &len) == 1 && OBJ_txt2nid(group) != NID_undef &&
           OBJ_txt2nid(group) == EC_curve_nist2nid(a->group);
}

/* @key NULL: the check of the key has said why there is none. */
static void check_signature(Checker *c, const TokenPart *p, EVP_PKEY *key, const char *whose)
{
    const CoseAlg *a = alg_of(p->alg);
    char          *name = g_strdup_printf("%s-signature", p->name);

    if (a == NULL) {
        say(c, CHECK_FAIL, name, "COSE algorithm %" PRId64 " is none of ES256, ES384 and ES512", p->alg);
    } else if (p->signature.value != 2 * a->coordinate) {
        say(c, CHECK_FAIL, name, "the signature has %" PRIu64 " bytes, and %s has %zu", p->signature.value, a->name,
            2 * a->coordinate);
    } else if (key == NULL) {
        say(c, CHECK_FAIL, name, "it cannot be checked: there is no key to check it with");
    } else if (!key_is_on(key, a)) {
        say(c, CHECK_FAIL, name, "the token says %s, and %s is not on %s", a->name, whose, a->group);
    } else if (!signature_holds(c->t, p, a, key)) {
        say(c, CHECK_FAIL, name, "it was not made with %s over these claims: they were changed, or another key signed",
            whose);
    } else {
        say(c, CHECK_OK, name, "%s by %s", a->name, whose);
    }
    g_free(name);
}

/* ---- keys ---- */

static STACK_OF(X509) *read_certificates(const char *pem)
{
    STACK_OF(X509) *all = sk_X509_new_null();
    BIO            *bio = BIO_new_mem_buf(pem, -1);
    X509           *x;

    while ((x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        sk_X509_push(all, x);
    }
    ERR_clear_error(); /* the end of the text is one */
    BIO_free(bio);
    return all;
}

static EVP_PKEY *read_public_key(const char *pem)
{
    BIO      *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);

    ERR_clear_error();
    BIO_free(bio);
    return key;
}

/* Why the chain of @certs does not lead to @root, or NULL when it does. */
static const char *chain_fault(X509 *root, STACK_OF(X509) *certs)
{
    X509_STORE     *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    const char     *why = NULL;

    X509_STORE_add_cert(store, root);
    X509_STORE_CTX_init(ctx, store, sk_X509_value(certs, 0), certs);
    if (X509_verify_cert(ctx) != 1) {
        why = X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx));
    }
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    return why;
}

/* The key that signs platform tokens, if the root vouches for it or the verifier gave it bare. */
static EVP_PKEY *check_platform_key(Checker *c)
{
    static const char name[] = "platform-certificate";
    STACK_OF(X509)   *certs = read_certificates(c->e->platform_pem), *roots = read_certificates(c->e->root_pem);
    EVP_PKEY         *key = NULL;

    if (sk_X509_num(certs) == 0) {
        key = read_public_key(c->e->platform_pem);
        say(c, key != NULL ? CHECK_SKIP : CHECK_FAIL, name, "%s",
            key != NULL ? "the platform key was given bare: it is trusted as it is, no root vouches for it"
                        : "what was given as the platform key is neither certificates nor a public key in PEM form");
    } else if (sk_X509_num(roots) == 0) {
        say(c, CHECK_FAIL, name, "what was given as the root is no certificate in PEM form");
    } else {
        const char *why = chain_fault(sk_X509_value(roots, 0), certs);

        if (why == NULL) {
            key = X509_get_pubkey(sk_X509_value(certs, 0));
            say(c, CHECK_OK, name, "the platform key's certificate leads to the root");
        } else {
            say(c, CHECK_FAIL, name, "the platform key's certificate does not lead to the root: %s", why);
        }
    }
    sk_X509_pop_free(certs, X509_free);
    sk_X509_pop_free(roots, X509_free);
    return key;
}

/* The curve of COSE_Key @crv and coordinates of its length, or NULL with why. */
static const CoseAlg *key_curve(const CborItem *kty, const CborItem *crv, const CborItem *x, const CborItem *y,
                                const char **why)
{
    *why = "it is no elliptic curve key with kty, crv, x and y";
    if (kty == NULL || !cbor_is_int(kty, COSE_KTY_EC2) || crv == NULL || x == NULL || y == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < ARRAY_LEN(algs); i++) {
        if (cbor_is_int(crv, algs[i].curve)) {
            *why = "its coordinates do not have the length of its curve";
            bool whole = x->type == CBOR_BYTES && y->type == CBOR_BYTES && x->value == algs[i].coordinate &&
                         y->value == algs[i].coordinate;
            return whole ? &algs[i] : NULL;
        }
    }
    *why = "its curve is none of P-256, P-384 and P-521";
    return NULL;
}

static EVP_PKEY *key_of_point(const CoseAlg *a, uint8_t *point, size_t len)
{
    OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)a->group, 0),
                            OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, len),
                            OSSL_PARAM_construct_end() };
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY     *key = NULL;

    if (EVP_PKEY_fromdata_init(ctx) != 1 || EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1) {
        key = NULL;
    }
    ERR_clear_error();
    EVP_PKEY_CTX_free(ctx);
    return key;
}

/* The serialised COSE_Key in claim 44237. Other parameters of it, such as kid, mean nothing here. */
static EVP_PKEY *read_cose_key(const CcaToken *t, const CborItem *bytes, const char **why)
{
    CborReader r = cbor_reader(t->data, bytes->content, bytes->end);
    CborItem   map;
    CborPair   pairs[COSE_KEY_MAX_ENTRIES];
    size_t     n;
    uint8_t    point[1 + 2 * COORDINATE_MAX] = { 4 }; /* SEC 1: not compressed */

    if (!cbor_read(&r, &map) || !cbor_read_map(&r, &map, pairs, ARRAY_LEN(pairs), &n) || !cbor_end(&r)) {
        *why = r.why;
        return NULL;
    }
    const CborItem *x = cbor_find(pairs, n, COSE_X), *y = cbor_find(pairs, n, COSE_Y);
    const CoseAlg  *a = key_curve(cbor_find(pairs, n, COSE_KTY), cbor_find(pairs, n, COSE_CRV), x, y, why);
    if (a == NULL) {
        return NULL;
    }
    memcpy(point + 1, t->data + x->content, a->coordinate);
    memcpy(point + 1 + a->coordinate, t->data + y->content, a->coordinate);
    *why = "it is no point on its curve";
    return key_of_point(a, point, 1 + 2 * a->coordinate);
}

static EVP_PKEY *check_realm_key(Checker *c)
{
    const CborItem *claim = claim_of(&c->t->realm, CLAIM_RAK);
    const char     *why = "there is none";
    EVP_PKEY       *key = claim != NULL && claim->type == CBOR_BYTES ? read_cose_key(c->t, claim, &why) : NULL;

    if (key != NULL) {
        say(c, CHECK_OK, "realm-key", "the Realm's public key is a COSE_Key");
    } else {
        say(c, CHECK_FAIL, "realm-key", "the Realm's public key cannot be used: %s", why);
    }
    return key;
}

static const EVP_MD *md_of_len(size_t len)
{
    return len == 32 ? EVP_sha256() : len == 48 ? EVP_sha384() : len == 64 ? EVP_sha512() : NULL;
}

/* DEN0137 "CCA platform challenge claim": the platform signs for the Realm's key by taking its hash as challenge. */
static void check_binding(Checker *c)
{
    const CborItem *key = claim_of(&c->t->realm, CLAIM_RAK);
    const EVP_MD   *md = md_of_len(item_hash_len(c->t, claim_of(&c->t->realm, CLAIM_RAK_HASH)));
    uint8_t         digest[EVP_MAX_MD_SIZE];
    unsigned        len = 0;

    if (key == NULL || key->type != CBOR_BYTES || md == NULL) {
        say(c, CHECK_FAIL, "binding", "it cannot be checked without the Realm's public key and the hash "
                                          "algorithm for it");
        return;
    }
    bool same = EVP_Digest(c->t->data + key->content, (size_t)key->value, digest, &len, md, NULL) == 1 &&
                item_is_bytes(c->t, claim_of(&c->t->platform, CLAIM_CHALLENGE), digest, len);
    say(c, same ? CHECK_OK : CHECK_FAIL, "binding", "%s",
        same ? "the platform's challenge is the hash of the Realm's public key"
             : "the platform's challenge is not the hash of the Realm's public key: the two do not belong together");
}

/* ---- claims ---- */

static bool is_digest(const CborItem *item)
{
    return item != NULL && item->type == CBOR_BYTES && md_of_len((size_t)item->value) != NULL;
}

/* DEN0137 "CCA platform lifecycle claim". */
static const char *lifecycle_fault(const CborItem *item)
{
    static const char *const states[] = { "unknown", "assembly and test", "provisioning", "secured",
                                          "debugged outside the platform's root of trust", "debugged and recoverable",
                                          "decommissioned" };
    static char text[96];

    if (item->type != CBOR_UINT || item->value >> 8 > 0x60 || (item->value >> 8 & 0xf) != 0) {
        return "is no lifecycle state";
    }
    if (item->value >> 12 != 3) {
        g_snprintf(text, sizeof(text), "says that the platform is %s (0x%04x), not secured", states[item->value >> 12],
                   (unsigned)item->value);
        return text;
    }
    return NULL;
}

/* DEN0137 "CCA platform software components claim": each with a measurement and a signer. */
static const char *components_fault(const CcaToken *t, const CborItem *item)
{
    CborReader in = cbor_reader(t->data, item->content, item->end);
    CborItem   one;
    CborPair   pairs[SW_MAX_ENTRIES];
    size_t     n;

    if (item->type != CBOR_ARRAY || item->value == 0) {
        return "is no list of software components";
    }
    while (in.pos < in.end) {
        if (!cbor_read(&in, &one) || !cbor_read_map(&in, &one, pairs, ARRAY_LEN(pairs), &n)) {
            return "has a software component that is no map";
        }
        if (!is_digest(cbor_find(pairs, n, SW_MEASUREMENT)) || !is_digest(cbor_find(pairs, n, SW_SIGNER))) {
            return "has a software component without measurement or signer of 32, 48 or 64 bytes";
        }
        const int texts[] = { SW_TYPE, SW_VERSION, SW_HASH };
        for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
            const CborItem *text = cbor_find(pairs, n, texts[i]);
            if (text != NULL && text->type != CBOR_TEXT) {
                return "has a software component whose type, version or hash algorithm is no text";
            }
        }
    }
    return NULL;
}

static const char *rem_fault(const CcaToken *t, const CborItem *item, size_t len)
{
    CborReader in = cbor_reader(t->data, item->content, item->end);
    CborItem   one;

    if (item->type != CBOR_ARRAY || item->value != TOKEN_N_REM) {
        return "is no list of four measurements";
    }
    while (in.pos < in.end) {
        if (!cbor_read(&in, &one) || one.type != CBOR_BYTES || one.value != len) {
            return "has a measurement that is not as long as the Realm's hash";
        }
    }
    return NULL;
}

static bool is_bytes_of(const CborItem *item, size_t len) { return item->type == CBOR_BYTES && item->value == len; }

/* What is wrong with the value of a claim, to follow "the claim ..."; NULL when nothing is. */
static const char *claim_fault(const CcaToken *t, const TokenPart *p, const ClaimRule *rule, const CborItem *item)
{
    size_t len = item_hash_len(t, claim_of(&t->realm, CLAIM_REALM_HASH));

    switch (rule->kind) {
    case KIND_PROFILE:
        return item_is_text(t, item, p == &t->platform ? PLATFORM_PROFILE : REALM_PROFILE)
                   ? NULL : p == &t->platform ? "is not " PLATFORM_PROFILE : "is not " REALM_PROFILE;
    case KIND_BYTES:
        return item->type == CBOR_BYTES ? NULL : "is no byte string";
    case KIND_ID:
        return is_bytes_of(item, 32) ? NULL : "is not 32 bytes";
    case KIND_UEID:
        return is_bytes_of(item, 33) && t->data[item->content] == 1 ? NULL : "is not 33 bytes of which the first is 1";
    case KIND_64:
        return is_bytes_of(item, 64) ? NULL : "is not 64 bytes";
    case KIND_DIGEST:
        return is_digest(item) ? NULL : "is not 32, 48 or 64 bytes";
    case KIND_TEXT:
        return item->type == CBOR_TEXT ? NULL : "is no text";
    case KIND_HASH:
        return item_hash_len(t, item) != 0 ? NULL : "is none of sha-256, sha-384 and sha-512";
    case KIND_LIFECYCLE:
        return lifecycle_fault(item);
    case KIND_COMPONENTS:
        return components_fault(t, item);
    case KIND_RIM:
        return len != 0 && is_bytes_of(item, len) ? NULL : "is not as long as the Realm's hash";
    case KIND_REM:
        return rem_fault(t, item, len);
    case KIND_MEC:
        return item_is_text(t, item, "shared") || item_is_text(t, item, "private") ? NULL
                                                                                 : "is neither shared nor private";
    }
    return "has no rule";
}

static void check_claims(Checker *c, const TokenPart *p)
{
    size_t           n;
    const ClaimRule *rules = claim_rules(p, &n);

    for (size_t i = 0; i < n; i++) {
        const CborItem *item = claim_of(p, rules[i].key);
        const char     *fault = item != NULL ? claim_fault(c->t, p, &rules[i], item) : NULL;
        char           *name = g_strdup_printf("%s-%s", p->name, rules[i].slug);

        if (item == NULL && !rules[i].optional) {
            say(c, CHECK_FAIL, name, "the token has no claim %" PRId64 " (%s)", rules[i].key, rules[i].name);
        } else if (fault != NULL) {
            say(c, CHECK_FAIL, name, "claim %" PRId64 " (%s) %s", rules[i].key, rules[i].name, fault);
        } else if (item != NULL) {
            say(c, CHECK_OK, name, "claim %" PRId64 " (%s)", rules[i].key, rules[i].name);
        }
        g_free(name);
    }
}

/* ---- what is expected ---- */

/* @wanted NULL: not known. @option: how the user would tell. */
static void check_value(Checker *c, const char *name, const char *what, const CborItem *item, const uint8_t *wanted,
                        size_t len, const char *option, const char *meaning)
{
    if (wanted == NULL) {
        say(c, CHECK_SKIP, name, "the %s was not compared; give the one expected with %s", what, option);
    } else if (item != NULL && item_is_bytes(c->t, item, wanted, len)) {
        say(c, CHECK_OK, name, "the %s is the one expected", what);
    } else if (item == NULL || item->type != CBOR_BYTES) {
        say(c, CHECK_FAIL, name, "the token has no %s", what);
    } else {
        char *got = shown(c->t->data + item->content, (size_t)item->value), *expected = shown(wanted, len);

        say(c, CHECK_FAIL, name, "the %s is %s (%" PRIu64 " bytes), not %s (%zu bytes): %s", what, got, item->value,
            expected, len, meaning);
        g_free(got);
        g_free(expected);
    }
}

static void check_rems(Checker *c)
{
    const CborItem *list = claim_of(&c->t->realm, CLAIM_REM);
    CborReader      in = cbor_reader(c->t->data, list != NULL ? list->content : 0, list != NULL ? list->end : 0);
    CborItem        items[TOKEN_N_REM];
    size_t          n = 0;

    while (list != NULL && list->type == CBOR_ARRAY && n < TOKEN_N_REM && in.pos < in.end &&
           cbor_read(&in, &items[n])) {
        n++;
    }
    for (size_t i = 0; i < TOKEN_N_REM; i++) {
        char name[] = "expected-rem-N", what[] = "extensible measurement N";

        name[sizeof(name) - 2] = what[sizeof(what) - 2] = (char)('1' + i);
        check_value(c, name, what, i < n ? &items[i] : NULL, c->e->rem_len[i] != 0 ? c->e->rem[i] : NULL,
                    c->e->rem_len[i], "-rem", "the Realm extended it by other data, or not at all");
    }
}

bool cca_token_verify(const CcaToken *t, const TokenExpect *e, TokenReport *report, void *opaque)
{
    Checker   c = { .t = t, .e = e, .report = report, .opaque = opaque };
    EVP_PKEY *cpak = check_platform_key(&c), *rak = NULL;

    check_signature(&c, &t->platform, cpak, "the platform key");
    rak = check_realm_key(&c);
    check_signature(&c, &t->realm, rak, "the Realm's public key");
    check_binding(&c);
    check_claims(&c, &t->platform);
    check_claims(&c, &t->realm);
    check_value(&c, "expected-challenge", "challenge", claim_of(&t->realm, CLAIM_CHALLENGE),
                e->has_challenge ? e->challenge : NULL, sizeof(e->challenge), "-challenge",
                "this token was made for another request");
    check_value(&c, "expected-rim", "initial measurement", claim_of(&t->realm, CLAIM_RIM),
                e->rim_len != 0 ? e->rim : NULL, e->rim_len, "-rim",
                "the Realm was started with other contents or settings");
    check_rems(&c);
    EVP_PKEY_free(cpak);
    EVP_PKEY_free(rak);
    return !c.failed;
}
