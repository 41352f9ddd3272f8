/*
 * System registers of the GIC CPU interface: which view EL1 gets, which accesses trap where, and that each
 * register reaches its function. The rows are found in the linker section, as the CPU's table finds them;
 * the CPU is only state.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "cpu/a64/sysreg.h"
#include "gic_box.h"

extern const A64Sysreg *const __start_bailey_a64_sysregs[];
extern const A64Sysreg *const __stop_bailey_a64_sysregs[];

static A64Cpu cpu;
static Gic   *gic;

void a64_set_line(A64Cpu *c, A64Line line, bool level)
{
    c->line[line] = level;
}

static const A64Sysreg *find(const char *name)
{
    for (const A64Sysreg *const *r = __start_bailey_a64_sysregs; r < __stop_bailey_a64_sysregs; r++) {
        if (strcmp((*r)->name, name) == 0) {
            return *r;
        }
    }
    fail_msg("no register %s", name);
    return NULL;
}

static uint64_t get(const char *name)
{
    const A64Sysreg *r = find(name);

    return r->read != NULL ? r->read(&cpu, r) : r->reset;
}

static void set(const char *name, uint64_t value)
{
    const A64Sysreg *r = find(name);

    assert_non_null(r->write);
    r->write(&cpu, r, value);
}

static int setup(void **state)
{
    GicConfig config = { .n_cpus = 1, .n_spis = 64 };

    memset(&cpu, 0, sizeof(cpu));
    cpu.security = PAS_NONSECURE;
    cpu.el = 1;
    gic = gicv3_new(&config);
    gicv3_connect(gic, 0, &cpu);
    return 0;
}

static int teardown(void **state)
{
    gicv3_free(gic);
    return 0;
}

/* ---- traps ---- */

#define TC    ICH_HCR_TC
#define TALL0 ICH_HCR_TALL0
#define TALL1 ICH_HCR_TALL1
#define TDIR  ICH_HCR_TDIR
#define FMO   BIT(3)
#define IMO   BIT(4)
#define SIRQ  BIT(1)
#define SFIQ  BIT(2)
#define EEL2  BIT(18)
#define FGTEN BIT(27)

typedef struct TrapRow {
    const char *reg;
    uint8_t     el;
    Pas         security;
    uint64_t    ich, hcr, scr;
    A64Access   want;
} TrapRow;

#define NS PAS_NONSECURE

static const TrapRow trap_rows[] = {
    { "ICC_IAR1_EL1", 1, NS, 0, 0, 0, A64_OK },
    { "ICC_IAR1_EL1", 1, NS, TALL0 | TC | TDIR, 0, SFIQ, A64_OK },
    { "ICC_IAR1_EL1", 1, NS, TALL1, 0, 0, A64_TRAP_EL2 },
    { "ICC_IAR1_EL1", 1, NS, TALL1, IMO, SIRQ, A64_TRAP_EL2 },
    { "ICC_IAR1_EL1", 1, NS, 0, 0, SIRQ, A64_TRAP_EL3 },
    { "ICC_IAR1_EL1", 1, NS, 0, IMO, SIRQ, A64_OK }, /* the virtual one */
    { "ICC_IAR1_EL1", 1, NS, 0, FMO, SIRQ, A64_TRAP_EL3 },
    { "ICC_IAR1_EL1", 2, NS, TALL1, IMO, 0, A64_OK },
    { "ICC_IAR1_EL1", 2, NS, 0, IMO, SIRQ, A64_TRAP_EL3 },
    { "ICC_IAR1_EL1", 3, PAS_ROOT, TALL1, IMO, SIRQ, A64_OK },
    { "ICC_IAR1_EL1", 1, PAS_REALM, TALL1, 0, 0, A64_TRAP_EL2 },
    { "ICC_IAR1_EL1", 1, PAS_SECURE, TALL1, IMO, 0, A64_OK },
    { "ICC_IAR1_EL1", 1, PAS_SECURE, TALL1, IMO, EEL2, A64_TRAP_EL2 },
    { "ICC_EOIR1_EL1", 1, NS, TALL1, 0, 0, A64_TRAP_EL2 },
    { "ICC_HPPIR1_EL1", 1, NS, TALL1, 0, 0, A64_TRAP_EL2 },
    { "ICC_BPR1_EL1", 1, NS, TALL1, 0, 0, A64_TRAP_EL2 },
    { "ICC_AP1R0_EL1", 1, NS, TALL1, 0, 0, A64_TRAP_EL2 },
    { "ICC_IGRPEN1_EL1", 1, NS, TALL1, 0, 0, A64_TRAP_EL2 },
    { "ICC_IAR0_EL1", 1, NS, TALL1, 0, SIRQ, A64_OK },
    { "ICC_IAR0_EL1", 1, NS, TALL0, 0, 0, A64_TRAP_EL2 },
    { "ICC_IAR0_EL1", 1, NS, 0, 0, SFIQ, A64_TRAP_EL3 },
    { "ICC_EOIR0_EL1", 1, NS, TALL0, 0, 0, A64_TRAP_EL2 },
    { "ICC_HPPIR0_EL1", 1, NS, TALL0, 0, 0, A64_TRAP_EL2 },
    { "ICC_BPR0_EL1", 1, NS, TALL0, 0, 0, A64_TRAP_EL2 },
    { "ICC_AP0R0_EL1", 1, NS, TALL0, 0, 0, A64_TRAP_EL2 },
    { "ICC_IGRPEN0_EL1", 1, NS, TALL0, 0, 0, A64_TRAP_EL2 },
    { "ICC_PMR_EL1", 1, NS, TALL0 | TALL1, 0, SIRQ, A64_OK },
    { "ICC_PMR_EL1", 1, NS, TC, 0, 0, A64_TRAP_EL2 },
    { "ICC_PMR_EL1", 1, NS, 0, 0, SIRQ | SFIQ, A64_TRAP_EL3 },
    { "ICC_PMR_EL1", 1, NS, 0, FMO, SIRQ | SFIQ, A64_OK },
    { "ICC_RPR_EL1", 1, NS, TC, 0, 0, A64_TRAP_EL2 },
    { "ICC_CTLR_EL1", 1, NS, TC, 0, 0, A64_TRAP_EL2 },
    { "ICC_DIR_EL1", 1, NS, TDIR, 0, 0, A64_TRAP_EL2 },
    { "ICC_DIR_EL1", 1, NS, TC, 0, 0, A64_TRAP_EL2 },
    { "ICC_DIR_EL1", 1, NS, 0, IMO, 0, A64_OK },
    { "ICC_PMR_EL1", 1, NS, TDIR, 0, 0, A64_OK },
    { "ICC_SGI1R_EL1", 1, NS, 0, 0, 0, A64_OK },
    { "ICC_SGI1R_EL1", 1, NS, 0, IMO, 0, A64_TRAP_EL2 },
    { "ICC_SGI1R_EL1", 1, NS, 0, FMO, 0, A64_TRAP_EL2 },
    { "ICC_SGI1R_EL1", 1, NS, TC, 0, 0, A64_TRAP_EL2 },
    { "ICC_SGI1R_EL1", 2, NS, TC, IMO, 0, A64_OK },
    { "ICC_SGI1R_EL1", 2, NS, 0, 0, SIRQ | SFIQ, A64_TRAP_EL3 },
    { "ICC_SGI0R_EL1", 1, NS, 0, IMO, 0, A64_TRAP_EL2 },
    { "ICC_ASGI1R_EL1", 1, NS, 0, IMO, 0, A64_TRAP_EL2 },
    { "ICC_SRE_EL1", 1, NS, TC | TALL0 | TALL1, IMO, SIRQ | SFIQ, A64_OK },
    { "ICH_HCR_EL2", 2, NS, 0, 0, SIRQ | SFIQ, A64_OK },
};

static void test_traps(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(trap_rows); i++) {
        const TrapRow   *row = &trap_rows[i];
        const A64Sysreg *r = find(row->reg);

        cpu.el = row->el;
        cpu.security = row->security;
        cpu.el2.hcr = row->hcr;
        cpu.el3.scr = row->scr;
        gicv3_cpu(gic, 0)->virt.hcr = row->ich;
        for (int write = 0; write < 2; write++) {
            A64Access got = r->access(&cpu, r, write);

            if (got != row->want) {
                fail_msg("row %zu, %s: %d, not %d", i + 1, row->reg, got, row->want);
            }
        }
    }
}

static void test_fine_grained_traps(void **state)
{
    static const char *const regs[] = { "ICC_IGRPEN0_EL1", "ICC_IGRPEN1_EL1" };

    for (unsigned i = 0; i < 2; i++) {
        const A64Sysreg *r = find(regs[i]);

        cpu.el = 1;
        cpu.el2.hfgrtr = BIT(36);
        cpu.el2.hfgwtr = 0;
        cpu.el3.scr = 0;
        assert_int_equal(r->access(&cpu, r, false), A64_OK);
        cpu.el3.scr = FGTEN;
        assert_int_equal(r->access(&cpu, r, false), A64_TRAP_EL2);
        assert_int_equal(r->access(&cpu, r, true), A64_OK);
        cpu.el2.hfgwtr = BIT(36);
        assert_int_equal(r->access(&cpu, r, true), A64_TRAP_EL2);
        cpu.el = 2;
        assert_int_equal(r->access(&cpu, r, true), A64_OK);
    }
}

/* A CPU without a GIC has none of the registers; every row says who may use it. */
static void test_table(void **state)
{
    unsigned n = 0;

    cpu.gic = NULL;
    for (const A64Sysreg *const *p = __start_bailey_a64_sysregs; p < __stop_bailey_a64_sysregs; p++, n++) {
        const A64Sysreg *r = *p;

        assert_non_null(r->access);
        assert_int_equal(r->access(&cpu, r, false), A64_UNDEF);
        assert_int_equal(r->offset, -1);
        assert_true(r->min_el != 9 || r->write != NULL);
        assert_true((r->effects & SYSREG_IRQ) != 0);
        for (const A64Sysreg *const *q = __start_bailey_a64_sysregs; q < p; q++) {
            assert_int_not_equal((*q)->enc, r->enc);
        }
    }
    assert_int_equal(n, 24 + 8 + 16);
    assert_int_equal(find("ICC_IAR1_EL1")->enc, A64_SYSREG_ENC(3, 0, 12, 12, 0));
    assert_int_equal(find("ICC_IAR1_EL1")->min_el_write, 9);
    assert_int_equal(find("ICC_EOIR1_EL1")->min_el, 9);
    assert_int_equal(find("ICH_LR9_EL2")->enc, A64_SYSREG_ENC(3, 4, 12, 13, 1));
    assert_int_equal(find("ICH_LR9_EL2")->min_el, 2);
}

/* ---- functions ---- */

static void wmmio(const MmioOps *ops, uint64_t off, uint64_t value)
{
    assert_int_equal(ops->write(gic, off, 4, (MemAttrs){ 0 }, value), MEM_OK);
}

static void test_physical(void **state)
{
    wmmio(&gicv3_dist_ops, 0, 3);
    wmmio(&gicv3_redist_ops, 0x14, 0);
    wmmio(&gicv3_redist_ops, 0x10080, ~8u); /* SGI 3 is Group 0 */
    wmmio(&gicv3_redist_ops, 0x10100, 0xff);
    assert_int_equal(get("ICC_SRE_EL1"), 7);
    assert_int_equal(get("ICC_SRE_EL2"), 15);
    assert_int_equal(get("ICC_CTLR_EL1"), 0x8400);
    set("ICC_PMR_EL1", 0xff);
    assert_int_equal(get("ICC_PMR_EL1"), 0xf8);
    set("ICC_IGRPEN1_EL1", 1);
    set("ICC_IGRPEN0_EL1", 1);
    assert_int_equal(get("ICC_IGRPEN1_EL1"), 1);
    assert_int_equal(get("ICC_IGRPEN1_EL3"), 1);
    set("ICC_SGI1R_EL1", 5 << 24 | 1);
    assert_true(cpu.line[A64_LINE_IRQ]);
    assert_int_equal(get("ICC_HPPIR1_EL1"), 5);
    assert_int_equal(get("ICC_IAR1_EL1"), 5);
    assert_int_equal(get("ICC_RPR_EL1"), 0);
    assert_int_equal(get("ICC_AP1R0_EL1"), 1);
    set("ICC_CTLR_EL1", 2);
    assert_int_equal(get("ICC_CTLR_EL3"), 0x8414);
    set("ICC_EOIR1_EL1", 5);
    assert_int_equal(gicv3_cpu(gic, 0)->ppi.active, 1 << 5);
    set("ICC_DIR_EL1", 5);
    assert_int_equal(gicv3_cpu(gic, 0)->ppi.active, 0);
    set("ICC_SGI0R_EL1", 3 << 24 | 1);
    assert_true(cpu.line[A64_LINE_FIQ]);
    assert_int_equal(get("ICC_IAR0_EL1"), 3);
    set("ICC_EOIR0_EL1", 3);
    set("ICC_BPR0_EL1", 5);
    assert_int_equal(get("ICC_BPR0_EL1"), 5);
    assert_int_equal(get("ICC_BPR1_EL1"), 3);
    set("ICC_CTLR_EL3", BIT(1));
    assert_int_equal(get("ICC_CTLR_EL1"), 0x8401);
    assert_int_equal(get("ICC_BPR1_EL1"), 6);
    set("ICC_AP0R0_EL1", 0x100);
    assert_int_equal(get("ICC_RPR_EL1"), 0x40);
}

/* At EL1 with IMO and FMO the same names are the virtual interface; the physical one does not move. */
static void test_virtual(void **state)
{
    GicCpu *c = gicv3_cpu(gic, 0);

    cpu.el = 2;
    set("ICH_HCR_EL2", 1);
    set("ICH_LR9_EL2", BIT(62) | BIT(60) | 0x80ull << 48 | 40);
    set("ICH_LR0_EL2", BIT(62) | 0x90ull << 48 | 41);
    assert_int_equal(get("ICH_LR9_EL2"), BIT(62) | BIT(60) | 0x80ull << 48 | 40);
    assert_int_equal(get("ICH_ELRSR_EL2"), 0xfdfe);
    assert_int_equal(get("ICH_VTR_EL2"), 0x9038000f);
    cpu.el = 1;
    cpu.el2.hcr = IMO | FMO;
    set("ICC_PMR_EL1", 0xf0);
    set("ICC_IGRPEN1_EL1", 1);
    set("ICC_IGRPEN0_EL1", 1);
    assert_true(cpu.line[A64_LINE_VIRQ]);
    assert_int_equal(get("ICC_HPPIR1_EL1"), 40);
    assert_int_equal(get("ICC_IAR1_EL1"), 40);
    assert_int_equal(get("ICC_RPR_EL1"), 0x80);
    assert_int_equal(get("ICC_AP1R0_EL1"), 1 << 16);
    set("ICC_CTLR_EL1", 2);
    assert_int_equal(get("ICC_CTLR_EL1"), 0x8402);
    set("ICC_EOIR1_EL1", 40);
    set("ICC_DIR_EL1", 40);
    assert_true(cpu.line[A64_LINE_VFIQ]);
    assert_int_equal(get("ICC_IAR0_EL1"), 41);
    set("ICC_EOIR0_EL1", 41);
    set("ICC_BPR1_EL1", 6);
    assert_int_equal(get("ICC_BPR1_EL1"), 6);
    set("ICC_AP0R0_EL1", 0x10);
    assert_int_equal(c->pmr, 0);
    assert_int_equal(c->ctlr, 0);
    assert_int_equal(c->group_enable, 0);
    assert_int_equal(c->bpr[1], 3);
    cpu.el = 2;
    assert_int_equal(get("ICC_PMR_EL1"), 0);
    assert_int_equal(get("ICH_AP0R0_EL2"), 0x10);
    assert_int_equal(get("ICH_AP1R0_EL2"), 0);
    assert_int_equal(get("ICH_VMCR_EL2"), 0xf058020b);
    assert_int_equal(get("ICH_LR9_EL2"), BIT(60) | 0x80ull << 48 | 40);
    set("ICH_LR9_EL2", BIT(41));
    assert_int_equal(get("ICH_EISR_EL2"), 0x200);
    assert_int_equal(get("ICH_MISR_EL2"), 1);
    set("ICH_VMCR_EL2", 0);
    set("ICH_AP0R0_EL2", 0);
    cpu.el = 1;
    assert_int_equal(get("ICC_IGRPEN1_EL1"), 0);
    assert_int_equal(get("ICC_RPR_EL1"), 0xff);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_traps, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fine_grained_traps, setup, teardown),
        cmocka_unit_test_setup_teardown(test_table, setup, teardown),
        cmocka_unit_test_setup_teardown(test_physical, setup, teardown),
        cmocka_unit_test_setup_teardown(test_virtual, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
