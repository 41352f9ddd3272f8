/*
 * Any bytes into the device: a connection in a state that the first byte chooses, then messages of the input,
 * plain, as raw records, out of packets of each transport, or sealed with the session's keys so that they reach the
 * handlers. Each is one length byte pair and bytes.
 */
#include "spdm/record.h"
#include "unit/spdm_pair.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A packet of some transport. */
static void hear_packet(SpdmPair *pair, SpdmTransport t, const uint8_t *packet, size_t len)
{
    uint8_t  out[SPDM_RECORD_MAX];
    bool     secured;
    SpdmSpan msg;

    if (spdm_packet_unwrap(t, packet, len, &secured, &msg)) {
        pair->responder.config.transport = t;
        (void)spdm_responder_handle(&pair->responder, secured, msg.data, msg.len, out, sizeof(out), &secured);
        pair->responder.config.transport = SPDM_OVER_DOE;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static SpdmPair pair, starts[8];
    static bool     ready;
    ByteReader      r = br_init(data, size);
    uint8_t         out[SPDM_MSG_MAX];
    bool            secured;

    if (!ready) {
        static const unsigned stages[] = { 0, 1, 2, 7 }; /* nothing, connected, session, locked */

        for (unsigned i = 0; i < 8; i++) {
            bool small = i >= 4; /* buffers, so that there are chunks; and answers need two more requests */

            pair_init(&pair, SPDM_RESPONDER_CAPS | (small ? SPDM_CAP_CHUNK : 0u));
            pair.responder.config.transfer_size = small ? 64 : SPDM_MSG_MAX;
            pair.requester.options.transfer_size = small ? 64 : 0;
            pair.responder.config.not_ready = small ? 2 : 0;
            (void)pair_run(&pair, stages[i % 4]);
            starts[i] = pair;
        }
        ready = true;
    }
    pair = starts[br_u8(&r) & 7];
    for (unsigned i = 0; i < 16 && br_left(&r) != 0; i++) {
        uint8_t        kind = br_u8(&r);
        size_t         len = br_u16(&r);
        const uint8_t *msg;

        len = len < br_left(&r) ? len : br_left(&r);
        len = len < SPDM_MSG_MAX ? len : SPDM_MSG_MAX;
        msg = br_take(&r, len);
        if (msg == NULL) {
            break;
        }
        if (kind & 0x80) {
            hear_packet(&pair, (SpdmTransport)(kind % SPDM_N_TRANSPORTS), msg, len);
            continue;
        }
        switch (kind & 3) {
        case 0:
        case 1:
            (void)spdm_responder_handle(&pair.responder, kind & 1, msg, len, out, sizeof(out), &secured);
            break;
        case 2:
            (void)pair_send(&pair, true, msg, len, out, sizeof(out));
            break;
        default:
            (void)pair_send_pci(&pair, kind >> 2 & 1, msg, len < 2048 ? len : 2048, out, sizeof(out));
            break;
        }
    }
    return 0;
}
