/*
 * Arm CCA attestation tokens as a verifier sees them: parsing, the claims in words, and checks that each say in a
 * sentence what holds or what does not. Shares no code with rmm/, which makes such tokens. RMM specification DEN0137
 * "Attestation token format", "Realm claims", "CCA platform claims"; RFC 9052 "COSE_Sign1"; RFC 9053 "ECDSA",
 * "Elliptic Curve Keys". Appraisal of the platform's software components is left out: it needs somebody's
 * reference values.
 */
#ifndef BAILEY_TOOL_CCA_TOKEN_H
#define BAILEY_TOOL_CCA_TOKEN_H

#include <glib.h>

#include "tool/cbor.h"

#define TOKEN_MAX_SIZE   65536
#define TOKEN_MAX_CLAIMS 64
#define TOKEN_N_REM      4
#define TOKEN_CHALLENGE_SIZE 64
#define TOKEN_DIGEST_MAX 64

/* One COSE_Sign1 and the claims in its payload. */
typedef struct TokenPart {
    const char *name;                       /* "platform" or "realm" */
    CborItem    header, payload, signature; /* byte strings; the header is the protected one */
    int64_t     alg;                        /* COSE algorithm: -7, -35, -36 */
    CborPair    claims[TOKEN_MAX_CLAIMS];
    size_t      n_claims;
} TokenPart;

typedef struct CcaToken {
    const uint8_t *data;
    TokenPart      platform, realm;
} CcaToken;

/* What the verifier knows beforehand. */
typedef struct TokenExpect {
    const char *root_pem;       /* the root certificate that is trusted */
    const char *platform_pem;   /* the platform key's certificate, then those up to the root; or a public key alone */
    bool        has_challenge;
    uint8_t     challenge[TOKEN_CHALLENGE_SIZE];
    size_t      rim_len;        /* 0: not known */
    uint8_t     rim[TOKEN_DIGEST_MAX];
    size_t      rem_len[TOKEN_N_REM]; /* 0: not known */
    uint8_t     rem[TOKEN_N_REM][TOKEN_DIGEST_MAX];
} TokenExpect;

typedef enum CheckResult { CHECK_OK, CHECK_FAIL, CHECK_SKIP } CheckResult;

/* Receives each check: @name stays the same from version to version, @text is a sentence for people. */
typedef void TokenReport(void *opaque, CheckResult result, const char *name, const char *text);

/**
 * cca_token_parse - take a token apart; the result points into @data.
 * Returns false with a sentence that names the byte at which @data is no CCA token.
 */
bool cca_token_parse(CcaToken *t, const uint8_t *data, size_t len, GError **error);

/* cca_token_print - every claim of both parts, one a line, to @out. */
void cca_token_print(const CcaToken *t, GString *out);

/* cca_token_verify - every check; true when none failed. */
bool cca_token_verify(const CcaToken *t, const TokenExpect *e, TokenReport *report, void *opaque);

#endif
