/*
 * What a network frame still needs before it can go over a wire: a checksum, or to be cut into segments. The words
 * and their layout are those of struct virtio_net_hdr (VIRTIO 1.2, "Network Device", "Device Operation"), which cards
 * and back ends hand to each other.
 */
#ifndef BAILEY_NET_OFFLOAD_H
#define BAILEY_NET_OFFLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    NET_OFFLOAD_LEN = 10,    /* of struct virtio_net_hdr without num_buffers */
    NET_FRAME_MAX = 65536 + 32, /* the largest IP packet with its link header and a tag */
};

typedef enum NetGso { NET_GSO_NONE = 0, NET_GSO_TCPV4 = 1, NET_GSO_TCPV6 = 4 } NetGso;

typedef struct NetOffload {
    bool     needs_checksum; /* the sum from @start to the end belongs to @start + @offset, which has a seed */
    bool     valid;          /* checksums have been looked at and are right */
    NetGso   gso;            /* one TCP segment of any length, to be sent as several */
    uint16_t gso_size;       /* payload of each, not 0 */
    uint16_t start, offset;
} NetOffload;

/* net_offload_get - from the header's bytes; false: a kind of segmentation that is not known, or of size 0. */
bool net_offload_get(NetOffload *o, const uint8_t hdr[NET_OFFLOAD_LEN]);

/* net_offload_put - the header of @frame's first bytes; its hdr_len is the length of all headers when @o has a gso. */
void net_offload_put(const NetOffload *o, const uint8_t *frame, size_t len, uint8_t hdr[NET_OFFLOAD_LEN]);

/* net_offload_checksum - fill in the sum that is missing, if one is; false: its place is not in the frame. */
bool net_offload_checksum(uint8_t *frame, size_t len, const NetOffload *o);

typedef void NetFrameFn(void *opaque, const uint8_t *frame, size_t len);

/**
 * net_offload_finish - @frame as a wire takes it: with whole checksums, and cut into segments of @o's size.
 * @frame: its checksum is filled in in place
 * @fn: called for each; none when the result is false: it is not the frame that @o says
 */
bool net_offload_finish(uint8_t *frame, size_t len, const NetOffload *o, NetFrameFn *fn, void *opaque);

/**
 * net_offload_join - put the payload of @next behind @frame's when both are segments of one TCP stream and @next
 * goes on where @frame ends, with the same acknowledgement: what a card does for a driver that takes large segments.
 * @frame, @len: grows to at most NET_FRAME_MAX; its sums are left to the receiver, as *@o says then
 * @o: of @frame: from an earlier call, or all zero but for .valid
 * @next: whole, its checksums known to be right
 */
bool net_offload_join(uint8_t *frame, size_t *len, NetOffload *o, const uint8_t *next, size_t next_len);

#endif
