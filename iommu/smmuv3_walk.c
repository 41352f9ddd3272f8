/*
 * Translation: stage 1 by the stream's own tables, stage 2 by the walker the CPUs use. IHI 0070, "Translation
 * procedure"; table format of DDI 0487, "The AArch64 Virtual Memory System Architecture". Client accesses are
 * unprivileged data accesses, as the incoming attributes of PCI Express are. IHI 0070, "Address sizes", "Fault
 * configuration".
 */
#include "cpu/a64/a64.h"
#include "iommu/smmuv3_int.h"
#include "log.h"

#define OA_MASK mask64(SMMU_OAS)

enum { DESC_VALID = 1, DESC_TABLE_OR_PAGE = 2 };
#define DESC_NG       (1ull << 11)
#define DESC_AP_EL0   (1ull << 6)
#define DESC_AP_RO    (1ull << 7)
#define DESC_AF       (1ull << 10)
#define TABLE_AP_NO_EL0 (1ull << 61)
#define TABLE_AP_RO   (1ull << 62)

static bool fault(SmmuFault *f, SmmuEventId id, bool stage2, bool record, SmmuClass class, uint64_t ipa)
{
    *f = (SmmuFault){ .id = id, .stage2 = stage2, .record = record, .class = class, .ipa = ipa };
    return false;
}

/* What a stage 2 walk's outcome is called here. */
static SmmuEventId stage2_event(A64FaultKind kind)
{
    switch (kind) {
    case A64_FAULT_ADDR_SIZE: return SMMU_F_ADDR_SIZE;
    case A64_FAULT_ACCESS: return SMMU_F_ACCESS;
    case A64_FAULT_PERMISSION: return SMMU_F_PERMISSION;
    default: return SMMU_F_TRANSLATION;
    }
}

bool smmu_stage2(Smmu *s, SmmuBank *b, const SmmuStream *st, uint64_t ipa, bool write, SmmuClass class,
                 SmmuTlbEntry *out, SmmuFault *f)
{
    A64Walk w;

    s->busy = true; /* a table may lie in a device's registers */
    a64_stage2_walk(s->cfg.memory, st->vtcr, st->vttbr, b->pas, ipa, write, false, false, false, &w);
    s->busy = false;
    if (w.fault == A64_FAULT_GPF_WALK || w.fault == A64_FAULT_WALK_ABORT) {
        fault(f, SMMU_F_WALK_EABT, true, true, class, w.pa);
        f->gpf = w.fault == A64_FAULT_GPF_WALK;
        if (f->gpf) {
            smmu_gpf(s, b->pas, w.pa, SMMU_GPF_WALK);
        }
        return false;
    }
    if (w.fault != A64_FAULT_NONE) {
        return fault(f, stage2_event(w.fault), true, st->s2_record, class, ipa);
    }
    bool structure = class != SMMU_CLASS_IN;
    if (structure && ((st->s2_ptw && w.device) || w.pas != b->pas)) {
        /* S2PTW: no structures in Device memory. "F_PERMISSION": none of a Realm's outside of its memory. */
        return fault(f, SMMU_F_PERMISSION, true, st->s2_record, class, ipa);
    }
    out->pa = w.pa & ~0xfffull;
    out->ipa = ipa & ~0xfffull;
    out->pas = w.pas;
    out->block = w.page_size;
    out->readable = w.readable;
    out->writable = w.writable;
    out->vmid = st->vmid;
    return true;
}

/* One descriptor of a stage 1 table, through stage 2 when there is one. */
static bool fetch_descriptor(Smmu *s, SmmuBank *b, const SmmuStream *st, uint64_t addr, uint64_t *desc, SmmuFault *f)
{
    SmmuTlbEntry at = { .pa = addr & ~0xfffull };
    uint8_t      bytes[8];

    if (st->s2 && !smmu_stage2(s, b, st, addr, false, SMMU_CLASS_TTD, &at, f)) {
        return false;
    }
    MemResult r = smmu_fetch(s, b->pas, at.pa | (addr & 0xfff), bytes, sizeof(bytes), SMMU_GPF_WALK);
    if (r != MEM_OK) {
        fault(f, SMMU_F_WALK_EABT, false, true, SMMU_CLASS_TTD, at.pa | (addr & 0xfff));
        f->gpf = r == MEM_GPF;
        return false;
    }
    *desc = le64_get(bytes);
    return true;
}

/* Output address of a block or page descriptor at @level, and the size of what it maps. */
static uint64_t leaf_address(uint64_t desc, unsigned granule_log2, unsigned level, uint64_t *block)
{
    unsigned shift = granule_log2 + (3 - level) * (granule_log2 - 3);

    *block = 1ull << shift;
    return desc & OA_MASK & ~mask64(shift);
}

static bool leaf_level_allowed(unsigned granule_log2, unsigned level, bool table_bit)
{
    if (level == 3) {
        return table_bit;
    }
    return !table_bit && (granule_log2 == 12 ? level == 1 || level == 2 : level == 2);
}

/* What a stage 1 walk asks and has found so far. */
typedef struct Stage1 {
    unsigned granule_log2, input, level;
    uint64_t va, table;
    bool     ro, no_el0; /* APTable of the levels passed */
} Stage1;

/* The first table, or false: no table serves this address. */
static bool stage1_start(const SmmuStream *st, uint64_t iova, Stage1 *w)
{
    unsigned top = iova >> 55 & 1;

    if (!st->half[top].enabled) {
        return false;
    }
    *w = (Stage1){ .granule_log2 = st->half[top].granule_log2, .input = 64 - st->half[top].tsz };
    w->va = st->half[top].tbi ? (uint64_t)sign_extend64(iova, 56) : iova;
    if (w->va >> w->input != (top ? mask64(64 - w->input) : 0)) {
        return false;
    }
    unsigned stride = w->granule_log2 - 3;
    w->level = 4 - (w->input - w->granule_log2 + stride - 1) / stride;
    unsigned bits = w->input - w->granule_log2 - (3 - w->level) * stride; /* that index the first table */
    w->table = st->half[top].ttb & ~mask64(bits + 3);
    return true;
}

/* Address size, access flag and permissions of a leaf, in this order. */
static SmmuEventId stage1_leaf(const SmmuStream *st, const Stage1 *w, uint64_t desc, bool write, SmmuTlbEntry *out,
                               uint64_t *ipa)
{
    uint64_t base = leaf_address(desc, w->granule_log2, w->level, &out->block);

    *ipa = base | (w->va & (out->block - 1));
    if (base >> st->ips_bits != 0) {
        return SMMU_F_ADDR_SIZE;
    }
    if (!(desc & DESC_AF) && !st->affd) {
        return SMMU_F_ACCESS;
    }
    out->readable = (desc & DESC_AP_EL0) && !w->no_el0;
    out->writable = out->readable && !(desc & DESC_AP_RO) && !w->ro;
    out->s1 = true;
    out->global = !(desc & DESC_NG);
    out->asid = st->asid;
    return (write ? out->writable : out->readable) ? SMMU_EVT_NONE : SMMU_F_PERMISSION;
}

static bool stage1(Smmu *s, SmmuBank *b, const SmmuStream *st, uint64_t iova, bool write, SmmuTlbEntry *out,
                   uint64_t *ipa, SmmuFault *f)
{
    Stage1      w;
    SmmuEventId id = SMMU_F_TRANSLATION;

    for (bool more = stage1_start(st, iova, &w); more; w.level++) {
        unsigned stride = w.granule_log2 - 3, shift = w.granule_log2 + (3 - w.level) * stride;
        uint64_t index = extract64(w.va, shift, MIN(stride, w.input - shift)), desc;

        if (!fetch_descriptor(s, b, st, w.table + index * 8, &desc, f)) {
            return false;
        }
        bool table_bit = desc & DESC_TABLE_OR_PAGE;
        more = (desc & DESC_VALID) && table_bit && w.level < 3;
        if (more) {
            w.table = desc & OA_MASK & ~mask64(w.granule_log2);
            w.ro |= (desc & TABLE_AP_RO) != 0;
            w.no_el0 |= (desc & TABLE_AP_NO_EL0) != 0;
            if (w.table >> st->ips_bits != 0) {
                id = SMMU_F_ADDR_SIZE;
                more = false;
            }
        } else if ((desc & DESC_VALID) && leaf_level_allowed(w.granule_log2, w.level, table_bit)) {
            id = stage1_leaf(st, &w, desc, write, out, ipa);
        }
    }
    return id == SMMU_EVT_NONE || fault(f, id, false, st->s1_record, SMMU_CLASS_IN, 0);
}

bool smmu_walk(Smmu *s, SmmuBank *b, const SmmuStream *st, uint64_t iova, bool write, SmmuTlbEntry *out,
               SmmuFault *f)
{
    uint64_t ipa = iova;

    *out = (SmmuTlbEntry){ .iova = iova & ~0xfffull, .sid = st->sid, .pas = b->pas, .readable = true,
                           .writable = true, .block = 4096 };
    if (st->s1 && !stage1(s, b, st, iova, write, out, &ipa, f)) {
        return false;
    }
    if (!st->s1 && ipa > OA_MASK) { /* a stage 1 that passes everything on has an output size too */
        return fault(f, SMMU_F_ADDR_SIZE, false, true, SMMU_CLASS_IN, 0);
    }
    out->pa = ipa & ~0xfffull;
    out->vmid = st->vmid;
    if (st->s2) {
        SmmuTlbEntry s2 = *out;

        if (!smmu_stage2(s, b, st, ipa, write, SMMU_CLASS_IN, &s2, f)) {
            return false;
        }
        s2.readable &= out->readable;
        s2.writable &= out->writable;
        s2.block = MAX(out->block, s2.block);
        *out = s2;
    }
    /* The last check: who owns the page. The cache that now holds it is told when that changes. */
    if (!smmu_may_reach(s, out->pa, out->pas)) {
        *f = (SmmuFault){ .gpf = true, .pas = out->pas, .ipa = out->pa };
        return false;
    }
    return true;
}
