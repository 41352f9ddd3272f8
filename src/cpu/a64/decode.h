/*
 * One description per instruction. A64() defines the function that emits an instruction's meaning and registers its
 * encoding pattern; start-up turns patterns into masks, extracts fields by name and builds the decoder. Two patterns
 * that overlap without one being more specific are an error that the build's test and debug start-up report.
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
    X(x5, 5) X(op_h, 1) X(rot1, 1)

/* The fields of one instruction word, by name; those the pattern does not name are 0. */
typedef struct A64Fields {
    uint32_t insn;
#define X(name, bits) uint32_t name;
    A64_FIELDS(X)
#undef X
} A64Fields;

/* What a pattern function gets: the block being built and what the block key says of the CPU's state. */
typedef struct A64Trans {
    IrBlock *ir;
    A64Cpu  *cpu;
    uint64_t pc;          /* of this instruction */
    uint64_t key;
    /* from the key */
    unsigned el;
    bool     fp_trapped;  /* FP/SIMD use traps: a64_fp_check() */
    bool     bti_active;  /* BTYPE was not 0 at the start of the block */
    bool     guarded;     /* the page is a BTI guarded page */
    bool     e2h_tge, align_check, unpriv, ss_active;
} A64Trans;

typedef struct A64Pattern {
    const char *pattern; /* "sf op S 100010 sh imm12 Rn Rd", most significant first, 32 bits in all */
    const char *name;
    const char *feature; /* "FEAT_LSE" or NULL */
    void      (*emit)(A64Trans *t, const A64Fields *f);
} A64Pattern;

#define A64_FEAT(feat, pat, ident)                                                                         \
    static void a64_##ident(A64Trans *t, const A64Fields *f);                                              \
    static const A64Pattern a64_##ident##_pattern = { pat, #ident, feat, a64_##ident };                    \
    static const A64Pattern *const a64_##ident##_ptr                                                       \
        __attribute__((used, section("bailey_a64_patterns"))) = &a64_##ident##_pattern;                    \
    static void a64_##ident(A64Trans *t, const A64Fields *f)

#define A64(pat, ident) A64_FEAT(NULL, pat, ident)

/* a64_decoder_check - every fault of the pattern table as sentences; returns their number (0: sound). */
int a64_decoder_check(void (*report)(const char *sentence, void *opaque), void *opaque);

/* The pattern that an instruction word matches, or NULL (UNDEFINED); @f is filled when not NULL. */
const A64Pattern *a64_decode(uint32_t insn, A64Fields *f);

void a64_pattern_foreach(void (*fn)(const A64Pattern *p, void *opaque), void *opaque);

/* a64_translate_insn - emit one instruction (or the UNDEFINED exception). */
void a64_translate_insn(A64Trans *t, uint32_t insn);

/* Text of an instruction from the pattern table: name and fields. */
void a64_disassemble(uint64_t pc, uint32_t insn, char *dst, size_t cap);

/* ---- what pattern functions use (translate.c) ---- */

/* Guest register numbers of the state table. */
enum {
    A64_R_X0 = 0, /* ..30 */
    A64_R_SP = 31,
    A64_R_PC = 32,
    A64_R_NZCV = 33,
    A64_R_V0 = 34, /* ..65 */
    A64_R_FPCR = 66,
    A64_R_FPSR,
    A64_R_BTYPE,
    A64_N_REGS
};

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

/* Base + offset with tag bits left in place (the MMU ignores them where TBI says so); checks SP alignment for n=31. */
IrRef a64_address(A64Trans *t, unsigned Rn, int64_t offset);

void a64_undefined(A64Trans *t);                     /* the instruction is UNDEFINED: ends the block */

/* a64_fp_check - false when FP/SIMD use is trapped: the trap has been emitted and the function must return. */
bool a64_fp_check(A64Trans *t);

#endif
