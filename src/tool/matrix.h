/*
 * The tests that `bailey test` runs: a file in GLib's key-file format, made into one case for each combination of what
 * a test is to be tried with. docs/ci.md describes the file for its users.
 */
#ifndef BAILEY_TOOL_MATRIX_H
#define BAILEY_TOOL_MATRIX_H

#include <glib.h>

enum {
    MATRIX_MAX_CASES = 10000,
    MATRIX_TIMEOUT_S = 120, /* unless the file says another */
};

typedef struct MatrixCase {
    char    *name;             /* "test/choice/choice"; once in a matrix, and a relative path without ".." */
    char    *test;             /* its first part: the name of the group */
    char   **args;             /* options of the run, without the program; NULL-terminated */
    char    *expect, *fail_on; /* of -expect and -fail-on; NULL: none */
    char    *trace;            /* of -d; "" is none */
    unsigned timeout_s;
    int      status;           /* the exit status that the run has to end with */
} MatrixCase;

/**
 * matrix_load - the cases of a file, in its order: tests as they stand there, the first axis of one slowest.
 * ${NAME} in an argument is the environment's variable.
 * Returns an array of MatrixCase * that frees them; NULL with a sentence that names file, group and key.
 */
GPtrArray *matrix_load(const char *path, GError **error);

#endif
