/*
 * Stream configuration: stream table entry and context descriptor, fetched, checked and taken apart. IHI 0070,
 * "Stream Table Entry", "Context Descriptor", "Configuration structure errors". Not offered, so an error or ignored
 * when used, as the text of the field says: substreams, stalling, EL2 and EL3 stream worlds, small translation
 * tables.
 */
#include <string.h>

#include "iommu/smmuv3_int.h"
#include "log.h"

enum { STE_CFG_ABORT = 0, STE_CFG_BYPASS = 4, STE_CFG_S1 = 5, STE_CFG_S2 = 6, STE_CFG_NESTED = 7 };

enum { STE_NSCFG_NS = 3 }; /* of Realm streams: override to Non-secure; a device here does not say, so it is Realm */

enum { MIN_TSZ = 16, MAX_TSZ = 39 };

#define ADDR_MASK 0x000fffffffffffffull

static bool fail(SmmuFault *f, SmmuEventId id)
{
    *f = (SmmuFault){ .id = id, .record = true };
    return false;
}

static bool fail_fetch(SmmuFault *f, SmmuEventId id, uint64_t addr, MemResult why)
{
    *f = (SmmuFault){ .id = id, .record = true, .ipa = addr, .gpf = why == MEM_GPF };
    return false;
}

/* C_BAD_STREAMID is the only one that the owner of the queue may not want. */
static bool fail_stream_id(const SmmuBank *b, SmmuFault *f)
{
    *f = (SmmuFault){ .id = SMMU_C_BAD_STREAMID, .record = (b->cr2 & CR2_RECINVSID) != 0 };
    return false;
}

SmmuTable smmu_table(const Smmu *s, const SmmuBank *b)
{
    unsigned  log2size = b->strtab_cfg & 63, split = b->strtab_cfg >> 6 & 31;
    uint64_t  base = b->strtab_base & 0x000fffffffffffc0ull;
    SmmuTable t = { .log2size = MIN(log2size, s->cfg.sid_bits) };

    if ((b->strtab_cfg >> 16 & 3) != 1) {
        t.base = align_down(base, (uint64_t)SMMU_STE_SIZE << t.log2size);
        return t;
    }
    t.split = split == 8 || split == 10 ? split : 6; /* reserved values behave as 6 */
    uint64_t l1_size = t.log2size > t.split ? 8ull << (t.log2size - t.split) : 8;
    t.base = align_down(base, MAX(l1_size, 64));
    return t;
}

unsigned smmu_l1_span(const SmmuTable *t, uint64_t desc, uint64_t *stes)
{
    unsigned span = desc & 31;

    if (span == 0 || span > t->split + 1) {
        return 0;
    }
    *stes = align_down(desc & 0x000fffffffffffc0ull, (uint64_t)SMMU_STE_SIZE << (span - 1));
    return 1u << (span - 1);
}

/* The address of a stream's STE: linear or two-level table. */
static bool ste_address(Smmu *s, SmmuBank *b, uint32_t sid, uint64_t *addr, SmmuFault *f)
{
    SmmuTable t = smmu_table(s, b);
    uint64_t  stes = t.base;
    uint8_t   l1[8];
    MemResult r;

    if (sid >= 1ull << t.log2size) {
        return fail_stream_id(b, f);
    }
    if (t.split != 0) {
        uint64_t l1_addr = t.base + (uint64_t)(sid >> t.split) * 8;

        r = smmu_fetch(s, b->pas, l1_addr, l1, sizeof(l1), SMMU_GPF_STE);
        if (r != MEM_OK) {
            return fail_fetch(f, SMMU_F_STE_FETCH, l1_addr, r);
        }
        sid &= (uint32_t)mask64(t.split);
        if (sid >= smmu_l1_span(&t, le64_get(l1), &stes)) {
            return fail_stream_id(b, f);
        }
    }
    *addr = stes + (uint64_t)sid * SMMU_STE_SIZE;
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
    return granule_log2 != 0 && tsz >= MIN_TSZ && tsz <= MAX_TSZ && st->half[i].ttb >> st->ips_bits == 0;
}

bool smmu_parse_cd(SmmuStream *st, const uint8_t cd[SMMU_CD_SIZE])
{
    static const unsigned tg0[4] = { 12, 16, 14, 0 }, tg1[4] = { 0, 14, 12, 16 };
    static const unsigned ips[8] = { 32, 36, 40, 42, 44, SMMU_OAS, SMMU_OAS, SMMU_OAS };
    uint64_t              w0 = le64_get(cd);
    bool                  unused = (w0 >> 14 & 1) && (w0 >> 30 & 1); /* both halves: ENDI is ignored */

    st->ips_bits = ips[w0 >> 32 & 7];
    st->affd = w0 >> 35 & 1;
    st->wxn = w0 >> 36 & 1;
    st->s1_record = w0 >> 45 & 1;
    st->asid = (uint16_t)(w0 >> 48);
    /* V, AArch64, little-endian, no hardware flag updates (HA, HD), no stalling (S), abort (A, IDR0.TERM_MODEL). */
    return (w0 >> 31 & 1) && (w0 >> 41 & 1) && (unused || !(w0 >> 15 & 1)) && !(w0 >> 42 & 3) && !(w0 >> 44 & 1) &&
           (w0 >> 46 & 1) &&
           cd_half(st, 0, w0 >> 14 & 1, w0 & 63, tg0[w0 >> 6 & 3], le64_get(cd + 8), w0 >> 38 & 1) &&
           cd_half(st, 1, w0 >> 30 & 1, w0 >> 16 & 63, tg1[w0 >> 22 & 3], le64_get(cd + 16), w0 >> 39 & 1);
}

static bool load_cd(Smmu *s, SmmuBank *b, SmmuStream *st, uint64_t addr, SmmuFault *f)
{
    uint8_t      cd[SMMU_CD_SIZE];
    SmmuTlbEntry where = { .pa = addr };
    MemResult    r;

    if (st->s2) {
        if (!smmu_stage2(s, b, st, addr, false, SMMU_CLASS_CD, &where, f)) {
            return false;
        }
        where.pa |= addr & 0xfff;
    }
    r = smmu_fetch(s, b->pas, where.pa, cd, sizeof(cd), SMMU_GPF_CD);
    if (r != MEM_OK) {
        return fail_fetch(f, SMMU_F_CD_FETCH, where.pa, r);
    }
    return smmu_parse_cd(st, cd) || fail(f, SMMU_C_BAD_CD);
}

/* Whether S2T0SZ, S2SL0, S2TG and S2TTB go together. "Stage 2 translation: consistency of fields" of the STE, and
 * DDI 0487, "VTCR_EL2": up to 16 tables side by side at the start level. */
static bool stage2_consistent(uint64_t w2, uint64_t ttb)
{
    static const unsigned granules[4] = { 12, 16, 14, 0 }, sizes[8] = { 32, 36, 40, 42, 44, 48, 48, 48 };
    unsigned              tsz = w2 >> 32 & 63, sl0 = w2 >> 38 & 3, granule = granules[w2 >> 46 & 3];

    if (granule == 0 || tsz < MIN_TSZ || tsz > MAX_TSZ || sl0 == 3 || ttb >> sizes[w2 >> 48 & 7] != 0) {
        return false;
    }
    unsigned start = (granule == 12 ? 2 : 3) - sl0, stride = granule - 3, input = 64 - tsz;
    unsigned shift = granule + (3 - start) * stride;

    return input > shift && input <= shift + stride + 4;
}

/* Words 2 and 3: stage 2. */
static bool parse_stage2(SmmuStream *st, const uint8_t ste[SMMU_STE_SIZE])
{
    uint64_t w2 = le64_get(ste + 16), w3 = le64_get(ste + 24), ttb = w3 & 0x000ffffffffffff0ull;
    bool     affd = w2 >> 53 & 1;

    /* S2AFFD: as if hardware had set every access flag (VTCR_EL2.HA), which the walker is then told not to write. */
    st->vtcr = (w2 >> 32 & 0x7ffff) | (affd ? BIT(21) : 0);
    st->vttbr = ttb | (uint64_t)st->vmid << 48;
    st->s2_ptw = w2 >> 54 & 1;
    st->s2_record = w2 >> 58 & 1;
    /* AArch64 tables, little-endian, no stalling, no hardware flag updates. */
    return (w2 >> 51 & 1) && !(w2 >> 52 & 1) && !(w2 >> 57 & 1) && !(w2 >> 55 & 3) && stage2_consistent(w2, ttb);
}

bool smmu_parse_ste(const SmmuBank *b, SmmuStream *st, const uint8_t ste[SMMU_STE_SIZE])
{
    uint64_t w0 = le64_get(ste), w1 = le64_get(ste + 8);
    unsigned cfg = w0 >> 1 & 7;

    if (!(w0 & 1)) {
        return false;
    }
    st->abort = cfg < STE_CFG_BYPASS; /* 1 to 3 are reserved and behave as 0 */
    st->bypass = cfg == STE_CFG_BYPASS;
    st->s1 = cfg == STE_CFG_S1 || cfg == STE_CFG_NESTED;
    st->s2 = cfg == STE_CFG_S2 || cfg == STE_CFG_NESTED;
    st->vmid = (uint16_t)le64_get(ste + 16); /* tags stage 1 translations too */
    st->bypass_pas = b->pas == PAS_REALM && (w1 >> 46 & 3) == STE_NSCFG_NS ? PAS_NONSECURE : b->pas;
    st->cd = st->s1 ? w0 & 0x000fffffffffffc0ull : 0;
    /* S1CDMAX, S1FMT, STRW and EATS ask for what is not offered and are then ignored; S1STALLD is illegal. */
    return (!st->s2 || parse_stage2(st, ste)) && (!st->s1 || (!(w1 >> 27 & 1) && st->cd >> SMMU_OAS == 0));
}

bool smmu_stream(Smmu *s, SmmuBank *b, uint32_t sid, SmmuStream **out, SmmuFault *f)
{
    SmmuStream *st = &b->config[sid % SMMU_N_CONFIGS];
    uint64_t    addr;
    uint8_t     ste[SMMU_STE_SIZE];
    MemResult   r;

    *out = st;
    if (st->valid && st->sid == sid) {
        return true;
    }
    memset(st, 0, sizeof(*st));
    st->sid = sid;
    if (!ste_address(s, b, sid, &addr, f)) {
        return false;
    }
    r = smmu_fetch(s, b->pas, addr, ste, sizeof(ste), SMMU_GPF_STE);
    if (r != MEM_OK) {
        return fail_fetch(f, SMMU_F_STE_FETCH, addr, r);
    }
    if (!smmu_parse_ste(b, st, ste)) {
        return fail(f, SMMU_C_BAD_STE);
    }
    st->valid = !st->s1 || load_cd(s, b, st, st->cd, f); /* only good configuration is cached */
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
    if (range_log2 >= 32) {
        smmu_tlb_clear(b);
    }
    for (size_t i = 0; b->tlb_used && i < ARRAY_LEN(b->tlb); i++) {
        if (b->tlb[i].sid >> range_log2 == sid >> range_log2) {
            b->tlb[i].valid = false;
        }
    }
}
