/*
 * Certificates at the edges: making a device's SPDM certificate chain from PEM files, and reading the leaf
 * key out of a chain as a host does. Requester and responder never look inside a certificate.
 */
#ifndef BAILEY_SPDM_PKI_H
#define BAILEY_SPDM_PKI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spdm/crypto.h"

/* What a device has: the chain of DSP0274 "Certificate chain format" (length, root hash, DER certificates
 * root first) and the leaf's private scalar. */
typedef struct SpdmIdentity {
    uint8_t  chain[8192];
    uint32_t chain_len;
    uint8_t  private_key[SPDM_SCALAR_MAX];
} SpdmIdentity;

/* PEM text of one identity; @chain_pem: certificates root first, one after the other. */
typedef struct SpdmPem {
    const char *chain_pem, *key_pem;
} SpdmPem;

/**
 * spdm_identity_load - make an identity from PEM text.
 * @error: receives a sentence on failure
 * Returns false when the text is no such chain or key, the chain is too long, or the key is not the leaf's.
 */
bool spdm_identity_load(const SpdmPem *pem, Entropy *entropy, SpdmIdentity *id, const char **error);

/* The test PKI of images/pki, built into the program. Its private keys are public: never trust it. */
typedef enum SpdmTestPki {
    SPDM_TEST_DEVICE, /* the device's own */
    SPDM_TEST_WRONG_ROOT, /* same names and shape under a root nobody trusts */
} SpdmTestPki;

const SpdmPem *spdm_test_pem(SpdmTestPki which);

/* A private key that no certificate belongs to. */
const char *spdm_test_substitute_key_pem(void);

/* The scalar of a PEM private key on P-384. */
bool spdm_key_load(const char *key_pem, uint8_t scalar[SPDM_SCALAR_MAX]);

/**
 * spdm_chain_check - check DER certificates as a verifier does.
 * @der, @len:  certificates root first, as the RMM's certificate object holds them (no SPDM chain header)
 * @root, @root_len: the root that is trusted, DER; NULL: the chain's own first certificate
 * @time_s:     seconds since 1970 at which the certificates must be valid
 * @point:      receives the leaf's key, uncompressed; NULL if not wanted
 * Returns NULL when the chain holds, else why it does not.
 */
const char *spdm_chain_check(const uint8_t *der, size_t len, const uint8_t *root, size_t root_len,
                             int64_t time_s, uint8_t point[SPDM_POINT_MAX]);

/* The first certificate of a concatenation: its DER length, 0 when malformed. */
size_t spdm_first_certificate_len(const uint8_t *der, size_t len);

#endif
