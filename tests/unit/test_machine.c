/*
 * The run loop: what a guest sees does not depend on when the loop was waked, for what, or how late. CPUs wait for
 * timers, count in memory that they share and tell a device; a disturbed run must tell it the same as one that nobody
 * disturbs. Wall time is the test's own: every look at it is later than the one before.
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

enum { CPUS = 3, TELLS = 2000, RAM_SIZE = 1 << 20, SHARED_AT = 0x8000, LOOPS = 4000 };
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
    0xd53be027, /* mrs x7, cntpct_el0 */
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
};

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static int64_t wall(void *opaque)
{
    Rig *r = opaque;

    return r->wall_ns += 1 + next_random(&r->random) % 2500;
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
    switch (next_random(&r->random) % 8) {
    case 0:
        machine_wake(r->machine);
        break;
    case 1:
        machine_pause(r->machine, true);
        break;
    case 2: /* the host had something else to do */
        r->wall_ns += (int64_t)next_random(&r->random) % 80000 * r->scale;
        break;
    default:
        break;
    }
    if (next_random(&r->random) % 2 == 0) {
        machine_pause(r->machine, false);
    }
    return G_SOURCE_CONTINUE;
}

static void run(Rig *r, bool disturbed, uint32_t seed)
{
    guint source = 0;

    r->random = seed;
    if (disturbed) {
        source = g_idle_add(look, r);
        machine_hold_live(r->machine, 1);
    }
    assert_int_equal(machine_run(r->machine), EXIT_GUEST_OFF);
    if (disturbed) {
        g_source_remove(source);
        assert_true(r->n_looks > 1000);
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

static void runs_are_the_same(unsigned n_cpus)
{
    Rig alone, watched;

    rig_init(&alone, n_cpus);
    run(&alone, false, 1);
    for (uint32_t seed = 1; seed <= 4; seed++) {
        rig_init(&watched, n_cpus);
        run(&watched, true, seed);
        check_same(&alone, &watched, seed);
        rig_free(&watched);
    }
    rig_free(&alone);
}

static void test_one_cpu(void **state) { runs_are_the_same(1); }
static void test_several_cpus(void **state) { runs_are_the_same(CPUS); }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_cpu),
        cmocka_unit_test(test_several_cpus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
