/*
 * What the parts of the GICv3 model share: state of the interrupt controller, of one CPU's part, of the
 * ITS, and the few functions that keep the chosen interrupt and the CPU lines right after a change.
 * Everything here is plain data but the pointers between parts and the LPI arrays.
 */
#ifndef BAILEY_HW_GICV3_INT_H
#define BAILEY_HW_GICV3_INT_H

#include "hw/gicv3.h"
#include "log.h"

enum {
    GIC_N_INTIDS = 1024,          /* without LPIs */
    GIC_N_WORDS = GIC_N_INTIDS / 32,
    GIC_FIRST_SPI = 32,
    GIC_FIRST_SPECIAL = 1020,     /* 1020 to 1023 */
    GIC_ID_BITS = 16,
    GIC_N_LPIS = (1 << GIC_ID_BITS) - GIC_FIRST_LPI,
    GIC_LPI_WORDS = GIC_N_LPIS / 64,
    GIC_LPI_SUMMARY = GIC_LPI_WORDS / 64,
    GIC_PRIO_MASK = 0xf8,         /* 5 priority bits */
    GIC_PRIO_SHIFT = 3,
    GIC_IDLE_PRIO = 0xff,
    GIC_MIN_BPR0 = 2,             /* group priority [7:3] */
    GIC_MIN_BPR1 = 3,
    GIC_NO_CPU = 0xffff,
};

#define GIC_NO_INTID UINT32_MAX

/* Interrupts of one word of GICD_I<x>R or GICR_I<x>R0, one bit each. */
typedef struct GicBank {
    uint32_t group;   /* 1: Group 1 */
    uint32_t enabled;
    uint32_t latched; /* pending by an edge, by software or by a message */
    uint32_t level;   /* of the input */
    uint32_t edge;    /* configured edge-triggered */
    uint32_t active;
    uint32_t in_lr;   /* virtual instance: out in a vCPU's list registers */
} GicBank;

/* A candidate for delivery; GIC_SPURIOUS at GIC_IDLE_PRIO when there is none. */
typedef struct GicBest {
    uint32_t intid;
    uint8_t  prio, group;
} GicBest;

/* LPIs of one redistributor. The arrays exist from the first GICR_CTLR.EnableLPIs on. */
typedef struct GicLpis {
    uint64_t *pending;                    /* [GIC_LPI_WORDS], bit of INTID - 8192 */
    uint64_t *ready;                      /* pending and enabled */
    uint64_t  summary[GIC_LPI_SUMMARY];   /* words of ready that are not zero */
    uint8_t  *config;                     /* [GIC_N_LPIS] property table as last read */
    uint32_t  n;                          /* LPIs that GICR_PROPBASER.IDbits reaches */
    bool      stale;                      /* INVALL: the property table is to be read again */
    bool      best_valid;
    GicBest   best;
} GicLpis;

struct GicCpu {
    Gic     *gic;
    unsigned index;
    uint32_t affinity;     /* Aff3.Aff2.Aff1.Aff0 */
    void    *a64;          /* gicv3_connect() */
    bool     line[GIC_N_LINES];

    /* Redistributor. */
    GicBank  ppi;          /* INTIDs 0 to 31 */
    uint8_t  prio[32];
    bool     asleep;       /* GICR_WAKER.ProcessorSleep */
    uint32_t rctlr;        /* GICR_CTLR */
    uint64_t propbaser, pendbaser;
    GicLpis  lpi;
    GicBest  best;         /* what would be signalled next, masks and running priority aside */

    /* CPU interface, physical (ICC_*). */
    uint8_t  pmr, bpr[2], group_enable; /* group_enable: bit per group */
    uint32_t ctlr;         /* CBPR, EOImode */
    uint32_t ap[2];        /* ICC_AP0R0, ICC_AP1R0 */

    GicVirtState virt;     /* ICH_* */

    /* Virtual instance: what the last gicv3_virt_fill_lrs() gave. */
    uint32_t lr_intid[GIC_N_LRS]; /* GIC_NO_INTID: nothing */
    uint32_t lr_gave_pending;     /* bit per list register */
    bool     lrs_full;
};

typedef struct Its {
    uint32_t ctlr;         /* Enabled */
    uint64_t cbaser, cwriter, creadr, baser[2];
    bool     stalled;
    bool     running;      /* in the command loop */
    const char *last_error; /* of the last command that failed; NULL: none since reset */
} Its;

struct Gic {
    GicConfig config;
    unsigned  n_words;     /* of 32 INTIDs, word 0 included */
    uint32_t  ctlr;        /* GICD_CTLR.EnableGrp0, EnableGrp1 */
    GicBank   spi[GIC_N_WORDS];      /* word 0 unused */
    uint32_t  ready_words;           /* words of spi[] with an interrupt to deliver, whoever takes it */
    uint8_t   prio[GIC_N_INTIDS];
    uint64_t  irouter[GIC_N_INTIDS];
    uint16_t  target[GIC_N_INTIDS];  /* CPU of irouter, or GIC_NO_CPU */
    uint16_t  holder[GIC_N_INTIDS];  /* virtual instance: vCPU that has it active */
    unsigned  in_dma;      /* the model itself is accessing memory: its own registers do not answer */
    GicCpu   *cpus;
    Its       its;
};

/* ---- gicv3.c: state to lines ---- */

/* gic_bank - bank of an INTID below 1020 as @cpu sees it, or NULL; *@bit is the INTID's bit. */
GicBank *gic_bank(GicCpu *cpu, uint32_t intid, uint32_t *bit);
uint8_t  gic_prio(const GicCpu *cpu, uint32_t intid);

static inline uint32_t gic_bank_pending(const GicBank *b)
{
    return b->latched | (b->level & ~b->edge);
}

/* Pending, enabled and not held anywhere. */
static inline uint32_t gic_bank_ready(const GicBank *b)
{
    return gic_bank_pending(b) & b->enabled & ~b->active & ~b->in_lr;
}

/* gic_update - choose the CPU's interrupt again and set its lines; gic_update_all does it for all. */
void gic_update(GicCpu *cpu);
void gic_update_all(Gic *gic);

/* gic_spi_changed - after a change of spi[@word]; the CPUs are not updated. */
void gic_spi_changed(Gic *gic, unsigned word);

/* gic_intid_changed - after a change of one interrupt below 1020, or of an LPI of @cpu: updates whoever it
 * concerns. */
void gic_intid_changed(GicCpu *cpu, uint32_t intid);

/* gic_deactivate - the interrupt is no longer active (ICC_DIR, EOI, a list register with HW == 1). */
void gic_deactivate(GicCpu *cpu, uint32_t intid);

void gic_line(GicCpu *cpu, GicLine line, bool level);

/* gic_route - target[] of an SPI from its irouter[]. */
void gic_route(Gic *gic, uint32_t intid);

/* gic_read, gic_write - tables in guest memory. */
bool gic_read(Gic *gic, uint64_t addr, void *dst, size_t len);
bool gic_write(Gic *gic, uint64_t addr, const void *src, size_t len);

/* ---- gicv3_cpuif.c, gicv3_virt.c ---- */

/* gic_can_signal - whether the interface would signal cpu->best: priority mask, running priority. */
bool gic_can_signal(const GicCpu *cpu);

/* gic_group_mask - bits of a priority that decide on preemption ("Priority grouping"). */
uint8_t gic_group_mask(unsigned group, unsigned bpr0, unsigned bpr1, bool cbpr);

unsigned gic_cpu_bpr(const GicCpu *cpu, unsigned group);

/* gic_virt_update - virtual lines and the maintenance interrupt. */
void gic_virt_update(GicCpu *cpu);
void gic_virt_reset(GicCpu *cpu);

uint64_t gic_ich_eisr(const GicCpu *cpu);
uint64_t gic_ich_elrsr(const GicCpu *cpu);
void     gic_ich_set_hcr(GicCpu *cpu, uint64_t value);
void     gic_ich_set_vmcr(GicCpu *cpu, uint64_t value);
void     gic_ich_set_lr(GicCpu *cpu, unsigned n, uint64_t value);
void     gic_ich_set_ap(GicCpu *cpu, unsigned group, uint64_t value);

uint32_t gic_icv_ack(GicCpu *cpu, unsigned group);
void     gic_icv_eoi(GicCpu *cpu, unsigned group, uint32_t intid);
void     gic_icv_dir(GicCpu *cpu, uint32_t intid);
uint32_t gic_icv_hppi(const GicCpu *cpu, unsigned group);
uint8_t  gic_icv_rpr(const GicCpu *cpu);
unsigned gic_icv_bpr(const GicCpu *cpu, unsigned group);
void     gic_icv_set_bpr(GicCpu *cpu, unsigned group, unsigned bpr);
uint8_t  gic_icv_pmr(const GicCpu *cpu);
void     gic_icv_set_pmr(GicCpu *cpu, uint8_t pmr);
bool     gic_icv_group_enable(const GicCpu *cpu, unsigned group);
void     gic_icv_set_group_enable(GicCpu *cpu, unsigned group, bool enable);
uint64_t gic_icv_ctlr(const GicCpu *cpu);
void     gic_icv_set_ctlr(GicCpu *cpu, uint64_t ctlr);

/* PRIbits, IDbits, SEIS, A3V of ICC_CTLR_EL1 and ICV_CTLR_EL1: 5 priority bits, 16-bit INTIDs, Aff3
 * counts. */
#define GIC_CTLR_FIXED (BIT(15) | 4u << 8)
#define GIC_CTLR_CBPR    BIT(0)
#define GIC_CTLR_EOIMODE BIT(1)

/* ---- gicv3_lpi.c ---- */

void    gic_lpi_free(GicCpu *cpu);
void    gic_lpi_reset(GicCpu *cpu);
void    gic_lpi_set_enable(GicCpu *cpu, bool enable); /* GICR_CTLR.EnableLPIs */

/* gic_lpi_set_pending - false: no such LPI here (LPIs off, beyond GICR_PROPBASER.IDbits). Does not update
 * lines. */
bool    gic_lpi_set_pending(GicCpu *cpu, uint32_t intid, bool pending);
bool    gic_lpi_pending(const GicCpu *cpu, uint32_t intid);
void    gic_lpi_invalidate(GicCpu *cpu, uint32_t intid); /* INV */
void    gic_lpi_invalidate_all(GicCpu *cpu);             /* INVALL; read again when next looked at */
void    gic_lpi_move_all(GicCpu *from, GicCpu *to);      /* MOVALL */
GicBest gic_lpi_best(GicCpu *cpu);
uint8_t gic_lpi_prio(const GicCpu *cpu, uint32_t intid);

/* ---- gicv3_its.c ---- */

void     its_reset(Its *its);

/* ---- gicv3_frame.c: register tables ---- */

typedef struct GicView {
    Gic    *gic;
    GicCpu *cpu; /* NULL: distributor and ITS frames */
} GicView;

typedef struct GicReg {
    uint32_t    offset;
    const char *name;
    uint16_t    count;
    uint8_t     size;   /* bytes, also the stride; 8-byte registers take 4-byte halves too */
    bool        bytes;  /* accepts bytes and halfwords */
    uint64_t    value;  /* read when there is no function */
    uint64_t  (*read)(const GicView *v, unsigned index);
    void      (*write)(const GicView *v, unsigned index, uint64_t value); /* NULL: ignored */
} GicReg;

/* gic_frame_read, gic_frame_write - one access to a table; what no row covers reads as zero, ignores
 * writes. */
MemResult gic_frame_read(const GicReg *regs, size_t n_regs, GicView v, uint64_t off, unsigned size,
                         uint64_t *value);
MemResult gic_frame_write(const GicReg *regs, size_t n_regs, GicView v, uint64_t off, unsigned size,
                          uint64_t value);

/* Identification registers at 0xffd0: GICv3 by Arm's scheme, PIDR0 tells the frame. */
#define GIC_ID_REGS(part)                                                                        \
    { 0xffd0, "PIDR4", 1, 4, false, 0x44 }, { 0xffe0, "PIDR0", 1, 4, false, (part) },            \
    { 0xffe4, "PIDR1", 1, 4, false, 0xb4 }, { 0xffe8, "PIDR2", 1, 4, false, 0x3b },              \
    { 0xffd4, "PIDR5", 3, 4, false, 0 },    { 0xffec, "PIDR3", 1, 4, false, 0 },                 \
    { 0xfff0, "CIDR0", 1, 4, false, 0x0d }, { 0xfff4, "CIDR1", 1, 4, false, 0xf0 },              \
    { 0xfff8, "CIDR2", 1, 4, false, 0x05 }, { 0xfffc, "CIDR3", 1, 4, false, 0xb1 }

enum { GIC_IIDR = 0x43b };

#endif
