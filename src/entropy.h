/*
 * Deterministic random numbers. Every party of a machine (CPU RNDR, RMM, monitor, each device) has a generator
 * of its own, seeded from -seed and the party's name, so that one party's use never changes another's numbers.
 * The state is plain data and is saved with the machine.
 */
#ifndef BAILEY_ENTROPY_H
#define BAILEY_ENTROPY_H

#include <stddef.h>
#include <stdint.h>

typedef struct Entropy {
    uint8_t  key[32];   /* SHA-256(seed || party name) */
    uint64_t counter;   /* blocks of 32 bytes given out so far */
} Entropy;

/**
 * entropy_init - start one party's generator.
 * @e:     generator to fill
 * @seed:  the machine's -seed
 * @party: a stable name, such as "rmm" or "tdisp-nic.0"
 */
void entropy_init(Entropy *e, uint64_t seed, const char *party);

/**
 * entropy_bytes - the next bytes of a generator.
 * @dst: receives @len bytes; every call starts a new block of SHA-256(key || counter)
 */
void entropy_bytes(Entropy *e, void *dst, size_t len);

/**
 * entropy_use - name the generator that OpenSSL draws from.
 * @e: the current party's generator, or NULL for none (OpenSSL's random calls then fail)
 * Returns the generator named before, to be put back by the caller.
 * Context: main thread only. OpenSSL's own generator is never asked, so keys, nonces and signatures repeat.
 */
Entropy *entropy_use(Entropy *e);

#endif
