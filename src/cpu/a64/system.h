/*
 * The system side of the A64 CPU, shared by its own files: register bits, rules that many places ask for
 * (effective HCR_EL2, regimes, routing), and the parts of the MMU that system instructions use. Arm DDI 0487.
 */
#ifndef BAILEY_A64_SYSTEM_H
#define BAILEY_A64_SYSTEM_H

#include "cpu/a64/a64.h"
#include "cpu/a64/sysreg.h"

/* ---- register bits, by their architectural names ---- */

#define HCR_VM      BIT(0)
#define HCR_PTW     BIT(2)
#define HCR_FMO     BIT(3)
#define HCR_IMO     BIT(4)
#define HCR_AMO     BIT(5)
#define HCR_VF      BIT(6)
#define HCR_VI      BIT(7)
#define HCR_VSE     BIT(8)
#define HCR_FB      BIT(9)
#define HCR_DC      BIT(12)
#define HCR_TWI     BIT(13)
#define HCR_TWE     BIT(14)
#define HCR_TID1    BIT(16)
#define HCR_TID2    BIT(17)
#define HCR_TID3    BIT(18)
#define HCR_TSC     BIT(19)
#define HCR_TIDCP   BIT(20)
#define HCR_TACR    BIT(21)
#define HCR_TSW     BIT(22)
#define HCR_TPCP    BIT(23)
#define HCR_TPU     BIT(24)
#define HCR_TTLB    BIT(25)
#define HCR_TVM     BIT(26)
#define HCR_TGE     BIT(27)
#define HCR_TDZ     BIT(28)
#define HCR_TRVM    BIT(30)
#define HCR_RW      BIT(31)
#define HCR_E2H     BIT(34)
#define HCR_TERR    BIT(36)
#define HCR_TEA     BIT(37)
#define HCR_APK     BIT(40)
#define HCR_API     BIT(41)
#define HCR_FWB     BIT(46)
#define HCR_GPF     BIT(48)
#define HCR_TID4    BIT(49)
#define HCR_TICAB   BIT(50)
#define HCR_TOCU    BIT(52)
#define HCR_TTLBIS  BIT(54)
#define HCR_TTLBOS  BIT(55)

#define SCR_NS      BIT(0)
#define SCR_IRQ     BIT(1)
#define SCR_FIQ     BIT(2)
#define SCR_EA      BIT(3)
#define SCR_SMD     BIT(7)
#define SCR_HCE     BIT(8)
#define SCR_SIF     BIT(9)
#define SCR_RW      BIT(10)
#define SCR_ST      BIT(11)
#define SCR_TWI     BIT(12)
#define SCR_TWE     BIT(13)
#define SCR_TERR    BIT(15)
#define SCR_APK     BIT(16)
#define SCR_API     BIT(17)
#define SCR_EEL2    BIT(18)
#define SCR_GPF     BIT(48)
#define SCR_NSE     BIT(62)

#define SCTLR_M       BIT(0)
#define SCTLR_A       BIT(1)
#define SCTLR_C       BIT(2)
#define SCTLR_SA      BIT(3)
#define SCTLR_SA0     BIT(4)
#define SCTLR_NAA     BIT(6)
#define SCTLR_UMA     BIT(9)
#define SCTLR_ENRCTX  BIT(10)
#define SCTLR_I       BIT(12)
#define SCTLR_ENDB    BIT(13)
#define SCTLR_DZE     BIT(14)
#define SCTLR_UCT     BIT(15)
#define SCTLR_NTWI    BIT(16)
#define SCTLR_NTWE    BIT(18)
#define SCTLR_WXN     BIT(19)
#define SCTLR_SPAN    BIT(23)
#define SCTLR_UCI     BIT(26)
#define SCTLR_ENDA    BIT(27)
#define SCTLR_ENIB    BIT(30)
#define SCTLR_ENIA    BIT(31)
#define SCTLR_BT0     BIT(35) /* BT in single-range regimes is at the place of BT1 */
#define SCTLR_BT1     BIT(36)
#define SCTLR_DSSBS   BIT(44)
#define SCTLR_EPAN    BIT(57)

#define MDCR_HPMN   31ull
#define MDCR_TPMCR  BIT(5)
#define MDCR_TPM    BIT(6) /* of MDCR_EL3 too, like TDA and TDOSA */
#define MDCR_HPME   BIT(7)
#define MDCR_TDE    BIT(8)
#define MDCR_TDA    BIT(9)
#define MDCR_TDOSA  BIT(10)
#define MDCR_TDRA   BIT(11)
#define MDCR_HPMD   BIT(17)
#define MDCR_HCCD   BIT(23)
#define MDCR_HLP    BIT(26)
#define MDCR3_SDD   BIT(16)
#define MDCR3_SPME  BIT(17)
#define MDCR3_SCCD  BIT(23)
#define MDSCR_SS    BIT(0)
#define MDSCR_TDCC  BIT(12)
#define MDSCR_KDE   BIT(13)
#define MDSCR_MDE   BIT(15)
#define OSLSR_OSLK  BIT(1)

/* Exception classes. DDI 0487, "ESR_ELx", EC. */
enum {
    EC_UNKNOWN = 0x00, EC_WFX = 0x01, EC_FP_TRAP = 0x07, EC_PAUTH = 0x09, EC_BTI = 0x0d, EC_ILLEGAL = 0x0e,
    EC_SVC = 0x15, EC_HVC = 0x16, EC_SMC = 0x17, EC_SYSREG = 0x18, EC_PAC_FAIL = 0x1c, EC_GPC = 0x1e,
    EC_IABT = 0x20, EC_IABT_SAME = 0x21, EC_PC_ALIGN = 0x22, EC_DABT = 0x24, EC_DABT_SAME = 0x25,
    EC_SP_ALIGN = 0x26, EC_SERROR = 0x2f, EC_BREAKPOINT = 0x30, EC_BREAKPOINT_SAME = 0x31, EC_STEP = 0x32,
    EC_STEP_SAME = 0x33, EC_WATCHPOINT = 0x34, EC_WATCHPOINT_SAME = 0x35, EC_BRK = 0x3c,
};

#define ESR_IL         BIT(25)
#define ISS_CV_AL      0x1e00000u /* CV 1, COND 0b1110 */
#define SPSR_IL        BIT(20)
#define SPSR_SS        BIT(21)
#define SPSR_MODE_EL3H 0xdu

/* MIDR_EL1: implementer 0 (reserved for software use), architecture by ID registers, a part number of our
 * own. */
#define A64_MIDR 0x000fba10u

/* ---- rules ---- */

/* The state of the levels below EL3 by SCR_EL3.{NSE, NS}; the reserved value reads as PAS_ROOT. */
static inline Pas a64_lower_security(const A64Cpu *cpu)
{
    bool ns = cpu->el3.scr & SCR_NS, nse = cpu->el3.scr & SCR_NSE;

    return (Pas)(nse << 1 | ns);
}

/* Derive cpu->security from EL and SCR_EL3. */
static inline void a64_update_security(A64Cpu *cpu)
{
    cpu->security = cpu->el == 3 ? PAS_ROOT : a64_lower_security(cpu);
}

/* Whether EL2 is implemented and enabled in the current security state. At EL3: in the state that SCR_EL3
 * selects. */
static inline bool a64_el2_enabled(const A64Cpu *cpu)
{
    return a64_lower_security(cpu) != PAS_SECURE || (cpu->el3.scr & SCR_EEL2);
}

/* HCR_EL2 with TGE as it acts while EL2 is enabled. */
uint64_t a64_hcr_with_tge(uint64_t hcr);

/* HCR_EL2 as it acts now: 0 (but for RW) when EL2 is not enabled, with what TGE and {E2H, TGE} force. */
static inline uint64_t a64_hcr(const A64Cpu *cpu)
{
    if (!a64_el2_enabled(cpu)) {
        return HCR_RW;
    }
    return cpu->el2.hcr & HCR_TGE ? a64_hcr_with_tge(cpu->el2.hcr) : cpu->el2.hcr;
}

/* {E2H, TGE} = {1, 1} and EL2 enabled: EL0 belongs to EL2. ELIsInHost(EL0). */
static inline bool a64_host(const A64Cpu *cpu)
{
    return a64_el2_enabled(cpu) && (~cpu->el2.hcr & (HCR_E2H | HCR_TGE)) == 0;
}

/* The level that an FP/SIMD instruction executed now traps to (CPACR_EL1, CPTR_EL2, CPTR_EL3), 0: none. */
unsigned a64_fp_trap_el(const A64Cpu *cpu);

/* SCTLR_ELx that governs the current level. */
uint64_t a64_sctlr(const A64Cpu *cpu);

/* Where an exception that is not routed by anything special goes from the current level. */
unsigned a64_sync_target(const A64Cpu *cpu);

/* Raise a synchronous exception with the preferred return at the current instruction, or the next when
 * @after. */
void a64_raise_sync(A64Cpu *cpu, unsigned target, unsigned ec, uint32_t iss, bool after);

/* Select the translation contexts of the current state. */
void a64_select_contexts(A64Cpu *cpu);

/* a64_select_kept - the same; @kept is what cpu->derived was when registers and PSTATE were as they are now. */
void a64_select_kept(A64Cpu *cpu, const A64Derived *kept);

/* SPSel or EL change: @el and @sp_sel become current with their stack pointer. */
void a64_switch_sp(A64Cpu *cpu, unsigned el, bool sp_sel);
void a64_bank_sp(A64Cpu *cpu);
void a64_unbank_sp(A64Cpu *cpu); /* its bank was written */

/* ---- debug (debug.c) ---- */

/* Debug exceptions from the current level, but for PSTATE.D of the same. */
bool     a64_debug_enabled(const A64Cpu *cpu);
unsigned a64_debug_target(const A64Cpu *cpu);
bool     a64_breakpoints_active(const A64Cpu *cpu);

static inline bool a64_step_active(const A64Cpu *cpu)
{
    return (cpu->el1.mdscr & MDSCR_SS) && a64_debug_enabled(cpu);
}

/* Whether a watchpoint on one of @kinds of access lies in [@va, @va + @len). */
enum { A64_WATCH_LOAD = 1, A64_WATCH_STORE = 2 };
bool     a64_watchpoint_in(const A64Cpu *cpu, uint64_t va, uint64_t len, unsigned kinds, bool user);
/* a64_watchpoint_near - whether one may match in the page at @va in some state (level, PSTATE.D, OS lock, CONTEXTIDR):
 * a translation is found again in others than it was made in. */
bool     a64_watchpoint_near(const A64Cpu *cpu, uint64_t va);
/* a64_watchpoints_written - what a64_watchpoint_near() looks at may be another. */
void     a64_watchpoints_written(A64Cpu *cpu);

/* ---- performance monitors (pmu.c) ---- */

void a64_pmu_init(A64Cpu *cpu);

/* a64_pmu_update - after their registers, the level or the security state changed. What was executed so far was counted
 * by the old ones. */
void a64_pmu_update(A64Cpu *cpu);

/* a64_tell_level - the CPU is at another exception level than @from, whoever listens hears of it; or it is not. */
void a64_tell_level(const A64Cpu *cpu, unsigned from);

/* While a64_pmu_active(): before an exception changes the level, before an exception return does. Who changed it calls
 * a64_pmu_update(). */
void a64_pmu_exception(A64Cpu *cpu, const A64Exception *exc);
void a64_pmu_eret(A64Cpu *cpu);

/* a64_pmu_arm - the CPU goes on from here: when does a counter overflow? */
void a64_pmu_arm(A64Cpu *cpu);

/* A64Sysreg.write of a register by which they count. */
void a64_pmu_write(A64Cpu *cpu, const A64Sysreg *r, uint64_t value);

static inline bool a64_pmu_active(const A64Cpu *cpu) { return cpu->pmu.enabled != 0; }

/* ---- interrupts (exception.c) ---- */

bool     a64_attend(Cpu *cpu);
bool     a64_interrupt_pending(const A64Cpu *cpu); /* wakes WFI */
uint64_t a64_isr(const A64Cpu *cpu);               /* ISR_EL1 */
void     a64_unmasked(A64Cpu *cpu);                /* masks, level or routing changed: look at what is pending */

/* ---- translation (mmu.c) ---- */

typedef enum A64Regime { A64_REGIME_EL10, A64_REGIME_EL2, A64_REGIME_EL20, A64_REGIME_EL3 } A64Regime;

/* One request for a translation. */
typedef struct A64Request {
    A64Regime regime;
    Pas       security;
    bool      user;      /* unprivileged */
    bool      pan;       /* PSTATE.PAN applies */
    bool      write, fetch;
    bool      stage2;    /* of EL1&0: apply stage 2 when it is on */
    bool      update;    /* hardware access flag and dirty state may be written */
    bool      cache_op;  /* cache maintenance or AT: syndrome CM, WnR */
    bool      tables_only; /* AT S1*: stage 2 applies to the walk, not to its result */
} A64Request;

static inline A64Regime a64_regime(const A64Cpu *cpu)
{
    if (cpu->el == 3) {
        return A64_REGIME_EL3;
    }
    if (cpu->el == 2) {
        return cpu->el2.hcr & HCR_E2H ? A64_REGIME_EL20 : A64_REGIME_EL2;
    }
    return cpu->el == 0 && a64_host(cpu) ? A64_REGIME_EL20 : A64_REGIME_EL10;
}

A64Request a64_request(const A64Cpu *cpu, unsigned space);

/* The whole translation: both stages and the granule protection check of the result. */
void a64_walk(A64Cpu *cpu, const A64Request *req, uint64_t va, A64Walk *out);

/* a64_bind_asid - the request met a page that is not global: a translation of it goes to a context of one ASID. */
void a64_bind_asid(A64Cpu *cpu, const A64Request *req);

/* The exception for a failed walk of @va. */
void a64_raise_fault(A64Cpu *cpu, const A64Request *req, const A64Walk *w, uint64_t va);

/* Fault status code, DFSC or IFSC. */
unsigned a64_fault_status(const A64Walk *w);

bool a64_fill(Cpu *cpu, uint64_t va, unsigned size, CpuAccess access, unsigned space, CpuFill *out);
void a64_unaligned(Cpu *cpu, uint64_t va, CpuAccess access);
void a64_bus_error(Cpu *cpu, uint64_t va, uint64_t pa, CpuAccess access, MemResult why);

/* Context tags, see a64_select_contexts(). */
#define A64_TAG_REGIME(tag)   ((A64Regime)((tag) & 3))
#define A64_TAG_SECURITY(tag) ((Pas)((tag) >> 4 & 3))
#define A64_TAG_ANY_ASID      BIT(8)
#define A64_TAG_ASID(tag)     ((uint16_t)((tag) >> 16))
#define A64_TAG_VMID(tag)     ((uint16_t)((tag) >> 32))

/* VMID of VTTBR_EL2 in the width that VTCR_EL2.VS says. */
uint16_t a64_vmid(const A64Cpu *cpu);

/* First CPU of the program's list, see A64Cpu.next. */
extern A64Cpu *a64_cpus;

#endif
