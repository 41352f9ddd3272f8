/*
 * The DMA test engine: writes a pattern to memory or reads memory, at an address the guest chooses, and says
 * how it ended. It shows what an assigned device can and cannot reach; no real card has one. Its errors are
 * its result: a read that comes back with an error does not count against the interface (guard.c).
 */
#include "bytes.h"
#include "hw/tdisp/nic_int.h"
#include "log.h"

enum { PAGE = 0x1000 };

static EngineStatus status_of(const NicFunction *nic, DmaResult r)
{
    switch (r) {
    case DMA_OK:
        return ENGINE_OK;
    case DMA_GPF:
        return ENGINE_GPF;
    case DMA_REFUSED:
        return ENGINE_REFUSED;
    default:
        return nic->net.v.pci.dma.enabled ? ENGINE_FAULT : ENGINE_REFUSED;
    }
}

static DmaResult transfer(NicFunction *nic, uint64_t command)
{
    DmaEngine *e = &nic->engine;
    DmaPort   *port = &nic_pci(nic)->dma;
    uint8_t    data[PAGE + 8] = { 0 }; /* the last repetition of the pattern may be cut */
    DmaResult  r;

    e->busy = true;
    if (command == ENGINE_WRITE) {
        for (size_t i = 0; i < e->len; i += 8) {
            le64_put(data + i, e->pattern);
        }
        r = dma_write(port, e->addr, data, e->len);
    } else {
        r = dma_read(port, e->addr, data, e->len);
        e->result = r == DMA_OK ? le64_get(data) : e->result; /* shorter: zeros behind */
    }
    e->busy = false;
    return r;
}

static void run_command(Device *dev, const Reg *reg, unsigned index, uint64_t command)
{
    NicFunction *nic = nic_function(dev);
    DmaEngine   *e = &nic->engine;

    e->count++;
    if ((command != ENGINE_WRITE && command != ENGINE_READ) || e->len < 1 || e->len > PAGE) {
        e->status = ENGINE_BAD;
        return;
    }
    e->status = status_of(nic, transfer(nic, command));
    LOG(TDISP, "%s: test engine %s %#llx+%#llx: status %llu", dev->id,
        command == ENGINE_WRITE ? "write" : "read", (unsigned long long)e->addr, (unsigned long long)e->len,
        (unsigned long long)e->status);
}

#define ENGINE(member) FIELD(NicFunction, engine.member)

const Reg engine_regs[ENGINE_N_REGS] = {
    /* offset          name              state            reset         writable  on read  on write */
    { ENGINE_ID,      "ENGINE_ID",      NO_FIELD,        ENGINE_MAGIC, 0,        NULL,    NULL },
    { ENGINE_ADDR,    "ENGINE_ADDR",    ENGINE(addr),    0,            ~0ull,    NULL,    NULL },
    { ENGINE_LEN,     "ENGINE_LEN",     ENGINE(len),     0,            ~0ull,    NULL,    NULL },
    { ENGINE_PATTERN, "ENGINE_PATTERN", ENGINE(pattern), 0,            ~0ull,    NULL,    NULL },
    { ENGINE_CMD,     "ENGINE_CMD",     NO_FIELD,        0,            ~0ull,    NULL,    run_command },
    { ENGINE_STATUS,  "ENGINE_STATUS",  ENGINE(status),  ENGINE_IDLE,  0,        NULL,    NULL },
    { ENGINE_RESULT,  "ENGINE_RESULT",  ENGINE(result),  0,            0,        NULL,    NULL },
    { ENGINE_COUNT,   "ENGINE_COUNT",   ENGINE(count),   0,            0,        NULL,    NULL },
    { ENGINE_FLAGS,   "ENGINE_FLAGS",   ENGINE(flags),   0,            ~0ull,    NULL,    NULL },
};

/* ---- the BAR: the registers at page 0, their mirror at page 1, nothing behind ---- */

static MemResult bar_read(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t *value)
{
    return device_reg_read(opaque, off >= ENGINE_MIRROR ? off - ENGINE_MIRROR : off, size, attrs, value);
}

static MemResult bar_write(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t value)
{
    return device_reg_write(opaque, off >= ENGINE_MIRROR ? off - ENGINE_MIRROR : off, size, attrs, value);
}

const MmioOps engine_ops = { bar_read, bar_write };
