/* Which back end the tests that run guest code use: BAILEY_TEST_ACCEL=jit asks for generated code. */
#ifndef BAILEY_TESTS_UNIT_ACCEL_H
#define BAILEY_TESTS_UNIT_ACCEL_H

#include <string.h>

#include "cpu/cpu.h"

static inline CpuAccel test_accel(void)
{
    return g_strcmp0(g_getenv("BAILEY_TEST_ACCEL"), "jit") == 0 ? CPU_ACCEL_JIT : CPU_ACCEL_INTERP;
}

#endif
