/*
 * How many live outside sources there are.
 */
#include "live.h"

#include <stddef.h>

static int count;
static void (*live_hook)(void *opaque, int delta);
static void *live_opaque;

void live_add(int delta)
{
    count += delta;
    if (live_hook != NULL) {
        live_hook(live_opaque, delta);
    }
}

void live_set_hook(void (*hook)(void *opaque, int delta), void *opaque)
{
    live_hook = hook;
    live_opaque = opaque;
    if (hook != NULL && count != 0) {
        hook(opaque, count);
    }
}
