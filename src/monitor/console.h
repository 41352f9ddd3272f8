/*
 * The monitor for people, -monitor: lines of a terminal, with history and completion, or of a socket, to the commands
 * of monitor.h.
 */
#ifndef BAILEY_MONITOR_CONSOLE_H
#define BAILEY_MONITOR_CONSOLE_H

#include "monitor/monitor.h"

typedef struct MonConsole MonConsole;

/**
 * mon_console_new - serve one user at a time; a session outlives resets, for which the machine is made anew.
 * @where: "stdio", "tcp:ADDR:PORT", "unix:PATH" or "chardev:ID"; sockets of the first kinds listen
 * Returns NULL with a sentence when that cannot be had.
 */
MonConsole *mon_console_new(const char *where, GError **error);

/* mon_console_attach - the machine that commands are about from now on. mon_console_detach - it has ended; lines wait
 * for the next one. */
void mon_console_attach(MonConsole *c, const MonMachine *on);
void mon_console_detach(MonConsole *c);

/* mon_console_free - accepts NULL. */
void mon_console_free(MonConsole *c);

#endif
