/*
 * Enumeration of a PCI hierarchy by configuration requests, as a kernel does it: bus numbers depth first,
 * BARs sized and placed, bridge windows opened around what is below, memory decoding on. And the filter
 * between the Realm and the configuration space of a function that was placed this way: placement is ours, so
 * BARs, windows and bus numbers are shadowed (sizing works, moving does not); DOE, IDE and SR-IOV are ours too, so
 * they are hidden; so is function reset, which would take placement and security state away. A virtual function that
 * the Realm gets looks like any function of an ARI device. Source: PCI Express Base Specification 6.0,
 * "Configuration Space", "Single Root I/O Virtualization and Sharing".
 */
#include "host/assign.h"

#include <string.h>

#include "bits.h"
#include "hw/pci/sriov.h"
#include "log.h"

enum {
    PAGE = 4096,
    MIB = 1 << 20,          /* granularity of bridge windows */
    N_DEVICES = 32,
    MAX_CAPS = 64,          /* more than fit: a longer list is a loop */
    EXT_CAPS = 0x100,
    TYPE0_ROM = 0x30,
    TYPE1_ROM = 0x38,
    DOE_SIZE = 0x18,
    ARI_SIZE = 8,
    ARI_CAP = 4,            /* register of the ARI capability: Next Function Number is its upper byte */
    PAGE_4K = 1,            /* of System Page Size */
    VF_CONTROL_ON = SRIOV_CONTROL_ARI | SRIOV_CONTROL_VF_ENABLE | SRIOV_CONTROL_VF_MSE,
    IDE_LINK_BLOCKS = 0x0c,
    IDE_LINK_BLOCK = 8,
    IDE_SEL_BLOCK = 20,
    IDE_ADDR_BLOCK = 12,
    MSIX_CONTROL = 2,
};

/* Of AER: masks of uncorrectable errors, their severity, masks of correctable ones. */
static const uint8_t aer_masks[] = { 0x08, 0x0c, 0x14 };

static unsigned n_bars(const HostFunction *f) { return f->bridge ? 2 : PCI_N_BARS; }

/* ---- what a function has ---- */

static unsigned find_cap(const HostFunction *f, uint8_t id)
{
    unsigned off = host_config_read(f, PCI_CAPABILITY_LIST, 1) & ~3u;

    for (unsigned n = 0; off >= 0x40 && n < MAX_CAPS; n++) {
        if (host_config_read(f, off, 1) == id) {
            return off;
        }
        off = host_config_read(f, off + 1, 1) & ~3u;
    }
    return 0;
}

static unsigned find_ext_cap(const HostFunction *f, uint16_t id)
{
    unsigned off = EXT_CAPS;

    for (unsigned n = 0; off >= EXT_CAPS && n < MAX_CAPS; n++) {
        uint32_t header = host_config_read(f, off, 4);

        if ((uint16_t)header == id) {
            return off;
        }
        off = header == ~0u ? 0 : header >> 20 & ~3u;
    }
    return 0;
}

static unsigned ide_size(const HostFunction *f, unsigned off)
{
    uint32_t cap = host_config_read(f, off + 4, 4);
    unsigned size = IDE_LINK_BLOCKS + (cap & 1 ? ((cap >> 13 & 7) + 1) * IDE_LINK_BLOCK : 0);

    for (unsigned s = 0; s <= (cap >> 16 & 0xff) && off + size < PCI_CONFIG_SIZE; s++) {
        size += IDE_SEL_BLOCK + IDE_ADDR_BLOCK * (host_config_read(f, off + size, 4) & 0xf);
    }
    return MIN(size, PCI_CONFIG_SIZE - off);
}

static void add_shadow(HostFunction *f, unsigned off, uint32_t value, uint32_t mask)
{
    if (f->n_shadow < HOST_MAX_SHADOW) {
        f->shadow[f->n_shadow++] = (HostShadow){ (uint16_t)off, value, mask };
    }
}

static void add_hidden(HostFunction *f, unsigned off, unsigned len)
{
    if (f->n_hidden < HOST_MAX_HIDDEN) {
        f->hidden[f->n_hidden++] = (HostSpan){ (uint16_t)off, (uint16_t)len };
    }
}

/* Notes a capability that the Realm must not see. Returns false for the others. */
static bool hide_ext_cap(HostFunction *f, unsigned off, uint16_t id)
{
    if (id == PCI_EXT_CAP_DOE) {
        if (f->n_doe < HOST_MAX_DOE) {
            f->doe_caps[f->n_doe++] = (uint16_t)off;
        }
        f->doe_cap = f->doe_caps[0];
        add_hidden(f, off, DOE_SIZE);
        return true;
    }
    if (id == PCI_EXT_CAP_IDE) {
        f->ide_cap = (uint16_t)off;
        add_hidden(f, off, ide_size(f, off));
        return true;
    }
    if (id == PCI_EXT_CAP_SRIOV) {
        add_hidden(f, off, SRIOV_SIZE);
        return true;
    }
    if (id == PCI_EXT_CAP_ARI && f->ari_cap == 0) {
        add_hidden(f, off, ARI_SIZE);
        return true;
    }
    return false;
}

/* Walks the extended capabilities. A hidden one is skipped by the header before it; the first stays as an
 * empty header, since the list starts there. */
static void read_ext_caps(HostFunction *f)
{
    unsigned off = EXT_CAPS, last = 0;
    uint32_t last_value = 0;
    bool     changed = false;

    for (unsigned n = 0; off >= EXT_CAPS && n < MAX_CAPS; n++) {
        uint32_t header = host_config_read(f, off, 4), next = header >> 20 & ~3u;

        if (header == 0 || header == ~0u) {
            break;
        }
        bool hidden = hide_ext_cap(f, off, (uint16_t)header);
        if (hidden && off != EXT_CAPS) {
            last_value = (last_value & 0xfffff) | next << 20;
            changed = true;
        } else {
            if (changed) {
                add_shadow(f, last, last_value, 0);
            }
            last = off;
            last_value = hidden ? next << 20 : header;
            changed = hidden;
        }
        off = next;
    }
    if (changed) {
        add_shadow(f, last, last_value, 0);
    }
}

static void read_msix(HostFunction *f)
{
    unsigned cap = find_cap(f, PCI_CAP_MSIX);

    if (cap != 0) {
        uint32_t table = host_config_read(f, cap + 4, 4);

        f->msix = (HostMsix){ .cap = (uint16_t)cap, .bar = table & 7, .table_off = table & ~7u };
        f->msix.n = (uint16_t)((host_config_read(f, cap + 2, 2) & 0x7ff) + 1);
    }
}

/* The SR-IOV capability of a function whose VFs the Realm is to get; ARI then leads from one function to the next. */
static void find_vfs(const HostScan *s, HostFunction *f)
{
    f->sriov_cap = s->vfs != 0 && !f->bridge ? (uint16_t)find_ext_cap(f, PCI_EXT_CAP_SRIOV) : 0;
    f->ari_cap = f->sriov_cap != 0 ? (uint16_t)find_ext_cap(f, PCI_EXT_CAP_ARI) : 0;
}

static void keep_register(HostFunction *f, unsigned off, unsigned size)
{
    if (f->n_kept < HOST_MAX_KEPT) {
        f->kept[f->n_kept++] = (HostKept){ (uint16_t)off, (uint8_t)size, host_config_read(f, off, size) };
    }
}

/* Registers that software sets once and that a reset clears; a kernel saves and restores the same. Not those of a
 * bridge: a reset of what is below leaves them alone. Command is one more, but BARs come before it. */
static void keep_registers(HostFunction *f)
{
    static const uint8_t express[] = { PCI_EXP_DEVCTL, PCI_EXP_LNKCTL, PCI_EXP_DEVCTL2, PCI_EXP_LNKCTL2 };
    unsigned             aer = find_ext_cap(f, PCI_EXT_CAP_AER);

    keep_register(f, PCI_CACHE_LINE_SIZE, 1);
    keep_register(f, PCI_INTERRUPT_LINE, 1);
    for (unsigned i = 0; f->exp_cap != 0 && i < ARRAY_LEN(express); i++) {
        keep_register(f, f->exp_cap + express[i], 2);
    }
    for (unsigned i = 0; aer != 0 && i < ARRAY_LEN(aer_masks); i++) {
        keep_register(f, aer + aer_masks[i], 4);
    }
    if (f->msix.cap != 0) {
        keep_register(f, f->msix.cap + MSIX_CONTROL, 2);
    }
}

/* The Realm writes @value. */
static void note_kept(HostFunction *f, unsigned off, unsigned size, uint32_t value)
{
    for (unsigned i = 0; i < f->n_kept * size; i++) {
        HostKept *k = &f->kept[i / size];
        unsigned  byte = i % size, at = off + byte - k->off;

        if (at < k->size) {
            k->value = (uint32_t)deposit64(k->value, 8 * at, 8, value >> 8 * byte);
        }
    }
}

static void read_caps(HostFunction *f)
{
    f->exp_cap = (uint16_t)find_cap(f, PCI_CAP_EXP);
    if (f->exp_cap != 0) {
        f->devcap = host_config_read(f, f->exp_cap + PCI_EXP_DEVCAP, 4);
        add_shadow(f, f->exp_cap + PCI_EXP_DEVCAP, f->devcap & ~(uint32_t)PCI_EXP_DEVCAP_FLR, 0);
    }
    read_msix(f);
    read_ext_caps(f);
    if (!f->bridge) {
        keep_registers(f);
    }
}

/* ---- shadowed registers ---- */

/* Which bits of a register can be written, by trying. Only while nothing decodes. */
static uint32_t probe_mask(const HostFunction *f, unsigned off)
{
    uint32_t before = host_config_read(f, off, 4), zeros, ones;

    host_config_write(f, off, 4, 0);
    zeros = host_config_read(f, off, 4);
    host_config_write(f, off, 4, ~0u);
    ones = host_config_read(f, off, 4);
    host_config_write(f, off, 4, before);
    return ones & ~zeros;
}

/* BARs, ROM; for a bridge also bus numbers and windows. The values follow when all is placed. */
static void shadow_placement(HostFunction *f)
{
    unsigned end = f->bridge ? TYPE0_ROM + 4 : PCI_BAR0 + 4 * PCI_N_BARS,
             rom = f->bridge ? TYPE1_ROM : TYPE0_ROM;

    for (unsigned off = PCI_BAR0; off < end; off += 4) {
        add_shadow(f, off, 0, probe_mask(f, off));
    }
    add_shadow(f, rom, 0, probe_mask(f, rom));
}

static HostShadow *find_shadow(HostFunction *f, unsigned off)
{
    for (unsigned i = 0; i < f->n_shadow; i++) {
        if (f->shadow[i].off == (off & ~3u)) {
            return &f->shadow[i];
        }
    }
    return NULL;
}

static void capture_placement(HostFunction *f)
{
    for (unsigned i = 0; i < f->n_shadow; i++) {
        if (f->shadow[i].off < 0x40) {
            f->shadow[i].value = host_config_read(f, f->shadow[i].off, 4);
        }
    }
}

/* ---- placing ---- */

/* @masks: the writable bits of @n registers whose content is @flags. */
static void size_bars(HostBar *bars, unsigned n, const uint32_t *flags, const uint32_t *masks)
{
    for (unsigned i = 0; i < n; i++) {
        uint64_t mask = masks[i] & ~0xfull;
        HostBar *b = &bars[i];

        b->mem64 = (flags[i] & 6) == PCI_BAR_MEM64 && i + 1 < n;
        b->prefetch = (flags[i] & PCI_BAR_PREFETCH) != 0;
        if (b->mem64) {
            mask |= (uint64_t)masks[i + 1] << 32;
        } else if (mask != 0) {
            mask |= 0xffffffffull << 32;
        }
        if (mask != 0 && !(flags[i] & PCI_BAR_IO)) {
            b->size = ~mask + 1;
        }
        i += b->mem64;
    }
}

/* By the writable bits that shadow_placement() found. */
static void size_own_bars(HostFunction *f)
{
    uint32_t flags[PCI_N_BARS], masks[PCI_N_BARS];

    for (unsigned i = 0; i < n_bars(f); i++) {
        flags[i] = host_config_read(f, PCI_BAR0 + 4 * i, 4);
        masks[i] = find_shadow(f, PCI_BAR0 + 4 * i)->mask;
    }
    size_bars(f->bars, n_bars(f), flags, masks);
}

/* Takes @size bytes from a window's cursor; UINT64_MAX when there is no room. */
static uint64_t take(uint64_t *next, uint64_t end, uint64_t size, uint64_t align)
{
    uint64_t base = align_up(*next, align);

    if (base < *next || base > end || size > end - base) {
        return UINT64_MAX;
    }
    *next = base + size;
    return base;
}

/* The registers at @reg say where @bars are. */
static void write_bars(const HostFunction *f, unsigned reg, const HostBar *bars)
{
    for (unsigned i = 0; i < n_bars(f); i++) {
        const HostBar *b = &bars[i];

        if (b->size != 0) {
            host_config_write(f, reg + 4 * i, 4, (uint32_t)b->base);
        }
        if (b->size != 0 && b->mem64) {
            host_config_write(f, reg + 4 * (i + 1), 4, (uint32_t)(b->base >> 32));
        }
    }
}

/* A prefetchable 64-bit BAR goes to the high window, any other below 4 GiB: a bridge forwards memory that is
 * not prefetchable only there. Each takes @n times its size. */
static bool place_bars(HostScan *s, const HostFunction *f, unsigned reg, HostBar *bars, unsigned n)
{
    for (unsigned i = 0; i < n_bars(f); i++) {
        HostBar *b = &bars[i];
        bool     high = b->mem64 && b->prefetch;
        uint64_t size = MAX(b->size, (uint64_t)PAGE);

        if (b->size == 0) {
            continue;
        }
        b->base = take(high ? &s->next64 : &s->next32, high ? s->end64 : s->end32, n * size, size);
        if (b->base == UINT64_MAX) {
            s->error = "a BAR does not fit into the board's PCI memory windows";
            return false;
        }
    }
    write_bars(f, reg, bars);
    return true;
}

/* ---- virtual functions ---- */

/* What the Realm reads in a BAR register of a VF and what it can write: as if it were any function's. */
static void shadow_vf_bars(HostFunction *vf, const HostBar *shares, unsigned nth)
{
    for (unsigned i = 0; i < PCI_N_BARS; i++) {
        const HostBar *of = &shares[i];
        HostBar       *b = &vf->bars[i];
        unsigned       off = PCI_BAR0 + 4 * i;

        if (of->size == 0) {
            add_shadow(vf, off, 0, 0);
            continue;
        }
        *b = *of;
        b->base += nth * b->size;
        add_shadow(vf, off, (uint32_t)b->base | (b->mem64 ? PCI_BAR_MEM64 : 0) | (b->prefetch ? PCI_BAR_PREFETCH : 0),
                   (uint32_t)~(b->size - 1) & ~0xfu);
        if (b->mem64) {
            add_shadow(vf, off + 4, (uint32_t)(b->base >> 32), (uint32_t)(~(b->size - 1) >> 32));
            i++;
        }
    }
    add_shadow(vf, TYPE0_ROM, 0, 0);
}

static void point_to(HostFunction *f, uint8_t next)
{
    uint32_t cap = host_config_read(f, f->ari_cap + ARI_CAP, 4) & ~0xff00u;

    add_shadow(f, f->ari_cap + ARI_CAP, cap | (uint32_t)next << 8, 0);
}

/* VF @nth as a function of the Realm's. "Vendor ID", "Device ID": its own registers hold all ones. */
static HostFunction *add_vf(HostScan *s, HostFunction *pf, const HostBar *shares, unsigned nth, uint16_t bdf)
{
    HostFunction *f = &s->fns[s->n_fns];
    uint32_t      device = host_config_read(pf, pf->sriov_cap + SRIOV_VF_DEVICE_ID, 2);

    if (s->n_fns == HOST_MAX_FUNCTIONS) {
        s->error = "there are more PCI functions than it can keep track of";
        return NULL;
    }
    s->n_fns++;
    *f = (HostFunction){ .pci = s->pci, .bdf = bdf, .parent = pf->parent, .pf = pf };
    f->ari_cap = (uint16_t)find_ext_cap(f, PCI_EXT_CAP_ARI);
    add_shadow(f, PCI_VENDOR_ID, host_config_read(pf, PCI_VENDOR_ID, 2) | device << 16, 0);
    shadow_vf_bars(f, shares, nth);
    read_caps(f);
    return f;
}

/* Page size and NumVFs can be changed only while they are off. */
static void enable_vfs(const HostFunction *f)
{
    unsigned at = f->sriov_cap, on = host_config_read(f, at + SRIOV_CONTROL, 2);

    write_bars(f, at + SRIOV_VF_BAR0, f->vf_bars);
    if (!(on & SRIOV_CONTROL_VF_ENABLE)) {
        host_config_write(f, at + SRIOV_SYSTEM_PAGE, 4, PAGE_4K);
        host_config_write(f, at + SRIOV_CONTROL, 2, SRIOV_CONTROL_ARI);
        host_config_write(f, at + SRIOV_NUM_VFS, 2, f->n_vfs);
    }
    host_config_write(f, at + SRIOV_CONTROL, 2, VF_CONTROL_ON);
}

/* The port passes requests for functions beyond the eighth. False: it cannot, or the card has no ARI. */
static bool forward_ari(const HostScan *s, const HostFunction *f)
{
    const HostFunction *port = f->parent >= 0 ? &s->fns[f->parent] : NULL;

    if (port == NULL || port->exp_cap == 0 || f->ari_cap == 0) {
        return false;
    }
    unsigned reg = port->exp_cap + PCI_EXP_DEVCTL2;

    host_config_write(port, reg, 2, host_config_read(port, reg, 2) | PCI_EXP_DEVCTL2_ARI);
    return (host_config_read(port, reg, 2) & PCI_EXP_DEVCTL2_ARI) != 0;
}

/* Sizes of one VF's share of each VF BAR; then each is as long as those of all that are on. */
static bool place_vf_bars(HostScan *s, HostFunction *f, HostBar shares[PCI_N_BARS])
{
    uint32_t flags[PCI_N_BARS], masks[PCI_N_BARS];

    memset(shares, 0, PCI_N_BARS * sizeof(*shares));
    host_config_write(f, f->sriov_cap + SRIOV_SYSTEM_PAGE, 4, PAGE_4K);
    for (unsigned i = 0; i < PCI_N_BARS; i++) {
        flags[i] = host_config_read(f, f->sriov_cap + SRIOV_VF_BAR0 + 4 * i, 4);
        masks[i] = probe_mask(f, f->sriov_cap + SRIOV_VF_BAR0 + 4 * i);
    }
    size_bars(shares, PCI_N_BARS, flags, masks);
    if (!place_bars(s, f, f->sriov_cap + SRIOV_VF_BAR0, shares, f->n_vfs)) {
        return false;
    }
    memcpy(f->vf_bars, shares, sizeof(f->vf_bars));
    for (unsigned i = 0; i < PCI_N_BARS; i++) {
        f->vf_bars[i].size *= f->n_vfs;
    }
    return true;
}

/* The VFs up to the last one that is wanted; those in between nobody sees. */
static bool scan_vfs(HostScan *s, HostFunction *pf)
{
    unsigned      total = host_config_read(pf, pf->sriov_cap + SRIOV_TOTAL_VFS, 2);
    uint8_t       wanted = s->vfs & (uint8_t)mask64(MIN(total, 8));
    HostBar       shares[PCI_N_BARS];
    HostFunction *last = pf;

    if (wanted == 0 || !forward_ari(s, pf)) {
        log_warning("PCI device %04x: the Realm gets none of the virtual functions that vfs= of -M names: there are %u "
                    "and the port has to forward ARI", pf->bdf, total);
        return true;
    }
    pf->n_vfs = 32 - (unsigned)__builtin_clz(wanted);
    if (!place_vf_bars(s, pf, shares)) {
        return false;
    }
    enable_vfs(pf);
    unsigned first = pf->bdf + host_config_read(pf, pf->sriov_cap + SRIOV_FIRST_VF_OFFSET, 2),
             stride = host_config_read(pf, pf->sriov_cap + SRIOV_VF_STRIDE, 2);

    pf->last_vf = (uint16_t)(first + (pf->n_vfs - 1) * stride);
    for (unsigned i = 0; i < pf->n_vfs; i++) {
        HostFunction *vf = wanted >> i & 1 ? add_vf(s, pf, shares, i, (uint16_t)(first + i * stride)) : NULL;

        if (s->error != NULL) {
            return false;
        }
        if (vf != NULL) {
            point_to(last, (uint8_t)vf->bdf);
            last = vf;
        }
    }
    point_to(last, 0);
    return true;
}

static void write_window(const HostFunction *f, unsigned reg, uint64_t base, uint64_t limit)
{
    host_config_write(f, reg, 4, (uint32_t)(base >> 16 & 0xfff0) | (uint32_t)(limit >> 16 & 0xfff0) << 16);
}

/* "Type 1 Configuration Space Header": base above limit closes a window. */
static void open_windows(const HostFunction *f)
{
    const HostBar *mem = &f->window[0], *pref = &f->window[1];
    uint64_t base = pref->size != 0 ? pref->base : MIB, limit = pref->size != 0 ? base + pref->size - 1 : 0;

    write_window(f, PCI_MEMORY_BASE, mem->size != 0 ? mem->base : MIB,
                 mem->size != 0 ? mem->base + mem->size - 1 : 0);
    write_window(f, PCI_PREF_MEMORY_BASE, base, limit);
    host_config_write(f, PCI_PREF_BASE_UPPER32, 4, (uint32_t)(base >> 32));
    host_config_write(f, PCI_PREF_LIMIT_UPPER32, 4, (uint32_t)(limit >> 32));
}

/* A slot that cards come to while the Realm runs: room for one of them, which the Realm's kernel then places. */
static bool reserve_slot(HostScan *s, const HostFunction *f)
{
    enum { SLOT_HOT_PLUG = 1 << 6, SLOT_MEM32 = 2 * MIB, SLOT_MEM64 = 32 * MIB };

    if (f->exp_cap == 0 || !(host_config_read(f, f->exp_cap + PCI_EXP_SLTCAP, 4) & SLOT_HOT_PLUG)) {
        return true;
    }
    if (take(&s->next32, s->end32, SLOT_MEM32, MIB) == UINT64_MAX ||
        take(&s->next64, s->end64, SLOT_MEM64, MIB) == UINT64_MAX) {
        s->error = "the slots of hot-plug ports do not fit into the board's PCI memory windows";
        return false;
    }
    return true;
}

static bool scan_bus(HostScan *s, unsigned bus, int parent);

/* Everything below a bridge lies between the cursors before and after it. */
static bool scan_bridge(HostScan *s, int index)
{
    HostFunction *f = &s->fns[index];
    unsigned      secondary = s->next_bus++;

    if (secondary > 0xff) {
        s->error = "there are more buses than bus numbers";
        return false;
    }
    s->next32 = align_up(s->next32, MIB);
    s->next64 = align_up(s->next64, MIB);
    f->window[0].base = s->next32;
    f->window[1].base = s->next64;
    host_config_write(f, PCI_PRIMARY_BUS, 4, f->bdf >> 8 | secondary << 8 | 0xffu << 16);
    if (!scan_bus(s, secondary, index) || !reserve_slot(s, f)) {
        return false;
    }
    host_config_write(f, PCI_SUBORDINATE_BUS, 1, s->next_bus - 1);
    s->next32 = align_up(s->next32, MIB);
    s->next64 = align_up(s->next64, MIB);
    f->window[0].size = s->next32 - f->window[0].base;
    f->window[1].size = s->next64 - f->window[1].base;
    open_windows(f);
    return true;
}

static bool scan_function(HostScan *s, uint16_t bdf, int parent, unsigned header_type)
{
    int           index = (int)s->n_fns;
    HostFunction *f = &s->fns[index];

    if (s->n_fns == HOST_MAX_FUNCTIONS) {
        s->error = "there are more PCI functions than it can keep track of";
        return false;
    }
    s->n_fns++;
    *f = (HostFunction){ .pci = s->pci, .bdf = bdf, .parent = parent, .bridge = (header_type & 0x7f) == 1 };
    host_config_write(f, PCI_COMMAND, 2, 0);
    shadow_placement(f);
    size_own_bars(f);
    find_vfs(s, f);
    read_caps(f);
    if (!place_bars(s, f, PCI_BAR0, f->bars, 1) || (f->sriov_cap != 0 && !scan_vfs(s, f)) ||
        (f->bridge && !scan_bridge(s, index))) {
        return false;
    }
    capture_placement(f);
    f->command = PCI_COMMAND_MEMORY | (f->bridge ? PCI_COMMAND_MASTER : 0);
    host_config_write(f, PCI_COMMAND, 2, f->command);
    return true;
}

static bool scan_bus(HostScan *s, unsigned bus, int parent)
{
    for (unsigned dev = 0; dev < N_DEVICES; dev++) {
        bool several = true;

        for (unsigned fn = 0; fn < 8 && several; fn++) {
            uint16_t bdf = (uint16_t)(bus << 8 | dev << 3 | fn);
            bool     there = pci_host_config_read(s->pci, bdf, PCI_VENDOR_ID, 2) != 0xffff;
            unsigned type = pci_host_config_read(s->pci, bdf, PCI_HEADER_TYPE, 1);

            if (there && !scan_function(s, bdf, parent, type)) {
                return false;
            }
            if (fn == 0) {
                several = there && (type & 0x80) != 0;
            }
        }
    }
    return true;
}

bool host_pci_scan(HostScan *s)
{
    s->n_fns = 0;
    s->error = NULL;
    s->next_bus = MAX(s->next_bus, pci_host_config(s->pci)->first_bus + 1u);
    return scan_bus(s, pci_host_config(s->pci)->first_bus, -1);
}

HostFunction *host_pci_find(HostScan *s, uint16_t bdf)
{
    for (unsigned i = 0; i < s->n_fns; i++) {
        if (s->fns[i].bdf == bdf) {
            return &s->fns[i];
        }
    }
    return NULL;
}

void host_pci_restore(const HostFunction *f)
{
    if (f->pf == NULL) {
        write_bars(f, PCI_BAR0, f->bars);
    }
    if (f->n_vfs != 0) {
        enable_vfs(f);
    }
    for (unsigned i = 0; i < f->n_kept; i++) {
        host_config_write(f, f->kept[i].off, f->kept[i].size, f->kept[i].value);
    }
    host_config_write(f, PCI_COMMAND, 2, f->command);
}

unsigned host_pci_bar_register(const HostFunction *f, unsigned bar, const HostFunction **of)
{
    *of = f->pf != NULL ? f->pf : f;
    return (f->pf != NULL ? f->pf->sriov_cap + (unsigned)SRIOV_VF_BAR0 : (unsigned)PCI_BAR0) + 4 * bar;
}

bool host_pci_answers(const HostFunction *f, unsigned bar)
{
    const HostFunction *of;
    unsigned            reg = host_pci_bar_register(f, bar, &of);
    uint64_t            base = f->pf != NULL ? f->pf->vf_bars[bar].base : f->bars[bar].base;
    bool on = f->pf != NULL ? host_config_read(of, of->sriov_cap + SRIOV_CONTROL, 2) == VF_CONTROL_ON
                            : (host_config_read(of, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY) != 0;

    return on && (host_config_read(of, reg, 4) & ~0xfu) == (uint32_t)base;
}

/* ---- the Realm's view ---- */

static bool is_hidden(const HostFunction *f, unsigned off)
{
    for (unsigned i = 0; i < f->n_hidden; i++) {
        if (off >= f->hidden[i].off && off - f->hidden[i].off < f->hidden[i].len) {
            return true;
        }
    }
    return false;
}

uint32_t host_pci_filter_read(HostFunction *f, unsigned off, unsigned size)
{
    const HostShadow *s = find_shadow(f, off);

    if (s != NULL) {
        return (uint32_t)extract64(s->value, (off & 3) * 8, size * 8);
    }
    uint32_t v = is_hidden(f, off) ? 0 : host_config_read(f, off, size);

    return off == PCI_COMMAND && f->pf != NULL ? v | (f->command & PCI_COMMAND_MEMORY) : v;
}

/* Bits that would reset the function or what is below it, in the value of an access at @off. */
static uint32_t reset_bits(const HostFunction *f, unsigned off, unsigned size)
{
    unsigned reg = f->exp_cap + PCI_EXP_DEVCTL;
    uint32_t bits = 0;

    if (f->exp_cap != 0 && off <= reg + 1 && off + size > reg + 1) {
        bits |= (uint32_t)PCI_EXP_DEVCTL_FLR >> 8 << 8 * (reg + 1 - off);
    }
    if (f->bridge && off <= PCI_BRIDGE_CONTROL && off + size > PCI_BRIDGE_CONTROL) {
        bits |= (uint32_t)PCI_BRIDGE_CTL_BUS_RESET << 8 * (PCI_BRIDGE_CONTROL - off);
    }
    return bits;
}

void host_pci_filter_write(HostFunction *f, unsigned off, unsigned size, uint32_t value)
{
    HostShadow *s = find_shadow(f, off);

    if (s != NULL) {
        uint32_t whole = (uint32_t)deposit64(s->value, (off & 3) * 8, size * 8, value);

        s->value = (s->value & ~s->mask) | (whole & s->mask);
    } else if (!is_hidden(f, off)) {
        if (off == PCI_COMMAND || off == PCI_COMMAND + 1) {
            f->command = (uint16_t)deposit64(f->command, (off & 3) * 8, size * 8, value);
        }
        value &= ~reset_bits(f, off, size);
        note_kept(f, off, size, value);
        host_config_write(f, off, size, value);
    }
}
