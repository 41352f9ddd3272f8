/*
 * The SPDM key schedule. DMTF DSP0274, "Key schedule"; DSP0277 uses the four channel keys. All values are
 * bytes.
 */
#ifndef BAILEY_SPDM_SCHEDULE_H
#define BAILEY_SPDM_SCHEDULE_H

#include "spdm/binding.h"
#include "spdm/crypto.h"

/* One direction of one key epoch: what protects a record. */
typedef struct SpdmChannel {
    uint8_t       key[SPDM_AEAD_KEY], iv[SPDM_AEAD_IV];
    uint64_t      sequence;  /* of the next record */
    SpdmTransport transport; /* which gives records their form */
} SpdmChannel;

typedef struct SpdmKeys {
    uint8_t     handshake_secret[SPDM_HASH_MAX];
    uint8_t     request_finished[SPDM_HASH_MAX], response_finished[SPDM_HASH_MAX];
    SpdmChannel request_handshake, response_handshake;
    SpdmChannel request_data, response_data;
    uint8_t     request_secret[SPDM_HASH_MAX], response_secret[SPDM_HASH_MAX]; /* that the data channels came from */
} SpdmKeys;

/* What the schedule depends on beyond the secrets. */
typedef struct SpdmSuite {
    uint8_t         version; /* 0x12: in the labels as "spdm1.2 " */
    const SpdmHash *hash;
    const SpdmAead *aead;
    SpdmTransport   transport;
} SpdmSuite;

/**
 * spdm_expand - HKDF-Expand with SPDM's BinConcat info.
 * @label:   such as "req hs data"; @context: a transcript hash or NULL
 * @out_len: at most one hash length, which is all SPDM asks for
 */
bool spdm_expand(const SpdmSuite *suite, const uint8_t *secret, const char *label, const uint8_t *context,
                 uint8_t *out, size_t out_len);

/**
 * spdm_derive_handshake - handshake secret, finished keys and handshake channels.
 * @psk:    @secret is a pre-shared key, not that of a key exchange
 * @th1:    Hash(TH1)
 */
bool spdm_derive_handshake(const SpdmSuite *suite, bool psk, const uint8_t *secret, size_t secret_len,
                           const uint8_t *th1, SpdmKeys *keys);

/* spdm_update_channel - the next epoch of one direction's data keys: its secret, keys and sequence number. */
bool spdm_update_channel(const SpdmSuite *suite, uint8_t *secret, SpdmChannel *c);

/* From the handshake secret and Hash(TH2): the data channels. */
bool spdm_derive_data(const SpdmSuite *suite, const uint8_t *th2, SpdmKeys *keys);

/* The handshake is over: its secrets are wiped. */
void spdm_forget_handshake(SpdmKeys *keys);

#endif
