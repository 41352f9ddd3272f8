/*
 * Checksums and segments of frames. What checks them here is written apart from what makes them: a sum byte by byte, as
 * RFC 1071 puts it, and a reader of the stream that the segments carry.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bits.h"
#include "bytes.h"
#include "net_offload.h"

enum { ROOM = NET_FRAME_MAX, TCP = 20 };

/* A frame of one TCP segment: how it is made. */
typedef struct Shape {
    const char *name;
    bool        v6, tag;
    unsigned    ip_options, tcp_options; /* bytes */
    size_t      payload;
    uint16_t    gso_size;
    uint8_t     flags;
} Shape;

static const Shape shapes[] = {
    { "IPv4", false, false, 0, 0, 4000, 1460, 0x18 },
    { "IPv4, whole parts", false, false, 0, 0, 4380, 1460, 0x10 },
    { "IPv4 with options", false, false, 8, 12, 5000, 1000, 0x19 },
    { "IPv4, tagged", false, true, 0, 12, 3000, 536, 0x90 },
    { "IPv4, the largest", false, false, 0, 0, 65535 - 40, 1460, 0x18 },
    { "IPv4, parts of a byte", false, false, 0, 0, 7, 1, 0x18 },
    { "IPv4, nothing in it", false, false, 0, 0, 0, 1460, 0x11 },
    { "IPv4, one part", false, false, 0, 0, 100, 65535, 0x18 },
    { "IPv6", true, false, 0, 12, 4000, 1440, 0x18 },
    { "IPv6, tagged", true, true, 0, 0, 40000, 1440, 0x99 },
};

static size_t ip_at(const Shape *s) { return s->tag ? 18 : 14; }
static size_t tcp_at(const Shape *s) { return ip_at(s) + (s->v6 ? 40 : 20 + s->ip_options); }
static size_t payload_at(const Shape *s) { return tcp_at(s) + TCP + s->tcp_options; }

/* RFC 1071: big-endian words, byte by byte. */
static uint32_t plain_sum(uint32_t sum, const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

static uint32_t pseudo_sum(const Shape *s, const uint8_t *f, size_t len)
{
    uint32_t sum = plain_sum(0, f + ip_at(s) + (s->v6 ? 8 : 12), s->v6 ? 32 : 8);

    sum += 6 + (uint32_t)(len - tcp_at(s));
    return (sum & 0xffff) + (sum >> 16);
}

static uint8_t byte_of(size_t i) { return (uint8_t)(i * 7 + (i >> 8) * 13); }

/* Its checksum is the seed only. */
static size_t make(const Shape *s, uint8_t *f, NetOffload *o)
{
    size_t ip = ip_at(s), tcp = tcp_at(s), at = payload_at(s), len = at + s->payload;

    memset(f, 0x5a, at);
    if (s->tag) {
        be16_put(f + 12, 0x8100);
    }
    be16_put(f + ip - 2, s->v6 ? 0x86dd : 0x0800);
    if (s->v6) {
        f[ip] = 0x60;
        be16_put(f + ip + 4, (uint16_t)(len - tcp));
        f[ip + 6] = 6;
    } else {
        f[ip] = (uint8_t)(0x40 | (tcp - ip) / 4);
        be16_put(f + ip + 2, (uint16_t)(len - ip));
        be16_put(f + ip + 4, 0xfffe);
        be16_put(f + ip + 6, 0x4000);
        f[ip + 9] = 6;
        be16_put(f + ip + 10, 0);
        be16_put(f + ip + 10, (uint16_t)~plain_sum(0, f + ip, tcp - ip));
    }
    be32_put(f + tcp + 4, 0xfffff000);
    f[tcp + 12] = (uint8_t)((at - tcp) / 4 << 4);
    f[tcp + 13] = s->flags;
    be16_put(f + tcp + 16, (uint16_t)pseudo_sum(s, f, len));
    for (size_t i = 0; i < s->payload; i++) {
        f[at + i] = byte_of(i);
    }
    *o = (NetOffload){ .needs_checksum = true, .start = (uint16_t)tcp, .offset = 16, .gso_size = s->gso_size,
                       .gso = s->v6 ? NET_GSO_TCPV6 : NET_GSO_TCPV4 };
    return len;
}

/* What came out of it so far. */
typedef struct Stream {
    const Shape *shape;
    size_t       bytes;
    unsigned     n;
    uint8_t     *joined; /* with net_offload_join() */
    size_t       joined_len;
    NetOffload   joined_offload;
    unsigned     not_joined;
} Stream;

static void on_segment(void *opaque, const uint8_t *f, size_t len)
{
    Stream      *t = opaque;
    const Shape *s = t->shape;
    size_t       ip = ip_at(s), tcp = tcp_at(s), at = payload_at(s);
    bool         last = t->bytes + (len - at) == s->payload;
    uint8_t      first_only = 0x80, last_only = 0x09;

    assert_true(len >= at && len - at <= s->gso_size && (last || len - at == s->gso_size));
    assert_int_equal(s->v6 ? be16_get(f + ip + 4) + 40u : be16_get(f + ip + 2), len - ip);
    if (!s->v6) {
        assert_int_equal(plain_sum(0, f + ip, tcp - ip), 0xffff);
        assert_int_equal(be16_get(f + ip + 4), (uint16_t)(0xfffe + t->n));
    }
    assert_int_equal(plain_sum(pseudo_sum(s, f, len), f + tcp, len - tcp), 0xffff);
    assert_int_equal(be32_get(f + tcp + 4), (uint32_t)(0xfffff000 + t->bytes));
    assert_int_equal(f[tcp + 13], s->flags & ~((t->n != 0 ? first_only : 0) | (last ? 0 : last_only)));
    for (size_t i = 0; i < len - at; i++) {
        assert_int_equal(f[at + i], byte_of(t->bytes + i));
    }
    t->bytes += len - at;
    if (t->n++ == 0) {
        memcpy(t->joined, f, len);
        t->joined_len = len;
        t->joined_offload = (NetOffload){ .valid = true };
    } else if (!net_offload_join(t->joined, &t->joined_len, &t->joined_offload, f, len)) {
        t->not_joined++;
    }
}

/* Every shape: cut, each part read, and joined again to what it was. */
static void test_segments(void **state)
{
    uint8_t *f = test_malloc(ROOM), *again = test_malloc(ROOM), *was = test_malloc(ROOM);

    for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
        const Shape *s = &shapes[i];
        Stream       t = { .shape = s, .joined = again };
        NetOffload   o;
        size_t       len = make(s, f, &o);
        size_t       parts = s->payload == 0 ? 1 : (s->payload + s->gso_size - 1) / s->gso_size;

        print_message("%s\n", s->name);
        memcpy(was, f, len);
        assert_true(net_offload_finish(f, len, &o, on_segment, &t));
        assert_int_equal(t.bytes, s->payload);
        assert_int_equal(t.n, parts);
        if (parts > 1 && s->ip_options == 0 && (s->flags & 0xf7) == 0x10) {
            assert_int_equal(t.not_joined, 0);
            assert_int_equal(t.joined_len, len);
            assert_int_equal(t.joined_offload.gso, o.gso);
            assert_int_equal(t.joined_offload.gso_size, o.gso_size);
            assert_int_equal(t.joined_offload.start, o.start);
            assert_memory_equal(again, was, len);
        }
    }
    test_free(f);
    test_free(again);
    test_free(was);
}

/* What must not be joined: the second segment of two, with one thing changed. */
typedef struct JoinCase {
    const char *name;
    size_t      at; /* from the IP header */
    uint8_t     xor;
    bool        joins;
} JoinCase;

static const JoinCase join_cases[] = {
    { "the next", 0, 0, true },
    { "push", 20 + 13, 0x08, true },
    { "another identification", 5, 1, true },
    { "another stream", 20 + 1, 1, false },
    { "from elsewhere", 15, 1, false },
    { "a hole", 20 + 7, 1, false },
    { "finish", 20 + 13, 0x01, false },
    { "urgent", 20 + 13, 0x20, false },
    { "another acknowledgement", 20 + 11, 1, false },
    { "another window", 20 + 15, 1, false },
    { "a fragment", 7, 1, false },
    { "congestion seen", 1, 3, false },
    { "time to live", 8, 1, false },
    { "not TCP", 9, 1, false },
    { "longer than it is", 2, 0x40, false },
    { "header longer than it is", 20 + 12, 0xf0, false },
};

static void keep_segment(void *opaque, const uint8_t *f, size_t len)
{
    uint8_t **to = opaque;

    memcpy(*to, f, len);
    *to += len;
}

static void test_join(void **state)
{
    static const Shape two = { "two", false, false, 0, 0, 2000, 1000, 0x10 };
    uint8_t            f[3000], parts[3000], *end = parts;
    NetOffload         o, joined;
    size_t             len = make(&two, f, &o), half = 14 + 40 + 1000;

    assert_true(net_offload_finish(f, len, &o, keep_segment, &end));
    assert_int_equal(end - parts, 2 * half);
    for (size_t i = 0; i < ARRAY_LEN(join_cases); i++) {
        const JoinCase *c = &join_cases[i];
        uint8_t         first[4000], second[3000]; /* room for three parts in the first */
        size_t          first_len = half;

        print_message("%s\n", c->name);
        memcpy(first, parts, half);
        memcpy(second, parts + half, half);
        second[14 + c->at] ^= c->xor;
        joined = (NetOffload){ .valid = true };
        assert_int_equal(net_offload_join(first, &first_len, &joined, second, half), c->joins);
        assert_int_equal(first_len, c->joins ? 14 + 40 + 2000 : half);
        if (!c->joins) {
            assert_memory_equal(first, parts, half);
            assert_int_equal(joined.gso, NET_GSO_NONE);
        }
        /* After a push or a short part nothing more follows. */
        if (c->joins) {
            uint32_t seq = be32_get(second + 14 + 20 + 4) + 1000;
            be32_put(second + 14 + 20 + 4, seq);
            assert_int_equal(net_offload_join(first, &first_len, &joined, second, half), c->xor != 8);
        }
    }
}

/* Headers that say what the frame is not, and frames cut off at each length: refused, or done within their bounds. */
static void test_hostile(void **state)
{
    uint8_t   *f = test_malloc(ROOM), *out = test_malloc(4 * ROOM), hdr[NET_OFFLOAD_LEN];
    NetOffload o, other;
    uint32_t   seed = 1;

    for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
        const Shape *s = &shapes[i];
        size_t       len = make(s, f, &o), min = payload_at(s);

        if (s->payload > 5000) {
            continue;
        }
        for (size_t cut = 0; cut < len; cut++) {
            uint8_t *end = out, *exact = test_malloc(cut + 1); /* the sanitizer sees what is behind it */

            memcpy(exact, f, cut);
            assert_false(net_offload_finish(exact, cut, &o, keep_segment, &end));
            assert_ptr_equal(end, out);
            test_free(exact);
        }
        for (unsigned k = 0; k < 2000; k++) {
            uint8_t *end = out;
            size_t   n = make(s, f, &o);

            for (unsigned b = 0; b < 3; b++) {
                seed = seed * 1664525 + 1013904223;
                f[12 + (seed >> 8) % (min - 12)] ^= (uint8_t)(seed >> 24);
            }
            net_offload_finish(f, n, &o, keep_segment, &end);
            assert_true((size_t)(end - out) <= 4 * ROOM);
        }
        other = o;
        other.start++;
        make(s, f, &o);
        assert_false(net_offload_finish(f, len, &other, keep_segment, &out));
        other = o;
        other.needs_checksum = false;
        assert_false(net_offload_finish(f, len, &other, keep_segment, &out));
        other = o;
        other.gso = s->v6 ? NET_GSO_TCPV4 : NET_GSO_TCPV6;
        assert_false(net_offload_finish(f, len, &other, keep_segment, &out));
    }
    /* The header's own bytes. */
    make(&shapes[0], f, &o);
    net_offload_put(&o, f, 2000, hdr);
    assert_int_equal(le16_get(hdr + 2), 0); /* not whole: nobody knows how long its headers are */
    net_offload_put(&o, f, 14 + 40 + 4000, hdr);
    assert_int_equal(le16_get(hdr + 2), 54);
    assert_true(net_offload_get(&other, hdr));
    assert_memory_equal(&other, &o, sizeof(o));
    hdr[1] = 3; /* UDP */
    assert_false(net_offload_get(&other, hdr));
    hdr[1] = 0x81; /* with ECN, which nobody agreed on */
    assert_false(net_offload_get(&other, hdr));
    hdr[1] = 1;
    le16_put(hdr + 4, 0);
    assert_false(net_offload_get(&other, hdr));
    test_free(f);
    test_free(out);
}

static void test_checksum(void **state)
{
    static const struct {
        size_t   len;
        uint16_t start, offset;
        bool     fits;
    } rows[] = {
        { 60, 34, 6, true },  { 61, 34, 6, true },   { 67, 34, 16, true }, { 36, 34, 0, true },
        { 35, 34, 0, false }, { 60, 60, 0, false },  { 60, 34, 25, false }, { 60, 34, 24, true },
        { 60, 65535, 65535, false },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint8_t    f[80];
        NetOffload o = { .needs_checksum = true, .start = rows[i].start, .offset = rows[i].offset };

        for (size_t b = 0; b < sizeof(f); b++) {
            f[b] = byte_of(b + i);
        }
        assert_int_equal(net_offload_checksum(f, rows[i].len, &o), rows[i].fits);
        if (rows[i].fits) {
            /* The field's old value was part of the sum, as a seed: with it taken out, all is ones. */
            uint8_t seed[2] = { byte_of(o.start + o.offset + i), byte_of(o.start + o.offset + 1 + i) };
            assert_int_equal(plain_sum(plain_sum(0, f + o.start, rows[i].len - o.start), seed, 2) % 0xffff, 0);
        }
    }
    uint8_t    zero[4] = { 0xff, 0xff, 0, 0 };
    NetOffload o = { .needs_checksum = true, .offset = 2 };
    assert_true(net_offload_checksum(zero, 4, &o)); /* a sum that is zero is sent as ones */
    assert_int_equal(be16_get(zero + 2), 0xffff);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checksum),
        cmocka_unit_test(test_segments),
        cmocka_unit_test(test_join),
        cmocka_unit_test(test_hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
