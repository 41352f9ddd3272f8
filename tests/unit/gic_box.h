/*
 * A GIC in a box for tests: two CPUs, 64 SPIs, an ITS, 1 MiB of table memory, and lines that are only noted
 * down. A test is a script, one step per line; a step that reads names what it expects.
 */
#ifndef BAILEY_TESTS_GIC_BOX_H
#define BAILEY_TESTS_GIC_BOX_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "hw/gicv3_int.h"

enum { BOX_RAM = 0x40000000, BOX_RAM_SIZE = 1 << 20, BOX_MAX_STEPS = 40 };

typedef struct GicBox {
    Gic    *gic;
    uint8_t ram[BOX_RAM_SIZE];
    bool    line[2][GIC_N_LINES];
} GicBox;

typedef enum Op {
    END,
    GICD_W, GICD_R, GICD_W8, GICD_R8, GICD_W64, GICD_R64, /* offset, value */
    GICR_W, GICR_R, GICR_W64, GICR_R64,                   /* offset (CPU 1 from 0x20000), value */
    SPI, PPI, PPI1,                                       /* INTID, level; PPI1 on CPU 1 */
    LINES, LINES1,                                        /* bit 0 IRQ, 1 FIQ, 2 VIRQ, 3 VFIQ of CPU 0, 1 */
    ACK, ACK1, EOI, EOI1, DEACT, HPPI,                      /* group, INTID; ACK1, EOI1 on CPU 1 */
    RPR, PMR, GRPEN, CTLR, BPR, BPR_R, AP,                /* see gic_box.c */
    SGI, SGI1,                                            /* group, value; SGI1 sent by CPU 1 */
    HCR, HCR_R, VMCR, VMCR_R, LR, LR_R, MISR, EISR, ELRSR, VAP,
    VACK, VEOI, VDIR, VHPPI, VRPR,                        /* group, INTID */
    VPMR, VGRPEN, VCTLR, VBPR, VBPR_R,
} Op;

typedef struct Step {
    Op       op;
    uint64_t a, b;
} Step;

typedef struct Script {
    const char *name;
    Step        steps[BOX_MAX_STEPS];
} Script;

/* gic_box_init - @virtual_instance as GicConfig.is_virtual. The GIC is in its reset state. */
void gic_box_init(GicBox *box, bool virtual_instance);
void gic_box_free(GicBox *box);

/* gic_box_enable - what a kernel does first: groups on, redistributors awake, everything Group 1, masks
 * open. */
void gic_box_enable(GicBox *box);

/* gic_box_run - the steps of a script in order; fails the test at the first that reads something else. */
void gic_box_run(GicBox *box, const Script *script);

uint64_t gic_box_read(GicBox *box, const MmioOps *ops, uint64_t off, unsigned size);
void     gic_box_write(GicBox *box, const MmioOps *ops, uint64_t off, unsigned size, uint64_t value);

#endif
