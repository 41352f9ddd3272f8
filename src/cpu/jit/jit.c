/*
 * Life of generated code: the routines that all code shares, the way in and out, links, removal.
 */
#include "cpu/jit/jit.h"

#include <immintrin.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "cpu/jit/jit_int.h"

/* Bytes of code for each entry of the tables: so many more than generated code has that code runs out first. */
enum {
    BYTES_PER_SITE = 32,
    BYTES_PER_SLOT = 64,
    BYTES_PER_EXIT = 64,
    BYTES_PER_CONSTANT = 128,
    BYTES_PER_CALL = 16,
    BYTES_PER_TRAP = 8,
};

/* ---- the shared routines ---- */

static const X86Reg kept[] = { RBX, RBP, R12, R13, R14, R15 };

static int32_t saved_gpr(unsigned r) { return (int32_t)(offsetof(Cpu, saved.gpr) + r * 8); }
static int32_t saved_xmm(unsigned r) { return (int32_t)(offsetof(Cpu, saved.xmm) + r * 16); }

/* int enter(Cpu *cpu, const void *code) */
static void make_enter(Jit *j, Asm *as)
{
    j->enter = (int (*)(Cpu *, const void *))(uintptr_t)asm_here(as);
    for (size_t i = 0; i < G_N_ELEMENTS(kept); i++) {
        asm_push(as, kept[i]);
    }
    asm_alu_ri(as, ALU_SUB, true, RSP, 8); /* aligned to 16 inside */
    asm_lea(as, true, RBP, X86_AT(RDI, JIT_BASE));
    asm_load(as, 3, false, true, R14, gen_mem(offsetof(Cpu, tlb)));
    asm_jmp_r(as, RSI);
}

static void make_leave(Asm *as, ExecExit how)
{
    asm_mov_ri(as, RAX, how);
    asm_alu_ri(as, ALU_ADD, true, RSP, 8);
    for (size_t i = G_N_ELEMENTS(kept); i-- > 0;) {
        asm_pop(as, kept[i]);
    }
    asm_ret(as);
}

/* The next pc is in rax. */
static const void *make_leave_with_pc(Asm *as, ExecExit how)
{
    const void *here = asm_here(as);

    asm_store(as, 3, gen_mem(offsetof(Cpu, next_pc)), RAX);
    make_leave(as, how);
    return here;
}

/* Is called. */
static const void *make_leave_by_call(Asm *as, ExecExit how)
{
    const void *here = asm_here(as);

    asm_pop(as, RAX);
    asm_store(as, 3, gen_mem(offsetof(Cpu, exit_at)), RAX);
    make_leave(as, how);
    return here;
}

static void save_all(Asm *as)
{
    for (unsigned r = 0; r < 16; r++) {
        if (r != RSP && r != RBP) {
            asm_store(as, 3, gen_mem(saved_gpr(r)), (X86Reg)r);
        }
        asm_store_x(as, 4, gen_mem(saved_xmm(r)), (X86Xmm)r);
    }
}

static void restore_all(Asm *as)
{
    for (unsigned r = 0; r < 16; r++) {
        if (r != RSP && r != RBP && r != R14) {
            asm_load(as, 3, false, true, (X86Reg)r, gen_mem(saved_gpr(r)));
        }
        asm_load_x(as, 4, (X86Xmm)r, gen_mem(saved_xmm(r)));
    }
    asm_load(as, 3, false, true, R14, gen_mem(offsetof(Cpu, tlb)));
}

/* Calls jit_slow(), with all registers in Cpu.saved. */
static void make_slow(Jit *j, Asm *as)
{
    AsmLabel fault = ASM_LABEL;

    j->slow = asm_here(as);
    save_all(as);
    asm_lea(as, true, RDI, gen_mem(0));
    asm_load(as, 3, false, true, RSI, X86_AT(RSP, 0));
    asm_mov_ri(as, RAX, (uintptr_t)jit_slow);
    asm_alu_ri(as, ALU_SUB, true, RSP, 8);
    asm_call_r(as, RAX);
    asm_alu_ri(as, ALU_ADD, true, RSP, 8);
    asm_store(as, 3, X86_AT(RSP, 0), RAX);
    asm_test_rr(as, true, RAX, RAX);
    asm_jcc(as, CC_E, &fault);
    restore_all(as);
    asm_ret(as);
    asm_bind(as, &fault);
    asm_alu_ri(as, ALU_ADD, true, RSP, 8); /* the return address */
    make_leave(as, EXEC_FAULT);
}

/* Goes on by the jump cache where a far exit leads, or to C. */
static void make_far(Jit *j, Asm *as)
{
    AsmLabel ask = ASM_LABEL;

    j->far = asm_here(as);
    asm_imul_rri(as, true, RAX, RCX, sizeof(JitExit));
    asm_mov_ri(as, RDX, (uintptr_t)j->exit);
    asm_alu_rr(as, ALU_ADD, true, RAX, RDX);
    asm_alu_mi(as, ALU_SUB, false, X86_AT(RAX, (int32_t)offsetof(JitExit, left)), 1);
    asm_jcc(as, CC_S, &ask);
    asm_load(as, 2, false, true, RDX, X86_AT(RAX, (int32_t)offsetof(JitExit, slot)));
    asm_alu_rr(as, ALU_ADD, true, RDX, R14);
    asm_load(as, 3, false, true, RCX, X86_AT(RAX, (int32_t)offsetof(JitExit, pc)));
    asm_alu_rm(as, ALU_CMP, true, RCX, X86_AT(RDX, (int32_t)offsetof(JumpEntry, pc)));
    asm_jcc(as, CC_NE, &ask);
    asm_load(as, 3, false, true, RCX, X86_AT(RAX, (int32_t)offsetof(JitExit, key)));
    asm_alu_rm(as, ALU_CMP, true, RCX, X86_AT(RDX, (int32_t)offsetof(JumpEntry, key)));
    asm_jcc(as, CC_NE, &ask);
    asm_jmp_m(as, X86_AT(RDX, (int32_t)offsetof(JumpEntry, code)));
    asm_bind(as, &ask);
    asm_store(as, 3, gen_mem(offsetof(Cpu, exit_at)), RAX);
    make_leave(as, EXEC_FAR);
}

/*
 * Packs the flags that Cpu.flags_how tells of in rax, from copies of the operands; rcx and rdx are lost. Operands of 32
 * bits go to the upper halves, where they make the same flags.
 */
static void make_flags(Jit *j, Asm *as)
{
    AsmLabel in_memory = ASM_LABEL, wide = ASM_LABEL, sub = ASM_LABEL, logic = ASM_LABEL, pack = ASM_LABEL;
    AsmLabel packed = ASM_LABEL, done = ASM_LABEL;

    j->flags = asm_here(as);
    asm_load(as, 2, false, false, RCX, gen_mem(offsetof(Cpu, flags_how)));
    asm_load(as, 3, false, true, RAX, gen_mem(offsetof(Cpu, flags_a)));
    asm_load(as, 3, false, true, RDX, gen_mem(offsetof(Cpu, flags_b)));
    asm_test_rr(as, false, RCX, RCX);
    asm_jcc(as, CC_S, &packed);
    asm_test_ri(as, false, RCX, JIT_HOW_CONSTANT);
    asm_jcc(as, CC_E, &in_memory);
    asm_mov_rr(as, false, RDX, RCX);
    asm_shift_ri(as, SH_SHR, false, RDX, JIT_HOW_B);
    asm_bind(as, &in_memory);
    asm_test_ri(as, false, RCX, JIT_HOW_WIDE);
    asm_jcc(as, CC_NE, &wide);
    asm_shift_ri(as, SH_SHL, true, RAX, 32);
    asm_shift_ri(as, SH_SHL, true, RDX, 32);
    asm_bind(as, &wide);
    asm_alu_ri(as, ALU_AND, false, RCX, JIT_HOW_KIND);
    asm_alu_ri(as, ALU_CMP, false, RCX, 1 + IR_FLAGS_SUB);
    asm_jcc(as, CC_E, &sub);
    asm_jcc(as, CC_A, &logic);
    asm_alu_rr(as, ALU_ADD, true, RAX, RDX);
    asm_jmp(as, &pack);
    asm_bind(as, &sub);
    asm_alu_rr(as, ALU_CMP, true, RAX, RDX);
    asm_cmc(as);
    asm_jmp(as, &pack);
    asm_bind(as, &logic);
    asm_test_rr(as, true, RAX, RAX);
    asm_bind(as, &pack);
    jit_pack_host_flags(as);
    asm_jmp(as, &done);
    asm_bind(as, &packed);
    asm_mov_rr(as, false, RAX, RCX);
    asm_shift_ri(as, SH_SHR, false, RAX, JIT_HOW_B);
    asm_alu_ri(as, ALU_AND, false, RAX, 15);
    asm_bind(as, &done);
    asm_store_i(as, 2, gen_mem(offsetof(Cpu, flags_how)), 0);
    asm_ret(as);
}

/*
 * Fills the PageSlot of the JitSlot whose number is in ecx from the span, or else the table's entry at r14 + rdi; rdi
 * stays. Once in a while C looks whether that is worth while.
 */
static const void *make_keep(Jit *j, Asm *as, int32_t table, int32_t span)
{
    const void *here = asm_here(as);
    AsmLabel    look = ASM_LABEL, page = ASM_LABEL, fill = ASM_LABEL;

    asm_push(as, RCX);
    asm_push(as, RAX);
    asm_push(as, RSI);
    asm_imul_rri(as, true, RCX, RCX, sizeof(JitSlot));
    asm_mov_ri(as, RDX, (uintptr_t)j->slot);
    asm_alu_rr(as, ALU_ADD, true, RCX, RDX);
    asm_load(as, 2, false, false, RDX, X86_AT(RCX, (int32_t)offsetof(JitSlot, offset)));
    asm_load(as, 3, false, true, RAX, X86_INDEX(R14, RDI, 0, table + (int32_t)offsetof(TlbEntry, tag)));
    asm_mov_rr(as, true, RSI, RAX);
    asm_alu_rm(as, ALU_SUB, true, RSI, X86_INDEX(R14, RDX, 0, (int32_t)offsetof(PageSlot, tag)));
    asm_alu_rm(as, ALU_CMP, true, RSI, X86_INDEX(R14, RDX, 0, (int32_t)offsetof(PageSlot, limit)));
    asm_alu_mi(as, ALU_SBB, false, X86_AT(RCX, (int32_t)offsetof(JitSlot, misses)), -1); /* one more, unless it hits */
    asm_mov_rr(as, true, RSI, RAX);
    asm_shift_ri(as, SH_SHR, true, RSI, SPAN_BITS);
    asm_alu_ri(as, ALU_AND, false, RSI, SPANS - 1);
    asm_imul_rri(as, false, RSI, RSI, sizeof(PageSlot));
    asm_alu_rm(as, ALU_SUB, true, RAX, X86_INDEX(R14, RSI, 0, span + (int32_t)offsetof(PageSlot, tag)));
    asm_alu_rm(as, ALU_CMP, true, RAX, X86_INDEX(R14, RSI, 0, span + (int32_t)offsetof(PageSlot, limit)));
    asm_jcc(as, CC_AE, &page);
    asm_load_x(as, 4, 0, X86_INDEX(R14, RSI, 0, span));
    asm_load(as, 3, false, true, RAX, X86_INDEX(R14, RSI, 0, span + (int32_t)offsetof(PageSlot, limit)));
    asm_alu_ri(as, ALU_SUB, true, RAX, PAGE_SIZE);
    asm_jmp(as, &fill);
    asm_bind(as, &page);
    asm_load_x(as, 4, 0, X86_INDEX(R14, RDI, 0, table));
    asm_mov_ri(as, RAX, 0);
    asm_bind(as, &fill);
    asm_alu_rm(as, ALU_ADD, true, RAX, X86_AT(RCX, (int32_t)offsetof(JitSlot, limit)));
    asm_store_x(as, 4, X86_INDEX(R14, RDX, 0, 0), 0);
    asm_store(as, 3, X86_INDEX(R14, RDX, 0, (int32_t)offsetof(PageSlot, limit)), RAX);
    asm_store_i(as, 0, X86_AT(R14, (int32_t)offsetof(CpuTlb, slots_used)), 1);
    asm_alu_mi(as, ALU_SUB, false, X86_AT(RCX, (int32_t)offsetof(JitSlot, left)), 1);
    asm_pop(as, RSI);
    asm_pop(as, RAX);
    asm_pop(as, RCX);
    asm_jcc(as, CC_S, &look);
    asm_ret(as);
    asm_bind(as, &look);
    save_all(as);
    asm_lea(as, true, RDI, gen_mem(0));
    asm_mov_rr(as, false, RSI, RCX);
    asm_mov_ri(as, RAX, (uintptr_t)jit_look);
    asm_alu_ri(as, ALU_SUB, true, RSP, 8);
    asm_call_r(as, RAX);
    asm_alu_ri(as, ALU_ADD, true, RSP, 8);
    restore_all(as);
    asm_ret(as);
    return here;
}

/* The host's address of the page at rcx, which the table must have, into rcx; rdi is lost. */
static void find_page(Asm *as, int32_t table, AsmLabel *fail)
{
    asm_mov_rr(as, false, RDI, RCX);
    asm_shift_ri(as, SH_SHR, false, RDI, PAGE_BITS - 4);
    asm_alu_ri(as, ALU_AND, false, RDI, (TLB_ENTRIES - 1) << 4);
    asm_alu_rm(as, ALU_CMP, true, RCX, X86_INDEX(R14, RDI, 0, table + (int32_t)offsetof(TlbEntry, tag)));
    asm_jcc(as, CC_NE, fail);
    asm_alu_rm(as, ALU_ADD, true, RCX, X86_INDEX(R14, RDI, 0, table + (int32_t)offsetof(TlbEntry, addend)));
}

/* The bytes of CpuAcross from the page at rcx or rdi, or back. xmm0 is lost. */
static void copy_across(Asm *as, unsigned page, X86Reg host, bool back)
{
    for (int32_t at = 0; at < CPU_ACROSS; at += 16) {
        X86Mem here = gen_mem((int32_t)offsetof(Cpu, across.bytes) + (int32_t)page * CPU_ACROSS + at);
        X86Mem there = X86_AT(host, (page == 0 ? PAGE_SIZE - CPU_ACROSS : 0) + at);

        asm_load_x(as, 4, 0, back ? here : there);
        asm_store_x(as, 4, back ? there : here, 0);
    }
}

/*
 * For an access of up to CPU_ACROSS bytes at rdx that its check refused. If the table has the page and the next one,
 * rdi is where in Cpu.across to read or write; else, and when it is too far from the next page, 0. xmm0 is lost.
 */
static const void *make_across(Asm *as, int32_t table)
{
    const void *here = asm_here(as);
    AsmLabel    fail = ASM_LABEL;

    asm_push(as, RAX);
    asm_push(as, RCX);
    asm_mov_rr(as, false, RAX, RDX);
    asm_alu_ri(as, ALU_AND, false, RAX, PAGE_SIZE - 1);
    asm_alu_ri(as, ALU_CMP, false, RAX, PAGE_SIZE - CPU_ACROSS);
    asm_jcc(as, CC_BE, &fail);
    asm_alu_rr(as, ALU_SUB, true, RDX, RAX);
    for (unsigned page = 0; page < 2; page++) {
        asm_lea(as, true, RCX, X86_AT(RDX, (int32_t)page * PAGE_SIZE));
        find_page(as, table, &fail);
        asm_store(as, 3, gen_mem((int32_t)(offsetof(Cpu, across.page) + page * sizeof(uint8_t *))), RCX);
        copy_across(as, page, RCX, false);
    }
    asm_lea(as, true, RDI, X86_INDEX(RBP, RAX, 0, gen_mem(offsetof(Cpu, across.bytes)).disp - PAGE_SIZE + CPU_ACROSS));
    asm_pop(as, RCX);
    asm_pop(as, RAX);
    asm_ret(as);
    asm_bind(as, &fail);
    asm_mov_ri(as, RDI, 0);
    asm_pop(as, RCX);
    asm_pop(as, RAX);
    asm_ret(as);
    return here;
}

/* What was written to Cpu.across goes to the pages. One thread writes guest memory: the bytes beside it are as they
 * were. */
static const void *make_across_done(Asm *as)
{
    const void *here = asm_here(as);

    for (unsigned page = 0; page < 2; page++) {
        asm_load(as, 3, false, true, RDI,
                 gen_mem((int32_t)(offsetof(Cpu, across.page) + page * sizeof(uint8_t *))));
        copy_across(as, page, RDI, true);
    }
    asm_ret(as);
    return here;
}

_Static_assert(offsetof(PageSlot, tag) == offsetof(TlbEntry, tag) &&
                   offsetof(PageSlot, addend) == offsetof(TlbEntry, addend),
               "make_keep() copies both at once");

static void make_routines(Jit *j)
{
    Asm as;

    code_mem_begin(&j->mem);
    asm_init(&as, j->mem.write, j->mem.size, j->mem.run - j->mem.write);
    j->host = as.host;
    make_enter(j, &as);
    make_slow(j, &as);
    make_flags(j, &as);
    j->keep_read = make_keep(j, &as, (int32_t)offsetof(CpuTlb, read), (int32_t)offsetof(CpuTlb, read_span));
    j->keep_write = make_keep(j, &as, (int32_t)offsetof(CpuTlb, write), (int32_t)offsetof(CpuTlb, write_span));
    j->across_read = make_across(&as, (int32_t)offsetof(CpuTlb, read));
    j->across_write = make_across(&as, (int32_t)offsetof(CpuTlb, write));
    j->across_done = make_across_done(&as);
    pac_make(j, &as);
    j->leave_time = make_leave_with_pc(&as, EXEC_LEFT);
    j->leave_lookup = asm_here(&as);
    asm_mov_rr(&as, true, RAX, RCX);
    j->leave_find = make_leave_with_pc(&as, EXEC_FIND);
    j->leave_state = make_leave_with_pc(&as, EXEC_STATE);
    make_far(j, &as);
    j->leave_link = make_leave_by_call(&as, EXEC_LINK);
    j->leave_entry = make_leave_by_call(&as, EXEC_ENTRY);
    j->leave_gone = make_leave_by_call(&as, EXEC_GONE);
    j->leave_wide = make_leave_by_call(&as, EXEC_WIDE);
    j->leave_fault = asm_here(&as);
    make_leave(&as, EXEC_FAULT);
    j->leave_done = asm_here(&as);
    make_leave(&as, EXEC_DONE);
    j->fixed = j->mem.used = asm_size(&as);
    code_mem_end(&j->mem);
}

/* ---- life ---- */

static void *reserve(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

/* A call may end where code memory does. */
static size_t first_calls_size(const Jit *j) { return ((j->mem.size >> JIT_CALL_SHIFT) + 1) * sizeof(uint32_t); }

Jit *jit_new(CpuEngine *e, size_t size, char *why, size_t why_len)
{
    Jit *j = g_new0(Jit, 1);

    j->engine = e;
    j->max_sites = (uint32_t)(size / BYTES_PER_SITE);
    j->max_slots = (uint32_t)(size / BYTES_PER_SLOT);
    j->max_exits = (uint32_t)(size / BYTES_PER_EXIT);
    j->max_pool = (uint32_t)(size / BYTES_PER_CONSTANT);
    j->max_calls = (uint32_t)(size / BYTES_PER_CALL);
    j->max_traps = (uint32_t)(size / BYTES_PER_TRAP);
    j->traps = jit_host_traps();
    j->n_exits = 1; /* 0: none */
    if (!asm_host_ok()) {
        g_snprintf(why, why_len, "this processor has no SSE4.2 and POPCNT (x86-64-v2)");
    } else if (code_mem_init(&j->mem, size, why, why_len)) {
        j->site = reserve(j->max_sites * sizeof(JitSite));
        j->slot = reserve(j->max_slots * sizeof(JitSlot));
        j->exit = reserve(j->max_exits * sizeof(JitExit));
        j->pool = reserve(j->max_pool * sizeof(uint64_t));
        j->call = reserve(j->max_calls * sizeof(JitCall));
        j->first_call = reserve(first_calls_size(j));
        j->trap = reserve(j->max_traps * sizeof(JitTrap));
        if (j->site != NULL && j->slot != NULL && j->exit != NULL && j->pool != NULL && j->call != NULL &&
            j->first_call != NULL && j->trap != NULL) {
            j->gen = gen_new();
            make_routines(j);
            return j;
        }
        g_snprintf(why, why_len, "there is no address space for the tables of generated code");
    }
    jit_free(j);
    return NULL;
}

static void release(void *p, size_t size)
{
    if (p != NULL) {
        munmap(p, size);
    }
}

void jit_free(Jit *j)
{
    if (j == NULL) {
        return;
    }
    release(j->site, j->max_sites * sizeof(JitSite));
    release(j->slot, j->max_slots * sizeof(JitSlot));
    release(j->exit, j->max_exits * sizeof(JitExit));
    release(j->pool, j->max_pool * sizeof(uint64_t));
    release(j->call, j->max_calls * sizeof(JitCall));
    release(j->first_call, first_calls_size(j));
    release(j->trap, j->max_traps * sizeof(JitTrap));
    code_mem_free(&j->mem);
    jit_perf_map_close(j);
    g_free(j->gen);
    g_free(j);
}

size_t jit_code_bytes(const Jit *j) { return j->mem.used; }

void jit_reset(Jit *j)
{
    j->n_sites = j->n_slots = j->n_pool = j->n_calls = j->n_constants = j->n_traps = 0;
    j->traps = j->traps && j->n_trapped < JIT_MANY_TRAPS;
    j->constants_version++;
    j->n_exits = 1;
    code_mem_reset(&j->mem);
    make_routines(j);
}

/* ---- what is remembered of instructions ---- */

static unsigned bit_of(uint64_t pa) { return (unsigned)(pa >> 2 ^ pa >> 18) % JIT_SCATTERED; }

static bool has_bit(const uint64_t *set, uint64_t pa) { return set[bit_of(pa) / 64] >> bit_of(pa) % 64 & 1; }

static void set_bit(uint64_t *set, uint64_t pa) { set[bit_of(pa) / 64] |= 1ull << bit_of(pa) % 64; }

bool jit_is_scattered(const Jit *j, uint64_t name) { return has_bit(j->scattered, name); }

bool jit_is_wide(const Jit *j, uint64_t pa) { return has_bit(j->wide, pa); }

/* ---- running ---- */

/*
 * The host's exception flags collect what inline floating point raises. Code that has any clears them at its entry and
 * sets Cpu.fp_used, unless it is set; nothing clears them then while generated code runs. C that computes with
 * floating point, or may lead to some that does, is called by jit_slow(), between jit_begin_c() and jit_end_c().
 */

uint32_t jit_mxcsr(const Jit *j) { return j->traps ? JIT_MXCSR & ~JIT_TRAPS : JIT_MXCSR; }

void jit_settle(Cpu *cpu)
{
    if (!cpu->fp_used) {
        return;
    }
    unsigned csr = _mm_getcsr(), raised = (csr & 1) | (csr >> 1 & 0x1e); /* bit 1: denormal operand */
    if (raised != 0) {
        if (cpu->guest->fp_raised != NULL) {
            cpu->guest->fp_raised(cpu, raised);
        }
        _mm_setcsr(jit_mxcsr(cpu->engine->jit));
    }
}

uint8_t jit_begin_c(Cpu *cpu)
{
    uint8_t used = cpu->fp_used;

    if (used) {
        jit_settle(cpu);
        cpu->fp_used = 0;
        _mm_setcsr(JIT_MXCSR);
    }
    return used;
}

void jit_end_c(Cpu *cpu, uint8_t used)
{
    if (used) {
        cpu->fp_used = used;
        _mm_setcsr(jit_mxcsr(cpu->engine->jit));
    }
}

static void bring_constants(const Jit *j, Cpu *cpu)
{
    memcpy(cpu->constant, j->constant, j->n_constants * sizeof(j->constant[0]));
    cpu->constants_version = j->constants_version;
}

uint32_t jit_called(const Jit *j, const void *back)
{
    uint32_t       at = (uint32_t)((const uint8_t *)back - j->mem.run);
    const JitCall *c = &j->call[j->first_call[at >> JIT_CALL_SHIFT]];

    while (c->at != at) {
        c++;
    }
    return c->id;
}

/* The exit or the block that generated code left by: the next pc, and how it goes on there. */
static ExecExit resolve_exit(Jit *j, Cpu *cpu, ExecExit how, ExecLink *link)
{
    const uint8_t *at = cpu->exit_at;

    if (how == EXEC_LINK || how == EXEC_FAR) {
        size_t number = how == EXEC_LINK ? jit_called(j, at) : (size_t)((const JitExit *)cpu->exit_at - j->exit);

        link->jit = &j->exit[number];
        cpu->next_pc = link->jit->pc;
        return EXEC_FIND;
    }
    size_t    number = jit_called(j, how == EXEC_GONE ? at - JIT_CALL_BYTES : at);
    CpuBlock *b = (CpuBlock *)(j->engine->arena.base + number * JIT_BLOCK_UNIT);

    cpu->next_pc = b->pc;
    if (how == EXEC_GONE) {
        link->gone = b;
        return EXEC_FIND;
    }
    cpu->left += b->n;
    if (how == EXEC_WIDE) {
        set_bit(j->wide, b->pa);
        code_demote(cpu, b);
        return EXEC_FIND;
    }
    return cpu->left < b->n ? EXEC_LEFT : EXEC_HOT;
}

ExecExit jit_run(Jit *j, Cpu *cpu, CpuBlock *b, ExecLink *link)
{
    if (cpu->constants_version != j->constants_version) {
        bring_constants(j, cpu);
    }
    jit_running = j;
    ExecExit how = (ExecExit)j->enter(cpu, b->code);
    jit_running = NULL;
    jit_write_flags(j, cpu, cpu->flags_how);
    jit_begin_c(cpu);

    *link = (ExecLink){ NULL, 0, NULL };
    if (how == EXEC_DONE) {
        return EXEC_STATE;
    }
    if (how == EXEC_LINK || how == EXEC_FAR || how == EXEC_GONE || how == EXEC_WIDE || how == EXEC_ENTRY) {
        how = resolve_exit(j, cpu, how, link);
    }
    if (how != EXEC_FAULT) {
        cpu->guest->set_pc(cpu, cpu->next_pc);
    }
    return how;
}

/* ---- links and removal ---- */

static bool in_same_page(const CpuBlock *a, const CpuBlock *b)
{
    return a->guarded == b->guarded && ((a->pc ^ b->pc) & PAGE_MASK) == 0 && ((a->pa ^ b->pa) & PAGE_MASK) == 0;
}

/* What the context that runs must have in its place so that @to is at its pc; 0: it is not, as far as is known. */
static uint32_t number_of_page(Jit *j, Cpu *cpu, const CpuBlock *to)
{
    const FetchEntry *f = tlb_find_fetch(cpu->tlb[0], to->pc);

    return f != NULL && f->pa == (to->pa & PAGE_MASK) && f->guarded == to->guarded ?
           tlb_number_fetch(j->engine, cpu->tlb[0], f) : 0;
}

static bool may_lead_to(const Jit *j, const JitExit *exit, const CpuBlock *to)
{
    const CpuBlock *from = exit->from;

    return to->code != NULL && !from->dead && !to->dead && !to->once && to->pc == exit->pc && to->key == exit->key &&
           (exit->far || in_same_page(from, to)) &&
           !code_is_patched(j->engine, to->pa); /* each time jit_revive() would make the way one jump longer */
}

/* The jump to patch holds when the number before it does: the page is where it is now. False: not now. */
static bool number_link(Jit *j, Cpu *cpu, const JitExit *exit, const CpuBlock *to)
{
    uint32_t number = number_of_page(j, cpu, to);

    memcpy(j->mem.write + exit->jump - sizeof(number), &number, number != 0 ? sizeof(number) : 0);
    return number != 0;
}

void jit_link(Jit *j, Cpu *cpu, JitExit *exit, CpuBlock *to)
{
    uint8_t *at = j->mem.write + exit->jump;

    if (exit->far && exit->left >= 0) {
        return;
    }
    exit->left = JIT_FAR_AGAIN;
    if (!may_lead_to(j, exit, to)) {
        return;
    }
    code_mem_begin(&j->mem);
    if (exit->far && !number_link(j, cpu, exit, to)) {
        /* as before */
    } else if (exit->branch) {
        asm_patch_branch(at, j->mem.run - j->mem.write, to->code);
    } else {
        asm_patch_entry(at, j->mem.run - j->mem.write, to->code, false);
    }
    code_mem_end(&j->mem);
}

static void lead_entry(Jit *j, CpuBlock *b, const void *to, bool call)
{
    code_mem_begin(&j->mem);
    asm_patch_entry(b->jit->entry, j->mem.run - j->mem.write, to, call);
    code_mem_end(&j->mem);
}

void jit_kill(Jit *j, CpuBlock *b) { lead_entry(j, b, j->leave_gone, true); }

void jit_replace(Jit *j, CpuBlock *b, CpuBlock *by)
{
    lead_entry(j, b, by->code, false);
    b->code = by->code;
}

void jit_revive(Jit *j, CpuBlock *gone, CpuBlock *by)
{
    bool same = by->pc == gone->pc && by->key == gone->key && by->pa == gone->pa && by->guarded == gone->guarded;

    if (same && by->code != NULL && !by->dead && !by->once) {
        lead_entry(j, gone, by->code, false);
    }
}

/* ---- accesses that miss their slots ---- */

static void begin_sample(Jit *j, JitSlot *s)
{
    code_mem_begin(&j->mem);
    memcpy(s->first, s->hot, JIT_PATCH);
    asm_patch_entry(s->hot, j->mem.run - j->mem.write, s->cold + (j->mem.run - j->mem.write), false);
    code_mem_end(&j->mem);
    s->misses = 0;
    s->left = JIT_SAMPLE;
}

/* Back to the slot; the next sample is the farther away, the more there were. */
static void end_sample(Jit *j, JitSlot *s)
{
    code_mem_begin(&j->mem);
    memcpy(s->hot, s->first, JIT_PATCH);
    code_mem_end(&j->mem);
    s->samples += s->samples < 16;
    s->left = JIT_MISSES << s->samples;
}

/* By the table for good: out of line here, inline when the region is formed anew. */
static void leave_slot(Jit *j, JitSlot *s)
{
    static const uint8_t nop[] = { 0x0f, 0x1f, 0x44, 0x00, 0x00 };

    code_mem_begin(&j->mem);
    memcpy(s->keep, nop, sizeof(nop)); /* in place of the call that leads here */
    code_mem_end(&j->mem);
    set_bit(j->scattered, s->name);
}

/* Decides by what the guest executes alone. */
void jit_look(Cpu *cpu, uint32_t slot)
{
    Jit     *j = cpu->engine->jit;
    JitSlot *s = &j->slot[slot];

    if (!s->sampled && tlb_widen(cpu->tlb[0], s->write, cpu->saved.gpr[RDI] / sizeof(TlbEntry)) &&
        s->widened < JIT_WIDENED) {
        s->widened++;
        s->left = JIT_MISSES;
        return;
    }
    s->sampled = !s->sampled;
    if (s->sampled) {
        begin_sample(j, s);
    } else if (s->misses < JIT_MANY_MISSES) {
        end_sample(j, s);
    } else {
        leave_slot(j, s);
        code_demote(cpu, s->block); /* what runs stays inside, so that others of the loop have time to come here */
    }
}
