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

/* Where codes sit in pointers of one translation regime, for instructions or for data: IR_PAC_... */
typedef uint64_t PacLayout;

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
    PacLayout l = !tbi_of(sig, 0, data) && !tbi_of(sig, 1, data) ? IR_PAC_BY_63 : 0;

    for (unsigned range = 0; range < 2; range++) {
        unsigned size = (unsigned)extract64(sig, range == 1 && (sig & TWO_RANGES) ? 16 : 0, 6);
        uint64_t bottom = 64 - (size < 16 ? 16 : size > 48 ? 48 : size), top = tbi_of(sig, range, data) ? 55 : 63;

        l |= (bottom << IR_PAC_BOTTOM | top << IR_PAC_TOP) << range * IR_PAC_UPPER;
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
    if (spaces[n].signature == 0) {
        spaces[n] = (PacSpace){ sig, { layout_of(sig, false), layout_of(sig, true) } };
    }
    return cpu->pac_layout = (uint8_t)n;
}

/* ---- the operations ---- */

static unsigned range_of(PacLayout l, uint64_t ptr, bool signing)
{
    return ptr >> (signing && (l & IR_PAC_BY_63) ? 63 : 55) & 1;
}

/* The pointer with code bits and bit 55 replaced by the extension of its range. */
static uint64_t canonical(PacLayout l, uint64_t ptr, unsigned range)
{
    return range == 1 ? ptr | ir_pac_mask(l, 1) : ptr & ~ir_pac_mask(l, 0);
}

/* AddPAC() with FEAT_PAuth2: the code is combined into the pointer by exclusive or. @bound: the modifier ^ key_hi. */
static uint64_t sign(PacLayout l, uint64_t ptr, uint64_t key_lo, uint64_t bound)
{
    unsigned range = range_of(l, ptr, true);
    uint64_t code = pac_compute(key_lo, 0, canonical(l, ptr, range), bound);

    return deposit64(ptr ^ (code & ir_pac_mask(l, range)), 55, 1, range);
}

/* Auth() with FEAT_FPAC: a wrong code raises an exception. */
static uint64_t authenticate(A64Cpu *cpu, A64PacKey key, PacLayout l, uint64_t ptr, uint64_t key_lo, uint64_t bound)
{
    unsigned range = range_of(l, ptr, false);
    uint64_t good = canonical(l, ptr, range);
    uint64_t code = pac_compute(key_lo, 0, good, bound);

    if ((ptr ^ (code & ir_pac_mask(l, range) & ~BIT(55))) != good) {
        a64_pac_fail(cpu, key >= A64_PAC_DA, key & 1);
        return 0;
    }
    return good;
}

static PacLayout layout_now(const A64Cpu *cpu, bool data) { return layout_of(signature_of(cpu), data); }

static uint64_t do_sign(void *opaque, uint64_t ptr, uint64_t modifier, uint64_t c, uint64_t key)
{
    A64Cpu         *cpu = opaque;
    const uint64_t *half = cpu->el1.apkey[key];

    return a64_pauth_trap(cpu) ? sign(layout_now(cpu, key >= A64_PAC_DA), ptr, half[0], modifier ^ half[1]) : 0;
}

static uint64_t do_authenticate(void *opaque, uint64_t ptr, uint64_t modifier, uint64_t c, uint64_t key)
{
    A64Cpu         *cpu = opaque;
    const uint64_t *half = cpu->el1.apkey[key];

    return a64_pauth_trap(cpu) ? authenticate(cpu, (A64PacKey)key, layout_now(cpu, key >= A64_PAC_DA), ptr, half[0],
                                              modifier ^ half[1]) : 0;
}

/* The same in blocks, for a layout that the key knows. */
static uint64_t do_sign_known(void *opaque, uint64_t ptr, uint64_t key_lo, uint64_t bound, uint64_t imm)
{
    return sign(imm, ptr, key_lo, bound);
}

static uint64_t do_check_known(void *opaque, uint64_t ptr, uint64_t key_lo, uint64_t bound, uint64_t imm)
{
    return authenticate(opaque, (A64PacKey)(imm >> IR_PAC_OTHER), imm, ptr, key_lo, bound);
}

static uint64_t do_strip(void *opaque, uint64_t ptr, uint64_t b, uint64_t c, uint64_t data)
{
    PacLayout l = layout_now(opaque, data);

    return canonical(l, ptr, range_of(l, ptr, false));
}

static uint64_t do_pacga(void *opaque, uint64_t value, uint64_t modifier, uint64_t c, uint64_t imm)
{
    const A64Cpu   *cpu = opaque;
    const uint64_t *half = cpu->el1.apkey[KEY_GA];

    return a64_pauth_trap(opaque) ? pac_compute(half[0], half[1], value, modifier) & ~mask64(32) : 0;
}

static const IrHelper pac_sign = {"pac_sign", IR_I64, 2, IR_READS | IR_WRITES | IR_FAULTS,
                                  .fn.scalar = do_sign};
static const IrHelper pac_auth = {"pac_auth", IR_I64, 2, IR_READS | IR_WRITES | IR_FAULTS,
                                  .fn.scalar = do_authenticate};
static const IrHelper pac_strip = { "pac_strip", IR_I64, 1, IR_READS, .fn.scalar = do_strip };
static const IrHelper pac_generic = {"pacga", IR_I64, 2, IR_READS | IR_WRITES | IR_FAULTS,
                                     .fn.scalar = do_pacga};

static const IrHelper pac_sign_known = { "pac_sign", IR_I64, 3, IR_PURE, false, IR_INLINE_PAC_SIGN,
                                         .fn.scalar = do_sign_known };
static const IrHelper pac_check_known = { "pac_check", IR_I64, 3, IR_FAULTS, false, IR_INLINE_PAC_CHECK,
                                          .fn.scalar = do_check_known };

/* ---- in blocks ---- */

/* The layout that the key knows; 0: none. */
static PacLayout layout_in_key(const A64Trans *t, bool data)
{
    return spaces[(t->key & A64_KEY_PAC_LAYOUT) >> A64_KEY_PAC_SHIFT].of[data];
}

static IrRef call_known(A64Trans *t, const IrHelper *h, PacLayout l, IrRef ptr, IrRef modifier, A64PacKey key)
{
    IrRef half[] = { ir_get(t->ir, A64_R_PAC_KEYS + 2 * key), ir_get(t->ir, A64_R_PAC_KEYS + 2 * key + 1) };

    return ir_call(t->ir, h, ptr, half[0], ir_op2(t->ir, IR_xor, IR_I64, modifier, half[1]),
                   l | (uint64_t)key << IR_PAC_OTHER);
}

static bool key_enabled(const A64Trans *t, A64PacKey key)
{
    return t->key & (uint64_t)A64_KEY_PAC_IA << key;
}

IrRef a64_sign(A64Trans *t, IrRef ptr, IrRef modifier, A64PacKey key)
{
    PacLayout l = layout_in_key(t, key >= A64_PAC_DA);

    if (!key_enabled(t, key)) {
        return ptr;
    }
    return l != 0 ? call_known(t, &pac_sign_known, l, ptr, modifier, key)
                  : ir_call(t->ir, &pac_sign, ptr, modifier, 0, key);
}

IrRef a64_authenticate(A64Trans *t, IrRef ptr, IrRef modifier, A64PacKey key)
{
    PacLayout l = layout_in_key(t, key >= A64_PAC_DA);

    if (!key_enabled(t, key)) {
        return ptr;
    }
    return l != 0 ? call_known(t, &pac_check_known, l, ptr, modifier, key)
                  : ir_call(t->ir, &pac_auth, ptr, modifier, 0, key);
}

static IrRef op2(A64Trans *t, IrOp op, IrRef a, IrRef b) { return ir_op2(t->ir, op, IR_I64, a, b); }
static IrRef constant(A64Trans *t, uint64_t v) { return ir_const(t->ir, IR_I64, v); }

/* The bits in which the pointer differs from its canonical form, taken from it. */
IrRef a64_strip(A64Trans *t, IrRef ptr, bool data)
{
    PacLayout l = layout_in_key(t, data);

    if (l == 0) {
        return ir_call(t->ir, &pac_strip, ptr, 0, 0, data);
    }
    uint64_t lower = ir_pac_mask(l, 0), higher = ir_pac_mask(l, 1);
    IrRef    upper = op2(t, IR_sar, op2(t, IR_shl, ptr, constant(t, 8)), constant(t, 63));
    IrRef    mask = constant(t, lower);

    if (lower != higher) {
        mask = op2(t, IR_xor, mask, op2(t, IR_and, upper, constant(t, lower ^ higher)));
    }
    return op2(t, IR_xor, ptr, op2(t, IR_and, op2(t, IR_xor, ptr, upper), mask));
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
