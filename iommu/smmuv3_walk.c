/*
 * Translation: stage 1 by the stream's own tables, stage 2 by the walker the CPUs use. IHI 0070, "Translation
 * procedure"; table format of DDI 0487, "The AArch64 Virtual Memory System Architecture". Client accesses are
 * unprivileged data accesses, as the incoming attributes of PCI Express are.
 */
#include "cpu/a64/a64.h"
#include "iommu/smmuv3_int.h"
#include "log.h"

#define OA_MASK 0x0000ffffffffffffull

enum { DESC_VALID = 1, DESC_TABLE_OR_PAGE = 2 };
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
    case A64_FAULT_WALK_ABORT: return SMMU_F_WALK_EABT;
    default: return SMMU_F_TRANSLATION;
    }
}

bool smmu_stage2(Smmu *s, SmmuBank *b, const SmmuStream *st, uint64_t ipa, bool write, SmmuClass class,
                 SmmuTlbEntry *out, SmmuFault *f)
{
    A64Walk w;

    a64_stage2_walk(s->cfg.memory, st->vtcr, st->vttbr, b->pas, ipa, write, false, false, false, &w);
    if (w.fault == A64_FAULT_GPF || w.fault == A64_FAULT_GPF_WALK) {
        *f = (SmmuFault){ .gpf = true, .ipa = w.fault == A64_FAULT_GPF ? w.pa : w.ipa };
        return false;
    }
    if (w.fault != A64_FAULT_NONE) {
        return fault(f, stage2_event(w.fault), true, st->s2_record, class, ipa);
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
    MemResult r = smmu_fetch(s, b, at.pa | (addr & 0xfff), bytes, sizeof(bytes));
    if (r == MEM_GPF) {
        *f = (SmmuFault){ .gpf = true, .ipa = at.pa };
        return false;
    }
    if (r != MEM_OK) {
        return fault(f, SMMU_F_WALK_EABT, false, true, SMMU_CLASS_TTD, at.pa | (addr & 0xfff));
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

static bool stage1(Smmu *s, SmmuBank *b, const SmmuStream *st, uint64_t iova, bool write, SmmuTlbEntry *out,
                   uint64_t *ipa, SmmuFault *f)
{
    unsigned top = iova >> 55 & 1;
    bool     rec = st->s1_record;

    if (!st->half[top].enabled) {
        return fault(f, SMMU_F_TRANSLATION, false, rec, SMMU_CLASS_IN, 0);
    }
    unsigned g = st->half[top].granule_log2, input = 64 - st->half[top].tsz, stride = g - 3;
    uint64_t va = st->half[top].tbi ? (uint64_t)sign_extend64(iova, 56) : iova;
    if ((uint64_t)sign_extend64(va, 64) >> input != (top ? mask64(64 - input) : 0)) {
        return fault(f, SMMU_F_TRANSLATION, false, rec, SMMU_CLASS_IN, 0);
    }
    unsigned level = 4 - (input - g + stride - 1) / stride;
    uint64_t table = st->half[top].ttb;
    bool     ro = false, no_el0 = false;
    for (;; level++) {
        unsigned shift = g + (3 - level) * stride;
        unsigned bits = MIN(stride, input - shift);
        uint64_t desc;

        if (!fetch_descriptor(s, b, st, table + extract64(va, shift, bits) * 8, &desc, f)) {
            f->record |= rec && !f->stage2;
            return false;
        }
        bool table_bit = desc & DESC_TABLE_OR_PAGE;
        if (!(desc & DESC_VALID)) {
            return fault(f, SMMU_F_TRANSLATION, false, rec, SMMU_CLASS_IN, 0);
        }
        if (level < 3 && table_bit) {
            table = desc & OA_MASK & ~mask64(g);
            ro |= (desc & TABLE_AP_RO) != 0;
            no_el0 |= (desc & TABLE_AP_NO_EL0) != 0;
            continue;
        }
        if (!leaf_level_allowed(g, level, table_bit)) {
            return fault(f, SMMU_F_TRANSLATION, false, rec, SMMU_CLASS_IN, 0);
        }
        *ipa = leaf_address(desc, g, level, &out->block) | (va & mask64(shift));
        if (st->ips_bits < 48 && *ipa >> st->ips_bits != 0) {
            return fault(f, SMMU_F_ADDR_SIZE, false, rec, SMMU_CLASS_IN, 0);
        }
        if (!(desc & DESC_AF) && !st->affd) {
            return fault(f, SMMU_F_ACCESS, false, rec, SMMU_CLASS_IN, 0);
        }
        out->readable = (desc & DESC_AP_EL0) && !no_el0;
        out->writable = out->readable && !(desc & DESC_AP_RO) && !ro;
        if (!(write ? out->writable : out->readable)) {
            return fault(f, SMMU_F_PERMISSION, false, rec, SMMU_CLASS_IN, 0);
        }
        out->s1 = true;
        out->asid = st->asid;
        return true;
    }
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
    if (!st->s1 && ipa > OA_MASK) {
        return fault(f, SMMU_F_ADDR_SIZE, st->s2, st->s2 ? st->s2_record : true, SMMU_CLASS_IN, ipa);
    }
    out->pa = ipa & ~0xfffull;
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
    if (!owners_fill(memory_owners(s->cfg.memory), out->pa, out->pas)) {
        *f = (SmmuFault){ .gpf = true, .ipa = out->pa };
        return false;
    }
    return true;
}
