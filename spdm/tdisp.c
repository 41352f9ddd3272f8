/*
 * The device security manager: answers TDISP requests and owns the states of the TDIs. PCIe r6, "TDISP",
 * message sections of the names below. Checks go in the order size, version, interface, state, content; a
 * request that fails changes nothing.
 */
#include "spdm/tdisp.h"

#include <string.h>

#define VERSION_10       0x10
#define CAPS_BITMAP_LEN  16
#define ANY_STATE        0xf
#define IN(state)        (1u << (state))

/* Everything that can move a TDI. */
typedef enum TdiEvent { EVENT_LOCK, EVENT_START, EVENT_STOP, EVENT_VIOLATION, N_EVENTS } TdiEvent;

/* TDISP "TDI State Machine". STAY: the event has no edge from there. A violation while UNLOCKED is no
 * violation; one in ERROR changes nothing. ERROR is left by STOP only (leaving it unasked, after a scrub,
 * is optional). */
#define STAY 0xff
static const uint8_t edges[N_EVENTS][4] = {
    /*                 CONFIG_UNLOCKED    CONFIG_LOCKED        RUN                  ERROR               */
    [EVENT_LOCK]    = { TDI_CONFIG_LOCKED, STAY,                STAY,                STAY                },
    [EVENT_START]   = { STAY,              TDI_RUN,             STAY,                STAY                },
    [EVENT_STOP]    = { STAY,              TDI_CONFIG_UNLOCKED, TDI_CONFIG_UNLOCKED, TDI_CONFIG_UNLOCKED },
    [EVENT_VIOLATION] = { STAY,            TDI_ERROR,           TDI_ERROR,           STAY                },
};

const char *tdi_state_name(unsigned n)
{
    static const char *const names[] = { "CONFIG_UNLOCKED", "CONFIG_LOCKED", "RUN", "ERROR" };

    return n < ARRAY_LEN(names) ? names[n] : NULL;
}

/* The one place where a TDI's state changes. Returns whether it did. */
static bool transition(TdispDsm *dsm, Tdi *tdi, TdiEvent event)
{
    TdiState from = tdi->state;
    uint8_t  to = edges[event][from];

    if (to == STAY) {
        return false;
    }
    tdi->state = (TdiState)to;
    if (to != TDI_CONFIG_LOCKED) {
        spdm_wipe(tdi->nonce, sizeof(tdi->nonce));
        tdi->nonce_valid = false;
    }
    if (to != TDI_RUN) {
        tdi->n_p2p = 0;
    }
    if (to == TDI_CONFIG_UNLOCKED) {
        tdisp_tdi_init(tdi, tdi->function_id);
    }
    if (dsm->ops->state_changed != NULL) {
        dsm->ops->state_changed(dsm->opaque, tdi, from);
    }
    return true;
}

void tdisp_tdi_init(Tdi *tdi, uint16_t function_id) { *tdi = (Tdi){ .function_id = function_id }; }

void tdisp_tdi_rename(Tdi *tdi, uint16_t function_id) { tdi->function_id = function_id; }

bool tdisp_tdi_error(TdispDsm *dsm, Tdi *tdi) { return transition(dsm, tdi, EVENT_VIOLATION); }

/* Index of a bound peer-to-peer stream, or -1. */
static int find_p2p(const Tdi *tdi, uint8_t stream_id)
{
    for (int i = 0; i < tdi->n_p2p; i++) {
        if (tdi->p2p[i] == stream_id) {
            return i;
        }
    }
    return -1;
}

void tdisp_session_ended(TdispDsm *dsm, uint32_t session_id)
{
    for (unsigned i = 0; i < dsm->n_tdis; i++) {
        if (dsm->tdis[i].session_id == session_id) {
            (void)tdisp_tdi_error(dsm, &dsm->tdis[i]);
        }
    }
}

void tdisp_stream_lost(TdispDsm *dsm, uint8_t stream_id)
{
    for (unsigned i = 0; i < dsm->n_tdis; i++) {
        const Tdi *tdi = &dsm->tdis[i];

        if (tdi->session_id != 0 && (tdi->stream_id == stream_id || find_p2p(tdi, stream_id) >= 0)) {
            (void)tdisp_tdi_error(dsm, &dsm->tdis[i]);
        }
    }
}

/* "INTERFACE_ID": the segment counts only when it is marked as valid. */
Tdi *tdisp_find(TdispDsm *dsm, uint32_t function_id)
{
    bool elsewhere =
        (function_id & TDISP_SEGMENT_VALID) != 0 && (function_id & TDISP_SEGMENT_MASK) >> 16 != dsm->segment;

    for (unsigned i = 0; i < dsm->n_tdis && !elsewhere; i++) {
        if (dsm->tdis[i].function_id == (function_id & TDISP_RID_MASK)) {
            return &dsm->tdis[i];
        }
    }
    return NULL;
}

/* ---- interface report ---------------------------------------------------------------------------------- */

size_t tdisp_report_encode(const TdispReport *report, uint8_t *out, size_t cap)
{
    ByteWriter w = bw_init(out, cap);

    bw_u16(&w, report->interface_info);
    bw_u16(&w, 0);
    bw_u16(&w, report->msix_control);
    bw_u16(&w, report->lnr_control);
    bw_u32(&w, report->tph_control);
    bw_u32(&w, report->n_ranges);
    for (unsigned i = 0; i < report->n_ranges && i < TDISP_RANGES_MAX; i++) {
        bw_u64(&w, report->ranges[i].first_page);
        bw_u32(&w, report->ranges[i].n_pages);
        bw_u16(&w, report->ranges[i].attributes);
        bw_u16(&w, report->ranges[i].id);
    }
    bw_u32(&w, report->info_len);
    bw_bytes(&w, report->info, report->info_len < TDISP_INFO_MAX ? report->info_len : TDISP_INFO_MAX);
    return bw_ok(&w) ? w.pos : 0;
}

bool tdisp_report_decode(const uint8_t *in, size_t len, TdispReport *report)
{
    ByteReader r = br_init(in, len);

    memset(report, 0, sizeof(*report));
    report->interface_info = br_u16(&r);
    br_skip(&r, 2);
    report->msix_control = br_u16(&r);
    report->lnr_control = br_u16(&r);
    report->tph_control = br_u32(&r);
    report->n_ranges = br_u32(&r);
    if (report->n_ranges > TDISP_RANGES_MAX) {
        return false;
    }
    for (unsigned i = 0; i < report->n_ranges; i++) {
        TdispRange *range = &report->ranges[i];

        range->first_page = br_u64(&r);
        range->n_pages = br_u32(&r);
        range->attributes = br_u16(&r);
        range->id = br_u16(&r);
        if (i != 0 && range->id < range[-1].id) {
            return false;
        }
    }
    report->info_len = br_u32(&r);
    if (report->info_len > TDISP_INFO_MAX) {
        return false;
    }
    br_bytes(&r, report->info, report->info_len);
    return br_ok(&r) && br_left(&r) == 0;
}

/* ---- requests ------------------------------------------------------------------------------------------ */

typedef struct Exchange {
    TdispDsm *dsm;
    Tdi      *tdi;
    uint32_t  session_id;
} Exchange;

static TdispError get_version(Exchange *x, ByteReader *req, ByteWriter *rsp)
{
    bw_u8(rsp, 1);
    bw_u8(rsp, VERSION_10);
    return TDISP_OK;
}

static void append_supported_requests(const TdispDsm *dsm, ByteWriter *rsp);

static TdispError get_capabilities(Exchange *x, ByteReader *req, ByteWriter *rsp)
{
    bw_u32(rsp, 0); /* DSM_CAPS */
    append_supported_requests(x->dsm, rsp);
    bw_u16(rsp, x->dsm->lock_flags);
    bw_u24(rsp, 0);
    bw_u8(rsp, x->dsm->address_width);
    bw_u8(rsp, 1); /* NUM_REQ_THIS: one request at a time */
    bw_u8(rsp, 1); /* NUM_REQ_ALL */
    return TDISP_OK;
}

static TdispError lock_interface(Exchange *x, ByteReader *req, ByteWriter *rsp)
{
    Tdi        wanted = *x->tdi;
    TdispError e;

    wanted.lock_flags = br_u16(req);
    wanted.stream_id = br_u8(req);
    br_skip(req, 1);
    wanted.mmio_offset = br_u64(req); /* signed; added to the addresses of the report */
    wanted.p2p_mask = br_u64(req);
    wanted.session_id = x->session_id;
    if ((wanted.lock_flags & ~x->dsm->lock_flags) != 0 || !is_aligned(wanted.mmio_offset, 4096)) {
        return TDISP_INVALID_REQUEST;
    }
    if (x->dsm->ops->stream_is_keyed != NULL &&
        !x->dsm->ops->stream_is_keyed(x->dsm->opaque, &wanted, wanted.stream_id, x->session_id)) {
        return TDISP_INVALID_REQUEST;
    }
    e = x->dsm->ops->may_lock(x->dsm->opaque, &wanted);
    if (e != TDISP_OK) {
        return e;
    }
    entropy_bytes(x->dsm->entropy, wanted.nonce, sizeof(wanted.nonce));
    wanted.nonce_valid = true;
    *x->tdi = wanted;
    transition(x->dsm, x->tdi, EVENT_LOCK);
    bw_bytes(rsp, wanted.nonce, sizeof(wanted.nonce));
    return TDISP_OK;
}

static TdispError get_interface_report(Exchange *x, ByteReader *req, ByteWriter *rsp)
{
    size_t      offset = br_u16(req), len = br_u16(req), total;
    uint8_t     bytes[TDISP_REPORT_MAX];
    TdispReport report = { 0 };

    x->dsm->ops->report(x->dsm->opaque, x->tdi, &report);
    total = tdisp_report_encode(&report, bytes, sizeof(bytes));
    if (total == 0) {
        return TDISP_UNSPECIFIED;
    }
    if (offset >= total || len == 0) {
        return TDISP_INVALID_REQUEST;
    }
    len = len < total - offset ? len : total - offset;
    if (len > rsp->cap - rsp->pos - 4) { /* "permitted to provide less than the requested length" */
        len = rsp->cap - rsp->pos - 4;
    }
    bw_u16(rsp, (uint16_t)len);
    bw_u16(rsp, (uint16_t)(total - offset - len));
    bw_bytes(rsp, bytes + offset, len);
    return TDISP_OK;
}

static TdispError get_interface_state(Exchange *x, ByteReader *req, ByteWriter *rsp)
{
    bw_u8(rsp, (uint8_t)x->tdi->state);
    return TDISP_OK;
}

static TdispError start_interface(Exchange *x, ByteReader *req, ByteWriter *rsp)
{
    uint8_t nonce[TDISP_NONCE_LEN];

    br_bytes(req, nonce, sizeof(nonce));
    if (!x->tdi->nonce_valid || !spdm_equal(nonce, x->tdi->nonce, sizeof(nonce))) {
        return TDISP_INVALID_NONCE;
    }
    transition(x->dsm, x->tdi, EVENT_START);
    return TDISP_OK;
}

static TdispError stop_interface(Exchange *x, ByteReader *req, ByteWriter *rsp)
{
    transition(x->dsm, x->tdi, EVENT_STOP); /* an unlocked interface has nothing to stop: success */
    return TDISP_OK;
}

static TdispError bind_p2p_stream(Exchange *x, ByteReader *req, ByteWriter *rsp)
{
    Tdi    *tdi = x->tdi;
    uint8_t id = br_u8(req);

    if (!(tdi->lock_flags & TDISP_LOCK_BIND_P2P) || id == tdi->stream_id || find_p2p(tdi, id) >= 0 ||
        tdi->n_p2p == TDISP_P2P_MAX || !x->dsm->ops->bind_p2p(x->dsm->opaque, tdi, id, x->session_id)) {
        return TDISP_INVALID_REQUEST;
    }
    tdi->p2p[tdi->n_p2p++] = id;
    return TDISP_OK;
}

static TdispError unbind_p2p_stream(Exchange *x, ByteReader *req, ByteWriter *rsp)
{
    Tdi    *tdi = x->tdi;
    uint8_t id = br_u8(req);
    int     i = find_p2p(tdi, id);

    if (i < 0) {
        return TDISP_INVALID_REQUEST;
    }
    tdi->p2p[i] = tdi->p2p[--tdi->n_p2p];
    x->dsm->ops->unbind_p2p(x->dsm->opaque, tdi, id);
    return TDISP_OK;
}

static TdispError set_mmio_attribute(Exchange *x, ByteReader *req, ByteWriter *rsp)
{
    TdispRange range = { .first_page = br_u64(req), .n_pages = br_u32(req) };

    range.attributes = br_u16(req);
    range.id = br_u16(req);
    if ((range.attributes & (TDISP_RANGE_MSIX_TABLE | TDISP_RANGE_MSIX_PBA)) != 0) { /* "must be zero" */
        return TDISP_INVALID_REQUEST;
    }
    range.attributes &= TDISP_RANGE_NON_TEE;
    return x->dsm->ops->set_mmio_attribute(x->dsm->opaque, x->tdi, &range) ? TDISP_OK : TDISP_INVALID_REQUEST;
}

/* Which operation of the device an optional message needs. */
typedef enum Needs { NEEDS_NOTHING, NEEDS_P2P, NEEDS_ATTRIBUTES } Needs;

static const struct TdispMessage {
    const char *name;
    uint8_t     code, payload_len;
    uint8_t     states;       /* IN() of each state the request is legal in */
    bool        own_session;  /* while locked or running: only from the session that locked the interface */
    Needs       needs;
    TdispError (*handle)(Exchange *x, ByteReader *req, ByteWriter *rsp);
} messages[] = {
    { "GET_TDISP_VERSION", TDISP_GET_VERSION, 0, ANY_STATE, false, NEEDS_NOTHING, get_version },
    { "GET_TDISP_CAPABILITIES", TDISP_GET_CAPABILITIES, 4, ANY_STATE, false, NEEDS_NOTHING, get_capabilities },
    { "LOCK_INTERFACE_REQUEST", TDISP_LOCK_INTERFACE, 20, IN(TDI_CONFIG_UNLOCKED), false, NEEDS_NOTHING,
      lock_interface },
    { "GET_DEVICE_INTERFACE_REPORT", TDISP_GET_INTERFACE_REPORT, 4, IN(TDI_CONFIG_LOCKED) | IN(TDI_RUN), true,
      NEEDS_NOTHING, get_interface_report },
    { "GET_DEVICE_INTERFACE_STATE", TDISP_GET_INTERFACE_STATE, 0, ANY_STATE, false, NEEDS_NOTHING,
      get_interface_state },
    { "START_INTERFACE_REQUEST", TDISP_START_INTERFACE, TDISP_NONCE_LEN, IN(TDI_CONFIG_LOCKED), true,
      NEEDS_NOTHING, start_interface },
    { "STOP_INTERFACE_REQUEST", TDISP_STOP_INTERFACE, 0, ANY_STATE, true, NEEDS_NOTHING, stop_interface },
    { "BIND_P2P_STREAM_REQUEST", TDISP_BIND_P2P_STREAM, 1, IN(TDI_RUN), true, NEEDS_P2P, bind_p2p_stream },
    { "UNBIND_P2P_STREAM_REQUEST", TDISP_UNBIND_P2P_STREAM, 1, IN(TDI_RUN), true, NEEDS_P2P, unbind_p2p_stream },
    { "SET_MMIO_ATTRIBUTE_REQUEST", TDISP_SET_MMIO_ATTRIBUTE, 16, IN(TDI_RUN), true, NEEDS_ATTRIBUTES,
      set_mmio_attribute },
};

static bool is_supported(const TdispDsm *dsm, const struct TdispMessage *m)
{
    switch (m->needs) {
    case NEEDS_P2P:
        return dsm->ops->bind_p2p != NULL && (dsm->lock_flags & TDISP_LOCK_BIND_P2P) != 0;
    case NEEDS_ATTRIBUTES:
        return dsm->ops->set_mmio_attribute != NULL;
    default:
        return true;
    }
}

static void append_supported_requests(const TdispDsm *dsm, ByteWriter *rsp)
{
    uint8_t bitmap[CAPS_BITMAP_LEN] = { 0 };

    for (unsigned i = 0; i < ARRAY_LEN(messages); i++) {
        unsigned bit = messages[i].code & 0x7f;

        bitmap[bit / 8] |= (uint8_t)(is_supported(dsm, &messages[i]) << bit % 8);
    }
    bw_bytes(rsp, bitmap, sizeof(bitmap));
}

static const struct TdispMessage *find_message(const TdispDsm *dsm, uint8_t code)
{
    for (unsigned i = 0; i < ARRAY_LEN(messages); i++) {
        if (messages[i].code == code && is_supported(dsm, &messages[i])) {
            return &messages[i];
        }
    }
    return NULL;
}

bool tdisp_message(size_t n, const char **name, uint8_t *code)
{
    if (n >= ARRAY_LEN(messages)) {
        return false;
    }
    *name = messages[n].name;
    *code = messages[n].code;
    return true;
}

typedef struct Header {
    uint8_t  version, type;
    uint32_t function_id;
    uint64_t reserved;
} Header;

static Header read_header(ByteReader *r)
{
    Header h;

    h.version = br_u8(r);
    h.type = br_u8(r);
    br_skip(r, 2);
    h.function_id = br_u32(r);
    h.reserved = br_u64(r);
    return h;
}

static void begin(ByteWriter *w, const Header *h, uint8_t type)
{
    bw_u8(w, VERSION_10);
    bw_u8(w, type);
    bw_u16(w, 0);
    bw_u32(w, h->function_id);
    bw_u64(w, h->reserved);
}

/* Whether another session than the one that locked the interface asks. A host can open sessions of its
 * own; it must not read the report of, start or stop what a trusted module locked. In ERROR anyone may
 * STOP: the owner may be gone. */
static bool is_foreign(const Exchange *x, const struct TdispMessage *m)
{
    bool held = x->tdi->state == TDI_CONFIG_LOCKED || x->tdi->state == TDI_RUN;

    return m->own_session && held && x->tdi->session_id != x->session_id;
}

static TdispError check_and_handle(Exchange *x, const struct TdispMessage *m, const Header *h,
                                   ByteReader *req, ByteWriter *rsp)
{
    if (m != NULL && br_left(req) != m->payload_len) {
        return TDISP_INVALID_REQUEST;
    }
    if (h->version != VERSION_10) {
        return TDISP_VERSION_MISMATCH;
    }
    if (m == NULL) {
        return TDISP_UNSUPPORTED_REQUEST;
    }
    if (x->tdi == NULL) {
        return TDISP_INVALID_INTERFACE;
    }
    if (!(m->states & IN(x->tdi->state))) {
        return TDISP_INVALID_INTERFACE_STATE;
    }
    if (is_foreign(x, m)) {
        return TDISP_INVALID_REQUEST;
    }
    begin(rsp, h, SPDM_RESPONSE_OF(h->type));
    return m->handle(x, req, rsp);
}

SpdmVendorResult tdisp_handle(TdispDsm *dsm, uint32_t session_id, const uint8_t *req, size_t len,
                              ByteWriter *rsp)
{
    ByteReader                 r = br_init(req, len);
    Header                     h = read_header(&r);
    Exchange                   x = { dsm, NULL, session_id };
    const struct TdispMessage *m = find_message(dsm, h.type);
    TdispError                 e;

    if (!br_ok(&r)) {
        return SPDM_VENDOR_INVALID; /* no header: not even an error could name the interface */
    }
    x.tdi = h.reserved == 0 && (h.function_id & ~TDISP_FUNCTION_MASK) == 0 ? tdisp_find(dsm, h.function_id)
                                                                           : NULL;
    e = check_and_handle(&x, m, &h, &r, rsp);
    if (e != TDISP_OK) {
        rsp->pos = 0;
        begin(rsp, &h, TDISP_ERROR);
        bw_u32(rsp, (uint32_t)e);
        bw_u32(rsp, e == TDISP_UNSUPPORTED_REQUEST ? h.type : 0);
    }
    return SPDM_VENDOR_REPLY;
}
