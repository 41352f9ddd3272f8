/*
 * Register files of the SMMUv3. IHI 0070, "Memory map and registers". One table is the Non-secure and the Realm
 * pages, another the Root page; accesses go by them. Advertised: two stages, 4K, 16K and 64K granules, 48-bit
 * addresses, two-level stream tables, range invalidation, MSIs. Not: ATS, PRI, stalls, substreams, hardware access
 * flag updates, EL2 stream worlds, broadcast TLB maintenance.
 */
#include "iommu/smmuv3_int.h"
#include "log.h"

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
#define IDR0_VALUE   (IDR0_S2P | IDR0_S1P | IDR0_TTF_A64 | IDR0_COHACC | IDR0_ASID16 | IDR0_MSI | IDR0_VMID16 | \
                      IDR0_LE | IDR0_NO_STALL | IDR0_TERM_ABORT | IDR0_ST_2LVL | IDR0_RME_IMPL)
#define IDR3_RIL     (1u << 10)
#define IDR5_VALUE   (5u | 1u << 4 | 1u << 5 | 1u << 6) /* 48-bit output, all granules */
#define AIDR_V3_3    0x03u
#define R_IDR1_RME_DA_IMPL (1u << 31)
#define CR1_QUEUE    0x03fu
#define CR1_TABLE    0xfc0u
#define GBPA_WRITABLE 0x001f3f1fu /* ABORT and the attribute overrides, which we keep and have no use for */
#define STRTAB_ADDR  0x400fffffffffffc0ull /* with RA */
#define QUEUE_BASE   0x400fffffffffffffull /* with RA or WA, and LOG2SIZE */
#define QUEUE_INDEX  0x000fffffu
#define CMDQ_ERR     0x7f000000u
#define EVTQ_OVERFLOW 0x80000000u

enum {
    ROOT_IDR0_ROOT_IMPL = 1, ROOT_IDR0_BGPTM = 2, ROOT_IDR0_REALM_IMPL = 8, ROOT_IDR0_BA_REALM_LSB = 22,
    O_REALM_BIAS = 0x20000, /* BA_REALM counts from here, in pages of 64 KiB */
};

/* One register. The Non-secure and the Realm pages have the same places; masks are by page. */
typedef struct SmmuReg {
    uint32_t    offset;
    const char *name;                   /* of the Non-secure page; the Realm page's has R_ in front */
    uint8_t     size;                   /* 4 or 8 bytes */
    RegField    field;                  /* in SmmuBank, or in Smmu for the Root page */
    uint64_t    writable[SMMU_N_BANKS]; /* by bank; the first for the Root page */
    uint32_t  (*read)(const Smmu *s, const SmmuBank *b);       /* NULL: the field */
    /* After the mask, the bits that are not writable as they were. NULL: into the field. */
    void      (*write)(Smmu *s, SmmuBank *b, uint64_t value);
    uint32_t    fixed_cr0, fixed_irq;   /* read-only while one of these is set in CR0, in IRQ_CTRL */
    bool        not_realm;              /* the Realm page has no such register */
} SmmuReg;

/* ---- identification ---- */

static uint32_t read_idr0(const Smmu *s, const SmmuBank *b)
{
    /* For Realm state just what may differ; the rest of IDR0 holds for both. */
    return b->pas == PAS_REALM ? IDR0_MSI | IDR0_NO_STALL : IDR0_VALUE;
}

static uint32_t read_idr1(const Smmu *s, const SmmuBank *b)
{
    return b->pas == PAS_REALM ? R_IDR1_RME_DA_IMPL : s->cfg.sid_bits | SMMU_EVTQS << 16 | SMMU_CMDQS << 21;
}

static uint32_t read_idr3(const Smmu *s, const SmmuBank *b) { return b->pas == PAS_REALM ? 0 : IDR3_RIL; }
static uint32_t read_idr5(const Smmu *s, const SmmuBank *b) { return IDR5_VALUE; }

/* "SMMU_R_AIDR" counts the versions of the Realm interface, of which there is one. */
static uint32_t read_aidr(const Smmu *s, const SmmuBank *b) { return b->pas == PAS_REALM ? 0 : AIDR_V3_3; }

static uint32_t read_nothing(const Smmu *s, const SmmuBank *b) { return 0; }

/* Granule ownership reaches us without a command: as broadcast TLB maintenance by PA would. */
static uint32_t read_root_idr0(const Smmu *s, const SmmuBank *b)
{
    uint64_t realm = s->cfg.realm_offset;

    return realm == 0 ? ROOT_IDR0_ROOT_IMPL | ROOT_IDR0_BGPTM
                      : ROOT_IDR0_ROOT_IMPL | ROOT_IDR0_BGPTM | ROOT_IDR0_REALM_IMPL |
                            (uint32_t)((realm - O_REALM_BIAS) >> 16) << ROOT_IDR0_BA_REALM_LSB;
}

/* ---- control ---- */

static void write_cr0(Smmu *s, SmmuBank *b, uint64_t v)
{
    uint32_t old = b->cr0;

    b->cr0 = (uint32_t)v;
    if ((old ^ b->cr0) & CR0_SMMUEN) {
        smmu_config_invalidate(b, 0, 32);
        LOG(SMMU, "%s translation %s", pas_name(b->pas), b->cr0 & CR0_SMMUEN ? "on" : "off");
    }
    smmu_cmdq_run(s, b);
}

/* Attributes of table and queue accesses, kept and without effect; each half is read-only while in use. */
static void write_cr1(Smmu *s, SmmuBank *b, uint64_t v)
{
    uint32_t free = (b->cr0 & CR0_SMMUEN ? 0 : CR1_TABLE) | (b->cr0 & (CR0_CMDQEN | CR0_EVTQEN) ? 0 : CR1_QUEUE);

    b->cr1 = (b->cr1 & ~free) | ((uint32_t)v & free);
}

/* GBPA takes a value only with UPDATE set, which then reads as zero: the change is immediate. */
static void write_gbpa(Smmu *s, SmmuBank *b, uint64_t v)
{
    if (v & GBPA_UPDATE) {
        b->gbpa = v & GBPA_WRITABLE;
    }
}

/* Software toggles the bits of errors it has seen. Toggling an inactive one is CONSTRAINED UNPREDICTABLE: ignored. */
static void write_gerrorn(Smmu *s, SmmuBank *b, uint64_t v)
{
    b->gerrorn ^= ((uint32_t)v ^ b->gerrorn) & (b->gerror ^ b->gerrorn);
    smmu_cmdq_run(s, b); /* an acknowledged command error lets the queue go on */
}

/* ---- queues ---- */

/* Size of a queue: at most what IDR1 says. */
static uint64_t queue_base(uint64_t v, unsigned max_log2) { return deposit64(v, 0, 5, MIN(v & 31, max_log2)); }

static void write_cmdq_base(Smmu *s, SmmuBank *b, uint64_t v) { b->cmdq.base = queue_base(v, SMMU_CMDQS); }
static void write_evtq_base(Smmu *s, SmmuBank *b, uint64_t v) { b->evtq.base = queue_base(v, SMMU_EVTQS); }

static void write_cmdq_prod(Smmu *s, SmmuBank *b, uint64_t v)
{
    b->cmdq.prod = (uint32_t)v;
    smmu_cmdq_run(s, b);
}

/* ---- Root page ---- */

static void write_root_cr0(Smmu *s, SmmuBank *b, uint64_t v)
{
    s->root_cr0 = (uint32_t)v;
    for (size_t i = 0; i < SMMU_N_BANKS; i++) {
        smmu_tlb_clear(&s->bank[i]);
    }
}

/* Only a write that clears FAULT does anything: it clears all. */
static void write_gpf_far(Smmu *s, SmmuBank *b, uint64_t v)
{
    if (!(v & 1)) {
        s->gpf_far = 0;
    }
}

/* ---- the tables ---- */

#define BANK(member)  FIELD(SmmuBank, member)
#define ROOT(member)  FIELD(Smmu, member)
#define SAME(mask)    { mask, mask }
#define READ_ONLY     { 0, 0 }
#define CR0_WRITABLE  (CR0_SMMUEN | CR0_EVTQEN | CR0_CMDQEN)
#define IRQ_WRITABLE  (IRQ_CTRL_GERROR | IRQ_CTRL_EVTQ)
#define MSI_WRITABLE  { SMMU_MSI_ADDR, SMMU_MSI_ADDR | SMMU_MSI_NS }
#define PAGE1         0x10000

/* Non-secure and Realm pages 0 and 1. A register that describes what is on is read-only meanwhile (the text of each,
 * "Accessing"). */
static const SmmuReg bank_regs[] = {
    { 0x000, "IDR0", 4, NO_FIELD, READ_ONLY, read_idr0 },
    { 0x004, "IDR1", 4, NO_FIELD, READ_ONLY, read_idr1 },
    { 0x008, "IDR2", 4, NO_FIELD, READ_ONLY, read_nothing },
    { 0x00c, "IDR3", 4, NO_FIELD, READ_ONLY, read_idr3 },
    { 0x010, "IDR4", 4, NO_FIELD, READ_ONLY, read_nothing },
    { 0x014, "IDR5", 4, NO_FIELD, READ_ONLY, read_idr5, .not_realm = true },
    { 0x018, "IIDR", 4, NO_FIELD, READ_ONLY, read_nothing, .not_realm = true },
    { 0x01c, "AIDR", 4, NO_FIELD, READ_ONLY, read_aidr },
    { 0x020, "CR0", 4, BANK(cr0), SAME(CR0_WRITABLE), NULL, write_cr0 },
    { 0x024, "CR0ACK", 4, BANK(cr0), READ_ONLY },
    { 0x028, "CR1", 4, BANK(cr1), SAME(CR1_QUEUE | CR1_TABLE), NULL, write_cr1 },
    { 0x02c, "CR2", 4, BANK(cr2), { CR2_RECINVSID, CR2_RECINVSID | CR2_E2H }, .fixed_cr0 = CR0_SMMUEN },
    { 0x044, "GBPA", 4, BANK(gbpa), { GBPA_WRITABLE | GBPA_UPDATE, 0 }, NULL, write_gbpa },
    { 0x050, "IRQ_CTRL", 4, BANK(irq_ctrl), SAME(IRQ_WRITABLE) },
    { 0x054, "IRQ_CTRLACK", 4, BANK(irq_ctrl), READ_ONLY },
    { 0x060, "GERROR", 4, BANK(gerror), READ_ONLY },
    { 0x064, "GERRORN", 4, BANK(gerrorn), SAME(GERROR_ALL), NULL, write_gerrorn },
    { 0x068, "GERROR_IRQ_CFG0", 8, BANK(gerror_msi.addr), MSI_WRITABLE, .fixed_irq = IRQ_CTRL_GERROR },
    { 0x070, "GERROR_IRQ_CFG1", 4, BANK(gerror_msi.data), SAME(~0u), .fixed_irq = IRQ_CTRL_GERROR },
    { 0x074, "GERROR_IRQ_CFG2", 4, BANK(gerror_msi.attr), SAME(0x3f), .fixed_irq = IRQ_CTRL_GERROR },
    { 0x080, "STRTAB_BASE", 8, BANK(strtab_base), SAME(STRTAB_ADDR), .fixed_cr0 = CR0_SMMUEN },
    { 0x088, "STRTAB_BASE_CFG", 4, BANK(strtab_cfg), SAME(0x307ff), .fixed_cr0 = CR0_SMMUEN },
    { 0x090, "CMDQ_BASE", 8, BANK(cmdq.base), SAME(QUEUE_BASE), NULL, write_cmdq_base, .fixed_cr0 = CR0_CMDQEN },
    { 0x098, "CMDQ_PROD", 4, BANK(cmdq.prod), SAME(QUEUE_INDEX), NULL, write_cmdq_prod },
    { 0x09c, "CMDQ_CONS", 4, BANK(cmdq.cons), SAME(QUEUE_INDEX | CMDQ_ERR), .fixed_cr0 = CR0_CMDQEN },
    { 0x0a0, "EVENTQ_BASE", 8, BANK(evtq.base), SAME(QUEUE_BASE), NULL, write_evtq_base, .fixed_cr0 = CR0_EVTQEN },
    { 0x0b0, "EVENTQ_IRQ_CFG0", 8, BANK(evtq_msi.addr), MSI_WRITABLE, .fixed_irq = IRQ_CTRL_EVTQ },
    { 0x0b8, "EVENTQ_IRQ_CFG1", 4, BANK(evtq_msi.data), SAME(~0u), .fixed_irq = IRQ_CTRL_EVTQ },
    { 0x0bc, "EVENTQ_IRQ_CFG2", 4, BANK(evtq_msi.attr), SAME(0x3f), .fixed_irq = IRQ_CTRL_EVTQ },
    { PAGE1 + 0x0a8, "EVENTQ_PROD", 4, BANK(evtq.prod), SAME(QUEUE_INDEX | EVTQ_OVERFLOW), .fixed_cr0 = CR0_EVTQEN },
    { PAGE1 + 0x0ac, "EVENTQ_CONS", 4, BANK(evtq.cons), SAME(QUEUE_INDEX | EVTQ_OVERFLOW) },
};

/* GPCEN cannot be taken away: the checks are the memory's and stay on. */
static const SmmuReg root_regs[] = {
    { 0x000, "ROOT_IDR0", 4, NO_FIELD, READ_ONLY, read_root_idr0 },
    { 0x020, "ROOT_CR0", 4, ROOT(root_cr0), SAME(ROOT_CR0_ACCESSEN), NULL, write_root_cr0 },
    { 0x024, "ROOT_CR0ACK", 4, ROOT(root_cr0), READ_ONLY },
    { 0x038, "ROOT_GPF_FAR", 8, ROOT(gpf_far), SAME(~0ull), NULL, write_gpf_far },
};

/* What a requester finds at an address. */
typedef struct RegPages {
    Pas            pas;
    const char    *prefix;
    const SmmuReg *regs;
    size_t         n_regs;
    unsigned       bank;    /* whose registers they are; SMMU_N_BANKS: the Smmu's own */
} RegPages;

static const RegPages ns_pages = { PAS_NONSECURE, "", bank_regs, ARRAY_LEN(bank_regs), SMMU_NS };
static const RegPages realm_pages = { PAS_REALM, "R_", bank_regs, ARRAY_LEN(bank_regs), SMMU_REALM };
static const RegPages root_page = { PAS_ROOT, "", root_regs, ARRAY_LEN(root_regs), SMMU_N_BANKS };

/* ---- access ---- */

static SmmuBank *bank_of(Smmu *s, const RegPages *p) { return p->bank < SMMU_N_BANKS ? &s->bank[p->bank] : NULL; }

static bool has_reg(const RegPages *p, const SmmuReg *r) { return p->bank != SMMU_REALM || !r->not_realm; }

/* The register of which @off is a word. */
static const SmmuReg *find_reg(const RegPages *p, uint64_t off)
{
    for (const SmmuReg *r = p->regs; off % 4 == 0 && r < p->regs + p->n_regs; r++) {
        if (off >= r->offset && off < r->offset + r->size && has_reg(p, r)) {
            return r;
        }
    }
    return NULL;
}

static uint8_t *field_of(Smmu *s, const RegPages *p, const SmmuReg *r)
{
    SmmuBank *b = bank_of(s, p);

    return (b != NULL ? (uint8_t *)b : (uint8_t *)s) + r->field.offset;
}

static uint64_t field_get(Smmu *s, const RegPages *p, const SmmuReg *r)
{
    const uint8_t *at = field_of(s, p, r);

    return r->field.size == 8 ? *(const uint64_t *)at : *(const uint32_t *)at;
}

static void field_put(Smmu *s, const RegPages *p, const SmmuReg *r, uint64_t v)
{
    uint8_t *at = field_of(s, p, r);

    if (r->field.size == 8) {
        *(uint64_t *)at = v;
    } else {
        *(uint32_t *)at = (uint32_t)v;
    }
}

static uint32_t read_word(Smmu *s, const RegPages *p, uint64_t off)
{
    const SmmuReg *r = find_reg(p, off);

    if (r == NULL) {
        guest_error("smmu: %s read of undefined offset 0x%llx", pas_name(p->pas), (unsigned long long)off);
        return 0;
    }
    return r->read != NULL ? r->read(s, bank_of(s, p))
                           : (uint32_t)(field_get(s, p, r) >> (off - r->offset) * 8);
}

/* Why a write has no effect; NULL: it has one. */
static const char *why_ignored(Smmu *s, const RegPages *p, const SmmuReg *r, uint64_t mask)
{
    const SmmuBank *b = bank_of(s, p);

    return r == NULL                                                                         ? "undefined"
           : mask == 0                                                                       ? "read-only"
           : b != NULL && ((b->cr0 & r->fixed_cr0) || (b->irq_ctrl & r->fixed_irq)) ? "read-only while in use"
                                                                                             : NULL;
}

static void write_word(Smmu *s, const RegPages *p, uint64_t off, uint32_t v)
{
    const SmmuReg *r = find_reg(p, off);
    uint64_t       mask = r != NULL ? r->writable[p->bank == SMMU_REALM] : 0;
    const char    *why = why_ignored(s, p, r, mask);

    if (why != NULL) {
        guest_error("smmu: %s write of offset 0x%llx: %s", pas_name(p->pas), (unsigned long long)off, why);
        return;
    }
    uint64_t old = field_get(s, p, r), now = deposit64(old, (off - r->offset) * 8, 32, v);
    now = (old & ~mask) | (now & mask);
    if (r->write != NULL) {
        r->write(s, bank_of(s, p), now);
    } else {
        field_put(s, p, r, now);
    }
}

/* Words, and pairs of them as two. "Register overview": smaller accesses are illegal, here RAZ/WI. */
static MemResult pages_read(Smmu *s, const RegPages *p, uint64_t off, unsigned size, uint64_t *value)
{
    if (size < 4) {
        guest_error("smmu: %u-byte read of offset 0x%llx", size, (unsigned long long)off);
        *value = 0;
        return MEM_OK;
    }
    *value = read_word(s, p, off);
    if (size == 8) {
        *value |= (uint64_t)read_word(s, p, off + 4) << 32;
    }
    return MEM_OK;
}

static MemResult pages_write(Smmu *s, const RegPages *p, uint64_t off, unsigned size, uint64_t value)
{
    if (size < 4) {
        guest_error("smmu: %u-byte write of offset 0x%llx", size, (unsigned long long)off);
        return MEM_OK;
    }
    write_word(s, p, off, (uint32_t)value);
    if (size == 8) {
        write_word(s, p, off + 4, (uint32_t)(value >> 32));
    }
    return MEM_OK;
}

static MemResult ns_read(void *smmu, uint64_t off, unsigned size, MemAttrs attrs, uint64_t *value)
{
    return pages_read(smmu, &ns_pages, off, size, value);
}

static MemResult ns_write(void *smmu, uint64_t off, unsigned size, MemAttrs attrs, uint64_t value)
{
    return pages_write(smmu, &ns_pages, off, size, value);
}

/* The Realm pages are registers of the Realm address space; the owner table says so too. */
static bool is_realm(MemAttrs attrs) { return attrs.pas == PAS_REALM || attrs.pas == PAS_ROOT; }

static MemResult realm_read(void *smmu, uint64_t off, unsigned size, MemAttrs attrs, uint64_t *value)
{
    *value = 0;
    return is_realm(attrs) ? pages_read(smmu, &realm_pages, off, size, value) : MEM_OK;
}

static MemResult realm_write(void *smmu, uint64_t off, unsigned size, MemAttrs attrs, uint64_t value)
{
    return is_realm(attrs) ? pages_write(smmu, &realm_pages, off, size, value) : MEM_OK;
}

static MemResult root_read(void *smmu, uint64_t off, unsigned size, MemAttrs attrs, uint64_t *value)
{
    *value = 0;
    return attrs.pas == PAS_ROOT ? pages_read(smmu, &root_page, off, size, value) : MEM_OK;
}

static MemResult root_write(void *smmu, uint64_t off, unsigned size, MemAttrs attrs, uint64_t value)
{
    return attrs.pas == PAS_ROOT ? pages_write(smmu, &root_page, off, size, value) : MEM_OK;
}

const MmioOps smmu_ns_ops = { ns_read, ns_write };
const MmioOps smmu_realm_ops = { realm_read, realm_write };
const MmioOps smmu_root_ops = { root_read, root_write };

/* ---- rows of docs/conformance.md ---- */

void smmu_list_registers(SmmuRow *fn, void *opaque)
{
    static const RegPages *const all[] = { &ns_pages, &realm_pages, &root_page };

    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        for (const SmmuReg *r = all[i]->regs; r < all[i]->regs + all[i]->n_regs; r++) {
            g_autofree char *name = g_strconcat(all[i]->prefix, r->name, NULL);

            if (has_reg(all[i], r)) {
                fn(opaque, "register", name, r->offset);
            }
        }
    }
}
