/*
 * Data and instruction aborts, and what the engine asks of the MMU: one translation, or the exception for a
 * bad access. Arm DDI 0487, "ISS encoding for an exception from a Data Abort", AArch64.Abort() and "Granule
 * Protection Checks".
 */
#include <inttypes.h>

#include "bytes.h"
#include "cpu/a64/decode.h"
#include "cpu/a64/system.h"
#include "log.h"

enum { PA_BITS = 48 };

/* ---- syndromes ---- */

/* DDI 0487, "ISS encoding for an exception from a Data Abort", DFSC. */
unsigned a64_fault_status(const A64Walk *w)
{
    static const uint8_t base[] = {
        [A64_FAULT_ADDR_SIZE] = 0x00, [A64_FAULT_TRANSLATION] = 0x04, [A64_FAULT_ACCESS] = 0x08,
        [A64_FAULT_PERMISSION] = 0x0c, [A64_FAULT_WALK_ABORT] = 0x14, [A64_FAULT_GPF_WALK] = 0x24,
    };

    switch (w->fault) {
    case A64_FAULT_GPF:
        return 0x28;
    case A64_FAULT_ALIGNMENT:
        return 0x21;
    case A64_FAULT_EXTERNAL:
        return 0x10;
    default:
        return base[w->fault] + (w->level & 3);
    }
}

static bool is_gpf(const A64Walk *w)
{
    return w->fault == A64_FAULT_GPF || w->fault == A64_FAULT_GPF_WALK;
}

static bool is_external(const A64Walk *w)
{
    return w->fault == A64_FAULT_EXTERNAL || w->fault == A64_FAULT_WALK_ABORT;
}

/* AArch64.Abort(), routing. */
static unsigned abort_target(const A64Cpu *cpu, const A64Walk *w)
{
    uint64_t hcr = a64_hcr(cpu);

    if (is_external(w) && (cpu->el3.scr & SCR_EA)) {
        return 3;
    }
    if (cpu->el < 2 && a64_el2_enabled(cpu)) {
        if (w->stage2 || (is_external(w) && (hcr & HCR_TEA)) || (is_gpf(w) && (hcr & HCR_GPF))) {
            return 2;
        }
    }
    return a64_sync_target(cpu);
}

/* The instruction word at the current pc, 0 when it cannot be read. */
static uint32_t current_insn(A64Cpu *cpu)
{
    A64Request req = a64_request(cpu, 0);
    A64Walk    w;
    uint8_t    bytes[4] = { 0 };

    req.update = false;
    req.fetch = true;
    a64_walk(cpu, &req, cpu_current_pc(&cpu->cpu), &w);
    if (w.fault == A64_FAULT_NONE) {
        memory_read(cpu->cpu.memory, w.pa, (MemAttrs){ .pas = w.pas }, bytes, sizeof(bytes));
    }
    return le32_get(bytes);
}

static uint32_t data_iss(A64Cpu *cpu, const A64Request *req, const A64Walk *w, unsigned target)
{
    uint32_t iss = a64_fault_status(w) | (uint32_t)w->s1ptw << 7;

    if (req->write || req->cache_op) {
        iss |= 1u << 6;
    }
    if (req->cache_op) {
        iss |= 1u << 8;
    } else if (target == 2 && w->stage2 && !w->s1ptw) {
        iss |= a64_access_iss(current_insn(cpu));
    }
    return iss;
}

/* Granule Protection Check exception, taken to EL3 with SCR_EL3.GPF. IMPLEMENTATION DEFINED: GPCSC says "fail
 * at level 0"; the owner table has no levels. */
static void raise_gpc(A64Cpu *cpu, const A64Request *req, const A64Walk *w, uint64_t va, uint64_t pc)
{
    uint32_t iss = a64_fault_status(w) | (uint32_t)(req->write || req->cache_op) << 6 | (uint32_t)w->s1ptw << 7 |
                   (uint32_t)req->cache_op << 8 | 0xcu << 14 | (uint32_t)req->fetch << 20 |
                   (uint32_t)w->stage2 << 21;
    A64Exception exc = {
        .kind = A64_EXC_SYNC,
        .target = 3,
        .esr = (uint64_t)EC_GPC << 26 | ESR_IL | iss,
        .far = va,
        .far_valid = true,
        .return_pc = pc,
    };

    cpu->el3.mfar = (w->pa & mask64(PA_BITS) & ~0xfffull) | (w->pas & 1 ? BIT(63) : 0) | (w->pas & 2 ? BIT(62) : 0);
    a64_raise(cpu, &exc);
}

static void log_fault(const A64Cpu *cpu, const A64Request *req, const A64Walk *w, uint64_t va)
{
    if (!log_on(LOG_MMU) || !log_has_pc(cpu_current_pc(&cpu->cpu))) {
        return;
    }
    LOG(MMU, "EL%u %s va 0x%" PRIx64 " fault status 0x%02x stage %d%s ipa 0x%" PRIx64, cpu->el,
        req->fetch ? "fetch" : req->write ? "write" : "read", va, a64_fault_status(w), w->stage2 ? 2 : 1,
        w->s1ptw ? " on a walk" : "", w->ipa);
}

void a64_raise_fault(A64Cpu *cpu, const A64Request *req, const A64Walk *w, uint64_t va)
{
    unsigned     target = abort_target(cpu, w);
    bool         same = target == cpu->el;
    A64Exception exc = {
        .kind = A64_EXC_SYNC,
        .target = (uint8_t)target,
        .far = va,
        .far_valid = true,
        .return_pc = req->fetch ? va : cpu_current_pc(&cpu->cpu),
    };

    log_fault(cpu, req, w, va);
    if (is_gpf(w) && (cpu->el3.scr & SCR_GPF) && cpu->el != 3) {
        raise_gpc(cpu, req, w, va, exc.return_pc);
        return;
    }
    if (req->fetch) {
        exc.esr = (uint64_t)(same ? EC_IABT_SAME : EC_IABT) << 26 | (uint32_t)w->s1ptw << 7 | a64_fault_status(w);
    } else {
        exc.esr = (uint64_t)(same ? EC_DABT_SAME : EC_DABT) << 26 | data_iss(cpu, req, w, target);
    }
    exc.esr |= ESR_IL;
    if (w->stage2) {
        bool ns = cpu->security == PAS_SECURE && w->ipa_pas == PAS_NONSECURE;
        exc.hpfar = (w->ipa & mask64(PA_BITS)) >> 12 << 4 | (ns ? BIT(63) : 0);
        exc.hpfar_valid = true;
    }
    a64_raise(cpu, &exc);
}

/* ---- what the engine asks ---- */

static A64Request request_of(A64Cpu *cpu, CpuAccess access, unsigned space)
{
    A64Request req = a64_request(cpu, space);

    req.write = access == CPU_WRITE;
    req.fetch = access == CPU_FETCH;
    return req;
}

/* A watchpoint matched: DDI 0487, "Watchpoint exceptions". */
static void raise_watchpoint(A64Cpu *cpu, uint64_t va, bool write)
{
    unsigned     target = a64_debug_target(cpu);
    A64Exception exc = {
        .kind = A64_EXC_SYNC,
        .target = (uint8_t)target,
        .esr = (uint64_t)(target == cpu->el ? EC_WATCHPOINT_SAME : EC_WATCHPOINT) << 26 | ESR_IL |
               (uint32_t)write << 6 | 0x22,
        .far = va,
        .far_valid = true,
        .return_pc = cpu_current_pc(&cpu->cpu),
    };

    a64_raise(cpu, &exc);
}

/* TLB maintenance names addresses without tag; a translation found under a tagged address is therefore not
 * kept. */
static bool is_tagged(const A64Cpu *cpu, uint64_t va)
{
    bool two = a64_regime(cpu) == A64_REGIME_EL10 || a64_regime(cpu) == A64_REGIME_EL20;

    return va != (two ? (uint64_t)sign_extend64(va, 56) : va & mask64(56));
}

bool a64_fill(Cpu *c, uint64_t va, unsigned size, CpuAccess access, unsigned space, CpuFill *out)
{
    A64Cpu    *cpu = a64_from_cpu(c);
    A64Request req = request_of(cpu, access, space);
    A64Walk    w;

    if (req.fetch) {
        va = a64_branch_addr(cpu, va);
        if (va & 3) {
            a64_pc_alignment(cpu, va);
            return false;
        }
    }
    a64_walk(cpu, &req, va, &w);
    if (w.fault != A64_FAULT_NONE) {
        a64_raise_fault(cpu, &req, &w, va);
        return false;
    }
    bool watched = !req.fetch && a64_watchpoint_near(cpu, va);
    if (watched && a64_watchpoint_in(cpu, va, size, req.write ? A64_WATCH_STORE : A64_WATCH_LOAD, req.user)) {
        raise_watchpoint(cpu, va, req.write);
        return false;
    }
    if (w.not_global) {
        a64_bind_asid(cpu, &req);
    }
    *out = (CpuFill){
        .pa = w.pa,
        .pas = w.pas,
        .page_size = w.page_size,
        .readable = w.readable,
        .writable = w.writable,
        .device = w.device,
        .slow = watched || is_tagged(cpu, va),
        .fetch_guarded = w.guarded,
    };
    return true;
}

void a64_unaligned(Cpu *c, uint64_t va, CpuAccess access)
{
    A64Cpu    *cpu = a64_from_cpu(c);
    A64Request req = request_of(cpu, access, 0);
    A64Walk    w = { .fault = A64_FAULT_ALIGNMENT };

    a64_raise_fault(cpu, &req, &w, va);
}

void a64_bus_error(Cpu *c, uint64_t va, uint64_t pa, CpuAccess access, MemResult why)
{
    A64Cpu    *cpu = a64_from_cpu(c);
    A64Request req = request_of(cpu, access, 0);
    A64Walk    w = { .fault = why == MEM_GPF ? A64_FAULT_GPF : A64_FAULT_EXTERNAL, .pa = pa };

    LOG(MMU, "external abort va 0x%" PRIx64 " pa 0x%" PRIx64, va, pa);
    a64_raise_fault(cpu, &req, &w, va);
}
