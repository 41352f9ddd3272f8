/*
 * A hostile host and a hostile Realm, in each dialect, on a machine with devices to assign: a list of RMI and PSCI
 * calls with arguments that are often right, writes to the pages it passes, messages carried to the device and spoilt,
 * and Realms that call RSI with any values or run whatever bytes are in their memory. Commands and argument counts come
 * from the RMM's own tables.
 *
 * The first byte says the dialect and how far everything is when the host turns bad: from nothing to a device that does
 * DMA. Getting there takes cryptography, so it is done once, and each run starts from a copy.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "iommu/smmuv3_int.h"
#include "unit/rmm_dev_rig.h"

enum { MAX_STEPS = 256, REALM_INSNS = 200, BAR_PAGES = 4096, BUFFER_IPA = 0x5000 };

/* What there is at first; from START_DEVICE on what the DevStage of that distance says. */
typedef enum Start { START_NOTHING, START_REALMS, START_RECS, START_ACTIVE, START_DEVICE, N_STARTS_1_0 = START_DEVICE,
                     N_STARTS = START_DEVICE + N_STAGES } Start;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- machines as they were ---- */

/* All that a run changes, but for caches, which are emptied. */
typedef struct Copy {
    DevRig   rig;
    uint8_t  ram[RIG_RAM_SIZE], owner[RIG_RAM_SIZE / 4096];
    uint8_t  granule[RIG_RAM_SIZE / 4096], registers[BAR_PAGES], registers_owner[BAR_PAGES];
    SpdmPair pairs[2];
    Smmu     smmu;
    DevState device;
    Entropy  entropy;
    uint64_t vmid_used[RMM_MAX_VMIDS / 64];
} Copy;

static uint8_t *granules(Rig *rig, uint64_t pa)
{
    (void)granule_state(rig->rmm, pa); /* so that there is a table */
    return rig->rmm->granule[pa >> GRANULE_CHUNK_BITS] + extract64(pa, 12, GRANULE_CHUNK_BITS - 12);
}

static Copy *copy_take(DevRig *d)
{
    Copy *c = g_new0(Copy, 1);
    Rig  *rig = d->rig;

    c->rig = *d;
    memcpy(c->ram, rig->ram, sizeof(c->ram));
    for (unsigned i = 0; i < ARRAY_LEN(c->owner); i++) {
        c->owner[i] = (uint8_t)owners_get(rig->owners, PAGE(i));
    }
    for (unsigned i = 0; i < BAR_PAGES; i++) {
        c->registers_owner[i] = (uint8_t)owners_get(rig->owners, D_BAR + 4096ull * i);
    }
    memcpy(c->granule, granules(rig, RIG_RAM), sizeof(c->granule));
    memcpy(c->registers, granules(rig, D_BAR), sizeof(c->registers));
    for (unsigned i = 0; i < ARRAY_LEN(c->pairs); i++) {
        c->pairs[i] = *d->pairs[i];
    }
    for (unsigned i = 0; i < SMMU_N_BANKS; i++) { /* nothing was translated */
        g_assert(!d->smmu->bank[i].tlb_used);
    }
    c->smmu = *d->smmu;
    if (dev_state(rig->rmm) != NULL) {
        c->device = *dev_state(rig->rmm);
    }
    c->entropy = rig->rmm->entropy;
    memcpy(c->vmid_used, rig->rmm->vmid_used, sizeof(c->vmid_used));
    return c;
}

static void give_owners(Rig *rig, uint64_t pa, const uint8_t *owner, unsigned n)
{
    owners_set(rig->owners, pa, 4096ull * n, OWNER_NONE); /* no cache keeps a page */
    owners_set(rig->owners, pa, 4096ull * n, OWNER_NONSECURE);
    for (unsigned i = 0; i < n; i++) {
        if (owner[i] != OWNER_NONSECURE) {
            owners_set(rig->owners, pa + 4096ull * i, 4096, (Owner)owner[i]);
        }
    }
}

static void copy_give(const Copy *c, DevRig *d)
{
    Rig *rig = d->rig;

    *d = c->rig;
    for (unsigned i = 0; i < ARRAY_LEN(d->object); i++) {
        g_byte_array_set_size(d->object[i], 0);
    }
    give_owners(rig, RIG_RAM, c->owner, ARRAY_LEN(c->owner));
    give_owners(rig, D_BAR, c->registers_owner, BAR_PAGES);
    memcpy(rig->ram, c->ram, sizeof(c->ram));
    memory_dirty(rig->memory, RIG_RAM, RIG_RAM_SIZE);
    memcpy(granules(rig, RIG_RAM), c->granule, sizeof(c->granule));
    memcpy(granules(rig, D_BAR), c->registers, sizeof(c->registers));
    for (unsigned i = 0; i < ARRAY_LEN(c->pairs); i++) {
        *d->pairs[i] = c->pairs[i];
    }
    *d->smmu = c->smmu;
    if (dev_state(rig->rmm) != NULL) {
        *dev_state(rig->rmm) = c->device;
    }
    rig->rmm->entropy = c->entropy;
    memcpy(rig->rmm->vmid_used, c->vmid_used, sizeof(c->vmid_used));
    gicv3_reset(rig->gic);
    clock_restart(rig->clock);
    for (unsigned i = 0; i < RIG_CPUS; i++) {
        rig->rmm->cpu[i] = (RmmCpu){ .cpu = rig->cpu[i] };
        monitor_set_builtin_host(rig->monitor, rig->cpu[i]);
    }
}

static void reach(DevRig *d, Start start)
{
    static const uint32_t code[] = { A64_SMC, A64_WFI };

    switch (start) {
    case START_NOTHING: break;
    case START_REALMS: world_new(d->rig, code, ARRAY_LEN(code)); break;
    case START_RECS: world_recs(d->rig); break;
    case START_ACTIVE: rmi_ok(d->rig, RMI_FID_REALM_ACTIVATE, d->rd); break;
    case START_DEVICE:
        rig_delegate(d->rig, PAGE(D_PDEV), D_PARAMS - D_PDEV);
        dev_pdev_params(d, D_AUX);
        rmi_ok(d->rig, RMI_FID_RTT_CREATE, d->rd, PAGE(D_L2), D_IPA, 3);
        rig_delegate(d->rig, D_BAR, 2);
        break;
    default: dev_reach(d, (DevStage)(start - START_DEVICE)); break;
    }
}

/* The machine of that dialect as far as @start; which one it comes to is taken modulo those there are. */
static DevRig *fresh_rig(RmmDialectId dialect, unsigned start)
{
    static struct {
        DevRig *d;
        Copy   *copy[N_STARTS];
    } all[RMM_N_DIALECTS];
    unsigned n = rmm_dialects[dialect].da ? N_STARTS : N_STARTS_1_0;

    rig_dialect = dialect;
    if (all[dialect].d == NULL) {
        all[dialect].d = dev_rig_bare();
        for (unsigned i = 0; i < n; i++) {
            reach(all[dialect].d, (Start)i);
            all[dialect].copy[i] = copy_take(all[dialect].d);
        }
    }
    copy_give(all[dialect].copy[start % n], all[dialect].d);
    return all[dialect].d;
}

/* ---- what they do ---- */

/* An argument that has a meaning somewhere: a page of the world, an IPA, a level, a small number, something of the
 * device's, or anything. */
static uint64_t argument(DevRig *d, ByteReader *r)
{
    static const uint64_t ipas[] = { 0, 0x1000, 0x7000, 0x9000, 0x200000, 0x40000000, WORLD_NS, WORLD_NS + 0x3000,
                                     WORLD_NS + 0x200000, 1ull << WORLD_BITS, D_IPA, D_BAR, D_BAR + 0x3000,
                                     D_VDEV_ID, BUFFER_IPA };
    uint8_t how = br_u8(r);

    switch (how & 7) {
    case 0:
    case 1:
        return PAGE(br_u8(r));
    case 2: {
        const uint64_t objects[] = { d->rd, d->pdev, d->vdev, d->rec, PAGE(D_PARAMS), PAGE(D_COMM), PAGE(D_VDEV2),
                                     PAGE(W_RUN) };
        return objects[how >> 5];
    }
    case 3:
        return PAGE(br_u8(r)) + br_u8(r);
    case 4:
        return ipas[br_u8(r) % ARRAY_LEN(ipas)] + ((uint64_t)(how >> 5) << 12);
    case 5:
        return br_u8(r) & 7;
    case 6:
        return PAGE(br_u8(r)) | (uint64_t)br_u8(r) << 2;
    default:
        return br_u64(r);
    }
}

static void run_realm(Rig *rig, unsigned cpu)
{
    Cpu     *c = &rig->cpu[cpu]->cpu;
    uint64_t used = 0;

    while (!c->party) {
        CpuStop stop = cpu_run(c, clock_now(rig->clock), REALM_INSNS, &used);
        clock_advance(rig->clock, clock_now(rig->clock) + (int64_t)used);
        if (!c->party && (stop == CPU_STOP_TIME || stop == CPU_STOP_WAIT)) { /* the host's interrupt ends it */
            a64_set_line(rig->cpu[cpu], A64_LINE_IRQ, true);
        }
    }
    a64_set_line(rig->cpu[cpu], A64_LINE_IRQ, false);
}

static void smc(Rig *rig, unsigned cpu, const uint64_t *x)
{
    A64Cpu *a64 = rig->cpu[cpu];

    if (a64->off) { /* it turned itself off: nobody calls */
        return;
    }
    memcpy(a64->x, x, 8 * 7);
    if (monitor_host_smc(rig->monitor, a64)) {
        run_realm(rig, cpu);
    }
}

static void call(DevRig *d, ByteReader *r)
{
    uint16_t          pick = br_u16(r);
    const RmiCommand *c = d->rig->rmm->rmi[pick % RMI_TABLE_LEN];
    unsigned          n = c != NULL ? c->in : 6;
    uint64_t          x[7] = { c != NULL ? SMC64_STD(c->fid) : argument(d, r) };

    for (unsigned i = 1; i <= n; i++) {
        x[i] = argument(d, r);
    }
    smc(d->rig, pick >> 15, x);
}

/* A command about the device as it should be, but for at most one argument. */
static void device_call(DevRig *d, ByteReader *r)
{
    static const struct {
        uint32_t    fid;
        const char *x; /* p: PDEV, v: VDEV, r: RD, e: REC, a: parameters, i: IPA, t: its top, b: registers, 3: level */
    } calls[2][22] = {
        { /* 1.1-alp17 */
          { RMI_FID_PDEV_CREATE, "pa" }, { RMI_FID_PDEV_SET_PUBKEY, "pa" }, { RMI_FID_PDEV_STOP, "p" },
          { RMI_FID_PDEV_DESTROY, "p" }, { RMI_FID_PDEV_ABORT, "p" }, { RMI_FID_PDEV_IDE_RESET, "p" },
          { RMI_FID_PDEV_IDE_KEY_REFRESH, "p0" }, { RMI_FID_VDEV_CREATE, "rpva" }, { RMI_FID_VDEV_LOCK, "rpv" },
          { RMI_FID_VDEV_START, "rpv" }, { RMI_FID_VDEV_UNLOCK, "rpv" }, { RMI_FID_VDEV_DESTROY, "rpv" },
          { RMI_FID_VDEV_ABORT, "v" }, { RMI_FID_VDEV_COMPLETE, "ev" }, { RMI_FID_VDEV_GET_MEASUREMENTS, "rpva" },
          { RMI_FID_VDEV_GET_INTERFACE_REPORT, "rpv" }, { RMI_FID_VDEV_MAP, "rvi3b" }, { RMI_FID_VDEV_UNMAP, "ri3" },
          { RMI_FID_VDEV_VALIDATE_MAPPING, "repvit" }, { RMI_FID_GRANULE_DELEGATE, "b" },
          { RMI_FID_GRANULE_UNDELEGATE, "b" }, { RMI_FID_REC_ENTER, "eu" } },
        { /* 1.1-alp12 */
          { RMI_FID_PDEV_CREATE, "pa" }, { RMI_FID_PDEV_SET_PUBKEY, "pa" }, { RMI_FID_PDEV_STOP, "p" },
          { RMI_FID_PDEV_DESTROY, "p" }, { RMI_FID_PDEV_ABORT, "p" }, { RMI_FID_PDEV_IDE_RESET, "p" },
          { RMI_FID_PDEV_NOTIFY, "p0" }, { RMI_FID_VDEV_CREATE, "rpva" }, { RMI_FID_VDEV_STOP, "v" },
          { RMI_FID_VDEV_DESTROY, "rpv" }, { RMI_FID_VDEV_ABORT, "v" }, { RMI_FID_VDEV_COMPLETE, "ev" },
          { RMI_FID_DEV_MEM_MAP, "ri3b" }, { RMI_FID_DEV_MEM_UNMAP, "ri3" }, { RMI_FID_RTT_DEV_MEM_VALIDATE, "reit" },
          { RMI_FID_GRANULE_DELEGATE, "b" }, { RMI_FID_GRANULE_UNDELEGATE, "b" }, { RMI_FID_REC_ENTER, "eu" },
          { RMI_FID_DATA_DESTROY, "ri" }, { RMI_FID_REALM_DESTROY, "r" }, { RMI_FID_REC_DESTROY, "e" },
          { RMI_FID_VDEV_GET_STATE, "v" } },
    };
    uint8_t     pick = br_u8(r), odd = br_u8(r);
    bool        alp12 = rmm_dialects[rig_dialect].rdev;
    uint64_t    page = (uint64_t)(odd >> 6 & 1) << 12, x[7] = { SMC64_STD(calls[alp12][pick % 22].fid) };
    const char *args = calls[alp12][pick % 22].x;

    for (unsigned i = 1; args[i - 1] != 0; i++) {
        switch (args[i - 1]) {
        case 'p': x[i] = d->pdev; break;
        case 'v': x[i] = d->vdev; break;
        case 'r': x[i] = d->rd; break;
        case 'e': x[i] = d->rec; break;
        case 'a': x[i] = PAGE(D_PARAMS); break;
        case 'u': x[i] = PAGE(W_RUN); break;
        case 'i': x[i] = D_IPA + page; break;
        case 't': x[i] = D_IPA + page + 0x1000; break;
        case 'b': x[i] = D_BAR + page; break;
        case '3': x[i] = 3; break;
        default: break;
        }
    }
    if (odd & 0x80) {
        x[1 + odd % 6] = argument(d, r);
    }
    smc(d->rig, pick >> 7, x);
}

/* Parameters of the device's commands in their page, a bit of them flipped now and then. */
static void params(DevRig *d, ByteReader *r)
{
    uint8_t  how = br_u8(r);
    unsigned at = br_u16(r) % 4096;

    switch (how & 3) {
    case 0: dev_pdev_params(d, d->device == 0 ? D_AUX : D_AUX2); break;
    case 1: dev_key_params(d); break;
    case 2: dev_vdev_params(d); break;
    default: dev_measure_params(d, RMI_MEASURE_SIGNED); break;
    }
    if (how & 0xc0) {
        rig_bytes(d->rig, PAGE(D_PARAMS))[at] ^= (uint8_t)(1u << (how >> 2 & 7));
    }
}

static ByteReader *spoiler;

/* The device's answer: untouched, a bit of it flipped, cut, or replaced by what the input has. */
static size_t spoil(DevRig *d, uint8_t *rsp, size_t len)
{
    uint8_t how = br_u8(spoiler);

    if (len == 0 || how < 0xe0) {
        return len;
    }
    if (how < 0xf0) {
        rsp[br_u16(spoiler) % len] ^= (uint8_t)(1u << (how & 7));
        return len;
    }
    if (how < 0xf8) {
        return br_u16(spoiler) % len;
    }
    len = 1 + br_u8(spoiler);
    br_bytes(spoiler, rsp, len);
    return len;
}

/* Some turns of a conversation; @how: whose, how many, whether the host says something else of the last one. */
static void talk(DevRig *d, ByteReader *r)
{
    uint8_t  how = br_u8(r);
    unsigned status = how & 0x80 ? br_u8(r) % 3 : RMI_COMM_NONE;
    bool     more = !d->rig->cpu[0]->off;

    spoiler = r;
    d->spoil = spoil;
    for (unsigned i = 0; more && i <= (how >> 1 & 15); i++) {
        (void)dev_communicate(d, how & 1, &status, &more);
    }
    d->spoil = NULL;
}

/* A REC that waits makes a call. It is entered where an SMC is, if the host has not taken that page away. */
static void rec_smc(DevRig *d, uint64_t pa, unsigned cpu, const uint64_t *x)
{
    Rec     *rec = rec_at(d->rig->rmm, pa);
    uint64_t enter[7] = { SMC64_STD(RMI_FID_REC_ENTER), pa, PAGE(W_RUN) };

    if (granule_state(d->rig->rmm, pa) != GRANULE_REC || rec->running) {
        return;
    }
    memcpy(rec->x, x, 8 * 11);
    rec->pc = 0;
    rec->spsr = 0x3c5;
    rec->el1.sctlr &= ~1ull;
    smc(d->rig, cpu, enter);
}

/* Any command with arguments of any value, often of the Realm's own addresses. */
static void realm_call(DevRig *d, ByteReader *r)
{
    uint64_t          pa = PAGE(br_u8(r) & 1 ? W_REC1 : W_REC0), x[11];
    uint16_t          pick = br_u16(r);
    const RsiCommand *c = d->rig->rmm->rsi[pick % RSI_TABLE_LEN];

    x[0] = c != NULL ? SMC64_STD(c->fid) : br_u64(r);
    for (unsigned i = 1; i <= 10; i++) {
        x[i] = argument(d, r);
    }
    rec_smc(d, pa, pick >> 15, x);
}

/* A command about the VDEV, with what the Realm was told of it, but for at most one argument. */
static void realm_device_call(DevRig *d, ByteReader *r)
{
    const Vdev *v = granule_state(d->rig->rmm, d->vdev) == GRANULE_VDEV ? dev_vdev(d) : NULL;
    uint64_t    known[] = { v != NULL ? v->lock_nonce : 0, v != NULL ? v->meas_nonce : 0,
                            v != NULL ? v->report_nonce : 0 };
    uint64_t    instance = v != NULL ? v->instance : 1;
    uint8_t     pick = br_u8(r), odd = br_u8(r);
    const uint64_t alp17[][11] = {
        { RSI_FID_VDEV_GET_INFO, 0, BUFFER_IPA },
        { RSI_FID_VDEV_VALIDATE_MAPPING, 0, D_IPA, D_IPA + 0x2000, D_BAR, 0, known[0], known[1], known[2] },
        { RSI_FID_VDEV_DMA_ENABLE, 0, 0, 0, known[0], known[1], known[2] },
        { RSI_FID_VDEV_DMA_DISABLE },
        { RSI_FID_IPA_STATE_SET, 0, D_IPA + 0x2000, RIPAS_EMPTY, RSI_CHANGE_DESTROYED },
    };
    const uint64_t alp12[][11] = {
        { RSI_FID_RDEV_CONTINUE, 0, instance },
        { RSI_FID_RDEV_GET_INSTANCE_ID },
        { RSI_FID_RDEV_LOCK, 0, instance },
        { RSI_FID_RDEV_START, 0, instance },
        { RSI_FID_RDEV_STOP, 0, instance },
        { RSI_FID_RDEV_GET_INTERFACE_REPORT, 0, instance, 0x10 },
        { RSI_FID_RDEV_GET_MEASUREMENTS, 0, instance, BUFFER_IPA },
        { RSI_FID_RDEV_GET_INFO, 0, instance, BUFFER_IPA },
        { RSI_FID_RDEV_VALIDATE_MAPPING, 0, instance, D_IPA, D_IPA + 0x2000, D_BAR },
        { RSI_FID_IPA_STATE_SET, 0, D_IPA + 0x2000, RIPAS_EMPTY, RSI_CHANGE_DESTROYED },
    };
    uint64_t x[11];

    memcpy(x, rmm_dialects[rig_dialect].rdev ? alp12[pick % ARRAY_LEN(alp12)] : alp17[pick % ARRAY_LEN(alp17)],
           sizeof(x));
    x[1] = x[0] == RSI_FID_IPA_STATE_SET ? D_IPA : dev_vdev_id(d);
    x[0] = SMC64_STD(x[0]);
    if (odd & 0x80) {
        x[1 + odd % 10] = argument(d, r);
    }
    rec_smc(d, d->rec, pick >> 7, x);
}

static void poke(DevRig *d, ByteReader *r)
{
    uint64_t pa = PAGE(br_u8(r)) + (br_u16(r) & 0xff8), value = br_u64(r);

    memory_write(d->rig->memory, pa, (MemAttrs){ .pas = PAS_NONSECURE }, &value, 8);
}

/* The device reads or writes; what it reaches for a Realm must be a Realm's or, shared, the host's. */
static void dma(DevRig *d, ByteReader *r)
{
    uint8_t  how = br_u8(r);
    uint64_t iova = argument(d, r), pa, value = 0;

    if (dev_dma(d, how & 1, iova & ~7ull, &pa) != DMA_OK || !(how & 1)) {
        return;
    }
    g_assert(dev_state(d->rig->rmm)->psmmu.n_valid != 0);
    MemAttrs attrs = { .pas = owners_get(d->rig->owners, pa) == OWNER_REALM ? PAS_REALM : PAS_NONSECURE };
    if (how & 2) {
        memory_write(d->rig->memory, pa, attrs, &value, 8);
    } else {
        memory_read(d->rig->memory, pa, attrs, &value, 8);
    }
}

/* The other device, the other interface, the other Realm. */
static void use(DevRig *d, ByteReader *r)
{
    uint8_t how = br_u8(r);

    dev_use(d, how & 1);
    d->interface = how >> 1 & 1;
    d->vdev = PAGE(how & 3 ? D_VDEV2 : D_VDEV);
    d->rd = PAGE(how & 4 ? W_RD2 : W_RD);
    d->rec = PAGE(how & 4 ? W_REC2 : W_REC0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const steps[16])(DevRig *d, ByteReader *r) = {
        call, call, call, realm_call, poke, device_call, device_call, device_call, talk, talk, talk, realm_device_call,
        realm_device_call, params, dma, use,
    };
    ByteReader r = br_init(data, size);
    uint8_t    start = br_u8(&r), code = br_u8(&r);
    DevRig    *d = fresh_rig((RmmDialectId)(start % RMM_N_DIALECTS), start / RMM_N_DIALECTS);
    uint8_t   *page = rig_bytes(d->rig, PAGE(W_DATA));

    if (granule_state(d->rig->rmm, PAGE(W_DATA)) == GRANULE_DATA) {
        memcpy(page + 8, data, MIN(size, 4096 - 8)); /* after a call it runs on there, */
        if (code & 1) {
            memcpy(page, data, MIN(size, 8));        /* or has none */
        }
    }
    for (unsigned i = 0; i < MAX_STEPS && br_left(&r) > 2; i++) {
        steps[br_u8(&r) % ARRAY_LEN(steps)](d, &r);
    }
    dev_check(d);
    return 0;
}
