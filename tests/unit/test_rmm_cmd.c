/*
 * Every RMI command of the core by its failure labels, in each dialect: rows for rmm_rows.h. Then the order of
 * conditions, and what differs between dialects.
 */
#include "tests/unit/rmm_rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static Rig *rig;

static Realm *realm(void) { return realm_at(rig->rmm, PAGE(W_RD)); }
static Rec   *rec0(void) { return rec_at(rig->rmm, PAGE(W_REC0)); }

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

static const RmmValid valid[] = {
    { RMI_FID_VERSION, { 0x10000 }, 0, NULL, NULL },
    { RMI_FID_FEATURES, { 0 }, 0, NULL, NULL },
    { RMI_FID_GRANULE_DELEGATE, { PAGE(W_FREE) }, 0, NULL, "gran_state" },
    { RMI_FID_GRANULE_UNDELEGATE, { SPARE(0) }, 0, NULL, "gran_state" },
    { RMI_FID_REALM_CREATE, { SPARE(0), PAGE(W_PARAMS) }, 0, ready_realm_create, "rd_state" },
    { RMI_FID_REALM_ACTIVATE, { PAGE(W_RD) }, 0, NULL, "realm_state" },
    { RMI_FID_REALM_DESTROY, { PAGE(W_RD2) }, 0, ready_realm_destroy, "rd_state" },
    { RMI_FID_REC_AUX_COUNT, { PAGE(W_RD) }, 0, NULL, NULL },
    { RMI_FID_REC_CREATE, { PAGE(W_RD), SPARE(0), PAGE(W_PARAMS) }, 0, ready_rec_create, "rec_state" },
    { RMI_FID_REC_DESTROY, { PAGE(W_REC1) }, 0, NULL, "rec_gran_state" },
    { RMI_FID_REC_ENTER, { PAGE(W_REC0), PAGE(W_RUN) }, 0, ready_enter, NULL },
    { RMI_FID_RTT_CREATE, { PAGE(W_RD), SPARE(0), GIB, 2 }, 0, NULL, "rtt_state" },
    { RMI_FID_RTT_DESTROY, { PAGE(W_RD), GIB, 2 }, 0, ready_table, "rtte_state" },
    { RMI_FID_RTT_FOLD, { PAGE(W_RD), GIB, 2 }, 0, ready_table, "rtte_state" },
    { RMI_FID_RTT_READ_ENTRY, { PAGE(W_RD), 0, 3 }, 0, NULL, NULL },
    { RMI_FID_RTT_MAP_UNPROTECTED, { PAGE(W_RD), WORLD_NS + 0x3000, 3, NS_DESC }, 0, NULL, "rtte_state" },
    { RMI_FID_RTT_UNMAP_UNPROTECTED, { PAGE(W_RD), WORLD_NS + 0x3000, 3 }, 0, ready_unprotected, "rtte_state" },
    { RMI_FID_RTT_INIT_RIPAS, { PAGE(W_RD), 0x8000, 0x10000 }, 0, NULL, NULL },
    { RMI_FID_RTT_SET_RIPAS, { PAGE(W_RD), PAGE(W_REC0), 0x1000, 0x2000 }, 0, ready_set_ripas, "base_bound" },
    { RMI_FID_DATA_CREATE, { PAGE(W_RD), SPARE(0), 0x9000, PAGE(W_SRC), 1 }, 0, NULL, "data_state" },
    { RMI_FID_DATA_CREATE_UNKNOWN, { PAGE(W_RD), SPARE(0), 0x9000 }, 0, NULL, "data_state" },
    { RMI_FID_DATA_DESTROY, { PAGE(W_RD), 0x1000 }, 0, NULL, "rtte_state" },
    { RMI_FID_PSCI_COMPLETE, { PAGE(W_REC0), PAGE(W_REC1), 0 }, 0, ready_psci, "pending" },
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
static void many_recs(void) { realm()->n_recs = 511; }
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
static void pend_block(void) { pend_ripas(0x201000, 0x203000, RIPAS_RAM); }

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

#define ARG RMM_ARG
#define DO  RMM_DO
#define POKE(fid, label, off, len, v) RMM_POKE(fid, label, RMI_ERROR_INPUT, W_PARAMS, off, len, v)
#define I RMI_ERROR_INPUT
#define GRANULE(fid, reg, name, wrong) GRANULE_AS(fid, reg, name, name "_state", wrong)
#define GRANULE_AS(fid, reg, name, state, wrong)                                                       \
    RMM_GRANULE(fid, reg, name, state, wrong), ARG(fid, name "_bound", I, { reg, 0xfffffffff000 })
#define BOUND2(fid, reg, name)                                                                         \
    ARG(fid, name "_bound2", I, { reg, BIT48 }), ARG(fid, name "_bound2", I, { reg, ~0xfffull })
#define HOST_PAGE(fid, reg, name)                                                                      \
    ARG(fid, name "_align", I, { reg, PAGE(W_FREE) + 1 }), ARG(fid, name "_bound", I, { reg, ROWS_NOWHERE }), \
        ARG(fid, name "_pas", I, { reg, SPARE(9) }), ARG(fid, name "_pas", I, { reg, PAGE(W_RD) })
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

static const RmmRow rows[] = {
    ARG(VERSION, "req_version", I, { 1, 0x20000 }),

    ARG(GRANULE_DELEGATE, "gran_align", I, { 1, PAGE(W_FREE) + 8 }),
    ARG(GRANULE_DELEGATE, "gran_bound", I, { 1, ROWS_NOWHERE }),
    ARG(GRANULE_DELEGATE, "gran_bound", I, { 1, RIG_CARVEOUT }),
    ARG(GRANULE_DELEGATE, "gran_bound", I, { 1, 1ull << 60 }),
    ARG(GRANULE_DELEGATE, "gran_state", I, { 1, PAGE(W_RD) }),
    DO(GRANULE_DELEGATE, "gran_gpt", I, lose_free),

    ARG(GRANULE_UNDELEGATE, "gran_align", I, { 1, SPARE(0) + 8 }),
    ARG(GRANULE_UNDELEGATE, "gran_bound", I, { 1, ROWS_NOWHERE }),
    ARG(GRANULE_UNDELEGATE, "gran_state", I, { 1, PAGE(W_FREE) }),
    ARG(GRANULE_UNDELEGATE, "gran_state", I, { 1, PAGE(W_RD) }),
    ARG(GRANULE_UNDELEGATE, "gran_state", I, { 1, PAGE(W_DATA) }),

    HOST_PAGE(REALM_CREATE, 2, "params"),
    DO(REALM_CREATE, "params_pas", I, lose_params),
    POKE(REALM_CREATE, "params_valid/flags", RMI_REALM_FLAGS0, 8, 1 << 4),
    POKE(REALM_CREATE, "params_valid/flags", RMI_REALM_FLAGS1, 8, 1 << 2),
    POKE(REALM_CREATE, "params_supp/rtt_s2ap_indirect", RMI_REALM_FLAGS1, 8, RMI_REALM_FLAG_S2AP_INDIRECT),
    POKE(REALM_CREATE, "params_supp/lpa2", RMI_REALM_FLAGS0, 8, RMI_REALM_FLAG_LPA2),
    POKE(REALM_CREATE, "params_supp/s2sz", RMI_REALM_S2SZ, 4, 49),
    POKE(REALM_CREATE, "params_supp/s2sz", RMI_REALM_S2SZ, 4, 31),
    POKE(REALM_CREATE, "params_valid/num_bps", RMI_REALM_NUM_BPS, 4, 0),
    POKE(REALM_CREATE, "params_supp/num_bps", RMI_REALM_NUM_BPS, 4, 6),
    POKE(REALM_CREATE, "params_valid/num_wps", RMI_REALM_NUM_WPS, 4, 0),
    POKE(REALM_CREATE, "params_supp/num_wps", RMI_REALM_NUM_WPS, 4, 4),
    POKE(REALM_CREATE, "params_supp/sve", RMI_REALM_FLAGS0, 8, RMI_REALM_FLAG_SVE),
    DO(REALM_CREATE, "params_supp/pmu_num_ctrs", I, want_counters),
    POKE(REALM_CREATE, "params_supp/da", RMI_REALM_FLAGS0, 8, RMI_REALM_FLAG_DA),
    POKE(REALM_CREATE, "params_supp/planes", RMI_REALM_NUM_AUX_PLANES, 4, 1),
    POKE(REALM_CREATE, "rtt_num_level", RMI_REALM_RTT_NUM_START, 4, 2),
    POKE(REALM_CREATE, "rtt_num_level", RMI_REALM_RTT_NUM_START, 4, 0),
    POKE(REALM_CREATE, "rtt_num_level", RMI_REALM_RTT_LEVEL_START, 8, 1),
    POKE(REALM_CREATE, "rtt_num_level", RMI_REALM_RTT_LEVEL_START, 8, 4),
    POKE(REALM_CREATE, "rtt_num_level", RMI_REALM_RTT_LEVEL_START, 8, ~0ull),
    POKE(REALM_CREATE, "rtt_align", RMI_REALM_RTT_BASE, 8, SPARE(1) + 8),
    POKE(REALM_CREATE, "params_valid/hash_algo", RMI_REALM_HASH_ALGO, 1, 2),
    POKE(REALM_CREATE, "vmid_valid", RMI_REALM_VMID, 2, 1),
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
    DO(REC_CREATE, "params_pas", I, lose_params),
    POKE(REC_CREATE, "aux_align", RMI_REC_AUX, 8, SPARE(1) + 8),
    POKE(REC_CREATE, "aux_state", RMI_REC_AUX, 8, ROWS_NOWHERE),
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
    POKE(REC_CREATE, "num_aux", RMI_REC_NUM_AUX, 8, 17),

    GRANULE_AS(REC_DESTROY, 1, "rec", "rec_gran_state", PAGE(W_AUX1)),
    DO(REC_DESTROY, "rec_state", RMI_ERROR_REC, rec1_runs),

    HOST_PAGE(REC_ENTER, 2, "run"),
    GRANULE_AS(REC_ENTER, 1, "rec", "rec_gran_state", PAGE(W_RD)),
    DO(REC_ENTER, "rec_state", RMI_ERROR_REC, rec_runs),
    DO(REC_ENTER, "realm_new", RMI_RETURN(RMI_ERROR_REALM, 0), deactivate),
    DO(REC_ENTER, "system_off", RMI_RETURN(RMI_ERROR_REALM, 1), system_off),
    DO(REC_ENTER, "rec_runnable", RMI_ERROR_REC, not_runnable),
    DO(REC_ENTER, "rec_psci", RMI_ERROR_REC, ready_psci),
    DO(REC_ENTER, "run_pas", I, lose_run),
    DO(REC_ENTER, "rec_gicv3", RMI_ERROR_REC, bad_lr),
    DO(REC_ENTER, "rec_mmio", RMI_ERROR_REC, mmio),
    DO(REC_ENTER, "rec_inject_sea", RMI_ERROR_REC, sea),
    DO(REC_ENTER, "rec_mmio", RMI_ERROR_REC, mmio_without_syndrome),

    GRANULE(RTT_CREATE, 2, "rtt", PAGE(W_FREE)),
    BOUND2(RTT_CREATE, 2, "rtt"),
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
    { RMI_FID_RTT_FOLD, "rtt_homo", T(1), .arg = { { 2, WORLD_NS + (512ull << 30) }, { 3, 1 } },
      .prepare = full_level_1 },

    GRANULE(RTT_READ_ENTRY, 1, "rd", PAGE(W_FREE)),
    ARG(RTT_READ_ENTRY, "level_bound", I, { 3, 4 }),
    ARG(RTT_READ_ENTRY, "level_bound", I, { 3, ~0ull }),
    ARG(RTT_READ_ENTRY, "ipa_align", I, { 2, 8 }),
    ARG(RTT_READ_ENTRY, "ipa_align", I, { 2, 4096 }, { 3, 2 }),
    ARG(RTT_READ_ENTRY, "ipa_bound", I, { 2, BIT48 }),

    ARG(RTT_MAP_UNPROTECTED, "attr_valid", I, { 4, PAGE(W_FREE) | 4 << 2 }),
    ARG(RTT_MAP_UNPROTECTED, "attr_valid", I, { 4, NS_DESC | 1 }),
    ARG(RTT_MAP_UNPROTECTED, "attr_valid", I, { 4, NS_DESC | 1 << 10 }),
    ARG(RTT_MAP_UNPROTECTED, "addr_bound", I, { 4, NS_DESC | BIT48 }),
    ARG(RTT_MAP_UNPROTECTED, "addr_bound", I, { 4, NS_DESC | BIT48 << 1 }),
    ARG(RTT_MAP_UNPROTECTED, "attr_valid", I, { 4, NS_DESC | BIT48 << 2 }),
    ARG(RTT_MAP_UNPROTECTED, "attr_valid", I, { 4, NS_DESC | 1ull << 55 }),
    ARG(RTT_MAP_UNPROTECTED, "addr_align", I, { 3, 2 }, { 2, WORLD_NS + 0x200000 }),
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
    ARG(RTT_INIT_RIPAS, "base_align", T(3), { 2, 0x8008 }),
    ARG(RTT_INIT_RIPAS, "top_gran_align", I, { 3, 0x9008 }),
    ARG(RTT_INIT_RIPAS, "top_bound", I, { 3, WORLD_NS + 4096 }),
    DO(RTT_INIT_RIPAS, "realm_state", RMI_ERROR_REALM, activate),
    ARG(RTT_INIT_RIPAS, "base_align", T(2), { 2, 0x201000 }, { 3, 0x400000 }),
    ARG(RTT_INIT_RIPAS, "rtte_state", T(3), { 2, 0 }),
    ARG(RTT_INIT_RIPAS, "no_progress", T(2), { 2, 0x200000 }, { 3, 0x3ff000 }),

    ARG(RTT_SET_RIPAS, "size_valid", I, { 4, 0x1000 }),
    GRANULE(RTT_SET_RIPAS, 1, "rd", PAGE(W_FREE)),
    GRANULE_AS(RTT_SET_RIPAS, 2, "rec", "rec_gran_state", PAGE(W_FREE)),
    DO(RTT_SET_RIPAS, "rec_state", RMI_ERROR_REC, rec_runs),
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
    DO(DATA_CREATE, "src_pas", I, lose_src),
    BOUND2(DATA_CREATE, 2, "data"),

    GRANULE(DATA_CREATE_UNKNOWN, 2, "data", PAGE(W_DATA)),
    BOUND2(DATA_CREATE_UNKNOWN, 2, "data"),
    GRANULE(DATA_CREATE_UNKNOWN, 1, "rd", PAGE(W_FREE)),
    PAGE_ADDRESS(DATA_CREATE_UNKNOWN, 3),
    ARG(DATA_CREATE_UNKNOWN, "rtt_walk", T(2), { 3, 0x200000 }),
    ARG(DATA_CREATE_UNKNOWN, "rtte_state", T(3), { 3, 0x1000 }),

    GRANULE(DATA_DESTROY, 1, "rd", PAGE(W_FREE)),
    PAGE_ADDRESS(DATA_DESTROY, 2),
    ARG(DATA_DESTROY, "rtt_walk", T(2), { 2, 0x200000 }),
    ARG(DATA_DESTROY, "rtte_state", T(3), { 2, 0x9000 }),

    ARG(PSCI_COMPLETE, "alias", I, { 2, PAGE(W_REC0) }),
    GRANULE(PSCI_COMPLETE, 1, "calling", PAGE(W_FREE)),
    GRANULE(PSCI_COMPLETE, 2, "target", PAGE(W_FREE)),
    DO(PSCI_COMPLETE, "pending", I, nothing_pending),
    DO(PSCI_COMPLETE, "pending", I, rec_runs),
    ARG(PSCI_COMPLETE, "owner", I, { 2, PAGE(W_REC2) }),
    DO(PSCI_COMPLETE, "target", I, other_target),
    ARG(PSCI_COMPLETE, "status", I, { 3, (uint64_t)-2 }),
};

/* ---- running them ---- */

static Rig *open_world(unsigned stage)
{
    rig = rig_new();
    world_new(rig, NULL, 0);
    world_recs(rig);
    return rig;
}

static void close_world(void) { rig_free(rig); }

/* RmiRealmParams knows neither devices nor planes in 1.0; see test_dialects(). */
static bool row_applies(const RmmRow *row)
{
    return rig_dialect != RMM_1_0 ||
           (strcmp(row->label, "params_supp/planes") != 0 && strcmp(row->label, "params_supp/da") != 0 &&
            row->poke.offset != RMI_REALM_FLAGS1);
}

/* The core: what each dialect has. */
static bool is_core(const RmmFunction *f) { return f->dialects == IN_ALL; }

static const RmmRows table = {
    valid, ARRAY_LEN(valid), rows, ARRAY_LEN(rows), RIG_RAM_SIZE / RMM_GRANULE_SIZE, open_world, close_world,
    row_applies, is_core,
};

/* The core answers alike in each dialect. */
static void test_rows(void **state)
{
    for (rig_dialect = 0; rig_dialect < RMM_N_DIALECTS; rig_dialect++) {
        print_message("dialect %s\n", rmm_dialects[rig_dialect].name);
        rmm_rows_break(&table);
        rmm_rows_repeat(&table);
    }
    rig_dialect = RMM_1_1_ALP17;
    rmm_rows_complete(&table);
}

/* Conditions that are both true: the order of the command's page says which is told. */
static void test_order(void **state)
{
    static const struct { uint32_t fid; uint64_t x[5]; const char *label; } both[] = {
        { RMI_FID_REC_CREATE, { ROWS_NOWHERE, SPARE(0), PAGE(W_PARAMS) }, "rd_bound" },
        { RMI_FID_RTT_INIT_RIPAS, { PAGE(W_RD), 0x200000, 0x3ff800 }, "top_gran_align" },
        { RMI_FID_RTT_FOLD, { PAGE(W_RD), 0, 4 }, "level_bound" },
        { RMI_FID_RTT_CREATE, { ROWS_NOWHERE, ROWS_NOWHERE, BIT48, 9 }, "rd_bound" },
        { RMI_FID_DATA_DESTROY, { PAGE(W_RD), WORLD_NS }, "ipa_bound" },
        { RMI_FID_DATA_CREATE, { PAGE(W_RD2), SPARE(0), WORLD_NS, PAGE(W_SRC), 0 }, "ipa_bound" },
        { RMI_FID_RTT_UNMAP_UNPROTECTED, { PAGE(W_RD), 0x200000, 3 }, "ipa_bound" },
        { RMI_FID_PSCI_COMPLETE, { ROWS_NOWHERE, ROWS_NOWHERE, 1 }, "alias" },
    };

    open_world(0);
    ready_rec_create();
    realm()->state = REALM_ACTIVE;
    rig_enter(rig, W_RUN, RMI_ENTER_GICV3_HCR, ~0ull);
    realm()->state = REALM_NEW;
    for (size_t i = 0; i < ARRAY_LEN(both); i++) {
        const uint64_t *x = both[i].x;
        assert_int_not_equal(rmi(rig, both[i].fid, x[0], x[1], x[2], x[3], x[4]), RMI_SUCCESS);
        assert_string_equal(rmm_last_failure(rig->rmm), both[i].label);
    }
    /* The page of the run is looked at before the state of REC and Realm. */
    lose_run();
    assert_int_equal(rmi(rig, RMI_FID_REC_ENTER, PAGE(W_REC0), PAGE(W_RUN)), RMI_ERROR_INPUT);
    assert_string_equal(rmm_last_failure(rig->rmm), "run_pas");
    rig_free(rig);
}

/* An entry that has the RIPAS already is no obstacle, whatever its size. */
static void test_set_ripas_same(void **state)
{
    static const struct { uint64_t base, top, done; } cases[] = {
        { 0x201000, 0x203000, 0x203000 }, /* inside of a block */
        { 0x3ff000, 0x600000, 0x600000 }, /* its end, and the next one */
        { 0x200000, 0x210000, 0x210000 }, /* its beginning */
        { 0x9000, 0xa000, 0xa000 },
    };

    open_world(0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        pend_ripas(cases[i].base, cases[i].top, RIPAS_EMPTY);
        rmi_ok(rig, RMI_FID_RTT_SET_RIPAS, PAGE(W_RD), PAGE(W_REC0), cases[i].base, cases[i].top);
        assert_int_equal(rig->cpu[0]->x[1], cases[i].done);
        assert_int_equal(rec0()->ripas.base, cases[i].done);
    }
    rig_free(rig);
}

/* A page that was taken away before the Realm runs may be RAM again. */
static void test_init_ripas_destroyed(void **state)
{
    open_world(0);
    rmi_ok(rig, RMI_FID_DATA_DESTROY, PAGE(W_RD), 0x1000);
    rmi_ok(rig, RMI_FID_RTT_INIT_RIPAS, PAGE(W_RD), 0x1000, 0x2000);
    assert_int_equal(rig->cpu[0]->x[1], 0x2000);
    rig_free(rig);
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
        assert_string_equal(rmm_last_failure(rig->rmm), old ? "params_valid/flags" : "params_supp/da");
        /* A tree for each plane: there is one plane, and hosts that could make more ask for it all the same. */
        world_params(rig, PAGE(5), 11, RMI_HASH_SHA_256);
        le64_put(rig_bytes(rig, PAGE(W_PARAMS)) + RMI_REALM_FLAGS1, RMI_REALM_FLAG_RTT_TREE_PP);
        rmi_ok(rig, RMI_FID_REALM_CREATE, PAGE(4), PAGE(W_PARAMS));
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
        cmocka_unit_test(test_rows), cmocka_unit_test(test_order), cmocka_unit_test(test_set_ripas_same),
        cmocka_unit_test(test_init_ripas_destroyed),
        cmocka_unit_test(test_call_counts), cmocka_unit_test(test_granule_counts), cmocka_unit_test(test_answers),
        cmocka_unit_test(test_dialects), cmocka_unit_test(test_dialect_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
