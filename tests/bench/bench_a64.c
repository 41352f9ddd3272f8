/*
 * Speed of A64 code on the engine: bench_a64 KERNELS.bin. Not a test.
 */
#include <glib.h>
#include <stdio.h>
#include <string.h>

#include "a64_box.h"
#include "cpu/engine.h"
#include "log.h"

static const char *const names[] = {"crc32",       "shell sort", "sieve",  "calls",
                                    "linked list", "copy",       "strings"};

/* Operations an instruction became, over all blocks of the cache. */
static double ops_per_insn(const CpuEngine *e)
{
    uint64_t ops = 0, insns = 0;

    for (unsigned i = 0; i < BLOCK_BUCKETS; i++) {
        for (const CpuBlock *b = e->buckets[i]; b != NULL; b = b->next_hash) {
            ops += b->n_ops;
            insns += b->n;
        }
    }
    return insns == 0 ? 0 : (double)ops / (double)insns;
}

static void measure(unsigned kernel, const char *code, gsize len, uint64_t n)
{
    A64Box  *box = a64_box_new();
    uint64_t insns;
    int64_t  t;

    for (gsize i = 0; i < len; i += 4) {
        uint32_t word = 0;

        memcpy(&word, code + i, MIN(4, len - i));
        a64_box_code(box, BOX_CODE + i, &word, 1);
    }
    a64_box_enter(box, 2, BOX_CODE);
    box->cpu->x[0] = kernel;
    box->cpu->x[1] = BOX_DATA;
    box->cpu->x[2] = n;
    box->cpu->sp = BOX_DATA + BOX_DATA_SIZE;
    t = g_get_monotonic_time();
    insns = box->cpu->cpu.n_insns;
    a64_box_run(box, UINT64_MAX / 8);
    t = g_get_monotonic_time() - t;
    insns = box->cpu->cpu.n_insns - insns;
    printf(
        "%-12s %6.0f million instructions per second, %.2f operations an instruction (EC 0x%x, x0 0x%llx)\n",
        names[kernel], (double)insns / (double)t, ops_per_insn(box->engine), a64_box_ec(box),
        (unsigned long long)box->cpu->x[0]);
    a64_box_free(box);
}

int main(int argc, char **argv)
{
    char       *code;
    gsize       len;
    const char *bad;

    if (argc < 2 || !g_file_get_contents(argv[1], &code, &len, NULL)) {
        fprintf(stderr, "usage: bench_a64 KERNELS.bin [only kernel N] [-d list]\n");
        return 2;
    }
    if (argc > 3) {
        log_parse(argv[3], &bad);
    }
    for (unsigned k = 0; k < G_N_ELEMENTS(names); k++) {
        if (argc < 3 || (unsigned)g_ascii_strtoull(argv[2], NULL, 10) == k) {
            measure(k, code, len, argc > 3 ? 1 : 60);
        }
    }
    g_free(code);
    return 0;
}
