/*
 * A TDISP device from connection to assignment: the PDEV and VDEV commands of the RMM in their order, the
 * relay of their SPDM messages, the IDE stream's registers. What is under way with a device is a job: a
 * script of steps that go on one at a time. DEN0137 1.1-alp17, "PDEV", "VDEV"; PCI Express Base Specification
 * 6.0, "IDE Extended Capability". With 1.1-alp12 we do less of our own accord: the Realm says what is next.
 */
#include <string.h>

#include "host/host_int.h"
#include "host/impostor.h"
#include "hw/pci/doe.h"
#include "log.h"
#include "spdm/pki.h"

enum {
    MAX_DELAY_US = 1000000,
    NS_PER_US = 1000,
    MAX_SILENT_ROUNDS = 16, /* COMMUNICATE calls in a row that neither send nor arrive */
    MAX_DISCOVERY = 255,
    MAX_MAP_PAGES = 64, /* of one VDEV_MAP exit; the Realm comes back for the rest */
    IDE_CAP = 0x04,
    IDE_FIRST = 0x0c,
    IDE_LINK_BLOCK = 8,
    LINK_STATUS = 0x04,
    SEL_CONTROL = 0x04,
    SEL_STATUS = 0x08,
    SEL_RID1 = 0x0c,
    SEL_RID2 = 0x10,
    SEL_ADDR = 0x14,
    SEL_ADDR_BLOCK = 12,
    IDE_PORT = 0,
    IDE_ENDPOINT = 1,
};
#define IDE_CAP_LINK        BIT(0)
#define IDE_CAP_CFG         BIT(7)
#define IDE_CAP_TEE_LIMITED BIT(24)
#define LINK_ENABLE         BIT(0)
#define LINK_ID             0x80 /* of a link stream: that of the selective one, and this */
#define SEL_ENABLE          BIT(0)
#define SEL_CFG             BIT(9)
#define SEL_DEFAULT         BIT(22)
#define SEL_TEE_LIMITED     BIT(23)
#define SEL_SECURE          2

typedef enum StepResult { STEP_AGAIN, STEP_NEXT, STEP_FAIL } StepResult;

typedef StepResult JobFn(Host *h, A64Cpu *cpu, HostDevice *d, int arg);

typedef struct JobStep {
    JobFn *run;
    int    arg;
} JobStep;

static StepResult result_of(bool ok) { return ok ? STEP_NEXT : STEP_FAIL; }

/* A command that must succeed because only we decide about its arguments: the run ends when it does not. */
static bool must(Host *h, uint64_t x0, const char *what)
{
    if (x0 != RMI_SUCCESS) {
        host_fail(h, what, x0);
    }
    return x0 == RMI_SUCCESS;
}

/* A command that the Realm or the device can make fail. */
static bool may(const HostDevice *d, uint64_t x0, const char *what)
{
    if (x0 != RMI_SUCCESS) {
        LOG(HOST, "%04x: %s: status %u index %u", d->f->bdf, what, RMI_RETURN_STATUS(x0),
            RMI_RETURN_INDEX(x0));
    }
    return x0 == RMI_SUCCESS;
}

static int64_t host_now(const Host *h) { return clock_now(machine_clock(h->cfg.machine)); }

/* ---- conversations ---- */

static void append_object(Host *h, HostDevice *d, unsigned object, uint64_t page, uint64_t offset,
                          uint64_t len)
{
    uint8_t bytes[PAGE_SIZE];

    if (object >= HOST_N_OBJECTS || offset > PAGE_SIZE || len > PAGE_SIZE - offset ||
        host_device_object(d, object)->len + len > HOST_MAX_OBJECT) {
        LOG(HOST, "%04x: object %u of the device is too long", d->f->bdf, object);
        return;
    }
    memory_read(h->cfg.memory, page + offset, host_attrs, bytes, len);
    g_byte_array_append(host_device_object(d, object), bytes, (guint)len);
}

/* What the RMM marked for keeping: first of the request, then of the response. */
static void keep_cached(Host *h, HostDevice *d, uint64_t flags)
{
    unsigned object = host_get64(h, d->comm + RMI_COMM_CACHE_OBJ_ID) & 0xff;

    if (flags & RMI_COMM_CACHE_REQ) {
        append_object(h, d, object, d->request, host_get64(h, d->comm + RMI_COMM_CACHE_REQ_OFFSET),
                      host_get64(h, d->comm + RMI_COMM_CACHE_REQ_LEN));
    }
    if (flags & RMI_COMM_CACHE_RSP) {
        append_object(h, d, object, d->response, host_get64(h, d->comm + RMI_COMM_CACHE_RSP_OFFSET),
                      host_get64(h, d->comm + RMI_COMM_CACHE_RSP_LEN));
    }
}

/* RmiDevCommExit: how long the RMM wants us to wait with the request, at most a second. */
static int64_t request_delay_ns(Host *h, const HostDevice *d)
{
    uint16_t at = h->dialect->comm_req_delay;

    return at == 0 ? 0 : (int64_t)MIN(host_get64(h, d->comm + at), MAX_DELAY_US) * NS_PER_US;
}

static void start_relay(Host *h, HostDevice *d)
{
    bool     secured = (host_get64(h, d->comm + RMI_COMM_PROTOCOL) & 0xff) == RMI_PROTOCOL_SECURE_SPDM;
    uint64_t len = MIN(host_get64(h, d->comm + h->dialect->comm_req_len), RMI_COMM_BUFFER_MAX);
    uint8_t  message[RMI_COMM_BUFFER_MAX];

    memory_read(h->cfg.memory, d->request, host_attrs, message, len);
    relay_start(&d->job.relay, d->pf->f, secured ? DOE_TYPE_SECURED_SPDM : DOE_TYPE_SPDM, message, len);
    d->job.relay.wake_ns = host_now(h) + request_delay_ns(h, d);
    if (d->pf->impostor != NULL) {
        impostor_answer(d->pf->impostor, &d->job.relay);
    }
    d->job.relaying = true;
}

/* The exchange is over: its outcome goes with the next COMMUNICATE. */
static void end_relay(Host *h, HostDevice *d)
{
    size_t   len = 0;
    HostDeed deed = { .d = d };

    if (d->job.relay.state == RELAY_DONE) {
        host_fault_at(h, FAULT_AT_ANSWER, &deed);
    }
    const uint8_t *payload = relay_payload(&d->job.relay, &len);

    d->job.relaying = false;
    d->job.rounds = 0;
    d->job.status = RMI_COMM_ERROR;
    d->job.resp_len = 0;
    if (d->job.relay.state == RELAY_DONE && len != 0) {
        memory_write(h->cfg.memory, d->response, host_attrs, payload, len);
        d->job.status = RMI_COMM_RESPONSE;
        d->job.resp_len = (uint32_t)len;
    }
}

static uint64_t call_communicate(Host *h, A64Cpu *cpu, HostDevice *d)
{
    host_put64(h, d->comm + RMI_COMM_STATUS, d->job.status);
    host_put64(h, d->comm + RMI_COMM_REQ_ADDR, d->request);
    host_put64(h, d->comm + RMI_COMM_RESP_ADDR, d->response);
    host_put64(h, d->comm + RMI_COMM_RESP_LEN, d->job.resp_len);
    d->job.status = RMI_COMM_NONE;
    d->job.resp_len = 0;
    return !d->job.vdev        ? host_rmi(h, cpu, RMI_FID_PDEV_COMMUNICATE, d->pf->pdev, d->comm, 0, 0, 0)
           : h->dialect->rdev ? host_rmi(h, cpu, RMI_FID_VDEV_COMMUNICATE, d->pf->pdev, d->vdev, d->comm, 0, 0)
                              : host_rmi(h, cpu, RMI_FID_VDEV_COMMUNICATE, h->rd, d->pf->pdev, d->vdev, d->comm, 0);
}

/* Nothing to send: the operation is over when the state says so. @target: that state, -1: it does not change.
 * */
static StepResult check_arrival(Host *h, A64Cpu *cpu, HostDevice *d, int target)
{
    bool     vdev = d->job.vdev;
    uint64_t x0 = vdev ? host_rmi(h, cpu, RMI_FID_VDEV_GET_STATE, d->vdev, 0, 0, 0, 0)
                       : host_rmi(h, cpu, RMI_FID_PDEV_GET_STATE, d->pf->pdev, 0, 0, 0, 0);
    uint64_t state = cpu->x[1], error = vdev ? (uint64_t)RMI_VDEV_ERROR : (uint64_t)RMI_PDEV_ERROR;

    if (!must(h, x0, "ask for the state of a device") || state == error ||
        d->job.rounds++ > MAX_SILENT_ROUNDS) {
        return STEP_FAIL;
    }
    return target < 0 || state == (uint64_t)target ? STEP_NEXT : STEP_AGAIN;
}

_Static_assert((int)RMI_VDEV_ERROR == (int)RMI_VDEV12_ERROR, "ERROR is one number in each dialect");

static StepResult communicate(Host *h, A64Cpu *cpu, HostDevice *d, int target)
{
    if (d->job.relaying) {
        if (relay_step(&d->job.relay, host_now(h))) {
            end_relay(h, d);
        }
        return STEP_AGAIN;
    }
    if (!may(d, call_communicate(h, cpu, d), "COMMUNICATE")) {
        return STEP_FAIL;
    }
    uint64_t flags = host_get64(h, d->comm + RMI_COMM_EXIT_FLAGS);

    keep_cached(h, d, flags);
    if (flags & RMI_COMM_SEND) {
        start_relay(h, d);
        return STEP_AGAIN;
    }
    return flags != 0 ? STEP_AGAIN : check_arrival(h, cpu, d, target);
}

static StepResult talk_pdev(Host *h, A64Cpu *cpu, HostDevice *d, int target)
{
    d->job.vdev = false;
    return communicate(h, cpu, d, target);
}

static StepResult talk_vdev(Host *h, A64Cpu *cpu, HostDevice *d, int target)
{
    d->job.vdev = true;
    return communicate(h, cpu, d, target);
}

/* ---- connecting ---- */

/* A function may have several mailboxes. */
static StepResult try_next_mailbox(HostDevice *d)
{
    HostJob *j = &d->job;

    j->index = j->found = 0;
    return ++j->mailbox < d->pf->f->n_doe ? STEP_AGAIN : STEP_FAIL;
}

/* "DOE Discovery": which kinds of object the mailbox takes; both of SPDM must be among them. */
static StepResult discover(Host *h, A64Cpu *cpu, HostDevice *d, int arg)
{
    HostJob *j = &d->job;
    uint8_t  request[4] = { (uint8_t)j->index, 0, 0, 0 };

    if (!j->relaying) {
        d->pf->f->doe_cap = d->pf->f->doe_caps[j->mailbox];
        relay_start(&j->relay, d->pf->f, DOE_TYPE_DISCOVERY, request, sizeof(request));
        j->relaying = true;
        return STEP_AGAIN;
    }
    if (!relay_step(&j->relay, host_now(h))) {
        return STEP_AGAIN;
    }
    size_t         len = 0;
    const uint8_t *payload = relay_payload(&j->relay, &len);

    j->relaying = false;
    if (j->relay.state != RELAY_DONE || len != 4) {
        return try_next_mailbox(d);
    }
    if (le16_get(payload) == DOE_VENDOR_PCISIG && payload[2] < 32) {
        j->found |= 1u << payload[2];
    }
    if (payload[3] > j->index && j->index < MAX_DISCOVERY) {
        j->index = payload[3];
        return STEP_AGAIN;
    }
    return (j->found >> DOE_TYPE_SPDM & 1) && (j->found >> DOE_TYPE_SECURED_SPDM & 1) ? STEP_NEXT : try_next_mailbox(d);
}

static bool alloc_pages(Host *h, HostDevice *d)
{
    d->comm = host_alloc(h);
    d->request = host_alloc(h);
    d->response = host_alloc(h);
    d->params = host_alloc(h);
    return d->comm != 0 && d->request != 0 && d->response != 0 && d->params != 0;
}

/* Granules for the RMM's own use, as many as it wants, listed in the parameters at @at. @given counts them.
 * */
static bool give_aux(Host *h, A64Cpu *cpu, uint64_t aux[RMI_PDEV_AUX_MAX], uint64_t wanted, uint64_t *given,
                     uint64_t at)
{
    for (*given = 0; *given < MIN(wanted, RMI_PDEV_AUX_MAX); ++*given) {
        aux[*given] = host_alloc_delegated(h, cpu);
        if (aux[*given] == 0) {
            return false;
        }
        host_put64(h, at + 8 * *given, aux[*given]);
    }
    return true;
}

/* The function's BARs, then those of its virtual functions. Returns how many ranges that is. */
static unsigned put_ranges(Host *h, const HostFunction *f, uint64_t at)
{
    unsigned n = 0;

    for (unsigned i = 0; i < 2 * PCI_N_BARS; i++) {
        const HostBar *b = i < PCI_N_BARS ? &f->bars[i] : &f->vf_bars[i - PCI_N_BARS];

        if (b->size != 0) {
            host_put64(h, at + 16 * n, b->base);
            host_put64(h, at + 16 * n + 8, b->base + align_up(b->size, PAGE_SIZE));
            n++;
        }
    }
    return n;
}

/* The routing IDs of a function and its virtual ones are consecutive. */
static uint16_t last_rid(const HostFunction *f) { return f->n_vfs != 0 ? f->last_vf : f->bdf; }

static StepResult create_pdev(Host *h, A64Cpu *cpu, HostDevice *d, int arg)
{
    uint64_t p = d->params, flags = h->dialect->pdev_flags, wanted;

    memory_zero(h->cfg.memory, p, host_attrs, PAGE_SIZE);
    if (!must(h, host_rmi(h, cpu, RMI_FID_PDEV_AUX_COUNT, flags, 0, 0, 0, 0),
              "ask for the granules of a PDEV")) {
        return STEP_FAIL;
    }
    wanted = cpu->x[1];
    d->pf->pdev = host_alloc_delegated(h, cpu);
    if (d->pf->pdev == 0 || !give_aux(h, cpu, d->pf->pdev_aux, wanted, &d->pf->n_pdev_aux, p + RMI_PDEV_AUX)) {
        return STEP_FAIL;
    }
    host_put64(h, p + RMI_PDEV_FLAGS, flags);
    host_put64(h, p + RMI_PDEV_ID, d->pf->f->bdf);
    host_put64(h, p + RMI_PDEV_ECAM, h->cfg.board->ecam.base);
    host_put64(h, p + RMI_PDEV_ROOT_ID, d->pf->port->bdf);
    host_put64(h, p + RMI_PDEV_RID_BASE, d->pf->f->bdf);
    host_put64(h, p + RMI_PDEV_RID_TOP, last_rid(d->pf->f) + 1u);
    host_put64(h, p + RMI_PDEV_HASH_ALGO, RMI_HASH_SHA_256);
    host_put64(h, p + RMI_PDEV_NUM_AUX, d->pf->n_pdev_aux);
    host_put64(h, p + RMI_PDEV_IDE_SID, d->pf->stream_id);
    host_put64(h, p + RMI_PDEV_NCOH_NUM_ADDR, put_ranges(h, d->pf->f, p + RMI_PDEV_NCOH_ADDR));
    return result_of(must(h, host_rmi(h, cpu, RMI_FID_PDEV_CREATE, d->pf->pdev, p, 0, 0, 0), "create a PDEV"));
}

/* RmiPublicKeyParams; false for a kind of key that the RMM has no name for. */
static bool put_key(Host *h, uint64_t p, const SpdmPublicKey *key)
{
    static const struct {
        SpdmKeyKind kind;
        RmiKeyAlgo  algo;
    } names[] = {
        { SPDM_KEY_RSA_3072, RMI_KEY_RSASSA_3072 },
        { SPDM_KEY_P256, RMI_KEY_ECDSA_P256 },
        { SPDM_KEY_P384, RMI_KEY_ECDSA_P384 },
    };
    uint8_t exponent[8];

    memory_zero(h->cfg.memory, p, host_attrs, PAGE_SIZE);
    memory_write(h->cfg.memory, p + RMI_KEY_KEY, host_attrs, key->bytes, key->len);
    host_put64(h, p + RMI_KEY_LEN, key->len);
    if (key->exponent != 0) {
        be64_put(exponent, key->exponent);
        memory_write(h->cfg.memory, p + RMI_KEY_METADATA, host_attrs, exponent, sizeof(exponent));
        host_put64(h, p + RMI_KEY_METADATA_LEN, sizeof(exponent));
    }
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        if (names[i].kind == key->kind) {
            host_put64(h, p + RMI_KEY_ALGO, names[i].algo);
            return true;
        }
    }
    return false;
}

/* The leaf certificate's key; whether its root is to be trusted is the Realm's question, not ours. */
static StepResult set_key(Host *h, A64Cpu *cpu, HostDevice *d, int arg)
{
    const GByteArray *chain = d->pf->objects[RMI_OBJECT_CERTIFICATE];
    SpdmPublicKey     key;
    const char       *why = spdm_chain_check(chain->data, chain->len, NULL, 0, SPDM_CHAIN_OF_RESPONDER, -1, &key);

    if (why != NULL) {
        log_warning("PCI device %04x: %s", d->f->bdf, why);
        return STEP_FAIL;
    }
    if (d->pf->impostor != NULL) {
        key = impostor_key(d->pf->impostor);
    }
    if (!put_key(h, d->params, &key)) {
        log_warning("PCI device %04x: the RMM has no name for a key of kind %s", d->f->bdf,
                    spdm_key_type(key.kind)->name);
        return STEP_FAIL;
    }
    return result_of(
        may(d, host_rmi(h, cpu, RMI_FID_PDEV_SET_PUBKEY, d->pf->pdev, d->params, 0, 0, 0), "PDEV_SET_PUBKEY"));
}

/* ---- the IDE stream ---- */

static const HostFunction *ide_end(const HostDevice *d, unsigned end)
{
    return end == IDE_PORT ? d->pf->port : d->pf->f;
}

static uint32_t sel_read(const HostDevice *d, unsigned end, unsigned reg)
{
    return host_config_read(ide_end(d, end), d->pf->ide_block[end] + reg, 4);
}

static void sel_write(const HostDevice *d, unsigned end, unsigned reg, uint32_t v)
{
    host_config_write(ide_end(d, end), d->pf->ide_block[end] + reg, 4, v);
}

/* The first selective block nobody uses; false when there is none. */
static bool find_block(HostDevice *d, unsigned end)
{
    const HostFunction *f = ide_end(d, end);
    uint32_t            cap = f->ide_cap != 0 ? host_config_read(f, f->ide_cap + IDE_CAP, 4) : 0;
    unsigned            at = f->ide_cap + IDE_FIRST;

    if (!(cap >> 1 & 1)) { /* Selective IDE Streams Supported */
        return false;
    }
    at += cap & IDE_CAP_LINK ? ((cap >> 13 & 7) + 1) * IDE_LINK_BLOCK : 0;
    for (unsigned s = 0; s <= (cap >> 16 & 0xff) && at + SEL_ADDR <= PCI_CONFIG_SIZE; s++) {
        d->pf->ide_block[end] = (uint16_t)at;
        if (!(sel_read(d, end, SEL_CONTROL) & SEL_ENABLE) && !(sel_read(d, end, SEL_RID2) & 1)) {
            return true;
        }
        at += SEL_ADDR + SEL_ADDR_BLOCK * (sel_read(d, end, 0) & 0xf);
    }
    return false;
}

/* Address association @n: none when @w is closed. */
static void put_association(const HostDevice *d, unsigned end, unsigned n, const HostBar *w)
{
    unsigned at = SEL_ADDR + SEL_ADDR_BLOCK * n;
    uint64_t limit = w->base + w->size - 1;

    sel_write(d, end, at + 4, w->size != 0 ? (uint32_t)(limit >> 32) : 0);
    sel_write(d, end, at + 8, w->size != 0 ? (uint32_t)(w->base >> 32) : 0);
    sel_write(d, end, at, w->size == 0 ? 0
                          : (uint32_t)(1 | (w->base >> 20 & 0xfff) << 8 | (limit >> 20 & 0xfff) << 20));
}

static uint32_t stream_control(const HostDevice *d, unsigned end)
{
    const HostFunction *f = ide_end(d, end);
    uint32_t            cap = host_config_read(f, f->ide_cap + IDE_CAP, 4);
    uint32_t            bit = end == IDE_PORT ? (cap & IDE_CAP_CFG ? SEL_CFG : 0)
                                              : (cap & IDE_CAP_TEE_LIMITED ? SEL_TEE_LIMITED : 0);

    return (uint32_t)d->pf->stream_id << 24 | (uint32_t)SEL_DEFAULT | bit;
}

/* One end: requester IDs of the other end, addresses behind it, then control without the enable bit. */
static void program_end(const HostDevice *d, unsigned end)
{
    static const HostBar none;
    const HostFunction  *peer = ide_end(d, end ^ 1);
    unsigned             n = sel_read(d, end, 0) & 0xf;

    sel_write(d, end, SEL_RID1, (uint32_t)last_rid(peer) << 8);
    sel_write(d, end, SEL_RID2, (uint32_t)peer->bdf << 8 | 1);
    for (unsigned i = 0; i < n; i++) {
        put_association(d, end, i, end == IDE_PORT && i < 2 ? &d->pf->port->window[i] : &none);
    }
    sel_write(d, end, SEL_CONTROL, stream_control(d, end));
}

static unsigned link_block(const HostDevice *d, unsigned end) { return ide_end(d, end)->ide_cap + (unsigned)IDE_FIRST; }

/* Link streams are enabled before they have keys: they begin when both ends have them. The port comes first, and goes
 * last. */
static void enable_link(Host *h, HostDevice *d)
{
    uint32_t control = (uint32_t)(LINK_ID | d->pf->stream_id) << 24;

    d->pf->link = h->cfg.options->link_ide;
    for (unsigned end = IDE_PORT; end <= IDE_ENDPOINT; end++) {
        d->pf->link &= (host_config_read(ide_end(d, end), ide_end(d, end)->ide_cap + IDE_CAP, 4) & IDE_CAP_LINK) != 0;
    }
    for (unsigned end = IDE_PORT; d->pf->link && end <= IDE_ENDPOINT; end++) {
        host_config_write(ide_end(d, end), link_block(d, end), 4, control);
        host_config_write(ide_end(d, end), link_block(d, end), 4, control | (uint32_t)LINK_ENABLE);
    }
    if (h->cfg.options->link_ide && !d->pf->link) {
        log_warning("PCI device %04x or its root port has no link IDE stream: link-ide=on does nothing for it",
                    d->pf->f->bdf);
    }
}

static StepResult close_link(Host *h, A64Cpu *cpu, HostDevice *d, int arg)
{
    for (unsigned i = 0; d->pf->link && i < 2; i++) {
        unsigned end = i == 0 ? IDE_ENDPOINT : IDE_PORT;

        host_config_write(ide_end(d, end), link_block(d, end), 4, 0);
    }
    d->pf->link = false;
    return STEP_NEXT;
}

static StepResult program_stream(Host *h, A64Cpu *cpu, HostDevice *d, int arg)
{
    if (!find_block(d, IDE_PORT) || !find_block(d, IDE_ENDPOINT)) {
        log_warning("PCI device %04x or its root port has no selective IDE stream left", d->f->bdf);
        return STEP_FAIL;
    }
    program_end(d, IDE_PORT);
    program_end(d, IDE_ENDPOINT);
    enable_link(h, d);
    return STEP_NEXT;
}

static bool stream_is_secure(const HostDevice *d)
{
    bool secure = true;

    for (unsigned end = IDE_PORT; end <= IDE_ENDPOINT; end++) {
        uint32_t link = host_config_read(ide_end(d, end), link_block(d, end) + LINK_STATUS, 4);

        secure &= (sel_read(d, end, SEL_STATUS) & 0xf) == SEL_SECURE;
        secure &= !d->pf->link || (link & 0xf) == SEL_SECURE;
    }
    return secure;
}

bool host_device_is_lost(const HostDevice *d)
{
    return d->pf->state == HOST_DEVICE_LOST || d->pf->state == HOST_DEVICE_FAILED ||
           (d->pf->state == HOST_DEVICE_READY && d->pf->impostor == NULL && !stream_is_secure(d));
}

/* Keys are in use at both ends: each must be Secure as soon as it is enabled. An impostor keyed only the
 * port. */
static StepResult enable_stream(Host *h, A64Cpu *cpu, HostDevice *d, int arg)
{
    for (unsigned end = IDE_PORT; end <= IDE_ENDPOINT; end++) {
        sel_write(d, end, SEL_CONTROL, stream_control(d, end) | SEL_ENABLE);
    }
    if (!stream_is_secure(d) && d->pf->impostor == NULL) {
        log_warning("the IDE stream of PCI device %04x is not secure", d->f->bdf);
        return STEP_FAIL;
    }
    return STEP_NEXT;
}

static void reached(Host *h, A64Cpu *cpu, HostDevice *d, HostFaultState state)
{
    HostDeed deed = { .d = d, .hc = &h->cpus[cpu->cpu.index], .state = state };

    host_fault_at(h, FAULT_AT_STATE, &deed);
}

static StepResult be_ready(Host *h, A64Cpu *cpu, HostDevice *d, int arg)
{
    d->pf->state = HOST_DEVICE_READY;
    machine_note_step(h->cfg.machine, "pdev-ready");
    reached(h, cpu, d, FAULT_STATE_UNLOCKED);
    return STEP_NEXT;
}

/* host-fault=substitute-key: learns the device's certificates, then takes its place. */
static StepResult take_its_place(Host *h, A64Cpu *cpu, HostDevice *d, int arg)
{
    HostDeed deed = { .d = d };

    if (d->pf->impostor == NULL && !host_fault_at(h, FAULT_AT_CONNECT, &deed)) {
        return STEP_NEXT;
    }
    switch (impostor_learn(d->pf->impostor, &d->job.relay, host_now(h))) {
    case IMPOSTOR_LEARNING: return STEP_AGAIN;
    case IMPOSTOR_READY: return STEP_NEXT;
    default: return STEP_FAIL;
    }
}

static void take_back_aux(Host *h, A64Cpu *cpu, uint64_t aux[RMI_PDEV_AUX_MAX], uint64_t *n)
{
    while (*n != 0) {
        host_take_back(h, cpu, aux[--*n]);
    }
}

/* ---- disconnecting ---- */

/* Each of these is done already when a connection failed before it came to a PDEV. */

/* Whatever it is at. */
static StepResult give_up_pdev(Host *h, A64Cpu *cpu, HostDevice *d, int arg)
{
    if (d->pf->pdev == 0) {
        return STEP_NEXT;
    }
    host_rmi(h, cpu, RMI_FID_PDEV_ABORT, d->pf->pdev, 0, 0, 0, 0);
    return result_of(may(d, host_rmi(h, cpu, RMI_FID_PDEV_STOP, d->pf->pdev, 0, 0, 0, 0), "PDEV_STOP"));
}

static StepResult stop_talking(Host *h, A64Cpu *cpu, HostDevice *d, int arg)
{
    return d->pf->pdev == 0 ? STEP_NEXT : talk_pdev(h, cpu, d, RMI_PDEV_STOPPED);
}

static StepResult destroy_pdev(Host *h, A64Cpu *cpu, HostDevice *d, int arg)
{
    if (d->pf->pdev == 0) {
        return STEP_NEXT;
    }
    if (!may(d, host_rmi(h, cpu, RMI_FID_PDEV_DESTROY, d->pf->pdev, 0, 0, 0, 0), "PDEV_DESTROY")) {
        return STEP_FAIL;
    }
    host_take_back(h, cpu, d->pf->pdev);
    d->pf->pdev = 0;
    take_back_aux(h, cpu, d->pf->pdev_aux, &d->pf->n_pdev_aux);
    g_byte_array_set_size(d->pf->objects[RMI_OBJECT_VCA], 0);
    g_byte_array_set_size(d->pf->objects[RMI_OBJECT_CERTIFICATE], 0);
    return STEP_NEXT;
}

/* Both selective blocks are free again. */
static StepResult close_stream(Host *h, A64Cpu *cpu, HostDevice *d, int arg)
{
    for (unsigned end = IDE_PORT; end <= IDE_ENDPOINT && d->pf->ide_block[end] != 0; end++) {
        sel_write(d, end, SEL_CONTROL, stream_control(d, end));
        sel_write(d, end, SEL_RID2, 0);
    }
    return STEP_NEXT;
}

/* ---- the keys ---- */

static StepResult refresh(Host *h, A64Cpu *cpu, HostDevice *d, int arg)
{
    uint64_t x0 = h->dialect->rdev
                      ? host_rmi(h, cpu, RMI_FID_PDEV_NOTIFY, d->pf->pdev, RMI_PDEV_EVENT_IDE_KEY_REFRESH, 0, 0, 0)
                      : host_rmi(h, cpu, RMI_FID_PDEV_IDE_KEY_REFRESH, d->pf->pdev, 0, 0, 0, 0);

    return result_of(may(d, x0, "new keys for the stream"));
}

/* ---- the VDEV ---- */

static StepResult create_vdev(Host *h, A64Cpu *cpu, HostDevice *d, int arg)
{
    uint64_t p = d->params, wanted, vdev;

    memory_zero(h->cfg.memory, p, host_attrs, PAGE_SIZE);
    if (!must(h, host_rmi(h, cpu, RMI_FID_VDEV_AUX_COUNT, h->dialect->pdev_flags, 0, 0, 0, 0),
              "ask for the granules of a VDEV")) {
        return STEP_FAIL;
    }
    wanted = cpu->x[1];
    vdev = host_alloc_delegated(h, cpu);
    if (vdev == 0 || !give_aux(h, cpu, d->vdev_aux, wanted, &d->n_vdev_aux, p + RMI_VDEV_AUX)) {
        return STEP_FAIL;
    }
    host_put64(h, p + RMI_VDEV_ID, d->vdev_id);
    host_put64(h, p + RMI_VDEV_TDI_ID, d->f->bdf);
    host_put64(h, p + RMI_VDEV_NUM_AUX, d->n_vdev_aux);
    if (!may(d, host_rmi(h, cpu, RMI_FID_VDEV_CREATE, h->rd, d->pf->pdev, vdev, p, 0), "VDEV_CREATE")) {
        host_take_back(h, cpu, vdev);
        return STEP_FAIL;
    }
    d->vdev = vdev;
    g_byte_array_set_size(d->objects[RMI_OBJECT_MEASUREMENTS], 0);
    g_byte_array_set_size(d->objects[RMI_OBJECT_INTERFACE_REPORT], 0);
    return STEP_NEXT;
}

/* The commands that only queue an operation, which the conversation after them carries out. */
static StepResult queue(Host *h, A64Cpu *cpu, HostDevice *d, int fid)
{
    bool measure = fid == RMI_FID_VDEV_GET_MEASUREMENTS;

    if (measure || fid == RMI_FID_VDEV_GET_INTERFACE_REPORT) {
        g_byte_array_set_size(d->objects[measure ? RMI_OBJECT_MEASUREMENTS : RMI_OBJECT_INTERFACE_REPORT], 0);
    }
    return result_of(may(d,
                         host_rmi(h, cpu, (uint32_t)fid, h->rd, d->pf->pdev, d->vdev, measure ? d->params : 0, 0),
                         "request to a VDEV"));
}

static StepResult stop_vdev(Host *h, A64Cpu *cpu, HostDevice *d, int arg)
{
    return result_of(may(d, host_rmi(h, cpu, RMI_FID_VDEV_STOP, d->vdev, 0, 0, 0, 0), "VDEV_STOP"));
}

static StepResult note(Host *h, A64Cpu *cpu, HostDevice *d, int kind)
{
    static const char *const names[HOST_N_JOBS] = {
        [HOST_JOB_LOCK] = "vdev-locked",      [HOST_JOB_REPORT] = "vdev-report",
        [HOST_JOB_MEASURE] = "vdev-measured", [HOST_JOB_START] = "vdev-started",
        [HOST_JOB_UNLOCK] = "vdev-unlocked",
    };

    static const uint8_t states[HOST_N_JOBS] = {
        [HOST_JOB_LOCK] = FAULT_STATE_LOCKED, [HOST_JOB_START] = FAULT_STATE_RUN };

    machine_note_step(h->cfg.machine, names[kind]);
    if (states[kind] != 0) {
        reached(h, cpu, d, states[kind]);
    }
    return STEP_NEXT;
}

/* What the Realm asked for, by the name that it has when we are asked. */
static StepResult note_action(Host *h, A64Cpu *cpu, HostDevice *d, int arg)
{
    static const uint8_t kinds[] = {
        [RMI_VDEV_ACTION_GET_INTERFACE_REPORT] = HOST_JOB_REPORT, [RMI_VDEV_ACTION_GET_MEASUREMENTS] = HOST_JOB_MEASURE,
        [RMI_VDEV_ACTION_LOCK] = HOST_JOB_LOCK, [RMI_VDEV_ACTION_START] = HOST_JOB_START,
    };

    return d->job.action < ARRAY_LEN(kinds) ? note(h, cpu, d, kinds[d->job.action]) : STEP_NEXT;
}

bool host_device_map_page(Host *h, A64Cpu *cpu, const HostDevice *d, uint64_t ipa, uint64_t pa)
{
    if (!host_unmap_device(h, cpu, pa) || !host_delegate(h, cpu, pa) || !host_device_tables(h, cpu, ipa)) {
        return false;
    }
    uint64_t x0 = h->dialect->rdev ? host_rmi(h, cpu, RMI_FID_DEV_MEM_MAP, h->rd, ipa, 3, pa, 0)
                                   : host_rmi(h, cpu, RMI_FID_VDEV_MAP, h->rd, d->vdev, ipa, 3, pa);

    if (!may(d, x0, "map a page of the device")) {
        (void)(host_undelegate(h, cpu, pa) && host_map_device(h, cpu, pa));
        return false;
    }
    return true;
}

bool host_device_unmap_page(Host *h, A64Cpu *cpu, uint64_t ipa, uint64_t pa)
{
    uint32_t fid = h->dialect->rdev ? RMI_FID_DEV_MEM_UNMAP : RMI_FID_VDEV_UNMAP;

    return must(h, host_rmi(h, cpu, fid, h->rd, ipa, 3, 0, 0), "unmap a page of a device") &&
           host_undelegate(h, cpu, pa) && host_map_device(h, cpu, pa);
}

bool host_device_unmap_all(Host *h, A64Cpu *cpu, HostDevice *d)
{
    for (unsigned i = 0; i < PCI_N_BARS; i++) {
        HostBar *b = &d->f->bars[i];

        for (uint64_t page = 0; b->assigned != NULL && page < align_up(b->size, PAGE_SIZE) / PAGE_SIZE; page++) {
            uint64_t ipa = b->base + page * PAGE_SIZE;

            if (b->assigned[page] && !host_device_unmap_page(h, cpu, ipa, ipa)) {
                return false;
            }
            b->assigned[page] = 0;
        }
    }
    return true;
}

static StepResult take_back_mmio(Host *h, A64Cpu *cpu, HostDevice *d, int arg)
{
    return result_of(host_device_unmap_all(h, cpu, d));
}

static StepResult destroy_vdev(Host *h, A64Cpu *cpu, HostDevice *d, int arg)
{
    if (!may(d, host_rmi(h, cpu, RMI_FID_VDEV_DESTROY, h->rd, d->pf->pdev, d->vdev, 0, 0), "VDEV_DESTROY")) {
        return STEP_FAIL;
    }
    host_take_back(h, cpu, d->vdev);
    d->vdev = 0;
    take_back_aux(h, cpu, d->vdev_aux, &d->n_vdev_aux);
    return STEP_NEXT;
}

/* A reset, a link that was down or a fault of ours may have taken the functions below the port from their places. What
 * is right already does not change by this. A physical function comes before its virtual ones, also in the table. */
static StepResult restore(Host *h, A64Cpu *cpu, HostDevice *d, int arg)
{
    const HostFunction *port = d->pf->port;

    host_config_write(port, PCI_BRIDGE_CONTROL, 2,
                      host_config_read(port, PCI_BRIDGE_CONTROL, 2) & ~(unsigned)PCI_BRIDGE_CTL_BUS_RESET);
    for (unsigned i = 0; i < h->bus.n_fns; i++) {
        HostFunction *f = &h->bus.fns[i];

        if (f->parent != d->pf->f->parent) {
            continue;
        }
        host_pci_restore(f);
        if (f->msix.vectors != NULL) {
            host_msix_restore(h, f);
        }
    }
    return STEP_NEXT;
}

/* ---- jobs ---- */

#define CONNECT                                                                                        \
    { discover }, { program_stream }, { take_its_place }, { create_pdev }, { talk_pdev, RMI_PDEV_NEEDS_KEY }, \
    { set_key }, { talk_pdev, RMI_PDEV_READY }, { enable_stream }, { be_ready }

#define DISCONNECT { close_link }, { give_up_pdev }, { stop_talking }, { destroy_pdev }, { close_stream }

static const JobStep connect_steps[] = {
    CONNECT,
    { NULL },
};
static const JobStep reconnect_steps[] = {
    { restore },
    DISCONNECT,
    CONNECT,
    { NULL },
};
static const JobStep disconnect_steps[] = {
    { restore },
    DISCONNECT,
    { NULL },
};
static const JobStep refresh_steps[] = {
    { refresh },
    { talk_pdev, RMI_PDEV_READY },
    { NULL },
};
static const JobStep lock_steps[] = {
    { create_vdev },
    { talk_vdev, RMI_VDEV_UNLOCKED },
    { queue, RMI_FID_VDEV_LOCK },
    { talk_vdev, RMI_VDEV_LOCKED },
    { note, HOST_JOB_LOCK },
    { NULL },
};
static const JobStep report_steps[] = {
    { queue, RMI_FID_VDEV_GET_INTERFACE_REPORT },
    { talk_vdev, -1 },
    { note, HOST_JOB_REPORT },
    { NULL },
};
static const JobStep measure_steps[] = {
    { queue, RMI_FID_VDEV_GET_MEASUREMENTS },
    { talk_vdev, -1 },
    { note, HOST_JOB_MEASURE },
    { NULL },
};
static const JobStep start_steps[] = {
    { queue, RMI_FID_VDEV_START },
    { talk_vdev, RMI_VDEV_STARTED },
    { note, HOST_JOB_START },
    { NULL },
};
static const JobStep unlock_steps[] = {
    { restore },
    { take_back_mmio },
    { queue, RMI_FID_VDEV_UNLOCK },
    { talk_vdev, RMI_VDEV_UNLOCKED },
    { destroy_vdev },
    { note, HOST_JOB_UNLOCK },
    { NULL },
};

/* 1.1-alp12: the Realm locks, starts and stops a VDEV that is there. */
static const JobStep bind_steps[] = {
    { create_vdev },
    { NULL },
};
static const JobStep talk_steps[] = {
    { talk_vdev, RMI_VDEV12_READY },
    { note_action },
    { NULL },
};
static const JobStep unbind_steps[] = {
    { restore },
    { take_back_mmio },
    { stop_vdev },
    { talk_vdev, RMI_VDEV12_STOPPED },
    { destroy_vdev },
    { note, HOST_JOB_UNLOCK },
    { NULL },
};

static const JobStep *script_of(const Host *h, HostJobKind kind)
{
    static const JobStep *const scripts[2][HOST_N_JOBS] = {
        [false] = { [HOST_JOB_CONNECT] = connect_steps, [HOST_JOB_RECONNECT] = reconnect_steps,
                    [HOST_JOB_REFRESH] = refresh_steps, [HOST_JOB_DISCONNECT] = disconnect_steps,
                    [HOST_JOB_LOCK] = lock_steps, [HOST_JOB_REPORT] = report_steps, [HOST_JOB_MEASURE] = measure_steps,
                    [HOST_JOB_START] = start_steps, [HOST_JOB_UNLOCK] = unlock_steps },
        [true] = { [HOST_JOB_CONNECT] = connect_steps, [HOST_JOB_RECONNECT] = reconnect_steps,
                   [HOST_JOB_REFRESH] = refresh_steps, [HOST_JOB_DISCONNECT] = disconnect_steps,
                   [HOST_JOB_LOCK] = bind_steps, [HOST_JOB_TALK] = talk_steps, [HOST_JOB_UNLOCK] = unbind_steps },
    };

    return scripts[h->dialect->rdev][kind];
}

bool host_device_is_busy(const Host *h, const HostDevice *d)
{
    for (unsigned i = 0; i < h->n_devices; i++) {
        if (h->devices[i].pf == d->pf && h->devices[i].job.kind != HOST_JOB_NONE) {
            return true;
        }
    }
    return false;
}

void host_device_begin(Host *h, HostDevice *d, HostJobKind kind)
{
    memset(&d->job, 0, sizeof(d->job));
    d->job.kind = kind;
    d->job.status = RMI_COMM_NONE;
}

void host_device_wait(HostCpu *hc, HostDevice *d)
{
    d->job.waits = hc;
    hc->device = d;
    hc->state = HOST_REC_DEVICE;
}

/* What failed may have cost the connection: it is made anew before the next lock. */
static void look_after_pdev(Host *h, A64Cpu *cpu, HostDevice *d)
{
    bool gone = d->pf->pdev == 0 || host_rmi(h, cpu, RMI_FID_PDEV_GET_STATE, d->pf->pdev, 0, 0, 0, 0) != RMI_SUCCESS ||
                cpu->x[1] != RMI_PDEV_READY;

    if (d->pf->state == HOST_DEVICE_READY && gone) {
        d->pf->state = HOST_DEVICE_LOST;
        LOG(HOST, "%04x: lost its connection", d->pf->f->bdf);
    }
}

/* A lock or unlock that failed leaves a VDEV in ERROR or on its way: it is given up, so that a next try can
 * start. */
static void clean_up(Host *h, A64Cpu *cpu, HostDevice *d)
{
    HostJobKind kind = d->job.kind;

    if (kind == HOST_JOB_CONNECT) {
        d->state = HOST_DEVICE_FAILED;
        return;
    }
    if ((kind == HOST_JOB_LOCK || kind == HOST_JOB_UNLOCK) && d->vdev != 0 && h->phase != HOST_FAILED &&
        destroy_vdev(h, cpu, d, 0) == STEP_FAIL) {
        host_rmi(h, cpu, RMI_FID_VDEV_ABORT, d->vdev, 0, 0, 0, 0);
        destroy_vdev(h, cpu, d, 0);
    }
    if (d->vdev == 0 && kind == HOST_JOB_LOCK) {
        take_back_aux(h, cpu, d->vdev_aux, &d->n_vdev_aux);
    }
    if (kind == HOST_JOB_TALK) { /* the Realm must not wait for ever; refused when it is over anyway */
        host_rmi(h, cpu, RMI_FID_VDEV_ABORT, d->vdev, 0, 0, 0, 0);
    }
    look_after_pdev(h, cpu, d);
}

static bool end_job(HostDevice *d, uint64_t *status, uint64_t value)
{
    d->job.kind = HOST_JOB_NONE;
    *status = d->job.verdict != RHI_SUCCESS ? d->job.verdict : value;
    return true;
}

/* All steps are done. */
static bool end_script(Host *h, HostDevice *d, uint64_t *status)
{
    HostJob was = d->job;

    if (was.next == HOST_JOB_NONE) {
        return end_job(d, status, RHI_SUCCESS);
    }
    host_device_begin(h, d, was.next);
    d->job.waits = was.waits;
    d->job.verdict = was.verdict;
    return false;
}

static void ring(void *machine) { machine_wake(machine); }

bool host_device_sleeps(const Host *h, const HostDevice *d)
{
    return d->job.kind != HOST_JOB_NONE && !d->job.abort && relay_sleeps(&d->job.relay, host_now(h));
}

bool host_device_step(Host *h, A64Cpu *cpu, HostDevice *d, uint64_t *status)
{
    const JobStep *s = &script_of(h, d->job.kind)[d->job.step];
    StepResult     r = STEP_FAIL;

    if (d->job.abort && d->vdev != 0) {
        host_rmi(h, cpu, RMI_FID_VDEV_ABORT, d->vdev, 0, 0, 0, 0);
    } else if (!d->job.abort) {
        r = s->run(h, cpu, d, s->arg);
    }
    if (r == STEP_FAIL) {
        LOG(HOST, "%04x: job %d failed at step %u", d->f->bdf, d->job.kind, d->job.step);
        clean_up(h, cpu, d);
        return end_job(d, status, RHI_DEVICE);
    }
    if (r == STEP_NEXT) {
        d->job.step++;
        d->job.rounds = 0;
    }
    if (host_device_sleeps(h, d)) {
        timer_set(&d->alarm, d->job.relay.wake_ns);
    }
    return script_of(h, d->job.kind)[d->job.step].run == NULL && end_script(h, d, status);
}

/* ---- at start ---- */

static HostDevice *device_of(Host *h, const HostFunction *f)
{
    for (unsigned i = 0; i < h->n_devices; i++) {
        if (h->devices[i].f == f) {
            return &h->devices[i];
        }
    }
    return NULL;
}

/* A virtual function has no mailbox and no stream of its own. */
static bool is_tee_device(Host *h, const HostFunction *f)
{
    return (f->devcap & PCI_EXP_DEVCAP_TEE_IO) && f->parent >= 0 &&
           (f->pf != NULL ? device_of(h, f->pf) != NULL : f->doe_cap != 0 && f->ide_cap != 0);
}

static bool add_device(Host *h, HostFunction *f)
{
    HostDevice *d = &h->devices[h->n_devices];

    if (!h->da) {
        log_warning("PCI device %04x stays an ordinary, unprotected device of the Realm: the RMM (%s) has no device "
                    "assignment", f->bdf, h->dialect->name);
        return true;
    }
    if (h->n_devices == HOST_MAX_DEVICES) {
        log_warning("PCI device %04x is one too many for the built-in host to connect", f->bdf);
        return true;
    }
    *d = (HostDevice){.f = f,
                      .pf = f->pf != NULL ? device_of(h, f->pf) : d,
                      .port = &h->bus.fns[f->parent],
                      .stream_id = (uint8_t)h->n_devices,
                      .vdev_id = RHI_VDEV_ID(0, f->bdf)};
    timer_init(&d->alarm, machine_clock(h->cfg.machine), ring, h->cfg.machine);
    for (size_t i = 0; i < ARRAY_LEN(d->objects); i++) {
        d->objects[i] = g_byte_array_new();
    }
    h->n_devices++;
    return alloc_pages(h, d);
}

/* First step: the bus, the devices on it, their registers in the Realm's unprotected half. */
static bool start_devices(Host *h, A64Cpu *cpu)
{
    bool ok = host_pass_init(h);

    for (unsigned i = 0; ok && i < h->bus.n_fns; i++) {
        HostFunction *f = &h->bus.fns[i];

        ok = host_pass_map(h, cpu, f) && (!is_tee_device(h, f) || add_device(h, f));
    }
    if (!ok && h->phase != HOST_FAILED) {
        h->phase = HOST_FAILED;
        machine_stop(h->cfg.machine, EXIT_BAD_INPUT, "the built-in host could not set up its PCI devices");
    }
    return ok;
}

/* A connection that failed is tried once more at once, as a message may have been lost; then before each lock. */
static bool try_again(Host *h, HostDevice *d)
{
    bool failed = d->state == HOST_DEVICE_FAILED && h->phase == HOST_DEVICES;

    if (failed && !d->tried_again) {
        LOG(HOST, "%04x: the connection failed, and is tried again", d->f->bdf);
        d->tried_again = true;
        host_device_begin(h, d, HOST_JOB_RECONNECT);
        return true;
    }
    if (failed) {
        log_warning("PCI device %04x could not be connected (-d host,doe,spdm says why): an ordinary device for the "
                    "Realm; each lock tries again", d->f->bdf);
    }
    return false;
}

bool host_assign_step(Host *h, A64Cpu *cpu)
{
    uint64_t status;

    if (h->progress == 0) {
        if (!start_devices(h, cpu)) {
            return false;
        }
        h->progress = 1;
        return h->n_devices == 0;
    }
    HostDevice *d = &h->devices[h->progress - 1];

    if (d->pf == d && d->job.kind == HOST_JOB_NONE) {
        machine_note_step(h->cfg.machine, "pdev-asked");
        host_device_begin(h, d, HOST_JOB_CONNECT);
    }
    if (d->pf != d || (host_device_step(h, cpu, d, &status) && !try_again(h, d))) {
        h->progress++;
    }
    return h->phase == HOST_DEVICES && h->progress > h->n_devices;
}

void host_devices_drop(Host *h)
{
    for (unsigned i = 0; i < h->n_devices; i++) {
        for (size_t o = 0; o < ARRAY_LEN(h->devices[i].objects); o++) {
            g_byte_array_free(h->devices[i].objects[o], TRUE);
        }
        timer_deinit(&h->devices[i].alarm);
        impostor_free(h->devices[i].impostor);
    }
    for (unsigned i = 0; i < h->bus.n_fns; i++) {
        g_free(h->bus.fns[i].msix.vectors);
        for (unsigned b = 0; b < PCI_N_BARS; b++) {
            g_free(h->bus.fns[i].bars[b].assigned);
        }
    }
}

HostDevice *host_device_find(Host *h, uint64_t vdev_id)
{
    for (unsigned i = 0; i < h->n_devices; i++) {
        if (h->devices[i].vdev_id == vdev_id) {
            return &h->devices[i];
        }
    }
    return NULL;
}

/* ---- REC exits ---- */

/* The Realm named a VDEV by its ID: we say which granule that is. Not said, the Realm's call fails. */
void host_device_request(Host *h, HostCpu *hc)
{
    HostDevice *d = host_device_find(h, host_get64(h, hc->run + RMI_EXIT_VDEV_ID_1));

    if (d == NULL || d->vdev == 0) {
        return;
    }
    HostDeed deed = { .d = d, .hc = hc, .vdev = d->vdev };

    host_fault_at(h, FAULT_AT_NAME, &deed);
    if (deed.vdev != 0) {
        may(d, host_rmi(h, hc->cpu, RMI_FID_VDEV_COMPLETE, hc->rec, deed.vdev, 0, 0, 0), "VDEV_COMPLETE");
    }
}

/* One page of registers from the unprotected half to the protected one, at its own address. */
static bool give_page(Host *h, A64Cpu *cpu, HostDevice *d, uint64_t ipa)
{
    HostBar *b = host_pass_bar(d->f, ipa);
    uint8_t *assigned = b != NULL ? &b->assigned[(ipa - b->base) / PAGE_SIZE] : NULL;

    if (assigned != NULL && !*assigned) {
        *assigned = host_device_map_page(h, cpu, d, ipa, ipa);
    }
    return assigned != NULL && *assigned;
}

uint64_t host_device_validate(Host *h, HostCpu *hc, const HostDevice *d, uint64_t base, uint64_t top)
{
    const uint64_t x[6] = { h->rd, hc->rec, d->pf->pdev, d->vdev, base, top };

    return h->dialect->rdev ? host_rmi(h, hc->cpu, RMI_FID_RTT_DEV_MEM_VALIDATE, h->rd, hc->rec, base, top, 0)
                            : host_rmi6(h, hc->cpu, RMI_FID_VDEV_VALIDATE_MAPPING, x);
}

/* RSI_VDEV_VALIDATE_MAPPING or RSI_RDEV_VALIDATE_MAPPING: pages of the device's BARs at their own addresses, anything
 * else is rejected. */
void host_device_map(Host *h, HostCpu *hc)
{
    uint64_t base = host_get64(h, hc->run + h->dialect->exit_dev_mem_base),
             top = host_get64(h, hc->run + h->dialect->exit_dev_mem_top);
    HostDevice *d = host_device_find(h, host_get64(h, hc->run + h->dialect->exit_vdev_id));
    HostDeed    deed = { .d = d, .hc = hc, .base = base, .pages = MAX_MAP_PAGES };
    uint64_t    end = base;
    bool        ok = d != NULL && d->vdev != 0 && host_get64(h, hc->run + h->dialect->exit_dev_mem_pa) == base;

    if (ok) {
        host_fault_at(h, FAULT_AT_MAP, &deed);
    }
    while (ok && end < top && end - base < deed.pages * PAGE_SIZE && give_page(h, hc->cpu, d, end)) {
        end += PAGE_SIZE;
    }
    if (end == base || !may(d, host_device_validate(h, hc, d, base, end), "validate a mapping") || deed.rejects) {
        hc->flags |= RMI_ENTER_DEV_MEM_REJECT;
    }
}

/* RSI_RDEV_CONTINUE: the whole conversation, though the Realm would come again. */
void host_device_comm(Host *h, HostCpu *hc)
{
    static const int8_t objects[] = { [RMI_VDEV_ACTION_GET_INTERFACE_REPORT] = RMI_OBJECT_INTERFACE_REPORT,
                                      [RMI_VDEV_ACTION_GET_MEASUREMENTS] = RMI_OBJECT_MEASUREMENTS };
    HostDevice *d = host_device_find(h, host_get64(h, hc->run + h->dialect->exit_vdev_id));
    unsigned    action = host_get64(h, hc->run + h->dialect->exit_vdev_action) & 0xff;

    HostDeed    deed = { .d = d, .hc = hc };

    if (d == NULL || d->vdev == 0 || host_device_is_busy(h, d) || host_fault_at(h, FAULT_AT_TURN, &deed)) {
        return; /* another REC's or function's turn, or we are slow: this one asks again */
    }
    if (action < ARRAY_LEN(objects)) {
        g_byte_array_set_size(d->objects[objects[action]], 0);
    }
    host_device_begin(h, d, HOST_JOB_TALK);
    d->job.action = action;
    host_device_wait(hc, d);
}
