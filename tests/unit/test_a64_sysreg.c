/*
 * System registers: the table is sound, ID registers say what they must, traps go where the Arm ARM sends
 * them, and HCR_EL2.E2H redirects what it must.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "a64_machine.h"

static void print_sentence(const char *sentence, void *opaque) { print_error("%s\n", sentence); }

static void test_table(void **state)
{
    assert_int_equal(a64_sysreg_check(print_sentence, NULL), 0);
}

static uint32_t enc_of(const char *name)
{
    const A64Sysreg *r = a64_sysreg_by_name(name);

    if (r == NULL) {
        fail_msg("no register %s", name);
    }
    return r->enc;
}

static void go(TestMachine *t, unsigned el, Pas world)
{
    a64_enter(t->cpu, world, 0x1000, 0x3c0u | el << 2 | (el != 0));
    t->cpu->cpu.fault = false;
}

/* ---- identification ---- */

typedef struct IdRow {
    const char *name;
    unsigned    lsb, value;
} IdRow;

static const IdRow id_rows[] = {
    { "ID_AA64PFR0_EL1", 0, 1 },  /* EL0 AArch64 only */
    { "ID_AA64PFR0_EL1", 12, 1 }, /* EL3 */
    { "ID_AA64PFR0_EL1", 16, 1 }, /* FP16 */
    { "ID_AA64PFR0_EL1", 24, 1 }, /* GIC system registers */
    { "ID_AA64PFR0_EL1", 32, 0 }, /* SVE */
    { "ID_AA64PFR0_EL1", 52, 1 }, /* RME */
    { "ID_AA64PFR1_EL1", 0, 1 },  /* BTI */
    { "ID_AA64PFR1_EL1", 8, 0 },  /* MTE */
    { "ID_AA64DFR0_EL1", 8, 6 },  /* PMUVer */
    { "ID_AA64DFR0_EL1", 12, A64_N_BREAKPOINTS - 1 },
    { "ID_AA64ISAR0_EL1", 20, 2 }, /* LSE */
    { "ID_AA64ISAR0_EL1", 56, 2 }, /* TLBIRANGE */
    { "ID_AA64ISAR0_EL1", 60, 1 }, /* RNG */
    { "ID_AA64ISAR1_EL1", 8, 5 },  /* FPACCOMBINE */
    { "ID_AA64ISAR1_EL1", 44, 0 }, /* BF16 */
    { "ID_AA64MMFR0_EL1", 0, 5 },  /* 48 bits */
    { "ID_AA64MMFR0_EL1", 8, 0 },  /* BigEnd */
    { "ID_AA64MMFR0_EL1", 56, 0 }, /* FGT */
    { "ID_AA64MMFR1_EL1", 0, 2 },  /* HAFDBS */
    { "ID_AA64MMFR1_EL1", 8, 1 },  /* VHE */
    { "ID_AA64MMFR2_EL1", 24, 0 }, /* NV */
    { "ID_AA64MMFR2_EL1", 40, 1 }, /* FWB */
    { "ID_AA64MMFR2_EL1", 60, 1 }, /* E0PD */
    { "CTR_EL0", 28, 3 },          /* IDC, DIC */
};

static void test_id(void **state)
{
    TestMachine t;
    uint64_t    v;

    test_machine_init(&t);
    go(&t, 1, PAS_NONSECURE);
    for (unsigned i = 0; i < ARRAY_LEN(id_rows); i++) {
        unsigned width = strcmp(id_rows[i].name, "CTR_EL0") == 0 ? 2 : 4;
        assert_true(a64_mrs(t.cpu, enc_of(id_rows[i].name), 0, &v));
        if (extract64(v, id_rows[i].lsb, width) != id_rows[i].value) {
            fail_msg("%s bit %u is %llu, not %u", id_rows[i].name, id_rows[i].lsb,
                     (unsigned long long)extract64(v, id_rows[i].lsb, width), id_rows[i].value);
        }
    }
    /* Reserved encodings of the ID space read as zero. */
    assert_true(a64_mrs(t.cpu, A64_SYSREG_ENC(3, 0, 0, 7, 7), 0, &v));
    assert_int_equal(v, 0);
    /* VMPIDR_EL2 and VPIDR_EL2 for EL1, the real ones for EL2. */
    t.cpu->el2.vmpidr = 0x80000123;
    a64_mrs(t.cpu, enc_of("MPIDR_EL1"), 0, &v);
    assert_int_equal(v, 0x80000123);
    go(&t, 2, PAS_NONSECURE);
    a64_mrs(t.cpu, enc_of("MPIDR_EL1"), 0, &v);
    assert_int_equal(v, 0x80000000);
    test_machine_free(&t);
}

typedef struct ResetRow {
    const char *name;
    uint64_t    value;
} ResetRow;

static const ResetRow reset_rows[] = {
    { "SCTLR_EL1", 0x30d00980 }, { "SCTLR_EL2", 0x30c50830 }, { "SCTLR_EL3", 0x30c50830 },
    { "HCR_EL2", 1ull << 31 },   { "SCR_EL3", 0x430 },        { "OSLSR_EL1", 0xa },
    { "MIDR_EL1", A64_MIDR },    { "VPIDR_EL2", A64_MIDR },   { "CNTFRQ_EL0", 62500000 },
    { "CurrentEL", 3 << 2 },     { "DAIF", 0x3c0 },           { "SPSel", 1 },
};

static void test_reset(void **state)
{
    TestMachine t;

    test_machine_init(&t);
    for (unsigned i = 0; i < ARRAY_LEN(reset_rows); i++) {
        uint64_t v;
        assert_true(a64_mrs(t.cpu, enc_of(reset_rows[i].name), 0, &v));
        if (v != reset_rows[i].value) {
            fail_msg("%s resets to %#llx, not %#llx", reset_rows[i].name, (unsigned long long)v,
                     (unsigned long long)reset_rows[i].value);
        }
    }
    assert_int_equal(t.cpu->security, PAS_ROOT);
    test_machine_free(&t);
}

/* ---- traps ---- */

enum { OK, UNDEF, EL1, EL2, EL3 };

typedef struct TrapRow {
    const char *name;
    uint8_t     el;
    bool        write;
    uint8_t     expected; /* EL1 to EL3: EC 0x18 to that level; UNDEF: EC 0 */
    uint64_t    hcr, scr_clear, sctlr_clear, cptr2, cptr3, mdcr2;
    Pas         world;
} TrapRow;

#define NS PAS_NONSECURE
static const TrapRow trap_rows[] = {
    { "SCTLR_EL1", 0, false, UNDEF, .world = NS },
    { "SCTLR_EL1", 1, true, OK, .world = NS },
    { "SCTLR_EL1", 1, true, EL2, .hcr = HCR_TVM, .world = NS },
    { "SCTLR_EL1", 1, false, OK, .hcr = HCR_TVM, .world = NS },
    { "SCTLR_EL1", 1, false, EL2, .hcr = HCR_TRVM, .world = NS },
    { "TTBR0_EL1", 1, true, EL2, .hcr = HCR_TVM, .world = PAS_REALM },
    { "TTBR0_EL1", 1, true, OK, .hcr = HCR_TVM, .world = PAS_SECURE }, /* EL2 not enabled */
    { "VBAR_EL1", 1, true, OK, .hcr = HCR_TVM, .world = NS },
    { "ACTLR_EL1", 1, false, EL2, .hcr = HCR_TACR, .world = NS },
    { "ID_AA64PFR0_EL1", 1, false, EL2, .hcr = HCR_TID3, .world = NS },
    { "ID_AA64PFR0_EL1", 2, false, OK, .hcr = HCR_TID3, .world = NS },
    { "ID_AA64PFR0_EL1", 0, false, EL1, .world = NS },                       /* FEAT_IDST */
    { "ID_AA64PFR0_EL1", 0, false, EL2, .hcr = HCR_TGE | HCR_E2H, .world = NS },
    { "MIDR_EL1", 0, false, EL1, .world = NS },
    { "MIDR_EL1", 1, true, UNDEF, .world = NS },
    { "REVIDR_EL1", 1, false, EL2, .hcr = HCR_TID1, .world = NS },
    { "CLIDR_EL1", 1, false, EL2, .hcr = HCR_TID2, .world = NS },
    { "CSSELR_EL1", 1, true, EL2, .hcr = HCR_TID4, .world = NS },
    { "CTR_EL0", 0, false, EL1, .world = NS },
    { "CTR_EL0", 1, false, EL2, .hcr = HCR_TID2, .world = NS },
    { "DAIF", 0, false, EL1, .world = NS },
    { "CPACR_EL1", 1, true, EL2, .cptr2 = BIT(31), .world = NS },
    { "CPACR_EL1", 1, true, EL3, .cptr3 = BIT(31), .world = NS },
    { "CPTR_EL2", 2, true, EL3, .cptr3 = BIT(31), .world = NS },
    { "APIAKeyLo_EL1", 1, true, EL2, .world = NS },
    { "APIAKeyLo_EL1", 1, true, OK, .hcr = HCR_APK, .world = NS },
    { "APIAKeyLo_EL1", 1, true, EL3, .hcr = HCR_APK, .scr_clear = SCR_APK, .world = NS },
    { "APIAKeyLo_EL1", 2, true, OK, .world = NS },
    { "SCTLR_EL12", 2, true, UNDEF, .world = NS },
    { "SCTLR_EL12", 2, true, OK, .hcr = HCR_E2H, .world = NS },
    { "SCTLR_EL12", 1, true, UNDEF, .hcr = HCR_E2H, .world = NS },
    { "HCR_EL2", 1, true, UNDEF, .world = NS },
    { "VSTTBR_EL2", 2, true, UNDEF, .world = NS },
    { "SCR_EL3", 2, false, UNDEF, .world = NS },
    { "SP_EL0", 1, false, OK, .world = NS },
    { "MDSCR_EL1", 1, false, EL2, .mdcr2 = MDCR_TDA, .world = NS },
    { "DBGBVR0_EL1", 1, false, EL2, .mdcr2 = MDCR_TDE, .world = NS },
    { "OSLAR_EL1", 1, true, EL2, .mdcr2 = MDCR_TDOSA, .world = NS },
    { "OSLAR_EL1", 1, false, UNDEF, .world = NS },
    { "TLBI_VMALLE1IS", 1, true, EL2, .hcr = HCR_TTLB, .world = NS },
    { "TLBI_VAE1IS", 1, true, EL2, .hcr = HCR_TTLBIS, .world = NS },
    { "TLBI_VAE1OS", 1, true, EL2, .hcr = HCR_TTLBOS, .world = NS },
    { "TLBI_VAE1", 1, true, OK, .hcr = HCR_TTLBIS | HCR_TTLBOS, .world = NS },
    { "TLBI_ALLE2", 1, true, UNDEF, .world = NS },
    { "TLBI_VAE1", 0, true, UNDEF, .world = NS },
    { "DC_CISW", 1, true, EL2, .hcr = HCR_TSW, .world = NS },
    { "DC_ZVA", 0, true, EL1, .world = NS },
    { "DC_ZVA", 1, true, EL2, .hcr = HCR_TDZ, .world = NS },
    { "IC_IALLUIS", 1, true, EL2, .hcr = HCR_TICAB, .world = NS },
    { "IC_IALLU", 1, true, EL2, .hcr = HCR_TPU, .world = NS },
    { "CFP_RCTX", 0, true, EL1, .world = NS },
    { "CNTVCT_EL0", 0, false, EL1, .world = NS },
    { "CNTVCT_EL0", 1, false, OK, .world = NS },
    { "CNTP_CTL_EL0", 0, false, EL1, .world = NS },
    { "CNTPS_CTL_EL1", 1, false, UNDEF, .world = NS },
    { "CNTPS_CTL_EL1", 1, false, EL3, .world = PAS_SECURE },
};

static uint32_t expected_iss(uint32_t enc, bool write)
{
    return (enc >> 14 & 3) << 20 | (enc & 7) << 17 | (enc >> 11 & 7) << 14 | (enc >> 7 & 15) << 10 | 9 << 5 |
           (enc >> 3 & 15) << 1 | !write;
}

static void check_trap(TestMachine *t, const TrapRow *row, unsigned n)
{
    A64Cpu  *cpu = t->cpu;
    uint32_t enc = enc_of(row->name);
    uint64_t v;

    a64_reset(cpu);
    cpu->el3.scr |= (SCR_APK | SCR_API) & ~row->scr_clear;
    cpu->el2.hcr |= row->hcr;
    cpu->el2.cptr = row->cptr2;
    cpu->el3.cptr = row->cptr3;
    cpu->el2.mdcr = row->mdcr2;
    go(t, row->el, row->world);
    bool ok = row->write ? a64_msr(cpu, enc, 9, 0) : a64_mrs(cpu, enc, 9, &v);
    if (ok != (row->expected == OK)) {
        fail_msg("row %u, %s: %s", n, row->name, ok ? "no exception" : "an exception");
    }
    if (row->expected == OK) {
        return;
    }
    unsigned target = row->expected == UNDEF ? MAX(row->el, 1) : row->expected - EL1 + 1;
    uint64_t esr = target == 1 ? cpu->el1.esr : target == 2 ? cpu->el2.esr : cpu->el3.esr;
    uint64_t want = 1ull << 25 | (row->expected == UNDEF ? 0 : 0x18ull << 26 | expected_iss(enc, row->write));
    if (cpu->el != target || esr != want) {
        fail_msg("row %u, %s: EL%u with ESR %#llx, expected EL%u with %#llx", n, row->name, cpu->el,
                 (unsigned long long)esr, target, (unsigned long long)want);
    }
}

static void test_traps(void **state)
{
    TestMachine t;

    test_machine_init(&t);
    for (unsigned i = 0; i < ARRAY_LEN(trap_rows); i++) {
        check_trap(&t, &trap_rows[i], i);
    }
    test_machine_free(&t);
}

static void test_unknown(void **state)
{
    static const uint32_t encodings[] = {
        A64_SYSREG_ENC(3, 3, 14, 9, 0),  /* PMEVCNTR8_EL0: there are 8 */
        A64_SYSREG_ENC(3, 0, 1, 2, 0),   /* ZCR_EL1: no SVE */
        A64_SYSREG_ENC(3, 0, 15, 1, 0),  /* IMPLEMENTATION DEFINED */
        A64_SYSREG_ENC(3, 4, 1, 1, 4),   /* HFGRTR_EL2: no FGT */
        A64_SYS_ENC(0, 8, 7, 4),
    };
    TestMachine t;
    uint64_t    v;

    test_machine_init(&t);
    for (unsigned i = 0; i < ARRAY_LEN(encodings); i++) {
        go(&t, 2, PAS_NONSECURE);
        assert_false(a64_mrs(t.cpu, encodings[i], 0, &v));
        assert_int_equal(t.cpu->el2.esr, 1 << 25);
    }
    go(&t, 1, PAS_NONSECURE);
    t.cpu->el2.hcr |= HCR_TIDCP;
    assert_false(a64_mrs(t.cpu, encodings[2], 0, &v));
    assert_int_equal(t.cpu->el, 2);
    assert_int_equal(t.cpu->el2.esr >> 26, 0x18);
    test_machine_free(&t);
}

/* ---- VHE ---- */

typedef struct VheRow {
    const char *el1, *el12, *el2;
    uint64_t    value; /* that both can hold */
} VheRow;

static const VheRow vhe_rows[] = {
    { "SCTLR_EL1", "SCTLR_EL12", "SCTLR_EL2", 0x30d00985 },
    { "CPACR_EL1", "CPACR_EL12", "CPTR_EL2", 3 << 20 },
    { "TTBR0_EL1", "TTBR0_EL12", "TTBR0_EL2", 0x1111000 },
    { "TTBR1_EL1", "TTBR1_EL12", "TTBR1_EL2", 0x2222000 },
    { "TCR_EL1", "TCR_EL12", "TCR_EL2", 0x3333 },
    { "SPSR_EL1", "SPSR_EL12", "SPSR_EL2", 0x3c5 },
    { "ELR_EL1", "ELR_EL12", "ELR_EL2", 0x4444 },
    { "AFSR0_EL1", "AFSR0_EL12", "AFSR0_EL2", 0x5 },
    { "ESR_EL1", "ESR_EL12", "ESR_EL2", 0x6666 },
    { "FAR_EL1", "FAR_EL12", "FAR_EL2", 0x7777 },
    { "MAIR_EL1", "MAIR_EL12", "MAIR_EL2", 0xff44 },
    { "AMAIR_EL1", "AMAIR_EL12", "AMAIR_EL2", 0x8 },
    { "VBAR_EL1", "VBAR_EL12", "VBAR_EL2", 0x8800 },
    { "CONTEXTIDR_EL1", "CONTEXTIDR_EL12", "CONTEXTIDR_EL2", 0x99 },
    { "CNTKCTL_EL1", "CNTKCTL_EL12", "CNTHCTL_EL2", 0x3 },
    { "CNTP_CVAL_EL0", "CNTP_CVAL_EL02", "CNTHP_CVAL_EL2", 0xaaaa },
    { "CNTV_CVAL_EL0", "CNTV_CVAL_EL02", "CNTHV_CVAL_EL2", 0xbbbb },
};

static uint64_t raw(A64Cpu *cpu, const char *name) { return a64_sysreg_get(cpu, a64_sysreg_by_name(name)); }

static void test_vhe(void **state)
{
    TestMachine t;

    test_machine_init(&t);
    for (unsigned i = 0; i < ARRAY_LEN(vhe_rows); i++) {
        const VheRow *row = &vhe_rows[i];
        a64_reset(t.cpu);
        t.cpu->el2.hcr |= HCR_E2H;
        go(&t, 2, PAS_NONSECURE);
        uint64_t el1_before = raw(t.cpu, row->el1), v;
        assert_true(a64_msr(t.cpu, enc_of(row->el1), 0, row->value));
        if (raw(t.cpu, row->el2) != row->value || raw(t.cpu, row->el1) != el1_before) {
            fail_msg("%s at EL2 with E2H does not write %s alone", row->el1, row->el2);
        }
        assert_true(a64_mrs(t.cpu, enc_of(row->el1), 0, &v));
        assert_int_equal(v, row->value);
        assert_true(a64_msr(t.cpu, enc_of(row->el2), 0, 0));
        assert_true(a64_msr(t.cpu, enc_of(row->el12), 0, row->value));
        if (raw(t.cpu, row->el1) != row->value || raw(t.cpu, row->el2) != 0) {
            fail_msg("%s does not write %s alone", row->el12, row->el1);
        }
        t.cpu->el2.hcr &= ~HCR_E2H;
        assert_true(a64_mrs(t.cpu, enc_of(row->el1), 0, &v));
        assert_int_equal(v, row->value);
    }
    test_machine_free(&t);
}

/* RES1 and read-only bits stay; HCR_EL2 and SCR_EL3 take only what exists. */
static void test_masks(void **state)
{
    TestMachine t;

    test_machine_init(&t);
    go(&t, 3, PAS_SECURE);
    a64_msr(t.cpu, enc_of("SCTLR_EL1"), 0, 0);
    assert_int_equal(t.cpu->el1.sctlr, 0x30500980);
    a64_msr(t.cpu, enc_of("HCR_EL2"), 0, ~0ull);
    assert_int_equal(t.cpu->el2.hcr & (0xffull << 56 | 7ull << 42), 0); /* no ATA, NV ... */
    a64_msr(t.cpu, enc_of("HCR_EL2"), 0, 0);
    assert_int_equal(t.cpu->el2.hcr, HCR_RW);
    a64_msr(t.cpu, enc_of("SCR_EL3"), 0, 0);
    assert_int_equal(t.cpu->el3.scr, 0x430);
    a64_msr(t.cpu, enc_of("VBAR_EL3"), 0, 0x12345);
    assert_int_equal(t.cpu->el3.vbar, 0x12000);
    test_machine_free(&t);
}

static void test_random_numbers(void **state)
{
    TestMachine t;
    uint64_t    a, b;

    test_machine_init(&t);
    t.cpu->nzcv = 0xf;
    assert_true(a64_mrs(t.cpu, enc_of("RNDR"), 0, &a));
    assert_true(a64_mrs(t.cpu, enc_of("RNDRRS"), 0, &b));
    assert_int_not_equal(a, b);
    assert_int_equal(t.cpu->nzcv, 0);
    test_machine_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table), cmocka_unit_test(test_id),      cmocka_unit_test(test_reset),
        cmocka_unit_test(test_traps), cmocka_unit_test(test_unknown), cmocka_unit_test(test_vhe),
        cmocka_unit_test(test_masks), cmocka_unit_test(test_random_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
