/*
 * A certificate chain as DSP0274 "Certificate chain format" has it: length and root hash, then the certificates.
 */
#ifndef BAILEY_SPDM_CHAIN_H
#define BAILEY_SPDM_CHAIN_H

#include "bytes.h"
#include "spdm/pki.h"

typedef struct SpdmChain {
    uint8_t  header[4 + SPDM_HASH_MAX];
    SpdmSpan spans[2]; /* the header, the certificates */
    size_t   len;
} SpdmChain;

/* spdm_chain_of - the chain of an identity, in place: @chain must not be copied. False only when the library fails. */
bool spdm_chain_of(const SpdmIdentity *id, const SpdmHash *hash, SpdmChain *chain);

/* spdm_chain_append - bytes @offset to @offset + @len of header and certificates, which are there. */
void spdm_chain_append(const SpdmChain *chain, size_t offset, size_t len, ByteWriter *w);

#endif
