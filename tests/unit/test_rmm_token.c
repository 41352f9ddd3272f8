/*
 * The attestation token as a verifier sees it: got by a Realm in pieces, parsed with libcbor, its signatures
 * checked with OpenSSL up to the test root.
 */
#include "tests/unit/rmm_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cbor.h>
#include <cmocka.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509_vfy.h>

static Rig    *rig;
static uint8_t token[8192];
static size_t  token_len;

/* ---- how a Realm gets it ---- */

static uint64_t realm_call(uint64_t fid, const uint64_t *x, unsigned n)
{
    Rec *rec = rec_at(rig->rmm, PAGE(W_REC0));

    rec->pc = 0;
    rec->x[0] = fid;
    memcpy(rec->x + 1, x, 8 * n);
    rmi_ok(rig, RMI_FID_REC_ENTER, PAGE(W_REC0), PAGE(W_RUN));
    return rec->x[0];
}

static void get_token(uint64_t piece, uint8_t challenge_byte)
{
    uint64_t challenge[8], x0;
    Rec     *rec = rec_at(rig->rmm, PAGE(W_REC0));

    memset(challenge, challenge_byte, sizeof(challenge));
    token_len = 0;
    assert_int_equal(realm_call(SMC64_STD(RSI_FID_ATTESTATION_TOKEN_INIT), challenge, 8), RSI_SUCCESS);
    assert_int_equal(rec->x[1], 4096);
    do {
        uint64_t offset = 4096 - piece;
        x0 = realm_call(SMC64_STD(RSI_FID_ATTESTATION_TOKEN_CONTINUE), (uint64_t[]){ 0x7000, offset, piece }, 3);
        assert_true(x0 == RSI_SUCCESS || x0 == RSI_INCOMPLETE);
        assert_true(rec->x[1] <= piece && token_len + rec->x[1] <= sizeof(token));
        memcpy(token + token_len, rig_bytes(rig, PAGE(W_DATA + 7)) + offset, rec->x[1]);
        token_len += rec->x[1];
    } while (x0 == RSI_INCOMPLETE);
    assert_int_equal(realm_call(SMC64_STD(RSI_FID_ATTESTATION_TOKEN_CONTINUE), (uint64_t[]){ 0x7000, 0, 8 }, 3),
                     RSI_ERROR_STATE);
}

static int setup(void **state)
{
    rig = rig_new();
    world_new(rig, (const uint32_t[]){ A64_SMC, A64_WFI }, 2);
    world_recs(rig);
    rmi_ok(rig, RMI_FID_REALM_ACTIVATE, PAGE(W_RD));
    rig_enter(rig, W_RUN, RMI_ENTER_FLAGS, RMI_ENTER_TRAP_WFI);
    return 0;
}

static int teardown(void **state)
{
    rig_free(rig);
    return 0;
}

/* ---- CBOR ---- */

static cbor_item_t *load(const uint8_t *data, size_t len)
{
    struct cbor_load_result result;
    cbor_item_t            *item = cbor_load(data, len, &result);

    assert_non_null(item);
    assert_int_equal(result.read, len);
    return item;
}

static cbor_item_t *get(const cbor_item_t *map, int64_t key)
{
    assert_true(cbor_isa_map(map));
    for (size_t i = 0; i < cbor_map_size(map); i++) {
        const struct cbor_pair *p = &cbor_map_handle(map)[i];
        bool negative = cbor_isa_negint(p->key);
        if (cbor_get_int(p->key) == (uint64_t)(key < 0 ? -1 - key : key) && negative == (key < 0)) {
            return p->value;
        }
    }
    fail_msg("no claim %lld", (long long)key);
    return NULL;
}

static void assert_bytes(const cbor_item_t *item, const void *data, size_t len)
{
    assert_true(cbor_isa_bytestring(item));
    assert_int_equal(cbor_bytestring_length(item), len);
    if (data != NULL) {
        assert_memory_equal(cbor_bytestring_handle(item), data, len);
    }
}

static void assert_text(const cbor_item_t *item, const char *s)
{
    assert_true(cbor_isa_string(item));
    assert_int_equal(cbor_string_length(item), strlen(s));
    assert_memory_equal(cbor_string_handle(item), s, strlen(s));
}

/* ---- signatures ---- */

/* A COSE_Sign1 without its tag, which libcbor 0.8 does not read in this form. */
static cbor_item_t *load_sign1(const cbor_item_t *bytes)
{
    const uint8_t *data = cbor_bytestring_handle(bytes);

    assert_int_equal(data[0], 0xd2);
    cbor_item_t *array = load(data + 1, cbor_bytestring_length(bytes) - 1);
    assert_true(cbor_isa_array(array) && cbor_array_size(array) == 4);
    return array;
}

static size_t put_bstr(uint8_t *p, const uint8_t *data, size_t len)
{
    p[0] = 0x59;
    p[1] = (uint8_t)(len >> 8);
    p[2] = (uint8_t)len;
    memcpy(p + 3, data, len);
    return 3 + len;
}

static bool signature_holds(const cbor_item_t *sign1, EVP_PKEY *key)
{
    cbor_item_t  **part = cbor_array_handle(sign1);
    uint8_t        text[4096] = { 0x84, 0x6a, 'S', 'i', 'g', 'n', 'a', 't', 'u', 'r', 'e', '1', 0x44, 0xa1, 0x01,
        0x38, 0x22, 0x40 };
    size_t         n = 18;
    const uint8_t *sig = cbor_bytestring_handle(part[3]);
    uint8_t       *der = NULL;

    assert_bytes(part[0], "\xa1\x01\x38\x22", 4); /* { alg: ES384 } */
    assert_bytes(part[3], NULL, 96);
    n += put_bstr(text + n, cbor_bytestring_handle(part[2]), cbor_bytestring_length(part[2]));
    ECDSA_SIG *s = ECDSA_SIG_new();
    ECDSA_SIG_set0(s, BN_bin2bn(sig, 48, NULL), BN_bin2bn(sig + 48, 48, NULL));
    int         der_len = i2d_ECDSA_SIG(s, &der);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool        ok = EVP_DigestVerifyInit(ctx, NULL, EVP_sha384(), NULL, key) == 1 &&
              EVP_DigestVerify(ctx, der, (size_t)der_len, text, n) == 1;
    EVP_MD_CTX_free(ctx);
    OPENSSL_free(der);
    ECDSA_SIG_free(s);
    return ok;
}

static EVP_PKEY *key_of_point(const uint8_t *x, const uint8_t *y)
{
    uint8_t       point[97] = { 4 };
    char          curve[] = "P-384";
    EVP_PKEY     *key = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);

    memcpy(point + 1, x, 48);
    memcpy(point + 49, y, 48);
    OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, curve, 0),
                            OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)),
                            OSSL_PARAM_construct_end() };
    EVP_PKEY_fromdata_init(ctx);
    assert_int_equal(EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params), 1);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static X509 *certificate(const char *pem)
{
    BIO  *bio = BIO_new_mem_buf(pem, -1);
    X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);

    assert_non_null(x);
    BIO_free(bio);
    return x;
}

/* The platform's key, certified by the test root. */
static EVP_PKEY *platform_key(void)
{
    X509           *root = certificate(rmm_attest_root_pem()), *leaf = certificate(rmm_attest_platform_pem());
    X509_STORE     *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();

    X509_STORE_add_cert(store, root);
    X509_STORE_CTX_init(ctx, store, leaf, NULL);
    assert_int_equal(X509_verify_cert(ctx), 1);
    EVP_PKEY *key = X509_get_pubkey(leaf);
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    X509_free(root);
    X509_free(leaf);
    return key;
}

/* ---- tests ---- */

static void check_realm_claims(const cbor_item_t *claims, uint8_t challenge_byte)
{
    const Realm *realm = realm_at(rig->rmm, PAGE(W_RD));
    uint8_t      bytes[64];

    memset(bytes, challenge_byte, 64);
    assert_bytes(get(claims, 10), bytes, 64);
    memset(bytes, 0x5a, 64);
    assert_bytes(get(claims, 44235), bytes, 64);
    assert_text(get(claims, 44236), "sha-256");
    assert_text(get(claims, 44240), "sha-256");
    assert_text(get(claims, 265), "tag:arm.com,2023:realm#1.0.0");
    assert_bytes(get(claims, 44238), realm->measurement[0], 32);
    const cbor_item_t *rems = get(claims, 44239);
    assert_int_equal(cbor_array_size(rems), 4);
    for (unsigned i = 0; i < 4; i++) {
        assert_bytes(cbor_array_handle(rems)[i], realm->measurement[1 + i], 32);
    }
    bool mec = rig_dialect != RMM_1_0; /* the claim came with RMM 1.1 */
    if (mec) {
        assert_text(get(claims, 44243), "shared");
    }
    assert_int_equal(cbor_map_size(claims), mec ? 9 : 8);
}

static void check_platform_claims(const cbor_item_t *claims, const cbor_item_t *rak, EVP_PKEY *cpak)
{
    uint8_t binding[32], point[97], instance[33] = { 1 };
    size_t  len;

    SHA256(cbor_bytestring_handle(rak), cbor_bytestring_length(rak), binding);
    assert_bytes(get(claims, 10), binding, 32);
    assert_text(get(claims, 265), "tag:arm.com,2023:cca_platform#1.0.0");
    assert_bytes(get(claims, 2396), NULL, 32);
    assert_int_equal(EVP_PKEY_get_octet_string_param(cpak, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &len), 1);
    SHA256(point, len, instance + 1);
    assert_bytes(get(claims, 256), instance, 33); /* it identifies the key that signs */
    assert_int_equal(cbor_get_int(get(claims, 2395)) >> 8, 0x30);
    assert_int_equal(cbor_array_size(get(claims, 2399)), 2);
    for (unsigned i = 0; i < 2; i++) {
        assert_bytes(get(cbor_array_handle(get(claims, 2399))[i], 2), NULL, 32);
        assert_bytes(get(cbor_array_handle(get(claims, 2399))[i], 5), NULL, 32);
    }
}

static EVP_PKEY *rak_of(const cbor_item_t *rak)
{
    cbor_item_t *cose = load(cbor_bytestring_handle(rak), cbor_bytestring_length(rak));

    assert_int_equal(cbor_get_int(get(cose, 1)), 2);
    assert_int_equal(cbor_get_int(get(cose, -1)), 2);
    EVP_PKEY *key = key_of_point(cbor_bytestring_handle(get(cose, -2)), cbor_bytestring_handle(get(cose, -3)));
    cbor_decref(&cose);
    return key;
}

static void check_token(uint8_t challenge_byte)
{
    cbor_item_t *top = load(token, token_len);
    assert_true(cbor_isa_tag(top));
    assert_int_equal(cbor_tag_value(top), 399);
    cbor_item_t *map = cbor_tag_item(top);
    cbor_item_t *platform = load_sign1(get(map, 44234)), *realm = load_sign1(get(map, 44241));
    const cbor_item_t *pp = cbor_array_handle(platform)[2], *rp = cbor_array_handle(realm)[2];
    cbor_item_t *platform_claims = load(cbor_bytestring_handle(pp), cbor_bytestring_length(pp));
    cbor_item_t *realm_claims = load(cbor_bytestring_handle(rp), cbor_bytestring_length(rp));
    const cbor_item_t *rak = get(realm_claims, 44237);

    EVP_PKEY *cpak = platform_key(), *key = rak_of(rak);
    assert_true(signature_holds(platform, cpak));
    assert_true(signature_holds(realm, key));
    assert_false(signature_holds(realm, cpak));
    check_realm_claims(realm_claims, challenge_byte);
    check_platform_claims(platform_claims, rak, cpak);
    EVP_PKEY_free(cpak);
    EVP_PKEY_free(key);
    cbor_item_t *items[] = { realm_claims, platform_claims, realm, platform, map, top };
    for (size_t i = 0; i < ARRAY_LEN(items); i++) {
        cbor_decref(&items[i]);
    }
}

static void test_whole(void **state)
{
    get_token(4096, 0x11);
    check_token(0x11);
}

static void test_pieces(void **state)
{
    uint8_t first[8192];

    get_token(100, 0x22);
    check_token(0x22);
    /* Another machine with the same seed gives the same token, byte for byte. */
    size_t len = token_len;
    memcpy(first, token, len);
    teardown(state);
    setup(state);
    get_token(4096, 0x22);
    assert_int_equal(token_len, len);
    assert_memory_equal(token, first, len);
}

static void test_init_restarts(void **state)
{
    uint64_t challenge[8] = { 0 };

    realm_call(SMC64_STD(RSI_FID_ATTESTATION_TOKEN_INIT), challenge, 8);
    assert_int_equal(realm_call(SMC64_STD(RSI_FID_ATTESTATION_TOKEN_CONTINUE), (uint64_t[]){ 0x7000, 0, 0 }, 3),
                     RSI_INCOMPLETE);
    assert_int_equal(realm_call(SMC64_STD(RSI_FID_ATTESTATION_TOKEN_CONTINUE), (uint64_t[]){ 0x7000, 0, 64 }, 3),
                     RSI_INCOMPLETE);
    get_token(4096, 0x33);
    check_token(0x33);
}

/* The token shows what the Realm added to its measurements. */
static void test_with_rem(void **state)
{
    uint64_t x[10] = { 3, 64, 1, 2, 3, 4, 5, 6, 7, 8 };

    assert_int_equal(realm_call(SMC64_STD(RSI_FID_MEASUREMENT_EXTEND), x, 10), RSI_SUCCESS);
    const uint8_t *rem = realm_at(rig->rmm, PAGE(W_RD))->measurement[3];

    assert_int_not_equal(rem[0] | rem[1], 0);
    get_token(4096, 0x44);
    check_token(0x44);
}

/* The token of each dialect. */
static void test_dialects(void **state)
{
    for (rig_dialect = 0; rig_dialect < RMM_N_DIALECTS; rig_dialect++) {
        teardown(state);
        setup(state);
        get_token(4096, 0x55);
        check_token(0x55);
    }
    rig_dialect = RMM_1_1_ALP17;
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = { T(test_whole), T(test_pieces), T(test_init_restarts), T(test_with_rem),
        T(test_dialects) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
