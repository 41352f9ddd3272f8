/*
 * IDE extended capability: registers of link and selective streams, the key store, and when a stream is
 * Secure. Source: PCI Express Base Specification 6.0, "Integrity & Data Encryption (IDE)", "IDE Extended
 * Capability".
 */
#include "hw/pci/ide.h"

#include <string.h>

#include "bytes.h"
#include "event.h"
#include "log.h"

enum {
    REG_CAP = 0x04,
    REG_CONTROL = 0x08,
    LINK_BLOCKS = 0x0c,
    LINK_BLOCK = 8,
    LINK_STATUS = 4, /* Control is the first register */
    /* Registers of a selective block, from its start. */
    SEL_CAP = 0x00,
    SEL_CONTROL = 0x04,
    SEL_STATUS = 0x08,
    SEL_RID1 = 0x0c,
    SEL_RID2 = 0x10,
    SEL_ADDR = 0x14,
    ADDR_BLOCK = 12,
};

#define CTL_ENABLE      BIT(0)
#define CTL_CFG         BIT(9)
#define CTL_TC          (7u << 19)
#define CTL_DEFAULT     BIT(22)
#define CTL_TEE_LIMITED BIT(23)
#define CTL_STREAM_ID   0xff000000u
#define STATUS_FAIL     BIT(31)

static unsigned sel_size(const IdeCap *ide)
{
    return SEL_ADDR + ADDR_BLOCK * ide->cfg.n_addr;
}

/* Offset of a register of block @sel in configuration space. */
static unsigned sel_reg(const IdeCap *ide, unsigned sel, unsigned reg)
{
    return ide->off + LINK_BLOCKS + LINK_BLOCK * ide->cfg.n_link + sel * sel_size(ide) + reg;
}

static uint32_t get(const IdeCap *ide, unsigned sel, unsigned reg)
{
    return pci_get(ide->pd, sel_reg(ide, sel, reg), 4);
}

/* ---- register fields ---- */

static unsigned n_streams(const IdeCap *ide) { return ide->cfg.n_sel + ide->cfg.n_link; }

bool ide_is_link(const IdeCap *ide, unsigned index) { return index >= ide->cfg.n_sel; }

/* Control and Status are alike in both kinds of block, but for their places. */
static unsigned control_reg(const IdeCap *ide, unsigned i)
{
    return ide_is_link(ide, i) ? ide->off + LINK_BLOCKS + LINK_BLOCK * (i - ide->cfg.n_sel)
                               : sel_reg(ide, i, SEL_CONTROL);
}

static unsigned status_reg(const IdeCap *ide, unsigned i)
{
    return ide_is_link(ide, i) ? control_reg(ide, i) + LINK_STATUS : sel_reg(ide, i, SEL_STATUS);
}

static uint32_t control(const IdeCap *ide, unsigned i) { return pci_get(ide->pd, control_reg(ide, i), 4); }

bool ide_enabled(const IdeCap *ide, unsigned i) { return (control(ide, i) & CTL_ENABLE) != 0; }

bool ide_default(const IdeCap *ide, unsigned sel)
{
    return (get(ide, sel, SEL_CONTROL) & CTL_DEFAULT) != 0;
}

bool ide_tee_limited(const IdeCap *ide, unsigned sel)
{
    return (get(ide, sel, SEL_CONTROL) & CTL_TEE_LIMITED) != 0;
}

bool ide_takes_config(const IdeCap *ide, unsigned sel) { return (get(ide, sel, SEL_CONTROL) & CTL_CFG) != 0; }

uint8_t ide_stream_id(const IdeCap *ide, unsigned i) { return (uint8_t)(control(ide, i) >> 24); }
uint8_t ide_traffic_class(const IdeCap *ide, unsigned i) { return (uint8_t)extract64(control(ide, i), 19, 3); }

bool ide_has_keys(const IdeCap *ide, unsigned i)
{
    const IdeKey *k = &ide->streams[i].keys[0][0][0];
    bool          any = false;

    for (unsigned n = 0; !any && n < sizeof(ide->streams[i].keys) / sizeof(*k); n++) {
        any = k[n].programmed;
    }
    return any;
}

/* Of the first @n blocks. Software may give several the same ID, as they have after a reset: the one with keys is the
 * stream, and no other can get some; else the first. */
static int find(const IdeCap *ide, uint8_t stream_id, unsigned n)
{
    int found = -1;

    for (unsigned i = 0; i < n; i++) {
        if (ide_stream_id(ide, i) == stream_id && ide_has_keys(ide, i)) {
            return (int)i;
        }
        found = ide_stream_id(ide, i) == stream_id && found < 0 ? (int)i : found;
    }
    return found;
}

int ide_find_stream(const IdeCap *ide, uint8_t stream_id) { return find(ide, stream_id, ide->cfg.n_sel); }

int ide_find_keyed(const IdeCap *ide, uint8_t stream_id) { return find(ide, stream_id, n_streams(ide)); }

int ide_default_stream(const IdeCap *ide)
{
    for (unsigned s = 0; s < ide->cfg.n_sel; s++) {
        if (ide_enabled(ide, s) && ide_default(ide, s)) {
            return (int)s;
        }
    }
    return -1;
}

bool ide_rid_range(const IdeCap *ide, unsigned sel, uint16_t *base, uint16_t *limit)
{
    uint32_t rid2 = get(ide, sel, SEL_RID2);

    *base = (uint16_t)extract64(rid2, 8, 16);
    *limit = (uint16_t)extract64(get(ide, sel, SEL_RID1), 8, 16);
    return (rid2 & 1) != 0;
}

bool ide_rid_matches(const IdeCap *ide, unsigned sel, uint16_t rid)
{
    uint16_t base, limit;

    return ide_rid_range(ide, sel, &base, &limit) && rid >= base && rid <= limit;
}

bool ide_got_fail(const IdeCap *ide, unsigned i)
{
    return (pci_get(ide->pd, status_reg(ide, i), 4) & STATUS_FAIL) != 0;
}

bool ide_addr_range(const IdeCap *ide, unsigned sel, unsigned k, uint64_t *base, uint64_t *limit)
{
    unsigned at = SEL_ADDR + ADDR_BLOCK * k;
    uint32_t low = get(ide, sel, at);

    *base = (uint64_t)get(ide, sel, at + 8) << 32 | extract64(low, 8, 12) << 20;
    *limit = (uint64_t)get(ide, sel, at + 4) << 32 | extract64(low, 20, 12) << 20 | 0xfffff;
    return (low & 1) != 0;
}

bool ide_addr_matches(const IdeCap *ide, unsigned sel, uint64_t addr)
{
    for (unsigned k = 0; k < ide->cfg.n_addr; k++) {
        uint64_t base, limit;

        if (ide_addr_range(ide, sel, k, &base, &limit) && addr >= base && addr <= limit) {
            return true;
        }
    }
    return false;
}

static bool rids_overlap(const IdeCap *ide, unsigned a, unsigned b)
{
    uint32_t valid = get(ide, a, SEL_RID2) & get(ide, b, SEL_RID2) & 1;

    return valid != 0 && extract64(get(ide, a, SEL_RID2), 8, 16) <= extract64(get(ide, b, SEL_RID1), 8, 16) &&
           extract64(get(ide, b, SEL_RID2), 8, 16) <= extract64(get(ide, a, SEL_RID1), 8, 16);
}

bool ide_overlap(const IdeCap *ide, unsigned a, unsigned b)
{
    for (unsigned i = 0; i < ide->cfg.n_addr * ide->cfg.n_addr; i++) {
        uint64_t base_a, limit_a, base_b, limit_b;

        if (ide_addr_range(ide, a, i / ide->cfg.n_addr, &base_a, &limit_a) &&
            ide_addr_range(ide, b, i % ide->cfg.n_addr, &base_b, &limit_b) && base_a <= limit_b &&
            base_b <= limit_a) {
            return true;
        }
    }
    return rids_overlap(ide, a, b);
}

IdeStreamState ide_state(const IdeCap *ide, unsigned sel)
{
    return sel < n_streams(ide) ? ide->streams[sel].state : IDE_INSECURE;
}

/* ---- state ---- */

bool ide_keys_ready(const IdeCap *ide, unsigned sel)
{
    const IdeStream *s = &ide->streams[sel];

    for (unsigned dir = 0; dir < 2; dir++) {
        for (unsigned sub = 0; sub < IDE_N_SUB; sub++) {
            if (!s->keys[0][dir][sub].go && !s->keys[1][dir][sub].go) {
                return false;
            }
        }
    }
    return true;
}

static void forget_keys(IdeCap *ide, unsigned sel)
{
    memset(ide->streams[sel].keys, 0, sizeof(ide->streams[sel].keys));
}

static bool is_in_use(const IdeStream *s)
{
    return s->state == IDE_SECURE && (s->tx_count != 0 || s->rx_count != 0);
}

/* The one place where a stream changes state: Secure needs the enable bit and every key. */
static void update(IdeCap *ide, unsigned sel)
{
    IdeStream     *s = &ide->streams[sel];
    bool           link = ide_is_link(ide, sel), secure = ide_enabled(ide, sel) && ide_keys_ready(ide, sel);
    IdeStreamState state = secure && !(link && s->broken) ? IDE_SECURE : IDE_INSECURE;
    unsigned       reg = status_reg(ide, sel);

    if (state == s->state) {
        return;
    }
    s->broken = ide_enabled(ide, sel) && is_in_use(s);
    s->state = state;
    s->tx_count = s->rx_count = 0;
    pci_set(ide->pd, reg, 4, (pci_get(ide->pd, reg, 4) & ~0xfu) | state);
    LOG(IDE, "%s: %s stream %u (ID %u) is %s", ide->pd->dev.id, link ? "link" : "selective",
        link ? sel - ide->cfg.n_sel : sel, ide_stream_id(ide, sel), state == IDE_SECURE ? "Secure" : "Insecure");
    event_tell(&(Event){ .kind = EVENT_IDE, .name = state == IDE_SECURE ? "Secure" : "Insecure", .who = ide->pd->dev.id,
                         .from = state == IDE_SECURE ? "Insecure" : "Secure", .number = ide_stream_id(ide, sel) });
    if (ide->ops != NULL && ide->ops->changed != NULL) {
        ide->ops->changed(ide->opaque, ide, sel, state);
    }
}

void ide_keys_clear(IdeCap *ide, unsigned sel)
{
    if (sel < n_streams(ide)) {
        forget_keys(ide, sel);
        update(ide, sel);
    }
}

void ide_fail(IdeCap *ide, unsigned sel, bool message)
{
    if (sel >= n_streams(ide)) {
        return;
    }
    unsigned reg = status_reg(ide, sel);

    if (message) {
        pci_set(ide->pd, reg, 4, pci_get(ide->pd, reg, 4) | STATUS_FAIL);
    }
    ide_keys_clear(ide, sel);
}

/* ---- keys ---- */

static IdeKey *slot(IdeCap *ide, unsigned sel, unsigned key_set, unsigned dir, unsigned sub)
{
    return sel < n_streams(ide) && key_set < 2 && dir < 2 && sub < IDE_N_SUB
               ? &ide->streams[sel].keys[key_set][dir][sub]
               : NULL;
}

bool ide_key_prog(IdeCap *ide, unsigned sel, unsigned key_set, IdeDirection dir, unsigned sub,
                  const uint8_t key[IDE_KEY_LEN], const uint8_t iv[IDE_IV_LEN])
{
    IdeKey *k = slot(ide, sel, key_set, dir, sub);

    if (k == NULL || (k->go && !k->retired)) {
        return false;
    }
    *k = (IdeKey){ 0 };
    memcpy(k->key, key, IDE_KEY_LEN);
    memcpy(k->iv, iv, IDE_IV_LEN);
    k->programmed = true;
    return true;
}

bool ide_key_go(IdeCap *ide, unsigned sel, unsigned key_set, IdeDirection dir, unsigned sub)
{
    IdeKey *k = slot(ide, sel, key_set, dir, sub), *other = slot(ide, sel, key_set ^ 1, dir, sub);

    if (k == NULL || !k->programmed) {
        return false;
    }
    k->go = true;
    k->retired = false;
    if (dir == IDE_TX) { /* one key in use; a receiver takes both until the old one's place is needed */
        memset(other, 0, sizeof(*other));
        ide->streams[sel].active_set = (uint8_t)key_set;
    } else {
        other->retired = other->go;
    }
    update(ide, sel);
    return true;
}

bool ide_key_stop(IdeCap *ide, unsigned sel, unsigned key_set, IdeDirection dir, unsigned sub)
{
    IdeKey *k = slot(ide, sel, key_set, dir, sub);

    if (k == NULL) {
        return false;
    }
    memset(k, 0, sizeof(*k));
    update(ide, sel);
    return true;
}

static bool spoils(IdeCap *ide, unsigned sel, IdeDirection dir)
{
    return ide->ops != NULL && ide->ops->spoils != NULL && ide->ops->spoils(ide->opaque, ide, sel, dir);
}

/* Both are Secure. @counted: it is one of those that the numbers of injected faults count. */
static bool pass_secured(IdeCap *tx, unsigned t, IdeCap *rx, unsigned r, IdeSubStream sub, bool counted)
{
    IdeStream *ts = &tx->streams[t], *rs = &rx->streams[r];

    for (unsigned set = 0; set < 2; set++) { /* the K bit of the TLP names the set */
        const IdeKey *a = &ts->keys[set][IDE_TX][sub], *b = &rs->keys[set][IDE_RX][sub];

        if (!a->go) {
            continue;
        }
        if (!b->go || memcmp(a->key, b->key, IDE_KEY_LEN) != 0 || memcmp(a->iv, b->iv, IDE_IV_LEN) != 0) {
            return false;
        }
        ts->tx_count++;
        rs->rx_count++;
        if (counted && (spoils(tx, t, IDE_TX) || spoils(rx, r, IDE_RX))) {
            ide_fail(rx, r, false);
            ide_fail(tx, t, true);
        }
        return ts->state == IDE_SECURE && rs->state == IDE_SECURE;
    }
    return false;
}

bool ide_pair_secure(IdeCap *tx, IdeCap *rx, uint8_t stream_id, IdeSubStream sub)
{
    int t = ide_find_stream(tx, stream_id), r = ide_find_stream(rx, stream_id);

    return t >= 0 && r >= 0 && ide_state(tx, (unsigned)t) == IDE_SECURE && ide_state(rx, (unsigned)r) == IDE_SECURE &&
           pass_secured(tx, (unsigned)t, rx, (unsigned)r, sub, true);
}

/* The enabled link stream of traffic class 0, which all TLPs here have; -1: there is none. */
static int link_stream(const IdeCap *ide)
{
    for (unsigned i = ide->cfg.n_sel; i < n_streams(ide); i++) {
        if (ide_enabled(ide, i) && ide_traffic_class(ide, i) == 0) {
            return (int)i;
        }
    }
    return -1;
}

/* A TLP with T=0 between two streams, -1: there is none. When which end begins and stops to take IDE TLPs alone, the
 * specification says by its timing of K_SET_GO; here the first TLP after both ends are Secure is the first one. */
static bool pass(IdeCap *tx, int t, IdeCap *rx, int r, IdeSubStream sub, bool counted)
{
    static const IdeStream none = { 0 };
    const IdeStream       *ts = t >= 0 ? &tx->streams[t] : &none, *rs = r >= 0 ? &rx->streams[r] : &none;

    if (ts->state == IDE_SECURE && rs->state == IDE_SECURE) {
        return ide_stream_id(tx, (unsigned)t) == ide_stream_id(rx, (unsigned)r) &&
               pass_secured(tx, (unsigned)t, rx, (unsigned)r, sub, counted);
    }
    if (ts->broken || is_in_use(ts)) {
        return false; /* it sends nothing, or what the other end does not take */
    }
    if (is_in_use(rs)) {
        ide_fail(rx, (unsigned)r, false);
        return false;
    }
    return true;
}

bool ide_link_passes(IdeCap *tx, IdeCap *rx, IdeSubStream sub)
{
    return pass(tx, link_stream(tx), rx, link_stream(rx), sub, true);
}

bool ide_untrusted_passes(IdeCap *tx, unsigned sel, IdeCap *rx, IdeSubStream sub)
{
    int r = ide_find_stream(rx, ide_stream_id(tx, sel));

    return (r >= 0 || ide_state(tx, sel) != IDE_SECURE) && pass(tx, (int)sel, rx, r, sub, false);
}

/* ---- register writes ---- */

/* While a stream is enabled only the enable bit counts; a write that clears it takes the other fields too. */
static void control_written(IdeCap *ide, unsigned sel, uint32_t old)
{
    unsigned reg = control_reg(ide, sel);
    uint32_t now = pci_get(ide->pd, reg, 4);

    if ((old & CTL_ENABLE) && (now & CTL_ENABLE)) {
        pci_set(ide->pd, reg, 4, old);
        return;
    }
    if ((old & CTL_ENABLE) || ((old ^ now) & CTL_STREAM_ID)) {
        forget_keys(ide, sel); /* keys belong to one enabled life of one stream ID */
    }
    update(ide, sel);
    ide->streams[sel].broken &= ide_enabled(ide, sel);
}

/* A byte write is a write of the register with its other bytes unchanged. */
static uint32_t control_before(const IdeCap *ide, unsigned i, const PciConfigWrite *w)
{
    return (uint32_t)deposit64(control(ide, i), (w->off & 3) * 8, w->size * 8u, w->old);
}

/* After what was ignored was undone. */
static void tell_reconfigured(IdeCap *ide, unsigned i, const PciConfigWrite *w, IdeStreamState was)
{
    bool changed = pci_get(ide->pd, ide->off + w->off, w->size) != w->old;

    if (changed && ide->ops != NULL && ide->ops->reconfigured != NULL) {
        ide->ops->reconfigured(ide->opaque, ide, i, was);
    }
}

/* Of a link block Control alone has a meaning when written. */
static void link_written(IdeCap *ide, const PciConfigWrite *w)
{
    unsigned i = ide->cfg.n_sel + (w->off - LINK_BLOCKS) / LINK_BLOCK;

    if ((w->off - LINK_BLOCKS) % LINK_BLOCK < LINK_STATUS) {
        IdeStreamState was = ide_state(ide, i);

        control_written(ide, i, control_before(ide, i, w));
        tell_reconfigured(ide, i, w, was);
    }
}

static void ide_written(void *opaque, const PciConfigWrite *w)
{
    IdeCap  *ide = opaque;
    unsigned first = LINK_BLOCKS + LINK_BLOCK * ide->cfg.n_link;

    if (w->off >= LINK_BLOCKS && w->off < first) {
        link_written(ide, w);
    }
    if (w->off < first) {
        return;
    }
    unsigned sel = (w->off - first) / sel_size(ide), reg = (w->off - first) % sel_size(ide) & ~3u;

    IdeStreamState was = ide_state(ide, sel);

    if (reg == SEL_CONTROL) {
        control_written(ide, sel, control_before(ide, sel, w));
    }
    if (reg != SEL_STATUS) {
        tell_reconfigured(ide, sel, w, was);
    }
}

static void ide_reset(void *opaque, PciResetKind kind)
{
    IdeCap *ide = opaque;

    for (unsigned s = 0; s < n_streams(ide); s++) { /* the registers are at their reset values already */
        forget_keys(ide, s);
        update(ide, s);
        ide->streams[s].broken = false;
    }
}

static const PciSpanOps ide_ops = { NULL, ide_written, ide_reset };

/* ---- making one ---- */

static void add_masks(IdeCap *ide, unsigned sel)
{
    PciDevice *pd = ide->pd;
    uint32_t   control = (uint32_t)(CTL_ENABLE | CTL_TC | CTL_DEFAULT | CTL_STREAM_ID);

    control |= (uint32_t)(ide->cfg.cfg_requests ? CTL_CFG : 0);
    control |= (uint32_t)(ide->cfg.tee_limited ? CTL_TEE_LIMITED : 0);
    pci_set(pd, sel_reg(ide, sel, SEL_CAP), 4, ide->cfg.n_addr);
    pci_set_wmask(pd, sel_reg(ide, sel, SEL_CONTROL), 4, control);
    pci_set_w1c(pd, sel_reg(ide, sel, SEL_STATUS), 4, (uint32_t)STATUS_FAIL);
    pci_set_wmask(pd, sel_reg(ide, sel, SEL_RID1), 4, 0x00ffff00);
    pci_set_wmask(pd, sel_reg(ide, sel, SEL_RID2), 4, 0xffffff01);
    for (unsigned k = 0; k < ide->cfg.n_addr; k++) {
        unsigned at = SEL_ADDR + ADDR_BLOCK * k;

        pci_set_wmask(pd, sel_reg(ide, sel, at), 4, 0xffffff01);
        pci_set_wmask(pd, sel_reg(ide, sel, at + 4), 4, ~0u);
        pci_set_wmask(pd, sel_reg(ide, sel, at + 8), 4, ~0u);
    }
}

void ide_init(IdeCap *ide, PciDevice *pd, const IdeConfig *cfg, const IdeOps *ops, void *opaque)
{
    g_assert(cfg->n_sel >= 1 && cfg->n_sel <= IDE_MAX_STREAMS && cfg->n_link <= IDE_MAX_LINK &&
             cfg->n_addr <= IDE_MAX_ADDR);
    *ide = (IdeCap){ .pd = pd, .cfg = *cfg, .ops = ops, .opaque = opaque };
    unsigned size = LINK_BLOCKS + LINK_BLOCK * cfg->n_link + cfg->n_sel * sel_size(ide);
    uint32_t cap = 1u << 1 | (cfg->n_sel - 1) << 16;

    ide->off = (uint16_t)pci_add_ext_cap(pd, PCI_EXT_CAP_IDE, 1, size);
    cap |= (cfg->n_link != 0 ? 1u | (cfg->n_link - 1) << 13 : 0) | (cfg->ide_km ? 1u << 6 : 0);
    cap |= (cfg->cfg_requests ? 1u << 7 : 0) | (cfg->tee_limited ? 1u << 24 : 0);
    pci_set(pd, ide->off + REG_CAP, 4, cap);
    for (unsigned l = cfg->n_sel; l < n_streams(ide); l++) {
        pci_set_wmask(pd, control_reg(ide, l), 4, (uint32_t)(CTL_ENABLE | CTL_TC | CTL_STREAM_ID));
        pci_set_w1c(pd, status_reg(ide, l), 4, (uint32_t)STATUS_FAIL);
    }
    for (unsigned s = 0; s < cfg->n_sel; s++) {
        add_masks(ide, s);
    }
    pci_add_span(pd, ide->off, size, &ide_ops, ide);
}
