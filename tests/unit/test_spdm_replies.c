/*
 * A device that answers out of form: responses made by hand, sealed with the session's keys, and what the requester
 * says of each. The operation fails, and the session stays.
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

#define CAPS                                                                                              \
    (SPDM_RESPONDER_CAPS | SPDM_CAP_MEL | SPDM_CAP_SET_CERT | SPDM_CAP_CSR | SPDM_CAP_GET_KEY_PAIR_INFO | \
     SPDM_CAP_HBEAT)

static SpdmPair pair, saved;
static uint8_t  large[SPDM_MSG_MAX + 1];

/* @len 0: as many bytes as are given, else zeros up to there. */
static const struct {
    const char *name;
    SpdmOp      op;
    uint8_t     index, n; /* of a measurement; bytes given */
    uint16_t    len;
    uint8_t     bytes[64];
    const char *says;
} rows[] = {
    { "END_SESSION_ACK too long", SPDM_OP_END_SESSION, 0, 4, 8, { 0x13, 0x6c }, "END_SESSION_ACK has a wrong length" },
    { "vendor: another protocol", SPDM_OP_VENDOR, 0, 15, 0,
      { 0x13, 0x7e, 0, 0, 3, 0, 2, 1, 0, 4, 0, 0, 0, 0, 0 }, "no PCI-SIG message of the protocol" },
    { "vendor: another standard", SPDM_OP_VENDOR, 0, 15, 0,
      { 0x13, 0x7e, 0, 0, 1, 0, 2, 1, 0, 4, 0, 1, 0, 0, 0 }, "no PCI-SIG message of the protocol" },
    { "log: short", SPDM_OP_LOG, 0, 11, 0, { 0x13, 0x6f }, "LOG has a wrong length" },
    { "log: empty portion", SPDM_OP_LOG, 0, 12, 0, { 0x13, 0x6f, [8] = 9 }, "LOG has a wrong length" },
    { "log: portion beyond message", SPDM_OP_LOG, 0, 12, 20, { 0x13, 0x6f, [4] = 12 }, "LOG has a wrong length" },
    { "log: more than was asked for", SPDM_OP_LOG, 0, 12, 12 + 0x401, { 0x13, 0x6f, [4] = 1, 4 }, "LOG has a wrong" },
    { "log: longer than 4 KiB", SPDM_OP_LOG, 0, 12, 16, { 0x13, 0x6f, [4] = 4, [9] = 0x10 }, "longer than 4 KiB" },
    { "log: 4 GiB", SPDM_OP_LOG, 0, 12, 16, { 0x13, 0x6f, [4] = 4, [8] = 0xff, 0xff, 0xff, 0xff }, "than 4 KiB" },
    { "CSR: beyond message", SPDM_OP_GET_CSR, 0, 8, 12, { 0x13, 0x6d, [4] = 8 }, "CSR has a wrong length" },
    { "CSR: short", SPDM_OP_GET_CSR, 0, 6, 0, { 0x13, 0x6d }, "CSR has a wrong length" },
    { "SET_CERTIFICATE_RSP: another slot", SPDM_OP_SET_CERTIFICATE, 0, 4, 0, { 0x13, 0x6e, 4 }, "length or slot" },
    { "SET_CERTIFICATE_RSP: too long", SPDM_OP_SET_CERTIFICATE, 0, 4, 8, { 0x13, 0x6e, 3 }, "length or slot" },
    { "KEY_PAIR_INFO: short", SPDM_OP_KEY_PAIRS, 0, 6, 22, { 0x13, 0x7c, 0, 0, 1, 1 }, "KEY_PAIR_INFO has a wrong" },
    { "KEY_PAIR_INFO: algorithm beyond message", SPDM_OP_KEY_PAIRS, 0, 21, 23,
      { 0x13, 0x7c, 0, 0, 1, 1, [20] = 5 }, "KEY_PAIR_INFO has a wrong" },
    { "KEY_PAIR_INFO: too long", SPDM_OP_KEY_PAIRS, 0, 6, 27, { 0x13, 0x7c, 0, 0, 1, 1 }, "KEY_PAIR_INFO has a wrong" },
    { "KEY_PAIR_INFO: another pair", SPDM_OP_KEY_PAIRS, 0, 6, 23, { 0x13, 0x7c, 0, 0, 2, 2 }, "of another pair" },
    { "KEY_PAIR_INFO: one of none", SPDM_OP_KEY_PAIRS, 0, 6, 23, { 0x13, 0x7c, 0, 0, 0, 1 }, "of another pair" },
    { "HEARTBEAT_ACK too long", SPDM_OP_HEARTBEAT, 0, 4, 8, { 0x13, 0x68 }, "HEARTBEAT_ACK has a wrong length" },
    { "measurements: short", SPDM_OP_MEASUREMENTS, 0, 8, 49, { 0x13, 0x60 }, "MEASUREMENTS is malformed" },
    { "measurements: another context", SPDM_OP_MEASUREMENTS, 0, 50, 0, { 0x13, 0x60, [49] = 1 }, "is malformed" },
    { "measurements: record beyond message", SPDM_OP_MEASUREMENTS, 0, 8, 50, { 0x13, 0x60, [5] = 9 }, "malformed" },
    { "measurements: opaque beyond message", SPDM_OP_MEASUREMENTS, 0, 42, 50, { 0x13, 0x60, [40] = 9 }, "malformed" },
    { "measurements: a block of another index", SPDM_OP_MEASUREMENTS, 1, 16, 58,
      { 0x13, 0x60, 0, 0, 1, 8, 0, 0, 2, 1, 4, 0, 1, 1, 0, 7 }, "malformed" },
    { "measurements: of another specification", SPDM_OP_MEASUREMENTS, 0xff, 16, 58,
      { 0x13, 0x60, 0, 0, 1, 8, 0, 0, 1, 2, 4, 0, 1, 1, 0, 7 }, "malformed" },
    { "measurements: sizes apart", SPDM_OP_MEASUREMENTS, 0xff, 16, 58,
      { 0x13, 0x60, 0, 0, 1, 8, 0, 0, 1, 1, 5, 0, 1, 1, 0, 7 }, "malformed" },
    { "measurements: fewer blocks than bytes", SPDM_OP_MEASUREMENTS, 0xff, 16, 58,
      { 0x13, 0x60, 0, 0, 0, 8, 0, 0, 1, 1, 4, 0, 1, 1, 0, 7 }, "malformed" },
    { "measurements: twice the same", SPDM_OP_MEASUREMENTS, 0xff, 24, 66,
      { 0x13, 0x60, 0, 0, 2, 16, 0, 0, 1, 1, 4, 0, 1, 1, 0, 7, 1, 1, 4, 0, 1, 1, 0, 7 }, "malformed" },
    { "measurements: none of all", SPDM_OP_MEASUREMENTS, 0xff, 8, 50, { 0x13, 0x60 }, "malformed" },
    { "measurements: none of one", SPDM_OP_MEASUREMENTS, 1, 8, 50, { 0x13, 0x60 }, "malformed" },
    { "another version", SPDM_OP_END_SESSION, 0, 4, 0, { 0x12, 0x6c }, "does not answer" },
    { "another code", SPDM_OP_END_SESSION, 0, 4, 0, { 0x13, 0x6d }, "does not answer" },
    { "shorter than a header", SPDM_OP_END_SESSION, 0, 3, 0, { 0x13, 0x6c }, "shorter than a header" },
    { "an error", SPDM_OP_LOG, 0, 4, 0, { 0x13, 0x7f, 0x0c, 5 }, "ERROR 0x0c (data 0x05) to request 0xef" },
};

static void open_session_of(uint8_t version)
{
    pair_init(&pair, CAPS);
    pair.responder.config.version_max = version;
    pair.responder.config.heartbeat_s = 3;
    pair.requester.options.heartbeat = true;
    assert_true(pair_run(&pair, pair_stage("session") + 1));
}

static void open_session(void) { open_session_of(SPDM_VERSION_13); }

/* Begins an operation whose request is on its way. */
static void begin(SpdmOp op, uint8_t index)
{
    static const uint8_t version[] = { 0x10, 0x81 }, nonce[SPDM_NONCE_LEN]; /* a context of zeros, too */
    SpdmOpArgs args = { .index = index, .protocol = SPDM_PCI_PROTOCOL_TDISP, .slot = 3, .nonce = nonce };
    uint8_t              out[SPDM_MSG_MAX];
    bool                 secured;

    if (op == SPDM_OP_VENDOR) {
        args.message = version;
        args.len = sizeof(version);
    }
    assert_null(spdm_requester_start(&pair.requester, op, &args));
    assert_true(spdm_requester_next(&pair.requester, out, sizeof(out), &secured) > 0);
}

static SpdmResult answer(const uint8_t *msg, size_t len)
{
    uint8_t record[SPDM_MSG_MAX];

    len = spdm_record_seal(spdm_aead(pair.requester.selected.aead), &pair.responder.sessions[0].keys.response_data,
                           pair.requester.session.id, msg, len, record, sizeof(record));
    return spdm_requester_response(&pair.requester, record, len, true);
}

static void expect_failure(const char *name, SpdmResult result, const char *says)
{
    if (result != SPDM_FAILED || strstr(spdm_requester_error(&pair.requester), says) == NULL) {
        fail_msg("%s: %d, %s", name, (int)result, spdm_requester_error(&pair.requester));
    }
}

static void test_rows(void **state)
{
    open_session();
    saved = pair;
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        size_t len = rows[i].len != 0 ? rows[i].len : rows[i].n;

        pair = saved;
        begin(rows[i].op, rows[i].index);
        memset(large, 0, sizeof(large));
        memcpy(large, rows[i].bytes, rows[i].n);
        expect_failure(rows[i].name, answer(large, len), rows[i].says);
        assert_true(spdm_requester_has_session(&pair.requester));
    }
}

/* An answer outside the session to a question inside, or what is not sealed with its keys, ends it. */
static void test_unprotected(void **state)
{
    static const uint8_t ack[4] = { 0x13, 0x6c };

    open_session();
    begin(SPDM_OP_END_SESSION, 0);
    expect_failure("plain", spdm_requester_response(&pair.requester, ack, sizeof(ack), false), "wrong type");
    assert_false(spdm_requester_has_session(&pair.requester));
    open_session();
    begin(SPDM_OP_END_SESSION, 0);
    expect_failure("no record", spdm_requester_response(&pair.requester, ack, sizeof(ack), true), "decrypted");
    assert_false(spdm_requester_has_session(&pair.requester));
}

/* What a device tells of its key pairs without end is given up. */
static void test_endless_pairs(void **state)
{
    open_session();
    begin(SPDM_OP_KEY_PAIRS, 0);
    for (uint8_t number = 1; number <= 2; number++) {
        uint8_t    info[2200] = { 0x13, 0x7c, 0, 0, 9, number }, out[SPDM_MSG_MAX];
        SpdmResult result;
        bool       secured;

        le16_put(info + 20, sizeof(info) - 23);
        result = answer(info, sizeof(info));
        if (number == 1) {
            assert_int_equal(result, SPDM_CONTINUE);
            assert_true(spdm_requester_next(&pair.requester, out, sizeof(out), &secured) > 0);
        } else {
            expect_failure("two of 2 KiB", result, "longer than 4 KiB");
        }
    }
}

/* KEY_PAIR_INFO of 1.4 as libspdm's responder sent it until June 2026, with six zeros behind its fields; DOE pads the
 * whole to a DW. Nothing else is taken there, and nothing before 1.4. */
static void test_surplus(void **state)
{
    enum { LEN = 23 + 10 };
    static const struct {
        const char *name;
        uint8_t     version, extra, at; /* bytes behind the fields; the one that is not 0; 0: all are */
        bool        taken, seen;
    } cases[] = {
        { "none", 0x14, 0, 0, true, false },          { "padding", 0x14, 3, 0, true, false },
        { "four", 0x14, 4, 0, false, false },         { "five", 0x14, 5, 0, false, false },
        { "six", 0x14, 6, 0, true, true },            { "six and padding", 0x14, 9, 0, true, true },
        { "ten", 0x14, 10, 0, false, false },         { "the first is no zero", 0x14, 6, LEN, false, false },
        { "the last is no zero", 0x14, 6, LEN + 5, false, false },
        { "1.3, padding", 0x13, 3, 0, true, false },  { "1.3, six", 0x13, 6, 0, false, false },
    };

    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        bool       is_14 = cases[i].version == SPDM_VERSION_14;
        uint8_t    info[64] = { cases[i].version, 0x7c, 0, 0, 1, 1 };
        SpdmResult result;

        open_session_of(cases[i].version);
        begin(SPDM_OP_KEY_PAIRS, 0);
        info[23] = info[28] = is_14 ? 4 : 0; /* lengths of the post-quantum algorithms */
        info[cases[i].at] = cases[i].at != 0 ? 1 : cases[i].version;
        result = answer(info, (is_14 ? LEN : 23) + cases[i].extra);
        if (cases[i].taken) {
            assert_int_equal(result, SPDM_DONE);
            assert_int_equal(spdm_requester_key_pairs(&pair.requester).len, 2 + (is_14 ? LEN : 23) - 4);
        } else {
            expect_failure(cases[i].name, result, "KEY_PAIR_INFO has a wrong length");
        }
        assert_int_equal(pair.requester.surplus_key_pairs, cases[i].seen);
    }
}

/* A device's share that its key has signed, and is no member of the group all the same. */
static void test_no_member(void **state)
{
    enum { SHARE = 40, SIG = 96 };
    SpdmRequester *r = &pair.requester;
    SpdmSigner     signer = { SPDM_VERSION_12, spdm_hash(BIT(1)), spdm_asym(BIT(7)) };
    SpdmPrivateKey key = pair_identity(SPDM_TEST_DEVICE)->key;
    uint8_t        out[SPDM_MSG_MAX], rsp[SPDM_MSG_MAX];
    bool           secured;

    pair_init(&pair, SPDM_RESPONDER_CAPS);
    assert_int_equal(pair_connect(&pair), SPDM_DONE);
    assert_null(spdm_requester_start(r, SPDM_OP_SESSION, NULL));
    size_t   len = spdm_requester_next(r, out, sizeof(out), &secured);
    size_t   n = spdm_responder_handle(&pair.responder, false, out, len, rsp, sizeof(rsp), &secured);
    SpdmSpan th[] = { spdm_requester_vca(r), { r->chain_digest, signer.hash->len }, { out, len }, { rsp, n - SIG } };

    rsp[SHARE] ^= 1;
    assert_true(
        spdm_sign(&signer, &pair.device_entropy, &key, SPDM_SIGN_KEY_EXCHANGE, th, ARRAY_LEN(th), rsp + n - SIG));
    expect_failure("not a point", spdm_requester_response(r, rsp, n, false), "no member of the group");
    assert_false(spdm_requester_has_session(r));
}

/* Measurements that the device's key has signed, and are those of another slot all the same. */
static void test_another_slot(void **state)
{
    enum { SLOT = 3, SIG = 96 };
    static const uint8_t record[] = { 1, 1, 4, 0, 1, 1, 0, 7 };
    SpdmRequester       *r = &pair.requester;
    SpdmPrivateKey       key = pair_identity(SPDM_TEST_DEVICE)->key;
    uint8_t              out[SPDM_MSG_MAX];
    bool                 secured;

    for (uint8_t slot = 0; slot <= 1; slot++) {
        uint8_t    rsp[8 + sizeof(record) + SPDM_NONCE_LEN + 2 + SPDM_CONTEXT_LEN + SIG] = {
            0x13, 0x60, 0, slot, 1, sizeof(record) };
        size_t     covered = sizeof(rsp) - SIG;
        SpdmSigner signer = { SPDM_VERSION_13, spdm_hash(BIT(1)), spdm_asym(BIT(7)) };

        open_session();
        assert_null(spdm_requester_start(r, SPDM_OP_MEASUREMENTS, &(SpdmOpArgs){ .index = 0xff, .sign = true }));
        assert_true(spdm_requester_next(r, out, sizeof(out), &secured) > 0);
        memcpy(rsp + 8, record, sizeof(record));
        memcpy(rsp + covered - SPDM_CONTEXT_LEN, r->nonce, SPDM_CONTEXT_LEN);
        SpdmSpan l1l2[] = { spdm_requester_vca(r), spdm_requester_request(r), { rsp, covered } };
        assert_true(spdm_sign(&signer, &pair.device_entropy, &key, SPDM_SIGN_MEASUREMENTS, l1l2, ARRAY_LEN(l1l2),
                              rsp + covered));
        if (slot == 0) {
            assert_int_equal(answer(rsp, sizeof(rsp)), SPDM_DONE);
        } else {
            expect_failure("slot 1", answer(rsp, sizeof(rsp)), "of another slot");
        }
    }
}

/* A device that acknowledges a key update and goes on with the key that it had. */
static void test_key_not_updated(void **state)
{
    uint8_t out[SPDM_MSG_MAX], ack[4] = { 0x13, 0x69, SPDM_UPDATE_ALL_KEYS };
    bool    secured;

    pair_init(&pair, CAPS);
    pair.responder.config.version_max = SPDM_VERSION_13;
    pair.requester.options.encapsulated = true; /* and key updates */
    pair.responder.config.capabilities |= SPDM_CAP_ENCAP;
    assert_true(pair_run(&pair, pair_stage("session") + 1));
    assert_null(spdm_requester_start(&pair.requester, SPDM_OP_KEY_UPDATE, NULL));
    assert_true(spdm_requester_next(&pair.requester, out, sizeof(out), &secured) > 0);
    ack[3] = pair.requester.nonce[0];
    expect_failure("the old key", answer(ack, sizeof(ack)), "key that it had");
    assert_false(spdm_requester_has_session(&pair.requester));
}

/* A device that goes on asking. */
static void test_endless_requests(void **state)
{
    uint8_t    out[SPDM_MSG_MAX], first[] = { 0x13, 0x6a, 1, 0, 0x13, 0xff, 0, 0 };
    uint8_t    ack[] = { 0x13, 0x6b, 2, 1, 1, 0, 0, 0, 0x13, 0xff, 0, 0 };
    unsigned   n = 0;
    SpdmResult result;
    bool       secured;

    pair_init(&pair, CAPS);
    pair.responder.config.version_max = SPDM_VERSION_13;
    pair.requester.options.encapsulated = true;
    pair.responder.config.capabilities |= SPDM_CAP_ENCAP;
    assert_true(pair_run(&pair, pair_stage("session") + 1));
    assert_null(spdm_requester_start(&pair.requester, SPDM_OP_ENCAPSULATED, NULL));
    assert_true(spdm_requester_next(&pair.requester, out, sizeof(out), &secured) > 0);
    for (result = answer(first, sizeof(first)); result == SPDM_CONTINUE && n < 10000; n++) {
        assert_true(spdm_requester_next(&pair.requester, out, sizeof(out), &secured) > 0);
        result = answer(ack, sizeof(ack));
        ack[4]++;
        ack[2]++;
    }
    expect_failure("requests without end", result, "have no end");
    assert_true(n > 1000);
}

/* Flags that contradict each other, and sizes: DSP0274 "Flag fields definitions for the Responder". */
static void test_capabilities(void **state)
{
    const uint32_t all = SPDM_CAP_CERT | SPDM_CAP_CHAL | SPDM_CAP_MEAS_SIG | SPDM_CAP_ENCRYPT | SPDM_CAP_MAC |
                         SPDM_CAP_KEY_EX;
    const struct {
        const char *name;
        uint8_t     version;
        uint32_t    flags, size, max;
        bool        good;
    } caps[] = {
        { "as they should be", 0x13, all, 4096, 4096, true },
        { "PSK beside it", 0x13, all | SPDM_CAP_PSK_WITH_CONTEXT, 4096, 4096, true },
        { "measurements: reserved", 0x13, all | SPDM_CAP_MEAS, 4096, 4096, false },
        { "PSK: reserved", 0x13, all | SPDM_CAP_PSK, 4096, 4096, false },
        { "keys: reserved", 0x13, all | SPDM_CAP_MULTI_KEY | SPDM_CAP_GET_KEY_PAIR_INFO, 4096, 4096, false },
        { "keys: reserved, in 1.2 all of it is", 0x12, all | SPDM_CAP_MULTI_KEY, 4096, 4096, true },
        { "keys that it does not tell of", 0x13, all | SPDM_CAP_MULTI_KEY_NEG, 4096, 4096, false },
        { "information: reserved", 0x13, all | SPDM_CAP_EP_INFO, 4096, 4096, false },
        { "certificates and a public key", 0x13, all | SPDM_CAP_PUB_KEY_ID, 4096, 4096, false },
        { "mutual authentication of 1.1", 0x11, all | SPDM_CAP_MUT_AUTH, 0, 0, false },
        { "mutual authentication of 1.2", 0x12, all | SPDM_CAP_MUT_AUTH, 4096, 4096, true },
        { "installation of nothing", 0x12, all | SPDM_CAP_CERT_INSTALL_RESET, 4096, 4096, false },
        { "without chunks", 0x12, all, 64, 4096, false },
        { "with chunks", 0x12, all | SPDM_CAP_CHUNK, 64, 4096, true },
        { "a buffer of 41 bytes", 0x12, all | SPDM_CAP_CHUNK, 41, 4096, false },
        { "messages shorter than the buffer", 0x12, all | SPDM_CAP_CHUNK, 4096, 64, false },
    };

    for (unsigned i = 0; i < ARRAY_LEN(caps); i++) {
        uint8_t    rsp[20] = { caps[i].version, 0x61 }, out[SPDM_MSG_MAX];
        SpdmOffer  offer = { caps[i].version, caps[i].version, { 0 } };
        SpdmResult result;
        bool       secured;

        pair_init(&pair, CAPS);
        pair.responder.config.version_min = SPDM_VERSION_11;
        pair.responder.config.version_max = SPDM_VERSION_13;
        spdm_requester_offer(&pair.requester, &offer);
        assert_null(spdm_requester_start(&pair.requester, SPDM_OP_CONNECT, NULL));
        assert_int_equal(pair_step(&pair), SPDM_CONTINUE);
        assert_true(spdm_requester_next(&pair.requester, out, sizeof(out), &secured) > 0);
        le32_put(rsp + 8, caps[i].flags);
        le32_put(rsp + 12, caps[i].size);
        le32_put(rsp + 16, caps[i].max);
        result = spdm_requester_response(&pair.requester, rsp, caps[i].size != 0 ? 20 : 12, false);
        if (result != (caps[i].good ? SPDM_CONTINUE : SPDM_FAILED)) {
            fail_msg("%s: %d, %s", caps[i].name, (int)result, spdm_requester_error(&pair.requester));
        }
    }
}

/* Before there is a session. */
static void test_connection(void **state)
{
    uint8_t certificate[8 + 0x400] = { 0x12, 0x02, 0, 0, 0, 4, 0xff, 0xff }, out[SPDM_MSG_MAX];
    bool    secured;

    pair_init(&pair, CAPS);
    assert_null(spdm_requester_start(&pair.requester, SPDM_OP_CONNECT, NULL));
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(pair_step(&pair), SPDM_CONTINUE);
    }
    assert_true(spdm_requester_next(&pair.requester, out, sizeof(out), &secured) > 0);
    expect_failure("chain of 64 KiB",
                   spdm_requester_response(&pair.requester, certificate, sizeof(certificate), false), "8 KiB");
    assert_null(spdm_requester_start(&pair.requester, SPDM_OP_CONNECT, NULL));
    assert_true(spdm_requester_next(&pair.requester, out, sizeof(out), &secured) > 0);
    expect_failure("longer than was offered", spdm_requester_response(&pair.requester, large, sizeof(large), false),
                   "longer than was offered");
    assert_null(spdm_requester_start(&pair.requester, SPDM_OP_CONNECT, NULL));
    assert_int_equal(spdm_requester_next(&pair.requester, out, 3, &secured), 0);
    assert_string_equal(spdm_requester_error(&pair.requester), "the request does not fit its buffer");
    assert_int_equal(spdm_requester_response(&pair.requester, large, 4, false), SPDM_FAILED); /* nothing was asked */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows), cmocka_unit_test(test_unprotected), cmocka_unit_test(test_connection),
        cmocka_unit_test(test_endless_pairs), cmocka_unit_test(test_surplus), cmocka_unit_test(test_no_member),
        cmocka_unit_test(test_another_slot), cmocka_unit_test(test_key_not_updated),
        cmocka_unit_test(test_endless_requests),
        cmocka_unit_test(test_capabilities),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
