/*
 * Guest time. One instruction is one nanosecond; time is counted, not read. A CPU that runs owns the clock: between
 * its slices the clock stands at the end of the last one, during a slice clock_now() is exact to the instruction.
 */
#ifndef BAILEY_CLOCK_H
#define BAILEY_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

typedef struct Clock Clock;

/* A deadline. The owner embeds it; timers that fall on the same nanosecond fire in the order they were set up. */
typedef struct ClockTimer {
    Clock   *clock;
    void   (*fire)(void *opaque);
    void    *opaque;
    int64_t  deadline_ns; /* INT64_MAX: not set */
    uint32_t order;       /* of timer_init on this clock */
    uint32_t held;        /* the clock_advance() that must not fire it: it was set into the past during that one */
} ClockTimer;

Clock *clock_new(void);
void   clock_free(Clock *c);

/* Guest nanoseconds since power on, exact in the middle of a slice. */
int64_t clock_now(const Clock *c);

/**
 * clock_seen - guest time as counters show it: clock_now(), but never before what clock_show() has given.
 * The CPUs of a window run one after the other, each from its start; one that runs later would else see time go back,
 * after another has told it how late it is. Within a window a counter may stand still instead.
 */
int64_t clock_seen(const Clock *c);

/* clock_show - clock_seen() for somebody who may tell others: a guest's read of a counter. */
int64_t clock_show(Clock *c);

/**
 * clock_set_runner - name who knows the time during a slice.
 * @now:   returns the exact time; NULL between slices
 * @recut: called when the earliest deadline changed during the slice, so that the CPU stops in time
 */
void clock_set_runner(Clock *c, int64_t (*now)(void *opaque), void (*recut)(void *opaque), void *opaque);

/* clock_advance - between slices: move time to @now_ns (never back) and fire what is due, earliest first. While a
 * timer fires the clock stands at its deadline. */
void clock_advance(Clock *c, int64_t now_ns);

/* clock_rewind - between slices: the next CPU of a window starts where the window started. Nothing fires. */
void clock_rewind(Clock *c, int64_t now_ns);

/* clock_restart - time begins anew, for a test that uses a machine again. Nothing fires. */
void clock_restart(Clock *c);

/* The earliest deadline, or INT64_MAX. */
int64_t clock_next_deadline(const Clock *c);

void timer_init(ClockTimer *t, Clock *c, void (*fire)(void *opaque), void *opaque);
void timer_deinit(ClockTimer *t);

/* timer_set - fire at @deadline_ns (a past one fires at the next clock_advance); INT64_MAX cancels. */
void timer_set(ClockTimer *t, int64_t deadline_ns);

#endif
