/*
 * SSE to SSE4.2, and what came later with the same or the VEX encoding, by name: X86_PADDB and so on, for the functions
 * of asm.h. Opcodes are those of the Intel SDM, volume 2; names are the manual's. AVX forms of SSE instructions have no
 * name of their own: the functions use them where the host has AVX. Names that begin with V need the extension of the
 * host that they belong to (AVX2, FMA, F16C), as AES, PCLMULQDQ and SHA do theirs.
 *
 * What is not in the table: moves (asm_movx and its neighbours), shifts by an immediate (at the end).
 */
#ifndef BAILEY_CPU_JIT_ASM_SSE_H
#define BAILEY_CPU_JIT_ASM_SSE_H

#include "cpu/jit/asm.h"

/* Which functions take it, and what their operands are. */
typedef enum SseForm {
    SSE_1,      /* asm_sse1, asm_sse1_m */
    SSE_1I,     /* asm_sse1_i, asm_sse1_mi */
    SSE_1M,     /* asm_sse1_m only: stores its register */
    SSE_2,      /* asm_sse2, asm_sse2_m */
    SSE_2I,     /* asm_sse2_i, asm_sse2_mi */
    SSE_2R,     /* asm_sse2 only */
    SSE_2M,     /* asm_sse2_m only */
    SSE_BLENDV, /* asm_blendv */
    SSE_FMA,    /* asm_fma, asm_fma_m */
    SSE_GX,     /* asm_sse_gx: reg is the general register, the destination */
    SSE_XG,     /* asm_sse_gx: reg is the XMM register, the destination */
    SSE_XG_I,   /* asm_sse_gx_i, asm_sse1_mi: reg is the XMM register, whichever way it goes */
    SSE_XX_I,   /* asm_sse_gx_i: reg is the source, rm the destination, both XMM registers */
} SseForm;

/* X(name, prefix, map, opcode, w, form, flags) */
#define X86_SSE_TABLE(X) \
    /* Integers: addition, multiplication */                                                            \
    X(PADDB,           0x66, 1, 0xfc, 0, SSE_2,      X86_COMMUTES)                                      \
    X(PADDW,           0x66, 1, 0xfd, 0, SSE_2,      X86_COMMUTES)                                      \
    X(PADDD,           0x66, 1, 0xfe, 0, SSE_2,      X86_COMMUTES)                                      \
    X(PADDQ,           0x66, 1, 0xd4, 0, SSE_2,      X86_COMMUTES)                                      \
    X(PADDSB,          0x66, 1, 0xec, 0, SSE_2,      X86_COMMUTES)                                      \
    X(PADDSW,          0x66, 1, 0xed, 0, SSE_2,      X86_COMMUTES)                                      \
    X(PADDUSB,         0x66, 1, 0xdc, 0, SSE_2,      X86_COMMUTES)                                      \
    X(PADDUSW,         0x66, 1, 0xdd, 0, SSE_2,      X86_COMMUTES)                                      \
    X(PSUBB,           0x66, 1, 0xf8, 0, SSE_2,      0)                                                 \
    X(PSUBW,           0x66, 1, 0xf9, 0, SSE_2,      0)                                                 \
    X(PSUBD,           0x66, 1, 0xfa, 0, SSE_2,      0)                                                 \
    X(PSUBQ,           0x66, 1, 0xfb, 0, SSE_2,      0)                                                 \
    X(PSUBSB,          0x66, 1, 0xe8, 0, SSE_2,      0)                                                 \
    X(PSUBSW,          0x66, 1, 0xe9, 0, SSE_2,      0)                                                 \
    X(PSUBUSB,         0x66, 1, 0xd8, 0, SSE_2,      0)                                                 \
    X(PSUBUSW,         0x66, 1, 0xd9, 0, SSE_2,      0)                                                 \
    X(PMULLW,          0x66, 1, 0xd5, 0, SSE_2,      X86_COMMUTES)                                      \
    X(PMULHW,          0x66, 1, 0xe5, 0, SSE_2,      X86_COMMUTES)                                      \
    X(PMULHUW,         0x66, 1, 0xe4, 0, SSE_2,      X86_COMMUTES)                                      \
    X(PMULUDQ,         0x66, 1, 0xf4, 0, SSE_2,      X86_COMMUTES)                                      \
    X(PMADDWD,         0x66, 1, 0xf5, 0, SSE_2,      X86_COMMUTES)                                      \
    X(PMULLD,          0x66, 2, 0x40, 0, SSE_2,      X86_COMMUTES)                                      \
    X(PMULDQ,          0x66, 2, 0x28, 0, SSE_2,      X86_COMMUTES)                                      \
    X(PMULHRSW,        0x66, 2, 0x0b, 0, SSE_2,      X86_COMMUTES)                                      \
    X(PMADDUBSW,       0x66, 2, 0x04, 0, SSE_2,      0)                                                 \
    X(PHADDW,          0x66, 2, 0x01, 0, SSE_2,      0)                                                 \
    X(PHADDD,          0x66, 2, 0x02, 0, SSE_2,      0)                                                 \
    X(PHADDSW,         0x66, 2, 0x03, 0, SSE_2,      0)                                                 \
    X(PHSUBW,          0x66, 2, 0x05, 0, SSE_2,      0)                                                 \
    X(PHSUBD,          0x66, 2, 0x06, 0, SSE_2,      0)                                                 \
    X(PHSUBSW,         0x66, 2, 0x07, 0, SSE_2,      0)                                                 \
    X(PSIGNB,          0x66, 2, 0x08, 0, SSE_2,      0)                                                 \
    X(PSIGNW,          0x66, 2, 0x09, 0, SSE_2,      0)                                                 \
    X(PSIGND,          0x66, 2, 0x0a, 0, SSE_2,      0)                                                 \
    X(PAVGB,           0x66, 1, 0xe0, 0, SSE_2,      X86_COMMUTES)                                      \
    X(PAVGW,           0x66, 1, 0xe3, 0, SSE_2,      X86_COMMUTES)                                      \
    X(PSADBW,          0x66, 1, 0xf6, 0, SSE_2,      X86_COMMUTES)                                      \
    X(PABSB,           0x66, 2, 0x1c, 0, SSE_1,      0)                                                 \
    X(PABSW,           0x66, 2, 0x1d, 0, SSE_1,      0)                                                 \
    X(PABSD,           0x66, 2, 0x1e, 0, SSE_1,      0)                                                 \
    X(PHMINPOSUW,      0x66, 2, 0x41, 0, SSE_1,      0)                                                 \
    /* Comparison, minimum, maximum */                                                                  \
    X(PCMPEQB,         0x66, 1, 0x74, 0, SSE_2,      X86_COMMUTES)                                      \
    X(PCMPEQW,         0x66, 1, 0x75, 0, SSE_2,      X86_COMMUTES)                                      \
    X(PCMPEQD,         0x66, 1, 0x76, 0, SSE_2,      X86_COMMUTES)                                      \
    X(PCMPEQQ,         0x66, 2, 0x29, 0, SSE_2,      X86_COMMUTES)                                      \
    X(PCMPGTB,         0x66, 1, 0x64, 0, SSE_2,      0)                                                 \
    X(PCMPGTW,         0x66, 1, 0x65, 0, SSE_2,      0)                                                 \
    X(PCMPGTD,         0x66, 1, 0x66, 0, SSE_2,      0)                                                 \
    X(PCMPGTQ,         0x66, 2, 0x37, 0, SSE_2,      0)                                                 \
    X(PMINUB,          0x66, 1, 0xda, 0, SSE_2,      X86_COMMUTES)                                      \
    X(PMINSW,          0x66, 1, 0xea, 0, SSE_2,      X86_COMMUTES)                                      \
    X(PMAXUB,          0x66, 1, 0xde, 0, SSE_2,      X86_COMMUTES)                                      \
    X(PMAXSW,          0x66, 1, 0xee, 0, SSE_2,      X86_COMMUTES)                                      \
    X(PMINSB,          0x66, 2, 0x38, 0, SSE_2,      X86_COMMUTES)                                      \
    X(PMINSD,          0x66, 2, 0x39, 0, SSE_2,      X86_COMMUTES)                                      \
    X(PMINUW,          0x66, 2, 0x3a, 0, SSE_2,      X86_COMMUTES)                                      \
    X(PMINUD,          0x66, 2, 0x3b, 0, SSE_2,      X86_COMMUTES)                                      \
    X(PMAXSB,          0x66, 2, 0x3c, 0, SSE_2,      X86_COMMUTES)                                      \
    X(PMAXSD,          0x66, 2, 0x3d, 0, SSE_2,      X86_COMMUTES)                                      \
    X(PMAXUW,          0x66, 2, 0x3e, 0, SSE_2,      X86_COMMUTES)                                      \
    X(PMAXUD,          0x66, 2, 0x3f, 0, SSE_2,      X86_COMMUTES)                                      \
    X(PTEST,           0x66, 2, 0x17, 0, SSE_1,      0)                                                 \
    /* Logic */                                                                                         \
    X(PAND,            0x66, 1, 0xdb, 0, SSE_2,      X86_COMMUTES)                                      \
    X(POR,             0x66, 1, 0xeb, 0, SSE_2,      X86_COMMUTES)                                      \
    X(PXOR,            0x66, 1, 0xef, 0, SSE_2,      X86_COMMUTES)                                      \
    X(PANDN,           0x66, 1, 0xdf, 0, SSE_2,      0)                                                 \
    /* Shifts by the low 64 bits of the second source; VPS..V (AVX2): each element by its own count */  \
    X(PSLLW,           0x66, 1, 0xf1, 0, SSE_2,      0)                                                 \
    X(PSLLD,           0x66, 1, 0xf2, 0, SSE_2,      0)                                                 \
    X(PSLLQ,           0x66, 1, 0xf3, 0, SSE_2,      0)                                                 \
    X(PSRLW,           0x66, 1, 0xd1, 0, SSE_2,      0)                                                 \
    X(PSRLD,           0x66, 1, 0xd2, 0, SSE_2,      0)                                                 \
    X(PSRLQ,           0x66, 1, 0xd3, 0, SSE_2,      0)                                                 \
    X(PSRAW,           0x66, 1, 0xe1, 0, SSE_2,      0)                                                 \
    X(PSRAD,           0x66, 1, 0xe2, 0, SSE_2,      0)                                                 \
    X(VPSLLVD,         0x66, 2, 0x47, 0, SSE_2,      X86_ONLY_VEX)                                      \
    X(VPSRLVD,         0x66, 2, 0x45, 0, SSE_2,      X86_ONLY_VEX)                                      \
    X(VPSRAVD,         0x66, 2, 0x46, 0, SSE_2,      X86_ONLY_VEX)                                      \
    X(VPSLLVQ,         0x66, 2, 0x47, 1, SSE_2,      X86_ONLY_VEX)                                      \
    X(VPSRLVQ,         0x66, 2, 0x45, 1, SSE_2,      X86_ONLY_VEX)                                      \
    /* Moving elements about */                                                                         \
    X(PSHUFB,          0x66, 2, 0x00, 0, SSE_2,      0)                                                 \
    X(PSHUFD,          0x66, 1, 0x70, 0, SSE_1I,     0)                                                 \
    X(PSHUFHW,         0xf3, 1, 0x70, 0, SSE_1I,     0)                                                 \
    X(PSHUFLW,         0xf2, 1, 0x70, 0, SSE_1I,     0)                                                 \
    X(PALIGNR,         0x66, 3, 0x0f, 0, SSE_2I,     0)                                                 \
    X(PBLENDW,         0x66, 3, 0x0e, 0, SSE_2I,     0)                                                 \
    X(BLENDPS,         0x66, 3, 0x0c, 0, SSE_2I,     0)                                                 \
    X(BLENDPD,         0x66, 3, 0x0d, 0, SSE_2I,     0)                                                 \
    X(INSERTPS,        0x66, 3, 0x21, 0, SSE_2I,     0)                                                 \
    X(MPSADBW,         0x66, 3, 0x42, 0, SSE_2I,     0)                                                 \
    X(VPBLENDD,        0x66, 3, 0x02, 0, SSE_2I,     X86_ONLY_VEX)                                      \
    X(PBLENDVB,        0x66, 2, 0x10, 0, SSE_BLENDV, 0)                                                 \
    X(BLENDVPS,        0x66, 2, 0x14, 0, SSE_BLENDV, 0)                                                 \
    X(BLENDVPD,        0x66, 2, 0x15, 0, SSE_BLENDV, 0)                                                 \
    X(PUNPCKLBW,       0x66, 1, 0x60, 0, SSE_2,      0)                                                 \
    X(PUNPCKLWD,       0x66, 1, 0x61, 0, SSE_2,      0)                                                 \
    X(PUNPCKLDQ,       0x66, 1, 0x62, 0, SSE_2,      0)                                                 \
    X(PUNPCKLQDQ,      0x66, 1, 0x6c, 0, SSE_2,      0)                                                 \
    X(PUNPCKHBW,       0x66, 1, 0x68, 0, SSE_2,      0)                                                 \
    X(PUNPCKHWD,       0x66, 1, 0x69, 0, SSE_2,      0)                                                 \
    X(PUNPCKHDQ,       0x66, 1, 0x6a, 0, SSE_2,      0)                                                 \
    X(PUNPCKHQDQ,      0x66, 1, 0x6d, 0, SSE_2,      0)                                                 \
    X(PACKSSWB,        0x66, 1, 0x63, 0, SSE_2,      0)                                                 \
    X(PACKSSDW,        0x66, 1, 0x6b, 0, SSE_2,      0)                                                 \
    X(PACKUSWB,        0x66, 1, 0x67, 0, SSE_2,      0)                                                 \
    X(PACKUSDW,        0x66, 2, 0x2b, 0, SSE_2,      0)                                                 \
    X(PMOVSXBW,        0x66, 2, 0x20, 0, SSE_1,      0)                                                 \
    X(PMOVSXBD,        0x66, 2, 0x21, 0, SSE_1,      0)                                                 \
    X(PMOVSXBQ,        0x66, 2, 0x22, 0, SSE_1,      0)                                                 \
    X(PMOVSXWD,        0x66, 2, 0x23, 0, SSE_1,      0)                                                 \
    X(PMOVSXWQ,        0x66, 2, 0x24, 0, SSE_1,      0)                                                 \
    X(PMOVSXDQ,        0x66, 2, 0x25, 0, SSE_1,      0)                                                 \
    X(PMOVZXBW,        0x66, 2, 0x30, 0, SSE_1,      0)                                                 \
    X(PMOVZXBD,        0x66, 2, 0x31, 0, SSE_1,      0)                                                 \
    X(PMOVZXBQ,        0x66, 2, 0x32, 0, SSE_1,      0)                                                 \
    X(PMOVZXWD,        0x66, 2, 0x33, 0, SSE_1,      0)                                                 \
    X(PMOVZXWQ,        0x66, 2, 0x34, 0, SSE_1,      0)                                                 \
    X(PMOVZXDQ,        0x66, 2, 0x35, 0, SSE_1,      0)                                                 \
    X(VPBROADCASTB,    0x66, 2, 0x78, 0, SSE_1,      X86_ONLY_VEX)                                      \
    X(VPBROADCASTW,    0x66, 2, 0x79, 0, SSE_1,      X86_ONLY_VEX)                                      \
    X(VPBROADCASTD,    0x66, 2, 0x58, 0, SSE_1,      X86_ONLY_VEX)                                      \
    X(VPBROADCASTQ,    0x66, 2, 0x59, 0, SSE_1,      X86_ONLY_VEX)                                      \
    X(SHUFPS,          0x00, 1, 0xc6, 0, SSE_2I,     0)                                                 \
    X(SHUFPD,          0x66, 1, 0xc6, 0, SSE_2I,     0)                                                 \
    X(UNPCKLPS,        0x00, 1, 0x14, 0, SSE_2,      0)                                                 \
    X(UNPCKHPS,        0x00, 1, 0x15, 0, SSE_2,      0)                                                 \
    X(UNPCKLPD,        0x66, 1, 0x14, 0, SSE_2,      0)                                                 \
    X(UNPCKHPD,        0x66, 1, 0x15, 0, SSE_2,      0)                                                 \
    X(MOVHLPS,         0x00, 1, 0x12, 0, SSE_2R,     0)                                                 \
    X(MOVLHPS,         0x00, 1, 0x16, 0, SSE_2R,     0)                                                 \
    X(MOVSS,           0xf3, 1, 0x10, 0, SSE_2R,     0)                                                 \
    X(MOVSD,           0xf2, 1, 0x10, 0, SSE_2R,     0)                                                 \
    X(MOVLPS,          0x00, 1, 0x12, 0, SSE_2M,     0)                                                 \
    X(MOVHPS,          0x00, 1, 0x16, 0, SSE_2M,     0)                                                 \
    X(MOVLPS_STORE,    0x00, 1, 0x13, 0, SSE_1M,     0)                                                 \
    X(MOVHPS_STORE,    0x00, 1, 0x17, 0, SSE_1M,     0)                                                 \
    X(MOVDDUP,         0xf2, 1, 0x12, 0, SSE_1,      0)                                                 \
    X(MOVSLDUP,        0xf3, 1, 0x12, 0, SSE_1,      0)                                                 \
    X(MOVSHDUP,        0xf3, 1, 0x16, 0, SSE_1,      0)                                                 \
    /* To and from general registers (or memory, where an element moves) */                             \
    X(PINSRB,          0x66, 3, 0x20, 0, SSE_XG_I,   X86_MERGES)                                        \
    X(PINSRD,          0x66, 3, 0x22, 0, SSE_XG_I,   X86_MERGES)                                        \
    X(PINSRQ,          0x66, 3, 0x22, 1, SSE_XG_I,   X86_MERGES)                                        \
    X(PINSRW,          0x66, 1, 0xc4, 0, SSE_XG_I,   X86_MERGES)                                        \
    X(PEXTRB,          0x66, 3, 0x14, 0, SSE_XG_I,   0)                                                 \
    X(PEXTRW,          0x66, 3, 0x15, 0, SSE_XG_I,   0)                                                 \
    X(PEXTRD,          0x66, 3, 0x16, 0, SSE_XG_I,   0)                                                 \
    X(PEXTRQ,          0x66, 3, 0x16, 1, SSE_XG_I,   0)                                                 \
    X(EXTRACTPS,       0x66, 3, 0x17, 0, SSE_XG_I,   0)                                                 \
    X(PMOVMSKB,        0x66, 1, 0xd7, 0, SSE_GX,     0)                                                 \
    X(MOVMSKPD,        0x66, 1, 0x50, 0, SSE_GX,     0)                                                 \
    X(MOVMSKPS,        0x00, 1, 0x50, 0, SSE_GX,     0)                                                 \
    /* Floating point: arithmetic. Not X86_COMMUTES: of two NaNs the first wins */                      \
    X(ADDSS,           0xf3, 1, 0x58, 0, SSE_2,      0)                                                 \
    X(ADDSD,           0xf2, 1, 0x58, 0, SSE_2,      0)                                                 \
    X(ADDPS,           0x00, 1, 0x58, 0, SSE_2,      0)                                                 \
    X(ADDPD,           0x66, 1, 0x58, 0, SSE_2,      0)                                                 \
    X(SUBSS,           0xf3, 1, 0x5c, 0, SSE_2,      0)                                                 \
    X(SUBSD,           0xf2, 1, 0x5c, 0, SSE_2,      0)                                                 \
    X(SUBPS,           0x00, 1, 0x5c, 0, SSE_2,      0)                                                 \
    X(SUBPD,           0x66, 1, 0x5c, 0, SSE_2,      0)                                                 \
    X(MULSS,           0xf3, 1, 0x59, 0, SSE_2,      0)                                                 \
    X(MULSD,           0xf2, 1, 0x59, 0, SSE_2,      0)                                                 \
    X(MULPS,           0x00, 1, 0x59, 0, SSE_2,      0)                                                 \
    X(MULPD,           0x66, 1, 0x59, 0, SSE_2,      0)                                                 \
    X(DIVSS,           0xf3, 1, 0x5e, 0, SSE_2,      0)                                                 \
    X(DIVSD,           0xf2, 1, 0x5e, 0, SSE_2,      0)                                                 \
    X(DIVPS,           0x00, 1, 0x5e, 0, SSE_2,      0)                                                 \
    X(DIVPD,           0x66, 1, 0x5e, 0, SSE_2,      0)                                                 \
    X(MINSS,           0xf3, 1, 0x5d, 0, SSE_2,      0)                                                 \
    X(MINSD,           0xf2, 1, 0x5d, 0, SSE_2,      0)                                                 \
    X(MINPS,           0x00, 1, 0x5d, 0, SSE_2,      0)                                                 \
    X(MINPD,           0x66, 1, 0x5d, 0, SSE_2,      0)                                                 \
    X(MAXSS,           0xf3, 1, 0x5f, 0, SSE_2,      0)                                                 \
    X(MAXSD,           0xf2, 1, 0x5f, 0, SSE_2,      0)                                                 \
    X(MAXPS,           0x00, 1, 0x5f, 0, SSE_2,      0)                                                 \
    X(MAXPD,           0x66, 1, 0x5f, 0, SSE_2,      0)                                                 \
    X(SQRTSS,          0xf3, 1, 0x51, 0, SSE_1,      X86_MERGES)                                        \
    X(SQRTSD,          0xf2, 1, 0x51, 0, SSE_1,      X86_MERGES)                                        \
    X(SQRTPS,          0x00, 1, 0x51, 0, SSE_1,      0)                                                 \
    X(SQRTPD,          0x66, 1, 0x51, 0, SSE_1,      0)                                                 \
    X(HADDPS,          0xf2, 1, 0x7c, 0, SSE_2,      0)                                                 \
    X(HADDPD,          0x66, 1, 0x7c, 0, SSE_2,      0)                                                 \
    X(HSUBPS,          0xf2, 1, 0x7d, 0, SSE_2,      0)                                                 \
    X(HSUBPD,          0x66, 1, 0x7d, 0, SSE_2,      0)                                                 \
    X(ADDSUBPS,        0xf2, 1, 0xd0, 0, SSE_2,      0)                                                 \
    X(ADDSUBPD,        0x66, 1, 0xd0, 0, SSE_2,      0)                                                 \
    X(ANDPS,           0x00, 1, 0x54, 0, SSE_2,      X86_COMMUTES)                                      \
    X(ANDPD,           0x66, 1, 0x54, 0, SSE_2,      X86_COMMUTES)                                      \
    X(ANDNPS,          0x00, 1, 0x55, 0, SSE_2,      0)                                                 \
    X(ANDNPD,          0x66, 1, 0x55, 0, SSE_2,      0)                                                 \
    X(ORPS,            0x00, 1, 0x56, 0, SSE_2,      X86_COMMUTES)                                      \
    X(ORPD,            0x66, 1, 0x56, 0, SSE_2,      X86_COMMUTES)                                      \
    X(XORPS,           0x00, 1, 0x57, 0, SSE_2,      X86_COMMUTES)                                      \
    X(XORPD,           0x66, 1, 0x57, 0, SSE_2,      X86_COMMUTES)                                      \
    /* Floating point: comparison, rounding */                                                          \
    X(UCOMISS,         0x00, 1, 0x2e, 0, SSE_1,      0)                                                 \
    X(UCOMISD,         0x66, 1, 0x2e, 0, SSE_1,      0)                                                 \
    X(COMISS,          0x00, 1, 0x2f, 0, SSE_1,      0)                                                 \
    X(COMISD,          0x66, 1, 0x2f, 0, SSE_1,      0)                                                 \
    X(CMPSS,           0xf3, 1, 0xc2, 0, SSE_2I,     0)                                                 \
    X(CMPSD,           0xf2, 1, 0xc2, 0, SSE_2I,     0)                                                 \
    X(CMPPS,           0x00, 1, 0xc2, 0, SSE_2I,     0)                                                 \
    X(CMPPD,           0x66, 1, 0xc2, 0, SSE_2I,     0)                                                 \
    X(ROUNDSS,         0x66, 3, 0x0a, 0, SSE_1I,     X86_MERGES)                                        \
    X(ROUNDSD,         0x66, 3, 0x0b, 0, SSE_1I,     X86_MERGES)                                        \
    X(ROUNDPS,         0x66, 3, 0x08, 0, SSE_1I,     0)                                                 \
    X(ROUNDPD,         0x66, 3, 0x09, 0, SSE_1I,     0)                                                 \
    /* Conversions. ..._Q: with a 64-bit general register */                                            \
    X(CVTSS2SD,        0xf3, 1, 0x5a, 0, SSE_1,      X86_MERGES)                                        \
    X(CVTSD2SS,        0xf2, 1, 0x5a, 0, SSE_1,      X86_MERGES)                                        \
    X(CVTPS2PD,        0x00, 1, 0x5a, 0, SSE_1,      0)                                                 \
    X(CVTPD2PS,        0x66, 1, 0x5a, 0, SSE_1,      0)                                                 \
    X(CVTDQ2PS,        0x00, 1, 0x5b, 0, SSE_1,      0)                                                 \
    X(CVTPS2DQ,        0x66, 1, 0x5b, 0, SSE_1,      0)                                                 \
    X(CVTTPS2DQ,       0xf3, 1, 0x5b, 0, SSE_1,      0)                                                 \
    X(CVTDQ2PD,        0xf3, 1, 0xe6, 0, SSE_1,      0)                                                 \
    X(CVTPD2DQ,        0xf2, 1, 0xe6, 0, SSE_1,      0)                                                 \
    X(CVTTPD2DQ,       0x66, 1, 0xe6, 0, SSE_1,      0)                                                 \
    X(CVTSI2SS,        0xf3, 1, 0x2a, 0, SSE_XG,     X86_MERGES)                                        \
    X(CVTSI2SS_Q,      0xf3, 1, 0x2a, 1, SSE_XG,     X86_MERGES)                                        \
    X(CVTSI2SD,        0xf2, 1, 0x2a, 0, SSE_XG,     X86_MERGES)                                        \
    X(CVTSI2SD_Q,      0xf2, 1, 0x2a, 1, SSE_XG,     X86_MERGES)                                        \
    X(CVTTSS2SI,       0xf3, 1, 0x2c, 0, SSE_GX,     0)                                                 \
    X(CVTTSS2SI_Q,     0xf3, 1, 0x2c, 1, SSE_GX,     0)                                                 \
    X(CVTTSD2SI,       0xf2, 1, 0x2c, 0, SSE_GX,     0)                                                 \
    X(CVTTSD2SI_Q,     0xf2, 1, 0x2c, 1, SSE_GX,     0)                                                 \
    X(CVTSS2SI,        0xf3, 1, 0x2d, 0, SSE_GX,     0)                                                 \
    X(CVTSS2SI_Q,      0xf3, 1, 0x2d, 1, SSE_GX,     0)                                                 \
    X(CVTSD2SI,        0xf2, 1, 0x2d, 0, SSE_GX,     0)                                                 \
    X(CVTSD2SI_Q,      0xf2, 1, 0x2d, 1, SSE_GX,     0)                                                 \
    X(VCVTPH2PS,       0x66, 2, 0x13, 0, SSE_1,      X86_ONLY_VEX)                                      \
    X(VCVTPS2PH,       0x66, 3, 0x1d, 0, SSE_XX_I,   X86_ONLY_VEX)                                      \
    /* FMA: VFMADD x * y + d, VFMSUB x * y - d, VFN...: the product negated */                          \
    X(VFMADD231SS,     0x66, 2, 0xb9, 0, SSE_FMA,    X86_ONLY_VEX)                                      \
    X(VFMADD231SD,     0x66, 2, 0xb9, 1, SSE_FMA,    X86_ONLY_VEX)                                      \
    X(VFMADD231PS,     0x66, 2, 0xb8, 0, SSE_FMA,    X86_ONLY_VEX)                                      \
    X(VFMADD231PD,     0x66, 2, 0xb8, 1, SSE_FMA,    X86_ONLY_VEX)                                      \
    X(VFMSUB231SS,     0x66, 2, 0xbb, 0, SSE_FMA,    X86_ONLY_VEX)                                      \
    X(VFMSUB231SD,     0x66, 2, 0xbb, 1, SSE_FMA,    X86_ONLY_VEX)                                      \
    X(VFMSUB231PS,     0x66, 2, 0xba, 0, SSE_FMA,    X86_ONLY_VEX)                                      \
    X(VFMSUB231PD,     0x66, 2, 0xba, 1, SSE_FMA,    X86_ONLY_VEX)                                      \
    X(VFNMADD231SS,    0x66, 2, 0xbd, 0, SSE_FMA,    X86_ONLY_VEX)                                      \
    X(VFNMADD231SD,    0x66, 2, 0xbd, 1, SSE_FMA,    X86_ONLY_VEX)                                      \
    X(VFNMADD231PS,    0x66, 2, 0xbc, 0, SSE_FMA,    X86_ONLY_VEX)                                      \
    X(VFNMADD231PD,    0x66, 2, 0xbc, 1, SSE_FMA,    X86_ONLY_VEX)                                      \
    X(VFNMSUB231SS,    0x66, 2, 0xbf, 0, SSE_FMA,    X86_ONLY_VEX)                                      \
    X(VFNMSUB231SD,    0x66, 2, 0xbf, 1, SSE_FMA,    X86_ONLY_VEX)                                      \
    X(VFNMSUB231PS,    0x66, 2, 0xbe, 0, SSE_FMA,    X86_ONLY_VEX)                                      \
    X(VFNMSUB231PD,    0x66, 2, 0xbe, 1, SSE_FMA,    X86_ONLY_VEX)                                      \
    /* Cryptography. SHA256RNDS2 also takes XMM0 */                                                     \
    X(AESENC,          0x66, 2, 0xdc, 0, SSE_2,      0)                                                 \
    X(AESENCLAST,      0x66, 2, 0xdd, 0, SSE_2,      0)                                                 \
    X(AESDEC,          0x66, 2, 0xde, 0, SSE_2,      0)                                                 \
    X(AESDECLAST,      0x66, 2, 0xdf, 0, SSE_2,      0)                                                 \
    X(AESIMC,          0x66, 2, 0xdb, 0, SSE_1,      0)                                                 \
    X(AESKEYGENASSIST, 0x66, 3, 0xdf, 0, SSE_1I,     0)                                                 \
    X(PCLMULQDQ,       0x66, 3, 0x44, 0, SSE_2I,     0)                                                 \
    X(SHA1NEXTE,       0x00, 2, 0xc8, 0, SSE_2,      X86_ONLY_LEGACY)                                   \
    X(SHA1MSG1,        0x00, 2, 0xc9, 0, SSE_2,      X86_ONLY_LEGACY)                                   \
    X(SHA1MSG2,        0x00, 2, 0xca, 0, SSE_2,      X86_ONLY_LEGACY)                                   \
    X(SHA256RNDS2,     0x00, 2, 0xcb, 0, SSE_2,      X86_ONLY_LEGACY)                                   \
    X(SHA256MSG1,      0x00, 2, 0xcc, 0, SSE_2,      X86_ONLY_LEGACY)                                   \
    X(SHA256MSG2,      0x00, 2, 0xcd, 0, SSE_2,      X86_ONLY_LEGACY)                                   \
    X(SHA1RNDS4,       0x00, 3, 0xcc, 0, SSE_2I,     X86_ONLY_LEGACY)

#define X(name, prefix, map, op, w, form, flags) static const X86Sse X86_##name = { prefix, map, op, w, flags };
X86_SSE_TABLE(X)
#undef X

/* Shifts by an immediate: the two arguments in the middle of asm_sse_shift_i(). ...DQ: by bytes. */
#define X86_PSRLW_I  0x71, 2
#define X86_PSRAW_I  0x71, 4
#define X86_PSLLW_I  0x71, 6
#define X86_PSRLD_I  0x72, 2
#define X86_PSRAD_I  0x72, 4
#define X86_PSLLD_I  0x72, 6
#define X86_PSRLQ_I  0x73, 2
#define X86_PSRLDQ_I 0x73, 3
#define X86_PSLLQ_I  0x73, 6
#define X86_PSLLDQ_I 0x73, 7

#endif
