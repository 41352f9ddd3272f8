/*
 * The parts that x86-64 instructions are put together from: prefixes, opcode, ModRM, SIB, displacement, immediate. Only
 * for asm.c and asm_sse.c. Intel SDM, volume 2, chapter "Instruction Format".
 *
 * An instruction is written at the pointer that enc_open() gives; each function returns the place after what it wrote.
 */
#ifndef BAILEY_CPU_JIT_ASM_ENC_H
#define BAILEY_CPU_JIT_ASM_ENC_H

#include <glib.h>
#include <string.h>

#include "cpu/jit/asm.h"

/* An opcode is its byte, with the map it is in and the mandatory prefix. */
#define MAP_0F   0x100u
#define MAP_0F38 0x200u
#define MAP_0F3A 0x300u
#define P_66     0x660000u
#define P_F2     0xf20000u
#define P_F3     0xf30000u

/* enc_open - a place for one instruction of at most 15 bytes; in the code itself unless that is about to end. */
static inline uint8_t *enc_open(Asm *a)
{
    return !a->full && (size_t)(a->end - a->p) >= sizeof(a->spill) ? a->p : a->spill;
}

/* enc_close - the instruction that ends at @p is complete. */
static inline void enc_close(Asm *a, uint8_t *p)
{
    size_t len = (size_t)(p - a->spill);

    if (p < a->spill || p > a->spill + sizeof(a->spill)) {
        a->p = p;
    } else if (!a->full && len <= (size_t)(a->end - a->p)) {
        memcpy(a->p, a->spill, len);
        a->p += len;
    } else {
        a->full = true;
    }
}

static inline uint8_t *enc_imm32(uint8_t *p, uint32_t v)
{
    memcpy(p, &v, 4); /* the host is little-endian */
    return p + 4;
}

static inline bool fits_i8(int64_t v)
{
    return v == (int8_t)v;
}

static inline bool fits_i32(int64_t v)
{
    return v == (int32_t)v;
}

/* SPL, BPL, SIL, DIL: without a REX prefix their numbers mean AH, CH, DH, BH. */
static inline bool byte_needs_rex(unsigned r)
{
    return r >= RSP && r <= RDI;
}

/* Prefixes and opcode. @index and @base as in REX.X and REX.B; @rex: a REX prefix even if it says nothing. */
static inline uint8_t *enc_op(uint8_t *p, uint32_t op, bool w, unsigned reg, unsigned index, unsigned base, bool rex)
{
    unsigned bits = (unsigned)w << 3 | (reg >> 3 & 1) << 2 | (index >> 3 & 1) << 1 | (base >> 3 & 1);

    if (op >> 16 != 0) {
        *p++ = (uint8_t)(op >> 16);
    }
    if (bits != 0 || rex) {
        *p++ = (uint8_t)(0x40 | bits);
    }
    if ((op & 0x300) != 0) {
        *p++ = 0x0f;
    }
    if ((op & 0x200) != 0) {
        *p++ = (op & 0x100) != 0 ? 0x3a : 0x38;
    }
    *p++ = (uint8_t)op;
    return p;
}

static inline uint8_t *enc_modrm_r(uint8_t *p, unsigned reg, unsigned rm)
{
    *p++ = (uint8_t)(0xc0 | (reg & 7) << 3 | (rm & 7));
    return p;
}

/* ModRM and SIB of an address without a base register: always with a 32-bit displacement. */
static inline uint8_t *enc_modrm_no_base(uint8_t *p, unsigned reg, X86Mem m)
{
    unsigned index = m.index == X86_NO_REG ? RSP : m.index; /* RSP's number: no index */

    *p++ = (uint8_t)((reg & 7) << 3 | 4);
    *p++ = (uint8_t)(m.scale << 6 | (index & 7) << 3 | 5);
    return enc_imm32(p, (uint32_t)m.disp);
}

/*
 * ModRM and what follows it for an operand in memory. Two numbers in the ModRM and SIB bytes have other meanings: RSP
 * and R12 as a base ask for a SIB byte, RBP and R13 without a displacement ask for another form.
 */
static inline uint8_t *enc_modrm_m(uint8_t *p, unsigned reg, X86Mem m)
{
    unsigned mod;

    g_assert(m.index != RSP);
    if (m.base == X86_NO_REG) {
        return enc_modrm_no_base(p, reg, m);
    }
    mod = m.disp == 0 && (m.base & 7) != RBP ? 0 : fits_i8(m.disp) ? 1 : 2;
    if (m.index != X86_NO_REG || (m.base & 7) == RSP) {
        unsigned index = m.index == X86_NO_REG ? RSP : m.index;

        *p++ = (uint8_t)(mod << 6 | (reg & 7) << 3 | 4);
        *p++ = (uint8_t)(m.scale << 6 | (index & 7) << 3 | (m.base & 7));
    } else {
        *p++ = (uint8_t)(mod << 6 | (reg & 7) << 3 | (m.base & 7));
    }
    if (mod == 1) {
        *p++ = (uint8_t)m.disp;
    }
    return mod == 2 ? enc_imm32(p, (uint32_t)m.disp) : p;
}

/* The bits REX.X and REX.B (VEX.X, VEX.B) of an address; a missing register counts as number 0. */
static inline unsigned mem_index(X86Mem m)
{
    return m.index == X86_NO_REG ? 0 : m.index;
}

static inline unsigned mem_base(X86Mem m)
{
    return m.base == X86_NO_REG ? 0 : m.base;
}

/* A whole instruction up to its immediate: register (or opcode extension) @reg, and a register or memory. */
static inline uint8_t *enc_rr(uint8_t *p, uint32_t op, bool w, unsigned reg, unsigned rm)
{
    return enc_modrm_r(enc_op(p, op, w, reg, 0, rm, false), reg, rm);
}

static inline uint8_t *enc_rm(uint8_t *p, uint32_t op, bool w, unsigned reg, X86Mem m)
{
    return enc_modrm_m(enc_op(p, op, w, reg, mem_index(m), mem_base(m), false), reg, m);
}

#endif
