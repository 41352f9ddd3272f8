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

/* Floating-point and saturating helpers read FPCR and write FPSR. */
enum { SIMD_PURE = IR_PURE, SIMD_FPSR = IR_READS | IR_WRITES };

#define SIMD_HELPER(name, args, effects)                                                                   \
    const IrHelper simd_##name = { #name, IR_V128, args, effects, true, .fn.vec = do_##name }

/*
 * Every helper that an instruction file names. Operands: (n), (n, m) or (n, m, d); those of narrowing take
 * (n, d) or (n, m, d) and keep the low half of d when Q is set.
 */
#define SIMD_HELPERS(X)                                                                                    \
    /* integers, lane by lane */                                                                           \
    X(shadd) X(uhadd) X(srhadd) X(urhadd) X(shsub) X(uhsub) X(sqadd) X(uqadd) X(sqsub) X(uqsub)            \
    X(sshl) X(ushl) X(srshl) X(urshl) X(sqshl) X(uqshl) X(sqrshl) X(uqrshl)                                \
    X(pmul) X(sqdmulh) X(sqrdmulh) X(sqrdmlah) X(sqrdmlsh) X(suqadd) X(usqadd) X(sqabs) X(sqneg)           \
    X(cls) X(clz) X(cnt) X(rbit) X(rev) X(urecpe) X(ursqrte)                                               \
    X(srshr) X(urshr) X(sri) X(sli) X(sqshlu) X(sqshl_imm) X(uqshl_imm)                                    \
    /* wider results */                                                                                    \
    X(saddl) X(uaddl) X(saddw) X(uaddw) X(ssubl) X(usubl) X(ssubw) X(usubw) X(sabal) X(uabal)              \
    X(sabdl) X(uabdl) X(smlal) X(umlal) X(smlsl) X(umlsl) X(smull) X(umull) X(sqdmlal) X(sqdmlsl)          \
    X(sqdmull) X(pmull) X(pmull64) X(sshll) X(ushll) X(saddlp) X(uaddlp) X(sadalp) X(uadalp)               \
    /* narrower results */                                                                                 \
    X(addhn) X(raddhn) X(subhn) X(rsubhn) X(sqxtn) X(uqxtn) X(sqxtun) X(rshrn) X(sqshrn) X(uqshrn)         \
    X(sqshrun) X(sqrshrn) X(uqrshrn) X(sqrshrun)                                                           \
    /* across lanes, dot products, matrices */                                                             \
    X(saddlv) X(uaddlv) X(smaxv) X(umaxv) X(sminv) X(uminv) X(addv) X(sdot) X(udot) X(usdot) X(sudot)      \
    X(smmla) X(ummla) X(usmmla)                                                                            \
    /* tables and structures */                                                                            \
    X(tbl1) X(tbx1) X(tbl_regs) X(tbx_regs) X(gather3) X(scatter3)                                         \
    /* floating point */                                                                                   \
    X(fadd) X(fsub) X(fmul) X(fdiv) X(fmla) X(fmls) X(fmulx) X(fmax) X(fmin) X(fmaxnm) X(fminnm) X(fabd)   \
    X(frecps) X(frsqrts) X(fcmeq) X(fcmge) X(fcmgt) X(facge) X(facgt) X(fcmeq0) X(fcmge0) X(fcmgt0)        \
    X(fcmle0) X(fcmlt0) X(fsqrt) X(frecpe) X(frsqrte) X(frecpx) X(frint) X(frint_n) X(fcvt_int) X(cvtf)    \
    X(fcvtl) X(fcvtn) X(fcvtxn) X(fmaxv) X(fminv) X(fmaxnmv) X(fminnmv) X(fcmla) X(fcadd) X(fmlal)         \
    X(fnmul) X(fnmadd) X(fnmsub) X(fcvt)                                                                   \
    X(fadd_s) X(fsub_s) X(fmul_s) X(fdiv_s) X(fmla_s) X(fmls_s) X(fsqrt_s)                                 \
    X(fadd_d) X(fsub_d) X(fmul_d) X(fdiv_d) X(fmla_d) X(fmls_d) X(fsqrt_d)                                 \
    /* cryptography */                                                                                     \
    X(aese) X(aesd) X(aesmc) X(aesimc) X(sha1c) X(sha1p) X(sha1m) X(sha1h) X(sha1su0) X(sha1su1)           \
    X(sha256h) X(sha256h2) X(sha256su0) X(sha256su1) X(sha512h) X(sha512h2) X(sha512su0) X(sha512su1)

#define X(name) extern const IrHelper simd_##name;
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

/* Sets of element sizes. */
enum { SIMD_B = 1, SIMD_H = 2, SIMD_S = 4, SIMD_D = 8, SIMD_BHS = 7, SIMD_HS = 6, SIMD_ALL = 15 };

/**
 * simd_begin - the checks of a vector instruction with fields size and Q.
 * @sizes: the element sizes that are allocated; 64-bit elements need Q as well
 * Returns false when the instruction is UNDEFINED or traps; that has been emitted.
 */
bool simd_begin(A64Trans *t, unsigned size, unsigned Q, unsigned sizes);

/* The same for scalar forms and for widening and narrowing ones, where no size needs Q. */
bool simd_begin_any(A64Trans *t, unsigned size, unsigned sizes);

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

/* All lanes of a V128: lane @index of Vm. */
IrRef simd_dup_lane(A64Trans *t, unsigned Rm, unsigned size, unsigned index);

#endif
