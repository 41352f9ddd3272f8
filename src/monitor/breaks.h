/* Breakpoints on events, of one session: what monitor.c calls of breaks.c. */
#ifndef BAILEY_MONITOR_BREAKS_H
#define BAILEY_MONITOR_BREAKS_H

#include "monitor/monitor.h"

void mon_breaks_init(Mon *m);
void mon_breaks_clear(Mon *m);
void mon_breaks_deinit(Mon *m);

#endif
