/*
 * What differs between SPDM 1.1 to 1.4, by hand-made messages: lengths, reserved fields, what is signed. Key
 * update and heartbeat in a session. Lengths and transcripts are DSP0274's, written down here a second time.
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

enum { SIG = 96, HASH = 48 };

static SpdmPair pair;
static uint8_t  said[4096], reply[SPDM_MSG_MAX]; /* the transcript so far; the last answer */
static size_t   said_len;

static void keep(const void *data, size_t len)
{
    assert_true(said_len + len <= sizeof(said));
    memcpy(said + said_len, data, len);
    said_len += len;
}

static size_t ask(const uint8_t *msg, size_t len)
{
    return pair_send(&pair, false, msg, len, reply, sizeof(reply));
}

static void expect(const char *what, size_t got, size_t len, uint8_t version, uint8_t code)
{
    if (got != len || reply[0] != version || reply[1] != code) {
        fail_msg("%s: %zu bytes, %02x %02x %02x %02x; wanted %zu of %02x %02x", what, got, reply[0], reply[1], reply[2],
                 reply[3], len, version, code);
    }
}

static void expect_error(size_t len, uint8_t version, uint8_t error)
{
    expect("error", len, 4, version, 0x7f);
    assert_int_equal(reply[2], error);
}

static const uint8_t get_version[] = { 0x10, 0x84, 0, 0 };

static size_t capabilities_len(uint8_t version) { return version >= 0x12 ? 20 : 12; }

/* GET_VERSION to NEGOTIATE_ALGORITHMS; what was said is kept. */
static void connect_with(uint8_t version)
{
    uint8_t caps[20] = { version, 0xe1, 0, 0, 0, 20, 0, 0, 0xc6, 0x82, 0, 0, 0, 0x10, 0, 0, 0, 0x10, 0, 0 };
    uint8_t algorithms[48] = { version, 0xe3, 4, 0, 48, 0, 1, 2, 0x80, 0, 0, 0, 2, 0, 0, 0,
                               [32] = 2, 0x20, 0x10, 0, 3, 0x20, 2, 0, 4, 0x20, 0x80, 0, 5, 0x20, 1, 0 };
    size_t  len = capabilities_len(version);

    pair_init(&pair, SPDM_RESPONDER_CAPS);
    pair.responder.config.version_min = SPDM_VERSION_11;
    pair.responder.config.version_max = SPDM_VERSION_14;
    said_len = 0;
    expect("version", ask(get_version, sizeof(get_version)), 14, 0x10, 0x04);
    assert_memory_equal(reply + 4, "\0\4\0\x11\0\x12\0\x13\0\x14", 10);
    keep(get_version, sizeof(get_version));
    keep(reply, 14);
    expect("capabilities", ask(caps, len), len, version, 0x61);
    keep(caps, len);
    keep(reply, len);
    expect("algorithms", ask(algorithms, sizeof(algorithms)), 52, version, 0x63);
    assert_int_equal(reply[7], version >= 0x12 ? 2 : 0); /* OtherParamsSelection came with 1.2 */
    keep(algorithms, sizeof(algorithms));
    keep(reply, 52);
}

/* The signature at the end of the last answer, over what was said with that answer before it. */
static void check_signature(uint8_t version, const char *context, const uint8_t *msg, size_t msg_len, size_t len,
                            size_t from)
{
    SpdmSigner signer = { version, spdm_hash(BIT(1)), spdm_asym(BIT(7)) };
    SpdmSpan   spans[] = { { said + from, said_len - from }, { msg, msg_len }, { reply, len - SIG } };
    SpdmPublicKey       point;
    const SpdmIdentity *id = pair_identity(SPDM_TEST_DEVICE);

    assert_null(spdm_chain_check(id->certs, id->certs_len, NULL, 0, SPDM_CHAIN_OF_RESPONDER, -1, &point));
    assert_true(spdm_verify(&signer, &point, context, spans, 3, reply + len - SIG));
    reply[4] ^= 1;
    assert_false(spdm_verify(&signer, &point, context, spans, 3, reply + len - SIG));
    reply[4] ^= 1;
}

static void check_identity(uint8_t version)
{
    size_t  context = version >= 0x13 ? SPDM_CONTEXT_LEN : 0, len;
    uint8_t digests[4] = { version, 0x81 }, size[8] = { version, 0x82, 0, 1 };
    uint8_t challenge[44] = { version, 0x83, 0, 0xff, 7, [36] = 0xc0, 1, 2, 3, 4, 5, 6, 7 };

    connect_with(version);
    expect("digests", ask(digests, sizeof(digests)), 4 + HASH, version, 0x01);
    assert_int_equal(reply[2], version >= 0x13 ? 1 : 0); /* SupportedSlotMask */
    assert_int_equal(reply[3], 1);
    keep(digests, sizeof(digests));
    keep(reply, 4 + HASH);
    len = ask(size, sizeof(size)); /* a length of 0: the chain's size since 1.3, an error before */
    if (version >= 0x13) {
        expect("slot size", len, 8, version, 0x02);
        assert_int_equal(le16_get(reply + 4), 0);
        assert_int_equal(le16_get(reply + 6), 4 + HASH + pair_identity(SPDM_TEST_DEVICE)->certs_len);
        keep(size, sizeof(size));
        keep(reply, 8);
    } else {
        expect_error(len, version, SPDM_INVALID_REQUEST);
    }
    len = 4 + HASH + 32 + HASH + 2 + context + SIG;
    expect("challenge", ask(challenge, 36 + context), len, version, 0x03);
    assert_memory_equal(reply + len - SIG - context, challenge + 36, context);
    check_signature(version, SPDM_SIGN_CHALLENGE, challenge, 36 + context, len, 0);
    if (version >= 0x13) {
        expect_error(ask(challenge, 36), version, SPDM_INVALID_REQUEST); /* no context */
    }
}

static void check_measurements(uint8_t version)
{
    size_t   context = version >= 0x13 ? SPDM_CONTEXT_LEN : 0, len, vca;
    uint8_t  count[12] = { version, 0xe0 }, all[45] = { version, 0xe0, 1, 0xff, 5, [37] = 0xc0, 1, 2 };
    unsigned n = version >= 0x12 ? 3 : 2; /* device mode came with 1.2 */

    connect_with(version);
    vca = said_len;
    expect("count", ask(count, 4 + context), 8 + 32 + 2 + context, version, 0x60);
    assert_int_equal(reply[2], n);
    keep(count, 4 + context);
    keep(reply, 8 + 32 + 2 + context);
    len = 8 + 2 * (7 + HASH) + (n - 2) * (7 + 16) + 32 + 2 + context + SIG;
    expect("all, signed", ask(all, 37 + context), len, version, 0x60);
    check_signature(version, SPDM_SIGN_MEASUREMENTS, all, 37 + context, len, version >= 0x12 ? 0 : vca);
}

static void test_versions(void **state)
{
    for (unsigned v = SPDM_VERSION_11; v <= SPDM_VERSION_14; v++) {
        check_identity((uint8_t)v);
        check_measurements((uint8_t)v);
    }
}

/* Versions that are not offered, errors' versions, and codes that 1.1 does not have. */
static void test_refused_versions(void **state)
{
    uint8_t caps[20] = { 0x13, 0xe1, 0, 0, 0, 32, 0, 0, 0xc6, 0x82, 0, 0, 0, 0x10, 0, 0, 0, 0x10, 0, 0 };
    uint8_t end[] = { 0x11, 0xec, 0, 0 };

    pair_init(&pair, SPDM_RESPONDER_CAPS); /* 1.2 alone */
    expect("version", ask(get_version, 4), 8, 0x10, 0x04);
    expect_error(ask(caps, 20), 0x10, SPDM_VERSION_MISMATCH);
    caps[0] = 0x11;
    expect_error(ask(caps, 12), 0x10, SPDM_VERSION_MISMATCH);
    caps[0] = 0x12; /* exponent 32 is too much: now the version is one of ours */
    expect_error(ask(caps, 20), 0x12, SPDM_INVALID_REQUEST);
    connect_with(0x11);
    expect_error(ask(end, sizeof(end)), 0x11, SPDM_UNSPECIFIED); /* SessionRequired came with 1.2 */
    connect_with(0x12);
    end[0] = 0x12;
    expect_error(ask(end, sizeof(end)), 0x12, SPDM_SESSION_REQUIRED);
}

/* DSP0274 "Flag fields definitions for the Requester", what 1.1 and 1.3 have of their own. */
static void test_flags(void **state)
{
    static const struct {
        const char *name;
        uint8_t     version, param1;
        uint32_t    flags;
        bool        ok;
    } rows[] = {
        { "1.1, MUT_AUTH without ENCAP", 0x11, 0, 0x3c6, false },
        { "1.1, MUT_AUTH with ENCAP", 0x11, 0, 0x13c6, true },
        { "1.2, MUT_AUTH without ENCAP", 0x12, 0, 0x3c6, true },
        { "1.3, EP_INFO 3", 0x13, 0, 0xc002c6, false },
        { "1.3, EP_INFO with signature", 0x13, 0, 0x8002c6, true },
        { "1.3, EP_INFO with signature, no key", 0x13, 0, 0x8002c0, false },
        { "1.3, certificate for EP_INFO alone", 0x13, 0, 0x800002, true },
        { "1.2, certificate for nothing", 0x12, 0, 0x800002, false },
        { "1.3, EVENT without sessions", 0x13, 0, 0x2000006, false },
        { "1.3, EVENT", 0x13, 0, 0x20002c6, true },
        { "1.3, MULTI_KEY 3", 0x13, 0, 0xc0002c6, false },
        { "1.3, MULTI_KEY", 0x13, 0, 0x40002c6, true },
        { "1.3, MULTI_KEY without certificates", 0x13, 0, 0x40002c0, false },
        { "1.3, algorithms without CHUNK", 0x13, 1, 0x2c6, false },
        { "1.3, algorithms with CHUNK", 0x13, 1, 0x202c6, true },
        { "1.2, algorithms without CHUNK", 0x12, 1, 0x2c6, true },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        uint8_t caps[20] = { rows[i].version, 0xe1, rows[i].param1, 0, 0, 20, [13] = 0x10, [17] = 0x10 };
        size_t  len = capabilities_len(rows[i].version);

        le32_put(caps + 8, rows[i].flags);
        pair_init(&pair, SPDM_RESPONDER_CAPS);
        pair.responder.config.version_min = SPDM_VERSION_11;
        pair.responder.config.version_max = SPDM_VERSION_14;
        (void)ask(get_version, 4);
        expect(rows[i].name, ask(caps, len), rows[i].ok ? len : 4, rows[i].version, rows[i].ok ? 0x61 : 0x7f);
    }
}

/* 1.4: tables 6 and 7 may be there, and nothing of them is selected; earlier versions do not know them. */
static void test_post_quantum(void **state)
{
    for (uint8_t v = SPDM_VERSION_13; v <= SPDM_VERSION_14; v++) {
        uint8_t caps[20] = { v, 0xe1, 0, 0, 0, 20, 0, 0, 0xc6, 0x82, 0, 0, 0, 0x10, 0, 0, 0, 0x10, 0, 0 };
        uint8_t algorithms[56] = { v, 0xe3, 6, 0, 56, 0, 1, 2, 0x80, 0, 0, 0, 2, 0, 0, 0, 7 };
        static const uint8_t tables[] = { 2, 0x20, 0x10, 0, 3, 0x20, 2, 0, 4, 0x20, 0x80, 0,
                                          5, 0x20, 1, 0, 6, 0x20, 7, 0, 7, 0x20, 7, 0 };

        memcpy(algorithms + 32, tables, sizeof(tables));
        connect_with(v);
        (void)ask(get_version, sizeof(get_version));
        expect("capabilities", ask(caps, sizeof(caps)), 20, v, 0x61);
        if (v == SPDM_VERSION_13) {
            expect_error(ask(algorithms, sizeof(algorithms)), v, SPDM_INVALID_REQUEST);
            continue;
        }
        expect("algorithms", ask(algorithms, sizeof(algorithms)), 36 + 24, v, 0x63);
        assert_memory_equal(reply + 20, "\0\0\0\0", 4); /* PqcAsymSel */
        assert_memory_equal(reply + 36 + 16, "\6\x20\0\0\7\x20\0", 8);
    }
}

/* 1.4: requests whose lengths have 32 bits need LARGE_RESP_CAP; the bit is reserved before. */
static void test_large(void **state)
{
    for (uint8_t v = SPDM_VERSION_13; v <= SPDM_VERSION_14; v++) {
        const uint8_t get[16] = { v, 0x82, 0x80, 0, 0, 0, 9, 0, 0, 0, 0, 0, 9 };
        const uint8_t vendor[] = { v, 0xfe, 0x80, 0, 3, 0, 2, 1, 0, 1, 0, 0, 0 };
        size_t        len;

        connect_with(v);
        len = ask(get, v == SPDM_VERSION_14 ? 16 : 8);
        if (v == SPDM_VERSION_14) {
            expect_error(len, v, SPDM_UNSUPPORTED_REQUEST);
            assert_int_equal(reply[3], 0x82);
            expect_error(ask(vendor, sizeof(vendor)), v, SPDM_INVALID_REQUEST);
        } else {
            expect("certificate", len, 8 + 9, v, 0x02);
            assert_int_equal(ask(vendor, sizeof(vendor)), 0); /* outside a session */
        }
    }
}

/* An assignment in each version, in chunks too, with a handshake of either kind; and from a pre-shared key. */
static void test_sessions(void **state)
{
    for (unsigned row = 0; row < 4 * 2 * 2; row++) {
        uint8_t   v = (uint8_t)(SPDM_VERSION_11 + row / 4);
        bool      clear = row & 1, small = (row & 2) && v >= SPDM_VERSION_12;
        SpdmOffer offer = { v, v, { 0 } };

        pair_init(&pair, (SPDM_RESPONDER_CAPS & ~(clear ? 0u : (uint32_t)SPDM_CAP_HANDSHAKE_IN_THE_CLEAR)) |
                             (small ? SPDM_CAP_CHUNK : 0u) | SPDM_CAP_PSK_WITH_CONTEXT);
        pair.responder.config.version_min = SPDM_VERSION_11;
        pair.responder.config.version_max = SPDM_VERSION_14;
        pair.requester.options.transfer_size = small ? 42 : 0;
        pair.responder.config.transfer_size = small ? 64 : SPDM_MSG_MAX;
        spdm_requester_offer(&pair.requester, &offer);
        if (!pair_run(&pair, pair_n_stages)) {
            fail_msg("%x, row %u: %s", v, row, spdm_requester_error(&pair.requester));
        }
        assert_int_equal(pair.requester.version, v);
        pair.requester.options.psk = pair_psk();
        assert_int_equal(pair_connect(&pair), SPDM_DONE);
        assert_int_equal(pair_op(&pair, SPDM_OP_PSK_SESSION, NULL), SPDM_DONE);
        assert_int_equal(pair_ide(&pair, IDE_KM_QUERY, 0), SPDM_DONE);
    }
}

/* Opaque data in FINISH of 1.4: as long as it says, 1024 bytes at most, part of what the MAC covers. */
static void test_finish_opaque(void **state)
{
    static const struct {
        const char *name;
        uint16_t    said, had;
        bool        ok;
    } rows[] = {
        { "none", 0, 0, true },         { "some", 4, 4, true },     { "most", 1024, 1024, true },
        { "too much", 1025, 1025, false }, { "more than there is", 8, 4, false }, { "less", 0, 4, false },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        SpdmOffer   offer = { 0x14, 0x14, { 0 } };
        uint8_t     finish[6 + 1028 + HASH] = { 0x14, 0xe5, 0, 0 };
        size_t      len = 6u + rows[i].had;
        SpdmSession *session = &pair.requester.session;

        pair_init(&pair, SPDM_RESPONDER_CAPS);
        pair.responder.config.version_max = SPDM_VERSION_14;
        spdm_requester_offer(&pair.requester, &offer);
        assert_int_equal(pair_connect(&pair), SPDM_DONE);
        assert_null(spdm_requester_start(&pair.requester, SPDM_OP_SESSION, NULL));
        assert_int_equal(pair_step(&pair), SPDM_CONTINUE);
        le16_put(finish + 4, rows[i].said);
        spdm_transcript_add(&session->th, finish, len);
        {
            SpdmSpan th = spdm_transcript_span(&session->th);
            uint8_t  digest[HASH];

            assert_true(spdm_hash_spans(spdm_hash(BIT(1)), &th, 1, digest));
            assert_true(spdm_hmac(spdm_hash(BIT(1)), session->keys.request_finished, HASH, digest, HASH, finish + len));
        }
        len = ask(finish, len + HASH);
        if (rows[i].ok) {
            expect(rows[i].name, len, 6 + HASH, 0x14, 0x65);
            assert_int_equal(le16_get(reply + 4), 0);
        } else {
            expect(rows[i].name, len, 4, 0x14, 0x7f);
            assert_int_equal(pair.sessions_begun, 0);
        }
    }
}

/* ---- in a session ---- */

static int64_t now;

static int64_t get_now(void *opaque) { return now; }

/* A session whose requester has announced more than the module does. */
static void open_session(uint8_t heartbeat_s)
{
    pair_init(&pair, SPDM_RESPONDER_CAPS | (heartbeat_s != 0 ? (uint32_t)SPDM_CAP_HBEAT : 0));
    pair.responder.config.heartbeat_s = heartbeat_s;
    pair.responder.config.now_ns = get_now;
    pair.requester.options.heartbeat = heartbeat_s != 0;
    assert_int_equal(pair_connect(&pair), SPDM_DONE);
    pair.responder.peer_capabilities |= SPDM_CAP_KEY_UPD;
    assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_DONE);
}

static size_t send(uint8_t code, uint8_t param1, uint8_t param2)
{
    const uint8_t msg[] = { 0x12, code, param1, param2 };

    return pair_send(&pair, true, msg, sizeof(msg), reply, sizeof(reply));
}

static SpdmSuite suite(void) { return (SpdmSuite){ 0x12, spdm_hash(BIT(1)), spdm_aead(BIT(1)) }; }

static void update_request(void)
{
    SpdmSuite s = suite();
    SpdmKeys *k = &pair.requester.session.keys;

    assert_true(spdm_update_channel(&s, k->request_secret, &k->request_data));
}

static void update_response(void)
{
    SpdmSuite s = suite();
    SpdmKeys *k = &pair.requester.session.keys;

    assert_true(spdm_update_channel(&s, k->response_secret, &k->response_data));
}

static void expect_ack(size_t len, uint8_t op, uint8_t tag)
{
    expect("KEY_UPDATE_ACK", len, 4, 0x12, 0x69);
    assert_int_equal(reply[2], op);
    assert_int_equal(reply[3], tag);
}

/* The answer to UpdateKey has the response key that was; the answer to UpdateAllKeys the next one. */
static void test_key_update(void **state)
{
    const uint8_t all[] = { 0x12, 0xe9, 2, 0x22 };
    uint8_t       record[64], out[128];
    bool          secured;
    size_t        len, plain;

    open_session(0);
    expect_ack(send(SPDM_KEY_UPDATE, 1, 0x11), 1, 0x11);
    update_request();
    expect_ack(send(SPDM_KEY_UPDATE, 3, 0x12), 3, 0x12);
    expect_error(send(SPDM_KEY_UPDATE, 3, 0x12), 0x12, SPDM_INVALID_REQUEST); /* nothing to verify */
    assert_int_equal(pair_ide(&pair, IDE_KM_QUERY, 0), SPDM_DONE);

    SpdmSession *s = &pair.requester.session;
    len = spdm_record_seal(spdm_aead(BIT(1)), &s->keys.request_data, s->id, all, sizeof(all), record, sizeof(record));
    len = spdm_responder_handle(&pair.responder, true, record, len, out, sizeof(out), &secured);
    update_request();
    update_response();
    assert_true(spdm_record_open(spdm_aead(BIT(1)), &s->keys.response_data, out, len, reply, sizeof(reply), &plain));
    expect_ack(plain, 2, 0x22);
    expect_error(send(SPDM_KEY_UPDATE, 1, 0), 0x12, SPDM_INVALID_REQUEST); /* the last one is not verified yet */
    expect_ack(send(SPDM_KEY_UPDATE, 3, 0x23), 3, 0x23);
    expect_error(send(SPDM_KEY_UPDATE, 0, 0), 0x12, SPDM_INVALID_REQUEST);
    expect_error(send(SPDM_KEY_UPDATE, 4, 0), 0x12, SPDM_INVALID_REQUEST);
    assert_int_equal(pair_ide(&pair, IDE_KM_QUERY, 0), SPDM_DONE);
    assert_int_equal(pair.sessions_ended, 0);
}

/* A requester that missed the answer goes on with the old key; one that makes up a key loses its session. */
static void test_key_update_missed(void **state)
{
    open_session(0);
    expect_ack(send(SPDM_KEY_UPDATE, 1, 1), 1, 1);
    assert_int_equal(pair_ide(&pair, IDE_KM_QUERY, 0), SPDM_DONE);
    expect_error(send(SPDM_KEY_UPDATE, 3, 1), 0x12, SPDM_INVALID_REQUEST); /* it was taken back */
    expect_ack(send(SPDM_KEY_UPDATE, 1, 2), 1, 2);
    update_request();
    expect_ack(send(SPDM_KEY_UPDATE, 3, 3), 3, 3);
    pair.requester.session.keys.request_data.key[0] ^= 1;
    expect_error(send(SPDM_KEY_UPDATE, 1, 4), 0x12, SPDM_DECRYPT_ERROR);
    assert_int_equal(pair.sessions_ended, 1);
}

/* A requester's signs of life, in sessions of both kinds; a period that was not agreed is refused. */
static void test_requesters_heartbeat(void **state)
{
    for (unsigned psk = 0; psk < 2; psk++) {
        SpdmOp open = psk ? SPDM_OP_PSK_SESSION : SPDM_OP_SESSION;

        now = 0;
        pair_init(&pair, SPDM_RESPONDER_CAPS | SPDM_CAP_HBEAT | SPDM_CAP_PSK_WITH_CONTEXT);
        pair.responder.config.heartbeat_s = 3;
        pair.responder.config.now_ns = get_now;
        pair.requester.options.heartbeat = true;
        pair.requester.options.psk = pair_psk();
        assert_int_equal(pair_connect(&pair), SPDM_DONE);
        assert_string_equal(spdm_requester_start(&pair.requester, SPDM_OP_HEARTBEAT, NULL), "there is no session");
        assert_int_equal(pair_op(&pair, open, NULL), SPDM_DONE);
        assert_int_equal(spdm_requester_heartbeat_s(&pair.requester), 3);
        now = 5000000000;
        assert_int_equal(pair_op(&pair, SPDM_OP_HEARTBEAT, NULL), SPDM_DONE);
        assert_int_equal(spdm_responder_expire(&pair.responder, now), 11000000000);

        pair.requester.options.heartbeat = false; /* as if it had not been announced */
        assert_int_equal(pair_op(&pair, SPDM_OP_END_SESSION, NULL), SPDM_DONE);
        assert_int_equal(pair_op(&pair, open, NULL), SPDM_FAILED);
        assert_string_equal(spdm_requester_error(&pair.requester),
                            "the device wants a heartbeat, which was not agreed");
        assert_int_equal(pair_connect(&pair), SPDM_DONE);
        assert_int_equal(pair_op(&pair, open, NULL), SPDM_DONE);
        assert_string_equal(spdm_requester_start(&pair.requester, SPDM_OP_HEARTBEAT, NULL),
                            "the session needs no heartbeat");
    }
}

/* DSP0277 "Sequence number": a key meets each number once. A session whose numbers are used up is over, unless its keys
 * are updated in time. */
static void test_sequence_numbers(void **state)
{
    SpdmKeys *ours = &pair.requester.session.keys, *theirs = &pair.responder.sessions[0].keys;

    open_session(0); /* the device's */
    ours->response_data.sequence = theirs->response_data.sequence = UINT64_MAX - 1;
    assert_int_equal(pair_ide(&pair, IDE_KM_QUERY, 0), SPDM_DONE);
    assert_int_equal(pair.sessions_ended, 0);
    assert_int_equal(send(SPDM_HEARTBEAT, 0, 0), 0); /* there is no answer that it could give */
    assert_int_equal(pair.sessions_ended, 1);

    open_session(0); /* the requester's, which notices by itself */
    ours->request_data.sequence = theirs->request_data.sequence = UINT64_MAX - 1;
    assert_int_equal(pair_ide(&pair, IDE_KM_QUERY, 0), SPDM_DONE);
    assert_int_equal(pair_ide(&pair, IDE_KM_QUERY, 0), SPDM_FAILED);
    assert_string_equal(spdm_requester_error(&pair.requester), "the session's sequence numbers are used up");
    assert_false(spdm_requester_has_session(&pair.requester));

    open_session(0); /* and if it does not, the device takes no number again */
    theirs->request_data.sequence = UINT64_MAX;
    expect_error(send(SPDM_HEARTBEAT, 0, 0), 0x12, SPDM_DECRYPT_ERROR);
    assert_int_equal(pair.sessions_ended, 1);

    open_session(0); /* with new keys in time it goes on */
    ours->request_data.sequence = theirs->request_data.sequence = UINT64_MAX - 1;
    expect_ack(send(SPDM_KEY_UPDATE, 1, 1), 1, 1);
    update_request();
    expect_ack(send(SPDM_KEY_UPDATE, 3, 2), 3, 2);
    assert_int_equal(theirs->request_data.sequence, 1);
    assert_int_equal(pair_ide(&pair, IDE_KM_QUERY, 0), SPDM_DONE);
    assert_int_equal(pair.sessions_ended, 0);
}

/* Nobody has to take what was not agreed. */
static void test_not_agreed(void **state)
{
    open_session(3);
    pair.responder.peer_capabilities &= ~(uint32_t)(SPDM_CAP_KEY_UPD | SPDM_CAP_HBEAT);
    expect_error(send(SPDM_KEY_UPDATE, 1, 1), 0x12, SPDM_UNSUPPORTED_REQUEST);
    assert_int_equal(reply[3], 0xe9);
    expect_error(send(SPDM_HEARTBEAT, 0, 0), 0x12, SPDM_UNSUPPORTED_REQUEST);
    assert_int_equal(reply[3], SPDM_HEARTBEAT);
    assert_int_equal(spdm_responder_expire(&pair.responder, INT64_MAX), INT64_MAX);
    assert_int_equal(pair.sessions_ended, 0);
}

static void test_heartbeat(void **state)
{
    const int64_t s = 1000000000;

    now = 100 * s;
    open_session(3);
    assert_int_equal(spdm_responder_expire(&pair.responder, now), 106 * s);
    now = 105 * s;
    expect("HEARTBEAT_ACK", send(0xe8, 0, 0), 4, 0x12, 0x68);
    assert_int_equal(spdm_responder_expire(&pair.responder, 106 * s), 111 * s);
    now = 110 * s;
    assert_int_equal(pair_ide(&pair, IDE_KM_QUERY, 0), SPDM_DONE); /* any message will do */
    assert_int_equal(spdm_responder_expire(&pair.responder, 116 * s - 1), 116 * s);
    assert_int_equal(pair.sessions_ended, 0);
    assert_int_equal(spdm_responder_expire(&pair.responder, 116 * s), INT64_MAX);
    assert_int_equal(pair.sessions_ended, 1);
    open_session(0);
    expect_error(send(SPDM_HEARTBEAT, 0, 0), 0x12, SPDM_UNSUPPORTED_REQUEST); /* HBEAT_CAP goes with a period */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions),             cmocka_unit_test(test_refused_versions),
        cmocka_unit_test(test_flags),                cmocka_unit_test(test_key_update),
        cmocka_unit_test(test_key_update_missed),    cmocka_unit_test(test_not_agreed),
        cmocka_unit_test(test_heartbeat),            cmocka_unit_test(test_post_quantum),
        cmocka_unit_test(test_large),                cmocka_unit_test(test_sessions),
        cmocka_unit_test(test_finish_opaque),        cmocka_unit_test(test_requesters_heartbeat),
        cmocka_unit_test(test_sequence_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
