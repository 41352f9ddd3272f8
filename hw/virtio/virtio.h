/*
 * Virtio 1.2 over PCI, modern interface, split queues: transport and queue core for device types. A type is a
 * VirtioType table and a state struct whose first member is VirtioPci; a bigger PCI function (tdisp-nic)
 * embeds a type's struct the same way and chooses the layout of its BARs. Source: Virtual I/O Device (VIRTIO)
 * Version 1.2, "Virtio Over PCI Bus" and "Split Virtqueues". Not modelled: the legacy interface, packed
 * queues.
 */
#ifndef BAILEY_HW_VIRTIO_VIRTIO_H
#define BAILEY_HW_VIRTIO_VIRTIO_H

#include "hw/pci/pci.h"

typedef struct VirtioPci VirtioPci;

enum {
    VIRTIO_MAX_QUEUES = 8,
    VIRTQ_MAX_SIZE = 256,
    VIRTQ_AHEAD = 32,
    VIRTIO_CONFIG_MAX = 256,

    VIRTIO_STATUS_ACKNOWLEDGE = 1,
    VIRTIO_STATUS_DRIVER = 2,
    VIRTIO_STATUS_DRIVER_OK = 4,
    VIRTIO_STATUS_FEATURES_OK = 8,
    VIRTIO_STATUS_NEEDS_RESET = 64,
    VIRTIO_STATUS_FAILED = 128,

    VIRTIO_ID_NET = 1,
    VIRTIO_ID_BLOCK = 2,
    VIRTIO_ID_CONSOLE = 3,
    VIRTIO_ID_RNG = 4,
    VIRTIO_ID_9P = 9,
    VIRTIO_ID_GPU = 16,
    VIRTIO_ID_INPUT = 18,
    VIRTIO_ID_VSOCK = 19,
};

#define VIRTIO_F_INDIRECT_DESC   BIT(28)
#define VIRTIO_F_EVENT_IDX       BIT(29)
#define VIRTIO_F_VERSION_1       BIT(32)
#define VIRTIO_F_ACCESS_PLATFORM BIT(33)
#define VIRTIO_F_SR_IOV          BIT(37)

/* One buffer of a chain, checked: addr + len does not wrap. */
typedef struct VirtSeg {
    uint64_t addr;
    uint32_t len;
} VirtSeg;

/* A chain taken from the available ring after all of it was checked: readable buffers first, then writable
 * ones. */
typedef struct VirtChain {
    uint16_t head;
    unsigned n_out, n_in;     /* buffers the device reads, writes */
    uint64_t out_len, in_len; /* bytes of each part */
    VirtSeg  seg[VIRTQ_MAX_SIZE];
} VirtChain;

typedef struct VirtQueue {
    uint16_t size;       /* chosen by the driver, a power of two up to max */
    uint16_t max;
    bool     enabled;
    uint16_t vector;
    uint64_t desc, avail, used;
    uint16_t avail_idx;  /* the driver's index when last read */
    uint16_t last_avail; /* next available entry to take */
    uint16_t ahead_at, n_ahead;      /* entries that were read before they are taken: a driver takes none back */
    uint8_t  ahead[2 * VIRTQ_AHEAD];
    uint16_t avail_event; /* what we last asked to be notified at (event index) */
    bool     avail_event_valid;
    uint16_t used_idx;   /* next used entry to write */
    uint16_t signalled;  /* used_idx at the last interrupt (event index) */
    bool     signalled_valid;
} VirtQueue;

/* A device type. */
typedef struct VirtioType {
    uint16_t id;         /* device ID of the virtio specification */
    uint32_t class_code;
    unsigned n_queues;
    uint16_t queue_size; /* at most VIRTQ_MAX_SIZE */
    uint64_t features;   /* of the type; the ring's and transport's are added here */
    unsigned config_len;
    /* Whether a driver may choose these of the offered features together. May be NULL. */
    bool (*accepts)(uint64_t features);
    /* Fills the whole device configuration; NULL when config_len is 0. */
    void (*config_get)(VirtioPci *v, uint8_t *config);
    /* The driver wrote device configuration (few types have a writable field). May be NULL. */
    void (*config_set)(VirtioPci *v, unsigned off, unsigned size, uint32_t value);
    /* The driver notified queue @q; only while DRIVER_OK and the queue is enabled. */
    void (*notify)(VirtioPci *v, unsigned q);
    /* DRIVER_OK was set. May be NULL. */
    void (*start)(VirtioPci *v);
    /* Device reset (status 0, FLR, machine reset). May be NULL. */
    void (*reset)(VirtioPci *v);
} VirtioType;

/* Where the transport's structures are. Each of the four structures gets a 4 KiB page. */
typedef struct VirtioLayout {
    uint8_t  bar;        /* 64-bit memory BAR of the four structures, 16 KiB */
    uint32_t common, isr, device, notify; /* offsets in it, multiples of 4 KiB */
    uint8_t  msix_bar;   /* 32-bit memory BAR, 4 KiB: table at 0, pending bits at 0x800 */
    unsigned extra_vectors; /* MSI-X vectors of the embedding function, numbered after the type's */
    uint32_t devcap;     /* more bits of Device Capabilities, such as PCI_EXP_DEVCAP_TEE_IO */
} VirtioLayout;

/* BAR 4: common, ISR, device, notify; BAR 1: MSI-X. As QEMU lays out its modern devices. */
extern const VirtioLayout virtio_default_layout;

struct VirtioPci {
    PciDevice           pci;
    const VirtioType   *type;
    const VirtioLayout *layout;
    uint64_t            host_features, driver_features;
    uint32_t            device_feature_select, driver_feature_select;
    uint16_t            config_vector, queue_select;
    uint8_t             status, isr, config_generation;
    uint8_t             pci_cfg_cap; /* offset of the VIRTIO_PCI_CAP_PCI_CFG capability */
    VirtQueue           vq[VIRTIO_MAX_QUEUES];
    VirtChain           chain; /* scratch of the queue being served */
};

/**
 * virtio_pci_init - build the transport; from a type's or an embedding function's realize().
 * @features: type->features, or fewer
 * The caller may have added capabilities and BARs before and may add more after.
 */
void virtio_pci_init(VirtioPci *v, const VirtioType *type, const VirtioLayout *layout, uint64_t features,
                     const PciIds *ids_override);

/* The class of a type that is a PCI function by itself: VIRTIO_CLASS("virtio-rng-pci", VirtioRng, realize,
 * ...). */
#define VIRTIO_CLASS(class_name, type_struct, realize_fn, ...)                                          \
    .name = class_name, .bus = "pci", .state_size = sizeof(type_struct), .realize = realize_fn,         \
    .reset = virtio_pci_reset, __VA_ARGS__

/* virtio_pci_reset - the class's reset(). */
void virtio_pci_reset(Device *dev);

/* virtio_has - a feature both sides agreed on. */
static inline bool virtio_has(const VirtioPci *v, uint64_t feature)
{
    return (v->driver_features & feature) != 0;
}

/* virtio_ready - the driver runs (DRIVER_OK), the device is not broken, and queue @q is enabled. */
bool virtio_ready(const VirtioPci *v, unsigned q);

typedef enum VirtqResult {
    VIRTQ_EMPTY,  /* nothing available, or the function may not send DMA now */
    VIRTQ_CHAIN,
    VIRTQ_BROKEN, /* the driver broke a rule or memory did not answer: NEEDS_RESET was set */
} VirtqResult;

/**
 * virtq_pop - take the next chain.
 * @chain: filled on VIRTQ_CHAIN; the whole chain was checked: flags, order, loop, length, wrap
 */
VirtqResult virtq_pop(VirtioPci *v, unsigned q, VirtChain *chain);

/* virtq_unpop - give the last popped chain back (not enough room for a frame yet). */
void virtq_unpop(VirtioPci *v, unsigned q);

/* A chain that goes back to the driver. */
typedef struct VirtUsed {
    uint16_t head;
    uint32_t written; /* bytes in its writable part */
} VirtUsed;

/**
 * virtq_push - return a chain with @written bytes in its writable part; false when the ring did not answer.
 * virtq_push_all - the same for up to VIRTQ_MAX_SIZE, which the driver sees together (merged buffers).
 */
bool virtq_push(VirtioPci *v, unsigned q, const VirtChain *chain, uint32_t written);
bool virtq_push_all(VirtioPci *v, unsigned q, const VirtUsed *used, unsigned n);

/* virtq_notify - interrupt the driver unless it asked not to be. Once after a batch of pushes. */
void virtq_notify(VirtioPci *v, unsigned q);

/* virtq_available - whether virtq_pop would find something now (or find the ring broken). */
bool virtq_available(VirtioPci *v, unsigned q);

/* virtio_chain_read - bytes from the readable part at @off; false: too short, or DMA failed (device
 * broken). */
bool virtio_chain_read(VirtioPci *v, const VirtChain *chain, uint64_t off, void *dst, size_t len);

/* virtio_chain_write - bytes into the writable part at @off. */
bool virtio_chain_write(VirtioPci *v, const VirtChain *chain, uint64_t off, const void *src, size_t len);

/* ---- turns ---- */

/* A type whose requests may be long, or whose answers a driver may lay over its own ring, so that each offers one more,
 * serves its queues in turns. Part of its state. */
typedef struct VirtioTurn {
    VirtioPci *v;
    void     (*serve)(VirtioPci *v, unsigned q);
    int64_t    left; /* of this turn, bytes */
    ClockTimer rest; /* set: the queues have more than that */
} VirtioTurn;

/* virtio_turn_init - from realize(), after virtio_pci_init(); @serve takes chains while virtio_turn_pop() has some. */
void virtio_turn_init(VirtioTurn *t, VirtioPci *v, void (*serve)(VirtioPci *v, unsigned q));
void virtio_turn_deinit(VirtioTurn *t);

/* virtio_turn_reset - from the type's reset(). */
void virtio_turn_reset(VirtioTurn *t);

/* virtio_turn_notify - what the type's notify() does. */
void virtio_turn_notify(VirtioTurn *t, unsigned q);

/* virtio_turn_pop - the next chain into v->chain; false: there is none, or the rest waits for another turn. */
bool virtio_turn_pop(VirtioTurn *t, unsigned q);

/* virtio_turn_spend - @len bytes of data are about to be copied. */
void virtio_turn_spend(VirtioTurn *t, uint64_t len);

/* virtio_config_changed - device configuration changed: new generation, configuration interrupt. */
void virtio_config_changed(VirtioPci *v);

/* virtio_broken - stop serving until reset; @why goes to the trace. */
void virtio_broken(VirtioPci *v, const char *why);

#endif
