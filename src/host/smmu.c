/*
 * Driver of the Non-secure side of the SMMUv3: stream table, queues and one stage 2 table, all in our memory.
 * The streams of passed-through functions reach the pages that the Realm shares, at IPA with the shared bit,
 * and the page of the ITS doorbell; anything else faults into the event queue. IHI 0070, "Memory map and
 * registers", "Stream Table Entry", "Commands", "Event records".
 */
#include "host/host_int.h"
#include "log.h"

enum {
    R_CR0 = 0x20,
    R_CR0ACK = 0x24,
    R_CR1 = 0x28,
    R_CR2 = 0x2c,
    R_IRQ_CTRL = 0x50,
    R_STRTAB_BASE = 0x80,
    R_STRTAB_BASE_CFG = 0x88,
    R_CMDQ_BASE = 0x90,
    R_CMDQ_PROD = 0x98,
    R_CMDQ_CONS = 0x9c,
    R_EVTQ_BASE = 0xa0,
    R_EVTQ_PROD = 0x100a8,
    R_EVTQ_CONS = 0x100ac,
    CR0_SMMUEN = 1,
    CR0_EVTQEN = 4,
    CR0_CMDQEN = 8,
    CR1_COHERENT = 0xd75, /* tables and queues inner shareable, write-back */
    IRQ_EVTQ = 4,
    CMD_CFGI_STE = 0x03,
    CMD_CFGI_ALL = 0x04,
    CMD_TLBI_S2_IPA = 0x2a,
    CMD_TLBI_NSNH_ALL = 0x30,
    CMD_SYNC = 0x46,
    CMDQ_LOG2 = 8,
    CMD_SIZE = 16, /* a page each */
    EVTQ_LOG2 = 7,
    EVENT_SIZE = 32,
    STRTAB_SPLIT = 8,
    STRTAB_LOG2 = 16,
    STE_SIZE = 64,
    STE_PAGES = (1 << STRTAB_SPLIT) * STE_SIZE / 4096,
    VMID = 1,
};
#define STRTAB_2LVL     (1ull << 16)
#define STE_VALID       1ull
#define STE_CFG_S2      (6ull << 1)
#define STE_SHCFG_IN    (1ull << 44)
#define STE_S2AA64      (1ull << 51)
#define STE_S2R         (1ull << 58)
/* VTCR: 48-bit input, start at level 0, write-back inner shareable walks, 4 KiB, 48-bit output. */
#define STE_VTCR        (16ull | 2ull << 6 | 1ull << 8 | 1ull << 10 | 3ull << 12 | 5ull << 16)
/* Stage 2 descriptors: DDI 0487, "VMSAv8-64 descriptor formats". */
#define DESC_TABLE      3ull
#define DESC_PAGE       (3ull | 3ull << 6 | 3ull << 8 | 1ull << 10) /* RW, inner shareable, accessed */
#define DESC_NORMAL     (0xfull << 2)
#define DESC_DEVICE     (0x1ull << 2)
#define DESC_ADDR       0x0000fffffffff000ull

static uint64_t get_reg(Host *h, unsigned reg, unsigned size)
{
    return host_reg_read(h, h->cfg.board->smmu.base + reg, size);
}

static void put_reg(Host *h, unsigned reg, unsigned size, uint64_t v)
{
    host_reg_write(h, h->cfg.board->smmu.base + reg, size, v);
}

/* ---- commands ---- */

static void command(Host *h, uint64_t w0, uint64_t w1)
{
    HostSmmu *s = &h->smmu;
    uint64_t  at = s->cmdq + (s->cmd_prod & mask64(CMDQ_LOG2)) * CMD_SIZE;

    host_put64(h, at, w0);
    host_put64(h, at + 8, w1);
    s->cmd_prod = (s->cmd_prod + 1) & (uint32_t)mask64(CMDQ_LOG2 + 1);
    put_reg(h, R_CMDQ_PROD, 4, s->cmd_prod);
}

/* The commands before it are done when the SMMU has consumed it. */
static void sync(Host *h)
{
    command(h, CMD_SYNC, 0);
    if (get_reg(h, R_CMDQ_CONS, 4) != h->smmu.cmd_prod) {
        log_error("the built-in host's SMMU commands were not taken: CMDQ_CONS 0x%llx",
                  (unsigned long long)get_reg(h, R_CMDQ_CONS, 4));
    }
}

/* ---- events ---- */

static const char *event_name(unsigned id)
{
    static const char *const names[] = {
        [0x01] = "F_UUT",         [0x02] = "C_BAD_STREAMID",    [0x03] = "F_STE_FETCH",
        [0x04] = "C_BAD_STE",     [0x06] = "F_STREAM_DISABLED", [0x0b] = "F_WALK_EABT",
        [0x10] = "F_TRANSLATION", [0x11] = "F_ADDR_SIZE",       [0x12] = "F_ACCESS",
        [0x13] = "F_PERMISSION",
    };

    return id < ARRAY_LEN(names) && names[id] != NULL ? names[id] : "event of another kind";
}

void host_smmu_events(Host *h)
{
    HostSmmu *s = &h->smmu;
    uint32_t  prod, overflow, mask = (uint32_t)mask64(EVTQ_LOG2 + 1);

    if (!s->on) {
        return;
    }
    prod = (uint32_t)get_reg(h, R_EVTQ_PROD, 4);
    overflow = prod & 1u << 31;
    for (; s->evt_cons != (prod & mask); s->evt_cons = (s->evt_cons + 1) & mask) {
        uint64_t at = s->evtq + (s->evt_cons & mask64(EVTQ_LOG2)) * EVENT_SIZE, w0 = host_get64(h, at);
        uint64_t w1 = host_get64(h, at + 8);

        s->n_events++;
        LOG(SMMU, "host: %s of stream 0x%x: %s iova 0x%llx, ipa 0x%llx", event_name(w0 & 0xff),
            (unsigned)(w0 >> 32), w1 >> 35 & 1 ? "read" : "write", (unsigned long long)host_get64(h, at + 16),
            (unsigned long long)host_get64(h, at + 24));
    }
    put_reg(h, R_EVTQ_CONS, 4, s->evt_cons | overflow);
}

/* ---- start ---- */

/* The order a kernel keeps: everything off, tables and queues, command queue on, caches emptied, event queue,
 * on. */
bool host_smmu_init(Host *h)
{
    HostSmmu *s = &h->smmu;

    s->strtab = host_alloc(h);
    s->cmdq = host_alloc(h);
    s->evtq = host_alloc(h);
    s->root = host_alloc(h);
    if (s->strtab == 0 || s->cmdq == 0 || s->evtq == 0 || s->root == 0) {
        return false;
    }
    put_reg(h, R_CR0, 4, 0);
    put_reg(h, R_CR1, 4, CR1_COHERENT);
    put_reg(h, R_CR2, 4, 2); /* RECINVSID: events for streams without an entry */
    put_reg(h, R_STRTAB_BASE, 8, s->strtab);
    put_reg(h, R_STRTAB_BASE_CFG, 4, STRTAB_2LVL | STRTAB_SPLIT << 6 | STRTAB_LOG2);
    put_reg(h, R_CMDQ_BASE, 8, s->cmdq | CMDQ_LOG2);
    put_reg(h, R_CMDQ_PROD, 4, 0);
    put_reg(h, R_CMDQ_CONS, 4, 0);
    put_reg(h, R_CR0, 4, CR0_CMDQEN);
    command(h, CMD_CFGI_ALL, 31);
    command(h, CMD_TLBI_NSNH_ALL, 0);
    sync(h);
    put_reg(h, R_EVTQ_BASE, 8, s->evtq | EVTQ_LOG2);
    put_reg(h, R_EVTQ_PROD, 4, 0);
    put_reg(h, R_EVTQ_CONS, 4, 0);
    put_reg(h, R_CR0, 4, CR0_CMDQEN | CR0_EVTQEN);
    put_reg(h, R_IRQ_CTRL, 4, IRQ_EVTQ);
    put_reg(h, R_CR0, 4, CR0_CMDQEN | CR0_EVTQEN | CR0_SMMUEN);
    s->on = true;
    return host_smmu_map(h, align_down(h->cfg.board->its.base + GITS_TRANSLATER_OFFSET, PAGE_SIZE),
                         align_down(h->cfg.board->its.base + GITS_TRANSLATER_OFFSET, PAGE_SIZE), true);
}

bool host_smmu_attach(Host *h, uint32_t sid)
{
    HostSmmu *s = &h->smmu;
    uint64_t  l1 = s->strtab + (uint64_t)(sid >> STRTAB_SPLIT) * 8, l2 = host_get64(h, l1) & DESC_ADDR, ste;

    if (l2 == 0) {
        l2 = host_alloc_pages(h, STE_PAGES, STE_PAGES * PAGE_SIZE);
        if (l2 == 0) {
            return false;
        }
        host_put64(h, l1, l2 | (STRTAB_SPLIT + 1));
    }
    ste = l2 + (sid & mask64(STRTAB_SPLIT)) * STE_SIZE;
    host_put64(h, ste + 8, STE_SHCFG_IN);
    host_put64(h, ste + 16, VMID | STE_VTCR << 32 | STE_S2AA64 | STE_S2R);
    host_put64(h, ste + 24, s->root);
    host_put64(h, ste, STE_VALID | STE_CFG_S2); /* last: the others must be there when it is valid */
    command(h, CMD_CFGI_STE | (uint64_t)sid << 32, 1);
    sync(h);
    return true;
}

/* ---- the stage 2 table ---- */

/* The address of @iova's level 3 entry; 0: a table is missing and not to be made, or there is no memory for
 * it. */
static uint64_t entry_at(Host *h, uint64_t iova, bool make)
{
    uint64_t table = h->smmu.root;

    for (unsigned level = 0; level < 3; level++) {
        uint64_t at = table + extract64(iova, 39 - 9 * level, 9) * 8;

        table = host_get64(h, at) & DESC_ADDR;
        if (table == 0 && make) {
            table = host_alloc(h);
            host_put64(h, at, table != 0 ? table | DESC_TABLE : 0);
        }
        if (table == 0) {
            return 0;
        }
    }
    return table + extract64(iova, 12, 9) * 8;
}

bool host_smmu_map(Host *h, uint64_t iova, uint64_t pa, bool device)
{
    uint64_t at = h->smmu.on ? entry_at(h, iova, true) : 0;

    if (!h->smmu.on) {
        return true; /* nobody is behind it */
    }
    if (at != 0) {
        host_put64(h, at, pa | DESC_PAGE | (device ? DESC_DEVICE : DESC_NORMAL));
    }
    return at != 0;
}

void host_smmu_unmap(Host *h, uint64_t iova)
{
    uint64_t at = h->smmu.on ? entry_at(h, iova, false) : 0;

    if (at != 0 && host_get64(h, at) != 0) {
        host_put64(h, at, 0);
        command(h, CMD_TLBI_S2_IPA | (uint64_t)VMID << 32, iova & ~0xfffull);
        sync(h);
    }
}
