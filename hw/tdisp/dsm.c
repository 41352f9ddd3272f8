/*
 * The device security manager: answers SPDM in the DOE mailbox, puts IDE_KM keys into the IDE capability, and
 * owns the TDISP states of the interfaces. Source: PCI Express Base Specification 6.0, "CMA-SPDM", "IDE_KM",
 * "TDISP".
 */
#include <inttypes.h>
#include <string.h>

#include "bytes.h"
#include "event.h"
#include "files.h"
#include "hw/pci/root_port.h"
#include "hw/tdisp/dsm_int.h"
#include "hw/tdisp/message.h"
#include "log.h"
#include "spdm/caps.h"

enum {
    ADDRESS_WIDTH = 52,
    /* ALL_REQUEST_REDIRECT: every request goes to the root complex as it is. The cache line size concerns LN requesters
     * only, which nothing here is. */
    LOCK_FLAGS = TDISP_LOCK_NO_FW_UPDATE | TDISP_LOCK_MSIX | TDISP_LOCK_ALL_REQUEST_REDIRECT,
};

static const char *name(const Dsm *dsm)
{
    return dsm->pd->dev.id;
}

static const char *class_name(const Dsm *dsm)
{
    return dsm->pd->dev.cls->name;
}

/* Not by its requester ID, which another function may have got that was renumbered first. But @tdi may be a copy, as
 * one that is about to be locked is: then all have theirs. */
static TdiFunction *function_of(Dsm *dsm, const Tdi *tdi)
{
    for (unsigned i = 0; i < dsm->n_functions; i++) {
        if (tdi == &dsm->tdis[i]) {
            return &dsm->functions[i];
        }
    }
    return &dsm->functions[tdisp_find(&dsm->tdisp, tdi->function_id) - dsm->tdis];
}

void dsm_violation(TdiFunction *f, const char *why)
{
    if (tdi_is_held(f)) {
        LOG(TDISP, "%s: broken lock: %s", f->pd->dev.id, why);
        (void)tdisp_tdi_error(&f->dsm->tdisp, f->tdi);
    }
}

void dsm_violation_all(TdiFunction *f, const char *why)
{
    for (unsigned i = 0; i < f->dsm->n_functions; i++) {
        TdiFunction *g = &f->dsm->functions[i];

        if (g == f || g->pd->pf == f->pd) {
            dsm_violation(g, why);
        }
    }
}

void dsm_check_requester(TdiFunction *f)
{
    uint16_t rid = pci_bdf(f->pd);

    if (f->tdi->function_id != rid) {
        dsm_violation(f, "the requester ID changed");
        tdisp_tdi_rename(f->tdi, rid);
    }
}

/* ---- IDE_KM ---- */

static bool find_sel(Dsm *dsm, uint8_t stream_id, unsigned *sel)
{
    int s = ide_find_stream(&dsm->ide, stream_id);

    *sel = (unsigned)s;
    return s >= 0;
}

/* A link stream, too. */
static bool find_keyed(Dsm *dsm, uint8_t stream_id, unsigned *index)
{
    int s = ide_find_keyed(&dsm->ide, stream_id);

    *index = (unsigned)s;
    return s >= 0;
}

static IdeDirection direction(const IdeKeySlot *slot)
{
    return slot->tx ? IDE_TX : IDE_RX;
}

static uint8_t max_port(void *opaque)
{
    return DSM_PORT;
}

static bool has_stream(void *opaque, uint8_t port, uint8_t stream_id)
{
    unsigned sel;

    return find_keyed(opaque, stream_id, &sel);
}

static bool program(void *opaque, const IdeKeySlot *slot, const uint8_t key[IDE_KEY_LEN], uint64_t ifv)
{
    Dsm *dsm = opaque;
    uint8_t   iv[IDE_IV_LEN];
    unsigned  sel;

    le64_put(iv, ifv);
    return find_keyed(dsm, slot->stream_id, &sel) &&
           ide_key_prog(&dsm->ide, sel, slot->key_set, direction(slot), slot->sub_stream, key, iv);
}

static void go(void *opaque, const IdeKeySlot *slot)
{
    Dsm *dsm = opaque;
    unsigned  sel;

    if (find_keyed(dsm, slot->stream_id, &sel)) {
        (void)ide_key_go(&dsm->ide, sel, slot->key_set, direction(slot), slot->sub_stream);
    }
}

static void stop(void *opaque, const IdeKeySlot *slot)
{
    Dsm *dsm = opaque;
    unsigned  sel;

    if (find_keyed(dsm, slot->stream_id, &sel)) {
        (void)ide_key_stop(&dsm->ide, sel, slot->key_set, direction(slot), slot->sub_stream);
    }
}

static void query(void *opaque, uint8_t port, uint8_t *dev_func, uint8_t *bus, uint8_t *segment,
                  ByteWriter *regs)
{
    Dsm *dsm = opaque;
    PciDevice *pd = dsm->pd;
    unsigned   next = pci_get(pd, dsm->ide.off + 2u, 2) >> 4;
    unsigned   end = next != 0 ? next : pd->next_ext_cap; /* where this capability ends */

    *dev_func = pd->devfn;
    *bus = pd->bus->number;
    *segment = (uint8_t)pci_host_config(pd->bus->host)->segment;
    for (unsigned off = dsm->ide.off + 4u; off < end; off += 4) {
        bw_u32(regs, pci_get(pd, off, 4));
    }
}

/* Readiness is not listened to here: the IDE capability says when a stream is no longer Secure. */
static const IdeKeySink key_sink = { max_port, has_stream, program, go, stop, NULL, query };

/* ---- the IDE capability ---- */

/* A stream that was disabled or renumbered, or that failed, lost its keys: IDE_KM must not believe they are
 * still there. */
static void drop_lost_keys(Dsm *dsm)
{
    for (unsigned i = 0; i < IDE_KM_STREAMS; i++) {
        unsigned sel;

        if (dsm->km.streams[i].used &&
            (!find_keyed(dsm, dsm->km.streams[i].id, &sel) || !ide_has_keys(&dsm->ide, sel))) {
            ide_km_stream_dropped(&dsm->km, dsm->km.streams[i].port, dsm->km.streams[i].id);
        }
    }
}

/* A selective stream is not what the interfaces bound to it were locked with. */
static void break_bound(Dsm *dsm, unsigned sel, const char *why)
{
    for (unsigned i = 0; i < dsm->n_functions; i++) {
        if (!ide_is_link(&dsm->ide, sel) && (dsm->functions[i].bound >> sel & 1)) {
            dsm_violation(&dsm->functions[i], why);
        }
    }
}

/* Requests go by the default stream: a second one must not take the first's place under a locked interface. */
static void break_diverted(Dsm *dsm)
{
    int sel = ide_default_stream(&dsm->ide);

    for (unsigned i = 0; sel >= 0 && i < dsm->n_functions; i++) {
        if ((dsm->functions[i].bound >> sel & 1) == 0) {
            dsm_violation(&dsm->functions[i], "another IDE stream is the default one now");
        }
    }
}

static void stream_changed(void *opaque, IdeCap *ide, unsigned sel, IdeStreamState state)
{
    if (state == IDE_INSECURE) {
        break_bound(opaque, sel, "its IDE stream is Insecure");
        drop_lost_keys(opaque);
    }
}

static void stream_reconfigured(void *opaque, IdeCap *ide, unsigned sel, IdeStreamState was)
{
    break_bound(opaque, sel, "its IDE stream was reconfigured");
    break_diverted(opaque);
    drop_lost_keys(opaque);
}

static const IdeOps ide_ops = { stream_changed, stream_reconfigured, ide_fault_spoils };

/* ---- TDISP ---- */

/* Whether some BAR of one function and another BAR of the same or the other function share addresses. */
static bool bars_overlap(const PciDevice *a, const PciDevice *b)
{
    for (unsigned i = 0; i < PCI_N_BARS; i++) {
        for (unsigned j = a == b ? i + 1 : 0; j < PCI_N_BARS; j++) {
            uint64_t at = pci_bar_address(a, i), other = pci_bar_address(b, j);
            uint64_t size = a->bars[i].size, other_size = b->bars[j].size;

            /* A BAR is aligned to its size, so neither wraps. */
            if (size != 0 && other_size != 0 && at <= other + (other_size - 1) && other <= at + (size - 1)) {
                return true;
            }
        }
    }
    return false;
}

/* With any function of the device that is there: BARs and VF BARs. */
static bool overlaps(const Dsm *dsm, const PciDevice *pd)
{
    bool found = false;

    for (unsigned i = 0; i < dsm->tdisp.n_tdis; i++) {
        found |= bars_overlap(pd, dsm->functions[i].pd);
    }
    return found;
}

/* TDISP "LOCK_INTERFACE_REQUEST", INVALID_DEVICE_CONFIGURATION. */
static TdispError may_lock(void *opaque, const Tdi *tdi)
{
    Dsm        *dsm = opaque;
    PciDevice  *pd = function_of(dsm, tdi)->pd;
    const char *why = NULL;
    unsigned    sel, n_default = 0;

    for (unsigned s = 0; s < DSM_N_STREAMS; s++) {
        n_default += ide_enabled(&dsm->ide, s) && ide_default(&dsm->ide, s);
    }
    if (n_default > 1) {
        why = "two IDE streams are marked as default";
    } else if (find_sel(dsm, tdi->stream_id, &sel) && ide_traffic_class(&dsm->ide, sel) != 0) {
        why = "the default IDE stream is not of traffic class 0";
    } else if (overlaps(dsm, pd)) {
        why = "BARs overlap";
    }
    if (why != NULL) {
        LOG(TDISP, "%s: not locked: %s", pd->dev.id, why);
        return TDISP_INVALID_DEVICE_CONFIGURATION;
    }
    return TDISP_OK;
}

/* Keys are live, and the stream is enabled: enabling it later would already break the lock. */
static bool stream_is_keyed(void *opaque, const Tdi *tdi, uint8_t stream_id, uint32_t session_id)
{
    Dsm     *dsm = opaque;
    unsigned sel;
    bool     ok = find_sel(dsm, stream_id, &sel) && ide_default(&dsm->ide, sel) &&
              ide_state(&dsm->ide, sel) == IDE_SECURE &&
              ide_km_stream_session(&dsm->km, DSM_PORT, stream_id) == session_id;

    if (!ok) {
        LOG(TDISP,
            "%s: not locked: IDE stream %u is not the function's default stream, or not Secure with keys of "
            "this session",
            function_of(dsm, tdi)->pd->dev.id, stream_id);
    }
    return ok;
}

/* A part of a BAR as the report shows it. The reporting offset may be negative: it wraps. */
static TdispRange reported(const TdiFunction *f, const TdiRange *range)
{
    uint64_t base = pci_bar_address(f->pd, range->bar) + range->first + f->tdi->mmio_offset;
    uint64_t end = range->end != 0 ? range->end : f->pd->bars[range->bar].size;

    return (TdispRange){ base >> 12, (uint32_t)((end - range->first) >> 12), range->attributes, range->bar };
}

/* TDISP "DEVICE_INTERFACE_REPORT": what the owner may rely on, from the BARs as they are. Attributes are those from
 * when it was locked. */
static void report(void *opaque, const Tdi *tdi, TdispReport *r)
{
    const TdiFunction *f = function_of(opaque, tdi);
    const PciDevice   *pd = f->pd;
    const TdiRange     msix = { pd->msix.table_bar, 0, 0, TDISP_RANGE_MSIX_TABLE | TDISP_RANGE_MSIX_PBA };

    r->interface_info = TDISP_INFO_DMA_WITHOUT_PASID;
    r->interface_info |= tdi->lock_flags & TDISP_LOCK_NO_FW_UPDATE ? TDISP_INFO_NO_FW_UPDATE : 0;
    for (unsigned bar = 0; bar < PCI_N_BARS; bar++) {
        if (bar == msix.bar && tdi_msix_is_locked(f)) {
            r->msix_control = (uint16_t)pci_get(pd, pd->msix.cap + 2u, 2);
            r->ranges[r->n_ranges++] = reported(f, &msix);
        }
        for (unsigned i = 0; i < f->model->n_ranges; i++) {
            if (f->model->ranges[i].bar == bar) {
                r->ranges[r->n_ranges++] = reported(f, &f->model->ranges[i]);
            }
        }
    }
    r->info_len = (uint32_t)strlen(f->model->info);
    memcpy(r->info, f->model->info, r->info_len);
}

/* TDISP "SET_MMIO_ATTRIBUTE_REQUEST": a range as it was reported, and no part of one. */
static bool set_mmio_attribute(void *opaque, const Tdi *tdi, const TdispRange *wanted)
{
    TdiFunction *f = function_of(opaque, tdi);

    for (unsigned i = 0; i < f->model->n_ranges; i++) {
        TdispRange r = reported(f, &f->model->ranges[i]);

        if (r.first_page == wanted->first_page && r.n_pages == wanted->n_pages && r.id == wanted->id) {
            if (r.attributes & TDISP_RANGE_UPDATABLE) {
                f->non_tee = (unsigned)deposit64(f->non_tee, i, 1, (wanted->attributes & TDISP_RANGE_NON_TEE) != 0);
            }
            return (r.attributes & TDISP_RANGE_UPDATABLE) != 0;
        }
    }
    return false;
}

/* ---- peer-to-peer streams ---- */

/* TDISP "BIND_P2P_STREAM_REQUEST". The stream is enabled, too: enabling it later would break the lock. Nothing here
 * has an address translation cache, so all requests go on using the default stream, as untranslated ones must. */
static bool bind_p2p(void *opaque, const Tdi *tdi, uint8_t stream_id, uint32_t session_id)
{
    Dsm     *dsm = opaque;
    unsigned sel;

    if (!find_sel(dsm, stream_id, &sel) || ide_default(&dsm->ide, sel) || ide_state(&dsm->ide, sel) != IDE_SECURE ||
        ide_km_stream_session(&dsm->km, DSM_PORT, stream_id) != session_id) {
        return false;
    }
    for (unsigned s = 0; s < DSM_N_STREAMS; s++) {
        if (s != sel && (ide_stream_id(&dsm->ide, s) == stream_id || ide_overlap(&dsm->ide, s, sel))) {
            return false;
        }
    }
    function_of(dsm, tdi)->bound |= 1u << sel;
    return true;
}

static void unbind_p2p(void *opaque, const Tdi *tdi, uint8_t stream_id)
{
    Dsm     *dsm = opaque;
    unsigned sel;

    if (find_sel(dsm, stream_id, &sel)) {
        function_of(dsm, tdi)->bound &= ~(1u << sel);
    }
}

/* Ranges are what the model says whenever nobody holds the function. */
static unsigned first_non_tee(const TdiModel *model)
{
    unsigned bits = 0;

    for (unsigned i = 0; i < model->n_ranges; i++) {
        bits |= (model->ranges[i].attributes & TDISP_RANGE_NON_TEE ? 1u : 0) << i;
    }
    return bits;
}

/* For traces and whoever waits for it. */
static void tell_state(const TdiFunction *f, TdiState from)
{
    const char        *id = f->pd->dev.id, *to = tdi_state_name(f->tdi->state);
    g_autofree char   *text = g_strdup_printf("%s: %s to %s", id, tdi_state_name(from), to);

    LOG(TDISP, "%s", text);
    event_tell(&(Event){ .kind = EVENT_TDISP, .name = to, .from = tdi_state_name(from), .who = id, .text = text });
}

/* The T bit follows the state. Whoever takes the function over finds no data and settings of the other. */
static void state_changed(void *opaque, const Tdi *tdi, TdiState from)
{
    Dsm         *dsm = opaque;
    TdiFunction *f = function_of(dsm, tdi);
    DmaPort     *port = &f->pd->dma;

    if (log_on(LOG_TDISP) || event_on(EVENT_TDISP)) {
        tell_state(f, from);
    }
    port->trusted = tdi->state == TDI_RUN;
    port->msi_trusted = port->trusted && (tdi->lock_flags & TDISP_LOCK_MSIX) != 0;
    if (tdi->state == TDI_CONFIG_LOCKED) {
        unsigned sel;

        f->bound = find_sel(dsm, tdi->stream_id, &sel) ? 1u << sel : 0;
        f->msix = (tdi->lock_flags & TDISP_LOCK_MSIX) != 0;
    } else if (!tdi_is_held(f)) {
        f->bound = 0;
        f->non_tee = first_non_tee(f->model);
    }
    if (tdi->state == TDI_CONFIG_LOCKED || tdi->state == TDI_CONFIG_UNLOCKED) {
        f->model->scrub(f->pd);
    }
    if (tdi->state == TDI_CONFIG_UNLOCKED && f->msix) { /* its owner's interrupts; what was open is the host's */
        pci_msix_reset(f->pd);
    }
}

static const TdispOps tdisp_ops = {
    may_lock, stream_is_keyed, report, state_changed, bind_p2p, unbind_p2p, set_mmio_attribute,
};

/* ---- SPDM ---- */

static SpdmVendorResult vendor(void *opaque, uint32_t session_id, uint8_t protocol, const uint8_t *req,
                               size_t len, ByteWriter *rsp)
{
    Dsm *dsm = opaque;

    switch (protocol) {
    case SPDM_PCI_PROTOCOL_IDE_KM:
        LOG(IDE, "%s: IDE_KM message %u in session 0x%x", name(dsm), len != 0 ? req[0] : 0, session_id);
        return ide_km_handle(&dsm->km, session_id, req, len, rsp);
    case SPDM_PCI_PROTOCOL_TDISP:
        LOG(TDISP, "%s: message 0x%02x in session 0x%x", name(dsm), len > 1 ? req[1] : 0, session_id);
        for (unsigned i = 0; i < dsm->n_functions; i++) { /* a message names its function as it is called now */
            dsm_check_requester(&dsm->functions[i]);
        }
        return tdisp_handle(&dsm->tdisp, session_id, req, len, rsp);
    default:
        return SPDM_VENDOR_UNSUPPORTED;
    }
}

static void session_changed(void *opaque, uint32_t session_id, bool established)
{
    Dsm *dsm = opaque;

    LOG(SPDM, "%s: session 0x%x %s", name(dsm), session_id, established ? "established" : "ended");
    if (!established) {
        tdisp_session_ended(&dsm->tdisp, session_id);
        ide_km_session_ended(&dsm->km, session_id);
    }
}

static void requester_authenticated(void *opaque)
{
    Dsm *dsm = opaque;

    LOG(SPDM, "%s: the requester has answered the CHALLENGE that it got back", name(dsm));
}

static void answered(void *opaque, uint32_t session_id, const uint8_t *req, size_t req_len, const uint8_t *rsp,
                     size_t rsp_len)
{
    if (event_on(EVENT_MESSAGE)) {
        message_tell(name(opaque), session_id, req, req_len, rsp, rsp_len);
    }
}

static void session_secret(void *opaque, uint32_t session_id, bool psk, const uint8_t *secret, size_t len)
{
    Dsm *dsm = opaque;

    capture_secret(&dsm->capture, session_id, psk ? "PSK" : "DHE_SECRET", secret, len);
}

static int64_t device_time(void *opaque)
{
    return clock_now(((Dsm *)opaque)->pd->dev.clock);
}

static void watch_heartbeat(void *opaque)
{
    Dsm *dsm = opaque;

    timer_set(&dsm->heartbeat, spdm_responder_expire(&dsm->responder, device_time(dsm)));
}

size_t dsm_message(Dsm *dsm, SpdmTransport transport, bool secured, const uint8_t *req, size_t req_len, uint8_t *rsp,
                   size_t rsp_cap)
{
    bool   secured_out;
    size_t n;

    if (dsm->brain != NULL) {
        n = brain_exchange(dsm->brain, secured, req, req_len, rsp, rsp_cap);
        n = tamper_answer(&dsm->faults, name(dsm), secured, rsp, n);
        LOG(SPDM, "%s: %s of %zu bytes, answered with %zu by %s", name(dsm), secured ? "record" : "message", req_len, n,
            dsm->spdm_where);
        return n;
    }
    dsm->responder.config.transport = transport;
    n = spdm_responder_handle(&dsm->responder, secured, req, req_len, rsp, rsp_cap, &secured_out);
    n = tamper_answer(&dsm->faults, name(dsm), secured_out, rsp, n);
    if (tamper_measures_otherwise(&dsm->faults)) {
        measure_firmware_changed(dsm);
    }
    watch_heartbeat(dsm);
    LOG(SPDM, "%s: %s of %zu bytes, code 0x%02x, answered with %zu", name(dsm),
        secured ? "record" : "message", req_len, !secured && req_len > 1 ? req[1] : 0, n);
    return secured_out == secured ? n : 0; /* the answer is of the request's type */
}

static size_t object(void *opaque, const DoeProtocol *proto, const uint8_t *req, size_t req_len,
                     uint8_t *rsp, size_t rsp_cap)
{
    return dsm_message(opaque, SPDM_OVER_DOE, proto->type == DOE_TYPE_SECURED_SPDM, req, req_len, rsp, rsp_cap);
}

static void object_passed(void *opaque, const uint8_t *data, size_t len)
{
    Dsm *dsm = opaque;

    capture_object(&dsm->capture, device_time(dsm), data, len);
}

/* ---- SPDM, what of it there is ---- */

/* "1.2": the version as the wire has it, 0 when it is not one of ours. */
static uint8_t parse_version(const char *text, size_t len)
{
    static const struct {
        const char *name;
        uint8_t     version;
    } known[] = { { "1.1", SPDM_VERSION_11 }, { "1.2", SPDM_VERSION_12 }, { "1.3", SPDM_VERSION_13 },
                { "1.4", SPDM_VERSION_14 } };

    for (unsigned i = 0; i < ARRAY_LEN(known); i++) {
        if (len == strlen(known[i].name) && memcmp(text, known[i].name, len) == 0) {
            return known[i].version;
        }
    }
    return 0;
}

static bool parse_versions(Dsm *dsm, GError **error)
{
    SpdmResponderConfig *config = &dsm->spdm;
    const char          *text = dsm->spdm_version, *colon = strchr(text, ':');
    size_t               len = colon != NULL ? (size_t)(colon - text) : strlen(text);

    config->version_min = parse_version(text, len);
    config->version_max = colon != NULL ? parse_version(colon + 1, strlen(colon + 1)) : config->version_min;
    if (config->version_min != 0 && config->version_max >= config->version_min) {
        return true;
    }
    g_set_error(error, BAILEY_ERROR, 0, "spdm-version=%s of device %s: give 1.1, 1.2, 1.3 or 1.4, or the lowest and "
                "the highest as in 1.2:1.3", text, class_name(dsm));
    return false;
}

static bool parse_heartbeat(Dsm *dsm, GError **error)
{
    SpdmResponderConfig *config = &dsm->spdm;
    uint64_t             seconds = dsm->heartbeat_s;

    if (seconds > UINT8_MAX) {
        g_set_error(error, BAILEY_ERROR, 0, "spdm-heartbeat=%" PRIu64 " of device %s: a period has at most 255 seconds",
                    seconds, class_name(dsm));
        return false;
    }
    config->heartbeat_s = (uint8_t)seconds;
    config->capabilities |= seconds != 0 ? (uint32_t)SPDM_CAP_HBEAT : 0;
    return true;
}

/* spdm-algs=; without it, all there are. */
static bool parse_algorithms(Dsm *dsm, GError **error)
{
    char why[SPDM_WHY_MAX];

    if (dsm->spdm_algs == NULL) {
        dsm->spdm.algorithms = spdm_algorithms_known();
        return true;
    }
    if (spdm_algorithms_parse(dsm->spdm_algs, &dsm->spdm.algorithms, why)) {
        return true;
    }
    g_set_error(error, BAILEY_ERROR, 0, "spdm-algs=%s of device %s: %s", dsm->spdm_algs, class_name(dsm), why);
    return false;
}

static bool count_mailboxes(const Dsm *dsm, GError **error)
{
    bool ok = dsm->n_mailboxes >= 1 && dsm->n_mailboxes <= DSM_MAX_MAILBOXES;

    if (!ok) {
        g_set_error(error, BAILEY_ERROR, 0, "doe-mailboxes=%" PRIu64 " of device %s: give a number from 1 to %u",
                    dsm->n_mailboxes, class_name(dsm), DSM_MAX_MAILBOXES);
    }
    return ok;
}

static bool parse_transfer_size(Dsm *dsm, GError **error)
{
    if (dsm->transfer_size < SPDM_DATA_TRANSFER_MIN || dsm->transfer_size > SPDM_MSG_MAX) {
        g_set_error(error, BAILEY_ERROR, 0, "spdm-transfer-size=%" PRIu64 " of device %s: a buffer has %d to %d bytes",
                    dsm->transfer_size, class_name(dsm), SPDM_DATA_TRANSFER_MIN, SPDM_MSG_MAX);
        return false;
    }
    dsm->spdm.transfer_size = (uint32_t)dsm->transfer_size;
    return true;
}

static bool parse_caps(Dsm *dsm, GError **error)
{
    const char *why = dsm->spdm_caps != NULL ? spdm_caps_change(dsm->spdm_caps, &dsm->spdm.capabilities) : NULL;

    if (why != NULL) {
        g_set_error(error, BAILEY_ERROR, 0, "spdm-caps=%s of device %s: %s; for instance +chunk-chal, of these: %s",
                    dsm->spdm_caps, class_name(dsm), why, spdm_caps_names());
    }
    return why == NULL;
}

/* ---- identity ---- */

static bool read_file(const Dsm *dsm, const char *prop, const char *path, char **text, GError **error)
{
    GError *e = NULL;

    if (file_read(path, PEM_MAX_SIZE, text, NULL, &e)) {
        return true;
    }
    g_set_error(error, BAILEY_ERROR, 0, "cannot read %s=%s of device %s: %s", prop, path, class_name(dsm), e->message);
    g_error_free(e);
    return false;
}

/* spdm-psk=; without it, the TEST key. */
static bool load_psk(Dsm *dsm, GError **error)
{
    char       *text = NULL;
    const char *why;

    if (dsm->spdm_psk == NULL) {
        why = spdm_psk_read(spdm_psk_test(), &dsm->spdm.psk);
        g_assert(why == NULL);
        return true;
    }
    if (!(dsm->spdm.capabilities & SPDM_CAP_PSK)) {
        g_set_error(error, BAILEY_ERROR, 0, "device %s has spdm-psk= and no use for it: add spdm-caps=+psk or "
                    "+psk_with_context", class_name(dsm));
        return false;
    }
    if (!read_file(dsm, "spdm-psk", dsm->spdm_psk, &text, error)) {
        return false;
    }
    why = spdm_psk_read(text, &dsm->spdm.psk);
    g_free(text);
    if (why != NULL) {
        g_set_error(error, BAILEY_ERROR, 0, "cannot use spdm-psk=%s of device %s: %s", dsm->spdm_psk, class_name(dsm),
                    why);
    }
    return why == NULL;
}

/* SpdmResponderConfig.requester_key. The device has no clock that could say whether a certificate is out of date. */
static bool requester_key(void *opaque, const uint8_t *certs, size_t len, SpdmPublicKey *key)
{
    Dsm *dsm = opaque;

    if (dsm->requester_root_len != 0) {
        return spdm_chain_check(certs, len, dsm->requester_root, dsm->requester_root_len, SPDM_CHAIN_OF_REQUESTER,
                                -1, key) == NULL;
    }
    for (size_t i = 0; i < dsm->spdm.n_identities; i++) {
        const SpdmIdentity *id = &dsm->identities[i];

        if (spdm_chain_check(certs, len, spdm_identity_certs(id), id->root_len, SPDM_CHAIN_OF_REQUESTER, -1, key) ==
            NULL) {
            return true;
        }
    }
    return false;
}

/* spdm-mut-auth=, spdm-basic-mut-auth= and spdm-requester-root=. */
static bool load_mutual(Dsm *dsm, GError **error)
{
    char *text = NULL;

    dsm->spdm.mutual_basic = dsm->basic_mut_auth;
    dsm->spdm.key_update_records = dsm->key_update_records;
    dsm->spdm.mutual_digests = strcmp(dsm->spdm_mut_auth, "digests") == 0;
    if (!dsm->spdm.mutual_digests && strcmp(dsm->spdm_mut_auth, "encap") != 0) {
        g_set_error(error, BAILEY_ERROR, 0, "spdm-mut-auth=%s of device %s is not known; use encap or digests",
                    dsm->spdm_mut_auth, class_name(dsm));
        return false;
    }
    if (dsm->requester_root_file == NULL) {
        return true;
    }
    if (!read_file(dsm, "spdm-requester-root", dsm->requester_root_file, &text, error)) {
        return false;
    }
    dsm->requester_root_len = spdm_certificate_load(text, dsm->requester_root, sizeof(dsm->requester_root));
    g_free(text);
    if (dsm->requester_root_len == 0) {
        g_set_error(error, BAILEY_ERROR, 0, "spdm-requester-root=%s of device %s holds no certificate in PEM",
                    dsm->requester_root_file, class_name(dsm));
    }
    return dsm->requester_root_len != 0;
}

static bool has_alias(const Dsm *dsm) { return (dsm->spdm.capabilities & SPDM_CAP_ALIAS_CERT) != 0; }

static bool check_properties(Dsm *dsm, GError **error)
{
    if (!tamper_parse(&dsm->faults, class_name(dsm), dsm->tamper, error)) {
        return false;
    }
    dsm->spdm.not_ready = tamper_not_ready(&dsm->faults);
    dsm->spdm.wrong_signature = dsm->faults.on[TAMPER_WRONG_SIGNATURE];
    if ((dsm->cert_chain == NULL) != (dsm->key == NULL)) {
        g_set_error(error, BAILEY_ERROR, 0, "device %s has %s; give both, or none for the test keys", class_name(dsm),
                    dsm->key == NULL ? "cert-chain= without key=" : "key= without cert-chain=");
        return false;
    }
    if (tamper_pki(&dsm->faults) != SPDM_TEST_DEVICE && dsm->key != NULL) {
        g_set_error(error, BAILEY_ERROR, 0, "tamper=%s of device %s brings its own certificates; leave out cert-chain= "
                    "and key=", dsm->tamper, class_name(dsm));
        return false;
    }
    if (tamper_pki(&dsm->faults) != SPDM_TEST_DEVICE && has_alias(dsm)) {
        g_set_error(error, BAILEY_ERROR, 0, "tamper=%s of device %s brings its own certificates; leave out alias_cert "
                    "of spdm-caps=", dsm->tamper, class_name(dsm));
        return false;
    }
    return true;
}

/* More room for certificates whose text is as long as more than the usual one takes. */
static void make_room(Dsm *dsm, uint8_t slot, const char *chain, SpdmIdentity *id)
{
    if (strlen(chain) > SPDM_CERTS_MAX) {
        dsm->long_chain[slot] = g_malloc(SPDM_CERTS_LARGE_MAX);
        id->room = (SpdmRoom){ dsm->long_chain[slot], SPDM_CERTS_LARGE_MAX };
    }
    if (dsm->long_chain[slot] != NULL && dsm->long_talk == NULL) {
        dsm->long_talk = g_malloc(SPDM_B_LARGE_MAX);
        dsm->spdm.b_room = (SpdmRoom){ dsm->long_talk, SPDM_B_LARGE_MAX };
    }
}

/* Chains that only 1.4's LARGE_RESP_CAP can show. */
static const char *check_length(const Dsm *dsm, const SpdmIdentity *id)
{
    return id->certs_len > SPDM_CERTS_SHORT_MAX && !(dsm->spdm.capabilities & SPDM_CAP_LARGE_RESP)
               ? "chains of 64 KiB and more take spdm-version= up to 1.4 and spdm-caps=+large_resp"
               : NULL;
}

/* The user's certificates and key. */
static bool load_files(Dsm *dsm, GError **error)
{
    SpdmIdentity *id = &dsm->identities[0];
    Entropy      *entropy = &dsm->pd->dev.entropy;
    char         *chain = NULL, *key = NULL;
    const char   *why = NULL;
    bool          ok = read_file(dsm, "cert-chain", dsm->cert_chain, &chain, error) &&
              read_file(dsm, "key", dsm->key, &key, error);

    if (ok) {
        make_room(dsm, 0, chain, id);
    }
    if (ok && spdm_identity_load(&(SpdmPem){ chain, key }, entropy, id, &why)) {
        why = spdm_identity_check(id, entropy);
        why = why == NULL ? check_length(dsm, id) : why;
    }
    if (why != NULL) {
        g_set_error(error, BAILEY_ERROR, 0,
                    "cannot use cert-chain=%s and key=%s of device %s: %s; give PEM "
                    "certificates root first, and the last one's key",
                    dsm->cert_chain, dsm->key, class_name(dsm), why);
        ok = false;
    }
    dsm->spdm.n_identities = 1;
    g_free(chain);
    g_free(key);
    return ok;
}

/* The test PKI's for each kind of key that an algorithm may ask for. Tests have checked them. */
static void load_test_identities(Dsm *dsm, SpdmTestPki pki)
{
    const char *why;
    size_t      n = 0;

    for (unsigned kind = 0; kind < SPDM_N_KEY_KINDS; kind++) {
        const SpdmPem *pem = spdm_test_pem_of(class_name(dsm), pki, (SpdmKeyKind)kind);

        if (pem != NULL && (spdm_asyms_of((SpdmKeyKind)kind) & dsm->spdm.algorithms.asym) != 0 &&
            spdm_identity_load(pem, &dsm->pd->dev.entropy, &dsm->identities[n], &why)) {
            n++;
        }
    }
    dsm->spdm.n_identities = n;
}

/* What is in a slot, with the key of its own that it may have. */
static const char *load_slot(Dsm *dsm, uint8_t slot, const char *chain, const char *key, SpdmIdentity *id)
{
    Entropy    *entropy = &dsm->pd->dev.entropy;
    const char *why = NULL;

    make_room(dsm, slot, chain, id);
    if (key == NULL) {
        why = spdm_slot_load(chain, slot, dsm->identities, dsm->spdm.n_identities, entropy, id);
    } else if (spdm_identity_load(&(SpdmPem){ chain, key }, entropy, id, &why)) {
        id->slot = slot;
        why = spdm_identity_check(id, entropy);
    }
    return why == NULL ? check_length(dsm, id) : why;
}

static bool check_slot(const Dsm *dsm, uint8_t slot, GError **error)
{
    if (dsm->slot_key[slot] != NULL && dsm->slot_chain[slot] == NULL) {
        g_set_error(error, BAILEY_ERROR, 0, "device %s has key-%u= without cert-chain-%u=; give both", class_name(dsm),
                    slot, slot);
        return false;
    }
    if (dsm->slot_key[slot] != NULL && !(dsm->spdm.capabilities & SPDM_CAP_MULTI_KEY)) {
        g_set_error(error, BAILEY_ERROR, 0, "device %s has key-%u= and no use for it: add spdm-caps=+get_key_pair_info"
                    "+multi_key", class_name(dsm), slot);
        return false;
    }
    return true;
}

/* cert-chain-1 to -7: the same keys' certificates in other slots, or those of key-1 to -7. */
static bool load_slots(Dsm *dsm, GError **error)
{
    SpdmResponderConfig *config = &dsm->spdm;

    for (uint8_t slot = 1; slot < SPDM_SLOTS; slot++) {
        const char *path = dsm->slot_chain[slot], *why = NULL;
        char        prop[] = "cert-chain-N", key_prop[] = "key-N", *text = NULL, *key = NULL;
        bool        ok = check_slot(dsm, slot, error);

        if (!ok || path == NULL) {
            if (!ok) {
                return false;
            }
            continue;
        }
        prop[sizeof(prop) - 2] = key_prop[sizeof(key_prop) - 2] = (char)('0' + slot);
        ok = read_file(dsm, prop, path, &text, error) &&
             (dsm->slot_key[slot] == NULL || read_file(dsm, key_prop, dsm->slot_key[slot], &key, error));
        why = ok ? load_slot(dsm, slot, text, key, &dsm->identities[config->n_identities]) : NULL;
        g_free(text);
        g_free(key);
        if (why != NULL) {
            g_set_error(error, BAILEY_ERROR, 0, "cannot use %s=%s of device %s: %s; give PEM certificates root first, "
                        "the last one for the device's key or that of key-%u=", prop, path, class_name(dsm), why, slot);
        }
        if (!ok || why != NULL) {
            return false;
        }
        config->n_identities++;
    }
    return true;
}

/* The identity whose key a slot's certificates are for. */
static SpdmIdentity *with_key(Dsm *dsm, SpdmKeyKind kind)
{
    for (size_t i = 0; i < dsm->spdm.n_identities; i++) {
        if (dsm->identities[i].key.kind == kind && dsm->identities[i].key.len != 0) {
            return &dsm->identities[i];
        }
    }
    return NULL;
}

/* With alias_cert: each slot ends with the certificate of the key that the device makes of its own and its firmware. */
static bool make_aliases(Dsm *dsm, GError **error)
{
    Entropy        *entropy = &dsm->pd->dev.entropy;
    SpdmMeasurement firmware;
    SpdmPrivateKey  alias;
    const char     *why = NULL;

    /* Slot 0 last: its key is the device's until then. */
    for (size_t i = dsm->spdm.n_identities; has_alias(dsm) && why == NULL && i-- != 0;) {
        SpdmIdentity *id = &dsm->identities[i], *device = id->key.len != 0 ? id : with_key(dsm, id->key.kind);
        SpdmSpan      runs;

        measure_firmware(dsm, &firmware);
        runs = (SpdmSpan){ firmware.value, firmware.len };
        why = device != NULL && spdm_alias_key(&device->key, runs, entropy, &alias)
                  ? spdm_alias_append(id, &device->key, &alias, entropy)
                  : "an alias needs an EC key: of P-256, P-384 or P-521";
        if (why == NULL && device == id) {
            id->ca = id->key;
            id->key = alias;
        }
    }
    spdm_wipe(&alias, sizeof(alias));
    if (why != NULL) {
        g_set_error(error, BAILEY_ERROR, 0, "device %s cannot have alias_cert of spdm-caps=: %s", class_name(dsm), why);
    }
    return why == NULL;
}

static bool load_identities(Dsm *dsm, GError **error)
{
    uint32_t asyms = 0;

    if (!check_properties(dsm, error) || (dsm->key != NULL && !load_files(dsm, error))) {
        return false;
    }
    if (dsm->key == NULL) {
        load_test_identities(dsm, has_alias(dsm) ? SPDM_TEST_DEVICE_CA : tamper_pki(&dsm->faults));
    }
    dsm->spdm.identities = dsm->provisions.identities = dsm->identities;
    dsm->spdm.provisions = &dsm->provisions;
    if (!load_slots(dsm, error)) {
        return false;
    }
    for (size_t i = 0; i < dsm->spdm.n_identities; i++) {
        asyms |= spdm_asyms_of(dsm->identities[i].key.kind);
    }
    if (asyms != 0 && (asyms & spdm_algorithms_known().asym) == 0) {
        g_set_error(error, BAILEY_ERROR, 0, "cannot use key=%s of device %s, which is of kind %s: SPDM's signatures "
                    "with it take a later libcrypto, 3.2", dsm->key, class_name(dsm),
                    spdm_key_type(dsm->identities[0].key.kind)->name);
        return false;
    }
    if ((asyms & dsm->spdm.algorithms.asym) == 0) {
        g_set_error(error, BAILEY_ERROR, 0,
                    "spdm-algs=%s of device %s names no signature algorithm for its key, which is of kind %s",
                    dsm->spdm_algs, class_name(dsm),
                    spdm_key_type(dsm->key != NULL ? dsm->identities[0].key.kind : SPDM_KEY_P384)->name);
        return false;
    }
    return true;
}

/* ---- life ---- */

/* spdm=: an external responder, when one is named. */
static bool find_brain(Dsm *dsm, GError **error)
{
    if (dsm->spdm_where != NULL) {
        dsm->brain = brain_new(dsm->spdm_where, class_name(dsm), BRAIN_PATIENCE_MS, error);
    }
    return dsm->spdm_where == NULL || dsm->brain != NULL;
}

bool dsm_configure(Dsm *dsm, PciDevice *pd, GError **error)
{
    dsm->pd = pd;
    dsm->spdm = (SpdmResponderConfig){
        .capabilities = SPDM_RESPONDER_CAPS,
        .entropy = &pd->dev.entropy,
        .opaque = dsm,
        .measurement = measure_get,
        .log_entry = log_get,
        .vendor = vendor,
        .now_ns = device_time,
        .session_changed = session_changed,
        .answered = answered,
        .session_secret = session_secret,
        .requester_key = requester_key,
        .requester_authenticated = requester_authenticated,
    };
    if (root_port_of(pd) == NULL) {
        g_set_error(error, BAILEY_ERROR, 0,
                    "device %s needs a link to protect: put it below a pcie-root-port, with the "
                    "port's id as bus=",
                    pd->dev.id);
        return false;
    }
    if (pd->devfn != 0) { /* one manager for a link, whose end's streams are function 0's */
        g_set_error(error, BAILEY_ERROR, 0, "device %s cannot be function %u: the security manager of a link is in "
                    "function 0; leave addr= out, or give it a pcie-root-port of its own", pd->dev.id, pd->devfn & 7u);
        return false;
    }
    if (parse_algorithms(dsm, error) && parse_caps(dsm, error) && load_identities(dsm, error) &&
        make_aliases(dsm, error) && parse_versions(dsm, error) && parse_heartbeat(dsm, error) &&
        parse_transfer_size(dsm, error) && count_mailboxes(dsm, error) && load_psk(dsm, error) &&
        load_mutual(dsm, error) && ide_fault_configure(dsm, error) && find_brain(dsm, error) &&
        capture_open(&dsm->capture, class_name(dsm), dsm->spdm_pcap, dsm->spdm_keylog, error)) {
        return true;
    }
    dsm_unconfigure(dsm);
    return false;
}

bool dsm_absent(const Dsm *dsm, const PciDevice *pd, GError **error)
{
    const struct {
        const char *name, *text;
    } given[] = {
        { "tamper", dsm->tamper }, { "ide-fault", dsm->ide_fault.text }, { "cert-chain", dsm->cert_chain },
        { "key", dsm->key }, { "spdm", dsm->spdm_where }, { "spdm-pcap", dsm->spdm_pcap },
        { "spdm-keylog", dsm->spdm_keylog }, { "spdm-algs", dsm->spdm_algs }, { "spdm-caps", dsm->spdm_caps },
    };

    for (unsigned i = 0; i < ARRAY_LEN(given); i++) {
        if (given[i].text != NULL) {
            g_set_error(error, BAILEY_ERROR, 0, "%s=%s of device %s needs a security manager: add tdisp=on",
                        given[i].name, given[i].text, pd->dev.cls->name);
            return false;
        }
    }
    return true;
}

void dsm_unconfigure(Dsm *dsm)
{
    brain_free(dsm->brain);
    dsm->brain = NULL;
    capture_close(&dsm->capture);
    for (unsigned slot = 0; slot < SPDM_SLOTS; slot++) {
        g_clear_pointer(&dsm->long_chain[slot], g_free);
    }
    g_clear_pointer(&dsm->long_talk, g_free);
    spdm_wipe(dsm->identities, sizeof(dsm->identities));
    spdm_wipe(&dsm->spdm.psk, sizeof(dsm->spdm.psk));
}

/* "Component Measurement and Authentication (CMA-SPDM)": the two data objects. */
const DoeProtocol dsm_protocols[DSM_N_PROTOCOLS] = {
    { DOE_VENDOR_PCISIG, DOE_TYPE_SPDM, "CMA/SPDM", object },
    { DOE_VENDOR_PCISIG, DOE_TYPE_SECURED_SPDM, "Secured CMA/SPDM", object },
};

static size_t echo(void *opaque, const DoeProtocol *proto, const uint8_t *req, size_t req_len, uint8_t *rsp,
                   size_t rsp_cap)
{
    memcpy(rsp, req, req_len);
    return req_len;
}

/* Of the mailboxes that are not for SPDM. The vendor is that of the virtio cards; the type is ours. */
static const DoeProtocol other_protocol = { 0x1af4, 0xe0, "echo", echo };

static void add_function(Dsm *dsm, PciDevice *pd, const TdiModel *model, unsigned window_cap)
{
    TdiFunction *f = &dsm->functions[dsm->n_functions];

    g_assert(dsm->n_functions < DSM_MAX_FUNCTIONS && pd->msix.table_bar == pd->msix.pba_bar);
    *f = (TdiFunction){ .pd = pd, .dsm = dsm, .model = model, .tdi = &dsm->tdis[dsm->n_functions++],
                        .non_tee = first_non_tee(model), .window_cap = window_cap };
    tdisp_tdi_init(f->tdi, pci_bdf(pd));
    guard_attach(f);
}

void dsm_realize(Dsm *dsm, const TdiModel *model, unsigned window_cap)
{
    static const IdeConfig ide = { .n_link = DSM_N_LINK, .n_sel = DSM_N_STREAMS, .n_addr = DSM_N_ADDR, .ide_km = true,
                                   .tee_limited = true, .cfg_requests = true };
    PciDevice             *pd = dsm->pd;

    dsm->tdisp = (TdispDsm){
        .ops = &tdisp_ops, .opaque = dsm, .entropy = &pd->dev.entropy,
        .lock_flags = LOCK_FLAGS | (dsm->p2p ? TDISP_LOCK_BIND_P2P : 0), .address_width = ADDRESS_WIDTH,
        .segment = (uint8_t)pci_host_config(pd->bus->host)->segment, .tdis = dsm->tdis,
    };
    pci_add_aer(pd);
    for (unsigned i = 0; i + 1 < dsm->n_mailboxes; i++) {
        doe_init(&dsm->other[i], pd, 2, &other_protocol, 1, PCI_MSIX_NONE, NULL);
    }
    doe_init(&dsm->doe, pd, 2, dsm_protocols, DSM_N_PROTOCOLS, pd->msix.n - DSM_N_VECTORS, dsm);
    doe_listen(&dsm->doe, object_passed);
    doe_slow_down(&dsm->doe, tamper_delay_ns(&dsm->faults));
    ide_init(&dsm->ide, pd, &ide, &ide_ops, dsm);
    root_port_set_endpoint_ide(pd, &dsm->ide);
    timer_init(&dsm->heartbeat, pd->dev.clock, watch_heartbeat, dsm);
    ide_fault_init(dsm);
    ide_km_init(&dsm->km, &key_sink, dsm);
    dsm->spdm.ids = (SpdmPciIds){ (uint16_t)pci_get(pd, PCI_VENDOR_ID, 2), (uint16_t)pci_get(pd, PCI_DEVICE_ID, 2),
                                  (uint16_t)pci_get(pd, PCI_SUBSYSTEM_ID, 2) };
    spdm_responder_init(&dsm->responder, &dsm->spdm);
    add_function(dsm, pd, model, window_cap);
    dsm_vfs_changed(dsm, 0);
}

void dsm_add_vf(Dsm *dsm, PciDevice *vf, const TdiModel *model, unsigned window_cap)
{
    add_function(dsm, vf, model, window_cap);
}

void dsm_vfs_changed(void *opaque, unsigned n_there)
{
    Dsm *dsm = opaque;

    dsm->tdisp.n_tdis = 1 + n_there; /* a message about another one is answered INVALID_INTERFACE */
}

void dsm_unrealize(Dsm *dsm)
{
    root_port_set_endpoint_ide(dsm->pd, NULL);
    timer_deinit(&dsm->heartbeat);
    ide_fault_deinit(dsm);
    for (unsigned i = 0; i + 1 < dsm->n_mailboxes; i++) {
        doe_deinit(&dsm->other[i]);
    }
    doe_deinit(&dsm->doe);
    dsm_unconfigure(dsm);
}

bool dsm_inject(Dsm *dsm, const char *fault, GError **error)
{
    if (ide_fault_named(fault)) {
        return ide_fault_inject(dsm, fault, error);
    }
    if (!tamper_inject(&dsm->faults, class_name(dsm), fault, error)) {
        g_prefix_error(error, "no fault of the link (mac, key-expiry, link, link-mac), and ");
        return false;
    }
    dsm->responder.config.not_ready = tamper_not_ready(&dsm->faults);
    dsm->responder.config.wrong_signature = dsm->faults.on[TAMPER_WRONG_SIGNATURE];
    doe_slow_down(&dsm->doe, tamper_delay_ns(&dsm->faults));
    if (tamper_measures_otherwise(&dsm->faults)) {
        measure_firmware_changed(dsm);
    }
    return true;
}

Dsm *dsm_of(const PciDevice *pd)
{
    const TdiFunction *f = guard_function(pd);

    return f != NULL ? f->dsm : NULL;
}

const Tdi *dsm_tdi(const PciDevice *pd)
{
    const TdiFunction *f = guard_function(pd);

    return f != NULL ? f->tdi : NULL;
}

/* A locked interface remembers a reset as ERROR until its owner or the host stops it; power off forgets
 * everything. */
void dsm_reset(TdiFunction *f, PciResetKind kind)
{
    Dsm *dsm = f->dsm;

    dsm_violation_all(f, "the function was reset");
    if (f->pd != dsm->pd) {
        return;
    }
    /* Its sessions end, and with them keys and streams. */
    if (kind == PCI_RESET_FLR) {
        spdm_responder_reset(&dsm->responder);
    } else {
        spdm_responder_conventional_reset(&dsm->responder);
    }
    for (unsigned i = 0; kind == PCI_RESET_POWER && i < dsm->n_functions; i++) {
        tdisp_tdi_init(&dsm->tdis[i], pci_bdf(dsm->functions[i].pd));
    }
}
