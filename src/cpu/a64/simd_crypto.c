/*
 * Cryptographic instructions: AES, SHA-1, SHA-256, SHA-512 and SHA-3. Arm DDI 0487, "Cryptographic AES" to
 * "Cryptographic four-register". Carry-less products are with the three-different instructions. Left out:
 * SM3, SM4.
 */
#include <string.h>

#include "cpu/a64/simd.h"

/* ---- helpers: operands (n), (n, m) or (n, m, d) as everywhere; AESE and AESD take (n, d) ---- */

#define CRYPTO(name, args, expr)                                                                           \
    SIMD_FN(name)                                                                                          \
    {                                                                                                      \
        SIMD_OPERANDS_##args                                                                               \
        const Vec128 r = expr;                                                                             \
        memcpy(d, &r, sizeof(r));                                                                          \
    }                                                                                                      \
    SIMD_HELPER(name, args, SIMD_PURE);

#define A va.crypto
#define B vb.crypto
#define C vc.crypto

CRYPTO(aese, 2, crypto_aese(B, A))
CRYPTO(aesd, 2, crypto_aesd(B, A))
CRYPTO(aesmc, 1, crypto_aesmc(A))
CRYPTO(aesimc, 1, crypto_aesimc(A))
CRYPTO(sha1c, 3, crypto_sha1c(C, A.s[0], B))
CRYPTO(sha1p, 3, crypto_sha1p(C, A.s[0], B))
CRYPTO(sha1m, 3, crypto_sha1m(C, A.s[0], B))
CRYPTO(sha1h, 1, ((Vec128){ .s = { crypto_sha1h(A.s[0]) } }))
CRYPTO(sha1su0, 3, crypto_sha1su0(C, A, B))
CRYPTO(sha1su1, 2, crypto_sha1su1(B, A))
CRYPTO(sha256h, 3, crypto_sha256h(C, A, B))
CRYPTO(sha256h2, 3, crypto_sha256h2(C, A, B))
CRYPTO(sha256su0, 2, crypto_sha256su0(B, A))
CRYPTO(sha256su1, 3, crypto_sha256su1(C, A, B))
CRYPTO(sha512h, 3, crypto_sha512h(C, A, B))
CRYPTO(sha512h2, 3, crypto_sha512h2(C, A, B))
CRYPTO(sha512su0, 2, crypto_sha512su0(B, A))
CRYPTO(sha512su1, 3, crypto_sha512su1(C, A, B))

#undef A
#undef B
#undef C

/* ---- encodings ---- */

/* Vd = helper(Vn [, Vm] [, Vd]). */
#define THREE(feat, pattern, ident)                                                                        \
    A64_FEAT(feat, pattern, ident)                                                                         \
    {                                                                                                      \
        if (a64_fp_check(t)) {                                                                             \
            simd_emit(t, f, &simd_##ident, 0);                                                             \
        }                                                                                                  \
    }

/* Vd = helper(Vn, Vd). */
#define TWO(feat, pattern, ident)                                                                          \
    A64_FEAT(feat, pattern, ident)                                                                         \
    {                                                                                                      \
        if (a64_fp_check(t)) {                                                                             \
            simd_emit_nd(t, f, &simd_##ident, 0);                                                          \
        }                                                                                                  \
    }

/* "Cryptographic AES". */
TWO("FEAT_AES", "0100111000101000010010 Rn Rd", aese)
TWO("FEAT_AES", "0100111000101000010110 Rn Rd", aesd)
THREE("FEAT_AES", "0100111000101000011010 Rn Rd", aesmc)
THREE("FEAT_AES", "0100111000101000011110 Rn Rd", aesimc)

/* "Cryptographic three-register SHA". */
THREE("FEAT_SHA1", "01011110000 Rm 000000 Rn Rd", sha1c)
THREE("FEAT_SHA1", "01011110000 Rm 000100 Rn Rd", sha1p)
THREE("FEAT_SHA1", "01011110000 Rm 001000 Rn Rd", sha1m)
THREE("FEAT_SHA1", "01011110000 Rm 001100 Rn Rd", sha1su0)
THREE("FEAT_SHA256", "01011110000 Rm 010000 Rn Rd", sha256h)
THREE("FEAT_SHA256", "01011110000 Rm 010100 Rn Rd", sha256h2)
THREE("FEAT_SHA256", "01011110000 Rm 011000 Rn Rd", sha256su1)

/* "Cryptographic two-register SHA". */
THREE("FEAT_SHA1", "0101111000101000000010 Rn Rd", sha1h)
TWO("FEAT_SHA1", "0101111000101000000110 Rn Rd", sha1su1)
TWO("FEAT_SHA256", "0101111000101000001010 Rn Rd", sha256su0)

/* "Cryptographic three-register SHA 512" and "two-register". */
THREE("FEAT_SHA512", "11001110011 Rm 100000 Rn Rd", sha512h)
THREE("FEAT_SHA512", "11001110011 Rm 100001 Rn Rd", sha512h2)
THREE("FEAT_SHA512", "11001110011 Rm 100010 Rn Rd", sha512su1)
TWO("FEAT_SHA512", "1100111011000000100000 Rn Rd", sha512su0)

/* ---- SHA-3: plain logic ---- */

static IrRef op2(A64Trans *t, IrOp op, IrRef a, IrRef b)
{
    return ir_op2(t->ir, op, IR_V128, a, b);
}

/* Each 64-bit lane rotated left. */
static IrRef rotate_left(A64Trans *t, IrRef v, unsigned n)
{
    if (n == 0) {
        return v;
    }
    IrRef up = ir_opi(t->ir, IR_vshli, IR_V128, v, 0, n << 4 | 3);
    return op2(t, IR_vor, up, ir_opi(t->ir, IR_vshri, IR_V128, v, 0, (64 - n) << 4 | 3));
}

A64_FEAT("FEAT_SHA3", "11001110011 Rm 100011 Rn Rd", rax1)
{
    if (a64_fp_check(t)) {
        IrRef m = rotate_left(t, a64_v(t, IR_V128, f->Rm), 1);
        a64_set_v(t, IR_V128, f->Rd, op2(t, IR_vxor, a64_v(t, IR_V128, f->Rn), m));
    }
}

A64_FEAT("FEAT_SHA3", "11001110100 Rm imm6 Rn Rd", xar)
{
    if (a64_fp_check(t)) {
        IrRef v = op2(t, IR_vxor, a64_v(t, IR_V128, f->Rn), a64_v(t, IR_V128, f->Rm));
        a64_set_v(t, IR_V128, f->Rd, rotate_left(t, v, (64 - f->imm6) % 64));
    }
}

/* "Cryptographic four-register". */
A64_FEAT("FEAT_SHA3", "11001110000 Rm 0 Ra Rn Rd", eor3)
{
    if (a64_fp_check(t)) {
        IrRef v = op2(t, IR_vxor, a64_v(t, IR_V128, f->Rn), a64_v(t, IR_V128, f->Rm));
        a64_set_v(t, IR_V128, f->Rd, op2(t, IR_vxor, v, a64_v(t, IR_V128, f->Ra)));
    }
}

A64_FEAT("FEAT_SHA3", "11001110001 Rm 0 Ra Rn Rd", bcax)
{
    if (a64_fp_check(t)) {
        IrRef v = op2(t, IR_vandn, a64_v(t, IR_V128, f->Rm), a64_v(t, IR_V128, f->Ra));
        a64_set_v(t, IR_V128, f->Rd, op2(t, IR_vxor, a64_v(t, IR_V128, f->Rn), v));
    }
}
