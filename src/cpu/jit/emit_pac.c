/*
 * Codes in pointers (IR_INLINE_PAC_SIGN and _CHECK). Guest functions sign their return addresses and check them: two
 * dozen operations, which are routines that all code shares.
 */
#include "cpu/jit/jit_int.h"

/* rax = IR_PAC_HASH() of rcx and rdx. */
static void hash(Asm *as)
{
    asm_mov_ri(as, RAX, IR_PAC_DATA);
    asm_alu_rr(as, ALU_XOR, true, RCX, RAX);
    asm_mov_ri(as, RAX, IR_PAC_MODIFIER);
    asm_alu_rr(as, ALU_XOR, true, RAX, RDX);
    asm_mul(as, true, false, RCX);
    asm_alu_rr(as, ALU_XOR, true, RAX, RDX);
    asm_mov_ri(as, RDX, IR_PAC_SPREAD);
    asm_imul_rr(as, true, RAX, RDX);
}

/* Bit IR_PAC_RANGE of a pointer signed with IR_PAC_BY_63, whose code is in rax, and the bit itself in rsi. */
static void sign_range(Asm *as)
{
    asm_mov_ri(as, RCX, ~BIT(IR_PAC_RANGE));
    asm_alu_rr(as, ALU_AND, true, RAX, RCX);
    asm_shift_ri(as, SH_SHR, true, RSI, IR_PAC_RANGE);
    asm_alu_ri(as, ALU_AND, false, RSI, 1);
    asm_shift_ri(as, SH_SHL, true, RSI, IR_PAC_RANGE);
    asm_alu_rr(as, ALU_XOR, true, RAX, RSI);
}

/*
 * rax: the pointer, rcx and rdx: what keys it; rdi: where the masks of the two ranges are, the upper one's first. rax:
 * the result; the others are lost, but rsi and rbx. After a check ZF tells whether the code is right.
 */
static const void *make_routine(Asm *as, bool check, bool by_63)
{
    const void *here = asm_here(as);

    asm_push(as, RSI);
    asm_push(as, RBX);
    asm_bt_ri(as, true, RAX, by_63 ? 63 : IR_PAC_RANGE);
    asm_alu_rr(as, ALU_SBB, true, RSI, RSI); /* all ones for the upper range */
    asm_load(as, 3, false, true, RDI, X86_INDEX(RDI, RSI, 3, sizeof(uint64_t)));
    asm_alu_rr(as, ALU_XOR, true, RSI, RAX); /* the bits that differ from those of a pointer without code */
    asm_alu_rr(as, ALU_AND, true, RSI, RDI);
    asm_mov_rr(as, true, RBX, RAX);
    asm_alu_rr(as, ALU_XOR, true, RCX, RAX);
    asm_alu_rr(as, ALU_XOR, true, RCX, RSI);
    hash(as);
    asm_alu_rr(as, ALU_AND, true, RAX, RDI);
    if (check) {
        asm_alu_rr(as, ALU_XOR, true, RBX, RSI);
        asm_alu_rr(as, ALU_CMP, true, RAX, RSI);
        asm_mov_rr(as, true, RAX, RBX);
    } else {
        if (by_63) {
            sign_range(as);
        }
        asm_alu_rr(as, ALU_XOR, true, RAX, RBX);
    }
    asm_pop(as, RBX);
    asm_pop(as, RSI);
    asm_ret(as);
    return here;
}

void pac_make(Jit *j, Asm *as)
{
    j->pac_sign[false] = make_routine(as, false, false);
    j->pac_sign[true] = make_routine(as, false, true);
    j->pac_check = make_routine(as, true, false);
}

/* A wrong code: the helper raises the exception. */
static Cold *fail_site(Gen *g, const IrNode *n, X86Reg d)
{
    uint32_t id;
    JitSite *s = gen_site(g, SITE_CALL, &id);

    s->helper = n->helper;
    s->a = gen_place(g, n->a);
    s->b = gen_place(g, n->b);
    s->c = gen_place(g, n->c);
    s->d = gen_place_gpr(d, IR_I64);
    return gen_cold(g, id);
}

bool emit_pac(Gen *g, const IrNode *n)
{
    IrInline op = n->helper->inline_op;
    bool     by_63 = op == IR_INLINE_PAC_SIGN && (n->imm & IR_PAC_BY_63) != 0;
    uint64_t bits = by_63 ? UINT64_MAX : ~BIT(IR_PAC_RANGE); /* else that bit is what it should be */

    if (op != IR_INLINE_PAC_SIGN && op != IR_INLINE_PAC_CHECK) {
        return false;
    }
    X86Reg d = gen_dest_gpr(g);
    Cold  *cold = op == IR_INLINE_PAC_CHECK ? fail_site(g, n, d) : NULL;

    gen_gpr_into(g, n->a, RAX, true);
    gen_gpr_into(g, n->b, RCX, true);
    gen_gpr_into(g, n->c, RDX, true);
    asm_lea(&g->as, true, RDI, gen_constant(g, ir_pac_mask(n->imm, 0) & bits, ir_pac_mask(n->imm, 1) & bits));
    asm_call_to(&g->as, cold != NULL ? g->j->pac_check : g->j->pac_sign[by_63]);
    if (cold != NULL) {
        asm_jcc(&g->as, CC_NE, &cold->from);
    }
    asm_mov_rr(&g->as, true, d, RAX);
    if (cold != NULL) {
        asm_bind(&g->as, &cold->back);
    }
    gen_done_gpr(g, d, true);
    return true;
}
