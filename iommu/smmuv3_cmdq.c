/*
 * The command queue. IHI 0070, "Command queue", "Commands": what software caches in us is invalidated, CMD_SYNC
 * completes at once since nothing is ever left in flight. ATS, PRI, stall and EL2 commands are not offered: illegal.
 */
#include "iommu/smmuv3_int.h"
#include "log.h"

#define CMD_SSEC (1u << 10)

typedef struct Command Command;

/* One command. TLBI commands say by columns which cached pages they drop. */
struct Command {
    uint8_t     opcode;
    const char *name;
    unsigned  (*execute)(Smmu *s, SmmuBank *b, const Command *c, uint64_t w0, uint64_t w1); /* returns a CERROR code */
    bool        stream;    /* names a stream: SSec must be clear */
    unsigned    scope;     /* of TLBI: BY_*, or'ed; 0: everything */
};

enum { BY_STAGE1 = 1, BY_ASID = 2, BY_VMID = 4, BY_VA = 8, BY_IPA = 16 };

/* Which cached pages a TLBI command drops. */
typedef struct Scope {
    unsigned by;
    uint16_t asid, vmid;
    uint64_t base, len;
} Scope;

static bool in_scope(const Scope *sc, const SmmuTlbEntry *e)
{
    bool other_asid = e->asid != sc->asid && !(e->global && (sc->by & BY_VA));

    if (((sc->by & BY_STAGE1) && !e->s1) || ((sc->by & BY_ASID) && other_asid) ||
        ((sc->by & BY_VMID) && e->vmid != sc->vmid)) {
        return false;
    }
    if (sc->by & (BY_VA | BY_IPA)) {
        /* A tag in the top byte (TBI) is part of neither address. */
        uint64_t at = sc->by & BY_IPA ? e->ipa : (uint64_t)sign_extend64(e->iova, 56);
        uint64_t start = align_down(at, e->block);

        return start <= sc->base + (sc->len - 1) && sc->base <= start + (e->block - 1);
    }
    return true;
}

static void invalidate(SmmuBank *b, const Scope *sc)
{
    /* One slot holds a page: a short range of pages from 4 KiB mappings needs no search. An IPA is the I/O address
     * unless stage 1 came first. */
    bool by_slot = (sc->by & BY_VA) || ((sc->by & BY_IPA) && !b->tlb_nested);

    if (by_slot && !b->tlb_blocks && sc->len <= 64 * 4096) {
        for (uint64_t a = 0; a < sc->len; a += 4096) {
            SmmuTlbEntry *e = &b->tlb[((sc->base + a) >> 12) % SMMU_N_TLB];

            e->valid = e->valid && !in_scope(sc, e);
        }
        return;
    }
    for (size_t i = 0; b->tlb_used && i < SMMU_N_TLB; i++) {
        SmmuTlbEntry *e = &b->tlb[i];

        if (e->valid && in_scope(sc, e)) {
            e->valid = false;
        }
    }
}

/* The address operand; with TG the range form ("Range-based invalidation and level hint"). False: reserved. */
static bool set_range(Scope *sc, uint64_t w0, uint64_t w1)
{
    unsigned tg = w1 >> 10 & 3, ttl = w1 >> 8 & 3, num = w0 >> 12 & 31, scale = w0 >> 20 & 63;

    sc->base = w1 & ~0xfffull;
    sc->len = 4096;
    if (tg == 0) {
        return true;
    }
    if (tg == 2 && ttl == 1) {
        ttl = 0; /* reserved, treated so */
    }
    if (num == 0 && scale == 0 && ttl == 0) {
        return false;
    }
    unsigned granule_log2 = tg == 1 ? 12 : tg == 2 ? 14 : 16;
    sc->base = align_down(w1, 1ull << granule_log2);
    sc->len = (num + 1ull) << MIN(scale, 39) << granule_log2;
    if (sc->base + (sc->len - 1) < sc->base) {
        sc->len = 0 - sc->base;
    }
    return true;
}

static unsigned tlbi(Smmu *s, SmmuBank *b, const Command *c, uint64_t w0, uint64_t w1)
{
    Scope sc = { .by = c->scope, .vmid = (uint16_t)(w0 >> 32), .asid = (uint16_t)(w0 >> 48) };

    if ((sc.by & (BY_VA | BY_IPA)) && !set_range(&sc, w0, w1)) {
        return CERROR_ILL;
    }
    if (sc.by != 0) {
        invalidate(b, &sc);
    } else {
        smmu_tlb_clear(b);
    }
    return CERROR_NONE;
}

/* A hint, which we do not take. "CMD_PREFETCH_ADDR": an implementation is not required to prefetch anything. */
static unsigned prefetch(Smmu *s, SmmuBank *b, const Command *c, uint64_t w0, uint64_t w1) { return CERROR_NONE; }

/* The context descriptors of a stream are cached with its entry: CFGI_CD and CFGI_CD_ALL drop both. */
static unsigned cfgi_stream(Smmu *s, SmmuBank *b, const Command *c, uint64_t w0, uint64_t w1)
{
    smmu_config_invalidate(b, (uint32_t)(w0 >> 32), 0);
    return CERROR_NONE;
}

/* 2^(Range + 1) streams; a Range of 31 is CMD_CFGI_ALL. */
static unsigned cfgi_range(Smmu *s, SmmuBank *b, const Command *c, uint64_t w0, uint64_t w1)
{
    smmu_config_invalidate(b, (uint32_t)(w0 >> 32), (w1 & 31) + 1);
    return CERROR_NONE;
}

static unsigned sync(Smmu *s, SmmuBank *b, const Command *c, uint64_t w0, uint64_t w1)
{
    enum { SIG_IRQ = 1, RESERVED = 3 };
    uint64_t ns = b->pas == PAS_REALM ? w1 & SMMU_MSI_NS : 0;
    SmmuMsi  msi = { .addr = (w1 & SMMU_MSI_ADDR) | ns, .data = (uint32_t)(w0 >> 32) };
    unsigned signal = w0 >> 12 & 3;

    if (signal == RESERVED) {
        return CERROR_ILL;
    }
    if (signal == SIG_IRQ && (msi.addr & SMMU_MSI_ADDR) != 0) {
        smmu_msi(s, b, &msi, GERROR_MSI_CMDQ_ABT, SMMU_GPF_MSI_CMDQ);
    } else if (signal == SIG_IRQ) {
        smmu_irq(s, b, SMMU_IRQ_SYNC);
    }
    return CERROR_NONE; /* SIG_SEV is not offered (IDR0.SEV): as no signal */
}

/* All there are: any other opcode is illegal. */
static const Command commands[] = {
    /* opcode name                 execute      stream scope */
    { 0x01, "CMD_PREFETCH_CONFIG", prefetch,    true },
    { 0x02, "CMD_PREFETCH_ADDR",   prefetch,    true },
    { 0x03, "CMD_CFGI_STE",        cfgi_stream, true },
    { 0x04, "CMD_CFGI_STE_RANGE",  cfgi_range,  true },
    { 0x05, "CMD_CFGI_CD",         cfgi_stream, true },
    { 0x06, "CMD_CFGI_CD_ALL",     cfgi_stream, true },
    { 0x10, "CMD_TLBI_NH_ALL",     tlbi,        false, BY_STAGE1 | BY_VMID },
    { 0x11, "CMD_TLBI_NH_ASID",    tlbi,        false, BY_STAGE1 | BY_VMID | BY_ASID },
    { 0x12, "CMD_TLBI_NH_VA",      tlbi,        false, BY_STAGE1 | BY_VMID | BY_ASID | BY_VA },
    { 0x13, "CMD_TLBI_NH_VAA",     tlbi,        false, BY_STAGE1 | BY_VMID | BY_VA },
    { 0x28, "CMD_TLBI_S12_VMALL",  tlbi,        false, BY_VMID },
    { 0x2a, "CMD_TLBI_S2_IPA",     tlbi,        false, BY_VMID | BY_IPA },
    { 0x30, "CMD_TLBI_NSNH_ALL",   tlbi,        false, 0 },
    { 0x46, "CMD_SYNC",            sync,        false },
};

/* Returns a CERROR code. */
static unsigned execute(Smmu *s, SmmuBank *b, uint64_t w0, uint64_t w1)
{
    const Command *c = NULL;

    for (size_t i = 0; i < ARRAY_LEN(commands) && c == NULL; i++) {
        c = commands[i].opcode == (w0 & 0xff) ? &commands[i] : NULL;
    }
    if (c == NULL || (c->stream && (w0 & CMD_SSEC))) {
        return CERROR_ILL; /* no such command, or of a Secure stream, and this is no Secure queue */
    }
    LOG(SMMU, "%s %s 0x%016llx 0x%016llx", pas_name(b->pas), c->name, (unsigned long long)w0,
        (unsigned long long)w1);
    return c->execute(s, b, c, w0, w1);
}

void smmu_cmdq_run(Smmu *s, SmmuBank *b)
{
    unsigned log2size = b->cmdq.base & 31;
    uint32_t index_mask = (uint32_t)mask64(log2size), all = index_mask << 1 | 1;
    uint32_t end = b->cmdq.prod & all;

    if (s->busy) {
        return; /* a register write by an access of ours: the next one by software goes on */
    }
    /* To where PROD was at the start: a message that a command sends may write our registers, PROD too. */
    while ((b->cr0 & CR0_CMDQEN) && !((b->gerror ^ b->gerrorn) & GERROR_CMDQ) && (b->cmdq.cons & all) != end) {
        uint64_t base = b->cmdq.base & 0x000fffffffffffe0ull;
        uint32_t cons = b->cmdq.cons & all;
        uint8_t  cmd[SMMU_CMD_SIZE];
        unsigned err = CERROR_ABT;

        if (smmu_fetch(s, b->pas, base + (uint64_t)(cons & index_mask) * SMMU_CMD_SIZE, cmd, sizeof(cmd),
                       SMMU_GPF_CMDQ) == MEM_OK) {
            err = execute(s, b, le64_get(cmd), le64_get(cmd + 8));
        }
        if (err != CERROR_NONE) {
            /* CONS stays at the command; software repairs it and acknowledges in GERRORN. */
            guest_error("smmu: %s command at index %u: %s", pas_name(b->pas), cons & index_mask,
                        err == CERROR_ILL ? "illegal" : "cannot be read");
            b->cmdq.cons = cons | err << 24;
            smmu_gerror(s, b, GERROR_CMDQ);
            return;
        }
        b->cmdq.cons = (cons + 1) & all;
    }
}

void smmu_list_commands(SmmuRow *fn, void *opaque)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        fn(opaque, "command", commands[i].name, commands[i].opcode);
    }
}
