/*
 * The physical address map of a machine: RAM (private memory of the process), ROM and device registers. Every access
 * names the physical address space it is made in and is checked against the page's owner.
 */
#ifndef BAILEY_MEMORY_H
#define BAILEY_MEMORY_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "owner.h"

typedef enum MemResult {
    MEM_OK,
    MEM_DECODE, /* nothing answers there: external abort (CPU), master abort (device) */
    MEM_GPF,    /* the page belongs to another physical address space */
    MEM_SLAVE,  /* the device refused the access: width, alignment, or its own state */
} MemResult;

/* Who accesses, for devices that care (an ITS translation register, a TDISP function). */
typedef struct MemAttrs {
    Pas      pas;
    bool     is_device; /* a bus master other than a CPU */
    uint32_t requester; /* CPU number, or requester ID (bus/device/function) of a device */
} MemAttrs;

/* Device registers; @off counts from the region's start, @size is 1, 2, 4 or 8 and @off is aligned to it. */
typedef struct MmioOps {
    MemResult (*read)(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t *value);
    MemResult (*write)(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t value);
} MmioOps;

typedef enum MemKind { MEM_RAM, MEM_ROM, MEM_MMIO } MemKind;

typedef struct MemRegion {
    const char    *name;
    uint64_t       base, size;
    MemKind        kind;
    uint8_t       *host;  /* RAM and ROM: first byte; else NULL. Flash: NULL while its device answers reads */
    const MmioOps *ops;   /* MMIO, and writes to a ROM that takes them (flash); may be NULL for ROM */
    void          *opaque;
    bool           enabled;
} MemRegion;

typedef struct Memory Memory;

Memory *memory_new(Owners *owners);
void    memory_free(Memory *m);
Owners *memory_owners(const Memory *m);

/* memory_add_ram - @size bytes of zeroed RAM, a multiple of 4 KiB; never touched until the guest does. */
MemRegion *memory_add_ram(Memory *m, const char *name, uint64_t base, uint64_t size, GError **error);

/* memory_take_ram - the bytes of a RAM region, which stays as it is but no longer owns them: for memory_give_ram() of
 * the next machine, or munmap(). */
uint8_t *memory_take_ram(Memory *m, MemRegion *r);

/* memory_give_ram - RAM with content: @bytes are memory_take_ram()'s of a region of @size bytes, and the map's now. */
MemRegion *memory_give_ram(Memory *m, const char *name, uint64_t base, uint64_t size, uint8_t *bytes);

MemRegion *memory_add_rom(Memory *m, const char *name, uint64_t base, uint64_t size, GError **error);
MemRegion *memory_add_mmio(Memory *m, const char *name, uint64_t base, uint64_t size, const MmioOps *ops,
                           void *opaque);
void       memory_remove(Memory *m, MemRegion *r);

/**
 * memory_add_flash - a ROM whose writes, and at times its reads, go to a device.
 * @bytes: @size of them, the caller's, who keeps them longer than the region; both multiples of 4 KiB
 */
MemRegion *memory_add_flash(Memory *m, const char *name, uint64_t base, uint64_t size, uint8_t *bytes,
                            const MmioOps *ops, void *opaque);

/* memory_flash_direct - reads of a flash find its bytes (true, as after memory_add_flash()), or go to its device. */
void memory_flash_direct(Memory *m, MemRegion *r, bool direct);

/**
 * memory_load - put bytes into RAM, ROM and flash as whoever fills the parts before power on would.
 * Returns false when some of [@pa, @pa + @len) is none of these; nothing is changed then. No owner is asked.
 */
bool memory_load(Memory *m, uint64_t pa, const void *src, size_t len);

/* memory_move - a PCI BAR: new base, on or off; drops cached translations of the old place. */
void memory_move(Memory *m, MemRegion *r, uint64_t base, bool enabled);

/* memory_foreach_region - every region, disabled ones too, the oldest first. */
void memory_foreach_region(const Memory *m, void (*fn)(void *opaque, const MemRegion *r), void *opaque);

/* The enabled region that holds @pa, the newest first where two overlap, or NULL. */
MemRegion *memory_find(const Memory *m, uint64_t pa);

/* Host bytes of the 4 KiB page of @pa when all of it is RAM or ROM of one region, or NULL; for translation
 * caches.
 * @writable: RAM, so that stores may go there directly (unless the page has code) */
uint8_t *memory_host_page(const Memory *m, uint64_t pa, bool *writable);

/**
 * memory_read, memory_write - copy bytes as a modelled party would (firmware, DMA after translation, loader).
 * @pa, @len: any alignment; may cross pages and regions Owner checks come first, page by page, for the whole
 * span; nothing is copied unless all pass. Writes to pages with translated code drop that code. Device
 * registers are accessed in aligned pieces of up to 8 bytes.
 */
MemResult memory_read(Memory *m, uint64_t pa, MemAttrs attrs, void *dst, size_t len);
MemResult memory_write(Memory *m, uint64_t pa, MemAttrs attrs, const void *src, size_t len);

/* memory_zero - the same with zero bytes. */
MemResult memory_zero(Memory *m, uint64_t pa, MemAttrs attrs, size_t len);

/**
 * memory_mmio_read, memory_mmio_write - one access of a CPU that reached a device region.
 * @size: 1, 2, 4, 8, aligned; owner checks were made at translation
 */
MemResult memory_mmio_read(Memory *m, MemRegion *r, uint64_t pa, unsigned size, MemAttrs attrs,
                           uint64_t *value);
MemResult memory_mmio_write(Memory *m, MemRegion *r, uint64_t pa, unsigned size, MemAttrs attrs,
                            uint64_t value);

/* Code tracking: a RAM page that holds translated code. The CPU engine sets the hook; writers of RAM call
 * dirty. */
void memory_set_code_hook(Memory *m, void (*written)(void *opaque, uint64_t pa, uint64_t len), void *opaque);
void memory_mark_code(Memory *m, uint64_t pa, bool has_code);
bool memory_has_code(const Memory *m, uint64_t pa);

/* memory_dirty - RAM of [@pa, @pa + @len) was written other than by memory_write: drops code translated
 * from it. */
void memory_dirty(Memory *m, uint64_t pa, uint64_t len);

/* Caches of translations that lead to a region that moved (memory_move, memory_remove) are told through
 * this. */
void memory_add_cache(Memory *m, OwnersFlush *flush, void *opaque);
void memory_remove_cache(Memory *m, OwnersFlush *flush, void *opaque);

/* Bytes of RAM in use by the host for the guest, for -result. */
uint64_t memory_ram_size(const Memory *m);

/* memory_foreach_page - every 4 KiB page of RAM that is not all zeros, with a hash of its bytes: for comparing the
 * outcome of runs, not against people who look for equal hashes. */
void memory_foreach_page(const Memory *m, void (*fn)(void *opaque, uint64_t pa, uint64_t hash), void *opaque);

/* memory_hash - of all of them and where they are. */
uint64_t memory_hash(const Memory *m);

#endif
