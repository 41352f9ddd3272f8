/*
 * Byte order and byte cursors. Guest structures and wire messages are read and written field by field through
 * these; no structure is laid over received bytes. Pure functions, no allocation.
 */
#ifndef BAILEY_BYTES_H
#define BAILEY_BYTES_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Little-endian loads and stores at any alignment: each is one of the host's. */
static inline uint16_t le16_get(const void *p)
{
    uint16_t v;

    memcpy(&v, p, sizeof(v));
    return le16toh(v);
}

static inline uint32_t le32_get(const void *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return le32toh(v);
}

static inline uint64_t le64_get(const void *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return le64toh(v);
}

static inline void le16_put(void *p, uint16_t v)
{
    v = htole16(v);
    memcpy(p, &v, sizeof(v));
}

static inline void le32_put(void *p, uint32_t v)
{
    v = htole32(v);
    memcpy(p, &v, sizeof(v));
}

static inline void le64_put(void *p, uint64_t v)
{
    v = htole64(v);
    memcpy(p, &v, sizeof(v));
}

/* The low @n bytes of a value, least significant first; @n 0 to 8. */
static inline uint64_t le_get(const void *p, size_t n)
{
    const uint8_t *b = p;
    uint64_t       v = 0;

    for (size_t i = 0; i < n; i++) {
        v |= (uint64_t)b[i] << (8 * i);
    }
    return v;
}

static inline void le_put(void *p, uint64_t v, size_t n)
{
    uint8_t *b = p;

    for (size_t i = 0; i < n; i++) {
        b[i] = (uint8_t)(v >> (8 * i));
    }
}

static inline uint16_t be16_get(const void *p)
{
    const uint8_t *b = p;

    return (uint16_t)(b[0] << 8 | b[1]);
}

static inline void be16_put(void *p, uint16_t v)
{
    uint8_t *b = p;

    b[0] = (uint8_t)(v >> 8);
    b[1] = (uint8_t)v;
}

static inline uint32_t be32_get(const void *p)
{
    const uint8_t *b = p;

    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static inline void be32_put(void *p, uint32_t v)
{
    uint8_t *b = p;

    b[0] = (uint8_t)(v >> 24);
    b[1] = (uint8_t)(v >> 16);
    b[2] = (uint8_t)(v >> 8);
    b[3] = (uint8_t)v;
}

static inline void be64_put(void *p, uint64_t v)
{
    be32_put(p, (uint32_t)(v >> 32));
    be32_put((uint8_t *)p + 4, (uint32_t)v);
}

static inline uint64_t be64_get(const void *p)
{
    return (uint64_t)be32_get(p) << 32 | be32_get((const uint8_t *)p + 4);
}

/* Reads from a fixed span. Once it runs out it stays failed and every read gives zero, so that one check at the
 * end of parsing is enough. */
typedef struct ByteReader {
    const uint8_t *data;
    size_t         len, pos;
    bool           failed;
} ByteReader;

/* Writes to a fixed span. Once it is full it stays failed and later writes are dropped. */
typedef struct ByteWriter {
    uint8_t *data;
    size_t   cap, pos;
    bool     failed;
} ByteWriter;

static inline ByteReader br_init(const void *data, size_t len)
{
    return (ByteReader){ .data = data, .len = len };
}

static inline bool br_ok(const ByteReader *r) { return !r->failed; }
static inline size_t br_left(const ByteReader *r) { return r->failed ? 0 : r->len - r->pos; }

/* The next @n bytes in place, or NULL (and failed) when fewer are left. */
static inline const uint8_t *br_take(ByteReader *r, size_t n)
{
    if (r->failed || n > r->len - r->pos) {
        r->failed = true;
        return NULL;
    }
    r->pos += n;
    return r->data + r->pos - n;
}

static inline void br_skip(ByteReader *r, size_t n) { (void)br_take(r, n); }

static inline uint64_t br_le(ByteReader *r, size_t n)
{
    const uint8_t *p = br_take(r, n);

    return p == NULL ? 0 : le_get(p, n);
}

static inline uint8_t br_u8(ByteReader *r) { return (uint8_t)br_le(r, 1); }
static inline uint16_t br_u16(ByteReader *r) { return (uint16_t)br_le(r, 2); }
static inline uint32_t br_u24(ByteReader *r) { return (uint32_t)br_le(r, 3); }
static inline uint32_t br_u32(ByteReader *r) { return (uint32_t)br_le(r, 4); }
static inline uint64_t br_u64(ByteReader *r) { return br_le(r, 8); }

/* Copies @n bytes to @dst; zeroes @dst when fewer are left. */
static inline void br_bytes(ByteReader *r, void *dst, size_t n)
{
    const uint8_t *p = br_take(r, n);

    if (p == NULL) {
        memset(dst, 0, n);
    } else {
        memcpy(dst, p, n);
    }
}

static inline ByteWriter bw_init(void *data, size_t cap)
{
    return (ByteWriter){ .data = data, .cap = cap };
}

static inline bool bw_ok(const ByteWriter *w) { return !w->failed; }

/* Room for @n bytes to fill in place, or NULL (and failed) when there is not enough. */
static inline uint8_t *bw_take(ByteWriter *w, size_t n)
{
    if (w->failed || n > w->cap - w->pos) {
        w->failed = true;
        return NULL;
    }
    w->pos += n;
    return w->data + w->pos - n;
}

static inline void bw_le(ByteWriter *w, uint64_t v, size_t n)
{
    uint8_t *p = bw_take(w, n);

    if (p != NULL) {
        le_put(p, v, n);
    }
}

static inline void bw_u8(ByteWriter *w, uint8_t v) { bw_le(w, v, 1); }
static inline void bw_u16(ByteWriter *w, uint16_t v) { bw_le(w, v, 2); }
static inline void bw_u24(ByteWriter *w, uint32_t v) { bw_le(w, v, 3); }
static inline void bw_u32(ByteWriter *w, uint32_t v) { bw_le(w, v, 4); }
static inline void bw_u64(ByteWriter *w, uint64_t v) { bw_le(w, v, 8); }

static inline void bw_bytes(ByteWriter *w, const void *src, size_t n)
{
    uint8_t *p = bw_take(w, n);

    if (p != NULL && n != 0) {
        memcpy(p, src, n);
    }
}

static inline void bw_zero(ByteWriter *w, size_t n)
{
    uint8_t *p = bw_take(w, n);

    if (p != NULL) {
        memset(p, 0, n);
    }
}

#endif
