/*
 * Which blocks of code run most, and what instructions they are made of.
 *
 *   -plugin hotblocks.so[,top=N][,mix][,file=FILE]
 *
 * At the end of the run: the N blocks (20) in which most instructions were executed, by function with -symbols; with
 * mix also the instructions by name. To stderr, or FILE.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bailey-plugin.h"

BAILEY_PLUGIN;

enum { NAMES_MAX = 512, NAME_LEN = 16, TEXT_LEN = 80 };

/* A block; those at one address, of several processes or of code that changed, are told apart. */
typedef struct Hot {
    uint64_t    pc, times;
    size_t      n;
    BaileyWorld world;
    unsigned    el;
    char        where[TEXT_LEN];
    uint16_t   *name; /* of each instruction: index in Tool.name */
    struct Hot *next;
} Hot;

typedef struct Tool {
    const BaileyApi *api;
    Hot             *first;
    size_t           n_blocks, n_names, top;
    int              mix;
    const char      *path;
    char             name[NAMES_MAX][NAME_LEN];
    uint64_t         times[NAMES_MAX];
} Tool;

static Tool tool = { .top = 20 };

/* The number of an instruction's name; what is too much has the last one. */
static uint16_t name_of(uint64_t pc, uint32_t code)
{
    char   text[TEXT_LEN];
    size_t i;

    tool.api->disassemble(pc, code, text, sizeof(text));
    text[strcspn(text, " ")] = '\0';
    text[NAME_LEN - 1] = '\0';
    for (i = 0; i < tool.n_names && strcmp(tool.name[i], text) != 0; i++) {
    }
    if (i == tool.n_names && tool.n_names < NAMES_MAX) {
        strcpy(tool.name[tool.n_names++], text);
    }
    return (uint16_t)(i < NAMES_MAX ? i : NAMES_MAX - 1);
}

static void *translate(void *opaque, BaileyCpu *cpu, const BaileyBlock *block)
{
    Hot *h = calloc(1, sizeof(*h));

    if (h == NULL) {
        return NULL;
    }
    h->pc = block->pc;
    h->n = block->n;
    h->world = tool.api->world(cpu);
    h->el = tool.api->el(cpu);
    tool.api->symbol(cpu, block->pc, h->where, sizeof(h->where));
    if (tool.mix && (h->name = calloc(block->n, sizeof(h->name[0]))) != NULL) {
        for (size_t i = 0; i < block->n; i++) {
            h->name[i] = name_of(block->pc + 4 * i, block->code[i]);
        }
    }
    h->next = tool.first;
    tool.first = h;
    tool.n_blocks++;
    return h;
}

static void executed(void *opaque, BaileyCpu *cpu, const BaileyBlock *block)
{
    Hot *h = block->data;

    if (h != NULL) {
        h->times++;
    }
}

static uint64_t weight(const Hot *h) { return h->times * h->n; }

static int compare(const void *a, const void *b)
{
    const Hot *x = *(Hot *const *)a, *y = *(Hot *const *)b;

    if (weight(x) != weight(y)) {
        return weight(x) < weight(y) ? 1 : -1;
    }
    return x->pc < y->pc ? -1 : x->pc > y->pc;
}

static void print_blocks(FILE *out, Hot **all, uint64_t total)
{
    static const char *const worlds[] = { "secure", "nonsecure", "root", "realm" };

    fprintf(out, "hotblocks: %zu blocks, %llu instructions\n", tool.n_blocks, (unsigned long long)total);
    for (size_t i = 0; i < tool.n_blocks && i < tool.top; i++) {
        const Hot *h = all[i];

        fprintf(out, "%5.1f%% %12llu x %3zu  %s EL%u 0x%llx %s\n", total != 0 ? 100.0 * weight(h) / total : 0,
                (unsigned long long)h->times, h->n, worlds[h->world], h->el, (unsigned long long)h->pc, h->where);
    }
}

static void print_mix(FILE *out)
{
    for (const Hot *h = tool.first; h != NULL; h = h->next) {
        for (size_t i = 0; h->name != NULL && i < h->n; i++) {
            tool.times[h->name[i]] += h->times;
        }
    }
    for (size_t n = 0; n < tool.n_names; n++) {
        size_t most = 0;

        for (size_t i = 1; i < tool.n_names; i++) {
            most = tool.times[i] > tool.times[most] ? i : most;
        }
        if (tool.times[most] == 0) {
            break;
        }
        fprintf(out, "%14llu %s\n", (unsigned long long)tool.times[most], tool.name[most]);
        tool.times[most] = 0;
    }
}

static void end(void *opaque)
{
    Hot    **all = calloc(tool.n_blocks + 1, sizeof(*all));
    FILE    *out = tool.path != NULL ? fopen(tool.path, "w") : stderr;
    uint64_t total = 0;
    size_t   n = 0;

    for (Hot *h = tool.first; h != NULL && all != NULL; h = h->next) {
        all[n++] = h;
        total += weight(h);
    }
    if (all != NULL && out != NULL) {
        qsort(all, n, sizeof(*all), compare);
        print_blocks(out, all, total);
        print_mix(out);
    } else {
        perror("hotblocks: cannot write what it has counted");
    }
    if (out != NULL && out != stderr) {
        fclose(out);
    }
    free(all);
    while (tool.first != NULL) {
        Hot *h = tool.first;

        tool.first = h->next;
        free(h->name);
        free(h);
    }
}

bool bailey_plugin_load(const BaileyApi *api, int argc, char *const *argv, BaileyPlugin *plugin)
{
    tool.api = api;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "top=", 4) == 0) {
            tool.top = strtoul(argv[i] + 4, NULL, 0);
        } else if (strncmp(argv[i], "file=", 5) == 0) {
            tool.path = argv[i] + 5;
        } else if (strcmp(argv[i], "mix") == 0) {
            tool.mix = 1;
        } else {
            fprintf(stderr, "hotblocks: there is no argument '%s'; use top=N, mix or file=FILE\n", argv[i]);
            return false;
        }
    }
    *plugin = (BaileyPlugin){ .translate = translate, .block = executed, .end = end };
    return true;
}
