/*
 * The EL3 monitor: where SMCs go, PSCI for the Normal world, and the built-in host's door to the firmware.
 * SMCCC (Arm DEN0028), PSCI (DEN0022). World switches to and from Realms are the RMM's (enter.c); page owners
 * are changed by its granule commands. Not modelled: Secure world, CPU_SUSPEND to a state that loses context,
 * vendor services.
 */
#include "rmm/rmm_int.h"

#include <inttypes.h>

#define SMC_SVE_HINT BIT(16)

enum { SMCCC_1_2 = 0x10002, PSCI_1_1 = 0x10001 };
enum {
    PSCI_SUCCESS = 0,
    PSCI_NOT_SUPPORTED = -1,
    PSCI_INVALID_PARAMETERS = -2,
    PSCI_ALREADY_ON = -4,
    AFFINITY_ON = 0,
    AFFINITY_OFF = 1,
    NO_TRUSTED_OS = 2
};

/* SCR_EL3 below EL3: Non-secure, AArch64, HVC, and no trap of pointer authentication. Interrupts, aborts and
 * granule protection faults do not come here. DDI 0487, "SCR_EL3". */
#define SCR_HCE BIT(8)
#define SCR_BELOW                                                                                      \
    (BIT(0) /* NS */ | SCR_HCE | BIT(10) /* RW */ | BIT(16) /* APK */ | BIT(17) /* API */)
#define SCTLR_EL2_RES1   0x30c50830ull
#define SCTLR_EL1_RES1   0x30d00800ull
#define SPSR_EL2H_MASKED (0x3c0u | 9u)
#define SPSR_EL1H_MASKED (0x3c0u | 5u)
#define HCR_EL1_AARCH64  BIT(31)                /* RW */
#define CNTHCTL_EL1_ALL  3ull                   /* EL1PCTEN, EL1PCEN */
#define MPIDR_MT         BIT(24)
#define MPIDR_AFFINITY   0xff00ffffffull

struct Monitor {
    Rmm      *rmm;
    Memory   *memory;
    A64Cpu  **cpus;
    unsigned  n_cpus;
    bool      without_el2; /* the Normal world starts at EL1 */
    void    (*event)(void *opaque, MonitorEvent ev);
    void     *event_opaque;
};

/* ---- PSCI for the Normal world ---- */

/* At EL2, or at EL1 as firmware does that leaves EL2 unused: nothing traps there. */
static void enter_normal_world(const Monitor *m, A64Cpu *cpu, uint64_t pc, uint64_t x0)
{
    a64_reset(cpu);
    if (cpu->gic != NULL) {
        gicv3_reset_cpu(cpu->gic);
        gicv3_wake(cpu->gic); /* Normal-world firmware leaves it to EL3 */
    }
    cpu->el3.scr = SCR_BELOW;
    cpu->el2.sctlr = SCTLR_EL2_RES1;
    if (m->without_el2) {
        cpu->el3.scr &= ~SCR_HCE;
        cpu->el2.hcr = HCR_EL1_AARCH64;
        cpu->el2.cnthctl = CNTHCTL_EL1_ALL;
        cpu->el1.sctlr = SCTLR_EL1_RES1;
    }
    cpu->x[0] = x0;
    cpu->off = false;
    a64_enter(cpu, PAS_NONSECURE, pc, m->without_el2 ? SPSR_EL1H_MASKED : SPSR_EL2H_MASKED);
}

/* Callers take a CPU's name from MPIDR_EL1. DEN0022 wants bit 24 to be zero in it; software for boards whose CPUs have
 * threads leaves MT in, and firmware there takes it. */
static A64Cpu *cpu_of_affinity(const Monitor *m, uint64_t mpidr)
{
    for (unsigned i = 0; i < m->n_cpus; i++) {
        uint64_t mt = m->cpus[i]->mpidr & MPIDR_MT;

        if ((m->cpus[i]->mpidr & MPIDR_AFFINITY) == (mpidr & ~mt)) {
            return m->cpus[i];
        }
    }
    return NULL;
}

/* A standby that ends with the next interrupt; a request for a deeper state is downgraded to it, as PSCI
 * permits. */
static int64_t cpu_suspend(Monitor *m, A64Cpu *cpu, const uint64_t *x)
{
    if (!rmm_cpu(m->rmm, cpu)->builtin) {
        cpu->cpu.waiting = true;
        cpu_attend(&cpu->cpu);
    }
    return PSCI_SUCCESS;
}

static int64_t cpu_off(Monitor *m, A64Cpu *cpu, const uint64_t *x)
{
    cpu->off = true;
    cpu_request_stop(&cpu->cpu);
    return PSCI_SUCCESS; /* nobody reads it */
}

static int64_t cpu_on(Monitor *m, A64Cpu *cpu, const uint64_t *x)
{
    A64Cpu *target = cpu_of_affinity(m, x[1]);

    if (target == NULL) {
        return PSCI_INVALID_PARAMETERS;
    }
    if (!target->off) {
        return PSCI_ALREADY_ON;
    }
    enter_normal_world(m, target, x[2], x[3]);
    cpu_attend(&target->cpu);
    return PSCI_SUCCESS;
}

static int64_t affinity_info(Monitor *m, A64Cpu *cpu, const uint64_t *x)
{
    const A64Cpu *target = x[2] == 0 ? cpu_of_affinity(m, x[1]) : NULL;

    return target == NULL ? PSCI_INVALID_PARAMETERS : target->off ? AFFINITY_OFF : AFFINITY_ON;
}

static int64_t system_event(Monitor *m, A64Cpu *cpu, MonitorEvent ev)
{
    cpu->off = true; /* the call does not return */
    cpu_request_stop(&cpu->cpu);
    if (m->event != NULL) {
        m->event(m->event_opaque, ev);
    }
    return PSCI_SUCCESS;
}

static int64_t system_off(Monitor *m, A64Cpu *cpu, const uint64_t *x)
{
    return system_event(m, cpu, MONITOR_SYSTEM_OFF);
}

static int64_t system_reset(Monitor *m, A64Cpu *cpu, const uint64_t *x)
{
    return system_event(m, cpu, MONITOR_SYSTEM_RESET);
}

/* Reset type 0 is the architected warm reset, the one kind there is. */
static int64_t system_reset2(Monitor *m, A64Cpu *cpu, const uint64_t *x)
{
    return (uint32_t)x[1] == 0 ? system_event(m, cpu, MONITOR_SYSTEM_RESET) : PSCI_INVALID_PARAMETERS;
}

static int64_t smccc_version(Monitor *m, A64Cpu *cpu, const uint64_t *x) { return SMCCC_1_2; }
static int64_t psci_version(Monitor *m, A64Cpu *cpu, const uint64_t *x) { return PSCI_1_1; }
static int64_t migrate_info_type(Monitor *m, A64Cpu *cpu, const uint64_t *x) { return NO_TRUSTED_OS; }

/* @x: the registers; those that are no arguments are zero. */
typedef int64_t ServiceHandler(Monitor *m, A64Cpu *cpu, const uint64_t x[1 + SMC_MAX_ARGS]);

static ServiceHandler arch_features, psci_features;

static const struct Service {
    SmcFunction     f;
    ServiceHandler *serve;
} services[] = {
    /*  number      SMC64  args name */
    { { 0x80000000, false, 0, "SMCCC_VERSION" }, smccc_version },
    { { 0x80000001, false, 1, "SMCCC_ARCH_FEATURES" }, arch_features },
    { { 0x84000000, false, 0, "PSCI_VERSION" }, psci_version },
    { { 0x84000001, true,  3, "CPU_SUSPEND" }, cpu_suspend },
    { { 0x84000002, false, 0, "CPU_OFF" }, cpu_off },
    { { 0x84000003, true,  3, "CPU_ON" }, cpu_on },
    { { 0x84000004, true,  2, "AFFINITY_INFO" }, affinity_info },
    { { 0x84000006, false, 0, "MIGRATE_INFO_TYPE" }, migrate_info_type },
    { { 0x84000008, false, 0, "SYSTEM_OFF" }, system_off },
    { { 0x84000009, false, 0, "SYSTEM_RESET" }, system_reset },
    { { 0x8400000a, false, 1, "PSCI_FEATURES" }, psci_features },
    { { 0x84000012, true,  2, "SYSTEM_RESET2" }, system_reset2 },
};

static const struct Service *find_service(uint32_t fid)
{
    for (size_t i = 0; i < ARRAY_LEN(services); i++) {
        if (smc_function_is(&services[i].f, fid)) {
            return &services[i];
        }
    }
    return NULL;
}

const SmcFunction *monitor_function(size_t n) { return n < ARRAY_LEN(services) ? &services[n].f : NULL; }

/* DEN0028 "Function Identifier Ranges": calls of the Arm architecture. */
static bool is_arch_call(uint32_t fid) { return (fid & 0xbf000000u) == 0x80000000u; }

/* DEN0028, "SMCCC_ARCH_FEATURES": only of Arm architecture calls. */
static int64_t arch_features(Monitor *m, A64Cpu *cpu, const uint64_t *x)
{
    uint32_t fid = (uint32_t)x[1];

    return is_arch_call(fid) && find_service(fid) != NULL ? PSCI_SUCCESS : PSCI_NOT_SUPPORTED;
}

/* DEN0022, "PSCI_FEATURES": of PSCI functions, and of SMCCC_VERSION, by which the caller learns that there is more. */
static int64_t psci_features(Monitor *m, A64Cpu *cpu, const uint64_t *x)
{
    const struct Service *s = find_service((uint32_t)x[1]);
    bool                  known = s != NULL && (!is_arch_call(s->f.fid) || s->serve == smccc_version);

    return known ? PSCI_SUCCESS : PSCI_NOT_SUPPORTED;
}

/* ---- SMC ---- */

void smc_tell(const A64Cpu *cpu, const uint64_t *x, const SmcFunction *f, uint64_t status, bool pending)
{
    EventCall call = { .cpu = cpu->cpu.index, .fid = x[0], .n_in = f != NULL ? f->n_args : 0, .in = &x[1],
                       .pending = pending, .status = status };
    g_autoptr(GString) line = g_string_new(NULL);

    if (f == NULL) {
        g_string_append_printf(line, "SMC 0x%" PRIx64 "(", x[0]);
    } else {
        g_string_append_printf(line, "%s(", f->name);
    }
    for (unsigned i = 0; i < call.n_in; i++) {
        g_string_append_printf(line, "%s0x%" PRIx64, i == 0 ? "" : ", ", call.in[i]);
    }
    g_string_append(line, ")");
    if (!pending) {
        g_string_append_printf(line, " = %" PRId64, (int64_t)status);
    }
    event_tell(&(Event){ .kind = EVENT_SMC, .name = f != NULL ? f->name : "?", .text = line->str, .call = &call });
}

static bool is_rmi(uint32_t fid) { return (fid & 0xffff0000u) == SMC64_STD(0) && rmi_is_fid(fid & 0xffff); }

/* RMI: of NS-EL2 only, forwarded to the RMM. True: the CPU is in a Realm now. */
static bool forward_rmi(Monitor *m, A64Cpu *cpu)
{
    RmiIn    in = { .cpu = rmm_cpu(m->rmm, cpu) };
    RmiOut   out = { 0 };
    uint64_t x0 = SMC_UNKNOWN;

    memcpy(in.x, cpu->x, sizeof(in.x));
    rmi_call(m->rmm, &in, &out, &x0);
    if (!out.runs) {
        cpu->x[0] = x0;
    }
    return out.runs;
}

/* An SMC of the Normal world at @el, by its registers. True: it made the CPU enter a Realm. */
static bool normal_smc(Monitor *m, A64Cpu *cpu, unsigned el)
{
    uint32_t              fid = (uint32_t)cpu->x[0] & ~(uint32_t)SMC_SVE_HINT;
    uint64_t              x[1 + SMC_MAX_ARGS] = { 0 };

    LOG(SMC, "normal world EL%u 0x%" PRIx32, el, fid);
    if (is_rmi(fid) && el == 2) {
        cpu->x[0] = fid;
        return forward_rmi(m, cpu);
    }
    const struct Service *s = find_service(fid);
    if (s == NULL) {
        if (event_on(EVENT_SMC)) {
            smc_tell(cpu, cpu->x, NULL, SMC_UNKNOWN, false);
        }
        cpu->x[0] = SMC_UNKNOWN;
        return false;
    }
    x[0] = fid;
    for (unsigned i = 1; i <= s->f.n_args; i++) {
        x[i] = smc_argument(fid, cpu->x[i]);
    }
    int64_t result = s->serve(m, cpu, x);
    LOG(PSCI, "%s(0x%" PRIx64 ", 0x%" PRIx64 ", 0x%" PRIx64 ") = %" PRId64, s->f.name, x[1], x[2], x[3],
        result);
    if (event_on(EVENT_SMC)) {
        smc_tell(cpu, x, &s->f, (uint64_t)result, false);
    }
    cpu->x[0] = (uint64_t)result;
    return false;
}

/* ---- exceptions ---- */

enum { EC_SMC = 0x17 };

/* Nothing but an SMC is routed to EL3; what still comes is the use of something that EL3 does not permit. */
static void at_el3(Monitor *m, A64Cpu *cpu, const A64Exception *exc)
{
    if (exc->kind == A64_EXC_SYNC && (exc->esr >> 26 & 0x3f) == EC_SMC) {
        normal_smc(m, cpu, cpu->el);
        return;
    }
    guest_error("exception to EL3 that is no SMC, esr 0x%" PRIx64, exc->esr);
    a64_inject(cpu, cpu->el == 2 || (cpu->el2.hcr & BIT(27) /* TGE */) ? 2 : 1, BIT(25) /* IL, EC 0 */, 0,
               false);
}

static bool firmware_exception(void *opaque, A64Cpu *cpu, const A64Exception *exc)
{
    Monitor *m = opaque;
    RmmCpu  *c = rmm_cpu(m->rmm, cpu);

    if (exc->target == 2 && c->rec != 0) {
        realm_exception(m->rmm, c, exc);
        return true;
    }
    if (exc->target == 3) {
        at_el3(m, cpu, exc);
        return true;
    }
    return false;
}

/* ---- life ---- */

Monitor *monitor_new(Rmm *rmm, Memory *memory, A64Cpu **cpus, unsigned n_cpus)
{
    Monitor *m = g_new0(Monitor, 1);

    *m = (Monitor){ .rmm = rmm, .memory = memory, .cpus = cpus, .n_cpus = n_cpus };
    for (unsigned i = 0; i < n_cpus; i++) {
        cpus[i]->firmware = (A64Firmware){ .exception = firmware_exception, .opaque = m };
        cpus[i]->off = i != 0;
    }
    return m;
}

void monitor_free(Monitor *m)
{
    for (unsigned i = 0; m != NULL && i < m->n_cpus; i++) {
        m->cpus[i]->firmware = (A64Firmware){ 0 };
    }
    g_free(m);
}

void monitor_on_event(Monitor *m, void (*fn)(void *opaque, MonitorEvent ev), void *opaque)
{
    m->event = fn;
    m->event_opaque = opaque;
}

void monitor_without_el2(Monitor *m) { m->without_el2 = true; }

void monitor_start(Monitor *m, A64Cpu *cpu, uint64_t pc, uint64_t x0) { enter_normal_world(m, cpu, pc, x0); }

void monitor_set_builtin_host(Monitor *m, A64Cpu *cpu)
{
    enter_normal_world(m, cpu, 0, 0);
    rmm_cpu(m->rmm, cpu)->builtin = true;
    cpu->cpu.party = true;
}

bool monitor_host_smc(Monitor *m, A64Cpu *cpu) { return normal_smc(m, cpu, 2); }
