/*
 * SMCCC and PSCI as a Realm sees them. DEN0137 "PSCI"; DEN0022; DEN0028. The RMM answers what needs no host;
 * the host learns of the rest by exits, and completes CPU_ON and AFFINITY_INFO by RMI_PSCI_COMPLETE.
 */
#include "rmm/rmm_int.h"

#define PSCI_SMC64 BIT(30)

enum {
    SMCCC_VERSION = 0x80000000,
    PSCI_VERSION = 0x84000000,
    PSCI_CPU_SUSPEND = 0x84000001,
    PSCI_CPU_OFF = 0x84000002,
    PSCI_CPU_ON = 0x84000003,
    PSCI_AFFINITY_INFO = 0x84000004,
    PSCI_SYSTEM_OFF = 0x84000008,
    PSCI_SYSTEM_RESET = 0x84000009,
    PSCI_FEATURES = 0x8400000a,
};

enum { SMCCC_1_2 = 0x10002, PSCI_1_1 = 0x10001 };
enum { PSCI_SUCCESS = 0, PSCI_NOT_SUPPORTED = -1, PSCI_INVALID_PARAMETERS = -2, PSCI_ALREADY_ON = -4,
       PSCI_INVALID_ADDRESS = -9, AFFINITY_ON = 0 };

typedef uint64_t PsciFunction(Rmm *rmm, RsiCall *call, uint32_t fid);

static uint64_t answer(RsiCall *call, int64_t value)
{
    call->out[0] = (uint64_t)value;
    return RSI_SUCCESS;
}

/* The host is told the call as it was made. */
static uint64_t to_host(RsiCall *call, uint32_t fid, unsigned n_args)
{
    RecExit *e = &call->cpu->exit;

    e->reason = RMI_EXIT_PSCI;
    e->gprs[0] = fid;
    for (unsigned i = 1; i <= n_args; i++) {
        e->gprs[i] = call->x[i];
    }
    return RSI_TO_HOST;
}

static uint64_t smccc_version(Rmm *rmm, RsiCall *call, uint32_t fid) { return answer(call, SMCCC_1_2); }
static uint64_t psci_version(Rmm *rmm, RsiCall *call, uint32_t fid) { return answer(call, PSCI_1_1); }

/* Returns at the next enter with success, whatever the host did. */
static uint64_t cpu_suspend(Rmm *rmm, RsiCall *call, uint32_t fid)
{
    answer(call, PSCI_SUCCESS);
    return to_host(call, fid, 3);
}

static uint64_t cpu_off(Rmm *rmm, RsiCall *call, uint32_t fid)
{
    call->rec->runnable = false;
    return to_host(call, fid, 0);
}

/* A Realm sees Aff3 at bits 39:32 of MPIDR_EL1; a REC is named with Aff3 at 31:24. */
static uint64_t rec_mpidr(uint64_t mpidr)
{
    bool reserved = (mpidr >> 40) != 0 || extract64(mpidr, 24, 8) != 0;

    return reserved ? ~0ull : (mpidr & 0xffffff) | extract64(mpidr, 32, 8) << 24;
}

/* The caller waits for PSCI_COMPLETE about the REC that x1 names. */
static uint64_t ask_about(RsiCall *call, uint32_t fid, unsigned n_args)
{
    call->rec->pending = REC_PSCI;
    call->rec->psci.fid = fid;
    call->rec->psci.mpidr = rec_mpidr(call->x[1]);
    call->rec->psci.entry = call->x[2];
    call->rec->psci.context = call->x[3];
    return to_host(call, fid, n_args);
}

static bool mpidr_exists(const RsiCall *call)
{
    return rec_index_of_mpidr(rec_mpidr(call->x[1])) < call->realm->next_rec;
}

static bool mpidr_is_own(const RsiCall *call) { return rec_mpidr(call->x[1]) == call->rec->mpidr; }

static uint64_t cpu_on(Rmm *rmm, RsiCall *call, uint32_t fid)
{
    if (!realm_ipa_protected(call->realm, call->x[2])) {
        return answer(call, PSCI_INVALID_ADDRESS);
    }
    if (!mpidr_exists(call)) {
        return answer(call, PSCI_INVALID_PARAMETERS);
    }
    return mpidr_is_own(call) ? answer(call, PSCI_ALREADY_ON) : ask_about(call, fid, 3);
}

static uint64_t affinity_info(Rmm *rmm, RsiCall *call, uint32_t fid)
{
    if (call->x[2] != 0 || !mpidr_exists(call)) {
        return answer(call, PSCI_INVALID_PARAMETERS);
    }
    return mpidr_is_own(call) ? answer(call, AFFINITY_ON) : ask_about(call, fid, 2);
}

/* DEN0137 "Realm state": a Realm cannot be started again, so a reset is an end as well. */
static uint64_t system_off(Rmm *rmm, RsiCall *call, uint32_t fid)
{
    call->realm->state = REALM_SYSTEM_OFF;
    return to_host(call, fid, 0);
}

static uint64_t psci_features(Rmm *rmm, RsiCall *call, uint32_t fid);

static const struct {
    uint32_t      fid;
    bool          smc64; /* has an SMC64 form, too */
    PsciFunction *fn;
} functions[] = {
    { SMCCC_VERSION, false, smccc_version }, { PSCI_VERSION, false, psci_version },
    { PSCI_CPU_SUSPEND, true, cpu_suspend }, { PSCI_CPU_OFF, false, cpu_off },
    { PSCI_CPU_ON, true, cpu_on },           { PSCI_AFFINITY_INFO, true, affinity_info },
    { PSCI_SYSTEM_OFF, false, system_off },  { PSCI_SYSTEM_RESET, false, system_off },
    { PSCI_FEATURES, false, psci_features },
};

const struct PsciRow realm_psci_rows[] = {
    { SMCCC_VERSION, "SMCCC_VERSION" },  { PSCI_VERSION, "VERSION" },
    { PSCI_CPU_SUSPEND, "CPU_SUSPEND" }, { PSCI_CPU_OFF, "CPU_OFF" },
    { PSCI_CPU_ON, "CPU_ON" },           { PSCI_AFFINITY_INFO, "AFFINITY_INFO" },
    { PSCI_SYSTEM_OFF, "SYSTEM_OFF" },   { PSCI_SYSTEM_RESET, "SYSTEM_RESET" },
    { PSCI_FEATURES, "FEATURES" },
};
const size_t realm_n_psci_rows = ARRAY_LEN(realm_psci_rows);
_Static_assert(ARRAY_LEN(realm_psci_rows) == ARRAY_LEN(functions), "one name for each function");

static PsciFunction *find(uint32_t fid)
{
    for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
        if (functions[i].fid == fid || (functions[i].smc64 && (functions[i].fid | PSCI_SMC64) == fid)) {
            return functions[i].fn;
        }
    }
    return NULL;
}

static uint64_t psci_features(Rmm *rmm, RsiCall *call, uint32_t fid)
{
    return answer(call, find((uint32_t)call->x[1]) != NULL ? PSCI_SUCCESS : PSCI_NOT_SUPPORTED);
}

bool realm_psci(Rmm *rmm, RsiCall *call, uint32_t fid, uint64_t *action)
{
    PsciFunction *fn = find(fid);

    if (fn == NULL) {
        return false;
    }
    for (unsigned i = 1; i <= 3 && !(fid & PSCI_SMC64); i++) {
        call->x[i] = (uint32_t)call->x[i]; /* DEN0028: an SMC32 call has 32-bit arguments */
    }
    rmm->psci_count++;
    *action = fn(rmm, call, fid);
    return true;
}
