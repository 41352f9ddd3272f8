/*
 * Secured messages. DMTF DSP0277, "Secured Message format"; what a transport adds is its binding's. On DOE there are
 * no sequence number bytes and no random padding (PCIe r6 "CMA-SPDM").
 */
#ifndef BAILEY_SPDM_RECORD_H
#define BAILEY_SPDM_RECORD_H

#include "spdm/schedule.h"
#include "spdm/wire.h"

/* SessionID, Length, application data length, tag: all of it on DOE. */
#define SPDM_RECORD_OVERHEAD (4 + 2 + 2 + SPDM_AEAD_TAG)

/* The longest record that can hold a message of ours, random data of others included. */
#define SPDM_RECORD_MAX (SPDM_MSG_MAX + 64)

/* What a record of ours has beside the message. */
size_t spdm_record_overhead(SpdmTransport t);

/**
 * spdm_record_seal - protect one SPDM message.
 * @aead: NULL when none was negotiated: nothing is sealed or opened then
 * @c:   the sender's channel; its sequence number advances on success
 * Returns the record's length (not padded to DW), 0 when it does not fit @cap.
 */
size_t spdm_record_seal(const SpdmAead *aead, SpdmChannel *c, uint32_t session_id, const uint8_t *msg,
                        size_t len, uint8_t *out, size_t cap);

/* The session a record names, before anything is checked; false when it is too short to name one. */
bool spdm_record_session(const uint8_t *in, size_t len, uint32_t *session_id);

/**
 * spdm_record_open - check and decrypt one record; DW padding behind it is allowed.
 * @out:     receives the SPDM message, at most @cap bytes; may not overlap @in
 * @out_len: its length
 * Returns false when anything is wrong: the session must then end. The sequence number advances on success
 * only.
 */
bool spdm_record_open(const SpdmAead *aead, SpdmChannel *c, const uint8_t *in, size_t len, uint8_t *out,
                      size_t cap, size_t *out_len);

#endif
