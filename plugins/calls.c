/*
 * A log of what is asked of the firmware: RMI, RSI, PSCI and other SMCs, a line each with the time, the CPU, its count
 * of instructions, and for a Realm's call the function that made it (with -symbols).
 *
 *   -plugin calls.so[,rmi][,rsi][,smc][,file=FILE]
 *
 * Without rmi, rsi or smc: all of them. To stderr, or FILE.
 */
#include <stdio.h>
#include <string.h>

#include "bailey-plugin.h"

BAILEY_PLUGIN;

static const char *const kinds[] = { [BAILEY_RMI] = "rmi", [BAILEY_RSI] = "rsi", [BAILEY_SMC] = "smc" };

static const BaileyApi *api;
static unsigned         wanted; /* bits by BaileyCallKind */
static FILE            *out;

static void call(void *opaque, BaileyCpu *cpu, const BaileyCall *c)
{
    char where[80] = "";

    if ((wanted >> c->kind & 1) == 0) {
        return;
    }
    if (c->kind == BAILEY_RSI) {
        api->symbol(cpu, api->reg(cpu, 32), where, sizeof(where));
    }
    fprintf(out, "%12lld ns cpu%u %10llu insns %s %s%s%s\n", (long long)api->time_ns(cpu), api->cpu_index(cpu),
            (unsigned long long)api->insns(cpu), kinds[c->kind], c->text, *where != '\0' ? " from " : "", where);
}

static void end(void *opaque)
{
    if (out != stderr) {
        fclose(out);
    }
}

static int kind_of(const char *word)
{
    for (int i = 0; i < 3; i++) {
        if (strcmp(word, kinds[i]) == 0) {
            return i;
        }
    }
    return -1;
}

bool bailey_plugin_load(const BaileyApi *a, int argc, char *const *argv, BaileyPlugin *plugin)
{
    const char *path = NULL;

    api = a;
    for (int i = 0; i < argc; i++) {
        int kind = kind_of(argv[i]);

        if (strncmp(argv[i], "file=", 5) == 0) {
            path = argv[i] + 5;
        } else if (kind >= 0) {
            wanted |= 1u << kind;
        } else {
            fprintf(stderr, "calls: there is no argument '%s'; use rmi, rsi, smc or file=FILE\n", argv[i]);
            return false;
        }
    }
    wanted = wanted == 0 ? 7 : wanted;
    out = path != NULL ? fopen(path, "w") : stderr;
    if (out == NULL) {
        perror(path);
        return false;
    }
    *plugin = (BaileyPlugin){ .call = call, .end = end };
    return true;
}
