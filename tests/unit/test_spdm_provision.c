/*
 * SET_CERTIFICATE and GET_CSR: what is refused and how, as rows; what stays behind, with and without a reset; and that
 * the signing requests are ones that OpenSSL takes, for each kind of key.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "spdm_pair.h"

enum { HASH = 48 };

#define CAPS (SPDM_RESPONDER_CAPS | SPDM_CAP_SET_CERT | SPDM_CAP_CSR)

static SpdmPair       pair;
static SpdmIdentity   ids[SPDM_IDENTITIES_MAX], owner, wrong, p256;
static SpdmProvisions provisions;
static uint8_t        reply[SPDM_MSG_MAX], msg[SPDM_MSG_MAX];
static size_t         msg_len;

/* A device with slot 0 alone, all slots writable, connected to. */
static void init(uint8_t version, uint32_t caps, bool in_session)
{
    SpdmOffer offer = { version, version, { 0 } };

    pair_init(&pair, caps);
    memset(&provisions, 0, sizeof(provisions));
    memset(ids, 0, sizeof(ids));
    ids[0] = *pair_identity(SPDM_TEST_DEVICE);
    provisions.identities = ids;
    pair.responder.config.identities = ids;
    pair.responder.config.provisions = &provisions;
    pair.responder.config.version_min = SPDM_VERSION_11;
    pair.responder.config.version_max = SPDM_VERSION_14;
    spdm_requester_offer(&pair.requester, &offer);
    assert_int_equal(pair_connect(&pair), SPDM_DONE);
    if (in_session) {
        assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_DONE);
    }
}

static size_t ask(bool in_session) { return pair_send(&pair, in_session, msg, msg_len, reply, sizeof(reply)); }

/* A request with nothing behind its header. */
static void header(uint8_t version, uint8_t code, uint8_t param1, uint8_t param2)
{
    const uint8_t bytes[] = { version, code, param1, param2 };

    memcpy(msg, bytes, 4);
    msg_len = 4;
}

static void set_certificate(uint8_t version, uint8_t param1, const SpdmIdentity *id)
{
    header(version, SPDM_SET_CERTIFICATE, param1, 0);
    le32_put(msg + 4, 4 + HASH + id->certs_len);
    assert_true(spdm_hash_spans(spdm_hash(BIT(1)), &(SpdmSpan){ id->certs, id->root_len }, 1, msg + 8));
    memcpy(msg + 8 + HASH, id->certs, id->certs_len);
    msg_len = 8 + HASH + id->certs_len;
}

static void get_csr(uint8_t version, uint8_t param2, const void *info, size_t len)
{
    header(version, SPDM_GET_CSR, 0, param2);
    le16_put(msg + 4, (uint16_t)len);
    le16_put(msg + 6, 0);
    memcpy(msg + 8, info, len);
    msg_len = 8 + len;
}

static void expect_error(const char *name, size_t len, uint8_t error, uint8_t data)
{
    if (len != 4 || reply[1] != 0x7f || reply[2] != error || reply[3] != data) {
        fail_msg("%s: %zu bytes, %02x %02x %02x; wanted error %02x %02x", name, len, reply[1], reply[2], reply[3],
                 error, data);
    }
}

/* What a slot holds now, as seen by GET_DIGESTS. */
static void expect_slots(uint8_t version, uint8_t mask)
{
    uint8_t get_digests[] = { version, 0x81, 0, 0 };
    size_t  len = pair_send(&pair, false, get_digests, 4, reply, sizeof(reply));

    assert_int_equal(len, 4 + HASH * (unsigned)__builtin_popcount(mask));
    assert_int_equal(reply[1], 0x01);
    assert_int_equal(reply[2], version >= SPDM_VERSION_13 ? 0xff : 0);
    assert_int_equal(reply[3], mask);
}

/* The chain's length has 32 bits in 1.4; the upper ones are reserved before. */
static void test_length(void **state)
{
    for (uint8_t v = SPDM_VERSION_13; v <= SPDM_VERSION_14; v++) {
        init(v, CAPS, true);
        set_certificate(v, 1, &owner);
        msg[6] = 1;
        if (v >= SPDM_VERSION_14) {
            expect_error("64 KiB more", ask(true), SPDM_INVALID_REQUEST, 0);
            msg[6] = 0;
        }
        assert_int_equal(ask(true), 4);
        assert_int_equal(reply[1], 0x6e);
    }
}

static void test_set(void **state)
{
    for (uint8_t v = SPDM_VERSION_12; v <= SPDM_VERSION_13; v++) {
        uint8_t size[8] = { v, 0x82, 5, 1 };

        init(v, CAPS, true);
        for (uint8_t slot = 1; slot < SPDM_SLOTS; slot++) {
            set_certificate(v, slot, &owner);
            assert_int_equal(ask(true), 4);
            assert_int_equal(reply[1], 0x6e);
            assert_int_equal(reply[2], slot);
        }
        set_certificate(v, 0, &owner); /* slot 0 is open to everybody */
        assert_int_equal(ask(false), 4);
        expect_slots(v, 0xff);
        for (unsigned slot = 1; slot < SPDM_SLOTS; slot++) {
            assert_memory_equal(reply + 4, reply + 4 + slot * HASH, HASH);
        }
        if (v >= SPDM_VERSION_13) {
            assert_int_equal(pair_send(&pair, false, size, 8, reply, sizeof(reply)), 8);
            assert_int_equal(le16_get(reply + 6), 4 + HASH + SPDM_CERTS_MAX);
        }
        spdm_responder_conventional_reset(&pair.responder); /* and they stay */
        pair.requester.options.slot = 6;
        assert_int_equal(pair_connect(&pair), SPDM_DONE);
        assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_DONE);
        expect_slots(v, 0xff);
    }
}

static void test_erase(void **state)
{
    init(SPDM_VERSION_13, CAPS, true);
    set_certificate(0x13, 2, &owner);
    assert_int_equal(ask(true), 4);
    expect_slots(0x13, 0x05);
    header(0x13, SPDM_SET_CERTIFICATE, 0x82, 0);
    assert_int_equal(ask(true), 4);
    assert_int_equal(reply[1], 0x6e);
    expect_slots(0x13, 0x01);
    header(0x13, SPDM_SET_CERTIFICATE, 0x80, 0);
    assert_int_equal(ask(true), 4);
    header(0x13, 0x81, 0, 0);
    expect_error("no slot is left", ask(false), SPDM_UNSPECIFIED, 0);
    get_csr(0x13, 0, "", 0); /* the key is still there, and nothing that says what for */
    assert_true(ask(true) > 8);
    assert_int_equal(reply[1], 0x6d);
    set_certificate(0x13, 0, ids);
    memcpy(msg + 8 + HASH, pair_identity(SPDM_TEST_DEVICE)->certs, pair_identity(SPDM_TEST_DEVICE)->certs_len);
    set_certificate(0x13, 0, pair_identity(SPDM_TEST_DEVICE));
    assert_int_equal(ask(true), 4);
    expect_slots(0x13, 0x01);
}

static void test_reset_required(void **state)
{
    static const uint8_t certificate[8] = { 0x13, 0x82, 3, 0, 0, 0, 0, 4 };

    init(SPDM_VERSION_13, CAPS | SPDM_CAP_CERT_INSTALL_RESET, true);
    set_certificate(0x13, 3, &owner);
    expect_error("set", ask(true), SPDM_RESET_REQUIRED, 0);
    header(0x13, 0x81, 0, 0);
    expect_error("digests", ask(false), SPDM_RESET_REQUIRED, 0);
    memcpy(msg, certificate, 8);
    msg_len = 8;
    expect_error("that slot", ask(false), SPDM_RESET_REQUIRED, 0);
    msg[2] = 0;
    assert_int_equal(ask(false), 8 + 0x400); /* another slot */
    spdm_responder_reset(&pair.responder);
    assert_int_equal(pair_connect(&pair), SPDM_FAILED); /* the reset of one function is not enough */
    spdm_responder_conventional_reset(&pair.responder);
    assert_int_equal(pair_connect(&pair), SPDM_DONE);
    expect_slots(0x13, 0x09);
    assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_DONE);
    header(0x13, SPDM_SET_CERTIFICATE, 0x83, 0);
    expect_error("erase", ask(true), SPDM_RESET_REQUIRED, 0);
    spdm_responder_conventional_reset(&pair.responder);
    assert_int_equal(pair_connect(&pair), SPDM_DONE);
    expect_slots(0x13, 0x01);
}

/* ---- what is refused ---- */

typedef struct Row {
    const char *name;
    uint8_t     version;
    bool        in_session;
    uint8_t     code;
    uint8_t     param1, param2;
    int         longer;     /* change of length */
    uint16_t    at;         /* byte to change, 0: none */
    uint8_t     mask;
    uint8_t     error, data; /* error 0: answered */
    uint32_t    without;
} Row;

static const Row rows[] = {
    /* name                          ver  session code p1    p2    longer at  mask  error data without */
    { "set: fine",                   0x12, true,  0xee, 1,    0,    0,   0,   0,    0,    0, 0 },
    { "set: fine, slot 0",           0x12, false, 0xee, 0,    0,    0,   0,   0,    0,    0, 0 },
    { "set: slot 8",                 0x12, true,  0xee, 8,    0,    0,   0,   0,    1,    0, 0 },
    { "set: slot 15",                0x12, true,  0xee, 15,   0,    0,   0,   0,    1,    0, 0 },
    { "set: slot 1, no session",     0x12, false, 0xee, 1,    0,    0,   0,   0,    4,    0, 0 },
    { "set: slot 7, no session",     0x13, false, 0xee, 7,    0,    0,   0,   0,    4,    0, 0 },
    { "set: reserved bits of 1.2",   0x12, true,  0xee, 0xf1, 9,    0,   0,   0,    0,    0, 0 },
    { "set: model",                  0x13, true,  0xee, 0x11, 0,    0,   0,   0,    1,    0, 0 },
    { "set: key pair ID",            0x13, true,  0xee, 1,    1,    0,   0,   0,    1,    0, 0 },
    { "set: DW padding",             0x12, true,  0xee, 1,    0,    3,   0,   0,    0,    0, 0 },
    { "set: too long",               0x12, true,  0xee, 1,    0,    4,   0,   0,    1,    0, 0 },
    { "set: short",                  0x12, true,  0xee, 1,    0,    -1,  0,   0,    1,    0, 0 },
    { "set: Length too small",       0x12, true,  0xee, 1,    0,    0,   5,   0xff, 1,    0, 0 },
    { "set: Length 0",               0x12, true,  0xee, 1,    0,    0,   5,   0xfe, 1,    0, 0 },
    { "set: another root hash",      0x12, true,  0xee, 1,    0,    0,   20,  1,    5,    0, 0 },
    { "set: no certificate",         0x12, true,  0xee, 1,    0,    0,   56,  1,    5,    0, 0 },
    { "set: a signature broken",     0x12, true,  0xee, 1,    0,    0,   160, 1,    5,    0, 0 },
    { "set: erase with a chain",     0x13, true,  0xee, 0x81, 0,    0,   0,   0,    1,    0, 0 },
    { "set: not advertised",         0x12, true,  0xee, 1,    0,    0,   0,   0,    7,    0xee, SPDM_CAP_SET_CERT },
    { "set: in 1.1",                 0x11, true,  0xee, 1,    0,    0,   0,   0,    7,    0xee, 0 },
    { "set: version",                0x12, true,  0xee, 1,    0,    0,   0xff, 0,   0x41, 0, 0 },
    { "CSR: fine",                   0x12, false, 0xed, 0,    0,    0,   0,   0,    0,    0, 0 },
    { "CSR: fine in a session",      0x13, true,  0xed, 0,    0,    0,   0,   0,    0,    0, 0 },
    { "CSR: reserved bits of 1.2",   0x12, false, 0xed, 1,    0xff, 0,   0,   0,    0,    0, 0 },
    { "CSR: key pair ID",            0x13, false, 0xed, 1,    0,    0,   0,   0,    1,    0, 0 },
    { "CSR: model",                  0x13, false, 0xed, 0,    1,    0,   0,   0,    1,    0, 0 },
    { "CSR: tag without resets",     0x13, false, 0xed, 0,    0x08, 0,   0,   0,    1,    0, 0 },
    { "CSR: overwrite",              0x13, false, 0xed, 0,    0x80, 0,   0,   0,    0,    0, 0 },
    { "CSR: short",                  0x12, false, 0xed, 0,    0,    -1,  0,   0,    1,    0, 0 },
    { "CSR: too long",               0x12, false, 0xed, 0,    0,    4,   0,   0,    1,    0, 0 },
    { "CSR: info beyond message",    0x12, false, 0xed, 0,    0,    0,   4,   0x40, 1,    0, 0 },
    { "CSR: opaque beyond message",  0x12, false, 0xed, 0,    0,    0,   6,   4,    1,    0, 0 },
    { "CSR: opaque of 32 KiB",       0x12, false, 0xed, 0,    0,    0,   7,   0x80, 1,    0, 0 },
    { "CSR: info no sequence",       0x12, false, 0xed, 0,    0,    0,   8,   1,    1,    0, 0 },
    { "CSR: info cut",               0x12, false, 0xed, 0,    0,    0,   9,   1,    1,    0, 0 },
    { "CSR: info version 1",         0x12, false, 0xed, 0,    0,    0,   12,  1,    1,    0, 0 },
    { "CSR: info without subject",   0x12, false, 0xed, 0,    0,    0,   13,  1,    1,    0, 0 },
    { "CSR: info without key",       0x12, false, 0xed, 0,    0,    0,   31,  1,    1,    0, 0 },
    { "CSR: info without attributes", 0x12, false, 0xed, 0,   0,    0,   33,  1,    1,    0, 0 },
    { "CSR: attribute malformed",    0x12, false, 0xed, 0,    0,    0,   35,  1,    1,    0, 0 },
    { "CSR: not advertised",         0x12, false, 0xed, 0,    0,    0,   0,   0,    7,    0xed, SPDM_CAP_CSR },
    { "CSR: in 1.1",                 0x11, false, 0xed, 0,    0,    0,   0,   0,    7,    0xed, 0 },
};

/* CertificationRequestInfo: version 0, CN=owner, no key, attribute challengePassword. */
static const uint8_t info[] = {
    0x30, 0x2d, 2, 1, 0, 0x30, 0x10, 0x31, 0x0e, 0x30, 0x0c, 6, 3, 0x55, 4, 3, 0x0c, 5, 'o', 'w',
    'n',  'e',  'r', 0x30, 0, 0xa0, 0x14, 0x30, 0x12, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 7,
    0x31, 5,    0x0c, 3, 'x', 'y', 'z',
};

static void run_row(const Row *row)
{
    size_t len;

    init(row->version, CAPS & ~row->without, row->in_session);
    if (row->code == 0xee) {
        set_certificate(row->version, row->param1, &owner);
    } else {
        get_csr(row->version, 0, info, sizeof(info));
    }
    msg[2] = row->param1;
    msg[3] = row->param2;
    if (row->longer > 0) {
        memset(msg + msg_len, 0, (size_t)row->longer);
    }
    msg_len += (size_t)row->longer;
    if (row->at == 0xff) {
        msg[0]++;
    } else if (row->at == 5 && row->mask == 0xfe) {
        msg[4] = msg[5] = 0;
    } else if (row->at == 5) {
        msg[5] = 0;
        msg[4] = 4 + HASH;
    } else if (row->at != 0) {
        msg[row->at] ^= row->mask;
    }
    len = ask(row->in_session);
    if (row->error == 0) {
        if (len < 4 || reply[1] != (row->code & 0x7f)) {
            fail_msg("%s: %02x %02x %02x", row->name, reply[1], reply[2], reply[3]);
        }
        return;
    }
    expect_error(row->name, len, row->error, row->data);
    assert_int_equal(pair.responder.config.n_identities, 1); /* nothing has changed */
    assert_int_equal(provisions.staged_slots, 0);
}

static void test_refused(void **state)
{
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        run_row(&rows[i]);
    }
    /* Whole chains that do not belong here. */
    init(SPDM_VERSION_12, CAPS, true);
    set_certificate(0x12, 1, &wrong);
    expect_error("another key", ask(true), SPDM_UNSPECIFIED, 0);
    ids[1] = p256;
    pair.responder.config.n_identities = 2;
    set_certificate(0x12, 1, &p256);
    expect_error("the device's key of another kind", ask(true), SPDM_UNSPECIFIED, 0);
    header(0x12, 0xee, 0, 0);
    expect_error("nothing at all", ask(true), SPDM_INVALID_REQUEST, 0);
    pair_init(&pair, CAPS);
    expect_error("before GET_VERSION", ask(false), SPDM_UNEXPECTED_REQUEST, 0);
    assert_null(spdm_requester_start(&pair.requester, SPDM_OP_CONNECT, NULL));
    assert_int_equal(pair_step(&pair), SPDM_CONTINUE);
    assert_int_equal(pair_step(&pair), SPDM_CONTINUE);
    expect_error("before algorithms", ask(false), SPDM_UNEXPECTED_REQUEST, 0);
    msg[1] = 0xed;
    expect_error("before algorithms", ask(false), SPDM_UNEXPECTED_REQUEST, 0);
}

/* ---- signing requests ---- */

static X509_REQ *csr_of(const uint8_t *der, size_t len)
{
    const uint8_t *p = der;
    X509_REQ      *csr = d2i_X509_REQ(NULL, &p, (long)len);
    EVP_PKEY      *key;

    assert_non_null(csr);
    assert_int_equal(p - der, len);
    key = X509_REQ_get0_pubkey(csr);
    assert_non_null(key);
    assert_int_equal(X509_REQ_verify(csr, key), 1);
    return csr;
}

static void expect_subject(X509_REQ *csr, const char *want)
{
    char text[128] = "";

    X509_NAME_get_text_by_NID(X509_REQ_get_subject_name(csr), NID_commonName, text, sizeof(text));
    assert_string_equal(text, want);
}

static void test_csr_kinds(void **state)
{
    for (unsigned kind = 0; kind < SPDM_N_KEY_KINDS; kind++) {
        SpdmIdentity             id;
        SpdmPublicKey            ours, theirs;
        uint8_t                  der[SPDM_MSG_MAX], again[SPDM_MSG_MAX], *spki = NULL;
        size_t                   len;
        int                      spki_len;
        X509_REQ                *csr;
        STACK_OF(X509_EXTENSION) *extensions;
        Entropy                  e;

        pair_load(SPDM_TEST_DEVICE, (SpdmKeyKind)kind, &id);
        entropy_init(&e, 7, "csr");
        len = spdm_csr_make(&id.key, spdm_hash(BIT(1)), &e, (SpdmSpan){ id.certs, id.certs_len }, (SpdmSpan){ "", 0 },
                            der, sizeof(der));
        csr = csr_of(der, len);
        expect_subject(csr, "Bailey TEST tdisp-nic");
        extensions = X509_REQ_get_extensions(csr);
        assert_int_equal(sk_X509_EXTENSION_num(extensions), 5); /* all but the two key identifiers */
        assert_true(X509v3_get_ext_by_NID(extensions, NID_subject_alt_name, -1) >= 0);
        sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
        spki_len = i2d_X509_PUBKEY(X509_REQ_get_X509_PUBKEY(csr), &spki);
        assert_true(spki_len > 0 && spdm_public_key_read(spki, (size_t)spki_len, &theirs));
        assert_true(spdm_public_key_of(&id.key, &e, &ours));
        assert_memory_equal(ours.bytes, theirs.bytes, ours.len);
        OPENSSL_free(spki);
        X509_REQ_free(csr);
        entropy_init(&e, 7, "csr");
        assert_int_equal(spdm_csr_make(&id.key, spdm_hash(BIT(1)), &e, (SpdmSpan){ id.certs, id.certs_len },
                                       (SpdmSpan){ "", 0 }, again, sizeof(again)), len);
        assert_memory_equal(der, again, len); /* it repeats */
        assert_int_equal(spdm_csr_make(&id.key, spdm_hash(BIT(1)), &e, (SpdmSpan){ id.certs, id.certs_len },
                                       (SpdmSpan){ "", 0 }, again, len - 8), 0);
    }
}

/* Subject and attributes are the requester's, the rest the device's; what the requester asks of extensions wins. */
static void test_csr_info(void **state)
{
    static const uint8_t wish[] = { /* extensionRequest: basicConstraints CA:TRUE */
        0x30, 0x2b, 2, 1, 0, 0x30, 0, 0x30, 3, 2, 1, 9, 0xa0, 0x1f, 0x30, 0x1d, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7,
        0x0d, 1, 9, 14, 0x31, 0x10, 0x30, 0x0e, 0x30, 0x0c, 6, 3, 0x55, 0x1d, 0x13, 4, 5, 0x30, 3, 1, 1, 0xff,
    };
    X509_REQ                 *csr;
    STACK_OF(X509_EXTENSION) *extensions;
    size_t                    len;

    init(SPDM_VERSION_13, CAPS, false);
    get_csr(0x13, 0, info, sizeof(info));
    len = ask(false);
    assert_int_equal(reply[1], 0x6d);
    assert_int_equal(len, 8 + le16_get(reply + 4));
    csr = csr_of(reply + 8, len - 8);
    expect_subject(csr, "owner");
    assert_true(X509_REQ_get_attr_by_NID(csr, NID_pkcs9_challengePassword, -1) >= 0);
    extensions = X509_REQ_get_extensions(csr);
    assert_int_equal(sk_X509_EXTENSION_num(extensions), 5);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    X509_REQ_free(csr);

    get_csr(0x13, 0, wish, sizeof(wish));
    len = ask(false);
    assert_int_equal(reply[1], 0x6d);
    csr = csr_of(reply + 8, len - 8);
    assert_int_equal(X509_NAME_entry_count(X509_REQ_get_subject_name(csr)), 0);
    extensions = X509_REQ_get_extensions(csr);
    assert_int_equal(sk_X509_EXTENSION_num(extensions), 1);
    assert_true(X509v3_get_ext_by_NID(extensions, NID_basic_constraints, -1) >= 0);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    X509_REQ_free(csr);
}

/* Opaque data has the agreed format and length, and says nothing to this device. */
static void test_csr_opaque(void **state)
{
    init(SPDM_VERSION_12, CAPS, false);
    get_csr(0x12, 0, info, sizeof(info));
    le16_put(msg + 6, 4);
    memset(msg + msg_len, 0, 1028); /* no elements */
    msg_len += 4;
    assert_true(ask(false) > 8);
    assert_int_equal(reply[1], 0x6d);
    le16_put(msg + 6, 1025);
    msg_len += 1021;
    expect_error("1025 bytes", ask(false), SPDM_INVALID_REQUEST, 0);
    le16_put(msg + 6, 4);
    msg_len -= 1021;
    pair.responder.selected.other_params = 0;
    expect_error("no format was agreed", ask(false), SPDM_INVALID_REQUEST, 0);
}

/* A request waits for a reset under its tag. */
static void test_csr_tracking(void **state)
{
    init(SPDM_VERSION_13, CAPS | SPDM_CAP_CERT_INSTALL_RESET, false);
    for (uint8_t tag = 1; tag <= 7; tag++) {
        get_csr(0x13, 0, info, sizeof(info));
        expect_error("a new tag", ask(false), SPDM_RESET_REQUIRED, tag);
    }
    expect_error("all tags are used", ask(false), SPDM_BUSY, 0);
    get_csr(0x13, 3 << 3, info, sizeof(info));
    expect_error("before the reset", ask(false), SPDM_RESET_REQUIRED, 3);
    spdm_responder_conventional_reset(&pair.responder);
    assert_int_equal(pair_connect(&pair), SPDM_DONE);
    get_csr(0x13, 3 << 3, "", 0);
    expect_error("another request under the tag", ask(false), SPDM_INVALID_REQUEST, 0);
    get_csr(0x13, 3 << 3, info, sizeof(info));
    X509_REQ_free(csr_of(reply + 8, ask(false) - 8));
    expect_error("the tag is free again", ask(false), SPDM_UNEXPECTED_REQUEST, 0);
    get_csr(0x13, 0, info, sizeof(info));
    expect_error("and is given out", ask(false), SPDM_RESET_REQUIRED, 3);
    get_csr(0x13, 0x80, info, sizeof(info));
    expect_error("overwrite", ask(false), SPDM_RESET_REQUIRED, 1);
    get_csr(0x13, 2 << 3, info, sizeof(info));
    expect_error("overwritten", ask(false), SPDM_UNEXPECTED_REQUEST, 0);
    get_csr(0x13, 0x80 | 1 << 3, info, sizeof(info));
    expect_error("overwrite with a tag", ask(false), SPDM_INVALID_REQUEST, 0);
}

/* 1.2 has one request, without a tag. */
static void test_csr_reset(void **state)
{
    init(SPDM_VERSION_12, CAPS | SPDM_CAP_CERT_INSTALL_RESET, false);
    get_csr(0x12, 0, info, sizeof(info));
    expect_error("first", ask(false), SPDM_RESET_REQUIRED, 0);
    expect_error("again", ask(false), SPDM_RESET_REQUIRED, 0);
    spdm_responder_conventional_reset(&pair.responder);
    assert_int_equal(pair_connect(&pair), SPDM_DONE);
    get_csr(0x12, 0, "", 0);
    expect_error("another", ask(false), SPDM_RESET_REQUIRED, 0);
    get_csr(0x12, 0, info, sizeof(info));
    expect_error("the first was forgotten", ask(false), SPDM_RESET_REQUIRED, 0);
    spdm_responder_conventional_reset(&pair.responder);
    assert_int_equal(pair_connect(&pair), SPDM_DONE);
    get_csr(0x12, 0, info, sizeof(info));
    X509_REQ_free(csr_of(reply + 8, ask(false) - 8));
}

/* ---- the requester ---- */

static void test_requester(void **state)
{
    SpdmOpArgs csr = { .message = info, .len = sizeof(info) };
    SpdmOpArgs set = { .message = owner.certs, .len = owner.certs_len, .slot = 4 }, erase = { .slot = 4 };
    SpdmOpArgs nonsense = { .message = info, .len = sizeof(info), .slot = 4 }, other = set;

    other.message = wrong.certs;
    other.len = wrong.certs_len;
    for (uint8_t v = SPDM_VERSION_12; v <= SPDM_VERSION_13; v++) {
        SpdmSpan der;

        init(v, CAPS, false);
        assert_string_equal(spdm_requester_start(&pair.requester, SPDM_OP_GET_CSR, &csr), "there is no session");
        assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_DONE);
        assert_string_equal(spdm_requester_start(&pair.requester, SPDM_OP_GET_CSR, NULL),
                            "the operation needs arguments");
        assert_int_equal(pair_op(&pair, SPDM_OP_GET_CSR, &csr), SPDM_DONE);
        der = spdm_requester_vendor_reply(&pair.requester);
        X509_REQ_free(csr_of(der.data, der.len));
        assert_int_equal(pair_op(&pair, SPDM_OP_SET_CERTIFICATE, &set), SPDM_DONE);
        expect_slots(v, 0x11);
        assert_int_equal(pair_op(&pair, SPDM_OP_SET_CERTIFICATE, &erase), v >= 0x13 ? SPDM_DONE : SPDM_FAILED);
        expect_slots(v, v >= 0x13 ? 0x01 : 0x11);
        assert_int_equal(pair_op(&pair, SPDM_OP_SET_CERTIFICATE, &nonsense), SPDM_FAILED);
        assert_non_null(strstr(spdm_requester_error(&pair.requester), "does not begin with a certificate"));
        assert_int_equal(pair_op(&pair, SPDM_OP_SET_CERTIFICATE, &other), SPDM_FAILED);
        assert_non_null(strstr(spdm_requester_error(&pair.requester), "ERROR 0x05"));
        assert_true(spdm_requester_has_session(&pair.requester));
    }
}

static int load_all(void **state)
{
    pair_load(SPDM_TEST_OWNER, SPDM_KEY_P384, &owner);
    pair_load(SPDM_TEST_WRONG_ROOT, SPDM_KEY_P384, &wrong);
    pair_load(SPDM_TEST_DEVICE, SPDM_KEY_P256, &p256);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set), cmocka_unit_test(test_length),            cmocka_unit_test(test_erase),
        cmocka_unit_test(test_reset_required), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_csr_kinds),      cmocka_unit_test(test_csr_info),
        cmocka_unit_test(test_csr_opaque),     cmocka_unit_test(test_csr_tracking),
        cmocka_unit_test(test_csr_reset),      cmocka_unit_test(test_requester),
    };

    return cmocka_run_group_tests(tests, load_all, NULL);
}
