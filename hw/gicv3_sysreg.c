/*
 * The system registers of the GIC CPU interface: ICC_* with their ICV_* view, and ICH_*. IHI 0069, "AArch64
 * System register descriptions": who may access, which of HCR_EL2.{IMO,FMO}, ICH_HCR_EL2, SCR_EL3.{IRQ,FIQ}
 * and fine-grained traps apply. ICC_SRE_ELx are constant: there is no memory-mapped CPU interface.
 * Registers that are banked by Security state have one bank, for GICD_CTLR.DS is 1; ICC_CTLR_EL3 and
 * ICC_IGRPEN1_EL3 show it at its Non-secure place. With 5 priority bits ICC_AP<x>R1 to R3 and ICH_AP<x>R1
 * to R3 do not exist.
 */
#include <assert.h>

#include "cpu/a64/a64.h"
#include "cpu/a64/sysreg.h"
#include "hw/gicv3_int.h"

static_assert((int)GIC_LINE_IRQ == A64_LINE_IRQ && (int)GIC_LINE_FIQ == A64_LINE_FIQ &&
                  (int)GIC_LINE_VIRQ == A64_LINE_VIRQ && (int)GIC_LINE_VFIQ == A64_LINE_VFIQ,
              "GicLine counts as A64Line does");

#define HCR_FMO     BIT(3)
#define HCR_IMO     BIT(4)
#define SCR_IRQ     BIT(1)
#define SCR_FIQ     BIT(2)
#define SCR_EEL2    BIT(18)
#define SCR_FGTEN   BIT(27)
#define HFG_IGRPEN  BIT(36) /* HFGRTR_EL2, HFGWTR_EL2: ICC_IGRPENn_EL1 */
#define SRE_EL1     7       /* DIB, DFB, SRE */
#define SRE_EL2     15      /* and Enable */

static GicCpu *gic_of(const A64Cpu *cpu)
{
    return cpu->gic;
}

/* ---- which view, which trap ---- */

static bool el2_enabled(const A64Cpu *cpu)
{
    return cpu->security != PAS_SECURE || (cpu->el3.scr & SCR_EEL2) != 0;
}

/* Whether EL1 sees the ICV_ view of a register that any of @hcr_bits redirects. */
static bool is_virtual(const A64Cpu *cpu, uint64_t hcr_bits)
{
    return cpu->el == 1 && el2_enabled(cpu) && (cpu->el2.hcr & hcr_bits) != 0;
}

/* The checks that all ICC_ registers share: @ich is what ICH_HCR_EL2 traps, @hcr what redirects to ICV_, @scr
 * the bits that, all set, trap to EL3. */
static A64Access check(const A64Cpu *cpu, uint64_t ich, uint64_t hcr, uint64_t scr)
{
    const GicCpu *g = gic_of(cpu);

    if (g == NULL) {
        return A64_UNDEF;
    }
    if (cpu->el == 1 && el2_enabled(cpu)) {
        if ((g->virt.hcr & ich) != 0) {
            return A64_TRAP_EL2;
        }
        if ((cpu->el2.hcr & hcr) != 0) {
            return A64_OK;
        }
    }
    return cpu->el < 3 && (cpu->el3.scr & scr) == scr ? A64_TRAP_EL3 : A64_OK;
}

static A64Access access_group0(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    return check(cpu, ICH_HCR_TALL0, HCR_FMO, SCR_FIQ);
}

static A64Access access_group1(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    return check(cpu, ICH_HCR_TALL1, HCR_IMO, SCR_IRQ);
}

static A64Access access_common(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    return check(cpu, ICH_HCR_TC, HCR_IMO | HCR_FMO, SCR_IRQ | SCR_FIQ);
}

static A64Access access_dir(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    return check(cpu, ICH_HCR_TC | ICH_HCR_TDIR, HCR_IMO | HCR_FMO, SCR_IRQ | SCR_FIQ);
}

/* There is no virtual SGI register: what would redirect traps instead. */
static A64Access access_sgi(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    if (gic_of(cpu) != NULL && is_virtual(cpu, HCR_IMO | HCR_FMO)) {
        return A64_TRAP_EL2;
    }
    return check(cpu, ICH_HCR_TC, 0, SCR_IRQ | SCR_FIQ);
}

static bool igrpen_fine_grained_trap(const A64Cpu *cpu, bool write)
{
    return cpu->el == 1 && el2_enabled(cpu) && (cpu->el3.scr & SCR_FGTEN) != 0 &&
           ((write ? cpu->el2.hfgwtr : cpu->el2.hfgrtr) & HFG_IGRPEN) != 0;
}

static A64Access access_igrpen0(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    A64Access a = access_group0(cpu, r, write);

    return a != A64_UNDEF && igrpen_fine_grained_trap(cpu, write) ? A64_TRAP_EL2 : a;
}

static A64Access access_igrpen1(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    A64Access a = access_group1(cpu, r, write);

    return a != A64_UNDEF && igrpen_fine_grained_trap(cpu, write) ? A64_TRAP_EL2 : a;
}

static A64Access access_present(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    return gic_of(cpu) != NULL ? A64_OK : A64_UNDEF;
}

/* The group of a register that exists twice is in its encoding: CRm 8 and ICC_IGRPEN0 are Group 0. */
static unsigned crm(const A64Sysreg *r) { return r->enc >> 3 & 15; }
static unsigned op2(const A64Sysreg *r) { return r->enc & 7; }
static unsigned group_of(const A64Sysreg *r) { return crm(r) != 8; }

static bool is_virtual_group(const A64Cpu *cpu, unsigned group)
{
    return is_virtual(cpu, group == 1 ? HCR_IMO : HCR_FMO);
}

/* ---- ICC_*, ICV_* ---- */

static uint64_t read_iar(A64Cpu *cpu, const A64Sysreg *r)
{
    unsigned g = group_of(r);

    return is_virtual_group(cpu, g) ? gic_icv_ack(gic_of(cpu), g) : gic_cpu_ack(gic_of(cpu), g);
}

static void write_eoir(A64Cpu *cpu, const A64Sysreg *r, uint64_t value)
{
    unsigned g = group_of(r);
    uint32_t intid = (uint32_t)value & 0xffffff;

    if (is_virtual_group(cpu, g)) {
        gic_icv_eoi(gic_of(cpu), g, intid);
    } else {
        gic_cpu_eoi(gic_of(cpu), g, intid);
    }
}

static uint64_t read_hppir(A64Cpu *cpu, const A64Sysreg *r)
{
    unsigned g = group_of(r);

    return is_virtual_group(cpu, g) ? gic_icv_hppi(gic_of(cpu), g) : gic_cpu_hppi(gic_of(cpu), g);
}

static uint64_t read_bpr(A64Cpu *cpu, const A64Sysreg *r)
{
    unsigned g = group_of(r);

    return is_virtual_group(cpu, g) ? gic_icv_bpr(gic_of(cpu), g) : gic_cpu_bpr(gic_of(cpu), g);
}

static void write_bpr(A64Cpu *cpu, const A64Sysreg *r, uint64_t value)
{
    unsigned g = group_of(r);

    if (is_virtual_group(cpu, g)) {
        gic_icv_set_bpr(gic_of(cpu), g, value & 7);
    } else {
        gic_cpu_set_bpr(gic_of(cpu), g, value & 7);
    }
}

static uint64_t read_ap(A64Cpu *cpu, const A64Sysreg *r)
{
    unsigned      g = group_of(r);
    const GicCpu *c = gic_of(cpu);

    if (is_virtual_group(cpu, g)) {
        return g == 0 ? c->virt.ap0r[0] : c->virt.ap1r[0];
    }
    return c->ap[g];
}

static void write_ap(A64Cpu *cpu, const A64Sysreg *r, uint64_t value)
{
    unsigned g = group_of(r);
    GicCpu  *c = gic_of(cpu);

    if (is_virtual_group(cpu, g)) {
        gic_ich_set_ap(c, g, value);
    } else {
        c->ap[g] = (uint32_t)value;
        gic_update(c);
    }
}

static unsigned igrpen_group(const A64Sysreg *r) { return op2(r) == 7; }

static uint64_t read_igrpen(A64Cpu *cpu, const A64Sysreg *r)
{
    unsigned g = igrpen_group(r);

    if (is_virtual_group(cpu, g)) {
        return gic_icv_group_enable(gic_of(cpu), g);
    }
    return gic_of(cpu)->group_enable >> g & 1;
}

static void write_igrpen(A64Cpu *cpu, const A64Sysreg *r, uint64_t value)
{
    unsigned g = igrpen_group(r);

    if (is_virtual_group(cpu, g)) {
        gic_icv_set_group_enable(gic_of(cpu), g, value & 1);
    } else {
        gic_cpu_set_group_enable(gic_of(cpu), g, value & 1);
    }
}

static bool is_virtual_common(const A64Cpu *cpu)
{
    return is_virtual(cpu, HCR_IMO | HCR_FMO);
}

static uint64_t read_pmr(A64Cpu *cpu, const A64Sysreg *r)
{
    return is_virtual_common(cpu) ? gic_icv_pmr(gic_of(cpu)) : gic_of(cpu)->pmr;
}

static void write_pmr(A64Cpu *cpu, const A64Sysreg *r, uint64_t value)
{
    if (is_virtual_common(cpu)) {
        gic_icv_set_pmr(gic_of(cpu), (uint8_t)value);
    } else {
        gic_cpu_set_pmr(gic_of(cpu), (uint8_t)value);
    }
}

static uint64_t read_rpr(A64Cpu *cpu, const A64Sysreg *r)
{
    return is_virtual_common(cpu) ? gic_icv_rpr(gic_of(cpu)) : gic_cpu_rpr(gic_of(cpu));
}

static uint64_t read_ctlr(A64Cpu *cpu, const A64Sysreg *r)
{
    return is_virtual_common(cpu) ? gic_icv_ctlr(gic_of(cpu)) : gic_of(cpu)->ctlr | GIC_CTLR_FIXED;
}

static void write_ctlr(A64Cpu *cpu, const A64Sysreg *r, uint64_t value)
{
    if (is_virtual_common(cpu)) {
        gic_icv_set_ctlr(gic_of(cpu), value);
    } else {
        gic_cpu_set_ctlr(gic_of(cpu), value);
    }
}

static void write_dir(A64Cpu *cpu, const A64Sysreg *r, uint64_t value)
{
    if (is_virtual_common(cpu)) {
        gic_icv_dir(gic_of(cpu), (uint32_t)value & 0xffffff);
    } else {
        gic_cpu_dir(gic_of(cpu), (uint32_t)value & 0xffffff);
    }
}

static void write_sgi(A64Cpu *cpu, const A64Sysreg *r, uint64_t value)
{
    /* ICC_SGI0R is op2 7. ICC_ASGI1R has no other Group 1 to name. */
    gic_cpu_sgi(gic_of(cpu), op2(r) != 7, value);
}

/* ICC_CTLR_EL3: CBPR_EL1NS 1, EOImode_EL1NS 4 (one bank, so EOImode_EL3 2 shows the same). */
static uint64_t read_ctlr_el3(A64Cpu *cpu, const A64Sysreg *r)
{
    uint32_t ctlr = gic_of(cpu)->ctlr;
    uint64_t cbpr = ctlr & GIC_CTLR_CBPR ? BIT(1) : 0;
    uint64_t eoimode = ctlr & GIC_CTLR_EOIMODE ? BIT(4) | BIT(2) : 0;

    return GIC_CTLR_FIXED | cbpr | eoimode;
}

static void write_ctlr_el3(A64Cpu *cpu, const A64Sysreg *r, uint64_t value)
{
    uint64_t cbpr = value & BIT(1) ? GIC_CTLR_CBPR : 0, eoimode = value & BIT(4) ? GIC_CTLR_EOIMODE : 0;

    gic_cpu_set_ctlr(gic_of(cpu), cbpr | eoimode);
}

static uint64_t read_igrpen1_el3(A64Cpu *cpu, const A64Sysreg *r)
{
    return gic_of(cpu)->group_enable >> 1 & 1; /* EnableGrp1NS; EnableGrp1S is RES0 here */
}

static void write_igrpen1_el3(A64Cpu *cpu, const A64Sysreg *r, uint64_t value)
{
    gic_cpu_set_group_enable(gic_of(cpu), 1, value & 1);
}

/* ---- ICH_* ---- */

static uint64_t read_ich_hcr(A64Cpu *cpu, const A64Sysreg *r) { return gic_of(cpu)->virt.hcr; }
static uint64_t read_ich_vtr(A64Cpu *cpu, const A64Sysreg *r) { return gic_cpu_vtr(gic_of(cpu)); }
static uint64_t read_ich_misr(A64Cpu *cpu, const A64Sysreg *r) { return gic_cpu_misr(gic_of(cpu)); }
static uint64_t read_ich_eisr(A64Cpu *cpu, const A64Sysreg *r) { return gic_ich_eisr(gic_of(cpu)); }
static uint64_t read_ich_elrsr(A64Cpu *cpu, const A64Sysreg *r) { return gic_ich_elrsr(gic_of(cpu)); }
static uint64_t read_ich_vmcr(A64Cpu *cpu, const A64Sysreg *r) { return gic_of(cpu)->virt.vmcr; }

static void write_ich_hcr(A64Cpu *cpu, const A64Sysreg *r, uint64_t value)
{
    gic_ich_set_hcr(gic_of(cpu), value);
}

static void write_ich_vmcr(A64Cpu *cpu, const A64Sysreg *r, uint64_t value)
{
    gic_ich_set_vmcr(gic_of(cpu), value);
}

static uint64_t read_ich_ap(A64Cpu *cpu, const A64Sysreg *r)
{
    return group_of(r) == 0 ? gic_of(cpu)->virt.ap0r[0] : gic_of(cpu)->virt.ap1r[0];
}

static void write_ich_ap(A64Cpu *cpu, const A64Sysreg *r, uint64_t value)
{
    gic_ich_set_ap(gic_of(cpu), group_of(r), value);
}

/* ICH_LR<n>_EL2: n is CRm[0]:op2. */
static unsigned lr_index(const A64Sysreg *r) { return (crm(r) & 1) << 3 | op2(r); }

static uint64_t read_ich_lr(A64Cpu *cpu, const A64Sysreg *r)
{
    return gic_of(cpu)->virt.lrs[lr_index(r)];
}

static void write_ich_lr(A64Cpu *cpu, const A64Sysreg *r, uint64_t value)
{
    gic_ich_set_lr(gic_of(cpu), lr_index(r), value);
}

/* ---- the table ---- */

enum { NEVER = 9 };

/* Reading it acknowledges the interrupt. */
#define ICC_IAR(crm)      .enc = A64_SYSREG_ENC(3, 0, 12, crm, 0), .offset = -1, .effects = SYSREG_IRQ | SYSREG_ACTS
#define ICC(crm, op2)     .enc = A64_SYSREG_ENC(3, 0, 12, crm, op2), .offset = -1, .effects = SYSREG_IRQ
#define ICH(crm, op2)     .enc = A64_SYSREG_ENC(3, 4, 12, crm, op2), .offset = -1, .effects = SYSREG_IRQ
#define ICC3(op2)         .enc = A64_SYSREG_ENC(3, 6, 12, 12, op2), .offset = -1, .effects = SYSREG_IRQ
#define RW(el, check, rd, wr) .min_el = el, .min_el_write = el, .access = check, .read = rd, .write = wr
#define RO(el, check, rd) .min_el = el, .min_el_write = NEVER, .access = check, .read = rd
#define WO(el, check, wr) .min_el = NEVER, .min_el_write = el, .access = check, .write = wr

A64_SYSREG(icc_pmr, .name = "ICC_PMR_EL1", .enc = A64_SYSREG_ENC(3, 0, 4, 6, 0), .offset = -1,
           .effects = SYSREG_IRQ,
           RW(1, access_common, read_pmr, write_pmr));
A64_SYSREG(icc_iar0, .name = "ICC_IAR0_EL1", ICC_IAR(8), RO(1, access_group0, read_iar));
A64_SYSREG(icc_eoir0, .name = "ICC_EOIR0_EL1", ICC(8, 1), WO(1, access_group0, write_eoir));
A64_SYSREG(icc_hppir0, .name = "ICC_HPPIR0_EL1", ICC(8, 2), RO(1, access_group0, read_hppir));
A64_SYSREG(icc_bpr0, .name = "ICC_BPR0_EL1", ICC(8, 3), RW(1, access_group0, read_bpr, write_bpr));
A64_SYSREG(icc_ap0r0, .name = "ICC_AP0R0_EL1", ICC(8, 4), RW(1, access_group0, read_ap, write_ap));
A64_SYSREG(icc_ap1r0, .name = "ICC_AP1R0_EL1", ICC(9, 0), RW(1, access_group1, read_ap, write_ap));
A64_SYSREG(icc_dir, .name = "ICC_DIR_EL1", ICC(11, 1), WO(1, access_dir, write_dir));
A64_SYSREG(icc_rpr, .name = "ICC_RPR_EL1", ICC(11, 3), RO(1, access_common, read_rpr));
A64_SYSREG(icc_sgi1r, .name = "ICC_SGI1R_EL1", ICC(11, 5), WO(1, access_sgi, write_sgi));
A64_SYSREG(icc_asgi1r, .name = "ICC_ASGI1R_EL1", ICC(11, 6), WO(1, access_sgi, write_sgi));
A64_SYSREG(icc_sgi0r, .name = "ICC_SGI0R_EL1", ICC(11, 7), WO(1, access_sgi, write_sgi));
A64_SYSREG(icc_iar1, .name = "ICC_IAR1_EL1", ICC_IAR(12), RO(1, access_group1, read_iar));
A64_SYSREG(icc_eoir1, .name = "ICC_EOIR1_EL1", ICC(12, 1), WO(1, access_group1, write_eoir));
A64_SYSREG(icc_hppir1, .name = "ICC_HPPIR1_EL1", ICC(12, 2), RO(1, access_group1, read_hppir));
A64_SYSREG(icc_bpr1, .name = "ICC_BPR1_EL1", ICC(12, 3), RW(1, access_group1, read_bpr, write_bpr));
A64_SYSREG(icc_ctlr, .name = "ICC_CTLR_EL1", ICC(12, 4), RW(1, access_common, read_ctlr, write_ctlr));
A64_SYSREG(icc_sre, .name = "ICC_SRE_EL1", ICC(12, 5), .min_el = 1, .min_el_write = 1,
           .access = access_present,
           .reset = SRE_EL1);
A64_SYSREG(icc_igrpen0, .name = "ICC_IGRPEN0_EL1", ICC(12, 6),
           RW(1, access_igrpen0, read_igrpen, write_igrpen));
A64_SYSREG(icc_igrpen1, .name = "ICC_IGRPEN1_EL1", ICC(12, 7),
           RW(1, access_igrpen1, read_igrpen, write_igrpen));
A64_SYSREG(icc_sre_el2, .name = "ICC_SRE_EL2", ICH(9, 5), .min_el = 2, .min_el_write = 2,
           .access = access_present,
           .reset = SRE_EL2);
A64_SYSREG(icc_ctlr_el3, .name = "ICC_CTLR_EL3", ICC3(4),
           RW(3, access_present, read_ctlr_el3, write_ctlr_el3));
A64_SYSREG(icc_sre_el3, .name = "ICC_SRE_EL3", ICC3(5), .min_el = 3, .min_el_write = 3,
           .access = access_present,
           .reset = SRE_EL2);
A64_SYSREG(icc_igrpen1_el3, .name = "ICC_IGRPEN1_EL3", ICC3(7),
           RW(3, access_present, read_igrpen1_el3, write_igrpen1_el3));

A64_SYSREG(ich_ap0r0, .name = "ICH_AP0R0_EL2", ICH(8, 0), RW(2, access_present, read_ich_ap, write_ich_ap));
A64_SYSREG(ich_ap1r0, .name = "ICH_AP1R0_EL2", ICH(9, 0), RW(2, access_present, read_ich_ap, write_ich_ap));
A64_SYSREG(ich_hcr, .name = "ICH_HCR_EL2", ICH(11, 0), RW(2, access_present, read_ich_hcr, write_ich_hcr));
A64_SYSREG(ich_vtr, .name = "ICH_VTR_EL2", ICH(11, 1), RO(2, access_present, read_ich_vtr));
A64_SYSREG(ich_misr, .name = "ICH_MISR_EL2", ICH(11, 2), RO(2, access_present, read_ich_misr));
A64_SYSREG(ich_eisr, .name = "ICH_EISR_EL2", ICH(11, 3), RO(2, access_present, read_ich_eisr));
A64_SYSREG(ich_elrsr, .name = "ICH_ELRSR_EL2", ICH(11, 5), RO(2, access_present, read_ich_elrsr));
A64_SYSREG(ich_vmcr, .name = "ICH_VMCR_EL2", ICH(11, 7),
           RW(2, access_present, read_ich_vmcr, write_ich_vmcr));

#define ICH_LR(n)                                                                                         \
    A64_SYSREG(ich_lr##n, .name = "ICH_LR" #n "_EL2", ICH(12 + (n) / 8, (n) % 8),                          \
               RW(2, access_present, read_ich_lr, write_ich_lr))
ICH_LR(0);
ICH_LR(1);
ICH_LR(2);
ICH_LR(3);
ICH_LR(4);
ICH_LR(5);
ICH_LR(6);
ICH_LR(7);
ICH_LR(8);
ICH_LR(9);
ICH_LR(10);
ICH_LR(11);
ICH_LR(12);
ICH_LR(13);
ICH_LR(14);
ICH_LR(15);

/* ---- joining a CPU ---- */

static void set_cpu_line(void *opaque, unsigned index, GicLine line, bool level)
{
    Gic *gic = opaque;

    if (gic->cpus[index].a64 != NULL) {
        a64_set_line(gic->cpus[index].a64, (A64Line)line, level);
    }
}

void gicv3_connect(Gic *gic, unsigned index, A64Cpu *cpu)
{
    GicCpu *c = gicv3_cpu(gic, index);

    if (c == NULL) {
        return;
    }
    c->a64 = cpu;
    cpu->gic = c;
    if (gic->config.set_line == NULL) {
        gic->config.set_line = set_cpu_line;
        gic->config.opaque = gic;
    }
    for (GicLine line = 0; line < GIC_N_LINES && gic->config.set_line == set_cpu_line; line++) {
        a64_set_line(cpu, (A64Line)line, c->line[line]);
    }
}
