/*
 * insn_list: the words that tests/bench/insn measures, from the decoder's own table: every pattern of the data
 * processing groups (integers, floating point, vectors) with every value of the fields that say what is computed, and
 * one of those that say with what. Which of them are allocated shows where they run. Prints the rows of a C array.
 */
#include <glib.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cpu/a64/decode.h"
#include "tests/diff/insn_run.h"

/* Fields that do not choose the operation, with the values that stand for all; where a value is not listed, a field of
 * up to six bits takes all of its values. Destinations are replaced by the guest. */
static const struct {
    const char *name;
    uint32_t    values[5];
    unsigned    n;
} chosen[] = {
    {"Rd", {0}, 1},     {"Rn", {1}, 1},     {"Rm", {2}, 1},    {"Ra", {3}, 1},         {"x4", {2}, 1},
    {"M", {0}, 1},      {"H", {0}, 1},      {"imm12", {17}, 1}, {"imm16", {4660}, 1},  {"hw", {1}, 1},
    {"immr", {3}, 1},   {"imms", {9}, 1},   {"imm6", {5}, 1},  {"imm5", {1, 2, 4, 8, 26}, 5}, {"imm3", {2}, 1},
    {"imm8", {112}, 1}, {"imm4", {0, 4, 8}, 3}, {"cond", {0, 10}, 2}, {"nzcv", {4}, 1}, {"mask", {5}, 1},
    {"immh", {1, 2, 4, 8}, 4}, {"immb", {0, 3}, 2}, {"immhi", {16}, 1}, {"immlo", {1}, 1}, {"abc", {3}, 1},
    {"defgh", {16}, 1}, {"scale", {60}, 1}, {"sh", {0}, 1},    {"rot", {0, 1}, 2},     {"uimm6", {1}, 1},
};

typedef struct Field {
    unsigned        lsb, n;
    const uint32_t *values; /* NULL: 0 to n - 1 */
} Field;

static unsigned read_fields(const char *pattern, Field *fields)
{
    static const struct {
        const char *name;
        unsigned    bits;
    } widths[] = {
#define X(name, bits) {#name, bits},
        A64_FIELDS(X)
#undef X
    };
    char   **tokens = g_strsplit(pattern, " ", -1);
    unsigned at = 32, n = 0;

    for (char **t = tokens; *t != NULL; t++) {
        if (strspn(*t, "01") == strlen(*t)) {
            at -= (unsigned)strlen(*t);
            continue;
        }
        for (size_t i = 0; i < ARRAY_LEN(widths); i++) {
            if (strcmp(widths[i].name, *t) == 0) {
                at -= widths[i].bits;
                fields[n++] = (Field){at, 1u << widths[i].bits, NULL};
            }
        }
        for (size_t i = 0; i < ARRAY_LEN(chosen); i++) {
            if (strcmp(chosen[i].name, *t) == 0) {
                fields[n - 1].n = chosen[i].n;
                fields[n - 1].values = chosen[i].values;
            }
        }
    }
    g_strfreev(tokens);
    return n;
}

/* Data processing (immediate), (register), (scalar floating point and Advanced SIMD). Arm DDI 0487, "A64 instruction
 * set encoding", top level. */
static bool is_computation(uint32_t insn)
{
    unsigned op0 = insn >> 25 & 15;

    return (op0 & 14) == 8 || (op0 & 7) == 5 || (op0 & 7) == 7;
}

static void list(const A64Pattern *p, void *opaque)
{
    uint32_t mask, value;
    Field    fields[12];
    unsigned n = read_fields(p->pattern, fields), at[12] = {0}, i;

    insn_constants(p->pattern, &mask, &value);
    do {
        uint32_t insn = value;

        for (i = 0; i < n; i++) {
            insn |= (fields[i].values != NULL ? fields[i].values[at[i]] : at[i]) << fields[i].lsb;
        }
        if (is_computation(insn) && a64_decode(insn, NULL) == p) {
            printf("{0x%08x, \"%s\", %s},\n", insn, p->name, strstr(p->pattern, "Rd") != NULL ? "1" : "0");
        }
        for (i = 0; i < n && ++at[i] == fields[i].n; i++) {
            at[i] = 0;
        }
    } while (i < n);
}

int main(void)
{
    a64_pattern_foreach(list, NULL);
    return 0;
}
