/*
 * Virtio network card: class "virtio-net-pci"; embedded by tdisp-nic. Source: VIRTIO 1.2, "Network Device".
 * Offered: MAC, STATUS, MRG_RXBUF, CSUM, GUEST_CSUM, and TCP segmentation both ways. No control queue.
 */
#ifndef BAILEY_HW_VIRTIO_NET_H
#define BAILEY_HW_VIRTIO_NET_H

#include "hw/virtio/virtio.h"
#include "netdev.h"

typedef struct VirtioNet {
    VirtioPci v;
    char     *netdev_id; /* property netdev= */
    uint8_t   mac[6];    /* property mac= */
    Netdev   *netdev;
    uint64_t  rx_frames, tx_frames, rx_dropped;
    uint8_t   frame[12 + NET_FRAME_MAX];
} VirtioNet;

/* The properties netdev= and mac=; @at: where the VirtioNet is in the class's state, as offsetof(TdispNic,
 * net). */
#define VIRTIO_NET_PROPS(at)                                                                            \
    { "netdev", PROP_STRING, (at) + offsetof(VirtioNet, netdev_id), NULL,                               \
      "id of the -netdev it is connected to" },                                                         \
    { "mac", PROP_MAC, (at) + offsetof(VirtioNet, mac), NULL,                                           \
      "hardware address; made from the device's id if absent" }

/* virtio_net_realize - connect the back end, then virtio_pci_init(); @ids_override NULL: the standard
 * numbers. */
bool virtio_net_realize(VirtioNet *n, const VirtioLayout *layout, const PciIds *ids_override, GError **error);
void virtio_net_unrealize(VirtioNet *n);

/* virtio_net_poke - the function may send DMA again: serves both queues as if notified. */
void virtio_net_poke(VirtioNet *n);

#endif
