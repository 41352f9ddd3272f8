/*
 * What a host reads after each exit of a REC, byte for byte: what DEN0137 "REC exit" gives it, and zero everywhere
 * else. Then what goes in by the next REC_ENTER: MMIO and aborts, timers, the virtual CPU interface, PSCI answers.
 */
#include "tests/unit/rmm_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define ENC(op0, op1, crn, crm, op2) ((op0) << 14 | (op1) << 11 | (crn) << 7 | (crm) << 3 | (op2))
#define ICC_SGI1R ENC(3, 0, 12, 11, 5)
#define CPACR_EL1 ENC(3, 0, 1, 0, 2)
#define A64_WFE   0xd503205fu
#define A64_FMOV  0x9e6703e0u /* d0, xzr */

enum {
    STUB_SMC = 0x000, STUB_LOAD = 0x100, STUB_STORE = 0x120, STUB_STORE_POST = 0x140, STUB_BRANCH = 0x160,
    STUB_WFI = 0x180, STUB_WFE = 0x1a0, STUB_SGI = 0x1c0, STUB_LOOP = 0x1e0, STUB_FP = 0x200, STUB_CPACR = 0x220,
    VECTORS = 0x1000,
};
enum { RAM_UNASSIGNED = 0x8000, HOST_CALL_AT = 0x7100 };
#define SHARED (WORLD_NS + 0x3000)

static Rig *rig;

static Rec *rec0(void) { return rec_at(rig->rmm, PAGE(W_REC0)); }
static Rec *rec1(void) { return rec_at(rig->rmm, PAGE(W_REC1)); }

static int setup(void **state)
{
    static const struct { unsigned at; uint32_t words[2]; } programs[] = {
        { STUB_SMC, { A64_SMC, A64_WFI } },     { STUB_LOAD, { A64_LDR(2, 1), A64_WFI } },
        { STUB_STORE, { A64_STRH(2, 1), A64_WFI } }, { STUB_STORE_POST, { A64_STR_POST(2, 1), A64_WFI } },
        { STUB_BRANCH, { A64_BR(1), 0 } },      { STUB_WFI, { A64_WFI, 0 } },
        { STUB_WFE, { A64_WFE, A64_WFE } },     { STUB_SGI, { A64_MSR(1, ICC_SGI1R), A64_WFI } },
        { STUB_LOOP, { A64_B_SELF, 0 } },       { STUB_FP, { A64_FMOV, A64_WFI } },
        { STUB_CPACR, { A64_MSR(1, CPACR_EL1), A64_WFI } },
    };
    uint32_t image[2048] = { 0 };

    for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
        memcpy(image + programs[i].at / 4, programs[i].words, sizeof(programs[i].words));
    }
    for (unsigned i = 0; i < 16; i++) {
        image[(VECTORS + 0x80 * i) / 4] = A64_WFI;
    }
    rig = rig_new();
    world_new(rig, image, ARRAY_LEN(image));
    rmi_ok(rig, RMI_FID_RTT_INIT_RIPAS, PAGE(W_RD), RAM_UNASSIGNED, RAM_UNASSIGNED + 4096);
    world_recs(rig);
    rmi_ok(rig, RMI_FID_REALM_ACTIVATE, PAGE(W_RD));
    rec0()->el1.vbar = VECTORS;
    return 0;
}

static int teardown(void **state)
{
    rig_free(rig);
    return 0;
}

static void start_at(uint64_t pc)
{
    rec0()->pc = pc;
    rec0()->spsr = 0x3c5;
}

static uint64_t enter(uint64_t flags)
{
    rig_enter(rig, W_RUN, RMI_ENTER_FLAGS, flags | RMI_ENTER_TRAP_WFI | RMI_ENTER_TRAP_WFE);
    memset(rig_bytes(rig, PAGE(W_RUN)) + RMI_EXIT, 0xff, RMM_GRANULE_SIZE - RMI_EXIT);
    return rmi(rig, RMI_FID_REC_ENTER, PAGE(W_REC0), PAGE(W_RUN));
}

static uint64_t exit_field(unsigned offset) { return rig_exit(rig, W_RUN, offset); }

static void assert_waits(void)
{
    assert_int_equal(exit_field(RMI_EXIT_REASON), RMI_EXIT_SYNC);
    assert_int_equal(exit_field(RMI_EXIT_ESR), 1u << 26);
}

/* ---- each exit, the whole block ---- */

static void map_shared(unsigned s2ap)
{
    rmi_ok(rig, RMI_FID_RTT_MAP_UNPROTECTED, PAGE(W_RD), SHARED, 3, PAGE(W_FREE) | 6 << 2 | s2ap << 6);
}

static void shared_read_only(void) { map_shared(1); }
static void shared_given_away(void)
{
    map_shared(3);
    rig_delegate(rig, PAGE(W_FREE), 1);
}
static void destroy_page_7(void) { rmi_ok(rig, RMI_FID_DATA_DESTROY, PAGE(W_RD), 0x7000); }
static void line_irq(void) { a64_set_line(rig->cpu[0], A64_LINE_IRQ, true); }
static void line_fiq(void) { a64_set_line(rig->cpu[0], A64_LINE_FIQ, true); }
static void line_serror(void) { a64_set_line(rig->cpu[0], A64_LINE_SERROR, true); }

static void fill_host_call(void)
{
    uint8_t *at = rig_bytes(rig, PAGE(W_DATA + 7)) + (HOST_CALL_AT & 0xfff);

    le16_put(at, 0xabcd);
    for (unsigned i = 0; i < 31; i++) {
        le64_put(at + RSI_HOST_CALL_GPRS + 8 * i, 100 + i);
    }
}

#define EC(n)   ((uint64_t)(n) << 26)
#define DABT    EC(0x24)
#define IABT    EC(0x20)
#define ISV     (1ull << 24)
#define SAS(n)  ((uint64_t)(n) << 22)
#define SF      (1ull << 15)
#define WNR     (1ull << 6)
#define HPFAR(ipa) ((uint64_t)(ipa) >> 12 << 4)

static const struct ExitRow {
    const char *name;
    void      (*prepare)(void);
    unsigned    pc;
    uint64_t    x[5];
    uint64_t    resume;     /* where the Realm goes on, from pc */
    RmiExitReason reason;
    uint64_t    esr, far, hpfar, gprs[4], ripas[3];
    unsigned    imm;
    bool        host_call;  /* gprs are those of fill_host_call() */
} exits[] = {
    { "WFI", NULL, STUB_WFI, { 0 }, 4, RMI_EXIT_SYNC, .esr = EC(1) },
    { "WFE, the second: the first finds the event register set", NULL, STUB_WFE, { 0 }, 8, RMI_EXIT_SYNC,
      .esr = EC(1) | 1 },

    { "emulatable load", NULL, STUB_LOAD, { 0, WORLD_NS + 0x2018, 9 }, 0, RMI_EXIT_SYNC,
      .esr = DABT | ISV | SAS(3) | SF | 7, .far = 0x18, .hpfar = HPFAR(WORLD_NS + 0x2000) },
    { "emulatable store", NULL, STUB_STORE, { 0, WORLD_NS + 0x2010, 0x87654321 }, 0, RMI_EXIT_SYNC,
      .esr = DABT | ISV | SAS(1) | WNR | 7, .far = 0x10, .hpfar = HPFAR(WORLD_NS + 0x2000), .gprs = { 0x4321 } },
    { "emulatable store, no permission", shared_read_only, STUB_STORE, { 0, SHARED + 8, 0x1234 }, 0, RMI_EXIT_SYNC,
      .esr = DABT | ISV | SAS(1) | WNR | 0xf, .far = 8, .hpfar = HPFAR(SHARED), .gprs = { 0x1234 } },
    { "non-emulatable store", NULL, STUB_STORE_POST, { 0, WORLD_NS + 0x2010, 0x1234 }, 0, RMI_EXIT_SYNC,
      .esr = DABT | 7, .hpfar = HPFAR(WORLD_NS + 0x2000) },
    { "non-emulatable store, no permission", shared_read_only, STUB_STORE_POST, { 0, SHARED + 8, 0x1234 }, 0,
      RMI_EXIT_SYNC, .esr = DABT | 0xf, .hpfar = HPFAR(SHARED) },
    { "the host gave the page away", shared_given_away, STUB_LOAD, { 0, SHARED + 8 }, 0, RMI_EXIT_SYNC,
      .esr = DABT | 0x28, .hpfar = HPFAR(SHARED) },
    { "protected load, UNASSIGNED RAM", NULL, STUB_LOAD, { 0, RAM_UNASSIGNED + 0x18 }, 0, RMI_EXIT_SYNC,
      .esr = DABT | 7, .hpfar = HPFAR(RAM_UNASSIGNED) },
    { "protected store, DESTROYED", destroy_page_7, STUB_STORE, { 0, 0x7010, 0x1234 }, 0, RMI_EXIT_SYNC,
      .esr = DABT | 7, .hpfar = HPFAR(0x7000) },
    { "fetch, UNASSIGNED RAM", NULL, STUB_BRANCH, { 0, RAM_UNASSIGNED }, RAM_UNASSIGNED - STUB_BRANCH, RMI_EXIT_SYNC,
      .esr = IABT | 7, .hpfar = HPFAR(RAM_UNASSIGNED) },
    { "fetch, DESTROYED", destroy_page_7, STUB_BRANCH, { 0, 0x7ff0 }, 0x7ff0 - STUB_BRANCH, RMI_EXIT_SYNC,
      .esr = IABT | 7, .hpfar = HPFAR(0x7000) },
    { "SGI", NULL, STUB_SGI, { 0, 0x2000001 }, 4, RMI_EXIT_SYNC,
      .esr = EC(0x18) | 1 << 25 | 3 << 20 | 5 << 17 | 12 << 10 | 1 << 5 | 11 << 1, .gprs = { 0x2000001 } },

    { "IRQ", line_irq, STUB_LOOP, { 1, 2, 3, 4 }, 0, RMI_EXIT_IRQ },
    { "FIQ", line_fiq, STUB_LOOP, { 1, 2, 3, 4 }, 0, RMI_EXIT_FIQ },
    { "SError", line_serror, STUB_LOOP, { 1, 2, 3, 4 }, 0, RMI_EXIT_SERROR, .esr = EC(0x2f) },

    { "CPU_SUSPEND", NULL, STUB_SMC, { 0xc4000001, 1, 2, 3, 4 }, 4, RMI_EXIT_PSCI,
      .gprs = { 0xc4000001, 1, 2, 3 } },
    { "CPU_OFF has no arguments", NULL, STUB_SMC, { 0x84000002, 1, 2, 3, 4 }, 4, RMI_EXIT_PSCI,
      .gprs = { 0x84000002 } },
    { "CPU_ON", NULL, STUB_SMC, { 0xc4000003, 1, 0x400, 5, 6 }, 4, RMI_EXIT_PSCI,
      .gprs = { 0xc4000003, 1, 0x400, 5 } },
    { "AFFINITY_INFO has two", NULL, STUB_SMC, { 0xc4000004, 1, 0, 5, 6 }, 4, RMI_EXIT_PSCI,
      .gprs = { 0xc4000004, 1 } },
    { "SYSTEM_OFF", NULL, STUB_SMC, { 0x84000008, 1, 2, 3 }, 4, RMI_EXIT_PSCI, .gprs = { 0x84000008 } },
    { "SYSTEM_RESET", NULL, STUB_SMC, { 0x84000009, 1, 2, 3 }, 4, RMI_EXIT_PSCI, .gprs = { 0x84000009 } },

    { "RIPAS change", NULL, STUB_SMC, { SMC64_STD(RSI_FID_IPA_STATE_SET), 0x6000, 0x8000, RIPAS_RAM, 1 }, 4,
      RMI_EXIT_RIPAS_CHANGE, .ripas = { 0x6000, 0x8000, RIPAS_RAM } },
    { "host call", fill_host_call, STUB_SMC, { SMC64_STD(RSI_FID_HOST_CALL), HOST_CALL_AT, 7, 8, 9 }, 4,
      RMI_EXIT_HOST_CALL, .imm = 0xabcd, .host_call = true },
    { "host call, page not there", destroy_page_7, STUB_SMC, { SMC64_STD(RSI_FID_HOST_CALL), HOST_CALL_AT }, 0,
      RMI_EXIT_SYNC, .esr = DABT | 7, .hpfar = HPFAR(0x7000) },
};

static void put(uint8_t *page, unsigned offset, uint64_t value) { le64_put(page + offset, value); }

static void expected_block(const struct ExitRow *row, uint8_t page[RMM_GRANULE_SIZE])
{
    memset(page, 0, RMM_GRANULE_SIZE);
    put(page, RMI_EXIT_REASON, row->reason);
    put(page, RMI_EXIT_ESR, row->esr);
    put(page, RMI_EXIT_FAR, row->far);
    put(page, RMI_EXIT_HPFAR, row->hpfar);
    for (unsigned i = 0; i < 31; i++) {
        put(page, RMI_EXIT_GPRS + 8 * i, row->host_call ? 100 + i : i < 4 ? row->gprs[i] : 0);
    }
    put(page, RMI_EXIT_RIPAS_BASE, row->ripas[0]);
    put(page, RMI_EXIT_RIPAS_TOP, row->ripas[1]);
    put(page, RMI_EXIT_RIPAS_VALUE, row->ripas[2]);
    put(page, RMI_EXIT_IMM, row->imm);
}

static void check_exit(const struct ExitRow *row)
{
    uint8_t        want[RMM_GRANULE_SIZE];
    const uint8_t *got = rig_bytes(rig, PAGE(W_RUN));

    if (row->prepare != NULL) {
        row->prepare();
    }
    start_at(row->pc);
    for (unsigned i = 0; i < 31; i++) { /* nothing of these may come out */
        rec0()->x[i] = i < ARRAY_LEN(row->x) ? row->x[i] : 0x5ec4e7;
    }
    assert_int_equal(enter(0), RMI_SUCCESS);
    assert_int_equal(rec0()->pc, row->pc + row->resume);
    expected_block(row, want);
    for (unsigned at = RMI_EXIT; at < RMM_GRANULE_SIZE; at += 8) {
        bool gic = at >= RMI_EXIT_GICV3_HCR && at <= RMI_EXIT_GICV3_VMCR;
        if (!gic && le64_get(got + at) != le64_get(want + at)) {
            fail_msg("exit + 0x%x: 0x%llx, not 0x%llx", at - RMI_EXIT, (unsigned long long)le64_get(got + at),
                     (unsigned long long)le64_get(want + at));
        }
    }
}

static void test_exits(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(exits); i++) {
        print_message("%s\n", exits[i].name);
        teardown(state);
        setup(state);
        check_exit(&exits[i]);
    }
}

/* ---- data aborts, finished by the host ---- */

static const struct FinishRow {
    const char *name;
    unsigned    pc;
    uint64_t    flags;
    uint64_t    status;
    bool        sea;  /* arrives in the Realm */
    uint64_t    x2;
} finishes[] = {
    { "emulated", STUB_LOAD, RMI_ENTER_EMUL_MMIO, RMI_SUCCESS, false, 77 },
    { "refused", STUB_LOAD, RMI_ENTER_INJECT_SEA, RMI_SUCCESS, true, 5 },
    { "refused, and emulated does not matter", STUB_LOAD, RMI_ENTER_INJECT_SEA | RMI_ENTER_EMUL_MMIO, RMI_SUCCESS,
      true, 5 },
    { "no syndrome: emulated", STUB_STORE_POST, RMI_ENTER_EMUL_MMIO, RMI_ERROR_REC, false, 5 },
    { "no syndrome: refused", STUB_STORE_POST, RMI_ENTER_INJECT_SEA, RMI_SUCCESS, true, 5 },
    { "no syndrome: both", STUB_STORE_POST, RMI_ENTER_INJECT_SEA | RMI_ENTER_EMUL_MMIO, RMI_SUCCESS, true, 5 },
};

static void test_finish_abort(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(finishes); i++) {
        const struct FinishRow *row = &finishes[i];
        print_message("%s\n", row->name);
        teardown(state);
        setup(state);
        start_at(row->pc);
        rec0()->x[1] = WORLD_NS + 0x2018;
        rec0()->x[2] = 5;
        assert_int_equal(enter(0), RMI_SUCCESS);
        rig_enter(rig, W_RUN, RMI_ENTER_GPRS, 77);
        assert_int_equal(enter(row->flags), row->status);
        if (row->status != RMI_SUCCESS) {
            assert_int_equal(rec0()->pc, row->pc);
            continue;
        }
        assert_waits();
        assert_int_equal(rec0()->pc, row->sea ? VECTORS + 0x204 : row->pc + 8);
        assert_int_equal(rec0()->x[2], row->x2);
        if (row->sea) {
            assert_int_equal(rec0()->el1.esr & 0x3f, 0x10);
            assert_true(rec0()->el1.esr & 1 << 9); /* EA */
            assert_int_equal(rec0()->el1.far, WORLD_NS + 0x2018);
            assert_int_equal(rec0()->el1.elr, row->pc);
        }
    }
}

/* A Realm with 40 bits of IPA space and one page at 0, whose EL1 translates or not. */
static void test_outside(void **state)
{
    enum { RD = W_SPARE, ROOT, L1, L2, L3, DATA, REC, AUX };
    static const struct { const char *name; unsigned pc; uint64_t esr; } rows[] = {
        { "load", STUB_LOAD, 0x25ull << 26 | 1 << 25 },
        { "store", STUB_STORE, 0x25ull << 26 | 1 << 25 | 1 << 6 },
        { "fetch", STUB_BRANCH, 0x21ull << 26 | 1 << 25 },
    };
    uint8_t *params = rig_bytes(rig, PAGE(W_PARAMS));

    world_params(rig, PAGE(ROOT), 3, RMI_HASH_SHA_256);
    le32_put(params + RMI_REALM_S2SZ, 40);
    rmi_ok(rig, RMI_FID_REALM_CREATE, PAGE(RD), PAGE(W_PARAMS));
    for (unsigned level = 1; level <= 3; level++) {
        rmi_ok(rig, RMI_FID_RTT_CREATE, PAGE(RD), PAGE(L1 + level - 1), 0, level);
    }
    memcpy(rig_bytes(rig, PAGE(W_SRC)), rig_bytes(rig, PAGE(W_DATA)), 4096);
    le32_put(rig_bytes(rig, PAGE(W_SRC)) + 0xa00, A64_WFI); /* vectors at 0x800 */
    rmi_ok(rig, RMI_FID_RTT_INIT_RIPAS, PAGE(RD), 0, 4096);
    rmi_ok(rig, RMI_FID_DATA_CREATE, PAGE(RD), PAGE(DATA), 0, PAGE(W_SRC), 0);
    world_rec_params(rig, 0, 0, PAGE(AUX), true);
    rmi_ok(rig, RMI_FID_REC_CREATE, PAGE(RD), PAGE(REC), PAGE(W_PARAMS));
    rmi_ok(rig, RMI_FID_REALM_ACTIVATE, PAGE(RD));
    rig_enter(rig, W_RUN, RMI_ENTER_FLAGS, RMI_ENTER_TRAP_WFI);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        print_message("%s\n", rows[i].name);
        Rec *rec = rec_at(rig->rmm, PAGE(REC));
        rec->pc = rows[i].pc;
        rec->spsr = 0x3c5;
        rec->el1.vbar = 0x800;
        rec->x[1] = 1ull << 40;
        rmi_ok(rig, RMI_FID_REC_ENTER, PAGE(REC), PAGE(W_RUN));
        assert_waits();
        assert_int_equal(rec->pc, 0xa04);
        assert_int_equal(rec->el1.esr, rows[i].esr); /* address size fault, level 0 */
        assert_int_equal(rec->el1.far, 1ull << 40);
    }
}

/* ---- timers ---- */

enum { NOW = 1000 }; /* ticks */

static const struct TimerRow {
    const char *name;
    uint64_t    ctl, cval, reported;
} timers[] = {
    { "off", 0, 0, 0 },
    { "off and masked", 2, 0, 2 },
    { "not yet", 1, NOW + 100000, 1 },
    { "due", 1, NOW - 1, 5 },
    { "due and masked", 3, NOW - 1, 7 },
};

static void check_timer(const struct TimerRow *row, bool virtual)
{
    A64El1Regs *el1 = &rec0()->el1;
    bool        asserted = row->reported == 5;

    clock_advance(rig->clock, NOW * A64_TICK_NS);
    *(virtual ? &el1->cntv_ctl : &el1->cntp_ctl) = row->ctl;
    *(virtual ? &el1->cntv_cval : &el1->cntp_cval) = row->cval;
    start_at(STUB_WFI);
    rec0()->x[0] = 0x77;
    assert_int_equal(enter(0), RMI_SUCCESS);
    if (asserted) { /* news since the last exit: they come first */
        assert_int_equal(exit_field(RMI_EXIT_REASON), RMI_EXIT_IRQ);
        assert_int_equal(exit_field(RMI_EXIT_ESR), 0);
        assert_int_equal(exit_field(RMI_EXIT_GPRS), 0);
        assert_int_equal(rec0()->pc, STUB_WFI);
        assert_int_equal(exit_field(virtual ? RMI_EXIT_CNTV_CTL : RMI_EXIT_CNTP_CTL), row->reported);
        assert_int_equal(enter(0), RMI_SUCCESS);
    }
    assert_waits();
    assert_int_equal(exit_field(virtual ? RMI_EXIT_CNTV_CTL : RMI_EXIT_CNTP_CTL), row->reported);
    assert_int_equal(exit_field(virtual ? RMI_EXIT_CNTV_CVAL : RMI_EXIT_CNTP_CVAL), row->cval);
    assert_int_equal(exit_field(virtual ? RMI_EXIT_CNTP_CTL : RMI_EXIT_CNTV_CTL), 0);
    if (asserted) { /* and when it is off again, that is news, too */
        *(virtual ? &el1->cntv_ctl : &el1->cntp_ctl) = 0;
        start_at(STUB_WFI);
        assert_int_equal(enter(0), RMI_SUCCESS);
        assert_int_equal(exit_field(RMI_EXIT_REASON), RMI_EXIT_IRQ);
        assert_int_equal(enter(0), RMI_SUCCESS);
        assert_waits();
    }
}

static void test_timers(void **state)
{
    for (size_t i = 0; i < 2 * ARRAY_LEN(timers); i++) {
        print_message("%s, %s\n", i % 2 ? "virtual" : "physical", timers[i / 2].name);
        teardown(state);
        setup(state);
        check_timer(&timers[i / 2], i % 2);
    }
}

/* A timer that became due while the host emulated an access does not lose the access, nor the SEA. */
static void test_timer_and_abort(void **state)
{
    static const struct { uint64_t flags, pc; } rows[] = {
        { RMI_ENTER_EMUL_MMIO, STUB_LOAD + 4 }, { RMI_ENTER_INJECT_SEA, VECTORS + 0x200 }, { 0, STUB_LOAD },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        teardown(state);
        setup(state);
        start_at(STUB_LOAD);
        rec0()->x[1] = WORLD_NS + 0x2018;
        assert_int_equal(enter(0), RMI_SUCCESS);
        clock_advance(rig->clock, NOW * A64_TICK_NS);
        rec0()->el1.cntv_ctl = 1;
        rig_enter(rig, W_RUN, RMI_ENTER_GPRS, 77);
        assert_int_equal(enter(rows[i].flags), RMI_SUCCESS);
        assert_int_equal(exit_field(RMI_EXIT_REASON), RMI_EXIT_IRQ);
        assert_int_equal(rec0()->pc, rows[i].pc);
        assert_int_equal(rec0()->x[2], rows[i].flags == RMI_ENTER_EMUL_MMIO ? 77 : 0);
    }
}

/* ---- the virtual CPU interface ---- */

static const struct GicRow {
    const char *name;
    uint64_t    hcr, lr0, vmcr, misr;
} gic_rows[] = {
    { "nothing asked", 0, 0, 0, 0 },
    { "underflow", ICH_HCR_UIE, 0, 0, 1 << 1 },
    { "nothing pending", ICH_HCR_NPIE, 0, 0, 1 << 3 },
    { "one pending", ICH_HCR_NPIE, ICH_LR_STATE_PENDING | ICH_LR_GROUP | 40, 0, 0 },
    { "ended, EOI wanted", 0, ICH_LR_EOI | 40, 0, 1 << 0 },
    { "group 1 is on", ICH_HCR_VGRP1EIE | ICH_HCR_VGRP1DIE, 0, 0xf8000002, 1 << 6 },
    { "group 1 is off", ICH_HCR_VGRP1EIE | ICH_HCR_VGRP1DIE, 0, 0, 1 << 7 },
    { "direct deactivation trapped", ICH_HCR_TDIR, 0, 0, 0 },
};

static void test_gic(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(gic_rows); i++) {
        const struct GicRow *row = &gic_rows[i];
        GicVirtState         host = { .hcr = ICH_HCR_EN, .lrs = { 41 } }, now;
        print_message("%s\n", row->name);
        teardown(state);
        setup(state);
        gic_cpu_virt_set(rig->cpu[0]->gic, &host);
        start_at(STUB_WFI);
        rec0()->vmcr = row->vmcr;
        rig_enter(rig, W_RUN, RMI_ENTER_GICV3_HCR, row->hcr);
        rig_enter(rig, W_RUN, RMI_ENTER_GICV3_LRS, row->lr0);
        rig_enter(rig, W_RUN, RMI_ENTER_GICV3_LRS + 8 * (GIC_N_LRS - 1), 0x1234); /* invalid: as it is */
        assert_int_equal(enter(0), RMI_SUCCESS);
        assert_int_equal(exit_field(RMI_EXIT_GICV3_HCR), row->hcr);
        assert_int_equal(exit_field(RMI_EXIT_GICV3_LRS), row->lr0);
        assert_int_equal(exit_field(RMI_EXIT_GICV3_LRS + 8 * (GIC_N_LRS - 1)), 0x1234);
        assert_int_equal(exit_field(RMI_EXIT_GICV3_VMCR) & 0xf8000003, row->vmcr); /* priorities, enables */
        assert_int_equal(exit_field(RMI_EXIT_GICV3_VMCR), rec0()->vmcr);
        assert_int_equal(exit_field(RMI_EXIT_GICV3_MISR), row->misr);
        gic_cpu_virt_get(rig->cpu[0]->gic, &now);
        assert_int_equal(now.hcr & ICH_HCR_EN, 0); /* off after every exit */
    }
}

/* ---- PSCI between RECs ---- */

enum { ON = 3, INFO = 4 }; /* CPU_ON, AFFINITY_INFO */

static const struct PsciRow {
    const char *name;
    unsigned    call;
    bool        target_on;
    int64_t     status;
    bool        ok;       /* else ERROR_INPUT by "status" */
    bool        pending;  /* the caller goes on waiting */
    int64_t     x0;
} psci[] = {
    { "CPU_ON", ON, false, 0, true, false, 0 },
    { "CPU_ON of one that is on", ON, true, 0, true, false, -4 },
    { "CPU_ON denied", ON, false, -3, true, false, -3 },
    { "CPU_ON of one that is on, denied", ON, true, -3, false, false, -4 },
    { "AFFINITY_INFO, off", INFO, false, 0, true, false, 1 },
    { "AFFINITY_INFO, on", INFO, true, 0, true, false, 0 },
    { "AFFINITY_INFO denied", INFO, false, -3, false, true, 0 },
    { "AFFINITY_INFO of one that is on, denied", INFO, true, -3, false, true, 0 },
};

static void ask(unsigned call)
{
    start_at(STUB_SMC);
    rec0()->x[0] = 0xc4000000 | call;
    rec0()->x[1] = 1;
    rec0()->x[2] = call == ON ? 0x400 : 0;
    rec0()->x[3] = 0x99;
    rec0()->x[7] = 0x55;
    assert_int_equal(enter(0), RMI_SUCCESS);
    assert_int_equal(rec0()->pending, REC_PSCI);
}

static uint64_t complete(int64_t status)
{
    return rmi(rig, RMI_FID_PSCI_COMPLETE, PAGE(W_REC0), PAGE(W_REC1), (uint64_t)status);
}

static void check_psci(const struct PsciRow *row)
{
    rec1()->runnable = row->target_on;
    ask(row->call);
    assert_int_equal(complete(row->status), row->ok ? RMI_SUCCESS : RMI_ERROR_INPUT);
    assert_int_equal(rec0()->pending, row->pending ? REC_PSCI : REC_NOTHING);
    if (!row->ok) {
        assert_string_equal(rmm_last_failure(rig->rmm), "status");
    }
    if (row->pending) {
        assert_int_equal(enter(0), RMI_ERROR_REC);
        assert_int_equal(complete(0), RMI_SUCCESS);
    } else {
        assert_int_equal((int64_t)rec0()->x[0], row->x0);
    }
    assert_int_equal(rec1()->runnable, row->target_on || (row->call == ON && row->status == 0));
    assert_int_equal(rec0()->x[1] | rec0()->x[2] | rec0()->x[3], 0);
    assert_int_equal(rec0()->x[7], 0x55);
    assert_int_equal(complete(0), RMI_ERROR_INPUT);
    assert_string_equal(rmm_last_failure(rig->rmm), "pending");
}

static void test_psci(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(psci); i++) {
        print_message("%s\n", psci[i].name);
        teardown(state);
        setup(state);
        check_psci(&psci[i]);
    }
}

/* No other status is permitted, whatever was asked. */
static void test_psci_statuses(void **state)
{
    static const int64_t bad[] = { -9, -8, -7, -6, -5, -4, -2, -1, 1, 2, 0xfffffffd, INT64_MIN, INT64_MAX };

    for (unsigned i = 0; i < 4; i++) {
        rec1()->runnable = i & 1;
        ask(i & 2 ? ON : INFO);
        for (size_t n = 0; n < ARRAY_LEN(bad); n++) {
            assert_int_equal(complete(bad[n]), RMI_ERROR_INPUT);
            assert_string_equal(rmm_last_failure(rig->rmm), "status");
            assert_int_equal(rec0()->pending, REC_PSCI);
            assert_int_equal(rec1()->runnable, i & 1);
        }
        assert_int_equal(complete(0), RMI_SUCCESS);
    }
}

/* A REC that was off starts as from reset: nothing of its former life, in the virtual CPU interface neither. */
static void test_on_again(void **state)
{
    Rec *target = rec1();

    target->v[5][1] = target->el1.tpidr_el1 = target->el1.ttbr0 = 6;
    target->fpcr = 1 << 24;
    target->vmcr = 0xff000002;
    target->ap1r[0] = 1 << 20;
    target->el1.cntv_ctl = 1;
    target->timers_told = 1 << 18;
    target->x[30] = 7;
    rec0()->el1.sctlr |= 1 << 25; /* EE: the target's as the caller's */
    ask(ON);
    assert_int_equal(complete(0), RMI_SUCCESS);
    assert_int_equal(target->v[5][1] | target->el1.tpidr_el1 | target->el1.ttbr0 | target->x[30], 0);
    assert_int_equal(target->fpcr | target->vmcr | target->ap1r[0] | target->el1.cntv_ctl | target->timers_told, 0);
    assert_int_equal(target->pc, 0x400);
    assert_int_equal(target->x[0], 0x99);
    assert_int_equal(target->spsr, 0x3c5);
    assert_true(target->el1.sctlr & 1 << 25);
    assert_int_equal(target->el1.sctlr & 1, 0);
}

/* ---- what is derived of a REC's registers ---- */

enum { FPEN = 3 << 20, FP_RAN = STUB_FP + 8, FP_TRAPPED = VECTORS + 0x204 };

/* @rec goes from @stub to a WFI on @cpu; returns where. */
static uint64_t go(unsigned rec, unsigned cpu, uint64_t stub)
{
    const uint64_t x[] = { SMC64_STD(RMI_FID_REC_ENTER), PAGE(rec), PAGE(W_RUN) };
    Rec           *r = rec_at(rig->rmm, PAGE(rec));

    r->pc = stub;
    r->x[1] = FPEN;
    r->el1.vbar = VECTORS;
    rig_enter(rig, W_RUN, RMI_ENTER_FLAGS, RMI_ENTER_TRAP_WFI);
    assert_int_equal(rig_smc(rig, cpu, x, ARRAY_LEN(x)), RMI_SUCCESS);
    assert_waits();
    return r->pc;
}

/* A CPU that goes on with the REC that left it last finds what it had derived of its registers, but not when another
 * CPU ran the REC meanwhile, or another REC ran here. */
static void test_left_elsewhere(void **state)
{
    for (unsigned cpu = 0; cpu < RIG_CPUS; cpu++) {
        teardown(state);
        setup(state);
        rec1()->runnable = true;
        assert_int_equal(go(W_REC0, 0, STUB_FP), FP_TRAPPED);
        assert_int_equal(go(W_REC0, cpu, STUB_CPACR), STUB_CPACR + 8);
        assert_int_equal(go(W_REC0, 0, STUB_FP), FP_RAN);
        assert_int_equal(go(W_REC1, cpu, STUB_FP), FP_TRAPPED);
        assert_int_equal(go(W_REC0, cpu, STUB_FP), FP_RAN);
    }
}

/* Nor when it was reset. */
static void test_left_and_reset(void **state)
{
    rec1()->runnable = true;
    assert_int_equal(go(W_REC1, 1, STUB_CPACR), STUB_CPACR + 8);
    assert_int_equal(go(W_REC1, 1, STUB_FP), FP_RAN);
    rec1()->runnable = false; /* as CPU_OFF leaves it */
    ask(ON);
    assert_int_equal(complete(0), RMI_SUCCESS);
    assert_int_equal(go(W_REC1, 1, STUB_FP), FP_TRAPPED);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_exits), T(test_finish_abort), T(test_outside), T(test_timers), T(test_timer_and_abort), T(test_gic),
        T(test_psci), T(test_psci_statuses), T(test_on_again),
        T(test_left_elsewhere), T(test_left_and_reset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
