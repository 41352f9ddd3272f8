/*
 * Virtio block device: one queue, requests finished before the notification returns, but for those of a driver that
 * offers very much. With tdisp=on it carries a security manager. Source: VIRTIO 1.2, "Block Device".
 */
#include <stdio.h>
#include <string.h>

#include "blockdev.h"
#include "bytes.h"
#include "hw/tdisp/dsm.h"
#include "hw/virtio/virtio.h"
#include "log.h"

enum {
    T_IN = 0,
    T_OUT = 1,
    T_FLUSH = 4,
    T_GET_ID = 8,
    S_OK = 0,
    S_IOERR = 1,
    S_UNSUPP = 2,
    HDR = 16,
    ID_LEN = 20,
    CONFIG_LEN = 24, /* up to blk_size */
    SEG_MAX = 254,   /* of a queue of 256: header and status take two */
    BUFFER = 64 * 1024,
    BLK_BAR = 4,
    REQUEST_MAX = 64 << 20, /* one request must not hold up the event loop; many must not, by turns */
};

#define F_SEG_MAX  BIT(2)
#define F_RO       BIT(5)
#define F_BLK_SIZE BIT(6)
#define F_FLUSH    BIT(9)

typedef struct VirtioBlk {
    VirtioPci  v;
    char      *drive_id; /* property drive= */
    char      *serial;   /* property serial= */
    bool       tdisp;
    Blockdev  *drive;
    VirtioTurn turn;
    Dsm        dsm;
    uint8_t    buffer[BUFFER];
} VirtioBlk;

static VirtioBlk *blk(VirtioPci *v)
{
    return (VirtioBlk *)v;
}

static void config_get(VirtioPci *v, uint8_t *config)
{
    le64_put(config, blockdev_size(blk(v)->drive) / BLOCKDEV_SECTOR);
    le32_put(config + 12, SEG_MAX);
    le32_put(config + 20, BLOCKDEV_SECTOR);
}

/* The checks of a data request; @len is the length of its data. */
static bool range_ok(const VirtioBlk *b, uint64_t sector, uint64_t len)
{
    uint64_t sectors = blockdev_size(b->drive) / BLOCKDEV_SECTOR;

    return len % BLOCKDEV_SECTOR == 0 && len <= REQUEST_MAX && sector <= sectors &&
           len / BLOCKDEV_SECTOR <= sectors - sector;
}

static uint8_t read_sectors(VirtioBlk *b, const VirtChain *c, uint64_t sector, uint64_t len)
{
    if (!range_ok(b, sector, len)) {
        return S_IOERR;
    }
    for (uint64_t at = 0; at < len; at += BUFFER) {
        size_t part = (size_t)MIN(len - at, (uint64_t)BUFFER);

        if (!blockdev_read(b->drive, sector * BLOCKDEV_SECTOR + at, b->buffer, part) ||
            !virtio_chain_write(&b->v, c, at, b->buffer, part)) {
            return S_IOERR;
        }
    }
    return S_OK;
}

static uint8_t write_sectors(VirtioBlk *b, const VirtChain *c, uint64_t sector, uint64_t len)
{
    if (!range_ok(b, sector, len) || blockdev_readonly(b->drive)) {
        return S_IOERR;
    }
    for (uint64_t at = 0; at < len; at += BUFFER) {
        size_t part = (size_t)MIN(len - at, (uint64_t)BUFFER);

        if (!virtio_chain_read(&b->v, c, HDR + at, b->buffer, part) ||
            !blockdev_write(b->drive, sector * BLOCKDEV_SECTOR + at, b->buffer, part)) {
            return S_IOERR;
        }
    }
    return S_OK;
}

static uint8_t get_id(VirtioBlk *b, const VirtChain *c, uint64_t room)
{
    char id[ID_LEN + 1] = { 0 };

    snprintf(id, sizeof(id), "%s", b->serial != NULL ? b->serial : blockdev_id(b->drive));
    return room >= ID_LEN && virtio_chain_write(&b->v, c, 0, id, ID_LEN) ? S_OK : S_IOERR;
}

/* One request; *@written receives the bytes put into the data part. */
static uint8_t serve(VirtioBlk *b, const VirtChain *c, uint64_t *written)
{
    uint8_t  hdr[HDR];
    uint64_t out = c->out_len - HDR, in = c->in_len - 1;
    uint8_t  status;

    *written = 0;
    if (!virtio_chain_read(&b->v, c, 0, hdr, HDR)) {
        return S_IOERR;
    }
    switch (le32_get(hdr)) {
    case T_IN:
        status = read_sectors(b, c, le64_get(hdr + 8), in);
        *written = status == S_OK ? in : 0;
        return status;
    case T_OUT:
        return write_sectors(b, c, le64_get(hdr + 8), out);
    case T_FLUSH:
        return blockdev_flush(b->drive) ? S_OK : S_IOERR;
    case T_GET_ID:
        status = get_id(b, c, in);
        *written = status == S_OK ? ID_LEN : 0;
        return status;
    default:
        return S_UNSUPP;
    }
}

static void serve_queue(VirtioPci *v, unsigned q)
{
    VirtioBlk *b = blk(v);
    bool       any = false;

    while (virtio_turn_pop(&b->turn, q)) {
        const VirtChain *c = &v->chain;
        uint64_t         written;

        if (c->out_len < HDR || c->in_len < 1) {
            virtio_broken(v, "block request without header or status");
            return;
        }
        virtio_turn_spend(&b->turn, MIN(c->out_len + c->in_len, (uint64_t)REQUEST_MAX));
        uint8_t status = serve(b, c, &written);

        if (!virtio_chain_write(v, c, c->in_len - 1, &status, 1) ||
            !virtq_push(v, q, c, (uint32_t)written + 1)) {
            return;
        }
        any = true;
    }
    if (any) {
        virtq_notify(v, q);
    }
}

static void notify(VirtioPci *v, unsigned q)
{
    virtio_turn_notify(&blk(v)->turn, q);
}

static void reset(VirtioPci *v)
{
    virtio_turn_reset(&blk(v)->turn);
}

static const VirtioType blk_type = {
    .id = VIRTIO_ID_BLOCK,
    .class_code = 0x010000,
    .n_queues = 1,
    .queue_size = 256,
    .features = F_SEG_MAX | F_BLK_SIZE | F_FLUSH,
    .config_len = CONFIG_LEN,
    .config_get = config_get,
    .notify = notify,
    .reset = reset,
};

/* As the plain one, which has MSI-X in a BAR of its own. */
static const VirtioLayout tdisp_layout = {
    .bar = BLK_BAR, .common = 0, .isr = 0x1000, .device = 0x2000, .notify = 0x3000, .msix_bar = 1,
    .extra_vectors = DSM_N_VECTORS, .devcap = PCI_EXP_DEVCAP_TEE_IO,
};

static void blk_scrub(PciDevice *pd)
{
    device_reset(&pd->dev);
}

static void blk_reset(Device *dev)
{
    VirtioBlk *b = (VirtioBlk *)dev;

    virtio_pci_reset(dev);
    memset(b->buffer, 0, sizeof(b->buffer));
    memset(&b->v.chain, 0, sizeof(b->v.chain));
}

static const TdiRange blk_ranges[] = { { BLK_BAR, 0, 0, 0 } };

static const TdiModel blk_model = {
    .ranges = blk_ranges, .n_ranges = ARRAY_LEN(blk_ranges), .info = "bailey virtio-blk-pci 1: virtio disk",
    .scrub = blk_scrub,
};

static bool blk_assignable(const Device *dev)
{
    return ((const VirtioBlk *)dev)->tdisp;
}

static bool blk_realize(Device *dev, GError **error)
{
    VirtioBlk *b = (VirtioBlk *)dev;

    b->drive = blockdev_of_device(b->drive_id, dev->id, error);
    if (b->drive == NULL ||
        !(b->tdisp ? dsm_configure(&b->dsm, &b->v.pci, error) : dsm_absent(&b->dsm, &b->v.pci, error))) {
        return false;
    }
    virtio_pci_init(&b->v, &blk_type, b->tdisp ? &tdisp_layout : &virtio_default_layout,
                    blk_type.features | (blockdev_readonly(b->drive) ? F_RO : 0), NULL);
    virtio_turn_init(&b->turn, &b->v, serve_queue);
    if (b->tdisp) {
        dsm_realize(&b->dsm, &blk_model, b->v.pci_cfg_cap);
    }
    return true;
}

static void blk_unrealize(Device *dev)
{
    VirtioBlk *b = (VirtioBlk *)dev;

    virtio_turn_deinit(&b->turn);
    if (b->tdisp) {
        dsm_unrealize(&b->dsm);
    }
}

static const Prop blk_props[] = {
    { "drive", PROP_STRING, offsetof(VirtioBlk, drive_id), NULL, "id of the -drive it shows" },
    { "serial", PROP_STRING, offsetof(VirtioBlk, serial), NULL, "serial number, up to 20 characters" },
    { "tdisp", PROP_BOOL, offsetof(VirtioBlk, tdisp), "off", "carry a security manager: SPDM, IDE and TDISP" },
    DSM_PROPS(offsetof(VirtioBlk, dsm)),
};

DEVICE(virtio_blk, .name = "virtio-blk-pci", .bus = "pci", .state_size = sizeof(VirtioBlk), .desc = "virtio disk",
       .props = blk_props, .n_props = ARRAY_LEN(blk_props), .realize = blk_realize, .unrealize = blk_unrealize,
       .reset = blk_reset, .assignable = blk_assignable);
