/*
 * The page owner table: a sparse tree over the 48-bit physical space. A leaf holds one byte per 4 KiB page:
 * the owner, and whether a cache may hold a translation to the page ("cached since the last flush"). A
 * missing leaf stands for one owner and nothing cached, so that a whole space of one owner costs nothing.
 */
#include "owner.h"

#include <glib.h>

#include "bits.h"

enum {
    PA_BITS = 48,
    PAGE_BITS = 12,
    LEVEL_BITS = 12,
    FANOUT = 1 << LEVEL_BITS,
    OWNER_MASK = 0x0f,
    CACHED = 0x10,
};

#define LEAF_SPAN (1ull << (PAGE_BITS + LEVEL_BITS))     /* 16 MiB */
#define MID_SPAN  (1ull << (PAGE_BITS + 2 * LEVEL_BITS)) /* 64 GiB */

typedef struct Leaf {
    unsigned n_cached; /* pages with CACHED */
    uint8_t  page[FANOUT];
} Leaf;

typedef struct Mid {
    Leaf   *leaf[FANOUT];
    uint8_t uniform[FANOUT]; /* owner of the span where leaf is NULL */
} Mid;

typedef struct Cache {
    OwnersFlush *flush;
    void        *opaque;
} Cache;

struct Owners {
    Mid    *mid[FANOUT];
    uint8_t uniform[FANOUT];
    GArray *caches; /* Cache */
};

Owners *owners_new(void)
{
    Owners *o = g_new0(Owners, 1);

    memset(o->uniform, OWNER_NONSECURE, sizeof(o->uniform));
    o->caches = g_array_new(FALSE, FALSE, sizeof(Cache));
    return o;
}

void owners_free(Owners *o)
{
    if (o == NULL) {
        return;
    }
    for (unsigned i = 0; i < FANOUT; i++) {
        for (unsigned j = 0; o->mid[i] != NULL && j < FANOUT; j++) {
            g_free(o->mid[i]->leaf[j]);
        }
        g_free(o->mid[i]);
    }
    g_array_free(o->caches, TRUE);
    g_free(o);
}

void owners_add_cache(Owners *o, OwnersFlush *flush, void *opaque)
{
    Cache c = { flush, opaque };

    g_array_append_val(o->caches, c);
}

void owners_remove_cache(Owners *o, OwnersFlush *flush, void *opaque)
{
    for (guint i = 0; i < o->caches->len; i++) {
        const Cache *c = &g_array_index(o->caches, Cache, i);

        if (c->flush == flush && c->opaque == opaque) {
            g_array_remove_index(o->caches, i);
            return;
        }
    }
}

static unsigned top_index(uint64_t pa) { return (unsigned)extract64(pa, 36, LEVEL_BITS); }
static unsigned mid_index(uint64_t pa) { return (unsigned)extract64(pa, 24, LEVEL_BITS); }
static unsigned leaf_index(uint64_t pa) { return (unsigned)extract64(pa, 12, LEVEL_BITS); }

Owner owners_get(const Owners *o, uint64_t pa)
{
    const Mid *m = o->mid[top_index(pa)];

    if (m == NULL) {
        return o->uniform[top_index(pa)];
    }
    const Leaf *l = m->leaf[mid_index(pa)];

    return l == NULL ? m->uniform[mid_index(pa)] : l->page[leaf_index(pa)] & OWNER_MASK;
}

static bool allows(Owner owner, Pas pas)
{
    switch (owner) {
    case OWNER_SECURE:
        return pas == PAS_SECURE;
    case OWNER_NONSECURE:
        return pas == PAS_NONSECURE;
    case OWNER_ROOT:
        return pas == PAS_ROOT;
    case OWNER_REALM:
        return pas == PAS_REALM;
    case OWNER_ANY:
        return true;
    case OWNER_NONE:
        break;
    }
    return false;
}

bool owners_allow(const Owners *o, uint64_t pa, Pas pas)
{
    return pa >> PA_BITS == 0 && allows(owners_get(o, pa), pas);
}

static Mid *mid_make(Owners *o, uint64_t pa)
{
    Mid **m = &o->mid[top_index(pa)];

    if (*m == NULL) {
        *m = g_new0(Mid, 1);
        memset((*m)->uniform, o->uniform[top_index(pa)], sizeof((*m)->uniform));
    }
    return *m;
}

static Leaf *leaf_make(Owners *o, uint64_t pa)
{
    Mid   *m = mid_make(o, pa);
    Leaf **l = &m->leaf[mid_index(pa)];

    if (*l == NULL) {
        *l = g_new(Leaf, 1);
        (*l)->n_cached = 0;
        memset((*l)->page, m->uniform[mid_index(pa)], sizeof((*l)->page));
    }
    return *l;
}

bool owners_fill(Owners *o, uint64_t pa, Pas pas)
{
    if (!owners_allow(o, pa, pas)) {
        return false;
    }
    Leaf    *l = leaf_make(o, pa);
    uint8_t *page = &l->page[leaf_index(pa)];

    l->n_cached += (*page & CACHED) == 0;
    *page |= CACHED;
    return true;
}

static void flush_caches(const Owners *o, uint64_t pa, uint64_t len)
{
    for (guint i = 0; i < o->caches->len; i++) {
        const Cache *c = &g_array_index(o->caches, Cache, i);

        c->flush(c->opaque, pa, len);
    }
}

/* Changes pages inside one leaf's span; then flushes runs of pages that changed while a cache may hold
 * them. */
static void set_in_leaf(Owners *o, uint64_t pa, uint64_t len, Owner owner)
{
    Leaf    *l = leaf_make(o, pa);
    uint8_t *page = l->page + leaf_index(pa);
    size_t   n = len >> PAGE_BITS;
    size_t   run = 0; /* pages to flush that end before page i */

    for (size_t i = 0; i <= n; i++) {
        if (i < n && (page[i] & CACHED) != 0 && (page[i] & OWNER_MASK) != owner) {
            page[i] = (uint8_t)owner;
            l->n_cached--;
            run++;
            continue;
        }
        if (run != 0) {
            flush_caches(o, pa + ((i - run) << PAGE_BITS), (uint64_t)run << PAGE_BITS);
            run = 0;
        }
        if (i < n) {
            page[i] = (uint8_t)((page[i] & CACHED) | owner);
        }
    }
}

/* One step of owners_set(): the largest uniform span that starts at @pa. Returns its length. */
static uint64_t set_step(Owners *o, uint64_t pa, uint64_t len, Owner owner)
{
    if (o->mid[top_index(pa)] == NULL && is_aligned(pa, MID_SPAN) && len >= MID_SPAN) {
        o->uniform[top_index(pa)] = (uint8_t)owner;
        return MID_SPAN;
    }
    Mid     *m = mid_make(o, pa);
    uint64_t span = MIN(len, LEAF_SPAN - (pa & (LEAF_SPAN - 1)));

    if (m->leaf[mid_index(pa)] == NULL) {
        if (m->uniform[mid_index(pa)] == owner) {
            return span;
        }
        if (span == LEAF_SPAN) {
            m->uniform[mid_index(pa)] = (uint8_t)owner;
            return span;
        }
    }
    set_in_leaf(o, pa, span, owner);
    return span;
}

void owners_set(Owners *o, uint64_t pa, uint64_t len, Owner owner)
{
    g_assert(is_aligned(pa | len, BIT(PAGE_BITS)));
    g_assert(pa <= BIT(PA_BITS) && len <= BIT(PA_BITS) - pa);
    while (len != 0) {
        uint64_t done = set_step(o, pa, len, owner);

        pa += done;
        len -= done;
    }
}

/* Inside one leaf's span: one flush from the first cached page to the last. */
static void drop_in_leaf(Owners *o, Leaf *l, uint64_t pa, size_t n)
{
    uint8_t *page = l->page + leaf_index(pa);
    size_t   first = n, last = 0;

    for (size_t i = 0; i < n && l->n_cached != 0; i++) {
        if (page[i] & CACHED) {
            page[i] &= OWNER_MASK;
            l->n_cached--;
            first = MIN(first, i);
            last = i;
        }
    }
    if (first != n) {
        flush_caches(o, pa + ((uint64_t)first << PAGE_BITS), (uint64_t)(last - first + 1) << PAGE_BITS);
    }
}

void owners_drop(Owners *o, uint64_t pa, uint64_t len)
{
    while (len != 0) {
        uint64_t span = MIN(len, LEAF_SPAN - (pa & (LEAF_SPAN - 1)));
        Mid     *m = o->mid[top_index(pa)];
        Leaf    *l = m == NULL ? NULL : m->leaf[mid_index(pa)];

        if (l != NULL) {
            drop_in_leaf(o, l, pa, span >> PAGE_BITS);
        }
        pa += span;
        len -= span;
    }
}

const char *pas_name(Pas pas)
{
    static const char *const names[PAS_N] = { "secure", "nonsecure", "root", "realm" };

    return (unsigned)pas < PAS_N ? names[pas] : "unknown";
}
