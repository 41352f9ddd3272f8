/*
 * Any bytes as a guest of the GIC: command queue, tables and property bytes in memory, and accesses of all
 * frames, inputs and the CPU interface in any order. One byte chooses the kind of GIC, then each step is an
 * opcode and operands.
 */
#include <glib.h>
#include <string.h>

#include "bytes.h"
#include "hw/gicv3_int.h"

enum { RAM = 0x40000000, RAM_SIZE = 0x40000 };

static uint8_t ram[RAM_SIZE];

static MemResult ram_read(void *opaque, uint64_t addr, void *dst, size_t len)
{
    if (addr < RAM || addr - RAM > RAM_SIZE || len > RAM_SIZE - (addr - RAM)) {
        return MEM_DECODE;
    }
    memcpy(dst, ram + (addr - RAM), len);
    return MEM_OK;
}

static MemResult ram_write(void *opaque, uint64_t addr, const void *src, size_t len)
{
    if (addr < RAM || addr - RAM > RAM_SIZE || len > RAM_SIZE - (addr - RAM)) {
        return MEM_DECODE;
    }
    memcpy(ram + (addr - RAM), src, len);
    return MEM_OK;
}

/* A machine in which everything is mapped, so that short inputs get somewhere. */
static void prepare(Gic *gic)
{
    static const struct {
        const MmioOps *ops;
        uint32_t       off;
        uint8_t        size;
        uint64_t       value;
    } writes[] = {
        { &gicv3_dist_ops, 0, 4, 3 },
        { &gicv3_redist_ops, 0x14, 4, 0 },
        { &gicv3_redist_ops, 0x10080, 4, ~0u },
        { &gicv3_redist_ops, 0x70, 8, RAM + 0x20000 + 15 },
        { &gicv3_redist_ops, 0x78, 8, RAM + 0x30000 },
        { &gicv3_redist_ops, 0, 4, 1 },
        { &gicv3_its_ops, 0x80, 8, BIT(63) | RAM },
        { &gicv3_its_ops, 0x100, 8, BIT(63) | (RAM + 0x8000) },
        { &gicv3_its_ops, 0x108, 8, BIT(63) | (RAM + 0x9000) },
        { &gicv3_its_ops, 0, 4, 1 },
    };

    memset(ram + 0x20000, 0xa1, 256);
    for (size_t i = 0; i < ARRAY_LEN(writes); i++) {
        writes[i].ops->write(gic, writes[i].off, writes[i].size, (MemAttrs){ 0 }, writes[i].value);
    }
}

static void queue_command(Gic *gic, ByteReader *r)
{
    uint64_t at = gic->its.cwriter % 0x1000, dw[4];

    dw[0] = br_u8(r) | (uint64_t)br_u16(r) << 32;
    dw[1] = br_u16(r) | (uint64_t)br_u16(r) << 32;
    dw[2] = (uint64_t)br_u8(r) << 56 | (uint64_t)br_u8(r) << 16 | br_u8(r) | (RAM + 0xa000);
    dw[3] = (uint64_t)br_u8(r) << 16;
    for (unsigned i = 0; i < 4; i++) {
        le64_put(ram + at + i * 8, dw[i]);
    }
    gicv3_its_ops.write(gic, 0x88, 8, (MemAttrs){ 0 }, (at + 32) % 0x1000);
}

static void access_frame(Gic *gic, ByteReader *r)
{
    static const MmioOps *const frames[] = { &gicv3_dist_ops, &gicv3_redist_ops, &gicv3_its_ops };
    unsigned how = br_u8(r), size = 1u << (how >> 2 & 3);
    uint64_t off = br_u24(r) & ~(uint64_t)(size - 1) & 0x7ffff, value = how & 0x20 ? br_u64(r) : br_u8(r);
    const MmioOps *ops = frames[(how & 3) % 3];
    MemAttrs       attrs = { .is_device = (how & 0x40) != 0, .requester = how >> 4 };

    if (how & 0x10) {
        ops->read(gic, off, size, attrs, &value);
    } else {
        ops->write(gic, off, size, attrs, value);
    }
}

static void access_cpu(Gic *gic, ByteReader *r)
{
    unsigned op = br_u8(r);
    GicCpu  *cpu = gicv3_cpu(gic, op >> 7);
    uint32_t v = (uint32_t)br_u16(r);

    switch (op & 15) {
    case 0: gic_cpu_eoi(cpu, v & 1, gic_cpu_ack(cpu, v & 1)); break;
    case 1: gic_cpu_ack(cpu, v & 1); break;
    case 2: gic_cpu_eoi(cpu, v & 1, v >> 1); break;
    case 3: gic_cpu_dir(cpu, v); break;
    case 4: gic_cpu_set_pmr(cpu, (uint8_t)v); break;
    case 5: gic_cpu_set_group_enable(cpu, v & 1, v & 2); break;
    case 6: gic_cpu_sgi(cpu, v & 1, (uint64_t)v << 12); break;
    case 7: gic_ich_set_lr(cpu, v & 15, br_u64(r)); break;
    case 8: gic_ich_set_vmcr(cpu, br_u64(r)); break;
    case 9: gic_ich_set_hcr(cpu, br_u64(r)); break;
    case 10: gic_icv_ack(cpu, v & 1); break;
    case 11: gic_icv_eoi(cpu, v & 1, v >> 1); break;
    case 12: gic_icv_dir(cpu, v); break;
    case 13: gic_cpu_set_ctlr(cpu, v); break;
    case 14: gic_cpu_set_bpr(cpu, v & 1, v >> 1); break;
    default: gicv3_set_ppi(cpu, v & 31, v & 32); break;
    }
}

/* One run of a vCPU: whatever the guest makes of its list registers. */
static void run_vcpu(Gic *gic, ByteReader *r)
{
    uint64_t lrs[GIC_N_LRS];
    unsigned n = 1 + br_u8(r) % GIC_N_LRS;

    gicv3_virt_fill_lrs(gic, n & 1, lrs, n);
    for (unsigned i = 0; i < n; i++) {
        for (unsigned j = 0; j < i; j++) {
            g_assert((lrs[i] & ICH_LR_STATE) == 0 || (uint32_t)lrs[i] != (uint32_t)lrs[j]);
        }
    }
    for (unsigned i = 0; i < n; i++) {
        lrs[i] ^= (uint64_t)(br_u8(r) & 3) << 62;
    }
    gicv3_virt_sync_lrs(gic, n & 1, lrs, n, (uint64_t)br_u8(r) << 24);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ByteReader r = br_init(data, size);
    GicConfig  config = { .n_cpus = 2, .n_spis = 96, .has_its = true, .bus = { ram_read, ram_write, NULL } };
    Gic       *gic;

    config.is_virtual = br_u8(&r) & 1;
    memset(ram, 0, sizeof(ram));
    gic = gicv3_new(&config);
    prepare(gic);
    for (unsigned i = 0; i < 256 && br_left(&r) != 0; i++) {
        switch (br_u8(&r) % 7) {
        case 0: queue_command(gic, &r); break;
        case 1: access_frame(gic, &r); break;
        case 2: access_cpu(gic, &r); break;
        case 3: gicv3_set_spi(gic, br_u8(&r), br_u8(&r) & 1); break;
        case 4: gicv3_its_msi(gic, br_u8(&r), br_u8(&r)); break;
        case 5: le64_put(ram + br_u16(&r), br_u64(&r)); break;
        default:
            if (config.is_virtual) {
                run_vcpu(gic, &r);
            }
            break;
        }
    }
    gicv3_free(gic);
    return 0;
}
