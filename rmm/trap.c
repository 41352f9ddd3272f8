/*
 * Exceptions that a running REC takes to R-EL2: aborts, trapped registers, waiting, interrupts. DEN0137 "REC
 * exit due to synchronous exception" and the sections after it. Syndromes are those of DDI 0487, "ESR_EL2".
 */
#include "rmm/rmm_int.h"

#include <inttypes.h>

#include "cpu/a64/sysreg.h"
#include "cpu/a64/system.h"

enum { EC_SVE = 0x19, EC_SME = 0x1d };

/* Abort syndrome bits. */
#define ESR_EC_MASK  (0x3full << 26)
#define ESR_ISV      BIT(24)
#define ESR_SAS      (3ull << 22)
#define ESR_SSE      BIT(21)
#define ESR_SF       BIT(15)
#define ESR_SET      (3ull << 11)
#define ESR_SET_UER  0ull
#define ESR_FNV      BIT(10)
#define ESR_EA       BIT(9)
#define ESR_WNR      BIT(6)
#define ESR_FSC      0x3full
#define FSC_EXTERNAL 0x10u
#define ABORT_KEPT   (ESR_EC_MASK | ESR_SET | ESR_FNV | ESR_EA | ESR_FSC) /* of every data abort the host sees */
#define FETCH_KEPT   (ESR_EC_MASK | ESR_SET | ESR_EA | ESR_FSC)
#define MMIO_KEPT    (ABORT_KEPT | ESR_ISV | ESR_SAS | ESR_SF | ESR_WNR)
#define SERROR_KEPT  (ESR_EC_MASK | BIT(24) /* IDS */ | 7ull << 10 /* AET */ | ESR_EA | ESR_FSC)

static unsigned esr_ec(uint64_t esr) { return esr >> 26 & 0x3f; }
static unsigned esr_rt(uint64_t esr) { return esr >> 16 & 31; }

/* ---- exceptions into the Realm ---- */

/* The abort of @esr, taken to R-EL2, goes to the Realm as one of its own with @fsc. */
static void inject_abort(A64Cpu *cpu, uint64_t esr, uint64_t far, uint64_t fsc)
{
    bool     fetch = esr_ec(esr) == EC_IABT;
    unsigned ec = fetch ? EC_IABT : EC_DABT;

    ec += cpu->el == 1; /* the SAME forms */
    a64_inject(cpu, 1, (uint64_t)ec << 26 | ESR_IL | (esr & ESR_WNR) | fsc, far, true);
}

/* EA tells IMPLEMENTATION DEFINED kinds of external abort apart; ours and other RMMs' have it set. */
void rec_inject_sea(A64Cpu *cpu, uint64_t esr, uint64_t far) { inject_abort(cpu, esr, far, ESR_EA | FSC_EXTERNAL); }

/* DEN0137 "Realm access outside IPA space": an address size fault of stage 1, at the level that gave the address;
 * level 0 when stage 1 is off, or was still on its way through its tables. */
static void inject_address_size(A64Cpu *cpu, uint64_t esr, uint64_t far)
{
    A64Request req = a64_request(cpu, 0);
    A64Walk    w;

    req.update = req.pan = false;
    req.tables_only = true;
    a64_walk(cpu, &req, far, &w);
    inject_abort(cpu, esr, far, w.fault == A64_FAULT_NONE ? w.level : 0);
}

static void inject_undefined(A64Cpu *cpu) { a64_inject(cpu, 1, ESR_IL, 0, false); }

/* ---- aborts ---- */

/* Bits 5:2 of the fault status: address size 0, translation 1, access flag 2, permission 3. */
static bool fsc_is_permission(uint64_t esr) { return (esr & 0x3c) == 0x0c; }
static bool fsc_is_external(uint64_t esr)
{
    return (esr & ESR_FSC) == 0x10 || ((esr & ESR_FSC) >= 0x13 && (esr & ESR_FSC) <= 0x17);
}

/* A granule protection fault after both stages has no HPFAR_EL2: then we translate again to learn the
 * address. */
static uint64_t abort_ipa(A64Cpu *cpu, const A64Exception *exc)
{
    A64Walk w;

    if (exc->hpfar_valid) {
        return extract64(exc->hpfar, 4, 44) << 12 | (exc->far & 0xfff);
    }
    a64_debug_walk(cpu, exc->far, &w);
    return w.ipa;
}

void rec_exit_fault(RecExit *e, uint64_t ipa, int level)
{
    e->reason = RMI_EXIT_SYNC;
    e->esr = (uint64_t)EC_DABT << 26 | (uint64_t)(4 + level);
    e->hpfar = ipa >> 12 << 4;
}

/* The Realm may know that nothing is there, outside its IPA space or where it gave the page up: it gets the abort.
 * False: it is the host's business. */
static bool abort_is_realms(Rmm *rmm, A64Cpu *cpu, const Realm *realm, uint64_t ipa, const A64Exception *exc)
{
    if (ipa >= realm_ipa_top(realm)) {
        inject_address_size(cpu, exc->esr, exc->far);
        return true;
    }
    if (!realm_ipa_protected(realm, ipa)) {
        return false;
    }
    RttWalk w = rtt_walk(rmm, realm, ipa, RTT_LAST_LEVEL);

    if (rtt_get(&w).ripas != RIPAS_EMPTY) {
        return false;
    }
    rec_inject_sea(cpu, exc->esr, exc->far);
    return true;
}

/* The value that a store with a valid syndrome wanted to write. */
static uint64_t store_value(const A64Cpu *cpu, uint64_t esr)
{
    unsigned rt = esr_rt(esr);
    uint64_t value = rt == 31 ? 0 : cpu->x[rt];

    return value & mask64(8u << extract64(esr, 22, 2));
}

void rec_complete_mmio(Rec *rec, uint64_t value)
{
    uint64_t esr = rec->abort.esr;
    unsigned bits = 8u << extract64(esr, 22, 2), rt = esr_rt(esr);

    if (!(esr & ESR_WNR) && rt != 31) {
        value &= mask64(bits);
        if (esr & ESR_SSE) {
            value = (uint64_t)sign_extend64(value, bits);
        }
        rec->x[rt] = esr & ESR_SF ? value : (uint32_t)value;
    }
    rec->pc += 4;
}

/* At an unprotected IPA: the host emulates a device, or maps a page, or refuses. */
static void exit_unprotected(Rmm *rmm, RmmCpu *c, const A64Exception *exc)
{
    Rec *rec = rec_at(rmm, c->rec);
    bool emulatable = exc->esr & ESR_ISV;

    rec->pending = REC_DATA_ABORT;
    rec->abort.esr = exc->esr;
    rec->abort.far = exc->far;
    /* IL, which the text gives with an access that cannot be emulated, Arm's compliance suite wants to be zero. */
    c->exit.esr = exc->esr & (emulatable ? MMIO_KEPT : ABORT_KEPT);
    if (emulatable) {
        c->exit.far = exc->far & 0xfff;
        c->exit.n_gprs = 1;
        c->exit.gprs[0] = exc->esr & ESR_WNR ? store_value(c->cpu, exc->esr) : 0;
    }
    rec_leave(rmm, c);
}

static void data_abort(Rmm *rmm, RmmCpu *c, const Realm *realm, const A64Exception *exc)
{
    c->exit.reason = RMI_EXIT_SYNC;
    if (fsc_is_external(exc->esr)) {
        if ((exc->esr & ESR_SET) == ESR_SET_UER) {
            rec_inject_sea(c->cpu, exc->esr, exc->far);
        }
        c->exit.esr = exc->esr & ABORT_KEPT;
        rec_leave(rmm, c);
        return;
    }
    uint64_t ipa = abort_ipa(c->cpu, exc);

    if (abort_is_realms(rmm, c->cpu, realm, ipa, exc)) {
        return;
    }
    c->exit.hpfar = ipa >> 12 << 4;
    if (!realm_ipa_protected(realm, ipa)) {
        exit_unprotected(rmm, c, exc);
        return;
    }
    c->exit.esr = exc->esr & ABORT_KEPT;
    rec_leave(rmm, c);
}

/* A Realm executes nothing that the host can change: a fetch from an unprotected IPA is the Realm's own
 * fault. */
static void instruction_abort(Rmm *rmm, RmmCpu *c, const Realm *realm, const A64Exception *exc)
{
    c->exit.reason = RMI_EXIT_SYNC;
    c->exit.esr = exc->esr & FETCH_KEPT;
    if (fsc_is_external(exc->esr)) {
        rec_leave(rmm, c);
        return;
    }
    uint64_t ipa = abort_ipa(c->cpu, exc);

    if (abort_is_realms(rmm, c->cpu, realm, ipa, exc)) {
        return;
    }
    if (!realm_ipa_protected(realm, ipa) || fsc_is_permission(exc->esr)) {
        rec_inject_sea(c->cpu, exc->esr, exc->far);
        return;
    }
    c->exit.hpfar = ipa >> 12 << 4;
    rec_leave(rmm, c);
}

/* ---- trapped registers ---- */

/* Op0, Op1, CRn, CRm, Op2 of an EC 0x18 syndrome as A64_SYSREG_ENC() packs them. */
static uint32_t esr_sysreg(uint64_t esr)
{
    return A64_SYSREG_ENC(extract64(esr, 20, 2), extract64(esr, 14, 3), extract64(esr, 10, 4),
                          extract64(esr, 1, 4), extract64(esr, 17, 3));
}

/* Fields that a Realm does not see: the feature is not there for it. DDI 0487, ID register descriptions. */
static const struct HiddenField {
    uint32_t enc;
    uint8_t  lsb, len;
} hidden[] = {
    { A64_SYSREG_ENC(3, 0, 0, 4, 0), 32, 4 }, /* ID_AA64PFR0: SVE */
    { A64_SYSREG_ENC(3, 0, 0, 4, 0), 40, 4 }, /* MPAM */
    { A64_SYSREG_ENC(3, 0, 0, 4, 0), 44, 4 }, /* AMU */
    { A64_SYSREG_ENC(3, 0, 0, 4, 0), 52, 4 }, /* RME */
    { A64_SYSREG_ENC(3, 0, 0, 4, 1), 16, 4 }, /* ID_AA64PFR1: MPAM_frac */
    { A64_SYSREG_ENC(3, 0, 0, 4, 1), 24, 4 }, /* SME */
    { A64_SYSREG_ENC(3, 0, 0, 4, 4), 0, 64 }, /* ID_AA64ZFR0 */
    { A64_SYSREG_ENC(3, 0, 0, 4, 5), 0, 64 }, /* ID_AA64SMFR0 */
    { A64_SYSREG_ENC(3, 0, 0, 5, 0), 32, 4 }, /* ID_AA64DFR0: PMSVer */
    { A64_SYSREG_ENC(3, 0, 0, 5, 0), 40, 4 }, /* TraceFilt */
    { A64_SYSREG_ENC(3, 0, 0, 5, 0), 44, 4 }, /* TraceBuffer */
    { A64_SYSREG_ENC(3, 0, 0, 5, 0), 52, 4 }, /* BRBE */
    { A64_SYSREG_ENC(3, 0, 0, 5, 0), 60, 4 }, /* HPMN0: of EL2 */
    { A64_SYSREG_ENC(3, 0, 0, 7, 3), 8, 4 },  /* ID_AA64MMFR3: S1PIE */
    { A64_SYSREG_ENC(3, 0, 0, 7, 3), 12, 4 }, /* S2PIE */
    { A64_SYSREG_ENC(3, 0, 0, 7, 3), 16, 4 }, /* S1POE */
    { A64_SYSREG_ENC(3, 0, 0, 7, 3), 20, 4 }, /* S2POE */
};

#define ENC_ID_AA64DFR0 A64_SYSREG_ENC(3, 0, 0, 5, 0)
enum { DFR0_PMUVER_LSB = 8, DFR0_BRPS_LSB = 12, DFR0_WRPS_LSB = 20, DFR0_CTX_CMPS_LSB = 28 };

static uint64_t id_register(A64Cpu *cpu, const Realm *realm, uint32_t enc)
{
    const A64Sysreg *r = a64_sysreg_find(enc);
    uint64_t         value = r == NULL ? 0 : a64_sysreg_get(cpu, r);

    for (size_t i = 0; i < ARRAY_LEN(hidden); i++) {
        if (hidden[i].enc == enc) {
            value = deposit64(value, hidden[i].lsb, hidden[i].len, 0);
        }
    }
    if (enc == ENC_ID_AA64DFR0) {
        uint64_t context = extract64(value, DFR0_CTX_CMPS_LSB, 4);
        if (!(realm->flags0 & RMI_REALM_FLAG_PMU)) {
            value = deposit64(value, DFR0_PMUVER_LSB, 4, 0);
        }
        value = deposit64(value, DFR0_BRPS_LSB, 4, realm->n_bps);
        value = deposit64(value, DFR0_WRPS_LSB, 4, realm->n_wps);
        value = deposit64(value, DFR0_CTX_CMPS_LSB, 4, MIN(context, realm->n_bps));
    }
    return value;
}

static bool is_id_register(uint32_t enc)
{
    return (enc & ~0x7fu) == A64_SYSREG_ENC(3, 0, 0, 0, 0) && (enc >> 3 & 15) >= 1 && (enc >> 3 & 15) <= 7;
}

/* What the host emulates for the virtual GIC: DEN0137 "REC exit due to GIC system register access". */
static bool is_host_register(uint32_t enc)
{
    return enc == A64_SYSREG_ENC(3, 0, 12, 11, 1) || enc == A64_SYSREG_ENC(3, 0, 12, 11, 5) ||
           enc == A64_SYSREG_ENC(3, 0, 12, 11, 6) || enc == A64_SYSREG_ENC(3, 0, 12, 11, 7) ||
           enc == A64_SYSREG_ENC(3, 0, 4, 6, 0);
}

/* Registers of features that the Realm's ID registers do not show: PMU, MPAM, BRBE, SPE, trace. */
static bool is_hidden_register(uint32_t enc)
{
    unsigned op0 = enc >> 14 & 3, op1 = enc >> 11 & 7, crn = enc >> 7 & 15, crm = enc >> 3 & 15;

    return (op0 == 2 && op1 == 1) || (op0 == 3 && crn == 9 && (crm >= 12 || op1 == 0)) ||
           (op0 == 3 && op1 == 3 && crn == 14 && crm >= 8) ||
           (op0 == 3 && crn == 10 && (crm == 4 || crm == 5));
}

static void set_rt(A64Cpu *cpu, unsigned rt, uint64_t value)
{
    if (rt != 31) {
        cpu->x[rt] = value;
    }
}

static void sysreg_to_host(Rmm *rmm, RmmCpu *c, uint64_t esr, unsigned rt)
{
    Rec *rec = rec_at(rmm, c->rec);
    bool read = esr & 1;

    c->exit.reason = RMI_EXIT_SYNC;
    c->exit.esr = esr;
    if (read) {
        rec->pending = REC_SYSREG_READ;
        rec->sysreg_rt = rt;
    } else {
        c->exit.n_gprs = 1;
        c->exit.gprs[0] = rt == 31 ? 0 : c->cpu->x[rt];
    }
    c->cpu->pc += 4;
    rec_leave(rmm, c);
}

static void trapped_sysreg(Rmm *rmm, RmmCpu *c, const Realm *realm, const A64Exception *exc)
{
    uint32_t enc = esr_sysreg(exc->esr);
    unsigned rt = exc->esr >> 5 & 31;
    bool     read = exc->esr & 1;

    if (is_host_register(enc)) {
        sysreg_to_host(rmm, c, exc->esr, rt);
        return;
    }
    if (is_hidden_register(enc)) {
        inject_undefined(c->cpu);
        return;
    }
    if (read) { /* a register that is trapped for no reason of the Realm's reads as zero and ignores writes */
        set_rt(c->cpu, rt, is_id_register(enc) ? id_register(c->cpu, realm, enc) : 0);
    }
    c->cpu->pc += 4;
}

/* ---- all of them ---- */

static void wait_exit(Rmm *rmm, RmmCpu *c, uint64_t esr)
{
    c->exit.reason = RMI_EXIT_SYNC;
    c->exit.esr = esr & (ESR_EC_MASK | 3 /* TI */);
    c->cpu->pc += 4;
    rec_leave(rmm, c);
}

static void synchronous(Rmm *rmm, RmmCpu *c, const A64Exception *exc)
{
    const Realm *realm = realm_at(rmm, rec_at(rmm, c->rec)->rd);

    switch (esr_ec(exc->esr)) {
    case EC_SMC:
        realm_smc(rmm, c);
        break;
    case EC_DABT:
        data_abort(rmm, c, realm, exc);
        break;
    case EC_IABT:
        instruction_abort(rmm, c, realm, exc);
        break;
    case EC_WFX:
        wait_exit(rmm, c, exc->esr);
        break;
    case EC_SYSREG:
        trapped_sysreg(rmm, c, realm, exc);
        break;
    case EC_HVC:
        c->cpu->pc -= 4; /* the return address is after the instruction; the exception is at it */
        inject_undefined(c->cpu);
        break;
    case EC_UNKNOWN:
    case EC_SVE:
    case EC_SME:
        inject_undefined(c->cpu);
        break;
    default:
        guest_error("a Realm took an exception that the RMM does not handle, esr 0x%" PRIx64, exc->esr);
        c->exit.reason = RMI_EXIT_SYNC;
        c->exit.esr = exc->esr & ESR_EC_MASK;
        rec_leave(rmm, c);
        break;
    }
}

void realm_exception(Rmm *rmm, RmmCpu *c, const A64Exception *exc)
{
    rec_no_news(c);
    switch (exc->kind) {
    case A64_EXC_SYNC:
        synchronous(rmm, c, exc);
        break;
    case A64_EXC_IRQ:
        c->exit.reason = RMI_EXIT_IRQ;
        rec_leave(rmm, c);
        break;
    case A64_EXC_FIQ:
        c->exit.reason = RMI_EXIT_FIQ;
        rec_leave(rmm, c);
        break;
    case A64_EXC_SERROR:
        c->exit.reason = RMI_EXIT_SERROR;
        c->exit.esr = exc->esr & SERROR_KEPT;
        rec_leave(rmm, c);
        break;
    }
    /* Still in the Realm: a timer whose state changed meanwhile is told now. DEN0137 "Realm timers". */
    if (c->rec != 0 && rec_timers_changed(c->cpu)) {
        c->exit = (RecExit){ .reason = RMI_EXIT_IRQ };
        rec_leave(rmm, c);
    }
}
