/* Reading whole files: see files.h. */
#include "files.h"

#include <errno.h>
#include <stdio.h>

enum { CHUNK = 64 << 10 };

bool file_read(const char *path, size_t max, char **data, size_t *len, GError **error)
{
    FILE    *f = fopen(path, "rb");
    int      cause = f == NULL ? errno : 0;
    GString *s = g_string_new(NULL);
    size_t   n = 1;

    while (f != NULL && n != 0 && s->len <= max) {
        char chunk[CHUNK];

        n = fread(chunk, 1, sizeof(chunk), f);
        cause = ferror(f) ? errno : 0;
        g_string_append_len(s, chunk, (gssize)n);
    }
    bool whole = cause == 0 && s->len <= max;
    if (cause != 0) {
        g_set_error(error, G_FILE_ERROR, (int)g_file_error_from_errno(cause), "%s", g_strerror(cause));
    } else if (!whole) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "it has more than %zu KiB, or no end", max >> 10);
    }
    if (f != NULL) {
        fclose(f);
    }
    if (whole && len != NULL) {
        *len = s->len;
    }
    *data = g_string_free(s, !whole); /* NULL when it is thrown away */
    return whole;
}
