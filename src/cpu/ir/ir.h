/*
 * The intermediate representation. A front end (a64/) emits a block through the functions below; passes
 * rewrite it; an executor (ir/exec.c) or a code generator (jit/) runs it. Nothing here names a register or a
 * flag of one guest architecture: guest state is a table that the front end gives.
 *
 * A block is a list of typed values in single-assignment form, straight-line, with one exit at its end. An
 * IrRef is the index of the operation that made the value. Guest registers are read and written explicitly.
 *
 * Rule for front ends: within one guest instruction, everything that may fault comes before the first
 * ir_put(), so that a fault finds the state as it was before the instruction.
 */
#ifndef BAILEY_IR_H
#define BAILEY_IR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "bits.h"

typedef uint16_t IrRef; /* 0: no value */

typedef enum IrType {
    IR_VOID,
    IR_I8,
    IR_I16,
    IR_I32,
    IR_I64,
    IR_I128,
    IR_V64,
    IR_V128,
    IR_V256,
    IR_V512,
    IR_FLAGS, /* N, Z, C and V of a producer; first class: packed only when someone asks for bits */
    IR_N_TYPES
} IrType;

typedef struct IrBlock IrBlock;

/* One guest register that blocks may read and write. */
typedef struct IrReg {
    const char *name;
    IrType      type;
    uint32_t    offset; /* bytes from the start of the guest's CPU structure; below 64 KiB */
    bool        not_key; /* never part of CpuGuest.key(). Without it a put of a register of type I8 to I32
                            makes the engine ask for the key again at the block's exit (slower, no link) */
    bool        seldom;  /* read: not worth a register of the host throughout a loop */
    bool        status;  /* helpers with IR_STATUS read and write it. One that CpuGuest.fp_raised() writes is read
                            by such helpers only */
} IrReg;

/* Operations with a pure meaning; the list, types and meanings are in ops.h. */
typedef enum IrOp {
    IR_NOP,
#define IR_OP(name, args, flags, meaning) IR_##name,
#include "cpu/ir/ops.h"
#undef IR_OP
    IR_N_OPS
} IrOp;

/* How a FLAGS value is derived from its operands of type I32 or I64. */
typedef enum IrFlagsKind {
    IR_FLAGS_ADD,   /* a + b + carry: C carry out, V signed overflow */
    IR_FLAGS_SUB,   /* a - b - !carry: C is "no borrow" (Arm's sense) */
    IR_FLAGS_LOGIC, /* of a: N and Z; C = V = 0 */
} IrFlagsKind;

/* Conditions over FLAGS; each odd one is the negation of the even one before it. */
typedef enum IrCond {
    IR_COND_Z, IR_COND_NZ,
    IR_COND_C, IR_COND_NC,
    IR_COND_N, IR_COND_NN,
    IR_COND_V, IR_COND_NV,
    IR_COND_C_AND_NZ, IR_COND_NC_OR_Z, /* unsigned higher, lower or same (no-borrow sense) */
    IR_COND_GE, IR_COND_LT,            /* N == V, N != V */
    IR_COND_GT, IR_COND_LE,            /* !Z && N == V, Z || N != V */
} IrCond;

/* The packed form of FLAGS: what a FLAGS guest register holds in memory (uint32_t), and of
 * ir_flags_pack(). */
#define IR_PACK_N 8u
#define IR_PACK_Z 4u
#define IR_PACK_C 2u
#define IR_PACK_V 1u

/* A guest memory access. */
typedef struct IrMem {
    uint8_t size_log2;  /* 0 to 4: 1 to 16 bytes */
    uint8_t sign : 1;   /* sign-extend a load to its type */
    uint8_t big : 1;    /* big-endian */
    uint8_t align : 1;  /* fault unless aligned to the size (atomics, exclusives, acquire/release) */
    uint8_t space : 2;  /* which of the CPU's current translation contexts: 0 normal, 1 unprivileged */
    uint8_t order : 2;  /* 0 none, 1 acquire, 2 release, 3 both: for hosts that run CPUs in parallel */
    uint8_t write_intent : 1; /* a load that is the first half of a read-modify-write */
} IrMem;

/* What a helper may do; a pass must not move an operation across an effect. */
enum {
    IR_PURE = 0,
    IR_READS = 1,  /* reads guest registers other than by its arguments */
    IR_WRITES = 2, /* writes guest registers other than by its result */
    IR_FAULTS = 4, /* may raise a guest exception: the block is then left at once */
    IR_ENDS = 8,   /* may change what the engine assumed (translation, interrupts, time): last in its
                      instruction; the block is left after that instruction */
    IR_TIME = 16,  /* needs the exact instruction count and program counter */
    IR_MEM = 32,   /* reads or writes guest memory */
    IR_STATUS = 64, /* reads and writes guest registers that IrReg calls status, and no others */
};

/*
 * What a helper computes, for code generators that make it without a call; with @vector set: x, y and z are lanes of
 * the operands a, b and c; _S and _U tell how they extend to exact numbers. The immediate says which lanes:
 *
 *   bits 1:0    log2 of the bytes of a lane; of the narrow one where sizes differ
 *   bit 2       all of the register, else its low half; where sizes differ, the upper half of the narrow side
 *   bit 3       the lowest lane only
 *   bit 4       not inline: what is said here does not hold; call the helper
 *   bits 39:8   an argument ("count")
 *
 * Lanes of the result that are not covered are zero. SATURATING ones have IR_STATUS: a lane that does not fit becomes
 * the nearest number that does, and the helper notes it in a guest register; when all fit they write none.
 *
 * Floating point: lanes of 16, 32 and 64 bits, IEEE 754, rounded to nearest even, nothing flushed to zero. Exceptions
 * are collected for CpuGuest.fp_raised(). What becomes of NaNs is the helper's affair; comparisons with a NaN are
 * false.
 */
typedef enum IrInline {
    IR_INLINE_NONE,

    /* lanes of one size */
    IR_INLINE_HADD_S, IR_INLINE_HADD_U,   /* (x + y) >> 1 */
    IR_INLINE_RHADD_S, IR_INLINE_RHADD_U, /* (x + y + 1) >> 1 */
    IR_INLINE_HSUB_S, IR_INLINE_HSUB_U,   /* (x - y) >> 1 */
    IR_INLINE_QADD_S, IR_INLINE_QADD_U,   /* x + y, SATURATING */
    IR_INLINE_QSUB_S, IR_INLINE_QSUB_U,   /* x - y, SATURATING */
    IR_INLINE_QADD_SU,                    /* y + x, y and the result signed, x unsigned, SATURATING */
    IR_INLINE_QADD_US,                    /* y + x, y and the result unsigned, x signed, SATURATING */
    IR_INLINE_QSHLI_S, IR_INLINE_QSHLI_U, IR_INLINE_QSHLI_SU, /* x << count, SATURATING; SU: signed to unsigned */
    IR_INLINE_QMULH, IR_INLINE_QRMULH,    /* upper half of 2 x y, signed, SATURATING; R: rounded */
    IR_INLINE_QRMLAH, IR_INLINE_QRMLSH,   /* z plus or minus 2 x y, rounded: the upper half, z being one; SATURATING */
    IR_INLINE_QNEG, IR_INLINE_QABS,       /* -x, |x|, signed, SATURATING */
    IR_INLINE_SHL_S, IR_INLINE_SHL_U,     /* x << n, n being the signed low byte of y: negative to the right */
    IR_INLINE_RSHL_S, IR_INLINE_RSHL_U,   /* and rounded to the right */
    IR_INLINE_QSHL_S, IR_INLINE_QSHL_U,   /* SHL, SATURATING */
    IR_INLINE_QRSHL_S, IR_INLINE_QRSHL_U, /* RSHL, SATURATING */
    IR_INLINE_RSHR_S, IR_INLINE_RSHR_U,   /* (x + (1 << count >> 1)) >> count, count not 0 */
    IR_INLINE_INSERT_RIGHT,               /* x >> count, unsigned; bits shifted in are those of y */
    IR_INLINE_INSERT_LEFT,                /* x << count; likewise */
    IR_INLINE_RECPE_U, IR_INLINE_RSQRTE_U, /* words as fractions of 2^32: estimates of 1 / x and 1 / sqrt(x), in units
                                           * of 2^-31, from x / 2^23; all ones below a half, and below a quarter */
    IR_INLINE_CLZ, IR_INLINE_CLS, IR_INLINE_CNT, /* zeroes above the highest one; copies of the sign below it; ones */
    IR_INLINE_RBIT,                       /* bits reversed */
    IR_INLINE_CLMUL8,                     /* carry-less product of bytes, its lower half */
    IR_INLINE_REV,                        /* lane i ^ ((1 << count) - 1) of a */

    /* lanes of twice the size from x and y; wx and z are wide */
    IR_INLINE_ADDL_S, IR_INLINE_ADDL_U,   /* x + y */
    IR_INLINE_SUBL_S, IR_INLINE_SUBL_U,   /* x - y */
    IR_INLINE_ADDW_S, IR_INLINE_ADDW_U,   /* wx + y */
    IR_INLINE_SUBW_S, IR_INLINE_SUBW_U,   /* wx - y */
    IR_INLINE_ABDL_S, IR_INLINE_ABDL_U,   /* |x - y| */
    IR_INLINE_ABAL_S, IR_INLINE_ABAL_U,   /* z + |x - y| */
    IR_INLINE_MULL_S, IR_INLINE_MULL_U,   /* x * y */
    IR_INLINE_MLAL_S, IR_INLINE_MLAL_U,   /* z + x * y */
    IR_INLINE_MLSL_S, IR_INLINE_MLSL_U,   /* z - x * y */
    IR_INLINE_QMULL,                      /* 2 x y, signed, SATURATING */
    IR_INLINE_QMLAL, IR_INLINE_QMLSL,     /* z plus or minus that, SATURATING again */
    IR_INLINE_SHLL_S, IR_INLINE_SHLL_U,   /* x << count */
    IR_INLINE_PAIRL_S, IR_INLINE_PAIRL_U, /* x[2 i] + x[2 i + 1]; bit 2 as for lanes of one size */
    IR_INLINE_PAIRAL_S, IR_INLINE_PAIRAL_U, /* y + x[2 i] + x[2 i + 1], y wide */
    IR_INLINE_CLMUL64,                    /* carry-less product of 64-bit lanes; bit 2: of the upper ones */

    /* lanes of half the size from wide x and y. With bit 2 the low half of the result is that of the last operand */
    IR_INLINE_ADDHN, IR_INLINE_RADDHN,    /* upper half of x + y; R: rounded */
    IR_INLINE_SUBHN, IR_INLINE_RSUBHN,    /* upper half of x - y */
    IR_INLINE_RSHRN,                      /* (x + (1 << count >> 1)) >> count, truncated; count not 0 */
    IR_INLINE_QXTN_S, IR_INLINE_QXTN_U, IR_INLINE_QXTUN,    /* x, SATURATING; UN: signed to unsigned */
    IR_INLINE_QSHRN_S, IR_INLINE_QSHRN_U, IR_INLINE_QSHRUN, /* x >> count, SATURATING */
    IR_INLINE_QRSHRN_S, IR_INLINE_QRSHRN_U, IR_INLINE_QRSHRUN, /* and rounded */

    /* one lane from all: of one size, or (L) twice as wide */
    IR_INLINE_SUM, IR_INLINE_SUML_S, IR_INLINE_SUML_U,
    IR_INLINE_MAXV_S, IR_INLINE_MAXV_U, IR_INLINE_MINV_S, IR_INLINE_MINV_U,

    /* z + the sum of four products of bytes, lanes of 32 bits; SU: x signed, y unsigned */
    IR_INLINE_DOT_S, IR_INLINE_DOT_U, IR_INLINE_DOT_US, IR_INLINE_DOT_SU,
    /* z + the products of two rows of eight bytes of x, and two of y, row by row: lanes of 32 bits */
    IR_INLINE_MATRIX_S, IR_INLINE_MATRIX_U, IR_INLINE_MATRIX_US,

    /* bytes looked up: index y in a, of 16 or more: 0 or z. TABLE2: index z in a (low) and b, of 32 or more: 0 */
    IR_INLINE_TABLE, IR_INLINE_TABLE_KEEP, IR_INLINE_TABLE2,

    /* of a:b:c (a lowest) as structures of three lanes: lane number count of each; and the other way round, the
     * register's worth number count of the structures whose members are lanes of a, b and c */
    IR_INLINE_GATHER3, IR_INLINE_SCATTER3,

    /* FIPS 197 on the state a ^ b: ShiftRows and SubBytes, or their inverses; on a: MixColumns, or its inverse */
    IR_INLINE_AES_SUB, IR_INLINE_AES_INV_SUB, IR_INLINE_AES_MIX, IR_INLINE_AES_INV_MIX,

    /* FIPS 180-4, words from lane 0 on. SHA-1: four rounds of Ch, Parity, Maj on c = A B C D, E in a[0], b = W + K;
     * rotation of a[0] left by 30; the schedule's first and second step */
    IR_INLINE_SHA1_CH, IR_INLINE_SHA1_PARITY, IR_INLINE_SHA1_MAJ, IR_INLINE_SHA1_ROTATE,
    IR_INLINE_SHA1_SCHEDULE0, /* c ^ (c[2] c[3] a[0] a[1]) ^ b */
    IR_INLINE_SHA1_SCHEDULE1, /* t = b ^ (a[1] a[2] a[3] 0): t rotated by 1, the last lane ^ t[0] rotated by 2 */
    /* SHA-256: four rounds, b = W + K. First half: A B C D after them from c = A B C D, a = E F G H; second half:
     * E F G H from c = E F G H, a = A B C D */
    IR_INLINE_SHA256_FIRST, IR_INLINE_SHA256_SECOND,
    IR_INLINE_SHA256_SCHEDULE0, /* b + sigma0(b[1] b[2] b[3] a[0]) */
    IR_INLINE_SHA256_SCHEDULE1, /* c + (a[1] a[2] a[3] b[0]) + sigma1(b[2] b[3], the first two of the result) */
    IR_INLINE_SHA512_SCHEDULE1, /* lanes of 64 bits: c + b + sigma1(a) */

    /* of scalars: the I32 a, a checksum of polynomial 0x04c11db7 or 0x1edc6f41 in reflected bits, not inverted,
     * continued with the low bytes of the I64 b; the immediate is their number, 1, 2, 4 or 8 */
    IR_INLINE_CRC32, IR_INLINE_CRC32C,

    /* of I64s: codes in pointers, IR_PAC_... in the argument. a: the pointer; b: half of a key; c: the other half and
     * what the code is bound to, added without carry. SIGN puts the code in. CHECK takes it out; its helper, IR_FAULTS,
     * is called when the code is wrong, and raises an exception */
    IR_INLINE_PAC_SIGN, IR_INLINE_PAC_CHECK,

    /* floating point */
    IR_INLINE_FADD, IR_INLINE_FSUB, IR_INLINE_FMUL, IR_INLINE_FDIV, IR_INLINE_FSQRT,
    IR_INLINE_FNMUL,                      /* -(x * y) */
    IR_INLINE_FMULX,                      /* x * y; of zero and infinity 2, with the sign of the product */
    IR_INLINE_FRECPS, IR_INLINE_FRSQRTS,  /* 2 - x * y, (3 - x * y) / 2, rounded once; of zero and infinity as of 0 */
    IR_INLINE_FRECPE, IR_INLINE_FRSQRTE,  /* estimates of 1 / x and 1 / sqrt(x): as of fractions of nine bits */
    IR_INLINE_FRECPX,                     /* one lane: the exponent's bits inverted, the fraction 0; of zeroes and
                                           * denormals the largest exponent of numbers */
    IR_INLINE_FABD,                       /* |x - y| */
    IR_INLINE_FMLA, IR_INLINE_FMLS,       /* z + x * y, z - x * y, rounded once */
    IR_INLINE_FNMLA, IR_INLINE_FNMLS,     /* -z - x * y, -z + x * y */
    IR_INLINE_FMLAL,                      /* z + x * y, x and y half and z single precision, IR_FP_... in the argument:
                                           * of all that bit 2 covers, or half of that */
    IR_INLINE_FMAX, IR_INLINE_FMIN,       /* of numbers: +0 is above -0 */
    IR_INLINE_FMAXV, IR_INLINE_FMINV,     /* of all lanes: one lane */
    IR_INLINE_FABS, IR_INLINE_FNEG,       /* the sign alone: these are PURE; and so is */
    IR_INLINE_FMOV,                       /* x */
    IR_INLINE_FCMEQ, IR_INLINE_FCMGE, IR_INLINE_FCMGT, /* all ones or zero. GE, GT: invalid for any NaN, not only */
    IR_INLINE_FACGE, IR_INLINE_FACGT,     /* a signalling one. FAC..: of absolute values */
    IR_INLINE_FCMEQ0, IR_INLINE_FCMGE0, IR_INLINE_FCMGT0, IR_INLINE_FCMLE0, IR_INLINE_FCMLT0, /* with zero */
    IR_INLINE_FROUND,                     /* to an integral value. From here on IR_FP_... in the argument */
    IR_INLINE_FCVT,                       /* one lane to the size log2 in the argument's low bits */
    IR_INLINE_FCVTL, IR_INLINE_FCVTN,     /* lanes to ones of twice the size and back, of whose halves bit 2 tells */
    IR_INLINE_F_TO_I, IR_INLINE_I_TO_F,   /* to and from integers of the same size */
    IR_INLINE_F_TO_X, IR_INLINE_X_TO_F,   /* the lowest lane to I64, and back, from its low bits; zero above */
    IR_INLINE_FCMP,                       /* I32, IR_PACK_...: less N, equal Z C, greater C, unordered C V; of x and y,
                                           * or of x and 0 without b; the argument's upper bits when c is 0 */
} IrInline;

/* Arguments of floating-point conversions: bits of the immediate. */
enum {
    IR_FP_ROUND = 7 << 8,
    IR_FP_NEAREST = 0 << 8,       /* to even */
    IR_FP_UP = 1 << 8,
    IR_FP_DOWN = 2 << 8,
    IR_FP_TO_ZERO = 3 << 8,
    IR_FP_AWAY = 4 << 8,          /* to nearest, ties away from zero */
    IR_FP_CURRENT = 7 << 8,       /* to even, see above */
    IR_FP_SIGNAL_INEXACT = 1 << 11, /* FROUND: else it does not */
    IR_FP_UNSIGNED = 1 << 11,     /* the integer */
    IR_FP_FRACTION_SHIFT = 12,    /* the integer's fraction bits: 7 bits */
    IR_FP_X64 = 1 << 20,          /* F_TO_X, X_TO_F: an integer of 64 bits, else 32 */
    IR_FP_SIGNAL_NAN = 1 << 8,    /* FCMP: invalid for any NaN */
    IR_FP_UPPER = 1 << 8,         /* FMLAL: the upper half of x and y, else the lower, */
    IR_FP_SUBTRACT = 1 << 9,      /* z - x * y */
    IR_FP_ELSE_SHIFT = 12,        /* FCMP: what it is when c is 0 */
    IR_INLINE_NOT = 1 << 4,
    IR_INLINE_DEFAULT_NAN = 1 << 5, /* a result that is a NaN is always the same one */
};

/*
 * Codes in pointers. There are two ranges of addresses, which a bit tells apart; pointers without code have copies of
 * it in all bits of the range's mask. The code is the hash of that and the keys in those bits but one, IR_PAC_RANGE
 * itself, combined with the pointer by exclusive or: Arm DDI 0487, AddPAC() and Auth() with FEAT_PAuth2.
 */
enum {
    IR_PAC_RANGE = 55,
    IR_PAC_BOTTOM = 0, IR_PAC_TOP = 6, /* of the lower range's mask, bits of 6 bits each; and of the upper one's */
    IR_PAC_UPPER = 12,
    IR_PAC_BY_63 = 1 << 24, /* in a pointer to be signed, bit 63 tells the range */
    IR_PAC_OTHER = 25,      /* from here on for the helper */
};

static inline uint64_t ir_pac_mask(uint64_t imm, unsigned range)
{
    uint64_t of = imm >> range * IR_PAC_UPPER;

    return mask64((unsigned)(of >> IR_PAC_TOP & 63) + 1) & ~mask64(of >> IR_PAC_BOTTOM & 63);
}

/* The hash of x and y: the folded product of x ^ IR_PAC_DATA and y ^ IR_PAC_MODIFIER, times IR_PAC_SPREAD. */
#define IR_PAC_DATA     0x9e3779b97f4a7c15ull
#define IR_PAC_MODIFIER 0xbf58476d1ce4e5b9ull
#define IR_PAC_SPREAD   0x94d049bb133111ebull

/* A named C function that a block calls. Scalars go by value in uint64_t; when @vector is set every
 * operand and the result go by pointer to their storage (16 bytes and up, in guest byte order of lanes)
 * and may overlap. */
typedef struct IrHelper {
    const char *name;
    IrType      ret;
    uint8_t     n_args; /* 0 to 3 */
    uint8_t     effects;
    bool        vector;
    IrInline    inline_op; /* what it computes, where that is of the list above */
    uint8_t     host_fp; /* of a vector one: sizes of lanes, a bit for each log2 of bytes, for which it computes with
                            the host's floating point */
    union {
        uint64_t (*scalar)(void *cpu, uint64_t a, uint64_t b, uint64_t c, uint64_t imm);
        void (*vec)(void *cpu, void *d, const void *a, const void *b, const void *c, uint64_t imm);
    } fn;
} IrHelper;

/*
 * Whoever wants calls in blocks for observers: asked while a block is built, and calls helpers then. They read guest
 * registers at most. Those for accesses come behind all that may fault in their instruction.
 */
typedef struct IrHooks {
    void (*insn)(IrBlock *b, uint64_t pc); /* right behind the instruction's mark */
    void (*access)(IrBlock *b, IrMem mem, IrRef addr, bool store);
    void  *opaque;
} IrHooks;

/* ---- life of a block ---- */

/* ir_block_new - an empty block for a guest with these registers. */
IrBlock *ir_block_new(const IrReg *regs, size_t n_regs);
void     ir_block_free(IrBlock *b);
void     ir_block_reset(IrBlock *b, const IrReg *regs, size_t n_regs);

/* ---- building: every function appends to the block and checks types in debug builds ---- */

IrRef ir_const(IrBlock *b, IrType ty, uint64_t v);
IrRef ir_get(IrBlock *b, unsigned reg);
void  ir_put(IrBlock *b, unsigned reg, IrRef v);

/* Integer operations by name, e.g. ir_op2(b, IR_add, IR_I64, x, y). All operands of an operation have type
 * @ty unless ops.h says otherwise. */
IrRef ir_op1(IrBlock *b, IrOp op, IrType ty, IrRef a);
IrRef ir_op2(IrBlock *b, IrOp op, IrType ty, IrRef a, IrRef c);
IrRef ir_op3(IrBlock *b, IrOp op, IrType ty, IrRef a, IrRef c, IrRef d);

/* An operation with an immediate: vector element size, lane number, bit-field position. */
IrRef ir_opi(IrBlock *b, IrOp op, IrType ty, IrRef a, IrRef c, uint32_t imm);

/* Width changes; @to wider: zero or sign extension, narrower: truncation. */
IrRef ir_zext(IrBlock *b, IrType to, IrRef a);
IrRef ir_sext(IrBlock *b, IrType to, IrRef a);
IrRef ir_trunc(IrBlock *b, IrType to, IrRef a);

/* @cond is an I32 that is 0 or 1. */
IrRef ir_select(IrBlock *b, IrType ty, IrRef cond, IrRef if_true, IrRef if_false);

/* Flags. @carry (I32, 0 or 1) is 0 for "none": ADD without carry in, SUB without borrow in. */
IrRef ir_flags(IrBlock *b, IrFlagsKind kind, IrType ty, IrRef a, IrRef c, IrRef carry);
IrRef ir_flags_cond(IrBlock *b, IrCond cond, IrRef flags);  /* I32, 0 or 1 */
IrRef ir_flags_pack(IrBlock *b, IrRef flags);               /* I32: IR_PACK_* bits */
IrRef ir_flags_unpack(IrBlock *b, IrRef packed);
IrRef ir_flags_select(IrBlock *b, IrRef cond, IrRef if_true, IrRef if_false);

/* Memory; the value has type @ty: I8..I64 (extended), I128 for 16 bytes, V64 for 8; V128: loads are extended with
 * zeroes, stores take the low bytes. */
IrRef ir_load(IrBlock *b, IrType ty, IrMem mem, IrRef addr);
void  ir_store(IrBlock *b, IrType ty, IrMem mem, IrRef addr, IrRef value);

/* Arguments not used are 0. Returns 0 when the helper returns nothing. */
IrRef ir_call(IrBlock *b, const IrHelper *h, IrRef a, IrRef c, IrRef d, uint64_t imm);

/* ir_guard - call @h(cpu, v, 0, 0, 0) when @v (I64) has a bit of @mask set: a check that almost never
 * fires, such as alignment of a stack pointer. The helper returns nothing and may raise an exception, but
 * writes no registers. */
void ir_guard(IrBlock *b, IrRef v, uint64_t mask, const IrHelper *h);

/* ---- instruction marks and exits ---- */

/* ir_insn - a guest instruction starts; the engine keeps the count and the pc of each for exact faults and
 * time. */
void ir_insn(IrBlock *b, uint64_t pc);

void ir_exit_jump(IrBlock *b, uint64_t pc);                                    /* to a known pc */
void ir_exit_branch(IrBlock *b, IrRef cond, uint64_t taken, uint64_t fallthrough); /* cond I32, 0 or 1 */
void ir_exit_indirect(IrBlock *b, IrRef pc);                                   /* I64 */
void ir_returns(IrBlock *b, uint64_t pc); /* the block's exit is a call, which comes back to @pc: a hint */
void ir_exit_state(IrBlock *b, uint64_t pc);  /* to a known pc through the run loop: state changed (interrupt
                                                 masks, translation context, exception level) */
void ir_exit_done(IrBlock *b);                /* the last helper wrote the pc itself (exception, return) */

/* Whether the block has its exit, or has called a helper with IR_ENDS, or is full: the front end stops
 * translating (and emits an exit when there is none yet). */
bool ir_done(const IrBlock *b);

/* ---- looking ---- */

/* The type of a value. */
IrType ir_type(const IrBlock *b, IrRef v);

/* ir_print - one operation per line with names of guest registers and helpers. */
void ir_print(const IrBlock *b, FILE *out);

/* ir_verify - types, single assignment, the fault-before-put rule, exactly one exit. @why gets a sentence. */
bool ir_verify(const IrBlock *b, char *why, size_t why_len);

/* ir_optimize - all passes of passes.h in order; in debug builds the verifier runs after each. Lists IrBlock.state. */
void ir_optimize(IrBlock *b);

#endif
