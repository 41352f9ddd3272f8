/*
 * Measurements in every form: each index, raw and digest, alone, all and the count, signed and not, in and outside a
 * session, in each version and with each measurement hash; the extension log and the measurement it makes. What must
 * come is built here a second time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "spdm/sign.h"
#include "spdm_pair.h"

enum { SIG = 96, HASH = 48, COUNT = 0, ALL = 0xff };

#define CAPS (SPDM_RESPONDER_CAPS | SPDM_CAP_MEL)

static SpdmPair pair;
static uint8_t  reply[SPDM_MSG_MAX], msg[64], want[SPDM_MSG_MAX];

/* Every type there is, with values of our own. */
static const struct {
    uint8_t     index, kind;
    bool        raw_only, tcb;
    const char *value;
    uint8_t     since; /* version that has the type */
} source[] = {
    { 1, 0, false, true, "rom", 0x11 },
    { 2, 1, false, true, "firmware", 0x11 },
    { 3, 2, false, true, "hardware configuration", 0x11 },
    { 4, 3, false, false, "firmware configuration", 0x11 },
    { 5, 6, true, false, "1.0", 0x12 },
    { 6, 7, true, false, "12345678", 0x12 },
    { 7, 8, false, false, "", 0x13 },
    { 8, 9, true, false, "for information", 0x13 },
    { 0xef, 10, false, false, "structured", 0x13 },
    { 0xfd, 4, false, false, "a manifest", 0x11 },
    { 0xfe, 5, true, false, "16 bytes of mode", 0x12 },
};

/* What is extended into measurement 7, and into another. */
static const struct {
    uint8_t     index, kind;
    const char *value;
} logged[] = { { 7, 9, "ROM" }, { 9, 1, "another's" }, { 7, 1, "firmware" }, { 7, 6, "1.0" } };

static bool measurement(void *opaque, unsigned n, SpdmMeasurement *m)
{
    if (n < ARRAY_LEN(source)) {
        *m = (SpdmMeasurement){ .index = source[n].index, .kind = source[n].kind, .raw_only = source[n].raw_only,
                                .tcb = source[n].tcb, .value = (const uint8_t *)source[n].value,
                                .len = (uint16_t)strlen(source[n].value) };
    }
    return n < ARRAY_LEN(source);
}

static bool log_entry(void *opaque, unsigned n, SpdmLogEntry *e)
{
    if (n < ARRAY_LEN(logged)) {
        *e = (SpdmLogEntry){ logged[n].index, logged[n].kind, (const uint8_t *)logged[n].value,
                             (uint16_t)strlen(logged[n].value) };
    }
    return n < ARRAY_LEN(logged);
}

/* @measure_hash 0: the negotiated one's. */
static void init(uint8_t version, uint32_t caps, uint32_t measure_hash, bool in_session)
{
    SpdmOffer offer = { version, version, { 0 } };

    pair_init(&pair, caps);
    pair.responder.config.measurement = measurement;
    pair.responder.config.log_entry = log_entry;
    if (measure_hash != 0) {
        pair.responder.config.algorithms.measure_hash = measure_hash;
    }
    pair.responder.config.version_min = SPDM_VERSION_11;
    pair.responder.config.version_max = SPDM_VERSION_13;
    spdm_requester_offer(&pair.requester, &offer);
    assert_int_equal(pair_connect(&pair), SPDM_DONE);
    if (in_session) {
        assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_DONE);
    }
}

/* DSP0274 1.3 "Measurement extension log": count, length, reserved; then index, measurement, reserved, type, size,
 * value. */
static size_t expected_log(uint8_t *log)
{
    size_t at = 16;

    memset(log, 0, at);
    for (unsigned i = 0; i < ARRAY_LEN(logged); i++) {
        size_t len = strlen(logged[i].value);

        memset(log + at, 0, 11);
        log[at] = (uint8_t)(i + 1);
        log[at + 4] = logged[i].index;
        log[at + 8] = 0x80 | logged[i].kind;
        log[at + 9] = (uint8_t)len;
        memcpy(log + at + 11, logged[i].value, len);
        at += 11 + len;
    }
    log[0] = ARRAY_LEN(logged);
    le32_put(log + 4, (uint32_t)(at - 16));
    return at;
}

static void expected_extended(const SpdmHash *hash, uint8_t *out)
{
    uint8_t log[512], state[SPDM_HASH_MAX + 64] = { 0 };
    size_t  at = 16, end = expected_log(log);

    for (; at < end; at += 11u + log[at + 9]) {
        memcpy(state + hash->len, log + at, 11u + log[at + 9]);
        if (log[at + 4] == 7) {
            assert_true(spdm_hash_spans(hash, &(SpdmSpan){ state, hash->len + 11u + log[at + 9] }, 1, state));
        }
    }
    memcpy(out, state, hash->len);
}

/* The record that must come, in want; returns its length. */
static size_t expected_record(uint8_t version, uint32_t measure_hash, uint8_t index, bool raw, unsigned *blocks)
{
    const SpdmHash *hash = spdm_measure_hash(measure_hash);
    ByteWriter      w = bw_init(want, sizeof(want));

    *blocks = 0;
    for (unsigned i = 0; i < ARRAY_LEN(source); i++) {
        size_t value_len = strlen(source[i].value), len;
        bool   extended = source[i].kind == 8;
        bool   as_is = !extended && (source[i].raw_only || hash == NULL || (raw && version >= 0x12));

        if (source[i].since > version || (extended && hash == NULL) || (index != ALL && index != source[i].index)) {
            continue;
        }
        len = as_is ? value_len : hash->len;
        bw_u8(&w, source[i].index);
        bw_u8(&w, 1);
        bw_u16(&w, (uint16_t)(3 + len));
        bw_u8(&w, source[i].kind | (as_is ? 0x80 : 0));
        bw_u16(&w, (uint16_t)len);
        if (as_is) {
            bw_bytes(&w, source[i].value, len);
        } else if (extended) {
            expected_extended(hash, bw_take(&w, len));
        } else {
            SpdmSpan value = { source[i].value, value_len };

            assert_true(spdm_hash_spans(hash, &value, 1, bw_take(&w, len)));
        }
        (*blocks)++;
    }
    return w.pos;
}

/* One GET_MEASUREMENTS, whole; its answer against what must come, its signature too. */
static void check_one(uint8_t version, uint32_t measure_hash, bool in_session, uint8_t index, bool raw, bool sign)
{
    size_t   context = version >= SPDM_VERSION_13 ? SPDM_CONTEXT_LEN : 0, msg_len = 4, len, record_len;
    unsigned blocks, total;
    uint8_t  header[] = { version, 0xe0, (uint8_t)(sign | raw << 1), index };
    size_t   all = expected_record(version, measure_hash, ALL, raw, &total);

    memset(msg, 0, sizeof(msg));
    memcpy(msg, header, 4);
    if (sign) {
        memset(msg + 4, 0x5a, 32); /* nonce; slot 0 */
        msg_len += 33;
    }
    memset(msg + msg_len, 0xc7, context);
    msg_len += context;
    record_len = index == COUNT ? 0 : expected_record(version, measure_hash, index, raw, &blocks);
    blocks = index == COUNT ? 0 : blocks;
    assert_true(index == ALL || record_len < all);
    len = pair_send(&pair, in_session, msg, msg_len, reply, sizeof(reply));
    if (index != COUNT && blocks == 0) {
        assert_int_equal(len, 4);
        assert_int_equal(reply[2], SPDM_INVALID_REQUEST);
        return;
    }
    if (len != 8 + record_len + 32 + 2 + context + (sign ? SIG : 0) || reply[1] != 0x60 ||
        reply[2] != (index == COUNT ? total : 0) || reply[3] != 0 || reply[4] != blocks ||
        le16_get(reply + 5) != record_len || memcmp(reply + 8, want, record_len) != 0 ||
        memcmp(reply + 8 + record_len + 34, "\xc7\xc7\xc7\xc7\xc7\xc7\xc7\xc7", context) != 0) {
        fail_msg("version %02x, hash %x, index %02x, raw %d, signed %d: %zu bytes, %02x %02x", version, measure_hash,
                 index, raw, sign, len, reply[1], reply[2]);
    }
    if (sign) {
        SpdmSigner signer = { version, spdm_hash(BIT(1)), spdm_asym(BIT(7)) };
        SpdmSpan   spans[] = { spdm_requester_vca(&pair.requester), { msg, msg_len }, { reply, len - SIG } };
        bool       has_vca = version >= SPDM_VERSION_12;

        assert_true(spdm_verify(&signer, &pair.requester.public_key, SPDM_SIGN_MEASUREMENTS, spans + !has_vca,
                                2 + has_vca, reply + len - SIG));
    }
}

/* Ends L1 and L2, so that a signature covers one exchange. */
static void another_request(uint8_t version, bool in_session)
{
    uint8_t digests[] = { version, 0x81, 0, 0 };

    (void)pair_send(&pair, in_session, digests, 4, reply, sizeof(reply));
}

static void test_every_index(void **state)
{
    static const uint32_t hashes[] = { BIT(1), BIT(2), BIT(3), SPDM_MEASURE_RAW };

    for (uint8_t v = SPDM_VERSION_11; v <= SPDM_VERSION_13; v++) {
        for (unsigned h = 0; h < ARRAY_LEN(hashes); h++) {
            for (unsigned how = 0; how < 8; how++) {
                bool in_session = how & 4;

                init(v, CAPS, hashes[h], in_session);
                check_one(v, hashes[h], in_session, COUNT, how & 2, how & 1);
                for (unsigned i = 0; i < ARRAY_LEN(source); i++) {
                    another_request(v, in_session);
                    check_one(v, hashes[h], in_session, source[i].index, how & 2, how & 1);
                }
                another_request(v, in_session);
                check_one(v, hashes[h], in_session, ALL, how & 2, how & 1);
            }
        }
    }
}

/* Every index that is none of the device's. */
static void test_no_such_index(void **state)
{
    init(SPDM_VERSION_13, CAPS, 0, false);
    for (unsigned index = 1; index < ALL; index++) {
        bool there = index <= 8 || index == 0xef || index >= 0xfd;

        if (!there) {
            check_one(SPDM_VERSION_13, BIT(2), false, (uint8_t)index, false, false);
        }
    }
}

/* A signature covers all requests since the last one, and none before. */
static void test_transcript(void **state)
{
    uint8_t    said[1024], first[12] = { 0x13, 0xe0, 0, 1 }, second[45] = { 0x13, 0xe0, 1, 2 };
    SpdmSigner signer = { 0x13, spdm_hash(BIT(1)), spdm_asym(BIT(7)) };
    size_t     len, said_len = 0;

    init(SPDM_VERSION_13, CAPS, 0, false);
    for (unsigned i = 0; i < 3; i++) {
        len = pair_send(&pair, false, first, sizeof(first), reply, sizeof(reply));
        memcpy(said + said_len, first, sizeof(first));
        memcpy(said + said_len + sizeof(first), reply, len);
        said_len += sizeof(first) + len;
    }
    len = pair_send(&pair, false, second, sizeof(second), reply, sizeof(reply));
    {
        SpdmSpan spans[] = { spdm_requester_vca(&pair.requester), { said, said_len }, { second, sizeof(second) },
                             { reply, len - SIG } };

        assert_true(spdm_verify(&signer, &pair.requester.public_key, SPDM_SIGN_MEASUREMENTS, spans, 4,
                                reply + len - SIG));
    }
    check_one(SPDM_VERSION_13, BIT(2), false, 1, false, true); /* nothing of those before */
}

/* ---- the log ---- */

static size_t get_log(bool in_session, uint32_t offset, uint32_t len)
{
    uint8_t bytes[12] = { 0x13, SPDM_GET_MEASUREMENT_EXTENSION_LOG };

    le32_put(bytes + 4, offset);
    le32_put(bytes + 8, len);
    return pair_send(&pair, in_session, bytes, sizeof(bytes), reply, sizeof(reply));
}

static void test_log(void **state)
{
    uint8_t log[512];
    size_t  log_len = expected_log(log);

    for (int in_session = 0; in_session <= 1; in_session++) {
        init(SPDM_VERSION_13, CAPS, 0, in_session);
        for (uint32_t offset = 0; offset < log_len; offset += 5) {
            for (uint32_t len = 0; len < log_len + 3; len += 7) {
                uint32_t portion = len < log_len - offset ? len : (uint32_t)log_len - offset;

                assert_int_equal(get_log(in_session, offset, len), 12 + portion);
                assert_int_equal(reply[1], 0x6f);
                assert_int_equal(le32_get(reply + 4), portion);
                assert_int_equal(le32_get(reply + 8), log_len - offset - portion);
                assert_memory_equal(reply + 12, log + offset, portion);
            }
        }
        assert_int_equal(get_log(in_session, 0, UINT32_MAX), 12 + log_len);
        assert_int_equal(get_log(in_session, (uint32_t)log_len, 1), 4);
        assert_int_equal(reply[2], SPDM_INVALID_REQUEST);
        assert_int_equal(get_log(in_session, UINT32_MAX, UINT32_MAX), 4);
        assert_int_equal(reply[2], SPDM_INVALID_REQUEST);
    }
}

/* More than 4 KiB. */
static bool long_log(void *opaque, unsigned n, SpdmLogEntry *e)
{
    *e = (SpdmLogEntry){ 7, 9, (const uint8_t *)"again and again", 15 };
    return n < 200;
}

static void expect_error(const char *name, size_t len, uint8_t error, uint8_t data)
{
    if (len != 4 || reply[1] != 0x7f || reply[2] != error || reply[3] != data) {
        fail_msg("%s: %zu bytes, %02x %02x %02x", name, len, reply[1], reply[2], reply[3]);
    }
}

static void test_log_refused(void **state)
{
    static const uint8_t in_12[12] = { 0x12, 0xef, [8] = 4 }, in_13[16] = { 0x13, 0xef, [8] = 4 };

    init(SPDM_VERSION_12, CAPS, 0, false);
    expect_error("1.2", pair_send(&pair, false, in_12, 12, reply, sizeof(reply)), SPDM_UNSUPPORTED_REQUEST, 0xef);
    init(SPDM_VERSION_13, SPDM_RESPONDER_CAPS, 0, false);
    expect_error("not advertised", get_log(false, 0, 4), SPDM_UNSUPPORTED_REQUEST, 0xef);
    init(SPDM_VERSION_13, CAPS, 0, false);
    expect_error("short", pair_send(&pair, false, in_13, 11, reply, sizeof(reply)), SPDM_INVALID_REQUEST, 0);
    expect_error("too long", pair_send(&pair, false, in_13, 16, reply, sizeof(reply)), SPDM_INVALID_REQUEST, 0);
    assert_int_equal(pair_send(&pair, false, in_13, 15, reply, sizeof(reply)), 16); /* DW padding */
    pair.responder.selected.mel_spec = 0;
    expect_error("no format was agreed", get_log(false, 0, 4), SPDM_UNEXPECTED_REQUEST, 0);
    init(SPDM_VERSION_13, CAPS, 0, false);
    pair.responder.config.log_entry = long_log;
    expect_error("longer than a log can be", get_log(false, 0, 4), SPDM_UNSPECIFIED, 0);
    pair_init(&pair, CAPS);
    pair.responder.config.version_max = SPDM_VERSION_13;
    assert_null(spdm_requester_start(&pair.requester, SPDM_OP_CONNECT, NULL));
    assert_int_equal(pair_step(&pair), SPDM_CONTINUE);
    assert_int_equal(pair_step(&pair), SPDM_CONTINUE);
    expect_error("before algorithms", get_log(false, 0, 4), SPDM_UNEXPECTED_REQUEST, 0);
    init(SPDM_VERSION_13, CAPS & ~(uint32_t)SPDM_CAP_HANDSHAKE_IN_THE_CLEAR, 0, false);
    assert_null(spdm_requester_start(&pair.requester, SPDM_OP_SESSION, NULL));
    assert_int_equal(pair_step(&pair), SPDM_CONTINUE);
    expect_error("in the handshake", get_log(true, 0, 4), SPDM_UNEXPECTED_REQUEST, 0);
}

/* A verifier over logs that are none. */
static void test_extend_refused(void **state)
{
    static const struct {
        const char *name;
        uint8_t     at, with;
        int         longer;
        const char *why;
    } rows[] = {
        { "short header", 0, 4, -1000, "contradicts" },
        { "length", 4, 1, 0, "contradicts" },
        { "cut", 0, 4, -1, "contradicts" },
        { "longer", 0, 4, 1, "contradicts" },
        { "one entry more", 0, 5, 0, "another number" },
        { "one entry less", 0, 3, 0, "another number" },
        { "order", 16, 2, 0, "out of order" },
        { "a value beyond the end", 25, 200, 0, "another number" },
    };
    const SpdmHash *hash = spdm_hash(BIT(1));
    uint8_t         log[512], out[SPDM_HASH_MAX], hem[SPDM_HASH_MAX];
    size_t          len = expected_log(log);

    assert_null(spdm_log_extend((SpdmSpan){ log, len }, 7, hash, out));
    expected_extended(hash, hem);
    assert_memory_equal(out, hem, hash->len);
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        const char *why;

        len = expected_log(log);
        log[rows[i].at] = rows[i].with;
        len = rows[i].longer == -1000 ? 15 : (size_t)((int)len + rows[i].longer);
        why = spdm_log_extend((SpdmSpan){ log, len }, 7, hash, out);
        if (why == NULL || strstr(why, rows[i].why) == NULL) {
            fail_msg("%s: %s", rows[i].name, why != NULL ? why : "taken");
        }
    }
}

static void test_requester(void **state)
{
    uint8_t    log[512];
    size_t     len = expected_log(log);
    SpdmSpan   got;
    SpdmOpArgs one = { .index = 7, .sign = true };
    uint8_t    hem[SPDM_HASH_MAX];

    init(SPDM_VERSION_13, CAPS, 0, true);
    assert_int_equal(pair_op(&pair, SPDM_OP_LOG, NULL), SPDM_DONE);
    got = spdm_requester_log(&pair.requester);
    assert_int_equal(got.len, len);
    assert_memory_equal(got.data, log, len);
    assert_null(spdm_log_extend(got, 7, spdm_hash(BIT(1)), hem));
    assert_int_equal(pair_op(&pair, SPDM_OP_MEASUREMENTS, &one), SPDM_DONE);
    got = spdm_requester_reply(&pair.requester);
    assert_memory_equal((const uint8_t *)got.data + 15, hem, HASH);
    pair.responder.config.log_entry = long_log;
    assert_int_equal(pair_op(&pair, SPDM_OP_LOG, NULL), SPDM_FAILED);
    init(SPDM_VERSION_12, CAPS, 0, true);
    assert_int_equal(pair_op(&pair, SPDM_OP_LOG, NULL), SPDM_FAILED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_index), cmocka_unit_test(test_no_such_index), cmocka_unit_test(test_transcript),
        cmocka_unit_test(test_log),         cmocka_unit_test(test_log_refused),   cmocka_unit_test(test_extend_refused),
        cmocka_unit_test(test_requester),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
