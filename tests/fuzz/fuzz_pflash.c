/*
 * Any sequence of accesses as a guest of CFI flash. Each six bytes are an offset (3), size and direction (1) and a
 * value (2) that goes to both chips, so that commands come up often.
 */
#include <glib.h>

#include "bytes.h"
#include "hw/pflash.h"

enum { SIZE = 2 << 20, BLOCK = 64 << 10, STEP = 6 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    Owners      *owners = owners_new();
    Memory      *memory = memory_new(owners);
    PflashConfig cfg = {
        .name = "flash", .memory = memory, .block_size = BLOCK, .cells = pflash_cells_new(SIZE, NULL)
    };
    Pflash      *flash = pflash_new(&cfg, NULL);
    MemAttrs     attrs = { .pas = PAS_NONSECURE };

    for (size_t at = 0; at + STEP <= len; at += STEP) {
        unsigned size = 1u << (data[at + 3] & 3);
        uint32_t off = (data[at] | (uint32_t)data[at + 1] << 8 | (uint32_t)data[at + 2] << 16) % (SIZE - 8);
        uint32_t value = le16_get(data + at + 4) * 0x10001u;
        uint8_t  bytes[8] = { 0 };

        le_put(bytes, value, 4);
        if (data[at + 3] & 4) {
            memory_write(memory, off, attrs, bytes, size);
        } else {
            memory_read(memory, off, attrs, bytes, size);
        }
    }
    pflash_free(flash);
    pflash_cells_free(cfg.cells);
    memory_free(memory);
    owners_free(owners);
    return 0;
}
