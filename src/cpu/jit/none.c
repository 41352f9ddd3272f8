/*
 * Hosts without a code generator: the portable executor runs everything.
 */
#include "cpu/jit/jit.h"

Jit *jit_new(CpuEngine *e, size_t size, char *why, size_t why_len)
{
    g_strlcpy(why, "generated code is for x86-64 hosts", why_len);
    return NULL;
}

void        jit_free(Jit *j) {}
LowerResult jit_compile(Jit *j, const IrBlock *ir, const JitSource *s, Arena *arena, CpuBlock **out)
{
    g_assert_not_reached();
}

LowerResult jit_compile_region(Jit *j, const JitPart *parts, unsigned n, uint64_t pa, Arena *arena, CpuBlock **out)
{
    g_assert_not_reached();
}

JitPart  jit_part(const CpuEngine *e, const IrBlock *ir, uint64_t pc, uint64_t key) { g_assert_not_reached(); }
ExecExit jit_run(Jit *j, Cpu *cpu, CpuBlock *b, ExecLink *link) { g_assert_not_reached(); }
void     jit_settle(Cpu *cpu) { g_assert_not_reached(); }
void     jit_link(Jit *j, Cpu *cpu, JitExit *exit, CpuBlock *to) { g_assert_not_reached(); }
void     jit_kill(Jit *j, CpuBlock *b) { g_assert_not_reached(); }
void     jit_replace(Jit *j, CpuBlock *b, CpuBlock *by) { g_assert_not_reached(); }
void     jit_warm(Cpu *cpu, uint64_t pc) { g_assert_not_reached(); }
void     jit_cool(Cpu *cpu, uint64_t pc) { g_assert_not_reached(); }
void     jit_reset(Jit *j) { g_assert_not_reached(); }
bool     jit_perf_map_open(Jit *j, char *why, size_t why_len) { g_assert_not_reached(); }
void     jit_perf_map(const Jit *j, const CpuBlock *b) { g_assert_not_reached(); }
size_t   jit_code_bytes(const Jit *j) { return 0; }
void     jit_revive(Jit *j, CpuBlock *gone, CpuBlock *by) { g_assert_not_reached(); }
void     jit_print(const Jit *j, const CpuBlock *b, FILE *out) { g_assert_not_reached(); }
