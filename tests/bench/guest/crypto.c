/*
 * The AES, SHA-2, carry-less multiplication and CRC instructions; the host does the same in plain C.
 */
#include "bench.h"
#include "sha256.h"

#ifdef __aarch64__
#pragma GCC target("+crypto+crc")
#include <arm_acle.h>
#include <arm_neon.h>
#endif

enum { BUFFER = 16384 };
static uint8_t buffer[BUFFER];

/* AES rounds, FIPS 197: ten keys, of which the last round is not special. */
#ifndef __aarch64__
static uint8_t sbox[256];

static uint8_t twice(uint8_t v) { return (uint8_t)(v << 1 ^ (v >> 7) * 0x1b); }

static void make_sbox(void)
{
    uint8_t p = 1, q = 1;

    do { /* p runs through all numbers by times 3, q by over 3: q is the inverse of p */
        p ^= twice(p);
        q ^= (uint8_t)(q << 1);
        q ^= (uint8_t)(q << 2);
        q ^= (uint8_t)(q << 4);
        q ^= q & 0x80 ? 0x09 : 0;
        sbox[p] = (uint8_t)(q ^ (q << 1 | q >> 7) ^ (q << 2 | q >> 6) ^ (q << 3 | q >> 5) ^ (q << 4 | q >> 4) ^ 0x63);
    } while (p != 1);
    sbox[0] = 0x63;
}

static void aes_round(uint8_t s[16], const uint8_t key[16])
{
    uint8_t t[16];

    for (unsigned i = 0; i < 16; i++) {
        t[i] = sbox[s[(i * 5) & 15] ^ key[(i * 5) & 15]];
    }
    for (unsigned c = 0; c < 16; c += 4) {
        uint8_t all = t[c] ^ t[c + 1] ^ t[c + 2] ^ t[c + 3];

        for (unsigned r = 0; r < 4; r++) {
            s[c + r] = t[c + r] ^ all ^ twice(t[c + r] ^ t[c + (r + 1) % 4]);
        }
    }
}
#endif

/* Each block is chained to the one before. */
static void aes_pass(uint8_t state[16], const uint8_t keys[10][16])
{
#ifdef __aarch64__
    uint8x16_t s = vld1q_u8(state), k[10];

    for (unsigned r = 0; r < 10; r++) {
        k[r] = vld1q_u8(keys[r]);
    }
    for (unsigned i = 0; i < BUFFER; i += 16) {
        s = veorq_u8(s, vld1q_u8(buffer + i));
        for (unsigned r = 0; r < 10; r++) {
            s = vaesmcq_u8(vaeseq_u8(s, k[r]));
        }
        vst1q_u8(buffer + i, s);
    }
    vst1q_u8(state, s);
#else
    make_sbox();
    for (unsigned i = 0; i < BUFFER; i += 16) {
        for (unsigned k = 0; k < 16; k++) {
            state[k] ^= buffer[i + k];
        }
        for (unsigned r = 0; r < 10; r++) {
            aes_round(state, keys[r]);
        }
        memcpy(buffer + i, state, 16);
    }
#endif
}

static uint64_t aes(uint64_t n)
{
    uint8_t state[16] = {0}, keys[10][16];

    fill_random(keys, sizeof(keys), 28);
    fill_random(buffer, BUFFER, 29);
    while (n-- > 0) {
        aes_pass(state, keys);
    }
    return mix_bytes(0, state, 16);
}

#ifdef __aarch64__
static void sha256_block_insn(uint32_t h[8], const uint8_t *p)
{
    uint32x4_t abcd = vld1q_u32(h), efgh = vld1q_u32(h + 4), a0 = abcd, e0 = efgh, w[4];

    for (unsigned i = 0; i < 4; i++) {
        w[i] = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(p + 16 * i)));
    }
    for (unsigned i = 0; i < 16; i++) {
        uint32x4_t t = vaddq_u32(w[i % 4], vld1q_u32(sha256_k + 4 * i)), old = abcd;

        if (i < 12) {
            w[i % 4] = vsha256su1q_u32(vsha256su0q_u32(w[i % 4], w[(i + 1) % 4]), w[(i + 2) % 4], w[(i + 3) % 4]);
        }
        abcd = vsha256hq_u32(abcd, efgh, t);
        efgh = vsha256h2q_u32(efgh, old, t);
    }
    vst1q_u32(h, vaddq_u32(abcd, a0));
    vst1q_u32(h + 4, vaddq_u32(efgh, e0));
}
#else
#define sha256_block_insn sha256_block
#endif

static uint64_t sha256(uint64_t n)
{
    uint32_t h[8];

    memcpy(h, sha256_start, sizeof(h));
    fill_random(buffer, BUFFER, 30);
    while (n-- > 0) {
        for (unsigned i = 0; i < BUFFER; i += 64) {
            sha256_block_insn(h, buffer + i);
        }
    }
    return mix_bytes(0, h, sizeof(h));
}

/* Sum of a hash over GF(2)[x]: 64 by 64 bits without carries, high half folded into the low one. */
static uint64_t multiply(uint64_t a, uint64_t b)
{
#ifdef __aarch64__
    poly128_t p = vmull_p64(a, b);

    return (uint64_t)p ^ (uint64_t)(p >> 64);
#else
    uint64_t low = 0, high = 0;

    for (unsigned i = 0; i < 64; i++) {
        uint64_t take = -(b >> i & 1);

        low ^= (a << i) & take;
        high ^= (i == 0 ? 0 : a >> (64 - i)) & take;
    }
    return low ^ high;
#endif
}

static uint64_t polynomial(uint64_t n)
{
    uint64_t sum = 1, word;

    fill_random(buffer, BUFFER, 31);
    while (n-- > 0) {
        for (unsigned i = 0; i < BUFFER; i += 8) {
            memcpy(&word, buffer + i, 8);
            sum = multiply(sum ^ word, 0xc96c5795d7870f43);
        }
    }
    return sum;
}

static uint32_t crc_word(uint32_t c, uint64_t word)
{
#ifdef __aarch64__
    return __crc32d(c, word);
#else
    static uint32_t table[256];

    if (table[1] == 0) {
        for (uint32_t i = 0; i < 256; i++) {
            table[i] = i;
            for (unsigned k = 0; k < 8; k++) {
                table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xedb88320 : 0);
            }
        }
    }
    for (unsigned i = 0; i < 64; i += 8) {
        c = table[(c ^ word >> i) & 255] ^ c >> 8;
    }
    return c;
#endif
}

static uint64_t crc(uint64_t n)
{
    uint32_t c = ~0u;
    uint64_t word;

    fill_random(buffer, BUFFER, 32);
    while (n-- > 0) {
        for (unsigned i = 0; i < BUFFER; i += 8) {
            memcpy(&word, buffer + i, 8);
            c = crc_word(c, word);
        }
    }
    return c;
}

const Program crypto_programs[] = {
    { "crypto", "aes", aes, 1500 },
    { "crypto", "sha256-insn", sha256, 1200 },
    { "crypto", "pmull", polynomial, 15000 },
    { "crypto", "crc32-insn", crc, 6000 },
    { NULL },
};
