/*
 * A bare-metal payload for the fvp board or a Realm on it, linked at PAYLOAD_BASE. It says at which exception level
 * and CPU it is. At EL2 it then uses what outlives a reset: the first time it programs a word of flash and lets the
 * watchdog reset the machine, the second time it finds the word, starts CPU 4 (second cluster) where it is itself, and
 * that one powers the machine off. A word of Non-secure memory outlives the reset, too; one in a granule that was
 * delegated is gone. At EL1 it powers off at once.
 */

#define UART0   PAYLOAD_UART
#include "image.h"

#define FLASH   0x0c000000
#define SP805   0x1c0f0000
#define SYS_LED 0x1c010008
#define CPU4    0x10000
#define KEPT    0x84000000
#define GIVEN   0x84001000
#define RMI_GRANULE_DELEGATE 0xc4000151
#define PSCI_ON 0xc4000003

    .section .text
    .global start
start:
    load_address x4, stack_top
    mov     sp, x4
    mrs     x5, mpidr_el1
    ubfx    x5, x5, #16, #8        /* the cluster */
    load_address x0, text
    mrs     x6, CurrentEL
    lsr     x6, x6, #2
    add     w6, w6, #'0'
    strb    w6, [x0, #(text_el - text)]
    add     w7, w5, #'0'
    strb    w7, [x0, #(text_cluster - text)]
    bl      print
    cmp     w6, #'2'
    b.ne    off
    cbnz    x5, off

    ldr     x8, =FLASH
    ldr     w9, [x8, #0x100]
    ldr     w10, =0x600df1a5
    cmp     w9, w10
    b.eq    again

    mov     w9, #0x40              /* word program, both chips */
    orr     w9, w9, w9, lsl #16
    str     w9, [x8, #0x100]
    str     w10, [x8, #0x100]
    mov     w9, #0xff
    orr     w9, w9, w9, lsl #16
    str     w9, [x8]
    ldr     x8, =KEPT
    str     w10, [x8]
    ldr     x1, =GIVEN
    str     w10, [x1]
    ldr     x0, =RMI_GRANULE_DELEGATE
    smc     #0
    cbnz    x0, off
    load_address x0, text_reset
    bl      print
    ldr     x8, =SP805
    mov     w9, #100
    str     w9, [x8]
    mov     w9, #3
    str     w9, [x8, #8]
1:  wfi
    b       1b

again:
    ldr     x8, =KEPT
    ldr     w9, [x8]
    ldr     x8, =GIVEN
    ldr     w8, [x8]
    cmp     w9, w10
    ccmp    w8, #0, #0, eq
    b.ne    off
    load_address x0, text_again
    bl      print
    ldr     x0, =PSCI_ON
    ldr     x1, =CPU4
    adr     x2, start
    mov     x3, #0
    smc     #0
    cbnz    x0, off
2:  wfi
    b       2b

off:
    psci    PSCI_OFF
3:  b       3b

    print_function
    .ltorg

text:
    .ascii  "payload at EL"
text_el:
    .ascii  "?, cluster "
text_cluster:
    .asciz  "?\n"
text_reset:
    .asciz  "waiting for the watchdog\n"
text_again:
    .asciz  "flash has what was there before the reset\n"
    .balign 16
    .skip   256
stack_top:
