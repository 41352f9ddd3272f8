/*
 * Arm GICv3 (IHI 0069): construction, inputs, and the choice of the interrupt each CPU gets next. Registers
 * are in gicv3_frame.c, LPIs in gicv3_lpi.c, CPU interfaces in gicv3_cpuif.c and gicv3_virt.c, the ITS in
 * gicv3_its.c.
 *
 * Cost: a CPU's choice looks at its private bank, at those SPI words that hold a deliverable interrupt (a
 * summary word names them), and at the cached best LPI.
 */
#include <glib.h>
#include <string.h>

#include "hw/gicv3_int.h"

static const GicBest no_interrupt = { GIC_SPURIOUS, GIC_IDLE_PRIO, 0 };

/* ---- interrupts by number ---- */

GicBank *gic_bank(GicCpu *cpu, uint32_t intid, uint32_t *bit)
{
    *bit = 1u << (intid & 31);
    if (intid < GIC_FIRST_SPI) {
        return &cpu->ppi;
    }
    return intid < GIC_FIRST_SPECIAL && intid / 32 < cpu->gic->n_words ? &cpu->gic->spi[intid / 32] : NULL;
}

uint8_t gic_prio(const GicCpu *cpu, uint32_t intid)
{
    if (intid >= GIC_FIRST_LPI) {
        return gic_lpi_prio(cpu, intid);
    }
    return intid < GIC_FIRST_SPI ? cpu->prio[intid] : cpu->gic->prio[intid & (GIC_N_INTIDS - 1)];
}

void gic_route(Gic *gic, uint32_t intid)
{
    uint64_t router = gic->irouter[intid];
    uint32_t affinity = (uint32_t)(router & 0xffffff) | (uint32_t)(router >> 32) << 24;

    gic->target[intid] = GIC_NO_CPU;
    for (unsigned i = 0; i < gic->config.n_cpus; i++) {
        if (gic->cpus[i].affinity == affinity) {
            gic->target[intid] = (uint16_t)i;
            break;
        }
    }
}

/* ---- choosing ---- */

static void consider(GicBest *best, uint32_t intid, uint8_t prio, unsigned group)
{
    if (prio < best->prio || (prio == best->prio && intid < best->intid)) {
        *best = (GicBest){ intid, prio, (uint8_t)group };
    }
}

/* Interrupts of a bank whose group is in @groups (bit per group). */
static uint32_t of_groups(const GicBank *b, unsigned groups)
{
    return ((groups & 2) ? b->group : 0) | ((groups & 1) ? ~b->group : 0);
}

static void consider_private(const GicCpu *cpu, unsigned groups, GicBest *best)
{
    for (uint32_t m = gic_bank_ready(&cpu->ppi) & of_groups(&cpu->ppi, groups); m != 0; m &= m - 1) {
        unsigned n = (unsigned)__builtin_ctz(m);

        consider(best, n, cpu->prio[n], cpu->ppi.group >> n & 1);
    }
}

static void consider_shared(const GicCpu *cpu, unsigned groups, GicBest *best)
{
    const Gic *gic = cpu->gic;

    for (uint32_t words = gic->ready_words; words != 0; words &= words - 1) {
        unsigned       w = (unsigned)__builtin_ctz(words);
        const GicBank *b = &gic->spi[w];

        for (uint32_t m = gic_bank_ready(b) & of_groups(b, groups); m != 0; m &= m - 1) {
            unsigned n = (unsigned)__builtin_ctz(m), intid = w * 32 + n;

            if (gic->target[intid] == cpu->index) {
                consider(best, intid, gic->prio[intid], b->group >> n & 1);
            }
        }
    }
}

/* The highest priority pending interrupt of groups that are enabled everywhere. LPIs are always Group 1. */
static GicBest choose(GicCpu *cpu)
{
    unsigned groups = cpu->gic->ctlr & (cpu->gic->config.is_virtual ? 3 : cpu->group_enable);
    GicBest  best = no_interrupt;

    if (cpu->asleep || groups == 0) {
        return best;
    }
    consider_private(cpu, groups, &best);
    consider_shared(cpu, groups, &best);
    if (groups & 2) {
        GicBest lpi = gic_lpi_best(cpu);

        consider(&best, lpi.intid, lpi.prio, 1);
    }
    return best;
}

void gic_line(GicCpu *cpu, GicLine line, bool level)
{
    const GicConfig *c = &cpu->gic->config;

    if (cpu->line[line] != level) {
        cpu->line[line] = level;
        if (c->set_line != NULL) {
            c->set_line(c->opaque, cpu->index, line, level);
        }
    }
}

void gic_update(GicCpu *cpu)
{
    cpu->best = choose(cpu);
    if (cpu->gic->config.is_virtual) {
        gic_line(cpu, GIC_LINE_IRQ, cpu->best.intid != GIC_SPURIOUS && !cpu->lrs_full);
    } else {
        bool signal = gic_can_signal(cpu);

        gic_line(cpu, GIC_LINE_IRQ, signal && cpu->best.group == 1);
        gic_line(cpu, GIC_LINE_FIQ, signal && cpu->best.group == 0);
    }
}

void gic_update_all(Gic *gic)
{
    for (unsigned i = 0; i < gic->config.n_cpus; i++) {
        gic_update(&gic->cpus[i]);
    }
}

void gic_spi_changed(Gic *gic, unsigned word)
{
    uint32_t bit = 1u << word;
    bool     ready = gic_bank_ready(&gic->spi[word]) != 0;

    gic->ready_words = ready ? gic->ready_words | bit : gic->ready_words & ~bit;
}

void gic_intid_changed(GicCpu *cpu, uint32_t intid)
{
    Gic *gic = cpu->gic;

    if (intid < GIC_FIRST_SPI || intid >= GIC_FIRST_SPECIAL) { /* private, or an LPI of this redistributor */
        gic_update(cpu);
        return;
    }
    gic_spi_changed(gic, intid / 32);
    if (gic->target[intid] != GIC_NO_CPU) {
        gic_update(&gic->cpus[gic->target[intid]]);
    }
}

void gic_deactivate(GicCpu *cpu, uint32_t intid)
{
    uint32_t bit;
    GicBank *b = gic_bank(cpu, intid, &bit);

    if (b != NULL && (b->active & bit) != 0) {
        b->active &= ~bit;
        gic_intid_changed(cpu, intid);
    }
}

/* ---- inputs ---- */

static void set_input(GicCpu *cpu, uint32_t intid, bool level)
{
    uint32_t bit;
    GicBank *b = gic_bank(cpu, intid, &bit);

    if (b == NULL || ((b->level & bit) != 0) == level) {
        return;
    }
    b->level ^= bit;
    if (level && (b->edge & bit) != 0) {
        b->latched |= bit;
    }
    gic_intid_changed(cpu, intid);
}

void gicv3_set_spi(Gic *gic, unsigned intid, bool level)
{
    if (intid >= GIC_FIRST_SPI) {
        set_input(&gic->cpus[0], intid, level);
    }
}

void gicv3_set_ppi(GicCpu *cpu, unsigned intid, bool level)
{
    if (intid >= 16 && intid < GIC_FIRST_SPI) {
        set_input(cpu, intid, level);
    }
}

void gicv3_spi_input(void *gic, unsigned intid, bool level)
{
    gicv3_set_spi(gic, intid, level);
}

void gicv3_ppi_input(void *gic_cpu, unsigned intid, bool level)
{
    gicv3_set_ppi(gic_cpu, intid, level);
}

/* ---- memory ---- */

/* A guest may point a table at this very model's registers; in_dma keeps them from answering, so nothing
 * nests. */
bool gic_read(Gic *gic, uint64_t addr, void *dst, size_t len)
{
    const GicConfig *c = &gic->config;
    MemAttrs         attrs = { .pas = c->pas, .is_device = true };
    MemResult        res;

    gic->in_dma++;
    if (c->memory != NULL) {
        res = memory_read(c->memory, addr, attrs, dst, len);
    } else {
        res = c->bus.read != NULL ? c->bus.read(c->bus.opaque, addr, dst, len) : MEM_DECODE;
    }
    gic->in_dma--;
    return res == MEM_OK;
}

bool gic_write(Gic *gic, uint64_t addr, const void *src, size_t len)
{
    const GicConfig *c = &gic->config;
    MemAttrs         attrs = { .pas = c->pas, .is_device = true };
    MemResult        res;

    gic->in_dma++;
    if (c->memory != NULL) {
        res = memory_write(c->memory, addr, attrs, src, len);
    } else {
        res = c->bus.write != NULL ? c->bus.write(c->bus.opaque, addr, src, len) : MEM_DECODE;
    }
    gic->in_dma--;
    return res == MEM_OK;
}

/* ---- life cycle ---- */

void gicv3_reset_cpu(GicCpu *cpu)
{
    cpu->pmr = 0;
    cpu->bpr[0] = GIC_MIN_BPR0;
    cpu->bpr[1] = GIC_MIN_BPR1;
    cpu->group_enable = 0;
    cpu->ctlr = 0;
    cpu->ap[0] = cpu->ap[1] = 0;
    gic_virt_reset(cpu);
    gic_update(cpu);
    gic_virt_update(cpu);
}

void gicv3_wake(GicCpu *cpu)
{
    cpu->asleep = false;
    gic_update(cpu);
}

/* SGIs are edge-triggered, everything else level-sensitive until software says otherwise. */
static void reset_bank(GicBank *b, uint32_t edge)
{
    *b = (GicBank){ .level = b->level, .edge = edge };
}

static void reset_redistributor(GicCpu *cpu)
{
    reset_bank(&cpu->ppi, 0xffff);
    memset(cpu->prio, 0, sizeof(cpu->prio));
    cpu->asleep = true;
    cpu->rctlr = 0;
    cpu->propbaser = cpu->pendbaser = 0;
    gic_lpi_reset(cpu);
    for (unsigned i = 0; i < GIC_N_LRS; i++) {
        cpu->lr_intid[i] = GIC_NO_INTID;
    }
    cpu->lr_gave_pending = 0;
    cpu->lrs_full = false;
}

void gicv3_reset(Gic *gic)
{
    gic->ctlr = 0;
    gic->ready_words = 0;
    for (unsigned w = 0; w < GIC_N_WORDS; w++) {
        reset_bank(&gic->spi[w], 0);
    }
    memset(gic->prio, 0, sizeof(gic->prio));
    memset(gic->irouter, 0, sizeof(gic->irouter));
    for (unsigned intid = 0; intid < GIC_N_INTIDS; intid++) {
        gic_route(gic, intid);
        gic->holder[intid] = GIC_NO_CPU;
    }
    its_reset(&gic->its);
    for (unsigned i = 0; i < gic->config.n_cpus; i++) {
        reset_redistributor(&gic->cpus[i]);
    }
    for (unsigned i = 0; i < gic->config.n_cpus; i++) {
        gicv3_reset_cpu(&gic->cpus[i]);
    }
}

Gic *gicv3_new(const GicConfig *config)
{
    Gic     *gic = g_new0(Gic, 1);
    unsigned n_spis = MIN(config->n_spis, (unsigned)GIC_MAX_SPIS);

    gic->config = *config;
    gic->config.n_cpus = CLAMP(config->n_cpus, 1, GIC_MAX_CPUS);
    gic->config.mpidr = NULL; /* the caller's array is not kept */
    gic->n_words = 1 + (n_spis + 31) / 32;
    gic->cpus = g_new0(GicCpu, gic->config.n_cpus);
    for (unsigned i = 0; i < gic->config.n_cpus; i++) {
        uint64_t mpidr = config->mpidr != NULL ? config->mpidr[i] : (uint64_t)(i / 16) << 8 | i % 16;

        gic->cpus[i].gic = gic;
        gic->cpus[i].index = i;
        gic->cpus[i].affinity = (uint32_t)(mpidr & 0xffffff) | (uint32_t)(mpidr >> 32) << 24;
    }
    gicv3_reset(gic);
    return gic;
}

void gicv3_free(Gic *gic)
{
    if (gic == NULL) {
        return;
    }
    for (unsigned i = 0; i < gic->config.n_cpus; i++) {
        gic_lpi_free(&gic->cpus[i]);
    }
    g_free(gic->cpus);
    g_free(gic);
}

GicCpu *gicv3_cpu(Gic *gic, unsigned index)
{
    return index < gic->config.n_cpus ? &gic->cpus[index] : NULL;
}
