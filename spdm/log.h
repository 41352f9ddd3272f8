/*
 * The measurement extension log (MEL): what was extended into hash-extend measurements (HEM), entry by entry. DMTF
 * DSP0274 1.3, "DMTF measurement extension log format" and "Hash-extend measurements". Device and verifier build and
 * read the same bytes.
 */
#ifndef BAILEY_SPDM_LOG_H
#define BAILEY_SPDM_LOG_H

#include "bytes.h"
#include "spdm/crypto.h"

/* One entry: a raw value that was extended into a measurement. */
typedef struct SpdmLogEntry {
    uint8_t        index; /* of the measurement */
    uint8_t        kind;  /* SpdmMeasurementKind of the value */
    const uint8_t *value;
    uint16_t       len;
} SpdmLogEntry;

/* spdm_log_begin - the log's header, as yet without entries. */
void spdm_log_begin(ByteWriter *log);

/* spdm_log_add - one more entry at the end. */
void spdm_log_add(ByteWriter *log, const SpdmLogEntry *entry);

/**
 * spdm_log_extend - what a measurement must be by the log: from zeros on, the hash of value so far and entry, for each
 * entry that names it.
 * @index: the measurement's
 * @out:   receives @hash->len bytes
 * Returns NULL, or why the log is none.
 */
const char *spdm_log_extend(SpdmSpan log, uint8_t index, const SpdmHash *hash, uint8_t *out);

#endif
