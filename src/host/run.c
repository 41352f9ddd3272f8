/*
 * Running RECs: entries, exits and what each exit asks for. RMM specification, "REC exit", "RmiRecExit".
 */
#include <string.h>

#include "host/host_int.h"
#include "log.h"

/* Exception classes and syndrome fields of a data abort. DDI 0487, "ISS encoding for an exception from a Data
 * Abort". */
enum { EC_WFX = 0x01, EC_SYSREG = 0x18, EC_INSN_ABORT = 0x20, EC_DATA_ABORT = 0x24 };
enum { FSC_EXTERNAL = 0x10, SET_RECOVERABLE = 0 };
#define ESR_EC(esr)     ((unsigned)((esr) >> 26 & 0x3f))
#define ESR_ISV         (1ull << 24)
#define ESR_SAS(esr)    ((unsigned)((esr) >> 22 & 3))
#define ESR_WNR         (1ull << 6)
#define ESR_SET(esr)    ((unsigned)((esr) >> 11 & 3))
#define ESR_FSC(esr)    ((unsigned)(esr) & 0x3f)
#define ESR_SYSREG_READ (1ull << 0)
#define ESR_SYSREG_RT(esr) ((unsigned)((esr) >> 5 & 31))
#define ESR_SYSREG_ID   0x3ffc1eull /* op0, op2, op1, CRn, CRm */
#define SYSREG_SGI1R    0x3a3016ull /* ICC_SGI1R_EL1: op0 3, op1 0, CRn 12, CRm 11, op2 5 */

/* Timer control bits. */
enum { CTL_ENABLE = 1, CTL_IMASK = 2, CTL_ISTATUS = 4 };

/* PSCI of the Realm. */
#define PSCI_CPU_SUSPEND32   0x84000001u
#define PSCI_CPU_SUSPEND     0xC4000001u
#define PSCI_CPU_OFF         0x84000002u
#define PSCI_CPU_ON32        0x84000003u
#define PSCI_CPU_ON          0xC4000003u
#define PSCI_AFFINITY_INFO32 0x84000004u
#define PSCI_AFFINITY_INFO   0xC4000004u
#define PSCI_SYSTEM_OFF      0x84000008u
#define PSCI_SYSTEM_RESET    0x84000009u

/* ---- timers ---- */

static bool timer_fires(uint64_t ctl)
{
    return (ctl & (CTL_ENABLE | CTL_IMASK | CTL_ISTATUS)) == (CTL_ENABLE | CTL_ISTATUS);
}

static void sample_timers(Host *h, HostCpu *hc)
{
    GicCpu *vcpu = gicv3_cpu(h->vgic, hc->cpu->cpu.index);

    gicv3_set_ppi(vcpu, CCA_PPI_VIRT_TIMER, timer_fires(host_get64(h, hc->run + RMI_EXIT_CNTV_CTL)));
    gicv3_set_ppi(vcpu, CCA_PPI_PHYS_TIMER, timer_fires(host_get64(h, hc->run + RMI_EXIT_CNTP_CTL)));
}

/* The line of the Realm's monitors is high until the Realm has served them. Meanwhile it must not make every entry an
 * exit at once; the maintenance interrupt at the end of the Realm's interrupt says when to look again. */
static void sample_pmu(Host *h, HostCpu *hc)
{
    bool asks = host_get64(h, hc->run + RMI_EXIT_PMU_OVF_STATUS) & 1;

    gicv3_set_ppi(gicv3_cpu(h->vgic, hc->cpu->cpu.index), CCA_PPI_PMU, asks);
    if (hc->pmu_told != asks) {
        hc->pmu_told = asks;
        host_gic_pmu(h, hc, !asks);
    }
}

/* A timer of a REC that waits: its compare value while it is counting and could interrupt. */
static uint64_t timer_deadline(Host *h, const HostCpu *hc, uint64_t ctl_at, uint64_t cval_at)
{
    uint64_t ctl = host_get64(h, hc->run + ctl_at);

    return (ctl & (CTL_ENABLE | CTL_IMASK)) == CTL_ENABLE ? host_get64(h, hc->run + cval_at) : UINT64_MAX;
}

/* Our own timer (EL2 physical) wakes us for the REC's next deadline. */
static void arm_wakeup(Host *h, HostCpu *hc)
{
    uint64_t v = timer_deadline(h, hc, RMI_EXIT_CNTV_CTL, RMI_EXIT_CNTV_CVAL);
    uint64_t p = timer_deadline(h, hc, RMI_EXIT_CNTP_CTL, RMI_EXIT_CNTP_CVAL);
    uint64_t next = MIN(v, p);

    hc->cpu->el2.cnthp_ctl = next != UINT64_MAX ? CTL_ENABLE : 0;
    hc->cpu->el2.cnthp_cval = next;
    a64_timers_update(hc->cpu);
}

/* The REC's timers go on counting while it waits; their levels follow the counter. */
static void refresh_timers(Host *h, HostCpu *hc)
{
    static const uint16_t ctl_at[] = { RMI_EXIT_CNTV_CTL, RMI_EXIT_CNTP_CTL };
    static const uint16_t cval_at[] = { RMI_EXIT_CNTV_CVAL, RMI_EXIT_CNTP_CVAL };
    uint64_t              now = a64_physical_count(hc->cpu);

    for (size_t i = 0; i < ARRAY_LEN(ctl_at); i++) {
        uint64_t ctl = host_get64(h, hc->run + ctl_at[i]);

        if ((ctl & CTL_ENABLE) && host_get64(h, hc->run + cval_at[i]) <= now) {
            host_put64(h, hc->run + ctl_at[i], ctl | CTL_ISTATUS);
        }
    }
    sample_timers(h, hc);
}

/* ---- entry ---- */

static void fill_lrs(Host *h, HostCpu *hc)
{
    uint64_t lrs[GIC_N_LRS];
    uint64_t hcr = gicv3_virt_fill_lrs(h->vgic, hc->cpu->cpu.index, lrs, GIC_N_LRS);

    host_put64(h, hc->run + RMI_ENTER_GICV3_HCR, hcr);
    for (unsigned i = 0; i < GIC_N_LRS; i++) {
        host_put64(h, hc->run + RMI_ENTER_GICV3_LRS + 8 * i, lrs[i]);
    }
}

static void enter(Host *h, HostCpu *hc)
{
    A64Cpu *cpu = hc->cpu;

    fill_lrs(h, hc);
    host_put64(h, hc->run + RMI_ENTER_FLAGS, hc->flags | RMI_ENTER_TRAP_WFI);
    hc->flags = 0;
    hc->state = HOST_REC_ENTERED;
    cpu->el2.cnthp_ctl = 0;
    host_rmi(h, cpu, RMI_FID_REC_ENTER, hc->rec, hc->run, 0, 0, 0);
}

/* ---- exits ---- */

static void sync_lrs(Host *h, HostCpu *hc)
{
    uint64_t lrs[GIC_N_LRS];

    for (unsigned i = 0; i < GIC_N_LRS; i++) {
        lrs[i] = host_get64(h, hc->run + RMI_EXIT_GICV3_LRS + 8 * i);
    }
    gicv3_virt_sync_lrs(h->vgic, hc->cpu->cpu.index, lrs, GIC_N_LRS,
                        host_get64(h, hc->run + RMI_EXIT_GICV3_HCR));
}

static void answer(Host *h, HostCpu *hc, uint64_t value)
{
    host_put64(h, hc->run + RMI_ENTER_GPRS, value);
}

/* A load or store at an unprotected address: a device of ours, or a shared page that is not mapped yet. */
static void exit_mmio(Host *h, HostCpu *hc, uint64_t esr, uint64_t ipa)
{
    uint64_t device_ipa = ipa & ~SHARED_BIT, value = host_get64(h, hc->run + RMI_EXIT_GPRS);

    if (host_is_ram(h, device_ipa)) {
        if (*host_page(h, device_ipa) == HOST_PAGE_SHARED) {
            host_map_shared(h, hc->cpu, align_down(device_ipa, PAGE_SIZE));
        } else {
            hc->flags |= RMI_ENTER_INJECT_SEA;
        }
        return;
    }
    if (!(esr & ESR_ISV) ||
        host_mmio(h, hc->cpu->cpu.index, device_ipa, 1u << ESR_SAS(esr), esr & ESR_WNR, &value) != MEM_OK) {
        guest_error("host: Realm access to 0x%llx cannot be emulated", (unsigned long long)device_ipa);
        hc->flags |= RMI_ENTER_INJECT_SEA;
        return;
    }
    if (!(esr & ESR_WNR)) {
        answer(h, hc, value);
    }
    hc->flags |= RMI_ENTER_EMUL_MMIO;
}

static void exit_abort(Host *h, HostCpu *hc, uint64_t esr)
{
    uint64_t hpfar = host_get64(h, hc->run + RMI_EXIT_HPFAR);
    uint64_t ipa = (hpfar >> 4 & 0xfffffffffffull) << 12 | (host_get64(h, hc->run + RMI_EXIT_FAR) & 0xfff);

    if (ESR_EC(esr) == EC_DATA_ABORT && ESR_FSC(esr) == FSC_EXTERNAL && ESR_SET(esr) == SET_RECOVERABLE) {
        /* Nothing answered, a device that has gone for example. The RMM has given the abort to the Realm already, and
         * tells us no address: we only go on. */
        LOG(HOST, "the Realm takes an external abort");
    } else if (ESR_EC(esr) == EC_DATA_ABORT && (ipa & SHARED_BIT)) {
        exit_mmio(h, hc, esr, ipa);
    } else if (!(ipa & SHARED_BIT) && host_is_ram(h, ipa) && *host_page(h, ipa) == HOST_PAGE_NONE) {
        host_map_private(h, hc->cpu, ipa);
    } else {
        char text[160];

        g_snprintf(text, sizeof(text),
                   "the Realm faulted at IPA 0x%llx (ESR 0x%llx), where nothing can be mapped",
                   (unsigned long long)ipa, (unsigned long long)esr);
        log_error("%s", text);
        machine_stop(h->cfg.machine, EXIT_BAD_INPUT, text);
    }
}

static void exit_sysreg(Host *h, HostCpu *hc, uint64_t esr)
{
    bool read = esr & ESR_SYSREG_READ;

    if (!read && (esr & ESR_SYSREG_ID) == SYSREG_SGI1R) {
        gicv3_virt_sgi(h->vgic, hc->cpu->cpu.index, host_get64(h, hc->run + RMI_EXIT_GPRS));
    } else if (read) {
        answer(h, hc, 0);
    }
}

static void exit_sync(Host *h, HostCpu *hc)
{
    uint64_t esr = host_get64(h, hc->run + RMI_EXIT_ESR);

    switch (ESR_EC(esr)) {
    case EC_WFX:
        hc->state = HOST_REC_WAITING;
        break;
    case EC_SYSREG:
        exit_sysreg(h, hc, esr);
        break;
    case EC_INSN_ABORT:
    case EC_DATA_ABORT:
        exit_abort(h, hc, esr);
        break;
    default:
        guest_error("host: REC exit with ESR 0x%llx is not understood", (unsigned long long)esr);
        break;
    }
}

/* The REC with affinity @mpidr, or NULL. */
static HostCpu *rec_by_mpidr(Host *h, uint64_t mpidr)
{
    for (unsigned i = 0; i < h->n_recs; i++) {
        if (RMI_MPIDR_OF_INDEX(i) == (mpidr & 0xffffff)) {
            return &h->cpus[i];
        }
    }
    return NULL;
}

static void psci_complete(Host *h, HostCpu *hc, HostCpu *target)
{
    uint64_t x0 = host_rmi(h, hc->cpu, RMI_FID_PSCI_COMPLETE, hc->rec, target->rec, 0, 0, 0);

    if (x0 != RMI_SUCCESS) {
        host_fail(h, "complete a PSCI call of the Realm", x0);
    }
}

static void exit_psci(Host *h, HostCpu *hc)
{
    uint64_t fid = host_get64(h, hc->run + RMI_EXIT_GPRS), mpidr = host_get64(h, hc->run + RMI_EXIT_GPRS + 8);
    HostCpu *target = rec_by_mpidr(h, mpidr);

    switch (fid) {
    case PSCI_CPU_ON32:
    case PSCI_CPU_ON:
        if (target != NULL) {
            psci_complete(h, hc, target);
            if (target->state == HOST_REC_OFF) {
                target->state = HOST_REC_READY;
                machine_wake(h->cfg.machine);
            }
        }
        break;
    case PSCI_AFFINITY_INFO32:
    case PSCI_AFFINITY_INFO:
        if (target != NULL) {
            psci_complete(h, hc, target);
        }
        break;
    case PSCI_CPU_OFF:
        hc->state = HOST_REC_OFF;
        break;
    case PSCI_CPU_SUSPEND32:
    case PSCI_CPU_SUSPEND:
        hc->state = HOST_REC_WAITING;
        break;
    case PSCI_SYSTEM_OFF:
        host_end(h, HOST_END_OFF);
        break;
    case PSCI_SYSTEM_RESET:
        host_end(h, HOST_END_RESET);
        break;
    default:
        guest_error("host: PSCI exit with function 0x%llx", (unsigned long long)fid);
        break;
    }
}

static void exit_ripas(Host *h, HostCpu *hc)
{
    uint64_t base = host_get64(h, hc->run + RMI_EXIT_RIPAS_BASE),
             top = host_get64(h, hc->run + RMI_EXIT_RIPAS_TOP);

    host_change_ripas(h, hc->cpu, hc, base, top, host_get64(h, hc->run + RMI_EXIT_RIPAS_VALUE) & 0xff);
}

static void exit_host_call(Host *h, HostCpu *hc)
{
    uint64_t gprs[31];

    for (unsigned i = 0; i < ARRAY_LEN(gprs); i++) {
        gprs[i] = host_get64(h, hc->run + RMI_EXIT_GPRS + 8 * i);
    }
    host_call(h, hc, (uint16_t)host_get64(h, hc->run + RMI_EXIT_IMM), gprs);
    for (unsigned i = 0; i < ARRAY_LEN(gprs); i++) {
        host_put64(h, hc->run + RMI_ENTER_GPRS + 8 * i, gprs[i]);
    }
}

/* The reasons that each dialect numbers anew. */
static bool device_exit(Host *h, HostCpu *hc)
{
    unsigned reason = host_get64(h, hc->run + RMI_EXIT_REASON) & 0xff;

    if (h->dialect->rdev && reason == RMI_EXIT12_VDEV_COMM) {
        host_device_comm(h, hc);
        return true;
    }
    if (reason == (h->dialect->rdev ? RMI_EXIT12_DEV_MEM_MAP : RMI_EXIT_VDEV_MAP)) {
        host_device_map(h, hc);
        return true;
    }
    return false;
}

static void handle_exit(Host *h, HostCpu *hc)
{
    uint64_t x0 = hc->cpu->x[0];

    hc->state = HOST_REC_READY;
    hc->n_exits++;
    if (x0 != RMI_SUCCESS) {
        host_fail(h, "enter a REC", x0);
        return;
    }
    sync_lrs(h, hc);
    sample_timers(h, hc);
    sample_pmu(h, hc);
    switch (host_get64(h, hc->run + RMI_EXIT_REASON) & 0xff) {
    case RMI_EXIT_SYNC: exit_sync(h, hc); break;
    case RMI_EXIT_IRQ: break; /* served below, as before every entry */
    case RMI_EXIT_PSCI: exit_psci(h, hc); break;
    case RMI_EXIT_RIPAS_CHANGE: exit_ripas(h, hc); break;
    case RMI_EXIT_HOST_CALL: exit_host_call(h, hc); break;
    case RMI_EXIT_VDEV_REQUEST: host_device_request(h, hc); break;
    default:
        if (device_exit(h, hc)) {
            break;
        }
        log_error("the built-in host does not know REC exit reason %llu",
                  (unsigned long long)host_get64(h, hc->run + RMI_EXIT_REASON));
        machine_stop(h->cfg.machine, EXIT_BAD_INPUT, "unknown REC exit");
        break;
    }
}

/* The REC asked for something that takes a conversation with its device: it comes back when that is over. */
static void go_on_with_device(Host *h, HostCpu *hc)
{
    uint64_t status;

    if (host_device_step(h, hc->cpu, hc->device, &status)) {
        answer(h, hc, status);
        hc->device = NULL;
        hc->state = HOST_REC_READY;
    }
}

bool host_run_step(Host *h, HostCpu *hc)
{
    if (hc->state == HOST_REC_ENTERED) {
        handle_exit(h, hc);
    }
    host_gic_serve(h, hc);
    if (hc->state == HOST_REC_DEVICE) {
        go_on_with_device(h, hc);
        return h->phase == HOST_RUN && (hc->device == NULL || !host_device_sleeps(h, hc->device));
    }
    if (hc->state == HOST_REC_WAITING) {
        refresh_timers(h, hc);
        if (gicv3_virt_has_pending(h->vgic, hc->cpu->cpu.index)) {
            hc->state = HOST_REC_READY;
        } else {
            arm_wakeup(h, hc);
            return false;
        }
    }
    if (hc->state != HOST_REC_READY || h->phase != HOST_RUN) {
        return false;
    }
    enter(h, hc);
    return true;
}
