/*
 * A virtual instance's CPU interface: the list registers of a vCPU, filled before it runs and folded back
 * after. While an interrupt is out in a list register (GicBank.in_lr) the distributor does not offer it
 * again; what the guest did to it comes back with the list register. IHI 0069, "Usage model for the List
 * registers".
 */
#include <glib.h>
#include <string.h>

#include "hw/gicv3_int.h"

#define LR_PRIO_SHIFT 48

/* ---- fill ---- */

static bool held_by(const GicCpu *cpu, uint32_t intid)
{
    return intid < GIC_FIRST_SPI || cpu->gic->holder[intid] == cpu->index;
}

/* The highest priority active interrupt of a vCPU that is in no list register, or GIC_NO_INTID. */
static uint32_t best_active(GicCpu *cpu)
{
    uint32_t best = GIC_NO_INTID;

    for (unsigned w = 0; w < cpu->gic->n_words; w++) {
        const GicBank *b = w == 0 ? &cpu->ppi : &cpu->gic->spi[w];

        for (uint32_t m = b->active & ~b->in_lr; m != 0; m &= m - 1) {
            uint32_t intid = w * 32 + (uint32_t)__builtin_ctz(m);

            if (held_by(cpu, intid) && (best == GIC_NO_INTID || gic_prio(cpu, intid) < gic_prio(cpu, best))) {
                best = intid;
            }
        }
    }
    return best;
}

static uint64_t lr_of(const GicCpu *cpu, uint32_t intid, unsigned group)
{
    return intid | (uint64_t)gic_prio(cpu, intid) << LR_PRIO_SHIFT | (group ? ICH_LR_GROUP : 0);
}

/* An edge that came while the interrupt was active makes it active and pending. A level-sensitive one is only
 * active: its line is looked at again when the maintenance interrupt tells of the deactivation. */
static uint64_t give_active(GicCpu *cpu, unsigned n, uint32_t intid)
{
    uint32_t bit;
    GicBank *b = gic_bank(cpu, intid, &bit);
    uint64_t lr = lr_of(cpu, intid, (b->group & bit) != 0) | ICH_LR_STATE_ACTIVE;

    if ((b->edge & bit) == 0) {
        lr |= ICH_LR_EOI;
    } else if ((b->latched & b->enabled & bit) != 0) {
        b->latched &= ~bit;
        lr |= ICH_LR_STATE_PENDING;
        cpu->lr_gave_pending |= 1u << n;
    }
    b->in_lr |= bit;
    return lr;
}

static uint64_t give_pending(GicCpu *cpu, unsigned n, GicBest best)
{
    uint32_t bit;
    GicBank *b;
    uint64_t lr = lr_of(cpu, best.intid, best.group) | ICH_LR_STATE_PENDING;

    cpu->lr_gave_pending |= 1u << n;
    if (best.intid >= GIC_FIRST_LPI) {
        gic_lpi_set_pending(cpu, best.intid, false);
        return lr;
    }
    b = gic_bank(cpu, best.intid, &bit);
    if ((b->edge & bit) != 0) {
        b->latched &= ~bit;
    } else {
        lr |= ICH_LR_EOI;
    }
    b->in_lr |= bit;
    return lr;
}

uint64_t gicv3_virt_fill_lrs(Gic *gic, unsigned vcpu, uint64_t *lrs, unsigned n_lrs)
{
    GicCpu  *cpu = gicv3_cpu(gic, vcpu);
    unsigned n = 0;
    uint32_t active;
    uint64_t hcr = 0;

    n_lrs = MIN(n_lrs, (unsigned)GIC_N_LRS);
    memset(lrs, 0, n_lrs * sizeof(*lrs));
    if (cpu == NULL) {
        return 0;
    }
    while ((active = best_active(cpu)) != GIC_NO_INTID && n < n_lrs) {
        lrs[n] = give_active(cpu, n, active);
        cpu->lr_intid[n++] = active;
    }
    gic_update(cpu);
    while (cpu->best.intid != GIC_SPURIOUS && n < n_lrs) {
        uint32_t intid = cpu->best.intid;

        lrs[n] = give_pending(cpu, n, cpu->best);
        cpu->lr_intid[n++] = intid;
        gic_intid_changed(cpu, intid);
    }
    hcr |= active != GIC_NO_INTID ? ICH_HCR_LRENPIE : 0;
    hcr |= cpu->best.intid != GIC_SPURIOUS ? ICH_HCR_NPIE : 0;
    cpu->lrs_full = hcr != 0; /* the maintenance interrupt will tell; no point in asking for an exit now */
    gic_update(cpu);
    return hcr;
}

/* ---- sync ---- */

/* EOIs without a list register: in order of priority, as the guest must have made them. */
static void apply_eoi_count(GicCpu *cpu, unsigned count)
{
    uint32_t intid;

    while (count-- > 0 && (intid = best_active(cpu)) != GIC_NO_INTID) {
        gic_deactivate(cpu, intid);
    }
}

static void take_back(GicCpu *cpu, unsigned n, uint64_t lr)
{
    uint32_t bit, intid = cpu->lr_intid[n];
    bool     pending = (lr & ICH_LR_STATE_PENDING) != 0, gave = (cpu->lr_gave_pending >> n & 1) != 0;
    GicBank *b;

    if (intid >= GIC_FIRST_LPI) {
        if (pending) {
            gic_lpi_set_pending(cpu, intid, true);
        }
        return;
    }
    b = gic_bank(cpu, intid, &bit);
    b->in_lr &= ~bit;
    if ((lr & ICH_LR_STATE_ACTIVE) != 0) {
        b->active |= bit;
        cpu->gic->holder[intid] = (uint16_t)cpu->index;
    } else {
        b->active &= ~bit;
    }
    if ((b->edge & bit) != 0) {
        b->latched |= pending ? bit : 0;
    } else if (gave && !pending) {
        b->latched &= ~bit; /* software had set it pending, and the guest took it */
    }
    gic_intid_changed(cpu, intid);
}

void gicv3_virt_sync_lrs(Gic *gic, unsigned vcpu, const uint64_t *lrs, unsigned n_lrs, uint64_t hcr)
{
    GicCpu *cpu = gicv3_cpu(gic, vcpu);

    if (cpu == NULL) {
        return;
    }
    apply_eoi_count(cpu, (unsigned)extract64(hcr, ICH_HCR_EOICOUNT_SHIFT, 5));
    for (unsigned i = 0; i < MIN(n_lrs, (unsigned)GIC_N_LRS); i++) {
        if (cpu->lr_intid[i] != GIC_NO_INTID) {
            take_back(cpu, i, lrs[i]);
            cpu->lr_intid[i] = GIC_NO_INTID;
        }
    }
    cpu->lr_gave_pending = 0;
    cpu->lrs_full = false;
    gic_update(cpu);
}

bool gicv3_virt_has_pending(Gic *gic, unsigned vcpu)
{
    GicCpu *cpu = gicv3_cpu(gic, vcpu);

    return cpu != NULL && cpu->best.intid != GIC_SPURIOUS;
}

void gicv3_virt_sgi(Gic *gic, unsigned vcpu, uint64_t value)
{
    GicCpu *cpu = gicv3_cpu(gic, vcpu);

    if (cpu != NULL) {
        gic_cpu_sgi(cpu, 1, value);
    }
}
