/*
 * The SMMUv3: register protocol, configuration, translation, queues, invalidation, the Realm interface, granule
 * protection. Expectations are of IHI 0070; the heading is named where a row needs one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bits.h"
#include "bytes.h"
#include "smmu_rig.h"

enum {
    C_BAD_STREAMID = 2, F_STE_FETCH = 3, C_BAD_STE = 4, F_CD_FETCH = 9, C_BAD_CD = 0x0a,
    F_WALK_EABT = 0x0b, F_TRANSLATION = 0x10, F_ADDR_SIZE = 0x11, F_ACCESS = 0x12, F_PERMISSION = 0x13,
};
/* Word 1 of an event. */
#define E_GPCF     (1ull << 16)
#define E_READ     (1ull << 35)
#define E_S2       (1ull << 39)
#define E_CD       (0ull << 40)
#define E_TTD      (1ull << 40)
#define E_IN       (2ull << 40)
#define E_TT_READ  (1ull << 44)

#define SID 5u

static int setup(void **state)
{
    *state = rig_new();
    return 0;
}

static int teardown(void **state)
{
    rig_free(*state);
    return 0;
}

/* ---- events ---- */

static unsigned n_queued(SmmuRig *r, bool realm)
{
    return (rig_reg(r, realm, EVENTQ_PROD, 4) - rig_reg(r, realm, EVENTQ_CONS, 4)) & mask64(RIG_QUEUE_LOG2 + 1);
}

/* What was recorded in any test. */
static bool recorded[256];

/* Takes the oldest event. */
static void take_event(SmmuRig *r, bool realm, uint64_t w[4])
{
    uint64_t cons = rig_reg(r, realm, EVENTQ_CONS, 4);
    uint64_t at = (realm ? RIG_R_EVTQ : RIG_EVTQ) + (cons & mask64(RIG_QUEUE_LOG2)) * 32;

    for (unsigned i = 0; i < 4; i++) {
        w[i] = rig_get(r, at + i * 8);
    }
    rig_set(r, realm, EVENTQ_CONS, 4, (cons + 1) & mask64(RIG_QUEUE_LOG2 + 1));
    recorded[w[0] & 0xff] = true;
}

static void expect_event(SmmuRig *r, bool realm, const char *row, uint64_t w0, uint64_t w1, uint64_t w2, uint64_t w3)
{
    uint64_t w[4], want[4] = { w0, w1, w2, w3 };

    if (n_queued(r, realm) != 1) {
        fail_msg("%s: %u events", row, n_queued(r, realm));
    }
    take_event(r, realm, w);
    for (unsigned i = 0; i < 4; i++) {
        if (w[i] != want[i]) {
            fail_msg("%s: word %u is %#llx, not %#llx", row, i, (unsigned long long)w[i], (unsigned long long)want[i]);
        }
    }
}

static void expect_none(SmmuRig *r, bool realm, const char *row)
{
    if (n_queued(r, realm) != 0) {
        fail_msg("%s: an event", row);
    }
}

/* ---- registers ---- */

typedef struct RegRow {
    const char *name;
    bool        off_first; /* with CR0 and IRQ_CTRL zero */
    unsigned    write_off, size;
    uint64_t    value;
    unsigned    read_off;
    uint64_t    expect;
} RegRow;

static const RegRow reg_rows[] = {
    { "CR0 is acknowledged", false, CR0, 4, 0xd, CR0ACK, 0xd },
    { "CR0 without PRI and ATS", false, CR0, 4, 0x1f, CR0ACK, 0xd },
    { "IRQ_CTRL is acknowledged", false, IRQ_CTRL, 4, 0x4, IRQ_CTRLACK, 0x4 },
    { "IRQ_CTRL without PRI", false, IRQ_CTRL, 4, 0x7, IRQ_CTRLACK, 0x5 },
    { "GBPA needs UPDATE", false, GBPA, 4, 1u << 20, GBPA, 0 },
    { "GBPA takes ABORT, UPDATE clears itself", false, GBPA, 4, 1u << 31 | 1u << 20, GBPA, 1u << 20 },
    { "GERRORN of no error", false, GERRORN, 4, 0xff, GERRORN, 0 },
    { "CR1 is fixed while tables and queues are on", false, CR1, 4, ~0u, CR1, 0 },
    { "CR2 is fixed while on", false, CR2, 4, 0, CR2, 2 },
    { "STRTAB_BASE_CFG is fixed while on", false, STRTAB_BASE_CFG, 4, 0, STRTAB_BASE_CFG, 6 },
    { "STRTAB_BASE is fixed while on", false, STRTAB_BASE, 8, 0x40100000, STRTAB_BASE, RIG_STRTAB },
    { "CMDQ_BASE is fixed while on", false, CMDQ_BASE, 8, 0x40100003, CMDQ_BASE, RIG_CMDQ | RIG_QUEUE_LOG2 },
    { "CMDQ_CONS is fixed while on", false, CMDQ_CONS, 4, 3, CMDQ_CONS, 0 },
    { "EVENTQ_BASE is fixed while on", false, EVENTQ_BASE, 8, 0x40100003, EVENTQ_BASE, RIG_EVTQ | RIG_QUEUE_LOG2 },
    { "EVENTQ_PROD is fixed while on", false, EVENTQ_PROD, 4, 3, EVENTQ_PROD, 0 },
    { "message is fixed while enabled", false, EVENTQ_IRQ_CFG0, 8, RIG_DATA, EVENTQ_IRQ_CFG0, 0 },
    { "GERROR message is fixed while enabled", false, GERROR_IRQ_CFG0, 8, RIG_DATA, GERROR_IRQ_CFG0, 0 },
    { "message data is fixed while enabled", false, EVENTQ_IRQ_CFG1, 4, 1, EVENTQ_IRQ_CFG1, 0 },
    { "GERROR message data is fixed while enabled", false, GERROR_IRQ_CFG1, 4, 1, GERROR_IRQ_CFG1, 0 },
    { "message attributes are fixed while enabled", false, EVENTQ_IRQ_CFG2, 4, 1, EVENTQ_IRQ_CFG2, 0 },
    { "GERROR message attributes are fixed while enabled", false, GERROR_IRQ_CFG2, 4, 1, GERROR_IRQ_CFG2, 0 },
    { "STRTAB_BASE high half", true, STRTAB_BASE + 4, 4, 0x12, STRTAB_BASE + 4, 0x12 },
    { "CMDQ_BASE keeps a smaller size", true, CMDQ_BASE, 8, 0x40100007, CMDQ_BASE, 0x40100007 },
    { "byte writes do nothing", true, CR2, 1, 1, CR2, 2 },
    { "nothing at the end of page 1", true, 0x1fff8, 8, ~0ull, 0x1fff8, 0 },
};

static void test_registers(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(reg_rows); i++) {
        const RegRow *row = &reg_rows[i];
        SmmuRig      *r = rig_new();

        if (row->off_first) {
            rig_set(r, false, IRQ_CTRL, 4, 0);
            rig_set(r, false, CR0, 4, 0);
        }
        rig_set(r, false, row->write_off, row->size, row->value);
        uint64_t v = rig_reg(r, false, row->read_off, row->size < 4 ? 4 : row->size);
        if (v != row->expect) {
            fail_msg("%s: %#llx, not %#llx", row->name, (unsigned long long)v, (unsigned long long)row->expect);
        }
        rig_free(r);
    }
}

typedef struct PageRow {
    const char *name;
    enum { NS_PAGE, REALM_PAGE, ROOT_PAGE } page;
    unsigned    off, size;
    uint64_t    expect; /* what it reads when all ones were written while everything is off */
} PageRow;

/* "Register formats". Fields of features that are not advertised are RES0. */
static const PageRow page_rows[] = {
    { "IDR0", NS_PAGE, IDR0, 4, 0x4d44301b },
    { "IDR1", NS_PAGE, IDR1, 4, 16 | 10 << 16 | 10 << 21 }, /* 16 stream ID bits, queues of 1024 */
    { "IDR2", NS_PAGE, IDR2, 4, 0 },
    { "IDR3", NS_PAGE, IDR3, 4, 1u << 10 },                 /* range invalidation */
    { "IDR4", NS_PAGE, IDR4, 4, 0 },
    { "IDR5", NS_PAGE, IDR5, 4, 0x75 },                     /* 48 bits, three granules */
    { "IIDR", NS_PAGE, IIDR, 4, 0 },
    { "AIDR", NS_PAGE, AIDR, 4, 3 },                        /* SMMUv3.3 */
    { "CR0", NS_PAGE, CR0, 4, 0xd },
    { "CR0ACK", NS_PAGE, CR0ACK, 4, 0 },
    { "CR1", NS_PAGE, CR1, 4, 0xfff },
    { "CR2", NS_PAGE, CR2, 4, 2 },                          /* no BTM, Hyp, ATSRECERR */
    { "GBPA", NS_PAGE, GBPA, 4, 0x1f3f1f },
    { "IRQ_CTRL", NS_PAGE, IRQ_CTRL, 4, 5 },
    { "IRQ_CTRLACK", NS_PAGE, IRQ_CTRLACK, 4, 0 },
    { "GERROR", NS_PAGE, GERROR, 4, 0 },
    { "GERRORN", NS_PAGE, GERRORN, 4, 0 },
    { "GERROR_IRQ_CFG0", NS_PAGE, GERROR_IRQ_CFG0, 8, 0x000ffffffffffffc },
    { "GERROR_IRQ_CFG1", NS_PAGE, GERROR_IRQ_CFG1, 4, 0xffffffff },
    { "GERROR_IRQ_CFG2", NS_PAGE, GERROR_IRQ_CFG2, 4, 0x3f },
    { "STRTAB_BASE", NS_PAGE, STRTAB_BASE, 8, 0x400fffffffffffc0 },
    { "STRTAB_BASE_CFG", NS_PAGE, STRTAB_BASE_CFG, 4, 0x307ff },
    { "CMDQ_BASE", NS_PAGE, CMDQ_BASE, 8, 0x400fffffffffffea }, /* no larger than IDR1 says */
    { "CMDQ_PROD", NS_PAGE, CMDQ_PROD, 4, 0xfffff },
    { "CMDQ_CONS", NS_PAGE, CMDQ_CONS, 4, 0x7f0fffff },
    { "EVENTQ_BASE", NS_PAGE, EVENTQ_BASE, 8, 0x400fffffffffffea },
    { "EVENTQ_IRQ_CFG0", NS_PAGE, EVENTQ_IRQ_CFG0, 8, 0x000ffffffffffffc },
    { "EVENTQ_IRQ_CFG1", NS_PAGE, EVENTQ_IRQ_CFG1, 4, 0xffffffff },
    { "EVENTQ_IRQ_CFG2", NS_PAGE, EVENTQ_IRQ_CFG2, 4, 0x3f },
    { "EVENTQ_PROD", NS_PAGE, EVENTQ_PROD, 4, 0x800fffff },
    { "EVENTQ_CONS", NS_PAGE, EVENTQ_CONS, 4, 0x800fffff },

    { "R_IDR0", REALM_PAGE, IDR0, 4, 1 << 24 | 1 << 13 },   /* no stalls; MSIs */
    { "R_IDR1", REALM_PAGE, IDR1, 4, 1u << 31 },            /* RME_DA_IMPL */
    { "R_IDR2", REALM_PAGE, IDR2, 4, 0 },
    { "R_IDR3", REALM_PAGE, IDR3, 4, 0 },                   /* no MEC, no DPT */
    { "R_IDR4", REALM_PAGE, IDR4, 4, 0 },
    { "R_AIDR", REALM_PAGE, AIDR, 4, 0 },
    { "R_CR0", REALM_PAGE, CR0, 4, 0xd },
    { "R_CR0ACK", REALM_PAGE, CR0ACK, 4, 0 },
    { "R_CR1", REALM_PAGE, CR1, 4, 0xfff },
    { "R_CR2", REALM_PAGE, CR2, 4, 3 },                     /* E2H is always there */
    { "R_GBPA", REALM_PAGE, GBPA, 4, 1 << 20 },             /* ABORT, for good */
    { "R_IRQ_CTRL", REALM_PAGE, IRQ_CTRL, 4, 5 },
    { "R_IRQ_CTRLACK", REALM_PAGE, IRQ_CTRLACK, 4, 0 },
    { "R_GERROR", REALM_PAGE, GERROR, 4, 0 },
    { "R_GERRORN", REALM_PAGE, GERRORN, 4, 0 },
    { "R_GERROR_IRQ_CFG0", REALM_PAGE, GERROR_IRQ_CFG0, 8, 0x800ffffffffffffc }, /* with NS */
    { "R_GERROR_IRQ_CFG1", REALM_PAGE, GERROR_IRQ_CFG1, 4, 0xffffffff },
    { "R_GERROR_IRQ_CFG2", REALM_PAGE, GERROR_IRQ_CFG2, 4, 0x3f },
    { "R_STRTAB_BASE", REALM_PAGE, STRTAB_BASE, 8, 0x400fffffffffffc0 },
    { "R_STRTAB_BASE_CFG", REALM_PAGE, STRTAB_BASE_CFG, 4, 0x307ff },
    { "R_CMDQ_BASE", REALM_PAGE, CMDQ_BASE, 8, 0x400fffffffffffea },
    { "R_CMDQ_PROD", REALM_PAGE, CMDQ_PROD, 4, 0xfffff },
    { "R_CMDQ_CONS", REALM_PAGE, CMDQ_CONS, 4, 0x7f0fffff },
    { "R_EVENTQ_BASE", REALM_PAGE, EVENTQ_BASE, 8, 0x400fffffffffffea },
    { "R_EVENTQ_IRQ_CFG0", REALM_PAGE, EVENTQ_IRQ_CFG0, 8, 0x800ffffffffffffc },
    { "R_EVENTQ_IRQ_CFG1", REALM_PAGE, EVENTQ_IRQ_CFG1, 4, 0xffffffff },
    { "R_EVENTQ_IRQ_CFG2", REALM_PAGE, EVENTQ_IRQ_CFG2, 4, 0x3f },
    { "R_EVENTQ_PROD", REALM_PAGE, EVENTQ_PROD, 4, 0x800fffff },
    { "R_EVENTQ_CONS", REALM_PAGE, EVENTQ_CONS, 4, 0x800fffff },

    /* ROOT_IMPL, BGPTM, REALM_IMPL; BA_REALM in 64 KiB from 0x20000. */
    { "ROOT_IDR0", ROOT_PAGE, ROOT_IDR0, 4, 1 | 2 | 8 | (RIG_SMMU_REALM - RIG_SMMU - 0x20000ull) >> 16 << 22 },
    { "ROOT_CR0", ROOT_PAGE, ROOT_CR0, 4, 3 },
    { "ROOT_CR0ACK", ROOT_PAGE, ROOT_CR0ACK, 4, 3 },
    { "ROOT_GPF_FAR", ROOT_PAGE, ROOT_GPF_FAR, 8, 0 },
};

static uint64_t page_get(SmmuRig *r, const PageRow *row, unsigned off, unsigned size)
{
    return row->page == ROOT_PAGE ? rig_root(r, off, size) : rig_reg(r, row->page == REALM_PAGE, off, size);
}

static void page_set(SmmuRig *r, const PageRow *row, uint64_t v)
{
    if (row->page == ROOT_PAGE) {
        rig_set_root(r, row->off, row->size, v);
    } else {
        rig_set(r, row->page == REALM_PAGE, row->off, row->size, v);
    }
}

/* Everything off; of queues and messages nothing is left. */
static SmmuRig *idle_rig(void)
{
    static const unsigned to_clear[] = { IRQ_CTRL, CR0, CR2, STRTAB_BASE_CFG };
    SmmuRig              *r = rig_new();

    for (unsigned realm = 0; realm < 2; realm++) {
        for (size_t i = 0; i < ARRAY_LEN(to_clear); i++) {
            rig_set(r, realm, to_clear[i], 4, 0);
        }
    }
    return r;
}

/* All that software can set, and nothing else; halves of 64 bits are as good as the whole. */
static void test_pages(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(page_rows); i++) {
        const PageRow *row = &page_rows[i];
        SmmuRig       *r = idle_rig();

        page_set(r, row, ~0ull);
        uint64_t v = page_get(r, row, row->off, row->size), low = page_get(r, row, row->off, 4);
        if (v != row->expect || low != (uint32_t)row->expect) {
            fail_msg("%s: %#llx, not %#llx", row->name, (unsigned long long)v, (unsigned long long)row->expect);
        }
        if (row->size == 8 && page_get(r, row, row->off + 4, 4) != row->expect >> 32) {
            fail_msg("%s: high half", row->name);
        }
        rig_free(r);
    }
}

/* Places between registers, and registers that one page has and the other has not. "Register overview" */
static void test_reserved_places(void **state)
{
    static const unsigned places[] = { IDR5, IIDR, 0x30, 0xa8, 0xc0, 0x8000, 0x10000, 0x1fffc };
    SmmuRig              *r = *state;

    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        rig_set(r, true, places[i], 4, ~0u);
        assert_int_equal(rig_reg(r, true, places[i], 4), 0);
    }
    assert_int_equal(rig_reg(r, false, IDR0 + 2, 4), 0); /* not aligned */
    assert_int_equal(rig_reg(r, false, IDR0, 2), 0);
    assert_int_equal(rig_reg(r, true, IDR0 + 1, 1), 0);
    assert_int_equal(rig_root(r, ROOT_CR0 + 8, 8), 0);
}

/* CR1: the attributes of tables can change with the SMMU off, those of queues with the queues off. */
static void test_cr1(void **state)
{
    static const struct {
        uint32_t cr0, expect;
    } rows[] = { { 0xd, 0 }, { 0x1, 0x03f }, { 0x4, 0xfc0 }, { 0x8, 0xfc0 }, { 0xc, 0xfc0 }, { 0, 0xfff } };
    SmmuRig *r = *state;

    for (unsigned realm = 0; realm < 2; realm++) {
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
            rig_set(r, realm, CR0, 4, 0);
            rig_set(r, realm, CR1, 4, 0);
            rig_set(r, realm, CR0, 4, rows[i].cr0);
            rig_set(r, realm, CR1, 4, ~0u);
            assert_int_equal(rig_reg(r, realm, CR1, 4), rows[i].expect);
        }
    }
}

/* GBPA decides while the SMMU is off; the Realm interface only ever aborts. */
static void test_disabled(void **state)
{
    SmmuRig  *r = *state;
    DmaTarget t;

    rig_set(r, false, CR0, 4, 0xc);
    rig_set(r, true, CR0, 4, 0xc);
    assert_int_equal(rig_dma(r, false, SID, 0x40401234, true, &t), DMA_OK);
    assert_int_equal(t.pa, 0x40401234);
    assert_int_equal(t.len, 0xdcc);
    assert_int_equal(t.pas, PAS_NONSECURE);
    assert_int_equal(rig_dma(r, false, SID, 1ull << 48, false, &t), DMA_ABORT);
    assert_int_equal(rig_dma(r, true, SID, 0x40401234, true, &t), DMA_ABORT);
    rig_set(r, true, GBPA, 4, 1u << 31);
    assert_int_equal(rig_dma(r, true, SID, 0x40401234, true, &t), DMA_ABORT);
    rig_set(r, false, GBPA, 4, 1u << 31 | 1u << 20);
    assert_int_equal(rig_dma(r, false, SID, 0x40401234, true, &t), DMA_ABORT);
    expect_none(r, false, "disabled");
    assert_int_equal(rig_root(r, ROOT_GPF_FAR, 8), 0);
}

/* ---- stream table and context descriptor ---- */

#define VTCR48      (16ull | 2ull << 6 | 5ull << 16) /* level 0, 4 KiB, 48 bits */
#define STE2(vtcr, vmid) ((uint64_t)(vtcr) << 32 | (vmid) | S2_AA64 | S2_R)
#define CD0(asid) \
    (CD_V | CD_AA64 | CD_R | CD_A | CD_IPS48 | (uint64_t)(asid) << 48 | 16ull | 16ull << 16 | 2ull << 22)

static void put_cd(SmmuRig *r, uint64_t at, uint64_t w0, uint64_t ttb0, uint64_t ttb1)
{
    rig_put(r, at, w0);
    rig_put(r, at + 8, ttb0);
    rig_put(r, at + 16, ttb1);
}

/* A stage 1 stream that works: both halves 48 bits, 4 KiB granule; VA 0x1000 is RIG_DATA. */
static void good_stage1(SmmuRig *r)
{
    uint64_t ttb0 = rig_table(r, 4096), ttb1 = rig_table(r, 4096);

    rig_map(r, ttb0, 12, 0, 3, 0x1000, RIG_DATA | D_PAGE | S1_RW, 0);
    put_cd(r, RIG_CD, CD0(1), ttb0, ttb1);
    rig_ste(r, false, SID, RIG_CD | STE_S1 | STE_V, 0, 0, 0);
}

static void good_stage2(SmmuRig *r)
{
    uint64_t s2ttb = rig_table(r, 4096);

    rig_map(r, s2ttb, 12, 0, 3, 0x1000, RIG_DATA | D_PAGE | S2_RW, 0);
    rig_ste(r, false, SID, STE_S2 | STE_V, 0, STE2(VTCR48, 1), s2ttb);
}

/* Changes to the word at an address: clear, then set bits. */
typedef struct Change {
    uint64_t at, clear, set;
} Change;

#define STE_W(n) (RIG_STRTAB + SID * 64 + (n) * 8)
#define CD_W(n)  (RIG_CD + (n) * 8)

typedef struct ConfigRow {
    const char *name;
    bool        stage2;   /* start from the stage 2 stream, else from stage 1 */
    Change      change[2];
    unsigned    event;    /* 0: translates */
    uint64_t    fetch;    /* FetchAddr */
} ConfigRow;

static const ConfigRow config_rows[] = {
    { "stage 1 works", false, { { 0 } }, 0, 0 },
    { "stage 2 works", true, { { 0 } }, 0, 0 },
    { "STE.V", false, { { STE_W(0), STE_V, 0 } }, C_BAD_STE, 0 },
    { "S1STALLD", false, { { STE_W(1), 0, BIT(27) } }, C_BAD_STE, 0 },
    { "S1ContextPtr beyond 48 bits", false, { { STE_W(0), 0, BIT(50) } }, C_BAD_STE, 0 },
    { "S1ContextPtr at nothing", false, { { STE_W(0), 0, BIT(40) } }, F_CD_FETCH, BIT(40) | RIG_CD },
    { "STRW is ignored", false, { { STE_W(1), 0, 3ull << 30 } }, 0, 0 },
    { "EATS is ignored", false, { { STE_W(1), 0, 1ull << 28 } }, 0, 0 },
    /* Substreams are not offered (IDR1.SSIDSIZE): S1DSS does not disable the stream, no F_STREAM_DISABLED. */
    { "S1CDMax is ignored, with S1DSS 0", false, { { STE_W(0), 0, 5ull << 59 } }, 0, 0 },
    { "S1CDMax is ignored, with S1DSS 1", false, { { STE_W(0), 0, 5ull << 59 }, { STE_W(1), 0, 1 } }, 0, 0 },
    { "S1CDMax is ignored, with S1DSS 2", false, { { STE_W(0), 0, 5ull << 59 }, { STE_W(1), 0, 2 } }, 0, 0 },
    { "S2AA64 clear", true, { { STE_W(2), S2_AA64, 0 } }, C_BAD_STE, 0 },
    { "S2ENDI", true, { { STE_W(2), 0, BIT(52) } }, C_BAD_STE, 0 },
    { "S2HA", true, { { STE_W(2), 0, BIT(56) } }, C_BAD_STE, 0 },
    { "S2HD", true, { { STE_W(2), 0, BIT(55) } }, C_BAD_STE, 0 },
    { "S2S", true, { { STE_W(2), 0, BIT(57) } }, C_BAD_STE, 0 },
    { "S2TG reserved", true, { { STE_W(2), 0, 3ull << 46 } }, C_BAD_STE, 0 },
    { "S2T0SZ 15", true, { { STE_W(2), 63ull << 32, 15ull << 32 } }, C_BAD_STE, 0 },
    { "S2T0SZ 40", true, { { STE_W(2), 63ull << 32 | 3ull << 38, 40ull << 32 } }, C_BAD_STE, 0 },
    { "S2SL0 3", true, { { STE_W(2), 0, 3ull << 38 } }, C_BAD_STE, 0 },
    { "S2SL0 against S2T0SZ", true, { { STE_W(2), 3ull << 38, 1ull << 38 } }, C_BAD_STE, 0 },
    { "S2TTB beyond S2PS", true, { { STE_W(2), 7ull << 48, 0 }, { STE_W(3), 0, BIT(33) } }, C_BAD_STE, 0 },
    { "CD.V", false, { { CD_W(0), CD_V, 0 } }, C_BAD_CD, 0 },
    { "CD.AA64", false, { { CD_W(0), CD_AA64, 0 } }, C_BAD_CD, 0 },
    { "CD.A, TERM_MODEL", false, { { CD_W(0), CD_A, 0 } }, C_BAD_CD, 0 },
    { "CD.S", false, { { CD_W(0), 0, BIT(44) } }, C_BAD_CD, 0 },
    { "CD.HA", false, { { CD_W(0), 0, BIT(43) } }, C_BAD_CD, 0 },
    { "CD.HD", false, { { CD_W(0), 0, BIT(42) } }, C_BAD_CD, 0 },
    { "CD.ENDI", false, { { CD_W(0), 0, BIT(15) } }, C_BAD_CD, 0 },
    { "T0SZ 15", false, { { CD_W(0), 63, 15 } }, C_BAD_CD, 0 },
    { "T0SZ 40", false, { { CD_W(0), 63, 40 } }, C_BAD_CD, 0 },
    { "T1SZ 40", false, { { CD_W(0), 63 << 16, 40 << 16 } }, C_BAD_CD, 0 },
    { "T1SZ of a half that is off", false, { { CD_W(0), 63 << 16, CD_EPD1 } }, 0, 0 },
    { "TG0 reserved", false, { { CD_W(0), 0, 3 << 6 } }, C_BAD_CD, 0 },
    { "TG1 reserved", false, { { CD_W(0), 3 << 22, 0 } }, C_BAD_CD, 0 },
    { "TTB0 beyond IPS", false, { { CD_W(0), 7ull << 32, 0 }, { CD_W(1), 0, BIT(32) } }, C_BAD_CD, 0 },
    { "IPS reserved is 48 bits", false, { { CD_W(0), 0, 7ull << 32 } }, 0, 0 },
};

static void test_config(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(config_rows); i++) {
        const ConfigRow *row = &config_rows[i];
        SmmuRig         *r = rig_new();
        DmaTarget        t;

        (row->stage2 ? good_stage2 : good_stage1)(r);
        for (unsigned c = 0; c < 2; c++) {
            const Change *ch = &row->change[c];

            if (ch->at != 0) {
                rig_put(r, ch->at, (rig_get(r, ch->at) & ~ch->clear) | ch->set);
            }
        }
        DmaResult got = rig_dma(r, false, SID, 0x1234, true, &t);
        if (row->event == 0) {
            if (got != DMA_OK || t.pa != RIG_DATA + 0x234) {
                fail_msg("%s: %s, %#llx", row->name, dma_result_name(got), (unsigned long long)t.pa);
            }
            expect_none(r, false, row->name);
        } else {
            if (got != DMA_FAULT) {
                fail_msg("%s: %s", row->name, dma_result_name(got));
            }
            expect_event(r, false, row->name, row->event | (uint64_t)SID << 32, 0, 0, row->fetch);
            assert_int_equal(smmu_n_events(r->smmu, PAS_NONSECURE), 1);
        }
        rig_free(r);
    }
}

/* Config 0 and the reserved 1 to 3 abort without a word; bypass passes; addresses beyond 48 bits do not. */
static void test_abort_and_bypass(void **state)
{
    SmmuRig  *r = *state;
    DmaTarget t;

    for (uint64_t cfg = 0; cfg < 4; cfg++) {
        rig_ste(r, false, SID, cfg << 1 | STE_V, 0, 0, 0);
        rig_command(r, false, CMD_CFGI_STE | (uint64_t)SID << 32, 1);
        assert_int_equal(rig_dma(r, false, SID, RIG_DATA, false, &t), DMA_ABORT);
    }
    expect_none(r, false, "abort");
    rig_ste(r, false, SID, STE_BYPASS | STE_V, 0, 0, 0);
    rig_command(r, false, CMD_CFGI_STE | (uint64_t)SID << 32, 1);
    assert_int_equal(rig_dma(r, false, SID, RIG_DATA + 5, false, &t), DMA_OK);
    assert_int_equal(t.pa, RIG_DATA + 5);
    assert_int_equal(rig_dma(r, false, SID, BIT(48), false, &t), DMA_FAULT);
    expect_event(r, false, "bypass", F_ADDR_SIZE | (uint64_t)SID << 32, E_READ | E_IN, BIT(48), 0);
}

/* Linear and two-level tables, their ends, and CR2.RECINVSID. */
static void test_stream_tables(void **state)
{
    static const struct {
        const char *name;
        uint64_t    cfg, l1_desc;
        uint32_t    sid;
        unsigned    event;
        uint64_t    fetch;
    } rows[] = {
        { "linear", 6, 0, 63, 0, 0 },
        { "linear, past its end", 6, 0, 64, C_BAD_STREAMID, 0 },
        { "linear, format reserved", 6 | 2 << 16, 0, 63, 0, 0 },
        { "two levels, split 8", 16 | 8 << 6 | 1 << 16, RIG_STRTAB | 9, 0x1ff, 0, 0 },
        { "two levels, split 10", 16 | 10 << 6 | 1 << 16, RIG_STRTAB | 11, 0x7ff, 0, 0 },
        { "two levels, split reserved is 6", 16 | 7 << 6 | 1 << 16, RIG_STRTAB | 7, 0x7f, 0, 0 },
        { "span 0", 16 | 8 << 6 | 1 << 16, RIG_STRTAB, 0x1ff, C_BAD_STREAMID, 0 },
        { "span larger than split + 1", 16 | 8 << 6 | 1 << 16, RIG_STRTAB | 10, 0x1ff, C_BAD_STREAMID, 0 },
        { "past the span", 16 | 8 << 6 | 1 << 16, RIG_STRTAB | 8, 0x180, C_BAD_STREAMID, 0 },
        { "within the span", 16 | 8 << 6 | 1 << 16, RIG_STRTAB | 8, 0x17f, 0, 0 },
        { "two levels, past LOG2SIZE", 9 | 8 << 6 | 1 << 16, RIG_STRTAB | 9, 0x200, C_BAD_STREAMID, 0 },
        { "LOG2SIZE above SIDSIZE", 20 | 8 << 6 | 1 << 16, RIG_STRTAB | 9, 0x10000, C_BAD_STREAMID, 0 },
        { "STE at nothing", 16 | 8 << 6 | 1 << 16, BIT(45) | 9, 0x1ff, F_STE_FETCH, BIT(45) + 0xff * 64 },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        SmmuRig  *r = rig_new();
        DmaTarget t;
        bool      linear = (rows[i].cfg >> 16 & 3) != 1;
        uint64_t  l1 = rig_table(r, 0x2000);

        rig_set(r, false, CR0, 4, 0xc);
        rig_set(r, false, STRTAB_BASE, 8, linear ? RIG_STRTAB : l1);
        rig_set(r, false, STRTAB_BASE_CFG, 4, rows[i].cfg);
        rig_put(r, l1 + 8, rows[i].l1_desc);
        for (unsigned n = 0; n < 0x2000; n += 64) { /* bypass, over both interfaces' tables */
            rig_put(r, RIG_STRTAB + n, STE_BYPASS | STE_V);
        }
        /* The 1024 entries that a split of 10 spans lie over queues, which stay empty. */
        rig_put(r, RIG_STRTAB + 0x3ff * 64, STE_BYPASS | STE_V);
        rig_put(r, RIG_STRTAB + 0xff * 64, STE_BYPASS | STE_V);
        owners_set(r->owners, RIG_STRTAB, 0x10000, OWNER_NONSECURE);
        rig_set(r, false, CR0, 4, 0xd);
        for (unsigned pass = 0; pass < 2; pass++) {
            rig_set(r, false, CR0, 4, 0xc);
            rig_set(r, false, CR2, 4, pass == 0 ? 2 : 0);
            rig_set(r, false, CR0, 4, 0xd);
            DmaResult got = rig_dma(r, false, rows[i].sid, RIG_DATA, false, &t);
            if (got != (rows[i].event == 0 ? DMA_OK : DMA_FAULT)) {
                fail_msg("%s: %s", rows[i].name, dma_result_name(got));
            }
            if (rows[i].event == 0 || (pass == 1 && rows[i].event == C_BAD_STREAMID)) {
                expect_none(r, false, rows[i].name);
            } else {
                expect_event(r, false, rows[i].name, rows[i].event | (uint64_t)rows[i].sid << 32, 0, 0, rows[i].fetch);
            }
        }
        rig_free(r);
    }
}

/* ---- stage 1 ---- */

typedef struct Stage1Row {
    const char *name;
    unsigned    granule_log2, tsz, level;
    bool        upper;
    uint64_t    va;          /* mapped address, without the bits of the half */
    uint64_t    desc;
    uint64_t    iova;
    bool        write;
    uint64_t    cd_set;      /* more bits of CD word 0 */
    unsigned    event;
    uint64_t    pa;
} Stage1Row;

#define HIGH(tsz, va) (~0ull << (64 - (tsz)) | (va))

static const Stage1Row stage1_rows[] = {
    { "4K page", 12, 16, 3, false, 0x123456789000, RIG_DATA | D_PAGE | S1_RW, 0x123456789abc, true, 0, 0,
      RIG_DATA + 0xabc },
    { "4K page, 39 bits", 12, 25, 3, false, 0x4000001000, RIG_DATA | D_PAGE | S1_RW, 0x4000001008, false, 0, 0,
      RIG_DATA + 8 },
    { "4K page, 25 bits: level 2 table of 16 entries", 12, 39, 3, false, 0x1fff000, RIG_DATA | D_PAGE | S1_RW,
      0x1ffffff, false, 0, 0, RIG_DATA + 0xfff },
    { "4K, 2 MiB block", 12, 16, 2, false, 0x40000000, 0x40400000 | D_BLOCK | S1_RW, 0x40123456, true, 0, 0,
      0x40523456 },
    { "4K, 1 GiB block", 12, 16, 1, false, 0x80000000, 0x40000000 | D_BLOCK | S1_RW, 0x80456789, true, 0, 0,
      0x40456789 },
    { "4K, block at level 0", 12, 16, 0, false, 0, 0x40000000 | D_BLOCK | S1_RW, 0x1000, true, 0, F_TRANSLATION, 0 },
    { "4K, block encoding at level 3", 12, 16, 3, false, 0x1000, RIG_DATA | D_BLOCK | S1_RW, 0x1000, true, 0,
      F_TRANSLATION, 0 },
    { "4K, upper half", 12, 16, 3, true, 0x7fff1000, RIG_DATA | D_PAGE | S1_RW, HIGH(16, 0x7fff1004), true, 0, 0,
      RIG_DATA + 4 },
    { "4K, upper half, 39 bits", 12, 25, 3, true, 0x7fff1000, RIG_DATA | D_PAGE | S1_RW, HIGH(25, 0x7fff1004), true,
      0, 0, RIG_DATA + 4 },
    { "above the lower half", 12, 25, 3, false, 0, RIG_DATA | D_PAGE | S1_RW, 1ull << 39, true, 0, F_TRANSLATION, 0 },
    { "below the upper half", 12, 25, 3, true, 0, RIG_DATA | D_PAGE | S1_RW, HIGH(24, 0), true, 0, F_TRANSLATION, 0 },
    { "half is off", 12, 16, 3, false, 0x1000, RIG_DATA | D_PAGE | S1_RW, 0x1000, true, CD_EPD0, F_TRANSLATION, 0 },
    { "16K page", 14, 16, 3, false, 0x87654000, RIG_DATA | D_PAGE | S1_RW, 0x87657abc, true, 0, 0,
      RIG_DATA + 0x3abc },
    { "16K page, 36 bits: level 2 of 2^11", 14, 28, 3, false, 0xfffffc000, RIG_DATA | D_PAGE | S1_RW, 0xfffffffff,
      true, 0, 0, RIG_DATA + 0x3fff },
    { "16K, 32 MiB block", 14, 16, 2, false, 0x2000000, 0x40000000 | D_BLOCK | S1_RW, 0x2456789, true, 0, 0,
      0x40456789 },
    { "16K, block at level 1", 14, 16, 1, false, 0, 0 | D_BLOCK | S1_RW, 0x1000, true, 0, F_TRANSLATION, 0 },
    { "64K page", 16, 16, 3, false, 0x87650000, RIG_DATA | D_PAGE | S1_RW, 0x8765fabc, true, 0, 0,
      RIG_DATA + 0xfabc },
    { "64K page, upper half", 16, 22, 3, true, 0x87650000, RIG_DATA | D_PAGE | S1_RW, HIGH(22, 0x8765fabc), true, 0,
      0, RIG_DATA + 0xfabc },
    { "64K, 512 MiB block", 16, 16, 2, false, 0x60000000, 0x40000000 | D_BLOCK | S1_RW, 0x60456789, true, 0, 0,
      0x40456789 },
    { "64K, block at level 1", 16, 16, 1, false, 0, 0 | D_BLOCK | S1_RW, 0x1000, true, 0, F_TRANSLATION, 0 },
    { "invalid descriptor", 12, 16, 3, false, 0x1000, 2, 0x1000, false, 0, F_TRANSLATION, 0 },
    { "invalid level 1", 12, 16, 1, false, 0, 2, 0x1000, false, 0, F_TRANSLATION, 0 },
    { "access flag", 12, 16, 3, false, 0x1000, RIG_DATA | D_PAGE | BIT(6), 0x1000, false, 0, F_ACCESS, 0 },
    { "access flag, AFFD", 12, 16, 3, false, 0x1000, RIG_DATA | D_PAGE | BIT(6), 0x1000, false, BIT(35), 0, RIG_DATA },
    { "read-only, read", 12, 16, 3, false, 0x1000, RIG_DATA | D_PAGE | S1_RW | S1_RO, 0x1000, false, 0, 0, RIG_DATA },
    { "read-only, write", 12, 16, 3, false, 0x1000, RIG_DATA | D_PAGE | S1_RW | S1_RO, 0x1000, true, 0, F_PERMISSION,
      0 },
    { "privileged only", 12, 16, 3, false, 0x1000, RIG_DATA | D_PAGE | BIT(10), 0x1000, false, 0, F_PERMISSION, 0 },
    { "access flag before permission", 12, 16, 3, false, 0x1000, RIG_DATA | D_PAGE, 0x1000, true, 0, F_ACCESS, 0 },
    { "output beyond IPS", 12, 16, 3, false, 0x1000, BIT(36) | D_PAGE | S1_RW, 0x1000, true, 0, F_ADDR_SIZE, 0 },
    { "address size before access flag", 12, 16, 3, false, 0x1000, BIT(36) | D_PAGE, 0x1000, true, 0, F_ADDR_SIZE, 0 },
    { "table beyond IPS", 12, 16, 2, false, 0, BIT(36) | D_TABLE, 0x1000, true, 0, F_ADDR_SIZE, 0 },
    { "TBI", 12, 16, 3, false, 0x1000, RIG_DATA | D_PAGE | S1_RW, 0xab00000000001010, true, BIT(38), 0,
      RIG_DATA + 0x10 },
    { "TBI, upper half", 12, 16, 3, true, 0x1000, RIG_DATA | D_PAGE | S1_RW, 0x12ff000000001010, true, BIT(39), 0,
      RIG_DATA + 0x10 },
    { "tag without TBI", 12, 16, 3, false, 0x1000, RIG_DATA | D_PAGE | S1_RW, 0xab00000000001010, true, 0,
      F_TRANSLATION, 0 },
    { "TBI covers the top byte only", 12, 16, 3, false, 0x1000, RIG_DATA | D_PAGE | S1_RW, 0x0001000000001010, true,
      BIT(38), F_TRANSLATION, 0 },
    { "not recorded", 12, 16, 3, false, 0x1000, 0, 0x1000, true, CD_R, F_TRANSLATION, 0 },
};

static unsigned start_level(unsigned granule_log2, unsigned tsz)
{
    unsigned level = 3;

    for (unsigned reach = granule_log2 + granule_log2 - 3; reach < 64 - tsz; reach += granule_log2 - 3) {
        level--;
    }
    return level;
}

static void stage1_stream(SmmuRig *r, const Stage1Row *row)
{
    static const uint8_t tg0[] = { [12] = 0, [14] = 2, [16] = 1 }, tg1[] = { [12] = 2, [14] = 1, [16] = 3 };
    uint64_t             ttb = rig_table(r, 1ull << row->granule_log2), off = row->upper ? CD_EPD0 : CD_EPD1;
    uint64_t             w0 = CD_V | CD_AA64 | CD_R | CD_A | off | 1ull << 32 | 1ull << 48; /* IPS 36 bits */

    w0 |= row->tsz | (uint64_t)row->tsz << 16 | (uint64_t)tg0[row->granule_log2] << 6 |
          (uint64_t)tg1[row->granule_log2] << 22;
    w0 ^= row->cd_set; /* CD_R: take it away */
    rig_map(r, ttb, row->granule_log2, start_level(row->granule_log2, row->tsz), row->level, row->va, row->desc, 0);
    put_cd(r, RIG_CD, w0, ttb, ttb);
    rig_ste(r, false, SID, RIG_CD | STE_S1 | STE_V, 0, 0, 0);
}

static void test_stage1(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(stage1_rows); i++) {
        const Stage1Row *row = &stage1_rows[i];
        SmmuRig         *r = rig_new();
        DmaTarget        t;

        stage1_stream(r, row);
        for (unsigned pass = 0; pass < 2; pass++) { /* a walk, then the cache */
            DmaResult got = rig_dma(r, false, SID, row->iova, row->write, &t);

            if (got != (row->event == 0 ? DMA_OK : DMA_FAULT) || t.pa != row->pa) {
                fail_msg("%s: %s, %#llx", row->name, dma_result_name(got), (unsigned long long)t.pa);
            }
            if (row->event != 0 && row->cd_set != CD_R) {
                expect_event(r, false, row->name, row->event | (uint64_t)SID << 32,
                             E_IN | (row->write ? 0 : E_READ), row->iova, 0);
            } else {
                expect_none(r, false, row->name);
            }
        }
        rig_free(r);
    }
}

/* APTable of a level above. */
static void test_table_permissions(void **state)
{
    SmmuRig  *r = *state;
    uint64_t  ttb = rig_table(r, 4096), l1 = rig_table(r, 4096);
    DmaTarget t;

    put_cd(r, RIG_CD, CD0(1) | CD_EPD1, ttb, 0);
    rig_ste(r, false, SID, RIG_CD | STE_S1 | STE_V, 0, 0, 0);
    rig_map(r, l1, 12, 1, 3, 0x1000, RIG_DATA | D_PAGE | S1_RW, 0);
    rig_put(r, ttb, l1 | D_TABLE | BIT(62));
    assert_int_equal(rig_dma(r, false, SID, 0x1000, false, &t), DMA_OK);
    assert_int_equal(rig_dma(r, false, SID, 0x1000, true, &t), DMA_FAULT);
    expect_event(r, false, "read-only table", F_PERMISSION | (uint64_t)SID << 32, E_IN, 0x1000, 0);
    rig_put(r, ttb, l1 | D_TABLE | BIT(61));
    rig_command(r, false, CMD_TLBI_NSNH_ALL, 0);
    assert_int_equal(rig_dma(r, false, SID, 0x1000, false, &t), DMA_FAULT);
    expect_event(r, false, "privileged table", F_PERMISSION | (uint64_t)SID << 32, E_IN | E_READ, 0x1000, 0);
}

/* A walk that reads nothing: recorded whether or not the stream asks for faults. */
static void test_walk_abort(void **state)
{
    SmmuRig  *r = *state;
    uint64_t  ttb = rig_table(r, 4096);
    DmaTarget t;

    put_cd(r, RIG_CD, (CD0(1) | CD_EPD1) & ~CD_R, ttb, 0);
    rig_put(r, ttb, BIT(40) | D_TABLE);
    rig_ste(r, false, SID, RIG_CD | STE_S1 | STE_V, 0, 0, 0);
    assert_int_equal(rig_dma(r, false, SID, 0x40001000, false, &t), DMA_FAULT);
    expect_event(r, false, "level 1 table at nothing", F_WALK_EABT | (uint64_t)SID << 32, E_TTD | E_READ, 0x40001000,
                 BIT(40) + 8);
}

/* ---- stage 2 ---- */

typedef struct Stage2Row {
    const char *name;
    unsigned    granule_log2, start, level;
    uint64_t    vtcr, ste2; /* ste2: more bits of word 2 */
    uint64_t    ipa, desc, iova;
    bool        write;
    unsigned    event;
    bool        s1;         /* the fault is stage 1's */
    uint64_t    pa;
} Stage2Row;

static const Stage2Row stage2_rows[] = {
    { "4K page", 12, 0, 3, VTCR48, 0, 0x123456789000, RIG_DATA | D_PAGE | S2_RW, 0x123456789abc, true, 0, false,
      RIG_DATA + 0xabc },
    { "4K, 40 bits, two tables side by side", 12, 1, 3, 24 | 1 << 6 | 5 << 16, 0, 0xff00001000,
      RIG_DATA | D_PAGE | S2_RW, 0xff00001abc, true, 0, false, RIG_DATA + 0xabc },
    { "4K, 2 MiB block", 12, 0, 2, VTCR48, 0, 0x40000000, 0x40400000 | D_BLOCK | S2_RW, 0x40123456, true, 0, false,
      0x40523456 },
    { "16K page", 14, 1, 3, 17 | 2 << 6 | 2 << 14 | 5 << 16, 0, 0x87654000, RIG_DATA | D_PAGE | S2_RW, 0x87657abc,
      true, 0, false, RIG_DATA + 0x3abc },
    { "64K page", 16, 1, 3, 16 | 2 << 6 | 1 << 14 | 5 << 16, 0, 0x87650000, RIG_DATA | D_PAGE | S2_RW, 0x8765fabc,
      true, 0, false, RIG_DATA + 0xfabc },
    { "beyond S2T0SZ", 12, 1, 3, 24 | 1 << 6 | 5 << 16, 0, 0, 0, BIT(40), false, F_TRANSLATION, false, 0 },
    { "beyond 48 bits", 12, 0, 3, VTCR48, 0, 0, 0, BIT(48), false, F_ADDR_SIZE, true, 0 },
    { "invalid", 12, 0, 3, VTCR48, 0, 0x1000, 0, 0x1000, false, F_TRANSLATION, false, 0 },
    { "read-only, write", 12, 0, 3, VTCR48, 0, 0x1000, RIG_DATA | D_PAGE | S2_RO, 0x1000, true, F_PERMISSION, false,
      0 },
    { "read-only, read", 12, 0, 3, VTCR48, 0, 0x1000, RIG_DATA | D_PAGE | S2_RO, 0x1000, false, 0, false, RIG_DATA },
    { "access flag", 12, 0, 3, VTCR48, 0, 0x1000, RIG_DATA | D_PAGE | (S2_RW & ~BIT(10)), 0x1000, true, F_ACCESS,
      false, 0 },
    { "access flag, S2AFFD", 12, 0, 3, VTCR48, BIT(53), 0x1000, RIG_DATA | D_PAGE | (S2_RW & ~BIT(10)), 0x1000, true,
      0, false, RIG_DATA },
    { "beyond S2PS", 12, 0, 3, VTCR48 & ~(7 << 16), 0, 0x1000, BIT(33) | D_PAGE | S2_RW, 0x1000, true, F_ADDR_SIZE,
      false, 0 },
    { "not recorded", 12, 0, 3, VTCR48, S2_R, 0x1000, 0, 0x1000, false, F_TRANSLATION, false, 0 },
};

static void test_stage2(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(stage2_rows); i++) {
        const Stage2Row *row = &stage2_rows[i];
        SmmuRig         *r = rig_new();
        uint64_t         ttb = rig_table(r, 2ull << row->granule_log2);
        DmaTarget        t;

        rig_map(r, ttb, row->granule_log2, row->start, row->level, row->ipa, row->desc, 0);
        rig_ste(r, false, SID, STE_S2 | STE_V, 0, STE2(row->vtcr, 1) ^ row->ste2, ttb);
        for (unsigned pass = 0; pass < 2; pass++) {
            DmaResult got = rig_dma(r, false, SID, row->iova, row->write, &t);

            if (got != (row->event == 0 ? DMA_OK : DMA_FAULT) || t.pa != row->pa) {
                fail_msg("%s: %s, %#llx", row->name, dma_result_name(got), (unsigned long long)t.pa);
            }
            if (row->event != 0 && row->ste2 != S2_R) {
                expect_event(r, false, row->name, row->event | (uint64_t)SID << 32,
                             E_IN | (row->write ? 0 : E_READ) | (row->s1 ? 0 : E_S2), row->iova,
                             row->s1 ? 0 : row->iova & ~0xfffull);
            } else {
                expect_none(r, false, row->name);
            }
        }
        rig_free(r);
    }
}

/* A table that cannot be read, and Device memory where S2PTW forbids structures (in the nested rows). */
static void test_stage2_walk_abort(void **state)
{
    SmmuRig  *r = *state;
    uint64_t  ttb = rig_table(r, 4096);
    DmaTarget t;

    rig_put(r, ttb, BIT(40) | D_TABLE);
    rig_ste(r, false, SID, STE_S2 | STE_V, 0, STE2(VTCR48, 1), ttb);
    assert_int_equal(rig_dma(r, false, SID, 0x40001000, true, &t), DMA_FAULT);
    expect_event(r, false, "stage 2 table at nothing", F_WALK_EABT | (uint64_t)SID << 32, E_S2 | E_IN, 0x40001000,
                 BIT(40) + 8);
}

/* ---- both stages ---- */

#define BIAS 0x100000000ull /* IPA of RAM = its address + BIAS */

typedef struct Nest {
    uint64_t s1ttb, s2ttb;
    uint64_t s1_leaf; /* slot of the page at 0x1000 */
} Nest;

/* Stage 2 maps the IPAs of [RIG_RAM, +8 MiB), by pages; stage 1 maps 0x1000 to RIG_DATA's IPA. */
static Nest nest(SmmuRig *r, uint16_t vmid, uint16_t asid, uint64_t s2_bits)
{
    Nest n = { .s1ttb = rig_table(r, 4096), .s2ttb = rig_table(r, 4096) };

    n.s1_leaf = rig_map(r, n.s1ttb, 12, 0, 3, 0x1000, (RIG_DATA + BIAS) | D_PAGE | S1_RW | S1_NG, BIAS);
    for (uint64_t a = RIG_RAM; a < RIG_RAM + RIG_RAM_SIZE; a += 4096) {
        rig_map(r, n.s2ttb, 12, 0, 3, a + BIAS, a | D_PAGE | S2_RW, 0);
    }
    put_cd(r, RIG_CD, CD0(asid) | CD_EPD1, n.s1ttb + BIAS, 0);
    rig_ste(r, false, SID, (RIG_CD + BIAS) | STE_NESTED | STE_V, 0, STE2(VTCR48, vmid) | s2_bits, n.s2ttb);
    return n;
}

static uint64_t s2_slot(SmmuRig *r, const Nest *n, uint64_t pa)
{
    uint64_t slot = rig_map(r, n->s2ttb, 12, 0, 3, pa + BIAS, pa | D_PAGE | S2_RW, 0);

    return slot;
}

typedef struct NestRow {
    const char *name;
    enum { BREAK_NOTHING, BREAK_CD, BREAK_TABLE, BREAK_DATA, BREAK_STAGE1 } what; /* whose page stage 2 spoils */
    uint64_t    desc;    /* what is there instead, without the address */
    uint64_t    s2_bits;
    bool        write;
    unsigned    event;
    uint64_t    w1;
} NestRow;

static const NestRow nest_rows[] = {
    { "works", BREAK_NOTHING, 0, 0, true, 0, 0 },
    { "CD not mapped", BREAK_CD, 0, 0, true, F_TRANSLATION, E_S2 | E_CD },
    { "CD access flag", BREAK_CD, D_PAGE | (S2_RW & ~BIT(10)), 0, false, F_ACCESS, E_S2 | E_CD | E_READ },
    { "CD not readable", BREAK_CD, D_PAGE | BIT(10) | 0x3c, 0, false, F_PERMISSION, E_S2 | E_CD | E_READ },
    { "CD in Device memory, S2PTW", BREAK_CD, D_PAGE | BIT(10) | BIT(6), BIT(54), true, F_PERMISSION, E_S2 | E_CD },
    { "CD in Device memory", BREAK_CD, D_PAGE | BIT(10) | BIT(6), 0, true, 0, 0 },
    { "table not mapped", BREAK_TABLE, 0, 0, true, F_TRANSLATION, E_S2 | E_TTD },
    { "table not readable", BREAK_TABLE, D_PAGE | BIT(10) | BIT(7) | 0x3c, 0, true, F_PERMISSION,
      E_S2 | E_TTD | E_TT_READ },
    { "table in Device memory, S2PTW", BREAK_TABLE, D_PAGE | BIT(10) | BIT(6), BIT(54), false, F_PERMISSION,
      E_S2 | E_TTD | E_TT_READ | E_READ },
    { "table is read-only", BREAK_TABLE, D_PAGE | S2_RO, 0, true, 0, 0 },
    { "data not mapped", BREAK_DATA, 0, 0, true, F_TRANSLATION, E_S2 | E_IN },
    { "data read-only", BREAK_DATA, D_PAGE | S2_RO, 0, true, F_PERMISSION, E_S2 | E_IN },
    { "data in Device memory, S2PTW", BREAK_DATA, D_PAGE | BIT(10) | BIT(6) | BIT(7), BIT(54), true, 0, 0 },
    { "stage 1 faults first", BREAK_STAGE1, 0, 0, true, F_TRANSLATION, E_IN },
};

static void test_nested(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(nest_rows); i++) {
        const NestRow *row = &nest_rows[i];
        SmmuRig       *r = rig_new();
        Nest           n = nest(r, 3, 7, row->s2_bits);
        DmaTarget      t;
        uint64_t       pa = row->what == BREAK_CD ? RIG_CD : row->what == BREAK_TABLE ? n.s1ttb : RIG_DATA;

        if (row->what == BREAK_STAGE1) {
            rig_put(r, n.s1_leaf, 0);
        } else if (row->what != BREAK_NOTHING) {
            rig_put(r, s2_slot(r, &n, pa), row->desc == 0 ? 0 : pa | row->desc);
        }
        DmaResult got = rig_dma(r, false, SID, 0x1008, row->write, &t);
        if (got != (row->event == 0 ? DMA_OK : DMA_FAULT) || (row->event == 0 && t.pa != RIG_DATA + 8)) {
            fail_msg("%s: %s, %#llx", row->name, dma_result_name(got), (unsigned long long)t.pa);
        }
        if (row->event != 0) {
            expect_event(r, false, row->name, row->event | (uint64_t)SID << 32, row->w1, 0x1008,
                         row->w1 & E_S2 ? pa + BIAS : 0);
        }
        rig_free(r);
    }
}

/* ---- commands ---- */

typedef struct CommandRow {
    const char *name;
    bool        realm;
    uint64_t    w0, w1;
    unsigned    error; /* CMDQ_CONS.ERR; 0: consumed */
} CommandRow;

static const CommandRow command_rows[] = {
    { "reserved opcode 0", false, 0x00, 0, 1 },
    { "reserved opcode 0xff", false, 0xff, 0, 1 },
    { "PREFETCH_CONFIG", false, CMD_PREFETCH_CONFIG, 0, 0 },
    { "PREFETCH_CONFIG of a Secure stream", false, CMD_PREFETCH_CONFIG | BIT(10), 0, 1 },
    { "PREFETCH_ADDR", false, CMD_PREFETCH_ADDR | (uint64_t)SID << 32, 0x1000, 0 },
    { "PREFETCH_ADDR of 8 blocks", false, CMD_PREFETCH_ADDR | (uint64_t)SID << 32, 0x200000 | 3 | 9 << 5, 0 },
    { "PREFETCH_ADDR of a Secure stream", false, CMD_PREFETCH_ADDR | BIT(10), 0x1000, 1 },
    { "PREFETCH_ADDR of a Secure stream, by a Realm", true, CMD_PREFETCH_ADDR | BIT(10), 0x1000, 1 },
    { "CFGI_STE", false, CMD_CFGI_STE, 1, 0 },
    { "CFGI_STE of a Secure stream", false, CMD_CFGI_STE | BIT(10), 1, 1 },
    { "CFGI_ALL", false, CMD_CFGI_STE_RANGE, 31, 0 },
    { "CFGI_ALL of Secure streams", true, CMD_CFGI_STE_RANGE | BIT(10), 31, 1 },
    { "CFGI_CD", false, CMD_CFGI_CD, 1, 0 },
    { "CFGI_CD of a Secure stream", false, CMD_CFGI_CD | BIT(10), 1, 1 },
    { "CFGI_CD_ALL", true, CMD_CFGI_CD_ALL, 0, 0 },
    { "CFGI_CD_ALL of a Secure stream", true, CMD_CFGI_CD_ALL | BIT(10), 0, 1 },
    { "TLBI_NH_ALL", true, CMD_TLBI_NH_ALL, 0, 0 },
    { "TLBI_NH_ASID", true, CMD_TLBI_NH_ASID, 0, 0 },
    { "TLBI_NH_VA", true, CMD_TLBI_NH_VA, 0x1000, 0 },
    { "TLBI_NH_VAA", true, CMD_TLBI_NH_VAA, 0x1000, 0 },
    { "TLBI_EL3_ALL", false, 0x18, 0, 1 },
    { "TLBI_EL2_ALL: no EL2 streams (IDR0.Hyp)", false, 0x20, 0, 1 },
    { "TLBI_S12_VMALL", true, CMD_TLBI_S12_VMALL, 0, 0 },
    { "TLBI_S2_IPA", true, CMD_TLBI_S2_IPA, 0, 0 },
    { "TLBI_NSNH_ALL", true, CMD_TLBI_NSNH_ALL, 0, 0 },
    { "ATC_INV: no ATS", false, 0x40, 0, 1 },
    { "PRI_RESP: no PRI", false, 0x41, 0, 1 },
    { "RESUME: no stalls", false, 0x44, 0, 1 },
    { "SYNC, no signal", false, CMD_SYNC, 0, 0 },
    { "SYNC, event", false, CMD_SYNC | 2 << 12, 0, 0 },
    { "SYNC, reserved signal", false, CMD_SYNC | 3 << 12, 0, 1 },
    { "range of one without a level", false, CMD_TLBI_NH_VA, 1 << 10, 1 },
    { "range of one with a level", false, CMD_TLBI_NH_VA, 1 << 10 | 3 << 8, 0 },
    { "range of one 16K with level 1, which counts as none", false, CMD_TLBI_NH_VA, 2 << 10 | 1 << 8, 1 },
    { "range of two 16K with level 1", false, CMD_TLBI_NH_VA | 1 << 12, 2 << 10 | 1 << 8, 0 },
    { "range of everything", false, CMD_TLBI_NH_VA | 31 << 12 | 63 << 20, 3 << 10, 0 },
};

static void test_commands(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(command_rows); i++) {
        const CommandRow *row = &command_rows[i];
        SmmuRig          *r = rig_new();

        rig_command(r, row->realm, row->w0, row->w1);
        uint64_t cons = rig_reg(r, row->realm, CMDQ_CONS, 4), gerror = rig_reg(r, row->realm, GERROR, 4);
        if (cons != (row->error == 0 ? 1 : (uint64_t)row->error << 24) || gerror != (row->error != 0)) {
            fail_msg("%s: CMDQ_CONS %#llx, GERROR %#llx", row->name, (unsigned long long)cons,
                     (unsigned long long)gerror);
        }
        /* A wire for the Non-secure interface alone. */
        assert_int_equal(r->pulses[SMMU_IRQ_GERROR], row->error != 0 && !row->realm);
        rig_free(r);
    }
}

/* A hint is no access: what it would have met is not recorded. "CMD_PREFETCH_ADDR" */
static void test_prefetch(void **state)
{
    static const uint64_t hints[] = { CMD_PREFETCH_CONFIG, CMD_PREFETCH_ADDR };
    SmmuRig              *r = *state;
    DmaTarget             t;

    for (size_t i = 0; i < ARRAY_LEN(hints); i++) {
        rig_ste(r, false, SID, 0, 0, 0, 0); /* C_BAD_STE for a device */
        rig_command(r, false, hints[i] | (uint64_t)SID << 32, 0x1000);
        good_stage2(r);
        rig_command(r, false, hints[i] | (uint64_t)SID << 32, 0x2000); /* nothing is mapped there */
        rig_command(r, false, hints[i] | 0x10000ull << 32, 0x1000);    /* no such stream */
        expect_none(r, false, "hint");
        assert_int_equal(smmu_n_events(r->smmu, PAS_NONSECURE), 0);
        assert_int_equal(rig_reg(r, false, GERROR, 4), 0);
        assert_int_equal(rig_dma(r, false, SID, 0x1000, false, &t), DMA_OK);
        rig_command(r, false, CMD_CFGI_STE | (uint64_t)SID << 32, 1);
    }
}

/* The queue stops at a bad command and goes on, from there, when the error is acknowledged. "Command queue errors" */
static void test_command_restart(void **state)
{
    SmmuRig *r = *state;

    rig_command(r, false, 0xee, 0);
    rig_command(r, false, CMD_SYNC, 0); /* not looked at */
    assert_int_equal(rig_reg(r, false, CMDQ_CONS, 4), 1u << 24);
    rig_set(r, false, GERRORN, 4, 1); /* acknowledged, but not repaired */
    assert_int_equal(rig_reg(r, false, CMDQ_CONS, 4), 1u << 24);
    assert_int_equal(rig_reg(r, false, GERROR, 4), 0); /* toggled again: active */
    assert_int_equal(r->pulses[SMMU_IRQ_GERROR], 2);
    rig_set(r, false, CR0, 4, 0x5); /* off and on: the error stays */
    rig_set(r, false, CR0, 4, 0xd);
    assert_int_equal(rig_reg(r, false, CMDQ_CONS, 4), 1u << 24);
    rig_put(r, RIG_CMDQ, CMD_SYNC);
    rig_set(r, false, GERRORN, 4, 0);
    assert_int_equal(rig_reg(r, false, CMDQ_CONS, 4), 2);
    assert_int_equal(r->pulses[SMMU_IRQ_GERROR], 2);
}

static void test_command_fetch_abort(void **state)
{
    SmmuRig *r = *state;

    rig_set(r, false, CR0, 4, 0x5);
    rig_set(r, false, CMDQ_BASE, 8, BIT(40) | RIG_QUEUE_LOG2);
    rig_set(r, false, CR0, 4, 0xd);
    rig_set(r, false, CMDQ_PROD, 4, 1);
    assert_int_equal(rig_reg(r, false, CMDQ_CONS, 4), 2u << 24);
    assert_int_equal(rig_reg(r, false, GERROR, 4), 1);
}

/* Three times round, and commands that wait for the queue to be enabled. */
static void test_command_wrap(void **state)
{
    SmmuRig *r = *state;

    for (unsigned i = 1; i <= 40; i++) {
        rig_command(r, false, CMD_SYNC, 0);
        assert_int_equal(rig_reg(r, false, CMDQ_CONS, 4), i & 15);
    }
    rig_set(r, false, CR0, 4, 0x5);
    for (unsigned i = 0; i < 8; i++) { /* full */
        rig_command(r, false, CMD_SYNC, 0);
    }
    assert_int_equal(rig_reg(r, false, CMDQ_CONS, 4), 8);
    rig_set(r, false, CR0, 4, 0xd);
    assert_int_equal(rig_reg(r, false, CMDQ_CONS, 4), 0);
}

/* ---- the event queue ---- */

static void fault_once(SmmuRig *r, uint64_t iova)
{
    DmaTarget t;

    assert_int_equal(rig_dma(r, false, SID, iova, false, &t), DMA_FAULT);
}

/* Full at eight; the flag toggles once until it is acknowledged. "Event queue", "Event queue overflow" */
static void test_event_overflow(void **state)
{
    SmmuRig *r = *state;
    uint64_t w[4];

    rig_ste(r, false, SID, STE_S2 | STE_V, 0, STE2(VTCR48, 1), rig_table(r, 4096));
    for (unsigned i = 0; i < 8; i++) {
        fault_once(r, i * 0x1000);
    }
    assert_int_equal(rig_reg(r, false, EVENTQ_PROD, 4), 8);
    assert_int_equal(r->pulses[SMMU_IRQ_EVTQ], 1); /* when it stopped being empty */
    fault_once(r, 0x8000);
    fault_once(r, 0x9000);
    assert_int_equal(rig_reg(r, false, EVENTQ_PROD, 4), 8 | 1u << 31);
    take_event(r, false, w);
    assert_int_equal(w[2], 0);
    rig_set(r, false, EVENTQ_CONS, 4, 1 | 1u << 31); /* acknowledged */
    fault_once(r, 0xa000);
    assert_int_equal(rig_reg(r, false, EVENTQ_PROD, 4), 9 | 1u << 31);
    assert_int_equal(rig_get(r, RIG_EVTQ + 16), 0xa000);
    fault_once(r, 0xb000); /* full again: the flag toggles back */
    assert_int_equal(rig_reg(r, false, EVENTQ_PROD, 4), 9);
    assert_int_equal(smmu_n_events(r->smmu, PAS_NONSECURE), 12);
}

/* An event queue that cannot be written, and one that is off. */
static void test_event_queue_abort(void **state)
{
    SmmuRig *r = *state;

    rig_ste(r, false, SID, STE_S2 | STE_V, 0, STE2(VTCR48, 1), rig_table(r, 4096));
    rig_set(r, false, CR0, 4, 0x9);
    fault_once(r, 0x1000);
    assert_int_equal(rig_reg(r, false, EVENTQ_PROD, 4), 0);
    rig_set(r, false, EVENTQ_BASE, 8, BIT(40) | RIG_QUEUE_LOG2);
    rig_set(r, false, CR0, 4, 0xd);
    fault_once(r, 0x1000);
    fault_once(r, 0x1000);
    assert_int_equal(rig_reg(r, false, EVENTQ_PROD, 4), 0);
    assert_int_equal(rig_reg(r, false, GERROR, 4), 1 << 2);
    assert_int_equal(r->pulses[SMMU_IRQ_GERROR], 1);
    rig_set(r, false, GERRORN, 4, 1 << 2);
    fault_once(r, 0x1000);
    assert_int_equal(rig_reg(r, false, GERROR, 4), 0);
    assert_int_equal(r->pulses[SMMU_IRQ_GERROR], 2);
}

/* ---- interrupts ---- */

static void test_wires(void **state)
{
    SmmuRig *r = *state;

    rig_ste(r, false, SID, STE_S2 | STE_V, 0, STE2(VTCR48, 1), rig_table(r, 4096));
    rig_command(r, false, CMD_SYNC | 1 << 12, 0);
    assert_int_equal(r->pulses[SMMU_IRQ_SYNC], 1);
    rig_command(r, true, CMD_SYNC | 1 << 12, 0); /* the Realm interface has none */
    assert_int_equal(r->pulses[SMMU_IRQ_SYNC], 1);
    rig_set(r, false, IRQ_CTRL, 4, 0);
    fault_once(r, 0x1000);
    rig_command(r, false, 0xee, 0);
    assert_int_equal(r->pulses[SMMU_IRQ_EVTQ], 0);
    assert_int_equal(r->pulses[SMMU_IRQ_GERROR], 0);
    for (unsigned i = 0; i < SMMU_N_IRQS; i++) {
        assert_false(r->level[i]);
    }
}

static void test_messages(void **state)
{
    SmmuRig *r = *state;

    rig_ste(r, false, SID, STE_S2 | STE_V, 0, STE2(VTCR48, 1), rig_table(r, 4096));
    rig_set(r, false, IRQ_CTRL, 4, 0);
    rig_set(r, false, EVENTQ_IRQ_CFG0, 8, RIG_DATA);
    rig_set(r, false, EVENTQ_IRQ_CFG1, 4, 0x11111111);
    rig_set(r, false, GERROR_IRQ_CFG0, 8, RIG_DATA + 8);
    rig_set(r, false, GERROR_IRQ_CFG1, 4, 0x22222222);
    rig_set(r, false, IRQ_CTRL, 4, 5);
    rig_put(r, RIG_DATA, ~0ull);
    fault_once(r, 0x1000);
    assert_int_equal(rig_get(r, RIG_DATA), 0xffffffff11111111);
    rig_command(r, false, CMD_SYNC | 1 << 12 | 0x33333333ull << 32, RIG_DATA + 16);
    assert_int_equal(rig_get(r, RIG_DATA + 16), 0x33333333);
    rig_command(r, false, 0xee, 0);
    assert_int_equal(rig_get(r, RIG_DATA + 8), 0x22222222);
    for (unsigned i = 0; i < SMMU_N_IRQS; i++) {
        assert_int_equal(r->pulses[i], 0);
    }
}

/* Messages to nothing are global errors of their own. */
static void test_message_abort(void **state)
{
    SmmuRig *r = *state;

    rig_command(r, false, CMD_SYNC | 1 << 12, BIT(40));
    assert_int_equal(rig_reg(r, false, CMDQ_CONS, 4), 1); /* the command itself is done */
    assert_int_equal(rig_reg(r, false, GERROR, 4), 1 << 4);
    rig_set(r, false, IRQ_CTRL, 4, 0);
    rig_set(r, false, EVENTQ_IRQ_CFG0, 8, BIT(40));
    rig_set(r, false, GERROR_IRQ_CFG0, 8, BIT(40));
    rig_set(r, false, IRQ_CTRL, 4, 5);
    rig_ste(r, false, SID, STE_S2 | STE_V, 0, STE2(VTCR48, 1), rig_table(r, 4096));
    fault_once(r, 0x1000);
    assert_int_equal(rig_reg(r, false, GERROR, 4), 1 << 4 | 1 << 5 | 1 << 7);
}

/* Messages, events and tables that name our own registers must not make us call ourselves without end. */
static void test_own_registers(void **state)
{
    SmmuRig  *r = *state;
    DmaTarget t;

    /* SYNC that moves CMDQ_PROD: every command ends, and what PROD then says is left for software to ring again. */
    rig_put(r, RIG_CMDQ, CMD_SYNC | 1 << 12 | 5ull << 32);
    rig_put(r, RIG_CMDQ + 8, RIG_SMMU + CMDQ_PROD);
    for (unsigned i = 1; i < 8; i++) {
        rig_put(r, RIG_CMDQ + i * 16, CMD_SYNC);
    }
    rig_set(r, false, CMDQ_PROD, 4, 1);
    assert_int_equal(rig_reg(r, false, CMDQ_CONS, 4), 1);
    assert_int_equal(rig_reg(r, false, CMDQ_PROD, 4), 5);
    rig_set(r, false, CMDQ_PROD, 4, 5);
    assert_int_equal(rig_reg(r, false, CMDQ_CONS, 4), 5);

    /* The GERROR message acknowledges the error, whose command stays bad. */
    rig_set(r, false, IRQ_CTRL, 4, 0);
    rig_set(r, false, GERROR_IRQ_CFG0, 8, RIG_SMMU + GERRORN);
    rig_set(r, false, GERROR_IRQ_CFG1, 4, 1);
    rig_set(r, false, IRQ_CTRL, 4, 5);
    rig_put(r, RIG_CMDQ + 5 * 16, 0xee);
    rig_set(r, false, CMDQ_PROD, 4, 6);
    assert_int_equal(rig_reg(r, false, GERRORN, 4), 1);

    /* Events land on CMDQ_PROD; the stream table is a register page. */
    rig_set(r, false, CR0, 4, 0);
    rig_set(r, false, EVENTQ_BASE, 8, (RIG_SMMU + 0x80) | RIG_QUEUE_LOG2);
    rig_set(r, false, STRTAB_BASE, 8, RIG_SMMU);
    rig_set(r, false, CR0, 4, 0xd);
    for (unsigned i = 0; i < 4; i++) {
        rig_dma(r, false, i, 0x1000, true, &t);
    }
}

/* ---- invalidation ---- */

/*
 * What is cached, each a page at 0x1000 (or a block) of a stream of its own:
 *   A stage 1, ASID 1, not global     B stage 1, ASID 2, not global   C stage 1, ASID 3, global
 *   D both stages, VMID 1, ASID 1     E stage 2, VMID 1               F stage 2, VMID 2
 *   G stage 1, ASID 1, 2 MiB block at 0x200000, used at 0x234000
 */
enum { N_CACHED = 7 };

typedef struct Cached {
    uint32_t sid;
    uint64_t iova, slot, old;
} Cached;

static void cache_all(SmmuRig *r, Cached c[N_CACHED])
{
    static const struct {
        uint16_t asid;
        uint64_t ng;
    } s1[] = { { 1, S1_NG }, { 2, S1_NG }, { 3, 0 } };
    DmaTarget t;

    Nest n = nest(r, 1, 1, 0);
    c[3] = (Cached){ .sid = SID, .iova = 0x1000, .slot = n.s1_leaf };
    for (unsigned i = 0; i < 3; i++) {
        uint64_t ttb = rig_table(r, 4096), cd = RIG_CD + 64 * (i + 1);

        c[i] = (Cached){ .sid = 10 + i, .iova = 0x1000 };
        c[i].slot = rig_map(r, ttb, 12, 0, 3, 0x1000, RIG_DATA | D_PAGE | S1_RW | s1[i].ng, 0);
        if (i == 0) {
            uint64_t slot = rig_map(r, ttb, 12, 0, 2, 0x200000, RIG_DATA | D_BLOCK | S1_RW | S1_NG, 0);

            c[6] = (Cached){ .sid = 10, .iova = 0x234000, .slot = slot };
        }
        put_cd(r, cd, CD0(s1[i].asid) | CD_EPD1, ttb, 0);
        rig_ste(r, false, 10 + i, cd | STE_S1 | STE_V, 0, 0, 0);
    }
    for (unsigned i = 0; i < 2; i++) {
        uint64_t ttb = rig_table(r, 4096);

        c[4 + i] = (Cached){ .sid = 20 + i, .iova = 0x1000 };
        c[4 + i].slot = rig_map(r, ttb, 12, 0, 3, 0x1000, RIG_DATA | D_PAGE | S2_RW, 0);
        rig_ste(r, false, 20 + i, STE_S2 | STE_V, 0, STE2(VTCR48, 1 + i), ttb);
    }
    /* Streams 10 to 21 all have a page 0x1000, and a slot of the cache holds one page: they take their turns. */
    for (unsigned i = 0; i < N_CACHED; i++) {
        assert_int_equal(rig_dma(r, false, c[i].sid, c[i].iova, false, &t), DMA_OK);
        c[i].old = t.pa;
    }
}

typedef struct TlbiRow {
    const char *name;
    uint64_t    w0, w1;
    const char *kept; /* letters of what must stay */
} TlbiRow;

#define VMID_(n) ((uint64_t)(n) << 32)
#define ASID_(n) ((uint64_t)(n) << 48)

static const TlbiRow tlbi_rows[] = {
    { "nothing", CMD_SYNC, 0, "ABCDEFG" },
    { "NH_ALL, VMID 0", CMD_TLBI_NH_ALL, 0, "DEF" },
    { "NH_ALL, VMID 1", CMD_TLBI_NH_ALL | VMID_(1), 0, "ABCEFG" },
    { "NH_ASID 1, VMID 0", CMD_TLBI_NH_ASID | ASID_(1), 0, "BCDEF" },
    { "NH_ASID 1, VMID 1", CMD_TLBI_NH_ASID | ASID_(1) | VMID_(1), 0, "ABCEFG" },
    { "NH_ASID 3: not the global page", CMD_TLBI_NH_ASID | ASID_(4), 0, "ABCDEFG" },
    { "NH_VA, ASID 1", CMD_TLBI_NH_VA | ASID_(1), 0x1000, "BDEFG" }, /* C is global */
    { "NH_VA, ASID 1, VMID 1", CMD_TLBI_NH_VA | ASID_(1) | VMID_(1), 0x1000, "ABCEFG" },
    { "NH_VA, another page", CMD_TLBI_NH_VA | ASID_(1), 0x2000, "ABCDEFG" },
    { "NH_VA in the block", CMD_TLBI_NH_VA | ASID_(1), 0x3ff000, "ABCDEF" },
    { "NH_VAA", CMD_TLBI_NH_VAA, 0x1000, "DEFG" },
    { "NH_VAA, leaf only", CMD_TLBI_NH_VAA, 0x1001, "DEFG" },
    { "NH_VAA, range 0 to 0x3fffff", CMD_TLBI_NH_VAA | 31ull << 12 | 5ull << 20, 1 << 10, "DEF" },
    { "NH_VAA, range of two 4K pages below", CMD_TLBI_NH_VAA | 1ull << 12, 1 << 10 | 0x2000, "ABCDEFG" },
    { "NH_VAA, range of one 64K granule", CMD_TLBI_NH_VAA, 3 << 10 | 3 << 8 | 0x1000, "DEFG" },
    { "S12_VMALL, VMID 1", CMD_TLBI_S12_VMALL | VMID_(1), 0, "ABCFG" },
    { "S12_VMALL, VMID 2", CMD_TLBI_S12_VMALL | VMID_(2), 0, "ABCDEG" },
    { "S2_IPA, VMID 1", CMD_TLBI_S2_IPA | VMID_(1), 0x1000, "ABCDFG" },
    { "S2_IPA, VMID 1, of the nested page", CMD_TLBI_S2_IPA | VMID_(1), RIG_DATA + BIAS, "ABCEFG" },
    { "S2_IPA, VMID 2", CMD_TLBI_S2_IPA | VMID_(2), 0x1000, "ABCDEG" },
    { "S2_IPA, another page", CMD_TLBI_S2_IPA | VMID_(1), 0x2000, "ABCDEFG" },
    { "NSNH_ALL", CMD_TLBI_NSNH_ALL, 0, "" },
    { "CFGI_STE", CMD_CFGI_STE | 10ull << 32, 1, "BCDEF" },
    { "CFGI_STE_RANGE of 16", CMD_CFGI_STE_RANGE | 15ull << 32, 3, "EF" },
    { "CFGI_ALL", CMD_CFGI_STE_RANGE, 31, "" },
    { "CFGI_CD", CMD_CFGI_CD | 11ull << 32, 1, "ACDEFG" },
};

/* A changed table is seen only after the command that covers it. */
static void test_tlbi(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(tlbi_rows); i++) {
        for (unsigned which = 0; which < N_CACHED; which++) {
            SmmuRig  *r = rig_new();
            Cached    c[N_CACHED];
            DmaTarget t;

            cache_all(r, c);
            assert_int_equal(rig_dma(r, false, c[which].sid, c[which].iova, false, &t), DMA_OK);
            rig_put(r, c[which].slot, rig_get(r, c[which].slot) ^ 0x200000); /* bit 21 */
            rig_command(r, false, tlbi_rows[i].w0, tlbi_rows[i].w1);
            assert_int_equal(rig_reg(r, false, GERROR, 4), 0);
            assert_int_equal(rig_dma(r, false, c[which].sid, c[which].iova, false, &t), DMA_OK);
            bool kept = t.pa == c[which].old, want = strchr(tlbi_rows[i].kept, 'A' + (int)which) != NULL;
            if (kept != want || (!kept && t.pa != (c[which].old ^ 0x200000))) {
                fail_msg("%s: %c %s, pa %#llx", tlbi_rows[i].name, 'A' + which, kept ? "stayed" : "went",
                         (unsigned long long)t.pa);
            }
            rig_free(r);
        }
    }
}

/* Tagged and untagged names of one page (TBI) go together. */
static void test_tlbi_tagged(void **state)
{
    SmmuRig  *r = *state;
    uint64_t  ttb = rig_table(r, 4096), tagged = 0xab00000000001000;
    uint64_t  slot = rig_map(r, ttb, 12, 0, 3, 0x1000, RIG_DATA | D_PAGE | S1_RW | S1_NG, 0);
    DmaTarget t;

    put_cd(r, RIG_CD, CD0(1) | CD_EPD1 | BIT(38), ttb, 0);
    rig_ste(r, false, SID, RIG_CD | STE_S1 | STE_V, 0, 0, 0);
    assert_int_equal(rig_dma(r, false, SID, tagged, false, &t), DMA_OK);
    rig_put(r, slot, (RIG_DATA + 0x1000) | D_PAGE | S1_RW | S1_NG);
    assert_int_equal(rig_dma(r, false, SID, tagged, false, &t), DMA_OK);
    assert_int_equal(t.pa, RIG_DATA);
    rig_command(r, false, CMD_TLBI_NH_VA | ASID_(1), 0x1000);
    assert_int_equal(rig_dma(r, false, SID, tagged, false, &t), DMA_OK);
    assert_int_equal(t.pa, RIG_DATA + 0x1000);
}

/* Without blocks and nesting a page of an IPA is found without a search. */
static void test_tlbi_ipa(void **state)
{
    SmmuRig  *r = *state;
    uint64_t  ttb = rig_table(r, 4096), slot[3];
    DmaTarget t;

    for (unsigned i = 0; i < 3; i++) {
        slot[i] = rig_map(r, ttb, 12, 0, 3, i * 0x1000, RIG_DATA | D_PAGE | S2_RW, 0);
    }
    rig_ste(r, false, SID, STE_S2 | STE_V, 0, STE2(VTCR48, 1), ttb);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(rig_dma(r, false, SID, i * 0x1000, false, &t), DMA_OK);
        rig_put(r, slot[i], 0);
    }
    rig_command(r, false, CMD_TLBI_S2_IPA | VMID_(2), 0x1000);
    assert_int_equal(rig_dma(r, false, SID, 0x1000, false, &t), DMA_OK);
    rig_command(r, false, CMD_TLBI_S2_IPA | VMID_(1), 0x1000);
    assert_int_equal(rig_dma(r, false, SID, 0x1000, false, &t), DMA_FAULT);
    assert_int_equal(rig_dma(r, false, SID, 0x0000, false, &t), DMA_OK);
    assert_int_equal(rig_dma(r, false, SID, 0x2000, false, &t), DMA_OK);
    rig_command(r, false, CMD_TLBI_S2_IPA | VMID_(1) | 3ull << 12, 1 << 10);
    assert_int_equal(rig_dma(r, false, SID, 0x0000, false, &t), DMA_FAULT);
    assert_int_equal(rig_dma(r, false, SID, 0x2000, false, &t), DMA_FAULT);
}

/* Configuration is cached, too; what was bad is looked at again every time. */
static void test_cfgi(void **state)
{
    SmmuRig  *r = *state;
    DmaTarget t;

    assert_int_equal(rig_dma(r, false, SID, 0x1000, false, &t), DMA_FAULT);
    good_stage2(r);
    assert_int_equal(rig_dma(r, false, SID, 0x1000, false, &t), DMA_OK);
    rig_ste(r, false, SID, 0, 0, 0, 0);
    assert_int_equal(rig_dma(r, false, SID, 0x1000, false, &t), DMA_OK);
    rig_command(r, false, CMD_CFGI_STE | (uint64_t)(SID + 1) << 32, 1); /* another stream */
    assert_int_equal(rig_dma(r, false, SID, 0x1000, false, &t), DMA_OK);
    rig_command(r, false, CMD_CFGI_STE | (uint64_t)SID << 32, 1);
    assert_int_equal(rig_dma(r, false, SID, 0x1000, false, &t), DMA_FAULT);
    /* Streams that share a slot of the cache do not get each other's configuration. */
    rig_ste(r, false, 1, STE_BYPASS | STE_V, 0, 0, 0);
    assert_int_equal(rig_dma(r, false, 1, RIG_DATA, false, &t), DMA_OK);
    assert_int_equal(rig_dma(r, false, 1 + 64, RIG_DATA, false, &t), DMA_FAULT);
}

/* ---- what a monitor sees ---- */

static void put_look(void *opaque, const SmmuStreamLook *st)
{
    g_string_append_printf(opaque, "%x:%s%s%s%s%s%s%s%s", st->sid, st->cached ? " cached" : "",
                           st->differs ? " differs" : "", st->bad_ste ? " bad" : "", st->bad_cd ? " bad-cd" : "",
                           st->bad_ste ? "" : st->abort ? " abort" : !st->s1 && !st->s2 ? " bypass" : "",
                           st->s1 && !st->bad_ste ? " s1" : "", st->s2 && !st->bad_ste ? " s2" : "",
                           st->tables ? " tables" : "");
    if (!st->bad_ste) {
        g_string_append_printf(opaque, " asid %u vmid %u", st->asid, st->vmid);
    }
    g_string_append_c(opaque, '\n');
}

static void expect_look(SmmuRig *r, Pas pas, unsigned max, unsigned n, const char *want)
{
    g_autoptr(GString) got = g_string_new(NULL);

    assert_int_equal(smmu_look_streams(r->smmu, pas, max, put_look, got), n);
    assert_string_equal(got->str, want);
}

/* Each entry of the table by its own, whatever the cache has; nothing is cached or told by looking. */
static void test_look(void **state)
{
    SmmuRig  *r = *state;
    DmaTarget t;

    expect_look(r, PAS_NONSECURE, 9, 0, "");
    rig_ste(r, false, 1, STE_V | STE_ABORT, 0, 0, 0);
    rig_ste(r, false, 2, STE_V | STE_BYPASS, 0, 0, 0);
    good_stage1(r);
    rig_ste(r, false, 20, STE_V | STE_S2, 0, 0, 0); /* no stage 2 like that */
    rig_ste(r, false, 21, RIG_CD | STE_V | STE_NESTED, 0, STE2(VTCR48, 7), rig_table(r, 4096));
    rig_ste(r, false, 22, (RIG_CD + 64) | STE_V | STE_S1, 0, 0, 0);     /* no context descriptor */
    rig_ste(r, false, 63, RIG_SMMU | STE_V | STE_S1, 0, 0, 0);          /* a device's registers */
    g_autofree char *s1 = g_strdup_printf("%x:", SID);
    g_autofree char *rest = g_strdup_printf("1: abort asid 0 vmid 0\n2: bypass asid 0 vmid 0\n"
                                            "%s s1 tables asid 1 vmid 0\n",
                                            s1);
    g_autofree char *all = g_strconcat(rest, "14: bad\n15: s1 s2 asid 0 vmid 7\n16: bad-cd s1 asid 0 vmid 0\n"
                                       "3f: s1 asid 0 vmid 0\n", NULL);
    expect_look(r, PAS_NONSECURE, 99, 7, all);
    expect_look(r, PAS_NONSECURE, 3, 7, rest);
    expect_look(r, PAS_REALM, 99, 0, "");
    assert_int_equal(smmu_n_events(r->smmu, PAS_NONSECURE), 0);

    /* The cache, and what has changed since in memory. */
    assert_int_equal(rig_dma(r, false, 2, RIG_DATA, false, &t), DMA_OK);
    assert_int_equal(rig_dma(r, false, SID, 0x1000, false, &t), DMA_OK);
    rig_ste(r, false, 2, 0, 0, 0, 0);
    g_autofree char *now = g_strdup_printf("1: abort asid 0 vmid 0\n%s cached s1 tables asid 1 vmid 0\n", s1);
    g_autofree char *stale = g_strconcat(now, "2: cached differs bypass asid 0 vmid 0\n", NULL);
    expect_look(r, PAS_NONSECURE, 2, 6, stale);

    /* Of two levels, and where the table is another world's or no memory. */
    rig_set(r, false, CR0, 4, 0);
    expect_look(r, PAS_NONSECURE, 9, 0, "");
    rig_set(r, false, STRTAB_BASE, 8, RIG_EVTQ);
    rig_set(r, false, STRTAB_BASE_CFG, 4, 1 << 16 | 8 << 6 | 16);
    rig_set(r, false, CR0, 4, 0xd);
    rig_put(r, RIG_EVTQ, RIG_STRTAB | 7);           /* 64 of 256 */
    rig_put(r, RIG_EVTQ + 8, RIG_R_STRTAB | 8);     /* the Realm's memory */
    rig_put(r, RIG_EVTQ + 16, RIG_SMMU | 9);
    rig_put(r, RIG_EVTQ + 24, 31);
    rig_put(r, RIG_EVTQ + 32, RIG_STRTAB | 2);      /* the first two once more */
    expect_look(r, PAS_NONSECURE, 1, 7, "1: abort asid 0 vmid 0\n");
    rig_set(r, false, CR0, 4, 0);
    rig_set(r, false, STRTAB_BASE, 8, ~0ull);
    rig_set(r, false, CR0, 4, 0xd);
    expect_look(r, PAS_NONSECURE, 9, 0, "");
}

/* ---- the Realm interface ---- */

#define R_DATA (RIG_DATA + 0x10000)

/* Stage 2 of a Realm: tables and a page in Realm memory, a shared page by the NS bit of its descriptor. */
static uint64_t realm_stream(SmmuRig *r)
{
    uint64_t ttb = rig_table(r, 4096);

    rig_map(r, ttb, 12, 0, 3, 0x1000, R_DATA | D_PAGE | S2_RW, 0);
    rig_map(r, ttb, 12, 0, 3, 0x2000, RIG_DATA | D_PAGE | S2_RW | BIT(55), 0);
    owners_set(r->owners, ttb, r->next_table - ttb, OWNER_REALM);
    owners_set(r->owners, R_DATA, 4096, OWNER_REALM);
    rig_ste(r, true, SID, STE_S2 | STE_V, 0, STE2(VTCR48, 1), ttb);
    return ttb;
}

static void test_realm_stream(void **state)
{
    SmmuRig  *r = *state;
    DmaTarget t;

    realm_stream(r);
    assert_int_equal(rig_dma(r, true, SID, 0x1008, true, &t), DMA_OK);
    assert_int_equal(t.pa, R_DATA + 8);
    assert_int_equal(t.pas, PAS_REALM);
    assert_int_equal(rig_dma(r, true, SID, 0x2008, true, &t), DMA_OK);
    assert_int_equal(t.pa, RIG_DATA + 8);
    assert_int_equal(t.pas, PAS_NONSECURE);
    assert_int_equal(rig_dma(r, true, SID, 0x3000, true, &t), DMA_FAULT);
    expect_event(r, true, "Realm, not mapped", F_TRANSLATION | (uint64_t)SID << 32, E_S2 | E_IN, 0x3000, 0x3000);
    /* The same stream with T=0 is another one, which nobody set up. */
    assert_int_equal(rig_dma(r, false, SID, 0x1008, true, &t), DMA_FAULT);
    expect_event(r, false, "T=0", C_BAD_STE | (uint64_t)SID << 32, 0, 0, 0);
    expect_none(r, true, "T=0");
    assert_int_equal(smmu_n_events(r->smmu, PAS_REALM), 1);
    assert_int_equal(smmu_n_events(r->smmu, PAS_NONSECURE), 1);
    /* Each interface drops what is its own. */
    rig_command(r, false, CMD_TLBI_NSNH_ALL, 0);
    rig_ste(r, true, SID, 0, 0, 0, 0);
    assert_int_equal(rig_dma(r, true, SID, 0x1008, true, &t), DMA_OK);
    rig_command(r, true, CMD_CFGI_STE | (uint64_t)SID << 32, 1);
    assert_int_equal(rig_dma(r, true, SID, 0x1008, true, &t), DMA_FAULT);
    expect_event(r, true, "V cleared (DMA_DISABLE)", C_BAD_STE | (uint64_t)SID << 32, 0, 0, 0);
}

/* A Realm stream past translation: its output space is Realm unless NSCFG overrides. "Realm stream bypass" */
static void test_realm_bypass(void **state)
{
    static const struct {
        uint64_t  nscfg;
        Pas       pas;
        DmaResult to_realm, to_shared; /* a page of Realm, of Non-secure memory */
    } rows[] = {
        { 0, PAS_REALM, DMA_OK, DMA_GPF },
        { 1, PAS_REALM, DMA_OK, DMA_GPF },
        { 2, PAS_REALM, DMA_OK, DMA_GPF },
        { 3, PAS_NONSECURE, DMA_GPF, DMA_OK },
    };
    SmmuRig  *r = *state;
    DmaTarget t;

    owners_set(r->owners, R_DATA, 4096, OWNER_REALM);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        rig_ste(r, true, SID, STE_BYPASS | STE_V, rows[i].nscfg << 46, 0, 0);
        rig_command(r, true, CMD_CFGI_STE | (uint64_t)SID << 32, 1);
        assert_int_equal(rig_dma(r, true, SID, R_DATA, true, &t), rows[i].to_realm);
        assert_true(rows[i].to_realm != DMA_OK || t.pas == rows[i].pas);
        assert_int_equal(rig_dma(r, true, SID, RIG_DATA, true, &t), rows[i].to_shared);
        assert_true(rows[i].to_shared != DMA_OK || t.pas == rows[i].pas);
    }
    expect_none(r, true, "bypass");
}

typedef struct RealmRow {
    const char *name;
    bool        nested;
    enum { SHARE_NOTHING, SHARE_CD, SHARE_TABLE, SHARE_DATA } what; /* stage 2 leads out of Realm memory */
    DmaResult   result;
    Pas         pas;
    uint64_t    w1;       /* of F_PERMISSION */
} RealmRow;

static const RealmRow realm_rows[] = {
    { "stage 1", false, SHARE_NOTHING, DMA_OK, PAS_REALM, 0 },
    { "both stages", true, SHARE_NOTHING, DMA_OK, PAS_REALM, 0 },
    { "shared data", true, SHARE_DATA, DMA_OK, PAS_NONSECURE, 0 },
    { "shared CD", true, SHARE_CD, DMA_FAULT, 0, E_S2 | E_CD | E_READ },
    { "shared stage 1 table", true, SHARE_TABLE, DMA_FAULT, 0, E_S2 | E_TTD | E_TT_READ | E_READ },
};

/* Stage 1 of a Realm stream. "F_PERMISSION", in an SMMU with RME DA: its structures are in Realm memory. */
static void test_realm_stage1(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(realm_rows); i++) {
        const RealmRow *row = &realm_rows[i];
        SmmuRig        *r = rig_new();
        Nest            n = nest(r, 3, 7, 0);
        DmaTarget       t;
        uint64_t        bias = row->nested ? BIAS : 0;
        uint64_t        shared = row->what == SHARE_CD ? RIG_CD : row->what == SHARE_TABLE ? n.s1ttb : RIG_DATA;

        if (!row->nested) {
            n.s1ttb = rig_table(r, 4096);
            rig_map(r, n.s1ttb, 12, 0, 3, 0x1000, RIG_DATA | D_PAGE | S1_RW, 0);
            put_cd(r, RIG_CD, CD0(7) | CD_EPD1, n.s1ttb, 0);
        }
        rig_ste(r, true, SID, (RIG_CD + bias) | (row->nested ? STE_NESTED : STE_S1) | STE_V, 0, STE2(VTCR48, 3),
                n.s2ttb);
        owners_set(r->owners, RIG_CD, 4096, OWNER_REALM);
        owners_set(r->owners, RIG_TABLES, r->next_table - RIG_TABLES, OWNER_REALM);
        owners_set(r->owners, RIG_DATA, 4096, OWNER_REALM);
        if (row->what != SHARE_NOTHING) {
            uint64_t slot = s2_slot(r, &n, shared);

            rig_put(r, slot, rig_get(r, slot) | BIT(55)); /* NS */
            owners_set(r->owners, shared, 4096, OWNER_NONSECURE);
        }
        DmaResult got = rig_dma(r, true, SID, 0x1008, false, &t);
        if (got != row->result || (got == DMA_OK && (t.pa != RIG_DATA + 8 || t.pas != row->pas))) {
            fail_msg("%s: %s, %#llx", row->name, dma_result_name(got), (unsigned long long)t.pa);
        }
        if (row->result != DMA_OK) {
            expect_event(r, true, row->name, F_PERMISSION | (uint64_t)SID << 32, row->w1, 0x1008, shared + BIAS);
        }
        rig_free(r);
    }
}

/* Messages of the Realm interface go to Realm memory unless NS says otherwise. */
static void test_realm_messages(void **state)
{
    SmmuRig  *r = *state;
    DmaTarget t;

    owners_set(r->owners, R_DATA, 4096, OWNER_REALM);
    rig_command(r, true, CMD_SYNC | 1 << 12 | 0x11ull << 32, R_DATA);
    assert_int_equal(rig_get(r, R_DATA), 0x11);
    rig_command(r, true, CMD_SYNC | 1 << 12 | 0x22ull << 32, RIG_DATA | BIT(63));
    assert_int_equal(rig_get(r, RIG_DATA), 0x22);
    rig_command(r, true, CMD_SYNC | 1 << 12 | 0x33ull << 32, BIT(63)); /* no address: a wire, of which there is none */
    assert_int_equal(rig_reg(r, true, GERROR, 4), 0);
    rig_command(r, true, CMD_SYNC | 1 << 12 | 0x44ull << 32, RIG_DATA);
    assert_int_equal(rig_get(r, RIG_DATA), 0x22);
    assert_int_equal(rig_reg(r, true, GERROR, 4), 1 << 4);
    /* MSI_NS of a Non-secure command is reserved: it stays what it is. */
    rig_command(r, false, CMD_SYNC | 1 << 12 | 0x55ull << 32, (RIG_DATA + 8) | BIT(63));
    assert_int_equal(rig_get(r, RIG_DATA + 8), 0x55);

    rig_set(r, true, IRQ_CTRL, 4, 0);
    rig_set(r, true, EVENTQ_IRQ_CFG0, 8, (RIG_DATA + 16) | BIT(63));
    rig_set(r, true, EVENTQ_IRQ_CFG1, 4, 0x66);
    rig_set(r, true, GERROR_IRQ_CFG0, 8, R_DATA + 24);
    rig_set(r, true, GERROR_IRQ_CFG1, 4, 0x77);
    rig_set(r, true, IRQ_CTRL, 4, 5);
    assert_int_equal(rig_dma(r, true, SID, 0x1000, false, &t), DMA_FAULT);
    assert_int_equal(rig_get(r, RIG_DATA + 16), 0x66);
    rig_command(r, true, 0xee, 0);
    assert_int_equal(rig_get(r, R_DATA + 24), 0x77);
}

/* Who sees the register pages. */
static void test_pages_by_space(void **state)
{
    SmmuRig *r = *state;
    uint64_t v;

    smmu_realm_ops.read(r->smmu, IDR1, 4, (MemAttrs){ .pas = PAS_NONSECURE }, &v);
    assert_int_equal(v, 0);
    smmu_realm_ops.write(r->smmu, CR0, 4, (MemAttrs){ .pas = PAS_SECURE }, 0);
    assert_int_equal(rig_reg(r, true, CR0, 4), 0xd);
    smmu_root_ops.read(r->smmu, ROOT_CR0, 4, (MemAttrs){ .pas = PAS_REALM }, &v);
    assert_int_equal(v, 0);
    smmu_root_ops.write(r->smmu, ROOT_CR0, 4, (MemAttrs){ .pas = PAS_NONSECURE }, 0);
    assert_int_equal(rig_root(r, ROOT_CR0, 4), 3);
}

/* ---- granule protection ---- */

#define GPF_FAR(pas, pa, code, reason) ((uint64_t)(pas) << 62 | ((pa) & ~0xfffull) | (code) << 4 | (reason) << 1 | 1)

typedef struct GpfRow {
    const char *name;
    enum { GPF_DATA, GPF_BYPASS, GPF_STE, GPF_CD, GPF_S1_TABLE, GPF_S2_TABLE, GPF_EVTQ } what;
    DmaResult   result;
    uint64_t    event, w1; /* 0: none */
    unsigned    code, reason;
} GpfRow;

static const GpfRow gpf_rows[] = {
    { "output", GPF_DATA, DMA_GPF, 0, 0, 0, 3 },
    { "output of a bypass", GPF_BYPASS, DMA_GPF, 0, 0, 0, 3 },
    { "STE", GPF_STE, DMA_FAULT, F_STE_FETCH, E_GPCF, 0x03, 1 },
    { "CD", GPF_CD, DMA_FAULT, F_CD_FETCH, E_GPCF, 0x09, 1 },
    { "stage 1 table", GPF_S1_TABLE, DMA_FAULT, F_WALK_EABT, E_GPCF | E_TTD | E_READ, 0x0b, 1 },
    { "stage 2 table", GPF_S2_TABLE, DMA_FAULT, F_WALK_EABT, E_GPCF | E_S2 | E_READ, 0x0b, 1 },
    { "event queue", GPF_EVTQ, DMA_FAULT, 0, 0, 0x02, 2 },
};

/* "SMMU-originated accesses", "Reporting of GPC faults": events carry GPCF, the output's fault is Root's alone. */
static void test_gpf(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(gpf_rows); i++) {
        const GpfRow *row = &gpf_rows[i];
        SmmuRig      *r = rig_new();
        Nest          n = nest(r, 1, 1, 0);
        DmaTarget     t;
        uint64_t      iova = 0x1000, pa = RIG_DATA, fetch = 0, queue_wants = 0;

        switch (row->what) {
        case GPF_DATA: break;
        case GPF_BYPASS:
            rig_ste(r, false, SID, STE_BYPASS | STE_V, 0, 0, 0);
            iova = RIG_DATA;
            break;
        case GPF_STE: pa = fetch = RIG_STRTAB + SID * 64; break;
        case GPF_CD: pa = fetch = RIG_CD; break;
        case GPF_S1_TABLE: pa = fetch = n.s1ttb; break;
        case GPF_S2_TABLE: pa = fetch = n.s2ttb; break;
        case GPF_EVTQ:
            rig_put(r, n.s1_leaf, 0);
            pa = RIG_EVTQ;
            queue_wants = 1;
            break;
        }
        owners_set(r->owners, pa & ~0xfffull, 4096, OWNER_REALM);
        DmaResult got = rig_dma(r, false, SID, iova, false, &t);
        if (got != row->result) {
            fail_msg("%s: %s", row->name, dma_result_name(got));
        }
        uint64_t far = rig_root(r, ROOT_GPF_FAR, 8), want = GPF_FAR(PAS_NONSECURE, pa, row->code, row->reason);
        if (far != want) {
            fail_msg("%s: ROOT_GPF_FAR %#llx, not %#llx", row->name, (unsigned long long)far, (unsigned long long)want);
        }
        owners_set(r->owners, pa & ~0xfffull, 4096, OWNER_NONSECURE);
        if (row->event != 0) {
            bool full = row->event == F_WALK_EABT;

            expect_event(r, false, row->name, row->event | (uint64_t)SID << 32, row->w1, full ? iova : 0, fetch);
        } else {
            expect_none(r, false, row->name);
        }
        assert_int_equal(rig_reg(r, false, GERROR, 4) >> 2, queue_wants);
        rig_free(r);
    }
}

/* The first fault stays until Root software clears it; a page that changes hands leaves the cache. */
static void test_gpf_far(void **state)
{
    SmmuRig  *r = *state;
    DmaTarget t;

    rig_ste(r, false, SID, STE_BYPASS | STE_V, 0, 0, 0);
    good_stage2(r);
    assert_int_equal(rig_dma(r, false, SID, 0x1000, true, &t), DMA_OK);
    owners_set(r->owners, RIG_DATA, 4096, OWNER_REALM);
    assert_int_equal(rig_dma(r, false, SID, 0x1000, true, &t), DMA_GPF);
    uint64_t first = GPF_FAR(PAS_NONSECURE, RIG_DATA, 0, 3);
    assert_int_equal(rig_root(r, ROOT_GPF_FAR, 8), first);
    rig_command(r, false, CMD_SYNC | 1 << 12, RIG_DATA + 4); /* another one, of a message */
    assert_int_equal(rig_reg(r, false, GERROR, 4), 1 << 4);
    assert_int_equal(rig_root(r, ROOT_GPF_FAR, 8), first);
    rig_set_root(r, ROOT_GPF_FAR, 8, 1);
    assert_int_equal(rig_root(r, ROOT_GPF_FAR, 8), first);
    rig_set_root(r, ROOT_GPF_FAR, 8, 0);
    assert_int_equal(rig_root(r, ROOT_GPF_FAR, 8), 0);
    rig_set(r, false, GERRORN, 4, 1 << 4);
    rig_command(r, false, CMD_SYNC | 1 << 12, RIG_DATA + 4);
    assert_int_equal(rig_root(r, ROOT_GPF_FAR, 8), GPF_FAR(PAS_NONSECURE, RIG_DATA, 4, 2));
    /* A Realm that points at the host's page. */
    rig_set_root(r, ROOT_GPF_FAR, 8, 0);
    realm_stream(r);
    owners_set(r->owners, R_DATA, 4096, OWNER_NONSECURE);
    assert_int_equal(rig_dma(r, true, SID, 0x1000, true, &t), DMA_GPF);
    assert_int_equal(rig_root(r, ROOT_GPF_FAR, 8), GPF_FAR(PAS_REALM, R_DATA, 0, 3));
    /* A page that the Realm shared and that is another's now: FPAS is the space of the access, not of the stream. */
    rig_set_root(r, ROOT_GPF_FAR, 4, 0);
    assert_int_equal(rig_root(r, ROOT_GPF_FAR, 8), 0);
    assert_int_equal(rig_dma(r, true, SID, 0x2000, true, &t), DMA_GPF);
    assert_int_equal(rig_root(r, ROOT_GPF_FAR, 8), GPF_FAR(PAS_NONSECURE, RIG_DATA, 0, 3));
    rig_set_root(r, ROOT_GPF_FAR + 4, 4, 0);
    assert_int_equal(rig_root(r, ROOT_GPF_FAR, 8), GPF_FAR(PAS_NONSECURE, RIG_DATA, 0, 3));
    expect_none(r, true, "output");
}

/* ROOT_CR0.ACCESSEN silences everything; GPCEN cannot be taken away. */
static void test_root_cr0(void **state)
{
    SmmuRig  *r = *state;
    DmaTarget t;

    good_stage2(r);
    assert_int_equal(rig_dma(r, false, SID, 0x1000, true, &t), DMA_OK);
    rig_set_root(r, ROOT_CR0, 4, 0);
    assert_int_equal(rig_root(r, ROOT_CR0ACK, 4), 2);
    assert_int_equal(rig_dma(r, false, SID, 0x1000, true, &t), DMA_GPF);
    rig_command(r, false, CMD_SYNC, 0);
    assert_int_equal(rig_reg(r, false, CMDQ_CONS, 4), 2u << 24);
    rig_set_root(r, ROOT_CR0, 4, 1);
    rig_set(r, false, GERRORN, 4, 1);
    assert_int_equal(rig_reg(r, false, CMDQ_CONS, 4), 1);
    assert_int_equal(rig_dma(r, false, SID, 0x1000, true, &t), DMA_OK);
}

/* A region that moves takes its cached translations along. */
static void test_moved_region(void **state)
{
    SmmuRig   *r = *state;
    MemRegion *bar = memory_add_mmio(r->memory, "bar", 0x10000000, 0x1000, &smmu_ns_ops, r->smmu);
    uint64_t   ttb = rig_table(r, 4096);
    DmaTarget  t;

    uint64_t slot = rig_map(r, ttb, 12, 0, 3, 0x1000, 0x10000000 | D_PAGE | S2_RW, 0);
    rig_ste(r, false, SID, STE_S2 | STE_V, 0, STE2(VTCR48, 1), ttb);
    assert_int_equal(rig_dma(r, false, SID, 0x1000, true, &t), DMA_OK);
    rig_put(r, slot, 0);
    memory_move(r->memory, bar, 0x20000000, true);
    assert_int_equal(rig_dma(r, false, SID, 0x1000, true, &t), DMA_FAULT);
}

/* ---- what is listed ---- */

static bool has_page_row(const char *name, unsigned off)
{
    for (size_t i = 0; i < ARRAY_LEN(page_rows); i++) {
        if (strcmp(page_rows[i].name, name) == 0) {
            return page_rows[i].off == off;
        }
    }
    return false;
}

static bool has_command_row(unsigned opcode)
{
    for (size_t i = 0; i < ARRAY_LEN(command_rows); i++) {
        if ((command_rows[i].w0 & 0xff) == opcode && command_rows[i].error == 0) {
            return true;
        }
    }
    return false;
}

static void check_listed(void *opaque, const char *kind, const char *name, unsigned number)
{
    unsigned *n_registers = opaque;
    bool      is_register = strcmp(kind, "register") == 0;
    bool      seen = is_register                     ? has_page_row(name, number)
                     : strcmp(kind, "command") == 0 ? has_command_row(number)
                                                     : recorded[number];

    *n_registers += is_register;
    if (!seen) {
        fail_msg("%s %s is listed, and no row here has it", kind, name);
    }
}

/* Every register has its row, every command was taken, every event was recorded by some test before; the last. */
static void test_conformance(void **state)
{
    unsigned n_registers = 0;

    smmu_conformance(check_listed, &n_registers);
    assert_int_equal(n_registers, ARRAY_LEN(page_rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registers),
        cmocka_unit_test(test_pages),
        cmocka_unit_test_setup_teardown(test_reserved_places, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cr1, setup, teardown),
        cmocka_unit_test_setup_teardown(test_disabled, setup, teardown),
        cmocka_unit_test(test_config),
        cmocka_unit_test_setup_teardown(test_abort_and_bypass, setup, teardown),
        cmocka_unit_test(test_stream_tables),
        cmocka_unit_test(test_stage1),
        cmocka_unit_test_setup_teardown(test_table_permissions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_walk_abort, setup, teardown),
        cmocka_unit_test(test_stage2),
        cmocka_unit_test_setup_teardown(test_stage2_walk_abort, setup, teardown),
        cmocka_unit_test(test_nested),
        cmocka_unit_test(test_commands),
        cmocka_unit_test_setup_teardown(test_prefetch, setup, teardown),
        cmocka_unit_test_setup_teardown(test_command_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_command_fetch_abort, setup, teardown),
        cmocka_unit_test_setup_teardown(test_command_wrap, setup, teardown),
        cmocka_unit_test_setup_teardown(test_event_overflow, setup, teardown),
        cmocka_unit_test_setup_teardown(test_event_queue_abort, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wires, setup, teardown),
        cmocka_unit_test_setup_teardown(test_messages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_message_abort, setup, teardown),
        cmocka_unit_test_setup_teardown(test_own_registers, setup, teardown),
        cmocka_unit_test(test_tlbi),
        cmocka_unit_test_setup_teardown(test_tlbi_tagged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tlbi_ipa, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cfgi, setup, teardown),
        cmocka_unit_test_setup_teardown(test_look, setup, teardown),
        cmocka_unit_test_setup_teardown(test_realm_stream, setup, teardown),
        cmocka_unit_test_setup_teardown(test_realm_bypass, setup, teardown),
        cmocka_unit_test(test_realm_stage1),
        cmocka_unit_test_setup_teardown(test_realm_messages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pages_by_space, setup, teardown),
        cmocka_unit_test(test_gpf),
        cmocka_unit_test_setup_teardown(test_gpf_far, setup, teardown),
        cmocka_unit_test_setup_teardown(test_root_cr0, setup, teardown),
        cmocka_unit_test_setup_teardown(test_moved_region, setup, teardown),
        cmocka_unit_test(test_conformance),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
