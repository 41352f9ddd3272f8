/*
 * The cca machine: puts CPUs, interrupt controller, SMMU, PCI Express and the small devices at their places, and
 * starts either a kernel at NS-EL2 (boot=host) or the built-in host, which starts it in a Realm (boot=realm).
 */
#include "board/cca.h"

#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "blockdev.h"
#include "board/cca_firmware.h"
#include "board/payload.h"
#include "bytes.h"
#include "chardev.h"
#include "fsdev.h"
#include "host/host.h"
#include "hw/fw_cfg.h"
#include "hw/gicv3.h"
#include "hw/gwdt.h"
#include "hw/memtimer.h"
#include "hw/pci/pci.h"
#include "hw/pci/root_port.h"
#include "hw/pl011.h"
#include "hw/pl031.h"
#include "hw/pl061.h"
#include "hw/pci/hotplug.h"
#include "hw/pvpanic.h"
#include "hw/ramfb.h"
#include "hw/sp805.h"
#include "hw/vexpress.h"
#include "iommu/smmuv3.h"
#include "loader.h"
#include "log.h"
#include "netdev.h"
#include "result.h"
#include "rmm/rmm.h"

/* What the machine has on top of the guest's memory with boot=realm: the host's working memory (tables, RECs, shared
 * buffers). The tables of a Realm take 1/512 of its size. */
#define HOST_MEMORY        (64ull << 20)
#define CONSOLE_LINE_MAX   4096
#define POWER_PRESS_NS     100000000 /* how long the power button is held: a finger */

/* Watches what the first serial port prints (-expect, -fail-on). */
typedef struct Watch {
    Machine *machine;
    char    *expect;
    GRegex  *fail_on;
    GString *line; /* the current line, or the tail that could still begin the expected text */
    bool     seen;
} Watch;

struct Cca {
    Machine       *machine;
    const Options *options;
    const CcaBoard *board;
    CcaLasting    *lasting;
    Memory        *memory;
    Clock         *clock;
    unsigned       n_cpus;
    A64Cpu       **cpus;
    Entropy       *cpu_entropy;
    MemRegion     *bank[CCA_MAX_RAM];
    CcaSpan        ram[CCA_MAX_RAM]; /* Non-secure at first: the guest's, or the host's with the guest's in it */
    uint64_t       rmm_memory;
    Gic           *gic;
    Smmu          *smmu;
    PciHost       *pci;
    RmmDialectId   dialect;
    Rmm           *rmm;
    Monitor       *monitor;
    Host          *host;
    Device        *fw_cfg;
    Device        *gpio;        /* NULL: the board has none */
    Device        *sysbus[16];  /* of the board, and one that sits on its fw_cfg */
    unsigned       n_sysbus;
    Pflash        *flash[CCA_MAX_FLASH];
    Chardev       *serial[CCA_MAX_UARTS];
    GPtrArray     *payloads;    /* of Payload, in the order of -device loader */
    GPtrArray     *drives;      /* of Blockdev, in the order of -drive */
    GHashTable    *unnamed;     /* class name: how many devices of it without id= */
    Watch          watch;
};

A64Cpu **cca_cpus(Cca *c) { return c->cpus; }
unsigned cca_n_cpus(const Cca *c) { return c->n_cpus; }
struct Rmm *cca_rmm(const Cca *c) { return c->rmm; }
struct PciHost *cca_pci(const Cca *c) { return c->pci; }
struct PciHost *cca_realm_pci(const Cca *c) { return c->host != NULL ? host_emulated_pci(c->host) : NULL; }
struct Gic *cca_gic(const Cca *c) { return c->gic; }
struct Smmu *cca_smmu(const Cca *c) { return c->smmu; }

bool cca_powerdown(void *cca, GError **error)
{
    Cca    *c = cca;
    Device *gpio = c->host != NULL ? host_gpio(c->host) : c->gpio;

    if (gpio == NULL) {
        g_set_error(error, BAILEY_ERROR, 1, "this board has no power button; shut down from within the guest, or quit");
        return false;
    }
    pl061_pulse(gpio, CCA_POWER_PIN, POWER_PRESS_NS);
    machine_wake(c->machine);
    return true;
}

_Static_assert((int)OPTIONS_PMU_MAX == (int)A64_N_COUNTERS, "a Realm may have all counters of the CPU");

/* ---- the console is watched ---- */

static void watch_line_end(Watch *w)
{
    if (w->fail_on != NULL && g_regex_match(w->fail_on, w->line->str, 0, NULL)) {
        machine_stop(w->machine, EXIT_FAIL_ON, "a console line matched -fail-on");
    }
    g_string_truncate(w->line, 0);
}

static void watch_output(void *opaque, const uint8_t *data, size_t len)
{
    Watch *w = opaque;

    for (size_t i = 0; i < len; i++) {
        if (data[i] == '\n' || w->line->len >= CONSOLE_LINE_MAX) {
            watch_line_end(w);
        } else if (data[i] != '\r' && data[i] != '\0') {
            g_string_append_c(w->line, (char)data[i]);
        }
        if (w->expect != NULL && !w->seen && g_str_has_suffix(w->line->str, w->expect)) {
            w->seen = true;
            machine_stop(w->machine, EXIT_GUEST_OFF, "expected text seen");
        }
    }
}

static void watch_start(Cca *c)
{
    Watch *w = &c->watch;

    w->machine = c->machine;
    w->expect = g_strdup(c->options->expect);
    w->fail_on = c->options->fail_on != NULL ? g_regex_new(c->options->fail_on, G_REGEX_RAW, 0, NULL) : NULL;
    w->line = g_string_new(NULL);
    chardev_add_observer(c->serial[0], watch_output, w);
}

/* The guest went off by itself: success, unless some text was still expected. */
static void guest_off(void *opaque, bool reset)
{
    Cca *c = opaque;
    bool missing = c->watch.expect != NULL && !c->watch.seen;

    if (reset && !c->options->no_reboot) {
        machine_stop(c->machine, EXIT_RESTART, "guest reset");
        return;
    }

    machine_stop(c->machine, missing ? EXIT_NO_EXPECT : EXIT_GUEST_OFF, reset ? "guest reset" : "guest power-off");
}

static void on_monitor_event(void *opaque, MonitorEvent ev)
{
    guest_off(opaque, ev == MONITOR_SYSTEM_RESET);
}

static void host_ended(void *opaque, HostEnd how)
{
    Cca *c = opaque;

    if (how == HOST_END_PANIC) {
        machine_stop(c->machine, EXIT_PANIC, "guest panic");
    } else {
        guest_off(c, how == HOST_END_RESET);
    }
}

static void on_panic(void *opaque, unsigned bits)
{
    Cca *c = opaque;

    if (!(bits & (PVPANIC_PANICKED | PVPANIC_CRASH_LOADED))) {
        return;
    }
    if (c->host != NULL) {
        host_end(c->host, HOST_END_PANIC);
    } else {
        machine_stop(c->machine, EXIT_PANIC, "guest panic");
    }
}

/* ---- parts ---- */

static bool cpu_is_off(const Cpu *cpu)
{
    return ((const A64Cpu *)cpu)->off;
}

/* How the Non-secure memory lies in the board's banks. */
static bool fill_banks(Cca *c, GError **error)
{
    uint64_t guest = c->options->ram_size;
    bool     realm = c->options->boot == BOOT_REALM;
    uint64_t all = realm ? align_up(guest + guest / 256 + HOST_MEMORY, 2ull << 20) : guest;

    if (!cca_fill_ram(c->board, all, c->ram) || (realm && c->ram[1].size != 0)) {
        g_set_error(error, BAILEY_ERROR, 1,
                    "the %s board has no room for %" PRIu64 " MiB of memory%s; ask for less with -m", c->board->name,
                    all >> 20, realm ? " (the Realm's and the built-in host's) in one piece" : "");
        return false;
    }
    return true;
}

/* Memory that firmware keeps for itself; the Normal world is not told of it. */
static bool add_kept_memory(Cca *c, GError **error)
{
    for (unsigned i = 0; i < CCA_MAX_KEPT && c->board->kept[i].at.size != 0; i++) {
        const CcaKept *k = &c->board->kept[i];

        if (memory_add_ram(c->memory, "firmware", k->at.base, k->at.size, error) == NULL) {
            return false;
        }
        owners_set(memory_owners(c->memory), k->at.base, k->at.size, k->owner);
    }
    owners_set(memory_owners(c->memory), c->rmm_memory, CCA_RMM_SIZE, OWNER_REALM);
    return true;
}

static bool add_memory(Cca *c, GError **error)
{
    bool follows = c->board->rmm == 0; /* the RMM's memory, on that of the first bank */

    if (!fill_banks(c, error)) {
        return false;
    }
    c->rmm_memory = follows ? c->ram[0].base + c->ram[0].size : c->board->rmm;
    for (unsigned i = 0; i < CCA_MAX_RAM && c->ram[i].size != 0; i++) {
        uint64_t size = c->ram[i].size + (i == 0 && follows ? CCA_RMM_SIZE : 0);

        uint8_t *kept = g_steal_pointer(&c->lasting->ram[i]);

        c->bank[i] = kept != NULL ? memory_give_ram(c->memory, "ram", c->ram[i].base, size, kept)
                                  : memory_add_ram(c->memory, "ram", c->ram[i].base, size, error);
        if (c->bank[i] == NULL) {
            return false;
        }
    }
    return add_kept_memory(c, error);
}

static void add_cpus(Cca *c)
{
    c->n_cpus = c->options->smp;
    c->cpus = g_new0(A64Cpu *, c->n_cpus);
    c->cpu_entropy = g_new0(Entropy, c->n_cpus);
    for (unsigned i = 0; i < c->n_cpus; i++) {
        char party[16];

        g_snprintf(party, sizeof(party), "cpu%u", i);
        entropy_init(&c->cpu_entropy[i], c->options->seed, party);
        c->cpus[i] = a64_cpu_new(machine_engine(c->machine), c->memory, c->clock, i, cca_mpidr(c->board, i),
                                 &c->cpu_entropy[i]);
        machine_add_cpu(c->machine, &c->cpus[i]->cpu, cpu_is_off);
    }
}

static void add_gic(Cca *c)
{
    static const uint8_t timer_ppi[A64_N_TIMERS] = {
        [A64_TIMER_PHYS] = CCA_PPI_PHYS_TIMER, [A64_TIMER_VIRT] = CCA_PPI_VIRT_TIMER,
        [A64_TIMER_HYP] = CCA_PPI_HYP_TIMER,   [A64_TIMER_HYP_VIRT] = CCA_PPI_HVIRT_TIMER,
        [A64_TIMER_SEC] = CCA_PPI_SEC_TIMER,
    };
    g_autofree uint64_t *mpidr = g_new(uint64_t, c->n_cpus);
    GicConfig            cfg = { .n_cpus = c->n_cpus, .n_spis = CCA_N_SPIS, .mpidr = mpidr, .has_its = true,
                                 .memory = c->memory, .pas = PAS_NONSECURE };

    for (unsigned i = 0; i < c->n_cpus; i++) {
        mpidr[i] = cca_mpidr(c->board, i);
    }
    c->gic = gicv3_new(&cfg);
    memory_add_mmio(c->memory, "gicd", c->board->gicd.base, c->board->gicd.size, &gicv3_dist_ops, c->gic);
    memory_add_mmio(c->memory, "gicr", c->board->gicr, CCA_GICR_STRIDE * c->n_cpus, &gicv3_redist_ops, c->gic);
    memory_add_mmio(c->memory, "its", c->board->its.base, c->board->its.size, &gicv3_its_ops, c->gic);
    for (unsigned i = 0; i < c->n_cpus; i++) {
        gicv3_connect(c->gic, i, c->cpus[i]);
        for (unsigned t = 0; t < A64_N_TIMERS; t++) {
            if (timer_ppi[t] != 0) {
                c->cpus[i]->timer_irq[t].set = gicv3_ppi_input;
                c->cpus[i]->timer_irq[t].opaque = gicv3_cpu(c->gic, i);
                c->cpus[i]->timer_irq[t].n = timer_ppi[t];
            }
        }
        c->cpus[i]->pmu.irq.set = gicv3_ppi_input;
        c->cpus[i]->pmu.irq.opaque = gicv3_cpu(c->gic, i);
        c->cpus[i]->pmu.irq.n = CCA_PPI_PMU;
    }
}

static IrqLine spi_line(Cca *c, unsigned spi)
{
    return (IrqLine){ .set = gicv3_spi_input, .opaque = c->gic, .n = 32 + spi };
}

static void add_smmu(Cca *c)
{
    const CcaBoard *b = c->board;
    SmmuConfig      cfg = { .memory = c->memory, .sid_bits = 16, .realm_offset = b->smmu_realm - b->smmu.base };

    for (unsigned i = 0; i < SMMU_N_IRQS; i++) {
        cfg.irq[i] = spi_line(c, b->spi_smmu[i]);
    }
    c->smmu = smmu_new(&cfg);
    memory_add_mmio(c->memory, "smmu", b->smmu.base, b->smmu.size, &smmu_ns_ops, c->smmu);
    memory_add_mmio(c->memory, "smmu-realm", b->smmu_realm, b->smmu.size, &smmu_realm_ops, c->smmu);
    memory_add_mmio(c->memory, "smmu-root", b->smmu_root, 0x10000, &smmu_root_ops, c->smmu);
    owners_set(memory_owners(c->memory), b->smmu_realm, b->smmu.size, OWNER_REALM);
    owners_set(memory_owners(c->memory), b->smmu_root, 0x10000, OWNER_ROOT);
}

static void add_pci(Cca *c)
{
    PciHostConfig cfg = {
        .name = "pcie.0",
        .up = { .memory = c->memory, .dma_memory = c->memory, .translate = smmu_translate, .opaque = c->smmu },
        .last_bus = (uint8_t)((c->board->ecam.size >> 20) - 1),
        .ecam_base = c->board->ecam.base,
        .mem32 = { c->board->pci_mmio.base, c->board->pci_mmio.size },
        .mem64 = { c->board->pci_high.base, c->board->pci_high.size },
        .io = { c->board->pci_io.base, c->board->pci_io.size },
    };

    for (unsigned i = 0; i < 4; i++) {
        cfg.up.intx[i] = spi_line(c, c->board->spi_pci + i);
    }
    c->pci = pci_host_new(&cfg);
}

/* A device of the board itself at @base. */
static Device *add_sysbus(Cca *c, const char *cls, const char *id, uint64_t base)
{
    Device *dev = device_new(device_class_find(cls), id, c->clock, c->options->seed);

    (void)device_realize(dev, NULL); /* the board's own devices have nothing that can fail */
    c->sysbus[c->n_sysbus++] = dev;
    memory_add_mmio(c->memory, dev->id, base, align_up(dev->cls->mmio_size, 0x1000), &device_mmio_ops, dev);
    return dev;
}

static unsigned n_uarts(const Cca *c)
{
    unsigned n = 0;

    while (n < CCA_MAX_UARTS && c->board->uart[n].base != 0) {
        n++;
    }
    return n;
}

/* Those that firmware and kernels are told of. EDK2 takes the last one as its own, so that it hears of a second only
 * when -serial says that there is somebody at it. */
static unsigned told_uarts(const Cca *c)
{
    return c->options->firmware ? MAX(c->options->serials->len, 1) : n_uarts(c);
}

static bool add_serials(Cca *c, GError **error)
{
    const GPtrArray *given = c->options->serials;

    if (given->len > n_uarts(c)) {
        g_set_error(error, BAILEY_ERROR, 1,
                    "-serial: '%s' is one too many, the %s board has %u serial ports; leave it out",
                    (char *)given->pdata[n_uarts(c)], c->board->name, n_uarts(c));
        return false;
    }
    for (unsigned i = 0; i < n_uarts(c); i++) {
        bool        terminal = i == 0 && !c->options->no_defaults;
        const char *spec = i < given->len ? given->pdata[i] : terminal ? "stdio" : "null";

        c->serial[i] = chardev_new(spec, true, error);
        if (c->serial[i] == NULL) {
            g_prefix_error(error, "-serial: ");
            return false;
        }
    }
    watch_start(c);
    return true;
}

/* The date at power on of this life of the machine: a reset does not set clocks back. */
static int64_t date_s(const Cca *c) { return c->options->rtc_base_s + c->lasting->on_ns / 1000000000; }

static void add_small_devices(Cca *c)
{
    for (unsigned i = 0; i < n_uarts(c); i++) {
        char    id[] = { 'u', 'a', 'r', 't', (char)('0' + i), '\0' };
        Device *uart = add_sysbus(c, "pl011", id, c->board->uart[i].base);

        /* A Realm's ports are emulated by the built-in host, and those of the machine are its own. */
        pl011_connect(uart, spi_line(c, c->board->uart[i].spi),
                      c->options->boot == BOOT_HOST ? c->serial[i] : NULL);
    }
    Device *rtc = add_sysbus(c, "pl031", "rtc", c->board->rtc.base);
    pl031_connect(rtc, spi_line(c, c->board->rtc.spi), date_s(c));
    if (c->board->gpio.base != 0) {
        c->gpio = add_sysbus(c, "pl061", "gpio", c->board->gpio.base);
        pl061_connect(c->gpio, spi_line(c, c->board->gpio.spi));
    }
}

/* ---- what only some boards have ---- */

static void on_watchdog(void *opaque) { guest_off(opaque, true); }
static void on_motherboard(void *opaque, bool reset) { guest_off(opaque, reset); }

static bool cpu_exists(void *opaque, uint32_t mpidr, bool *is_on)
{
    Cca *c = opaque;

    for (unsigned i = 0; i < c->n_cpus; i++) {
        if ((c->cpus[i]->mpidr & 0xffffff) == mpidr) {
            *is_on = !c->cpus[i]->off;
            return true;
        }
    }
    return false;
}

static bool add_flash(Cca *c, bool *bad_option, GError **error)
{
    const CcaBoard *b = c->board;
    Blockdev       *drive[CCA_MAX_FLASH] = { NULL };

    if (!cca_flash_drives(c->options, c->drives, drive, error)) {
        *bad_option = true;
        return false;
    }
    if (c->options->bios != NULL && !c->lasting->again && !cca_flash_bios(c->lasting->flash[0], c->options, error)) {
        return false;
    }
    for (unsigned i = 0; i < CCA_MAX_FLASH && b->flash[i].size != 0; i++) {
        PflashConfig cfg = { .name = i == 0 ? "flash0" : "flash1", .memory = c->memory, .base = b->flash[i].base,
                             .block_size = b->flash_block, .cells = c->lasting->flash[i], .drive = drive[i] };

        c->flash[i] = pflash_new(&cfg, error);
        if (c->flash[i] == NULL) {
            return false;
        }
    }
    return true;
}

static void add_watchdogs(Cca *c)
{
    const CcaBoard *b = c->board;

    if (b->sp805.base != 0) {
        Device *dev = add_sysbus(c, "sp805", "watchdog", b->sp805.base);

        sp805_connect(dev, spi_line(c, b->sp805.spi), on_watchdog, c);
    }
    if (b->gwdt.base != 0) {
        Device *dev = add_sysbus(c, "gwdt", "generic-watchdog", b->gwdt.base);

        gwdt_connect(dev, A64_TICK_NS, spi_line(c, b->gwdt.spi), on_watchdog, c);
        memory_add_mmio(c->memory, "generic-watchdog-refresh", b->gwdt_refresh, 0x1000, &gwdt_refresh_ops, dev);
    }
}

static void add_system_timers(Cca *c)
{
    const CcaBoard *b = c->board;

    if (b->memtimer == 0) {
        return;
    }
    syscount_connect(add_sysbus(c, "cntcontrol", "cntcontrol", b->cntcontrol), A64_TICK_NS, A64_COUNTER_HZ);
    syscount_connect(add_sysbus(c, "cntread", "cntread", b->cntread), A64_TICK_NS, A64_COUNTER_HZ);
    owners_set(memory_owners(c->memory), b->cntcontrol, 0x1000, OWNER_SECURE);
    Device *timer = add_sysbus(c, "memtimer", "memtimer", b->memtimer);
    memtimer_connect(timer, A64_TICK_NS, A64_COUNTER_HZ, b->memtimer_number, spi_line(c, b->memtimer_frame.spi));
    memory_add_mmio(c->memory, "memtimer-frame", b->memtimer_frame.base, 0x1000, &memtimer_frame_ops, timer);
}

static void add_motherboard(Cca *c)
{
    const CcaBoard *b = c->board;

    if (b->ve_sysregs != 0) {
        ve_sysregs_connect(add_sysbus(c, "ve-sysregs", "sysregs", b->ve_sysregs), b->ve_id, on_motherboard, c);
    }
    if (b->pwrc != 0) {
        fvp_pwrc_connect(add_sysbus(c, "fvp-pwrc", "pwrc", b->pwrc), cpu_exists, c);
    }
}

/* What firmware above the monitor reads instead of a device tree. */
static void add_fw_cfg(Cca *c)
{
    if (c->board->fw_cfg == 0) {
        return;
    }
    Device *dev = add_sysbus(c, "fw_cfg", "fw-cfg", c->board->fw_cfg);

    c->fw_cfg = dev;
    fw_cfg_connect(dev, c->memory);
    fw_cfg_add_u64(dev, FW_CFG_RAM_SIZE, c->options->ram_size);
    fw_cfg_add_u16(dev, FW_CFG_NB_CPUS, (uint16_t)c->n_cpus);
    fw_cfg_add_u16(dev, FW_CFG_MAX_CPUS, (uint16_t)c->n_cpus);
    fw_cfg_add_u16(dev, FW_CFG_NOGRAPHIC, c->options->nographic);
}

/* ---- firmware model ---- */

static bool ide_root(Cca *c, uint32_t root, unsigned stream, IdeCap **ide, unsigned *sel)
{
    PciDevice *pd = pci_host_find(c->pci, (uint16_t)root);
    int        block;

    *ide = pd != NULL ? root_port_ide(pd) : NULL;
    if (*ide == NULL || (block = ide_find_keyed(*ide, (uint8_t)stream)) < 0) {
        return false;
    }
    *sel = (unsigned)block;
    return true;
}

static bool platform_key_program(void *opaque, uint32_t root, unsigned stream, unsigned key_set, bool tx,
                                 unsigned substream, const uint8_t key[32], uint64_t iv)
{
    IdeCap  *ide;
    unsigned sel;
    uint8_t  iv_bytes[IDE_IV_LEN];

    le64_put(iv_bytes, iv);
    return ide_root(opaque, root, stream, &ide, &sel) &&
           ide_key_prog(ide, sel, key_set, tx ? IDE_TX : IDE_RX, substream, key, iv_bytes);
}

static bool platform_key_go(void *opaque, uint32_t root, unsigned stream, unsigned key_set, bool tx,
                            unsigned substream)
{
    IdeCap  *ide;
    unsigned sel;

    return ide_root(opaque, root, stream, &ide, &sel) &&
           ide_key_go(ide, sel, key_set, tx ? IDE_TX : IDE_RX, substream);
}

static bool platform_key_stop(void *opaque, uint32_t root, unsigned stream, unsigned key_set, bool tx,
                              unsigned substream)
{
    IdeCap  *ide;
    unsigned sel;

    return ide_root(opaque, root, stream, &ide, &sel) &&
           ide_key_stop(ide, sel, key_set, tx ? IDE_TX : IDE_RX, substream);
}

static bool platform_tdisp_enable(void *opaque, uint32_t root, unsigned stream, bool enable)
{
    Cca       *c = opaque;
    PciDevice *pd = pci_host_find(c->pci, (uint16_t)root);
    IdeCap    *ide;
    unsigned   sel;
    uint32_t   locked = 0;

    if (!ide_root(c, root, stream, &ide, &sel)) {
        return false;
    }
    for (unsigned i = 0; i < IDE_MAX_STREAMS; i++) {
        bool lock = i == sel ? enable : root_port_stream_locked(pd, i);

        locked |= (uint32_t)lock << i;
    }
    root_port_set_tdisp(pd, locked != 0, locked);
    return true;
}

static uint32_t platform_stream_id(void *opaque, uint32_t requester)
{
    return requester; /* iommu-map of the device tree is the identity */
}

static void add_firmware(Cca *c)
{
    RmmPlatform platform = {
        .opaque = c,
        .ide_key_program = platform_key_program,
        .ide_key_go = platform_key_go,
        .ide_key_stop = platform_key_stop,
        .tdisp_enable = platform_tdisp_enable,
        .smmu_base = c->board->smmu.base,
        .smmu_realm_base = c->board->smmu_realm,
        .stream_id = platform_stream_id,
        .dev_base = { c->board->pci_mmio.base, c->board->pci_high.base },
        .dev_size = { c->board->pci_mmio.size, c->board->pci_high.size },
    };

    c->rmm = rmm_new(c->memory, c->cpus, c->n_cpus, c->rmm_memory, CCA_RMM_SIZE, &platform, c->dialect,
                     c->options->seed);
    c->monitor = monitor_new(c->rmm, c->memory, c->cpus, c->n_cpus);
    monitor_on_event(c->monitor, on_monitor_event, c);
}

/* ---- devices of the command line ---- */

static bool option_fail(bool *bad_option)
{
    *bad_option = true;
    return false;
}

/* A root port of its own for a TDISP function without bus=: it needs one for IDE. */
static bool add_root_port(Cca *c, Device *below, GError **error)
{
    static const char cls[] = "pcie-root-port";
    char             *id = g_strdup_printf("rp-%s", below->id);
    Device           *port = device_new(device_class_find(cls), id, c->clock, c->options->seed);
    bool              ok = pci_plug(pci_host_root(c->pci), port, -1, error);

    if (ok) {
        below->bus_name = id;
    } else {
        g_free(id);
    }
    return ok;
}

/* A second device of a class without id= gets a number, so that each has a name and a generator of its own. */
static char *device_text(Cca *c, const OptionList *l)
{
    unsigned n = GPOINTER_TO_UINT(g_hash_table_lookup(c->unnamed, l->driver));

    if (option_list_get(l, "id") != NULL) {
        return g_strdup(l->text);
    }
    g_hash_table_insert(c->unnamed, g_strdup(l->driver), GUINT_TO_POINTER(n + 1));
    return n == 0 ? g_strdup(l->text) : g_strdup_printf("%s,id=%s-%u", l->text, l->driver, n);
}

/* Whether a card that a Realm can trust is to sit below the port: then it is the machine's. */
static bool has_assignable_below(const Cca *c, const char *port)
{
    for (guint i = 0; i < c->options->devices->len; i++) {
        const OptionList  *l = c->options->devices->pdata[i];
        const DeviceClass *cls = device_class_find(l->driver);

        if (cls != NULL && cls->assignable != NULL && g_strcmp0(option_list_get(l, "bus"), port) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether a device of the command line is the machine's, or one that the built-in host emulates for its Realm. */
static bool is_of_machine(const Cca *c, const Device *dev, bool tdisp)
{
    return c->options->boot == BOOT_HOST || tdisp ||
           (strcmp(dev->cls->name, "pcie-root-port") == 0 &&
            (!root_port_takes_cards(dev) || has_assignable_below(c, dev->id)));
}

static bool add_device(Cca *c, const OptionList *l, GError **error)
{
    char   *text = device_text(c, l);
    Device *dev = device_from_option(text, c->clock, c->options->seed, error);

    g_free(text);
    if (dev == NULL) {
        return false;
    }
    if (strcmp(dev->cls->bus, "fw_cfg") == 0) {
        bool ok = ramfb_plug(dev, c->options->boot == BOOT_HOST ? c->fw_cfg : NULL, c->memory, error);

        if (ok) {
            c->sysbus[c->n_sysbus++] = dev; /* there is room: a second one is refused */
        }
        return ok;
    }
    bool tdisp = dev->cls->assignable != NULL && dev->cls->assignable(dev);
    if (tdisp && dev->bus_name == NULL && !add_root_port(c, dev, error)) {
        device_free(dev);
        return false;
    }
    return is_of_machine(c, dev, tdisp) ? pci_plug_option(c->pci, dev, error) : host_plug(c->host, dev, error);
}

bool cca_plug(void *cca, const char *text, GError **error)
{
    Cca    *c = cca;
    Device *dev = device_from_option(text, c->clock, c->options->seed, error);

    if (dev != NULL && c->host != NULL && dev->cls->assignable != NULL && dev->cls->assignable(dev)) {
        g_set_error(error, BAILEY_ERROR, 1, "the built-in host assigns trusted devices before its Realm starts: name "
                    "'%s' by -device, or let a kernel be the host with -M cca,boot=host", dev->id);
        device_free(dev);
        return false;
    }
    if (dev != NULL && c->host != NULL && pci_host_find_id(c->pci, dev->id) != NULL) {
        g_set_error(error, BAILEY_ERROR, 1, "the machine has a device called '%s' already; choose another id=",
                    dev->id);
        device_free(dev);
        return false;
    }
    if (dev == NULL || !pci_hotplug(c->host != NULL ? host_emulated_pci(c->host) : c->pci, dev, error)) {
        return false;
    }
    machine_wake(c->machine);
    return true;
}

/* The virtio disk that -drive if=virtio asks for. */
static bool add_virtio_disk(Cca *c, const Blockdev *b, GError **error)
{
    char       *text = g_strdup_printf("virtio-blk-pci,drive=%s", blockdev_id(b));
    OptionList *l = option_list_parse(text);
    bool        ok = add_device(c, l, error);

    option_list_free(l);
    g_free(text);
    return ok;
}

static bool add_backends(Cca *c, GError **error)
{
    const Options *o = c->options;

    for (guint i = 0; i < o->chardevs->len; i++) {
        if (chardev_new(((OptionList *)o->chardevs->pdata[i])->text, true, error) == NULL) {
            g_prefix_error(error, "-chardev: ");
            return false;
        }
    }
    for (guint i = 0; i < o->netdevs->len; i++) {
        if (netdev_new(((OptionList *)o->netdevs->pdata[i])->text, c->clock, error) == NULL) {
            return false;
        }
    }
    for (guint i = 0; i < o->fsdevs->len; i++) {
        if (fsdev_new(((OptionList *)o->fsdevs->pdata[i])->text, error) == NULL) {
            return false;
        }
    }
    for (guint i = 0; i < o->drives->len; i++) {
        Blockdev *b = blockdev_new(((OptionList *)o->drives->pdata[i])->text, error);

        if (b == NULL) {
            return false;
        }
        g_ptr_array_add(c->drives, b);
    }
    return true;
}

static bool add_devices(Cca *c, GError **error)
{
    for (guint i = 0; i < c->drives->len; i++) {
        if (strcmp(blockdev_interface(c->drives->pdata[i]), "virtio") == 0 &&
            !add_virtio_disk(c, c->drives->pdata[i], error)) {
            return false;
        }
    }
    for (guint i = 0; i < c->options->devices->len; i++) {
        const OptionList *l = c->options->devices->pdata[i];

        if (!payload_is(l) && !add_device(c, l, error)) {
            g_prefix_error(error, "-device: ");
            return false;
        }
    }
    return true;
}

/* ---- payloads of -device loader ---- */

static GBytes *host_tree(Cca *c, const BootLayout *l)
{
    const LoadPiece *initrd = &l->piece[1];
    CcaTree          t = {
                 .board = c->board,
                 .n_cpus = c->n_cpus,
                 .bootargs = c->options->append,
                 .initrd_start = initrd->bytes != NULL ? initrd->addr : 0,
                 .initrd_end = initrd->bytes != NULL ? initrd->addr + g_bytes_get_size(initrd->bytes) : 0,
                 .n_uarts = told_uarts(c),
                 .seed = c->options->seed + 1,
    };

    memcpy(t.ram, c->ram, sizeof(t.ram));
    return cca_tree_build(&t);
}

static bool read_payloads(Cca *c, bool *bad_option, GError **error)
{
    for (guint i = 0; i < c->options->devices->len; i++) {
        const OptionList *l = c->options->devices->pdata[i];
        Payload          *p = payload_is(l) ? payload_new(l, c->n_cpus, bad_option, error) : NULL;

        if (p != NULL) {
            g_ptr_array_add(c->payloads, p);
        } else if (payload_is(l)) {
            return false;
        }
    }
    return true;
}

/* Flash keeps over a reset what it has. */
static bool flash_keeps(void *opaque, uint64_t addr)
{
    const Cca *c = opaque;
    bool       in_flash = false;

    for (unsigned i = 0; i < CCA_MAX_FLASH; i++) {
        in_flash |= addr - c->board->flash[i].base < c->board->flash[i].size;
    }
    return in_flash && c->lasting->again;
}

static bool load_payloads(Cca *c, GError **error)
{
    for (guint i = 0; i < c->payloads->len; i++) {
        if (!payload_load(c->payloads->pdata[i], c->memory, flash_keeps, c, error)) {
            return false;
        }
    }
    return true;
}

/* The machine's device tree at the board's place for it: its address, or 0 when a payload is there. */
static uint64_t place_tree(Cca *c)
{
    BootLayout none = { 0 };
    GBytes    *tree = host_tree(c, &none);
    gsize      len;
    const void *data = g_bytes_get_data(tree, &len);
    uint64_t   addr = c->board->ram[0].base + c->board->tree;

    for (guint i = 0; i < c->payloads->len; i++) {
        if (payload_overlaps(c->payloads->pdata[i], addr, len)) {
            addr = 0;
        }
    }
    if (addr != 0 && !memory_load(c->memory, addr, data, len)) {
        addr = 0; /* the machine has less memory than that */
    }
    g_bytes_unref(tree);
    return addr;
}

/* What EL3 firmware leaves to a payload, and a kernel does itself: all interrupts are in Group 1, redistributors are
 * awake (the monitor sees to that). Arm IHI 0069, "GICD_IGROUPR<n>", "GICR_IGROUPR0". */
static void give_interrupts(Cca *c)
{
    enum { GICD_IGROUPR = 0x80, GICR_IGROUPR0 = 0x10080 };
    const MemAttrs attrs = { .pas = PAS_NONSECURE };

    for (unsigned n = 1; n <= CCA_N_SPIS / 32; n++) {
        gicv3_dist_ops.write(c->gic, GICD_IGROUPR + 4 * n, 4, attrs, ~0u);
    }
    for (unsigned i = 0; i < c->n_cpus; i++) {
        gicv3_redist_ops.write(c->gic, i * CCA_GICR_STRIDE + GICR_IGROUPR0, 4, attrs, ~0u);
    }
}

/* The CPUs that payloads name start; the others wait for CPU_ON. */
static bool boot_payloads(Cca *c, GError **error)
{
    if (!load_payloads(c, error)) {
        return false;
    }
    uint64_t tree = place_tree(c);

    give_interrupts(c);
    for (guint i = 0; i < c->payloads->len; i++) {
        const Payload *p = c->payloads->pdata[i];

        if (p->starts) {
            monitor_start(c->monitor, c->cpus[p->cpu], p->image.entry, p->cpu == 0 ? tree : 0);
        }
    }
    return true;
}

/* ---- boot=host: a kernel at NS-EL2 ---- */

static bool load_pieces(Cca *c, const BootLayout *l, GError **error)
{
    for (size_t i = 0; i < ARRAY_LEN(l->piece); i++) {
        const LoadPiece *p = &l->piece[i];
        gsize            len;
        const void      *data = p->bytes != NULL ? g_bytes_get_data(p->bytes, &len) : NULL;

        if (data != NULL && memory_write(c->memory, p->addr, (MemAttrs){ .pas = PAS_NONSECURE }, data, len) != MEM_OK) {
            g_set_error(error, BAILEY_ERROR, 1, "the %s does not fit into the machine's memory; raise -m",
                        p->name);
            return false;
        }
    }
    return true;
}

static bool boot_kernel(Cca *c, GError **error)
{
    const Options *o = c->options;
    GBytes        *kernel = loader_read_file(o->kernel, "-kernel", error), *initrd = NULL, *dtb = NULL;
    BootLayout     l = { 0 };
    bool           ok = kernel != NULL;

    if (ok && o->initrd != NULL) {
        initrd = loader_read_file(o->initrd, "-initrd", error);
        ok = initrd != NULL;
    }
    ok = ok && loader_place(&l, kernel, initrd, c->ram[0].base, c->ram[0].size, error);
    if (ok) {
        dtb = o->dtb != NULL ? loader_read_file(o->dtb, "-dtb", error) : host_tree(c, &l);
        ok = dtb != NULL && loader_place_dtb(&l, dtb, c->ram[0].base, c->ram[0].size, error) &&
             load_pieces(c, &l, error);
    }
    ok = ok && load_payloads(c, error);
    if (ok) {
        monitor_start(c->monitor, c->cpus[0], l.entry, l.dtb_addr);
    }
    loader_free(&l);
    g_clear_pointer(&kernel, g_bytes_unref);
    g_clear_pointer(&initrd, g_bytes_unref);
    g_clear_pointer(&dtb, g_bytes_unref);
    return ok;
}

/* Firmware: where it looks for the device tree is part of how it was built. */
static bool boot_firmware(Cca *c, GError **error)
{
    const Options *o = c->options;
    BootLayout     l = { .dtb_addr = c->ram[0].base + c->board->tree };
    GBytes        *dtb = o->dtb != NULL ? loader_read_file(o->dtb, "-dtb", error) : host_tree(c, &l);
    bool           ok = dtb != NULL && loader_place_dtb(&l, dtb, c->ram[0].base, c->ram[0].size, error) &&
              load_pieces(c, &l, error) && load_payloads(c, error) &&
              cca_firmware_items(c->fw_cfg, c->board, o, told_uarts(c), error);

    if (ok) {
        monitor_start(c->monitor, c->cpus[0], c->board->flash[0].base, l.dtb_addr);
    }
    loader_free(&l);
    g_clear_pointer(&dtb, g_bytes_unref);
    return ok;
}

/* ---- boot=realm: the built-in host ---- */

static const LoadImage *realm_payload(const Cca *c)
{
    return c->payloads->len != 0 ? &((const Payload *)c->payloads->pdata[0])->image : NULL;
}

static bool boot_builtin_host(Cca *c, GError **error)
{
    HostConfig cfg = {
        .machine = c->machine,
        .options = c->options,
        .memory = c->memory,
        .cpus = c->cpus,
        .n_cpus = c->n_cpus,
        .monitor = c->monitor,
        .gic = c->gic,
        .pci = c->pci,
        .dialect = c->dialect,
        .board = c->board,
        .ram_base = c->ram[0].base,
        .ram_size = c->ram[0].size,
        .serial = c->serial,
        .date_s = date_s(c),
        .payload = realm_payload(c),
        .ended = host_ended,
        .opaque = c,
    };

    c->host = host_new(&cfg, error);
    if (c->host == NULL) {
        return false;
    }
    machine_set_party(c->machine, host_step, c->host);
    return true;
}

/* Kernel or payload: one of them says where the guest begins. */
static bool check_start(const Cca *c, GError **error)
{
    unsigned n_starts = c->options->firmware || c->options->kernel != NULL; /* firmware starts the kernel itself */

    for (guint i = 0; i < c->payloads->len; i++) {
        const Payload *p = c->payloads->pdata[i];

        n_starts += p->starts && p->cpu == 0;
    }
    if (n_starts > 1) {
        g_set_error(error, BAILEY_ERROR, 1,
                    "-kernel, firmware and -device loader,cpu-num=0: two of them say where CPU 0 begins; leave all but "
                    "one out");
    } else if (n_starts == 0) {
        g_set_error(error, BAILEY_ERROR, 1, "no -device loader says where CPU 0 begins; give one cpu-num=0");
    } else if (c->options->boot == BOOT_REALM && c->payloads->len > 1) {
        g_set_error(error, BAILEY_ERROR, 1,
                    "-device loader: a Realm has one payload; link the parts into one ELF file, or use entry=ns-el2");
    } else if (c->options->boot == BOOT_REALM && c->payloads->len == 1 && c->options->kernel != NULL) {
        g_set_error(error, BAILEY_ERROR, 1,
                    "-kernel and -device loader in a Realm: it has one or the other; leave one out");
    } else {
        return true;
    }
    return false;
}

static bool boot(Cca *c, bool *bad_option, GError **error)
{
    if (!check_start(c, error)) {
        return option_fail(bad_option);
    }
    if (c->options->entry == ENTRY_NS_EL1) {
        monitor_without_el2(c->monitor);
    }
    return c->options->boot == BOOT_REALM ? boot_builtin_host(c, error)
           : c->options->firmware         ? boot_firmware(c, error)
           : c->options->kernel != NULL   ? boot_kernel(c, error)
                                          : boot_payloads(c, error);
}

static bool dump_tree(Cca *c, GError **error)
{
    BootLayout  none = { 0 };
    GBytes     *tree = c->options->boot == BOOT_REALM ? host_realm_tree(c->options, realm_payload(c), error)
                                                      : host_tree(c, &none);
    gsize       len;

    if (tree == NULL) {
        return false;
    }
    const char *data = g_bytes_get_data(tree, &len);
    bool        ok = g_file_set_contents(c->options->dumpdtb, data, (gssize)len, error);

    g_bytes_unref(tree);
    return ok;
}

bool cca_lasting_init(CcaLasting *l, const Options *o, GError **error)
{
    const CcaBoard *b = cca_board(o);
    bool            ok = true;

    *l = (CcaLasting){ 0 };
    for (unsigned i = 0; ok && i < CCA_MAX_FLASH && b->flash[i].size != 0; i++) {
        l->flash[i] = pflash_cells_new(b->flash[i].size, error);
        ok = l->flash[i] != NULL;
    }
    return ok;
}

void cca_lasting_free(CcaLasting *l)
{
    for (unsigned i = 0; i < CCA_MAX_FLASH; i++) {
        g_clear_pointer(&l->flash[i], pflash_cells_free);
    }
    for (unsigned i = 0; i < CCA_MAX_RAM; i++) {
        if (l->ram[i] != NULL) {
            munmap(l->ram[i], l->ram_size[i]);
        }
    }
}

/* The next life must not read what was not the Normal world's. */
static void wipe_foreign_pages(Cca *c, const MemRegion *r)
{
    enum { PAGE_SIZE = 4096 };

    for (uint64_t at = 0; at < r->size; at += PAGE_SIZE) {
        if (owners_get(memory_owners(c->memory), r->base + at) != OWNER_NONSECURE) {
            memset(r->host + at, 0, PAGE_SIZE);
        }
    }
}

void cca_reset(Cca *c)
{
    CcaLasting *l = c->lasting;

    l->again = true;
    l->on_ns += clock_now(c->clock);
    for (unsigned i = 0; i < CCA_MAX_RAM && c->board->keeps_ram && c->bank[i] != NULL; i++) {
        wipe_foreign_pages(c, c->bank[i]);
        l->ram[i] = memory_take_ram(c->memory, c->bank[i]);
        l->ram_size[i] = c->bank[i]->size;
    }
}

Cca *cca_new(Machine *m, const Options *o, CcaLasting *lasting, bool *bad_option, GError **error)
{
    Cca *c = g_new0(Cca, 1);

    c->machine = m;
    c->options = o;
    c->board = cca_board(o);
    c->lasting = lasting;
    c->memory = machine_memory(m);
    c->clock = machine_clock(m);
    c->payloads = g_ptr_array_new_with_free_func((GDestroyNotify)payload_free);
    c->drives = g_ptr_array_new();
    c->unnamed = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    HostFaults faults;
    bool     ok = ((host_faults_parse(o->host_fault, &faults, error) &&
                rmm_dialect_parse(o->rmm, &c->dialect, error)) ||
               option_fail(bad_option)) &&
              add_memory(c, error);
    if (ok) {
        add_cpus(c);
        add_gic(c);
        add_smmu(c);
        add_pci(c);
        add_firmware(c);
        pvpanic_set_handler(on_panic, c);
        ok = (add_backends(c, error) && add_serials(c, error)) || option_fail(bad_option);
    }
    if (ok) {
        add_small_devices(c);
        add_watchdogs(c);
        add_system_timers(c);
        add_motherboard(c);
        add_fw_cfg(c);
        ok = add_flash(c, bad_option, error) && read_payloads(c, bad_option, error) &&
             (o->dumpdtb != NULL ? dump_tree(c, error) : boot(c, bad_option, error));
    }
    if (ok && o->dumpdtb == NULL) {
        ok = add_devices(c, error) || option_fail(bad_option);
    }
    if (!ok) {
        cca_free(c);
        return NULL;
    }
    return c;
}

void cca_free(Cca *c)
{
    g_clear_pointer(&c->host, host_free);
    g_clear_pointer(&c->pci, pci_host_free);
    g_clear_pointer(&c->smmu, smmu_free);
    g_clear_pointer(&c->monitor, monitor_free);
    g_clear_pointer(&c->rmm, rmm_free);
    for (unsigned i = 0; i < c->n_sysbus; i++) {
        device_free(c->sysbus[i]);
    }
    for (unsigned i = 0; i < c->n_cpus; i++) {
        a64_cpu_free(c->cpus[i]);
    }
    g_free(c->cpus);
    g_free(c->cpu_entropy);
    g_clear_pointer(&c->gic, gicv3_free);
    for (unsigned i = 0; i < CCA_MAX_UARTS; i++) {
        g_clear_pointer(&c->serial[i], chardev_free);
    }
    for (unsigned i = 0; i < CCA_MAX_FLASH; i++) {
        g_clear_pointer(&c->flash[i], pflash_free);
    }
    g_ptr_array_free(c->payloads, TRUE);
    g_ptr_array_free(c->drives, TRUE);
    g_hash_table_destroy(c->unnamed);
    g_free(c->watch.expect);
    g_clear_pointer(&c->watch.fail_on, g_regex_unref);
    if (c->watch.line != NULL) {
        g_string_free(c->watch.line, TRUE);
    }
    g_free(c);
}

static void put_count(void *opaque, const char *name, uint64_t count)
{
    GString *json = opaque;

    g_string_append_printf(json, "%s\n    \"%s\": %" PRIu64, json->str[json->len - 1] == '{' ? "" : ",", name, count);
}

/* Bytes a function moved as a bus master, by the space of the memory: Realm (private) or Non-secure (shared). */
static void put_dma(PciDevice *pd, void *opaque)
{
    GString       *json = opaque;
    const DmaPort *dma = &pd->dma;

    if (pd->secondary != NULL) {
        return; /* a bridge moves nothing of its own */
    }
    g_string_append_printf(json, "%s\n    { \"device\": ", json->str[json->len - 1] == '[' ? "" : ",");
    json_string(json, pd->dev.id);
    g_string_append_printf(json,
                           ",\n      \"realm_bytes_read\": %" PRIu64 ",\n      \"realm_bytes_written\": %" PRIu64
                           ",\n      \"shared_bytes_read\": %" PRIu64
                           ",\n      \"shared_bytes_written\": %" PRIu64 " }",
                           dma->bytes_read[PAS_REALM], dma->bytes_written[PAS_REALM],
                           dma->bytes_read[PAS_NONSECURE], dma->bytes_written[PAS_NONSECURE]);
}

void cca_report(Cca *c, GString *json)
{
    g_string_append(json, ",\n  \"calls\": {");
    rmm_call_counts(c->rmm, put_count, json);
    g_string_append(json, "\n  },\n  \"granules\": {");
    rmm_granule_counts(c->rmm, put_count, json);
    g_string_append(json, "\n  },\n  \"dma\": [");
    pci_host_foreach(c->pci, put_dma, json);
    g_string_append_printf(json, "\n  ],\n  \"smmu_events\": { \"nonsecure\": %" PRIu64 ", \"realm\": %" PRIu64 " }",
                           smmu_n_events(c->smmu, PAS_NONSECURE), smmu_n_events(c->smmu, PAS_REALM));
    if (c->host != NULL) {
        host_report(c->host, json);
    }
}
