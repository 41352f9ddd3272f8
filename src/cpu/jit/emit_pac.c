/*
 * Codes in pointers (IR_INLINE_PAC_SIGN and _CHECK). Guest functions sign their return addresses and check them: two
 * dozen operations, which are routines that all code shares.
 */
#include "cpu/jit/jit_int.h"

/* rsi: all ones for a pointer of the upper range, in rax, else 0. rdi: the mask of that range, from the two at rdi. */
static void find_range(Asm *as, bool by_63)
{
    asm_mov_rr(as, true, RSI, RAX);
    if (!by_63) {
        asm_shift_ri(as, SH_SHL, true, RSI, 63 - IR_PAC_RANGE);
    }
    asm_shift_ri(as, SH_SAR, true, RSI, 63);
    asm_mov_rr(as, false, RBX, RSI);
    asm_alu_ri(as, ALU_AND, false, RBX, sizeof(uint64_t));
    asm_load(as, 3, false, true, RDI, X86_INDEX(RDI, RBX, 0, 0));
}

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

static void keep_but_range(Asm *as, X86Reg d)
{
    asm_mov_ri(as, RCX, ~BIT(IR_PAC_RANGE));
    asm_alu_rr(as, ALU_AND, true, d, RCX);
}

/* rax: the pointer, rcx and rdx: what keys it; rdi: where the masks of the two ranges are. rax: the result; the others
 * are lost. After a check ZF tells whether the code is right. */
static const void *make_routine(Asm *as, bool check, bool by_63)
{
    const void *here = asm_here(as);

    asm_push(as, RSI);
    asm_push(as, RBX);
    find_range(as, by_63);
    asm_mov_rr(as, true, RBX, RSI); /* the bits that differ from those of a pointer without code */
    asm_alu_rr(as, ALU_XOR, true, RBX, RAX);
    asm_alu_rr(as, ALU_AND, true, RBX, RDI);
    asm_alu_rr(as, ALU_XOR, true, RCX, RAX);
    asm_alu_rr(as, ALU_XOR, true, RCX, RBX);
    asm_push(as, RAX);
    hash(as);
    asm_alu_rr(as, ALU_AND, true, RAX, RDI);
    asm_pop(as, RDX);
    if (check) {
        keep_but_range(as, RAX);
        asm_mov_rr(as, true, RCX, RAX);
        asm_mov_rr(as, true, RAX, RDX);
        asm_alu_rr(as, ALU_XOR, true, RAX, RBX);
        asm_alu_rr(as, ALU_CMP, true, RCX, RBX);
    } else {
        asm_alu_rr(as, ALU_XOR, true, RAX, RDX);
        keep_but_range(as, RAX);
        asm_shift_ri(as, SH_SHR, true, RSI, 63);
        asm_shift_ri(as, SH_SHL, true, RSI, IR_PAC_RANGE);
        asm_alu_rr(as, ALU_OR, true, RAX, RSI);
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

    if (op != IR_INLINE_PAC_SIGN && op != IR_INLINE_PAC_CHECK) {
        return false;
    }
    X86Reg d = gen_dest_gpr(g);
    Cold  *cold = op == IR_INLINE_PAC_CHECK ? fail_site(g, n, d) : NULL;

    gen_gpr_into(g, n->a, RAX, true);
    gen_gpr_into(g, n->b, RCX, true);
    gen_gpr_into(g, n->c, RDX, true);
    asm_lea(&g->as, true, RDI, gen_constant(g, ir_pac_mask(n->imm, 1), ir_pac_mask(n->imm, 0)));
    asm_call_to(&g->as, cold != NULL ? g->j->pac_check : g->j->pac_sign[(n->imm & IR_PAC_BY_63) != 0]);
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
