/*
 * Drives. With snapshot=on writes stay in memory, in clusters made when first written; the image is then opened
 * read-only.
 */
#include "blockdev.h"

#include <string.h>
#include <unistd.h>

#include "device.h"
#include "disk_image.h"
#include "options.h"

enum { CLUSTER = 64 * 1024 };

struct Blockdev {
    char       *id, *interface;
    int         unit;
    DiskImage  *image;
    bool        readonly;
    GHashTable *overlay; /* cluster number -> its bytes; looked up, never listed. NULL: the image is written */
};

static GPtrArray *all;
static unsigned   unnamed;

Blockdev *blockdev_find(const char *id)
{
    for (guint i = 0; all != NULL && i < all->len; i++) {
        if (strcmp(((Blockdev *)all->pdata[i])->id, id) == 0) {
            return all->pdata[i];
        }
    }
    return NULL;
}

Blockdev *blockdev_of_device(const char *id, const char *device, GError **error)
{
    Blockdev *b = id != NULL ? blockdev_find(id) : NULL;

    if (id == NULL) {
        g_set_error(error, BAILEY_ERROR, 0, "device %s needs drive=ID of a -drive", device);
    } else if (b == NULL) {
        g_set_error(error, BAILEY_ERROR, 0, "device %s needs drive=ID of a -drive; there is none called '%s'",
                    device, id);
    }
    return b;
}

void blockdev_foreach(void (*fn)(void *opaque, Blockdev *b), void *opaque)
{
    for (guint i = 0; all != NULL && i < all->len; i++) {
        fn(opaque, all->pdata[i]);
    }
}

const char *blockdev_path(const Blockdev *b) { return b->image->path; }
const char *blockdev_format(const Blockdev *b) { return b->image->format->name; }
unsigned blockdev_backing_depth(const Blockdev *b)
{
    unsigned n = 0;

    for (const DiskImage *d = b->image->backing; d != NULL; d = d->backing) {
        n++;
    }
    return n;
}

const char *blockdev_id(const Blockdev *b) { return b->id; }
const char *blockdev_interface(const Blockdev *b) { return b->interface; }
int blockdev_unit(const Blockdev *b) { return b->unit; }
uint64_t blockdev_size(const Blockdev *b) { return b->image->size; }
bool blockdev_readonly(const Blockdev *b) { return b->readonly; }

/* ---- data ---- */

static bool in_range(const Blockdev *b, uint64_t off, size_t len)
{
    return off <= b->image->size && len <= b->image->size - off;
}

static bool image_read(Blockdev *b, uint64_t off, uint8_t *p, size_t len)
{
    return b->image->format->read(b->image, off, p, len);
}

static uint8_t *overlay_find(Blockdev *b, uint64_t cluster)
{
    return b->overlay == NULL ? NULL : g_hash_table_lookup(b->overlay, &cluster);
}

/* The in-memory copy of a cluster, filled from the image when new. NULL: the image could not be read. */
static uint8_t *overlay_make(Blockdev *b, uint64_t cluster)
{
    uint8_t *data = overlay_find(b, cluster);

    if (data == NULL) {
        uint64_t off = cluster * CLUSTER;

        data = g_malloc0(CLUSTER);
        if (!image_read(b, off, data, MIN((uint64_t)CLUSTER, b->image->size - off))) {
            g_free(data);
            return NULL;
        }
        g_hash_table_insert(b->overlay, g_memdup2(&cluster, sizeof(cluster)), data);
    }
    return data;
}

bool blockdev_read(Blockdev *b, uint64_t off, void *dst, size_t len)
{
    uint8_t *p = dst;

    if (!in_range(b, off, len)) {
        return false;
    }
    if (b->overlay == NULL) {
        return image_read(b, off, p, len);
    }
    while (len > 0) {
        size_t   in = off % CLUSTER, n = MIN(len, CLUSTER - in);
        uint8_t *data = overlay_find(b, off / CLUSTER);

        if (data != NULL) {
            memcpy(p, data + in, n);
        } else if (!image_read(b, off, p, n)) {
            return false;
        }
        p += n;
        off += n;
        len -= n;
    }
    return true;
}

bool blockdev_write(Blockdev *b, uint64_t off, const void *src, size_t len)
{
    const uint8_t *p = src;

    if (b->readonly || !in_range(b, off, len)) {
        return false;
    }
    if (b->overlay == NULL) {
        return b->image->format->write(b->image, off, p, len);
    }
    while (len > 0) {
        size_t   in = off % CLUSTER, n = MIN(len, CLUSTER - in);
        uint8_t *data = overlay_make(b, off / CLUSTER);

        if (data == NULL) {
            return false;
        }
        memcpy(data + in, p, n);
        p += n;
        off += n;
        len -= n;
    }
    return true;
}

bool blockdev_flush(Blockdev *b)
{
    return b->readonly || b->overlay != NULL || fdatasync(b->image->fd) == 0;
}

/* ---- opening ---- */

static bool check_words(const OptionList *l, GError **error)
{
    static const char *const known[] = { "file",     "id",       "format", "if", "unit",
                                        "snapshot", "readonly", "media",  "cache", "backing" };
    const char              *iface = option_list_get(l, "if"), *unit = option_list_get(l, "unit");

    for (guint i = 0; i < l->keys->len; i++) {
        bool ok = false;

        for (unsigned k = 0; k < ARRAY_LEN(known); k++) {
            ok |= strcmp(l->keys->pdata[i], known[k]) == 0;
        }
        if (!ok) {
            g_set_error(error, BAILEY_ERROR, 0,
                        "-drive has no '%s'; it has: file, id, format, backing, if, unit, snapshot, readonly",
                        (char *)l->keys->pdata[i]);
            return false;
        }
    }
    if (iface != NULL && strcmp(iface, "none") != 0 && strcmp(iface, "virtio") != 0 && strcmp(iface, "pflash") != 0) {
        g_set_error(error, BAILEY_ERROR, 0,
                    "-drive if=%s is not supported; use if=none with a -device, if=virtio or if=pflash", iface);
        return false;
    }
    if (unit != NULL && (strlen(unit) != 1 || !g_ascii_isdigit(*unit))) {
        g_set_error(error, BAILEY_ERROR, 0, "-drive unit=%s is not a number from 0 to 9; leave it out for the next",
                    unit);
        return false;
    }
    if (option_list_get(l, "file") == NULL) {
        g_set_error(error, BAILEY_ERROR, 0, "-drive '%s' names no image; add file=PATH", l->text);
        return false;
    }
    return true;
}

static bool open_image(Blockdev *b, const OptionList *l, GError **error)
{
    bool snapshot = false;

    if (!option_list_bool(l, "-drive", "snapshot", &snapshot, error) ||
        !option_list_bool(l, "-drive", "readonly", &b->readonly, error)) {
        return false;
    }
    if (snapshot) {
        b->overlay = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
    }
    b->image = disk_image_open(option_list_get(l, "file"), option_list_get(l, "format"), b->readonly || snapshot,
                               option_list_get(l, "backing"), error);
    return b->image != NULL;
}

Blockdev *blockdev_new(const char *option, GError **error)
{
    OptionList *l = option_list_parse(option);
    const char *id = option_list_get(l, "id"), *iface = option_list_get(l, "if"), *unit = option_list_get(l, "unit");
    Blockdev   *b = NULL;

    if (!check_words(l, error)) {
        goto done;
    }
    if (id != NULL && blockdev_find(id) != NULL) {
        g_set_error(error, BAILEY_ERROR, 0, "-drive id=%s is there twice; give each an id of its own", id);
        goto done;
    }
    b = g_new0(Blockdev, 1);
    b->id = id != NULL ? g_strdup(id) : g_strdup_printf("drive%u", unnamed++);
    b->unit = unit != NULL ? *unit - '0' : -1;
    b->interface = g_strdup(iface != NULL ? iface : "none");
    if (all == NULL) {
        all = g_ptr_array_new();
    }
    g_ptr_array_add(all, b);
    if (!open_image(b, l, error)) {
        blockdev_free(b);
        b = NULL;
    }
done:
    option_list_free(l);
    return b;
}

void blockdev_free(Blockdev *b)
{
    if (b == NULL) {
        return;
    }
    g_ptr_array_remove(all, b);
    disk_image_close(b->image);
    if (b->overlay != NULL) {
        g_hash_table_destroy(b->overlay);
    }
    g_free(b->id);
    g_free(b->interface);
    g_free(b);
}

void blockdev_free_all(void)
{
    while (all != NULL && all->len > 0) {
        blockdev_free(all->pdata[all->len - 1]);
    }
    g_clear_pointer(&all, g_ptr_array_unref);
}
