/*
 * Entry points of the assignment guests (assign.h): an arm64 Image whose first instruction leads to the host, the entry
 * of its Realms, and the SMC that both make.
 */
    .section .head, "ax"
    b       host_entry
    .word   0
    .quad   0                      /* text offset */
    .quad   0x200000               /* size in memory */
    .quad   0xa                    /* little-endian, 4 KiB pages, anywhere */
    .quad   0, 0, 0
    .ascii  "ARM\x64"
    .word   0

    .macro  enter stack, function
    adrp    x9, \stack
    add     x9, x9, :lo12:\stack
    mov     sp, x9
    bl      \function
1:  b       1b
    .endm

host_entry:
    enter   host_stack, host_main

    .global realm_entry
realm_entry:
    enter   realm_stack, realm_main

/* smc(x): x[0] to x[11] are registers, before and after. */
    .global smc
smc:
    stp     x19, x30, [sp, #-16]!
    mov     x19, x0
    ldp     x0, x1, [x19]
    ldp     x2, x3, [x19, #16]
    ldp     x4, x5, [x19, #32]
    ldp     x6, x7, [x19, #48]
    ldp     x8, x9, [x19, #64]
    ldp     x10, x11, [x19, #80]
    smc     #0
    stp     x0, x1, [x19]
    stp     x2, x3, [x19, #16]
    stp     x4, x5, [x19, #32]
    stp     x6, x7, [x19, #48]
    stp     x8, x9, [x19, #64]
    stp     x10, x11, [x19, #80]
    ldp     x19, x30, [sp], #16
    ret

    .bss
    .balign 16
    .skip   8192
host_stack:
    .skip   8192
realm_stack:
