/*
 * The physical functions as the Realm sees them. Its configuration window shows them at their own places,
 * beside the emulated ones; accesses are forwarded through the filter of pci.c. BARs are at IPA = PA and
 * mapped into the unprotected half, so that the Realm reaches the registers without us; only the BAR with the
 * MSI-X table stays out, because its messages are ours: the physical entries hold the physical doorbell and
 * our event, and what the Realm writes there is where the interrupt goes on to in its virtual ITS.
 */
#include "host/host_int.h"
#include "log.h"

enum {
    MSIX_CONTROL = 2, /* of the capability */
    MSIX_ENTRY = 16,
    ENTRY_ADDR = 0, ENTRY_DATA = 8, ENTRY_CONTROL = 12,
    VECTOR_MASKED = 1,
};

/* ---- configuration window ---- */

static uint32_t config_read(Host *h, uint16_t bdf, unsigned off, unsigned size)
{
    HostFunction *f = host_pci_find(&h->bus, bdf);

    return f != NULL ? host_pci_filter_read(f, off, size) : pci_host_config_read(h->vpci, bdf, off, size);
}

static void config_write(Host *h, uint16_t bdf, unsigned off, unsigned size, uint32_t value)
{
    HostFunction *f = host_pci_find(&h->bus, bdf);

    if (f == NULL) {
        pci_host_config_write(h->vpci, bdf, off, size, value);
        return;
    }
    host_pci_filter_write(f, off, size, value);
    if (off == PCI_COMMAND && (value & PCI_COMMAND_MEMORY) && f->msix.vectors != NULL) {
        host_msix_restore(h, f); /* what was written while nothing decoded */
    }
}

static MemResult ecam_read(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t *value)
{
    uint16_t bdf = (uint16_t)(off >> 12);

    *value = config_read(opaque, bdf, off & 0xfff, MIN(size, 4));
    if (size == 8) {
        *value |= (uint64_t)config_read(opaque, bdf, (off & 0xfff) + 4, 4) << 32;
    }
    return MEM_OK;
}

static MemResult ecam_write(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t value)
{
    uint16_t bdf = (uint16_t)(off >> 12);

    config_write(opaque, bdf, off & 0xfff, MIN(size, 4), (uint32_t)value);
    if (size == 8) {
        config_write(opaque, bdf, (off & 0xfff) + 4, 4, (uint32_t)(value >> 32));
    }
    return MEM_OK;
}

const MmioOps host_ecam_ops = { ecam_read, ecam_write };

/* ---- MSI-X ---- */

static uint64_t physical_entry(const HostFunction *f, unsigned v)
{
    return f->bars[f->msix.bar].base + f->msix.table_off + MSIX_ENTRY * v;
}

static bool table_answers(const HostFunction *f) { return host_pci_answers(f, f->msix.bar); }

void host_msix_restore(Host *h, HostFunction *f)
{
    if (!table_answers(f)) {
        return;
    }
    for (unsigned v = 0; v < f->msix.n; v++) {
        uint64_t at = physical_entry(f, v);

        host_reg_write(h, at + ENTRY_ADDR, 4, h->cfg.board->its.base + GITS_TRANSLATER_OFFSET);
        host_reg_write(h, at + ENTRY_ADDR + 4, 4, (h->cfg.board->its.base + GITS_TRANSLATER_OFFSET) >> 32);
        host_reg_write(h, at + ENTRY_DATA, 4, v);
        host_reg_write(h, at + ENTRY_CONTROL, 4, f->msix.vectors[v].control);
    }
}

/* The vector that the byte at @off of the table's BAR belongs to, or NULL. */
static HostVector *vector_at(HostFunction *f, uint64_t off)
{
    uint64_t rel = off - f->msix.table_off;

    return off >= f->msix.table_off && rel / MSIX_ENTRY < f->msix.n ? &f->msix.vectors[rel / MSIX_ENTRY]
                                                                    : NULL;
}

static uint32_t vector_word(const HostVector *e, uint64_t off)
{
    switch (off & (MSIX_ENTRY - 4)) {
    case ENTRY_ADDR: return (uint32_t)e->addr;
    case ENTRY_ADDR + 4: return (uint32_t)(e->addr >> 32);
    case ENTRY_DATA: return e->data;
    default: return e->control;
    }
}

static void set_vector_word(HostFunction *f, HostVector *e, uint64_t off, uint32_t v)
{
    switch (off & (MSIX_ENTRY - 4)) {
    case ENTRY_ADDR: e->addr = deposit64(e->addr, 0, 32, v & ~3u); break;
    case ENTRY_ADDR + 4: e->addr = deposit64(e->addr, 32, 32, v); break;
    case ENTRY_DATA: e->data = v; break;
    default:
        e->control = v & VECTOR_MASKED;
        if (table_answers(f)) { /* an unmasked vector sends what is pending at once */
            host_reg_write(f->host, physical_entry(f, (unsigned)(e - f->msix.vectors)) + ENTRY_CONTROL, 4,
                           e->control);
        }
        break;
    }
}

/* The table's own alignment is 8 bytes, an entry's 16: an access of up to 8 bytes stays within an entry. */
static MemResult table_read(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t *value)
{
    HostFunction     *f = opaque;
    const HostVector *e = vector_at(f, off);
    uint64_t          rel = off - f->msix.table_off;

    if (e != NULL) {
        *value = extract64(vector_word(e, rel), (rel & 3) * 8, MIN(size, 4) * 8);
        *value |= size == 8 ? (uint64_t)vector_word(e, rel + 4) << 32 : 0;
    } else {
        *value = table_answers(f) ? host_reg_read(f->host, f->bars[f->msix.bar].base + off, size)
                                  : mask64(8 * size);
    }
    return MEM_OK;
}

static MemResult table_write(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t value)
{
    HostFunction *f = opaque;
    HostVector   *e = vector_at(f, off);
    uint64_t      rel = off - f->msix.table_off;

    if (e != NULL && size < 4) { /* "software must use aligned DWORD or QWORD accesses" */
        guest_error("host: MSI-X table write of %u bytes", size);
    } else if (e != NULL) {
        set_vector_word(f, e, rel, (uint32_t)value);
        if (size == 8) {
            set_vector_word(f, e, rel + 4, (uint32_t)(value >> 32));
        }
    } else if (table_answers(f)) {
        host_reg_write(f->host, f->bars[f->msix.bar].base + off, size, value);
    }
    return MEM_OK;
}

static const MmioOps table_ops = { table_read, table_write };

void host_msix_interrupt(Host *h, uint32_t lpi)
{
    for (unsigned i = 0; i < h->bus.n_fns; i++) {
        const HostFunction *f = &h->bus.fns[i];

        if (f->msix.vectors != NULL && lpi - f->msix.first_lpi < f->msix.n) {
            const HostVector *e = &f->msix.vectors[lpi - f->msix.first_lpi];

            LOG(IRQ, "host: LPI %u is vector %u of %04x", lpi, lpi - f->msix.first_lpi, f->bdf);
            host_vmsi(h, f->bdf, e->addr, e->data);
            return;
        }
    }
}

static bool init_msix(Host *h, HostFunction *f)
{
    HostMsix *m = &f->msix;
    HostBar  *bar = m->bar < PCI_N_BARS ? &f->bars[m->bar] : NULL;

    if (m->cap == 0) {
        return true;
    }
    if (bar == NULL || bar->size == 0 || m->n > HOST_MAX_VECTORS ||
        m->table_off + MSIX_ENTRY * m->n > bar->size) {
        log_warning("PCI function %04x has an MSI-X table that is not inside its BAR; it gets no interrupts",
                    f->bdf);
        m->cap = 0;
        return true;
    }
    if (!host_its_map(h, f->bdf, m->n, &m->first_lpi)) {
        return false;
    }
    m->vectors = g_new0(HostVector, m->n);
    for (unsigned v = 0; v < m->n; v++) {
        m->vectors[v].control = VECTOR_MASKED;
    }
    host_msix_restore(h, f);
    memory_add_mmio(h->vmem, "msix-table", bar->base, align_up(bar->size, PAGE_SIZE), &table_ops, f);
    return true;
}

/* ---- BARs ---- */

static bool is_mediated(const HostFunction *f, unsigned bar)
{
    return f->msix.vectors != NULL && f->msix.bar == bar;
}

HostBar *host_pass_bar(HostFunction *f, uint64_t pa)
{
    for (unsigned i = 0; i < PCI_N_BARS; i++) {
        HostBar *b = &f->bars[i];

        if (b->size != 0 && !is_mediated(f, i) && pa >= b->base &&
            pa - b->base < align_up(b->size, PAGE_SIZE)) {
            return b;
        }
    }
    return NULL;
}

bool host_pass_map(Host *h, A64Cpu *cpu, HostFunction *f)
{
    for (unsigned i = 0; i < PCI_N_BARS; i++) {
        HostBar *b = &f->bars[i];

        if (b->size == 0 || is_mediated(f, i)) {
            continue;
        }
        b->assigned = g_malloc0(align_up(b->size, PAGE_SIZE) / PAGE_SIZE);
        for (uint64_t pa = b->base; pa < b->base + b->size; pa += PAGE_SIZE) {
            if (!host_map_device(h, cpu, pa)) {
                return false;
            }
        }
    }
    return true;
}

/* ---- start ---- */

static bool places_collide(Host *h)
{
    for (unsigned i = 0; i < h->bus.n_fns; i++) {
        if (pci_host_find(h->vpci, h->bus.fns[i].bdf) != NULL) {
            log_error(
                "an emulated and a physical PCI device are both at %02x:%02x.%x; give one another addr=",
                h->bus.fns[i].bdf >> 8, h->bus.fns[i].bdf >> 3 & 31, h->bus.fns[i].bdf & 7);
            return true;
        }
    }
    return false;
}

/* The emulated bus is placed behind the physical one in the same windows; nothing of it is remembered. */
static bool place_virtual(Host *h, const HostScan *after)
{
    HostScan *s = g_memdup2(after, sizeof(*after));
    bool      ok;

    s->pci = h->vpci;
    ok = host_pci_scan(s);
    if (!ok) {
        log_error("the built-in host cannot place the emulated PCI devices: %s", s->error);
    }
    g_free(s);
    return ok;
}

bool host_pass_init(Host *h)
{
    HostScan *s = &h->bus;

    *s = (HostScan){.pci = h->cfg.pci,
                    .next32 = h->cfg.board->pci_mmio.base,
                    .end32 = h->cfg.board->pci_mmio.base + h->cfg.board->pci_mmio.size,
                    .next64 = h->cfg.board->pci_high.base,
                    .end64 = h->cfg.board->pci_high.base + h->cfg.board->pci_high.size,
                    .vfs = (uint8_t)h->cfg.options->realm_vfs};
    if (!host_pci_scan(s)) {
        log_error("the built-in host cannot place the PCI devices: %s", s->error);
        return false;
    }
    if (places_collide(h) || !place_virtual(h, s)) {
        return false;
    }
    if (s->n_fns == 0) {
        return true;
    }
    host_gic_init_devices(h);
    if (!host_its_init(h) || !host_smmu_init(h)) {
        return false;
    }
    for (unsigned i = 0; i < s->n_fns; i++) {
        s->fns[i].host = h;
        if (!init_msix(h, &s->fns[i]) || !host_smmu_attach(h, s->fns[i].bdf)) {
            return false;
        }
    }
    return true;
}
