/*
 * A key that both ends of an SPDM connection were given beforehand, and the hint by which they name it. DMTF DSP0274,
 * "PSK_EXCHANGE request and PSK_EXCHANGE_RSP response messages".
 */
#ifndef BAILEY_SPDM_PSK_H
#define BAILEY_SPDM_PSK_H

#include <stdbool.h>
#include <stdint.h>

#define SPDM_PSK_HINT_MAX 64
#define SPDM_PSK_KEY_MAX  128

typedef struct SpdmPsk {
    uint16_t hint_len, key_len; /* the key's is 0: there is none */
    uint8_t  hint[SPDM_PSK_HINT_MAX], key[SPDM_PSK_KEY_MAX];
} SpdmPsk;

/**
 * spdm_psk_read - a key out of one line "HINT:KEY", as other programs keep theirs.
 * @text: the hint is taken as it is, or in hexadecimal behind a '#'; the key is in hexadecimal. A line's end may follow
 * Returns NULL, or why the text is no such line; @psk is untouched then.
 */
const char *spdm_psk_read(const char *text, SpdmPsk *psk);

/* spdm_psk_test - the TEST key, in the form of such a line. Everybody knows it: never trust it. */
const char *spdm_psk_test(void);

#endif
