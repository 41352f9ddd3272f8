/*
 * How blocks and parts end: edges inside a region, direct links within a page, the jump cache for everything else.
 */
#include "cpu/jit/jit_int.h"

/* A key that the code can compare with one instruction. */
static bool key_fits(uint64_t key) { return fits_i32(key) && (int64_t)key >= 0; }

/* The guest's registers are in memory. rax, rcx and rdx are lost. */
static void store_state(Gen *g)
{
    gen_put_pending(g, false);
    gen_store_pins(g, g->region ? g->written : g->dirty);
}

/* rcx: the pc, which @known tells if it is a constant. Through the jump cache of the context, or to the engine. */
static void emit_lookup(Gen *g, const uint64_t *known)
{
    AsmLabel miss = ASM_LABEL;

    if (!g->ask_key && key_fits(g->key)) {
        if (known != NULL) {
            int32_t slot = (int32_t)(*known >> 2 & (JUMP_ENTRIES - 1)) * 8;

            asm_load(&g->as, 3, false, true, RAX, X86_AT(R14, (int32_t)offsetof(CpuTlb, jump) + slot));
        } else {
            asm_mov_rr(&g->as, false, RDX, RCX);
            asm_shift_ri(&g->as, SH_SHR, false, RDX, 2);
            asm_alu_ri(&g->as, ALU_AND, false, RDX, JUMP_ENTRIES - 1);
            asm_load(&g->as, 3, false, true, RAX, X86_INDEX(R14, RDX, 3, (int32_t)offsetof(CpuTlb, jump)));
        }
        asm_alu_rm(&g->as, ALU_CMP, true, RCX, X86_AT(RAX, (int32_t)offsetof(CpuBlock, pc)));
        asm_jcc(&g->as, CC_NE, &miss);
        asm_alu_mi(&g->as, ALU_CMP, true, X86_AT(RAX, (int32_t)offsetof(CpuBlock, key)), (int32_t)g->key);
        asm_jcc(&g->as, CC_NE, &miss);
        asm_jmp_m(&g->as, X86_AT(RAX, (int32_t)offsetof(CpuBlock, code)));
        asm_bind(&g->as, &miss);
    }
    asm_mov_rr(&g->as, true, RAX, RCX);
    asm_mov_ri(&g->as, RDX, 0);
    asm_jmp_to(&g->as, g->j->leave_find);
}

static bool same_page(const Gen *g, uint64_t pc)
{
    return ((pc ^ g->parts[0].pc) & PAGE_MASK) == 0;
}

/* A jump that jit_link() may lead elsewhere; until then to the engine. */
static void emit_linkable(Gen *g, uint64_t pc)
{
    Jit     *j = g->j;
    uint32_t id = j->n_exits;
    JitExit *e = &j->exit[id];

    j->n_exits += j->n_exits < j->max_exits - 1;
    g->failed |= g->arena_full |= j->n_exits == j->max_exits - 1;
    *e = (JitExit){ .pc = pc, .key = g->key, .jump = g->as.p, .from = g->block };
    asm_jmp_to(&g->as, (const uint8_t *)asm_here(&g->as) + 5);
    asm_mov_ri(&g->as, RAX, pc);
    asm_mov_ri(&g->as, RDX, id);
    asm_jmp_to(&g->as, j->leave_find);
}

static int find_part(const Gen *g, uint64_t pc)
{
    for (unsigned p = 0; g->region && !g->ask_key && p < g->n_parts; p++) {
        if (g->parts[p].pc == pc && g->parts[p].key == g->key) {
            return (int)p;
        }
    }
    return -1;
}

/* Pending flags, for a part that may look at them. */
static void put_pending_for(Gen *g, unsigned part)
{
    uint32_t how = g->part_state[g->part].how_out;

    if (g->pending == 0 || g->part_state[part].how != 0) {
        return;
    }
    if (gen_holds_flags(g, part, how)) {
        asm_store_i(&g->as, 2, gen_mem(offsetof(Cpu, flags_how)), (int32_t)how);
    } else {
        gen_put_pending(g, g->part_state[part].gets_flags);
    }
}

/*
 * To a part of the region; @last: nothing of this part follows. Flags that it does not want stay where they are, except
 * when there is no time to enter it.
 */
static void emit_inner_edge(Gen *g, unsigned part, bool last)
{
    PartState *to = &g->part_state[part];

    if (g->pending == 0 || to->wants_flags) {
        put_pending_for(g, part);
        gen_count_time(g, part, &to->out);
        if (!last || part != g->part + 1) { /* else it follows */
            asm_jmp(&g->as, &to->body);
        }
        return;
    }
    asm_alu_mi(&g->as, ALU_SUB, true, gen_mem(offsetof(Cpu, left)), (int32_t)to->n_insns);
    asm_jcc(&g->as, CC_NS, &to->body);
    asm_alu_mi(&g->as, ALU_ADD, true, gen_mem(offsetof(Cpu, left)), (int32_t)to->n_insns);
    store_state(g);
    asm_mov_ri(&g->as, RAX, g->parts[part].pc);
    asm_jmp_to(&g->as, g->j->leave_time);
}

/* To a known pc. */
static void emit_edge(Gen *g, uint64_t pc, bool last)
{
    int part = find_part(g, pc);

    if (part >= 0) {
        emit_inner_edge(g, (unsigned)part, last);
        return;
    }
    store_state(g);
    if (same_page(g, pc) && !g->ask_key) {
        emit_linkable(g, pc);
    } else {
        asm_mov_ri(&g->as, RCX, pc);
        emit_lookup(g, &pc);
    }
}

static void emit_state_exit(Gen *g, uint64_t pc)
{
    store_state(g);
    asm_mov_ri(&g->as, RAX, pc);
    asm_jmp_to(&g->as, g->j->leave_state);
}

/* The way back into a loop comes right behind the branch. */
static void emit_branch(Gen *g, const IrNode *n)
{
    int      taken = find_part(g, n->imm), other = find_part(g, n->imm2);
    bool     falls = (unsigned)other == g->part + 1; /* into the code of the next part */
    bool     taken_first = falls || (taken >= 0 && (unsigned)taken <= g->part);
    AsmLabel second = ASM_LABEL;
    X86Cond  cc = emit_condition(g, n->a);

    if (g->ir->ends) {
        asm_mov_ri(&g->as, RDI, n->imm2); /* moves keep the host's flags */
        asm_mov_ri(&g->as, RDX, n->imm);
        asm_cmov(&g->as, cc, true, RDI, RDX);
        store_state(g);
        asm_mov_rr(&g->as, true, RAX, RDI);
        asm_jmp_to(&g->as, g->j->leave_state);
        return;
    }
    asm_jcc(&g->as, taken_first ? x86_not(cc) : cc, &second);
    emit_edge(g, taken_first ? n->imm : n->imm2, false);
    asm_bind(&g->as, &second);
    emit_edge(g, taken_first ? n->imm2 : n->imm, true);
}

static void emit_indirect(Gen *g, const IrNode *n)
{
    store_state(g);
    gen_gpr_into(g, n->a, RCX, false);
    if (g->ir->ends) {
        asm_mov_rr(&g->as, true, RAX, RCX);
        asm_jmp_to(&g->as, g->j->leave_state);
    } else {
        emit_lookup(g, NULL);
    }
}

void emit_exit(Gen *g, const IrNode *n)
{
    switch (n->op) {
    case IR_exit_jump:
        if (g->ir->ends) {
            emit_state_exit(g, n->imm);
        } else {
            emit_edge(g, n->imm, true);
        }
        break;
    case IR_exit_state:
        emit_state_exit(g, n->imm);
        break;
    case IR_exit_branch:
        emit_branch(g, n);
        break;
    case IR_exit_indirect:
        emit_indirect(g, n);
        break;
    default:
        store_state(g);
        asm_jmp_to(&g->as, g->j->leave_done); /* the helper wrote the pc */
        break;
    }
}
