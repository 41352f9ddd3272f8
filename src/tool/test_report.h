/*
 * What `bailey test` says: TAP version 14 as it goes, JUnit's XML at the end.
 */
#ifndef BAILEY_TOOL_TEST_REPORT_H
#define BAILEY_TOOL_TEST_REPORT_H

#include <glib.h>
#include <stdbool.h>

#include "tool/test_run.h"

/* tap_plan - the head of the report, to stdout. */
void tap_plan(unsigned n_cases);

/* tap_result - the line of a case; for one that failed, a block that says why and shows what it printed last. */
void tap_result(unsigned number, const TestResult *r);

/* tap_end - how many, and how long; @interrupted: the rest did not run. */
void tap_end(const GPtrArray *results, double seconds, bool interrupted);

/**
 * junit_write - the results as JUnit's XML.
 * @suite: a name for all of them
 * Returns false with a sentence when the file cannot be written.
 */
bool junit_write(const char *path, const char *suite, const GPtrArray *results, double seconds, GError **error);

#endif
