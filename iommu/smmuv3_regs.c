/*
 * Register files, interrupts and the translation entry point of the SMMUv3. IHI 0070, "Memory map and registers";
 * Root and Realm pages from the RME and RME-DA extensions. Advertised: two stages (Non-secure), stage 2 (Realm),
 * 4K, 16K and 64K granules, 48-bit addresses, two-level stream tables, range invalidation, MSIs. Not: ATS, PRI,
 * stalls, substreams, hardware access flag updates, EL2 stream worlds, broadcast TLB maintenance.
 */
#include <string.h>

#include "iommu/smmuv3_int.h"
#include "log.h"

enum {
    R_IDR0 = 0x00, R_IDR1 = 0x04, R_IDR2 = 0x08, R_IDR3 = 0x0c, R_IDR4 = 0x10, R_IDR5 = 0x14, R_IIDR = 0x18,
    R_AIDR = 0x1c, R_CR0 = 0x20, R_CR0ACK = 0x24, R_CR1 = 0x28, R_CR2 = 0x2c, R_GBPA = 0x44, R_IRQ_CTRL = 0x50,
    R_IRQ_CTRLACK = 0x54, R_GERROR = 0x60, R_GERRORN = 0x64, R_GERROR_IRQ_CFG0 = 0x68, R_GERROR_IRQ_CFG1 = 0x70,
    R_GERROR_IRQ_CFG2 = 0x74, R_STRTAB_BASE = 0x80, R_STRTAB_BASE_CFG = 0x88, R_CMDQ_BASE = 0x90,
    R_CMDQ_PROD = 0x98, R_CMDQ_CONS = 0x9c, R_EVTQ_BASE = 0xa0, R_EVTQ_IRQ_CFG0 = 0xb0, R_EVTQ_IRQ_CFG1 = 0xb8,
    R_EVTQ_IRQ_CFG2 = 0xbc,
    PAGE1 = 0x10000,
    R_EVTQ_PROD = PAGE1 + 0xa8, R_EVTQ_CONS = PAGE1 + 0xac,
    ROOT_IDR0 = 0x00, ROOT_CR0 = 0x20, ROOT_CR0ACK = 0x24, ROOT_GPF_FAR = 0x38,
};

#define IDR0_S2P     (1u << 0)
#define IDR0_S1P     (1u << 1)
#define IDR0_TTF_A64 (2u << 2)
#define IDR0_COHACC  (1u << 4)
#define IDR0_ASID16  (1u << 12)
#define IDR0_MSI     (1u << 13)
#define IDR0_VMID16  (1u << 18)
#define IDR0_LE      (2u << 21)
#define IDR0_NO_STALL (1u << 24)
#define IDR0_TERM_ABORT (1u << 26)
#define IDR0_ST_2LVL (1u << 27)
#define IDR0_RME_IMPL (1u << 30)
#define IDR3_RIL     (1u << 10)
#define IDR5_VALUE   (5u | 1u << 4 | 1u << 5 | 1u << 6) /* 48-bit output, all granules */
#define AIDR_V3_3    0x03u
#define CR0_IMPLEMENTED (CR0_SMMUEN | CR0_EVTQEN | CR0_CMDQEN)
#define IRQ_IMPLEMENTED (IRQ_CTRL_GERROR | IRQ_CTRL_EVTQ)
#define GBPA_WRITABLE 0x001f3f1fu /* ABORT and the attribute overrides, which we keep and have no use for */
#define MSI_ADDR_MASK 0x000ffffffffffffcull

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

static MemResult end_access(Smmu *s, const SmmuBank *b, uint64_t pa, MemResult r, SmmuGpf who)
{
    if (r == MEM_GPF) {
        smmu_gpf(s, b->pas, pa, who);
    }
    return r;
}

MemResult smmu_fetch(Smmu *s, const SmmuBank *b, uint64_t pa, void *dst, size_t len, SmmuGpf who)
{
    MemResult r = begin_access(s);

    if (r == MEM_OK) {
        s->busy = true;
        r = memory_read(s->cfg.memory, pa, (MemAttrs){ .pas = b->pas, .is_device = true }, dst, len);
        s->busy = false;
    }
    return end_access(s, b, pa, r, who);
}

MemResult smmu_post(Smmu *s, const SmmuBank *b, uint64_t pa, const void *src, size_t len, SmmuGpf who)
{
    MemResult r = begin_access(s);

    if (r == MEM_OK) {
        s->busy = true;
        r = memory_write(s->cfg.memory, pa, (MemAttrs){ .pas = b->pas, .is_device = true }, src, len);
        s->busy = false;
    }
    return end_access(s, b, pa, r, who);
}

/* ---- interrupts ---- */

void smmu_msi(Smmu *s, SmmuBank *b, const SmmuMsi *msi, uint32_t abort_error, SmmuGpf gpf)
{
    uint8_t data[4];

    le32_put(data, msi->data);
    if (smmu_post(s, b, msi->addr, data, sizeof(data), gpf) != MEM_OK) {
        smmu_gerror(s, b, abort_error);
    }
}

void smmu_irq(Smmu *s, SmmuBank *b, SmmuIrq irq)
{
    const SmmuMsi *msi = irq == SMMU_IRQ_GERROR ? &b->gerror_msi : irq == SMMU_IRQ_EVTQ ? &b->evtq_msi : NULL;

    if (msi != NULL && msi->addr != 0) {
        bool gerror = irq == SMMU_IRQ_GERROR;

        smmu_msi(s, b, msi, gerror ? GERROR_MSI_GERROR_ABT : GERROR_MSI_EVTQ_ABT,
                 gerror ? SMMU_GPF_MSI_GERROR : SMMU_GPF_MSI_EVTQ);
    } else if (b->pas == PAS_NONSECURE) { /* the Realm bank has no wires: its queue is polled */
        irq_set(&s->cfg.irq[irq], true);
        irq_set(&s->cfg.irq[irq], false);
    }
}

/* ---- reads ---- */

static uint32_t idr0(const SmmuBank *b)
{
    uint32_t common = IDR0_S2P | IDR0_TTF_A64 | IDR0_COHACC | IDR0_MSI | IDR0_VMID16 | IDR0_LE | IDR0_NO_STALL |
                      IDR0_TERM_ABORT | IDR0_ST_2LVL | IDR0_RME_IMPL;

    return b->pas == PAS_REALM ? common : common | IDR0_S1P | IDR0_ASID16;
}

static uint64_t bank_read32(const Smmu *s, const SmmuBank *b, uint64_t off)
{
    switch (off) {
    case R_IDR0: return idr0(b);
    case R_IDR1: return s->cfg.sid_bits | SMMU_EVTQS << 16 | SMMU_CMDQS << 21;
    case R_IDR2:
    case R_IDR4:
    case R_IIDR: return 0;
    case R_IDR3: return IDR3_RIL;
    case R_IDR5: return IDR5_VALUE;
    case R_AIDR: return AIDR_V3_3;
    case R_CR0:
    case R_CR0ACK: return b->cr0;
    case R_CR1: return b->cr1;
    case R_CR2: return b->cr2;
    case R_GBPA: return b->gbpa;
    case R_IRQ_CTRL:
    case R_IRQ_CTRLACK: return b->irq_ctrl;
    case R_GERROR: return b->gerror;
    case R_GERRORN: return b->gerrorn;
    case R_GERROR_IRQ_CFG0: return (uint32_t)b->gerror_msi.addr;
    case R_GERROR_IRQ_CFG0 + 4: return b->gerror_msi.addr >> 32;
    case R_GERROR_IRQ_CFG1: return b->gerror_msi.data;
    case R_GERROR_IRQ_CFG2: return b->gerror_msi.attr;
    case R_STRTAB_BASE: return (uint32_t)b->strtab_base;
    case R_STRTAB_BASE + 4: return b->strtab_base >> 32;
    case R_STRTAB_BASE_CFG: return b->strtab_cfg;
    case R_CMDQ_BASE: return (uint32_t)b->cmdq.base;
    case R_CMDQ_BASE + 4: return b->cmdq.base >> 32;
    case R_CMDQ_PROD: return b->cmdq.prod;
    case R_CMDQ_CONS: return b->cmdq.cons;
    case R_EVTQ_BASE: return (uint32_t)b->evtq.base;
    case R_EVTQ_BASE + 4: return b->evtq.base >> 32;
    case R_EVTQ_IRQ_CFG0: return (uint32_t)b->evtq_msi.addr;
    case R_EVTQ_IRQ_CFG0 + 4: return b->evtq_msi.addr >> 32;
    case R_EVTQ_IRQ_CFG1: return b->evtq_msi.data;
    case R_EVTQ_IRQ_CFG2: return b->evtq_msi.attr;
    case R_EVTQ_PROD: return b->evtq.prod;
    case R_EVTQ_CONS: return b->evtq.cons;
    default:
        guest_error("smmu: %s read of undefined offset 0x%llx", pas_name(b->pas), (unsigned long long)off);
        return 0;
    }
}

static MemResult bank_read(Smmu *s, SmmuBank *b, uint64_t off, unsigned size, uint64_t *value)
{
    if (size < 4) {
        guest_error("smmu: %u-byte read of offset 0x%llx", size, (unsigned long long)off);
        *value = 0;
        return MEM_OK;
    }
    *value = bank_read32(s, b, off);
    if (size == 8) {
        *value |= bank_read32(s, b, off + 4) << 32;
    }
    return MEM_OK;
}

/* ---- writes ---- */

static void write_cr0(Smmu *s, SmmuBank *b, uint32_t v)
{
    uint32_t old = b->cr0;

    b->cr0 = v & CR0_IMPLEMENTED;
    if ((old ^ b->cr0) & CR0_SMMUEN) {
        smmu_config_invalidate(b, 0, 32);
        LOG(SMMU, "%s translation %s", pas_name(b->pas), b->cr0 & CR0_SMMUEN ? "on" : "off");
    }
    smmu_cmdq_run(s, b);
}

/* GBPA takes a value only with UPDATE set, which then reads as zero: the change is immediate. */
static void write_gbpa(SmmuBank *b, uint32_t v)
{
    if (v & GBPA_UPDATE) {
        b->gbpa = b->pas == PAS_REALM ? GBPA_ABORT : v & GBPA_WRITABLE;
    }
}

static void write_half(uint64_t *reg, bool high, uint32_t v, uint64_t mask)
{
    *reg = deposit64(*reg, high ? 32 : 0, 32, v) & mask;
}

/* Registers that must not change while what they describe is on: CONSTRAINED UNPREDICTABLE, we ignore the write. */
static bool locked(const SmmuBank *b, uint64_t off)
{
    uint32_t while_on = off >= R_STRTAB_BASE && off <= R_STRTAB_BASE_CFG ? CR0_SMMUEN
                        : off == R_CMDQ_BASE || off == R_CMDQ_BASE + 4 || off == R_CMDQ_CONS ? CR0_CMDQEN
                        : off == R_EVTQ_BASE || off == R_EVTQ_BASE + 4 || off == R_EVTQ_PROD ? CR0_EVTQEN
                                                                                             : 0;

    uint32_t irq_on = off >= R_GERROR_IRQ_CFG0 && off <= R_GERROR_IRQ_CFG2 ? IRQ_CTRL_GERROR
                      : off >= R_EVTQ_IRQ_CFG0 && off <= R_EVTQ_IRQ_CFG2   ? IRQ_CTRL_EVTQ
                                                                           : 0;

    if ((b->cr0 & while_on) || (b->irq_ctrl & irq_on)) {
        guest_error("smmu: %s write of offset 0x%llx while it is in use", pas_name(b->pas), (unsigned long long)off);
        return true;
    }
    return false;
}

/* Software toggles the bits of errors it has seen. Toggling an inactive one is CONSTRAINED UNPREDICTABLE: ignored. */
static void write_gerrorn(Smmu *s, SmmuBank *b, uint32_t v)
{
    b->gerrorn ^= (v ^ b->gerrorn) & (b->gerror ^ b->gerrorn);
    smmu_cmdq_run(s, b); /* an acknowledged command error lets the queue go on */
}

/* Size of a queue: at most what IDR1 says. */
static uint64_t queue_base(uint64_t v, unsigned max_log2)
{
    return deposit64(v & 0x400fffffffffffffull, 0, 5, MIN(v & 31, max_log2));
}

static void bank_write32(Smmu *s, SmmuBank *b, uint64_t off, uint32_t v)
{
    if (locked(b, off)) {
        return;
    }
    switch (off) {
    case R_CR0: write_cr0(s, b, v); break;
    case R_CR1: b->cr1 = v & 0xfff; break;
    case R_CR2: b->cr2 = v & 7; break;
    case R_GBPA: write_gbpa(b, v); break;
    case R_IRQ_CTRL: b->irq_ctrl = v & IRQ_IMPLEMENTED; break;
    case R_GERRORN: write_gerrorn(s, b, v); break;
    case R_GERROR_IRQ_CFG0:
    case R_GERROR_IRQ_CFG0 + 4: write_half(&b->gerror_msi.addr, off & 4, v, MSI_ADDR_MASK); break;
    case R_GERROR_IRQ_CFG1: b->gerror_msi.data = v; break;
    case R_GERROR_IRQ_CFG2: b->gerror_msi.attr = v & 0x3f; break;
    case R_STRTAB_BASE:
    case R_STRTAB_BASE + 4: write_half(&b->strtab_base, off & 4, v, 0x400fffffffffffc0ull); break;
    case R_STRTAB_BASE_CFG: b->strtab_cfg = v & 0x307ff; break;
    case R_CMDQ_BASE:
    case R_CMDQ_BASE + 4:
        write_half(&b->cmdq.base, off & 4, v, ~0ull);
        b->cmdq.base = queue_base(b->cmdq.base, SMMU_CMDQS);
        break;
    case R_CMDQ_PROD:
        b->cmdq.prod = v & 0xfffff;
        smmu_cmdq_run(s, b);
        break;
    case R_CMDQ_CONS: b->cmdq.cons = v & 0x7f0fffff; break;
    case R_EVTQ_BASE:
    case R_EVTQ_BASE + 4:
        write_half(&b->evtq.base, off & 4, v, ~0ull);
        b->evtq.base = queue_base(b->evtq.base, SMMU_EVTQS);
        break;
    case R_EVTQ_IRQ_CFG0:
    case R_EVTQ_IRQ_CFG0 + 4: write_half(&b->evtq_msi.addr, off & 4, v, MSI_ADDR_MASK); break;
    case R_EVTQ_IRQ_CFG1: b->evtq_msi.data = v; break;
    case R_EVTQ_IRQ_CFG2: b->evtq_msi.attr = v & 0x3f; break;
    case R_EVTQ_PROD: b->evtq.prod = v & 0x800fffff; break;
    case R_EVTQ_CONS: b->evtq.cons = v & 0x800fffff; break;
    default:
        guest_error("smmu: %s write of read-only or undefined offset 0x%llx", pas_name(b->pas),
                    (unsigned long long)off);
        break;
    }
}

static MemResult bank_write(Smmu *s, SmmuBank *b, uint64_t off, unsigned size, uint64_t value)
{
    if (size < 4) {
        guest_error("smmu: %u-byte write of offset 0x%llx", size, (unsigned long long)off);
        return MEM_OK;
    }
    bank_write32(s, b, off, (uint32_t)value);
    if (size == 8) {
        bank_write32(s, b, off + 4, (uint32_t)(value >> 32));
    }
    return MEM_OK;
}

static MemResult ns_read(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t *value)
{
    Smmu *s = opaque;

    return bank_read(s, &s->bank[SMMU_NS], off, size, value);
}

static MemResult ns_write(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t value)
{
    Smmu *s = opaque;

    return bank_write(s, &s->bank[SMMU_NS], off, size, value);
}

/* The Realm pages are registers of the Realm address space; the owner table says so too. */
static bool is_realm(MemAttrs attrs) { return attrs.pas == PAS_REALM || attrs.pas == PAS_ROOT; }

static MemResult realm_read(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t *value)
{
    Smmu *s = opaque;

    *value = 0;
    return is_realm(attrs) ? bank_read(s, &s->bank[SMMU_REALM], off, size, value) : MEM_OK;
}

static MemResult realm_write(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t value)
{
    Smmu *s = opaque;

    return is_realm(attrs) ? bank_write(s, &s->bank[SMMU_REALM], off, size, value) : MEM_OK;
}

static uint32_t root_read32(const Smmu *s, uint64_t off)
{
    switch (off) {
    case ROOT_IDR0: return 1 | (uint32_t)(s->cfg.realm_offset >> 16) << 22;
    case ROOT_CR0:
    case ROOT_CR0ACK: return s->root_cr0;
    case ROOT_GPF_FAR: return (uint32_t)s->gpf_far;
    case ROOT_GPF_FAR + 4: return s->gpf_far >> 32;
    default: return 0;
    }
}

static MemResult root_read(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t *value)
{
    Smmu *s = opaque;

    *value = 0;
    if (attrs.pas != PAS_ROOT || size < 4) {
        return MEM_OK;
    }
    *value = root_read32(s, off);
    if (size == 8) {
        *value |= (uint64_t)root_read32(s, off + 4) << 32;
    }
    return MEM_OK;
}

static MemResult root_write(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t value)
{
    Smmu *s = opaque;

    if (attrs.pas != PAS_ROOT || size < 4) {
        return MEM_OK;
    }
    if (off == ROOT_CR0) {
        s->root_cr0 = (value & ROOT_CR0_ACCESSEN) | ROOT_CR0_GPCEN; /* the checks are the memory's and stay on */
        for (size_t i = 0; i < SMMU_N_BANKS; i++) {
            smmu_tlb_clear(&s->bank[i]);
        }
    } else if (off == ROOT_GPF_FAR && !(value & 1)) {
        s->gpf_far = 0; /* only a write that clears FAULT does anything */
    }
    return MEM_OK;
}

const MmioOps smmu_ns_ops = { ns_read, ns_write };
const MmioOps smmu_realm_ops = { realm_read, realm_write };
const MmioOps smmu_root_ops = { root_read, root_write };

/* ---- translation ---- */

static DmaResult refuse(Smmu *s, SmmuBank *b, const DmaRequest *req, const SmmuFault *f)
{
    if (f->id == SMMU_EVT_NONE) {
        /* The output is another's: told to Root software only. "GPC for client-originated accesses". */
        LOG(SMMU, "%s granule protection fault: stream 0x%x %s iova 0x%llx pa 0x%llx", pas_name(b->pas),
            req->requester, req->write ? "write" : "read", (unsigned long long)req->iova,
            (unsigned long long)f->ipa);
        smmu_gpf(s, b->pas, f->ipa, SMMU_GPF_TRANSACTION);
        return DMA_GPF;
    }
    smmu_event(s, b, req->requester, req, f);
    return DMA_FAULT;
}

static DmaResult bypass(Smmu *s, SmmuBank *b, const DmaRequest *req, DmaTarget *out)
{
    if (!owners_fill(memory_owners(s->cfg.memory), req->iova, b->pas)) {
        return refuse(s, b, req, &(SmmuFault){ .gpf = true, .ipa = req->iova });
    }
    *out = (DmaTarget){ .pa = req->iova, .len = 4096 - (req->iova & 4095), .pas = b->pas };
    return DMA_OK;
}

/* SMMUEN clear: GBPA decides, and nothing is recorded. */
static DmaResult disabled(Smmu *s, SmmuBank *b, const DmaRequest *req, DmaTarget *out)
{
    return b->gbpa & GBPA_ABORT || req->iova >> SMMU_OAS != 0 ? DMA_ABORT : bypass(s, b, req, out);
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
        return bypass(s, b, req, out);
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
        return refuse(s, b, req, &(SmmuFault){ .gpf = true, .ipa = req->iova });
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
