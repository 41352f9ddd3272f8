/* Which certificates of the test PKI are wanted. */
#include "spdm/testpki.h"

#include <string.h>

const SpdmPem *spdm_test_pem_of(const char *model, SpdmTestPki which, SpdmKeyKind kind)
{
    for (size_t i = 0; i < spdm_test_n_entries; i++) {
        const SpdmTestEntry *e = &spdm_test_entries[i];

        if (e->which == which && e->kind == kind && strcmp(e->model, model) == 0) {
            return &e->pem;
        }
    }
    return NULL;
}

const SpdmPem *spdm_test_pem(SpdmTestPki which, SpdmKeyKind kind)
{
    return spdm_test_pem_of("tdisp-nic", which, kind);
}
