/*
 * Firmware configuration: items that firmware reads by key, byte by byte or by DMA. The data register keeps
 * the order of bytes in memory; selector and DMA address are big-endian. Source: the fw_cfg specification
 * QEMU publishes. Items that the guest may write, it writes by DMA.
 */
#include "hw/fw_cfg.h"

#include <string.h>

#include "bytes.h"
#include "log.h"

enum {
    MAX_ITEMS = 64,
    NAME_LEN = 56,
    FILE_ENTRY = 64,
    REG_DATA = 0x00,
    REG_SELECT = 0x08,
    REG_DMA = 0x10,
    REG_END = 0x18,

    DMA_ERROR = 1 << 0,
    DMA_READ = 1 << 1,
    DMA_SKIP = 1 << 2,
    DMA_SELECT = 1 << 3,
    DMA_WRITE = 1 << 4,
    DMA_STRUCT = 16,
    DMA_MAX = 64 << 20, /* beyond the item: one request must not hold up the event loop */
};

#define DMA_SIGNATURE 0x51454d5520434647ull /* "QEMU CFG" */

typedef struct Item {
    uint16_t      key;
    GBytes       *bytes;
    FwCfgWritten *written; /* NULL: the guest may not write it */
    void         *opaque;
} Item;

typedef struct FwCfg {
    Device   dev;
    DmaPort  port;
    Item     items[MAX_ITEMS];
    unsigned n_items, n_files;
    uint16_t selected;
    uint32_t pos;
    uint64_t dma_addr; /* as written so far */
} FwCfg;

static Item *find(FwCfg *s, uint16_t key)
{
    for (unsigned i = 0; i < s->n_items; i++) {
        if (s->items[i].key == key) {
            return &s->items[i];
        }
    }
    return NULL;
}

/* ---- what the guest does ---- */

static void select_item(FwCfg *s, uint16_t key)
{
    s->selected = key;
    s->pos = 0;
}

/* Bytes of the selected item that are left at the read position. */
static uint32_t left(FwCfg *s, const uint8_t **p)
{
    const Item    *it = find(s, s->selected);
    gsize          len = 0;
    const uint8_t *data = it != NULL ? g_bytes_get_data(it->bytes, &len) : NULL;

    if (s->pos >= len) {
        return 0;
    }
    *p = data + s->pos;
    return (uint32_t)len - s->pos;
}

static uint64_t read_data(FwCfg *s, unsigned size)
{
    uint8_t        b[8] = { 0 };
    const uint8_t *p = NULL;
    uint32_t       n = left(s, &p);

    memcpy(b, p != NULL ? p : b, MIN(n, size));
    s->pos += MIN(n, size); /* past the end it reads zero and stays */
    return le_get(b, size);
}

static bool dma_copy(FwCfg *s, uint64_t addr, uint32_t len)
{
    const uint8_t *p = NULL;
    uint32_t       n = MIN(left(s, &p), len);
    MemAttrs       attrs = { .pas = PAS_NONSECURE, .is_device = true };

    if (len - n > DMA_MAX || dma_write(&s->port, addr, p, n) != DMA_OK) {
        return false;
    }
    s->pos += n;
    return len == n || memory_zero(s->port.memory, addr + n, attrs, len - n) == MEM_OK;
}

/* Not beyond the end of an item, and only of one that is there to be written. */
static bool dma_fill(FwCfg *s, uint64_t addr, uint32_t len)
{
    Item          *it = find(s, s->selected);
    const uint8_t *p = NULL;

    if (it == NULL || it->written == NULL || left(s, &p) < len) {
        return false;
    }
    gsize    size;
    uint8_t *data = g_memdup2(g_bytes_get_data(it->bytes, &size), g_bytes_get_size(it->bytes));
    bool     ok = dma_read(&s->port, addr, data + s->pos, len) == DMA_OK;

    if (!ok) {
        g_free(data);
        return false;
    }
    g_bytes_unref(it->bytes);
    it->bytes = g_bytes_new_take(data, size);
    s->pos += len;
    it->written(it->opaque, data);
    return true;
}

/* "DMA interface": control, length, address, all big-endian; control becomes the result. */
static void run_dma(FwCfg *s)
{
    uint64_t at = s->dma_addr;
    uint8_t  b[DMA_STRUCT];
    bool     ok = true;

    s->dma_addr = 0;
    if (dma_read(&s->port, at, b, sizeof(b)) != DMA_OK) {
        return;
    }
    uint32_t control = be32_get(b), len = be32_get(b + 4);

    if (control & DMA_SELECT) {
        select_item(s, (uint16_t)(control >> 16));
    }
    if (control & DMA_READ) {
        ok = dma_copy(s, be64_get(b + 8), len);
    } else if (control & DMA_WRITE) {
        ok = dma_fill(s, be64_get(b + 8), len);
    } else if (control & DMA_SKIP) {
        const uint8_t *p;

        s->pos += MIN(left(s, &p), len);
    }
    be32_put(b, ok ? 0 : DMA_ERROR);
    (void)dma_write(&s->port, at, b, 4);
}

static MemResult fw_cfg_read(Device *dev, uint64_t off, unsigned size, MemAttrs attrs, uint64_t *value)
{
    FwCfg  *s = (FwCfg *)dev;
    uint8_t b[8];

    *value = 0;
    if (off < REG_SELECT) {
        *value = read_data(s, size);
    } else if (off >= REG_DMA && off < REG_END) {
        be64_put(b, DMA_SIGNATURE);
        *value = le_get(b + (off - REG_DMA), size);
    } else {
        guest_error("%s: read of undefined offset 0x%llx", dev->id, (unsigned long long)off);
    }
    return MEM_OK;
}

static MemResult fw_cfg_write(Device *dev, uint64_t off, unsigned size, MemAttrs attrs, uint64_t value)
{
    FwCfg  *s = (FwCfg *)dev;
    uint8_t b[8];

    le64_put(b, value);
    if (off == REG_SELECT && size == 2) {
        select_item(s, (uint16_t)(b[0] << 8 | b[1]));
    } else if (off == REG_DMA && size == 8) {
        s->dma_addr = be64_get(b);
        run_dma(s);
    } else if (off == REG_DMA && size == 4) {
        s->dma_addr = (uint64_t)be32_get(b) << 32;
    } else if (off == REG_DMA + 4 && size == 4) {
        s->dma_addr |= be32_get(b);
        run_dma(s);
    } else {
        guest_error("%s: write of %u bytes to offset 0x%llx", dev->id, size, (unsigned long long)off);
    }
    return MEM_OK;
}

static void fw_cfg_reset(Device *dev)
{
    FwCfg *s = (FwCfg *)dev;

    select_item(s, FW_CFG_SIGNATURE);
    s->dma_addr = 0;
}

static void fw_cfg_unrealize(Device *dev)
{
    FwCfg *s = (FwCfg *)dev;

    for (unsigned i = 0; i < s->n_items; i++) {
        g_bytes_unref(s->items[i].bytes);
    }
}

DEVICE(fw_cfg, .name = "fw_cfg", .desc = "firmware configuration", .bus = "sysbus",
       .state_size = sizeof(FwCfg), .mmio_size = REG_END, .access = ACCESS_ANY, .read = fw_cfg_read,
       .write = fw_cfg_write, .reset = fw_cfg_reset, .unrealize = fw_cfg_unrealize);

/* ---- what the board does ---- */

/* Takes the reference. */
static bool set_item(FwCfg *s, uint16_t key, GBytes *bytes)
{
    Item *it = find(s, key);

    if (g_bytes_get_size(bytes) > UINT32_MAX || (it == NULL && s->n_items == MAX_ITEMS)) {
        g_bytes_unref(bytes);
        return false;
    }
    if (it == NULL) {
        it = &s->items[s->n_items++];
        it->key = key;
    } else {
        g_bytes_unref(it->bytes);
    }
    it->bytes = bytes;
    return true;
}

void fw_cfg_connect(Device *dev, Memory *memory)
{
    FwCfg  *s = (FwCfg *)dev;
    uint8_t none[4] = { 0 };

    s->port = (DmaPort){ .memory = memory, .enabled = true };
    dev->dma = &s->port;
    fw_cfg_add(dev, FW_CFG_SIGNATURE, "QEMU", 4);
    fw_cfg_add_u32(dev, FW_CFG_ID, 3); /* bit 0: traditional interface, bit 1: DMA */
    fw_cfg_add(dev, FW_CFG_FILE_DIR, none, sizeof(none));
}

void fw_cfg_add_bytes(Device *dev, uint16_t key, GBytes *bytes)
{
    if (!set_item((FwCfg *)dev, key, g_bytes_ref(bytes))) {
        log_warning("%s: no room for item 0x%x", dev->id, key);
    }
}

void fw_cfg_add(Device *dev, uint16_t key, const void *data, size_t len)
{
    GBytes *bytes = g_bytes_new(data, len);

    fw_cfg_add_bytes(dev, key, bytes);
    g_bytes_unref(bytes);
}

void fw_cfg_add_u16(Device *dev, uint16_t key, uint16_t value)
{
    uint8_t b[2];

    le16_put(b, value);
    fw_cfg_add(dev, key, b, sizeof(b));
}

void fw_cfg_add_u32(Device *dev, uint16_t key, uint32_t value)
{
    uint8_t b[4];

    le32_put(b, value);
    fw_cfg_add(dev, key, b, sizeof(b));
}

void fw_cfg_add_u64(Device *dev, uint16_t key, uint64_t value)
{
    uint8_t b[8];

    le64_put(b, value);
    fw_cfg_add(dev, key, b, sizeof(b));
}

void fw_cfg_add_string(Device *dev, uint16_t key, const char *text)
{
    fw_cfg_add(dev, key, text, strlen(text) + 1);
}

/* "File Directory": a count and entries of size, key, two reserved bytes, name. */
bool fw_cfg_add_file(Device *dev, const char *name, const void *data, size_t len)
{
    FwCfg         *s = (FwCfg *)dev;
    const Item    *item = find(s, FW_CFG_FILE_DIR);
    gsize          dir_len;
    const uint8_t *old = item != NULL ? g_bytes_get_data(item->bytes, &dir_len) : NULL;

    if (old == NULL || strlen(name) >= NAME_LEN || s->n_items == MAX_ITEMS || len > UINT32_MAX) {
        return false;
    }
    for (unsigned i = 0; i < s->n_files; i++) {
        if (strcmp((const char *)old + 4 + FILE_ENTRY * i + 8, name) == 0) {
            return false;
        }
    }
    uint16_t key = (uint16_t)(FW_CFG_FILE_FIRST + s->n_files);
    uint8_t *dir = g_malloc0(dir_len + FILE_ENTRY), *entry = dir + dir_len;

    memcpy(dir, old, dir_len);
    be32_put(entry, (uint32_t)len);
    entry[4] = (uint8_t)(key >> 8);
    entry[5] = (uint8_t)key;
    memcpy(entry + 8, name, strlen(name));
    be32_put(dir, ++s->n_files);
    set_item(s, FW_CFG_FILE_DIR, g_bytes_new_take(dir, dir_len + FILE_ENTRY));
    fw_cfg_add(dev, key, data, len);
    return true;
}

bool fw_cfg_add_written_file(Device *dev, const char *name, const void *data, size_t len, FwCfgWritten *written,
                             void *opaque)
{
    FwCfg *s = (FwCfg *)dev;

    if (!fw_cfg_add_file(dev, name, data, len)) {
        return false;
    }
    Item *it = find(s, (uint16_t)(FW_CFG_FILE_FIRST + s->n_files - 1));

    it->written = written;
    it->opaque = opaque;
    return true;
}
