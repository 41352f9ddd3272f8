/*
 * Watchdog SP805: Arm DDI 0270, "Programmer's model". A counter at 32.768 kHz: at its first zero it interrupts and
 * starts over, at the next, when nobody cleared the interrupt, it asks for a reset. Not modelled: the integration test
 * registers' effect on the outputs.
 */
#include "hw/sp805.h"

#include "log.h"

#define UNLOCK_KEY 0x1acce551u

enum { CONTROL_INTEN = 1, CONTROL_RESEN = 2 };

typedef struct Sp805 {
    Device     dev;
    IrqLine    irq;
    void     (*request_reset)(void *opaque);
    void      *opaque;
    ClockTimer zero;
    uint32_t   load, control, ris, locked;
    uint32_t   from;     /* what the counter held at @from_ns */
    int64_t    from_ns;
} Sp805;

/* Ticks of the 32.768 kHz clock: 1953125 / 64 ns each. */
static int64_t ticks_to_ns(uint32_t ticks) { return (int64_t)(((uint64_t)ticks * 1953125 + 63) / 64); }
static uint32_t ns_to_ticks(int64_t ns) { return (uint32_t)((uint64_t)ns * 64 / 1953125); }

static bool counts(const Sp805 *s) { return (s->control & CONTROL_INTEN) != 0; }

static uint32_t counter(const Sp805 *s)
{
    uint32_t gone = counts(s) ? ns_to_ticks(clock_now(s->dev.clock) - s->from_ns) : 0;

    return s->from - MIN(gone, s->from);
}

static void update(Sp805 *s)
{
    irq_set(&s->irq, (s->ris & s->control & CONTROL_INTEN) != 0);
}

/* Goes on from @value, or stands at it. A load of zero is one tick: "the minimum valid value is 1". */
static void count_from(Sp805 *s, uint32_t value)
{
    s->from = MAX(value, 1);
    s->from_ns = clock_now(s->dev.clock);
    timer_set(&s->zero, counts(s) ? s->from_ns + ticks_to_ns(s->from) : INT64_MAX);
}

static void reached_zero(void *opaque)
{
    Sp805 *s = opaque;

    if (s->ris != 0 && (s->control & CONTROL_RESEN) != 0) {
        timer_set(&s->zero, INT64_MAX);
        LOG(IRQ, "%s: nobody served the watchdog: reset", s->dev.id);
        if (s->request_reset != NULL) {
            s->request_reset(s->opaque);
        }
        return;
    }
    s->ris = 1;
    count_from(s, s->load);
    update(s);
}

/* All but the lock ignore writes while it is locked. */
static bool writable(const Sp805 *s, const Reg *reg)
{
    if (s->locked) {
        guest_error("%s: write to %s while the registers are locked", s->dev.id, reg->name);
    }
    return !s->locked;
}

static uint64_t read_load(Device *dev, const Reg *reg, unsigned i) { return ((Sp805 *)dev)->load; }
static uint64_t read_control(Device *dev, const Reg *reg, unsigned i) { return ((Sp805 *)dev)->control; }
static uint64_t read_value(Device *dev, const Reg *reg, unsigned i) { return counter((Sp805 *)dev); }
static uint64_t read_lock(Device *dev, const Reg *reg, unsigned i) { return ((Sp805 *)dev)->locked; }

static uint64_t read_masked(Device *dev, const Reg *reg, unsigned i)
{
    const Sp805 *s = (Sp805 *)dev;

    return s->ris & s->control & CONTROL_INTEN;
}

static void write_load(Device *dev, const Reg *reg, unsigned i, uint64_t value)
{
    Sp805 *s = (Sp805 *)dev;

    if (writable(s, reg)) {
        s->load = (uint32_t)value;
        count_from(s, s->load);
    }
}

/* "INTEN: ... reloads the counter from WDOGLOAD when the interrupt is enabled and was previously disabled." */
static void write_control(Device *dev, const Reg *reg, unsigned i, uint64_t value)
{
    Sp805   *s = (Sp805 *)dev;
    uint32_t now = counter(s), was = s->control;

    if (writable(s, reg)) {
        s->control = (uint32_t)value;
        if ((was ^ s->control) & CONTROL_INTEN) {
            count_from(s, counts(s) ? s->load : now);
        }
        update(s);
    }
}

static void write_clear(Device *dev, const Reg *reg, unsigned i, uint64_t value)
{
    Sp805 *s = (Sp805 *)dev;

    if (writable(s, reg)) {
        s->ris = 0;
        count_from(s, s->load);
        update(s);
    }
}

static void write_lock(Device *dev, const Reg *reg, unsigned i, uint64_t value)
{
    ((Sp805 *)dev)->locked = value != UNLOCK_KEY;
}

static uint64_t read_id(Device *dev, const Reg *reg, unsigned i)
{
    static const uint8_t id[8] = { 0x05, 0x18, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };

    return id[i];
}

static const Reg sp805_regs[] = { /* Arm DDI 0270, "Summary of registers" */
    { 0x000, "WDOGLOAD",    NO_FIELD, 0, ~0u,  read_load,    write_load },
    { 0x004, "WDOGVALUE",   NO_FIELD, 0, 0,    read_value,   NULL },
    { 0x008, "WDOGCONTROL", NO_FIELD, 0, 3,    read_control, write_control },
    { 0x00c, "WDOGINTCLR",  NO_FIELD, 0, ~0u,  NULL,         write_clear },
    { 0x010, "WDOGRIS",     FIELD(Sp805, ris), 0, 0, NULL,   NULL },
    { 0x014, "WDOGMIS",     NO_FIELD, 0, 0,    read_masked,  NULL },
    { 0xc00, "WDOGLOCK",    NO_FIELD, 0, ~0u,  read_lock,    write_lock },
    { 0xfe0, "WDOGID",      NO_FIELD, 0, 0,    read_id,      NULL, 8, 4 },
};

static const Field sp805_fields[] = {
    FIELD_RESET(Sp805, load, ~0u), FIELD_RESET(Sp805, control, 0), FIELD_RESET(Sp805, locked, 0),
    FIELD_RESET(Sp805, from, 0),   FIELD_RESET(Sp805, from_ns, 0),
};

static void sp805_reset(Device *dev)
{
    Sp805 *s = (Sp805 *)dev;

    count_from(s, s->load);
    update(s);
}

static bool sp805_realize(Device *dev, GError **error)
{
    Sp805 *s = (Sp805 *)dev;

    timer_init(&s->zero, dev->clock, reached_zero, s);
    return true;
}

static void sp805_unrealize(Device *dev)
{
    timer_deinit(&((Sp805 *)dev)->zero);
}

DEVICE(sp805, .name = "sp805", .desc = "watchdog", .bus = "sysbus", .state_size = sizeof(Sp805), .mmio_size = 0x1000,
       .access = ACCESS_32, .regs = sp805_regs, .n_regs = ARRAY_LEN(sp805_regs),
       .fields = sp805_fields, .n_fields = ARRAY_LEN(sp805_fields), .realize = sp805_realize,
       .unrealize = sp805_unrealize, .reset = sp805_reset);

void sp805_connect(Device *dev, IrqLine irq, void (*reset)(void *opaque), void *opaque)
{
    Sp805 *s = (Sp805 *)dev;

    s->irq = irq;
    s->request_reset = reset;
    s->opaque = opaque;
}
