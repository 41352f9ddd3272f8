/*
 * What the SIMD&FP instruction files share: vectors by lanes, the shape that tells a helper which lanes to
 * work on, and the functions that emit the common forms. Encodings are in simd_*.c and fp_*.c; what they do
 * to lanes is in simd_lanes.c (integers), simd_fp.c (floating point) and simd_crypto.c. Arm DDI 0487, "Data
 * Processing -- Scalar Floating-Point and Advanced SIMD".
 */
#ifndef BAILEY_CPU_A64_SIMD_H
#define BAILEY_CPU_A64_SIMD_H

#include "cpu/a64/crypto.h"
#include "cpu/a64/decode.h"
#include "cpu/a64/fp.h"

/* A vector register by lanes, lane 0 least significant: its storage on a little-endian host. */
typedef union SimdVec {
    uint8_t  u8[16];
    int8_t   s8[16];
    uint16_t u16[8];
    int16_t  s16[8];
    uint32_t u32[4];
    int32_t  s32[4];
    uint64_t u64[2];
    int64_t  s64[2];
    Vec128   crypto;
} SimdVec;

/*
 * The immediate of every vector helper. Bits 1:0: log2 of the bytes of an element (of the narrow one where
 * sizes differ); bit 2: Q; bit 3: one element only (the scalar forms); bits 39:8: what the helper makes of
 * it, for example a shift count.
 */
typedef uint64_t SimdShape;

enum { SIMD_Q = 1 << 2, SIMD_ONE = 1 << 3, SIMD_ARG_SHIFT = 8 };

static inline SimdShape simd_shape(unsigned size_log2, unsigned Q) { return size_log2 | (Q ? SIMD_Q : 0); }
static inline SimdShape simd_one(unsigned size_log2) { return size_log2 | SIMD_ONE; }
static inline SimdShape simd_with(SimdShape s, uint32_t arg) { return s | (uint64_t)arg << SIMD_ARG_SHIFT; }

static inline unsigned simd_size(SimdShape s) { return s & 3; }
static inline uint32_t simd_arg(SimdShape s) { return (uint32_t)(s >> SIMD_ARG_SHIFT); }

/* Elements of a register that the shape covers. */
static inline unsigned simd_lanes(SimdShape s)
{
    return s & SIMD_ONE ? 1 : (s & SIMD_Q ? 16u : 8u) >> simd_size(s);
}

/* Elements of half a register, and the first of them: Q chooses the half ("part" in the pseudocode). */
static inline unsigned simd_half_lanes(SimdShape s)
{
    return s & SIMD_ONE ? 1 : 8u >> simd_size(s);
}

static inline unsigned simd_first(SimdShape s)
{
    return s & SIMD_Q ? simd_half_lanes(s) : 0;
}

static inline uint64_t simd_get(const SimdVec *v, unsigned size_log2, unsigned lane)
{
    switch (size_log2) {
    case 0:
        return v->u8[lane];
    case 1:
        return v->u16[lane];
    case 2:
        return v->u32[lane];
    default:
        return v->u64[lane];
    }
}

static inline void simd_set(SimdVec *v, unsigned size_log2, unsigned lane, uint64_t value)
{
    switch (size_log2) {
    case 0:
        v->u8[lane] = (uint8_t)value;
        break;
    case 1:
        v->u16[lane] = (uint16_t)value;
        break;
    case 2:
        v->u32[lane] = (uint32_t)value;
        break;
    default:
        v->u64[lane] = value;
        break;
    }
}

/* ---- helpers ---- */

/* Sets of element sizes. */
enum { SIMD_B = 1, SIMD_H = 2, SIMD_S = 4, SIMD_D = 8, SIMD_BHS = 7, SIMD_HS = 6, SIMD_ALL = 15 };

/* The C function of a vector helper. */
#define SIMD_FN(name)                                                                                      \
    static void do_##name(void *cpu, void *d, const void *a, const void *b, const void *c, SimdShape imm)

/* Operands as @va, @vb, @vc: those that a helper of so many arguments has. */
#define SIMD_OPERANDS_1                                                                                    \
    SimdVec va;                                                                                            \
    memcpy(&va, a, sizeof(va));
#define SIMD_OPERANDS_2                                                                                    \
    SIMD_OPERANDS_1                                                                                        \
    SimdVec vb;                                                                                            \
    memcpy(&vb, b, sizeof(vb));
#define SIMD_OPERANDS_3                                                                                    \
    SIMD_OPERANDS_2                                                                                        \
    SimdVec vc;                                                                                            \
    memcpy(&vc, c, sizeof(vc));

/* Saturating helpers write FPSR; those of floating point read FPCR as well, and some compute on the host. */
enum {
    SIMD_PURE = IR_PURE,
    SIMD_FPSR = IR_STATUS,
    SIMD_HOST = IR_STATUS | 1 << 8,         /* lanes of 32 and 64 bits on the host (fp_fast.h, fp.c) */
    SIMD_HOST_ALWAYS = IR_STATUS | 1 << 9,  /* and of 16 bits */
};

#define SIMD_HOST_SIZES(effects)                                                                           \
    ((effects) == SIMD_HOST ? SIMD_S | SIMD_D : (effects) == SIMD_HOST_ALWAYS ? SIMD_HS | SIMD_D : 0)

#define SIMD_HELPER(name, args, effects)                                                                   \
    const IrHelper simd_##name = { #name, IR_V128, args, (effects) & 0xff, true,                           \
                                   (IrInline)SIMD_INLINE_##name, SIMD_HOST_SIZES(effects), .fn.vec = do_##name }

/*
 * Every helper that an instruction file names. Operands: (n), (n, m) or (n, m, d); those of narrowing take
 * (n, d) or (n, m, d) and keep the low half of d when Q is set. With each its IrInline.
 */
#define SIMD_HELPERS(X)                                                                                        \
    /* integers, lane by lane */                                                                               \
    X(shadd, HADD_S) X(uhadd, HADD_U) X(srhadd, RHADD_S) X(urhadd, RHADD_U) X(shsub, HSUB_S)                   \
    X(uhsub, HSUB_U) X(sqadd, QADD_S) X(uqadd, QADD_U) X(sqsub, QSUB_S) X(uqsub, QSUB_U) X(sshl, SHL_S)        \
    X(ushl, SHL_U) X(srshl, RSHL_S) X(urshl, RSHL_U) X(sqshl, QSHL_S) X(uqshl, QSHL_U) X(sqrshl, QRSHL_S)      \
    X(uqrshl, QRSHL_U) X(pmul, CLMUL8) X(sqdmulh, QMULH) X(sqrdmulh, QRMULH) X(sqrdmlah, QRMLAH)               \
    X(sqrdmlsh, QRMLSH) X(suqadd, QADD_SU) X(usqadd, QADD_US) X(sqabs, QABS) X(sqneg, QNEG) X(cls, CLS)        \
    X(clz, CLZ) X(cnt, CNT) X(rbit, RBIT) X(rev, REV) X(urecpe, RECPE_U) X(ursqrte, RSQRTE_U) X(srshr, RSHR_S) \
    X(urshr, RSHR_U) X(sri, INSERT_RIGHT) X(sli, INSERT_LEFT) X(sqshlu, QSHLI_SU) X(sqshl_imm, QSHLI_S)        \
    X(uqshl_imm, QSHLI_U)                                                                                      \
    /* wider results */                                                                                        \
    X(saddl, ADDL_S) X(uaddl, ADDL_U) X(saddw, ADDW_S) X(uaddw, ADDW_U) X(ssubl, SUBL_S)                       \
    X(usubl, SUBL_U) X(ssubw, SUBW_S) X(usubw, SUBW_U) X(sabal, ABAL_S) X(uabal, ABAL_U)                       \
    X(sabdl, ABDL_S) X(uabdl, ABDL_U) X(smlal, MLAL_S) X(umlal, MLAL_U) X(smlsl, MLSL_S)                       \
    X(umlsl, MLSL_U) X(smull, MULL_S) X(umull, MULL_U) X(sqdmlal, QMLAL) X(sqdmlsl, QMLSL)                     \
    X(sqdmull, QMULL) X(pmull, NONE) X(pmull64, CLMUL64) X(sshll, SHLL_S) X(ushll, SHLL_U)                     \
    X(saddlp, PAIRL_S) X(uaddlp, PAIRL_U) X(sadalp, PAIRAL_S) X(uadalp, PAIRAL_U)                              \
    /* narrower results */                                                                                     \
    X(addhn, ADDHN) X(raddhn, RADDHN) X(subhn, SUBHN) X(rsubhn, RSUBHN) X(sqxtn, QXTN_S)                       \
    X(uqxtn, QXTN_U) X(sqxtun, QXTUN) X(rshrn, RSHRN) X(sqshrn, QSHRN_S) X(uqshrn, QSHRN_U)                    \
    X(sqshrun, QSHRUN) X(sqrshrn, QRSHRN_S) X(uqrshrn, QRSHRN_U) X(sqrshrun, QRSHRUN)                          \
    /* across lanes, dot products, matrices */                                                                 \
    X(saddlv, SUML_S) X(uaddlv, SUML_U) X(smaxv, MAXV_S) X(umaxv, MAXV_U) X(sminv, MINV_S)                     \
    X(uminv, MINV_U) X(addv, SUM) X(sdot, DOT_S) X(udot, DOT_U) X(usdot, DOT_US) X(sudot, DOT_SU)              \
    X(smmla, MATRIX_S) X(ummla, MATRIX_U) X(usmmla, MATRIX_US)                                                 \
    /* tables and structures */                                                                                \
    X(tbl1, TABLE) X(tbx1, TABLE_KEEP) X(tbl2, TABLE2) X(gather3, GATHER3) X(scatter3, SCATTER3)               \
    /* floating point */                                                                                       \
    X(fadd, FADD) X(fsub, FSUB) X(fmul, FMUL) X(fdiv, FDIV) X(fmla, FMLA) X(fmls, FMLS) X(fmulx, FMULX)        \
    X(fmax, FMAX) X(fmin, FMIN) X(fmaxnm, FMAX) X(fminnm, FMIN) X(fabd, FABD) X(frecps, FRECPS)                \
    X(frsqrts, FRSQRTS) X(fcmeq, FCMEQ) X(fcmge, FCMGE) X(fcmgt, FCMGT) X(facge, FACGE) X(facgt, FACGT)        \
    X(fcmeq0, FCMEQ0) X(fcmge0, FCMGE0) X(fcmgt0, FCMGT0) X(fcmle0, FCMLE0) X(fcmlt0, FCMLT0)                  \
    X(fsqrt, FSQRT) X(frecpe, FRECPE) X(frsqrte, FRSQRTE) X(frecpx, FRECPX) X(frint, FROUND) X(frint_n, NONE)  \
    X(fcvt_int, F_TO_I) X(cvtf, I_TO_F) X(fcvtl, FCVTL) X(fcvtn, FCVTN) X(fcvtxn, NONE) X(fmaxv, FMAXV)         \
    X(fminv, FMINV) X(fmaxnmv, FMAXV) X(fminnmv, FMINV) X(fmlal, FMLAL)                                           \
    X(fnmul, FNMUL) X(fnmadd, FNMLA) X(fnmsub, FNMLS) X(fcvt, FCVT) X(fadd_s, FADD) X(fsub_s, FSUB)            \
    X(fmul_s, FMUL) X(fdiv_s, FDIV) X(fmla_s, FMLA) X(fmls_s, FMLS) X(fsqrt_s, FSQRT) X(fadd_d, FADD)          \
    X(fsub_d, FSUB) X(fmul_d, FMUL) X(fdiv_d, FDIV) X(fmla_d, FMLA) X(fmls_d, FMLS) X(fsqrt_d, FSQRT)          \
    X(fabs, FABS) X(fmov, FMOV) X(fneg, FNEG)                                                                  \
    /* cryptography */                                                                                         \
    X(aese, AES_SUB) X(aesd, AES_INV_SUB) X(aesmc, AES_MIX) X(aesimc, AES_INV_MIX) X(sha1c, SHA1_CH)           \
    X(sha1p, SHA1_PARITY) X(sha1m, SHA1_MAJ) X(sha1h, SHA1_ROTATE) X(sha1su0, SHA1_SCHEDULE0)                  \
    X(sha1su1, SHA1_SCHEDULE1) X(sha256h, SHA256_FIRST) X(sha256h2, SHA256_SECOND)                             \
    X(sha256su0, SHA256_SCHEDULE0) X(sha256su1, SHA256_SCHEDULE1) X(sha512h, NONE) X(sha512h2, NONE)           \
    X(sha512su0, NONE) X(sha512su1, SHA512_SCHEDULE1)

#define X(name, form) extern const IrHelper simd_##name; enum { SIMD_INLINE_##name = IR_INLINE_##form };
SIMD_HELPERS(X)
#undef X

/* Arguments of frint, frint_n, fcvt_int and cvtf. */
enum {
    SIMD_ROUND = 7,             /* FpRounding, or: */
    SIMD_ROUND_CURRENT = 7,     /* FPCR.RMode */
    SIMD_ROUND_EXACT = 1 << 3,  /* frint: Inexact is signalled */
    SIMD_UNSIGNED = 1 << 3,     /* fcvt_int, cvtf */
    SIMD_FBITS_SHIFT = 4,       /* fcvt_int, cvtf: fraction bits; frint_n: bits of the integer */
};

/* ---- emission (simd.c) ---- */

/**
 * simd_begin - the checks of a vector instruction with fields size and Q.
 * @sizes: the element sizes that are allocated; 64-bit elements need Q as well
 * Returns false when the instruction is UNDEFINED or traps; that has been emitted.
 */
bool simd_begin(A64Trans *t, unsigned size, unsigned Q, unsigned sizes);

/* The same for scalar forms and for widening and narrowing ones, where no size needs Q. */
bool simd_begin_any(A64Trans *t, unsigned size, unsigned sizes);

/* simd_call - as ir_call(); not inline where FPCR asks for what inline operations do not do. */
IrRef simd_call(A64Trans *t, const IrHelper *h, IrRef a, IrRef b, IrRef c, uint64_t imm);

/* V64 or V128. */
static inline IrType simd_type(unsigned Q) { return Q ? IR_V128 : IR_V64; }

/* Vd = @h(Vn), (Vn, Vm) or (Vn, Vm, Vd), by the number of its arguments. */
void simd_emit(A64Trans *t, const A64Fields *f, const IrHelper *h, SimdShape shape);

/* With another second operand: (Vn, @m) or (Vn, @m, Vd). */
void simd_emit_m(A64Trans *t, const A64Fields *f, const IrHelper *h, SimdShape shape, IrRef m);

/* Narrowing and accumulating forms with one source: @h(Vn, Vd). */
void simd_emit_nd(A64Trans *t, const A64Fields *f, const IrHelper *h, SimdShape shape);

/* Vd = Vn op Vm and op Vn as an IR operation on lanes of 8 << @size bits. */
void simd_op2(A64Trans *t, const A64Fields *f, IrOp op, IrType ty, unsigned size);
void simd_op1(A64Trans *t, const A64Fields *f, IrOp op, IrType ty, unsigned size);

/* The low half of @narrow into Vd, or with Q into its high half with the low one kept. */
void simd_set_half(A64Trans *t, unsigned Rd, unsigned Q, IrRef narrow);

/* Complex numbers are pairs of a real (even lane) and an imaginary part. Those of @m times i to the power of @turns,
 * below 4; FCMLA by the field rot, of lanes of the field size. */
IrRef simd_rotate_complex(A64Trans *t, IrRef m, unsigned size, unsigned turns);
void  simd_multiply_complex(A64Trans *t, const A64Fields *f, IrRef m);

/* All lanes of a V128: lane @index of Vm. */
IrRef simd_dup_lane(A64Trans *t, unsigned Rm, unsigned size, unsigned index);

#endif
