/*
 * Any bytes as a qcow2 image: opened, read and written all over. The input is patches of a sound image (a byte of how
 * many, then place and value of each), so that what lies behind the header is reached too; and then the file as it is.
 */
#define _GNU_SOURCE /* memfd_create() */
#include <glib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bytes.h"
#include "disk_image.h"

enum { CLUSTER = 512, N_CLUSTERS = 40, PATCH = 12 };

/* Header, counts, L1, L2 and data of a 64 KiB disk with clusters of 512 bytes. */
static void make_image(uint8_t image[N_CLUSTERS * CLUSTER])
{
    memset(image, 0, N_CLUSTERS * CLUSTER);
    memcpy(image, "QFI\xfb", 4);
    be32_put(image + 4, 3);
    be32_put(image + 20, 9);
    be64_put(image + 24, 64 * 1024);
    be32_put(image + 36, 2);
    be64_put(image + 40, 3 * CLUSTER);
    be64_put(image + 48, 1 * CLUSTER);
    be32_put(image + 56, 1);
    be32_put(image + 96, 4);
    be32_put(image + 100, 104);
    be64_put(image + CLUSTER, 2 * CLUSTER);
    for (unsigned i = 0; i < N_CLUSTERS; i++) {
        be16_put(image + 2 * CLUSTER + i * 2, 1);
    }
    be64_put(image + 3 * CLUSTER, 1ull << 63 | 4 * CLUSTER);
    for (unsigned i = 0; i < 30; i++) {
        be64_put(image + 4 * CLUSTER + i * 8, (uint64_t)(i % 3 != 0) << 63 | (5 + i) * CLUSTER);
    }
    be64_put(image + 4 * CLUSTER + 31 * 8, 1ull << 62 | 36 * CLUSTER); /* compressed */
    be64_put(image + 4 * CLUSTER + 32 * 8, 1); /* zero */
}

static void use(DiskImage *d, const uint8_t *data, size_t size)
{
    static uint8_t buf[3000];
    uint64_t       places[8] = { 0, d->size / 2, d->size - MIN(d->size, sizeof(buf)), 31 * CLUSTER, 32 * CLUSTER };

    for (unsigned i = 5; i < G_N_ELEMENTS(places); i++) {
        places[i] = i * 8 <= size ? be64_get(data + (i - 5) * 8) : 0;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(places); i++) {
        uint64_t at = places[i] % d->size;
        size_t   len = (size_t)MIN(sizeof(buf), d->size - at);

        d->format->read(d, at, buf, len);
        if (!d->readonly) {
            d->format->write(d, at, buf, len);
            d->format->read(d, at, buf, len);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char   *path;
    static int     fd;
    static uint8_t image[N_CLUSTERS * CLUSTER];

    if (path == NULL) {
        fd = memfd_create("image", MFD_CLOEXEC);
        path = g_strdup_printf("/proc/self/fd/%d", fd);
    }
    if (size == 0) {
        return 0;
    }
    unsigned patches = data[0] % 16;

    make_image(image);
    for (unsigned i = 0; i < patches && 1 + (i + 1) * PATCH <= size; i++) {
        const uint8_t *p = data + 1 + i * PATCH;

        memcpy(image + be32_get(p) % (sizeof(image) - 8), p + 4, 8);
    }
    for (unsigned readonly = 0; readonly < 2; readonly++) {
        const void *bytes = patches != 0 ? image : data + 1;
        size_t      len = patches != 0 ? sizeof(image) : size - 1;
        GError     *error = NULL;

        g_assert(ftruncate(fd, 0) == 0 && pwrite(fd, bytes, len, 0) == (ssize_t)len);
        DiskImage *d = disk_image_open(path, "qcow2", readonly != 0, NULL, &error);

        g_assert((d == NULL) == (error != NULL));
        if (d != NULL) {
            use(d, data, size);
        }
        g_clear_error(&error);
        disk_image_close(d);
    }
    return 0;
}
