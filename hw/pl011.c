/*
 * PrimeCell UART (PL011). Arm DDI 0183, "Programmer's model". Bytes leave as they are written and arrive as
 * the host sends them: baud rate, parity, modem lines and DMA are stored and have no effect.
 */
#include "hw/pl011.h"

#include "log.h"

enum { FIFO_DEPTH = 16 };

/* UARTFR, UARTLCR_H, UARTCR */
enum {
    FR_RXFE = 1 << 4,
    FR_RXFF = 1 << 6,
    FR_TXFE = 1 << 7,
    LCR_FEN = 1 << 4,
    CR_UARTEN = 1 << 0,
    CR_LBE = 1 << 7,
    CR_RXE = 1 << 9,
};

/* Interrupt bits of RIS, MIS, IMSC, ICR. */
enum { INT_RX = 1 << 4, INT_TX = 1 << 5, INT_RT = 1 << 6, INT_ALL = 0x7ff };

typedef struct Pl011 {
    Device   dev;
    IrqLine  irq; /* level; high while RIS & IMSC */
    Chardev *chardev;
    uint32_t rsr, ilpr, ibrd, fbrd, lcr_h, cr, ifls, imsc, ris, dmacr;
    uint8_t  fifo[FIFO_DEPTH];
    uint32_t fifo_first, fifo_len;
} Pl011;

static void update(Pl011 *s)
{
    irq_set(&s->irq, (s->ris & s->imsc) != 0);
}

/* ---- receive ---- */

static unsigned depth(const Pl011 *s)
{
    return s->lcr_h & LCR_FEN ? FIFO_DEPTH : 1;
}

/* "Interrupt FIFO level select register": 1/8, 1/4, 1/2, 3/4, 7/8 of the FIFO. */
static unsigned trigger(const Pl011 *s)
{
    static const uint8_t level[8] = { 2, 4, 8, 12, 14, 8, 8, 8 };

    return s->lcr_h & LCR_FEN ? level[extract64(s->ifls, 3, 3)] : 1;
}

static void put_fifo(Pl011 *s, uint8_t byte)
{
    s->fifo[(s->fifo_first + s->fifo_len) % FIFO_DEPTH] = byte;
    s->fifo_len++;
    /* The receive timeout comes at once below the trigger level: no more is on the wire. */
    s->ris |= s->fifo_len >= trigger(s) ? INT_RX : INT_RT;
}

static bool receiving(const Pl011 *s)
{
    return (s->cr & (CR_UARTEN | CR_RXE)) == (CR_UARTEN | CR_RXE);
}

static size_t can_receive(void *opaque)
{
    const Pl011 *s = opaque;

    return receiving(s) && s->fifo_len < depth(s) ? depth(s) - s->fifo_len : 0;
}

static void receive(void *opaque, const uint8_t *data, size_t len)
{
    Pl011 *s = opaque;

    for (size_t i = 0; i < len && s->fifo_len < depth(s); i++) {
        put_fifo(s, data[i]);
    }
    update(s);
}

static const ChardevClient pl011_client = { can_receive, receive };

static void accept_more(Pl011 *s)
{
    if (s->chardev != NULL) {
        chardev_accept_input(s->chardev);
    }
}

static uint64_t read_data(Device *dev, const Reg *reg, unsigned i)
{
    Pl011  *s = (Pl011 *)dev;
    uint8_t byte = s->fifo[s->fifo_first];

    if (s->fifo_len == 0) {
        return 0;
    }
    s->fifo_first = (s->fifo_first + 1) % FIFO_DEPTH;
    s->fifo_len--;
    if (s->fifo_len < trigger(s)) {
        s->ris &= ~(uint32_t)INT_RX;
    }
    if (s->fifo_len == 0) {
        s->ris &= ~(uint32_t)INT_RT;
    }
    update(s);
    accept_more(s);
    return byte;
}

/* ---- transmit ---- */

static void write_data(Device *dev, const Reg *reg, unsigned i, uint64_t value)
{
    Pl011  *s = (Pl011 *)dev;
    uint8_t byte = (uint8_t)value;

    if (s->cr & CR_LBE) {
        if (s->fifo_len < depth(s)) {
            put_fifo(s, byte);
        }
    } else if (s->chardev != NULL) {
        chardev_write(s->chardev, &byte, 1);
    }
    s->ris |= INT_TX; /* the FIFO drained through its trigger level before the store was over */
    update(s);
}

/* ---- the rest ---- */

static uint64_t read_flags(Device *dev, const Reg *reg, unsigned i)
{
    const Pl011 *s = (Pl011 *)dev;

    return (unsigned)FR_TXFE | (s->fifo_len == 0 ? FR_RXFE : 0) | (s->fifo_len >= depth(s) ? FR_RXFF : 0);
}

static void write_line_control(Device *dev, const Reg *reg, unsigned i, uint64_t value)
{
    Pl011 *s = (Pl011 *)dev;

    /* "Disabling the FIFOs" turns them into one-byte registers; what is in them is lost. */
    s->fifo_first = s->fifo_len = 0;
    s->ris &= ~(uint32_t)(INT_RX | INT_RT);
    update(s);
    accept_more(s);
}

static void write_control(Device *dev, const Reg *reg, unsigned i, uint64_t value)
{
    accept_more((Pl011 *)dev);
}

static void write_mask(Device *dev, const Reg *reg, unsigned i, uint64_t value)
{
    update((Pl011 *)dev);
}

static uint64_t read_masked(Device *dev, const Reg *reg, unsigned i)
{
    const Pl011 *s = (Pl011 *)dev;

    return s->ris & s->imsc;
}

static void write_clear(Device *dev, const Reg *reg, unsigned i, uint64_t value)
{
    Pl011 *s = (Pl011 *)dev;

    s->ris &= ~(uint32_t)value;
    update(s);
}

static void clear_errors(Device *dev, const Reg *reg, unsigned i, uint64_t value)
{
    ((Pl011 *)dev)->rsr = 0;
}

/* "Peripheral identification registers", revision 1, and "PrimeCell identification registers". */
static uint64_t read_id(Device *dev, const Reg *reg, unsigned i)
{
    static const uint8_t id[8] = { 0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };

    return id[i];
}

static const Reg pl011_regs[] = { /* Arm DDI 0183, "Summary of registers" */
    { 0x000, "UARTDR",    NO_FIELD,            0,     0xff,    read_data,   write_data },
    { 0x004, "UARTRSR",   FIELD(Pl011, rsr),   0,     0,       NULL,        clear_errors },
    { 0x018, "UARTFR",    NO_FIELD,            0,     0,       read_flags,  NULL },
    { 0x020, "UARTILPR",  FIELD(Pl011, ilpr),  0,     0xff,    NULL,        NULL },
    { 0x024, "UARTIBRD",  FIELD(Pl011, ibrd),  0,     0xffff,  NULL,        NULL },
    { 0x028, "UARTFBRD",  FIELD(Pl011, fbrd),  0,     0x3f,    NULL,        NULL },
    { 0x02c, "UARTLCR_H", FIELD(Pl011, lcr_h), 0,     0xff,    NULL,        write_line_control },
    { 0x030, "UARTCR",    FIELD(Pl011, cr),    0x300, 0xff87,  NULL,        write_control },
    { 0x034, "UARTIFLS",  FIELD(Pl011, ifls),  0x12,  0x3f,    NULL,        NULL },
    { 0x038, "UARTIMSC",  FIELD(Pl011, imsc),  0,     INT_ALL, NULL,        write_mask },
    { 0x03c, "UARTRIS",   FIELD(Pl011, ris),   0,     0,       NULL,        NULL },
    { 0x040, "UARTMIS",   NO_FIELD,            0,     0,       read_masked, NULL },
    { 0x044, "UARTICR",   NO_FIELD,            0,     INT_ALL, NULL,        write_clear },
    { 0x048, "UARTDMACR", FIELD(Pl011, dmacr), 0,     0x7,     NULL,        NULL },
    { 0xfe0, "UARTID",    NO_FIELD,            0,     0,       read_id,     NULL,  8, 4 },
};

static const Field pl011_fields[] = {
    FIELD_BYTES(Pl011, fifo),
    FIELD_RESET(Pl011, fifo_first, 0),
    FIELD_RESET(Pl011, fifo_len, 0),
};

static void pl011_reset(Device *dev)
{
    update((Pl011 *)dev);
}

static void pl011_unrealize(Device *dev)
{
    Pl011 *s = (Pl011 *)dev;

    if (s->chardev != NULL) {
        chardev_set_client(s->chardev, NULL, NULL);
    }
}

DEVICE(pl011, .name = "pl011", .desc = "serial port", .bus = "sysbus", .state_size = sizeof(Pl011),
       .mmio_size = 0x1000, .access = ACCESS_8 | ACCESS_16 | ACCESS_32, .regs = pl011_regs,
       .n_regs = ARRAY_LEN(pl011_regs), .fields = pl011_fields, .n_fields = ARRAY_LEN(pl011_fields),
       .reset = pl011_reset, .unrealize = pl011_unrealize);

void pl011_connect(Device *dev, IrqLine irq, Chardev *chardev)
{
    Pl011 *s = (Pl011 *)dev;

    s->irq = irq;
    if (chardev != NULL && chardev_set_client(chardev, &pl011_client, s)) {
        s->chardev = chardev;
    } else if (chardev != NULL) {
        log_warning("%s: its character device is taken; output and input are lost", dev->id);
    }
}
