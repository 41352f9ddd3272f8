/*
 * Parallel NOR flash with the Common Flash Interface and Intel's (basic and extended) command set: two 16-bit chips
 * side by side on a 32-bit bus, as boards carry them for firmware and its variables.
 */
#ifndef BAILEY_HW_PFLASH_H
#define BAILEY_HW_PFLASH_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "blockdev.h"
#include "memory.h"

/* The cells of a chip, without the machine that reads them: they outlive a reset. */
typedef struct PflashCells PflashCells;
typedef struct Pflash Pflash;

/* pflash_cells_new - @size bytes, a power of two from 2 MiB on, erased (all ones). The host gives memory as they are
 * written. */
PflashCells *pflash_cells_new(uint64_t size, GError **error);
void         pflash_cells_free(PflashCells *c);
uint8_t     *pflash_cells_bytes(PflashCells *c);
uint64_t     pflash_cells_size(const PflashCells *c);

typedef struct PflashConfig {
    const char  *name;
    Memory      *memory;
    uint64_t     base;
    uint32_t     block_size; /* bytes that are erased together, of both chips: a power of two, 64 KiB or more */
    PflashCells *cells;      /* the owner keeps them longer than the Pflash */
    Blockdev    *drive;      /* as large as the cells: their bytes at first, and where every change goes; NULL: none */
} PflashConfig;

/**
 * pflash_new - put the chips into the machine's memory map, in read-array mode with all blocks unlocked.
 * Returns NULL with a sentence when the drive's size differs or it cannot be read. A read-only drive makes a chip
 * whose write protection is on.
 */
Pflash *pflash_new(const PflashConfig *cfg, GError **error);
void    pflash_free(Pflash *p);

#endif
