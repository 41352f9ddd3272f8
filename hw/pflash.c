/*
 * Parallel NOR flash: JEDEC JESD68.01 "Common Flash Interface", JEP137 command set 0001/0003 (Intel), with the
 * commands and status bits of Intel's StrataFlash family ("Command set", "Status register", "Lock block").
 * Two chips of 16 bits share a 32-bit bus: a guest writes each command to both halves and reads both answers; the low
 * half decides. Programs and erases finish at once. Not modelled: suspend and resume, protection registers,
 * configuration register, lock-down.
 */
#define _GNU_SOURCE
#include "hw/pflash.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "bits.h"
#include "bytes.h"
#include "device.h"
#include "log.h"

#define BUS_BYTES    4
#define BUFFER_BYTES 128 /* of both chips: what a buffered program takes */
#define ERASED_PIECE (2u << 20)

/* Commands. */
enum {
    CMD_LOCK = 0x01,
    CMD_PROGRAM_ALT = 0x10,
    CMD_ERASE = 0x20,
    CMD_CLEAR_STATUS = 0x50,
    CMD_LOCK_SETUP = 0x60,
    CMD_READ_STATUS = 0x70,
    CMD_READ_ID = 0x90,
    CMD_READ_CFI = 0x98,
    CMD_PROGRAM = 0x40,
    CMD_CONFIRM = 0xd0,
    CMD_BUFFERED = 0xe8,
    CMD_RESET_AMD = 0xf0, /* what drivers send to the other vendor's chips to get there, too */
    CMD_READ_ARRAY = 0xff,
};

/* Status register. */
enum {
    SR_LOCKED = 1 << 1,  /* a program or erase of a locked block was refused */
    SR_PROGRAM = 1 << 4, /* program failed */
    SR_ERASE = 1 << 5,   /* erase failed; with SR_PROGRAM: improper command sequence */
    SR_READY = 1 << 7,
};

/* Identifier codes: Intel, StrataFlash of 128 Mbit, as virtual boards tell them. */
enum { ID_VENDOR = 0x89, ID_DEVICE = 0x18 };

/* What reads answer. */
typedef enum ReadMode { READ_ARRAY, READ_STATUS, READ_ID, READ_CFI } ReadMode;

/* What the next write is. */
typedef enum WriteCycle {
    CYCLE_COMMAND,
    CYCLE_PROGRAM,  /* the data of a single program */
    CYCLE_ERASE,    /* the confirmation of an erase */
    CYCLE_LOCK,     /* lock or unlock */
    CYCLE_COUNT,    /* how many words a buffered program has */
    CYCLE_DATA,     /* one of them */
    CYCLE_BUFFERED, /* its confirmation */
} WriteCycle;

struct PflashCells {
    uint8_t *bytes;
    uint64_t size;
};

struct Pflash {
    PflashConfig cfg;
    MemRegion   *region;
    uint8_t     *bytes;
    uint64_t     size;
    ReadMode     read;
    WriteCycle   cycle;
    uint8_t      status;
    uint8_t     *locked;     /* by block: bit 0 of its lock configuration */
    bool         protected;  /* the write protect pin: the drive is read-only */
    uint8_t      buffer[BUFFER_BYTES];
    uint64_t     buffer_base; /* of the aligned range that a buffered program goes to */
    uint32_t     words_left, word_first, word_end; /* of the buffer: to come, and the range that came, in bytes */
    bool         buffer_set;  /* the first word said where the buffer goes */
};

/* ---- cells ---- */

/* Pages of all ones that all chips of the process share until they write them: erased flash costs no memory. */
static int erased_file(GError **error)
{
    static int   fd = -1;
    uint8_t      ones[4096];
    struct iovec pages[ERASED_PIECE / sizeof(ones)];

    if (fd >= 0) {
        return fd;
    }
    fd = memfd_create("erased-flash", MFD_CLOEXEC);
    memset(ones, 0xff, sizeof(ones));
    for (unsigned i = 0; i < ARRAY_LEN(pages); i++) {
        pages[i] = (struct iovec){ .iov_base = ones, .iov_len = sizeof(ones) };
    }
    if (fd >= 0 && writev(fd, pages, ARRAY_LEN(pages)) != ERASED_PIECE) {
        close(fd);
        fd = -1;
    }
    if (fd < 0) {
        g_set_error(error, BAILEY_ERROR, 1, "cannot get memory for flash chips from the host: %s; free some",
                    g_strerror(errno));
    }
    return fd;
}

PflashCells *pflash_cells_new(uint64_t size, GError **error)
{
    g_assert(size >= ERASED_PIECE && (size & (size - 1)) == 0);
    int fd = erased_file(error);

    if (fd < 0) {
        return NULL;
    }
    uint8_t *bytes = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    bool     ok = bytes != MAP_FAILED;

    for (uint64_t at = 0; ok && at < size; at += ERASED_PIECE) {
        ok = mmap(bytes + at, ERASED_PIECE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE | MAP_FIXED, fd, 0) !=
             MAP_FAILED;
    }
    if (!ok) {
        g_set_error(error, BAILEY_ERROR, 1, "cannot get %" PRIu64 " MiB for a flash chip from the host: %s; free some",
                    size >> 20, g_strerror(errno));
        if (bytes != MAP_FAILED) {
            munmap(bytes, size);
        }
        return NULL;
    }
    PflashCells *c = g_new0(PflashCells, 1);
    c->bytes = bytes;
    c->size = size;
    return c;
}

void pflash_cells_free(PflashCells *c)
{
    if (c != NULL) {
        munmap(c->bytes, c->size);
        g_free(c);
    }
}

uint8_t *pflash_cells_bytes(PflashCells *c) { return c->bytes; }
uint64_t pflash_cells_size(const PflashCells *c) { return c->size; }

/* ---- programs and erases ---- */

static uint64_t block_of(const Pflash *p, uint64_t off)
{
    return off / p->cfg.block_size;
}

static void fail(Pflash *p, uint8_t bits, const char *what, uint64_t off)
{
    guest_error("%s: %s at offset 0x%" PRIx64, p->cfg.name, what, off);
    p->status |= bits;
}

/* False, and told in the status: the block must not change. */
static bool may_change(Pflash *p, uint64_t off, uint8_t why)
{
    if (p->protected || p->locked[block_of(p, off)] != 0) {
        fail(p, why | SR_LOCKED, p->protected ? "change of a write-protected chip" : "change of a locked block", off);
        return false;
    }
    return true;
}

/* The drive has what the cells have. */
static void store(Pflash *p, uint64_t off, uint64_t len, uint8_t why)
{
    if (p->cfg.drive == NULL) {
        return;
    }
    uint64_t first = align_down(off, BLOCKDEV_SECTOR), end = align_up(off + len, BLOCKDEV_SECTOR);

    if (!blockdev_write(p->cfg.drive, first, p->bytes + first, end - first)) {
        p->status |= why;
        log_error("%s: cannot write the drive '%s'; the flash's change is lost with this run", p->cfg.name,
                  blockdev_id(p->cfg.drive));
    }
}

/* Programming turns ones into zeroes, never back. */
static void program(Pflash *p, uint64_t off, const uint8_t *data, uint64_t len)
{
    if (!may_change(p, off, SR_PROGRAM)) {
        return;
    }
    for (uint64_t i = 0; i < len; i++) {
        p->bytes[off + i] &= data[i];
    }
    store(p, off, len, SR_PROGRAM);
}

static void erase(Pflash *p, uint64_t off)
{
    uint64_t base = align_down(off, p->cfg.block_size);

    if (may_change(p, off, SR_ERASE)) {
        memset(p->bytes + base, 0xff, p->cfg.block_size);
        store(p, base, p->cfg.block_size, SR_ERASE);
    }
}

/* ---- write cycles ---- */

/* Reads find the array only in read-array mode between commands; memory answers them then. */
static void enter(Pflash *p, ReadMode read, WriteCycle cycle)
{
    p->read = read;
    p->cycle = cycle;
    memory_flash_direct(p->cfg.memory, p->region, read == READ_ARRAY);
}

static void improper(Pflash *p, uint64_t off, uint64_t value)
{
    guest_error("%s: 0x%" PRIx64 " at offset 0x%" PRIx64 " is not what the command before it takes", p->cfg.name,
                value, off);
    p->status |= SR_PROGRAM | SR_ERASE;
    enter(p, READ_STATUS, CYCLE_COMMAND);
}

static void command(Pflash *p, uint64_t off, uint8_t cmd)
{
    switch (cmd) {
    case CMD_READ_ARRAY:
    case CMD_RESET_AMD:
    case 0x00: /* what some drivers write to leave any mode */
        enter(p, READ_ARRAY, CYCLE_COMMAND);
        break;
    case CMD_PROGRAM:
    case CMD_PROGRAM_ALT:
        enter(p, READ_STATUS, CYCLE_PROGRAM);
        break;
    case CMD_ERASE:
        enter(p, READ_STATUS, CYCLE_ERASE);
        break;
    case CMD_CLEAR_STATUS:
        p->status = SR_READY;
        break;
    case CMD_LOCK_SETUP:
        enter(p, READ_STATUS, CYCLE_LOCK);
        break;
    case CMD_READ_STATUS:
        enter(p, READ_STATUS, CYCLE_COMMAND);
        break;
    case CMD_READ_ID:
        enter(p, READ_ID, CYCLE_COMMAND);
        break;
    case CMD_READ_CFI:
        enter(p, READ_CFI, CYCLE_COMMAND);
        break;
    case CMD_BUFFERED:
        enter(p, READ_STATUS, CYCLE_COUNT);
        break;
    default:
        guest_error("%s: there is no command 0x%02x (at offset 0x%" PRIx64 ")", p->cfg.name, cmd, off);
        enter(p, READ_ARRAY, CYCLE_COMMAND);
        break;
    }
}

static void confirm_lock(Pflash *p, uint64_t off, uint8_t value)
{
    if (value != CMD_LOCK && value != CMD_CONFIRM) {
        improper(p, off, value);
        return;
    }
    p->locked[block_of(p, off)] = value == CMD_LOCK;
    p->cycle = CYCLE_COMMAND;
}

/* The count is of words of one chip, less one: of writes to the bus. */
static void buffer_count(Pflash *p, uint64_t off, uint16_t count)
{
    if (count >= BUFFER_BYTES / BUS_BYTES) {
        improper(p, off, count);
        return;
    }
    memset(p->buffer, 0xff, sizeof(p->buffer));
    p->words_left = count + 1u;
    p->word_first = BUFFER_BYTES;
    p->word_end = 0;
    p->buffer_set = false;
    p->cycle = CYCLE_DATA;
}

/* The first word's address says which aligned part of a block the buffer goes to; the rest must lie in it. */
static void buffer_word(Pflash *p, uint64_t off, unsigned size, uint64_t value)
{
    if (!p->buffer_set) {
        p->buffer_base = align_down(off, BUFFER_BYTES);
        p->buffer_set = true;
    }
    uint64_t rel = off - p->buffer_base;

    if (rel >= BUFFER_BYTES) {
        improper(p, off, value);
        return;
    }
    le_put(p->buffer + rel, value, size);
    p->word_first = MIN(p->word_first, (uint32_t)rel);
    p->word_end = MAX(p->word_end, (uint32_t)(rel + size));
    if (--p->words_left == 0) {
        p->cycle = CYCLE_BUFFERED;
    }
}

static void write_cycle(Pflash *p, uint64_t off, unsigned size, uint64_t value)
{
    uint8_t low = (uint8_t)value;

    switch (p->cycle) {
    case CYCLE_COMMAND:
        command(p, off, low);
        break;
    case CYCLE_PROGRAM: {
        uint8_t data[BUS_BYTES];

        le_put(data, value, size);
        program(p, off, data, size);
        p->cycle = CYCLE_COMMAND;
        break;
    }
    case CYCLE_ERASE:
        if (low != CMD_CONFIRM) {
            improper(p, off, value);
            break;
        }
        erase(p, off);
        p->cycle = CYCLE_COMMAND;
        break;
    case CYCLE_LOCK:
        confirm_lock(p, off, low);
        break;
    case CYCLE_COUNT:
        buffer_count(p, off, (uint16_t)value);
        break;
    case CYCLE_DATA:
        buffer_word(p, off, size, value);
        break;
    case CYCLE_BUFFERED:
        if (low != CMD_CONFIRM) { /* at any address: EDK2's driver confirms at the chip's first */
            improper(p, off, value);
            break;
        }
        program(p, p->buffer_base + p->word_first, p->buffer + p->word_first, p->word_end - p->word_first);
        p->cycle = CYCLE_COMMAND;
        break;
    }
}

static MemResult flash_write(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t value)
{
    Pflash *p = opaque;

    LOG(MMIO, "%s: write 0x%" PRIx64 " at 0x%" PRIx64, p->cfg.name, value, off);
    for (unsigned at = 0; at < size; at += BUS_BYTES) { /* the bus takes 4 bytes at a time */
        write_cycle(p, off + at, MIN(size, BUS_BYTES), value >> 8 * at);
    }
    return MEM_OK;
}

/* ---- reads outside the array ---- */

/* CFI query table. JESD68.01, "Query identification string", "System interface", "Device geometry", and the extended
 * table of command set 0001. The numbers are one chip's. */
static uint8_t cfi_byte(const Pflash *p, uint64_t i)
{
    static const uint8_t fixed[] = {
        [0x10] = 'Q', 'R', 'Y',
        [0x13] = 0x01, 0x00, 0x31, 0x00,             /* command set 0001, its table at 0x31 */
        [0x1b] = 0x45, 0x55, 0x00, 0x00,             /* 4.5 V to 5.5 V, no programming supply */
        [0x1f] = 0x07, 0x07, 0x0a, 0x00,             /* typical times, log2: us word, us buffer, ms erase */
        [0x23] = 0x04, 0x04, 0x04, 0x00,             /* longest, log2 times that */
        [0x28] = 0x01, 0x00,                         /* 16-bit bus */
        [0x2c] = 0x01,                               /* one kind of block */
        [0x31] = 'P', 'R', 'I', '1', '0',            /* version 1.0 */
        [0x36] = 0x20, 0x00, 0x00, 0x00,             /* lock and unlock of one block at a time */
        [0x3b] = 0x01, 0x00,                         /* status of a block: its lock bit */
        [0x3d] = 0x50, 0x00,                         /* 5.0 V */
    };
    uint32_t chip_block = p->cfg.block_size / 2, n_blocks = (uint32_t)(p->size / p->cfg.block_size);

    switch (i) {
    case 0x27:
        return (uint8_t)__builtin_ctzll(p->size / 2);
    case 0x2a: /* log2 of a buffered program's bytes */
        return (uint8_t)__builtin_ctz(BUFFER_BYTES / 2);
    case 0x2d:
    case 0x2e:
        return (uint8_t)((n_blocks - 1) >> 8 * (i - 0x2d));
    case 0x2f:
    case 0x30: /* in units of 256 bytes */
        return (uint8_t)(chip_block >> 8 >> 8 * (i - 0x2f));
    default:
        return i < sizeof(fixed) ? fixed[i] : 0;
    }
}

/* What one chip answers to the address that @off is on its pins. */
static uint16_t chip_answer(const Pflash *p, uint64_t off)
{
    uint64_t word = off / BUS_BYTES, in_block = off % p->cfg.block_size / BUS_BYTES;

    switch (p->read) {
    case READ_ID:
        return word == 0 ? ID_VENDOR : word == 1 ? ID_DEVICE : in_block == 2 ? p->locked[block_of(p, off)] : 0;
    case READ_CFI:
        return cfi_byte(p, word);
    default:
        return p->status;
    }
}

static MemResult flash_read(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t *value)
{
    const Pflash *p = opaque;
    uint64_t      answer = 0;

    for (unsigned at = 0; at < size; at++) {
        uint64_t byte = off + at;

        answer |= (uint64_t)(uint8_t)(chip_answer(p, byte) >> 8 * (byte & 1)) << 8 * at;
    }
    *value = answer;
    LOG(MMIO, "%s: read 0x%" PRIx64 " at 0x%" PRIx64, p->cfg.name, answer, off);
    return MEM_OK;
}

static const MmioOps flash_ops = { flash_read, flash_write };

/* ---- life ---- */

static bool load_drive(Pflash *p, GError **error)
{
    Blockdev *b = p->cfg.drive;

    if (blockdev_size(b) != p->size) {
        g_set_error(error, BAILEY_ERROR, 1,
                    "the drive '%s' has %" PRIu64 " bytes and the flash '%s' %" PRIu64 "; pad the image to that size",
                    blockdev_id(b), blockdev_size(b), p->cfg.name, p->size);
        return false;
    }
    if (!blockdev_read(b, 0, p->bytes, p->size)) {
        g_set_error(error, BAILEY_ERROR, 1, "cannot read the drive '%s' for the flash '%s'; check the file",
                    blockdev_id(b), p->cfg.name);
        return false;
    }
    p->protected = blockdev_readonly(b);
    return true;
}

Pflash *pflash_new(const PflashConfig *cfg, GError **error)
{
    Pflash *p = g_new0(Pflash, 1);

    p->cfg = *cfg;
    p->bytes = cfg->cells->bytes;
    p->size = cfg->cells->size;
    p->status = SR_READY;
    p->locked = g_new0(uint8_t, p->size / cfg->block_size);
    if (cfg->drive != NULL && !load_drive(p, error)) {
        pflash_free(p);
        return NULL;
    }
    p->region = memory_add_flash(cfg->memory, cfg->name, cfg->base, p->size, p->bytes, &flash_ops, p);
    return p;
}

void pflash_free(Pflash *p)
{
    if (p->region != NULL) {
        memory_remove(p->cfg.memory, p->region);
    }
    g_free(p->locked);
    g_free(p);
}
