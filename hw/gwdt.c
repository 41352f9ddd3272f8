/*
 * Generic watchdog, revision 1: Arm DEN0094 "Generic Watchdog". It compares the system counter with a value that each
 * refresh sets to now plus the offset. Passing it raises WS0 and moves the value on, passing it again raises WS1.
 */
#include "hw/gwdt.h"

#include "log.h"

enum { WCS_EN = 1, WCS_WS0 = 2, WCS_WS1 = 4 };

/* W_IIDR: architecture revision 1 (48-bit offset), implementer Arm. */
#define IIDR 0x0001043bu

typedef struct Gwdt {
    Device     dev;
    IrqLine    ws0;
    void     (*ws1)(void *opaque);
    void      *opaque;
    ClockTimer timeout;
    unsigned   tick_ns;
    uint32_t   wcs;
    uint64_t   offset, compare;
} Gwdt;

static uint64_t count(const Gwdt *s) { return (uint64_t)clock_now(s->dev.clock) / s->tick_ns; }

/* The timeout comes when the counter is greater than the compare value. */
static void plan(Gwdt *s)
{
    uint64_t tick = s->compare + 1;
    bool     ever = (s->wcs & WCS_EN) != 0 && tick != 0 && tick <= (uint64_t)INT64_MAX / s->tick_ns;

    timer_set(&s->timeout, ever ? MAX((int64_t)(tick * s->tick_ns), clock_now(s->dev.clock)) : INT64_MAX);
    irq_set(&s->ws0, (s->wcs & WCS_WS0) != 0);
}

static void timed_out(void *opaque)
{
    Gwdt *s = opaque;
    bool  second = (s->wcs & WCS_WS0) != 0;

    s->wcs |= second ? WCS_WS1 : WCS_WS0;
    s->compare = count(s) + s->offset;
    plan(s);
    if (second) {
        timer_set(&s->timeout, INT64_MAX); /* nothing is left to tell */
        LOG(IRQ, "%s: nobody refreshed the watchdog: second signal", s->dev.id);
        if (s->ws1 != NULL) {
            s->ws1(s->opaque);
        }
    }
}

/* "Explicit watchdog refresh": a write to WRR, WOR or WCS. */
static void refresh(Gwdt *s)
{
    s->compare = count(s) + s->offset;
    s->wcs &= WCS_EN;
    plan(s);
}

static void write_refreshing(Device *dev, const Reg *reg, unsigned i, uint64_t value)
{
    refresh((Gwdt *)dev);
}

static void write_wcv(Device *dev, const Reg *reg, unsigned i, uint64_t value)
{
    plan((Gwdt *)dev);
}

static const Reg gwdt_regs[] = { /* DEN0094, "Watchdog control frame" */
    { 0x000, "WCS",    FIELD(Gwdt, wcs),     0, WCS_EN, NULL, write_refreshing },
    { 0x008, "WOR",    FIELD(Gwdt, offset),  0, 0xffffffffffffull, NULL, write_refreshing, .width = 8 },
    { 0x010, "WCV",    FIELD(Gwdt, compare), 0, ~0ull, NULL, write_wcv, .width = 8 },
    { 0xfcc, "W_IIDR", NO_FIELD,             IIDR, 0, NULL, NULL },
};

static MemResult refresh_read(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t *value)
{
    *value = off == 0xfcc ? IIDR : 0; /* WRR reads as zero */
    return MEM_OK;
}

static MemResult refresh_write(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t value)
{
    Gwdt *s = opaque;

    if (off == 0) {
        refresh(s);
    } else {
        guest_error("%s: write to offset 0x%x of the refresh frame", s->dev.id, (unsigned)off);
    }
    return MEM_OK;
}

const MmioOps gwdt_refresh_ops = { refresh_read, refresh_write };

static void gwdt_reset(Device *dev)
{
    plan((Gwdt *)dev);
}

static bool gwdt_realize(Device *dev, GError **error)
{
    Gwdt *s = (Gwdt *)dev;

    s->tick_ns = 1;
    timer_init(&s->timeout, dev->clock, timed_out, s);
    return true;
}

static void gwdt_unrealize(Device *dev)
{
    timer_deinit(&((Gwdt *)dev)->timeout);
}

DEVICE(gwdt, .name = "gwdt", .desc = "generic watchdog", .bus = "sysbus", .state_size = sizeof(Gwdt),
       .mmio_size = 0x1000, .access = ACCESS_32 | ACCESS_64, .regs = gwdt_regs, .n_regs = ARRAY_LEN(gwdt_regs),
       .realize = gwdt_realize, .unrealize = gwdt_unrealize, .reset = gwdt_reset);

void gwdt_connect(Device *dev, unsigned tick_ns, IrqLine ws0, void (*ws1)(void *opaque), void *opaque)
{
    Gwdt *s = (Gwdt *)dev;

    s->tick_ns = tick_ns;
    s->ws0 = ws0;
    s->ws1 = ws1;
    s->opaque = opaque;
}
