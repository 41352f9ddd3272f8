/*
 * Bus mastering: one request is cut at the pages of its translation, each piece checked against the page's
 * owner by memory_read/memory_write.
 */
#include "dma.h"

#include <inttypes.h>

#include "bits.h"
#include "bytes.h"
#include "log.h"

const char *dma_result_name(DmaResult r)
{
    static const char *const names[] = {
        [DMA_OK] = "ok",         [DMA_FAULT] = "translation fault", [DMA_GPF] = "granule protection fault",
        [DMA_ABORT] = "abort",   [DMA_REFUSED] = "refused",
    };

    return (unsigned)r < sizeof(names) / sizeof(names[0]) ? names[r] : "?";
}

static DmaResult translate(DmaPort *port, const DmaRequest *req, DmaTarget *out)
{
    if (port->translate == NULL) {
        *out = (DmaTarget){ .pa = req->iova, .len = UINT64_MAX - req->iova, .pas = PAS_NONSECURE };
        return DMA_OK;
    }
    return port->translate(port->opaque, req, out);
}

static DmaResult from_mem(MemResult r)
{
    return r == MEM_OK ? DMA_OK : r == MEM_GPF ? DMA_GPF : DMA_ABORT;
}

/* One translated piece of up to @len bytes; *@done receives how many it was. */
static DmaResult copy_piece(DmaPort *port, const DmaRequest *req, uint8_t *buf, size_t len, size_t *done)
{
    DmaTarget t;
    DmaResult r = translate(port, req, &t);

    if (r != DMA_OK) {
        return r;
    }
    size_t   n = t.len < len ? (size_t)t.len : len;
    MemAttrs attrs = { .pas = t.pas, .is_device = true, .requester = port->requester };

    if (n == 0) { /* a translation of nothing would never end */
        return DMA_ABORT;
    }
    *done = n;
    MemResult m = req->write ? memory_write(port->memory, t.pa, attrs, buf, n)
                             : memory_read(port->memory, t.pa, attrs, buf, n);

    if (m == MEM_OK && !req->is_msi) {
        *(req->write ? &port->bytes_written[t.pas] : &port->bytes_read[t.pas]) += n;
    }
    return from_mem(m);
}

static DmaResult copy(DmaPort *port, uint64_t iova, uint8_t *buf, size_t len, bool write)
{
    if (!port->enabled) {
        return DMA_ABORT;
    }
    if (len != 0 && iova + (len - 1) < iova) { /* wraps */
        return DMA_ABORT;
    }
    DmaRequest req = { .requester = port->requester, .trusted = port->trusted, .write = write, .iova = iova };

    while (len > 0) {
        size_t    n = 0;
        DmaResult r = copy_piece(port, &req, buf, len, &n);

        if (r != DMA_OK) {
            guest_error("DMA %s of requester 0x%x at 0x%" PRIx64 ": %s", write ? "write" : "read",
                        port->requester, req.iova, dma_result_name(r));
            return r;
        }
        req.iova += n;
        buf += n;
        len -= n;
    }
    return DMA_OK;
}

DmaResult dma_read(DmaPort *port, uint64_t iova, void *dst, size_t len)
{
    return copy(port, iova, dst, len, false);
}

DmaResult dma_write(DmaPort *port, uint64_t iova, const void *src, size_t len)
{
    return copy(port, iova, (uint8_t *)src, len, true); /* only read from when writing to memory */
}

DmaResult dma_msi(DmaPort *port, uint64_t iova, uint32_t data)
{
    DmaRequest req = {
        .requester = port->requester,
        .trusted = port->msi_trusted,
        .write = true,
        .is_msi = true,
        .iova = iova,
    };
    uint8_t bytes[4];
    size_t  n = 0;

    if (!port->enabled || !is_aligned(iova, 4)) {
        return DMA_ABORT;
    }
    le32_put(bytes, data);
    DmaResult r = copy_piece(port, &req, bytes, sizeof(bytes), &n);

    LOG(IRQ, "requester 0x%x sends MSI 0x%" PRIx64 " = 0x%x: %s", port->requester, iova, data,
        dma_result_name(r));
    return r;
}
