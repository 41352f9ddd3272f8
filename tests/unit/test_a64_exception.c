/*
 * Exceptions: where interrupts and synchronous exceptions go, by rows of the Arm ARM's routing tables; what
 * entry and return do to PSTATE; the firmware hook; software step and breakpoints; and a few instructions run
 * for real.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "a64_machine.h"
#include "cpu/a64/decode.h"
#include "event.h"
#include "log.h"

#define NS PAS_NONSECURE

static void go(TestMachine *t, unsigned el, Pas world, uint64_t masks)
{
    a64_reset(t->cpu);
    t->cpu->el1.vbar = 0x10000;
    t->cpu->el2.vbar = 0x20000;
    t->cpu->el3.vbar = 0x30000;
    a64_enter(t->cpu, world, TEST_RAM, masks | el << 2 | (el != 0));
    t->cpu->cpu.fault = false;
}

/* ---- interrupts ---- */

typedef struct IrqRow {
    const char *name;
    uint8_t     el;
    bool        masked; /* PSTATE.I */
    uint64_t    scr, hcr;
    Pas         world;
    bool        virt;   /* the virtual line instead of the physical one */
    uint8_t     target; /* 0: not taken */
} IrqRow;

/* DDI 0487, "Asynchronous exception types and interrupts": routing and masking. */
static const IrqRow irq_rows[] = {
    { "EL0 to EL1", 0, false, 0, 0, NS, false, 1 },
    { "EL0 masked", 0, true, 0, 0, NS, false, 0 },
    { "EL1 to EL1", 1, false, 0, 0, NS, false, 1 },
    { "EL1 masked", 1, true, 0, 0, NS, false, 0 },
    { "EL2, routed to EL1: not taken", 2, false, 0, 0, NS, false, 0 },
    { "EL3, routed to EL1: not taken", 3, false, 0, 0, NS, false, 0 },
    { "IMO: EL0 to EL2", 0, false, 0, HCR_IMO, NS, false, 2 },
    { "IMO: EL1 to EL2, PSTATE.I does not count", 1, true, 0, HCR_IMO, NS, false, 2 },
    { "IMO: EL2", 2, false, 0, HCR_IMO, NS, false, 2 },
    { "IMO: EL2 masked", 2, true, 0, HCR_IMO, NS, false, 0 },
    { "IMO: EL3 not taken", 3, false, 0, HCR_IMO, NS, false, 0 },
    { "IMO in Secure state without EL2", 1, false, 0, HCR_IMO, PAS_SECURE, false, 1 },
    { "IMO in Secure state with EL2", 1, true, SCR_EEL2, HCR_IMO, PAS_SECURE, false, 2 },
    { "IMO in Realm state", 1, true, 0, HCR_IMO, PAS_REALM, false, 2 },
    { "TGE: EL0 to EL2", 0, true, 0, HCR_TGE, NS, false, 2 },
    { "TGE, E2H: EL0 to EL2", 0, false, 0, HCR_TGE | HCR_E2H, NS, false, 2 },
    { "TGE, E2H: EL0 masked", 0, true, 0, HCR_TGE | HCR_E2H, NS, false, 0 },
    { "TGE, E2H: EL2", 2, false, 0, HCR_TGE | HCR_E2H, NS, false, 2 },
    { "SCR_EL3.IRQ: EL0 to EL3", 0, true, SCR_IRQ, HCR_IMO, NS, false, 3 },
    { "SCR_EL3.IRQ: EL1 to EL3", 1, true, SCR_IRQ, 0, NS, false, 3 },
    { "SCR_EL3.IRQ: EL2 to EL3", 2, true, SCR_IRQ, 0, PAS_REALM, false, 3 },
    { "SCR_EL3.IRQ: EL3", 3, false, SCR_IRQ, 0, NS, false, 3 },
    { "SCR_EL3.IRQ: EL3 masked", 3, true, SCR_IRQ, 0, NS, false, 0 },
    { "virtual: EL1", 1, false, 0, HCR_IMO, NS, true, 1 },
    { "virtual: EL0", 0, false, 0, HCR_IMO, NS, true, 1 },
    { "virtual: masked", 1, true, 0, HCR_IMO, NS, true, 0 },
    { "virtual: without IMO", 1, false, 0, 0, NS, true, 0 },
    { "virtual: at EL2", 2, false, 0, HCR_IMO, NS, true, 0 },
    { "virtual: with TGE", 0, false, 0, HCR_IMO | HCR_TGE, NS, true, 0 },
    { "HCR_EL2.VI", 1, false, 0, HCR_IMO | HCR_VI, NS, true, 1 },
};

static void check_irq(TestMachine *t, const IrqRow *row)
{
    A64Cpu *cpu = t->cpu;

    go(t, row->el, row->world, row->masked ? 0x3c0 : 0x340);
    cpu->el3.scr |= row->scr;
    cpu->el2.hcr |= row->hcr;
    if (!(row->hcr & HCR_VI)) {
        a64_set_line(cpu, row->virt ? A64_LINE_VIRQ : A64_LINE_IRQ, true);
    }
    assert_true(a64_attend(&cpu->cpu));
    unsigned at = row->target == 0 ? row->el : row->target;
    uint64_t pc = row->target == 0 ? TEST_RAM : 0x10000u * at + (at > row->el ? 0x480 : 0x280);
    if (cpu->el != at || cpu->pc != pc) {
        fail_msg("%s: at EL%u, pc %#llx; expected EL%u, %#llx", row->name, cpu->el, (unsigned long long)cpu->pc, at,
                 (unsigned long long)pc);
    }
    a64_set_line(cpu, A64_LINE_VIRQ, false);
    a64_set_line(cpu, A64_LINE_IRQ, false);
}

static void test_interrupts(void **state)
{
    TestMachine t;

    test_machine_init(&t);
    for (unsigned i = 0; i < ARRAY_LEN(irq_rows); i++) {
        check_irq(&t, &irq_rows[i]);
    }
    test_machine_free(&t);
}

/* FIQ and SError have vectors and bits of their own; SError is an edge here. */
static void test_other_kinds(void **state)
{
    TestMachine t;

    test_machine_init(&t);
    go(&t, 1, NS, 0);
    t.cpu->el2.hcr |= HCR_FMO;
    a64_set_line(t.cpu, A64_LINE_FIQ, true);
    a64_attend(&t.cpu->cpu);
    assert_int_equal(t.cpu->pc, 0x20500);
    a64_set_line(t.cpu, A64_LINE_FIQ, false);
    go(&t, 1, NS, 0);
    a64_set_line(t.cpu, A64_LINE_SERROR, true);
    a64_attend(&t.cpu->cpu);
    assert_int_equal(t.cpu->pc, 0x10380);
    assert_int_equal(t.cpu->el1.esr >> 26, EC_SERROR);
    assert_false(t.cpu->line[A64_LINE_SERROR]);
    /* A virtual SError deferred by ESB. */
    go(&t, 1, NS, 0x100);
    t.cpu->el2.hcr |= HCR_AMO | HCR_VSE;
    a64_esb(t.cpu);
    assert_int_equal(t.cpu->el2.vdisr, BIT(31));
    assert_false(t.cpu->el2.hcr & HCR_VSE);
    test_machine_free(&t);
}

/* ISR_EL1 shows the virtual lines to EL1 where the physical ones are EL2's. */
static void test_isr(void **state)
{
    TestMachine t;

    test_machine_init(&t);
    go(&t, 1, NS, 0x3c0);
    a64_set_line(t.cpu, A64_LINE_IRQ, true);
    assert_int_equal(a64_isr(t.cpu), 1 << 7);
    t.cpu->el2.hcr |= HCR_IMO;
    assert_int_equal(a64_isr(t.cpu), 0);
    a64_set_line(t.cpu, A64_LINE_VIRQ, true);
    assert_int_equal(a64_isr(t.cpu), 1 << 7);
    test_machine_free(&t);
}

/* ---- synchronous exceptions ---- */

static void do_svc(A64Cpu *c) { a64_svc(c, 0x1234); }
static void do_hvc(A64Cpu *c) { a64_hvc(c, 0x1234); }
static void do_smc(A64Cpu *c) { a64_smc(c, 0x1234); }
static void do_brk(A64Cpu *c) { a64_brk(c, 0x1234); }
static void do_undef(A64Cpu *c) { a64_undefined_now(c); }
static void do_wfi(A64Cpu *c) { a64_wait(c, false); }
static void do_wfe(A64Cpu *c) { a64_wait(c, true); }
static void do_fp(A64Cpu *c)
{
    if (a64_fp_trap_el(c) != 0) {
        a64_fp_trap(c);
    }
}
static void do_pauth(A64Cpu *c) { a64_pauth_trap(c); }
static void do_bti(A64Cpu *c)
{
    c->btype = 2;
    a64_bti_fault(c);
}

typedef struct SyncRow {
    const char *name;
    void      (*act)(A64Cpu *cpu);
    uint8_t     el;
    Pas         world;
    uint64_t    hcr, scr, mdcr2, cpacr, cptr2, cptr3;
    uint8_t     target; /* 0: nothing happens */
    uint32_t    ec, iss;
    bool        next;   /* returns to the next instruction */
} SyncRow;

static const SyncRow sync_rows[] = {
    { "svc EL0", do_svc, 0, NS, .target = 1, .ec = 0x15, .iss = 0x1234, .next = true },
    { "svc EL0 with TGE", do_svc, 0, NS, .hcr = HCR_TGE, .target = 2, .ec = 0x15, .iss = 0x1234, .next = true },
    { "svc EL1", do_svc, 1, NS, .target = 1, .ec = 0x15, .iss = 0x1234, .next = true },
    { "svc EL2", do_svc, 2, NS, .target = 2, .ec = 0x15, .iss = 0x1234, .next = true },
    { "hvc EL0", do_hvc, 0, NS, .scr = SCR_HCE, .target = 1 },
    { "hvc EL1", do_hvc, 1, NS, .scr = SCR_HCE, .target = 2, .ec = 0x16, .iss = 0x1234, .next = true },
    { "hvc EL1, HCE 0", do_hvc, 1, NS, .target = 1 },
    { "hvc Secure EL1 without EL2", do_hvc, 1, PAS_SECURE, .scr = SCR_HCE, .target = 1 },
    { "hvc Realm EL1", do_hvc, 1, PAS_REALM, .scr = SCR_HCE, .target = 2, .ec = 0x16, .iss = 0x1234, .next = true },
    { "hvc EL3", do_hvc, 3, NS, .scr = SCR_HCE, .target = 3, .ec = 0x16, .iss = 0x1234, .next = true },
    { "smc EL0", do_smc, 0, NS, .target = 1 },
    { "smc EL1", do_smc, 1, NS, .target = 3, .ec = 0x17, .iss = 0x1234, .next = true },
    { "smc EL1 with TSC", do_smc, 1, NS, .hcr = HCR_TSC, .target = 2, .ec = 0x17, .iss = 0x1234 },
    { "smc EL1 with TSC and SMD", do_smc, 1, NS, .hcr = HCR_TSC, .scr = SCR_SMD, .target = 2, .ec = 0x17,
      .iss = 0x1234 },
    { "smc EL2 with TSC", do_smc, 2, NS, .hcr = HCR_TSC, .target = 3, .ec = 0x17, .iss = 0x1234, .next = true },
    { "smc EL2 with SMD", do_smc, 2, NS, .scr = SCR_SMD, .target = 2 },
    { "brk EL0", do_brk, 0, NS, .target = 1, .ec = 0x3c, .iss = 0x1234 },
    { "brk EL1 with TDE", do_brk, 1, NS, .mdcr2 = MDCR_TDE, .target = 2, .ec = 0x3c, .iss = 0x1234 },
    { "brk EL2", do_brk, 2, NS, .target = 2, .ec = 0x3c, .iss = 0x1234 },
    { "brk EL3", do_brk, 3, NS, .target = 3, .ec = 0x3c, .iss = 0x1234 },
    { "undefined EL0", do_undef, 0, NS, .target = 1 },
    { "undefined EL0 with TGE", do_undef, 0, NS, .hcr = HCR_TGE, .target = 2 },
    { "undefined EL2", do_undef, 2, NS, .target = 2 },
    { "wfi EL1", do_wfi, 1, NS },
    { "wfi EL0, nTWI 0", do_wfi, 0, NS, .target = 1, .ec = 0x01, .iss = ISS_CV_AL },
    { "wfi EL1 with TWI", do_wfi, 1, NS, .hcr = HCR_TWI, .target = 2, .ec = 0x01, .iss = ISS_CV_AL },
    { "wfe EL1 with TWE", do_wfe, 1, NS, .hcr = HCR_TWE, .target = 2, .ec = 0x01, .iss = ISS_CV_AL | 1 },
    { "wfi EL2 with SCR_EL3.TWI", do_wfi, 2, NS, .scr = SCR_TWI, .target = 3, .ec = 0x01, .iss = ISS_CV_AL },
    { "fp EL0, FPEN 0", do_fp, 0, NS, .target = 1, .ec = 0x07, .iss = ISS_CV_AL },
    { "fp EL0, FPEN 1", do_fp, 0, NS, .cpacr = 1 << 20, .target = 1, .ec = 0x07, .iss = ISS_CV_AL },
    { "fp EL1, FPEN 1", do_fp, 1, NS, .cpacr = 1 << 20 },
    { "fp EL1, CPTR_EL2.TFP", do_fp, 1, NS, .cpacr = 3 << 20, .cptr2 = 1 << 10, .target = 2, .ec = 0x07,
      .iss = ISS_CV_AL },
    { "fp EL1, E2H, CPTR_EL2.FPEN 0", do_fp, 1, NS, .cpacr = 3 << 20, .hcr = HCR_E2H, .target = 2, .ec = 0x07,
      .iss = ISS_CV_AL },
    { "fp EL0 of a host, FPEN 1", do_fp, 0, NS, .hcr = HCR_E2H | HCR_TGE, .cptr2 = 1 << 20, .target = 2, .ec = 0x07,
      .iss = ISS_CV_AL },
    { "fp EL0 of a host, FPEN 3", do_fp, 0, NS, .hcr = HCR_E2H | HCR_TGE, .cptr2 = 3 << 20 },
    { "fp EL0 with TGE alone", do_fp, 0, NS, .hcr = HCR_TGE, .target = 2, .ec = 0 },
    { "fp EL2, CPTR_EL3.TFP", do_fp, 2, NS, .cptr3 = 1 << 10, .target = 3, .ec = 0x07, .iss = ISS_CV_AL },
    { "pauth EL1, API 0", do_pauth, 1, NS, .scr = SCR_API, .target = 2, .ec = 0x09 },
    { "pauth EL1, API 1", do_pauth, 1, NS, .hcr = HCR_API, .scr = SCR_API },
    { "pauth EL2, SCR_EL3.API 0", do_pauth, 2, NS, .target = 3, .ec = 0x09 },
    { "pauth EL0 of a host", do_pauth, 0, NS, .hcr = HCR_E2H | HCR_TGE, .scr = SCR_API },
    { "bti EL0", do_bti, 0, NS, .target = 1, .ec = 0x0d, .iss = 2 },
};

static void check_sync(TestMachine *t, const SyncRow *row)
{
    A64Cpu *cpu = t->cpu;

    go(t, row->el, row->world, 0);
    cpu->el3.scr |= row->scr;
    cpu->el2.hcr |= row->hcr;
    cpu->el2.mdcr = row->mdcr2;
    cpu->el1.cpacr = row->cpacr;
    cpu->el2.cptr = row->cptr2;
    cpu->el3.cptr = row->cptr3;
    cpu->event = false;
    row->act(cpu);
    unsigned at = row->target == 0 ? row->el : row->target;
    if (cpu->el != at || cpu->cpu.fault != (row->target != 0)) {
        fail_msg("%s: at EL%u, expected EL%u", row->name, cpu->el, at);
    }
    if (row->target == 0) {
        return;
    }
    uint64_t esr = at == 1 ? cpu->el1.esr : at == 2 ? cpu->el2.esr : cpu->el3.esr;
    uint64_t want = (uint64_t)row->ec << 26 | ESR_IL | row->iss;
    if (esr != want || a64_elr(cpu) != TEST_RAM + (row->next ? 4u : 0)) {
        fail_msg("%s: ESR %#llx, ELR %#llx; expected ESR %#llx", row->name, (unsigned long long)esr,
                 (unsigned long long)a64_elr(cpu), (unsigned long long)want);
    }
    assert_int_equal(cpu->pc, 0x10000u * at + (at > row->el ? 0x400 : 0x200));
}

static void test_synchronous(void **state)
{
    TestMachine t;

    test_machine_init(&t);
    for (unsigned i = 0; i < ARRAY_LEN(sync_rows); i++) {
        check_sync(&t, &sync_rows[i]);
    }
    test_machine_free(&t);
}

/* ---- PSTATE at entry and return ---- */

static void test_entry_state(void **state)
{
    TestMachine t;
    A64Cpu     *cpu;

    test_machine_init(&t);
    cpu = t.cpu;
    go(&t, 0, NS, 0);
    cpu->sp = 0x111;
    cpu->el1.sp_el1 = 0x222;
    cpu->nzcv = 0xa;
    cpu->btype = 3;
    cpu->uao = cpu->dit = true;
    cpu->el1.sctlr &= ~SCTLR_SPAN;
    cpu->el1.sctlr |= SCTLR_DSSBS;
    a64_svc(cpu, 0);
    assert_int_equal(cpu->el1.spsr, 0xaull << 28 | 1 << 24 | 1 << 23 | 3 << 10);
    assert_int_equal(cpu->sp, 0x222);
    assert_int_equal(cpu->el1.sp_el0, 0x111);
    assert_true(cpu->d && cpu->a && cpu->i && cpu->f && cpu->pan && cpu->ssbs && cpu->dit);
    assert_false(cpu->uao || cpu->il || cpu->ss);
    assert_int_equal(cpu->btype, 0);
    /* SPAN 1 leaves PAN alone. */
    go(&t, 0, NS, 0);
    cpu->el1.sctlr |= SCTLR_SPAN;
    a64_svc(cpu, 0);
    assert_false(cpu->pan);
    /* From the same level with SP_EL0: the first group of vectors. */
    go(&t, 1, NS, 0);
    assert_true(a64_msr_imm(cpu, 0, 5, 0));
    a64_svc(cpu, 0);
    assert_int_equal(cpu->pc, 0x10000);
    test_machine_free(&t);
}

typedef struct EretRow {
    const char *name;
    uint8_t     from;
    uint64_t    spsr, hcr, scr;
    Pas         world;
    bool        legal;
} EretRow;

static const EretRow eret_rows[] = {
    { "EL1 to EL0", 1, 0x0, 0, 0, NS, true },
    { "EL1 to EL1t", 1, 0x4, 0, 0, NS, true },
    { "EL1 to EL1h", 1, 0x5, 0, 0, NS, true },
    { "EL1 to EL2", 1, 0x9, 0, 0, NS, false },
    { "EL2 to EL1", 2, 0x5, 0, 0, NS, true },
    { "EL2 to EL1 with TGE", 2, 0x5, HCR_TGE, 0, NS, false },
    { "EL2 to EL0 with TGE", 2, 0x0, HCR_TGE, 0, NS, true },
    { "EL3 to EL2", 3, 0x9, 0, SCR_NS, NS, true },
    { "EL3 to Secure EL2 without it", 3, 0x9, 0, 0, NS, false },
    { "EL3 to Secure EL2", 3, 0x9, 0, SCR_EEL2, NS, true },
    { "EL3 to Realm EL2", 3, 0x9, 0, SCR_NS | SCR_NSE, NS, true },
    { "EL3 to the reserved state", 3, 0x9, 0, SCR_NSE, NS, false },
    { "EL0 with SP_ELx", 1, 0x1, 0, 0, NS, false },
    { "reserved bit 1", 1, 0x6, 0, 0, NS, false },
    { "AArch32", 1, 0x10, 0, 0, NS, false },
};

static void check_eret(TestMachine *t, const EretRow *row)
{
    A64Cpu *cpu = t->cpu;

    go(t, row->from, row->world, 0x3c0);
    if (row->from == 3) {
        cpu->el3.scr &= ~(SCR_NS | SCR_NSE);
    }
    cpu->el3.scr |= row->scr;
    cpu->el2.hcr |= row->hcr;
    *(row->from == 1 ? &cpu->el1.spsr : row->from == 2 ? &cpu->el2.spsr : &cpu->el3.spsr) = row->spsr | 5ull << 28;
    cpu->excl_size = 8;
    a64_eret(cpu, 0x4000);
    unsigned el = row->legal ? row->spsr >> 2 & 3 : row->from;
    if (cpu->el != el || cpu->il == row->legal || cpu->pc != 0x4000 || cpu->nzcv != 5 || cpu->i) {
        fail_msg("%s: EL%u, IL %d, pc %#llx", row->name, cpu->el, cpu->il, (unsigned long long)cpu->pc);
    }
    assert_int_equal(cpu->excl_size, 0);
    if (row->legal && el < 3) {
        assert_int_equal(cpu->security, a64_lower_security(cpu));
    }
    assert_int_equal((a64_block_key(&cpu->cpu) & A64_KEY_IL) != 0, !row->legal);
}

static void test_eret(void **state)
{
    TestMachine t;

    test_machine_init(&t);
    for (unsigned i = 0; i < ARRAY_LEN(eret_rows); i++) {
        check_eret(&t, &eret_rows[i]);
    }
    test_machine_free(&t);
}

/* ---- the firmware hook ---- */

typedef struct Hook {
    unsigned     calls;
    bool         take;
    A64Exception exc;
    uint64_t     sp_el1;
} Hook;

static bool firmware(void *opaque, A64Cpu *cpu, const A64Exception *exc)
{
    Hook *h = opaque;

    h->calls++;
    h->exc = *exc;
    h->sp_el1 = cpu->el1.sp_el1;
    if (h->take) {
        a64_enter(cpu, PAS_REALM, 0x7000, 0x3c5);
    }
    return h->take;
}

static void test_firmware(void **state)
{
    TestMachine t;
    Hook        h = { .take = true };

    test_machine_init(&t);
    go(&t, 1, NS, 0);
    t.cpu->firmware = (A64Firmware){ firmware, &h };
    t.cpu->sp = 0x999;
    a64_svc(t.cpu, 1); /* EL1: not asked */
    assert_int_equal(h.calls, 0);
    a64_smc(t.cpu, 5);
    assert_int_equal(h.calls, 1);
    assert_int_equal(h.exc.target, 3);
    assert_int_equal(h.exc.esr, 0x17ull << 26 | ESR_IL | 5);
    assert_int_equal(h.exc.return_pc, t.cpu->el1.vbar + 0x200 + 4);
    assert_int_equal(h.sp_el1, 0x999); /* banked before the model looks */
    assert_int_equal(t.cpu->pc, 0x7000);
    assert_int_equal(t.cpu->security, PAS_REALM);
    assert_int_equal(t.cpu->el3.esr, 0);
    /* It declines: the exception is taken for real. */
    h.take = false;
    t.cpu->el3.scr |= SCR_HCE;
    a64_hvc(t.cpu, 7);
    assert_int_equal(h.calls, 2);
    assert_int_equal(t.cpu->el, 2);
    assert_int_equal(t.cpu->el2.esr, 0x16ull << 26 | ESR_IL | 7);
    /* A model's injection goes to the level it names without being asked about. */
    a64_enter(t.cpu, PAS_REALM, 0x8000, 0x5);
    a64_inject(t.cpu, 1, 0x96000010, 0x1234, true);
    assert_int_equal(h.calls, 2);
    assert_int_equal(t.cpu->el1.far, 0x1234);
    assert_int_equal(t.cpu->el1.elr, 0x8000);
    assert_int_equal(t.cpu->pc, t.cpu->el1.vbar + 0x200);
    test_machine_free(&t);
}

/* ---- instructions run for real ---- */

static void put_code(TestMachine *t, uint64_t pa, const uint32_t *code, size_t n)
{
    assert_int_equal(memory_write(t->memory, pa, (MemAttrs){ .pas = NS }, code, n * 4), MEM_OK);
}

/* Time passes with the instructions, as in a machine. */
static CpuStop run(TestMachine *t, uint64_t budget)
{
    uint64_t used;
    int64_t  now = clock_now(t->clock);
    CpuStop  stop = cpu_run(&t->cpu->cpu, now, budget, &used);

    clock_advance(t->clock, now + (int64_t)used);
    return stop;
}

static void test_run_svc_eret(void **state)
{
    static const uint32_t user[] = { 0xd2800540 /* mov x0, #42 */, 0xd4000021 /* svc #1 */, 0x14000000 /* b . */ };
    static const uint32_t vector[] = { 0x91000400 /* add x0, x0, #1 */, 0xd69f03e0 /* eret */ };
    TestMachine           t;

    test_machine_init(&t);
    go(&t, 0, NS, 0);
    t.cpu->el1.vbar = TEST_RAM + 0x1000;
    put_code(&t, TEST_RAM, user, ARRAY_LEN(user));
    put_code(&t, TEST_RAM + 0x1400, vector, ARRAY_LEN(vector));
    assert_int_equal(run(&t, 4), CPU_STOP_TIME);
    assert_int_equal(t.cpu->x[0], 43);
    assert_int_equal(t.cpu->el, 0);
    assert_int_equal(t.cpu->pc, TEST_RAM + 8);
    test_machine_free(&t);
}

/* WFI waits until a line rises; the masked interrupt only wakes. */
static void test_run_wfi(void **state)
{
    static const uint32_t code[] = { 0xd503207f /* wfi */, 0xd2800020 /* mov x0, #1 */, 0x14000000 };
    TestMachine           t;

    test_machine_init(&t);
    go(&t, 1, NS, 0x3c0);
    put_code(&t, TEST_RAM, code, ARRAY_LEN(code));
    assert_int_equal(run(&t, 10), CPU_STOP_WAIT);
    assert_int_equal(run(&t, 10), CPU_STOP_WAIT);
    assert_int_equal(t.cpu->x[0], 0);
    a64_set_line(t.cpu, A64_LINE_IRQ, true);
    assert_int_equal(run(&t, 10), CPU_STOP_TIME);
    assert_int_equal(t.cpu->x[0], 1);
    test_machine_free(&t);
}

/* An interrupt that was pending and masked is taken right after the instruction that unmasks it. */
static void test_run_unmask(void **state)
{
    static const uint32_t code[] = { 0xd503201f /* nop */, 0xd50342ff /* msr daifclr, #2 */, 0xd2800020, 0x14000000 };
    TestMachine           t;

    test_machine_init(&t);
    go(&t, 1, NS, 0x3c0);
    put_code(&t, TEST_RAM, code, ARRAY_LEN(code));
    put_code(&t, TEST_RAM + 0x1280, code, 1);
    t.cpu->el1.vbar = TEST_RAM + 0x1000;
    a64_set_line(t.cpu, A64_LINE_IRQ, true);
    run(&t, 2);
    assert_int_equal(t.cpu->pc, TEST_RAM + 8);
    run(&t, 1);
    assert_int_equal(t.cpu->el1.elr, TEST_RAM + 8);
    assert_int_equal(t.cpu->pc, TEST_RAM + 0x1284);
    assert_int_equal(t.cpu->x[0], 0);
    test_machine_free(&t);
}

/* Software step: EL2 debugs EL1 (TDE). One instruction, then the exception with SPSR.SS 0. */
static void test_run_step(void **state)
{
    static const uint32_t code[] = { 0x91000400, 0x91000400, 0x91000400 }; /* add x0, x0, #1 */
    static const uint32_t eret[] = { 0xd69f03e0 };
    TestMachine           t;

    test_machine_init(&t);
    go(&t, 2, NS, 0x3c0);
    put_code(&t, TEST_RAM, code, ARRAY_LEN(code));
    put_code(&t, TEST_RAM + 0x100, eret, 1);
    t.cpu->pc = TEST_RAM + 0x100;
    t.cpu->el2.vbar = TEST_RAM + 0x1000;
    t.cpu->el2.mdcr = MDCR_TDE;
    t.cpu->el1.oslsr = 8;
    t.cpu->el1.mdscr = MDSCR_SS;
    t.cpu->el2.spsr = 0x3c5 | SPSR_SS;
    t.cpu->el2.elr = TEST_RAM;
    run(&t, 3);
    assert_int_equal(t.cpu->x[0], 1);
    assert_int_equal(t.cpu->el, 2);
    assert_int_equal(t.cpu->el2.elr, TEST_RAM + 4);
    assert_int_equal(t.cpu->el2.esr, 0x32ull << 26 | ESR_IL | 1 << 24 | 0x22);
    assert_int_equal(t.cpu->el2.spsr, 0x3c5);
    test_machine_free(&t);
}

static void test_run_breakpoint(void **state)
{
    static const uint32_t code[] = { 0x91000400, 0x91000400, 0x91000400 };
    TestMachine           t;

    test_machine_init(&t);
    go(&t, 0, NS, 0);
    put_code(&t, TEST_RAM, code, ARRAY_LEN(code));
    t.cpu->el1.vbar = TEST_RAM + 0x1000;
    t.cpu->el1.oslsr = 8;
    t.cpu->el1.mdscr = MDSCR_MDE;
    t.cpu->el1.dbgbvr[2] = TEST_RAM + 8;
    t.cpu->el1.dbgbcr[2] = 0xf << 5 | 2 << 1 | 1; /* all bytes, EL0 */
    run(&t, 3);
    assert_int_equal(t.cpu->x[0], 2);
    assert_int_equal(t.cpu->el1.esr, 0x30ull << 26 | ESR_IL | 0x22);
    assert_int_equal(t.cpu->el1.elr, TEST_RAM + 8);
    test_machine_free(&t);
}

static void test_run_watchpoint(void **state)
{
    static const uint32_t code[] = { 0xf9400020 /* ldr x0, [x1] */, 0xf9000420 /* str x0, [x1, #8] */ };
    TestMachine           t;

    test_machine_init(&t);
    go(&t, 0, NS, 0);
    put_code(&t, TEST_RAM, code, ARRAY_LEN(code));
    t.cpu->el1.vbar = TEST_RAM + 0x1000;
    t.cpu->el1.oslsr = 8;
    t.cpu->el1.mdscr = MDSCR_MDE;
    t.cpu->el1.dbgwvr[1] = TEST_RAM + 0x2008;
    t.cpu->el1.dbgwcr[1] = 0xff << 5 | 2 << 3 | 2 << 1 | 1; /* 8 bytes, stores, EL0 */
    t.cpu->x[1] = TEST_RAM + 0x2000;
    run(&t, 2);
    assert_int_equal(t.cpu->el1.esr, 0x34ull << 26 | ESR_IL | 1 << 6 | 0x22);
    assert_int_equal(t.cpu->el1.far, TEST_RAM + 0x2008);
    assert_int_equal(t.cpu->el1.elr, TEST_RAM + 4);
    test_machine_free(&t);
}

/* Who traces hears of the way in and of the way back, and of the level after each. */
static void hear_level(void *said, const Event *e) { g_string_append_printf(said, "%s to %s\n", e->from, e->name); }

static void hear_line(void *said, LogCategory c, const char *text) { g_string_append_printf(said, "%s\n", text); }

static void test_told(void **state)
{
    TestMachine        t;
    g_autoptr(GString) said = g_string_new(NULL);
    EventListener      l = { .mask = 1u << EVENT_LEVEL, .tell = hear_level, .opaque = said };
    static const uint32_t code[] = { 0xd4000001 /* svc #0 */ }, vector[] = { 0xd69f03e0 /* eret */ };

    test_machine_init(&t);
    go(&t, 0, NS, 0);
    put_code(&t, TEST_RAM, code, ARRAY_LEN(code));
    put_code(&t, TEST_RAM + 0x1400, vector, ARRAY_LEN(vector));
    t.cpu->el1.vbar = TEST_RAM + 0x1000;
    event_listen(&l);
    log_set_sink(1u << LOG_EXC, hear_line, said);
    run(&t, 2);
    log_set_sink(0, NULL, NULL);
    event_ignore(&l);
    g_autofree char *want = g_strdup_printf(
        "sync EL0 -> EL1 esr 0x56000000 far 0x0 elr 0x%x\nEL0 to EL1\nreturn EL1 -> EL0 spsr 0x0 to 0x%x\nEL1 to EL0\n",
        TEST_RAM + 4, TEST_RAM + 4);
    assert_string_equal(said->str, want);
    test_machine_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_interrupts),  cmocka_unit_test(test_other_kinds),    cmocka_unit_test(test_isr),
        cmocka_unit_test(test_synchronous), cmocka_unit_test(test_entry_state),    cmocka_unit_test(test_eret),
        cmocka_unit_test(test_firmware),    cmocka_unit_test(test_run_svc_eret),   cmocka_unit_test(test_run_wfi),
        cmocka_unit_test(test_run_unmask),  cmocka_unit_test(test_run_step),
                  cmocka_unit_test(test_run_breakpoint),
        cmocka_unit_test(test_run_watchpoint), cmocka_unit_test(test_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
