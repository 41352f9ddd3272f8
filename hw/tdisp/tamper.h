/*
 * What a device with a security manager does wrong when told to: property tamper=NAME[=N][+NAME...]. Testers see with
 * it what the other parties do about a device that is forged, broken or slow.
 */
#ifndef BAILEY_HW_TDISP_TAMPER_H
#define BAILEY_HW_TDISP_TAMPER_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spdm/pki.h"

/* For the property's help and messages; a test compares it with the table. */
#define TAMPER_NAMES                                                                                            \
    "wrong-root, expired, wrong-usage, wrong-signature, wrong-measurement[=AFTER], silent[=MESSAGES], "         \
    "drop[=NTH], bad-mac[=NTH], slow[=MS], not-ready[=TIMES]"

typedef enum TamperKind {
    TAMPER_WRONG_ROOT,
    TAMPER_EXPIRED,
    TAMPER_WRONG_USAGE,
    TAMPER_WRONG_SIGNATURE,
    TAMPER_WRONG_MEASUREMENT,
    TAMPER_SILENT,
    TAMPER_DROP,
    TAMPER_BAD_MAC,
    TAMPER_SLOW,
    TAMPER_NOT_READY,
    N_TAMPER
} TamperKind;

/* All zeros: nothing is wrong. */
typedef struct Tamper {
    bool     on[N_TAMPER];
    uint64_t n[N_TAMPER];       /* the parameter */
    uint64_t messages, records; /* answered so far, since power on */
} Tamper;

/**
 * tamper_parse - the value of tamper=.
 * @device: its class, for messages; @text: NULL: nothing is wrong
 * Returns false with a sentence in @error that has all names.
 */
bool tamper_parse(Tamper *t, const char *device, const char *text, GError **error);

/**
 * tamper_inject - the same for a device that runs: what @text names goes wrong too from now on, and numbers of messages
 * and records count from now.
 * Returns false with a sentence; faults of certificates are chosen when the device is made.
 */
bool tamper_inject(Tamper *t, const char *device, const char *text, GError **error);

/* tamper_name - of a fault, as the property has it. */
const char *tamper_name(TamperKind kind);

/* tamper_pki - the test certificates that the device shows. */
SpdmTestPki tamper_pki(const Tamper *t);

/**
 * tamper_answer - spoil an answer of the SPDM responder.
 * @id: the device's, for the trace; @secured: a record; @len: 0: there is none
 * Returns the answer's new length, 0 for none.
 */
size_t tamper_answer(Tamper *t, const char *id, bool secured, uint8_t *answer, size_t len);

/* tamper_measures_wrongly - the firmware measures as another one; tamper_measures_otherwise - since the last answer. */
bool tamper_measures_wrongly(const Tamper *t);
bool tamper_measures_otherwise(const Tamper *t);

/* tamper_delay_ns - how long the mailbox is busy with each object; 0: answered there and then. */
int64_t tamper_delay_ns(const Tamper *t);

/* tamper_not_ready - how often a signed answer is not ready when asked for. */
uint8_t tamper_not_ready(const Tamper *t);

#endif
