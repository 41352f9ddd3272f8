/*
 * Firmware configuration device: class "fw_cfg", 24 bytes of registers (data 0x0, selector 0x8, DMA address
 * 0x10) at the board's place. Source: the fw_cfg specification that QEMU publishes.
 */
#ifndef BAILEY_HW_FW_CFG_H
#define BAILEY_HW_FW_CFG_H

#include "device.h"
#include "dma.h"

/* Selector keys with a fixed meaning. */
enum {
    FW_CFG_SIGNATURE = 0x00,
    FW_CFG_ID = 0x01,
    FW_CFG_UUID = 0x02,
    FW_CFG_RAM_SIZE = 0x03,
    FW_CFG_NOGRAPHIC = 0x04,
    FW_CFG_NB_CPUS = 0x05,
    FW_CFG_KERNEL_ADDR = 0x07,
    FW_CFG_KERNEL_SIZE = 0x08,
    FW_CFG_KERNEL_CMDLINE = 0x09,
    FW_CFG_INITRD_ADDR = 0x0a,
    FW_CFG_INITRD_SIZE = 0x0b,
    FW_CFG_MAX_CPUS = 0x0f,
    FW_CFG_KERNEL_DATA = 0x11,
    FW_CFG_INITRD_DATA = 0x12,
    FW_CFG_CMDLINE_SIZE = 0x14,
    FW_CFG_CMDLINE_DATA = 0x15,
    FW_CFG_FILE_DIR = 0x19,
    FW_CFG_FILE_FIRST = 0x20,
};

/* fw_cfg_connect - the memory its DMA interface reaches (as Non-secure physical addresses). */
void fw_cfg_connect(Device *dev, Memory *memory);

/* fw_cfg_add - an item under a fixed key; the bytes are copied. A second call replaces the first. */
void fw_cfg_add(Device *dev, uint16_t key, const void *data, size_t len);
void fw_cfg_add_u16(Device *dev, uint16_t key, uint16_t value);
void fw_cfg_add_u32(Device *dev, uint16_t key, uint32_t value);
void fw_cfg_add_u64(Device *dev, uint16_t key, uint64_t value);
void fw_cfg_add_string(Device *dev, uint16_t key, const char *text); /* with its final zero */

/* fw_cfg_add_bytes - the same without a copy of its own, for a kernel or an initial RAM disk. */
void fw_cfg_add_bytes(Device *dev, uint16_t key, GBytes *bytes);

/* fw_cfg_add_file - a named item; false when the name is longer than 55 bytes, taken, or there is no room. */
bool fw_cfg_add_file(Device *dev, const char *name, const void *data, size_t len);

/* Whoever owns an item that the guest may write: it was written, and holds @data now. */
typedef void FwCfgWritten(void *opaque, const uint8_t *data);

/* fw_cfg_add_written_file - the same, and the guest may write it, by DMA, no further than its @len bytes. */
bool fw_cfg_add_written_file(Device *dev, const char *name, const void *data, size_t len, FwCfgWritten *written,
                             void *opaque);

#endif
