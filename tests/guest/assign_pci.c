/*
 * The host's side of the physical bus: a root port with one device below it is placed, its IDE stream set up, its
 * mailbox used. PCI Express Base Specification 6.0, "Type 0 and 1 Configuration Space Header", "IDE Extended
 * Capability", "Data Object Exchange (DOE)". The addresses are those of QEMU's virt board.
 */
#include "tests/guest/assign.h"

#define ECAM    0x4010000000ull
#define WINDOW  0x10000000ull   /* 32-bit, not prefetchable */
#define WINDOW64 0x8000000000ull
#define MIB     0x100000ull
#define PART    (64 * MIB)      /* of each window for a port */

enum { COMMAND = 0x04, HEADER_TYPE = 0x0c, BAR0 = 0x10, BUSES = 0x18, MEMORY_WINDOW = 0x20, PREF_WINDOW = 0x24,
       PREF_BASE_UPPER = 0x28, PREF_LIMIT_UPPER = 0x2c, EXT_CAPS = 0x100, EXT_CAP_DOE = 0x2e, EXT_CAP_IDE = 0x30 };
enum { COMMAND_MEMORY = 2, COMMAND_MASTER = 4, BAR_64 = 4, BAR_PREFETCH = 8 };
enum { N_DEVICES = 32, DOE_VENDOR = 1, DOE_DISCOVERY = 0, DOE_SPDM = 1, DOE_SECURED = 2 };

static uint64_t at(uint16_t bdf, unsigned off) { return ECAM + ((uint64_t)bdf << 12) + off; }
static uint32_t get(uint16_t bdf, unsigned off) { return *(volatile uint32_t *)at(bdf, off); }
static void     put(uint16_t bdf, unsigned off, uint32_t v) { *(volatile uint32_t *)at(bdf, off) = v; }

static unsigned find_cap(uint16_t bdf, unsigned id)
{
    unsigned off = EXT_CAPS;

    while (off != 0 && (get(bdf, off) & 0xffff) != id) {
        off = get(bdf, off) >> 20;
    }
    return off;
}

/* ---- placement ---- */

static void place_bars(AssignDevice *d, uint64_t *next, uint64_t *next64)
{
    for (unsigned i = 0; i < 6; i++) {
        unsigned off = BAR0 + 4 * i;
        uint32_t flags = get(d->bdf, off) & 0xf;
        bool     wide = (flags & 6) == BAR_64;
        uint64_t mask, *from = (flags & BAR_PREFETCH) && wide ? next64 : next;

        put(d->bdf, off, ~0u);
        mask = get(d->bdf, off) & ~0xfu;
        if (wide) {
            put(d->bdf, off + 4, ~0u);
            mask |= (uint64_t)get(d->bdf, off + 4) << 32;
        } else if (mask != 0) {
            mask |= 0xffffffffull << 32;
        }
        if (mask != 0) {
            uint64_t size = ~mask + 1, align = size < PAGE_SIZE ? PAGE_SIZE : size;

            d->bar[i].size = size;
            d->bar[i].base = (*from + align - 1) & ~(align - 1);
            *from = d->bar[i].base + align;
            put(d->bdf, off, (uint32_t)d->bar[i].base);
            if (wide) {
                put(d->bdf, off + 4, (uint32_t)(d->bar[i].base >> 32));
            }
        }
        i += wide;
    }
}

static uint32_t window(uint64_t base, uint64_t limit)
{
    return (uint32_t)(base >> 16 & 0xfff0) | (uint32_t)(limit >> 16 & 0xfff0) << 16;
}

bool assign_pci_start(AssignDevice *d, unsigned nth)
{
    uint64_t base = WINDOW + nth * PART, base64 = WINDOW64 + nth * PART, next = base, next64 = base64;
    unsigned bus = nth + 1;

    for (unsigned dev = 0; dev < N_DEVICES && d->port == 0; dev++) {
        uint16_t bdf = (uint16_t)(dev << 3);
        if (get(bdf, 0) != ~0u && (get(bdf, HEADER_TYPE) >> 16 & 0x7f) == 1 && nth-- == 0) {
            d->port = bdf;
        }
    }
    if (d->port == 0) {
        return false;
    }
    put(d->port, BUSES, bus << 8 | bus << 16);
    d->bdf = (uint16_t)(bus << 8);
    if (get(d->bdf, 0) == ~0u || find_cap(d->bdf, EXT_CAP_DOE) == 0 || find_cap(d->bdf, EXT_CAP_IDE) == 0) {
        return false;
    }
    place_bars(d, &next, &next64);
    put(d->port, MEMORY_WINDOW, window(base, (next + MIB - 1) / MIB * MIB - 1));
    put(d->port, PREF_WINDOW, window(base64, (next64 + MIB - 1) / MIB * MIB - 1));
    put(d->port, PREF_BASE_UPPER, (uint32_t)(base64 >> 32));
    put(d->port, PREF_LIMIT_UPPER, (uint32_t)(next64 >> 32));
    put(d->port, COMMAND, COMMAND_MEMORY | COMMAND_MASTER);
    put(d->bdf, COMMAND, COMMAND_MEMORY | COMMAND_MASTER);
    return true;
}

/* ---- the IDE stream ---- */

enum { IDE_CAP = 0x04, IDE_BLOCKS = 0x0c, SEL_CONTROL = 0x04, SEL_STATUS = 0x08, SEL_RID1 = 0x0c, SEL_RID2 = 0x10,
       SEL_ADDR = 0x14 };
#define IDE_LINK        (1u << 0)
#define IDE_CFG         (1u << 7)
#define IDE_TEE_LIMITED (1u << 24)
#define SEL_ENABLE      (1u << 0)
#define SEL_CFG         (1u << 9)
#define SEL_DEFAULT     (1u << 22)
#define SEL_TEE_LIMITED (1u << 23)
#define SEL_SECURE      2

/* The first selective block, for stream 0 with @peer; with the keys in use it is Secure as soon as it is enabled. */
static bool stream_end(uint16_t bdf, uint16_t peer, bool port, bool enable)
{
    unsigned ide = find_cap(bdf, EXT_CAP_IDE), block = ide + IDE_BLOCKS;
    uint32_t cap = get(bdf, ide + IDE_CAP), control = SEL_DEFAULT;

    block += cap & IDE_LINK ? 8 * ((cap >> 13 & 7) + 1) : 0;
    if (port && (cap & IDE_CFG)) {
        control |= SEL_CFG;
    }
    if (!port && (cap & IDE_TEE_LIMITED)) {
        control |= SEL_TEE_LIMITED;
    }
    if (!enable) {
        put(bdf, block + SEL_CONTROL, control);
        put(bdf, block + SEL_RID1, (uint32_t)peer << 8);
        put(bdf, block + SEL_RID2, (uint32_t)peer << 8 | 1);
    }
    put(bdf, block + SEL_CONTROL, control | (enable ? SEL_ENABLE : 0));
    return true;
}

static bool is_secure(uint16_t bdf)
{
    unsigned ide = find_cap(bdf, EXT_CAP_IDE), block = ide + IDE_BLOCKS;
    uint32_t cap = get(bdf, ide + IDE_CAP);

    block += cap & IDE_LINK ? 8 * ((cap >> 13 & 7) + 1) : 0;
    return (get(bdf, block + SEL_STATUS) & 0xf) == SEL_SECURE;
}

bool assign_pci_stream(const AssignDevice *d, bool enable)
{
    return stream_end(d->port, d->bdf, true, enable) && stream_end(d->bdf, d->port, false, enable) &&
           (!enable || (is_secure(d->port) && is_secure(d->bdf)));
}

/* ---- the mailbox ---- */

enum { DOE_CONTROL = 0x08, DOE_STATUS = 0x0c, DOE_WRITE = 0x10, DOE_READ = 0x14, DOE_HEADER_DW = 2, POLLS = 1000000 };
#define DOE_GO    (1u << 31)
#define DOE_ERROR (1u << 2)
#define DOE_READY (1u << 31)

uint32_t assign_pci_doe(const AssignDevice *d, unsigned type, uint64_t message, uint64_t len, uint64_t answer)
{
    unsigned doe = find_cap(d->bdf, EXT_CAP_DOE);
    uint32_t n = (uint32_t)(len + 3) / 4, status = 0;

    put(d->bdf, doe + DOE_WRITE, DOE_VENDOR | type << 16);
    put(d->bdf, doe + DOE_WRITE, DOE_HEADER_DW + n);
    for (uint32_t i = 0; i < n; i++) {
        put(d->bdf, doe + DOE_WRITE, ((volatile uint32_t *)message)[i]);
    }
    put(d->bdf, doe + DOE_CONTROL, DOE_GO);
    for (unsigned i = 0; i < POLLS && !(status & (DOE_READY | DOE_ERROR)); i++) {
        status = get(d->bdf, doe + DOE_STATUS);
    }
    if (!(status & DOE_READY)) {
        return 0;
    }
    uint32_t head[DOE_HEADER_DW];
    for (unsigned i = 0; i < DOE_HEADER_DW; i++) {
        head[i] = get(d->bdf, doe + DOE_READ);
        put(d->bdf, doe + DOE_READ, 0);
    }
    if (head[0] != (DOE_VENDOR | type << 16) || head[1] < DOE_HEADER_DW || head[1] > PAGE_SIZE / 4) {
        return 0;
    }
    for (uint32_t i = 0; i < head[1] - DOE_HEADER_DW; i++) {
        ((volatile uint32_t *)answer)[i] = get(d->bdf, doe + DOE_READ);
        put(d->bdf, doe + DOE_READ, 0);
    }
    return (head[1] - DOE_HEADER_DW) * 4;
}

/* "DOE Discovery": both kinds of SPDM object. */
bool assign_pci_discover(const AssignDevice *d)
{
    volatile uint32_t query = 0, found;
    unsigned          types = 0;

    do {
        if (assign_pci_doe(d, DOE_DISCOVERY, (uint64_t)&query, 4, (uint64_t)&found) != 4) {
            return false;
        }
        types |= (found & 0xffff) == DOE_VENDOR ? 1u << (found >> 16 & 31) : 0;
        query = found >> 24;
    } while (query != 0);
    return (types >> DOE_SPDM & 1) && (types >> DOE_SECURED & 1);
}
