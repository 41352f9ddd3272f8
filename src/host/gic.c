/*
 * The physical interrupt controller, programmed by its registers as a kernel does. The host takes: an SGI
 * that makes a CPU leave the Realm, the Realm's timers (only so that they cause an exit: their levels come
 * with it), its own timer, and LPIs of passed-through functions.
 */
#include "host/host_int.h"
#include "log.h"

enum {
    GICD_CTLR = 0x0000,
    GICD_IGROUPR = 0x0080,
    GICD_ISENABLER = 0x0100,
    GICD_IPRIORITYR = 0x0400,
    GICD_ICFGR = 0x0c00,
    GICR_WAKER = 0x0014,
    GICR_SGI_FRAME = 0x10000,
    GICR_IGROUPR0 = GICR_SGI_FRAME + 0x080,
    GICR_ISENABLER0 = GICR_SGI_FRAME + 0x100,
    GICR_ICENABLER0 = GICR_SGI_FRAME + 0x180,
    GICR_IPRIORITYR = GICR_SGI_FRAME + 0x400,
};
#define GICD_CTLR_ARE_GRP1 0x12u
#define ICFGR_EDGE         2u
#define HOST_PRIORITY      0x80

static unsigned smmu_event_intid(const Host *h) { return 32 + h->cfg.board->spi_smmu[SMMU_IRQ_EVTQ]; }

static void put32(Host *h, uint64_t addr, uint32_t v)
{
    host_reg_write(h, addr, 4, v);
}

void host_gic_init(Host *h)
{
    put32(h, h->cfg.board->gicd.base + GICD_CTLR, GICD_CTLR_ARE_GRP1);
    for (unsigned i = 0; i < h->n_recs; i++) {
        uint64_t frame = h->cfg.board->gicr + i * CCA_GICR_STRIDE;

        put32(h, frame + GICR_WAKER, 0);
        put32(h, frame + GICR_IGROUPR0, ~0u);
        for (unsigned n = 0; n < 32; n += 4) {
            put32(h, frame + GICR_IPRIORITYR + n, HOST_PRIORITY * 0x01010101u);
        }
        put32(h, frame + GICR_ISENABLER0,
              1u << KICK_SGI | 1u << CCA_PPI_HYP_TIMER | 1u << CCA_PPI_VIRT_TIMER | 1u << CCA_PPI_PHYS_TIMER |
                  (h->cfg.options->realm_pmu != 0 ? 1u << CCA_PPI_PMU | 1u << CCA_PPI_GIC_MAINT : 0));
        h->cpus[i].gic = gicv3_cpu(h->cfg.gic, i);
        gic_cpu_set_pmr(h->cpus[i].gic, 0xff);
        gic_cpu_set_group_enable(h->cpus[i].gic, 1, true);
    }
}

/* An edge-triggered shared interrupt, to CPU 0 (the routing register's reset value). */
static void enable_edge_spi(Host *h, unsigned intid)
{
    uint64_t groups = h->cfg.board->gicd.base + GICD_IGROUPR + intid / 32 * 4, bit = 1u << intid % 32;
    uint64_t config = h->cfg.board->gicd.base + GICD_ICFGR + intid / 16 * 4;

    put32(h, groups, (uint32_t)(host_reg_read(h, groups, 4) | bit));
    put32(h, config, (uint32_t)host_reg_read(h, config, 4) | ICFGR_EDGE << intid % 16 * 2);
    host_reg_write(h, h->cfg.board->gicd.base + GICD_IPRIORITYR + intid, 1, HOST_PRIORITY);
    put32(h, h->cfg.board->gicd.base + GICD_ISENABLER + intid / 32 * 4, (uint32_t)bit);
}

void host_gic_init_devices(Host *h)
{
    enable_edge_spi(h, smmu_event_intid(h));
}

void host_gic_pmu(Host *h, const HostCpu *hc, bool on)
{
    put32(h, h->cfg.board->gicr + hc->cpu->cpu.index * CCA_GICR_STRIDE + (on ? GICR_ISENABLER0 : GICR_ICENABLER0),
          1u << CCA_PPI_PMU);
}

void host_gic_kick(Host *h, unsigned index)
{
    if (h->cpus[index].state == HOST_REC_ENTERED) {
        uint64_t mpidr = h->cpus[index].cpu->mpidr;

        /* ICC_SGI1R_EL1: Aff2 39:32, INTID 27:24, Aff1 23:16, target list 15:0 of Aff0, which is below 16 here. */
        gic_cpu_sgi(h->cpus[index].gic, 1,
                    extract64(mpidr, 16, 8) << 32 | (uint64_t)KICK_SGI << 24 | extract64(mpidr, 8, 8) << 16 |
                        1ull << (mpidr & 15));
    }
    machine_wake(h->cfg.machine);
}

void host_gic_serve(Host *h, HostCpu *hc)
{
    for (;;) {
        uint32_t intid = gic_cpu_ack(hc->gic, 1);

        if (intid >= 1020 && intid < GIC_FIRST_LPI) {
            return;
        }
        if (intid == CCA_PPI_HYP_TIMER) {
            hc->cpu->el2.cnthp_ctl = 0;
            a64_timers_update(hc->cpu);
        } else if (intid == smmu_event_intid(h)) {
            host_smmu_events(h);
        } else if (intid >= GIC_FIRST_LPI) {
            host_msix_interrupt(h, intid);
        }
        gic_cpu_eoi(hc->gic, 1, intid);
    }
}
