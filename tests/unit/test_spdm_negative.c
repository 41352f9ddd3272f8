/*
 * What a responder must refuse, and how: one row per stimulus. A row starts from a connection in some state,
 * takes a valid message, breaks it, and names the error. After every row the valid message must still be
 * answered as it should: a refused request has changed nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "spdm/record.h"
#include "spdm/sign.h"
#include "spdm_pair.h"

typedef enum Start { FRESH, VERSIONED, CAPABLE, CONNECTED, HANDSHAKE, CLEAR_HANDSHAKE, SESSION } Start;

typedef struct Message {
    size_t  len;
    uint8_t bytes[256];
} Message;

/* Valid messages, as the requester's profile has them. */
#define HEADER(code, p1, p2) 0x12, code, p1, p2
static const Message get_version = { 4, { 0x10, 0x84, 0, 0 } };
static const Message get_capabilities = {
    20, { HEADER(0xe1, 0, 0), 0, 20, 0, 0, 0xc2, 0x82, 0, 0, 0, 0x10, 0, 0, 0, 0x10, 0, 0 }
};
static const Message negotiate = {
    48, { HEADER(0xe3, 4, 0), 48, 0, 1, 2, 0x80, 0, 0, 0, 2, 0, 0, 0,
          [32] = 2, 0x20, 0x10, 0, 3, 0x20, 2, 0, 4, 0x20, 0x80, 0, 5, 0x20, 1, 0 }
};
static const Message get_digests = { 4, { HEADER(0x81, 0, 0) } };
static const Message get_certificate = { 8, { HEADER(0x82, 0, 0), 0, 0, 0, 4 } };
static const Message challenge = { 36, { HEADER(0x83, 0, 0), 1, 2, 3 } };
static const Message measurements = { 4, { HEADER(0xe0, 0, 0xff) } };
static const Message signed_measurements = { 37, { HEADER(0xe0, 1, 0xff), 9 } };
static const Message end_session = { 4, { HEADER(0xec, 0, 0) } };
static const Message heartbeat = { 4, { HEADER(SPDM_HEARTBEAT, 0, 0) } };
static const Message vendor = { 15, { HEADER(0xfe, 0, 0), 3, 0, 2, 1, 0, 4, 0, 0, 0, 0, 0 } };
static Message       key_exchange; /* captured from a requester */

#define WHOLE 0xffff

typedef struct Row {
    const char    *name;
    Start          start;
    const Message *valid;
    uint16_t       at;       /* first byte to change; WHOLE: none */
    uint8_t        n, with[4];
    int            longer;   /* change of length */
    uint16_t       error;    /* 0: answered; SILENCE: no answer */
    uint8_t        data;     /* Param2 of the ERROR */
    uint32_t       without;  /* capabilities taken from the responder */
} Row;

#define SILENCE 0x100

static const Row rows[] = {
    /* name                          start      message           at     n  bytes      longer error data */
    { "version: other than 1.0", FRESH, &get_version, 0, 1, { 0x12 }, 0, 0x41, 0 },
    { "version: short", FRESH, &get_version, WHOLE, 0, { 0 }, -1, 0x01, 0 },
    { "version: in a session", SESSION, &get_version, WHOLE, 0, { 0 }, 0, 0x04, 0 },
    { "version: too long", FRESH, &get_version, WHOLE, 0, { 0 }, 4, 0x01, 0 },
    { "version: DW padding", FRESH, &get_version, WHOLE, 0, { 0 }, 3, 0, 0 },
    { "response code", FRESH, &get_version, 1, 1, { 0x04 }, 0, 0x07, 0x04 },
    { "empty", FRESH, &get_version, WHOLE, 0, { 0 }, -4, 0x01, 0 },

    { "capabilities: before version", FRESH, &get_capabilities, WHOLE, 0, { 0 }, 0, 0x04, 0 },
    { "capabilities: version 1.1", VERSIONED, &get_capabilities, 0, 1, { 0x11 }, 0, 0x41, 0 },
    { "capabilities: version 1.3", VERSIONED, &get_capabilities, 0, 1, { 0x13 }, 0, 0x41, 0 },
    { "capabilities: second", CAPABLE, &get_capabilities, 5, 1, { 19 }, 0, 0x04, 0 },
    { "capabilities: short", VERSIONED, &get_capabilities, WHOLE, 0, { 0 }, -1, 0x01, 0 },
    { "capabilities: CT 32", VERSIONED, &get_capabilities, 5, 1, { 32 }, 0, 0x01, 0 },
    { "capabilities: DTS 41", VERSIONED, &get_capabilities, 12, 2, { 41, 0 }, 0, 0x01, 0 },
    { "capabilities: DTS above max", VERSIONED, &get_capabilities, 13, 1, { 0x11 }, 0, 0x01, 0 },
    { "capabilities: DTS below max, no CHUNK", VERSIONED, &get_capabilities, 13, 1, { 0x0f }, 0, 0x01, 0 },
    { "capabilities: PSK 2", VERSIONED, &get_capabilities, 9, 1, { 0x8a }, 0, 0x01, 0 },
    { "capabilities: KEY_EX unprotected", VERSIONED, &get_capabilities, 8, 2, { 0x02, 0x02 }, 0, 0x01, 0 },
    { "capabilities: MAC without KEY_EX", VERSIONED, &get_capabilities, 8, 2, { 0x86, 0 }, 0, 0x01, 0 },
    { "capabilities: clear without KEY_EX", VERSIONED, &get_capabilities, 8, 2, { 0x06, 0x80 }, 0, 0x01, 0 },
    { "capabilities: CERT and PUB_KEY_ID", VERSIONED, &get_capabilities, 10, 1, { 1 }, 0, 0x01, 0 },
    { "capabilities: CERT without use", VERSIONED, &get_capabilities, 8, 2, { 2, 0 }, 0, 0x01, 0 },
    { "capabilities: CHAL without CERT", VERSIONED, &get_capabilities, 8, 2, { 4, 0 }, 0, 0x01, 0 },
    { "capabilities: MUT_AUTH alone", VERSIONED, &get_capabilities, 8, 2, { 0, 1 }, 0, 0x01, 0 },
    { "capabilities: in a session", SESSION, &get_capabilities, WHOLE, 0, { 0 }, 0, 0x04, 0 },

    { "algorithms: before capabilities", VERSIONED, &negotiate, WHOLE, 0, { 0 }, 0, 0x04, 0 },
    { "algorithms: version one less", CAPABLE, &negotiate, 0, 1, { 0x11 }, 0, 0x41, 0 },
    { "algorithms: Length + 1", CAPABLE, &negotiate, 4, 1, { 49 }, 0, 0x01, 0 },
    { "algorithms: Length - 1", CAPABLE, &negotiate, 4, 1, { 47 }, 0, 0x01, 0 },
    { "algorithms: 21 external asymmetric", CAPABLE, &negotiate, 28, 1, { 21 }, 0, 0x01, 0 },
    { "algorithms: 21 external hashes", CAPABLE, &negotiate, 29, 1, { 21 }, 0, 0x01, 0 },
    { "algorithms: fixed count 1", CAPABLE, &negotiate, 33, 1, { 0x10 }, 0, 0x01, 0 },
    { "algorithms: fixed count 3", CAPABLE, &negotiate, 33, 1, { 0x30 }, 0, 0x01, 0 },
    { "algorithms: external count F", CAPABLE, &negotiate, 33, 1, { 0x2f }, 0, 0x01, 0 },
    { "algorithms: types unordered", CAPABLE, &negotiate, 36, 1, { 2 }, 0, 0x01, 0 },
    { "algorithms: type 1", CAPABLE, &negotiate, 32, 1, { 1 }, 0, 0x01, 0 },
    { "algorithms: type 6", CAPABLE, &negotiate, 44, 1, { 6 }, 0, 0x01, 0 },
    { "algorithms: empty table", CAPABLE, &negotiate, 34, 2, { 0, 0 }, 0, 0x01, 0 },
    { "algorithms: more tables than there", CAPABLE, &negotiate, 2, 1, { 5 }, 0, 0x01, 0 },
    { "algorithms: no common hash", CAPABLE, &negotiate, 12, 1, { 0x40 }, 0, 0x01, 0 },
    { "algorithms: no common signature", CAPABLE, &negotiate, 8, 1, { 0x10 }, 0, 0x01, 0 },
    { "algorithms: no common DHE", CAPABLE, &negotiate, 34, 1, { 0x40 }, 0, 0x01, 0 },
    { "algorithms: no common AEAD", CAPABLE, &negotiate, 38, 1, { 8 }, 0, 0x01, 0 },
    { "algorithms: no opaque format 1", CAPABLE, &negotiate, 7, 1, { 1 }, 0, 0x01, 0 },
    { "algorithms: twice", CONNECTED, &negotiate, WHOLE, 0, { 0 }, 0, 0x04, 0 },
    { "algorithms: short", CAPABLE, &negotiate, WHOLE, 0, { 0 }, -17, 0x01, 0 },

    { "digests: version one more", CONNECTED, &get_digests, 0, 1, { 0x13 }, 0, 0x41, 0 },
    { "digests: version one less", CONNECTED, &get_digests, 0, 1, { 0x11 }, 0, 0x41, 0 },
    { "digests: before algorithms", CAPABLE, &get_digests, WHOLE, 0, { 0 }, 0, 0x04, 0 },
    { "digests: no CERT", CONNECTED, &get_digests, WHOLE, 0, { 0 }, 0, 0x07, 0x81, SPDM_CAP_CERT },
    { "digests: in the handshake", HANDSHAKE, &get_digests, WHOLE, 0, { 0 }, 0, 0x04, 0 },
    { "digests: in a session", SESSION, &get_digests, WHOLE, 0, { 0 }, 0, 0, 0 },
    { "certificate: slot 1", CONNECTED, &get_certificate, 2, 1, { 1 }, 0, 0x01, 0 },
    { "certificate: slot 8", CONNECTED, &get_certificate, 2, 1, { 8 }, 0, 0x01, 0 },
    { "certificate: slot 15", CONNECTED, &get_certificate, 2, 1, { 15 }, 0, 0x01, 0 },
    { "certificate: offset FFFF", CONNECTED, &get_certificate, 4, 2, { 0xff, 0xff }, 0, 0x01, 0 },
    { "certificate: short", CONNECTED, &get_certificate, WHOLE, 0, { 0 }, -1, 0x01, 0 },
    { "certificate: before algorithms", CAPABLE, &get_certificate, WHOLE, 0, { 0 }, 0, 0x04, 0 },
    { "certificate: no CERT", CONNECTED, &get_certificate, WHOLE, 0, { 0 }, 0, 0x07, 0x82, SPDM_CAP_CERT },
    { "certificate: in the handshake", HANDSHAKE, &get_certificate, WHOLE, 0, { 0 }, 0, 0x04, 0 },
    { "certificate: in a session", SESSION, &get_certificate, WHOLE, 0, { 0 }, 0, 0, 0 },

    { "challenge: summary 2", CONNECTED, &challenge, 3, 1, { 2 }, 0, 0x01, 0 },
    { "challenge: summary FE", CONNECTED, &challenge, 3, 1, { 0xfe }, 0, 0x01, 0 },
    { "challenge: summary TCB", CONNECTED, &challenge, 3, 1, { 1 }, 0, 0, 0 },
    { "challenge: summary all", CONNECTED, &challenge, 3, 1, { 0xff }, 0, 0, 0 },
    { "challenge: slot 1", CONNECTED, &challenge, 2, 1, { 1 }, 0, 0x01, 0 },
    { "challenge: slot FF, no public key", CONNECTED, &challenge, 2, 1, { 0xff }, 0, 0x01, 0 },
    { "challenge: short", CONNECTED, &challenge, WHOLE, 0, { 0 }, -1, 0x01, 0 },
    { "challenge: in a session", SESSION, &challenge, WHOLE, 0, { 0 }, 0, 0x04, 0 },
    { "challenge: no CHAL", CONNECTED, &challenge, WHOLE, 0, { 0 }, 0, 0x07, 0x83, SPDM_CAP_CHAL },
    { "challenge: before algorithms", CAPABLE, &challenge, WHOLE, 0, { 0 }, 0, 0x04, 0 },
    { "challenge: summary without MEAS", CONNECTED, &challenge, 3, 1, { 1 }, 0, 0x01, 0, SPDM_CAP_MEAS },

    { "measurements: unknown index", CONNECTED, &measurements, 3, 1, { 7 }, 0, 0x01, 0 },
    { "measurements: count", CONNECTED, &measurements, 3, 1, { 0 }, 0, 0, 0 },
    { "measurements: in the handshake", HANDSHAKE, &measurements, WHOLE, 0, { 0 }, 0, 0x04, 0 },
    { "measurements: before algorithms", CAPABLE, &measurements, WHOLE, 0, { 0 }, 0, 0x04, 0 },
    { "measurements: no MEAS", CONNECTED, &measurements, WHOLE, 0, { 0 }, 0, 0x07, 0xe0, SPDM_CAP_MEAS },
    { "measurements: signed, slot 3", CONNECTED, &signed_measurements, 36, 1, { 3 }, 0, 0x01, 0 },
    { "measurements: signed, short", CONNECTED, &signed_measurements, WHOLE, 0, { 0 }, -1, 0x01, 0 },
    { "measurements: signed, no slot 3 in session", SESSION, &signed_measurements, 36, 1, { 3 }, 0, 0x01, 0 },
    { "measurements: signed, cannot sign", CONNECTED, &signed_measurements, WHOLE, 0, { 0 }, 0, 0x01, 0,
      SPDM_CAP_MEAS_SIG },

    { "key exchange: slot 1", CONNECTED, &key_exchange, 3, 1, { 1 }, 0, 0x01, 0 },
    { "key exchange: slot FF", CONNECTED, &key_exchange, 3, 1, { 0xff }, 0, 0x01, 0 },
    { "key exchange: summary 2", CONNECTED, &key_exchange, 2, 1, { 2 }, 0, 0x01, 0 },
    { "key exchange: summary FE", CONNECTED, &key_exchange, 2, 1, { 0xfe }, 0, 0x01, 0 },
    { "key exchange: opaque length FFFF", CONNECTED, &key_exchange, 136, 2, { 0xff, 0xff }, 0, 0x01, 0 },
    { "key exchange: opaque beyond message", CONNECTED, &key_exchange, 136, 1, { 24 }, 0, 0x01, 0 },
    { "key exchange: no opaque element", CONNECTED, &key_exchange, 138, 1, { 0 }, 0, 0x01, 0 },
    { "key exchange: element longer than opaque", CONNECTED, &key_exchange, 144, 1, { 99 }, 0, 0x01, 0 },
    { "key exchange: more versions than there", CONNECTED, &key_exchange, 148, 1, { 9 }, 0, 0x01, 0 },
    { "key exchange: no common version", CONNECTED, &key_exchange, 149, 4, { 0, 0x20, 0, 0x21 }, 0, 0x01, 0 },
    { "key exchange: not a point", CONNECTED, &key_exchange, 60, 1, { 0 }, 0, 0x05, 0 },
    { "key exchange: short", CONNECTED, &key_exchange, WHOLE, 0, { 0 }, -4, 0x01, 0 },
    { "key exchange: before algorithms", CAPABLE, &key_exchange, WHOLE, 0, { 0 }, 0, 0x04, 0 },
    { "key exchange: in a session", SESSION, &key_exchange, WHOLE, 0, { 0 }, 0, 0x04, 0 },
    { "key exchange: no KEY_EX", CONNECTED, &key_exchange, WHOLE, 0, { 0 }, 0, 0x07, 0xe4, SPDM_CAP_KEY_EX },

    { "end session: plain", CONNECTED, &end_session, WHOLE, 0, { 0 }, 0, 0x0b, 0 },
    { "end session: in the handshake", HANDSHAKE, &end_session, WHOLE, 0, { 0 }, 0, 0x04, 0 },
    { "end session: too long", SESSION, &end_session, WHOLE, 0, { 0 }, 4, 0x01, 0 },
    { "end session: version one more", SESSION, &end_session, 0, 1, { 0x13 }, 0, 0x41, 0 },
    { "heartbeat: not advertised", SESSION, &heartbeat, WHOLE, 0, { 0 }, 0, 0x07, 0xe8 },
    { "key update: not announced by the requester", SESSION, &heartbeat, 1, 1, { 0xe9 }, 0, 0x07, 0xe9 },
    { "chunk get: not advertised", CONNECTED, &heartbeat, 1, 1, { 0x86 }, 0, 0x07, 0x86 },
    { "respond if ready: nothing waits", CONNECTED, &heartbeat, 1, 1, { 0xff }, 0, 0x04, 0 },

    { "vendor: outside a session", CONNECTED, &vendor, WHOLE, 0, { 0 }, 0, SILENCE, 0 },
    { "vendor: in the handshake", HANDSHAKE, &vendor, WHOLE, 0, { 0 }, 0, 0x04, 0 },
    { "vendor: before algorithms", CAPABLE, &vendor, WHOLE, 0, { 0 }, 0, 0x04, 0 },
    { "vendor: payload beyond message", SESSION, &vendor, 9, 1, { 9 }, 0, 0x01, 0 },
    { "vendor: empty payload", SESSION, &vendor, 9, 1, { 0 }, -4, 0x01, 0 },
    { "vendor: vendor ID length 4", SESSION, &vendor, 6, 1, { 4 }, 0, 0x01, 0 },
    { "vendor: other standard", SESSION, &vendor, 4, 1, { 1 }, 0, 0x07, 0xfe },
    { "vendor: other vendor", SESSION, &vendor, 7, 2, { 0x98, 0x1e }, 0, 0x07, 0xfe },
    { "vendor: unknown protocol", SESSION, &vendor, 11, 1, { 9 }, 0, 0x07, 0xfe },
};

static SpdmPair pair;

static void start_at(Start start, uint32_t without)
{
    static const unsigned exchanges[] = { [FRESH] = 0, [VERSIONED] = 1, [CAPABLE] = 2 };
    uint32_t              clear = start == HANDSHAKE ? SPDM_CAP_HANDSHAKE_IN_THE_CLEAR : 0;

    pair_init(&pair, SPDM_RESPONDER_CAPS & ~clear);
    if (start < CONNECTED) {
        assert_null(spdm_requester_start(&pair.requester, SPDM_OP_CONNECT, NULL));
        for (unsigned i = 0; i < exchanges[start]; i++) {
            assert_int_equal(pair_step(&pair), SPDM_CONTINUE);
        }
    } else {
        assert_int_equal(pair_connect(&pair), SPDM_DONE);
    }
    if (start == HANDSHAKE || start == CLEAR_HANDSHAKE) {
        assert_null(spdm_requester_start(&pair.requester, SPDM_OP_SESSION, NULL));
        assert_int_equal(pair_step(&pair), SPDM_CONTINUE);
    } else if (start == SESSION) {
        assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_DONE);
    }
    /* The requester insists on what we want to take away, so that it goes only now; 0x10 makes MEAS 01,
     * "no signature". */
    pair.responder.config.capabilities &= ~without;
    pair.responder.config.capabilities |= without == SPDM_CAP_MEAS_SIG ? SPDM_CAP_MEAS_NO_SIG : 0;
}

static size_t send(Start start, const Message *m, uint8_t *reply)
{
    return pair_send(&pair, start == HANDSHAKE || start == SESSION, m->bytes, m->len, reply, SPDM_MSG_MAX);
}

static void check_reply(const Row *row, const uint8_t *reply, size_t len, uint8_t code)
{
    bool    brings = code == SPDM_GET_CAPABILITIES && row->start == VERSIONED && row->at != 0; /* a version we have */
    uint8_t version = (pair.responder.version != 0 && code != SPDM_GET_VERSION) || brings ? 0x12 : 0x10;

    if (row->error == SILENCE) {
        assert_int_equal(len, 0);
    } else if (row->error == 0) {
        assert_true(len >= 4);
        assert_int_equal(reply[1], code & 0x7f);
    } else if (len != 4 || reply[0] != version || reply[1] != 0x7f || reply[2] != row->error ||
               reply[3] != row->data) {
        fail_msg("%s: got %zu bytes: %02x %02x %02x %02x", row->name, len, reply[0], reply[1], reply[2],
                 reply[3]);
    }
}

static void capture(void)
{
    static uint8_t out[SPDM_MSG_MAX];
    bool           secured;

    start_at(CONNECTED, 0);
    assert_null(spdm_requester_start(&pair.requester, SPDM_OP_SESSION, NULL));
    key_exchange.len = spdm_requester_next(&pair.requester, out, sizeof(out), &secured);
    assert_int_equal(key_exchange.len, 154);
    memcpy(key_exchange.bytes, out, key_exchange.len);
}

static void test_rows(void **state)
{
    uint8_t reply[SPDM_MSG_MAX];

    capture();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const Row *row = &rows[i];
        Message    m = *row->valid;
        size_t     len;

        start_at(row->start, row->without);
        if (row->at != WHOLE) {
            memcpy(m.bytes + row->at, row->with, row->n);
        }
        m.len = (size_t)((int)m.len + row->longer);
        memset(reply, 0, sizeof(reply));
        len = send(row->start, &m, reply);
        check_reply(row, reply, len, m.bytes[1]);
        /* Nothing has changed: what was under way goes on to its end. */
        if (row->error != 0 && row->without == 0 && row->start < HANDSHAKE) {
            if (row->start < CONNECTED) {
                SpdmResult result = SPDM_CONTINUE;

                while (result == SPDM_CONTINUE) {
                    result = pair_step(&pair);
                }
                assert_int_equal(result, SPDM_DONE);
                assert_int_equal(pair_connect(&pair), SPDM_DONE);
            }
            assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_DONE);
        } else if (row->error != 0 && row->start >= HANDSHAKE) {
            if (row->start == HANDSHAKE) {
                assert_int_equal(pair_step(&pair), SPDM_DONE);
            }
            assert_int_equal(pair_ide(&pair, IDE_KM_QUERY, 0), SPDM_DONE);
        }
    }
}

static void expect_error(const uint8_t *reply, size_t len, uint8_t error)
{
    assert_int_equal(len, 4);
    assert_int_equal(reply[1], 0x7f);
    assert_int_equal(reply[2], error);
}

/* FINISH: its bytes depend on the handshake, so that rows cannot hold them. */
static void test_finish(void **state)
{
    uint8_t out[SPDM_MSG_MAX], reply[SPDM_MSG_MAX];
    Message m = { 52, { HEADER(0xe5, 0, 0) } };
    size_t  len;
    bool    secured;

    start_at(CONNECTED, 0);
    expect_error(reply, send(CONNECTED, &m, reply), SPDM_SESSION_REQUIRED);
    start_at(HANDSHAKE, 0); /* protected: a plain FINISH has no session */
    expect_error(reply, pair_send(&pair, false, m.bytes, m.len, reply, sizeof(reply)), SPDM_SESSION_REQUIRED);
    m.bytes[2] = 1;
    expect_error(reply, send(HANDSHAKE, &m, reply), SPDM_INVALID_REQUEST); /* signature not asked for */
    m.bytes[2] = 0;
    m.bytes[3] = 8;
    expect_error(reply, send(HANDSHAKE, &m, reply), SPDM_INVALID_REQUEST); /* slot 8 */
    m.bytes[3] = 0;
    m.len = 48;
    expect_error(reply, send(HANDSHAKE, &m, reply), SPDM_INVALID_REQUEST); /* no MAC */
    m.len = 52;
    assert_int_equal(pair.responder.sessions[0].state, SPDM_SESSION_HANDSHAKE);
    expect_error(reply, send(HANDSHAKE, &m, reply), SPDM_DECRYPT_ERROR); /* wrong MAC */
    assert_int_equal(pair.responder.sessions[0].state, SPDM_SESSION_FREE);
    assert_int_equal(send(HANDSHAKE, &m, reply), 0);

    start_at(CLEAR_HANDSHAKE, 0); /* in the clear: a FINISH in a record is in the wrong place */
    expect_error(reply, pair_send(&pair, true, m.bytes, m.len, reply, sizeof(reply)), SPDM_SESSION_REQUIRED);
    len = spdm_requester_next(&pair.requester, out, sizeof(out), &secured);
    assert_false(secured);
    assert_int_equal(pair_send(&pair, false, out, len, reply, sizeof(reply)), 52);
    /* Replay. */
    expect_error(reply, pair_send(&pair, false, out, len, reply, sizeof(reply)), SPDM_SESSION_REQUIRED);
    start_at(SESSION, 0);
    m.len = 52;
    expect_error(reply, send(SESSION, &m, reply), SPDM_UNEXPECTED_REQUEST);
}

static void test_session_limit(void **state)
{
    uint8_t reply[SPDM_MSG_MAX];

    capture();
    start_at(CONNECTED, SPDM_CAP_HANDSHAKE_IN_THE_CLEAR);
    for (unsigned i = 0; i < SPDM_SESSIONS; i++) {
        assert_true(send(CONNECTED, &key_exchange, reply) > 4);
        assert_int_equal(reply[1], 0x64);
    }
    expect_error(reply, send(CONNECTED, &key_exchange, reply), SPDM_SESSION_LIMIT_EXCEEDED);
    /* In the clear, only one can be finished: an older one makes room. */
    start_at(CONNECTED, 0);
    for (unsigned i = 0; i < 2 * SPDM_SESSIONS; i++) {
        assert_true(send(CONNECTED, &key_exchange, reply) > 4);
    }
    assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_DONE);
}

/* A refused KEY_EXCHANGE takes no session. */
static void test_no_session_leak(void **state)
{
    uint8_t reply[SPDM_MSG_MAX];
    Message bad;

    capture();
    bad = key_exchange;
    bad.bytes[2] = 2;
    start_at(CONNECTED, SPDM_CAP_HANDSHAKE_IN_THE_CLEAR);
    for (unsigned i = 0; i < 3 * SPDM_SESSIONS; i++) {
        expect_error(reply, send(CONNECTED, &bad, reply), SPDM_INVALID_REQUEST);
    }
    assert_true(send(CONNECTED, &key_exchange, reply) > 4);
}

/* A peer with the smallest buffers gets what fits, and is told the size of what does not. */
static void test_small_peer(void **state)
{
    Message caps = get_capabilities, certificate = get_certificate;
    uint8_t reply[SPDM_MSG_MAX];

    capture();
    start_at(VERSIONED, 0);
    le32_put(caps.bytes + 12, 42);
    le32_put(caps.bytes + 16, 42);
    assert_int_equal(send(VERSIONED, &caps, reply), 20);
    assert_int_equal(send(VERSIONED, &negotiate, reply), 8);
    assert_int_equal(reply[2], SPDM_RESPONSE_TOO_LARGE);
    assert_int_equal(le32_get(reply + 4), 52);

    start_at(VERSIONED, 0);
    le32_put(caps.bytes + 12, 64);
    le32_put(caps.bytes + 16, 64);
    assert_int_equal(send(VERSIONED, &caps, reply), 20);
    assert_int_equal(send(VERSIONED, &negotiate, reply), 52);
    assert_int_equal(send(VERSIONED, &certificate, reply), 64);
    assert_int_equal(send(VERSIONED, &key_exchange, reply), 8);
    assert_int_equal(reply[2], SPDM_RESPONSE_TOO_LARGE);
    assert_int_equal(pair.responder.sessions[0].state, SPDM_SESSION_FREE);
}

/* As long as a transport's objects can be, which is longer than any buffer of ours: told, too. */
static void test_longest(void **state)
{
    static const size_t lens[] = { SPDM_MSG_MAX + 4, 5000, 65536, 1 << 20 };
    static uint8_t      msg[1 << 20];
    uint8_t             reply[SPDM_MSG_MAX];

    for (unsigned i = 0; i < ARRAY_LEN(lens); i++) {
        start_at(FRESH, 0);
        memcpy(msg, get_version.bytes, get_version.len);
        expect_error(reply, pair_send(&pair, false, msg, lens[i], reply, sizeof(reply)), SPDM_INVALID_REQUEST);
        start_at(CONNECTED, 0);
        memcpy(msg, vendor.bytes, vendor.len);
        expect_error(reply, pair_send(&pair, false, msg, lens[i], reply, sizeof(reply)), SPDM_REQUEST_TOO_LARGE);
        assert_int_equal(reply[0], 0x12);
        assert_true(send(CONNECTED, &get_digests, reply) > 4);
    }
}

/* CHALLENGE signs everything said since GET_VERSION. */
static void test_challenge_signature(void **state)
{
    SpdmSigner     signer = { 0x12, spdm_hash(BIT(1)), spdm_asym(BIT(7)) };
    static uint8_t b[2 * SPDM_CHAIN_MAX];
    uint8_t        reply[SPDM_MSG_MAX];
    Message        m = challenge;
    ByteWriter     w = bw_init(b, sizeof(b));
    size_t         len;

    start_at(CONNECTED, 0);
    len = send(CONNECTED, &get_digests, reply); /* restarts part B */
    bw_bytes(&w, get_digests.bytes, get_digests.len);
    bw_bytes(&w, reply, len);
    len = send(CONNECTED, &get_certificate, reply);
    bw_bytes(&w, get_certificate.bytes, get_certificate.len);
    bw_bytes(&w, reply, len);
    m.bytes[3] = SPDM_SUMMARY_ALL;
    len = send(CONNECTED, &m, reply);
    assert_int_equal(len, 4 + 48 + 32 + 48 + 2 + 96);
    SpdmSpan       spans[] = { spdm_requester_vca(&pair.requester), { b, w.pos }, { m.bytes, m.len },
                               { reply, len - 96 } };
    const SpdmPublicKey *key = &pair.requester.public_key;
    assert_true(spdm_verify(&signer, key, SPDM_SIGN_CHALLENGE, spans, 4, reply + len - 96));
    /* Part B is used up. */
    len = send(CONNECTED, &m, reply);
    spans[1].len = 0;
    spans[3].len = len - 96;
    assert_true(spdm_verify(&signer, key, SPDM_SIGN_CHALLENGE, spans, 4, reply + len - 96));
}

/* Certificates without end overflow the transcript: the challenge is refused, and GET_DIGESTS mends it. */
static void test_transcript_overflow(void **state)
{
    uint8_t reply[SPDM_MSG_MAX];

    start_at(CONNECTED, 0);
    for (unsigned i = 0; i < 20; i++) {
        assert_true(send(CONNECTED, &get_certificate, reply) > 8);
    }
    expect_error(reply, send(CONNECTED, &challenge, reply), SPDM_UNSPECIFIED);
    assert_true(send(CONNECTED, &get_digests, reply) > 4);
    assert_true(send(CONNECTED, &challenge, reply) > 4);
    for (unsigned i = 0; i < 200; i++) {
        (void)send(CONNECTED, &measurements, reply);
    }
    (void)send(CONNECTED, &get_digests, reply);
    assert_true(send(CONNECTED, &signed_measurements, reply) > 96);
}

static size_t raw_record(const uint8_t *in, size_t len, uint8_t *out)
{
    bool secured;

    return spdm_responder_handle(&pair.responder, true, in, len, out, SPDM_MSG_MAX, &secured);
}

/* Records: wrong session, replay, garbage. The reply to a bad record is in the session, then the session
 * is gone. */
static void test_records(void **state)
{
    uint8_t out[SPDM_MSG_MAX], reply[SPDM_MSG_MAX], plain[64];
    size_t  len, plain_len;
    bool    secured;

    start_at(SESSION, 0);
    assert_null(spdm_requester_start(&pair.requester, SPDM_OP_MEASUREMENTS, &(SpdmOpArgs){ .index = 0 }));
    len = spdm_requester_next(&pair.requester, out, sizeof(out), &secured);
    assert_int_equal(raw_record(out, 3, reply), 0);
    out[0] ^= 1; /* no such session: nobody to answer */
    assert_int_equal(raw_record(out, len, reply), 0);
    out[0] ^= 1;
    assert_true(raw_record(out, len, reply) > 0);
    pair.requester.session.keys.response_data.sequence++;
    assert_int_equal(pair.sessions_ended, 0);
    plain_len = raw_record(out, len, reply); /* replay */
    assert_true(spdm_record_open(spdm_aead(BIT(1)), &pair.requester.session.keys.response_data, reply,
                                 plain_len, plain, sizeof(plain), &plain_len));
    expect_error(plain, plain_len, SPDM_DECRYPT_ERROR);
    assert_int_equal(pair.sessions_ended, 1);
    assert_int_equal(raw_record(out, len, reply), 0);
}

static void test_conformance(void **state)
{
    SpdmConformance item;
    unsigned        implemented = 0;
    size_t          n;

    for (n = 0; spdm_conformance(n, &item); n++) {
        implemented += item.implemented;
        if (strcmp(item.name, "VDM_REQUEST") == 0) {
            assert_false(item.implemented);
        }
    }
    assert_int_equal(n, 45);
    assert_int_equal(implemented, 30 + 4 + 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),          cmocka_unit_test(test_finish),
        cmocka_unit_test(test_session_limit), cmocka_unit_test(test_no_session_leak),
        cmocka_unit_test(test_small_peer),    cmocka_unit_test(test_challenge_signature),
        cmocka_unit_test(test_longest),
        cmocka_unit_test(test_records),       cmocka_unit_test(test_transcript_overflow),
        cmocka_unit_test(test_conformance),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
