/*
 * DOE mailbox registers, object framing and discovery. An object is answered before Go's write completes and Busy is
 * never seen set, but for a mailbox that was slowed down: that one is Busy until then, and its object not looked at.
 * Source: PCI Express Base Specification 6.0, "Data Object Exchange (DOE)".
 */
#include "hw/pci/doe.h"

#include <string.h>

#include "bytes.h"
#include "log.h"

enum { REG_CAP = 0x04, SIZE = 0x18, HEADER_DW = 2, MAX_PAYLOAD = 4 * (DOE_MAX_DW - HEADER_DW) };

#define CONTROL_ABORT      BIT(0)
#define CONTROL_INT_ENABLE BIT(1)
#define CONTROL_GO         BIT(31)
#define STATUS_BUSY        BIT(0)
#define STATUS_INT         BIT(1)
#define STATUS_ERROR       BIT(2)
#define STATUS_READY       BIT(31)

/* Drops both objects. The protocol behind the mailbox keeps its state. */
static void drop(Doe *doe)
{
    doe->in_dw = doe->out_dw = doe->out_pos = 0;
    doe->ready = doe->busy = false;
    if (doe->delay_ns != 0) {
        timer_set(&doe->answers, INT64_MAX);
    }
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

static void tell(const Doe *doe, const uint8_t *object, size_t dw)
{
    if (doe->listener != NULL) {
        doe->listener(doe->opaque, object, 4 * dw);
    }
}

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
    tell(doe, doe->out, dw);
    interrupt(doe);
}

static const DoeProtocol *protocol_at(const Doe *doe, unsigned index);

/* "DOE Discovery". Index 0 is discovery itself; one past the end names no protocol. The mailbox serves it, so it is
 * @opaque. */
static size_t discover(void *opaque, const DoeProtocol *proto, const uint8_t *req, size_t req_len, uint8_t *rsp,
                       size_t rsp_cap)
{
    Doe *doe = opaque;

    if (req_len != 4) {
        fail(doe, "discovery request of a wrong length");
        return 0;
    }
    unsigned           index = req[0];
    const DoeProtocol *p = protocol_at(doe, index);
    uint32_t           next = index < doe->n_proto ? index + 1 : 0;

    le32_put(rsp, (p != NULL ? p->vendor | (uint32_t)p->type << 16 : 0xffffff) | next << 24);
    return 4;
}

static const DoeProtocol discovery = { DOE_VENDOR_PCISIG, DOE_TYPE_DISCOVERY, "DOE Discovery", discover };

static const DoeProtocol *protocol_at(const Doe *doe, unsigned index)
{
    return index == 0 ? &discovery : index <= doe->n_proto ? &doe->proto[index - 1] : NULL;
}

static void dispatch(Doe *doe, uint16_t vendor, uint8_t type)
{
    const DoeProtocol *p;

    for (unsigned i = 0; (p = protocol_at(doe, i)) != NULL; i++) {
        if (p->vendor == vendor && p->type == type) {
            size_t n = p->handler(p == &discovery ? doe : doe->opaque, p, doe->in + 4 * HEADER_DW,
                                  4 * (size_t)(doe->in_dw - HEADER_DW), doe->out + 4 * HEADER_DW, MAX_PAYLOAD);

            if (n != 0) {
                reply(doe, p, MIN(n, (size_t)MAX_PAYLOAD));
            }
            return;
        }
    }
    LOG(DOE, "%s: object of unknown protocol %04x:%02x dropped", doe->pd->dev.id, vendor, type);
}

static void take_object(Doe *doe)
{
    uint32_t head = le32_get(doe->in);

    dispatch(doe, (uint16_t)head, (uint8_t)(head >> 16));
    doe->in_dw = 0;
}

static void wake_up(void *opaque)
{
    Doe *doe = opaque;

    doe->busy = false;
    take_object(doe);
    if (!doe->ready && !doe->error) {
        interrupt(doe); /* silence: that Busy went is one, too */
    }
}

static void go(Doe *doe)
{
    if (doe->error) { /* nothing but Abort is heard */
        return;
    }
    if (doe->ready || doe->busy) {
        fail(doe, doe->busy ? "Go while it is Busy" : "Go while the last reply is not read");
        return;
    }
    uint32_t length = le32_get(doe->in + 4);
    uint32_t dw = (length & (DOE_MAX_DW - 1)) == 0 ? DOE_MAX_DW : length & (DOE_MAX_DW - 1);

    if (doe->in_dw < HEADER_DW || dw != doe->in_dw) {
        fail(doe, "length of the object is not the number of words written");
        return;
    }
    tell(doe, doe->in, dw);
    if (doe->delay_ns == 0) {
        take_object(doe);
        return;
    }
    doe->busy = true;
    timer_set(&doe->answers, clock_now(doe->pd->dev.clock) + doe->delay_ns);
}

/* ---- registers ---- */

/* An interrupt that was sent stays noted, and that Busy goes is one more. */
static void abort_all(Doe *doe)
{
    bool busy = doe->busy;

    drop(doe);
    doe->error = false;
    if (busy) {
        interrupt(doe);
    }
}

static uint32_t read_control(const Doe *doe) { return doe->int_enable ? CONTROL_INT_ENABLE : 0; }

static void write_control(Doe *doe, const PciConfigWrite *w, uint32_t value)
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

static uint32_t read_status(const Doe *doe)
{
    return (uint32_t)((doe->busy ? STATUS_BUSY : 0) | (doe->int_status ? STATUS_INT : 0) |
                      (doe->error ? STATUS_ERROR : 0) | (doe->ready ? STATUS_READY : 0));
}

static void write_status(Doe *doe, const PciConfigWrite *w, uint32_t value)
{
    doe->int_status &= (value & STATUS_INT) == 0;
}

static uint32_t read_nothing(const Doe *doe) { return 0; }

static bool is_dword(Doe *doe, const PciConfigWrite *w)
{
    if (w->size != 4) {
        fail(doe, "mailbox access that is not a double word");
    }
    return w->size == 4;
}

static void write_mailbox(Doe *doe, const PciConfigWrite *w, uint32_t value)
{
    if (!is_dword(doe, w) || doe->error) {
        return;
    }
    if (doe->busy) {
        fail(doe, "written to while it is Busy");
        return;
    }
    if (doe->in_dw == DOE_MAX_DW) {
        fail(doe, "object longer than the mailbox");
        return;
    }
    le32_put(doe->in + 4 * (size_t)doe->in_dw++, value);
}

static uint32_t read_front(const Doe *doe) { return doe->ready ? le32_get(doe->out + 4 * (size_t)doe->out_pos) : 0; }

static void pop(Doe *doe, const PciConfigWrite *w, uint32_t value)
{
    if (!is_dword(doe, w) || doe->error) {
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

/* "DOE Extended Capability". The header is the bus's. */
static const struct Register {
    unsigned    off;
    const char *name;
    uint32_t  (*read)(const Doe *doe); /* NULL: what the space holds */
    void      (*write)(Doe *doe, const PciConfigWrite *w, uint32_t value);
} registers[] = {
    { REG_CAP, "DOE Capabilities", NULL, NULL },
    { 0x08, "DOE Control", read_control, write_control },
    { 0x0c, "DOE Status", read_status, write_status },
    { 0x10, "DOE Write Data Mailbox", read_nothing, write_mailbox },
    { 0x14, "DOE Read Data Mailbox", read_front, pop },
};

static const struct Register *find_register(unsigned off)
{
    for (size_t i = 0; i < ARRAY_LEN(registers); i++) {
        if (registers[i].off == (off & ~3u)) {
            return &registers[i];
        }
    }
    return NULL;
}

static uint32_t doe_read(void *opaque, unsigned off, unsigned size, uint32_t value)
{
    const struct Register *r = find_register(off);

    return r == NULL || r->read == NULL ? value : (uint32_t)extract64(r->read(opaque), (off & 3) * 8, size * 8);
}

static void doe_written(void *opaque, const PciConfigWrite *w)
{
    const struct Register *r = find_register(w->off);

    if (r != NULL && r->write != NULL) {
        r->write(opaque, w, w->raw << ((w->off & 3) * 8));
    }
}

static void doe_reset(void *opaque, PciResetKind kind)
{
    Doe *doe = opaque;

    drop(doe);
    doe->error = doe->int_status = doe->int_enable = false;
}

static const PciSpanOps doe_ops = { doe_read, doe_written, doe_reset };

void doe_init(Doe *doe, PciDevice *pd, unsigned version, const DoeProtocol *proto, unsigned n_proto,
              unsigned vector, void *opaque)
{
    unsigned off = pci_add_ext_cap(pd, PCI_EXT_CAP_DOE, version, SIZE);

    *doe = (Doe){ .pd = pd, .off = (uint16_t)off, .proto = proto, .n_proto = n_proto, .vector = vector,
                  .opaque = opaque };
    doe->in = g_malloc0(4 * (size_t)DOE_MAX_DW);
    doe->out = g_malloc0(4 * (size_t)DOE_MAX_DW);
    if (vector != PCI_MSIX_NONE) {
        pci_set(pd, off + REG_CAP, 4, 1u | vector << 1);
    }
    pci_add_span(pd, off, SIZE, &doe_ops, doe);
}

void doe_listen(Doe *doe, DoeListener *listener) { doe->listener = listener; }

void doe_slow_down(Doe *doe, int64_t delay_ns)
{
    if (delay_ns != 0 && doe->delay_ns == 0) {
        timer_init(&doe->answers, doe->pd->dev.clock, wake_up, doe);
    }
    doe->delay_ns = delay_ns != 0 ? delay_ns : doe->delay_ns;
}

void doe_deinit(Doe *doe)
{
    if (doe->delay_ns != 0) {
        timer_deinit(&doe->answers);
    }
    g_clear_pointer(&doe->in, g_free);
    g_clear_pointer(&doe->out, g_free);
}

void doe_conformance(const DoeProtocol *proto, unsigned n_proto,
                     void (*fn)(void *opaque, const char *kind, const char *name, unsigned number),
                     void *opaque)
{
    Doe                mailbox = { .proto = proto, .n_proto = n_proto };
    const DoeProtocol *p;

    for (unsigned i = 0; (p = protocol_at(&mailbox, i)) != NULL; i++) {
        fn(opaque, "object", p->name, p->type);
    }
    for (size_t i = 0; i < ARRAY_LEN(registers); i++) {
        fn(opaque, "register", registers[i].name, registers[i].off);
    }
}
