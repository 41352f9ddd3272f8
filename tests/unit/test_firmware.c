/*
 * Firmware above the monitor: which drive is which flash chip, the image of -bios, and the items in fw_cfg.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <glib/gstdio.h>

#include "bits.h"
#include "blockdev.h"
#include "board/cca_firmware.h"
#include "bytes.h"
#include "hw/fw_cfg.h"

static char *folder;

static char *file(const char *name, const char *text, size_t len)
{
    char *path = g_build_filename(folder, name, NULL), *data = g_malloc0(len + 1);

    memcpy(data, text, strlen(text));
    assert_true(g_file_set_contents(path, data, (gssize)len, NULL));
    g_free(data);
    return path;
}

/* ---- drives ---- */

typedef struct DriveRow {
    const char *name;
    const char *words[3]; /* of each -drive */
    const char *bios;
    int         chip[2];  /* which drive each chip has; -1: none */
    const char *sentence; /* NULL: good */
} DriveRow;

static const DriveRow drive_rows[] = {
    { "none", { NULL }, "f", { -1, -1 }, NULL },
    { "in order", { "if=pflash", "if=pflash" }, NULL, { 0, 1 }, NULL },
    { "other drives between", { "if=virtio", "if=pflash", "if=pflash" }, NULL, { 1, 2 }, NULL },
    { "by unit", { "if=pflash,unit=1", "if=pflash,unit=0" }, NULL, { 1, 0 }, NULL },
    { "one by unit", { "if=pflash,unit=1", "if=pflash" }, NULL, { 1, 0 }, NULL },
    { "only firmware", { "if=pflash" }, NULL, { 0, -1 }, NULL },
    { "variables beside -bios", { "if=pflash,unit=1" }, "f", { -1, 0 }, NULL },
    { "firmware beside -bios", { "if=pflash" }, "f", { 0 },
      "-bios and the drive 'd0' both are the firmware; leave one out, or give the drive unit=1" },
    { "variables alone", { "if=pflash,unit=1" }, NULL, { 0 },
      "-drive if=pflash: there are variables but no firmware; add -bios, or a drive with if=pflash,unit=0" },
    { "three", { "if=pflash", "if=pflash", "if=pflash" }, NULL, { 0 },
      "-drive 'd2': the machine has 2 flash chips, units 0 (firmware) and 1 (variables); leave out what is not one of "
      "them" },
    { "unit 2", { "if=pflash,unit=2" }, NULL, { 0 },
      "-drive 'd0': the machine has 2 flash chips, units 0 (firmware) and 1 (variables); leave out what is not one of "
      "them" },
    { "twice the same", { "if=pflash,unit=0", "if=pflash,unit=0" }, NULL, { 0 },
      "-drive: 'd0' and 'd1' both are flash unit 0; give one another unit=" },
};

static void check_drives(const DriveRow *r)
{
    Options    o = { .bios = (char *)r->bios, .firmware = true };
    GPtrArray *drives = g_ptr_array_new();
    Blockdev  *of_chip[CCA_MAX_FLASH] = { NULL };
    GError    *error = NULL;

    for (unsigned i = 0; i < 3 && r->words[i] != NULL; i++) {
        char *name = g_strdup_printf("d%u", i), *path = file(name, "", 1024);
        char *option = g_strdup_printf("file=%s,id=%s,%s", path, name, r->words[i]);

        g_ptr_array_add(drives, blockdev_new(option, NULL));
        assert_non_null(drives->pdata[i]);
        g_free(option);
        g_free(path);
        g_free(name);
    }
    bool ok = cca_flash_drives(&o, drives, of_chip, &error);

    assert_int_equal(ok, r->sentence == NULL);
    if (ok) {
        for (unsigned i = 0; i < 2; i++) {
            assert_ptr_equal(of_chip[i], r->chip[i] < 0 ? NULL : drives->pdata[r->chip[i]]);
        }
    } else {
        assert_string_equal(error->message, r->sentence);
        g_error_free(error);
    }
    g_ptr_array_free(drives, TRUE);
    blockdev_free_all();
}

static void test_drives(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(drive_rows); i++) {
        print_message("%s\n", drive_rows[i].name);
        check_drives(&drive_rows[i]);
    }
}

/* ---- -bios ---- */

enum { CELLS = 2 << 20 };

typedef struct BiosRow {
    const char *name;
    size_t      len;
    bool        ok;
} BiosRow;

static const BiosRow bios_rows[] = {
    { "one byte", 1, true },
    { "all of the chip", CELLS, true },
    { "empty", 0, false },
    { "too large", CELLS + 1, false },
};

static void test_bios(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(bios_rows); i++) {
        const BiosRow *r = &bios_rows[i];
        PflashCells   *cells = pflash_cells_new(CELLS, NULL);
        char          *path = file("bios", r->len != 0 ? "F" : "", r->len);
        Options        o = { .bios = path };
        GError        *error = NULL;

        print_message("%s\n", r->name);
        assert_int_equal(cca_flash_bios(cells, &o, &error), r->ok);
        assert_int_equal(pflash_cells_bytes(cells)[0], r->ok ? 'F' : 0xff);
        assert_int_equal(pflash_cells_bytes(cells)[CELLS - 1], r->len == CELLS ? 0 : 0xff);
        if (!r->ok) {
            assert_non_null(strstr(error->message, "(from -bios): it has "));
            g_error_free(error);
        }
        pflash_cells_free(cells);
        g_free(path);
    }
}

/* ---- fw_cfg ---- */

static const MemAttrs attrs = { .pas = PAS_NONSECURE };

static uint64_t item(Device *dev, uint16_t key, unsigned size)
{
    uint64_t v;

    device_mmio_ops.write(dev, 8, 2, attrs, (uint64_t)(key >> 8 | (key & 0xff) << 8));
    device_mmio_ops.read(dev, 0, size, attrs, &v);
    return v;
}

static void test_items(void **state)
{
    Memory  *m = memory_new(NULL);
    Device  *dev = device_new(device_class_find("fw_cfg"), "fw-cfg", NULL, 0);
    char    *kernel = file("kernel", "kernel's", 8), *initrd = file("initrd", "ramdisk!!", 9), text[] = "quiet";
    Options  o = { .smp = 2, .kernel = kernel, .initrd = initrd, .append = text, .board = (char *)"fvp" };
    GError  *error = NULL;

    fw_cfg_connect(dev, m);
    assert_true(cca_firmware_items(dev, &cca_virt, &o, 1, &error));
    assert_int_equal(item(dev, FW_CFG_KERNEL_SIZE, 4), 8);
    assert_int_equal(item(dev, FW_CFG_KERNEL_DATA, 8), le64_get("kernel's"));
    assert_int_equal(item(dev, FW_CFG_INITRD_SIZE, 4), 9);
    assert_int_equal(item(dev, FW_CFG_INITRD_DATA, 8), le64_get("ramdisk!"));
    assert_int_equal(item(dev, FW_CFG_CMDLINE_SIZE, 4), 6);
    assert_int_equal(item(dev, FW_CFG_CMDLINE_DATA, 4), le32_get("quie"));
    assert_int_equal(item(dev, FW_CFG_FILE_DIR, 4), 0x03000000); /* the three of ACPI */
    assert_int_equal(item(dev, FW_CFG_FILE_FIRST, 8), le64_get("RSD PTR "));
    device_free(dev);

    assert_false(cca_firmware_items(NULL, &cca_fvp, &o, 1, &error));
    assert_string_equal(error->message, "-kernel: the fvp board has no way to pass a kernel to firmware; leave out "
                                        "-bios, or -kernel");
    g_clear_error(&error);
    o.kernel = NULL;
    assert_true(cca_firmware_items(NULL, &cca_fvp, &o, 1, &error));
    g_free(kernel);
    g_free(initrd);
    memory_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drives),
        cmocka_unit_test(test_bios),
        cmocka_unit_test(test_items),
    };

    folder = g_dir_make_tmp("bailey-test-XXXXXX", NULL);
    int result = cmocka_run_group_tests(tests, NULL, NULL);

    for (GDir *d = g_dir_open(folder, 0, NULL); d != NULL; d = NULL) {
        for (const char *name; (name = g_dir_read_name(d)) != NULL;) {
            char *path = g_build_filename(folder, name, NULL);

            g_unlink(path);
            g_free(path);
        }
        g_dir_close(d);
    }
    g_rmdir(folder);
    g_free(folder);
    return result;
}
