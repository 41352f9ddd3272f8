/* Atomic operations: the same loops with LSE instructions and with pairs of exclusives. */
#include "bench.h"

#ifdef __aarch64__
#define LSE __attribute__((target("+lse")))
#else
#define LSE
#endif
#define LLSC

static uint64_t words[8];
static uint32_t lock;

#define ATOMIC_PROGRAMS(suffix, target)                                                                    \
    target static uint64_t add_##suffix(uint64_t n)                                                        \
    {                                                                                                      \
        memset(words, 0, sizeof(words));                                                                   \
        for (uint64_t i = 0; i < n; i++) {                                                                 \
            uint64_t old = __atomic_fetch_add(&words[i & 3], i, __ATOMIC_ACQ_REL);                         \
            __atomic_fetch_or(&words[4 + (i & 1)], old, __ATOMIC_RELAXED);                                 \
            __atomic_exchange_n(&words[6], old, __ATOMIC_SEQ_CST);                                         \
        }                                                                                                  \
        return mix_bytes(0, words, sizeof(words));                                                         \
    }                                                                                                      \
                                                                                                           \
    target static uint64_t cas_##suffix(uint64_t n)                                                        \
    {                                                                                                      \
        memset(words, 0, sizeof(words));                                                                   \
        while (n-- > 0) {                                                                                  \
            uint64_t old = __atomic_load_n(&words[n & 7], __ATOMIC_RELAXED), new;                          \
            do {                                                                                           \
                new = old * 3 + n;                                                                         \
            } while (!__atomic_compare_exchange_n(&words[n & 7], &old, new, 0, __ATOMIC_ACQ_REL,           \
                                                  __ATOMIC_ACQUIRE));                                      \
        }                                                                                                  \
        return mix_bytes(0, words, sizeof(words));                                                         \
    }                                                                                                      \
                                                                                                           \
    target static uint64_t lock_##suffix(uint64_t n)                                                       \
    {                                                                                                      \
        uint64_t sum = 0;                                                                                  \
        while (n-- > 0) {                                                                                  \
            uint32_t open = 0;                                                                             \
            while (!__atomic_compare_exchange_n(&lock, &open, 1, 1, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) { \
                open = 0;                                                                                  \
            }                                                                                              \
            sum = mix(sum, n);                                                                             \
            __atomic_store_n(&lock, 0, __ATOMIC_RELEASE);                                                  \
        }                                                                                                  \
        return sum;                                                                                        \
    }

ATOMIC_PROGRAMS(lse, LSE)
ATOMIC_PROGRAMS(llsc, LLSC)

/* A counted pointer: two words at once. */
static uint64_t pair_llsc(uint64_t n)
{
    static uint64_t pair[2] __attribute__((aligned(16)));
    uint64_t        sum = 0;

    pair[0] = pair[1] = 0;
    while (n-- > 0) {
#ifdef __aarch64__
        uint64_t low, high;
        uint32_t failed;

        do {
            __asm__ volatile("ldaxp %0, %1, %3\n\tadd %0, %0, %4\n\tadd %1, %1, #1\n\tstlxp %w2, %0, %1, %3"
                             : "=&r"(low), "=&r"(high), "=&r"(failed), "+Q"(pair) : "r"(n));
        } while (failed);
#else
        uint64_t low = pair[0] += n;

        pair[1]++;
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
        sum += low;
    }
    return mix(mix(sum, pair[0]), pair[1]);
}

const Program atomic_programs[] = {
    { "atomics", "add-lse", add_lse, 40000000 },
    { "atomics", "cas-lse", cas_lse, 40000000 },
    { "atomics", "lock-lse", lock_lse, 40000000 },
    { "atomics", "add-llsc", add_llsc, 15000000 },
    { "atomics", "cas-llsc", cas_llsc, 20000000 },
    { "atomics", "lock-llsc", lock_llsc, 25000000 },
    { "atomics", "pair-llsc", pair_llsc, 20000000 },
    { NULL },
};
