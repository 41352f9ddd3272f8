/*
 * Deterministic random numbers: SHA-256 in counter mode, one generator per party, and the bridge that makes
 * OpenSSL draw from the generator of the party that is running. OpenSSL has one random source per process, so
 * the current party is the one piece of process state here; it is not saved, because it is NULL between
 * events. OpenSSL's own generator, which would ask the host, is replaced before any party exists.
 */
#define OPENSSL_API_COMPAT                                                                                   \
    0x10100000L /* RAND_METHOD: deprecated in 3.0, still the shortest full replacement */
#include "entropy.h"

#include <openssl/rand.h>
#include <openssl/sha.h>
#include <string.h>

#include "bytes.h"

#define BLOCK_LEN 32

static Entropy *current; /* the party OpenSSL draws from; NULL: its random calls fail */

static int draw_bytes(unsigned char *dst, int len)
{
    if (current == NULL || len < 0) {
        return 0;
    }
    entropy_bytes(current, dst, (size_t)len);
    return 1;
}

/* Seeding from outside is accepted and ignored: what a party draws depends on -seed and its name only. */
static int ignore_seed(const void *buf, int len) { return 1; }
static int ignore_add(const void *buf, int len, double randomness) { return 1; }
static int is_seeded(void) { return current != NULL; }

static const RAND_METHOD entropy_method = {
    .seed = ignore_seed,
    .bytes = draw_bytes,
    .add = ignore_add,
    .pseudorand = draw_bytes,
    .status = is_seeded,
};

static void replace_openssl_generator(void)
{
    if (RAND_get_rand_method() != &entropy_method) {
        RAND_set_rand_method(&entropy_method);
    }
}

void entropy_init(Entropy *e, uint64_t seed, const char *party)
{
    uint8_t text[8 + 256];
    size_t  party_len = strnlen(party, sizeof(text) - 8);

    le64_put(text, seed);
    memcpy(text + 8, party, party_len);
    SHA256(text, 8 + party_len, e->key);
    e->counter = 0;
    replace_openssl_generator();
}

void entropy_bytes(Entropy *e, void *dst, size_t len)
{
    uint8_t  text[sizeof(e->key) + 8], block[BLOCK_LEN];
    uint8_t *out = dst;

    memcpy(text, e->key, sizeof(e->key));
    while (len != 0) {
        size_t n = len < BLOCK_LEN ? len : BLOCK_LEN;

        le64_put(text + sizeof(e->key), e->counter++);
        SHA256(text, sizeof(text), block);
        memcpy(out, block, n);
        out += n;
        len -= n;
    }
}

Entropy *entropy_use(Entropy *e)
{
    Entropy *before = current;

    replace_openssl_generator();
    current = e;
    return before;
}
