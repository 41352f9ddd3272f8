/* Events for debuggers and trace files: who listens. */
#include "event.h"

#include <stddef.h>

uint32_t event_mask;

static EventListener *listeners;

static void renew_mask(void)
{
    event_mask = 0;
    for (const EventListener *l = listeners; l != NULL; l = l->next) {
        event_mask |= l->mask;
    }
}

static EventListener **find(const EventListener *wanted)
{
    EventListener **at = &listeners;

    while (*at != NULL && *at != wanted) {
        at = &(*at)->next;
    }
    return at;
}

void event_listen(EventListener *l)
{
    EventListener **at = find(l);

    if (*at == NULL) {
        l->next = NULL;
        *at = l;
    }
    renew_mask();
}

void event_ignore(EventListener *l)
{
    EventListener **at = find(l);

    if (*at != NULL) {
        *at = l->next;
    }
    renew_mask();
}

void event_tell(const Event *e)
{
    for (const EventListener *l = listeners; l != NULL; l = l->next) {
        if (l->mask >> e->kind & 1) {
            l->tell(l->opaque, e);
        }
    }
}
