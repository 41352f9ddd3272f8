/*
 * GET_ENDPOINT_INFO of 1.3: what a device tells of its kind, plain and signed, with whose key, and what is refused. The
 * lengths and what is signed are DSP0274's, written down here a second time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "spdm/sign.h"
#include "spdm_pair.h"

enum { SIG = 96, NONCE = 32, INFO = 16, PLAIN_REQUEST = 8, SIGNED_REQUEST = 40 };

#define CAPS ((uint32_t)(SPDM_RESPONDER_CAPS | SPDM_CAP_EP_INFO_SIG))

static SpdmPair      pair;
static uint8_t       msg[SIGNED_REQUEST + 8], reply[SPDM_MSG_MAX];
static const uint8_t info[INFO] = { 1, 0, 0, 0, 11, 3, 2, 0xf4, 0x1a, 2, 2, 0x41, 0x10, 2, 1, 0 };

static void begin(uint8_t version, uint32_t caps)
{
    SpdmOffer offer = { version, version, { 0 } };

    pair_init(&pair, caps);
    pair.responder.config.version_max = SPDM_VERSION_14;
    pair.responder.config.ids = (SpdmPciIds){ 0x1af4, 0x1041, 1 };
    spdm_requester_offer(&pair.requester, &offer);
    assert_int_equal(pair_connect(&pair), SPDM_DONE);
    memset(msg, 0, sizeof(msg));
    memcpy(msg, (const uint8_t[]){ version, 0x87, 1 }, 3);
}

static size_t ask(bool in_session, size_t len)
{
    memset(reply, 0, sizeof(reply));
    return pair_send(&pair, in_session, msg, len, reply, sizeof(reply));
}

static void test_plain(void **state)
{
    for (uint8_t v = SPDM_VERSION_13; v <= SPDM_VERSION_14; v++) {
        for (unsigned signs = 0; signs < 2; signs++) {
            begin(v, SPDM_RESPONDER_CAPS | (signs ? SPDM_CAP_EP_INFO_SIG : SPDM_CAP_EP_INFO_NO_SIG));
            assert_int_equal(ask(false, PLAIN_REQUEST), 8 + 4 + INFO);
            assert_memory_equal(reply, ((const uint8_t[]){ v, 7, 0, 0, 0, 0, 0, 0, INFO, 0, 0, 0 }), 12);
            assert_memory_equal(reply + 12, info, INFO);
        }
    }
}

/* VCA, the request and the answer without its signature, wherever it is asked. */
static void test_signed(void **state)
{
    for (unsigned in_session = 0; in_session < 2; in_session++) {
        SpdmSigner          signer = { 0x13, spdm_hash(BIT(1)), spdm_asym(BIT(7)) };
        const SpdmIdentity *id = pair_identity(SPDM_TEST_DEVICE);
        size_t              len = 8 + NONCE + 4 + INFO;
        SpdmSpan            vca, spans[3];
        SpdmPublicKey       key;

        begin(0x13, CAPS);
        if (in_session) {
            assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_DONE);
        }
        msg[4] = 1;
        msg[9] = 0x77; /* of the nonce */
        assert_int_equal(ask(in_session, SIGNED_REQUEST), len + SIG);
        assert_int_equal(le32_get(reply + 8 + NONCE), INFO);
        assert_memory_equal(reply + 12 + NONCE, info, INFO);
        assert_null(spdm_chain_check(id->certs, id->certs_len, NULL, 0, SPDM_CHAIN_OF_RESPONDER, -1, &key));
        vca = spdm_requester_vca(&pair.requester);
        spans[0] = vca;
        spans[1] = (SpdmSpan){ msg, SIGNED_REQUEST };
        spans[2] = (SpdmSpan){ reply, len };
        assert_true(spdm_verify(&signer, &key, "responder-endpoint_info signing", spans, 3, reply + len));
        msg[9] ^= 1;
        assert_false(spdm_verify(&signer, &key, "responder-endpoint_info signing", spans, 3, reply + len));
    }
}

typedef struct Row {
    const char *name;
    uint8_t     version;
    uint32_t    ep_info; /* the device's capability */
    size_t      len;
    uint8_t     code_version, sub_code, slot, attributes, error, data;
} Row;

static const Row rows[] = {
    /*                   version  capability                 len version sub slot attr error data */
    { "fine, padded",       0x13, SPDM_CAP_EP_INFO_SIG,    PLAIN_REQUEST + 3, 0x13, 1, 0, 0, 0, 0 },
    { "fine, signed",       0x13, SPDM_CAP_EP_INFO_SIG,    SIGNED_REQUEST, 0x13, 1, 0, 1, 0, 0 },
    { "reserved bits",      0x13, SPDM_CAP_EP_INFO_SIG,    SIGNED_REQUEST, 0x13, 1, 0xf0, 0xff, 0, 0 },
    { "slot without signature", 0x13, SPDM_CAP_EP_INFO_SIG, PLAIN_REQUEST, 0x13, 1, 5, 0, 0, 0 },
    { "sub-code 0",         0x13, SPDM_CAP_EP_INFO_SIG,    PLAIN_REQUEST, 0x13, 0, 0, 0, 1, 0 },
    { "sub-code 2",         0x13, SPDM_CAP_EP_INFO_SIG,    PLAIN_REQUEST, 0x13, 2, 0, 0, 1, 0 },
    { "short",              0x13, SPDM_CAP_EP_INFO_SIG,    PLAIN_REQUEST - 1, 0x13, 1, 0, 0, 1, 0 },
    { "long",               0x13, SPDM_CAP_EP_INFO_SIG,    PLAIN_REQUEST + 4, 0x13, 1, 0, 0, 1, 0 },
    { "nonce cut",          0x13, SPDM_CAP_EP_INFO_SIG,    SIGNED_REQUEST - 1, 0x13, 1, 0, 1, 1, 0 },
    { "nonce too long",     0x13, SPDM_CAP_EP_INFO_SIG,    SIGNED_REQUEST + 4, 0x13, 1, 0, 1, 1, 0 },
    { "empty slot",         0x13, SPDM_CAP_EP_INFO_SIG,    SIGNED_REQUEST, 0x13, 1, 1, 1, 1, 0 },
    { "slot 8",             0x13, SPDM_CAP_EP_INFO_SIG,    SIGNED_REQUEST, 0x13, 1, 8, 1, 1, 0 },
    { "public key",         0x13, SPDM_CAP_EP_INFO_SIG,    SIGNED_REQUEST, 0x13, 1, 15, 1, 1, 0 },
    { "another version",    0x13, SPDM_CAP_EP_INFO_SIG,    PLAIN_REQUEST, 0x12, 1, 0, 0, 0x41, 0 },
    { "does not sign",      0x13, SPDM_CAP_EP_INFO_NO_SIG, SIGNED_REQUEST, 0x13, 1, 0, 1, 7, 0x87 },
    { "not advertised",     0x13, 0,                       PLAIN_REQUEST, 0x13, 1, 0, 0, 7, 0x87 },
    { "in 1.2",             0x12, SPDM_CAP_EP_INFO_SIG,    PLAIN_REQUEST, 0x12, 1, 0, 0, 7, 0x87 },
};

static void test_rows(void **state)
{
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        const Row *row = &rows[i];
        size_t     len;

        begin(row->version, SPDM_RESPONDER_CAPS | row->ep_info);
        msg[0] = row->code_version;
        msg[2] = row->sub_code;
        msg[3] = row->slot;
        msg[4] = row->attributes;
        len = ask(false, row->len);
        if (row->error == 0 ? len < 28 || reply[1] != 7
                            : len != 4 || reply[1] != 0x7f || reply[2] != row->error || reply[3] != row->data) {
            fail_msg("%s: %zu bytes, %02x %02x %02x", row->name, len, reply[1], reply[2], reply[3]);
        }
    }
    pair_init(&pair, CAPS); /* before there is a connection */
    pair.responder.config.version_min = pair.responder.config.version_max = SPDM_VERSION_13;
    assert_null(spdm_requester_start(&pair.requester, SPDM_OP_CONNECT, NULL));
    assert_int_equal(pair_step(&pair), SPDM_CONTINUE);
    assert_int_equal(pair_step(&pair), SPDM_CONTINUE);
    memcpy(msg, (const uint8_t[]){ 0x13, 0x87, 1, 0, 0, 0, 0, 0 }, 8);
    assert_int_equal(ask(false, 8), 4);
    assert_int_equal(reply[2], SPDM_UNEXPECTED_REQUEST);
}

static void test_not_ready(void **state)
{
    begin(0x13, CAPS);
    pair.responder.config.not_ready = 1;
    msg[4] = 1;
    assert_int_equal(ask(false, SIGNED_REQUEST), 8);
    assert_memory_equal(reply, ((const uint8_t[]){ 0x13, 0x7f, 0x42, 0 }), 4);
    assert_int_equal(reply[5], 0x87);
    memcpy(msg, (const uint8_t[]){ 0x13, 0xff, 0x87, reply[6] }, 4);
    assert_int_equal(ask(false, 4), 8 + NONCE + 4 + INFO + SIG);
}

static void test_requester(void **state)
{
    SpdmSpan got;

    for (unsigned signs = 0; signs < 2; signs++) {
        begin(0x13, SPDM_RESPONDER_CAPS | (signs ? SPDM_CAP_EP_INFO_SIG : SPDM_CAP_EP_INFO_NO_SIG));
        assert_string_equal(spdm_requester_start(&pair.requester, SPDM_OP_ENDPOINT_INFO, NULL), "there is no session");
        assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_DONE);
        assert_int_equal(pair_op(&pair, SPDM_OP_ENDPOINT_INFO, NULL), SPDM_DONE);
        got = spdm_requester_vendor_reply(&pair.requester);
        assert_int_equal(got.len, INFO);
        assert_memory_equal(got.data, info, INFO);
        assert_int_equal(pair.response_len > 100, signs);
    }
    pair.responder.config.wrong_signature = true;
    assert_int_equal(pair_op(&pair, SPDM_OP_ENDPOINT_INFO, NULL), SPDM_FAILED);
    assert_string_equal(spdm_requester_error(&pair.requester),
                        "ENDPOINT_INFO is not signed by the device's public key");
    begin(0x12, CAPS);
    assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_DONE);
    assert_string_equal(spdm_requester_start(&pair.requester, SPDM_OP_ENDPOINT_INFO, NULL),
                        "the device does not tell what kind it is of");
}

/* Answers that a requester must refuse: a byte of the unsigned form changed. */
static void test_bad_answers(void **state)
{
    static const struct {
        const char *name;
        uint8_t     at, value;
    } spoils[] = {
        { "slot", 3, 1 },           { "longer than it is", 8, INFO + 4 }, { "shorter", 8, INFO - 4 },
        { "two identifiers", 12, 2 }, { "no identifier", 12, 0 },         { "element too short", 16, 10 },
        { "element too long", 16, 12 }, { "vendor's ID too long", 18, 200 }, { "one subordinate more", 21, 3 },
        { "one less", 21, 1 },        { "subordinate too long", 22, 9 },
    };

    for (unsigned i = 0; i < ARRAY_LEN(spoils); i++) {
        uint8_t out[SPDM_MSG_MAX];
        bool    secured;
        size_t  len;

        begin(0x13, SPDM_RESPONDER_CAPS | SPDM_CAP_EP_INFO_NO_SIG);
        /* The step reads plain answers when there is no session, which its start alone wants. */
        pair.requester.session.state = SPDM_SESSION_ESTABLISHED;
        assert_null(spdm_requester_start(&pair.requester, SPDM_OP_ENDPOINT_INFO, NULL));
        pair.requester.session.state = SPDM_SESSION_FREE;
        len = spdm_requester_next(&pair.requester, out, sizeof(out), &secured);
        assert_int_equal(len, PLAIN_REQUEST);
        len = spdm_responder_handle(&pair.responder, secured, out, len, reply, sizeof(reply), &secured);
        assert_int_equal(len, 12 + INFO);
        reply[spoils[i].at] = spoils[i].value;
        if (spdm_requester_response(&pair.requester, reply, len, false) != SPDM_FAILED) {
            fail_msg("%s was taken", spoils[i].name);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),     cmocka_unit_test(test_signed),    cmocka_unit_test(test_rows),
        cmocka_unit_test(test_not_ready), cmocka_unit_test(test_requester), cmocka_unit_test(test_bad_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
