/*
 * Building the Realm and keeping its memory: the recipe of measured steps, pages mapped at their first access
 * (a whole 2 MiB area at once, folded into a block when complete), and pages that change between private and
 * shared.
 *
 * The recipe, which src/tool/rim.c recomputes: REALM_CREATE; RIPAS RAM over all RAM in ascending order,
 * entry by entry, with level 3 tables in the areas that hold images; the images' pages in ascending order,
 * measured; RECs.
 */
#include "host/host_int.h"
#include "log.h"

#define CALLS_PER_STEP 256
/* Stage 2 memory attributes of unprotected mappings, FWB form. */
enum { MEMATTR_DEVICE = 1, MEMATTR_NORMAL_WB = 6 };

static bool create_realm(Host *h, A64Cpu *cpu)
{
    uint64_t params = host_alloc(h), x0;

    h->rd = host_alloc_delegated(h, cpu);
    h->rtt_root = host_alloc_delegated(h, cpu);
    h->staging = host_alloc(h);
    if (params == 0 || h->rd == 0 || h->rtt_root == 0 || h->staging == 0) {
        return false;
    }
    host_rmi(h, cpu, RMI_FID_FEATURES, 0, 0, 0, 0, 0);
    h->da = cpu->x[1] & RMI_FEATURE0_DA;
    host_put64(h, params + RMI_REALM_FLAGS0,
               (h->da ? RMI_REALM_FLAG_DA : 0) | (h->cfg.options->realm_pmu != 0 ? RMI_REALM_FLAG_PMU : 0));
    host_put64(h, params + RMI_REALM_PMU_NUM_CTRS, h->cfg.options->realm_pmu);
    host_put64(h, params + RMI_REALM_S2SZ, IPA_BITS);
    host_put64(h, params + RMI_REALM_NUM_BPS, 1);
    host_put64(h, params + RMI_REALM_NUM_WPS, 1);
    host_put64(h, params + RMI_REALM_HASH_ALGO, RMI_HASH_SHA_256);
    host_put64(h, params + RMI_REALM_VMID, 1);
    host_put64(h, params + RMI_REALM_RTT_BASE, h->rtt_root);
    host_put64(h, params + RMI_REALM_RTT_LEVEL_START, 0);
    host_put64(h, params + RMI_REALM_RTT_NUM_START, 1);
    x0 = host_rmi(h, cpu, RMI_FID_REALM_CREATE, h->rd, params, 0, 0, 0);
    host_release(h, params);
    if (x0 != RMI_SUCCESS) {
        host_fail(h, "create the Realm", x0);
        return false;
    }
    machine_note_step(h->cfg.machine, "realm-created");
    return true;
}

bool host_rtt_create(Host *h, A64Cpu *cpu, uint64_t ipa, unsigned level, uint64_t *granule)
{
    uint64_t rtt = host_alloc_delegated(h, cpu), x0;

    if (rtt == 0) {
        return false;
    }
    x0 = host_rmi(h, cpu, RMI_FID_RTT_CREATE, h->rd, rtt, align_down(ipa, 1ull << (12 + 9 * (4 - level))),
                  level, 0);
    if (x0 != RMI_SUCCESS) {
        host_fail(h, "create a Realm translation table", x0);
        return false;
    }
    if (granule != NULL) {
        *granule = rtt;
    }
    return true;
}

/* Tables down to @level for @ipa, where they are missing. */
static bool ensure_tables(Host *h, A64Cpu *cpu, uint64_t ipa, unsigned level)
{
    for (;;) {
        uint64_t x0 = host_rmi(h, cpu, RMI_FID_RTT_READ_ENTRY, h->rd,
                               align_down(ipa, 1ull << (12 + 9 * (3 - level))), level, 0, 0);

        if (x0 != RMI_SUCCESS) {
            host_fail(h, "read a Realm translation table", x0);
            return false;
        }
        unsigned reached = (unsigned)cpu->x[1];
        if (reached >= level) {
            return true;
        }
        uint64_t *keep = reached == 2 && host_is_ram(h, ipa) ? &host_block(h, ipa)->rtt : NULL;
        if (!host_rtt_create(h, cpu, ipa, reached + 1, keep)) {
            return false;
        }
        if (keep != NULL) {
            host_block(h, ipa)->table = true;
        }
    }
}

static bool piece_overlaps(const LoadPiece *p, uint64_t base, uint64_t len)
{
    return p->bytes != NULL &&
           ranges_overlap(p->addr, align_up(g_bytes_get_size(p->bytes), PAGE_SIZE), base, len);
}

static bool block_holds_image(const Host *h, uint64_t base)
{
    for (size_t i = 0; i < ARRAY_LEN(h->layout.piece); i++) {
        if (piece_overlaps(&h->layout.piece[i], base, BLOCK_SIZE)) {
            return true;
        }
    }
    return false;
}

/* RIPAS RAM for the 2 MiB area at h->progress. */
static bool init_ripas(Host *h, A64Cpu *cpu)
{
    uint64_t base = h->progress, top = base + BLOCK_SIZE;

    if (!ensure_tables(h, cpu, base, block_holds_image(h, base) ? 3 : 2)) {
        return false;
    }
    while (base < top) {
        uint64_t x0 = host_rmi(h, cpu, RMI_FID_RTT_INIT_RIPAS, h->rd, base, top, 0, 0);

        if (x0 != RMI_SUCCESS) {
            host_fail(h, "set the RIPAS of the Realm's memory", x0);
            return false;
        }
        base = cpu->x[1];
    }
    h->progress = top;
    return true;
}

/* The image that holds the page at @ipa, or NULL. */
static const LoadPiece *piece_at(const Host *h, uint64_t ipa)
{
    for (size_t i = 0; i < ARRAY_LEN(h->layout.piece); i++) {
        if (piece_overlaps(&h->layout.piece[i], ipa, PAGE_SIZE)) {
            return &h->layout.piece[i];
        }
    }
    return NULL;
}

/* One page of an image: through the staging page into a DATA granule, measured. */
static bool load_page(Host *h, A64Cpu *cpu, const LoadPiece *p, uint64_t ipa)
{
    gsize          len;
    const uint8_t *data = g_bytes_get_data(p->bytes, &len);
    uint64_t       off = ipa - p->addr, part = MIN(PAGE_SIZE, len - off), x0;

    memory_write(h->cfg.memory, h->staging, host_attrs, data + off, part);
    if (part < PAGE_SIZE) {
        memory_zero(h->cfg.memory, h->staging + part, host_attrs, PAGE_SIZE - part);
    }
    if (!host_delegate(h, cpu, ipa)) {
        return false;
    }
    x0 = host_rmi(h, cpu, RMI_FID_DATA_CREATE, h->rd, ipa, ipa, h->staging, RMI_DATA_MEASURE);
    if (x0 != RMI_SUCCESS) {
        host_fail(h, "load an image into the Realm", x0);
        return false;
    }
    *host_page(h, ipa) = HOST_PAGE_PRIVATE;
    host_block(h, ipa)->n_private++;
    return true;
}

static bool load_images(Host *h, A64Cpu *cpu)
{
    uint64_t end = MIN(h->progress + CALLS_PER_STEP * PAGE_SIZE, h->ram_base + h->ram_size);

    for (; h->progress < end; h->progress += PAGE_SIZE) {
        const LoadPiece *p = piece_at(h, h->progress);

        if (p != NULL && !load_page(h, cpu, p, h->progress)) {
            return false;
        }
    }
    return true;
}

static bool create_rec(Host *h, A64Cpu *cpu, unsigned i)
{
    HostCpu *hc = &h->cpus[i];
    uint64_t params = host_alloc(h), x0, n_aux;

    hc->rec = host_alloc_delegated(h, cpu);
    hc->run = host_alloc(h);
    if (params == 0 || hc->rec == 0 || hc->run == 0) {
        return false;
    }
    x0 = host_rmi(h, cpu, RMI_FID_REC_AUX_COUNT, h->rd, 0, 0, 0, 0);
    n_aux = cpu->x[1];
    if (x0 != RMI_SUCCESS) {
        host_fail(h, "ask for the granules of a REC", x0);
        return false;
    }
    host_put64(h, params + RMI_REC_FLAGS, i == 0 ? RMI_REC_RUNNABLE : 0);
    host_put64(h, params + RMI_REC_MPIDR, RMI_MPIDR_OF_INDEX(i));
    host_put64(h, params + RMI_REC_PC, h->layout.entry);
    host_put64(h, params + RMI_REC_GPRS, i == 0 ? h->layout.dtb_addr : 0);
    host_put64(h, params + RMI_REC_NUM_AUX, n_aux);
    for (hc->n_aux = 0; hc->n_aux < MIN(n_aux, RMI_REC_AUX_MAX); hc->n_aux++) {
        uint64_t aux = host_alloc_delegated(h, cpu);

        if (aux == 0) {
            return false;
        }
        host_put64(h, params + RMI_REC_AUX + 8 * hc->n_aux, aux);
        hc->aux[hc->n_aux] = aux;
    }
    x0 = host_rmi(h, cpu, RMI_FID_REC_CREATE, h->rd, hc->rec, params, 0, 0);
    host_release(h, params);
    if (x0 != RMI_SUCCESS) {
        host_fail(h, "create a REC", x0);
        return false;
    }
    hc->state = i == 0 ? HOST_REC_READY : HOST_REC_OFF;
    return true;
}

void host_next_phase(Host *h, HostPhase phase, uint64_t progress)
{
    if (h->phase != HOST_FAILED) {
        h->phase = phase;
        h->progress = progress;
    }
}

bool host_realm_step(Host *h, A64Cpu *cpu)
{
    uint64_t ram_end = h->ram_base + h->ram_size, x0;

    switch (h->phase) {
    case HOST_CREATE:
        create_realm(h, cpu);
        host_next_phase(h, HOST_RIPAS, h->ram_base);
        return true;
    case HOST_RIPAS:
        init_ripas(h, cpu);
        if (h->progress >= ram_end) {
            host_next_phase(h, HOST_DATA, h->ram_base);
        }
        return true;
    case HOST_DATA:
        load_images(h, cpu);
        if (h->progress >= ram_end) {
            host_next_phase(h, HOST_RECS, 0);
        }
        return true;
    case HOST_RECS:
        create_rec(h, cpu, (unsigned)h->progress++);
        if (h->progress == h->n_recs) {
            host_next_phase(h, HOST_ACTIVATE, 0);
        }
        return true;
    case HOST_ACTIVATE:
        x0 = host_rmi(h, cpu, RMI_FID_REALM_ACTIVATE, h->rd, 0, 0, 0, 0);
        if (x0 != RMI_SUCCESS) {
            host_fail(h, "activate the Realm", x0);
        }
        machine_note_step(h->cfg.machine, "realm-active");
        host_next_phase(h, HOST_DEVICES, 0);
        return true;
    case HOST_DEVICES:
        if (host_assign_step(h, cpu)) {
            host_next_phase(h, HOST_RUN, 0);
        }
        return h->progress == 0 || h->progress > h->n_devices || !host_device_sleeps(h, &h->devices[h->progress - 1]);
    default:
        return false;
    }
}

/* ---- private pages ---- */

static bool map_private_page(Host *h, A64Cpu *cpu, uint64_t ipa)
{
    uint64_t x0;

    if (!host_delegate(h, cpu, ipa)) {
        return false;
    }
    x0 = host_rmi(h, cpu, RMI_FID_DATA_CREATE_UNKNOWN, h->rd, ipa, ipa, 0, 0);
    if (x0 != RMI_SUCCESS) {
        host_fail(h, "map a page of the Realm", x0);
        return false;
    }
    *host_page(h, ipa) = HOST_PAGE_PRIVATE;
    host_block(h, ipa)->n_private++;
    return true;
}

/* A complete area becomes one block entry; its table is ours again. Refused (mixed RIPAS) is no error. */
static void fold_block(Host *h, A64Cpu *cpu, uint64_t base)
{
    HostBlock *b = host_block(h, base);

    if (b->table && b->n_private == BLOCK_SIZE / PAGE_SIZE &&
        host_rmi(h, cpu, RMI_FID_RTT_FOLD, h->rd, base, 3, 0, 0) == RMI_SUCCESS) {
        b->table = false;
        host_take_back(h, cpu, b->rtt);
    }
}

bool host_map_private(Host *h, A64Cpu *cpu, uint64_t ipa)
{
    uint64_t base = align_down(ipa, BLOCK_SIZE);

    if (!ensure_tables(h, cpu, base, 3)) {
        return false;
    }
    for (uint64_t page = base; page < base + BLOCK_SIZE; page += PAGE_SIZE) {
        if (*host_page(h, page) == HOST_PAGE_NONE && !map_private_page(h, cpu, page)) {
            return false;
        }
    }
    fold_block(h, cpu, base);
    return true;
}

/* ---- changes between private and shared ---- */

/* A Non-secure page at its alias in the unprotected half. @memattr: as RMI_DESC_MEMATTR_LSB says. */
static bool map_alias(Host *h, A64Cpu *cpu, uint64_t ipa, uint64_t memattr)
{
    uint64_t alias = ipa | SHARED_BIT, x0;
    uint64_t desc = ipa | memattr << RMI_DESC_MEMATTR_LSB | 3ull << RMI_DESC_S2AP_LSB;
    bool     made = host_is_ram(h, ipa) && host_block(h, ipa)->shared_table;

    if (!made && !ensure_tables(h, cpu, alias, 3)) {
        return false;
    }
    if (host_is_ram(h, ipa)) {
        host_block(h, ipa)->shared_table = true;
    }
    x0 = host_rmi(h, cpu, RMI_FID_RTT_MAP_UNPROTECTED, h->rd, alias, 3, desc, 0);
    if (x0 != RMI_SUCCESS) {
        host_fail(h, "map a shared page", x0);
        return false;
    }
    return true;
}

static bool unmap_alias(Host *h, A64Cpu *cpu, uint64_t ipa)
{
    uint64_t x0 = host_rmi(h, cpu, RMI_FID_RTT_UNMAP_UNPROTECTED, h->rd, ipa | SHARED_BIT, 3, 0, 0);

    if (x0 != RMI_SUCCESS) {
        host_fail(h, "unmap a shared page", x0);
        return false;
    }
    return true;
}

bool host_map_shared(Host *h, A64Cpu *cpu, uint64_t ipa)
{
    return map_alias(h, cpu, ipa, MEMATTR_NORMAL_WB);
}

bool host_map_device(Host *h, A64Cpu *cpu, uint64_t ipa)
{
    return map_alias(h, cpu, ipa, MEMATTR_DEVICE);
}

bool host_unmap_device(Host *h, A64Cpu *cpu, uint64_t ipa)
{
    return unmap_alias(h, cpu, ipa);
}

bool host_device_tables(Host *h, A64Cpu *cpu, uint64_t ipa)
{
    return ensure_tables(h, cpu, ipa, 3);
}

bool host_take_page(Host *h, A64Cpu *cpu, uint64_t ipa)
{
    /* A folded area becomes pages again. */
    if (!host_block(h, ipa)->table && !ensure_tables(h, cpu, ipa, 3)) {
        return false;
    }
    uint64_t x0 = host_rmi(h, cpu, RMI_FID_DATA_DESTROY, h->rd, ipa, 0, 0, 0);

    if (x0 != RMI_SUCCESS) {
        host_fail(h, "take a page from the Realm", x0);
        return false;
    }
    host_block(h, ipa)->n_private--;
    *host_page(h, ipa) = HOST_PAGE_NONE;
    return host_undelegate(h, cpu, ipa);
}

/* The page is RIPAS EMPTY now: its granule comes back (wiped) and appears at the shared alias. */
static bool share_page(Host *h, A64Cpu *cpu, uint64_t ipa)
{
    uint8_t *page = host_page(h, ipa);

    if (*page == HOST_PAGE_PRIVATE && !host_take_page(h, cpu, ipa)) {
        return false;
    }
    if (*page == HOST_PAGE_SHARED) {
        return true;
    }
    *page = HOST_PAGE_SHARED;
    return host_map_shared(h, cpu, ipa) && host_smmu_map(h, ipa | SHARED_BIT, ipa, false);
}

/* The page is to be private: its shared alias goes; memory behind it comes at the first access. */
static bool unshare_page(Host *h, A64Cpu *cpu, uint64_t ipa)
{
    uint8_t *page = host_page(h, ipa);

    if (*page == HOST_PAGE_SHARED) {
        host_smmu_unmap(h, ipa | SHARED_BIT);
        if (!unmap_alias(h, cpu, ipa)) {
            return false;
        }
        *page = HOST_PAGE_NONE;
    }
    return true;
}

/* RTT_SET_RIPAS until @top, with finer tables where an entry is larger than what is left. */
static bool set_ripas(Host *h, A64Cpu *cpu, HostCpu *hc, uint64_t base, uint64_t top)
{
    while (base < top) {
        uint64_t x0 = host_rmi(h, cpu, RMI_FID_RTT_SET_RIPAS, h->rd, hc->rec, base, top, 0);

        if (x0 == RMI_SUCCESS) {
            base = cpu->x[1];
        } else if (RMI_RETURN_STATUS(x0) == RMI_ERROR_RTT && RMI_RETURN_INDEX(x0) < 3) {
            if (!ensure_tables(h, cpu, base, RMI_RETURN_INDEX(x0) + 1)) {
                return false;
            }
        } else if (RMI_RETURN_STATUS(x0) == RMI_ERROR_RTT) {
            return true; /* a page that must not change (destroyed): the Realm learns how far it got */
        } else {
            host_fail(h, "change the RIPAS of the Realm's memory", x0);
            return false;
        }
    }
    return true;
}

bool host_change_ripas(Host *h, A64Cpu *cpu, HostCpu *hc, uint64_t base, uint64_t top, unsigned ripas)
{
    bool ram = host_is_ram(h, base) && top <= h->ram_base + h->ram_size;

    for (uint64_t page = base; ram && ripas == RIPAS_RAM && page < top; page += PAGE_SIZE) {
        if (!unshare_page(h, cpu, page)) {
            return false;
        }
    }
    if (!set_ripas(h, cpu, hc, base, top)) {
        return false;
    }
    for (uint64_t page = base; ram && ripas == RIPAS_EMPTY && page < top; page += PAGE_SIZE) {
        if (!share_page(h, cpu, page)) {
            return false;
        }
    }
    return true;
}
