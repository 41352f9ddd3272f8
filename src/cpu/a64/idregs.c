/*
 * Identification registers: what `-cpu max` is, and nothing it is not. Fields that are not named are 0: not
 * implemented. Arm DDI 0487, "AArch64 System Register Descriptions", ID_AA64*_EL1; cache geometry of our own.
 */
#include "cpu/a64/system.h"

#define F(value, lsb) ((uint64_t)(value) << (lsb))

/* ---- features ---- */

/* EL0-EL3 AArch64 only, FP and AdvSIMD with FP16, GIC system registers, RAS, SEL2, DIT, RME, CSV2, CSV3. */
#define PFR0 (F(1, 0) | F(1, 4) | F(1, 8) | F(1, 12) | F(1, 16) | F(1, 20) | F(1, 24) | F(1, 28) | F(1, 36) | \
              F(1, 48) | F(1, 52) | F(1, 56) | F(1, 60))
/* BTI, SSBS with MSR. */
#define PFR1 (F(1, 0) | F(2, 4))
/* Debug of Armv8.2, PMUv3p5, breakpoints, watchpoints, context breakpoints; no DoubleLock; HPMN0. */
#define DFR0 (F(8, 0) | F(6, 8) | F(A64_N_BREAKPOINTS - 1, 12) | F(A64_N_WATCHPOINTS - 1, 20) | \
              F(A64_N_CONTEXT_BREAKPOINTS - 1, 28) | F(15, 36) | F(1, 60))
/* AES+PMULL, SHA1, SHA256+SHA512, CRC32, LSE, RDM, SHA3, DotProd, FHM, FlagM2, TLBIRANGE, RNG. */
#define ISAR0 (F(2, 4) | F(1, 8) | F(2, 12) | F(1, 16) | F(2, 20) | F(1, 28) | F(1, 32) | F(1, 44) | F(1, 48) | \
               F(2, 52) | F(2, 56) | F(1, 60))
/* DPB2, PAuth by our algorithm with PAuth2, FPAC and FPACCOMBINE, JSCVT, FCMA, LRCPC2, GPI, FRINTTS, SB, SPECRES,
 * I8MM. */
#define ISAR1 (F(2, 0) | F(5, 8) | F(1, 12) | F(1, 16) | F(2, 20) | F(1, 28) | F(1, 32) | F(1, 36) | F(1, 40) | \
               F(1, 52))
/* PARange 48 bits, 16-bit ASID, SNSMem, granules 16K, 64K, 4K at both stages; no mixed endian. */
#define MMFR0 (F(5, 0) | F(2, 4) | F(1, 12) | F(1, 20) | F(2, 32) | F(2, 36) | F(2, 40))
/* HAFDBS with dirty state, 16-bit VMID, VHE, HPDS, PAN3, XNX. */
#define MMFR1 (F(2, 0) | F(2, 4) | F(1, 8) | F(1, 12) | F(3, 20) | F(1, 28))
/* CnP, UAO, TTST, LSE2, IDST, FWB, TTL, BBM level 2 (there are no TLB conflicts), EVT, E0PD. */
#define MMFR2 (F(1, 0) | F(1, 4) | F(1, 28) | F(1, 32) | F(1, 36) | F(1, 40) | F(1, 48) | F(2, 52) | F(2, 56) | \
               F(1, 60))

/* HCR_EL2.TID3. */
static A64Access tid3(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    return cpu->el == 1 && (a64_hcr(cpu) & HCR_TID3) ? A64_TRAP_EL2 : A64_OK;
}

#define ID_ROW(ident, crm, op2, value)                                                                  \
    A64_SYSREG(ident, .name = #ident, .enc = A64_SYSREG_ENC(3, 0, 0, crm, op2), .min_el = 1,            \
               .min_el_write = 9, .offset = -1, .reset = (value), .access = tid3)

/* AArch32 is implemented at no level: its registers are UNKNOWN, here 0. */
ID_ROW(ID_PFR0_EL1, 1, 0, 0);
ID_ROW(ID_PFR1_EL1, 1, 1, 0);
ID_ROW(ID_DFR0_EL1, 1, 2, 0);
ID_ROW(ID_AFR0_EL1, 1, 3, 0);
ID_ROW(ID_MMFR0_EL1, 1, 4, 0);
ID_ROW(ID_MMFR1_EL1, 1, 5, 0);
ID_ROW(ID_MMFR2_EL1, 1, 6, 0);
ID_ROW(ID_MMFR3_EL1, 1, 7, 0);
ID_ROW(ID_ISAR0_EL1, 2, 0, 0);
ID_ROW(ID_ISAR1_EL1, 2, 1, 0);
ID_ROW(ID_ISAR2_EL1, 2, 2, 0);
ID_ROW(ID_ISAR3_EL1, 2, 3, 0);
ID_ROW(ID_ISAR4_EL1, 2, 4, 0);
ID_ROW(ID_ISAR5_EL1, 2, 5, 0);
ID_ROW(ID_MMFR4_EL1, 2, 6, 0);
ID_ROW(ID_ISAR6_EL1, 2, 7, 0);
ID_ROW(MVFR0_EL1, 3, 0, 0);
ID_ROW(MVFR1_EL1, 3, 1, 0);
ID_ROW(MVFR2_EL1, 3, 2, 0);
ID_ROW(ID_PFR2_EL1, 3, 4, 0);
ID_ROW(ID_DFR1_EL1, 3, 5, 0);
ID_ROW(ID_MMFR5_EL1, 3, 6, 0);
ID_ROW(ID_AA64PFR0_EL1, 4, 0, PFR0);
ID_ROW(ID_AA64PFR1_EL1, 4, 1, PFR1);
ID_ROW(ID_AA64PFR2_EL1, 4, 2, 0);
ID_ROW(ID_AA64ZFR0_EL1, 4, 4, 0);
ID_ROW(ID_AA64SMFR0_EL1, 4, 5, 0);
ID_ROW(ID_AA64FPFR0_EL1, 4, 7, 0);
ID_ROW(ID_AA64DFR0_EL1, 5, 0, DFR0);
ID_ROW(ID_AA64DFR1_EL1, 5, 1, 0);
ID_ROW(ID_AA64DFR2_EL1, 5, 2, 0);
ID_ROW(ID_AA64AFR0_EL1, 5, 4, 0);
ID_ROW(ID_AA64AFR1_EL1, 5, 5, 0);
ID_ROW(ID_AA64ISAR0_EL1, 6, 0, ISAR0);
ID_ROW(ID_AA64ISAR1_EL1, 6, 1, ISAR1);
ID_ROW(ID_AA64ISAR2_EL1, 6, 2, 0);
ID_ROW(ID_AA64ISAR3_EL1, 6, 3, 0);
ID_ROW(ID_AA64MMFR0_EL1, 7, 0, MMFR0);
ID_ROW(ID_AA64MMFR1_EL1, 7, 1, MMFR1);
ID_ROW(ID_AA64MMFR2_EL1, 7, 2, MMFR2);
ID_ROW(ID_AA64MMFR3_EL1, 7, 3, 0);
ID_ROW(ID_AA64MMFR4_EL1, 7, 4, 0);

/* ---- the CPU itself ---- */

/* EL1 sees VPIDR_EL2 and VMPIDR_EL2 where EL2 is enabled. */
static uint64_t read_midr(A64Cpu *cpu, const A64Sysreg *r)
{
    return cpu->el == 1 && a64_el2_enabled(cpu) ? cpu->el2.vpidr : cpu->midr;
}

static uint64_t read_mpidr(A64Cpu *cpu, const A64Sysreg *r)
{
    return cpu->el == 1 && a64_el2_enabled(cpu) ? cpu->el2.vmpidr : cpu->mpidr;
}

static A64Access tid1(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    return cpu->el == 1 && (a64_hcr(cpu) & HCR_TID1) ? A64_TRAP_EL2 : A64_OK;
}

#define ROW(ident, op1, crn, crm, op2, ...) \
    A64_SYSREG(ident, .name = #ident, .enc = A64_SYSREG_ENC(3, op1, crn, crm, op2), __VA_ARGS__)
#define EL1_RO  .min_el = 1, .min_el_write = 9
#define NOWHERE .offset = -1

ROW(MIDR_EL1, 0, 0, 0, 0, EL1_RO, NOWHERE, .read = read_midr);
ROW(MPIDR_EL1, 0, 0, 0, 5, EL1_RO, NOWHERE, .read = read_mpidr);
ROW(REVIDR_EL1, 0, 0, 0, 6, EL1_RO, NOWHERE, .access = tid1);
ROW(AIDR_EL1, 1, 0, 0, 7, EL1_RO, NOWHERE, .access = tid1);

/* ---- caches ---- */

/* HCR_EL2.TID2, and TID4 of FEAT_EVT. */
static A64Access cache_id(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    return cpu->el == 1 && (a64_hcr(cpu) & (HCR_TID2 | HCR_TID4)) ? A64_TRAP_EL2 : A64_OK;
}

static A64Access ctr_access(A64Cpu *cpu, const A64Sysreg *r, bool write)
{
    if (cpu->el == 0 && !(a64_sctlr(cpu) & SCTLR_UCT)) {
        return A64_TRAP_EL1;
    }
    return cpu->el < 2 && (a64_hcr(cpu) & HCR_TID2) ? A64_TRAP_EL2 : A64_OK;
}

/* 64-byte lines; 32 KiB L1 of 4 ways each for data and instructions, 1 MiB unified L2 of 16 ways. 32-bit
 * format. */
static uint64_t read_ccsidr(A64Cpu *cpu, const A64Sysreg *r)
{
    static const uint32_t geometry[] = { 2 | 3 << 3 | 127 << 13, 2 | 3 << 3 | 127 << 13, 2 | 15 << 3 | 1023 << 13 };

    return cpu->el1.csselr < ARRAY_LEN(geometry) ? geometry[cpu->el1.csselr] : 0;
}

/* DZP: DC ZVA is prohibited here. BS 4: 64 bytes. */
static uint64_t read_dczid(A64Cpu *cpu, const A64Sysreg *r)
{
    bool no = (cpu->el == 0 && !(a64_sctlr(cpu) & SCTLR_DZE)) || (cpu->el < 2 && (a64_hcr(cpu) & HCR_TDZ));

    return 4 | (uint64_t)no << 4;
}

ROW(CCSIDR_EL1, 1, 0, 0, 0, EL1_RO, NOWHERE, .access = cache_id, .read = read_ccsidr);
/* L1 separate, L2 unified, LoC 2; LoUU and LoUIS 0 because CTR_EL0.IDC is 1. */
ROW(CLIDR_EL1, 1, 0, 0, 1, EL1_RO, NOWHERE, .access = cache_id, .reset = 3 | 4 << 3 | 2 << 24);
ROW(CSSELR_EL1, 2, 0, 0, 0, .min_el = 1, .min_el_write = 1, .offset = offsetof(A64Cpu, el1.csselr), .mask = 0xf,
    .access = cache_id);
/* 64-byte lines, PIPT, IDC and DIC: translated code follows writes by itself. */
ROW(CTR_EL0, 3, 0, 0, 1, .min_el = 0, .min_el_write = 9, NOWHERE, .access = ctr_access, .reset = 0xb444c004);
ROW(DCZID_EL0, 3, 0, 0, 7, .min_el = 0, .min_el_write = 9, NOWHERE, .read = read_dczid);
