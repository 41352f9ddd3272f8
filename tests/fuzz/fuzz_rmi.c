/*
 * A hostile host: a list of RMI and PSCI calls with arguments that are often right, writes to the pages it
 * passes, and Realms that run whatever bytes are in their memory. Commands and argument counts come from the
 * RMM's own table.
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
    const RmiCommand *c = rig->rmm->rmi[pick % (RMI_FID_LAST - RMI_FID_FIRST + 1)];
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

static void poke(Rig *rig, ByteReader *r)
{
    uint64_t pa = PAGE(br_u8(r)) + (br_u16(r) & 0xff8), value = br_u64(r);

    memory_write(rig->memory, pa, (MemAttrs){ .pas = PAS_NONSECURE }, &value, 8);
}

/* The machine of the run before, as new: making one takes longer than a run. */
static Rig *fresh_rig(void)
{
    static Rig *rig;

    if (rig == NULL) {
        return rig = rig_new();
    }
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
    Rig       *rig = fresh_rig();

    memcpy(code, data, MIN(size, sizeof(code)));
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
        if (br_u8(&r) & 3) {
            call(rig, &r);
        } else {
            poke(rig, &r);
        }
    }
    return 0;
}
