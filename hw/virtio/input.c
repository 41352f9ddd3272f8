/*
 * Virtio input: a keyboard with the keys of a PC, and a tablet whose places are absolute, so that a viewer's pointer
 * and the guest's are one. Source: VIRTIO 1.2, "Input Device"; the numbers of events are Linux's,
 * "linux/input-event-codes.h".
 *
 * What comes while the driver has no room waits, whole reports at a time; when too much waits the rest is lost, but for
 * what releases a key.
 */
#include <string.h>

#include "bytes.h"
#include "display/display.h"
#include "hw/virtio/virtio.h"
#include "log.h"

enum { EVENTQ, STATUSQ, N_QUEUES };

enum {
    EVENT = 8,         /* bytes of one: type, code, value */
    EVENTS_MAX = 256,  /* that wait */
    REPORT_MAX = 16,   /* events between two EV_SYN */
    CONFIG_DATA = 8,   /* after select, subsel, size and reserved bytes */
    CONFIG_LEN = CONFIG_DATA + 128,

    /* "Device configuration layout": select. */
    CFG_NAME = 0x01,
    CFG_SERIAL = 0x02,
    CFG_DEVIDS = 0x03,
    CFG_PROP_BITS = 0x10,
    CFG_EV_BITS = 0x11,
    CFG_ABS_INFO = 0x12,

    EV_SYN = 0x00,
    EV_KEY = 0x01,
    EV_REL = 0x02,
    EV_ABS = 0x03,
    EV_REP = 0x14,
    ABS_X = 0x00,
    ABS_Y = 0x01,
    REL_WHEEL = 0x08,
    BTN_LEFT = 0x110,
    BTN_RIGHT = 0x111,
    BTN_MIDDLE = 0x112,
    KEYS = 249, /* KEY_ESC to KEY_MICMUTE and what is between */
    BUS_VIRTUAL = 0x06,
};

/* What a device says of itself; the two differ in this alone. */
typedef struct InputKind {
    const char *name;
    uint16_t    product;
    bool        keyboard;
} InputKind;

typedef struct InputEvent {
    uint16_t type, code;
    uint32_t value;
} InputEvent;

typedef struct VirtioInput {
    VirtioPci        v;
    const InputKind *kind;
    InputSink        sink;
    uint8_t          select, subsel;
    InputEvent       event[EVENTS_MAX]; /* a ring */
    unsigned         first, n;
    InputEvent       report[REPORT_MAX]; /* in the making */
    unsigned         n_report;
    unsigned         buttons; /* as last told */
    unsigned         x, y;
    uint64_t         lost;    /* reports */
} VirtioInput;

static VirtioInput *input(VirtioPci *v) { return (VirtioInput *)v; }

/* ---- configuration ---- */

static void set_bit(uint8_t *bits, unsigned n) { bits[n / 8] |= (uint8_t)(1u << n % 8); }

/* Bits of the events that there are of type @type. */
static void ev_bits(const InputKind *k, unsigned type, uint8_t *bits)
{
    if (k->keyboard && type == EV_KEY) {
        for (unsigned code = 1; code < KEYS; code++) {
            set_bit(bits, code);
        }
    } else if (k->keyboard && type == EV_REP) {
        set_bit(bits, 0); /* the kernel repeats keys that are held: delay and period */
        set_bit(bits, 1);
    } else if (!k->keyboard && type == EV_KEY) {
        set_bit(bits, BTN_LEFT);
        set_bit(bits, BTN_RIGHT);
        set_bit(bits, BTN_MIDDLE);
    } else if (!k->keyboard && type == EV_REL) {
        set_bit(bits, REL_WHEEL);
    } else if (!k->keyboard && type == EV_ABS) {
        set_bit(bits, ABS_X);
        set_bit(bits, ABS_Y);
    }
}

/* Bytes up to the last that is not zero. */
static uint8_t bitmap_len(const uint8_t *bits)
{
    uint8_t n = CONFIG_LEN - CONFIG_DATA;

    while (n > 0 && bits[n - 1] == 0) {
        n--;
    }
    return n;
}

static uint8_t abs_info(const InputKind *k, unsigned axis, uint8_t *data)
{
    if (k->keyboard || axis > ABS_Y) {
        return 0;
    }
    le32_put(data + 4, INPUT_AXIS_MAX); /* min, max, fuzz, flat, resolution */
    return 20;
}

static uint8_t devids(const InputKind *k, uint8_t *data)
{
    le16_put(data, BUS_VIRTUAL);
    le16_put(data + 2, 0x0627);
    le16_put(data + 4, k->product);
    le16_put(data + 6, 1);
    return 8;
}

/* "Device configuration layout": size 0 says that there is nothing of the kind. */
static void config_get(VirtioPci *v, uint8_t *config)
{
    const VirtioInput *d = input(v);
    uint8_t           *data = config + CONFIG_DATA, size = 0;

    config[0] = d->select;
    config[1] = d->subsel;
    if (d->select == CFG_EV_BITS) {
        ev_bits(d->kind, d->subsel, data);
        size = bitmap_len(data);
    } else if (d->select == CFG_ABS_INFO) {
        size = abs_info(d->kind, d->subsel, data);
    } else if (d->subsel == 0 && d->select == CFG_NAME) {
        size = (uint8_t)strlen(d->kind->name);
        memcpy(data, d->kind->name, size);
    } else if (d->subsel == 0 && d->select == CFG_DEVIDS) {
        size = devids(d->kind, data);
    }
    config[2] = size;
}

static void config_set(VirtioPci *v, unsigned off, unsigned size, uint32_t value)
{
    if (off == 0) {
        input(v)->select = (uint8_t)value;
    }
    if (off == 1 || (off == 0 && size > 1)) {
        input(v)->subsel = (uint8_t)(off == 1 ? value : value >> 8);
    }
}

/* ---- events ---- */

/* What waits into the driver's buffers, one event each. */
static void flush(VirtioInput *d)
{
    VirtioPci *v = &d->v;
    bool       any = false;

    while (d->n > 0 && virtq_pop(v, EVENTQ, &v->chain) == VIRTQ_CHAIN) {
        const InputEvent *e = &d->event[d->first];
        uint8_t           b[EVENT];
        size_t            len = (size_t)MIN(v->chain.in_len, (uint64_t)EVENT);

        le16_put(b, e->type);
        le16_put(b + 2, e->code);
        le32_put(b + 4, e->value);
        if (!virtio_chain_write(v, &v->chain, 0, b, len) || !virtq_push(v, EVENTQ, &v->chain, (uint32_t)len)) {
            return;
        }
        d->first = (d->first + 1) % EVENTS_MAX;
        d->n--;
        any = true;
    }
    if (any) {
        virtq_notify(v, EVENTQ);
    }
}

static void add(VirtioInput *d, uint16_t type, uint16_t code, uint32_t value)
{
    d->report[d->n_report++] = (InputEvent){ type, code, value };
}

/*
 * The report is whole: all of it waits for the driver, or none. Half of the room is for reports that only release: a
 * key that stays pressed would repeat for ever.
 */
static void send(VirtioInput *d, bool releases)
{
    unsigned room = releases ? EVENTS_MAX : EVENTS_MAX / 2;

    if (d->n_report == 0) {
        return;
    }
    add(d, EV_SYN, 0, 0);
    if (virtio_ready(&d->v, EVENTQ) && d->n + d->n_report <= room) {
        for (unsigned i = 0; i < d->n_report; i++) {
            d->event[(d->first + d->n++) % EVENTS_MAX] = d->report[i];
        }
    } else {
        d->lost++;
    }
    d->n_report = 0;
    flush(d);
}

static void on_key(void *opaque, unsigned code, bool down)
{
    VirtioInput *d = opaque;

    if (code > 0 && code < KEYS) {
        add(d, EV_KEY, (uint16_t)code, down);
        send(d, !down);
    }
}

static void on_pointer(void *opaque, unsigned x, unsigned y, unsigned buttons)
{
    static const uint16_t code[] = { BTN_LEFT, BTN_MIDDLE, BTN_RIGHT }; /* bits of buttons */
    VirtioInput          *d = opaque;
    unsigned              pressed = buttons & ~d->buttons;

    if (x != d->x || y != d->y) {
        add(d, EV_ABS, ABS_X, MIN(x, INPUT_AXIS_MAX));
        add(d, EV_ABS, ABS_Y, MIN(y, INPUT_AXIS_MAX));
    }
    for (unsigned i = 0; i < ARRAY_LEN(code); i++) {
        if ((buttons ^ d->buttons) & 1u << i) {
            add(d, EV_KEY, code[i], buttons >> i & 1);
        }
    }
    if (pressed & (INPUT_WHEEL_UP | INPUT_WHEEL_DOWN)) {
        add(d, EV_REL, REL_WHEEL, pressed & INPUT_WHEEL_UP ? 1 : ~0u);
    }
    bool releases = buttons == 0 && d->buttons != 0;

    d->x = x;
    d->y = y;
    d->buttons = buttons;
    send(d, releases);
}

/* ---- the device ---- */

/* Lamps of the keyboard come by the status queue; nobody looks at them. */
static void take_status(VirtioPci *v)
{
    bool any = false;

    while (virtq_pop(v, STATUSQ, &v->chain) == VIRTQ_CHAIN) {
        if (!virtq_push(v, STATUSQ, &v->chain, 0)) {
            return;
        }
        any = true;
    }
    if (any) {
        virtq_notify(v, STATUSQ);
    }
}

static void notify(VirtioPci *v, unsigned q)
{
    if (q == STATUSQ) {
        take_status(v);
    } else {
        flush(input(v));
    }
}

static void reset(VirtioPci *v)
{
    VirtioInput *d = input(v);

    d->select = d->subsel = 0;
    d->first = d->n = d->n_report = 0;
    d->buttons = d->x = d->y = 0;
}

/* Keyboard and tablet are one device but for the class that a kernel's list of PCI functions shows. */
#define INPUT_TYPE(pci_class) \
    { \
        .id = VIRTIO_ID_INPUT, .class_code = (pci_class), .n_queues = N_QUEUES, .queue_size = 64, \
        .config_len = CONFIG_LEN, .config_get = config_get, .config_set = config_set, .notify = notify, \
        .reset = reset, \
    }

static const VirtioType keyboard_type = INPUT_TYPE(0x090000);
static const VirtioType tablet_type = INPUT_TYPE(0x090200);

static const InputKind keyboard_kind = { "Bailey Virtio Keyboard", 1, true };
static const InputKind tablet_kind = { "Bailey Virtio Tablet", 3, false };

static bool keyboard_realize(Device *dev, GError **error)
{
    VirtioInput *d = (VirtioInput *)dev;

    d->kind = &keyboard_kind;
    virtio_pci_init(&d->v, &keyboard_type, &virtio_default_layout, 0, NULL);
    d->sink = (InputSink){ .key = on_key, .opaque = d };
    input_attach(&d->sink);
    return true;
}

static bool tablet_realize(Device *dev, GError **error)
{
    VirtioInput *d = (VirtioInput *)dev;

    d->kind = &tablet_kind;
    virtio_pci_init(&d->v, &tablet_type, &virtio_default_layout, 0, NULL);
    d->sink = (InputSink){ .pointer = on_pointer, .opaque = d };
    input_attach(&d->sink);
    return true;
}

static void input_unrealize(Device *dev)
{
    input_detach(&((VirtioInput *)dev)->sink);
}

DEVICE(virtio_keyboard, VIRTIO_CLASS("virtio-keyboard-pci", VirtioInput, keyboard_realize,
                                     .unrealize = input_unrealize, .desc = "virtio keyboard, typed on by VNC"));
DEVICE(virtio_tablet, VIRTIO_CLASS("virtio-tablet-pci", VirtioInput, tablet_realize, .unrealize = input_unrealize,
                                   .desc = "virtio pointer with absolute places, moved by VNC"));
