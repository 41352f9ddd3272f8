/*
 * Functions that call each other, for whoever looks at what a guest executes: outer() and middle() have frame records,
 * count() has none, never() is not called. At the end an exception of each kind that costs nothing: a breakpoint
 * instruction, whose handler goes on behind it.
 */
#include "image.h"

    image_header

    .global start, outer, middle, count, never, handler, vectors
    .type start, %function
    .type outer, %function
    .type middle, %function
    .type count, %function
    .type never, %function
    .type handler, %function

start:
    load_address x4, stack_top
    mov     sp, x4
    mov     x29, #0
    mrs     x0, CurrentEL
    load_address x1, vectors
    cmp     x0, #4
    b.eq    1f
    msr     vbar_el2, x1
1:  msr     vbar_el1, x1
    isb
    bl      outer
    brk     #7
    psci    PSCI_OFF
    .size start, . - start

outer:
    stp     x29, x30, [sp, #-16]!
    mov     x29, sp
    bl      middle
    mov     x0, #1000
    bl      count
    ldp     x29, x30, [sp], #16
    ret
    .size outer, . - outer

middle:
    stp     x29, x30, [sp, #-16]!
    mov     x29, sp
    mov     x19, #10
1:  mov     x0, #5000
    bl      count
    subs    x19, x19, #1
    b.ne    1b
    ldp     x29, x30, [sp], #16
    ret
    .size middle, . - middle

count:
    subs    x0, x0, #1
    b.ne    count
    ret
    .size count, . - count

never:
    mov     x0, #1
    ret
    .size never, . - never

/* Behind the breakpoint instruction, from either level. */
handler:
    mrs     x0, CurrentEL
    cmp     x0, #4
    b.eq    1f
    mrs     x0, elr_el2
    add     x0, x0, #4
    msr     elr_el2, x0
    eret
1:  mrs     x0, elr_el1
    add     x0, x0, #4
    msr     elr_el1, x0
    eret
    .size handler, . - handler

    .balign 2048
vectors:
    .skip   0x200
    b       handler
    .balign 2048
    .ltorg

    .balign 16
    .skip   256
stack_top:
image_end:
