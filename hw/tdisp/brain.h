/*
 * An SPDM responder at the end of a socket in place of the device's own: spdm=socket:ADDRESS:PORT. Objects of the
 * mailbox go there and answers come back as they are, in the framing of the public emulators. The machine stands still
 * for the time of an answer, so the guest finds it at once, as the device's own; what it says is up to the other side.
 */
#ifndef BAILEY_HW_TDISP_BRAIN_H
#define BAILEY_HW_TDISP_BRAIN_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Brain Brain;

enum { BRAIN_PATIENCE_MS = 5000 };

/**
 * brain_new - connect to the responder.
 * @spec: socket:ADDRESS:PORT or socket:unix:PATH
 * @device: whose it is, in messages
 * @patience_ms: how long one answer may take, wall time; BRAIN_PATIENCE_MS when in doubt
 * Returns NULL with a sentence.
 */
Brain *brain_new(const char *spec, const char *device, int patience_ms, GError **error);

/* brain_free - tells the responder that nobody asks any more; accepts NULL. */
void brain_free(Brain *b);

/**
 * brain_exchange - one object's payload and its answer.
 * @secured: it is a record, and the answer must be
 * Returns bytes of the answer, at most @cap; 0: the responder is silent, or has been gone since it broke the rules or
 * left, which is said once.
 */
size_t brain_exchange(Brain *b, bool secured, const uint8_t *req, size_t len, uint8_t *rsp, size_t cap);

#endif
