/*
 * What the file of a -drive holds: sectors as they are (raw), or an image format that has them somewhere in the file.
 * Reads and writes finish before they return. blockdev.h is the drive above it.
 */
#ifndef BAILEY_DISK_IMAGE_H
#define BAILEY_DISK_IMAGE_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct DiskImage DiskImage;

/* A format's functions. Ranges lie inside the image; false: the host's file fails, or the image contradicts itself. */
typedef struct DiskFormat {
    const char *name;
    bool (*open)(DiskImage *d, GError **error); /* sets ->size, ->state */
    bool (*read)(DiskImage *d, uint64_t off, uint8_t *dst, size_t len);
    bool (*write)(DiskImage *d, uint64_t off, const uint8_t *src, size_t len);
    void (*close)(DiskImage *d);                /* frees ->state, which may be NULL */
} DiskFormat;

struct DiskImage {
    const DiskFormat *format;
    char       *path;
    const char *trusted_backing; /* the user's name for its backing file, or NULL */
    int         fd;
    unsigned    depth;           /* how many images stand on it */
    bool        readonly;
    uint64_t    size;            /* bytes that a guest sees */
    DiskImage  *backing;         /* where what it does not hold is; NULL: nowhere, it is zero */
    void       *state;           /* the format's */
};

/**
 * disk_image_open - open and lock an image.
 * @format: "raw" or "qcow2"; NULL: raw, but refused when it looks like another, as what a guest wrote into a raw image
 *     must not be taken for a header that names files
 * @backing: the file that the image may stand on wherever it is; NULL: one in the image's own folder
 * Returns NULL with a sentence.
 */
DiskImage *disk_image_open(const char *path, const char *format, bool readonly, const char *backing, GError **error);

/* disk_image_open_backing - the image that @d stands on, as its own header names it and its format. */
bool disk_image_open_backing(DiskImage *d, const char *name, const char *format, GError **error);

/* disk_image_close - also those that it stands on. NULL is allowed. */
void disk_image_close(DiskImage *d);

/* For formats. disk_file_read - of the file itself; what is behind its end reads zero when @at_end, else it fails. */
bool disk_file_read(DiskImage *d, uint64_t off, void *dst, size_t len, bool at_end);
bool disk_file_write(DiskImage *d, uint64_t off, const void *src, size_t len);

/* disk_image_fail - false, and a sentence about the image. */
bool disk_image_fail(const DiskImage *d, GError **error, const char *fmt, ...) G_GNUC_PRINTF(3, 4);

extern const DiskFormat qcow2_format;

#endif
