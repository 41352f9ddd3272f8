/*
 * IDE_KM messages. PCIe r6, "IDE Key Management (IDE_KM)": QUERY, KEY_PROG, K_SET_GO, K_SET_STOP. Only
 * KEY_PROG can report an error of its own; any other malformed message is refused one level up, as an
 * unsupported SPDM request. Left out: the GET_KEY and AEAD limit messages of later revisions.
 */
#include "spdm/ide_km.h"

#include <string.h>

enum {
    QUERY = 0,
    QUERY_RESP = 1,
    KEY_PROG = 2,
    KP_ACK = 3,
    K_SET_GO = 4,
    K_SET_STOP = 5,
    K_GOSTOP_ACK = 6,
};

#define SLOTS        6 /* sub-streams times directions */

void ide_km_init(IdeKm *km, const IdeKeySink *sink, void *opaque)
{
    memset(km, 0, sizeof(*km));
    km->sink = sink;
    km->opaque = opaque;
}

static IdeKmStream *find_stream(const IdeKm *km, uint8_t port, uint8_t id)
{
    for (unsigned i = 0; i < IDE_KM_STREAMS; i++) {
        const IdeKmStream *s = &km->streams[i];

        if (s->used && s->port == port && s->id == id) {
            return (IdeKmStream *)s;
        }
    }
    return NULL;
}

static IdeKmStream *make_stream(IdeKm *km, uint8_t port, uint8_t id)
{
    IdeKmStream *s = find_stream(km, port, id);

    for (unsigned i = 0; s == NULL && i < IDE_KM_STREAMS; i++) {
        if (!km->streams[i].used) {
            s = &km->streams[i];
            *s = (IdeKmStream){ .used = true, .port = port, .id = id };
        }
    }
    return s;
}

/* Every sub-stream has a key in use in both directions. During a key refresh some use one set, some the
 * other. */
static bool stream_is_ready(const IdeKmStream *s)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        if (s->key[0][i / 2][i & 1] != IDE_KEY_GO && s->key[1][i / 2][i & 1] != IDE_KEY_GO) {
            return false;
        }
    }
    return true;
}

bool ide_km_stream_ready(const IdeKm *km, uint8_t port, uint8_t stream_id)
{
    const IdeKmStream *s = find_stream(km, port, stream_id);

    return s != NULL && stream_is_ready(s);
}

uint32_t ide_km_stream_session(const IdeKm *km, uint8_t port, uint8_t stream_id)
{
    return find_stream(km, port, stream_id) != NULL ? km->session_id : 0;
}

static void tell_ready(IdeKm *km, const IdeKmStream *s, bool was_ready)
{
    if (km->sink->ready_changed != NULL && stream_is_ready(s) != was_ready) {
        km->sink->ready_changed(km->opaque, s->port, s->id, !was_ready);
    }
}

/* The one place where a key's state changes. GO of one set retires the other's key of the same slot,
 * without leaving Secure: PCIe "Key Refresh". A retired key cannot come back, as its counter would
 * repeat; it waits for its STOP. */
static void set_key(IdeKm *km, IdeKmStream *s, const IdeKeySlot *slot, IdeKeyState state)
{
    uint8_t *other = &s->key[!slot->key_set][slot->sub_stream][slot->tx];
    bool     was_ready = stream_is_ready(s);

    s->key[slot->key_set][slot->sub_stream][slot->tx] = (uint8_t)state;
    if (state == IDE_KEY_GO && *other == IDE_KEY_GO) {
        *other = IDE_KEY_RETIRED;
    }
    if (state == IDE_KEY_GO && km->sink->go != NULL) {
        km->sink->go(km->opaque, slot);
    } else if (state == IDE_KEY_NONE && km->sink->stop != NULL) {
        km->sink->stop(km->opaque, slot);
    }
    tell_ready(km, s, was_ready);
}

/* Stops every key of a stream and forgets it. */
static void drop_stream(IdeKm *km, IdeKmStream *s)
{
    for (unsigned i = 0; i < IDE_KEY_SETS * SLOTS; i++) {
        IdeKeySlot slot = { s->port, s->id, (uint8_t)(i / SLOTS), i & 1, (IdeSubStream)(i % SLOTS / 2) };

        if (s->key[slot.key_set][slot.sub_stream][slot.tx] != IDE_KEY_NONE) {
            set_key(km, s, &slot, IDE_KEY_NONE);
        }
    }
    *s = (IdeKmStream){ 0 };
}

void ide_km_stream_dropped(IdeKm *km, uint8_t port, uint8_t stream_id)
{
    IdeKmStream *s = find_stream(km, port, stream_id);

    if (s != NULL) {
        drop_stream(km, s);
    }
}

void ide_km_reset(IdeKm *km)
{
    for (unsigned i = 0; i < IDE_KM_STREAMS; i++) {
        if (km->streams[i].used) {
            drop_stream(km, &km->streams[i]);
        }
    }
    km->session_id = 0;
}

void ide_km_session_ended(IdeKm *km, uint32_t session_id)
{
    if (km->session_id == session_id) {
        ide_km_reset(km);
    }
}

/* KeySubStream byte: bit 0 key set, bit 1 direction, bits 7:4 sub-stream; bits 3:2 reserved. */
static bool decode_slot(uint8_t port, uint8_t stream_id, uint8_t byte, IdeKeySlot *slot)
{
    *slot = (IdeKeySlot){ port, stream_id, byte & 1, byte >> 1 & 1, (IdeSubStream)(byte >> 4) };
    return byte >> 4 < IDE_SUB_STREAMS;
}

static uint8_t encode_slot(const IdeKeySlot *slot)
{
    return (uint8_t)(slot->key_set | (slot->tx ? 2 : 0) | slot->sub_stream << 4);
}

/* Keys and IVs cross the wire as DWs, most significant first, each DW little-endian. The AES key's first
 * byte is the most significant byte of its most significant DW. */
static void read_key(ByteReader *r, uint8_t key[IDE_KEY_LEN])
{
    for (unsigned i = 0; i < IDE_KEY_LEN; i += 4) {
        be32_put(key + i, br_u32(r));
    }
}

static void write_key(ByteWriter *w, const uint8_t key[IDE_KEY_LEN])
{
    for (unsigned i = 0; i < IDE_KEY_LEN; i += 4) {
        bw_u32(w, be32_get(key + i));
    }
}

static uint64_t read_ifv(ByteReader *r)
{
    uint64_t high = br_u32(r);

    return high << 32 | br_u32(r);
}

static void write_ifv(ByteWriter *w, uint64_t ifv)
{
    bw_u32(w, (uint32_t)(ifv >> 32));
    bw_u32(w, (uint32_t)ifv);
}

/* ---- device -------------------------------------------------------------------------------------------- */

static SpdmVendorResult handle_query(IdeKm *km, ByteReader *r, ByteWriter *rsp)
{
    uint8_t    registers[IDE_KM_MSG_MAX], port, dev_func = 0, bus = 0, segment = 0;
    ByteWriter regs = bw_init(registers, sizeof(registers));

    br_skip(r, 1);
    port = br_u8(r);
    if (!br_ok(r) || br_left(r) != 0 || port > km->sink->max_port(km->opaque)) {
        return SPDM_VENDOR_UNSUPPORTED;
    }
    if (km->sink->query != NULL) {
        km->sink->query(km->opaque, port, &dev_func, &bus, &segment, &regs);
    }
    bw_u8(rsp, QUERY_RESP);
    bw_u8(rsp, 0);
    bw_u8(rsp, port);
    bw_u8(rsp, dev_func);
    bw_u8(rsp, bus);
    bw_u8(rsp, segment);
    bw_u8(rsp, km->sink->max_port(km->opaque));
    bw_bytes(rsp, registers, regs.pos);
    return bw_ok(&regs) ? SPDM_VENDOR_REPLY : SPDM_VENDOR_INVALID;
}

static IdeKpStatus store_key(IdeKm *km, uint8_t port, uint8_t stream_id, uint8_t sub,
                             const uint8_t key[IDE_KEY_LEN], uint64_t ifv)
{
    IdeKeySlot   slot;
    IdeKmStream *s;

    if (port > km->sink->max_port(km->opaque)) {
        return IDE_KP_PORT;
    }
    if (!decode_slot(port, stream_id, sub, &slot) || ifv != IDE_INITIAL_IFV ||
        !km->sink->has_stream(km->opaque, port, stream_id)) {
        return IDE_KP_VALUE;
    }
    s = make_stream(km, port, stream_id);
    /* A key in use is replaced through the other key set only: PCIe "Key Refresh". */
    if (s == NULL || s->key[slot.key_set][slot.sub_stream][slot.tx] == IDE_KEY_GO) {
        return IDE_KP_FAILED;
    }
    if (km->sink->program != NULL && !km->sink->program(km->opaque, &slot, key, ifv)) {
        return IDE_KP_FAILED;
    }
    set_key(km, s, &slot, IDE_KEY_PROGRAMMED);
    return IDE_KP_OK;
}

static IdeKpStatus program_key(IdeKm *km, uint8_t port, uint8_t stream_id, uint8_t sub, ByteReader *r)
{
    uint8_t     key[IDE_KEY_LEN];
    IdeKpStatus status = IDE_KP_LENGTH;
    uint64_t    ifv;

    read_key(r, key);
    ifv = read_ifv(r);
    if (br_ok(r) && br_left(r) == 0) {
        status = store_key(km, port, stream_id, sub, key, ifv);
    }
    spdm_wipe(key, sizeof(key)); /* whatever became of it */
    return status;
}

static SpdmVendorResult handle_key_prog(IdeKm *km, ByteReader *r, ByteWriter *rsp)
{
    uint8_t stream_id, sub, port;

    br_skip(r, 2);
    stream_id = br_u8(r);
    br_skip(r, 1);
    sub = br_u8(r);
    port = br_u8(r);
    bw_u8(rsp, KP_ACK);
    bw_u16(rsp, 0);
    bw_u8(rsp, stream_id);
    bw_u8(rsp, (uint8_t)program_key(km, port, stream_id, sub, r));
    bw_u8(rsp, sub);
    bw_u8(rsp, port);
    return SPDM_VENDOR_REPLY;
}

/* K_SET_GO and K_SET_STOP. Stopping a key that is not there is harmless; starting one that is not there
 * cannot be acknowledged, because the acknowledgement has no status. */
static SpdmVendorResult go_or_stop(IdeKm *km, ByteReader *r, ByteWriter *rsp, bool go)
{
    uint8_t      stream_id, sub, port, *state;
    IdeKeySlot   slot;
    IdeKmStream *s;

    br_skip(r, 2);
    stream_id = br_u8(r);
    br_skip(r, 1);
    sub = br_u8(r);
    port = br_u8(r);
    if (!br_ok(r) || br_left(r) != 0 || !decode_slot(port, stream_id, sub, &slot)) {
        return SPDM_VENDOR_UNSUPPORTED;
    }
    s = find_stream(km, port, stream_id);
    state = s != NULL ? &s->key[slot.key_set][slot.sub_stream][slot.tx] : NULL;
    if (state == NULL || (go && (*state == IDE_KEY_NONE || *state == IDE_KEY_RETIRED))) {
        return SPDM_VENDOR_UNSUPPORTED;
    }
    if (*state != (go ? IDE_KEY_GO : IDE_KEY_NONE)) {
        set_key(km, s, &slot, go ? IDE_KEY_GO : IDE_KEY_NONE);
    }
    bw_u8(rsp, K_GOSTOP_ACK);
    bw_u16(rsp, 0);
    bw_u8(rsp, stream_id);
    bw_u8(rsp, 0);
    bw_u8(rsp, sub);
    bw_u8(rsp, port);
    return SPDM_VENDOR_REPLY;
}

static SpdmVendorResult handle_go(IdeKm *km, ByteReader *r, ByteWriter *rsp)
{
    return go_or_stop(km, r, rsp, true);
}

static SpdmVendorResult handle_stop(IdeKm *km, ByteReader *r, ByteWriter *rsp)
{
    return go_or_stop(km, r, rsp, false);
}

static const struct IdeKmMessage {
    const char *name;
    uint8_t     code;
    SpdmVendorResult (*handle)(IdeKm *km, ByteReader *r, ByteWriter *rsp);
} messages[] = {
    { "QUERY", QUERY, handle_query },
    { "KEY_PROG", KEY_PROG, handle_key_prog },
    { "K_SET_GO", K_SET_GO, handle_go },
    { "K_SET_STOP", K_SET_STOP, handle_stop },
};

SpdmVendorResult ide_km_handle(IdeKm *km, uint32_t session_id, const uint8_t *req, size_t len,
                               ByteWriter *rsp)
{
    ByteReader r = br_init(req, len);
    uint8_t    code = br_u8(&r);

    if (km->session_id != 0 && km->session_id != session_id) {
        return SPDM_VENDOR_SILENT;
    }
    for (unsigned i = 0; br_ok(&r) && i < ARRAY_LEN(messages); i++) {
        if (messages[i].code == code) {
            SpdmVendorResult result = messages[i].handle(km, &r, rsp);

            km->session_id = result == SPDM_VENDOR_REPLY ? session_id : km->session_id;
            return result;
        }
    }
    return SPDM_VENDOR_UNSUPPORTED;
}

bool ide_km_message(size_t n, const char **name, uint8_t *code)
{
    if (n >= ARRAY_LEN(messages)) {
        return false;
    }
    *name = messages[n].name;
    *code = messages[n].code;
    return true;
}

/* ---- requester ----------------------------------------------------------------------------------------- */

void ide_km_sequence_start(IdeKmSequence *q, IdeKmOp op, uint8_t port, uint8_t stream_id, uint8_t key_set,
                           const uint8_t keys[IDE_SUB_STREAMS][2][IDE_KEY_LEN])
{
    *q = (IdeKmSequence){ .op = op, .port = port, .stream_id = stream_id, .key_set = key_set };
    if (keys != NULL) {
        memcpy(q->keys, keys, sizeof(q->keys));
    }
}

static unsigned sequence_len(const IdeKmSequence *q) { return q->op == IDE_KM_QUERY ? 1 : SLOTS; }

/* Keys: Rx then Tx per sub-stream. Go: receivers before senders. Stop: senders before receivers. */
static IdeKeySlot sequence_slot(const IdeKmSequence *q)
{
    IdeKeySlot slot = { q->port, q->stream_id, q->key_set, false, IDE_PR };
    bool       second_half = q->step >= IDE_SUB_STREAMS;

    if (q->op == IDE_KM_KEYS) {
        slot.sub_stream = (IdeSubStream)(q->step / 2);
        slot.tx = q->step & 1;
    } else {
        slot.sub_stream = (IdeSubStream)(q->step % IDE_SUB_STREAMS);
        slot.tx = q->op == IDE_KM_GO ? second_half : !second_half;
    }
    return slot;
}

size_t ide_km_sequence_next(IdeKmSequence *q, uint8_t *out, size_t cap)
{
    static const uint8_t codes[] = { QUERY, KEY_PROG, K_SET_GO, K_SET_STOP };
    ByteWriter           w = bw_init(out, cap);
    IdeKeySlot           slot = sequence_slot(q);

    if (q->step >= sequence_len(q)) {
        return 0;
    }
    bw_u8(&w, codes[q->op]);
    if (q->op == IDE_KM_QUERY) {
        bw_u8(&w, 0);
        bw_u8(&w, q->port);
        return bw_ok(&w) ? w.pos : 0;
    }
    bw_u16(&w, 0);
    bw_u8(&w, q->stream_id);
    bw_u8(&w, 0);
    bw_u8(&w, encode_slot(&slot));
    bw_u8(&w, q->port);
    if (q->op == IDE_KM_KEYS) {
        write_key(&w, q->keys[slot.sub_stream][slot.tx]);
        write_ifv(&w, IDE_INITIAL_IFV);
    }
    return bw_ok(&w) ? w.pos : 0;
}

static bool acknowledges(const IdeKmSequence *q, const uint8_t *in, size_t len)
{
    ByteReader r = br_init(in, len);
    IdeKeySlot slot = sequence_slot(q);
    IdeKmQuery query;
    uint8_t    code = br_u8(&r), stream_id, status, sub, port;

    if (q->op == IDE_KM_QUERY) {
        return ide_km_parse_query(in, len, &query) && query.port == q->port;
    }
    br_skip(&r, 2);
    stream_id = br_u8(&r);
    status = br_u8(&r);
    sub = br_u8(&r);
    port = br_u8(&r);
    return br_ok(&r) && br_left(&r) == 0 && code == (q->op == IDE_KM_KEYS ? KP_ACK : K_GOSTOP_ACK) &&
           stream_id == q->stream_id && sub == encode_slot(&slot) && port == q->port &&
           (q->op != IDE_KM_KEYS || status == IDE_KP_OK);
}

SpdmResult ide_km_sequence_response(IdeKmSequence *q, const uint8_t *in, size_t len)
{
    if (q->step >= sequence_len(q) || !acknowledges(q, in, len)) {
        return SPDM_FAILED;
    }
    q->step++;
    return q->step == sequence_len(q) ? SPDM_DONE : SPDM_CONTINUE;
}

bool ide_km_parse_query(const uint8_t *in, size_t len, IdeKmQuery *query)
{
    ByteReader r = br_init(in, len);
    uint8_t    code = br_u8(&r);

    br_skip(&r, 1);
    query->port = br_u8(&r);
    query->dev_func = br_u8(&r);
    query->bus = br_u8(&r);
    query->segment = br_u8(&r);
    query->max_port = br_u8(&r);
    query->registers_len = br_left(&r);
    query->registers = br_take(&r, query->registers_len);
    return br_ok(&r) && code == QUERY_RESP && is_aligned(query->registers_len, 4);
}
