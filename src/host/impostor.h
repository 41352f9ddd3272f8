/*
 * host-fault=substitute-key: the host in the device's place. It reads the device's certificates, then answers
 * the RMM itself: a whole SPDM responder with IDE_KM and TDISP, under the genuine certificates but with a key
 * of its own, which it also names to the RMM as the device's. Nothing of it reaches the device, so only who
 * compares the certificate's key with the one the RMM used finds out.
 */
#ifndef BAILEY_HOST_IMPOSTOR_H
#define BAILEY_HOST_IMPOSTOR_H

#include "host/assign.h"
#include "spdm/crypto.h"

typedef enum ImpostorState { IMPOSTOR_LEARNING, IMPOSTOR_READY, IMPOSTOR_FAILED } ImpostorState;

HostImpostor *impostor_new(const HostFunction *f, uint64_t seed);
void          impostor_free(HostImpostor *im); /* accepts NULL */

/* impostor_learn - one step of reading the device's certificates through its mailbox; @relay is the job's. */
ImpostorState impostor_learn(HostImpostor *im, HostRelay *relay, int64_t now_ns);

/* The key to name as the device's. */
SpdmPublicKey impostor_key(HostImpostor *im);

/* impostor_answer - the exchange that was started ends here and now, without the device. */
void impostor_answer(HostImpostor *im, HostRelay *relay);

#endif
