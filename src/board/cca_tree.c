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

/* Phandles. */
enum { PHANDLE_GIC = 1, PHANDLE_ITS, PHANDLE_CLOCK, PHANDLE_SMMU };

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
    g_snprintf(stdout_path, sizeof(stdout_path), "/pl011@%llx", (unsigned long long)CCA_UART_BASE);
    fdt_property_string(fdt, "stdout-path", stdout_path);
    if (t->initrd_start != 0) {
        fdt_property_u64(fdt, "linux,initrd-start", t->initrd_start);
        fdt_property_u64(fdt, "linux,initrd-end", t->initrd_end);
    }
    if (t->probe_only) {
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
        begin_unit(fdt, "cpu", i);
        fdt_property_string(fdt, "device_type", "cpu");
        fdt_property_string(fdt, "compatible", "arm,armv8");
        CELLS(fdt, "reg", i);
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
    if (t->hyp_timers) {
        CELLS(fdt, "interrupts", INT_PPI, CCA_PPI_SEC_TIMER - 16, INT_LEVEL, INT_PPI, CCA_PPI_PHYS_TIMER - 16,
              INT_LEVEL, INT_PPI, CCA_PPI_VIRT_TIMER - 16, INT_LEVEL, INT_PPI, CCA_PPI_HYP_TIMER - 16, INT_LEVEL,
              INT_PPI, CCA_PPI_HVIRT_TIMER - 16, INT_LEVEL);
    } else {
        CELLS(fdt, "interrupts", INT_PPI, CCA_PPI_SEC_TIMER - 16, INT_LEVEL, INT_PPI, CCA_PPI_PHYS_TIMER - 16,
              INT_LEVEL, INT_PPI, CCA_PPI_VIRT_TIMER - 16, INT_LEVEL, INT_PPI, CCA_PPI_HYP_TIMER - 16, INT_LEVEL);
    }
    fdt_end_node(fdt);
}

static void put_gic(void *fdt, const CcaTree *t)
{
    begin_unit(fdt, "intc", CCA_GICD_BASE);
    fdt_property_string(fdt, "compatible", "arm,gic-v3");
    CELLS(fdt, "#interrupt-cells", 3);
    fdt_property(fdt, "interrupt-controller", NULL, 0);
    CELLS(fdt, "reg", REG(CCA_GICD_BASE, CCA_GICD_SIZE), REG(CCA_GICR_BASE, CCA_GICR_STRIDE * t->n_cpus));
    CELLS(fdt, "#redistributor-regions", 1);
    if (t->hyp_timers) {
        CELLS(fdt, "interrupts", INT_PPI, CCA_PPI_GIC_MAINT - 16, INT_LEVEL);
    }
    CELLS(fdt, "#address-cells", 2);
    CELLS(fdt, "#size-cells", 2);
    fdt_property(fdt, "ranges", NULL, 0);
    CELLS(fdt, "phandle", PHANDLE_GIC);

    begin_unit(fdt, "its", CCA_ITS_BASE);
    fdt_property_string(fdt, "compatible", "arm,gic-v3-its");
    fdt_property(fdt, "msi-controller", NULL, 0);
    CELLS(fdt, "#msi-cells", 1);
    CELLS(fdt, "reg", REG(CCA_ITS_BASE, CCA_ITS_SIZE));
    CELLS(fdt, "phandle", PHANDLE_ITS);
    fdt_end_node(fdt);
    fdt_end_node(fdt);
}

static void put_clock(void *fdt)
{
    fdt_begin_node(fdt, "apb-pclk");
    fdt_property_string(fdt, "compatible", "fixed-clock");
    CELLS(fdt, "#clock-cells", 0);
    CELLS(fdt, "clock-frequency", CCA_UART_CLOCK_HZ);
    fdt_property_string(fdt, "clock-output-names", "clk24mhz");
    CELLS(fdt, "phandle", PHANDLE_CLOCK);
    fdt_end_node(fdt);
}

static void put_uart(void *fdt, uint64_t base, unsigned spi)
{
    static const char compatible[] = "arm,pl011\0arm,primecell";
    static const char clocks[] = "uartclk\0apb_pclk";

    begin_unit(fdt, "pl011", base);
    put_strings(fdt, "compatible", compatible, sizeof(compatible));
    CELLS(fdt, "reg", REG(base, CCA_UART_SIZE));
    CELLS(fdt, "interrupts", INT_SPI, spi, INT_LEVEL);
    CELLS(fdt, "clocks", PHANDLE_CLOCK, PHANDLE_CLOCK);
    put_strings(fdt, "clock-names", clocks, sizeof(clocks));
    fdt_end_node(fdt);
}

static void put_rtc(void *fdt)
{
    static const char compatible[] = "arm,pl031\0arm,primecell";

    begin_unit(fdt, "pl031", CCA_RTC_BASE);
    put_strings(fdt, "compatible", compatible, sizeof(compatible));
    CELLS(fdt, "reg", REG(CCA_RTC_BASE, CCA_RTC_SIZE));
    CELLS(fdt, "interrupts", INT_SPI, CCA_SPI_RTC, INT_LEVEL);
    CELLS(fdt, "clocks", PHANDLE_CLOCK);
    fdt_property_string(fdt, "clock-names", "apb_pclk");
    fdt_end_node(fdt);
}

static void put_fw_cfg(void *fdt)
{
    begin_unit(fdt, "fw-cfg", CCA_FW_CFG_BASE);
    fdt_property_string(fdt, "compatible", "qemu,fw-cfg-mmio");
    CELLS(fdt, "reg", REG(CCA_FW_CFG_BASE, CCA_FW_CFG_SIZE));
    fdt_property(fdt, "dma-coherent", NULL, 0);
    fdt_end_node(fdt);
}

static void put_smmu(void *fdt)
{
    static const char names[] = "eventq\0priq\0cmdq-sync\0gerror";

    begin_unit(fdt, "smmuv3", CCA_SMMU_BASE);
    fdt_property_string(fdt, "compatible", "arm,smmu-v3");
    CELLS(fdt, "reg", REG(CCA_SMMU_BASE, CCA_SMMU_SIZE));
    CELLS(fdt, "interrupts", INT_SPI, CCA_SPI_SMMU_EVTQ, INT_EDGE, INT_SPI, CCA_SPI_SMMU_PRIQ, INT_EDGE, INT_SPI,
          CCA_SPI_SMMU_SYNC, INT_EDGE, INT_SPI, CCA_SPI_SMMU_GERR, INT_EDGE);
    put_strings(fdt, "interrupt-names", names, sizeof(names));
    fdt_property(fdt, "dma-coherent", NULL, 0);
    CELLS(fdt, "#iommu-cells", 1);
    CELLS(fdt, "phandle", PHANDLE_SMMU);
    fdt_end_node(fdt);
}

/* INTA..INTD of slot s go to line (s + pin) mod 4. PCI-to-PCI Bridge Architecture 1.2, 9.1 "Interrupt routing". */
static void put_pci_intx(void *fdt)
{
    uint32_t map[16 * 10], *c = map;

    for (uint32_t slot = 0; slot < 4; slot++) {
        for (uint32_t pin = 0; pin < 4; pin++) {
            const uint32_t row[10] = { slot << 11, 0, 0, pin + 1, PHANDLE_GIC, 0, 0, INT_SPI,
                                       CCA_SPI_PCI + (slot + pin) % 4, INT_LEVEL };

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

static void put_pci(void *fdt, const CcaTree *t)
{
    begin_unit(fdt, "pcie", CCA_PCI_MMIO_BASE);
    fdt_property_string(fdt, "compatible", "pci-host-ecam-generic");
    fdt_property_string(fdt, "device_type", "pci");
    CELLS(fdt, "#address-cells", 3);
    CELLS(fdt, "#size-cells", 2);
    CELLS(fdt, "linux,pci-domain", 0);
    CELLS(fdt, "bus-range", 0, (uint32_t)(CCA_PCI_ECAM_SIZE >> 20) - 1);
    fdt_property(fdt, "dma-coherent", NULL, 0);
    CELLS(fdt, "reg", REG(CCA_PCI_ECAM_BASE, CCA_PCI_ECAM_SIZE));
    CELLS(fdt, "ranges", 0x01000000, 0, 0, REG(CCA_PCI_PIO_BASE, CCA_PCI_PIO_SIZE), /* I/O */
          0x02000000, HI(CCA_PCI_MMIO_BASE), LO(CCA_PCI_MMIO_BASE), REG(CCA_PCI_MMIO_BASE, CCA_PCI_MMIO_SIZE),
          0x03000000, HI(CCA_PCI_HIGH_BASE), LO(CCA_PCI_HIGH_BASE), REG(CCA_PCI_HIGH_BASE, CCA_PCI_HIGH_SIZE));
    CELLS(fdt, "msi-map", 0, PHANDLE_ITS, 0, 0x10000);
    if (t->smmu) {
        CELLS(fdt, "iommu-map", 0, PHANDLE_SMMU, 0, 0x10000);
    }
    put_pci_intx(fdt);
    fdt_end_node(fdt);
}

static void put_memory(void *fdt, const CcaTree *t)
{
    begin_unit(fdt, "memory", CCA_RAM_BASE);
    fdt_property_string(fdt, "device_type", "memory");
    CELLS(fdt, "reg", REG(CCA_RAM_BASE, t->ram_size));
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
    fdt_property_string(fdt, "compatible", "linux,dummy-virt");
    CELLS(fdt, "#address-cells", 2);
    CELLS(fdt, "#size-cells", 2);
    put_chosen(fdt, t);
    put_memory(fdt, t);
    put_cpus(fdt, t);
    put_psci(fdt);
    put_timer(fdt, t);
    put_gic(fdt, t);
    put_clock(fdt);
    put_uart(fdt, CCA_UART_BASE, CCA_SPI_UART);
    if (t->second_uart) {
        put_uart(fdt, CCA_UART1_BASE, CCA_SPI_UART1);
    }
    put_rtc(fdt);
    if (t->fw_cfg) {
        put_fw_cfg(fdt);
    }
    if (t->smmu) {
        put_smmu(fdt);
    }
    put_pci(fdt, t);
    fdt_end_node(fdt);
    fdt_finish(fdt);

    GBytes *out = g_bytes_new(fdt, fdt_totalsize(fdt));
    g_free(fdt);
    return out;
}
