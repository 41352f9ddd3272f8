/*
 * Any bytes as kernel, initial RAM disk and device tree: what is placed lies in the guest's memory, in order.
 */
#include <glib.h>
#include <string.h>

#include "bits.h"
#include "bytes.h"
#include "loader.h"

#define RAM_BASE 0x40000000ull
#define RAM_SIZE (64ull << 20)

static void check_piece(const LoadPiece *p, uint64_t *from)
{
    if (p->bytes != NULL) {
        g_assert(p->addr >= *from);
        *from = p->addr + g_bytes_get_size(p->bytes);
        g_assert(*from <= RAM_BASE + RAM_SIZE);
    }
}

/* A copy of the bytes with a magic number at @at, or without: short inputs must get past it. */
static GBytes *with_magic(const uint8_t *data, size_t len, size_t at, const char magic[4], bool wanted)
{
    uint8_t *copy = g_malloc0(MAX(len, at + 4));

    memcpy(copy, data, len);
    if (wanted) {
        memcpy(copy + at, magic, 4);
    }
    return g_bytes_new_take(copy, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As an ELF file: its segments lie in the file, and the flat form has them all. */
static void take_apart(const uint8_t *data, size_t size)
{
    GBytes   *file = with_magic(data, size, 0, "\x7f" "ELF", true);
    LoadImage im;
    uint64_t  addr;

    if (loader_image(&im, file, RAM_BASE, false, "fuzz", NULL)) {
        GBytes *flat = loader_image_flat(&im, 1 << 20, &addr);

        g_assert(im.n != 0);
        g_clear_pointer(&flat, g_bytes_unref);
        loader_image_free(&im);
    }
    g_bytes_unref(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t     cut = size > 2 ? MIN(le16_get(data), size - 2) : 0;
    BootLayout l;

    if (size <= 2) {
        return 0;
    }
    take_apart(data, size);
    GBytes *image = with_magic(data + 2, cut, 56, "ARM\x64", cut & 2);
    GBytes *tree = with_magic(data + 2 + cut, size - 2 - cut, 0, "\xd0\x0d\xfe\xed", cut & 4);
    if (loader_place(&l, image, cut & 1 ? tree : NULL, RAM_BASE, RAM_SIZE, NULL)) {
        uint64_t from = RAM_BASE;

        bool whole = loader_place_dtb(&l, tree, RAM_BASE, RAM_SIZE, NULL);
        for (size_t i = 0; i < (whole ? 3 : 2); i++) {
            check_piece(&l.piece[i], &from);
        }
    }
    loader_free(&l);
    g_bytes_unref(image);
    g_bytes_unref(tree);
    return 0;
}
