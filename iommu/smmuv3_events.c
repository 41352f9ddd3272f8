/*
 * Event records, the event queue and global errors. IHI 0070, "Event queue", "Event records", "Global errors".
 */
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

/* What a record has besides its number and the stream. */
enum {
    HAS_INPUT = 1, /* InputAddr, RnW, S2, CLASS; the IPA when stage 2 faulted */
    HAS_FETCH = 2, /* FetchAddr and GPCF, in the place of the IPA */
    HAS_TTRNW = 4, /* TTRnW, of a walk's own access */
};

static const struct Event {
    SmmuEventId id;
    const char *name;
    unsigned    has;
} events[] = {
#define ROW(name, number, has) { SMMU_##name, #name, has },
    SMMU_EVENTS(ROW)
#undef ROW
};

static const struct Event *event_of(SmmuEventId id)
{
    const struct Event *e = events;

    while (e->id != id) { /* it is there: the numbers are of the same list */
        e++;
    }
    return e;
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
    if (smmu_post(s, b->pas, slot, record, SMMU_EVENT_SIZE, SMMU_GPF_EVTQ) != MEM_OK) {
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
static void put_syndrome(uint8_t record[SMMU_EVENT_SIZE], unsigned has, const DmaRequest *req, const SmmuFault *f)
{
    uint64_t w1 = 0;

    if (has & HAS_FETCH) {
        w1 |= f->gpf ? EVT1_GPCF : 0;
        le64_put(record + 24, f->ipa & FETCH_ADDR);
    } else if (f->stage2) {
        le64_put(record + 24, f->ipa & IPA_ADDR);
    }
    if (has & HAS_INPUT) {
        w1 |= req->write ? 0 : EVT1_RNW;
        w1 |= f->stage2 ? EVT1_S2 : 0;
        w1 |= (uint64_t)f->class << EVT1_CLASS_SHIFT;
        w1 |= (has & HAS_TTRNW) && f->class == SMMU_CLASS_TTD ? EVT1_TT_READ : 0;
        le64_put(record + 16, req->iova);
    }
    le64_put(record + 8, w1);
}

void smmu_event(Smmu *s, SmmuBank *b, uint32_t sid, const DmaRequest *req, const SmmuFault *f)
{
    const struct Event *e = event_of(f->id);
    uint8_t             record[SMMU_EVENT_SIZE] = { 0 };

    LOG(SMMU, "%s event %s: stream 0x%x %s iova 0x%llx stage %d ipa 0x%llx", pas_name(b->pas),
        e->name, sid, req->write ? "write" : "read", (unsigned long long)req->iova,
        f->stage2 ? 2 : 1, (unsigned long long)f->ipa);
    b->n_events++;
    if (!f->record) {
        return;
    }
    le64_put(record, e->id | (uint64_t)sid << 32);
    put_syndrome(record, e->has, req, f);
    queue_event(s, b, record);
}

void smmu_list_events(SmmuRow *fn, void *opaque)
{
    for (size_t i = 0; i < ARRAY_LEN(events); i++) {
        fn(opaque, "event", events[i].name, events[i].id);
    }
}
