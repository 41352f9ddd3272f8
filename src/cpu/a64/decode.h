/*
 * One description per instruction. A64() defines the function that emits an instruction's meaning and
 * registers its encoding pattern; start-up turns patterns into masks, extracts fields by name and builds the
 * decoder. Two patterns that overlap without one being more specific are an error that the build's test and
 * debug start-up report.
 */
#ifndef BAILEY_A64_DECODE_H
#define BAILEY_A64_DECODE_H

#include "cpu/a64/a64.h"

/* Every field an encoding pattern may name, with its width. X(name, bits) */
#define A64_FIELDS(X)                                                                                     \
    X(sf, 1) X(op, 1) X(S, 1) X(sh, 1) X(imm12, 12) X(Rn, 5) X(Rd, 5) X(Rm, 5) X(Rt, 5) X(Rt2, 5) X(Ra, 5)  \
    X(Rs, 5) X(N, 1) X(immr, 6) X(imms, 6) X(imm6, 6) X(imm16, 16) X(hw, 2) X(imm26, 26) X(imm19, 19)       \
    X(imm14, 14) X(imm9, 9) X(imm8, 8) X(imm7, 7) X(imm5, 5) X(imm4, 4) X(imm3, 3) X(cond, 4) X(nzcv, 4)     \
    X(b5, 1) X(b40, 5) X(immhi, 19) X(immlo, 2) X(size, 2) X(opc, 2) X(option, 3) X(shift, 2) X(o0, 1)      \
    X(o1, 1) X(o2, 1) X(o3, 1) X(A, 1) X(R, 1) X(L, 1) X(Z, 1) X(M, 1) X(CRm, 4) X(CRn, 4) X(op0, 2)         \
    X(op1, 3) X(op2, 3) X(Q, 1) X(U, 1) X(sz, 1) X(immh, 4) X(immb, 3) X(ftype, 2) X(rmode, 2) X(opcode, 4)  \
    X(opcode5, 5) X(opcode3, 3) X(opcode2, 2) X(opcode6, 6) X(len, 2) X(cmode, 4) X(H, 1) X(rot, 2) X(V, 1) \
    X(abc, 3) X(defgh, 5) X(scale, 6) X(uimm6, 6) X(mask, 4) X(opt, 1) X(x1, 1) X(x2, 2) X(x3, 3) X(x4, 4)   \
    X(x5, 5) X(op_h, 1) X(rot1, 1) X(C, 1) X(D, 1) X(W, 1) X(idx, 2)

/* The fields of one instruction word, by name; those the pattern does not name are 0. */
typedef struct A64Fields {
    uint32_t insn;
#define X(name, bits) uint32_t name;
    A64_FIELDS(X)
#undef X
} A64Fields;

/*
 * The block key: everything but pc and page that changes the meaning of an instruction. a64_block_key() packs
 * it from the CPU's state; a64_translate() unpacks it. "Effective" means after the security state, E2H and
 * TGE rules.
 */
enum A64Key {
    A64_KEY_EL = 3 << 0,        /* PSTATE.EL */
    A64_KEY_FP_TRAP = 1 << 2,   /* FP/SIMD use traps from this level: a64_fp_trap_el() != 0 */
    A64_KEY_BTYPE_SET = 1 << 3, /* PSTATE.BTYPE != 0 */
    A64_KEY_BTYPE = 3 << 4,     /* PSTATE.BTYPE */
    A64_KEY_SS = 1 << 6,        /* software step or hardware breakpoints: a64_step_begin(), one instruction */
    A64_KEY_ALIGN = 1 << 7,     /* effective SCTLR_ELx.A */
    A64_KEY_SP_ALIGN = 1 << 8,  /* effective SCTLR_ELx.SA (EL0: SA0) */
    A64_KEY_UNPRIV = 1 << 9,    /* LDTR/STTR act as EL0: (EL1, or EL2 with E2H and TGE) and !PSTATE.UAO */
    A64_KEY_SECURITY = 7 << 10, /* Pas of the current level */
    A64_KEY_PAC_IA = 1 << 13,   /* effective SCTLR_ELx.EnIA, EnIB, EnDA, EnDB */
    A64_KEY_PAC_IB = 1 << 14,
    A64_KEY_PAC_DA = 1 << 15,
    A64_KEY_PAC_DB = 1 << 16,
    A64_KEY_BT = 1 << 17,    /* effective SCTLR_ELx.BT (EL0: BT0, EL1: BT1): PACIxSP is no "BTI j" */
    A64_KEY_IL = 1 << 18,    /* PSTATE.IL: every instruction is an illegal execution */
    A64_KEY_FGT = 1 << 19,   /* fine-grained traps may apply here: system registers go through a64_mrs/msr */
    A64_KEY_SPSEL = 1 << 20, /* PSTATE.SP */
    A64_KEY_ZVA_SLOW = 1 << 21, /* DC ZVA may trap (HCR_EL2.TDZ, SCTLR_ELx.DZE, FGT): go through the table */
    A64_KEY_NAA = 1 << 22,      /* effective SCTLR_ELx.nAA: acquire/release may cross 16 bytes (FEAT_LSE2) */
    A64_KEY_PAC_SHIFT = 23,
    A64_KEY_PAC_LAYOUT = 7 << A64_KEY_PAC_SHIFT, /* a64_pac_layout() */
    A64_KEY_FP_MODE = 1 << 26,  /* FPCR asks for another rounding than to nearest, flushing to zero or other halves */
    A64_KEY_FP_DN = 1 << 27,    /* FPCR.DN */
};
enum { A64_KEY_BTYPE_SHIFT = 4, A64_KEY_SECURITY_SHIFT = 10, A64_KEY_BITS = 28 };

/* What a pattern function gets: the block being built and what the block key says of the CPU's state. */
typedef struct A64Trans {
    IrBlock *ir;
    A64Cpu  *cpu;
    uint64_t pc;          /* of this instruction */
    uint64_t key;
    /* from the key */
    unsigned el;
    unsigned btype;       /* PSTATE.BTYPE at this instruction: not 0 only for the first of a block */
    bool     fp_trapped;  /* FP/SIMD use traps: a64_fp_check() */
    bool     guarded;     /* the page is a BTI guarded page */
    bool     align_check; /* SCTLR_ELx.A */
    bool     unpriv;      /* LDTR and STTR use the unprivileged translation context */
    bool     stepping;    /* software step: this is the one instruction */
    bool     exclusive;   /* the instruction was a load-exclusive: for the syndrome of a software step */
    bool     sp_aligned;  /* SP is known to be a multiple of 16 here */
    bool     exited;      /* the block has its exit */
} A64Trans;

typedef struct A64Pattern {
    const char *pattern; /* "sf op S 100010 sh imm12 Rn Rd", most significant first, 32 bits in all */
    const char *name;
    const char *feature; /* "FEAT_LSE" or NULL */
    void      (*emit)(A64Trans *t, const A64Fields *f);
} A64Pattern;

#define A64_FEAT(feat, pat, ident)                                                                         \
    static void a64_insn_##ident(A64Trans *t, const A64Fields *f);                                         \
    static const A64Pattern a64_##ident##_pattern = { pat, #ident, feat, a64_insn_##ident };               \
    static const A64Pattern *const a64_##ident##_ptr                                                       \
        __attribute__((used, section("bailey_a64_patterns"))) = &a64_##ident##_pattern;                    \
    static void a64_insn_##ident(A64Trans *t, const A64Fields *f)

#define A64(pat, ident) A64_FEAT(NULL, pat, ident)

/* a64_decoder_check - every fault of the pattern table as sentences; returns their number (0: sound). */
int a64_decoder_check(void (*report)(const char *sentence, void *opaque), void *opaque);

/* The pattern that an instruction word matches, or NULL (UNDEFINED); @f is filled when not NULL. */
const A64Pattern *a64_decode(uint32_t insn, A64Fields *f);

void a64_pattern_foreach(void (*fn)(const A64Pattern *p, void *opaque), void *opaque);

/**
 * a64_translate - CpuGuest.translate: emit instructions at @pc until the block must end, @max_insns are
 * emitted or the code of the page does.
 */
void a64_translate(Cpu *cpu, IrBlock *b, uint64_t pc, uint64_t key, const uint8_t *code, size_t len,
                   unsigned max_insns, unsigned flags);

/* a64_disassemble - text of an instruction from the pattern table: name and fields. */
void a64_disassemble(uint64_t pc, uint32_t insn, char *dst, size_t cap);

/* What instructions raise and ask of the system side is a64.h's section "what instructions call". */

/* ---- guest registers that blocks read and write: the CpuGuest's table ---- */

enum {
    A64_R_X0 = 0, /* ..30 */
    A64_R_SP = 31,
    A64_R_PC = 32,
    A64_R_NZCV = 33,
    A64_R_V0 = 34, /* ..65 */
    A64_R_FPCR = 66,
    A64_R_FPSR,
    A64_R_BTYPE,
    A64_R_D, /* PSTATE.DAIF, one byte each */
    A64_R_A,
    A64_R_I,
    A64_R_F,
    A64_R_SS,
    A64_R_SSBS,
    A64_R_DIT,
    A64_R_SP_EL0, /* el1.sp_el0: valid while PSTATE.SP is 1 */
    A64_R_TPIDR_EL0,
    A64_R_TPIDRRO_EL0,
    A64_R_TPIDR_EL1,
    A64_R_TPIDR_EL2,
    A64_R_EXCL_SIZE,
    A64_R_EXCL_VA,
    A64_R_EXCL_LO,
    A64_R_EXCL_HI,
    A64_R_STEP_ISS,
    A64_R_PAC_KEYS, /* low and high half of the keys IA, IB, DA, DB */
    A64_N_REGS = A64_R_PAC_KEYS + 8
};

extern const IrReg a64_regs[A64_N_REGS];

/* ---- what pattern functions use (translate.c) ---- */

IrRef a64_x(A64Trans *t, IrType ty, unsigned n);     /* register, 31 reads as zero; ty I32 or I64 */
IrRef a64_xsp(A64Trans *t, IrType ty, unsigned n);   /* register, 31 is SP */
void  a64_set_x(A64Trans *t, IrType ty, unsigned n, IrRef v);   /* 31: discarded; I32 zero-extends */
void  a64_set_xsp(A64Trans *t, IrType ty, unsigned n, IrRef v);
IrRef a64_v(A64Trans *t, IrType ty, unsigned n);     /* low part of a vector register: I8..I64, V64, V128 */
void  a64_set_v(A64Trans *t, IrType ty, unsigned n, IrRef v);   /* the rest of the register becomes zero */

IrRef a64_nzcv(A64Trans *t);                         /* FLAGS */
void  a64_set_nzcv(A64Trans *t, IrRef flags);
IrRef a64_cond(A64Trans *t, unsigned cond);          /* I32 0/1; AL and NV give constant 1 */

/* ADD/SUB with optional flags: a + b or a - b. */
IrRef a64_addsub(A64Trans *t, IrRef a, IrRef b, bool sub, bool set_flags);

/* LSL, LSR, ASR, ROR of a value by a constant below its width. */
typedef enum A64Shift { A64_LSL, A64_LSR, A64_ASR, A64_ROR } A64Shift;
IrRef a64_shift(A64Trans *t, IrType ty, IrRef v, A64Shift kind, unsigned amount);

/* A register extended by UXTB..SXTX (@option) and shifted left. Result I64 or I32. */
IrRef a64_extend(A64Trans *t, IrType ty, unsigned n, unsigned option, unsigned shift);

/* The immediate of "logical (immediate)"; false: reserved encoding. @width 32 or 64. */
bool a64_bitmask(unsigned N, unsigned imms, unsigned immr, unsigned width, uint64_t *value);

/* Base + offset with tag bits left in place (the MMU ignores them where TBI says so); checks SP alignment for
 * n=31. */
IrRef a64_address(A64Trans *t, unsigned Rn, int64_t offset);
IrRef a64_plus(A64Trans *t, IrRef base, int64_t offset); /* I64 base + constant */

/* The descriptor of an ordinary data access of 1 << @size_log2 bytes at the current privilege. */
IrMem a64_mem(A64Trans *t, unsigned size_log2);

void a64_undefined(A64Trans *t);                     /* the instruction is UNDEFINED: ends the block */

/* a64_fp_check - false when FP/SIMD use is trapped: the trap has been emitted, the function must return. */
bool a64_fp_check(A64Trans *t);

/* A helper that always raises an exception or sets the pc: the block ends here. Arguments as ir_call(). */
void a64_raise_by(A64Trans *t, const IrHelper *h, IrRef a, uint64_t imm);

/* The block's exits for pattern functions; they finish BTYPE and software step. */
void a64_jump(A64Trans *t, uint64_t pc);
void a64_branch_if(A64Trans *t, IrRef cond, uint64_t taken); /* else the next instruction */
void a64_jump_indirect(A64Trans *t, IrRef pc, unsigned btype);
void a64_leave(A64Trans *t); /* to the next instruction through the run loop: state changed */

/* The descriptor of an acquire or release access (@order as IrMem.order), after its alignment check by the
 * rules of FEAT_LSE2. a64_atomic: for exclusives and atomics, where SCTLR_ELx.nAA makes no difference.
 * @write: for the syndrome. */
IrMem a64_ordered(A64Trans *t, unsigned size_log2, IrRef addr, unsigned order, bool write);
IrMem a64_atomic(A64Trans *t, unsigned size_log2, IrRef addr, unsigned order, bool write);

/**
 * a64_access_iss - what a data abort's syndrome tells of the instruction that made the access.
 * @insn: the instruction word
 * Returns ISV, SAS, SSE, SRT, SF and AR at their places in ISS (bits 24:14), or 0 where the architecture
 * gives no valid syndrome (pairs, exclusives, atomics, writeback, SIMD). Arm DDI 0487, "ISS encoding for an
 * exception from a Data Abort".
 */
uint32_t a64_access_iss(uint32_t insn);
uint32_t a64_ordered_iss(const A64Pattern *p, const A64Fields *f); /* its part for LDAR, STLR, LDAPR */

/* Pointer authentication (pauth.c). The kinds are the order of A64El1Regs.apkey. */
typedef enum A64PacKey { A64_PAC_IA, A64_PAC_IB, A64_PAC_DA, A64_PAC_DB } A64PacKey;

/* The value of I64 @ptr with its code checked and removed (unchanged when the key is not enabled); FPAC
 * faults. */
IrRef a64_authenticate(A64Trans *t, IrRef ptr, IrRef modifier, A64PacKey key);
IrRef a64_sign(A64Trans *t, IrRef ptr, IrRef modifier, A64PacKey key);
IrRef a64_strip(A64Trans *t, IrRef ptr, bool data);

/* a64_pac_layout - the number by which blocks know where codes sit in pointers of the current regime; 0: they do not,
 * or the instructions trap. */
unsigned a64_pac_layout(A64Cpu *cpu);

#endif
