/*
 * Disassembly of generated code, for traces. Capstone is loaded when the first trace wants it: relocating its tables
 * would take a third of the time from process start to the first guest instruction.
 */
#include <capstone/capstone.h>
#include <dlfcn.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/jit/jit_int.h"

typedef struct Capstone {
    __typeof__(cs_open)   *open;
    __typeof__(cs_disasm) *disasm;
    __typeof__(cs_free)   *free;
    __typeof__(cs_close)  *close;
} Capstone;

/* NULL: it is not installed. */
static const Capstone *capstone(void)
{
    static Capstone c;
    static void    *library;

    if (library == NULL) {
        library = dlopen(CAPSTONE_FILE, RTLD_NOW | RTLD_LOCAL);
    }
    if (library == NULL) {
        return NULL;
    }
    c.open = (__typeof__(c.open))dlsym(library, "cs_open");
    c.disasm = (__typeof__(c.disasm))dlsym(library, "cs_disasm");
    c.free = (__typeof__(c.free))dlsym(library, "cs_free");
    c.close = (__typeof__(c.close))dlsym(library, "cs_close");
    return c.open != NULL && c.disasm != NULL && c.free != NULL && c.close != NULL ? &c : NULL;
}

/* The routine that all code shares, at @to; NULL: none. */
static const char *routine_at(const Jit *j, const uint8_t *to)
{
    const struct {
        const void *at;
        const char *name;
    } routines[] = {
        { j->slow, "slow" },               { j->leave_time, "leave_time" },   { j->leave_find, "leave_find" },
        { j->leave_state, "leave_state" }, { j->leave_done, "leave_done" },   { j->leave_fault, "leave_fault" },
        { j->leave_lookup, "leave_lookup" }, { j->leave_link, "leave_link" }, { j->leave_wide, "leave_wide" },
        { j->far, "far" },                 { j->across_read, "across_read" }, { j->across_write, "across_write" },
        { j->across_done, "across_done" },
        { j->keep_read, "keep_read" },     { j->keep_write, "keep_write" }, { j->flags, "flags" },
        { j->pac_sign[false], "pac_sign" }, { j->pac_sign[true], "pac_sign_63" }, { j->pac_check, "pac_check" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(routines); i++) {
        if (routines[i].at == to) {
            return routines[i].name;
        }
    }
    return NULL;
}

static const char *site_name(const JitSite *s)
{
    static const char *const kinds[] = { "load", "store", "call", "guard", "wide", "eval" };

    return s->kind == SITE_CALL || s->kind == SITE_GUARD ? s->helper->name
           : s->kind == SITE_WIDE || s->kind == SITE_EVAL ? ir_op_name(s->op) : kinds[s->kind];
}

static void print_insn(const Jit *j, const CpuBlock *b, const cs_insn *insn, FILE *out)
{
    const uint8_t *code = b->code;
    bool           near = strncmp(insn->op_str, "0x", 2) == 0 && (insn->mnemonic[0] == 'j' || insn->mnemonic[0] == 'c');
    const uint8_t *to = near ? code + (int64_t)strtoull(insn->op_str, NULL, 0) : NULL;
    const char    *routine = !near ? NULL : to == code - JIT_CALL_BYTES ? "leave_entry" : routine_at(j, to);

    fprintf(out, "    %4" PRIx64 ": %s %s", insn->address, insn->mnemonic, routine != NULL ? routine : insn->op_str);
    if (near && to == j->slow) {
        fprintf(out, " %s", site_name(&j->site[jit_called(j, code + insn->address + insn->size)]));
    }
    fputc('\n', out);
}

void jit_print(const Jit *j, const CpuBlock *b, FILE *out)
{
    const Capstone *c = capstone();
    cs_insn        *insn;
    csh             cs;

    if (c == NULL || c->open(CS_ARCH_X86, CS_MODE_64, &cs) != CS_ERR_OK) {
        fprintf(out, "    %zu bytes; install Capstone (" CAPSTONE_FILE ") to see them\n", b->jit->size);
        return;
    }
    for (size_t at = 0; at < b->jit->size;) {
        if (c->disasm(cs, (const uint8_t *)b->code + at, b->jit->size - at, at, 1, &insn) != 1) {
            fprintf(out, "    %4zx: what Capstone does not know\n", at);
            break;
        }
        print_insn(j, b, insn, out);
        at += insn->size;
        c->free(insn, 1);
    }
    c->close(&cs);
}
