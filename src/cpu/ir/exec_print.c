/*
 * Text of executor operations, for -d out_asm: what the portable executor runs in the place of host code.
 */
#include <inttypes.h>
#include <string.h>

#include "cpu/engine.h"
#include "cpu/ir/block.h"

static const char *const names[] = {
#define X(name) #name,
#include "cpu/ir/exec_ops.h"
#undef X
};

/* A place by name: a guest register, a temporary, or the bare offset. */
static void print_place(const CpuGuest *g, uint16_t place, FILE *out)
{
    const size_t temps = offsetof(Cpu, temp);

    if (place >= temps && place < temps + sizeof(((Cpu *)0)->temp)) {
        fprintf(out, " t%zu", (place - temps) / sizeof(CpuTemp));
        return;
    }
    for (size_t i = 0; i < g->n_regs; i++) {
        if (g->regs[i].offset == place) {
            fprintf(out, " %s", g->regs[i].name);
            return;
        }
    }
    fprintf(out, " +%u", place);
}

void exec_print(const CpuGuest *g, const CpuBlock *b, FILE *out)
{
    unsigned insn = 0;

    for (unsigned i = 0; i < b->n_ops; i++) {
        const XOp *op = &b->op[i];
        XCode      code = exec_code_of(op);

        for (; insn < b->n && b->first_op[insn] == i; insn++) {
            fprintf(out, "0x%" PRIx64 "\n", b->pc + b->pc_delta[insn]);
        }
        fprintf(out, "    %s", names[code]);
        if (code == X_call || code == X_call_pure || code == X_call_vec || code == X_call_guard) {
            fprintf(out, " %s", op->call->helper->name);
        }
        print_place(g, op->d, out);
        print_place(g, op->a, out);
        print_place(g, op->b, out);
        print_place(g, op->c, out);
        if (code < X_call_pure) {
            fprintf(out, " #0x%" PRIx64, op->imm);
        }
        fputc('\n', out);
    }
}
