/*
 * Certificate signing requests: PKCS #10 (RFC 2986) for the device's key. What the requester wants in it comes as a
 * DER CertificationRequestInfo (DMTF DSP0274 1.2, "GET_CSR request message", RequesterInfo), whose key is not looked
 * at; the rest is what the device's certificate has. OpenSSL does the ASN.1.
 */
#include <limits.h>
#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "spdm/pki.h"

/* A part of some DER, as it is taken apart. */
typedef struct Der {
    const uint8_t *p;
    long           left;
} Der;

/* Enters or skips the next object, which must have that tag; false: it does not, or is cut off. */
static bool take(Der *from, int tag, int class, Der *content)
{
    const uint8_t *p = from->p;
    long           len;
    int            got_tag, got_class, flags;

    if (from->left <= 0) {
        return false;
    }
    flags = ASN1_get_object(&p, &len, &got_tag, &got_class, from->left);
    if ((flags & 0x80) != 0 || (flags & 1) != 0 || got_tag != tag || got_class != class) {
        return false; /* malformed, or of indefinite length, which DER has not */
    }
    *content = (Der){ p, len };
    from->left -= (p - from->p) + len;
    from->p = p + len;
    return true;
}

/* What the requester wants: the subject and attributes of its CertificationRequestInfo go into @csr. */
static bool take_requester_info(SpdmSpan info, X509_REQ *csr)
{
    Der        all = { info.data, (long)info.len }, body, part, attributes;
    X509_NAME *subject = NULL;
    bool       ok = take(&all, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL, &body) && all.left == 0 &&
              take(&body, V_ASN1_INTEGER, V_ASN1_UNIVERSAL, &part) && part.left == 1 && part.p[0] == 0;

    if (ok) {
        subject = d2i_X509_NAME(NULL, &body.p, body.left);
        body.left = (long)((const uint8_t *)info.data + info.len - body.p);
    }
    ok = subject != NULL && X509_REQ_set_subject_name(csr, subject) == 1 &&
         take(&body, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL, &part) && /* the key's place */
         take(&body, 0, V_ASN1_CONTEXT_SPECIFIC, &attributes) && body.left == 0;
    X509_NAME_free(subject);
    while (ok && attributes.left != 0) {
        const uint8_t  *start = attributes.p;
        X509_ATTRIBUTE *a = d2i_X509_ATTRIBUTE(NULL, &attributes.p, attributes.left);

        ok = a != NULL && X509_REQ_add1_attr(csr, a) == 1;
        attributes.left -= attributes.p - start;
        X509_ATTRIBUTE_free(a);
    }
    return ok;
}

/* The extensions of the device's own certificate but for those that name its issuer or hash a key. */
static bool add_own_extensions(const X509 *own, X509_REQ *csr)
{
    STACK_OF(X509_EXTENSION) *wanted = sk_X509_EXTENSION_new_null();
    bool                      ok = wanted != NULL;

    for (int i = 0; ok && i < X509_get_ext_count(own); i++) {
        X509_EXTENSION *e = X509_get_ext(own, i);
        int             nid = OBJ_obj2nid(X509_EXTENSION_get_object(e));

        if (nid != NID_subject_key_identifier && nid != NID_authority_key_identifier) {
            ok = sk_X509_EXTENSION_push(wanted, e) != 0;
        }
    }
    ok = ok && (sk_X509_EXTENSION_num(wanted) == 0 || X509_REQ_add_extensions(csr, wanted) == 1);
    sk_X509_EXTENSION_free(wanted); /* its members are the certificate's */
    return ok;
}

/* The last certificate of a concatenation. */
static X509 *last_certificate(SpdmSpan certs)
{
    const uint8_t *p = certs.data, *end = p + certs.len;
    X509          *cert = NULL;

    while (p < end) {
        X509_free(cert);
        cert = d2i_X509(NULL, &p, (long)(end - p));
        if (cert == NULL) {
            return NULL;
        }
    }
    return cert;
}

static bool sign(X509_REQ *csr, const SpdmPrivateKey *key, const SpdmHash *hash, Entropy *entropy)
{
    Entropy       *before = entropy_use(entropy);
    const uint8_t *p = key->der;
    EVP_PKEY      *opened = d2i_AutoPrivateKey(NULL, &p, key->len);
    const EVP_MD  *md = spdm_key_is_edwards(key->kind) ? NULL : EVP_get_digestbyname(hash->fetch);
    bool           ok = opened != NULL && X509_REQ_set_pubkey(csr, opened) == 1 && X509_REQ_sign(csr, opened, md) > 0;

    EVP_PKEY_free(opened);
    entropy_use(before);
    return ok;
}

size_t spdm_csr_make(const SpdmPrivateKey *key, const SpdmHash *hash, Entropy *entropy, SpdmSpan certs, SpdmSpan info,
                     uint8_t *out, size_t cap)
{
    X509_REQ *csr = X509_REQ_new();
    X509     *own = last_certificate(certs);
    uint8_t  *der = NULL;
    int       len = 0;
    bool      ok = csr != NULL && X509_REQ_set_version(csr, X509_REQ_VERSION_1) == 1;

    if (ok && info.len != 0) {
        ok = take_requester_info(info, csr);
    } else if (ok && own != NULL) {
        ok = X509_REQ_set_subject_name(csr, X509_get_subject_name(own)) == 1;
    }
    if (ok && own != NULL && X509_REQ_get_attr_by_NID(csr, NID_ext_req, -1) < 0) {
        ok = add_own_extensions(own, csr);
    }
    ok = ok && sign(csr, key, hash, entropy) && (len = i2d_X509_REQ(csr, &der)) > 0 && (size_t)len <= cap;
    if (ok) {
        memcpy(out, der, (size_t)len);
    }
    OPENSSL_free(der);
    X509_free(own);
    X509_REQ_free(csr);
    ERR_clear_error();
    return ok ? (size_t)len : 0;
}
