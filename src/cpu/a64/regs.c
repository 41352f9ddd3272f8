/*
 * The system registers of EL0 to EL3 that are state: rows of the table with their traps. ID registers, debug,
 * timers, performance monitors and system instructions have files of their own. Arm DDI 0487, "AArch64 System
 * Register Descriptions". There are no fine-grained traps and no AArch32: those encodings are UNDEFINED.
 */
#include "cpu/a64/system.h"
#include "entropy.h"

/* ---- access checks ---- */

/* HCR_EL2.TVM and TRVM: the virtual memory registers of EL1. */
static A64Access tvm(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    return cpu->el == 1 && (a64_hcr(cpu) & (write ? HCR_TVM : HCR_TRVM)) ? A64_TRAP_EL2 : A64_OK;
}

static A64Access tacr(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    return cpu->el == 1 && (a64_hcr(cpu) & HCR_TACR) ? A64_TRAP_EL2 : A64_OK;
}

static A64Access terr(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    if (cpu->el == 1 && (a64_hcr(cpu) & HCR_TERR)) {
        return A64_TRAP_EL2;
    }
    return cpu->el < 3 && (cpu->el3.scr & SCR_TERR) ? A64_TRAP_EL3 : A64_OK;
}

/* CPTR_EL2.TCPAC and CPTR_EL3.TCPAC. */
static A64Access tcpac(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    if (cpu->el == 1 && a64_el2_enabled(cpu) && (cpu->el2.cptr & BIT(31))) {
        return A64_TRAP_EL2;
    }
    return cpu->el < 3 && (cpu->el3.cptr & BIT(31)) ? A64_TRAP_EL3 : A64_OK;
}

/* HCR_EL2.APK and SCR_EL3.APK: pointer authentication keys. */
static A64Access apk(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    if (cpu->el == 1 && a64_el2_enabled(cpu) && !(a64_hcr(cpu) & HCR_APK)) {
        return A64_TRAP_EL2;
    }
    return cpu->el < 3 && !(cpu->el3.scr & SCR_APK) ? A64_TRAP_EL3 : A64_OK;
}

/* The _EL12 and _EL02 names exist only with E2H. */
static A64Access e2h_only(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    return a64_el2_enabled(cpu) && (cpu->el2.hcr & HCR_E2H) ? A64_OK : A64_UNDEF;
}

/* SP_EL0 has no name while it is the current stack pointer. */
static A64Access sp_el0_access(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    return cpu->sp_sel ? A64_OK : A64_UNDEF;
}

static A64Access daif_access(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    return cpu->el == 0 && !(a64_sctlr(cpu) & SCTLR_UMA) ? A64_TRAP_EL1 : A64_OK;
}

/* Secure EL2 registers are UNDEFINED in Non-secure and Realm state. */
static A64Access secure_only(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    return cpu->el == 2 && cpu->security != PAS_SECURE ? A64_UNDEF : A64_OK;
}

/* ---- special state ---- */

static uint64_t read_current_el(A64Cpu *cpu, const A64Sysreg *r) { return (uint64_t)cpu->el << 2; }
static uint64_t read_sp_sel(A64Cpu *cpu, const A64Sysreg *r) { return cpu->sp_sel; }
static uint64_t read_pan(A64Cpu *cpu, const A64Sysreg *r) { return (uint64_t)cpu->pan << 22; }
static uint64_t read_uao(A64Cpu *cpu, const A64Sysreg *r) { return (uint64_t)cpu->uao << 23; }
static uint64_t read_dit(A64Cpu *cpu, const A64Sysreg *r) { return (uint64_t)cpu->dit << 24; }
static uint64_t read_ssbs(A64Cpu *cpu, const A64Sysreg *r) { return (uint64_t)cpu->ssbs << 12; }
static uint64_t read_nzcv(A64Cpu *cpu, const A64Sysreg *r) { return (uint64_t)cpu->nzcv << 28; }
static uint64_t read_fpcr(A64Cpu *cpu, const A64Sysreg *r) { return cpu->fpcr; }
static uint64_t read_fpsr(A64Cpu *cpu, const A64Sysreg *r) { return cpu->fpsr; }
static uint64_t read_isr(A64Cpu *cpu, const A64Sysreg *r) { return a64_isr(cpu); }

static uint64_t read_daif(A64Cpu *cpu, const A64Sysreg *r)
{
    return (uint64_t)a64_daif(cpu) << 6;
}

static void write_sp_sel(A64Cpu *cpu, const A64Sysreg *r, uint64_t v) { a64_switch_sp(cpu, cpu->el, v & 1); }
static void write_pan(A64Cpu *cpu, const A64Sysreg *r, uint64_t v) { cpu->pan = v >> 22 & 1; }
static void write_uao(A64Cpu *cpu, const A64Sysreg *r, uint64_t v) { cpu->uao = v >> 23 & 1; }
static void write_dit(A64Cpu *cpu, const A64Sysreg *r, uint64_t v) { cpu->dit = v >> 24 & 1; }
static void write_ssbs(A64Cpu *cpu, const A64Sysreg *r, uint64_t v) { cpu->ssbs = v >> 12 & 1; }
static void write_nzcv(A64Cpu *cpu, const A64Sysreg *r, uint64_t v) { cpu->nzcv = v >> 28 & 15; }
/* FPCR: FZ16, RMode, FZ, DN, AHP. FPSR: the cumulative bits and QC. */
static void write_fpcr(A64Cpu *cpu, const A64Sysreg *r, uint64_t v) { cpu->fpcr = v & 0x07c80000; }
static void write_fpsr(A64Cpu *cpu, const A64Sysreg *r, uint64_t v) { cpu->fpsr = v & 0x0800009f; }

static void write_daif(A64Cpu *cpu, const A64Sysreg *r, uint64_t v)
{
    cpu->d = v >> 9 & 1;
    cpu->a = v >> 8 & 1;
    cpu->i = v >> 7 & 1;
    cpu->f = v >> 6 & 1;
}

/* RNDR, RNDRRS: a number, and NZCV 0b0000 for success. */
static uint64_t read_rndr(A64Cpu *cpu, const A64Sysreg *r)
{
    uint64_t v = 0;

    entropy_bytes(cpu->entropy, &v, sizeof(v));
    cpu->nzcv = 0;
    return v;
}

/* With HCR_EL2.AMO, EL1's DISR_EL1 is VDISR_EL2. */
static uint64_t *disr(A64Cpu *cpu)
{
    return cpu->el == 1 && (a64_hcr(cpu) & HCR_AMO) ? &cpu->el2.vdisr : &cpu->el1.disr;
}

static uint64_t read_disr(A64Cpu *cpu, const A64Sysreg *r) { return *disr(cpu); }
static void     write_disr(A64Cpu *cpu, const A64Sysreg *r, uint64_t v) { *disr(cpu) = v; }

/* What exists of HCR_EL2 and SCR_EL3. RW is read as one, there is no AArch32. */
#define HCR_MASK (0x00d7ull << 48 | HCR_FWB | HCR_API | HCR_APK | BIT(38) | HCR_TEA | HCR_TERR | BIT(35) | HCR_E2H | \
                  BIT(33) | BIT(32) | HCR_TRVM | 0x1fffffffull)
#define SCR_MASK (SCR_NSE | SCR_GPF | BIT(20) | BIT(19) | SCR_EEL2 | SCR_API | SCR_APK | SCR_TERR | BIT(14) | \
                  SCR_TWE | SCR_TWI | SCR_ST | SCR_SIF | SCR_HCE | SCR_SMD | SCR_EA | SCR_FIQ | SCR_IRQ | SCR_NS)

/* ---- rows ---- */

#define ROW(ident, op1, crn, crm, op2, ...) \
    A64_SYSREG(ident, .name = #ident, .enc = A64_SYSREG_ENC(3, op1, crn, crm, op2), __VA_ARGS__)
#define EL(n)     .min_el = (n), .min_el_write = (n)
#define EL_RO(n)  .min_el = (n), .min_el_write = 9
#define AT(field) .offset = offsetof(A64Cpu, field)
#define NOWHERE   .offset = -1

/* A register of EL1, its _EL12 name, and the EL2 register that E2H puts in its place. */
#define EL12_ROW(ident, crn, crm, op2, field, e2h, ...)                                                         \
    ROW(ident##_EL1, 0, crn, crm, op2, EL(1), AT(el1.field), .e2h_enc = (e2h), __VA_ARGS__);                     \
    ROW(ident##_EL12, 5, crn, crm, op2, EL(2), NOWHERE, .alias = A64_SYSREG_ENC(3, 0, crn, crm, op2),           \
        .access = e2h_only)
#define EL2_ENC(crn, crm, op2) A64_SYSREG_ENC(3, 4, crn, crm, op2)

enum {
    TRANSLATION = SYSREG_CONTEXT,
    CONTROL = SYSREG_CONTEXT | SYSREG_KEY,
    ROUTING = CONTROL | SYSREG_IRQ,
    MONITORS = SYSREG_KEY | SYSREG_TIME | SYSREG_IRQ,
};

/* RES1 bits of SCTLR_EL1 for what is not implemented (LSMAOE, nTLSMD, ExS, CSV2_2's TSCXT, AArch32's ITD,
 * SED); of SCTLR_EL2 and EL3 their reset values only. */
#define SCTLR_EL1_RES1 0x30500980ull

EL12_ROW(SCTLR, 1, 0, 0, sctlr, EL2_ENC(1, 0, 0), .reset = SCTLR_EL1_RES1 | SCTLR_SPAN, .mask = ~SCTLR_EL1_RES1,
         .effects = CONTROL, .access = tvm);
EL12_ROW(CPACR, 1, 0, 2, cpacr, EL2_ENC(1, 1, 2), .mask = 3ull << 20, .effects = CONTROL, .access = tcpac);
EL12_ROW(TTBR0, 2, 0, 0, ttbr0, EL2_ENC(2, 0, 0), .effects = TRANSLATION, .access = tvm);
EL12_ROW(TTBR1, 2, 0, 1, ttbr1, EL2_ENC(2, 0, 1), .effects = TRANSLATION, .access = tvm);
EL12_ROW(TCR, 2, 0, 2, tcr, EL2_ENC(2, 0, 2), .effects = TRANSLATION, .access = tvm);
EL12_ROW(SPSR, 4, 0, 0, spsr, EL2_ENC(4, 0, 0), .effects = SYSREG_PLAIN);
EL12_ROW(ELR, 4, 0, 1, elr, EL2_ENC(4, 0, 1), .effects = SYSREG_PLAIN);
EL12_ROW(AFSR0, 5, 1, 0, afsr0, EL2_ENC(5, 1, 0), .access = tvm);
EL12_ROW(AFSR1, 5, 1, 1, afsr1, EL2_ENC(5, 1, 1), .access = tvm);
EL12_ROW(ESR, 5, 2, 0, esr, EL2_ENC(5, 2, 0), .access = tvm);
EL12_ROW(FAR, 6, 0, 0, far, EL2_ENC(6, 0, 0), .access = tvm);
EL12_ROW(MAIR, 10, 2, 0, mair, EL2_ENC(10, 2, 0), .effects = TRANSLATION, .access = tvm);
EL12_ROW(AMAIR, 10, 3, 0, amair, EL2_ENC(10, 3, 0), .access = tvm);
EL12_ROW(VBAR, 12, 0, 0, vbar, EL2_ENC(12, 0, 0), .mask = ~0x7ffull);
EL12_ROW(CONTEXTIDR, 13, 0, 1, contextidr, EL2_ENC(13, 0, 1), .mask = 0xffffffff, .access = tvm);

ROW(ACTLR_EL1, 0, 1, 0, 1, EL(1), AT(el1.actlr), .access = tacr);
ROW(PAR_EL1, 0, 7, 4, 0, EL(1), AT(el1.par));
ROW(TPIDR_EL0, 3, 13, 0, 2, EL(0), AT(el1.tpidr_el0));
ROW(TPIDRRO_EL0, 3, 13, 0, 3, .min_el = 0, .min_el_write = 1, AT(el1.tpidrro_el0));
ROW(TPIDR_EL1, 0, 13, 0, 4, EL(1), AT(el1.tpidr_el1));
ROW(SP_EL0, 0, 4, 1, 0, EL(1), AT(el1.sp_el0), .access = sp_el0_access);
ROW(ISR_EL1, 0, 12, 1, 0, EL_RO(1), NOWHERE, .read = read_isr);
ROW(DISR_EL1, 0, 12, 1, 1, EL(1), NOWHERE, .read = read_disr, .write = write_disr);
ROW(ERRIDR_EL1, 0, 5, 3, 0, EL_RO(1), NOWHERE, .access = terr); /* no error records */
ROW(ERRSELR_EL1, 0, 5, 3, 1, EL(1), NOWHERE, .access = terr);

#define KEY_ROWS(name, n, crm, op2)                                                            \
    ROW(name##KeyLo_EL1, 0, 2, crm, op2, EL(1), AT(el1.apkey[n][0]), .access = apk);           \
    ROW(name##KeyHi_EL1, 0, 2, crm, op2 + 1, EL(1), AT(el1.apkey[n][1]), .access = apk)

KEY_ROWS(APIA, 0, 1, 0);
KEY_ROWS(APIB, 1, 1, 2);
KEY_ROWS(APDA, 2, 2, 0);
KEY_ROWS(APDB, 3, 2, 2);
KEY_ROWS(APGA, 4, 3, 0);

/* PSTATE and floating point state. */
ROW(SPSel, 0, 4, 2, 0, EL(1), NOWHERE, .read = read_sp_sel, .write = write_sp_sel, .effects = SYSREG_KEY);
ROW(CurrentEL, 0, 4, 2, 2, EL_RO(1), NOWHERE, .read = read_current_el);
ROW(PAN, 0, 4, 2, 3, EL(1), NOWHERE, .read = read_pan, .write = write_pan, .effects = TRANSLATION);
ROW(UAO, 0, 4, 2, 4, EL(1), NOWHERE, .read = read_uao, .write = write_uao, .effects = CONTROL);
ROW(NZCV, 3, 4, 2, 0, EL(0), NOWHERE, .read = read_nzcv, .write = write_nzcv);
ROW(DAIF, 3, 4, 2, 1, EL(0), NOWHERE, .read = read_daif, .write = write_daif, .access = daif_access,
    .effects = SYSREG_IRQ | SYSREG_KEY);
ROW(DIT, 3, 4, 2, 5, EL(0), NOWHERE, .read = read_dit, .write = write_dit);
ROW(SSBS, 3, 4, 2, 6, EL(0), NOWHERE, .read = read_ssbs, .write = write_ssbs);
ROW(FPCR, 3, 4, 4, 0, EL(0), NOWHERE, .read = read_fpcr, .write = write_fpcr);
ROW(FPSR, 3, 4, 4, 1, EL(0), NOWHERE, .read = read_fpsr, .write = write_fpsr);
/* SYSREG_TIME: reading writes NZCV. */
ROW(RNDR, 3, 2, 4, 0, EL_RO(0), NOWHERE, .read = read_rndr, .effects = SYSREG_TIME | SYSREG_ACTS);
ROW(RNDRRS, 3, 2, 4, 1, EL_RO(0), NOWHERE, .read = read_rndr, .effects = SYSREG_TIME | SYSREG_ACTS);

/* EL2. */
ROW(VPIDR_EL2, 4, 0, 0, 0, EL(2), AT(el2.vpidr), .mask = 0xffffffff);
ROW(VMPIDR_EL2, 4, 0, 0, 5, EL(2), AT(el2.vmpidr));
ROW(SCTLR_EL2, 4, 1, 0, 0, EL(2), AT(el2.sctlr), .reset = 0x30c50830, .effects = CONTROL);
ROW(ACTLR_EL2, 4, 1, 0, 1, EL(2), AT(el2.actlr));
ROW(HCR_EL2, 4, 1, 1, 0, EL(2), AT(el2.hcr), .reset = HCR_RW, .mask = HCR_MASK, .effects = ROUTING);
ROW(MDCR_EL2, 4, 1, 1, 1, EL(2), AT(el2.mdcr), .reset = A64_N_COUNTERS,
    .mask = MDCR_HPMN | MDCR_TPMCR | MDCR_TPM | MDCR_HPME | MDCR_TDE | MDCR_TDA | MDCR_TDOSA | MDCR_TDRA | MDCR_HPMD |
            MDCR_HCCD | MDCR_HLP,
    .write = a64_pmu_write, .effects = MONITORS);
ROW(CPTR_EL2, 4, 1, 1, 2, EL(2), AT(el2.cptr), .effects = SYSREG_KEY, .access = tcpac);
ROW(HSTR_EL2, 4, 1, 1, 3, EL(2), AT(el2.hstr));
ROW(HACR_EL2, 4, 1, 1, 7, EL(2), AT(el2.hacr));
ROW(TTBR0_EL2, 4, 2, 0, 0, EL(2), AT(el2.ttbr0), .effects = TRANSLATION);
ROW(TTBR1_EL2, 4, 2, 0, 1, EL(2), AT(el2.ttbr1), .effects = TRANSLATION);
ROW(TCR_EL2, 4, 2, 0, 2, EL(2), AT(el2.tcr), .effects = TRANSLATION);
ROW(VTTBR_EL2, 4, 2, 1, 0, EL(2), AT(el2.vttbr), .effects = TRANSLATION);
ROW(VTCR_EL2, 4, 2, 1, 2, EL(2), AT(el2.vtcr), .effects = TRANSLATION);
ROW(VSTTBR_EL2, 4, 2, 6, 0, EL(2), AT(el2.vsttbr), .effects = TRANSLATION, .access = secure_only);
ROW(VSTCR_EL2, 4, 2, 6, 2, EL(2), AT(el2.vstcr), .effects = TRANSLATION, .access = secure_only);
ROW(SPSR_EL2, 4, 4, 0, 0, EL(2), AT(el2.spsr));
ROW(ELR_EL2, 4, 4, 0, 1, EL(2), AT(el2.elr));
ROW(SP_EL1, 4, 4, 1, 0, EL(2), AT(el1.sp_el1));
ROW(AFSR0_EL2, 4, 5, 1, 0, EL(2), AT(el2.afsr0));
ROW(AFSR1_EL2, 4, 5, 1, 1, EL(2), AT(el2.afsr1));
ROW(ESR_EL2, 4, 5, 2, 0, EL(2), AT(el2.esr));
ROW(VSESR_EL2, 4, 5, 2, 3, EL(2), AT(el2.vsesr), .mask = 0x1ffffff);
ROW(FAR_EL2, 4, 6, 0, 0, EL(2), AT(el2.far));
ROW(HPFAR_EL2, 4, 6, 0, 4, EL(2), AT(el2.hpfar));
ROW(MAIR_EL2, 4, 10, 2, 0, EL(2), AT(el2.mair), .effects = TRANSLATION);
ROW(AMAIR_EL2, 4, 10, 3, 0, EL(2), AT(el2.amair));
ROW(VBAR_EL2, 4, 12, 0, 0, EL(2), AT(el2.vbar), .mask = ~0x7ffull);
ROW(VDISR_EL2, 4, 12, 1, 1, EL(2), AT(el2.vdisr));
ROW(CONTEXTIDR_EL2, 4, 13, 0, 1, EL(2), AT(el2.contextidr), .mask = 0xffffffff);
ROW(TPIDR_EL2, 4, 13, 0, 2, EL(2), AT(el2.tpidr));

/* EL3. */
ROW(SCTLR_EL3, 6, 1, 0, 0, EL(3), AT(el3.sctlr), .reset = 0x30c50830, .effects = CONTROL);
ROW(ACTLR_EL3, 6, 1, 0, 1, EL(3), AT(el3.actlr));
ROW(SCR_EL3, 6, 1, 1, 0, EL(3), AT(el3.scr), .reset = SCR_RW | 3 << 4, .mask = SCR_MASK, .effects = ROUTING);
ROW(CPTR_EL3, 6, 1, 1, 2, EL(3), AT(el3.cptr), .mask = BIT(31) | BIT(10), .effects = SYSREG_KEY);
ROW(MDCR_EL3, 6, 1, 3, 1, EL(3), AT(el3.mdcr),
    .mask = MDCR_TPM | MDCR_TDA | MDCR_TDOSA | MDCR3_SDD | MDCR3_SPME | MDCR3_SCCD, .write = a64_pmu_write,
    .effects = MONITORS);
ROW(TTBR0_EL3, 6, 2, 0, 0, EL(3), AT(el3.ttbr0), .effects = TRANSLATION);
ROW(TCR_EL3, 6, 2, 0, 2, EL(3), AT(el3.tcr), .effects = TRANSLATION);
ROW(GPTBR_EL3, 6, 2, 1, 4, EL(3), AT(el3.gptbr));
ROW(GPCCR_EL3, 6, 2, 1, 6, EL(3), AT(el3.gpccr));
ROW(SPSR_EL3, 6, 4, 0, 0, EL(3), AT(el3.spsr));
ROW(ELR_EL3, 6, 4, 0, 1, EL(3), AT(el3.elr));
ROW(SP_EL2, 6, 4, 1, 0, EL(3), AT(el2.sp));
ROW(AFSR0_EL3, 6, 5, 1, 0, EL(3), AT(el3.afsr0));
ROW(AFSR1_EL3, 6, 5, 1, 1, EL(3), AT(el3.afsr1));
ROW(ESR_EL3, 6, 5, 2, 0, EL(3), AT(el3.esr));
ROW(FAR_EL3, 6, 6, 0, 0, EL(3), AT(el3.far));
ROW(MFAR_EL3, 6, 6, 0, 5, EL(3), AT(el3.mfar));
ROW(MAIR_EL3, 6, 10, 2, 0, EL(3), AT(el3.mair), .effects = TRANSLATION);
ROW(AMAIR_EL3, 6, 10, 3, 0, EL(3), AT(el3.amair));
ROW(VBAR_EL3, 6, 12, 0, 0, EL(3), AT(el3.vbar), .mask = ~0x7ffull);
ROW(RVBAR_EL3, 6, 12, 0, 1, EL_RO(3), NOWHERE);
ROW(RMR_EL3, 6, 12, 0, 2, EL(3), NOWHERE, .reset = 1); /* AA64; a reset request is ignored */
ROW(TPIDR_EL3, 6, 13, 0, 2, EL(3), AT(el3.tpidr));
