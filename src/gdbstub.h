/*
 * The gdb server: registers, memory, breakpoints, watchpoints, single step, one thread for each CPU, and the commands
 * of src/monitor. GDB Remote Serial Protocol. Packets are hostile input: a bad one gets an error reply.
 */
#ifndef BAILEY_GDBSTUB_H
#define BAILEY_GDBSTUB_H

#include <glib.h>

#include "monitor/monitor.h"

typedef struct Gdbstub Gdbstub;

/**
 * gdbstub_new - listen for one debugger at a time.
 * @address: "tcp:ADDR:PORT" (ADDR may be empty for loopback), "tcp::PORT" or "unix:PATH"
 * Returns NULL with a sentence when the address cannot be used.
 */
Gdbstub *gdbstub_new(const MonMachine *on, const char *address, GError **error);

/* gdbstub_free - end the session; accepts NULL. */
void gdbstub_free(Gdbstub *g);

#endif
