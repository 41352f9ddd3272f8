/*
 * The token verifier: a token that the RMM made, every byte of it changed in turn, and bytes that are no token.
 * tests/tool/token signs tokens anew to break one claim at a time.
 */
#include "tests/unit/rmm_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tool/cca_token.h"

enum { TOKEN_ROOM = 4096 };

static Rig        *rig;
static uint8_t     token[TOKEN_ROOM];
static size_t      token_len;
static TokenExpect expect;

/* What the checks said: the names of those that failed, each with a space before and after. */
typedef struct Said {
    char     failed[1024];
    unsigned n_ok, n_skip;
} Said;

static void note(void *opaque, CheckResult result, const char *name, const char *text)
{
    Said  *s = opaque;
    size_t len = strlen(s->failed);

    assert_true(strlen(text) > 0);
    s->n_ok += result == CHECK_OK;
    s->n_skip += result == CHECK_SKIP;
    if (result == CHECK_FAIL) {
        snprintf(s->failed + len, sizeof(s->failed) - len, "%s%s ", len == 0 ? " " : "", name);
    }
}

static int setup(void **state)
{
    static const uint8_t challenge[64] = "challenge of the test";

    rig = rig_new();
    world_new(rig, (const uint32_t[]){ A64_WFI }, 1);
    world_recs(rig);
    rmi_ok(rig, RMI_FID_REALM_ACTIVATE, PAGE(W_RD));
    const Realm *realm = realm_at(rig->rmm, PAGE(W_RD));
    token_len = token_make(rig->rmm, realm, challenge, token, sizeof(token));
    assert_true(token_len > 0);
    expect = (TokenExpect){ .root_pem = rmm_attest_root_pem(), .platform_pem = rmm_attest_platform_pem(),
                            .has_challenge = true, .rim_len = 32 };
    memcpy(expect.challenge, challenge, 64);
    memcpy(expect.rim, realm->measurement[0], 32);
    for (unsigned i = 0; i < TOKEN_N_REM; i++) {
        expect.rem_len[i] = 32;
        memcpy(expect.rem[i], realm->measurement[1 + i], 32);
    }
    return 0;
}

static int teardown(void **state)
{
    rig_free(rig);
    return 0;
}

/* Whether the token is right; what failed, " form " if it could not be taken apart. */
static bool verify(Said *s)
{
    CcaToken t;
    GError  *error = NULL;

    *s = (Said){ 0 };
    if (!cca_token_parse(&t, token, token_len, &error)) {
        assert_non_null(strstr(error->message, "at byte "));
        g_error_free(error);
        snprintf(s->failed, sizeof(s->failed), " form ");
        return false;
    }
    bool ok = cca_token_verify(&t, &expect, note, s);
    assert_int_equal(ok, s->failed[0] == '\0');
    return ok;
}

static void test_made_by_the_rmm(void **state)
{
    Said s;

    assert_true(verify(&s));
    assert_int_equal(s.n_skip, 0);
}

static bool holds(const CborItem *item, size_t at) { return at >= item->content && at < item->end; }

/* Which part the byte at @at belongs to by what is signed or signs; NULL: to neither. */
static const char *part_at(const CcaToken *t, size_t at)
{
    const TokenPart *parts[] = { &t->platform, &t->realm };

    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        const TokenPart *p = parts[i];

        if (holds(&p->header, at) || holds(&p->payload, at) || holds(&p->signature, at)) {
            return p->name;
        }
    }
    return NULL;
}

/* One bit of each byte: where a part says something or signs it, its signature fails and not the other; the rest is no
 * token any more. */
static void test_every_byte(void **state)
{
    CcaToken t;
    Said     s;

    assert_true(cca_token_parse(&t, token, token_len, NULL));
    for (size_t at = 0; at < token_len; at++) {
        const char *part = part_at(&t, at);
        uint8_t     bit = (uint8_t)(1u << at % 8);

        token[at] ^= bit;
        if (verify(&s)) {
            fail_msg("byte %zu changed: accepted", at);
        }
        token[at] ^= bit;
        bool form = strcmp(s.failed, " form ") == 0;
        bool platform = strstr(s.failed, " platform-signature ") != NULL;
        bool realm = strstr(s.failed, " realm-signature ") != NULL;
        if (!form && (part == NULL || platform != (strcmp(part, "platform") == 0) || realm == platform)) {
            fail_msg("byte %zu (%s) changed: failed%s", at, part != NULL ? part : "frame", s.failed);
        }
    }
    assert_true(verify(&s));
}

/* Every length short of the whole. */
static void test_cut(void **state)
{
    size_t whole = token_len;
    Said   s;

    for (token_len = 0; token_len < whole; token_len++) {
        /* A copy of exact size, so that a sanitizer sees a read beyond it. */
        uint8_t *copy = g_memdup2(token, token_len);
        CcaToken t;

        assert_false(cca_token_parse(&t, copy, token_len, NULL));
        g_free(copy);
    }
    assert_true(verify(&s));
}

typedef struct ExpectRow {
    const char *name, *failed;
    size_t      at;     /* byte of TokenExpect to change */
} ExpectRow;

static const ExpectRow expect_rows[] = {
    { "challenge", " expected-challenge ", offsetof(TokenExpect, challenge) + 63 },
    { "initial measurement", " expected-rim ", offsetof(TokenExpect, rim) },
    { "extensible measurement 1", " expected-rem-1 ", offsetof(TokenExpect, rem[0]) },
    { "extensible measurement 4", " expected-rem-4 ", offsetof(TokenExpect, rem[3]) + 31 },
};

static void test_expected(void **state)
{
    Said s;

    for (size_t i = 0; i < ARRAY_LEN(expect_rows); i++) {
        const ExpectRow *row = &expect_rows[i];

        ((uint8_t *)&expect)[row->at] ^= 1;
        assert_false(verify(&s));
        if (strcmp(s.failed, row->failed) != 0) {
            fail_msg("%s: failed%s", row->name, s.failed);
        }
        ((uint8_t *)&expect)[row->at] ^= 1;
    }
    expect = (TokenExpect){ .root_pem = rmm_attest_root_pem(), .platform_pem = rmm_attest_platform_pem() };
    assert_true(verify(&s));
    assert_int_equal(s.n_skip, 6);
}

/* Another machine's Realm key, same platform: the tokens do not belong together. */
static void test_mixed(void **state)
{
    CcaToken t;
    Said     s;
    uint8_t  other[TOKEN_ROOM];
    Realm   *realm = realm_at(rig->rmm, PAGE(W_RD));

    attest_init(rig->rmm, 99);
    memset(rig->rmm->rak_point, 0, sizeof(rig->rmm->rak_point));
    size_t len = token_make(rig->rmm, realm, expect.challenge, other, sizeof(other));
    assert_int_equal(len, token_len); /* the platform token is the one made before */
    memcpy(token, other, len);
    assert_true(cca_token_parse(&t, token, token_len, NULL));
    assert_false(verify(&s));
    assert_string_equal(s.failed, " binding ");
}

/* ---- what is no token ---- */

typedef struct BadRow {
    const char *name;
    uint8_t     bytes[24];
    size_t      len;
    const char *message;
} BadRow;

#define B(...) { __VA_ARGS__ }, sizeof((uint8_t[]){ __VA_ARGS__ })

static const BadRow bad_rows[] = {
    { "not a tag", B(0x01), "the token: at byte 0: not a CCA token, which starts with tag 399" },
    { "another tag", B(0xd2, 0x80), "the token: at byte 0: a tag other than that of a CCA token (399)" },
    { "tag without content", B(0xd9, 0x01, 0x8f), "the token: at byte 3: an item is missing: the data ends here" },
    { "cut head", B(0xd9, 0x01), "the token: at byte 0: the data ends inside the head of an item" },
    { "reserved head", B(0xd9, 0x01, 0x8f, 0x1c), "the token: at byte 3: a head that CBOR reserves" },
    { "indefinite map", B(0xd9, 0x01, 0x8f, 0xbf, 0xff),
      "the token: at byte 3: an item of indefinite length, which a CCA token must not have" },
    { "break alone", B(0xff), "the token: at byte 0: an item of indefinite length, which a CCA token must not have" },
    { "huge string", B(0xd9, 0x01, 0x8f, 0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
      "the token: at byte 3: a string that goes beyond the end of what holds it" },
    { "huge array", B(0xd9, 0x01, 0x8f, 0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
      "the token: at byte 3: an array or map of more items than the data has bytes" },
    { "huge map", B(0xd9, 0x01, 0x8f, 0xbb, 0x80, 0, 0, 0, 0, 0, 0, 0),
      "the token: at byte 3: an array or map of more items than the data has bytes" },
    { "not a map", B(0xd9, 0x01, 0x8f, 0x80), "the token: at byte 3: something other than a map" },
    { "three parts", B(0xd9, 0x01, 0x8f, 0xa3, 1, 1, 2, 2, 3, 3),
      "the token: at byte 3: a map of more entries than any claim set has" },
    { "neither part", B(0xd9, 0x01, 0x8f, 0xa0),
      "the token: at byte 3: a map that does not hold a platform token (44234) and a realm token (44241) as bytes" },
    { "platform twice", B(0xd9, 0x01, 0x8f, 0xa2, 0x19, 0xac, 0xca, 0x40, 0x19, 0xac, 0xca, 0x40),
      "the token: at byte 8: a key that the map has twice" },
    { "odd key", B(0xd9, 0x01, 0x8f, 0xa1, 0x80, 0x40),
      "the token: at byte 4: a key that is neither a number nor text" },
    { "text that is none", B(0xd9, 0x01, 0x8f, 0xa1, 0x61, 0xff, 0x40),
      "the token: at byte 4: a text that is not UTF-8" },
    { "parts are no bytes", B(0xd9, 0x01, 0x8f, 0xa2, 0x19, 0xac, 0xca, 0x01, 0x19, 0xac, 0xd1, 0x40),
      "the token: at byte 3: a map that does not hold a platform token (44234) and a realm token (44241) as bytes" },
    { "empty parts", B(0xd9, 0x01, 0x8f, 0xa2, 0x19, 0xac, 0xca, 0x40, 0x19, 0xac, 0xd1, 0x40),
      "the platform token: at byte 8: an item is missing: the data ends here" },
    { "no COSE_Sign1", B(0xd9, 0x01, 0x8f, 0xa2, 0x19, 0xac, 0xca, 0x41, 0x84, 0x19, 0xac, 0xd1, 0x40),
      "the platform token: at byte 8: an array or map of more items than the data has bytes" },
    { "COSE_Mac0", B(0xd9, 0x01, 0x8f, 0xa2, 0x19, 0xac, 0xca, 0x42, 0xd1, 0x80, 0x19, 0xac, 0xd1, 0x40),
      "the platform token: at byte 8: a tag other than that of a COSE_Sign1 (18)" },
    { "three of four", B(0xd9, 0x01, 0x8f, 0xa2, 0x19, 0xac, 0xca, 0x45, 0xd2, 0x83, 0x40, 0xa0, 0x40, 0x19, 0xac, 0xd1,
                         0x40), "the platform token: at byte 9: a COSE_Sign1 that has not four parts" },
    { "no algorithm", B(0xd9, 0x01, 0x8f, 0xa2, 0x19, 0xac, 0xca, 0x47, 0xd2, 0x84, 0x41, 0xa0, 0xa0, 0x40, 0x40, 0x19,
                        0xac, 0xd1, 0x40),
      "the platform token: at byte 11: a protected header that names no algorithm by number" },
    { "detached payload", B(0xd9, 0x01, 0x8f, 0xa2, 0x19, 0xac, 0xca, 0x47, 0xd2, 0x84, 0x41, 0xa0, 0xa0, 0xf6, 0x40,
                            0x19, 0xac, 0xd1, 0x40),
      "the platform token: at byte 13: a payload that is no byte string" },
};

static void test_bad(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(bad_rows); i++) {
        const BadRow *row = &bad_rows[i];
        uint8_t      *copy = g_memdup2(row->bytes, row->len);
        CcaToken      t;
        GError       *error = NULL;

        if (cca_token_parse(&t, copy, row->len, &error)) {
            fail_msg("%s: accepted", row->name);
        }
        if (strcmp(error->message, row->message) != 0) {
            fail_msg("%s: %s", row->name, error->message);
        }
        g_error_free(error);
        g_free(copy);
    }
}

/* 60000 arrays, each in the one before: read without recursion, in time that grows with the length. */
static void test_deep(void **state)
{
    enum { DEPTH = 60000 };
    uint8_t *data = g_malloc(DEPTH + 4);
    CcaToken t;
    GError  *error = NULL;

    memcpy(data, "\xd9\x01\x8f", 3);
    memset(data + 3, 0x81, DEPTH);
    data[3 + DEPTH] = 0;
    assert_false(cca_token_parse(&t, data, DEPTH + 4, &error));
    assert_string_equal(error->message, "the token: at byte 3: something other than a map");
    g_error_free(error);
    g_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_made_by_the_rmm, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_expected, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mixed, setup, teardown),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_deep),
    };

    return cmocka_run_group_tests_name("cca_token", tests, NULL, NULL);
}
