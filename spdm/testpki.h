/*
 * The test PKI as data inside the program. images/pki/mkpki.c writes it when Bailey is built; pki.h is for its users.
 */
#ifndef BAILEY_SPDM_TESTPKI_H
#define BAILEY_SPDM_TESTPKI_H

#include "spdm/pki.h"

typedef struct SpdmTestEntry {
    const char *model; /* device class */
    SpdmTestPki which;
    SpdmKeyKind kind;
    SpdmPem     pem;
} SpdmTestEntry;

extern const SpdmTestEntry spdm_test_entries[];
extern const size_t        spdm_test_n_entries;

#endif
