/*
 * A hostile host that roams: it reads an address in each of 400,000 spans of 16 MiB from 1 TiB on, where nothing is. Each
 * read is an external abort, which is skipped. Then it powers off.
 */
#include "image.h"

    image_header
    .global start
start:
    load_address x0, vectors
    msr     vbar_el2, x0
    mov     x10, #(1 << 24)
    mov     x11, #(1 << 40)
    ldr     x12, =400000
    mov     x13, #0                /* aborts */
1:  ldr     x0, [x11]
    add     x11, x11, x10
    subs    x12, x12, #1
    b.ne    1b
    ldr     x12, =400000
    cmp     x12, x13
    b.ne    2f
    load_address x0, text
    bl      print
2:  psci    PSCI_OFF
3:  b       3b

    print_function
    .ltorg
text:
    .asciz  "nothing anywhere\n"

    .balign 2048
vectors:
    .rept   16
    add     x13, x13, #1
    mrs     x28, elr_el2
    add     x28, x28, #4
    msr     elr_el2, x28
    eret
    .balign 128
    .endr
image_end:
