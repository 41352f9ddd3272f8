/*
 * CFI flash: what a driver does with it (probe, erase, program, lock), what it may not, and what stays.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "bytes.h"
#include "hw/pflash.h"

enum { BASE = 0x08000000, SIZE = 8 << 20, BLOCK = 256 << 10 };

static const MemAttrs attrs = { .pas = PAS_NONSECURE };

typedef struct Board {
    Owners      *owners;
    Memory      *memory;
    PflashCells *cells;
    Pflash      *flash;
} Board;

static void power_on(Board *b, Blockdev *drive)
{
    PflashConfig cfg = { .name = "flash0", .base = BASE, .block_size = BLOCK, .cells = b->cells, .drive = drive };

    b->owners = owners_new();
    cfg.memory = b->memory = memory_new(b->owners);
    b->flash = pflash_new(&cfg, NULL);
    assert_non_null(b->flash);
}

static void power_off(Board *b)
{
    pflash_free(b->flash);
    memory_free(b->memory);
    owners_free(b->owners);
}

static int setup(void **state)
{
    Board *b = *state = g_new0(Board, 1);

    b->cells = pflash_cells_new(SIZE, NULL);
    assert_non_null(b->cells);
    power_on(b, NULL);
    return 0;
}

static int teardown(void **state)
{
    Board *b = *state;

    power_off(b);
    pflash_cells_free(b->cells);
    g_free(b);
    return 0;
}

static uint64_t get(Board *b, uint64_t off, unsigned size)
{
    uint8_t v[8] = { 0 };

    assert_int_equal(memory_read(b->memory, BASE + off, attrs, v, size), MEM_OK);
    return le_get(v, size);
}

static void put(Board *b, uint64_t off, unsigned size, uint64_t value)
{
    uint8_t v[8];

    le_put(v, value, size);
    assert_int_equal(memory_write(b->memory, BASE + off, attrs, v, size), MEM_OK);
}

/* A command to both chips. */
static void cmd(Board *b, uint64_t off, uint32_t c) { put(b, off, 4, c | c << 16); }

static void test_array(void **state)
{
    Board *b = *state;
    bool   writable = true;

    assert_int_equal(get(b, 0, 8), UINT64_MAX);
    assert_int_equal(get(b, SIZE - 4, 4), 0xffffffff);
    assert_ptr_equal(memory_host_page(b->memory, BASE, &writable), pflash_cells_bytes(b->cells));
    assert_false(writable);
    cmd(b, 0, 0x70);
    assert_null(memory_host_page(b->memory, BASE, &writable)); /* reads must reach the chips */
    assert_int_equal(get(b, 0x1000, 4), 0x00800080);
    cmd(b, 0, 0xff);
    assert_non_null(memory_host_page(b->memory, BASE, &writable));
}

/* What a CFI probe reads, row by row: address on the chips' pins, answer of one. */
static void test_query(void **state)
{
    static const struct {
        uint32_t word;
        uint16_t answer;
    } rows[] = {
        { 0x10, 'Q' }, { 0x11, 'R' }, { 0x12, 'Y' }, { 0x13, 1 },    { 0x14, 0 },    { 0x15, 0x31 },
        { 0x27, 22 }, /* 4 MiB */     { 0x28, 1 },   { 0x2a, 6 },    { 0x2c, 1 },    { 0x2d, SIZE / BLOCK - 1 },
        { 0x2e, 0 },   { 0x2f, 0 },   { 0x30, 2 },   { 0x31, 'P' },  { 0x32, 'R' },  { 0x33, 'I' },
        { 0x3f, 0 },   { 0x1000, 0 },
    };
    Board *b = *state;

    cmd(b, 0x55 * 4, 0x98);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        assert_int_equal(get(b, rows[i].word * 4, 4), rows[i].answer | (uint32_t)rows[i].answer << 16);
    }
    assert_int_equal(get(b, 0x10 * 4, 1), 'Q');
    assert_int_equal(get(b, 0x10 * 4, 8), (uint64_t)('R' | 'R' << 16) << 32 | ('Q' | 'Q' << 16));
    cmd(b, 0, 0x90);
    assert_int_equal(get(b, 0, 4), 0x00890089);
    assert_int_equal(get(b, 4, 4), 0x00180018);
}

static void test_program_and_erase(void **state)
{
    Board *b = *state;

    cmd(b, BLOCK + 8, 0x40);
    put(b, BLOCK + 8, 4, 0x12345678);
    assert_int_equal(get(b, BLOCK + 8, 4), 0x00800080); /* status, until asked for the array */
    cmd(b, 0, 0xff);
    assert_int_equal(get(b, BLOCK + 8, 4), 0x12345678);
    assert_int_equal(get(b, BLOCK + 4, 4), 0xffffffff);
    cmd(b, BLOCK + 8, 0x10);
    put(b, BLOCK + 8, 4, 0xffff0f0f); /* ones stay zeroes */
    cmd(b, 0, 0xff);
    assert_int_equal(get(b, BLOCK + 8, 4), 0x12340608);
    cmd(b, 2 * BLOCK, 0x20);
    cmd(b, 2 * BLOCK, 0xd0); /* another block */
    cmd(b, 0, 0xff);
    assert_int_equal(get(b, BLOCK + 8, 4), 0x12340608);
    cmd(b, BLOCK + 0x100, 0x20);
    cmd(b, BLOCK + 0x100, 0xd0);
    assert_int_equal(get(b, 0, 4), 0x00800080);
    cmd(b, 0, 0xff);
    assert_int_equal(get(b, BLOCK + 8, 4), 0xffffffff);
}

static void test_buffered(void **state)
{
    Board *b = *state;

    cmd(b, BLOCK, 0xe8);
    assert_int_equal(get(b, BLOCK, 4), 0x00800080);
    cmd(b, BLOCK, 3); /* four words */
    for (uint32_t i = 0; i < 4; i++) {
        put(b, BLOCK + 16 + 4 * i, 4, 0x01010101 * i);
    }
    cmd(b, 0, 0xd0); /* at the chip's first address, as EDK2 does */
    assert_int_equal(get(b, BLOCK, 4), 0x00800080);
    cmd(b, 0, 0xff);
    assert_int_equal(get(b, BLOCK + 12, 4), 0xffffffff);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(get(b, BLOCK + 16 + 4 * i, 4), 0x01010101 * i);
    }
    assert_int_equal(get(b, BLOCK + 32, 4), 0xffffffff);
}

/* A misuse: what is written, and the status it leaves. */
static void test_misuse(void **state)
{
    static const struct {
        const char *name;
        struct {
            uint32_t off, value;
        } write[4];
        unsigned n;
        uint16_t status;
    } rows[] = {
        { "erase without confirmation", { { BLOCK, 0x20 }, { BLOCK, 0xff } }, 2, 0xb0 },
        { "lock without a kind", { { BLOCK, 0x60 }, { BLOCK, 0x12 } }, 2, 0xb0 },
        { "too long a buffer", { { BLOCK, 0xe8 }, { BLOCK, 32 } }, 2, 0xb0 },
        { "buffer across its range",
          { { BLOCK, 0xe8 }, { BLOCK, 1 }, { BLOCK + 0x7c, 0 }, { BLOCK + 0x80, 0 } }, 4, 0xb0 },
        { "buffer not confirmed", { { BLOCK, 0xe8 }, { BLOCK, 0 }, { BLOCK, 0 }, { BLOCK, 0xff } }, 4, 0xb0 },
        { "program of a locked block", { { 5 * BLOCK, 0x40 }, { 5 * BLOCK, 0 } }, 2, 0x92 },
        { "erase of a locked block", { { 5 * BLOCK, 0x20 }, { 5 * BLOCK, 0xd0 } }, 2, 0xa2 },
    };
    Board *b = *state;

    cmd(b, 5 * BLOCK, 0x60);
    cmd(b, 5 * BLOCK, 0x01);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        cmd(b, 0, 0x50);
        for (unsigned k = 0; k < rows[i].n; k++) {
            cmd(b, rows[i].write[k].off, rows[i].write[k].value);
        }
        if (get(b, 0, 2) != rows[i].status) {
            fail_msg("%s: status 0x%x", rows[i].name, (unsigned)get(b, 0, 2));
        }
        cmd(b, 0, 0xff);
        assert_int_equal(get(b, BLOCK, 4), 0xffffffff);
        assert_int_equal(get(b, 5 * BLOCK, 4), 0xffffffff);
    }
    cmd(b, 0, 0x70);
    assert_int_equal(get(b, 0, 2), 0xa2); /* an error stays until it is cleared */
    cmd(b, 0, 0x90);
    assert_int_equal(get(b, 5 * BLOCK + 8, 4), 0x00010001);
    assert_int_equal(get(b, 4 * BLOCK + 8, 4), 0);
    cmd(b, 5 * BLOCK, 0x60);
    cmd(b, 5 * BLOCK, 0xd0);
    cmd(b, 0, 0x90);
    assert_int_equal(get(b, 5 * BLOCK + 8, 4), 0);
    cmd(b, 0, 0x77); /* no command: the array again */
    assert_int_equal(get(b, 0, 4), 0xffffffff);
}

/* The cells live on over a reset; modes and locks do not. */
static void test_reset(void **state)
{
    Board *b = *state;

    cmd(b, 0, 0x60);
    cmd(b, 0, 0x01);
    cmd(b, BLOCK, 0x40);
    put(b, BLOCK, 4, 0xcafe);
    power_off(b);
    power_on(b, NULL);
    assert_int_equal(get(b, BLOCK, 4), 0xcafe);
    cmd(b, 0, 0x90);
    assert_int_equal(get(b, 8, 4), 0);
}

static void test_drive(void **state)
{
    Board    *b = *state;
    char     *path = g_strdup("pflash-test-XXXXXX"), *option, *bytes;
    int       fd = mkstemp(path);
    Blockdev *drive;
    GError   *error = NULL;

    power_off(b);
    assert_int_equal(ftruncate(fd, SIZE), 0);
    assert_int_equal(pwrite(fd, "\x0f\xf0\xff\xff", 4, BLOCK), 4);
    option = g_strdup_printf("file=%s,id=code", path);
    drive = blockdev_new(option, &error);
    assert_non_null(drive);
    power_on(b, drive);
    assert_int_equal(get(b, BLOCK, 4), 0xfffff00f);
    cmd(b, BLOCK, 0x40);
    put(b, BLOCK, 4, 0xffff0001);
    cmd(b, 2 * BLOCK, 0x20);
    cmd(b, 2 * BLOCK, 0xd0);
    blockdev_free(drive);
    assert_true(g_file_get_contents(path, &bytes, NULL, NULL));
    assert_int_equal(le32_get((uint8_t *)bytes + BLOCK), 0xffff0001);
    assert_int_equal(le32_get((uint8_t *)bytes + 3 * BLOCK - 4), 0xffffffff);
    assert_int_equal(le32_get((uint8_t *)bytes + 3 * BLOCK), 0);
    g_free(bytes);

    power_off(b);
    g_free(option);
    option = g_strdup_printf("file=%s,id=code,readonly=on", path);
    drive = blockdev_new(option, &error);
    power_on(b, drive);
    cmd(b, 0, 0x20);
    cmd(b, 0, 0xd0);
    assert_int_equal(get(b, 0, 2), 0xa2);

    PflashCells *small = pflash_cells_new(4 << 20, NULL);
    PflashConfig cfg = { .name = "flash1", .memory = b->memory, .block_size = BLOCK, .cells = small, .drive = drive };
    assert_null(pflash_new(&cfg, &error));
    assert_non_null(strstr(error->message, "'code' has 8388608 bytes"));
    g_error_free(error);
    pflash_cells_free(small);
    blockdev_free(drive);
    close(fd);
    unlink(path);
    g_free(path);
    g_free(option);
}

/* What fills a chip before power on goes around its commands. */
static void test_load(void **state)
{
    Board *b = *state;

    cmd(b, 0, 0x70);
    assert_true(memory_load(b->memory, BASE + 4, "abcd", 4));
    assert_false(memory_load(b->memory, BASE + SIZE - 2, "abcd", 4));
    assert_int_equal(get(b, 4, 4), 0x00800080);
    cmd(b, 0, 0xff);
    assert_int_equal(get(b, 4, 4), 0x64636261);
    assert_int_equal(get(b, SIZE - 4, 4), 0xffffffff);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_array, setup, teardown),
        cmocka_unit_test_setup_teardown(test_query, setup, teardown),
        cmocka_unit_test_setup_teardown(test_program_and_erase, setup, teardown),
        cmocka_unit_test_setup_teardown(test_buffered, setup, teardown),
        cmocka_unit_test_setup_teardown(test_misuse, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reset, setup, teardown),
        cmocka_unit_test_setup_teardown(test_drive, setup, teardown),
        cmocka_unit_test_setup_teardown(test_load, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
