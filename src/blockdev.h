/*
 * Drives (-drive) on disk images (disk_image.h). Reads and writes finish before they return, so a guest sees the same
 * order in every run. snapshot=on keeps writes in memory.
 */
#ifndef BAILEY_BLOCKDEV_H
#define BAILEY_BLOCKDEV_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Blockdev Blockdev;

enum { BLOCKDEV_SECTOR = 512 };

/**
 * blockdev_new - open an image from the text of -drive.
 * @option: file=PATH[,id=ID][,format=raw|qcow2][,backing=PATH][,if=none|virtio|pflash][,unit=N][,snapshot=on]
 *     [,readonly=on]
 * Returns NULL with a sentence in @error: not found, not a multiple of the sector, in use, damaged, an unknown word.
 */
Blockdev *blockdev_new(const char *option, GError **error);

/* blockdev_find - the one made with id=@id, or NULL. Without id= it is called drive0, drive1, ... */
Blockdev *blockdev_find(const char *id);

/* blockdev_of_device - the one that drive=@id of a device means; NULL, with a sentence in @error, when there is none
 * such, or @id is NULL. */
Blockdev *blockdev_of_device(const char *id, const char *device, GError **error);

/* blockdev_foreach - calls @fn for all that there are, in order of their making. */
void blockdev_foreach(void (*fn)(void *opaque, Blockdev *b), void *opaque);

void blockdev_free(Blockdev *b);
void blockdev_free_all(void);

const char *blockdev_id(const Blockdev *b);

/* blockdev_interface - the word of if=, "none" when absent: "virtio" asks the board for a virtio-blk-pci, "pflash" for
 * a flash chip. */
const char *blockdev_interface(const Blockdev *b);

/* blockdev_unit - which one of its interface, from unit=; -1: the next that is free. */
int blockdev_unit(const Blockdev *b);

uint64_t blockdev_size(const Blockdev *b); /* bytes, a multiple of BLOCKDEV_SECTOR */
bool     blockdev_readonly(const Blockdev *b);

/* blockdev_path, blockdev_format - the image's file, and "raw" or "qcow2". */
const char *blockdev_path(const Blockdev *b);
const char *blockdev_format(const Blockdev *b);

/* blockdev_backing_depth - how many images it stands on, one below the other. */
unsigned blockdev_backing_depth(const Blockdev *b);

/* blockdev_read, blockdev_write - false when outside the image, read-only, or the host's file fails. */
bool blockdev_read(Blockdev *b, uint64_t off, void *dst, size_t len);
bool blockdev_write(Blockdev *b, uint64_t off, const void *src, size_t len);
bool blockdev_flush(Blockdev *b);

#endif
