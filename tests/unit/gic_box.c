/* The box and the interpreter of its scripts. */
#include <string.h>

#include "gic_box.h"

static const MemAttrs by_cpu = { .pas = PAS_NONSECURE };

static MemResult ram_read(void *opaque, uint64_t addr, void *dst, size_t len)
{
    GicBox *box = opaque;

    if (addr < BOX_RAM || addr - BOX_RAM > BOX_RAM_SIZE || len > BOX_RAM_SIZE - (addr - BOX_RAM)) {
        return MEM_DECODE;
    }
    memcpy(dst, box->ram + (addr - BOX_RAM), len);
    return MEM_OK;
}

static MemResult ram_write(void *opaque, uint64_t addr, const void *src, size_t len)
{
    GicBox *box = opaque;

    if (addr < BOX_RAM || addr - BOX_RAM > BOX_RAM_SIZE || len > BOX_RAM_SIZE - (addr - BOX_RAM)) {
        return MEM_DECODE;
    }
    memcpy(box->ram + (addr - BOX_RAM), src, len);
    return MEM_OK;
}

static void note_line(void *opaque, unsigned cpu, GicLine line, bool level)
{
    GicBox *box = opaque;

    box->line[cpu][line] = level;
}

void gic_box_init(GicBox *box, bool virtual_instance)
{
    GicConfig config = { .n_cpus = 2, .n_spis = 64, .has_its = true, .is_virtual = virtual_instance,
                         .bus = { ram_read, ram_write, box }, .set_line = note_line, .opaque = box };

    memset(box, 0, sizeof(*box));
    box->gic = gicv3_new(&config);
}

void gic_box_free(GicBox *box)
{
    gicv3_free(box->gic);
}

uint64_t gic_box_read(GicBox *box, const MmioOps *ops, uint64_t off, unsigned size)
{
    uint64_t value = 0;

    assert_int_equal(ops->read(box->gic, off, size, by_cpu, &value), MEM_OK);
    return value;
}

void gic_box_write(GicBox *box, const MmioOps *ops, uint64_t off, unsigned size, uint64_t value)
{
    assert_int_equal(ops->write(box->gic, off, size, by_cpu, value), MEM_OK);
}

void gic_box_enable(GicBox *box)
{
    gic_box_write(box, &gicv3_dist_ops, 0, 4, 3);
    gic_box_write(box, &gicv3_dist_ops, 0x84, 4, ~0u);
    gic_box_write(box, &gicv3_dist_ops, 0x88, 4, ~0u);
    for (unsigned i = 0; i < 2; i++) {
        GicCpu *cpu = gicv3_cpu(box->gic, i);

        gic_box_write(box, &gicv3_redist_ops, i * 0x20000 + 0x14, 4, 0);
        gic_box_write(box, &gicv3_redist_ops, i * 0x20000 + 0x10080, 4, ~0u);
        gic_cpu_set_pmr(cpu, 0xf8);
        gic_cpu_set_group_enable(cpu, 0, true);
        gic_cpu_set_group_enable(cpu, 1, true);
    }
}

static unsigned lines(const GicBox *box, unsigned cpu)
{
    unsigned v = 0;

    for (unsigned i = 0; i < GIC_N_LINES; i++) {
        v |= box->line[cpu][i] ? 1u << i : 0;
    }
    return v;
}

/* Steps that do something. Returns false for those that read. */
static bool act(GicBox *box, const Step *s)
{
    GicCpu *c0 = gicv3_cpu(box->gic, 0), *c1 = gicv3_cpu(box->gic, 1);

    switch (s->op) {
    case GICD_W: gic_box_write(box, &gicv3_dist_ops, s->a, 4, s->b); return true;
    case GICD_W8: gic_box_write(box, &gicv3_dist_ops, s->a, 1, s->b); return true;
    case GICD_W64: gic_box_write(box, &gicv3_dist_ops, s->a, 8, s->b); return true;
    case GICR_W: gic_box_write(box, &gicv3_redist_ops, s->a, 4, s->b); return true;
    case GICR_W64: gic_box_write(box, &gicv3_redist_ops, s->a, 8, s->b); return true;
    case SPI: gicv3_set_spi(box->gic, (unsigned)s->a, s->b); return true;
    case PPI: gicv3_set_ppi(c0, (unsigned)s->a, s->b); return true;
    case PPI1: gicv3_set_ppi(c1, (unsigned)s->a, s->b); return true;
    case EOI: gic_cpu_eoi(c0, (unsigned)s->a, (uint32_t)s->b); return true;
    case EOI1: gic_cpu_eoi(c1, (unsigned)s->a, (uint32_t)s->b); return true;
    case DEACT: gic_cpu_dir(c0, (uint32_t)s->b); return true;
    case PMR: gic_cpu_set_pmr(c0, (uint8_t)s->a); return true;
    case GRPEN: gic_cpu_set_group_enable(c0, (unsigned)s->a, s->b); return true;
    case CTLR: gic_cpu_set_ctlr(c0, s->a); return true;
    case BPR: gic_cpu_set_bpr(c0, (unsigned)s->a, (unsigned)s->b); return true;
    case SGI: gic_cpu_sgi(c0, (unsigned)s->a, s->b); return true;
    case SGI1: gic_cpu_sgi(c1, (unsigned)s->a, s->b); return true;
    case HCR: gic_ich_set_hcr(c0, s->a); return true;
    case VMCR: gic_ich_set_vmcr(c0, s->a); return true;
    case LR: gic_ich_set_lr(c0, (unsigned)s->a, s->b); return true;
    case VEOI: gic_icv_eoi(c0, (unsigned)s->a, (uint32_t)s->b); return true;
    case VDIR: gic_icv_dir(c0, (uint32_t)s->b); return true;
    case VPMR: gic_icv_set_pmr(c0, (uint8_t)s->a); return true;
    case VGRPEN: gic_icv_set_group_enable(c0, (unsigned)s->a, s->b); return true;
    case VCTLR: gic_icv_set_ctlr(c0, s->a); return true;
    case VBPR: gic_icv_set_bpr(c0, (unsigned)s->a, (unsigned)s->b); return true;
    default: return false;
    }
}

/* Steps that read: by group or register (a) where there is one, else just the value (a). *@want is what is
 * expected. */
static uint64_t ask(GicBox *box, const Step *s, uint64_t *want)
{
    GicCpu *c0 = gicv3_cpu(box->gic, 0), *c1 = gicv3_cpu(box->gic, 1);

    *want = s->b;
    switch (s->op) {
    case GICD_R: return gic_box_read(box, &gicv3_dist_ops, s->a, 4);
    case GICD_R8: return gic_box_read(box, &gicv3_dist_ops, s->a, 1);
    case GICD_R64: return gic_box_read(box, &gicv3_dist_ops, s->a, 8);
    case GICR_R: return gic_box_read(box, &gicv3_redist_ops, s->a, 4);
    case GICR_R64: return gic_box_read(box, &gicv3_redist_ops, s->a, 8);
    case ACK: return gic_cpu_ack(c0, (unsigned)s->a);
    case ACK1: return gic_cpu_ack(c1, (unsigned)s->a);
    case HPPI: return gic_cpu_hppi(c0, (unsigned)s->a);
    case BPR_R: return gic_cpu_bpr(c0, (unsigned)s->a);
    case AP: return c0->ap[s->a];
    case LR_R: return c0->virt.lrs[s->a];
    case VACK: return gic_icv_ack(c0, (unsigned)s->a);
    case VHPPI: return gic_icv_hppi(c0, (unsigned)s->a);
    case VBPR_R: return gic_icv_bpr(c0, (unsigned)s->a);
    case VAP: return s->a == 0 ? c0->virt.ap0r[0] : c0->virt.ap1r[0];
    default: break;
    }
    *want = s->a;
    switch (s->op) {
    case LINES: return lines(box, 0);
    case LINES1: return lines(box, 1);
    case RPR: return gic_cpu_rpr(c0);
    case HCR_R: return c0->virt.hcr;
    case VMCR_R: return c0->virt.vmcr;
    case MISR: return gic_cpu_misr(c0);
    case EISR: return gic_ich_eisr(c0);
    case ELRSR: return gic_ich_elrsr(c0);
    case VRPR: return gic_icv_rpr(c0);
    default: fail_msg("unknown step %d", s->op);
    }
    return 0;
}

void gic_box_run(GicBox *box, const Script *script)
{
    for (unsigned i = 0; i < BOX_MAX_STEPS && script->steps[i].op != END; i++) {
        const Step *s = &script->steps[i];

        if (!act(box, s)) {
            uint64_t want, got = ask(box, s, &want);

            if (got != want) {
                fail_msg("%s: step %u: 0x%llx, not 0x%llx", script->name, i + 1, (unsigned long long)got,
                         (unsigned long long)want);
            }
        }
    }
}
