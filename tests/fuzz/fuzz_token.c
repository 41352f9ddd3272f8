/*
 * Any bytes as a CCA attestation token: taken apart, shown and verified. Bytes that make no token are put into the
 * frame of one, as platform token, Realm token, claims or Realm key, so that the parsers inside are reached.
 */
#include <glib.h>
#include <string.h>

#include "tool/cca_token.h"

enum { FRAME_WHOLE, FRAME_PARTS, FRAME_CLAIMS, FRAME_KEY, N_FRAMES };

static void ignore(void *opaque, CheckResult result, const char *name, const char *text)
{
    g_assert(name[0] != '\0' && text[0] != '\0');
}

static void put_bytes(GByteArray *out, const GByteArray *content)
{
    uint8_t head[3] = { 0x59, (uint8_t)(content->len >> 8), (uint8_t)content->len };

    g_byte_array_append(out, head, sizeof(head));
    g_byte_array_append(out, content->data, content->len);
}

static GByteArray *array_of(const void *data, size_t len)
{
    return g_byte_array_append(g_byte_array_new(), data, (guint)len);
}

/* { 44237: key } with the bytes as key. */
static GByteArray *key_claims(GByteArray *key)
{
    GByteArray *claims = array_of("\xa1\x19\xac\xcd", 4);

    put_bytes(claims, key);
    g_byte_array_free(key, TRUE);
    return claims;
}

/* A COSE_Sign1 around claims, with a signature of the right length. */
static GByteArray *sign1(GByteArray *claims)
{
    static const uint8_t zeros[96];
    GByteArray          *out = array_of("\xd2\x84\x44\xa1\x01\x38\x22\xa0", 8);
    GByteArray          *signature = array_of(zeros, sizeof(zeros));

    put_bytes(out, claims);
    put_bytes(out, signature);
    g_byte_array_free(signature, TRUE);
    g_byte_array_free(claims, TRUE);
    return out;
}

/* A token with @inner as both parts. */
static GByteArray *collection(GByteArray *inner)
{
    GByteArray *out = array_of("\xd9\x01\x8f\xa2\x19\xac\xca", 7);

    put_bytes(out, inner);
    g_byte_array_append(out, (const uint8_t *)"\x19\xac\xd1", 3);
    put_bytes(out, inner);
    g_byte_array_free(inner, TRUE);
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const TokenExpect e = { .root_pem = "", .platform_pem = "", .has_challenge = true, .rim_len = 32,
                                   .rem_len = { 32, 0, 64, 0 } };
    if (size == 0) {
        return 0;
    }
    unsigned    frame = data[0] % N_FRAMES;
    GByteArray *bytes = array_of(data + 1, size - 1);
    CcaToken    t;

    bytes = frame == FRAME_KEY ? key_claims(bytes) : bytes;
    bytes = frame >= FRAME_CLAIMS ? sign1(bytes) : bytes;
    bytes = frame >= FRAME_PARTS ? collection(bytes) : bytes;
    uint8_t *exact = g_memdup2(bytes->data, bytes->len); /* so that a read beyond the end is seen */
    if (cca_token_parse(&t, exact, bytes->len, NULL)) {
        GString *text = g_string_new(NULL);

        cca_token_print(&t, text);
        for (gsize i = 0; i < text->len; i++) {
            g_assert(text->str[i] == '\n' || g_ascii_isprint(text->str[i]));
        }
        g_string_free(text, TRUE);
        g_assert(!cca_token_verify(&t, &e, ignore, NULL));
    }
    g_free(exact);
    g_byte_array_free(bytes, TRUE);
    return 0;
}
