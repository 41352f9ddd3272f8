/*
 * PrimeCell general purpose input/output (PL061). Arm DDI 0190, "Programmer's model". What pins drive outside goes
 * nowhere; inputs are low but for pulses. Alternate functions are kept as bits: there is no hardware control.
 */
#include "hw/pl061.h"

typedef struct Pl061 {
    Device     dev;
    IrqLine    irq;      /* level; high while RIS & IE */
    ClockTimer release;  /* of all pins that are pressed */
    uint32_t   data, dir, is, ibe, iev, ie, afsel;
    uint32_t   input;    /* levels from outside */
    uint32_t   edges;    /* interrupts of edges that were seen */
} Pl061;

/* Levels on the pins: outputs as written. */
static uint32_t levels(const Pl061 *s) { return (s->data & s->dir) | (s->input & ~s->dir); }

/* GPIORIS: pins whose interrupt is by level have no memory. */
static uint32_t raw(const Pl061 *s)
{
    uint32_t active = (levels(s) & s->iev) | (~levels(s) & ~s->iev);

    return ((active & s->is) | (s->edges & ~s->is)) & 0xff;
}

static void update(Pl061 *s) { irq_set(&s->irq, (raw(s) & s->ie) != 0); }

/* After pins have changed from @before on. */
static void see_edges(Pl061 *s, uint32_t before)
{
    uint32_t now = levels(s), changed = now ^ before;

    s->edges |= changed & ~s->is & (s->ibe | (now & s->iev) | (~now & ~s->iev));
    update(s);
}

/* Bits 9 to 2 of the address say which pins an access is about. */
static uint64_t read_data(Device *dev, const Reg *reg, unsigned mask) { return levels((Pl061 *)dev) & mask; }

static void write_data(Device *dev, const Reg *reg, unsigned mask, uint64_t value)
{
    Pl061   *s = (Pl061 *)dev;
    uint32_t before = levels(s);

    s->data = (s->data & ~mask) | ((uint32_t)value & mask);
    see_edges(s, before);
}

static void write_dir(Device *dev, const Reg *reg, unsigned i, uint64_t value)
{
    Pl061   *s = (Pl061 *)dev;
    uint32_t before = levels(s);

    s->dir = (uint32_t)value & 0xff;
    see_edges(s, before);
}

static void write_sense(Device *dev, const Reg *reg, unsigned i, uint64_t value) { update((Pl061 *)dev); }
static uint64_t read_dir(Device *dev, const Reg *reg, unsigned i) { return ((Pl061 *)dev)->dir; }
static uint64_t read_raw(Device *dev, const Reg *reg, unsigned i) { return raw((Pl061 *)dev); }
static uint64_t read_masked(Device *dev, const Reg *reg, unsigned i) { return raw((Pl061 *)dev) & ((Pl061 *)dev)->ie; }

static void write_clear(Device *dev, const Reg *reg, unsigned i, uint64_t value)
{
    Pl061 *s = (Pl061 *)dev;

    s->edges &= ~(uint32_t)value;
    update(s);
}

static uint64_t read_id(Device *dev, const Reg *reg, unsigned i)
{
    static const uint8_t id[8] = { 0x61, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };

    return id[i];
}

static const Reg pl061_regs[] = { /* Arm DDI 0190, "Summary of PrimeCell GPIO registers" */
    { 0x000, "GPIODATA",  NO_FIELD,            0, 0xff, read_data,   write_data, 256, 4 },
    { 0x400, "GPIODIR",   NO_FIELD,            0, 0xff, read_dir,    write_dir },
    { 0x404, "GPIOIS",    FIELD(Pl061, is),    0, 0xff, NULL,        write_sense },
    { 0x408, "GPIOIBE",   FIELD(Pl061, ibe),   0, 0xff, NULL,        write_sense },
    { 0x40c, "GPIOIEV",   FIELD(Pl061, iev),   0, 0xff, NULL,        write_sense },
    { 0x410, "GPIOIE",    FIELD(Pl061, ie),    0, 0xff, NULL,        write_sense },
    { 0x414, "GPIORIS",   NO_FIELD,            0, 0,    read_raw,    NULL },
    { 0x418, "GPIOMIS",   NO_FIELD,            0, 0,    read_masked, NULL },
    { 0x41c, "GPIOIC",    NO_FIELD,            0, 0xff, NULL,        write_clear },
    { 0x420, "GPIOAFSEL", FIELD(Pl061, afsel), 0, 0xff, NULL,        NULL },
    { 0xfe0, "GPIOID",    NO_FIELD,            0, 0,    read_id,     NULL, 8, 4 },
};

static const Field pl061_fields[] = {
    FIELD_RESET(Pl061, data, 0), FIELD_RESET(Pl061, dir, 0), FIELD_RESET(Pl061, input, 0), FIELD_RESET(Pl061, edges, 0),
};

static void release_pins(void *opaque)
{
    Pl061   *s = opaque;
    uint32_t before = levels(s);

    s->input = 0;
    see_edges(s, before);
}

static void pl061_reset(Device *dev)
{
    Pl061 *s = (Pl061 *)dev;

    timer_set(&s->release, INT64_MAX);
    update(s);
}

static bool pl061_realize(Device *dev, GError **error)
{
    Pl061 *s = (Pl061 *)dev;

    timer_init(&s->release, dev->clock, release_pins, s);
    return true;
}

static void pl061_unrealize(Device *dev) { timer_deinit(&((Pl061 *)dev)->release); }

DEVICE(pl061, .name = "pl061", .desc = "general purpose input and output", .bus = "sysbus",
       .state_size = sizeof(Pl061), .mmio_size = 0x1000, .access = ACCESS_8 | ACCESS_16 | ACCESS_32,
       .regs = pl061_regs, .n_regs = ARRAY_LEN(pl061_regs), .fields = pl061_fields,
       .n_fields = ARRAY_LEN(pl061_fields), .realize = pl061_realize, .unrealize = pl061_unrealize,
       .reset = pl061_reset);

void pl061_connect(Device *dev, IrqLine irq) { ((Pl061 *)dev)->irq = irq; }

void pl061_pulse(Device *dev, unsigned pin, int64_t length_ns)
{
    Pl061   *s = (Pl061 *)dev;
    uint32_t before = levels(s);

    s->input |= 1u << pin;
    timer_set(&s->release, clock_now(dev->clock) + length_ns);
    see_edges(s, before);
}
