/*
 * Certificates in several slots, by hand-made messages and by the requester: which slots there are, what each holds,
 * and that every message which names a slot goes by that slot's certificates. All slots' certificates are for one key.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "spdm/sign.h"
#include "spdm_pair.h"

enum { SIG = 96, HASH = 48, OWNER_SLOT = 1, OTHER_SLOT = 4 };

static SpdmPair     pair;
static SpdmIdentity ids[SPDM_SLOTS];
static uint8_t      reply[SPDM_MSG_MAX];

static size_t ask(const uint8_t *msg, size_t len) { return pair_send(&pair, false, msg, len, reply, sizeof(reply)); }

/* A device with chains in slots 0, 1 and 4; slot 4's is slot 0's. */
static void init(uint8_t version)
{
    SpdmOffer offer = { version, version, { 0 } };

    pair_init(&pair, SPDM_RESPONDER_CAPS);
    ids[0] = ids[2] = *pair_identity(SPDM_TEST_DEVICE);
    ids[2].slot = OTHER_SLOT;
    ids[2].key.len = 0; /* it is slot 0's */
    assert_null(spdm_slot_load(spdm_test_pem(SPDM_TEST_OWNER, SPDM_KEY_P384)->chain_pem, OWNER_SLOT, ids, 1,
                               &pair.device_entropy, &ids[1]));
    pair.responder.config.identities = ids;
    pair.responder.config.n_identities = 3;
    pair.responder.config.version_min = SPDM_VERSION_11;
    pair.responder.config.version_max = SPDM_VERSION_13;
    spdm_requester_offer(&pair.requester, &offer);
}

static void digest(const SpdmIdentity *id, uint8_t out[HASH])
{
    const SpdmHash *hash = spdm_hash(BIT(1));
    uint8_t         header[4 + HASH];
    SpdmSpan        spans[] = { { header, sizeof(header) }, { id->certs, id->certs_len } };

    le32_put(header, 4 + HASH + id->certs_len);
    assert_true(spdm_hash_spans(hash, &(SpdmSpan){ id->certs, id->root_len }, 1, header + 4));
    assert_true(spdm_hash_spans(hash, spans, 2, out));
}

static void test_digests(void **state)
{
    for (uint8_t v = SPDM_VERSION_11; v <= SPDM_VERSION_13; v++) {
        uint8_t get_digests[] = { v, 0x81, 0, 0 }, want[HASH];

        init(v);
        assert_int_equal(pair_connect(&pair), SPDM_DONE);
        assert_int_equal(ask(get_digests, 4), 4 + 3 * HASH);
        assert_int_equal(reply[2], v >= SPDM_VERSION_13 ? 0x13 : 0); /* SupportedSlotMask */
        assert_int_equal(reply[3], 0x13);                            /* ProvisionedSlotMask */
        for (unsigned i = 0; i < 3; i++) {
            digest(&ids[i], want);
            assert_memory_equal(reply + 4 + i * HASH, want, HASH);
        }
        assert_memory_not_equal(reply + 4, reply + 4 + HASH, HASH);
    }
}

/* A chain for keys of another kind is not there for a connection that signs with this one. */
static void test_other_algorithm(void **state)
{
    uint8_t get_digests[] = { 0x13, 0x81, 0, 0 };

    init(SPDM_VERSION_13);
    ids[2].key.kind = SPDM_KEY_P256;
    assert_int_equal(pair_connect(&pair), SPDM_DONE);
    assert_int_equal(ask(get_digests, 4), 4 + 2 * HASH);
    assert_int_equal(reply[2], 0x13);
    assert_int_equal(reply[3], 0x03);
}

/* Which slots serve which request: an empty one, and what is no slot, none. */
static void test_slot_numbers(void **state)
{
    static const struct {
        const char *name;
        uint8_t     len, at;
        uint8_t     msg[44]; /* valid for slot 0 */
    } requests[] = {
        { "certificate", 8, 2, { 0x12, 0x82, 0, 0, 0, 0, 0, 4 } },
        { "challenge", 36, 2, { 0x12, 0x83, 0, 0xff } },
        { "signed measurements", 37, 36, { 0x12, 0xe0, 1, 0xff } },
    };

    for (unsigned i = 0; i < ARRAY_LEN(requests); i++) {
        for (unsigned slot = 0; slot < 256; slot++) {
            uint8_t msg[44];
            bool    is_low = requests[i].at == 36 || i == 0; /* SlotID in the low four bits */
            bool    there = slot < SPDM_SLOTS && (0x13 >> slot & 1);

            if (is_low && slot > 15) {
                continue;
            }
            init(SPDM_VERSION_12);
            assert_int_equal(pair_connect(&pair), SPDM_DONE);
            memcpy(msg, requests[i].msg, sizeof(msg));
            msg[requests[i].at] = (uint8_t)slot;
            (void)ask(msg, requests[i].len);
            if ((reply[1] != 0x7f) != there || (!there && reply[2] != SPDM_INVALID_REQUEST)) {
                fail_msg("%s, slot %u: %02x %02x", requests[i].name, slot, reply[1], reply[2]);
            }
        }
    }
}

/* The hash in CHALLENGE_AUTH is the slot's, the mask all slots', and the one key signs. */
static void test_challenge(void **state)
{
    SpdmSigner    signer = { 0x12, spdm_hash(BIT(1)), spdm_asym(BIT(7)) };
    SpdmPublicKey key;

    assert_null(spdm_chain_check(ids[0].certs, ids[0].certs_len, NULL, 0, SPDM_CHAIN_OF_RESPONDER, -1, &key));
    for (unsigned i = 0; i < 3; i++) {
        uint8_t  digests[4] = { 0x12, 0x81 }, msg[36] = { 0x12, 0x83, ids[i].slot, 0, 9 }, want[HASH];
        uint8_t  b[4 + 4 + 3 * HASH];
        size_t   len = 4 + HASH + 32 + 2 + SIG;
        SpdmSpan m1m2[4];

        init(SPDM_VERSION_12);
        assert_int_equal(pair_connect(&pair), SPDM_DONE);
        memcpy(b, digests, 4);
        assert_int_equal(ask(digests, 4), sizeof(b) - 4);
        memcpy(b + 4, reply, sizeof(b) - 4);
        assert_int_equal(ask(msg, sizeof(msg)), len);
        digest(&ids[i], want);
        assert_int_equal(reply[2], ids[i].slot);
        assert_int_equal(reply[3], 0x13);
        assert_memory_equal(reply + 4, want, HASH);
        m1m2[0] = spdm_requester_vca(&pair.requester);
        m1m2[1] = (SpdmSpan){ b, sizeof(b) };
        m1m2[2] = (SpdmSpan){ msg, sizeof(msg) };
        m1m2[3] = (SpdmSpan){ reply, len - SIG };
        assert_true(spdm_verify(&signer, &key, SPDM_SIGN_CHALLENGE, m1m2, 4, reply + len - SIG));
    }
}

/* A requester that goes by another slot: chain, session and measurements. */
static void test_requester(void **state)
{
    SpdmOpArgs    args = { .index = 0xff, .sign = true };
    const uint8_t slots[] = { 0, OWNER_SLOT, OTHER_SLOT };

    for (uint8_t v = SPDM_VERSION_11; v <= SPDM_VERSION_13; v++) {
        for (unsigned i = 0; i < ARRAY_LEN(slots); i++) {
            init(v);
            pair.requester.options.slot = slots[i];
            assert_int_equal(pair_connect(&pair), SPDM_DONE);
            assert_memory_equal(pair.certificates, ids[i].certs, ids[i].certs_len);
            assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_DONE);
            assert_int_equal(pair_op(&pair, SPDM_OP_MEASUREMENTS, &args), SPDM_DONE);
            assert_int_equal(pair_op(&pair, SPDM_OP_END_SESSION, NULL), SPDM_DONE);
        }
        init(v);
        pair.requester.options.slot = 2;
        assert_int_equal(pair_connect(&pair), SPDM_FAILED);
        assert_non_null(strstr(spdm_requester_error(&pair.requester), "no certificates in slot 2"));
    }
}

/* The device's key pairs, each with the slots that certify it; numbers that are none. */
static void test_key_pairs(void **state)
{
    static const uint8_t p384[] = {
        0x30, 0x10, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 5, 0x2b, 0x81, 4, 0, 0x22,
    };
    static const uint8_t ed25519[] = { 0x30, 5, 6, 3, 0x2b, 0x65, 0x70 };
    static const struct {
        const char *name;
        uint8_t     msg[12];
        size_t      len, reply_len;
        uint8_t     reply[23]; /* up to the algorithm */
        const uint8_t *algorithm;
    } rows[] = {
        { "the first", { 0x13, SPDM_GET_KEY_PAIR_INFO, 0, 0, 1 }, 5, 23 + sizeof(p384),
          { 0x13, 0x7c, 0, 0, 2, 1, 0, 0, 7, 0, 7, 0, 0x10, 0, 0, 0, 0x10, 0, 0, 0, sizeof(p384), 0, 0x13 }, p384 },
        { "the second, DW padding", { 0x13, 0xfc, 0, 0, 2 }, 8, 23 + sizeof(ed25519),
          { 0x13, 0x7c, 0, 0, 2, 2, 0, 0, 7, 0, 7, 0, 0x80, 0, 0, 0, 0x80, 0, 0, 0, sizeof(ed25519), 0, 1 }, ed25519 },
        { "number 0", { 0x13, 0xfc, 0, 0, 0 }, 5, 4, { 0x13, 0x7f, 1 }, NULL },
        { "number 3", { 0x13, 0xfc, 0, 0, 3 }, 5, 4, { 0x13, 0x7f, 1 }, NULL },
        { "number 255", { 0x13, 0xfc, 0, 0, 0xff }, 5, 4, { 0x13, 0x7f, 1 }, NULL },
        { "short", { 0x13, 0xfc, 0, 0 }, 4, 4, { 0x13, 0x7f, 1 }, NULL },
        { "too long", { 0x13, 0xfc, 0, 0, 1 }, 9, 4, { 0x13, 0x7f, 1 }, NULL },
        { "version", { 0x12, 0xfc, 0, 0, 1 }, 5, 4, { 0x13, 0x7f, 0x41 }, NULL },
    };
    const char *why;

    init(SPDM_VERSION_13);
    pair.responder.config.capabilities |= SPDM_CAP_GET_KEY_PAIR_INFO;
    assert_true(spdm_identity_load(spdm_test_pem(SPDM_TEST_DEVICE, SPDM_KEY_ED25519), &pair.device_entropy, &ids[3],
                                   &why));
    ids[2].key.len = 0; /* as what spdm_slot_load() makes */
    pair.responder.config.n_identities = 4;
    assert_int_equal(pair_connect(&pair), SPDM_DONE);
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        size_t len = ask(rows[i].msg, rows[i].len), head = rows[i].algorithm != NULL ? 23 : 4;

        if (len != rows[i].reply_len || memcmp(reply, rows[i].reply, head) != 0 ||
            (rows[i].algorithm != NULL && memcmp(reply + 23, rows[i].algorithm, len - 23) != 0)) {
            fail_msg("%s: %zu bytes, %02x %02x", rows[i].name, len, reply[1], reply[2]);
        }
    }
    pair.responder.config.capabilities &= ~(uint32_t)SPDM_CAP_GET_KEY_PAIR_INFO;
    assert_int_equal(ask(rows[0].msg, 5), 4);
    assert_int_equal(reply[2], SPDM_UNSUPPORTED_REQUEST);
    assert_int_equal(reply[3], 0xfc);
}

/* Chains that cannot stand in a slot. */
static void test_refused_chains(void **state)
{
    const SpdmPem *wrong = spdm_test_pem(SPDM_TEST_WRONG_ROOT, SPDM_KEY_P384);
    SpdmIdentity   id;

    init(SPDM_VERSION_12);
    assert_string_equal(spdm_slot_load(wrong->chain_pem, 1, ids, 1, &pair.device_entropy, &id),
                        "the last certificate is for another key than the device's");
    assert_non_null(spdm_slot_load("nothing", 1, ids, 1, &pair.device_entropy, &id));
    assert_non_null(spdm_slot_load(spdm_test_pem(SPDM_TEST_OWNER, SPDM_KEY_P384)->chain_pem, 1, ids + 1, 1,
                                   &pair.device_entropy, &id)); /* slot 1's entry has no key */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_digests),      cmocka_unit_test(test_other_algorithm),
        cmocka_unit_test(test_slot_numbers), cmocka_unit_test(test_challenge),
        cmocka_unit_test(test_requester),    cmocka_unit_test(test_refused_chains),
        cmocka_unit_test(test_key_pairs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
