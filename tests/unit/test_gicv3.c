/*
 * GICv3: register rows of distributor and redistributor from reset, then behaviour of the physical CPU
 * interface and of the virtualization interface. One script per row; steps are in gic_box.h.
 */
#include "gic_box.h"

#define RD1 0x20000

/* ---- registers, from reset ---- */

static const Script registers[] = {
    { "reset values", {
        { GICD_R, 0x0000, 0x50 },                 /* ARE, DS */
        { GICD_R, 0x0004, 0x037b0002 },           /* No1N, A3V, 16 ID bits, LPIS, MBIS, 96 INTIDs */
        { GICD_R, 0xffe8, 0x3b },                 /* GICv3 */
        { GICR_R, 0x0000, 2 },                    /* CES */
        { GICR_R64, 0x0008, 0x0000000000000001 }, /* PLPIS */
        { GICR_R64, RD1 + 8, 0x0000000100000111 }, /* Last, processor 1, affinity 0.0.0.1 */
        { GICR_R, 0x0014, 6 },                    /* asleep */
        { GICR_R, 0xffe8, 0x3b },
        { GICR_R, 0x10c00, 0xaaaaaaaa },          /* SGIs are edge-triggered */
        { GICR_R, 0x10c04, 0 },
    } },
    { "CTLR keeps the group enables, ARE and DS are RAO/WI", {
        { GICD_W, 0, 0xffffffff }, { GICD_R, 0, 0x53 }, { GICD_W, 0, 0 }, { GICD_R, 0, 0x50 },
    } },
    { "word 0 of the distributor is RES0", {
        { GICD_W, 0x80, ~0u }, { GICD_R, 0x80, 0 }, { GICD_W, 0x100, ~0u }, { GICD_R, 0x100, 0 },
        { GICD_W, 0x400, ~0u }, { GICD_R, 0x400, 0 },
    } },
    { "words beyond the implemented SPIs are RES0", {
        { GICD_W, 0x10c, ~0u }, { GICD_R, 0x10c, 0 }, { GICD_W, 0x460, ~0u }, { GICD_R, 0x460, 0 },
        { GICD_W64, 0x6300, 1 }, { GICD_R64, 0x6300, 0 },
    } },
    { "set and clear enable", {
        { GICD_W, 0x104, 0xf0 }, { GICD_W, 0x184, 0x30 }, { GICD_R, 0x104, 0xc0 }, { GICD_R, 0x184, 0xc0 },
    } },
    { "set and clear pending", {
        { GICD_W, 0x204, 0xf }, { GICD_W, 0x284, 5 }, { GICD_R, 0x204, 0xa }, { GICD_R, 0x284, 0xa },
    } },
    { "set and clear active", {
        { GICD_W, 0x304, 0xf }, { GICD_W, 0x384, 5 }, { GICD_R, 0x304, 0xa }, { GICD_R, 0x384, 0xa },
    } },
    { "five priority bits, by word and by byte", {
        { GICD_W, 0x420, 0xffa7561f }, { GICD_R, 0x420, 0xf8a05018 }, { GICD_W8, 0x421, 0x8f },
        { GICD_R, 0x420, 0xf8a08818 }, { GICD_R8, 0x423, 0xf8 },
    } },
    { "configuration has two bits per interrupt, the lower RES0", {
        { GICD_W, 0xc08, 0xffff000f }, { GICD_R, 0xc08, 0xaaaa000a }, { GICD_R, 0xc0c, 0 },
    } },
    { "SGIs stay edge-triggered, PPIs are free", {
        { GICR_W, 0x10c00, 0 }, { GICR_R, 0x10c00, 0xaaaaaaaa }, { GICR_W, 0x10c04, 8 },
        { GICR_R, 0x10c04, 8 },
    } },
    { "routers keep affinity fields and take halves", {
        { GICD_W64, 0x6100, 0xffffffffffffffff }, { GICD_R64, 0x6100, 0xff00ffffff },
        { GICD_W, 0x6104, 0 }, { GICD_R64, 0x6100, 0xffffff }, { GICD_R, 0x6100, 0xffffff },
    } },
    { "wrong widths read as zero and are ignored", {
        { GICD_W8, 0x104, 0xff }, { GICD_R, 0x104, 0 }, { GICD_W, 0x104, 0xff }, { GICD_R8, 0x104, 0 },
        { GICD_R64, 0x100, 0 }, { GICD_R, 0x9000, 0 }, { GICD_W, 0x9000, 1 },
    } },
    { "legacy and Secure registers are RES0", {
        { GICD_W, 0x820, ~0u }, { GICD_R, 0x820, 0 }, { GICD_W, 0xd04, ~0u }, { GICD_R, 0xd04, 0 },
        { GICD_W, 0xe04, ~0u }, { GICD_R, 0xe04, 0 }, { GICD_W, 0xf00, 0x1000000 }, { GICR_R, 0x10200, 0 },
    } },
    { "redistributor banks are of one CPU", {
        { GICR_W, 0x10100, 0xff }, { GICR_R, 0x10100, 0xff }, { GICR_R, RD1 + 0x10100, 0 },
        { GICR_W, RD1 + 0x10400, 0x10203040 }, { GICR_R, 0x10400, 0 }, { GICR_R, RD1 + 0x10400, 0x10203040 },
    } },
    { "waker", { { GICR_W, 0x14, 0 }, { GICR_R, 0x14, 0 }, { GICR_W, 0x14, 2 }, { GICR_R, 0x14, 6 } } },
    { "LPI table registers are fixed while LPIs are on", {
        { GICR_W64, 0x70, 0x4000006f }, { GICR_W64, 0x78, 0x4000000040010000 },
        { GICR_R64, 0x70, 0x4000000f }, { GICR_R64, 0x78, 0x40010000 },
        { GICR_W, 0, 1 }, { GICR_R, 0, 3 }, { GICR_W64, 0x70, 0 }, { GICR_R64, 0x70, 0x4000000f },
        { GICR_W, 0, 0 }, { GICR_R, 0, 2 }, { GICR_W64, 0x70, 0 }, { GICR_R64, 0x70, 0 },
    } },
};

/* ---- physical interrupts, after gic_box_enable() ---- */

#define SPI_ON(n, prio) { GICD_W, 0x100 + (n) / 32 * 4, 1u << ((n) % 32) }, { GICD_W8, 0x400 + (n), prio }
#define PPI_ON(mask) { GICR_W, 0x10100, mask }
#define IRQ 1
#define FIQ 2
#define VIRQ 4
#define VFIQ 8

static const Script physical[] = {
    { "level SPI: line, acknowledge, EOI, line still high", {
        SPI_ON(40, 0x80), { SPI, 40, 1 }, { LINES, IRQ }, { HPPI, 1, 40 }, { HPPI, 0, 1023 },
            { ACK, 0, 1023 },
        { ACK, 1, 40 }, { RPR, 0x80 }, { AP, 1, 1 << 16 }, { LINES, 0 }, { GICD_R, 0x304, 0x100 },
        { GICD_R, 0x204, 0x100 }, { EOI, 1, 40 }, { RPR, 0xff }, { LINES, IRQ }, { SPI, 40, 0 }, { LINES, 0 },
        { ACK, 1, 1023 },
    } },
    { "edge SPI: one event, kept until acknowledged", {
        { GICD_W, 0xc08, 1u << 17 }, SPI_ON(40, 0x80), { SPI, 40, 1 }, { SPI, 40, 0 }, { LINES, IRQ },
        { ACK, 1, 40 }, { GICD_R, 0x204, 0 }, { EOI, 1, 40 }, { LINES, 0 },
    } },
    { "edge while active is pending again after EOI", {
        { GICD_W, 0xc08, 1u << 17 }, SPI_ON(40, 0x80), { SPI, 40, 1 }, { ACK, 1, 40 }, { SPI, 40, 0 },
        { SPI, 40, 1 }, { LINES, 0 }, { EOI, 1, 40 }, { LINES, IRQ }, { ACK, 1, 40 },
    } },
    { "software pending of a level SPI is taken by acknowledge", {
        SPI_ON(40, 0x80), { GICD_W, 0x204, 0x100 }, { ACK, 1, 40 }, { EOI, 1, 40 }, { LINES, 0 },
    } },
    { "clearing pending does not hide a high level", {
        SPI_ON(40, 0x80), { SPI, 40, 1 }, { GICD_W, 0x284, 0x100 }, { LINES, IRQ },
    } },
    { "message-based SPI", {
        SPI_ON(41, 0x80), { GICD_W, 0x40, 41 }, { LINES, IRQ }, { GICD_W, 0x48, 41 }, { LINES, 0 },
        { GICD_W, 0x40, 5 }, { GICD_W, 0x40, 1021 }, { LINES, 0 },
    } },
    { "Group 0 is FIQ", {
        SPI_ON(40, 0x80), { GICD_W, 0x84, ~0x100u }, { SPI, 40, 1 }, { LINES, FIQ }, { ACK, 1, 1023 },
            { ACK, 0, 40 },
        { AP, 0, 1 << 16 }, { EOI, 1, 40 }, { RPR, 0x80 }, { EOI, 0, 40 }, { RPR, 0xff },
    } },
    { "a disabled group hides its interrupts and lets others pass", {
        SPI_ON(40, 0x10), SPI_ON(41, 0x20), { GICD_W, 0x84, ~0x100u }, { SPI, 40, 1 }, { SPI, 41, 1 },
        { LINES, FIQ }, { GRPEN, 0, 0 }, { LINES, IRQ }, { HPPI, 1, 41 }, { GICD_W, 0, 1 }, { LINES, 0 },
        { GRPEN, 0, 1 }, { LINES, FIQ },
    } },
    { "priority: lower value first, ties by INTID", {
        SPI_ON(50, 0x40), SPI_ON(45, 0x40), SPI_ON(33, 0x48), { SPI, 33, 1 }, { SPI, 50, 1 }, { SPI, 45, 1 },
        { ACK, 1, 45 }, { EOI, 1, 45 }, { SPI, 45, 0 }, { ACK, 1, 50 },
    } },
    { "priority mask is exclusive", {
        SPI_ON(40, 0x80), { SPI, 40, 1 }, { PMR, 0x80 }, { LINES, 0 }, { ACK, 1, 1023 }, { HPPI, 1, 40 },
        { PMR, 0x88 }, { LINES, IRQ },
    } },
    { "preemption and priority drop in order", {
        SPI_ON(40, 0x80), SPI_ON(41, 0x40), SPI_ON(42, 0x40), { SPI, 40, 1 }, { ACK, 1, 40 }, { SPI, 42, 1 },
        { LINES, IRQ }, { ACK, 1, 42 }, { SPI, 41, 1 }, { LINES, 0 }, { RPR, 0x40 },
        { AP, 1, 1 << 8 | 1 << 16 }, { EOI, 1, 42 }, { RPR, 0x80 }, { LINES, IRQ }, { ACK, 1, 41 },
        { EOI, 1, 41 }, { EOI, 1, 40 }, { RPR, 0xff },
    } },
    { "binary point: equal groups do not preempt", {
        SPI_ON(40, 0x90), SPI_ON(41, 0x80), { BPR, 1, 5 }, { BPR_R, 1, 5 }, { SPI, 40, 1 }, { ACK, 1, 40 },
        { RPR, 0x80 }, { SPI, 41, 1 }, { LINES, 0 }, { BPR, 1, 0 }, { BPR_R, 1, 3 }, { EOI, 1, 40 },
        { ACK, 1, 41 },
    } },
    { "common binary point", {
        { BPR, 0, 0 }, { BPR_R, 0, 2 }, { BPR, 0, 4 }, { CTLR, 1 }, { BPR_R, 1, 5 }, { BPR, 1, 7 },
        { BPR, 0, 7 }, { BPR_R, 1, 7 }, { CTLR, 0 }, { BPR_R, 1, 3 },
        SPI_ON(40, 0xf0), SPI_ON(41, 0x00), { CTLR, 1 }, { SPI, 40, 1 }, { ACK, 1, 40 }, { RPR, 0 },
        { SPI, 41, 1 }, { LINES, 0 },
    } },
    { "EOImode 1 splits priority drop and deactivation", {
        { CTLR, 2 }, SPI_ON(40, 0x80), { SPI, 40, 1 }, { ACK, 1, 40 }, { EOI, 1, 40 }, { RPR, 0xff },
        { GICD_R, 0x304, 0x100 }, { LINES, 0 }, { DEACT, 0, 40 }, { GICD_R, 0x304, 0 }, { LINES, IRQ },
    } },
    { "DIR does nothing with EOImode 0", {
        SPI_ON(40, 0x80), { SPI, 40, 1 }, { ACK, 1, 40 }, { DEACT, 0, 40 }, { GICD_R, 0x304, 0x100 },
    } },
    { "EOI of a special or unknown INTID", {
        SPI_ON(40, 0x80), { SPI, 40, 1 }, { ACK, 1, 40 }, { EOI, 1, 1023 }, { RPR, 0x80 },
            { EOI, 1, 0xffffff },
        { RPR, 0xff }, { GICD_R, 0x304, 0x100 }, { DEACT, 0, 0xffffff },
    } },
    { "PPI level and edge", {
        PPI_ON(1 << 27 | 1 << 28), { GICR_W, 0x10c04, 2u << 24 }, { PPI, 27, 1 }, { ACK, 1, 27 },
            { EOI, 1, 27 },
        { LINES, IRQ }, { PPI, 27, 0 }, { LINES, 0 }, { PPI, 28, 1 }, { PPI, 28, 0 }, { ACK, 1, 28 },
        { EOI, 1, 28 }, { LINES, 0 }, { PPI, 5, 1 }, { GICR_R, 0x10200, 0 }, { PPI, 40, 1 },
        { GICD_R, 0x204, 0 },
    } },
    { "PPIs are private", {
        PPI_ON(1 << 27), { GICR_W, RD1 + 0x10100, 1 << 27 }, { PPI1, 27, 1 }, { LINES, 0 }, { LINES1, IRQ },
        { ACK1, 1, 27 }, { LINES1, 0 }, { EOI1, 1, 27 }, { LINES1, IRQ },
    } },
    { "SPI follows its router", {
        SPI_ON(40, 0x80), { SPI, 40, 1 }, { LINES, IRQ }, { LINES1, 0 }, { GICD_W64, 0x6140, 1 },
            { LINES, 0 },
        { LINES1, IRQ }, { GICD_W64, 0x6140, 0x100 }, { LINES1, 0 }, { GICD_W64, 0x6140, 1 }, { ACK1, 1, 40 },
        { GICD_W64, 0x6140, 0 }, { LINES, 0 }, { EOI1, 1, 40 }, { LINES, IRQ },
    } },
    { "a redistributor that sleeps forwards nothing", {
        SPI_ON(40, 0x80), { SPI, 40, 1 }, { GICR_W, 0x14, 2 }, { LINES, 0 }, { GICR_W, 0x14, 0 },
            { LINES, IRQ },
    } },
    { "SGI to a list, to others, by group", {
        PPI_ON(0xffff), { GICR_W, RD1 + 0x10100, 0xffff }, { SGI, 1, 3 << 24 | 2 }, { LINES, 0 },
        { LINES1, IRQ }, { ACK1, 1, 3 }, { EOI1, 1, 3 }, { SGI1, 1, 1ull << 40 | 5 << 24 }, { LINES1, 0 },
        { ACK, 1, 5 }, { EOI, 1, 5 }, { SGI, 1, 7 << 24 | 3 }, { ACK, 1, 7 }, { ACK1, 1, 7 },
        { SGI, 0, 8 << 24 | 1 }, { EOI, 1, 7 }, { LINES, 0 },
        { GICR_W, 0x10080, ~0x100u }, { SGI, 1, 8 << 24 | 1 }, { LINES, 0 }, { SGI, 0, 8 << 24 | 1 },
        { LINES, FIQ }, { ACK, 0, 8 },
    } },
    { "SGI to other clusters and range selectors reaches nobody", {
        PPI_ON(0xffff), { SGI, 1, 1 << 16 | 1 }, { SGI, 1, 1ull << 32 | 1 }, { SGI, 1, 1ull << 48 | 1 },
        { SGI, 1, 1ull << 44 | 1 }, { LINES, 0 }, { SGI, 1, 1 }, { LINES, IRQ },
    } },
    { "SGI pending by register", {
        PPI_ON(4), { GICR_W, 0x10200, 4 }, { LINES, IRQ }, { GICR_W, 0x10280, 4 }, { LINES, 0 },
    } },
    { "an active interrupt is not forwarded until deactivated by register", {
        SPI_ON(40, 0x80), { GICD_W, 0x304, 0x100 }, { SPI, 40, 1 }, { LINES, 0 }, { GICD_W, 0x384, 0x100 },
        { LINES, IRQ },
    } },
};

/* ---- virtual interrupts ---- */

#define PEND ICH_LR_STATE_PENDING
#define ACT  ICH_LR_STATE_ACTIVE
#define G1   ICH_LR_GROUP
#define PRIO(p) ((uint64_t)(p) << 48)
#define VM_OPEN 0xf8000003 /* both groups, mask open */
#define ALL_FREE 0xffff

static const Script virtual_interface[] = {
    { "reset: minimum binary points, FIQ enable RES1", {
        { VMCR_R, 0x4c0008 }, { HCR_R, 0 }, { ELRSR, ALL_FREE }, { EISR, 0 }, { MISR, 0 },
    } },
    { "writable bits", {
        { HCR, ~0ull }, { HCR_R, 0xf8005cff }, { HCR, 0 }, { LR, 15, ~0ull },
        { LR_R, 15, 0xf0f81fff0000ffff },
        { VMCR, 0xffffffffull }, { VMCR_R, 0xf8fc021b },
    } },
    { "life of a virtual interrupt", {
        { HCR, 1 }, { VMCR, VM_OPEN }, { LR, 3, PEND | G1 | PRIO(0x80) | 40 }, { LINES, VIRQ },
        { VHPPI, 1, 40 },
        { ELRSR, ALL_FREE & ~8 }, { VACK, 0, 1023 }, { VACK, 1, 40 }, { LINES, 0 }, { VRPR, 0x80 },
        { VAP, 1, 1 << 16 }, { LR_R, 3, ACT | G1 | PRIO(0x80) | 40 }, { VEOI, 1, 40 }, { VRPR, 0xff },
        { LR_R, 3, G1 | PRIO(0x80) | 40 }, { ELRSR, ALL_FREE },
    } },
    { "Group 0 is VFIQ; enables and mask", {
        { HCR, 1 }, { VMCR, VM_OPEN }, { LR, 0, PEND | PRIO(0x80) | 40 }, { LINES, VFIQ }, { VGRPEN, 0, 0 },
        { LINES, 0 }, { VHPPI, 0, 1023 }, { VGRPEN, 0, 1 }, { LINES, VFIQ }, { VPMR, 0x80 }, { LINES, 0 },
        { VACK, 0, 1023 }, { VHPPI, 0, 40 }, { VPMR, 0xff }, { HCR, 0 }, { LINES, 0 }, { VACK, 0, 1023 },
    } },
    { "priority, preemption, ties", {
        { HCR, 1 }, { VMCR, VM_OPEN }, { LR, 0, PEND | G1 | PRIO(0x80) | 50 },
        { LR, 1, PEND | G1 | PRIO(0x80) | 45 },
        { VACK, 1, 45 }, { LINES, 0 }, { LR, 2, PEND | G1 | PRIO(0x40) | 60 }, { LINES, VIRQ },
        { VACK, 1, 60 },
        { VRPR, 0x40 }, { VEOI, 1, 60 }, { VRPR, 0x80 }, { LINES, 0 }, { VEOI, 1, 45 }, { VACK, 1, 50 },
    } },
    { "binary points", {
        { HCR, 1 }, { VMCR, VM_OPEN }, { VBPR, 1, 0 }, { VBPR_R, 1, 3 }, { VBPR, 1, 6 }, { VBPR_R, 1, 6 },
        { LR, 0, PEND | G1 | PRIO(0x90) | 40 }, { VACK, 1, 40 }, { VRPR, 0x80 },
        { LR, 1, PEND | G1 | PRIO(0x80) | 41 }, { LINES, 0 }, { VBPR, 0, 4 }, { VCTLR, 1 }, { VBPR_R, 1, 5 },
        { VBPR, 1, 7 }, { VBPR_R, 1, 5 }, { VBPR, 0, 7 }, { VBPR_R, 1, 7 },
    } },
    { "pending and active is delivered after EOI", {
        { HCR, 1 }, { VMCR, VM_OPEN }, { LR, 0, PEND | G1 | PRIO(0x80) | 40 }, { VACK, 1, 40 },
        { LR, 0, PEND | ACT | G1 | PRIO(0x80) | 40 }, { LINES, 0 }, { VHPPI, 1, 1023 }, { VEOI, 1, 40 },
        { LR_R, 0, PEND | G1 | PRIO(0x80) | 40 }, { LINES, VIRQ },
    } },
    { "EOImode 1", {
        { HCR, 1 }, { VMCR, VM_OPEN }, { VCTLR, 2 }, { LR, 0, PEND | G1 | PRIO(0x80) | 40 }, { VACK, 1, 40 },
        { VEOI, 1, 40 }, { VRPR, 0xff }, { LR_R, 0, ACT | G1 | PRIO(0x80) | 40 }, { VDIR, 0, 40 },
        { LR_R, 0, G1 | PRIO(0x80) | 40 }, { VDIR, 0, 40 }, { HCR_R, 1ull << 27 | 1 },
    } },
    { "DIR with EOImode 0 is ignored", {
        { HCR, 1 }, { VMCR, VM_OPEN }, { LR, 0, PEND | G1 | PRIO(0x80) | 40 }, { VACK, 1, 40 },
        { VDIR, 0, 40 },
        { LR_R, 0, ACT | G1 | PRIO(0x80) | 40 },
    } },
    { "EOI without list register is counted, after a priority drop only", {
        { HCR, 1 }, { VMCR, VM_OPEN }, { VEOI, 1, 40 }, { HCR_R, 1 }, { LR, 0, PEND | G1 | PRIO(0x80) | 40 },
        { VACK, 1, 40 }, { LR, 0, 0 }, { VEOI, 1, 40 }, { HCR_R, 1ull << 27 | 1 }, { HCR, 31ull << 27 | 1 },
        { LR, 0, PEND | G1 | PRIO(0x80) | 40 }, { VACK, 1, 40 }, { LR, 0, 0 }, { VEOI, 1, 40 }, { HCR_R, 1 },
    } },
    { "virtual LPI has no active state", {
        { HCR, 1 }, { VMCR, VM_OPEN }, { LR, 0, PEND | G1 | PRIO(0xa0) | 8192 }, { VACK, 1, 8192 },
        { LR_R, 0, G1 | PRIO(0xa0) | 8192 }, { VRPR, 0xa0 }, { VEOI, 1, 8192 }, { VRPR, 0xff }, { HCR_R, 1 },
    } },
    { "HW: deactivating the virtual one deactivates the physical one", {
        { HCR, 1 }, { VMCR, VM_OPEN }, { CTLR, 2 }, PPI_ON(1 << 27), { PPI, 27, 1 }, { ACK, 1, 27 },
        { EOI, 1, 27 },
        { LR, 0, PEND | ICH_LR_HW | G1 | PRIO(0x80) | 27ull << 32 | 30 }, { VACK, 1, 30 },
        { GICR_R, 0x10300, 1 << 27 },
        { VEOI, 1, 30 }, { GICR_R, 0x10300, 0 }, { LINES, IRQ }, { EISR, 0 }, { ELRSR, ALL_FREE },
    } },
    { "maintenance: EOI", {
        PPI_ON(1 << 25), { HCR, 1 }, { VMCR, VM_OPEN }, { LR, 2, PEND | ICH_LR_EOI | G1 | PRIO(0x80) | 40 },
        { VACK, 1, 40 }, { MISR, 0 }, { VEOI, 1, 40 }, { EISR, 4 }, { ELRSR, ALL_FREE & ~4 }, { MISR, 1 },
        { LINES, IRQ }, { ACK, 1, 25 }, { LR, 2, 0 }, { EOI, 1, 25 }, { LINES, 0 }, { MISR, 0 },
    } },
    { "maintenance: underflow, no pending", {
        PPI_ON(1 << 25), { VMCR, VM_OPEN }, { HCR, ICH_HCR_UIE }, { MISR, 2 }, { LINES, 0 },
        { HCR, ICH_HCR_UIE | 1 }, { LINES, IRQ }, { LR, 0, PEND | 40 }, { MISR, 2 }, { LR, 1, ACT | 41 },
        { MISR, 0 },
        { LR, 0, ACT | 40 }, { HCR, ICH_HCR_NPIE | 1 }, { MISR, 8 }, { LR, 5, PEND | 44 }, { MISR, 0 },
    } },
    { "maintenance: EOI count", {
        PPI_ON(1 << 25), { HCR, 1ull << 27 | ICH_HCR_LRENPIE | 1 }, { MISR, 4 }, { LINES, IRQ },
        { HCR, ICH_HCR_LRENPIE | 1 }, { MISR, 0 }, { LINES, 0 },
    } },
    { "maintenance: group enables", {
        { HCR, ICH_HCR_VGRP0EIE | 1 }, { MISR, 0 }, { VGRPEN, 0, 1 }, { MISR, 0x10 },
        { HCR, ICH_HCR_VGRP0DIE | 1 }, { MISR, 0 }, { VGRPEN, 0, 0 }, { MISR, 0x20 },
        { HCR, ICH_HCR_VGRP1EIE | 1 }, { MISR, 0 }, { VGRPEN, 1, 1 }, { MISR, 0x40 },
        { HCR, ICH_HCR_VGRP1DIE | 1 }, { MISR, 0 }, { VGRPEN, 1, 0 }, { MISR, 0x80 },
    } },
};

static void run_all(const Script *scripts, size_t n, bool enable)
{
    static GicBox box;

    for (size_t i = 0; i < n; i++) {
        gic_box_init(&box, false);
        if (enable) {
            gic_box_enable(&box);
        }
        gic_box_run(&box, &scripts[i]);
        gic_box_free(&box);
    }
}

static void test_registers(void **state)
{
    run_all(registers, ARRAY_LEN(registers), false);
}

static void test_physical(void **state)
{
    run_all(physical, ARRAY_LEN(physical), true);
}

static void test_virtual_interface(void **state)
{
    run_all(virtual_interface, ARRAY_LEN(virtual_interface), true);
}

/* A world switch: what get gives, set restores, lines included. */
static void test_virt_state(void **state)
{
    static GicBox box;
    GicVirtState  saved, empty = { 0 };
    GicCpu       *cpu;

    gic_box_init(&box, false);
    gic_box_enable(&box);
    cpu = gicv3_cpu(box.gic, 0);
    gic_ich_set_hcr(cpu, 1);
    gic_ich_set_vmcr(cpu, VM_OPEN);
    gic_ich_set_lr(cpu, 7, PEND | G1 | PRIO(0x80) | 40);
    gic_cpu_virt_get(cpu, &saved);
    gic_cpu_virt_set(cpu, &empty);
    assert_false(box.line[0][GIC_LINE_VIRQ]);
    assert_int_equal(cpu->virt.lrs[7], 0);
    gic_cpu_virt_set(cpu, &saved);
    assert_true(box.line[0][GIC_LINE_VIRQ]);
    assert_memory_equal(&cpu->virt, &saved, sizeof(saved));
    saved.ap1r[0] = ~0ull;
    saved.ap1r[3] = 5;
    saved.lrs[0] = ~0ull;
    gic_cpu_virt_set(cpu, &saved);
    assert_int_equal(cpu->virt.ap1r[0], UINT32_MAX);
    assert_int_equal(cpu->virt.ap1r[3], 0);
    assert_int_equal(cpu->virt.lrs[0], 0xf0f81fff0000ffff);
    assert_int_equal(gic_cpu_vtr(cpu) & 31, 15);
    gic_box_free(&box);
}

/* With list registers that are clear nobody reads or writes what is in lrs[]. */
static void test_virt_state_clear(void **state)
{
    static GicBox box;
    GicVirtState  s = { .hcr = 1, .lrs_clear = true, .lrs = { 5, 6 } };
    GicCpu       *cpu;

    gic_box_init(&box, false);
    gic_box_enable(&box);
    cpu = gicv3_cpu(box.gic, 0);
    gic_ich_set_hcr(cpu, 1);
    gic_ich_set_vmcr(cpu, VM_OPEN);
    s.vmcr = cpu->virt.vmcr;
    gic_ich_set_lr(cpu, 1, PEND | G1 | PRIO(0x80) | 40);
    assert_true(box.line[0][GIC_LINE_VIRQ]);
    assert_false(cpu->virt.lrs_clear);
    gic_cpu_virt_set(cpu, &s);
    assert_false(box.line[0][GIC_LINE_VIRQ]);
    assert_int_equal(cpu->virt.lrs[0] | cpu->virt.lrs[1], 0);
    gic_cpu_virt_get(cpu, &s);
    assert_true(s.lrs_clear);
    assert_int_equal(s.lrs[0], 5);
    s.lrs_clear = false;
    s.lrs[0] = s.lrs[1] = 0;
    gic_cpu_virt_set(cpu, &s);
    assert_true(cpu->virt.lrs_clear); /* they are, whatever was said */
    gic_box_free(&box);
}

/* Reset keeps input levels and forgets everything else. */
static void test_reset(void **state)
{
    static GicBox       box;
    static const Script after = { "after reset", { { GICD_R, 0x204, 0x100 }, { GICD_R, 0x104, 0 },
        { LINES, 0 },
                                                   { GICD_R, 0, 0x50 }, { GICR_R, 0x14, 6 },
                                                       { RPR, 0xff } } };
    static const Script before = { "before reset", { SPI_ON(40, 0x80), { SPI, 40, 1 }, { ACK, 1, 40 },
                                                     { SPI, 40, 0 }, { SPI, 40, 1 } } };

    gic_box_init(&box, false);
    gic_box_enable(&box);
    gic_box_run(&box, &before);
    gicv3_reset(box.gic);
    gic_box_run(&box, &after);
    gic_box_free(&box);
}

/* A redistributor frame beyond the last CPU does not answer. */
static void test_beyond(void **state)
{
    static GicBox box;
    uint64_t      value = 1;

    gic_box_init(&box, false);
    assert_int_equal(gicv3_redist_ops.read(box.gic, 0x40000, 4, (MemAttrs){ 0 }, &value), MEM_DECODE);
    assert_int_equal(value, 0);
    assert_int_equal(gicv3_redist_ops.write(box.gic, 0x40000, 4, (MemAttrs){ 0 }, 0), MEM_DECODE);
    assert_null(gicv3_cpu(box.gic, 2));
    gic_box_free(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registers), cmocka_unit_test(test_physical),
            cmocka_unit_test(test_virtual_interface),
        cmocka_unit_test(test_virt_state), cmocka_unit_test(test_virt_state_clear), cmocka_unit_test(test_reset),
        cmocka_unit_test(test_beyond),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
