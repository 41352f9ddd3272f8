/* A driver for tests: brings up a virtio function behind a PciRig and lays out queues in its RAM. */
#ifndef BAILEY_TESTS_VIRTIO_RIG_H
#define BAILEY_TESTS_VIRTIO_RIG_H

#include "hw/virtio/virtio.h"
#include "pci_rig.h"

/* Where the driver keeps things: descriptor table, available ring, used ring of each queue; buffers. */
#define VR_QUEUE(q)    (RIG_RAM + 0x10000ull * ((q) + 1))
#define VR_AVAIL(q)    (VR_QUEUE(q) + 0x2000)
#define VR_USED(q)     (VR_QUEUE(q) + 0x3000)
#define VR_BUFFERS     (RIG_RAM + 0x100000ull)
#define VR_QUEUE_SIZE  16u

#define VIRTQ_DESC_NEXT     1
#define VIRTQ_DESC_WRITE    2
#define VIRTQ_DESC_INDIRECT 4

typedef struct VirtioRig {
    PciRig    *pci;
    VirtioPci *v;
    uint64_t   bar;
    uint16_t   avail[VIRTIO_MAX_QUEUES]; /* next available index */
} VirtioRig;

VirtioRig *vr_new(PciRig *r, const char *option, uint64_t features);
void       vr_free(VirtioRig *r); /* the PciRig too */

/* MSI-X: all vectors to the doorbell, each with its number, and enabled. */
void vr_vectors(VirtioRig *r);

/* The initialization sequence with all queues of VR_QUEUE_SIZE entries; vector q + 1 for queue q, 0 for
 * configuration. */
void vr_start(VirtioRig *r, uint64_t features);

void vr_desc(VirtioRig *r, uint64_t table, unsigned i, uint64_t addr, uint32_t len, uint16_t flags,
             uint16_t next);
/* Makes descriptor @head available, and tells the device when @kick. */
void     vr_offer(VirtioRig *r, unsigned q, uint16_t head, bool kick);
uint16_t vr_used_idx(VirtioRig *r, unsigned q);
uint32_t vr_used_len(VirtioRig *r, unsigned q, unsigned i);
uint8_t  vr_status(VirtioRig *r);

#endif
