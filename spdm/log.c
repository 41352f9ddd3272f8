/* The measurement extension log: header, entries, and the hash over those of one measurement. */
#include "spdm/log.h"

#include <string.h>

#define VALUE_RAW 0x80

enum { COUNT_AT = 0, LEN_AT = 4, HEADER_LEN = 16 }; /* number of entries, their bytes, reserved */

void spdm_log_begin(ByteWriter *log) { bw_zero(log, HEADER_LEN); }

void spdm_log_add(ByteWriter *log, const SpdmLogEntry *entry)
{
    uint32_t n = bw_ok(log) ? le32_get(log->data + COUNT_AT) + 1 : 0;

    bw_u32(log, n); /* MELIndex, from 1 on */
    bw_u8(log, entry->index);
    bw_zero(log, 3);
    bw_u8(log, entry->kind | VALUE_RAW);
    bw_u16(log, entry->len);
    bw_bytes(log, entry->value, entry->len);
    if (bw_ok(log)) {
        le32_put(log->data + COUNT_AT, n);
        le32_put(log->data + LEN_AT, (uint32_t)(log->pos - HEADER_LEN));
    }
}

const char *spdm_log_extend(SpdmSpan log, uint8_t index, const SpdmHash *hash, uint8_t *out)
{
    ByteReader r = br_init(log.data, log.len);
    uint32_t   count = br_u32(&r), len = br_u32(&r);

    br_skip(&r, 8);
    memset(out, 0, hash->len);
    if (!br_ok(&r) || len != br_left(&r)) {
        return "the log contradicts its own length";
    }
    for (uint32_t n = 0; n < count && br_ok(&r); n++) {
        size_t   start = r.pos;
        uint32_t mel_index = br_u32(&r);
        uint8_t  of = br_u8(&r);
        SpdmSpan spans[2] = { { out, hash->len } };

        br_skip(&r, 3 + 1); /* reserved; type */
        br_skip(&r, br_u16(&r));
        if (br_ok(&r) && mel_index != n + 1) {
            return "the log's entries are out of order";
        }
        spans[1] = (SpdmSpan){ (const uint8_t *)log.data + start, r.pos - start };
        if (br_ok(&r) && of == index && !spdm_hash_spans(hash, spans, 2, out)) {
            return "the log could not be hashed";
        }
    }
    return br_ok(&r) && br_left(&r) == 0 ? NULL : "the log has another number of entries than it says";
}
