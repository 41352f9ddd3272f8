/* A bare host at NS-EL2 for rmm.c: MMU and caches on, 1:1, as a kernel has them; a stack; host(); power off. */
#include "image.h"

#define RSI_CALLS 200000 /* rmm.c */

#define BLOCK(ga, attr) (((ga) << 30) | (1 << 10) /* AF */ | (3 << 8) /* inner shareable */ | ((attr) << 2) | 1)

    image_header

    .global start
start:
    ldr     x0, =0xff04             /* MAIR_EL2: 0 Device-nGnRE, 1 Normal write-back */
    msr     mair_el2, x0
    ldr     x0, =0x80803519         /* TCR_EL2: 39 bits, 4 KiB, write-back walks, 40-bit addresses */
    msr     tcr_el2, x0
    load_address x0, table
    msr     ttbr0_el2, x0
    mrs     x0, sctlr_el2
    mov     x1, #0x1005             /* M, C, I */
    orr     x0, x0, x1
    isb
    msr     sctlr_el2, x0
    isb
    load_address x0, stack_top
    mov     sp, x0
    bl      host
    psci    PSCI_OFF
    .ltorg

    .global print
    print_function
    .ltorg

    /* What the Realm runs, each below 64 bytes and anywhere: a WFI for ever; a WFI after many calls. */
    .global realm_waits, realm_asks_version, realm_asks_ripas
    .balign 64
realm_waits:
    wfi
    b       realm_waits

    .macro  calls_until_wfi function
1:  movz    x9, #(RSI_CALLS & 0xffff)
    movk    x9, #(RSI_CALLS >> 16), lsl #16
2:  movz    x0, #\function
    movk    x0, #0xc400, lsl #16
    mov     x1, #VERSION_1_0
    mov     x2, #2 * VERSION_1_0
    smc     #0
    subs    x9, x9, #1
    b.ne    2b
    wfi
    b       1b
    .endm

    .equ    VERSION_1_0, 0x10000    /* as an address it is inside the Realm, too */
    .balign 64
realm_asks_version:
    calls_until_wfi 0x190
    .balign 64
realm_asks_ripas:
    calls_until_wfi 0x198

    .section .data
    .balign 4096
table:
    .quad   BLOCK(0, 0), BLOCK(1, 1), BLOCK(2, 1), BLOCK(3, 1)
    .space  4096 - 4 * 8
    .space  16384
stack_top:
    .section .tail, "aw"
image_end:
