/*
 * RECs: creation, destruction, and the host's half of PSCI between them. DEN0137 "Realm Execution Context",
 * command pages RMI_REC_* and RMI_PSCI_COMPLETE. The REC granule holds struct Rec; the one auxiliary granule
 * is the buffer of the attestation token.
 */
#include "rmm/rmm_int.h"

#include <string.h>

#include "cpu/a64/sysreg.h"

enum { PSCI_SUCCESS = 0, PSCI_DENIED = -3, PSCI_ALREADY_ON = -4, AFFINITY_ON = 0, AFFINITY_OFF = 1 };

#define SPSR_EL1H_MASKED (0x3c0u | 5u) /* DAIF, EL1 with SP_EL1 */
#define SCTLR_EE         BIT(25)
#define MDSCR_TDCC       BIT(12)

/* DEN0137 "RmiRecMpidr": Aff0 has 4 bits, the others 8. */
uint64_t rec_index_of_mpidr(uint64_t mpidr)
{
    if ((mpidr & ~0xffffff0full) != 0) {
        return UINT64_MAX;
    }
    return (mpidr & 0xf) | extract64(mpidr, 8, 8) << 4 | extract64(mpidr, 16, 8) << 12 |
           extract64(mpidr, 24, 8) << 20;
}

/* A register of EL1 or EL0 goes to its cold reset value. */
static void reset_el1(const A64Sysreg *r, void *opaque)
{
    int64_t at = r->offset - (int64_t)offsetof(A64Cpu, el1);

    if (r->alias == 0 && at >= 0 && at + 8 <= (int64_t)sizeof(A64El1Regs)) {
        memcpy((uint8_t *)opaque + at, &r->reset, sizeof(r->reset));
    }
}

void rec_reset(Rec *rec, uint64_t pc)
{
    memset(rec->x, 0, sizeof(rec->x));
    memset(&rec->el1, 0, sizeof(rec->el1));
    a64_sysreg_foreach(reset_el1, &rec->el1);
    rec->el1.mdscr |= MDSCR_TDCC;
    memset(rec->v, 0, sizeof(rec->v));
    rec->fpcr = rec->fpsr = 0;
    rec->vmcr = rec->timers_told = 0;
    rec->left = 0;
    memset(rec->ap0r, 0, sizeof(rec->ap0r));
    memset(rec->ap1r, 0, sizeof(rec->ap1r));
    rec->pc = pc;
    rec->spsr = SPSR_EL1H_MASKED;
}

/* RMI_REC_AUX_COUNT. x1: RD. Out: number of auxiliary granules of a REC. */
RMI(REC_AUX_COUNT, .in = 1, .out = 1)
{
    REQUIRE_GRANULE(in->x[1], GRANULE_RD, "rd");
    out->x[1] = RMM_REC_AUX;
    return RMI_SUCCESS;
}

/* RMI_REC_CREATE. x1: RD, x2: granule for the REC, x3: NS page of RmiRecParams. */
RMI(REC_CREATE, .in = 3, .out = 0)
{
    uint64_t rd = in->x[1], pa = in->x[2];
    uint8_t  params[RMM_GRANULE_SIZE];

    REQUIRE_NS(in->x[3], params, sizeof(params), "params");
    REQUIRE_GRANULE(pa, GRANULE_DELEGATED, "rec");
    REQUIRE_GRANULE(rd, GRANULE_RD, "rd");
    Realm   *realm = realm_at(rmm, rd);
    /* Unused bits of the flags should be zero; hosts leave them as they find them, and RMMs take that. */
    uint64_t flags = le64_get(params + RMI_REC_FLAGS), mpidr = le64_get(params + RMI_REC_MPIDR);
    REQUIRE(realm->state == REALM_NEW, RMI_ERROR_REALM, "realm_state");
    REQUIRE(realm->n_recs < (1u << RMM_MAX_RECS_ORDER) - 1, RMI_ERROR_REALM, "num_recs");
    REQUIRE(rec_index_of_mpidr(mpidr) == realm->next_rec, RMI_ERROR_INPUT, "mpidr_index");
    REQUIRE(le64_get(params + RMI_REC_NUM_AUX) == RMM_REC_AUX, RMI_ERROR_INPUT, "num_aux");
    uint64_t aux = le64_get(params + RMI_REC_AUX);
    REQUIRE(is_aligned(aux, RMM_GRANULE_SIZE), RMI_ERROR_INPUT, "aux_align");
    REQUIRE(aux != pa, RMI_ERROR_INPUT, "aux_alias");
    REQUIRE(granule_state(rmm, aux) == GRANULE_DELEGATED, RMI_ERROR_INPUT, "aux_state");

    Rec *rec = rec_at(rmm, pa);
    granule_zero(rmm, pa);
    granule_set(rmm, pa, GRANULE_REC);
    *rec = (Rec){ .rd = rd, .mpidr = mpidr, .index = realm->next_rec++, .runnable = flags & RMI_REC_RUNNABLE };
    rec_reset(rec, le64_get(params + RMI_REC_PC));
    for (unsigned i = 0; i < 8; i++) {
        rec->x[i] = le64_get(params + RMI_REC_GPRS + 8 * i);
    }
    granule_zero(rmm, aux);
    granule_set(rmm, aux, GRANULE_REC_AUX);
    rec->aux = aux;
    realm->n_recs++;
    if (rec->runnable) {
        measure_rec(rmm, realm, params);
    }
    return RMI_SUCCESS;
}

/* RMI_REC_DESTROY. x1: REC. */
RMI(REC_DESTROY, .in = 1, .out = 0)
{
    REQUIRE_GRANULE_AS(in->x[1], GRANULE_REC, "rec", "rec_gran_state");
    Rec *rec = rec_at(rmm, in->x[1]);
    REQUIRE(!rec->running, RMI_ERROR_REC, "rec_state");

    realm_at(rmm, rec->rd)->n_recs--;
    granule_set(rmm, rec->aux, GRANULE_DELEGATED);
    granule_set(rmm, in->x[1], GRANULE_DELEGATED);
    return RMI_SUCCESS;
}

/* ---- PSCI_COMPLETE ---- */

static bool is_cpu_on(const Rec *caller) { return (caller->psci.fid & 0x1f) == 3; }

/* DEN0137 "PSCI_COMPLETE": which answers of a host make sense. */
static bool psci_status_permitted(const Rec *caller, const Rec *target, int64_t status)
{
    if (status == PSCI_DENIED) {
        return is_cpu_on(caller) && !target->runnable;
    }
    return status == PSCI_SUCCESS;
}

/* CPU_ON: the target starts as after reset, with the endianness of its caller. Returns the caller's X0. */
static int64_t cpu_on(const Rec *caller, Rec *target, int64_t status)
{
    if (target->runnable) {
        return PSCI_ALREADY_ON;
    }
    if (status == PSCI_SUCCESS) {
        rec_reset(target, caller->psci.entry);
        target->x[0] = caller->psci.context;
        target->el1.sctlr |= caller->el1.sctlr & SCTLR_EE;
        target->runnable = true;
    }
    return status;
}

static void answer_psci(Rec *caller, Rec *target, int64_t status)
{
    int64_t result = is_cpu_on(caller) ? cpu_on(caller, target, status)
                                       : target->runnable ? AFFINITY_ON : AFFINITY_OFF;

    caller->x[0] = (uint64_t)result;
    caller->x[1] = caller->x[2] = caller->x[3] = 0;
    caller->pending = REC_NOTHING;
}

/* RMI_PSCI_COMPLETE. x1: REC that called, x2: REC it means, x3: status. */
RMI(PSCI_COMPLETE, .in = 3, .out = 0)
{
    int64_t status = (int64_t)in->x[3];

    REQUIRE(in->x[1] != in->x[2], RMI_ERROR_INPUT, "alias");
    REQUIRE_GRANULE(in->x[1], GRANULE_REC, "calling");
    REQUIRE_GRANULE(in->x[2], GRANULE_REC, "target");
    Rec *caller = rec_at(rmm, in->x[1]), *target = rec_at(rmm, in->x[2]);
    REQUIRE(!caller->running && caller->pending == REC_PSCI, RMI_ERROR_INPUT, "pending");
    REQUIRE(caller->rd == target->rd, RMI_ERROR_INPUT, "owner");
    REQUIRE(target->mpidr == caller->psci.mpidr, RMI_ERROR_INPUT, "target");

    /* The host may not deny what is so already: that fails, and yet the question is answered, the caller sees
     * ALREADY_ON. So do other RMMs, and the realm payload tests of TF-A-tests ask for it. */
    bool permitted = psci_status_permitted(caller, target, status);
    if (permitted || (status == PSCI_DENIED && is_cpu_on(caller))) {
        answer_psci(caller, target, status);
    }
    REQUIRE(permitted, RMI_ERROR_INPUT, "status");
    return RMI_SUCCESS;
}
