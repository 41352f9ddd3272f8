/*
 * One data object to a device's mailbox and one back, by configuration requests, cut into steps. The bytes
 * are the RMM's and the device's; this file looks at no more than the object's header. Source: PCI Express
 * Base Specification 6.0, "Data Object Exchange (DOE)".
 */
#include <string.h>

#include "bits.h"
#include "bytes.h"
#include "host/assign.h"
#include "hw/pci/doe.h"
#include "log.h"

enum {
    CONTROL = 0x08,
    STATUS = 0x0c,
    WRITE = 0x10,
    READ = 0x14,
    HEADER_DW = 2,
    WORDS_PER_STEP = 64,
    MAX_POLLS = 1000, /* a device must answer within a second */
    POLL_NS = 1000000,
};
#define CONTROL_ABORT BIT(0)
#define CONTROL_GO    BIT(31)
#define STATUS_BUSY   BIT(0)
#define STATUS_ERROR  BIT(2)
#define STATUS_READY  BIT(31)

static uint32_t get(const HostRelay *r, unsigned reg)
{
    return host_config_read(r->f, r->f->doe_cap + reg, 4);
}

static void put(const HostRelay *r, unsigned reg, uint32_t v)
{
    host_config_write(r->f, r->f->doe_cap + reg, 4, v);
}

void relay_start(HostRelay *r, const HostFunction *f, uint8_t type, const uint8_t *payload, size_t len)
{
    len = MIN(len, (size_t)RMI_COMM_BUFFER_MAX);
    memset(r, 0, sizeof(*r));
    r->f = f;
    r->type = type;
    r->state = RELAY_SETTLE;
    r->n_dw = (uint32_t)(HEADER_DW + align_up(len, 4) / 4);
    le32_put(r->object, DOE_VENDOR_PCISIG | (uint32_t)type << 16);
    le32_put(r->object + 4, r->n_dw);
    memcpy(r->object + 8, payload, len);
}

static void fail(HostRelay *r, const char *why)
{
    LOG(DOE, "host: exchange with %04x failed: %s", r->f->bdf, why);
    put(r, CONTROL, CONTROL_ABORT);
    r->state = RELAY_FAILED;
}

/* Looks again in a while, unless the device was given its time: then it failed. */
static void poll_later(HostRelay *r, const char *why)
{
    if (++r->polls > MAX_POLLS) {
        fail(r, why);
    } else {
        r->wake_ns += POLL_NS;
    }
}

/* A reply nobody read, an error, an object that nobody waits for any more: cleared away first. */
static void settle(HostRelay *r)
{
    if (!(get(r, STATUS) & (STATUS_BUSY | STATUS_ERROR | STATUS_READY))) {
        r->state = RELAY_SEND;
        return;
    }
    put(r, CONTROL, CONTROL_ABORT);
    if (get(r, STATUS) & (STATUS_BUSY | STATUS_ERROR | STATUS_READY)) {
        poll_later(r, "the mailbox does not become free");
    }
}

static void send_words(HostRelay *r)
{
    for (unsigned n = 0; n < WORDS_PER_STEP && r->pos < r->n_dw; n++, r->pos++) {
        put(r, WRITE, le32_get(r->object + 4 * (size_t)r->pos));
    }
    if (r->pos == r->n_dw) {
        put(r, CONTROL, CONTROL_GO);
        r->polls = r->pos = 0;
        r->state = RELAY_WAIT;
    }
}

static void wait_ready(HostRelay *r)
{
    uint32_t status = get(r, STATUS);

    if (status & STATUS_ERROR) {
        fail(r, "the mailbox says error");
    } else if (status & STATUS_READY) {
        r->n_dw = HEADER_DW;
        r->state = RELAY_RECEIVE;
    } else {
        poll_later(r, "no answer for a second");
    }
}

/* The second header word is in: how many there are. */
static bool check_header(HostRelay *r)
{
    uint32_t head = le32_get(r->object), length = le32_get(r->object + 4) & (DOE_MAX_DW - 1);

    r->n_dw = length;
    return (head & 0xffffff) == (DOE_VENDOR_PCISIG | (uint32_t)r->type << 16) && length >= HEADER_DW &&
           length <= HEADER_DW + RMI_COMM_BUFFER_MAX / 4;
}

static void receive_words(HostRelay *r)
{
    for (unsigned n = 0; n < WORDS_PER_STEP && r->pos < r->n_dw; n++) {
        if (!(get(r, STATUS) & STATUS_READY)) {
            fail(r, "the answer ends early");
            return;
        }
        le32_put(r->object + 4 * (size_t)r->pos++, get(r, READ));
        put(r, READ, 0);
        if (r->pos == HEADER_DW && !check_header(r)) {
            fail(r, "the answer is of another kind, or longer than a page");
            return;
        }
    }
    if (r->pos == r->n_dw) {
        if (get(r, STATUS) & STATUS_ERROR) {
            fail(r, "the mailbox says error after the answer");
        } else {
            r->state = RELAY_DONE;
        }
    }
}

bool relay_step(HostRelay *r, int64_t now_ns)
{
    if (relay_sleeps(r, now_ns)) {
        return false;
    }
    r->wake_ns = now_ns;
    switch (r->state) {
    case RELAY_SETTLE: settle(r); break;
    case RELAY_SEND: send_words(r); break;
    case RELAY_WAIT: wait_ready(r); break;
    case RELAY_RECEIVE: receive_words(r); break;
    default: break;
    }
    return r->state == RELAY_DONE || r->state == RELAY_FAILED;
}
