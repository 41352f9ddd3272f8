/*
 * SMCCC and PSCI as a Realm sees them. DEN0137 "PSCI"; DEN0022; DEN0028. The RMM answers what needs no host;
 * the host learns of the rest by exits, and completes CPU_ON and AFFINITY_INFO by RMI_PSCI_COMPLETE.
 */
#include "rmm/rmm_int.h"

enum { SMCCC_1_2 = 0x10002, PSCI_1_1 = 0x10001 };
enum { PSCI_SUCCESS = 0, PSCI_NOT_SUPPORTED = -1, PSCI_INVALID_PARAMETERS = -2, PSCI_ALREADY_ON = -4,
       PSCI_INVALID_ADDRESS = -9, AFFINITY_ON = 0 };

/* A call as it was made: @fid may be the SMC64 form. */
typedef uint64_t PsciHandler(Rmm *rmm, RsiCall *call, const SmcFunction *f, uint32_t fid);

static uint64_t answer(RsiCall *call, int64_t value)
{
    call->out[0] = (uint64_t)value;
    return RSI_SUCCESS;
}

/* The host is told the call as it was made. */
static uint64_t to_host(RsiCall *call, const SmcFunction *f, uint32_t fid)
{
    RecExit *e = &call->cpu->exit;

    e->reason = RMI_EXIT_PSCI;
    e->n_gprs = 1u + f->n_args;
    e->gprs[0] = fid;
    for (unsigned i = 1; i <= f->n_args; i++) {
        e->gprs[i] = call->x[i];
    }
    return RSI_TO_HOST;
}

static uint64_t smccc_version(Rmm *rmm, RsiCall *call, const SmcFunction *f, uint32_t fid)
{
    return answer(call, SMCCC_1_2);
}

static uint64_t psci_version(Rmm *rmm, RsiCall *call, const SmcFunction *f, uint32_t fid)
{
    return answer(call, PSCI_1_1);
}

/* A failure condition of a PSCI function: B6.3 of DEN0137, the command pages. */
#define REQUIRE_PSCI(cond, code, text)                                                                 \
    do {                                                                                               \
        RMM_FAILURE(false, text);                                                                      \
        if (!(cond)) {                                                                                 \
            rmm->failure = failure_ptr_;                                                               \
            return answer(call, code);                                                                 \
        }                                                                                              \
    } while (0)

/* Returns at the next enter with success, whatever the host did. */
static uint64_t cpu_suspend(Rmm *rmm, RsiCall *call, const SmcFunction *f, uint32_t fid)
{
    answer(call, PSCI_SUCCESS);
    return to_host(call, f, fid);
}

static uint64_t cpu_off(Rmm *rmm, RsiCall *call, const SmcFunction *f, uint32_t fid)
{
    call->rec->runnable = false;
    return to_host(call, f, fid);
}

/* A Realm sees Aff3 at bits 39:32 of MPIDR_EL1; a REC is named with Aff3 at 31:24. */
static uint64_t rec_mpidr(uint64_t mpidr)
{
    bool reserved = (mpidr >> 40) != 0 || extract64(mpidr, 24, 8) != 0;

    return reserved ? ~0ull : (mpidr & 0xffffff) | extract64(mpidr, 32, 8) << 24;
}

/* The caller waits for PSCI_COMPLETE about the REC that x1 names. */
static uint64_t ask_about(RsiCall *call, const SmcFunction *f, uint32_t fid)
{
    call->rec->pending = REC_PSCI;
    call->rec->psci.fid = fid;
    call->rec->psci.mpidr = rec_mpidr(call->x[1]);
    call->rec->psci.entry = call->x[2];
    call->rec->psci.context = call->x[3];
    return to_host(call, f, fid);
}

static bool mpidr_exists(const RsiCall *call)
{
    return rec_index_of_mpidr(rec_mpidr(call->x[1])) < call->realm->next_rec;
}

static bool mpidr_is_own(const RsiCall *call) { return rec_mpidr(call->x[1]) == call->rec->mpidr; }

/* Whether another REC is on is not known before the host has named it: RMI_PSCI_COMPLETE answers then. */
static uint64_t psci_CPU_ON(Rmm *rmm, RsiCall *call, const SmcFunction *f, uint32_t fid)
{
    REQUIRE_PSCI(realm_ipa_protected(call->realm, call->x[2]), PSCI_INVALID_ADDRESS, "entry");
    REQUIRE_PSCI(mpidr_exists(call), PSCI_INVALID_PARAMETERS, "mpidr");
    REQUIRE_PSCI(!mpidr_is_own(call), PSCI_ALREADY_ON, "runnable");
    return ask_about(call, f, fid);
}

static uint64_t psci_AFFINITY_INFO(Rmm *rmm, RsiCall *call, const SmcFunction *f, uint32_t fid)
{
    REQUIRE_PSCI((uint32_t)call->x[2] == 0, PSCI_INVALID_PARAMETERS, "target_bound");
    REQUIRE_PSCI(mpidr_exists(call), PSCI_INVALID_PARAMETERS, "target_match");
    return mpidr_is_own(call) ? answer(call, AFFINITY_ON) : ask_about(call, f, fid);
}

/* DEN0137 "Realm state": a Realm cannot be started again, so a reset is an end as well. */
static uint64_t system_off(Rmm *rmm, RsiCall *call, const SmcFunction *f, uint32_t fid)
{
    realm_set_state(call->realm, call->rec->rd, REALM_SYSTEM_OFF);
    return to_host(call, f, fid);
}

static PsciHandler psci_features;

static const struct Row {
    SmcFunction  f;
    PsciHandler *serve;
} rows[] = {
    /*  number      SMC64  args name */
    { { 0x80000000, false, 0, "SMCCC_VERSION" }, smccc_version },
    { { 0x84000000, false, 0, "PSCI_VERSION" }, psci_version },
    { { 0x84000001, true,  3, "CPU_SUSPEND" }, cpu_suspend },
    { { 0x84000002, false, 0, "CPU_OFF" }, cpu_off },
    { { 0x84000003, true,  3, "CPU_ON" }, psci_CPU_ON },
    { { 0x84000004, true,  2, "AFFINITY_INFO" }, psci_AFFINITY_INFO },
    { { 0x84000008, false, 0, "SYSTEM_OFF" }, system_off },
    { { 0x84000009, false, 0, "SYSTEM_RESET" }, system_off },
    { { 0x8400000a, false, 1, "PSCI_FEATURES" }, psci_features },
};

static const struct Row *find(uint32_t fid)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (smc_function_is(&rows[i].f, fid)) {
            return &rows[i];
        }
    }
    return NULL;
}

static uint64_t psci_features(Rmm *rmm, RsiCall *call, const SmcFunction *f, uint32_t fid)
{
    return answer(call, find((uint32_t)call->x[1]) != NULL ? PSCI_SUCCESS : PSCI_NOT_SUPPORTED);
}

bool realm_psci(Rmm *rmm, RsiCall *call, uint32_t fid, uint64_t *action)
{
    const struct Row *row = find(fid);

    if (row == NULL) {
        return false;
    }
    for (unsigned i = 1; i <= row->f.n_args; i++) {
        call->x[i] = smc_argument(fid, call->x[i]);
    }
    rmm->psci_count++;
    rmm->failure = NULL;
    *action = row->serve(rmm, call, &row->f, fid);
    return true;
}

const SmcFunction *realm_psci_find(uint32_t fid)
{
    const struct Row *row = find(fid);

    return row != NULL ? &row->f : NULL;
}

const SmcFunction *realm_psci_function(size_t n) { return n < ARRAY_LEN(rows) ? &rows[n].f : NULL; }
