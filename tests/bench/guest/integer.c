/* Loops over integers: checksums and hashes, matrices, division, wide multiplication, bit sets. */
#include "bench.h"
#include "sha256.h"

enum { BUFFER = 65536 };

static uint8_t buffer[BUFFER];

static uint64_t crc32(uint64_t n)
{
    static uint32_t table[256];
    uint32_t        c = ~0u;

    for (uint32_t i = 0; i < 256; i++) {
        table[i] = i;
        for (unsigned k = 0; k < 8; k++) {
            table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xedb88320 : 0);
        }
    }
    fill_random(buffer, BUFFER, 1);
    while (n-- > 0) {
        for (unsigned i = 0; i < BUFFER; i++) {
            c = table[(c ^ buffer[i]) & 255] ^ c >> 8;
        }
    }
    return c;
}

static uint64_t fnv(uint64_t n)
{
    uint64_t h = 0xcbf29ce484222325;

    fill_random(buffer, BUFFER, 2);
    while (n-- > 0) {
        for (unsigned i = 0; i < BUFFER; i++) {
            h = (h ^ buffer[i]) * 0x100000001b3;
        }
    }
    return h;
}

static uint64_t sha256(uint64_t n)
{
    uint32_t h[8];

    memcpy(h, sha256_start, sizeof(h));
    fill_random(buffer, BUFFER, 3);
    while (n-- > 0) {
        for (unsigned i = 0; i < BUFFER; i += 64) {
            sha256_block(h, buffer + i);
        }
    }
    return mix_bytes(0, h, sizeof(h));
}

static uint64_t sieve(uint64_t n)
{
    enum { LIMIT = 1 << 18 };
    static uint8_t composite[LIMIT];
    uint64_t       sum = 0;

    while (n-- > 0) {
        memset(composite, 0, LIMIT);
        for (unsigned i = 2; i < LIMIT; i++) {
            if (!composite[i]) {
                sum += i;
                for (unsigned j = 2 * i; j < LIMIT; j += i) {
                    composite[j] = 1;
                }
            }
        }
    }
    return sum;
}

static uint64_t matmul(uint64_t n)
{
    enum { SIZE = 64 };
    static int32_t a[SIZE][SIZE], b[SIZE][SIZE], c[SIZE][SIZE];
    uint64_t       sum = 0;

    fill_random(a, sizeof(a), 4);
    fill_random(b, sizeof(b), 5);
    while (n-- > 0) {
        for (unsigned i = 0; i < SIZE; i++) {
            for (unsigned j = 0; j < SIZE; j++) {
                uint32_t s = 0;

                for (unsigned k = 0; k < SIZE; k++) {
                    s += (uint32_t)a[i][k] * (uint32_t)b[k][j];
                }
                c[i][j] = (int32_t)s;
            }
        }
        a[n % SIZE][n / SIZE % SIZE] += c[n / SIZE % SIZE][n % SIZE];
        sum = mix(sum, (uint32_t)a[n % SIZE][n / SIZE % SIZE]);
    }
    return sum;
}

/* Trial division: one division and one multiplication a step. */
static uint64_t divide(uint64_t n)
{
    uint64_t count = 0;

    for (uint64_t v = 3; v < n; v += 2) {
        uint64_t d = 3;

        while (d * d <= v && v % d != 0) {
            d += 2;
        }
        count += d * d > v;
    }
    return count;
}

/* Powers modulo 2^61 - 1: 64 by 64 bits to 128. */
static uint64_t modpow(uint64_t n)
{
    const uint64_t m = (1ull << 61) - 1;
    uint64_t       sum = 0;

    for (uint64_t i = 0; i < n; i++) {
        uint64_t base = mix(sum, i) & m, power = 1;

        for (uint64_t e = m - 2; e != 0; e >>= 1) {
            unsigned __int128 p = (unsigned __int128)power * base;

            if (e & 1) {
                power = (uint64_t)(p & m) + (uint64_t)(p >> 61);
                power = power >= m ? power - m : power;
            }
            p = (unsigned __int128)base * base;
            base = (uint64_t)(p & m) + (uint64_t)(p >> 61);
            base = base >= m ? base - m : base;
        }
        sum += power;
    }
    return sum;
}

static unsigned place(unsigned all, unsigned columns, unsigned left, unsigned right)
{
    unsigned count = 0;

    if (columns == all) {
        return 1;
    }
    for (unsigned free = all & ~(columns | left | right); free != 0; free &= free - 1) {
        unsigned bit = free & -free;

        count += place(all, columns | bit, (left | bit) << 1, (right | bit) >> 1);
    }
    return count;
}

static uint64_t queens(uint64_t n)
{
    uint64_t sum = 0;

    for (uint64_t i = 0; i < n; i++) {
        sum += place((1u << (7 + i % 3)) - 1, 0, 0, 0);
    }
    return sum;
}

/* Edit distance of two words: a table of minima. */
static uint64_t distance(uint64_t n)
{
    enum { LEN = 256 };
    static uint16_t row[LEN + 1];
    uint8_t        *a = buffer, *b = buffer + LEN;
    uint64_t        sum = 0;

    fill_random(buffer, 2 * LEN, 6);
    for (unsigned i = 0; i < 2 * LEN; i++) {
        buffer[i] &= 3;
    }
    for (uint64_t r = 0; r < n; r++) {
        a[r % LEN] ^= 1;
        for (unsigned j = 0; j <= LEN; j++) {
            row[j] = (uint16_t)j;
        }
        for (unsigned i = 0; i < LEN; i++) {
            unsigned diagonal = row[0], best;

            row[0] = (uint16_t)(i + 1);
            for (unsigned j = 0; j < LEN; j++) {
                best = diagonal + (a[i] != b[j]);
                diagonal = row[j + 1];
                best = best < diagonal + 1 ? best : diagonal + 1;
                best = best < row[j] + 1u ? best : row[j] + 1u;
                row[j + 1] = (uint16_t)best;
            }
        }
        sum = mix(sum, row[LEN]);
    }
    return sum;
}

/* ChaCha20's block: sixteen words in registers, rotations. */
#define QUARTER(a, b, c, d)                             \
    do {                                                \
        a += b, d = (d ^ a) << 16 | (d ^ a) >> 16;      \
        c += d, b = (b ^ c) << 12 | (b ^ c) >> 20;      \
        a += b, d = (d ^ a) << 8 | (d ^ a) >> 24;       \
        c += d, b = (b ^ c) << 7 | (b ^ c) >> 25;       \
    } while (0)

static uint64_t chacha20(uint64_t n)
{
    uint32_t key[16], x[16];
    uint64_t sum = 0;

    fill_random(key, sizeof(key), 7);
    while (n-- > 0) {
        memcpy(x, key, sizeof(x));
        for (unsigned i = 0; i < 10; i++) {
            QUARTER(x[0], x[4], x[8], x[12]);
            QUARTER(x[1], x[5], x[9], x[13]);
            QUARTER(x[2], x[6], x[10], x[14]);
            QUARTER(x[3], x[7], x[11], x[15]);
            QUARTER(x[0], x[5], x[10], x[15]);
            QUARTER(x[1], x[6], x[11], x[12]);
            QUARTER(x[2], x[7], x[8], x[13]);
            QUARTER(x[3], x[4], x[9], x[14]);
        }
        for (unsigned i = 0; i < 16; i++) {
            sum += x[i] + key[i];
        }
        key[12]++;
    }
    return sum;
}

/* Numbers of 2048 bits: chains of carries, products of 128 bits. */
static uint64_t long_product(uint64_t n)
{
    enum { WORDS = 32 };
    uint64_t a[WORDS], b[WORDS], c[2 * WORDS], sum = 0;

    fill_random(a, sizeof(a), 8);
    fill_random(b, sizeof(b), 9);
    while (n-- > 0) {
        memset(c, 0, sizeof(c));
        for (unsigned i = 0; i < WORDS; i++) {
            uint64_t carry = 0;

            for (unsigned j = 0; j < WORDS; j++) {
                unsigned __int128 t = (unsigned __int128)a[i] * b[j] + c[i + j] + carry;

                c[i + j] = (uint64_t)t;
                carry = (uint64_t)(t >> 64);
            }
            c[i + WORDS] = carry;
        }
        memcpy(a, c + 1, sizeof(a));
        a[0] |= 1;
        sum = mix(sum, c[n % (2 * WORDS)]);
    }
    return sum;
}

const Program integer_programs[] = {
    { "integer", "crc32", crc32, 600 },
    { "integer", "fnv", fnv, 1500 },
    { "integer", "sha256", sha256, 250 },
    { "integer", "sieve", sieve, 60 },
    { "integer", "matmul", matmul, 400 },
    { "integer", "divide", divide, 1000000 },
    { "integer", "modpow", modpow, 600000 },
    { "integer", "queens", queens, 2000 },
    { "integer", "distance", distance, 500 },
    { "integer", "chacha20", chacha20, 250000 },
    { "integer", "long-product", long_product, 24000 },
    { NULL },
};
