/*
 * Virtio entropy device. The bytes come from the device's own seeded generator, so runs repeat.
 * Source: VIRTIO 1.2, "Entropy Device".
 */
#include "hw/virtio/virtio.h"

enum { PART = 4096 };

typedef struct VirtioRng {
    VirtioPci v;
    uint8_t   part[PART];
} VirtioRng;

static void notify(VirtioPci *v, unsigned q)
{
    VirtioRng *r = (VirtioRng *)v;
    bool       any = false;

    while (virtq_pop(v, q, &v->chain) == VIRTQ_CHAIN) {
        size_t n = (size_t)MIN(v->chain.in_len, (uint64_t)PART); /* fewer than asked for is allowed */

        if (n != 0) {
            entropy_bytes(&v->pci.dev.entropy, r->part, n);
        }
        if (!virtio_chain_write(v, &v->chain, 0, r->part, n) || !virtq_push(v, q, &v->chain, (uint32_t)n)) {
            return;
        }
        any = true;
    }
    if (any) {
        virtq_notify(v, q);
    }
}

static const VirtioType rng_type = {
    .id = VIRTIO_ID_RNG, .class_code = 0x00ff00, .n_queues = 1, .queue_size = 64, .notify = notify,
};

static bool rng_realize(Device *dev, GError **error)
{
    virtio_pci_init((VirtioPci *)dev, &rng_type, &virtio_default_layout, 0, NULL);
    return true;
}

DEVICE(virtio_rng,
       VIRTIO_CLASS("virtio-rng-pci", VirtioRng, rng_realize, .desc = "virtio random numbers, from -seed"));
