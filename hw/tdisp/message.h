/*
 * What a device was asked and what it answered, for those who watch: names and fields of SPDM, IDE_KM and TDISP
 * messages.
 */
#ifndef BAILEY_HW_TDISP_MESSAGE_H
#define BAILEY_HW_TDISP_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

/**
 * message_tell - tell of an exchange as EVENT_MESSAGE.
 * @device: its ID
 * @session_id: that it was in; 0: none
 * @req, @rsp: plain SPDM messages, whole; the answer may be empty. Either may be anything: what does not parse is named
 *             by its code
 */
void message_tell(const char *device, uint32_t session_id, const uint8_t *req, size_t req_len, const uint8_t *rsp,
                  size_t rsp_len);

#endif
