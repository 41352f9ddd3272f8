/*
 * The MMU: stage 1 of every regime, stage 2, and granule protection checks. Arm DDI 0487, "The AArch64
 * Virtual Memory System Architecture" and shared pseudocode aarch64/translation. Implemented: 48-bit
 * addresses, 4, 16 and 64 KiB granules, FEAT_HAFDBS, FEAT_HPDS, FEAT_PAN3, FEAT_E0PD, FEAT_TTST, FEAT_XNX,
 * FEAT_S2FWB, FEAT_SEL2, FEAT_RME. Not: FEAT_LPA2, FEAT_S1PIE, FEAT_D128. The contiguous bit needs nothing:
 * every descriptor of a run is cached by itself.
 */
#include "bytes.h"
#include "cpu/a64/system.h"

enum { PA_BITS = 48, MIN_TSZ = 16 };

/* Descriptor bits. DDI 0487, "VMSAv8-64 translation table format descriptors". */
#define DESC_VALID    BIT(0)
#define DESC_TABLE    BIT(1)
#define DESC_NS       BIT(5)
#define DESC_AP_EL0   BIT(6)
#define DESC_AP_RO    BIT(7)
#define DESC_AF       BIT(10)
#define DESC_NG       BIT(11) /* NSE in the EL3 regime */
#define DESC_GP       BIT(50)
#define DESC_DBM      BIT(51)
#define DESC_PXN      BIT(53)
#define DESC_UXN      BIT(54) /* XN in single-range regimes */
#define DESC_S2_READ  BIT(6)
#define DESC_S2_WRITE BIT(7)
#define DESC_S2_NS    BIT(55)
#define TABLE_PXN     BIT(59)
#define TABLE_UXN     BIT(60)
#define TABLE_AP_EL0  BIT(61)
#define TABLE_AP_RO   BIT(62)
#define TABLE_NS      BIT(63)

/* ---- what both stages share ---- */

/* The shape of one stage's tables. */
typedef struct Geometry {
    unsigned granule; /* log2 */
    unsigned ia_bits, oa_bits;
    unsigned start;   /* level */
    uint64_t base;
} Geometry;

static unsigned level_shift(const Geometry *g, unsigned level)
{
    return g->granule + (3 - level) * (g->granule - 3);
}

/* Address of the descriptor for @ia in the table at @table; the start level's index takes all bits above. */
static uint64_t descriptor_address(const Geometry *g, uint64_t table, unsigned level, uint64_t ia)
{
    unsigned shift = level_shift(g, level);
    unsigned width = level == g->start ? g->ia_bits - shift : g->granule - 3;

    return table + 8 * extract64(ia, shift, width);
}

/* Blocks: levels 1 and 2 with 4 KiB, level 2 with 16 and 64 KiB; pages at level 3. */
static bool leaf_allowed(const Geometry *g, unsigned level)
{
    return level == 3 || level == 2 || (level == 1 && g->granule == 12);
}

static unsigned physical_size(unsigned ps)
{
    static const uint8_t bits[] = { 32, 36, 40, 42, 44, 48, 48, 48 };

    return bits[ps & 7];
}

/* Bits of an output address above what the regime's PS allows. */
static bool too_big(const Geometry *g, uint64_t pa)
{
    return g->oa_bits < PA_BITS && extract64(pa, g->oa_bits, PA_BITS - g->oa_bits) != 0;
}

static bool fail(A64Walk *out, A64FaultKind kind, unsigned level, bool stage2)
{
    out->fault = kind;
    out->level = (uint8_t)level;
    out->stage2 = stage2;
    return false;
}

/* One access to a table in physical memory; the fault of a failed one is filled in. */
static bool table_read(Memory *m, uint64_t pa, Pas pas, unsigned level, bool stage2, uint64_t *desc, A64Walk *out)
{
    uint8_t   bytes[8];
    MemResult r = memory_read(m, pa, (MemAttrs){ .pas = pas }, bytes, sizeof(bytes));

    if (r != MEM_OK) {
        out->pa = pa;
        out->pas = pas;
        return fail(out, r == MEM_GPF ? A64_FAULT_GPF_WALK : A64_FAULT_WALK_ABORT, level, stage2);
    }
    *desc = le64_get(bytes);
    return true;
}

static bool table_write(Memory *m, uint64_t pa, Pas pas, unsigned level, bool stage2, uint64_t desc, A64Walk *out)
{
    uint8_t bytes[8];

    le64_put(bytes, desc);
    if (memory_write(m, pa, (MemAttrs){ .pas = pas }, bytes, sizeof(bytes)) != MEM_OK) {
        out->pa = pa;
        out->pas = pas;
        return fail(out, A64_FAULT_WALK_ABORT, level, stage2);
    }
    return true;
}

static bool is_device(uint8_t attr)
{
    return (attr & 0xf0) == 0;
}

/* ---- stage 2 ---- */

/* One stage 2 translation: registers and what is asked. */
typedef struct Stage2 {
    uint64_t tcr, ttbr;
    unsigned ps;
    Pas      table_pas, out_pas;
    bool     realm;     /* NS of a leaf selects the output space */
    bool     fwb, ptw;
    bool     write, fetch, privileged, update, table_walk;
} Stage2;

/* SL0 to the start level by granule; 4: reserved. DDI 0487, "VTCR_EL2", SL0. */
static unsigned s2_start_level(unsigned granule, unsigned sl0)
{
    static const uint8_t levels[3][4] = { { 2, 1, 0, 3 }, { 3, 2, 1, 4 }, { 3, 2, 1, 4 } };

    return levels[granule == 12 ? 0 : granule == 14 ? 1 : 2][sl0];
}

/* AArch64.S2InvalidSL(), S2TxSZFaults() and S2InconsistentSL(); false: level 0 translation fault. */
static bool s2_geometry(const Stage2 *s, Geometry *g)
{
    static const uint8_t granules[] = { 12, 16, 14, 12 };
    unsigned             tsz = s->tcr & 63;

    g->granule = granules[s->tcr >> 14 & 3];
    g->oa_bits = physical_size(s->ps);
    g->start = s2_start_level(g->granule, s->tcr >> 6 & 3);
    if (g->start > 3 || tsz < MIN_TSZ || tsz > (g->granule == 16 ? 47 : 48)) {
        return false;
    }
    g->ia_bits = 64 - tsz;
    /* Up to 16 concatenated tables at the start level, and at least one index bit. */
    unsigned stride = g->granule - 3, shift = level_shift(g, g->start);
    if (g->ia_bits <= shift || g->ia_bits > shift + stride + 4) {
        return false;
    }
    g->base = s->ttbr & mask64(PA_BITS) & ~mask64(MAX(g->ia_bits - shift + 3, 4));
    return true;
}

/* Stage 2 attributes, and how they combine with stage 1's. DDI 0487, "Stage 2 memory region attributes". */
static uint8_t s2_combine(uint8_t s1, unsigned memattr, bool fwb)
{
    static const uint8_t nibble[] = { 0, 0x4, 0xa, 0xf };

    if (fwb) {
        switch (memattr & 7) {
        case 4: /* reserved */
        case 5:
            return is_device(s1) ? s1 : 0x44;
        case 6:
            return 0xff;
        case 7:
            return s1;
        default:
            return is_device(s1) ? MIN(s1, (memattr & 3) << 2) : (uint8_t)((memattr & 3) << 2);
        }
    }
    if ((memattr & 0xc) == 0) {
        uint8_t device = (uint8_t)((memattr & 3) << 2);
        return is_device(s1) ? MIN(s1, device) : device;
    }
    if (is_device(s1)) {
        return s1;
    }
    uint8_t outer = MIN(s1 >> 4, nibble[memattr >> 2 & 3]), inner = MIN(s1 & 15, nibble[memattr & 3]);
    return (uint8_t)(outer << 4 | inner);
}

/* XN[1:0] with FEAT_XNX: 0 both, 1 only EL0, 2 none, 3 only EL1. A Realm never executes Non-secure memory. */
static bool s2_executable(const Stage2 *s, uint64_t desc, Pas pas)
{
    unsigned xn = desc >> 53 & 3;

    if (s->realm && pas == PAS_NONSECURE) {
        return false;
    }
    return xn == 0 || (xn == 1 && !s->privileged) || (xn == 3 && s->privileged);
}

static bool s2_permitted(const Stage2 *s, const A64Walk *out, bool writable)
{
    if (s->table_walk && s->ptw && out->device) {
        return false;
    }
    if (s->fetch) {
        return out->readable && out->executable;
    }
    return s->write ? writable : out->readable;
}

/* Permissions, access flag and dirty state of a leaf. @out->attr holds stage 1's attributes. */
static bool s2_leaf(Memory *m, const Stage2 *s, const Geometry *g, uint64_t at, uint64_t desc, unsigned level,
                    A64Walk *out)
{
    bool     ha = s->tcr & BIT(21), hd = ha && (s->tcr & BIT(22)), dbm = hd && (desc & DESC_DBM);
    uint64_t new_desc = desc;
    uint64_t low = mask64(level_shift(g, level));

    if (!(desc & DESC_AF) && !ha) {
        return fail(out, A64_FAULT_ACCESS, level, true);
    }
    out->pas = s->realm && (desc & DESC_S2_NS) ? PAS_NONSECURE : s->out_pas;
    out->attr = s2_combine(out->attr, desc >> 2 & 15, s->fwb);
    out->device = is_device(out->attr);
    out->readable = desc & DESC_S2_READ;
    out->executable = s2_executable(s, desc, out->pas);
    bool writable = dbm || (desc & DESC_S2_WRITE);
    if (!s2_permitted(s, out, writable)) {
        return fail(out, A64_FAULT_PERMISSION, level, true);
    }
    new_desc |= DESC_AF | (s->write && dbm ? DESC_S2_WRITE : 0);
    if (new_desc != desc && s->update && !table_write(m, at, s->table_pas, level, true, new_desc, out)) {
        return false;
    }
    out->writable = s->update ? new_desc & DESC_S2_WRITE : writable;
    out->pa = (desc & mask64(PA_BITS) & ~low) | (out->ipa & low);
    out->page_size = low + 1;
    out->level = (uint8_t)level;
    return true;
}

/* The walk of @out->ipa. */
static bool stage2_walk(Memory *m, const Stage2 *s, A64Walk *out)
{
    Geometry g;
    uint64_t ipa = out->ipa;

    if (!s2_geometry(s, &g) || (g.ia_bits < 64 && ipa >> g.ia_bits != 0)) {
        return fail(out, A64_FAULT_TRANSLATION, 0, true);
    }
    if (too_big(&g, s->ttbr & mask64(PA_BITS))) {
        return fail(out, A64_FAULT_ADDR_SIZE, 0, true);
    }
    uint64_t table = g.base;
    for (unsigned level = g.start;; level++) {
        uint64_t at = descriptor_address(&g, table, level, ipa), desc;
        if (!table_read(m, at, s->table_pas, level, true, &desc, out)) {
            return false;
        }
        bool table_bit = desc & DESC_TABLE;
        if (!(desc & DESC_VALID) || (!table_bit && (level == 3 || !leaf_allowed(&g, level)))) {
            return fail(out, A64_FAULT_TRANSLATION, level, true);
        }
        uint64_t next = desc & mask64(PA_BITS) & ~mask64(level < 3 && !table_bit ? level_shift(&g, level) : g.granule);
        if (too_big(&g, next)) {
            return fail(out, A64_FAULT_ADDR_SIZE, level, true);
        }
        if (level == 3 || !table_bit) {
            return s2_leaf(m, s, &g, at, desc, level, out);
        }
        table = next;
    }
}

void a64_stage2_walk(Memory *memory, uint64_t vtcr, uint64_t vttbr, Pas pas, uint64_t ipa, bool write, bool fetch,
                     bool privileged, bool update_af, A64Walk *out)
{
    Stage2 s = {
        .tcr = vtcr,
        .ttbr = vttbr,
        .ps = vtcr >> 16 & 7,
        .table_pas = pas,
        .out_pas = pas,
        .realm = pas == PAS_REALM,
        .write = write,
        .fetch = fetch,
        .privileged = privileged,
        .update = update_af,
    };

    *out = (A64Walk){ .ipa = ipa, .ipa_pas = pas, .attr = 0xff };
    stage2_walk(memory, &s, out);
}

/* The registers of stage 2 for an intermediate address in @ipa_pas. DDI 0487, "VSTCR_EL2", SA and SW,
 * "VTCR_EL2", NSA and NSW. */
static Stage2 s2_config(const A64Cpu *cpu, const A64Request *req, Pas ipa_pas)
{
    bool     hpath = req->security == PAS_SECURE;
    bool     secure_ipa = hpath && ipa_pas == PAS_SECURE;
    uint64_t vtcr = cpu->el2.vtcr, vstcr = cpu->el2.vstcr;
    bool     sw = vstcr & BIT(29), sa = sw || (vstcr & BIT(30));
    bool     nsw = sw || (vtcr & BIT(29)), nsa = nsw || sa || (vtcr & BIT(30));
    Stage2   s = {
          .tcr = secure_ipa ? (vstcr & ~(BIT(21) | BIT(22))) | (vtcr & (BIT(21) | BIT(22))) : vtcr,
          .ttbr = secure_ipa ? cpu->el2.vsttbr : cpu->el2.vttbr,
          .ps = vtcr >> 16 & 7,
          .table_pas = req->security,
          .out_pas = req->security,
          .realm = req->security == PAS_REALM,
          .fwb = cpu->el2.hcr & HCR_FWB,
          .ptw = cpu->el2.hcr & HCR_PTW,
          .privileged = !req->user,
          .update = req->update,
    };

    if (hpath) {
        s.table_pas = (secure_ipa ? sw : nsw) ? PAS_NONSECURE : PAS_SECURE;
        s.out_pas = (secure_ipa ? sa : nsa) ? PAS_NONSECURE : PAS_SECURE;
    }
    return s;
}

static bool stage2_on(const A64Cpu *cpu, const A64Request *req)
{
    return req->regime == A64_REGIME_EL10 && req->stage2 && (a64_hcr(cpu) & (HCR_VM | HCR_DC));
}

/* ---- stage 1 ---- */

/* What the registers of a regime say of one address range. */
typedef struct Stage1 {
    uint64_t sctlr, mair;
    Geometry g;
    unsigned tsz;
    uint64_t ttbr;
    bool     two_ranges, upper, on;
    bool     tbi, tbid, epd, e0pd, hpd, ha, hd;
} Stage1;

/* TCR of a regime with one address range: TCR_EL3, TCR_EL2 with E2H 0. */
static void one_range(Stage1 *s, uint64_t tcr, uint64_t ttbr)
{
    static const uint8_t granules[] = { 12, 16, 14, 12 };

    s->g.granule = granules[tcr >> 14 & 3];
    s->g.oa_bits = physical_size(tcr >> 16 & 7);
    s->tsz = tcr & 63;
    s->tbi = tcr & BIT(20);
    s->tbid = tcr & BIT(29);
    s->ha = tcr & BIT(21);
    s->hd = s->ha && (tcr & BIT(22));
    s->hpd = tcr & BIT(24);
    s->ttbr = ttbr;
}

/* TCR of EL1&0 and EL2&0. */
static void two_ranges(Stage1 *s, uint64_t tcr, const uint64_t ttbr[2], uint64_t va)
{
    static const uint8_t granules[2][4] = { { 12, 16, 14, 12 }, { 12, 14, 12, 16 } };
    unsigned             n = va >> 55 & 1;

    s->two_ranges = true;
    s->upper = n;
    s->g.granule = granules[n][tcr >> (n ? 30 : 14) & 3];
    s->g.oa_bits = physical_size(tcr >> 32 & 7);
    s->tsz = tcr >> (n ? 16 : 0) & 63;
    s->epd = tcr & BIT(n ? 23 : 7);
    s->tbi = tcr & BIT(37 + n);
    s->ha = tcr & BIT(39);
    s->hd = s->ha && (tcr & BIT(40));
    s->hpd = tcr & BIT(41 + n);
    s->tbid = tcr & BIT(51 + n);
    s->e0pd = tcr & BIT(55 + n);
    s->ttbr = ttbr[n];
}

/* SCTLR_ELx.M of a regime as it acts. */
static bool stage1_on(const A64Cpu *cpu, A64Regime regime)
{
    switch (regime) {
    case A64_REGIME_EL10: /* treated as 0 with HCR_EL2.DC or TGE */
        return (cpu->el1.sctlr & SCTLR_M) && !(a64_el2_enabled(cpu) && (cpu->el2.hcr & (HCR_DC | HCR_TGE)));
    case A64_REGIME_EL3:
        return cpu->el3.sctlr & SCTLR_M;
    default:
        return cpu->el2.sctlr & SCTLR_M;
    }
}

static void s1_config(const A64Cpu *cpu, A64Regime regime, uint64_t va, Stage1 *s)
{
    uint64_t el1[2] = { cpu->el1.ttbr0, cpu->el1.ttbr1 }, el2[2] = { cpu->el2.ttbr0, cpu->el2.ttbr1 };

    *s = (Stage1){ .on = stage1_on(cpu, regime) };
    switch (regime) {
    case A64_REGIME_EL10:
        s->sctlr = cpu->el1.sctlr;
        s->mair = cpu->el1.mair;
        two_ranges(s, cpu->el1.tcr, el1, va);
        break;
    case A64_REGIME_EL20:
        s->sctlr = cpu->el2.sctlr;
        s->mair = cpu->el2.mair;
        two_ranges(s, cpu->el2.tcr, el2, va);
        break;
    case A64_REGIME_EL2:
        s->sctlr = cpu->el2.sctlr;
        s->mair = cpu->el2.mair;
        one_range(s, cpu->el2.tcr, cpu->el2.ttbr0);
        break;
    case A64_REGIME_EL3:
        s->sctlr = cpu->el3.sctlr;
        s->mair = cpu->el3.mair;
        one_range(s, cpu->el3.tcr, cpu->el3.ttbr0);
        break;
    }
}

/* Highest bit of an address that counts: AddrTop(). */
static unsigned address_top(const Stage1 *s, bool fetch)
{
    return s->tbi && !(fetch && s->tbid) ? 55 : 63;
}

/* AArch64.S1TxSZFaults(), S1InvalidTxSZ() and VAIsOutOfRange(), EPD and E0PD: a level 0 translation fault. */
static bool s1_input_ok(Stage1 *s, const A64Request *req, uint64_t va)
{
    unsigned max = s->g.granule == 16 ? 47 : 48;

    if (s->tsz < MIN_TSZ || s->tsz > max) {
        return false;
    }
    s->g.ia_bits = 64 - s->tsz;
    unsigned top = address_top(s, req->fetch);
    uint64_t above = extract64(va, s->g.ia_bits, top - s->g.ia_bits + 1);
    if (above != (s->upper ? mask64(top - s->g.ia_bits + 1) : 0)) {
        return false;
    }
    unsigned stride = s->g.granule - 3;
    unsigned levels = (s->g.ia_bits - s->g.granule + stride - 1) / stride;
    s->g.start = 4 - levels;
    unsigned start_bits = s->g.ia_bits - level_shift(&s->g, s->g.start);
    s->g.base = s->ttbr & mask64(PA_BITS) & ~mask64(start_bits + 3);
    return !s->epd && !(s->e0pd && req->user);
}

/* Stage 1 off: AArch64.S1DisabledOutput(). */
static bool s1_flat(const A64Cpu *cpu, const A64Request *req, const Stage1 *s, uint64_t va, A64Walk *out)
{
    unsigned top = address_top(s, req->fetch);
    bool     dc = req->regime == A64_REGIME_EL10 && (a64_hcr(cpu) & HCR_DC);

    if (extract64(va, PA_BITS, top - PA_BITS + 1) != 0) {
        return fail(out, A64_FAULT_ADDR_SIZE, 0, false);
    }
    out->pa = va & mask64(PA_BITS);
    out->pas = req->regime == A64_REGIME_EL3 ? PAS_ROOT : req->security;
    out->readable = out->writable = out->executable = true;
    out->attr = dc || req->fetch ? 0xff : 0;
    out->device = is_device(out->attr);
    out->page_size = 0x1000; /* maintenance by address finds nothing here that could change */
    return true;
}

/* A stage 1 walk under way. */
typedef struct S1Walk {
    A64Cpu           *cpu;
    const A64Request *req;
    Stage1            s;
    uint64_t          va;
    Pas               pas;        /* of the tables, and what NSTable made of it */
    bool              no_el0, read_only, uxn, pxn; /* by the tables above */
    uint64_t          desc_pa;    /* of the last descriptor, after stage 2 */
    Pas               desc_pas;
} S1Walk;

/* Where a descriptor really is: its address through stage 2. @write: it will be updated. */
static bool locate_descriptor(S1Walk *w, uint64_t ipa, unsigned level, bool write, A64Walk *out)
{
    A64Walk s2 = { .ipa = ipa, .ipa_pas = w->pas, .attr = 0xff };

    w->desc_pa = ipa;
    w->desc_pas = w->pas;
    if (!stage2_on(w->cpu, w->req)) {
        return true;
    }
    Stage2 s = s2_config(w->cpu, w->req, w->pas);
    s.write = write;
    s.table_walk = true;
    if (!stage2_walk(w->cpu->cpu.memory, &s, &s2)) {
        s2.s1ptw = true;
        *out = s2;
        return false;
    }
    w->desc_pa = s2.pa;
    w->desc_pas = s2.pas;
    return true;
}

static Pas s1_output_pas(const S1Walk *w, uint64_t desc)
{
    bool ns = desc & DESC_NS;

    switch (w->req->regime == A64_REGIME_EL3 ? PAS_ROOT : w->req->security) {
    case PAS_ROOT:
        return (Pas)((desc & DESC_NG ? 2 : 0) | ns);
    case PAS_REALM:
        return ns && w->req->regime != A64_REGIME_EL10 ? PAS_NONSECURE : PAS_REALM;
    case PAS_SECURE:
        return ns || w->pas == PAS_NONSECURE ? PAS_NONSECURE : PAS_SECURE;
    default:
        return PAS_NONSECURE;
    }
}

/* Code comes only from the state's own memory in Root state, in the Realm EL2 regimes, and by SCR_EL3.SIF. */
static bool fetch_space_ok(const S1Walk *w, Pas pas)
{
    if (w->req->regime == A64_REGIME_EL3) {
        return pas == PAS_ROOT;
    }
    if (w->req->security == PAS_REALM) {
        return w->req->regime == A64_REGIME_EL10 || pas == PAS_REALM;
    }
    return !(w->req->security == PAS_SECURE && pas == PAS_NONSECURE && (w->cpu->el3.scr & SCR_SIF));
}

/* AArch64.S1DirectBasePermissions() and what changes them. *@writable: with dirty state not looked at. */
static void s1_permissions(const S1Walk *w, uint64_t desc, bool *writable, A64Walk *out)
{
    const Stage1 *s = &w->s;
    bool          dbm = s->hd && (desc & DESC_DBM);
    bool          w_any = !w->read_only && (dbm || !(desc & DESC_AP_RO));
    bool          xn = (desc & DESC_UXN) || w->uxn, pxn = (desc & DESC_PXN) || w->pxn;
    bool          wxn = s->sctlr & SCTLR_WXN;

    if (!s->two_ranges) {
        out->readable = true;
        *writable = w_any;
        out->executable = !xn && !(wxn && w_any);
    } else {
        bool ur = (desc & DESC_AP_EL0) && !w->no_el0, uw = ur && w_any;
        bool ux = !xn && !(wxn && uw);
        bool px = !pxn && !uw && !(wxn && w_any);
        bool pan = w->req->pan && !w->req->user && (ur || ((s->sctlr & SCTLR_EPAN) && !xn));
        out->readable = w->req->user ? ur : !pan;
        *writable = w->req->user ? uw : w_any && !pan;
        out->executable = w->req->user ? ux : px;
    }
    out->executable = out->executable && fetch_space_ok(w, out->pas);
}

static bool s1_leaf(S1Walk *w, uint64_t at, uint64_t desc, unsigned level, A64Walk *out)
{
    const A64Request *req = w->req;
    uint64_t          low = mask64(level_shift(&w->s.g, level)), new_desc = desc | DESC_AF;
    bool              dbm = w->s.hd && (desc & DESC_DBM) && !w->read_only, writable;

    if (!(desc & DESC_AF) && !w->s.ha) {
        return fail(out, A64_FAULT_ACCESS, level, false);
    }
    out->pas = s1_output_pas(w, desc);
    out->attr = w->s.mair >> (8 * (desc >> 2 & 7)) & 0xff;
    out->device = is_device(out->attr);
    out->guarded = desc & DESC_GP;
    out->not_global = w->s.two_ranges && (desc & DESC_NG);
    s1_permissions(w, desc, &writable, out);
    if (!(req->fetch ? out->executable : req->write ? writable : out->readable)) {
        return fail(out, A64_FAULT_PERMISSION, level, false);
    }
    if (req->write && dbm) {
        new_desc &= ~DESC_AP_RO;
    }
    if (new_desc != desc && req->update) {
        if (!locate_descriptor(w, at, level, true, out) ||
            !table_write(w->cpu->cpu.memory, w->desc_pa, w->desc_pas, level, false, new_desc, out)) {
            return false;
        }
    }
    out->writable = req->update ? writable && !(new_desc & DESC_AP_RO) : writable;
    out->pa = (desc & mask64(PA_BITS) & ~low) | (w->va & low);
    out->page_size = low + 1;
    out->level = (uint8_t)level;
    return true;
}

/* What a table descriptor says of everything below it: "Hierarchical control of data access permissions". */
static void s1_descend(S1Walk *w, uint64_t desc)
{
    if (w->req->security == PAS_SECURE && w->req->regime != A64_REGIME_EL3 && (desc & TABLE_NS)) {
        w->pas = PAS_NONSECURE;
    }
    if (w->s.hpd) {
        return;
    }
    w->no_el0 |= (desc & TABLE_AP_EL0) != 0;
    w->read_only |= (desc & TABLE_AP_RO) != 0;
    w->uxn |= (desc & TABLE_UXN) != 0;
    w->pxn |= (desc & TABLE_PXN) != 0;
}

static bool s1_tables(S1Walk *w, A64Walk *out)
{
    const Geometry *g = &w->s.g;
    uint64_t        table = g->base;

    if (too_big(g, w->s.ttbr & mask64(PA_BITS))) {
        return fail(out, A64_FAULT_ADDR_SIZE, 0, false);
    }
    for (unsigned level = g->start;; level++) {
        uint64_t at = descriptor_address(g, table, level, w->va), desc;
        if (!locate_descriptor(w, at, level, false, out) ||
            !table_read(w->cpu->cpu.memory, w->desc_pa, w->desc_pas, level, false, &desc, out)) {
            return false;
        }
        bool table_bit = desc & DESC_TABLE;
        if (!(desc & DESC_VALID) || (!table_bit && (level == 3 || !leaf_allowed(g, level)))) {
            return fail(out, A64_FAULT_TRANSLATION, level, false);
        }
        uint64_t next = desc & mask64(PA_BITS) & ~mask64(level < 3 && !table_bit ? level_shift(g, level) : g->granule);
        if (too_big(g, next)) {
            return fail(out, A64_FAULT_ADDR_SIZE, level, false);
        }
        if (level == 3 || !table_bit) {
            return s1_leaf(w, at, desc, level, out);
        }
        s1_descend(w, desc);
        table = next;
    }
}

static bool stage1(A64Cpu *cpu, const A64Request *req, uint64_t va, A64Walk *out)
{
    S1Walk w = { .cpu = cpu, .req = req, .va = va };

    w.pas = req->regime == A64_REGIME_EL3 ? PAS_ROOT : req->security;
    s1_config(cpu, req->regime, va, &w.s);
    if (!w.s.on) {
        return s1_flat(cpu, req, &w.s, va, out);
    }
    if (!s1_input_ok(&w.s, req, va)) {
        return fail(out, A64_FAULT_TRANSLATION, 0, false);
    }
    return s1_tables(&w, out);
}

/* ---- the whole ---- */

/* Stage 2 of what stage 1 gave in @out. */
static bool stage2(A64Cpu *cpu, const A64Request *req, A64Walk *out)
{
    Stage2  s = s2_config(cpu, req, out->pas);
    A64Walk s2 = { .ipa = out->pa, .ipa_pas = out->pas, .attr = out->attr };

    s.write = req->write;
    s.fetch = req->fetch;
    if (!stage2_walk(cpu->cpu.memory, &s, &s2)) {
        *out = s2;
        return false;
    }
    out->ipa = s2.ipa;
    out->ipa_pas = s2.ipa_pas;
    out->pa = s2.pa;
    out->pas = s2.pas;
    out->attr = s2.attr;
    out->device = s2.device;
    out->readable &= s2.readable;
    out->writable &= s2.writable;
    out->executable &= s2.executable;
    return true;
}

void a64_walk(A64Cpu *cpu, const A64Request *req, uint64_t va, A64Walk *out)
{
    Owners *owners = memory_owners(cpu->cpu.memory);

    *out = (A64Walk){ 0 };
    if (!stage1(cpu, req, va, out)) {
        return;
    }
    out->ipa = out->pa;
    out->ipa_pas = out->pas;
    if (!req->tables_only && stage2_on(cpu, req) && !stage2(cpu, req, out)) {
        return;
    }
    if (req->tables_only && stage2_on(cpu, req)) {
        return; /* an intermediate address has no owner */
    }
    bool keep = req->update && memory_find(cpu->cpu.memory, out->pa) != NULL; /* the engine keeps no other pages */
    if (!(keep ? owners_fill(owners, out->pa, out->pas) : owners_allow(owners, out->pa, out->pas))) {
        fail(out, A64_FAULT_GPF, out->level, false);
    }
}

A64Request a64_request(const A64Cpu *cpu, unsigned space)
{
    bool       el0_like = cpu->el == 1 || (cpu->el == 2 && a64_host(cpu));
    A64Request req = { .regime = a64_regime(cpu), .security = cpu->security, .stage2 = true, .update = true };

    req.user = cpu->el == 0 || (space == 1 && el0_like && !cpu->uao);
    req.pan = cpu->pan && !req.user && (req.regime == A64_REGIME_EL10 || req.regime == A64_REGIME_EL20);
    return req;
}

/* Nothing is cached or marked; PAN is for accesses of programs. */
static bool look(A64Cpu *cpu, A64Request req, uint64_t va, A64Walk *out)
{
    req.update = req.pan = false;
    a64_walk(cpu, &req, va, out);
    return out->fault == A64_FAULT_NONE;
}

bool a64_debug_walk(A64Cpu *cpu, uint64_t va, A64Walk *out) { return look(cpu, a64_request(cpu, 0), va, out); }

bool a64_regime_walk(A64Cpu *cpu, uint64_t va, A64Walk *out)
{
    A64Request req = a64_request(cpu, 0);

    req.user = false;
    return look(cpu, req, va, out);
}

bool a64_stage1_on(const A64Cpu *cpu) { return stage1_on(cpu, a64_regime(cpu)); }

uint64_t a64_branch_addr(const A64Cpu *cpu, uint64_t pc)
{
    A64Regime regime = a64_regime(cpu);
    bool      two = regime == A64_REGIME_EL10 || regime == A64_REGIME_EL20;
    uint64_t  top = pc >> 55;
    Stage1    s;

    if (top == 0 || (two && top == mask64(9))) {
        return pc; /* there is no tag */
    }
    s1_config(cpu, regime, pc, &s);
    if (address_top(&s, true) == 63) {
        return pc;
    }
    return s.two_ranges ? (uint64_t)sign_extend64(pc, 56) : pc & mask64(56);
}

/* ---- contexts ---- */

uint16_t a64_vmid(const A64Cpu *cpu)
{
    return (uint16_t)(cpu->el2.vttbr >> 48 & (cpu->el2.vtcr & BIT(19) ? 0xffff : 0xff));
}

static uint16_t asid(uint64_t tcr, uint64_t ttbr0, uint64_t ttbr1)
{
    uint64_t ttbr = tcr & BIT(22) ? ttbr1 : ttbr0;

    return (uint16_t)(ttbr >> 48 & (tcr & BIT(36) ? 0xffff : 0xff));
}

/* Privileged accesses with PAN reach the kernel's own memory, which is global: one context serves them under every
 * ASID, and a new process finds the kernel's translations there. Once a page that is not global is met, each ASID has
 * its own. */
static bool any_asid(const A64Cpu *cpu, const A64Request *req)
{
    return req->pan && !(cpu->asid_bound & 1u << req->security);
}

/* Whatever distinguishes translations, so that a switch of process, guest or world drops nothing. Bits 1:0
 * regime, 2 unprivileged, 3 PAN, 5:4 security, 6 stage 1 on, 7 stage 2 on, 8 any ASID, 31:16 ASID, 47:32 VMID. */
static uint64_t context_tag(const A64Cpu *cpu, const A64Request *req)
{
    bool     any = any_asid(cpu, req), on = stage1_on(cpu, req->regime);
    uint64_t tag = req->regime | (uint64_t)req->user << 2 | (uint64_t)req->pan << 3 | (uint64_t)req->security << 4;

    tag |= (uint64_t)on << 6 | (uint64_t)stage2_on(cpu, req) << 7 | (any ? A64_TAG_ANY_ASID : 0);
    if (req->regime == A64_REGIME_EL10) {
        tag |= any ? 0 : (uint64_t)asid(cpu->el1.tcr, cpu->el1.ttbr0, cpu->el1.ttbr1) << 16;
        tag |= a64_el2_enabled(cpu) ? (uint64_t)a64_vmid(cpu) << 32 : 0;
    } else if (req->regime == A64_REGIME_EL20 && !any) {
        tag |= (uint64_t)asid(cpu->el2.tcr, cpu->el2.ttbr0, cpu->el2.ttbr1) << 16;
    }
    return tag;
}

void a64_bind_asid(A64Cpu *cpu, const A64Request *req)
{
    if (any_asid(cpu, req)) {
        cpu->asid_bound |= 1u << req->security;
        a64_select_contexts(cpu);
    }
}

static void derive_contexts(const A64Cpu *cpu, A64Derived *d)
{
    A64Request req = a64_request(cpu, 0), unprivileged = a64_request(cpu, 1);
    uint64_t   tag = context_tag(cpu, &req);

    d->context[0] = tag;
    d->context[1] = unprivileged.user == req.user ? tag : context_tag(cpu, &unprivileged);
    d->asid_bound = cpu->asid_bound;
    d->key_valid = false;
}

static void select_derived(A64Cpu *cpu)
{
    for (unsigned space = 0; space < CPU_SPACES; space++) {
        cpu_select_context(&cpu->cpu, space, cpu->derived.context[space]);
    }
}

void a64_select_contexts(A64Cpu *cpu)
{
    derive_contexts(cpu, &cpu->derived);
    select_derived(cpu);
}

void a64_select_kept(A64Cpu *cpu, const A64Derived *kept)
{
    if (kept->asid_bound != cpu->asid_bound) {
        a64_select_contexts(cpu);
        return;
    }
    cpu->derived = *kept;
    select_derived(cpu);
}
