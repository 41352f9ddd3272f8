/*
 * Writing x86-64 machine code: one function per instruction form, labels, and places to patch later. It knows nothing
 * of guests or of the IR. Encodings: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2.
 *
 * Code is written through one mapping of memory and runs through another (code_mem.h); everything here is in terms of
 * the running one.
 */
#ifndef BAILEY_CPU_JIT_ASM_H
#define BAILEY_CPU_JIT_ASM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum X86Reg {
    RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15,
    X86_NO_REG = 0xff,
} X86Reg;

/* XMM registers are plain numbers 0 to 15. */
typedef uint8_t X86Xmm;

typedef enum X86Cond {
    CC_O, CC_NO, CC_B, CC_AE, CC_E, CC_NE, CC_BE, CC_A, CC_S, CC_NS, CC_P, CC_NP, CC_L, CC_GE, CC_LE, CC_G,
} X86Cond; /* each odd one negates the even one before it */

static inline X86Cond x86_not(X86Cond cc) { return (X86Cond)(cc ^ 1); }

/* Operand in memory: base + (index << scale) + disp. */
typedef struct X86Mem {
    X86Reg  base;
    X86Reg  index; /* X86_NO_REG: none */
    uint8_t scale; /* 0 to 3 */
    int32_t disp;
} X86Mem;

#define X86_AT(base_, disp_)                 ((X86Mem){ (base_), X86_NO_REG, 0, (disp_) })
#define X86_INDEX(base_, index_, scale_, disp_) ((X86Mem){ (base_), (index_), (scale_), (disp_) })

/* Arithmetic with the usual forms, in the order of their opcodes. */
typedef enum X86Alu { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP } X86Alu;
typedef enum X86Shift { SH_ROL = 0, SH_ROR = 1, SH_SHL = 4, SH_SHR = 5, SH_SAR = 7 } X86Shift;

/* What the host can do; x86-64-v2 is required (asm_host_ok). */
typedef struct X86Host {
    bool bmi1, bmi2, lzcnt, avx, avx2, fma, aes, pclmul, sha, f16c;
} X86Host;

/* A place in the code, bound once; jumps to it may come before. */
typedef struct AsmLabel {
    int32_t pos;   /* offset from Asm.start; -1: not bound yet */
    int32_t fixup; /* last unresolved jump, which holds the offset of the one before; -1: none */
} AsmLabel;

#define ASM_LABEL ((AsmLabel){ -1, -1 })

typedef struct Asm {
    uint8_t *start;    /* through the writable mapping */
    uint8_t *p, *end;
    intptr_t to_run;   /* running address - writable address */
    bool     full;     /* there was no room: the code is useless, further emission is harmless */
    X86Host  host;
    uint8_t  spill[16]; /* where an instruction is put together when it may not fit before the end */
} Asm;

/* ---- life ---- */

/* asm_init - write to [@start, @start + @size); @to_run as in Asm. Fills in what the host can do. */
void asm_init(Asm *a, uint8_t *start, size_t size, intptr_t to_run);

/* Whether the host has what generated code needs everywhere (SSE4.2, POPCNT: x86-64-v2). */
bool asm_host_ok(void);

/* asm_limit_host - code made from now on uses nothing but what is required, whatever the host has: for tests. */
void asm_limit_host(void);

static inline size_t asm_size(const Asm *a) { return (size_t)(a->p - a->start); }

/* The running address of the next instruction. */
static inline const void *asm_here(const Asm *a) { return a->p + a->to_run; }

/* ---- raw ---- */
void asm_u8(Asm *a, uint8_t v);
void asm_u32(Asm *a, uint32_t v);
void asm_u64(Asm *a, uint64_t v);
void asm_align(Asm *a, unsigned bytes); /* by long NOPs; power of two up to 64, relative to the running address */

/* ---- integers. @w: 64-bit operands, else 32-bit (the upper half of a destination becomes zero) ---- */
void asm_alu_rr(Asm *a, X86Alu op, bool w, X86Reg d, X86Reg s);
void asm_alu_ri(Asm *a, X86Alu op, bool w, X86Reg d, int32_t imm);
void asm_alu_rm(Asm *a, X86Alu op, bool w, X86Reg d, X86Mem m);
void asm_alu_mr(Asm *a, X86Alu op, bool w, X86Mem m, X86Reg s);
void asm_alu_mi(Asm *a, X86Alu op, bool w, X86Mem m, int32_t imm);
void asm_test_rr(Asm *a, bool w, X86Reg x, X86Reg y);
void asm_test_ri(Asm *a, bool w, X86Reg x, int32_t imm);
void asm_test_mi(Asm *a, bool w, X86Mem m, int32_t imm);
void asm_mov_rr(Asm *a, bool w, X86Reg d, X86Reg s);        /* emitted even when d == s: 32-bit zero-extends */
void asm_mov_ri(Asm *a, X86Reg d, uint64_t imm);            /* shortest form; keeps the host's flags */
void asm_lea(Asm *a, bool w, X86Reg d, X86Mem m);
void asm_lea_code(Asm *a, X86Reg d, const void *running);   /* relative to rip */
void asm_load(Asm *a, unsigned size_log2, bool sign, bool w, X86Reg d, X86Mem m); /* extends to 64 (@w) or 32 bits */
void asm_store(Asm *a, unsigned size_log2, X86Mem m, X86Reg s);
void asm_store_i(Asm *a, unsigned size_log2, X86Mem m, int32_t imm); /* 8 bytes: sign-extended */
void asm_zext(Asm *a, unsigned size_log2, X86Reg d, X86Reg s);          /* from 1, 2 or 4 bytes to 64 bits */
void asm_sext(Asm *a, unsigned size_log2, bool w, X86Reg d, X86Reg s);  /* from 1, 2 or 4 bytes */
void asm_not(Asm *a, bool w, X86Reg d);
void asm_neg(Asm *a, bool w, X86Reg d);
void asm_imul_rr(Asm *a, bool w, X86Reg d, X86Reg s);
void asm_imul_rri(Asm *a, bool w, X86Reg d, X86Reg s, int32_t imm);
void asm_mul(Asm *a, bool w, bool sign, X86Reg s);          /* rdx:rax = rax * s */
void asm_div(Asm *a, bool w, bool sign, X86Reg s);          /* rax, rdx = rdx:rax / s */
void asm_cqo(Asm *a, bool w);                               /* sign of rax into rdx */
void asm_shift_ri(Asm *a, X86Shift op, bool w, X86Reg d, unsigned n);
void asm_shift_cl(Asm *a, X86Shift op, bool w, X86Reg d);
void asm_shiftx(Asm *a, X86Shift op, bool w, X86Reg d, X86Reg s, X86Reg n); /* BMI2: SHL, SHR, SAR */
void asm_rorx(Asm *a, bool w, X86Reg d, X86Reg s, unsigned n);              /* BMI2 */
void asm_andn(Asm *a, bool w, X86Reg d, X86Reg inverted, X86Reg s);         /* BMI1 */
void asm_bextr(Asm *a, bool w, X86Reg d, X86Reg s, X86Reg control);         /* BMI1: control is start | length << 8 */
void asm_bzhi(Asm *a, bool w, X86Reg d, X86Reg s, X86Reg n);                /* BMI2: the low n bits of s */
void asm_mulx(Asm *a, bool w, X86Reg high, X86Reg low, X86Reg s);           /* BMI2: rdx * s; keeps the flags */
void asm_pext(Asm *a, bool w, X86Reg d, X86Reg s, X86Reg mask);             /* BMI2 */
void asm_lahf(Asm *a);                                                      /* S, Z, A, P and C into ah */
void asm_bswap(Asm *a, bool w, X86Reg d);
void asm_bsr(Asm *a, bool w, X86Reg d, X86Reg s);
void asm_bsf(Asm *a, bool w, X86Reg d, X86Reg s);
void asm_lzcnt(Asm *a, bool w, X86Reg d, X86Reg s);
void asm_tzcnt(Asm *a, bool w, X86Reg d, X86Reg s);
void asm_popcnt(Asm *a, bool w, X86Reg d, X86Reg s);
void asm_crc32c(Asm *a, unsigned size_log2, X86Reg d, X86Reg s);            /* d: the sum so far, not inverted */
void asm_bt_ri(Asm *a, bool w, X86Reg d, unsigned bit);
void asm_setcc(Asm *a, X86Cond cc, X86Reg d);               /* low byte only */
void asm_cmov(Asm *a, X86Cond cc, bool w, X86Reg d, X86Reg s);
void asm_cmov_m(Asm *a, X86Cond cc, bool w, X86Reg d, X86Mem m);
void asm_xchg(Asm *a, bool w, X86Reg x, X86Reg y);
void asm_push(Asm *a, X86Reg r);
void asm_pop(Asm *a, X86Reg r);
void asm_cmc(Asm *a);
void asm_stc(Asm *a);
void asm_clc(Asm *a);

/* ---- control ---- */
void asm_bind(Asm *a, AsmLabel *l);
void asm_jcc(Asm *a, X86Cond cc, AsmLabel *l);
void asm_jmp(Asm *a, AsmLabel *l);
void asm_call(Asm *a, AsmLabel *l);
void asm_jcc_to(Asm *a, X86Cond cc, const void *running); /* to code elsewhere within 2 GiB; 6 bytes */
void asm_jmp_to(Asm *a, const void *running);             /* 5 bytes */
void asm_call_to(Asm *a, const void *running);            /* 5 bytes */
void asm_jmp_r(Asm *a, X86Reg r);
void asm_jmp_m(Asm *a, X86Mem m);
void asm_call_r(Asm *a, X86Reg r);
void asm_ret(Asm *a);
void asm_ud2(Asm *a);

/* asm_patch_entry - write a 5-byte jump or call over whatever is at @at. */
void asm_patch_entry(uint8_t *at, intptr_t to_run, const void *running, bool call);

/* asm_patch_branch - the 6-byte conditional jump at @at leads to @running from now on. */
void asm_patch_branch(uint8_t *at, intptr_t to_run, const void *running);

/* ---- SSE and AVX ---- */

/*
 * An instruction by its encoding: mandatory prefix, opcode map and opcode. Named in asm_sse.h. The two-operand form is
 * d = d op s; with AVX the three-operand one is used where d differs from the first source.
 */
typedef struct X86Sse {
    uint8_t prefix; /* 0, 0x66, 0xf3 or 0xf2 */
    uint8_t map;    /* 1: 0f, 2: 0f 38, 3: 0f 3a */
    uint8_t op;
    bool    w;      /* REX.W or VEX.W */
    uint8_t flags;  /* X86_COMMUTES... */
} X86Sse;

enum {
    X86_COMMUTES = 1,    /* its sources may change places */
    X86_MERGES = 2,      /* of one source, but writes only the low element (or the one chosen): the rest of d remains */
    X86_ONLY_VEX = 4,    /* exists with VEX alone */
    X86_ONLY_LEGACY = 8, /* exists without VEX alone */
};

/* Moves of 16 bytes (unaligned), and of the low 8 or 4 bytes with the rest zero. */
void asm_movx(Asm *a, X86Xmm d, X86Xmm s);                        /* nothing when d == s */
void asm_load_x(Asm *a, unsigned size_log2, X86Xmm d, X86Mem m);  /* 2, 3 or 4; upper bytes zero */
void asm_store_x(Asm *a, unsigned size_log2, X86Mem m, X86Xmm s); /* 2, 3 or 4 */
void asm_movq_xr(Asm *a, bool w, X86Xmm d, X86Reg s);             /* upper bytes zero */
void asm_movq_rx(Asm *a, bool w, X86Reg d, X86Xmm s);
void asm_movq_xx(Asm *a, X86Xmm d, X86Xmm s);                     /* low 8 bytes, upper zero */

/*
 * Memory operands of 16 bytes must be aligned unless the host has AVX (or the instruction is a move).
 *
 * One source: d = op s (PABSB, SQRTPS, PSHUFD with imm, CVT...). X86_MERGES ones (SQRTSD, CVTSD2SS, ROUNDSD...) keep
 * the rest of d; asm_sse2() with them takes the rest from x.
 */
void asm_sse1(Asm *a, X86Sse op, X86Xmm d, X86Xmm s);
void asm_sse1_m(Asm *a, X86Sse op, X86Xmm d, X86Mem m);
void asm_sse1_i(Asm *a, X86Sse op, X86Xmm d, X86Xmm s, uint8_t imm);
void asm_sse1_mi(Asm *a, X86Sse op, X86Xmm d, X86Mem m, uint8_t imm); /* PEXTR...: stores an element of d */
/* Two sources: d = x op y. Without AVX: when d == y and d != x, the caller has a problem unless the operation
 * commutes; asm_sse2 asserts. */
void asm_sse2(Asm *a, X86Sse op, X86Xmm d, X86Xmm x, X86Xmm y);
void asm_sse2_m(Asm *a, X86Sse op, X86Xmm d, X86Xmm x, X86Mem m);
void asm_sse2_i(Asm *a, X86Sse op, X86Xmm d, X86Xmm x, X86Xmm y, uint8_t imm);
void asm_sse2_mi(Asm *a, X86Sse op, X86Xmm d, X86Xmm x, X86Mem m, uint8_t imm);
/* PBLENDVB, BLENDVPS, BLENDVPD: d = elements of y where the mask's sign bits are set, else of x. Without AVX the mask
 * must be in xmm0, and d elsewhere. */
void asm_blendv(Asm *a, X86Sse op, X86Xmm d, X86Xmm x, X86Xmm y, X86Xmm mask);
/* Shifts by an immediate: group 12 to 14, @ext is the /digit. X86_PSRLW_I and so on stand for @op and @ext. */
void asm_sse_shift_i(Asm *a, uint8_t op, uint8_t ext, X86Xmm d, X86Xmm s, uint8_t imm);
/* Between general and xmm registers (CVTSI2SD, PEXTRQ, PINSRB, PMOVMSKB...): d and s as numbers. */
void asm_sse_gx(Asm *a, X86Sse op, uint8_t reg, uint8_t rm);
void asm_sse_gx_i(Asm *a, X86Sse op, uint8_t reg, uint8_t rm, uint8_t imm);
/* FMA3: d = +-(x * y) +- d: the 231 form; @op from asm_sse.h. */
void asm_fma(Asm *a, X86Sse op, X86Xmm d, X86Xmm x, X86Xmm y);
void asm_fma_m(Asm *a, X86Sse op, X86Xmm d, X86Xmm x, X86Mem m);
void asm_ldmxcsr(Asm *a, X86Mem m);
void asm_stmxcsr(Asm *a, X86Mem m);

#endif
