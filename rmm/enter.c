/*
 * REC_ENTER: from the host into a Realm and back. DEN0137, RMI_REC_ENTER, "REC entry", "REC exit". A world
 * switch is a copy of plain structures between the CPU, the REC granule and struct RmmCpu.
 */
#include "rmm/rmm_int.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

/* HCR_EL2 while a Realm runs: DDI 0487 bit places. VHE format of the trap registers (E2H); physical
 * interrupts and SErrors come to R-EL2; SMC, ID group 3 and error record accesses trap; a granule protection
 * fault comes to R-EL2. */
#define HCR_REALM                                                                                      \
    (BIT(0) /* VM */ | BIT(1) /* SWIO */ | BIT(2) /* PTW */ | BIT(3) /* FMO */ | BIT(4) /* IMO */ |    \
     BIT(5) /* AMO */ | BIT(9) /* FB */ | BIT(10) /* BSU inner */ | BIT(18) /* TID3 */ |               \
     BIT(19) /* TSC */ | BIT(31) /* RW */ | BIT(34) /* E2H */ | BIT(37) /* TEA */ | BIT(40) /* APK */ | \
     BIT(41) /* API */ | BIT(46) /* FWB */ | BIT(48) /* GPF */)
#define HCR_TWI BIT(13)
#define HCR_TWE BIT(14)

#define ESR_ISV BIT(24) /* the abort's syndrome says what was accessed: the host can emulate it */

#define CPTR_FPEN        (3ull << 20)                /* no trap of FP; ZEN and SMEN 0: SVE and SME trap */
#define MDCR_REALM       (BIT(14) | BIT(17) | BIT(23)) /* TPMS: no SPE; HPMD, HCCD: no counting at R-EL2 */
#define MDCR_NO_PMU      (BIT(5) | BIT(6))             /* TPMCR, TPM */
#define CNTHCTL_REALM    (BIT(10) | BIT(11))         /* EL1PCTEN, EL1PTEN: no traps of the physical timer */
#define CNTHCTL_CNTVMASK BIT(18)                     /* FEAT_RME: mask the timers' interrupt outputs */
#define CNTHCTL_CNTPMASK BIT(19)

#define CNT_ENABLE  BIT(0)
#define CNT_IMASK   BIT(1)
#define CNT_ISTATUS BIT(2)

/* What a host may ask of the virtual CPU interface. DEN0137 "RmiRecEnter", gicv3_hcr. */
#define GIC_HOST_HCR                                                                                   \
    (ICH_HCR_UIE | ICH_HCR_LRENPIE | ICH_HCR_NPIE | ICH_HCR_VGRP0EIE | ICH_HCR_VGRP0DIE |              \
     ICH_HCR_VGRP1EIE | ICH_HCR_VGRP1DIE | ICH_HCR_TDIR)
#define ICH_HCR_VSGIEOICOUNT BIT(8)
#define ICH_HCR_DVIM         BIT(15)
#define ICH_HCR_EOICOUNT     (31ull << ICH_HCR_EOICOUNT_SHIFT)

/* ---- timers ---- */

static uint64_t timer_ctl(const A64Cpu *cpu, uint64_t ctl, uint64_t cval)
{
    bool met = (ctl & CNT_ENABLE) && a64_physical_count(cpu) >= cval; /* the offsets of a Realm are zero */

    return (ctl & (CNT_ENABLE | CNT_IMASK)) | (met ? CNT_ISTATUS : 0);
}

static bool timer_asserted(const A64Cpu *cpu, uint64_t ctl, uint64_t cval)
{
    return timer_ctl(cpu, ctl, cval) == (CNT_ENABLE | CNT_ISTATUS);
}

/* DEN0137 "Realm timers": an asserted timer is the host's business, told once; its line to the physical GIC
 * is masked until the Realm has dealt with it. */
static uint64_t timer_masks(const A64Cpu *cpu, const A64El1Regs *el1)
{
    bool virt = timer_asserted(cpu, el1->cntv_ctl, el1->cntv_cval);
    bool phys = timer_asserted(cpu, el1->cntp_ctl, el1->cntp_cval);

    return (virt ? CNTHCTL_CNTVMASK : 0) | (phys ? CNTHCTL_CNTPMASK : 0);
}

bool rec_timers_changed(A64Cpu *cpu)
{
    uint64_t now = CNTHCTL_REALM | timer_masks(cpu, &cpu->el1);

    if (cpu->el2.cnthctl == now) {
        return false;
    }
    cpu->el2.cnthctl = now;
    a64_timers_update(cpu);
    return true;
}

/* ---- world switch ---- */

/* The library copies and clears register files in half the time of the string instructions that compilers put in its
 * place when they know the length. */
static size_t unknown(size_t len)
{
    __asm__("" : "+r"(len));
    return len;
}

static void copy(void *dst, const void *src, size_t len) { memcpy(dst, src, unknown(len)); }
static void clear(void *dst, size_t len) { memset(dst, 0, unknown(len)); }

/* What an instruction names, from x[0] to fpsr: in one piece. */
#define PLACE(type, field) (offsetof(type, field) - offsetof(type, x))
#define ALIKE(type, field) (PLACE(type, field) == PLACE(A64Cpu, field))
#define ALL_ALIKE(type)    (ALIKE(type, pc) && ALIKE(type, v) && ALIKE(type, fpcr) && ALIKE(type, fpsr))

static_assert(ALL_ALIKE(Rec) && ALL_ALIKE(RmmCpu), "registers lie there as in the CPU");

static void copy_registers(uint64_t *dst_x, const uint64_t *src_x)
{
    copy(dst_x, src_x, PLACE(A64Cpu, fpsr) + sizeof(uint32_t));
}

static void save_host(RmmCpu *c)
{
    A64Cpu *cpu = c->cpu;

    copy_registers(c->x, cpu->x);
    c->spsr = a64_get_spsr(cpu);
    copy(&c->el1, &cpu->el1, sizeof(c->el1));
    copy(&c->el2, &cpu->el2, sizeof(c->el2));
    c->derived = cpu->derived;
    if (cpu->gic != NULL) {
        gic_cpu_virt_get(cpu->gic, &c->gic);
    }
}

static void load_host(RmmCpu *c)
{
    A64Cpu *cpu = c->cpu;

    copy_registers(cpu->x, c->x);
    copy(&cpu->el1, &c->el1, sizeof(c->el1));
    copy(&cpu->el2, &c->el2, sizeof(c->el2));
    if (cpu->gic != NULL) {
        c->gic.hcr &= ~(uint64_t)ICH_HCR_EN; /* DEN0137 "Realm interrupts": so it is after every exit */
        gic_cpu_virt_set(cpu->gic, &c->gic);
    }
    cpu->cpu.party = c->builtin;
    a64_enter_again(cpu, PAS_NONSECURE, c->pc, c->spsr, &c->derived);
}

/* DEN0137 "Realm PMU": its counters are the first range; its registers are part of A64El1Regs, of each world's own. */
static uint64_t mdcr_of(const Realm *realm)
{
    return MDCR_REALM | (realm->flags0 & RMI_REALM_FLAG_PMU ? realm->n_ctrs : MDCR_NO_PMU);
}

/* R-EL2 with this Realm. The timers of EL2 are the host's and go on. */
static void load_el2(A64Cpu *cpu, const Realm *realm, const Rec *rec, uint64_t hcr)
{
    A64El2Regs *el2 = &cpu->el2;

    el2->hcr = hcr;
    el2->hcrx = el2->hstr = 0;
    el2->cptr = CPTR_FPEN;
    el2->mdcr = mdcr_of(realm);
    el2->vtcr = realm_vtcr(realm);
    el2->vttbr = realm_vttbr(realm);
    el2->vpidr = cpu->midr;
    el2->vmpidr = (rec->mpidr & 0xffffff) | extract64(rec->mpidr, 24, 8) << 32 | BIT(31);
    el2->cntvoff = el2->cntpoff = 0;
    el2->vsesr = el2->vdisr = 0;
    el2->hfgrtr = el2->hfgwtr = el2->hfgitr = el2->hdfgrtr = el2->hdfgwtr = el2->hafgrtr = 0;
}

/* What the host gave is joined by what is the Realm's. */
static void load_gic(A64Cpu *cpu, const Rec *rec, GicVirtState *s)
{
    if (cpu->gic != NULL) {
        s->hcr |= ICH_HCR_EN | ICH_HCR_VSGIEOICOUNT | ICH_HCR_DVIM;
        s->vmcr = rec->vmcr;
        memcpy(s->ap0r, rec->ap0r, sizeof(s->ap0r));
        memcpy(s->ap1r, rec->ap1r, sizeof(s->ap1r));
        gic_cpu_virt_set(cpu->gic, s);
    }
}

/* Nothing else changes its system registers than running it, or REC reset. */
static bool is_as_it_left(const RmmCpu *c, const Rec *rec)
{
    return c->last.rec == c->rec && rec->left == 1 + c->cpu->cpu.index;
}

static void load_rec(RmmCpu *c, const Rec *rec)
{
    A64Cpu *cpu = c->cpu;

    copy_registers(cpu->x, rec->x);
    copy(&cpu->el1, &rec->el1, sizeof(rec->el1));
    cpu->el2.cnthctl = CNTHCTL_REALM | rec->timers_told;
    cpu->cpu.party = false;
    if (is_as_it_left(c, rec)) {
        a64_enter_again(cpu, PAS_REALM, rec->pc, rec->spsr, &c->last.derived);
    } else {
        a64_enter(cpu, PAS_REALM, rec->pc, rec->spsr);
    }
}

static void save_rec(RmmCpu *c, Rec *rec)
{
    const A64Cpu *cpu = c->cpu;

    copy_registers(rec->x, cpu->x);
    rec->spsr = a64_get_spsr(cpu);
    copy(&rec->el1, &cpu->el1, sizeof(rec->el1));
    rec->timers_told = timer_masks(cpu, &rec->el1);
    rec->left = 1 + cpu->cpu.index;
    c->last.rec = c->rec;
    c->last.derived = cpu->derived;
}

/* ---- exit ---- */

void rec_no_news(RmmCpu *c) { clear(&c->exit, offsetof(RecExit, gprs)); }

/* Into an exit block that is zero: most of it stays so. */
static void put_exit(uint8_t *page, unsigned offset, uint64_t value)
{
    if (value != 0) {
        le64_put(page + offset - RMI_EXIT, value);
    }
}

/* The virtual CPU interface as the Realm leaves it. */
typedef struct GicExit {
    uint64_t     misr;
    GicVirtState state;
} GicExit;

static void put_gic(uint8_t *page, const RmmCpu *c, const GicExit *g)
{
    put_exit(page, RMI_EXIT_GICV3_HCR, g->state.hcr & (ICH_HCR_EOICOUNT | c->host_mask));
    for (unsigned i = 0; !g->state.lrs_clear && i < GIC_N_LRS; i++) {
        put_exit(page, RMI_EXIT_GICV3_LRS + 8 * i, g->state.lrs[i]);
    }
    put_exit(page, RMI_EXIT_GICV3_MISR, g->misr);
    put_exit(page, RMI_EXIT_GICV3_VMCR, g->state.vmcr);
}

static void put_timers(uint8_t *page, const A64Cpu *cpu, const A64El1Regs *el1)
{
    put_exit(page, RMI_EXIT_CNTP_CTL, timer_ctl(cpu, el1->cntp_ctl, el1->cntp_cval));
    put_exit(page, RMI_EXIT_CNTP_CVAL, el1->cntp_cval);
    put_exit(page, RMI_EXIT_CNTV_CTL, timer_ctl(cpu, el1->cntv_ctl, el1->cntv_cval));
    put_exit(page, RMI_EXIT_CNTV_CVAL, el1->cntv_cval);
}

/* RmiPmuOverflowStatus. */
static void put_pmu(Rmm *rmm, uint8_t *page, const Rec *rec)
{
    put_exit(page, RMI_EXIT_PMU_OVF_STATUS, a64_pmu_requests(&rec->el1, mdcr_of(realm_at(rmm, rec->rd))));
}

static void put_news(uint8_t *page, const RecExit *e)
{
    put_exit(page, RMI_EXIT_REASON, e->reason);
    put_exit(page, RMI_EXIT_ESR, e->esr);
    put_exit(page, RMI_EXIT_FAR, e->far);
    put_exit(page, RMI_EXIT_HPFAR, e->hpfar);
    for (unsigned i = 0; i < e->n_gprs; i++) {
        put_exit(page, RMI_EXIT_GPRS + 8 * i, e->gprs[i]);
    }
    put_exit(page, RMI_EXIT_RIPAS_BASE, e->ripas_base);
    put_exit(page, RMI_EXIT_RIPAS_TOP, e->ripas_top);
    put_exit(page, RMI_EXIT_RIPAS_VALUE, e->ripas);
    put_exit(page, RMI_EXIT_IMM, e->imm);
}

static void put_device_field(uint8_t *page, unsigned offset, uint64_t value)
{
    if (offset != 0) {
        put_exit(page, offset, value);
    }
}

/* What is about devices has its place by the dialect; 0: it has none. */
static void put_device_news(const RmmDialect *d, uint8_t *page, const RecExit *e)
{
    put_device_field(page, d->exit_vdev_id, e->vdev_id);
    put_device_field(page, d->exit_vdev, e->vdev);
    put_device_field(page, d->exit_vdev_action, e->vdev_action);
    put_device_field(page, d->exit_dev_mem_base, e->dev_mem_base);
    put_device_field(page, d->exit_dev_mem_top, e->dev_mem_top);
    put_device_field(page, d->exit_dev_mem_pa, e->dev_mem_pa);
}

/* The exit block, in the host's page. A page that the host has given away meanwhile: ERROR_INPUT. */
static uint64_t write_exit(Rmm *rmm, const RmmCpu *c, const Rec *rec, const GicExit *gic)
{
    uint8_t *page = ns_map(rmm, c->run);

    if (page == NULL) {
        return RMI_ERROR_INPUT;
    }
    page += RMI_EXIT;
    clear(page, RMM_GRANULE_SIZE - RMI_EXIT);
    put_news(page, &c->exit);
    put_device_news(rmm->dialect, page, &c->exit);
    put_gic(page, c, gic);
    put_timers(page, c->cpu, &rec->el1);
    put_pmu(rmm, page, rec);
    memory_dirty(rmm->memory, c->run + RMI_EXIT, RMM_GRANULE_SIZE - RMI_EXIT);
    return RMI_SUCCESS;
}

void rec_tell(Rmm *rmm, const RmmCpu *c, const char *what)
{
    const EventField fields[] = {
        { .name = "esr", .number = c->exit.esr },
        { .name = "far", .number = c->exit.far },
        { .name = "hpfar", .number = c->exit.hpfar },
        { .name = "imm", .number = c->exit.imm },
        { .name = "ripas_base", .number = c->exit.ripas_base },
        { .name = "ripas_top", .number = c->exit.ripas_top },
    };
    unsigned wanted = c->exit.reason == RMI_EXIT_SYNC           ? 7
                      : c->exit.reason == RMI_EXIT_HOST_CALL    ? 8
                      : c->exit.reason == RMI_EXIT_RIPAS_CHANGE ? 0x30
                                                                : 0;
    EventField told[ARRAY_LEN(fields)];
    unsigned   n = 0;

    for (unsigned i = 0; i < ARRAY_LEN(fields); i++) {
        if (wanted >> i & 1) {
            told[n++] = fields[i];
        }
    }
    event_tell(&(Event){ .kind = EVENT_REC, .name = what, .number = c->rec, .fields = told, .n_fields = n,
                         .realm = realm_at(rmm, rec_at(rmm, c->rec)->rd)->vmid });
}

static void log_exit(Rmm *rmm, const RmmCpu *c)
{
    const char *name = c->exit.reason < RMI_N_EXITS ? rmm->dialect->exits[c->exit.reason] : NULL;

    if (event_on(EVENT_REC)) {
        rec_tell(rmm, c, name == NULL ? "?" : name);
    }
    LOG(RMI, "REC 0x%" PRIx64 " exits: %s esr 0x%" PRIx64 " hpfar 0x%" PRIx64, c->rec,
        name == NULL ? "?" : name, c->exit.esr, c->exit.hpfar);
}

/* The state of the interface goes to the REC. */
static void save_gic(A64Cpu *cpu, Rec *rec, GicExit *g)
{
    if (cpu->gic == NULL) {
        *g = (GicExit){ .state.lrs_clear = true };
    } else {
        gic_cpu_virt_get(cpu->gic, &g->state);
        g->misr = gic_cpu_misr(cpu->gic);
    }
    rec->vmcr = g->state.vmcr;
    memcpy(rec->ap0r, g->state.ap0r, sizeof(rec->ap0r));
    memcpy(rec->ap1r, g->state.ap1r, sizeof(rec->ap1r));
}

void rec_leave(Rmm *rmm, RmmCpu *c)
{
    Rec    *rec = rec_at(rmm, c->rec);
    GicExit gic;

    save_rec(c, rec);
    save_gic(c->cpu, rec, &gic);
    rec->running = false;
    uint64_t status = write_exit(rmm, c, rec, &gic);
    log_exit(rmm, c);
    load_host(c);
    c->cpu->x[0] = status;
    c->rec = c->run = 0;
}

/* ---- entry ---- */

/* IHI 0069, "ICH_LR<n>_EL2"; DEN0137 "RmiRecEnter": neither hardware interrupt nor reserved bits, no INTID twice. */
static bool lr_valid(uint64_t lr)
{
    uint64_t vintid = extract64(lr, 0, 32);
    uint64_t pintid = extract64(lr, 32, 13);

    if ((lr & ICH_LR_STATE) == 0) {
        return true;
    }
    return !(lr & ICH_LR_HW) && (pintid & ~(ICH_LR_EOI >> 32)) == 0 && extract64(lr, 45, 3) == 0 &&
           extract64(lr, 48, 3) == 0 && extract64(lr, 56, 4) == 0 &&
           (vintid < 1020 || (vintid >= GIC_FIRST_LPI && vintid <= 0xffff));
}

static bool lrs_valid(const uint64_t *lrs)
{
    for (unsigned i = 0; i < GIC_N_LRS; i++) {
        if (!lr_valid(lrs[i])) {
            return false;
        }
        for (unsigned j = 0; j < i && (lrs[i] & ICH_LR_STATE) != 0; j++) {
            if ((lrs[j] & ICH_LR_STATE) != 0 && (uint32_t)lrs[j] == (uint32_t)lrs[i]) {
                return false;
            }
        }
    }
    return true;
}

static bool lrs_are_clear(const uint8_t *lrs)
{
    uint64_t any = 0;

    for (unsigned i = 0; i < GIC_N_LRS; i++) {
        any |= le64_get(lrs + 8 * i);
    }
    return any == 0;
}

/* What the host gives of the virtual CPU interface: gicv3_hcr, gicv3_lrs. False: it must not. */
static bool read_gic(const uint8_t *enter, GicVirtState *s)
{
    const uint8_t *lrs = enter + RMI_ENTER_GICV3_LRS;

    s->hcr = le64_get(enter + RMI_ENTER_GICV3_HCR);
    s->lrs_clear = lrs_are_clear(lrs);
    for (unsigned i = 0; !s->lrs_clear && i < GIC_N_LRS; i++) {
        s->lrs[i] = le64_get(lrs + 8 * i);
    }
    return (s->hcr & ~GIC_HOST_HCR) == 0 && (s->lrs_clear || lrs_valid(s->lrs));
}

/* The Realm's IPA_STATE_SET ends: how far it got, and whether the host refused. */
static void finish_ripas(Rec *rec, uint64_t flags)
{
    bool refused = rec->ripas.ripas == RIPAS_RAM && rec->ripas.base != rec->ripas.top &&
                   (flags & RMI_ENTER_RIPAS_REJECT);

    rec->x[0] = RSI_SUCCESS;
    rec->x[1] = rec->ripas.base;
    rec->x[2] = refused ? RSI_REJECT : RSI_ACCEPT;
}

/* The Realm's HOST_CALL ends: the registers go to its page. REC_EXITS: the page is not there any more. */
static RecResume finish_host_call(Rmm *rmm, RmmCpu *c, const Realm *realm, Rec *rec, const uint8_t *enter)
{
    uint8_t *bytes;

    switch (realm_map(rmm, c, realm, rec->host_call, &bytes)) {
    case REALM_MAP_FAULT:
        return REC_EXITS;
    case REALM_MAP_EMPTY: /* another REC gave the page up: nobody is there to be answered */
        rec->x[0] = RSI_ERROR_INPUT;
        return REC_RUNS;
    case REALM_MAPPED:
        break;
    }
    memcpy(bytes + RSI_HOST_CALL_GPRS, enter + RMI_ENTER_GPRS, 31 * 8);
    realm_written(rmm, realm, rec->host_call, RSI_HOST_CALL_SIZE);
    rec->x[0] = RSI_SUCCESS;
    return REC_RUNS;
}

/* What waited for the host is finished; REC_EXITS: it is not, and the REC does not run. */
static RecResume finish_pending(Rmm *rmm, RmmCpu *c, Realm *realm, Rec *rec, const uint8_t *enter, bool emulated,
                                uint64_t flags)
{
    RecPending pending = rec->pending;
    RecResume  go = REC_RUNS;

    switch (pending) {
    case REC_RIPAS:
        finish_ripas(rec, flags);
        break;
    case REC_HOST_CALL:
        go = finish_host_call(rmm, c, realm, rec, enter);
        break;
    case REC_SYSREG_READ:
        if (rec->sysreg_rt != 31) {
            rec->x[rec->sysreg_rt] = le64_get(enter + RMI_ENTER_GPRS);
        }
        break;
    case REC_DATA_ABORT:
        if (emulated) {
            rec_complete_mmio(rec, le64_get(enter + RMI_ENTER_GPRS));
        }
        break;
    case REC_NOTHING:
    case REC_PSCI: /* refused before */
        break;
    default:
        rec->pending = REC_NOTHING;
        return rmm->resume[pending]->fn(rmm, c, realm, rec, flags);
    }
    if (go == REC_RUNS) {
        rec->pending = REC_NOTHING;
    }
    return go;
}

/* RMI_REC_ENTER. x1: REC, x2: NS page of RmiRecRun. Runs, and completes at the exit of the REC. */
RMI(REC_ENTER, .in = 2, .out = 0)
{
    const uint8_t *enter; /* nobody writes there while this command runs */
    GicVirtState   gic;
    RmmCpu        *c = in->cpu;

    REQUIRE_NS_PAGE(in->x[2], enter, "run");
    REQUIRE_GRANULE_AS(in->x[1], GRANULE_REC, "rec", "rec_gran_state");
    Rec   *rec = rec_at(rmm, in->x[1]);
    Realm *realm = realm_at(rmm, rec->rd);
    uint64_t flags = le64_get(enter + RMI_ENTER_FLAGS);
    bool     aborted = rec->pending == REC_DATA_ABORT;
    bool     inject_sea = flags & RMI_ENTER_INJECT_SEA;
    /* With INJECT_SEA it does not matter what EMUL_MMIO is: "REC entry following REC exit due to Data Abort". */
    bool     emulated = (flags & RMI_ENTER_EMUL_MMIO) && !inject_sea;
    REQUIRE_AT(realm->state != REALM_NEW, RMI_ERROR_REALM, 0, "realm_new");
    REQUIRE_AT(realm->state != REALM_SYSTEM_OFF, RMI_ERROR_REALM, 1, "system_off");
    REQUIRE(!rec->running, RMI_ERROR_REC, "rec_state");
    REQUIRE(rec->runnable, RMI_ERROR_REC, "rec_runnable");
    /* The text only says what INJECT_SEA does after such an abort; without one, other RMMs refuse it, too. */
    REQUIRE_OURS(!inject_sea || aborted, RMI_ERROR_REC, "rec_inject_sea");
    REQUIRE(!emulated || (aborted && (rec->abort.esr & ESR_ISV)), RMI_ERROR_REC, "rec_mmio");
    REQUIRE(read_gic(enter, &gic), RMI_ERROR_REC, "rec_gicv3");
    REQUIRE(rec->pending != REC_PSCI, RMI_ERROR_REC, "rec_psci");

    c->rec = in->x[1];
    c->run = in->x[2];
    rec_no_news(c);
    c->host_mask = gic.hcr;
    RecResume go = finish_pending(rmm, c, realm, rec, enter, emulated, flags);
    uint64_t  hcr =
        HCR_REALM | (flags & RMI_ENTER_TRAP_WFI ? HCR_TWI : 0) | (flags & RMI_ENTER_TRAP_WFE ? HCR_TWE : 0);
    rec->running = true;
    save_host(c);
    load_el2(c->cpu, realm, rec, hcr);
    load_gic(c->cpu, rec, &gic);
    load_rec(c, rec);
    if (inject_sea) {
        rec_inject_sea(c->cpu, rec->abort.esr, rec->abort.far);
    }
    if (go == REC_RUNS && rec_timers_changed(c->cpu)) { /* since the last exit: the host hears of it first */
        c->exit.reason = RMI_EXIT_IRQ;
        go = REC_EXITS;
    }
    if (go == REC_EXITS) {
        rec_leave(rmm, c);
        return c->cpu->x[0];
    }
    out->runs = true;
    return RMI_SUCCESS;
}
