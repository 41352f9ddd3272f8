/*
 * -accel lockstep: the machine runs twice at the same time, as machine code and by the portable executor, each in a
 * process of its own; this process compares what they report (cpu/lockstep.h).
 */
#ifndef BAILEY_LOCKSTEP_H
#define BAILEY_LOCKSTEP_H

#include <glib.h>
#include <stdbool.h>

#include "options.h"

/* lockstep_allowed - false with a sentence when the options let something in from outside, which would not come to both
 * at the same instruction. */
bool lockstep_allowed(const Options *o, GError **error);

/**
 * lockstep_main - run the machine of @o both ways.
 * @run: runs the machine of its options in this process, and returns the status of the program
 * Returns the status of both, or 1 with a report on stderr when they differ.
 */
int lockstep_main(Options *o, int (*run)(const Options *o));

#endif
