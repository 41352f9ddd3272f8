/*
 * Transports that SPDM is bound to: what stands around a message on the way, and what each of them adds to a record.
 * DMTF DSP0275 and DSP0276 (MCTP), DSP0287 (TCP); PCIe r6 "CMA-SPDM" (DOE data objects).
 */
#ifndef BAILEY_SPDM_BINDING_H
#define BAILEY_SPDM_BINDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "spdm/crypto.h"

typedef enum SpdmTransport { SPDM_OVER_DOE, SPDM_OVER_MCTP, SPDM_OVER_TCP, SPDM_N_TRANSPORTS } SpdmTransport;

typedef struct SpdmBinding {
    const char *name;         /* as a user writes it */
    uint8_t     sequence_len; /* bytes of the sequence number that a record shows; 0: none */
    uint8_t     inner_len;    /* of the header in front of the message inside a record */
    uint8_t     header_len;   /* of a packet's header */
} SpdmBinding;

/* The longest header of a packet and the padding behind it. */
#define SPDM_PACKET_OVERHEAD (8 + 3)

const SpdmBinding *spdm_binding(SpdmTransport t);

/**
 * spdm_packet_wrap - one message or record as the transport carries it.
 * @secured: @msg is a record
 * What is too long for the transport makes @w fail.
 */
void spdm_packet_wrap(SpdmTransport t, bool secured, const uint8_t *msg, size_t len, ByteWriter *w);

/**
 * spdm_packet_unwrap - the message or record of one packet.
 * @secured: which of the two
 * @msg: part of @packet; a data object's may have up to three bytes of padding behind it
 * Returns false when the packet is malformed or carries no SPDM.
 */
bool spdm_packet_unwrap(SpdmTransport t, const uint8_t *packet, size_t len, bool *secured, SpdmSpan *msg);

/* The header of the message inside a record, which then looks like a packet that is not secured; nothing with DOE. */
void spdm_inner_wrap(SpdmTransport t, size_t len, ByteWriter *w);
bool spdm_inner_unwrap(SpdmTransport t, SpdmSpan *msg);

#endif
