/*
 * Whole files from the host, of which the user may name any: one that never ends (/dev/zero, a pipe that nobody closes)
 * gets a sentence, not all memory.
 */
#ifndef BAILEY_FILES_H
#define BAILEY_FILES_H

#include <glib.h>
#include <stdbool.h>

#define PEM_MAX_SIZE (1u << 20) /* keys and certificates, with whatever is written around them */

/**
 * file_read - a whole file.
 * @max:  the most bytes that it may have
 * @data: its bytes, a zero byte after them; the caller's, by g_free()
 * @len:  how many; may be NULL
 * False with a message that has no name in it: the caller says which option it was.
 */
bool file_read(const char *path, size_t max, char **data, size_t *len, GError **error);

#endif
