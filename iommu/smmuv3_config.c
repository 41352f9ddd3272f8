/*
 * Stream configuration: stream table entry and context descriptor, fetched, checked and taken apart. IHI 0070,
 * "Stream Table Entry", "Context Descriptor", "Configuration structure errors". Not offered, so an error when used:
 * substreams, stalling, EL2 and EL3 stream worlds, stage 1 translation in the Realm bank.
 */
#include <string.h>

#include "iommu/smmuv3_int.h"
#include "log.h"

enum { STE_CFG_ABORT = 0, STE_CFG_BYPASS = 4, STE_CFG_S1 = 5, STE_CFG_S2 = 6, STE_CFG_NESTED = 7 };

#define ADDR_MASK 0x000fffffffffffffull

static bool fail(SmmuFault *f, SmmuEventId id, uint64_t addr)
{
    *f = (SmmuFault){ .id = id, .record = true, .ipa = addr };
    return false;
}

/* The address of a stream's STE: linear or two-level table. */
static bool ste_address(Smmu *s, SmmuBank *b, uint32_t sid, uint64_t *addr, SmmuFault *f)
{
    unsigned log2size = b->strtab_cfg & 63, split = b->strtab_cfg >> 6 & 31, fmt = b->strtab_cfg >> 16 & 3;
    uint64_t base = b->strtab_base & 0x000fffffffffffc0ull;
    uint8_t  l1[8];

    if (log2size > s->cfg.sid_bits) {
        log2size = s->cfg.sid_bits;
    }
    if (sid >= 1ull << log2size) {
        return fail(f, SMMU_C_BAD_STREAMID, 0);
    }
    if (fmt == 0) {
        *addr = align_down(base, (uint64_t)SMMU_STE_SIZE << log2size) + (uint64_t)sid * SMMU_STE_SIZE;
        return true;
    }
    if (fmt != 1 || (split != 6 && split != 8 && split != 10)) {
        return fail(f, SMMU_C_BAD_STREAMID, 0);
    }
    uint64_t l1_size = log2size > split ? 8ull << (log2size - split) : 8;
    uint64_t l1_addr = align_down(base, MAX(l1_size, 64)) + (uint64_t)(sid >> split) * 8;
    if (smmu_fetch(s, b, l1_addr, l1, sizeof(l1)) != MEM_OK) {
        return fail(f, SMMU_F_STE_FETCH, l1_addr);
    }
    uint64_t desc = le64_get(l1);
    unsigned span = desc & 31;
    uint32_t index = sid & (uint32_t)mask64(split);
    if (span == 0 || span > split + 1 || index >= 1u << (span - 1)) {
        return fail(f, SMMU_C_BAD_STREAMID, 0);
    }
    *addr = align_down(desc & 0x000fffffffffffc0ull, (uint64_t)SMMU_STE_SIZE << (span - 1)) +
            (uint64_t)index * SMMU_STE_SIZE;
    return true;
}

/* Table geometry of one half of a CD. Returns false when it is reserved. */
static bool cd_half(SmmuStream *st, unsigned i, bool epd, unsigned tsz, unsigned granule_log2, uint64_t ttb, bool tbi)
{
    st->half[i].enabled = !epd;
    if (epd) {
        return true;
    }
    st->half[i].ttb = ttb & ADDR_MASK & ~0xfull;
    st->half[i].tsz = tsz;
    st->half[i].granule_log2 = granule_log2;
    st->half[i].tbi = tbi;
    return granule_log2 != 0 && tsz >= 16 && tsz <= (granule_log2 == 16 ? 47u : granule_log2 == 14 ? 48u : 48u);
}

static bool parse_cd(SmmuStream *st, const uint8_t cd[SMMU_CD_SIZE])
{
    static const unsigned tg0[4] = { 12, 16, 14, 0 }, tg1[4] = { 0, 14, 12, 16 };
    static const unsigned ips[8] = { 32, 36, 40, 42, 44, 48, 0, 0 };
    uint64_t              w0 = le64_get(cd);

    st->ips_bits = ips[w0 >> 32 & 7];
    st->affd = w0 >> 35 & 1;
    st->wxn = w0 >> 36 & 1;
    st->s1_record = w0 >> 45 & 1;
    st->asid = (uint16_t)(w0 >> 48);
    /* V set, AArch64, little-endian, no stalling (S), no hardware flag updates (HA, HD): the rest is not offered. */
    return (w0 >> 31 & 1) && (w0 >> 41 & 1) && !(w0 >> 15 & 1) && !(w0 >> 44 & 1) && !(w0 >> 42 & 3) &&
           st->ips_bits != 0 &&
           cd_half(st, 0, w0 >> 14 & 1, w0 & 63, tg0[w0 >> 6 & 3], le64_get(cd + 8), w0 >> 38 & 1) &&
           cd_half(st, 1, w0 >> 30 & 1, w0 >> 16 & 63, tg1[w0 >> 22 & 3], le64_get(cd + 16), w0 >> 39 & 1);
}

static bool load_cd(Smmu *s, SmmuBank *b, SmmuStream *st, uint64_t addr, SmmuFault *f)
{
    uint8_t      cd[SMMU_CD_SIZE];
    SmmuTlbEntry where = { .pa = addr };

    if (st->s2) {
        if (!smmu_stage2(s, b, st, addr, false, SMMU_CLASS_CD, &where, f)) {
            return false;
        }
        where.pa |= addr & 0xfff;
    }
    if (smmu_fetch(s, b, where.pa, cd, sizeof(cd)) != MEM_OK) {
        return fail(f, SMMU_F_CD_FETCH, where.pa);
    }
    return parse_cd(st, cd) || fail(f, SMMU_C_BAD_CD, 0);
}

/* Words 2 and 3: stage 2. */
static bool parse_stage2(SmmuStream *st, const uint8_t ste[SMMU_STE_SIZE])
{
    uint64_t w2 = le64_get(ste + 16), w3 = le64_get(ste + 24);

    st->vmid = (uint16_t)w2;
    st->vtcr = w2 >> 32 & 0x7ffff;
    st->vttbr = (w3 & 0x000ffffffffffff0ull) | (uint64_t)st->vmid << 48;
    st->s2_record = w2 >> 58 & 1;
    /* AArch64 tables, little-endian, no stalling, no hardware flag updates. */
    return (w2 >> 51 & 1) && !(w2 >> 52 & 1) && !(w2 >> 57 & 1) && !(w2 >> 55 & 3);
}

static bool parse_ste(Smmu *s, SmmuBank *b, SmmuStream *st, const uint8_t ste[SMMU_STE_SIZE], SmmuFault *f)
{
    uint64_t w0 = le64_get(ste), w1 = le64_get(ste + 8);
    unsigned cfg = w0 >> 1 & 7;

    if (!(w0 & 1) || (cfg >= 1 && cfg <= 3)) {
        return fail(f, SMMU_C_BAD_STE, 0);
    }
    st->abort = cfg == STE_CFG_ABORT;
    st->bypass = cfg == STE_CFG_BYPASS;
    st->s1 = cfg == STE_CFG_S1 || cfg == STE_CFG_NESTED;
    st->s2 = cfg == STE_CFG_S2 || cfg == STE_CFG_NESTED;
    bool realm = b->pas == PAS_REALM;
    if (realm && cfg != STE_CFG_ABORT && cfg != STE_CFG_S2) {
        return fail(f, SMMU_C_BAD_STE, 0); /* the Realm bank offers stage 2 only (R_IDR0) */
    }
    if (st->s2 && !parse_stage2(st, ste)) {
        return fail(f, SMMU_C_BAD_STE, 0);
    }
    if (!st->s1) {
        return true;
    }
    /* S1CDMAX and S1FMT ask for substreams, STRW for another translation regime, EATS for ATS. */
    if (w0 >> 59 != 0 || (w1 >> 30 & 3) != 0 || (w1 >> 28 & 3) != 0) {
        return fail(f, SMMU_C_BAD_STE, 0);
    }
    return load_cd(s, b, st, w0 & 0x000fffffffffffc0ull, f);
}

bool smmu_stream(Smmu *s, SmmuBank *b, uint32_t sid, SmmuStream **out, SmmuFault *f)
{
    SmmuStream *st = &b->config[sid % SMMU_N_CONFIGS];
    uint64_t    addr;
    uint8_t     ste[SMMU_STE_SIZE];

    *out = st;
    if (st->valid && st->sid == sid) {
        return true;
    }
    memset(st, 0, sizeof(*st));
    st->sid = sid;
    if (!ste_address(s, b, sid, &addr, f)) {
        return false;
    }
    if (smmu_fetch(s, b, addr, ste, sizeof(ste)) != MEM_OK) {
        return fail(f, SMMU_F_STE_FETCH, addr);
    }
    st->valid = parse_ste(s, b, st, ste, f); /* only good configuration is cached */
    return st->valid;
}

void smmu_config_invalidate(SmmuBank *b, uint32_t sid, unsigned range_log2)
{
    for (size_t i = 0; i < ARRAY_LEN(b->config); i++) {
        if (range_log2 >= 32 || b->config[i].sid >> range_log2 == sid >> range_log2) {
            b->config[i].valid = false;
        }
    }
    /* A cached page is used without a look at the configuration: pages of these streams go too. */
    for (size_t i = 0; i < ARRAY_LEN(b->tlb); i++) {
        if (range_log2 >= 32 || b->tlb[i].sid >> range_log2 == sid >> range_log2) {
            b->tlb[i].valid = false;
        }
    }
}
