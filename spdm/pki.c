/*
 * PEM in, identities out; and the checks of a verifier over DER certificates. OpenSSL does the
 * X.509. Time is an argument: no clock is read.
 */
#include "spdm/pki.h"

#include <limits.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "bits.h"
#include "bytes.h"

#define CERTIFICATES_MAX 128 /* in 64 KiB there is no room for more of elliptic curves */

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

bool spdm_key_load(const char *key_pem, Entropy *entropy, SpdmPrivateKey *key)
{
    BIO           *bio = BIO_new_mem_buf(key_pem, -1);
    char          *name = NULL, *header = NULL;
    unsigned char *data = NULL;
    long           len;
    bool           ok = false;

    /* The first block that is a private key; parameters of a curve may come before it. */
    while (!ok && bio != NULL && PEM_read_bio(bio, &name, &header, &data, &len) == 1) {
        ok = strstr(name, "PRIVATE KEY") != NULL && spdm_private_key_read(data, (size_t)len, entropy, key);
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_clear_free(data, (size_t)len);
    }
    BIO_free(bio);
    ERR_clear_error();
    return ok;
}

static bool load_certificates(const char *chain_pem, SpdmIdentity *id, const char **error)
{
    SpdmRoom   room = id->room;
    ByteWriter w = bw_init(id->certs, sizeof(id->certs));
    size_t     root_len;
    bool       ok;

    memset(id, 0, sizeof(*id));
    id->room = room;
    ok = append_certificates(chain_pem, &w, &root_len);
    if (!ok && room.bytes != NULL) {
        w = bw_init(room.bytes, room.cap);
        ok = append_certificates(chain_pem, &w, &root_len);
    }
    if (!ok) {
        *error = room.bytes != NULL ? "the certificate chain holds no PEM certificate, or more than 256 KiB of them"
                                    : "the certificate chain holds no PEM certificate, or more than 8000 bytes of them";
        return false;
    }
    id->root_len = (uint32_t)root_len;
    id->certs_len = (uint32_t)w.pos;
    return true;
}

size_t spdm_key_algorithm(const SpdmPrivateKey *key, Entropy *entropy, uint8_t *out, size_t cap)
{
    Entropy       *before = entropy_use(entropy);
    const uint8_t *p = key->der;
    EVP_PKEY      *opened = d2i_AutoPrivateKey(NULL, &p, key->len);
    X509_PUBKEY   *public = NULL;
    X509_ALGOR    *algorithm = NULL;
    uint8_t       *der = NULL;
    int            len = 0;
    bool           ok = opened != NULL && X509_PUBKEY_set(&public, opened) == 1 &&
              X509_PUBKEY_get0_param(NULL, NULL, NULL, &algorithm, public) == 1 &&
              (len = i2d_X509_ALGOR(algorithm, &der)) > 0 && (size_t)len <= cap;

    if (ok) {
        memcpy(out, der, (size_t)len);
    }
    OPENSSL_free(der);
    X509_PUBKEY_free(public);
    EVP_PKEY_free(opened);
    ERR_clear_error();
    entropy_use(before);
    return ok ? (size_t)len : 0;
}

bool spdm_identity_load(const SpdmPem *pem, Entropy *entropy, SpdmIdentity *id, const char **error)
{
    if (!load_certificates(pem->chain_pem, id, error)) {
        return false;
    }
    if (!spdm_key_load(pem->key_pem, entropy, &id->key)) {
        *error = "the private key is no PEM key on P-256, P-384 or P-521, Ed25519, Ed448, or RSA of 2048, 3072 or 4096 "
                 "bits";
        return false;
    }
    return true;
}

static bool same_key(const SpdmPublicKey *a, const SpdmPublicKey *b)
{
    return a->kind == b->kind && a->len == b->len && a->exponent == b->exponent &&
           memcmp(a->bytes, b->bytes, a->len) == 0;
}

static const char *check_own(const SpdmIdentity *id, SpdmPublicKey *leaf)
{
    return spdm_chain_check(spdm_identity_certs(id), id->certs_len, NULL, 0, SPDM_CHAIN_OF_RESPONDER, -1, leaf);
}

const char *spdm_chain_is_for(const SpdmIdentity *id, const SpdmPrivateKey *key, Entropy *entropy)
{
    SpdmPublicKey leaf, ours;
    const char   *why = check_own(id, &leaf);

    if (why == NULL && (!spdm_public_key_of(key, entropy, &ours) || !same_key(&leaf, &ours))) {
        why = "the private key is not the last certificate's";
    }
    return why;
}

const char *spdm_identity_check(const SpdmIdentity *id, Entropy *entropy)
{
    return spdm_chain_is_for(id, &id->key, entropy);
}

const char *spdm_slot_check(const SpdmIdentity *id, const SpdmIdentity *ids, size_t n, Entropy *entropy,
                            SpdmKeyKind *kind)
{
    SpdmPublicKey leaf, ours;
    const char   *why = check_own(id, &leaf);

    if (why != NULL) {
        return why;
    }
    for (size_t i = 0; i < n; i++) {
        if (ids[i].slot == 0 && spdm_public_key_of(&ids[i].key, entropy, &ours) && same_key(&leaf, &ours)) {
            *kind = ours.kind;
            return NULL;
        }
    }
    return "the last certificate is for another key than the device's";
}

const char *spdm_slot_load(const char *chain_pem, uint8_t slot, const SpdmIdentity *ids, size_t n, Entropy *entropy,
                           SpdmIdentity *id)
{
    const char *why = NULL;

    if (load_certificates(chain_pem, id, &why)) {
        id->slot = slot;
        why = spdm_slot_check(id, ids, n, entropy, &id->key.kind);
    }
    return why;
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

bool spdm_chain_names_root(const SpdmHash *hash, const uint8_t *chain, size_t len)
{
    size_t   header = 4 + hash->len;
    SpdmSpan root = { NULL, 0 };
    uint8_t  want[SPDM_HASH_MAX];

    if (len > header) {
        root = (SpdmSpan){ chain + header, spdm_first_certificate_len(chain + header, len - header) };
    }
    return root.len != 0 && spdm_hash_spans(hash, &root, 1, want) && memcmp(want, chain + 4, hash->len) == 0;
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

static bool leaf_key(X509 *leaf, SpdmPublicKey *key)
{
    uint8_t *der = NULL;
    int      len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(leaf), &der);
    bool     ok = len > 0 && spdm_public_key_read(der, (size_t)len, key) && spdm_public_key_is_valid(key);

    OPENSSL_free(der);
    return ok;
}

/* DSP0274 "Leaf certificate": Key Usage is there and has digitalSignature. Extended Key Usage may be left out, but must
 * not name the other end's purpose alone. */
static bool may_sign(X509 *leaf, SpdmChainOf of)
{
    EXTENDED_KEY_USAGE *purposes = X509_get_ext_d2i(leaf, NID_ext_key_usage, NULL, NULL);
    bool                responder = false, requester = false;
    char                text[64];

    for (int i = 0; i < sk_ASN1_OBJECT_num(purposes); i++) {
        OBJ_obj2txt(text, sizeof(text), sk_ASN1_OBJECT_value(purposes, i), 1);
        responder |= strcmp(text, "1.3.6.1.4.1.412.274.3") == 0;
        requester |= strcmp(text, "1.3.6.1.4.1.412.274.4") == 0;
    }
    EXTENDED_KEY_USAGE_free(purposes);
    return (X509_get_extension_flags(leaf) & EXFLAG_KUSAGE) != 0 &&
           (X509_get_key_usage(leaf) & KU_DIGITAL_SIGNATURE) != 0 &&
           (of == SPDM_CHAIN_OF_RESPONDER ? responder || !requester : requester || !responder);
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

        X509_VERIFY_PARAM_set_depth(param, CERTIFICATES_MAX);
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
                             SpdmChainOf of, int64_t time_s, SpdmPublicKey *key)
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
    } else if (trusted != NULL && !may_sign(sk_X509_value(certs, n - 1), of)) {
        why = of == SPDM_CHAIN_OF_RESPONDER ? "the leaf's usage is not to sign for an SPDM responder"
                                        : "the leaf's usage is not to sign for an SPDM requester";
    } else if (key != NULL && !leaf_key(sk_X509_value(certs, n - 1), key)) {
        why = "the leaf's key is of no kind that SPDM signs with here";
    }
    X509_free(trusted);
    sk_X509_pop_free(certs, X509_free);
    ERR_clear_error();
    return why;
}

size_t spdm_certificate_load(const char *pem, uint8_t *der, size_t cap)
{
    BIO     *bio = BIO_new_mem_buf(pem, -1);
    X509    *cert = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    uint8_t *text = NULL;
    int      len = cert != NULL ? i2d_X509(cert, &text) : 0;
    size_t   n = len > 0 && (size_t)len <= cap ? (size_t)len : 0;

    if (n != 0) {
        memcpy(der, text, n);
    }
    OPENSSL_free(text);
    X509_free(cert);
    BIO_free(bio);
    ERR_clear_error();
    return n;
}
