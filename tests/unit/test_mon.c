/* What the monitor shows of a machine and does to it, as lines in and out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hw/tdisp/dsm.h"
#include "iommu/smmuv3.h"
#include "tests/unit/mon_rig.h"

static MonRig   rig;
static Mon      mon;
static Smmu    *smmu;
static PciHost *pci;

/* Page tables at EL1 with 4 KiB granules: 0x40000000 to itself by a block of 2 MiB, and two pages elsewhere. */
enum { L0 = 0x10000, L1 = 0x11000, L2 = 0x12000, L3 = 0x13000 };
#define AF    (1ull << 10)
#define RO    (1ull << 7)
#define PXN   (1ull << 53)

static void put64(uint64_t off, uint64_t value)
{
    memory_load(machine_memory(rig.machine), MON_RIG_RAM + off, &value, sizeof(value));
}

static void make_tables(void)
{
    A64Cpu *cpu = rig.cpu[0];

    put64(L0, MON_RIG_RAM + L1 + 3);
    put64(L1 + 8, MON_RIG_RAM + L2 + 3);
    put64(L2, MON_RIG_RAM | AF | 1);               /* a block, written and executed */
    put64(L2 + 8 * 8, MON_RIG_RAM + L3 + 3);       /* from 0x41000000 on */
    put64(L3 + 8, (MON_RIG_RAM + 0x1000) | AF | RO | 3);
    put64(L3 + 16, (MON_RIG_RAM + 0x2000) | AF | RO | 3);
    put64(L3 + 32, (MON_RIG_RAM + 0x2000) | AF | PXN | 3);
    cpu->el = 1;
    cpu->security = PAS_NONSECURE;
    cpu->el1.mair = 0xff;
    cpu->el1.tcr = 16 | 1ull << 23 /* EPD1 */ | 2ull << 32;
    cpu->el1.ttbr0 = MON_RIG_RAM + L0;
    cpu->el1.sctlr |= 1;
}

static int setup(void **state)
{
    static const char text[] = "hello\n\"";

    mon_rig_init(&rig);
    smmu = smmu_new(&(SmmuConfig){ .memory = machine_memory(rig.machine), .sid_bits = 16, .realm_offset = 0x40000 });
    pci = pci_host_new(&(PciHostConfig){ .name = "pcie.0", .up.memory = machine_memory(rig.machine),
                                         .up.dma_memory = machine_memory(rig.machine), .last_bus = 3 });
    rig.on.smmu = smmu;
    rig.on.pci = pci;
    mon_init(&mon, &rig.on);
    put64(0x1000, 0xfedcba9876543210);
    put64(0x1008, 0xd65f03c0d503201f); /* nop, ret */
    memory_load(machine_memory(rig.machine), MON_RIG_RAM + 0x1010, text, sizeof(text));
    rig.cpu[0]->el = 2;
    rig.cpu[0]->security = PAS_NONSECURE;
    rig.cpu[0]->pc = MON_RIG_RAM + 0x1008;
    rig.cpu[0]->x[3] = MON_RIG_RAM + 0x1000;
    return 0;
}

static int teardown(void **state)
{
    mon_deinit(&mon);
    pci_host_free(pci);
    smmu_free(smmu);
    mon_rig_free(&rig);
    return 0;
}

static void expect(const char *line, const char *want)
{
    g_autoptr(GString) out = g_string_new(NULL);

    mon_run(&mon, line, out);
    assert_string_equal(out->str, want);
}

typedef struct Row {
    const char *line, *out;
} Row;

static const Row memory_rows[] = {
    { "x 0x40001000", "0x0000000040001000: 0x76543210\n" },
    { "x/2xg $x3", "0x0000000040001000: 0xfedcba9876543210 0xd65f03c0d503201f\n" },
    { "x/3xb $x3", "0x0000000040001000: 0x10 0x32 0x54\n" },
    { "x/2dh 0x40001004", "0x0000000040001004: -17768 -292\n" },
    { "x/uw 0x40001004", "0x0000000040001004: 4275878552\n" },
    { "x/ob $x3", "0x0000000040001000: 020\n" },
    { "x/2c 0x40001010", "0x0000000040001010: 'h' 'e'\n" },
    { "x/c 0x40001015", "0x0000000040001015: '\\x0a'\n" },
    { "x/s 0x40001010", "0x0000000040001010: \"hello\\x0a\\x22\"\n" },
    { "x/5xw 0x40001000", "0x0000000040001000: 0x76543210 0xfedcba98 0xd503201f 0xd65f03c0\n"
                          "0x0000000040001010: 0x6c6c6568\n" },
    { "x/2i $pc", "0x0000000040001008: d503201f hint CRm=0 op2=0\n0x000000004000100c: d65f03c0 ret Rn=30\n" },
    { "x/i 0x4000100a", "0x0000000040001008: d503201f hint CRm=0 op2=0\n" },
    { "xp/xg ns 0x40001000", "0x0000000040001000: 0xfedcba9876543210\n" },
    { "xp/xg 0x40001000", "0x0000000040001000: 0xfedcba9876543210\n" },
    { "xp realm 0x40001000", "error: there is no memory at 0x40001000 that could be read there; 'translate' says where "
                             "it leads, 'as' what addresses mean\n" },
    { "translate $x3", "0x40001000 is 0x40001000 of the nonsecure space: ram\n" },
    { "break granule $x3", "event 1: granule 0x40001000 state\n" },
    { "info st", "error: there is no command 'info st'; 'help info' lists them\n" },
    { "break", "error: there is no command 'break'; 'help break' lists them\n" },
    { "xp moon 0x40001000",
      "error: there is no physical address space 'moon'; write realm, ns, secure or root\n" },
    { "x/3xb 0x4007fffe", "0x000000004007fffe: 0x00 0x00\nerror: there is no memory at 0x40080000 that could be read "
                          "there; 'translate' says where it leads, 'as' what addresses mean\n" },
    { "x/4", "error: an address is missing behind the format\n" },
    { "x/4z 0", "error: '/4z' is no format: write a count, one of x d u o c i s, one of b h w g, as in x/4xg\n" },
    { "x/0 0", "error: '/0' asks for none or too much: the count is 1 to 4096\n" },
    { "x/99999999999999999999 0",
      "error: '/99999999999999999999' asks for none or too much: the count is 1 to 4096\n" },
    { "x 1 2", "error: 'x' takes one address; the format stands behind a slash, as in x/4xg\n" },
    { "x $x31", "error: there is no register '$x31' to have an address; write $pc, $sp or $x0 to $x30\n" },
};

static void run_rows(const Row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        print_message("%s\n", rows[i].line);
        expect(rows[i].line, rows[i].out);
    }
}

static void test_memory(void **state) { run_rows(memory_rows, G_N_ELEMENTS(memory_rows)); }

static void test_mem(void **state)
{
    expect("info mem", "the MMU is off: virtual addresses are physical, or a Realm's or guest's intermediate, ones\n");
    make_tables();
    expect("info mem", "0x0000000040000000 0x00000000401fffff to 0x000040000000 nonsecure, rwx memory\n"
                       "0x0000000041001000 0x0000000041002fff to 0x000040001000 nonsecure, r-x memory\n"
                       "0x0000000041004000 0x0000000041004fff to 0x000040002000 nonsecure, rw- memory\n");
    expect("info mem 0x41002000 0x1000",
           "0x0000000041002000 0x0000000041002fff to 0x000040002000 nonsecure, r-x memory\n");
    expect("info mem 0x41003000 4096", "nothing is mapped there\n");
    expect("x/xg 0x41001000", "0x0000000041001000: 0xfedcba9876543210\n");
}

#define CPUS(next0, asks) \
    "CPU 0: asleep, priorities below 0x00, groups none, next " next0 asks ", 0 list registers in use\n" \
    "CPU 1: asleep, priorities below 0x00, groups none, next none, 0 list registers in use\n"

static void test_interrupts(void **state)
{
    expect("info irq", CPUS("none", ""));
    expect("inject irq 33", "");
    expect("inject irq 20 1", "");
    gicv3_set_spi(rig.gic, 40, true);
    expect("info irq", CPUS("none", "")
           "   20 CPU 1, priority 0x00, group 0, level, pending\n"
           "   33 CPU 0, priority 0x00, group 0, level, pending\n"
           "   40 CPU 0, priority 0x00, group 0, level, pending, input high\n");
    expect("inject irq 64", "error: there is no interrupt 64 that could be made pending: they are 0 to 1019, as far as "
                            "the machine has them\n");
    expect("inject irq 33 2", "error: there is no CPU 2; they are 0 to 1\n");
    assert_false(rig.cpu[1]->line[A64_LINE_SERROR]);
    expect("inject serror 1", "");
    assert_true(rig.cpu[1]->line[A64_LINE_SERROR]);
    assert_false(rig.cpu[0]->line[A64_LINE_SERROR]);
}

#define SMMU_OFF(pas, how)                                                                                           \
    pas ": off, requests " how ", stream table 0x0 (configuration 0x0), 0 pages and 0 events so far\n"                \
        "  commands off: base 0x0, prod 0x0, cons 0x0; events off: base 0x0, prod 0x0, cons 0x0; global errors 0x0\n"

static void test_smmu(void **state)
{
    expect("info smmu", SMMU_OFF("nonsecure", "pass") SMMU_OFF("realm", "are refused"));
}

/* A card below a root port that nobody has set up, and one that is. */
static void test_devices(void **state)
{
    Clock  *clock = machine_clock(rig.machine);
    Device *port = device_new(device_class_find("pcie-root-port"), "rp", clock, 1);

    expect("info pci", "there are no PCI functions\n");
    expect("info ide", "no IDE stream is on, and none has keys\n");
    assert_true(pci_plug(pci_host_root(pci), port, -1, NULL));
    Device *rng = device_new(device_class_find("virtio-rng-pci"), "rng", clock, 1);
    assert_true(pci_plug(pci_host_root(pci), rng, -1, NULL));
    expect("info spdm", "no device speaks SPDM\n");
    expect("inject device rng mac", "error: device 'rng' has no security manager, whose faults these are; 'info spdm' "
                                    "lists those that have one\n");
    expect("inject device moon mac", "error: there is no device 'moon'; 'info pci' lists them\n");
    pci_host_config_write(pci, pci_bdf(pci_device(rng)), PCI_COMMAND, 2, PCI_COMMAND_MASTER);
    pci_host_config_write(pci, pci_bdf(pci_device(port)), PCI_PRIMARY_BUS, 4, 0x020100);
    expect("info pci", "00:01.0 rp: pcie-root-port, 1b36:000c class 0604, MSI-X of 1 off, buses 01 to 02\n"
                       "  BAR 0: 32-bit memory of 0x1000 bytes, off\n"
                       "00:02.0 rng: virtio-rng-pci, 1af4:1044 class 00ff, bus master, MSI-X of 2 off\n"
                       "  BAR 1: 32-bit memory of 0x1000 bytes, off\n"
                       "  BAR 4: 64-bit memory of 0x4000 bytes, off\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mem, setup, teardown),
        cmocka_unit_test_setup_teardown(test_interrupts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_smmu, setup, teardown),
        cmocka_unit_test_setup_teardown(test_devices, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
