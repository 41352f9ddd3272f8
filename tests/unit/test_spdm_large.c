/*
 * Chains of more than 64 KiB, and lengths of 32 bits: LARGE_RESP_CAP of DSP0274 1.4 in both roles, and what versions
 * and peers without it are told. One row per stimulus.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "spdm/caps.h"
#include "spdm_pair.h"

#define LARGE SPDM_CAP_LARGE_RESP

enum { HASH = 48, LONG = 70000, MIDDLE = 20000, MUTUAL = SPDM_CAP_MUT_AUTH | SPDM_CAP_ENCAP };

static SpdmPair     pair;
static SpdmIdentity ids[2];
static uint8_t      reply[SPDM_MSG_MAX], chain[SPDM_CERTS_LARGE_MAX], talk[SPDM_B_LARGE_MAX],
    requester_chain[SPDM_CERTS_LARGE_MAX], requester_talk[2][SPDM_B_LARGE_MAX];

/* PEM of a certificate of the key for itself, with a comment of @len bytes in it; the caller frees it. */
static char *comment(EVP_PKEY *key, size_t len)
{
    X509           *cert = X509_new();
    ASN1_IA5STRING *text = ASN1_IA5STRING_new();
    X509_EXTENSION *extension;
    BIO            *bio = BIO_new(BIO_s_mem());
    char           *bytes = calloc(1, len + 1), *pem;
    BUF_MEM        *mem;

    memset(bytes, 'x', len);
    assert_int_equal(ASN1_STRING_set(text, bytes, (int)len), 1);
    extension = X509V3_EXT_i2d(NID_netscape_comment, 0, text);
    assert_int_equal(X509_set_version(cert, 2), 1);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    assert_int_equal(X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                                                (const unsigned char *)"long", -1, -1, 0), 1);
    assert_int_equal(X509_set_issuer_name(cert, X509_get_subject_name(cert)), 1);
    assert_int_equal(ASN1_TIME_set_string(X509_getm_notBefore(cert), "20200101000000Z"), 1);
    assert_int_equal(ASN1_TIME_set_string(X509_getm_notAfter(cert), "20400101000000Z"), 1);
    assert_int_equal(X509_set_pubkey(cert, key), 1);
    assert_int_equal(X509_add_ext(cert, extension, -1), 1);
    assert_true(X509_sign(cert, key, EVP_sha384()) > 0);
    assert_int_equal(PEM_write_bio_X509(bio, cert), 1);
    BIO_get_mem_ptr(bio, &mem);
    pem = calloc(1, mem->length + 1);
    memcpy(pem, mem->data, mem->length);
    BIO_free(bio);
    X509_EXTENSION_free(extension);
    ASN1_IA5STRING_free(text);
    X509_free(cert);
    free(bytes);
    return pem;
}

/* A chain with so much in it, for the TEST device's key. */
static void load(size_t len, SpdmIdentity *id, SpdmRoom room)
{
    const char *key_pem = spdm_test_pem(SPDM_TEST_DEVICE, SPDM_KEY_P384)->key_pem, *why = "";
    Entropy    *before = entropy_use(&pair.device_entropy);
    BIO        *bio = BIO_new_mem_buf(key_pem, -1);
    EVP_PKEY   *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    char       *pem = comment(key, len);

    entropy_use(before);
    *id = (SpdmIdentity){ .room = room };
    if (!spdm_identity_load(&(SpdmPem){ pem, key_pem }, &pair.device_entropy, id, &why)) {
        fail_msg("%s", why);
    }
    assert_null(spdm_identity_check(id, &pair.device_entropy));
    free(pem);
    EVP_PKEY_free(key);
    BIO_free(bio);
}

/* A device with such a chain in slot 0, and a requester with room for it. */
static void begin(uint8_t version, uint32_t caps, size_t len)
{
    pair_init(&pair, SPDM_RESPONDER_CAPS | caps);
    pair.responder.config.version_min = pair.responder.config.version_max = version;
    load(len, &ids[0], (SpdmRoom){ chain, sizeof(chain) });
    pair.responder.config.identities = ids;
    pair.responder.config.n_identities = 1;
    pair.responder.b.room = (SpdmRoom){ talk, sizeof(talk) };
    pair.requester.chain_room = (SpdmRoom){ requester_chain, sizeof(requester_chain) };
    pair.requester.challenge = &pair.challenge;
    pair.challenge.b.room = (SpdmRoom){ requester_talk[0], sizeof(requester_talk[0]) };
    pair.challenge.mutual.room = (SpdmRoom){ requester_talk[1], sizeof(requester_talk[1]) };
}

/* Read, challenged for, and the key that it names used. */
static void test_chains(void **state)
{
    static const struct {
        uint8_t  version;
        uint32_t caps;
        size_t   len;
        bool     announced, small;
    } rows[] = {
        { SPDM_VERSION_11, 0, MIDDLE, false, false },
        { SPDM_VERSION_12, 0, MIDDLE, false, false },
        { SPDM_VERSION_14, 0, MIDDLE, true, false },
        { SPDM_VERSION_14, LARGE, MIDDLE, true, false },
        { SPDM_VERSION_14, LARGE, LONG, true, false },
        { SPDM_VERSION_14, LARGE, LONG, false, false }, /* the device's capability is enough */
        { SPDM_VERSION_14, LARGE | SPDM_CAP_CHUNK, LONG, true, true },
        { SPDM_VERSION_14, LARGE, 250000, true, false },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        SpdmSpan got;

        begin(rows[i].version, rows[i].caps, rows[i].len);
        pair.requester.options.large = rows[i].announced;
        pair.responder.config.transfer_size = rows[i].small ? 512 : SPDM_MSG_MAX;
        pair.requester.options.transfer_size = rows[i].small ? 512 : 0;
        if (pair_connect(&pair) != SPDM_DONE || pair_op(&pair, SPDM_OP_CHALLENGE, NULL) != SPDM_DONE) {
            fail_msg("row %u: %s", i, spdm_requester_error(&pair.requester));
        }
        got = spdm_requester_chain(&pair.requester);
        assert_int_equal(got.len, 4 + HASH + ids[0].certs_len);
        assert_memory_equal((const uint8_t *)got.data + 4 + HASH, spdm_identity_certs(&ids[0]), ids[0].certs_len);
        for (unsigned n = 1; n < pair_n_stages; n++) {
            if (pair_stages[n].run(&pair) != SPDM_DONE) {
                fail_msg("row %u, %s: %s", i, pair_stages[n].name, spdm_requester_error(&pair.requester));
            }
        }
    }
}

/* Without room, or a way to ask for the end. */
static void test_no_room(void **state)
{
    begin(SPDM_VERSION_14, LARGE, LONG);
    pair.requester.chain_room = (SpdmRoom){ NULL, 0 };
    assert_int_equal(pair_connect(&pair), SPDM_FAILED);
    assert_string_equal(spdm_requester_error(&pair.requester), "the certificate chain is longer than 8 KiB");
    begin(SPDM_VERSION_14, LARGE, LONG);
    pair.requester.chain_room.cap = LONG;
    assert_int_equal(pair_connect(&pair), SPDM_FAILED);
    assert_string_equal(spdm_requester_error(&pair.requester), "the certificate chain is longer than 68 KiB");
    begin(SPDM_VERSION_14, LARGE, LONG);
    pair.responder.b.room = (SpdmRoom){ NULL, 0 }; /* as without one before: nothing is signed that was not kept */
    assert_int_equal(pair_connect(&pair), SPDM_DONE);
    assert_int_equal(pair_op(&pair, SPDM_OP_CHALLENGE, NULL), SPDM_FAILED);
    begin(SPDM_VERSION_14, 0, LONG);
    assert_int_equal(pair_connect(&pair), SPDM_FAILED);
    assert_non_null(strstr(spdm_requester_error(&pair.requester), "ERROR 0x12 (data 0x00) to request 0x82"));
    for (uint8_t version = SPDM_VERSION_11; version <= SPDM_VERSION_13; version++) { /* the slot is not there */
        begin(version, LARGE, LONG);
        assert_int_equal(pair_connect(&pair), SPDM_FAILED);
        assert_non_null(strstr(spdm_requester_error(&pair.requester), "ERROR 0x05 (data 0x00) to request 0x81"));
    }
}

enum { TOTAL = 0xabcd }; /* in an expected answer: what it stands for is the chain's length */

/* GET_CERTIFICATE and what answers it. */
static void test_get_certificate(void **state)
{
    static const struct {
        const char *name;
        uint8_t     version;
        uint32_t    caps;
        bool        is_long; /* the chain */
        uint8_t     n, bytes[16];
        uint8_t     code, param1, param2; /* of the answer */
        uint32_t    portion, left; /* of CERTIFICATE */
    } rows[] = {
        { "long, large", 0x14, LARGE, true, 16, { 0x14, 0x82, 0x80, 0, [12] = 16 }, 0x02, 0x80, 0, 16, 1 },
        { "long, large, reserved fields", 0x14, LARGE, true, 16,
          { 0x14, 0x82, 0x80, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 16 }, 0x02, 0x80, 0, 16, 1 },
        { "long, large, beyond 64 KiB", 0x14, LARGE, true, 16,
          { 0x14, 0x82, 0x80, 0, [8] = 0, 0, 1, 0, 9 }, 0x02, 0x80, 0, 9, 1 },
        { "long, large, more than a message", 0x14, LARGE, true, 16,
          { 0x14, 0x82, 0x80, 0, [12] = 0xff, 0xff, 0xff, 0xff }, 0x02, 0x80, 0, 4096 - 16, 1 },
        { "large, no bytes", 0x14, LARGE, true, 16, { 0x14, 0x82, 0x80 }, 0x7f, 1, 0, 0, 0 },
        { "large, offset 4 GiB", 0x14, LARGE, true, 16,
          { 0x14, 0x82, 0x80, 0, [8] = 0xff, 0xff, 0xff, 0xff, 1 }, 0x7f, 1, 0, 0, 0 },
        { "large, lengths of 16 bits alone", 0x14, LARGE, true, 8,
          { 0x14, 0x82, 0x80, 0, 0, 0, 16 }, 0x7f, 1, 0, 0, 0 },
        { "large, cut", 0x14, LARGE, true, 15, { 0x14, 0x82, 0x80, 0, [12] = 16 }, 0x7f, 1, 0, 0, 0 },
        { "large, too long", 0x14, LARGE, true, 16 + 4, { 0x14, 0x82, 0x80, 0, [12] = 16 }, 0x7f, 1, 0, 0,
          0 },
        { "large, slot 8", 0x14, LARGE, true, 16, { 0x14, 0x82, 0x88, 0, [12] = 16 }, 0x7f, 1, 0, 0, 0 },
        { "large, an empty slot", 0x14, LARGE, true, 16, { 0x14, 0x82, 0x81, 0, [12] = 16 }, 0x7f, 1, 0, 0,
          0 },
        { "large, to a device without", 0x14, 0, true, 16, { 0x14, 0x82, 0x80, 0, [12] = 16 }, 0x7f, 7, 0x82, 0, 0 },
        { "short, of a long chain", 0x14, LARGE, true, 8, { 0x14, 0x82, 0, 0, 0, 0, 16 }, 0x7f, 0x12, 0,
          TOTAL, 0 },
        { "the same, to a device without", 0x14, 0, true, 8, { 0x14, 0x82, 0, 0, 0, 0, 16 }, 0x7f, 0x12, 0, TOTAL, 0 },
        { "size of the slot, large", 0x14, LARGE, true, 16, { 0x14, 0x82, 0x80, 1 }, 0x02, 0x80, 0, 0,
          TOTAL },
        { "size of the slot, short", 0x14, LARGE, true, 8, { 0x14, 0x82, 0, 1 }, 0x7f, 0x12, 0, TOTAL, 0 },
        { "short chain, large", 0x14, LARGE, false, 16, { 0x14, 0x82, 0x80, 0, [12] = 16 }, 0x02, 0x80, 0,
          16, 1 },
        { "short chain, short", 0x14, LARGE, false, 8, { 0x14, 0x82, 0, 0, 0, 0, 16 }, 0x02, 0, 0, 16, 1 },
        { "1.3, the bit is reserved", 0x13, LARGE, false, 8, { 0x13, 0x82, 0x80, 0, 0, 0, 16 }, 0x02, 0, 0,
          16, 1 },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        uint8_t  msg[32] = { 0 };
        bool     large = rows[i].param1 & 0x80;
        size_t   n, total;
        uint32_t portion, left, offset;

        begin(rows[i].version, rows[i].caps, rows[i].is_long ? LONG : 100);
        (void)pair_connect(&pair);
        total = 4 + HASH + ids[0].certs_len;
        memcpy(msg, rows[i].bytes, sizeof(rows[i].bytes));
        n = pair_send(&pair, false, msg, rows[i].n, reply, sizeof(reply));
        if (n < 4 || reply[1] != rows[i].code || reply[2] != rows[i].param1 || reply[3] != rows[i].param2) {
            fail_msg("%s: %zu bytes, %02x %02x %02x", rows[i].name, n, reply[1], reply[2], reply[3]);
        }
        if (rows[i].code == SPDM_ERROR) {
            assert_int_equal(n, rows[i].portion == TOTAL ? 8 : 4);
            assert_true(rows[i].portion != TOTAL || le32_get(reply + 4) == total);
            continue;
        }
        portion = large ? le32_get(reply + 8) : le16_get(reply + 4);
        left = large ? le32_get(reply + 12) : le16_get(reply + 6);
        offset = large ? le32_get(msg + 8) : le16_get(msg + 4);
        assert_int_equal(large ? le32_get(reply + 4) : 0, 0);
        assert_int_equal(portion, rows[i].portion);
        assert_int_equal(left, rows[i].left == TOTAL ? total : total - offset - portion);
        assert_int_equal(n, (large ? 16 : 8) + portion);
        if (offset > 4 + HASH) {
            assert_memory_equal(reply + 16, spdm_identity_certs(&ids[0]) + offset - 4 - HASH, portion);
        }
    }
}

/* An answer in the form that was not asked for, or with other lengths. */
static void test_answers(void **state)
{
    static const struct {
        const char *name;
        uint32_t    caps;
        size_t      len;
        uint8_t     bytes[20];
        const char *says;
    } rows[] = {
        { "short for large", LARGE, 12, { 0x14, 2, 0, 0, 4, 0, 9 }, "wrong length or slot" },
        { "the same, as long", LARGE, 20, { 0x14, 2, 0, 0, [8] = 4, [12] = 9 }, "wrong length or slot" },
        { "large for short", 0, 20, { 0x14, 2, 0x80, 0, [8] = 4, [12] = 9 }, "wrong length or slot" },
        { "large for short, as long", 0, 12, { 0x14, 2, 0x80, 0, 4, 0, 9 }, "wrong length or slot" },
        { "large, cut", LARGE, 14, { 0x14, 2, 0x80 }, "wrong length or slot" },
        { "large, no bytes", LARGE, 16, { 0x14, 2, 0x80, 0, [12] = 9 }, "wrong length or slot" },
        { "large, another slot", LARGE, 20, { 0x14, 2, 0x81, 0, [8] = 4, [12] = 9 }, "length or slot" },
        { "large, 4 GiB left", LARGE, 20,
          { 0x14, 2, 0x80, 0, [8] = 4, [12] = 0xff, 0xff, 0xff, 0xff }, "longer than 256 KiB" },
        { "large, 4 GiB", LARGE, 20, { 0x14, 2, 0x80, 0, [8] = 0xff, 0xff, 0xff, 0xff }, "length or slot" },
        { "short, 64 KiB", 0, 12, { 0x14, 2, 0, 0, 4, 0, 0xff, 0xff }, "longer than 64 KiB" },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        uint8_t out[SPDM_MSG_MAX];
        bool    secured;

        begin(SPDM_VERSION_14, rows[i].caps, 100);
        assert_null(spdm_requester_start(&pair.requester, SPDM_OP_CONNECT, NULL));
        for (unsigned n = 0; n < 4; n++) {
            assert_int_equal(pair_step(&pair), SPDM_CONTINUE);
        }
        assert_int_equal(spdm_requester_next(&pair.requester, out, sizeof(out), &secured), rows[i].caps != 0 ? 16 : 8);
        assert_int_equal(spdm_requester_response(&pair.requester, rows[i].bytes, rows[i].len, false), SPDM_FAILED);
        if (strstr(spdm_requester_error(&pair.requester), rows[i].says) == NULL) {
            fail_msg("%s: %s", rows[i].name, spdm_requester_error(&pair.requester));
        }
    }
}

/* Vendors' messages: large when both can, and only then. */
static void test_vendor(void **state)
{
    static const uint8_t query[] = { 0x14, 0xfe, 0x80, 0, 3, 0, 2, 1, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0 };
    uint8_t              more[sizeof(query)];

    for (unsigned i = 0; i < 4; i++) {
        bool   device = i & 1, module = i & 2;
        size_t n;

        begin(SPDM_VERSION_14, device ? LARGE : 0u, 100);
        pair.requester.options.large = module;
        assert_true(pair_run(&pair, pair_stage("query") + 1));
        assert_int_equal(((const uint8_t *)spdm_requester_request(&pair.requester).data)[2],
                         device && module ? 0x80 : 0);
        n = pair_send(&pair, true, query, sizeof(query), reply, sizeof(reply));
        if (device && module) {
            assert_true(n > sizeof(query));
            assert_memory_equal(reply, ((uint8_t[]){ 0x14, 0x7e, 0x80, 0, 3, 0, 2, 1, 0, 0, 0 }), 11);
            assert_int_equal(le32_get(reply + 11), n - 15);
            memcpy(more, query, sizeof(query));
            more[14] = 0x10; /* the length's upper half counts */
            n = pair_send(&pair, true, more, sizeof(more), reply, sizeof(reply));
        }
        assert_true(pair_answered(reply, n, SPDM_INVALID_REQUEST, 0));
        for (unsigned stage = 3; stage < pair_n_stages; stage++) {
            assert_int_equal(pair_stages[stage].run(&pair), SPDM_DONE);
        }
    }
    begin(SPDM_VERSION_14, 0, 100); /* the answer to a short one is short */
    assert_true(pair_run(&pair, pair_stage("query")));
    pair.tamper = &(PairTamper){ .exchange = pair.exchange, .response = true, .at = 2, .mask = 0x80 };
    assert_int_equal(pair_stages[pair_stage("query")].run(&pair), SPDM_FAILED);
}

static bool trust(void *opaque, const uint8_t *certs, size_t len, SpdmPublicKey *key)
{
    return spdm_chain_check(certs, len, NULL, 0, SPDM_CHAIN_OF_REQUESTER, -1, key) == NULL;
}

static void begin_mutual(uint32_t caps, bool large)
{
    begin(SPDM_VERSION_14, caps | MUTUAL, 100);
    pair.responder.config.requester_key = trust;
    pair.requester.identity = pair_identity(SPDM_TEST_REQUESTER);
    pair.requester.options.large = large;
}

/* A requester that can is asked in that form, whatever the device can. Up to 8 KiB are kept of its certificates. */
static void test_mutual(void **state)
{
    for (unsigned i = 0; i < 4; i++) {
        begin_mutual(i & 1 ? LARGE : 0u, i & 2);
        assert_int_equal(pair_connect(&pair), SPDM_DONE);
        assert_null(spdm_requester_start(&pair.requester, SPDM_OP_SESSION, NULL));
        for (unsigned n = 0; n < 3; n++) {
            assert_int_equal(pair_step(&pair), SPDM_CONTINUE);
        }
        assert_int_equal(pair.requester.encapsulated[1], SPDM_GET_CERTIFICATE);
        assert_int_equal(pair.requester.encapsulated[2], i & 2 ? 0x80 : 0);
        assert_int_equal(pair.requester.encapsulated_len, i & 2 ? 16 : 8);
        while (pair.requester.session.state != SPDM_SESSION_ESTABLISHED) {
            assert_int_not_equal(pair_step(&pair), SPDM_FAILED);
        }
        assert_true(pair.requester.session.mut_auth != 0);
    }
    begin_mutual(0, true);
    load(LONG, &ids[1], (SpdmRoom){ requester_talk[1], SPDM_CERTS_LARGE_MAX });
    pair.requester.identity = &ids[1];
    assert_int_equal(pair_connect(&pair), SPDM_DONE);
    assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_FAILED);
    assert_non_null(strstr(spdm_requester_error(&pair.requester), "ERROR 0x09"));
}

/* What a device asks of the requester, by hand, and what that says. */
static void test_asked(void **state)
{
    static const struct {
        const char *name;
        uint8_t     version;
        bool        large, is_long; /* the requester; its chain */
        uint8_t     n, bytes[16];
        uint8_t     code, param1, param2; /* of the answer */
    } rows[] = {
        { "large", 0x14, true, false, 16, { 0x14, 0x82, 0x80, 0, [12] = 9 }, 2, 0x80, 0 },
        { "large, long", 0x14, true, true, 16, { 0x14, 0x82, 0x80, 0, [8] = 0, 0, 1, 0, 9 }, 2, 0x80, 0 },
        { "large, beyond it", 0x14, true, true, 16, { 0x14, 0x82, 0x80, 0, [8] = 0, 0, 2, 0, 9 }, 0x7f, 1, 0 },
        { "large, cut", 0x14, true, true, 12, { 0x14, 0x82, 0x80, 0, [8] = 9 }, 0x7f, 1, 0 },
        { "large, not announced", 0x14, false, false, 16, { 0x14, 0x82, 0x80, 0, [12] = 9 }, 0x7f, 7, 0x82 },
        { "short of a long one", 0x14, true, true, 8, { 0x14, 0x82, 0, 0, 0, 0, 9 }, 0x7f, 0x12, 0 },
        { "the same in 1.3", 0x13, true, true, 8, { 0x13, 0x82, 0, 0, 0, 0, 9 }, 0x7f, 5, 0 },
        { "short", 0x14, true, false, 8, { 0x14, 0x82, 0, 0, 0, 0, 9 }, 2, 0, 0 },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        uint8_t out[SPDM_MSG_MAX], asked[4 + 16] = { rows[i].version, 0x6a, 5, 0 };
        bool    secured;
        size_t  n;

        begin_mutual(LARGE, rows[i].large);
        pair.responder.config.version_min = pair.responder.config.version_max = rows[i].version;
        if (rows[i].is_long) {
            load(LONG, &ids[1], (SpdmRoom){ requester_talk[1], SPDM_CERTS_LARGE_MAX });
            pair.requester.identity = &ids[1];
        }
        assert_int_equal(pair_connect(&pair), SPDM_DONE);
        assert_null(spdm_requester_start(&pair.requester, SPDM_OP_SESSION, NULL));
        assert_int_equal(pair_step(&pair), SPDM_CONTINUE);
        assert_true(spdm_requester_next(&pair.requester, out, sizeof(out), &secured) > 0);
        memcpy(asked + 4, rows[i].bytes, rows[i].n);
        assert_int_equal(spdm_requester_response(&pair.requester, asked, 4 + rows[i].n, secured), SPDM_CONTINUE);
        n = spdm_requester_next(&pair.requester, out, sizeof(out), &secured);
        if (n < 8 || out[5] != rows[i].code || out[6] != rows[i].param1 || out[7] != rows[i].param2) {
            fail_msg("%s: %zu bytes, %02x %02x %02x", rows[i].name, n, out[5], out[6], out[7]);
        }
        if (rows[i].param1 == 0x12) {
            assert_int_equal(n, 12);
            assert_int_equal(le32_get(out + 8), 4 + HASH + ids[1].certs_len);
        }
    }
}

/* Identities: what fits the short buffer, what takes the room, and what not even that. */
static void test_rooms(void **state)
{
    uint8_t    small[16] = { 1, 2, 3 }, large[32];
    SpdmRoom   room = { large, sizeof(large) };
    uint64_t   caps = SPDM_RESPONDER_CAPS;
    const char *why = NULL;
    SpdmPem    none = { "nothing", "nothing" };

    assert_ptr_equal(spdm_grow(small, 16, room, 3, 13), small + 3);
    assert_ptr_equal(spdm_grow(small, 16, room, 3, 14), large + 3); /* it moves */
    assert_memory_equal(large, small, 3);
    large[0] = 9;
    assert_ptr_equal(spdm_grow(small, 16, room, 17, 15), large + 17); /* it is there already */
    assert_int_equal(large[0], 9);
    assert_null(spdm_grow(small, 16, room, 17, 16));
    assert_null(spdm_grow(small, 16, room, 3, SIZE_MAX));
    assert_null(spdm_grow(small, 16, (SpdmRoom){ NULL, 0 }, 3, 14));
    ids[0] = (SpdmIdentity){ .room = { chain, sizeof(chain) } };
    assert_false(spdm_identity_load(&none, &pair.device_entropy, &ids[0], &why));
    assert_non_null(strstr(why, "256 KiB"));
    assert_null(spdm_caps_change("+large_resp", &caps));
    assert_int_equal(caps, SPDM_RESPONDER_CAPS | LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chains), cmocka_unit_test(test_no_room), cmocka_unit_test(test_get_certificate),
        cmocka_unit_test(test_answers), cmocka_unit_test(test_vendor), cmocka_unit_test(test_mutual),
        cmocka_unit_test(test_asked), cmocka_unit_test(test_rooms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
