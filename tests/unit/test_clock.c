/*
 * Guest time and timers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <glib.h>

#include "clock.h"

typedef struct Fixture {
    Clock     *c;
    ClockTimer t[4];
    GString   *fired; /* "0@10 2@30 " */
    int64_t    rearm[4]; /* when timer n fires, set it so much later; INT64_MAX: not */
    int64_t    now;
    unsigned   n_recuts;
} Fixture;

typedef struct Tag {
    Fixture *f;
    unsigned n;
} Tag;

static Tag tags[4];

static void fire(void *opaque)
{
    Tag *tag = opaque;

    g_string_append_printf(tag->f->fired, "%u@%d ", tag->n, (int)clock_now(tag->f->c));
    if (tag->f->rearm[tag->n] != INT64_MAX) {
        timer_set(&tag->f->t[tag->n], clock_now(tag->f->c) + tag->f->rearm[tag->n]);
    }
}

static int setup(void **state)
{
    Fixture *f = g_new0(Fixture, 1);

    f->c = clock_new();
    f->fired = g_string_new("");
    for (unsigned i = 0; i < 4; i++) {
        tags[i] = (Tag){ f, i };
        timer_init(&f->t[i], f->c, fire, &tags[i]);
        f->rearm[i] = INT64_MAX;
    }
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    Fixture *f = *state;

    for (unsigned i = 0; i < 4; i++) {
        timer_deinit(&f->t[i]);
    }
    clock_free(f->c);
    g_string_free(f->fired, TRUE);
    g_free(f);
    return 0;
}

static void test_order(void **state)
{
    Fixture *f = *state;

    timer_set(&f->t[3], 20);
    timer_set(&f->t[1], 20);
    timer_set(&f->t[2], 10);
    timer_set(&f->t[0], 21);
    assert_int_equal(clock_next_deadline(f->c), 10);
    clock_advance(f->c, 9);
    assert_string_equal(f->fired->str, "");
    clock_advance(f->c, 20);
    assert_string_equal(f->fired->str, "2@10 1@20 3@20 ");
    assert_int_equal(clock_next_deadline(f->c), 21);
    assert_int_equal(clock_now(f->c), 20);
    clock_advance(f->c, 5); /* never back */
    assert_int_equal(clock_now(f->c), 20);
}

static void test_cancel_and_move(void **state)
{
    Fixture *f = *state;

    timer_set(&f->t[0], 10);
    timer_set(&f->t[1], 12);
    timer_set(&f->t[0], INT64_MAX);
    timer_set(&f->t[1], 30);
    timer_set(&f->t[1], 8);
    assert_int_equal(clock_next_deadline(f->c), 8);
    clock_advance(f->c, 100);
    assert_string_equal(f->fired->str, "1@8 ");
    assert_int_equal(clock_next_deadline(f->c), INT64_MAX);
}

static void test_periodic(void **state)
{
    Fixture *f = *state;

    f->rearm[0] = 10;
    timer_set(&f->t[0], 10);
    timer_set(&f->t[1], 25);
    clock_advance(f->c, 35);
    assert_string_equal(f->fired->str, "0@10 0@20 1@25 0@30 ");
    assert_int_equal(clock_next_deadline(f->c), 40);
}

/* A timer that sets itself to now fires once in each clock_advance(), not for ever. */
static void test_past_deadline(void **state)
{
    Fixture *f = *state;

    f->rearm[0] = 0;
    timer_set(&f->t[0], 10);
    clock_advance(f->c, 20);
    assert_string_equal(f->fired->str, "0@10 ");
    assert_int_equal(clock_next_deadline(f->c), 10);
    clock_advance(f->c, 20);
    assert_string_equal(f->fired->str, "0@10 0@20 ");
    timer_set(&f->t[1], 3);
    f->rearm[0] = INT64_MAX;
    clock_advance(f->c, 20);
    assert_string_equal(f->fired->str, "0@10 0@20 1@20 0@20 ");
}

static int64_t runner_now(void *opaque) { return ((Fixture *)opaque)->now; }
static void    runner_recut(void *opaque) { ((Fixture *)opaque)->n_recuts++; }

static void test_runner(void **state)
{
    Fixture *f = *state;

    timer_set(&f->t[0], 50);
    clock_set_runner(f->c, runner_now, runner_recut, f);
    f->now = 17;
    assert_int_equal(clock_now(f->c), 17);
    timer_set(&f->t[1], 60);
    assert_int_equal(f->n_recuts, 0); /* not the earliest */
    timer_set(&f->t[2], 40);
    assert_int_equal(f->n_recuts, 1);
    timer_set(&f->t[2], INT64_MAX);
    assert_int_equal(f->n_recuts, 2);
    clock_set_runner(f->c, NULL, NULL, NULL);
    assert_int_equal(clock_now(f->c), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_order), TEST(test_cancel_and_move), TEST(test_periodic), TEST(test_past_deadline), TEST(test_runner),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
