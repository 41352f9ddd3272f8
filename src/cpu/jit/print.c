/*
 * Disassembly of generated code, for traces. Capstone is loaded when the first trace wants it: relocating its tables
 * would take a third of the time from process start to the first guest instruction.
 */
#include <capstone/capstone.h>
#include <dlfcn.h>
#include <inttypes.h>

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

void jit_print(const Jit *j, const CpuBlock *b, FILE *out)
{
    const Capstone *c = capstone();
    cs_insn        *insn;
    csh             cs;

    if (c == NULL || c->open(CS_ARCH_X86, CS_MODE_64, &cs) != CS_ERR_OK) {
        fprintf(out, "    %zu bytes; install Capstone (" CAPSTONE_FILE ") to see them\n", b->jit->size);
        return;
    }
    size_t n = c->disasm(cs, b->code, b->jit->size, 0, 0, &insn);
    for (size_t i = 0; i < n; i++) {
        fprintf(out, "    %4" PRIx64 ": %s %s\n", insn[i].address, insn[i].mnemonic, insn[i].op_str);
    }
    if (n > 0) {
        c->free(insn, n);
    }
    c->close(&cs);
}
