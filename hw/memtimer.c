/*
 * System counter and memory-mapped timer. Arm DDI 0487, "CNTControlBase", "CNTReadBase", "CNTCTLBase", "CNTBaseN".
 * The counter is guest time: it runs from power on, and nothing stops or sets it. Of the timer there is one frame with
 * a physical timer; firmware has given it to the Non-secure world with all rights. Not modelled: virtual timers of
 * frames, the second view (CNTEL0BaseN), scaling of the counter.
 */
#include "hw/memtimer.h"

#include <inttypes.h>

#include "log.h"

/* ---- the counter ---- */

typedef struct Syscount {
    Device   dev;
    unsigned tick_ns;
    uint32_t hz;
} Syscount;

static uint64_t read_count(Device *dev, const Reg *reg, unsigned i)
{
    const Syscount *s = (Syscount *)dev;

    return (uint64_t)clock_show(dev->clock) / s->tick_ns;
}

static uint64_t read_hz(Device *dev, const Reg *reg, unsigned i) { return i == 0 ? ((Syscount *)dev)->hz : 0; }

static const Reg cntread_regs[] = {
    { 0x000, "CNTCV", NO_FIELD, 0, 0, read_count, NULL, .width = 8 },
};

/* CNTCR.EN reads as one: the counter runs. CNTSR: not halted by a debugger, frequency 0 of the table. */
static const Reg cntcontrol_regs[] = {
    { 0x000, "CNTCR",  NO_FIELD, 1, 0, NULL,       NULL },
    { 0x004, "CNTSR",  NO_FIELD, 0x100, 0, NULL,   NULL },
    { 0x008, "CNTCV",  NO_FIELD, 0, 0, read_count, NULL, .width = 8 },
    { 0x020, "CNTFID", NO_FIELD, 0, 0, read_hz,    NULL, 2, 4 },
};

static bool syscount_realize(Device *dev, GError **error)
{
    ((Syscount *)dev)->tick_ns = 1;
    return true;
}

DEVICE(cntread, .name = "cntread", .desc = "system counter, status frame", .bus = "sysbus",
       .state_size = sizeof(Syscount), .mmio_size = 0x1000, .access = ACCESS_32 | ACCESS_64, .regs = cntread_regs,
       .n_regs = ARRAY_LEN(cntread_regs), .realize = syscount_realize);
DEVICE(cntcontrol, .name = "cntcontrol", .desc = "system counter, control frame", .bus = "sysbus",
       .state_size = sizeof(Syscount), .mmio_size = 0x1000, .access = ACCESS_32 | ACCESS_64, .regs = cntcontrol_regs,
       .n_regs = ARRAY_LEN(cntcontrol_regs), .realize = syscount_realize);

void syscount_connect(Device *dev, unsigned tick_ns, uint32_t hz)
{
    Syscount *s = (Syscount *)dev;

    s->tick_ns = tick_ns;
    s->hz = hz;
}

/* ---- the timer ---- */

enum { CTL_ENABLE = 1, CTL_IMASK = 2, CTL_ISTATUS = 4 };

/* CNTACR<n>: what the frame's user may reach. */
enum { ACR_RPCT = 1 << 0, ACR_RVCT = 1 << 1, ACR_RFRQ = 1 << 2, ACR_RWPT = 1 << 5, ACR_ALL = 0x3f };

typedef struct Memtimer {
    Device     dev;
    IrqLine    irq;
    ClockTimer met;
    unsigned   tick_ns, frame;
    uint32_t   hz;
    uint32_t   acr, ctl;
    uint64_t   cval;
} Memtimer;

static uint64_t timer_count(const Memtimer *s) { return (uint64_t)clock_seen(s->dev.clock) / s->tick_ns; }
static uint64_t shown_count(const Memtimer *s) { return (uint64_t)clock_show(s->dev.clock) / s->tick_ns; }
static bool condition(const Memtimer *s) { return timer_count(s) >= s->cval; }

static void timer_plan(Memtimer *s)
{
    bool on = (s->ctl & CTL_ENABLE) != 0, ever = s->cval <= (uint64_t)INT64_MAX / s->tick_ns;
    bool met = condition(s); /* once: the host's clock goes on between two looks */

    timer_set(&s->met, on && !met && ever ? (int64_t)(s->cval * s->tick_ns) : INT64_MAX);
    irq_set(&s->irq, on && (s->ctl & CTL_IMASK) == 0 && met);
}

static void timer_met(void *opaque)
{
    timer_plan(opaque);
}

static uint64_t read_cntfrq(Device *dev, const Reg *reg, unsigned i) { return ((Memtimer *)dev)->hz; }

/* One frame, implemented, without virtual timer and second view. */
static uint64_t read_cnttidr(Device *dev, const Reg *reg, unsigned i) { return 1u << 4 * ((Memtimer *)dev)->frame; }
static uint64_t read_cntnsar(Device *dev, const Reg *reg, unsigned i) { return 1u << ((Memtimer *)dev)->frame; }

static uint64_t read_cntacr(Device *dev, const Reg *reg, unsigned i)
{
    const Memtimer *s = (Memtimer *)dev;

    return i == s->frame ? s->acr : 0;
}

static void write_cntacr(Device *dev, const Reg *reg, unsigned i, uint64_t value)
{
    Memtimer *s = (Memtimer *)dev;

    if (i == s->frame) {
        s->acr = (uint32_t)value;
    }
}

static const Reg memtimer_regs[] = { /* DDI 0487, "CNTCTLBase". CNTFRQ and CNTNSAR are the Secure world's to write */
    { 0x000, "CNTFRQ",  NO_FIELD, 0, 0,       read_cntfrq,  NULL },
    { 0x004, "CNTNSAR", NO_FIELD, 0, 0,       read_cntnsar, NULL },
    { 0x008, "CNTTIDR", NO_FIELD, 0, 0,       read_cnttidr, NULL },
    { 0x040, "CNTACR",  NO_FIELD, 0, ACR_ALL, read_cntacr,  write_cntacr, 8, 4 },
};

/* Registers of the frame. */
enum {
    F_CNTPCT = 0x000,
    F_CNTVCT = 0x008,
    F_CNTFRQ = 0x010,
    F_CNTP_CVAL = 0x020,
    F_CNTP_TVAL = 0x028,
    F_CNTP_CTL = 0x02c,
};

/* Whether CNTACR gives the frame's user right @need. */
static bool frame_may(const Memtimer *s, uint32_t need, uint64_t off)
{
    if ((s->acr & need) == 0) {
        guest_error("%s: CNTACR%u forbids access to offset 0x%" PRIx64, s->dev.id, s->frame, off);
    }
    return (s->acr & need) != 0;
}

static uint64_t ctl_value(const Memtimer *s)
{
    return s->ctl | (s->ctl & CTL_ENABLE && condition(s) ? CTL_ISTATUS : 0);
}

static uint32_t frame_read_word(const Memtimer *s, uint64_t off)
{
    unsigned high = off & 4 ? 32 : 0;

    switch (off & ~4ull) {
    case F_CNTPCT:
    case F_CNTVCT: /* the same: the frame's CNTVOFF is zero */
        return frame_may(s, off < F_CNTVCT ? ACR_RPCT : ACR_RVCT, off) ? (uint32_t)(shown_count(s) >> high) : 0;
    case F_CNTFRQ:
        return high == 0 && frame_may(s, ACR_RFRQ, off) ? s->hz : 0;
    case F_CNTP_CVAL:
        return frame_may(s, ACR_RWPT, off) ? (uint32_t)(s->cval >> high) : 0;
    case F_CNTP_TVAL:
        if (!frame_may(s, ACR_RWPT, off)) {
            return 0;
        }
        return high == 0 ? (uint32_t)(s->cval - shown_count(s)) : (uint32_t)ctl_value(s);
    default:
        guest_error("%s: read of undefined offset 0x%" PRIx64 " of the frame", s->dev.id, off);
        return 0;
    }
}

static void frame_write_word(Memtimer *s, uint64_t off, uint32_t value)
{
    switch (off) {
    case F_CNTP_CVAL:
    case F_CNTP_CVAL + 4:
        if (frame_may(s, ACR_RWPT, off)) {
            s->cval = deposit64(s->cval, off & 4 ? 32 : 0, 32, value);
        }
        break;
    case F_CNTP_TVAL:
        if (frame_may(s, ACR_RWPT, off)) {
            s->cval = timer_count(s) + (uint64_t)(int64_t)(int32_t)value;
        }
        break;
    case F_CNTP_CTL:
        if (frame_may(s, ACR_RWPT, off)) {
            s->ctl = value & (CTL_ENABLE | CTL_IMASK);
        }
        break;
    default:
        guest_error("%s: write to read-only or undefined offset 0x%" PRIx64 " of the frame", s->dev.id, off);
        return;
    }
    timer_plan(s);
}

static MemResult frame_read(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t *value)
{
    const Memtimer *s = opaque;

    if (size < 4) {
        guest_error("%s: read of %u bytes at 0x%" PRIx64 " is not allowed", s->dev.id, size, off);
        return MEM_SLAVE;
    }
    *value = frame_read_word(s, off);
    if (size == 8) {
        *value |= (uint64_t)frame_read_word(s, off + 4) << 32;
    }
    return MEM_OK;
}

static MemResult frame_write(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t value)
{
    Memtimer *s = opaque;

    if (size < 4) {
        guest_error("%s: write of %u bytes at 0x%" PRIx64 " is not allowed", s->dev.id, size, off);
        return MEM_SLAVE;
    }
    frame_write_word(s, off, (uint32_t)value);
    if (size == 8) {
        frame_write_word(s, off + 4, (uint32_t)(value >> 32));
    }
    return MEM_OK;
}

const MmioOps memtimer_frame_ops = { frame_read, frame_write };

static const Field memtimer_fields[] = {
    FIELD_RESET(Memtimer, acr, ACR_ALL), FIELD_RESET(Memtimer, ctl, 0), FIELD_RESET(Memtimer, cval, 0),
};

static void memtimer_reset(Device *dev)
{
    timer_plan((Memtimer *)dev);
}

static bool memtimer_realize(Device *dev, GError **error)
{
    Memtimer *s = (Memtimer *)dev;

    s->tick_ns = 1;
    timer_init(&s->met, dev->clock, timer_met, s);
    return true;
}

static void memtimer_unrealize(Device *dev)
{
    timer_deinit(&((Memtimer *)dev)->met);
}

DEVICE(memtimer, .name = "memtimer", .desc = "memory-mapped generic timer", .bus = "sysbus",
       .state_size = sizeof(Memtimer), .mmio_size = 0x1000, .access = ACCESS_32, .regs = memtimer_regs,
       .n_regs = ARRAY_LEN(memtimer_regs), .fields = memtimer_fields, .n_fields = ARRAY_LEN(memtimer_fields),
       .realize = memtimer_realize, .unrealize = memtimer_unrealize, .reset = memtimer_reset);

void memtimer_connect(Device *dev, unsigned tick_ns, uint32_t hz, unsigned frame, IrqLine irq)
{
    Memtimer *s = (Memtimer *)dev;

    s->tick_ns = tick_ns;
    s->hz = hz;
    s->frame = frame;
    s->irq = irq;
}
