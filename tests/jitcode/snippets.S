/*
 * Guest code whose machine code is committed (NAME.txt beside this file). Each snippet is a loop, run until it is hot;
 * `brk` ends it. At the start x0 counts down from 5000; x1, x2 and x3 point to data; x4 is 1, x5 is 7; v0 to v7 hold
 * 1.0 in each lane of 32 bits, the others in each of 64.
 */

/* snippet NAME, BEFORE - so many instructions come before the loop. */
    .macro snippet name, before=0
    .balign 4
    .word   0                      /* ends the one above */
0:  .ascii  "\name"
    .skip   28 - (. - 0b)
    .word   \before
    .endm

    .text

    snippet copy_words
1:  ldr     x6, [x1], #8
    str     x6, [x2], #8
    subs    x0, x0, #1
    b.ne    1b
    brk     #0

    snippet copy_pairs
1:  ldp     x6, x7, [x1], #16
    stp     x6, x7, [x2], #16
    subs    x0, x0, #2
    b.ne    1b
    brk     #0

    snippet sum_bytes
1:  ldrb    w6, [x1, x0]
    add     w7, w7, w6
    subs    x0, x0, #1
    b.ne    1b
    brk     #0

    snippet index_scaled
1:  ldr     w6, [x1, x5, lsl #2]
    ldrsw   x7, [x1, w5, sxtw #2]
    add     x8, x8, x6
    add     x8, x8, x7
    str     w8, [x2, x5, lsl #2]
    subs    x0, x0, #1
    b.ne    1b
    brk     #0

    snippet store_loaded_flags
1:  ldr     x6, [x1]
    cmp     x6, x5
    csel    x7, x6, x5, hi
    cinc    x8, x8, lo
    str     x7, [x2]
    sub     x0, x0, #1
    cbnz    x0, 1b
    brk     #0

    snippet carry_chain
1:  adds    x6, x6, x4
    adcs    x7, x7, x5
    adc     x8, x8, xzr
    subs    x0, x0, #1
    b.ne    1b
    brk     #0

    snippet long_difference
1:  ldp     x6, x7, [x1], #16
    ldp     x8, x9, [x2], #16
    sbcs    x6, x6, x8
    sbcs    x7, x7, x9
    stp     x6, x7, [x3], #16
    sub     x0, x0, #1
    cbnz    x0, 1b
    brk     #0

    snippet long_product
1:  mul     x6, x10, x4
    umulh   x7, x10, x4
    mul     x8, x11, x4
    umulh   x9, x11, x4
    adds    x12, x12, x6
    adcs    x13, x13, x7
    adc     x14, x14, xzr
    adds    x13, x13, x8
    umulh   x8, x12, x5
    adcs    x14, x14, x9
    cset    w15, cs
    sub     x0, x0, #1
    cbnz    x0, 1b
    brk     #0

    snippet carries_added
1:  mul     x6, x10, x4
    umulh   x7, x10, x4
    adds    x8, x8, x6
    cinc    x9, x7, cs
    adds    x8, x8, x9
    cinc    x9, x9, cs
    sub     x0, x0, #1
    cbnz    x0, 1b
    brk     #0

    snippet words
1:  ldrb    w8, [x1, w7, uxtw]
    mov     w6, w7
    cbz     w4, 2f
    add     w7, w6, #1
    and     w7, w7, #255
2:  eor     w9, w9, w8
    sub     x0, x0, #1
    cbnz    x0, 1b
    brk     #0

    snippet frames
1:  stp     x6, x7, [x2, #-64]!
    stp     x4, x5, [x2, #16]
    str     x9, [x2, #32]
    ldp     x8, x10, [x2, #16]
    add     x9, x9, x8
    ldp     x6, x7, [x2], #64
    sub     x0, x0, #1
    cbnz    x0, 1b
    brk     #0

    snippet two_conditions
1:  ldr     x6, [x1]
    cmp     x6, #0
    ccmp    x6, x5, #4, ne
    b.eq    2f
    add     x7, x7, x6
    str     x7, [x2]
2:  ldr     x8, [x1, #8]
    sub     x0, x0, #1
    cbnz    x0, 1b
    brk     #0

    snippet conditions
1:  cmp     x6, x5
    ccmp    x7, #3, #4, ne
    cset    w8, gt
    add     x6, x6, x8
    tbz     x6, #5, 2f
    eor     x7, x7, #0xff
2:  subs    x0, x0, #1
    b.pl    1b
    brk     #0

    snippet choices
1:  add     x6, x6, x5
    cmp     x6, #2
    ccmp    w6, w5, #0, eq
    ccmn    x7, #5, #0, ne
    tbz     x0, #1, 2f
    add     x7, x7, #1
2:  str     x6, [x1]
    b.eq    3f
    add     x8, x8, #1
3:  sub     x0, x0, #1
    cbnz    x0, 1b
    brk     #0

    snippet logic
1:  and     x6, x6, x0, lsl #3
    orr     x7, x7, x0, ror #13
    eor     x8, x7, x6, asr #2
    bic     w9, w8, w7
    tst     x8, #0xff0
    b.eq    2f
    add     x10, x10, #1
2:  sub     x0, x0, #1
    cbnz    x0, 1b
    brk     #0

    snippet bitfields
1:  ubfx    x6, x0, #4, #8
    sbfiz   x7, x0, #12, #20
    bfi     x8, x0, #16, #16
    extr    x9, x8, x7, #24
    rev     x10, x9
    clz     x11, x10
    rbit    w12, w11
    subs    x0, x0, #1
    b.ne    1b
    brk     #0

    snippet multiply_divide
1:  madd    x6, x0, x5, x6
    umulh   x7, x6, x5
    smull   x8, w6, w0
    udiv    x9, x6, x5
    sdiv    w10, w6, w5
    msub    x11, x9, x5, x6
    subs    x0, x0, #1
    b.ne    1b
    brk     #0

    snippet hash_mix
1:  ldrb    w6, [x1], #1
    eor     x7, x7, x6
    movz    x8, #0x1b3
    movk    x8, #0x100, lsl #32
    mul     x7, x7, x8
    eor     x7, x7, x7, lsr #29
    subs    x0, x0, #1
    b.ne    1b
    brk     #0

    snippet sip_rounds
1:  ldr     x7, [x1], #8
    eor     x8, x8, x7
    .rept   2
    add     x3, x3, x4
    eor     x4, x3, x4, ror #51
    ror     x3, x3, #32
    add     x5, x5, x8
    eor     x8, x5, x8, ror #48
    add     x3, x3, x8
    eor     x8, x3, x8, ror #43
    add     x5, x5, x4
    eor     x4, x5, x4, ror #47
    ror     x5, x5, #32
    .endr
    subs    x0, x0, #1
    b.ne    1b
    brk     #0

    snippet call
1:  mov     x6, x0
    bl      2f
    subs    x0, x0, #1
    b.ne    1b
    brk     #0
2:  add     x7, x7, x6
    ret

    snippet call_with_frame, 1
    mov     x9, sp
1:  bl      2f
    subs    x0, x0, #1
    b.ne    1b
    brk     #0
2:  stp     x29, x30, [sp, #-32]!
    mov     x29, sp
    str     x0, [sp, #16]
    ldr     x6, [sp, #16]
    add     x7, x7, x6
    ldp     x29, x30, [sp], #32
    ret

    snippet indirect, 1
    adr     x6, 2f
1:  and     x7, x0, #1
    add     x7, x6, x7, lsl #3
    br      x7
2:  add     x8, x8, #1
    b       3f
    add     x9, x9, #1
    b       3f
3:  subs    x0, x0, #1
    b.ne    1b
    brk     #0

    snippet table
1:  ldrb    w6, [x1, x0]
    and     x6, x6, #7
    ldr     x7, [x2, x6, lsl #3]
    cmp     x7, #3
    b.hi    2f
    add     x8, x8, x7
2:  subs    x0, x0, #1
    b.ne    1b
    brk     #0

    snippet atomics
1:  ldadd   x4, x6, [x1]
    ldsetal w4, w7, [x2]
    swp     x5, x8, [x3]
    mov     x9, x6
    cas     x9, x4, [x1]
    stlr    x9, [x2]
    ldar    x10, [x3]
    subs    x0, x0, #1
    b.ne    1b
    brk     #0

    snippet exclusives
1:  ldaxr   x6, [x1]
    add     x6, x6, #1
    stlxr   w7, x6, [x1]
    cbnz    w7, 1b
    subs    x0, x0, #1
    b.ne    1b
    brk     #0

    snippet exclusive_compare
1:  ldr     x6, [x1]
    add     x8, x6, x4
2:  ldaxr   x7, [x1]
    cmp     x7, x6
    b.ne    3f
    stlxr   w9, x8, [x1]
    cbnz    w9, 2b
3:  mov     x6, x7
    b.ne    1b
    sub     x0, x0, #1
    cbnz    x0, 1b
    brk     #0

    snippet barriers
1:  str     x0, [x1]
    dmb     ish
    ldr     x6, [x2]
    dmb     ishld
    add     x7, x7, x6
    subs    x0, x0, #1
    b.ne    1b
    brk     #0

    snippet system_registers
1:  mrs     x6, tpidr_el0
    msr     tpidr_el0, x0
    mrs     x7, nzcv
    mrs     x8, cntvct_el0
    add     x9, x8, x6
    subs    x0, x0, #1
    b.ne    1b
    brk     #0

    snippet fp_double
1:  ldr     d0, [x1], #8
    fmul    d1, d0, d8
    fadd    d2, d2, d1
    fsub    d3, d2, d0
    fdiv    d4, d3, d8
    str     d4, [x2], #8
    subs    x0, x0, #1
    b.ne    1b
    brk     #0

    snippet fp_fused
1:  fmadd   d2, d8, d9, d2
    fmsub   s3, s0, s1, s3
    fsqrt   d4, d8
    subs    x0, x0, #1
    b.ne    1b
    brk     #0

    snippet fp_compare
1:  ldr     s2, [x1], #4
    fcmp    s2, s0
    fcsel   s3, s2, s3, gt
    b.mi    2f
    fmaxnm  s4, s2, s4
2:  fcmpe   s4, #0.0
    cset    w6, ls
    subs    x0, x0, #1
    b.ne    1b
    brk     #0

    snippet fp_convert
1:  scvtf   d0, x0
    fcvtzs  x6, d0
    fcvt    s1, d0
    ucvtf   s2, w0
    fcvtzu  w7, s2
    fcvtns  w8, s1
    frintm  d3, d0
    fmov    x9, d3
    fcvtzu  s7, s0
    fcvtzu  v16.4s, v17.4s
    ucvtf   d4, x0
    ucvtf   v18.4s, v17.4s
    subs    x0, x0, #1
    b.ne    1b
    brk     #0

    snippet neon_integer
1:  ldr     q2, [x1], #16
    add     v3.4s, v2.4s, v0.4s
    mul     v4.4s, v3.4s, v0.4s
    cmgt    v5.4s, v4.4s, v2.4s
    bsl     v5.16b, v3.16b, v2.16b
    ushr    v6.4s, v5.4s, #3
    umax    v7.16b, v6.16b, v5.16b
    str     q7, [x2], #16
    subs    x0, x0, #4
    b.ne    1b
    brk     #0

    snippet neon_widen
1:  ld1     {v2.8b}, [x1]
    ushll   v3.8h, v2.8b, #0
    umlal   v4.4s, v3.4h, v3.4h
    addp    v5.8h, v3.8h, v3.8h
    sqxtn   v6.8b, v5.8h
    addv    s7, v4.4s
    umov    w6, v7.s[0]
    subs    x0, x0, #1
    b.ne    1b
    brk     #0

    snippet neon_float
1:  ld1     {v2.4s, v3.4s}, [x1]
    fmla    v4.4s, v2.4s, v3.4s
    fadd    v5.4s, v4.4s, v0.4s
    fmul    v6.2d, v8.2d, v9.2d
    fcmgt   v7.4s, v5.4s, v4.4s
    fmla    v16.4s, v2.4s, v3.s[1]
    st1     {v5.4s}, [x2]
    subs    x0, x0, #1
    b.ne    1b
    brk     #0

    snippet neon_permute
1:  tbl     v2.16b, {v0.16b}, v1.16b
    zip1    v3.4s, v2.4s, v0.4s
    ext     v4.16b, v3.16b, v2.16b, #5
    rev64   v5.8h, v4.8h
    dup     v6.4s, v5.s[2]
    ins     v7.s[1], w0
    uzp2    v16.16b, v6.16b, v7.16b
    subs    x0, x0, #1
    b.ne    1b
    brk     #0

    snippet crypto
1:  aese    v0.16b, v1.16b
    aesmc   v0.16b, v0.16b
    sha256h q2, q3, v4.4s
    sha256su0 v5.4s, v6.4s
    pmull   v7.1q, v0.1d, v1.1d
    crc32cx w6, w6, x0
    subs    x0, x0, #1
    b.ne    1b
    brk     #0

    snippet strlen, 2
    movi    v1.16b, #0
    mov     x6, x1
1:  ldr     q2, [x6], #16
    cmeq    v3.16b, v2.16b, #0
    umaxp   v4.16b, v3.16b, v3.16b
    fmov    x7, d4
    cbz     x7, 2f
    mov     x6, x1
2:  subs    x0, x0, #1
    b.ne    1b
    brk     #0

    snippet interpreter, 1
    mov     x6, x1
1:  ldrb    w7, [x6], #1
    and     x7, x7, #3
    adr     x8, 2f
    add     x8, x8, x7, lsl #4
    blr     x8
    subs    x0, x0, #1
    b.ne    1b
    brk     #0
2:  add     x9, x9, #1
    ret
    nop
    nop
    sub     x9, x9, #3
    ret
    nop
    nop
    eor     x9, x9, x9, lsl #7
    ret
    nop
    nop
    orr     x9, x9, #1
    ret

    snippet rounding, 2
    mov     x9, #0x400000
    msr     fpcr, xzr
1:  msr     fpcr, x9
    add     x1, x1, #1
    msr     fpcr, xzr
    subs    x0, x0, #1
    b.ne    1b
    brk     #0

    .balign 4
    .word   0
