/*
 * Hostile firmware: requests to fw_cfg's DMA interface, reads, skips and writes of any item with any length, and with
 * them the picture that "etc/ramfb" describes, which somebody looks at after each.
 */
#include <stdlib.h>

#include "bytes.h"
#include "display/display.h"
#include "hw/fw_cfg.h"
#include "hw/ramfb.h"

#define RAM      0x40000000ull
#define RAM_SIZE 0x100000ull

enum { DATA = 0x1000, REQUESTS_MAX = 32 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static Memory *memory;
static Device *fw_cfg, *ramfb;

static void start(void)
{
    memory = memory_new(owners_new());
    fw_cfg = device_new(device_class_find("fw_cfg"), "fw-cfg", NULL, 0);
    ramfb = device_new(device_class_find("ramfb"), "fb", NULL, 0);
    if (memory_add_ram(memory, "ram", RAM, RAM_SIZE, NULL) == NULL || !device_realize(fw_cfg, NULL)) {
        abort();
    }
    fw_cfg_connect(fw_cfg, memory);
    fw_cfg_add_u16(fw_cfg, FW_CFG_NB_CPUS, 1);
    if (!ramfb_plug(ramfb, fw_cfg, memory, NULL)) {
        abort();
    }
}

/* A picture that is often a possible one: small, in RAM or at its edge. */
static void put_config(ByteReader *r, uint8_t c[28])
{
    static const char codes[] = "XR24AR24XB24RG16";
    uint8_t           how = br_u8(r);

    be64_put(c, how & 1 ? br_u64(r) : RAM + br_u24(r));
    memcpy(c + 8, codes + 4 * (how >> 6), 4);
    c[8] ^= (how & 2) << 1;
    memcpy(c + 8, (uint8_t[]){ c[11], c[10], c[9], c[8] }, 4); /* big-endian */
    be32_put(c + 16, how & 4 ? br_u32(r) : br_u8(r));
    be32_put(c + 20, how & 8 ? br_u32(r) : br_u8(r));
    be32_put(c + 24, how & 16 ? br_u32(r) : br_u16(r));
}

static void request(uint32_t control, uint32_t len, uint64_t addr)
{
    const MemAttrs attrs = { .pas = PAS_NONSECURE };
    uint8_t        b[16], at[8];

    be32_put(b, control);
    be32_put(b + 4, len);
    be64_put(b + 8, addr);
    (void)memory_write(memory, RAM, attrs, b, sizeof(b));
    be64_put(at, RAM);
    (void)device_mmio_ops.write(fw_cfg, 0x10, 8, attrs, le64_get(at));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const MemAttrs attrs = { .pas = PAS_NONSECURE };
    ByteReader     r = br_init(data, size);

    if (memory == NULL) {
        start();
    }
    device_reset(fw_cfg);
    device_reset(ramfb);
    for (unsigned i = 0; i < REQUESTS_MAX && br_left(&r) != 0; i++) {
        uint8_t  op = br_u8(&r), config[28] = { 0 };
        uint16_t key = op & 8 ? br_u16(&r) : FW_CFG_FILE_FIRST;

        if (op & 1) {
            put_config(&r, config);
            (void)memory_write(memory, RAM + DATA, attrs, config, sizeof(config));
            request((uint32_t)key << 16 | 8 | 16, op & 16 ? br_u32(&r) : sizeof(config), RAM + DATA);
        } else {
            request((uint32_t)key << 16 | (op >> 4), br_u32(&r) >> (op & 6) * 4, RAM + DATA + br_u24(&r));
        }
        display_head_refresh(display_head_find("fb"));
    }
    return 0;
}
