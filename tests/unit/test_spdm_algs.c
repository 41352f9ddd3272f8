/*
 * Every algorithm in a whole flow: connection, CHALLENGE, session, signed measurements, end. Each row names what both
 * sides agree to; the selection must be that, and the responder must prefer by its table when the other side offers
 * more.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "spdm/sign.h"
#include "spdm_pair.h"

static SpdmPair     pair;
static SpdmIdentity identities[SPDM_N_KEY_KINDS];

static SpdmAlgMasks parse(const char *text)
{
    SpdmAlgMasks m;
    char         why[SPDM_WHY_MAX];

    if (!spdm_algorithms_parse(text, &m, why)) {
        fail_msg("%s: %s", text, why);
    }
    return m;
}

/* The device with a key of each kind; each side agrees to what it is given (NULL: to all). */
static void start(const char *device, const char *module, uint8_t version)
{
    SpdmOffer           offer = { version, version, module != NULL ? parse(module) : (SpdmAlgMasks){ 0 } };
    SpdmResponderConfig config;

    pair_init(&pair, SPDM_RESPONDER_CAPS);
    config = pair.responder.config;
    config.version_min = SPDM_VERSION_11;
    config.version_max = SPDM_VERSION_13;
    config.identities = identities;
    config.n_identities = SPDM_N_KEY_KINDS;
    config.algorithms = device != NULL ? parse(device) : (SpdmAlgMasks){ 0 };
    spdm_responder_init(&pair.responder, &config);
    spdm_requester_offer(&pair.requester, &offer);
}

static void connect(const char *name)
{
    SpdmPublicKey key;
    SpdmSpan      chain;
    size_t        header;

    if (pair_op(&pair, SPDM_OP_CONNECT, NULL) != SPDM_DONE) {
        fail_msg("%s: %s", name, spdm_requester_error(&pair.requester));
    }
    chain = spdm_requester_chain(&pair.requester);
    header = 4 + spdm_hash(pair.requester.selected.hash)->len;
    assert_null(spdm_chain_check((const uint8_t *)chain.data + header, chain.len - header, NULL, 0,
                                 SPDM_CHAIN_OF_RESPONDER, -1, &key));
    assert_int_equal(key.kind, spdm_asym(pair.requester.selected.asym)->kind);
    assert_int_equal(spdm_requester_set_public_key(&pair.requester, &key), SPDM_KEY_OK);
}

static void must(const char *name, SpdmOp op, const SpdmOpArgs *args)
{
    if (pair_op(&pair, op, args) != SPDM_DONE) {
        fail_msg("%s: operation %d: %s", name, op, spdm_requester_error(&pair.requester));
    }
}

/* CHALLENGE outside the session, checked here: the module does not send it. */
static void challenge(const char *name)
{
    uint8_t         version = pair.requester.version;
    const SpdmHash *hash = spdm_hash(pair.requester.selected.hash);
    const SpdmAsym *asym = spdm_asym(pair.requester.selected.asym);
    SpdmSigner      signer = { version, hash, asym };
    uint8_t         get_digests[] = { version, 0x81, 0, 0 }, msg[44] = { version, 0x83, 0, 0xff, 1, 2, 3 };
    static uint8_t  digests[SPDM_MSG_MAX], reply[SPDM_MSG_MAX];
    size_t          msg_len = version >= SPDM_VERSION_13 ? 44 : 36, digests_len, len;

    digests_len = pair_send(&pair, false, get_digests, sizeof(get_digests), digests, sizeof(digests));
    assert_int_equal(digests_len, 4 + hash->len);
    len = pair_send(&pair, false, msg, msg_len, reply, sizeof(reply));
    assert_int_equal(len, 4 + hash->len + 32 + hash->len + 2 + (msg_len - 36) + asym->sig_len);
    SpdmSpan spans[] = { spdm_requester_vca(&pair.requester), { get_digests, 4 }, { digests, digests_len },
                         { msg, msg_len }, { reply, len - asym->sig_len } };
    if (!spdm_verify(&signer, &pair.requester.public_key, SPDM_SIGN_CHALLENGE, spans, 5, reply + len - asym->sig_len)) {
        fail_msg("%s: CHALLENGE_AUTH is not signed", name);
    }
    reply[8] ^= 1;
    assert_false(spdm_verify(&signer, &pair.requester.public_key, SPDM_SIGN_CHALLENGE, spans, 5,
                             reply + len - asym->sig_len));
}

static void whole_flow(const char *name)
{
    SpdmOpArgs all = { .index = 0xff, .sign = true };

    connect(name);
    challenge(name);
    must(name, SPDM_OP_SESSION, NULL);
    must(name, SPDM_OP_MEASUREMENTS, &all);
    assert_int_equal(pair_ide(&pair, IDE_KM_QUERY, 0), SPDM_DONE);
    must(name, SPDM_OP_END_SESSION, NULL);
    assert_int_equal(pair.sessions_ended, 1);
}

/* Each algorithm once, the others in turn. */
static void test_sets(void **state)
{
    static const struct {
        const char *algs;
        uint8_t     version;
        uint32_t    asym, hash, dhe, aead;
    } rows[] = {
        /*                                                     version, bits of asymmetric, hash, DHE, AEAD */
        { "ecdsa-p256+sha256+secp256r1+aes-128-gcm",           0x12, 0x10, 1, 8, 1 },
        { "ecdsa-p384+sha384+secp384r1+aes-256-gcm",           0x13, 0x80, 2, 16, 2 },
        { "ecdsa-p521+sha512+secp521r1+chacha20-poly1305",     0x11, 0x100, 4, 32, 4 },
        { "rsassa2048+sha256+ffdhe2048+aes-128-gcm",           0x12, 1, 1, 1, 1 },
        { "rsapss2048+sha3-256+ffdhe2048+chacha20-poly1305",   0x13, 2, 8, 1, 4 },
        { "rsassa3072+sha384+ffdhe3072+aes-256-gcm",           0x11, 4, 2, 2, 2 },
        { "rsapss3072+sha3-384+secp256r1+aes-256-gcm",         0x12, 8, 16, 8, 2 },
        { "rsassa4096+sha3-512+ffdhe4096+aes-128-gcm",         0x13, 0x20, 32, 4, 1 },
        { "rsapss4096+sha512+secp384r1+chacha20-poly1305",     0x12, 0x40, 4, 16, 4 },
        { "ed25519+sha256+secp256r1+aes-256-gcm",              0x11, 0x400, 1, 8, 2 },
        { "ed25519+sha512+secp521r1+aes-128-gcm",              0x13, 0x400, 4, 32, 1 },
        /* a hash shorter and longer than the curve */
        { "ecdsa-p521+sha256+secp521r1+aes-256-gcm",           0x12, 0x100, 1, 32, 2 },
        { "ecdsa-p256+sha512+secp256r1+aes-256-gcm",           0x12, 0x10, 4, 8, 2 },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        SpdmSelection *got = &pair.requester.selected;

        for (int device = 0; device <= 1; device++) { /* the device restricts, or the module does */
            start(device ? rows[i].algs : NULL, device ? NULL : rows[i].algs, rows[i].version);
            connect(rows[i].algs);
            if (got->asym != rows[i].asym || got->hash != rows[i].hash || got->dhe != rows[i].dhe ||
                got->aead != rows[i].aead || got->measure_hash != rows[i].hash << 1) {
                fail_msg("%s: selected %x %x %x %x %x", rows[i].algs, got->asym, got->hash, got->dhe, got->aead,
                         got->measure_hash);
            }
        }
        start(NULL, rows[i].algs, rows[i].version);
        whole_flow(rows[i].algs);
    }
}

/* Keys exchanged by a KEM: 1.4 alone, where libcrypto has one, and only when there is no DHE group in common. Without
 * libcrypto's there is nothing in common. */
static void test_kems(void **state)
{
    static const SpdmAlgMasks kems[] = { { .dhe = BIT(8) }, { .dhe = BIT(9) }, { .dhe = BIT(10) } };
    static const SpdmAlgMasks both = { .dhe = BIT(8) | BIT(4) };
    bool                      known = (spdm_algorithms_known().dhe >> SPDM_KEM_SHIFT) != 0;

    for (unsigned i = 0; i < ARRAY_LEN(kems); i++) {
        for (uint8_t version = SPDM_VERSION_13; version <= SPDM_VERSION_14; version++) {
            SpdmOffer offer = { version, version, kems[i] };

            start(NULL, NULL, version);
            pair.responder.config.version_max = SPDM_VERSION_14;
            spdm_requester_offer(&pair.requester, &offer);
            if (version < SPDM_VERSION_14 || !known) {
                assert_int_equal(pair_op(&pair, SPDM_OP_CONNECT, NULL), SPDM_FAILED);
                assert_non_null(strstr(spdm_requester_error(&pair.requester), "ERROR 0x01"));
                continue;
            }
            whole_flow("KEM");
            assert_int_equal(pair.requester.selected.dhe, kems[i].dhe);
            offer.algorithms = both;
            spdm_requester_offer(&pair.requester, &offer);
            connect("both");
            assert_int_equal(pair.requester.selected.dhe, BIT(4));
        }
    }
}

/* The device prefers by its tables; a module that has less gets the best of what it has. */
static void test_preference(void **state)
{
    static const struct {
        const char *device, *module;
        const char *asym, *hash, *dhe, *aead, *measure; /* measure: NULL: raw */
    } rows[] = {
        { NULL, NULL, "ecdsa-p384", "sha384", "secp384r1", "aes-256-gcm", "sha384" },
        { NULL, "sha256+sha512+ecdsa-p256+rsassa2048+ffdhe2048+ffdhe3072+aes-128-gcm", "ecdsa-p256", "sha512",
          "ffdhe3072", "aes-128-gcm", "sha512" },
        { "sha3-256+sha256", NULL, "ecdsa-p384", "sha256", "secp384r1", "aes-256-gcm", "sha256" },
        { "meas-sha512", NULL, "ecdsa-p384", "sha384", "secp384r1", "aes-256-gcm", "sha512" },
        { "meas-sha256+meas-raw", NULL, "ecdsa-p384", "sha384", "secp384r1", "aes-256-gcm", "sha256" },
        { "meas-raw", NULL, "ecdsa-p384", "sha384", "secp384r1", "aes-256-gcm", NULL },
        { "rsassa3072+rsapss3072", "rsassa3072+rsapss3072", "rsapss3072", "sha384", "secp384r1", "aes-256-gcm",
          "sha384" },
    };
    SpdmOpArgs     all = { .index = 0xff, .sign = true };
    const uint8_t *block;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const SpdmHash *measure;

        start(rows[i].device, rows[i].module, SPDM_VERSION_12);
        connect("preference");
        assert_string_equal(spdm_asym(pair.responder.selected.asym)->name, rows[i].asym);
        assert_string_equal(spdm_hash(pair.responder.selected.hash)->name, rows[i].hash);
        assert_string_equal(spdm_dhe(pair.responder.selected.dhe)->name, rows[i].dhe);
        assert_string_equal(spdm_aead(pair.responder.selected.aead)->name, rows[i].aead);
        measure = spdm_measure_hash(pair.responder.selected.measure_hash);
        assert_true(rows[i].measure == NULL ? pair.responder.selected.measure_hash == SPDM_MEASURE_RAW
                                            : measure != NULL && strcmp(measure->name, rows[i].measure) == 0);
        must("preference", SPDM_OP_SESSION, NULL);
        must("preference", SPDM_OP_MEASUREMENTS, &all);
        block = (const uint8_t *)spdm_requester_reply(&pair.requester).data + 8;
        assert_int_equal(block[4], measure == NULL ? 0x80 : 0); /* raw bit of the type */
        assert_int_equal(le16_get(block + 5), measure == NULL ? sizeof("rom of the test device") : measure->len);
    }
}

/* Nothing in common, of each kind: refused, and the next attempt with something in common is not. */
static void test_nothing_in_common(void **state)
{
    static const char *const rows[][2] = {
        { "sha256", "sha384" }, { "ecdsa-p256", "ecdsa-p384" }, { "rsassa3072", "rsapss3072" },
        { "secp256r1", "ffdhe2048" }, { "aes-128-gcm", "aes-256-gcm" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        start(rows[i][0], rows[i][1], SPDM_VERSION_12);
        assert_int_equal(pair_op(&pair, SPDM_OP_CONNECT, NULL), SPDM_FAILED);
        assert_non_null(strstr(spdm_requester_error(&pair.requester), "ERROR 0x01"));
        spdm_requester_offer(&pair.requester, &(SpdmOffer){ SPDM_VERSION_11, SPDM_VERSION_13, parse(rows[i][0]) });
        connect(rows[i][0]);
        must(rows[i][0], SPDM_OP_SESSION, NULL);
    }
}

/* The highest common version. */
static void test_versions(void **state)
{
    static const struct { uint8_t device[2], module[2], version; } rows[] = { /* version 0: none */
        { { 0x11, 0x13 }, { 0x11, 0x13 }, 0x13 }, { { 0x11, 0x12 }, { 0x11, 0x13 }, 0x12 },
        { { 0x11, 0x11 }, { 0x11, 0x13 }, 0x11 }, { { 0x12, 0x13 }, { 0x11, 0x12 }, 0x12 },
        { { 0x13, 0x13 }, { 0x11, 0x12 }, 0 },    { { 0x11, 0x11 }, { 0x12, 0x13 }, 0 },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        start(NULL, NULL, SPDM_VERSION_12);
        pair.responder.config.version_min = rows[i].device[0];
        pair.responder.config.version_max = rows[i].device[1];
        spdm_requester_offer(&pair.requester, &(SpdmOffer){ rows[i].module[0], rows[i].module[1], { 0 } });
        if (rows[i].version != 0) {
            whole_flow("versions");
            assert_int_equal(pair.requester.version, rows[i].version);
        } else {
            assert_int_equal(pair_op(&pair, SPDM_OP_CONNECT, NULL), SPDM_FAILED);
            assert_non_null(strstr(spdm_requester_error(&pair.requester), "offers no SPDM version"));
        }
    }
}

/* A device that selects what was not offered, more than one, or nothing. */
static void test_wrong_selection(void **state)
{
    static const struct { const char *name; unsigned at; uint32_t bits; } rows[] = { /* offset in ALGORITHMS */
        { "asymmetric: not offered", 12, 0x80 }, { "asymmetric: two", 12, 0x90 },      { "asymmetric: none", 12, 0 },
        { "hash: not offered", 16, 2 },          { "hash: two", 16, 3 },               { "hash: none", 16, 0 },
        { "DHE: not offered", 36, 0x00102002 },  { "DHE: none", 36, 0x00002002 },      { "DHE: two", 36, 0x00182002 },
        { "AEAD: not offered", 40, 0x00022003 }, { "AEAD: none", 40, 0x00002003 },     { "AEAD: two", 40, 0x00032003 },
        { "measurement hash: none", 8, 0 },      { "requester's key: two", 44, 0x00902004 },
        { "requester's key: not offered", 44, 0x00802004 }, { "key schedule", 48, 0x00002005 },
        { "a table twice", 40, 0x00102002 }, { "tables out of order", 36, 0x00102005 },
        { "a table that was not offered", 44, 0x00002007 }, { "algorithms of one byte", 36, 0x00101002 },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint8_t request[SPDM_MSG_MAX], response[SPDM_MSG_MAX];
        bool    secured;
        size_t  len;

        start(NULL, "ecdsa-p256+sha256+secp256r1+aes-128-gcm", SPDM_VERSION_12);
        assert_null(spdm_requester_start(&pair.requester, SPDM_OP_CONNECT, NULL));
        assert_int_equal(pair_step(&pair), SPDM_CONTINUE);
        assert_int_equal(pair_step(&pair), SPDM_CONTINUE);
        len = spdm_requester_next(&pair.requester, request, sizeof(request), &secured);
        len = spdm_responder_handle(&pair.responder, false, request, len, response, sizeof(response), &secured);
        assert_int_equal(len, 52);
        le32_put(response + rows[i].at, rows[i].bits);
        if (spdm_requester_response(&pair.requester, response, len, false) != SPDM_FAILED) {
            fail_msg("%s: believed", rows[i].name);
        }
    }
}

static int load(void **state)
{
    Entropy     e;
    const char *why;

    entropy_init(&e, 1, "identities");
    for (unsigned i = 0; i < SPDM_N_KEY_KINDS; i++) {
        if (!spdm_identity_load(spdm_test_pem(SPDM_TEST_DEVICE, (SpdmKeyKind)i), &e, &identities[i], &why)) {
            return -1;
        }
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sets),
        cmocka_unit_test(test_preference),
        cmocka_unit_test(test_kems),
        cmocka_unit_test(test_nothing_in_common),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_wrong_selection),
    };

    return cmocka_run_group_tests(tests, load, NULL);
}
