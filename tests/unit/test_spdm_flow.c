/*
 * Requester against responder: a whole assignment with the handshake protected and in the clear, twice the
 * same; then the same with every message of both directions cut at every length and hit at every byte.
 *
 * What must hold for a spoilt exchange: inside a session, the operation fails and the device's session is
 * gone. Before, either the operation, or the session built on it, fails; or the byte was one that nobody
 * looks at, and the outcome is exactly that of the clean run (same keys, same chain).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "spdm/sign.h"
#include "spdm_pair.h"

#define NOT_CLEAR (SPDM_RESPONDER_CAPS & ~(uint32_t)SPDM_CAP_HANDSHAKE_IN_THE_CLEAR)

static SpdmPair pair, saved, reference;

static void run_all(uint32_t caps)
{
    pair_init(&pair, caps);
    for (unsigned i = 0; i < pair_n_stages; i++) {
        if (pair_stages[i].run(&pair) != SPDM_DONE) {
            fail_msg("%s: %s / %s", pair_stages[i].name, spdm_requester_error(&pair.requester),
                     pair.tdi.error);
        }
        if (i == pair_stage("lock")) {
            assert_int_equal(pair.tdis[0].state, TDI_CONFIG_LOCKED);
        } else if (i == pair_stage("start")) {
            assert_int_equal(pair.tdis[0].state, TDI_RUN);
        } else if (i == pair_stage("session")) {
            assert_int_equal(pair.responder.sessions[0].in_the_clear, caps != NOT_CLEAR);
            assert_int_equal(pair.responder.sessions[0].secured_version, 0x1200);
            assert_memory_equal(&pair.responder.sessions[0].keys.response_data,
                                &pair.requester.session.keys.response_data, sizeof(SpdmChannel));
        }
    }
}

static void check_objects(void)
{
    const SpdmIdentity *id = pair_identity(SPDM_TEST_DEVICE);
    SpdmSigner          signer = { 0x12, spdm_hash(BIT(1)), spdm_asym(BIT(7)) };
    SpdmSpan chain = spdm_requester_chain(&pair.requester), vca = spdm_requester_vca(&pair.requester),
             l1l2[2];
    uint32_t            len = pair.cached[SPDM_OBJECT_MEASUREMENTS];
    TdispReport         report;

    assert_int_equal(chain.len, 52 + id->certs_len);
    assert_memory_equal((const uint8_t *)chain.data + 52, id->certs, id->certs_len);
    assert_int_equal(pair.cached[SPDM_OBJECT_CERTIFICATE], id->certs_len);
    assert_memory_equal(pair.certificates, id->certs, id->certs_len);
    assert_int_equal(pair.cached[SPDM_OBJECT_VCA], vca.len);
    /* Anyone who has VCA, measurements and the chain can check the measurements' signature. */
    l1l2[0] = vca;
    l1l2[1] = (SpdmSpan){ pair.measurements, len - 96 };
    assert_true(spdm_verify(&signer, &pair.requester.public_key, SPDM_SIGN_MEASUREMENTS, l1l2, 2,
                            pair.measurements + len - 96));
    assert_true(tdisp_report_decode(pair.tdi.report, pair.tdi.report_len, &report));
    assert_int_equal(report.n_ranges, 2);
    assert_int_equal(report.ranges[1].attributes, TDISP_RANGE_NON_TEE | TDISP_RANGE_UPDATABLE);
    assert_memory_equal(report.info, "nic", 3);
}

static void test_whole_flow(void **state)
{
    run_all(NOT_CLEAR);
    check_objects();
    run_all(SPDM_RESPONDER_CAPS);
    check_objects();
    assert_int_equal(pair.keys_programmed, 6);
    assert_int_equal(pair.keys_gone, 6);
    assert_int_equal(pair.sessions_begun, 1);
    assert_int_equal(pair.sessions_ended, 1);
    assert_int_equal(pair.tdis[0].state, TDI_CONFIG_UNLOCKED);
    assert_int_equal(pair.responder.sessions[0].state, SPDM_SESSION_FREE);
    assert_false(spdm_requester_has_session(&pair.requester));
    memcpy(&saved, &pair, sizeof(saved));
    run_all(SPDM_RESPONDER_CAPS);
    assert_memory_equal(&saved, &pair, sizeof(pair)); /* every byte of both ends repeats */
}

static bool same_outcome(void)
{
    return memcmp(&pair.requester.session.keys.request_data, &reference.requester.session.keys.request_data,
                  2 * sizeof(SpdmChannel)) == 0 &&
           pair.requester.chain_len == reference.requester.chain_len &&
           memcmp(pair.requester.chain, reference.requester.chain, pair.requester.chain_len) == 0 &&
           pair.responder.sessions[0].state == SPDM_SESSION_ESTABLISHED;
}

/* @stage is run from `saved` with exchange @t->exchange spoilt. */
static void try_tamper(unsigned stage, const PairTamper *t)
{
    bool before_session = !pair_stages[stage].in_session, done;

    memcpy(&pair, &saved, sizeof(pair));
    pair.tamper = t;
    done = pair_stages[stage].run(&pair) == SPDM_DONE;
    if (stage == pair_stage("connect") && done) {
        done = pair_stages[stage + 1].run(&pair) == SPDM_DONE;
    }
    if (!done) {
        assert_true(pair.requester.op == SPDM_OP_NONE);
        assert_true(before_session || !spdm_requester_has_session(&pair.requester));
        assert_true(before_session || t->response || pair.responder.sessions[0].state == SPDM_SESSION_FREE ||
                    (t->truncate && t->at < 4) || (!t->truncate && t->at < 4));
        return;
    }
    if (!before_session || t->truncate || !same_outcome()) {
        fail_msg("stage %s, exchange %u: %s %s at %zu went unnoticed", pair_stages[stage].name, t->exchange,
                 t->response ? "response" : "request", t->truncate ? "cut" : "flip", t->at);
    }
}

static void tamper_exchange(unsigned stage, unsigned exchange, size_t request_len, size_t response_len)
{
    for (int response = 0; response <= 1; response++) {
        size_t len = response ? response_len : request_len;

        for (size_t at = 0; at < len; at++) {
            PairTamper flip = { exchange, response, false, at, (uint8_t)(1u << (at + exchange) % 8) };
            PairTamper cut = { exchange, response, true, at, 0 };

            try_tamper(stage, &flip);
            try_tamper(stage, &cut);
        }
    }
}

/* Spoils the exchanges of stages @from up to, not including, @to. */
static void tamper_stages(uint32_t caps, unsigned from, unsigned to)
{
    static struct {
        unsigned stage;
        size_t   request, response;
    } shape[128];
    unsigned n = 0;

    /* Learn the shape of the clean run: the stage of each exchange and its messages' lengths. */
    pair_init(&pair, caps);
    assert_true(pair_run(&pair, pair_stage("session") + 1));
    memcpy(&reference, &pair, sizeof(pair));
    pair_init(&pair, caps);
    for (unsigned stage = 0; stage < pair_n_stages; stage++) {
        SpdmOp op = stage == 0 ? SPDM_OP_CONNECT : stage == 1 ? SPDM_OP_SESSION : SPDM_OP_NONE;

        if (op != SPDM_OP_NONE) {
            memcpy(&saved, &pair, sizeof(pair));
            assert_null(spdm_requester_start(&pair.requester, op, NULL));
            for (SpdmResult result = SPDM_CONTINUE; result == SPDM_CONTINUE; n++) {
                result = pair_step(&pair);
                shape[n].stage = stage;
                shape[n].request = pair.request_len;
                shape[n].response = pair.response_len;
            }
            memcpy(&pair, &saved, sizeof(pair));
        } else {
            /* Inside the session all messages are records: the first of each stage stands for the others. */
            unsigned first = pair.exchange;

            memcpy(&saved, &pair, sizeof(pair));
            pair.tamper = &(PairTamper){ first, false, true, 0, 0 };
            (void)pair_stages[stage].run(&pair);
            shape[n].stage = stage;
            shape[n].request = pair.request_len;
            memcpy(&pair, &saved, sizeof(pair));
            pair.tamper = &(PairTamper){ first, true, true, 0, 0 };
            (void)pair_stages[stage].run(&pair);
            shape[n++].response = pair.response_len;
            memcpy(&pair, &saved, sizeof(pair));
        }
        assert_int_equal(pair_stages[stage].run(&pair), SPDM_DONE);
    }
    /* Then spoil. `saved` is the state before the stage. */
    pair_init(&pair, caps);
    for (unsigned i = 0, stage = 0; stage < pair_n_stages; stage++) {
        unsigned first;

        memcpy(&saved, &pair, sizeof(pair));
        first = saved.exchange;
        for (unsigned k = 0; i < n && shape[i].stage == stage; i++, k++) {
            if (stage >= from && stage < to) {
                tamper_exchange(stage, first + k, shape[i].request, shape[i].response);
            }
        }
        memcpy(&pair, &saved, sizeof(pair));
        assert_int_equal(pair_stages[stage].run(&pair), SPDM_DONE);
    }
}

static void test_tamper_clear_handshake(void **state)
{
    tamper_stages(SPDM_RESPONDER_CAPS, 0, pair_n_stages);
}

/* Only KEY_EXCHANGE and FINISH differ. */
static void test_tamper_protected_handshake(void **state) { tamper_stages(NOT_CLEAR, 1, 2); }

/* A device with another key than the one named, and one with the right chain but a substituted key. */
static void test_impostors(void **state)
{
    static SpdmIdentity substitute;
    SpdmPublicKey       garbage = { SPDM_KEY_P384, 97, 0, { 4, 1, 2, 3 } };
    SpdmOpArgs          args = { .index = 0xff, .sign = true };

    substitute = *pair_identity(SPDM_TEST_DEVICE);
    assert_true(spdm_key_load(spdm_test_substitute_key_pem(), &pair.device_entropy, &substitute.key));
    pair_init(&pair, SPDM_RESPONDER_CAPS);
    pair.responder.config.identities = &substitute;
    assert_int_equal(pair_connect(&pair), SPDM_DONE);
    assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_FAILED);
    assert_string_equal(spdm_requester_error(&pair.requester),
                        "KEY_EXCHANGE_RSP is not signed by the device's public key");

    pair_init(&pair, SPDM_RESPONDER_CAPS);
    pair.responder.config.identities = pair_identity(SPDM_TEST_WRONG_ROOT);
    assert_int_equal(pair_connect(&pair), SPDM_DONE); /* names the true device's key */
    assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_FAILED);

    /* The key is swapped between session and measurements. */
    pair_init(&pair, SPDM_RESPONDER_CAPS);
    assert_true(pair_run(&pair, 2));
    pair.responder.config.identities = &substitute;
    assert_int_equal(pair_op(&pair, SPDM_OP_MEASUREMENTS, &args), SPDM_FAILED);
    assert_true(spdm_requester_has_session(&pair.requester));
    pair.responder.config.identities = pair_identity(SPDM_TEST_DEVICE);
    assert_int_equal(pair_op(&pair, SPDM_OP_MEASUREMENTS, &args), SPDM_DONE);

    assert_int_equal(spdm_requester_set_public_key(&pair.requester, &garbage), SPDM_KEY_INVALID);
    garbage.len = 96;
    assert_int_equal(spdm_requester_set_public_key(&pair.requester, &garbage), SPDM_KEY_INVALID);
    garbage.kind = SPDM_KEY_P256;
    assert_int_equal(spdm_requester_set_public_key(&pair.requester, &garbage), SPDM_KEY_UNSUPPORTED);
    garbage.kind = SPDM_KEY_RSA_3072;
    assert_int_equal(spdm_requester_set_public_key(&pair.requester, &garbage), SPDM_KEY_UNSUPPORTED);
}

static void test_start_rules(void **state)
{
    SpdmOpArgs args = { .len = SPDM_MSG_MAX };
    uint8_t    out[SPDM_MSG_MAX];
    bool       secured;

    pair_init(&pair, SPDM_RESPONDER_CAPS);
    assert_non_null(spdm_requester_start(&pair.requester, SPDM_OP_SESSION, NULL));
    assert_non_null(spdm_requester_start(&pair.requester, SPDM_OP_END_SESSION, NULL));
    assert_non_null(spdm_requester_start(&pair.requester, SPDM_OP_NONE, NULL));
    assert_int_equal(spdm_requester_next(&pair.requester, out, sizeof(out), &secured), 0);
    assert_int_equal(spdm_requester_response(&pair.requester, out, 4, false), SPDM_FAILED);
    assert_int_equal(pair_op(&pair, SPDM_OP_CONNECT, NULL), SPDM_DONE);
    assert_string_equal(spdm_requester_start(&pair.requester, SPDM_OP_SESSION, NULL),
                        "the device's public key has not been set");
    assert_int_equal(pair_connect(&pair), SPDM_DONE);
    assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_DONE);
    assert_non_null(spdm_requester_start(&pair.requester, SPDM_OP_SESSION, NULL));
    assert_non_null(spdm_requester_start(&pair.requester, SPDM_OP_VENDOR, NULL));
    assert_non_null(spdm_requester_start(&pair.requester, SPDM_OP_VENDOR, &args));
    assert_null(spdm_requester_start(&pair.requester, SPDM_OP_END_SESSION, NULL));
    assert_non_null(spdm_requester_start(&pair.requester, SPDM_OP_END_SESSION, NULL));
    /* An answer that never comes: giving up ends the session at this end. */
    assert_true(spdm_requester_next(&pair.requester, out, sizeof(out), &secured) > 0 && secured);
    assert_int_equal(spdm_requester_next(&pair.requester, out, sizeof(out), &secured), 0);
    spdm_requester_abort(&pair.requester);
    assert_false(spdm_requester_has_session(&pair.requester));
    /* The device still has its session; a new connection ends it, a new session gets new keys. */
    assert_int_equal(pair.responder.sessions[0].state, SPDM_SESSION_ESTABLISHED);
    assert_int_equal(pair_connect(&pair), SPDM_DONE);
    assert_int_equal(pair.sessions_ended, 1);
    assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_DONE);
}

/* Unsigned pairs before a signed one are all under the signature. */
static void test_measurement_transcript(void **state)
{
    SpdmOpArgs count = { .index = 0 }, one = { .index = 2, .raw = true }, none = { .index = 7 };
    SpdmOpArgs all = { .index = 0xff, .sign = true, .raw = true };
    SpdmSpan   reply;

    pair_init(&pair, SPDM_RESPONDER_CAPS);
    assert_true(pair_run(&pair, 2));
    assert_int_equal(pair_op(&pair, SPDM_OP_MEASUREMENTS, &count), SPDM_DONE);
    reply = spdm_requester_reply(&pair.requester);
    assert_int_equal(((const uint8_t *)reply.data)[2], 3);
    assert_int_equal(pair_op(&pair, SPDM_OP_MEASUREMENTS, &one), SPDM_DONE);
    reply = spdm_requester_reply(&pair.requester);
    assert_memory_equal((const uint8_t *)reply.data + 8 + 7, "firmware, version 7", 20);
    assert_int_equal(pair_op(&pair, SPDM_OP_MEASUREMENTS, &all), SPDM_DONE);
    assert_int_equal(pair_op(&pair, SPDM_OP_MEASUREMENTS, &one), SPDM_DONE);
    /* both ends forget what was before */
    assert_int_equal(pair_op(&pair, SPDM_OP_MEASUREMENTS, &none), SPDM_FAILED);
    assert_int_equal(pair_op(&pair, SPDM_OP_MEASUREMENTS, &all), SPDM_DONE);
    /* and so they do when something else is asked in between */
    assert_int_equal(pair_op(&pair, SPDM_OP_MEASUREMENTS, &one), SPDM_DONE);
    assert_int_equal(pair_ide(&pair, IDE_KM_QUERY, 0), SPDM_DONE);
    assert_int_equal(pair_op(&pair, SPDM_OP_MEASUREMENTS, &all), SPDM_DONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_flow),
        cmocka_unit_test(test_impostors),
        cmocka_unit_test(test_start_rules),
        cmocka_unit_test(test_measurement_transcript),
        cmocka_unit_test(test_tamper_protected_handshake),
        cmocka_unit_test(test_tamper_clear_handshake),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
