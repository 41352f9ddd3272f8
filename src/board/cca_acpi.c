/*
 * The machine in ACPI tables: hardware-reduced, GICv3 with ITS, SMMUv3, PCI Express, PL011, PSCI by SMC. ACPI 6.5,
 * chapter 5.2 (FADT, MADT, PPTT, GTDT, DSDT); PCI Firmware Specification (MCFG, _OSC); Arm DEN0049 (IORT); Microsoft's
 * "Serial Port Console Redirection Table" and "Debug Port Table 2". No sleep states: the machine has none. The
 * real-time clock belongs to the firmware's runtime services.
 */
#include "board/cca_acpi.h"

#include <string.h>

#include "acpi.h"
#include "bytes.h"

#define RSDP_FILE   "etc/acpi/rsdp"
#define TABLES_FILE "etc/acpi/tables"
#define COM0_PATH   "\\_SB.COM0"

#define GPIO_PATH   "\\_SB.GPO0"

enum {
    SPI_BASE = 32, /* INTID of shared peripheral interrupt 0 */
    UART_SIZE = 0x1000,
    GPIO_SIZE = 0x1000,
    FW_CFG_SIZE = 0x18,
    N_LISTED = 8, /* tables of the XSDT */
};

#define MPIDR_AFFINITY 0xff00ffffffull

/* ---- FADT ---- */

/* "Fixed ACPI Description Table". Returns its offset; the loader adds where the DSDT is. */
static uint32_t put_fadt(GByteArray *a, uint32_t dsdt)
{
    enum {
        FADT_SIZE = 276, FLAGS = 112, ARM_BOOT_ARCH = 129, MINOR_VERSION = 131, X_DSDT = 140,
        /* The buttons' bits say that there are none of fixed hardware: the power button is a device of the DSDT. */
        PWR_BUTTON = 1 << 4, SLP_BUTTON = 1 << 5, HW_REDUCED_ACPI = 1 << 20,
        PSCI_COMPLIANT = 1 << 0, /* PSCI_USE_HVC clear: SMC */
    };
    uint32_t at = acpi_table(a, "FACP", 6);

    acpi_zero(a, FADT_SIZE - ACPI_HEADER);
    uint8_t *t = a->data + at;
    le32_put(t + FLAGS, PWR_BUTTON | SLP_BUTTON | HW_REDUCED_ACPI);
    le16_put(t + ARM_BOOT_ARCH, PSCI_COMPLIANT);
    t[MINOR_VERSION] = 5;
    le64_put(t + X_DSDT, dsdt);
    acpi_table_end(a, at);
    return at;
}

/* ---- MADT ---- */

/* "GIC CPU Interface (GICC) Structure", as of ACPI 6.3. */
static void put_gicc(GByteArray *a, unsigned i, uint64_t mpidr)
{
    acpi_u8(a, 0x0b);
    acpi_u8(a, 80);
    acpi_u16(a, 0);
    acpi_u32(a, i); /* CPU interface number */
    acpi_u32(a, i); /* processor UID */
    acpi_u32(a, 1); /* enabled */
    acpi_u32(a, 0); /* parking protocol */
    acpi_u32(a, CCA_PPI_PMU); /* performance interrupt */
    acpi_u64(a, 0); /* parked address */
    acpi_u64(a, 0); /* GICC: system registers */
    acpi_u64(a, 0); /* GICV */
    acpi_u64(a, 0); /* GICH */
    acpi_u32(a, CCA_PPI_GIC_MAINT);
    acpi_u64(a, 0); /* GICR: in a structure of its own */
    acpi_u64(a, mpidr & MPIDR_AFFINITY);
    acpi_u8(a, 0); /* efficiency class */
    acpi_u8(a, 0);
    acpi_u16(a, 0); /* SPE */
}

/* "Multiple APIC Description Table". */
static uint32_t put_madt(GByteArray *a, const CcaBoard *b, unsigned n_cpus)
{
    uint32_t at = acpi_table(a, "APIC", 5);

    acpi_u32(a, 0);
    acpi_u32(a, 0);
    for (unsigned i = 0; i < n_cpus; i++) {
        put_gicc(a, i, cca_mpidr(b, i));
    }
    acpi_u8(a, 0x0c); /* GIC Distributor */
    acpi_u8(a, 24);
    acpi_u16(a, 0);
    acpi_u32(a, 0);
    acpi_u64(a, b->gicd.base);
    acpi_u32(a, 0);
    acpi_u8(a, 3); /* GICv3 */
    acpi_zero(a, 3);
    acpi_u8(a, 0x0e); /* GIC Redistributor */
    acpi_u8(a, 16);
    acpi_u16(a, 0);
    acpi_u64(a, b->gicr);
    acpi_u32(a, (uint32_t)(CCA_GICR_STRIDE * n_cpus));
    acpi_u8(a, 0x0f); /* GIC Interrupt Translation Service */
    acpi_u8(a, 20);
    acpi_u16(a, 0);
    acpi_u32(a, 0); /* its identifier: the IORT's ITS group has it */
    acpi_u64(a, b->its.base);
    acpi_u32(a, 0);
    acpi_table_end(a, at);
    return at;
}

/* ---- PPTT ---- */

enum { PPTT_PACKAGE = 1 << 0, PPTT_ID_VALID = 1 << 1, PPTT_LEAF = 1 << 3 };

/* "Processor hierarchy node structure (Type 0)"; @parent: its offset in the table, 0: none. */
static void put_pptt_node(GByteArray *a, uint32_t flags, uint32_t parent, uint32_t id)
{
    acpi_u8(a, 0);
    acpi_u8(a, 20);
    acpi_u16(a, 0);
    acpi_u32(a, flags);
    acpi_u32(a, parent);
    acpi_u32(a, id);
    acpi_u32(a, 0); /* private resources: no caches are told of, as in the device tree */
}

/* "Processor Properties Topology Table": cores of one package. */
static uint32_t put_pptt(GByteArray *a, unsigned n_cpus)
{
    uint32_t at = acpi_table(a, "PPTT", 2);

    put_pptt_node(a, PPTT_PACKAGE, 0, 0);
    for (unsigned i = 0; i < n_cpus; i++) {
        put_pptt_node(a, PPTT_ID_VALID | PPTT_LEAF, ACPI_HEADER, i);
    }
    acpi_table_end(a, at);
    return at;
}

/* ---- GTDT ---- */

static void put_timer(GByteArray *a, unsigned intid)
{
    acpi_u32(a, intid);
    acpi_u32(a, 1 << 2); /* level, active high, always on */
}

/* "Generic Timer Description Table". */
static uint32_t put_gtdt(GByteArray *a)
{
    uint32_t at = acpi_table(a, "GTDT", 3);

    acpi_u64(a, UINT64_MAX); /* no counter control frame */
    acpi_u32(a, 0);
    put_timer(a, CCA_PPI_SEC_TIMER);
    put_timer(a, CCA_PPI_PHYS_TIMER);
    put_timer(a, CCA_PPI_VIRT_TIMER);
    put_timer(a, CCA_PPI_HYP_TIMER);
    acpi_u64(a, UINT64_MAX); /* no counter read frame */
    acpi_u32(a, 0);          /* no platform timers */
    acpi_u32(a, 0);
    put_timer(a, CCA_PPI_HVIRT_TIMER);
    acpi_table_end(a, at);
    return at;
}

/* ---- MCFG ---- */

/* "PCI Express Memory-mapped Configuration Space base address description table". */
static uint32_t put_mcfg(GByteArray *a, const CcaBoard *b)
{
    uint32_t at = acpi_table(a, "MCFG", 1);

    acpi_u64(a, 0);
    acpi_u64(a, b->ecam.base);
    acpi_u16(a, 0);
    acpi_u8(a, 0);
    acpi_u8(a, (uint8_t)((b->ecam.size >> 20) - 1));
    acpi_u32(a, 0);
    acpi_table_end(a, at);
    return at;
}

/* ---- IORT ---- */

static void put_iort_node(GByteArray *a, uint8_t type, uint16_t len, uint8_t revision, unsigned n_maps)
{
    enum { MAPPING = 20 };

    acpi_u8(a, type);
    acpi_u16(a, (uint16_t)(len + n_maps * MAPPING));
    acpi_u8(a, revision);
    acpi_u32(a, 0);
    acpi_u32(a, n_maps);
    acpi_u32(a, n_maps != 0 ? len : 0);
}

/* All 16-bit identifiers to the same ones of the node at @to. */
static void put_identity(GByteArray *a, uint32_t to)
{
    acpi_u32(a, 0);
    acpi_u32(a, 0xffff); /* how many, less one */
    acpi_u32(a, 0);
    acpi_u32(a, to);
    acpi_u32(a, 0);
}

/* DEN0049, issue D, which every kernel knows: devices to the SMMU, it to the ITS. */
static uint32_t put_iort(GByteArray *a, const CcaBoard *b)
{
    enum { N_NODES = 3, NODES = 48, ITS = NODES, ITS_SIZE = 24, SMMU = ITS + ITS_SIZE, SMMU_SIZE = 68, RC_SIZE = 36 };
    uint32_t at = acpi_table(a, "IORT", 0);

    acpi_u32(a, N_NODES);
    acpi_u32(a, NODES);
    acpi_u32(a, 0);

    put_iort_node(a, 0, ITS_SIZE, 0, 0); /* ITS group */
    acpi_u32(a, 1);
    acpi_u32(a, 0); /* the MADT's identifier */

    put_iort_node(a, 4, SMMU_SIZE, 1, 1); /* SMMUv3 */
    acpi_u64(a, b->smmu.base);
    acpi_u32(a, 1); /* coherent */
    acpi_u32(a, 0);
    acpi_u64(a, 0); /* VATOS */
    acpi_u32(a, 0); /* generic */
    acpi_u32(a, SPI_BASE + b->spi_smmu[SMMU_IRQ_EVTQ]);
    acpi_u32(a, SPI_BASE + b->spi_smmu[SMMU_IRQ_PRIQ]);
    acpi_u32(a, SPI_BASE + b->spi_smmu[SMMU_IRQ_GERROR]);
    acpi_u32(a, SPI_BASE + b->spi_smmu[SMMU_IRQ_SYNC]);
    acpi_u32(a, 0); /* proximity domain */
    acpi_u32(a, 0); /* its own message interrupts: wired ones instead */
    put_identity(a, ITS);

    put_iort_node(a, 2, RC_SIZE, 1, 1); /* root complex */
    acpi_u32(a, 1); /* fully coherent */
    acpi_u8(a, 0);
    acpi_u16(a, 0);
    acpi_u8(a, 3); /* coherent path to memory, attributes inner shareable write-back */
    acpi_u32(a, 0); /* no ATS */
    acpi_u32(a, 0); /* segment */
    acpi_u8(a, 64); /* address bits */
    acpi_zero(a, 3);
    put_identity(a, SMMU);
    acpi_table_end(a, at);
    return at;
}

/* ---- SPCR, DBG2 ---- */

enum { PORT_PL011 = 3, PORT_SERIAL = 0x8000 };

/* "Serial Port Console Redirection Table", revision 2. */
static uint32_t put_spcr(GByteArray *a, const CcaPart *uart)
{
    uint32_t at = acpi_table(a, "SPCR", 2);

    acpi_u8(a, PORT_PL011);
    acpi_zero(a, 3);
    acpi_gas(a, uart->base, 4);
    acpi_u8(a, 1 << 3); /* GIC interrupt */
    acpi_u8(a, 0);
    acpi_u32(a, SPI_BASE + uart->spi);
    acpi_u8(a, 7); /* 115200 baud */
    acpi_u8(a, 0);
    acpi_u8(a, 1); /* stop bit */
    acpi_u8(a, 0);
    acpi_u8(a, 3); /* ANSI terminal */
    acpi_u8(a, 0);
    acpi_u16(a, 0xffff); /* no PCI device */
    acpi_u16(a, 0xffff);
    acpi_zero(a, 3 + 4 + 1 + 4);
    acpi_table_end(a, at);
    return at;
}

/* "Debug Port Table 2 (DBG2)". */
static uint32_t put_dbg2(GByteArray *a, const CcaPart *uart)
{
    enum { INFO = 44, GAS_AT = 22, SIZE_AT = 34, PATH_AT = 38, INFO_SIZE = PATH_AT + sizeof(COM0_PATH) };
    uint32_t at = acpi_table(a, "DBG2", 0);

    acpi_u32(a, INFO);
    acpi_u32(a, 1);
    acpi_u8(a, 0);
    acpi_u16(a, INFO_SIZE);
    acpi_u8(a, 1);
    acpi_u16(a, sizeof(COM0_PATH));
    acpi_u16(a, PATH_AT);
    acpi_u16(a, 0); /* OEM data */
    acpi_u16(a, 0);
    acpi_u16(a, PORT_SERIAL);
    acpi_u16(a, PORT_PL011);
    acpi_u16(a, 0);
    acpi_u16(a, GAS_AT);
    acpi_u16(a, SIZE_AT);
    acpi_gas(a, uart->base, 4);
    acpi_u32(a, UART_SIZE);
    g_byte_array_append(a, (const guint8 *)COM0_PATH, sizeof(COM0_PATH));
    acpi_table_end(a, at);
    return at;
}

/* ---- DSDT ---- */

static uint32_t begin_device(GByteArray *a, const char *name)
{
    uint32_t at = aml_begin(a, AML_DEVICE);

    aml_path(a, name);
    return at;
}

static void put_cpu(GByteArray *a, unsigned i)
{
    char name[8];

    g_snprintf(name, sizeof(name), "C%03X", i);
    uint32_t dev = begin_device(a, name);
    aml_name_string(a, "_HID", "ACPI0007");
    aml_name_int(a, "_UID", i);
    aml_end(a, dev);
}

static void put_uart(GByteArray *a, unsigned i, const CcaPart *uart)
{
    char name[8];

    g_snprintf(name, sizeof(name), "COM%u", i);
    uint32_t dev = begin_device(a, name);
    aml_name_string(a, "_HID", "ARMH0011");
    aml_name_int(a, "_UID", i);
    uint32_t crs = aml_resources(a, "_CRS");
    aml_memory(a, (uint32_t)uart->base, UART_SIZE);
    aml_interrupt(a, SPI_BASE + uart->spi);
    aml_resources_end(a, crs);
    aml_end(a, dev);
}

static void put_fw_cfg(GByteArray *a, uint64_t base)
{
    uint32_t dev = begin_device(a, "FWCF");

    aml_name_string(a, "_HID", "QEMU0002");
    aml_name_int(a, "_STA", 0xb); /* present, enabled, working; not for the user */
    aml_name_int(a, "_CCA", 1);
    uint32_t crs = aml_resources(a, "_CRS");
    aml_memory(a, (uint32_t)base, FW_CFG_SIZE);
    aml_resources_end(a, crs);
    aml_end(a, dev);
}

/* PCI Firmware Specification, "MCFG Table Description": the area is a motherboard resource too. */
static void put_ecam(GByteArray *a, const CcaSpan *ecam)
{
    uint32_t dev = begin_device(a, "RES0");

    aml_name_eisa(a, "_HID", "PNP0C02");
    uint32_t crs = aml_resources(a, "_CRS");
    aml_window(a, AML_WINDOW_MEMORY, false, ecam->base, ecam->size, 0);
    aml_resources_end(a, crs);
    aml_end(a, dev);
}

/* "_PRT (PCI Routing Table)": the device tree's interrupt-map. */
static void put_prt(GByteArray *a, unsigned spi)
{
    enum { SLOTS = 32, PINS = 4 };

    aml_name(a, "_PRT");
    uint32_t prt = aml_begin(a, AML_PACKAGE);
    acpi_u8(a, SLOTS * PINS);
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        for (unsigned pin = 0; pin < PINS; pin++) {
            uint32_t row = aml_begin(a, AML_PACKAGE);

            acpi_u8(a, 4);
            aml_int(a, slot << 16 | 0xffff);
            aml_int(a, pin);
            aml_int(a, 0); /* the next is an interrupt number */
            aml_int(a, SPI_BASE + spi + (slot + pin) % 4);
            aml_end(a, row);
        }
    }
    aml_end(a, prt);
}

/* Opcodes that only the method below needs: "AML Byte Stream Byte Values". */
enum { OP_ZERO = 0x00, OP_ONE = 0x01, OP_LOCAL0 = 0x60, OP_ARG0 = 0x68, OP_ARG1 = 0x69, OP_ARG3 = 0x6b, OP_STORE = 0x70,
       OP_AND = 0x7b, OP_OR = 0x7d, OP_DWORD_FIELD = 0x8a, OP_NOT = 0x92, OP_EQUAL = 0x93, OP_RETURN = 0xa4 };

static void put_dword_field(GByteArray *a, unsigned at, const char *name)
{
    aml_op(a, OP_DWORD_FIELD);
    aml_op(a, OP_ARG3);
    aml_int(a, at);
    aml_path(a, name);
}

/* CDW1 |= @bits */
static void put_status(GByteArray *a, uint64_t bits)
{
    aml_op(a, OP_OR);
    aml_path(a, "CDW1");
    aml_int(a, bits);
    aml_path(a, "CDW1");
}

/* The UUID is the host bridge's: what was asked of native control is granted as far as there is hardware. */
static void put_osc_grant(GByteArray *a)
{
    enum { GRANTED = 1 << 0 /* native hot-plug */ | 1 << 2 /* PME */ | 1 << 3 /* AER */ | 1 << 4 /* capability */ };
    enum { UNKNOWN_REVISION = 1 << 3, MASKED = 1 << 4 };

    put_dword_field(a, 8, "CDW3");
    aml_op(a, OP_AND);
    aml_path(a, "CDW3");
    aml_int(a, GRANTED);
    aml_op(a, OP_LOCAL0);

    uint32_t revision = aml_begin(a, AML_IF);
    aml_op(a, OP_NOT);
    aml_op(a, OP_EQUAL);
    aml_op(a, OP_ARG1);
    aml_op(a, OP_ONE);
    put_status(a, UNKNOWN_REVISION);
    aml_end(a, revision);

    uint32_t masked = aml_begin(a, AML_IF);
    aml_op(a, OP_NOT);
    aml_op(a, OP_EQUAL);
    aml_path(a, "CDW3");
    aml_op(a, OP_LOCAL0);
    put_status(a, MASKED);
    aml_end(a, masked);

    aml_op(a, OP_STORE);
    aml_op(a, OP_LOCAL0);
    aml_path(a, "CDW3");
}

/* PCI Firmware Specification, "_OSC Interface for PCI Host Bridge Devices". */
static void put_osc(GByteArray *a)
{
    static const uint8_t uuid[16] = { 0x5b, 0x4d, 0xdb, 0x33, 0xf7, 0x1f, 0x1c, 0x40,
                                      0x96, 0x57, 0x74, 0x41, 0xc0, 0x3d, 0xd7, 0x66 };
    enum { FOUR_ARGS_SERIALIZED = 4 | 8, UNKNOWN_UUID = 1 << 2 };
    uint32_t method = aml_begin(a, AML_METHOD);

    aml_path(a, "_OSC");
    acpi_u8(a, FOUR_ARGS_SERIALIZED);
    put_dword_field(a, 0, "CDW1");
    uint32_t known = aml_begin(a, AML_IF);
    aml_op(a, OP_EQUAL);
    aml_op(a, OP_ARG0);
    uint32_t buffer = aml_begin(a, AML_BUFFER);
    aml_int(a, sizeof(uuid));
    g_byte_array_append(a, uuid, sizeof(uuid));
    aml_end(a, buffer);
    put_osc_grant(a);
    aml_end(a, known);
    uint32_t other = aml_begin(a, AML_ELSE);
    put_status(a, UNKNOWN_UUID);
    aml_end(a, other);
    aml_op(a, OP_RETURN);
    aml_op(a, OP_ARG3);
    aml_end(a, method);
}

static void put_pci(GByteArray *a, const CcaBoard *b)
{
    uint32_t dev = begin_device(a, "PCI0");

    aml_name_eisa(a, "_HID", "PNP0A08");
    aml_name_eisa(a, "_CID", "PNP0A03");
    aml_name_int(a, "_SEG", 0);
    aml_name_int(a, "_BBN", 0);
    aml_name_int(a, "_UID", 0);
    aml_name_int(a, "_CCA", 1);
    put_prt(a, b->spi_pci);
    uint32_t crs = aml_resources(a, "_CRS");
    aml_buses(a, (unsigned)(b->ecam.size >> 20));
    aml_window(a, AML_WINDOW_MEMORY, true, b->pci_mmio.base, b->pci_mmio.size, 0);
    aml_window(a, AML_WINDOW_MEMORY, true, b->pci_high.base, b->pci_high.size, 0);
    if (b->pci_io.size != 0) {
        aml_window(a, AML_WINDOW_IO, true, 0, b->pci_io.size, b->pci_io.base);
    }
    aml_resources_end(a, crs);
    put_osc(a);
    aml_end(a, dev);
}

/* "GPIO-signaled ACPI Events": the pin's rising edge runs a method, which says that the button was pressed. */
static void put_power_button(GByteArray *a, const CcaPart *gpio)
{
    enum { OP_NOTIFY = 0x86, PRESSED = 0x80, NO_ARGS = 0 };
    g_autofree char *event = g_strdup_printf("_E%02X", CCA_POWER_PIN);
    uint32_t         dev = begin_device(a, "PWRB"); /* "Control Method Power Button" */

    aml_name_eisa(a, "_HID", "PNP0C0C");
    aml_name_int(a, "_UID", 0);
    aml_end(a, dev);

    dev = begin_device(a, "GPO0");
    aml_name_string(a, "_HID", "ARMH0061");
    aml_name_int(a, "_UID", 0);
    uint32_t crs = aml_resources(a, "_CRS");
    aml_memory(a, (uint32_t)gpio->base, GPIO_SIZE);
    aml_interrupt(a, SPI_BASE + gpio->spi);
    aml_resources_end(a, crs);
    uint32_t aei = aml_resources(a, "_AEI");
    aml_gpio_interrupt(a, CCA_POWER_PIN, GPIO_PATH);
    aml_resources_end(a, aei);
    uint32_t method = aml_begin(a, AML_METHOD);
    aml_path(a, event);
    acpi_u8(a, NO_ARGS);
    aml_op(a, OP_NOTIFY);
    aml_path(a, "PWRB");
    aml_int(a, PRESSED);
    aml_end(a, method);
    aml_end(a, dev);
}

static uint32_t put_dsdt(GByteArray *a, const CcaBoard *b, unsigned n_cpus, unsigned n_uarts)
{
    uint32_t at = acpi_table(a, "DSDT", 2);
    uint32_t scope = aml_begin(a, AML_SCOPE);

    aml_path(a, "\\_SB_");
    for (unsigned i = 0; i < n_cpus; i++) {
        put_cpu(a, i);
    }
    for (unsigned i = 0; i < n_uarts; i++) {
        put_uart(a, i, &b->uart[i]);
    }
    put_fw_cfg(a, b->fw_cfg);
    put_ecam(a, &b->ecam);
    put_pci(a, b);
    if (b->gpio.base != 0) {
        put_power_button(a, &b->gpio);
    }
    aml_end(a, scope);
    acpi_table_end(a, at);
    return at;
}

/* ---- all of them ---- */

static void put_checksum(GByteArray *loader, const GByteArray *a, uint32_t table)
{
    enum { LENGTH = 4, CHECKSUM = 9 };

    acpi_checksum(loader, TABLES_FILE, table + CHECKSUM, table, le32_get(a->data + table + LENGTH));
}

/* "Extended System Description Table". */
static uint32_t put_xsdt(GByteArray *a, const uint32_t *tables, unsigned n)
{
    uint32_t at = acpi_table(a, "XSDT", 1);

    for (unsigned i = 0; i < n; i++) {
        acpi_u64(a, tables[i]);
    }
    acpi_table_end(a, at);
    return at;
}

/* "Root System Description Pointer (RSDP)", revision 2. */
static void put_rsdp(GByteArray *a, uint32_t xsdt)
{
    g_byte_array_append(a, (const guint8 *)"RSD PTR ", 8);
    acpi_u8(a, 0); /* checksum of the first 20 bytes */
    g_byte_array_append(a, (const guint8 *)"BAILEY", 6);
    acpi_u8(a, 2);
    acpi_u32(a, 0); /* no RSDT */
    acpi_u32(a, 36);
    acpi_u64(a, xsdt);
    acpi_u8(a, 0); /* checksum of all */
    acpi_zero(a, 3);
}

CcaAcpi cca_acpi_build(const CcaBoard *b, unsigned n_cpus, unsigned n_uarts)
{
    enum { X_DSDT = 140, RSDP_XSDT = 24, RSDP_SUM = 8, RSDP_SUM_LEN = 20, RSDP_EXT_SUM = 32 };
    CcaAcpi     t = { g_byte_array_new(), g_byte_array_new(), g_byte_array_new() };
    GByteArray *a = t.tables;
    uint32_t    dsdt = put_dsdt(a, b, n_cpus, n_uarts), listed[N_LISTED];

    listed[0] = put_fadt(a, dsdt);
    listed[1] = put_madt(a, b, n_cpus);
    listed[2] = put_gtdt(a);
    listed[3] = put_mcfg(a, b);
    listed[4] = put_iort(a, b);
    listed[5] = put_spcr(a, &b->uart[0]);
    listed[6] = put_dbg2(a, &b->uart[0]);
    listed[7] = put_pptt(a, n_cpus);
    uint32_t xsdt = put_xsdt(a, listed, N_LISTED);

    put_rsdp(t.rsdp, xsdt);
    acpi_load(t.loader, TABLES_FILE, 64);
    acpi_load(t.loader, RSDP_FILE, 16);
    acpi_point(t.loader, TABLES_FILE, TABLES_FILE, listed[0] + X_DSDT, 8);
    for (unsigned i = 0; i < N_LISTED; i++) {
        acpi_point(t.loader, TABLES_FILE, TABLES_FILE, xsdt + ACPI_HEADER + 8 * i, 8);
    }
    acpi_point(t.loader, RSDP_FILE, TABLES_FILE, RSDP_XSDT, 8);
    put_checksum(t.loader, a, dsdt);
    for (unsigned i = 0; i < N_LISTED; i++) {
        put_checksum(t.loader, a, listed[i]);
    }
    put_checksum(t.loader, a, xsdt);
    acpi_checksum(t.loader, RSDP_FILE, RSDP_SUM, 0, RSDP_SUM_LEN);
    acpi_checksum(t.loader, RSDP_FILE, RSDP_EXT_SUM, 0, t.rsdp->len);
    return t;
}

void cca_acpi_free(CcaAcpi *t)
{
    g_byte_array_unref(t->rsdp);
    g_byte_array_unref(t->tables);
    g_byte_array_unref(t->loader);
}
