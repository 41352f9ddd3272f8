/*
 * Multi-key connections of 1.3: a slot with a key of its own, what a requester is told of it, and what keys are for, by
 * SET_KEY_PAIR_INFO. Lengths and offsets are DSP0274's, written down here a second time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "spdm_pair.h"

enum { HASH = 48, ALL = 7, OWN_SLOT = 1, SHARED_SLOT = 3 };

#define CAPS                                                                                             \
    ((uint32_t)(SPDM_RESPONDER_CAPS | SPDM_CAP_GET_KEY_PAIR_INFO | SPDM_CAP_SET_KEY_PAIR_INFO | \
                SPDM_CAP_MULTI_KEY_NEG))

static SpdmPair       pair;
static SpdmIdentity   ids[SPDM_IDENTITIES_MAX];
static SpdmProvisions provisions;
static uint8_t        reply[SPDM_MSG_MAX];

/* A device with its own key in slots 0 and 3, another one in slot 1; the requester goes by @slot. */
static SpdmResult begin(uint8_t version, uint32_t caps, bool multi, uint8_t slot)
{
    SpdmOffer     offer = { version, version, { 0 } };
    SpdmPublicKey key;
    SpdmResult    result;
    unsigned      of_slot = slot == OWN_SLOT ? 1 : slot == SHARED_SLOT ? 2 : 0;

    pair_init(&pair, caps);
    memset(&provisions, 0, sizeof(provisions));
    ids[0] = ids[2] = *pair_identity(SPDM_TEST_DEVICE);
    ids[1] = *pair_identity(SPDM_TEST_WRONG_ROOT);
    ids[1].slot = OWN_SLOT;
    ids[2].slot = SHARED_SLOT;
    ids[2].key.len = 0;
    provisions.identities = ids;
    pair.responder.config.identities = ids;
    pair.responder.config.n_identities = 3;
    pair.responder.config.provisions = &provisions;
    pair.responder.config.version_max = SPDM_VERSION_14;
    pair.requester.challenge = &pair.challenge;
    pair.requester.options.multi_key = multi;
    pair.requester.options.slot = slot;
    spdm_requester_offer(&pair.requester, &offer);
    result = pair_op(&pair, SPDM_OP_CONNECT, NULL);
    if (result == SPDM_DONE) {
        assert_null(spdm_chain_check(ids[of_slot].certs, ids[of_slot].certs_len, NULL, 0, SPDM_CHAIN_OF_RESPONDER, -1,
                                     &key));
        assert_int_equal(spdm_requester_set_public_key(&pair.requester, &key), SPDM_KEY_OK);
    }
    return result;
}

static size_t ask(const uint8_t *msg, size_t len)
{
    memset(reply, 0, sizeof(reply));
    return pair_send(&pair, false, msg, len, reply, sizeof(reply));
}

static void test_signatures(void **state)
{
    static const uint8_t slots[] = { 0, OWN_SLOT, SHARED_SLOT };

    for (unsigned i = 0; i < ARRAY_LEN(slots); i++) {
        assert_int_equal(begin(SPDM_VERSION_13, CAPS, true, slots[i]), SPDM_DONE);
        assert_int_equal(pair_op(&pair, SPDM_OP_CHALLENGE, NULL), SPDM_DONE);
        if (pair_op(&pair, SPDM_OP_SESSION, NULL) != SPDM_DONE) {
            fail_msg("slot %u: %s", slots[i], spdm_requester_error(&pair.requester));
        }
        assert_int_equal(pair_op(&pair, SPDM_OP_MEASUREMENTS, &(SpdmOpArgs){ .index = 0xff, .sign = true }), SPDM_DONE);
        assert_int_equal(pair_op(&pair, SPDM_OP_END_SESSION, NULL), SPDM_DONE);
        /* Another end that has not heard the same DIGESTS has another transcript. */
        pair.requester.digests[5] ^= 1;
        assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_FAILED);
    }
}

/* What of DIGESTS is in TH: the first one, right behind ALGORITHMS. */
static void test_first_digests(void **state)
{
    static const uint8_t get[] = { 0x13, SPDM_GET_DIGESTS, 0, 0 }, cert[] = { 0x13, 0x82, 0, 0, 0, 0, 9, 0 };
    static const uint8_t caps[20] = { 0x13, 0xe1, 0, 0, 0, 20, 0, 0, 0xc6, 0x82, 0, 0, 0, 0x10, 0, 0, 0, 0x10 };
    static const uint8_t algorithms[48] = { 0x13, 0xe3, 4, 0, 48, 0, 1, 0x12, 0x80, 0, 0, 0, 2, 0, 0, 0,
                                            [32] = 2, 0x20, 0x10, 0, 3, 0x20, 2, 0, 4, 0x20, 0x80, 0, 5, 0x20, 1, 0 };

    assert_int_equal(begin(SPDM_VERSION_13, CAPS, true, 0), SPDM_DONE);
    provisions.usage_off[1] = 6; /* what is said another time is something else */
    assert_int_equal(ask(get, sizeof(get)), 4 + 3 * HASH + 12);
    assert_memory_not_equal(reply, pair.requester.digests, pair.requester.digests_len);
    assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_DONE);
    for (unsigned first = 0; first < 2; first++) {
        (void)ask((const uint8_t[]){ 0x10, 0x84, 0, 0 }, 4);
        (void)ask(caps, sizeof(caps));
        assert_int_equal(ask(algorithms, sizeof(algorithms)), 52);
        assert_true(first || ask(cert, sizeof(cert)) > 8);
        assert_int_equal(ask(get, sizeof(get)), 4 + 3 * HASH + 12);
        assert_int_equal(pair.responder.digests_len != 0, first);
    }
}

/* Where it was not agreed, the slot with another key is not there. */
static void test_not_agreed(void **state)
{
    static const struct {
        uint8_t  version;
        uint32_t caps;
        bool     multi;
    } cases[] = {
        { SPDM_VERSION_13, CAPS, false },
        { SPDM_VERSION_12, CAPS, true },
        { SPDM_VERSION_13, CAPS & ~(uint32_t)SPDM_CAP_MULTI_KEY, true },
    };

    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        const uint8_t get[] = { cases[i].version, SPDM_GET_DIGESTS, 0, 0 };

        assert_int_equal(begin(cases[i].version, cases[i].caps, cases[i].multi, OWN_SLOT), SPDM_FAILED);
        assert_int_equal(begin(cases[i].version, cases[i].caps, cases[i].multi, SHARED_SLOT), SPDM_DONE);
        assert_int_equal(ask(get, sizeof(get)), 4 + 2 * HASH);
        assert_int_equal(reply[3], 1 | 1 << SHARED_SLOT);
        assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_DONE);
    }
}

static void test_digests(void **state)
{
    static const uint8_t get[] = { 0x13, SPDM_GET_DIGESTS, 0, 0 }, cert[] = { 0x13, 0x82, 1, 0, 0, 0, 9, 0 };
    static const uint8_t want[] = { 1, 2, 1, 1, 1, 1, ALL, 0, ALL, 0, ALL, 0 }; /* pair IDs, models, usages */

    assert_int_equal(begin(SPDM_VERSION_13, CAPS, true, 0), SPDM_DONE);
    assert_int_equal(ask(get, sizeof(get)), 4 + 3 * HASH + sizeof(want));
    assert_int_equal(reply[3], 1 | 1 << OWN_SLOT | 1 << SHARED_SLOT);
    assert_memory_equal(reply + 4 + 3 * HASH, want, sizeof(want));
    assert_int_equal(ask(cert, sizeof(cert)), 8 + 9);
    assert_int_equal(reply[3], 1); /* a device certificate */
    pair.responder.config.capabilities |= SPDM_CAP_ALIAS_CERT;
    assert_int_equal(ask(cert, sizeof(cert)), 8 + 9);
    assert_int_equal(reply[3], 2); /* an alias's */
}

/* KEY_PAIR_INFO of both: total, ID, what can change, usages, algorithms, slots. */
static void test_pairs(void **state)
{
    static const uint8_t first[] = { 0x13, 0x7c, 0, 0, 4, 1, 8, 0, ALL, 0, ALL, 0, 0x10, 0, 0, 0, 0x10, 0, 0, 0 },
                         second[] = { 0x13, 0x7c, 0, 0, 4, 2, 8, 0, ALL, 0, ALL, 0, 0x10, 0, 0, 0, 0x10, 0, 0, 0 };

    assert_int_equal(begin(SPDM_VERSION_13, CAPS, true, 0), SPDM_DONE);
    assert_true(ask((const uint8_t[]){ 0x13, SPDM_GET_KEY_PAIR_INFO, 0, 0, 1 }, 5) > 23);
    assert_memory_equal(reply, first, sizeof(first));
    assert_int_equal(reply[22], 1 | 1 << SHARED_SLOT);
    assert_true(ask((const uint8_t[]){ 0x13, SPDM_GET_KEY_PAIR_INFO, 0, 0, 2 }, 5) > 23);
    assert_memory_equal(reply, second, sizeof(second));
    assert_int_equal(reply[22], 1 << OWN_SLOT);
}

/* The usage of the second key pair. */
static size_t set_usage(uint8_t usage)
{
    const uint8_t msg[] = { 0x13, SPDM_SET_KEY_PAIR_INFO, 0, 0, 2, 0, usage, 0, 0, 0, 0, 0, 0 };

    return ask(msg, sizeof(msg));
}

/* What a key is not for it does not do, in multi-key connections. */
static void test_usage(void **state)
{
    static const struct {
        uint8_t usage;
        bool    session, challenge, measurements;
    } cases[] = { { 1, true, false, false }, { 2, false, true, false }, { 4, false, false, true },
                  { 6, false, true, true },  { ALL, true, true, true } };

    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t measure[4 + 32 + 1 + 8] = { 0x13, SPDM_GET_MEASUREMENTS, 1, 0 };
        size_t  len;

        measure[36] = OWN_SLOT;
        assert_int_equal(begin(SPDM_VERSION_13, CAPS, true, OWN_SLOT), SPDM_DONE);
        assert_int_equal(set_usage(cases[i].usage), 4);
        assert_int_equal(reply[1], 0x7d);
        assert_int_equal(pair_op(&pair, SPDM_OP_CHALLENGE, NULL), cases[i].challenge ? SPDM_DONE : SPDM_FAILED);
        if (!cases[i].challenge) {
            assert_non_null(strstr(spdm_requester_error(&pair.requester), "ERROR 0x01"));
        }
        len = ask(measure, sizeof(measure));
        assert_int_equal(len > 4, cases[i].measurements);
        assert_int_equal(set_usage(0), 4); /* as it is */
        spdm_responder_conventional_reset(&pair.responder); /* it stays */
        assert_int_equal(pair_op(&pair, SPDM_OP_CONNECT, NULL), SPDM_DONE);
        assert_int_equal(pair.requester.digests[4 + 3 * HASH + 8], cases[i].usage);
        SpdmPublicKey key;
        assert_null(spdm_chain_check(ids[1].certs, ids[1].certs_len, NULL, 0, SPDM_CHAIN_OF_RESPONDER, -1, &key));
        assert_int_equal(spdm_requester_set_public_key(&pair.requester, &key), SPDM_KEY_OK);
        assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), cases[i].session ? SPDM_DONE : SPDM_FAILED);
    }
    /* The other pair's is another matter, and so are other connections. */
    assert_int_equal(begin(SPDM_VERSION_13, CAPS, true, 0), SPDM_DONE);
    assert_int_equal(set_usage(4), 4);
    assert_int_equal(pair_op(&pair, SPDM_OP_CHALLENGE, NULL), SPDM_DONE);
    pair.requester.options.multi_key = false;
    provisions.usage_off[0] = ALL;
    assert_int_equal(pair_connect(&pair), SPDM_DONE);
    assert_int_equal(pair_op(&pair, SPDM_OP_CHALLENGE, NULL), SPDM_DONE);
}

static void test_set_rows(void **state)
{
    static const struct {
        const char *name;
        size_t      len;
        uint8_t     bytes[17], error, data;
    } rows[] = {
        /*                       len   bytes: pair, reserved, usage, algorithm, slots */
        { "change", 13, { 0x13, 0xfd, 0, 0, 2, 0, 3, 0 }, 0, 0 },
        { "no change", 13, { 0x13, 0xfd, 0, 0, 1 }, 0, 0 },
        { "erase", 13, { 0x13, 0xfd, 1, 0, 2 }, 1, 0 },
        { "erase, as short as it may be", 5, { 0x13, 0xfd, 1, 0, 2 }, 1, 0 },
        { "generate", 13, { 0x13, 0xfd, 2, 0, 2, 0, 3, 0 }, 1, 0 },
        { "operation 3", 13, { 0x13, 0xfd, 3, 0, 2, 0, 3, 0 }, 1, 0 },
        { "pair 0", 13, { 0x13, 0xfd, 0, 0, 0, 0, 3, 0 }, 1, 0 },
        { "pair 5", 13, { 0x13, 0xfd, 0, 0, 5, 0, 3, 0 }, 1, 0 },
        { "a usage that is not had", 13, { 0x13, 0xfd, 0, 0, 2, 0, 9, 0 }, 1, 0 },
        { "a vendor's usage", 13, { 0x13, 0xfd, 0, 0, 2, 0, 0, 0x80 }, 1, 0 },
        { "an algorithm", 13, { 0x13, 0xfd, 0, 0, 2, 0, 3, 0, 0x10 }, 1, 0 },
        { "slots", 13, { 0x13, 0xfd, 0, 0, 2, 0, 3, 0, 0, 0, 0, 0, 4 }, 1, 0 },
        { "the same slots", 13, { 0x13, 0xfd, 0, 0, 2, 0, 3, 0, 0, 0, 0, 0, 2 }, 0, 0 },
        { "short", 12, { 0x13, 0xfd, 0, 0, 2, 0, 3, 0 }, 1, 0 },
        { "long", 17, { 0x13, 0xfd, 0, 0, 2, 0, 3, 0 }, 1, 0 },
        { "version", 13, { 0x12, 0xfd, 0, 0, 2, 0, 3, 0 }, 0x41, 0 },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        size_t len;

        assert_int_equal(begin(SPDM_VERSION_13, CAPS, true, 0), SPDM_DONE);
        len = ask(rows[i].bytes, rows[i].len);
        if (len != 4 || reply[1] != (rows[i].error != 0 ? 0x7f : 0x7d) || reply[2] != rows[i].error ||
            reply[3] != rows[i].data || (rows[i].error != 0 && provisions.usage_off[1] != 0)) {
            fail_msg("%s: %zu bytes, %02x %02x", rows[i].name, len, reply[1], reply[2]);
        }
    }
    assert_int_equal(begin(SPDM_VERSION_13, CAPS & ~(uint32_t)SPDM_CAP_SET_KEY_PAIR_INFO, true, 0), SPDM_DONE);
    assert_int_equal(ask(rows[0].bytes, rows[0].len), 4);
    assert_int_equal(reply[2], SPDM_UNSUPPORTED_REQUEST);
    assert_int_equal(reply[3], 0xfd);
    assert_int_equal(begin(SPDM_VERSION_13, CAPS, true, 0), SPDM_DONE);
    pair.responder.config.provisions = NULL; /* nowhere to keep it */
    assert_int_equal(ask(rows[0].bytes, rows[0].len), 4);
    assert_int_equal(reply[2], SPDM_INVALID_REQUEST);
}

/* A device that has multi-key connections alone, and who may ask for what: DSP0274 1.3 "NEGOTIATE_ALGORITHMS". */
static void test_only(void **state)
{
    static const struct {
        uint32_t caps;
        uint8_t  version, asked;
        bool     ok;
    } rows[] = {
        { SPDM_CAP_MULTI_KEY_ONLY, 0x13, 0x10, true },  { SPDM_CAP_MULTI_KEY_ONLY, 0x13, 0, false },
        { SPDM_CAP_MULTI_KEY_ONLY, 0x12, 0, true },     { SPDM_CAP_MULTI_KEY_NEG, 0x13, 0x10, true },
        { SPDM_CAP_MULTI_KEY_NEG, 0x13, 0, true },      { 0, 0x13, 0x10, false },
        { 0, 0x13, 0, true },                           { 0, 0x12, 0x10, true },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        uint8_t v = rows[i].version;
        uint8_t caps[20] = { v, 0xe1, 0, 0, 0, 20, 0, 0, 0xc6, 0x82, 0, 0, 0, 0x10, 0, 0, 0, 0x10 };
        uint8_t algorithms[48] = { v, 0xe3, 4, 0, 48, 0, 1, (uint8_t)(2 | rows[i].asked), 0x80, 0, 0, 0, 2, 0, 0, 0,
                                   [32] = 2, 0x20, 0x10, 0, 3, 0x20, 2, 0, 4, 0x20, 0x80, 0, 5, 0x20, 1, 0 };
        size_t  len;

        (void)begin(v, (CAPS & ~(uint32_t)SPDM_CAP_MULTI_KEY) | rows[i].caps, true, 0);
        (void)ask((const uint8_t[]){ 0x10, 0x84, 0, 0 }, 4);
        assert_int_equal(ask(caps, sizeof(caps)), 20);
        len = ask(algorithms, sizeof(algorithms));
        if (rows[i].ok ? len != 52 : len != 4 || reply[2] != SPDM_INVALID_REQUEST) {
            fail_msg("row %u: %zu bytes, %02x %02x", i, len, reply[1], reply[2]);
        }
        if (rows[i].ok) {
            assert_int_equal(pair.responder.multi_key, v >= 0x13 && rows[i].asked != 0);
        }
    }
    /* The requester sees it by itself. */
    assert_int_equal(begin(SPDM_VERSION_13, (CAPS & ~(uint32_t)SPDM_CAP_MULTI_KEY) | SPDM_CAP_MULTI_KEY_ONLY, false,
                           OWN_SLOT), SPDM_DONE);
    assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_DONE);
}

/* KEY_PAIR_INFO and SET_KEY_PAIR_INFO of 1.4 say of post-quantum algorithms that there are none. */
static void test_pairs_of_14(void **state)
{
    uint8_t set[13 + 5] = { 0x14, 0xfd, 0, 0, 2, 0, 3, 0, 0, 0, 0, 0, 0, 4 };
    size_t  len;

    pair_init(&pair, CAPS);
    assert_int_equal(begin(SPDM_VERSION_14, CAPS, true, 0), SPDM_DONE);
    len = ask((const uint8_t[]){ 0x14, SPDM_GET_KEY_PAIR_INFO, 0, 0, 1 }, 5);
    assert_int_equal(len, 23 + le16_get(reply + 20) + 10);
    assert_memory_equal(reply + len - 10, ((const uint8_t[]){ 4, 0, 0, 0, 0, 4, 0, 0, 0, 0 }), 10);
    assert_int_equal(ask(set, sizeof(set)), 4);
    assert_int_equal(reply[1], 0x7d);
    set[14] = 1; /* ML-DSA-44 */
    assert_int_equal(ask(set, sizeof(set)), 4);
    assert_int_equal(reply[2], SPDM_INVALID_REQUEST);
    assert_int_equal(ask(set, 13), 4); /* no length of it */
    assert_int_equal(reply[2], SPDM_INVALID_REQUEST);
}

/* What ALGORITHMS says is of the requester's keys: those that have to be several are. */
static void test_requesters_keys(void **state)
{
    uint8_t caps[20] = { 0x13, 0xe1 }, algorithms[48] = { 0x13, 0xe3, 4, 0, 48, 0, 1, 2, 0x80, 0, 0, 0, 2 };
    static const uint8_t tables[] = { 2, 0x20, 0x10, 0, 3, 0x20, 2, 0, 4, 0x20, 0x80, 0, 5, 0x20, 1, 0 };
    const uint32_t       flags = SPDM_CAP_CERT | SPDM_CAP_ENCRYPT | SPDM_CAP_MAC | SPDM_CAP_KEY_EX | SPDM_CAP_MUT_AUTH |
                           SPDM_CAP_ENCAP;

    memcpy(algorithms + 32, tables, sizeof(tables));
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(begin(SPDM_VERSION_13, CAPS | SPDM_CAP_MUT_AUTH | SPDM_CAP_ENCAP, true, 0), SPDM_DONE);
        assert_true(ask((const uint8_t[]){ 0x10, 0x84, 0, 0 }, 4) > 4);
        le32_put(caps + 8, flags | (i == 0 ? SPDM_CAP_MULTI_KEY_NEG : SPDM_CAP_MULTI_KEY_ONLY));
        le32_put(caps + 12, SPDM_MSG_MAX);
        le32_put(caps + 16, SPDM_MSG_MAX);
        assert_int_equal(ask(caps, sizeof(caps)), 20);
        assert_int_equal(ask(algorithms, sizeof(algorithms)), 52);
        assert_int_equal(reply[7], i == 0 ? 2 : 0x12);
        assert_true(le16_get(reply + 36 + 8 + 2) != 0); /* ReqBaseAsymAlg */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signatures),         cmocka_unit_test(test_first_digests),
        cmocka_unit_test(test_not_agreed),         cmocka_unit_test(test_digests),
        cmocka_unit_test(test_pairs),              cmocka_unit_test(test_usage),
        cmocka_unit_test(test_set_rows),           cmocka_unit_test(test_only),
        cmocka_unit_test(test_requesters_keys),    cmocka_unit_test(test_pairs_of_14),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
