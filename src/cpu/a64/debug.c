/*
 * Self-hosted debug: breakpoints, watchpoints, software step, and their registers. Arm DDI 0487, "AArch64
 * Self-hosted Debug". Not modelled: external debug, the debug communications channel (its registers read as
 * empty), breakpoints on VMIDs and on CONTEXTIDR_EL2.
 */
#include <string.h>

#include "cpu/a64/system.h"

/* ---- whether debug exceptions happen here ---- */

unsigned a64_debug_target(const A64Cpu *cpu)
{
    bool to_el2 = a64_el2_enabled(cpu) && ((cpu->el2.hcr & HCR_TGE) || (cpu->el2.mdcr & MDCR_TDE));

    return to_el2 ? 2 : 1;
}

/* AArch64.GenerateDebugExceptionsFrom(). */
bool a64_debug_enabled(const A64Cpu *cpu)
{
    unsigned target = a64_debug_target(cpu);

    if ((cpu->el1.oslsr & OSLSR_OSLK) || cpu->el == 3 || cpu->el > target) {
        return false;
    }
    if (cpu->security == PAS_SECURE && (cpu->el3.mdcr & MDCR3_SDD)) {
        return false;
    }
    return cpu->el < target || ((cpu->el1.mdscr & MDSCR_KDE) && !cpu->d);
}

/* ---- matching ---- */

/* PMC or PAC, HMC and SSC of a control register: bits 2:1, 13, 15:14. */
static bool level_matches(const A64Cpu *cpu, uint64_t control, bool user)
{
    unsigned pmc = control >> 1 & 3, ssc = control >> 14 & 3;

    if ((ssc == 1 && cpu->security != PAS_NONSECURE) || (ssc == 2 && cpu->security != PAS_SECURE)) {
        return false;
    }
    if (user) {
        return pmc & 2;
    }
    return cpu->el == 2 ? control & BIT(13) : pmc & 1;
}

/* A context breakpoint (BT 2 or 3) compares CONTEXTIDR_EL1. */
static bool context_matches(const A64Cpu *cpu, unsigned n)
{
    if (n < A64_N_BREAKPOINTS - A64_N_CONTEXT_BREAKPOINTS || n >= A64_N_BREAKPOINTS) {
        return false;
    }
    uint64_t control = cpu->el1.dbgbcr[n];

    return (control & 1) && (control >> 20 & 0xe) == 2 &&
           (uint32_t)cpu->el1.dbgbvr[n] == (uint32_t)cpu->el1.contextidr;
}

/* BT: 0 address, 1 address linked to a context, 2 context. A linked context (3) matches only through its
 * link. */
static bool breakpoint_matches(const A64Cpu *cpu, unsigned n, uint64_t pc)
{
    uint64_t control = cpu->el1.dbgbcr[n];
    unsigned type = control >> 20 & 15;

    if (!(control & 1) || !level_matches(cpu, control, cpu->el == 0)) {
        return false;
    }
    if (type == 2) {
        return context_matches(cpu, n);
    }
    if (type > 1 || extract64(cpu->el1.dbgbvr[n], 2, 47) != extract64(pc, 2, 47)) {
        return false;
    }
    return type == 0 || context_matches(cpu, control >> 16 & 15);
}

bool a64_breakpoints_active(const A64Cpu *cpu)
{
    if (!(cpu->el1.mdscr & MDSCR_MDE) || !a64_debug_enabled(cpu)) {
        return false;
    }
    for (unsigned n = 0; n < A64_N_BREAKPOINTS; n++) {
        if (cpu->el1.dbgbcr[n] & 1) {
            return true;
        }
    }
    return false;
}

/* The bytes a watchpoint covers: by MASK, or the run of ones in BAS. */
static bool watched_bytes(uint64_t value, uint64_t control, uint64_t *base, uint64_t *len)
{
    unsigned mask = control >> 24 & 31, bas = control >> 5 & 0xff;

    if (mask >= 3) {
        *len = 1ull << mask;
        *base = align_down(value, *len);
        return true;
    }
    if (bas == 0) {
        return false;
    }
    unsigned first = (unsigned)__builtin_ctz(bas);
    *len = (unsigned)__builtin_ctz(~(bas >> first));
    *base = (value & ~7ull) + first;
    return true;
}

/* Whether watchpoint @n is enabled and touches [@va, @va + @len). */
static bool watches(const A64Cpu *cpu, unsigned n, uint64_t va, uint64_t len)
{
    uint64_t control = cpu->el1.dbgwcr[n], base, size;

    return (control & 1) && watched_bytes(extract64(cpu->el1.dbgwvr[n], 0, 49), control, &base, &size) &&
           ranges_overlap(extract64(va, 0, 49), len, base, size);
}

bool a64_watchpoint_in(const A64Cpu *cpu, uint64_t va, uint64_t len, unsigned kinds, bool user)
{
    if (!(cpu->el1.mdscr & MDSCR_MDE) || !a64_debug_enabled(cpu)) {
        return false;
    }
    for (unsigned n = 0; n < A64_N_WATCHPOINTS; n++) {
        uint64_t control = cpu->el1.dbgwcr[n];

        if ((control >> 3 & kinds) && level_matches(cpu, control, user) && watches(cpu, n, va, len) &&
            (!(control & BIT(20)) || context_matches(cpu, control >> 16 & 15))) {
            return true;
        }
    }
    return false;
}

bool a64_watchpoint_near(const A64Cpu *cpu, uint64_t va)
{
    for (unsigned n = 0; (cpu->el1.mdscr & MDSCR_MDE) && n < A64_N_WATCHPOINTS; n++) {
        if (watches(cpu, n, va & ~0xfffull, 0x1000)) {
            return true;
        }
    }
    return false;
}

void a64_watchpoints_written(A64Cpu *cpu)
{
    A64Watchpoints now = { .on = cpu->el1.mdscr & MDSCR_MDE };

    for (unsigned n = 0; now.on && n < A64_N_WATCHPOINTS; n++) {
        now.value[n] = cpu->el1.dbgwvr[n];
        now.control[n] = cpu->el1.dbgwcr[n];
    }
    if ((now.on || cpu->watchpoints.on) && memcmp(&now, &cpu->watchpoints, sizeof(now)) != 0) {
        cpu->watchpoints = now;
        cpu_flush_contexts(&cpu->cpu, NULL, NULL);
    }
}

/* ---- before an instruction ---- */

/* IFSC 0b100010 in each; software step adds ISV. */
static void raise_debug(A64Cpu *cpu, unsigned ec, uint32_t iss)
{
    unsigned target = a64_debug_target(cpu);

    a64_raise_sync(cpu, target, ec + (target == cpu->el), 0x22 | iss, false);
}

/* Software step comes before a breakpoint: "Exception priority". */
bool a64_step_begin(A64Cpu *cpu)
{
    if (a64_step_active(cpu) && !cpu->ss) {
        uint32_t iss = (uint32_t)(cpu->step_iss & 1) << 24 | (uint32_t)(cpu->step_iss & 2) << 5; /* ISV, EX */

        cpu->step_iss = 0;
        raise_debug(cpu, EC_STEP, iss);
        return false;
    }
    cpu->step_iss = a64_step_active(cpu);
    if (!a64_breakpoints_active(cpu)) {
        return true;
    }
    for (unsigned n = 0; n < A64_N_BREAKPOINTS; n++) {
        if (breakpoint_matches(cpu, n, cpu_current_pc(&cpu->cpu))) {
            raise_debug(cpu, EC_BREAKPOINT, 0);
            return false;
        }
    }
    return true;
}

/* ---- registers ---- */

/* MDCR_EL2.TDA and MDCR_EL3.TDA, TDOSA, TDRA. */
static A64Access debug_access(const A64Cpu *cpu, uint64_t el2_bits, uint64_t el3_bits)
{
    if (cpu->el < 2 && a64_el2_enabled(cpu) &&
        ((cpu->el2.mdcr & (el2_bits | MDCR_TDE)) || (cpu->el2.hcr & HCR_TGE))) {
        return A64_TRAP_EL2;
    }
    return cpu->el < 3 && (cpu->el3.mdcr & el3_bits) ? A64_TRAP_EL3 : A64_OK;
}

static A64Access tda(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    return debug_access(cpu, MDCR_TDA, MDCR_TDA);
}

static A64Access tdosa(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    return debug_access(cpu, MDCR_TDOSA, MDCR_TDOSA);
}

static A64Access tdra(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    return debug_access(cpu, MDCR_TDRA, MDCR_TDA);
}

/* The communications channel at EL0 is gated by MDSCR_EL1.TDCC. */
static A64Access tdcc(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    if (cpu->el == 0 && (cpu->el1.mdscr & MDSCR_TDCC)) {
        return A64_TRAP_EL1;
    }
    return debug_access(cpu, MDCR_TDA, MDCR_TDA);
}

static void write_oslar(A64Cpu *cpu, const A64Sysreg *r, uint64_t value)
{
    cpu->el1.oslsr = deposit64(cpu->el1.oslsr, 1, 1, value & 1);
}

/* Watchpoints decide what a translation may be cached as. */
static void write_watchpoint(A64Cpu *cpu, const A64Sysreg *r, uint64_t value)
{
    *(uint64_t *)((uint8_t *)cpu + r->offset) = value;
    a64_watchpoints_written(cpu);
}

static void write_mdscr(A64Cpu *cpu, const A64Sysreg *r, uint64_t value)
{
    cpu->el1.mdscr = value & (0xffffull | 3ull << 21 | BIT(23) | BIT(26) | BIT(27) | 0x3full << 29);
    a64_watchpoints_written(cpu);
}

#define DEBUG_ROW(ident, op1, crn, crm, op2, ...) \
    A64_SYSREG(ident, .name = #ident, .enc = A64_SYSREG_ENC(2, op1, crn, crm, op2), __VA_ARGS__)
#define EL1_RW   .min_el = 1, .min_el_write = 1
#define EL1_RO   .min_el = 1, .min_el_write = 9
#define AT(field) .offset = offsetof(A64Cpu, el1.field)
#define NOWHERE  .offset = -1

DEBUG_ROW(MDSCR_EL1, 0, 0, 2, 2, EL1_RW, AT(mdscr), .access = tda, .write = write_mdscr,
          .effects = SYSREG_KEY);
DEBUG_ROW(MDCCINT_EL1, 0, 0, 2, 0, EL1_RW, AT(mdccint), .access = tda, .mask = 3ull << 29);
DEBUG_ROW(OSDTRRX_EL1, 0, 0, 0, 2, EL1_RW, NOWHERE, .access = tda);
DEBUG_ROW(OSDTRTX_EL1, 0, 0, 3, 2, EL1_RW, NOWHERE, .access = tda);
DEBUG_ROW(OSECCR_EL1, 0, 0, 6, 2, EL1_RW, NOWHERE, .access = tda);
DEBUG_ROW(MDRAR_EL1, 0, 1, 0, 0, EL1_RO, NOWHERE, .access = tdra);
/* The OS lock is set by a cold reset; OSLM 0b10: implemented. */
DEBUG_ROW(OSLAR_EL1, 0, 1, 0, 4, .min_el = 9, .min_el_write = 1, NOWHERE, .access = tdosa, .write = write_oslar,
          .effects = SYSREG_KEY);
DEBUG_ROW(OSLSR_EL1, 0, 1, 1, 4, EL1_RO, AT(oslsr), .reset = 0xa, .access = tdosa);
DEBUG_ROW(OSDLR_EL1, 0, 1, 3, 4, EL1_RW, NOWHERE, .access = tdosa); /* no FEAT_DoubleLock: RAZ/WI */
DEBUG_ROW(DBGPRCR_EL1, 0, 1, 4, 4, EL1_RW, NOWHERE, .access = tdosa);
DEBUG_ROW(DBGCLAIMSET_EL1, 0, 7, 8, 6, EL1_RW, NOWHERE, .reset = 0xff, .access = tda);
DEBUG_ROW(DBGCLAIMCLR_EL1, 0, 7, 9, 6, EL1_RW, NOWHERE, .access = tda);
DEBUG_ROW(DBGAUTHSTATUS_EL1, 0, 7, 14, 6, EL1_RO, NOWHERE, .access = tda);
DEBUG_ROW(MDCCSR_EL0, 3, 0, 1, 0, .min_el = 0, .min_el_write = 9, NOWHERE, .access = tdcc);
DEBUG_ROW(DBGDTR_EL0, 3, 0, 4, 0, .min_el = 0, .min_el_write = 0, NOWHERE, .access = tdcc);
DEBUG_ROW(DBGDTRRX_EL0, 3, 0, 5, 0, .min_el = 0, .min_el_write = 0, NOWHERE, .access = tdcc);

#define BREAKPOINT_ROWS(n)                                                                                       \
    A64_SYSREG(DBGBVR##n, .name = "DBGBVR" #n "_EL1", .enc = A64_SYSREG_ENC(2, 0, 0, n, 4), EL1_RW, AT(dbgbvr[n]), \
               .access = tda, .effects = SYSREG_KEY);                                                            \
    A64_SYSREG(DBGBCR##n, .name = "DBGBCR" #n "_EL1", .enc = A64_SYSREG_ENC(2, 0, 0, n, 5), EL1_RW, AT(dbgbcr[n]), \
               .access = tda, .mask = 0xffe1e7, .effects = SYSREG_KEY)

#define WATCHPOINT_ROWS(n)                                                                                       \
    A64_SYSREG(DBGWVR##n, .name = "DBGWVR" #n "_EL1", .enc = A64_SYSREG_ENC(2, 0, 0, n, 6), EL1_RW, AT(dbgwvr[n]), \
               .access = tda, .mask = ~3ull, .write = write_watchpoint, .effects = SYSREG_CONTEXT);              \
    A64_SYSREG(DBGWCR##n, .name = "DBGWCR" #n "_EL1", .enc = A64_SYSREG_ENC(2, 0, 0, n, 7), EL1_RW, AT(dbgwcr[n]), \
               .access = tda, .mask = 0x1f1fffff, .write = write_watchpoint, .effects = SYSREG_CONTEXT)

BREAKPOINT_ROWS(0);
BREAKPOINT_ROWS(1);
BREAKPOINT_ROWS(2);
BREAKPOINT_ROWS(3);
BREAKPOINT_ROWS(4);
BREAKPOINT_ROWS(5);
WATCHPOINT_ROWS(0);
WATCHPOINT_ROWS(1);
WATCHPOINT_ROWS(2);
WATCHPOINT_ROWS(3);
