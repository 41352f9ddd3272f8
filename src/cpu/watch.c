/*
 * Watchpoints of the debugger. Pages that one touches have no fast entries, so that every access to them comes by
 * access.c, which asks here once the access is known not to fault.
 */
#include "cpu/engine.h"

static bool overlap(const CpuWatch *w, uint64_t va, uint64_t size)
{
    return ((va - w->va) & ADDRESS_MASK) < w->len || ((w->va - va) & ADDRESS_MASK) < size;
}

bool watch_in_page(const CpuEngine *e, uint64_t va)
{
    for (guint i = 0; i < e->watchpoints->len; i++) {
        if (overlap(&g_array_index(e->watchpoints, CpuWatch, i), va & PAGE_MASK, PAGE_SIZE)) {
            return true;
        }
    }
    return false;
}

bool watch_stops(Cpu *cpu, uint64_t va, unsigned size, unsigned access)
{
    const GArray *all = cpu->engine->watchpoints;

    for (guint i = 0; i < all->len; i++) {
        CpuWatch w = g_array_index(all, CpuWatch, i);

        if ((w.access & access) != 0 && overlap(&w, va, size)) {
            w.va = ((va - w.va) & ADDRESS_MASK) < w.len ? va : w.va;
            return run_stop_at_watch(cpu, &w);
        }
    }
    return false;
}

/* From now on the pages of @w are filled anew. */
static void refill(CpuEngine *e, const CpuWatch *w)
{
    for (guint i = 0; i < e->cpus->len; i++) {
        cpu_flush_va(e->cpus->pdata[i], NULL, NULL, w->va, w->len);
    }
}

void cpu_watch_insert(CpuEngine *e, const CpuWatch *w)
{
    g_array_append_val(e->watchpoints, *w);
    refill(e, w);
}

void cpu_watch_remove(CpuEngine *e, const CpuWatch *w)
{
    for (guint i = 0; i < e->watchpoints->len; i++) {
        const CpuWatch *other = &g_array_index(e->watchpoints, CpuWatch, i);

        if (other->va == w->va && other->len == w->len && other->access == w->access) {
            g_array_remove_index_fast(e->watchpoints, i);
            refill(e, w);
            return;
        }
    }
}

bool cpu_watch_hit(const Cpu *cpu, CpuWatch *hit)
{
    *hit = cpu->run->watch;
    return cpu->run->watched;
}
