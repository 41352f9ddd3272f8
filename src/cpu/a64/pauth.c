/*
 * Pointer authentication: FEAT_PAuth, FEAT_PAuth2, FEAT_FPAC and FEAT_FPACCOMBINE with an algorithm of our
 * own (IMPLEMENTATION DEFINED: ID_AA64ISAR1_EL1.API and GPI). Arm DDI 0487, "Pointer authentication" and
 * shared pseudocode functions/pac.
 */
#include "bits.h"
#include "cpu/a64/crypto.h"
#include "cpu/a64/decode.h"
#include "cpu/a64/system.h"

enum { KEY_GA = 4 };

/* Where codes sit in pointers of one translation regime, for instructions or for data. */
typedef struct PacLayout {
    uint64_t mask[2];    /* of the lower and the upper range: the bits of the code, and bit 55 */
    bool     sign_by_63; /* AddPAC(): bit 63 chooses the range, not bit 55 */
} PacLayout;

/* The layouts that translated code was made for; their number is part of the block key, 0 for none. */
typedef struct PacSpace {
    uint64_t  signature; /* what of the regime and its TCR decides, not 0 */
    PacLayout of[2];     /* instructions, data */
} PacSpace;

enum { N_SPACES = 1 + (A64_KEY_PAC_LAYOUT >> A64_KEY_PAC_SHIFT) };

static PacSpace spaces[N_SPACES];

#define TWO_RANGES   BIT(63)
#define IS_SIGNATURE BIT(62)

/* T0SZ, T1SZ, TBI0, TBI1, TBID0, TBID1; or T0SZ, TBI, TBID of a regime with one range. */
#define TCR_TWO_RANGES (0x3full | 0x3full << 16 | BIT(37) | BIT(38) | BIT(51) | BIT(52))
#define TCR_ONE_RANGE  (0x3full | BIT(20) | BIT(29))

static uint64_t signature_of(const A64Cpu *cpu)
{
    A64Regime regime = a64_regime(cpu);
    uint64_t  tcr = regime == A64_REGIME_EL10 ? cpu->el1.tcr : regime == A64_REGIME_EL3 ? cpu->el3.tcr : cpu->el2.tcr;

    if (regime == A64_REGIME_EL10 || regime == A64_REGIME_EL20) {
        return (tcr & TCR_TWO_RANGES) | TWO_RANGES | IS_SIGNATURE;
    }
    return (tcr & TCR_ONE_RANGE) | IS_SIGNATURE;
}

/* Effective top byte ignore of one range: TBIn, and for code not TBIDn. @range 0 or 1. */
static bool tbi_of(uint64_t sig, unsigned range, bool data)
{
    if (!(sig & TWO_RANGES)) {
        return (sig & BIT(20)) && (data || !(sig & BIT(29)));
    }
    return (sig & BIT(37 + range)) && (data || !(sig & BIT(51 + range)));
}

/* EffectiveTBI() and CalculateBottomPACBit(). */
static PacLayout layout_of(uint64_t sig, bool data)
{
    PacLayout l = { .sign_by_63 = !tbi_of(sig, 0, data) && !tbi_of(sig, 1, data) };

    for (unsigned range = 0; range < 2; range++) {
        unsigned size = (unsigned)extract64(sig, range == 1 && (sig & TWO_RANGES) ? 16 : 0, 6);
        unsigned bottom = 64 - (size < 16 ? 16 : size > 48 ? 48 : size);

        l.mask[range] = (tbi_of(sig, range, data) ? mask64(56) : ~0ull) & ~mask64(bottom);
    }
    return l;
}

/* HCR_EL2.API and SCR_EL3.API trap what signs and authenticates. */
static bool is_trapped(const A64Cpu *cpu)
{
    return (cpu->el < 2 && a64_el2_enabled(cpu) && !(a64_hcr(cpu) & HCR_API)) ||
           (cpu->el < 3 && !(cpu->el3.scr & SCR_API));
}

unsigned a64_pac_layout(A64Cpu *cpu)
{
    uint64_t sig = is_trapped(cpu) ? 0 : signature_of(cpu);
    unsigned n = cpu->pac_layout;

    if (sig == 0 || spaces[n].signature == sig) {
        return sig == 0 ? 0 : n;
    }
    for (n = 1; n < N_SPACES && spaces[n].signature != 0 && spaces[n].signature != sig; n++) {
    }
    if (n == N_SPACES) {
        return 0; /* more regimes than numbers: left to the helpers */
    }
    spaces[n] = (PacSpace){ sig, { layout_of(sig, false), layout_of(sig, true) } };
    return cpu->pac_layout = (uint8_t)n;
}

/* ---- the operations ---- */

static unsigned range_of(const PacLayout *l, uint64_t ptr, bool signing)
{
    return ptr >> (signing && l->sign_by_63 ? 63 : 55) & 1;
}

/* The pointer with code bits and bit 55 replaced by the extension of its range. */
static uint64_t canonical(const PacLayout *l, uint64_t ptr, unsigned range)
{
    return range == 1 ? ptr | l->mask[1] : ptr & ~l->mask[0];
}

static uint64_t code_of(const A64Cpu *cpu, unsigned key, uint64_t ptr, uint64_t modifier)
{
    return pac_compute(cpu->el1.apkey[key][0], cpu->el1.apkey[key][1], ptr, modifier);
}

/* AddPAC() with FEAT_PAuth2: the code is combined into the pointer by exclusive or. */
static uint64_t do_sign(void *opaque, uint64_t ptr, uint64_t modifier, uint64_t c, uint64_t key)
{
    A64Cpu *cpu = opaque;

    if (!a64_pauth_trap(cpu)) {
        return 0;
    }
    PacLayout l = layout_of(signature_of(cpu), key >= A64_PAC_DA);
    unsigned  range = range_of(&l, ptr, true);
    uint64_t  code = code_of(cpu, (unsigned)key, canonical(&l, ptr, range), modifier);
    return deposit64(ptr ^ (code & l.mask[range]), 55, 1, range);
}

static void fail(void *cpu, A64PacKey key)
{
    a64_pac_fail(cpu, key >= A64_PAC_DA, key & 1);
}

/* Auth() with FEAT_FPAC: a wrong code raises an exception. */
static uint64_t do_authenticate(void *opaque, uint64_t ptr, uint64_t modifier, uint64_t c, uint64_t key)
{
    A64Cpu *cpu = opaque;

    if (!a64_pauth_trap(cpu)) {
        return 0;
    }
    PacLayout l = layout_of(signature_of(cpu), key >= A64_PAC_DA);
    unsigned  range = range_of(&l, ptr, false);
    uint64_t  good = canonical(&l, ptr, range);
    uint64_t  code = code_of(cpu, (unsigned)key, good, modifier);
    if ((ptr ^ (code & l.mask[range] & ~BIT(55))) != good) {
        fail(cpu, (A64PacKey)key);
        return 0;
    }
    return good;
}

static uint64_t do_strip(void *opaque, uint64_t ptr, uint64_t b, uint64_t c, uint64_t data)
{
    PacLayout l = layout_of(signature_of(opaque), data);

    return canonical(&l, ptr, range_of(&l, ptr, false));
}

static uint64_t do_pacga(void *opaque, uint64_t value, uint64_t modifier, uint64_t c, uint64_t imm)
{
    return a64_pauth_trap(opaque) ? code_of(opaque, KEY_GA, value, modifier) & ~mask64(32) : 0;
}

static const IrHelper pac_sign = {"pac_sign", IR_I64, 2, IR_READS | IR_WRITES | IR_FAULTS,
                                  .fn.scalar = do_sign};
static const IrHelper pac_auth = {"pac_auth", IR_I64, 2, IR_READS | IR_WRITES | IR_FAULTS,
                                  .fn.scalar = do_authenticate};
static const IrHelper pac_strip = { "pac_strip", IR_I64, 1, IR_READS, .fn.scalar = do_strip };
static const IrHelper pac_generic = {"pacga", IR_I64, 2, IR_READS | IR_WRITES | IR_FAULTS,
                                     .fn.scalar = do_pacga};

/* The same for a wrong code that a block has found. */
#define FAIL_HELPER(key)                                                                          \
    static uint64_t fail_##key(void *cpu, uint64_t a, uint64_t b, uint64_t c, uint64_t imm)       \
    {                                                                                             \
        fail(cpu, A64_PAC_##key);                                                                 \
        return 0;                                                                                 \
    }

FAIL_HELPER(IA)
FAIL_HELPER(IB)
FAIL_HELPER(DA)
FAIL_HELPER(DB)

static const IrHelper pac_fail[] = {
    { "pac_fail_ia", IR_VOID, 1, IR_FAULTS, .fn.scalar = fail_IA },
    { "pac_fail_ib", IR_VOID, 1, IR_FAULTS, .fn.scalar = fail_IB },
    { "pac_fail_da", IR_VOID, 1, IR_FAULTS, .fn.scalar = fail_DA },
    { "pac_fail_db", IR_VOID, 1, IR_FAULTS, .fn.scalar = fail_DB },
};

/* ---- the same in blocks, for a layout that the key knows ---- */

static IrRef op2(A64Trans *t, IrOp op, IrRef a, IrRef b) { return ir_op2(t->ir, op, IR_I64, a, b); }
static IrRef constant(A64Trans *t, uint64_t v) { return ir_const(t->ir, IR_I64, v); }

static const PacLayout *layout_in_key(const A64Trans *t, bool data)
{
    unsigned n = (unsigned)((t->key & A64_KEY_PAC_LAYOUT) >> A64_KEY_PAC_SHIFT);

    return n == 0 ? NULL : &spaces[n].of[data];
}

/* All ones when @ptr is of the upper range, else 0. */
static IrRef upper_range(A64Trans *t, const PacLayout *l, IrRef ptr, bool signing)
{
    bool by_63 = signing && l->sign_by_63;

    return op2(t, IR_sar, by_63 ? ptr : op2(t, IR_shl, ptr, constant(t, 8)), constant(t, 63));
}

static IrRef mask_of(A64Trans *t, const PacLayout *l, IrRef upper)
{
    IrRef lower = constant(t, l->mask[0]);

    return l->mask[0] == l->mask[1]
               ? lower : op2(t, IR_xor, lower, op2(t, IR_and, upper, constant(t, l->mask[0] ^ l->mask[1])));
}

/* The bits in which the pointer differs from its canonical form. */
static IrRef beyond_canonical(A64Trans *t, IrRef ptr, IrRef upper, IrRef mask)
{
    return op2(t, IR_and, op2(t, IR_xor, ptr, upper), mask);
}

/* pac_compute(). */
static IrRef emit_code(A64Trans *t, A64PacKey key, IrRef ptr, IrRef modifier)
{
    IrRef x = op2(t, IR_xor, ptr, ir_get(t->ir, A64_R_PAC_KEYS + 2 * key));
    IrRef y = op2(t, IR_xor, modifier, ir_get(t->ir, A64_R_PAC_KEYS + 2 * key + 1));

    x = op2(t, IR_xor, x, constant(t, PAC_DATA));
    y = op2(t, IR_xor, y, constant(t, PAC_MODIFIER));
    return op2(t, IR_mul, op2(t, IR_xor, op2(t, IR_mul, x, y), op2(t, IR_mulhu, x, y)), constant(t, PAC_SPREAD));
}

static IrRef emit_sign(A64Trans *t, const PacLayout *l, IrRef ptr, IrRef modifier, A64PacKey key)
{
    IrRef upper = upper_range(t, l, ptr, true), mask = mask_of(t, l, upper);
    IrRef good = op2(t, IR_xor, ptr, beyond_canonical(t, ptr, upper, mask));
    IrRef code = op2(t, IR_and, emit_code(t, key, good, modifier), op2(t, IR_and, mask, constant(t, ~BIT(55))));
    IrRef r = op2(t, IR_xor, ptr, code);

    return l->sign_by_63 ? ir_opi(t->ir, IR_bfi, IR_I64, r, upper, 55 | 1 << 8) : r;
}

static IrRef emit_authenticate(A64Trans *t, const PacLayout *l, IrRef ptr, IrRef modifier, A64PacKey key)
{
    IrRef upper = upper_range(t, l, ptr, false), mask = mask_of(t, l, upper);
    IrRef extra = beyond_canonical(t, ptr, upper, mask), good = op2(t, IR_xor, ptr, extra);
    IrRef code = op2(t, IR_and, emit_code(t, key, good, modifier), op2(t, IR_and, mask, constant(t, ~BIT(55))));

    ir_guard(t->ir, op2(t, IR_xor, extra, code), ~0ull, &pac_fail[key]);
    return good;
}

static bool key_enabled(const A64Trans *t, A64PacKey key)
{
    return t->key & (uint64_t)A64_KEY_PAC_IA << key;
}

IrRef a64_sign(A64Trans *t, IrRef ptr, IrRef modifier, A64PacKey key)
{
    const PacLayout *l = layout_in_key(t, key >= A64_PAC_DA);

    if (!key_enabled(t, key)) {
        return ptr;
    }
    return l != NULL ? emit_sign(t, l, ptr, modifier, key) : ir_call(t->ir, &pac_sign, ptr, modifier, 0, key);
}

IrRef a64_authenticate(A64Trans *t, IrRef ptr, IrRef modifier, A64PacKey key)
{
    const PacLayout *l = layout_in_key(t, key >= A64_PAC_DA);

    if (!key_enabled(t, key)) {
        return ptr;
    }
    return l != NULL ? emit_authenticate(t, l, ptr, modifier, key)
                     : ir_call(t->ir, &pac_auth, ptr, modifier, 0, key);
}

IrRef a64_strip(A64Trans *t, IrRef ptr, bool data)
{
    const PacLayout *l = layout_in_key(t, data);

    if (l == NULL) {
        return ir_call(t->ir, &pac_strip, ptr, 0, 0, data);
    }
    IrRef upper = upper_range(t, l, ptr, false);
    return op2(t, IR_xor, ptr, beyond_canonical(t, ptr, upper, mask_of(t, l, upper)));
}

/* ---- instructions with registers; those in the hint space are in insn_system.c, branches in insn_branch.c
 * ---- */

/* PACIA, PACIB, PACDA, PACDB, AUTIA .. AUTDB and the forms with modifier zero (Z). "Data-processing (1
 * source)". */
A64_FEAT("FEAT_PAuth", "1 1 0 11010110 00001 00 Z A opcode2 Rn Rd", pac_reg)
{
    if (f->Z && f->Rn != 31) {
        return a64_undefined(t);
    }
    IrRef ptr = a64_x(t, IR_I64, f->Rd);
    IrRef modifier = f->Z ? ir_const(t->ir, IR_I64, 0) : a64_xsp(t, IR_I64, f->Rn);
    a64_set_x(t, IR_I64, f->Rd,
              (f->A ? a64_authenticate : a64_sign)(t, ptr, modifier, (A64PacKey)f->opcode2));
}

/* XPACI, XPACD. */
A64_FEAT("FEAT_PAuth", "1 1 0 11010110 00001 01000 D 11111 Rd", xpac)
{
    a64_set_x(t, IR_I64, f->Rd, a64_strip(t, a64_x(t, IR_I64, f->Rd), f->D));
}

/* PACGA. "Data-processing (2 source)". */
A64_FEAT("FEAT_PAuth", "1 0 0 11010110 Rm 001100 Rn Rd", pacga)
{
    IrRef modifier = a64_xsp(t, IR_I64, f->Rm);

    a64_set_x(t, IR_I64, f->Rd, ir_call(t->ir, &pac_generic, a64_x(t, IR_I64, f->Rn), modifier, 0, 0));
}

/* LDRAA, LDRAB. "Load/store register (pac)". */
A64_FEAT("FEAT_PAuth", "11 111 0 00 M S 1 imm9 W 1 Rn Rt", ldra)
{
    int64_t offset = sign_extend64(f->S << 9 | f->imm9, 10) * 8;
    IrRef   zero = ir_const(t->ir, IR_I64, 0);
    IrRef   base = a64_address(t, f->Rn, 0);
    IrRef   addr = a64_plus(t, a64_authenticate(t, base, zero, f->M ? A64_PAC_DB : A64_PAC_DA), offset);
    IrRef   v = ir_load(t->ir, IR_I64, a64_mem(t, 3), addr);

    if (f->W) {
        a64_set_xsp(t, IR_I64, f->Rn, addr);
    }
    a64_set_x(t, IR_I64, f->Rt, v);
}
