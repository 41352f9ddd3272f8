/*
 * Split virtqueues. The driver is hostile: a chain is copied out of guest memory once, checked as a whole,
 * and only then acted on. A rule broken, or memory that does not answer, stops the device until reset
 * (NEEDS_RESET). Source: VIRTIO 1.2, "Split Virtqueues".
 */
#include <inttypes.h>

#include "bytes.h"
#include "hw/virtio/virtio.h"
#include "log.h"

enum {
    DESC_SIZE = 16,
    DESC_NEXT = 1,
    DESC_WRITE = 2,
    DESC_INDIRECT = 4,
    AVAIL_NO_INTERRUPT = 1,
    RING = 4, /* offset of the entries in both rings, after flags and idx */
    USED_ELEM = 8,
};

typedef struct Desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, next;
} Desc;

bool virtio_ready(const VirtioPci *v, unsigned q)
{
    return (v->status & VIRTIO_STATUS_DRIVER_OK) != 0 && (v->status & VIRTIO_STATUS_NEEDS_RESET) == 0 &&
           q < v->type->n_queues && v->vq[q].enabled;
}

/* Sorts out the result of a DMA: a function that may not send now just waits, anything else breaks the
 * device. */
static bool dma_done(VirtioPci *v, DmaResult r)
{
    if (r == DMA_OK) {
        return true;
    }
    if (r != DMA_REFUSED && v->pci.dma.enabled) {
        virtio_broken(v, "memory does not answer");
    }
    return false;
}

static bool get(VirtioPci *v, uint64_t addr, void *dst, size_t len)
{
    return dma_done(v, dma_read(&v->pci.dma, addr, dst, len));
}

static bool put(VirtioPci *v, uint64_t addr, const void *src, size_t len)
{
    return dma_done(v, dma_write(&v->pci.dma, addr, src, len));
}

static bool get16(VirtioPci *v, uint64_t addr, uint16_t *value)
{
    uint8_t b[2];

    if (!get(v, addr, b, sizeof(b))) {
        return false;
    }
    *value = le16_get(b);
    return true;
}

static bool put16(VirtioPci *v, uint64_t addr, uint16_t value)
{
    uint8_t b[2];

    le16_put(b, value);
    return put(v, addr, b, sizeof(b));
}

/* ---- available ring ---- */

/* Entries the driver offers, after a look at its index; -1 when it did not answer or is impossible. */
static int offered(VirtioPci *v, VirtQueue *vq)
{
    if (vq->avail_idx == vq->last_avail && !get16(v, vq->avail + 2, &vq->avail_idx)) {
        return -1;
    }
    uint16_t n = (uint16_t)(vq->avail_idx - vq->last_avail);

    if (n > vq->size) {
        virtio_broken(v, "available index runs ahead of the ring");
        return -1;
    }
    return n;
}

/* With event indexes: asks for a notification at the next entry. Not repeated while nothing changed. */
static void ask_notification(VirtioPci *v, VirtQueue *vq)
{
    if (!virtio_has(v, VIRTIO_F_EVENT_IDX) || (vq->avail_event_valid && vq->avail_event == vq->last_avail)) {
        return;
    }
    if (put16(v, vq->used + RING + USED_ELEM * (uint64_t)vq->size, vq->last_avail)) {
        vq->avail_event = vq->last_avail;
        vq->avail_event_valid = true;
    }
}

bool virtq_available(VirtioPci *v, unsigned q)
{
    if (!virtio_ready(v, q)) {
        return false;
    }
    int n = offered(v, &v->vq[q]);

    if (n == 0) {
        ask_notification(v, &v->vq[q]);
    }
    return n != 0;
}

/* ---- chains ---- */

static bool bad(VirtioPci *v, const char *why)
{
    virtio_broken(v, why);
    return false;
}

static bool get_desc(VirtioPci *v, uint64_t table, unsigned i, Desc *d)
{
    uint8_t b[DESC_SIZE];

    if (!get(v, table + (uint64_t)i * DESC_SIZE, b, sizeof(b))) {
        return false;
    }
    *d = (Desc){ le64_get(b), le32_get(b + 8), le16_get(b + 12), le16_get(b + 14) };
    return true;
}

/* "The Virtqueue Descriptor Table": readable buffers first, no more of them than the queue is long. */
static bool add_buffer(VirtioPci *v, const VirtQueue *vq, VirtChain *c, const Desc *d)
{
    unsigned n = c->n_out + c->n_in;

    if (n >= vq->size) {
        return bad(v, "chain longer than the queue");
    }
    if (d->len != 0 && d->addr + (d->len - 1) < d->addr) {
        return bad(v, "buffer wraps around the end of memory");
    }
    if (d->flags & DESC_WRITE) {
        c->n_in++;
        c->in_len += d->len;
    } else {
        if (c->n_in != 0) {
            return bad(v, "readable buffer after a writable one");
        }
        c->n_out++;
        c->out_len += d->len;
    }
    c->seg[n] = (VirtSeg){ d->addr, d->len };
    return true;
}

/* Follows one table of @n descriptors from @i. *@indirect receives the table that the last one points to,
 * if any. */
static bool walk(VirtioPci *v, const VirtQueue *vq, VirtChain *c, uint64_t table, unsigned n, unsigned i,
                 Desc *indirect)
{
    for (unsigned steps = 0; steps < n; steps++) {
        Desc d;

        if (i >= n) {
            return bad(v, "descriptor outside its table");
        }
        if (!get_desc(v, table, i, &d)) {
            return false;
        }
        if (d.flags & DESC_INDIRECT) {
            if (indirect == NULL || (d.flags & DESC_NEXT) || !virtio_has(v, VIRTIO_F_INDIRECT_DESC)) {
                return bad(v, "indirect descriptor where none may be");
            }
            *indirect = d;
            return true;
        }
        if (!add_buffer(v, vq, c, &d)) {
            return false;
        }
        if (!(d.flags & DESC_NEXT)) {
            return true;
        }
        i = d.next;
    }
    return bad(v, "chain loops");
}

/* Reads and checks the whole chain at c->head. */
static bool load_chain(VirtioPci *v, const VirtQueue *vq, VirtChain *c)
{
    Desc indirect = { 0 };

    c->n_out = c->n_in = 0;
    c->out_len = c->in_len = 0;
    if (!walk(v, vq, c, vq->desc, vq->size, c->head, &indirect)) {
        return false;
    }
    if (!(indirect.flags & DESC_INDIRECT)) {
        return true;
    }
    if (indirect.len == 0 || indirect.len % DESC_SIZE != 0 || indirect.len / DESC_SIZE > vq->size) {
        return bad(v, "indirect table of a wrong length");
    }
    return walk(v, vq, c, indirect.addr, indirect.len / DESC_SIZE, 0, NULL);
}

/* The available entry at last_avail, the first of @n; as many as fit are read at once and kept until they are taken. */
static bool next_head(VirtioPci *v, VirtQueue *vq, unsigned n, uint16_t *head)
{
    uint16_t at = (uint16_t)(vq->last_avail - vq->ahead_at);

    if (at >= vq->n_ahead) {
        unsigned slot = vq->last_avail & (vq->size - 1u);

        n = MIN(MIN(n, VIRTQ_AHEAD), vq->size - slot);
        vq->n_ahead = 0;
        if (!get(v, vq->avail + RING + 2 * (uint64_t)slot, vq->ahead, 2 * n)) {
            return false;
        }
        vq->ahead_at = vq->last_avail;
        vq->n_ahead = (uint16_t)n;
        at = 0;
    }
    *head = le16_get(vq->ahead + 2 * at);
    return true;
}

VirtqResult virtq_pop(VirtioPci *v, unsigned q, VirtChain *chain)
{
    VirtQueue *vq = &v->vq[q];

    if (!virtio_ready(v, q)) {
        return VIRTQ_EMPTY;
    }
    int n = offered(v, vq);

    if (n == 0) {
        ask_notification(v, vq);
    }
    if (n <= 0 || !next_head(v, vq, (unsigned)n, &chain->head)) {
        return v->status & VIRTIO_STATUS_NEEDS_RESET ? VIRTQ_BROKEN : VIRTQ_EMPTY;
    }
    if (chain->head >= vq->size) {
        bad(v, "available entry names no descriptor");
        return VIRTQ_BROKEN;
    }
    if (!load_chain(v, vq, chain)) {
        return v->status & VIRTIO_STATUS_NEEDS_RESET ? VIRTQ_BROKEN : VIRTQ_EMPTY;
    }
    vq->last_avail++;
    return VIRTQ_CHAIN;
}

void virtq_unpop(VirtioPci *v, unsigned q)
{
    v->vq[q].last_avail--;
}

/* ---- used ring ---- */

bool virtq_push_all(VirtioPci *v, unsigned q, const VirtUsed *used, unsigned n)
{
    VirtQueue *vq = &v->vq[q];
    uint8_t    elem[USED_ELEM * VIRTQ_MAX_SIZE];

    for (unsigned i = 0, part; i < n; i += part) { /* up to the end of the ring, and on from its start */
        unsigned slot = (vq->used_idx + i) & (vq->size - 1u);

        part = MIN(n - i, vq->size - slot);
        for (unsigned k = 0; k < part; k++) {
            le32_put(elem + USED_ELEM * k, used[i + k].head);
            le32_put(elem + USED_ELEM * k + 4, used[i + k].written);
        }
        if (!put(v, vq->used + RING + USED_ELEM * (uint64_t)slot, elem, (size_t)USED_ELEM * part)) {
            return false;
        }
    }
    vq->used_idx = (uint16_t)(vq->used_idx + n);
    return put16(v, vq->used + 2, vq->used_idx);
}

bool virtq_push(VirtioPci *v, unsigned q, const VirtChain *chain, uint32_t written)
{
    return virtq_push_all(v, q, &(VirtUsed){ chain->head, written }, 1);
}

/* "Used Buffer Notification Suppression": by event index when agreed on, else by the driver's flag. */
static bool wants_interrupt(VirtioPci *v, VirtQueue *vq)
{
    uint16_t word, old = vq->signalled;
    bool     first = !vq->signalled_valid;

    if (!virtio_has(v, VIRTIO_F_EVENT_IDX)) {
        return get16(v, vq->avail, &word) && (word & AVAIL_NO_INTERRUPT) == 0;
    }
    if (!get16(v, vq->avail + RING + 2 * (uint64_t)vq->size, &word)) {
        return false;
    }
    vq->signalled = vq->used_idx;
    vq->signalled_valid = true;
    /* Whether used_idx has passed the entry the driver named since the last interrupt. */
    return first || (uint16_t)(vq->used_idx - word - 1) < (uint16_t)(vq->used_idx - old);
}

static void interrupt(VirtioPci *v, uint16_t vector, uint8_t isr_bit)
{
    if (pci_msix_enabled(&v->pci)) {
        pci_msix_notify(&v->pci, vector);
    } else {
        v->isr |= isr_bit;
        pci_set_intx(&v->pci, true);
    }
}

void virtq_notify(VirtioPci *v, unsigned q)
{
    if (virtio_ready(v, q) && wants_interrupt(v, &v->vq[q])) {
        interrupt(v, v->vq[q].vector, 1);
    }
}

/* ---- device-wide ---- */

void virtio_config_changed(VirtioPci *v)
{
    v->config_generation++;
    if (v->status & VIRTIO_STATUS_DRIVER_OK) {
        interrupt(v, v->config_vector, 2);
    }
}

void virtio_broken(VirtioPci *v, const char *why)
{
    guest_error("%s: %s; the device needs a reset", v->pci.dev.id, why);
    if (!(v->status & VIRTIO_STATUS_NEEDS_RESET)) {
        v->status |= VIRTIO_STATUS_NEEDS_RESET;
        virtio_config_changed(v);
    }
}

/* ---- data of a chain ---- */

typedef DmaResult Copy(DmaPort *port, uint64_t iova, uint8_t *buf, size_t len);

static DmaResult copy_from_guest(DmaPort *port, uint64_t iova, uint8_t *buf, size_t len)
{
    return dma_read(port, iova, buf, len);
}

static DmaResult copy_to_guest(DmaPort *port, uint64_t iova, uint8_t *buf, size_t len)
{
    return dma_write(port, iova, buf, len);
}

static bool copy_segments(VirtioPci *v, const VirtSeg *seg, unsigned n, uint64_t off, uint8_t *buf,
                          size_t len, Copy *copy)
{
    for (unsigned i = 0; i < n && len > 0; i++) {
        if (off >= seg[i].len) {
            off -= seg[i].len;
            continue;
        }
        size_t part = MIN(len, seg[i].len - (size_t)off);

        if (!dma_done(v, copy(&v->pci.dma, seg[i].addr + off, buf, part))) {
            return false;
        }
        buf += part;
        len -= part;
        off = 0;
    }
    return len == 0;
}

bool virtio_chain_read(VirtioPci *v, const VirtChain *chain, uint64_t off, void *dst, size_t len)
{
    return copy_segments(v, chain->seg, chain->n_out, off, dst, len, copy_from_guest);
}

bool virtio_chain_write(VirtioPci *v, const VirtChain *chain, uint64_t off, const void *src, size_t len)
{
    return copy_segments(v, chain->seg + chain->n_out, chain->n_in, off, (uint8_t *)src, len, copy_to_guest);
}
