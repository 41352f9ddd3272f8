/*
 * -result FILE.json: what a run did, for scripts.
 */
#ifndef BAILEY_RESULT_H
#define BAILEY_RESULT_H

#include <glib.h>

#include "board/cca.h"
#include "machine.h"
#include "options.h"

/* result_write - false with a sentence when the file cannot be written. */
bool result_write(const char *path, Machine *m, Cca *board, const Options *o, GError **error);

/* json_string - @s quoted and escaped, appended to @json. */
void json_string(GString *json, const char *s);

#endif
