/*
 * Opening disk images, and the raw format.
 */
#include "disk_image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bits.h"
#include "blockdev.h"
#include "device.h"

enum { MAX_DEPTH = 16 }; /* images on each other */

bool disk_image_fail(const DiskImage *d, GError **error, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    g_autofree char *why = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    g_set_error(error, BAILEY_ERROR, 0, "cannot use disk image '%s' (from -drive): %s", d->path, why);
    return false;
}

/* ---- the file ---- */

bool disk_file_read(DiskImage *d, uint64_t off, void *dst, size_t len, bool at_end)
{
    uint8_t *p = dst;

    while (len > 0) {
        ssize_t n = pread(d->fd, p, len, (off_t)off);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n == 0 && at_end) {
            memset(p, 0, len);
            return true;
        }
        if (n <= 0) { /* the file shrank below us, or the disk failed */
            return false;
        }
        p += n;
        off += (uint64_t)n;
        len -= (size_t)n;
    }
    return true;
}

bool disk_file_write(DiskImage *d, uint64_t off, const void *src, size_t len)
{
    const uint8_t *p = src;

    while (len > 0) {
        ssize_t n = pwrite(d->fd, p, len, (off_t)off);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        p += n;
        off += (uint64_t)n;
        len -= (size_t)n;
    }
    return true;
}

/* ---- raw ---- */

static bool raw_open(DiskImage *d, GError **error)
{
    off_t end = lseek(d->fd, 0, SEEK_END); /* right for block devices too */

    if (end < 0) {
        return disk_image_fail(d, error, "it has no size; name a regular file or a block device");
    }
    if (end == 0) {
        return disk_image_fail(d, error, "it is empty; make it larger");
    }
    if (end % BLOCKDEV_SECTOR != 0 && d->depth == 0) {
        return disk_image_fail(d, error,
                               "it is %lld bytes, not a multiple of the %d-byte sector; pad it (truncate -s %%%d)",
                               (long long)end, BLOCKDEV_SECTOR, BLOCKDEV_SECTOR);
    }
    d->size = (uint64_t)end;
    return true;
}

static bool raw_read(DiskImage *d, uint64_t off, uint8_t *dst, size_t len)
{
    return disk_file_read(d, off, dst, len, false);
}

static bool raw_write(DiskImage *d, uint64_t off, const uint8_t *src, size_t len)
{
    return disk_file_write(d, off, src, len);
}

static void raw_close(DiskImage *d) {}

static const DiskFormat raw_format = { "raw", raw_open, raw_read, raw_write, raw_close };

/* ---- opening ---- */

static const DiskFormat *const formats[] = { &raw_format, &qcow2_format };

/* What the file's first bytes look like, when that is a format that names other files. */
static const char *looks_like(DiskImage *d)
{
    uint8_t head[4];

    return disk_file_read(d, 0, head, sizeof(head), false) && memcmp(head, "QFI\xfb", 4) == 0 ? "qcow2" : NULL;
}

static bool choose_format(DiskImage *d, const char *format, GError **error)
{
    const char *like = looks_like(d);

    if (format == NULL && like != NULL) {
        return disk_image_fail(d, error,
                               "it looks like %s, but a guest can make a raw image look so; say which it is with "
                               "format=%s or format=raw%s", like, like,
                               d->depth != 0 ? ", in the image that stands on it (qemu-img rebase -u -F)" : "");
    }
    for (unsigned i = 0; i < ARRAY_LEN(formats); i++) {
        if (strcmp(formats[i]->name, format != NULL ? format : "raw") == 0) {
            d->format = formats[i];
        }
    }
    return d->format != NULL ||
           disk_image_fail(d, error, "its format is %s, which is not supported; convert it to qcow2 or raw", format);
}

static bool open_file(DiskImage *d, GError **error)
{
    struct stat st;

    d->fd = open(d->path, (d->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);
    if (d->fd < 0) {
        return disk_image_fail(d, error, "%s%s", g_strerror(errno),
                               errno == EACCES || errno == EROFS ? "; add readonly=on or snapshot=on"
                                                                 : "; check the path");
    }
    if (fstat(d->fd, &st) != 0 || S_ISDIR(st.st_mode)) {
        return disk_image_fail(d, error, "it is a folder; name a file");
    }
    if (flock(d->fd, (d->readonly ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        return disk_image_fail(d, error, "another process writes to it; stop that, or add snapshot=on to both");
    }
    return true;
}

static DiskImage *open_at(const char *path, const char *format, bool readonly, const char *backing, unsigned depth,
                          GError **error)
{
    DiskImage *d = g_new0(DiskImage, 1);

    *d = (DiskImage){ .path = g_strdup(path), .fd = -1, .readonly = readonly, .trusted_backing = backing,
                      .depth = depth };
    if (!open_file(d, error) || !choose_format(d, format, error) || !d->format->open(d, error)) {
        disk_image_close(d);
        return NULL;
    }
    return d;
}

DiskImage *disk_image_open(const char *path, const char *format, bool readonly, const char *backing, GError **error)
{
    return open_at(path, format, readonly, backing, 0, error);
}

/* The file that @name means, if it is in the image's folder or below, links followed; NULL: it is not. */
static char *beside(const DiskImage *d, const char *name)
{
    g_autofree char *folder = g_path_get_dirname(d->path);
    g_autofree char *path = g_path_is_absolute(name) ? g_strdup(name) : g_build_filename(folder, name, NULL);
    char            *real_folder = realpath(folder, NULL), *real = realpath(path, NULL);
    size_t           n = real_folder != NULL ? strlen(real_folder) : 0;
    char            *found = NULL;

    if (real != NULL && n != 0 && strncmp(real, real_folder, n) == 0 && (real[n] == '/' || real_folder[n - 1] == '/')) {
        found = g_strdup(path);
    }
    free(real_folder);
    free(real);
    return found;
}

bool disk_image_open_backing(DiskImage *d, const char *name, const char *format, GError **error)
{
    g_autofree char *path = d->trusted_backing != NULL ? g_strdup(d->trusted_backing) : beside(d, name);

    if (d->depth + 1 == MAX_DEPTH) {
        return disk_image_fail(d, error, "more than %d images stand on each other; merge some (qemu-img rebase)",
                               MAX_DEPTH);
    }
    if (path == NULL) {
        return disk_image_fail(d, error,
                               "its backing file '%s' is not there, or not in the image's own folder; if you trust the "
                               "image, name the file with backing=PATH", name);
    }
    d->backing = open_at(path, format, true, NULL, d->depth + 1, error);
    return d->backing != NULL;
}

void disk_image_close(DiskImage *d)
{
    if (d == NULL) {
        return;
    }
    if (d->format != NULL) {
        d->format->close(d);
    }
    if (d->fd >= 0) {
        close(d->fd);
    }
    disk_image_close(d->backing);
    g_free(d->path);
    g_free(d);
}
