/*
 * The physical CPU interface of GICv3: priority mask, running priority, acknowledge, priority drop,
 * deactivation, SGIs. IHI 0069, "Interrupt handling and prioritization" and the ICC_* register
 * descriptions. One instance of each register, because GICD_CTLR.DS is 1 and nothing runs in Secure state.
 */
#include "hw/gicv3_int.h"

uint8_t gic_group_mask(unsigned group, unsigned bpr0, unsigned bpr1, bool cbpr)
{
    unsigned lowest = group == 0 || cbpr ? bpr0 + 1 : bpr1; /* of the group priority field */

    return (uint8_t)(0xffu << lowest);
}

static uint8_t group_prio(const GicCpu *cpu, unsigned group, uint8_t prio)
{
    return prio & gic_group_mask(group, cpu->bpr[0], cpu->bpr[1], (cpu->ctlr & GIC_CTLR_CBPR) != 0);
}

uint8_t gic_cpu_rpr(const GicCpu *cpu)
{
    uint32_t ap = cpu->ap[0] | cpu->ap[1];

    return ap == 0 ? GIC_IDLE_PRIO : (uint8_t)(__builtin_ctz(ap) << GIC_PRIO_SHIFT);
}

bool gic_can_signal(const GicCpu *cpu)
{
    const GicBest *b = &cpu->best;

    return b->intid != GIC_SPURIOUS && b->prio < cpu->pmr &&
           group_prio(cpu, b->group, b->prio) < gic_cpu_rpr(cpu);
}

uint32_t gic_cpu_hppi(const GicCpu *cpu, unsigned group)
{
    return cpu->best.group == group ? cpu->best.intid : GIC_SPURIOUS;
}

uint32_t gic_cpu_ack(GicCpu *cpu, unsigned group)
{
    GicBest  best = cpu->best;
    uint32_t bit;
    GicBank *b;

    if (!gic_can_signal(cpu) || best.group != group) {
        return GIC_SPURIOUS;
    }
    cpu->ap[group] |= 1u << (group_prio(cpu, group, best.prio) >> GIC_PRIO_SHIFT);
    if (best.intid >= GIC_FIRST_LPI) {
        gic_lpi_set_pending(cpu, best.intid, false); /* LPIs have no active state */
    } else if ((b = gic_bank(cpu, best.intid, &bit)) != NULL) {
        b->latched &= ~bit;
        b->active |= bit;
        gic_intid_changed(cpu, best.intid);
    }
    gic_update(cpu);
    LOG(IRQ, "cpu %u acknowledges interrupt %u, priority 0x%02x", cpu->index, best.intid, best.prio);
    return best.intid;
}

/* The highest active priority leaves the active priorities when it is of @group. "Priority drop". */
static bool drop_priority(uint32_t *ap, unsigned group)
{
    uint32_t all = ap[0] | ap[1], lowest = all & -all;

    if ((ap[group] & lowest) == 0) {
        return false; /* UNPREDICTABLE: EOI out of order or of the other group; ignored */
    }
    ap[group] &= ~lowest;
    return true;
}

static bool is_special(uint32_t intid)
{
    return intid >= GIC_FIRST_SPECIAL && intid < GIC_FIRST_LPI;
}

void gic_cpu_eoi(GicCpu *cpu, unsigned group, uint32_t intid)
{
    if (is_special(intid) || !drop_priority(cpu->ap, group)) {
        return;
    }
    if ((cpu->ctlr & GIC_CTLR_EOIMODE) == 0 && intid < GIC_FIRST_SPECIAL) {
        gic_deactivate(cpu, intid);
    }
    gic_update(cpu);
}

void gic_cpu_dir(GicCpu *cpu, uint32_t intid)
{
    if ((cpu->ctlr & GIC_CTLR_EOIMODE) != 0 && intid < GIC_FIRST_SPECIAL) {
        gic_deactivate(cpu, intid);
    }
}

void gic_cpu_set_pmr(GicCpu *cpu, uint8_t pmr)
{
    cpu->pmr = pmr & GIC_PRIO_MASK;
    gic_update(cpu);
}

void gic_cpu_set_group_enable(GicCpu *cpu, unsigned group, bool enable)
{
    cpu->group_enable = (uint8_t)deposit64(cpu->group_enable, group, 1, enable);
    gic_update(cpu);
}

void gic_cpu_set_ctlr(GicCpu *cpu, uint64_t ctlr)
{
    cpu->ctlr = (uint32_t)(ctlr & (GIC_CTLR_CBPR | GIC_CTLR_EOIMODE));
    gic_update(cpu);
}

/* With CBPR, ICC_BPR1 reads as ICC_BPR0 plus one, saturated, and ignores writes. */
unsigned gic_cpu_bpr(const GicCpu *cpu, unsigned group)
{
    if (group == 1 && (cpu->ctlr & GIC_CTLR_CBPR) != 0) {
        return cpu->bpr[0] < 7 ? cpu->bpr[0] + 1u : 7;
    }
    return cpu->bpr[group];
}

void gic_cpu_set_bpr(GicCpu *cpu, unsigned group, unsigned bpr)
{
    unsigned min = group == 0 ? GIC_MIN_BPR0 : GIC_MIN_BPR1;

    if (group == 1 && (cpu->ctlr & GIC_CTLR_CBPR) != 0) {
        return;
    }
    bpr &= 7;
    cpu->bpr[group] = (uint8_t)(bpr < min ? min : bpr);
    gic_update(cpu);
}

/* ---- SGIs: ICC_SGI0R_EL1, ICC_SGI1R_EL1 ---- */

/* Whether the fields of an SGI register name a CPU. GICD_TYPER.RSS is 0: a range selector other than 0
 * names none. */
static bool sgi_targets(uint64_t value, const GicCpu *from, const GicCpu *cpu)
{
    uint32_t cluster = (uint32_t)(extract64(value, 48, 8) << 24 | extract64(value, 32, 8) << 16 |
                                  extract64(value, 16, 8) << 8);
    unsigned aff0 = cpu->affinity & 0xff;

    if (extract64(value, 40, 1)) { /* IRM */
        return cpu != from;
    }
    return extract64(value, 44, 4) == 0 && (cpu->affinity & ~0xffu) == cluster && aff0 < 16 &&
           (value >> aff0 & 1) != 0;
}

void gic_cpu_sgi(GicCpu *cpu, unsigned group, uint64_t value)
{
    Gic     *gic = cpu->gic;
    unsigned intid = (unsigned)extract64(value, 24, 4);

    for (unsigned i = 0; i < gic->config.n_cpus; i++) {
        GicCpu *to = &gic->cpus[i];

        /* An SGI configured to be in the other group is not generated. "Effect of GICD_CTLR.DS == 1 on
         * SGIs". */
        if (sgi_targets(value, cpu, to) && (to->ppi.group >> intid & 1) == group) {
            to->ppi.latched |= 1u << intid;
            gic_update(to);
        }
    }
}
