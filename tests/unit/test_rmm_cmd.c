/*
 * Every RMI command of the core by its failure labels: one thing is broken, the command says so and nothing
 * has changed; then the valid call succeeds, and the same call again finds what it changed. At the end: every
 * label that the code has was seen.
 */
#include "tests/unit/rmm_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static Rig *rig;

static Realm *realm(void) { return realm_at(rig->rmm, PAGE(W_RD)); }
static Rec   *rec0(void) { return rec_at(rig->rmm, PAGE(W_REC0)); }

#define NOWHERE   0x1000ull /* no memory there */
#define SPARE(n)  PAGE(W_SPARE + (n))
#define T(level)  RMI_RETURN(RMI_ERROR_RTT, level)
#define NS_DESC   (PAGE(W_FREE) | 6 << 2 | 3 << 6)
#define BIT48     (1ull << 48)
#define GIB       0x40000000ull

/* ---- the valid calls ---- */

static void ready_realm_create(void) { world_params(rig, SPARE(1), 9, RMI_HASH_SHA_256); }
static void ready_realm_destroy(void) { rmi_ok(rig, RMI_FID_REC_DESTROY, PAGE(W_REC2)); }
static void ready_rec_create(void) { world_rec_params(rig, 2, 0, SPARE(1), true); }

static void ready_enter(void)
{
    rmi_ok(rig, RMI_FID_REALM_ACTIVATE, PAGE(W_RD));
    le32_put(rig_bytes(rig, PAGE(W_DATA)), A64_WFI);
    le32_put(rig_bytes(rig, PAGE(W_DATA)) + 4, A64_WFI);
    memory_dirty(rig->memory, PAGE(W_DATA), 8);
    rig_enter(rig, W_RUN, RMI_ENTER_FLAGS, RMI_ENTER_TRAP_WFI);
}

static void ready_table(void) { rmi_ok(rig, RMI_FID_RTT_CREATE, PAGE(W_RD), SPARE(0), GIB, 2); }
static void ready_unprotected(void)
{
    rmi_ok(rig, RMI_FID_RTT_MAP_UNPROTECTED, PAGE(W_RD), WORLD_NS + 0x3000, 3, NS_DESC);
}

static void pend_ripas(uint64_t base, uint64_t top, Ripas ripas)
{
    rec0()->pending = REC_RIPAS;
    rec0()->ripas.base = base;
    rec0()->ripas.top = top;
    rec0()->ripas.ripas = (uint8_t)ripas;
}

static void ready_set_ripas(void) { pend_ripas(0x1000, 0x3000, RIPAS_EMPTY); }

static void ready_psci(void)
{
    rec0()->pending = REC_PSCI;
    rec0()->psci.fid = 0xc4000003;
    rec0()->psci.mpidr = 1;
}

static const struct Valid {
    uint32_t    fid;
    uint64_t    x[5]; /* x1 on */
    void      (*ready)(void);
    const char *again; /* label of the same call a second time, NULL: it succeeds */
} valid[] = {
    { RMI_FID_VERSION, { 0x10000 }, NULL, NULL },
    { RMI_FID_FEATURES, { 0 }, NULL, NULL },
    { RMI_FID_GRANULE_DELEGATE, { PAGE(W_FREE) }, NULL, "gran_state" },
    { RMI_FID_GRANULE_UNDELEGATE, { SPARE(0) }, NULL, "gran_state" },
    { RMI_FID_REALM_CREATE, { SPARE(0), PAGE(W_PARAMS) }, ready_realm_create, "vmid_state" },
    { RMI_FID_REALM_ACTIVATE, { PAGE(W_RD) }, NULL, "realm_state" },
    { RMI_FID_REALM_DESTROY, { PAGE(W_RD2) }, ready_realm_destroy, "rd_state" },
    { RMI_FID_REC_AUX_COUNT, { PAGE(W_RD) }, NULL, NULL },
    { RMI_FID_REC_CREATE, { PAGE(W_RD), SPARE(0), PAGE(W_PARAMS) }, ready_rec_create, "aux_state" },
    { RMI_FID_REC_DESTROY, { PAGE(W_REC1) }, NULL, "rec_state" },
    { RMI_FID_REC_ENTER, { PAGE(W_REC0), PAGE(W_RUN) }, ready_enter, NULL },
    { RMI_FID_RTT_CREATE, { PAGE(W_RD), SPARE(0), GIB, 2 }, NULL, "rtt_state" },
    { RMI_FID_RTT_DESTROY, { PAGE(W_RD), GIB, 2 }, ready_table, "rtte_state" },
    { RMI_FID_RTT_FOLD, { PAGE(W_RD), GIB, 2 }, ready_table, "rtte_state" },
    { RMI_FID_RTT_READ_ENTRY, { PAGE(W_RD), 0, 3 }, NULL, NULL },
    { RMI_FID_RTT_MAP_UNPROTECTED, { PAGE(W_RD), WORLD_NS + 0x3000, 3, NS_DESC }, NULL, "rtte_state" },
    { RMI_FID_RTT_UNMAP_UNPROTECTED, { PAGE(W_RD), WORLD_NS + 0x3000, 3 }, ready_unprotected, "rtte_state" },
    { RMI_FID_RTT_INIT_RIPAS, { PAGE(W_RD), 0x8000, 0x10000 }, NULL, NULL },
    { RMI_FID_RTT_SET_RIPAS, { PAGE(W_RD), PAGE(W_REC0), 0x1000, 0x2000 }, ready_set_ripas, "base_bound" },
    { RMI_FID_DATA_CREATE, { PAGE(W_RD), SPARE(0), 0x9000, PAGE(W_SRC), 1 }, NULL, "data_state" },
    { RMI_FID_DATA_CREATE_UNKNOWN, { PAGE(W_RD), SPARE(0), 0x9000 }, NULL, "data_state" },
    { RMI_FID_DATA_DESTROY, { PAGE(W_RD), 0x1000 }, NULL, "rtte_state" },
    { RMI_FID_PSCI_COMPLETE, { PAGE(W_REC0), PAGE(W_REC1), 0 }, ready_psci, "pending" },
};

/* ---- what to break ---- */

/* The host's page belongs to somebody else by the page owner table, though its granule is NS. */
static void lose(unsigned page)
{
    assert_int_equal(granule_state(rig->rmm, PAGE(page)), GRANULE_NS);
    owners_set(rig->owners, PAGE(page), 4096, OWNER_ROOT);
}

static void lose_free(void) { lose(W_FREE); }
static void lose_params(void) { lose(W_PARAMS); }
static void lose_run(void) { lose(W_RUN); }
static void lose_src(void) { lose(W_SRC); }
static void want_counters(void)
{
    uint8_t *params = rig_bytes(rig, PAGE(W_PARAMS));

    params[RMI_REALM_FLAGS0] = RMI_REALM_FLAG_PMU;
    params[RMI_REALM_PMU_NUM_CTRS] = A64_N_COUNTERS + 1;
}
static void activate(void) { realm()->state = REALM_ACTIVE; }
static void deactivate(void) { realm()->state = REALM_NEW; }
static void system_off(void) { realm()->state = REALM_SYSTEM_OFF; }
static void many_recs(void) { realm()->next_rec = 512; }
static void rec_runs(void) { rec0()->running = true; }
static void rec1_runs(void) { rec_at(rig->rmm, PAGE(W_REC1))->running = true; }
static void not_runnable(void) { rec0()->runnable = false; }
static void nothing_pending(void) { rec0()->pending = REC_NOTHING; }
static void other_target(void) { rec0()->psci.mpidr = 7; }
static void bad_lr(void) { rig_enter(rig, W_RUN, RMI_ENTER_GICV3_LRS, ICH_LR_STATE_PENDING | 1020); }
static void sea(void) { rig_enter(rig, W_RUN, RMI_ENTER_FLAGS, RMI_ENTER_INJECT_SEA); }
static void mmio(void) { rig_enter(rig, W_RUN, RMI_ENTER_FLAGS, RMI_ENTER_EMUL_MMIO); }

static void mmio_without_syndrome(void)
{
    rec0()->pending = REC_DATA_ABORT;
    rec0()->abort.esr = 0;
    mmio();
}

static void live_root(void) { rmi_ok(rig, RMI_FID_RTT_CREATE, PAGE(W_RD2), SPARE(3), 0, 1); }
static void pend_block(void) { pend_ripas(0x201000, 0x203000, RIPAS_EMPTY); }

static void destroyed_page(void)
{
    rmi_ok(rig, RMI_FID_DATA_DESTROY, PAGE(W_RD), 0x1000);
    pend_ripas(0x1000, 0x3000, RIPAS_RAM);
}

/* A level 1 table full of 1 GiB blocks of the host's. */
static void full_level_1(void)
{
    rmi_ok(rig, RMI_FID_RTT_CREATE, PAGE(W_RD), SPARE(4), WORLD_NS + (512ull << 30), 1);
    for (uint64_t i = 0; i < 512; i++) {
        rmi_ok(rig, RMI_FID_RTT_MAP_UNPROTECTED, PAGE(W_RD), WORLD_NS + ((512 + i) << 30), 1, i << 30 | 6 << 2);
    }
}

typedef struct Row {
    uint32_t    fid;
    const char *label;
    uint64_t    x0;
    struct { uint8_t reg; uint64_t value; } arg[3]; /* reg 0: not changed */
    struct { uint16_t offset, len; uint64_t value; } poke; /* in the parameter page; len 0: none */
    void      (*prepare)(void);
} Row;

#define ARG(fid, label, x0, ...)      { RMI_FID_##fid, label, x0, .arg = { __VA_ARGS__ } }
#define POKE(fid, label, off, len, v) { RMI_FID_##fid, label, RMI_ERROR_INPUT, .poke = { off, len, v } }
#define DO(fid, label, x0, fn)        { RMI_FID_##fid, label, x0, .prepare = fn }
#define I RMI_ERROR_INPUT
#define GRANULE(fid, reg, name, wrong)                                                                 \
    ARG(fid, name "_align", I, { reg, SPARE(9) + 8 }), ARG(fid, name "_bound", I, { reg, NOWHERE }),     \
        ARG(fid, name "_bound", I, { reg, RIG_CARVEOUT }), ARG(fid, name "_bound", I, { reg, ~0xfffull }), \
        ARG(fid, name "_state", I, { reg, wrong })
#define HOST_PAGE(fid, reg, name)                                                                      \
    ARG(fid, name "_align", I, { reg, PAGE(W_FREE) + 1 }), ARG(fid, name "_bound", I, { reg, NOWHERE }), \
        ARG(fid, name "_pas", I, { reg, SPARE(9) })
#define TABLE_ADDRESS(fid, ipa_reg, level_reg)                                                         \
    ARG(fid, "level_bound", I, { level_reg, 0 }), ARG(fid, "level_bound", I, { level_reg, 4 }),          \
        ARG(fid, "level_bound", I, { level_reg, ~0ull }), ARG(fid, "ipa_align", I, { ipa_reg, GIB + 4096 }), \
        ARG(fid, "ipa_bound", I, { ipa_reg, BIT48 })
#define LEAF_ADDRESS(fid)                                                                              \
    ARG(fid, "level_bound", I, { 3, 0 }), ARG(fid, "level_bound", I, { 3, 4 }),                          \
        ARG(fid, "level_bound", I, { 3, ~0ull }), ARG(fid, "ipa_align", I, { 2, WORLD_NS + 8 }),         \
        ARG(fid, "ipa_bound", I, { 2, 0x3000 }), ARG(fid, "ipa_bound", I, { 2, BIT48 })
#define PAGE_ADDRESS(fid, reg)                                                                         \
    ARG(fid, "ipa_align", I, { reg, 0x9008 }), ARG(fid, "ipa_bound", I, { reg, WORLD_NS }),              \
        ARG(fid, "ipa_bound", I, { reg, ~0xfffull })

static const Row rows[] = {
    ARG(VERSION, "req_version", I, { 1, 0x20000 }),

    ARG(GRANULE_DELEGATE, "gran_align", I, { 1, PAGE(W_FREE) + 8 }),
    ARG(GRANULE_DELEGATE, "gran_bound", I, { 1, NOWHERE }),
    ARG(GRANULE_DELEGATE, "gran_bound", I, { 1, RIG_CARVEOUT }),
    ARG(GRANULE_DELEGATE, "gran_bound", I, { 1, 1ull << 60 }),
    ARG(GRANULE_DELEGATE, "gran_state", I, { 1, PAGE(W_RD) }),
    DO(GRANULE_DELEGATE, "gran_gpt", I, lose_free),

    ARG(GRANULE_UNDELEGATE, "gran_align", I, { 1, SPARE(0) + 8 }),
    ARG(GRANULE_UNDELEGATE, "gran_bound", I, { 1, NOWHERE }),
    ARG(GRANULE_UNDELEGATE, "gran_state", I, { 1, PAGE(W_FREE) }),
    ARG(GRANULE_UNDELEGATE, "gran_state", I, { 1, PAGE(W_RD) }),
    ARG(GRANULE_UNDELEGATE, "gran_state", I, { 1, PAGE(W_DATA) }),

    HOST_PAGE(REALM_CREATE, 2, "params"),
    DO(REALM_CREATE, "params_read", I, lose_params),
    POKE(REALM_CREATE, "params_valid", RMI_REALM_FLAGS0, 8, 1 << 4),
    POKE(REALM_CREATE, "params_valid", RMI_REALM_FLAGS1, 8, 1),
    POKE(REALM_CREATE, "lpa2_supp", RMI_REALM_FLAGS0, 8, RMI_REALM_FLAG_LPA2),
    POKE(REALM_CREATE, "s2sz_supp", RMI_REALM_S2SZ, 4, 49),
    POKE(REALM_CREATE, "s2sz_supp", RMI_REALM_S2SZ, 4, 31),
    POKE(REALM_CREATE, "num_bps_supp", RMI_REALM_NUM_BPS, 4, 0),
    POKE(REALM_CREATE, "num_bps_supp", RMI_REALM_NUM_BPS, 4, 6),
    POKE(REALM_CREATE, "num_wps_supp", RMI_REALM_NUM_WPS, 4, 0),
    POKE(REALM_CREATE, "num_wps_supp", RMI_REALM_NUM_WPS, 4, 4),
    POKE(REALM_CREATE, "sve_supp", RMI_REALM_FLAGS0, 8, RMI_REALM_FLAG_SVE),
    DO(REALM_CREATE, "pmu_num_ctrs_supp", I, want_counters),
    POKE(REALM_CREATE, "da_supp", RMI_REALM_FLAGS0, 8, RMI_REALM_FLAG_DA),
    POKE(REALM_CREATE, "planes_supp", RMI_REALM_NUM_AUX_PLANES, 4, 1),
    POKE(REALM_CREATE, "rtt_num_level", RMI_REALM_RTT_NUM_START, 4, 2),
    POKE(REALM_CREATE, "rtt_num_level", RMI_REALM_RTT_NUM_START, 4, 0),
    POKE(REALM_CREATE, "rtt_num_level", RMI_REALM_RTT_LEVEL_START, 8, 1),
    POKE(REALM_CREATE, "rtt_num_level", RMI_REALM_RTT_LEVEL_START, 8, 4),
    POKE(REALM_CREATE, "rtt_num_level", RMI_REALM_RTT_LEVEL_START, 8, ~0ull),
    POKE(REALM_CREATE, "rtt_align", RMI_REALM_RTT_BASE, 8, SPARE(1) + 8),
    POKE(REALM_CREATE, "hash_supp", RMI_REALM_HASH_ALGO, 1, 2),
    POKE(REALM_CREATE, "vmid_state", RMI_REALM_VMID, 2, 1),
    POKE(REALM_CREATE, "alias", RMI_REALM_RTT_BASE, 8, SPARE(0)),
    POKE(REALM_CREATE, "rtt_state", RMI_REALM_RTT_BASE, 8, PAGE(W_FREE)),
    GRANULE(REALM_CREATE, 1, "rd", PAGE(W_FREE)),

    GRANULE(REALM_ACTIVATE, 1, "rd", PAGE(W_REC0)),
    DO(REALM_ACTIVATE, "realm_state", RMI_ERROR_REALM, activate),
    DO(REALM_ACTIVATE, "realm_state", RMI_ERROR_REALM, system_off),

    GRANULE(REALM_DESTROY, 1, "rd", PAGE(W_ROOT)),
    ARG(REALM_DESTROY, "realm_live", RMI_ERROR_REALM, { 1, PAGE(W_RD) }),
    DO(REALM_DESTROY, "realm_live", RMI_ERROR_REALM, live_root),

    GRANULE(REC_AUX_COUNT, 1, "rd", PAGE(W_FREE)),

    HOST_PAGE(REC_CREATE, 3, "params"),
    DO(REC_CREATE, "params_read", I, lose_params),
    POKE(REC_CREATE, "num_aux_bound", RMI_REC_NUM_AUX, 8, 17),
    POKE(REC_CREATE, "aux_align", RMI_REC_AUX, 8, SPARE(1) + 8),
    POKE(REC_CREATE, "aux_bound", RMI_REC_AUX, 8, NOWHERE),
    POKE(REC_CREATE, "aux_state", RMI_REC_AUX, 8, PAGE(W_FREE)),
    POKE(REC_CREATE, "aux_alias", RMI_REC_AUX, 8, SPARE(0)),
    GRANULE(REC_CREATE, 2, "rec", PAGE(W_FREE)),
    GRANULE(REC_CREATE, 1, "rd", PAGE(W_REC0)),
    DO(REC_CREATE, "realm_state", RMI_ERROR_REALM, activate),
    DO(REC_CREATE, "num_recs", RMI_ERROR_REALM, many_recs),
    POKE(REC_CREATE, "mpidr_index", RMI_REC_MPIDR, 8, 1),
    POKE(REC_CREATE, "mpidr_index", RMI_REC_MPIDR, 8, 3),
    POKE(REC_CREATE, "mpidr_index", RMI_REC_MPIDR, 8, 0x12),
    POKE(REC_CREATE, "mpidr_index", RMI_REC_MPIDR, 8, 1ull << 32 | 2),
    POKE(REC_CREATE, "num_aux", RMI_REC_NUM_AUX, 8, 0),

    GRANULE(REC_DESTROY, 1, "rec", PAGE(W_AUX1)),
    DO(REC_DESTROY, "rec_running", RMI_ERROR_REC, rec1_runs),

    HOST_PAGE(REC_ENTER, 2, "run"),
    GRANULE(REC_ENTER, 1, "rec", PAGE(W_RD)),
    DO(REC_ENTER, "rec_running", RMI_ERROR_REC, rec_runs),
    DO(REC_ENTER, "realm_new", RMI_RETURN(RMI_ERROR_REALM, 0), deactivate),
    DO(REC_ENTER, "system_off", RMI_RETURN(RMI_ERROR_REALM, 1), system_off),
    DO(REC_ENTER, "rec_runnable", RMI_ERROR_REC, not_runnable),
    DO(REC_ENTER, "rec_psci", RMI_ERROR_REC, ready_psci),
    DO(REC_ENTER, "run_read", I, lose_run),
    DO(REC_ENTER, "rec_gicv3", RMI_ERROR_REC, bad_lr),
    DO(REC_ENTER, "rec_inject_sea", RMI_ERROR_REC, sea),
    DO(REC_ENTER, "rec_mmio", RMI_ERROR_REC, mmio),
    DO(REC_ENTER, "rec_mmio", RMI_ERROR_REC, mmio_without_syndrome),

    GRANULE(RTT_CREATE, 2, "rtt", PAGE(W_FREE)),
    GRANULE(RTT_CREATE, 1, "rd", PAGE(W_FREE)),
    TABLE_ADDRESS(RTT_CREATE, 3, 4),
    ARG(RTT_CREATE, "rtt_walk", T(1), { 4, 3 }),
    ARG(RTT_CREATE, "rtte_state", T(1), { 3, 0 }),

    GRANULE(RTT_DESTROY, 1, "rd", PAGE(W_FREE)),
    TABLE_ADDRESS(RTT_DESTROY, 2, 3),
    ARG(RTT_DESTROY, "rtt_walk", T(1), { 2, 2 * GIB }, { 3, 3 }),
    ARG(RTT_DESTROY, "rtte_state", T(1), { 2, 2 * GIB }),
    ARG(RTT_DESTROY, "rtte_state", T(2), { 3, 3 }),
    ARG(RTT_DESTROY, "rtt_live", T(3), { 2, 0 }, { 3, 3 }),
    ARG(RTT_DESTROY, "rtt_live", T(2), { 2, 0 }),

    GRANULE(RTT_FOLD, 1, "rd", PAGE(W_FREE)),
    TABLE_ADDRESS(RTT_FOLD, 2, 3),
    ARG(RTT_FOLD, "rtt_walk", T(1), { 2, 2 * GIB }, { 3, 3 }),
    ARG(RTT_FOLD, "rtte_state", T(1), { 2, 2 * GIB }),
    ARG(RTT_FOLD, "rtt_homo", T(3), { 2, 0 }, { 3, 3 }),
    ARG(RTT_FOLD, "rtt_homo", T(2), { 2, 0 }),
    { RMI_FID_RTT_FOLD, "fold_level", T(0), .arg = { { 2, WORLD_NS + (512ull << 30) }, { 3, 1 } },
      .prepare = full_level_1 },

    GRANULE(RTT_READ_ENTRY, 1, "rd", PAGE(W_FREE)),
    ARG(RTT_READ_ENTRY, "level_bound", I, { 3, 4 }),
    ARG(RTT_READ_ENTRY, "level_bound", I, { 3, ~0ull }),
    ARG(RTT_READ_ENTRY, "ipa_align", I, { 2, 8 }),
    ARG(RTT_READ_ENTRY, "ipa_align", I, { 2, 4096 }, { 3, 2 }),
    ARG(RTT_READ_ENTRY, "ipa_bound", I, { 2, BIT48 }),

    ARG(RTT_MAP_UNPROTECTED, "attrs_valid", I, { 4, PAGE(W_FREE) | 4 << 2 }),
    ARG(RTT_MAP_UNPROTECTED, "attrs_valid", I, { 4, NS_DESC | 1 }),
    ARG(RTT_MAP_UNPROTECTED, "attrs_valid", I, { 4, NS_DESC | 1 << 10 }),
    ARG(RTT_MAP_UNPROTECTED, "attrs_valid", I, { 4, NS_DESC | BIT48 }),
    ARG(RTT_MAP_UNPROTECTED, "attrs_valid", I, { 4, NS_DESC | 1ull << 55 }),
    ARG(RTT_MAP_UNPROTECTED, "attrs_valid", I, { 3, 2 }, { 2, WORLD_NS + 0x200000 }),
    GRANULE(RTT_MAP_UNPROTECTED, 1, "rd", PAGE(W_FREE)),
    LEAF_ADDRESS(RTT_MAP_UNPROTECTED),
    ARG(RTT_MAP_UNPROTECTED, "rtt_walk", T(2), { 2, WORLD_NS + 0x200000 }),
    ARG(RTT_MAP_UNPROTECTED, "rtte_state", T(2), { 2, WORLD_NS }, { 3, 2 }, { 4, RIG_RAM | 6 << 2 }),

    GRANULE(RTT_UNMAP_UNPROTECTED, 1, "rd", PAGE(W_FREE)),
    LEAF_ADDRESS(RTT_UNMAP_UNPROTECTED),
    ARG(RTT_UNMAP_UNPROTECTED, "rtt_walk", T(2), { 2, WORLD_NS + 0x200000 }),
    ARG(RTT_UNMAP_UNPROTECTED, "rtte_state", T(3), { 2, WORLD_NS + 0x4000 }),

    ARG(RTT_INIT_RIPAS, "size_valid", I, { 3, 0x8000 }),
    ARG(RTT_INIT_RIPAS, "size_valid", I, { 3, 0 }),
    GRANULE(RTT_INIT_RIPAS, 1, "rd", PAGE(W_FREE)),
    ARG(RTT_INIT_RIPAS, "base_align", I, { 2, 0x8008 }),
    ARG(RTT_INIT_RIPAS, "top_align", I, { 3, 0x9008 }),
    ARG(RTT_INIT_RIPAS, "top_bound", I, { 3, WORLD_NS + 4096 }),
    DO(RTT_INIT_RIPAS, "realm_state", RMI_ERROR_REALM, activate),
    ARG(RTT_INIT_RIPAS, "base_walk_align", T(2), { 2, 0x201000 }, { 3, 0x400000 }),
    ARG(RTT_INIT_RIPAS, "no_progress", T(3), { 2, 0 }),
    ARG(RTT_INIT_RIPAS, "no_progress", T(2), { 2, 0x200000 }, { 3, 0x3ff000 }),

    ARG(RTT_SET_RIPAS, "size_valid", I, { 4, 0x1000 }),
    GRANULE(RTT_SET_RIPAS, 1, "rd", PAGE(W_FREE)),
    GRANULE(RTT_SET_RIPAS, 2, "rec", PAGE(W_FREE)),
    DO(RTT_SET_RIPAS, "rec_running", RMI_ERROR_REC, rec_runs),
    ARG(RTT_SET_RIPAS, "rec_owner", RMI_ERROR_REC, { 1, PAGE(W_RD2) }),
    ARG(RTT_SET_RIPAS, "base_bound", I, { 3, 0 }),
    DO(RTT_SET_RIPAS, "base_bound", I, nothing_pending),
    ARG(RTT_SET_RIPAS, "top_bound", I, { 4, 0x4000 }),
    { RMI_FID_RTT_SET_RIPAS, "base_align", T(2), .arg = { { 3, 0x201000 }, { 4, 0x202000 } }, .prepare = pend_block },
    DO(RTT_SET_RIPAS, "no_progress", T(3), destroyed_page),
    ARG(RTT_SET_RIPAS, "top_gran_align", I, { 4, 0x1800 }),

    ARG(DATA_CREATE, "flags_valid", I, { 5, 2 }),
    HOST_PAGE(DATA_CREATE, 4, "src"),
    GRANULE(DATA_CREATE, 2, "data", PAGE(W_FREE)),
    GRANULE(DATA_CREATE, 1, "rd", PAGE(W_FREE)),
    DO(DATA_CREATE, "realm_state", RMI_ERROR_REALM, activate),
    PAGE_ADDRESS(DATA_CREATE, 3),
    ARG(DATA_CREATE, "rtt_walk", T(2), { 3, 0x200000 }),
    ARG(DATA_CREATE, "rtte_state", T(3), { 3, 0x1000 }),
    DO(DATA_CREATE, "src_read", I, lose_src),

    GRANULE(DATA_CREATE_UNKNOWN, 2, "data", PAGE(W_DATA)),
    GRANULE(DATA_CREATE_UNKNOWN, 1, "rd", PAGE(W_FREE)),
    PAGE_ADDRESS(DATA_CREATE_UNKNOWN, 3),
    ARG(DATA_CREATE_UNKNOWN, "rtt_walk", T(2), { 3, 0x200000 }),
    ARG(DATA_CREATE_UNKNOWN, "rtte_state", T(3), { 3, 0x1000 }),

    GRANULE(DATA_DESTROY, 1, "rd", PAGE(W_FREE)),
    PAGE_ADDRESS(DATA_DESTROY, 2),
    ARG(DATA_DESTROY, "rtt_walk", T(2), { 2, 0x200000 }),
    ARG(DATA_DESTROY, "rtte_state", T(3), { 2, 0x9000 }),

    ARG(PSCI_COMPLETE, "alias", I, { 2, PAGE(W_REC0) }),
    GRANULE(PSCI_COMPLETE, 1, "calling_rec", PAGE(W_FREE)),
    GRANULE(PSCI_COMPLETE, 2, "target_rec", PAGE(W_FREE)),
    DO(PSCI_COMPLETE, "pending", I, nothing_pending),
    DO(PSCI_COMPLETE, "pending", I, rec_runs),
    ARG(PSCI_COMPLETE, "owner", I, { 2, PAGE(W_REC2) }),
    DO(PSCI_COMPLETE, "target", I, other_target),
    ARG(PSCI_COMPLETE, "status", I, { 3, (uint64_t)-2 }),
};

/* ---- running them ---- */

typedef struct Snapshot {
    uint8_t ram[RIG_RAM_SIZE], state[RIG_RAM_SIZE / 4096];
} Snapshot;

static Snapshot before;

static void take_snapshot(Snapshot *s)
{
    memcpy(s->ram, rig->ram, RIG_RAM_SIZE);
    for (uint64_t i = 0; i < RIG_RAM_SIZE / 4096; i++) {
        s->state[i] = (uint8_t)granule_state(rig->rmm, PAGE(i));
    }
}

static void assert_unchanged(void)
{
    assert_memory_equal(before.ram, rig->ram, RIG_RAM_SIZE);
    for (uint64_t i = 0; i < RIG_RAM_SIZE / 4096; i++) {
        assert_int_equal(before.state[i], granule_state(rig->rmm, PAGE(i)));
    }
}

static void open_world(const struct Valid *v)
{
    rig = rig_new();
    world_new(rig, NULL, 0);
    world_recs(rig);
    if (v->ready != NULL) {
        v->ready();
    }
}

static uint64_t call(const struct Valid *v, const Row *row)
{
    uint64_t x[6] = { SMC64_STD(v->fid) };

    memcpy(x + 1, v->x, sizeof(v->x));
    for (unsigned i = 0; row != NULL && i < 3; i++) {
        if (row->arg[i].reg != 0) {
            x[row->arg[i].reg] = row->arg[i].value;
        }
    }
    return rig_smc(rig, 0, x, ARRAY_LEN(x));
}

static void check_row(const struct Valid *v, const Row *row)
{
    open_world(v);
    print_message("  %s\n", row->label);
    if (row->prepare != NULL) {
        row->prepare();
    }
    if (row->poke.len != 0) {
        le_put(rig_bytes(rig, PAGE(W_PARAMS)) + row->poke.offset, row->poke.value, row->poke.len);
    }
    take_snapshot(&before);
    assert_int_equal(call(v, row), row->x0);
    assert_string_equal(rmm_last_failure(rig->rmm), row->label);
    assert_unchanged();
    if (row->prepare == NULL && row->poke.len == 0) {
        assert_int_equal(call(v, NULL), RMI_SUCCESS);
    }
    rig_free(rig);
}

/* RmiRealmParams knows neither devices nor planes in 1.0; see test_dialects(). */
static bool row_is_of(const Row *row, RmmDialectId dialect)
{
    return dialect != RMM_1_0 || (strcmp(row->label, "planes_supp") != 0 && strcmp(row->label, "da_supp") != 0 &&
                                  row->poke.offset != RMI_REALM_FLAGS1);
}

static void check_failures(void)
{
    for (size_t i = 0; i < ARRAY_LEN(valid); i++) {
        print_message("RMI 0x%x\n", valid[i].fid);
        for (size_t r = 0; r < ARRAY_LEN(rows); r++) {
            if (rows[r].fid == valid[i].fid && row_is_of(&rows[r], rig_dialect)) {
                check_row(&valid[i], &rows[r]);
            }
        }
    }
}

/* The core answers alike in each dialect. */
static void test_failures(void **state)
{
    for (rig_dialect = 0; rig_dialect < RMM_N_DIALECTS; rig_dialect++) {
        print_message("dialect %s\n", rmm_dialects[rig_dialect].name);
        check_failures();
    }
    rig_dialect = RMM_1_1_ALP17;
}

static void test_valid_twice(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(valid); i++) {
        print_message("RMI 0x%x\n", valid[i].fid);
        open_world(&valid[i]);
        assert_int_equal(call(&valid[i], NULL), RMI_SUCCESS);
        assert_null(rmm_last_failure(rig->rmm));
        uint64_t again = call(&valid[i], NULL);
        if (valid[i].again == NULL) {
            assert_int_equal(again, RMI_SUCCESS);
        } else {
            assert_int_not_equal(again, RMI_SUCCESS);
            assert_string_equal(rmm_last_failure(rig->rmm), valid[i].again);
        }
        rig_free(rig);
    }
}

static bool row_exists(uint32_t fid, const char *label)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (SMC64_STD(rows[i].fid) == fid && strcmp(rows[i].label, label) == 0) {
            return true;
        }
    }
    return false;
}

static bool command_is_core(uint32_t fid)
{
    for (size_t i = 0; i < ARRAY_LEN(valid); i++) {
        if (SMC64_STD(valid[i].fid) == fid) {
            return true;
        }
    }
    return false;
}

static void check_listed(void *opaque, const RmmFunction *f)
{
    unsigned *n_commands = opaque;

    if (strcmp(f->iface, "RMI") != 0 || !command_is_core(f->fid)) {
        return;
    }
    (*n_commands)++;
    assert_int_equal(f->dialects, IN_ALL);
    for (size_t i = 0; i < f->n_failures; i++) {
        if (!row_exists(f->fid, f->failures[i])) {
            fail_msg("no row breaks RMI_%s by %s", f->name, f->failures[i]);
        }
    }
}

static void test_every_label_has_a_row(void **state)
{
    unsigned n_commands = 0;

    rmm_conformance(check_listed, &n_commands);
    assert_int_equal(n_commands, ARRAY_LEN(valid));
}

static void count_call(void *opaque, const char *name, uint64_t count)
{
    if (strcmp(name, "RMI_GRANULE_DELEGATE") == 0) {
        *(uint64_t *)opaque = count;
    }
}

static void test_call_counts(void **state)
{
    uint64_t n = 0;

    rig = rig_new();
    rig_delegate(rig, PAGE(0), 5);
    rmm_call_counts(rig->rmm, count_call, &n);
    assert_int_equal(n, 5);
    rig_free(rig);
}

static void check_granule_count(void *opaque, const char *state, uint64_t count)
{
    static const struct { const char *state; uint64_t count; } expected[] = {
        { "DELEGATED", 3 }, { "RD", 1 }, { "RTT", 1 },
    };
    unsigned *i = opaque;

    assert_true(*i < ARRAY_LEN(expected));
    assert_string_equal(state, expected[*i].state);
    assert_int_equal(count, expected[*i].count);
    (*i)++;
}

/* What is delegated is counted by state until the host has it back. */
static void test_granule_counts(void **state)
{
    unsigned n = 0;

    rig = rig_new();
    rmm_granule_counts(rig->rmm, check_granule_count, &n);
    assert_int_equal(n, 0);
    rig_delegate(rig, PAGE(0), 5);
    world_params(rig, PAGE(1), 5, RMI_HASH_SHA_256);
    rmi_ok(rig, RMI_FID_REALM_CREATE, PAGE(0), PAGE(W_PARAMS));
    rmm_granule_counts(rig->rmm, check_granule_count, &n);
    assert_int_equal(n, 3);
    rmi_ok(rig, RMI_FID_REALM_DESTROY, PAGE(0));
    for (unsigned i = 0; i < 5; i++) {
        rmi_ok(rig, RMI_FID_GRANULE_UNDELEGATE, PAGE(i));
    }
    n = 3; /* any further call fails */
    rmm_granule_counts(rig->rmm, check_granule_count, &n);
    rig_free(rig);
}

/* What the host learns of features and of a table's entries. */
static void test_answers(void **state)
{
    rig = rig_new();
    world_new(rig, NULL, 0);
    const uint64_t *x = rig->cpu[0]->x;
    rmi_ok(rig, RMI_FID_VERSION, 0x10001);
    assert_int_equal(x[1], 0x10001);
    assert_int_equal(x[2], 0x10001);
    rmi_ok(rig, RMI_FID_FEATURES, 0);
    assert_int_equal(x[1], 48 | 5 << 14 | 3 << 20 | 1 << 26 | 8ull << 27 | 3ull << 32 | 15ull << 34 | 9ull << 38);
    rmi_ok(rig, RMI_FID_FEATURES, 7);
    assert_int_equal(x[1], 0);
    rmi_ok(rig, RMI_FID_REC_AUX_COUNT, PAGE(W_RD));
    assert_int_equal(x[1], RMM_REC_AUX);

    static const struct { uint64_t ipa, level, at, state, desc, ripas; } entries[] = {
        { 0x1000, 3, 3, RMI_ASSIGNED, PAGE(W_DATA + 1), RIPAS_RAM },
        { 0x9000, 3, 3, RMI_UNASSIGNED, 0, RIPAS_EMPTY },
        { 0x200000, 3, 2, RMI_UNASSIGNED, 0, RIPAS_EMPTY },
        { 0, 1, 1, RMI_TABLE, PAGE(W_L2), 0 },
        { 0, 0, 0, RMI_TABLE, PAGE(W_L1), 0 },
        { WORLD_NS, 3, 3, RMI_UNASSIGNED, 0, 0 },
        { WORLD_NS + 0x3000, 3, 3, RMI_ASSIGNED, NS_DESC, 0 },
    };
    rmi_ok(rig, RMI_FID_RTT_MAP_UNPROTECTED, PAGE(W_RD), WORLD_NS + 0x3000, 3, NS_DESC);
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        rmi_ok(rig, RMI_FID_RTT_READ_ENTRY, PAGE(W_RD), entries[i].ipa, entries[i].level);
        assert_int_equal(x[1], entries[i].at);
        assert_int_equal(x[2], entries[i].state);
        assert_int_equal(x[3], entries[i].desc);
        assert_int_equal(x[4], entries[i].ripas);
    }
    rig_free(rig);
}

/* What differs between dialects apart from device commands. */
static void test_dialects(void **state)
{
    static const struct { uint64_t requested, x0, lower, higher; } versions[RMM_N_DIALECTS] = {
        [RMM_1_0] = { 0x10001, RMI_ERROR_INPUT, 0x10000, 0x10000 },
        [RMM_1_1_ALP12] = { 0x10001, RMI_SUCCESS, 0x10001, 0x10001 },
        [RMM_1_1_ALP17] = { 0x20000, RMI_ERROR_INPUT, 0x10001, 0x10001 },
    };

    for (rig_dialect = 0; rig_dialect < RMM_N_DIALECTS; rig_dialect++) {
        rig = rig_new();
        rig_delegate(rig, PAGE(0), 16);
        const uint64_t *x = rig->cpu[0]->x;
        assert_int_equal(rmi(rig, RMI_FID_VERSION, versions[rig_dialect].requested), versions[rig_dialect].x0);
        assert_int_equal(x[1], versions[rig_dialect].lower);
        assert_int_equal(x[2], versions[rig_dialect].higher);
        rmi_ok(rig, RMI_FID_VERSION, 0x10000);
        /* 1.0 neither knows the flag for devices nor looks where planes are later on. */
        world_params(rig, PAGE(1), 9, RMI_HASH_SHA_256);
        le32_put(rig_bytes(rig, PAGE(W_PARAMS)) + RMI_REALM_NUM_AUX_PLANES, 1);
        bool old = rig_dialect == RMM_1_0;
        assert_int_equal(rmi(rig, RMI_FID_REALM_CREATE, PAGE(0), PAGE(W_PARAMS)), old ? RMI_SUCCESS : RMI_ERROR_INPUT);
        world_params(rig, PAGE(3), 10, RMI_HASH_SHA_256);
        le64_put(rig_bytes(rig, PAGE(W_PARAMS)) + RMI_REALM_FLAGS0, RMI_REALM_FLAG_DA);
        assert_int_equal(rmi(rig, RMI_FID_REALM_CREATE, PAGE(2), PAGE(W_PARAMS)), RMI_ERROR_INPUT);
        assert_string_equal(rmm_last_failure(rig->rmm), old ? "params_valid" : "da_supp");
        rig_free(rig);
    }
    rig_dialect = RMM_1_1_ALP17;
}

static void test_dialect_names(void **state)
{
    RmmDialectId id;
    GError      *error = NULL;

    assert_true(rmm_dialect_parse(NULL, &id, &error) && id == RMM_1_1_ALP17);
    for (unsigned i = 0; i < RMM_N_DIALECTS; i++) {
        assert_true(rmm_dialect_parse(rmm_dialects[i].name, &id, &error) && id == i);
    }
    assert_false(rmm_dialect_parse("2.0", &id, &error));
    assert_string_equal(error->message,
                        "rmm=2.0 (from -M): there is no RMM dialect '2.0'; choose from 1.0, 1.1-alp12, 1.1-alp17");
    g_error_free(error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failures), cmocka_unit_test(test_valid_twice),
        cmocka_unit_test(test_every_label_has_a_row),
        cmocka_unit_test(test_call_counts), cmocka_unit_test(test_granule_counts), cmocka_unit_test(test_answers),
        cmocka_unit_test(test_dialects), cmocka_unit_test(test_dialect_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
