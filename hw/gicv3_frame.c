/*
 * Register frames of the GICv3 distributor and redistributors. IHI 0069, "The GIC Distributor register
 * map", "The GIC Redistributor register map". Affinity routing is always on, so registers of the legacy
 * view are RES0; with GICD_CTLR.DS RAO/WI the registers of the Secure view are too.
 */
#include <glib.h>
#include <inttypes.h>

#include "hw/gicv3_int.h"

#define CTLR_GROUPS   3u
#define CTLR_ARE      BIT(4)
#define CTLR_DS       BIT(6)
#define RCTLR_CES     BIT(1) /* EnableLPIs can be cleared */
#define WAKER_SLEEP   BIT(1)
#define WAKER_ASLEEP  BIT(2)

/* GICR_PROPBASER, GICR_PENDBASER: cacheability and shareability are kept as written. */
#define PROPBASER_WRITABLE 0x070fffffffffff9full /* OuterCache, address, Shareability, InnerCache, IDbits */
#define PENDBASER_WRITABLE 0x470fffffffff0f80ull

/* ---- table access ---- */

static const GicReg *find_reg(const GicReg *regs, size_t n_regs, uint64_t off)
{
    for (size_t i = 0; i < n_regs; i++) {
        if (off >= regs[i].offset && off < regs[i].offset + (uint64_t)regs[i].count * regs[i].size) {
            return &regs[i];
        }
    }
    return NULL;
}

/* A register takes its own width, a 64-bit one its halves, a byte-accessible one bytes and halfwords. */
static const GicReg *legal_reg(const GicReg *regs, size_t n_regs, uint64_t off, unsigned size,
                               const char *verb)
{
    const GicReg *r = find_reg(regs, n_regs, off);

    if (r == NULL) {
        guest_error("gic: %s of undefined offset 0x%" PRIx64, verb, off);
        return NULL;
    }
    if (!is_aligned(off, size) || size > r->size || (size < 4 && !r->bytes)) {
        guest_error("gic: %u-byte %s of %s", size, verb, r->name);
        return NULL;
    }
    return r;
}

static uint64_t read_whole(const GicReg *r, const GicView *v, unsigned index)
{
    return r->read != NULL ? r->read(v, index) : r->value;
}

MemResult gic_frame_read(const GicReg *regs, size_t n_regs, GicView v, uint64_t off, unsigned size,
                         uint64_t *value)
{
    const GicReg *r = v.gic->in_dma == 0 ? legal_reg(regs, n_regs, off, size, "read") : NULL;

    *value = 0;
    if (r != NULL) {
        uint64_t at = off - r->offset;
        unsigned index = (unsigned)(at / r->size);

        *value = extract64(read_whole(r, &v, index), (unsigned)(at % r->size) * 8, size * 8);
        LOG(MMIO, "gic read %s[%u] -> 0x%" PRIx64, r->name, index, *value);
    }
    return MEM_OK;
}

MemResult gic_frame_write(const GicReg *regs, size_t n_regs, GicView v, uint64_t off, unsigned size,
                          uint64_t value)
{
    const GicReg *r = v.gic->in_dma == 0 ? legal_reg(regs, n_regs, off, size, "write") : NULL;

    if (r != NULL && r->write != NULL) {
        uint64_t at = off - r->offset;
        unsigned index = (unsigned)(at / r->size);

        LOG(MMIO, "gic write %s[%u] <- 0x%" PRIx64, r->name, index, value);
        if (size < r->size) {
            value = deposit64(read_whole(r, &v, index), (unsigned)(at % r->size) * 8, size * 8, value);
        }
        r->write(&v, index, value);
    }
    return MEM_OK;
}

/* ---- registers that distributor and redistributor share: one bit, field or byte per interrupt ---- */

/* Word 0 is the redistributor's; the distributor's copy is RES0. NULL also beyond the implemented SPIs. */
static GicBank *bank_of(const GicView *v, unsigned word)
{
    if (v->cpu != NULL) {
        return &v->cpu->ppi;
    }
    return word >= 1 && word < v->gic->n_words ? &v->gic->spi[word] : NULL;
}

/* INTIDs 1020 to 1023 have no state. */
static uint32_t implemented(const GicView *v, unsigned word)
{
    return v->cpu == NULL && word == GIC_N_WORDS - 1 ? 0x0fffffff : UINT32_MAX;
}

static void changed(const GicView *v, unsigned word)
{
    if (v->cpu != NULL) {
        gic_update(v->cpu);
    } else {
        gic_spi_changed(v->gic, word);
        gic_update_all(v->gic);
    }
}

static uint64_t read_group(const GicView *v, unsigned word)
{
    const GicBank *b = bank_of(v, word);

    return b != NULL ? b->group : 0;
}

static void write_group(const GicView *v, unsigned word, uint64_t value)
{
    GicBank *b = bank_of(v, word);

    if (b != NULL) {
        b->group = (uint32_t)value & implemented(v, word);
        changed(v, word);
    }
}

static uint64_t read_enabled(const GicView *v, unsigned word)
{
    const GicBank *b = bank_of(v, word);

    return b != NULL ? b->enabled : 0;
}

static void set_enabled(const GicView *v, unsigned word, uint64_t value)
{
    GicBank *b = bank_of(v, word);

    if (b != NULL) {
        b->enabled |= (uint32_t)value & implemented(v, word);
        changed(v, word);
    }
}

static void clear_enabled(const GicView *v, unsigned word, uint64_t value)
{
    GicBank *b = bank_of(v, word);

    if (b != NULL) {
        b->enabled &= ~(uint32_t)value;
        changed(v, word);
    }
}

static uint64_t read_pending(const GicView *v, unsigned word)
{
    const GicBank *b = bank_of(v, word);

    return b != NULL ? gic_bank_pending(b) : 0;
}

static void set_pending(const GicView *v, unsigned word, uint64_t value)
{
    GicBank *b = bank_of(v, word);

    if (b != NULL) {
        b->latched |= (uint32_t)value & implemented(v, word);
        changed(v, word);
    }
}

static void clear_pending(const GicView *v, unsigned word, uint64_t value)
{
    GicBank *b = bank_of(v, word);

    if (b != NULL) {
        b->latched &= ~(uint32_t)value; /* a level input that is high stays pending */
        changed(v, word);
    }
}

static uint64_t read_active(const GicView *v, unsigned word)
{
    const GicBank *b = bank_of(v, word);

    return b != NULL ? b->active : 0;
}

static void set_active(const GicView *v, unsigned word, uint64_t value)
{
    GicBank *b = bank_of(v, word);
    uint32_t set = (uint32_t)value & implemented(v, word);

    if (b == NULL) {
        return;
    }
    for (uint32_t m = v->cpu == NULL ? set & ~b->active : 0; m != 0; m &= m - 1) {
        unsigned intid = word * 32 + (unsigned)__builtin_ctz(m);

        v->gic->holder[intid] = v->gic->target[intid]; /* whose list registers will show it active */
    }
    b->active |= set;
    changed(v, word);
}

static void clear_active(const GicView *v, unsigned word, uint64_t value)
{
    GicBank *b = bank_of(v, word);

    if (b != NULL) {
        b->active &= ~(uint32_t)value;
        changed(v, word);
    }
}

static uint8_t *prio_bytes(const GicView *v, unsigned index)
{
    if (v->cpu != NULL) {
        return &v->cpu->prio[index * 4];
    }
    return bank_of(v, index / 8) != NULL ? &v->gic->prio[index * 4] : NULL;
}

static uint64_t read_prio(const GicView *v, unsigned index)
{
    const uint8_t *p = prio_bytes(v, index);

    return p != NULL ? p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24 : 0;
}

static void write_prio(const GicView *v, unsigned index, uint64_t value)
{
    uint8_t *p = prio_bytes(v, index);

    if (p != NULL) {
        for (unsigned i = 0; i < 4; i++) {
            p[i] = (uint8_t)(value >> (i * 8)) & GIC_PRIO_MASK;
        }
        changed(v, index / 8);
    }
}

/* GICD_ICFGR<n>: two bits per interrupt, the upper one is "edge". */
static uint64_t read_config(const GicView *v, unsigned index)
{
    const GicBank *b = bank_of(v, index / 2);
    uint32_t       edge = b != NULL ? b->edge >> (index % 2 * 16) & 0xffff : 0;
    uint64_t       value = 0;

    for (unsigned i = 0; i < 16; i++) {
        value |= (uint64_t)(edge >> i & 1) << (i * 2 + 1);
    }
    return value;
}

static void write_config(const GicView *v, unsigned index, uint64_t value)
{
    GicBank *b = bank_of(v, index / 2);
    uint32_t edge = 0;

    if (b == NULL || (v->cpu != NULL && index == 0)) {
        return; /* SGIs are always edge-triggered */
    }
    for (unsigned i = 0; i < 16; i++) {
        edge |= (uint32_t)(value >> (i * 2 + 1) & 1) << i;
    }
    b->edge = (uint32_t)deposit64(b->edge, index % 2 * 16, 16, edge) & implemented(v, index / 2);
    changed(v, index / 2);
}

/* ---- distributor ---- */

static uint64_t read_ctlr(const GicView *v, unsigned index)
{
    return v->gic->ctlr | CTLR_ARE | CTLR_DS;
}

static void write_ctlr(const GicView *v, unsigned index, uint64_t value)
{
    v->gic->ctlr = (uint32_t)value & CTLR_GROUPS;
    gic_update_all(v->gic);
}

/* ITLinesNumber, MBIS, LPIS, IDbits, A3V, No1N. CPUNumber is 0: it counts CPUs of the legacy view. */
static uint64_t read_typer(const GicView *v, unsigned index)
{
    bool     lpis = v->gic->config.has_its;
    uint64_t id_bits = lpis ? GIC_ID_BITS - 1 : 9;

    return (v->gic->n_words - 1) | BIT(16) | (lpis ? BIT(17) : 0) | id_bits << 19 | BIT(24) | BIT(25);
}

static uint64_t read_router(const GicView *v, unsigned index)
{
    unsigned intid = GIC_FIRST_SPI + index;

    return bank_of(v, intid / 32) != NULL ? v->gic->irouter[intid] : 0;
}

static void write_router(const GicView *v, unsigned index, uint64_t value)
{
    unsigned intid = GIC_FIRST_SPI + index;

    if (bank_of(v, intid / 32) != NULL) {
        v->gic->irouter[intid] = value & 0xff00ffffffull; /* no Interrupt_Routing_Mode: GICD_TYPER.No1N */
        gic_route(v->gic, intid);
        changed(v, intid / 32);
    }
}

/* GICD_SETSPI_NSR, GICD_CLRSPI_NSR: message-based SPIs. */
static void message_spi(const GicView *v, uint64_t value, bool pending)
{
    uint32_t bit, intid = (uint32_t)value & 0x1fff;
    GicBank *b = intid >= GIC_FIRST_SPI ? gic_bank(&v->gic->cpus[0], intid, &bit) : NULL;

    if (b != NULL) {
        b->latched = pending ? b->latched | bit : b->latched & ~bit;
        changed(v, intid / 32);
    }
}

static void write_setspi(const GicView *v, unsigned index, uint64_t value)
{
    message_spi(v, value, true);
}

static void write_clrspi(const GicView *v, unsigned index, uint64_t value)
{
    message_spi(v, value, false);
}

static const GicReg dist_regs[] = {
    { 0x0000, "GICD_CTLR", 1, 4, false, 0, read_ctlr, write_ctlr },
    { 0x0004, "GICD_TYPER", 1, 4, false, 0, read_typer },
    { 0x0008, "GICD_IIDR", 1, 4, false, GIC_IIDR },
    { 0x000c, "GICD_TYPER2", 1, 4 },
    { 0x0010, "GICD_STATUSR", 1, 4 },
    { 0x0040, "GICD_SETSPI_NSR", 1, 4, true, 0, NULL, write_setspi },
    { 0x0048, "GICD_CLRSPI_NSR", 1, 4, true, 0, NULL, write_clrspi },
    { 0x0080, "GICD_IGROUPR", 32, 4, false, 0, read_group, write_group },
    { 0x0100, "GICD_ISENABLER", 32, 4, false, 0, read_enabled, set_enabled },
    { 0x0180, "GICD_ICENABLER", 32, 4, false, 0, read_enabled, clear_enabled },
    { 0x0200, "GICD_ISPENDR", 32, 4, false, 0, read_pending, set_pending },
    { 0x0280, "GICD_ICPENDR", 32, 4, false, 0, read_pending, clear_pending },
    { 0x0300, "GICD_ISACTIVER", 32, 4, false, 0, read_active, set_active },
    { 0x0380, "GICD_ICACTIVER", 32, 4, false, 0, read_active, clear_active },
    { 0x0400, "GICD_IPRIORITYR", 255, 4, true, 0, read_prio, write_prio },
    { 0x0800, "GICD_ITARGETSR", 255, 4, true },
    { 0x0c00, "GICD_ICFGR", 64, 4, false, 0, read_config, write_config },
    { 0x0d00, "GICD_IGRPMODR", 32, 4 },
    { 0x0e00, "GICD_NSACR", 64, 4 },
    { 0x0f00, "GICD_SGIR", 1, 4 },
    { 0x0f10, "GICD_CPENDSGIR", 4, 4, true },
    { 0x0f20, "GICD_SPENDSGIR", 4, 4, true },
    { 0x6100, "GICD_IROUTER", GIC_MAX_SPIS, 8, false, 0, read_router, write_router },
    GIC_ID_REGS(0x92),
};

static MemResult dist_read(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t *value)
{
    return gic_frame_read(dist_regs, ARRAY_LEN(dist_regs), (GicView){ opaque, NULL }, off, size, value);
}

static MemResult dist_write(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t value)
{
    return gic_frame_write(dist_regs, ARRAY_LEN(dist_regs), (GicView){ opaque, NULL }, off, size, value);
}

const MmioOps gicv3_dist_ops = { dist_read, dist_write };

/* ---- redistributor ---- */

static uint64_t read_rctlr(const GicView *v, unsigned index)
{
    return v->cpu->rctlr | (v->gic->config.has_its ? RCTLR_CES : 0);
}

static void write_rctlr(const GicView *v, unsigned index, uint64_t value)
{
    if (v->gic->config.has_its) {
        gic_lpi_set_enable(v->cpu, value & 1);
    }
}

/* PLPIS, Last, Processor_Number, Affinity_Value. CommonLPIAff is 0: all redistributors share the property
 * table. */
static uint64_t read_rtyper(const GicView *v, unsigned index)
{
    bool last = v->cpu->index == v->gic->config.n_cpus - 1;

    return (v->gic->config.has_its ? BIT(0) : 0) | (last ? BIT(4) : 0) | (uint64_t)v->cpu->index << 8 |
           (uint64_t)v->cpu->affinity << 32;
}

static uint64_t read_waker(const GicView *v, unsigned index)
{
    return v->cpu->asleep ? WAKER_SLEEP | WAKER_ASLEEP : 0;
}

static void write_waker(const GicView *v, unsigned index, uint64_t value)
{
    v->cpu->asleep = (value & WAKER_SLEEP) != 0;
    gic_update(v->cpu);
}

static uint64_t read_propbaser(const GicView *v, unsigned index)
{
    return v->cpu->propbaser;
}

static void write_propbaser(const GicView *v, unsigned index, uint64_t value)
{
    if (v->gic->config.has_its && (v->cpu->rctlr & 1) == 0) {
        v->cpu->propbaser = value & PROPBASER_WRITABLE;
    }
}

static uint64_t read_pendbaser(const GicView *v, unsigned index)
{
    return v->cpu->pendbaser & ~BIT(62); /* PTZ reads as zero */
}

static void write_pendbaser(const GicView *v, unsigned index, uint64_t value)
{
    if (v->gic->config.has_its && (v->cpu->rctlr & 1) == 0) {
        v->cpu->pendbaser = value & PENDBASER_WRITABLE;
    }
}

static const GicReg redist_regs[] = {
    { 0x0000, "GICR_CTLR", 1, 4, false, 0, read_rctlr, write_rctlr },
    { 0x0004, "GICR_IIDR", 1, 4, false, GIC_IIDR },
    { 0x0008, "GICR_TYPER", 1, 8, false, 0, read_rtyper },
    { 0x0010, "GICR_STATUSR", 1, 4 },
    { 0x0014, "GICR_WAKER", 1, 4, false, 0, read_waker, write_waker },
    { 0x0018, "GICR_MPAMIDR", 1, 4 },
    { 0x001c, "GICR_PARTIDR", 1, 4 },
    { 0x0070, "GICR_PROPBASER", 1, 8, false, 0, read_propbaser, write_propbaser },
    { 0x0078, "GICR_PENDBASER", 1, 8, false, 0, read_pendbaser, write_pendbaser },
    { 0x00c0, "GICR_SYNCR", 1, 4 },
    GIC_ID_REGS(0x93),
};

static const GicReg sgi_regs[] = {
    { 0x0080, "GICR_IGROUPR0", 1, 4, false, 0, read_group, write_group },
    { 0x0100, "GICR_ISENABLER0", 1, 4, false, 0, read_enabled, set_enabled },
    { 0x0180, "GICR_ICENABLER0", 1, 4, false, 0, read_enabled, clear_enabled },
    { 0x0200, "GICR_ISPENDR0", 1, 4, false, 0, read_pending, set_pending },
    { 0x0280, "GICR_ICPENDR0", 1, 4, false, 0, read_pending, clear_pending },
    { 0x0300, "GICR_ISACTIVER0", 1, 4, false, 0, read_active, set_active },
    { 0x0380, "GICR_ICACTIVER0", 1, 4, false, 0, read_active, clear_active },
    { 0x0400, "GICR_IPRIORITYR", 8, 4, true, 0, read_prio, write_prio },
    { 0x0c00, "GICR_ICFGR", 2, 4, false, 0, read_config, write_config },
    { 0x0d00, "GICR_IGRPMODR0", 1, 4 },
    { 0x0e00, "GICR_NSACR", 1, 4 },
};

/* Which table and which CPU an offset in the row of redistributors belongs to; false: beyond the last. */
static bool redist_find(Gic *gic, uint64_t off, const GicReg **regs, size_t *n_regs, GicView *v)
{
    GicCpu *cpu = off / GICR_CPU_SIZE < gic->config.n_cpus ? &gic->cpus[off / GICR_CPU_SIZE] : NULL;
    bool    sgi = off % GICR_CPU_SIZE >= 0x10000;

    *regs = sgi ? sgi_regs : redist_regs;
    *n_regs = sgi ? ARRAY_LEN(sgi_regs) : ARRAY_LEN(redist_regs);
    *v = (GicView){ gic, cpu };
    return cpu != NULL;
}

static MemResult redist_read(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t *value)
{
    const GicReg *regs;
    size_t        n_regs;
    GicView       v;

    *value = 0;
    return redist_find(opaque, off, &regs, &n_regs, &v)
               ? gic_frame_read(regs, n_regs, v, off & 0xffff, size, value)
               : MEM_DECODE;
}

static MemResult redist_write(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t value)
{
    const GicReg *regs;
    size_t        n_regs;
    GicView       v;

    return redist_find(opaque, off, &regs, &n_regs, &v)
               ? gic_frame_write(regs, n_regs, v, off & 0xffff, size, value)
               : MEM_DECODE;
}

const MmioOps gicv3_redist_ops = { redist_read, redist_write };
