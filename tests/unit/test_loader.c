/*
 * Boot images: where they go, and what is said of those that cannot be used.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bits.h"
#include "bytes.h"
#include "loader.h"

#define MIB      (1ull << 20)
#define RAM_BASE 0x40000000ull
#define RAM_SIZE (64 * MIB)

enum { FILE_SIZE = 8192 };

typedef struct ImageRow {
    const char *name;
    gsize       file_size;
    const char *start;  /* first bytes instead of the branch, up to 8 */
    bool        no_magic;
    uint64_t    text_offset, image_size, flags;
    const char *sentence; /* after "cannot start the kernel image (from -kernel): "; NULL: good */
} ImageRow;

#define NO_HEADER "it has no arm64 Image header; use arch/arm64/boot/Image"
#define DAMAGED(image, file, text) "its header is damaged (image size " image ", file size " file ", text offset " \
                                   text "); copy the file again"

static const ImageRow image_rows[] = {
    { "good", FILE_SIZE, NULL, false, 0, 1 * MIB, 0xa, NULL },
    { "good, text offset", FILE_SIZE, NULL, false, 0x80000, 1 * MIB, 0, NULL },
    { "good, before 3.17", FILE_SIZE, NULL, false, 0x80000, 0, 0, NULL },
    { "header only", 64, NULL, false, 0, 64, 0, NULL },
    { "empty", 0, NULL, false, 0, 0, 0, NO_HEADER },
    { "cut in the header", 63, NULL, false, 0, 1 * MIB, 0, NO_HEADER },
    { "no magic", FILE_SIZE, NULL, true, 0, 1 * MIB, 0, NO_HEADER },
    { "one byte", 1, "\x1f", true, 0, 0, 0, NO_HEADER },
    { "gzip", FILE_SIZE, "\x1f\x8b\x08", true, 0, 0, 0, "it is gzip-compressed; unpack it first" },
    { "EFI zboot", FILE_SIZE, "MZ..zimg", true, 0, 0, 0, "it is a compressed EFI image; unpack the payload first" },
    { "ELF", FILE_SIZE, "\177ELF\2\1\1", true, 0, 0, 0, "it is an ELF file; use arch/arm64/boot/Image" },
    { "big-endian", FILE_SIZE, NULL, false, 0, 1 * MIB, 1, "it is big-endian; build a little-endian one" },
    { "longer than it says", FILE_SIZE, NULL, false, 0, FILE_SIZE - 1, 0, DAMAGED("8191", "8192", "0") },
    { "2^40 + 1 bytes", FILE_SIZE, NULL, false, 0, (1ull << 40) + 1, 0, DAMAGED("1099511627777", "8192", "0") },
    { "2^64 - 1 bytes", FILE_SIZE, NULL, false, 0, ~0ull, 0, DAMAGED("18446744073709551615", "8192", "0") },
    { "text offset of 2 MiB", FILE_SIZE, NULL, false, 2 * MIB, 1 * MIB, 0, DAMAGED("1048576", "8192", "2097152") },
    { "text offset unaligned", FILE_SIZE, NULL, false, 0x80004, 1 * MIB, 0, DAMAGED("1048576", "8192", "524292") },
    { "text offset negative", FILE_SIZE, NULL, false, ~0xfffull, 1 * MIB, 0,
      DAMAGED("1048576", "8192", "18446744073709547520") },
};

static GBytes *image(const ImageRow *row)
{
    uint8_t data[FILE_SIZE] = { 0 };

    le32_put(data, 0x14000000);
    if (row->start != NULL) {
        memcpy(data, row->start, strlen(row->start));
    }
    le64_put(data + 8, row->text_offset);
    le64_put(data + 16, row->image_size);
    le64_put(data + 24, row->flags);
    le32_put(data + 56, row->no_magic ? 0 : 0x644d5241);
    return g_bytes_new(data, row->file_size);
}

static void test_image(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(image_rows); i++) {
        const ImageRow *row = &image_rows[i];
        GBytes         *kernel = image(row);
        GError         *error = NULL;
        BootLayout      l;

        bool ok = loader_place(&l, kernel, NULL, RAM_BASE, RAM_SIZE, &error);
        if (ok != (row->sentence == NULL)) {
            fail_msg("%s: %s", row->name, ok ? "taken" : error->message);
        }
        if (ok) {
            assert_int_equal(l.entry, RAM_BASE + row->text_offset);
            assert_int_equal(l.piece[0].addr, l.entry);
            assert_null(l.piece[1].bytes);
            assert_int_equal(l.dtb_addr, RAM_BASE + 2 * MIB);
        } else {
            char *want = g_strconcat("cannot start the kernel image (from -kernel): ", row->sentence, NULL);

            assert_string_equal(error->message, want);
            g_free(want);
            g_error_free(error);
        }
        loader_free(&l);
        g_bytes_unref(kernel);
    }
}

static const ImageRow good = { .file_size = FILE_SIZE, .image_size = 3 * MIB, .text_offset = 0x80000 };

/* The initrd clears the BSS, the device tree clears the initrd, both at 2 MiB. */
static void test_layout(void **state)
{
    GBytes    *kernel = image(&good), *initrd = g_bytes_new_take(g_malloc0(2 * MIB + 1), 2 * MIB + 1);
    BootLayout l;

    assert_true(loader_place(&l, kernel, initrd, RAM_BASE, RAM_SIZE, NULL));
    assert_int_equal(l.piece[1].addr, RAM_BASE + 4 * MIB);
    assert_int_equal(l.dtb_addr, RAM_BASE + 8 * MIB);
    loader_free(&l);
    assert_true(loader_place(&l, kernel, initrd, RAM_BASE + 4096, RAM_SIZE, NULL));
    assert_int_equal(l.entry, RAM_BASE + 2 * MIB + 0x80000);
    loader_free(&l);
    g_bytes_unref(initrd);
    g_bytes_unref(kernel);
}

static void test_too_large(void **state)
{
    static const struct {
        uint64_t    image_size, initrd_size;
        const char *sentence;
    } rows[] = {
        { 62 * MIB, 0, NULL },
        { 63 * MIB, 0, NULL },
        { 64 * MIB, 0,
          "the kernel does not fit into the guest's memory: 66 MiB are needed, -m gives 64 MiB; raise -m" },
        { 1ull << 40, 0, "the kernel does not fit into the guest's memory: 1048578 MiB are needed, -m gives 64 MiB; "
                         "raise -m" },
        { 3 * MIB, 60 * MIB, NULL },
        { 3 * MIB, 61 * MIB, "the initrd does not fit into the guest's memory: 66 MiB are needed, -m gives 64 MiB; "
                             "raise -m" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        ImageRow   row = good;
        GError    *error = NULL;
        GBytes    *initrd = rows[i].initrd_size == 0
                                ? NULL
                                : g_bytes_new_take(g_malloc0(rows[i].initrd_size), rows[i].initrd_size);
        BootLayout l;

        row.image_size = rows[i].image_size;
        GBytes *kernel = image(&row);
        bool    ok = loader_place(&l, kernel, initrd, RAM_BASE, RAM_SIZE, &error);
        assert_int_equal(ok, rows[i].sentence == NULL);
        if (!ok) {
            assert_string_equal(error->message, rows[i].sentence);
            g_error_free(error);
        }
        loader_free(&l);
        g_clear_pointer(&initrd, g_bytes_unref);
        g_bytes_unref(kernel);
    }
}

/* ---- device trees ---- */

/* A header and 64 bytes: 32 of structure, 32 of strings. */
enum { DTB_SIZE = 40 + 64 };

static GBytes *dtb(unsigned at, uint32_t value, gsize size)
{
    static const uint32_t header[10] = { 0xd00dfeed, DTB_SIZE, 40, 72, 40, 17, 16, 0, 32, 32 };
    uint8_t              *data = g_malloc0(MAX(size, DTB_SIZE));

    for (unsigned i = 0; i < ARRAY_LEN(header); i++) {
        be32_put(data + i * 4, i * 4 == at ? value : header[i]);
    }
    return g_bytes_new_take(data, size);
}

static void test_dtb(void **state)
{
    enum { NOWHERE = 1000 };
    static const char damaged[] = "the device tree (from -dtb) is damaged: it has no valid header, is cut off, or is "
                                  "larger than 2 MiB; make it with dtc";
    static const struct {
        const char *name;
        unsigned    at;
        uint32_t    value;
        gsize       size;
        const char *sentence;
    } rows[] = {
        { "good", NOWHERE, 0, DTB_SIZE, NULL },
        { "good, padded", NOWHERE, 0, DTB_SIZE + 1, NULL },
        { "empty", NOWHERE, 0, 0, damaged },
        { "cut in the header", NOWHERE, 0, 39, damaged },
        { "cut", NOWHERE, 0, DTB_SIZE - 1, damaged },
        { "magic", 0, 0xedfe0dd0, DTB_SIZE, damaged },
        { "totalsize 0", 4, 0, DTB_SIZE, damaged },
        { "totalsize 2^32 - 1", 4, ~0u, DTB_SIZE, damaged },
        { "structure block outside", 8, 73, DTB_SIZE, damaged },
        { "structure block at 2^32 - 1", 8, ~0u, DTB_SIZE, damaged },
        { "strings outside", 12, 73, DTB_SIZE, damaged },
        { "version 16", 20, 16, DTB_SIZE, damaged },
        { "needs version 18", 24, 18, DTB_SIZE, damaged },
        { "size of strings", 32, ~0u, DTB_SIZE, damaged },
        { "size of structure", 36, 33 + 32, DTB_SIZE, damaged },
        { "2 MiB", NOWHERE, 0, 2 * MIB, NULL },
        { "more than 2 MiB", NOWHERE, 0, 2 * MIB + 1, damaged },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        GBytes    *kernel = image(&good), *tree = dtb(rows[i].at, rows[i].value, rows[i].size);
        GError    *error = NULL;
        BootLayout l;

        assert_true(loader_place(&l, kernel, NULL, RAM_BASE, RAM_SIZE, NULL));
        bool ok = loader_place_dtb(&l, tree, RAM_BASE, RAM_SIZE, &error);
        if (ok != (rows[i].sentence == NULL)) {
            fail_msg("%s: %s", rows[i].name, ok ? "taken" : error->message);
        }
        if (ok) {
            assert_int_equal(l.piece[2].addr, l.dtb_addr);
            assert_int_equal(l.end, l.dtb_addr + 2 * MIB);
        } else {
            assert_string_equal(error->message, rows[i].sentence);
            g_error_free(error);
        }
        loader_free(&l);
        g_bytes_unref(tree);
        g_bytes_unref(kernel);
    }
}

/* Exactly up to the end of memory there is room for a kernel, and none for the tree. */
static void test_dtb_does_not_fit(void **state)
{
    ImageRow   row = good;
    GError    *error = NULL;
    BootLayout l;

    row.image_size = RAM_SIZE - 1 * MIB;
    GBytes *kernel = image(&row), *tree = dtb(1000, 0, DTB_SIZE);
    assert_true(loader_place(&l, kernel, NULL, RAM_BASE, RAM_SIZE, NULL));
    assert_false(loader_place_dtb(&l, tree, RAM_BASE, RAM_SIZE, &error));
    assert_string_equal(error->message, "the device tree does not fit into the guest's memory: 66 MiB are needed, -m "
                                        "gives 64 MiB; raise -m");
    g_error_free(error);
    loader_free(&l);
    g_bytes_unref(tree);
    g_bytes_unref(kernel);
}

static void test_files(void **state)
{
    GError *error = NULL;

    assert_null(loader_read_file("/nonexistent/Image", "-kernel", &error));
    assert_non_null(strstr(error->message, "cannot read '/nonexistent/Image' (from -kernel): "));
    g_clear_error(&error);
    assert_null(loader_read_file("/", "-initrd", &error)); /* a directory */
    assert_non_null(strstr(error->message, "(from -initrd)"));
    g_clear_error(&error);
    assert_null(loader_read_file("/dev/zero", "-kernel", &error)); /* no end */
    assert_non_null(strstr(error->message, "or no end"));
    g_clear_error(&error);
    GBytes *none = loader_read_file("/dev/null", "-initrd", &error);
    assert_non_null(none);
    assert_int_equal(g_bytes_get_size(none), 0);
    g_bytes_unref(none);
}

/* A kernel with an EFI stub says how long its file is: a shorter one was cut off. */
static void test_cut_off(void **state)
{
    uint8_t    data[FILE_SIZE] = { 'M', 'Z' };
    BootLayout l;

    le64_put(data + 16, 1 * MIB);
    le32_put(data + 56, 0x644d5241);
    le32_put(data + 0x3c, 0x40);
    memcpy(data + 0x40, "PE\0", 4);
    le16_put(data + 0x46, 2);   /* sections, behind an optional header of 16 bytes */
    le16_put(data + 0x54, 16);
    le32_put(data + 0x68 + 16, 1024);
    le32_put(data + 0x68 + 20, 1024);
    le32_put(data + 0x90 + 16, FILE_SIZE - 4096);
    le32_put(data + 0x90 + 20, 4096);
    for (gsize len = 64; len <= FILE_SIZE; len += len == 64 ? 4032 : 4096) {
        GBytes *kernel = g_bytes_new(data, len);
        GError *error = NULL;
        bool    ok = loader_place(&l, kernel, NULL, RAM_BASE, RAM_SIZE, &error);

        /* At 64 bytes nothing of the PE header is there, so nothing is known to be missing. */
        assert_int_equal(ok, len == 64 || len == FILE_SIZE);
        if (ok) {
            loader_free(&l);
        } else {
            assert_non_null(strstr(error->message, "it is cut off"));
            g_error_free(error);
        }
        g_bytes_unref(kernel);
    }
}

/* ---- ELF files and raw bytes ---- */

enum { ELF_LEN = 0x200 };

/* Two segments: 16 bytes at 0x88000000 that need 64, and 8 at 0x88001000; a note between them. */
static void make_elf(uint8_t *p)
{
    static const uint8_t ident[] = { 0x7f, 'E', 'L', 'F', 2, 1, 1 };
    static const struct {
        uint32_t type;
        uint64_t off, paddr, file_size, mem_size;
    } headers[] = { { 1, 0x100, 0x88000000, 16, 64 }, { 4, 0x100, 0, 4, 4 }, { 1, 0x110, 0x88001000, 8, 8 } };

    memset(p, 0, ELF_LEN);
    memcpy(p, ident, sizeof(ident));
    le16_put(p + 16, 2);
    le16_put(p + 18, 183);
    le64_put(p + 24, 0x88000004);
    le64_put(p + 32, 64);
    le16_put(p + 54, 56);
    le16_put(p + 56, G_N_ELEMENTS(headers));
    for (size_t i = 0; i < G_N_ELEMENTS(headers); i++) {
        uint8_t *h = p + 64 + 56 * i;

        le32_put(h, headers[i].type);
        le64_put(h + 8, headers[i].off);
        le64_put(h + 24, headers[i].paddr);
        le64_put(h + 32, headers[i].file_size);
        le64_put(h + 40, headers[i].mem_size);
    }
    memset(p + 0x100, 0xaa, 16);
    memset(p + 0x110, 0xbb, 8);
}

static bool take(const uint8_t *p, size_t len, bool raw, LoadImage *im, GError **error)
{
    GBytes *file = g_bytes_new(p, len);
    bool    ok = loader_image(im, file, 0x1000, raw, "x.elf", error);

    g_bytes_unref(file);
    return ok;
}

static void test_elf(void **state)
{
    uint8_t   p[ELF_LEN];
    LoadImage im;
    uint64_t  addr;
    gsize     len;

    make_elf(p);
    assert_true(take(p, ELF_LEN, false, &im, NULL));
    assert_int_equal(im.n, 2);
    assert_int_equal(im.entry, 0x88000004);
    assert_int_equal(im.segment[0].size, 64);
    assert_int_equal(im.segment[1].addr, 0x88001000);
    assert_null(loader_image_flat(&im, 0x1007, &addr));
    GBytes        *flat = loader_image_flat(&im, 0x1008, &addr);
    const uint8_t *data = g_bytes_get_data(flat, &len);
    assert_int_equal(addr, 0x88000000);
    assert_int_equal(len, 0x1008);
    assert_int_equal(data[15] | data[16] << 8 | data[0xfff] << 16 | (uint32_t)data[0x1000] << 24, 0xbb0000aa);
    g_bytes_unref(flat);
    loader_image_free(&im);

    assert_true(take(p, ELF_LEN, true, &im, NULL)); /* as raw bytes */
    assert_int_equal(im.n, 1);
    assert_int_equal(im.entry, 0x1000);
    assert_int_equal(im.segment[0].len, ELF_LEN);
    loader_image_free(&im);
}

/* A damaged file, and the sentence about it. */
static void test_bad_elf(void **state)
{
    static const struct {
        const char *says;
        size_t      at, size;
        uint64_t    value;
        size_t      len;
    } rows[] = {
        { "cut off", 0, 0, 0, 63 },
        { "not for little-endian AArch64", 4, 1, 1, ELF_LEN },   /* 32-bit */
        { "not for little-endian AArch64", 5, 1, 2, ELF_LEN },   /* big-endian */
        { "not for little-endian AArch64", 18, 2, 62, ELF_LEN }, /* x86-64 */
        { "not linked", 16, 2, 1, ELF_LEN },
        { "header is damaged", 54, 2, 32, ELF_LEN },
        { "program headers are cut off", 32, 8, ~7ull, ELF_LEN },
        { "program headers are cut off", 56, 2, 9, ELF_LEN },
        { "segment is cut off", 64 + 8, 8, ELF_LEN - 15, ELF_LEN },
        { "segment is cut off", 64 + 8, 8, ~0ull, ELF_LEN },
        { "segment is cut off", 64 + 32, 8, 65, ELF_LEN },       /* more in the file than in memory */
        { "end of the address space", 64 + 24, 8, ~0ull - 8, ELF_LEN },
        { "nothing to load", 56, 2, 0, ELF_LEN },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        uint8_t   p[ELF_LEN];
        LoadImage im;
        GError   *error = NULL;

        make_elf(p);
        le_put(p + rows[i].at, rows[i].value, rows[i].size);
        assert_false(take(p, rows[i].len, false, &im, &error));
        if (strstr(error->message, rows[i].says) == NULL) {
            fail_msg("row %zu: %s", i, error->message);
        }
        g_error_free(error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_off), cmocka_unit_test(test_elf), cmocka_unit_test(test_bad_elf),
        cmocka_unit_test(test_image),     cmocka_unit_test(test_layout),
        cmocka_unit_test(test_too_large), cmocka_unit_test(test_dtb),
        cmocka_unit_test(test_dtb_does_not_fit), cmocka_unit_test(test_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
