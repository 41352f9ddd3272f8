/*
 * Network back ends (-netdev): user-mode networking by libslirp, frames over a socket, an interface of the host, a
 * loop-back for tests, or nothing. Slirp's clock and timers are guest time; what it sends to the guest arrives a fixed
 * guest time later, never inside the guest's own send, so that a run in which nothing outside talks repeats exactly.
 */
#ifndef BAILEY_NETDEV_H
#define BAILEY_NETDEV_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clock.h"
#include "net_offload.h"

typedef struct Netdev Netdev;

/* What the guest agreed to do itself with frames that it receives. */
enum { NETDEV_TAKES_CHECKSUM = 1, NETDEV_TAKES_TSO4 = 2, NETDEV_TAKES_TSO6 = 4 };

/* The guest's side: a network card. */
typedef struct NetdevClient {
    bool (*can_receive)(void *opaque);
    /* An Ethernet frame without its frame check sequence, of at most NET_FRAME_MAX bytes. */
    void (*receive)(void *opaque, const uint8_t *frame, size_t len, const NetOffload *o);
    /* Of NETDEV_TAKES_*, at the moment. NULL: nothing */
    unsigned (*takes)(void *opaque);
} NetdevClient;

/**
 * netdev_new - one back end from the text of -netdev.
 * @option: user,id=ID[,hostfwd=tcp|udp:[HADDR]:HPORT-[GADDR]:GPORT]...[,restrict=on][,ipv6=on][,net=][,host=]
 *          [,dhcpstart=][,dns=][,hostname=][,tftp=][,bootfile=];
 *          stream,id=ID,addr.type=unix,addr.path=PATH|addr.type=inet,addr.host=,addr.port=[,server=on][,vnet-hdr=on];
 *          socket,id=ID,listen=[ADDRESS]:PORT|connect=ADDRESS:PORT; tap,id=ID,ifname=NAME|fd=NUMBER;
 *          loop,id=ID (every frame comes back); none,id=ID
 * @clock: guest time
 */
Netdev *netdev_new(const char *option, Clock *clock, GError **error);

/* netdev_find - the one made with id=@id, or NULL. */
Netdev *netdev_find(const char *id);

void netdev_free(Netdev *n);
void netdev_free_all(void);

/* netdev_set_client - connect a card; false when another one is connected. @client NULL lets go. */
bool netdev_set_client(Netdev *n, const NetdevClient *client, void *opaque);

/* netdev_send - a frame from the guest, which may be changed; what is left to do on it, NULL for nothing. Replies come
 * later, from the clock or the main loop. */
void netdev_send(Netdev *n, uint8_t *frame, size_t len, const NetOffload *o);

/* netdev_accept_input - the card has room again. Frames are delivered from a timer, not inside this call. */
void netdev_accept_input(Netdev *n);

/* netdev_any_live - whether a connection to the outside is open (each back end with one counts in live.h). */
bool netdev_any_live(void);

#endif
