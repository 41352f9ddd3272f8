/*
 * What must not outlast its time in a responder: transcripts that other requests end, what a request had begun whose
 * answer the peer cannot take, handshakes that a refused request would push aside, keys of a handshake that is over.
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

enum { SIG = 96 };

static SpdmPair pair;
static uint8_t  reply[SPDM_MSG_MAX];

static const uint8_t get_version[] = { 0x10, 0x84, 0, 0 };

static size_t ask(bool in_session, const void *msg, size_t len)
{
    return pair_send(&pair, in_session, msg, len, reply, sizeof(reply));
}

static void expect_error(const char *name, size_t len, uint8_t error)
{
    if (len < 4 || reply[1] != SPDM_ERROR || reply[2] != error) {
        fail_msg("%s: %zu bytes, %02x %02x, not ERROR %02x", name, len, reply[1], reply[2], error);
    }
}

static void expect_answer(const char *name, size_t len)
{
    if (len < 4 || reply[1] == SPDM_ERROR) {
        fail_msg("%s: %zu bytes, %02x %02x", name, len, reply[1], reply[2]);
    }
}

/* ---- part B of M1 and M2 ---- */

/* Whether a CHALLENGE's signature covers digests that were read before. */
static bool covers_digests(const uint8_t *digests, size_t digests_len)
{
    static const uint8_t get_digests[] = { 0x12, 0x81, 0, 0 };
    uint8_t              challenge[36] = { 0x12, 0x83, 0, 0, 7 };
    SpdmSigner           signer = { 0x12, spdm_hash(BIT(1)), spdm_asym(BIT(7)) };
    size_t               len = ask(false, challenge, sizeof(challenge));
    SpdmSpan             with[] = { spdm_requester_vca(&pair.requester), { get_digests, 4 }, { digests, digests_len },
                                    { challenge, sizeof(challenge) }, { reply, len - SIG } };
    SpdmSpan             without[] = { with[0], with[3], with[4] };
    bool                 covered;

    expect_answer("CHALLENGE", len);
    covered = spdm_verify(&signer, &pair.requester.public_key, SPDM_SIGN_CHALLENGE, with, 5, reply + len - SIG);
    assert_int_not_equal(covered, spdm_verify(&signer, &pair.requester.public_key, SPDM_SIGN_CHALLENGE, without, 3,
                                              reply + len - SIG));
    return covered;
}

/* DSP0274 "M1 and M2 message transcript": requests that end an authentication which CHALLENGE has not completed. */
static void test_part_b(void **state)
{
    static const struct {
        const char *name;
        uint8_t     bytes[16], len;
        bool        keeps, refused;
    } rows[] = {
        { "nothing", { 0 }, 0, true },
        { "HEARTBEAT", { 0x12, 0xe8, 0, 0 }, 4, false },
        { "KEY_UPDATE", { 0x12, 0xe9, 1, 1 }, 4, false },
        { "END_SESSION", { 0x12, 0xec, 0, 0 }, 4, false },
        { "GET_MEASUREMENTS", { 0x12, 0xe0, 0, 0 }, 4, false },
        { "KEY_UPDATE, refused", { 0x12, 0xe9, 9, 1 }, 4, false, true },
        { "FINISH, too late", { 0x12, 0xe5, 0, 0 }, 4, false, true },
        { "MEASUREMENT_EXTENSION_LOG, not there", { 0x12, 0xef, [8] = 4 }, 12, false, true },
        { "HEARTBEAT of another version", { 0x13, 0xe8, 0, 0 }, 4, true, true },
        { "GET_DIGESTS in the session", { 0x12, 0x81, 0, 0 }, 4, true },
        { "VENDOR_DEFINED", { 0x12, 0xfe, 0, 0, 3, 0, 2, 1, 0, 4, 0, 0, 0, 0, 0 }, 15, true },
    };
    static const uint8_t get_digests[] = { 0x12, 0x81, 0, 0 };
    uint8_t              digests[SPDM_DIGESTS_MAX];

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        size_t len;

        pair_init(&pair, SPDM_RESPONDER_CAPS | SPDM_CAP_HBEAT | SPDM_CAP_KEY_UPD);
        pair.responder.config.heartbeat_s = 3;
        pair.requester.options.heartbeat = pair.requester.options.encapsulated = true;
        assert_true(pair_run(&pair, pair_stage("session") + 1));
        len = ask(false, get_digests, sizeof(get_digests));
        memcpy(digests, reply, len);
        if (rows[i].len != 0) {
            size_t n = ask(true, rows[i].bytes, rows[i].len);

            assert_int_equal(n >= 4 && reply[1] == SPDM_ERROR, rows[i].refused);
        }
        if (covers_digests(digests, len) != rows[i].keeps) {
            fail_msg("%s: part B is %s", rows[i].name, rows[i].keeps ? "gone" : "still there");
        }
    }
}

/* ---- answers that the peer cannot take ---- */

static const uint8_t algorithms_12[48] = { 0x12, 0xe3, 4, 0, 48, 0, 1, 2, 0x80, 0, 0, 0, 2, 0, 0, 0, [32] = 2, 0x20,
                                           0x10, 0, 3, 0x20, 2, 0, 4, 0x20, 0x80, 0, 5, 0x20, 1, 0 };

/* GET_VERSION and GET_CAPABILITIES of a requester without CHUNK, whose buffers have @size bytes. */
static void meet(uint8_t version, uint32_t size)
{
    uint8_t caps[20] = { version, 0xe1, 0, 0, 0, 20, 0, 0, 0xc6, 0x82 };

    le32_put(caps + 12, size);
    le32_put(caps + 16, size);
    expect_answer("GET_VERSION", ask(false, get_version, sizeof(get_version)));
    expect_answer("GET_CAPABILITIES", ask(false, caps, sizeof(caps)));
}

/* The version that a CAPABILITIES would have brought which was never sent. */
static void test_capabilities_too_large(void **state)
{
    uint8_t caps[20] = { 0x13, 0xe1, 1, 0, 0, 20, 0, 0, 0xc6, 0x82, 2, 0, 42, 0, 0, 0, 42 }; /* with algorithms */

    pair_init(&pair, SPDM_RESPONDER_CAPS | SPDM_CAP_CHUNK);
    pair.responder.config.version_max = SPDM_VERSION_13;
    expect_answer("GET_VERSION", ask(false, get_version, sizeof(get_version)));
    expect_error("62 bytes for 42", ask(false, caps, sizeof(caps)), SPDM_RESPONSE_TOO_LARGE);
    assert_int_equal(reply[0], 0x13);
    caps[0] = 0x12;
    caps[2] = 0;
    expect_answer("another version", ask(false, caps, sizeof(caps)));
    assert_int_equal(reply[0], 0x12);
}

/* A CHALLENGE without an answer has authenticated nobody: what was said of certificates still counts. */
static void test_challenge_too_large(void **state)
{
    static const uint8_t challenge[36] = { 0x12, 0x83 }, get_digests[] = { 0x12, 0x81, 0, 0 };

    pair_init(&pair, SPDM_RESPONDER_CAPS);
    meet(SPDM_VERSION_12, 100);
    expect_answer("NEGOTIATE_ALGORITHMS", ask(false, algorithms_12, sizeof(algorithms_12)));
    expect_answer("GET_DIGESTS", ask(false, get_digests, sizeof(get_digests)));
    expect_error("CHALLENGE", ask(false, challenge, sizeof(challenge)), SPDM_RESPONSE_TOO_LARGE);
    assert_false(pair.responder.authenticated);
    assert_int_equal(pair.responder.b.len, 4 + 52);
}

/* DIGESTS that nobody has seen are no part of TH. */
static void test_digests_too_large(void **state)
{
    static const uint8_t get_digests[] = { 0x13, 0x81, 0, 0 };
    uint8_t              algorithms[48];

    memcpy(algorithms, algorithms_12, sizeof(algorithms));
    algorithms[0] = 0x13;
    algorithms[7] = 0x12; /* a multi-key connection */
    pair_init(&pair, SPDM_RESPONDER_CAPS | SPDM_CAP_GET_KEY_PAIR_INFO | SPDM_CAP_MULTI_KEY_NEG);
    pair.responder.config.version_max = SPDM_VERSION_13;
    meet(SPDM_VERSION_13, 54);
    expect_answer("NEGOTIATE_ALGORITHMS", ask(false, algorithms, sizeof(algorithms)));
    expect_error("GET_DIGESTS", ask(false, get_digests, sizeof(get_digests)), SPDM_RESPONSE_TOO_LARGE);
    assert_int_equal(pair.responder.digests_len, 0);
}

/* A signing request that has seen its reset is still there when it could not be sent. */
static void test_csr_too_large(void **state)
{
    static const uint8_t  get_csr[8] = { 0x12, 0xed };
    static SpdmIdentity   ids[SPDM_IDENTITIES_MAX];
    static SpdmProvisions provisions;

    pair_init(&pair, SPDM_RESPONDER_CAPS | SPDM_CAP_CSR | SPDM_CAP_CERT_INSTALL_RESET);
    ids[0] = *pair_identity(SPDM_TEST_DEVICE);
    provisions.identities = ids;
    pair.responder.config.identities = ids;
    pair.responder.config.provisions = &provisions;
    meet(SPDM_VERSION_12, SPDM_MSG_MAX);
    expect_answer("NEGOTIATE_ALGORITHMS", ask(false, algorithms_12, sizeof(algorithms_12)));
    expect_error("before the reset", ask(false, get_csr, sizeof(get_csr)), SPDM_RESET_REQUIRED);
    spdm_responder_conventional_reset(&pair.responder);
    meet(SPDM_VERSION_12, 64);
    expect_answer("NEGOTIATE_ALGORITHMS", ask(false, algorithms_12, sizeof(algorithms_12)));
    expect_error("too large", ask(false, get_csr, sizeof(get_csr)), SPDM_RESPONSE_TOO_LARGE);
    meet(SPDM_VERSION_12, SPDM_MSG_MAX);
    expect_answer("NEGOTIATE_ALGORITHMS", ask(false, algorithms_12, sizeof(algorithms_12)));
    expect_answer("with room", ask(false, get_csr, sizeof(get_csr)));
}

/* ---- handshakes ---- */

/* KEY_EXCHANGE or PSK_EXCHANGE of the module's, on its way. */
static size_t start_session(SpdmOp op, uint32_t caps, uint8_t *out)
{
    bool secured;

    pair_init(&pair, caps);
    pair.requester.options.psk = op == SPDM_OP_PSK_SESSION ? pair_psk() : (SpdmPsk){ 0 };
    assert_int_equal(pair_connect(&pair), SPDM_DONE);
    assert_null(spdm_requester_start(&pair.requester, op, NULL));
    return spdm_requester_next(&pair.requester, out, SPDM_MSG_MAX, &secured);
}

/* Whatever is wrong with a request is told before that there is no room for a session. */
static void test_refused_before_limit(void **state)
{
    static const struct {
        const char *name;
        SpdmOp      op;
    } ops[] = { { "KEY_EXCHANGE", SPDM_OP_SESSION }, { "PSK_EXCHANGE", SPDM_OP_PSK_SESSION } };
    const uint32_t clear = SPDM_CAP_HANDSHAKE_IN_THE_CLEAR;
    const uint32_t caps = (SPDM_RESPONDER_CAPS & ~clear) | SPDM_CAP_PSK_WITH_CONTEXT;
    uint8_t        msg[SPDM_MSG_MAX];

    for (unsigned i = 0; i < ARRAY_LEN(ops); i++) {
        size_t len = start_session(ops[i].op, caps, msg);

        for (unsigned n = 0; n < SPDM_SESSIONS; n++) {
            expect_answer(ops[i].name, ask(false, msg, len));
        }
        expect_error(ops[i].name, ask(false, msg, len), SPDM_SESSION_LIMIT_EXCEEDED);
        msg[2] = 2; /* no type of a measurement summary */
        expect_error(ops[i].name, ask(false, msg, len), SPDM_INVALID_REQUEST);
    }
}

/* A KEY_EXCHANGE that is refused does not push an unfinished one aside. */
static void test_refused_leaves_handshake(void **state)
{
    uint8_t msg[SPDM_MSG_MAX];
    size_t  len = start_session(SPDM_OP_SESSION, SPDM_RESPONDER_CAPS, msg), rsp_len = ask(false, msg, len);
    uint8_t rsp[SPDM_MSG_MAX];

    expect_answer("KEY_EXCHANGE", rsp_len);
    memcpy(rsp, reply, rsp_len);
    msg[2] = 2;
    expect_error("a wrong one", ask(false, msg, len), SPDM_INVALID_REQUEST);
    assert_int_equal(spdm_requester_response(&pair.requester, rsp, rsp_len, false), SPDM_CONTINUE);
    assert_int_equal(pair_step(&pair), SPDM_DONE);
}

static bool is_wiped(const void *p, size_t len)
{
    const uint8_t *bytes = p;
    uint8_t        any = 0;

    for (size_t i = 0; i < len; i++) {
        any |= bytes[i];
    }
    return any == 0;
}

#define WIPED(field) is_wiped(&(field), sizeof(field))

static void expect_data_keys_alone(const SpdmKeys *k)
{
    assert_true(WIPED(k->handshake_secret) && WIPED(k->request_finished) && WIPED(k->response_finished));
    assert_true(WIPED(k->request_handshake.key) && WIPED(k->response_handshake.key));
    assert_true(WIPED(k->request_handshake.iv) && WIPED(k->response_handshake.iv));
    assert_false(WIPED(k->request_data.key) || WIPED(k->response_data.key));
}

/* What only the handshake needed is gone at both ends when it is over. */
static void test_handshake_keys(void **state)
{
    static const uint32_t without[] = { 0, SPDM_CAP_HANDSHAKE_IN_THE_CLEAR };

    for (unsigned i = 0; i < ARRAY_LEN(without); i++) {
        for (int psk = 0; psk <= 1; psk++) {
            pair_init(&pair, (SPDM_RESPONDER_CAPS & ~without[i]) | (psk ? SPDM_CAP_PSK_WITH_CONTEXT : 0u));
            pair.requester.options.psk = psk ? pair_psk() : (SpdmPsk){ 0 };
            assert_int_equal(pair_connect(&pair), SPDM_DONE);
            assert_int_equal(pair_op(&pair, psk ? SPDM_OP_PSK_SESSION : SPDM_OP_SESSION, NULL), SPDM_DONE);
            expect_data_keys_alone(&pair.responder.sessions[0].keys);
            expect_data_keys_alone(&pair.requester.session.keys);
        }
    }
}

static bool holds(const void *p, size_t len, const uint8_t key[IDE_KEY_LEN])
{
    for (size_t at = 0; at + IDE_KEY_LEN <= len; at++) {
        if (memcmp((const uint8_t *)p + at, key, IDE_KEY_LEN) == 0) {
            return true;
        }
    }
    return false;
}

/* A key of an IDE stream as KEY_PROG has it, or as the device gets it, is at neither end once the session is over. */
static void test_ide_keys(void **state)
{
    uint8_t wire[IDE_KEY_LEN];

    pair_init(&pair, SPDM_RESPONDER_CAPS);
    assert_true(pair_run(&pair, pair_stage("keys") + 1));
    for (unsigned i = 0; i < IDE_KEY_LEN; i += 4) {
        le32_put(wire + i, be32_get(pair.last_key + i));
    }
    assert_true(holds(&pair.requester, sizeof(pair.requester), wire));
    assert_int_equal(pair_op(&pair, SPDM_OP_END_SESSION, NULL), SPDM_DONE);
    assert_false(holds(&pair.requester, sizeof(pair.requester), wire));
    assert_false(holds(&pair.responder, sizeof(pair.responder), wire));
    assert_false(holds(&pair.ide, sizeof(pair.ide), pair.last_key));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_part_b),
        cmocka_unit_test(test_capabilities_too_large),
        cmocka_unit_test(test_challenge_too_large),
        cmocka_unit_test(test_digests_too_large),
        cmocka_unit_test(test_csr_too_large),
        cmocka_unit_test(test_refused_before_limit),
        cmocka_unit_test(test_refused_leaves_handshake),
        cmocka_unit_test(test_handshake_keys),
        cmocka_unit_test(test_ide_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
