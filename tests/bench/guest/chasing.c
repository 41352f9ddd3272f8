/* Pointers that lead to pointers. */
#include "bench.h"

typedef struct Item {
    struct Item *next;
    uint64_t     value[7];
} Item;

enum { ITEMS = 1 << 16 };
static Item items[ITEMS];

/* One cycle through the first `count` items (a power of two), in a scattered order. */
static void link_items(unsigned count)
{
    uint32_t at = 0;

    for (unsigned i = 0; i < count; i++) {
        uint32_t to = (at * 1664525 + 1013904223) & (count - 1);

        items[at].next = &items[to];
        items[at].value[0] = at;
        at = to;
    }
}

static uint64_t follow(unsigned count, uint64_t n)
{
    uint64_t sum = 0;
    Item    *p = items;

    link_items(count);
    while (n-- > 0) {
        sum += p->value[0]++;
        p = p->next;
    }
    return sum;
}

static uint64_t list(uint64_t n) { return follow(512, n); }
static uint64_t list_4m(uint64_t n) { return follow(ITEMS, n); }

typedef struct Branch {
    struct Branch *child[2];
    uint32_t       key, hits;
} Branch;

/* A binary search tree of 10000 keys, filled and then searched. */
static uint64_t tree(uint64_t n)
{
    enum { KEYS = 10000 };
    static Branch pool[KEYS];
    Branch       *root = NULL;
    unsigned      used = 0;
    uint32_t      seed = 11;
    uint64_t      sum = 0;

    while (n-- > 0) {
        uint32_t key = next_random(&seed) % 20000;
        Branch **at = &root;

        while (*at != NULL && (*at)->key != key) {
            at = &(*at)->child[(*at)->key < key];
            sum++;
        }
        if (*at == NULL && used < KEYS) {
            *at = &pool[used++];
            (*at)->key = key;
        }
        sum += *at != NULL ? ++(*at)->hits : 0;
    }
    return sum;
}

/* malloc and free of a list of sizes. */
static uint64_t allocate(uint64_t n)
{
    static uint8_t *live[256];
    uint32_t        seed = 12;
    uint64_t        sum = 0;

    while (n-- > 0) {
        uint32_t r = next_random(&seed), at = r & 255;
        size_t   len = 16 + (r >> 8) % 500;

        if (live[at] != NULL) {
            sum = mix(sum, live[at][0]);
            free(live[at]);
        }
        live[at] = malloc(len);
        if (live[at] == NULL) {
            abort();
        }
        live[at][0] = (uint8_t)len;
    }
    return sum;
}

const Program chasing_programs[] = {
    { "chasing", "list", list, 50000000 },
    { "chasing", "list-4m", list_4m, 5000000 },
    { "chasing", "tree", tree, 1200000 },
    { "chasing", "malloc", allocate, 800000 },
    { NULL },
};
