/*
 * NVMe admin commands: Identify, features, log pages, queue management. Source: NVM Express Base Specification 1.4,
 * "Admin Command Set".
 */
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "clock.h"
#include "hw/nvme/nvme_int.h"
#include "log.h"

enum {
    ADMIN_DELETE_SQ = 0x00,
    ADMIN_CREATE_SQ = 0x01,
    ADMIN_GET_LOG_PAGE = 0x02,
    ADMIN_DELETE_CQ = 0x04,
    ADMIN_CREATE_CQ = 0x05,
    ADMIN_IDENTIFY = 0x06,
    ADMIN_ABORT = 0x08,
    ADMIN_SET_FEATURES = 0x09,
    ADMIN_GET_FEATURES = 0x0a,
    ADMIN_EVENT_REQUEST = 0x0c,

    IDENTIFY_NAMESPACE = 0x00,
    IDENTIFY_CONTROLLER = 0x01,
    IDENTIFY_ACTIVE_NAMESPACES = 0x02,
    IDENTIFY_DESCRIPTORS = 0x03,

    LOG_SMART = 0x02,
    LOG_FIRMWARE = 0x03,

    FEATURE_ARBITRATION = 0x01,
    FEATURE_POWER = 0x02,
    FEATURE_TEMPERATURE = 0x04,
    FEATURE_ERROR_RECOVERY = 0x05,
    FEATURE_WRITE_CACHE = 0x06,
    FEATURE_QUEUES = 0x07,
    FEATURE_COALESCING = 0x08,
    FEATURE_VECTOR = 0x09,
    FEATURE_ATOMICITY = 0x0a,
    FEATURE_EVENTS = 0x0b,

    WARNS_TEMPERATURE = 1 << 1, /* "Critical Warning" */
    KELVIN = 310, /* 37 degrees Celsius, always */
    WARNING_KELVIN = 343,
    SERIAL_LEN = 20,
};

/* ---- features ---- */

/* "Feature Identifiers"; a bit that is not writable keeps its default. The write cache stays on, since writes of a
 * drive reach the file at a flush. */
static const struct {
    uint32_t initial, writable;
} features[NVME_FEATURES] = {
    [FEATURE_ARBITRATION] = { 0, 7 },
    [FEATURE_TEMPERATURE] = { WARNING_KELVIN, 0xffff },
    [FEATURE_ERROR_RECOVERY] = { 0, 0xffff },
    [FEATURE_WRITE_CACHE] = { 1, 0 },
    [FEATURE_QUEUES] = { (NVME_IO_QUEUES - 1) << 16 | (NVME_IO_QUEUES - 1), 0 },
    [FEATURE_COALESCING] = { 0, 0xffff },
    [FEATURE_VECTOR] = { 0, 0 }, /* no coalescing to disable */
    [FEATURE_ATOMICITY] = { 0, 1 },
    [FEATURE_EVENTS] = { 0, 0xff },
};

void nvme_reset_features(Nvme *n)
{
    for (unsigned i = 0; i < NVME_FEATURES; i++) {
        n->feature[i] = features[i].initial;
    }
    n->too_cold = 0;
}

static bool has_feature(unsigned fid)
{
    return fid >= FEATURE_ARBITRATION && fid < NVME_FEATURES && fid != 3; /* 3: LBA ranges, optional */
}

/* "Temperature Threshold": over or under, by bits 21:20, of the composite temperature; a setting may be of all that
 * there are, and no other is told of. NULL: there is no such threshold. */
static uint32_t *threshold(Nvme *n, uint32_t dw11, bool set)
{
    unsigned sensor = dw11 >> 16 & 0xf, type = dw11 >> 20 & 3;

    if (type > 1 || (sensor != 0 && !(set && sensor == 0xf))) {
        return NULL;
    }
    return type == 1 ? &n->too_cold : &n->feature[FEATURE_TEMPERATURE];
}

static bool has_io_queues(const Nvme *n)
{
    bool any = false;

    for (unsigned q = 1; q < NVME_QUEUES; q++) {
        any |= n->sq[q].used || n->cq[q].used;
    }
    return any;
}

static NvmeStatus set_features(Nvme *n, const NvmeCommand *c, uint32_t *result)
{
    unsigned fid = c->dw[10] & 0xff;

    if (!has_feature(fid)) {
        return NVME_INVALID_FIELD;
    }
    if (c->dw[10] >> 31) { /* Save: no feature outlives a reset */
        return NVME_NOT_SAVEABLE;
    }
    if ((fid == FEATURE_WRITE_CACHE && !(c->dw[11] & 1)) || (fid == FEATURE_POWER && (c->dw[11] & 0x1f) != 0) ||
        (fid == FEATURE_VECTOR && (c->dw[11] & 0xffff) >= NVME_QUEUES)) {
        return fid == FEATURE_WRITE_CACHE ? NVME_NOT_CHANGEABLE : NVME_INVALID_FIELD;
    }
    if (fid == FEATURE_QUEUES && ((c->dw[11] & 0xffff) == 0xffff || c->dw[11] >> 16 == 0xffff)) {
        return NVME_INVALID_FIELD;
    }
    if (fid == FEATURE_QUEUES && has_io_queues(n)) {
        return NVME_SEQUENCE;
    }
    uint32_t *value = fid == FEATURE_TEMPERATURE ? threshold(n, c->dw[11], true) : &n->feature[fid];

    if (value == NULL) {
        return NVME_INVALID_FIELD;
    }
    *value = (*value & ~features[fid].writable) | (c->dw[11] & features[fid].writable);
    *result = fid == FEATURE_QUEUES ? n->feature[fid] : 0; /* as many as there are, whatever was asked for */
    return NVME_OK;
}

static NvmeStatus get_features(Nvme *n, const NvmeCommand *c, uint32_t *result)
{
    unsigned fid = c->dw[10] & 0xff, select = c->dw[10] >> 8 & 7;

    if (!has_feature(fid) || select > 3) {
        return NVME_INVALID_FIELD;
    }
    const uint32_t *value = fid == FEATURE_TEMPERATURE ? threshold(n, c->dw[11], false) : &n->feature[fid];

    if (value == NULL) {
        return NVME_INVALID_FIELD;
    }
    switch (select) {
    case 0: /* current */
        *result = *value;
        break;
    case 3: /* supported capabilities: changeable */
        *result = features[fid].writable != 0 ? 4 : 0;
        break;
    default:
        *result = value == &n->too_cold ? 0 : features[fid].initial;
        break;
    }
    return NVME_OK;
}

/* ---- Identify ---- */

/* ASCII, padded with spaces, without an end. */
static void put_text(uint8_t *at, size_t len, const char *text)
{
    memset(at, ' ', len);
    memcpy(at, text, MIN(strlen(text), len));
}

static const char *serial(const Nvme *n)
{
    return n->serial != NULL ? n->serial : blockdev_id(n->drive);
}

/* "Identify Controller Data Structure". */
static void identify_controller(Nvme *n)
{
    uint8_t *b = n->buffer;
    char     nqn[224];

    le16_put(b, NVME_VENDOR);
    le16_put(b + 2, 0x1af4);
    put_text(b + 4, SERIAL_LEN, serial(n));
    put_text(b + 24, 40, "Bailey NVMe disk");
    put_text(b + 64, 8, "1.0");
    b[77] = NVME_MDTS;
    le32_put(b + 80, NVME_VERSION);
    b[111] = 1;                      /* I/O controller */
    b[258] = 3;                      /* commands that Abort may be sent at a time, less one */
    b[259] = NVME_EVENTS - 1;
    b[260] = 0x03;                   /* one firmware slot, read-only */
    b[262] = 0;                      /* entries of the error log, less one */
    le16_put(b + 266, WARNING_KELVIN);
    le16_put(b + 268, WARNING_KELVIN + 10);
    b[512] = 0x66;                   /* entries of 64 and 16 bytes */
    b[513] = 0x44;
    le32_put(b + 516, 1);            /* namespaces */
    b[525] = 1;                      /* volatile write cache */
    snprintf(nqn, sizeof(nqn), "nqn.2014.08.org.nvmexpress:%04x%04x%.*s", NVME_VENDOR, 0x1af4, SERIAL_LEN, serial(n));
    memcpy(b + 768, nqn, strlen(nqn));
    le16_put(b + 2048, 2500);        /* power state 0: 25 W */
}

/* "Identify Namespace Data Structure". */
static void identify_namespace(Nvme *n)
{
    uint8_t *b = n->buffer;
    uint64_t sectors = blockdev_size(n->drive) / BLOCKDEV_SECTOR;

    le64_put(b, sectors);
    le64_put(b + 8, sectors);
    le64_put(b + 16, sectors);
    b[99] = blockdev_readonly(n->drive); /* NSATTR: write protected */
    b[130] = 9;                          /* LBA format 0: 512 bytes, no metadata */
}

/* "Namespace Identification Descriptor": a UUID made from the device's name, so that runs repeat (FNV-1a). */
static void identify_descriptors(Nvme *n)
{
    enum { TYPE_UUID = 3, UUID_LEN = 16 };
    uint8_t *b = n->buffer;
    uint64_t h[2] = { 14695981039346656037ull, 1099511628211ull };

    for (const char *p = serial(n); *p != '\0'; p++) {
        h[0] = (h[0] ^ (uint8_t)*p) * 1099511628211ull;
        h[1] = (h[1] ^ (uint8_t)~*p) * 1099511628211ull;
    }
    b[0] = TYPE_UUID;
    b[1] = UUID_LEN;
    le64_put(b + 4, h[0]);
    le64_put(b + 12, h[1]);
    b[4 + 6] = (b[4 + 6] & 0x0f) | 0x80; /* version 8: made in a way of our own */
    b[4 + 8] = (b[4 + 8] & 0x3f) | 0x80;
}

static NvmeStatus identify(Nvme *n, const NvmeCommand *c)
{
    memset(n->buffer, 0, NVME_PAGE);
    switch (c->dw[10] & 0xff) {
    case IDENTIFY_NAMESPACE:
        if (c->nsid == 0 || (c->nsid > 1 && c->nsid != 0xffffffff)) {
            return NVME_INVALID_NAMESPACE;
        }
        identify_namespace(n);
        break;
    case IDENTIFY_CONTROLLER:
        identify_controller(n);
        break;
    case IDENTIFY_ACTIVE_NAMESPACES: /* those with higher numbers than the one given */
        if (c->nsid >= 0xfffffffe) {
            return NVME_INVALID_NAMESPACE;
        }
        le32_put(n->buffer, c->nsid == 0);
        break;
    case IDENTIFY_DESCRIPTORS:
        if (c->nsid != 1) {
            return NVME_INVALID_NAMESPACE;
        }
        identify_descriptors(n);
        break;
    default:
        return NVME_INVALID_FIELD;
    }
    return nvme_transfer(n, c, NVME_PAGE, true);
}

/* ---- log pages ---- */

/* "SMART / Health Information". Data units are thousands of 512 bytes, rounded up. */
static void smart(Nvme *n)
{
    uint8_t *b = n->buffer;

    b[0] = KELVIN >= n->feature[FEATURE_TEMPERATURE] || KELVIN <= n->too_cold ? WARNS_TEMPERATURE : 0;
    le16_put(b + 1, KELVIN);
    b[3] = 100; /* available spare, percent */
    b[4] = 10;  /* its threshold */
    le64_put(b + 32, (n->units_read + 999) / 1000);
    le64_put(b + 48, (n->units_written + 999) / 1000);
    le64_put(b + 64, n->reads);
    le64_put(b + 80, n->writes);
    le64_put(b + 112, 1); /* power cycles */
    le64_put(b + 128, (uint64_t)clock_now(n->pci.dev.clock) / 3600000000000ull);
}

static NvmeStatus get_log_page(Nvme *n, const NvmeCommand *c)
{
    static const uint16_t sizes[] = { [NVME_LOG_ERROR] = 64, [LOG_SMART] = 512, [LOG_FIRMWARE] = 512 };
    unsigned              page = c->dw[10] & 0xff;
    uint64_t len = ((c->dw[10] >> 16 | (uint64_t)(c->dw[11] & 0xffff) << 16) + 1) * 4;
    uint64_t off = c->dw[12] | (uint64_t)c->dw[13] << 32;

    if (page < NVME_LOG_ERROR || page > LOG_FIRMWARE) {
        return NVME_INVALID_LOG;
    }
    if (off % 4 != 0 || off > sizes[page] || len > NVME_TRANSFER_MAX) {
        return NVME_INVALID_FIELD;
    }
    memset(n->buffer, 0, sizeof(n->buffer));
    if (page == LOG_SMART) {
        smart(n);
    } else if (page == LOG_FIRMWARE) {
        n->buffer[0] = 1; /* slot 1 runs */
        put_text(n->buffer + 8, 8, "1.0");
    }
    memmove(n->buffer, n->buffer + off, sizes[page]); /* zeros follow */
    /* Bit 15: Retain Asynchronous Event */
    n->event_masked = n->event_masked && (page != NVME_LOG_ERROR || (c->dw[10] >> 15 & 1));
    return nvme_transfer(n, c, (size_t)len, true);
}

/* ---- queues ---- */

static bool queue_taken(const Nvme *n, unsigned q, bool cq)
{
    return cq ? n->cq[q].used : n->sq[q].used;
}

/* What Create I/O Submission Queue and Create I/O Completion Queue have in common. */
static NvmeStatus check_queue(const Nvme *n, const NvmeCommand *c, bool cq)
{
    unsigned q = c->dw[10] & 0xffff, size = (c->dw[10] >> 16) + 1;

    if (q == 0 || q >= NVME_QUEUES || queue_taken(n, q, cq)) {
        return NVME_INVALID_QUEUE;
    }
    if (size < 2 || size > NVME_QUEUE_MAX) {
        return NVME_QUEUE_SIZE;
    }
    if (!(c->dw[11] & 1)) { /* Physically Contiguous is required */
        return NVME_INVALID_FIELD;
    }
    return is_aligned(c->prp[0], NVME_PAGE) ? NVME_OK : NVME_PRP_OFFSET;
}

static bool entries_chosen(const Nvme *n)
{
    return (n->cc >> 16 & 0xf) == 6 && (n->cc >> 20 & 0xf) == 4; /* "IOSQES", "IOCQES" */
}

static NvmeStatus create_cq(Nvme *n, const NvmeCommand *c)
{
    unsigned   q = c->dw[10] & 0xffff, vector = c->dw[11] >> 16;
    NvmeStatus s = check_queue(n, c, true);

    if (s != NVME_OK || !entries_chosen(n)) {
        return s != NVME_OK ? s : NVME_QUEUE_SIZE;
    }
    if (vector >= NVME_QUEUES || (vector != 0 && !pci_msix_enabled(&n->pci))) {
        return NVME_INVALID_VECTOR;
    }
    n->cq[q] = (NvmeCq){ .used = true, .interrupts = (c->dw[11] >> 1 & 1) != 0, .phase = true,
                         .size = (uint16_t)((c->dw[10] >> 16) + 1), .vector = (uint16_t)vector, .addr = c->prp[0] };
    return NVME_OK;
}

static NvmeStatus create_sq(Nvme *n, const NvmeCommand *c)
{
    unsigned   q = c->dw[10] & 0xffff, cq = c->dw[11] >> 16;
    NvmeStatus s = check_queue(n, c, false);

    if (s != NVME_OK || !entries_chosen(n)) {
        return s != NVME_OK ? s : NVME_QUEUE_SIZE;
    }
    if (cq == 0 || cq >= NVME_QUEUES || !n->cq[cq].used) {
        return cq >= NVME_QUEUES || cq == 0 ? NVME_INVALID_QUEUE : NVME_CQ_INVALID;
    }
    n->sq[q] = (NvmeSq){ .used = true, .size = (uint16_t)((c->dw[10] >> 16) + 1), .cqid = (uint16_t)cq,
                         .addr = c->prp[0] };
    return NVME_OK;
}

static NvmeStatus delete_sq(Nvme *n, const NvmeCommand *c)
{
    unsigned q = c->dw[10] & 0xffff;

    if (q == 0 || q >= NVME_QUEUES || !n->sq[q].used) {
        return NVME_INVALID_QUEUE;
    }
    n->sq[q] = (NvmeSq){ 0 };
    return NVME_OK;
}

static NvmeStatus delete_cq(Nvme *n, const NvmeCommand *c)
{
    unsigned q = c->dw[10] & 0xffff;

    if (q == 0 || q >= NVME_QUEUES || !n->cq[q].used) {
        return NVME_INVALID_QUEUE;
    }
    for (unsigned i = 1; i < NVME_QUEUES; i++) {
        if (n->sq[i].used && n->sq[i].cqid == q) {
            return NVME_QUEUE_DELETION;
        }
    }
    n->cq[q] = (NvmeCq){ 0 };
    return NVME_OK;
}

/* ---- */

static NvmeStatus event_request(Nvme *n, const NvmeCommand *c)
{
    if (n->n_events == NVME_EVENTS) {
        return NVME_TOO_MANY_EVENTS;
    }
    n->events[n->n_events++] = c->cid;
    return NVME_LATER;
}

NvmeStatus nvme_admin(Nvme *n, const NvmeCommand *c, uint32_t *result)
{
    switch (c->opcode) {
    case ADMIN_DELETE_SQ:
        return delete_sq(n, c);
    case ADMIN_CREATE_SQ:
        return create_sq(n, c);
    case ADMIN_GET_LOG_PAGE:
        return get_log_page(n, c);
    case ADMIN_DELETE_CQ:
        return delete_cq(n, c);
    case ADMIN_CREATE_CQ:
        return create_cq(n, c);
    case ADMIN_IDENTIFY:
        return identify(n, c);
    case ADMIN_ABORT:
        *result = 1; /* not aborted: commands are over before another is looked at */
        return NVME_OK;
    case ADMIN_SET_FEATURES:
        return set_features(n, c, result);
    case ADMIN_GET_FEATURES:
        return get_features(n, c, result);
    case ADMIN_EVENT_REQUEST:
        return event_request(n, c);
    default:
        return NVME_INVALID_OPCODE;
    }
}
