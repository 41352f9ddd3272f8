/*
 * Between the files of the token verifier: claims by name and rule, and access to items.
 */
#ifndef BAILEY_TOOL_CCA_TOKEN_INT_H
#define BAILEY_TOOL_CCA_TOKEN_INT_H

#include "bits.h"
#include "device.h"
#include "tool/cca_token.h"

enum {
    CLAIM_CHALLENGE = 10,
    CLAIM_INSTANCE = 256,
    CLAIM_PROFILE = 265,
    CLAIM_LIFECYCLE = 2395,
    CLAIM_IMPLEMENTATION = 2396,
    CLAIM_SW_COMPONENTS = 2399,
    CLAIM_SERVICE = 2400,
    CLAIM_CONFIG = 2401,
    CLAIM_PLATFORM_HASH = 2402,
    CLAIM_RPV = 44235,
    CLAIM_REALM_HASH = 44236,
    CLAIM_RAK = 44237,
    CLAIM_RIM = 44238,
    CLAIM_REM = 44239,
    CLAIM_RAK_HASH = 44240,
    CLAIM_MEC_POLICY = 44243,
};

/* Keys of a software component, DEN0137 "CCA platform software components claim". */
enum { SW_TYPE = 1, SW_MEASUREMENT = 2, SW_VERSION = 4, SW_SIGNER = 5, SW_HASH = 6, SW_MAX_ENTRIES = 16 };

/* What the value of a claim must be. */
typedef enum ClaimKind {
    KIND_PROFILE,       /* the profile of the part */
    KIND_BYTES,         /* any bytes */
    KIND_ID,            /* 32 bytes */
    KIND_UEID,          /* 33 bytes, the first of them 1 */
    KIND_64,            /* 64 bytes */
    KIND_DIGEST,        /* 32, 48 or 64 bytes */
    KIND_TEXT,
    KIND_HASH,          /* the name of a hash algorithm */
    KIND_LIFECYCLE,
    KIND_COMPONENTS,
    KIND_RIM,           /* as long as the Realm's hash */
    KIND_REM,           /* four of those */
    KIND_MEC,           /* "shared" or "private" */
} ClaimKind;

typedef struct ClaimRule {
    int64_t     key;
    const char *slug, *name;    /* for check names, and for people */
    ClaimKind   kind;
    bool        optional;
} ClaimRule;

/* The rules of a part, "platform" or "realm". */
const ClaimRule *claim_rules(const TokenPart *part, size_t *n);

/* The value of claim @key of @part, or NULL. */
const CborItem *claim_of(const TokenPart *part, int64_t key);

/* Whether @item, which may be NULL, is bytes or text of exactly that content. */
bool item_is_bytes(const CcaToken *t, const CborItem *item, const void *data, size_t len);
bool item_is_text(const CcaToken *t, const CborItem *item, const char *text);

/* The length of the digests of the hash algorithm that text @item names, or 0. */
size_t item_hash_len(const CcaToken *t, const CborItem *item);

/* The bytes of a string as hexadecimal digits. To be freed. */
char *hex_of(const uint8_t *data, size_t len);

#endif
