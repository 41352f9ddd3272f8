/*
 * Two CPUs that sleep. CPU 1 wakes by its timer every 10 ms, notes the time, sends CPU 0 an interrupt and sleeps again at
 * once; CPU 0 looks how late it woke. After 32 times it says "woken", or "late" if that was ever more than 50 us, and
 * powers off. Interrupts stay masked: one that is pending ends WFI all the same (DDI 0487, "Wait for Interrupt").
 * With WAKE_NAPS, CPU 0 alone: NAPS times of 10 to 74 us, each ended by its own timer.
 */
#include "image.h"

#define PSCI_CPU_ON 0xc4000003
#define GICD        0x08000000
#define GICR        0x080a0000
#define GICR_STRIDE 0x20000
#define SGI         1
#define TIMER       30      /* PPI of the EL1 physical timer */
#define TICKS_PER_S 62500000
#define PERIOD      (TICKS_PER_S / 100)
#define LIMIT       (TICKS_PER_S / 20000)
#define TIMES       32
#define NAPS        8192

    image_header

    .global start
start:
    load_address x0, stack_top
    mov     sp, x0
    ldr     x0, =GICD
    mov     w1, #0x12               /* ARE_NS, group 1 */
    str     w1, [x0]
    ldr     x0, =GICR
    bl      interrupts_on
#ifdef WAKE_NAPS
    mov     x21, #NAPS
1:  and     x1, x21, #63
    mov     x2, #(TICKS_PER_S / 1000000)
    add     x1, x1, #10             /* us */
    mul     x1, x1, x2
    isb
    mrs     x0, cntpct_el0
    add     x0, x0, x1
    msr     cntp_cval_el0, x0
    mov     x0, #1
    msr     cntp_ctl_el0, x0
    mov     x0, #TIMER
    bl      sleep_until
    msr     cntp_ctl_el0, xzr
    subs    x21, x21, #1
    b.ne    1b
    load_address x0, woken
    bl      print
    psci    PSCI_OFF
#endif
    load_address x2, second
    ldr     x0, =PSCI_CPU_ON
    mov     x1, #1                  /* MPIDR of CPU 1 */
    mov     x3, #0
    smc     #0

    load_address x20, sent
    mov     x21, #0                 /* the longest it took */
    mov     x22, #TIMES
1:  mov     x0, #SGI
    bl      sleep_until
    isb
    mrs     x1, cntpct_el0
    ldr     x2, [x20]
    sub     x1, x1, x2
    cmp     x1, x21
    csel    x21, x1, x21, hi
    subs    x22, x22, #1
    b.ne    1b

    load_address x0, woken
    load_address x1, late
    cmp     x21, #LIMIT
    csel    x0, x0, x1, ls
    bl      print
    psci    PSCI_OFF
2:  b       2b

second:
    ldr     x0, =GICR + GICR_STRIDE
    bl      interrupts_on
    load_address x20, sent
    ldr     x21, =PERIOD
    ldr     x22, =(SGI << 24 | 1)   /* to CPU 0 */
3:  isb
    mrs     x0, cntpct_el0
    add     x0, x0, x21
    msr     cntp_cval_el0, x0
    mov     x0, #1
    msr     cntp_ctl_el0, x0
    mov     x0, #TIMER
    bl      sleep_until
    msr     cntp_ctl_el0, xzr
    isb
    mrs     x0, cntpct_el0
    str     x0, [x20]
    dsb     sy
    msr     s3_0_c12_c11_5, x22     /* ICC_SGI1R_EL1 */
    b       3b

/* x0: an INTID. Sleeps until it is pending, and takes it. Uses x1. */
sleep_until:
    wfi
    mrs     x1, s3_0_c12_c12_0      /* ICC_IAR1_EL1 */
    cmp     x1, x0
    b.ne    sleep_until
    msr     s3_0_c12_c12_1, x1      /* ICC_EOIR1_EL1 */
    ret

/* x0: this CPU's redistributor. Uses x1. */
interrupts_on:
    str     wzr, [x0, #0x14]        /* awake */
    add     x0, x0, #0x10000
    mov     w1, #-1
    str     w1, [x0, #0x80]         /* group 1 */
    ldr     w1, =(1 << TIMER | 1 << SGI)
    str     w1, [x0, #0x100]
    mov     x1, #0xf
    msr     s3_4_c12_c9_5, x1       /* ICC_SRE_EL2 */
    isb
    mov     x1, #0xff
    msr     s3_0_c4_c6_0, x1        /* ICC_PMR_EL1 */
    mov     x1, #1
    msr     s3_0_c12_c12_7, x1      /* ICC_IGRPEN1_EL1 */
    mov     x1, #(1 << 4)           /* IMO: interrupts are for EL2 */
    msr     hcr_el2, x1
    isb
    ret

    print_function
    .ltorg

woken:
    .asciz  "woken\n"
late:
    .asciz  "late\n"
    .balign 16
sent:
    .quad   0
    .skip   256
stack_top:
image_end:
