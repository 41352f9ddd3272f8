/*
 * The virtualization interface of GICv3: list registers, what a guest sees through ICV_* registers, and
 * maintenance interrupts. IHI 0069, "Virtual interrupt handling and prioritization", "Maintenance
 * interrupts", ICH_* and ICV_*. 16 list registers, 5 priority and preemption bits, no GICv4.
 */
#include <string.h>

#include "hw/gicv3_int.h"

#define LR_VINTID_MASK  mask64(GIC_ID_BITS)
#define LR_PRIO_SHIFT   48
#define LR_PINTID_SHIFT 32
#define LR_PINTID_LEN   13
#define LR_WRITABLE                                                                                       \
    (LR_VINTID_MASK | mask64(LR_PINTID_LEN) << LR_PINTID_SHIFT | (uint64_t)GIC_PRIO_MASK << LR_PRIO_SHIFT |  \
     ICH_LR_GROUP | ICH_LR_HW | ICH_LR_STATE)
#define HCR_WRITABLE    (0xf8000000ull | ICH_HCR_TDIR | ICH_HCR_TALL1 | ICH_HCR_TALL0 | ICH_HCR_TC | 0xff)

#define HCR_ASKS /* for maintenance interrupts */                                                          \
    (ICH_HCR_UIE | ICH_HCR_LRENPIE | ICH_HCR_NPIE | ICH_HCR_VGRP0EIE | ICH_HCR_VGRP0DIE | ICH_HCR_VGRP1EIE | \
     ICH_HCR_VGRP1DIE)

#define VMCR_VENG(g)  BIT(g)
#define VMCR_VFIQEN   BIT(3)
#define VMCR_VCBPR    BIT(4)
#define VMCR_VEOIM    BIT(9)
#define VMCR_BPR_SHIFT(g) ((g) == 1 ? 18 : 21)
#define VMCR_PMR_SHIFT 24

static uint32_t lr_vintid(uint64_t lr) { return (uint32_t)(lr & LR_VINTID_MASK); }
static uint8_t  lr_prio(uint64_t lr) { return (uint8_t)(lr >> LR_PRIO_SHIFT); }
static unsigned lr_group(uint64_t lr) { return (lr & ICH_LR_GROUP) != 0; }

static unsigned vmcr_bpr(const GicCpu *cpu, unsigned group)
{
    return (unsigned)extract64(cpu->virt.vmcr, VMCR_BPR_SHIFT(group), 3);
}

static uint8_t virt_group_prio(const GicCpu *cpu, unsigned group, uint8_t prio)
{
    bool cbpr = (cpu->virt.vmcr & VMCR_VCBPR) != 0;

    return prio & gic_group_mask(group, vmcr_bpr(cpu, 0), vmcr_bpr(cpu, 1), cbpr);
}

/* ---- choosing ---- */

/* The list register of the highest priority pending virtual interrupt of an enabled group, or -1. */
static int highest_pending(const GicCpu *cpu)
{
    const uint64_t *lrs = cpu->virt.lrs;
    int             best = -1;

    for (int i = 0; i < GIC_N_LRS; i++) {
        if ((lrs[i] & ICH_LR_STATE) != ICH_LR_STATE_PENDING ||
            (cpu->virt.vmcr & VMCR_VENG(lr_group(lrs[i]))) == 0) {
            continue;
        }
        if (best < 0 || lr_prio(lrs[i]) < lr_prio(lrs[best]) ||
            (lr_prio(lrs[i]) == lr_prio(lrs[best]) && lr_vintid(lrs[i]) < lr_vintid(lrs[best]))) {
            best = i;
        }
    }
    return best;
}

static bool can_signal(const GicCpu *cpu, int n)
{
    uint64_t lr;

    if (n < 0 || (cpu->virt.hcr & ICH_HCR_EN) == 0) {
        return false;
    }
    lr = cpu->virt.lrs[n];
    return lr_prio(lr) < gic_icv_pmr(cpu) &&
           virt_group_prio(cpu, lr_group(lr), lr_prio(lr)) < gic_icv_rpr(cpu);
}

/* ---- maintenance ---- */

uint64_t gic_ich_eisr(const GicCpu *cpu)
{
    uint64_t eisr = 0;

    for (unsigned i = 0; i < GIC_N_LRS; i++) {
        if ((cpu->virt.lrs[i] & (ICH_LR_STATE | ICH_LR_HW | ICH_LR_EOI)) == ICH_LR_EOI) {
            eisr |= BIT(i);
        }
    }
    return eisr;
}

uint64_t gic_ich_elrsr(const GicCpu *cpu)
{
    uint64_t elrsr = 0;

    for (unsigned i = 0; i < GIC_N_LRS; i++) {
        uint64_t lr = cpu->virt.lrs[i];

        if ((lr & ICH_LR_STATE) == 0 && ((lr & ICH_LR_HW) != 0 || (lr & ICH_LR_EOI) == 0)) {
            elrsr |= BIT(i);
        }
    }
    return elrsr;
}

uint64_t gic_cpu_misr(const GicCpu *cpu)
{
    const GicVirtState *v = &cpu->virt;
    unsigned            used = 0, pending = 0;
    bool                g0 = (v->vmcr & VMCR_VENG(0)) != 0, g1 = (v->vmcr & VMCR_VENG(1)) != 0;
    bool                clear = cpu->virt.lrs_clear;
    uint64_t            misr = 0;

    if (clear && (v->hcr & HCR_ASKS) == 0) {
        return 0;
    }
    for (unsigned i = 0; i < GIC_N_LRS && !clear; i++) {
        used += (v->lrs[i] & ICH_LR_STATE) != 0;
        pending += (v->lrs[i] & ICH_LR_STATE) == ICH_LR_STATE_PENDING;
    }
    misr |= !clear && gic_ich_eisr(cpu) != 0 ? BIT(0) : 0;                            /* EOI */
    misr |= (v->hcr & ICH_HCR_UIE) && used <= 1 ? BIT(1) : 0;                         /* U */
    misr |= (v->hcr & ICH_HCR_LRENPIE) && v->hcr >> ICH_HCR_EOICOUNT_SHIFT ? BIT(2) : 0; /* LRENP */
    misr |= (v->hcr & ICH_HCR_NPIE) && pending == 0 ? BIT(3) : 0;                     /* NP */
    misr |= (v->hcr & ICH_HCR_VGRP0EIE) && g0 ? BIT(4) : 0;
    misr |= (v->hcr & ICH_HCR_VGRP0DIE) && !g0 ? BIT(5) : 0;
    misr |= (v->hcr & ICH_HCR_VGRP1EIE) && g1 ? BIT(6) : 0;
    misr |= (v->hcr & ICH_HCR_VGRP1DIE) && !g1 ? BIT(7) : 0;
    return misr;
}

/* ListRegs 15, TDS, nV4, A3V, 16-bit IDs, 5 preemption and 5 priority bits. */
uint64_t gic_cpu_vtr(const GicCpu *cpu)
{
    (void)cpu;
    return (GIC_N_LRS - 1) | BIT(19) | BIT(20) | BIT(21) | 4ull << 26 | 4ull << 29;
}

void gic_virt_update(GicCpu *cpu)
{
    bool enabled = (cpu->virt.hcr & ICH_HCR_EN) != 0;
    int  n = enabled && !cpu->virt.lrs_clear ? highest_pending(cpu) : -1;
    bool signal = can_signal(cpu, n);

    gic_line(cpu, GIC_LINE_VIRQ, signal && lr_group(cpu->virt.lrs[n]) == 1);
    gic_line(cpu, GIC_LINE_VFIQ, signal && lr_group(cpu->virt.lrs[n]) == 0);
    if (!cpu->gic->config.is_virtual) {
        gicv3_set_ppi(cpu, GIC_MAINTENANCE_INTID, enabled && gic_cpu_misr(cpu) != 0);
    }
}

/* ---- ICH_* ---- */

/* IMPLEMENTATION DEFINED limits as for the physical interface. VFIQEn is RES1 and VAckCtl RES0 without
 * legacy. */
static uint64_t vmcr_legal(uint64_t value)
{
    uint64_t vmcr = value & (VMCR_VENG(0) | VMCR_VENG(1) | VMCR_VCBPR | VMCR_VEOIM);
    uint64_t bpr0 = extract64(value, VMCR_BPR_SHIFT(0), 3), bpr1 = extract64(value, VMCR_BPR_SHIFT(1), 3);

    vmcr |= (bpr0 < GIC_MIN_BPR0 ? GIC_MIN_BPR0 : bpr0) << VMCR_BPR_SHIFT(0);
    vmcr |= (bpr1 < GIC_MIN_BPR1 ? GIC_MIN_BPR1 : bpr1) << VMCR_BPR_SHIFT(1);
    vmcr |= (extract64(value, VMCR_PMR_SHIFT, 8) & GIC_PRIO_MASK) << VMCR_PMR_SHIFT;
    return vmcr | VMCR_VFIQEN;
}

void gic_virt_reset(GicCpu *cpu)
{
    memset(&cpu->virt, 0, sizeof(cpu->virt));
    cpu->virt.vmcr = vmcr_legal(0);
    cpu->virt.lrs_clear = true;
}

void gic_ich_set_hcr(GicCpu *cpu, uint64_t value)
{
    cpu->virt.hcr = value & HCR_WRITABLE;
    gic_virt_update(cpu);
}

void gic_ich_set_vmcr(GicCpu *cpu, uint64_t value)
{
    cpu->virt.vmcr = vmcr_legal(value);
    gic_virt_update(cpu);
}

void gic_ich_set_lr(GicCpu *cpu, unsigned n, uint64_t value)
{
    cpu->virt.lrs[n] = value & LR_WRITABLE;
    cpu->virt.lrs_clear &= cpu->virt.lrs[n] == 0;
    gic_virt_update(cpu);
}

void gic_ich_set_ap(GicCpu *cpu, unsigned group, uint64_t value)
{
    uint64_t *ap = group == 0 ? cpu->virt.ap0r : cpu->virt.ap1r;

    ap[0] = value & UINT32_MAX;
    gic_virt_update(cpu);
}

void gic_cpu_virt_get(const GicCpu *cpu, GicVirtState *out)
{
    memcpy(out, &cpu->virt, offsetof(GicVirtState, lrs));
    if (!cpu->virt.lrs_clear) {
        memcpy(out->lrs, cpu->virt.lrs, sizeof(out->lrs));
    }
}

static void set_lrs(GicVirtState *v, const GicVirtState *restrict in)
{
    uint64_t any = 0;

    if (in->lrs_clear && !v->lrs_clear) {
        memset(v->lrs, 0, sizeof(v->lrs));
    } else if (!in->lrs_clear) {
        for (unsigned i = 0; i < GIC_N_LRS; i++) {
            any |= v->lrs[i] = in->lrs[i] & LR_WRITABLE;
        }
    }
    v->lrs_clear = any == 0;
}

void gic_cpu_virt_set(GicCpu *cpu, const GicVirtState *restrict in)
{
    cpu->virt.hcr = in->hcr & HCR_WRITABLE;
    cpu->virt.vmcr = vmcr_legal(in->vmcr);
    cpu->virt.ap0r[0] = in->ap0r[0] & UINT32_MAX; /* there is no other */
    cpu->virt.ap1r[0] = in->ap1r[0] & UINT32_MAX;
    set_lrs(&cpu->virt, in);
    gic_virt_update(cpu);
}

/* ---- ICV_*: the guest ---- */

uint8_t gic_icv_rpr(const GicCpu *cpu)
{
    uint32_t ap = (uint32_t)(cpu->virt.ap0r[0] | cpu->virt.ap1r[0]);

    return ap == 0 ? GIC_IDLE_PRIO : (uint8_t)(__builtin_ctz(ap) << GIC_PRIO_SHIFT);
}

uint32_t gic_icv_hppi(const GicCpu *cpu, unsigned group)
{
    int n = highest_pending(cpu);

    return n >= 0 && lr_group(cpu->virt.lrs[n]) == group ? lr_vintid(cpu->virt.lrs[n]) : GIC_SPURIOUS;
}

uint32_t gic_icv_ack(GicCpu *cpu, unsigned group)
{
    int       n = highest_pending(cpu);
    uint64_t *lr, *ap = group == 0 ? cpu->virt.ap0r : cpu->virt.ap1r;
    uint32_t  intid;

    if (!can_signal(cpu, n) || lr_group(cpu->virt.lrs[n]) != group) {
        return GIC_SPURIOUS;
    }
    lr = &cpu->virt.lrs[n];
    intid = lr_vintid(*lr);
    *ap |= BIT(virt_group_prio(cpu, group, lr_prio(*lr)) >> GIC_PRIO_SHIFT);
    *lr &= ~ICH_LR_STATE;
    if (intid < GIC_FIRST_LPI) { /* LPIs have no active state: the list register becomes free */
        *lr |= ICH_LR_STATE_ACTIVE;
    }
    gic_virt_update(cpu);
    return intid;
}

static bool drop_priority(GicVirtState *v, unsigned group)
{
    uint64_t  all = v->ap0r[0] | v->ap1r[0], lowest = all & -all;
    uint64_t *ap = group == 0 ? v->ap0r : v->ap1r;

    if ((*ap & lowest) == 0) {
        return false;
    }
    *ap &= ~lowest;
    return true;
}

/* Deactivate a virtual interrupt; without a list register, count it in ICH_HCR_EL2.EOIcount. */
static void deactivate(GicCpu *cpu, uint32_t intid)
{
    GicVirtState *v = &cpu->virt;

    for (unsigned i = 0; i < GIC_N_LRS; i++) {
        uint64_t *lr = &v->lrs[i];

        if ((*lr & ICH_LR_STATE_ACTIVE) == 0 || lr_vintid(*lr) != intid) {
            continue;
        }
        *lr &= ~ICH_LR_STATE_ACTIVE;
        if ((*lr & ICH_LR_HW) != 0) {
            gic_deactivate(cpu, (uint32_t)extract64(*lr, LR_PINTID_SHIFT, LR_PINTID_LEN));
        }
        return;
    }
    v->hcr = (v->hcr & mask64(ICH_HCR_EOICOUNT_SHIFT)) |
             (((v->hcr >> ICH_HCR_EOICOUNT_SHIFT) + 1) & 31) << ICH_HCR_EOICOUNT_SHIFT;
}

void gic_icv_eoi(GicCpu *cpu, unsigned group, uint32_t intid)
{
    if ((intid >= GIC_FIRST_SPECIAL && intid < GIC_FIRST_LPI) || !drop_priority(&cpu->virt, group)) {
        return;
    }
    if ((cpu->virt.vmcr & VMCR_VEOIM) == 0 && intid < GIC_FIRST_SPECIAL) {
        deactivate(cpu, intid);
    }
    gic_virt_update(cpu);
}

void gic_icv_dir(GicCpu *cpu, uint32_t intid)
{
    if ((cpu->virt.vmcr & VMCR_VEOIM) != 0 && intid < GIC_FIRST_SPECIAL) {
        deactivate(cpu, intid);
        gic_virt_update(cpu);
    }
}

unsigned gic_icv_bpr(const GicCpu *cpu, unsigned group)
{
    if (group == 1 && (cpu->virt.vmcr & VMCR_VCBPR) != 0) {
        return vmcr_bpr(cpu, 0) < 7 ? vmcr_bpr(cpu, 0) + 1 : 7;
    }
    return vmcr_bpr(cpu, group);
}

void gic_icv_set_bpr(GicCpu *cpu, unsigned group, unsigned bpr)
{
    if (group == 0 || (cpu->virt.vmcr & VMCR_VCBPR) == 0) {
        gic_ich_set_vmcr(cpu, deposit64(cpu->virt.vmcr, VMCR_BPR_SHIFT(group), 3, bpr));
    }
}

uint8_t gic_icv_pmr(const GicCpu *cpu)
{
    return (uint8_t)extract64(cpu->virt.vmcr, VMCR_PMR_SHIFT, 8);
}

void gic_icv_set_pmr(GicCpu *cpu, uint8_t pmr)
{
    gic_ich_set_vmcr(cpu, deposit64(cpu->virt.vmcr, VMCR_PMR_SHIFT, 8, pmr));
}

bool gic_icv_group_enable(const GicCpu *cpu, unsigned group)
{
    return (cpu->virt.vmcr & VMCR_VENG(group)) != 0;
}

void gic_icv_set_group_enable(GicCpu *cpu, unsigned group, bool enable)
{
    gic_ich_set_vmcr(cpu, deposit64(cpu->virt.vmcr, group, 1, enable));
}

uint64_t gic_icv_ctlr(const GicCpu *cpu)
{
    return GIC_CTLR_FIXED | (cpu->virt.vmcr & VMCR_VCBPR ? GIC_CTLR_CBPR : 0) |
           (cpu->virt.vmcr & VMCR_VEOIM ? GIC_CTLR_EOIMODE : 0);
}

void gic_icv_set_ctlr(GicCpu *cpu, uint64_t ctlr)
{
    uint64_t vmcr = cpu->virt.vmcr & ~(VMCR_VCBPR | VMCR_VEOIM);

    vmcr |= (ctlr & GIC_CTLR_CBPR ? VMCR_VCBPR : 0) | (ctlr & GIC_CTLR_EOIMODE ? VMCR_VEOIM : 0);
    gic_ich_set_vmcr(cpu, vmcr);
}
