#include "tests/unit/rmm_rig.h"
#include "tests/unit/accel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* ---- the machine ---- */

RmmDialectId rig_dialect = RMM_1_1_ALP17;

static void connect_ppis(Rig *rig, unsigned i)
{
    static const struct { A64Timer timer; unsigned ppi; } lines[] = {
        { A64_TIMER_PHYS, 30 }, { A64_TIMER_VIRT, 27 }, { A64_TIMER_HYP, 26 }, { A64_TIMER_HYP_VIRT, 28 },
    };

    for (size_t t = 0; t < ARRAY_LEN(lines); t++) {
        rig->cpu[i]->timer_irq[lines[t].timer].set = gicv3_ppi_input;
        rig->cpu[i]->timer_irq[lines[t].timer].opaque = gicv3_cpu(rig->gic, i);
        rig->cpu[i]->timer_irq[lines[t].timer].n = lines[t].ppi;
    }
    rig->cpu[i]->pmu.irq.set = gicv3_ppi_input;
    rig->cpu[i]->pmu.irq.opaque = gicv3_cpu(rig->gic, i);
    rig->cpu[i]->pmu.irq.n = RIG_PPI_PMU;
}

Rig *rig_new(void) { return rig_new_with(NULL, NULL); }

Rig *rig_new_with(void (*plug)(Rig *rig, RmmPlatform *platform, void *opaque), void *opaque)
{
    Rig        *rig = g_new0(Rig, 1);
    RmmPlatform platform = { 0 };

    rig->owners = owners_new();
    rig->memory = memory_new(rig->owners);
    rig->clock = clock_new();
    rig->engine = test_engine_new(rig->memory, rig->owners);
    rig->ram = memory_add_ram(rig->memory, "ram", RIG_RAM, RIG_RAM_SIZE, NULL)->host;
    entropy_init(&rig->entropy, RIG_SEED, "cpu");
    GicConfig gic = { .n_cpus = RIG_CPUS, .n_spis = 32, .memory = rig->memory, .pas = PAS_NONSECURE };
    rig->gic = gicv3_new(&gic);
    for (unsigned i = 0; i < RIG_CPUS; i++) {
        rig->cpu[i] = a64_cpu_new(rig->engine, rig->memory, rig->clock, i, i, &rig->entropy);
        gicv3_connect(rig->gic, i, rig->cpu[i]);
        connect_ppis(rig, i);
    }
    if (plug != NULL) {
        plug(rig, &platform, opaque);
    }
    rig->rmm = rmm_new(rig->memory, rig->cpu, RIG_CPUS, RIG_CARVEOUT, 0x100000, &platform, rig_dialect, RIG_SEED);
    rig->monitor = monitor_new(rig->rmm, rig->memory, rig->cpu, RIG_CPUS);
    for (unsigned i = 0; i < RIG_CPUS; i++) {
        monitor_set_builtin_host(rig->monitor, rig->cpu[i]);
    }
    return rig;
}

void rig_free(Rig *rig)
{
    monitor_free(rig->monitor);
    rmm_free(rig->rmm);
    gicv3_free(rig->gic);
    for (unsigned i = 0; i < RIG_CPUS; i++) {
        a64_cpu_free(rig->cpu[i]);
    }
    cpu_engine_free(rig->engine);
    clock_free(rig->clock);
    memory_free(rig->memory);
    owners_free(rig->owners);
    g_free(rig);
}

uint64_t rig_smc(Rig *rig, unsigned cpu, const uint64_t *x, size_t n)
{
    A64Cpu *c = rig->cpu[cpu];

    memset(c->x, 0, sizeof(c->x));
    memcpy(c->x, x, 8 * n);
    if (monitor_host_smc(rig->monitor, c)) {
        return rig_run(rig, cpu, 100000);
    }
    return c->x[0];
}

static int64_t runner_now(void *opaque) { return cpu_now(opaque); }

static void runner_recut(void *opaque)
{
    Cpu *c = opaque;

    cpu_set_deadline(c, clock_next_deadline(c->clock));
}

/* As a machine runs it: timers fire at their instruction. */
uint64_t rig_run(Rig *rig, unsigned cpu, uint64_t insns)
{
    Cpu     *c = &rig->cpu[cpu]->cpu;
    uint64_t left = insns;

    while (!c->party) {
        int64_t  now = clock_now(rig->clock), deadline = clock_next_deadline(rig->clock);
        uint64_t used = 0;
        if (deadline <= now) {
            clock_advance(rig->clock, now);
            continue;
        }
        clock_set_runner(rig->clock, runner_now, runner_recut, c);
        CpuStop stop = cpu_run(c, now, MIN(left, (uint64_t)(deadline - now)), &used);
        clock_set_runner(rig->clock, NULL, NULL, NULL);
        now += (int64_t)used;
        left -= used;
        if (stop == CPU_STOP_WAIT) { /* nobody else runs: time goes to the next deadline */
            now = clock_next_deadline(rig->clock);
            assert_true(now != INT64_MAX);
        }
        clock_advance(rig->clock, now);
        if (left == 0) {
            fail_msg("the Realm runs for too long, pc 0x%llx", (unsigned long long)rig->cpu[cpu]->pc);
        }
    }
    return rig->cpu[cpu]->x[0];
}

void rig_delegate(Rig *rig, uint64_t pa, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        rmi_ok(rig, RMI_FID_GRANULE_DELEGATE, pa + 4096 * i);
    }
}

uint64_t rig_exit(const Rig *rig, unsigned page, unsigned offset)
{
    return le64_get(rig_bytes(rig, PAGE(page)) + offset);
}

void rig_enter(Rig *rig, unsigned page, unsigned offset, uint64_t value)
{
    le64_put(rig_bytes(rig, PAGE(page)) + offset, value);
}

/* ---- the usual world ---- */

void world_params(Rig *rig, uint64_t rtt_base, uint16_t vmid, RmiHash hash)
{
    uint8_t *p = rig_bytes(rig, PAGE(W_PARAMS));

    memset(p, 0, 4096);
    le64_put(p + RMI_REALM_FLAGS0, rig->da ? RMI_REALM_FLAG_DA : 0);
    le32_put(p + RMI_REALM_S2SZ, WORLD_BITS);
    le32_put(p + RMI_REALM_NUM_BPS, 1);
    le32_put(p + RMI_REALM_NUM_WPS, 1);
    p[RMI_REALM_HASH_ALGO] = hash;
    memset(p + RMI_REALM_RPV, 0x5a, 64);
    le16_put(p + RMI_REALM_VMID, vmid);
    le64_put(p + RMI_REALM_RTT_BASE, rtt_base);
    le64_put(p + RMI_REALM_RTT_LEVEL_START, 0);
    le32_put(p + RMI_REALM_RTT_NUM_START, 1);
}

void world_rec_params(Rig *rig, unsigned index, uint64_t pc, uint64_t aux, bool runnable)
{
    uint8_t *p = rig_bytes(rig, PAGE(W_PARAMS));

    memset(p, 0, 4096);
    le64_put(p + RMI_REC_FLAGS, runnable ? RMI_REC_RUNNABLE : 0);
    le64_put(p + RMI_REC_MPIDR, RMI_MPIDR_OF_INDEX(index));
    le64_put(p + RMI_REC_PC, pc);
    le64_put(p + RMI_REC_GPRS, 0x1234);
    le64_put(p + RMI_REC_NUM_AUX, 1);
    le64_put(p + RMI_REC_AUX, aux);
}

static void make_tables(Rig *rig, uint64_t ipa, unsigned first)
{
    for (unsigned level = 1; level <= 3; level++) {
        rmi_ok(rig, RMI_FID_RTT_CREATE, PAGE(W_RD), PAGE(first + level - 1), ipa, level);
    }
}

void world_new(Rig *rig, const uint32_t *code, size_t n_words)
{
    rig_delegate(rig, PAGE(W_RD), W_SPARE + 16);
    world_params(rig, PAGE(W_ROOT), 1, RMI_HASH_SHA_256);
    rmi_ok(rig, RMI_FID_REALM_CREATE, PAGE(W_RD), PAGE(W_PARAMS));
    world_params(rig, PAGE(W_ROOT2), 2, RMI_HASH_SHA_512);
    rmi_ok(rig, RMI_FID_REALM_CREATE, PAGE(W_RD2), PAGE(W_PARAMS));
    make_tables(rig, 0, W_L1);
    make_tables(rig, WORLD_NS, W_NS_L1);
    rmi_ok(rig, RMI_FID_RTT_INIT_RIPAS, PAGE(W_RD), 0, WORLD_DATA_PAGES * 4096);
    for (unsigned i = 0; i < WORLD_DATA_PAGES; i++) {
        uint8_t *src = rig_bytes(rig, PAGE(W_SRC));
        memset(src, 0, 4096);
        for (size_t w = i * 1024; w < (i + 1) * 1024 && w < n_words; w++) {
            le32_put(src + w % 1024 * 4, code[w]);
        }
        rmi_ok(rig, RMI_FID_DATA_CREATE, PAGE(W_RD), PAGE(W_DATA + i), i * 4096, PAGE(W_SRC), RMI_DATA_MEASURE);
    }
}

void world_recs(Rig *rig)
{
    world_rec_params(rig, 0, 0, PAGE(W_AUX0), true);
    rmi_ok(rig, RMI_FID_REC_CREATE, PAGE(W_RD), PAGE(W_REC0), PAGE(W_PARAMS));
    world_rec_params(rig, 1, 0, PAGE(W_AUX1), false);
    rmi_ok(rig, RMI_FID_REC_CREATE, PAGE(W_RD), PAGE(W_REC1), PAGE(W_PARAMS));
    world_rec_params(rig, 0, 0, PAGE(W_AUX2), true);
    rmi_ok(rig, RMI_FID_REC_CREATE, PAGE(W_RD2), PAGE(W_REC2), PAGE(W_PARAMS));
}

/* ---- A64 code ---- */

void code_word(Code *c, uint32_t word)
{
    assert_true(c->n < ARRAY_LEN(c->word));
    c->word[c->n++] = word;
}

/* MOVZ and MOVK of each 16 bits. */
void code_mov(Code *c, unsigned reg, uint64_t value)
{
    code_word(c, 0xd2800000u | (uint32_t)(value & 0xffff) << 5 | reg);
    for (unsigned hw = 1; hw < 4; hw++) {
        uint32_t part = value >> (16 * hw) & 0xffff;
        if (part != 0) {
            code_word(c, 0xf2800000u | hw << 21 | part << 5 | reg);
        }
    }
}

void code_smc(Code *c, uint32_t fid)
{
    code_mov(c, 0, fid);
    code_word(c, A64_SMC);
}

void code_rsi(Code *c, uint32_t rsi) { code_smc(c, SMC64_STD(rsi)); }
