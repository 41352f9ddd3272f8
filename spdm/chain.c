/*
 * Certificate chains on the wire, of both ends.
 */
#include "spdm/chain.h"

bool spdm_chain_of(const SpdmIdentity *id, const SpdmHash *hash, SpdmChain *chain)
{
    chain->spans[0] = (SpdmSpan){ chain->header, 4 + hash->len };
    chain->spans[1] = (SpdmSpan){ spdm_identity_certs(id), id->certs_len };
    chain->len = chain->spans[0].len + chain->spans[1].len;
    le32_put(chain->header, (uint32_t)chain->len);
    return spdm_hash_spans(hash, &(SpdmSpan){ spdm_identity_certs(id), id->root_len }, 1, chain->header + 4);
}

void spdm_chain_append(const SpdmChain *chain, size_t offset, size_t len, ByteWriter *w)
{
    for (unsigned i = 0; i < 2; i++) {
        const uint8_t *bytes = chain->spans[i].data;
        size_t         all = chain->spans[i].len, n = offset < all ? all - offset : 0;

        n = n < len ? n : len;
        bw_bytes(w, bytes + (n != 0 ? offset : 0), n);
        len -= n;
        offset = offset < all ? 0 : offset - all;
    }
}
