/*
 * How blocks and parts end: edges inside a region, direct links within a page, the jump cache for everything else.
 */
#include <stdlib.h>
#include <string.h>

#include "cpu/jit/jit_int.h"

/* A key that the code can compare with one instruction. */
static bool key_fits(uint64_t key) { return fits_i32(key) && (int64_t)key >= 0; }

/* The guest's registers are in memory. rax, rcx and rdx are lost. */
static void store_state(Gen *g)
{
    gen_put_pending(g, false);
    gen_store_pins(g, g->dirty);
}

enum { JUMP_SIZE_LOG2 = 5, JUMP_SIZE = 1 << JUMP_SIZE_LOG2 };

_Static_assert(sizeof(JumpEntry) == JUMP_SIZE, "slots are found by shifts");

/* rcx: the pc. Through the jump cache of the context, or to the engine. */
static void emit_lookup(Gen *g)
{
    int32_t first = (int32_t)(offsetof(CpuTlb, jump) + jump_shift(g->key) * JUMP_SIZE);

    if (g->ask_key || !key_fits(g->key)) {
        asm_jmp_to(&g->as, g->j->leave_lookup);
        return;
    }
    asm_mov_rr(&g->as, false, RAX, RCX);
    asm_shift_ri(&g->as, SH_SHL, false, RAX, JUMP_SIZE_LOG2 - 2); /* pc / 4 * JUMP_SIZE */
    asm_alu_ri(&g->as, ALU_AND, false, RAX, (JUMP_ENTRIES - 1) << JUMP_SIZE_LOG2);
    asm_lea(&g->as, true, RAX, X86_INDEX(R14, RAX, 0, first));
    asm_alu_rm(&g->as, ALU_CMP, true, RCX, X86_AT(RAX, (int32_t)offsetof(JumpEntry, pc)));
    asm_jcc_to(&g->as, CC_NE, g->j->leave_lookup);
    asm_alu_mi(&g->as, ALU_CMP, true, X86_AT(RAX, (int32_t)offsetof(JumpEntry, key)), (int32_t)g->key);
    asm_jcc_to(&g->as, CC_NE, g->j->leave_lookup);
    asm_jmp_m(&g->as, X86_AT(RAX, (int32_t)offsetof(JumpEntry, code)));
}

/* Whether an exit to @pc may become a jump: it leads to the same page. */
static bool is_linkable(const Gen *g, uint64_t pc)
{
    return ((pc ^ g->parts[0].pc) & PAGE_MASK) == 0 && !g->ask_key;
}

/* An exit whose jump, to be linked, is at @jump. */
static uint32_t new_exit(Gen *g, uint64_t pc, const uint8_t *jump)
{
    Jit     *j = g->j;
    uint32_t id = j->n_exits;

    j->n_exits += j->n_exits < j->max_exits - 1;
    g->failed |= g->arena_full |= j->n_exits == j->max_exits - 1;
    j->exit[id] = (JitExit){ .pc = pc, .key = g->key, .from = g->block, .jump = (uint32_t)(jump - j->mem.write) };
    return id;
}

/* To the engine, until jit_link() makes it a jump, or leads @branch there, the conditional jump to here if not NULL. */
static void emit_linkable(Gen *g, uint64_t pc, const uint8_t *branch)
{
    uint32_t id = new_exit(g, pc, branch != NULL ? branch : g->as.p);

    g->j->exit[id].branch = branch != NULL;
    gen_call_for(g, g->j->leave_link, id);
}

/* To another page. Linked, it jumps as long as the context that runs has the page where the link's target was made. */
static void emit_far(Gen *g, uint64_t pc)
{
    int32_t  number = (int32_t)(offsetof(CpuTlb, fetched) + fetch_slot(pc) * sizeof(uint32_t));
    AsmLabel next = ASM_LABEL;
    uint32_t id;

    asm_alu_mi(&g->as, ALU_CMP, false, X86_AT(R14, number), MAPPING_LAST + 1);
    id = new_exit(g, pc, g->as.p);
    g->j->exit[id].branch = g->j->exit[id].far = true;
    g->j->exit[id].left = JIT_FAR_FIRST;
    g->j->exit[id].slot = (uint32_t)(offsetof(CpuTlb, jump) + jump_index(pc, g->key) * JUMP_SIZE);
    asm_jcc(&g->as, CC_E, &next);
    asm_bind(&g->as, &next);
    asm_mov_ri(&g->as, RCX, id);
    asm_jmp_to(&g->as, g->j->far);
}

static bool puts_off_flags(const Gen *g) { return g->pending != 0 || g->passed != 0; }

/* Whether a part finds flags that were put off as it knows them, with nothing stored on the edge. */
static bool finds_flags(const Gen *g, unsigned part)
{
    uint32_t how = g->part_state[part].how;

    return how != 0 && (!gen_is_copied(how) || how == g->passed);
}

/* Pending flags, for a part that may look at them. */
static void put_pending_for(Gen *g, unsigned part)
{
    uint32_t how = g->part_state[g->part].how_out;

    if (!puts_off_flags(g) || finds_flags(g, part)) {
        return;
    }
    if (g->part_state[part].how != 0) {
        gen_put_copies(g);
    } else if (gen_holds_flags(g, part, how, false)) {
        asm_store_i(&g->as, 2, gen_mem(offsetof(Cpu, flags_how)), (int32_t)how);
    } else {
        gen_put_pending(g, g->part_state[part].gets_flags);
    }
}

/* What an edge to a part costs beyond what this part has paid; below 0: it gets that back. */
static int32_t price_of_edge(const Gen *g, unsigned part)
{
    return gen_price(g, part) - (int32_t)g->part_state[g->part].ahead;
}

/* Whether an edge to a part is a jump and nothing else. */
static bool is_free(const Gen *g, int part)
{
    return part >= 0 && price_of_edge(g, (unsigned)part) == 0 &&
           (!puts_off_flags(g) || !g->part_state[part].wants_flags || finds_flags(g, (unsigned)part));
}

static void pay(Gen *g, int32_t price)
{
    asm_alu_mi(&g->as, price < 0 ? ALU_ADD : ALU_SUB, true, gen_mem(offsetof(Cpu, left)), abs(price));
}

/* Out of the region: what was paid ahead. */
static void give_back(Gen *g)
{
    if (g->part_state[g->part].ahead != 0) {
        pay(g, -(int32_t)g->part_state[g->part].ahead);
    }
}

/* No time for a part, and flags that only the way out wants. */
static void emit_late_exit(Gen *g, unsigned part)
{
    pay(g, -gen_price(g, part));
    store_state(g);
    asm_mov_ri(&g->as, RAX, g->parts[part].pc);
    asm_jmp_to(&g->as, g->j->leave_time);
}

/*
 * To a part of the region; @last: nothing of this part follows. Flags that it does not want stay where they are, except
 * when there is no time to enter it.
 */
static void emit_inner_edge(Gen *g, unsigned part, bool last)
{
    PartState *to = &g->part_state[part];
    bool       puts_flags = !puts_off_flags(g) || to->wants_flags;
    bool       follows = last && part == g->part + 1;
    int32_t    price = price_of_edge(g, part);

    if (puts_flags) {
        put_pending_for(g, part);
    }
    if (price != 0) {
        pay(g, price);
    }
    if (price > 0 && puts_flags && follows) {
        asm_jcc(&g->as, CC_S, &to->out);
    } else if (price > 0) {
        asm_jcc(&g->as, CC_NS, &to->body);
        if (puts_flags) {
            asm_jmp(&g->as, &to->out);
        } else {
            emit_late_exit(g, part);
        }
    } else if (!follows) {
        asm_jmp(&g->as, &to->body);
    }
}

/* Out of the block or region, to a known pc; the guest's registers are in memory. */
static void emit_outer_edge(Gen *g, uint64_t pc)
{
    if (is_linkable(g, pc)) {
        emit_linkable(g, pc, NULL);
    } else if (!g->ask_key) {
        emit_far(g, pc);
    } else {
        asm_mov_ri(&g->as, RCX, pc);
        asm_jmp_to(&g->as, g->j->leave_lookup);
    }
}

/* To a known pc. */
static void emit_edge(Gen *g, uint64_t pc, bool last)
{
    int part = gen_find_part(g, pc);

    if (part >= 0) {
        emit_inner_edge(g, (unsigned)part, last);
    } else {
        give_back(g);
        store_state(g);
        emit_outer_edge(g, pc);
    }
}

/* To a known pc; registers decide the bits of the key from @bit on. That it has none set is what falls through. */
static void emit_edge_by_key(Gen *g, uint64_t pc, size_t bit, bool last)
{
    const CpuGuest  *guest = ((const Cpu *)g->j->engine->cpus->pdata[0])->guest;
    const CpuKeyBit *k = &guest->key_bits[bit];
    AsmLabel         clear = ASM_LABEL;

    if (bit == guest->n_key_bits) {
        emit_edge(g, pc, last);
        return;
    }
    if (g->parts[g->part].open & k->bit) {
        asm_test_mi(&g->as, false, gen_mem((int32_t)g->ir->regs[k->reg].offset), (int32_t)k->mask);
        asm_jcc(&g->as, CC_E, &clear);
        g->key |= k->bit;
        emit_edge_by_key(g, pc, bit + 1, false);
        g->key &= ~k->bit;
        asm_bind(&g->as, &clear);
    }
    emit_edge_by_key(g, pc, bit + 1, last);
}

static void emit_state_exit(Gen *g, uint64_t pc)
{
    store_state(g);
    asm_mov_ri(&g->as, RAX, pc);
    asm_jmp_to(&g->as, g->j->leave_state);
}

/* The state is stored in between: moves keep the host's flags; only those of floating point, and such as are chosen by
 * a condition, take more than that. */
static X86Cond emit_condition_and_state(Gen *g, IrRef r)
{
    bool    packs = g->pending != 0 && gen_node(g, g->pending)->op != IR_flags;
    X86Cond cc;

    if (packs) {
        gen_put_pending(g, false);
    }
    cc = emit_condition(g, r);
    if (!packs) {
        gen_put_pending(g, false);
    }
    gen_store_pins(g, g->dirty);
    return cc;
}

/* Both ways lead out. The branch itself becomes the link, if one of them may be linked. */
static void emit_outer_branch(Gen *g, const IrNode *n)
{
    bool     inverted = !is_linkable(g, n->imm);
    AsmLabel second = ASM_LABEL;
    X86Cond  cc = emit_condition_and_state(g, n->a);
    uint64_t next = inverted ? n->imm : n->imm2, far = inverted ? n->imm2 : n->imm;
    uint8_t *branch = g->as.p;

    asm_jcc(&g->as, inverted ? x86_not(cc) : cc, &second);
    emit_outer_edge(g, next);
    asm_bind(&g->as, &second);
    if (is_linkable(g, far)) {
        emit_linkable(g, far, branch);
    } else {
        emit_outer_edge(g, far);
    }
}

/* To the run loop, which the next pc is for. */
static void emit_state_branch(Gen *g, const IrNode *n)
{
    X86Cond cc = emit_condition(g, n->a);

    asm_mov_ri(&g->as, RDI, n->imm2); /* moves keep the host's flags */
    asm_mov_ri(&g->as, RDX, n->imm);
    asm_cmov(&g->as, cc, true, RDI, RDX);
    store_state(g);
    asm_mov_rr(&g->as, true, RAX, RDI);
    asm_jmp_to(&g->as, g->j->leave_state);
}

/* The pending flags on one way of a branch: the producer's where the constant ones do not lead there. */
static IrRef pending_on_way(const Gen *g, const IrNode *n, bool taken)
{
    const IrNode *cond = gen_node(g, n->a), *chosen = g->pending != 0 ? gen_chosen_flags(g, g->pending) : NULL;

    if (chosen == NULL || cond->op != IR_flags_cond || cond->a != g->pending ||
        ir_eval_cond((IrCond)cond->kind, gen_other_flags(g, chosen)) == taken) {
        return g->pending;
    }
    return chosen->b;
}

static void emit_way(Gen *g, const IrNode *n, bool taken, bool last)
{
    IrRef pending = g->pending;

    g->pending = pending_on_way(g, n, taken);
    emit_edge(g, taken ? n->imm : n->imm2, last);
    g->pending = pending;
}

/* The way back into a loop comes right behind the branch. */
static void emit_branch(Gen *g, const IrNode *n)
{
    int      taken = gen_find_part(g, n->imm), other = gen_find_part(g, n->imm2);
    bool     falls = (unsigned)other == g->part + 1; /* into the code of the next part */
    bool     taken_first = falls || (taken >= 0 && (unsigned)taken <= g->part);
    AsmLabel second = ASM_LABEL;

    if (g->ir->ends) {
        emit_state_branch(g, n);
        return;
    }
    if (taken < 0 && other < 0) {
        emit_outer_branch(g, n);
        return;
    }
    if (is_free(g, taken) || (is_free(g, other) && !falls)) {
        bool jumps = is_free(g, taken);

        emit_jump(g, n->a, jumps, &g->part_state[jumps ? taken : other].body);
        emit_way(g, n, !jumps, true);
        return;
    }
    emit_jump(g, n->a, !taken_first, &second);
    emit_way(g, n, taken_first, false);
    asm_bind(&g->as, &second);
    emit_way(g, n, !taken_first, true);
}

/* ---- exits to an address known at run time ---- */

/* Code that starts between two instructions, where branches raise an exception, is not worth a place in tables. */
static bool leads_to(const Gen *g, uint64_t key, unsigned part)
{
    const JitPart *to = &g->parts[part];

    return g->region && part >= g->first_target && to->by_address && to->key == key && is_aligned(to->pc, 4);
}

static unsigned count_targets(const Gen *g, uint64_t key)
{
    unsigned n = 0;

    for (unsigned p = 0; p < g->n_parts; p++) {
        n += leads_to(g, key, p);
    }
    return n;
}

static JitTable *find_table(Gen *g, uint64_t key)
{
    for (unsigned i = 0; i < g->n_tables; i++) {
        if (g->table[i].key == key) {
            return &g->table[i];
        }
    }
    return NULL;
}

/* For the parts of that key. */
static void make_table(Gen *g, uint64_t key)
{
    JitTable *t = &g->table[g->n_tables++];
    uint64_t  first = UINT64_MAX, last = 0;

    for (unsigned p = 0; p < g->n_parts; p++) {
        if (leads_to(g, key, p)) {
            first = MIN(first, g->parts[p].pc);
            last = MAX(last, g->parts[p].pc);
            g->part_state[p].by_table = true;
        }
    }
    *t = (JitTable){ .key = key, .first = first, .n = (unsigned)((last - first) / 4 + 1), .at = g->as.p,
                     .miss = ASM_LABEL };
    for (unsigned i = 0; i < t->n; i++) {
        asm_u32(&g->as, 0);
    }
}

void emit_tables(Gen *g)
{
    g->n_tables = 0;
    for (unsigned p = 0; p < g->n_parts && g->n_tables < JIT_MAX_TABLES; p++) {
        uint64_t key = g->parts[p].exit_key;

        if (g->parts[p].ir->node[g->parts[p].ir->n - 1].op == IR_exit_indirect && !g->parts[p].asks_key &&
            count_targets(g, key) > JIT_COMPARED && find_table(g, key) == NULL) {
            make_table(g, key);
        }
    }
}

static void set_entry(const Gen *g, const JitTable *t, unsigned i, int32_t to)
{
    int32_t offset = to - (int32_t)(t->at - g->as.start);

    if (!g->as.full) {
        memcpy(t->at + i * sizeof(offset), &offset, sizeof(offset));
    }
}

void emit_table_entries(Gen *g)
{
    for (unsigned p = 0; p < g->n_parts; p++) {
        PartState *to = &g->part_state[p];

        if (to->by_table) {
            asm_bind(&g->as, &to->entry);
            gen_count_time(g, p, &to->out);
            asm_jmp(&g->as, &to->body);
        }
    }
    for (unsigned i = 0; i < g->n_tables; i++) {
        JitTable *t = &g->table[i];

        g->key = t->key;
        g->ask_key = false;
        asm_bind(&g->as, &t->miss);
        gen_store_pins(g, t->dirty);
        emit_lookup(g);
        for (unsigned k = 0; k < t->n; k++) {
            set_entry(g, t, k, t->miss.pos);
        }
        for (unsigned p = 0; p < g->n_parts; p++) {
            if (leads_to(g, t->key, p)) {
                set_entry(g, t, (unsigned)(g->parts[p].pc - t->first) / 4, g->part_state[p].entry.pos);
            }
        }
    }
}

/* rcx: the pc. */
static void emit_table_jump(Gen *g, JitTable *t)
{
    t->dirty |= g->dirty;
    asm_mov_ri(&g->as, RAX, t->first);
    asm_mov_rr(&g->as, true, RDX, RCX);
    asm_alu_rr(&g->as, ALU_SUB, true, RDX, RAX);
    asm_shift_ri(&g->as, SH_ROR, true, RDX, 2); /* refuses addresses between two instructions, too */
    asm_alu_ri(&g->as, ALU_CMP, true, RDX, (int32_t)t->n);
    asm_jcc(&g->as, CC_AE, &t->miss);
    asm_lea_code(&g->as, RAX, t->at + g->as.to_run);
    asm_load(&g->as, 2, true, true, RDX, X86_INDEX(RAX, RDX, 2, 0));
    asm_alu_rr(&g->as, ALU_ADD, true, RAX, RDX);
    asm_jmp_r(&g->as, RAX);
}

static void emit_comparisons(Gen *g)
{
    for (unsigned p = 0; p < g->n_parts; p++) {
        AsmLabel next = ASM_LABEL;
        uint64_t pc = g->parts[p].pc;

        if (!leads_to(g, g->key, p)) {
            continue;
        }
        if (fits_i32(pc)) {
            asm_alu_ri(&g->as, ALU_CMP, true, RCX, (int32_t)pc);
        } else {
            asm_mov_ri(&g->as, RAX, pc);
            asm_alu_rr(&g->as, ALU_CMP, true, RCX, RAX);
        }
        if (price_of_edge(g, p) == 0) {
            asm_jcc(&g->as, CC_E, &g->part_state[p].body);
            continue;
        }
        asm_jcc(&g->as, CC_NE, &next);
        pay(g, price_of_edge(g, p));
        if (price_of_edge(g, p) > 0) {
            asm_jcc(&g->as, CC_S, &g->part_state[p].out);
        }
        asm_jmp(&g->as, &g->part_state[p].body);
        asm_bind(&g->as, &next);
    }
}

static void emit_indirect(Gen *g, const IrNode *n)
{
    JitTable *t = g->ask_key ? NULL : find_table(g, g->key);

    gen_put_pending(g, false);
    gen_gpr_into(g, n->a, RCX, false);
    if (g->ir->ends) {
        gen_store_pins(g, g->dirty);
        asm_mov_rr(&g->as, true, RAX, RCX);
        asm_jmp_to(&g->as, g->j->leave_state);
        return;
    }
    if (t != NULL) {
        emit_table_jump(g, t);
        return;
    }
    if (!g->ask_key) {
        emit_comparisons(g);
        give_back(g);
    }
    gen_store_pins(g, g->dirty);
    emit_lookup(g);
}

void emit_exit(Gen *g, const IrNode *n)
{
    switch (n->op) {
    case IR_exit_jump:
        if (g->ir->ends) {
            emit_state_exit(g, n->imm);
        } else if (g->parts[g->part].open != 0 && !g->ask_key) {
            emit_edge_by_key(g, n->imm, 0, true);
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
