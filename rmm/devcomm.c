/*
 * Conversations with a device: what PDEV_COMMUNICATE and VDEV_COMMUNICATE do. A script is a run of steps; a
 * step is a run of messages (SPDM, or IDE_KM and TDISP inside the session), or something done here without
 * the device. The host carries the messages and keeps copies of what the Realm will want to read. DEN0137
 * 1.1-alp17, "Device communication"; orders of IDE_KM and TDISP messages: PCIe r6.
 *
 * What the host is to keep is written into its buffers in the clear, since inside a session it saw records
 * only: the plain request behind the place of the next request, the plain response at its own place.
 */
#include "rmm/dev_int.h"

#include <inttypes.h>

enum { IDE_PORT = 0, MEASURE_ALL = 0xff, MEASURE_LAST = 0xfe, PAYLOAD_MAX = 256 };

/* One call's view of a conversation. */
typedef struct Talk {
    Rmm     *rmm;
    Pdev    *pdev;
    Vdev    *vdev; /* NULL: of the PDEV itself */
    DevComm *comm;
    DevLink *link;
} Talk;

typedef enum StepKind { STEP_LOCAL, STEP_SPDM, STEP_IDE, STEP_TDISP, STEP_MEASURE } StepKind;

typedef struct Step {
    StepKind kind;
    uint8_t  op;                       /* SpdmOp, IdeKmOp or TdispOp */
    bool   (*run)(Talk *t);            /* STEP_LOCAL: the step itself; false: the conversation has failed */
    bool   (*skip)(const Talk *t);     /* NULL: never */
    bool     link;                     /* STEP_IDE: of the link stream */
} Step;

/* ---- local steps ---- */

/* VCA and certificates are what they will be: their digests are over the bytes the host keeps, which are the
 * certificates without the chain's header. */
static bool keep_identity(Talk *t)
{
    SpdmSpan vca = spdm_requester_vca(&t->link->spdm), chain = spdm_requester_chain(&t->link->spdm);
    size_t   header = 4 + spdm_hash(t->link->spdm.selected.hash)->len;

    measure(t->rmm, t->pdev->hash, vca.data, vca.len, t->pdev->vca_digest);
    measure(t->rmm, t->pdev->hash, (const uint8_t *)chain.data + header, chain.len - header,
            t->pdev->cert_digest);
    return true;
}

/* The port receives with the key the device sends with. @ep_tx: as the device sees it. */
static bool root_program(Talk *t)
{
    const RmmPlatform *p = &t->rmm->platform;
    IdeKmSequence     *q = &t->link->ide;
    bool               ok = true;

    for (unsigned sub = 0; sub < IDE_SUB_STREAMS; sub++) {
        for (unsigned ep_tx = 0; ep_tx < 2; ep_tx++) {
            ok = ok && p->ide_key_program(p->opaque, t->pdev->root_id, q->stream_id, q->key_set, !ep_tx, sub,
                                          q->keys[sub][ep_tx], IDE_INITIAL_IFV);
        }
    }
    spdm_wipe(q->keys, sizeof(q->keys));
    return ok;
}

static bool root_go(Talk *t, bool tx)
{
    const RmmPlatform   *p = &t->rmm->platform;
    const IdeKmSequence *q = &t->link->ide;
    bool                 ok = true;

    for (unsigned sub = 0; sub < IDE_SUB_STREAMS; sub++) {
        ok = ok && p->ide_key_go(p->opaque, t->pdev->root_id, q->stream_id, q->key_set, tx, sub);
    }
    return ok;
}

static bool root_go_rx(Talk *t) { return root_go(t, false); }
static bool root_go_tx(Talk *t) { return root_go(t, true); }

/* Senders first. A port that is not there has no keys either. */
static void root_forget(Rmm *rmm, const Pdev *pdev, uint8_t stream_id, unsigned set)
{
    const RmmPlatform *p = &rmm->platform;

    for (unsigned i = 0; i < 2 * IDE_SUB_STREAMS; i++) {
        p->ide_key_stop(p->opaque, pdev->root_id, stream_id, set, i < IDE_SUB_STREAMS, i % IDE_SUB_STREAMS);
    }
}

static bool root_stop(Talk *t)
{
    root_forget(t->rmm, t->pdev, t->pdev->ide_sid, t->pdev->key_set);
    return true;
}

static bool root_stop_link(Talk *t)
{
    root_forget(t->rmm, t->pdev, t->pdev->link_sid, t->pdev->link_set);
    return true;
}

void dev_root_release(Rmm *rmm, Pdev *pdev)
{
    for (unsigned set = 0; set < IDE_KEY_SETS; set++) {
        root_forget(rmm, pdev, pdev->ide_sid, set);
        if (pdev->has_link) {
            root_forget(rmm, pdev, pdev->link_sid, set);
        }
    }
    rmm->platform.tdisp_enable(rmm->platform.opaque, pdev->root_id, pdev->ide_sid, false);
    pdev->keyed = false;
}

/* Of the stream and of the link stream: where new keys go, the set that is not in use. */
static uint8_t next_set(const Pdev *pdev) { return pdev->keyed ? pdev->key_set ^ 1 : 0; }
static uint8_t next_link_set(const Pdev *pdev) { return pdev->link_keyed ? pdev->link_set ^ 1 : 0; }

static bool use_next_set(Talk *t)
{
    const RmmPlatform *p = &t->rmm->platform;

    t->pdev->key_set = next_set(t->pdev);
    t->pdev->keyed = true;
    return p->tdisp_enable(p->opaque, t->pdev->root_id, t->pdev->ide_sid, true);
}

static bool use_next_link_set(Talk *t)
{
    t->pdev->link_set = next_link_set(t->pdev);
    t->pdev->link_keyed = true;
    return true;
}

static bool keys_are_gone(Talk *t)
{
    t->pdev->keyed = false;
    return true;
}

/* The interface was left locked or running: it is stopped before it serves a new owner. */
static bool interface_is_unlocked(const Talk *t) { return t->link->tdisp.state == TDI_CONFIG_UNLOCKED; }
static bool session_exists(const Talk *t) { return spdm_requester_has_session(&t->link->spdm); }
static bool no_session(const Talk *t) { return !session_exists(t); }
static bool no_link(const Talk *t) { return !t->pdev->has_link; }
static bool nothing_to_stop(const Talk *t) { return !t->pdev->keyed || no_session(t); }

/* A new VDEV is UNLOCKED after one call, which has nothing to say to the device (compliance suite, 1.1-alp17): what
 * state the interface was left in is a matter of the lock. */
static bool leave_to_lock(Talk *t) { return true; }

static bool ask_for_lock(Talk *t)
{
    TdispClient *c = &t->link->tdisp;

    /* The host mediates message interrupts, no peer-to-peer stream is bound, and cache lines have 64 bytes. */
    c->lock_flags = t->vdev->lock_flags & (TDISP_LOCK_NO_FW_UPDATE | TDISP_LOCK_ALL_REQUEST_REDIRECT);
    c->stream_id = t->pdev->ide_sid;
    c->mmio_offset = 0;
    c->p2p_mask = 0;
    return true;
}

/* ---- scripts ---- */

#define LOCAL(fn)          { .kind = STEP_LOCAL, .run = fn }
#define SPDM(op_)          { .kind = STEP_SPDM, .op = SPDM_OP_##op_ }
#define IDE(op_)           { .kind = STEP_IDE, .op = IDE_KM_##op_ }
#define TDISP(op_)         { .kind = STEP_TDISP, .op = TDISP_OP_##op_ }
#define UNLESS(cond, ...)  { __VA_ARGS__, .skip = cond }
/* Receivers before senders at both ends. */
#define NEW_KEYS           IDE(KEYS), LOCAL(root_program), LOCAL(root_go_rx), IDE(GO), LOCAL(root_go_tx)

/* No document has a word for link streams: one that the host has enabled at the device, for traffic class 0, gets keys
 * at both ends, and new ones with the selective stream's. They end with the connection. */
#define LINK_IDE(op_)      { .kind = STEP_IDE, .op = IDE_KM_##op_, .link = true, .skip = no_link }
#define LINK_LOCAL(fn)     { .kind = STEP_LOCAL, .run = fn, .skip = no_link }
#define NEW_LINK_KEYS      LINK_IDE(KEYS), LINK_LOCAL(root_program), LINK_LOCAL(root_go_rx), LINK_IDE(GO), \
                           LINK_LOCAL(root_go_tx)

static const Step connect[] = { SPDM(CONNECT), LOCAL(keep_identity) };
static const Step secure[] = {
    UNLESS(session_exists, .kind = STEP_SPDM, .op = SPDM_OP_SESSION),
    IDE(QUERY),
    NEW_KEYS,
    LOCAL(use_next_set),
    NEW_LINK_KEYS,
    LINK_LOCAL(use_next_link_set),
};
static const Step ide_reset[] = {
    IDE(STOP), LOCAL(root_stop), LOCAL(keys_are_gone), NEW_KEYS, LOCAL(use_next_set),
};
static const Step refresh[] = {
    NEW_KEYS, IDE(STOP), LOCAL(root_stop), LOCAL(use_next_set),
    NEW_LINK_KEYS, LINK_IDE(STOP), LINK_LOCAL(root_stop_link), LINK_LOCAL(use_next_link_set),
};
static const Step end[] = {
    UNLESS(nothing_to_stop, .kind = STEP_IDE, .op = IDE_KM_STOP),
    UNLESS(no_session, .kind = STEP_SPDM, .op = SPDM_OP_END_SESSION),
};
static const Step prepare[] = { LOCAL(leave_to_lock) };
static const Step lock[] = {
    TDISP(PROBE), UNLESS(interface_is_unlocked, .kind = STEP_TDISP, .op = TDISP_OP_STOP), LOCAL(ask_for_lock),
    TDISP(LOCK),
};
static const Step report[] = { TDISP(REPORT) };
static const Step measurements[] = { { .kind = STEP_MEASURE } };
static const Step start[] = { TDISP(START) };
static const Step unlock[] = { TDISP(STOP) };

#define SCRIPT(name, steps) [name] = { #name, steps, ARRAY_LEN(steps) }
static const struct {
    const char *name;
    const Step *steps;
    unsigned    n;
} scripts[DEV_N_SCRIPTS] = {
    SCRIPT(DEV_CONNECT, connect), SCRIPT(DEV_SECURE, secure), SCRIPT(DEV_IDE_RESET, ide_reset),
    SCRIPT(DEV_REFRESH, refresh), SCRIPT(DEV_END, end), SCRIPT(DEV_PREPARE, prepare), SCRIPT(DEV_LOCK, lock),
    SCRIPT(DEV_REPORT, report), SCRIPT(DEV_MEASURE, measurements), SCRIPT(DEV_START, start),
    SCRIPT(DEV_UNLOCK, unlock),
};

/* ---- beginning a step ---- */

static bool start_spdm(Talk *t, SpdmOp op, const SpdmOpArgs *args)
{
    const char *why = spdm_requester_start(&t->link->spdm, op, args);

    if (why != NULL) {
        LOG(SPDM, "pdev 0x%" PRIx64 ": %s", t->pdev->id, why);
    }
    return why == NULL;
}

/* New keys go to the set that is not in use; keys that stop are those of the set in use. */
static bool begin_ide(Talk *t, IdeKmOp op, bool link)
{
    const Pdev *p = t->pdev;
    uint8_t     keys[IDE_SUB_STREAMS][2][IDE_KEY_LEN];
    uint8_t     in_use = link ? p->link_set : p->key_set, next = link ? next_link_set(p) : next_set(p);

    if (op == IDE_KM_KEYS) {
        entropy_bytes(&t->rmm->entropy, keys, sizeof(keys));
    }
    ide_km_sequence_start(&t->link->ide, op, IDE_PORT, link ? p->link_sid : p->ide_sid,
                          op == IDE_KM_STOP ? in_use : next, op == IDE_KM_KEYS ? keys : NULL);
    spdm_wipe(keys, sizeof(keys));
    return true;
}

static bool index_is_wanted(const Vdev *vdev, unsigned index)
{
    return vdev->indices[index / 8] >> (index % 8) & 1;
}

/* The next index after the last one asked for; 0: there is none. */
static unsigned next_index(const Talk *t, unsigned last)
{
    for (unsigned i = last + 1; i <= MEASURE_LAST; i++) {
        if (index_is_wanted(t->vdev, i)) {
            return i;
        }
    }
    return 0;
}

/* One request for one index, or for all. The last one alone is signed: its signature covers those
 * before it. */
static bool ask_measurement(Talk *t)
{
    bool       last = t->link->index == MEASURE_ALL || next_index(t, t->link->index) == 0;
    SpdmOpArgs args = { .index = (uint8_t)t->link->index, .sign = t->vdev->sign && last, .raw = t->vdev->raw,
                        .nonce = t->vdev->measure_nonce };

    return start_spdm(t, SPDM_OP_MEASUREMENTS, &args);
}

static bool begin_measure(Talk *t)
{
    t->link->object_len = 0;
    t->link->index = t->vdev->measure_all ? MEASURE_ALL : next_index(t, 0);
    return t->link->index != 0 && ask_measurement(t);
}

static bool begin_step(Talk *t, const Step *s)
{
    switch (s->kind) {
    case STEP_SPDM:
        return start_spdm(t, (SpdmOp)s->op, NULL);
    case STEP_IDE:
        return begin_ide(t, (IdeKmOp)s->op, s->link);
    case STEP_TDISP:
        tdisp_client_start(&t->link->tdisp, (TdispOp)s->op);
        return true;
    case STEP_MEASURE:
        return begin_measure(t);
    case STEP_LOCAL:
        break;
    }
    return s->run(t);
}

static const Step *current(const Talk *t)
{
    return t->comm->step < scripts[t->comm->script].n ? &scripts[t->comm->script].steps[t->comm->step] : NULL;
}

/* From the current step on: local steps are done, the first one with messages begins. comm->step may be past
 * the last one then. */
static bool begin_from(Talk *t)
{
    for (const Step *s = current(t); s != NULL; t->comm->step++, s = current(t)) {
        if (s->skip != NULL && s->skip(t)) {
            continue;
        }
        if (!begin_step(t, s)) {
            return false;
        }
        if (s->kind != STEP_LOCAL) {
            return true;
        }
    }
    return true;
}

/* ---- messages ---- */

/* IDE_KM and TDISP messages are wrapped one by one. */
static bool wrap_payload(Talk *t, const Step *s)
{
    uint8_t    msg[PAYLOAD_MAX];
    bool       ide = s->kind == STEP_IDE;
    SpdmOpArgs args = { .protocol = ide ? SPDM_PCI_PROTOCOL_IDE_KM : SPDM_PCI_PROTOCOL_TDISP,
                        .message = msg };

    args.len = ide ? ide_km_sequence_next(&t->link->ide, msg, sizeof(msg))
                   : tdisp_client_next(&t->link->tdisp, msg, sizeof(msg));
    bool ok = args.len != 0 && start_spdm(t, SPDM_OP_VENDOR, &args);
    spdm_wipe(msg, sizeof(msg));
    return ok;
}

/* The step's next request, as it travels; 0: there can be none. A payload may be out still: device not ready. */
static size_t next_request(Talk *t, uint8_t out[SPDM_MSG_MAX])
{
    const Step *s = current(t);
    bool        wraps = (s->kind == STEP_IDE || s->kind == STEP_TDISP) && t->link->spdm.op == SPDM_OP_NONE;
    size_t      len = 0;

    if (wraps && !wrap_payload(t, s)) {
        return 0;
    }
    len = spdm_requester_next(&t->link->spdm, out, SPDM_MSG_MAX, &t->link->secured);
    /* None of ours is longer; the rest of the buffer is for what is kept. */
    return len <= DEV_KEEP_OFFSET ? len : 0;
}

/* It comes from the device and names a stream of the port: never that of a PDEV, which others rely on. One link stream
 * serves all functions behind the port, and was keyed with the first. */
static bool link_is_free(const Talk *t, uint8_t stream_id)
{
    for (unsigned i = 0; i < DEV_MAX_PDEVS; i++) {
        uint64_t    pa = dev_state(t->rmm)->pdev[i];
        const Pdev *p = pa != 0 ? pdev_at(t->rmm, pa) : NULL;

        if (p != NULL && p->root_id == t->pdev->root_id && (p->ide_sid == stream_id || (p != t->pdev && p->has_link))) {
            return false;
        }
    }
    return true;
}

/* The device's IDE capability from its second register on: whether link stream 0 is enabled. */
static void look_for_link(Talk *t, const uint8_t *in, size_t len)
{
    enum { LINK_IDE_SUPPORTED = 1, LINK_CONTROL = 8, LINK_ENABLE = 1, LINK_TC = 7 << 19 };
    IdeKmQuery q;

    t->pdev->has_link = t->pdev->link_keyed = false;
    if (!ide_km_parse_query(in, len, &q) || q.registers_len < LINK_CONTROL + 4) {
        return;
    }
    uint32_t control = le32_get(q.registers + LINK_CONTROL);

    t->pdev->link_sid = (uint8_t)(control >> 24);
    t->pdev->has_link = (le32_get(q.registers) & LINK_IDE_SUPPORTED) != 0 && (control & LINK_ENABLE) != 0 &&
                        (control & LINK_TC) == 0 && link_is_free(t, t->pdev->link_sid);
}

static SpdmResult read_response(Talk *t, const Step *s, const uint8_t *in, size_t len)
{
    SpdmResult r = spdm_requester_response(&t->link->spdm, in, len, t->link->secured);
    SpdmSpan   payload = spdm_requester_vendor_reply(&t->link->spdm);

    if (r != SPDM_DONE || (s->kind != STEP_IDE && s->kind != STEP_TDISP)) {
        return r;
    }
    if (s->kind == STEP_IDE && s->op == IDE_KM_QUERY) {
        look_for_link(t, payload.data, payload.len);
    }
    return s->kind == STEP_IDE ? ide_km_sequence_response(&t->link->ide, payload.data, payload.len)
                               : tdisp_client_response(&t->link->tdisp, payload.data, payload.len);
}

/* ---- what the host keeps ---- */

/* Spans of the plain messages of the exchange that ended; length 0: nothing of that one. */
typedef struct Keep {
    RmiCommObject object;
    SpdmSpan      req, rsp;
    uint32_t      rsp_offset;
} Keep;

static SpdmSpan part(SpdmSpan whole, uint32_t offset, uint32_t len)
{
    return (SpdmSpan){ (const uint8_t *)whole.data + offset, len };
}

static Keep what_to_keep(const Talk *t, const Step *s)
{
    const SpdmRequester *r = &t->link->spdm;
    const TdispClient   *c = &t->link->tdisp;
    SpdmCache            cache = spdm_requester_cache(r);
    SpdmSpan             reply = spdm_requester_reply(r);
    Keep                 k = { 0 };

    if (s->kind == STEP_TDISP && r->op == SPDM_OP_NONE && c->portion_len != 0) { /* the response came */
        uint32_t payload =
            (uint32_t)((const uint8_t *)spdm_requester_vendor_reply(r).data - (const uint8_t *)reply.data);
        cache = (SpdmCache){ .rsp_offset = payload + c->portion_offset, .rsp_len = c->portion_len };
        k.object = RMI_OBJECT_INTERFACE_REPORT;
    } else if (cache.object != SPDM_OBJECT_NONE) {
        k.object = (RmiCommObject)(cache.object - SPDM_OBJECT_VCA);
    }
    k.req = part(spdm_requester_request(r), cache.req_offset, cache.req_len);
    k.rsp = part(reply, cache.rsp_offset, cache.rsp_len);
    k.rsp_offset = cache.rsp_offset;
    return k;
}
_Static_assert(SPDM_OBJECT_CERTIFICATE - SPDM_OBJECT_VCA == RMI_OBJECT_CERTIFICATE &&
                   SPDM_OBJECT_MEASUREMENTS - SPDM_OBJECT_VCA == RMI_OBJECT_MEASUREMENTS,
               "both number objects alike");

/* Measurements come in any number of exchanges; their digest is over all of them. */
static bool append_measurement(Talk *t, const Keep *k)
{
    ByteWriter w = bw_init(t->link->object, sizeof(t->link->object));

    w.pos = t->link->object_len;
    bw_bytes(&w, k->req.data, k->req.len);
    bw_bytes(&w, k->rsp.data, k->rsp.len);
    t->link->object_len = (uint32_t)w.pos;
    return bw_ok(&w);
}

/* ---- one call ---- */

/* RmiDevCommExit. */
typedef struct Exit {
    uint64_t flags, req_len;
    Keep     keep;
} Exit;

static void put_exit(Rmm *rmm, const Talk *t, const DevEnter *enter, const Exit *e)
{
    uint8_t page[RMM_GRANULE_SIZE - RMI_COMM_EXIT_FLAGS] = { 0 };
    bool    sends = e->flags & RMI_COMM_SEND;

#define FIELD(name) (page + (RMI_COMM_##name - RMI_COMM_EXIT_FLAGS))
    le64_put(FIELD(EXIT_FLAGS), e->flags);
    le64_put(FIELD(CACHE_REQ_OFFSET), e->flags & RMI_COMM_CACHE_REQ ? DEV_KEEP_OFFSET : 0);
    le64_put(FIELD(CACHE_REQ_LEN), e->keep.req.len);
    le64_put(FIELD(CACHE_RSP_OFFSET), e->keep.rsp.len != 0 ? e->keep.rsp_offset : 0);
    le64_put(FIELD(CACHE_RSP_LEN), e->keep.rsp.len);
    *FIELD(CACHE_OBJ_ID) = (uint8_t)e->keep.object;
    *FIELD(PROTOCOL) = sends && t->link->secured ? RMI_PROTOCOL_SECURE_SPDM : RMI_PROTOCOL_SPDM;
#undef FIELD
    le64_put(page + (rmm->dialect->comm_req_len - RMI_COMM_EXIT_FLAGS), e->req_len);
    if (rmm->dialect->comm_req_delay != 0 && sends) {
        le64_put(page + (rmm->dialect->comm_req_delay - RMI_COMM_EXIT_FLAGS), spdm_requester_wait_us(&t->link->spdm));
    }
    le64_put(page + (rmm->dialect->comm_timeout - RMI_COMM_EXIT_FLAGS), sends ? DEV_TIMEOUT_US : 0);
    ns_write(rmm, enter->data + RMI_COMM_EXIT_FLAGS, page, sizeof(page));
}

/* Copies what is to be kept into the host's buffers. */
static void give(Rmm *rmm, const DevEnter *enter, Exit *e)
{
    if (e->keep.req.len != 0) {
        ns_write(rmm, enter->req + DEV_KEEP_OFFSET, e->keep.req.data, e->keep.req.len);
        e->flags |= RMI_COMM_CACHE_REQ;
    }
    if (e->keep.rsp.len != 0) {
        ns_write(rmm, enter->resp + e->keep.rsp_offset, e->keep.rsp.data, e->keep.rsp.len);
        e->flags |= RMI_COMM_CACHE_RSP;
    }
}

/* The response of the request that is out. Afterwards comm->step is the step of the next request, begun. */
static bool take_response(Talk *t, const DevEnter *enter, Exit *e)
{
    const Step *s = current(t);
    uint8_t     in[RMI_COMM_BUFFER_MAX];

    if (enter->status == RMI_COMM_ERROR || !ns_read(t->rmm, enter->resp, in, enter->resp_len)) {
        return false;
    }
    SpdmResult r = read_response(t, s, in, enter->resp_len);
    if (r == SPDM_FAILED) {
        return false;
    }
    e->keep = what_to_keep(t, s);
    if (e->keep.req.len > SPDM_MSG_MAX - DEV_KEEP_OFFSET) {
        return false;
    }
    give(t->rmm, enter, e);
    if (r == SPDM_CONTINUE) {
        return true;
    }
    if (s->kind == STEP_MEASURE) {
        if (!append_measurement(t, &e->keep)) {
            return false;
        }
        t->link->index = t->link->index == MEASURE_ALL ? 0 : next_index(t, t->link->index);
        if (t->link->index != 0) {
            return ask_measurement(t);
        }
    }
    t->comm->step++;
    return begin_from(t);
}

/* A TDISP interface is a VDEV's; the link has room for one. */
static void load_interface(const Talk *t)
{
    TdispClient *c = &t->link->tdisp;

    tdisp_client_init(c, t->vdev->function_id);
    c->supported_flags = t->vdev->lock_flags;
    c->has_nonce = t->vdev->has_tdisp_nonce;
    memcpy(c->nonce, t->vdev->tdisp_nonce, sizeof(c->nonce));
}

static void save_interface(const Talk *t)
{
    const TdispClient *c = &t->link->tdisp;

    t->vdev->lock_flags = c->supported_flags;
    t->vdev->has_tdisp_nonce = c->has_nonce;
    memcpy(t->vdev->tdisp_nonce, c->nonce, sizeof(c->nonce));
}

static const char *why_failed(const Talk *t)
{
    const char *spdm = spdm_requester_error(&t->link->spdm);

    return *spdm != '\0' ? spdm : t->link->tdisp.error;
}

/* The step itself: a response is taken, then the next request is made. */
static DevResult advance(Talk *t, const DevEnter *enter, Exit *e)
{
    uint8_t msg[SPDM_MSG_MAX];

    if (t->comm->ends) {
        return DEV_DONE;
    }
    if (t->comm->state == DEV_COMM_PENDING) {
        t->comm->step = 0;
        if (t->vdev != NULL) {
            load_interface(t);
        }
        if (!begin_from(t)) {
            return DEV_FAILED;
        }
    } else if (!take_response(t, enter, e)) {
        return DEV_FAILED;
    }
    if (current(t) == NULL) {
        t->comm->ends = true;
        return e->flags != 0 ? DEV_WAITS : DEV_DONE;
    }
    e->req_len = next_request(t, msg);
    if (e->req_len == 0) {
        return DEV_FAILED;
    }
    ns_write(t->rmm, enter->req, msg, e->req_len);
    e->flags |= RMI_COMM_SEND;
    return DEV_WAITS;
}

bool dev_read_enter(Rmm *rmm, uint64_t data, DevEnter *enter)
{
    uint8_t b[RMI_COMM_RESP_LEN + 8] = { 0 };
    bool    ok = ns_read(rmm, data, b, sizeof(b));

    *enter = (DevEnter){ .data = data,
                        .status = b[RMI_COMM_STATUS],
                        .req = le64_get(b + RMI_COMM_REQ_ADDR),
                        .resp = le64_get(b + RMI_COMM_RESP_ADDR),
                        .resp_len = le64_get(b + RMI_COMM_RESP_LEN) };
    return ok;
}

void dev_queue(DevComm *comm, DevScript script)
{
    *comm = (DevComm){ .state = DEV_COMM_PENDING, .script = script };
}

/* Hosts call again as long as an exit has any flag, and take the end from one that has none (docs/suites.md). */
DevResult dev_talk(Rmm *rmm, Pdev *pdev, Vdev *vdev, const DevEnter *enter)
{
    Talk      t = { rmm, pdev, vdev, vdev != NULL ? &vdev->comm : &pdev->comm, pdev_link(rmm, pdev) };
    Exit      e = { 0 };
    DevResult r = advance(&t, enter, &e);

    if (vdev != NULL) {
        save_interface(&t);
    }
    if (r == DEV_FAILED) {
        LOG(SPDM, "pdev 0x%" PRIx64 ": %s failed at step %u: %s", pdev->id, scripts[t.comm->script].name,
            t.comm->step, why_failed(&t));
        spdm_requester_abort(&t.link->spdm);
        e = (Exit){ 0 };
    }
    put_exit(rmm, &t, enter, &e);
    pdev_link_keep(rmm, pdev);
    t.comm->state = r == DEV_WAITS ? DEV_COMM_ACTIVE : DEV_COMM_IDLE;
    return r;
}

void dev_cut_short(Rmm *rmm, Pdev *pdev, DevComm *comm)
{
    if (comm->state == DEV_COMM_ACTIVE) {
        spdm_requester_abort(&pdev_link(rmm, pdev)->spdm);
        pdev_link_keep(rmm, pdev);
    }
    comm->state = DEV_COMM_IDLE;
}
