/*
 * The physical interrupt controller, programmed by its registers as a kernel does. The host takes: an SGI that makes
 * a CPU leave the Realm, the Realm's timers (only so that they cause an exit: their levels come with it), its own
 * timer, and LPIs of passed-through functions.
 */
#include "host/host_int.h"
#include "log.h"

enum {
    GICD_CTLR = 0x0000, GICR_WAKER = 0x0014,
    GICR_SGI_FRAME = 0x10000, GICR_IGROUPR0 = GICR_SGI_FRAME + 0x080, GICR_ISENABLER0 = GICR_SGI_FRAME + 0x100,
    GICR_IPRIORITYR = GICR_SGI_FRAME + 0x400,
};
#define GICD_CTLR_ARE_GRP1 0x12u
#define HOST_PRIORITY      0x80

static void put32(Host *h, uint64_t addr, uint32_t v)
{
    uint8_t b[4];

    le32_put(b, v);
    if (memory_write(h->cfg.memory, addr, host_attrs, b, sizeof(b)) != MEM_OK) {
        log_error("the built-in host cannot reach the interrupt controller at 0x%llx", (unsigned long long)addr);
    }
}

void host_gic_init(Host *h)
{
    put32(h, CCA_GICD_BASE + GICD_CTLR, GICD_CTLR_ARE_GRP1);
    for (unsigned i = 0; i < h->n_recs; i++) {
        uint64_t frame = CCA_GICR_BASE + i * CCA_GICR_STRIDE;

        put32(h, frame + GICR_WAKER, 0);
        put32(h, frame + GICR_IGROUPR0, ~0u);
        for (unsigned n = 0; n < 32; n += 4) {
            put32(h, frame + GICR_IPRIORITYR + n, HOST_PRIORITY * 0x01010101u);
        }
        put32(h, frame + GICR_ISENABLER0,
              1u << KICK_SGI | 1u << CCA_PPI_HYP_TIMER | 1u << CCA_PPI_VIRT_TIMER | 1u << CCA_PPI_PHYS_TIMER);
        h->cpus[i].gic = gicv3_cpu(h->cfg.gic, i);
        gic_cpu_set_pmr(h->cpus[i].gic, 0xff);
        gic_cpu_set_group_enable(h->cpus[i].gic, 1, true);
    }
}

void host_gic_kick(Host *h, unsigned index)
{
    if (h->cpus[index].state == HOST_REC_ENTERED) {
        /* ICC_SGI1R_EL1: INTID 27:24, target list 15:0 of Aff0, RS for Aff0 above 15 does not occur here. */
        gic_cpu_sgi(h->cpus[index].gic, 1, (uint64_t)KICK_SGI << 24 | 1ull << (index & 15));
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
        }
        gic_cpu_eoi(hc->gic, 1, intid);
    }
}
