/* One CPU with some RAM, for tests of the system side. */
#ifndef BAILEY_TESTS_A64_MACHINE_H
#define BAILEY_TESTS_A64_MACHINE_H

#include "cpu/a64/system.h"
#include "entropy.h"
#include "tests/unit/accel.h"

typedef struct TestMachine {
    Owners    *owners;
    Memory    *memory;
    Clock     *clock;
    CpuEngine *engine;
    A64Cpu    *cpu;
    Entropy    entropy;
} TestMachine;

enum { TEST_RAM = 0x40000000, TEST_RAM_SIZE = 16 << 20 };

static inline void test_machine_init(TestMachine *t)
{
    GError *error = NULL;

    t->owners = owners_new();
    t->memory = memory_new(t->owners);
    t->clock = clock_new();
    t->engine = test_engine_new(t->memory, t->owners);
    entropy_init(&t->entropy, 1, "test");
    if (memory_add_ram(t->memory, "ram", TEST_RAM, TEST_RAM_SIZE, &error) == NULL) {
        g_error("%s", error->message);
    }
    owners_set(t->owners, TEST_RAM, TEST_RAM_SIZE, OWNER_ANY);
    t->cpu = a64_cpu_new(t->engine, t->memory, t->clock, 0, 0, &t->entropy);
}

static inline void test_machine_free(TestMachine *t)
{
    a64_cpu_free(t->cpu);
    cpu_engine_free(t->engine);
    memory_free(t->memory);
    owners_free(t->owners);
    clock_free(t->clock);
}

static inline void test_poke64(TestMachine *t, uint64_t pa, uint64_t value)
{
    if (memory_write(t->memory, pa, (MemAttrs){ .pas = PAS_ROOT }, &value, 8) != MEM_OK) {
        g_error("cannot write test memory");
    }
}

/* Whoever owns the page; pages of no owner read as zero. */
static inline uint64_t test_peek64(TestMachine *t, uint64_t pa)
{
    uint64_t value = 0;

    for (Pas pas = 0; pas < PAS_N; pas++) {
        if (memory_read(t->memory, pa, (MemAttrs){ .pas = pas }, &value, 8) == MEM_OK) {
            break;
        }
    }
    return value;
}

#endif
