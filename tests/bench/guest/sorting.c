/* Sorting of 32-bit numbers, and tables looked up by a hash. */
#include "bench.h"

enum { COUNT = 20000 };

static uint32_t values[COUNT];

static void refill(uint32_t seed)
{
    for (unsigned i = 0; i < COUNT; i++) {
        values[i] = next_random(&seed);
    }
}

static uint64_t shell(uint64_t n)
{
    uint64_t sum = 0;

    while (n-- > 0) {
        refill((uint32_t)n);
        for (unsigned gap = COUNT / 2; gap > 0; gap /= 2) {
            for (unsigned i = gap; i < COUNT; i++) {
                uint32_t v = values[i];
                unsigned j = i;

                for (; j >= gap && values[j - gap] > v; j -= gap) {
                    values[j] = values[j - gap];
                }
                values[j] = v;
            }
        }
        sum = mix(sum, values[COUNT / 3]);
    }
    return sum;
}

static void quick_range(uint32_t *a, long low, long high)
{
    while (low < high) {
        uint32_t pivot = a[(low + high) / 2];
        long     i = low, j = high;

        while (i <= j) {
            while (a[i] < pivot) {
                i++;
            }
            while (a[j] > pivot) {
                j--;
            }
            if (i <= j) {
                uint32_t t = a[i];
                a[i++] = a[j];
                a[j--] = t;
            }
        }
        quick_range(a, low, j);
        low = i;
    }
}

static uint64_t quick(uint64_t n)
{
    uint64_t sum = 0;

    while (n-- > 0) {
        refill((uint32_t)n);
        quick_range(values, 0, COUNT - 1);
        sum = mix(sum, values[COUNT / 3]);
    }
    return sum;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static uint64_t library(uint64_t n)
{
    uint64_t sum = 0;

    while (n-- > 0) {
        refill((uint32_t)n);
        qsort(values, COUNT, sizeof(values[0]), compare);
        sum = mix(sum, values[COUNT / 3]);
    }
    return sum;
}

/* Open addressing in 4 MiB: misses of cache and TLB. */
static uint64_t table(uint64_t n)
{
    enum { SLOTS = 1 << 18 };
    static struct {
        uint64_t key, count;
    } slots[SLOTS];
    uint32_t seed = 7;
    uint64_t sum = 0;

    while (n-- > 0) {
        uint64_t key = next_random(&seed) % 150000 + 1, i = mix(0, key) % SLOTS;

        while (slots[i].key != 0 && slots[i].key != key) {
            i = (i + 1) % SLOTS;
        }
        slots[i].key = key;
        sum += ++slots[i].count;
    }
    return sum;
}

/* Words counted in chains. */
static uint64_t words(uint64_t n)
{
    enum { BUCKETS = 1024, WORDS = 3000 };
    static struct Word {
        struct Word *next;
        char         text[16];
        uint32_t     count;
    } pool[WORDS], *buckets[BUCKETS];
    unsigned used = 0;
    uint32_t seed = 8;
    uint64_t sum = 0;

    while (n-- > 0) {
        char         text[16] = {0};
        uint32_t     v = next_random(&seed) % WORDS, h = 0;
        struct Word *w;

        for (unsigned i = 0; i < 4 + v % 9; i++) {
            text[i] = (char)('a' + (v * (i + 3) >> i) % 26);
            h = h * 31 + (uint8_t)text[i];
        }
        for (w = buckets[h % BUCKETS]; w != NULL && strcmp(w->text, text) != 0;) {
            w = w->next;
        }
        if (w == NULL) {
            w = &pool[used++];
            memcpy(w->text, text, sizeof(text));
            w->next = buckets[h % BUCKETS];
            buckets[h % BUCKETS] = w;
        }
        sum += ++w->count;
    }
    return mix(sum, used);
}

/* SipHash-2-4: a chain over four words, no table. */
static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = (v[1] << 13 | v[1] >> 51) ^ v[0];
    v[0] = v[0] << 32 | v[0] >> 32;
    v[2] += v[3];
    v[3] = (v[3] << 16 | v[3] >> 48) ^ v[2];
    v[0] += v[3];
    v[3] = (v[3] << 21 | v[3] >> 43) ^ v[0];
    v[2] += v[1];
    v[1] = (v[1] << 17 | v[1] >> 47) ^ v[2];
    v[2] = v[2] << 32 | v[2] >> 32;
}

static uint64_t siphash(uint64_t n)
{
    enum { WORDS = 128 };
    static uint64_t message[WORDS];
    uint64_t        sum = 0;

    fill_random(message, sizeof(message), 10);
    while (n-- > 0) {
        uint64_t v[4] = { 1 ^ sum, 2, 3, 4 };

        for (unsigned i = 0; i < WORDS; i++) {
            v[3] ^= message[i];
            sip_round(v);
            sip_round(v);
            v[0] ^= message[i];
        }
        v[2] ^= 255;
        for (unsigned i = 0; i < 4; i++) {
            sip_round(v);
        }
        sum += v[0] ^ v[1] ^ v[2] ^ v[3];
    }
    return sum;
}

/* Shortest ways by Dijkstra's algorithm: a binary heap. */
enum { NODES = 4096, EDGES = 6 };

static uint64_t heap[NODES * EDGES + 1];

static void heap_add(unsigned at, uint64_t key)
{
    for (; at != 0 && heap[(at - 1) / 2] > key; at = (at - 1) / 2) {
        heap[at] = heap[(at - 1) / 2];
    }
    heap[at] = key;
}

/* The least one leaves a heap of @n + 1. */
static uint64_t heap_take(unsigned n)
{
    uint64_t least = heap[0], last = heap[n];
    unsigned at = 0;

    for (unsigned child; (child = 2 * at + 1) < n; at = child) {
        child += child + 1 < n && heap[child + 1] < heap[child];
        if (heap[child] >= last) {
            break;
        }
        heap[at] = heap[child];
    }
    heap[at] = last;
    return least;
}

static uint64_t shortest(uint64_t n)
{
    static uint32_t to[NODES][EDGES], length[NODES][EDGES], best[NODES];
    uint32_t        seed = 11;
    uint64_t        sum = 0;

    for (unsigned i = 0; i < NODES * EDGES; i++) {
        to[i / EDGES][i % EDGES] = next_random(&seed) % NODES;
        length[i / EDGES][i % EDGES] = next_random(&seed) % 100 + 1;
    }
    while (n-- > 0) {
        unsigned count = 1;

        memset(best, 0xff, sizeof(best));
        heap[0] = n * 77 % NODES;
        best[heap[0]] = 0;
        while (count != 0) {
            uint64_t least = heap_take(--count);
            uint32_t node = (uint32_t)least, way = (uint32_t)(least >> 32);

            for (unsigned e = 0; e < EDGES && way == best[node]; e++) {
                uint32_t next = to[node][e], longer = way + length[node][e];

                if (longer < best[next]) {
                    best[next] = longer;
                    heap_add(count++, (uint64_t)longer << 32 | next);
                }
            }
        }
        sum = mix(sum, best[n % NODES]);
    }
    return sum;
}

const Program sorting_programs[] = {
    { "sorting", "shell-sort", shell, 40 },
    { "sorting", "quick-sort", quick, 80 },
    { "sorting", "qsort", library, 20 },
    { "sorting", "shortest-ways", shortest, 60 },
    { "hashing", "siphash", siphash, 24000 },
    { "hashing", "hash-table", table, 2500000 },
    { "hashing", "word-count", words, 2000000 },
    { NULL },
};
