#include "net_offload.h"

#include <string.h>

#include "bytes.h"

/* struct virtio_net_hdr. */
enum {
    HDR_FLAGS = 0,
    HDR_GSO_TYPE = 1,
    HDR_LEN = 2,
    HDR_GSO_SIZE = 4,
    HDR_START = 6,
    HDR_OFFSET = 8,
    FLAG_NEEDS_CSUM = 1,
    FLAG_DATA_VALID = 2,
};

enum {
    LINK_LEN = 14,
    TAG_LEN = 4,
    ETHERTYPE_IPV4 = 0x0800,
    ETHERTYPE_TAG = 0x8100,
    ETHERTYPE_IPV6 = 0x86dd,
    IPV4_LEN = 20, /* without options */
    IPV6_LEN = 40,
    TCP_LEN = 20,
    PROTOCOL_TCP = 6,
    PACKET_MAX = 65535,
    HEADERS_MAX = LINK_LEN + TAG_LEN + 60 + 60,
};

/* In an IPv4 header, an IPv6 header, a TCP header. */
enum {
    IPV4_TOTAL = 2,
    IPV4_ID = 4,
    IPV4_FRAGMENT = 6,
    IPV4_PROTOCOL = 9,
    IPV4_SUM = 10,
    IPV4_ADDRESSES = 12,
    IPV6_PAYLOAD = 4,
    IPV6_NEXT = 6,
    IPV6_ADDRESSES = 8,
    TCP_SEQ = 4,
    TCP_DATA_OFFSET = 12,
    TCP_FLAGS = 13,
    TCP_SUM = 16,
    TCP_FIN = 1,
    TCP_PSH = 8,
    TCP_ACK = 16,
    TCP_CWR = 128,
};

/* Offsets in a frame that is one TCP segment. */
typedef struct Segment {
    bool   v6;
    size_t ip, tcp, payload, end;
} Segment;

bool net_offload_get(NetOffload *o, const uint8_t hdr[NET_OFFLOAD_LEN])
{
    *o = (NetOffload){ .needs_checksum = hdr[HDR_FLAGS] & FLAG_NEEDS_CSUM,
                       .valid = hdr[HDR_FLAGS] & FLAG_DATA_VALID,
                       .gso = (NetGso)hdr[HDR_GSO_TYPE] };
    if (o->needs_checksum) {
        o->start = le16_get(hdr + HDR_START);
        o->offset = le16_get(hdr + HDR_OFFSET);
    }
    if (o->gso == NET_GSO_NONE) {
        return true;
    }
    o->gso_size = le16_get(hdr + HDR_GSO_SIZE);
    return (o->gso == NET_GSO_TCPV4 || o->gso == NET_GSO_TCPV6) && o->gso_size != 0;
}

/* ---- sums ---- */

/* The sum of big-endian 16-bit words, not yet folded: words are added as the host loads them and swapped in the end. */
static uint64_t add_bytes(const uint8_t *p, size_t len)
{
    uint64_t sum = 0;
    uint8_t  tail[8] = { 0 };

    for (; len >= 8; p += 8, len -= 8) {
        uint64_t v = le64_get(p);

        sum += (v & UINT32_MAX) + (v >> 32);
    }
    memcpy(tail, p, len);
    return sum + le32_get(tail) + le32_get(tail + 4);
}

static uint16_t fold(uint64_t sum)
{
    while (sum >> 16 != 0) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (uint16_t)(sum >> 8 | sum << 8);
}

bool net_offload_checksum(uint8_t *frame, size_t len, const NetOffload *o)
{
    size_t at = (size_t)o->start + o->offset;

    if (!o->needs_checksum) {
        return true;
    }
    if (o->start >= len || at + 2 > len) {
        return false;
    }
    uint16_t sum = (uint16_t)~fold(add_bytes(frame + o->start, len - o->start));

    be16_put(frame + at, sum == 0 ? 0xffff : sum); /* UDP: zero would mean none; the same number for TCP */
    return true;
}

static void sum_ipv4(uint8_t *ip, size_t len)
{
    be16_put(ip + IPV4_SUM, 0);
    be16_put(ip + IPV4_SUM, (uint16_t)~fold(add_bytes(ip, len)));
}

/* The pseudo-header's sum, where a card goes on from. RFC 9293, "Checksum"; RFC 8200, "Upper-Layer Checksums". */
static void seed_tcp(uint8_t *frame, const Segment *s)
{
    const uint8_t *addresses = frame + s->ip + (s->v6 ? IPV6_ADDRESSES : IPV4_ADDRESSES);
    uint8_t        rest[8] = { 0 };

    be32_put(rest, (uint32_t)(s->end - s->tcp));
    rest[7] = PROTOCOL_TCP;
    be16_put(frame + s->tcp + TCP_SUM, fold(add_bytes(addresses, s->v6 ? 32 : 8) + add_bytes(rest, sizeof(rest))));
}

/* ---- TCP segments ---- */

/* Whether the frame is a TCP segment, whole and without IPv6 extension headers. */
static bool parse(const uint8_t *frame, size_t len, Segment *s)
{
    size_t packet;

    s->ip = LINK_LEN;
    if (len < LINK_LEN + TAG_LEN) {
        return false;
    }
    s->ip += be16_get(frame + LINK_LEN - 2) == ETHERTYPE_TAG ? TAG_LEN : 0;
    unsigned       type = be16_get(frame + s->ip - 2);
    const uint8_t *ip = frame + s->ip;
    size_t         room = len - s->ip;

    s->v6 = type == ETHERTYPE_IPV6;
    if (s->v6) {
        if (room < IPV6_LEN || ip[0] >> 4 != 6 || ip[IPV6_NEXT] != PROTOCOL_TCP) {
            return false;
        }
        s->tcp = s->ip + IPV6_LEN;
        packet = IPV6_LEN + be16_get(ip + IPV6_PAYLOAD);
    } else {
        if (type != ETHERTYPE_IPV4 || room < IPV4_LEN || ip[0] >> 4 != 4 || ip[IPV4_PROTOCOL] != PROTOCOL_TCP ||
            (be16_get(ip + IPV4_FRAGMENT) & 0x3fff) != 0 || (ip[0] & 15) < IPV4_LEN / 4) {
            return false;
        }
        s->tcp = s->ip + (ip[0] & 15) * 4u;
        packet = be16_get(ip + IPV4_TOTAL);
    }
    s->end = s->ip + packet;
    if (packet > room || s->tcp + TCP_LEN > s->end) {
        return false;
    }
    s->payload = s->tcp + (frame[s->tcp + TCP_DATA_OFFSET] >> 4) * 4u;
    return s->payload >= s->tcp + TCP_LEN && s->payload <= s->end;
}

/* The lengths that say where the packet ends, and IPv4's sum over them. */
static void set_end(uint8_t *frame, Segment *s, size_t end)
{
    uint8_t *ip = frame + s->ip;

    s->end = end;
    if (s->v6) {
        be16_put(ip + IPV6_PAYLOAD, (uint16_t)(end - s->tcp));
    } else {
        be16_put(ip + IPV4_TOTAL, (uint16_t)(end - s->ip));
        sum_ipv4(ip, s->tcp - s->ip);
    }
}

static NetOffload seeded(const Segment *s)
{
    return (NetOffload){ .needs_checksum = true, .start = (uint16_t)s->tcp, .offset = TCP_SUM };
}

bool net_offload_finish(uint8_t *frame, size_t len, const NetOffload *o, NetFrameFn *fn, void *opaque)
{
    Segment  s;
    uint8_t  headers[HEADERS_MAX];

    if (o->gso == NET_GSO_NONE) {
        if (!net_offload_checksum(frame, len, o)) {
            return false;
        }
        fn(opaque, frame, len);
        return true;
    }
    if (!parse(frame, len, &s) || s.v6 != (o->gso == NET_GSO_TCPV6) || !o->needs_checksum || o->start != s.tcp ||
        o->offset != TCP_SUM) {
        return false;
    }
    uint32_t seq = be32_get(frame + s.tcp + TCP_SEQ);
    uint16_t id = be16_get(frame + s.ip + IPV4_ID);
    size_t   n = s.payload, end = s.end;

    memcpy(headers, frame, n);
    for (size_t at = n; at == n || at < end; at += o->gso_size) {
        /* The headers go in front of this part of the payload, over the part that was sent before. */
        uint8_t *f = frame + at - n;
        bool     first = at == n, last = end - at <= o->gso_size;

        memcpy(f, headers, n);
        set_end(f, &s, n + (last ? end - at : o->gso_size));
        be32_put(f + s.tcp + TCP_SEQ, seq + (uint32_t)(at - n));
        f[s.tcp + TCP_FLAGS] &= (uint8_t)~((first ? 0 : TCP_CWR) | (last ? 0 : TCP_FIN | TCP_PSH));
        if (!s.v6) {
            be16_put(f + s.ip + IPV4_ID, id++);
            sum_ipv4(f + s.ip, s.tcp - s.ip);
        }
        seed_tcp(f, &s);
        NetOffload sum = seeded(&s);
        net_offload_checksum(f, s.end, &sum);
        fn(opaque, f, s.end);
    }
    return true;
}

/* Alike but for what says where they are in the stream. */
static bool same_stream(const uint8_t *a, const uint8_t *b, const Segment *s, const Segment *t)
{
    uint8_t x[HEADERS_MAX], y[HEADERS_MAX];

    if (s->v6 != t->v6 || s->ip != t->ip || s->tcp != t->tcp || s->payload != t->payload ||
        (!s->v6 && s->tcp != s->ip + IPV4_LEN)) {
        return false;
    }
    memcpy(x, a, s->payload);
    memcpy(y, b, s->payload);
    for (uint8_t *h = x;; h = y) {
        if (s->v6) {
            be16_put(h + s->ip + IPV6_PAYLOAD, 0);
        } else {
            be16_put(h + s->ip + IPV4_TOTAL, 0);
            be16_put(h + s->ip + IPV4_ID, 0);
            be16_put(h + s->ip + IPV4_SUM, 0);
        }
        be32_put(h + s->tcp + TCP_SEQ, 0);
        be16_put(h + s->tcp + TCP_SUM, 0);
        h[s->tcp + TCP_FLAGS] &= (uint8_t)~TCP_PSH;
        if (h == y) {
            break;
        }
    }
    return memcmp(x, y, s->payload) == 0;
}

bool net_offload_join(uint8_t *frame, size_t *len, NetOffload *o, const uint8_t *next, size_t next_len)
{
    Segment s, t;

    if (!parse(frame, *len, &s) || !parse(next, next_len, &t) || s.end != *len || !same_stream(frame, next, &s, &t)) {
        return false;
    }
    size_t has = s.end - s.payload, more = t.end - t.payload;
    size_t size = o->gso != NET_GSO_NONE ? o->gso_size : has;

    /* Whole parts but for the last, which a push ends; no flag but that one beside the acknowledgement. */
    if (has == 0 || more == 0 || more > size || has % size != 0 || frame[s.tcp + TCP_FLAGS] != TCP_ACK ||
        be32_get(next + t.tcp + TCP_SEQ) != be32_get(frame + s.tcp + TCP_SEQ) + (uint32_t)has ||
        s.end + more - s.ip > PACKET_MAX) {
        return false;
    }
    memcpy(frame + s.end, next + t.payload, more);
    frame[s.tcp + TCP_FLAGS] |= next[t.tcp + TCP_FLAGS] & TCP_PSH;
    set_end(frame, &s, s.end + more);
    seed_tcp(frame, &s);
    *o = seeded(&s);
    o->gso = s.v6 ? NET_GSO_TCPV6 : NET_GSO_TCPV4;
    o->gso_size = (uint16_t)size;
    *len = s.end;
    return true;
}

void net_offload_put(const NetOffload *o, const uint8_t *frame, size_t len, uint8_t hdr[NET_OFFLOAD_LEN])
{
    Segment s;

    memset(hdr, 0, NET_OFFLOAD_LEN);
    hdr[HDR_FLAGS] = (uint8_t)((o->needs_checksum ? FLAG_NEEDS_CSUM : 0) | (o->valid ? FLAG_DATA_VALID : 0));
    hdr[HDR_GSO_TYPE] = (uint8_t)o->gso;
    le16_put(hdr + HDR_GSO_SIZE, o->gso_size);
    le16_put(hdr + HDR_START, o->start);
    le16_put(hdr + HDR_OFFSET, o->offset);
    if (o->gso != NET_GSO_NONE && parse(frame, len, &s)) {
        le16_put(hdr + HDR_LEN, (uint16_t)s.payload);
    }
}
