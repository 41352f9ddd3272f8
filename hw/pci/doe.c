/*
 * DOE mailbox registers, object framing and discovery. An object is answered before Go's write completes, so
 * Busy is never seen set. Source: PCI Express Base Specification 6.0, "Data Object Exchange (DOE)".
 */
#include "hw/pci/doe.h"

#include <string.h>

#include "bytes.h"
#include "log.h"

enum {
    REG_CAP = 0x04,
    REG_CONTROL = 0x08,
    REG_STATUS = 0x0c,
    REG_WRITE = 0x10,
    REG_READ = 0x14,
    SIZE = 0x18,
    HEADER_DW = 2,
    DISCOVERY_DW = 3,
};

#define CONTROL_ABORT      BIT(0)
#define CONTROL_INT_ENABLE BIT(1)
#define CONTROL_GO         BIT(31)
#define STATUS_INT         BIT(1)
#define STATUS_ERROR       BIT(2)
#define STATUS_READY       BIT(31)

/* Drops both objects. The protocol behind the mailbox keeps its state. */
static void drop(Doe *doe)
{
    doe->in_dw = doe->out_dw = doe->out_pos = 0;
    doe->ready = false;
}

static void interrupt(Doe *doe)
{
    if (doe->vector != PCI_MSIX_NONE && doe->int_enable) {
        doe->int_status = true;
        pci_msix_notify(doe->pd, doe->vector);
    }
}

static void fail(Doe *doe, const char *why)
{
    guest_error("%s: DOE error: %s", doe->pd->dev.id, why);
    drop(doe);
    doe->error = true;
    interrupt(doe);
}

/* ---- objects ---- */

static void reply(Doe *doe, const DoeProtocol *proto, size_t payload)
{
    size_t padded = align_up(payload, 4), dw = HEADER_DW + padded / 4;

    memset(doe->out + 4 * HEADER_DW + payload, 0, padded - payload);
    le32_put(doe->out, proto->vendor | (uint32_t)proto->type << 16);
    le32_put(doe->out + 4, (uint32_t)(dw & (DOE_MAX_DW - 1))); /* the largest length reads as zero */
    doe->out_dw = (uint32_t)dw;
    doe->out_pos = 0;
    doe->ready = true;
    LOG(DOE, "%s: object %04x:%02x of %zu words in, %zu words out", doe->pd->dev.id, proto->vendor,
        proto->type, (size_t)doe->in_dw, dw);
    interrupt(doe);
}

/* "DOE Discovery". Index 0 is discovery itself; one past the end names no protocol. */
static void discover(Doe *doe)
{
    static const DoeProtocol self = { DOE_VENDOR_PCISIG, DOE_TYPE_DISCOVERY };
    unsigned                 index = doe->in[4 * HEADER_DW];
    uint16_t                 vendor = 0xffff;
    uint8_t                  type = 0xff;

    if (doe->in_dw != DISCOVERY_DW) {
        fail(doe, "discovery request of a wrong length");
        return;
    }
    if (index <= doe->n_proto) {
        const DoeProtocol *p = index == 0 ? &self : &doe->proto[index - 1];

        vendor = p->vendor;
        type = p->type;
    }
    uint32_t next = index < doe->n_proto ? index + 1 : 0;

    le32_put(doe->out + 4 * HEADER_DW, vendor | (uint32_t)type << 16 | next << 24);
    reply(doe, &self, 4);
}

static void dispatch(Doe *doe, uint16_t vendor, uint8_t type)
{
    if (vendor == DOE_VENDOR_PCISIG && type == DOE_TYPE_DISCOVERY) {
        discover(doe);
        return;
    }
    for (unsigned i = 0; i < doe->n_proto; i++) {
        const DoeProtocol *p = &doe->proto[i];

        if (p->vendor == vendor && p->type == type) {
            size_t n =
                doe->handler(doe->opaque, p, doe->in + 4 * HEADER_DW, 4 * (size_t)(doe->in_dw - HEADER_DW),
                             doe->out + 4 * HEADER_DW, 4 * (size_t)(DOE_MAX_DW - HEADER_DW));

            if (n != 0) {
                reply(doe, p, MIN(n, 4 * (size_t)(DOE_MAX_DW - HEADER_DW)));
            }
            return;
        }
    }
    LOG(DOE, "%s: object of unknown protocol %04x:%02x dropped", doe->pd->dev.id, vendor, type);
}

static void go(Doe *doe)
{
    if (doe->error) { /* nothing but Abort is heard */
        return;
    }
    if (doe->ready) {
        fail(doe, "Go while the last reply is not read");
        return;
    }
    uint32_t head = le32_get(doe->in), length = le32_get(doe->in + 4);
    uint32_t dw = (length & (DOE_MAX_DW - 1)) == 0 ? DOE_MAX_DW : length & (DOE_MAX_DW - 1);

    if (doe->in_dw < HEADER_DW || dw != doe->in_dw) {
        fail(doe, "length of the object is not the number of words written");
        return;
    }
    dispatch(doe, (uint16_t)head, (uint8_t)(head >> 16));
    doe->in_dw = 0;
}

/* ---- registers ---- */

static void abort_all(Doe *doe)
{
    drop(doe);
    doe->busy = doe->error = doe->int_status = false;
}

static uint32_t read_register(const Doe *doe, unsigned reg, uint32_t stored)
{
    switch (reg) {
    case REG_CONTROL:
        return doe->int_enable ? CONTROL_INT_ENABLE : 0;
    case REG_STATUS:
        return (uint32_t)((doe->int_status ? STATUS_INT : 0) | (doe->error ? STATUS_ERROR : 0) |
                          (doe->ready ? STATUS_READY : 0));
    case REG_WRITE:
        return 0;
    case REG_READ:
        return doe->ready ? le32_get(doe->out + 4 * (size_t)doe->out_pos) : 0;
    default:
        return stored;
    }
}

static uint32_t doe_read(void *opaque, unsigned off, unsigned size, uint32_t value)
{
    unsigned shift = (off & 3) * 8;
    uint32_t whole = read_register(opaque, off & ~3u, value << shift);

    return (uint32_t)extract64(whole, shift, size * 8);
}

static void control_written(Doe *doe, const PciConfigWrite *w, uint32_t value)
{
    if ((w->off & 3) == 0 && doe->vector != PCI_MSIX_NONE) {
        doe->int_enable = (value & CONTROL_INT_ENABLE) != 0;
    }
    if (value & CONTROL_ABORT) {
        abort_all(doe);
    } else if (value & CONTROL_GO) {
        go(doe);
    }
}

static void mailbox_written(Doe *doe, uint32_t value)
{
    if (doe->error) {
        return;
    }
    if (doe->in_dw == DOE_MAX_DW) {
        fail(doe, "object longer than the mailbox");
        return;
    }
    le32_put(doe->in + 4 * (size_t)doe->in_dw++, value);
}

static void pop(Doe *doe)
{
    if (doe->error) {
        return;
    }
    if (!doe->ready) {
        fail(doe, "read mailbox popped while it is empty");
        return;
    }
    if (++doe->out_pos == doe->out_dw) { /* Ready stays set until the last word is popped */
        doe->ready = false;
        doe->out_dw = doe->out_pos = 0;
    }
}

static void doe_written(void *opaque, const PciConfigWrite *w)
{
    Doe     *doe = opaque;
    unsigned reg = w->off & ~3u;
    uint32_t value = w->raw << ((w->off & 3) * 8);

    switch (reg) {
    case REG_CONTROL:
        control_written(doe, w, value);
        break;
    case REG_STATUS:
        doe->int_status &= (value & STATUS_INT) == 0;
        break;
    case REG_WRITE:
    case REG_READ:
        if (w->size != 4) {
            fail(doe, "mailbox access that is not a double word");
        } else if (reg == REG_WRITE) {
            mailbox_written(doe, value);
        } else {
            pop(doe);
        }
        break;
    default:
        break;
    }
}

static void doe_reset(void *opaque, PciResetKind kind)
{
    Doe *doe = opaque;

    abort_all(doe);
    doe->int_enable = false;
}

static const PciSpanOps doe_ops = { doe_read, doe_written, doe_reset };

void doe_init(Doe *doe, PciDevice *pd, unsigned version, const DoeProtocol *proto, unsigned n_proto,
              unsigned vector, DoeHandler *handler, void *opaque)
{
    unsigned off = pci_add_ext_cap(pd, PCI_EXT_CAP_DOE, version, SIZE);

    g_assert(n_proto <= DOE_MAX_PROTOCOLS);
    *doe = (Doe){ .pd = pd, .off = (uint16_t)off, .n_proto = n_proto, .vector = vector, .handler = handler,
                  .opaque = opaque };
    memcpy(doe->proto, proto, n_proto * sizeof(*proto));
    doe->in = g_malloc0(4 * (size_t)DOE_MAX_DW);
    doe->out = g_malloc0(4 * (size_t)DOE_MAX_DW);
    if (vector != PCI_MSIX_NONE) {
        pci_set(pd, off + REG_CAP, 4, 1u | vector << 1);
    }
    pci_add_span(pd, off, SIZE, &doe_ops, doe);
}

void doe_deinit(Doe *doe)
{
    g_clear_pointer(&doe->in, g_free);
    g_clear_pointer(&doe->out, g_free);
}
