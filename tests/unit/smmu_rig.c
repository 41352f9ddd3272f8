/*
 * The SMMU test rig.
 */
#include "smmu_rig.h"

#include <string.h>

#include "bits.h"
#include "bytes.h"

static void on_irq(void *opaque, unsigned n, bool level)
{
    SmmuRig *r = opaque;

    r->pulses[n] += level && !r->level[n];
    r->level[n] = level;
}

static void set_up(SmmuRig *r, bool realm, uint64_t strtab, uint64_t cmdq, uint64_t evtq)
{
    rig_set(r, realm, CR2, 4, 2);
    rig_set(r, realm, STRTAB_BASE, 8, strtab);
    rig_set(r, realm, STRTAB_BASE_CFG, 4, 6);
    rig_set(r, realm, CMDQ_BASE, 8, cmdq | RIG_QUEUE_LOG2);
    rig_set(r, realm, EVENTQ_BASE, 8, evtq | RIG_QUEUE_LOG2);
    rig_set(r, realm, IRQ_CTRL, 4, 5);
    rig_set(r, realm, CR0, 4, 0xd);
}

SmmuRig *rig_new(void)
{
    SmmuRig *r = g_new0(SmmuRig, 1);

    r->owners = owners_new();
    r->memory = memory_new(r->owners);
    r->ram = memory_add_ram(r->memory, "ram", RIG_RAM, RIG_RAM_SIZE, NULL)->host;
    r->next_table = RIG_TABLES;

    SmmuConfig c = { .memory = r->memory, .sid_bits = 16, .realm_offset = RIG_SMMU_REALM - RIG_SMMU };
    for (unsigned i = 0; i < SMMU_N_IRQS; i++) {
        c.irq[i] = (IrqLine){ .set = on_irq, .opaque = r, .n = i };
    }
    r->smmu = smmu_new(&c);
    memory_add_mmio(r->memory, "smmu", RIG_SMMU, 0x20000, &smmu_ns_ops, r->smmu);
    memory_add_mmio(r->memory, "smmu-realm", RIG_SMMU_REALM, 0x20000, &smmu_realm_ops, r->smmu);
    memory_add_mmio(r->memory, "smmu-root", RIG_SMMU_ROOT, 0x10000, &smmu_root_ops, r->smmu);
    owners_set(r->owners, RIG_SMMU_REALM, 0x20000, OWNER_REALM);
    owners_set(r->owners, RIG_SMMU_ROOT, 0x10000, OWNER_ROOT);
    owners_set(r->owners, RIG_R_STRTAB, 0x2000, OWNER_REALM);
    owners_set(r->owners, RIG_R_CMDQ, 0x4000, OWNER_REALM);
    set_up(r, false, RIG_STRTAB, RIG_CMDQ, RIG_EVTQ);
    set_up(r, true, RIG_R_STRTAB, RIG_R_CMDQ, RIG_R_EVTQ);
    return r;
}

void rig_free(SmmuRig *r)
{
    smmu_free(r->smmu);
    owners_set(r->owners, RIG_RAM, RIG_RAM_SIZE, OWNER_ANY); /* must not reach the SMMU any more */
    memory_free(r->memory);
    owners_free(r->owners);
    g_free(r);
}

uint64_t rig_get(SmmuRig *r, uint64_t pa) { return le64_get(r->ram + (pa - RIG_RAM)); }
void rig_put(SmmuRig *r, uint64_t pa, uint64_t v) { le64_put(r->ram + (pa - RIG_RAM), v); }

static MemAttrs bank_attrs(bool realm) { return (MemAttrs){ .pas = realm ? PAS_REALM : PAS_NONSECURE }; }

uint64_t rig_reg(SmmuRig *r, bool realm, unsigned off, unsigned size)
{
    uint64_t v = 0;

    (realm ? &smmu_realm_ops : &smmu_ns_ops)->read(r->smmu, off, size, bank_attrs(realm), &v);
    return v;
}

void rig_set(SmmuRig *r, bool realm, unsigned off, unsigned size, uint64_t v)
{
    (realm ? &smmu_realm_ops : &smmu_ns_ops)->write(r->smmu, off, size, bank_attrs(realm), v);
}

uint64_t rig_root(SmmuRig *r, unsigned off, unsigned size)
{
    uint64_t v = 0;

    smmu_root_ops.read(r->smmu, off, size, (MemAttrs){ .pas = PAS_ROOT }, &v);
    return v;
}

void rig_set_root(SmmuRig *r, unsigned off, unsigned size, uint64_t v)
{
    smmu_root_ops.write(r->smmu, off, size, (MemAttrs){ .pas = PAS_ROOT }, v);
}

void rig_command(SmmuRig *r, bool realm, uint64_t w0, uint64_t w1)
{
    uint32_t *prod = &r->cmd_prod[realm];
    uint64_t  at = (realm ? RIG_R_CMDQ : RIG_CMDQ) + (*prod & mask64(RIG_QUEUE_LOG2)) * 16;

    rig_put(r, at, w0);
    rig_put(r, at + 8, w1);
    *prod = (*prod + 1) & (uint32_t)mask64(RIG_QUEUE_LOG2 + 1);
    rig_set(r, realm, CMDQ_PROD, 4, *prod);
}

void rig_ste(SmmuRig *r, bool realm, uint32_t sid, uint64_t w0, uint64_t w1, uint64_t w2, uint64_t w3)
{
    uint64_t at = (realm ? RIG_R_STRTAB : RIG_STRTAB) + sid * 64ull;

    rig_put(r, at + 8, w1);
    rig_put(r, at + 16, w2);
    rig_put(r, at + 24, w3);
    rig_put(r, at, w0);
}

uint64_t rig_table(SmmuRig *r, uint64_t size)
{
    uint64_t at = align_up(r->next_table, size);

    r->next_table = at + size;
    g_assert(r->next_table <= RIG_DATA);
    return at;
}

uint64_t rig_map(SmmuRig *r, uint64_t root, unsigned granule_log2, unsigned start, unsigned level, uint64_t va,
                 uint64_t desc, uint64_t bias)
{
    unsigned stride = granule_log2 - 3;
    uint64_t table = root;

    for (unsigned l = start;; l++) {
        /* The first level may be wider or narrower than the others: its index is all that is left of the address. */
        unsigned shift = granule_log2 + (3 - l) * stride;
        uint64_t index = l == start ? va >> shift : extract64(va, shift, stride);
        uint64_t slot = table + index * 8;

        if (l == level) {
            rig_put(r, slot, desc);
            return slot;
        }
        if (rig_get(r, slot) == 0) {
            rig_put(r, slot, (rig_table(r, 1ull << granule_log2) + bias) | D_TABLE);
        }
        table = (rig_get(r, slot) & 0x0000fffffffff000ull) - bias;
    }
}

DmaResult rig_dma(SmmuRig *r, bool trusted, uint32_t sid, uint64_t iova, bool write, DmaTarget *t)
{
    DmaRequest req = { .requester = sid, .trusted = trusted, .write = write, .iova = iova };

    memset(t, 0, sizeof(*t));
    return smmu_translate(r->smmu, &req, t);
}
