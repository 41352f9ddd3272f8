/*
 * Certificates at the edges: making a device's identity from PEM files, and reading the leaf key out of a chain
 * as a host does. Requester and responder never look inside a certificate.
 */
#ifndef BAILEY_SPDM_PKI_H
#define BAILEY_SPDM_PKI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spdm/wire.h"

#define SPDM_SLOTS     8
#define SPDM_CERTS_MAX 8000 /* with the header of DSP0274 "Certificate chain format", at most 8 KiB */
#define SPDM_CERTS_SHORT_MAX (SPDM_CHAIN_SHORT_MAX - 4 - SPDM_HASH_MAX) /* whatever the hash */
#define SPDM_CERTS_LARGE_MAX (256 << 10) /* of those that have a room of their own */
#define SPDM_B_LARGE_MAX     (2 * SPDM_CERTS_LARGE_MAX) /* room for what is said of them, part B of M1 */

/* What a device has: certificates and the leaf's private key. */
typedef struct SpdmIdentity {
    uint8_t        slot;
    SpdmPrivateKey key; /* in slots beside slot 0 its kind alone, unless it is another one than slot 0's of that kind */
    uint8_t        pair;  /* number of the key pair that they are for, when that is another than the one above; 0 */
    uint8_t        model; /* SPDM_MODEL_*; 0: the device's own, or there are no certificates */
    SpdmPrivateKey ca;    /* alias certificate model: the device's key, which certifies the one above */
    uint32_t       root_len, certs_len; /* of the first certificate; of all */
    uint32_t       alias_len; /* of the last one, when the device has made it */
    SpdmRoom       room; /* for more certificates than SPDM_CERTS_MAX; the owner's */
    uint8_t        certs[SPDM_CERTS_MAX]; /* unless there are more */
} SpdmIdentity;

/* The certificates: DER, root first, one behind the other. */
static inline const uint8_t *spdm_identity_certs(const SpdmIdentity *id)
{
    return id->certs_len > sizeof(id->certs) ? id->room.bytes : id->certs;
}

/* CertificateInfo: certificate models of 1.3. */
enum { SPDM_MODEL_DEVICE = 1, SPDM_MODEL_ALIAS = 2, SPDM_MODEL_GENERIC = 3 };

#define SPDM_IDENTITIES_MAX (SPDM_SLOTS * SPDM_N_KEY_KINDS) /* every slot filled for each kind of key */

/* PEM text of one identity; @chain_pem: certificates root first, one after the other. */
typedef struct SpdmPem {
    const char *chain_pem, *key_pem;
} SpdmPem;

/**
 * spdm_identity_load - make an identity from PEM text.
 * @id: its room is kept and used
 * @error: receives a sentence on failure
 * Returns false when the text is no chain or key of a kind that can be used, or the chain is too long.
 */
bool spdm_identity_load(const SpdmPem *pem, Entropy *entropy, SpdmIdentity *id, const char **error);

/**
 * spdm_slot_load - make another slot's certificates from PEM text.
 * @slot: 1 to 7
 * @ids, @n: identities of slot 0, one of which has the key that the last certificate is for
 * Returns NULL, or why the text is no such chain.
 */
const char *spdm_slot_load(const char *chain_pem, uint8_t slot, const SpdmIdentity *ids, size_t n, Entropy *entropy,
                           SpdmIdentity *id);

/**
 * spdm_slot_check - whether certificates can stand in a slot: they lead to a key of the device's.
 * @ids, @n: as above
 * @kind:    receives the key's kind
 * Returns NULL, or why not.
 */
const char *spdm_slot_check(const SpdmIdentity *id, const SpdmIdentity *ids, size_t n, Entropy *entropy,
                            SpdmKeyKind *kind);

/* spdm_chain_is_for - whether the certificates lead to that key; NULL, or why not. */
const char *spdm_chain_is_for(const SpdmIdentity *id, const SpdmPrivateKey *key, Entropy *entropy);

/* spdm_identity_check - whether the certificates lead to the private key's; NULL, or why not. */
const char *spdm_identity_check(const SpdmIdentity *id, Entropy *entropy);

/* The test PKI, which images/pki/mkpki.c makes at build, inside the program. Its private keys are public: never trust
 * it. */
typedef enum SpdmTestPki {
    SPDM_TEST_DEVICE,      /* the device's own: one for each kind of key; the others are of P-384 alone */
    SPDM_TEST_WRONG_ROOT,  /* same names and shape under a root nobody trusts */
    SPDM_TEST_EXPIRED,     /* the device's own, but the leaf's time was over at the end of January 2025 */
    SPDM_TEST_WRONG_USAGE, /* the device's own, but the leaf may not sign */
    SPDM_TEST_REQUESTER,   /* for the other end, under the device's root */
    SPDM_TEST_OWNER,       /* the device's key, certified by another CA as for another slot */
    SPDM_TEST_DEVICE_CA,   /* the device's key, that certifies an alias; under a root of its own */
    SPDM_TEST_N
} SpdmTestPki;

/**
 * spdm_test_pem_of - certificates and key of a device model: the leaf names its PCI IDs.
 * @model: device class
 * Returns NULL: there are none of that kind.
 */
const SpdmPem *spdm_test_pem_of(const char *model, SpdmTestPki which, SpdmKeyKind kind);

/* The same of tdisp-nic. */
const SpdmPem *spdm_test_pem(SpdmTestPki which, SpdmKeyKind kind);

/* A private key, P-384, that no certificate belongs to. */
const char *spdm_test_substitute_key_pem(void);

/**
 * spdm_alias_key - the key that a device makes of its own and of what it runs.
 * @runs: a measurement of its firmware
 * Returns false for a key that is no EC key.
 */
bool spdm_alias_key(const SpdmPrivateKey *device, SpdmSpan runs, Entropy *entropy, SpdmPrivateKey *alias);

/**
 * spdm_alias_append - have the device certify its alias.
 * @id:     its certificates end with the device's; the alias's comes behind it
 * @device: the key of that certificate
 * Returns NULL, or why that cannot be.
 */
const char *spdm_alias_append(SpdmIdentity *id, const SpdmPrivateKey *device, const SpdmPrivateKey *alias,
                              Entropy *entropy);

/**
 * spdm_csr_make - a PKCS #10 signing request for a device's key.
 * @hash:  what the signature is made with
 * @certs: the device's DER certificates; empty: none. The last one's extensions are asked for again
 * @info:  a requester's DER CertificationRequestInfo, whose subject and attributes are used; empty: the last
 *         certificate's subject
 * @out:   receives DER
 * Returns its length, 0 when @info is malformed or the request is longer than @cap.
 */
size_t spdm_csr_make(const SpdmPrivateKey *key, const SpdmHash *hash, Entropy *entropy, SpdmSpan certs, SpdmSpan info,
                     uint8_t *out, size_t cap);

/* The DER AlgorithmIdentifier (RFC 5280) of a key; returns its length, 0 when it is longer than @cap. */
size_t spdm_key_algorithm(const SpdmPrivateKey *key, Entropy *entropy, uint8_t *out, size_t cap);

/* A PEM private key; false for text that is none, or one of another kind than those of SpdmKeyKind. */
bool spdm_key_load(const char *key_pem, Entropy *entropy, SpdmPrivateKey *key);

/* Whose certificates they are: a leaf whose Extended Key Usage names the other end's purpose alone is none of ours. */
typedef enum SpdmChainOf { SPDM_CHAIN_OF_RESPONDER, SPDM_CHAIN_OF_REQUESTER } SpdmChainOf;

/**
 * spdm_chain_check - check DER certificates as a verifier does.
 * @der, @len:  certificates root first, as the RMM's certificate object holds them (no SPDM chain header)
 * @root, @root_len: the root that is trusted, DER, and the leaf must be one to sign; NULL: the chain's own first one
 * @of:         looked at with a trusted @root only
 * @time_s:     seconds since 1970 at which the certificates must be valid; below 0: any time
 * @key:        receives the leaf's key; NULL if not wanted
 * Returns NULL when the chain holds, else why it does not.
 */
const char *spdm_chain_check(const uint8_t *der, size_t len, const uint8_t *root, size_t root_len,
                             SpdmChainOf of, int64_t time_s, SpdmPublicKey *key);

/* spdm_certificate_load - the first certificate of PEM text as DER; its length, 0: there is none, or it is too long. */
size_t spdm_certificate_load(const char *pem, uint8_t *der, size_t cap);

/* Whether the root hash of a chain, which has its header, is that of its first certificate: DSP0274 "Certificate chain
 * format". A verifier wants it of chains that begin with the root; spdm_chain_check() looks behind the header. */
bool spdm_chain_names_root(const SpdmHash *hash, const uint8_t *chain, size_t len);

/* The first certificate of a concatenation: its DER length, 0 when malformed. */
size_t spdm_first_certificate_len(const uint8_t *der, size_t len);

#endif
