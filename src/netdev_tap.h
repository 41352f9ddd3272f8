/*
 * Network frames through a TAP interface of the host's kernel (-netdev tap): each with a struct virtio_net_hdr of 10
 * bytes, by which checksums and segmentation are left to whoever comes next.
 */
#ifndef BAILEY_NETDEV_TAP_H
#define BAILEY_NETDEV_TAP_H

#include "netdev_stream.h"

typedef struct NetTap NetTap;

/* net_tap_new - open what ifname= names, or take the open interface that fd= is. NULL with a sentence. */
NetTap *net_tap_new(const OptionList *l, const NetStreamClient *client, void *opaque, GError **error);
void    net_tap_free(NetTap *t);

/* net_tap_send - a frame, which may be changed. Lost when the interface's queue is full, or when it is down. */
void net_tap_send(NetTap *t, uint8_t *frame, size_t len, const NetOffload *o);

/* net_tap_accept_input - the client has room again. */
void net_tap_accept_input(NetTap *t);

#endif
