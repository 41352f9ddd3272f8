/*
 * Arithmetic of the A64 cryptographic, polynomial and CRC instructions, and the algorithm behind pointer
 * authentication codes. Pure functions; names follow the instructions. Arm ARM DDI 0487, "A64 Advanced SIMD
 * and Floating-point Instruction Descriptions" and "Shared pseudocode", functions/crypto.
 *
 * Left out: FEAT_SM3, FEAT_SM4; FEAT_SHA3 (EOR3, RAX1, XAR, BCAX are plain logic, done by the instructions).
 */
#ifndef BAILEY_CPU_A64_CRYPTO_H
#define BAILEY_CPU_A64_CRYPTO_H

#include <stdint.h>

/* A vector register by lanes, lane 0 least significant: its storage on a little-endian host. */
typedef union Vec128 {
    uint8_t  b[16];
    uint16_t h[8];
    uint32_t s[4];
    uint64_t d[2];
} Vec128;

/* AESE, AESD: AddRoundKey, then SubBytes and ShiftRows or their inverses. AESMC, AESIMC: MixColumns or its
 * inverse. @d is the state (Vd), @n the round key (Vn). */
Vec128 crypto_aese(Vec128 d, Vec128 n);
Vec128 crypto_aesd(Vec128 d, Vec128 n);
Vec128 crypto_aesmc(Vec128 n);
Vec128 crypto_aesimc(Vec128 n);

/* SHA1C, SHA1P, SHA1M (Qd, Sn, Vm), SHA1H (Sd, Sn), SHA1SU0 (Vd, Vn, Vm), SHA1SU1 (Vd, Vn). */
Vec128   crypto_sha1c(Vec128 d, uint32_t n, Vec128 m);
Vec128   crypto_sha1p(Vec128 d, uint32_t n, Vec128 m);
Vec128   crypto_sha1m(Vec128 d, uint32_t n, Vec128 m);
uint32_t crypto_sha1h(uint32_t n);
Vec128   crypto_sha1su0(Vec128 d, Vec128 n, Vec128 m);
Vec128   crypto_sha1su1(Vec128 d, Vec128 n);

/* SHA256H, SHA256H2 (Qd, Qn, Vm), SHA256SU0 (Vd, Vn), SHA256SU1 (Vd, Vn, Vm). */
Vec128 crypto_sha256h(Vec128 d, Vec128 n, Vec128 m);
Vec128 crypto_sha256h2(Vec128 d, Vec128 n, Vec128 m);
Vec128 crypto_sha256su0(Vec128 d, Vec128 n);
Vec128 crypto_sha256su1(Vec128 d, Vec128 n, Vec128 m);

/* SHA512H, SHA512H2 (Qd, Qn, Vm), SHA512SU0 (Vd, Vn), SHA512SU1 (Vd, Vn, Vm). */
Vec128 crypto_sha512h(Vec128 d, Vec128 n, Vec128 m);
Vec128 crypto_sha512h2(Vec128 d, Vec128 n, Vec128 m);
Vec128 crypto_sha512su0(Vec128 d, Vec128 n);
Vec128 crypto_sha512su1(Vec128 d, Vec128 n, Vec128 m);

/* Carry-less products. PMUL: low 8 bits of 8 x 8, of eight lanes. PMULL: of four lanes 8 x 8 to 16 bits, the operands
 * below zeroes in theirs, or 64 x 64 to 128. */
uint64_t crypto_pmul8(uint64_t a, uint64_t b);
uint64_t crypto_pmull8(uint64_t a, uint64_t b);
Vec128   crypto_pmull64(uint64_t a, uint64_t b);

/**
 * crypto_crc32 - CRC32B, H, W, X: checksum with polynomial 0x04c11db7; no inversion before or after.
 * crypto_crc32c - the same with polynomial 0x1edc6f41 (CRC32CB, H, W, X).
 * @acc: accumulator (Wn)
 * @value: data, in its low @bytes bytes (Wm or Xm)
 * @bytes: 1, 2, 4 or 8
 */
uint32_t crypto_crc32(uint32_t acc, uint64_t value, unsigned bytes);
uint32_t crypto_crc32c(uint32_t acc, uint64_t value, unsigned bytes);

/**
 * pac_compute - ComputePAC with an IMPLEMENTATION DEFINED algorithm: a keyed 64-bit hash of two words.
 * @key_lo, @key_hi: APxxKeyLo_EL1, APxxKeyHi_EL1
 * @data: the pointer, with its authentication field replaced as AddPAC or Auth prescribes
 * @modifier: the second operand of the instruction (or 0)
 * Returns 64 bits, of which the caller takes those in the authentication field. The same on every host.
 */
uint64_t pac_compute(uint64_t key_lo, uint64_t key_hi, uint64_t data, uint64_t modifier);

#endif
