/*
 * SPDM signatures. DMTF DSP0274, "Signature generation" and "Signature verification": since 1.2 a fixed
 * prefix and a context string go in front of the transcript's hash, so that no signature serves two purposes; with
 * 1.1 the transcript is signed as it is.
 */
#ifndef BAILEY_SPDM_SIGN_H
#define BAILEY_SPDM_SIGN_H

#include "spdm/crypto.h"

#define SPDM_SIGN_CHALLENGE    "responder-challenge_auth signing"
#define SPDM_SIGN_MEASUREMENTS "responder-measurements signing"
#define SPDM_SIGN_FINISH       "requester-finish signing"
#define SPDM_SIGN_CHALLENGE_BACK "requester-challenge_auth signing"
#define SPDM_SIGN_ENDPOINT_INFO "responder-endpoint_info signing"
#define SPDM_SIGN_KEY_EXCHANGE "responder-key_exchange_rsp signing"

/* Who signs what: the parts that do not change between signatures of a connection. */
typedef struct SpdmSigner {
    uint8_t         version; /* of SPDM, 0x11 or later */
    const SpdmHash *hash;
    const SpdmAsym *asym;
} SpdmSigner;

/* Sign the spans of a transcript; @sig receives asym->sig_len bytes. */
bool spdm_sign(const SpdmSigner *s, Entropy *entropy, const SpdmPrivateKey *key, const char *context,
               const SpdmSpan *spans, size_t n, uint8_t *sig);

bool spdm_verify(const SpdmSigner *s, const SpdmPublicKey *key, const char *context, const SpdmSpan *spans,
                 size_t n, const uint8_t *sig);

#endif
