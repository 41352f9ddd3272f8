/*
 * Sessions from a pre-shared key: the text form of a key, whole sessions of every version with and without the device's
 * context, and what must be refused, one row per stimulus.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "spdm/caps.h"
#include "spdm_pair.h"

enum { HASH = 48, PSK_EXCHANGE_LEN = 12 + 15 + 32 + 16 };

static SpdmPair pair;

/* A connection, with the key on both sides. */
static void begin(uint8_t version, uint32_t caps)
{
    pair_init(&pair, caps);
    pair.responder.config.version_min = pair.responder.config.version_max = version;
    pair.requester.options.psk = pair_psk();
    if (pair_connect(&pair) != SPDM_DONE) {
        fail_msg("%s", spdm_requester_error(&pair.requester));
    }
}

/* Between PSK_EXCHANGE and PSK_FINISH. */
static void begin_handshake(uint8_t version)
{
    begin(version, SPDM_RESPONDER_CAPS | SPDM_CAP_PSK_WITH_CONTEXT);
    assert_null(spdm_requester_start(&pair.requester, SPDM_OP_PSK_SESSION, NULL));
    assert_int_equal(pair_step(&pair), SPDM_CONTINUE);
}

static void test_text(void **state)
{
    static const struct {
        const char *text, *words; /* of the refusal */
        uint16_t    hint_len, key_len;
        uint8_t     hint0, key0;
    } rows[] = {
        { "name:0aFF", NULL, 4, 2, 'n', 0x0a },
        { "name:0a\n", NULL, 4, 1, 'n', 0x0a },
        { "name:0a\r\n", NULL, 4, 1, 'n', 0x0a },
        { ":0a", NULL, 0, 1, 0, 0x0a },
        { "#616200:ff", NULL, 3, 1, 'a', 0xff },
        { "#:ff", NULL, 0, 1, 0, 0xff },
        { "", "HINT:KEY" }, { "0a", "HINT:KEY" }, { "a:00\nb:00", "HINT:KEY" },
        { "a:", "1 to 128" }, { "a:0", "1 to 128" }, { "a:0g", "1 to 128" }, { "a:b:00", "1 to 128" },
        { "#0:00", "hexadecimal" }, { "#zz:00", "hexadecimal" },
        { "01234567890123456789012345678901234567890123456789012345678901234:00", "64 bytes" },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        SpdmPsk     psk = { 0 };
        const char *why = spdm_psk_read(rows[i].text, &psk);

        if ((why == NULL) != (rows[i].words == NULL) || (why != NULL && strstr(why, rows[i].words) == NULL)) {
            fail_msg("'%s': %s", rows[i].text, why != NULL ? why : "taken");
        }
        assert_int_equal(psk.hint_len, rows[i].hint_len);
        assert_int_equal(psk.key_len, rows[i].key_len);
        assert_int_equal(psk.hint[0], rows[i].hint0);
        assert_int_equal(psk.key[0], rows[i].key0);
    }
}

static void test_capabilities(void **state)
{
    static const struct {
        const char *change;
        uint32_t    psk;
        const char *why; /* part of it */
    } rows[] = {
        { "+psk", SPDM_CAP_PSK_PLAIN, NULL },
        { "+psk_with_context", SPDM_CAP_PSK_WITH_CONTEXT, NULL },
        { "+psk+psk_with_context", 0, "one field" },
        { "+psk-encrypt-mac-key_ex-key_upd-handshake_in_the_clear", 0, "psk needs" },
        { "+psk-key_ex-handshake_in_the_clear", SPDM_CAP_PSK_PLAIN, NULL },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t    caps = SPDM_RESPONDER_CAPS;
        const char *why = spdm_caps_change(rows[i].change, &caps);

        if ((why == NULL) != (rows[i].why == NULL) || (why != NULL && strstr(why, rows[i].why) == NULL)) {
            fail_msg("%s: %s", rows[i].change, why != NULL ? why : "taken");
        }
        assert_int_equal(caps & SPDM_CAP_PSK, rows[i].psk);
    }
}

/* Every stage of an assignment but the certified session, which the PSK session stands in for. */
static void test_sessions(void **state)
{
    static const uint32_t others[] = { SPDM_RESPONDER_CAPS,
                                       SPDM_RESPONDER_CAPS & ~(SPDM_CAP_KEY_EX | SPDM_CAP_HANDSHAKE_IN_THE_CLEAR) };

    for (unsigned i = 0; i < 3 * 2 * ARRAY_LEN(others); i++) {
        uint32_t psk = i & 1 ? SPDM_CAP_PSK_WITH_CONTEXT : SPDM_CAP_PSK_PLAIN;
        unsigned exchanges;

        begin((uint8_t)(SPDM_VERSION_11 + i / 2 % 3), others[i / 6] | psk);
        exchanges = pair.exchange;
        if (pair_op(&pair, SPDM_OP_PSK_SESSION, NULL) != SPDM_DONE) {
            fail_msg("%u: %s", i, spdm_requester_error(&pair.requester));
        }
        assert_int_equal(pair.exchange - exchanges, i & 1 ? 2 : 1);
        assert_int_equal(pair.sessions_begun, 1);
        for (unsigned n = 2; n < pair_n_stages; n++) {
            assert_int_equal(pair_stages[n].run(&pair), SPDM_DONE);
        }
        assert_int_equal(pair.sessions_ended, 1);
        assert_int_equal(pair_op(&pair, SPDM_OP_PSK_SESSION, NULL), SPDM_DONE); /* once more */
    }
}

/* A device that has a key and nothing else. */
static void test_without_certificates(void **state)
{
    SpdmOpArgs all = { .index = 0xff };

    begin(SPDM_VERSION_12, SPDM_CAP_MEAS_NO_SIG | SPDM_CAP_ENCRYPT | SPDM_CAP_MAC | SPDM_CAP_PSK_PLAIN);
    assert_int_equal(spdm_requester_chain(&pair.requester).len, 0);
    assert_non_null(spdm_requester_start(&pair.requester, SPDM_OP_SESSION, NULL));
    assert_int_equal(pair_op(&pair, SPDM_OP_PSK_SESSION, NULL), SPDM_DONE);
    assert_int_equal(pair_op(&pair, SPDM_OP_MEASUREMENTS, &all), SPDM_DONE);
}

/* ---- PSK_EXCHANGE: rows ---- */

static uint8_t exchange[PSK_EXCHANGE_LEN]; /* a valid one */

static void capture(uint8_t version)
{
    uint8_t out[SPDM_MSG_MAX];
    bool    secured;

    begin(version, SPDM_RESPONDER_CAPS | SPDM_CAP_PSK_WITH_CONTEXT);
    assert_null(spdm_requester_start(&pair.requester, SPDM_OP_PSK_SESSION, NULL));
    assert_int_equal(spdm_requester_next(&pair.requester, out, sizeof(out), &secured), PSK_EXCHANGE_LEN);
    assert_false(secured);
    memcpy(exchange, out, sizeof(exchange));
    begin(version, SPDM_RESPONDER_CAPS | SPDM_CAP_PSK_WITH_CONTEXT);
}

typedef struct Row {
    const char *name;
    uint8_t     at, n, with[4];
    int         longer;
    uint8_t     error, data; /* 0: answered */
    uint32_t    without, without_peer;
} Row;

#define NOTHING 0xff

static const Row rows[] = {
    /* name                     at n  bytes     longer error data */
    { "valid", NOTHING, 0, { 0 }, 0, 0, 0 },
    { "DW padding", NOTHING, 0, { 0 }, 1, 0, 0 },
    { "longer than it says", NOTHING, 0, { 0 }, 4, 1, 0 },
    { "short", NOTHING, 0, { 0 }, -1, 1, 0 },
    { "header alone", NOTHING, 0, { 0 }, 4 - PSK_EXCHANGE_LEN, 1, 0 },
    { "version", 0, 1, { 0x13 }, 0, 0x41, 0 },
    { "summary 2", 2, 1, { 2 }, 0, 1, 0 },
    { "summary TCB", 2, 1, { 1 }, 0, 0, 0 },
    { "summary all", 2, 1, { 0xff }, 0, 0, 0 },
    { "summary without MEAS", 2, 1, { 1 }, 0, 1, 0, SPDM_CAP_MEAS },
    { "session policy", 3, 1, { 1 }, 0, 0, 0 },
    { "hint beyond the message", 6, 2, { 0xff, 0xff }, 0, 1, 0 },
    { "hint one shorter", 6, 1, { 14 }, 0, 1, 0 },
    { "unknown hint", 12, 1, { 'B' }, 0, 1, 0 },
    { "context beyond the message", 8, 2, { 0xff, 0xff }, 0, 1, 0 },
    { "context of 31 bytes", 8, 1, { 31 }, 0, 1, 0 },
    { "no opaque data", 10, 1, { 0 }, -16, 1, 0 },
    { "opaque beyond the message", 10, 2, { 0xff, 0xff }, 0, 1, 0 },
    { "opaque one DW longer", 10, 1, { 20 }, 0, 1, 0 },
    { "no common version", 12 + 15 + 32 + 11, 4, { 0, 0x20, 0, 0x21 }, 0, 1, 0 },
    { "no PSK here", NOTHING, 0, { 0 }, 0, 7, SPDM_PSK_EXCHANGE, SPDM_CAP_PSK },
    { "no PSK there", NOTHING, 0, { 0 }, 0, 7, SPDM_PSK_EXCHANGE, 0, SPDM_CAP_PSK },
    { "no MAC there", NOTHING, 0, { 0 }, 0, 1, 0, 0, SPDM_CAP_MAC },
};

static void expect(const char *name, const uint8_t *reply, size_t len, uint8_t error, uint8_t data)
{
    if (len != 4 || reply[1] != 0x7f || reply[2] != error || reply[3] != data) {
        fail_msg("%s: %zu bytes: %02x %02x %02x", name, len, reply[1], reply[2], reply[3]);
    }
}

static void test_exchange(void **state)
{
    uint8_t reply[SPDM_MSG_MAX], m[PSK_EXCHANGE_LEN + 4];
    size_t  len;

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        const Row *row = &rows[i];

        capture(SPDM_VERSION_12);
        memset(m, 0, sizeof(m));
        memcpy(m, exchange, sizeof(exchange));
        memcpy(m + (row->at != NOTHING ? row->at : 0), row->with, row->n);
        pair.responder.config.capabilities &= ~row->without;
        pair.responder.peer_capabilities &= ~row->without_peer;
        len = pair_send(&pair, false, m, (size_t)(PSK_EXCHANGE_LEN + row->longer), reply, sizeof(reply));
        if (row->error != 0) {
            expect(row->name, reply, len, row->error, row->data);
        } else if (len != (m[2] != 0 ? HASH : 0) + 12u + HASH + 12 + HASH || reply[1] != 0x66) {
            fail_msg("%s: %zu bytes: %02x %02x", row->name, len, reply[1], reply[2]);
        }
        /* A refused one has taken no session and changed nothing. */
        assert_int_equal(pair.responder.sessions[0].state,
                         row->error == 0 ? SPDM_SESSION_HANDSHAKE : SPDM_SESSION_FREE);
        if (row->without == 0 && row->without_peer == 0) {
            assert_int_equal(pair_op(&pair, SPDM_OP_PSK_SESSION, NULL), SPDM_DONE);
        }
    }
}

/* No hint: the device's choice, which is its only key. */
static void test_no_hint(void **state)
{
    begin(SPDM_VERSION_13, SPDM_RESPONDER_CAPS | SPDM_CAP_PSK_PLAIN);
    pair.requester.options.psk.hint_len = 0;
    assert_int_equal(pair_op(&pair, SPDM_OP_PSK_SESSION, NULL), SPDM_DONE);
}

static void test_another_key(void **state)
{
    begin(SPDM_VERSION_12, SPDM_RESPONDER_CAPS | SPDM_CAP_PSK_WITH_CONTEXT);
    pair.requester.options.psk.key[3] ^= 1;
    assert_int_equal(pair_op(&pair, SPDM_OP_PSK_SESSION, NULL), SPDM_FAILED);
    assert_non_null(strstr(spdm_requester_error(&pair.requester), "another key"));
    assert_false(spdm_requester_has_session(&pair.requester));
    assert_int_equal(pair.sessions_begun, 0);
    pair.requester.options.psk.key_len = 0;
    assert_non_null(spdm_requester_start(&pair.requester, SPDM_OP_PSK_SESSION, NULL));
}

/* The requester takes no device for one that knows the key when any byte was changed on the way. */
static void test_spoilt(void **state)
{
    static SpdmPair start;
    PairTamper      t = { .mask = 1 };

    begin(SPDM_VERSION_12, SPDM_RESPONDER_CAPS | SPDM_CAP_PSK_WITH_CONTEXT);
    start = pair;
    assert_int_equal(pair_op(&pair, SPDM_OP_PSK_SESSION, NULL), SPDM_DONE);
    t.exchange = start.exchange;
    for (unsigned side = 0; side < 2; side++) {
        size_t len = side == 0 ? PSK_EXCHANGE_LEN : 12 + HASH + 12 + HASH;

        t.response = side;
        for (t.at = 0; t.at < len; t.at++) {
            pair = start;
            pair.tamper = &t;
            if (pair_op(&pair, SPDM_OP_PSK_SESSION, NULL) != SPDM_FAILED) {
                fail_msg("%s, byte %zu: not noticed", side ? "response" : "request", t.at);
            }
            assert_int_equal(pair.sessions_begun, 0);
        }
    }
}

static void test_session_limit(void **state)
{
    uint8_t reply[SPDM_MSG_MAX];

    capture(SPDM_VERSION_12);
    for (unsigned i = 0; i < SPDM_SESSIONS; i++) {
        assert_true(pair_send(&pair, false, exchange, sizeof(exchange), reply, sizeof(reply)) > 4);
    }
    expect("one more", reply, pair_send(&pair, false, exchange, sizeof(exchange), reply, sizeof(reply)), 0x0a, 0);
    begin(SPDM_VERSION_12, SPDM_RESPONDER_CAPS | SPDM_CAP_PSK_PLAIN);
    for (unsigned i = 0; i < SPDM_SESSIONS; i++) {
        assert_true(pair_send(&pair, false, exchange, sizeof(exchange), reply, sizeof(reply)) > 4);
        assert_int_equal(pair.sessions_begun, i + 1); /* a replay opens a session that its sender cannot use */
    }
    expect("established", reply, pair_send(&pair, false, exchange, sizeof(exchange), reply, sizeof(reply)), 0x0a, 0);
}

/* ---- PSK_FINISH ---- */

static void test_finish(void **state)
{
    static const uint8_t finish[4 + 2 * HASH] = { 0x12, SPDM_PSK_FINISH }, end[] = { 0x12, SPDM_END_SESSION, 0, 0 };
    static const uint8_t other_finish[4 + HASH] = { 0x12, 0xe5 }, old[4 + HASH] = { 0x11, 0xe7 };
    uint8_t              reply[SPDM_MSG_MAX], out[SPDM_MSG_MAX];
    size_t               len;
    bool                 secured;
#define SEND(secured, msg, len) reply, pair_send(&pair, secured, msg, len, reply, sizeof(reply))

    capture(SPDM_VERSION_12);
    begin_handshake(SPDM_VERSION_12);
    expect("plain", SEND(false, finish, 4 + HASH), 0x0b, 0);
    expect("end of session", SEND(true, end, sizeof(end)), 4, 0);
    expect("FINISH", SEND(true, other_finish, sizeof(other_finish)), 4, 0);
    expect("PSK_EXCHANGE", SEND(true, exchange, sizeof(exchange)), 4, 0);
    expect("version", SEND(true, old, sizeof(old)), 0x41, 0);
    expect("short", SEND(true, finish, 4 + HASH - 1), 1, 0);
    expect("long", SEND(true, finish, 4 + HASH + 4), 1, 0);
    assert_int_equal(pair.responder.sessions[0].state, SPDM_SESSION_HANDSHAKE);
    expect("wrong verify data", SEND(true, finish, 4 + HASH), 6, 0);
    assert_int_equal(pair.responder.sessions[0].state, SPDM_SESSION_FREE);
    assert_int_equal(pair_send(&pair, true, finish, 4 + HASH, reply, sizeof(reply)), 0);

    begin_handshake(SPDM_VERSION_12); /* what was refused has changed nothing */
    expect("FINISH", SEND(true, other_finish, sizeof(other_finish)), 4, 0);
    expect("long", SEND(true, finish, sizeof(finish)), 1, 0);
    assert_int_equal(pair_step(&pair), SPDM_DONE);

    begin_handshake(SPDM_VERSION_12); /* replay of the record that established the session */
    len = spdm_requester_next(&pair.requester, out, sizeof(out), &secured);
    assert_true(spdm_responder_handle(&pair.responder, true, out, len, reply, sizeof(reply), &secured) > 4);
    assert_int_equal(pair.sessions_begun, 1);
    assert_true(spdm_responder_handle(&pair.responder, true, out, len, reply, sizeof(reply), &secured) > 4);
    assert_int_equal(pair.sessions_ended, 1);

    begin(SPDM_VERSION_12, SPDM_RESPONDER_CAPS | SPDM_CAP_PSK_WITH_CONTEXT);
    assert_int_equal(pair_op(&pair, SPDM_OP_PSK_SESSION, NULL), SPDM_DONE);
    expect("established", SEND(true, finish, 4 + HASH), 4, 0);
    begin(SPDM_VERSION_12, SPDM_RESPONDER_CAPS | SPDM_CAP_PSK_PLAIN);
    assert_int_equal(pair_op(&pair, SPDM_OP_PSK_SESSION, NULL), SPDM_DONE);
    expect("no context", SEND(true, finish, 4 + HASH), 7, SPDM_PSK_FINISH);

    begin(SPDM_VERSION_12, (SPDM_RESPONDER_CAPS & ~SPDM_CAP_HANDSHAKE_IN_THE_CLEAR) | SPDM_CAP_PSK_WITH_CONTEXT);
    assert_null(spdm_requester_start(&pair.requester, SPDM_OP_SESSION, NULL)); /* a session of the other kind */
    assert_int_equal(pair_step(&pair), SPDM_CONTINUE);
    expect("after KEY_EXCHANGE", SEND(true, finish, 4 + HASH), 4, 0);
    assert_int_equal(pair.responder.sessions[0].state, SPDM_SESSION_HANDSHAKE);
}

/* A handshake in the clear does not end because somebody opens a session from the key. */
static void test_beside_a_clear_handshake(void **state)
{
    uint8_t reply[SPDM_MSG_MAX];

    capture(SPDM_VERSION_12);
    assert_null(spdm_requester_start(&pair.requester, SPDM_OP_SESSION, NULL));
    assert_int_equal(pair_step(&pair), SPDM_CONTINUE);
    assert_true(pair_send(&pair, false, exchange, sizeof(exchange), reply, sizeof(reply)) > 4);
    assert_int_equal(reply[1], 0x66);
    assert_int_equal(pair_step(&pair), SPDM_DONE);
    assert_int_equal(pair.sessions_begun, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),          cmocka_unit_test(test_capabilities),
        cmocka_unit_test(test_sessions),      cmocka_unit_test(test_without_certificates),
        cmocka_unit_test(test_exchange),      cmocka_unit_test(test_no_hint),
        cmocka_unit_test(test_another_key),   cmocka_unit_test(test_spoilt),
        cmocka_unit_test(test_session_limit), cmocka_unit_test(test_finish),
        cmocka_unit_test(test_beside_a_clear_handshake),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
