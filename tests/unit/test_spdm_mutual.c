/*
 * Mutual authentication in KEY_EXCHANGE: whole sessions of every version and flow, what each side must refuse of the
 * other, one row per stimulus, and signatures that were spoilt.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "spdm/caps.h"
#include "spdm_pair.h"

enum { HASH = 48, SIG = 96, MUTUAL = SPDM_CAP_MUT_AUTH | SPDM_CAP_ENCAP };

static SpdmPair pair;
static uint8_t  reply[SPDM_MSG_MAX];

/* The device trusts what comes from its own root. */
static bool trust(void *opaque, const uint8_t *certs, size_t len, SpdmPublicKey *key)
{
    const SpdmIdentity *id = pair_identity(SPDM_TEST_DEVICE);

    return spdm_chain_check(certs, len, id->certs, id->root_len, SPDM_CHAIN_OF_REQUESTER, -1, key) == NULL;
}

static void begin_as(uint8_t version, uint32_t caps, bool digests, SpdmTestPki who)
{
    pair_init(&pair, caps | MUTUAL);
    pair.responder.config.version_min = pair.responder.config.version_max = version;
    pair.responder.config.requester_key = trust;
    pair.responder.config.mutual_digests = digests;
    pair.requester.identity = pair_identity(who);
    if (pair_connect(&pair) != SPDM_DONE) {
        fail_msg("%s", spdm_requester_error(&pair.requester));
    }
}

static void begin(uint8_t version, uint32_t caps, bool digests)
{
    begin_as(version, caps, digests, SPDM_TEST_REQUESTER);
}

/* Handshakes in records. */
static const uint32_t protected_caps = SPDM_RESPONDER_CAPS & ~SPDM_CAP_HANDSHAKE_IN_THE_CLEAR;

/* A session's first @n exchanges: KEY_EXCHANGE, GET_ENCAPSULATED_REQUEST, DELIVER_ENCAPSULATED_RESPONSE... */
static void handshake(uint8_t version, unsigned n)
{
    begin(version, protected_caps, false);
    assert_null(spdm_requester_start(&pair.requester, SPDM_OP_SESSION, NULL));
    for (; n != 0; n--) {
        assert_int_equal(pair_step(&pair), SPDM_CONTINUE);
    }
}

static void test_capabilities(void **state)
{
    uint64_t caps = SPDM_RESPONDER_CAPS;

    assert_non_null(strstr(spdm_caps_change("+mut_auth", &caps), "needs encap"));
    assert_non_null(spdm_caps_change("+mut_auth+encap-key_ex", &caps));
    assert_null(spdm_caps_change("+mut_auth+encap", &caps));
    assert_int_equal(caps, SPDM_RESPONDER_CAPS | MUTUAL);
}

static void test_sessions(void **state)
{
    for (unsigned i = 0; i < 3 * 2 * 2 * 2; i++) {
        uint8_t  version = (uint8_t)(SPDM_VERSION_11 + i / 8);
        bool     small = i & 4 && version >= SPDM_VERSION_12;
        unsigned exchanges;

        begin(version, (i & 1 ? SPDM_RESPONDER_CAPS : protected_caps) | (small ? SPDM_CAP_CHUNK : 0u), i & 2);
        pair.responder.config.transfer_size = small ? 64 : SPDM_MSG_MAX;
        pair.requester.options.transfer_size = small ? 64 : 0;
        assert_int_equal(pair_connect(&pair), SPDM_DONE);
        exchanges = pair.exchange;
        if (pair_op(&pair, SPDM_OP_SESSION, NULL) != SPDM_DONE) {
            fail_msg("%u: %s", i, spdm_requester_error(&pair.requester));
        }
        assert_true(pair.exchange - exchanges > (i & 2 ? 3u : 4u));
        assert_true(pair.requester.session.mut_auth != 0);
        assert_int_equal(pair.sessions_begun, 1);
        assert_int_equal(pair.responder.mutual.session_id, 0); /* nothing of it is kept */
        for (unsigned n = 2; n < pair_n_stages; n++) {
            assert_int_equal(pair_stages[n].run(&pair), SPDM_DONE);
        }
    }
}

/* Who cannot authenticate itself is not asked to: a choice of this device. */
static void test_plain_requester(void **state)
{
    pair_init(&pair, SPDM_RESPONDER_CAPS | MUTUAL);
    assert_int_equal(pair_connect(&pair), SPDM_DONE);
    assert_int_equal(pair.requester.selected.req_asym, 0);
    assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_DONE);
}

/* A device that selects a signature which the requester's key cannot make, and was not offered. */
static void test_not_my_key(void **state)
{
    enum { REQ_ASYM_AT = 46 };
    uint8_t request[SPDM_MSG_MAX], response[SPDM_MSG_MAX];
    bool    secured;
    size_t  len;

    begin(SPDM_VERSION_12, SPDM_RESPONDER_CAPS, false);
    assert_null(spdm_requester_start(&pair.requester, SPDM_OP_CONNECT, NULL));
    assert_int_equal(pair_step(&pair), SPDM_CONTINUE);
    assert_int_equal(pair_step(&pair), SPDM_CONTINUE);
    len = spdm_requester_next(&pair.requester, request, sizeof(request), &secured);
    len = spdm_responder_handle(&pair.responder, false, request, len, response, sizeof(response), &secured);
    assert_int_equal(le16_get(response + REQ_ASYM_AT), 0x80);
    response[REQ_ASYM_AT] = 0x10; /* P-256 */
    assert_int_equal(spdm_requester_response(&pair.requester, response, len, false), SPDM_FAILED);
    assert_non_null(strstr(spdm_requester_error(&pair.requester), "not offered"));
}

/* The hash in front of the certificates is that of another root than they begin with. */
static void test_root_hash(void **state)
{
    static SpdmIdentity spoilt;
    const SpdmHash     *hash = spdm_hash(BIT(1));
    SpdmSpan            chain;

    spoilt = *pair_identity(SPDM_TEST_REQUESTER);
    spoilt.root_len--;
    begin(SPDM_VERSION_12, SPDM_RESPONDER_CAPS, false);
    pair.requester.identity = &spoilt;
    assert_int_equal(pair_connect(&pair), SPDM_DONE);
    assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_FAILED);
    assert_non_null(strstr(spdm_requester_error(&pair.requester), "ERROR 0x09"));
    assert_int_equal(pair.sessions_begun, 0);
    /* What a verifier looks at. */
    chain = spdm_requester_chain(&pair.requester);
    assert_true(spdm_chain_names_root(hash, chain.data, chain.len));
    for (size_t at = 4; at < 4 + hash->len + 100; at += 9) {
        pair.requester.chain[at] ^= 1;
        assert_false(spdm_chain_names_root(hash, chain.data, chain.len));
        pair.requester.chain[at] ^= 1;
    }
    assert_false(spdm_chain_names_root(hash, chain.data, 4 + hash->len));
    assert_false(spdm_chain_names_root(hash, chain.data, 3));
}

static void test_stranger(void **state)
{
    begin_as(SPDM_VERSION_12, SPDM_RESPONDER_CAPS, false, SPDM_TEST_WRONG_ROOT);
    assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_FAILED);
    assert_non_null(strstr(spdm_requester_error(&pair.requester), "ERROR 0x09"));
    assert_int_equal(pair.sessions_begun, 0);
    begin_as(SPDM_VERSION_12, SPDM_RESPONDER_CAPS, false, SPDM_TEST_DEVICE); /* by its usage another end's */
    assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_FAILED);
    assert_int_equal(pair.sessions_begun, 0);
    const SpdmIdentity *requester = pair_identity(SPDM_TEST_REQUESTER);
    assert_non_null(spdm_chain_check(requester->certs, requester->certs_len, requester->certs, requester->root_len,
                                     SPDM_CHAIN_OF_RESPONDER, -1, NULL)); /* nor the other way round */
    begin(SPDM_VERSION_12, SPDM_RESPONDER_CAPS, false);
    pair.responder.config.requester_key = NULL; /* nobody is trusted */
    assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_FAILED);
}

/* ---- the responder: rows ---- */

typedef struct Row {
    const char *name;
    unsigned    after;   /* exchanges of the session that went before */
    bool        plain;   /* not in the session */
    uint8_t     version;
    size_t      len;
    uint8_t     bytes[16];
    uint8_t     error, data; /* 0: answered */
    bool        over;        /* the flow has ended without success */
} Row;

#define V12 SPDM_VERSION_12
#define V13 SPDM_VERSION_13

static const Row rows[] = {
    /* name                           after plain version len  bytes */
    { "get: before any", 0, true, V12, 4, { 0x12, SPDM_GET_ENCAPSULATED_REQUEST }, 4 },
    { "get: before any, 1.3", 0, true, V13, 4, { 0x13, 0xea }, 0x45 },
    { "get: outside the session", 1, true, V12, 4, { 0x12, SPDM_GET_ENCAPSULATED_REQUEST }, 4 },
    { "get: long", 1, false, V12, 8, { 0x12, SPDM_GET_ENCAPSULATED_REQUEST }, 1 },
    { "get", 1, false, V12, 4, { 0x12, SPDM_GET_ENCAPSULATED_REQUEST }, 0 },
    { "get: twice", 2, false, V12, 4, { 0x12, SPDM_GET_ENCAPSULATED_REQUEST }, 4 },
    { "get: version", 1, false, V12, 4, { 0x13, 0xea }, 0x41 },
    { "deliver: before any", 0, true, V12, 8, { 0x12, SPDM_DELIVER_ENCAPSULATED_RESPONSE, 0, 0, 0x12, 1 }, 4 },
    { "deliver: nothing was asked", 1, false, V12, 8, { 0x12, 0xeb, 0, 0, 0x12, 1 }, 4 },
    { "deliver: outside the session", 2, true, V12, 8, { 0x12, 0xeb, 1, 0, 0x12, 1 }, 4 },
    { "deliver: another ID", 2, false, V12, 8, { 0x12, 0xeb, 2, 0, 0x12, 1 }, 1 },
    { "deliver: empty", 2, false, V12, 4, { 0x12, 0xeb, 1 }, 1 },
    { "deliver: digests of nothing", 2, false, V12, 8, { 0x12, 0xeb, 1, 0, 0x12, 1, 0, 0 }, 9, 0, true },
    { "deliver: digests, none there", 2, false, V12, 8, { 0x12, 0xeb, 1, 0, 0x12, 1, 0, 1 }, 9, 0, true },
    { "deliver: another answer", 2, false, V12, 8, { 0x12, 0xeb, 1, 0, 0x12, 2, 0, 1 }, 9, 0, true },
    { "deliver: another version", 2, false, V12, 8, { 0x12, 0xeb, 1, 0, 0x11, 1, 0, 1 }, 9, 0, true },
    { "deliver: ERROR", 2, false, V12, 8, { 0x12, 0xeb, 1, 0, 0x12, 0x7f, 7, 0x81 }, 9, 0, true },
    { "certificate: none", 3, false, V12, 12, { 0x12, 0xeb, 2, 0, 0x12, 2, 0, 0, 0, 0, 1, 0 }, 9, 0, true },
    { "certificate: slot 1", 3, false, V12, 13, { 0x12, 0xeb, 2, 0, 0x12, 2, 1, 0, 1, 0, 1, 0, 7 }, 9, 0, true },
    { "certificate: longer than there", 3, false, V12, 13, { 0x12, 0xeb, 2, 0, 0x12, 2, 0, 0, 9, 0 }, 9, 0, true },
    { "certificate: too long a chain", 3, false, V12, 13, { 0x12, 0xeb, 2, 0, 0x12, 2, 0, 0, 1, 0, 0xff, 0xff }, 9, 0,
      true },
    { "certificate: no chain", 3, false, V12, 13, { 0x12, 0xeb, 2, 0, 0x12, 2, 0, 0, 1, 0, 0, 0, 7 }, 9, 0, true },
    { "certificate: more follows", 3, false, V12, 13, { 0x12, 0xeb, 2, 0, 0x12, 2, 0, 0, 1, 0, 1, 0, 7 }, 0 },
    { "another request, plain", 1, true, V12, 4, { 0x12, 0x81 }, 8 },
    { "another request, in the session", 1, false, V12, 4, { 0x12, 0xec }, 8 },
    { "FINISH, before the flow is over", 2, false, V12, 16, { 0x12, 0xe5, 1 }, 8 },
};

static size_t send(bool secured, const uint8_t *msg, size_t len)
{
    memset(reply, 0, sizeof(reply));
    return pair_send(&pair, secured, msg, len, reply, sizeof(reply));
}

static void expect(const char *name, size_t len, uint8_t error, uint8_t data)
{
    if (!pair_answered(reply, len, error, data)) {
        fail_msg("%s: %zu bytes: %02x %02x %02x", name, len, reply[1], reply[2], reply[3]);
    }
}

static void test_rows(void **state)
{
    static const uint8_t finish[4 + SIG + HASH] = { 0x12, 0xe5, 1 };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        const Row *row = &rows[i];

        handshake(row->version, row->after);
        expect(row->name, send(!row->plain, row->bytes, row->len), row->error, row->data);
        if (row->over) {
            expect(row->name, send(true, finish, sizeof(finish)), 4, 0);
            assert_int_equal(pair.responder.sessions[0].state, SPDM_SESSION_FREE);
        } else if (row->error != 0) { /* nothing has changed */
            SpdmResult result = SPDM_CONTINUE;

            while (result == SPDM_CONTINUE) {
                result = pair_step(&pair);
            }
            if (result != SPDM_DONE) {
                fail_msg("%s, then: %s", row->name, spdm_requester_error(&pair.requester));
            }
        }
        assert_int_equal(pair.sessions_begun, row->error != 0 && !row->over);
    }
}

static void test_elsewhere(void **state)
{
    static const uint8_t get[4] = { 0x12, SPDM_GET_ENCAPSULATED_REQUEST };

    begin(SPDM_VERSION_12, SPDM_RESPONDER_CAPS, false);
    assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_DONE);
    expect("established", send(true, get, sizeof(get)), 4, 0);
    pair_init(&pair, SPDM_RESPONDER_CAPS);
    pair.requester.identity = pair_identity(SPDM_TEST_REQUESTER);
    assert_int_equal(pair_connect(&pair), SPDM_DONE);
    expect("not advertised", send(false, get, sizeof(get)), 7, 0xea);
    /* GET_VERSION ends a flow, as it ends everything. */
    handshake(SPDM_VERSION_12, 2);
    expect("GET_VERSION", send(false, (const uint8_t[]){ 0x10, 0x84, 0, 0 }, 4), 0, 0);
    assert_false(pair.responder.flow.active);
    assert_int_equal(pair_connect(&pair), SPDM_FAILED); /* the operation that was under way is not over */
}

/* ---- FINISH ---- */

/* Exchanges of a session before FINISH. */
static unsigned before_finish(void)
{
    SpdmResult result = SPDM_CONTINUE;
    unsigned   first;

    begin(SPDM_VERSION_12, protected_caps, false);
    first = pair.exchange;
    assert_null(spdm_requester_start(&pair.requester, SPDM_OP_SESSION, NULL));
    while (result == SPDM_CONTINUE) {
        result = pair_step(&pair);
    }
    assert_int_equal(result, SPDM_DONE);
    return pair.exchange - first - 1;
}

static void test_finish(void **state)
{
    static const struct {
        const char *name;
        uint8_t     param1, param2;
        size_t      len;
        uint8_t     error;
    } cases[] = {
        { "not signed", 0, 0, 4 + HASH, 1 },      { "signed, it says not", 0, 0, 4 + SIG + HASH, 1 },
        { "slot 1", 1, 1, 4 + SIG + HASH, 1 },    { "slot FF", 1, 0xff, 4 + SIG + HASH, 1 },
        { "no MAC", 1, 0, 4 + SIG, 1 },           { "long", 1, 0, 4 + SIG + HASH + 4, 1 },
        { "wrong signature", 1, 0, 4 + SIG + HASH, 6 },
    };
    unsigned n = before_finish();

    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t finish[4 + SIG + HASH + 4] = { 0x12, 0xe5, cases[i].param1, cases[i].param2 };

        handshake(SPDM_VERSION_12, n);
        expect(cases[i].name, send(true, finish, cases[i].len), cases[i].error, 0);
        if (cases[i].error == 1) {
            assert_int_equal(pair_step(&pair), SPDM_DONE);
        } else {
            assert_int_equal(pair.responder.sessions[0].state, SPDM_SESSION_FREE);
        }
    }
    begin(SPDM_VERSION_12, protected_caps, false); /* a signature that nobody asked for */
    pair.responder.config.capabilities &= ~(uint32_t)MUTUAL;
    assert_null(spdm_requester_start(&pair.requester, SPDM_OP_SESSION, NULL));
    assert_int_equal(pair_step(&pair), SPDM_CONTINUE);
    expect("not asked for", send(true, (const uint8_t[4 + SIG + HASH]){ 0x12, 0xe5, 1 }, 4 + SIG + HASH), 1, 0);
}

/* In the clear, where no record's tag protects them: certificates, signature, MAC. */
static void test_spoilt(void **state)
{
    static SpdmPair start;
    unsigned        n = before_finish() + 1;
    PairTamper      t = { .mask = 1 };

    begin(SPDM_VERSION_12, SPDM_RESPONDER_CAPS, false);
    start = pair;
    for (unsigned i = 0; i < n; i++) {
        for (t.at = 0;; t.at += 53) {
            SpdmResult result;

            t.exchange = start.exchange + i;
            if (!pair_spoil(&pair, &start, SPDM_OP_SESSION, &t, &result)) {
                break;
            }
            if (result == SPDM_DONE || pair.sessions_begun != 0) {
                fail_msg("exchange %u, byte %zu: not noticed", i, t.at);
            }
        }
    }
}

/* ---- the requester ---- */

/* What a device may not ask for in KEY_EXCHANGE_RSP; it is looked at before the signature, which covers both bytes. */
static void test_requester_accepts(void **state)
{
    static const struct { uint8_t mut_auth, slot; } bad[] = { { 3, 0 }, { 8, 0 }, { 6, 0 }, { 2, 1 }, { 1, 0xf } };

    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        uint8_t request[SPDM_MSG_MAX], response[SPDM_MSG_MAX];
        size_t  len;
        bool    secured;

        begin(SPDM_VERSION_12, SPDM_RESPONDER_CAPS, false);
        assert_null(spdm_requester_start(&pair.requester, SPDM_OP_SESSION, NULL));
        len = spdm_requester_next(&pair.requester, request, sizeof(request), &secured);
        len = spdm_responder_handle(&pair.responder, false, request, len, response, sizeof(response), &secured);
        response[6] = bad[i].mut_auth;
        response[7] = bad[i].slot;
        assert_int_equal(spdm_requester_response(&pair.requester, response, len, false), SPDM_FAILED);
        assert_non_null(strstr(spdm_requester_error(&pair.requester), "not possible"));
    }
}

/* Requests of the device's, and what the requester says to them: in the clear, so that they can be put in its mouth. */
static void test_requester_answers(void **state)
{
    static const struct {
        const char *name;
        size_t      len;
        uint8_t     bytes[260], code, error; /* of the answer; code 0: it gives up */
    } cases[] = {
        { "digests", 4, { 0x12, 0x81 }, 0x01 },
        { "digests, long", 8, { 0x12, 0x81 }, 0x7f, 1 },
        { "certificate", 8, { 0x12, 0x82, 0, 0, 0, 0, 9, 0 }, 0x02 },
        { "certificate, slot 1", 8, { 0x12, 0x82, 1, 0, 0, 0, 9, 0 }, 0x7f, 1 },
        { "certificate, behind its end", 8, { 0x12, 0x82, 0, 0, 0xff, 0xff, 9, 0 }, 0x7f, 1 },
        { "certificate, of no length", 8, { 0x12, 0x82, 0, 0, 0, 0, 0, 0 }, 0x7f, 1 },
        { "certificate, short", 6, { 0x12, 0x82, 0, 0, 0, 0 }, 0x7f, 1 },
        { "measurements", 4, { 0x12, 0xe0 }, 0x7f, 7 },
        { "version", 4, { 0x13, 0x81 }, 0x7f, 0x41 },
        { "nothing", 0, { 0 }, 0 },
        { "short", 3, { 0x12, 0x81 }, 0 },
        { "long", 260, { 0x12, 0x81 }, 0 },
    };

    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t out[SPDM_MSG_MAX], asked[264] = { 0x12, 0x6a, 5, 0 };
        bool    secured;

        begin(SPDM_VERSION_12, SPDM_RESPONDER_CAPS, false);
        assert_null(spdm_requester_start(&pair.requester, SPDM_OP_SESSION, NULL));
        assert_int_equal(pair_step(&pair), SPDM_CONTINUE);
        assert_int_equal(spdm_requester_next(&pair.requester, out, sizeof(out), &secured), 4);
        memcpy(asked + 4, cases[i].bytes, cases[i].len);
        assert_int_equal(spdm_requester_response(&pair.requester, asked, 4 + cases[i].len, false),
                         cases[i].code != 0 ? SPDM_CONTINUE : SPDM_FAILED);
        if (cases[i].code != 0) {
            assert_true(spdm_requester_next(&pair.requester, out, sizeof(out), &secured) >= 8);
            if (out[1] != 0xeb || out[2] != 5 || out[5] != cases[i].code ||
                (out[5] == 0x7f && out[6] != cases[i].error)) {
                fail_msg("%s: %02x %02x, %02x %02x", cases[i].name, out[1], out[2], out[5], out[6]);
            }
        }
    }
}

/* Acknowledgements. */
static void test_requester_acks(void **state)
{
    static const struct {
        const char *name;
        size_t      len;
        uint8_t     bytes[12];
        SpdmResult  result;
    } cases[] = {
        { "done", 8, { 0x12, 0x6b, 0, 0, 1 }, SPDM_CONTINUE },
        { "done, slot 0", 9, { 0x12, 0x6b, 0, 2, 1, 0, 0, 0, 0 }, SPDM_CONTINUE },
        { "done, slot 1", 9, { 0x12, 0x6b, 0, 2, 1, 0, 0, 0, 1 }, SPDM_FAILED },
        { "more", 12, { 0x12, 0x6b, 2, 1, 1, 0, 0, 0, 0x12, 0x81 }, SPDM_CONTINUE },
        { "more, nothing there", 8, { 0x12, 0x6b, 2, 1, 1 }, SPDM_FAILED },
        { "type 3", 8, { 0x12, 0x6b, 0, 3, 1 }, SPDM_FAILED },
        { "of another ID", 8, { 0x12, 0x6b, 0, 0, 2 }, SPDM_FAILED },
        { "short", 4, { 0x12, 0x6b, 0, 0 }, SPDM_FAILED },
        { "long", 12, { 0x12, 0x6b, 0, 0, 1 }, SPDM_FAILED },
    };

    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t out[SPDM_MSG_MAX];
        bool    secured;

        begin(SPDM_VERSION_12, SPDM_RESPONDER_CAPS, false);
        assert_null(spdm_requester_start(&pair.requester, SPDM_OP_SESSION, NULL));
        assert_int_equal(pair_step(&pair), SPDM_CONTINUE);
        assert_int_equal(pair_step(&pair), SPDM_CONTINUE);
        assert_true(spdm_requester_next(&pair.requester, out, sizeof(out), &secured) > 8);
        if (spdm_requester_response(&pair.requester, cases[i].bytes, cases[i].len, false) != cases[i].result) {
            fail_msg("%s: %s", cases[i].name, spdm_requester_error(&pair.requester));
        }
    }
}

/* A requester whose slots have keys of their own: its DIGESTS tells more, and FINISH is signed over it. */
static void test_own_keys(void **state)
{
    for (unsigned row = 0; row < 2 * 2 * 2; row++) {
        uint8_t  version = row & 1 ? SPDM_VERSION_14 : SPDM_VERSION_13;
        uint32_t caps = row & 2 ? protected_caps : SPDM_RESPONDER_CAPS;

        for (unsigned forget = 0; forget < 2; forget++) {
            pair_init(&pair, caps | MUTUAL);
            pair.responder.config.version_min = pair.responder.config.version_max = version;
            pair.responder.config.requester_key = trust;
            pair.responder.config.mutual_digests = row & 4;
            pair.responder.config.mutual_basic = true;
            pair.requester.identity = pair_identity(SPDM_TEST_REQUESTER);
            pair.requester.challenge = &pair.challenge;
            pair.requester.options.own_keys = true;
            assert_int_equal(pair_connect(&pair), SPDM_DONE);
            assert_true(pair.requester.selected.other_params & SPDM_MULTI_KEY_CONN);
            assert_int_equal(pair_op(&pair, SPDM_OP_CHALLENGE, NULL), SPDM_DONE);
            assert_int_equal(pair.authenticated, 1);
            assert_null(spdm_requester_start(&pair.requester, SPDM_OP_SESSION, NULL));
            for (unsigned i = 0; i < (row & 4 ? 2 : 3); i++) {
                assert_int_equal(pair_step(&pair), SPDM_CONTINUE);
            }
            assert_int_equal(pair.responder.flow.wanted, SPDM_GET_CERTIFICATE);
            /* The usage that was told. */
            pair.requester.session.th.data[pair.requester.session.th.len - 1] ^= (uint8_t)forget;
            while (pair.requester.op != SPDM_OP_NONE && pair_step(&pair) == SPDM_CONTINUE) {
            }
            assert_int_equal(spdm_requester_has_session(&pair.requester), !forget);
        }
    }
    /* In 1.2 there is no such thing. */
    pair_init(&pair, SPDM_RESPONDER_CAPS | MUTUAL);
    pair.responder.config.requester_key = trust;
    pair.requester.identity = pair_identity(SPDM_TEST_REQUESTER);
    pair.requester.options.own_keys = true;
    assert_int_equal(pair_connect(&pair), SPDM_DONE);
    assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_DONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_capabilities),      cmocka_unit_test(test_sessions),
        cmocka_unit_test(test_plain_requester),   cmocka_unit_test(test_not_my_key),
        cmocka_unit_test(test_root_hash),
        cmocka_unit_test(test_stranger),
        cmocka_unit_test(test_rows),              cmocka_unit_test(test_elsewhere),
        cmocka_unit_test(test_finish),            cmocka_unit_test(test_spoilt),
        cmocka_unit_test(test_requester_accepts), cmocka_unit_test(test_requester_answers),
        cmocka_unit_test(test_own_keys),          cmocka_unit_test(test_requester_acks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
