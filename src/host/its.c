/*
 * The physical ITS and the LPIs of passed-through functions, driven as a kernel does: tables and command
 * queue in our Non-secure memory, one LPI for each vector, all to CPU 0's collection. IHI 0069, "The
 * Interrupt Translation Service", "LPIs".
 */
#include "host/host_int.h"
#include "log.h"

enum {
    GICR_CTLR = 0x0000, GICR_PROPBASER = 0x0070, GICR_PENDBASER = 0x0078,
    GITS_CTLR = 0x0000, GITS_CBASER = 0x0080, GITS_CWRITER = 0x0088, GITS_CREADR = 0x0090,
    GITS_BASER_DEVICES = 0x0100, GITS_BASER_COLLECTIONS = 0x0108,
    CMD_SYNC = 0x05, CMD_MAPD = 0x08, CMD_MAPC = 0x09, CMD_MAPTI = 0x0a, CMD_INV = 0x0c,
    CMD_SIZE = 32,
    LPI_ID_BITS = 14,       /* the least that has LPIs: 8192 of them */
    N_LPIS = (1 << LPI_ID_BITS) - GIC_FIRST_LPI,
    LPI_CONFIG = 0xa0 | 1,  /* priority, enabled */
    COLLECTION = 0,         /* of CPU 0 */
};
#define VALID           (1ull << 63)
#define BASER_INDIRECT  (1ull << 62)
#define INNER_SHAREABLE (1ull << 10)
#define CACHEABLE       (7ull << 59) /* read and write allocate, write-back */
#define PENDBASER_PTZ   (1ull << 62) /* the table is all zeros */
#define CONFIG_PAGES    (N_LPIS / PAGE_SIZE)
#define PENDING_ALIGN   0x10000ull

static void put_reg(Host *h, unsigned reg, unsigned size, uint64_t v)
{
    host_reg_write(h, h->cfg.board->its.base + reg, size, v);
}

/* One command; the ITS has done it when GITS_CREADR has passed it. */
static void command(Host *h, uint64_t dw0, uint64_t dw1, uint64_t dw2)
{
    HostIts *its = &h->its;
    uint64_t at = its->queue + its->writer;

    host_put64(h, at, dw0);
    host_put64(h, at + 8, dw1);
    host_put64(h, at + 16, dw2);
    host_put64(h, at + 24, 0);
    its->writer = (its->writer + CMD_SIZE) % PAGE_SIZE;
    put_reg(h, GITS_CWRITER, 8, its->writer);
    if (host_reg_read(h, h->cfg.board->its.base + GITS_CREADR, 8) != its->writer) {
        log_error("the built-in host's ITS command 0x%llx was not taken", (unsigned long long)dw0);
    }
}

/* LPIs of every CPU: one configuration table, a pending table each. */
static bool enable_lpis(Host *h)
{
    h->its.config = host_alloc_pages(h, CONFIG_PAGES, PAGE_SIZE);
    for (unsigned i = 0; i < h->n_recs && h->its.config != 0; i++) {
        uint64_t frame = h->cfg.board->gicr + i * CCA_GICR_STRIDE, pending = host_alloc_pages(h, 1, PENDING_ALIGN);

        if (pending == 0) {
            return false;
        }
        host_reg_write(h, frame + GICR_PROPBASER, 8, h->its.config | INNER_SHAREABLE | (LPI_ID_BITS - 1));
        host_reg_write(h, frame + GICR_PENDBASER, 8, pending | INNER_SHAREABLE | PENDBASER_PTZ);
        host_reg_write(h, frame + GICR_CTLR, 4, 1);
    }
    return h->its.config != 0;
}

/* Device table in two levels of 4 KiB pages, so that only the used stretches of requester IDs take memory. */
bool host_its_init(Host *h)
{
    HostIts *its = &h->its;
    uint64_t collections = host_alloc(h);

    its->queue = host_alloc(h);
    its->devices = host_alloc(h);
    its->next_lpi = GIC_FIRST_LPI;
    if (collections == 0 || its->queue == 0 || its->devices == 0 || !enable_lpis(h)) {
        return false;
    }
    put_reg(h, GITS_CBASER, 8, VALID | CACHEABLE | its->queue | INNER_SHAREABLE);
    put_reg(h, GITS_BASER_DEVICES, 8, VALID | BASER_INDIRECT | CACHEABLE | its->devices | INNER_SHAREABLE);
    put_reg(h, GITS_BASER_COLLECTIONS, 8, VALID | CACHEABLE | collections | INNER_SHAREABLE);
    put_reg(h, GITS_CTLR, 4, 1);
    command(h, CMD_MAPC, 0, VALID | 0ull << 16 | COLLECTION); /* processor number 0 */
    command(h, CMD_SYNC, 0, 0ull << 16);
    return true;
}

/* The second level of the device table where @device's entry goes. */
static bool add_device_page(Host *h, uint32_t device)
{
    uint64_t at = h->its.devices + device / (PAGE_SIZE / 8) * 8, page;

    if (host_get64(h, at) & VALID) {
        return true;
    }
    page = host_alloc(h);
    host_put64(h, at, VALID | page);
    return page != 0;
}

bool host_its_map(Host *h, uint32_t device, unsigned n, uint32_t *first_lpi)
{
    uint64_t itt = host_alloc(h), device_id = (uint64_t)device << 32;
    unsigned bits = 1;

    while (1u << bits < n) {
        bits++;
    }
    if (itt == 0 || n > HOST_MAX_VECTORS || h->its.next_lpi + n > GIC_FIRST_LPI + N_LPIS ||
        !add_device_page(h, device)) {
        log_error("the built-in host has no room for %u interrupts of PCI function %04x", n, device);
        return false;
    }
    *first_lpi = h->its.next_lpi;
    h->its.next_lpi += n;
    command(h, CMD_MAPD | device_id, bits - 1, VALID | itt);
    for (unsigned v = 0; v < n; v++) {
        uint32_t lpi = *first_lpi + v;
        uint8_t  config = LPI_CONFIG;

        memory_write(h->cfg.memory, h->its.config + lpi - GIC_FIRST_LPI, host_attrs, &config, 1);
        command(h, CMD_MAPTI | device_id, v | (uint64_t)lpi << 32, COLLECTION);
        command(h, CMD_INV | device_id, v, 0);
    }
    command(h, CMD_SYNC, 0, 0ull << 16);
    return true;
}
