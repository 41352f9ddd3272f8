/* The interrupt controller as a monitor sees it, and the interrupt that its user makes pending. */
#include "hw/gicv3_int.h"

typedef struct Visit {
    void (*fn)(void *opaque, const GicLook *irq);
    void  *opaque;
} Visit;

static void visit_bank(const GicBank *b, uint32_t first, int cpu, const uint8_t *prio, const uint16_t *target,
                       const Visit *v)
{
    for (uint32_t m = b->enabled | gic_bank_pending(b) | b->active; m != 0; m &= m - 1) {
        unsigned n = (unsigned)__builtin_ctz(m);
        int      to = target == NULL ? cpu : target[n] == GIC_NO_CPU ? -1 : target[n];

        v->fn(v->opaque, &(GicLook){ .intid = first + n, .cpu = to, .prio = prio[n], .group = b->group >> n & 1,
                                     .enabled = b->enabled >> n & 1, .pending = gic_bank_pending(b) >> n & 1,
                                     .active = b->active >> n & 1, .edge = b->edge >> n & 1,
                                     .level = b->level >> n & 1 });
    }
}

static void visit_lpis(const GicCpu *cpu, const Visit *v)
{
    for (unsigned w = 0; cpu->lpi.pending != NULL && w < GIC_LPI_WORDS; w++) {
        for (uint64_t m = cpu->lpi.pending[w]; m != 0; m &= m - 1) {
            uint32_t intid = GIC_FIRST_LPI + w * 64 + (uint32_t)__builtin_ctzll(m);

            v->fn(v->opaque, &(GicLook){ .intid = intid, .cpu = (int)cpu->index, .prio = gic_lpi_prio(cpu, intid),
                                         .group = 1, .enabled = (cpu->lpi.config[intid - GIC_FIRST_LPI] & 1) != 0,
                                         .pending = true, .edge = true });
        }
    }
}

void gicv3_look(const Gic *gic, void (*fn)(void *opaque, const GicLook *irq), void *opaque)
{
    const Visit v = { fn, opaque };

    for (unsigned i = 0; i < gic->config.n_cpus; i++) {
        visit_bank(&gic->cpus[i].ppi, 0, (int)i, gic->cpus[i].prio, NULL, &v);
    }
    for (unsigned w = 1; w < gic->n_words; w++) {
        visit_bank(&gic->spi[w], w * 32, -1, gic->prio + w * 32, gic->target + w * 32, &v);
    }
    for (unsigned i = 0; i < gic->config.n_cpus; i++) {
        visit_lpis(&gic->cpus[i], &v);
    }
}

void gicv3_look_cpu(const Gic *gic, unsigned index, GicCpuLook *out)
{
    const GicCpu *cpu = &gic->cpus[index];

    *out = (GicCpuLook){ .pmr = cpu->pmr, .group_enable = cpu->group_enable, .asleep = cpu->asleep,
                         .best = cpu->best.intid };
    for (unsigned i = 0; i < GIC_N_LINES; i++) {
        out->line[i] = cpu->line[i];
    }
    for (unsigned i = 0; i < GIC_N_LRS && !cpu->virt.lrs_clear; i++) {
        out->n_lrs += (cpu->virt.lrs[i] & ICH_LR_STATE) != 0;
    }
}

bool gicv3_pend(Gic *gic, unsigned cpu, uint32_t intid)
{
    uint32_t bit;
    GicBank *b = gic_bank(&gic->cpus[cpu], intid, &bit);

    if (b == NULL) {
        return false;
    }
    b->latched |= bit;
    gic_intid_changed(&gic->cpus[cpu], intid);
    return true;
}
