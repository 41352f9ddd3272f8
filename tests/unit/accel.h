/*
 * How the tests that run guest code run it: BAILEY_TEST_ACCEL=jit asks for generated code, BAILEY_TEST_CACHE=BYTES for
 * another size of the code cache, BAILEY_TEST_HOT=RUNS for regions sooner or later, BAILEY_TEST_HOST=baseline for code
 * that every host can run. CTest runs each of them both ways (tests/CMakeLists.txt).
 */
#ifndef BAILEY_TESTS_UNIT_ACCEL_H
#define BAILEY_TESTS_UNIT_ACCEL_H

#include <string.h>

#include "cpu/cpu.h"
#ifdef BAILEY_HAVE_JIT
#include "cpu/jit/asm.h"
#endif

static inline CpuConfig test_config(void)
{
    const char *cache = g_getenv("BAILEY_TEST_CACHE"), *hot = g_getenv("BAILEY_TEST_HOT");
    bool        jit = g_strcmp0(g_getenv("BAILEY_TEST_ACCEL"), "jit") == 0;

    return (CpuConfig){
        .hot = hot != NULL ? (uint32_t)g_ascii_strtoull(hot, NULL, 0) : 100, /* tests are short */
        .accel = jit ? CPU_ACCEL_JIT : CPU_ACCEL_INTERP,
        .cache_size = cache != NULL ? (size_t)g_ascii_strtoull(cache, NULL, 0) : 0,
    };
}

/* An engine of that configuration. It ends the test when there is none. */
static inline CpuEngine *test_engine_new(Memory *memory, Owners *owners)
{
    CpuConfig  config = test_config();
    GError    *error = NULL;

#ifdef BAILEY_HAVE_JIT
    if (g_strcmp0(g_getenv("BAILEY_TEST_HOST"), "baseline") == 0) {
        asm_limit_host();
    }
#endif
    CpuEngine *e = cpu_engine_new(memory, owners, &config, &error);

    if (e == NULL) {
        g_error("%s", error->message);
    }
    return e;
}

#endif
