/*
 * TDISP and IDE_KM at the device: the TDI state table, every refusal in the order of the checks, and the
 * rules of key ownership. Messages go through a real SPDM session.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "spdm_pair.h"

static SpdmPair pair, other;

/* A pair with keys going, whose interface is in @state. */
static void start_in(TdiState state)
{
    pair_init(&pair, SPDM_RESPONDER_CAPS);
    assert_true(pair_run(&pair, pair_stage("probe")));
    pair.tdi.lock_flags = TDISP_LOCK_BIND_P2P;
    if (state != TDI_CONFIG_UNLOCKED) {
        assert_int_equal(pair_tdisp(&pair, TDISP_OP_LOCK), SPDM_DONE);
    }
    if (state == TDI_RUN) {
        assert_int_equal(pair_tdisp(&pair, TDISP_OP_START), SPDM_DONE);
    }
    if (state == TDI_ERROR) {
        assert_true(tdisp_tdi_error(&pair.dsm, &pair.tdis[0]));
    }
    assert_int_equal(pair.tdis[0].state, state);
}

typedef struct Tdisp {
    uint8_t bytes[64];
    size_t  len;
} Tdisp;

/* A well-formed request for the state the interface is in. */
static Tdisp tdisp_request(uint8_t code)
{
    static const uint8_t payload[] = {
        [1] = 0, [2] = 4, [3] = 20, [4] = 4, [5] = 0, [6] = 32, [7] = 0, [8] = 1, [9] = 1, [10] = 16,
    };
    Tdisp                m = { { 0x10, code }, 16 };

    le32_put(m.bytes + 4, PAIR_FUNCTION);
    m.len += code >= 0x81 && code <= 0x8a ? payload[code & 0x7f] : 0;
    if (code == TDISP_GET_INTERFACE_REPORT) {
        le16_put(m.bytes + 18, 0xffff);
    } else if (code == TDISP_START_INTERFACE) {
        memcpy(m.bytes + 16, pair.tdis[0].nonce, TDISP_NONCE_LEN);
    } else if (code == TDISP_BIND_P2P_STREAM || code == TDISP_UNBIND_P2P_STREAM) {
        m.bytes[16] = PAIR_P2P_STREAM;
    } else if (code == TDISP_SET_MMIO_ATTRIBUTE) {
        le64_put(m.bytes + 16, PAIR_UPDATABLE_PAGE);
        m.bytes[24] = 1;
        m.bytes[30] = 2;
    }
    return m;
}

/* The TDISP error of a request, 0 when it was answered, ~0 when it was not. */
static uint32_t tdisp_send(SpdmPair *p, const Tdisp *m, uint32_t *data)
{
    uint8_t reply[SPDM_MSG_MAX];
    size_t  len = pair_send_pci(p, SPDM_PCI_PROTOCOL_TDISP, m->bytes, m->len, reply, sizeof(reply));

    if (len < 16) {
        return ~0u;
    }
    assert_int_equal(reply[0], 0x10);
    assert_memory_equal(reply + 4, m->bytes + 4, 12);
    if (reply[1] == TDISP_ERROR) {
        assert_int_equal(len, 24);
        *data = le32_get(reply + 20);
        return le32_get(reply + 16);
    }
    assert_int_equal(reply[1], m->bytes[1] & 0x7f);
    return 0;
}

#define S(u, l, r, e) { u, l, r, e }
#define IS            TDISP_INVALID_INTERFACE_STATE
#define U             TDI_CONFIG_UNLOCKED
#define L             TDI_CONFIG_LOCKED
#define R             TDI_RUN
#define E             TDI_ERROR

static const struct StateRow {
    uint8_t  code;
    uint16_t error[4]; /* by state before: UNLOCKED, LOCKED, RUN, ERROR */
    uint8_t  after[4];
} state_rows[] = {
    { TDISP_GET_VERSION, S(0, 0, 0, 0), S(U, L, R, E) },
    { TDISP_GET_CAPABILITIES, S(0, 0, 0, 0), S(U, L, R, E) },
    { TDISP_LOCK_INTERFACE, S(0, IS, IS, IS), S(L, L, R, E) },
    { TDISP_GET_INTERFACE_REPORT, S(IS, 0, 0, IS), S(U, L, R, E) },
    { TDISP_GET_INTERFACE_STATE, S(0, 0, 0, 0), S(U, L, R, E) },
    { TDISP_START_INTERFACE, S(IS, 0, IS, IS), S(U, R, R, E) },
    { TDISP_STOP_INTERFACE, S(0, 0, 0, 0), S(U, U, U, U) },
    { TDISP_BIND_P2P_STREAM, S(IS, IS, 0, IS), S(U, L, R, E) },
    { TDISP_UNBIND_P2P_STREAM, S(IS, IS, TDISP_INVALID_REQUEST, IS), S(U, L, R, E) }, /* nothing is bound */
    { TDISP_SET_MMIO_ATTRIBUTE, S(IS, IS, 0, IS), S(U, L, R, E) },
    { 0x8b, S(7, 7, 7, 7), S(U, L, R, E) },
    { 0x01, S(7, 7, 7, 7), S(U, L, R, E) },
};

static void test_state_table(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(state_rows); i++) {
        for (unsigned s = 0; s < 4; s++) {
            const struct StateRow *row = &state_rows[i];
            uint32_t               data = 0, error;
            Tdisp                  m;

            start_in((TdiState)s);
            m = tdisp_request(row->code);
            error = tdisp_send(&pair, &m, &data);
            if (error != row->error[s] || pair.tdis[0].state != row->after[s]) {
                fail_msg("request %02x in state %u: error %x, state %u", row->code, s, error,
                         pair.tdis[0].state);
            }
            assert_int_equal(data, error == TDISP_UNSUPPORTED_REQUEST ? row->code : 0);
            /* The nonce lives in CONFIG_LOCKED only. */
            assert_int_equal(pair.tdis[0].nonce_valid, pair.tdis[0].state == TDI_CONFIG_LOCKED);
        }
    }
}

/* Everything that ends a locked or running interface; nothing else changes. */
static void test_violations(void **state)
{
    for (unsigned s = 0; s < 4; s++) {
        TdiState after = s == TDI_CONFIG_UNLOCKED ? TDI_CONFIG_UNLOCKED : TDI_ERROR;

        start_in((TdiState)s);
        assert_int_equal(tdisp_tdi_error(&pair.dsm, &pair.tdis[0]), s == TDI_CONFIG_LOCKED || s == TDI_RUN);
        assert_int_equal(pair.tdis[0].state, after);
        start_in((TdiState)s);
        tdisp_session_ended(&pair.dsm, pair.requester.session.id + 1);
        assert_int_equal(pair.tdis[0].state, s);
        spdm_responder_reset(&pair.responder);
        assert_int_equal(pair.tdis[0].state, after);
        start_in((TdiState)s);
        tdisp_stream_lost(&pair.dsm, PAIR_STREAM + 1);
        assert_int_equal(pair.tdis[0].state, s);
        assert_int_equal(pair_ide(&pair, IDE_KM_STOP, 0), SPDM_DONE);
        assert_int_equal(pair.tdis[0].state, after);
        assert_int_equal(pair.tdis[1].state, TDI_CONFIG_UNLOCKED);
        /* Keys again, STOP, and the interface can be locked again. */
        assert_int_equal(pair_ide(&pair, IDE_KM_KEYS, 0), SPDM_DONE);
        assert_int_equal(pair_ide(&pair, IDE_KM_GO, 0), SPDM_DONE);
        assert_int_equal(pair_tdisp(&pair, TDISP_OP_STOP), SPDM_DONE);
        assert_int_equal(pair_tdisp(&pair, TDISP_OP_LOCK), SPDM_DONE);
        assert_int_equal(pair_tdisp(&pair, TDISP_OP_START), SPDM_DONE);
    }
}

static const struct BadRow {
    const char *name;
    TdiState    state;
    uint8_t     code, at, n, with[5];
    int         longer;
    uint32_t    error;
} bad_rows[] = {
    { "version: too long", U, 0x81, 0, 0, { 0 }, 1, 0x001 },
    { "version: other version", U, 0x81, 0, 1, { 0x11 }, 0, 0x041 },
    { "version: other interface", U, 0x81, 4, 1, { 0x55 }, 0, 0x101 },
    { "version: reserved bits of the interface", U, 0x81, 7, 1, { 0x80 }, 0, 0x101 },
    { "version: reserved bytes of the interface", U, 0x81, 15, 1, { 1 }, 0, 0x101 },
    { "size before version", U, 0x83, 0, 1, { 0x11 }, -1, 0x001 },
    { "version before interface", U, 0x83, 0, 5, { 0x11, 0x83, 0, 0, 0x55 }, 0, 0x041 },
    { "interface before state", L, 0x83, 4, 1, { 0x55 }, 0, 0x101 },
    { "state before content", R, 0x83, 16, 1, { 0xff }, 0, 0x004 },
    { "version before type", U, 0x8b, 0, 1, { 0x11 }, 0, 0x041 },
    { "capabilities: short", U, 0x82, 0, 0, { 0 }, -1, 0x001 },
    { "lock: unsupported flag", U, 0x83, 16, 1, { 0x10 }, 0, 0x001 },
    { "lock: other stream", U, 0x83, 18, 1, { 9 }, 0, 0x001 },
    { "lock: offset not a page", U, 0x83, 20, 1, { 1 }, 0, 0x001 },
    { "lock: long", U, 0x83, 0, 0, { 0 }, 1, 0x001 },
    { "report: offset at end", L, 0x84, 16, 2, { 55, 0 }, 0, 0x001 },
    { "report: offset FFFF", L, 0x84, 16, 2, { 0xff, 0xff }, 0, 0x001 },
    { "report: length 0", L, 0x84, 18, 2, { 0, 0 }, 0, 0x001 },
    { "report: last byte", L, 0x84, 16, 2, { 54, 0 }, 0, 0 },
    { "start: wrong nonce", L, 0x86, 16, 1, { 0x00 }, 0, 0x102 },
    { "start: wrong last byte", L, 0x86, 47, 1, { 0x00 }, 0, 0x102 },
    { "start: short", L, 0x86, 0, 0, { 0 }, -1, 0x001 },
    { "stop: long", R, 0x87, 0, 0, { 0 }, 4, 0x001 },
    { "bind: short", R, TDISP_BIND_P2P_STREAM, 0, 0, { 0 }, -1, 0x001 },
    { "bind: stream that is not fit", R, 0x88, 16, 1, { 4 }, 0, 0x001 },
    { "bind: the default stream", R, 0x88, 16, 1, { PAIR_STREAM }, 0, 0x001 },
    { "unbind: stream that is not bound", R, TDISP_UNBIND_P2P_STREAM, 16, 1, { 4 }, 0, 0x001 },
    { "attribute: short", R, TDISP_SET_MMIO_ATTRIBUTE, 0, 0, { 0 }, -1, 0x001 },
    { "attribute: range that is not there", R, 0x8a, 16, 1, { 1 }, 0, 0x001 },
    { "attribute: part of a range", R, 0x8a, 24, 1, { 2 }, 0, 0x001 },
    { "attribute: other range ID", R, 0x8a, 30, 1, { 0 }, 0, 0x001 },
    { "attribute: MSI-X table", R, 0x8a, 28, 1, { 1 }, 0, 0x001 },
    { "attribute: MSI-X PBA", R, 0x8a, 28, 1, { 2 }, 0, 0x001 },
    { "attribute: reserved bits are ignored", R, 0x8a, 28, 2, { 0xf8, 0xff }, 0, 0 },
};

static void test_bad_requests(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(bad_rows); i++) {
        const struct BadRow *row = &bad_rows[i];
        uint32_t             data, error;
        Tdisp                m;

        start_in(row->state);
        m = tdisp_request(row->code);
        for (unsigned k = 0; k < row->n; k++) {
            m.bytes[row->at + k] = row->with[k] == m.bytes[row->at + k] && row->code == 0x86
                                       ? (uint8_t)~row->with[k]
                                       : row->with[k];
        }
        m.len = (size_t)((int)m.len + row->longer);
        error = tdisp_send(&pair, &m, &data);
        if (error != row->error || pair.tdis[0].state != row->state) {
            fail_msg("%s: error %x, state %u", row->name, error, pair.tdis[0].state);
        }
        /* Nothing has changed: the valid request is answered. */
        m = tdisp_request(row->state == U ? 0x83 : row->state == L ? 0x86 : 0x87);
        assert_int_equal(tdisp_send(&pair, &m, &data), 0);
    }
}

/* A header that is not all there names no interface: not a TDISP answer but an SPDM error. */
static void test_headless(void **state)
{
    start_in(TDI_CONFIG_UNLOCKED);
    for (size_t n = 0; n < 16; n++) {
        Tdisp    m = tdisp_request(0x85);
        uint32_t data;

        m.len = n;
        assert_int_equal(tdisp_send(&pair, &m, &data), ~0u);
    }
    assert_int_equal(pair_tdisp(&pair, TDISP_OP_STATE), SPDM_DONE);
}

static void test_nonce_lives_once(void **state)
{
    Tdisp    old;
    uint32_t data;

    start_in(TDI_CONFIG_LOCKED);
    old = tdisp_request(TDISP_START_INTERFACE);
    assert_int_equal(pair_tdisp(&pair, TDISP_OP_STOP), SPDM_DONE);
    assert_int_equal(pair_tdisp(&pair, TDISP_OP_LOCK), SPDM_DONE);
    assert_int_equal(tdisp_send(&pair, &old, &data), TDISP_INVALID_NONCE);
    assert_int_equal(pair.tdis[0].state, TDI_CONFIG_LOCKED);
    assert_int_equal(pair_tdisp(&pair, TDISP_OP_START), SPDM_DONE);
    old = (Tdisp){ { 0x10, 0x86 }, 48 }; /* all zero, as a wiped nonce */
    le32_put(old.bytes + 4, PAIR_FUNCTION + 1);
    assert_int_equal(tdisp_send(&pair, &old, &data), TDISP_INVALID_INTERFACE_STATE);
}

/* Peer-to-peer streams: bound once each, lost like the default stream, gone with RUN. */
static void test_p2p(void **state)
{
    Tdisp    bind, unbind;
    uint32_t data;

    start_in(TDI_RUN);
    bind = tdisp_request(TDISP_BIND_P2P_STREAM);
    unbind = tdisp_request(TDISP_UNBIND_P2P_STREAM);
    assert_int_equal(tdisp_send(&pair, &bind, &data), 0);
    assert_int_equal(tdisp_send(&pair, &bind, &data), TDISP_INVALID_REQUEST); /* it is bound */
    assert_int_equal(tdisp_send(&pair, &unbind, &data), 0);
    assert_int_equal(pair.p2p_unbound, 1);
    tdisp_stream_lost(&pair.dsm, PAIR_P2P_STREAM);
    assert_int_equal(pair.tdis[0].state, TDI_RUN);
    assert_int_equal(tdisp_send(&pair, &bind, &data), 0);
    tdisp_stream_lost(&pair.dsm, PAIR_P2P_STREAM);
    assert_int_equal(pair.tdis[0].state, TDI_ERROR);
    assert_int_equal(pair.tdis[0].n_p2p, 0);

    /* Not without the flag of LOCK; and the device that has no such streams knows no such request. */
    assert_int_equal(pair_tdisp(&pair, TDISP_OP_STOP), SPDM_DONE);
    pair.tdi.lock_flags = 0;
    assert_int_equal(pair_tdisp(&pair, TDISP_OP_LOCK), SPDM_DONE);
    assert_int_equal(pair_tdisp(&pair, TDISP_OP_START), SPDM_DONE);
    assert_int_equal(tdisp_send(&pair, &bind, &data), TDISP_INVALID_REQUEST);
    pair.dsm.lock_flags = 0;
    assert_int_equal(tdisp_send(&pair, &bind, &data), TDISP_UNSUPPORTED_REQUEST);
    assert_int_equal(data, TDISP_BIND_P2P_STREAM);
}

/* The bitmap of requests follows what the device has. */
static void test_supported_requests(void **state)
{
    static const struct { uint16_t lock_flags; uint8_t bitmap[2]; } rows[] = {
        { TDISP_LOCK_BIND_P2P, { 0xfe, 0x07 } }, { 0, { 0xfe, 0x04 } },
    };
    uint8_t reply[SPDM_MSG_MAX];

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        start_in(TDI_CONFIG_UNLOCKED);
        pair.dsm.lock_flags = rows[i].lock_flags;
        Tdisp m = tdisp_request(TDISP_GET_CAPABILITIES);

        assert_int_equal(pair_send_pci(&pair, SPDM_PCI_PROTOCOL_TDISP, m.bytes, m.len, reply, sizeof(reply)), 44);
        assert_memory_equal(reply + 20, rows[i].bitmap, 2);
        assert_int_equal(le16_get(reply + 36), rows[i].lock_flags);
    }
}

static void test_attributes(void **state)
{
    Tdisp    m;
    uint32_t data;

    start_in(TDI_RUN);
    m = tdisp_request(TDISP_SET_MMIO_ATTRIBUTE);
    m.bytes[28] = 0xfc;
    m.bytes[29] = 0xff;
    assert_int_equal(tdisp_send(&pair, &m, &data), 0);
    assert_int_equal(pair.attributes, TDISP_RANGE_NON_TEE);
}

static void test_lock_needs(void **state)
{
    Tdisp    m;
    uint32_t data;

    /* No keys, then keys that do not go yet. */
    pair_init(&pair, SPDM_RESPONDER_CAPS);
    assert_true(pair_run(&pair, pair_stage("query")));
    m = tdisp_request(TDISP_LOCK_INTERFACE);
    assert_int_equal(tdisp_send(&pair, &m, &data), TDISP_INVALID_REQUEST);
    assert_int_equal(pair_ide(&pair, IDE_KM_KEYS, 0), SPDM_DONE);
    assert_int_equal(tdisp_send(&pair, &m, &data), TDISP_INVALID_REQUEST);
    assert_int_equal(pair_ide(&pair, IDE_KM_GO, 0), SPDM_DONE);
    /* A device configured in a way that cannot be locked. */
    pair.may_lock = TDISP_INVALID_DEVICE_CONFIGURATION;
    assert_int_equal(tdisp_send(&pair, &m, &data), TDISP_INVALID_DEVICE_CONFIGURATION);
    assert_int_equal(pair_tdisp(&pair, TDISP_OP_LOCK), SPDM_FAILED);
    assert_string_equal(pair.tdi.error, "the device answered TDISP error 0x104 to request 0x83");
    pair.may_lock = TDISP_OK;
    pair.tdi.lock_flags = TDISP_LOCK_MSIX;
    pair.tdi.mmio_offset = (uint64_t)-0x10000000;
    assert_int_equal(pair_tdisp(&pair, TDISP_OP_LOCK), SPDM_DONE);
    assert_int_equal(pair.tdis[0].lock_flags, TDISP_LOCK_MSIX);
    assert_int_equal(pair_tdisp(&pair, TDISP_OP_REPORT), SPDM_DONE);
    assert_int_equal(le64_get(pair.tdi.report + 16), 0); /* 0x10000 pages, less the offset */
}

/* ---- two sessions -------------------------------------------------------------------------------------- */

/* A second session on the same device, by a second module on the same connection. */
static void open_second(void)
{
    memcpy(&other.requester, &pair.requester, sizeof(other.requester));
    memset(&other.requester.session, 0, sizeof(other.requester.session));
    SpdmRequester first = pair.requester;

    pair.requester = other.requester;
    assert_int_equal(pair_op(&pair, SPDM_OP_SESSION, NULL), SPDM_DONE);
    other.requester = pair.requester;
    pair.requester = first;
}

static void swap(void)
{
    static SpdmRequester keep;

    keep = pair.requester;
    pair.requester = other.requester;
    other.requester = keep;
}

static void test_second_session(void **state)
{
    uint8_t  reply[SPDM_MSG_MAX], query[] = { 0, 0, 0 };
    Tdisp    m;
    uint32_t data;

    start_in(TDI_CONFIG_LOCKED);
    open_second();
    assert_int_not_equal(pair.requester.session.id, other.requester.session.id);
    swap(); /* the second session speaks */
    assert_int_equal(pair_send_pci(&pair, 0, query, sizeof(query), reply, sizeof(reply)), 0); /* silence */
    m = tdisp_request(TDISP_GET_INTERFACE_STATE);
    assert_int_equal(tdisp_send(&pair, &m, &data), 0);
    m = tdisp_request(TDISP_GET_INTERFACE_REPORT);
    assert_int_equal(tdisp_send(&pair, &m, &data), TDISP_INVALID_REQUEST);
    m = tdisp_request(TDISP_START_INTERFACE); /* even with the right nonce */
    assert_int_equal(tdisp_send(&pair, &m, &data), TDISP_INVALID_REQUEST);
    m = tdisp_request(TDISP_STOP_INTERFACE);
    assert_int_equal(tdisp_send(&pair, &m, &data), TDISP_INVALID_REQUEST);
    m = tdisp_request(TDISP_LOCK_INTERFACE); /* another interface, over keys of the first session */
    le32_put(m.bytes + 4, PAIR_FUNCTION + 1);
    assert_int_equal(tdisp_send(&pair, &m, &data), TDISP_INVALID_REQUEST);
    assert_int_equal(pair.tdis[0].state, TDI_CONFIG_LOCKED);
    swap(); /* the first session ends: its interface and keys go */
    assert_int_equal(pair_op(&pair, SPDM_OP_END_SESSION, NULL), SPDM_DONE);
    assert_int_equal(pair.tdis[0].state, TDI_ERROR);
    assert_false(ide_km_stream_ready(&pair.ide, PAIR_PORT, PAIR_STREAM));
    swap();
    assert_true(pair_send_pci(&pair, 0, query, sizeof(query), reply, sizeof(reply)) > 0);
    m = tdisp_request(TDISP_STOP_INTERFACE); /* ERROR: anyone may mend it */
    assert_int_equal(tdisp_send(&pair, &m, &data), 0);
    assert_int_equal(pair.tdis[0].state, TDI_CONFIG_UNLOCKED);
    assert_int_equal(pair_ide(&pair, IDE_KM_KEYS, 0), SPDM_DONE);
    assert_int_equal(pair_ide(&pair, IDE_KM_GO, 0), SPDM_DONE);
    assert_int_equal(pair_tdisp(&pair, TDISP_OP_LOCK), SPDM_DONE);
}

/* ---- IDE_KM -------------------------------------------------------------------------------------------- */

/* KEY_PROG of Rx, PR, set 0 with key bytes 0, 1, 2... on the wire and IFV 1. */
static size_t key_prog(uint8_t msg[48])
{
    memset(msg, 0, 48);
    msg[0] = 2;
    for (unsigned i = 0; i < 32; i++) {
        msg[7 + i] = (uint8_t)i;
    }
    msg[7 + 32 + 4] = 1;
    return 47;
}

static const struct KeyRow {
    const char *name;
    uint8_t     at, with;
    int         longer;
    uint8_t     status;
} key_rows[] = {
    { "valid", 0, 2, 0, IDE_KP_OK },
    { "short", 0, 2, -1, IDE_KP_LENGTH },
    { "header only", 0, 2, -40, IDE_KP_LENGTH },
    { "long", 0, 2, 1, IDE_KP_LENGTH },
    { "port beyond the last", 6, 1, 0, IDE_KP_PORT },
    { "sub-stream 3", 5, 0x30, 0, IDE_KP_VALUE },
    { "sub-stream 15", 5, 0xf0, 0, IDE_KP_VALUE },
    { "IFV 2", 43, 2, 0, IDE_KP_VALUE },
    { "IFV high half", 39, 1, 0, IDE_KP_VALUE },
    { "unknown stream", 3, 9, 0, IDE_KP_VALUE },
    { "set 1, Tx, CPL", 5, 0x23, 0, IDE_KP_OK },
};

static void test_key_prog(void **state)
{
    uint8_t msg[48], reply[SPDM_MSG_MAX];

    for (size_t i = 0; i < ARRAY_LEN(key_rows); i++) {
        const struct KeyRow *row = &key_rows[i];
        size_t               len = (size_t)((int)key_prog(msg) + row->longer);

        pair_init(&pair, SPDM_RESPONDER_CAPS);
        assert_true(pair_run(&pair, pair_stage("query")));
        msg[row->at] = row->with;
        assert_int_equal(pair_send_pci(&pair, 0, msg, len, reply, sizeof(reply)), 7);
        assert_int_equal(reply[0], 3);
        assert_int_equal(reply[3], msg[3]);
        if (reply[4] != row->status || reply[5] != msg[5] || reply[6] != msg[6]) {
            fail_msg("%s: status %u", row->name, reply[4]);
        }
        assert_int_equal(pair.keys_programmed, row->status == IDE_KP_OK);
    }
    /* The byte order of the wire: DW7 first, each little-endian. */
    assert_int_equal(pair.last_key[0], 3);
    assert_int_equal(pair.last_key[3], 0);
    assert_int_equal(pair.last_key[28], 31);
    assert_int_equal(pair.last_key[31], 28);
    pair.refuse_keys = true;
    (void)key_prog(msg);
    assert_int_equal(pair_send_pci(&pair, 0, msg, 47, reply, sizeof(reply)), 7);
    assert_int_equal(reply[4], IDE_KP_FAILED);
}

/* What has no answer of its own becomes an SPDM error. */
static void test_ide_malformed(void **state)
{
    static const struct {
        const char *name;
        uint8_t     len, bytes[8];
    } bad[] = {
        { "empty", 0, { 0 } },
        { "unknown ID", 3, { 9, 0, 0 } },
        { "a response", 7, { 3, 0, 0, 0, 0, 0, 0 } },
        { "query: short", 2, { 0, 0 } },
        { "query: long", 4, { 0, 0, 0, 0 } },
        { "query: port beyond the last", 3, { 0, 0, 1 } },
        { "go: short", 6, { 4, 0, 0, 0, 0, 0 } },
        { "go: long", 8, { 4, 0, 0, 0, 0, 0, 0, 0 } },
        { "go: sub-stream 3", 7, { 4, 0, 0, 0, 0, 0x30, 0 } },
        { "go: nothing programmed", 7, { 4, 0, 0, 0, 0, 1, 0 } },
        { "go: unknown stream", 7, { 4, 0, 0, 9, 0, 0, 0 } },
        { "stop: other port", 7, { 5, 0, 0, 0, 0, 0, 1 } },
    };
    uint8_t reply[SPDM_MSG_MAX], wrapped[64];

    pair_init(&pair, SPDM_RESPONDER_CAPS);
    assert_true(pair_run(&pair, pair_stage("go")));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        ByteWriter w = bw_init(wrapped, sizeof(wrapped));
        size_t     len;

        spdm_pci_vdm_begin(&w, 0x12, SPDM_VENDOR_DEFINED, 0, SPDM_PCI_PROTOCOL_IDE_KM, bad[i].len);
        bw_bytes(&w, bad[i].bytes, bad[i].len);
        len = pair_send(&pair, true, wrapped, w.pos, reply, sizeof(reply));
        if (len != 4 || reply[1] != 0x7f || reply[2] != SPDM_UNSUPPORTED_REQUEST ||
            reply[3] != SPDM_VENDOR_DEFINED) {
            fail_msg("%s: %zu bytes, %02x %02x %02x", bad[i].name, len, reply[1], reply[2], reply[3]);
        }
    }
    assert_int_equal(pair_ide(&pair, IDE_KM_GO, 0), SPDM_DONE);
}

static void test_key_refresh(void **state)
{
    uint8_t msg[48], reply[SPDM_MSG_MAX];

    start_in(TDI_RUN);
    /* A key in use is not overwritten. */
    (void)key_prog(msg);
    assert_int_equal(pair_send_pci(&pair, 0, msg, 47, reply, sizeof(reply)), 7);
    assert_int_equal(reply[4], IDE_KP_FAILED);
    /* The other set takes over without the stream ever being insecure; the old one can go. */
    assert_int_equal(pair_ide(&pair, IDE_KM_KEYS, 1), SPDM_DONE);
    assert_int_equal(pair_ide(&pair, IDE_KM_GO, 1), SPDM_DONE);
    assert_int_equal(pair_ide(&pair, IDE_KM_GO, 0), SPDM_FAILED); /* retired keys do not come back */
    assert_int_equal(pair_ide(&pair, IDE_KM_STOP, 0), SPDM_DONE);
    assert_int_equal(pair.tdis[0].state, TDI_RUN);
    assert_true(ide_km_stream_ready(&pair.ide, PAIR_PORT, PAIR_STREAM));
    /* Stopping one key of the set in use is enough to lose the stream. */
    uint8_t stop[] = { 5, 0, 0, 0, 0, 0x11, 0 };
    assert_int_equal(pair_send_pci(&pair, 0, stop, sizeof(stop), reply, sizeof(reply)), 7);
    assert_int_equal(pair.tdis[0].state, TDI_ERROR);
}

/* ---- parsers of the requester -------------------------------------------------------------------------- */

static void test_report_parser(void **state)
{
    TdispReport r = { .interface_info = 2, .n_ranges = 2, .info_len = 5, .info = "hello" }, got;
    uint8_t     bytes[256];
    size_t      len;

    r.ranges[0] = (TdispRange){ 0x1000, 1, TDISP_RANGE_MSIX_TABLE, 0 };
    r.ranges[1] = (TdispRange){ 0x2000, 4, 0, 4 };
    len = tdisp_report_encode(&r, bytes, sizeof(bytes));
    assert_int_equal(len, 16 + 32 + 4 + 5);
    assert_true(tdisp_report_decode(bytes, len, &got));
    assert_memory_equal(&r, &got, sizeof(r));
    for (size_t n = 0; n < len; n++) {
        assert_false(tdisp_report_decode(bytes, n, &got));
        assert_int_equal(tdisp_report_encode(&r, bytes + 128, n), 0);
    }
    assert_false(tdisp_report_decode(bytes, len + 1, &got));
    bytes[12] = 3; /* more ranges than there are */
    assert_false(tdisp_report_decode(bytes, len, &got));
    le32_put(bytes + 12, 0xffffffff);
    assert_false(tdisp_report_decode(bytes, len, &got));
    bytes[12] = 2;
    memset(bytes + 13, 0, 3);
    bytes[16 + 14] = 5; /* not ascending */
    assert_false(tdisp_report_decode(bytes, len, &got));
}

static void test_client_refuses(void **state)
{
    static const struct {
        const char *name;
        TdispOp     op;
        size_t      len;
        uint8_t     bytes[64];
    } bad[] = {
        { "nothing", TDISP_OP_STATE, 0, { 0 } },
        { "no state", TDISP_OP_STATE, 16, { 0x10, 5, 0, 0, 0, 1 } },
        { "state 4", TDISP_OP_STATE, 17, { 0x10, 5, 0, 0, 0, 1, [16] = 4 } },
        { "too long", TDISP_OP_STATE, 18, { 0x10, 5, 0, 0, 0, 1, [16] = 0 } },
        { "other interface", TDISP_OP_STATE, 17, { 0x10, 5, 0, 0, 1, 1 } },
        { "other version", TDISP_OP_STATE, 17, { 0x11, 5, 0, 0, 0, 1 } },
        { "other response", TDISP_OP_STATE, 17, { 0x10, 6, 0, 0, 0, 1 } },
        { "version: none", TDISP_OP_PROBE, 17, { 0x10, 1, 0, 0, 0, 1, [16] = 0 } },
        { "version: 2.0 only", TDISP_OP_PROBE, 18, { 0x10, 1, 0, 0, 0, 1, [16] = 1, 0x20 } },
        { "lock: nonce short", TDISP_OP_LOCK, 47, { 0x10, 3, 0, 0, 0, 1 } },
        { "report: empty portion", TDISP_OP_REPORT, 20, { 0x10, 4, 0, 0, 0, 1 } },
        { "report: too much to come", TDISP_OP_REPORT, 21, { 0x10, 4, 0, 0, 0, 1, [16] = 1, 0, 0xff, 0xff } },
        { "report: portion beyond message", TDISP_OP_REPORT, 21, { 0x10, 4, 0, 0, 0, 1, [16] = 2 } },
    };
    TdispClient c;
    uint8_t     out[64];

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        tdisp_client_init(&c, PAIR_FUNCTION);
        tdisp_client_start(&c, bad[i].op);
        assert_true(tdisp_client_next(&c, out, sizeof(out)) > 0);
        if (tdisp_client_response(&c, bad[i].bytes, bad[i].len) != SPDM_FAILED || c.error[0] == '\0') {
            fail_msg("%s was accepted", bad[i].name);
        }
        assert_int_equal(tdisp_client_next(&c, out, sizeof(out)), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_state_table),   cmocka_unit_test(test_violations),
        cmocka_unit_test(test_bad_requests),  cmocka_unit_test(test_headless),
        cmocka_unit_test(test_nonce_lives_once), cmocka_unit_test(test_lock_needs),
        cmocka_unit_test(test_p2p),           cmocka_unit_test(test_supported_requests),
        cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_second_session), cmocka_unit_test(test_key_prog),
        cmocka_unit_test(test_ide_malformed), cmocka_unit_test(test_key_refresh),
        cmocka_unit_test(test_report_parser), cmocka_unit_test(test_client_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
