/*
 * The SMMUv3 as a whole: its life, its own memory accesses and interrupts, and the entry point of translation.
 * IHI 0070, "Translation procedure", "Interrupts and notifications".
 */
#include <string.h>

#include "iommu/smmuv3_int.h"
#include "log.h"

static void bank_reset(SmmuBank *b, Pas pas)
{
    memset(b, 0, sizeof(*b));
    b->pas = pas;
}

void smmu_tlb_clear(SmmuBank *b)
{
    if (b->tlb_used) {
        memset(b->tlb, 0, sizeof(b->tlb));
    }
    b->tlb_used = b->tlb_blocks = b->tlb_nested = false;
}

static void drop_pages(void *opaque, uint64_t pa, uint64_t len)
{
    Smmu *s = opaque;

    for (unsigned n = 0; n < SMMU_N_BANKS; n++) {
        for (size_t i = 0; s->bank[n].tlb_used && i < SMMU_N_TLB; i++) {
            SmmuTlbEntry *e = &s->bank[n].tlb[i];

            if (e->valid && e->pa + 4096 > pa && e->pa < pa + len) {
                e->valid = false;
            }
        }
    }
}

Smmu *smmu_new(const SmmuConfig *config)
{
    Smmu *s = g_new0(Smmu, 1);

    s->cfg = *config;
    owners_add_cache(memory_owners(config->memory), drop_pages, s);
    memory_add_cache(config->memory, drop_pages, s);
    smmu_reset(s);
    return s;
}

void smmu_free(Smmu *s)
{
    owners_remove_cache(memory_owners(s->cfg.memory), drop_pages, s);
    memory_remove_cache(s->cfg.memory, drop_pages, s);
    g_free(s);
}

void smmu_reset(Smmu *s)
{
    bank_reset(&s->bank[SMMU_NS], PAS_NONSECURE);
    bank_reset(&s->bank[SMMU_REALM], PAS_REALM);
    s->bank[SMMU_REALM].gbpa = GBPA_ABORT;
    s->root_cr0 = ROOT_CR0_ACCESSEN | ROOT_CR0_GPCEN; /* as the monitor leaves it */
    s->gpf_far = 0;
}

uint64_t smmu_n_events(const Smmu *s, Pas pas)
{
    return s->bank[pas == PAS_REALM ? SMMU_REALM : SMMU_NS].n_events;
}

/* ---- memory ---- */

/* One access at a time, and none while Root software has us silenced (ROOT_CR0.ACCESSEN, as if it met a GPF). */
static MemResult begin_access(Smmu *s)
{
    if (!(s->root_cr0 & ROOT_CR0_ACCESSEN)) {
        return MEM_GPF;
    }
    return s->busy ? MEM_DECODE : MEM_OK;
}

static MemResult end_access(Smmu *s, Pas pas, uint64_t pa, MemResult r, SmmuGpf who)
{
    if (r == MEM_GPF) {
        smmu_gpf(s, pas, pa, who);
    }
    return r;
}

MemResult smmu_fetch(Smmu *s, Pas pas, uint64_t pa, void *dst, size_t len, SmmuGpf who)
{
    MemResult r = begin_access(s);

    if (r == MEM_OK) {
        s->busy = true;
        r = memory_read(s->cfg.memory, pa, (MemAttrs){ .pas = pas, .is_device = true }, dst, len);
        s->busy = false;
    }
    return end_access(s, pas, pa, r, who);
}

MemResult smmu_post(Smmu *s, Pas pas, uint64_t pa, const void *src, size_t len, SmmuGpf who)
{
    MemResult r = begin_access(s);

    if (r == MEM_OK) {
        s->busy = true;
        r = memory_write(s->cfg.memory, pa, (MemAttrs){ .pas = pas, .is_device = true }, src, len);
        s->busy = false;
    }
    return end_access(s, pas, pa, r, who);
}

/* ---- interrupts ---- */

void smmu_msi(Smmu *s, SmmuBank *b, const SmmuMsi *msi, uint32_t abort_error, SmmuGpf gpf)
{
    Pas     pas = msi->addr & SMMU_MSI_NS ? PAS_NONSECURE : b->pas;
    uint8_t data[4];

    le32_put(data, msi->data);
    if (smmu_post(s, pas, msi->addr & SMMU_MSI_ADDR, data, sizeof(data), gpf) != MEM_OK) {
        smmu_gerror(s, b, abort_error);
    }
}

void smmu_irq(Smmu *s, SmmuBank *b, SmmuIrq irq)
{
    const SmmuMsi *msi = irq == SMMU_IRQ_GERROR ? &b->gerror_msi : irq == SMMU_IRQ_EVTQ ? &b->evtq_msi : NULL;

    if (msi != NULL && (msi->addr & SMMU_MSI_ADDR) != 0) {
        bool gerror = irq == SMMU_IRQ_GERROR;

        smmu_msi(s, b, msi, gerror ? GERROR_MSI_GERROR_ABT : GERROR_MSI_EVTQ_ABT,
                 gerror ? SMMU_GPF_MSI_GERROR : SMMU_GPF_MSI_EVTQ);
    } else if (b->pas == PAS_NONSECURE) { /* the Realm bank has no wires: its queue is polled */
        irq_set(&s->cfg.irq[irq], true);
        irq_set(&s->cfg.irq[irq], false);
    }
}

/* ---- translation ---- */

static DmaResult refuse(Smmu *s, SmmuBank *b, const DmaRequest *req, const SmmuFault *f)
{
    if (f->id == SMMU_EVT_NONE) {
        /* The output is another's: told to Root software only. "GPC for client-originated accesses". */
        LOG(SMMU, "%s granule protection fault: stream 0x%x %s iova 0x%llx pa 0x%llx", pas_name(f->pas),
            req->requester, req->write ? "write" : "read", (unsigned long long)req->iova,
            (unsigned long long)f->ipa);
        smmu_gpf(s, f->pas, f->ipa, SMMU_GPF_TRANSACTION);
        return DMA_GPF;
    }
    smmu_event(s, b, req->requester, req, f);
    return DMA_FAULT;
}

/* A page where no memory is may stay in the TLB unnoted: when memory comes there, drop_pages() hears of it. */
bool smmu_may_reach(const Smmu *s, uint64_t pa, Pas pas)
{
    Owners *owners = memory_owners(s->cfg.memory);

    return memory_find(s->cfg.memory, pa) != NULL ? owners_fill(owners, pa, pas) : owners_allow(owners, pa, pas);
}

static DmaResult bypass(Smmu *s, SmmuBank *b, Pas pas, const DmaRequest *req, DmaTarget *out)
{
    if (!smmu_may_reach(s, req->iova, pas)) {
        return refuse(s, b, req, &(SmmuFault){ .gpf = true, .pas = pas, .ipa = req->iova });
    }
    *out = (DmaTarget){ .pa = req->iova, .len = 4096 - (req->iova & 4095), .pas = pas };
    return DMA_OK;
}

/* SMMUEN clear: GBPA decides, and nothing is recorded. */
static DmaResult disabled(Smmu *s, SmmuBank *b, const DmaRequest *req, DmaTarget *out)
{
    return b->gbpa & GBPA_ABORT || req->iova >> SMMU_OAS != 0 ? DMA_ABORT : bypass(s, b, b->pas, req, out);
}

/* Not in the TLB: configuration, tables. A translated page goes into @e. */
static DmaResult miss(Smmu *s, SmmuBank *b, const DmaRequest *req, SmmuTlbEntry *e, DmaTarget *out)
{
    SmmuTlbEntry fresh;
    SmmuStream  *st;
    SmmuFault    f;

    if (!smmu_stream(s, b, req->requester, &st, &f)) {
        return refuse(s, b, req, &f);
    }
    if (st->abort) {
        return DMA_ABORT; /* silently: "STE.Config == 0b000" */
    }
    if (st->bypass && req->iova >> SMMU_OAS == 0) {
        return bypass(s, b, st->bypass_pas, req, out);
    }
    if (!smmu_walk(s, b, st, req->iova, req->write, &fresh, &f)) {
        return refuse(s, b, req, &f);
    }
    fresh.valid = true;
    b->tlb_used = true;
    b->tlb_blocks |= fresh.block > 4096;
    b->tlb_nested |= st->s1 && st->s2;
    *e = fresh;
    return DMA_OK;
}

DmaResult smmu_translate(void *opaque, const DmaRequest *req, DmaTarget *out)
{
    Smmu         *s = opaque;
    SmmuBank     *b = &s->bank[req->trusted ? SMMU_REALM : SMMU_NS];
    SmmuTlbEntry *e = &b->tlb[(req->iova >> 12) % SMMU_N_TLB];

    if (s->busy) {
        return DMA_ABORT; /* an access of ours set off this one */
    }
    if (!(s->root_cr0 & ROOT_CR0_ACCESSEN)) {
        return refuse(s, b, req, &(SmmuFault){ .gpf = true, .pas = b->pas, .ipa = req->iova });
    }
    if (!(b->cr0 & CR0_SMMUEN)) {
        return disabled(s, b, req, out);
    }
    bool hit = e->valid && e->sid == req->requester && e->iova == (req->iova & ~0xfffull) &&
               (req->write ? e->writable : e->readable);
    if (!hit) {
        out->len = 0;
        DmaResult r = miss(s, b, req, e, out);
        if (r != DMA_OK || out->len != 0) {
            return r; /* refused, or a bypass: not kept */
        }
    }
    *out = (DmaTarget){ .pa = e->pa | (req->iova & 4095), .len = 4096 - (req->iova & 4095), .pas = e->pas };
    return DMA_OK;
}

void smmu_conformance(SmmuRow *fn, void *opaque)
{
    smmu_list_registers(fn, opaque);
    smmu_list_commands(fn, opaque);
    smmu_list_events(fn, opaque);
}
