/*
 * The command queue. IHI 0070, "Command queue", "Commands": what software caches in us is invalidated, CMD_SYNC
 * completes at once since nothing is ever left in flight. ATS, PRI and stall commands are not offered: illegal.
 */
#include <string.h>

#include "iommu/smmuv3_int.h"
#include "log.h"

enum {
    CMD_PREFETCH_CFG = 0x01, CMD_PREFETCH_ADDR = 0x02, CMD_CFGI_STE = 0x03, CMD_CFGI_STE_RANGE = 0x04,
    CMD_CFGI_CD = 0x05, CMD_CFGI_CD_ALL = 0x06, CMD_TLBI_NH_ALL = 0x10, CMD_TLBI_NH_ASID = 0x11,
    CMD_TLBI_NH_VA = 0x12, CMD_TLBI_NH_VAA = 0x13, CMD_TLBI_S12_VMALL = 0x28, CMD_TLBI_S2_IPA = 0x2a,
    CMD_TLBI_NSNH_ALL = 0x30, CMD_SYNC = 0x46,
};

#define CMD_SSEC (1u << 10)

const char *const smmu_command_names[256] = {
    [CMD_PREFETCH_CFG] = "CMD_PREFETCH_CONFIG",
    [CMD_PREFETCH_ADDR] = "CMD_PREFETCH_ADDR",
    [CMD_CFGI_STE] = "CMD_CFGI_STE",
    [CMD_CFGI_STE_RANGE] = "CMD_CFGI_STE_RANGE",
    [CMD_CFGI_CD] = "CMD_CFGI_CD",
    [CMD_CFGI_CD_ALL] = "CMD_CFGI_CD_ALL",
    [CMD_TLBI_NH_ALL] = "CMD_TLBI_NH_ALL",
    [CMD_TLBI_NH_ASID] = "CMD_TLBI_NH_ASID",
    [CMD_TLBI_NH_VA] = "CMD_TLBI_NH_VA",
    [CMD_TLBI_NH_VAA] = "CMD_TLBI_NH_VAA",
    [CMD_TLBI_S12_VMALL] = "CMD_TLBI_S12_VMALL",
    [CMD_TLBI_S2_IPA] = "CMD_TLBI_S2_IPA",
    [CMD_TLBI_NSNH_ALL] = "CMD_TLBI_NSNH_ALL",
    [CMD_SYNC] = "CMD_SYNC",
};

/* Which cached pages a TLBI command drops. */
typedef struct Scope {
    bool     stage1_only, by_asid, by_vmid, by_address, by_ipa;
    uint16_t asid, vmid;
    uint64_t base, len;
} Scope;

static bool in_scope(const Scope *sc, const SmmuTlbEntry *e)
{
    bool other_asid = e->asid != sc->asid && !(e->global && sc->by_address);

    if ((sc->stage1_only && !e->s1) || (sc->by_asid && other_asid) || (sc->by_vmid && e->vmid != sc->vmid)) {
        return false;
    }
    if (sc->by_address || sc->by_ipa) {
        /* A tag in the top byte (TBI) is part of neither address. */
        uint64_t at = sc->by_ipa ? e->ipa : (uint64_t)sign_extend64(e->iova, 56);
        uint64_t start = align_down(at, e->block);

        return start <= sc->base + (sc->len - 1) && sc->base <= start + (e->block - 1);
    }
    return true;
}

static void invalidate(SmmuBank *b, const Scope *sc)
{
    /* One slot holds a page: a short range of pages from 4 KiB mappings needs no search. An IPA is the I/O address
     * unless stage 1 came first. */
    if ((sc->by_address || (sc->by_ipa && !b->tlb_nested)) && !b->tlb_blocks && sc->len <= 64 * 4096) {
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
    if (!sc->by_address && !sc->by_ipa && !sc->by_asid && !sc->by_vmid) {
        b->tlb_used = b->tlb_blocks = b->tlb_nested = false;
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
    if ((num == 0 && scale == 0 && ttl == 0) || (tg == 2 && ttl == 1)) {
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

static unsigned tlbi(SmmuBank *b, unsigned op, uint64_t w0, uint64_t w1)
{
    Scope sc = { .vmid = (uint16_t)(w0 >> 32), .asid = (uint16_t)(w0 >> 48) };

    switch (op) {
    case CMD_TLBI_NH_ALL: sc.stage1_only = sc.by_vmid = true; break;
    case CMD_TLBI_NH_ASID: sc.stage1_only = sc.by_vmid = sc.by_asid = true; break;
    case CMD_TLBI_NH_VA: sc.stage1_only = sc.by_vmid = sc.by_asid = sc.by_address = true; break;
    case CMD_TLBI_NH_VAA: sc.stage1_only = sc.by_vmid = sc.by_address = true; break;
    case CMD_TLBI_S12_VMALL: sc.by_vmid = true; break;
    case CMD_TLBI_S2_IPA: sc.by_vmid = sc.by_ipa = true; break;
    default: break;
    }
    if ((sc.by_address || sc.by_ipa) && !set_range(&sc, w0, w1)) {
        return CERROR_ILL;
    }
    if (sc.by_address || sc.by_ipa || sc.by_vmid) {
        invalidate(b, &sc);
    } else {
        smmu_tlb_clear(b);
    }
    return CERROR_NONE;
}

static unsigned sync(Smmu *s, SmmuBank *b, uint64_t w0, uint64_t w1)
{
    enum { SIG_IRQ = 1, RESERVED = 3 };
    SmmuMsi  msi = { .addr = w1 & 0x000ffffffffffffcull, .data = (uint32_t)(w0 >> 32) };
    unsigned signal = w0 >> 12 & 3;

    if (signal == RESERVED) {
        return CERROR_ILL;
    }
    if (signal == SIG_IRQ && msi.addr != 0) {
        smmu_msi(s, b, &msi, GERROR_MSI_CMDQ_ABT, SMMU_GPF_MSI_CMDQ);
    } else if (signal == SIG_IRQ) {
        smmu_irq(s, b, SMMU_IRQ_SYNC);
    }
    return CERROR_NONE; /* SIG_SEV is not offered (IDR0.SEV): as no signal */
}

/* Returns a CERROR code. */
static unsigned execute(Smmu *s, SmmuBank *b, uint64_t w0, uint64_t w1)
{
    unsigned op = w0 & 0xff;
    bool     realm = b->pas == PAS_REALM;

    if (smmu_command_names[op] == NULL || (realm && op >= CMD_CFGI_CD && op <= CMD_TLBI_NH_VAA)) {
        return CERROR_ILL; /* stage 1 commands need stage 1 */
    }
    if (op <= CMD_CFGI_CD_ALL && (w0 & CMD_SSEC)) {
        return CERROR_ILL; /* a Secure stream, and this is no Secure queue */
    }
    LOG(SMMU, "%s %s 0x%016llx 0x%016llx", pas_name(b->pas), smmu_command_names[op], (unsigned long long)w0,
        (unsigned long long)w1);
    switch (op) {
    case CMD_PREFETCH_CFG:
    case CMD_PREFETCH_ADDR:
        break; /* hints */
    case CMD_CFGI_STE:
        smmu_config_invalidate(b, (uint32_t)(w0 >> 32), 0);
        break;
    case CMD_CFGI_STE_RANGE:
        smmu_config_invalidate(b, (uint32_t)(w0 >> 32), (w1 & 31) + 1);
        break;
    case CMD_CFGI_CD:
    case CMD_CFGI_CD_ALL:
        smmu_config_invalidate(b, (uint32_t)(w0 >> 32), 0);
        break;
    case CMD_SYNC:
        return sync(s, b, w0, w1);
    default:
        return tlbi(b, op, w0, w1);
    }
    return CERROR_NONE;
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

        if (smmu_fetch(s, b, base + (uint64_t)(cons & index_mask) * SMMU_CMD_SIZE, cmd, sizeof(cmd),
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
