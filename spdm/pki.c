/*
 * PEM in, SPDM certificate chain out; and the checks of a verifier over DER certificates. OpenSSL does the
 * X.509. Time is an argument: no clock is read.
 */
#include "spdm/pki.h"

#include <limits.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "bits.h"
#include "bytes.h"

#define CHAIN_HEADER_LEN 4
#define CERTIFICATES_MAX 16

/* Appends every CERTIFICATE block of the text; @root_len receives the first one's length. */
static bool append_certificates(const char *text, ByteWriter *w, size_t *root_len)
{
    BIO           *bio = BIO_new_mem_buf(text, -1);
    char          *name = NULL, *header = NULL;
    unsigned char *data = NULL;
    long           len;

    *root_len = 0;
    while (bio != NULL && PEM_read_bio(bio, &name, &header, &data, &len) == 1) {
        if (strcmp(name, "CERTIFICATE") == 0 && len > 0) {
            *root_len = *root_len == 0 ? (size_t)len : *root_len;
            bw_bytes(w, data, (size_t)len);
        }
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_free(data);
    }
    ERR_clear_error(); /* the end of the text is an error to OpenSSL */
    BIO_free(bio);
    return *root_len != 0 && bw_ok(w);
}

bool spdm_key_load(const char *key_pem, uint8_t scalar[SPDM_SCALAR_MAX])
{
    BIO      *bio = BIO_new_mem_buf(key_pem, -1);
    EVP_PKEY *key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
    BIGNUM   *d = NULL;
    bool      ok = key != NULL && EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_bits(key) == 8 * SPDM_SCALAR_MAX;

    ok = ok && EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &d) == 1 &&
         BN_bn2binpad(d, scalar, SPDM_SCALAR_MAX) == SPDM_SCALAR_MAX;
    BN_clear_free(d);
    EVP_PKEY_free(key);
    BIO_free(bio);
    ERR_clear_error();
    return ok;
}

bool spdm_identity_load(const SpdmPem *pem, Entropy *entropy, SpdmIdentity *id, const char **error)
{
    const SpdmAsym *asym = spdm_asym(BIT(7));
    const SpdmHash *hash = spdm_hash(BIT(1)); /* the only ones negotiated; with more, one chain per pair */
    size_t          header = CHAIN_HEADER_LEN + hash->len, root_len;
    ByteWriter      w = bw_init(id->chain, sizeof(id->chain));
    SpdmSpan        root;
    uint8_t         leaf[SPDM_POINT_MAX], ours[SPDM_POINT_MAX];

    memset(id, 0, sizeof(*id));
    bw_zero(&w, header);
    if (!append_certificates(pem->chain_pem, &w, &root_len)) {
        *error = "the certificate chain holds no PEM certificate, or more than 8 KiB of them";
        return false;
    }
    id->chain_len = (uint32_t)w.pos;
    root = (SpdmSpan){ id->chain + header, root_len };
    le32_put(id->chain, id->chain_len);
    if (!spdm_key_load(pem->key_pem, id->private_key)) {
        *error = "the private key is no PEM key on the curve P-384";
        return false;
    }
    if (!spdm_hash_spans(hash, &root, 1, id->chain + CHAIN_HEADER_LEN) ||
        spdm_chain_check(id->chain + header, id->chain_len - header, NULL, 0, -1, leaf) != NULL ||
        !spdm_public_point(asym, entropy, id->private_key, ours) ||
        !spdm_equal(leaf, ours, asym->point_len)) {
        *error = "the certificates do not lead from a root to the private key's certificate";
        return false;
    }
    return true;
}

size_t spdm_first_certificate_len(const uint8_t *der, size_t len)
{
    const unsigned char *p = der;
    X509                *cert = len <= LONG_MAX ? d2i_X509(NULL, &p, (long)len) : NULL;

    ERR_clear_error();
    if (cert == NULL) {
        return 0;
    }
    X509_free(cert);
    return (size_t)(p - der);
}

/* All certificates of the concatenation, NULL when one is malformed or there are too many. */
static STACK_OF(X509) *read_certificates(const uint8_t *der, size_t len)
{
    STACK_OF(X509)      *certs = sk_X509_new_null();
    const unsigned char *p = der, *end = der + len;

    while (certs != NULL && p < end) {
        X509 *cert = sk_X509_num(certs) < CERTIFICATES_MAX ? d2i_X509(NULL, &p, (long)(end - p)) : NULL;

        if (cert == NULL || sk_X509_push(certs, cert) == 0) {
            X509_free(cert);
            sk_X509_pop_free(certs, X509_free);
            return NULL;
        }
    }
    return certs;
}

static bool leaf_point(X509 *leaf, uint8_t point[SPDM_POINT_MAX])
{
    EVP_PKEY *key = X509_get0_pubkey(leaf);
    uint8_t  *encoded = NULL;
    size_t    len = key != NULL ? EVP_PKEY_get1_encoded_public_key(key, &encoded) : 0;
    bool      ok = len == SPDM_POINT_MAX && encoded[0] == 4 && spdm_point_is_valid("P-384", encoded, len);

    if (ok) {
        memcpy(point, encoded, len);
    }
    OPENSSL_free(encoded);
    return ok;
}

/* @time_s below 0: validity is not looked at. */
static bool verify_path(STACK_OF(X509) *certs, X509 *root, X509 *leaf, int64_t time_s)
{
    X509_STORE     *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    bool            ok = store != NULL && ctx != NULL && X509_STORE_add_cert(store, root) == 1 &&
              X509_STORE_CTX_init(ctx, store, leaf, certs) == 1;

    if (ok) {
        X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);

        if (time_s < 0) {
            X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_NO_CHECK_TIME);
        } else {
            X509_VERIFY_PARAM_set_time(param, (time_t)time_s);
        }
        ok = X509_verify_cert(ctx) == 1;
    }
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    return ok;
}

const char *spdm_chain_check(const uint8_t *der, size_t len, const uint8_t *root, size_t root_len,
                             int64_t time_s, uint8_t point[SPDM_POINT_MAX])
{
    STACK_OF(X509)      *certs = read_certificates(der, len);
    const unsigned char *p = root;
    X509                *trusted = root != NULL ? d2i_X509(NULL, &p, (long)root_len) : NULL;
    int                  n = certs != NULL ? sk_X509_num(certs) : 0;
    const char          *why = NULL;

    if (n == 0) {
        why = "the chain is not a sequence of certificates";
    } else if (root != NULL && trusted == NULL) {
        why = "the trusted root is no certificate";
    } else if (trusted != NULL && X509_cmp(trusted, sk_X509_value(certs, 0)) != 0) {
        why = "the chain starts from another root";
    } else if (!verify_path(certs, sk_X509_value(certs, 0), sk_X509_value(certs, n - 1), time_s)) {
        why = "the signatures do not lead from the root to the leaf, or a certificate is out of date";
    } else if (point != NULL && !leaf_point(sk_X509_value(certs, n - 1), point)) {
        why = "the leaf's key is not on the curve P-384";
    }
    X509_free(trusted);
    sk_X509_pop_free(certs, X509_free);
    ERR_clear_error();
    return why;
}
