/*
 * The device tree of the cca machine, and of a Realm on it: one description with switches, so that both stay the
 * shape kernels know from QEMU's virt board. Devicetree specification v0.4; bindings of the Linux kernel.
 */
#include <libfdt.h>
#include <string.h>

#include "board/cca.h"
#include "entropy.h"

/* More than a tree takes: all but what each CPU and the command line add to it. */
#define TREE_BASE_SIZE (32 << 10)
#define TREE_CPU_SIZE  512

/* Cells of an interrupt specifier. */
enum { INT_SPI = 0, INT_PPI = 1, INT_EDGE = 1, INT_LEVEL = 4 };

enum { PAGE_SIZE = 0x1000, FW_CFG_SIZE = 0x18 };

/* Phandles. */
enum { PHANDLE_GIC = 1, PHANDLE_ITS, PHANDLE_CLOCK, PHANDLE_SMMU, PHANDLE_CLOCK_32K, PHANDLE_GPIO };

/* Property of 32-bit cells. */
#define CELLS(fdt, name, ...)                                                     \
    do {                                                                          \
        const uint32_t cells_[] = { __VA_ARGS__ };                                \
        put_cells((fdt), (name), cells_, sizeof(cells_) / sizeof(cells_[0]));     \
    } while (0)

#define HI(v) ((uint32_t)((uint64_t)(v) >> 32))
#define LO(v) ((uint32_t)(v))
#define REG(base, size) HI(base), LO(base), HI(size), LO(size)

static void put_cells(void *fdt, const char *name, const uint32_t *cells, size_t n)
{
    fdt32_t be[64];

    for (size_t i = 0; i < n; i++) {
        be[i] = cpu_to_fdt32(cells[i]);
    }
    fdt_property(fdt, name, be, (int)(n * sizeof(be[0])));
}

static void put_strings(void *fdt, const char *name, const char *strings, size_t len)
{
    fdt_property(fdt, name, strings, (int)len);
}

static void put_pair(void *fdt, const char *name, const char *first, const char *second)
{
    char both[64];
    int  len = g_snprintf(both, sizeof(both), "%s%c%s", first, '\0', second);

    put_strings(fdt, name, both, (size_t)len + 1);
}

static void begin_unit(void *fdt, const char *name, uint64_t base)
{
    char node[64];

    g_snprintf(node, sizeof(node), "%s@%" G_GINT64_MODIFIER "x", name, base);
    fdt_begin_node(fdt, node);
}

static void put_chosen(void *fdt, const CcaTree *t)
{
    char stdout_path[32];

    fdt_begin_node(fdt, "chosen");
    fdt_property_string(fdt, "bootargs", t->bootargs);
    g_snprintf(stdout_path, sizeof(stdout_path), "/pl011@%llx", (unsigned long long)t->board->uart[0].base);
    fdt_property_string(fdt, "stdout-path", stdout_path);
    if (t->initrd_start != 0) {
        fdt_property_u64(fdt, "linux,initrd-start", t->initrd_start);
        fdt_property_u64(fdt, "linux,initrd-end", t->initrd_end);
    }
    if (t->realm) {
        CELLS(fdt, "linux,pci-probe-only", 1);
    }
    if (t->seed != 0) {
        Entropy  e;
        uint8_t  rng[32];
        uint64_t kaslr;

        entropy_init(&e, t->seed, "device-tree");
        entropy_bytes(&e, rng, sizeof(rng));
        entropy_bytes(&e, &kaslr, sizeof(kaslr));
        fdt_property(fdt, "rng-seed", rng, sizeof(rng));
        fdt_property_u64(fdt, "kaslr-seed", kaslr);
    }
    fdt_end_node(fdt);
}

static void put_cpus(void *fdt, const CcaTree *t)
{
    fdt_begin_node(fdt, "cpus");
    CELLS(fdt, "#address-cells", 1);
    CELLS(fdt, "#size-cells", 0);
    for (unsigned i = 0; i < t->n_cpus; i++) {
        uint32_t reg = t->realm ? i : (uint32_t)cca_mpidr(t->board, i) & 0xffffff;

        begin_unit(fdt, "cpu", reg);
        fdt_property_string(fdt, "device_type", "cpu");
        fdt_property_string(fdt, "compatible", "arm,armv8");
        CELLS(fdt, "reg", reg);
        fdt_property_string(fdt, "enable-method", "psci");
        fdt_end_node(fdt);
    }
    fdt_end_node(fdt);
}

static void put_psci(void *fdt)
{
    static const char compatible[] = "arm,psci-1.0\0arm,psci-0.2\0arm,psci";

    fdt_begin_node(fdt, "psci");
    put_strings(fdt, "compatible", compatible, sizeof(compatible));
    fdt_property_string(fdt, "method", "smc");
    fdt_end_node(fdt);
}

static void put_timer(void *fdt, const CcaTree *t)
{
    static const char compatible[] = "arm,armv8-timer\0arm,armv7-timer";

    fdt_begin_node(fdt, "timer");
    put_strings(fdt, "compatible", compatible, sizeof(compatible));
    fdt_property(fdt, "always-on", NULL, 0);
    if (!t->realm) {
        CELLS(fdt, "interrupts", INT_PPI, CCA_PPI_SEC_TIMER - 16, INT_LEVEL, INT_PPI, CCA_PPI_PHYS_TIMER - 16,
              INT_LEVEL, INT_PPI, CCA_PPI_VIRT_TIMER - 16, INT_LEVEL, INT_PPI, CCA_PPI_HYP_TIMER - 16, INT_LEVEL,
              INT_PPI, CCA_PPI_HVIRT_TIMER - 16, INT_LEVEL);
    } else {
        CELLS(fdt, "interrupts", INT_PPI, CCA_PPI_SEC_TIMER - 16, INT_LEVEL, INT_PPI, CCA_PPI_PHYS_TIMER - 16,
              INT_LEVEL, INT_PPI, CCA_PPI_VIRT_TIMER - 16, INT_LEVEL, INT_PPI, CCA_PPI_HYP_TIMER - 16, INT_LEVEL);
    }
    fdt_end_node(fdt);
}

static void put_pmu(void *fdt)
{
    fdt_begin_node(fdt, "pmu");
    fdt_property_string(fdt, "compatible", "arm,armv8-pmuv3");
    CELLS(fdt, "interrupts", INT_PPI, CCA_PPI_PMU - 16, INT_LEVEL);
    fdt_end_node(fdt);
}

static void put_gic(void *fdt, const CcaTree *t)
{
    begin_unit(fdt, "intc", t->board->gicd.base);
    fdt_property_string(fdt, "compatible", "arm,gic-v3");
    CELLS(fdt, "#interrupt-cells", 3);
    fdt_property(fdt, "interrupt-controller", NULL, 0);
    CELLS(fdt, "reg", REG(t->board->gicd.base, t->board->gicd.size), REG(t->board->gicr, CCA_GICR_STRIDE * t->n_cpus));
    CELLS(fdt, "#redistributor-regions", 1);
    if (!t->realm) {
        CELLS(fdt, "interrupts", INT_PPI, CCA_PPI_GIC_MAINT - 16, INT_LEVEL);
    }
    CELLS(fdt, "#address-cells", 2);
    CELLS(fdt, "#size-cells", 2);
    fdt_property(fdt, "ranges", NULL, 0);
    CELLS(fdt, "phandle", PHANDLE_GIC);

    begin_unit(fdt, "its", t->board->its.base);
    fdt_property_string(fdt, "compatible", "arm,gic-v3-its");
    fdt_property(fdt, "msi-controller", NULL, 0);
    CELLS(fdt, "#msi-cells", 1);
    CELLS(fdt, "reg", REG(t->board->its.base, t->board->its.size));
    CELLS(fdt, "phandle", PHANDLE_ITS);
    fdt_end_node(fdt);
    fdt_end_node(fdt);
}

static void put_fixed_clock(void *fdt, const char *node, uint32_t hz, const char *name, uint32_t phandle)
{
    fdt_begin_node(fdt, node);
    fdt_property_string(fdt, "compatible", "fixed-clock");
    CELLS(fdt, "#clock-cells", 0);
    CELLS(fdt, "clock-frequency", hz);
    fdt_property_string(fdt, "clock-output-names", name);
    CELLS(fdt, "phandle", phandle);
    fdt_end_node(fdt);
}

/* A PrimeCell with a clock for what it does, and one for its bus. */
static void put_primecell(void *fdt, const char *node, const CcaPart *part, const char *compatible, const char *clock,
                          uint32_t phandle)
{
    begin_unit(fdt, node, part->base);
    put_pair(fdt, "compatible", compatible, "arm,primecell");
    CELLS(fdt, "reg", REG(part->base, PAGE_SIZE));
    CELLS(fdt, "interrupts", INT_SPI, part->spi, INT_LEVEL);
    CELLS(fdt, "clocks", phandle, PHANDLE_CLOCK);
    put_pair(fdt, "clock-names", clock, "apb_pclk");
    fdt_end_node(fdt);
}

static void put_rtc(void *fdt, const CcaTree *t)
{
    static const char compatible[] = "arm,pl031\0arm,primecell";

    begin_unit(fdt, "pl031", t->board->rtc.base);
    put_strings(fdt, "compatible", compatible, sizeof(compatible));
    CELLS(fdt, "reg", REG(t->board->rtc.base, PAGE_SIZE));
    CELLS(fdt, "interrupts", INT_SPI, t->board->rtc.spi, INT_LEVEL);
    CELLS(fdt, "clocks", PHANDLE_CLOCK);
    fdt_property_string(fdt, "clock-names", "apb_pclk");
    fdt_end_node(fdt);
}

/* The power button is a key at a pin. Linux, bindings gpio/pl061-gpio.yaml, input/gpio-keys.yaml. */
static void put_gpio(void *fdt, const CcaBoard *b)
{
    enum { ACTIVE_HIGH = 0, KEY_POWER = 116 };
    static const char compatible[] = "arm,pl061\0arm,primecell";

    begin_unit(fdt, "pl061", b->gpio.base);
    put_strings(fdt, "compatible", compatible, sizeof(compatible));
    CELLS(fdt, "reg", REG(b->gpio.base, PAGE_SIZE));
    CELLS(fdt, "interrupts", INT_SPI, b->gpio.spi, INT_LEVEL);
    fdt_property(fdt, "gpio-controller", NULL, 0);
    CELLS(fdt, "#gpio-cells", 2);
    CELLS(fdt, "clocks", PHANDLE_CLOCK);
    fdt_property_string(fdt, "clock-names", "apb_pclk");
    CELLS(fdt, "phandle", PHANDLE_GPIO);
    fdt_end_node(fdt);
    fdt_begin_node(fdt, "gpio-keys");
    fdt_property_string(fdt, "compatible", "gpio-keys");
    fdt_begin_node(fdt, "poweroff");
    fdt_property_string(fdt, "label", "GPIO Key Poweroff");
    CELLS(fdt, "linux,code", KEY_POWER);
    CELLS(fdt, "gpios", PHANDLE_GPIO, CCA_POWER_PIN, ACTIVE_HIGH);
    fdt_end_node(fdt);
    fdt_end_node(fdt);
}

static void put_gwdt(void *fdt, const CcaBoard *b)
{
    begin_unit(fdt, "watchdog", b->gwdt.base);
    fdt_property_string(fdt, "compatible", "arm,sbsa-gwdt");
    CELLS(fdt, "reg", REG(b->gwdt_refresh, PAGE_SIZE), REG(b->gwdt.base, PAGE_SIZE));
    CELLS(fdt, "interrupts", INT_SPI, b->gwdt.spi, INT_LEVEL);
    fdt_end_node(fdt);
}

static void put_memtimer(void *fdt, const CcaBoard *b)
{
    begin_unit(fdt, "timer", b->memtimer);
    fdt_property_string(fdt, "compatible", "arm,armv7-timer-mem");
    CELLS(fdt, "reg", REG(b->memtimer, PAGE_SIZE));
    CELLS(fdt, "#address-cells", 2);
    CELLS(fdt, "#size-cells", 2);
    fdt_property(fdt, "ranges", NULL, 0);
    begin_unit(fdt, "frame", b->memtimer_frame.base);
    CELLS(fdt, "frame-number", b->memtimer_number);
    CELLS(fdt, "interrupts", INT_SPI, b->memtimer_frame.spi, INT_LEVEL);
    CELLS(fdt, "reg", REG(b->memtimer_frame.base, PAGE_SIZE));
    fdt_end_node(fdt);
    fdt_end_node(fdt);
}

static void put_flash(void *fdt, const CcaBoard *b)
{
    begin_unit(fdt, "flash", b->flash[0].base);
    fdt_property_string(fdt, "compatible", "cfi-flash");
    CELLS(fdt, "reg", REG(b->flash[0].base, b->flash[0].size), REG(b->flash[1].base, b->flash[1].size));
    CELLS(fdt, "bank-width", 4);
    fdt_end_node(fdt);
}

/* What only some boards have. */
static void put_board(void *fdt, const CcaBoard *b)
{
    if (b->sp805.base != 0) {
        put_fixed_clock(fdt, "watchdog-clk", 32768, "refclk32khz", PHANDLE_CLOCK_32K);
        put_primecell(fdt, "watchdog", &b->sp805, "arm,sp805", "wdog_clk", PHANDLE_CLOCK_32K);
    }
    if (b->gwdt.base != 0) {
        put_gwdt(fdt, b);
    }
    if (b->memtimer != 0) {
        put_memtimer(fdt, b);
    }
    if (b->flash[0].size != 0) {
        put_flash(fdt, b);
    }
}

static void put_fw_cfg(void *fdt, const CcaTree *t)
{
    begin_unit(fdt, "fw-cfg", t->board->fw_cfg);
    fdt_property_string(fdt, "compatible", "qemu,fw-cfg-mmio");
    CELLS(fdt, "reg", REG(t->board->fw_cfg, FW_CFG_SIZE));
    fdt_property(fdt, "dma-coherent", NULL, 0);
    fdt_end_node(fdt);
}

static void put_smmu(void *fdt, const CcaTree *t)
{
    static const char names[] = "eventq\0priq\0cmdq-sync\0gerror";

    const CcaSpan  *at = &t->board->smmu;
    const unsigned *spi = t->board->spi_smmu;

    begin_unit(fdt, "smmuv3", at->base);
    fdt_property_string(fdt, "compatible", "arm,smmu-v3");
    CELLS(fdt, "reg", REG(at->base, at->size));
    CELLS(fdt, "interrupts", INT_SPI, spi[SMMU_IRQ_EVTQ], INT_EDGE, INT_SPI, spi[SMMU_IRQ_PRIQ], INT_EDGE, INT_SPI,
          spi[SMMU_IRQ_SYNC], INT_EDGE, INT_SPI, spi[SMMU_IRQ_GERROR], INT_EDGE);
    put_strings(fdt, "interrupt-names", names, sizeof(names));
    fdt_property(fdt, "dma-coherent", NULL, 0);
    CELLS(fdt, "#iommu-cells", 1);
    CELLS(fdt, "phandle", PHANDLE_SMMU);
    fdt_end_node(fdt);
}

/* INTA..INTD of slot s go to line (s + pin) mod 4. PCI-to-PCI Bridge Architecture 1.2, 9.1 "Interrupt routing". */
static void put_pci_intx(void *fdt, const CcaTree *t)
{
    uint32_t map[16 * 10], *c = map;

    for (uint32_t slot = 0; slot < 4; slot++) {
        for (uint32_t pin = 0; pin < 4; pin++) {
            const uint32_t row[10] = { slot << 11, 0, 0, pin + 1, PHANDLE_GIC, 0, 0, INT_SPI,
                                       t->board->spi_pci + (slot + pin) % 4, INT_LEVEL };

            memcpy(c, row, sizeof(row));
            c += 10;
        }
    }
    fdt32_t be[G_N_ELEMENTS(map)];
    for (size_t i = 0; i < G_N_ELEMENTS(map); i++) {
        be[i] = cpu_to_fdt32(map[i]);
    }
    fdt_property(fdt, "interrupt-map", be, sizeof(be));
    CELLS(fdt, "interrupt-map-mask", 3 << 11, 0, 0, 7);
    CELLS(fdt, "#interrupt-cells", 1);
}

/* A window of the bus at the same addresses as the CPU's, but for I/O, which starts at 0. */
#define PCI_WINDOW(kind, bus, span) (kind), HI(bus), LO(bus), REG((span).base, (span).size)

static void put_pci_ranges(void *fdt, const CcaBoard *b)
{
    if (b->pci_io.size != 0) {
        CELLS(fdt, "ranges", PCI_WINDOW(0x01000000, 0, b->pci_io),
              PCI_WINDOW(0x02000000, b->pci_mmio.base, b->pci_mmio),
              PCI_WINDOW(0x03000000, b->pci_high.base, b->pci_high));
    } else {
        CELLS(fdt, "ranges", PCI_WINDOW(0x02000000, b->pci_mmio.base, b->pci_mmio),
              PCI_WINDOW(0x03000000, b->pci_high.base, b->pci_high));
    }
}

static void put_pci(void *fdt, const CcaTree *t)
{
    begin_unit(fdt, "pcie", t->board->pci_mmio.base);
    fdt_property_string(fdt, "compatible", "pci-host-ecam-generic");
    fdt_property_string(fdt, "device_type", "pci");
    CELLS(fdt, "#address-cells", 3);
    CELLS(fdt, "#size-cells", 2);
    CELLS(fdt, "linux,pci-domain", 0);
    CELLS(fdt, "bus-range", 0, (uint32_t)(t->board->ecam.size >> 20) - 1);
    fdt_property(fdt, "dma-coherent", NULL, 0);
    CELLS(fdt, "reg", REG(t->board->ecam.base, t->board->ecam.size));
    put_pci_ranges(fdt, t->board);
    CELLS(fdt, "msi-map", 0, PHANDLE_ITS, 0, 0x10000);
    if (!t->realm) {
        CELLS(fdt, "iommu-map", 0, PHANDLE_SMMU, 0, 0x10000);
    }
    put_pci_intx(fdt, t);
    fdt_end_node(fdt);
}

static void put_memory(void *fdt, const CcaTree *t)
{
    const CcaSpan *bank = t->ram;

    begin_unit(fdt, "memory", bank[0].base);
    fdt_property_string(fdt, "device_type", "memory");
    if (bank[1].size == 0) {
        CELLS(fdt, "reg", REG(bank[0].base, bank[0].size));
    } else {
        CELLS(fdt, "reg", REG(bank[0].base, bank[0].size), REG(bank[1].base, bank[1].size));
    }
    fdt_end_node(fdt);
}

GBytes *cca_tree_build(const CcaTree *t)
{
    size_t max_size = TREE_BASE_SIZE + t->n_cpus * TREE_CPU_SIZE + strlen(t->bootargs);
    void  *fdt = g_malloc(max_size);

    fdt_create(fdt, (int)max_size);
    fdt_finish_reservemap(fdt);
    fdt_begin_node(fdt, "");
    CELLS(fdt, "interrupt-parent", PHANDLE_GIC);
    fdt_property_string(fdt, "model", "bailey,cca");
    put_strings(fdt, "compatible", t->board->compatible, t->board->compatible_len);
    CELLS(fdt, "#address-cells", 2);
    CELLS(fdt, "#size-cells", 2);
    put_chosen(fdt, t);
    put_memory(fdt, t);
    put_cpus(fdt, t);
    put_psci(fdt);
    put_timer(fdt, t);
    put_gic(fdt, t);
    put_fixed_clock(fdt, "apb-pclk", CCA_UART_CLOCK_HZ, "clk24mhz", PHANDLE_CLOCK);
    for (unsigned i = 0; i < t->n_uarts; i++) {
        put_primecell(fdt, "pl011", &t->board->uart[i], "arm,pl011", "uartclk", PHANDLE_CLOCK);
    }
    put_rtc(fdt, t);
    if (!t->realm || t->realm_pmu) {
        put_pmu(fdt);
    }
    if (t->board->gpio.base != 0) {
        put_gpio(fdt, t->board);
    }
    if (!t->realm) {
        put_board(fdt, t->board);
        if (t->board->fw_cfg != 0) {
            put_fw_cfg(fdt, t);
        }
        put_smmu(fdt, t);
    }
    put_pci(fdt, t);
    fdt_end_node(fdt);
    fdt_finish(fdt);

    GBytes *out = g_bytes_new(fdt, fdt_totalsize(fdt));
    g_free(fdt);
    return out;
}
