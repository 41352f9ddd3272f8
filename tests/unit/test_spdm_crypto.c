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
    assert_true(spdm_derive_handshake(&suite, false, dhe, 48, th1, &k));
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
    SpdmSigner     s = { 0x12, spdm_hash(BIT(1)), spdm_asym(BIT(7)) };
    SpdmSpan       spans[] = { { "tran", 4 }, { "script", 6 } }, joined = { "transcript", 10 };
    uint8_t        sig[96], again[96];
    SpdmPrivateKey key, other_key;
    SpdmPublicKey  point, other_point;
    Entropy        e;

    entropy_init(&e, 7, "signer");
    assert_true(spdm_key_load(spdm_test_pem(SPDM_TEST_DEVICE, SPDM_KEY_P384)->key_pem, &e, &key));
    assert_true(spdm_key_load(spdm_test_substitute_key_pem(), &e, &other_key));
    assert_true(spdm_public_key_of(&key, &e, &point));
    assert_true(spdm_public_key_of(&other_key, &e, &other_point));
    entropy_init(&e, 7, "signer");
    assert_true(spdm_sign(&s, &e, &key, SPDM_SIGN_CHALLENGE, spans, 2, sig));
    entropy_init(&e, 7, "signer");
    assert_true(spdm_sign(&s, &e, &key, SPDM_SIGN_CHALLENGE, &joined, 1, again));
    assert_memory_equal(sig, again, sizeof(sig)); /* same seed, same signature */
    assert_true(spdm_verify(&s, &point, SPDM_SIGN_CHALLENGE, &joined, 1, sig));
    assert_false(spdm_verify(&s, &point, SPDM_SIGN_MEASUREMENTS, &joined, 1, sig));
    assert_false(spdm_verify(&s, &other_point, SPDM_SIGN_CHALLENGE, &joined, 1, sig));
    s.version = 0x13;
    assert_false(spdm_verify(&s, &point, SPDM_SIGN_CHALLENGE, &joined, 1, sig));
    s.version = 0x12;
    memset(again, 0, sizeof(again));
    assert_false(spdm_verify(&s, &point, SPDM_SIGN_CHALLENGE, &joined, 1, again)); /* r = s = 0 */
}

/* DSP0274 1.1 "Signature generation" is Sign(SK, Hash(M1)): Ed25519, which hashes by itself, gets the hash. */
static void test_ed25519_of_11(void **state)
{
    SpdmSigner     s = { 0x11, spdm_hash(BIT(0)), spdm_asym(BIT(10)) };
    SpdmSpan       transcript = { "transcript", 10 }, hashed;
    uint8_t        sig[64], hash[32];
    SpdmPrivateKey key;
    SpdmPublicKey  point;
    Entropy        e;

    entropy_init(&e, 7, "signer");
    assert_true(spdm_key_load(spdm_test_pem(SPDM_TEST_DEVICE, SPDM_KEY_ED25519)->key_pem, &e, &key));
    assert_true(spdm_public_key_of(&key, &e, &point));
    assert_true(spdm_sign(&s, &e, &key, SPDM_SIGN_CHALLENGE, &transcript, 1, sig));
    assert_true(spdm_verify(&s, &point, SPDM_SIGN_CHALLENGE, &transcript, 1, sig));
    assert_true(spdm_hash_spans(s.hash, &transcript, 1, hash));
    hashed = (SpdmSpan){ hash, sizeof(hash) };
    assert_true(spdm_key_verify(s.asym, s.hash, &point, NULL, &hashed, 1, sig));
    assert_false(spdm_key_verify(s.asym, s.hash, &point, NULL, &transcript, 1, sig));
}

/* Ed448 signs with SPDM's context string as its own, since 1.2, where libcrypto gives it one, which is since 3.2; with
 * an earlier one it is not there. */
static void test_ed448(void **state)
{
    SpdmSigner     s = { 0x12, spdm_hash(BIT(0)), spdm_asym(BIT(11)) };
    SpdmSpan       transcript = { "transcript", 10 }, message;
    uint8_t        sig[114] = { 0 }, signed_message[64 + 36 + 32] = { 0 };
    bool           known = spdm_algorithms_known().asym & BIT(11);
    char           why[SPDM_WHY_MAX];
    SpdmAlgMasks   masks;
    SpdmPrivateKey key;
    SpdmPublicKey  point;
    Entropy        e, *before;
    EVP_PKEY      *made;
    uint8_t       *der = NULL;
    int            len;

    assert_int_equal(known, OpenSSL_version_num() >= 0x30200000);
    assert_int_equal(spdm_algorithms_parse("ed448", &masks, why), known);
    entropy_init(&e, 7, "signer");
    before = entropy_use(&e);
    made = EVP_PKEY_Q_keygen(NULL, NULL, "ED448");
    len = i2d_PrivateKey(made, &der);
    entropy_use(before);
    assert_true(len > 0 && spdm_private_key_read(der, (size_t)len, &e, &key));
    assert_true(spdm_public_key_of(&key, &e, &point));
    assert_true(spdm_public_key_is_valid(&point));
    assert_int_equal(point.kind, SPDM_KEY_ED448);
    OPENSSL_free(der);
    EVP_PKEY_free(made);
    if (!known) {
        assert_non_null(strstr(why, "no algorithm \"ed448\" here"));
        assert_null(strstr(strstr(why, ":"), "ed448"));
        assert_false(spdm_sign(&s, &e, &key, SPDM_SIGN_CHALLENGE, &transcript, 1, sig)); /* not without its context */
        assert_false(spdm_verify(&s, &point, SPDM_SIGN_CHALLENGE, &transcript, 1, sig));
        return;
    }
    assert_int_equal(masks.asym, BIT(11));
    assert_true(spdm_sign(&s, &e, &key, SPDM_SIGN_CHALLENGE, &transcript, 1, sig));
    assert_true(spdm_verify(&s, &point, SPDM_SIGN_CHALLENGE, &transcript, 1, sig));
    assert_false(spdm_verify(&s, &point, SPDM_SIGN_MEASUREMENTS, &transcript, 1, sig));
    for (unsigned i = 0; i < 4; i++) {
        memcpy(signed_message + 16 * i, "dmtf-spdm-v1.2.*", 16);
    }
    memcpy(signed_message + 64 + 36 - strlen(SPDM_SIGN_CHALLENGE), SPDM_SIGN_CHALLENGE, strlen(SPDM_SIGN_CHALLENGE));
    assert_true(spdm_hash_spans(s.hash, &transcript, 1, signed_message + 64 + 36));
    message = (SpdmSpan){ signed_message, sizeof(signed_message) };
    assert_true(spdm_key_verify(s.asym, s.hash, &point, SPDM_SIGN_CHALLENGE, &message, 1, sig));
    assert_false(spdm_key_verify(s.asym, s.hash, &point, SPDM_SIGN_MEASUREMENTS, &message, 1, sig));
    assert_false(spdm_key_verify(s.asym, s.hash, &point, NULL, &message, 1, sig));
    s.version = 0x11; /* which has no context strings */
    assert_true(spdm_sign(&s, &e, &key, SPDM_SIGN_CHALLENGE, &transcript, 1, sig));
    assert_true(spdm_hash_spans(s.hash, &transcript, 1, signed_message));
    message.len = 32;
    assert_true(spdm_key_verify(s.asym, s.hash, &point, NULL, &message, 1, sig));
}

/* ML-KEM, where libcrypto has it (since 3.5): what the device encapsulates, the module gets out; a spoilt ciphertext
 * gives another secret, a public half whose numbers are out of range none. */
static void test_kems(void **state)
{
    static const char *const names[] = { "ml-kem-512", "ml-kem-768", "ml-kem-1024" };
    static uint8_t           seed[SPDM_DHE_MAX], again[SPDM_DHE_MAX], ek[SPDM_DHE_MAX], ct[SPDM_DHE_MAX];
    uint8_t                  secret[32], other[32];
    bool                     known = OpenSSL_version_num() >= 0x30500000;
    SpdmAlgMasks             masks;
    char                     why[SPDM_WHY_MAX];
    Entropy                  e;

    entropy_init(&e, 3, "kem");
    assert_int_equal(spdm_algorithms_known().dhe >> SPDM_KEM_SHIFT, known ? 7 : 0);
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        const SpdmDhe *kem = spdm_dhe((uint32_t)BIT(SPDM_KEM_SHIFT + i));

        assert_string_equal(kem->name, names[i]);
        assert_int_equal(spdm_algorithms_parse(names[i], &masks, why), known);
        if (!known) {
            assert_non_null(strstr(why, "no algorithm"));
            assert_false(spdm_dhe_generate(kem, &e, seed, ek));
            assert_false(spdm_dhe_respond(kem, &e, ek, ct, secret));
            assert_false(spdm_dhe_secret(kem, &e, seed, ct, secret));
            continue;
        }
        assert_int_equal(masks.dhe, kem->bit);
        entropy_init(&e, 3, "kem");
        assert_true(spdm_dhe_generate(kem, &e, seed, ek));
        assert_true(spdm_dhe_respond(kem, &e, ek, ct, secret));
        assert_true(spdm_dhe_secret(kem, &e, seed, ct, other));
        assert_memory_equal(secret, other, sizeof(secret));
        entropy_init(&e, 3, "kem");
        assert_true(spdm_dhe_generate(kem, &e, again, ek));
        assert_memory_equal(seed, again, kem->private_len); /* the keys repeat from a seed */
        ct[0] ^= 1;
        assert_true(spdm_dhe_secret(kem, &e, seed, ct, other));
        assert_memory_not_equal(secret, other, sizeof(secret));
        memset(ek, 0xff, 16);
        assert_false(spdm_dhe_respond(kem, &e, ek, ct, secret));
    }
}

/* Each group: both ends get the same, and what is no member is refused. */
static void test_shares(void **state)
{
    static const char *const names[] = { "secp256r1", "secp384r1", "secp521r1", "ffdhe2048", "ffdhe3072", "ffdhe4096" };
    static uint8_t           a[SPDM_DHE_MAX], b[SPDM_DHE_MAX], share_a[SPDM_DHE_MAX], share_b[SPDM_DHE_MAX],
        x[SPDM_DHE_MAX], y[SPDM_DHE_MAX];
    SpdmAlgMasks masks;
    char         why[SPDM_WHY_MAX];
    Entropy      e;

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        assert_true(spdm_algorithms_parse(names[i], &masks, why));
        const SpdmDhe *dhe = spdm_dhe(masks.dhe);

        assert_non_null(dhe);
        assert_string_equal(dhe->name, names[i]);
        entropy_init(&e, 3, "dhe");
        assert_true(spdm_dhe_generate(dhe, &e, a, share_a));
        assert_true(spdm_dhe_generate(dhe, &e, b, share_b));
        assert_true(spdm_dhe_secret(dhe, &e, a, share_b, x));
        assert_true(spdm_dhe_secret(dhe, &e, b, share_a, y));
        assert_memory_equal(x, y, dhe->secret_len);
        entropy_init(&e, 3, "dhe");
        assert_true(spdm_dhe_generate(dhe, &e, x, y));
        assert_memory_equal(y, share_a, dhe->len); /* same seed, same share */
        share_a[dhe->len / 2] ^= 1;
        if (dhe->len != dhe->secret_len) {
            assert_false(spdm_dhe_secret(dhe, &e, b, share_a, y)); /* not on the curve */
        }
        memset(share_a, 0, dhe->len);
        assert_false(spdm_dhe_secret(dhe, &e, b, share_a, y));
        share_a[dhe->len - 1] = 1;
        assert_false(spdm_dhe_secret(dhe, &e, b, share_a, y)); /* FFDHE: 1 has order 1 */
        memset(share_a, 0xff, dhe->len);
        assert_false(spdm_dhe_secret(dhe, &e, b, share_a, y)); /* beyond the field */
    }
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

#define TIME_2026 1767225600

/* Each kind of key has a chain of its own whose signatures hold, and which leads to its key. */
static void test_pki_kinds(void **state)
{
    static SpdmIdentity id;
    const char         *error = NULL;
    Entropy             e;

    entropy_init(&e, 1, "pki");
    for (unsigned kind = 0; kind < SPDM_N_KEY_KINDS; kind++) {
        SpdmPublicKey leaf;

        if (!spdm_identity_load(spdm_test_pem(SPDM_TEST_DEVICE, (SpdmKeyKind)kind), &e, &id, &error)) {
            fail_msg("%s: %s", spdm_key_type((SpdmKeyKind)kind)->name, error);
        }
        assert_int_equal(id.key.kind, kind);
        error = spdm_identity_check(&id, &e);
        if (error != NULL) {
            fail_msg("%s: %s", spdm_key_type((SpdmKeyKind)kind)->name, error);
        }
        assert_int_equal(spdm_first_certificate_len(id.certs, id.certs_len), id.root_len);
        assert_null(spdm_chain_check(id.certs, id.certs_len, id.certs, id.root_len,
                                     SPDM_CHAIN_OF_RESPONDER, TIME_2026, &leaf));
        assert_true(spdm_public_key_is_valid(&leaf));
        assert_int_equal(leaf.len, spdm_key_type((SpdmKeyKind)kind)->public_len);
        leaf.len--;
        assert_false(spdm_public_key_is_valid(&leaf));
        assert_true(spdm_key_load(spdm_test_substitute_key_pem(), &e, &id.key));
        assert_string_equal(spdm_identity_check(&id, &e), "the private key is not the last certificate's");
    }
    assert_null(spdm_test_pem(SPDM_TEST_WRONG_ROOT, SPDM_KEY_P256));
}

static void test_pki(void **state)
{
    static SpdmIdentity device, wrong, mixed;
    const char         *error = NULL;
    Entropy             e;
    const SpdmPem      *good = spdm_test_pem(SPDM_TEST_DEVICE, SPDM_KEY_P384);
    SpdmPem             pem = { good->chain_pem, spdm_test_substitute_key_pem() };
    const uint8_t      *der = device.certs;

    entropy_init(&e, 1, "pki");
    assert_true(spdm_identity_load(good, &e, &device, &error));
    assert_true(spdm_identity_load(spdm_test_pem(SPDM_TEST_WRONG_ROOT, SPDM_KEY_P384), &e, &wrong, &error));
    assert_null(spdm_identity_check(&wrong, &e));
    assert_string_equal(spdm_chain_check(wrong.certs, wrong.certs_len, der, device.root_len,
                                         SPDM_CHAIN_OF_RESPONDER, TIME_2026, NULL),
                        "the chain starts from another root");
    assert_non_null(spdm_chain_check(der, device.certs_len, der, device.root_len,
                                     SPDM_CHAIN_OF_RESPONDER, 1704067200 /* 2024 */, NULL));
    assert_non_null(spdm_chain_check(der, device.certs_len - 1, der, device.root_len,
                                     SPDM_CHAIN_OF_RESPONDER, TIME_2026, NULL));
    assert_true(spdm_identity_load(&pem, &e, &mixed, &error));
    assert_non_null(spdm_identity_check(&mixed, &e));
    assert_null(error);
    assert_false(spdm_identity_load(&(SpdmPem){ "nothing", pem.key_pem }, &e, &mixed, &error));
    assert_false(spdm_identity_load(&(SpdmPem){ pem.chain_pem, "nothing" }, &e, &mixed, &error));
    assert_non_null(error);
    /* Our root before the wrong intermediate and leaf, which has the right names. */
    memcpy(mixed.certs, der, device.root_len);
    size_t rest = wrong.certs_len - wrong.root_len;
    memcpy(mixed.certs + device.root_len, wrong.certs + wrong.root_len, rest);
    assert_non_null(spdm_chain_check(mixed.certs, device.root_len + rest, der, device.root_len,
                                     SPDM_CHAIN_OF_RESPONDER, TIME_2026, NULL));
}

static void test_scalar(void **state)
{
    uint8_t        scalar[48] = { 0 };
    SpdmPrivateKey key;
    SpdmPublicKey  point;
    Entropy        e;

    entropy_init(&e, 1, "scalar");
    assert_false(spdm_private_key_from_scalar(SPDM_KEY_P384, &e, scalar, &key));
    memset(scalar, 0xff, sizeof(scalar)); /* above the order */
    assert_false(spdm_private_key_from_scalar(SPDM_KEY_P384, &e, scalar, &key));
    memset(scalar, 0, sizeof(scalar));
    scalar[47] = 1;
    assert_true(spdm_private_key_from_scalar(SPDM_KEY_P384, &e, scalar, &key));
    assert_true(spdm_public_key_of(&key, &e, &point));
    assert_int_equal(point.len, 97);
    assert_memory_equal(point.bytes, "\x04\xaa\x87\xca\x22\xbe\x8b\x05\x37", 9); /* the generator */
}

static void test_names(void **state)
{
    static const struct {
        const char  *text, *bad; /* NULL: it is understood */
        SpdmAlgMasks masks;      /* 0: all known */
    } rows[] = {
        { "sha256", NULL, { .hash = 1 } },
        { "sha512+sha3-256", NULL, { .hash = 4 | 8 } },
        { "meas-sha256+meas-raw", NULL, { .measure_hash = 3 } },
        { "rsassa2048+rsapss4096+ecdsa-p521+ed25519", NULL, { .asym = 1 | 0x40 | 0x100 | 0x400 } },
        { "ffdhe2048+secp521r1+aes-128-gcm+chacha20-poly1305", NULL, { .dhe = 1 | 0x20, .aead = 1 | 4 } },
        { "", "algorithm \"\"", { 0 } },
        { "sha256+", "algorithm \"\"", { 0 } },
        { "sha256++sha384", "algorithm \"\"", { 0 } },
        { "sha256+sm3", "\"sm3\"", { 0 } },
        { "SHA256", "\"SHA256\"", { 0 } },
        { "sha25", "\"sha25\"", { 0 } },
    };
    SpdmAlgMasks known = spdm_algorithms_known(), m;
    char         why[SPDM_WHY_MAX];

#define EXPECT(field) assert_int_equal(m.field, rows[i].masks.field != 0 ? rows[i].masks.field : known.field)
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (spdm_algorithms_parse(rows[i].text, &m, why) != (rows[i].bad == NULL)) {
            fail_msg("%s: %s", rows[i].text, rows[i].bad == NULL ? "refused" : "accepted");
        }
        if (rows[i].bad != NULL) {
            assert_non_null(strstr(why, rows[i].bad));
            assert_non_null(strstr(why, " sha384 ")); /* those that there are, the last one too */
            assert_string_equal(why + strlen(why) - 9, " meas-raw");
            continue;
        }
        EXPECT(hash);
        EXPECT(measure_hash);
        EXPECT(asym);
        EXPECT(dhe);
        EXPECT(aead);
    }
#undef EXPECT
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_key_schedule), cmocka_unit_test(test_record),
        cmocka_unit_test(test_record_inside), cmocka_unit_test(test_signature),
        cmocka_unit_test(test_shares),       cmocka_unit_test(test_entropy), cmocka_unit_test(test_pki),
        cmocka_unit_test(test_pki_kinds),    cmocka_unit_test(test_scalar),  cmocka_unit_test(test_names),
        cmocka_unit_test(test_ed25519_of_11), cmocka_unit_test(test_ed448), cmocka_unit_test(test_kems),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
