/* token-verify: checks an Arm CCA attestation token outside the guest.
 *
 *   token-verify --token FILE --platform-cert FILE.pem --root FILE.pem --challenge HEX --rim HEX
 *
 * --platform-cert  the certificate of the platform's key (CPAK), then any certificates between it and the root
 * --root           the one root certificate we trust
 * --challenge      what the guest asked the token for; shorter than 64 bytes: filled with zeros at the end
 * --rim            the measurement computed by the rim program
 *
 * Prints every claim and one line per check; status 0 only when all pass. Shares no code with rmm/.
 * Sources: RMM specification DEN0137 "Attestation token", RFC 9052 "Signing and Verification Process", Arm
 * "CCA token" profile tag:arm.com,2023. Left out: appraisal of the software components, which needs
 * somebody's reference values.
 */
#include <cbor.h>
#include <ctype.h>
#include <getopt.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define P384_LEN  48
#define MAX_TOKEN 65536

typedef struct { const uint8_t *data; size_t len; } Bytes;

/* COSE_Sign1, RFC 9052 "Single Signer Data Object": the parts that are signed and what signs them. */
typedef struct { Bytes protected_header, payload, signature; cbor_item_t *claims; } Sign1;

enum {
    CLAIM_CHALLENGE = 10,
    CLAIM_INSTANCE = 256,
    CLAIM_PROFILE = 265,
    CLAIM_LIFECYCLE = 2395,
    CLAIM_IMPLEMENTATION = 2396,
    CLAIM_SW_COMPONENTS = 2399,
    CLAIM_SERVICE = 2400,
    CLAIM_CONFIG = 2401,
    CLAIM_PLATFORM_HASH = 2402,
    CLAIM_RPV = 44235,
    CLAIM_REALM_HASH = 44236,
    CLAIM_RAK = 44237,
    CLAIM_RIM = 44238,
    CLAIM_REM = 44239,
    CLAIM_RAK_HASH = 44240,
    CLAIM_MEC = 44243,
    TOKEN_PLATFORM = 44234,
    TOKEN_REALM = 44241
};

static const struct { uint64_t key; const char *name;
} claim_names[] = {
    {CLAIM_CHALLENGE, "challenge"},
    {CLAIM_INSTANCE, "instance id"},
    {CLAIM_PROFILE, "profile"},
    {CLAIM_LIFECYCLE, "lifecycle"},
    {CLAIM_IMPLEMENTATION, "implementation id"},
    {CLAIM_SW_COMPONENTS, "software components"},
    {CLAIM_SERVICE, "verification service"},
    {CLAIM_CONFIG, "configuration"},
    {CLAIM_PLATFORM_HASH, "platform hash"},
    {CLAIM_RPV, "personalization value"},
    {CLAIM_REALM_HASH, "realm hash"},
    {CLAIM_RAK, "realm public key"},
    {CLAIM_RIM, "initial measurement"},
    {CLAIM_REM, "extensible measurements"},
    {CLAIM_RAK_HASH, "public key hash"},
    {CLAIM_MEC, "memory encryption"},
};

static bool all_ok = true;

static bool __attribute__((format(printf, 2, 3))) check(bool ok, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    printf("%s ", ok ? "ok   " : "FAIL ");
    vprintf(format, args);
    printf("\n");
    va_end(args);
    all_ok = all_ok && ok;
    return ok;
}

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fprintf(stderr, "token-verify: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    exit(2);
}

static bool equal(Bytes a, const void *data, size_t len)
{
    return a.len == len && (len == 0 || memcmp(a.data, data, len) == 0);
}

/* ---- CBOR ---- */

/* The content of a definite byte or text string; empty for anything else. */
static Bytes string_of(const cbor_item_t *item)
{
    if (item != NULL && cbor_isa_bytestring(item) && cbor_bytestring_is_definite(item)) {
        return (Bytes){ cbor_bytestring_handle(item), cbor_bytestring_length(item) };
    }
    if (item != NULL && cbor_isa_string(item) && cbor_string_is_definite(item)) {
        return (Bytes){ cbor_string_handle(item), cbor_string_length(item) };
    }
    return (Bytes){ NULL, 0 };
}

static bool is_bytes(const cbor_item_t *item) { return item != NULL && cbor_isa_bytestring(item); }
static bool is_text(const cbor_item_t *item) { return item != NULL && cbor_isa_string(item); }

/* A map's value for an integer key (negative ones too); NULL if there is none, or more than one. */
static const cbor_item_t *map_get(const cbor_item_t *map, int64_t key)
{
    const cbor_item_t *found = NULL;

    if (map == NULL || !cbor_isa_map(map)) {
        return NULL;
    }
    const struct cbor_pair *pairs = cbor_map_handle(map);
    for (size_t i = 0; i < cbor_map_size(map); i++) {
        const cbor_item_t *k = pairs[i].key;
        bool same = key >= 0 ? cbor_isa_uint(k) && cbor_get_int(k) == (uint64_t)key
                             : cbor_isa_negint(k) && cbor_get_int(k) == (uint64_t)(-1 - key);
        if (same && found != NULL) {
            return NULL;
        }
        if (same) {
            found = pairs[i].value;
        }
    }
    return found;
}

/* One whole item and nothing after it. */
static cbor_item_t *load(Bytes b)
{
    struct cbor_load_result result;
    cbor_item_t *item = b.len ? cbor_load(b.data, b.len, &result) : NULL;

    if (item != NULL && result.read != b.len) {
        cbor_decref(&item);
    }
    return item;
}

/* The item inside a tag; the reference stays the tag's. */
static const cbor_item_t *untag(const cbor_item_t *item, uint64_t tag)
{
    if (item == NULL || !cbor_isa_tag(item) || cbor_tag_value(item) != tag) {
        return NULL;
    }
    cbor_item_t *inner = cbor_tag_item(item);
    cbor_item_t *borrowed = inner;
    cbor_decref(&inner);
    return borrowed;
}

static size_t put_head(uint8_t *p, unsigned major, size_t len)
{
    if (len < 24) {
        p[0] = (uint8_t)(major << 5 | len);
        return 1;
    }
    if (len < 0x100) {
        p[0] = (uint8_t)(major << 5 | 24);
        p[1] = (uint8_t)len;
        return 2;
    }
    p[0] = (uint8_t)(major << 5 | 25);              /* MAX_TOKEN keeps lengths below 64 KiB */
    p[1] = (uint8_t)(len >> 8);
    p[2] = (uint8_t)len;
    return 3;
}

static void print_hex(Bytes b)
{
    for (size_t i = 0; i < b.len; i++) {
        printf("%02x", b.data[i]);
    }
}

static void print_item(const cbor_item_t *item)
{
    if (cbor_isa_uint(item)) {
        printf("%#llx", (unsigned long long)cbor_get_int(item));
    } else if (is_text(item)) {
        Bytes s = string_of(item);
        for (size_t i = 0; i < s.len; i++) {
            putchar(isprint(s.data[i]) ? s.data[i] : '?');
        }
    } else if (is_bytes(item)) {
        print_hex(string_of(item));
    } else if (cbor_isa_array(item)) {
        for (size_t i = 0; i < cbor_array_size(item); i++) {
            printf("\n      - ");
            print_item(cbor_array_handle(item)[i]);
        }
    } else if (cbor_isa_map(item)) {
        for (size_t i = 0; i < cbor_map_size(item); i++) {
            printf(i ? ", " : "");
            print_item(cbor_map_handle(item)[i].key);
            printf(": ");
            print_item(cbor_map_handle(item)[i].value);
        }
    } else {
        printf("(unexpected type)");
    }
}

static void print_claims(const char *which, const cbor_item_t *claims)
{
    printf("%s claims:\n", which);
    for (size_t i = 0; i < cbor_map_size(claims); i++) {
        const struct cbor_pair *pair = &cbor_map_handle(claims)[i];
        const char *name = "(not known)";
        uint64_t    key = cbor_isa_uint(pair->key) ? cbor_get_int(pair->key) : 0;

        for (size_t j = 0; j < sizeof(claim_names) / sizeof(claim_names[0]); j++) {
            name = claim_names[j].key == key ? claim_names[j].name : name;
        }
        printf("  %5llu %s: ", (unsigned long long)key, name);
        print_item(pair->value);
        printf("\n");
    }
}

/* ---- signatures ---- */

/* The array inside tag 18. libcbor 0.8 refuses that tag in its one-byte form, so it is taken off before. */
static cbor_item_t *load_sign1(Bytes token)
{
    return token.len > 0 && token.data[0] == 0xd2 ? load((Bytes){ token.data + 1, token.len - 1 }) : NULL;
}

/* RFC 9052: array of four, ES384 named in the protected header, claims in the payload. */
static bool parse_sign1(const char *which, Bytes token, cbor_item_t **top, Sign1 *s)
{
    *top = load_sign1(token);
    const cbor_item_t *array = *top;
    bool shape = array != NULL && cbor_isa_array(array) && cbor_array_size(array) == 4;

    if (!check(shape, "%s token: COSE_Sign1 (tag 18, four parts)", which)) {
        return false;
    }
    cbor_item_t **parts = cbor_array_handle(array);
    s->protected_header = string_of(parts[0]);
    s->payload = string_of(parts[2]);
    s->signature = string_of(parts[3]);
    cbor_item_t *header = load(s->protected_header);
    const cbor_item_t *alg = map_get(header, 1);
    bool es384 = alg != NULL && cbor_isa_negint(alg) && cbor_get_int(alg) == 34;      /* -35 */
    if (header != NULL) {
        cbor_decref(&header);
    }
    s->claims = load(s->payload);
    bool claims = s->claims != NULL && cbor_isa_map(s->claims);
    check(es384, "%s token: algorithm is ES384", which);
    check(claims, "%s token: the payload is a map of claims", which);
    return es384 && claims;
}

static bool verify_sign1(const Sign1 *s, EVP_PKEY *key)
{
    static const uint8_t start[] = { 0x84, 0x6a, 'S', 'i', 'g', 'n', 'a', 't', 'u', 'r', 'e', '1' };
    uint8_t *tbs = malloc(sizeof(start) + s->protected_header.len + s->payload.len + 16);
    size_t   n = sizeof(start);
    uint8_t *der = NULL;
    int      der_len = 0;
    bool     ok = false;

    if (tbs == NULL || key == NULL || s->signature.len != 2 * P384_LEN) {
        free(tbs);
        return false;
    }
    memcpy(tbs, start, n); /* [ "Signature1", protected, h'', payload ] */
    n += put_head(tbs + n, 2, s->protected_header.len);
    memcpy(tbs + n, s->protected_header.data, s->protected_header.len);
    n += s->protected_header.len;
    n += put_head(tbs + n, 2, 0);
    n += put_head(tbs + n, 2, s->payload.len);
    memcpy(tbs + n, s->payload.data, s->payload.len);
    n += s->payload.len;

    ECDSA_SIG  *sig = ECDSA_SIG_new();
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (sig != NULL && ctx != NULL &&
        ECDSA_SIG_set0(sig, BN_bin2bn(s->signature.data, P384_LEN, NULL),
                       BN_bin2bn(s->signature.data + P384_LEN, P384_LEN, NULL)) == 1 &&
        (der_len = i2d_ECDSA_SIG(sig, &der)) > 0) {
        ok = EVP_DigestVerifyInit(ctx, NULL, EVP_sha384(), NULL, key) == 1 &&
             EVP_DigestVerify(ctx, der, (size_t)der_len, tbs, n) == 1;
    }
    OPENSSL_free(der);
    EVP_MD_CTX_free(ctx);
    ECDSA_SIG_free(sig);
    free(tbs);
    return ok;
}

/* The key in a COSE_Key {1: 2 (EC2), -1: 2 (P-384), -2: x, -3: y}; NULL if it is none. */
static EVP_PKEY *cose_key(Bytes serialised)
{
    cbor_item_t       *map = load(serialised);
    const cbor_item_t *kty = map_get(map, 1), *crv = map_get(map, -1);
    Bytes              x = string_of(map_get(map, -2)), y = string_of(map_get(map, -3));
    uint8_t            point[1 + 2 * P384_LEN] = { 4 };
    EVP_PKEY          *key = NULL;

    if (kty != NULL && cbor_isa_uint(kty) && cbor_get_int(kty) == 2 && crv != NULL && cbor_isa_uint(crv) &&
        cbor_get_int(crv) == 2 && x.len == P384_LEN && y.len == P384_LEN) {
        memcpy(point + 1, x.data, P384_LEN);
        memcpy(point + 1 + P384_LEN, y.data, P384_LEN);
        char         curve[] = "P-384";
        OSSL_PARAM params[] = {
            OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, curve, 0),
            OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)),
            OSSL_PARAM_construct_end()};
        EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
        if (ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
            EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1) {
            key = NULL;
        }
        EVP_PKEY_CTX_free(ctx);
    }
    if (map != NULL) {
        cbor_decref(&map);
    }
    return key;
}

/* The platform's key, if its certificate leads to the root by the ones that come with it. */
static EVP_PKEY *platform_key(const char *cert_path, const char *root_path)
{
    FILE           *f = fopen(cert_path, "r"), *g = fopen(root_path, "r");
    X509           *leaf = f ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;
    X509           *root = g ? PEM_read_X509(g, NULL, NULL, NULL) : NULL, *next;
    STACK_OF(X509) *between = sk_X509_new_null();
    X509_STORE     *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    EVP_PKEY       *key = NULL;

    if (leaf == NULL || root == NULL) {
        die("'%s' holds no certificate in PEM form", leaf ? root_path : cert_path);
    }
    while ((next = PEM_read_X509(f, NULL, NULL, NULL)) != NULL) {
        sk_X509_push(between, next);
    }
    X509_STORE_add_cert(store, root);
    X509_STORE_CTX_init(ctx, store, leaf, between);
    if (check(X509_verify_cert(ctx) == 1, "platform key: its certificate leads to %s (%s)", root_path,
              X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)))) {
        key = X509_get_pubkey(leaf);
    }
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    sk_X509_pop_free(between, X509_free);
    X509_free(leaf);
    X509_free(root);
    fclose(f);
    fclose(g);
    return key;
}

/* ---- claims ---- */

/* The hash a text claim names, such as "sha-256". */
static const EVP_MD *named_hash(const cbor_item_t *claim)
{
    Bytes name = string_of(claim);

    if (is_text(claim) && equal(name, "sha-256", 7)) {
        return EVP_sha256();
    }
    if (is_text(claim) && equal(name, "sha-384", 7)) {
        return EVP_sha384();
    }
    if (is_text(claim) && equal(name, "sha-512", 7)) {
        return EVP_sha512();
    }
    return NULL;
}

static bool is_profile(const cbor_item_t *claims, const char *expected)
{
    const cbor_item_t *p = map_get(claims, CLAIM_PROFILE);

    return is_text(p) && equal(string_of(p), expected, strlen(expected));
}

static void check_platform(const cbor_item_t *claims)
{
    const cbor_item_t *lifecycle = map_get(claims, CLAIM_LIFECYCLE),
                      *sw = map_get(claims, CLAIM_SW_COMPONENTS);
    Bytes instance = string_of(map_get(claims, CLAIM_INSTANCE));

    check(is_profile(claims, "tag:arm.com,2023:cca_platform#1.0.0"), "platform: profile");
    check(lifecycle != NULL && cbor_isa_uint(lifecycle) && cbor_get_int(lifecycle) >> 8 == 0x30,
          "platform: lifecycle is secured (0x3000 to 0x30ff)");
    check(string_of(map_get(claims, CLAIM_IMPLEMENTATION)).len == 32,
          "platform: implementation id has 32 bytes");
    check(instance.len == 33 && instance.data[0] == 1, "platform: instance id has 33 bytes and type 1");
    check(is_bytes(map_get(claims, CLAIM_CONFIG)), "platform: configuration");
    check(named_hash(map_get(claims, CLAIM_PLATFORM_HASH)) != NULL, "platform: hash algorithm is known");
    bool components = sw != NULL && cbor_isa_array(sw) && cbor_array_size(sw) > 0;
    for (size_t i = 0; components && i < cbor_array_size(sw); i++) {
        const cbor_item_t *c = cbor_array_handle(sw)[i];
        components = is_bytes(map_get(c, 2)) && is_bytes(map_get(c, 5));
    }
    check(components, "platform: each software component has a measurement and a signer");
}

/* The platform signs for the Realm's key by taking its hash as challenge. */
static void check_binding(const cbor_item_t *platform, const cbor_item_t *realm)
{
    const cbor_item_t *rak = map_get(realm, CLAIM_RAK);
    const EVP_MD      *md = named_hash(map_get(realm, CLAIM_RAK_HASH));
    Bytes              key = string_of(rak);
    uint8_t            digest[EVP_MAX_MD_SIZE];
    unsigned           len = 0;

    bool bound = is_bytes(rak) && md != NULL && EVP_Digest(key.data, key.len, digest, &len, md, NULL) == 1 &&
                 equal(string_of(map_get(platform, CLAIM_CHALLENGE)), digest, len);
    check(bound, "binding: the platform's challenge is the hash of the realm's public key");
}

static void check_realm(const cbor_item_t *claims, const uint8_t challenge[64], const uint8_t *rim,
                        size_t rim_len)
{
    const EVP_MD      *md = named_hash(map_get(claims, CLAIM_REALM_HASH));
    const cbor_item_t *rem = map_get(claims, CLAIM_REM);
    size_t             len = md ? (size_t)EVP_MD_get_size(md) : 0;

    check(is_profile(claims, "tag:arm.com,2023:realm#1.0.0"), "realm: profile");
    check(md != NULL, "realm: hash algorithm is known");
    check(equal(string_of(map_get(claims, CLAIM_CHALLENGE)), challenge, 64),
          "realm: challenge is the one we chose");
    check(string_of(map_get(claims, CLAIM_RPV)).len == 64, "realm: personalization value has 64 bytes");
    check(len == rim_len && equal(string_of(map_get(claims, CLAIM_RIM)), rim, rim_len),
          "realm: initial measurement is the one computed from the input files");
    bool four = rem != NULL && cbor_isa_array(rem) && cbor_array_size(rem) == 4;
    for (size_t i = 0; four && i < 4; i++) {
        four = is_bytes(cbor_array_handle(rem)[i]) && string_of(cbor_array_handle(rem)[i]).len == len;
    }
    check(four, "realm: four extensible measurements of %zu bytes", len);
}

/* ---- the whole ---- */

static Bytes read_token(const char *path)
{
    static uint8_t data[MAX_TOKEN];
    FILE  *f = fopen(path, "rb");
    size_t n = f ? fread(data, 1, sizeof(data), f) : 0;

    if (n == 0 || n == sizeof(data)) {
        die("cannot read a token from '%s'", path);
    }
    fclose(f);
    return (Bytes){ data, n };
}

static size_t parse_hex(const char *name, const char *s, uint8_t *out, size_t room)
{
    size_t   n = 0;
    unsigned byte;

    for (; isxdigit((unsigned char)s[0]) && isxdigit((unsigned char)s[1]) && n < room; s += 2) {
        sscanf(s, "%2x", &byte);
        out[n++] = (uint8_t)byte;
    }
    if (*s != '\0' || n == 0) {
        die("option --%s: give 1 to %zu bytes in hexadecimal digits", name, room);
    }
    return n;
}

static void verify(Bytes token, EVP_PKEY *cpak, const uint8_t challenge[64], const uint8_t *rim,
                   size_t rim_len)
{
    cbor_item_t       *top = load(token), *platform_top = NULL, *realm_top = NULL;
    const cbor_item_t *map = untag(top, 399);
    Sign1              platform = { 0 }, realm = { 0 };

    check(map != NULL && cbor_isa_map(map), "token: CCA token (tag 399)");
    bool p = parse_sign1("platform", string_of(map_get(map, TOKEN_PLATFORM)), &platform_top, &platform);
    bool r = parse_sign1("realm", string_of(map_get(map, TOKEN_REALM)), &realm_top, &realm);
    if (p && r) {
        print_claims("platform", platform.claims);
        print_claims("realm", realm.claims);
        EVP_PKEY *rak = cose_key(string_of(map_get(realm.claims, CLAIM_RAK)));
        check(rak != NULL, "realm: public key is a COSE_Key on P-384");
        check(verify_sign1(&platform, cpak), "platform: signature by the certified key");
        check(verify_sign1(&realm, rak), "realm: signature by the realm's public key");
        check_binding(platform.claims, realm.claims);
        check_platform(platform.claims);
        check_realm(realm.claims, challenge, rim, rim_len);
        EVP_PKEY_free(rak);
    }
    cbor_item_t *items[] = { platform.claims, realm.claims, platform_top, realm_top, top };
    for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++) {
        if (items[i] != NULL) {
            cbor_decref(&items[i]);
        }
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "token", 1, NULL, 't' },     { "platform-cert", 1, NULL, 'p' }, { "root", 1, NULL, 'r' },
        { "challenge", 1, NULL, 'c' }, { "rim", 1, NULL, 'm' },           { NULL, 0, NULL, 0 },
    };
    const char *token = NULL, *cert = NULL, *root = NULL;
    uint8_t     challenge[64] = { 0 }, rim[64];
    size_t      challenge_len = 0, rim_len = 0;
    int         c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 't': token = optarg; break;
        case 'p': cert = optarg; break;
        case 'r': root = optarg; break;
        case 'c': challenge_len = parse_hex("challenge", optarg, challenge, sizeof(challenge)); break;
        case 'm': rim_len = parse_hex("rim", optarg, rim, sizeof(rim)); break;
        default: return 2;
        }
    }
    if (token == NULL || cert == NULL || root == NULL || challenge_len == 0 || rim_len == 0) {
        die("options --token, --platform-cert, --root, --challenge and --rim are all needed");
    }
    EVP_PKEY *cpak = platform_key(cert, root);
    verify(read_token(token), cpak, challenge, rim, rim_len);
    EVP_PKEY_free(cpak);
    printf("%s\n", all_ok ? "token accepted" : "token NOT accepted");
    return all_ok ? 0 : 1;
}
