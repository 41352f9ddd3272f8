/*
 * NVMe commands of I/O queues, and how data is found. Source: NVM Express Base Specification 1.4, "NVM Command Set",
 * "Physical Region Page Entry and List".
 */
#include <string.h>

#include "bytes.h"
#include "hw/nvme/nvme_int.h"

enum { IO_FLUSH = 0x00, IO_WRITE = 0x01, IO_READ = 0x02, PRP_LEN = 8 };

NvmeCommand nvme_decode(const uint8_t raw[NVME_SQE])
{
    NvmeCommand c = {
        .opcode = raw[0], .flags = raw[1], .cid = le16_get(raw + 2), .nsid = le32_get(raw + 4),
        .prp = { le64_get(raw + 24), le64_get(raw + 32) },
    };

    for (unsigned i = 10; i < 16; i++) {
        c.dw[i] = le32_get(raw + 4 * i);
    }
    return c;
}

static bool move(Nvme *n, uint64_t addr, size_t at, size_t len, bool to_host)
{
    return (to_host ? dma_write(&n->pci.dma, addr, n->buffer + at, len)
                    : dma_read(&n->pci.dma, addr, n->buffer + at, len)) == DMA_OK;
}

/* A list goes on in another page by its last entry, there from the page's start. The pages of a transfer are few enough
 * for two lists at most. */
typedef struct PrpList {
    uint64_t addr;
    uint8_t  bytes[NVME_PAGE];
    size_t   len, at; /* bytes of this list; next entry */
} PrpList;

static NvmeStatus load_list(Nvme *n, PrpList *l, uint64_t addr, uint64_t alignment)
{
    if (!is_aligned(addr, alignment)) {
        return NVME_PRP_OFFSET;
    }
    l->addr = addr;
    l->len = NVME_PAGE - addr % NVME_PAGE;
    l->at = 0;
    return dma_read(&n->pci.dma, addr, l->bytes, l->len) == DMA_OK ? NVME_OK : NVME_DATA_TRANSFER;
}

static NvmeStatus next_page(Nvme *n, PrpList *l, bool more_than_one, uint64_t *page)
{
    if (l->at + PRP_LEN == l->len && more_than_one) { /* the last entry of a list that is not enough */
        NvmeStatus s = load_list(n, l, le64_get(l->bytes + l->at), NVME_PAGE);

        if (s != NVME_OK) {
            return s;
        }
    }
    *page = le64_get(l->bytes + l->at);
    l->at += PRP_LEN;
    return is_aligned(*page, NVME_PAGE) ? NVME_OK : NVME_PRP_OFFSET;
}

NvmeStatus nvme_transfer(Nvme *n, const NvmeCommand *c, size_t len, bool to_host)
{
    size_t     first = MIN(len, NVME_PAGE - (size_t)(c->prp[0] % NVME_PAGE)), left = len - first;
    PrpList    list;
    NvmeStatus s = NVME_OK;

    if (!is_aligned(c->prp[0], 4)) {
        return NVME_PRP_OFFSET;
    }
    if (!move(n, c->prp[0], 0, first, to_host)) {
        return NVME_DATA_TRANSFER;
    }
    if (left != 0 && left <= NVME_PAGE) { /* PRP2 is the second page itself */
        if (!is_aligned(c->prp[1], NVME_PAGE)) {
            return NVME_PRP_OFFSET;
        }
        return move(n, c->prp[1], first, left, to_host) ? NVME_OK : NVME_DATA_TRANSFER;
    }
    if (left != 0) {
        s = load_list(n, &list, c->prp[1], PRP_LEN);
    }
    while (left != 0 && s == NVME_OK) {
        size_t   part = MIN(left, (size_t)NVME_PAGE);
        uint64_t page;

        s = next_page(n, &list, left > NVME_PAGE, &page);
        if (s == NVME_OK && !move(n, page, len - left, part, to_host)) {
            s = NVME_DATA_TRANSFER;
        }
        left -= part;
    }
    return s;
}

/* Read and Write: starting LBA in dwords 10 and 11, number of blocks less one in 12. */
static NvmeStatus data_command(Nvme *n, const NvmeCommand *c, bool write)
{
    uint64_t lba = c->dw[10] | (uint64_t)c->dw[11] << 32, total = blockdev_size(n->drive) / BLOCKDEV_SECTOR;
    uint64_t blocks = (c->dw[12] & 0xffff) + 1;
    size_t   len = (size_t)blocks * BLOCKDEV_SECTOR;

    if (c->nsid != 1) {
        return NVME_INVALID_NAMESPACE;
    }
    if (len > NVME_TRANSFER_MAX) {
        return NVME_INVALID_FIELD;
    }
    if (lba >= total || blocks > total - lba) {
        return NVME_LBA_RANGE;
    }
    if (write && blockdev_readonly(n->drive)) {
        return NVME_WRITE_PROTECTED;
    }
    if (!write) {
        n->reads++;
        n->units_read += blocks;
        return blockdev_read(n->drive, lba * BLOCKDEV_SECTOR, n->buffer, len) ? nvme_transfer(n, c, len, true)
                                                                             : NVME_INTERNAL;
    }
    NvmeStatus s = nvme_transfer(n, c, len, false);

    if (s == NVME_OK) {
        n->writes++;
        n->units_written += blocks;
        s = blockdev_write(n->drive, lba * BLOCKDEV_SECTOR, n->buffer, len) ? NVME_OK : NVME_INTERNAL;
    }
    /* Force Unit Access, bit 30 */
    return s == NVME_OK && (c->dw[12] >> 30 & 1) && !blockdev_flush(n->drive) ? NVME_INTERNAL : s;
}

NvmeStatus nvme_io(Nvme *n, const NvmeCommand *c)
{
    switch (c->opcode) {
    case IO_FLUSH:
        if (c->nsid != 1 && c->nsid != 0xffffffff) {
            return NVME_INVALID_NAMESPACE;
        }
        return blockdev_readonly(n->drive) || blockdev_flush(n->drive) ? NVME_OK : NVME_INTERNAL;
    case IO_WRITE:
        return data_command(n, c, true);
    case IO_READ:
        return data_command(n, c, false);
    default:
        return NVME_INVALID_OPCODE;
    }
}
