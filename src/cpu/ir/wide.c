/*
 * Meanings of the WIDE operations. Values lie in guest byte order of lanes, lowest lane first. Each function
 * reads its operands whole before it writes, so that result and operands may overlap.
 */
#include "cpu/ir/wide.h"

#include <string.h>

#include "bits.h"
#include "bytes.h"

typedef struct Wide {
    uint8_t byte[IR_WIDE_BYTES];
} Wide;

static Wide fetch(const void *p, unsigned bytes)
{
    Wide w = { { 0 } };

    memcpy(w.byte, p, bytes);
    return w;
}

/* Vectors shorter than 16 bytes are kept with zeroes above them. */
static void deliver(void *d, const Wide *w, unsigned bytes)
{
    uint8_t pad[16] = { 0 };

    if (bytes < 16) {
        memcpy(pad, w->byte, bytes);
        memcpy(d, pad, 16);
    } else {
        memcpy(d, w->byte, bytes);
    }
}

static uint64_t lane_get(const Wide *w, unsigned lane, unsigned size_log2)
{
    return le_get(w->byte + ((size_t)lane << size_log2), (size_t)1 << size_log2);
}

static void lane_put(Wide *w, unsigned lane, unsigned size_log2, uint64_t v)
{
    le_put(w->byte + ((size_t)lane << size_log2), v, (size_t)1 << size_log2);
}

#define WIDE(name)                                                                                          \
    void ir_wide_##name(void *d, const void *a, const void *b, const void *c, uint32_t imm, unsigned bytes, \
                        unsigned src_bytes)

/* ---- moves ---- */

WIDE(pair)
{
    Wide r = fetch(a, 8);

    memcpy(r.byte + 8, b, 8);
    deliver(d, &r, 16);
}

WIDE(lo64)
{
    memcpy(d, a, 8);
}

WIDE(hi64)
{
    memcpy(d, (const uint8_t *)a + 8, 8);
}

WIDE(vzext)
{
    Wide r = fetch(a, src_bytes < bytes ? src_bytes : bytes);

    deliver(d, &r, bytes);
}

WIDE(vlow)
{
    Wide r = fetch(a, src_bytes < bytes ? src_bytes : bytes);

    deliver(d, &r, bytes);
}

WIDE(vdup)
{
    Wide x = fetch(a, 8), r;

    for (unsigned i = 0; i < bytes >> imm; i++) {
        lane_put(&r, i, imm, lane_get(&x, 0, imm));
    }
    deliver(d, &r, bytes);
}

/* A lane number beyond the vector cannot come from a front end that decodes; it reads zero and writes nothing. */
static bool has_lane(unsigned bytes, unsigned lane, unsigned size_log2)
{
    return (lane + 1) << size_log2 <= bytes;
}

static uint64_t read_lane(const void *a, unsigned bytes, unsigned lane, unsigned size_log2)
{
    Wide x = fetch(a, bytes);

    return has_lane(bytes, lane, size_log2) ? lane_get(&x, lane, size_log2) : 0;
}

static void write_lane(void *d, const void *a, unsigned bytes, unsigned lane, unsigned size_log2, uint64_t v)
{
    Wide r = fetch(a, bytes);

    if (has_lane(bytes, lane, size_log2)) {
        lane_put(&r, lane, size_log2, v);
    }
    deliver(d, &r, bytes);
}

WIDE(vget)
{
    uint64_t v = read_lane(a, src_bytes, imm >> 4, imm & 3);

    memcpy(d, &v, 8);
}

WIDE(vset)
{
    uint64_t v;

    memcpy(&v, b, 8);
    write_lane(d, a, bytes, imm >> 4, imm & 3, v);
}

WIDE(vdupl)
{
    uint64_t v = read_lane(a, src_bytes, imm >> 4, imm & 3);

    ir_wide_vdup(d, &v, NULL, NULL, imm & 3, bytes, 8);
}

WIDE(vins)
{
    write_lane(d, a, bytes, imm >> 4 & 15, imm & 3, read_lane(b, bytes, imm >> 8, imm & 3));
}

/* ---- bitwise ---- */

#define BITWISE(name, meaning)                                                                \
    WIDE(name)                                                                                \
    {                                                                                         \
        Wide wa = fetch(a, bytes), wb = { { 0 } }, wc = { { 0 } };                            \
        if (b != NULL) {                                                                      \
            wb = fetch(b, bytes);                                                             \
        }                                                                                     \
        if (c != NULL) {                                                                      \
            wc = fetch(c, bytes);                                                             \
        }                                                                                     \
        for (unsigned i = 0; i < bytes; i += 8) {                                             \
            uint64_t x = lane_get(&wa, i / 8, 3), y = lane_get(&wb, i / 8, 3), z = lane_get(&wc, i / 8, 3); \
            (void)y, (void)z;                                                                 \
            lane_put(&wa, i / 8, 3, (meaning));                                               \
        }                                                                                     \
        deliver(d, &wa, bytes);                                                               \
    }

BITWISE(vand, x & y)
BITWISE(vor, x | y)
BITWISE(vxor, x ^ y)
BITWISE(vandn, x & ~y)
BITWISE(vorn, x | ~y)
BITWISE(vnot, ~x)
BITWISE(vbsl, (x & y) | (~x & z))

/* ---- lanes: x, y zero-extended, sx, sy sign-extended; width in bits; count from the immediate of shifts
 * ---- */

#define LANES(name, size_of_imm, meaning)                                                     \
    WIDE(name)                                                                                \
    {                                                                                         \
        const unsigned size_log2 = (size_of_imm), width = 8u << size_log2, count = imm >> 4;  \
        const Wide     wa = fetch(a, bytes), wb = fetch(b != NULL ? b : a, bytes);            \
        Wide           r;                                                                     \
        for (unsigned i = 0; i < bytes >> size_log2; i++) {                                   \
            const uint64_t x = lane_get(&wa, i, size_log2), y = lane_get(&wb, i, size_log2);  \
            const int64_t  sx = sign_extend64(x, width), sy = sign_extend64(y, width);        \
            (void)y, (void)sx, (void)sy, (void)count;                                         \
            lane_put(&r, i, size_log2, (uint64_t)(meaning));                                  \
        }                                                                                     \
        deliver(d, &r, bytes);                                                                \
    }

#define ALL_ONES_IF(cond) ((cond) ? ~0ull : 0)

LANES(vadd, imm, x + y)
LANES(vsub, imm, x - y)
LANES(vmul, imm, x * y)
LANES(vneg, imm, 0 - x)
LANES(vabs, imm, sx < 0 ? 0 - x : x)
LANES(vcmpeq, imm, ALL_ONES_IF(x == y))
LANES(vcmpgts, imm, ALL_ONES_IF(sx > sy))
LANES(vcmpgtu, imm, ALL_ONES_IF(x > y))
LANES(vcmpges, imm, ALL_ONES_IF(sx >= sy))
LANES(vcmpgeu, imm, ALL_ONES_IF(x >= y))
LANES(vtst, imm, ALL_ONES_IF((x & y) != 0))
LANES(vsmin, imm, sx < sy ? x : y)
LANES(vsmax, imm, sx > sy ? x : y)
LANES(vumin, imm, x < y ? x : y)
LANES(vumax, imm, x > y ? x : y)
LANES(vshli, imm & 3, count < width ? x << count : 0)
LANES(vshri, imm & 3, count < width ? x >> count : 0)
LANES(vsari, imm & 3, sx >> (count < width ? count : width - 1))

/* ---- permutations ---- */

WIDE(vext)
{
    uint8_t both[2 * IR_WIDE_BYTES];
    Wide    r = { { 0 } };

    memcpy(both, a, bytes);
    memcpy(both + bytes, b, bytes);
    memcpy(r.byte, both + (imm < bytes ? imm : 0), bytes);
    deliver(d, &r, bytes);
}

/* Lane i of the result is lane @from of operand a or b. @lanes: of one operand. */
#define PERMUTE(name, from_b, from)                                                              \
    WIDE(name)                                                                                   \
    {                                                                                            \
        const Wide wa = fetch(a, bytes), wb = fetch(b, bytes);                                   \
        unsigned   lanes = bytes >> imm, half = lanes > 1 ? lanes / 2 : 1;                       \
        (void)half;                                                                              \
        Wide       r;                                                                            \
        for (unsigned i = 0; i < lanes; i++) {                                                   \
            lane_put(&r, i, imm, lane_get((from_b) ? &wb : &wa, (from), imm));                   \
        }                                                                                        \
        deliver(d, &r, bytes);                                                                   \
    }

PERMUTE(vzip1, i & 1, i / 2)
PERMUTE(vzip2, i & 1, half + i / 2)
PERMUTE(vuzp1, i >= half, 2 * (i % half))
PERMUTE(vuzp2, i >= half, 2 * (i % half) + 1)
PERMUTE(vtrn1, i & 1, i & ~1u)
PERMUTE(vtrn2, i & 1, i | 1u)
