/*
 * Known answers: the key schedule of a conversation that two independent implementations agreed on (SPDM 1.2,
 * SHA-384, P-384, AES-256-GCM), the layout of records, and the signatures. The keys repeat from a seed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "spdm/pki.h"
#include "spdm/record.h"
#include "spdm/sign.h"
#include "spdm/wire.h"

static const char dhe_hex[] =
    "96801e3b4f6d58fd38d9e93894cad8c30ce985c6e176d99388bd10dfba5dd21f0bdfe938e15d390db10ecd65161e92d5";
static const char th1_hex[] =
    "480d818d521bee66e8e108291ad0cd75672609ea1a8354d3228d779d8e3f9d73543f536893d0c31d8620e58c039580f3";
static const char th2_hex[] =
    "5112cb69e96b71d1e8700870c54dbc04e0cf112105b6e970fa350d810f3788d811b6c507f78fa787281529564a38ba3b";

static void unhex(const char *hex, uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned byte;

        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        out[i] = (uint8_t)byte;
    }
}

static void assert_hex(const char *name, const uint8_t *got, const char *hex)
{
    uint8_t want[64];
    size_t  len = strlen(hex) / 2;

    unhex(hex, want, len);
    if (memcmp(got, want, len) != 0) {
        fail_msg("%s differs from the known answer", name);
    }
}

static void test_key_schedule(void **state)
{
    SpdmSuite suite = { 0x12, spdm_hash(BIT(1)), spdm_aead(BIT(1)) };
    SpdmKeys  k;
    uint8_t   dhe[48], th1[48], th2[48], secret[48];

    unhex(dhe_hex, dhe, 48);
    unhex(th1_hex, th1, 48);
    unhex(th2_hex, th2, 48);
    assert_true(spdm_derive_handshake(&suite, dhe, 48, th1, &k));
    assert_hex(
        "handshake secret", k.handshake_secret,
        "01654c361b3bc3796ad3b3bfae319b1642e2d87896c21ddbb0a56cd67b02dceef28e0968fe8930e193e561c99119d471");
    assert_true(spdm_expand(&suite, k.handshake_secret, "req hs data", th1, secret, 48));
    assert_hex(
        "request handshake secret", secret,
        "24c0f2a57e874ca341b8806b6870914761967b9faf2de5afc8023c59eb2e1017696a78f75886cfa4696e3d775c212b7a");
    assert_true(spdm_expand(&suite, k.handshake_secret, "rsp hs data", th1, secret, 48));
    assert_hex(
        "response handshake secret", secret,
        "ab0ab4e029784843699b11918b04ce41efd205250b4bbbbb127d8d257597dbb92589a27c1bc569ba92c14f870b2c06f5");
    assert_hex(
        "request finished key", k.request_finished,
        "58c3c0df03f80076ebdec12177513e8284c4df32ab5672ffd011b75ddc101a2ca4e411974807b46d2882a020e4cba4b4");
    assert_hex(
        "response finished key", k.response_finished,
        "ecb77ecd45fe9f8f3911e91007c1a6de5855d897add7eb3672d95edb0c915243c8c2d4e80b6b417fc50c600625a12bdf");
    assert_hex("request handshake key", k.request_handshake.key,
               "944c91410f64f86ff19700f03f679100c85ae4d84d5f5e1fb7abe2146165bd6f");
    assert_hex("request handshake iv", k.request_handshake.iv, "c833193e1983beab9ed51d45");
    assert_true(spdm_expand(&suite, k.handshake_secret, "derived", NULL, secret, 48));
    assert_hex(
        "salt 1", secret,
        "48af9250ca1380a961d2718c97882a34942a228ffc2cf9749631192f1d42686118cddb6f3cd923034a595fb1f6a28383");
    assert_true(spdm_derive_data(&suite, th2, &k));
    assert_hex("request data key", k.request_data.key,
               "0effece569e8409f0fc6411aaf943571ecfb5f05ab1f948c7a0819cfce0f2a67");
    assert_hex("request data iv", k.request_data.iv, "63cf85e81ef9c2b7061482fa");
    assert_true(spdm_update_channel(&suite, k.request_secret, &k.request_data));
    assert_hex(
        "request data secret after an update", k.request_secret,
        "60a5c9f9025f993afaddce17e4244708ed10d6d3ae959fda01c09e4434bee53543a5a9a2e37b718478b274e275f8f45a");
}

/* Each of the twelve bytes and its neighbours: a record opens once, in order, and not when anything
 * differs. */
static void test_record(void **state)
{
    const SpdmAead *aead = spdm_aead(BIT(1));
    SpdmChannel     out = { .key = { 1 }, .iv = { 2 } }, in = out, before;
    uint8_t         msg[] = { 0x12, 0xec, 0, 0 }, record[64], plain[64];
    size_t len = spdm_record_seal(aead, &out, 0xffff0001, msg, sizeof(msg), record, sizeof(record)),
           plain_len;

    assert_int_equal(len, 4 + 2 + 2 + 4 + 16);
    assert_int_equal(le32_get(record), 0xffff0001);
    assert_int_equal(le16_get(record + 4), 2 + 4 + 16);
    for (size_t i = 0; i < 8 * len; i++) {
        before = in;
        record[i / 8] ^= (uint8_t)(1u << i % 8);
        assert_false(spdm_record_open(aead, &in, record, len, plain, sizeof(plain), &plain_len));
        record[i / 8] ^= (uint8_t)(1u << i % 8);
        assert_memory_equal(&before, &in, sizeof(in));
    }
    for (size_t n = 0; n < len; n++) {
        assert_false(spdm_record_open(aead, &in, record, n, plain, sizeof(plain), &plain_len));
    }
    /* also: it fits no smaller buffer */
    assert_false(spdm_record_open(aead, &in, record, len, plain, 3, &plain_len));
    in.sequence = 0;
    memset(record + len, 0, 3);
    /* DW padding */
    assert_true(spdm_record_open(aead, &in, record, len + 3, plain, sizeof(plain), &plain_len));
    assert_int_equal(plain_len, sizeof(msg));
    assert_memory_equal(plain, msg, sizeof(msg));
    assert_false(spdm_record_open(aead, &in, record, len, plain, sizeof(plain), &plain_len)); /* replay */
    in.sequence = 0;
    /* more than padding */
    assert_false(spdm_record_open(aead, &in, record, len + 4, plain, sizeof(plain), &plain_len));
    assert_int_equal(spdm_record_seal(aead, &out, 1, msg, sizeof(msg), record, len - 1), 0);
}

/* Authentic records whose inside is wrong: a peer that has the keys can still lie about lengths. */
static void test_record_inside(void **state)
{
    static const struct {
        const char *name;
        uint8_t     len, plain[6];
        bool        opens;
    } rows[] = {
        { "nothing", 0, { 0 }, false },
        { "half a length", 1, { 0 }, false },
        { "empty message", 2, { 0, 0 }, true },
        { "length beyond", 6, { 5, 0 }, false },
        { "length FFFF", 6, { 0xff, 0xff }, false },
        { "whole", 6, { 4, 0 }, true },
        { "random padding behind", 6, { 2, 0 }, true },
    };
    const SpdmAead *aead = spdm_aead(BIT(1));

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        SpdmChannel in = { .key = { 1 } };
        uint8_t     record[32] = { 1, 0, 0, 0, (uint8_t)(rows[i].len + 16) }, out[8];
        size_t      out_len = 0;

        assert_true(spdm_aead_seal(aead, in.key, in.iv, (SpdmSpan){ record, 6 }, rows[i].plain, rows[i].len,
                                   record + 6, record + 6 + rows[i].len));
        if (spdm_record_open(aead, &in, record, 22u + rows[i].len, out, sizeof(out), &out_len) !=
            rows[i].opens) {
            fail_msg("%s: %s", rows[i].name, rows[i].opens ? "refused" : "accepted");
        }
        assert_true(!rows[i].opens || out_len == rows[i].plain[0]);
    }
}

static void test_signature(void **state)
{
    SpdmSigner   s = { 0x12, spdm_hash(BIT(1)), spdm_asym(BIT(7)) };
    SpdmSpan     spans[] = { { "tran", 4 }, { "script", 6 } }, joined = { "transcript", 10 };
    uint8_t      key[48], other_key[48], point[97], other_point[97], sig[96], again[96];
    Entropy      e;

    entropy_init(&e, 7, "signer");
    assert_true(spdm_key_load(spdm_test_pem(SPDM_TEST_DEVICE)->key_pem, key));
    assert_true(spdm_key_load(spdm_test_substitute_key_pem(), other_key));
    assert_true(spdm_public_point(s.asym, &e, key, point));
    assert_true(spdm_public_point(s.asym, &e, other_key, other_point));
    entropy_init(&e, 7, "signer");
    assert_true(spdm_sign(&s, &e, key, SPDM_SIGN_CHALLENGE, spans, 2, sig));
    entropy_init(&e, 7, "signer");
    assert_true(spdm_sign(&s, &e, key, SPDM_SIGN_CHALLENGE, &joined, 1, again));
    assert_memory_equal(sig, again, sizeof(sig)); /* same seed, same signature */
    assert_true(spdm_verify(&s, point, SPDM_SIGN_CHALLENGE, &joined, 1, sig));
    assert_false(spdm_verify(&s, point, SPDM_SIGN_MEASUREMENTS, &joined, 1, sig));
    assert_false(spdm_verify(&s, other_point, SPDM_SIGN_CHALLENGE, &joined, 1, sig));
    s.version = 0x13;
    assert_false(spdm_verify(&s, point, SPDM_SIGN_CHALLENGE, &joined, 1, sig));
    s.version = 0x12;
    memset(again, 0, sizeof(again));
    assert_false(spdm_verify(&s, point, SPDM_SIGN_CHALLENGE, &joined, 1, again)); /* r = s = 0 */
}

static void test_points(void **state)
{
    const SpdmDhe *dhe = spdm_dhe(BIT(4));
    uint8_t        a[48], b[48], share_a[96], share_b[96], x[48], y[48];
    Entropy        e;

    entropy_init(&e, 3, "dhe");
    assert_true(spdm_dhe_generate(dhe, &e, a, share_a));
    assert_true(spdm_dhe_generate(dhe, &e, b, share_b));
    assert_true(spdm_dhe_secret(dhe, &e, a, share_b, x));
    assert_true(spdm_dhe_secret(dhe, &e, b, share_a, y));
    assert_memory_equal(x, y, sizeof(x));
    share_a[5] ^= 1;
    assert_false(spdm_dhe_secret(dhe, &e, b, share_a, y)); /* not on the curve */
    memset(share_a, 0, sizeof(share_a));
    assert_false(spdm_dhe_secret(dhe, &e, b, share_a, y));
    memset(share_a, 0xff, sizeof(share_a));
    assert_false(spdm_dhe_secret(dhe, &e, b, share_a, y)); /* coordinates beyond the field */
}

static void test_entropy(void **state)
{
    Entropy a, b, c;
    uint8_t x[80], y[80], z[80];

    entropy_init(&a, 1, "rmm");
    entropy_init(&b, 1, "rmm");
    entropy_init(&c, 1, "device");
    entropy_bytes(&a, x, sizeof(x));
    entropy_bytes(&b, y, sizeof(y));
    entropy_bytes(&c, z, sizeof(z));
    assert_memory_equal(x, y, sizeof(x));
    assert_memory_not_equal(x, z, sizeof(x));
    assert_int_equal(a.counter, 3);
    entropy_init(&c, 2, "rmm");
    entropy_bytes(&c, z, sizeof(z));
    assert_memory_not_equal(x, z, sizeof(x));

    /* OpenSSL draws from the party named, and from nothing else. */
    assert_null(entropy_use(NULL));
    assert_int_not_equal(RAND_bytes(x, 32), 1);
    assert_null(entropy_use(&a));
    assert_int_equal(RAND_bytes(x, 32), 1);
    entropy_bytes(&b, y, 32);
    assert_memory_equal(x, y, 32);
    assert_ptr_equal(entropy_use(NULL), &a);
    assert_int_not_equal(RAND_bytes(x, 32), 1);
}

static void test_pki(void **state)
{
    static SpdmIdentity device, wrong, mixed;
    const char         *error = NULL;
    uint8_t             point[97], ours[97];
    Entropy             e;
    size_t              root_len;
    SpdmPem             pem = { spdm_test_pem(SPDM_TEST_DEVICE)->chain_pem, spdm_test_substitute_key_pem() };
    const uint8_t      *der = device.chain + 52;

    entropy_init(&e, 1, "pki");
    assert_true(spdm_identity_load(spdm_test_pem(SPDM_TEST_DEVICE), &e, &device, &error));
    assert_true(spdm_identity_load(spdm_test_pem(SPDM_TEST_WRONG_ROOT), &e, &wrong, &error));
    assert_int_equal(le32_get(device.chain), device.chain_len);
    root_len = spdm_first_certificate_len(der, device.chain_len - 52);
    assert_true(root_len > 0);
    assert_null(spdm_chain_check(der, device.chain_len - 52, der, root_len, 1767225600 /* 2026 */, point));
    assert_true(spdm_public_point(spdm_asym(BIT(7)), &e, device.private_key, ours));
    assert_memory_equal(point, ours, sizeof(point));
    assert_string_equal(
        spdm_chain_check(wrong.chain + 52, wrong.chain_len - 52, der, root_len, 1767225600, NULL),
        "the chain starts from another root");
    assert_non_null(spdm_chain_check(der, device.chain_len - 52, der, root_len, 1704067200 /* 2024 */, NULL));
    assert_non_null(spdm_chain_check(der, device.chain_len - 53, der, root_len, 1767225600, NULL));
    assert_false(spdm_identity_load(&pem, &e, &mixed, &error));
    assert_non_null(error);
    assert_false(spdm_identity_load(&(SpdmPem){ "nothing", pem.key_pem }, &e, &mixed, &error));
    assert_false(spdm_identity_load(&(SpdmPem){ pem.chain_pem, "nothing" }, &e, &mixed, &error));
    /* Our root before the wrong intermediate and leaf, which has the right names. */
    memcpy(mixed.chain, der, root_len);
    size_t wrong_root_len = spdm_first_certificate_len(wrong.chain + 52, wrong.chain_len - 52);
    size_t rest = wrong.chain_len - 52 - wrong_root_len;
    memcpy(mixed.chain + root_len, wrong.chain + 52 + wrong_root_len, rest);
    assert_non_null(spdm_chain_check(mixed.chain, root_len + rest, der, root_len, 1767225600, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_key_schedule), cmocka_unit_test(test_record),
        cmocka_unit_test(test_record_inside), cmocka_unit_test(test_signature),
        cmocka_unit_test(test_points),       cmocka_unit_test(test_entropy), cmocka_unit_test(test_pki),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
