/*
 * Key pairs that requests make: a key is generated, its signing request goes to a CA, the certificates come into a
 * slot, and the slot signs; what is refused on the way. The same with devices of the alias model. The CA is OpenSSL's,
 * which knows nothing of SPDM.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "spdm_pair.h"

enum { HASH = 48, ALL = 7, OWN = 1, MADE = 2, MADE_2 = 3, P256 = 8, P384 = 0x10 };

#define CAPS                                                                                             \
    ((uint32_t)(SPDM_RESPONDER_CAPS | SPDM_CAP_GET_KEY_PAIR_INFO | SPDM_CAP_SET_KEY_PAIR_INFO |          \
                SPDM_CAP_MULTI_KEY_NEG | SPDM_CAP_SET_CERT | SPDM_CAP_CSR))

static SpdmPair       pair;
static SpdmIdentity   ids[SPDM_IDENTITIES_MAX];
static SpdmProvisions provisions;
static uint8_t        reply[SPDM_MSG_MAX], chain[SPDM_CERTS_MAX];
static size_t         chain_len;
static uint8_t        version = SPDM_VERSION_13;

static SpdmResult connect_to(uint8_t slot)
{
    SpdmPublicKey key;
    SpdmSpan      got;
    SpdmResult    result;

    pair.requester.options.slot = slot;
    result = pair_op(&pair, SPDM_OP_CONNECT, NULL);
    if (result == SPDM_DONE) {
        got = spdm_requester_chain(&pair.requester);
        assert_null(spdm_chain_check((const uint8_t *)got.data + 4 + HASH, got.len - 4 - HASH, NULL, 0,
                                     SPDM_CHAIN_OF_RESPONDER, -1, &key));
        assert_int_equal(spdm_requester_set_public_key(&pair.requester, &key), SPDM_KEY_OK);
    }
    return result;
}

/* A device with one key and chain, and the requester in a session of a multi-key connection, unless told otherwise. */
static void begin(uint64_t caps, bool multi)
{
    SpdmOffer offer = { version, version, { 0 } };

    pair_init(&pair, caps);
    memset(&provisions, 0, sizeof(provisions));
    memset(ids, 0, sizeof(ids));
    ids[0] = *pair_identity(SPDM_TEST_DEVICE);
    provisions.identities = ids;
    pair.responder.config.identities = ids;
    pair.responder.config.n_identities = 1;
    pair.responder.config.provisions = &provisions;
    pair.responder.config.version_max = version;
    pair.requester.challenge = &pair.challenge;
    pair.requester.options.multi_key = multi;
    spdm_requester_offer(&pair.requester, &offer);
    assert_int_equal(connect_to(0), SPDM_DONE);
    assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_DONE);
}

static size_t ask(const uint8_t *msg, size_t len)
{
    memset(reply, 0, sizeof(reply));
    return pair_send(&pair, true, msg, len, reply, sizeof(reply));
}

/* The code of the ERROR that it is answered with; 0: it is done. */
static uint8_t set_pair(uint8_t operation, uint8_t number, uint8_t usage, uint8_t algorithm, uint8_t slots)
{
    const uint8_t msg[14] = { version, 0xfd, operation, 0, number, 0, usage, 0, algorithm, 0, 0, 0, slots };

    assert_int_equal(ask(msg, operation == 1 ? 5 : version >= SPDM_VERSION_14 ? 14 : 13), 4);
    return reply[1] == 0x7f ? reply[2] : 0;
}

typedef struct Info {
    uint8_t  total;
    uint16_t capabilities, usage;
    uint32_t algorithms, algorithm;
    uint16_t public_len;
    uint8_t  slots;
} Info;

static Info get_pair(uint8_t number)
{
    const uint8_t msg[] = { version, SPDM_GET_KEY_PAIR_INFO, 0, 0, number };
    size_t        len = ask(msg, sizeof(msg));
    Info          i = { reply[4], le16_get(reply + 6), le16_get(reply + 10), le32_get(reply + 12), le32_get(reply + 16),
                        le16_get(reply + 20), reply[22] };

    assert_int_equal(reply[1], 0x7c);
    assert_int_equal(reply[5], number);
    assert_int_equal(len, 23 + i.public_len + (version >= SPDM_VERSION_14 ? 10 : 0));
    return i;
}

/* ---- a CA ---- */

static void extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX      ctx;
    X509_EXTENSION *e;

    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(e);
    assert_int_equal(X509_add_ext(cert, e, -1), 1);
    X509_EXTENSION_free(e);
}

static X509 *certify(EVP_PKEY *key, X509_NAME *subject, X509 *issuer, EVP_PKEY *issuer_key, bool ca)
{
    X509 *cert = X509_new();

    assert_true(X509_set_version(cert, X509_VERSION_3) && ASN1_INTEGER_set(X509_get_serialNumber(cert), 1 + ca));
    assert_true(ASN1_TIME_set_string_X509(X509_getm_notBefore(cert), "20250101000000Z"));
    assert_true(ASN1_TIME_set_string_X509(X509_getm_notAfter(cert), "20990101000000Z"));
    assert_true(X509_set_subject_name(cert, subject) && X509_set_pubkey(cert, key));
    assert_true(X509_set_issuer_name(cert, issuer != NULL ? X509_get_subject_name(issuer) : subject));
    extend(cert, issuer != NULL ? issuer : cert, NID_basic_constraints, ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
    extend(cert, issuer != NULL ? issuer : cert, NID_key_usage,
           ca ? "critical,keyCertSign,digitalSignature" : "critical,digitalSignature");
    assert_true(X509_sign(cert, issuer_key, EVP_sha384()) > 0);
    return cert;
}

static void append(X509 *cert)
{
    uint8_t *p = chain + chain_len;

    chain_len += (size_t)i2d_X509(cert, &p);
    assert_true(chain_len <= sizeof(chain));
}

/* Certificates for what the signing request asks: a new root and that key's. */
static void issue(SpdmSpan der, bool ca)
{
    Entropy       *before = entropy_use(&pair.module_entropy);
    const uint8_t *p = der.data;
    X509_REQ      *csr = d2i_X509_REQ(NULL, &p, (long)der.len);
    EVP_PKEY      *root_key = EVP_EC_gen("P-384"), *key = csr != NULL ? X509_REQ_get0_pubkey(csr) : NULL;
    X509_NAME     *name = X509_NAME_new();
    X509          *root, *leaf;

    assert_non_null(key);
    assert_int_equal(X509_REQ_verify(csr, key), 1);
    assert_true(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)"root", -1, -1, 0));
    root = certify(root_key, name, NULL, root_key, true);
    leaf = certify(key, X509_REQ_get_subject_name(csr), root, root_key, ca);
    chain_len = 0;
    append(root);
    append(leaf);
    X509_free(leaf);
    X509_free(root);
    X509_NAME_free(name);
    EVP_PKEY_free(root_key);
    X509_REQ_free(csr);
    entropy_use(before);
}

/* A chain for a key pair out of its signing request; the requester is in a session. */
static void get_chain(uint8_t number, uint8_t model, bool ca)
{
    assert_int_equal(pair_op(&pair, SPDM_OP_GET_CSR, &(SpdmOpArgs){ .message = (const uint8_t *)"", .key_pair = number,
                                                                  .model = model }), SPDM_DONE);
    issue(spdm_requester_vendor_reply(&pair.requester), ca);
}

static SpdmResult put_chain(uint8_t slot, uint8_t number, uint8_t model)
{
    return pair_op(&pair, SPDM_OP_SET_CERTIFICATE, &(SpdmOpArgs){ .message = chain, .len = chain_len, .slot = slot,
                                                                  .key_pair = number, .model = model });
}

/* ---- tests ---- */

/* From nothing to a slot that signs, and back. */
static void test_life(void **state)
{
    static const uint8_t get[] = { 0x13, SPDM_GET_DIGESTS, 0, 0 };
    Info                 i;
    uint8_t              want[12] = { OWN, MADE, 1, 1, ALL, 0, ALL, 0 };

    begin(CAPS, true);
    i = get_pair(MADE);
    assert_true(i.total == 3 && i.capabilities == 0x3f && i.usage == 0 && i.algorithm == 0 && i.public_len == 0);
    assert_int_equal(i.algorithms, P384);
    assert_int_equal(set_pair(2, MADE, 0, P384, 0), 0);
    i = get_pair(MADE);
    assert_true(i.usage == ALL && i.algorithm == P384 && i.public_len == 18 && i.slots == 0);
    get_chain(MADE, 1, false);
    assert_int_equal(put_chain(2, MADE, 1), SPDM_DONE);
    assert_int_equal(get_pair(MADE).slots, 1 << 2);
    assert_int_equal(ask(get, sizeof(get)), 4 + 2 * HASH + 8);
    assert_int_equal(reply[3], 1 | 1 << 2);
    assert_memory_equal(reply + 4 + 2 * HASH, want, 8);

    assert_int_equal(connect_to(2), SPDM_DONE);
    assert_int_equal(pair_op(&pair, SPDM_OP_CHALLENGE, NULL), SPDM_DONE);
    assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_DONE);
    assert_int_equal(pair_op(&pair, SPDM_OP_MEASUREMENTS, &(SpdmOpArgs){ .index = 0xff, .sign = true }), SPDM_DONE);
    assert_int_equal(set_pair(1, MADE, 0, 0, 0), SPDM_OPERATION_FAILED); /* a slot is for it */
    assert_int_equal(set_pair(2, MADE, 0, P384, 0), SPDM_OPERATION_FAILED);
    assert_int_equal(set_pair(0, MADE, 0, 0, 0), SPDM_OPERATION_FAILED); /* the slot has certificates */
    assert_int_equal(set_pair(0, MADE, 2, 0, 1 << 2), 0);
    assert_int_equal(get_pair(MADE).usage, 2);

    spdm_responder_conventional_reset(&pair.responder); /* it stays */
    assert_int_equal(connect_to(2), SPDM_DONE);
    assert_int_equal(pair_op(&pair, SPDM_OP_CHALLENGE, NULL), SPDM_DONE);
    assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_FAILED); /* it is for challenges alone */
    assert_int_equal(connect_to(0), SPDM_DONE);
    assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_DONE);
    assert_int_equal(pair_op(&pair, SPDM_OP_SET_CERTIFICATE, &(SpdmOpArgs){ .slot = 2, .key_pair = MADE }), SPDM_DONE);
    assert_int_equal(get_pair(MADE).slots, 0);
    assert_int_equal(set_pair(1, MADE, 0, 0, 0), 0);
    i = get_pair(MADE);
    assert_true(i.usage == 0 && i.algorithm == 0 && i.public_len == 0);
    assert_int_equal(connect_to(2), SPDM_FAILED);
}

/* Other connections see slots for slot 0's key alone, whichever that is. */
static void test_other_connections(void **state)
{
    begin(CAPS, true);
    assert_int_equal(set_pair(2, MADE, 0, P384, 0), 0);
    get_chain(MADE, 1, false);
    assert_int_equal(put_chain(2, MADE, 3), SPDM_DONE);
    pair.requester.options.multi_key = false;
    assert_int_equal(connect_to(2), SPDM_FAILED);
    assert_int_equal(connect_to(0), SPDM_DONE);
    pair.requester.options.multi_key = true;
    assert_int_equal(connect_to(0), SPDM_DONE);
    assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_DONE);
    assert_int_equal(put_chain(0, MADE, 1), SPDM_DONE); /* slot 0, too */
    assert_int_equal(get_pair(OWN).slots, 0);
    assert_int_equal(get_pair(MADE).slots, 1 | 1 << 2);
    pair.requester.options.multi_key = false;
    for (uint8_t slot = 0; slot <= 2; slot += 2) {
        assert_int_equal(connect_to(slot), SPDM_DONE);
        assert_int_equal(pair_op(&pair, SPDM_OP_CHALLENGE, NULL), SPDM_DONE);
    }
    spdm_requester_offer(&pair.requester, &(SpdmOffer){ SPDM_VERSION_12, SPDM_VERSION_12, { 0 } });
    assert_int_equal(connect_to(0), SPDM_DONE);
    assert_int_equal(pair_op(&pair, SPDM_OP_CHALLENGE, NULL), SPDM_DONE);
    spdm_requester_offer(&pair.requester, &(SpdmOffer){ SPDM_VERSION_13, SPDM_VERSION_13, { 0 } });
    assert_int_equal(connect_to(2), SPDM_DONE);
    /* A chain that comes in such a connection is for that key as well. */
    assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_DONE);
    assert_int_equal(put_chain(5, 0, 0), SPDM_DONE);
    assert_int_equal(get_pair(MADE).slots, 1 | 1 << 2 | 1 << 5);
}

/* Slots are given to a pair before there are certificates, and taken away. */
static void test_slots(void **state)
{
    begin(CAPS, true);
    assert_int_equal(set_pair(0, MADE, 0, P384, 0), 0); /* an algorithm first */
    assert_true(get_pair(MADE).algorithm == P384 && get_pair(MADE).public_len == 0);
    assert_int_equal(set_pair(0, MADE, 0, 0, 0x30), 0);
    assert_int_equal(get_pair(MADE).slots, 0x30);
    assert_int_equal(set_pair(2, MADE, 0, 0, 0), SPDM_OPERATION_FAILED); /* they are associated */
    assert_int_equal(set_pair(0, MADE, 0, 0, 0), 0);
    assert_int_equal(get_pair(MADE).slots, 0);
    assert_int_equal(set_pair(2, MADE, 6, 0, 0x20), 0); /* of the algorithm that was chosen */
    assert_int_equal(get_pair(MADE).slots, 0x20);
    assert_int_equal(get_pair(MADE).usage, 6);
    assert_int_equal(set_pair(2, MADE_2, 0, P384, 0x20), SPDM_OPERATION_FAILED);
    assert_int_equal(get_pair(MADE_2).algorithm, 0); /* nothing was done */
    assert_int_equal(set_pair(2, MADE_2, 0, P384, 1), SPDM_OPERATION_FAILED); /* the device's own */
    assert_int_equal(set_pair(0, OWN, 0, 0, 1), 0); /* as it is */
    assert_int_equal(set_pair(0, OWN, 0, 0, 3), SPDM_INVALID_REQUEST);
}

static void test_refused(void **state)
{
    static const struct {
        const char *name;
        uint8_t     operation, number, usage, algorithm, slots, error;
    } rows[] = {
        { "generate without algorithm", 2, MADE, 0, 0, 0, SPDM_OPERATION_FAILED },
        { "slots without algorithm", 0, MADE, 0, 0, 2, SPDM_OPERATION_FAILED },
        { "an algorithm that is not had", 2, MADE, 0, P256, 0, SPDM_INVALID_REQUEST },
        { "RSA", 2, MADE, 0, 1, 0, SPDM_INVALID_REQUEST },
        { "two algorithms", 2, MADE, 0, P256 | P384, 0, SPDM_INVALID_REQUEST },
        { "a usage that is not had", 2, MADE, 8, P384, 0, SPDM_INVALID_REQUEST },
        { "operation 3", 3, MADE, 0, P384, 0, SPDM_INVALID_REQUEST },
        { "pair 4", 2, 4, 0, P384, 0, SPDM_INVALID_REQUEST },
        { "pair 255", 2, 255, 0, P384, 0, SPDM_INVALID_REQUEST },
        { "the device's own, made", 2, OWN, 0, P384, 0, SPDM_INVALID_REQUEST },
        { "the device's own, erased", 1, OWN, 0, 0, 0, SPDM_INVALID_REQUEST },
        { "nothing, erased", 1, MADE, 0, 0, 0, 0 },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        uint8_t error;

        begin(CAPS, true);
        error = set_pair(rows[i].operation, rows[i].number, rows[i].usage, rows[i].algorithm, rows[i].slots);
        if (error != rows[i].error || provisions.made[0].has_kind || pair.responder.config.n_identities != 1) {
            fail_msg("%s: 0x%02x", rows[i].name, error);
        }
    }
    begin(CAPS, true);
    pair.responder.config.algorithms.asym = spdm_algorithms_known().asym; /* a device of several kinds */
    assert_int_equal(set_pair(2, MADE, 0, P256, 0), 0);
    assert_int_equal(set_pair(0, MADE, 0, P384, 0), SPDM_INVALID_REQUEST); /* a key keeps its algorithm */
    assert_int_equal(set_pair(2, MADE, 0, P384, 0), 0); /* another key may have another */
    assert_int_equal(get_pair(MADE).algorithm, P384);
    /* Where a device has no such pairs. */
    begin(CAPS & ~(uint32_t)(SPDM_CAP_MULTI_KEY), false);
    assert_int_equal(get_pair(OWN).total, 1);
    assert_int_equal(set_pair(2, MADE, 0, P384, 0), SPDM_INVALID_REQUEST);
}

/* What a requester hears of them all. */
static void test_requester(void **state)
{
    SpdmSpan       got;
    const uint8_t *p;

    for (unsigned made = 0; made < 2; made++) {
        const size_t with_key = 19 + 18, without = 19;

        begin(CAPS, true);
        if (made) {
            assert_int_equal(set_pair(2, MADE_2, 0, P384, 2), 0);
        }
        assert_int_equal(pair_op(&pair, SPDM_OP_KEY_PAIRS, NULL), SPDM_DONE);
        got = spdm_requester_key_pairs(&pair.requester);
        p = got.data;
        assert_int_equal(got.len, 3 * 2 + with_key + without + (made ? with_key : without));
        assert_int_equal(le16_get(p), with_key);
        assert_int_equal(p[3], OWN);
        p += 2 + with_key;
        assert_int_equal(p[3], MADE);
        p += 2 + without;
        assert_int_equal(le16_get(p), made ? with_key : without);
        assert_int_equal(p[3], MADE_2);
        assert_int_equal(p[2 + 18], made ? 2 : 0); /* slots */
    }
    begin(CAPS & ~(uint32_t)(SPDM_CAP_MULTI_KEY | SPDM_CAP_SET_KEY_PAIR_INFO | SPDM_CAP_GET_KEY_PAIR_INFO), false);
    assert_string_equal(spdm_requester_start(&pair.requester, SPDM_OP_KEY_PAIRS, NULL),
                        "the device does not tell of its key pairs");
}

/* Answers to it that are refused; the step reads plain ones when there is no session, which its start alone wants. */
static void test_bad_pairs(void **state)
{
    static const struct {
        const char *name;
        uint8_t     at, value;
    } spoils[] = { { "another pair", 5, 2 }, { "fewer pairs than this", 4, 0 }, { "longer than it is", 20, 23 },
                   { "shorter", 20, 14 } };

    for (unsigned i = 0; i < ARRAY_LEN(spoils); i++) {
        uint8_t out[SPDM_MSG_MAX];
        bool    secured;
        size_t  len;

        begin(CAPS, true);
        assert_null(spdm_requester_start(&pair.requester, SPDM_OP_KEY_PAIRS, NULL));
        pair.requester.session.state = SPDM_SESSION_FREE;
        len = spdm_requester_next(&pair.requester, out, sizeof(out), &secured);
        len = spdm_responder_handle(&pair.responder, secured, out, len, reply, sizeof(reply), &secured);
        assert_int_equal(len, 23 + 18);
        reply[spoils[i].at] = spoils[i].value;
        if (spdm_requester_response(&pair.requester, reply, len, false) != SPDM_FAILED) {
            fail_msg("%s was taken", spoils[i].name);
        }
    }
}

/* Pair and model of GET_CSR and SET_CERTIFICATE. */
static void test_names(void **state)
{
    static const struct {
        const char *name;
        bool        multi;
        uint8_t     number, model;
        bool        ok;
    } rows[] = {
        { "device certificate", true, OWN, 1, true },   { "generic certificate", true, OWN, 3, true },
        { "no model", true, OWN, 0, false },            { "alias", true, OWN, 2, false },
        { "model 4", true, OWN, 4, false },             { "no pair", true, 0, 1, false },
        { "a pair that is not made", true, MADE_2, 1, false }, { "pair 9", true, 9, 1, false },
        { "neither", false, 0, 0, true },               { "pair where there is one", false, 1, 0, false },
        { "model where there is one", false, 0, 1, false },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        bool csr, set;

        begin(CAPS, rows[i].multi);
        csr = pair_op(&pair, SPDM_OP_GET_CSR, &(SpdmOpArgs){ .message = (const uint8_t *)"",
                      .key_pair = rows[i].number, .model = rows[i].model }) == SPDM_DONE;
        memcpy(chain, ids[0].certs, ids[0].certs_len);
        chain_len = ids[0].certs_len;
        set = put_chain(3, rows[i].number, rows[i].model) == SPDM_DONE;
        if (csr != rows[i].ok || set != rows[i].ok) {
            fail_msg("%s: CSR %d, certificates %d", rows[i].name, csr, set);
        }
        if (set && rows[i].multi) {
            const uint8_t get[] = { 0x13, SPDM_GET_CERTIFICATE, 3, 0, 0, 0, 8, 0 };

            assert_int_equal(ask(get, sizeof(get)), 16);
            assert_int_equal(reply[3], rows[i].model);
        }
    }
    /* Another pair's certificates. */
    begin(CAPS, true);
    assert_int_equal(set_pair(2, MADE, 0, P384, 0), 0);
    memcpy(chain, ids[0].certs, ids[0].certs_len);
    chain_len = ids[0].certs_len;
    assert_int_equal(put_chain(3, MADE, 1), SPDM_FAILED);
    assert_non_null(strstr(spdm_requester_error(&pair.requester), "ERROR 0x05"));
    /* Of another algorithm than the connection's. */
    pair.responder.config.algorithms.asym = spdm_algorithms_known().asym;
    assert_int_equal(set_pair(2, MADE_2, 0, P256, 0), 0);
    get_chain(MADE_2, 1, false); /* a request can be had */
    assert_int_equal(put_chain(3, MADE_2, 1), SPDM_FAILED);
    assert_non_null(strstr(spdm_requester_error(&pair.requester), "ERROR 0x01"));
}

/* With a reset in between the pair is held on to. */
static void test_reset(void **state)
{
    uint8_t get[8] = { 0x13, SPDM_GET_CSR, MADE, 1 };

    begin(CAPS | SPDM_CAP_CERT_INSTALL_RESET, true);
    assert_int_equal(set_pair(2, MADE, 0, P384, 0), 0);
    assert_int_equal(ask(get, sizeof(get)), 4);
    assert_int_equal(reply[2], SPDM_RESET_REQUIRED);
    assert_int_equal(reply[3], 1);
    spdm_responder_conventional_reset(&pair.responder);
    assert_int_equal(connect_to(0), SPDM_DONE);
    assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_DONE);
    get[2] = OWN;
    get[3] = 1 | 1 << 3;
    assert_int_equal(ask(get, sizeof(get)), 4);
    assert_int_equal(reply[2], SPDM_INVALID_REQUEST); /* the tag is of another pair's request */
    get[2] = MADE;
    assert_true(ask(get, sizeof(get)) > 8);
    issue((SpdmSpan){ reply + 8, le16_get(reply + 4) }, false);
    assert_int_equal(put_chain(6, MADE, 1), SPDM_FAILED); /* ERROR ResetRequired */
    assert_int_equal(set_pair(1, MADE, 0, 0, 0), SPDM_OPERATION_FAILED);
    spdm_responder_conventional_reset(&pair.responder);
    assert_int_equal(connect_to(6), SPDM_DONE);
    assert_int_equal(pair_op(&pair, SPDM_OP_CHALLENGE, NULL), SPDM_DONE);
}

/* The alias model: requests and certificates are for the device's key, and the device adds its alias's. */
static void test_alias(void **state)
{
    static const uint8_t runs[] = "firmware";

    for (unsigned multi = 0; multi < 2; multi++) {
        SpdmPrivateKey alias;
        SpdmPublicKey  device, asked;
        size_t         before;
        uint8_t        number = multi ? OWN : 0, model = multi ? SPDM_MODEL_ALIAS : 0;
        SpdmSpan       got;

        begin((CAPS & ~(multi ? 0u : (uint32_t)SPDM_CAP_MULTI_KEY)) | SPDM_CAP_ALIAS_CERT, multi);
        ids[0] = *pair_identity(SPDM_TEST_DEVICE_CA);
        assert_true(spdm_alias_key(&ids[0].key, (SpdmSpan){ runs, 8 }, &pair.device_entropy, &alias));
        assert_null(spdm_alias_append(&ids[0], &ids[0].key, &alias, &pair.device_entropy));
        ids[0].ca = ids[0].key;
        ids[0].key = alias;
        assert_int_equal(connect_to(0), SPDM_DONE);
        assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_DONE);
        assert_int_equal(get_pair(OWN).total, 1);
        get_chain(number, model, true);
        assert_null(spdm_chain_check(chain, chain_len, NULL, 0, SPDM_CHAIN_OF_RESPONDER, -1, &asked));
        assert_true(spdm_public_key_of(&ids[0].ca, &pair.device_entropy, &device));
        assert_memory_equal(asked.bytes, device.bytes, device.len);
        before = chain_len;
        assert_int_equal(put_chain(4, number, model), SPDM_DONE);
        assert_int_equal(connect_to(4), SPDM_DONE);
        got = spdm_requester_chain(&pair.requester);
        assert_true(got.len > 4 + HASH + before);
        assert_memory_equal((const uint8_t *)got.data + 4 + HASH, chain, before);
        assert_int_equal(pair_op(&pair, SPDM_OP_CHALLENGE, NULL), SPDM_DONE);
        assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_DONE);
        /* A leaf cannot certify an alias; nor is the alias's own certificate taken. */
        get_chain(number, model, false);
        assert_int_equal(put_chain(5, number, model), SPDM_FAILED);
        memcpy(chain, ids[0].certs, ids[0].certs_len);
        chain_len = ids[0].certs_len;
        assert_int_equal(put_chain(5, number, model), SPDM_FAILED);
        if (multi) {
            assert_int_equal(put_chain(5, OWN, SPDM_MODEL_DEVICE), SPDM_FAILED);
        }
    }
}

/* A reset of the device, and a session again. */
static void reset(void)
{
    spdm_responder_conventional_reset(&pair.responder);
    assert_int_equal(connect_to(0), SPDM_DONE);
    assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_DONE);
}

/* SET_KEY_PAIR_RESET_CAP of 1.4: what is asked for begins with a reset, the last thing for each pair. */
static void test_pair_resets(void **state)
{
    static const uint8_t get[] = { 0x14, SPDM_GET_DIGESTS, 0, 0 };
    Info                 i;

    version = SPDM_VERSION_14;
    begin(CAPS | SPDM_CAP_SET_KEY_PAIR_RESET, true);
    assert_int_equal(set_pair(0, MADE, 0, 0, 0), 0); /* as it is: nothing waits */
    assert_int_equal(set_pair(2, MADE, 6, P384, 0x20), SPDM_RESET_REQUIRED);
    assert_int_equal(reply[3], 0);
    i = get_pair(MADE);
    assert_true(i.algorithm == 0 && i.public_len == 0 && i.slots == 0);
    assert_int_equal(set_pair(2, MADE_2, 0, P384, 0x30), SPDM_OPERATION_FAILED); /* slot 5 is promised */
    assert_int_equal(set_pair(2, MADE_2, 0, P384, 0x10), SPDM_RESET_REQUIRED);
    assert_int_equal(set_pair(0, OWN, 3, 0, 0), SPDM_RESET_REQUIRED);
    assert_int_equal(get_pair(OWN).usage, ALL);
    spdm_responder_reset(&pair.responder); /* one function's is not enough */
    assert_int_equal(connect_to(0), SPDM_DONE);
    assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_DONE);
    assert_int_equal(get_pair(MADE).algorithm, 0);
    reset();
    i = get_pair(MADE);
    assert_true(i.algorithm == P384 && i.public_len == 18 && i.slots == 0x20 && i.usage == 6);
    assert_int_equal(get_pair(MADE_2).slots, 0x10);
    assert_int_equal(get_pair(OWN).usage, 3);
    assert_int_equal(ask(get, sizeof(get)), 4 + HASH + 4);

    assert_int_equal(set_pair(0, OWN, ALL, 0, 0), SPDM_RESET_REQUIRED);
    assert_int_equal(set_pair(0, OWN, 0, 0, 0), 0); /* takes it back */
    assert_int_equal(set_pair(0, MADE, 0, 0, 0), SPDM_RESET_REQUIRED);
    reset();
    assert_true(get_pair(OWN).usage == 3 && get_pair(MADE).slots == 0);
    assert_int_equal(set_pair(1, MADE, 0, 0, 0), SPDM_RESET_REQUIRED);
    assert_int_equal(get_pair(MADE).public_len, 18);
    reset();
    assert_true(get_pair(MADE).public_len == 0 && get_pair(MADE).algorithm == 0);

    /* What has become impossible since then is not done. */
    assert_int_equal(set_pair(2, MADE, 0, P384, 0), SPDM_RESET_REQUIRED);
    reset();
    get_chain(MADE, 1, false);
    assert_int_equal(set_pair(1, MADE, 0, 0, 0), SPDM_RESET_REQUIRED);
    assert_int_equal(put_chain(2, MADE, 1), SPDM_DONE);
    reset();
    assert_true(get_pair(MADE).public_len == 18 && get_pair(MADE).slots == 1 << 2);

    /* In connections of 1.3 there is no such thing, and what is done there takes the place of what waits. */
    version = SPDM_VERSION_14;
    begin(CAPS | SPDM_CAP_SET_KEY_PAIR_RESET, true);
    assert_int_equal(set_pair(0, OWN, 3, 0, 0), SPDM_RESET_REQUIRED);
    version = SPDM_VERSION_13;
    spdm_requester_offer(&pair.requester, &(SpdmOffer){ version, version, { 0 } });
    pair.responder.config.version_min = version;
    assert_int_equal(connect_to(0), SPDM_DONE);
    assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_DONE);
    assert_int_equal(set_pair(0, OWN, 6, 0, 0), 0);
    spdm_responder_conventional_reset(&pair.responder);
    assert_int_equal(provisions.usage_off[0], (uint16_t)~6);
    begin(CAPS | SPDM_CAP_SET_KEY_PAIR_RESET, true);
    assert_int_equal(set_pair(2, MADE, 0, P384, 0), 0);
    assert_int_equal(get_pair(MADE).public_len, 18);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life),    cmocka_unit_test(test_other_connections), cmocka_unit_test(test_slots),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_names),             cmocka_unit_test(test_reset),
        cmocka_unit_test(test_alias),   cmocka_unit_test(test_requester),         cmocka_unit_test(test_bad_pairs),
        cmocka_unit_test(test_pair_resets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
