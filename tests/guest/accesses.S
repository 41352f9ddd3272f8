/*
 * Accesses of all kinds, hot: structures of vectors, pairs, atomics, exclusives, a cleared block. For plugins that hear
 * of accesses.
 */
#include "image.h"
    image_header
    .global start
start:
    load_address x4, stack_top
    mov     sp, x4
    mov     x0, #(3 << 20)
    msr     cpacr_el1, x0
    isb
    mrs     x1, CurrentEL
    cmp     x1, #4
    b.eq    1f
    mov     x0, #0x33ff
    msr     cptr_el2, x0
    isb
1:  load_address x5, data
    mov     x6, #3000
2:  .rept 12
    ld4     {v0.16b-v3.16b}, [x5]
    st4     {v0.16b-v3.16b}, [x5]
    ld3     {v4.8h-v6.8h}, [x5]
    st3     {v4.8h-v6.8h}, [x5]
    ld2     {v4.2d-v5.2d}, [x5], #32
    sub     x5, x5, #32
    ld1     {v4.16b-v7.16b}, [x5]
    ldp     q0, q1, [x5, #16]
    stp     q0, q1, [x5, #32]
    dc      zva, x5
    ldaddal x6, x7, [x5]
    ldxr    x8, [x5]
    stxr    w9, x8, [x5]
    casp    x10, x11, x12, x13, [x5]
    .endr
    subs    x6, x6, #1
    b.ne    2b
    psci    PSCI_OFF
    .ltorg
    .balign 64
data: .skip 256
    .skip 256
stack_top:
image_end:
