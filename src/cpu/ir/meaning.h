/*
 * The functions that the meanings in ops.h name. Inline: the executor expands them at every operation.
 */
#ifndef BAILEY_IR_MEANING_H
#define BAILEY_IR_MEANING_H

#include "bits.h"
#include "cpu/ir/ir.h"

static inline uint64_t ir_mulhu(uint64_t a, uint64_t b, unsigned width)
{
    return (uint64_t)((unsigned __int128)a * b >> width);
}

static inline uint64_t ir_mulhs(int64_t sa, int64_t sb, unsigned width)
{
    return (uint64_t)((__int128)sa * sb >> width);
}

static inline uint64_t ir_sdiv(int64_t sa, int64_t sb)
{
    if (sb == 0) {
        return 0;
    }
    return sb == -1 ? 0 - (uint64_t)sa : (uint64_t)(sa / sb);
}

static inline uint64_t ir_clz(uint64_t a, unsigned width)
{
    return a == 0 ? width : (unsigned)__builtin_clzll(a) - (64 - width);
}

/* Copies of the sign bit below the sign bit. */
static inline uint64_t ir_cls(int64_t sa, unsigned width)
{
    return ir_clz((uint64_t)(sa ^ sa >> 63), 64) - (64 - width) - 1;
}

static inline uint64_t ir_ctz(uint64_t a, unsigned width)
{
    return a == 0 ? width : (unsigned)__builtin_ctzll(a);
}

static inline uint64_t ir_bswap(uint64_t a, unsigned width)
{
    return __builtin_bswap64(a) >> (64 - width);
}

static inline uint64_t ir_rbit(uint64_t a, unsigned width)
{
    a = (a >> 1 & 0x5555555555555555ull) | (a & 0x5555555555555555ull) << 1;
    a = (a >> 2 & 0x3333333333333333ull) | (a & 0x3333333333333333ull) << 2;
    a = (a >> 4 & 0x0f0f0f0f0f0f0f0full) | (a & 0x0f0f0f0f0f0f0f0full) << 4;
    return ir_bswap(a, width);
}

static inline uint64_t ir_rev16(uint64_t a)
{
    return (a >> 8 & 0x00ff00ff00ff00ffull) | (a & 0x00ff00ff00ff00ffull) << 8;
}

static inline uint64_t ir_rev32(uint64_t a)
{
    a = ir_rev16(a);
    return (a >> 16 & 0x0000ffff0000ffffull) | (a & 0x0000ffff0000ffffull) << 16;
}

static inline uint64_t ir_extr(uint64_t a, uint64_t b, uint64_t imm, unsigned width)
{
    return imm == 0 ? b : b >> imm | a << (width - imm);
}

/* @v of @width bits: N and Z. */
static inline uint32_t ir_pack_nz(uint64_t v, unsigned width)
{
    return (uint32_t)(v >> (width - 1) & 1) * IR_PACK_N | (v == 0 ? IR_PACK_Z : 0);
}

static inline uint32_t ir_pack_add(uint64_t a, uint64_t b, bool carry, unsigned width)
{
    uint64_t m = mask64(width), r = (a + b + carry) & m;
    bool     c = carry ? r <= (a & m) : r < (a & m);
    bool     v = ((a ^ r) & (b ^ r)) >> (width - 1) & 1;

    return ir_pack_nz(r, width) | c * IR_PACK_C | v * IR_PACK_V;
}

static inline uint32_t ir_pack_sub(uint64_t a, uint64_t b, bool carry, unsigned width)
{
    return ir_pack_add(a, ~b & mask64(width), carry, width);
}

/* The common case of a subtraction without borrow in. */
static inline uint32_t ir_pack_cmp(uint64_t a, uint64_t b, unsigned width)
{
    uint64_t r = (a - b) & mask64(width);
    bool     v = ((a ^ b) & (a ^ r)) >> (width - 1) & 1;

    return ir_pack_nz(r, width) | (a >= b) * IR_PACK_C | v * IR_PACK_V;
}

#endif
