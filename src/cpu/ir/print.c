/*
 * Text of a block for -d ir: one operation per line, values as %number.
 */
#include <inttypes.h>

#include "cpu/ir/block.h"

static const char *const flags_kinds[] = { "add", "sub", "logic" };
static const char *const conds[] = {"z",  "nz",       "c",       "nc", "n",  "nn", "v",
                                    "nv", "c_and_nz", "nc_or_z", "ge", "lt", "gt", "le"};

static void print_operands(const IrNode *n, FILE *out)
{
    const IrRef refs[] = { n->a, n->b, n->c };
    const char *sep = " ";

    for (unsigned i = 0; i < 3; i++) {
        if (refs[i] != 0) {
            fprintf(out, "%s%%%u", sep, refs[i]);
            sep = ", ";
        }
    }
}

static void print_mem(IrMem m, FILE *out)
{
    static const char *const orders[] = { "", ".acq", ".rel", ".acqrel" };

    fprintf(out, ".%u%s%s%s%s%s", 8u << m.size_log2, m.sign ? ".s" : "", m.big ? ".big" : "",
            m.align ? ".aligned" : "", m.space ? ".unpriv" : "", orders[m.order]);
    fputs(m.write_intent ? ".rmw" : "", out);
}

static void print_name(const IrNode *n, FILE *out)
{
    fputs(ir_op_name(n->op), out);
    switch (n->op) {
    case IR_flags:
        fprintf(out, ".%s", flags_kinds[n->kind]);
        break;
    case IR_flags_cond:
        fprintf(out, ".%s", conds[n->kind]);
        break;
    case IR_call:
    case IR_guard:
        fprintf(out, " %s", n->helper->name);
        break;
    default:
        if (ir_op_class(n->op) == IR_CLASS_CMP) {
            fprintf(out, ".%s", ir_type_name(n->kind));
        } else if (n->type != IR_VOID && n->op != IR_get) {
            fprintf(out, ".%s", ir_type_name(n->type));
        }
        break;
    }
    if (n->op == IR_load || n->op == IR_store) {
        print_mem(n->mem, out);
    }
}

static void print_node(const IrBlock *b, unsigned i, FILE *out)
{
    const IrNode *n = &b->node[i];

    if (n->op == IR_insn) {
        fprintf(out, "insn 0x%" PRIx64 "\n", n->imm);
        return;
    }
    fputs("    ", out);
    if (n->type != IR_VOID) {
        fprintf(out, "%%%u = ", i);
    }
    print_name(n, out);
    if (n->op == IR_get || n->op == IR_put) {
        fprintf(out, " %s%s", b->regs[n->imm].name, n->op == IR_put ? "," : "");
    }
    print_operands(n, out);
    if (n->op == IR_const || n->op == IR_exit_jump || n->op == IR_exit_state) {
        fprintf(out, " 0x%" PRIx64, n->imm);
    } else if (n->op == IR_exit_branch) {
        fprintf(out, ", 0x%" PRIx64 ", 0x%" PRIx64, n->imm, n->imm2);
    } else if ((n->op < IR_N_OPS || n->op == IR_call || n->op == IR_guard) && n->imm != 0) {
        fprintf(out, " #0x%" PRIx64, n->imm);
    }
    fputc('\n', out);
}

void ir_print(const IrBlock *b, FILE *out)
{
    for (unsigned i = 1; i < b->n; i++) {
        if (b->node[i].op != IR_NOP) {
            print_node(b, i, out);
        }
    }
}
