/* What the machine's parts are at now: CPUs, memory map, and the RMM's objects. */
#include <inttypes.h>

#include "bits.h"
#include "hw/tdisp/dsm.h"
#include "monitor/monitor.h"

static const char *what_it_does(const A64Cpu *cpu)
{
    return cpu->off              ? "off"
           : cpu->cpu.party      ? "runs the built-in host"
           : cpu->cpu.waiting    ? "waits for an interrupt"
                                 : "runs";
}

MON_COMMAND(info_cpus, .name = "info cpus", .args = "", .help = "what each CPU is at")
{
    for (unsigned i = 0; i < m->on.n_cpus; i++) {
        const A64Cpu *cpu = m->on.cpus[i];
        uint64_t      rec, rd;

        g_string_append_printf(out, "%c CPU %u: %s EL%u pc 0x%016" PRIx64 ", %s", i == m->cpu ? '*' : ' ', i,
                               pas_name(cpu->security), cpu->el, cpu->pc, what_it_does(cpu));
        if (rmm_running(m->on.rmm, i, &rec, &rd)) {
            g_string_append_printf(out, ", REC 0x%" PRIx64 " of the Realm at 0x%" PRIx64, rec, rd);
        }
        g_string_append_c(out, '\n');
    }
    return true;
}

MON_COMMAND(cpu, .name = "cpu", .args = "NUMBER", .help = "choose the CPU that commands are about", .min_args = 1,
            .max_args = 1)
{
    uint64_t n;

    if (!mon_number(argv[0], &n, error)) {
        return false;
    }
    if (n >= m->on.n_cpus) {
        return mon_fail(error, "there is no CPU %s; they are 0 to %u", argv[0], m->on.n_cpus - 1);
    }
    m->cpu = (unsigned)n;
    return true;
}

static void put_core(const uint64_t x[31], uint64_t pc, uint64_t pstate, GString *out)
{
    for (unsigned i = 0; i < 31; i++) {
        g_string_append_printf(out, "x%-2u 0x%016" PRIx64 "%s", i, x[i], i % 4 == 3 ? "\n" : "  ");
    }
    g_string_append_printf(out, "\npc  0x%016" PRIx64 "  pstate 0x%08" PRIx64 "\n", pc, pstate);
}

MON_COMMAND(info_registers, .name = "info registers", .args = "[ns|realm]",
            .help = "of the CPU now, or of a world that it does not run now", .max_args = 1)
{
    A64Cpu  *cpu = mon_a64(m);
    RmmBank  bank;
    Pas      pas = cpu->security;

    if (argc == 1 && g_ascii_strcasecmp(argv[0], "ns") != 0 && g_ascii_strcasecmp(argv[0], "realm") != 0) {
        return mon_fail(error, "there is no world '%s' to have registers; write ns or realm", argv[0]);
    }
    if (argc == 1) {
        pas = g_ascii_strcasecmp(argv[0], "ns") == 0 ? PAS_NONSECURE : PAS_REALM;
    }
    if (pas == cpu->security) {
        put_core(cpu->x, cpu->pc, a64_get_spsr(cpu), out);
        g_string_append_printf(out, "sp  0x%016" PRIx64 "  %s EL%u\n", cpu->sp, pas_name(pas), cpu->el);
    } else if (rmm_bank(m->on.rmm, m->cpu, pas, &bank)) {
        put_core(bank.x, bank.pc, bank.pstate, out);
    } else {
        return mon_fail(error, "CPU %u has no registers of the %s world: nothing of it ran there", m->cpu,
                        pas_name(pas));
    }
    return true;
}

static void put_region(void *opaque, const MemRegion *r)
{
    static const char *const kinds[] = { "RAM", "ROM", "device" };

    g_string_append_printf(opaque, "0x%016" PRIx64 " 0x%016" PRIx64 " %-6s %s%s\n", r->base, r->base + r->size - 1,
                           kinds[r->kind], r->name, r->enabled ? "" : " (off)");
}

MON_COMMAND(info_mtree, .name = "info mtree", .args = "", .help = "the physical address map")
{
    memory_foreach_region(machine_memory(m->on.machine), put_region, out);
    return true;
}

/* A run of pages that are mapped alike, one behind the other. */
typedef struct MemRun {
    uint64_t va, len;
    A64Walk  first;
} MemRun;

enum { MEM_WALKS_MAX = 1 << 20, REGION_WALKS_MAX = 1024, MEM_LINES_MAX = 2000 };

static bool goes_on(const MemRun *run, uint64_t va, const A64Walk *w)
{
    const A64Walk *f = &run->first;

    return run->len != 0 && va == run->va + run->len && w->pa == f->pa + run->len && w->pas == f->pas &&
           w->writable == f->writable && w->executable == f->executable && w->device == f->device;
}

static void put_run(const MemRun *run, GString *out)
{
    const A64Walk *f = &run->first;

    if (run->len != 0) {
        g_string_append_printf(out, "0x%016" PRIx64 " 0x%016" PRIx64 " to 0x%012" PRIx64 " %s, r%c%c %s\n", run->va,
                               run->va + run->len - 1, f->pa, pas_name(f->pas), f->writable ? 'w' : '-',
                               f->executable ? 'x' : '-', f->device ? "device" : "memory");
    }
}

/* How far nothing is mapped for sure when a walk ended at @level: with larger granules than 4 KiB it is further. */
static uint64_t hole_bytes(const A64Walk *w)
{
    bool of_stage1 = !w->stage2 && w->fault != A64_FAULT_GPF;

    return 1ull << (!of_stage1 ? 12 : w->level <= 3 ? 39 - 9 * w->level : 39);
}

/* Both halves of the addresses are walked: what lies between them is never mapped. */
static uint64_t next_half(uint64_t va) { return va >> 48 == 0 || va >> 48 == 0xffff ? va : 0xffff000000000000; }

/* One step of mon_region(): what maps @addr alone, or how far nothing is mapped. */
static void region_at(Mon *m, uint64_t addr, MonRegion *out)
{
    A64Walk  w = { .page_size = 4096, .writable = true, .executable = true };
    uint64_t pa, size = 4096;
    Pas      pas;

    if (m->view.space == MON_CPU && next_half(addr) != addr) { /* none of a CPU's addresses */
        *out = (MonRegion){ .start = 1ull << 48, .last = 0xfffeffffffffffff };
        return;
    }
    bool mapped = m->view.space == MON_CPU ? a64_regime_walk(mon_a64(m), addr, &w) : mon_translate(m, addr, &pa, &pas);

    size = mapped ? w.page_size : m->view.space == MON_CPU ? hole_bytes(&w) : size;
    *out = (MonRegion){ .start = addr & ~(size - 1), .last = addr | (size - 1), .mapped = mapped,
                        .writable = mapped && w.writable, .executable = mapped && w.executable };
}

void mon_region(Mon *m, uint64_t addr, MonRegion *out)
{
    MonRegion next;

    region_at(m, addr, out);
    for (unsigned n = 0; n < REGION_WALKS_MAX && out->last != ~0ull; n++) {
        region_at(m, out->last + 1, &next);
        if (next.mapped != out->mapped || next.writable != out->writable || next.executable != out->executable ||
            next.start != out->last + 1) {
            break;
        }
        out->last = next.last;
    }
}

static bool walk_mem(Mon *m, uint64_t va, uint64_t end, GString *out)
{
    MemRun   run = { 0 };
    unsigned lines = 0;

    for (unsigned n = 0; va <= end && n < MEM_WALKS_MAX && lines < MEM_LINES_MAX; n++) {
        A64Walk  w;
        bool     ok = a64_regime_walk(mon_a64(m), va, &w);
        uint64_t size = ok ? w.page_size : hole_bytes(&w), next = next_half((va | (size - 1)) + 1);

        if (ok && !goes_on(&run, va, &w)) {
            put_run(&run, out);
            lines += run.len != 0;
            run = (MemRun){ .va = va, .first = w };
        }
        run.len += ok ? (va | (size - 1)) - va + 1 : 0;
        if (next == 0) {
            va = end;
            break;
        }
        va = next;
    }
    put_run(&run, out);
    if (va < end) {
        g_string_append_printf(out, "and more: go on with 'info mem 0x%" PRIx64 "'\n", va);
    }
    return true;
}

MON_COMMAND(info_mem, .name = "info mem", .args = "[ADDRESS [LENGTH]]",
            .help = "what the CPU's translation maps now, for its privileged code", .max_args = 2)
{
    uint64_t va = 0, len = 0;
    gsize    before = out->len;

    if ((argc > 0 && !mon_address(m, argv[0], &va, error)) || (argc > 1 && !mon_number(argv[1], &len, error))) {
        return false;
    }
    if (argc == 0 && !a64_stage1_on(mon_a64(m))) {
        g_string_append(out, "the MMU is off: virtual addresses are physical, or a Realm's or guest's intermediate, "
                             "ones\n");
        return true;
    }
    walk_mem(m, next_half(va), argc > 1 && len - 1 <= ~va ? va + len - 1 : ~0ull, out);
    if (out->len == before) {
        g_string_append(out, "nothing is mapped there\n");
    }
    return true;
}

static void put_granules(void *opaque, uint64_t pa, uint64_t n, const char *state)
{
    g_string_append_printf(opaque, "0x%012" PRIx64 " %8" PRIu64 " %s\n", pa, n, state);
}

MON_COMMAND(info_granules, .name = "info granules", .args = "[ADDRESS]",
            .help = "the granules that are not the host's, or the state of one", .max_args = 1)
{
    if (argc == 0) {
        g_string_append(out, "address           number state\n");
        rmm_granules(m->on.rmm, put_granules, out);
        return true;
    }
    uint64_t pa;
    if (!mon_address(m, argv[0], &pa, error)) {
        return false;
    }
    g_string_append_printf(out, "0x%" PRIx64 " is %s\n", pa, rmm_granule_state(m->on.rmm, pa));
    return true;
}

static void put_realm(void *opaque, const RmmRealm *r)
{
    GString *out = opaque;

    g_string_append_printf(out, "RD 0x%" PRIx64 ": %s, VMID %u, IPAs of %u bits, %u RECs, %u VDEVs, RTT 0x%" PRIx64
                           " from level %d\n  RIM ", r->rd, r->state, r->vmid, r->ipa_bits, r->n_recs, r->n_vdevs,
                           r->rtt_base, r->level_start);
    for (size_t i = 0; i < r->rim_len; i++) {
        g_string_append_printf(out, "%02x", r->rim[i]);
    }
    g_string_append_c(out, '\n');
}

MON_COMMAND(info_realms, .name = "info realms", .args = "", .help = "the Realms that there are")
{
    gsize before = out->len;

    rmm_realms(m->on.rmm, put_realm, out);
    if (out->len == before) {
        g_string_append(out, "there are no Realms\n");
    }
    return true;
}

static void put_rec(void *opaque, const RmmRec *r)
{
    g_string_append_printf(opaque, "REC 0x%" PRIx64 ": %u of the Realm at 0x%" PRIx64 ", MPIDR 0x%" PRIx64 ", %s",
                           r->pa, r->index, r->rd, r->mpidr,
                           r->running ? "runs" : r->runnable ? "runnable" : "not runnable");
    if (!r->running) {
        g_string_append_printf(opaque, ", pc 0x%" PRIx64 ", waits for %s", r->pc, r->pending);
    }
    g_string_append_c(opaque, '\n');
}

MON_COMMAND(info_rec, .name = "info rec", .args = "", .help = "the RECs that there are")
{
    gsize before = out->len;

    rmm_recs(m->on.rmm, put_rec, out);
    if (out->len == before) {
        g_string_append(out, "there are no RECs\n");
    }
    return true;
}

static void put_rtt(void *opaque, const RmmRttEntry *e)
{
    g_string_append_printf(opaque, "0x%012" PRIx64 " 0x%012" PRIx64 " level %d %s %s", e->ipa, e->ipa + e->len - 1,
                           e->level, e->kind, e->ripas != NULL ? e->ripas : "-");
    if (e->has_pa) {
        g_string_append_printf(opaque, " at 0x%" PRIx64, e->pa);
    }
    g_string_append_c(opaque, '\n');
}

MON_COMMAND(info_rtt, .name = "info rtt", .args = "[RD [IPA [LENGTH]]]",
            .help = "a Realm's translation tables: HIPAS and RIPAS; of the Realm that the CPU runs, or the only one",
            .max_args = 3)
{
    uint64_t rd = 0, ipa = 0, len = ~0ull;
    RmmRealm realm;

    if (argc == 0) {
        if (!mon_realm(m, 0, &realm)) {
            return mon_fail(error, "the CPU runs no Realm, and there is not one alone; name its RD, which 'info "
                                   "realms' lists");
        }
        rd = realm.rd;
    } else if (!mon_address(m, argv[0], &rd, error)) {
        return false;
    }
    if ((argc > 1 && !mon_address(m, argv[1], &ipa, error)) ||
        (argc > 2 && !mon_number(argv[2], &len, error))) {
        return false;
    }
    return rmm_rtt(m->on.rmm, rd, ipa, len > ~ipa ? ~0ull : ipa + len, put_rtt, out) ||
           mon_fail(error, "there is no Realm's RD at %s; 'info realms' lists them", argv[0]);
}

static void put_pdev(void *opaque, const RmmPdev *p)
{
    g_string_append_printf(opaque, "PDEV 0x%" PRIx64 ": %s, ID 0x%" PRIx64 ", requesters 0x%x to 0x%x below 0x%x, %s, "
                           "%u VDEVs\n", p->pa, p->state, p->id, p->rid_base, p->rid_top, p->root_id,
                           p->keyed ? "stream keyed" : "stream without keys", p->n_vdevs);
}

MON_COMMAND(info_pdev, .name = "info pdev", .args = "", .help = "the devices that the RMM knows")
{
    gsize before = out->len;

    rmm_pdevs(m->on.rmm, put_pdev, out);
    if (out->len == before) {
        g_string_append(out, "there are no PDEVs\n");
    }
    return true;
}

static void put_vdev(void *opaque, const RmmVdev *v)
{
    g_string_append_printf(opaque, "VDEV 0x%" PRIx64 ": %s, ID 0x%" PRIx64 " of the Realm at 0x%" PRIx64
                           ", PDEV 0x%" PRIx64 ", SMMU stream 0x%x %s, %" PRIu64 " granules mapped\n",
                           v->pa, v->state, v->id, v->rd, v->pdev, v->stream, v->dma ? "valid" : "off", v->n_mapped);
}

MON_COMMAND(info_vdev, .name = "info vdev", .args = "", .help = "the device interfaces that Realms were given")
{
    gsize before = out->len;

    rmm_vdevs(m->on.rmm, put_vdev, out);
    if (out->len == before) {
        g_string_append(out, "there are no VDEVs\n");
    }
    return true;
}

static void put_tdi(PciDevice *pd, void *opaque)
{
    const Tdi *tdi = dsm_of(pd) != NULL ? dsm_tdi(pd) : NULL;

    if (tdi != NULL) {
        g_string_append_printf(opaque, "%s: function 0x%x, %s", pd->dev.id, tdi->function_id,
                               tdi_state_name(tdi->state));
        if (tdi->state != TDI_CONFIG_UNLOCKED) {
            g_string_append_printf(opaque, ", by session 0x%x, stream %u, lock flags 0x%x", tdi->session_id,
                                   tdi->stream_id, tdi->lock_flags);
        }
        g_string_append_c(opaque, '\n');
    }
}

MON_COMMAND(info_tdi, .name = "info tdi", .args = "", .help = "the TDISP states that devices themselves keep")
{
    gsize before = out->len;

    if (m->on.pci != NULL) {
        pci_host_foreach(m->on.pci, put_tdi, out);
    }
    if (out->len == before) {
        g_string_append(out, "no device has a TDISP interface\n");
    }
    return true;
}

MON_COMMAND(info_clock, .name = "info clock", .args = "", .help = "guest time and instructions")
{
    g_string_append_printf(out, "%" PRId64 " ns, %" PRIu64 " instructions\n", clock_now(machine_clock(m->on.machine)),
                           machine_insns(m->on.machine));
    return true;
}

MON_COMMAND(info_jit, .name = "info jit", .args = "", .help = "counts of the engine that runs guest code")
{
    CpuEngine     *e = machine_engine(m->on.machine);
    CpuEngineStats s;

    cpu_engine_stats(e, &s);
    g_string_append_printf(out, "%s: %" PRIu64 " blocks of %" PRIu64 " instructions, %" PRIu64 " regions, %" PRIu64
                           " bytes of machine code, %" PRIu64 " lookups, %" PRIu64 " fills, %" PRIu64 " flushes\n",
                           cpu_engine_accel(e) == CPU_ACCEL_JIT ? "jit" : "interp", s.blocks, s.translated_insns,
                           s.regions, s.code_bytes, s.lookups, s.fills, s.flushes);
    return true;
}
