/*
 * Making X.509 certificates: what a device's alias and the test PKI have in common. Internal to those who make them:
 * OpenSSL's types show.
 */
#ifndef BAILEY_SPDM_CERTIFY_H
#define BAILEY_SPDM_CERTIFY_H

#include <openssl/x509.h>

#include "spdm/crypto.h"

/* An extension, as OpenSSL's x509v3_config(5) writes it; @name may be an OID. */
typedef struct SpdmExtension {
    const char *name, *value;
} SpdmExtension;

typedef struct SpdmCertForm {
    const char          *from, *until; /* GeneralizedTime */
    const SpdmExtension *extensions;   /* up to one without a name */
} SpdmCertForm;

/**
 * spdm_certificate_new - a certificate that is not signed yet.
 * @serial: big-endian, the first bit clear
 * @issuer: NULL: it is its own
 * Returns NULL when the library fails, or does not know an extension. Free it with X509_free().
 */
X509 *spdm_certificate_new(const SpdmCertForm *form, X509_NAME *subject, SpdmSpan serial, EVP_PKEY *key, X509 *issuer);

#endif
