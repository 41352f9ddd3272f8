/*
 * Cryptographic, polynomial and CRC instructions of A64, lane by lane as the pseudocode of Arm ARM DDI 0487
 * describes them. Tables are the S-boxes of FIPS 197 and CRC remainders of the sixteen nibbles.
 */
#include "cpu/a64/crypto.h"

#include <assert.h>
#include <stdbool.h>

#include "bits.h"
#include "cpu/ir/ir.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "Vec128 lanes are laid over each other");

/* ---- AES. FIPS 197, "SubBytes()", "InvSubBytes()" ---- */

static const uint8_t sbox[256] = {
    0x63, 0x7c, 0x77, 0x7b, 0xf2, 0x6b, 0x6f, 0xc5, 0x30, 0x01, 0x67, 0x2b, 0xfe, 0xd7, 0xab, 0x76,
    0xca, 0x82, 0xc9, 0x7d, 0xfa, 0x59, 0x47, 0xf0, 0xad, 0xd4, 0xa2, 0xaf, 0x9c, 0xa4, 0x72, 0xc0,
    0xb7, 0xfd, 0x93, 0x26, 0x36, 0x3f, 0xf7, 0xcc, 0x34, 0xa5, 0xe5, 0xf1, 0x71, 0xd8, 0x31, 0x15,
    0x04, 0xc7, 0x23, 0xc3, 0x18, 0x96, 0x05, 0x9a, 0x07, 0x12, 0x80, 0xe2, 0xeb, 0x27, 0xb2, 0x75,
    0x09, 0x83, 0x2c, 0x1a, 0x1b, 0x6e, 0x5a, 0xa0, 0x52, 0x3b, 0xd6, 0xb3, 0x29, 0xe3, 0x2f, 0x84,
    0x53, 0xd1, 0x00, 0xed, 0x20, 0xfc, 0xb1, 0x5b, 0x6a, 0xcb, 0xbe, 0x39, 0x4a, 0x4c, 0x58, 0xcf,
    0xd0, 0xef, 0xaa, 0xfb, 0x43, 0x4d, 0x33, 0x85, 0x45, 0xf9, 0x02, 0x7f, 0x50, 0x3c, 0x9f, 0xa8,
    0x51, 0xa3, 0x40, 0x8f, 0x92, 0x9d, 0x38, 0xf5, 0xbc, 0xb6, 0xda, 0x21, 0x10, 0xff, 0xf3, 0xd2,
    0xcd, 0x0c, 0x13, 0xec, 0x5f, 0x97, 0x44, 0x17, 0xc4, 0xa7, 0x7e, 0x3d, 0x64, 0x5d, 0x19, 0x73,
    0x60, 0x81, 0x4f, 0xdc, 0x22, 0x2a, 0x90, 0x88, 0x46, 0xee, 0xb8, 0x14, 0xde, 0x5e, 0x0b, 0xdb,
    0xe0, 0x32, 0x3a, 0x0a, 0x49, 0x06, 0x24, 0x5c, 0xc2, 0xd3, 0xac, 0x62, 0x91, 0x95, 0xe4, 0x79,
    0xe7, 0xc8, 0x37, 0x6d, 0x8d, 0xd5, 0x4e, 0xa9, 0x6c, 0x56, 0xf4, 0xea, 0x65, 0x7a, 0xae, 0x08,
    0xba, 0x78, 0x25, 0x2e, 0x1c, 0xa6, 0xb4, 0xc6, 0xe8, 0xdd, 0x74, 0x1f, 0x4b, 0xbd, 0x8b, 0x8a,
    0x70, 0x3e, 0xb5, 0x66, 0x48, 0x03, 0xf6, 0x0e, 0x61, 0x35, 0x57, 0xb9, 0x86, 0xc1, 0x1d, 0x9e,
    0xe1, 0xf8, 0x98, 0x11, 0x69, 0xd9, 0x8e, 0x94, 0x9b, 0x1e, 0x87, 0xe9, 0xce, 0x55, 0x28, 0xdf,
    0x8c, 0xa1, 0x89, 0x0d, 0xbf, 0xe6, 0x42, 0x68, 0x41, 0x99, 0x2d, 0x0f, 0xb0, 0x54, 0xbb, 0x16,
};

static const uint8_t inv_sbox[256] = {
    0x52, 0x09, 0x6a, 0xd5, 0x30, 0x36, 0xa5, 0x38, 0xbf, 0x40, 0xa3, 0x9e, 0x81, 0xf3, 0xd7, 0xfb,
    0x7c, 0xe3, 0x39, 0x82, 0x9b, 0x2f, 0xff, 0x87, 0x34, 0x8e, 0x43, 0x44, 0xc4, 0xde, 0xe9, 0xcb,
    0x54, 0x7b, 0x94, 0x32, 0xa6, 0xc2, 0x23, 0x3d, 0xee, 0x4c, 0x95, 0x0b, 0x42, 0xfa, 0xc3, 0x4e,
    0x08, 0x2e, 0xa1, 0x66, 0x28, 0xd9, 0x24, 0xb2, 0x76, 0x5b, 0xa2, 0x49, 0x6d, 0x8b, 0xd1, 0x25,
    0x72, 0xf8, 0xf6, 0x64, 0x86, 0x68, 0x98, 0x16, 0xd4, 0xa4, 0x5c, 0xcc, 0x5d, 0x65, 0xb6, 0x92,
    0x6c, 0x70, 0x48, 0x50, 0xfd, 0xed, 0xb9, 0xda, 0x5e, 0x15, 0x46, 0x57, 0xa7, 0x8d, 0x9d, 0x84,
    0x90, 0xd8, 0xab, 0x00, 0x8c, 0xbc, 0xd3, 0x0a, 0xf7, 0xe4, 0x58, 0x05, 0xb8, 0xb3, 0x45, 0x06,
    0xd0, 0x2c, 0x1e, 0x8f, 0xca, 0x3f, 0x0f, 0x02, 0xc1, 0xaf, 0xbd, 0x03, 0x01, 0x13, 0x8a, 0x6b,
    0x3a, 0x91, 0x11, 0x41, 0x4f, 0x67, 0xdc, 0xea, 0x97, 0xf2, 0xcf, 0xce, 0xf0, 0xb4, 0xe6, 0x73,
    0x96, 0xac, 0x74, 0x22, 0xe7, 0xad, 0x35, 0x85, 0xe2, 0xf9, 0x37, 0xe8, 0x1c, 0x75, 0xdf, 0x6e,
    0x47, 0xf1, 0x1a, 0x71, 0x1d, 0x29, 0xc5, 0x89, 0x6f, 0xb7, 0x62, 0x0e, 0xaa, 0x18, 0xbe, 0x1b,
    0xfc, 0x56, 0x3e, 0x4b, 0xc6, 0xd2, 0x79, 0x20, 0x9a, 0xdb, 0xc0, 0xfe, 0x78, 0xcd, 0x5a, 0xf4,
    0x1f, 0xdd, 0xa8, 0x33, 0x88, 0x07, 0xc7, 0x31, 0xb1, 0x12, 0x10, 0x59, 0x27, 0x80, 0xec, 0x5f,
    0x60, 0x51, 0x7f, 0xa9, 0x19, 0xb5, 0x4a, 0x0d, 0x2d, 0xe5, 0x7a, 0x9f, 0x93, 0xc9, 0x9c, 0xef,
    0xa0, 0xe0, 0x3b, 0x4d, 0xae, 0x2a, 0xf5, 0xb0, 0xc8, 0xeb, 0xbb, 0x3c, 0x83, 0x53, 0x99, 0x61,
    0x17, 0x2b, 0x04, 0x7e, 0xba, 0x77, 0xd6, 0x26, 0xe1, 0x69, 0x14, 0x63, 0x55, 0x21, 0x0c, 0x7d,
};

/* Byte i of the state is row i % 4, column i / 4. ShiftRows moves row r left by r columns. */
Vec128 crypto_aese(Vec128 d, Vec128 n)
{
    Vec128 r;

    for (unsigned i = 0; i < 16; i++) {
        unsigned from = (i + 4 * (i % 4)) % 16;

        r.b[i] = sbox[d.b[from] ^ n.b[from]];
    }
    return r;
}

Vec128 crypto_aesd(Vec128 d, Vec128 n)
{
    Vec128 r;

    for (unsigned i = 0; i < 16; i++) {
        unsigned from = (i + 12 * (i % 4)) % 16;

        r.b[i] = inv_sbox[d.b[from] ^ n.b[from]];
    }
    return r;
}

/* Each byte of @v times x in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1. */
static uint64_t xtimes(uint64_t v)
{
    uint64_t top = v & 0x8080808080808080;

    return ((v ^ top) << 1) ^ (top >> 7) * 0x1b;
}

/* Each byte of @v replaced by the one @rows (1 to 3) rows further in its column, wrapping. */
static uint64_t rotate_columns(uint64_t v, unsigned rows)
{
    uint64_t low = (mask64(32) >> (8 * rows)) * 0x0000000100000001;

    return (v >> (8 * rows) & low) | (v << (32 - 8 * rows) & ~low);
}

/* Two columns of MixColumns: 2 a0 + 3 a1 + a2 + a3 for each row. */
static uint64_t mix_columns(uint64_t v)
{
    uint64_t next = rotate_columns(v, 1);

    return xtimes(v ^ next) ^ next ^ rotate_columns(v, 2) ^ rotate_columns(v, 3);
}

Vec128 crypto_aesmc(Vec128 n)
{
    return (Vec128){ .d = { mix_columns(n.d[0]), mix_columns(n.d[1]) } };
}

/* The inverse matrix (14 11 13 9) is the forward one (2 3 1 1) times (5 0 4 0). */
Vec128 crypto_aesimc(Vec128 n)
{
    for (unsigned i = 0; i < 2; i++) {
        uint64_t v = n.d[i];

        n.d[i] = mix_columns(v ^ xtimes(xtimes(v ^ rotate_columns(v, 2))));
    }
    return n;
}

/* ---- SHA-1 and SHA-2. FIPS 180-4, "Functions"; names of DDI 0487 functions/crypto ---- */

static inline uint32_t rol32(uint32_t v, unsigned n)
{
    return v << n | v >> (32 - n);
}

static inline uint32_t ror32(uint32_t v, unsigned n)
{
    return v >> n | v << (32 - n);
}

static inline uint64_t ror64(uint64_t v, unsigned n)
{
    return v >> n | v << (64 - n);
}

static uint32_t sha_choose(uint32_t x, uint32_t y, uint32_t z)
{
    return ((y ^ z) & x) ^ z;
}

static uint32_t sha_parity(uint32_t x, uint32_t y, uint32_t z)
{
    return x ^ y ^ z;
}

static uint32_t sha_majority(uint32_t x, uint32_t y, uint32_t z)
{
    return (x & y) | ((x | y) & z);
}

/* Four rounds on the state <y, x>, which rotates by one word after each. */
static Vec128 sha1_hash(Vec128 x, uint32_t y, Vec128 w, uint32_t (*mix)(uint32_t, uint32_t, uint32_t))
{
    for (unsigned e = 0; e < 4; e++) {
        y += rol32(x.s[0], 5) + mix(x.s[1], x.s[2], x.s[3]) + w.s[e];

        uint32_t top = x.s[3];

        x.s[3] = x.s[2];
        x.s[2] = rol32(x.s[1], 30);
        x.s[1] = x.s[0];
        x.s[0] = y;
        y      = top;
    }
    return x;
}

Vec128 crypto_sha1c(Vec128 d, uint32_t n, Vec128 m)
{
    return sha1_hash(d, n, m, sha_choose);
}

Vec128 crypto_sha1p(Vec128 d, uint32_t n, Vec128 m)
{
    return sha1_hash(d, n, m, sha_parity);
}

Vec128 crypto_sha1m(Vec128 d, uint32_t n, Vec128 m)
{
    return sha1_hash(d, n, m, sha_majority);
}

uint32_t crypto_sha1h(uint32_t n)
{
    return rol32(n, 30);
}

Vec128 crypto_sha1su0(Vec128 d, Vec128 n, Vec128 m)
{
    return (Vec128){ .d = { d.d[1] ^ d.d[0] ^ m.d[0], n.d[0] ^ d.d[1] ^ m.d[1] } };
}

Vec128 crypto_sha1su1(Vec128 d, Vec128 n)
{
    Vec128 r;

    r.s[0] = rol32(d.s[0] ^ n.s[1], 1);
    r.s[1] = rol32(d.s[1] ^ n.s[2], 1);
    r.s[2] = rol32(d.s[2] ^ n.s[3], 1);
    r.s[3] = rol32(d.s[3], 1) ^ rol32(r.s[0], 1);
    return r;
}

/* Four rounds on <y, x>; *@x and *@y are both updated. */
static void sha256_hash(Vec128 *x, Vec128 *y, Vec128 w)
{
    for (unsigned e = 0; e < 4; e++) {
        uint32_t a = x->s[0], h = y->s[0];
        uint32_t t = y->s[3] + (ror32(h, 6) ^ ror32(h, 11) ^ ror32(h, 25)) + sha_choose(h, y->s[1], y->s[2]) +
                     w.s[e];
        uint32_t new_y0 = x->s[3] + t;
        uint32_t new_x0 = t + (ror32(a, 2) ^ ror32(a, 13) ^ ror32(a, 22)) + sha_majority(a, x->s[1], x->s[2]);

        *x = (Vec128){ .s = { new_x0, a, x->s[1], x->s[2] } };
        *y = (Vec128){ .s = { new_y0, h, y->s[1], y->s[2] } };
    }
}

Vec128 crypto_sha256h(Vec128 d, Vec128 n, Vec128 m)
{
    sha256_hash(&d, &n, m);
    return d;
}

Vec128 crypto_sha256h2(Vec128 d, Vec128 n, Vec128 m)
{
    sha256_hash(&n, &d, m);
    return d;
}

Vec128 crypto_sha256su0(Vec128 d, Vec128 n)
{
    uint32_t t[] = { d.s[1], d.s[2], d.s[3], n.s[0] };

    for (unsigned e = 0; e < 4; e++) {
        d.s[e] += ror32(t[e], 7) ^ ror32(t[e], 18) ^ t[e] >> 3;
    }
    return d;
}

Vec128 crypto_sha256su1(Vec128 d, Vec128 n, Vec128 m)
{
    uint32_t t0[] = { n.s[1], n.s[2], n.s[3], m.s[0] };

    for (unsigned e = 0; e < 4; e++) {
        uint32_t t1 = e < 2 ? m.s[e + 2] : d.s[e - 2];

        d.s[e] += (ror32(t1, 17) ^ ror32(t1, 19) ^ t1 >> 10) + t0[e];
    }
    return d;
}

Vec128 crypto_sha512h(Vec128 d, Vec128 n, Vec128 m)
{
    uint64_t t = m.d[1], r1, r0;

    r1 = ((t & n.d[0]) ^ (~t & n.d[1])) + (ror64(t, 14) ^ ror64(t, 18) ^ ror64(t, 41)) + d.d[1];
    t  = r1 + m.d[0];
    r0 = ((t & m.d[1]) ^ (~t & n.d[0])) + (ror64(t, 14) ^ ror64(t, 18) ^ ror64(t, 41)) + d.d[0];
    return (Vec128){ .d = { r0, r1 } };
}

static uint64_t sha512_majority(uint64_t x, uint64_t y, uint64_t z)
{
    return (x & y) ^ (x & z) ^ (y & z);
}

Vec128 crypto_sha512h2(Vec128 d, Vec128 n, Vec128 m)
{
    uint64_t t = m.d[0], r1, r0;

    r1 = sha512_majority(n.d[0], m.d[1], m.d[0]) + (ror64(t, 28) ^ ror64(t, 34) ^ ror64(t, 39)) + d.d[1];
    t  = r1;
    r0 = sha512_majority(t, m.d[0], m.d[1]) + (ror64(t, 28) ^ ror64(t, 34) ^ ror64(t, 39)) + d.d[0];
    return (Vec128){ .d = { r0, r1 } };
}

Vec128 crypto_sha512su0(Vec128 d, Vec128 n)
{
    uint64_t t[] = { d.d[1], n.d[0] };

    for (unsigned e = 0; e < 2; e++) {
        d.d[e] += ror64(t[e], 1) ^ ror64(t[e], 8) ^ t[e] >> 7;
    }
    return d;
}

Vec128 crypto_sha512su1(Vec128 d, Vec128 n, Vec128 m)
{
    for (unsigned e = 0; e < 2; e++) {
        d.d[e] += (ror64(n.d[e], 19) ^ ror64(n.d[e], 61) ^ n.d[e] >> 6) + m.d[e];
    }
    return d;
}

/* ---- Polynomials over GF(2) ---- */

uint64_t crypto_pmull8(uint64_t a, uint64_t b)
{
    uint64_t r = 0;

    for (unsigned i = 0; i < 8; i++) {
        r ^= (a >> i & 0x0001000100010001) * 0xffff & b << i;
    }
    return r;
}

uint64_t crypto_pmul8(uint64_t a, uint64_t b)
{
    uint64_t r = 0;

    for (unsigned i = 0; i < 8; i++) {
        r ^= (a >> i & 0x0101010101010101) * 0xff & b;
        b = b << 1 & 0xfefefefefefefefe;
    }
    return r;
}

/* Four bits of @a at a time, from the top, with a table of @b times each of the sixteen. */
Vec128 crypto_pmull64(uint64_t a, uint64_t b)
{
    unsigned __int128 r = 0, table[16];

    for (unsigned i = 0; i < 16; i++) {
        unsigned __int128 half = i & 1 ? b : 0;

        table[i] = i < 2 ? half : table[i / 2] << 1 ^ half;
    }
    for (int shift = 60; shift >= 0; shift -= 4) {
        r = r << 4 ^ table[a >> shift & 15];
    }
    return (Vec128){ .d = { (uint64_t)r, (uint64_t)(r >> 64) } };
}

/* ---- CRC ---- */

/* @table: remainders of the sixteen nibbles for the bit-reversed polynomial. */
static uint32_t crc(const uint32_t table[16], uint32_t acc, uint64_t value, unsigned bytes)
{
    uint64_t v = value & mask64(8 * bytes);

    v ^= acc;
    for (unsigned i = 0; i < 2 * bytes; i++) {
        v = v >> 4 ^ table[v & 15];
    }
    return (uint32_t)v;
}

uint32_t crypto_crc32(uint32_t acc, uint64_t value, unsigned bytes)
{
    static const uint32_t table[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
        0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
    };

    return crc(table, acc, value, bytes);
}

uint32_t crypto_crc32c(uint32_t acc, uint64_t value, unsigned bytes)
{
    static const uint32_t table[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
        0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };

    return crc(table, acc, value, bytes);
}

/* ---- Pointer authentication ---- */

/* IMPLEMENTATION DEFINED: we multiply data and modifier, each hidden by half of the key, fold the product, and spread
 * it into the high bits, where codes are. Generated code computes it too (IR_INLINE_PAC_SIGN), so that a function that
 * signs its return address costs little; it resists guessing, not analysis. */
uint64_t pac_compute(uint64_t key_lo, uint64_t key_hi, uint64_t data, uint64_t modifier)
{
    unsigned __int128 p = (unsigned __int128)(data ^ key_lo ^ IR_PAC_DATA) * (modifier ^ key_hi ^ IR_PAC_MODIFIER);

    return ((uint64_t)p ^ (uint64_t)(p >> 64)) * IR_PAC_SPREAD;
}
