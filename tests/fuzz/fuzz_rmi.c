/*
 * A hostile host and a hostile Realm, in each dialect: a list of RMI and PSCI calls with arguments that are often
 * right, writes to the pages it passes, and Realms that call RSI with any values or run whatever bytes are in their
 * memory. Commands and argument counts come from the RMM's own tables.
 */
#include <string.h>

#include "unit/rmm_rig.h"

enum { MAX_STEPS = 256, REALM_INSNS = 200 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An argument that has a meaning somewhere: a page of the world, an IPA, a level, a small number, or
 * anything. */
static uint64_t argument(ByteReader *r)
{
    static const uint64_t ipas[] = { 0, 0x1000, 0x7000, 0x9000, 0x200000, 0x40000000, WORLD_NS, WORLD_NS + 0x3000,
                                     WORLD_NS + 0x200000, 1ull << WORLD_BITS };
    uint8_t how = br_u8(r);

    switch (how & 7) {
    case 0:
    case 1:
    case 2:
        return PAGE(br_u8(r));
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

static void call(Rig *rig, ByteReader *r)
{
    uint16_t          pick = br_u16(r);
    const RmiCommand *c = rig->rmm->rmi[pick % RMI_TABLE_LEN];
    unsigned          cpu = pick >> 15, n = c != NULL ? c->in : 6;
    A64Cpu           *a64 = rig->cpu[cpu];

    a64->x[0] = c != NULL ? SMC64_STD(c->fid) : argument(r);
    for (unsigned i = 1; i <= 6; i++) {
        a64->x[i] = i <= n ? argument(r) : 0;
    }
    if (a64->off) { /* it turned itself off: nobody calls */
        return;
    }
    if (monitor_host_smc(rig->monitor, a64)) {
        run_realm(rig, cpu);
    }
}

/* A REC that waits makes a call: any command with arguments of any value, often of the Realm's own addresses. It is
 * entered where an SMC is, if the host has not taken that page away. */
static void realm_call(Rig *rig, ByteReader *r)
{
    uint64_t          pa = PAGE(br_u8(r) & 1 ? W_REC1 : W_REC0);
    uint16_t          pick = br_u16(r);
    const RsiCommand *c = rig->rmm->rsi[pick % RSI_TABLE_LEN];
    Rec              *rec = rec_at(rig->rmm, pa);

    if (granule_state(rig->rmm, pa) != GRANULE_REC || rec->running) {
        return;
    }
    rec->x[0] = c != NULL ? SMC64_STD(c->fid) : br_u64(r);
    for (unsigned i = 1; i <= 10; i++) {
        rec->x[i] = argument(r);
    }
    rec->pc = 0;
    rec->spsr = 0x3c5;
    rec->el1.sctlr &= ~1ull;
    A64Cpu *a64 = rig->cpu[pick >> 15];
    if (!a64->off) {
        a64->x[0] = SMC64_STD(RMI_FID_REC_ENTER);
        a64->x[1] = pa;
        a64->x[2] = PAGE(W_RUN);
        if (monitor_host_smc(rig->monitor, a64)) {
            run_realm(rig, pick >> 15);
        }
    }
}

static void poke(Rig *rig, ByteReader *r)
{
    uint64_t pa = PAGE(br_u8(r)) + (br_u16(r) & 0xff8), value = br_u64(r);

    memory_write(rig->memory, pa, (MemAttrs){ .pas = PAS_NONSECURE }, &value, 8);
}

/* The machine of the dialect of a run before, as new: making one takes longer than a run. */
static Rig *fresh_rig(RmmDialectId dialect)
{
    static Rig *rigs[RMM_N_DIALECTS];

    rig_dialect = dialect;
    if (rigs[dialect] == NULL) {
        return rigs[dialect] = rig_new();
    }
    Rig *rig = rigs[dialect];
    Rmm *rmm = rig->rmm;
    owners_set(rig->owners, RIG_RAM, RIG_RAM_SIZE, OWNER_NONSECURE);
    owners_set(rig->owners, RIG_CARVEOUT, rmm->carveout_size, OWNER_REALM);
    memset(rig->ram, 0, RIG_CARVEOUT - RIG_RAM);
    memory_dirty(rig->memory, RIG_RAM, RIG_RAM_SIZE);
    if (rmm->granule[RIG_RAM >> GRANULE_CHUNK_BITS] != NULL) {
        memset(rmm->granule[RIG_RAM >> GRANULE_CHUNK_BITS], 0, RIG_RAM_SIZE / 4096);
    }
    memset(rmm->vmid_used, 0, sizeof(rmm->vmid_used));
    gicv3_reset(rig->gic);
    clock_rewind(rig->clock, 0);
    for (unsigned i = 0; i < RIG_CPUS; i++) {
        rmm->cpu[i] = (RmmCpu){ .cpu = rig->cpu[i] };
        monitor_set_builtin_host(rig->monitor, rig->cpu[i]);
    }
    return rig;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ByteReader r = br_init(data, size);
    uint8_t    start = br_u8(&r);
    uint32_t   code[1024] = { 0 };
    Rig       *rig = fresh_rig((RmmDialectId)((start >> 3) % RMM_N_DIALECTS));

    memcpy(code, data, MIN(size, sizeof(code)));
    if (start & 64) {
        code[0] = A64_SMC;
        code[1] = A64_WFI;
    }
    if (start & 1) {
        world_new(rig, code, ARRAY_LEN(code));
    }
    if (start & 2 && start & 1) {
        world_recs(rig);
    }
    if (start & 4) {
        rmi(rig, RMI_FID_REALM_ACTIVATE, PAGE(W_RD));
    }
    for (unsigned i = 0; i < MAX_STEPS && br_left(&r) > 2; i++) {
        uint8_t what = br_u8(&r);

        if (what & 3) {
            call(rig, &r);
        } else if (what & 4) {
            realm_call(rig, &r);
        } else {
            poke(rig, &r);
        }
    }
    return 0;
}
