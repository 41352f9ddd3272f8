/*
 * Capabilities as a user writes them: names of DSP0274 "Flag fields definitions for the Responder", in lower case and
 * without _CAP.
 */
#ifndef BAILEY_SPDM_CAPS_H
#define BAILEY_SPDM_CAPS_H

#include <stdint.h>

/**
 * spdm_caps_change - add and take away capabilities.
 * @text: names, each with + or - in front, such as "+chunk-chal"
 * @caps: of a responder
 * Returns NULL, or why the text is wrong or the capabilities do not go together; @caps is untouched then.
 */
const char *spdm_caps_change(const char *text, uint64_t *caps);

/**
 * spdm_caps_contradiction - what a requester must not believe of a responder.
 * @caps: those that @version has
 * Returns NULL, or which flags do not go together.
 */
const char *spdm_caps_contradiction(uint8_t version, uint32_t caps);

/* spdm_caps_names - all names, separated by blanks. */
const char *spdm_caps_names(void);

#endif
