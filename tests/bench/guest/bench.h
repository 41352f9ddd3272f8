/*
 * What the programs of tests/bench share. Each is a function that repeats a workload n times and returns a checksum,
 * the same on every platform: no address, time or uninitialised byte may reach it. Built for the guest and, from the
 * same sources, for the host ("times native").
 */
#pragma once

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct Program {
    const char *class, *name;
    uint64_t (*run)(uint64_t n);
    uint64_t n; /* at scale 1: some 0.2 to 0.5 s under an emulator ten times slower than the host */
} Program;

/* One table a file; a NULL name ends it. */
extern const Program integer_programs[], sorting_programs[], calls_programs[], interpreter_programs[],
    chasing_programs[], memory_programs[], fp_programs[], neon_programs[], crypto_programs[], atomic_programs[],
    code_programs[], system_programs[], process_programs[], net_programs[];

/* bench_serve - be the peer of net_programs on @port, 0 for any; prints the port. Ends with an error only. */
int bench_serve(uint16_t port);

extern const char *bench_self; /* this program's file, for exec */

/* One step of a checksum. */
static inline uint64_t mix(uint64_t sum, uint64_t v)
{
    sum = (sum ^ v) * 0x9e3779b97f4a7c15;
    return sum ^ sum >> 29;
}

static inline uint64_t mix_double(uint64_t sum, double v)
{
    uint64_t bits;

    memcpy(&bits, &v, sizeof(bits));
    return mix(sum, bits);
}

static inline uint64_t mix_bytes(uint64_t sum, const void *p, size_t len)
{
    const uint8_t *b = p;

    for (size_t i = 0; i < len; i++) {
        sum = mix(sum, b[i]);
    }
    return sum;
}

/* Numerical Recipes' generator; the high bits are the good ones. */
static inline uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

static inline void fill_random(void *p, size_t len, uint32_t seed)
{
    uint8_t *b = p;

    for (size_t i = 0; i < len; i++) {
        b[i] = (uint8_t)next_random(&seed);
    }
}
