/* The SMMU as a monitor sees it: what its registers and caches hold. Nothing here reads memory or changes a state. */
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

void smmu_look_streams(const Smmu *s, Pas pas, void (*fn)(void *opaque, const SmmuStreamLook *st), void *opaque)
{
    const SmmuBank *b = bank_of(s, pas);

    for (size_t i = 0; i < SMMU_N_CONFIGS; i++) {
        const SmmuStream *st = &b->config[i];

        if (st->valid) {
            fn(opaque, &(SmmuStreamLook){ .sid = st->sid, .abort = st->abort, .s1 = st->s1 && !st->bypass,
                                          .s2 = st->s2 && !st->bypass, .asid = st->asid, .vmid = st->vmid,
                                          .s1_ttb = { st->half[0].ttb, st->half[1].ttb }, .s2_ttb = st->vttbr });
        }
    }
}
