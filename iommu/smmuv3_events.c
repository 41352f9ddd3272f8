/*
 * Event records, the event queue and global errors. IHI 0070, "Event queue", "Event records", "Global errors".
 */
#include <string.h>

#include "iommu/smmuv3_int.h"
#include "log.h"

#define EVTQ_OVERFLOW (1u << 31)
#define EVT1_GPCF     (1ull << 16)
#define EVT1_RNW      (1ull << 35)
#define EVT1_S2       (1ull << 39)
#define EVT1_CLASS_SHIFT 40
#define EVT1_TT_READ  (1ull << 44)
#define IPA_ADDR      0x0000fffffffff000ull
#define FETCH_ADDR    0x0000fffffffffff8ull
#define FAR_FADDR     0x00fffffffffff000ull

static const struct {
    SmmuEventId id;
    const char *name;
} event_names[] = {
    { SMMU_F_UUT, "F_UUT" },
    { SMMU_C_BAD_STREAMID, "C_BAD_STREAMID" },
    { SMMU_F_STE_FETCH, "F_STE_FETCH" },
    { SMMU_C_BAD_STE, "C_BAD_STE" },
    { SMMU_F_STREAM_DISABLED, "F_STREAM_DISABLED" },
    { SMMU_F_CD_FETCH, "F_CD_FETCH" },
    { SMMU_C_BAD_CD, "C_BAD_CD" },
    { SMMU_F_WALK_EABT, "F_WALK_EABT" },
    { SMMU_F_TRANSLATION, "F_TRANSLATION" },
    { SMMU_F_ADDR_SIZE, "F_ADDR_SIZE" },
    { SMMU_F_ACCESS, "F_ACCESS" },
    { SMMU_F_PERMISSION, "F_PERMISSION" },
};

const char *smmu_event_name(SmmuEventId id)
{
    for (size_t i = 0; i < ARRAY_LEN(event_names); i++) {
        if (event_names[i].id == id) {
            return event_names[i].name;
        }
    }
    return "?";
}

void smmu_gerror(Smmu *s, SmmuBank *b, uint32_t bits)
{
    /* An error is active while its bits in GERROR and GERRORN differ; an active one is not raised again. */
    uint32_t fresh = bits & ~(b->gerror ^ b->gerrorn);

    if (fresh == 0) {
        return;
    }
    b->gerror ^= fresh;
    LOG(SMMU, "%s GERROR 0x%x", pas_name(b->pas), b->gerror ^ b->gerrorn);
    if (b->irq_ctrl & IRQ_CTRL_GERROR) {
        smmu_irq(s, b, SMMU_IRQ_GERROR);
    }
}

static void queue_event(Smmu *s, SmmuBank *b, const uint8_t record[SMMU_EVENT_SIZE])
{
    unsigned log2size = b->evtq.base & 31;
    uint32_t index_mask = (uint32_t)mask64(log2size), wrap = 1u << log2size;
    uint32_t prod = b->evtq.prod & (index_mask | wrap), cons = b->evtq.cons & (index_mask | wrap);
    bool     was_empty = prod == cons;

    if (!(b->cr0 & CR0_EVTQEN)) {
        return; /* recorded nowhere: "Event queue disabled" */
    }
    if (prod == (cons ^ wrap)) { /* full: the overflow flag toggles once until software acknowledges */
        if (!((b->evtq.prod ^ b->evtq.cons) & EVTQ_OVERFLOW)) {
            b->evtq.prod ^= EVTQ_OVERFLOW;
        }
        return;
    }
    uint64_t base = b->evtq.base & 0x000fffffffffffe0ull;
    uint64_t slot = base + (uint64_t)(prod & index_mask) * SMMU_EVENT_SIZE;
    if (smmu_post(s, b, slot, record, SMMU_EVENT_SIZE, SMMU_GPF_EVTQ) != MEM_OK) {
        smmu_gerror(s, b, GERROR_EVTQ_ABT);
        return;
    }
    b->evtq.prod = (b->evtq.prod & EVTQ_OVERFLOW) | ((prod + 1) & (index_mask | wrap));
    if (was_empty && (b->irq_ctrl & IRQ_CTRL_EVTQ)) {
        smmu_irq(s, b, SMMU_IRQ_EVTQ);
    }
}

void smmu_gpf(Smmu *s, Pas pas, uint64_t pa, SmmuGpf who)
{
    /* ROOT_GPF_FAR keeps the first fault until Root software clears it. FPAS has the encoding of Pas. */
    if (who != SMMU_GPF_TRANSACTION) { /* a client's is shown with its request */
        LOG(SMMU, "%s granule protection fault at pa 0x%llx", pas_name(pas), (unsigned long long)pa);
    }
    if (!(s->gpf_far & 1)) {
        s->gpf_far = (uint64_t)pas << 62 | (pa & FAR_FADDR) | (unsigned)who | 1;
    }
}

/* The words after the first. "Event records": what an event does not define is zero. */
static void put_syndrome(uint8_t record[SMMU_EVENT_SIZE], const DmaRequest *req, const SmmuFault *f)
{
    bool     fetch = f->id == SMMU_F_STE_FETCH || f->id == SMMU_F_CD_FETCH || f->id == SMMU_F_WALK_EABT;
    uint64_t w1 = 0;

    if (fetch) {
        w1 |= f->gpf ? EVT1_GPCF : 0;
        le64_put(record + 24, f->ipa & FETCH_ADDR);
    } else if (f->stage2) {
        le64_put(record + 24, f->ipa & IPA_ADDR);
    }
    if (f->id >= SMMU_F_WALK_EABT) {
        w1 |= req->write ? 0 : EVT1_RNW;
        w1 |= f->stage2 ? EVT1_S2 : 0;
        w1 |= (uint64_t)f->class << EVT1_CLASS_SHIFT;
        w1 |= f->id == SMMU_F_PERMISSION && f->class == SMMU_CLASS_TTD ? EVT1_TT_READ : 0;
        le64_put(record + 16, req->iova);
    }
    le64_put(record + 8, w1);
}

void smmu_event(Smmu *s, SmmuBank *b, uint32_t sid, const DmaRequest *req, const SmmuFault *f)
{
    uint8_t record[SMMU_EVENT_SIZE] = { 0 };

    LOG(SMMU, "%s event %s: stream 0x%x %s iova 0x%llx stage %d ipa 0x%llx", pas_name(b->pas),
        smmu_event_name(f->id), sid, req->write ? "write" : "read", (unsigned long long)req->iova,
        f->stage2 ? 2 : 1, (unsigned long long)f->ipa);
    b->n_events++;
    if (!f->record) {
        return;
    }
    le64_put(record, f->id | (uint64_t)sid << 32);
    put_syndrome(record, req, f);
    queue_event(s, b, record);
}

void smmu_conformance(void (*fn)(void *opaque, const char *kind, const char *name), void *opaque)
{
    static const char *const registers[] = { "IDR0", "IDR1", "IDR3", "IDR5", "CR0", "CR1", "CR2", "GBPA", "IRQ_CTRL",
                                             "GERROR", "GERRORN", "GERROR_IRQ_CFG", "STRTAB_BASE",
                                             "STRTAB_BASE_CFG", "CMDQ_BASE", "CMDQ_PROD", "CMDQ_CONS",
                                             "EVENTQ_BASE", "EVENTQ_PROD", "EVENTQ_CONS", "EVENTQ_IRQ_CFG",
                                             "ROOT_IDR0", "ROOT_CR0", "ROOT_GPF_FAR" };

    for (size_t i = 0; i < ARRAY_LEN(registers); i++) {
        fn(opaque, "register", registers[i]);
    }
    for (size_t i = 0; i < 256; i++) {
        if (smmu_command_names[i] != NULL) {
            fn(opaque, "command", smmu_command_names[i]);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(event_names); i++) {
        fn(opaque, "event", event_names[i].name);
    }
}
