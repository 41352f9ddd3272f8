/*
 * Register files of the SMMUv3. IHI 0070, "Memory map and registers";
 * Root and Realm pages from the RME and RME-DA extensions. Advertised: two stages (Non-secure), stage 2 (Realm),
 * 4K, 16K and 64K granules, 48-bit addresses, two-level stream tables, range invalidation, MSIs. Not: ATS, PRI,
 * stalls, substreams, hardware access flag updates, EL2 stream worlds, broadcast TLB maintenance.
 */
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
