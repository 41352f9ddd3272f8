/*
 * System instructions: TLB maintenance, address translation, cache maintenance, prediction restriction. They
 * come through the register table with op0 1. Arm DDI 0487, "A64 System instructions for TLB maintenance" and
 * its neighbours. IMPLEMENTATION DEFINED: caches are coherent and always clean, so cache maintenance only
 * checks its address; invalidation by intermediate address drops the whole VMID; the TTL hint is not used.
 */
#include "cpu/a64/system.h"

static unsigned op1_of(const A64Sysreg *r) { return r->enc >> 11 & 7; }
static unsigned crm_of(const A64Sysreg *r) { return r->enc >> 3 & 15; }
static unsigned op2_of(const A64Sysreg *r) { return r->enc & 7; }

/* ---- TLB maintenance: what to match ---- */

/* Which contexts an operation covers. */
typedef struct TlbScope {
    uint8_t  regimes; /* bit per A64Regime */
    bool     any_security, by_vmid, by_asid;
    Pas      security;
    uint16_t vmid, asid;
} TlbScope;

static bool in_scope(uint64_t tag, const void *opaque)
{
    const TlbScope *s = opaque;
    A64Regime       regime = A64_TAG_REGIME(tag);

    return (s->regimes & 1u << regime) && (s->any_security || s->security == A64_TAG_SECURITY(tag)) &&
           (!s->by_vmid || regime != A64_REGIME_EL10 || s->vmid == A64_TAG_VMID(tag)) &&
           (!s->by_asid || (s->asid == A64_TAG_ASID(tag) && !(tag & A64_TAG_ANY_ASID)));
}

/* op1 0: EL1&0, or EL2&0 for a host at EL2. op1 4: EL2 or EL2&0, and with "E1" names EL1&0. op1 6: EL3. */
static TlbScope scope_of(const A64Cpu *cpu, const A64Sysreg *r)
{
    TlbScope s = { .security = a64_lower_security(cpu) };

    if (op1_of(r) == 6) {
        s.regimes = 1u << A64_REGIME_EL3;
        s.security = PAS_ROOT;
    } else if (op1_of(r) == 4) {
        s.regimes = 1u << (cpu->el2.hcr & HCR_E2H ? A64_REGIME_EL20 : A64_REGIME_EL2);
    } else if (a64_host(cpu)) {
        s.regimes = 1u << A64_REGIME_EL20;
    } else {
        s.regimes = 1u << A64_REGIME_EL10;
        s.by_vmid = a64_el2_enabled(cpu);
        s.vmid = a64_vmid(cpu);
    }
    return s;
}

/* The shareable forms, and with HCR_EL2.FB the others at EL1, reach every CPU of the machine. CRm names the
 * form: 1, 2, 3 and 5 are OS, IS, IS and OS; 0 and 4 at op1 4 hold the forms by intermediate address. */
static bool is_broadcast(const A64Cpu *cpu, const A64Sysreg *r)
{
    unsigned crm = crm_of(r);

    return crm <= 5 || (cpu->el == 1 && (a64_hcr(cpu) & HCR_FB));
}

static void flush(A64Cpu *cpu, const A64Sysreg *r, const TlbScope *s)
{
    for (A64Cpu *c = a64_cpus; c != NULL; c = c->next) {
        if (c == cpu || (c->cpu.engine == cpu->cpu.engine && is_broadcast(cpu, r))) {
            cpu_flush_contexts(&c->cpu, in_scope, s);
        }
    }
}

static void flush_range(A64Cpu *cpu, const A64Sysreg *r, const TlbScope *s, uint64_t va, uint64_t len)
{
    for (A64Cpu *c = a64_cpus; c != NULL; c = c->next) {
        if (c == cpu || (c->cpu.engine == cpu->cpu.engine && is_broadcast(cpu, r))) {
            cpu_flush_va(&c->cpu, in_scope, s, va, len);
        }
    }
}

/* ---- TLB maintenance: the operations ---- */

/* VMALLE1, ALLE2, ALLE3. */
static void tlbi_all(A64Cpu *cpu, const A64Sysreg *r, uint64_t v)
{
    TlbScope s = scope_of(cpu, r);

    flush(cpu, r, &s);
}

/* ALLE1: every VMID. VMALLS12E1: the current one. */
static void tlbi_alle1(A64Cpu *cpu, const A64Sysreg *r, uint64_t v)
{
    TlbScope s = { .regimes = 1u << A64_REGIME_EL10, .security = a64_lower_security(cpu) };

    flush(cpu, r, &s);
}

/* VMALLS12E1, and the forms by intermediate physical address. Without EL2 there is one VMID, not VTTBR_EL2's. */
static void tlbi_vmid(A64Cpu *cpu, const A64Sysreg *r, uint64_t v)
{
    TlbScope s = { .regimes = 1u << A64_REGIME_EL10, .security = a64_lower_security(cpu),
                   .by_vmid = a64_el2_enabled(cpu), .vmid = a64_vmid(cpu) };

    flush(cpu, r, &s);
}

/* PAALL and by physical range: cached granule protection information, all worlds. */
static void tlbi_pa(A64Cpu *cpu, const A64Sysreg *r, uint64_t v)
{
    TlbScope s = { .regimes = 0xf, .any_security = true };

    flush(cpu, r, &s);
}

static void tlbi_asid(A64Cpu *cpu, const A64Sysreg *r, uint64_t v)
{
    TlbScope s = scope_of(cpu, r);

    s.by_asid = true;
    s.asid = (uint16_t)(v >> 48);
    flush(cpu, r, &s);
}

/* By address. Global translations are kept once per ASID, so the address is dropped whatever the ASID. */
static void tlbi_va(A64Cpu *cpu, const A64Sysreg *r, uint64_t v)
{
    TlbScope s = scope_of(cpu, r);

    flush_range(cpu, r, &s, (uint64_t)sign_extend64(v << 12, 56), 0x1000);
}

/* FEAT_TLBIRANGE: BaseADDR 36:0 in units of the granule TG 47:46, (NUM 43:39 + 1) << (5 * SCALE 45:44 + 1) of
 * them. A reserved TG invalidates everything. */
static void tlbi_range(A64Cpu *cpu, const A64Sysreg *r, uint64_t v)
{
    static const uint8_t granules[] = { 0, 12, 14, 16 };
    TlbScope             s = scope_of(cpu, r);
    unsigned             shift = granules[v >> 46 & 3];
    uint64_t             pages = (extract64(v, 39, 5) + 1) << (5 * extract64(v, 44, 2) + 1);

    if (shift == 0) {
        flush(cpu, r, &s);
        return;
    }
    flush_range(cpu, r, &s, (uint64_t)sign_extend64(v, 37) << shift, pages << shift);
}

/* ---- TLB maintenance: traps ---- */

/* HCR_EL2.TTLB, and FEAT_EVT's TTLBIS and TTLBOS for the shareable forms. */
static A64Access ttlb(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    unsigned crm = crm_of(r);
    uint64_t bits = HCR_TTLB | (crm == 2 || crm == 3 ? HCR_TTLBIS : 0) | (crm == 1 || crm == 5 ? HCR_TTLBOS : 0);

    return cpu->el == 1 && (a64_hcr(cpu) & bits) ? A64_TRAP_EL2 : A64_OK;
}

/* EL2's operations at EL3 need EL2 enabled in the state below. */
static A64Access el2_exists(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    return a64_el2_enabled(cpu) ? A64_OK : A64_UNDEF;
}

#define OP(ident, op1, crn, crm, op2, level, ...)                                                             \
    A64_SYSREG(ident, .name = #ident, .enc = A64_SYS_ENC(op1, crn, crm, op2), .min_el = 9, .min_el_write = level, \
               .offset = -1, __VA_ARGS__)
#define TLBI(ident, op1, crm, op2, level, fn, check) \
    OP(TLBI_##ident, op1, 8, crm, op2, level, .write = fn, .access = check, .effects = SYSREG_TLB)

/* The three shareabilities of a form: non-shareable, inner, outer. */
#define TLBI3(ident, op1, crm, crm_is, crm_os, op2, level, fn, check)  \
    TLBI(ident, op1, crm, op2, level, fn, check);                      \
    TLBI(ident##IS, op1, crm_is, op2, level, fn, check);               \
    TLBI(ident##OS, op1, crm_os, op2, level, fn, check)

TLBI3(VMALLE1, 0, 7, 3, 1, 0, 1, tlbi_all, ttlb);
TLBI3(VAE1, 0, 7, 3, 1, 1, 1, tlbi_va, ttlb);
TLBI3(ASIDE1, 0, 7, 3, 1, 2, 1, tlbi_asid, ttlb);
TLBI3(VAAE1, 0, 7, 3, 1, 3, 1, tlbi_va, ttlb);
TLBI3(VALE1, 0, 7, 3, 1, 5, 1, tlbi_va, ttlb);
TLBI3(VAALE1, 0, 7, 3, 1, 7, 1, tlbi_va, ttlb);
TLBI3(RVAE1, 0, 6, 2, 5, 1, 1, tlbi_range, ttlb);
TLBI3(RVAAE1, 0, 6, 2, 5, 3, 1, tlbi_range, ttlb);
TLBI3(RVALE1, 0, 6, 2, 5, 5, 1, tlbi_range, ttlb);
TLBI3(RVAALE1, 0, 6, 2, 5, 7, 1, tlbi_range, ttlb);

TLBI3(ALLE2, 4, 7, 3, 1, 0, 2, tlbi_all, el2_exists);
TLBI3(VAE2, 4, 7, 3, 1, 1, 2, tlbi_va, el2_exists);
TLBI3(ALLE1, 4, 7, 3, 1, 4, 2, tlbi_alle1, NULL);
TLBI3(VALE2, 4, 7, 3, 1, 5, 2, tlbi_va, el2_exists);
TLBI3(VMALLS12E1, 4, 7, 3, 1, 6, 2, tlbi_vmid, NULL);
TLBI3(RVAE2, 4, 6, 2, 5, 1, 2, tlbi_range, el2_exists);
TLBI3(RVALE2, 4, 6, 2, 5, 5, 2, tlbi_range, el2_exists);
TLBI(IPAS2E1IS, 4, 0, 1, 2, tlbi_vmid, NULL);
TLBI(RIPAS2E1IS, 4, 0, 2, 2, tlbi_vmid, NULL);
TLBI(IPAS2LE1IS, 4, 0, 5, 2, tlbi_vmid, NULL);
TLBI(RIPAS2LE1IS, 4, 0, 6, 2, tlbi_vmid, NULL);
TLBI(IPAS2E1OS, 4, 4, 0, 2, tlbi_vmid, NULL);
TLBI(IPAS2E1, 4, 4, 1, 2, tlbi_vmid, NULL);
TLBI(RIPAS2E1, 4, 4, 2, 2, tlbi_vmid, NULL);
TLBI(RIPAS2E1OS, 4, 4, 3, 2, tlbi_vmid, NULL);
TLBI(IPAS2LE1OS, 4, 4, 4, 2, tlbi_vmid, NULL);
TLBI(IPAS2LE1, 4, 4, 5, 2, tlbi_vmid, NULL);
TLBI(RIPAS2LE1, 4, 4, 6, 2, tlbi_vmid, NULL);
TLBI(RIPAS2LE1OS, 4, 4, 7, 2, tlbi_vmid, NULL);

TLBI3(ALLE3, 6, 7, 3, 1, 0, 3, tlbi_all, NULL);
TLBI3(VAE3, 6, 7, 3, 1, 1, 3, tlbi_va, NULL);
TLBI3(VALE3, 6, 7, 3, 1, 5, 3, tlbi_va, NULL);
TLBI3(RVAE3, 6, 6, 2, 5, 1, 3, tlbi_range, NULL);
TLBI3(RVALE3, 6, 6, 2, 5, 5, 3, tlbi_range, NULL);
TLBI(PAALL, 6, 7, 4, 3, tlbi_pa, NULL);
TLBI(PAALLOS, 6, 1, 4, 3, tlbi_pa, NULL);
TLBI(RPAOS, 6, 4, 3, 3, tlbi_pa, NULL);
TLBI(RPALOS, 6, 4, 7, 3, tlbi_pa, NULL);

/* ---- address translation ---- */

/* PAR_EL1 of a success: ATTR 63:56, PA, NSE 11, NS 9, SH 8:7. Device and Non-cacheable memory is outer
 * shareable. NS and NSE tell the output space to Secure, Realm and Root; they are UNKNOWN in Non-secure
 * state, here NS 1. */
static uint64_t par_success(const A64Walk *w)
{
    uint64_t sh = w->device || w->attr == 0x44 ? 2 : 3;
    bool     nse = w->pas == PAS_ROOT || w->pas == PAS_REALM;

    return (uint64_t)w->attr << 56 | (w->pa & mask64(48) & ~0xfffull) | (uint64_t)nse << 11 |
           (uint64_t)(w->pas & 1) << 9 | sh << 7;
}

/* F 0, FST 6:1, PTW 8, S 9, RES1 11. */
static uint64_t par_failure(const A64Walk *w)
{
    return BIT(11) | (uint64_t)w->stage2 << 9 | (uint64_t)w->s1ptw << 8 | (uint64_t)a64_fault_status(w) << 1 | 1;
}

static bool aborts_walk(const A64Cpu *cpu, const A64Walk *w)
{
    if (w->fault == A64_FAULT_WALK_ABORT) {
        return true;
    }
    /* From EL1, a stage 2 fault on a stage 1 table goes to EL2: "Synchronous faults generated by address
     * translation instructions". */
    return cpu->el == 1 && w->stage2 && w->s1ptw;
}

static void translate(A64Cpu *cpu, A64Request *req, uint64_t va)
{
    A64Walk w;

    req->update = false;
    req->cache_op = true;
    a64_walk(cpu, req, va, &w);
    if (w.fault != A64_FAULT_NONE && aborts_walk(cpu, &w)) {
        a64_raise_fault(cpu, req, &w, va);
        return;
    }
    cpu->el1.par = w.fault == A64_FAULT_NONE ? par_success(&w) : par_failure(&w);
}

/* AT S1E1R, S1E1W, S1E0R, S1E0W (op2 0 to 3 at CRm 8), S1E1RP, S1E1WP (CRm 9), S12E1R .. S12E0W (op1 4, op2 4
 * to 7), S1E2R, S1E2W (op1 4), S1E3R, S1E3W (op1 6). */
static void at_write(A64Cpu *cpu, const A64Sysreg *r, uint64_t va)
{
    unsigned   op1 = op1_of(r), op2 = op2_of(r);
    A64Request req = { .security = a64_lower_security(cpu), .write = op2 & 1 };

    if (op1 == 6) {
        req.regime = A64_REGIME_EL3;
        req.security = PAS_ROOT;
    } else if (op1 == 4 && op2 < 4) {
        req.regime = cpu->el2.hcr & HCR_E2H ? A64_REGIME_EL20 : A64_REGIME_EL2;
    } else {
        req.regime = a64_host(cpu) && op1 == 0 && cpu->el != 1 ? A64_REGIME_EL20 : A64_REGIME_EL10;
        req.user = op2 & 2;
        req.pan = crm_of(r) == 9 && cpu->pan;
        req.stage2 = op1 == 4;
    }
    /* The walk of stage 1 alone still goes through stage 2 for its tables. */
    req.tables_only = req.regime == A64_REGIME_EL10 && !req.stage2;
    req.stage2 = req.regime == A64_REGIME_EL10;
    translate(cpu, &req, va);
}

static A64Access at_access(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    return op1_of(r) == 4 && !a64_el2_enabled(cpu) ? A64_UNDEF : A64_OK;
}

#define AT_ROW(ident, op1, crm, op2, level) \
    OP(AT_##ident, op1, 7, crm, op2, level, .write = at_write, .access = at_access, .effects = SYSREG_MEMORY)

AT_ROW(S1E1R, 0, 8, 0, 1);
AT_ROW(S1E1W, 0, 8, 1, 1);
AT_ROW(S1E0R, 0, 8, 2, 1);
AT_ROW(S1E0W, 0, 8, 3, 1);
AT_ROW(S1E1RP, 0, 9, 0, 1);
AT_ROW(S1E1WP, 0, 9, 1, 1);
AT_ROW(S1E2R, 4, 8, 0, 2);
AT_ROW(S1E2W, 4, 8, 1, 2);
AT_ROW(S12E1R, 4, 8, 4, 2);
AT_ROW(S12E1W, 4, 8, 5, 2);
AT_ROW(S12E0R, 4, 8, 6, 2);
AT_ROW(S12E0W, 4, 8, 7, 2);
AT_ROW(S1E3R, 6, 8, 0, 3);
AT_ROW(S1E3W, 6, 8, 1, 3);

/* ---- cache maintenance ---- */

/* To the point of unification: HCR_EL2.TPU, TOCU; SCTLR_ELx.UCI at EL0. */
static A64Access pou(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    if (cpu->el == 0 && !(a64_sctlr(cpu) & SCTLR_UCI)) {
        return A64_TRAP_EL1;
    }
    return cpu->el < 2 && (a64_hcr(cpu) & (HCR_TPU | HCR_TOCU)) ? A64_TRAP_EL2 : A64_OK;
}

/* IC IALLUIS: TPU, TICAB. */
static A64Access ialluis(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    return cpu->el == 1 && (a64_hcr(cpu) & (HCR_TPU | HCR_TICAB)) ? A64_TRAP_EL2 : A64_OK;
}

/* To the point of coherency or persistence: HCR_EL2.TPCP. */
static A64Access poc(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    if (cpu->el == 0 && !(a64_sctlr(cpu) & SCTLR_UCI)) {
        return A64_TRAP_EL1;
    }
    return cpu->el < 2 && (a64_hcr(cpu) & HCR_TPCP) ? A64_TRAP_EL2 : A64_OK;
}

/* By set and way: HCR_EL2.TSW. */
static A64Access set_way(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    return cpu->el == 1 && (a64_hcr(cpu) & HCR_TSW) ? A64_TRAP_EL2 : A64_OK;
}

/* DC ZVA: SCTLR_ELx.DZE at EL0, HCR_EL2.TDZ. */
static A64Access zva(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    if (cpu->el == 0 && !(a64_sctlr(cpu) & SCTLR_DZE)) {
        return A64_TRAP_EL1;
    }
    return cpu->el < 2 && (a64_hcr(cpu) & HCR_TDZ) ? A64_TRAP_EL2 : A64_OK;
}

/* By address: the address is translated and may fault as a read would; DC IVAC needs write permission. */
static void by_address(A64Cpu *cpu, const A64Sysreg *r, uint64_t va)
{
    A64Request req = a64_request(cpu, 0);
    A64Walk    w;

    req.cache_op = true;
    req.write = op1_of(r) == 0 && crm_of(r) == 6;
    if (cpu_is_mapped(&cpu->cpu, va, req.write ? CPU_WRITE : CPU_READ)) {
        return;
    }
    a64_walk(cpu, &req, va, &w);
    /* A privileged operation needs no permission to read; nothing is cached, so memory that is not there or
     * not ours is no fault either. */
    bool moot = w.fault == A64_FAULT_PERMISSION && cpu->el != 0 && !w.stage2 && !req.write;
    if (w.fault != A64_FAULT_NONE && w.fault != A64_FAULT_GPF && !moot) {
        a64_raise_fault(cpu, &req, &w, va);
    }
}

/* CFP, DVP and CPP RCTX: there is no speculation to restrict; SCTLR_ELx.EnRCTX gates EL0. */
static A64Access rctx(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    return cpu->el == 0 && !(a64_sctlr(cpu) & SCTLR_ENRCTX) ? A64_TRAP_EL1 : A64_OK;
}

OP(IC_IALLUIS, 0, 7, 1, 0, 1, .access = ialluis);
OP(IC_IALLU, 0, 7, 5, 0, 1, .access = pou);
OP(IC_IVAU, 3, 7, 5, 1, 0, .access = pou, .write = by_address, .effects = SYSREG_MEMORY);
OP(DC_IVAC, 0, 7, 6, 1, 1, .access = poc, .write = by_address, .effects = SYSREG_MEMORY);
OP(DC_ISW, 0, 7, 6, 2, 1, .access = set_way);
OP(DC_CSW, 0, 7, 10, 2, 1, .access = set_way);
OP(DC_CISW, 0, 7, 14, 2, 1, .access = set_way);
OP(DC_ZVA, 3, 7, 4, 1, 0, .access = zva);
OP(DC_CVAC, 3, 7, 10, 1, 0, .access = poc, .write = by_address, .effects = SYSREG_MEMORY);
OP(DC_CVAU, 3, 7, 11, 1, 0, .access = pou, .write = by_address, .effects = SYSREG_MEMORY);
OP(DC_CVAP, 3, 7, 12, 1, 0, .access = poc, .write = by_address, .effects = SYSREG_MEMORY);
OP(DC_CVADP, 3, 7, 13, 1, 0, .access = poc, .write = by_address, .effects = SYSREG_MEMORY);
OP(DC_CIVAC, 3, 7, 14, 1, 0, .access = poc, .write = by_address, .effects = SYSREG_MEMORY);
OP(CFP_RCTX, 3, 7, 3, 4, 0, .access = rctx);
OP(DVP_RCTX, 3, 7, 3, 5, 0, .access = rctx);
OP(CPP_RCTX, 3, 7, 3, 7, 0, .access = rctx);
/* DC CIPAPA: by physical address, for a change of a granule's owner. */
OP(DC_CIPAPA, 6, 7, 14, 1, 3, .access = NULL);
