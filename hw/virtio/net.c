/*
 * Virtio network device: one receive and one transmit queue. What the driver left to do on a frame, checksum and
 * segmentation, goes on to the back end. Source: VIRTIO 1.2, "Network Device".
 */
#include <string.h>

#include "bytes.h"
#include "hw/virtio/virtio_net.h"
#include "log.h"

enum { RXQ, TXQ, N_QUEUES };

enum {
    HDR = 12,              /* struct virtio_net_hdr with num_buffers, always there in the modern interface */
    HDR_NUM_BUFFERS = NET_OFFLOAD_LEN,
    STATUS_LINK_UP = 1,
    CONFIG_LEN = 8,  /* mac, status */
    MAX_MERGED = 64, /* buffers for one frame */
};

#define F_CSUM       BIT(0)
#define F_GUEST_CSUM BIT(1)
#define F_MAC        BIT(5)
#define F_GUEST_TSO4 BIT(7)
#define F_GUEST_TSO6 BIT(8)
#define F_HOST_TSO4  BIT(11)
#define F_HOST_TSO6  BIT(12)
#define F_MRG_RXBUF  BIT(15)
#define F_STATUS     BIT(16)

static VirtioNet *net(VirtioPci *v)
{
    return (VirtioNet *)v;
}

static void config_get(VirtioPci *v, uint8_t *config)
{
    memcpy(config, net(v)->mac, 6);
    le16_put(config + 6, STATUS_LINK_UP);
}

/* ---- transmit ---- */

/* Whether the driver may leave that to us. "Packet Transmission": segmentation needs the checksum's place, too. */
static bool may_ask(const VirtioPci *v, const NetOffload *o)
{
    uint64_t needs = (o->needs_checksum ? F_CSUM : 0) | (o->gso == NET_GSO_TCPV4 ? F_HOST_TSO4 : 0) |
                     (o->gso == NET_GSO_TCPV6 ? F_HOST_TSO6 : 0);

    return (needs & ~v->driver_features) == 0 && (o->gso == NET_GSO_NONE || o->needs_checksum);
}

static void send_chain(VirtioNet *n, const VirtChain *c)
{
    VirtioPci *v = &n->v;
    NetOffload o;

    if (c->out_len <= HDR || c->out_len > sizeof(n->frame)) {
        guest_error("%s: frame of %llu bytes is not sent", v->pci.dev.id, (unsigned long long)c->out_len);
        return;
    }
    if (!virtio_chain_read(v, c, 0, n->frame, (size_t)c->out_len)) {
        return;
    }
    size_t len = (size_t)c->out_len - HDR;

    if (!net_offload_get(&o, n->frame) || !may_ask(v, &o)) {
        guest_error("%s: frame asks for an offload that was not agreed on", v->pci.dev.id);
        return;
    }
    if (o.needs_checksum && (size_t)o.start + o.offset + 2 > len) {
        guest_error("%s: a checksum is asked for at byte %u of a frame of %zu", v->pci.dev.id, o.start + o.offset, len);
        return;
    }
    n->tx_frames++;
    if (n->netdev != NULL) {
        netdev_send(n->netdev, n->frame + HDR, len, &o);
    }
}

static void transmit(VirtioNet *n)
{
    VirtioPci *v = &n->v;
    bool       any = false;

    while (virtq_pop(v, TXQ, &v->chain) == VIRTQ_CHAIN) {
        send_chain(n, &v->chain);
        if (!virtq_push(v, TXQ, &v->chain, 0)) {
            return;
        }
        any = true;
    }
    if (any) {
        virtq_notify(v, TXQ);
    }
}

/* ---- receive ---- */

/* Buffers taken for the frame at hand. */
typedef struct Taken {
    unsigned n;
    VirtUsed used[MAX_MERGED];
} Taken;

static void give_back(VirtioNet *n, const Taken *t)
{
    for (unsigned i = 0; i < t->n; i++) {
        virtq_unpop(&n->v, RXQ);
    }
}

/* @part bytes of header and frame, from @done on. The header is in the first buffer whole. */
static bool put_part(VirtioPci *v, const VirtChain *c, const uint8_t *hdr, const uint8_t *frame, size_t done,
                     size_t part)
{
    if (done != 0) {
        return virtio_chain_write(v, c, 0, frame + (done - HDR), part);
    }
    return virtio_chain_write(v, c, 0, hdr, HDR) && virtio_chain_write(v, c, HDR, frame, part - HDR);
}

/* Writes header and frame over as many buffers as it takes; false: nothing is published. */
static bool fill_buffers(VirtioNet *n, const uint8_t hdr[HDR], const uint8_t *frame, size_t len, Taken *t)
{
    VirtioPci *v = &n->v;
    size_t     total = HDR + len;
    unsigned   max = virtio_has(v, F_MRG_RXBUF) ? MAX_MERGED : 1;
    VirtSeg    first = { 0, 0 };
    size_t     done = 0;

    while (done < total) {
        if (t->n == max || virtq_pop(v, RXQ, &v->chain) != VIRTQ_CHAIN) {
            return false;
        }
        const VirtChain *c = &v->chain;
        size_t           part = MIN(total - done, (size_t)c->in_len);

        t->used[t->n++] = (VirtUsed){ c->head, (uint32_t)part };
        /* Room for the header in the first buffer, so that num_buffers can be filled in at the end. */
        if (part == 0 || (done == 0 && (c->in_len < HDR || c->seg[c->n_out].len < HDR)) ||
            !put_part(v, c, hdr, frame, done, part)) {
            return false;
        }
        first = done == 0 ? c->seg[c->n_out] : first;
        done += part;
    }
    if (t->n > 1) {
        uint8_t count[2];

        le16_put(count, (uint16_t)t->n);
        return dma_write(&v->pci.dma, first.addr + HDR_NUM_BUFFERS, count, sizeof(count)) == DMA_OK;
    }
    return true;
}

static void publish(VirtioNet *n, const Taken *t)
{
    if (virtq_push_all(&n->v, RXQ, t->used, t->n)) {
        n->rx_frames++;
        virtq_notify(&n->v, RXQ);
    }
}

/* Without a driver frames are taken and lost, as by a card that is down; with one they wait for buffers. */
static bool can_receive(void *opaque)
{
    VirtioNet *n = opaque;

    return !virtio_ready(&n->v, RXQ) || virtq_available(&n->v, RXQ);
}

/* What the driver does not take comes when it was reset and has agreed on less since: lost. */
static unsigned takes(void *opaque)
{
    const VirtioPci *v = &((VirtioNet *)opaque)->v;

    return (virtio_has(v, F_GUEST_CSUM) ? NETDEV_TAKES_CHECKSUM : 0) |
           (virtio_has(v, F_GUEST_TSO4) ? NETDEV_TAKES_TSO4 : 0) |
           (virtio_has(v, F_GUEST_TSO6) ? NETDEV_TAKES_TSO6 : 0);
}

static void receive(void *opaque, const uint8_t *frame, size_t len, const NetOffload *o)
{
    VirtioNet *n = opaque;
    Taken      t = { 0 };
    uint8_t    hdr[HDR] = { 0 };
    bool       has_csum = virtio_has(&n->v, F_GUEST_CSUM);

    if (!virtio_ready(&n->v, RXQ) || len > NET_FRAME_MAX || (o->needs_checksum && !has_csum) ||
        (o->gso == NET_GSO_TCPV4 && !virtio_has(&n->v, F_GUEST_TSO4)) ||
        (o->gso == NET_GSO_TCPV6 && !virtio_has(&n->v, F_GUEST_TSO6))) {
        n->rx_dropped++;
        return;
    }
    if (has_csum) {
        net_offload_put(o, frame, len, hdr);
    }
    le16_put(hdr + HDR_NUM_BUFFERS, 1);
    if (fill_buffers(n, hdr, frame, len, &t)) {
        publish(n, &t);
    } else {
        give_back(n, &t);
        n->rx_dropped++;
        guest_error("%s: no buffer for a frame of %zu bytes", n->v.pci.dev.id, len);
    }
}

static const NetdevClient net_client = { can_receive, receive, takes };

/* ---- the type ---- */

static void notify(VirtioPci *v, unsigned q)
{
    VirtioNet *n = net(v);

    if (q == TXQ) {
        transmit(n);
    } else if (n->netdev != NULL) {
        netdev_accept_input(n->netdev);
    }
}

static void start(VirtioPci *v)
{
    if (net(v)->netdev != NULL) {
        netdev_accept_input(net(v)->netdev);
    }
}

void virtio_net_poke(VirtioNet *n)
{
    notify(&n->v, RXQ);
    if (virtio_ready(&n->v, TXQ)) {
        notify(&n->v, TXQ);
    }
}

/* "Feature bit requirements". */
static bool accepts(uint64_t features)
{
    return ((features & (F_GUEST_TSO4 | F_GUEST_TSO6)) == 0 || (features & F_GUEST_CSUM)) &&
           ((features & (F_HOST_TSO4 | F_HOST_TSO6)) == 0 || (features & F_CSUM));
}

static const VirtioType net_type = {
    .id = VIRTIO_ID_NET,
    .class_code = 0x020000,
    .n_queues = N_QUEUES,
    .queue_size = 256,
    .features = F_CSUM | F_GUEST_CSUM | F_MAC | F_GUEST_TSO4 | F_GUEST_TSO6 | F_HOST_TSO4 | F_HOST_TSO6 | F_MRG_RXBUF |
                F_STATUS,
    .accepts = accepts,
    .config_len = CONFIG_LEN,
    .config_get = config_get,
    .notify = notify,
    .start = start,
};

/* A locally administered address from the device's name, so that two cards differ and runs repeat
 * (FNV-1a). */
static void make_mac(VirtioNet *n)
{
    static const uint8_t none[6];
    uint32_t             h = 2166136261u;

    if (memcmp(n->mac, none, 6) != 0) {
        return;
    }
    for (const char *p = n->v.pci.dev.id; *p != '\0'; p++) {
        h = (h ^ (uint8_t)*p) * 16777619u;
    }
    n->mac[0] = 0x52;
    n->mac[1] = 0x54;
    n->mac[3] = (uint8_t)(h >> 16);
    n->mac[4] = (uint8_t)(h >> 8);
    n->mac[5] = (uint8_t)h;
}

bool virtio_net_realize(VirtioNet *n, const VirtioLayout *layout, const PciIds *ids_override, GError **error)
{
    const char *id = n->v.pci.dev.id;

    make_mac(n);
    if (n->netdev_id != NULL) {
        n->netdev = netdev_find(n->netdev_id);
        if (n->netdev == NULL || !netdev_set_client(n->netdev, &net_client, n)) {
            g_set_error(error, BAILEY_ERROR, 0, "cannot connect device %s to netdev=%s: %s", id, n->netdev_id,
                        n->netdev == NULL ? "there is no -netdev with that id; add one"
                                          : "another card is connected to it");
            n->netdev = NULL;
            return false;
        }
    }
    virtio_pci_init(&n->v, &net_type, layout, net_type.features, ids_override);
    return true;
}

void virtio_net_unrealize(VirtioNet *n)
{
    if (n->netdev != NULL) {
        netdev_set_client(n->netdev, NULL, NULL);
        n->netdev = NULL;
    }
}

/* ---- the plain card ---- */

static bool net_realize(Device *dev, GError **error)
{
    return virtio_net_realize((VirtioNet *)dev, &virtio_default_layout, NULL, error);
}

static void net_unrealize(Device *dev)
{
    virtio_net_unrealize((VirtioNet *)dev);
}

static const Prop net_props[] = { VIRTIO_NET_PROPS(0) };

DEVICE(virtio_net,
       VIRTIO_CLASS("virtio-net-pci", VirtioNet, net_realize, .unrealize = net_unrealize,
                    .desc = "virtio network card", .props = net_props, .n_props = ARRAY_LEN(net_props)));
