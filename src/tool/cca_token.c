/*
 * Taking a CCA token apart, the rules of its claims, and showing them.
 */
#include "tool/cca_token.h"

#include <inttypes.h>
#include <string.h>

#include "tool/cca_token_int.h"

enum { TAG_CCA = 399, TAG_CMW = 907, TAG_SIGN1 = 18, TOKEN_PLATFORM = 44234, TOKEN_REALM = 44241 };
enum { COSE_HEADER_ALG = 1, MAX_HEADER_ENTRIES = 8, MAX_PRINT_DEPTH = 4 };

/* DEN0137 "CCA platform claims", in the order of its claim map. */
static const ClaimRule platform_rules[] = {
    { CLAIM_PROFILE, "profile", "profile", KIND_PROFILE },
    { CLAIM_CHALLENGE, "challenge", "challenge", KIND_DIGEST },
    { CLAIM_IMPLEMENTATION, "implementation", "implementation id", KIND_ID },
    { CLAIM_INSTANCE, "instance", "instance id", KIND_UEID },
    { CLAIM_CONFIG, "config", "configuration", KIND_BYTES },
    { CLAIM_LIFECYCLE, "lifecycle", "lifecycle", KIND_LIFECYCLE },
    { CLAIM_SW_COMPONENTS, "components", "software components", KIND_COMPONENTS },
    { CLAIM_SERVICE, "service", "verification service", KIND_TEXT, .optional = true },
    { CLAIM_PLATFORM_HASH, "hash", "hash algorithm", KIND_HASH },
};

/* DEN0137 "Realm claims". The MEC policy is a claim from RMM 1.1 on. */
static const ClaimRule realm_rules[] = {
    { CLAIM_CHALLENGE, "challenge", "challenge", KIND_64 },
    { CLAIM_PROFILE, "profile", "profile", KIND_PROFILE, .optional = true },
    { CLAIM_RPV, "personalization", "personalization value", KIND_64 },
    { CLAIM_REALM_HASH, "hash", "hash algorithm", KIND_HASH },
    { CLAIM_RIM, "rim", "initial measurement", KIND_RIM },
    { CLAIM_REM, "rem", "extensible measurements", KIND_REM },
    { CLAIM_RAK, "public-key", "public key", KIND_BYTES },
    { CLAIM_RAK_HASH, "key-hash", "public key hash algorithm", KIND_HASH },
    { CLAIM_MEC_POLICY, "mec-policy", "memory encryption context", KIND_MEC, .optional = true },
};

const ClaimRule *claim_rules(const TokenPart *part, size_t *n)
{
    bool platform = strcmp(part->name, "platform") == 0;

    *n = platform ? ARRAY_LEN(platform_rules) : ARRAY_LEN(realm_rules);
    return platform ? platform_rules : realm_rules;
}

/* ---- items ---- */

const CborItem *claim_of(const TokenPart *part, int64_t key) { return cbor_find(part->claims, part->n_claims, key); }

static bool content_is(const CcaToken *t, const CborItem *item, CborType type, const void *data, size_t len)
{
    return item != NULL && item->type == type && item->value == len &&
           (len == 0 || memcmp(t->data + item->content, data, len) == 0);
}

bool item_is_bytes(const CcaToken *t, const CborItem *item, const void *data, size_t len)
{
    return content_is(t, item, CBOR_BYTES, data, len);
}

bool item_is_text(const CcaToken *t, const CborItem *item, const char *text)
{
    return content_is(t, item, CBOR_TEXT, text, strlen(text));
}

size_t item_hash_len(const CcaToken *t, const CborItem *item)
{
    return item_is_text(t, item, "sha-256") ? 32 : item_is_text(t, item, "sha-384") ? 48
                                               : item_is_text(t, item, "sha-512") ? 64 : 0;
}

char *hex_of(const uint8_t *data, size_t len)
{
    GString *s = g_string_sized_new(2 * len + 1);

    for (size_t i = 0; i < len; i++) {
        g_string_append_printf(s, "%02x", data[i]);
    }
    return g_string_free(s, FALSE);
}

/* ---- parsing ---- */

static bool refuse(GError **error, const char *where, const CborReader *r)
{
    g_set_error(error, BAILEY_ERROR, 1, "%s: at byte %zu: %s", where, r->why_at, r->why);
    return false;
}

/* The item that must be of @type. */
static bool read_typed(CborReader *r, CborItem *item, CborType type, const char *wanted)
{
    return cbor_read(r, item) && (item->type == type || cbor_fail(r, item->at, wanted));
}

/* The algorithm in the protected header, a map in a byte string. RFC 9052 "Header Parameters". */
static bool read_alg(CborReader *r, TokenPart *p)
{
    CborReader in = cbor_enter(r, &p->header);
    CborItem   map;
    CborPair   pairs[MAX_HEADER_ENTRIES];
    size_t     n;

    if (!cbor_read(&in, &map) || !cbor_read_map(&in, &map, pairs, ARRAY_LEN(pairs), &n) || !cbor_end(&in)) {
        return cbor_fail(r, in.why_at, in.why);
    }
    const CborItem *alg = cbor_find(pairs, n, COSE_HEADER_ALG);
    if (alg == NULL || alg->type > CBOR_NEGATIVE || alg->value > INT32_MAX) {
        return cbor_fail(r, map.at, "a protected header that names no algorithm by number");
    }
    p->alg = alg->type == CBOR_UINT ? (int64_t)alg->value : -1 - (int64_t)alg->value;
    return true;
}

static bool read_claims(CborReader *r, TokenPart *p)
{
    CborReader in = cbor_enter(r, &p->payload);
    CborItem   map;

    if (!cbor_read(&in, &map) || !cbor_read_map(&in, &map, p->claims, TOKEN_MAX_CLAIMS, &p->n_claims) ||
        !cbor_end(&in)) {
        return cbor_fail(r, in.why_at, in.why);
    }
    return true;
}

/* RFC 9052 "COSE_Sign1": tag 18, [ protected, unprotected, payload, signature ]. */
static bool read_sign1(const CcaToken *t, TokenPart *p, const char *name, const CborItem *bytes, GError **error)
{
    CborReader r = cbor_reader(t->data, bytes->content, bytes->end);
    CborItem   tag, array, unprotected;
    CborPair   pairs[MAX_HEADER_ENTRIES];
    size_t     n;

    p->name = name;
    bool ok = read_typed(&r, &tag, CBOR_TAG, "not a COSE_Sign1, which starts with tag 18") && cbor_end(&r) &&
              (tag.value == TAG_SIGN1 || cbor_fail(&r, tag.at, "a tag other than that of a COSE_Sign1 (18)"));
    CborReader in = cbor_enter(&r, &tag);
    ok = ok && read_typed(&in, &array, CBOR_ARRAY, "not the array of a COSE_Sign1") &&
         (array.value == 4 || cbor_fail(&in, array.at, "a COSE_Sign1 that has not four parts"));
    if (ok) {
        in = cbor_enter(&in, &array);
    }
    ok = ok && read_typed(&in, &p->header, CBOR_BYTES, "a protected header that is no byte string") &&
         read_typed(&in, &unprotected, CBOR_MAP, "an unprotected header that is no map") &&
         cbor_read_map(&in, &unprotected, pairs, ARRAY_LEN(pairs), &n) &&
         read_typed(&in, &p->payload, CBOR_BYTES, "a payload that is no byte string") &&
         read_typed(&in, &p->signature, CBOR_BYTES, "a signature that is no byte string") && read_alg(&in, p) &&
         read_claims(&in, p);
    if (!ok) {
        char *where = g_strdup_printf("the %s token", name);

        refuse(error, where, r.why != NULL ? &r : &in);
        g_free(where);
    }
    return ok;
}

/* DEN0137 "Attestation token format": tag 399, the map of the two tokens. */
bool cca_token_parse(CcaToken *t, const uint8_t *data, size_t len, GError **error)
{
    CborReader r = cbor_reader(data, 0, len), in;
    CborItem   tag, map;
    CborPair   pairs[2];
    size_t     n;

    *t = (CcaToken){ .data = data };
    bool ok = (len <= TOKEN_MAX_SIZE || cbor_fail(&r, TOKEN_MAX_SIZE, "more than any token has (64 KiB)")) &&
              read_typed(&r, &tag, CBOR_TAG, "not a CCA token, which starts with tag 399") && cbor_end(&r) &&
              (tag.value != TAG_CMW || cbor_fail(&r, tag.at, "tag 907: the form of RMM 2.0, which is not read here")) &&
              (tag.value == TAG_CCA || cbor_fail(&r, tag.at, "a tag other than that of a CCA token (399)"));
    if (!ok) {
        return refuse(error, "the token", &r);
    }
    in = cbor_enter(&r, &tag);
    if (!cbor_read(&in, &map) || !cbor_read_map(&in, &map, pairs, ARRAY_LEN(pairs), &n)) {
        return refuse(error, "the token", &in);
    }
    const CborItem *platform = cbor_find(pairs, n, TOKEN_PLATFORM), *realm = cbor_find(pairs, n, TOKEN_REALM);
    if (platform == NULL || realm == NULL || platform->type != CBOR_BYTES || realm->type != CBOR_BYTES) {
        cbor_fail(&in, map.at, "a map that does not hold a platform token (44234) and a realm token (44241) as bytes");
        return refuse(error, "the token", &in);
    }
    return read_sign1(t, &t->platform, "platform", platform, error) && read_sign1(t, &t->realm, "realm", realm, error);
}

/* ---- showing ---- */

static void print_item(const CcaToken *t, const CborItem *item, GString *out, unsigned depth);

static void print_text(const CcaToken *t, const CborItem *item, GString *out)
{
    for (size_t i = 0; i < item->value; i++) {
        uint8_t c = t->data[item->content + i];

        g_string_append_c(out, g_ascii_isprint((char)c) ? (char)c : '?'); /* no control character to a terminal */
    }
}

static void print_inner(const CcaToken *t, const CborItem *item, GString *out, unsigned depth)
{
    CborReader in = cbor_reader(t->data, item->content, item->end);
    CborItem   inner;

    for (uint64_t i = 0; in.pos < in.end && cbor_read(&in, &inner); i++) {
        bool value = item->type == CBOR_MAP && i % 2 == 1;

        g_string_append(out, value ? ": " : depth == 1 ? "\n        - " : i != 0 ? ", " : "");
        print_item(t, &inner, out, depth);
    }
}

static void print_item(const CcaToken *t, const CborItem *item, GString *out, unsigned depth)
{
    char *hex;

    switch (item->type) {
    case CBOR_UINT:
        g_string_append_printf(out, "%" PRIu64, item->value);
        break;
    case CBOR_NEGATIVE:
        g_string_append_printf(out, "-1 - %" PRIu64, item->value);
        break;
    case CBOR_BYTES:
        hex = hex_of(t->data + item->content, (size_t)item->value);
        g_string_append(out, hex);
        g_free(hex);
        break;
    case CBOR_TEXT:
        print_text(t, item, out);
        break;
    case CBOR_ARRAY:
    case CBOR_MAP:
    case CBOR_TAG:
        if (depth < MAX_PRINT_DEPTH) {
            print_inner(t, item, out, depth + 1);
        } else {
            g_string_append(out, "...");
        }
        break;
    case CBOR_SIMPLE:
        g_string_append_printf(out, "simple value %" PRIu64, item->value);
        break;
    }
}

static const char *claim_name(const TokenPart *p, const CborItem *key)
{
    size_t           n;
    const ClaimRule *rules = claim_rules(p, &n);

    for (size_t i = 0; i < n; i++) {
        if (cbor_is_int(key, rules[i].key)) {
            return rules[i].name;
        }
    }
    return "not known";
}

static void print_part(const CcaToken *t, const TokenPart *p, GString *out)
{
    g_string_append_printf(out, "%s token, COSE algorithm %" PRId64 ":\n", p->name, p->alg);
    for (size_t i = 0; i < p->n_claims; i++) {
        const CborPair *c = &p->claims[i];

        g_string_append(out, "    ");
        print_item(t, &c->key, out, 0);
        g_string_append_printf(out, " (%s): ", claim_name(p, &c->key));
        if (cbor_is_int(&c->key, CLAIM_LIFECYCLE) && c->value.type == CBOR_UINT) {
            g_string_append_printf(out, "0x%04" PRIx64, c->value.value);
        } else {
            print_item(t, &c->value, out, 0);
        }
        g_string_append_c(out, '\n');
    }
}

void cca_token_print(const CcaToken *t, GString *out)
{
    print_part(t, &t->platform, out);
    print_part(t, &t->realm, out);
}
