/*
 * The test PKI's leaves against the devices: what the certificate of a device says of its PCI IDs is what its
 * configuration space says. PCI Express Base Specification 6.0, "CMA-SPDM": the leaf's Subject Alternative Name.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <unistd.h>

#include "blockdev.h"
#include "nic_rig.h"

#define CMA_OID  "2.23.147"
#define DMTF_OID "1.3.6.1.4.1.412.274.1"

static X509 *read_leaf(NicRig *r)
{
    SpdmSpan       chain = spdm_requester_chain(&r->requester);
    const uint8_t *p = (const uint8_t *)chain.data + 4 + spdm_hash(r->requester.selected.hash)->len,
                  *end = (const uint8_t *)chain.data + chain.len;
    X509 *cert = NULL;

    while (p < end) {
        X509_free(cert);
        cert = d2i_X509(NULL, &p, end - p);
        assert_non_null(cert);
    }
    return cert;
}

/* The only UTF-8 text of that kind in the leaf's alternative names. */
static char *other_name(X509 *leaf, const char *oid)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    char          *found = NULL, text[64];

    assert_non_null(names);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        ASN1_OBJECT *type;
        ASN1_TYPE   *value;

        if (GENERAL_NAME_get0_otherName(sk_GENERAL_NAME_value(names, i), &type, &value) == 1 &&
            OBJ_obj2txt(text, sizeof(text), type, 1) > 0 && strcmp(text, oid) == 0) {
            assert_null(found);
            assert_int_equal(ASN1_TYPE_get(value), V_ASN1_UTF8STRING);
            found = g_strndup((const char *)ASN1_STRING_get0_data(value->value.utf8string),
                              (gsize)ASN1_STRING_length(value->value.utf8string));
        }
    }
    GENERAL_NAMES_free(names);
    assert_non_null(found);
    return found;
}

/* No serial number: the devices have no Device Serial Number capability. */
static char *ids_of(NicRig *r)
{
    return g_strdup_printf("Vendor=%04x:Device=%04x:CC=%06x:REV=%02x:SSVID=%04x:SSID=%04x",
                           rig_read(r, PCI_VENDOR_ID, 2), rig_read(r, PCI_DEVICE_ID, 2),
                           rig_read(r, PCI_REVISION_ID, 4) >> 8, rig_read(r, PCI_REVISION_ID, 1),
                           rig_read(r, PCI_SUBSYSTEM_VENDOR_ID, 2), rig_read(r, PCI_SUBSYSTEM_ID, 2));
}

static void check_ids(const char *model, const char *option)
{
    char   *device = g_strdup_printf("%s%s", model, option), *dmtf = g_strdup_printf("Bailey:%s:0001", model);
    NicRig *r = rig_new_of(device);

    rig_connect(r);
    X509 *leaf = read_leaf(r);
    char *ids = ids_of(r), *cma = other_name(leaf, CMA_OID), *information = other_name(leaf, DMTF_OID);

    assert_string_equal(cma, ids);
    assert_string_equal(information, dmtf);
    g_free(information);
    g_free(cma);
    g_free(ids);
    X509_free(leaf);
    rig_free(r);
    g_free(dmtf);
    g_free(device);
}

static void test_card(void **state)
{
    static const char *const options[] = { "",
                                           ",vfs=8",
                                           ",spdm-algs=rsapss4096",
                                           ",spdm-algs=ed25519",
                                           ",tamper=wrong-root",
                                           ",tamper=expired",
                                           ",spdm-caps=+alias_cert" };

    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        check_ids("tdisp-nic", options[i]);
    }
}

static void test_disks(void **state)
{
    static const char *const models[] = { "virtio-blk-pci", "nvme" };
    static const char *const options[] = { ",drive=d0,tdisp=on", ",drive=d0,tdisp=on,spdm-algs=ecdsa-p256",
                                           ",drive=d0,tdisp=on,tamper=wrong-root" };
    char                     path[] = "/tmp/bailey-pki-XXXXXX";
    int                      fd = mkstemp(path);
    char                    *drive = g_strdup_printf("file=%s,id=d0", path);

    assert_int_equal(ftruncate(fd, 1 << 20), 0);
    close(fd);
    assert_non_null(blockdev_new(drive, NULL));
    for (size_t i = 0; i < 2; i++) {
        for (size_t j = 0; j < sizeof(options) / sizeof(options[0]); j++) {
            check_ids(models[i], options[j]);
        }
    }
    blockdev_free_all();
    unlink(path);
    g_free(drive);
}

/* Everything of one model is there for the others: the leaf alone differs. */
static void test_same_shape(void **state)
{
    static const char *const models[] = { "virtio-blk-pci", "nvme" };
    static SpdmIdentity      card, other;
    const char              *why = NULL;
    Entropy                  e;

    entropy_init(&e, 1, "pki");
    for (unsigned n = 0; n < 2 * SPDM_TEST_N * SPDM_N_KEY_KINDS; n++) {
        SpdmTestPki    which = (SpdmTestPki)(n / 2 % SPDM_TEST_N);
        SpdmKeyKind    kind = (SpdmKeyKind)(n / 2 / SPDM_TEST_N);
        const SpdmPem *ours = spdm_test_pem(which, kind), *theirs = spdm_test_pem_of(models[n % 2], which, kind);

        assert_true((theirs != NULL) == (ours != NULL && which != SPDM_TEST_REQUESTER));
        if (theirs == NULL) {
            continue;
        }
        assert_true(spdm_identity_load(ours, &e, &card, &why));
        assert_true(spdm_identity_load(theirs, &e, &other, &why));
        assert_int_equal(card.key.len, other.key.len);
        assert_memory_equal(card.key.der, other.key.der, card.key.len);
        assert_int_equal(card.root_len, other.root_len);
        assert_memory_equal(card.certs, other.certs, card.root_len);
        assert_null(spdm_identity_check(&other, &e));
    }
    assert_null(spdm_test_pem_of("virtio-net-pci", SPDM_TEST_DEVICE, SPDM_KEY_P384));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_card),
        cmocka_unit_test(test_disks),
        cmocka_unit_test(test_same_shape),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
