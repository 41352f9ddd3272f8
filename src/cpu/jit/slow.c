/*
 * The C side of calls from generated code: slow accesses, helpers, and operations that are not made inline. Registers
 * are in Cpu.saved; what is written there is in the registers when the code goes on.
 */
#include <immintrin.h>
#include <string.h>

#include "cpu/ir/wide.h"
#include "cpu/jit/jit_int.h"

/* ---- places ---- */

static void *place_of(Cpu *cpu, const JitPlace *p)
{
    switch (p->kind) {
    case AT_GPR:
        return &cpu->saved.gpr[p->reg];
    case AT_XMM:
        return cpu->saved.xmm[p->reg];
    case AT_MEM:
        return (uint8_t *)cpu + p->v;
    default:
        return NULL;
    }
}

static unsigned type_bytes(IrType ty) { return ty == IR_FLAGS ? 4 : ir_type_bits(ty) / 8; }

/* A value of up to 64 bits, zero-extended. */
static uint64_t get(const Jit *j, Cpu *cpu, const JitPlace *p)
{
    uint64_t v = 0;

    if (p->kind == AT_CONST) {
        v = p->reg == 1 ? j->pool[p->v] : (uint64_t)(int64_t)p->v;
        return v & mask64(MIN(type_bytes(p->type) * 8, 64));
    }
    if (p->kind != AT_NONE) {
        memcpy(&v, place_of(cpu, p), MIN(type_bytes(p->type), 8));
    }
    return v;
}

static void set(Cpu *cpu, const JitPlace *p, uint64_t v)
{
    if (p->kind != AT_NONE) {
        memcpy(place_of(cpu, p), &v, 8);
    }
}

/* Storage of an operand for functions that take pointers; constants and integers in @tmp, zero-extended. */
static const void *pointer(const Jit *j, Cpu *cpu, const JitPlace *p, uint64_t tmp[2])
{
    if (p->kind == AT_NONE) {
        return NULL;
    }
    if (p->kind == AT_CONST || p->kind == AT_GPR) {
        tmp[0] = get(j, cpu, p);
        tmp[1] = 0;
        return tmp;
    }
    return place_of(cpu, p);
}

/* A result that was delivered through a pointer. */
static void set_wide(Cpu *cpu, const JitPlace *p, const uint64_t v[2])
{
    if (p->kind == AT_GPR) {
        set(cpu, p, v[0] & mask64(MIN(type_bytes(p->type) * 8, 64)));
    } else if (p->kind != AT_NONE) {
        memcpy(place_of(cpu, p), v, 16);
    }
}

/* ---- pinned guest registers ---- */

/* The flags register, where generated code has not written it. */
static void put_packed(const Jit *j, Cpu *cpu, uint32_t packed)
{
    memcpy((uint8_t *)cpu + j->flags_offset, &packed, sizeof(packed));
    cpu->flags_how = 0;
}

static void put_flags(const Jit *j, Cpu *cpu, IrFlagsKind kind, bool wide, bool from_result, uint64_t a, uint64_t b)
{
    unsigned width = wide ? 64 : 32;

    if (from_result) {
        a = kind == IR_FLAGS_SUB ? a + b : a - b;
    }
    put_packed(j, cpu, ir_eval_flags(kind, width, a & mask64(width), b & mask64(width), kind == IR_FLAGS_SUB));
}

void jit_write_flags(const Jit *j, Cpu *cpu, uint32_t how)
{
    uint64_t a, b = how >> JIT_HOW_B & mask64(JIT_HOW_BITS);

    if (how == 0) {
        return;
    }
    if (how & JIT_HOW_PACKED) {
        put_packed(j, cpu, (uint32_t)b);
        return;
    }
    memcpy(&a, (uint8_t *)cpu + (how >> JIT_HOW_A & mask64(JIT_HOW_BITS)) * 8, sizeof(a));
    if (!(how & JIT_HOW_CONSTANT)) {
        memcpy(&b, (uint8_t *)cpu + b * 8, sizeof(b));
    }
    put_flags(j, cpu, (IrFlagsKind)((how & JIT_HOW_KIND) - 1), how & JIT_HOW_WIDE, how & JIT_HOW_FROM_RESULT, a, b);
}

/* Those of a comparison, which has raised its exceptions already. */
static void put_fp_flags(const Jit *j, Cpu *cpu, const JitSite *s)
{
    uint64_t a = get(j, cpu, &s->flags.a), b = get(j, cpu, &s->flags.b);
    float    x32, y32;
    double   x, y;

    memcpy(&x32, &a, sizeof(x32));
    memcpy(&y32, &b, sizeof(y32));
    memcpy(&x, &a, sizeof(x));
    memcpy(&y, &b, sizeof(y));
    if (s->flags.fp == 2) {
        x = (double)x32;
        y = (double)y32;
    }
    put_packed(j, cpu, x != x || y != y ? IR_PACK_C | IR_PACK_V : x < y ? IR_PACK_N :
                       x == y ? IR_PACK_Z | IR_PACK_C : IR_PACK_C);
}

static void write_flags(const Jit *j, Cpu *cpu, const JitSite *s)
{
    if (s->flags.valid && s->flags.fp != 0) {
        put_fp_flags(j, cpu, s);
    } else if (s->flags.valid) {
        put_flags(j, cpu, (IrFlagsKind)s->flags.kind, s->flags.wide, s->flags.from_result, get(j, cpu, &s->flags.a),
                  get(j, cpu, &s->flags.b));
    } else {
        jit_write_flags(j, cpu, s->flags_how != 0 ? s->flags_how : cpu->flags_how);
    }
}

static void write_back(Cpu *cpu, const JitSite *s)
{
    for (unsigned i = 0; i < s->code->n_pins; i++) {
        const JitPin *p = &s->code->pin[i];

        if (!(s->dirty >> i & 1)) {
            continue;
        }
        if (p->vector) {
            memcpy((uint8_t *)cpu + p->offset, cpu->saved.xmm[p->host], 16);
        } else {
            memcpy((uint8_t *)cpu + p->offset, &cpu->saved.gpr[p->host], 8);
        }
    }
}

static void reload(Cpu *cpu, const JitSite *s)
{
    for (unsigned i = 0; i < s->code->n_pins; i++) {
        const JitPin *p = &s->code->pin[i];

        if (p->vector) {
            memcpy(cpu->saved.xmm[p->host], (uint8_t *)cpu + p->offset, 16);
        } else {
            memcpy(&cpu->saved.gpr[p->host], (uint8_t *)cpu + p->offset, 8);
        }
    }
}

/* ---- accesses ---- */

static uint64_t address(const Jit *j, Cpu *cpu, const JitSite *s)
{
    return get(j, cpu, &s->a) + (get(j, cpu, &s->b) << s->shift) + s->offset;
}

/* What was loaded; what is above that is 0. */
static void set_loaded(Cpu *cpu, const JitSite *s, uint64_t v[2], const JitPlace *d)
{
    unsigned size = 1u << s->mem.size_log2, bits = ir_type_bits(s->type);

    if (s->mem.sign && size < 8) {
        v[0] = (uint64_t)sign_extend64(v[0], size * 8) & mask64(MIN(bits, 64));
    }
    if (d->kind == AT_XMM) {
        memset(cpu->saved.xmm[d->reg], 0, 16);
        memcpy(cpu->saved.xmm[d->reg], v, size);
    } else {
        set(cpu, d, size < 8 && !s->mem.sign ? v[0] & mask64(size * 8) : v[0]);
    }
}

static bool load_one(Cpu *cpu, const JitSite *s, uint64_t va, const JitPlace *d)
{
    uint64_t v[2] = { 0 };

    if (!cpu_load_slow(cpu, va, s->mem, v)) {
        return false;
    }
    set_loaded(cpu, s, v, d);
    return true;
}

static bool store_one(const Jit *j, Cpu *cpu, const JitSite *s, uint64_t va, const JitPlace *from)
{
    uint64_t tmp[2];

    return cpu_store_slow(cpu, va, s->mem, pointer(j, cpu, from, tmp));
}

static bool slow_access(const Jit *j, Cpu *cpu, const JitSite *s)
{
    uint64_t va = address(j, cpu, s), second = va + (1u << s->mem.size_log2);

    if (s->kind == SITE_STORE) {
        return store_one(j, cpu, s, va, &s->c) && (!s->pair || store_one(j, cpu, s, second, &s->d2));
    }
    return load_one(cpu, s, va, &s->d) && (!s->pair || load_one(cpu, s, second, &s->d2));
}

/* Where the access is in the host's memory, if no more is to do for it: the table has its page, or it is a store beside
 * code. Only code that runs seldom leaves C what the table has: the rest of a group whose check failed. */
static uint8_t *host_of_access(const Jit *j, Cpu *cpu, const JitSite *s)
{
    bool            write = s->kind == SITE_STORE || s->mem.write_intent;
    unsigned        size = (1u << s->mem.size_log2) << s->pair;
    uint64_t        va = address(j, cpu, s);
    CpuTlb         *t = cpu->tlb[s->mem.space];
    const TlbEntry *e = tlb_slot(write ? t->write : t->read, va);

    if (va - e->tag <= PAGE_SIZE - size && !s->mem.big && !s->mem.align) {
        return (uint8_t *)(uintptr_t)(va + e->addend);
    }
    if (s->kind != SITE_STORE) {
        return NULL;
    }
    uint8_t *host = cpu_beside_code(cpu, va, s->mem, size);
    if (host != NULL && s->slot != 0) {
        const JitSlot *slot = &j->slot[s->slot - 1];
        PageSlot      *where = (PageSlot *)((uint8_t *)t + slot->offset);

        cpu_slot_beside_code(cpu, va, (unsigned)(PAGE_SIZE + 1 - slot->limit), where);
    }
    return host;
}

/* Sees no register that is not in Cpu.saved, and cannot fault. False: it was not done. */
static bool simple_access(const Jit *j, Cpu *cpu, const JitSite *s)
{
    const JitPlace *part[] = { s->kind == SITE_STORE ? &s->c : &s->d, &s->d2 };
    uint8_t        *host = host_of_access(j, cpu, s);
    unsigned        size = 1u << s->mem.size_log2;
    uint64_t        v[2];

    if (host == NULL) {
        return false;
    }
    for (unsigned i = 0; i <= s->pair; i++, host += size) {
        if (s->kind == SITE_STORE) {
            memcpy(host, pointer(j, cpu, part[i], v), size);
        } else {
            v[0] = v[1] = 0;
            memcpy(v, host, size);
            set_loaded(cpu, s, v, part[i]);
        }
    }
    return true;
}

/* ---- helpers ---- */

static void call_vector(const Jit *j, Cpu *cpu, const JitSite *s, uint64_t r[2])
{
    uint64_t tmp[3][2];

    s->helper->fn.vec(cpu, r, pointer(j, cpu, &s->a, tmp[0]), pointer(j, cpu, &s->b, tmp[1]),
                      pointer(j, cpu, &s->c, tmp[2]), s->imm);
}

/*
 * A helper of vectors that has no other effect than to set bits of the status register. That does not mind what the
 * host's exception flags hold for the guest, so they stay, which is cheaper than to clear them: changing them takes the
 * host fifty times as long as an addition. What the helper itself raises on the host is taken back.
 */
static void call_arithmetic(const Jit *j, Cpu *cpu, const JitSite *s, uint64_t r[2])
{
    bool     computes = cpu->fp_used && (s->helper->host_fp >> (s->imm & 3) & 1) != 0;
    unsigned csr = computes ? _mm_getcsr() : 0;

    if (computes && j->traps) {
        _mm_setcsr(csr | JIT_TRAPS);
    }
    call_vector(j, cpu, s, r);
    if (computes && _mm_getcsr() != csr) {
        _mm_setcsr(csr);
    }
}

static void call_helper(const Jit *j, Cpu *cpu, const JitSite *s)
{
    const IrHelper *h = s->helper;
    uint64_t        r[2] = { 0 };

    if (h->vector && (h->effects & ~IR_STATUS) == 0) {
        call_arithmetic(j, cpu, s, r);
        set_wide(cpu, &s->d, r);
        return;
    }
    uint8_t used = h->effects & IR_STATUS ? jit_begin_c(cpu) : 0;
    if (h->vector) {
        call_vector(j, cpu, s, r);
    } else {
        r[0] = h->fn.scalar(cpu, get(j, cpu, &s->a), get(j, cpu, &s->b), get(j, cpu, &s->c), s->imm);
        r[0] &= h->ret == IR_FLAGS ? 15 : mask64(MIN(ir_type_bits(h->ret), 64));
    }
    jit_end_c(cpu, used);
    if (!cpu->fault && (h->effects & IR_WRITES)) {
        reload(cpu, s);
    }
    if (!cpu->fault) {
        set_wide(cpu, &s->d, r);
    }
}

/* ---- operations ---- */

typedef void WideFn(void *d, const void *a, const void *b, const void *c, uint32_t imm, unsigned bytes,
                    unsigned src_bytes);

static WideFn *const wide_fns[IR_N_OPS] = {
#define FN_PURE(name)
#define FN_CMP(name)
#define FN_TYPED(name)
#define FN_WIDE(name) [IR_##name] = ir_wide_##name,
#define IR_OP(name, args, flags, meaning) FN_##flags(name)
#include "cpu/ir/ops.h"
#undef IR_OP
};

static void wide(const Jit *j, Cpu *cpu, const JitSite *s)
{
    uint64_t tmp[3][2], r[2] = { 0 };

    wide_fns[s->op](r, pointer(j, cpu, &s->a, tmp[0]), pointer(j, cpu, &s->b, tmp[1]), pointer(j, cpu, &s->c, tmp[2]),
                    (uint32_t)s->imm, ir_type_bits(s->type) / 8, ir_type_bits(s->a.type) / 8);
    set_wide(cpu, &s->d, r);
}

static void evaluate(const Jit *j, Cpu *cpu, const JitSite *s)
{
    set(cpu, &s->d, ir_eval(s->op, (IrType)s->shift, s->type, get(j, cpu, &s->a), get(j, cpu, &s->b),
                            get(j, cpu, &s->c), s->imm));
}

/* The host's address of the base of the group that the access leads, for those that follow: the access may have brought
 * their page into the table. */
static void find_host(Cpu *cpu, const JitSite *s, uint64_t base)
{
    CpuTlb         *t = cpu->tlb[0];
    uint64_t        first = base + (uint64_t)(int64_t)s->group.low;
    const TlbEntry *e = tlb_slot(s->group.write ? t->write : t->read, first);
    uint64_t        host = first - e->tag <= PAGE_SIZE - (uint64_t)s->group.bytes ? base + e->addend : 0;

    if (s->group.host < 16) {
        cpu->saved.gpr[s->group.host] = host;
    } else {
        memcpy(&cpu->temp[s->group.host - 16], &host, sizeof(host));
    }
}

/* What may reach anything: translation tables, devices, models of firmware. False: an exception was raised. */
static bool call_out(const Jit *j, Cpu *cpu, const JitSite *s)
{
    switch (s->kind) {
    case SITE_LOAD:
    case SITE_STORE:
        return slow_access(j, cpu, s) && !cpu->fault;
    case SITE_GUARD:
        s->helper->fn.scalar(cpu, get(j, cpu, &s->a), 0, 0, 0);
        return !cpu->fault;
    default:
        call_helper(j, cpu, s);
        return !cpu->fault;
    }
}

/* With all that C may look at in memory. False: the block is left. */
static bool leave_for_c(const Jit *j, Cpu *cpu, const JitSite *s)
{
    uint8_t used = jit_begin_c(cpu);

    cpu->site = &s->at;
    write_back(cpu, s);
    write_flags(j, cpu, s);
    if (!call_out(j, cpu, s)) {
        return false;
    }
    jit_end_c(cpu, used);
    cpu->site = NULL;
    return true;
}

const void *jit_slow(Cpu *cpu, const void *back)
{
    Jit           *j = cpu->engine->jit;
    const JitSite *s = &j->site[jit_called(j, back)];

    if (s->kind == SITE_WIDE) {
        wide(j, cpu, s);
        return back;
    }
    if (s->kind == SITE_EVAL) {
        evaluate(j, cpu, s);
        return back;
    }
    if (s->kind == SITE_CALL && (s->helper->effects & ~IR_STATUS) == 0) {
        call_helper(j, cpu, s); /* sees no pinned register and does not fault */
        return back;
    }
    if (s->kind != SITE_LOAD && s->kind != SITE_STORE) {
        return leave_for_c(j, cpu, s) ? back : NULL;
    }
    const CpuTlb *t = cpu->tlb[0];
    uint32_t      losses = t->losses;
    uint64_t      base = get(j, cpu, &s->a); /* a load may write its register */
    if (!simple_access(j, cpu, s) && !leave_for_c(j, cpu, s)) {
        return NULL;
    }
    if (s->group.bytes != 0) {
        find_host(cpu, s, base);
    }
    return cpu->tlb[0] == t && t->losses == losses ? (const uint8_t *)back + s->stale_bytes : back;
}
