/*
 * The responder's dispatcher: opens records, finds the request, checks what the registration demands, keeps
 * the transcripts, writes ERROR, closes records. DMTF DSP0274, "SPDM messaging protocol" and "ERROR response
 * message". Where the specification lets a responder choose between silence and an error, it answers, so that
 * a peer's trace shows why; exceptions are named where they occur.
 */
#include "spdm/responder.h"

#include <string.h>

#include "spdm/record.h"

#define NS_PER_S 1000000000ll

static const SpdmRequest *find_request(uint8_t code)
{
    for (const SpdmRequest *const *p = __start_spdm_requests; p < __stop_spdm_requests; p++) {
        if ((*p)->code == code) {
            return *p;
        }
    }
    return NULL;
}

void spdm_reply(SpdmResponder *s, const SpdmExchange *x, ByteWriter *rsp, uint8_t param1, uint8_t param2)
{
    /* VERSION is always a 1.0 message: it is what the version is found by. */
    uint8_t version = x->code == SPDM_GET_VERSION ? SPDM_VERSION_10 : s->version;

    spdm_begin(rsp, version, SPDM_RESPONSE_OF(x->code), param1, param2);
}

SpdmSpan spdm_whole_request(const ByteReader *req) { return (SpdmSpan){ req->data, spdm_parsed_len(req) }; }

SpdmSuite spdm_responder_suite(const SpdmResponder *s)
{
    return (SpdmSuite){ s->version, spdm_hash(s->selected.hash), spdm_aead(s->selected.aead), s->config.transport };
}

SpdmSigner spdm_responder_signer(const SpdmResponder *s)
{
    return (SpdmSigner){ s->version, spdm_hash(s->selected.hash), spdm_asym(s->selected.asym) };
}

void spdm_read_context(const SpdmResponder *s, ByteReader *req, uint8_t context[SPDM_CONTEXT_LEN])
{
    if (s->version >= SPDM_VERSION_13) {
        br_bytes(req, context, SPDM_CONTEXT_LEN);
    }
}

void spdm_append_context(const SpdmResponder *s, const uint8_t context[SPDM_CONTEXT_LEN], ByteWriter *rsp)
{
    if (s->version >= SPDM_VERSION_13) {
        bw_bytes(rsp, context, SPDM_CONTEXT_LEN);
    }
}

SpdmError spdm_append_signature(SpdmResponder *s, uint8_t slot, const char *context, const SpdmSpan *spans, size_t n,
                                ByteWriter *rsp)
{
    SpdmSigner signer = spdm_responder_signer(s);
    uint8_t   *sig = bw_take(rsp, signer.asym->sig_len);

    if (sig == NULL) {
        return SPDM_RESPONSE_TOO_LARGE;
    }
    if (!spdm_sign(&signer, s->config.entropy, spdm_slot_key(s, slot), context, spans, n, sig)) {
        return SPDM_UNSPECIFIED;
    }
    sig[signer.asym->sig_len - 1] ^= s->config.wrong_signature;
    return SPDM_OK;
}

void spdm_session_end(SpdmResponder *s, SpdmSession *session)
{
    bool     was_established = session->state == SPDM_SESSION_ESTABLISHED;
    uint32_t id = session->id;

    spdm_wipe(session, sizeof(*session));
    spdm_transfers_end(s, id);
    spdm_flow_end(s, id);
    spdm_mutual_end(s, id);
    if (was_established && s->config.session_changed != NULL) {
        s->config.session_changed(s->config.opaque, id, false);
    }
}

/* A session is given up when nothing came for twice the period: DSP0274 "Heartbeat". */
static int64_t lifetime_ns(const SpdmResponder *s) { return 2 * s->config.heartbeat_s * NS_PER_S; }

static void note_traffic(SpdmResponder *s, SpdmSession *session)
{
    session->last_ns = s->config.now_ns != NULL ? s->config.now_ns(s->config.opaque) : 0;
}

uint8_t spdm_heartbeat_s(const SpdmResponder *s)
{
    return s->config.capabilities & s->peer_capabilities & SPDM_CAP_HBEAT ? s->config.heartbeat_s : 0;
}

int64_t spdm_responder_expire(SpdmResponder *s, int64_t now_ns)
{
    int64_t next = INT64_MAX;

    for (unsigned i = 0; i < SPDM_SESSIONS; i++) {
        SpdmSession *session = &s->sessions[i];
        int64_t      end = session->last_ns + lifetime_ns(s);

        if (session->state != SPDM_SESSION_ESTABLISHED || spdm_heartbeat_s(s) == 0) {
            continue;
        }
        if (end <= now_ns) {
            spdm_session_end(s, session);
        } else if (end < next) {
            next = end;
        }
    }
    return next;
}

void spdm_forget_old_key(SpdmSession *session)
{
    session->update_pending = false;
    spdm_wipe(&session->old_channel, sizeof(session->old_channel));
    spdm_wipe(session->old_secret, sizeof(session->old_secret));
}

static void establish(SpdmResponder *s, SpdmSession *session)
{
    session->state = SPDM_SESSION_ESTABLISHED;
    spdm_flow_end(s, session->id);
    spdm_mutual_end(s, session->id);
    note_traffic(s, session);
    spdm_transcript_reset(&session->th);
    spdm_forget_handshake(&session->keys);
    if (s->config.session_changed != NULL) {
        s->config.session_changed(s->config.opaque, session->id, true);
    }
}

void spdm_responder_reset(SpdmResponder *s)
{
    for (unsigned i = 0; i < SPDM_SESSIONS; i++) {
        spdm_session_end(s, &s->sessions[i]);
    }
    s->connection = SPDM_NOT_STARTED;
    s->version = 0;
    s->peer_capabilities = 0;
    s->peer_transfer_size = s->peer_max_size = 0;
    s->selected = (SpdmSelection){ 0 };
    s->authenticated = s->multi_key = s->past_digests = false;
    s->digests_len = 0;
    spdm_transcript_reset(&s->a);
    spdm_transcript_reset(&s->b);
    spdm_transcript_reset(&s->l1l2);
    spdm_transfers_end(s, 0);
    spdm_flow_end(s, 0);
    spdm_mutual_end(s, 0);
    s->deferred.left = 0;
}

/* What may be selected: what is configured, known, and has a key. */
static SpdmAlgMasks selectable(const SpdmResponderConfig *config)
{
    SpdmAlgMasks m = config->algorithms, known = spdm_algorithms_known();
    uint32_t     with_key = 0;

    for (size_t i = 0; i < config->n_identities; i++) {
        with_key |= spdm_asyms_of(config->identities[i].key.kind);
    }
    return (SpdmAlgMasks){
        .hash = m.hash != 0 ? m.hash : known.hash,
        .measure_hash = m.measure_hash != 0 ? m.measure_hash : known.measure_hash,
        .asym = (m.asym != 0 ? m.asym : known.asym) & with_key,
        .dhe = m.dhe != 0 ? m.dhe : known.dhe,
        .aead = m.aead != 0 ? m.aead : known.aead,
    };
}

void spdm_responder_init(SpdmResponder *s, const SpdmResponderConfig *config)
{
    memset(s, 0, sizeof(*s));
    s->config = *config;
    s->config.algorithms = selectable(config);
    if (config->version_max == 0) {
        s->config.version_min = s->config.version_max = SPDM_VERSION_12;
    }
    if (config->transfer_size == 0) {
        s->config.transfer_size = SPDM_MSG_MAX;
    }
    s->b.room = config->b_room;
}

/* Bits of later versions are reserved in earlier ones. */
uint64_t spdm_capabilities(const SpdmResponder *s)
{
    return s->config.capabilities & spdm_capability_mask(s->version);
}

static bool version_is_ours(const SpdmResponder *s, uint8_t version)
{
    return version >= s->config.version_min && version <= s->config.version_max;
}

/* Whether the version byte of a request fits the state: DSP0274 "Version encoding". GET_CAPABILITIES is
 * the first message with the chosen version; an ERROR sent before that carries 1.0. */
static bool version_fits(const SpdmResponder *s, uint8_t code, uint8_t version)
{
    if (code == SPDM_GET_VERSION) {
        return version == SPDM_VERSION_10;
    }
    if (s->version == 0) {
        return code != SPDM_GET_CAPABILITIES || version_is_ours(s, version);
    }
    return version == s->version;
}

static bool capable(const SpdmResponder *s, uint64_t needs)
{
    static const uint64_t fields[] = { SPDM_CAP_MEAS, SPDM_CAP_SESSION, SPDM_CAP_EP_INFO };

    for (unsigned i = 0; i < ARRAY_LEN(fields); i++) {
        if ((needs & fields[i]) != 0 && (spdm_capabilities(s) & needs & fields[i]) == 0) {
            return false;
        }
        needs &= ~fields[i];
    }
    return (spdm_capabilities(s) & needs) == needs;
}

/* The one session that a plain FINISH can mean: KEY_EXCHANGE leaves at most one in a clear handshake. */
SpdmSession *spdm_clear_handshake(SpdmResponder *s)
{
    for (unsigned i = 0; i < SPDM_SESSIONS; i++) {
        if (s->sessions[i].state == SPDM_SESSION_HANDSHAKE && s->sessions[i].in_the_clear) {
            return &s->sessions[i];
        }
    }
    return NULL;
}

static SpdmError check_where(SpdmResponder *s, const SpdmRequest *q, SpdmExchange *x)
{
    if (q->where == SPDM_IN_HANDSHAKE) {
        bool plain = x->session == NULL;

        if (plain) {
            x->session = spdm_clear_handshake(s);
        }
        if (x->session == NULL ||
            (!plain && x->session->in_the_clear && x->session->state == SPDM_SESSION_HANDSHAKE)) {
            return SPDM_SESSION_REQUIRED;
        }
        return x->session->state == SPDM_SESSION_HANDSHAKE && !x->session->psk ? SPDM_OK : SPDM_UNEXPECTED_REQUEST;
    }
    if (q->where == SPDM_IN_PSK_HANDSHAKE) {
        return x->session == NULL ? SPDM_SESSION_REQUIRED
               : x->session->state == SPDM_SESSION_HANDSHAKE && x->session->psk ? SPDM_OK
                                                                                 : SPDM_UNEXPECTED_REQUEST;
    }
    if (q->where == SPDM_WHEREVER) {
        return SPDM_OK;
    }
    if (x->session == NULL) {
        return q->where == SPDM_IN_SESSION ? SPDM_SESSION_REQUIRED : SPDM_OK;
    }
    return q->where != SPDM_OUTSIDE && x->session->state == SPDM_SESSION_ESTABLISHED
               ? SPDM_OK
               : SPDM_UNEXPECTED_REQUEST;
}

/* Whether this connection has the request. Before GET_CAPABILITIES nobody knows, and it is only too early for it. */
static bool is_supported(const SpdmResponder *s, const SpdmRequest *q)
{
    return s->version == 0 || (capable(s, q->needs) && (s->peer_capabilities & q->peer_needs) == q->peer_needs);
}

static SpdmError check_request(SpdmResponder *s, const SpdmRequest *q, SpdmExchange *x)
{
    if (!version_fits(s, x->code, x->version)) {
        return SPDM_VERSION_MISMATCH;
    }
    if (q == NULL || !is_supported(s, q)) {
        x->error_data = x->code;
        return SPDM_UNSUPPORTED_REQUEST;
    }
    if (x->in_chunks && q->carries) {
        return SPDM_INVALID_REQUEST;
    }
    if (spdm_breaks_transfer(s, x) || s->connection < q->from || (q->exactly && s->connection != q->from)) {
        return SPDM_UNEXPECTED_REQUEST;
    }
    return spdm_breaks_flow(s, q, x) ? SPDM_REQUEST_IN_FLIGHT : check_where(s, q, x);
}

/* Requests that end an unfinished authentication because they were issued, whatever becomes of them: DSP0274 "M1 and M2
 * message transcript". */
static void drop_part_b(SpdmResponder *s, const SpdmRequest *q)
{
    if (q != NULL && q->drops_b && !s->authenticated) {
        spdm_transcript_reset(&s->b);
    }
}

/* What a request ends by being another one: DSP0274 "L1 and L2"; the part of TH that DIGESTS can be. */
static void drop_transcripts(SpdmResponder *s, const SpdmRequest *q, const SpdmExchange *x)
{
    if (x->code != SPDM_GET_MEASUREMENTS && !q->carries) {
        spdm_transcript_reset(x->session != NULL ? &x->session->l1l2 : &s->l1l2);
    }
    s->past_digests |= s->connection == SPDM_NEGOTIATED && x->code != SPDM_GET_DIGESTS && !q->carries;
}

static void keep(SpdmResponder *s, const SpdmRequest *q, const SpdmExchange *x, const ByteReader *req,
                 const ByteWriter *rsp)
{
    SpdmTranscript *t = q->kept == SPDM_KEPT_A ? &s->a : &s->b;
    SpdmSpan        whole = spdm_whole_request(req);

    if (q->kept == SPDM_KEPT_NOWHERE || x->session != NULL) {
        return; /* in a session, certificates are read for their own sake: no M1/M2 there */
    }
    spdm_transcript_add(t, whole.data, whole.len);
    spdm_transcript_add(t, rsp->data, rsp->pos);
}

/* An ERROR carries the connection's version; GET_CAPABILITIES brings that version, also when it fails. */
static uint8_t error_version(const SpdmResponder *s, const SpdmExchange *x)
{
    if (x->code == SPDM_GET_VERSION) {
        return SPDM_VERSION_10;
    }
    if (s->connection == SPDM_AFTER_VERSION && x->code == SPDM_GET_CAPABILITIES && version_is_ours(s, x->version)) {
        return x->version;
    }
    return s->version != 0 ? s->version : SPDM_VERSION_10;
}

static void write_error(SpdmResponder *s, SpdmExchange *x, SpdmError e, ByteWriter *rsp)
{
    uint8_t version = error_version(s, x);
    size_t  wanted = rsp->pos;

    rsp->pos = 0;
    rsp->failed = false;
    if (version < SPDM_VERSION_12 && (e == SPDM_SESSION_REQUIRED || e == SPDM_RESPONSE_TOO_LARGE)) {
        e = SPDM_UNSPECIFIED; /* those codes came with 1.2 */
    }
    spdm_begin(rsp, version, SPDM_ERROR, (uint8_t)e, x->error_data);
    if (e == SPDM_RESPONSE_TOO_LARGE || e == SPDM_DATA_TOO_LARGE) {
        bw_u32(rsp, e == SPDM_DATA_TOO_LARGE ? x->too_large : (uint32_t)wanted);
    }
    if (e == SPDM_RESPONSE_NOT_READY) {
        spdm_append_not_ready(s, rsp);
        return; /* nothing has been done yet */
    }
    if (x->opened != NULL) {
        spdm_session_end(s, x->opened);
    }
    x->after = x->after == SPDM_AFTER_END ? SPDM_AFTER_END : SPDM_AFTER_NOTHING;
    spdm_transcript_reset(x->session != NULL ? &x->session->l1l2 : &s->l1l2);
}

size_t spdm_response_room(const SpdmResponder *s, const SpdmExchange *x)
{
    size_t max = s->peer_max_size < SPDM_MSG_MAX ? s->peer_max_size : SPDM_MSG_MAX;

    return spdm_chunks_agreed(s) && !x->carries && max > x->room ? max : x->room;
}

bool spdm_fits(const SpdmResponder *s, const SpdmExchange *x, const ByteWriter *rsp)
{
    return rsp->pos <= spdm_response_room(s, x);
}

/* DSP0274 "Error code", RequestTooLarge: longer than the buffer we declared, as can be since 1.2. DOE pads to a DW. */
static bool request_is_too_large(const SpdmResponder *s, const SpdmExchange *x, size_t len)
{
    return s->version >= SPDM_VERSION_12 && !x->in_chunks && !x->was_put_off && len > s->config.transfer_size + 3;
}

void spdm_answer(SpdmResponder *s, SpdmExchange *x, const uint8_t *msg, size_t len, ByteWriter *rsp)
{
    ByteReader         req = br_init(msg, len);
    const SpdmRequest *q;
    SpdmError          e;

    x->version = br_u8(&req);
    x->code = br_u8(&req);
    x->param1 = br_u8(&req);
    x->param2 = br_u8(&req);
    if (!br_ok(&req)) {
        write_error(s, x, SPDM_INVALID_REQUEST, rsp);
        return;
    }
    q = find_request(x->code);
    x->carries = q != NULL && q->carries;
    e = request_is_too_large(s, x, len) ? SPDM_REQUEST_TOO_LARGE : check_request(s, q, x);
    if (e != SPDM_VERSION_MISMATCH) {
        drop_part_b(s, q);
    }
    if (e == SPDM_OK && spdm_put_off(s, q, x, msg, len)) {
        e = SPDM_RESPONSE_NOT_READY;
    }
    if (e == SPDM_OK) {
        drop_transcripts(s, q, x);
        e = q->handle(s, x, &req, rsp);
    }
    if (e == SPDM_OK) {
        e = !bw_ok(rsp) ? SPDM_UNSPECIFIED : !spdm_fits(s, x, rsp) ? SPDM_RESPONSE_TOO_LARGE : SPDM_OK;
    }
    if (e == SPDM_SILENT) {
        rsp->pos = 0;
    } else if (e != SPDM_OK) {
        write_error(s, x, e, rsp);
    } else {
        keep(s, q, x, &req, rsp);
        s->connection = q->to != SPDM_NOT_STARTED ? q->to : s->connection;
        if (rsp->pos > x->room) {
            spdm_keep_large_response(s, x, rsp);
        }
    }
}

/* Whoever watches hears of it. */
static void tell_answer(const SpdmResponder *s, const SpdmExchange *x, const uint8_t *msg, size_t len,
                        const ByteWriter *rsp)
{
    if (s->config.answered != NULL) {
        s->config.answered(s->config.opaque, x->record_session, msg, len, rsp->data, rsp->pos);
    }
}

/* The room for a response: what the peer declared, which does not count what sealing adds, as far as the sealed record
 * stays within @cap and within a page, because that is what the buffers of an RMM's host hold. */
static size_t response_room(const SpdmResponder *s, bool secured, size_t cap)
{
    size_t room = (cap < SPDM_MSG_MAX ? cap : SPDM_MSG_MAX) - (secured ? spdm_record_overhead(s->config.transport) : 0);

    return s->peer_transfer_size != 0 && s->peer_transfer_size < room ? s->peer_transfer_size : room;
}

static void finish_exchange(SpdmResponder *s, const SpdmExchange *x)
{
    if (x->after == SPDM_AFTER_ESTABLISH) {
        establish(s, x->session);
    } else if (x->after == SPDM_AFTER_END) {
        spdm_session_end(s, x->session);
    } else if (x->after == SPDM_AFTER_CHALLENGE_BACK) {
        spdm_challenge_back(s);
    }
}

static size_t handle_plain(SpdmResponder *s, const uint8_t *in, size_t in_len, uint8_t *out, size_t cap)
{
    uint8_t      plain[SPDM_MSG_MAX];
    ByteWriter   rsp = bw_init(plain, sizeof(plain));
    SpdmExchange x = { .room = response_room(s, false, cap) };

    spdm_answer(s, &x, in, in_len, &rsp);
    tell_answer(s, &x, in, in_len, &rsp);
    finish_exchange(s, &x);
    memcpy(out, plain, rsp.pos);
    return rsp.pos;
}

SpdmSession *spdm_session_find(SpdmResponder *s, uint32_t id)
{
    for (unsigned i = 0; i < SPDM_SESSIONS; i++) {
        if (s->sessions[i].state != SPDM_SESSION_FREE && s->sessions[i].id == id) {
            return &s->sessions[i];
        }
    }
    return NULL;
}

/* A requester that has not seen the answer to its KEY_UPDATE goes on with the old key: so the update is taken back. */
static bool open_with_old_key(const SpdmAead *aead, SpdmSession *session, const uint8_t *in, size_t in_len,
                              uint8_t *msg, size_t cap, size_t *len)
{
    if (!session->update_pending || !spdm_record_open(aead, &session->old_channel, in, in_len, msg, cap, len)) {
        return false;
    }
    session->keys.request_data = session->old_channel;
    memcpy(session->keys.request_secret, session->old_secret, sizeof(session->keys.request_secret));
    spdm_forget_old_key(session);
    return true;
}

static size_t handle_record(SpdmResponder *s, const uint8_t *in, size_t in_len, uint8_t *out, size_t cap)
{
    const SpdmAead *aead = spdm_aead(s->selected.aead);
    SpdmExchange    x = { .room = response_room(s, true, cap) };
    uint8_t         msg[SPDM_MSG_MAX], plain[SPDM_MSG_MAX];
    ByteWriter      rsp = bw_init(plain, sizeof(plain));
    SpdmChannel    *from, *to;
    uint32_t        id;
    size_t          len, out_len = 0;
    bool            handshake;

    /* A record of no session of ours cannot be answered: there is no key to answer with. */
    if (!spdm_record_session(in, in_len, &id) || (x.session = spdm_session_find(s, id)) == NULL) {
        return 0;
    }
    x.record_session = id;
    handshake = x.session->state == SPDM_SESSION_HANDSHAKE;
    from = handshake ? &x.session->keys.request_handshake : &x.session->keys.request_data;
    to = handshake ? &x.session->keys.response_handshake : &x.session->keys.response_data;
    if (spdm_record_open(aead, from, in, in_len, msg, sizeof(msg), &len) ||
        open_with_old_key(aead, x.session, in, in_len, msg, sizeof(msg), &len)) {
        note_traffic(s, x.session);
        spdm_answer(s, &x, msg, len, &rsp);
        tell_answer(s, &x, msg, len, &rsp);
    } else {
        /* DSP0277 "Secured Message format": a record that fails ends its session. */
        x.after = SPDM_AFTER_END;
        write_error(s, &x, SPDM_DECRYPT_ERROR, &rsp);
    }
    if (rsp.pos != 0) {
        out_len = spdm_record_seal(aead, to, id, plain, rsp.pos, out, cap);
        /* DSP0277 "Sequence number": none is used twice with a key, so that a session without any left is over. */
        x.after = out_len == 0 ? SPDM_AFTER_END : x.after;
    }
    finish_exchange(s, &x);
    spdm_wipe(msg, sizeof(msg));
    return out_len;
}

size_t spdm_responder_handle(SpdmResponder *s, bool secured, const uint8_t *in, size_t in_len, uint8_t *out,
                             size_t cap, bool *secured_out)
{
    const size_t longest = SPDM_MSG_MAX + 4; /* all that tells that it is too long */

    *secured_out = secured;
    if ((secured && in_len > SPDM_RECORD_MAX) ||
        cap < SPDM_DATA_TRANSFER_MIN + spdm_record_overhead(s->config.transport)) {
        return 0; /* a record longer than any buffer cannot be opened */
    }
    in_len = in_len < longest || secured ? in_len : longest;
    return secured ? handle_record(s, in, in_len, out, cap) : handle_plain(s, in, in_len, out, cap);
}
