/*
 * Prints "hello" and ends, as HELLO_END says: OFF (power off), RESET, WFI (sleeps for good), SPIN, PANIC (says so to
 * a pvpanic-pci, then spins). The debugger's test stops at `greet`, where x19 is 0x1234, changes the text, and watches
 * it and `seen`.
 */
#include "image.h"

#define OFF   0
#define RESET 1
#define WFI   2
#define SPIN  3
#define PANIC 4

#define ECAM       0x4010000000
#define PVPANIC_ID 0x00111b36
#define BAR        0x10000000

    image_header

    .global start, greet, done
start:
    load_address x4, stack_top
    mov     sp, x4
    mov     x19, #0x1234
    bl      greet
done:
#if HELLO_END == OFF
    psci    PSCI_OFF
#elif HELLO_END == RESET
    psci    PSCI_RESET
#elif HELLO_END == WFI
1:  wfi
    b       1b
#elif HELLO_END == PANIC
    ldr     x1, =ECAM
    ldr     w2, =PVPANIC_ID
1:  ldr     w3, [x1]               /* the functions 0 of bus 0 */
    cmp     w3, w2
    add     x1, x1, #0x8000
    b.ne    1b
    sub     x1, x1, #0x8000
    mov     w3, #BAR
    str     w3, [x1, #0x10]
    mov     w2, #2                 /* memory space on */
    strh    w2, [x1, #4]
    mov     w2, #1                 /* panicked */
    strb    w2, [x3]
#endif
2:  b       2b

greet:
    mov     x20, x30
    add     x19, x19, #1
    load_address x0, seen
    .global store
store:
    str     x19, [x0]
    load_address x0, text
    bl      print
    mov     x30, x20
    ret

    print_function
    .ltorg

    .global text
text:
    .asciz  "hello\n"
    .balign 16
    .global seen
seen:
    .quad   0
    .balign 16
    .skip   256
stack_top:
image_end:
