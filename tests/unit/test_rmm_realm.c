/*
 * Realms that run: A64 code on the real CPU, entered by REC_ENTER. RSI and PSCI by rows; aborts, MMIO,
 * waiting, interrupts, timers and several RECs by small programs.
 */
#include "tests/unit/rmm_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { STUB_SMC = 0x000, STUB_MEM = 0x100, STUB_HVC = 0x200, STUB_SYSREG = 0x300, STUB_LOOP = 0x400, STUB_PMU = 0x500 };
#define ENC(op0, op1, crn, crm, op2) ((op0) << 14 | (op1) << 11 | (crn) << 7 | (crm) << 3 | (op2))

#define ENC_PMCR    ENC(3, 3, 9, 12, 0)
#define ENC_PMCCNTR ENC(3, 3, 9, 13, 0)

static Rig *rig;

static Rec *rec0(void) { return rec_at(rig->rmm, PAGE(W_REC0)); }
static Rec *rec1(void) { return rec_at(rig->rmm, PAGE(W_REC1)); }

/* Small programs at known addresses; each ends in WFI, which the host traps. */
static void build_code(Code *c)
{
    static const struct { unsigned at; uint32_t words[6]; } programs[] = {
        { STUB_SMC, { A64_SMC, A64_WFI } },
        { STUB_MEM, { A64_LDR(2, 1), A64_WFI } },
        { STUB_MEM + 0x20, { A64_STRH(2, 1), A64_WFI } },
        { STUB_MEM + 0x40, { A64_LDRSB(2, 1), A64_WFI } },
        { STUB_MEM + 0x60, { A64_STR_POST(2, 1), A64_WFI } },
        { STUB_MEM + 0x80, { A64_BR(1) } },
        { STUB_HVC, { A64_HVC, A64_WFI } },
        { STUB_SYSREG, { A64_MSR(1, ENC(3, 0, 12, 11, 5)), A64_WFI } },
        { STUB_SYSREG + 0x20, { A64_MRS(2, ENC(3, 0, 0, 4, 0)), A64_MRS(3, ENC(3, 0, 0, 5, 0)),
                                A64_MRS(4, ENC(3, 0, 0, 0, 5)), A64_WFI } },
        { STUB_LOOP, { A64_B_SELF } },
        { STUB_PMU, { A64_MRS(2, ENC_PMCR), A64_MRS(3, ENC(3, 0, 0, 5, 0)), A64_MRS(4, ENC_PMCCNTR), A64_WFI } },
        { STUB_PMU + 0x20, { A64_MRS(2, ENC(3, 3, 14, 8, 3)), A64_WFI } }, /* PMEVCNTR3_EL0 */
    };

    for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
        for (unsigned w = 0; w < 6 && programs[i].words[w] != 0; w++) {
            c->word[programs[i].at / 4 + w] = programs[i].words[w];
        }
    }
    c->n = ARRAY_LEN(c->word);
}

static int setup(void **state)
{
    static Code code;
    uint32_t    image[2048] = { 0 };

    memset(&code, 0, sizeof(code));
    build_code(&code);
    memcpy(image, code.word, 4096);
    for (unsigned i = 0; i < 16; i++) { /* vectors at 0x1000, one WFI each */
        image[(0x1000 + 0x80 * i) / 4] = A64_WFI;
    }
    image[0x1280 / 4] = A64_MSR(1, ENC(3, 0, 12, 11, 5)); /* IRQ: WFI would not wait */
    rig = rig_new();
    world_new(rig, image, ARRAY_LEN(image));
    world_recs(rig);
    rmi_ok(rig, RMI_FID_REALM_ACTIVATE, PAGE(W_RD));
    rec0()->el1.vbar = 0x1000;
    rec1()->el1.vbar = 0x1000;
    rig_enter(rig, W_RUN, RMI_ENTER_FLAGS, RMI_ENTER_TRAP_WFI);
    rig_enter(rig, W_RUN1, RMI_ENTER_FLAGS, RMI_ENTER_TRAP_WFI);
    return 0;
}

static int teardown(void **state)
{
    rig_free(rig);
    return 0;
}

static void start_at(Rec *rec, uint64_t pc)
{
    rec->pc = pc;
    rec->spsr = 0x3c5;
}

static uint64_t enter(unsigned flags)
{
    rig_enter(rig, W_RUN, RMI_ENTER_FLAGS, flags | RMI_ENTER_TRAP_WFI);
    uint64_t x0 = rmi(rig, RMI_FID_REC_ENTER, PAGE(W_REC0), PAGE(W_RUN));
    rig_enter(rig, W_RUN, RMI_ENTER_FLAGS, RMI_ENTER_TRAP_WFI);
    return x0;
}

static uint64_t exit_field(unsigned offset) { return rig_exit(rig, W_RUN, offset); }
static unsigned exit_ec(void) { return exit_field(RMI_EXIT_ESR) >> 26 & 0x3f; }

static void assert_waits(void)
{
    assert_int_equal(exit_field(RMI_EXIT_REASON), RMI_EXIT_SYNC);
    assert_int_equal(exit_ec(), 1);
}

/* ---- RSI and PSCI, by rows ---- */

#define RSI_CALL(n) SMC64_STD(RSI_FID_##n)
#define PAR_TOP (1ull << (WORLD_BITS - 1))
#define SAME 0xdeadull /* X0 of a call that has not come back */

/* A token that cannot be made: the platform's half alone leaves no room in the granule for it. */
static void break_token(void)
{
    rec0()->token = TOKEN_REQUESTED;
    rig->rmm->platform_token_len = RMM_GRANULE_SIZE;
}

/* The page at 0x4000 is as RTT_INIT_RIPAS leaves one that DATA_CREATE does not follow for. */
static void leave_out_page_4(void)
{
    RttWalk w = rtt_walk(rig->rmm, realm_at(rig->rmm, PAGE(W_RD)), 0x4000, RTT_LAST_LEVEL);

    rtt_put(&w, (RttValue){ .kind = RTT_UNASSIGNED, .ripas = RIPAS_RAM });
}

static void destroy_page_4(void) { rmi_ok(rig, RMI_FID_DATA_DESTROY, PAGE(W_RD), 0x4000); }

static const struct CallRow {
    const char *name;       /* of a call that fails: its last word is the label */
    uint64_t    fid, x[4];  /* x1 on */
    uint64_t    x0, out[2]; /* x1, x2 */
    unsigned    n_out;
    int         exit;       /* RmiExitReason, -1: the call is answered and the Realm waits */
    uint64_t    info;       /* of a PSCI exit: gprs[1]; of a SYNC exit: hpfar */
    void      (*prepare)(void);
} calls[] = {
    { "VERSION 1.0", RSI_CALL(VERSION), { 0x10000 }, 0, { 0x10000, 0x10001 }, 2, -1 },
    { "VERSION 1.1", RSI_CALL(VERSION), { 0x10001 }, 0, { 0x10001, 0x10001 }, 2, -1 },
    { "VERSION 2.0, req_version", RSI_CALL(VERSION), { 0x20000 }, RSI_ERROR_INPUT, { 0x10001, 0x10001 }, 2, -1 },
    { "VERSION 0.9, req_version", RSI_CALL(VERSION), { 0x9 }, RSI_ERROR_INPUT, { 0x10000, 0x10001 }, 2, -1 },
    { "FEATURES 0", RSI_CALL(FEATURES), { 0 }, 0, { 0 }, 1, -1 },
    { "FEATURES 99", RSI_CALL(FEATURES), { 99 }, 0, { 0 }, 1, -1 },
    { "MEASUREMENT_READ index_bound", RSI_CALL(MEASUREMENT_READ), { 5 }, RSI_ERROR_INPUT, { 0 }, 0, -1 },
    { "MEASUREMENT_READ REM 1", RSI_CALL(MEASUREMENT_READ), { 1 }, 0, { 0, 0 }, 2, -1 },
    { "MEASUREMENT_EXTEND 0 index_bound", RSI_CALL(MEASUREMENT_EXTEND), { 0, 64 }, RSI_ERROR_INPUT, { 0 }, 0, -1 },
    { "MEASUREMENT_EXTEND 5 index_bound", RSI_CALL(MEASUREMENT_EXTEND), { 5, 64 }, RSI_ERROR_INPUT, { 0 }, 0, -1 },
    { "MEASUREMENT_EXTEND size_bound", RSI_CALL(MEASUREMENT_EXTEND), { 1, 65 }, RSI_ERROR_INPUT, { 0 }, 0, -1 },
    { "MEASUREMENT_EXTEND", RSI_CALL(MEASUREMENT_EXTEND), { 1, 1, 0x61 }, 0, { 0 }, 0, -1 },
    { "TOKEN_CONTINUE state", RSI_CALL(ATTESTATION_TOKEN_CONTINUE), { 0x7000, 0, 4096 }, RSI_ERROR_STATE, { 0 }, 0,
        -1 },
    { "TOKEN_CONTINUE addr_align", RSI_CALL(ATTESTATION_TOKEN_CONTINUE), { 0x7008, 0, 8 }, RSI_ERROR_INPUT, { 0 },
        0, -1 },
    { "TOKEN_CONTINUE addr_bound", RSI_CALL(ATTESTATION_TOKEN_CONTINUE), { PAR_TOP, 0, 8 }, RSI_ERROR_INPUT, { 0 },
        0, -1 },
    { "TOKEN_CONTINUE offset_bound", RSI_CALL(ATTESTATION_TOKEN_CONTINUE), { 0x7000, 4096, 0 }, RSI_ERROR_INPUT,
        { 0 }, 0, -1 },
    { "TOKEN_CONTINUE size_bound", RSI_CALL(ATTESTATION_TOKEN_CONTINUE), { 0x7000, 8, 4089 }, RSI_ERROR_INPUT,
        { 0 }, 0, -1 },
    { "TOKEN_CONTINUE size_overflow", RSI_CALL(ATTESTATION_TOKEN_CONTINUE), { 0x7000, 8, ~0ull }, RSI_ERROR_INPUT,
        { 0 }, 0, -1 },
    { "TOKEN_CONTINUE addr_empty", RSI_CALL(ATTESTATION_TOKEN_CONTINUE), { 0x9000, 0, 8 }, RSI_ERROR_INPUT, { 0 },
        0, -1 },
    { "TOKEN_CONTINUE unknown", RSI_CALL(ATTESTATION_TOKEN_CONTINUE), { 0x7000, 0, 8 }, RSI_ERROR_UNKNOWN, { 0 }, 0,
        -1, 0, break_token },
    { "REALM_CONFIG addr_align", RSI_CALL(REALM_CONFIG), { 0x7800 }, RSI_ERROR_INPUT, { 0 }, 0, -1 },
    { "REALM_CONFIG addr_bound", RSI_CALL(REALM_CONFIG), { PAR_TOP }, RSI_ERROR_INPUT, { 0 }, 0, -1 },
    { "REALM_CONFIG addr_empty", RSI_CALL(REALM_CONFIG), { 0x100000 }, RSI_ERROR_INPUT, { 0 }, 0, -1 },
    { "REALM_CONFIG", RSI_CALL(REALM_CONFIG), { 0x7000 }, 0, { 0 }, 0, -1 },
    { "IPA_STATE_GET RAM", RSI_CALL(IPA_STATE_GET), { 0, 0x100000 }, 0, { 0x8000, RIPAS_RAM }, 2, -1 },
    { "IPA_STATE_GET ends", RSI_CALL(IPA_STATE_GET), { 0x1000, 0x2000 }, 0, { 0x2000, RIPAS_RAM }, 2, -1 },
    { "IPA_STATE_GET EMPTY, one table", RSI_CALL(IPA_STATE_GET), { 0x8000, 0x40000000 }, 0, { 0x200000,
        RIPAS_EMPTY }, 2, -1 },
    { "IPA_STATE_GET at a block", RSI_CALL(IPA_STATE_GET), { 0x201000, 0x203000 }, 0, { 0x203000, RIPAS_EMPTY }, 2,
        -1 },
    { "IPA_STATE_GET RAM, a page without memory", RSI_CALL(IPA_STATE_GET), { 0x1000, 0x100000 }, 0,
        { 0x8000, RIPAS_RAM }, 2, -1, 0, leave_out_page_4 },
    { "IPA_STATE_GET from a page without memory", RSI_CALL(IPA_STATE_GET), { 0x4000, 0x100000 }, 0,
        { 0x8000, RIPAS_RAM }, 2, -1, 0, leave_out_page_4 },
    { "IPA_STATE_GET to a page destroyed", RSI_CALL(IPA_STATE_GET), { 0x1000, 0x100000 }, 0,
        { 0x4000, RIPAS_RAM }, 2, -1, 0, destroy_page_4 },
    { "IPA_STATE_GET base_align", RSI_CALL(IPA_STATE_GET), { 8, 0x1000 }, RSI_ERROR_INPUT, { 0 }, 0, -1 },
    { "IPA_STATE_GET base, rgn_bound", RSI_CALL(IPA_STATE_GET), { PAR_TOP, PAR_TOP + 4096 }, RSI_ERROR_INPUT, { 0 }, 0,
        -1 },
    { "IPA_STATE_GET end_align", RSI_CALL(IPA_STATE_GET), { 0, 0x1008 }, RSI_ERROR_INPUT, { 0 }, 0, -1 },
    { "IPA_STATE_GET size_valid", RSI_CALL(IPA_STATE_GET), { 0x1000, 0x1000 }, RSI_ERROR_INPUT, { 0 }, 0, -1 },
    { "IPA_STATE_GET end, rgn_bound", RSI_CALL(IPA_STATE_GET), { 0, PAR_TOP + 4096 }, RSI_ERROR_INPUT, { 0 }, 0, -1 },
    { "IPA_STATE_SET base_align", RSI_CALL(IPA_STATE_SET), { 8, 0x1000, 0 }, RSI_ERROR_INPUT, { 0 }, 0, -1 },
    { "IPA_STATE_SET top_align", RSI_CALL(IPA_STATE_SET), { 0, 0x1008, 0 }, RSI_ERROR_INPUT, { 0 }, 0, -1 },
    { "IPA_STATE_SET size_valid", RSI_CALL(IPA_STATE_SET), { 0x1000, 0x1000, 0 }, RSI_ERROR_INPUT, { 0 }, 0, -1 },
    { "IPA_STATE_SET rgn_bound", RSI_CALL(IPA_STATE_SET), { 0, PAR_TOP + 4096, 0 }, RSI_ERROR_INPUT, { 0 }, 0, -1 },
    { "IPA_STATE_SET ripas_valid", RSI_CALL(IPA_STATE_SET), { 0, 0x1000, 2 }, RSI_ERROR_INPUT, { 0 }, 0, -1 },
    { "IPA_STATE_SET", RSI_CALL(IPA_STATE_SET), { 0, 0x1000, 0 }, SAME, { 0 }, 0, RMI_EXIT_RIPAS_CHANGE },
    { "HOST_CALL addr_align", RSI_CALL(HOST_CALL), { 0x7080 }, RSI_ERROR_INPUT, { 0 }, 0, -1 },
    { "HOST_CALL addr_bound", RSI_CALL(HOST_CALL), { PAR_TOP }, RSI_ERROR_INPUT, { 0 }, 0, -1 },
    { "HOST_CALL addr_empty", RSI_CALL(HOST_CALL), { 0x9000 }, RSI_ERROR_INPUT, { 0 }, 0, -1 },
    { "HOST_CALL", RSI_CALL(HOST_CALL), { 0x7100 }, SAME, { 0 }, 0, RMI_EXIT_HOST_CALL },
    { "no such RSI", SMC64_STD(0x1AE), { 0 }, SMC_UNKNOWN, { 0 }, 0, -1 },
    { "RSI with a device, none here", RSI_CALL(VDEV_GET_INFO), { 0 }, SMC_UNKNOWN, { 0 }, 0, -1 },
    { "RMI by a Realm", SMC64_STD(RMI_FID_VERSION), { 0x10000 }, SMC_UNKNOWN, { 0 }, 0, -1 },
    { "SMC64 with the SVE hint", RSI_CALL(VERSION) | BIT(16), { 0x10000 }, 0, { 0x10000 }, 1, -1 },

    { "SMCCC_VERSION", 0x80000000, { 0 }, 0x10002, { 0 }, 0, -1 },
    { "PSCI_VERSION", 0x84000000, { 0 }, 0x10001, { 0 }, 0, -1 },
    { "PSCI_FEATURES of CPU_ON", 0x8400000a, { 0xc4000003 }, 0, { 0 }, 0, -1 },
    { "PSCI_FEATURES of SMCCC_VERSION", 0x8400000a, { 0x80000000 }, 0, { 0 }, 0, -1 },
    { "PSCI_FEATURES of MIGRATE", 0x8400000a, { 0x84000005 }, ~0ull, { 0 }, 0, -1 },
    { "CPU_SUSPEND", 0xc4000001, { 1, 2, 3 }, 0, { 0 }, 0, RMI_EXIT_PSCI, 1 },
    { "CPU_ON entry", 0xc4000003, { 1, PAR_TOP, 0 }, (uint64_t)-9, { 0 }, 0, -1 },
    { "CPU_ON mpidr", 0xc4000003, { 2, 0, 0 }, (uint64_t)-2, { 0 }, 0, -1 },
    { "CPU_ON reserved bits, mpidr", 0xc4000003, { 1 << 24, 0, 0 }, (uint64_t)-2, { 0 }, 0, -1 },
    { "CPU_ON Aff3, mpidr", 0xc4000003, { 1ull << 32, 0, 0 }, (uint64_t)-2, { 0 }, 0, -1 },
    { "CPU_ON itself, runnable", 0xc4000003, { 0, 0, 0 }, (uint64_t)-4, { 0 }, 0, -1 },
    { "CPU_ON", 0xc4000003, { 1, 0x400, 5 }, 0xc4000003, { 0 }, 0, RMI_EXIT_PSCI, 1 },
    { "CPU_ON, SMC32", 0x84000003, { 1ull << 40 | 1, 0x400, 5 }, 0x84000003, { 0 }, 0, RMI_EXIT_PSCI, 1 },
    { "AFFINITY_INFO target_bound", 0xc4000004, { 1, 1 }, (uint64_t)-2, { 0 }, 0, -1 },
    { "AFFINITY_INFO target_match", 0xc4000004, { 7, 0 }, (uint64_t)-2, { 0 }, 0, -1 },
    { "AFFINITY_INFO, unused bits", 0xc4000004, { 0, 1ull << 32 }, 0, { 0 }, 0, -1 },
    { "AFFINITY_INFO itself", 0xc4000004, { 0, 0 }, 0, { 0 }, 0, -1 },
    { "AFFINITY_INFO", 0xc4000004, { 1, 0 }, 0xc4000004, { 0 }, 0, RMI_EXIT_PSCI, 1 },
    { "CPU_OFF", 0x84000002, { 0 }, 0x84000002, { 0 }, 0, RMI_EXIT_PSCI, 0 },
    { "SYSTEM_OFF", 0x84000008, { 0 }, 0x84000008, { 0 }, 0, RMI_EXIT_PSCI, 0 },
    { "SYSTEM_RESET", 0x84000009, { 0 }, 0x84000009, { 0 }, 0, RMI_EXIT_PSCI, 0 },
    { "MIGRATE", 0x84000005, { 0 }, SMC_UNKNOWN, { 0 }, 0, -1 },
};

static void check_call(const struct CallRow *row)
{
    rec0()->token = row->x[0] == 0x9000 ? TOKEN_REQUESTED : TOKEN_NONE;
    start_at(rec0(), STUB_SMC);
    memset(rec0()->x, 0, sizeof(rec0()->x));
    rec0()->x[0] = row->fid;
    memcpy(rec0()->x + 1, row->x, sizeof(row->x));
    if (row->prepare != NULL) {
        row->prepare();
    }
    assert_int_equal(enter(0), RMI_SUCCESS);
    if (row->exit < 0) {
        assert_waits();
    } else {
        assert_int_equal(exit_field(RMI_EXIT_REASON), row->exit);
    }
    if (row->x0 != SAME) {
        assert_int_equal(rec0()->x[0], row->x0);
    }
    for (unsigned i = 0; i < row->n_out; i++) {
        assert_int_equal(rec0()->x[1 + i], row->out[i]);
    }
    assert_int_equal(rec0()->pc, row->exit < 0 ? STUB_SMC + 8 : STUB_SMC + 4);
    if (row->exit == RMI_EXIT_PSCI) {
        assert_int_equal(exit_field(RMI_EXIT_GPRS), row->fid);
        assert_int_equal(exit_field(RMI_EXIT_GPRS + 8), row->info);
    }
}

/* Labels seen in failing calls, as "NAME label". */
static GHashTable *seen;

/* A status by which a call says that it failed; an unknown function has none. */
static bool is_failure(const struct CallRow *row)
{
    int64_t x0 = (int64_t)row->x0;

    return row->exit < 0 && ((x0 > 0 && x0 <= RSI_ERROR_UNKNOWN) || (x0 < (int64_t)SMC_UNKNOWN && x0 >= -9));
}

static void check_label(const struct CallRow *row)
{
    const char *label = rmm_last_failure(rig->rmm);

    assert_non_null(label);
    assert_string_equal(strrchr(row->name, ' ') + 1, label);
    g_hash_table_add(seen, g_strdup_printf("%x %s", (unsigned)row->fid, label));
}

/* Every label of the core has a row. */
static void check_listed(void *opaque, const RmmFunction *f)
{
    bool psci = strcmp(f->iface, "PSCI") == 0;

    for (size_t i = 0; i < f->n_failures; i++) {
        const char      *label = f->failures[i].label;
        g_autofree char *key = g_strdup_printf("%x %s", psci ? f->fid | (unsigned)SMC_SMC64 : f->fid, label);
        bool             of_core = f->dialects == IN_ALL && (psci || strcmp(f->iface, "RSI") == 0);
        if (of_core && !g_hash_table_contains(seen, key)) {
            fail_msg("no row makes %s_%s fail by %s", f->iface, f->name, label);
        }
    }
}

/* The Realm and all that it has but the REC that calls and the buffer of its token. */
static void assert_nothing_changed(const uint8_t *before)
{
    for (unsigned page = 0; page < W_SPARE; page++) {
        if (page != W_REC0 && page != W_AUX0) {
            assert_memory_equal(before + page * 4096, rig_bytes(rig, PAGE(page)), 4096);
        }
    }
}

static void check_calls(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        print_message("%s\n", calls[i].name);
        teardown(state);
        setup(state);
        g_autofree uint8_t *before = g_memdup2(rig_bytes(rig, PAGE(0)), W_SPARE * 4096);
        check_call(&calls[i]);
        if (is_failure(&calls[i])) {
            check_label(&calls[i]);
            assert_nothing_changed(before);
        }
    }
}

/* The core answers alike in each dialect. */
static void test_calls(void **state)
{
    for (rig_dialect = 0; rig_dialect < RMM_N_DIALECTS; rig_dialect++) {
        print_message("dialect %s\n", rmm_dialects[rig_dialect].name);
        seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        check_calls(state);
        rmm_conformance(check_listed, NULL);
        g_hash_table_destroy(seen);
    }
    rig_dialect = RMM_1_1_ALP17;
}

/* A call whose page the host has not mapped yet comes again by itself. */
static void test_buffer_fault(void **state)
{
    rmi_ok(rig, RMI_FID_DATA_DESTROY, PAGE(W_RD), 0x7000);
    start_at(rec0(), STUB_SMC);
    rec0()->x[0] = RSI_CALL(REALM_CONFIG);
    rec0()->x[1] = 0x7000;
    assert_int_equal(enter(0), RMI_SUCCESS);
    assert_int_equal(exit_field(RMI_EXIT_REASON), RMI_EXIT_SYNC);
    assert_int_equal(exit_field(RMI_EXIT_ESR), 0x24ull << 26 | 7);
    assert_int_equal(exit_field(RMI_EXIT_HPFAR), 0x70);
    assert_int_equal(rec0()->pc, STUB_SMC);
    rmi_ok(rig, RMI_FID_DATA_CREATE_UNKNOWN, PAGE(W_RD), PAGE(W_SPARE), 0x7000);
    /* RIPAS is DESTROYED now: the Realm has to want it back. */
    assert_int_equal(enter(0), RMI_SUCCESS);
    assert_int_equal(exit_field(RMI_EXIT_HPFAR), 0x70);
    rec0()->x[0] = RSI_CALL(IPA_STATE_SET);
    rec0()->x[2] = 0x8000;
    rec0()->x[3] = RIPAS_RAM;
    rec0()->x[4] = RSI_CHANGE_DESTROYED;
    assert_int_equal(enter(0), RMI_SUCCESS);
    assert_int_equal(exit_field(RMI_EXIT_RIPAS_BASE), 0x7000);
    assert_int_equal(exit_field(RMI_EXIT_RIPAS_TOP), 0x8000);
    assert_int_equal(exit_field(RMI_EXIT_RIPAS_VALUE), RIPAS_RAM);
    rmi_ok(rig, RMI_FID_RTT_SET_RIPAS, PAGE(W_RD), PAGE(W_REC0), 0x7000, 0x8000);
    assert_int_equal(rig->cpu[0]->x[1], 0x8000);
    assert_int_equal(enter(0), RMI_SUCCESS);
    assert_waits();
    assert_int_equal(rec0()->x[0], RSI_SUCCESS);
    assert_int_equal(rec0()->x[1], 0x8000);
    assert_int_equal(rec0()->x[2], RSI_ACCEPT);

    start_at(rec0(), STUB_SMC);
    rec0()->x[0] = RSI_CALL(REALM_CONFIG);
    rec0()->x[1] = 0x7000;
    assert_int_equal(enter(0), RMI_SUCCESS);
    assert_waits();
    const uint8_t *page = rig_bytes(rig, PAGE(W_SPARE));
    assert_int_equal(le64_get(page + RSI_CONFIG_IPA_WIDTH), WORLD_BITS);
    assert_int_equal(page[RSI_CONFIG_HASH_ALGO], RMI_HASH_SHA_256);
    assert_int_equal(page[RSI_CONFIG_RPV + 63], 0x5a);
}

/* The host refuses, or does a part only. */
static void test_ripas_answers(void **state)
{
    static const struct { uint64_t ripas, flags, response; bool part; } rows[] = {
        { RIPAS_RAM, RMI_ENTER_RIPAS_REJECT, RSI_REJECT, false }, { RIPAS_RAM, 0, RSI_ACCEPT, false },
        { RIPAS_EMPTY, RMI_ENTER_RIPAS_REJECT, RSI_ACCEPT, false },
        { RIPAS_RAM, RMI_ENTER_RIPAS_REJECT, RSI_ACCEPT, true },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        start_at(rec0(), STUB_SMC);
        rec0()->x[0] = RSI_CALL(IPA_STATE_SET);
        rec0()->x[1] = 0x10000;
        rec0()->x[2] = 0x11000;
        rec0()->x[3] = rows[i].ripas;
        rec0()->x[4] = 0;
        assert_int_equal(enter(0), RMI_SUCCESS);
        if (rows[i].part) {
            rmi_ok(rig, RMI_FID_RTT_SET_RIPAS, PAGE(W_RD), PAGE(W_REC0), 0x10000, 0x11000);
        }
        assert_int_equal(enter((unsigned)rows[i].flags), RMI_SUCCESS);
        assert_int_equal(rec0()->x[2], rows[i].response);
        assert_int_equal(rec0()->x[1], rows[i].part ? 0x11000 : 0x10000);
    }
}

static void test_host_call(void **state)
{
    uint8_t *page = rig_bytes(rig, PAGE(W_DATA + 7));

    le16_put(page + 0x100, 0xabcd);
    le64_put(page + 0x108, 42);
    le64_put(page + 0x108 + 8 * 30, 43);
    start_at(rec0(), STUB_SMC);
    rec0()->x[0] = RSI_CALL(HOST_CALL);
    rec0()->x[1] = 0x7100;
    assert_int_equal(enter(0), RMI_SUCCESS);
    assert_int_equal(exit_field(RMI_EXIT_REASON), RMI_EXIT_HOST_CALL);
    assert_int_equal(le16_get(rig_bytes(rig, PAGE(W_RUN)) + RMI_EXIT_IMM), 0xabcd);
    assert_int_equal(exit_field(RMI_EXIT_GPRS), 42);
    assert_int_equal(exit_field(RMI_EXIT_GPRS + 8 * 30), 43);
    rig_enter(rig, W_RUN, RMI_ENTER_GPRS, 77);
    rig_enter(rig, W_RUN, RMI_ENTER_GPRS + 8 * 30, 78);

    /* The page is gone: SUCCESS, a fault as news, and the Realm has not run. */
    rmi_ok(rig, RMI_FID_DATA_DESTROY, PAGE(W_RD), 0x7000);
    assert_int_equal(enter(0), RMI_SUCCESS);
    assert_int_equal(exit_field(RMI_EXIT_REASON), RMI_EXIT_SYNC);
    assert_int_equal(exit_field(RMI_EXIT_HPFAR), 0x71 & ~0xf);
    assert_int_equal(rec0()->pc, STUB_SMC + 4);
    assert_int_equal(rec0()->pending, REC_HOST_CALL);
}

static void test_host_call_answer(void **state)
{
    const uint8_t *page = rig_bytes(rig, PAGE(W_DATA + 7));

    start_at(rec0(), STUB_SMC);
    rec0()->x[0] = RSI_CALL(HOST_CALL);
    rec0()->x[1] = 0x7100;
    assert_int_equal(enter(0), RMI_SUCCESS);
    rig_enter(rig, W_RUN, RMI_ENTER_GPRS, 77);
    rig_enter(rig, W_RUN, RMI_ENTER_GPRS + 8 * 30, 78);
    assert_int_equal(enter(0), RMI_SUCCESS);
    assert_waits();
    assert_int_equal(le64_get(page + 0x108), 77);
    assert_int_equal(le64_get(page + 0x108 + 8 * 30), 78);
    assert_int_equal(rec0()->x[0], RSI_SUCCESS);
}

/* ---- aborts and MMIO ---- */

static const struct AbortRow {
    const char *name;
    unsigned    pc;
    uint64_t    ipa;      /* in x1 */
    bool        exits;    /* else a SEA arrives in the Realm */
    uint64_t    esr, far, hpfar, gpr0;
} aborts[] = {
    /* EC 0x24, translation fault level 3 (7) or as far as tables go; ISV SAS WnR SF */
    { "load at an unprotected address", STUB_MEM, WORLD_NS + 0x2018, true,
        0x24ull << 26 | 1 << 24 | 3 << 22 | 1 << 15 | 7, 0x18,
      (WORLD_NS + 0x2000) >> 8, 0 },
    { "halfword store there", STUB_MEM + 0x20, WORLD_NS + 0x2010, true,
        0x24ull << 26 | 1 << 24 | 1 << 22 | 1 << 6 | 7, 0x10,
      (WORLD_NS + 0x2000) >> 8, 0x4321 },
    { "store without syndrome", STUB_MEM + 0x60, WORLD_NS + 0x2010, true, 0x24ull << 26 | 7, 0,
        (WORLD_NS + 0x2000) >> 8, 0 },
    { "load where RIPAS is EMPTY", STUB_MEM, 0x10000, false, 0, 0, 0, 0 },
    { "fetch from an unprotected address", STUB_MEM + 0x80, WORLD_NS + 0x2000, false, 0, 0, 0, 0 },
    { "fetch where RIPAS is EMPTY", STUB_MEM + 0x80, 0x10000, false, 0, 0, 0, 0 },
};

static void test_aborts(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(aborts); i++) {
        const struct AbortRow *row = &aborts[i];
        print_message("%s\n", row->name);
        start_at(rec0(), row->pc);
        rec0()->x[1] = row->ipa;
        rec0()->x[2] = 0x87654321;
        assert_int_equal(enter(0), RMI_SUCCESS);
        if (!row->exits) {
            assert_waits();
            assert_int_equal(rec0()->pc, 0x1204); /* in the handler of EL1 */
            assert_int_equal(rec0()->el1.far, row->ipa);
            assert_int_equal(rec0()->el1.esr & 0x3f, 0x10);
            continue;
        }
        assert_int_equal(exit_field(RMI_EXIT_ESR), row->esr);
        assert_int_equal(exit_field(RMI_EXIT_FAR), row->far);
        assert_int_equal(exit_field(RMI_EXIT_HPFAR), row->hpfar);
        assert_int_equal(exit_field(RMI_EXIT_GPRS), row->gpr0);
        assert_int_equal(rec0()->pc, row->pc);
    }
}

static void test_protected_fault(void **state)
{
    rmi_ok(rig, RMI_FID_DATA_DESTROY, PAGE(W_RD), 0x7000);
    start_at(rec0(), STUB_MEM);
    rec0()->x[1] = 0x7008;
    assert_int_equal(enter(0), RMI_SUCCESS);
    assert_int_equal(exit_field(RMI_EXIT_ESR), 0x24ull << 26 | 7);
    assert_int_equal(exit_field(RMI_EXIT_HPFAR), 0x70);
    assert_int_equal(exit_field(RMI_EXIT_FAR), 0);
    assert_int_equal(RMI_RETURN_STATUS(enter(RMI_ENTER_INJECT_SEA)), RMI_ERROR_REC);
    assert_string_equal(rmm_last_failure(rig->rmm), "rec_inject_sea");
}

static void test_mmio(void **state)
{
    /* A load: the value, masked to its size, sign-extended. */
    start_at(rec0(), STUB_MEM + 0x40);
    rec0()->x[1] = WORLD_NS + 0x2000;
    assert_int_equal(enter(0), RMI_SUCCESS);
    rig_enter(rig, W_RUN, RMI_ENTER_GPRS, 0x1f0);
    assert_int_equal(enter(RMI_ENTER_EMUL_MMIO), RMI_SUCCESS);
    assert_waits();
    assert_int_equal(rec0()->x[2], (uint64_t)-16);

    /* Not emulated: it comes again; then a SEA. */
    start_at(rec0(), STUB_MEM);
    assert_int_equal(enter(0), RMI_SUCCESS);
    assert_int_equal(enter(0), RMI_SUCCESS);
    assert_int_equal(exit_ec(), 0x24);
    assert_int_equal(rec0()->pc, STUB_MEM);
    assert_int_equal(enter(RMI_ENTER_INJECT_SEA | RMI_ENTER_EMUL_MMIO), RMI_SUCCESS); /* the abort wins */
    assert_waits();
    assert_int_equal(rec0()->el1.elr, STUB_MEM);
    assert_int_equal(rec0()->el1.esr >> 26, 0x25);

    /* Nothing is pending now. */
    assert_int_equal(RMI_RETURN_STATUS(enter(RMI_ENTER_EMUL_MMIO)), RMI_ERROR_REC);
    assert_string_equal(rmm_last_failure(rig->rmm), "rec_mmio");

    /* An access without syndrome cannot be emulated. */
    start_at(rec0(), STUB_MEM + 0x60);
    assert_int_equal(enter(0), RMI_SUCCESS);
    assert_int_equal(RMI_RETURN_STATUS(enter(RMI_ENTER_EMUL_MMIO)), RMI_ERROR_REC);
}

/* A page of the host's at an unprotected address, when it is taken away or given to another. */
static void test_shared_page(void **state)
{
    rmi_ok(rig, RMI_FID_RTT_MAP_UNPROTECTED, PAGE(W_RD), WORLD_NS + 0x2000, 3, PAGE(W_FREE) | 6 << 2 | 3 << 6);
    le64_put(rig_bytes(rig, PAGE(W_FREE)) + 8, 99);
    start_at(rec0(), STUB_MEM);
    rec0()->x[1] = WORLD_NS + 0x2008;
    assert_int_equal(enter(0), RMI_SUCCESS);
    assert_waits();
    assert_int_equal(rec0()->x[2], 99);

    rig_delegate(rig, PAGE(W_FREE), 1);
    start_at(rec0(), STUB_MEM);
    assert_int_equal(enter(0), RMI_SUCCESS);
    assert_int_equal(exit_field(RMI_EXIT_ESR) & 0x3f, 0x28); /* granule protection fault */
    assert_int_equal(exit_field(RMI_EXIT_HPFAR), (WORLD_NS + 0x2000) >> 8);
    rmi_ok(rig, RMI_FID_GRANULE_UNDELEGATE, PAGE(W_FREE));
    assert_int_equal(enter(0), RMI_SUCCESS);
    assert_waits();
    assert_int_equal(rec0()->x[2], 0); /* wiped */

    rmi_ok(rig, RMI_FID_RTT_UNMAP_UNPROTECTED, PAGE(W_RD), WORLD_NS + 0x2000, 3);
    start_at(rec0(), STUB_MEM);
    assert_int_equal(enter(0), RMI_SUCCESS);
    assert_int_equal(exit_ec(), 0x24);
}

/* A page that the Realm has used loses access at once when its RIPAS changes. */
static void test_ripas_flush(void **state)
{
    le64_put(rig_bytes(rig, PAGE(W_DATA + 6)), 5);
    start_at(rec0(), STUB_MEM);
    rec0()->x[1] = 0x6000;
    assert_int_equal(enter(0), RMI_SUCCESS);
    assert_int_equal(rec0()->x[2], 5);
    start_at(rec0(), STUB_SMC);
    rec0()->x[0] = RSI_CALL(IPA_STATE_SET);
    rec0()->x[1] = 0x6000;
    rec0()->x[2] = 0x7000;
    rec0()->x[3] = RIPAS_EMPTY;
    assert_int_equal(enter(0), RMI_SUCCESS);
    rmi_ok(rig, RMI_FID_RTT_SET_RIPAS, PAGE(W_RD), PAGE(W_REC0), 0x6000, 0x7000);
    assert_int_equal(enter(0), RMI_SUCCESS);
    start_at(rec0(), STUB_MEM);
    rec0()->x[1] = 0x6000;
    assert_int_equal(enter(0), RMI_SUCCESS);
    assert_waits();
    assert_int_equal(rec0()->pc, 0x1204);
    rmi_ok(rig, RMI_FID_DATA_DESTROY, PAGE(W_RD), 0x6000);
    rmi_ok(rig, RMI_FID_GRANULE_UNDELEGATE, PAGE(W_DATA + 6));
    assert_int_equal(le64_get(rig_bytes(rig, PAGE(W_DATA + 6))), 0);
}

/* ---- traps ---- */

static void test_undefined(void **state)
{
    start_at(rec0(), STUB_HVC);
    assert_int_equal(enter(0), RMI_SUCCESS);
    assert_waits();
    assert_int_equal(rec0()->el1.elr, STUB_HVC);
    assert_int_equal(rec0()->el1.esr, BIT(25));
}

static void test_sysregs(void **state)
{
    start_at(rec0(), STUB_SYSREG); /* msr icc_sgi1r_el1, x1 */
    rec0()->x[1] = 0x123;
    assert_int_equal(enter(0), RMI_SUCCESS);
    assert_int_equal(exit_ec(), 0x18);
    assert_int_equal(exit_field(RMI_EXIT_ESR) & 0x3ffffe,
                     ENC(0, 0, 0, 0, 0) | 3 << 20 | 5 << 17 | 12 << 10 | 1 << 5 | 11 << 1);
    assert_int_equal(exit_field(RMI_EXIT_GPRS), 0x123);
    assert_int_equal(rec0()->pc, STUB_SYSREG + 4);

    start_at(rec0(), STUB_SYSREG + 0x20);
    assert_int_equal(enter(0), RMI_SUCCESS);
    assert_waits();
    assert_int_equal(rec0()->x[2] >> 52 & 15, 0);  /* no RME */
    assert_int_equal(rec0()->x[2] >> 16 & 15, 1);  /* AdvSIMD with FP16 */
    assert_int_equal(rec0()->x[3] >> 12 & 15, 1);  /* breakpoints as REALM_CREATE said */
    assert_int_equal(rec0()->x[3] >> 20 & 15, 1);
    assert_int_equal(rec0()->x[3] >> 8 & 15, 0);   /* no PMU */
    assert_int_equal(rec0()->x[4], BIT(31));
}

/* The host's GIC lets a private interrupt through. */
static void enable_ppi(unsigned ppi)
{
    GicCpu  *gic = gicv3_cpu(rig->gic, 0);
    MemAttrs ns = { .pas = PAS_NONSECURE };

    gicv3_redist_ops.write(rig->gic, 0x14, 4, ns, 0);                          /* GICR_WAKER: awake */
    gicv3_dist_ops.write(rig->gic, 0, 4, ns, 0x12);                            /* GICD_CTLR: group 1, ARE */
    gicv3_redist_ops.write(rig->gic, 0x10000 + 0x80, 4, ns, ~0u);              /* GICR_IGROUPR0: group 1 */
    gicv3_redist_ops.write(rig->gic, 0x10000 + 0x100, 4, ns, 1u << ppi);       /* GICR_ISENABLER0 */
    gic_cpu_set_pmr(gic, 0xff);
    gic_cpu_set_group_enable(gic, 1, true);
}

/* DEN0137 "Realm PMU". */
enum { HOST_CYCLES = 1000, PMU_CYCLES = 1u << 31 };

static void give_pmu(uint32_t n_ctrs)
{
    Realm *realm = realm_at(rig->rmm, PAGE(W_RD));

    realm->flags0 |= RMI_REALM_FLAG_PMU;
    realm->n_ctrs = n_ctrs;
}

/* A Realm without a PMU finds none; one with it finds as many counters as it was given, and its own values in them. */
static void test_pmu(void **state)
{
    A64Cpu *cpu = rig->cpu[0];

    cpu->el1.pmccntr = HOST_CYCLES;
    cpu->el1.pmcr = 1;
    cpu->el1.pmcntenset = PMU_CYCLES;
    A64El1Regs host = cpu->el1;
    start_at(rec0(), STUB_PMU);
    assert_int_equal(enter(0), RMI_SUCCESS);
    assert_waits();
    assert_int_equal(rec0()->el1.elr, STUB_PMU);
    assert_int_equal(rec0()->el1.esr, BIT(25));
    assert_memory_equal(&cpu->el1, &host, sizeof(host)); /* the host's are its own, and stood still */

    give_pmu(3);
    rec0()->el1.pmcr = 1;
    rec0()->el1.pmcntenset = PMU_CYCLES;
    rec0()->el1.pmccntr = 50;
    start_at(rec0(), STUB_PMU);
    assert_int_equal(enter(0), RMI_SUCCESS);
    assert_waits();
    assert_int_equal(rec0()->x[2], 3 << 11 | 1 << 6 | 1);
    assert_int_equal(rec0()->x[3] >> 8 & 15, 6);
    assert_int_equal(rec0()->x[3] >> 60, 0); /* HPMN0 is none of its business */
    assert_int_equal(rec0()->x[4], 52);
    assert_int_equal(rec0()->el1.pmccntr, 54);
    assert_int_equal(exit_field(RMI_EXIT_PMU_OVF_STATUS), 0);
    assert_memory_equal(&cpu->el1, &host, sizeof(host));

    start_at(rec0(), STUB_PMU + 0x20);
    assert_int_equal(enter(0), RMI_SUCCESS);
    assert_int_equal(rec0()->el1.elr, STUB_PMU + 0x20);
    assert_int_equal(rec0()->el1.esr, BIT(25));
    give_pmu(4);
    start_at(rec0(), STUB_PMU + 0x20);
    rec0()->el1.pmevcntr[3] = 77;
    assert_int_equal(enter(0), RMI_SUCCESS);
    assert_int_equal(rec0()->x[2], 77);
}

/* An overflow is an interrupt of the host's, which learns whose it is and makes it one of the Realm's. */
static void test_pmu_overflow(void **state)
{
    enable_ppi(RIG_PPI_PMU);
    give_pmu(0); /* the cycle counter alone */
    rec0()->el1.pmcr = 1;
    rec0()->el1.pmcntenset = rec0()->el1.pmintenset = PMU_CYCLES;
    rec0()->el1.pmccntr = -100ull;
    start_at(rec0(), STUB_LOOP);
    assert_int_equal(enter(0), RMI_SUCCESS);
    assert_int_equal(exit_field(RMI_EXIT_REASON), RMI_EXIT_IRQ);
    assert_int_equal(exit_field(RMI_EXIT_PMU_OVF_STATUS), 1);
    assert_int_equal(rec0()->el1.pmccntr, 0); /* at its instruction */
    assert_int_equal(rec0()->el1.pmovsset, PMU_CYCLES);
    assert_false(rig->cpu[0]->pmu.level);

    /* While the host does not mute its own interrupt the Realm does not get far; the status stays. */
    assert_int_equal(enter(0), RMI_SUCCESS);
    assert_int_equal(exit_field(RMI_EXIT_REASON), RMI_EXIT_IRQ);
    assert_int_equal(exit_field(RMI_EXIT_PMU_OVF_STATUS), 1);
    gicv3_redist_ops.write(rig->gic, 0x10000 + 0x180, 4, (MemAttrs){ .pas = PAS_NONSECURE }, 1u << RIG_PPI_PMU);
    rec0()->spsr = 5;
    rec0()->vmcr = 0xff000002ull;
    rig_enter(rig, W_RUN, RMI_ENTER_GICV3_LRS, ICH_LR_STATE_PENDING | ICH_LR_GROUP | 0xa0ull << 48 | RIG_PPI_PMU);
    assert_int_equal(enter(0), RMI_SUCCESS);
    assert_int_equal(exit_ec(), 0x18);
    assert_int_equal(rec0()->pc, 0x1284); /* IRQ vector of EL1h */
    assert_int_equal(exit_field(RMI_EXIT_PMU_OVF_STATUS), 1);

    /* Muted by the Realm, it is no overflow to tell. */
    rec0()->el1.pmintenset = 0;
    rig_enter(rig, W_RUN, RMI_ENTER_GICV3_LRS, 0);
    start_at(rec0(), STUB_SMC + 4);
    assert_int_equal(enter(0), RMI_SUCCESS);
    assert_waits();
    assert_int_equal(exit_field(RMI_EXIT_PMU_OVF_STATUS), 0);
}

static void test_wfi_untrapped(void **state)
{
    /* A timer of the Realm ends the wait; the physical GIC brings it to R-EL2. */
    enable_ppi(27);
    start_at(rec0(), STUB_SMC + 4);
    rec0()->el1.cntv_ctl = 1;
    rec0()->el1.cntv_cval = 1000;
    rig_enter(rig, W_RUN, RMI_ENTER_FLAGS, 0);
    assert_int_equal(rmi(rig, RMI_FID_REC_ENTER, PAGE(W_REC0), PAGE(W_RUN)), RMI_SUCCESS);
    assert_int_equal(exit_field(RMI_EXIT_REASON), RMI_EXIT_IRQ);
    assert_int_equal(exit_field(RMI_EXIT_CNTV_CTL), 5);
    assert_int_equal(exit_field(RMI_EXIT_CNTV_CVAL), 1000);
    assert_true(clock_now(rig->clock) >= 1000 * A64_TICK_NS);
    assert_int_equal(rec0()->pc, STUB_SMC + 8);

    /* Told once: the line stays masked and the Realm makes progress; the host's list register brings the
     * interrupt. */
    start_at(rec0(), STUB_SMC + 4);
    assert_int_equal(enter(0), RMI_SUCCESS);
    assert_waits();
    start_at(rec0(), STUB_LOOP);
    rec0()->spsr = 5; /* unmasked */
    rec0()->el1.sctlr = 0;
    rec0()->vmcr = 0xff000002ull; /* all priorities, group 1 */
    rig_enter(rig, W_RUN, RMI_ENTER_GICV3_LRS, ICH_LR_STATE_PENDING | ICH_LR_GROUP | 0xa0ull << 48 | 27);
    assert_int_equal(enter(0), RMI_SUCCESS);
    assert_int_equal(exit_ec(), 0x18);
    assert_int_equal(rec0()->pc, 0x1284); /* IRQ vector of EL1h */
    assert_int_equal(exit_field(RMI_EXIT_GICV3_LRS), ICH_LR_STATE_PENDING | ICH_LR_GROUP | 0xa0ull << 48 | 27);
}

static void test_host_interrupt(void **state)
{
    start_at(rec0(), STUB_LOOP);
    a64_set_line(rig->cpu[0], A64_LINE_IRQ, true);
    assert_int_equal(enter(0), RMI_SUCCESS);
    assert_int_equal(exit_field(RMI_EXIT_REASON), RMI_EXIT_IRQ);
    a64_set_line(rig->cpu[0], A64_LINE_IRQ, false);
    a64_set_line(rig->cpu[0], A64_LINE_FIQ, true);
    assert_int_equal(enter(0), RMI_SUCCESS);
    assert_int_equal(exit_field(RMI_EXIT_REASON), RMI_EXIT_FIQ);
    a64_set_line(rig->cpu[0], A64_LINE_FIQ, false);
    a64_set_line(rig->cpu[0], A64_LINE_SERROR, true);
    assert_int_equal(enter(0), RMI_SUCCESS);
    assert_int_equal(exit_field(RMI_EXIT_REASON), RMI_EXIT_SERROR);
    assert_int_equal(exit_ec(), 0x2f);
}

/* ---- list registers ---- */

static void test_gic_checks(void **state)
{
    static const struct { const char *name; uint64_t hcr, lr0, lr1; bool ok; } rows[] = {
        { "all host bits", 0x40fe, 0, 0, true },
        { "En is not the host's", 1, 0, 0, false },
        { "EOIcount", 1ull << 27, 0, 0, false },
        { "HW", 0, ICH_LR_STATE_PENDING | ICH_LR_HW | 40, 0, false },
        { "physical INTID", 0, ICH_LR_STATE_PENDING | 1ull << 32 | 40, 0, false },
        { "EOI", 0, ICH_LR_STATE_PENDING | ICH_LR_EOI | 40, 0, true },
        { "priority bit that is not there", 0, ICH_LR_STATE_PENDING | 1ull << 48 | 40, 0, false },
        { "special INTID", 0, ICH_LR_STATE_PENDING | 1020, 0, false },
        { "LPI", 0, ICH_LR_STATE_PENDING | 8192, 0, true },
        { "INTID twice", 0, ICH_LR_STATE_PENDING | 40, ICH_LR_STATE_ACTIVE | 40, false },
        { "INTID twice, one invalid", 0, ICH_LR_STATE_PENDING | 40, 40, true },
        { "anything when invalid", 0, ICH_LR_HW | 1020, 0, true },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        print_message("%s\n", rows[i].name);
        start_at(rec0(), STUB_SMC + 4);
        rig_enter(rig, W_RUN, RMI_ENTER_GICV3_HCR, rows[i].hcr);
        rig_enter(rig, W_RUN, RMI_ENTER_GICV3_LRS, rows[i].lr0);
        rig_enter(rig, W_RUN, RMI_ENTER_GICV3_LRS + 8, rows[i].lr1);
        uint64_t x0 = enter(0);
        assert_int_equal(x0, rows[i].ok ? RMI_SUCCESS : RMI_ERROR_REC);
        assert_true(rows[i].ok || strcmp(rmm_last_failure(rig->rmm), "rec_gicv3") == 0);
    }
}

/* ---- several RECs ---- */

static void test_cpu_on(void **state)
{
    start_at(rec0(), STUB_SMC);
    rec0()->x[0] = 0xc4000003;
    rec0()->x[1] = 1;
    rec0()->x[2] = STUB_SMC + 4;
    rec0()->x[3] = 0x77;
    assert_int_equal(enter(0), RMI_SUCCESS);
    assert_int_equal(RMI_RETURN_STATUS(enter(0)), RMI_ERROR_REC);
    assert_string_equal(rmm_last_failure(rig->rmm), "rec_psci");
    rmi_ok(rig, RMI_FID_PSCI_COMPLETE, PAGE(W_REC0), PAGE(W_REC1), 0);
    assert_int_equal(rec0()->x[0], 0);
    assert_int_equal(rec0()->x[3], 0);
    assert_true(rec1()->runnable);
    rec1()->el1.vbar = 0x1000;

    /* On the second CPU, while the first REC runs on the first. */
    rig_enter(rig, W_RUN1, RMI_ENTER_FLAGS, RMI_ENTER_TRAP_WFI);
    uint64_t call[] = { SMC64_STD(RMI_FID_REC_ENTER), PAGE(W_REC1), PAGE(W_RUN1) };
    assert_int_equal(rig_smc(rig, 1, call, 3), RMI_SUCCESS);
    assert_int_equal(rec1()->pc, STUB_SMC + 8);
    assert_int_equal(rec1()->x[0], 0x77);
    assert_int_equal(rig_exit(rig, W_RUN1, RMI_EXIT_REASON), RMI_EXIT_SYNC);

    /* On already; affinity says so. */
    start_at(rec0(), STUB_SMC);
    rec0()->x[0] = 0xc4000003;
    rec0()->x[1] = 1;
    rec0()->x[2] = 0;
    assert_int_equal(enter(0), RMI_SUCCESS);
    assert_int_equal(rmi(rig, RMI_FID_PSCI_COMPLETE, PAGE(W_REC0), PAGE(W_REC1), (uint64_t)-3), RMI_ERROR_INPUT);
    assert_int_equal(rec0()->x[0], (uint64_t)-4); /* answered all the same */
    start_at(rec0(), STUB_SMC);
    rec0()->x[0] = 0xc4000003;
    rec0()->x[1] = 1;
    rec0()->x[2] = 0;
    assert_int_equal(enter(0), RMI_SUCCESS);
    rmi_ok(rig, RMI_FID_PSCI_COMPLETE, PAGE(W_REC0), PAGE(W_REC1), 0);
    assert_int_equal(rec0()->x[0], (uint64_t)-4);
    start_at(rec0(), STUB_SMC);
    rec0()->x[0] = 0xc4000004;
    rec0()->x[1] = 1;
    rec0()->x[2] = 0;
    assert_int_equal(enter(0), RMI_SUCCESS);
    rmi_ok(rig, RMI_FID_PSCI_COMPLETE, PAGE(W_REC0), PAGE(W_REC1), 0);
    assert_int_equal(rec0()->x[0], 0);
}

static void test_cpu_on_denied(void **state)
{
    start_at(rec0(), STUB_SMC);
    rec0()->x[0] = 0xc4000003;
    rec0()->x[1] = 1;
    rec0()->x[2] = 0;
    assert_int_equal(enter(0), RMI_SUCCESS);
    rmi_ok(rig, RMI_FID_PSCI_COMPLETE, PAGE(W_REC0), PAGE(W_REC1), (uint64_t)-3);
    assert_int_equal(rec0()->x[0], (uint64_t)-3);
    assert_false(rec1()->runnable);
}

static void test_ends(void **state)
{
    start_at(rec0(), STUB_SMC);
    rec0()->x[0] = 0x84000002;
    assert_int_equal(enter(0), RMI_SUCCESS);
    assert_int_equal(enter(0), RMI_ERROR_REC);
    assert_string_equal(rmm_last_failure(rig->rmm), "rec_runnable");
    rec0()->runnable = true;
    start_at(rec0(), STUB_SMC);
    rec0()->x[0] = 0x84000008;
    assert_int_equal(enter(0), RMI_SUCCESS);
    assert_int_equal(enter(0), RMI_RETURN(RMI_ERROR_REALM, 1));
    assert_string_equal(rmm_last_failure(rig->rmm), "system_off");
}

/* The Normal world finds its registers as they were. */
static void test_world_switch(void **state)
{
    A64Cpu *cpu = rig->cpu[0];

    for (unsigned i = 0; i < 32; i++) {
        cpu->v[i][0] = i;
        rec0()->v[i][0] = 100 + i;
    }
    cpu->el1.tpidr_el0 = 1;
    cpu->el1.sp_el0 = 2;
    cpu->el2.tpidr = 3;
    cpu->el2.hcr = BIT(31);
    cpu->el2.cnthp_cval = 4;
    cpu->fpcr = 1 << 22;
    A64El1Regs el1 = cpu->el1;
    A64El2Regs el2 = cpu->el2;
    start_at(rec0(), STUB_SMC + 4);
    uint64_t x[31] = { SMC64_STD(RMI_FID_REC_ENTER), PAGE(W_REC0), PAGE(W_RUN) };
    for (unsigned i = 3; i < 31; i++) {
        x[i] = 1000 + i;
    }
    assert_int_equal(rig_smc(rig, 0, x, 31), RMI_SUCCESS);
    assert_memory_equal(&cpu->x[1], &x[1], 30 * 8);
    assert_memory_equal(&cpu->el1, &el1, sizeof(el1));
    assert_memory_equal(&cpu->el2, &el2, sizeof(el2));
    assert_int_equal(cpu->v[7][0], 7);
    assert_int_equal(rec0()->v[7][0], 107);
    assert_int_equal(cpu->fpcr, 1 << 22);
    assert_int_equal(cpu->security, PAS_NONSECURE);
    assert_int_equal(cpu->el, 2);
    assert_int_equal(rec0()->x[3], 0); /* nothing of the host's is seen by the Realm, or the other way round */
    assert_int_equal(exit_field(RMI_EXIT_GPRS), 0);
}

/* The host gives its run page away while the REC runs: it gets no news, and nothing of the Realm's is
 * written. */
static void test_run_page_lost(void **state)
{
    start_at(rec0(), STUB_LOOP);
    rig->cpu[0]->x[0] = SMC64_STD(RMI_FID_REC_ENTER);
    rig->cpu[0]->x[1] = PAGE(W_REC0);
    rig->cpu[0]->x[2] = PAGE(W_RUN);
    assert_true(monitor_host_smc(rig->monitor, rig->cpu[0]));
    uint64_t again[] = { SMC64_STD(RMI_FID_REC_ENTER), PAGE(W_REC0), PAGE(W_RUN1) };
    assert_int_equal(rig_smc(rig, 1, again, 3), RMI_ERROR_REC);
    assert_string_equal(rmm_last_failure(rig->rmm), "rec_state");
    uint64_t destroy[] = { SMC64_STD(RMI_FID_REC_DESTROY), PAGE(W_REC0) };
    assert_int_equal(rig_smc(rig, 1, destroy, 2), RMI_ERROR_REC);
    uint64_t delegate[] = { SMC64_STD(RMI_FID_GRANULE_DELEGATE), PAGE(W_RUN) };
    assert_int_equal(rig_smc(rig, 1, delegate, 2), RMI_SUCCESS);
    a64_set_line(rig->cpu[0], A64_LINE_IRQ, true);
    assert_int_equal(rig_run(rig, 0, 100), RMI_ERROR_INPUT);
    a64_set_line(rig->cpu[0], A64_LINE_IRQ, false);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_calls), T(test_buffer_fault), T(test_ripas_answers), T(test_host_call), T(test_host_call_answer),
        T(test_aborts), T(test_protected_fault), T(test_mmio), T(test_shared_page), T(test_ripas_flush),
        T(test_undefined), T(test_sysregs), T(test_pmu), T(test_pmu_overflow), T(test_wfi_untrapped),
        T(test_host_interrupt), T(test_gic_checks),
        T(test_cpu_on), T(test_cpu_on_denied), T(test_ends), T(test_world_switch), T(test_run_page_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
