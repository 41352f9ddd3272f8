/*
 * The CCA attestation token: a platform token and a Realm token, each a COSE_Sign1, in one CBOR map. DEN0137
 * "Attestation token"; RFC 9052 "Single Signer Data Objects"; RFC 8949; profiles tag:arm.com,2023 of Arm's
 * CCA token. Nothing is allocated and nothing is random but the signatures' nonces, which come from the RMM's
 * own generator.
 *
 * The platform's key is the TEST key of images/pki/mkpki.c: everybody has it. The Realm attestation key is
 * derived from the machine's seed; the platform token vouches for it by carrying its hash as challenge.
 */
#include "rmm/attest_pki.h"
#include "rmm/rmm_int.h"

#include <cbor.h>
#include <string.h>

#include "spdm/crypto.h"
#include "spdm/pki.h"

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
    TOKEN_PLATFORM = 44234,
    TOKEN_REALM = 44241,
    TAG_CCA = 399,
    TAG_SIGN1 = 18,
};

enum { ES384 = -35, COSE_KTY = 1, COSE_KTY_EC2 = 2, COSE_CRV = -1, COSE_P384 = 2, COSE_X = -2, COSE_Y = -3 };
enum { SW_TYPE = 1, SW_MEASUREMENT = 2, SW_VERSION = 4, SW_SIGNER = 5, SW_HASH = 6 };
enum { P384_LEN = 48, POINT_LEN = 1 + 2 * P384_LEN, COSE_KEY_MAX = 128, CLAIMS_MAX = 1024 };
enum { ASYM_P384 = 0x80, HASH_SHA384 = 2 }; /* DSP0274 "NEGOTIATE_ALGORITHMS" */
enum { INSTANCE_LEN = 33, LIFECYCLE_SECURED = 0x3003 };

/* ---- CBOR ---- */

typedef size_t CborHead(uint64_t value, unsigned char *dst, size_t room);

static void put_head(ByteWriter *w, CborHead *head, uint64_t value)
{
    uint8_t text[9];

    bw_bytes(w, text, head(value, text, sizeof(text)));
}

static size_t head_bytes(uint64_t n, unsigned char *dst, size_t room)
{
    return cbor_encode_bytestring_start(n, dst, room);
}
static size_t head_text(uint64_t n, unsigned char *dst, size_t room)
{
    return cbor_encode_string_start(n, dst, room);
}
static size_t head_array(uint64_t n, unsigned char *dst, size_t room)
{
    return cbor_encode_array_start(n, dst, room);
}
static size_t head_map(uint64_t n, unsigned char *dst, size_t room)
{
    return cbor_encode_map_start(n, dst, room);
}

static void put_int(ByteWriter *w, int64_t v)
{
    put_head(w, v < 0 ? cbor_encode_negint : cbor_encode_uint, v < 0 ? (uint64_t)(-1 - v) : (uint64_t)v);
}

static void put_bytes(ByteWriter *w, const void *data, size_t len)
{
    put_head(w, head_bytes, len);
    bw_bytes(w, data, len);
}

static void put_text(ByteWriter *w, const char *s)
{
    put_head(w, head_text, strlen(s));
    bw_bytes(w, s, strlen(s));
}

static void claim_bytes(ByteWriter *w, int64_t key, const void *data, size_t len)
{
    put_int(w, key);
    put_bytes(w, data, len);
}

static void claim_text(ByteWriter *w, int64_t key, const char *s)
{
    put_int(w, key);
    put_text(w, s);
}

static void claim_int(ByteWriter *w, int64_t key, int64_t v)
{
    put_int(w, key);
    put_int(w, v);
}

/* ---- keys ---- */

void attest_init(Rmm *rmm, uint64_t seed) { entropy_init(&rmm->rak_entropy, seed, "rmm.rak"); }

/* The point of a key on P-384. */
static bool read_point(Rmm *rmm, const SpdmPrivateKey *key, uint8_t point[POINT_LEN])
{
    SpdmPublicKey public_half;
    bool          ok = key->kind == SPDM_KEY_P384 && spdm_public_key_of(key, &rmm->entropy, &public_half);

    if (ok) {
        memcpy(point, public_half.bytes, POINT_LEN);
    }
    return ok;
}

/* The seed gives bytes until they are a private key: practically the first ones are. */
static bool make_rak(Rmm *rmm)
{
    for (unsigned tries = 0; rmm->rak_point[0] == 0 && tries < 16; tries++) {
        uint8_t scalar[P384_LEN];

        entropy_bytes(&rmm->rak_entropy, scalar, sizeof(scalar));
        if (!spdm_private_key_from_scalar(SPDM_KEY_P384, &rmm->entropy, scalar, &rmm->rak) ||
            !read_point(rmm, &rmm->rak, rmm->rak_point)) {
            rmm->rak_point[0] = 0;
        }
        spdm_wipe(scalar, sizeof(scalar));
    }
    return rmm->rak_point[0] != 0;
}

/* RFC 9053 "Elliptic curve keys", serialised. */
static size_t rak_cose_key(const Rmm *rmm, uint8_t out[COSE_KEY_MAX])
{
    ByteWriter w = bw_init(out, COSE_KEY_MAX);

    put_head(&w, head_map, 4);
    claim_int(&w, COSE_KTY, COSE_KTY_EC2);
    claim_int(&w, COSE_CRV, COSE_P384);
    claim_bytes(&w, COSE_X, rmm->rak_point + 1, P384_LEN);
    claim_bytes(&w, COSE_Y, rmm->rak_point + 1 + P384_LEN, P384_LEN);
    return w.pos;
}

/* ---- COSE_Sign1 ---- */

static const uint8_t protected_header[] = { 0xa1, 0x01, 0x38, 0x22 }; /* { 1: -35 } */
_Static_assert(ES384 == -1 - 0x22, "the header names ES384");

/* RFC 9052 "Signing and Verification Process": Sig_structure with empty external data. */
static bool sign(Rmm *rmm, const SpdmPrivateKey *key, const uint8_t *payload, size_t len,
                 uint8_t sig[2 * P384_LEN])
{
    uint8_t    text[CLAIMS_MAX + 64];
    ByteWriter w = bw_init(text, sizeof(text));

    put_head(&w, head_array, 4);
    put_text(&w, "Signature1");
    put_bytes(&w, protected_header, sizeof(protected_header));
    put_bytes(&w, NULL, 0);
    put_bytes(&w, payload, len);
    return bw_ok(&w) &&
           spdm_key_sign(spdm_asym(ASYM_P384), spdm_hash(HASH_SHA384), &rmm->entropy, key,
                         NULL, &(SpdmSpan){ text, w.pos }, 1, sig);
}

static size_t sign1(Rmm *rmm, const SpdmPrivateKey *key, const ByteWriter *claims, uint8_t *dst, size_t cap)
{
    uint8_t    sig[2 * P384_LEN];
    ByteWriter w = bw_init(dst, cap);

    if (!bw_ok(claims) || !sign(rmm, key, claims->data, claims->pos, sig)) {
        return 0;
    }
    put_head(&w, cbor_encode_tag, TAG_SIGN1);
    put_head(&w, head_array, 4);
    put_bytes(&w, protected_header, sizeof(protected_header));
    put_head(&w, head_map, 0);
    put_bytes(&w, claims->data, claims->pos);
    put_bytes(&w, sig, sizeof(sig));
    return bw_ok(&w) ? w.pos : 0;
}

/* ---- platform token ---- */

/* Identities of this platform: hashes of names, so that they say what they are of and stay the same. */
static void named_id(const Rmm *rmm, const char *name, uint8_t id[32])
{
    uint8_t digest[RMM_HASH_MAX];

    measure(rmm, RMI_HASH_SHA_256, name, strlen(name), digest);
    memcpy(id, digest, 32);
}

static void put_component(const Rmm *rmm, ByteWriter *w, const char *type, const char *measured)
{
    uint8_t id[32];

    put_head(w, head_map, 5);
    claim_text(w, SW_TYPE, type);
    named_id(rmm, measured, id);
    claim_bytes(w, SW_MEASUREMENT, id, sizeof(id));
    claim_text(w, SW_VERSION, "0.1.0");
    named_id(rmm, "Bailey TEST signer", id);
    claim_bytes(w, SW_SIGNER, id, sizeof(id));
    claim_text(w, SW_HASH, "sha-256");
}

/* "CCA platform Instance ID claim": identifies the platform's key. Ours is EAT's type 1 (random) and the SHA-256 of the
 * key as a point, so that a verifier that keeps keys by instance can check that it found the right one. */
static void instance_id(const Rmm *rmm, const uint8_t point[POINT_LEN], uint8_t id[INSTANCE_LEN])
{
    uint8_t digest[RMM_HASH_MAX];

    measure(rmm, RMI_HASH_SHA_256, point, POINT_LEN, digest);
    id[0] = 1;
    memcpy(id + 1, digest, INSTANCE_LEN - 1);
}

/* @cpak: the platform's public key. */
static void put_platform_claims(const Rmm *rmm, ByteWriter *w, const uint8_t cpak[POINT_LEN])
{
    uint8_t cose_key[COSE_KEY_MAX], id[INSTANCE_LEN], binding[RMM_HASH_MAX];
    size_t  key_len = rak_cose_key(rmm, cose_key);

    measure(rmm, RMI_HASH_SHA_256, cose_key, key_len, binding);
    put_head(w, head_map, 9);
    claim_text(w, CLAIM_PROFILE, "tag:arm.com,2023:cca_platform#1.0.0");
    claim_bytes(w, CLAIM_CHALLENGE, binding, 32);
    named_id(rmm, "Bailey cca platform", id);
    claim_bytes(w, CLAIM_IMPLEMENTATION, id, 32);
    instance_id(rmm, cpak, id);
    claim_bytes(w, CLAIM_INSTANCE, id, sizeof(id));
    claim_bytes(w, CLAIM_CONFIG, "model", 5);
    claim_int(w, CLAIM_LIFECYCLE, LIFECYCLE_SECURED);
    put_int(w, CLAIM_SW_COMPONENTS);
    put_head(w, head_array, 2);
    put_component(rmm, w, "BL31", "Bailey monitor model");
    put_component(rmm, w, "RMM", "Bailey RMM model");
    claim_text(w, CLAIM_SERVICE, "none: verify with the test root that bailey prints");
    claim_text(w, CLAIM_PLATFORM_HASH, "sha-256");
}

/* Made once: neither its claims nor the keys change while the machine is on. */
static bool make_platform_token(Rmm *rmm)
{
    uint8_t        claims[CLAIMS_MAX], point[POINT_LEN];
    ByteWriter     w = bw_init(claims, sizeof(claims));
    SpdmPrivateKey key;

    if (rmm->platform_token_len == 0 && spdm_key_load(attest_platform_key_pem(), &rmm->entropy, &key) &&
        read_point(rmm, &key, point)) {
        put_platform_claims(rmm, &w, point);
        rmm->platform_token_len =
            (uint32_t)sign1(rmm, &key, &w, rmm->platform_token, sizeof(rmm->platform_token));
    }
    return rmm->platform_token_len != 0;
}

const char *rmm_attest_root_pem(void) { return attest_root_pem(); }
const char *rmm_attest_platform_pem(void) { return attest_platform_pem(); }

/* ---- Realm token ---- */

static void put_realm_claims(const Rmm *rmm, ByteWriter *w, const Realm *realm, const uint8_t challenge[64])
{
    uint8_t cose_key[COSE_KEY_MAX];
    size_t  key_len = rak_cose_key(rmm, cose_key), n = measure_len(realm->hash);

    put_head(w, head_map, rmm->dialect->token_mec ? 9 : 8);
    claim_bytes(w, CLAIM_CHALLENGE, challenge, 64);
    claim_bytes(w, CLAIM_RPV, realm->rpv, sizeof(realm->rpv));
    claim_bytes(w, CLAIM_RAK, cose_key, key_len);
    claim_text(w, CLAIM_REALM_HASH, realm->hash == RMI_HASH_SHA_512 ? "sha-512" : "sha-256");
    claim_text(w, CLAIM_RAK_HASH, "sha-256");
    if (rmm->dialect->token_mec) {
        claim_text(w, CLAIM_MEC_POLICY, "shared"); /* no FEAT_MEC: all Realms have one context */
    }
    claim_text(w, CLAIM_PROFILE, "tag:arm.com,2023:realm#1.0.0");
    claim_bytes(w, CLAIM_RIM, realm->measurement[0], n);
    put_int(w, CLAIM_REM);
    put_head(w, head_array, RMM_N_REM);
    for (unsigned i = 1; i <= RMM_N_REM; i++) {
        put_bytes(w, realm->measurement[i], n);
    }
}

size_t token_make(Rmm *rmm, const Realm *realm, const uint8_t challenge[64], uint8_t *dst, size_t cap)
{
    uint8_t    claims[CLAIMS_MAX], realm_token[CLAIMS_MAX + 256];
    ByteWriter c = bw_init(claims, sizeof(claims)), w = bw_init(dst, cap);

    if (!make_rak(rmm)) {
        return 0;
    }
    put_realm_claims(rmm, &c, realm, challenge);
    size_t len = sign1(rmm, &rmm->rak, &c, realm_token, sizeof(realm_token));
    if (len == 0 || !make_platform_token(rmm)) {
        return 0;
    }
    put_head(&w, cbor_encode_tag, TAG_CCA);
    put_head(&w, head_map, 2);
    claim_bytes(&w, TOKEN_PLATFORM, rmm->platform_token, rmm->platform_token_len);
    claim_bytes(&w, TOKEN_REALM, realm_token, len);
    return bw_ok(&w) ? w.pos : 0;
}
