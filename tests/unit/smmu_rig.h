/*
 * An SMMU in a small memory, with helpers that write what a driver writes: stream table, context descriptors,
 * translation tables, commands.
 */
#ifndef BAILEY_TEST_SMMU_RIG_H
#define BAILEY_TEST_SMMU_RIG_H

#include "iommu/smmuv3.h"

enum {
    RIG_RAM = 0x40000000, RIG_RAM_SIZE = 0x800000,
    RIG_STRTAB = 0x40000000,         /* linear, 64 entries */
    RIG_R_STRTAB = 0x40002000,       /* of the Realm interface */
    RIG_CMDQ = 0x40004000, RIG_EVTQ = 0x40006000, RIG_R_CMDQ = 0x40008000, RIG_R_EVTQ = 0x4000a000,
    RIG_CD = 0x4000c000,
    RIG_TABLES = 0x40010000,         /* handed out by rig_table() */
    RIG_DATA = 0x40400000,           /* what is mapped */
    RIG_QUEUE_LOG2 = 3,
    RIG_SMMU = 0x09050000, RIG_SMMU_REALM = 0x0b050000, RIG_SMMU_ROOT = 0x0b040000,
};

/* Registers by offset in a bank, and in the Root page. */
enum {
    IDR0 = 0x00, IDR1 = 0x04, IDR2 = 0x08, IDR3 = 0x0c, IDR4 = 0x10, IDR5 = 0x14, IIDR = 0x18, AIDR = 0x1c, CR0 = 0x20,
    CR0ACK = 0x24, CR1 = 0x28, CR2 = 0x2c, GBPA = 0x44, IRQ_CTRL = 0x50, IRQ_CTRLACK = 0x54, GERROR = 0x60,
    GERRORN = 0x64, GERROR_IRQ_CFG0 = 0x68, GERROR_IRQ_CFG1 = 0x70, GERROR_IRQ_CFG2 = 0x74, STRTAB_BASE = 0x80,
    STRTAB_BASE_CFG = 0x88, CMDQ_BASE = 0x90, CMDQ_PROD = 0x98, CMDQ_CONS = 0x9c, EVENTQ_BASE = 0xa0,
    EVENTQ_IRQ_CFG0 = 0xb0, EVENTQ_IRQ_CFG1 = 0xb8, EVENTQ_IRQ_CFG2 = 0xbc, EVENTQ_PROD = 0x100a8,
    EVENTQ_CONS = 0x100ac,
    ROOT_IDR0 = 0x00, ROOT_CR0 = 0x20, ROOT_CR0ACK = 0x24, ROOT_GPF_FAR = 0x38,
};

/* Opcodes. */
enum {
    CMD_PREFETCH_CONFIG = 0x01, CMD_PREFETCH_ADDR = 0x02, CMD_CFGI_STE = 0x03, CMD_CFGI_STE_RANGE = 0x04,
    CMD_CFGI_CD = 0x05, CMD_CFGI_CD_ALL = 0x06, CMD_TLBI_NH_ALL = 0x10, CMD_TLBI_NH_ASID = 0x11, CMD_TLBI_NH_VA = 0x12,
    CMD_TLBI_NH_VAA = 0x13, CMD_TLBI_S12_VMALL = 0x28, CMD_TLBI_S2_IPA = 0x2a, CMD_TLBI_NSNH_ALL = 0x30,
    CMD_SYNC = 0x46,
};

#define STE_V       1ull
#define STE_ABORT   (0ull << 1)
#define STE_BYPASS  (4ull << 1)
#define STE_S1      (5ull << 1)
#define STE_S2      (6ull << 1)
#define STE_NESTED  (7ull << 1)
#define S2_AA64     (1ull << 51)
#define S2_R        (1ull << 58)
#define CD_V        (1ull << 31)
#define CD_AA64     (1ull << 41)
#define CD_R        (1ull << 45)
#define CD_A        (1ull << 46)
#define CD_EPD0     (1ull << 14)
#define CD_EPD1     (1ull << 30)
#define CD_IPS48    (5ull << 32)

/* Descriptors. */
#define D_TABLE 3ull
#define D_BLOCK 1ull
#define D_PAGE  3ull
#define S1_RW   (1ull << 10 | 1ull << 6)             /* AF, AP[1] */
#define S1_NG   (1ull << 11)
#define S1_RO   (1ull << 7)
#define S2_RW   (1ull << 10 | 3ull << 6 | 0xfull << 2) /* AF, S2AP, normal */
#define S2_RO   (1ull << 10 | 1ull << 6 | 0xfull << 2)

typedef struct SmmuRig {
    Owners   *owners;
    Memory   *memory;
    Smmu     *smmu;
    uint8_t  *ram;
    uint64_t  next_table;
    uint32_t  cmd_prod[2];
    unsigned  pulses[SMMU_N_IRQS]; /* rising edges */
    bool      level[SMMU_N_IRQS];
} SmmuRig;

/* rig_new - with queues, an empty stream table and everything switched on, in both interfaces. */
SmmuRig *rig_new(void);
void     rig_free(SmmuRig *r);

uint64_t rig_get(SmmuRig *r, uint64_t pa);
void     rig_put(SmmuRig *r, uint64_t pa, uint64_t v);
/* Registers of the Non-secure (realm false) or Realm interface. */
uint64_t rig_reg(SmmuRig *r, bool realm, unsigned off, unsigned size);
void     rig_set(SmmuRig *r, bool realm, unsigned off, unsigned size, uint64_t v);
uint64_t rig_root(SmmuRig *r, unsigned off, unsigned size);
void     rig_set_root(SmmuRig *r, unsigned off, unsigned size, uint64_t v);

/* rig_command - append to the command queue and ring. */
void rig_command(SmmuRig *r, bool realm, uint64_t w0, uint64_t w1);

/* A stream table entry, written with V last. */
void rig_ste(SmmuRig *r, bool realm, uint32_t sid, uint64_t w0, uint64_t w1, uint64_t w2, uint64_t w3);

/* A zeroed table of @size bytes, aligned to its size. */
uint64_t rig_table(SmmuRig *r, uint64_t size);

/**
 * rig_map - put @desc into the table tree at @root for @va.
 * @start, @level: the tree's first level, and the leaf's
 * @va: without the bits above the input size
 * @bias: what must be added to a table's physical address to name it in a descriptor (stage 2 in between)
 * Returns the physical address of the leaf's slot.
 */
uint64_t rig_map(SmmuRig *r, uint64_t root, unsigned granule_log2, unsigned start, unsigned level, uint64_t va,
                 uint64_t desc, uint64_t bias);

DmaResult rig_dma(SmmuRig *r, bool trusted, uint32_t sid, uint64_t iova, bool write, DmaTarget *t);

#endif
