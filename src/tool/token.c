/*
 * bailey token: prints a CCA attestation token and verifies it.
 */
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "device.h"
#include "files.h"
#include "log.h"
#include "rmm/rmm.h"
#include "tool/cca_token.h"

typedef struct TokenOptions {
    const char *file, *root, *platform, *challenge, *rim, *rem;
} TokenOptions;

/* @text in hexadecimal digits, up to @room bytes; 0 with a sentence when it is something else. */
static size_t parse_hex(const char *option, const char *text, size_t text_len, uint8_t *out, size_t room,
                        GError **error)
{
    size_t n = text_len / 2;
    bool   ok = text_len != 0 && text_len % 2 == 0 && n <= room;

    for (size_t i = 0; ok && i < text_len; i++) {
        int digit = g_ascii_xdigit_value(text[i]);

        ok = digit >= 0;
        out[i / 2] = (uint8_t)(out[i / 2] << 4 | (digit & 15));
    }
    if (!ok) {
        g_set_error(error, BAILEY_ERROR, 1, "token: -%s: '%.*s' is not 1 to %zu bytes in hexadecimal digits", option,
                    (int)text_len, text, room);
        return 0;
    }
    return n;
}

/* HEX[,HEX]...: the extensible measurements from the first; an empty one is not compared. */
static bool parse_rems(const char *text, TokenExpect *e, GError **error)
{
    for (unsigned i = 0; text != NULL; i++) {
        const char *comma = strchr(text, ',');
        size_t      len = comma != NULL ? (size_t)(comma - text) : strlen(text);

        if (i == TOKEN_N_REM) {
            g_set_error(error, BAILEY_ERROR, 1, "token: -rem: a Realm has %d extensible measurements, and '%s' is one "
                                                "more; leave it out", TOKEN_N_REM, text);
            return false;
        }
        if (len != 0 && (e->rem_len[i] = parse_hex("rem", text, len, e->rem[i], TOKEN_DIGEST_MAX, error)) == 0) {
            return false;
        }
        text = comma != NULL ? comma + 1 : NULL;
    }
    return true;
}

/* The expectations that need no file. DEN0137 "Attestation token generation": a short challenge ends in zeros. */
static bool parse_expected(const TokenOptions *o, TokenExpect *e, GError **error)
{
    e->has_challenge = o->challenge != NULL;
    if (o->challenge != NULL && parse_hex("challenge", o->challenge, strlen(o->challenge), e->challenge,
                                          sizeof(e->challenge), error) == 0) {
        return false;
    }
    if (o->rim != NULL) {
        e->rim_len = parse_hex("rim", o->rim, strlen(o->rim), e->rim, sizeof(e->rim), error);
    }
    return (o->rim == NULL || e->rim_len != 0) && (o->rem == NULL || parse_rems(o->rem, e, error));
}

static char *read_file(const char *path, size_t *len, GError **error)
{
    GError *e = NULL;
    char   *data;

    if (!file_read(path, TOKEN_MAX_SIZE, &data, len, &e)) {
        g_set_error(error, BAILEY_ERROR, 1, "token: cannot read '%s': %s", path, e->message);
        g_error_free(e);
    }
    return data;
}

static void print_check(void *opaque, CheckResult result, const char *name, const char *text)
{
    static const char *const words[] = { [CHECK_OK] = "ok  ", [CHECK_FAIL] = "FAIL", [CHECK_SKIP] = "skip" };
    unsigned                *counts = opaque;

    counts[result]++;
    printf("%s %s: %s\n", words[result], name, text);
}

/* Shows and checks; the exit status. */
static int examine(const char *data, size_t len, const TokenExpect *e)
{
    CcaToken token;
    GError  *error = NULL;
    unsigned counts[3] = { 0 };

    if (cca_token_parse(&token, (const uint8_t *)data, len, &error)) {
        GString *text = g_string_new(NULL);

        cca_token_print(&token, text);
        fputs(text->str, stdout);
        g_string_free(text, TRUE);
        cca_token_verify(&token, e, print_check, counts);
    } else {
        print_check(counts, CHECK_FAIL, "form", error->message);
        g_error_free(error);
    }
    if (counts[CHECK_FAIL] != 0) {
        printf("token NOT accepted: %u of %u checks failed\n", counts[CHECK_FAIL],
               counts[CHECK_FAIL] + counts[CHECK_OK]);
        return COMMAND_FAILED;
    }
    printf("token accepted: %u checks%s\n", counts[CHECK_OK],
           counts[CHECK_SKIP] != 0 ? ", those marked 'skip' left out" : "");
    return COMMAND_OK;
}

/* Reads what the options name, then examines the token; the exit status. */
static int verify(const TokenOptions *o, TokenExpect *e, GError **error)
{
    size_t len, ignored;
    int    status = COMMAND_FAILED;
    char  *root = o->root != NULL ? read_file(o->root, &ignored, error) : g_strdup(rmm_attest_root_pem());
    char  *platform = NULL, *data = NULL;

    if (root != NULL) {
        platform = o->platform != NULL ? read_file(o->platform, &ignored, error) : g_strdup(rmm_attest_platform_pem());
    }
    if (platform != NULL) {
        data = read_file(o->file, &len, error);
    }
    if (data != NULL) {
        e->root_pem = root;
        e->platform_pem = platform;
        status = examine(data, len, e);
    }
    g_free(root);
    g_free(platform);
    g_free(data);
    return status;
}

static const CommandOption token_options[] = {
    { "challenge", "HEX", "the challenge the token was asked for; up to 64 bytes, zeros follow",
      offsetof(TokenOptions, challenge) },
    { "rim", "HEX", "the initial measurement expected, as 'bailey rim' prints it", offsetof(TokenOptions, rim) },
    { "rem", "HEX[,HEX]...", "the extensible measurements expected, from the first; empty: not compared",
      offsetof(TokenOptions, rem) },
    { "root", "FILE.pem", "the root certificate that is trusted (default: the TEST root)",
      offsetof(TokenOptions, root) },
    { "platform", "FILE.pem", "the platform key's certificate and those up to the root, or a public key (default: "
                              "the TEST one)", offsetof(TokenOptions, platform) },
};

static int run_token(const Command *cmd, int argc, char **argv)
{
    TokenOptions o = { 0 };
    TokenExpect  e = { 0 };
    GError      *error = NULL;
    bool         help;
    int          status = COMMAND_BAD_USAGE;

    if (command_parse(cmd, &o, argc, argv, &o.file, &help, &error) && !help) {
        if (o.file == NULL) {
            g_set_error(&error, BAILEY_ERROR, 1, "token: no FILE given; bailey token %s", cmd->args);
        } else if (parse_expected(&o, &e, &error)) {
            status = verify(&o, &e, &error);
        }
    }
    return command_finish(help, status, error);
}

COMMAND(token, .name = "token", .options = token_options, .n_options = G_N_ELEMENTS(token_options),
        .args = "FILE [options]", .run = run_token,
        .help = "print a CCA attestation token and verify it: status 0 when it is right, 1 when not");
