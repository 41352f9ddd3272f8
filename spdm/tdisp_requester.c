/*
 * The requester's side of TDISP: runs of messages about one interface, as a trusted module needs them. PCIe
 * r6, "TDISP". Every answer must echo the interface; every state that a run should have reached is read back.
 */
#include "spdm/tdisp.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define VERSION_10     0x10
#define PORTION_MAX    1024

typedef struct Step {
    TdispOp op;
    uint8_t code;
    void (*build)(TdispClient *c, ByteWriter *w);
    bool (*read)(TdispClient *c, ByteReader *r); /* false: reason in c->error */
    uint8_t state;                               /* that GET_DEVICE_INTERFACE_STATE must report, or ANY */
} Step;

#define ANY 0xff

static bool fail(TdispClient *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool fail(TdispClient *c, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(c->error, sizeof(c->error), format, args);
    va_end(args);
    return false;
}

static void build_nothing(TdispClient *c, ByteWriter *w) {}

static void build_capabilities(TdispClient *c, ByteWriter *w) { bw_u32(w, 0); /* TSM_CAPS */ }

static void build_lock(TdispClient *c, ByteWriter *w)
{
    bw_u16(w, c->lock_flags);
    bw_u8(w, c->stream_id);
    bw_u8(w, 0);
    bw_u64(w, c->mmio_offset);
    bw_u64(w, c->p2p_mask);
}

static void build_report(TdispClient *c, ByteWriter *w)
{
    bw_u16(w, (uint16_t)c->report_len);
    bw_u16(w, PORTION_MAX);
}

static void build_start(TdispClient *c, ByteWriter *w) { bw_bytes(w, c->nonce, sizeof(c->nonce)); }

static bool read_version(TdispClient *c, ByteReader *r)
{
    bool found = false;

    for (unsigned n = br_u8(r); n != 0; n--) {
        found |= br_u8(r) == VERSION_10;
    }
    return found || fail(c, "the device does not offer TDISP 1.0");
}

static bool read_capabilities(TdispClient *c, ByteReader *r)
{
    /* All of 81h to 87h: a device that lacks one cannot be driven. */
    const uint8_t needed = 0xfe;
    uint8_t       bitmap[16];

    br_skip(r, 4);
    br_bytes(r, bitmap, sizeof(bitmap));
    c->supported_flags = br_u16(r);
    br_skip(r, 3);
    c->address_width = br_u8(r);
    br_skip(r, 2);
    return (bitmap[0] & needed) == needed || fail(c, "the device lacks requests that TDISP 1.0 demands");
}

static bool read_lock(TdispClient *c, ByteReader *r)
{
    br_bytes(r, c->nonce, sizeof(c->nonce));
    c->has_nonce = br_ok(r);
    return true;
}

static bool read_state(TdispClient *c, ByteReader *r)
{
    uint8_t state = br_u8(r);

    c->state = (TdiState)state;
    return state <= TDI_ERROR ||
           fail(c, "the device reports interface state %u, which does not exist", state);
}

static bool read_nothing(TdispClient *c, ByteReader *r) { return true; }

static bool read_report(TdispClient *c, ByteReader *r)
{
    size_t         len = br_u16(r), left = br_u16(r);
    const uint8_t *bytes = br_take(r, len);

    if (bytes == NULL || len == 0 || c->report_len + len + left > sizeof(c->report)) {
        return fail(c, "the interface report is malformed or longer than 4096 bytes");
    }
    memcpy(c->report + c->report_len, bytes, len);
    c->report_len += (uint32_t)len;
    c->portion_offset = (uint32_t)(bytes - r->data);
    c->portion_len = (uint32_t)len;
    if (left != 0) {
        c->step--; /* the same message again, for the next portion */
    }
    return true;
}

static const Step steps[] = {
    { TDISP_OP_PROBE, TDISP_GET_VERSION, build_nothing, read_version, ANY },
    { TDISP_OP_PROBE, TDISP_GET_CAPABILITIES, build_capabilities, read_capabilities, ANY },
    { TDISP_OP_PROBE, TDISP_GET_INTERFACE_STATE, build_nothing, read_state, ANY },
    { TDISP_OP_LOCK, TDISP_LOCK_INTERFACE, build_lock, read_lock, ANY },
    { TDISP_OP_LOCK, TDISP_GET_INTERFACE_STATE, build_nothing, read_state, TDI_CONFIG_LOCKED },
    { TDISP_OP_REPORT, TDISP_GET_INTERFACE_REPORT, build_report, read_report, ANY },
    { TDISP_OP_START, TDISP_START_INTERFACE, build_start, read_nothing, ANY },
    { TDISP_OP_START, TDISP_GET_INTERFACE_STATE, build_nothing, read_state, TDI_RUN },
    { TDISP_OP_STOP, TDISP_STOP_INTERFACE, build_nothing, read_nothing, ANY },
    { TDISP_OP_STOP, TDISP_GET_INTERFACE_STATE, build_nothing, read_state, TDI_CONFIG_UNLOCKED },
    { TDISP_OP_STATE, TDISP_GET_INTERFACE_STATE, build_nothing, read_state, ANY },
};

void tdisp_client_init(TdispClient *c, uint32_t function_id)
{
    memset(c, 0, sizeof(*c));
    c->function_id = function_id;
}

void tdisp_client_start(TdispClient *c, TdispOp op)
{
    c->op = op;
    c->error[0] = '\0';
    c->portion_len = 0;
    if (op == TDISP_OP_REPORT) {
        c->report_len = 0;
    }
    for (c->step = 0; c->step < ARRAY_LEN(steps) && steps[c->step].op != op; c->step++) {
    }
    c->busy = c->step < ARRAY_LEN(steps);
}

size_t tdisp_client_next(TdispClient *c, uint8_t *out, size_t cap)
{
    ByteWriter w = bw_init(out, cap);

    if (!c->busy) {
        return 0;
    }
    bw_u8(&w, VERSION_10);
    bw_u8(&w, steps[c->step].code);
    bw_u16(&w, 0);
    bw_u32(&w, c->function_id);
    bw_u64(&w, 0);
    steps[c->step].build(c, &w);
    return bw_ok(&w) ? w.pos : 0;
}

/* Header and echo of the interface; a TDISP_ERROR is told as such. */
static bool check_header(TdispClient *c, ByteReader *r)
{
    uint8_t  version = br_u8(r), type = br_u8(r);
    uint32_t function_id, code;
    uint64_t reserved;

    br_skip(r, 2);
    function_id = br_u32(r);
    reserved = br_u64(r);
    if (!br_ok(r) || version != VERSION_10 || function_id != c->function_id || reserved != 0) {
        return fail(c, "the response is not about the interface asked for");
    }
    if (type == TDISP_ERROR) {
        code = br_u32(r);
        return fail(c, "the device answered TDISP error 0x%x to request 0x%02x", code, steps[c->step].code);
    }
    return type == SPDM_RESPONSE_OF(steps[c->step].code) ||
           fail(c, "the response 0x%02x answers no request", type);
}

static bool state_is_expected(TdispClient *c, const Step *step)
{
    return step->state == ANY || step->state == c->state ||
           fail(c, "the interface is in state %u where %u was expected", (unsigned)c->state, step->state);
}

SpdmResult tdisp_client_response(TdispClient *c, const uint8_t *in, size_t len)
{
    ByteReader  r = br_init(in, len);
    const Step *step = &steps[c->step];

    if (!c->busy) {
        return SPDM_FAILED;
    }
    c->portion_len = 0;
    c->busy = false;
    if (!check_header(c, &r) || !step->read(c, &r)) {
        return SPDM_FAILED;
    }
    if (!br_ok(&r) || br_left(&r) != 0) {
        fail(c, "the response to request 0x%02x has a wrong length", step->code);
        return SPDM_FAILED;
    }
    if (!state_is_expected(c, step)) {
        return SPDM_FAILED;
    }
    c->step++;
    c->busy = c->step < ARRAY_LEN(steps) && steps[c->step].op == c->op;
    return c->busy ? SPDM_CONTINUE : SPDM_DONE;
}
