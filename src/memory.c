/*
 * The physical address map. Regions may overlap, the newest wins; a flat sorted view of what is visible where
 * is rebuilt at each change, so that a lookup is one binary search. RAM is private memory of the process in huge
 * pages where the host has them: a guest's accesses go through the host's TLB too.
 */
#define _GNU_SOURCE
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bits.h"
#include "bytes.h"
#include "log.h"

enum { PAGE = 4096, MANY_BYTES = 1 << 18 };

/* A region and what others need not see. */
typedef struct Region {
    MemRegion r;     /* first member: a MemRegion * is also a Region * */
    uint64_t *code;  /* one bit per page that holds translated code; NULL: no page does */
    uint8_t  *flash; /* bytes of a flash, its owner's; else NULL */
    bool      taken; /* its bytes are somebody else's now */
} Region;

/* [base, end) shows @region; sorted, without overlap. */
typedef struct FlatRange {
    uint64_t base, end;
    Region  *region;
} FlatRange;

typedef struct Cache {
    OwnersFlush *flush;
    void        *opaque;
} Cache;

struct Memory {
    Owners    *owners;
    GPtrArray *regions; /* Region *, oldest first */
    GArray    *flat;    /* FlatRange */
    guint      last;    /* index in flat of the last hit: accesses come in runs */
    GArray    *caches;  /* Cache */
    uint64_t   ram_size;
    bool       mastered; /* a device serves a request of a bus master */
    void     (*written)(void *opaque, uint64_t pa, uint64_t len);
    void      *written_opaque;
};

Memory *memory_new(Owners *owners)
{
    Memory *m = g_new0(Memory, 1);

    m->owners = owners;
    m->regions = g_ptr_array_new();
    m->flat = g_array_new(FALSE, FALSE, sizeof(FlatRange));
    m->caches = g_array_new(FALSE, FALSE, sizeof(Cache));
    return m;
}

static void region_free(Region *r)
{
    if (r->r.host != NULL && r->flash == NULL && !r->taken) {
        munmap(r->r.host, r->r.size);
    }
    g_free(r->code);
    g_free(r);
}

void memory_free(Memory *m)
{
    if (m == NULL) {
        return;
    }
    for (guint i = 0; i < m->regions->len; i++) {
        region_free(m->regions->pdata[i]);
    }
    g_ptr_array_free(m->regions, TRUE);
    g_array_free(m->flat, TRUE);
    g_array_free(m->caches, TRUE);
    g_free(m);
}

Owners *memory_owners(const Memory *m) { return m->owners; }

/* ---- the map ---- */

static gint compare_u64(gconstpointer a, gconstpointer b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* The newest enabled region that holds @pa, from the list. */
static Region *newest_at(const Memory *m, uint64_t pa)
{
    for (guint i = m->regions->len; i-- > 0;) {
        Region *r = m->regions->pdata[i];

        if (r->r.enabled && pa >= r->r.base && pa - r->r.base < r->r.size) {
            return r;
        }
    }
    return NULL;
}

static void flat_append(GArray *flat, uint64_t base, uint64_t end, Region *r)
{
    FlatRange *last = flat->len == 0 ? NULL : &g_array_index(flat, FlatRange, flat->len - 1);

    if (last != NULL && last->region == r && last->end == base) {
        last->end = end;
    } else {
        FlatRange f = { base, end, r };

        g_array_append_val(flat, f);
    }
}

/* Between two neighbouring region boundaries one region, or none, is visible. */
static void rebuild_flat(Memory *m)
{
    GArray *cuts = g_array_new(FALSE, FALSE, sizeof(uint64_t));

    for (guint i = 0; i < m->regions->len; i++) {
        const MemRegion *r = &((const Region *)m->regions->pdata[i])->r;
        uint64_t         end = r->base + r->size;

        if (r->enabled) {
            g_array_append_val(cuts, r->base);
            g_array_append_val(cuts, end);
        }
    }
    g_array_sort(cuts, compare_u64);
    g_array_set_size(m->flat, 0);
    for (guint i = 0; i + 1 < cuts->len; i++) {
        uint64_t base = g_array_index(cuts, uint64_t, i), end = g_array_index(cuts, uint64_t, i + 1);
        Region  *r = base == end ? NULL : newest_at(m, base);

        if (r != NULL) {
            flat_append(m->flat, base, end, r);
        }
    }
    g_array_free(cuts, TRUE);
}

static const FlatRange *flat_search(Memory *m, uint64_t pa)
{
    guint lo = 0, hi = m->flat->len;

    while (lo < hi) {
        guint            mid = (lo + hi) / 2;
        const FlatRange *f = &g_array_index(m->flat, FlatRange, mid);

        if (pa < f->base) {
            hi = mid;
        } else if (pa >= f->end) {
            lo = mid + 1;
        } else {
            m->last = mid;
            return f;
        }
    }
    return NULL;
}

static const FlatRange *flat_find(const Memory *m, uint64_t pa)
{
    if (m->last < m->flat->len) {
        const FlatRange *f = &g_array_index(m->flat, FlatRange, m->last);

        if (pa >= f->base && pa < f->end) {
            return f;
        }
    }
    return flat_search((Memory *)m, pa); /* const for callers: only the hint changes */
}

MemRegion *memory_find(const Memory *m, uint64_t pa)
{
    const FlatRange *f = flat_find(m, pa);

    return f == NULL ? NULL : &f->region->r;
}

uint8_t *memory_host_page(const Memory *m, uint64_t pa, bool *writable)
{
    uint64_t         page = align_down(pa, PAGE);
    const FlatRange *f = flat_find(m, page);

    if (f == NULL || f->end - page < PAGE || f->region->r.host == NULL) {
        return NULL;
    }
    *writable = f->region->r.kind == MEM_RAM;
    return f->region->r.host + (page - f->region->r.base);
}

static void flush_caches(const Memory *m, uint64_t pa, uint64_t len)
{
    for (guint i = 0; i < m->caches->len; i++) {
        const Cache *c = &g_array_index(m->caches, Cache, i);

        c->flush(c->opaque, pa, len);
    }
}

/* Another memory will be at [@base, @base + @size): code that was translated there is not known by its region. */
static void drop_code(Memory *m, uint64_t base, uint64_t size)
{
    for (guint i = 0; i < m->flat->len; i++) {
        const FlatRange *f = &g_array_index(m->flat, FlatRange, i);
        uint64_t         from = MAX(base, f->base), end = MIN(base + size, f->end);

        if (from < end && f->region->code != NULL) {
            memory_dirty(m, from, end - from);
        }
    }
}

static MemRegion *add_region(Memory *m, MemRegion r)
{
    Region *n = g_new0(Region, 1);

    n->r = r;
    n->r.enabled = true;
    drop_code(m, r.base, r.size);
    g_ptr_array_add(m->regions, n);
    rebuild_flat(m);
    flush_caches(m, r.base, r.size);
    return &n->r;
}

/* Pages that the guest touches become memory one by one: zeroing huge ones costs a boot more than they give back. */
static uint8_t *map_ram(Memory *m, uint64_t size, GError **error)
{
    uint8_t *host = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (host == MAP_FAILED) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno),
                    "cannot get %" G_GUINT64_FORMAT
                    " MiB of guest memory from the host: %s; ask for less with -m",
                    (guint64)(size >> 20), g_strerror(errno));
        return NULL;
    }
    m->ram_size += size;
    return host;
}

MemRegion *memory_add_ram(Memory *m, const char *name, uint64_t base, uint64_t size, GError **error)
{
    g_assert(is_aligned(base | size, PAGE) && size != 0);
    uint8_t *host = map_ram(m, size, error);

    return host == NULL ? NULL
                        : add_region(m, (MemRegion){ .name = name, .base = base, .size = size, .kind = MEM_RAM,
                                                     .host = host });
}

uint8_t *memory_take_ram(Memory *m, MemRegion *r)
{
    g_assert(r->kind == MEM_RAM);
    ((Region *)r)->taken = true;
    return r->host;
}

MemRegion *memory_give_ram(Memory *m, const char *name, uint64_t base, uint64_t size, uint8_t *bytes)
{
    m->ram_size += size;
    return add_region(m, (MemRegion){ .name = name, .base = base, .size = size, .kind = MEM_RAM, .host = bytes });
}

MemRegion *memory_add_rom(Memory *m, const char *name, uint64_t base, uint64_t size, GError **error)
{
    g_assert(is_aligned(base | size, PAGE) && size != 0);
    void *host = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (host == MAP_FAILED) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno),
                    "cannot get %" G_GUINT64_FORMAT " KiB of memory for '%s' from the host: %s",
                    (guint64)(size >> 10), name, g_strerror(errno));
        return NULL;
    }
    return add_region(m,
                      (MemRegion){.name = name, .base = base, .size = size, .kind = MEM_ROM, .host = host});
}

MemRegion *memory_add_mmio(Memory *m, const char *name, uint64_t base, uint64_t size, const MmioOps *ops,
                           void *opaque)
{
    return add_region(m, (MemRegion){ .name = name, .base = base, .size = size, .kind = MEM_MMIO, .ops = ops,
                                      .opaque = opaque });
}

MemRegion *memory_add_flash(Memory *m, const char *name, uint64_t base, uint64_t size, uint8_t *bytes,
                            const MmioOps *ops, void *opaque)
{
    g_assert(is_aligned(base | size, PAGE) && size != 0);
    MemRegion *r = add_region(m, (MemRegion){ .name = name, .base = base, .size = size, .kind = MEM_ROM, .host = bytes,
                                              .ops = ops, .opaque = opaque });

    ((Region *)r)->flash = bytes;
    return r;
}

void memory_flash_direct(Memory *m, MemRegion *r, bool direct)
{
    uint8_t *host = direct ? ((Region *)r)->flash : NULL;

    if (host == r->host) {
        return;
    }
    if (!direct) {
        drop_code(m, r->base, r->size);
        flush_caches(m, r->base, r->size); /* while its bytes still tell what leads there */
    }
    r->host = host;
}

void memory_remove(Memory *m, MemRegion *r)
{
    uint64_t base = r->base, size = r->size;

    drop_code(m, base, size);
    g_ptr_array_remove(m->regions, r);
    rebuild_flat(m);
    flush_caches(m, base, size);
    region_free((Region *)r);
}

void memory_move(Memory *m, MemRegion *r, uint64_t base, bool enabled)
{
    uint64_t old = r->base;
    bool     was_enabled = r->enabled;

    if (was_enabled) {
        drop_code(m, old, r->size);
    }
    if (enabled) {
        drop_code(m, base, r->size);
    }
    r->base = base;
    r->enabled = enabled;
    rebuild_flat(m);
    if (was_enabled) {
        flush_caches(m, old, r->size);
    }
    if (enabled) {
        flush_caches(m, base, r->size); /* what it now hides */
    }
}

void memory_add_cache(Memory *m, OwnersFlush *flush, void *opaque)
{
    Cache c = { flush, opaque };

    g_array_append_val(m->caches, c);
}

void memory_remove_cache(Memory *m, OwnersFlush *flush, void *opaque)
{
    for (guint i = 0; i < m->caches->len; i++) {
        const Cache *c = &g_array_index(m->caches, Cache, i);

        if (c->flush == flush && c->opaque == opaque) {
            g_array_remove_index(m->caches, i);
            return;
        }
    }
}

uint64_t memory_ram_size(const Memory *m) { return m->ram_size; }

/* ---- contents ---- */

static bool page_is_zero(const uint8_t *page)
{
    return page[0] == 0 && memcmp(page, page + 1, PAGE - 1) == 0;
}

/* Four independent sums, so that the host overlaps their multiplications. Not for adversaries. */
static uint64_t page_hash(const uint8_t *page)
{
    uint64_t h[4] = { 1, 2, 3, 4 };

    for (unsigned i = 0; i < PAGE; i += 32) {
        for (unsigned k = 0; k < 4; k++) {
            h[k] = (h[k] ^ le64_get(page + i + 8 * k)) * 0x9e3779b97f4a7c15ull;
            h[k] ^= h[k] >> 29;
        }
    }
    return ((h[0] * 31 + h[1]) * 31 + h[2]) * 31 + h[3];
}

void memory_foreach_region(const Memory *m, void (*fn)(void *opaque, const MemRegion *r), void *opaque)
{
    for (guint i = 0; i < m->regions->len; i++) {
        fn(opaque, &((const Region *)m->regions->pdata[i])->r);
    }
}

/* Which pages the host has given memory: Linux, Documentation/admin-guide/mm/pagemap.rst. */
#define PAGEMAP_SWAPPED BIT(62)
#define PAGEMAP_PRESENT BIT(63)

enum { PAGEMAP_RUN = 512 };

/* Those of the @n pages at @host that may hold more than zeros. The others would take memory if they were looked at. */
static void pages_in_use(int pagemap, const uint8_t *host, unsigned n, bool *used)
{
    uint64_t entry[PAGEMAP_RUN];
    size_t   len = n * sizeof(entry[0]);
    bool     known = pagemap >= 0 && pread(pagemap, entry, len, (off_t)((uintptr_t)host / PAGE * 8)) == (ssize_t)len;

    for (unsigned i = 0; i < n; i++) {
        used[i] = !known || (entry[i] & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED)) != 0;
    }
}

static void visit_pages(const MemRegion *r, int pagemap, void (*fn)(void *opaque, uint64_t pa, uint64_t hash),
                        void *opaque)
{
    bool used[PAGEMAP_RUN];

    for (uint64_t at = 0, n; at < r->size / PAGE; at += n) {
        n = MIN(r->size / PAGE - at, PAGEMAP_RUN);
        pages_in_use(pagemap, r->host + at * PAGE, (unsigned)n, used);
        for (uint64_t i = 0; i < n; i++) {
            const uint8_t *page = r->host + (at + i) * PAGE;

            if (used[i] && !page_is_zero(page)) {
                fn(opaque, r->base + (at + i) * PAGE, page_hash(page));
            }
        }
    }
}

void memory_foreach_page(const Memory *m, void (*fn)(void *opaque, uint64_t pa, uint64_t hash), void *opaque)
{
    int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

    for (guint i = 0; i < m->regions->len; i++) {
        const MemRegion *r = m->regions->pdata[i];

        if (r->kind == MEM_RAM) {
            visit_pages(r, pagemap, fn, opaque);
        }
    }
    if (pagemap >= 0) {
        close(pagemap);
    }
}

static void mix_page(void *opaque, uint64_t pa, uint64_t hash)
{
    uint64_t *h = opaque;

    *h = (*h ^ pa) * 0x9e3779b97f4a7c15ull;
    *h = ((*h ^ *h >> 32) + hash) * 0xbf58476d1ce4e5b9ull;
    *h ^= *h >> 29;
}

uint64_t memory_hash(const Memory *m)
{
    uint64_t h = 0;

    memory_foreach_page(m, mix_page, &h);
    return h;
}

/* ---- translated code ---- */

void memory_set_code_hook(Memory *m, void (*written)(void *opaque, uint64_t pa, uint64_t len), void *opaque)
{
    m->written = written;
    m->written_opaque = opaque;
}

void memory_mark_code(Memory *m, uint64_t pa, bool has_code)
{
    const FlatRange *f = flat_find(m, pa);

    if (f == NULL || f->region->r.host == NULL) {
        return;
    }
    Region *r = f->region;
    size_t  page = (pa - r->r.base) / PAGE;

    if (r->code == NULL) {
        r->code = g_new0(uint64_t, r->r.size / PAGE / 64 + 1);
    }
    r->code[page / 64] = deposit64(r->code[page / 64], page % 64, 1, has_code);
}

static bool region_has_code(const Region *r, uint64_t pa)
{
    size_t page = (pa - r->r.base) / PAGE;

    return r->code != NULL && extract64(r->code[page / 64], page % 64, 1) != 0;
}

bool memory_has_code(const Memory *m, uint64_t pa)
{
    const FlatRange *f = flat_find(m, pa);

    return f != NULL && region_has_code(f->region, pa);
}

void memory_dirty(Memory *m, uint64_t pa, uint64_t len)
{
    while (len != 0) {
        uint64_t         n = MIN(len, PAGE - (pa & (PAGE - 1)));
        const FlatRange *f = flat_find(m, pa);

        if (f == NULL || f->region->code == NULL) {
            n = f == NULL ? n : MIN(len, f->end - pa); /* nothing was ever translated from this region */
        } else if (region_has_code(f->region, pa) && m->written != NULL) {
            m->written(m->written_opaque, pa, n);
        }
        pa += n;
        len -= n;
    }
}

/* ---- accesses ---- */

/* The whole span must be owned by the accessor's space and be backed; owners first. */
static MemResult check_span(const Memory *m, uint64_t pa, MemAttrs attrs, uint64_t len)
{
    if (pa + len < pa) {
        return MEM_DECODE;
    }
    for (uint64_t p = align_down(pa, PAGE); p < pa + len; p += PAGE) {
        if (!owners_allow(m->owners, p, attrs.pas)) {
            return MEM_GPF;
        }
    }
    for (uint64_t p = pa; p < pa + len;) {
        const FlatRange *f = flat_find(m, p);

        if (f == NULL) {
            return MEM_DECODE;
        }
        p = f->end;
    }
    return MEM_OK;
}

MemResult memory_mmio_read(Memory *m, MemRegion *r, uint64_t pa, unsigned size, MemAttrs attrs,
                           uint64_t *value)
{
    *value = 0;
    if (r->ops == NULL || r->ops->read == NULL) {
        return MEM_SLAVE;
    }
    return r->ops->read(r->opaque, pa - r->base, size, attrs, value);
}

MemResult memory_mmio_write(Memory *m, MemRegion *r, uint64_t pa, unsigned size, MemAttrs attrs,
                            uint64_t value)
{
    if (r->ops == NULL || r->ops->write == NULL) {
        return MEM_SLAVE;
    }
    return r->ops->write(r->opaque, pa - r->base, size, attrs, value);
}

/* As those two, for memory_read() and memory_write(). What a device asks for while it serves a bus master ends at
 * memory: else two that write to each other's registers, or one that writes to its own, would do so for ever. */
static MemResult mmio_access(Memory *m, MemRegion *r, uint64_t pa, unsigned size, MemAttrs attrs, uint64_t *value,
                             bool write)
{
    bool      outer = m->mastered;
    MemResult res;

    if (outer && attrs.is_device) {
        guest_error("a request of a bus master at 0x%" PRIx64 " comes of another one, and is not answered", pa);
        return MEM_SLAVE;
    }
    m->mastered = attrs.is_device;
    res = write ? memory_mmio_write(m, r, pa, size, attrs, *value) : memory_mmio_read(m, r, pa, size, attrs, value);
    m->mastered = outer;
    return res;
}

/* The largest aligned power of two, up to 8, that starts at @pa and fits into @len. */
static unsigned mmio_piece(uint64_t pa, uint64_t len)
{
    unsigned n = 8;

    while (!is_aligned(pa, n) || n > len) {
        n /= 2;
    }
    return n;
}

/* RAM or ROM that holds a whole small access inside one page, which the accessor may reach; or NULL. Page
 * table walks come this way. */
static const FlatRange *small_span(const Memory *m, uint64_t pa, MemAttrs attrs, size_t len)
{
    const FlatRange *f;

    if (len > PAGE - (pa & (PAGE - 1)) || !owners_allow(m->owners, pa, attrs.pas)) {
        return NULL;
    }
    f = flat_find(m, pa);
    return f != NULL && f->region->r.host != NULL && len <= f->end - pa ? f : NULL;
}

MemResult memory_read(Memory *m, uint64_t pa, MemAttrs attrs, void *dst, size_t len)
{
    const FlatRange *small = small_span(m, pa, attrs, len);
    uint8_t         *d = dst;
    MemResult        res;

    if (small != NULL) {
        memcpy(dst, small->region->r.host + (pa - small->region->r.base), len);
        return MEM_OK;
    }
    res = check_span(m, pa, attrs, len);

    while (res == MEM_OK && len != 0) {
        const FlatRange *f = flat_find(m, pa);
        uint64_t         n;

        if (f == NULL) {
            return MEM_DECODE; /* a device access just before changed the map */
        }
        if (f->region->r.host != NULL) {
            n = MIN(len, f->end - pa);
            memcpy(d, f->region->r.host + (pa - f->region->r.base), n);
        } else {
            uint64_t v = 0;

            n = mmio_piece(pa, MIN(len, f->end - pa));
            res = mmio_access(m, &f->region->r, pa, (unsigned)n, attrs, &v, false);
            le_put(d, v, n);
        }
        d += n;
        pa += n;
        len -= n;
    }
    return res;
}

/* Many bytes are about to be written: the host gives their pages at once, which takes it less than one by one. Advice:
 * kernels before 5.14 do not take it. */
static void expect_pages(uint8_t *host, uint64_t n)
{
    uintptr_t from = align_up((uintptr_t)host, PAGE), end = align_down((uintptr_t)host + n, PAGE);

    if (n >= MANY_BYTES) {
        madvise((void *)from, end - from, MADV_POPULATE_WRITE);
    }
}

/* As memory_write(); @src NULL writes zeroes. */
static MemResult write_span(Memory *m, uint64_t pa, MemAttrs attrs, const uint8_t *src, size_t len)
{
    MemResult res = check_span(m, pa, attrs, len);

    while (res == MEM_OK && len != 0) {
        const FlatRange *f = flat_find(m, pa);
        uint64_t         n;

        if (f == NULL) {
            return MEM_DECODE;
        }
        if (f->region->r.kind == MEM_RAM) {
            uint8_t *host = f->region->r.host + (pa - f->region->r.base);

            n = MIN(len, f->end - pa);
            expect_pages(host, n);
            if (src == NULL) {
                memset(host, 0, n);
            } else {
                memcpy(host, src, n);
            }
            memory_dirty(m, pa, n);
        } else {
            uint64_t v;

            n = mmio_piece(pa, MIN(len, f->end - pa));
            v = src == NULL ? 0 : le_get(src, n);
            res = mmio_access(m, &f->region->r, pa, (unsigned)n, attrs, &v, true);
        }
        src = src == NULL ? NULL : src + n;
        pa += n;
        len -= n;
    }
    return res;
}

MemResult memory_write(Memory *m, uint64_t pa, MemAttrs attrs, const void *src, size_t len)
{
    return write_span(m, pa, attrs, src, len);
}

MemResult memory_zero(Memory *m, uint64_t pa, MemAttrs attrs, size_t len)
{
    return write_span(m, pa, attrs, NULL, len);
}

/* The bytes behind @pa whatever the region's device does at the moment; NULL: there are none. */
static uint8_t *bytes_at(const Memory *m, uint64_t pa, uint64_t *n)
{
    const FlatRange *f = flat_find(m, pa);
    uint8_t         *bytes = f == NULL ? NULL : f->region->flash != NULL ? f->region->flash : f->region->r.host;

    *n = f == NULL ? 0 : f->end - pa;
    return bytes == NULL ? NULL : bytes + (pa - f->region->r.base);
}

bool memory_load(Memory *m, uint64_t pa, const void *src, size_t len)
{
    const uint8_t *s = src;
    uint64_t       n;

    for (uint64_t at = 0; at < len; at += n) {
        if (pa + at < pa || bytes_at(m, pa + at, &n) == NULL) {
            return false;
        }
    }
    for (uint64_t at = 0; at < len; at += n) {
        uint8_t *d = bytes_at(m, pa + at, &n);

        n = MIN(n, len - at);
        expect_pages(d, n);
        memcpy(d, s + at, n);
        memory_dirty(m, pa + at, n);
    }
    return true;
}
