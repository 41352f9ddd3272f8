/*
 * Exclusive, ordered and atomic accesses. Arm DDI 0487, "A64 Instruction Set Encoding", "Load/store
 * exclusive", "Load/store ordered", "Compare and swap", "Atomic memory operations". One thread executes all
 * CPUs, so an atomic is a load and a store. Left out: 64-byte and 128-bit atomics (no FEAT_LS64,
 * FEAT_LSE128).
 *
 * IMPLEMENTATION DEFINED: the exclusive monitor remembers address, size and value of the last load-exclusive;
 * a store-exclusive passes when they match and memory still holds the value.
 */
#include "bits.h"
#include "cpu/a64/decode.h"

enum { ORDER_NONE = 0, ORDER_ACQUIRE = 1, ORDER_RELEASE = 2, ORDER_BOTH = 3 };

/* ---- alignment: AArch64.UnalignedAccessFaults() with FEAT_LSE2 ---- */

/* Called for an address that is not a multiple of the size. */
static void check_16(A64Cpu *cpu, uint64_t addr, unsigned size, CpuAccess access)
{
    if ((addr & 15) + size > 16) {
        cpu->cpu.guest->unaligned(&cpu->cpu, addr, access);
    }
}

#define CHECK_16(size)                                                                                         \
    static uint64_t read_##size(void *cpu, uint64_t addr, uint64_t b, uint64_t c, uint64_t imm)               \
    {                                                                                                          \
        check_16(cpu, addr, size, CPU_READ);                                                                   \
        return 0;                                                                                              \
    }                                                                                                          \
    static uint64_t write_##size(void *cpu, uint64_t addr, uint64_t b, uint64_t c, uint64_t imm)              \
    {                                                                                                          \
        check_16(cpu, addr, size, CPU_WRITE);                                                                  \
        return 0;                                                                                              \
    }
#define CHECK_16_HELPERS(size)                                                              \
    { { "check_read_" #size, IR_VOID, 1, IR_FAULTS, .fn.scalar = read_##size },              \
      { "check_write_" #size, IR_VOID, 1, IR_FAULTS, .fn.scalar = write_##size } }

CHECK_16(2)
CHECK_16(4)
CHECK_16(8)

/* By size_log2, and read or write. */
static const IrHelper check_helpers[4][2] = {
    [1] = CHECK_16_HELPERS(2), [2] = CHECK_16_HELPERS(4), [3] = CHECK_16_HELPERS(8),
};

IrMem a64_atomic(A64Trans *t, unsigned size_log2, IrRef addr, unsigned order, bool write)
{
    IrMem mem = a64_mem(t, size_log2);

    mem.order = order & 3;
    mem.align |= size_log2 == 4;
    if (size_log2 != 0 && !mem.align) {
        ir_guard(t->ir, addr, mask64(size_log2), &check_helpers[size_log2][write]);
    }
    return mem;
}

IrMem a64_ordered(A64Trans *t, unsigned size_log2, IrRef addr, unsigned order, bool write)
{
    if (t->key & A64_KEY_NAA) {
        IrMem mem = a64_mem(t, size_log2);

        mem.order = order & 3;
        return mem;
    }
    return a64_atomic(t, size_log2, addr, order, write);
}

/* ---- exclusives ---- */

static void mark_exclusive(A64Trans *t, IrRef addr, unsigned size, IrRef lo, IrRef hi)
{
    ir_put(t->ir, A64_R_EXCL_SIZE, ir_const(t->ir, IR_I32, size));
    ir_put(t->ir, A64_R_EXCL_VA, addr);
    ir_put(t->ir, A64_R_EXCL_LO, lo);
    if (hi != 0) {
        ir_put(t->ir, A64_R_EXCL_HI, hi);
    }
    t->exclusive = true;
}

/* Zero if address and size are those that the monitor remembers, and memory still holds the value. */
static IrRef differs_from_monitor(A64Trans *t, IrRef addr, unsigned size, IrRef old)
{
    IrRef values = ir_op2(t->ir, IR_xor, IR_I64, old, ir_get(t->ir, A64_R_EXCL_LO));
    IrRef vas = ir_op2(t->ir, IR_xor, IR_I64, addr, ir_get(t->ir, A64_R_EXCL_VA));
    IrRef both = ir_op2(t->ir, IR_or, IR_I64, values, vas);
    IrRef marked = ir_zext(t->ir, IR_I64, ir_get(t->ir, A64_R_EXCL_SIZE));
    IrRef sizes = ir_op2(t->ir, IR_xor, IR_I64, marked, ir_const(t->ir, IR_I64, size));

    return ir_op2(t->ir, IR_or, IR_I64, both, sizes);
}

/* Up to 8 bytes. One that fails writes what is there, or nothing: nobody else runs meanwhile. It may fault, as the
 * architecture lets it. */
static void emit_store_one(A64Trans *t, const A64Fields *f, unsigned size_log2, IrRef value)
{
    IrRef addr = a64_address(t, f->Rn, 0);
    IrMem mem = a64_atomic(t, size_log2, addr, f->o0 ? ORDER_RELEASE : ORDER_NONE, true);

    mem.write_intent = 1;
    IrRef old = ir_load(t->ir, IR_I64, mem, addr);
    IrRef differs = differs_from_monitor(t, addr, 1u << size_log2, old);
    IrRef zero = ir_const(t->ir, IR_I64, 0);
    IrRef passes = ir_op2(t->ir, IR_cmpeq, IR_I64, differs, zero);

    ir_store(t->ir, IR_I64, mem, addr, ir_select(t->ir, IR_I64, passes, value, old));
    ir_put(t->ir, A64_R_EXCL_SIZE, ir_const(t->ir, IR_I32, 0));
    a64_set_x(t, IR_I32, f->Rs, ir_op2(t->ir, IR_cmpne, IR_I64, differs, zero));
}

/* 16 bytes. */
static void emit_store_pair(A64Trans *t, const A64Fields *f, IrRef lo, IrRef hi)
{
    IrRef addr = a64_address(t, f->Rn, 0);
    IrMem mem = a64_atomic(t, 4, addr, f->o0 ? ORDER_RELEASE : ORDER_NONE, true);

    mem.write_intent = 1;
    IrRef old = ir_load(t->ir, IR_I128, mem, addr);
    IrRef old_lo = ir_op1(t->ir, IR_lo64, IR_I64, old), old_hi = ir_op1(t->ir, IR_hi64, IR_I64, old);
    IrRef differs_hi = ir_op2(t->ir, IR_xor, IR_I64, old_hi, ir_get(t->ir, A64_R_EXCL_HI));
    IrRef differs = ir_op2(t->ir, IR_or, IR_I64, differs_from_monitor(t, addr, 16, old_lo), differs_hi);
    IrRef zero = ir_const(t->ir, IR_I64, 0);
    IrRef passes = ir_op2(t->ir, IR_cmpeq, IR_I64, differs, zero);
    IrRef new = ir_op2(t->ir, IR_pair, IR_I128, lo, hi);

    ir_store(t->ir, IR_I128, mem, addr, ir_select(t->ir, IR_I128, passes, new, old));
    ir_put(t->ir, A64_R_EXCL_SIZE, ir_const(t->ir, IR_I32, 0));
    a64_set_x(t, IR_I32, f->Rs, ir_op2(t->ir, IR_cmpne, IR_I64, differs, zero));
}

/* The register's low bytes, as memory and the monitor hold them. */
static IrRef low_bytes(A64Trans *t, unsigned n, unsigned size_log2)
{
    IrRef v = a64_x(t, IR_I64, n);

    return size_log2 == 3 ? v : ir_opi(t->ir, IR_bfx, IR_I64, v, 0, 8u << size_log2 << 8);
}

/* STXR, STLXR and B, H forms. "Load/store exclusive register". */
A64("size 001000 0 0 0 Rs o0 Rt2 Rn Rt", stxr)
{
    emit_store_one(t, f, f->size, a64_x(t, IR_I64, f->Rt));
}

/* LDXR, LDAXR and B, H forms. */
A64("size 001000 0 1 0 Rs o0 Rt2 Rn Rt", ldxr)
{
    IrRef addr = a64_address(t, f->Rn, 0);
    IrMem mem = a64_atomic(t, f->size, addr, f->o0 ? ORDER_ACQUIRE : ORDER_NONE, false);
    IrRef v = ir_load(t->ir, IR_I64, mem, addr);

    mark_exclusive(t, addr, 1u << f->size, v, 0);
    a64_set_x(t, IR_I64, f->Rt, v);
}

/* STXP, STLXP. "Load/store exclusive pair". */
A64("1 sz 001000 0 0 1 Rs o0 Rt2 Rn Rt", stxp)
{
    if (f->sz) {
        emit_store_pair(t, f, a64_x(t, IR_I64, f->Rt), a64_x(t, IR_I64, f->Rt2));
        return;
    }
    IrRef both =
        ir_opi(t->ir, IR_bfi, IR_I64, low_bytes(t, f->Rt, 2), a64_x(t, IR_I64, f->Rt2), 32 | 32 << 8);
    emit_store_one(t, f, 3, both);
}

/* LDXP, LDAXP. */
A64("1 sz 001000 0 1 1 Rs o0 Rt2 Rn Rt", ldxp)
{
    IrRef addr = a64_address(t, f->Rn, 0);
    IrMem mem = a64_atomic(t, f->sz ? 4 : 3, addr, f->o0 ? ORDER_ACQUIRE : ORDER_NONE, false);
    IrRef v = ir_load(t->ir, f->sz ? IR_I128 : IR_I64, mem, addr);
    IrRef lo = f->sz ? ir_op1(t->ir, IR_lo64, IR_I64, v) : ir_opi(t->ir, IR_bfx, IR_I64, v, 0, 32 << 8);
    IrRef hi = f->sz ? ir_op1(t->ir, IR_hi64, IR_I64, v) : ir_opi(t->ir, IR_bfx, IR_I64, v, 0, 32 | 32 << 8);

    mark_exclusive(t, addr, f->sz ? 16 : 8, f->sz ? lo : v, f->sz ? hi : 0);
    a64_set_x(t, IR_I64, f->Rt, lo);
    a64_set_x(t, IR_I64, f->Rt2, hi);
}

/* ---- ordered ---- */

static void load_acquire(A64Trans *t, const A64Fields *f)
{
    IrRef addr = a64_address(t, f->Rn, 0);
    IrMem mem = a64_ordered(t, f->size, addr, ORDER_ACQUIRE, false);

    a64_set_x(t, IR_I64, f->Rt, ir_load(t->ir, IR_I64, mem, addr));
}

static void store_release(A64Trans *t, const A64Fields *f)
{
    IrRef addr = a64_address(t, f->Rn, 0);
    IrMem mem = a64_ordered(t, f->size, addr, ORDER_RELEASE, true);

    ir_store(t->ir, IR_I64, mem, addr, a64_x(t, IR_I64, f->Rt));
}

/* LDAR, STLR. "Load/store ordered". */
A64("size 001000 1 1 0 Rs 1 Rt2 Rn Rt", ldar)
{
    load_acquire(t, f);
}

A64("size 001000 1 0 0 Rs 1 Rt2 Rn Rt", stlr)
{
    store_release(t, f);
}

/* LDAPR. "Atomic memory operations". */
A64_FEAT("FEAT_LRCPC", "size 111 0 00 1 0 1 Rs 1 100 00 Rn Rt", ldapr)
{
    load_acquire(t, f);
}

uint32_t a64_ordered_iss(const A64Pattern *p, const A64Fields *f)
{
    if (p != &a64_ldar_pattern && p != &a64_stlr_pattern && p != &a64_ldapr_pattern) {
        return 0;
    }
    return 1u << 24 | f->size << 22 | f->Rt << 16 | (f->size == 3 ? 1u << 15 : 0) | 1u << 14;
}

/* ---- atomics ---- */

static unsigned lse_order(unsigned A, unsigned R)
{
    return (A ? ORDER_ACQUIRE : 0) | (R ? ORDER_RELEASE : 0);
}

static IrMem rmw_mem(A64Trans *t, unsigned size_log2, IrRef addr, unsigned order)
{
    IrMem mem = a64_atomic(t, size_log2, addr, order, true);

    mem.write_intent = 1;
    return mem;
}

/* LDADD, LDCLR, LDEOR, LDSET, LDSMAX, LDSMIN, LDUMAX, LDUMIN and their ST forms (Rt 31). "Atomic memory
 * operations". */
A64_FEAT("FEAT_LSE", "size 111 0 00 A R 1 Rs 0 opcode3 00 Rn Rt", ld_op)
{
    static const IrOp ops[] = { IR_add, IR_andn, IR_xor, IR_or, IR_smax, IR_smin, IR_umax, IR_umin };
    bool  is_signed = f->opcode3 == 4 || f->opcode3 == 5;
    bool  compares = f->opcode3 >= 4;
    IrRef addr = a64_address(t, f->Rn, 0);
    IrMem mem = rmw_mem(t, f->size, addr, lse_order(f->A, f->R));
    IrRef old = ir_load(t->ir, IR_I64, mem, addr);
    IrRef value = a64_x(t, IR_I64, f->Rs);
    IrRef operand = old;

    if (compares && f->size != 3) {
        IrOp widen = is_signed ? IR_sbfx : IR_bfx;
        value = ir_opi(t->ir, widen, IR_I64, value, 0, 8u << f->size << 8);
        operand = is_signed ? ir_opi(t->ir, widen, IR_I64, old, 0, 8u << f->size << 8) : old;
    }
    ir_store(t->ir, IR_I64, mem, addr, ir_op2(t->ir, ops[f->opcode3], IR_I64, operand, value));
    a64_set_x(t, IR_I64, f->Rt, old);
}

/* SWP. */
A64_FEAT("FEAT_LSE", "size 111 0 00 A R 1 Rs 1 000 00 Rn Rt", swp)
{
    IrRef addr = a64_address(t, f->Rn, 0);
    IrMem mem = rmw_mem(t, f->size, addr, lse_order(f->A, f->R));
    IrRef old = ir_load(t->ir, IR_I64, mem, addr);

    ir_store(t->ir, IR_I64, mem, addr, a64_x(t, IR_I64, f->Rs));
    a64_set_x(t, IR_I64, f->Rt, old);
}

/* CAS, CASA, CASL, CASAL and B, H forms. "Compare and swap". A failed comparison
 * writes the old value back. */
A64_FEAT("FEAT_LSE", "size 001000 1 L 1 Rs o0 11111 Rn Rt", cas)
{
    IrRef addr = a64_address(t, f->Rn, 0);
    IrMem mem = rmw_mem(t, f->size, addr, lse_order(f->L, f->o0));
    IrRef old = ir_load(t->ir, IR_I64, mem, addr);
    IrRef equal = ir_op2(t->ir, IR_cmpeq, IR_I64, old, low_bytes(t, f->Rs, f->size));

    ir_store(t->ir, IR_I64, mem, addr, ir_select(t->ir, IR_I64, equal, a64_x(t, IR_I64, f->Rt), old));
    a64_set_x(t, IR_I64, f->Rs, old);
}

/* CASP of two W registers: one access of 8 bytes. */
static void casp_words(A64Trans *t, const A64Fields *f, IrRef addr, IrMem mem)
{
    unsigned high = 32 | 32 << 8;
    IrRef    old = ir_load(t->ir, IR_I64, mem, addr);
    IrRef expected =
        ir_opi(t->ir, IR_bfi, IR_I64, a64_x(t, IR_I64, f->Rs), a64_x(t, IR_I64, f->Rs + 1), high);
    IrRef    new = ir_opi(t->ir, IR_bfi, IR_I64, a64_x(t, IR_I64, f->Rt), a64_x(t, IR_I64, f->Rt + 1), high);
    IrRef    equal = ir_op2(t->ir, IR_cmpeq, IR_I64, old, expected);

    ir_store(t->ir, IR_I64, mem, addr, ir_select(t->ir, IR_I64, equal, new, old));
    a64_set_x(t, IR_I64, f->Rs, ir_opi(t->ir, IR_bfx, IR_I64, old, 0, 32 << 8));
    a64_set_x(t, IR_I64, f->Rs + 1, ir_opi(t->ir, IR_bfx, IR_I64, old, 0, high));
}

/* CASP of two X registers: one access of 16 bytes. */
static void casp_doublewords(A64Trans *t, const A64Fields *f, IrRef addr, IrMem mem)
{
    IrRef old = ir_load(t->ir, IR_I128, mem, addr);
    IrRef lo = ir_op1(t->ir, IR_lo64, IR_I64, old), hi = ir_op1(t->ir, IR_hi64, IR_I64, old);
    IrRef differs_lo = ir_op2(t->ir, IR_xor, IR_I64, lo, a64_x(t, IR_I64, f->Rs));
    IrRef differs_hi = ir_op2(t->ir, IR_xor, IR_I64, hi, a64_x(t, IR_I64, f->Rs + 1));
    IrRef differs = ir_op2(t->ir, IR_or, IR_I64, differs_lo, differs_hi);
    IrRef equal = ir_op2(t->ir, IR_cmpeq, IR_I64, differs, ir_const(t->ir, IR_I64, 0));
    IrRef new = ir_op2(t->ir, IR_pair, IR_I128, a64_x(t, IR_I64, f->Rt), a64_x(t, IR_I64, f->Rt + 1));

    ir_store(t->ir, IR_I128, mem, addr, ir_select(t->ir, IR_I128, equal, new, old));
    a64_set_x(t, IR_I64, f->Rs, lo);
    a64_set_x(t, IR_I64, f->Rs + 1, hi);
}

/* CASP, CASPA, CASPL, CASPAL: register pairs start at even numbers. "Compare and swap pair". */
A64_FEAT("FEAT_LSE", "0 sz 001000 0 L 1 Rs o0 11111 Rn Rt", casp)
{
    if ((f->Rs | f->Rt) & 1) {
        return a64_undefined(t);
    }
    IrRef addr = a64_address(t, f->Rn, 0);
    IrMem mem = rmw_mem(t, f->sz ? 4 : 3, addr, lse_order(f->L, f->o0));
    (f->sz ? casp_doublewords : casp_words)(t, f, addr, mem);
}
