/*
 * Between a request of the requester and its response: chunks of the one or the other, and asking again when the device
 * is not ready. DMTF DSP0274 1.2, "Large SPDM message transfer mechanism", "RESPOND_IF_READY request message".
 */
#ifndef BAILEY_SPDM_CARRY_H
#define BAILEY_SPDM_CARRY_H

#include "spdm/spdm.h"

typedef enum SpdmCarried {
    SPDM_CARRIED_WHOLE,  /* the requester's reply is the response to its request */
    SPDM_CARRIED_MORE,   /* another message goes out first */
    SPDM_CARRIED_BROKEN, /* the device broke the transfer's rules: the reason is in the requester's error */
} SpdmCarried;

/* The capabilities that the requester announces. */
uint32_t spdm_requester_capabilities(const SpdmRequester *r);

/* The request is built: see how it can go out. Returns NULL, or why it cannot. */
const char *spdm_carry_start(SpdmRequester *r);

/* The message that goes out now: the request, or what stands in for it, written to @w. */
SpdmSpan spdm_carry_request(SpdmRequester *r, ByteWriter *w);

/* A message came and is the requester's reply; it becomes the response when that is whole. */
SpdmCarried spdm_carry_reply(SpdmRequester *r);

/* Nothing is under way any more. */
void spdm_carry_stop(SpdmRequester *r);

/* Whether the requester's slots have keys of their own. */
static inline bool spdm_has_own_keys(const SpdmRequester *r)
{
    return r->options.own_keys && r->identity != NULL && r->version >= SPDM_VERSION_13;
}

#endif
