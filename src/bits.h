/*
 * Bit-field and alignment arithmetic used by every module. Nothing here knows a device or an architecture.
 */
#ifndef BAILEY_BITS_H
#define BAILEY_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define BIT(n)       (1ull << (n))

/* The structure of type @type whose member @member is at @ptr. */
#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

/* A value with its @len low bits set; @len 0 to 64. */
static inline uint64_t mask64(unsigned len)
{
    return len >= 64 ? ~0ull : (1ull << len) - 1;
}

/* Bits [@lsb + @len - 1 : @lsb] of @v. */
static inline uint64_t extract64(uint64_t v, unsigned lsb, unsigned len)
{
    return (v >> lsb) & mask64(len);
}

/* @v with bits [@lsb + @len - 1 : @lsb] replaced by the low bits of @field. */
static inline uint64_t deposit64(uint64_t v, unsigned lsb, unsigned len, uint64_t field)
{
    uint64_t m = mask64(len) << lsb;

    return (v & ~m) | ((field << lsb) & m);
}

/* @v read as a signed number of @len bits, 1 to 64. */
static inline int64_t sign_extend64(uint64_t v, unsigned len)
{
    return (int64_t)(v << (64 - len)) >> (64 - len);
}

/* @v rotated right by @n bits (0 to 63) within a field of @width bits (1 to 64). */
static inline uint64_t rotate_right64(uint64_t v, unsigned n, unsigned width)
{
    v &= mask64(width);
    return n == 0 ? v : ((v >> n) | (v << (width - n))) & mask64(width);
}

/* @align is a power of two in the three functions below. */
static inline uint64_t align_down(uint64_t v, uint64_t align)
{
    return v & ~(align - 1);
}

static inline uint64_t align_up(uint64_t v, uint64_t align)
{
    return (v + align - 1) & ~(align - 1);
}

static inline bool is_aligned(uint64_t v, uint64_t align)
{
    return (v & (align - 1)) == 0;
}

static inline bool is_power_of_two(uint64_t v)
{
    return v != 0 && (v & (v - 1)) == 0;
}

/* Whether [@a, @a + @a_len) and [@b, @b + @b_len) share an address; neither range may wrap. */
static inline bool ranges_overlap(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
    return a_len != 0 && b_len != 0 && a < b + b_len && b < a + a_len;
}

#endif
