/*
 * -trace FILE.json: what happened in a run, for trace viewers (Perfetto, Chrome) and `bailey report`. Chrome's
 * trace-event format, one event a line: tracks for each CPU and world, Realm, device, for RMM, SMMU and host; flows
 * from a request to who serves it. It hears of events (event.h) and of lines (log.h), and is written as it goes: what
 * of it is in memory does not grow with the run, and a run that is killed leaves a file that ends after an event. Time
 * is guest time, so two runs write the same file. docs/traces.md says what is in it.
 */
#ifndef BAILEY_TRACE_H
#define BAILEY_TRACE_H

#include "guest/guest_symbols.h"
#include "machine.h"

typedef struct Trace Trace;

/**
 * trace_new - begin the file of -trace, if the options have one.
 * Returns NULL, with @error set when there was to be one and it cannot be written.
 */
Trace *trace_new(const Options *o, GError **error);

/**
 * trace_attach - from now on the trace is about this machine, which starts.
 * One that follows another starts at the guest time that the other ended at. NULL traces are left alone by all of
 * these.
 * @symbols: name the functions that Realms call and exit from, if they have any
 */
void trace_attach(Trace *t, Machine *m, GuestSymbols *symbols);

/* trace_detach - the machine's run is over. */
void trace_detach(Trace *t);

/* trace_free - the file is complete. */
void trace_free(Trace *t);

#endif
