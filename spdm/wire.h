/*
 * What both ends of an SPDM connection share on the wire: codes, capability bits, limits, message headers,
 * transcript buffers, opaque data. DMTF DSP0274 1.2; the secured-message opaque elements are DSP0277's.
 */
#ifndef BAILEY_SPDM_WIRE_H
#define BAILEY_SPDM_WIRE_H

#include "bits.h"
#include "bytes.h"
#include "spdm/crypto.h"

/* Largest message either end accepts or sends: MaxSPDMmsgSize, and DataTransferSize where none smaller is asked for.
 * One page, because the RMM's communication buffers are pages. A sealed record is kept to the same size. */
#define SPDM_MSG_MAX          4096
#define SPDM_DATA_TRANSFER_MIN 42 /* DSP0274 "GET_CAPABILITIES": MinDataTransferSize of 1.2 */
#define SPDM_CHAIN_MAX        8192
#define SPDM_TRANSCRIPT_MAX   12288
#define SPDM_CHAIN_SHORT_MAX  0xffff /* of a chain, where its offsets have 16 bits: without LARGE_RESP_CAP */
#define SPDM_NONCE_LEN        32
#define SPDM_OPAQUE_MAX       1024
#define SPDM_VERSION_10       0x10
#define SPDM_VERSION_11       0x11
#define SPDM_VERSION_12       0x12
#define SPDM_VERSION_13       0x13
#define SPDM_VERSION_14       0x14
#define SPDM_CONTEXT_LEN      8 /* RequesterContext, since 1.3 */

/* DSP0274 "SPDM request and response messages codes". A response's code is its request's with bit 7 clear. */
enum SpdmCode {
    SPDM_GET_DIGESTS = 0x81,
    SPDM_GET_CERTIFICATE = 0x82,
    SPDM_CHALLENGE = 0x83,
    SPDM_GET_VERSION = 0x84,
    SPDM_CHUNK_SEND = 0x85,
    SPDM_CHUNK_GET = 0x86,
    SPDM_GET_ENDPOINT_INFO = 0x87,
    SPDM_SLOT_MANAGEMENT = 0x88, /* 1.4 */
    SPDM_GET_MEASUREMENTS = 0xe0,
    SPDM_GET_CAPABILITIES = 0xe1,
    SPDM_GET_SUPPORTED_EVENT_TYPES = 0xe2,
    SPDM_NEGOTIATE_ALGORITHMS = 0xe3,
    SPDM_KEY_EXCHANGE = 0xe4,
    SPDM_FINISH = 0xe5,
    SPDM_PSK_EXCHANGE = 0xe6,
    SPDM_PSK_FINISH = 0xe7,
    SPDM_HEARTBEAT = 0xe8,
    SPDM_KEY_UPDATE = 0xe9,
    SPDM_GET_ENCAPSULATED_REQUEST = 0xea,
    SPDM_DELIVER_ENCAPSULATED_RESPONSE = 0xeb,
    SPDM_END_SESSION = 0xec,
    SPDM_GET_CSR = 0xed,
    SPDM_SET_CERTIFICATE = 0xee,
    SPDM_GET_MEASUREMENT_EXTENSION_LOG = 0xef,
    SPDM_SUBSCRIBE_EVENT_TYPES = 0xf0,
    SPDM_SEND_EVENT = 0xf1,
    SPDM_GET_KEY_PAIR_INFO = 0xfc,
    SPDM_SET_KEY_PAIR_INFO = 0xfd,
    SPDM_VENDOR_DEFINED = 0xfe,
    SPDM_RESPOND_IF_READY = 0xff,
    SPDM_ERROR = 0x7f,
};

#define SPDM_RESPONSE_OF(code) ((uint8_t)((code) & 0x7f))

/* DSP0274 "Error code and error data"; SPDM_OK and SPDM_SILENT never reach the wire. */
typedef enum SpdmError {
    SPDM_OK = 0,
    SPDM_INVALID_REQUEST = 0x01,
    SPDM_BUSY = 0x03,
    SPDM_UNEXPECTED_REQUEST = 0x04,
    SPDM_UNSPECIFIED = 0x05,
    SPDM_DECRYPT_ERROR = 0x06,
    SPDM_UNSUPPORTED_REQUEST = 0x07,
    SPDM_REQUEST_IN_FLIGHT = 0x08,
    SPDM_INVALID_RESPONSE_CODE = 0x09,
    SPDM_SESSION_LIMIT_EXCEEDED = 0x0a,
    SPDM_SESSION_REQUIRED = 0x0b,
    SPDM_RESET_REQUIRED = 0x0c,
    SPDM_RESPONSE_TOO_LARGE = 0x0d,
    SPDM_REQUEST_TOO_LARGE = 0x0e,
    SPDM_LARGE_RESPONSE = 0x0f,
    SPDM_DATA_TOO_LARGE = 0x12, /* 1.4 */
    SPDM_VERSION_MISMATCH = 0x41,
    SPDM_RESPONSE_NOT_READY = 0x42,
    SPDM_OPERATION_FAILED = 0x44,    /* 1.3 */
    SPDM_NO_PENDING_REQUESTS = 0x45, /* 1.3 */
    SPDM_SILENT = 0x100, /* no answer at all */
} SpdmError;

/* DSP0274 "GET_CAPABILITIES", Flags. */
enum SpdmCap {
    SPDM_CAP_CERT = BIT(1),
    SPDM_CAP_CHAL = BIT(2),
    SPDM_CAP_MEAS_NO_SIG = 1u << 3,
    SPDM_CAP_MEAS_SIG = 2u << 3,
    SPDM_CAP_MEAS = 3u << 3, /* the field */
    SPDM_CAP_ENCRYPT = BIT(6),
    SPDM_CAP_MAC = BIT(7),
    SPDM_CAP_MUT_AUTH = BIT(8),
    SPDM_CAP_KEY_EX = BIT(9),
    SPDM_CAP_PSK_PLAIN = 1u << 10,
    SPDM_CAP_PSK_WITH_CONTEXT = 2u << 10,
    SPDM_CAP_PSK = 3u << 10, /* the field */
    SPDM_CAP_SESSION = SPDM_CAP_KEY_EX | SPDM_CAP_PSK, /* ways to open one */
    SPDM_CAP_ENCAP = BIT(12),
    SPDM_CAP_HBEAT = BIT(13),
    SPDM_CAP_KEY_UPD = BIT(14),
    SPDM_CAP_HANDSHAKE_IN_THE_CLEAR = BIT(15),
    SPDM_CAP_PUB_KEY_ID = BIT(16),
    SPDM_CAP_CHUNK = BIT(17),
    SPDM_CAP_ALIAS_CERT = BIT(18),
    SPDM_CAP_SET_CERT = BIT(19),
    SPDM_CAP_CSR = BIT(20),
    SPDM_CAP_CERT_INSTALL_RESET = BIT(21),
    SPDM_CAP_EP_INFO_NO_SIG = 1u << 22,
    SPDM_CAP_EP_INFO_SIG = 2u << 22,
    SPDM_CAP_EP_INFO = 3u << 22, /* the field */
    SPDM_CAP_MEL = BIT(24),
    SPDM_CAP_EVENT = BIT(25),
    SPDM_CAP_MULTI_KEY_ONLY = 1u << 26,
    SPDM_CAP_MULTI_KEY_NEG = 2u << 26,
    SPDM_CAP_MULTI_KEY = 3u << 26, /* the field */
    SPDM_CAP_GET_KEY_PAIR_INFO = BIT(28),
    SPDM_CAP_SET_KEY_PAIR_INFO = BIT(29),
    SPDM_CAP_SET_KEY_PAIR_RESET = BIT(30), /* 1.4 */
    SPDM_CAP_LARGE_RESP = BIT(31), /* 1.4 */
};

/* ExtFlags of a responder, 1.4, stand above Flags. */
#define SPDM_CAP_EXT_SHIFT 32
#define SPDM_CAP_SLOT_MGMT BIT(SPDM_CAP_EXT_SHIFT)

/* The capability bits that a version knows. */
static inline uint64_t spdm_capability_mask(uint8_t version)
{
    return BIT(version <= SPDM_VERSION_11   ? 17
               : version == SPDM_VERSION_12 ? 22
               : version == SPDM_VERSION_13 ? 30
                                            : SPDM_CAP_EXT_SHIFT + 1) -
           1;
}

#define SPDM_PCI_CLASS_LEN  16   /* bytes of the device class identifiers of a PCI function */
#define SPDM_MEAS_SPEC_DMTF 1    /* MeasurementSpecification bit 0 */
#define SPDM_MEL_SPEC_DMTF  1    /* MELspecification bit 0, 1.3 */
#define SPDM_LOG_MAX        4096 /* bytes of a measurement extension log */
#define SPDM_OPAQUE_FMT1    BIT(1) /* OtherParamsSupport */
#define SPDM_MULTI_KEY_CONN BIT(4) /* the same, of the other end's keys; 1.3 */
#define SPDM_KEY_SCHEDULE   1    /* "SPDM Key Schedule" */
#define SPDM_SUMMARY_NONE   0
#define SPDM_SUMMARY_TCB    1
#define SPDM_SUMMARY_ALL    0xff

/* KEY_EXCHANGE_RSP, MutAuthRequested: with the certificates of a slot that are known already; with those that
 * encapsulated requests ask for; the same, and the first of these requests, GET_DIGESTS, is implied. */
enum { SPDM_MUT_AUTH_PLAIN = 1, SPDM_MUT_AUTH_ENCAPSULATED = 2, SPDM_MUT_AUTH_DIGESTS = 4 };

/* What a multi-key connection adds to DIGESTS for each slot, and all of such a message. */
enum { SPDM_DIGEST_EXTRA = 1 + 1 + 2, SPDM_DIGESTS_MAX = 4 + 8 * (SPDM_HASH_MAX + SPDM_DIGEST_EXTRA) };

/* Param1 of GET_CERTIFICATE and VENDOR_DEFINED, and their answers, 1.4: lengths have 32 bits, behind those of 16 that
 * are reserved then. It takes LARGE_RESP_CAP: of whom certificates are asked; of both sides. */
#define SPDM_LARGE BIT(7)

static inline bool spdm_is_large(uint8_t version, uint8_t param1)
{
    return version >= SPDM_VERSION_14 && (param1 & SPDM_LARGE);
}

/* CHALLENGE_AUTH, Param1: the requester is challenged back, "basic mutual authentication". */
#define SPDM_CHALLENGE_BACK BIT(7)

/* KEY_UPDATE, Param1. */
enum { SPDM_UPDATE_KEY = 1, SPDM_UPDATE_ALL_KEYS = 2, SPDM_VERIFY_NEW_KEY = 3 };

/* SLOT_MANAGEMENT, Param1. */
typedef enum SpdmSlotsCode {
    SPDM_SLOTS_SUBCODES = 0,
    SPDM_SLOTS_BANK_INFO = 1,
    SPDM_SLOTS_BANK_DETAILS = 2,
    SPDM_SLOTS_GET_CHAIN = 3,
    SPDM_SLOTS_GET_CSR = 4,
    SPDM_SLOTS_MANAGE_BANK = 0x20,
    SPDM_SLOTS_MANAGE_SLOT = 0x21,
    SPDM_SLOTS_SET_CERTIFICATE = 0x22,
} SpdmSlotsCode;

#define SPDM_BANK_LEN 4 /* of a BankElement */

/* SessionPolicy of KEY_EXCHANGE and PSK_EXCHANGE, 1.3: subscribed to all events from the start. */
#define SPDM_POLICY_ALL_EVENTS BIT(1)

/* NEGOTIATE_ALGORITHMS table types. */
enum {
    SPDM_ALG_DHE = 2,
    SPDM_ALG_AEAD = 3,
    SPDM_ALG_REQ_ASYM = 4,
    SPDM_ALG_KEY_SCHEDULE = 5,
    SPDM_ALG_REQ_PQC_ASYM = 6, /* 1.4 */
    SPDM_ALG_KEM = 7,
};

/* The algorithms of a connection, as selected bits (0: none). */
typedef struct SpdmSelection {
    uint8_t  measure_spec, other_params, mel_spec;
    uint32_t measure_hash, asym, hash;
    uint16_t dhe, aead, req_asym, key_schedule; /* dhe: of a KEM, above SPDM_KEM_SHIFT */
} SpdmSelection;

/* A longer buffer that an owner gives for what does not fit the one in a structure. Not saved. */
typedef struct SpdmRoom {
    uint8_t *bytes; /* NULL: none */
    size_t   cap;
} SpdmRoom;

/**
 * spdm_grow - where the next bytes go; what is there already moves when it outgrows the short buffer.
 * @len: bytes so far: in @room when they are more than @cap
 * Returns NULL when @more does not fit either.
 */
uint8_t *spdm_grow(uint8_t *buffer, size_t cap, SpdmRoom room, size_t len, size_t more);

/* Message bytes kept for hashing; a message that does not fit makes the whole transcript unusable until
 * reset. */
typedef struct SpdmTranscript {
    uint32_t len;
    bool     overflowed;
    SpdmRoom room;
    uint8_t  data[SPDM_TRANSCRIPT_MAX]; /* unless it is longer */
} SpdmTranscript;

void spdm_transcript_reset(SpdmTranscript *t);
void spdm_transcript_add(SpdmTranscript *t, const void *data, size_t len);

static inline SpdmSpan spdm_transcript_span(const SpdmTranscript *t)
{
    return (SpdmSpan){ t->len > sizeof(t->data) ? t->room.bytes : t->data, t->len };
}

/* The four bytes every message starts with. */
static inline void spdm_begin(ByteWriter *w, uint8_t version, uint8_t code, uint8_t param1, uint8_t param2)
{
    bw_u8(w, version);
    bw_u8(w, code);
    bw_u8(w, param1);
    bw_u8(w, param2);
}

/* ChunkSeqNo: two bytes and two reserved ones behind them, where more follows; since 1.4 it has all four. */
static inline uint32_t spdm_read_chunk_number(ByteReader *r, uint8_t version)
{
    return version >= SPDM_VERSION_14 ? br_u32(r) : br_u16(r);
}

static inline void spdm_write_chunk_number(ByteWriter *w, uint8_t version, uint32_t n)
{
    if (version >= SPDM_VERSION_14) {
        bw_u32(w, n);
    } else {
        bw_u16(w, (uint16_t)n);
    }
}

static inline size_t spdm_chunk_gap(uint8_t version) { return version >= SPDM_VERSION_14 ? 0 : 2; }

/* Whether a message was long enough for what was read and ends here but for DOE's padding to a DW. */
static inline bool spdm_message_ends(const ByteReader *r) { return br_ok(r) && br_left(r) < 4; }

/* The length of the message without that padding, once it has been parsed. */
static inline size_t spdm_parsed_len(const ByteReader *r) { return r->pos; }

/* The versions of secured messages that are spoken here, DSP0277; ascending. */
enum { SPDM_N_SECURED_VERSIONS = 2 };
extern const uint16_t spdm_secured_versions[SPDM_N_SECURED_VERSIONS];

bool spdm_secured_version_is_ours(uint16_t version);

/* Secured message versions in opaque data: DSP0277 "Secured Message opaque element", data IDs 1 and 0.
 * OpaqueLength is the message's: the lengths are what the writers write. The data's own header is OpaqueDataFmt1 since
 * SPDM 1.2; with 1.1 it is DSP0277's "general opaque data". */
uint16_t spdm_opaque_supported_len(uint8_t spdm_version, size_t n);
uint16_t spdm_opaque_selected_len(uint8_t spdm_version);
void spdm_opaque_write_supported(ByteWriter *w, uint8_t spdm_version, const uint16_t *versions, size_t n);
void spdm_opaque_write_selected(ByteWriter *w, uint8_t spdm_version, uint16_t version);

/**
 * spdm_opaque_read_supported - parse a requester's opaque data.
 * @len:  OpaqueLength
 * @ours: versions known here, in ascending order
 * Returns the highest version in common, 0 when the data is malformed or there is none.
 */
uint16_t spdm_opaque_read_supported(ByteReader *r, size_t len, uint8_t spdm_version, const uint16_t *ours, size_t n);

/* The version a responder selected, 0 when malformed. */
uint16_t spdm_opaque_read_selected(ByteReader *r, size_t len, uint8_t spdm_version);

/* OpaqueDataLength and opaque data of FINISH, PSK_FINISH and their responses, since 1.4; nothing here says anything in
 * them. The length of other data is not right: false. */
void spdm_opaque_write_none(ByteWriter *w, uint8_t spdm_version);
bool spdm_opaque_skip(ByteReader *r, uint8_t spdm_version);

/* VENDOR_DEFINED messages of PCI-SIG: the wrapper around one protocol byte and one PCI message. PCIe r6
 * "CMA-SPDM". */
#define SPDM_PCI_PROTOCOL_IDE_KM 0
#define SPDM_PCI_PROTOCOL_TDISP  1
#define SPDM_PCI_WRAPPER_LEN     12 /* up to and including the protocol byte */
#define SPDM_PCI_LARGE_LEN       4  /* more of it with SPDM_LARGE */

/* Everything before the PCI message; @len is the message's length; @param1: SPDM_LARGE or 0. */
void spdm_pci_vdm_begin(ByteWriter *w, uint8_t version, uint8_t code, uint8_t param1, uint8_t protocol, size_t len);

typedef struct SpdmPciVdm {
    uint8_t        protocol;
    const uint8_t *data;
    size_t         len;
} SpdmPciVdm;

/* Parse what follows the four header bytes; SPDM_UNSUPPORTED_REQUEST for another standard or vendor. @large: lengths
 * have 32 bits. */
SpdmError spdm_pci_vdm_read(ByteReader *r, bool large, SpdmPciVdm *vdm);

#endif
