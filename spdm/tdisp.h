/*
 * TDISP 1.0: the device's security manager (DSM), which owns the state of each TEE device interface (TDI),
 * and the requester's messages. PCIe r6, "TEE Device Interface Security Protocol (TDISP)". Messages travel in
 * SPDM sessions as PCI-SIG protocol 1; what is handled here starts behind the protocol byte. Optional messages are
 * offered when the device has what they need. Left out: VDM, which is for messages that a vendor defines.
 */
#ifndef BAILEY_SPDM_TDISP_H
#define BAILEY_SPDM_TDISP_H

#include "spdm/spdm.h"

#define TDISP_NONCE_LEN     32
#define TDISP_REPORT_MAX    2048
#define TDISP_RANGES_MAX    16
#define TDISP_INFO_MAX      256
#define TDISP_P2P_MAX       4 /* peer-to-peer streams of one interface */
#define TDISP_RID_MASK      0x0000ffffu /* FUNCTION_ID */
#define TDISP_SEGMENT_MASK  0x00ff0000u
#define TDISP_SEGMENT_VALID 0x01000000u
#define TDISP_FUNCTION_MASK (TDISP_RID_MASK | TDISP_SEGMENT_MASK | TDISP_SEGMENT_VALID)

enum TdispCode {
    TDISP_GET_VERSION = 0x81,
    TDISP_GET_CAPABILITIES = 0x82,
    TDISP_LOCK_INTERFACE = 0x83,
    TDISP_GET_INTERFACE_REPORT = 0x84,
    TDISP_GET_INTERFACE_STATE = 0x85,
    TDISP_START_INTERFACE = 0x86,
    TDISP_STOP_INTERFACE = 0x87,
    TDISP_BIND_P2P_STREAM = 0x88,
    TDISP_UNBIND_P2P_STREAM = 0x89,
    TDISP_SET_MMIO_ATTRIBUTE = 0x8a,
    TDISP_ERROR = 0x7f,
};

/* TDISP_ERROR, ERROR_CODE. */
typedef enum TdispError {
    TDISP_OK = 0,
    TDISP_INVALID_REQUEST = 0x0001,
    TDISP_BUSY = 0x0003,
    TDISP_INVALID_INTERFACE_STATE = 0x0004,
    TDISP_UNSPECIFIED = 0x0005,
    TDISP_UNSUPPORTED_REQUEST = 0x0007,
    TDISP_VERSION_MISMATCH = 0x0041,
    TDISP_INVALID_INTERFACE = 0x0101,
    TDISP_INVALID_NONCE = 0x0102,
    TDISP_INSUFFICIENT_ENTROPY = 0x0103,
    TDISP_INVALID_DEVICE_CONFIGURATION = 0x0104,
} TdispError;

/* LOCK_INTERFACE_REQUEST, FLAGS. */
enum {
    TDISP_LOCK_NO_FW_UPDATE = BIT(0),
    TDISP_LOCK_CACHE_LINE_SIZE = BIT(1),
    TDISP_LOCK_MSIX = BIT(2),
    TDISP_LOCK_BIND_P2P = BIT(3),
    TDISP_LOCK_ALL_REQUEST_REDIRECT = BIT(4),
};

/* TDISP "TDI States", with the numbers of DEVICE_INTERFACE_STATE. */
typedef enum TdiState { TDI_CONFIG_UNLOCKED, TDI_CONFIG_LOCKED, TDI_RUN, TDI_ERROR } TdiState;

/* tdi_state_name - of state @n, as TDISP has it; NULL past the last. */
const char *tdi_state_name(unsigned n);

/* One interface; plain data. Only functions of this file write it. */
typedef struct Tdi {
    uint16_t function_id; /* requester ID */
    TdiState state;
    uint32_t session_id; /* that locked it; 0 when UNLOCKED */
    uint16_t lock_flags;
    uint8_t  stream_id;  /* its default stream */
    uint64_t mmio_offset, p2p_mask;
    uint8_t  n_p2p, p2p[TDISP_P2P_MAX]; /* peer-to-peer streams bound to it */
    bool     nonce_valid;
    uint8_t  nonce[TDISP_NONCE_LEN];
} Tdi;

/* TDI report: MMIO range attributes. */
enum {
    TDISP_RANGE_MSIX_TABLE = BIT(0),
    TDISP_RANGE_MSIX_PBA = BIT(1),
    TDISP_RANGE_NON_TEE = BIT(2),
    TDISP_RANGE_UPDATABLE = BIT(3),
};

/* INTERFACE_INFO. */
enum {
    TDISP_INFO_NO_FW_UPDATE = BIT(0),
    TDISP_INFO_DMA_WITHOUT_PASID = BIT(1),
    TDISP_INFO_DMA_WITH_PASID = BIT(2),
    TDISP_INFO_ATS = BIT(3),
    TDISP_INFO_PRS = BIT(4),
};

typedef struct TdispRange {
    uint64_t first_page; /* (physical address + MMIO reporting offset) >> 12 */
    uint32_t n_pages;
    uint16_t attributes, id; /* id: BAR number */
} TdispRange;

/* DEVICE_INTERFACE_REPORT, by the names of its fields. */
typedef struct TdispReport {
    uint16_t   interface_info, msix_control, lnr_control;
    uint32_t   tph_control, n_ranges, info_len;
    TdispRange ranges[TDISP_RANGES_MAX]; /* ascending by BAR */
    uint8_t    info[TDISP_INFO_MAX];     /* device specific */
} TdispReport;

/* What the DSM asks of the device around it. */
typedef struct TdispOps {
    /* Whether the function may be locked as it is configured now, with tdi's new flags, stream and offset
     * (its state is still UNLOCKED): no overlapping BARs, no phantom functions and so on. TDISP_OK or the
     * error to answer. */
    TdispError (*may_lock)(void *opaque, const Tdi *tdi);
    /* Whether @stream_id is the function's default stream with all keys in use, programmed in
     * @session_id. NULL: the device is inside its package and has no link to encrypt. */
    bool (*stream_is_keyed)(void *opaque, const Tdi *tdi, uint8_t stream_id, uint32_t session_id);
    /* Fill the report of a locked interface. */
    void (*report)(void *opaque, const Tdi *tdi, TdispReport *report);
    /* The state changed from @from to tdi->state. Leaving RUN: DMA must stop before this returns;
     * entering UNLOCKED: the TVM's data must be scrubbed. May be NULL. */
    void (*state_changed)(void *opaque, const Tdi *tdi, TdiState from);
    /* Bind a peer-to-peer stream: false when it is not fit for it (keys of @session_id in all sub-streams, one block
     * with that ID, not the default stream, associations of its own). From here to unbind_p2p() or the end of RUN
     * its loss must be told by tdisp_tdi_error(). NULL: the device binds none. */
    bool (*bind_p2p)(void *opaque, const Tdi *tdi, uint8_t stream_id, uint32_t session_id);
    void (*unbind_p2p)(void *opaque, const Tdi *tdi, uint8_t stream_id);
    /* Give a reported range (its attributes: TDISP_RANGE_NON_TEE or 0) other attributes: false when there is no such
     * range or it is not updatable. NULL: none is. */
    bool (*set_mmio_attribute)(void *opaque, const Tdi *tdi, const TdispRange *range);
} TdispOps;

typedef struct TdispDsm {
    const TdispOps *ops;           /* not saved, like the next five */
    void           *opaque;
    Entropy        *entropy;
    uint16_t        lock_flags;    /* supported TDISP_LOCK_* */
    uint8_t         address_width; /* DEV_ADDR_WIDTH, bits */
    uint8_t         segment;       /* of the hierarchy, for requesters that name it */

    Tdi     *tdis; /* the device's array; saved by the device */
    unsigned n_tdis;
} TdispDsm;

/* An interface that has never been locked. */
void tdisp_tdi_init(Tdi *tdi, uint16_t function_id);

/* The function's requester ID changed. */
void tdisp_tdi_rename(Tdi *tdi, uint16_t function_id);

/**
 * tdisp_handle - answer one TDISP message; fits SpdmResponderConfig.vendor for protocol 1.
 * @session_id: the SPDM session it came in, never 0
 */
SpdmVendorResult tdisp_handle(TdispDsm *dsm, uint32_t session_id, const uint8_t *req, size_t len,
                              ByteWriter *rsp);

/**
 * tdisp_tdi_error - the host or the link broke a rule of CONFIG_LOCKED or RUN. Also for FLR and other resets
 * of the function. Moves a locked or running interface to ERROR; nothing happens in the other states. Returns
 * whether it moved.
 */
bool tdisp_tdi_error(TdispDsm *dsm, Tdi *tdi);

/* An SPDM session ended: every interface that it locked goes to ERROR. */
void tdisp_session_ended(TdispDsm *dsm, uint32_t session_id);

/* A stream is no longer Secure: every interface bound to it goes to ERROR. */
void tdisp_stream_lost(TdispDsm *dsm, uint8_t stream_id);

/* tdisp_find - the interface that a message's FUNCTION_ID names, with or without the segment; NULL: none. */
Tdi *tdisp_find(TdispDsm *dsm, uint32_t function_id);

/* The report's wire form; length 0 when it does not fit. */
size_t tdisp_report_encode(const TdispReport *report, uint8_t *out, size_t cap);

/* Parse a report from a device: false when malformed, with more than TDISP_RANGES_MAX ranges, or not
 * ascending. */
bool tdisp_report_decode(const uint8_t *in, size_t len, TdispReport *report);

/* The messages this side answers, for the conformance table; false past the last. */
bool tdisp_message(size_t n, const char **name, uint8_t *code);

/* ---- requester ----------------------------------------------------------------------------------------- */

typedef enum TdispOp {
    TDISP_OP_PROBE,  /* version, capabilities, state */
    TDISP_OP_LOCK,   /* LOCK, then state must be CONFIG_LOCKED */
    TDISP_OP_REPORT, /* all portions */
    TDISP_OP_START,  /* START, then state must be RUN */
    TDISP_OP_STOP,   /* STOP, then state must be CONFIG_UNLOCKED */
    TDISP_OP_STATE,  /* state alone */
} TdispOp;

/* What a requester knows of one interface, and its run of messages; plain data. */
typedef struct TdispClient {
    uint32_t function_id;
    TdispOp  op;
    uint8_t  step;       /* index into the step table while op is under way */
    bool     busy;
    char     error[96];

    TdiState state;              /* as last reported */
    uint16_t supported_flags;    /* from CAPABILITIES */
    uint8_t  address_width;
    uint16_t lock_flags;         /* arguments of LOCK */
    uint8_t  stream_id;
    uint64_t mmio_offset, p2p_mask;
    bool     has_nonce;
    uint8_t  nonce[TDISP_NONCE_LEN];
    uint32_t report_len;
    uint8_t  report[4096];
    /* of the last report message: its bytes in that message, for caching */
    uint32_t portion_offset, portion_len;
} TdispClient;

void tdisp_client_init(TdispClient *c, uint32_t function_id);

/* Begin a run. For TDISP_OP_LOCK set lock_flags, stream_id, mmio_offset and p2p_mask first. */
void tdisp_client_start(TdispClient *c, TdispOp op);

/* The next message for SPDM_OP_VENDOR; returns its length, 0 when no run is under way. */
size_t tdisp_client_next(TdispClient *c, uint8_t *out, size_t cap);

/* Take the response; SPDM_FAILED ends the run, c->error says why. */
SpdmResult tdisp_client_response(TdispClient *c, const uint8_t *in, size_t len);

#endif
