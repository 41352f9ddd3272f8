/*
 * A device that is not ready: whole assignments all the same, and what must be refused of RESPOND_IF_READY, one row per
 * stimulus.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "spdm_pair.h"

static SpdmPair pair;

static void begin(uint8_t not_ready, uint32_t caps)
{
    pair_init(&pair, SPDM_RESPONDER_CAPS | caps);
    pair.responder.config.not_ready = not_ready;
}

/* KEY_EXCHANGE and the signed measurements are asked for once more for each time. */
static void test_assignment(void **state)
{
    unsigned ready;

    begin(0, 0);
    assert_true(pair_run(&pair, pair_n_stages));
    ready = pair.exchange;
    for (uint8_t n = 1; n < 4; n++) {
        begin(n, 0);
        if (!pair_run(&pair, pair_n_stages)) {
            fail_msg("%u times: %s", n, spdm_requester_error(&pair.requester));
        }
        assert_int_equal(pair.exchange, ready + 2 * n);
    }
}

static void test_with_chunks(void **state)
{
    begin(2, SPDM_CAP_CHUNK);
    pair.responder.config.transfer_size = pair.requester.options.transfer_size = 42;
    if (!pair_run(&pair, pair_n_stages)) {
        fail_msg("%s", spdm_requester_error(&pair.requester));
    }
}

/* The requester loses patience, and waits as long as it was told. */
static void test_never_ready(void **state)
{
    begin(255, 0);
    assert_true(pair_run(&pair, 1));
    assert_null(spdm_requester_start(&pair.requester, SPDM_OP_SESSION, NULL));
    assert_int_equal(pair_step(&pair), SPDM_CONTINUE);
    assert_int_equal(spdm_requester_wait_us(&pair.requester), 1024);
    for (unsigned i = 0; i < 255; i++) {
        pair.responder.deferred.left = 255;
        assert_int_equal(pair_step(&pair), SPDM_CONTINUE);
    }
    pair.responder.deferred.left = 255;
    assert_int_equal(pair_step(&pair), SPDM_FAILED);
    assert_non_null(strstr(spdm_requester_error(&pair.requester), "still not ready"));
    assert_int_equal(spdm_requester_wait_us(&pair.requester), 0);
}

/* ---- rows, after a CHALLENGE that was put off twice ---- */

typedef struct Row {
    const char *name;
    bool        in_session, waits; /* waits: the CHALLENGE still does afterwards */
    size_t      len;
    uint8_t     bytes[37];
    uint8_t     code, param1; /* of the answer */
} Row;

static const Row rows[] = {
    /* name                session waits len  bytes                     answer */
    { "ask", false, true, 4, { 0x12, SPDM_RESPOND_IF_READY, 0x83, 1 }, 0x7f, 0x42 },
    { "another code", false, true, 4, { 0x12, SPDM_RESPOND_IF_READY, 0xe4, 1 }, 0x7f, 1 },
    { "another token", false, true, 4, { 0x12, SPDM_RESPOND_IF_READY, 0x83, 2 }, 0x7f, 1 },
    { "another version", false, true, 4, { 0x11, SPDM_RESPOND_IF_READY, 0x83, 1 }, 0x7f, 0x41 },
    { "in a session", true, true, 4, { 0x12, SPDM_RESPOND_IF_READY, 0x83, 1 }, 0x7f, 4 },
    { "short", false, true, 3, { 0x12, SPDM_RESPOND_IF_READY, 0x83 }, 0x7f, 1 },
    { "long", false, true, 8, { 0x12, SPDM_RESPOND_IF_READY, 0x83, 1 }, 0x7f, 1 },
    { "another request", false, false, 4, { 0x12, 0x81, 0, 0 }, 0x01, 0 },
    { "measurements unsigned", false, false, 4, { 0x12, 0xe0, 0, 0xff }, 0x60, 0 },
    { "measurements signed", false, true, 37, { 0x12, 0xe0, 1, 0xff }, 0x7f, 0x42 },
};

static void test_rows(void **state)
{
    static const uint8_t challenge[36] = { 0x12, 0x83 }, ask[] = { 0x12, SPDM_RESPOND_IF_READY, 0x83, 1 };
    uint8_t              reply[SPDM_MSG_MAX];

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        const Row *row = &rows[i];

        begin(0, 0);
        assert_true(pair_run(&pair, 2));
        pair.responder.config.not_ready = 2;
        assert_int_equal(pair_send(&pair, false, ask, sizeof(ask), reply, sizeof(reply)), 4); /* nothing waits */
        assert_int_equal(reply[2], 4);
        assert_int_equal(pair_send(&pair, false, challenge, sizeof(challenge), reply, sizeof(reply)), 8);
        assert_memory_equal(reply, "\x12\x7f\x42\x00\x0a\x83\x01\x01", 8);
        (void)pair_send(&pair, row->in_session, row->bytes, row->len, reply, sizeof(reply));
        if (reply[1] != row->code || reply[2] != row->param1) {
            fail_msg("%s: answered %02x %02x", row->name, reply[1], reply[2]);
        }
        if ((pair.responder.deferred.left != 0) != row->waits) {
            fail_msg("%s: it %s", row->name, row->waits ? "waits no more" : "still waits");
        }
    }
}

/* The answer is what it would have been, and covers the request as it came. */
static void test_answer(void **state)
{
    static const uint8_t challenge[36] = { 0x12, 0x83 }, ask[] = { 0x12, SPDM_RESPOND_IF_READY, 0x83, 1 },
                         again[] = { 0x12, SPDM_RESPOND_IF_READY, 0x83, 2 };
    uint8_t              reply[SPDM_MSG_MAX], bad[36] = { 0x12, 0x83, 7 };
    size_t               len;

    begin(0, 0);
    assert_true(pair_run(&pair, 1));
    pair.responder.config.not_ready = 1;
    (void)pair_send(&pair, false, challenge, sizeof(challenge), reply, sizeof(reply));
    len = pair_send(&pair, false, ask, sizeof(ask), reply, sizeof(reply));
    assert_int_equal(len, 4 + 48 + 32 + 2 + 96);
    assert_int_equal(reply[1], 3);
    assert_true(pair.responder.authenticated);
    assert_int_equal(pair_send(&pair, false, ask, sizeof(ask), reply, sizeof(reply)), 4); /* once */
    assert_int_equal(pair_send(&pair, false, bad, sizeof(bad), reply, sizeof(reply)), 8); /* its error waits too */
    assert_int_equal(pair_send(&pair, false, again, sizeof(again), reply, sizeof(reply)), 4);
    assert_int_equal(reply[2], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_assignment), cmocka_unit_test(test_with_chunks), cmocka_unit_test(test_never_ready),
        cmocka_unit_test(test_rows),       cmocka_unit_test(test_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
