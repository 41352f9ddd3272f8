/*
 * Sources outside of the machine from which something may come at any time: a terminal, a connection, a listening
 * socket. While there is one, an idle guest is paced by wall time. One count for the program.
 */
#ifndef BAILEY_LIVE_H
#define BAILEY_LIVE_H

/* live_add - one more (+1) or one less (-1). */
void live_add(int delta);

/* live_set_hook - told of each change, and at once of those that are there. NULL: nobody is. */
void live_set_hook(void (*hook)(void *opaque, int delta), void *opaque);

#endif
