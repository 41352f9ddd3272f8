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

/* What of the translation regime decides where the code sits in a pointer. */
typedef struct PacLayout {
    bool     tbi;    /* the top byte is not part of the address, and of no code */
    bool     high;   /* the upper address range: extension bits are ones */
    unsigned bottom; /* lowest bit of the code */
} PacLayout;

/* Whether the regime has two address ranges (EL1&0, EL2&0), and its TCR. */
static bool two_ranges(const A64Cpu *cpu, uint64_t *tcr)
{
    A64Regime regime = a64_regime(cpu);

    *tcr = regime == A64_REGIME_EL10 ? cpu->el1.tcr : regime == A64_REGIME_EL3 ? cpu->el3.tcr : cpu->el2.tcr;
    return regime == A64_REGIME_EL10 || regime == A64_REGIME_EL20;
}

/* Effective top byte ignore of one range: TBIn, and for code not TBIDn. @range 0 or 1. */
static bool tbi_of(uint64_t tcr, unsigned range, bool data)
{
    return (tcr & BIT(37 + range)) && (data || !(tcr & BIT(51 + range)));
}

/* EffectiveTBI() and CalculateBottomPACBit(); @signing as AddPAC() chooses the range bit. */
static PacLayout layout_of(const A64Cpu *cpu, uint64_t ptr, bool data, bool signing)
{
    PacLayout l = { .high = ptr & BIT(55) };
    uint64_t  tcr;

    if (two_ranges(cpu, &tcr)) {
        bool any_tbi = tbi_of(tcr, 0, data) || tbi_of(tcr, 1, data);

        l.tbi = tbi_of(tcr, l.high, data);
        if (signing && !any_tbi) {
            l.high = ptr >> 63;
        }
        unsigned size = (unsigned)extract64(tcr, l.high ? 16 : 0, 6);
        l.bottom = 64 - (size < 16 ? 16 : size > 48 ? 48 : size);
    } else {
        unsigned size = (unsigned)extract64(tcr, 0, 6);

        l.tbi = (tcr & BIT(20)) && (data || !(tcr & BIT(29)));
        l.high = signing && !l.tbi ? ptr >> 63 : l.high;
        l.bottom = 64 - (size < 16 ? 16 : size > 48 ? 48 : size);
    }
    return l;
}

/* The bits that hold the code: from the bottom up without bit 55, and without the top byte under TBI. */
static uint64_t code_mask(PacLayout l)
{
    uint64_t mask = mask64(55) & ~mask64(l.bottom);

    return l.tbi ? mask : mask | 0xffull << 56;
}

/* The pointer with code bits and bit 55 replaced by its extension. */
static uint64_t canonical(PacLayout l, uint64_t ptr)
{
    uint64_t mask = code_mask(l) | BIT(55);

    return l.high ? ptr | mask : ptr & ~mask;
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
    PacLayout l = layout_of(cpu, ptr, key >= A64_PAC_DA, true);
    uint64_t  code = code_of(cpu, (unsigned)key, canonical(l, ptr), modifier);
    uint64_t  r = ptr ^ (code & code_mask(l));
    return l.high ? r | BIT(55) : r & ~BIT(55);
}

/* Auth() with FEAT_FPAC: a wrong code raises an exception. */
static uint64_t do_authenticate(void *opaque, uint64_t ptr, uint64_t modifier, uint64_t c, uint64_t key)
{
    A64Cpu *cpu = opaque;

    if (!a64_pauth_trap(cpu)) {
        return 0;
    }
    PacLayout l = layout_of(cpu, ptr, key >= A64_PAC_DA, false);
    uint64_t  good = canonical(l, ptr);
    uint64_t  code = code_of(cpu, (unsigned)key, good, modifier);
    if ((ptr ^ (code & code_mask(l))) != good) {
        a64_pac_fail(cpu, key >= A64_PAC_DA, key & 1);
        return 0;
    }
    return good;
}

static uint64_t do_strip(void *opaque, uint64_t ptr, uint64_t b, uint64_t c, uint64_t data)
{
    return canonical(layout_of(opaque, ptr, data, false), ptr);
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

static bool key_enabled(const A64Trans *t, A64PacKey key)
{
    return t->key & (uint64_t)A64_KEY_PAC_IA << key;
}

IrRef a64_sign(A64Trans *t, IrRef ptr, IrRef modifier, A64PacKey key)
{
    return key_enabled(t, key) ? ir_call(t->ir, &pac_sign, ptr, modifier, 0, key) : ptr;
}

IrRef a64_authenticate(A64Trans *t, IrRef ptr, IrRef modifier, A64PacKey key)
{
    return key_enabled(t, key) ? ir_call(t->ir, &pac_auth, ptr, modifier, 0, key) : ptr;
}

IrRef a64_strip(A64Trans *t, IrRef ptr, bool data)
{
    return ir_call(t->ir, &pac_strip, ptr, 0, 0, data);
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
