/*
 * The device security manager: answers SPDM in the DOE mailbox, puts IDE_KM keys into the IDE capability, and
 * owns the TDISP state of the one interface. Source: PCI Express Base Specification 6.0, "CMA-SPDM",
 * "IDE_KM", "TDISP".
 */
#include <inttypes.h>
#include <string.h>

#include "bytes.h"
#include "hw/tdisp/nic_int.h"
#include "log.h"

enum { ADDRESS_WIDTH = 52, SEGMENT_SHIFT = 16, RID_MASK = 0xffff };

#define SEGMENT_VALID BIT(24) /* FUNCTION_ID */

static const char *const state_names[] = {
    [TDI_CONFIG_UNLOCKED] = "CONFIG_UNLOCKED",
    [TDI_CONFIG_LOCKED] = "CONFIG_LOCKED",
    [TDI_RUN] = "RUN",
    [TDI_ERROR] = "ERROR",
};

static const char *name(TdispNic *nic)
{
    return nic_pci(nic)->dev.id;
}

void dsm_violation(TdispNic *nic, const char *why)
{
    if (nic_is_held(nic)) {
        LOG(TDISP, "%s: broken lock: %s", name(nic), why);
        (void)tdisp_tdi_error(&nic->dsm, &nic->tdi);
    }
}

void dsm_check_requester(TdispNic *nic)
{
    uint16_t rid = pci_bdf(nic_pci(nic));

    if ((nic->tdi.function_id & RID_MASK) != rid) {
        dsm_violation(nic, "the requester ID changed");
        tdisp_tdi_rename(&nic->tdi, rid);
    }
}

/* ---- IDE_KM ---- */

static bool find_sel(TdispNic *nic, uint8_t stream_id, unsigned *sel)
{
    int s = ide_find_stream(&nic->ide, stream_id);

    *sel = (unsigned)s;
    return s >= 0;
}

static IdeDirection direction(const IdeKeySlot *slot)
{
    return slot->tx ? IDE_TX : IDE_RX;
}

static uint8_t max_port(void *opaque)
{
    return NIC_PORT;
}

static bool has_stream(void *opaque, uint8_t port, uint8_t stream_id)
{
    unsigned sel;

    return find_sel(opaque, stream_id, &sel);
}

static bool program(void *opaque, const IdeKeySlot *slot, const uint8_t key[IDE_KEY_LEN], uint64_t ifv)
{
    TdispNic *nic = opaque;
    uint8_t   iv[IDE_IV_LEN];
    unsigned  sel;

    le64_put(iv, ifv);
    return find_sel(nic, slot->stream_id, &sel) &&
           ide_key_prog(&nic->ide, sel, slot->key_set, direction(slot), slot->sub_stream, key, iv);
}

static void go(void *opaque, const IdeKeySlot *slot)
{
    TdispNic *nic = opaque;
    unsigned  sel;

    if (find_sel(nic, slot->stream_id, &sel)) {
        (void)ide_key_go(&nic->ide, sel, slot->key_set, direction(slot), slot->sub_stream);
    }
}

static void stop(void *opaque, const IdeKeySlot *slot)
{
    TdispNic *nic = opaque;
    unsigned  sel;

    if (find_sel(nic, slot->stream_id, &sel)) {
        (void)ide_key_stop(&nic->ide, sel, slot->key_set, direction(slot), slot->sub_stream);
    }
}

static void query(void *opaque, uint8_t port, uint8_t *dev_func, uint8_t *bus, uint8_t *segment,
                  ByteWriter *regs)
{
    TdispNic  *nic = opaque;
    PciDevice *pd = nic_pci(nic);
    unsigned   next = pci_get(pd, nic->ide.off + 2u, 2) >> 4;
    unsigned   end = next != 0 ? next : pd->next_ext_cap; /* where this capability ends */

    *dev_func = pd->devfn;
    *bus = pd->bus->number;
    *segment = (uint8_t)pci_host_config(pd->bus->host)->segment;
    for (unsigned off = nic->ide.off + 4u; off < end; off += 4) {
        bw_u32(regs, pci_get(pd, off, 4));
    }
}

/* Readiness is not listened to here: the IDE capability says when a stream is no longer Secure. */
static const IdeKeySink key_sink = { max_port, has_stream, program, go, stop, NULL, query };

/* ---- the IDE capability ---- */

static bool has_keys(const IdeCap *ide, unsigned sel)
{
    const IdeKey *k = &ide->sel[sel].keys[0][0][0];
    bool          any = false;

    for (unsigned i = 0; i < sizeof(ide->sel[sel].keys) / sizeof(*k); i++) {
        any |= k[i].programmed;
    }
    return any;
}

/* A stream that was disabled or renumbered, or that failed, lost its keys: IDE_KM must not believe they are
 * still there. */
static void drop_lost_keys(TdispNic *nic)
{
    for (unsigned i = 0; i < IDE_KM_STREAMS; i++) {
        unsigned sel;

        if (nic->km.streams[i].used &&
            (!find_sel(nic, nic->km.streams[i].id, &sel) || !has_keys(&nic->ide, sel))) {
            ide_km_stream_dropped(&nic->km, nic->km.streams[i].port, nic->km.streams[i].id);
        }
    }
}

static void stream_changed(void *opaque, IdeCap *ide, unsigned sel, IdeStreamState state)
{
    TdispNic *nic = opaque;

    if (state == IDE_INSECURE && sel == nic->bound_sel) {
        dsm_violation(nic, "its IDE stream is Insecure");
    }
    if (state == IDE_INSECURE) {
        drop_lost_keys(nic);
    }
}

static void stream_reconfigured(void *opaque, IdeCap *ide, unsigned sel)
{
    TdispNic *nic = opaque;

    if (sel == nic->bound_sel) {
        dsm_violation(nic, "its IDE stream was reconfigured");
    }
    drop_lost_keys(nic);
}

const IdeOps dsm_ide_ops = { stream_changed, stream_reconfigured };

/* ---- TDISP ---- */

static bool bars_overlap(TdispNic *nic)
{
    const PciBar *bars = nic_pci(nic)->bars;

    for (unsigned i = 0; i < PCI_N_BARS; i++) {
        for (unsigned j = i + 1; j < PCI_N_BARS; j++) {
            uint64_t differ = nic_bar_address(nic, i) ^ nic_bar_address(nic, j);

            /* BARs are aligned to their size: one lies in the other or they are apart. */
            if (bars[i].size != 0 && bars[j].size != 0 && differ < MAX(bars[i].size, bars[j].size)) {
                return true;
            }
        }
    }
    return false;
}

/* TDISP "LOCK_INTERFACE_REQUEST", INVALID_DEVICE_CONFIGURATION. */
static TdispError may_lock(void *opaque, const Tdi *tdi)
{
    TdispNic   *nic = opaque;
    const char *why = NULL;
    unsigned    sel, n_default = 0;

    for (unsigned s = 0; s < NIC_N_STREAMS; s++) {
        n_default += ide_enabled(&nic->ide, s) && ide_default(&nic->ide, s);
    }
    if (n_default > 1) {
        why = "two IDE streams are marked as default";
    } else if (find_sel(nic, tdi->stream_id, &sel) && ide_traffic_class(&nic->ide, sel) != 0) {
        why = "the default IDE stream is not of traffic class 0";
    } else if (bars_overlap(nic)) {
        why = "BARs overlap";
    }
    if (why != NULL) {
        LOG(TDISP, "%s: not locked: %s", name(nic), why);
        return TDISP_INVALID_DEVICE_CONFIGURATION;
    }
    return TDISP_OK;
}

/* Keys are live, and the stream is enabled: enabling it later would already break the lock. */
static bool stream_is_keyed(void *opaque, const Tdi *tdi, uint8_t stream_id, uint32_t session_id)
{
    TdispNic *nic = opaque;
    unsigned  sel;
    bool      ok = find_sel(nic, stream_id, &sel) && ide_default(&nic->ide, sel) &&
              ide_state(&nic->ide, sel) == IDE_SECURE &&
              ide_km_stream_session(&nic->km, NIC_PORT, stream_id) == session_id;

    if (!ok) {
        LOG(TDISP,
            "%s: not locked: IDE stream %u is not the function's default stream, or not Secure with keys of "
            "this session",
            name(nic), stream_id);
    }
    return ok;
}

static void add_range(TdispNic *nic, TdispReport *r, unsigned bar, uint64_t first, uint64_t end,
                      uint16_t attributes)
{
    /* The reporting offset may be negative: it wraps. */
    uint64_t base = nic_bar_address(nic, bar) + first + nic->tdi.mmio_offset;

    attributes |= guard_is_tee(nic, bar, first) ? 0 : TDISP_RANGE_NON_TEE;
    r->ranges[r->n_ranges++] =
        (TdispRange){base >> 12, (uint32_t)((end - first) >> 12), attributes, (uint16_t)bar};
}

/* TDISP "DEVICE_INTERFACE_REPORT": what the owner may rely on, from the BARs as they are. */
static void report(void *opaque, const Tdi *tdi, TdispReport *r)
{
    static const char info[] = "bailey tdisp-nic 1: virtio-net, DMA test engine in BAR 4";
    TdispNic         *nic = opaque;
    PciDevice        *pd = nic_pci(nic);

    r->interface_info = TDISP_INFO_DMA_WITHOUT_PASID;
    r->interface_info |= tdi->lock_flags & TDISP_LOCK_NO_FW_UPDATE ? TDISP_INFO_NO_FW_UPDATE : 0;
    add_range(nic, r, TDISP_NIC_BAR_VIRTIO, 0, pd->bars[TDISP_NIC_BAR_VIRTIO].size, 0);
    if (nic_msix_is_locked(nic)) {
        r->msix_control = (uint16_t)pci_get(pd, pd->msix.cap + 2u, 2);
        add_range(nic, r, TDISP_NIC_BAR_MSIX, 0, pd->bars[TDISP_NIC_BAR_MSIX].size,
                  TDISP_RANGE_MSIX_TABLE | TDISP_RANGE_MSIX_PBA);
    }
    add_range(nic, r, TDISP_NIC_BAR_ENGINE, 0, ENGINE_MIRROR, 0);
    add_range(nic, r, TDISP_NIC_BAR_ENGINE, ENGINE_MIRROR, NIC_ENGINE_SIZE, 0);
    r->info_len = sizeof(info) - 1;
    memcpy(r->info, info, r->info_len);
}

/* The T bit follows the state. Whoever takes the function over finds no data and settings of the other. */
static void state_changed(void *opaque, const Tdi *tdi, TdiState from)
{
    TdispNic *nic = opaque;
    DmaPort  *port = &nic_pci(nic)->dma;

    LOG(TDISP, "%s: %s to %s", name(nic), state_names[from], state_names[tdi->state]);
    port->trusted = tdi->state == TDI_RUN;
    port->msi_trusted = port->trusted && (tdi->lock_flags & TDISP_LOCK_MSIX) != 0;
    if (tdi->state == TDI_CONFIG_LOCKED) {
        (void)find_sel(nic, tdi->stream_id, &nic->bound_sel);
    } else if (!nic_is_held(nic)) {
        nic->bound_sel = NIC_NO_STREAM;
    }
    if (tdi->state == TDI_CONFIG_LOCKED || tdi->state == TDI_CONFIG_UNLOCKED) {
        nic_scrub(nic);
    }
}

static const TdispOps tdisp_ops = { may_lock, stream_is_keyed, report, state_changed };

/* ---- SPDM ---- */

/* FUNCTION_ID may name the segment or leave it out; both mean this function. */
static void take_function_id(TdispNic *nic, const uint8_t *req, size_t len)
{
    PciDevice *pd = nic_pci(nic);
    uint32_t   plain = pci_bdf(pd);
    uint32_t full =
        plain | pci_host_config(pd->bus->host)->segment << SEGMENT_SHIFT | (uint32_t)SEGMENT_VALID;
    bool       named = len >= 8 && le32_get(req + 4) == full;

    tdisp_tdi_rename(&nic->tdi, named ? full : plain);
}

static SpdmVendorResult vendor(void *opaque, uint32_t session_id, uint8_t protocol, const uint8_t *req,
                               size_t len, ByteWriter *rsp)
{
    TdispNic *nic = opaque;

    switch (protocol) {
    case SPDM_PCI_PROTOCOL_IDE_KM:
        LOG(IDE, "%s: IDE_KM message %u in session 0x%x", name(nic), len != 0 ? req[0] : 0, session_id);
        return ide_km_handle(&nic->km, session_id, req, len, rsp);
    case SPDM_PCI_PROTOCOL_TDISP:
        LOG(TDISP, "%s: message 0x%02x in session 0x%x", name(nic), len > 1 ? req[1] : 0, session_id);
        take_function_id(nic, req, len);
        return tdisp_handle(&nic->dsm, session_id, req, len, rsp);
    default:
        return SPDM_VENDOR_UNSUPPORTED;
    }
}

static void session_changed(void *opaque, uint32_t session_id, bool established)
{
    TdispNic *nic = opaque;

    LOG(SPDM, "%s: session 0x%x %s", name(nic), session_id, established ? "established" : "ended");
    if (!established) {
        tdisp_session_ended(&nic->dsm, session_id);
        ide_km_session_ended(&nic->km, session_id);
    }
}

static int64_t device_time(void *opaque)
{
    return clock_now(nic_pci(opaque)->dev.clock);
}

static void watch_heartbeat(void *opaque)
{
    TdispNic *nic = opaque;

    timer_set(&nic->heartbeat, spdm_responder_expire(&nic->responder, device_time(nic)));
}

size_t dsm_object(void *opaque, const DoeProtocol *proto, const uint8_t *req, size_t req_len, uint8_t *rsp,
                  size_t rsp_cap)
{
    TdispNic *nic = opaque;
    bool      secured = proto->type == DOE_TYPE_SECURED_SPDM, secured_out;
    size_t    n = spdm_responder_handle(&nic->responder, secured, req, req_len, rsp, rsp_cap, &secured_out);

    watch_heartbeat(nic);
    LOG(SPDM, "%s: %s of %zu bytes, code 0x%02x, answered with %zu", name(nic),
        secured ? "record" : "message", req_len, !secured && req_len > 1 ? req[1] : 0, n);
    return secured_out == secured ? n : 0; /* the mailbox answers in the request's type */
}

/* ---- SPDM, what of it there is ---- */

/* "1.2": the version as the wire has it, 0 when it is not one of ours. */
static uint8_t parse_version(const char *text, size_t len)
{
    static const struct {
        const char *name;
        uint8_t     version;
    } known[] = { { "1.1", SPDM_VERSION_11 }, { "1.2", SPDM_VERSION_12 }, { "1.3", SPDM_VERSION_13 } };

    for (unsigned i = 0; i < ARRAY_LEN(known); i++) {
        if (len == strlen(known[i].name) && memcmp(text, known[i].name, len) == 0) {
            return known[i].version;
        }
    }
    return 0;
}

static bool parse_versions(const char *text, SpdmResponderConfig *config, GError **error)
{
    const char *colon = strchr(text, ':');
    size_t      len = colon != NULL ? (size_t)(colon - text) : strlen(text);

    config->version_min = parse_version(text, len);
    config->version_max = colon != NULL ? parse_version(colon + 1, strlen(colon + 1)) : config->version_min;
    if (config->version_min != 0 && config->version_max >= config->version_min) {
        return true;
    }
    g_set_error(error, BAILEY_ERROR, 0, "spdm-version=%s of device tdisp-nic: give 1.1, 1.2 or 1.3, or the lowest and "
                "the highest as in 1.2:1.3", text);
    return false;
}

static bool parse_heartbeat(uint64_t seconds, SpdmResponderConfig *config, GError **error)
{
    if (seconds > UINT8_MAX) {
        g_set_error(error, BAILEY_ERROR, 0, "spdm-heartbeat=%" PRIu64 " of device tdisp-nic: a period has at most 255 "
                    "seconds", seconds);
        return false;
    }
    config->heartbeat_s = (uint8_t)seconds;
    config->capabilities |= seconds != 0 ? (uint32_t)SPDM_CAP_HBEAT : 0;
    return true;
}

/* ---- identity ---- */

static bool read_pem(const char *prop, const char *path, char **text, GError **error)
{
    GError *e = NULL;

    if (g_file_get_contents(path, text, NULL, &e)) {
        return true;
    }
    g_set_error(error, BAILEY_ERROR, 0, "cannot read %s=%s of device tdisp-nic: %s", prop, path, e->message);
    g_error_free(e);
    return false;
}

static bool check_properties(TdispNic *nic, bool *wrong_root, GError **error)
{
    *wrong_root = g_strcmp0(nic->tamper, "wrong-root") == 0;
    nic->wrong_measurement = g_strcmp0(nic->tamper, "wrong-measurement") == 0;
    if (nic->tamper != NULL && !*wrong_root && !nic->wrong_measurement) {
        g_set_error(error, BAILEY_ERROR, 0, "tamper=%s of device tdisp-nic is not known; use wrong-root or "
                    "wrong-measurement", nic->tamper);
        return false;
    }
    if ((nic->cert_chain == NULL) != (nic->key == NULL)) {
        g_set_error(error, BAILEY_ERROR, 0, "device tdisp-nic has %s; give both, or none for the test keys",
                    nic->key == NULL ? "cert-chain= without key=" : "key= without cert-chain=");
        return false;
    }
    if (*wrong_root && nic->key != NULL) {
        g_set_error(error, BAILEY_ERROR, 0,
                    "tamper=wrong-root of device tdisp-nic brings its own certificates; leave out "
                    "cert-chain= and key=");
        return false;
    }
    return true;
}

static bool load_identity(TdispNic *nic, GError **error)
{
    char       *chain = NULL, *key = NULL;
    const char *why = NULL;
    bool        wrong_root, ok;

    if (!check_properties(nic, &wrong_root, error)) {
        return false;
    }
    SpdmPem pem = *spdm_test_pem(wrong_root ? SPDM_TEST_WRONG_ROOT : SPDM_TEST_DEVICE);

    if (nic->key != NULL) {
        ok = read_pem("cert-chain", nic->cert_chain, &chain, error) && read_pem("key", nic->key, &key, error);
        pem = (SpdmPem){ chain, key };
    } else {
        ok = true;
    }
    if (ok && !spdm_identity_load(&pem, &nic_pci(nic)->dev.entropy, &nic->identity, &why)) {
        g_set_error(error, BAILEY_ERROR, 0,
                    "cannot use cert-chain=%s and key=%s of device tdisp-nic: %s; give PEM "
                    "certificates root first, and the last one's P-384 key",
                    nic->cert_chain, nic->key, why);
        ok = false;
    }
    g_free(chain);
    g_free(key);
    return ok;
}

/* ---- life ---- */

bool dsm_configure(TdispNic *nic, GError **error)
{
    nic->spdm = (SpdmResponderConfig){
        .capabilities = SPDM_RESPONDER_CAPS,
        .entropy = &nic_pci(nic)->dev.entropy,
        .opaque = nic,
        .measurement = measure_get,
        .vendor = vendor,
        .now_ns = device_time,
        .session_changed = session_changed,
    };
    if (!load_identity(nic, error) || !parse_versions(nic->spdm_version, &nic->spdm, error) ||
        !parse_heartbeat(nic->heartbeat_s, &nic->spdm, error)) {
        return false;
    }
    nic->spdm.chain = nic->identity.chain;
    nic->spdm.chain_len = nic->identity.chain_len;
    nic->spdm.private_key = nic->identity.private_key;
    return true;
}

void dsm_init(TdispNic *nic)
{
    Device *dev = &nic_pci(nic)->dev;

    timer_init(&nic->heartbeat, dev->clock, watch_heartbeat, nic);
    nic->bound_sel = NIC_NO_STREAM;
    nic->dsm = (TdispDsm){
        .ops = &tdisp_ops, .opaque = nic, .entropy = &dev->entropy,
        .lock_flags = TDISP_LOCK_NO_FW_UPDATE | TDISP_LOCK_MSIX, .address_width = ADDRESS_WIDTH,
        .tdis = &nic->tdi, .n_tdis = 1,
    };
    tdisp_tdi_init(&nic->tdi, pci_bdf(nic_pci(nic)));
    ide_km_init(&nic->km, &key_sink, nic);
    spdm_responder_init(&nic->responder, &nic->spdm);
}

void dsm_deinit(TdispNic *nic)
{
    timer_deinit(&nic->heartbeat);
}

/* A locked interface remembers a reset as ERROR until its owner or the host stops it; power off forgets
 * everything. */
void dsm_reset(TdispNic *nic, PciResetKind kind)
{
    dsm_violation(nic, "the function was reset");
    spdm_responder_reset(&nic->responder); /* its sessions end, and with them keys and streams */
    if (kind == PCI_RESET_POWER) {
        tdisp_tdi_init(&nic->tdi, pci_bdf(nic_pci(nic)));
    }
}
