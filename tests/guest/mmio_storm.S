/*
 * Loads and stores of all sizes and alignments over everything a guest can name: device registers, PCI
 * configuration space, BARs, memory that is another world's, addresses nothing answers. Every fault is skipped.
 * Twice: with the MMU off (Device memory) and on (Normal memory, so that unaligned accesses arrive, too). Ends by
 * powering off; the machine must survive and say so by status 0.
 */
#include "image.h"

#define ECAM        0x4010000000
#define BAR_SPACE   0x10000000      /* a MiB for each function */
#ifndef STORM_SEED
#define STORM_SEED  0x9e3779b97f4a7c15
#endif
#define N_RANDOM    400             /* random addresses of each window */
#define SWEEP       0x200           /* first bytes of each window, word by word */

    image_header

/* x19: the address under attack; x20, x21: window base, size; x22: table; x23: counter; x26: random state */
    .global start
start:
    load_address x0, vectors
    msr     vbar_el2, x0
    load_address x0, stack_top
    mov     sp, x0
    mov     x0, #(3 << 20)          /* CPTR_EL2.FPEN, in case EL2 runs with E2H */
    msr     cptr_el2, x0
    isb
    ldr     x26, =STORM_SEED
    bl      assign_bars
    bl      storm
    bl      mmu_on
    bl      assign_bars
    bl      storm
    psci    PSCI_OFF
1:  b       1b

/* ---- any exception: on with the next instruction ---- */

    .balign 2048
vectors:
    .rept   16
    mrs     x28, elr_el2
    add     x28, x28, #4
    msr     elr_el2, x28
    add     x27, x27, #1
    eret
    .balign 128
    .endr

/* ---- random numbers: xorshift, into x0 ---- */

random:
    eor     x26, x26, x26, lsl #13
    eor     x26, x26, x26, lsr #7
    eor     x26, x26, x26, lsl #17
    mov     x0, x26
    ret

/* ---- all kinds of accesses at x19 ---- */

hit:
    ldrb    w1, [x19]
    ldrh    w1, [x19]
    ldr     w1, [x19]
    ldr     x1, [x19]
    ldrsw   x1, [x19]
    ldp     w1, w2, [x19]
    ldp     x1, x2, [x19]
    ldr     b0, [x19]
    ldr     q0, [x19]
    ldp     q0, q1, [x19]
    ld1     {v0.16b-v3.16b}, [x19]
    ldar    w1, [x19]
    ldxr    x1, [x19]
    stxr    w2, x0, [x19]
    ldxp    x1, x2, [x19]
    clrex
    ldtr    x1, [x19]
    prfm    pldl1keep, [x19]
    strb    w26, [x19]
    strh    w26, [x19]
    str     w26, [x19]
    str     x26, [x19]
    stp     w26, w0, [x19]
    stp     x26, x0, [x19]
    str     q0, [x19]
    st1     {v0.16b-v1.16b}, [x19]
    stlr    x26, [x19]
    sttr    x0, [x19]
    .arch   armv8.5-a
    ldadd   w26, w1, [x19]
    swp     x26, x1, [x19]
    casal   w1, w26, [x19]
    caspal  x0, x1, x2, x3, [x19]
    stset   x26, [x19]
    dc      zva, x19
    dc      civac, x19
    ic      ivau, x19
    at      s1e2r, x19
    ret

storm:
    mov     x24, x30
    load_address x22, windows
next_window:
    ldp     x20, x21, [x22], #16
    cbz     x21, storm_end
    mov     x23, #0
1:  add     x19, x20, x23
    bl      hit
    add     x23, x23, #4
    cmp     x23, #SWEEP
    b.lo    1b
    mov     x23, #N_RANDOM
2:  bl      random
    udiv    x1, x0, x21
    msub    x1, x1, x21, x0
    tbz     x0, #60, 3f
    and     x1, x1, #~7
3:  add     x19, x20, x1
    bl      hit
    subs    x23, x23, #1
    b.ne    2b
    b       next_window
storm_end:
    mov     x30, x24
    ret

    .balign 16
windows:
    .quad   0x08000000, 0x10000     /* distributor */
    .quad   0x08080000, 0x20000     /* ITS */
    .quad   0x080a0000, 0x40000     /* redistributors and what follows */
    .quad   0x09000000, 0x1000      /* UARTs, clock, fw_cfg */
    .quad   0x09010000, 0x1000
    .quad   0x09020000, 0x1000
    .quad   0x09040000, 0x1000
    .quad   0x09050000, 0x10000     /* SMMU pages 0 and 1 */
    .quad   0x09060000, 0x10000
    .quad   0x0b040000, 0x10000     /* its Root and Realm pages */
    .quad   0x0b050000, 0x20000
    .quad   0x0a000000, 0x100000    /* nothing */
    .quad   0x00000000, 0x8000000
    .quad   BAR_SPACE + 0x104000, 0x1000 /* BARs 1 and 4 of virtio functions; of the port; below it */
    .quad   BAR_SPACE + 0x110000, 0x4000
    .quad   BAR_SPACE + 0x204000, 0x1000
    .quad   BAR_SPACE + 0x210000, 0x4000
    .quad   BAR_SPACE + 0x304000, 0x1000
    .quad   BAR_SPACE + 0x310000, 0x4000
    .quad   BAR_SPACE + 0x400000, 0x40000
    .quad   BAR_SPACE + 0x2000000, 0x40000
    .quad   0x10000000, 0x2eff0000
    .quad   0x3eff0000, 0x10000
    .quad   0x8000000000, 0x8000000000
    .quad   0x47000000, 0x4000000   /* the end of memory: ours, the RMM's, nobody's */
    .quad   0x3000000000, 0x1000000000
    .quad   0xfffffffff000, 0x2000
    .quad   0x7ffffffffffff000, 0x2000
    .quad   ECAM, 0x8000            /* configuration: the first functions, the first buses, everything */
    .quad   ECAM + 0x8000, 0x20000
    .quad   ECAM + 0x100000, 0x1000
    .quad   ECAM, 0x10000000
    .quad   0, 0

/* ---- BARs: 16 KiB each, a MiB for each device of bus 0 and for the first device behind a bridge ---- */

assign_bars:
    mov     x24, x30
    mov     x23, #0
1:  ldr     x19, =ECAM
    add     x19, x19, x23, lsl #15
    ldr     x20, =BAR_SPACE
    add     x20, x20, x23, lsl #20
    bl      assign
    ldrb    w1, [x19, #0x0e]
    cmp     w1, #1
    b.ne    2f
    mov     w1, #0x0100             /* a bridge: primary bus 0, the others 1 */
    movk    w1, #1, lsl #16
    str     w1, [x19, #0x18]
    ldr     w1, =0x13f01200         /* memory base and limit */
    str     w1, [x19, #0x20]
    ldr     x19, =(ECAM + 0x100000)
    ldr     x20, =(BAR_SPACE + 0x2000000)
    bl      assign
2:  add     x23, x23, #1
    cmp     x23, #8
    b.lo    1b
    mov     x30, x24
    ret

/* One function: x19 configuration, x20 where its BARs go. */
assign:
    ldrh    w1, [x19]
    mov     w2, #0xffff
    cmp     w1, w2
    b.eq    3f
    mov     x3, #0x10
1:  str     w20, [x19, x3]
    ldr     w1, [x19, x3]
    and     w1, w1, #6
    add     x3, x3, #4
    cmp     w1, #4                  /* 64-bit: the upper half is next */
    b.ne    2f
    str     wzr, [x19, x3]
    add     x3, x3, #4
2:  add     x20, x20, #0x4000
    cmp     x3, #0x24
    b.lo    1b
    mov     w1, #7
    strh    w1, [x19, #4]
3:  ret

/* ---- 40 bits of Normal memory, one to one ---- */

mmu_on:
    load_address x0, level0
    load_address x1, level1
    orr     x2, x1, #3
    str     x2, [x0]
    add     x2, x2, #4096
    str     x2, [x0, #8]
    mov     x2, #0x701              /* block, AttrIdx 0, inner shareable, accessed */
    mov     x3, #1024
    mov     x4, #(1 << 30)
1:  str     x2, [x1], #8
    add     x2, x2, x4
    subs    x3, x3, #1
    b.ne    1b
    mov     x1, #0xff
    msr     mair_el2, x1
    ldr     x1, =(24 | 1 << 8 | 1 << 10 | 3 << 12 | 5 << 16 | 1 << 31 | 1 << 23)
    msr     tcr_el2, x1
    msr     ttbr0_el2, x0
    isb
    mrs     x1, sctlr_el2
    orr     x1, x1, #1
    bic     x1, x1, #2
    msr     sctlr_el2, x1
    isb
    ret

    .ltorg
    .balign 4096
level0:
    .skip   4096
level1:
    .skip   8192
    .skip   4096
stack_top:
image_end:
