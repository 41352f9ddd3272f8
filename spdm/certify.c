/*
 * See certify.h. RFC 5280, "Certificate" and "Standard Extensions"; OpenSSL does the ASN.1.
 */
#include "spdm/certify.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

static bool set_serial(X509 *cert, SpdmSpan serial)
{
    BIGNUM *n = BN_bin2bn(serial.data, (int)serial.len, NULL);
    bool    ok = n != NULL && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert)) != NULL;

    BN_free(n);
    return ok;
}

static bool add_extensions(X509 *cert, X509 *issuer, const SpdmExtension *list)
{
    X509V3_CTX ctx;
    bool       ok = true;

    X509V3_set_ctx(&ctx, issuer != NULL ? issuer : cert, cert, NULL, NULL, 0);
    for (; ok && list->name != NULL; list++) {
        X509_EXTENSION *e = X509V3_EXT_nconf(NULL, &ctx, list->name, list->value);

        ok = e != NULL && X509_add_ext(cert, e, -1) == 1;
        X509_EXTENSION_free(e);
    }
    return ok;
}

X509 *spdm_certificate_new(const SpdmCertForm *form, X509_NAME *subject, SpdmSpan serial, EVP_PKEY *key, X509 *issuer)
{
    X509 *cert = X509_new();
    bool  ok = cert != NULL && X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert, serial) &&
              X509_set_subject_name(cert, subject) == 1 &&
              X509_set_issuer_name(cert, issuer != NULL ? X509_get_subject_name(issuer) : subject) == 1 &&
              ASN1_TIME_set_string_X509(X509_getm_notBefore(cert), form->from) == 1 &&
              ASN1_TIME_set_string_X509(X509_getm_notAfter(cert), form->until) == 1 &&
              X509_set_pubkey(cert, key) == 1 && add_extensions(cert, issuer, form->extensions);

    if (!ok) {
        X509_free(cert);
        cert = NULL;
    }
    ERR_clear_error();
    return cert;
}
