/*
 * The virt board: memory map, interrupt numbers and device tree shape are those of QEMU's `virt` board, a de facto
 * standard, so that firmware and kernels made for it start unmodified. RAM starts at 1 GiB; the firmware's memory
 * follows the guest's.
 */
#include "board/cca.h"

static const char compatible[] = "linux,dummy-virt";

const CcaBoard cca_virt = {
    .name = "virt",
    .help = "the memory map of QEMU's virt board (default)",
    .compatible = compatible,
    .compatible_len = sizeof(compatible),

    .ram = { { 0x40000000, 255ull << 30 } },
    .flash = { { 0x00000000, 64ull << 20 }, { 0x04000000, 64ull << 20 } },
    .flash_block = 256 << 10,

    .gicd = { 0x08000000, 0x10000 },
    .its = { 0x08080000, 0x20000 },
    .gicr = 0x080a0000,
    .uart = { { 0x09000000, 1 }, { 0x09040000, 8 } },
    .rtc = { 0x09010000, 2 },
    .fw_cfg = 0x09020000,
    .gpio = { 0x09030000, 7 },
    .smmu = { 0x09050000, 0x20000 },
    .smmu_root = 0x0b040000,
    .smmu_realm = 0x0b050000,
    .spi_smmu = { [SMMU_IRQ_EVTQ] = 74, [SMMU_IRQ_PRIQ] = 75, [SMMU_IRQ_SYNC] = 76, [SMMU_IRQ_GERROR] = 77 },
    .ecam = { 0x4010000000, 0x10000000 },
    .pci_mmio = { 0x10000000, 0x2eff0000 },
    .pci_io = { 0x3eff0000, 0x10000 },
    .pci_high = { 0x8000000000, 0x8000000000 },
    .spi_pci = 3,
};
