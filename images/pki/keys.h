/*
 * Keys and signatures of the test PKI: the same on every machine. What is drawn comes from a generator that only the
 * key's or the certificate's name seeds, and nothing depends on how libcrypto draws: primes, scalars and ECDSA's
 * nonces are chosen here, and it only computes with them.
 */
#ifndef BAILEY_PKI_KEYS_H
#define BAILEY_PKI_KEYS_H

#include <openssl/x509.h>

#include "spdm/crypto.h"

/* The generator of what has that name. */
void pki_entropy(const char *name, Entropy *e);

/* A key of that kind and name; NULL when the library fails. */
EVP_PKEY *pki_key_new(SpdmKeyKind kind, const char *name);

/**
 * pki_sign - sign a certificate.
 * @kind: of @key: it says which hash goes with it
 * @name: the certificate's
 */
bool pki_sign(X509 *cert, EVP_PKEY *key, SpdmKeyKind kind, const char *name);

#endif
