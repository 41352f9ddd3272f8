/*
 * Loads and stores of structures: LD1 to LD4, ST1 to ST4, multiple, single and replicated. Arm DDI 0487,
 * "Advanced SIMD load/store multiple structures", "... single structure", and their post-indexed groups.
 * Memory is accessed a register at a time and lanes are moved in registers; where alignment of elements is
 * checked (SCTLR_ELx.A), element by element as in the pseudocode.
 */
#include "cpu/a64/simd.h"

enum { MAX_REGS = 4 };

typedef struct Structure {
    unsigned size, Q;    /* of the elements; Q as in the encoding */
    unsigned n_regs;
    unsigned n_elements; /* of one structure: 1 to 4. With 1, registers follow each other in memory */
} Structure;

static IrRef lanes2(A64Trans *t, const Structure *s, IrOp op, IrRef a, IrRef b)
{
    return ir_opi(t->ir, op, simd_type(s->Q), a, b, s->size);
}

/* Post-index: by a register, or with Rm 31 by the bytes transferred. */
static void write_back(A64Trans *t, const A64Fields *f, IrRef base, unsigned bytes)
{
    IrRef step = f->Rm == 31 ? ir_const(t->ir, IR_I64, bytes) : a64_x(t, IR_I64, f->Rm);
    bool  aligned = f->Rm == 31 && bytes % 16 == 0 && t->sp_aligned;

    a64_set_xsp(t, IR_I64, f->Rn, ir_op2(t->ir, IR_add, IR_I64, base, step));
    if (f->Rn == 31) {
        t->sp_aligned = aligned;
    }
}

static void set_regs(A64Trans *t, const Structure *s, unsigned Rt, const IrRef v[MAX_REGS])
{
    for (unsigned i = 0; i < s->n_regs; i++) {
        a64_set_v(t, simd_type(s->Q), (Rt + i) % 32, v[i]);
    }
}

/* ---- from memory order to registers of like elements, and back ---- */

static IrRef call3(A64Trans *t, const Structure *s, const IrHelper *h, const IrRef v[MAX_REGS], unsigned i)
{
    IrRef wide[3];

    for (unsigned k = 0; k < 3; k++) {
        wide[k] = s->Q ? v[k] : ir_op1(t->ir, IR_vlow, IR_V128, v[k]);
    }
    IrRef r = ir_call(t->ir, h, wide[0], wide[1], wide[2], simd_with(simd_shape(s->size, s->Q), i));
    return s->Q ? r : ir_op1(t->ir, IR_vlow, IR_V64, r);
}

static void move3(A64Trans *t, const Structure *s, const IrHelper *h, IrRef v[MAX_REGS])
{
    IrRef r[3];

    for (unsigned i = 0; i < 3; i++) {
        r[i] = call3(t, s, h, v, i);
    }
    for (unsigned i = 0; i < 3; i++) {
        v[i] = r[i];
    }
}

/* The even and the odd elements of @a and @b together. */
static void unzip(A64Trans *t, const Structure *s, IrRef *a, IrRef *b)
{
    IrRef even = lanes2(t, s, IR_vuzp1, *a, *b);

    *b = lanes2(t, s, IR_vuzp2, *a, *b);
    *a = even;
}

static void zip(A64Trans *t, const Structure *s, IrRef *a, IrRef *b)
{
    IrRef low = lanes2(t, s, IR_vzip1, *a, *b);

    *b = lanes2(t, s, IR_vzip2, *a, *b);
    *a = low;
}

static void separate(A64Trans *t, const Structure *s, IrRef v[MAX_REGS])
{
    if (s->n_elements == 2) {
        unzip(t, s, &v[0], &v[1]);
    } else if (s->n_elements == 3) {
        move3(t, s, &simd_gather3, v);
    } else if (s->n_elements == 4) {
        /* Even and odd elements of each half; then again, which leaves elements 0, 2 and 1, 3. */
        unzip(t, s, &v[0], &v[1]);
        unzip(t, s, &v[2], &v[3]);
        unzip(t, s, &v[0], &v[2]);
        unzip(t, s, &v[1], &v[3]);
    }
}

static void combine(A64Trans *t, const Structure *s, IrRef v[MAX_REGS])
{
    if (s->n_elements == 2) {
        zip(t, s, &v[0], &v[1]);
    } else if (s->n_elements == 3) {
        move3(t, s, &simd_scatter3, v);
    } else if (s->n_elements == 4) {
        zip(t, s, &v[0], &v[2]);
        zip(t, s, &v[1], &v[3]);
        zip(t, s, &v[0], &v[1]);
        zip(t, s, &v[2], &v[3]);
    }
}

/* ---- a register at a time ---- */

static unsigned reg_bytes(const Structure *s)
{
    return s->Q ? 16 : 8;
}

static void load_whole(A64Trans *t, const Structure *s, IrRef base, IrRef v[MAX_REGS])
{
    IrMem mem = { .size_log2 = s->Q ? 4 : 3 };

    for (unsigned i = 0; i < s->n_regs; i++) {
        v[i] = ir_load(t->ir, simd_type(s->Q), mem, a64_plus(t, base, i * reg_bytes(s)));
    }
    separate(t, s, v);
}

static void store_whole(A64Trans *t, const Structure *s, IrRef base, IrRef v[MAX_REGS])
{
    IrMem mem = { .size_log2 = s->Q ? 4 : 3 };

    combine(t, s, v);
    for (unsigned i = 0; i < s->n_regs; i++) {
        ir_store(t->ir, simd_type(s->Q), mem, a64_plus(t, base, i * reg_bytes(s)), v[i]);
    }
}

/* ---- an element at a time, each one aligned ---- */

typedef struct Place {
    unsigned reg, lane;
} Place;

/* Where the element that is number @k in memory belongs. */
static Place place_of(const Structure *s, unsigned k)
{
    unsigned lanes = reg_bytes(s) >> s->size;

    if (s->n_elements == 1) {
        return (Place){ k / lanes, k % lanes };
    }
    return (Place){ k % s->n_elements, k / s->n_elements };
}

static void load_elements(A64Trans *t, const Structure *s, IrRef base, IrRef v[MAX_REGS])
{
    IrType ty = simd_type(s->Q);

    for (unsigned i = 0; i < s->n_regs; i++) {
        v[i] = ir_const(t->ir, ty, 0);
    }
    for (unsigned k = 0; k < (s->n_regs * reg_bytes(s)) >> s->size; k++) {
        Place p = place_of(s, k);
        IrRef x = ir_load(t->ir, IR_I64, a64_mem(t, s->size), a64_plus(t, base, k << s->size));
        v[p.reg] = ir_opi(t->ir, IR_vset, ty, v[p.reg], x, p.lane << 4 | s->size);
    }
}

static void store_elements(A64Trans *t, const Structure *s, IrRef base, const IrRef v[MAX_REGS])
{
    for (unsigned k = 0; k < (s->n_regs * reg_bytes(s)) >> s->size; k++) {
        Place p = place_of(s, k);
        IrRef x = ir_opi(t->ir, IR_vget, IR_I64, v[p.reg], 0, p.lane << 4 | s->size);
        ir_store(t->ir, IR_I64, a64_mem(t, s->size), a64_plus(t, base, k << s->size), x);
    }
}

/* ---- multiple structures ---- */

/* The registers and the elements of a structure that opcode asks for; false: reserved. */
static bool multiple_of(const A64Fields *f, Structure *s)
{
    static const struct {
        uint8_t n_regs, n_elements;
    } rows[16] = {
        [0] = { 4, 4 }, [2] = { 4, 1 }, [4] = { 3, 3 }, [6] = { 3, 1 },
        [7] = { 1, 1 }, [8] = { 2, 2 }, [10] = { 2, 1 },
    };

    *s = (Structure){ f->size, f->Q, rows[f->opcode].n_regs, rows[f->opcode].n_elements };
    return s->n_regs != 0 && !(f->size == 3 && !f->Q && s->n_elements != 1);
}

static void transfer(A64Trans *t, const A64Fields *f, const Structure *s, IrRef base, IrRef v[MAX_REGS])
{
    bool by_element = t->align_check && s->size > 0;

    for (unsigned i = 0; i < s->n_regs && !f->L; i++) {
        v[i] = a64_v(t, simd_type(s->Q), (f->Rt + i) % 32);
    }
    if (f->L) {
        (by_element ? load_elements : load_whole)(t, s, base, v);
    } else if (by_element) {
        store_elements(t, s, base, v);
    } else {
        store_whole(t, s, base, v);
    }
}

static void multiple(A64Trans *t, const A64Fields *f, bool post)
{
    Structure s;
    IrRef     v[MAX_REGS];

    if (!multiple_of(f, &s)) {
        return a64_undefined(t);
    }
    if (!a64_fp_check(t)) {
        return;
    }
    IrRef base = a64_address(t, f->Rn, 0);
    transfer(t, f, &s, base, v);
    if (post) {
        write_back(t, f, base, s.n_regs * reg_bytes(&s));
    }
    if (f->L) {
        set_regs(t, &s, f->Rt, v);
    }
}

A64("0 Q 0011000 L 000000 opcode size Rn Rt", ldst_multiple)
{
    multiple(t, f, false);
}

A64("0 Q 0011001 L 0 Rm opcode size Rn Rt", ldst_multiple_post)
{
    multiple(t, f, true);
}

/* ---- single structure: one lane of each register, or all of them (LD1R to LD4R) ---- */

typedef struct Single {
    unsigned size, index, n_regs;
    bool     replicate;
} Single;

/* Size and lane from opcode, Q, S and size; false: reserved. */
static bool single_of(const A64Fields *f, Single *s)
{
    unsigned lane = f->Q << 3 | f->S << 2 | f->size;

    *s = (Single){ f->opcode3 >> 1, 0, (f->opcode3 & 1) * 2 + f->R + 1, false };
    switch (s->size) {
    case 0:
        s->index = lane;
        return true;
    case 1:
        s->index = lane >> 1;
        return (f->size & 1) == 0;
    case 2:
        s->size = 2 + (f->size & 1);
        s->index = lane >> s->size;
        return (f->size & 2) == 0 && !(s->size == 3 && f->S);
    default:
        s->size = f->size;
        s->replicate = true;
        return f->L && !f->S;
    }
}

static IrRef loaded_single(A64Trans *t, const A64Fields *f, const Single *s, unsigned reg, IrRef x)
{
    if (s->replicate) {
        return ir_opi(t->ir, IR_vdup, simd_type(f->Q), x, 0, s->size);
    }
    return ir_opi(t->ir, IR_vset, IR_V128, a64_v(t, IR_V128, reg), x, s->index << 4 | s->size);
}

static void single_transfer(A64Trans *t, const A64Fields *f, const Single *s, IrRef base, IrRef x[MAX_REGS])
{
    for (unsigned i = 0; i < s->n_regs; i++) {
        IrRef addr = a64_plus(t, base, i << s->size);
        if (f->L) {
            x[i] = ir_load(t->ir, IR_I64, a64_mem(t, s->size), addr);
        } else {
            IrRef v = a64_v(t, IR_V128, (f->Rt + i) % 32);
            v = ir_opi(t->ir, IR_vget, IR_I64, v, 0, s->index << 4 | s->size);
            ir_store(t->ir, IR_I64, a64_mem(t, s->size), addr, v);
        }
    }
}

static void single(A64Trans *t, const A64Fields *f, bool post)
{
    Single s;
    IrRef  x[MAX_REGS];

    if (!single_of(f, &s)) {
        return a64_undefined(t);
    }
    if (!a64_fp_check(t)) {
        return;
    }
    IrRef base = a64_address(t, f->Rn, 0);
    single_transfer(t, f, &s, base, x);
    if (post) {
        write_back(t, f, base, s.n_regs << s.size);
    }
    for (unsigned i = 0; i < s.n_regs && f->L; i++) {
        unsigned reg = (f->Rt + i) % 32;
        a64_set_v(t, s.replicate ? simd_type(f->Q) : IR_V128, reg, loaded_single(t, f, &s, reg, x[i]));
    }
}

A64("0 Q 0011010 L R 00000 opcode3 S size Rn Rt", ldst_single)
{
    single(t, f, false);
}

A64("0 Q 0011011 L R Rm opcode3 S size Rn Rt", ldst_single_post)
{
    single(t, f, true);
}
