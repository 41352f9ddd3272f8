/*
 * -coverage: which lines of guest code were executed, and how often, as a tracefile of lcov (which genhtml and editors
 * read). Counts are exact: an instruction counts when it is executed, up to one that raises an exception.
 */
#ifndef BAILEY_GUEST_COVERAGE_H
#define BAILEY_GUEST_COVERAGE_H

#include "guest/plugins.h"

typedef struct Coverage Coverage;

/**
 * coverage_new - coverage that is to be written to @path.
 * @symbols: where lines come from; kept, the caller's
 * Returns NULL with a sentence when no file has line tables.
 */
Coverage *coverage_new(const char *path, GuestSymbols *symbols, GError **error);
void      coverage_free(Coverage *c);

/* coverage_plugin - what is to be told of the guest's code. */
BaileyPlugin coverage_plugin(Coverage *c);

/* coverage_stop - the CPUs are about to go: what they have begun is over. */
void coverage_stop(Coverage *c);

/* coverage_write - the tracefile. False with a sentence when it cannot be written. */
bool coverage_write(const Coverage *c, GError **error);

#endif
