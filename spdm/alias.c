/*
 * The alias certificate model: a device certifies a key that it makes of its own key and of what it runs, so that other
 * firmware has another one, and signs with that. DMTF DSP0274 1.2, "Device certificate and alias certificate"; the key
 * follows the idea of TCG's DICE. Keys are EC keys, as a scalar can be had from any secret. OpenSSL does the X.509.
 */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "spdm/certify.h"
#include "spdm/pki.h"

enum { COORDINATE_MAX = 66, SERIAL_LEN = 16, TRIES = 8 };

static const struct Curve {
    SpdmKeyKind kind;
    size_t      len;  /* of a scalar */
    uint8_t     mask; /* of its first byte */
    const char *md;
} curves[] = {
    { SPDM_KEY_P256, 32, 0xff, "SHA256" },
    { SPDM_KEY_P384, 48, 0xff, "SHA384" },
    { SPDM_KEY_P521, 66, 0x01, "SHA512" },
};

static const struct Curve *curve_of(SpdmKeyKind kind)
{
    for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++) {
        if (curves[i].kind == kind) {
            return &curves[i];
        }
    }
    return NULL;
}

bool spdm_alias_key(const SpdmPrivateKey *device, SpdmSpan runs, Entropy *entropy, SpdmPrivateKey *alias)
{
    const struct Curve *curve = curve_of(device->kind);
    const SpdmHash     *hash = spdm_hash(1u << 2); /* SHA-512 */
    uint8_t             scalar[2 * SPDM_HASH_MAX], message[SPDM_HASH_MAX + 1];
    bool                ok = false;

    /* A scalar beyond the order of the group is one in 2^32 at most: the next one will do. */
    for (uint8_t i = 0; !ok && curve != NULL && i < TRIES; i++) {
        ok = spdm_hash_spans(hash, &runs, 1, message);
        for (uint8_t half = 0; ok && half < 2; half++) {
            message[SPDM_HASH_MAX] = (uint8_t)(2 * i + half);
            ok = spdm_hmac(hash, device->der, device->len, message, sizeof(message), scalar + half * hash->len);
        }
        scalar[0] &= curve->mask;
        ok = ok && spdm_private_key_from_scalar(device->kind, entropy, scalar, alias);
    }
    spdm_wipe(scalar, sizeof(scalar));
    return ok;
}

/* The last certificate. */
static X509 *device_certificate(const SpdmIdentity *id)
{
    const uint8_t *p = spdm_identity_certs(id), *end = p + id->certs_len;
    X509          *cert = NULL;

    while (p < end) {
        X509_free(cert);
        cert = d2i_X509(NULL, &p, (long)(end - p));
        if (cert == NULL) {
            break;
        }
    }
    return cert;
}

/* DSP0274 "Leaf certificate", "Definition of SPDM certificate requirements": the SPDM extension (.6) says that the
 * certificate changes with what the device runs (.5). */
static const SpdmCertForm alias_form = {
    "20250101000000Z",
    "99991231235959Z", /* RFC 5280: without an end */
    (const SpdmExtension[]){
        { "basicConstraints", "critical,CA:FALSE" },
        { "keyUsage", "critical,digitalSignature" },
        { "extendedKeyUsage", "1.3.6.1.4.1.412.274.3" },
        { "subjectKeyIdentifier", "hash" },
        { "1.3.6.1.4.1.412.274.6", "DER:30:0e:30:0c:06:0a:2b:06:01:04:01:83:1c:82:12:05" },
        { NULL, NULL },
    },
};

/* A number that repeats: of the key. */
static bool make_serial(EVP_PKEY *key, uint8_t digest[SPDM_HASH_MAX])
{
    uint8_t *der = NULL;
    int      len = i2d_PUBKEY(key, &der);
    bool     ok = len > 0 && spdm_hash_spans(spdm_hash(1u << 2), &(SpdmSpan){ der, (size_t)len }, 1, digest);

    digest[0] = 1;
    OPENSSL_free(der);
    return ok;
}

/* What the device is, which a host looks for in the leaf (PCIe 6.0 "CMA-SPDM"), is in the issuer's. */
static bool copy_names(X509 *cert, X509 *issuer)
{
    int at = X509_get_ext_by_NID(issuer, NID_subject_alt_name, -1);

    return at < 0 || X509_add_ext(cert, X509_get_ext(issuer, at), -1) == 1;
}

/* Its subject is the issuer's with one part more. */
static X509 *certify(X509 *issuer, EVP_PKEY *issuer_key, EVP_PKEY *key, const char *md)
{
    X509_NAME *name = X509_NAME_dup(X509_get_subject_name(issuer));
    uint8_t    serial[SPDM_HASH_MAX];
    X509      *cert = NULL;

    if (name != NULL && make_serial(key, serial) &&
        X509_NAME_add_entry_by_txt(name, "OU", MBSTRING_ASC, (const uint8_t *)"alias", -1, -1, 0) == 1) {
        cert = spdm_certificate_new(&alias_form, name, (SpdmSpan){ serial, SERIAL_LEN }, key, issuer);
    }
    if (cert != NULL &&
        (!copy_names(cert, issuer) || X509_sign(cert, issuer_key, EVP_get_digestbyname(md)) <= 0)) {
        X509_free(cert);
        cert = NULL;
    }
    X509_NAME_free(name);
    return cert;
}

const char *spdm_alias_append(SpdmIdentity *id, const SpdmPrivateKey *device, const SpdmPrivateKey *alias,
                              Entropy *entropy)
{
    const struct Curve *curve = curve_of(device->kind);
    Entropy            *before = entropy_use(entropy);
    const uint8_t      *d = device->der, *a = alias->der;
    X509               *issuer = device_certificate(id), *cert = NULL;
    EVP_PKEY           *issuer_key = d2i_AutoPrivateKey(NULL, &d, device->len);
    EVP_PKEY           *key = d2i_AutoPrivateKey(NULL, &a, alias->len);
    uint8_t            *der = NULL, *at;
    int                 len = 0;
    const char         *why = NULL;

    if (curve == NULL) {
        why = "an alias needs an EC key: of P-256, P-384 or P-521";
    } else if (issuer == NULL || (X509_get_extension_flags(issuer) & EXFLAG_CA) == 0) {
        why = "the last certificate is no CA's, as that of a device has to be which certifies its alias";
    } else if (issuer_key != NULL && key != NULL) {
        cert = certify(issuer, issuer_key, key, curve->md);
        len = cert != NULL ? i2d_X509(cert, &der) : 0;
    }
    at = why == NULL && len > 0 ? spdm_grow(id->certs, sizeof(id->certs), id->room, id->certs_len, (size_t)len) : NULL;
    if (why == NULL && at == NULL) {
        why = "the alias certificate could not be made, or the certificates are too long with it";
    }
    if (why == NULL) {
        memcpy(at, der, (size_t)len);
        id->certs_len += (uint32_t)len;
        id->alias_len = (uint32_t)len;
    }
    OPENSSL_free(der);
    X509_free(cert);
    X509_free(issuer);
    EVP_PKEY_free(key);
    EVP_PKEY_free(issuer_key);
    ERR_clear_error();
    entropy_use(before);
    return why;
}
