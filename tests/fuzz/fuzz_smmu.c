/*
 * Any bytes as the software of an SMMU and as its devices: registers of all three pages, stream table entries,
 * context descriptors, tables, commands, pages that change hands, DMA. Each step is an opcode and operands. What is
 * translated must lie in memory that its space owns, and T=0 must never reach Realm memory.
 */
#include <glib.h>
#include <string.h>

#include "bits.h"
#include "bytes.h"
#include "unit/smmu_rig.h"

/* An address: mostly in RAM, so that short inputs get somewhere; sometimes our own registers, or anything. */
static uint64_t address(ByteReader *r)
{
    unsigned how = br_u8(r);

    switch (how & 7) {
    case 0: return br_u64(r);
    case 1: return RIG_SMMU + br_u24(r) % 0x20000;
    case 2: return BIT(40) + br_u16(r);
    default: return RIG_RAM + (uint64_t)(how >> 3) * 0x1000 + (br_u16(r) & 0xfff);
    }
}

static void set_register(SmmuRig *rig, ByteReader *r)
{
    static const unsigned known[] = { CR0, CR2, GBPA, IRQ_CTRL, GERRORN, GERROR_IRQ_CFG0, GERROR_IRQ_CFG1, STRTAB_BASE,
                                      STRTAB_BASE_CFG, CMDQ_BASE, CMDQ_PROD, CMDQ_CONS, EVENTQ_BASE, EVENTQ_IRQ_CFG0,
                                      EVENTQ_PROD, EVENTQ_CONS };
    unsigned how = br_u8(r), size = 1u << (how >> 5 & 3);
    uint64_t off = how & 0x10 ? br_u24(r) % 0x20000 : known[br_u8(r) % ARRAY_LEN(known)];
    uint64_t value = how & 8 ? address(r) | (br_u8(r) & 31) : br_u24(r);

    off = align_down(off, size);
    if (how & 4) {
        rig_reg(rig, how & 1, (unsigned)off, size);
    } else if ((how & 0x83) == 0x83) {
        rig_set_root(rig, (unsigned)off, size, value);
        rig_root(rig, (unsigned)off, size);
    } else {
        rig_set(rig, how & 1, (unsigned)off, size, value);
    }
}

static void put_config(SmmuRig *rig, ByteReader *r)
{
    unsigned how = br_u8(r);
    uint64_t stage2 = br_u32(r), ptr = RIG_RAM + (uint64_t)(br_u8(r) & 31) * 0x1000;

    if (how & 0x80) { /* a context descriptor */
        uint64_t cd = RIG_RAM + (uint64_t)(how & 31) * 0x1000;

        rig_put(rig, cd, CD_V | CD_AA64 | CD_A | (uint64_t)br_u8(r) << 48 | (uint64_t)br_u16(r) << 32 | br_u32(r));
        rig_put(rig, cd + 8, ptr);
        rig_put(rig, cd + 16, address(r));
    } else {
        rig_ste(rig, how & 0x40, how & 15, STE_V | ptr | (how >> 3 & 6) | (uint64_t)(br_u8(r) & 15), br_u32(r),
                stage2 << 32 | S2_AA64 | br_u8(r), address(r));
    }
}

/* Descriptors: valid more often than not. */
static void put_table(SmmuRig *rig, ByteReader *r)
{
    uint64_t at = RIG_RAM + br_u24(r) % (RIG_RAM_SIZE - 64);

    for (unsigned i = 0; i < 8; i++) {
        rig_put(rig, align_down(at, 8) + i * 8, (address(r) & ~0xfffull) | br_u16(r));
    }
}

static void command(SmmuRig *rig, ByteReader *r)
{
    static const uint8_t ops[] = { CMD_PREFETCH_CONFIG, CMD_PREFETCH_ADDR, CMD_CFGI_STE, CMD_CFGI_STE_RANGE,
                                   CMD_CFGI_CD, CMD_CFGI_CD_ALL, CMD_TLBI_NH_ALL, CMD_TLBI_NH_ASID, CMD_TLBI_NH_VA,
                                   CMD_TLBI_NH_VAA, CMD_TLBI_S12_VMALL, CMD_TLBI_S2_IPA, CMD_TLBI_NSNH_ALL, CMD_SYNC };
    unsigned             how = br_u8(r);
    uint64_t             op = how & 0x80 ? br_u8(r) : ops[(how >> 1) % ARRAY_LEN(ops)];

    rig_command(rig, how & 1, op | (uint64_t)br_u24(r) << 12 | (uint64_t)br_u24(r) << 36, address(r) | br_u16(r));
}

static void dma(SmmuRig *rig, ByteReader *r)
{
    unsigned  how = br_u8(r);
    bool      trusted = how & 1, write = how & 2;
    DmaTarget t;

    if (rig_dma(rig, trusted, how >> 2 & 15, how & 0x40 ? br_u64(r) : br_u24(r), write, &t) == DMA_OK) {
        g_assert(owners_allow(rig->owners, t.pa, t.pas));
        g_assert(trusted || t.pas == PAS_NONSECURE);
        g_assert(t.len != 0 && t.len <= 4096);
    }
}

static void change_owner(SmmuRig *rig, ByteReader *r)
{
    static const Owner owners[] = { OWNER_NONSECURE, OWNER_REALM, OWNER_ROOT, OWNER_NONE };

    owners_set(rig->owners, RIG_RAM + (uint64_t)(br_u16(r) % (RIG_RAM_SIZE / 4096)) * 4096, 4096,
               owners[br_u8(r) & 3]);
}

/* A monitor looks, at any time; what it sees is bounded. */
static void count(void *opaque, const SmmuStreamLook *st) { ++*(unsigned *)opaque; }

static void look(SmmuRig *rig)
{
    unsigned n = 0;

    smmu_look_streams(rig->smmu, PAS_NONSECURE, 16, count, &n);
    smmu_look_streams(rig->smmu, PAS_REALM, 16, count, &n);
    g_assert(n <= 2 * (16 + 64)); /* and what is cached */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ByteReader r = br_init(data, size);
    SmmuRig   *rig = rig_new();

    for (unsigned i = 0; i < 512 && br_left(&r) != 0; i++) {
        switch (br_u8(&r) & 7) {
        case 0: set_register(rig, &r); break;
        case 1: put_config(rig, &r); break;
        case 2: put_table(rig, &r); break;
        case 3: command(rig, &r); break;
        case 4: change_owner(rig, &r); break;
        default: dma(rig, &r); break;
        }
    }
    look(rig);
    rig_free(rig);
    return 0;
}
