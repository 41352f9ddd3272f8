/*
 * The run loop: what a guest sees does not depend on when the loop was waked, for what, or how late, nor on where a
 * debugger stopped it. CPUs wait for timers, count in memory that they share and tell a device; a disturbed run must
 * tell it the same as one that nobody disturbs. Wall time is the test's own: every look at it is later than the one
 * before.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bits.h"
#include "cpu/a64/a64.h"
#include "entropy.h"
#include "machine.h"
#include "tests/unit/accel.h"

enum { CPUS = 3, TELLS = 1500, SEEDS = 3, RAM_SIZE = 1 << 20, SHARED_AT = 0x8000, LOOPS = 4000, BREAK_AT = 0x28 };
#define RAM    0x40000000ull
#define DEVICE 0x09000000ull

/* x0: the device, x1: the shared word, x2: LOOPS, x3: which CPU. Interrupts are masked: they only end the wait. */
static const uint32_t program[] = {
    0xd503207f, /* again: wfi */
    0xf9000004, /* str x4, [x0]: the interrupt is served */
    0xaa0203e5, /* mov x5, x2 */
    0xf9400026, /* 1: ldr x6, [x1] */
    0x8b0300c6, /* add x6, x6, x3 */
    0x93c61cc6, /* ror x6, x6, #7 */
    0xca0400c6, /* eor x6, x6, x4 */
    0xf9000026, /* str x6, [x1] */
    0xf10004a5, /* subs x5, x5, #1 */
    0x54ffff41, /* b.ne 1b */
    0xd53be027, /* mrs x7, cntpct_el0; BREAK_AT */
    0x8b0700c4, /* add x4, x6, x7 */
    0xf9000404, /* str x4, [x0, #8] */
    0x17fffff3, /* b again */
};

/* What a CPU told the device, and when. */
typedef struct Tell {
    uint64_t cpu, off, value;
    int64_t  ns;
} Tell;

typedef struct Rig Rig;

typedef struct Alarm {
    Rig       *rig;
    A64Cpu    *cpu;
    ClockTimer timer;
    uint32_t   random; /* of the guest's: the same in every run */
} Alarm;

struct Rig {
    Machine *machine;
    Entropy  entropy;
    unsigned n_cpus;
    int64_t  scale; /* of the waits: the windows of one CPU are longer than those of several */
    Alarm    alarm[CPUS];
    GArray  *tells;  /* of Tell */
    uint32_t random; /* of the disturber's */
    int64_t  wall_ns;
    unsigned n_looks;
    bool     debugged;
    Cpu     *stopped; /* by a break */
    unsigned n_stops;
    ClockTimer packet;
    int64_t    sent_ns, arrived_ns; /* by the wall, by the guest */
};

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static int64_t wall(void *opaque)
{
    Rig *r = opaque;

    return r->wall_ns += 1 + next_random(&r->random) % (next_random(&r->random) % 4 == 0 ? 40000 : 500);
}

static void ring(void *opaque)
{
    a64_set_line(((Alarm *)opaque)->cpu, A64_LINE_IRQ, true);
}

/* The next alarm is soon or later; at times all CPUs have theirs within a window. */
static void serve(Alarm *a)
{
    int64_t now = clock_now(machine_clock(a->rig->machine)), scale = a->rig->scale;
    bool    together = next_random(&a->random) % 2 == 0;

    a64_set_line(a->cpu, A64_LINE_IRQ, false);
    timer_set(&a->timer, together ? (now / (100000 * scale) + 2) * 100000 * scale + a->cpu->cpu.index * 3000
                                  : now + 10000 + next_random(&a->random) % 300000 * scale);
}

static MemResult device_write(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t value)
{
    Rig *r = opaque;
    Cpu *cpu = machine_running(r->machine);
    Tell t = { cpu->index, off, value, clock_now(machine_clock(r->machine)) };

    g_array_append_val(r->tells, t);
    if (off == 0) {
        serve(&r->alarm[cpu->index]);
    }
    if (r->debugged && next_random(&r->random) % 4 == 0) {
        machine_break(r->machine); /* as a device does that is to stop for the debugger */
    }
    if (r->tells->len == TELLS) {
        machine_stop(r->machine, EXIT_GUEST_OFF, "enough");
    }
    return MEM_OK;
}

static const MmioOps device_ops = { .write = device_write };

static bool is_off(const Cpu *cpu) { return false; }

static void rig_init(Rig *r, unsigned n_cpus)
{
    Options o = { .cpu = test_config() };

    *r = (Rig){ .machine = machine_new(&o, NULL), .n_cpus = n_cpus, .scale = n_cpus == 1 ? 50 : 10 };
    Memory *memory = machine_memory(r->machine);
    Clock  *clock = machine_clock(r->machine);

    assert_non_null(memory_add_ram(memory, "ram", RAM, RAM_SIZE, NULL));
    memory_add_mmio(memory, "device", DEVICE, 0x1000, &device_ops, r);
    owners_set(machine_owners(r->machine), RAM, RAM_SIZE, OWNER_ANY);
    owners_set(machine_owners(r->machine), DEVICE, 0x1000, OWNER_ANY);
    memory_load(memory, RAM, program, sizeof(program));
    r->tells = g_array_new(FALSE, FALSE, sizeof(Tell));
    entropy_init(&r->entropy, 1, "cpu");
    machine_set_wall(r->machine, wall, r);
    for (unsigned i = 0; i < n_cpus; i++) {
        A64Cpu *cpu = a64_cpu_new(machine_engine(r->machine), memory, clock, i, i, &r->entropy);

        r->alarm[i] = (Alarm){ .rig = r, .cpu = cpu, .random = i };
        timer_init(&r->alarm[i].timer, clock, ring, &r->alarm[i]);
        timer_set(&r->alarm[i].timer, 1000 + i);
        cpu->pc = RAM;
        cpu->x[0] = DEVICE;
        cpu->x[1] = RAM + SHARED_AT;
        cpu->x[2] = LOOPS;
        cpu->x[3] = i + 1;
        machine_add_cpu(r->machine, &cpu->cpu, is_off);
    }
}

static void rig_free(Rig *r)
{
    for (unsigned i = 0; i < r->n_cpus; i++) {
        timer_deinit(&r->alarm[i].timer);
        a64_cpu_free(r->alarm[i].cpu);
    }
    g_array_free(r->tells, TRUE);
    machine_free(r->machine);
}

/* Somebody who looks: the loop wakes for it all the time, as for a viewer that sends, reads and waits. */
static gboolean look(gpointer opaque)
{
    Rig *r = opaque;

    r->n_looks++;
    /* The host had something else to do, at times for longer than a window. */
    r->wall_ns += (int64_t)next_random(&r->random) % (next_random(&r->random) % 3 == 0 ? 80000 : 10000) * r->scale;
    switch (next_random(&r->random) % 16) {
    case 0:
        machine_wake(r->machine);
        break;
    case 1:
        machine_pause(r->machine, true);
        break;
    default:
        if (machine_is_paused(r->machine)) {
            machine_pause(r->machine, false);
        }
        break;
    }
    return G_SOURCE_CONTINUE;
}

/* A debugger: its breakpoint stops a CPU, it steps and goes on. */
static void on_break(void *opaque, Cpu *cpu)
{
    Rig *r = opaque;

    r->stopped = cpu;
    r->n_stops++;
    machine_pause(r->machine, true);
}

static gboolean debug(gpointer opaque)
{
    Rig *r = opaque;

    if (r->stopped != NULL) {
        bool     on_it = a64_from_cpu(r->stopped)->pc == RAM + BREAK_AT;
        unsigned steps = r->n_cpus == 1 ? 1 + next_random(&r->random) % 20 : on_it; /* more: others fall behind */

        for (unsigned i = 0; i < steps; i++) {
            machine_step(r->machine, r->stopped);
        }
        r->stopped = NULL;
        machine_pause(r->machine, false);
    }
    return G_SOURCE_CONTINUE;
}

static void run(Rig *r, GSourceFunc disturb, uint32_t seed)
{
    guint source = disturb != NULL ? g_idle_add(disturb, r) : 0;

    r->random = seed;
    assert_int_equal(machine_run(r->machine), EXIT_GUEST_OFF);
    if (source != 0) {
        g_source_remove(source);
    }
}

static void check_same(const Rig *a, const Rig *b, uint32_t seed)
{
    assert_int_equal(a->tells->len, b->tells->len);
    for (guint i = 0; i < a->tells->len; i++) {
        const Tell *x = &g_array_index(a->tells, Tell, i), *y = &g_array_index(b->tells, Tell, i);

        if (memcmp(x, y, sizeof(*x)) != 0) {
            fail_msg("disturbed by %u, CPU %u tells 0x%llx at %lld ns, and not CPU %u 0x%llx at %lld ns", seed,
                     (unsigned)y->cpu, (unsigned long long)y->value, (long long)y->ns, (unsigned)x->cpu,
                     (unsigned long long)x->value, (long long)x->ns);
        }
    }
    assert_int_equal(machine_insns(a->machine), machine_insns(b->machine));
    assert_int_equal(clock_now(machine_clock(a->machine)), clock_now(machine_clock(b->machine)));
    assert_int_equal(machine_memory_hash(a->machine), machine_memory_hash(b->machine));
}

static void check_watched(unsigned n_cpus)
{
    Rig alone, watched;

    rig_init(&alone, n_cpus);
    run(&alone, NULL, 1);
    for (uint32_t seed = 1; seed <= SEEDS; seed++) {
        rig_init(&watched, n_cpus);
        machine_hold_live(watched.machine, 1);
        run(&watched, look, seed);
        assert_true(watched.n_looks > 500);
        check_same(&alone, &watched, seed);
        rig_free(&watched);
    }
    rig_free(&alone);
}

static void check_debugged(unsigned n_cpus)
{
    Rig alone, debugged;

    rig_init(&alone, n_cpus);
    run(&alone, NULL, 1);
    for (uint32_t seed = 1; seed <= SEEDS; seed++) {
        rig_init(&debugged, n_cpus);
        debugged.debugged = true;
        machine_on_break(debugged.machine, on_break, &debugged);
        cpu_break_insert(machine_engine(debugged.machine), RAM + BREAK_AT);
        run(&debugged, debug, seed);
        assert_true(debugged.n_stops > 500);
        check_same(&alone, &debugged, seed);
        rig_free(&debugged);
    }
    rig_free(&alone);
}

enum { SENT_NS = 300000000, FAR_NS = 1000000000, LATENCY_NS = 1000, LEAD_NS = 12000000 };

/* A network: what comes while the guest sleeps is delivered a little later. */
static gboolean send_late(gpointer opaque)
{
    Rig *r = opaque;

    r->wall_ns += 100000;
    if (r->sent_ns == 0 && r->wall_ns >= SENT_NS) {
        r->sent_ns = r->wall_ns;
        timer_set(&r->packet, clock_now(machine_clock(r->machine)) + LATENCY_NS);
    }
    return G_SOURCE_CONTINUE;
}

static void arrive(void *opaque)
{
    Rig *r = opaque;

    r->arrived_ns = clock_now(machine_clock(r->machine));
    machine_stop(r->machine, EXIT_GUEST_OFF, "it is there");
}

static void test_input_comes_at_the_time_of_the_wall(void **state)
{
    Rig r;

    rig_init(&r, 1);
    timer_set(&r.alarm[0].timer, FAR_NS);
    timer_init(&r.packet, machine_clock(r.machine), arrive, &r);
    machine_hold_live(r.machine, 1);
    run(&r, send_late, 1);
    assert_in_range(r.arrived_ns, r.sent_ns - LEAD_NS, r.sent_ns + LEAD_NS);
    timer_deinit(&r.packet);
    rig_free(&r);
}

static void test_watched(void **state) { check_watched(1); }
static void test_watched_cpus(void **state) { check_watched(CPUS); }
static void test_debugged(void **state) { check_debugged(1); }
static void test_debugged_cpus(void **state) { check_debugged(CPUS); }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_input_comes_at_the_time_of_the_wall),
        cmocka_unit_test(test_watched),
        cmocka_unit_test(test_watched_cpus),
        cmocka_unit_test(test_debugged),
        cmocka_unit_test(test_debugged_cpus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
