/*
 * PrimeCell real-time clock (PL031). Arm DDI 0224, "Programmer's model". It counts guest time from a base
 * that the board gives, so a run shows the same dates whenever it is made.
 */
#include "hw/pl031.h"

#define NS_PER_S 1000000000ll

typedef struct Pl031 {
    Device     dev;
    IrqLine    irq;      /* level; high while RIS & IMSC */
    ClockTimer alarm;
    int64_t    base_s;   /* date of guest time 0, from the board */
    int64_t    offset_s; /* what the guest's RTCLR added to it */
    uint32_t   match_s, load_s, imsc, ris;
} Pl031;

static uint32_t now_s(const Pl031 *s)
{
    return (uint32_t)(s->base_s + s->offset_s + clock_show(s->dev.clock) / NS_PER_S);
}

static void update(Pl031 *s)
{
    irq_set(&s->irq, (s->ris & s->imsc) != 0);
}

/* The alarm fires when the counter reaches the match register, after at most its whole range of 32 bits. */
static void set_alarm(Pl031 *s)
{
    uint32_t left_s = s->match_s - now_s(s);
    int64_t  this_second = clock_show(s->dev.clock) / NS_PER_S;

    if (left_s == 0) {
        s->ris = 1;
    }
    timer_set(&s->alarm, left_s == 0 ? INT64_MAX : (this_second + left_s) * NS_PER_S);
    update(s);
}

static void alarm_fired(void *opaque)
{
    Pl031 *s = opaque;

    s->ris = 1;
    update(s);
}

static uint64_t read_time(Device *dev, const Reg *reg, unsigned i)
{
    return now_s((Pl031 *)dev);
}

static void write_match(Device *dev, const Reg *reg, unsigned i, uint64_t value)
{
    set_alarm((Pl031 *)dev);
}

static void write_load(Device *dev, const Reg *reg, unsigned i, uint64_t value)
{
    Pl031 *s = (Pl031 *)dev;

    s->offset_s += (int64_t)value - now_s(s);
    set_alarm(s);
}

static uint64_t read_enabled(Device *dev, const Reg *reg, unsigned i)
{
    return 1; /* once started it runs until reset; ours runs from reset on */
}

static uint64_t read_masked(Device *dev, const Reg *reg, unsigned i)
{
    const Pl031 *s = (Pl031 *)dev;

    return s->ris & s->imsc;
}

static void write_mask(Device *dev, const Reg *reg, unsigned i, uint64_t value)
{
    update((Pl031 *)dev);
}

static void write_clear(Device *dev, const Reg *reg, unsigned i, uint64_t value)
{
    Pl031 *s = (Pl031 *)dev;

    s->ris &= ~(uint32_t)value;
    update(s);
}

static uint64_t read_id(Device *dev, const Reg *reg, unsigned i)
{
    static const uint8_t id[8] = { 0x31, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };

    return id[i];
}

static const Reg pl031_regs[] = { /* Arm DDI 0224, "Summary of RTC registers" */
    { 0x000, "RTCDR",   NO_FIELD,              0, 0,   read_time,    NULL },
    { 0x004, "RTCMR",   FIELD(Pl031, match_s), 0, ~0u, NULL,         write_match },
    { 0x008, "RTCLR",   FIELD(Pl031, load_s),  0, ~0u, NULL,         write_load },
    { 0x00c, "RTCCR",   NO_FIELD,              0, 0,   read_enabled, NULL },
    { 0x010, "RTCIMSC", FIELD(Pl031, imsc),    0, 1,   NULL,         write_mask },
    { 0x014, "RTCRIS",  FIELD(Pl031, ris),     0, 0,   NULL,         NULL },
    { 0x018, "RTCMIS",  NO_FIELD,              0, 0,   read_masked,  NULL },
    { 0x01c, "RTCICR",  NO_FIELD,              0, 1,   NULL,         write_clear },
    { 0xfe0, "RTCID",   NO_FIELD,              0, 0,   read_id,      NULL, 8, 4 },
};

/* A reset of the machine does not set the date back. */
static void pl031_reset(Device *dev)
{
    Pl031 *s = (Pl031 *)dev;

    timer_set(&s->alarm, INT64_MAX);
    update(s);
}

static void pl031_unrealize(Device *dev)
{
    timer_deinit(&((Pl031 *)dev)->alarm);
}

static bool pl031_realize(Device *dev, GError **error)
{
    Pl031 *s = (Pl031 *)dev;

    timer_init(&s->alarm, dev->clock, alarm_fired, s);
    return true;
}

DEVICE(pl031, .name = "pl031", .desc = "real-time clock", .bus = "sysbus", .state_size = sizeof(Pl031),
       .mmio_size = 0x1000, .access = ACCESS_8 | ACCESS_16 | ACCESS_32, .regs = pl031_regs,
       .n_regs = ARRAY_LEN(pl031_regs), .realize = pl031_realize, .unrealize = pl031_unrealize, .reset = pl031_reset);

void pl031_connect(Device *dev, IrqLine irq, int64_t base_s)
{
    Pl031 *s = (Pl031 *)dev;

    s->irq = irq;
    s->base_s = base_s;
}
