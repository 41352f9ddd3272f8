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

#include "spdm/pki.h"

enum { COORDINATE_MAX = 66, SERIAL_LEN = 16, TRIES = 8 };

#define FROM  "20250101000000Z"
#define UNTIL "99991231235959Z" /* RFC 5280: without an end */

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
    const uint8_t *p = id->certs, *end = p + id->certs_len;
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

static bool add_extension(X509 *cert, X509V3_CTX *ctx, int nid, const char *value)
{
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, ctx, nid, value);
    bool            ok = e != NULL && X509_add_ext(cert, e, -1) == 1;

    X509_EXTENSION_free(e);
    return ok;
}

/* DSP0274 "Definition of SPDM certificate requirements": the SPDM extension says that the certificate changes with what
 * the device runs. */
static bool add_mutable(X509 *cert)
{
    static const uint8_t der[] = { 0x30, 0x0e, 0x30, 0x0c, 0x06, 0x0a, 0x2b, 0x06,
                                   0x01, 0x04, 0x01, 0x83, 0x1c, 0x82, 0x12, 0x05 };
    ASN1_OBJECT         *oid = OBJ_txt2obj("1.3.6.1.4.1.412.274.6", 1);
    ASN1_OCTET_STRING   *octets = ASN1_OCTET_STRING_new();
    X509_EXTENSION      *e = NULL;
    bool ok = oid != NULL && octets != NULL && ASN1_OCTET_STRING_set(octets, der, sizeof(der)) == 1 &&
              X509_EXTENSION_create_by_OBJ(&e, oid, 0, octets) != NULL && X509_add_ext(cert, e, -1) == 1;

    X509_EXTENSION_free(e);
    ASN1_OCTET_STRING_free(octets);
    ASN1_OBJECT_free(oid);
    return ok;
}

/* The issuer's name with one part more. */
static bool set_names(X509 *cert, X509 *issuer)
{
    X509_NAME *name = X509_NAME_dup(X509_get_subject_name(issuer));
    bool       ok = name != NULL &&
              X509_NAME_add_entry_by_txt(name, "OU", MBSTRING_ASC, (const uint8_t *)"alias", -1, -1, 0) == 1 &&
              X509_set_subject_name(cert, name) == 1 &&
              X509_set_issuer_name(cert, X509_get_subject_name(issuer)) == 1;

    X509_NAME_free(name);
    return ok;
}

/* A number that repeats: of the key. */
static bool set_serial(X509 *cert, EVP_PKEY *key)
{
    uint8_t *der = NULL, digest[SPDM_HASH_MAX];
    int      len = i2d_PUBKEY(key, &der);
    BIGNUM  *n = NULL;
    bool     ok = len > 0 && spdm_hash_spans(spdm_hash(1u << 2), &(SpdmSpan){ der, (size_t)len }, 1, digest);

    digest[0] = 1;
    n = ok ? BN_bin2bn(digest, SERIAL_LEN, NULL) : NULL;
    ok = n != NULL && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert)) != NULL;
    BN_free(n);
    OPENSSL_free(der);
    return ok;
}

static X509 *certify(X509 *issuer, EVP_PKEY *issuer_key, EVP_PKEY *key, const char *md)
{
    X509      *cert = X509_new();
    X509V3_CTX ctx;
    bool       ok = cert != NULL && X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert, key) &&
              set_names(cert, issuer) && ASN1_TIME_set_string_X509(X509_getm_notBefore(cert), FROM) == 1 &&
              ASN1_TIME_set_string_X509(X509_getm_notAfter(cert), UNTIL) == 1 && X509_set_pubkey(cert, key) == 1;

    if (ok) {
        X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
        ok = add_extension(cert, &ctx, NID_basic_constraints, "critical,CA:FALSE") &&
             add_extension(cert, &ctx, NID_key_usage, "critical,digitalSignature") &&
             add_extension(cert, &ctx, NID_ext_key_usage, "1.3.6.1.4.1.412.274.3") &&
             add_extension(cert, &ctx, NID_subject_key_identifier, "hash") && add_mutable(cert) &&
             X509_sign(cert, issuer_key, EVP_get_digestbyname(md)) > 0;
    }
    if (!ok) {
        X509_free(cert);
        cert = NULL;
    }
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
    uint8_t            *der = NULL;
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
    if (why == NULL && (len <= 0 || (size_t)len > sizeof(id->certs) - id->certs_len)) {
        why = "the alias certificate could not be made, or the certificates are too long with it";
    }
    if (why == NULL) {
        memcpy(id->certs + id->certs_len, der, (size_t)len);
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
