/*
 * CHALLENGE of the requester's, and what a device asks by its own requests then or in a session: a CHALLENGE back
 * ("basic mutual authentication"), new keys of its own. Both ends, every version; what each must refuse, one row per
 * stimulus.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "spdm/record.h"
#include "spdm_pair.h"

enum { HASH = 48, SIG = 96, MUTUAL = SPDM_CAP_MUT_AUTH | SPDM_CAP_ENCAP };

#define CAPS ((uint32_t)SPDM_RESPONDER_CAPS)
#define V11  SPDM_VERSION_11
#define V12  SPDM_VERSION_12
#define V13  SPDM_VERSION_13

static SpdmPair pair;
static uint8_t  reply[SPDM_MSG_MAX];

static bool trust(void *opaque, const uint8_t *certs, size_t len, SpdmPublicKey *key)
{
    const SpdmIdentity *id = pair_identity(SPDM_TEST_DEVICE);

    return spdm_chain_check(certs, len, id->certs, id->root_len, SPDM_CHAIN_OF_REQUESTER, -1, key) == NULL;
}

/* A connection of requesters that can be challenged, and answer what they are asked. */
static void begin(uint8_t version, uint32_t caps, SpdmTestPki who)
{
    SpdmOffer offer = { version, version, { 0 } };

    pair_init(&pair, caps);
    pair.responder.config.version_min = V11;
    pair.responder.config.version_max = V13;
    pair.responder.config.requester_key = trust;
    pair.responder.config.mutual_basic = true;
    pair.requester.identity = who < SPDM_TEST_N ? pair_identity(who) : NULL;
    pair.requester.challenge = &pair.challenge;
    pair.requester.options.encapsulated = true;
    spdm_requester_offer(&pair.requester, &offer);
    if (pair_connect(&pair) != SPDM_DONE) {
        fail_msg("%s", spdm_requester_error(&pair.requester));
    }
}

static size_t send(bool secured, const uint8_t *msg, size_t len)
{
    memset(reply, 0, sizeof(reply));
    return pair_send(&pair, secured, msg, len, reply, sizeof(reply));
}

static void expect(const char *name, size_t len, uint8_t error, uint8_t data)
{
    if (!pair_answered(reply, len, error, data)) {
        fail_msg("%s: %zu bytes: %02x %02x %02x %02x", name, len, reply[0], reply[1], reply[2], reply[3]);
    }
}

static void expect_done(const char *name, SpdmOp op)
{
    if (pair_op(&pair, op, NULL) != SPDM_DONE) {
        fail_msg("%s: %s", name, spdm_requester_error(&pair.requester));
    }
}

/* ---- CHALLENGE ---- */

static void test_challenge(void **state)
{
    for (uint8_t version = V11; version <= V13; version++) {
        begin(version, CAPS, SPDM_TEST_N);
        expect_done("with what CONNECT read", SPDM_OP_CHALLENGE);
        assert_false(pair.requester.challenged_back);
        expect_done("once more, with nothing", SPDM_OP_CHALLENGE);
        expect_done("a session", SPDM_OP_SESSION);
        assert_non_null(spdm_requester_start(&pair.requester, SPDM_OP_CHALLENGE, NULL)); /* not in a session */
        expect_done("its end", SPDM_OP_END_SESSION);
        expect_done("after it", SPDM_OP_CHALLENGE);
        begin(version, CAPS, SPDM_TEST_N);
        expect_done("a session", SPDM_OP_SESSION);
        expect_done("its end", SPDM_OP_END_SESSION);
        expect_done("what CONNECT read is forgotten at both ends", SPDM_OP_CHALLENGE);
    }
    begin(V12, CAPS & ~(uint32_t)SPDM_CAP_CHAL, SPDM_TEST_N);
    assert_non_null(spdm_requester_start(&pair.requester, SPDM_OP_CHALLENGE, NULL));
    begin(V12, CAPS, SPDM_TEST_N);
    pair.requester.challenge = NULL;
    assert_non_null(spdm_requester_start(&pair.requester, SPDM_OP_CHALLENGE, NULL));
}

/* No byte of the answer can be another without notice, but for the slots that are not looked at, and the request's. */
static void test_challenge_spoilt(void **state)
{
    static SpdmPair start;
    size_t          len;

    begin(V13, CAPS, SPDM_TEST_N);
    start = pair;
    expect_done("CHALLENGE", SPDM_OP_CHALLENGE);
    len = pair.response_len;
    for (size_t at = 0; at < len; at++) {
        PairTamper t = { .exchange = start.exchange, .response = true, .at = at, .mask = 1 };

        pair = start;
        pair.tamper = &t;
        if (pair_op(&pair, SPDM_OP_CHALLENGE, NULL) == SPDM_DONE) {
            fail_msg("byte %zu: not noticed", at);
        }
        t.truncate = true;
        pair = start;
        pair.tamper = &t;
        assert_int_equal(pair_op(&pair, SPDM_OP_CHALLENGE, NULL), SPDM_FAILED);
    }
    pair = start;
    pair.challenge.b.data[7] ^= 1; /* what was said of the certificates is another thing */
    assert_int_equal(pair_op(&pair, SPDM_OP_CHALLENGE, NULL), SPDM_FAILED);
}

/* ---- back ---- */

static void test_back(void **state)
{
    for (unsigned i = 0; i < 3 * 2; i++) {
        uint8_t version = (uint8_t)(V11 + i / 2);
        bool    small = i & 1 && version >= V12;

        begin(version, CAPS | MUTUAL | (small ? SPDM_CAP_CHUNK : 0u), SPDM_TEST_REQUESTER);
        pair.responder.config.transfer_size = small ? 64 : SPDM_MSG_MAX;
        pair.requester.options.transfer_size = small ? 64 : 0;
        assert_int_equal(pair_connect(&pair), SPDM_DONE);
        for (unsigned n = 1; n <= 2; n++) {
            expect_done("CHALLENGE", SPDM_OP_CHALLENGE);
            assert_true(pair.requester.challenged_back);
            assert_int_equal(pair.authenticated, n);
            assert_false(pair.responder.flow.active);
        }
        for (unsigned n = 1; n < pair_n_stages; n++) { /* the handshake asks anew */
            assert_int_equal(pair_stages[n].run(&pair), SPDM_DONE);
        }
    }
}

static void test_back_not_ready(void **state)
{
    begin(V12, CAPS | MUTUAL, SPDM_TEST_REQUESTER);
    pair.responder.config.not_ready = 2;
    expect_done("CHALLENGE", SPDM_OP_CHALLENGE);
    assert_int_equal(pair.authenticated, 1);
}

/* Who is not challenged: those who cannot be, and those whom a device has no wish to. */
static void test_not_back(void **state)
{
    begin(V12, CAPS | MUTUAL, SPDM_TEST_N);
    expect_done("no certificates", SPDM_OP_CHALLENGE);
    begin(V12, CAPS, SPDM_TEST_REQUESTER);
    expect_done("a device that cannot", SPDM_OP_CHALLENGE);
    begin(V12, CAPS | MUTUAL, SPDM_TEST_REQUESTER);
    pair.responder.peer_capabilities &= ~(uint32_t)SPDM_CAP_CHAL;
    expect_done("a requester that takes no CHALLENGE", SPDM_OP_CHALLENGE);
    begin(V12, CAPS | MUTUAL, SPDM_TEST_REQUESTER);
    pair.responder.config.mutual_basic = false;
    expect_done("a device that need not know", SPDM_OP_CHALLENGE);
    assert_int_equal(pair.authenticated, 0);
    begin(V12, CAPS | MUTUAL, SPDM_TEST_REQUESTER);
    pair.requester.identity = NULL;
    assert_int_equal(pair_op(&pair, SPDM_OP_CHALLENGE, NULL), SPDM_FAILED);
    assert_non_null(strstr(spdm_requester_error(&pair.requester), "not offered"));
}

static void test_back_stranger(void **state)
{
    begin(V12, CAPS | MUTUAL, SPDM_TEST_WRONG_ROOT);
    assert_int_equal(pair_op(&pair, SPDM_OP_CHALLENGE, NULL), SPDM_FAILED);
    assert_non_null(strstr(spdm_requester_error(&pair.requester), "ERROR 0x09"));
    assert_int_equal(pair.authenticated, 0);
}

/* Nothing the requester says on the way back can be another without notice. */
static void test_back_spoilt(void **state)
{
    static SpdmPair start;
    unsigned        n;

    begin(V12, CAPS | MUTUAL, SPDM_TEST_REQUESTER);
    start = pair;
    expect_done("CHALLENGE", SPDM_OP_CHALLENGE);
    n = pair.exchange - start.exchange;
    assert_true(n >= 5); /* CHALLENGE, GET_ENCAPSULATED_REQUEST, digests, certificate, CHALLENGE_AUTH */
    for (unsigned i = 1; i < n; i++) {
        PairTamper t = { .exchange = start.exchange + i, .mask = 0x10 };

        for (t.at = 0;; t.at += 31) {
            SpdmResult result;

            if (!pair_spoil(&pair, &start, SPDM_OP_CHALLENGE, &t, &result)) {
                break;
            }
            if (result == SPDM_DONE || pair.authenticated != 0) {
                fail_msg("exchange %u, byte %zu: not noticed", i, t.at);
            }
        }
    }
}

/* A CHALLENGE's first @n exchanges: it, GET_ENCAPSULATED_REQUEST, digests, certificates... */
static void go_back(uint8_t version, unsigned n)
{
    begin(version, CAPS | MUTUAL, SPDM_TEST_REQUESTER);
    assert_null(spdm_requester_start(&pair.requester, SPDM_OP_CHALLENGE, NULL));
    for (; n != 0; n--) {
        assert_int_equal(pair_step(&pair), SPDM_CONTINUE);
    }
}

/* Exchanges until the requester is to answer CHALLENGE. */
static unsigned before_answer(uint8_t version)
{
    unsigned first;

    begin(version, CAPS | MUTUAL, SPDM_TEST_REQUESTER);
    first = pair.exchange;
    expect_done("CHALLENGE", SPDM_OP_CHALLENGE);
    return pair.exchange - first - 1;
}

static void test_back_rows(void **state)
{
    static const struct {
        const char *name;
        unsigned    after; /* exchanges */
        uint8_t     version;
        size_t      len;
        uint8_t     bytes[16], error;
        bool        over;
    } rows[] = {
        { "another request", 1, V12, 4, { 0x12, SPDM_GET_DIGESTS }, 8 },
        { "another request, 1.3", 2, V13, 4, { 0x13, 0x81 }, 8 },
        { "CHALLENGE again", 1, V12, 4, { 0x12, SPDM_CHALLENGE }, 8 },
        { "deliver, before anything is asked", 1, V12, 8, { 0x12, 0xeb, 0, 0, 0x12, 1, 0, 1 }, 4 },
        { "get: twice", 2, V12, 4, { 0x12, SPDM_GET_ENCAPSULATED_REQUEST }, 4 },
        { "deliver: another ID", 2, V12, 8, { 0x12, SPDM_DELIVER_ENCAPSULATED_RESPONSE, 7, 0, 0x12, 1, 0, 1 }, 1 },
        { "deliver: no digests", 2, V12, 8, { 0x12, 0xeb, 1, 0, 0x12, 1, 0, 1 }, 9, true },
        { "deliver: not ready", 2, V12, 12, { 0x12, 0xeb, 1, 0, 0x12, 0x7f, 0x42, 0, 1, 0x81, 0, 1 }, 0, true },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        SpdmResult result = SPDM_CONTINUE;

        go_back(rows[i].version, rows[i].after);
        expect(rows[i].name, send(false, rows[i].bytes, rows[i].len), rows[i].error, 0);
        if (rows[i].over) {
            assert_false(pair.responder.flow.active);
            assert_true(rows[i].error != 0 || (reply[1] == 0x6b && reply[2] == 0 && reply[3] == 0));
            spdm_requester_abort(&pair.requester);
            expect_done("anew", SPDM_OP_CHALLENGE);
        }
        while (!rows[i].over && result == SPDM_CONTINUE) {
            result = pair_step(&pair);
        }
        if (!rows[i].over && result != SPDM_DONE) {
            fail_msg("%s, then: %s", rows[i].name, spdm_requester_error(&pair.requester));
        }
        assert_int_equal(pair.authenticated, 1);
    }
}

/* Answers to the device's CHALLENGE. */
static void test_back_answers(void **state)
{
    static const struct {
        const char *name;
        size_t      at; /* of CHALLENGE_AUTH */
        uint8_t     mask;
        int         more; /* bytes */
    } cases[] = {
        { "slot 1", 2, 1, 0 },     { "challenged once more", 2, 0x80, 0 }, { "no such slot", 3, 1, 0 },
        { "another hash", 4, 1, 0 }, { "another nonce", 4 + HASH, 1, 0 },    { "opaque data", 4 + HASH + 32, 1, 0 },
        { "too much of it", 4 + HASH + 33, 8, 0 }, { "another context", 4 + HASH + 34, 1, 0 },
        { "another signature", 4 + HASH + 42, 1, 0 }, { "short", 0, 0, -4 }, { "long", 0, 0, 4 },
        { "as it is", 0, 0, 0 },
    };
    unsigned n = before_answer(V13);

    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t out[SPDM_MSG_MAX + 4] = { 0 };
        bool    secured, good = i + 1 == ARRAY_LEN(cases);
        size_t  len;

        go_back(V13, n);
        len = spdm_requester_next(&pair.requester, out, SPDM_MSG_MAX, &secured);
        assert_int_equal(len, 4 + 4 + HASH + 32 + 2 + 8 + SIG);
        out[4 + cases[i].at] ^= cases[i].mask;
        expect(cases[i].name, send(false, out, (size_t)((int)len + cases[i].more)), good ? 0 : 9, 0);
        assert_int_equal(pair.authenticated, good);
        assert_false(pair.responder.flow.active);
    }
}

/* What the requester answers to a CHALLENGE that is not as it must be, in 1.3. */
static void test_back_requests(void **state)
{
    static const struct {
        const char *name;
        uint8_t     param1, param2;
        size_t      len;
        uint8_t     error;
    } cases[] = {
        { "slot 1", 1, 0, 44, 1 },        { "public key", 0xff, 0, 44, 1 }, { "measurements", 0, 0xff, 44, 1 },
        { "no context", 0, 0, 36, 1 },    { "short", 0, 0, 20, 1 },         { "long", 0, 0, 48, 1 },
        { "as it must be", 0, 0, 44, 0 },
    };

    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t asked[4 + 48] = { 0x13, 0x6a, 9, 0, 0x13, 0x83, cases[i].param1, cases[i].param2 }, out[SPDM_MSG_MAX];
        bool    secured;

        go_back(V13, 1);
        assert_int_equal(spdm_requester_next(&pair.requester, out, sizeof(out), &secured), 4);
        assert_int_equal(spdm_requester_response(&pair.requester, asked, 4 + cases[i].len, false), SPDM_CONTINUE);
        assert_true(spdm_requester_next(&pair.requester, out, sizeof(out), &secured) >= 8);
        if (out[1] != 0xeb || out[2] != 9 || out[5] != (cases[i].error != 0 ? 0x7f : 0x03) ||
            (cases[i].error != 0 && out[6] != cases[i].error)) {
            fail_msg("%s: %02x %02x, %02x %02x", cases[i].name, out[1], out[2], out[5], out[6]);
        }
    }
}

/* ---- new keys ---- */

static void open_session(uint8_t version, uint32_t caps)
{
    begin(version, caps, SPDM_TEST_N);
    expect_done("session", SPDM_OP_SESSION);
}

static void expect_alive(void) { assert_int_equal(pair_ide(&pair, IDE_KM_QUERY, 0), SPDM_DONE); }

/* The requester's own wish. */
static void test_key_update(void **state)
{
    for (uint8_t version = V11; version <= V13; version++) {
        uint8_t before[SPDM_AEAD_KEY];

        open_session(version, CAPS);
        memcpy(before, pair.requester.session.keys.response_data.key, sizeof(before));
        expect_done("all keys", SPDM_OP_KEY_UPDATE);
        assert_memory_not_equal(before, pair.requester.session.keys.response_data.key, sizeof(before));
        expect_alive();
        expect_done("once more", SPDM_OP_KEY_UPDATE);
        expect_alive();
        /* The device refuses: both ends go on with the keys that they had. */
        pair.responder.sessions[0].update_pending = true;
        assert_int_equal(pair_op(&pair, SPDM_OP_KEY_UPDATE, NULL), SPDM_FAILED);
        assert_non_null(strstr(spdm_requester_error(&pair.requester), "ERROR 0x01"));
        pair.responder.sessions[0].update_pending = false;
        expect_alive();
    }
    open_session(V12, CAPS & ~(uint32_t)SPDM_CAP_KEY_UPD);
    assert_non_null(spdm_requester_start(&pair.requester, SPDM_OP_KEY_UPDATE, NULL));
}

/* Answers to KEY_UPDATE, sealed as the device would. */
static void test_key_update_answers(void **state)
{
    static const struct {
        const char *name;
        unsigned    after; /* exchanges */
        uint8_t     operation, tag;
        size_t      len;
    } cases[] = {
        { "another operation", 0, 1, 0, 4 }, { "another tag", 0, 2, 1, 4 }, { "long", 0, 2, 0, 8 },
        { "another one of the second", 1, 2, 0, 4 }, { "another tag of the second", 1, 3, 1, 4 },
        { "long second", 1, 3, 0, 8 },
    };

    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t      out[64], record[64], ack[8] = { 0x12, 0x69, cases[i].operation, 0 };
        SpdmSession *s = &pair.requester.session;
        SpdmChannel  c;
        bool         secured;
        size_t       len;

        open_session(V12, CAPS);
        assert_null(spdm_requester_start(&pair.requester, SPDM_OP_KEY_UPDATE, NULL));
        for (unsigned n = 0; n < cases[i].after; n++) {
            assert_int_equal(pair_step(&pair), SPDM_CONTINUE);
        }
        assert_true(spdm_requester_next(&pair.requester, out, sizeof(out), &secured) > 4);
        ack[3] = (uint8_t)(pair.requester.nonce[0] + cases[i].tag);
        c = s->keys.response_data;
        len = spdm_record_seal(spdm_aead(BIT(1)), &c, s->id, ack, cases[i].len, record, sizeof(record));
        if (spdm_requester_response(&pair.requester, record, len, true) != SPDM_FAILED) {
            fail_msg("%s: not noticed", cases[i].name);
        }
    }
}

/* The device's wish: after so many records, or when its owner says so. */
static void test_own_key_update(void **state)
{
    for (uint8_t version = V11; version <= V13; version++) {
        uint8_t request[SPDM_AEAD_KEY], response[SPDM_AEAD_KEY];

        open_session(version, CAPS | SPDM_CAP_ENCAP);
        SpdmKeys *k = &pair.requester.session.keys;

        expect_done("nothing is asked", SPDM_OP_ENCAPSULATED);
        spdm_responder_want_key_update(&pair.responder, 0x12345678); /* of no session */
        spdm_responder_want_key_update(&pair.responder, pair.requester.session.id);
        memcpy(request, k->request_data.key, sizeof(request));
        memcpy(response, k->response_data.key, sizeof(response));
        expect_alive(); /* nobody has asked yet */
        expect_done("a new key", SPDM_OP_ENCAPSULATED);
        assert_memory_equal(request, k->request_data.key, sizeof(request));
        assert_memory_not_equal(response, k->response_data.key, sizeof(response));
        expect_alive();
        expect_done("nothing more", SPDM_OP_ENCAPSULATED);
        assert_true(k->response_data.sequence > 2);
        pair.responder.config.key_update_records = k->response_data.sequence + 2;
        expect_done("not yet", SPDM_OP_ENCAPSULATED);
        assert_true(k->response_data.sequence > 2);
        expect_alive();
        expect_done("by the number of records", SPDM_OP_ENCAPSULATED);
        assert_true(k->response_data.sequence <= 3);
        expect_alive();
        assert_int_equal(pair.sessions_ended, 0);
    }
    open_session(V12, CAPS);
    assert_non_null(spdm_requester_start(&pair.requester, SPDM_OP_ENCAPSULATED, NULL));
    open_session(V13, (CAPS | SPDM_CAP_ENCAP) & ~(uint32_t)SPDM_CAP_KEY_UPD);
    spdm_responder_want_key_update(&pair.responder, pair.requester.session.id);
    expect_done("it cannot", SPDM_OP_ENCAPSULATED);
}

static void test_own_key_update_rows(void **state)
{
    static const struct {
        const char *name;
        uint8_t     version;
        size_t      len;
        uint8_t     bytes[12];
        bool        tag; /* of the request goes into byte 7 */
        uint8_t     error;
    } rows[] = {
        { "another operation", V12, 8, { 0x12, 0xeb, 1, 0, 0x12, SPDM_RESPONSE_OF(SPDM_KEY_UPDATE), 2, 0 }, true, 9 },
        { "another tag", V12, 8, { 0x12, 0xeb, 1, 0, 0x12, 0x69, 1, 0 }, false, 9 },
        { "long", V12, 12, { 0x12, 0xeb, 1, 0, 0x12, 0x69, 1, 0 }, true, 9 },
        { "another answer", V12, 8, { 0x12, 0xeb, 1, 0, 0x12, 0x71, 1, 0 }, true, 9 },
        { "an ERROR", V12, 8, { 0x12, 0xeb, 1, 0, 0x12, 0x7f, 7, 0xe9 }, false, 9 },
        { "not ready", V12, 12, { 0x12, 0xeb, 1, 0, 0x12, 0x7f, 0x42, 0, 1, 0xe9, 0, 1 }, false, 0 },
        { "another request meanwhile", V12, 4, { 0x12, 0xec }, false, 8 },
        { "outside the session meanwhile", V13, 4, { 0x13, 0xea }, false, 4 },
        { "get: twice", V13, 4, { 0x13, 0xea }, false, 4 },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        const uint8_t get[] = { rows[i].version, 0xea, 0, 0 };
        uint8_t       bytes[12];

        open_session(rows[i].version, CAPS | SPDM_CAP_ENCAP);
        spdm_responder_want_key_update(&pair.responder, pair.requester.session.id);
        expect("get", send(true, get, 4), 0, 0);
        assert_int_equal(reply[1], 0x6a);
        assert_int_equal(reply[5], 0xe9);
        assert_int_equal(reply[6], 1);
        memcpy(bytes, rows[i].bytes, sizeof(bytes));
        bytes[7] = rows[i].tag ? reply[7] : rows[i].error == 9 && bytes[5] == 0x69 ? (uint8_t)~reply[7] : bytes[7];
        expect(rows[i].name, send(strstr(rows[i].name, "outside") == NULL, bytes, rows[i].len), rows[i].error, 0);
        if (rows[i].error == 9 || rows[i].error == 0) { /* it is over, with the key that there was */
            assert_false(pair.responder.flow.active);
            expect_alive();
        } else {
            assert_true(pair.responder.flow.active);
        }
    }
}

/* KEY_UPDATE from the device that the requester must refuse; its answer goes under the key that there is. */
static void test_own_key_update_requests(void **state)
{
    static const struct {
        const char *name;
        bool        able;
        size_t      len;
        uint8_t     bytes[12], error;
    } cases[] = {
        { "all keys", true, 4, { 0x13, 0xe9, 2, 5 }, 1 },  { "verify what?", true, 4, { 0x13, 0xe9, 3, 5 }, 1 },
        { "no such operation", true, 4, { 0x13, 0xe9, 0, 5 }, 1 }, { "long", true, 8, { 0x13, 0xe9, 1, 5 }, 1 },
        { "not announced", false, 4, { 0x13, 0xe9, 1, 5 }, 7 }, { "digests of none", true, 4, { 0x13, 0x81 }, 7 },
        { "a certificate", true, 8, { 0x13, 0x82, 0, 0, 0, 0, 9, 0 }, 7 },
        { "CHALLENGE", true, 4, { 0x13, 0x83 }, 4 }, { "events of no subscription", true, 8, { 0x13, 0xf1 }, 4 },
        { "yes", true, 4, { 0x13, 0xe9, 1, 5 }, 0 },
    };

    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t      asked[16] = { 0x13, 0x6a, 3, 0 }, out[256], record[64], answer[64];
        SpdmSession *s = &pair.requester.session;
        bool         secured;
        size_t       len;

        open_session(V13, CAPS | SPDM_CAP_ENCAP);
        assert_null(spdm_requester_start(&pair.requester, SPDM_OP_ENCAPSULATED, NULL));
        assert_true(spdm_requester_next(&pair.requester, out, sizeof(out), &secured) > 4);
        pair.requester.peer_capabilities &= cases[i].able ? ~0u : ~(uint32_t)SPDM_CAP_KEY_UPD;
        memcpy(asked + 4, cases[i].bytes, cases[i].len);
        SpdmChannel c = s->keys.response_data;

        len = spdm_record_seal(spdm_aead(BIT(1)), &c, s->id, asked, 4 + cases[i].len, record, sizeof(record));
        assert_int_equal(spdm_requester_response(&pair.requester, record, len, true), SPDM_CONTINUE);
        c = s->keys.request_data;
        len = spdm_requester_next(&pair.requester, out, sizeof(out), &secured);
        assert_true(spdm_record_open(spdm_aead(BIT(1)), &c, out, len, answer, sizeof(answer), &len));
        assert_int_equal(len, 8);
        if (answer[5] != (cases[i].error != 0 ? 0x7f : 0x69) || (cases[i].error != 0 && answer[6] != cases[i].error)) {
            fail_msg("%s: %02x %02x", cases[i].name, answer[5], answer[6]);
        }
        assert_int_equal(s->update_pending, cases[i].error == 0);
    }
}

/* The device refuses the answer to its own request, under the key that it still has. */
static void test_taken_back(void **state)
{
    uint8_t      error[] = { 0x13, 0x7f, 9, 0 }, out[256], record[64];
    SpdmSession *s = &pair.requester.session;
    SpdmChannel  before;
    bool         secured;
    size_t       len;

    open_session(V13, CAPS | SPDM_CAP_ENCAP);
    spdm_responder_want_key_update(&pair.responder, s->id);
    assert_null(spdm_requester_start(&pair.requester, SPDM_OP_ENCAPSULATED, NULL));
    assert_int_equal(pair_step(&pair), SPDM_CONTINUE);
    before = s->keys.response_data;
    assert_true(spdm_requester_next(&pair.requester, out, sizeof(out), &secured) > 4);
    assert_memory_not_equal(&before, &s->keys.response_data, sizeof(before));
    len = spdm_record_seal(spdm_aead(BIT(1)), &before, s->id, error, sizeof(error), record, sizeof(record));
    assert_int_equal(spdm_requester_response(&pair.requester, record, len, true), SPDM_FAILED);
    assert_true(spdm_requester_has_session(&pair.requester));
    assert_memory_equal(before.key, s->keys.response_data.key, sizeof(before.key));
    assert_false(s->update_pending);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_challenge),           cmocka_unit_test(test_challenge_spoilt),
        cmocka_unit_test(test_back),                cmocka_unit_test(test_back_not_ready),
        cmocka_unit_test(test_not_back),            cmocka_unit_test(test_back_stranger),
        cmocka_unit_test(test_back_spoilt),         cmocka_unit_test(test_back_rows),
        cmocka_unit_test(test_back_answers),        cmocka_unit_test(test_back_requests),
        cmocka_unit_test(test_key_update),          cmocka_unit_test(test_key_update_answers),
        cmocka_unit_test(test_own_key_update),      cmocka_unit_test(test_own_key_update_rows),
        cmocka_unit_test(test_own_key_update_requests), cmocka_unit_test(test_taken_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
