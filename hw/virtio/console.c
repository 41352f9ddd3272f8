/*
 * Virtio console: one port, no control queue. Source: VIRTIO 1.2, "Console Device". Not offered: MULTIPORT,
 * SIZE.
 */
#include <string.h>

#include "bytes.h"
#include "chardev.h"
#include "hw/virtio/virtio.h"

enum { RXQ, TXQ, N_QUEUES };
enum { INPUT_MAX = 4096, PART = 4096, OUTPUT_MAX = 1 << 20 };

typedef struct VirtioConsole {
    VirtioPci v;
    char     *chardev_id; /* property chardev= */
    Chardev  *chardev;
    uint8_t   input[INPUT_MAX]; /* came in, not yet in a buffer of the driver */
    size_t    input_len;
    uint8_t   part[PART];
} VirtioConsole;

static VirtioConsole *console(VirtioPci *v)
{
    return (VirtioConsole *)v;
}

static void transmit(VirtioConsole *c)
{
    VirtioPci *v = &c->v;
    bool       any = false;

    while (virtq_pop(v, TXQ, &v->chain) == VIRTQ_CHAIN) {
        uint64_t len = MIN(v->chain.out_len, (uint64_t)OUTPUT_MAX); /* a longer one loses its end */

        for (uint64_t at = 0; at < len; at += PART) {
            size_t n = (size_t)MIN(len - at, (uint64_t)PART);

            if (!virtio_chain_read(v, &v->chain, at, c->part, n)) {
                return;
            }
            if (c->chardev != NULL) {
                chardev_write(c->chardev, c->part, n);
            }
        }
        if (!virtq_push(v, TXQ, &v->chain, 0)) {
            return;
        }
        any = true;
    }
    if (any) {
        virtq_notify(v, TXQ);
    }
}

/* Waiting input into the driver's buffers. */
static void flush_input(VirtioConsole *c)
{
    VirtioPci *v = &c->v;
    bool       any = false;

    while (c->input_len > 0 && virtq_pop(v, RXQ, &v->chain) == VIRTQ_CHAIN) {
        size_t n = (size_t)MIN(v->chain.in_len, (uint64_t)c->input_len);

        if (!virtio_chain_write(v, &v->chain, 0, c->input, n) ||
            !virtq_push(v, RXQ, &v->chain, (uint32_t)n)) {
            return;
        }
        c->input_len -= n;
        memmove(c->input, c->input + n, c->input_len);
        any = true;
    }
    if (any) {
        virtq_notify(v, RXQ);
    }
}

static size_t can_receive(void *opaque)
{
    VirtioConsole *c = opaque;

    return virtio_ready(&c->v, RXQ) ? INPUT_MAX - c->input_len : 0;
}

static void receive(void *opaque, const uint8_t *data, size_t len)
{
    VirtioConsole *c = opaque;

    memcpy(c->input + c->input_len, data, MIN(len, INPUT_MAX - c->input_len));
    c->input_len += MIN(len, INPUT_MAX - c->input_len);
    flush_input(c);
}

static const ChardevClient console_client = { can_receive, receive };

static void notify(VirtioPci *v, unsigned q)
{
    VirtioConsole *c = console(v);

    if (q == TXQ) {
        transmit(c);
        return;
    }
    flush_input(c);
    if (c->chardev != NULL) {
        chardev_accept_input(c->chardev);
    }
}

static void start(VirtioPci *v)
{
    if (console(v)->chardev != NULL) {
        chardev_accept_input(console(v)->chardev);
    }
}

static void reset(VirtioPci *v)
{
    console(v)->input_len = 0;
}

static void config_get(VirtioPci *v, uint8_t *config)
{
    le32_put(config + 4, 1); /* max_nr_ports */
}

static const VirtioType console_type = {
    .id = VIRTIO_ID_CONSOLE,
    .class_code = 0x078000,
    .n_queues = N_QUEUES,
    .queue_size = 64,
    .config_len = 12,
    .config_get = config_get,
    .notify = notify,
    .start = start,
    .reset = reset,
};

static bool console_realize(Device *dev, GError **error)
{
    VirtioConsole *c = (VirtioConsole *)dev;

    if (c->chardev_id != NULL) {
        c->chardev = chardev_find(c->chardev_id);
        if (c->chardev == NULL || !chardev_set_client(c->chardev, &console_client, c)) {
            g_set_error(error, BAILEY_ERROR, 0, "cannot connect device %s to chardev=%s: %s", dev->id,
                        c->chardev_id,
                        c->chardev == NULL ? "there is no -chardev with that id; add one"
                                           : "something else is connected to it");
            c->chardev = NULL;
            return false;
        }
    }
    virtio_pci_init(&c->v, &console_type, &virtio_default_layout, 0, NULL);
    return true;
}

static void console_unrealize(Device *dev)
{
    VirtioConsole *c = (VirtioConsole *)dev;

    if (c->chardev != NULL) {
        chardev_set_client(c->chardev, NULL, NULL);
    }
}

static const Prop console_props[] = {
    { "chardev", PROP_STRING, offsetof(VirtioConsole, chardev_id), NULL,
     "id of the -chardev it is connected to" },
};

DEVICE(virtio_console, VIRTIO_CLASS("virtio-console-pci", VirtioConsole, console_realize,
                                    .unrealize = console_unrealize, .desc = "virtio console, one port",
                                    .props = console_props, .n_props = ARRAY_LEN(console_props)));
