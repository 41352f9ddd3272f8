/*
 * The head of a bare-metal guest: an arm64 Image (Linux "Booting AArch64 Linux", section 4) that starts at
 * `start`, and what several guests need. Linked at the machine's first RAM address, where the Image is put.
 */

#ifndef UART0
#define UART0       0x09000000
#endif
#define PSCI_OFF    0x84000008
#define PSCI_RESET  0x84000009

    .macro image_header
    .section .text
    b       start
    .word   0
    .quad   0                      /* text offset */
    .quad   image_end - image_base /* size in memory */
    .quad   0xa                    /* little-endian, 4 KiB pages, anywhere */
    .quad   0, 0, 0
    .ascii  "ARM\x64"
    .word   0
    .equ    image_base, . - 64
    .endm

    .macro load_address reg, sym
    adrp    \reg, \sym
    add     \reg, \reg, :lo12:\sym
    .endm

    /* x0: text, ending in zero. Uses x1 to x3. */
    .macro print_function
print:
    ldr     x1, =UART0
1:  ldr     w2, [x1, #0x18]        /* UARTFR.TXFF */
    tbnz    w2, #5, 1b
    ldrb    w3, [x0], #1
    cbz     w3, 2f
    str     w3, [x1]
    b       1b
2:  ret
    .endm

    .macro psci function
    ldr     w0, =\function
    smc     #0
    .endm
