/*
 * The portable executor: direct-threaded, one computed jump per operation. Where the compiler has no computed
 * goto, or BAILEY_SWITCH_EXECUTOR is defined, the same bodies become a switch.
 */
#include "cpu/ir/exec.h"

#include <string.h>

#include "cpu/engine.h"
#include "cpu/ir/meaning.h"
#include "cpu/ir/wide.h"

#if !defined(__GNUC__) || defined(BAILEY_SWITCH_EXECUTOR)
#define USE_SWITCH 1
#else
#define USE_SWITCH 0
#endif

_Static_assert(G_BYTE_ORDER == G_LITTLE_ENDIAN, "places hold little-endian values");
_Static_assert(sizeof(XOp) == 24, "keep operations small");

void *arena_alloc(Arena *a, size_t size)
{
    size = align_up(size, 8);
    if (size > a->size - a->used) {
        return NULL;
    }
    a->used += size;
    return a->base + a->used - size;
}

void arena_trim(Arena *a, const void *p, size_t size)
{
    a->used = (size_t)((const uint8_t *)p - a->base) + align_up(size, 8);
}

/* ---- places ---- */

#define P(off)       ((void *)(s + (off)))
#define GET_64(off)  (*(const uint64_t *)(s + (off)))
#define GET_32(off)  (*(const uint32_t *)(s + (off)))
#define GET_16(off)  (*(const uint16_t *)(s + (off)))
#define GET_8(off)   (*(const uint8_t *)(s + (off)))
#define SET_64(off, v) (*(uint64_t *)(s + (off)) = (v))
#define SET_32(off, v) (*(uint32_t *)(s + (off)) = (uint32_t)(v))

typedef uint64_t Pair __attribute__((vector_size(16), aligned(8)));

/* ---- memory ---- */

static inline bool tlb_hits(const TlbEntry *e, uint64_t va, unsigned size)
{
    return va - e->tag <= (uint64_t)(PAGE_SIZE - size);
}

static IrMem mem_of(const XOp *op)
{
    IrMem m;

    memcpy(&m, &op->c, sizeof(m));
    return m;
}

/* Any load; scalar results are extended to @bits. */
static bool load_any(Cpu *cpu, const XOp *op, uint64_t va, unsigned bits, uint64_t value[2])
{
    IrMem           m = mem_of(op);
    unsigned        size = 1u << m.size_log2;
    CpuTlb         *t = cpu->tlb[m.space];
    const TlbEntry *e = tlb_slot(m.write_intent ? t->write : t->read, va);

    value[0] = value[1] = 0;
    if (tlb_hits(e, va, size) && !(m.align && !is_aligned(va, size)) && !m.big) {
        memcpy(value, (const void *)(uintptr_t)(va + e->addend), size);
    } else if (!cpu_load_slow(cpu, va, m, value)) {
        return false;
    }
    if (m.sign && size < 8) {
        value[0] = (uint64_t)sign_extend64(value[0], size * 8) & mask64(bits);
    }
    return true;
}

static bool store_any(Cpu *cpu, const XOp *op, uint64_t va, const void *value)
{
    IrMem           m = mem_of(op);
    unsigned        size = 1u << m.size_log2;
    const TlbEntry *e = tlb_slot(cpu->tlb[m.space]->write, va);

    if (tlb_hits(e, va, size) && !(m.align && !is_aligned(va, size)) && !m.big) {
        memcpy((void *)(uintptr_t)(va + e->addend), value, size);
        return true;
    }
    return cpu_store_slow(cpu, va, m, value);
}

/* Two 8-byte accesses, as they would be alone. */
static bool load_pair(Cpu *cpu, uint64_t va, uint64_t value[2])
{
    uint64_t    v[2];
    const IrMem m = { .size_log2 = 3 };

    if (!cpu_load_slow(cpu, va, m, v)) {
        return false;
    }
    value[0] = v[0];
    if (!cpu_load_slow(cpu, va + 8, m, v)) {
        return false;
    }
    value[1] = v[0];
    return true;
}

static bool store_pair(Cpu *cpu, uint64_t va, const uint64_t value[2])
{
    const IrMem m = { .size_log2 = 3 };

    return cpu_store_slow(cpu, va, m, &value[0]) && cpu_store_slow(cpu, va + 8, m, &value[1]);
}

/* ---- helpers ---- */

static void call_vector(Cpu *cpu, const XOp *op)
{
    const XCall *call = op->call;
    uint8_t     *s = (uint8_t *)cpu;

    if (call->mask != 0 && call->helper->ret <= IR_I64) { /* written in its own width, perhaps over an operand */
        uint64_t r[2] = { 0 };

        call->helper->fn.vec(cpu, r, P(op->a), P(op->b), P(op->c), call->imm);
        SET_64(op->d, r[0]);
        return;
    }
    call->helper->fn.vec(cpu, P(op->d), P(op->a), P(op->b), P(op->c), call->imm);
}

/* ---- the loop ---- */

#define WIDTH_TYPES(W, a_, b_)                                                              \
    const uint64_t a = (a_), b = (b_);                                                      \
    const int64_t  sa = (int##W##_t)a, sb = (int##W##_t)b;                                  \
    const unsigned width = W;                                                               \
    (void)a, (void)b, (void)sa, (void)sb, (void)width;

/* One operation of ops.h in all its forms. */
#define BODY(label, W, b_, imm_, meaning)                                                   \
    OP(label)                                                                               \
    {                                                                                       \
        WIDTH_TYPES(W, GET_##W(op->a), b_)                                                  \
        const uint64_t imm = imm_;                                                          \
        (void)imm;                                                                          \
        SET_64(op->d, (uint##W##_t)(meaning));                                              \
        NEXT;                                                                               \
    }

#define BODIES_1(name, meaning)                                                             \
    BODY(name##_64_rr, 64, 0, op->imm, meaning)                                             \
    BODY(name##_32_rr, 32, 0, op->imm, meaning)                                             \
    BODY(name##_16_rr, 16, 0, op->imm, meaning)                                             \
    BODY(name##_8_rr, 8, 0, op->imm, meaning)

#define BODIES_2(name, meaning)                                                             \
    BODY(name##_64_rr, 64, GET_64(op->b), op->imm, meaning)                                 \
    BODY(name##_32_rr, 32, GET_32(op->b), op->imm, meaning)                                 \
    BODY(name##_16_rr, 16, GET_16(op->b), op->imm, meaning)                                 \
    BODY(name##_8_rr, 8, GET_8(op->b), op->imm, meaning)                                    \
    BODY(name##_64_ri, 64, op->imm, 0, meaning)                                             \
    BODY(name##_32_ri, 32, (uint32_t)op->imm, 0, meaning)

#define BRANCH(label, W, b_, meaning)                                                       \
    OP(label)                                                                               \
    {                                                                                       \
        WIDTH_TYPES(W, GET_##W(op->a), b_)                                                  \
        exit = op->exit;                                                                    \
        if (meaning) {                                                                      \
            FOLLOW(0);                                                                      \
        }                                                                                   \
        FOLLOW(1);                                                                          \
    }

#define BODIES_PURE(name, args, meaning) BODIES_##args(name, meaning)
#define BODIES_CMP(name, args, meaning)                                                     \
    BODIES_2(name, meaning)                                                                 \
    BRANCH(br_##name##_64_rr, 64, GET_64(op->b), meaning)                                   \
    BRANCH(br_##name##_64_ri, 64, op->exit->imm, meaning)                                   \
    BRANCH(br_##name##_32_rr, 32, GET_32(op->b), meaning)                                   \
    BRANCH(br_##name##_32_ri, 32, (uint32_t)op->exit->imm, meaning)
#define BODIES_TYPED(name, args, meaning)
#define BODIES_WIDE(name, args, meaning)                                                    \
    OP(wide_##name)                                                                         \
    {                                                                                       \
        ir_wide_##name(P(op->d), P(op->a), op->b != 0 ? P(op->b) : NULL, op->c != 0 ? P(op->c) : NULL, \
                       (uint32_t)op->imm, (uint16_t)(op->imm >> 32), (uint16_t)(op->imm >> 48)); \
        NEXT;                                                                               \
    }

#define SHIFTED(name, oper)                                                                 \
    OP(name##_shl_64) { SET_64(op->d, GET_64(op->a) oper (GET_64(op->b) << op->imm)); NEXT; } \
    OP(name##_shr_64) { SET_64(op->d, GET_64(op->a) oper (GET_64(op->b) >> op->imm)); NEXT; } \
    OP(name##_sar_64)                                                                       \
    {                                                                                       \
        SET_64(op->d, GET_64(op->a) oper (uint64_t)((int64_t)GET_64(op->b) >> op->imm));    \
        NEXT;                                                                               \
    }                                                                                       \
    OP(name##_shl_32) { SET_64(op->d, (uint32_t)(GET_32(op->a) oper (GET_32(op->b) << op->imm))); NEXT; } \
    OP(name##_shr_32) { SET_64(op->d, (uint32_t)(GET_32(op->a) oper (GET_32(op->b) >> op->imm))); NEXT; } \
    OP(name##_sar_32)                                                                       \
    {                                                                                       \
        SET_64(op->d, (uint32_t)(GET_32(op->a) oper (uint32_t)((int32_t)GET_32(op->b) >> op->imm))); \
        NEXT;                                                                               \
    }

/* Flags of @fn, and with @result its value. Operands are read before either place is written. */
#define FLAGS(label, W, b_, flags)                                                          \
    OP(label)                                                                               \
    {                                                                                       \
        const uint64_t a = GET_##W(op->a), b = (b_);                                        \
        SET_32(op->d, flags);                                                               \
        NEXT;                                                                               \
    }
#define FLAGS_AND(label, W, b_, result, flags)                                              \
    OP(label)                                                                               \
    {                                                                                       \
        const uint64_t a = GET_##W(op->a), b = (b_);                                        \
        SET_64(op->d, (uint##W##_t)(result));                                               \
        SET_32(op->c, flags);                                                               \
        NEXT;                                                                               \
    }
#define FLAGS_FORMS(name, flags)                                                            \
    FLAGS(name##_64_rr, 64, GET_64(op->b), flags(a, b, 64))                                 \
    FLAGS(name##_64_ri, 64, op->imm, flags(a, b, 64))                                       \
    FLAGS(name##_32_rr, 32, GET_32(op->b), flags(a, b, 32))                                 \
    FLAGS(name##_32_ri, 32, (uint32_t)op->imm, flags(a, b, 32))
#define FLAGS_AND_FORMS(name, result, flags)                                                \
    FLAGS_AND(name##_64_rr, 64, GET_64(op->b), result, flags(a, b, 64))                     \
    FLAGS_AND(name##_64_ri, 64, op->imm, result, flags(a, b, 64))                           \
    FLAGS_AND(name##_32_rr, 32, GET_32(op->b), result, flags(a, b, 32))                     \
    FLAGS_AND(name##_32_ri, 32, (uint32_t)op->imm, result, flags(a, b, 32))
#define CMN_FLAGS(a, b, w)   ir_pack_add(a, b, false, w)
#define LOGIC_FLAGS(a, b, w) ir_pack_nz((a) & (b), w)

#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/* @conv: the value v of type @type as the 64 bits of the result. */
#define LOAD(label, type, address, conv)                                                    \
    OP(label)                                                                               \
    {                                                                                       \
        const uint64_t  va = (address);                                                     \
        const TlbEntry *e = tlb_slot(cpu->tlb[0]->read, va);                                \
        type            v;                                                                  \
        if (UNLIKELY(!tlb_hits(e, va, sizeof(type)))) {                                     \
            uint64_t slow[2];                                                               \
            cpu->op = op;                                                                   \
            if (!cpu_load_slow(cpu, va, mem_of(op), slow)) {                                \
                return EXEC_FAULT;                                                          \
            }                                                                               \
            v = (type)slow[0];                                                              \
        } else {                                                                            \
            memcpy(&v, (const void *)(uintptr_t)(va + e->addend), sizeof(v));               \
        }                                                                                   \
        SET_64(op->d, conv);                                                                \
        NEXT;                                                                               \
    }
#define LOADS(name, type, conv)                                                             \
    LOAD(name##_o, type, GET_64(op->a) + op->imm, conv)                                     \
    LOAD(name##_x, type, GET_64(op->a) + (GET_64(op->b) << op->imm), conv)

#define STORE(label, type, address, value)                                                  \
    OP(label)                                                                               \
    {                                                                                       \
        const uint64_t  va = (address);                                                     \
        const TlbEntry *e = tlb_slot(cpu->tlb[0]->write, va);                               \
        const type      v = *(const type *)P(value);                                        \
        if (UNLIKELY(!tlb_hits(e, va, sizeof(type)))) {                                     \
            uint64_t slow[2] = { v };                                                       \
            cpu->op = op;                                                                   \
            if (!cpu_store_slow(cpu, va, mem_of(op), slow)) {                               \
                return EXEC_FAULT;                                                          \
            }                                                                               \
        } else {                                                                            \
            memcpy((void *)(uintptr_t)(va + e->addend), &v, sizeof(v));                     \
        }                                                                                   \
        NEXT;                                                                               \
    }
#define STORES(W)                                                                           \
    STORE(st_##W##_o, uint##W##_t, GET_64(op->a) + op->imm, op->b)                          \
    STORE(st_##W##_x, uint##W##_t, GET_64(op->a) + (GET_64(op->b) << op->imm), op->d)

/* Go to a block: account for all of it, or come back before it. */
#define ENTER(next)                                                                         \
    do {                                                                                    \
        CpuBlock *n_ = (next);                                                              \
        cpu->block = n_;                                                                    \
        if (UNLIKELY((cpu->left -= n_->n) < 0)) {                                           \
            goto out_of_time;                                                               \
        }                                                                                   \
        op = n_->op;                                                                        \
        DISPATCH;                                                                           \
    } while (0)

/* Leave by way @w of @exit. */
#define FOLLOW(w)                                                                           \
    do {                                                                                    \
        CpuBlock *to_ = exit->to[w];                                                        \
        if (UNLIKELY(to_ == NULL)) {                                                        \
            which = (w);                                                                    \
            goto not_linked;                                                                \
        }                                                                                   \
        ENTER(to_);                                                                         \
    } while (0)

#if USE_SWITCH
#define OP(name) case X_##name:
#define DISPATCH goto dispatch
#else
#define OP(name) do_##name:
#define DISPATCH goto *op->go
#endif
#define NEXT     \
    do {         \
        op++;    \
        DISPATCH; \
    } while (0)

#if !USE_SWITCH
static const void *const *exec_labels;
#endif

bool exec_may_link(const CpuBlock *from, const CpuBlock *to)
{
    return !to->once && /* first: else @from may have been in its place */
           !from->once && !from->dead && from->guarded == to->guarded && ((from->pc ^ to->pc) & PAGE_MASK) == 0 &&
           ((from->pa ^ to->pa) & PAGE_MASK) == 0;
}

ExecExit exec_run(Cpu *cpu, CpuBlock *b, ExecLink *link)
{
    uint8_t   *s = (uint8_t *)cpu;
    const XOp *op;
    XExit     *exit;
    unsigned   which = 0;
    uint64_t   pc, key;

#if !USE_SWITCH
    static const void *const labels[] = {
#define X(name) &&do_##name,
#include "cpu/ir/exec_ops.h"
#undef X
    };

    if (UNLIKELY(cpu == NULL)) { /* exec_bind() wants the addresses */
        exec_labels = labels;
        return EXEC_LEFT;
    }
#endif
    link->exit = NULL;
    ENTER(b);

#if USE_SWITCH
dispatch:
    switch ((XCode)op->code) {
#endif

#define IR_OP(name, args, flags, meaning) BODIES_##flags(name, args, meaning)
#include "cpu/ir/ops.h"
#undef IR_OP

    OP(mov_64) { SET_64(op->d, GET_64(op->a)); NEXT; }
    OP(mov_32) { SET_64(op->d, GET_32(op->a)); NEXT; }
    OP(mov_16) { SET_64(op->d, GET_16(op->a)); NEXT; }
    OP(mov_8) { SET_64(op->d, GET_8(op->a)); NEXT; }
    OP(mov_128) { *(Pair *)P(op->d) = *(const Pair *)P(op->a); NEXT; }
    OP(mov_many) { memmove(P(op->d), P(op->a), op->imm); NEXT; }
    OP(movi_64) { SET_64(op->d, op->imm); NEXT; }
    OP(movi_128) { *(Pair *)P(op->d) = (Pair){ op->imm, 0 }; NEXT; }
    OP(narrow_32) { SET_32(op->d, GET_32(op->a)); NEXT; }
    OP(narrow_16) { *(uint16_t *)P(op->d) = GET_16(op->a); NEXT; }
    OP(narrow_8) { *(uint8_t *)P(op->d) = GET_8(op->a); NEXT; }
    OP(narrowi_32) { SET_32(op->d, op->imm); NEXT; }
    OP(narrowi_16) { *(uint16_t *)P(op->d) = (uint16_t)op->imm; NEXT; }
    OP(narrowi_8) { *(uint8_t *)P(op->d) = (uint8_t)op->imm; NEXT; }
    OP(sext_8_16) { SET_64(op->d, (uint16_t)(int8_t)GET_8(op->a)); NEXT; }
    OP(sext_8_32) { SET_64(op->d, (uint32_t)(int8_t)GET_8(op->a)); NEXT; }
    OP(sext_16_32) { SET_64(op->d, (uint32_t)(int16_t)GET_16(op->a)); NEXT; }
    OP(sext_8_64) { SET_64(op->d, (uint64_t)(int8_t)GET_8(op->a)); NEXT; }
    OP(sext_16_64) { SET_64(op->d, (uint64_t)(int16_t)GET_16(op->a)); NEXT; }
    OP(sext_32_64) { SET_64(op->d, (uint64_t)(int32_t)GET_32(op->a)); NEXT; }

    SHIFTED(add, +)
    SHIFTED(sub, -)
    SHIFTED(and, &)
    SHIFTED(or, |)
    SHIFTED(xor, ^)

    OP(adc_64) { SET_64(op->d, GET_64(op->a) + GET_64(op->b) + GET_32(op->c)); NEXT; }
    OP(adc_32) { SET_64(op->d, GET_32(op->a) + GET_32(op->b) + GET_32(op->c)); NEXT; }
    OP(sbc_64) { SET_64(op->d, GET_64(op->a) + ~GET_64(op->b) + GET_32(op->c)); NEXT; }
    OP(sbc_32) { SET_64(op->d, GET_32(op->a) + ~GET_32(op->b) + GET_32(op->c)); NEXT; }
    OP(select_64) { SET_64(op->d, GET_32(op->a) != 0 ? GET_64(op->b) : GET_64(op->c)); NEXT; }
    OP(select_32) { SET_64(op->d, GET_32(op->a) != 0 ? GET_32(op->b) : GET_32(op->c)); NEXT; }
    OP(select_128) { *(Pair *)P(op->d) = *(const Pair *)P(GET_32(op->a) != 0 ? op->b : op->c); NEXT; }
    OP(select_many) { memmove(P(op->d), P(GET_32(op->a) != 0 ? op->b : op->c), op->imm); NEXT; }

    FLAGS_FORMS(cmp, ir_pack_cmp)
    FLAGS_FORMS(cmn, CMN_FLAGS)
    FLAGS_AND_FORMS(subs, a - b, ir_pack_cmp)
    FLAGS_AND_FORMS(adds, a + b, CMN_FLAGS)
    FLAGS_AND_FORMS(ands, a & b, LOGIC_FLAGS)
    FLAGS(adc_flags_64, 64, GET_64(op->b), ir_pack_add(a, b, op->c != 0 && GET_32(op->c) != 0, 64))
    FLAGS(adc_flags_32, 32, GET_32(op->b), ir_pack_add(a, b, op->c != 0 && GET_32(op->c) != 0, 32))
    FLAGS(sbc_flags_64, 64, GET_64(op->b), ir_pack_sub(a, b, op->c == 0 || GET_32(op->c) != 0, 64))
    FLAGS(sbc_flags_32, 32, GET_32(op->b), ir_pack_sub(a, b, op->c == 0 || GET_32(op->c) != 0, 32))
    OP(logic_flags_64) { SET_32(op->d, ir_pack_nz(GET_64(op->a), 64)); NEXT; }
    OP(logic_flags_32) { SET_32(op->d, ir_pack_nz(GET_32(op->a), 32)); NEXT; }
    OP(flags_cond) { SET_64(op->d, op->imm >> (GET_32(op->a) & 15) & 1); NEXT; }
    OP(flags_select) { SET_32(op->d, GET_32(op->a) != 0 ? GET_32(op->b) : GET_32(op->c)); NEXT; }
    OP(flags_unpack) { SET_32(op->d, GET_32(op->a) & 15); NEXT; }

    LOADS(ld_u8, uint8_t, v)
    LOADS(ld_u16, uint16_t, v)
    LOADS(ld_u32, uint32_t, v)
    LOADS(ld_64, uint64_t, v)
    LOADS(ld_s8_32, uint8_t, (uint32_t)(int8_t)v)
    LOADS(ld_s16_32, uint16_t, (uint32_t)(int16_t)v)
    LOADS(ld_s8_64, uint8_t, (uint64_t)(int8_t)v)
    LOADS(ld_s16_64, uint16_t, (uint64_t)(int16_t)v)
    LOADS(ld_s32_64, uint32_t, (uint64_t)(int32_t)v)
    STORES(8)
    STORES(16)
    STORES(32)
    STORES(64)
    OP(ld_128_o)
    {
        const uint64_t  va = GET_64(op->a) + op->imm;
        const TlbEntry *e = tlb_slot(cpu->tlb[0]->read, va);
        uint64_t        v[2];

        if (UNLIKELY(!tlb_hits(e, va, 16))) {
            cpu->op = op;
            if (!cpu_load_slow(cpu, va, mem_of(op), v)) {
                return EXEC_FAULT;
            }
        } else {
            memcpy(v, (const void *)(uintptr_t)(va + e->addend), 16);
        }
        memcpy(P(op->d), v, 16);
        NEXT;
    }
    OP(st_128_o)
    {
        const uint64_t  va = GET_64(op->a) + op->imm;
        const TlbEntry *e = tlb_slot(cpu->tlb[0]->write, va);

        if (UNLIKELY(!tlb_hits(e, va, 16))) {
            cpu->op = op;
            if (!cpu_store_slow(cpu, va, mem_of(op), P(op->b))) {
                return EXEC_FAULT;
            }
        } else {
            memcpy((void *)(uintptr_t)(va + e->addend), P(op->b), 16);
        }
        NEXT;
    }
    OP(ld_pair)
    {
        const uint64_t  va = GET_64(op->a) + op->imm;
        const TlbEntry *e = tlb_slot(cpu->tlb[0]->read, va);
        uint64_t        v[2];

        if (UNLIKELY(!tlb_hits(e, va, 16))) {
            cpu->op = op;
            if (!load_pair(cpu, va, v)) {
                return EXEC_FAULT;
            }
        } else {
            memcpy(v, (const void *)(uintptr_t)(va + e->addend), 16);
        }
        SET_64(op->d, v[0]);
        SET_64(op->c, v[1]);
        NEXT;
    }
    OP(st_pair)
    {
        const uint64_t  va = GET_64(op->a) + op->imm;
        const TlbEntry *e = tlb_slot(cpu->tlb[0]->write, va);
        const uint64_t  v[2] = { GET_64(op->b), GET_64(op->d) };

        if (UNLIKELY(!tlb_hits(e, va, 16))) {
            cpu->op = op;
            if (!store_pair(cpu, va, v)) {
                return EXEC_FAULT;
            }
        } else {
            memcpy((void *)(uintptr_t)(va + e->addend), v, 16);
        }
        NEXT;
    }
    OP(ld_any)
    {
        uint64_t v[2];

        cpu->op = op;
        if (!load_any(cpu, op, GET_64(op->a) + op->imm, op->b, v)) {
            return EXEC_FAULT;
        }
        memcpy(P(op->d), v, op->b <= 64 ? 8 : 16);
        NEXT;
    }
    OP(st_any)
    {
        cpu->op = op;
        if (!store_any(cpu, op, GET_64(op->a) + op->imm, P(op->b))) {
            return EXEC_FAULT;
        }
        NEXT;
    }

    OP(call_pure)
    {
        const XCall *call = op->call;

        SET_64(op->d,
               call->mask & call->helper->fn.scalar(cpu, op->a != 0 ? GET_64(op->a) : call->value[0],
                                                    op->b != 0 ? GET_64(op->b) : call->value[1],
                                                    op->c != 0 ? GET_64(op->c) : call->value[2], call->imm));
        NEXT;
    }
    OP(call)
    {
        const XCall *call = op->call;
        uint64_t     v;

        cpu->op = op;
        v = call->helper->fn.scalar(cpu, op->a != 0 ? GET_64(op->a) : call->value[0],
                                    op->b != 0 ? GET_64(op->b) : call->value[1],
                                    op->c != 0 ? GET_64(op->c) : call->value[2], call->imm);
        if (UNLIKELY(cpu->fault)) {
            return EXEC_FAULT;
        }
        SET_64(op->d, v & call->mask);
        NEXT;
    }
    OP(call_vec)
    {
        cpu->op = op;
        call_vector(cpu, op);
        if (UNLIKELY(cpu->fault)) {
            return EXEC_FAULT;
        }
        NEXT;
    }

    OP(call_guard)
    {
        const XCall *call = op->call;

        if (UNLIKELY((GET_64(op->a) & call->value[0]) != 0)) {
            cpu->op = op;
            call->helper->fn.scalar(cpu, GET_64(op->a), 0, 0, 0);
            if (cpu->fault) {
                return EXEC_FAULT;
            }
        }
        NEXT;
    }

    OP(exit_jump)
    {
        exit = op->exit;
        FOLLOW(0);
    }
    OP(br_true)
    {
        exit = op->exit;
        if (GET_32(op->a) != 0) {
            FOLLOW(0);
        }
        FOLLOW(1);
    }
    OP(br_flags)
    {
        exit = op->exit;
        if (exit->imm >> (GET_32(op->a) & 15) & 1) {
            FOLLOW(0);
        }
        FOLLOW(1);
    }
    OP(br_test)
    {
        exit = op->exit;
        if ((GET_64(op->a) & exit->imm) != 0) {
            FOLLOW(0);
        }
        FOLLOW(1);
    }
    OP(exit_indirect)
    {
        exit = NULL;
        pc = GET_64(op->a);
        key = cpu->block->key;
        goto find;
    }
    OP(exit_indirect_key)
    {
        exit = NULL;
        pc = GET_64(op->a);
        key = cpu->guest->key(cpu);
        goto find;
    }
    OP(exit_indirect_state)
    {
        cpu->guest->set_pc(cpu, GET_64(op->a));
        return EXEC_STATE;
    }
    OP(exit_done)
    {
        return EXEC_STATE;
    }
    OP(dead)
    {
        goto unusable;
    }
    OP(breakpoint)
    {
        goto unusable;
    }

#if USE_SWITCH
    case X_N_CODES:
        g_assert_not_reached();
    }
#endif

not_linked:
    pc = exit->pc[which];
    if (UNLIKELY(exit->state)) {
        cpu->guest->set_pc(cpu, pc);
        return EXEC_STATE;
    }
    key = exit->ask_key ? cpu->guest->key(cpu) : cpu->block->key;
find : {
    CpuBlock *to = jump_find(cpu->tlb[0], pc, key);

    if (to != NULL && to->code == NULL) { /* a block of once may be followed by generated code */
        if (exit != NULL && !exit->ask_key && exec_may_link(cpu->block, to)) {
            exit->to[which] = to;
        }
        ENTER(to);
    }
    if (exit != NULL && !exit->ask_key) {
        *link = (ExecLink){ exit, which };
    }
    cpu->guest->set_pc(cpu, pc);
    return EXEC_FIND;
}

unusable: /* dropped, or a breakpoint is at its start */
    cpu->left += cpu->block->n;
    cpu->guest->set_pc(cpu, cpu->block->pc);
    return EXEC_FIND;

out_of_time:
    cpu->left += cpu->block->n;
    cpu->guest->set_pc(cpu, cpu->block->pc);
    return EXEC_LEFT;
}

void exec_bind(XOp *op, size_t n)
{
#if !USE_SWITCH
    if (exec_labels == NULL) {
        exec_run(NULL, NULL, NULL);
    }
    for (size_t i = 0; i < n; i++) {
        op[i].go = exec_labels[op[i].code];
    }
#endif
}

XCode exec_code_of(const XOp *op)
{
#if !USE_SWITCH
    for (unsigned i = 0; i < X_N_CODES; i++) {
        if (exec_labels[i] == op->go) {
            return (XCode)i;
        }
    }
#endif
    return (XCode)op->code;
}
