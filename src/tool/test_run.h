/*
 * Runs of `bailey test`: each case is a process of this program, several at a time, that leaves files in a folder of
 * its own.
 */
#ifndef BAILEY_TOOL_TEST_RUN_H
#define BAILEY_TOOL_TEST_RUN_H

#include <glib.h>
#include <stdbool.h>

#include "tool/matrix.h"

/* What became of a case. */
typedef struct TestResult {
    const MatrixCase *test;
    char   *folder;  /* where its files are, or were: console, errors, trace, result.json, command */
    char   *command; /* as one would type it */
    char   *why;     /* it failed; NULL: it did not */
    char   *console; /* the last lines that it printed, valid UTF-8, when it failed */
    double  seconds; /* wall time */
    bool    ran;
} TestResult;

typedef struct TestRunConfig {
    unsigned    jobs;     /* at a time */
    const char *out;      /* the folder that has the cases' folders */
    bool        keep_all; /* files of cases that passed too */
    void      (*on_result)(void *opaque, unsigned number, const TestResult *r); /* in order, numbers from 1 */
    void       *opaque;
} TestRunConfig;

/**
 * test_run - runs all of @cases (MatrixCase *), which must outlive the results.
 * @interrupted: a signal ended it; cases that had not ended are not ->ran
 * Returns an array of TestResult * that frees them; NULL with a sentence when a folder cannot be made.
 */
GPtrArray *test_run(const GPtrArray *cases, const TestRunConfig *config, bool *interrupted, GError **error);

#endif
