/*
 * Realm translation tables as memory: entries, walks, and what must be flushed when access goes away. Tables
 * are those that the CPU's stage 2 walker and the SMMU read (DDI 0487, "VMSAv8-64 translation table format
 * descriptors", stage 2, 4 KiB granule, FWB). An invalid descriptor is ignored by hardware but for bit 0:
 * there we keep HIPAS and RIPAS in the layout below, and the address of an assigned page that the Realm may
 * not use now. DEN0137 "Realm translation table".
 */
#include "rmm/rmm_int.h"

#define DESC_VALID      BIT(0)
#define DESC_PAGE       3ull    /* bits 1:0 of a table, and of a page at level 3 */
#define DESC_BLOCK      1ull
#define DESC_SH_INNER   (3ull << 8)
#define DESC_AF         BIT(10)
#define DESC_S2AP_RW    (3ull << RTT_S2AP_LSB)
#define DESC_XN         BIT(54) /* with bit 53 clear: no execution at EL1 and EL0 */
#define DESC_NS         BIT(55) /* Realm stage 2: the output is Non-secure */
#define DESC_SW_DEV     BIT(56) /* for software: an ASSIGNED_DEV entry */
#define DESC_VDEV_LSB   57      /* ignored by hardware, 6 bits: whose page it is */
#define DESC_PA         (mask64(48) & ~mask64(12))

/* Invalid descriptors: RIPAS in 2:1, HIPAS in 5:3, host attributes at their own place shifted by 4 so that
 * neither is touched. */
#define INVALID_RIPAS_LSB 1
#define INVALID_HIPAS_LSB 3
#define INVALID_ATTRS_LSB 50 /* bits 7:2 of the descriptor, at 55:50 */
#define INVALID_VDEV_LSB  56

/* ---- address space ---- */

uint64_t realm_ipa_top(const Realm *realm) { return BIT(realm->ipa_bits); }
uint64_t realm_par_top(const Realm *realm) { return BIT(realm->ipa_bits - 1); }
bool     realm_ipa_protected(const Realm *realm, uint64_t ipa) { return ipa < realm_par_top(realm); }
bool     rtt_ipa_aligned(uint64_t ipa, int level) { return is_aligned(ipa, rtt_size(level)); }

/* DDI 0487, "VTCR_EL2": T0SZ, SL0 for 4 KiB, write-back inner shareable walks, PS 48 bits, 16-bit VMID. */
uint64_t realm_vtcr(const Realm *realm)
{
    static const uint8_t sl0[] = { [0] = 2, [1] = 1, [2] = 0, [3] = 3 };

    return (64 - realm->ipa_bits) | (uint64_t)sl0[realm->level_start] << 6 | 1u << 8 | 1u << 10 | 3u << 12 |
           5u << 16 | BIT(19) | BIT(31);
}

uint64_t realm_vttbr(const Realm *realm) { return (uint64_t)realm->vmid << 48 | realm->rtt_base; }

/* ---- entries ---- */

static uint64_t encode_invalid(RttValue v)
{
    uint64_t attrs = v.attrs >> RTT_MEMATTR_LSB;

    return (uint64_t)v.ripas << INVALID_RIPAS_LSB | (uint64_t)v.kind << INVALID_HIPAS_LSB | v.pa |
           attrs << INVALID_ATTRS_LSB | (uint64_t)v.vdev << INVALID_VDEV_LSB;
}

static uint64_t encode(RttValue v, int level)
{
    uint64_t leaf = v.pa | (level == RTT_LAST_LEVEL ? DESC_PAGE : DESC_BLOCK) | DESC_SH_INNER | DESC_AF;

    switch (v.kind) {
    case RTT_TABLE:
        return v.pa | DESC_PAGE;
    case RTT_ASSIGNED_NS:
        return leaf | v.attrs | DESC_NS | DESC_XN;
    case RTT_ASSIGNED:
        if (v.ripas == RIPAS_RAM) {
            return leaf | (uint64_t)RTT_MEMATTR_NORMAL_WB << RTT_MEMATTR_LSB | DESC_S2AP_RW;
        }
        break;
    case RTT_ASSIGNED_DEV:
        if (v.ripas == RIPAS_DEV) {
            return leaf | v.attrs | DESC_SW_DEV | DESC_XN | (uint64_t)v.vdev << DESC_VDEV_LSB;
        }
        break;
    case RTT_UNASSIGNED:
    case RTT_UNASSIGNED_NS:
        break;
    }
    return encode_invalid(v);
}

static RttValue decode_invalid(uint64_t d)
{
    return (RttValue){
        .kind = (RttEntry)extract64(d, INVALID_HIPAS_LSB, 3),
        .ripas = (Ripas)extract64(d, INVALID_RIPAS_LSB, 2),
        .pa = d & DESC_PA,
        .attrs = extract64(d, INVALID_ATTRS_LSB, 6) << RTT_MEMATTR_LSB,
        .vdev = (uint8_t)extract64(d, INVALID_VDEV_LSB, 6),
    };
}

static RttValue decode(uint64_t d, int level)
{
    if (!(d & DESC_VALID)) {
        return decode_invalid(d);
    }
    if (level < RTT_LAST_LEVEL && (d & 3) == DESC_PAGE) {
        return (RttValue){ .kind = RTT_TABLE, .pa = d & DESC_PA };
    }
    if (d & DESC_NS) {
        return (RttValue){ .kind = RTT_ASSIGNED_NS, .pa = d & DESC_PA, .attrs = d & RTT_HOST_ATTRS };
    }
    if (d & DESC_SW_DEV) {
        return (RttValue){ .kind = RTT_ASSIGNED_DEV, .ripas = RIPAS_DEV, .pa = d & DESC_PA,
                           .attrs = d & RTT_HOST_ATTRS, .vdev = (uint8_t)extract64(d, DESC_VDEV_LSB, 6) };
    }
    return (RttValue){ .kind = RTT_ASSIGNED, .ripas = RIPAS_RAM, .pa = d & DESC_PA };
}

RttValue rtt_get_at(const RttWalk *w, unsigned index) { return decode(w->table[index], w->level); }
void     rtt_put_at(const RttWalk *w, unsigned index, RttValue v) { w->table[index] = encode(v, w->level); }
RttValue rtt_get(const RttWalk *w) { return rtt_get_at(w, w->index); }
void     rtt_put(const RttWalk *w, RttValue v) { rtt_put_at(w, w->index, v); }

bool rtt_same_ripas(const RttWalk *w, unsigned index)
{
    if (((w->table[w->index] ^ w->table[index]) & ~DESC_PA) == 0) {
        return true; /* but for where they lead to, if anywhere, they are alike */
    }
    RttValue v = rtt_get_at(w, index);
    return v.kind != RTT_TABLE && v.ripas == rtt_get(w).ripas;
}

/* ---- walks ---- */

/* DEN0137 "RTT walk": from the start level to @level, or to the first entry that is no table. */
RttWalk rtt_walk(Rmm *rmm, const Realm *realm, uint64_t ipa, int level)
{
    int      l = realm->level_start;
    uint64_t span = rtt_size(l) * RTT_ENTRIES; /* of one table granule; the root has n_root of them */
    RttWalk  w = {
        .level = l,
        .table = granule_ptr(rmm, realm->rtt_base + ipa / span * RMM_GRANULE_SIZE),
        .index = (unsigned)(ipa % span / rtt_size(l)),
        .base = align_down(ipa, span),
    };

    while (w.level < level) {
        RttValue v = rtt_get(&w);
        if (v.kind != RTT_TABLE) {
            break;
        }
        w.level++;
        w.table = granule_ptr(rmm, v.pa);
        w.index = (unsigned)(ipa / rtt_size(w.level) % RTT_ENTRIES);
        w.base = align_down(ipa, rtt_size(w.level - 1));
    }
    return w;
}

static bool is_live(RttEntry kind) { return kind != RTT_UNASSIGNED && kind != RTT_UNASSIGNED_NS; }

uint64_t rtt_non_live_top(const RttWalk *w, uint64_t ipa)
{
    for (unsigned i = w->index; i < RTT_ENTRIES; i++) {
        if (is_live(rtt_get_at(w, i).kind)) {
            return i == w->index ? ipa : w->base + i * rtt_size(w->level);
        }
    }
    return w->base + RTT_ENTRIES * rtt_size(w->level);
}

/* An ASSIGNED_NS entry does not count: the host takes nothing from the Realm with it. The level matters to
 * decode() only to tell tables from pages, and both count. */
unsigned rtt_count_in_use(const uint64_t *table)
{
    unsigned n = 0;

    for (unsigned i = 0; i < RTT_ENTRIES; i++) {
        RttEntry kind = decode(table[i], RTT_LAST_LEVEL).kind;
        n += kind == RTT_ASSIGNED || kind == RTT_ASSIGNED_DEV;
    }
    return n;
}

/* ---- invalidation ---- */

void rtt_flush(Rmm *rmm, const Realm *realm, uint64_t ipa, uint64_t pa, uint64_t len)
{
    owners_drop(rmm->owners, pa, len);
    for (unsigned i = 0; i < rmm->n_flush; i++) {
        rmm->flush[i].flush(rmm->flush[i].opaque, realm->vmid, ipa, len);
    }
}

void rtt_flush_all(Rmm *rmm, const Realm *realm)
{
    for (unsigned i = 0; i < rmm->n_flush; i++) {
        rmm->flush[i].flush(rmm->flush[i].opaque, realm->vmid, 0, ~0ull);
    }
}
