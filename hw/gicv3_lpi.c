/*
 * LPIs of a redistributor (IHI 0069, "LPIs"). The property table is cached as the architecture allows: read
 * when LPIs are enabled and again on INV or INVALL. The pending table is read when LPIs are enabled and
 * written back when they are disabled; in between the state is here.
 */
#include <glib.h>
#include <inttypes.h>
#include <string.h>

#include "hw/gicv3_int.h"

enum { PAGE = 4096 };

#define PROPBASER_ADDR 0x000ffffffffff000ull
#define PENDBASER_ADDR 0x000fffffffff0000ull
#define PENDBASER_PTZ  BIT(62)

static const GicBest no_lpi = { GIC_SPURIOUS, GIC_IDLE_PRIO, 1 };

static bool lpi_enabled(const GicCpu *cpu)
{
    return (cpu->rctlr & 1) != 0;
}

static bool in_reach(const GicCpu *cpu, uint32_t intid)
{
    return lpi_enabled(cpu) && intid >= GIC_FIRST_LPI && intid - GIC_FIRST_LPI < cpu->lpi.n;
}

uint8_t gic_lpi_prio(const GicCpu *cpu, uint32_t intid)
{
    return in_reach(cpu, intid) ? cpu->lpi.config[intid - GIC_FIRST_LPI] & GIC_PRIO_MASK : GIC_IDLE_PRIO;
}

bool gic_lpi_pending(const GicCpu *cpu, uint32_t intid)
{
    uint32_t i = intid - GIC_FIRST_LPI;

    return in_reach(cpu, intid) && (cpu->lpi.pending[i / 64] >> (i % 64) & 1);
}

/* ---- the set of deliverable LPIs ---- */

static void ready_word_changed(GicLpis *l, uint32_t word)
{
    uint64_t bit = BIT(word % 64);

    l->summary[word / 64] = l->ready[word] != 0 ? l->summary[word / 64] | bit : l->summary[word / 64] & ~bit;
}

/* Bit @i is pending or not, enabled or not: puts it into the ready set or takes it out, and keeps the best
 * right. */
static void refresh(GicLpis *l, uint32_t i)
{
    uint64_t bit = BIT(i % 64);
    bool     ready = (l->pending[i / 64] & bit) != 0 && (l->config[i] & 1) != 0;
    uint8_t  prio = l->config[i] & GIC_PRIO_MASK;
    uint32_t intid = i + GIC_FIRST_LPI;

    l->ready[i / 64] = ready ? l->ready[i / 64] | bit : l->ready[i / 64] & ~bit;
    ready_word_changed(l, i / 64);
    if (l->best.intid == intid) {
        l->best_valid = false; /* left, or changed its priority */
    } else if (ready && l->best_valid &&
               (prio < l->best.prio || (prio == l->best.prio && intid < l->best.intid))) {
        l->best = (GicBest){ intid, prio, 1 };
    }
}

static void refresh_word(GicLpis *l, uint32_t word)
{
    for (uint64_t m = l->pending[word] | l->ready[word]; m != 0; m &= m - 1) {
        refresh(l, word * 64 + (uint32_t)__builtin_ctzll(m));
    }
}

static void find_best(GicLpis *l)
{
    l->best = no_lpi;
    for (uint32_t s = 0; s < GIC_LPI_SUMMARY; s++) {
        for (uint64_t words = l->summary[s]; words != 0; words &= words - 1) {
            uint32_t w = s * 64 + (uint32_t)__builtin_ctzll(words);

            for (uint64_t m = l->ready[w]; m != 0; m &= m - 1) {
                uint32_t i = w * 64 + (uint32_t)__builtin_ctzll(m);
                uint8_t  prio = l->config[i] & GIC_PRIO_MASK;

                if (prio < l->best.prio) {
                    l->best = (GicBest){ i + GIC_FIRST_LPI, prio, 1 };
                }
            }
        }
    }
    l->best_valid = true;
}

/* ---- property table ---- */

/* Reads the whole table; a page that cannot be read leaves its LPIs disabled. */
static void read_properties(GicCpu *cpu)
{
    GicLpis *l = &cpu->lpi;
    uint64_t base = cpu->propbaser & PROPBASER_ADDR;

    l->stale = false;
    for (uint32_t i = 0; i < l->n; i += PAGE) {
        size_t len = MIN(l->n - i, (uint32_t)PAGE);

        if (!gic_read(cpu->gic, base + i, l->config + i, len)) {
            guest_error("redistributor %u: no LPI properties at 0x%" PRIx64, cpu->index, base + i);
            memset(l->config + i, 0, len);
        }
    }
    for (uint32_t w = 0; w < GIC_LPI_WORDS; w++) {
        refresh_word(l, w);
    }
    l->best_valid = false;
}

void gic_lpi_invalidate(GicCpu *cpu, uint32_t intid)
{
    uint32_t i = intid - GIC_FIRST_LPI;

    if (!in_reach(cpu, intid)) {
        return;
    }
    if (!gic_read(cpu->gic, (cpu->propbaser & PROPBASER_ADDR) + i, &cpu->lpi.config[i], 1)) {
        cpu->lpi.config[i] = 0;
    }
    refresh(&cpu->lpi, i);
}

void gic_lpi_invalidate_all(GicCpu *cpu)
{
    cpu->lpi.stale = lpi_enabled(cpu);
}

GicBest gic_lpi_best(GicCpu *cpu)
{
    if (!lpi_enabled(cpu)) {
        return no_lpi;
    }
    if (cpu->lpi.stale) {
        read_properties(cpu);
    }
    if (!cpu->lpi.best_valid) {
        find_best(&cpu->lpi);
    }
    return cpu->lpi.best;
}

/* ---- pending state ---- */

bool gic_lpi_set_pending(GicCpu *cpu, uint32_t intid, bool pending)
{
    uint32_t i = intid - GIC_FIRST_LPI;
    uint64_t bit = BIT(i % 64);

    if (!in_reach(cpu, intid)) {
        return false;
    }
    cpu->lpi.pending[i / 64] = pending ? cpu->lpi.pending[i / 64] | bit : cpu->lpi.pending[i / 64] & ~bit;
    refresh(&cpu->lpi, i);
    return true;
}

/* Only LPIs that the other redistributor reaches as well move; the others stay where they are. */
void gic_lpi_move_all(GicCpu *from, GicCpu *to)
{
    if (from == to || !lpi_enabled(from) || !lpi_enabled(to)) {
        return;
    }
    for (uint32_t w = 0; w < GIC_LPI_WORDS; w++) {
        for (uint64_t m = from->lpi.pending[w]; m != 0; m &= m - 1) {
            uint32_t intid = GIC_FIRST_LPI + w * 64 + (uint32_t)__builtin_ctzll(m);

            if (gic_lpi_set_pending(to, intid, true)) {
                gic_lpi_set_pending(from, intid, false);
            }
        }
    }
}

/* The bit of LPI n is bit n % 8 of byte n / 8; the first KiB is not for LPIs. */
static void read_pending_table(GicCpu *cpu)
{
    GicLpis *l = &cpu->lpi;
    uint64_t base = (cpu->pendbaser & PENDBASER_ADDR) + GIC_FIRST_LPI / 8;
    uint8_t  bytes[GIC_N_LPIS / 8] = { 0 };

    if (l->n != 0 && !gic_read(cpu->gic, base, bytes, l->n / 8)) {
        guest_error("redistributor %u: LPI pending table at 0x%" PRIx64 " is not memory", cpu->index, base);
        return;
    }
    for (uint32_t i = 0; i < l->n; i++) {
        l->pending[i / 64] |= (uint64_t)(bytes[i / 8] >> (i % 8) & 1) << (i % 64);
    }
}

static void write_pending_table(GicCpu *cpu)
{
    GicLpis *l = &cpu->lpi;
    uint64_t base = (cpu->pendbaser & PENDBASER_ADDR) + GIC_FIRST_LPI / 8;
    uint8_t  bytes[GIC_N_LPIS / 8];

    for (uint32_t i = 0; i < GIC_N_LPIS / 8; i++) {
        bytes[i] = (uint8_t)(l->pending[i / 8] >> (i % 8 * 8));
    }
    if (l->n != 0 && !gic_write(cpu->gic, base, bytes, l->n / 8)) {
        guest_error("redistributor %u: LPI pending table at 0x%" PRIx64 " is not memory", cpu->index, base);
    }
}

/* ---- enable, life cycle ---- */

static void clear(GicLpis *l)
{
    if (l->pending != NULL) {
        memset(l->pending, 0, GIC_LPI_WORDS * sizeof(uint64_t));
        memset(l->ready, 0, GIC_LPI_WORDS * sizeof(uint64_t));
        memset(l->config, 0, GIC_N_LPIS);
    }
    memset(l->summary, 0, sizeof(l->summary));
    l->n = 0;
    l->stale = l->best_valid = false;
    l->best = no_lpi;
}

static void enable(GicCpu *cpu)
{
    GicLpis *l = &cpu->lpi;
    unsigned id_bits = (unsigned)extract64(cpu->propbaser, 0, 5) + 1;

    if (l->pending == NULL) {
        l->pending = g_new0(uint64_t, GIC_LPI_WORDS);
        l->ready = g_new0(uint64_t, GIC_LPI_WORDS);
        l->config = g_malloc0(GIC_N_LPIS);
    }
    id_bits = MIN(id_bits, (unsigned)GIC_ID_BITS);
    l->n = id_bits >= 14 ? (1u << id_bits) - GIC_FIRST_LPI : 0; /* fewer than 14 bits: no LPI exists */
    if ((cpu->pendbaser & PENDBASER_PTZ) == 0) {
        read_pending_table(cpu);
    }
    read_properties(cpu);
}

void gic_lpi_set_enable(GicCpu *cpu, bool on)
{
    if (on == lpi_enabled(cpu)) {
        return;
    }
    if (on) {
        cpu->rctlr |= 1;
        enable(cpu);
    } else {
        cpu->rctlr &= ~1u;
        write_pending_table(cpu);
        clear(&cpu->lpi);
    }
    gic_update(cpu);
}

void gic_lpi_reset(GicCpu *cpu)
{
    clear(&cpu->lpi);
}

void gic_lpi_free(GicCpu *cpu)
{
    g_free(cpu->lpi.pending);
    g_free(cpu->lpi.ready);
    g_free(cpu->lpi.config);
}
