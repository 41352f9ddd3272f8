/*
 * System register access: the table's index, MRS and MSR with their checks, and raw access. Arm DDI 0487,
 * "AArch64 System Register Descriptions", "Traps to EL2 of EL0 and EL1 accesses to the ID registers" and
 * FEAT_IDST.
 */
#include "cpu/a64/sysreg.h"

#include <glib.h>

#include "cpu/a64/system.h"
#include "log.h"

/* The linker gathers every A64_SYSREG() between these. */
extern const A64Sysreg *const __start_bailey_a64_sysregs[];
extern const A64Sysreg *const __stop_bailey_a64_sysregs[];

enum { N_ENCODINGS = 1 << 16, NO_ACCESS = 9 };

static const A64Sysreg *by_encoding[N_ENCODINGS];
static bool             indexed;

/* ---- the table ---- */

static void build_index(void)
{
    for (const A64Sysreg *const *p = __start_bailey_a64_sysregs; p < __stop_bailey_a64_sysregs; p++) {
        const A64Sysreg *r = *p;
        if (by_encoding[r->enc & (N_ENCODINGS - 1)] == NULL) {
            by_encoding[r->enc & (N_ENCODINGS - 1)] = r;
        }
    }
    indexed = true;
}

const A64Sysreg *a64_sysreg_find(uint32_t enc)
{
    if (!indexed) {
        build_index();
    }
    return enc < N_ENCODINGS ? by_encoding[enc] : NULL;
}

const A64Sysreg *a64_sysreg_by_name(const char *name)
{
    for (const A64Sysreg *const *p = __start_bailey_a64_sysregs; p < __stop_bailey_a64_sysregs; p++) {
        if (g_ascii_strcasecmp((*p)->name, name) == 0) {
            return *p;
        }
    }
    return NULL;
}

void a64_sysreg_foreach(void (*fn)(const A64Sysreg *r, void *opaque), void *opaque)
{
    for (const A64Sysreg *const *p = __start_bailey_a64_sysregs; p < __stop_bailey_a64_sysregs; p++) {
        fn(*p, opaque);
    }
}

typedef struct CheckReport {
    void (*say)(const char *sentence, void *opaque);
    void *opaque;
    int   n;
} CheckReport;

static void complain(CheckReport *report, const A64Sysreg *r, const char *what)
{
    char sentence[160];

    g_snprintf(sentence, sizeof(sentence), "system register %s (0x%04x) %s", r->name, r->enc, what);
    if (report->say != NULL) {
        report->say(sentence, report->opaque);
    }
    report->n++;
}

static void check_row(const A64Sysreg *r, void *opaque)
{
    CheckReport *report = opaque;

    if (r->enc >= N_ENCODINGS) {
        complain(report, r, "has an encoding wider than 16 bits");
    } else if (a64_sysreg_find(r->enc) != r) {
        complain(report, r, "has the encoding of another row");
    }
    if (r->e2h_enc != 0 && a64_sysreg_find(r->e2h_enc) == NULL) {
        complain(report, r, "is redirected to a register that does not exist");
    }
    if (r->alias != 0 && a64_sysreg_find(r->alias) == NULL) {
        complain(report, r, "is another name of a register that does not exist");
    }
    if (r->offset >= 0 && (r->offset % 8 != 0 || (size_t)r->offset + 8 > sizeof(A64Cpu))) {
        complain(report, r, "is kept outside the CPU");
    }
}

int a64_sysreg_check(void (*say)(const char *sentence, void *opaque), void *opaque)
{
    CheckReport report = { say, opaque, 0 };

    a64_sysreg_foreach(check_row, &report);
    return report.n;
}

/* ---- raw access ---- */

static uint64_t *storage(A64Cpu *cpu, const A64Sysreg *r)
{
    return (uint64_t *)((uint8_t *)cpu + r->offset);
}

uint64_t a64_sysreg_get(A64Cpu *cpu, const A64Sysreg *r)
{
    if (r->alias != 0) {
        r = a64_sysreg_find(r->alias);
    }
    if (r->read != NULL) {
        return r->read(cpu, r);
    }
    return r->offset >= 0 ? *storage(cpu, r) : r->reset;
}

static void store(A64Cpu *cpu, const A64Sysreg *r, uint64_t value)
{
    uint64_t mask = r->mask != 0 ? r->mask : ~0ull;

    if (r->offset >= 0) {
        value = (*storage(cpu, r) & ~mask) | (value & mask);
    }
    if (r->write != NULL) {
        r->write(cpu, r, value);
    } else if (r->offset >= 0) {
        *storage(cpu, r) = value;
    }
}

void a64_sysreg_set(A64Cpu *cpu, const A64Sysreg *r, uint64_t value)
{
    if (r->alias != 0) {
        r = a64_sysreg_find(r->alias);
    }
    store(cpu, r, value);
    cpu->derived.key_valid &= !(r->effects & SYSREG_KEY);
    if (r->effects & SYSREG_CONTEXT) {
        a64_select_contexts(cpu);
    }
    if (r->effects & SYSREG_IRQ) {
        a64_unmasked(cpu);
    }
}

/* ---- a debugger's access ---- */

bool a64_sysreg_shown(const A64Sysreg *r)
{
    return r->enc >> 14 >= 2 && r->min_el < NO_ACCESS && r->alias == 0 && !(r->effects & SYSREG_ACTS);
}

uint64_t a64_sysreg_peek(A64Cpu *cpu, const A64Sysreg *r)
{
    a64_bank_sp(cpu);
    return a64_sysreg_get(cpu, r);
}

bool a64_sysreg_poke(A64Cpu *cpu, const A64Sysreg *r, uint64_t value)
{
    /* What is kept nowhere is PSTATE or a device's: it is written as the current level may. */
    if (r->min_el_write >= NO_ACCESS || (r->offset < 0 && cpu->el < r->min_el_write)) {
        return false;
    }
    a64_bank_sp(cpu);
    a64_sysreg_set(cpu, r, value);
    a64_unbank_sp(cpu);
    a64_context_changed(cpu);
    return true;
}

/* ---- MRS and MSR ---- */

static unsigned op0_of(uint32_t enc) { return enc >> 14 & 3; }
static unsigned op1_of(uint32_t enc) { return enc >> 11 & 7; }
static unsigned crn_of(uint32_t enc) { return enc >> 7 & 15; }
static unsigned crm_of(uint32_t enc) { return enc >> 3 & 15; }

/* DDI 0487, "ISS encoding for an exception from MSR, MRS, or System instruction execution in AArch64 state". */
static uint32_t access_iss(uint32_t enc, unsigned rt, bool write)
{
    return op0_of(enc) << 20 | (enc & 7) << 17 | op1_of(enc) << 14 | crn_of(enc) << 10 | rt << 5 | crm_of(enc) << 1 |
           !write;
}

/* Reads of the feature ID space at EL0 trap with EC 0x18 instead of being UNDEFINED: FEAT_IDST. */
static bool in_id_space(uint32_t enc)
{
    unsigned op1 = op1_of(enc);

    return op0_of(enc) == 3 && (op1 == 0 || op1 == 1 || op1 == 3) && crn_of(enc) == 0 && crm_of(enc) <= 7;
}

/* Encodings that no row has. Reserved ID registers read as zero under HCR_EL2.TID3; IMPLEMENTATION DEFINED
 * ones are under HCR_EL2.TIDCP. */
static A64Access access_unknown(const A64Cpu *cpu, uint32_t enc, bool write)
{
    unsigned crn = crn_of(enc);

    if (op0_of(enc) == 3 && op1_of(enc) == 0 && crn == 0 && crm_of(enc) >= 1 && crm_of(enc) <= 7 && !write) {
        if (cpu->el == 0) {
            return A64_TRAP_EL1;
        }
        return cpu->el == 1 && (a64_hcr(cpu) & HCR_TID3) ? A64_TRAP_EL2 : A64_OK;
    }
    if (op0_of(enc) != 2 && (crn == 11 || crn == 15) && cpu->el == 1 && (a64_hcr(cpu) & HCR_TIDCP)) {
        return A64_TRAP_EL2;
    }
    return A64_UNDEF;
}

static A64Access access_row(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    unsigned min_el = write ? r->min_el_write : r->min_el;

    if (cpu->el < min_el) {
        bool idst = !write && min_el < NO_ACCESS && cpu->el == 0 && in_id_space(r->enc);
        return idst ? A64_TRAP_EL1 : A64_UNDEF;
    }
    return r->access != NULL ? r->access(cpu, r, write) : A64_OK;
}

/* True when the access goes on; else its exception has been raised. */
static bool allowed(A64Cpu *cpu, A64Access a, uint32_t enc, unsigned rt, bool write)
{
    switch (a) {
    case A64_OK:
        return true;
    case A64_UNDEF:
        guest_error("EL%u %s of system register %u_%u_c%u_c%u_%u is UNDEFINED", cpu->el, write ? "write" : "read",
                    op0_of(enc), op1_of(enc), crn_of(enc), crm_of(enc), enc & 7);
        a64_undefined_now(cpu);
        return false;
    case A64_TRAP_EL1:
        a64_raise_sync(cpu, a64_sync_target(cpu), EC_SYSREG, access_iss(enc, rt, write), false);
        return false;
    default:
        a64_raise_sync(cpu, a == A64_TRAP_EL2 ? 2 : 3, EC_SYSREG, access_iss(enc, rt, write), false);
        return false;
    }
}

/* What HCR_EL2.E2H makes of an encoding: at EL2 the EL1 name reaches the EL2 register; timers of EL0 do so
 * for a host's EL0 too. */
static const A64Sysreg *redirected(const A64Cpu *cpu, const A64Sysreg *r)
{
    bool e2h = cpu->el == 2 && (cpu->el2.hcr & HCR_E2H);

    if (r->e2h_enc == 0 || !(e2h || (cpu->el == 0 && a64_host(cpu)))) {
        return r;
    }
    /* Timers of Secure EL2: CNTHP (CRm 2) and CNTHV (3) are CNTHPS (5) and CNTHVS (4). */
    if (cpu->security == PAS_SECURE && crn_of(r->e2h_enc) == 14 && crm_of(r->e2h_enc) >= 2) {
        return a64_sysreg_find(A64_SYSREG_ENC(3, 4, 14, 7 - crm_of(r->e2h_enc), r->e2h_enc & 7));
    }
    return a64_sysreg_find(r->e2h_enc);
}

bool a64_mrs(A64Cpu *cpu, uint32_t enc, unsigned rt, uint64_t *value)
{
    const A64Sysreg *r = a64_sysreg_find(enc);

    *value = 0;
    if (!allowed(cpu, r != NULL ? access_row(cpu, r, false) : access_unknown(cpu, enc, false), enc, rt, false)) {
        return false;
    }
    if (r != NULL) {
        /* Software may tell other CPUs what it read, and they must not find their counters behind it: DDI 0487, "The
         * system counter", has one count for all. A debugger's look tells nobody. */
        if (r->effects & SYSREG_TIME) {
            clock_show(cpu->cpu.clock);
        }
        *value = a64_sysreg_get(cpu, redirected(cpu, r));
    }
    return true;
}

bool a64_msr(A64Cpu *cpu, uint32_t enc, unsigned rt, uint64_t value)
{
    const A64Sysreg *r = a64_sysreg_find(enc);

    if (!allowed(cpu, r != NULL ? access_row(cpu, r, true) : access_unknown(cpu, enc, true), enc, rt, true)) {
        return false;
    }
    if (r != NULL) {
        a64_sysreg_set(cpu, redirected(cpu, r), value);
    }
    return !cpu->cpu.fault;
}
