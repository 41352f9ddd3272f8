/*
 * A tdisp-nic below a root port in a machine without CPUs, set up as firmware would: for commands that talk to the
 * device and to nothing else. Data objects go through its mailbox's registers, so answers, silence and errors are the
 * device's own.
 */
#ifndef BAILEY_TOOL_SPDM_DEVICE_H
#define BAILEY_TOOL_SPDM_DEVICE_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spdm/binding.h"

typedef struct SpdmDevice SpdmDevice;

/**
 * spdm_device_new - the device.
 * @properties: as behind "-device tdisp-nic,"; NULL: none
 * @seed: as -seed; the same seed gives the same answers
 * Returns NULL with a sentence.
 */
SpdmDevice *spdm_device_new(const char *properties, uint64_t seed, GError **error);

void spdm_device_free(SpdmDevice *d); /* accepts NULL */

/**
 * spdm_device_exchange - one packet of @transport to the device, and its answer. A data object goes through the
 * mailbox, the others straight to the device's responder, as from a management controller.
 * @reply: receives the answer; empty when the device is silent or its mailbox reports an error, which is cleared
 */
void spdm_device_exchange(SpdmDevice *d, SpdmTransport transport, const uint8_t *packet, size_t len,
                          GByteArray *reply);

/* spdm_device_want_key_update - as spdm_responder_want_key_update() of the device's responder. */
void spdm_device_want_key_update(SpdmDevice *d, uint32_t session_id);

#endif
