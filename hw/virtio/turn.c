/*
 * Turns: what one notification has done before the event loop is looked at again.
 */
#include "hw/virtio/virtio.h"

enum {
    TURN = 64 << 20,   /* bytes */
    REQUEST = 4 << 10, /* what one counts for besides its data */
    BREAK_NS = 1000,   /* of guest time, until the rest */
};

void virtio_turn_notify(VirtioTurn *t, unsigned q)
{
    if (t->rest.deadline_ns != INT64_MAX) {
        return; /* it is served with the rest, in order */
    }
    t->left = TURN;
    t->serve(t->v, q);
    if (t->left <= 0) {
        timer_set(&t->rest, clock_now(t->rest.clock) + BREAK_NS);
    }
}

bool virtio_turn_pop(VirtioTurn *t, unsigned q)
{
    if (t->left <= 0 || virtq_pop(t->v, q, &t->v->chain) != VIRTQ_CHAIN) {
        return false;
    }
    t->left -= REQUEST;
    return true;
}

void virtio_turn_spend(VirtioTurn *t, uint64_t len)
{
    t->left -= (int64_t)len;
}

static void on_rest(void *opaque)
{
    VirtioTurn *t = opaque;

    timer_set(&t->rest, INT64_MAX);
    for (unsigned q = 0; q < t->v->type->n_queues; q++) {
        if (virtio_ready(t->v, q)) {
            virtio_turn_notify(t, q);
        }
    }
}

void virtio_turn_init(VirtioTurn *t, VirtioPci *v, void (*serve)(VirtioPci *v, unsigned q))
{
    *t = (VirtioTurn){ .v = v, .serve = serve };
    timer_init(&t->rest, v->pci.dev.clock, on_rest, t);
}

void virtio_turn_reset(VirtioTurn *t)
{
    if (t->v != NULL) { /* not before realize() made it */
        timer_set(&t->rest, INT64_MAX);
    }
}

void virtio_turn_deinit(VirtioTurn *t)
{
    timer_deinit(&t->rest);
}
