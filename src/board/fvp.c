/*
 * The fvp board: the memory map of Arm's FVP Base RevC with RME, so that payloads built for it run unmodified. Arm
 * Fast Models Reference, "Base Platform memory map", "Base Platform interrupt assignments"; the firmware's carve-outs
 * are those of the Trusted Firmware's port with RME. The Realm and Root pages of the SMMU have no fixed place there
 * (they are parameters of the model). Two clusters of four CPUs with one thread each.
 */
#include "board/cca.h"

static const char compatible[] = "arm,fvp-base-revc\0arm,vexpress";

const CcaBoard cca_fvp = {
    .name = "fvp",
    .help = "that of Arm's FVP Base RevC with RME",
    .compatible = compatible,
    .compatible_len = sizeof(compatible),

    .ram = { { 0x80000000, 0x7c000000 }, { 0x880000000, 30ull << 30 } },
    .kept = {
        { { 0xfc000000, 0x01c00000 }, OWNER_SECURE },
        { { 0xfdc00000, 0x02000000 }, OWNER_REALM },
        { { 0xffc00000, 0x00400000 }, OWNER_ROOT },
    },
    .rmm = 0xfdc00000,
    .tree = 0x02000000,
    .flash = { { 0x08000000, 64ull << 20 }, { 0x0c000000, 64ull << 20 } },
    .flash_block = 256 << 10,

    .gicd = { 0x2f000000, 0x10000 },
    .its = { 0x2f020000, 0x20000 },
    .gicr = 0x2f100000,
    .uart = { { 0x1c090000, 5 }, { 0x1c0a0000, 6 }, { 0x1c0b0000, 7 }, { 0x1c0c0000, 8 } },
    .rtc = { 0x1c170000, 4 },
    .smmu = { 0x2b400000, 0x20000 },
    .smmu_root = 0x2b420000,
    .smmu_realm = 0x2b480000,
    .spi_smmu = { [SMMU_IRQ_EVTQ] = 74, [SMMU_IRQ_PRIQ] = 75, [SMMU_IRQ_SYNC] = 77, [SMMU_IRQ_GERROR] = 79 },
    .ecam = { 0x40000000, 0x10000000 },
    .pci_mmio = { 0x50000000, 0x10000000 },
    .pci_high = { 0x4000000000, 3ull << 30 },
    .spi_pci = 168,

    .sp805 = { 0x1c0f0000, 0 },
    .gwdt = { 0x2a440000, 27 },
    .gwdt_refresh = 0x2a450000,
    .cntcontrol = 0x2a430000,
    .cntread = 0x2a800000,
    .memtimer = 0x2a810000,
    .memtimer_frame = { 0x2a830000, 26 },
    .memtimer_number = 1,
    .ve_sysregs = 0x1c010000,
    .ve_id = 0x20201000, /* revision 2 (RevC), board 0x020 (FVP Base), variant 1 */
    .pwrc = 0x1c100000,

    .keeps_ram = true,
    .cluster_cpus = 4,
};
