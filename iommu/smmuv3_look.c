/*
 * The SMMU as a monitor sees it: what its registers and caches hold, and the stream table in memory, which may be
 * anything. Nothing here changes a state, and no device's register is read. What a Realm or a host has behind stage 2
 * is not followed: context descriptors of nested streams.
 */
#include "iommu/smmuv3_int.h"

static const SmmuBank *bank_of(const Smmu *s, Pas pas) { return &s->bank[pas == PAS_REALM ? SMMU_REALM : SMMU_NS]; }

void smmu_look(const Smmu *s, Pas pas, SmmuLook *out)
{
    const SmmuBank *b = bank_of(s, pas);

    *out = (SmmuLook){
        .enabled = (b->cr0 & CR0_SMMUEN) != 0, .commands = (b->cr0 & CR0_CMDQEN) != 0,
        .events = (b->cr0 & CR0_EVTQEN) != 0, .aborts = (b->gbpa & GBPA_ABORT) != 0,
        .strtab_base = b->strtab_base, .strtab_cfg = b->strtab_cfg,
        .cmdq = { b->cmdq.base, b->cmdq.prod, b->cmdq.cons }, .evtq = { b->evtq.base, b->evtq.prod, b->evtq.cons },
        .gerror = b->gerror, .gerrorn = b->gerrorn, .n_events = b->n_events,
    };
    for (size_t i = 0; b->tlb_used && i < SMMU_N_TLB; i++) {
        out->n_pages += b->tlb[i].valid;
    }
}

/* ---- the stream table ---- */

/* @len bytes within a page. False: it is no memory, or none that the interface may reach. */
static bool look_at(const Smmu *s, const SmmuBank *b, uint64_t pa, uint8_t *dst, size_t len)
{
    const MemRegion *r = memory_find(s->cfg.memory, pa);

    return r != NULL && r->kind == MEM_RAM &&
           memory_read(s->cfg.memory, pa, (MemAttrs){ .pas = b->pas, .is_device = true }, dst, len) == MEM_OK;
}

static SmmuStreamLook describe(const SmmuStream *st)
{
    return (SmmuStreamLook){ .sid = st->sid, .abort = st->abort, .s1 = st->s1, .s2 = st->s2, .tables = st->s1,
                             .asid = st->asid, .vmid = st->vmid, .cd = st->cd,
                             .s1_ttb = { st->half[0].ttb, st->half[1].ttb }, .s2_ttb = st->vttbr & mask64(48) };
}

/* Stream @sid's entry, if the table has a valid one. */
static bool find_entry(const Smmu *s, const SmmuBank *b, uint32_t sid, SmmuStreamLook *out)
{
    SmmuTable  t = smmu_table(s, b);
    uint64_t   stes = t.base;
    uint32_t   index = sid;
    uint8_t    l1[8], ste[SMMU_STE_SIZE], cd[SMMU_CD_SIZE];
    SmmuStream st = { .sid = sid };

    if (t.split != 0) {
        index = sid & (uint32_t)mask64(t.split);
        if (!look_at(s, b, t.base + (uint64_t)(sid >> t.split) * 8, l1, sizeof(l1)) ||
            index >= smmu_l1_span(&t, le64_get(l1), &stes)) {
            return false;
        }
    }
    if (!look_at(s, b, stes + (uint64_t)index * SMMU_STE_SIZE, ste, sizeof(ste)) || !(ste[0] & 1)) {
        return false;
    }
    bool good = smmu_parse_ste(b, &st, ste);
    bool known = good && st.s1 && !st.s2 && look_at(s, b, st.cd, cd, sizeof(cd));
    bool bad_cd = known && !smmu_parse_cd(&st, cd);

    *out = describe(&st);
    out->bad_ste = !good;
    out->bad_cd = bad_cd;
    out->tables = known && !bad_cd;
    return true;
}

/* Whether a stream that is cached is what the table has. */
static bool same(const SmmuStreamLook *a, const SmmuStreamLook *b)
{
    return !b->bad_ste && !b->bad_cd && a->abort == b->abort && a->s1 == b->s1 && a->s2 == b->s2 && a->cd == b->cd &&
           a->vmid == b->vmid && a->s2_ttb == b->s2_ttb &&
           (!a->tables || !b->tables ||
            (a->asid == b->asid && a->s1_ttb[0] == b->s1_ttb[0] && a->s1_ttb[1] == b->s1_ttb[1]));
}

unsigned smmu_look_streams(const Smmu *s, Pas pas, unsigned max, void (*fn)(void *opaque, const SmmuStreamLook *st),
                           void *opaque)
{
    const SmmuBank *b = bank_of(s, pas);
    SmmuTable       t = smmu_table(s, b);
    unsigned        n = 0; /* valid entries */
    SmmuStreamLook  st, cached;

    if (!(b->cr0 & CR0_SMMUEN)) {
        return 0;
    }
    for (uint32_t sid = 0; sid < 1u << t.log2size; sid++) {
        if (find_entry(s, b, sid, &st)) {
            const SmmuStream *c = &b->config[sid % SMMU_N_CONFIGS];

            cached = describe(c);
            st.cached = c->valid && c->sid == sid && same(&cached, &st);
            if (n++ < max) {
                fn(opaque, &st);
            }
        }
    }
    for (size_t i = 0; i < SMMU_N_CONFIGS; i++) {
        cached = describe(&b->config[i]);
        if (b->config[i].valid && !(find_entry(s, b, cached.sid, &st) && same(&cached, &st))) {
            cached.cached = cached.differs = true;
            fn(opaque, &cached);
        }
    }
    return n;
}
