/*
 * src/cpu/a64/crypto: published vectors put through the instruction sequences software uses, and every
 * function against the oracle (tests/diff/fp_oracle.c).
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bits.h"
#include "bytes.h"
#include "cpu/a64/crypto.h"
#include "tests/diff/oracle.h"

/* FIPS 197, appendix "Cipher Example": one block under AES-128 with the expanded key given there. */
static const uint8_t aes_keys[11][16] = {
    { 0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6, 0xab, 0xf7, 0x15, 0x88, 0x09, 0xcf, 0x4f, 0x3c },
    { 0xa0, 0xfa, 0xfe, 0x17, 0x88, 0x54, 0x2c, 0xb1, 0x23, 0xa3, 0x39, 0x39, 0x2a, 0x6c, 0x76, 0x05 },
    { 0xf2, 0xc2, 0x95, 0xf2, 0x7a, 0x96, 0xb9, 0x43, 0x59, 0x35, 0x80, 0x7a, 0x73, 0x59, 0xf6, 0x7f },
    { 0x3d, 0x80, 0x47, 0x7d, 0x47, 0x16, 0xfe, 0x3e, 0x1e, 0x23, 0x7e, 0x44, 0x6d, 0x7a, 0x88, 0x3b },
    { 0xef, 0x44, 0xa5, 0x41, 0xa8, 0x52, 0x5b, 0x7f, 0xb6, 0x71, 0x25, 0x3b, 0xdb, 0x0b, 0xad, 0x00 },
    { 0xd4, 0xd1, 0xc6, 0xf8, 0x7c, 0x83, 0x9d, 0x87, 0xca, 0xf2, 0xb8, 0xbc, 0x11, 0xf9, 0x15, 0xbc },
    { 0x6d, 0x88, 0xa3, 0x7a, 0x11, 0x0b, 0x3e, 0xfd, 0xdb, 0xf9, 0x86, 0x41, 0xca, 0x00, 0x93, 0xfd },
    { 0x4e, 0x54, 0xf7, 0x0e, 0x5f, 0x5f, 0xc9, 0xf3, 0x84, 0xa6, 0x4f, 0xb2, 0x4e, 0xa6, 0xdc, 0x4f },
    { 0xea, 0xd2, 0x73, 0x21, 0xb5, 0x8d, 0xba, 0xd2, 0x31, 0x2b, 0xf5, 0x60, 0x7f, 0x8d, 0x29, 0x2f },
    { 0xac, 0x77, 0x66, 0xf3, 0x19, 0xfa, 0xdc, 0x21, 0x28, 0xd1, 0x29, 0x41, 0x57, 0x5c, 0x00, 0x6e },
    { 0xd0, 0x14, 0xf9, 0xa8, 0xc9, 0xee, 0x25, 0x89, 0xe1, 0x3f, 0x0c, 0xc8, 0xb6, 0x63, 0x0c, 0xa6 },
};
static const uint8_t aes_plain[16]  = { 0x32, 0x43, 0xf6, 0xa8, 0x88, 0x5a, 0x30, 0x8d,
                                        0x31, 0x31, 0x98, 0xa2, 0xe0, 0x37, 0x07, 0x34 };
static const uint8_t aes_cipher[16] = { 0x39, 0x25, 0x84, 0x1d, 0x02, 0xdc, 0x09, 0xfb,
                                        0xdc, 0x11, 0x85, 0x97, 0x19, 0x6a, 0x0b, 0x32 };

static Vec128 vec(const uint8_t *p)
{
    Vec128 v;

    memcpy(v.b, p, sizeof(v.b));
    return v;
}

static Vec128 vec_xor(Vec128 a, Vec128 b)
{
    return (Vec128){ .d = { a.d[0] ^ b.d[0], a.d[1] ^ b.d[1] } };
}

static void test_aes_fips197(void **state)
{
    Vec128 v = vec(aes_plain);

    (void)state;
    for (unsigned i = 0; i < 9; i++) {
        v = crypto_aesmc(crypto_aese(v, vec(aes_keys[i])));
    }
    v = vec_xor(crypto_aese(v, vec(aes_keys[9])), vec(aes_keys[10]));
    assert_memory_equal(v.b, aes_cipher, 16);

    /* Back again, by the equivalent inverse cipher. */
    v = crypto_aesd(v, vec(aes_keys[10]));
    for (unsigned i = 9; i > 0; i--) {
        v = crypto_aesd(crypto_aesimc(v), crypto_aesimc(vec(aes_keys[i])));
    }
    v = vec_xor(v, vec(aes_keys[0]));
    assert_memory_equal(v.b, aes_plain, 16);
}

/* FIPS 180-4 example message "abc", padded to one block of @block bytes. */
static void abc_block(uint8_t *block, size_t len)
{
    memset(block, 0, len);
    memcpy(block, "abc\x80", 4);
    block[len - 1] = 24;
}

static void load_be32(Vec128 w[4], const uint8_t block[64])
{
    for (unsigned i = 0; i < 16; i++) {
        w[i / 4].s[i % 4] = be32_get(block + 4 * i);
    }
}

static void test_sha1_abc(void **state)
{
    static const uint32_t k[]      = { 0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6 };
    static const uint32_t expect[] = { 0xa9993e36, 0x4706816a, 0xba3e2571, 0x7850c26c, 0x9cd0d89d };
    Vec128   w[4], abcd = { .s = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476 } };
    Vec128   start = abcd;
    uint32_t e = 0xc3d2e1f0, start_e = e;
    uint8_t  block[64];

    (void)state;
    abc_block(block, sizeof(block));
    load_be32(w, block);
    for (unsigned i = 0; i < 20; i++) {
        Vec128   wk     = w[i % 4];
        uint32_t next_e = crypto_sha1h(abcd.s[0]);

        for (unsigned j = 0; j < 4; j++) {
            wk.s[j] += k[i / 5];
        }
        abcd = i / 5 == 0   ? crypto_sha1c(abcd, e, wk)
               : i / 5 == 2 ? crypto_sha1m(abcd, e, wk)
                            : crypto_sha1p(abcd, e, wk);
        e    = next_e;
        w[i % 4] = crypto_sha1su1(crypto_sha1su0(w[i % 4], w[(i + 1) % 4], w[(i + 2) % 4]), w[(i + 3) % 4]);
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(abcd.s[i] + start.s[i], expect[i]);
    }
    assert_int_equal(e + start_e, expect[4]);
}

/* FIPS 180-4, "SHA-224 and SHA-256 Constants": fraction bits of the cube roots of the first primes. */
static uint32_t sha256_constant(unsigned *prime)
{
    unsigned    d;
    long double root;

    do {
        ++*prime;
        for (d = 2; d * d <= *prime && *prime % d != 0; d++) {
        }
    } while (d * d <= *prime);
    root = cbrtl(*prime);
    return (uint32_t)((root - floorl(root)) * 0x1p32L);
}

static void test_sha256_abc(void **state)
{
    static const uint32_t expect[] = { 0xba7816bf, 0x8f01cfea, 0x414140de, 0x5dae2223,
                                       0xb00361a3, 0x96177a9c, 0xb410ff61, 0xf20015ad };
    Vec128 w[4], x = { .s = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a } };
    Vec128 y = { .s = { 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 } }, x0 = x, y0 = y;
    uint8_t  block[64];
    unsigned prime = 1;

    (void)state;
    abc_block(block, sizeof(block));
    load_be32(w, block);
    for (unsigned i = 0; i < 16; i++) {
        Vec128 wk = w[i % 4], old_x = x;

        for (unsigned j = 0; j < 4; j++) {
            wk.s[j] += sha256_constant(&prime);
        }
        x = crypto_sha256h(x, y, wk);
        y = crypto_sha256h2(y, old_x, wk);
        w[i % 4] = crypto_sha256su0(w[i % 4], w[(i + 1) % 4]);
        w[i % 4] = crypto_sha256su1(w[i % 4], w[(i + 2) % 4], w[(i + 3) % 4]);
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(x.s[i] + x0.s[i], expect[i]);
        assert_int_equal(y.s[i] + y0.s[i], expect[i + 4]);
    }
}

static uint64_t big_sigma(uint64_t v, unsigned a, unsigned b, unsigned c)
{
    return rotate_right64(v, a, 64) ^ rotate_right64(v, b, 64) ^ rotate_right64(v, c, 64);
}

/* FIPS 180-4, "SHA-512 Hash Computation": step 3 on the variables a to h, @kw being Kt + Wt. */
static void sha512_round(uint64_t v[8], uint64_t kw)
{
    uint64_t t1 = v[7] + big_sigma(v[4], 14, 18, 41) + ((v[4] & v[5]) ^ (~v[4] & v[6])) + kw;
    uint64_t t2 = big_sigma(v[0], 28, 34, 39) + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));

    memmove(v + 1, v, 7 * sizeof(v[0]));
    v[4] += t1;
    v[0]  = t1 + t2;
}

/* Two rounds take one SHA512H and one SHA512H2. */
static void test_sha512_rounds(void **state)
{
    uint64_t seed = 24;

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        uint64_t v[8], kw[2] = { oracle_random(&seed), oracle_random(&seed) };

        for (unsigned j = 0; j < 8; j++) {
            v[j] = oracle_random(&seed);
        }

        Vec128 ab = { .d = { v[0], v[1] } }, cd = { .d = { v[2], v[3] } };
        Vec128 t1 = crypto_sha512h((Vec128){ .d = { v[6] + kw[1], v[7] + kw[0] } },
                                   (Vec128){ .d = { v[5], v[6] } }, (Vec128){ .d = { v[3], v[4] } });
        Vec128 r  = crypto_sha512h2(t1, cd, ab);

        sha512_round(v, kw[0]);
        sha512_round(v, kw[1]);
        assert_true(r.d[0] == v[0] && r.d[1] == v[1]);
        assert_true(cd.d[0] + t1.d[0] == v[4] && cd.d[1] + t1.d[1] == v[5]);
    }
}

/* FIPS 180-4, "SHA-512 Message Schedule": W16 and W17 from W0 to W15. */
static void test_sha512_schedule(void **state)
{
    uint64_t w[18], seed = 25;

    (void)state;
    for (unsigned i = 0; i < 16; i++) {
        w[i] = oracle_random(&seed);
    }
    for (unsigned i = 16; i < 18; i++) {
        uint64_t a = w[i - 15], b = w[i - 2];

        w[i] = (rotate_right64(b, 19, 64) ^ rotate_right64(b, 61, 64) ^ b >> 6) + w[i - 7] +
               (rotate_right64(a, 1, 64) ^ rotate_right64(a, 8, 64) ^ a >> 7) + w[i - 16];
    }

    Vec128 r = crypto_sha512su0((Vec128){ .d = { w[0], w[1] } }, (Vec128){ .d = { w[2], w[3] } });

    r = crypto_sha512su1(r, (Vec128){ .d = { w[14], w[15] } }, (Vec128){ .d = { w[9], w[10] } });
    assert_true(r.d[0] == w[16] && r.d[1] == w[17]);
}

static void test_pmull_rows(void **state)
{
    static const struct {
        uint64_t a, b, low, high;
    } rows[] = {
        { 0, ~0ull, 0, 0 },
        { 1, ~0ull, ~0ull, 0 },
        { 3, 3, 5, 0 },                                            /* (x + 1)^2 = x^2 + 1 */
        { 1ull << 63, 1ull << 63, 0, 1ull << 62 },
        { ~0ull, ~0ull, 0x5555555555555555, 0x5555555555555555 }, /* squaring spreads the bits */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        Vec128 r = crypto_pmull64(rows[i].a, rows[i].b);

        assert_true(r.d[0] == rows[i].low && r.d[1] == rows[i].high);
    }
    assert_int_equal(crypto_pmull8(0xff, 0xff), 0x5555);
    assert_int_equal(crypto_pmul8(0xff, 0xff), 0x55);
}

/* The CRC catalogue's check value: "123456789", inverted before and after. */
static uint32_t crc_check(uint32_t (*fn)(uint32_t, uint64_t, unsigned))
{
    uint32_t acc = fn(~0u, le64_get("12345678"), 8);

    return ~fn(acc, '9', 1);
}

static void test_crc_check_values(void **state)
{
    (void)state;
    assert_int_equal(crc_check(crypto_crc32), 0xcbf43926);
    assert_int_equal(crc_check(crypto_crc32c), 0xe3069283);
}

/* Every input bit must matter, and the value must never change between versions: saved guests hold it. */
static void test_pac(void **state)
{
    uint64_t in[4] = { 0x84be85ce9804e94b, 0xec2802d4e0a488e9, 0xfb623599da6e8127, 0x477d469dec0b8762 };
    uint64_t base  = pac_compute(in[0], in[1], in[2], in[3]);

    (void)state;
    assert_int_equal(base, 0xbffe742680d072bb);
    for (unsigned bit = 0; bit < 256; bit++) {
        in[bit / 64] ^= BIT(bit % 64);

        unsigned changed = (unsigned)__builtin_popcountll(base ^ pac_compute(in[0], in[1], in[2], in[3]));

        assert_in_range(changed, 12, 52);
        in[bit / 64] ^= BIT(bit % 64);
    }
}

/* ---- The oracle ---- */

typedef enum OutKind { FULL, XREG } OutKind;

static Vec128 from_vec(Vec128 v) { return v; }
static Vec128 from_int(uint64_t v) { return (Vec128){ .d = { v } }; }

#define AS_VEC(v) _Generic((v), Vec128: from_vec, default: from_int)(v)

static Vec128 pmul_lanes(Vec128 a, Vec128 b)
{
    for (unsigned i = 0; i < 16; i++) {
        a.b[i] = (uint8_t)crypto_pmul8(a.b[i], b.b[i]);
    }
    return a;
}

static Vec128 pmull_lanes(Vec128 a, Vec128 b)
{
    Vec128 r;

    for (unsigned i = 0; i < 8; i++) {
        r.h[i] = (uint16_t)crypto_pmull8(a.b[i], b.b[i]);
    }
    return r;
}

static Vec128 our_value(const OracleIn *in, OutKind *kind)
{
    Vec128   VD = { .d = { in->q[0][0], in->q[0][1] } }, VA = { .d = { in->q[1][0], in->q[1][1] } };
    Vec128   VB = { .d = { in->q[2][0], in->q[2][1] } };
    uint64_t X1 = in->x1, X2 = in->x2;

    switch (in->op) {
#define ROW(name, insn, fmt, out, value) \
    case OP_##name:                      \
        *kind = out;                     \
        return AS_VEC(value);
#include "tests/diff/crypto_ops.h"
#undef ROW
    default:
        fail_msg("no such row");
        return VD;
    }
}

static void test_oracle(void **state)
{
    enum { CASES = 400, N = (ORACLE_OPS - OP_aese) * CASES };
    OracleIn  *in   = calloc(N, sizeof(*in));
    OracleOut *out  = calloc(N, sizeof(*out));
    uint64_t   seed = 23;

    (void)state;
    for (size_t i = 0; i < N; i++) {
        in[i].op = (uint32_t)(OP_aese + i / CASES);
        for (unsigned j = 0; j < 8; j++) {
            in[i].q[j / 2][j % 2] = oracle_random(&seed);
        }
        in[i].x1 = oracle_random(&seed);
        in[i].x2 = oracle_random(&seed);
    }
    if (!oracle_run(in, out, N)) {
        free(in);
        free(out);
        skip();
    }
    for (size_t i = 0; i < N; i++) {
        OutKind kind = FULL;
        Vec128  ours = our_value(&in[i], &kind);

        if (kind == FULL ? memcmp(&ours, out[i].q0, 16) != 0 : ours.d[0] != out[i].x0) {
            fail_msg("row %u: 0x%llx 0x%llx, oracle q 0x%llx 0x%llx x 0x%llx", in[i].op - OP_aese,
                     (unsigned long long)ours.d[0], (unsigned long long)ours.d[1],
                     (unsigned long long)out[i].q0[0], (unsigned long long)out[i].q0[1],
                     (unsigned long long)out[i].x0);
        }
    }
    free(in);
    free(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_aes_fips197),      cmocka_unit_test(test_sha1_abc),
        cmocka_unit_test(test_sha256_abc),       cmocka_unit_test(test_sha512_rounds),
        cmocka_unit_test(test_sha512_schedule),  cmocka_unit_test(test_pmull_rows),
        cmocka_unit_test(test_crc_check_values), cmocka_unit_test(test_pac),
        cmocka_unit_test(test_oracle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
