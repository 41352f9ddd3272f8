/* Any bytes as a file of tests. Cases that come of it have names that are folders below the one for results. */
#define _GNU_SOURCE
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tool/matrix.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    g_autoptr(GError) error = NULL;
    int               fd = memfd_create("tests", MFD_CLOEXEC);
    g_autofree char  *path = g_strdup_printf("/proc/self/fd/%d", fd);
    GPtrArray        *cases = NULL;

    if (fd >= 0 && write(fd, data, len) == (ssize_t)len) {
        cases = matrix_load(path, &error);
        g_assert((cases != NULL) != (error != NULL));
    }
    for (guint i = 0; cases != NULL && i < cases->len; i++) {
        const MatrixCase *c = cases->pdata[i];

        g_assert(*c->name != '\0' && *c->name != '/' && strstr(c->name, "..") != c->name);
        g_assert(strstr(c->name, "/../") == NULL && c->timeout_s != 0);
    }
    if (cases != NULL) {
        g_ptr_array_free(cases, TRUE);
    }
    close(fd);
    return 0;
}
