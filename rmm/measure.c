/*
 * Realm measurements: the RIM, extended by the commands that build a Realm, and the REMs that the Realm
 * extends. DEN0137 "Realm measurement and attestation", "RmmMeasurementDescriptorData", "...Rec", "...Ripas".
 * A measurement is kept as plain digest bytes, zero-padded to 64.
 */
#include "rmm/rmm_int.h"

#include <string.h>

enum { DESCRIPTOR_LEN = 0x100, MEASURE_DATA = 0, MEASURE_REC = 1, MEASURE_RIPAS = 2 };

size_t measure_len(RmiHash hash) { return hash == RMI_HASH_SHA_512 ? 64 : 32; }

size_t measure(const Rmm *rmm, RmiHash hash, const void *data, size_t len, uint8_t out[RMM_HASH_MAX])
{
    unsigned n = 0;

    memset(out, 0, RMM_HASH_MAX);
    EVP_Digest(data, len, out, &n, rmm->md[hash], NULL);
    return n;
}

/* Only what is named here is measured: the rest of the page depends on the host's memory. */
void measure_realm(const Rmm *rmm, Realm *realm, const uint8_t params[RMM_GRANULE_SIZE])
{
    static const struct { uint16_t offset, len;
    } fields[] = {
        { RMI_REALM_FLAGS0, 8 },  { RMI_REALM_S2SZ, 4 },         { RMI_REALM_SVE_VL, 4 },    { RMI_REALM_NUM_BPS, 4 },
        { RMI_REALM_NUM_WPS, 4 }, { RMI_REALM_PMU_NUM_CTRS, 4 }, { RMI_REALM_HASH_ALGO, 1 },
    };
    uint8_t page[RMM_GRANULE_SIZE] = { 0 };

    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        memcpy(page + fields[i].offset, params + fields[i].offset, fields[i].len);
    }
    memset(realm->measurement, 0, sizeof(realm->measurement));
    measure(rmm, realm->hash, page, sizeof(page), realm->measurement[0]);
}

/* RIM = H(descriptor): type, length, the RIM so far, and what the type says from 0x50 on. */
static void extend_rim(const Rmm *rmm, Realm *realm, uint8_t type, const void *body, size_t len)
{
    uint8_t d[DESCRIPTOR_LEN] = { type };

    le64_put(d + 0x08, sizeof(d));
    memcpy(d + 0x10, realm->measurement[0], RMM_HASH_MAX);
    memcpy(d + 0x50, body, len);
    measure(rmm, realm->hash, d, sizeof(d), realm->measurement[0]);
}

void measure_data(const Rmm *rmm, Realm *realm, uint64_t ipa, uint64_t flags, const uint8_t *content)
{
    uint8_t body[16 + RMM_HASH_MAX] = { 0 };

    le64_put(body, ipa);
    le64_put(body + 8, flags);
    if (flags & RMI_DATA_MEASURE) {
        measure(rmm, realm->hash, content, RMM_GRANULE_SIZE, body + 16);
    }
    extend_rim(rmm, realm, MEASURE_DATA, body, sizeof(body));
}

void measure_rec(const Rmm *rmm, Realm *realm, const uint8_t params[RMM_GRANULE_SIZE])
{
    uint8_t page[RMM_GRANULE_SIZE] = { 0 }, content[RMM_HASH_MAX];

    memcpy(page + RMI_REC_FLAGS, params + RMI_REC_FLAGS, 8);
    memcpy(page + RMI_REC_PC, params + RMI_REC_PC, 8);
    memcpy(page + RMI_REC_GPRS, params + RMI_REC_GPRS, 8 * 8);
    measure(rmm, realm->hash, page, sizeof(page), content);
    extend_rim(rmm, realm, MEASURE_REC, content, sizeof(content));
}

void measure_ripas(const Rmm *rmm, Realm *realm, uint64_t base, uint64_t top)
{
    uint8_t body[16];

    le64_put(body, base);
    le64_put(body + 8, top);
    extend_rim(rmm, realm, MEASURE_RIPAS, body, sizeof(body));
}

/* REM = H(REM || data). */
void measure_extend(const Rmm *rmm, Realm *realm, unsigned index, const void *data, size_t len)
{
    uint8_t text[2 * RMM_HASH_MAX];
    size_t  n = measure_len(realm->hash);

    memcpy(text, realm->measurement[index], n);
    memcpy(text + n, data, len);
    measure(rmm, realm->hash, text, n + len, realm->measurement[index]);
}
