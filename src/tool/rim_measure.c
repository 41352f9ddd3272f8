/*
 * The RIM, computed apart from rmm/ and src/host: agreement of the two says that each of them is right about what was
 * loaded. RMM specification DEN0137 "Realm Initial Measurement", "RmmMeasurementDescriptorData", "...Rec", "...Ripas".
 *
 * The recipe of the built-in host: REALM_CREATE; RTT_INIT_RIPAS over all RAM in ascending order, one descriptor for
 * each 2 MiB entry, or each 4 KiB entry where the 2 MiB area holds image data; DATA_CREATE of every page of kernel,
 * initrd and device tree in ascending order, measured; REC_CREATE, of which only the runnable REC counts;
 * REALM_ACTIVATE.
 */
#include <openssl/evp.h>
#include <string.h>

#include "bits.h"
#include "bytes.h"
#include "tool/rim.h"

#define PAGE  4096ull
#define BLOCK (2ull << 20)

enum { DESCRIPTOR_DATA = 0, DESCRIPTOR_REC = 1, DESCRIPTOR_RIPAS = 2, DESCRIPTOR_SIZE = 256, DIGEST_MAX = 64 };

typedef struct Measured {
    const EVP_MD *md;
    unsigned      len;
    uint8_t       rim[DIGEST_MAX];  /* left aligned, the rest zero */
} Measured;

static void hash(Measured *m, const void *data, size_t len, uint8_t out[DIGEST_MAX])
{
    memset(out, 0, DIGEST_MAX);
    EVP_Digest(data, len, out, &m->len, m->md, NULL);
}

/* "RmiRealmParams": only these fields are measured. */
static void measure_realm(Measured *m, const RimRealm *r)
{
    uint8_t params[PAGE] = { 0 };

    le64_put(params + 0x00, r->flags0);
    le32_put(params + 0x08, r->s2sz);
    le32_put(params + 0x10, r->sve_vl);
    le32_put(params + 0x18, r->num_bps);
    le32_put(params + 0x20, r->num_wps);
    le32_put(params + 0x28, r->pmu_num_ctrs);
    params[0x30] = r->hash_algo;
    hash(m, params, sizeof(params), m->rim);
}

/* Extends the RIM by one descriptor: type, length, old RIM, then what the type says. */
static void extend(Measured *m, uint8_t type, const void *body, size_t len)
{
    uint8_t d[DESCRIPTOR_SIZE] = { type };

    le64_put(d + 0x08, sizeof(d));
    memcpy(d + 0x10, m->rim, DIGEST_MAX);
    memcpy(d + 0x50, body, len);
    hash(m, d, sizeof(d), m->rim);
}

static void measure_ripas(Measured *m, uint64_t base, uint64_t top)
{
    uint8_t body[16];

    le64_put(body, base);
    le64_put(body + 8, top);
    extend(m, DESCRIPTOR_RIPAS, body, sizeof(body));
}

static void measure_page(Measured *m, uint64_t ipa, const uint8_t content[PAGE])
{
    uint8_t body[16 + DIGEST_MAX];

    le64_put(body, ipa);
    le64_put(body + 8, 1); /* flags: content measured */
    hash(m, content, PAGE, body + 16);
    extend(m, DESCRIPTOR_DATA, body, sizeof(body));
}

/* "RmiRecParams": flags, pc and gprs are measured. RECs that are not runnable are not. */
static void measure_rec(Measured *m, const BootLayout *l)
{
    uint8_t params[PAGE] = { 0 }, content[DIGEST_MAX];

    le64_put(params + 0x000, 1); /* runnable */
    le64_put(params + 0x200, l->entry);
    le64_put(params + 0x300, l->dtb_addr); /* x0 */
    hash(m, params, sizeof(params), content);
    extend(m, DESCRIPTOR_REC, content, sizeof(content));
}

static size_t piece_len(const LoadPiece *p) { return p->bytes != NULL ? g_bytes_get_size(p->bytes) : 0; }

static bool area_has_data(const BootLayout *l, uint64_t area)
{
    for (size_t i = 0; i < ARRAY_LEN(l->piece); i++) {
        const LoadPiece *p = &l->piece[i];

        if (piece_len(p) != 0 && p->addr < area + BLOCK && p->addr + piece_len(p) > area) {
            return true;
        }
    }
    return false;
}

static void measure_ram(Measured *m, const RimRealm *r, const BootLayout *l)
{
    for (uint64_t area = r->ram_base; area < r->ram_base + r->ram_size; area += BLOCK) {
        uint64_t step = area_has_data(l, area) ? PAGE : BLOCK;

        for (uint64_t base = area; base < area + BLOCK; base += step) {
            measure_ripas(m, base, base + step);
        }
    }
}

static void measure_piece(Measured *m, const LoadPiece *p)
{
    for (size_t off = 0; off < piece_len(p); off += PAGE) {
        uint8_t page[PAGE] = { 0 }; /* the last page is filled with zeros */

        memcpy(page, (const uint8_t *)g_bytes_get_data(p->bytes, NULL) + off, MIN(PAGE, piece_len(p) - off));
        measure_page(m, p->addr + off, page);
    }
}

unsigned rim_measure(const RimRealm *realm, const BootLayout *l, uint8_t rim[64])
{
    Measured m = { .md = realm->hash_algo == 1 ? EVP_sha512() : EVP_sha256() };

    measure_realm(&m, realm);
    measure_ram(&m, realm, l);
    for (size_t i = 0; i < ARRAY_LEN(l->piece); i++) { /* ascending by layout */
        measure_piece(&m, &l->piece[i]);
    }
    measure_rec(&m, l);
    memcpy(rim, m.rim, sizeof(m.rim));
    return m.len;
}
