/*
 * A hostile host as a guest: makes eight Realms, one after the other, whose own code calls the RMM at random, and after
 * each 3000 random calls of RMI with arguments that are often right, writes to the pages passed, and reads of them.
 * Every fault is skipped. Each Realm keeps a number in its memory that no host may read from any page, neither while
 * it lives nor when its pages came back; whoever reads it says "LEAK". A Realm must have run, or it says "IDLE".
 * The numbers of RMI calls and their arguments are those of DEN0137, the interfaces of those names.
 */
#include "image.h"

#define RMI         0xc4000000
#define POOL        0x40400000      /* 64 pages for each Realm */
#define WORLDS      8
#define CALLS       3000
#define MAX_TICKS   0x3ff           /* a Realm runs no longer */
#define GICD        0x08000000
#define GICR_SGI    0x080b0000
#define GICR        0x080a0000
#define NOT_SECRET  0x91c37a5e06d2 /* the number is the complement, which is nowhere in our memory */
#define SECRET_AT   0x3800          /* beyond what an RsiHostCall at the start of a page has */

/* In the table: page n of this Realm's pool; the Realm's number plus n. */
#define PAGE(n)     (1 << 62 | (n) << 12)
#define NUMBER(n)   (1 << 61 | (n))
#define POKE        0               /* instead of a call: the value x2 to x1 */
#define END         1

/* Page numbers. */
#define RD      0
#define ROOT    1
#define L1      2
#define L2      3
#define L3      4
#define REC     5
#define AUX     6
#define DATA    8                   /* 8 pages */
#define PARAMS  60                  /* stays ours, as the pages from here on */
#define RUN     61
#define REC_PARAMS 62

    image_header

/* x19: pool; x20: world; x21: secret; x22: counter; x23: times a Realm ran; x24, x25: return; x26: random state */
    .global start
start:
    load_address x0, vectors
    msr     vbar_el2, x0
    load_address x0, stack_top
    mov     sp, x0
    ldr     x26, =0x9e3779b97f4a7c15
    ldr     x21, =NOT_SECRET
    mvn     x21, x21
    mov     x23, #0
    bl      interrupts_on
    ldr     x19, =POOL
    mov     x20, #0
next_world:
    bl      build
    ldr     x22, =CALLS
1:  bl      step
    subs    x22, x22, #1
    b.ne    1b
    bl      read_all
    add     x19, x19, #0x40000
    add     x20, x20, #1
    cmp     x20, #WORLDS
    b.lo    next_world
    cmp     x23, #100
    b.hi    off
    load_address x0, idle
    bl      print
off:
    psci    PSCI_OFF
1:  b       1b

leak:
    load_address x0, leaked
    bl      print
    b       off

    print_function

/* ---- any exception: on with the next instruction ---- */

    .balign 2048
vectors:
    .rept   16
    mrs     x28, elr_el2
    add     x28, x28, #4
    msr     elr_el2, x28
    eret
    .balign 128
    .endr

/* ---- the hypervisor's timer ends a Realm's turn; its interrupt stays masked here ---- */

interrupts_on:
    ldr     x0, =GICD
    mov     w1, #0x12               /* ARE_NS, group 1 */
    str     w1, [x0]
    ldr     x0, =GICR
    str     wzr, [x0, #0x14]        /* awake */
    ldr     x0, =GICR_SGI
    mov     w1, #-1
    str     w1, [x0, #0x80]
    mov     w1, #(1 << 26)
    str     w1, [x0, #0x100]
    mov     x1, #0xf
    msr     s3_4_c12_c9_5, x1       /* ICC_SRE_EL2 */
    isb
    mov     x1, #0xff
    msr     s3_0_c4_c6_0, x1        /* ICC_PMR_EL1 */
    mov     x1, #1
    msr     s3_0_c12_c12_7, x1      /* ICC_IGRPEN1_EL1 */
    msr     cnthp_ctl_el2, x1
    ret

/* ---- one Realm ---- */

/* x0: a word of the table; returns what it stands for. */
value_of:
    tbz     x0, #62, 1f
    and     x0, x0, #0xfffff
    add     x0, x0, x19
    ret
1:  tbz     x0, #61, 2f
    and     x0, x0, #0xff
    add     x0, x0, x20
2:  ret

/* The calls of the table; all of them must succeed, or no Realm runs, which is noticed. */
build:
    mov     x24, x30
    load_address x27, table
next_row:
    ldr     x0, [x27], #8
    cmp     x0, #END
    b.eq    built
    mov     x10, x0
    ldr     x0, [x27], #8
    bl      value_of
    mov     x11, x0
    ldr     x0, [x27], #8
    bl      value_of
    mov     x12, x0
    ldr     x0, [x27], #8
    bl      value_of
    mov     x3, x0
    ldr     x4, [x27], #8
    mov     x5, #0
    mov     x6, #0
    mov     x1, x11
    mov     x2, x12
    cbnz    x10, 1f
    str     x2, [x1]
    b       next_row
1:  ldr     x0, =RMI
    add     x0, x0, x10
    smc     #0
    b       next_row
built:
    mov     x30, x24
    ret

    .macro row op, a1=0, a2=0, a3=0, a4=0
    .quad   \op, \a1, \a2, \a3, \a4
    .endm

    .balign 16
table:
    .set    page, 0
    .rept   16
    row     0x151, PAGE(page)                            /* GRANULE_DELEGATE */
    .set    page, page + 1
    .endr
    row     POKE, PAGE(PARAMS) + 0x008, 48               /* RmiRealmParams: size of the IPA space */
    row     POKE, PAGE(PARAMS) + 0x018, 1
    row     POKE, PAGE(PARAMS) + 0x020, 1
    row     POKE, PAGE(PARAMS) + 0x800, NUMBER(1)        /* VMID */
    row     POKE, PAGE(PARAMS) + 0x808, PAGE(ROOT)
    row     POKE, PAGE(PARAMS) + 0x818, 1
    row     0x158, PAGE(RD), PAGE(PARAMS)                /* REALM_CREATE */
    row     0x15d, PAGE(RD), PAGE(L1), 0, 1              /* RTT_CREATE */
    row     0x15d, PAGE(RD), PAGE(L2), 0, 2
    row     0x15d, PAGE(RD), PAGE(L3), 0, 3
    row     0x168, PAGE(RD), 0, 0x8000                   /* RTT_INIT_RIPAS */
    row     0x153, PAGE(RD), PAGE(DATA), 0, realm_page   /* DATA_CREATE; x5: not measured */
    row     0x153, PAGE(RD), PAGE(DATA + 1), 0x1000, realm_page
    row     0x153, PAGE(RD), PAGE(DATA + 2), 0x2000, realm_page
    row     0x153, PAGE(RD), PAGE(DATA + 3), 0x3000, realm_page
    .set    page, 4
    .rept   4
    row     0x154, PAGE(RD), PAGE(DATA + page), page << 12 /* DATA_CREATE_UNKNOWN */
    .set    page, page + 1
    .endr
    row     POKE, PAGE(REC_PARAMS), 1                    /* RmiRecParams: runnable */
    row     POKE, PAGE(REC_PARAMS) + 0x800, 1
    row     POKE, PAGE(REC_PARAMS) + 0x808, PAGE(AUX)
    row     0x15a, PAGE(RD), PAGE(REC), PAGE(REC_PARAMS) /* REC_CREATE */
    row     0x157, PAGE(RD)                              /* REALM_ACTIVATE */
    .quad   END

/* ---- one random step ---- */

/* xorshift, into x0 */
random:
    eor     x26, x26, x26, lsl #13
    eor     x26, x26, x26, lsr #7
    eor     x26, x26, x26, lsl #17
    mov     x0, x26
    ret

/* A page of this Realm's or a neighbour's, into x0. Uses x9. */
any_page:
    mov     x18, x30
    bl      random
    ubfx    x9, x0, #8, #6
    tbz     x0, #20, 1f
    ubfx    x9, x0, #8, #4          /* one of the first, more often */
1:  add     x9, x19, x9, lsl #12
    tst     x0, #0x3c0000
    b.ne    2f
    sub     x9, x9, #0x40000
2:  mov     x0, x9
    mov     x30, x18
    ret

/* An argument that means something somewhere, into x0: page, page and a bit, IPA, small number, anything. */
argument:
    mov     x17, x30
    bl      random
    ubfx    x10, x0, #3, #3
    cmp     x10, #4
    b.lo    1f
    b.eq    2f
    cmp     x10, #6
    b.lo    3f
    b.eq    4f
    b       5f
1:  bl      any_page
    b       5f
2:  bl      any_page
    ubfx    x9, x26, #30, #8
    add     x0, x0, x9
    b       5f
3:  and     x0, x0, #0xf000
    b       5f
4:  and     x0, x0, #3
5:  mov     x30, x17
    ret

step:
    mov     x24, x30
    bl      random
    and     x0, x0, #MAX_TICKS
    msr     cnthp_tval_el2, x0
    bl      random
    ubfx    x9, x0, #40, #4
    cmp     x9, #4
    b.lo    enter
    b.eq    poke
    cmp     x9, #6
    b.lo    peek
    cmp     x9, #15
    b.lo    call
    ubfx    x15, x0, #8, #16        /* any standard call of 64 bits, but none of PSCI */
    cmp     x15, #0x20
    b.lo    stepped
    b       2f
call:
    ubfx    x15, x0, #8, #6
    add     x15, x15, #0x150
    tbz     x0, #20, 2f
    add     x15, x15, #0x80         /* the second range */
2:  bl      argument
    mov     x1, x0
    bl      argument
    mov     x2, x0
    bl      argument
    mov     x3, x0
    bl      argument
    mov     x4, x0
    bl      argument
    mov     x5, x0
    bl      argument
    mov     x6, x0
    b       smc_x15
enter:
    add     x1, x19, #(REC << 12)
    add     x2, x19, #(RUN << 12)
    mov     x15, #0x15c             /* REC_ENTER */
    bl      random
    str     x0, [x2, #0x200]        /* gprs[0] */
    tst     x0, #0x300
    cset    x0, eq                  /* the load or store was emulated, perhaps */
    str     x0, [x2]
smc_x15:
    ldr     x0, =RMI
    add     x0, x0, x15
    mov     x16, x15
    smc     #0
    cmp     x16, #0x15c
    ccmp    x0, #0, #0, eq
    cinc    x23, x23, eq
    b       stepped
poke:
    bl      any_page
    ubfx    x9, x26, #24, #9
    str     x26, [x0, x9, lsl #3]
    b       stepped
peek:
    bl      any_page
    bl      read_page
stepped:
    mov     x30, x24
    ret

/* Does page x0 have the number? */
read_page:
    mov     x9, #512
1:  mov     x1, #0
    ldr     x1, [x0], #8
    cmp     x1, x21
    b.eq    leak
    subs    x9, x9, #1
    b.ne    1b
    ret

    .macro  call_rmi fid
    ldr     x0, =(RMI + \fid)
    smc     #0
    .endm

/* All pages of this Realm, as they are, and once more after taking them back: memory and registers first. */
read_all:
    mov     x24, x30
    mov     x22, #0
0:  mov     x1, x19
    lsl     x2, x22, #12
    call_rmi 0x155                  /* DATA_DESTROY */
    add     x22, x22, #1
    cmp     x22, #8
    b.lo    0b
    add     x1, x19, #(REC << 12)
    call_rmi 0x15b                  /* REC_DESTROY */
    mov     x22, #0
1:  add     x0, x19, x22, lsl #12
    bl      read_page
    add     x1, x19, x22, lsl #12
    call_rmi 0x152                  /* GRANULE_UNDELEGATE */
    add     x0, x19, x22, lsl #12
    bl      read_page
    add     x22, x22, #1
    cmp     x22, #64
    b.lo    1b
    mov     x30, x24
    ret

idle:
    .asciz  "IDLE\n"
leaked:
    .asciz  "LEAK\n"
    .ltorg

/* ---- what runs in the Realm, at address 0 of its own: RSI calls at random; copied to every page it has ---- */

    .balign 4096
realm_page:
    mov     x20, #(NOT_SECRET & 0xffff)
    movk    x20, #(NOT_SECRET >> 16 & 0xffff), lsl #16
    movk    x20, #(NOT_SECRET >> 32 & 0xffff), lsl #32
    mvn     x20, x20
    mov     x26, #0x2545
    movk    x26, #0xf491, lsl #32
1:  eor     x26, x26, x26, lsl #13
    eor     x26, x26, x26, lsr #7
    eor     x26, x26, x26, lsl #17
    mov     x9, #SECRET_AT
    str     x20, [x9]
    ubfx    x0, x26, #8, #5
    add     x0, x0, #0x190
    movk    x0, #0xc400, lsl #16
    and     x1, x26, #0xf000
    cbnz    x1, 2f
    mov     x1, #0x1000             /* not over this page */
2:  ubfx    x2, x26, #20, #4
    lsl     x2, x2, #12
    ubfx    x3, x26, #30, #2
    ubfx    x4, x26, #32, #1
    smc     #0
    ubfx    x9, x26, #40, #4
    cbnz    x9, 1b
    mov     x9, #(1 << 47)          /* the unprotected half: emulated by the host */
    ldr     w1, [x9]
    str     w26, [x9, #8]
    b       1b
    .org    realm_page + 0x200      /* VBAR_EL1 is 0: whatever it was, it is skipped */
    mrs     x9, elr_el1
    add     x9, x9, #4
    msr     elr_el1, x9
    eret
    .org    realm_page + 0x1000

    .skip   256
stack_top:
image_end:
