/*
 * A plugin that hears everything, for tests: -plugin everything.so,file=FILE[,log=N][,only=KINDS]. FILE gets counts and
 * a hash of all that it was told, in order, and before that the first N events, a line each. KINDS: letters of t
 * (translate), b, i, a, e, c.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bailey-plugin.h"

BAILEY_PLUGIN;

static const BaileyApi *api;
static FILE            *out;
static uint64_t         hash = 0xcbf29ce484222325, blocks, translated, insns, accesses, exceptions, calls, left;
static char             mark; /* what data of blocks points to */

static void note(BaileyCpu *cpu, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void note(BaileyCpu *cpu, const char *format, ...)
{
    char    line[512];
    int     n = snprintf(line, sizeof(line), "%llu cpu%u world %d EL%u ", (unsigned long long)api->insns(cpu),
                         api->cpu_index(cpu), api->world(cpu), api->el(cpu));
    va_list ap;

    va_start(ap, format);
    vsnprintf(line + n, sizeof(line) - (size_t)n, format, ap);
    va_end(ap);
    for (const char *c = line; *c != '\0'; c++) {
        hash = (hash ^ (uint8_t)*c) * 0x100000001b3;
    }
    if (left > 0) {
        left--;
        fprintf(out, "%s\n", line);
    }
}

/* Registers, too: they are to be those of this moment. */
static uint64_t registers(BaileyCpu *cpu)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i <= 32; i++) {
        sum = (sum ^ api->reg(cpu, i)) * 0x9e3779b97f4a7c15;
    }
    return sum;
}

static void *translate(void *opaque, BaileyCpu *cpu, const BaileyBlock *b)
{
    uint32_t word = 0;
    char     text[80];

    translated++;
    if (b->n == 0) {
        return NULL;
    }
    api->disassemble(b->pc, b->code[0], text, sizeof(text));
    if (!api->read_memory(cpu, b->pc, &word, sizeof(word)) || word != b->code[0]) {
        note(cpu, "code that is not there");
    }
    note(cpu, "translate 0x%llx at 0x%llx, %zu: %s", (unsigned long long)b->pc, (unsigned long long)b->pa, b->n, text);
    return &mark;
}

static void block(void *opaque, BaileyCpu *cpu, const BaileyBlock *b)
{
    blocks++;
    note(cpu, "block 0x%llx, %zu%s", (unsigned long long)b->pc, b->n, b->data == &mark ? "" : " of somebody else");
}

static void insn(void *opaque, BaileyCpu *cpu, uint64_t pc, uint32_t code)
{
    insns++;
    note(cpu, "insn 0x%llx: %08x, registers %llx", (unsigned long long)pc, code, (unsigned long long)registers(cpu));
}

static void access(void *opaque, BaileyCpu *cpu, const BaileyAccess *a)
{
    accesses++;
    note(cpu, "%s 0x%llx, %u, by 0x%llx", a->store ? "store" : "load", (unsigned long long)a->va, a->size,
         (unsigned long long)a->pc);
}

static void exception(void *opaque, BaileyCpu *cpu, const BaileyException *e)
{
    exceptions++;
    note(cpu, "exception %d EL%u to EL%u, esr 0x%llx far 0x%llx from 0x%llx, registers %llx", e->kind, e->from_el,
         e->to_el, (unsigned long long)e->esr, (unsigned long long)e->far, (unsigned long long)e->return_pc,
         (unsigned long long)registers(cpu));
}

static void call(void *opaque, BaileyCpu *cpu, const BaileyCall *c)
{
    calls++;
    note(cpu, "call %d %s 0x%llx%s %llx: %s", c->kind, c->name, (unsigned long long)c->fid,
         c->pending ? " pending" : "", c->pending ? 0ull : (unsigned long long)c->status, c->text);
}

static void end(void *opaque)
{
    fprintf(out, "translated %llu blocks %llu insns %llu accesses %llu exceptions %llu calls %llu hash %016llx\n",
            (unsigned long long)translated, (unsigned long long)blocks, (unsigned long long)insns,
            (unsigned long long)accesses, (unsigned long long)exceptions, (unsigned long long)calls,
            (unsigned long long)hash);
    fclose(out);
}

bool bailey_plugin_load(const BaileyApi *a, int argc, char *const *argv, BaileyPlugin *p)
{
    const char *only = "tbiaec";

    api = a;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "file=", 5) == 0) {
            out = fopen(argv[i] + 5, "w");
        } else if (strncmp(argv[i], "log=", 4) == 0) {
            left = strtoull(argv[i] + 4, NULL, 0);
        } else if (strncmp(argv[i], "only=", 5) == 0) {
            only = argv[i] + 5;
        }
    }
    if (out == NULL) {
        fprintf(stderr, "everything: file=FILE names no file that can be written\n");
        return false;
    }
    p->translate = strchr(only, 't') != NULL ? translate : NULL;
    p->block = strchr(only, 'b') != NULL ? block : NULL;
    p->insn = strchr(only, 'i') != NULL ? insn : NULL;
    p->access = strchr(only, 'a') != NULL ? access : NULL;
    p->exception = strchr(only, 'e') != NULL ? exception : NULL;
    p->call = strchr(only, 'c') != NULL ? call : NULL;
    p->end = end;
    return true;
}
