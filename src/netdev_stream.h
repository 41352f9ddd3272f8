/*
 * Network frames over a stream socket (-netdev stream): each is led by its length, 32 bits big-endian, as QEMU's back
 * end of that name does it; with vnet-hdr=on a struct virtio_net_hdr of 10 bytes comes between, counted in the length,
 * so that checksums and segmentation can be left to the other side. QEMU's older words for the same over TCP are
 * -netdev socket,listen=[HOST]:PORT and connect=HOST:PORT.
 */
#ifndef BAILEY_NETDEV_STREAM_H
#define BAILEY_NETDEV_STREAM_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net_offload.h"
#include "options.h"

typedef struct NetStream NetStream;

typedef struct NetStreamClient {
    /* A frame came, which may be changed. */
    void (*receive)(void *opaque, uint8_t *frame, size_t len, const NetOffload *o);
    /* Whether another one can be received; if not, nothing is read until net_stream_accept_input(). */
    bool (*can_receive)(void *opaque);
    /* There is someone on the other side, or there may be (a server listens); or not any more. */
    void (*live)(void *opaque, bool on);
} NetStreamClient;

/* net_stream_new - open what the words server=, addr.type=, addr.path=, addr.host=, addr.port= and vnet-hdr= of @l say,
 * or listen= and connect= of a list whose driver is "socket".
 * A client connects at once; a server waits for one client after the other. NULL with a sentence. */
NetStream *net_stream_new(const OptionList *l, const NetStreamClient *client, void *opaque, GError **error);
void       net_stream_free(NetStream *s);

/* net_stream_send - a frame, which may be changed. Lost without a peer, or when the peer has not read MiBs of them. */
void net_stream_send(NetStream *s, uint8_t *frame, size_t len, const NetOffload *o);

/* net_stream_accept_input - the client has room again. */
void net_stream_accept_input(NetStream *s);

#endif
