/*
 * Events of 1.3: subscription, and what is told then in the device's own SEND_EVENT. Both ends; what each must refuse,
 * one row per stimulus.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "spdm/record.h"
#include "spdm_pair.h"

enum { HASH = 48, KNOWN = 1 << 1 | 1 << 2 | 1 << 4 };

#define CAPS ((uint32_t)(SPDM_RESPONDER_CAPS | SPDM_CAP_ENCAP | SPDM_CAP_EVENT | SPDM_CAP_SET_CERT))

static SpdmPair       pair;
static SpdmIdentity   ids[SPDM_IDENTITIES_MAX];
static SpdmProvisions provisions;
static uint8_t        reply[SPDM_MSG_MAX];

static void begin(uint8_t version, uint32_t caps)
{
    SpdmOffer offer = { version, version, { 0 } };

    pair_init(&pair, caps);
    memset(&provisions, 0, sizeof(provisions));
    memset(ids, 0, sizeof(ids));
    ids[0] = *pair_identity(SPDM_TEST_DEVICE);
    provisions.identities = ids;
    pair.responder.config.identities = ids;
    pair.responder.config.provisions = &provisions;
    pair.responder.config.version_max = SPDM_VERSION_13;
    pair.requester.options.encapsulated = true;
    spdm_requester_offer(&pair.requester, &offer);
    assert_int_equal(pair_connect(&pair), SPDM_DONE);
    assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_DONE);
}

static void begin_subscribed(void)
{
    begin(SPDM_VERSION_13, CAPS);
    if (pair_op(&pair, SPDM_OP_SUBSCRIBE, NULL) != SPDM_DONE) {
        fail_msg("%s", spdm_requester_error(&pair.requester));
    }
}

static void expect_done(const char *name, SpdmOp op)
{
    if (pair_op(&pair, op, NULL) != SPDM_DONE) {
        fail_msg("%s: %s", name, spdm_requester_error(&pair.requester));
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

/* The device's certificates into a slot, which makes them others. */
static void change_slot(uint8_t slot)
{
    const SpdmIdentity *id = pair_identity(SPDM_TEST_DEVICE);
    SpdmOpArgs          args = { .slot = slot, .message = id->certs, .len = id->certs_len };

    assert_int_equal(pair_op(&pair, SPDM_OP_SET_CERTIFICATE, &args), SPDM_DONE);
}

/* ---- whole flows ---- */

static void test_types(void **state)
{
    static const uint8_t want[] = { 0x13, 0x62, 1, 0, 22, 0, 0, 0, /* one group */
                                    0, 0, 3, 0, 1, 0, 0, 0, 0, 0,
                                    1, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0 };

    begin(SPDM_VERSION_13, CAPS);
    assert_int_equal(send(true, (const uint8_t[]){ 0x13, 0xe2, 0, 0 }, 4), sizeof(want));
    assert_memory_equal(reply, want, sizeof(want));
}

static void test_certificates(void **state)
{
    ByteReader r;
    SpdmEvent  e;

    begin_subscribed();
    expect_done("nothing has happened", SPDM_OP_ENCAPSULATED);
    assert_int_equal(spdm_requester_events(&pair.requester).len, 0);
    change_slot(3);
    change_slot(5);
    expect_done("two slots", SPDM_OP_ENCAPSULATED);
    r = br_init(spdm_requester_events(&pair.requester).data, spdm_requester_events(&pair.requester).len);
    assert_true(spdm_event_read(&r, &e));
    assert_int_equal(e.id, 0);
    assert_int_equal(e.type, SPDM_EVENT_CERTIFICATE_CHANGED);
    assert_int_equal(e.details[0], 1 << 3 | 1 << 5);
    assert_int_equal(br_left(&r), 0);
    expect_done("it is told once", SPDM_OP_ENCAPSULATED);
    assert_int_equal(spdm_requester_events(&pair.requester).len, 0);
    change_slot(3);
    spdm_responder_measurement_changed(&pair.responder, 2);
    spdm_responder_measurement_changed(&pair.responder, 0xfe);
    spdm_responder_want_key_update(&pair.responder, pair.requester.session.id); /* one behind the other */
    expect_done("two kinds", SPDM_OP_ENCAPSULATED);
    r = br_init(spdm_requester_events(&pair.requester).data, spdm_requester_events(&pair.requester).len);
    assert_true(spdm_event_read(&r, &e));
    assert_int_equal(e.id, 1);
    assert_int_equal(e.type, SPDM_EVENT_MEASUREMENT_CHANGED);
    assert_int_equal(e.details[0], 1 << 2);
    assert_int_equal(e.details[31], 1 << 6);
    assert_true(spdm_event_read(&r, &e));
    assert_int_equal(e.id, 2);
    assert_int_equal(e.type, SPDM_EVENT_CERTIFICATE_CHANGED);
    assert_int_equal(pair_op(&pair, SPDM_OP_END_SESSION, NULL), SPDM_DONE);
}

/* What is not acknowledged is lost, and that is told. */
static void test_lost(void **state)
{
    static const uint8_t get[] = { 0x13, 0xea, 0, 0 }, refusal[] = { 0x13, 0xeb, 1, 0, 0x13, 0x7f, 4, 0 },
                         later[] = { 0x13, 0xeb, 1, 0, 0x13, 0x7f, 0x42, 0, 1, 0xf1, 0, 1 };
    ByteReader r;
    SpdmEvent  e;

    for (unsigned i = 0; i < 2; i++) {
        begin_subscribed();
        change_slot(1);
        expect_done("the first", SPDM_OP_ENCAPSULATED);
        change_slot(2);
        expect("get", send(true, get, sizeof(get)), 0, 0);
        assert_int_equal(reply[5], 0xf1);
        if (i == 0) {
            expect("refused", send(true, refusal, sizeof(refusal)), 9, 0);
        } else {
            expect("not ready", send(true, later, sizeof(later)), 0, 0);
        }
        pair.requester.session.events.next = 2;
        expect_done("what was lost", SPDM_OP_ENCAPSULATED);
        r = br_init(spdm_requester_events(&pair.requester).data, spdm_requester_events(&pair.requester).len);
        assert_true(spdm_event_read(&r, &e));
        assert_int_equal(e.id, 2);
        assert_int_equal(e.type, SPDM_EVENT_LOST);
        assert_int_equal(le32_get(e.details), 0);
        assert_int_equal(le32_get(e.details + 4), 1);
        assert_int_equal(br_left(&r), 0);
        expect_done("nothing more", SPDM_OP_ENCAPSULATED);
        assert_int_equal(spdm_requester_events(&pair.requester).len, 0);
    }
}

/* SessionPolicy: subscribed from the start; of a device without events it cannot be had. */
static void test_policy(void **state)
{
    for (unsigned i = 0; i < 4; i++) {
        bool    has_events = i & 1, is_13 = i & 2;
        uint8_t request[SPDM_MSG_MAX], response[SPDM_MSG_MAX];
        bool    secured;
        size_t  len;

        begin(is_13 ? SPDM_VERSION_13 : SPDM_VERSION_12, CAPS & (has_events ? ~0u : ~(uint32_t)SPDM_CAP_EVENT));
        assert_int_equal(pair_op(&pair, SPDM_OP_END_SESSION, NULL), SPDM_DONE);
        assert_null(spdm_requester_start(&pair.requester, SPDM_OP_SESSION, NULL));
        len = spdm_requester_next(&pair.requester, request, sizeof(request), &secured);
        request[6] |= 2;
        len = spdm_responder_handle(&pair.responder, false, request, len, response, sizeof(response), &secured);
        assert_true(len >= 4);
        if (is_13 && !has_events) {
            assert_int_equal(response[1], 0x7f);
            assert_int_equal(response[2], 1);
        } else {
            assert_int_equal(response[1], 0x64);
            assert_int_equal(pair.responder.sessions[0].events.subscribed, is_13 ? KNOWN : 0);
        }
    }
}

/* ---- the responder: rows ---- */

#define GROUP(n, attributes) 0, 0, n, 0, 1, 0, attributes, 0, 0, 0

static const struct Row {
    const char *name;
    bool        plain;
    size_t      len;
    uint8_t     bytes[40];
    uint8_t     error, data, subscribed; /* then */
} rows[] = {
    /* name                     plain  len  bytes */
    { "types: plain", true, 4, { 0x13, SPDM_GET_SUPPORTED_EVENT_TYPES }, 0x0b, 0, KNOWN },
    { "types: long", false, 8, { 0x13, 0xe2 }, 1, 0, KNOWN },
    { "types: version", false, 4, { 0x12, 0xe2 }, 0x41, 0, KNOWN },
    { "subscribe: plain", true, 4, { 0x13, SPDM_SUBSCRIBE_EVENT_TYPES }, 0x0b, 0, KNOWN },
    { "subscribe: version", false, 4, { 0x12, 0xf0 }, 0x41, 0, KNOWN },
    { "subscribe: none", false, 4, { 0x13, 0xf0 }, 0, 0, 0 },
    { "subscribe: none, with a list", false, 8, { 0x13, 0xf0 }, 1, 0, KNOWN },
    { "subscribe: no list", false, 4, { 0x13, 0xf0, 1 }, 1, 0, KNOWN },
    { "subscribe: an empty list", false, 8, { 0x13, 0xf0, 1 }, 1, 0, KNOWN },
    { "subscribe: a list longer than there", false, 18, { 0x13, 0xf0, 1, 0, 11, 0, 0, 0, GROUP(0, 1) }, 1, 0, KNOWN },
    { "subscribe: less than its group", false, 17, { 0x13, 0xf0, 1, 0, 9, 0, 0, 0, GROUP(0, 1) }, 1, 0, KNOWN },
    { "subscribe: more than its group", false, 20, { 0x13, 0xf0, 1, 0, 12, 0, 0, 0, GROUP(0, 1) }, 1, 0, KNOWN },
    { "subscribe: more behind the list", false, 22, { 0x13, 0xf0, 1, 0, 10, 0, 0, 0, GROUP(0, 1) }, 1, 0, KNOWN },
    { "subscribe: a length without end", false, 18, { 0x13, 0xf0, 1, 0, 0xff, 0xff, 0xff, 0xff, GROUP(0, 1) }, 1, 0,
      KNOWN },
    { "subscribe: all", false, 18, { 0x13, 0xf0, 1, 0, 10, 0, 0, 0, GROUP(0, 1) }, 0, 0, KNOWN },
    { "subscribe: all, and one", false, 22, { 0x13, 0xf0, 1, 0, 14, 0, 0, 0, GROUP(1, 1), 4, 0 }, 1, 0, KNOWN },
    { "subscribe: one", false, 22, { 0x13, 0xf0, 1, 0, 14, 0, 0, 0, GROUP(1, 0), 4, 0 }, 0, 0, 1 << 4 },
    { "subscribe: none of the group", false, 18, { 0x13, 0xf0, 1, 0, 10, 0, 0, 0, GROUP(0, 0) }, 0, 0, 0 },
    { "subscribe: fewer than it says", false, 22, { 0x13, 0xf0, 1, 0, 14, 0, 0, 0, GROUP(2, 0), 4, 0 }, 1, 0, KNOWN },
    { "subscribe: what is never told", false, 22, { 0x13, 0xf0, 1, 0, 14, 0, 0, 0, GROUP(1, 0), 3, 0 }, 1, 0, KNOWN },
    { "subscribe: type 0", false, 22, { 0x13, 0xf0, 1, 0, 14, 0, 0, 0, GROUP(1, 0), 0, 0 }, 1, 0, KNOWN },
    { "subscribe: type 5", false, 22, { 0x13, 0xf0, 1, 0, 14, 0, 0, 0, GROUP(1, 0), 5, 0 }, 1, 0, KNOWN },
    { "subscribe: type 0x104", false, 22, { 0x13, 0xf0, 1, 0, 14, 0, 0, 0, GROUP(1, 0), 4, 1 }, 1, 0, KNOWN },
    { "subscribe: two groups", false, 28, { 0x13, 0xf0, 2, 0, 20, 0, 0, 0, GROUP(0, 1), GROUP(0, 1) }, 1, 0, KNOWN },
    { "subscribe: PCI-SIG's group", false, 20, { 0x13, 0xf0, 1, 0, 12, 0, 0, 0, 3, 2, 1, 0, 0, 0, 1, 0, 1 }, 1, 0,
      KNOWN },
    { "subscribe: group version 2", false, 18, { 0x13, 0xf0, 1, 0, 10, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1 }, 1, 0, KNOWN },
    { "SEND_EVENT: the device takes none", false, 8, { 0x13, SPDM_SEND_EVENT }, 7, 0xf1, KNOWN },
};

static void test_rows(void **state)
{
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        begin_subscribed();
        expect(rows[i].name, send(!rows[i].plain, rows[i].bytes, rows[i].len), rows[i].error, rows[i].data);
        if (pair.responder.sessions[0].events.subscribed != rows[i].subscribed) {
            fail_msg("%s: subscribed to %02x", rows[i].name, pair.responder.sessions[0].events.subscribed);
        }
    }
    begin(SPDM_VERSION_13, CAPS & ~(uint32_t)SPDM_CAP_EVENT);
    expect("types: not advertised", send(true, (const uint8_t[]){ 0x13, 0xe2, 0, 0 }, 4), 7, 0xe2);
    expect("subscribe: not advertised", send(true, (const uint8_t[]){ 0x13, 0xf0, 0, 0 }, 4), 7, 0xf0);
    assert_non_null(spdm_requester_start(&pair.requester, SPDM_OP_SUBSCRIBE, NULL));
    begin(SPDM_VERSION_12, CAPS);
    expect("types: in 1.2", send(true, (const uint8_t[]){ 0x12, 0xe2, 0, 0 }, 4), 7, 0xe2);
    assert_non_null(spdm_requester_start(&pair.requester, SPDM_OP_SUBSCRIBE, NULL));
}

/* Who does not ask for it any more does not hear of what has happened before. */
static void test_unsubscribed(void **state)
{
    begin_subscribed();
    change_slot(1);
    spdm_responder_measurement_changed(&pair.responder, 1);
    expect("none", send(true, (const uint8_t[]){ 0x13, 0xf0, 0, 0 }, 4), 0, 0);
    spdm_responder_measurement_changed(&pair.responder, 1);
    expect("nothing", send(true, (const uint8_t[]){ 0x13, 0xea, 0, 0 }, 4), 0x45, 0);
    expect_done("nothing", SPDM_OP_ENCAPSULATED);
}

/* What comes for SEND_EVENT and is no acknowledgement. */
static void test_acks(void **state)
{
    static const struct {
        const char *name;
        size_t      len;
        uint8_t     bytes[12], error;
    } cases[] = {
        { "long", 12, { 0x13, 0xeb, 1, 0, 0x13, 0x71 }, 9 },
        { "another answer", 8, { 0x13, 0xeb, 1, 0, 0x13, 0x70 }, 9 },
        { "another version", 8, { 0x13, 0xeb, 1, 0, 0x12, 0x71 }, 9 },
        { "another ID", 8, { 0x13, 0xeb, 2, 0, 0x13, 0x71 }, 1 },
        { "EVENT_ACK", 8, { 0x13, 0xeb, 1, 0, 0x13, 0x71 }, 0 },
    };

    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        begin_subscribed();
        change_slot(1);
        expect("get", send(true, (const uint8_t[]){ 0x13, 0xea, 0, 0 }, 4), 0, 0);
        expect(cases[i].name, send(true, cases[i].bytes, cases[i].len), cases[i].error, 0);
        assert_int_equal(pair.responder.sessions[0].events.lost, cases[i].error != 0);
    }
}

/* ---- the requester ---- */

/* Has the device say @msg in the session. */
static SpdmResult hear(const uint8_t *msg, size_t len)
{
    SpdmSession *s = &pair.requester.session;
    SpdmChannel  c = s->keys.response_data;
    uint8_t      record[512];

    len = spdm_record_seal(spdm_aead(BIT(1)), &c, s->id, msg, len, record, sizeof(record));
    return spdm_requester_response(&pair.requester, record, len, true);
}

static void test_requester_types(void **state)
{
    static const struct {
        const char *name;
        size_t      len;
        uint8_t     bytes[48];
        SpdmResult  result;
    } cases[] = {
        { "DMTF's", 22, { 0x13, 0x62, 1, 0, 14, 0, 0, 0, GROUP(1, 0), 4, 0 }, SPDM_CONTINUE },
        { "behind another's", 34, { 0x13, 0x62, 2, 0, 26, 0, 0, 0, 3, 2, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, GROUP(1, 0), 4 },
          SPDM_CONTINUE },
        { "with others' types", 26, { 0x13, 0x62, 1, 0, 18, 0, 0, 0, GROUP(2, 0), 4, 0, 0, 0, 77 }, SPDM_CONTINUE },
        { "another's alone", 20, { 0x13, 0x62, 1, 0, 12, 0, 0, 0, 3, 2, 1, 0, 0, 0, 1 }, SPDM_FAILED },
        { "of a later version", 22, { 0x13, 0x62, 1, 0, 14, 0, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 4 }, SPDM_FAILED },
        { "none", 8, { 0x13, 0x62 }, SPDM_FAILED },
        { "no list", 4, { 0x13, 0x62, 1 }, SPDM_FAILED },
        { "a short group", 20, { 0x13, 0x62, 1, 0, 12, 0, 0, 0, GROUP(1, 0), 4, 0 }, SPDM_FAILED },
        { "a long list", 30, { 0x13, 0x62, 1, 0, 22, 0, 0, 0, GROUP(1, 0), 4, 0 }, SPDM_FAILED },
        { "more behind it", 26, { 0x13, 0x62, 1, 0, 14, 0, 0, 0, GROUP(1, 0), 4, 0 }, SPDM_FAILED },
    };

    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t out[256];
        bool    secured;

        begin(SPDM_VERSION_13, CAPS);
        assert_null(spdm_requester_start(&pair.requester, SPDM_OP_SUBSCRIBE, NULL));
        assert_true(spdm_requester_next(&pair.requester, out, sizeof(out), &secured) > 4);
        if (hear(cases[i].bytes, cases[i].len) != cases[i].result) {
            fail_msg("%s: %s", cases[i].name, spdm_requester_error(&pair.requester));
        }
    }
    begin(SPDM_VERSION_13, CAPS);
    uint8_t out[256];
    bool    secured;

    assert_null(spdm_requester_start(&pair.requester, SPDM_OP_SUBSCRIBE, NULL));
    assert_int_equal(pair_step(&pair), SPDM_CONTINUE);
    assert_true(spdm_requester_next(&pair.requester, out, sizeof(out), &secured) > 4);
    assert_int_equal(hear((const uint8_t[8]){ 0x13, 0x70 }, 8), SPDM_FAILED);
}

#define EVENT(id, type, len) id, 0, 0, 0, 0, 0, 0, 0, 0, 0, type, 0, len, 0

static void test_requester_events(void **state)
{
    static const struct {
        const char *name;
        size_t      len;
        uint8_t     bytes[96], error;
    } cases[] = {
        { "certificates", 23, { 0x13, 0xf1, 0, 0, 1, 0, 0, 0, EVENT(0, 4, 1), 1 }, 0 },
        { "two", 38, { 0x13, 0xf1, 0, 0, 2, 0, 0, 0, EVENT(0, 4, 1), 1, EVENT(1, 4, 1), 2 }, 0 },
        { "none", 8, { 0x13, 0xf1 }, 1 },
        { "no count", 4, { 0x13, 0xf1 }, 1 },
        { "more than there are", 23, { 0x13, 0xf1, 0, 0, 2, 0, 0, 0, EVENT(0, 4, 1), 1 }, 1 },
        { "fewer", 38, { 0x13, 0xf1, 0, 0, 1, 0, 0, 0, EVENT(0, 4, 1), 1, EVENT(1, 4, 1), 2 }, 1 },
        { "the same twice", 38, { 0x13, 0xf1, 0, 0, 2, 0, 0, 0, EVENT(0, 4, 1), 1, EVENT(0, 4, 1), 2 }, 1 },
        { "one is missing", 23, { 0x13, 0xf1, 0, 0, 1, 0, 0, 0, EVENT(1, 4, 1), 1 }, 1 },
        { "details of another length", 24, { 0x13, 0xf1, 0, 0, 1, 0, 0, 0, EVENT(0, 4, 2), 1 }, 1 },
        { "details that end early", 30, { 0x13, 0xf1, 0, 0, 1, 0, 0, 0, EVENT(0, 2, 32), 1 }, 1 },
        { "not subscribed to", 54, { 0x13, 0xf1, 0, 0, 1, 0, 0, 0, EVENT(0, 3, 32), 1 }, 1 },
        { "no such type", 23, { 0x13, 0xf1, 0, 0, 1, 0, 0, 0, EVENT(0, 9, 1), 1 }, 1 },
        { "no type", 22, { 0x13, 0xf1, 0, 0, 1, 0, 0, 0, EVENT(0, 0, 0) }, 1 },
        { "another's", 25, { 0x13, 0xf1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 2, 1, 0, 4, 0, 1, 0, 1 }, 1 },
    };

    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t      asked[128] = { 0x13, 0x6a, 3, 0 }, out[256], answer[64];
        SpdmSession *s = &pair.requester.session;
        SpdmChannel  c;
        bool         secured;
        size_t       len;

        begin_subscribed();
        assert_null(spdm_requester_start(&pair.requester, SPDM_OP_ENCAPSULATED, NULL));
        assert_true(spdm_requester_next(&pair.requester, out, sizeof(out), &secured) > 4);
        memcpy(asked + 4, cases[i].bytes, cases[i].len);
        assert_int_equal(hear(asked, 4 + cases[i].len), SPDM_CONTINUE);
        c = s->keys.request_data;
        len = spdm_requester_next(&pair.requester, out, sizeof(out), &secured);
        assert_true(spdm_record_open(spdm_aead(BIT(1)), &c, out, len, answer, sizeof(answer), &len));
        assert_int_equal(len, 8);
        if (answer[5] != (cases[i].error != 0 ? 0x7f : 0x71) || (cases[i].error != 0 && answer[6] != cases[i].error)) {
            fail_msg("%s: %02x %02x", cases[i].name, answer[5], answer[6]);
        }
        assert_int_equal(spdm_requester_events(&pair.requester).len, cases[i].error == 0 ? cases[i].len - 8 : 0);
    }
}

/* A device that never stops: there is an end to what is kept. */
static void test_flood(void **state)
{
    SpdmResult result = SPDM_CONTINUE;

    begin_subscribed();
    spdm_responder_measurement_changed(&pair.responder, 1);
    assert_null(spdm_requester_start(&pair.requester, SPDM_OP_ENCAPSULATED, NULL));
    for (unsigned i = 0; i < 200 && result == SPDM_CONTINUE; i++) {
        result = pair_step(&pair);
        spdm_responder_measurement_changed(&pair.responder, 1);
    }
    assert_int_equal(result, SPDM_FAILED);
    assert_non_null(strstr(spdm_requester_error(&pair.requester), "ERROR 0x09"));
    assert_true(spdm_requester_has_session(&pair.requester));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),           cmocka_unit_test(test_certificates), cmocka_unit_test(test_lost),
        cmocka_unit_test(test_policy),          cmocka_unit_test(test_rows),
        cmocka_unit_test(test_unsubscribed),    cmocka_unit_test(test_acks),
        cmocka_unit_test(test_requester_types),
        cmocka_unit_test(test_requester_events), cmocka_unit_test(test_flood),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
