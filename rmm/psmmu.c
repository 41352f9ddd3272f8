/*
 * The RMM's driver of the SMMU's Realm interface: stream table, command and event queue in the RMM's own
 * memory, and the stream table entries of VDEVs. Arm IHI 0070, "Stream table", "Command queue"; the Realm
 * page is the RME-DA extension. A Realm stream is translated by stage 2 alone, which is the Realm's own RTT.
 */
#include "rmm/dev_int.h"

#include <inttypes.h>

/* Registers, from Non-secure page 0, which speaks for all streams; and from Realm page 0. */
enum { IDR0 = 0x00, IDR1 = 0x04, IDR3 = 0x0c };
enum {
    R_CR0 = 0x20, R_CR0ACK = 0x24, R_CR1 = 0x28, R_CR2 = 0x2c,
    R_GERROR = 0x60, R_GERRORN = 0x64, R_STRTAB_BASE = 0x80, R_STRTAB_BASE_CFG = 0x88, R_CMDQ_BASE = 0x90,
    R_CMDQ_PROD = 0x98, R_CMDQ_CONS = 0x9c, R_EVTQ_BASE = 0xa0, R_EVTQ_PROD = 0x100a8, R_EVTQ_CONS = 0x100ac,
};

#define IDR0_S2P   BIT(0)
#define IDR3_FWB   BIT(8)
#define IDR3_RIL   BIT(10)
#define CR0_ALL    (BIT(0) /* SMMUEN */ | BIT(2) /* EVTQEN */ | BIT(3) /* CMDQEN */)
#define CR1_WB_ISH 0xd75u                   /* tables and queues: inner shareable, write-back */
#define CR2_VALUE  (BIT(0) /* E2H */ | BIT(1) /* RECINVSID */)
#define BASE_RA    BIT(62)

enum {
    CMD_CFGI_STE = 0x03, CMD_CFGI_ALL = 0x04, CMD_TLBI_S12_VMALL = 0x28, CMD_TLBI_S2_IPA = 0x2a,
    CMD_TLBI_NSNH_ALL = 0x30, CMD_SYNC = 0x46,
};
enum { STE_SIZE = 64, CMD_SIZE = 16, CMDQ_LOG2 = 8, EVTQ_LOG2 = 7, EVENT_SIZE = 32 };
enum { MAX_SID_BITS = 16, MAX_RANGE = 32 };

/* IHI 0070, "Stream Table Entry". */
#define STE_V         BIT(0)
#define STE_CFG_S2    (6ull << 1)
#define STE_S2FWB     BIT(25)               /* word 1 */
#define STE_SHCFG_IN  BIT(44)               /* word 1: shareability as it comes in */
#define STE_VTCR_LSB  32                    /* word 2 */
#define STE_S2AA64    BIT(51)
#define STE_S2R       BIT(58)               /* faults are recorded */

static const MemAttrs realm_attrs = { .pas = PAS_REALM }, ns_attrs = { .pas = PAS_NONSECURE };

static Psmmu *psmmu(Rmm *rmm) { return &dev_state(rmm)->psmmu; }

/* ---- registers and memory ---- */

static bool reg_read(Rmm *rmm, unsigned reg, uint32_t *value)
{
    uint8_t b[4] = { 0 };
    bool    ok = memory_read(rmm->memory, psmmu(rmm)->base + reg, realm_attrs, b, sizeof(b)) == MEM_OK;

    *value = le32_get(b);
    return ok;
}

static void reg_write(Rmm *rmm, unsigned reg, uint32_t value)
{
    uint8_t b[4];

    le32_put(b, value);
    memory_write(rmm->memory, psmmu(rmm)->base + reg, realm_attrs, b, sizeof(b));
}

static void reg_write64(Rmm *rmm, unsigned reg, uint64_t value)
{
    reg_write(rmm, reg, (uint32_t)value);
    reg_write(rmm, reg + 4, (uint32_t)(value >> 32));
}

static uint64_t mem_get(Rmm *rmm, uint64_t pa)
{
    uint8_t b[8] = { 0 };

    memory_read(rmm->memory, pa, realm_attrs, b, sizeof(b));
    return le64_get(b);
}

static void mem_put(Rmm *rmm, uint64_t pa, uint64_t value)
{
    uint8_t b[8];

    le64_put(b, value);
    memory_write(rmm->memory, pa, realm_attrs, b, sizeof(b));
}

/* ---- queues ---- */

/* Events are in the SMMU's own trace; here they only make room for the next ones. */
static void drain_events(Rmm *rmm)
{
    uint32_t prod, cons;

    if (reg_read(rmm, R_EVTQ_PROD, &prod) && reg_read(rmm, R_EVTQ_CONS, &cons) && prod != cons) {
        reg_write(rmm, R_EVTQ_CONS, prod);
    }
}

static void command(Rmm *rmm, uint64_t w0, uint64_t w1)
{
    Psmmu   *s = psmmu(rmm);
    uint64_t at = s->cmdq + (s->prod & mask64(CMDQ_LOG2)) * CMD_SIZE;

    mem_put(rmm, at, w0);
    mem_put(rmm, at + 8, w1);
    s->prod = (s->prod + 1) & (uint32_t)mask64(CMDQ_LOG2 + 1);
    reg_write(rmm, R_CMDQ_PROD, s->prod);
}

/* The SMMU has consumed everything when this returns: no other thread of control could still be waited
 * for. */
static void sync(Rmm *rmm)
{
    uint32_t cons = 0, gerror = 0;

    command(rmm, CMD_SYNC, 0);
    if (!reg_read(rmm, R_CMDQ_CONS, &cons) || (cons & mask64(CMDQ_LOG2 + 1)) != psmmu(rmm)->prod) {
        log_error("the SMMU did not take the RMM's commands: consumer 0x%x, producer 0x%x", cons,
                  psmmu(rmm)->prod);
        reg_read(rmm, R_GERROR, &gerror);
        reg_write(rmm, R_GERRORN, gerror);
    }
    drain_events(rmm);
}

/* ---- setting up ---- */

static bool id_read(Rmm *rmm, unsigned reg, uint32_t *value)
{
    uint8_t b[4] = { 0 };
    bool    ok = memory_read(rmm->memory, rmm->platform.smmu_base + reg, ns_attrs, b, sizeof(b)) == MEM_OK;

    *value = le32_get(b);
    return ok;
}

static bool identify(Rmm *rmm)
{
    Psmmu   *s = psmmu(rmm);
    uint32_t idr0 = 0, idr1 = 0, idr3 = 0;

    s->base = rmm->platform.smmu_realm_base;
    if (s->base == 0 || !id_read(rmm, IDR0, &idr0) || !id_read(rmm, IDR1, &idr1) || !id_read(rmm, IDR3, &idr3)) {
        return false;
    }
    s->sid_bits = MIN(idr1 & 63, MAX_SID_BITS);
    s->fwb = idr3 & IDR3_FWB;
    return (idr0 & IDR0_S2P) && (idr3 & IDR3_RIL);
}

/* A linear stream table, aligned to its size, and a page for each queue. Memory starts as zeros: no stream is
 * valid. */
static bool lay_out(Rmm *rmm)
{
    Psmmu   *s = psmmu(rmm);
    uint64_t size = (uint64_t)STE_SIZE << s->sid_bits;

    s->strtab = align_up(rmm->carveout, size);
    s->cmdq = s->strtab + size;
    s->evtq = s->cmdq + RMM_GRANULE_SIZE;
    return s->evtq + RMM_GRANULE_SIZE - rmm->carveout <= rmm->carveout_size;
}
_Static_assert(CMD_SIZE << CMDQ_LOG2 == RMM_GRANULE_SIZE && EVENT_SIZE << EVTQ_LOG2 == RMM_GRANULE_SIZE,
               "a queue is a page");

static void program(Rmm *rmm)
{
    const Psmmu *s = psmmu(rmm);

    reg_write(rmm, R_CR0, 0);
    reg_write(rmm, R_CR1, CR1_WB_ISH);
    reg_write(rmm, R_CR2, CR2_VALUE);
    reg_write64(rmm, R_STRTAB_BASE, s->strtab | BASE_RA);
    reg_write(rmm, R_STRTAB_BASE_CFG, s->sid_bits);
    reg_write64(rmm, R_CMDQ_BASE, s->cmdq | BASE_RA | CMDQ_LOG2);
    reg_write(rmm, R_CMDQ_PROD, 0);
    reg_write(rmm, R_CMDQ_CONS, 0);
    reg_write64(rmm, R_EVTQ_BASE, s->evtq | BASE_RA | EVTQ_LOG2);
    reg_write(rmm, R_EVTQ_PROD, 0);
    reg_write(rmm, R_EVTQ_CONS, 0);
    reg_write(rmm, R_CR0, CR0_ALL);
    command(rmm, CMD_CFGI_ALL, 31);
    command(rmm, CMD_TLBI_NSNH_ALL, 0);
    sync(rmm);
}

/* ---- invalidation ---- */

/* IHI 0070, "Range-based invalidation": (NUM + 1) << SCALE pages of 4 KiB. As few commands as the length
 * needs. */
static void tlbi_range(Rmm *rmm, uint16_t vmid, uint64_t ipa, uint64_t pages)
{
    while (pages != 0) {
        unsigned scale = 0;

        while (pages >> scale > MAX_RANGE) {
            scale++;
        }
        uint64_t num = pages >> scale;
        unsigned tg = num << scale == 1 ? 0 : 1; /* one page is no range; else granule 4 KiB */
        command(rmm, CMD_TLBI_S2_IPA | (num - 1) << 12 | (uint64_t)scale << 20 | (uint64_t)vmid << 32,
                ipa | tg << 10);
        ipa += (num << scale) * RMM_GRANULE_SIZE;
        pages -= num << scale;
    }
}

static void tlbi_vmid(Rmm *rmm, uint16_t vmid) { command(rmm, CMD_TLBI_S12_VMALL | (uint64_t)vmid << 32, 0); }

/* Told of every Realm page that lost access. While no stream is valid nothing of a Realm is cached. */
static void flush_ipa(void *opaque, uint16_t vmid, uint64_t ipa, uint64_t len)
{
    Rmm *rmm = opaque;

    if (psmmu(rmm)->n_valid == 0) {
        return;
    }
    if (len == ~0ull) {
        tlbi_vmid(rmm, vmid);
    } else {
        tlbi_range(rmm, vmid, ipa, len / RMM_GRANULE_SIZE);
    }
    sync(rmm);
}

bool psmmu_init(Rmm *rmm)
{
    if (!identify(rmm) || !lay_out(rmm)) {
        return false;
    }
    program(rmm);
    rmm_add_ipa_flush(rmm, flush_ipa, rmm);
    return true;
}

/* ---- streams ---- */

static uint64_t ste_word(Rmm *rmm, uint32_t stream, unsigned word)
{
    return psmmu(rmm)->strtab + (uint64_t)stream * STE_SIZE + 8 * word;
}

bool psmmu_stream_exists(Rmm *rmm, uint32_t stream) { return stream >> psmmu(rmm)->sid_bits == 0; }

/* Every entry of a VDEV has S2AA64, whether it is valid or not. */
bool psmmu_stream_used(Rmm *rmm, uint32_t stream) { return mem_get(rmm, ste_word(rmm, stream, 2)) != 0; }

static void configuration_changed(Rmm *rmm, uint32_t stream)
{
    command(rmm, CMD_CFGI_STE | (uint64_t)stream << 32, 1);
    sync(rmm);
}

void psmmu_stream_attach(Rmm *rmm, const Realm *realm, uint32_t stream)
{
    uint64_t vtcr = extract64(realm_vtcr(realm), 0, 19);

    mem_put(rmm, ste_word(rmm, stream, 0), STE_CFG_S2);
    mem_put(rmm, ste_word(rmm, stream, 1), STE_SHCFG_IN | (psmmu(rmm)->fwb ? STE_S2FWB : 0));
    mem_put(rmm, ste_word(rmm, stream, 2), realm->vmid | vtcr << STE_VTCR_LSB | STE_S2AA64 | STE_S2R);
    mem_put(rmm, ste_word(rmm, stream, 3), realm->rtt_base);
    configuration_changed(rmm, stream);
}

void psmmu_stream_detach(Rmm *rmm, uint32_t stream)
{
    for (unsigned i = 0; i < 4; i++) {
        mem_put(rmm, ste_word(rmm, stream, i), 0);
    }
    configuration_changed(rmm, stream);
}

/* Word 0 alone decides: it is written last when the entry becomes valid, and at once when it stops
 * being so. */
void psmmu_stream_set_valid(Rmm *rmm, const Realm *realm, uint32_t stream, bool valid)
{
    mem_put(rmm, ste_word(rmm, stream, 0), STE_CFG_S2 | (valid ? STE_V : 0));
    psmmu(rmm)->n_valid += valid ? 1u : ~0u;
    configuration_changed(rmm, stream);
    if (!valid) {
        tlbi_vmid(rmm, realm->vmid);
        sync(rmm);
    }
    LOG(SMMU, "realm stream 0x%x of vmid %u %s", stream, realm->vmid, valid ? "valid" : "invalid");
}
