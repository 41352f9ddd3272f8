/*
 * Guest time. Set timers are kept in one array sorted by deadline, then by the order of their initialisation,
 * so that what fires first never depends on addresses or history.
 */
#include "clock.h"

#include <glib.h>

struct Clock {
    int64_t    now_ns, shown_ns;
    GPtrArray *set;        /* ClockTimer *, earliest first */
    uint32_t   next_order;
    uint32_t   round;      /* number of the running clock_advance(), 0 outside */
    uint32_t   rounds;
    int64_t  (*now)(void *opaque);
    void     (*recut)(void *opaque);
    void      *opaque;
};

Clock *clock_new(void)
{
    Clock *c = g_new0(Clock, 1);

    c->set = g_ptr_array_new();
    return c;
}

void clock_free(Clock *c)
{
    if (c != NULL) {
        g_ptr_array_free(c->set, TRUE);
        g_free(c);
    }
}

int64_t clock_now(const Clock *c)
{
    return c->now != NULL ? c->now(c->opaque) : c->now_ns;
}

int64_t clock_seen(const Clock *c)
{
    return MAX(clock_now(c), c->shown_ns);
}

int64_t clock_show(Clock *c)
{
    return c->shown_ns = clock_seen(c);
}

void clock_set_runner(Clock *c, int64_t (*now)(void *opaque), void (*recut)(void *opaque), void *opaque)
{
    c->now = now;
    c->recut = recut;
    c->opaque = opaque;
}

int64_t clock_next_deadline(const Clock *c)
{
    return c->set->len == 0 ? INT64_MAX : ((const ClockTimer *)c->set->pdata[0])->deadline_ns;
}

static bool before(const ClockTimer *a, const ClockTimer *b)
{
    return a->deadline_ns != b->deadline_ns ? a->deadline_ns < b->deadline_ns : a->order < b->order;
}

static void insert(Clock *c, ClockTimer *t)
{
    guint lo = 0, hi = c->set->len;

    while (lo < hi) {
        guint mid = (lo + hi) / 2;

        if (before(c->set->pdata[mid], t)) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    g_ptr_array_insert(c->set, (gint)lo, t);
}

void timer_init(ClockTimer *t, Clock *c, void (*fire)(void *opaque), void *opaque)
{
    *t = (ClockTimer){ .clock = c, .fire = fire, .opaque = opaque, .deadline_ns = INT64_MAX,
                       .order = c->next_order++ };
}

void timer_deinit(ClockTimer *t)
{
    if (t->clock != NULL) {
        timer_set(t, INT64_MAX);
        t->clock = NULL;
    }
}

void timer_set(ClockTimer *t, int64_t deadline_ns)
{
    if (deadline_ns == INT64_MAX && t->deadline_ns == INT64_MAX) {
        return;
    }
    Clock  *c = t->clock;
    int64_t earliest = clock_next_deadline(c);

    if (t->deadline_ns != INT64_MAX) {
        g_ptr_array_remove(c->set, t);
    }
    t->deadline_ns = deadline_ns;
    t->held = c->round != 0 && deadline_ns <= c->now_ns ? c->round : 0;
    if (deadline_ns != INT64_MAX) {
        insert(c, t);
    }
    if (c->recut != NULL && clock_next_deadline(c) != earliest) {
        c->recut(c->opaque);
    }
}

/* The earliest timer due at @now_ns that was not set into the past by a timer of this same round. */
static ClockTimer *first_due(const Clock *c, int64_t now_ns)
{
    for (guint i = 0; i < c->set->len; i++) {
        ClockTimer *t = c->set->pdata[i];

        if (t->deadline_ns > now_ns) {
            return NULL;
        }
        if (t->held != c->round) {
            return t;
        }
    }
    return NULL;
}

void clock_advance(Clock *c, int64_t now_ns)
{
    ClockTimer *t;

    g_assert(c->round == 0); /* a timer must not advance the clock */
    c->rounds = c->rounds == UINT32_MAX ? 1 : c->rounds + 1;
    c->round = c->rounds;
    while ((t = first_due(c, now_ns)) != NULL) {
        c->now_ns = MAX(c->now_ns, t->deadline_ns); /* each fires at its own time, never back */
        timer_set(t, INT64_MAX);
        t->fire(t->opaque);
    }
    c->now_ns = MAX(c->now_ns, now_ns);
    c->round = 0;
}

void clock_rewind(Clock *c, int64_t now_ns)
{
    c->now_ns = now_ns;
}

void clock_restart(Clock *c)
{
    c->now_ns = c->shown_ns = 0;
}
