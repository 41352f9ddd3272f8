/*
 * Names of generated code for Linux perf ("perf-PID.map" of its tools/perf/Documentation/jit-interface.txt): a line for
 * each block, START SIZE NAME. Addresses that are used again after the cache was emptied have several.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "cpu/jit/jit_int.h"

bool jit_perf_map_open(Jit *j, char *why, size_t why_len)
{
    char path[64];
    int  fd;

    g_snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)getpid()); /* where perf looks */
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    j->perf_map = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (j->perf_map == NULL) {
        g_snprintf(why, why_len, "cannot write '%s': %s; remove that file or leave out perf-map=on", path,
                   strerror(errno));
        return false;
    }
    fprintf(j->perf_map, "%" PRIxPTR " %zx routines\n", (uintptr_t)j->mem.run, j->fixed);
    return true;
}

void jit_perf_map(const Jit *j, const CpuBlock *b)
{
    if (j->perf_map != NULL) {
        fprintf(j->perf_map, "%" PRIxPTR " %zx %s_0x%" PRIx64 "\n", (uintptr_t)b->code, b->jit->size,
                b->region ? "region" : "block", b->pc);
    }
}

void jit_perf_map_close(Jit *j)
{
    if (j->perf_map != NULL) {
        fclose(j->perf_map);
    }
}
