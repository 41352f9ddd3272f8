/*
 * Pre-shared keys as text.
 */
#include "spdm/psk.h"

#include <stddef.h>
#include <string.h>

#include "spdm/crypto.h"

const char *spdm_psk_test(void)
{
    return "bailey-test-psk:5445535420707265736861726564206b6579206f66204261696c65792c206e6f2073656372657421";
}

static int digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Bytes of a hexadecimal text; their number, or -1 when it is none or they do not fit. */
static int read_hex(const char *text, size_t len, uint8_t *out, size_t cap)
{
    if (len % 2 != 0 || len / 2 > cap) {
        return -1;
    }
    for (size_t i = 0; i < len / 2; i++) {
        int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);

        if (high < 0 || low < 0) {
            return -1;
        }
        out[i] = (uint8_t)(high << 4 | low);
    }
    return (int)(len / 2);
}

static int read_hint(const char *text, size_t len, uint8_t *out)
{
    if (len != 0 && *text == '#') {
        return read_hex(text + 1, len - 1, out, SPDM_PSK_HINT_MAX);
    }
    if (len > SPDM_PSK_HINT_MAX) {
        return -1;
    }
    memcpy(out, text, len);
    return (int)len;
}

const char *spdm_psk_read(const char *text, SpdmPsk *psk)
{
    size_t      len = strcspn(text, "\r\n");
    const char *colon = memchr(text, ':', len), *end = text + len;
    SpdmPsk     p = { 0 };
    int         hint_len, key_len;

    if (end[strspn(end, "\r\n")] != '\0' || colon == NULL) {
        return "one line HINT:KEY is wanted";
    }
    hint_len = read_hint(text, (size_t)(colon - text), p.hint);
    if (hint_len < 0) {
        return "the hint is longer than 64 bytes, or what is behind its # is not hexadecimal";
    }
    key_len = read_hex(colon + 1, (size_t)(end - colon - 1), p.key, sizeof(p.key));
    if (key_len <= 0) {
        spdm_wipe(&p, sizeof(p));
        return "the key is not hexadecimal, or not of 1 to 128 bytes";
    }
    p.hint_len = (uint16_t)hint_len;
    p.key_len = (uint16_t)key_len;
    *psk = p;
    spdm_wipe(&p, sizeof(p));
    return NULL;
}
