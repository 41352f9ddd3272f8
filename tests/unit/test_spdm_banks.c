/*
 * SLOT_MANAGEMENT of 1.4: what a device tells of its banks, chains into banks that the connection does not go by, and
 * what is refused, as rows; what the requester makes of answers. Lengths and offsets are written down here a second
 * time, out of the layouts of DMTF's libspdm.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/x509.h>
#include <string.h>

#include "spdm/chain.h"
#include "spdm_pair.h"

enum { HASH = 48, ELEMENT = 16 + HASH, P256_BANK = 0, P384_BANK = 1, P256 = 8, P384 = 0x10, ALL = 7 };

#define CAPS  (SPDM_RESPONDER_CAPS | SPDM_CAP_SET_CERT | SPDM_CAP_CSR | SPDM_CAP_SLOT_MGMT)
#define MULTI (SPDM_CAP_GET_KEY_PAIR_INFO | SPDM_CAP_SET_KEY_PAIR_INFO | SPDM_CAP_MULTI_KEY_NEG)

static SpdmPair       pair;
static SpdmIdentity   ids[SPDM_IDENTITIES_MAX], owner, p256;
static SpdmProvisions provisions;
static uint8_t        reply[SPDM_MSG_MAX], msg[SPDM_MSG_MAX];
static size_t         msg_len;

/* A connection for keys of that kind, and a session of it. */
static void connect_for(SpdmKeyKind kind, uint8_t slot)
{
    SpdmOffer     offer = { SPDM_VERSION_14, SPDM_VERSION_14, { .asym = spdm_asyms_of(kind), .hash = BIT(1) } };
    SpdmPublicKey key;
    SpdmSpan      chain;

    pair.requester.options.slot = slot;
    spdm_requester_offer(&pair.requester, &offer);
    if (pair_op(&pair, SPDM_OP_CONNECT, NULL) != SPDM_DONE) {
        fail_msg("%s", spdm_requester_error(&pair.requester));
    }
    chain = spdm_requester_chain(&pair.requester);
    assert_null(spdm_chain_check((const uint8_t *)chain.data + 4 + HASH, chain.len - 4 - HASH, NULL, 0,
                                 SPDM_CHAIN_OF_RESPONDER, -1, &key));
    assert_int_equal(spdm_requester_set_public_key(&pair.requester, &key), SPDM_KEY_OK);
    assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_DONE);
}

/* A device with keys of P-384 and P-256, each certified in slot 0; with CHUNK_CAP, both ends have small buffers. */
static void init(uint64_t caps, bool multi)
{
    pair_init(&pair, caps);
    pair.responder.config.transfer_size = caps & SPDM_CAP_CHUNK ? 64 : SPDM_MSG_MAX;
    pair.requester.options.transfer_size = caps & SPDM_CAP_CHUNK ? 64 : 0;
    memset(&provisions, 0, sizeof(provisions));
    memset(ids, 0, sizeof(ids));
    ids[0] = *pair_identity(SPDM_TEST_DEVICE);
    ids[1] = p256;
    provisions.identities = ids;
    pair.responder.config.identities = ids;
    pair.responder.config.n_identities = 2;
    pair.responder.config.provisions = &provisions;
    pair.responder.config.version_max = SPDM_VERSION_14;
    pair.responder.config.algorithms.asym = spdm_asyms_of(SPDM_KEY_P384) | spdm_asyms_of(SPDM_KEY_P256);
    pair.requester.options.multi_key = multi;
    connect_for(SPDM_KEY_P384, 0);
}

static size_t ask(bool in_session)
{
    memset(reply, 0, sizeof(reply));
    return pair_send(&pair, in_session, msg, msg_len, reply, sizeof(reply));
}

static void header(uint8_t subcode, uint8_t offset)
{
    const uint8_t bytes[] = { 0x14, SPDM_SLOT_MANAGEMENT, subcode, 0, offset, 0, 0, 0 };

    memset(msg, 0, sizeof(msg));
    memcpy(msg, bytes, sizeof(bytes));
    msg_len = sizeof(bytes);
}

/* A request whose structure begins with, or is, a SlotAddress. */
static void address(uint8_t subcode, uint8_t bank, uint8_t slot)
{
    header(subcode, 8);
    msg[8] = 8;
    msg[12] = bank;
    msg[13] = slot;
    msg_len = 16;
}

static void set_certificate(uint8_t bank, uint8_t slot, const SpdmIdentity *id)
{
    address(SPDM_SLOTS_SET_CERTIFICATE, bank, slot);
    le32_put(msg + 16, 4 + HASH + id->certs_len);
    le32_put(msg + 24, 4 + HASH + id->certs_len);
    assert_true(spdm_hash_spans(spdm_hash(BIT(1)), &(SpdmSpan){ id->certs, id->root_len }, 1, msg + 28));
    memcpy(msg + 28 + HASH, id->certs, id->certs_len);
    msg_len = 28 + HASH + id->certs_len;
}

static void erase(uint8_t bank, uint8_t slot)
{
    address(SPDM_SLOTS_MANAGE_SLOT, bank, slot);
    msg[16] = 1;
    msg_len = 20;
}

static void get_csr(uint8_t bank, uint8_t number, uint8_t attributes)
{
    address(SPDM_SLOTS_GET_CSR, bank, 0xff); /* SlotID is not looked at */
    msg[16] = number;
    msg[17] = attributes;
    msg_len = 24;
}

/* ---- what is told ---- */

static void test_subcodes(void **state)
{
    static const struct {
        uint64_t without;
        uint8_t  map[5];
    } rows[] = {
        { 0, { 0x1f, 0, 0, 0, 6 } },
        { SPDM_CAP_CSR, { 0x0f, 0, 0, 0, 6 } },
        { SPDM_CAP_SET_CERT, { 0x1f, 0, 0, 0, 0 } },
        { SPDM_CAP_CSR | SPDM_CAP_SET_CERT, { 0x0f, 0, 0, 0, 0 } },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        static const uint8_t head[] = { 0x14, 0x08, 0, 0, 8, 0, 0, 0, 36, 0, 0, 0 };

        init(CAPS & ~rows[i].without, false);
        header(SPDM_SLOTS_SUBCODES, 0);
        assert_int_equal(ask(false), 44);
        assert_memory_equal(reply, head, sizeof(head));
        assert_memory_equal(reply + 12, rows[i].map, sizeof(rows[i].map));
    }
}

static void test_bank_info(void **state)
{
    uint8_t want[] = { 0x14, 0x08, 1, 0, 8, 0, 0, 0, 16, 0, 0, 0, 2, 0, 0, 0,
                       4, 0, 0xff, 0xff, 4, 1, 0xff, 0xff };

    init(CAPS, false);
    header(SPDM_SLOTS_BANK_INFO, 0);
    for (unsigned in_session = 0; in_session < 2; in_session++) {
        assert_int_equal(ask(in_session), sizeof(want));
        assert_memory_equal(reply, want, sizeof(want));
    }
    init(CAPS & ~(uint64_t)SPDM_CAP_SET_CERT, false); /* what cannot be written is what it is */
    ids[2] = owner;
    ids[2].slot = 3;
    ids[2].key.len = 0;
    pair.responder.config.n_identities = 3;
    want[18] = 1;
    want[22] = 9;
    want[19] = want[23] = 0;
    header(SPDM_SLOTS_BANK_INFO, 0);
    assert_int_equal(ask(false), sizeof(want));
    assert_memory_equal(reply, want, sizeof(want));
    for (unsigned kind = 0; kind < 2; kind++) { /* DIGESTS says the same of the bank that its connection goes by */
        static const uint8_t get_digests[] = { 0x14, 0x81, 0, 0 };

        assert_true(pair_send(&pair, false, get_digests, 4, reply, sizeof(reply)) > 4);
        assert_int_equal(reply[2], kind == 0 ? 9 : 1);
        connect_for(SPDM_KEY_P256, 0);
    }
}

/* The digest of what is in a slot, as the connection hashes it. */
static void expect_digest(const uint8_t *digest, const SpdmIdentity *id)
{
    uint8_t   want[SPDM_HASH_MAX];
    SpdmChain chain;

    assert_true(spdm_chain_of(id, spdm_hash(BIT(1)), &chain) &&
                spdm_hash_spans(spdm_hash(BIT(1)), chain.spans, 2, want));
    assert_memory_equal(digest, want, HASH);
}

static void test_bank_details(void **state)
{
    static const uint8_t zeros[HASH];

    for (uint8_t bank = 0; bank < 2; bank++) {
        const uint16_t len = 39 + 8 * ELEMENT;
        const uint8_t  want[] = { 0x14, 0x08, 2, 0, 8, 0, 0, 0,
                                  (uint8_t)len, len >> 8, bank, 0, 8, 0, bank == P384_BANK, 0,
                                  0, 0, 0, 0, bank == P256_BANK ? P256 : P384, 0, 0, 0, 0, 0, 0, 0,
                                  4, 0, 0, 0, 0, 4, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0 };
        uint8_t        element[16] = { ELEMENT, 0, 0, 0, 1, 0, 0, 0, ALL, 0, 0, 0 };

        le32_put(element + 12, 4 + HASH + SPDM_CERTS_MAX);
        init(CAPS, false);
        address(SPDM_SLOTS_BANK_DETAILS, bank, 7);
        assert_int_equal(ask(false), 8 + len);
        assert_memory_equal(reply, want, sizeof(want));
        assert_memory_equal(reply + 47, element, sizeof(element));
        expect_digest(reply + 47 + 16, bank == P256_BANK ? &p256 : pair_identity(SPDM_TEST_DEVICE));
        element[2] = 5; /* one that is empty, and whose key is the only one that there is */
        element[4] = 0;
        assert_memory_equal(reply + 47 + 5 * ELEMENT, element, sizeof(element));
        assert_memory_equal(reply + 47 + 5 * ELEMENT + 16, zeros, HASH);
    }
    init(CAPS & ~(uint64_t)SPDM_CAP_SET_CERT, false);
    address(SPDM_SLOTS_BANK_DETAILS, P256_BANK, 0);
    assert_int_equal(ask(false), 8 + 39 + ELEMENT);
    assert_int_equal(reply[47 + 4], 3); /* provisioned, and not to be written */
    assert_int_equal(le32_get(reply + 47 + 12), 4 + HASH + p256.certs_len);
}

/* In a multi-key connection: whose pairs they are, and what these are for. */
static void test_pairs(void **state)
{
    const uint8_t *slot;

    init(CAPS | MULTI, true);
    ids[2] = owner;
    ids[2].slot = 3;
    ids[2].model = SPDM_MODEL_GENERIC;
    ids[2].key.len = 0;
    ids[3] = (SpdmIdentity){ .slot = 4, .key.kind = SPDM_KEY_P384, .pair = 3 }; /* given to a pair that is to be made */
    pair.responder.config.n_identities = 4;
    provisions.usage_off[0] = (uint16_t)~4u;
    address(SPDM_SLOTS_BANK_DETAILS, P384_BANK, 0);
    assert_int_equal(ask(false), 8 + 39 + 8 * ELEMENT);
    slot = reply + 47;
    assert_true(slot[4] == 1 && slot[5] == 1 && slot[6] == 1 && slot[8] == 4);
    slot += 3 * ELEMENT;
    assert_true(slot[2] == 3 && slot[4] == 1 && slot[5] == 1 && slot[6] == 3 && slot[8] == 4);
    slot += ELEMENT;
    assert_true(slot[4] == 0 && slot[5] == 3 && slot[6] == 0 && slot[8] == ALL);
    slot += ELEMENT;
    assert_true(slot[4] == 0 && slot[5] == 0 && slot[6] == 0 && slot[8] == 0);
    address(SPDM_SLOTS_BANK_DETAILS, P256_BANK, 0);
    assert_int_equal(ask(false), 8 + 39 + 8 * ELEMENT);
    assert_true(reply[47 + 5] == 2 && reply[47 + 6] == 1);
}

static void test_chains(void **state)
{
    init(CAPS, false);
    for (uint8_t bank = 0; bank < 2; bank++) {
        const SpdmIdentity *id = bank == P256_BANK ? &p256 : pair_identity(SPDM_TEST_DEVICE);
        uint8_t             want[SPDM_CHAIN_MAX];
        ByteWriter          w = bw_init(want, sizeof(want));
        SpdmChain           chain;

        assert_true(spdm_chain_of(id, spdm_hash(BIT(1)), &chain));
        spdm_chain_append(&chain, 0, chain.len, &w);
        address(SPDM_SLOTS_GET_CHAIN, bank, 0xf0); /* bits 3:0 are the slot */
        assert_int_equal(ask(false), 16 + chain.len);
        assert_int_equal(le16_get(reply + 4), 8);
        assert_int_equal(le32_get(reply + 8), chain.len);
        assert_memory_equal(reply + 16, want, chain.len);
    }
    /* Longer than the requester takes. */
    pair.responder.peer_max_size = pair.responder.peer_transfer_size = 512;
    assert_int_equal(ask(false), 8);
    assert_true(reply[1] == 0x7f && reply[2] == SPDM_RESPONSE_TOO_LARGE);
    assert_int_equal(le32_get(reply + 4), 16 + 4 + HASH + pair_identity(SPDM_TEST_DEVICE)->certs_len);
}

/* ---- what is done ---- */

/* The key that a signing request is for. */
static void expect_csr(SpdmSpan der, const SpdmIdentity *id)
{
    const uint8_t *p = der.data;
    X509_REQ      *csr = d2i_X509_REQ(NULL, &p, (long)der.len);
    uint8_t       *spki = NULL;
    SpdmPublicKey  got, want;
    Entropy        e;
    int            len;

    entropy_init(&e, 1, "csr");
    assert_non_null(csr);
    assert_int_equal(X509_REQ_verify(csr, X509_REQ_get0_pubkey(csr)), 1);
    len = i2d_PUBKEY(X509_REQ_get0_pubkey(csr), &spki);
    assert_true(len > 0 && spdm_public_key_read(spki, (size_t)len, &got));
    assert_true(spdm_public_key_of(&id->key, &e, &want));
    assert_memory_equal(&got, &want, sizeof(got));
    OPENSSL_free(spki);
    X509_REQ_free(csr);
}

static SpdmResult op(uint8_t subcode, uint8_t bank, uint8_t slot, const SpdmIdentity *id)
{
    return pair_op(&pair, SPDM_OP_SLOTS, &(SpdmOpArgs){ .subcode = subcode, .bank = bank, .slot = slot,
                                                        .message = id != NULL ? id->certs : NULL,
                                                        .len = id != NULL ? id->certs_len : 0 });
}

/* By the requester: into a bank that the connection does not go by, and out again. */
static void test_other_bank(void **state)
{
    static const uint8_t get_digests[] = { 0x14, 0x81, 0, 0 };

    init(CAPS, false);
    assert_int_equal(op(SPDM_SLOTS_GET_CSR, P256_BANK, 2, NULL), SPDM_DONE);
    expect_csr(spdm_requester_vendor_reply(&pair.requester), &p256);
    assert_int_equal(op(SPDM_SLOTS_GET_CSR, P384_BANK, 2, NULL), SPDM_DONE);
    expect_csr(spdm_requester_vendor_reply(&pair.requester), pair_identity(SPDM_TEST_DEVICE));
    assert_int_equal(op(SPDM_SLOTS_SET_CERTIFICATE, P256_BANK, 2, &p256), SPDM_DONE);
    assert_int_equal(pair_send(&pair, false, get_digests, 4, reply, sizeof(reply)), 4 + HASH);
    assert_int_equal(reply[3], 1); /* this connection's have not changed */
    assert_int_equal(op(SPDM_SLOTS_GET_CHAIN, P256_BANK, 2, NULL), SPDM_DONE);
    assert_int_equal(spdm_requester_vendor_reply(&pair.requester).len, 4 + HASH + p256.certs_len);
    spdm_responder_conventional_reset(&pair.responder); /* it stays */
    connect_for(SPDM_KEY_P256, 2);
    assert_int_equal(pair_op(&pair, SPDM_OP_MEASUREMENTS, &(SpdmOpArgs){ .index = 0xff, .sign = true }), SPDM_DONE);
    assert_int_equal(op(SPDM_SLOTS_MANAGE_SLOT, P256_BANK, 2, NULL), SPDM_DONE);
    assert_int_equal(op(SPDM_SLOTS_GET_CHAIN, P256_BANK, 2, NULL), SPDM_FAILED);
    assert_int_equal(op(SPDM_SLOTS_SET_CERTIFICATE, P384_BANK, 0, &owner), SPDM_DONE);
    connect_for(SPDM_KEY_P384, 0);
    assert_memory_equal(pair.requester.chain + 4 + HASH, owner.certs, owner.certs_len);
    assert_int_equal(op(SPDM_SLOTS_MANAGE_BANK, 0, 0, NULL), SPDM_FAILED); /* not asked for here */
    assert_int_equal(op(SPDM_SLOTS_SET_CERTIFICATE, 0, 0, NULL), SPDM_FAILED);
}

/* Chains that go and come in chunks. */
static void test_chunks(void **state)
{
    SpdmSpan got;

    init(CAPS | SPDM_CAP_CHUNK, false);
    assert_int_equal(op(SPDM_SLOTS_SET_CERTIFICATE, P256_BANK, 7, &p256), SPDM_DONE);
    assert_int_equal(op(SPDM_SLOTS_GET_CHAIN, P256_BANK, 7, NULL), SPDM_DONE);
    got = spdm_requester_vendor_reply(&pair.requester);
    assert_int_equal(got.len, 4 + HASH + p256.certs_len);
    assert_memory_equal((const uint8_t *)got.data + 4 + HASH, p256.certs, p256.certs_len);
    assert_int_equal(op(SPDM_SLOTS_BANK_DETAILS, P256_BANK, 0, NULL), SPDM_DONE);
    expect_digest((const uint8_t *)spdm_requester_vendor_reply(&pair.requester).data + 39 + 7 * ELEMENT + 16, &p256);
}

/* With CERT_INSTALL_RESET_CAP, by one; the tags of signing requests are GET_CSR's. */
static void test_resets(void **state)
{
    init(CAPS | SPDM_CAP_CERT_INSTALL_RESET, false);
    set_certificate(P256_BANK, 2, &p256);
    assert_int_equal(ask(true), 4);
    assert_true(pair_answered(reply, 4, SPDM_RESET_REQUIRED, 0));
    set_certificate(P384_BANK, 2, &owner);
    assert_int_equal(ask(true), 4);
    assert_true(pair_answered(reply, 4, SPDM_BUSY, 0)); /* one of that number waits */
    set_certificate(P384_BANK, 3, &owner);
    assert_int_equal(ask(true), 4);
    assert_true(pair_answered(reply, 4, SPDM_RESET_REQUIRED, 0));
    for (uint8_t bank = 0; bank < 2; bank++) {
        for (uint8_t slot = 0; slot < 4; slot++) {
            bool waits = slot == (bank == P256_BANK ? 2 : 3);

            address(SPDM_SLOTS_GET_CHAIN, bank, slot);
            assert_true(pair_answered(reply, ask(true), waits ? SPDM_RESET_REQUIRED
                                                              : slot == 0 ? 0 : SPDM_INVALID_REQUEST, 0));
        }
        address(SPDM_SLOTS_BANK_DETAILS, bank, 0);
        assert_true(pair_answered(reply, ask(true), SPDM_RESET_REQUIRED, 0));
    }
    get_csr(P256_BANK, 0, 0);
    assert_int_equal(ask(true), 4);
    assert_true(pair_answered(reply, 4, SPDM_RESET_REQUIRED, 1));
    spdm_responder_conventional_reset(&pair.responder);
    connect_for(SPDM_KEY_P384, 3);
    get_csr(P256_BANK, 0, 1 << 3);
    assert_true(ask(true) > 16);
    expect_csr((SpdmSpan){ reply + 16, le32_get(reply + 8) }, &p256);
    erase(P256_BANK, 2);
    assert_true(pair_answered(reply, ask(true), SPDM_RESET_REQUIRED, 0));
    spdm_responder_conventional_reset(&pair.responder);
    connect_for(SPDM_KEY_P384, 3);
    address(SPDM_SLOTS_GET_CHAIN, P256_BANK, 2);
    assert_true(pair_answered(reply, ask(true), SPDM_INVALID_REQUEST, 0));
}

/* ---- what is refused ---- */

enum { PLAIN, RECORD };

typedef struct Row {
    const char *name;
    uint8_t     subcode, bank, slot;
    bool        in_session;
    int         longer;         /* change of length */
    uint16_t    at;             /* byte to set, 0: none */
    uint8_t     value;
    uint8_t     error;          /* 0: answered */
    uint64_t    without, with;  /* capabilities; with MULTI_KEY the connection is a multi-key one */
} Row;

static const Row rows[] = {
    /* name                        subcode bank slot place  longer at val error without */
    { "subcodes",                   0x00, 0, 0, PLAIN,  0,  0,  0,    0 },
    { "subcodes: offset",           0x00, 0, 0, PLAIN,  0,  4,  8,    1 },
    { "subcodes: long",             0x00, 0, 0, PLAIN,  4,  0,  0,    1 },
    { "subcodes: padded",           0x00, 0, 0, PLAIN,  3,  0,  0,    0 },
    { "subcodes: short",            0x00, 0, 0, PLAIN,  -1, 0,  0,    1 },
    { "banks: offset",              0x01, 0, 0, PLAIN,  0,  5,  1,    1 },
    { "banks: long",                0x01, 0, 0, PLAIN,  4,  0,  0,    1 },
    { "subcode 5",                  0x05, 0, 0, PLAIN,  0,  0,  0,    1 },
    { "subcode 23",                 0x23, 0, 0, PLAIN,  0,  0,  0,    1 },
    { "subcode ff",                 0xff, 0, 0, PLAIN,  0,  0,  0,    1 },
    { "configure a bank",           0x20, 0, 0, RECORD, 0,  0,  0,    7 },
    { "details",                    0x02, 1, 0, PLAIN,  0,  0,  0,    0 },
    { "details: slot 15",           0x02, 1, 15, PLAIN, 0,  0,  0,    0 },
    { "details: bank 2",            0x02, 2, 0, PLAIN,  0,  0,  0,    1 },
    { "details: bank 255",          0x02, 255, 0, PLAIN, 0, 0,  0,    1 },
    { "details: no offset",         0x02, 0, 0, PLAIN,  0,  4,  0,    1 },
    { "details: offset in header",  0x02, 0, 0, PLAIN,  0,  4,  7,    1 },
    { "details: offset beyond",     0x02, 0, 0, PLAIN,  0,  4,  9,    1 },
    { "details: offset far beyond", 0x02, 0, 0, PLAIN,  0,  5,  0xff, 1 },
    { "details: ReqLength 7",       0x02, 0, 0, PLAIN,  0,  8,  7,    1 },
    { "details: ReqLength 9",       0x02, 0, 0, PLAIN,  0,  8,  9,    1 },
    { "details: reserved",          0x02, 0, 0, PLAIN,  0,  10, 0xff, 0 },
    { "details: short",             0x02, 0, 0, PLAIN,  -1, 0,  0,    1 },
    { "details: long",              0x02, 0, 0, PLAIN,  4,  0,  0,    1 },
    { "chain: slot 1, no session",  0x03, 1, 1, PLAIN,  0,  0,  0,    1 },
    { "chain: slot 8",              0x03, 1, 8, PLAIN,  0,  0,  0,    1 },
    { "chain: bank 2",              0x03, 2, 0, PLAIN,  0,  0,  0,    1 },
    { "chain: ReqLength",           0x03, 1, 0, PLAIN,  0,  9,  1,    1 },
    { "chain: long",                0x03, 1, 0, PLAIN,  4,  0,  0,    1 },
    { "CSR",                        0x04, 0, 0, PLAIN,  0,  0,  0,    0 },
    { "CSR: bank 2",                0x04, 2, 0, PLAIN,  0,  0,  0,    1 },
    { "CSR: pair",                  0x04, 0, 0, PLAIN,  0,  16, 1,    1 },
    { "CSR: model",                 0x04, 0, 0, PLAIN,  0,  17, 1,    1 },
    { "CSR: tag without resets",    0x04, 0, 0, PLAIN,  0,  17, 8,    1 },
    { "CSR: info beyond message",   0x04, 0, 0, PLAIN,  0,  20, 4,    1 },
    { "CSR: opaque beyond message", 0x04, 0, 0, PLAIN,  0,  22, 4,    1 },
    { "CSR: info is nothing",       0x04, 0, 0, PLAIN,  4,  20, 4,    1 },
    { "CSR: short",                 0x04, 0, 0, PLAIN,  -1, 0,  0,    1 },
    { "CSR: long",                  0x04, 0, 0, PLAIN,  4,  0,  0,    1 },
    { "CSR: not had",               0x04, 0, 0, PLAIN,  0,  0,  0,    7, SPDM_CAP_CSR },
    { "CSR: no pair",               0x04, 0, 0, PLAIN,  0,  17, 1,    1, 0, MULTI },
    { "CSR: another bank's pair",   0x04, 0, 0, PLAIN,  0,  16, 1,    1, 0, MULTI },
    { "erase: slot 0",              0x21, 0, 0, PLAIN,  0,  0,  0,    0 },
    { "erase: slot 1, no session",  0x21, 0, 1, PLAIN,  0,  0,  0,    4 },
    { "erase: an empty slot",       0x21, 0, 1, RECORD, 0,  0,  0,    1 },
    { "erase: slot 8",              0x21, 0, 8, RECORD, 0,  0,  0,    1 },
    { "erase: bank 2",              0x21, 2, 0, RECORD, 0,  0,  0,    1 },
    { "erase: operation 0",         0x21, 0, 0, RECORD, 0,  16, 0,    1 },
    { "erase: operation 2",         0x21, 0, 0, RECORD, 0,  16, 2,    1 },
    { "erase: short",               0x21, 0, 0, RECORD, -1, 0,  0,    1 },
    { "erase: long",                0x21, 0, 0, RECORD, 4,  0,  0,    1 },
    { "erase: ReqLength",           0x21, 0, 0, RECORD, 0,  8,  12,   1 },
    { "erase: not had",             0x21, 0, 0, RECORD, 0,  0,  0,    7, SPDM_CAP_SET_CERT },
    { "set: slot 0",                0x22, 0, 0, PLAIN,  0,  0,  0,    0 },
    { "set: slot 7",                0x22, 0, 7, RECORD, 0,  0,  0,    0 },
    { "set: slot 1, no session",    0x22, 0, 1, PLAIN,  0,  0,  0,    4 },
    { "set: slot 8",                0x22, 0, 8, RECORD, 0,  0,  0,    1 },
    { "set: another bank's chain",  0x22, 1, 1, RECORD, 0,  0,  0,    5 },
    { "set: bank 2",                0x22, 2, 1, RECORD, 0,  0,  0,    1 },
    { "set: model",                 0x22, 0, 1, RECORD, 0,  20, 1,    1 },
    { "set: reserved bits",         0x22, 0, 1, RECORD, 0,  20, 0xf8, 0 },
    { "set: pair",                  0x22, 0, 1, RECORD, 0,  21, 2,    1 },
    { "set: CertLength",            0x22, 0, 1, RECORD, 0,  16, 9,    1 },
    { "set: CertLength of 64 KiB",  0x22, 0, 1, RECORD, 0,  18, 1,    1 },
    { "set: Length",                0x22, 0, 1, RECORD, 0,  24, 9,    1 },
    { "set: root hash",             0x22, 0, 1, RECORD, 0,  30, 0x55, 5 },
    { "set: a byte of a certificate", 0x22, 0, 1, RECORD, 0, 200, 0x55, 5 },
    { "set: short",                 0x22, 0, 1, RECORD, -1, 0,  0,    1 },
    { "set: long",                  0x22, 0, 1, RECORD, 4,  0,  0,    1 },
    { "set: not had",               0x22, 0, 1, RECORD, 0,  0,  0,    7, SPDM_CAP_SET_CERT },
    { "set: no pair",               0x22, 0, 1, RECORD, 0,  20, 1,    1, 0, MULTI },
    { "set: another bank's pair",   0x22, 0, 1, RECORD, 0,  21, 1,    1, 0, MULTI },
};

static void build(const Row *row)
{
    switch (row->subcode) {
    case SPDM_SLOTS_SUBCODES:
    case SPDM_SLOTS_BANK_INFO:
        header(row->subcode, 0);
        break;
    case SPDM_SLOTS_GET_CSR:
        get_csr(row->bank, 0, row->with != 0);
        break;
    case SPDM_SLOTS_MANAGE_SLOT:
        erase(row->bank, row->slot);
        break;
    case SPDM_SLOTS_SET_CERTIFICATE:
        set_certificate(row->bank, row->slot, &p256);
        msg[20] = row->with != 0;
        break;
    default:
        address(row->subcode, row->bank, row->slot);
        break;
    }
}

static void test_rows(void **state)
{
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        const Row *row = &rows[i];
        size_t     len;

        init((CAPS & ~row->without) | row->with, row->with != 0);
        build(row);
        msg_len += (size_t)row->longer;
        if (row->at != 0) {
            msg[row->at] = row->value;
        }
        len = ask(row->in_session);
        if (row->error == 0 ? len < 8 || reply[1] != 0x08 || reply[2] != row->subcode
                            : !pair_answered(reply, len, row->error, row->error == 7 ? 0x88 : 0)) {
            fail_msg("%s: %zu bytes, %02x %02x %02x", row->name, len, reply[1], reply[2], reply[3]);
        }
        if (row->error != 0) { /* nothing has changed */
            assert_true(pair.responder.config.n_identities == 2 && ids[1].certs_len == p256.certs_len &&
                        provisions.staged_slots == 0);
        }
    }
}

/* A SlotAddress may stand further behind. */
static void test_offset(void **state)
{
    init(CAPS, false);
    address(SPDM_SLOTS_BANK_DETAILS, P256_BANK, 0);
    memmove(msg + 13, msg + 8, 8);
    msg[4] = 13;
    msg_len = 21;
    assert_int_equal(ask(false), 8 + 39 + 8 * ELEMENT);
}

/* ---- the requester ---- */

/* The answer of @row, with @len bytes, the last of which are zeros. */
static const struct Reply {
    const char *name;
    uint8_t     subcode;
    size_t      len;
    uint8_t     bytes[64];
    bool        ok;
} replies[] = {
    { "subcodes", 0, 44, { 0x14, 8, 0, 0, 8, 0, 0, 0, 36, 0, 0, 0, 0x0f }, true },
    { "subcodes: further behind", 0, 46, { 0x14, 8, 0, 0, 10, 0, 0, 0, 0, 0, 36, 0, 0, 0, 0x0f }, true },
    { "subcodes: longer", 0, 48, { 0x14, 8, 0, 0, 8, 0, 0, 0, 40, 0, 0, 0, 0x0f }, true },
    { "subcodes: short", 0, 43, { 0x14, 8, 0, 0, 8, 0, 0, 0, 35 }, false },
    { "subcodes: beyond message", 0, 44, { 0x14, 8, 0, 0, 8, 0, 0, 0, 40 }, false },
    { "subcodes: RespLength 0", 0, 44, { 0x14, 8, 0, 0, 8 }, false },
    { "subcodes: another", 0, 44, { 0x14, 8, 1, 0, 8, 0, 0, 0, 36 }, false },
    { "subcodes: no offset", 0, 44, { 0x14, 8, 0, 0, 0, 0, 0, 0, 36 }, false },
    { "subcodes: offset far behind", 0, 44, { 0x14, 8, 0, 0, 0xff, 0xff, 0, 0, 36 }, false },
    { "subcodes: header alone", 0, 6, { 0x14, 8, 0, 0, 8 }, false },
    { "banks", 1, 20, { 0x14, 8, 1, 0, 8, 0, 0, 0, 12, 0, 0, 0, 1, 0, 0, 0, 4, 0, 3, 3 }, true },
    { "banks: none", 1, 16, { 0x14, 8, 1, 0, 8, 0, 0, 0, 8 }, true },
    { "banks: longer element", 1, 24, { 0x14, 8, 1, 0, 8, 0, 0, 0, 14, 0, 0, 0, 1, 0, 0, 0, 6, 0, 3, 3 }, true },
    { "banks: one more", 1, 20, { 0x14, 8, 1, 0, 8, 0, 0, 0, 12, 0, 0, 0, 2, 0, 0, 0, 4, 0, 3, 3 }, false },
    { "banks: element of 3", 1, 20, { 0x14, 8, 1, 0, 8, 0, 0, 0, 12, 0, 0, 0, 1, 0, 0, 0, 3, 0, 3, 3 }, false },
    { "banks: element of 0", 1, 20, { 0x14, 8, 1, 0, 8, 0, 0, 0, 12, 0, 0, 0, 1 }, false },
    { "details: no slots", 2, 47, { 0x14, 8, 2, 0, 8, 0, 0, 0, 39, 0, 1, [28] = 4, [33] = 4, [38] = 4 }, true },
    { "details: a slot", 2, 111, { 0x14, 8, 2, 0, 8, 0, 0, 0, 103, 0, 1, 0, 1, [28] = 4, [33] = 4, [38] = 4,
                                   [47] = ELEMENT }, true },
    { "details: no post-quantum", 2, 36, { 0x14, 8, 2, 0, 8, 0, 0, 0, 27, 0, 1 }, true },
    { "details: another bank", 2, 47, { 0x14, 8, 2, 0, 8, 0, 0, 0, 39, 0, 2, [28] = 4, [33] = 4, [38] = 4 }, false },
    { "details: post-quantum beyond", 2, 47, { 0x14, 8, 2, 0, 8, 0, 0, 0, 39, 0, 1, [28] = 4, [33] = 9, [38] = 4 },
      false },
    { "details: a slot without digest", 2, 111, { 0x14, 8, 2, 0, 8, 0, 0, 0, 103, 0, 1, 0, 1, [28] = 4, [33] = 4,
                                                  [38] = 4, [47] = 16 }, false },
    { "details: a slot more", 2, 111, { 0x14, 8, 2, 0, 8, 0, 0, 0, 103, 0, 1, 0, 2, [28] = 4, [33] = 4, [38] = 4,
                                        [47] = ELEMENT }, false },
    { "chain", 3, 20, { 0x14, 8, 3, 0, 8, 0, 0, 0, 4 }, true },
    { "chain: beyond message", 3, 20, { 0x14, 8, 3, 0, 8, 0, 0, 0, 5 }, false },
    { "chain: 4 GiB", 3, 20, { 0x14, 8, 3, 0, 8, 0, 0, 0, 0xff, 0xff, 0xff, 0xff }, false },
    { "CSR: short", 4, 12, { 0x14, 8, 4, 0, 8, 0, 0, 0, 0 }, false },
    { "erased", 0x21, 8, { 0x14, 8, 0x21 }, true },
    { "erased: with a structure", 0x21, 16, { 0x14, 8, 0x21, 0, 8 }, false },
    { "erased: long", 0x21, 12, { 0x14, 8, 0x21 }, false },
    { "erased: of another", 0x21, 8, { 0x14, 8, 0x22 }, false },
};

static void test_replies(void **state)
{
    for (unsigned i = 0; i < ARRAY_LEN(replies); i++) {
        const struct Reply *row = &replies[i];
        uint8_t             out[SPDM_MSG_MAX] = { 0 };
        bool                secured;
        SpdmResult          result;

        init(CAPS, false);
        assert_null(spdm_requester_start(&pair.requester, SPDM_OP_SLOTS,
                                         &(SpdmOpArgs){ .subcode = row->subcode, .bank = 1 }));
        pair.requester.session.state = SPDM_SESSION_FREE; /* plain answers */
        assert_true(spdm_requester_next(&pair.requester, out, sizeof(out), &secured) > 0);
        memset(out, 0, sizeof(out));
        memcpy(out, row->bytes, sizeof(row->bytes));
        result = spdm_requester_response(&pair.requester, out, row->len, false);
        if ((result == SPDM_DONE) != row->ok) {
            fail_msg("%s: %s", row->name, spdm_requester_error(&pair.requester));
        }
    }
}

/* Where there is no such thing. */
static void test_not_there(void **state)
{
    const SpdmOpArgs args = { .subcode = 0 };

    init(CAPS & ~SPDM_CAP_SLOT_MGMT, false);
    assert_non_null(strstr(spdm_requester_start(&pair.requester, SPDM_OP_SLOTS, &args), "does not tell of banks"));
    init(CAPS, false);
    assert_true((pair.requester.peer_capabilities & SPDM_CAP_SLOT_MGMT) != 0);
    assert_non_null(strstr(spdm_requester_start(&pair.requester, SPDM_OP_SLOTS, NULL), "needs arguments"));
    spdm_requester_offer(&pair.requester, &(SpdmOffer){ SPDM_VERSION_13, SPDM_VERSION_13, { 0 } });
    assert_int_equal(pair_connect(&pair), SPDM_DONE);
    assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_DONE);
    assert_int_equal(pair.requester.peer_capabilities >> 32, 0); /* the bits are reserved there */
    assert_non_null(strstr(spdm_requester_start(&pair.requester, SPDM_OP_SLOTS, &args), "does not tell of banks"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_subcodes), cmocka_unit_test(test_bank_info),  cmocka_unit_test(test_bank_details),
        cmocka_unit_test(test_pairs),    cmocka_unit_test(test_chains),     cmocka_unit_test(test_other_bank),
        cmocka_unit_test(test_resets),   cmocka_unit_test(test_rows),       cmocka_unit_test(test_offset),
        cmocka_unit_test(test_replies),  cmocka_unit_test(test_not_there),  cmocka_unit_test(test_chunks),
    };

    pair_load(SPDM_TEST_OWNER, SPDM_KEY_P384, &owner);
    pair_load(SPDM_TEST_DEVICE, SPDM_KEY_P256, &p256);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
