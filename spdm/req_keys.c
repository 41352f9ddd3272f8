/*
 * GET_KEY_PAIR_INFO of the requester: all key pairs of the device, one after the other. DMTF DSP0274 1.3, message
 * sections of the request's name.
 */
#include "spdm/requester.h"

#include <string.h>

enum { LENGTH = 2, TOTAL = 0, NUMBER = 1 }; /* of an entry; in what follows it */

/* libspdm's responder had this many bytes of zero behind its KEY_PAIR_INFO of 1.4, until 643ec613 of June 2026: a slip
 * in reserving room. They mean nothing, and there is nothing else that could stand there. */
enum { SURPLUS = 6 };

/* Entries that are here already. */
static uint8_t count(const SpdmRequester *r)
{
    uint8_t n = 0;

    for (uint32_t at = 0; at < r->message_len; at += LENGTH + le16_get(r->message + at)) {
        n++;
    }
    return n;
}

/* Skips the surplus, if that and DOE's padding is what is left; whether it was there. */
static bool skip_surplus(const SpdmRequester *r, ByteReader *rsp)
{
    size_t left = br_left(rsp);
    bool   there = r->version == SPDM_VERSION_14 && br_ok(rsp) && left >= SURPLUS && left < SURPLUS + 4;

    for (size_t i = 0; there && i < SURPLUS; i++) {
        there = rsp->data[rsp->pos + i] == 0;
    }
    br_skip(rsp, there ? SURPLUS : 0);
    return there;
}

bool spdm_build_get_key_pair_info(SpdmRequester *r, ByteWriter *w)
{
    params(w, 0, 0);
    bw_u8(w, (uint8_t)(count(r) + 1));
    return true;
}

StepResult spdm_read_key_pair_info(SpdmRequester *r, ByteReader *rsp, uint8_t param1, uint8_t param2)
{
    size_t         start = spdm_parsed_len(rsp), len, algorithm_len;
    uint8_t        number = (uint8_t)(count(r) + 1);
    const uint8_t *info = rsp->data + start;

    br_skip(rsp, 1 + 1 + 2 + 2 + 2 + 4 + 4);
    algorithm_len = br_u16(rsp);
    br_skip(rsp, 1 + algorithm_len);
    for (unsigned i = 0; r->version >= SPDM_VERSION_14 && i < 2; i++) {
        br_skip(rsp, br_u8(rsp)); /* post-quantum algorithms: capabilities, and the current one */
    }
    len = spdm_parsed_len(rsp) - start;
    r->surplus_key_pairs |= skip_surplus(r, rsp);
    if (!spdm_message_ends(rsp) || info[NUMBER] != number || info[TOTAL] < number) {
        return step_fail(r, "KEY_PAIR_INFO has a wrong length or is of another pair");
    }
    if (r->message_len + LENGTH + len > sizeof(r->message)) {
        return step_fail(r, "what the device tells of its key pairs is longer than 4 KiB");
    }
    le16_put(r->message + r->message_len, (uint16_t)len);
    memcpy(r->message + r->message_len + LENGTH, info, len);
    r->message_len += (uint32_t)(LENGTH + len);
    return number < info[TOTAL] ? STEP_AGAIN : STEP_NEXT;
}
