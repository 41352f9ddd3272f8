/*
 * Virtio 9P transport: a shared folder for the guest. One queue; a message is answered before the notification returns,
 * but for those of a driver that offers very much. VIRTIO 1.2 names the device ID; the rest is the interface of Linux's
 * driver: a configuration of the tag's length and the tag, feature bit 0 for it.
 */
#include "hw/virtio/p9.h"

#include <string.h>

#include "bytes.h"
#include "hw/virtio/virtio.h"

enum { TAG_MAX = 32, QUEUE_SIZE = 128 };

#define F_MOUNT_TAG BIT(0)

typedef struct VirtioP9 {
    VirtioPci  v;
    char      *fsdev_id, *tag; /* properties fsdev=, mount_tag= */
    P9        *server;
    uint8_t   *request, *reply; /* P9_MSIZE_MAX each */
    VirtioTurn turn;
} VirtioP9;

static VirtioP9 *p9(VirtioPci *v)
{
    return (VirtioP9 *)v;
}

static void config_get(VirtioPci *v, uint8_t *config)
{
    size_t len = strlen(p9(v)->tag);

    le16_put(config, (uint16_t)len);
    memcpy(config + 2, p9(v)->tag, len);
}

static void serve_queue(VirtioPci *v, unsigned q)
{
    VirtioP9 *d = p9(v);
    bool      any = false;

    while (virtio_turn_pop(&d->turn, q)) {
        const VirtChain *c = &v->chain;
        size_t           len = (size_t)MIN(c->out_len, (uint64_t)P9_MSIZE_MAX);
        size_t           room = (size_t)MIN(c->in_len, (uint64_t)P9_MSIZE_MAX);

        virtio_turn_spend(&d->turn, (uint64_t)len + room);
        if (!virtio_chain_read(v, c, 0, d->request, len)) {
            return;
        }
        size_t n = p9_serve(d->server, d->request, len, d->reply, room);

        if (n == 0) {
            virtio_broken(v, "a 9P request without a header or without room for an answer");
            return;
        }
        if (!virtio_chain_write(v, c, 0, d->reply, n) || !virtq_push(v, q, c, (uint32_t)n)) {
            return;
        }
        any = true;
    }
    if (any) {
        virtq_notify(v, q);
    }
}

static void notify(VirtioPci *v, unsigned q)
{
    virtio_turn_notify(&p9(v)->turn, q);
}

static void reset(VirtioPci *v)
{
    virtio_turn_reset(&p9(v)->turn);
    if (p9(v)->server != NULL) {
        p9_reset(p9(v)->server);
    }
}

static const VirtioType p9_type = {
    .id = VIRTIO_ID_9P,
    .class_code = 0x018000,
    .n_queues = 1,
    .queue_size = QUEUE_SIZE,
    .features = F_MOUNT_TAG,
    .config_len = 2 + TAG_MAX,
    .config_get = config_get,
    .notify = notify,
    .reset = reset,
};

static bool p9_realize(Device *dev, GError **error)
{
    VirtioP9 *d = (VirtioP9 *)dev;
    Fsdev    *fs = d->fsdev_id != NULL ? fsdev_find(d->fsdev_id) : NULL;

    if (fs == NULL) {
        g_set_error(error, BAILEY_ERROR, 0, "device %s shares no folder: %s%s; add -fsdev local,id=ID,path=FOLDER and "
                                            "fsdev=ID", dev->id, d->fsdev_id != NULL ? "there is no -fsdev with id=" :
                    "fsdev= is missing", d->fsdev_id != NULL ? d->fsdev_id : "");
        return false;
    }
    if (d->tag == NULL || *d->tag == '\0' || strlen(d->tag) > TAG_MAX) {
        g_set_error(error, BAILEY_ERROR, 0,
                    "device %s: mount_tag= has to be a name of 1 to %d bytes, by which the guest mounts the folder",
                    dev->id, TAG_MAX);
        return false;
    }
    d->server = p9_new(fs);
    d->request = g_malloc(P9_MSIZE_MAX);
    d->reply = g_malloc(P9_MSIZE_MAX);
    virtio_pci_init(&d->v, &p9_type, &virtio_default_layout, p9_type.features, NULL);
    virtio_turn_init(&d->turn, &d->v, serve_queue);
    return true;
}

static void p9_unrealize(Device *dev)
{
    VirtioP9 *d = (VirtioP9 *)dev;

    virtio_turn_deinit(&d->turn);
    g_clear_pointer(&d->server, p9_free);
    g_clear_pointer(&d->request, g_free);
    g_clear_pointer(&d->reply, g_free);
}

static const Prop p9_props[] = {
    { "fsdev", PROP_STRING, offsetof(VirtioP9, fsdev_id), NULL, "id of the -fsdev it shares" },
    { "mount_tag", PROP_STRING, offsetof(VirtioP9, tag), NULL, "name by which the guest mounts it, up to 32 bytes" },
};

DEVICE(virtio_9p, VIRTIO_CLASS("virtio-9p-pci", VirtioP9, p9_realize, .unrealize = p9_unrealize,
                               .desc = "shared folder of the host, by 9P", .props = p9_props,
                               .n_props = ARRAY_LEN(p9_props)));
