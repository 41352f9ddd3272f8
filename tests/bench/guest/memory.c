/* The C library's string and memory functions, over short and long pieces. */
#include "bench.h"

enum { BUFFER = 1 << 16 };
static uint8_t from[BUFFER + 64], to[BUFFER + 64];

static uint64_t copy_long(uint64_t n)
{
    fill_random(from, BUFFER, 13);
    while (n-- > 0) {
        from[n % BUFFER]++;
        memcpy(to + n % 16, from + n % 8, BUFFER);
    }
    return mix_bytes(0, to, BUFFER);
}

static uint64_t copy_short(uint64_t n)
{
    uint32_t seed = 14;

    fill_random(from, BUFFER, 15);
    while (n-- > 0) {
        uint32_t r = next_random(&seed);

        memcpy(to + (r & 1023), from + (r >> 10 & 1023), r >> 20);
    }
    return mix_bytes(0, to, 2048);
}

static uint64_t set(uint64_t n)
{
    uint64_t sum = 0;

    while (n-- > 0) {
        memset(to + n % 64, (int)n, n % 8 == 0 ? BUFFER : 100 + n % 1000);
        sum = mix(sum, to[n % BUFFER]);
    }
    return mix_bytes(sum, to, BUFFER);
}

/* Strings of 0 to 62 characters, and their start. */
static unsigned make_strings(void)
{
    unsigned i = 0, count = 0;

    memset(from, 'a', BUFFER);
    while (i + 64 < BUFFER) {
        from[i + count * 7 % 63] = 0;
        i += 64;
        count++;
    }
    return count;
}

static uint64_t length(uint64_t n)
{
    unsigned count = make_strings();
    uint64_t sum = 0;

    for (uint64_t i = 0; i < n; i++) {
        sum += strlen((const char *)from + i % count * 64);
    }
    return sum;
}

static uint64_t compare(uint64_t n)
{
    unsigned count = make_strings();
    uint64_t sum = 0;

    memcpy(to, from, BUFFER);
    for (unsigned i = 0; i < count; i += 3) {
        to[i * 64 + i % 31] = 'b';
    }
    for (uint64_t i = 0; i < n; i++) {
        unsigned at = i % count * 64;
        int      c = strcmp((const char *)from + at, (const char *)to + at);

        sum += c < 0 ? 1 : c > 0 ? 3 : 7;
    }
    return sum;
}

static uint64_t find(uint64_t n)
{
    unsigned count = make_strings();
    uint64_t sum = 0;

    for (uint64_t i = 0; i < n; i++) {
        const uint8_t *start = from + i % count * 64, *p = memchr(start, 0, 64 + i % 512);

        sum += p == NULL ? 1 : (uint64_t)(p - start);
    }
    return sum;
}

/* Without the library: bytes turned round in place. */
static uint64_t reverse(uint64_t n)
{
    fill_random(to, BUFFER, 16);
    while (n-- > 0) {
        to[n % BUFFER]++;
        for (unsigned i = 0, j = 4095; i < j; i++, j--) {
            uint8_t t = to[i];

            to[i] = to[j];
            to[j] = t;
        }
    }
    return mix_bytes(0, to, BUFFER);
}

const Program memory_programs[] = {
    { "memory", "memcpy-64k", copy_long, 20000 },
    { "memory", "memcpy-short", copy_short, 4000000 },
    { "memory", "memset", set, 250000 },
    { "memory", "strlen", length, 3000000 },
    { "memory", "strcmp", compare, 6000000 },
    { "memory", "memchr", find, 2000000 },
    { "memory", "byte-reverse", reverse, 25000 },
    { NULL },
};
