/*
 * The alias certificate model: the key that comes of a device's key and its firmware, and the certificate that the
 * device makes for it; then a session with a device that has them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "spdm_pair.h"

static SpdmPair     pair;
static SpdmIdentity id;

static SpdmSpan runs(const char *firmware) { return (SpdmSpan){ firmware, strlen(firmware) }; }

/* The device of the test PKI with its alias. */
static void make(const char *firmware, SpdmPrivateKey *alias)
{
    Entropy entropy;

    entropy_init(&entropy, 1, "alias");
    id = *pair_identity(SPDM_TEST_DEVICE_CA);
    assert_true(spdm_alias_key(&id.key, runs(firmware), &entropy, alias));
    assert_null(spdm_alias_append(&id, &id.key, alias, &entropy));
}

static void test_keys(void **state)
{
    static const SpdmKeyKind kinds[] = { SPDM_KEY_P256, SPDM_KEY_P384, SPDM_KEY_P521 };
    SpdmPrivateKey           a, b, c;
    SpdmIdentity             device;
    const char              *why;
    Entropy                  entropy;

    entropy_init(&entropy, 1, "keys");
    for (unsigned i = 0; i < ARRAY_LEN(kinds); i++) {
        SpdmPublicKey public;

        assert_true(spdm_identity_load(spdm_test_pem(SPDM_TEST_DEVICE, kinds[i]), &entropy, &device, &why));
        assert_true(spdm_alias_key(&device.key, runs("1"), &entropy, &a));
        assert_true(spdm_alias_key(&device.key, runs("1"), &entropy, &b));
        assert_true(spdm_alias_key(&device.key, runs("2"), &entropy, &c));
        assert_int_equal(a.kind, kinds[i]);
        assert_memory_equal(a.der, b.der, sizeof(a.der)); /* it repeats */
        assert_memory_not_equal(a.der, c.der, a.len);     /* other firmware has another one */
        assert_true(spdm_public_key_of(&a, &entropy, &public));
        assert_true(spdm_public_key_is_valid(&public));
        device.key.der[device.key.len - 1] ^= 1; /* so has another device */
        assert_true(spdm_alias_key(&device.key, runs("1"), &entropy, &b));
        assert_memory_not_equal(a.der, b.der, a.len);
        /* A leaf certifies nothing. */
        assert_non_null(strstr(spdm_alias_append(&device, &a, &c, &entropy), "no CA's"));
    }
    assert_true(spdm_identity_load(spdm_test_pem(SPDM_TEST_DEVICE, SPDM_KEY_RSA_3072), &entropy, &device, &why));
    assert_false(spdm_alias_key(&device.key, runs("1"), &entropy, &a));
    assert_non_null(strstr(spdm_alias_append(&device, &device.key, &b, &entropy), "EC key"));
}

static void test_certificate(void **state)
{
    const SpdmIdentity *device = pair_identity(SPDM_TEST_DEVICE_CA);
    SpdmPrivateKey      alias;
    SpdmPublicKey       leaf, want;
    SpdmIdentity        first;
    Entropy             entropy;

    entropy_init(&entropy, 1, "certificate");
    make("firmware 1", &alias);
    first = id;
    assert_memory_equal(id.certs, device->certs, device->certs_len);
    assert_true(id.certs_len > device->certs_len);
    assert_null(spdm_chain_check(id.certs, id.certs_len, device->certs, device->root_len, SPDM_CHAIN_OF_RESPONDER,
                                 1767225600, &leaf));
    assert_true(spdm_public_key_of(&alias, &entropy, &want));
    assert_memory_equal(leaf.bytes, want.bytes, want.len);
    make("firmware 1", &alias);
    assert_int_equal(id.certs_len, first.certs_len);
    assert_memory_equal(id.certs, first.certs, first.certs_len); /* the same generator, the same signature */
    make("firmware 2", &alias);
    assert_memory_not_equal(id.certs, first.certs, first.certs_len);
    /* The device alone, as a leaf, is none to sign. */
    assert_non_null(spdm_chain_check(device->certs, device->certs_len, device->certs, device->root_len,
                                     SPDM_CHAIN_OF_RESPONDER, -1, NULL));
    /* Another's key certifies what does not verify. */
    id = *device;
    assert_null(spdm_alias_append(&id, &alias, &alias, &entropy));
    assert_non_null(spdm_chain_check(id.certs, id.certs_len, device->certs, device->root_len, SPDM_CHAIN_OF_RESPONDER,
                                     -1, NULL));
    /* No room, no certificate, no key. */
    id.certs_len = 0;
    assert_non_null(spdm_alias_append(&id, &device->key, &alias, &entropy));
    id = *device;
    memset(alias.der, 0, sizeof(alias.der));
    assert_non_null(spdm_alias_append(&id, &device->key, &alias, &entropy));
    assert_int_equal(id.certs_len, device->certs_len);
}

static void test_session(void **state)
{
    for (uint8_t version = SPDM_VERSION_11; version <= SPDM_VERSION_13; version++) {
        SpdmOffer      offer = { version, version, { 0 } };
        SpdmPrivateKey alias;
        SpdmPublicKey  key;

        pair_init(&pair, SPDM_RESPONDER_CAPS | SPDM_CAP_ALIAS_CERT);
        make("firmware 1", &alias);
        id.key = alias;
        pair.responder.config.identities = &id;
        pair.responder.config.version_min = SPDM_VERSION_11;
        pair.responder.config.version_max = SPDM_VERSION_13;
        pair.requester.challenge = &pair.challenge;
        spdm_requester_offer(&pair.requester, &offer);
        assert_int_equal(pair_op(&pair, SPDM_OP_CONNECT, NULL), SPDM_DONE);
        assert_int_equal((pair.requester.peer_capabilities & SPDM_CAP_ALIAS_CERT) != 0, version >= SPDM_VERSION_12);
        assert_null(spdm_chain_check(id.certs, id.certs_len, id.certs, id.root_len, SPDM_CHAIN_OF_RESPONDER, -1, &key));
        assert_int_equal(spdm_requester_set_public_key(&pair.requester, &key), SPDM_KEY_OK);
        assert_int_equal(pair_op(&pair, SPDM_OP_CHALLENGE, NULL), SPDM_DONE);
        assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_DONE);
        assert_int_equal(pair_op(&pair, SPDM_OP_MEASUREMENTS, &(SpdmOpArgs){ .index = 0xff, .sign = true }), SPDM_DONE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys), cmocka_unit_test(test_certificate), cmocka_unit_test(test_session),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
