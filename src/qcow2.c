/*
 * The qcow2 image format, versions 2 and 3 (QEMU's docs/interop/qcow2): a guest's clusters are found by two levels of
 * tables, counted by two levels of reference counts, and may lie compressed, in a backing file, or nowhere.
 *
 * Left out, and refused with a sentence: encryption, an external data file, extended L2 entries, zstd. Internal
 * snapshots are kept (what they share is copied before it is written) but not made. Discards are not passed on, and
 * clusters are only added at the file's end: an image whose counts are wrong is not damaged further.
 *
 * Each write goes to the file in an order that leaves, whenever this process is killed, at worst a cluster that is
 * counted and not used: count, data, table, count of what was there before.
 */
#include <gio/gio.h>
#include <string.h>
#include <sys/stat.h>

#include "bits.h"
#include "blockdev.h"
#include "bytes.h"
#include "device.h"
#include "disk_image.h"

#define L1_MAX_BYTES   (32u << 20)
#define REFS_MAX_BYTES (8u << 20)
#define MAX_SIZE       (1ull << 62)
#define MAX_FILE       (1ull << 56) /* bits of an offset in a table */

#define OFFSET_MASK  0x00fffffffffffe00ull /* of L1 and standard L2 entries */
#define COPIED       (1ull << 63)          /* referred to once: may be written where it is */
#define COMPRESSED   (1ull << 62)
#define READS_ZERO   1ull

#define EXT_BACKING_FORMAT 0xe2792acau

enum {
    HEADER_V2 = 72, HEADER_V3 = 104,
    AT_REFS = 48, AT_AUTOCLEAR = 88,
    DIRTY = 1, CORRUPT = 2, DATA_FILE = 4, COMPRESSION_TYPE = 8, EXTENDED_L2 = 16,
    NAME_MAX_LEN = 1023,
    TABLES = 32,             /* L2 tables and blocks of counts in memory */
};

typedef struct Table {
    uint64_t at;             /* in the file; 0: none */
    uint8_t *bytes;          /* one cluster */
} Table;

typedef struct Qcow2 {
    unsigned  cluster_bits, count_bits;
    size_t    cluster;       /* bytes */
    uint64_t  l1_at, refs_at;
    uint64_t *l1, *refs;     /* the first level of each */
    uint32_t  n_l1, n_refs;
    uint64_t  next;          /* the cluster behind the file's end */
    Table     tables[TABLES];
    unsigned  oldest;
    uint8_t  *buf;           /* a cluster being made */
    uint8_t  *unpacked;      /* the compressed cluster of @unpacked_entry */
    uint64_t  unpacked_entry;
} Qcow2;

/* ---- tables ---- */

static Table *table_slot(Qcow2 *q, uint64_t at)
{
    for (unsigned i = 0; i < TABLES; i++) {
        if (q->tables[i].at == at) {
            return &q->tables[i];
        }
    }
    Table *t = &q->tables[q->oldest];

    q->oldest = (q->oldest + 1) % TABLES;
    t->at = 0;
    if (t->bytes == NULL) {
        t->bytes = g_malloc(q->cluster);
    }
    return t;
}

/* The cluster at @at of the file, until the next call; NULL: it cannot be a table. */
static uint8_t *table_get(DiskImage *d, uint64_t at)
{
    Qcow2 *q = d->state;

    if (at == 0 || at % q->cluster != 0) {
        return NULL;
    }
    Table *t = table_slot(q, at);

    if (t->at != at) {
        if (!disk_file_read(d, at, t->bytes, q->cluster, false)) {
            return NULL;
        }
        t->at = at;
    }
    return t->bytes;
}

/* A new one: @bytes of a cluster, or zeroes when NULL. */
static bool table_new(DiskImage *d, uint64_t at, const uint8_t *bytes)
{
    Qcow2 *q = d->state;
    Table *t = table_slot(q, at);

    if (bytes != NULL) {
        memcpy(t->bytes, bytes, q->cluster);
    } else {
        memset(t->bytes, 0, q->cluster);
    }
    t->at = disk_file_write(d, at, t->bytes, q->cluster) ? at : 0;
    return t->at != 0;
}

/* @len bytes at @off of a table changed in memory: to the file. */
static bool table_write(DiskImage *d, uint64_t at, const uint8_t *bytes, size_t off, size_t len)
{
    if (disk_file_write(d, at + off, bytes + off, len)) {
        return true;
    }
    table_slot(d->state, at)->at = 0; /* memory and file differ: read it again */
    return false;
}

/* ---- reference counts ---- */

static uint64_t counts_in_block(const Qcow2 *q) { return (uint64_t)q->cluster * 8 / q->count_bits; }

/* Counts of less than a byte lie in it from the least significant bit on; others are big-endian. */
static uint64_t count_get(const Qcow2 *q, const uint8_t *block, uint64_t i)
{
    unsigned bits = q->count_bits;
    uint64_t v = 0;

    if (bits < 8) {
        return block[i * bits / 8] >> (i * bits % 8) & ((1u << bits) - 1);
    }
    for (unsigned b = 0; b < bits / 8; b++) {
        v = v << 8 | block[i * (bits / 8) + b];
    }
    return v;
}

static void count_put(const Qcow2 *q, uint8_t *block, uint64_t i, uint64_t v)
{
    unsigned bits = q->count_bits;

    if (bits < 8) {
        unsigned shift = i * bits % 8, mask = ((1u << bits) - 1) << shift;
        uint8_t *byte = &block[i * bits / 8];

        *byte = (uint8_t)((*byte & ~mask) | (v << shift & mask));
        return;
    }
    for (unsigned b = bits / 8; b-- > 0; v >>= 8) {
        block[i * (bits / 8) + b] = (uint8_t)v;
    }
}

/* One reference less to a cluster; that of one without any is left as it is. */
static bool release(DiskImage *d, uint64_t cluster)
{
    Qcow2   *q = d->state;
    uint64_t i = cluster % counts_in_block(q), b = cluster / counts_in_block(q);
    uint64_t at = b < q->n_refs ? q->refs[b] : 0;
    uint8_t *block = at != 0 ? table_get(d, at) : NULL;

    if (at == 0) {
        return true;
    }
    if (block == NULL || count_get(q, block, i) == 0) {
        return block != NULL;
    }
    count_put(q, block, i, count_get(q, block, i) - 1);
    return table_write(d, at, block, (size_t)(i * q->count_bits / 8), MAX(q->count_bits / 8, 1));
}

/* What the table refers to, released: a standard cluster, or all that a compressed one touches. */
static bool release_entry(DiskImage *d, uint64_t entry)
{
    Qcow2   *q = d->state;
    uint64_t at = entry & OFFSET_MASK, end = at + 1;
    bool     ok = true;

    if ((entry & COMPRESSED) != 0) {
        unsigned bits = 62 - (q->cluster_bits - 8);

        at = entry & ((1ull << bits) - 1);
        end = (at & ~511ull) + (((entry & ~(COPIED | COMPRESSED)) >> bits) + 1) * 512;
    } else if (at == 0) {
        return true;
    }
    for (uint64_t c = at >> q->cluster_bits; ok && c <= (end - 1) >> q->cluster_bits; c++) {
        ok = release(d, c);
    }
    return ok;
}

/* A longer table of blocks, at the file's end; the blocks that count itself and each other come with it. */
static bool grow_refs(DiskImage *d)
{
    Qcow2    *q = d->state;
    uint64_t  per = counts_in_block(q), first = q->next / per, blocks = 0, clusters = 0, need;
    uint64_t  old_at = q->refs_at, old_clusters = (uint64_t)q->n_refs * 8 >> q->cluster_bits;

    for (need = 1; need != blocks;) { /* more blocks make a longer table, which may need another block */
        blocks = need;
        clusters = ((first + blocks) * 2 * 8 + q->cluster - 1) >> q->cluster_bits;
        need = (q->next + clusters + blocks - 1) / per - first + 1;
    }
    if (clusters << q->cluster_bits > REFS_MAX_BYTES) {
        return false;
    }
    uint64_t  n = clusters << q->cluster_bits >> 3, at = q->next << q->cluster_bits;
    uint64_t *refs = g_new0(uint64_t, n);
    uint8_t  *bytes = g_malloc(n * 8), head[12];
    bool      ok = true;

    memcpy(refs, q->refs, (size_t)q->n_refs * 8);
    for (uint64_t b = 0; ok && b < blocks; b++) {
        refs[first + b] = (q->next + clusters + b) << q->cluster_bits;
        memset(q->buf, 0, q->cluster);
        for (uint64_t c = MAX(q->next, (first + b) * per);
             c < MIN(q->next + clusters + blocks, (first + b + 1) * per); c++) {
            count_put(q, q->buf, c % per, 1);
        }
        ok = table_new(d, refs[first + b], q->buf);
    }
    for (uint64_t i = 0; i < n; i++) {
        be64_put(bytes + i * 8, refs[i]);
    }
    be64_put(head, at);
    be32_put(head + 8, (uint32_t)clusters);
    ok = ok && disk_file_write(d, at, bytes, n * 8) && disk_file_write(d, AT_REFS, head, sizeof(head));
    g_free(bytes);
    if (!ok) {
        g_free(refs);
        return false;
    }
    g_free(q->refs);
    q->refs = refs;
    q->n_refs = (uint32_t)n;
    q->refs_at = at;
    q->next += clusters + blocks;
    for (uint64_t c = 0; ok && c < old_clusters; c++) {
        ok = release(d, (old_at >> q->cluster_bits) + c);
    }
    return ok;
}

/* A cluster behind the file's end, counted once; 0: the file cannot grow. */
static uint64_t allocate(DiskImage *d)
{
    Qcow2   *q = d->state;
    uint64_t per = counts_in_block(q);

    if (q->next << q->cluster_bits >= MAX_FILE || (q->next / per >= q->n_refs && !grow_refs(d))) {
        return 0;
    }
    if (q->refs[q->next / per] == 0) { /* the block of counts is the first of its clusters that is used */
        uint64_t at = q->next << q->cluster_bits;
        uint8_t  entry[8];

        memset(q->buf, 0, q->cluster);
        count_put(q, q->buf, q->next % per, 1);
        be64_put(entry, at);
        if (!table_new(d, at, q->buf) || !disk_file_write(d, q->refs_at + q->next / per * 8, entry, 8)) {
            return 0;
        }
        q->refs[q->next++ / per] = at;
        return allocate(d); /* once: the block has more counts than one, or the next has none and is made alike */
    }
    uint64_t at = q->refs[q->next / per], i = q->next % per;
    uint8_t *block = table_get(d, at);

    if (block == NULL) {
        return 0;
    }
    count_put(q, block, i, 1);
    return table_write(d, at, block, (size_t)(i * q->count_bits / 8), MAX(q->count_bits / 8, 1))
               ? q->next++ << q->cluster_bits : 0;
}

/* ---- reading ---- */

static unsigned l2_bits(const Qcow2 *q) { return q->cluster_bits - 3; }

/* The L2 entry of guest address @off; false: the tables are damaged. */
static bool entry_get(DiskImage *d, uint64_t off, uint64_t *entry)
{
    Qcow2   *q = d->state;
    uint64_t l2 = q->l1[off >> q->cluster_bits >> l2_bits(q)] & OFFSET_MASK;
    uint8_t *table = l2 != 0 ? table_get(d, l2) : NULL;

    *entry = table != NULL ? be64_get(table + (off >> q->cluster_bits & ((1ull << l2_bits(q)) - 1)) * 8) : 0;
    return l2 == 0 || table != NULL;
}

static bool backing_read(DiskImage *d, uint64_t off, uint8_t *dst, size_t len)
{
    size_t there = d->backing == NULL || off >= d->backing->size ? 0 : (size_t)MIN(d->backing->size - off, len);

    memset(dst + there, 0, len - there);
    return there == 0 || d->backing->format->read(d->backing, off, dst, there);
}

/* All of a compressed cluster, into @q->unpacked. */
static bool unpack(DiskImage *d, uint64_t entry)
{
    Qcow2            *q = d->state;
    unsigned          bits = 62 - (q->cluster_bits - 8);
    uint64_t          at = entry & ((1ull << bits) - 1);
    size_t            len = (size_t)((((entry & ~(COPIED | COMPRESSED)) >> bits) + 1) * 512 - at % 512);
    g_autofree char  *packed = g_malloc(len);
    GConverter       *inflate = G_CONVERTER(g_zlib_decompressor_new(G_ZLIB_COMPRESSOR_FORMAT_RAW));
    GConverterResult  r = G_CONVERTER_CONVERTED;
    gsize             in = 0, out = 0;

    q->unpacked_entry = 0;
    if (q->unpacked == NULL) {
        q->unpacked = g_malloc(q->cluster);
    }
    if (disk_file_read(d, at, packed, len, true)) {
        while (r == G_CONVERTER_CONVERTED && out < q->cluster) {
            gsize took, gave;

            r = g_converter_convert(inflate, packed + in, len - in, q->unpacked + out, q->cluster - out,
                                    G_CONVERTER_INPUT_AT_END, &took, &gave, NULL);
            if (r != G_CONVERTER_ERROR) {
                in += took;
                out += gave;
            }
        }
    }
    g_object_unref(inflate);
    q->unpacked_entry = out == q->cluster ? entry : 0;
    return out == q->cluster;
}

/* Part of one cluster. */
static bool part_read(DiskImage *d, uint64_t off, uint8_t *dst, size_t len)
{
    Qcow2   *q = d->state;
    size_t   in = off & (q->cluster - 1);
    uint64_t entry, at;

    if (!entry_get(d, off, &entry)) {
        return false;
    }
    at = entry & OFFSET_MASK;
    if ((entry & COMPRESSED) != 0) {
        bool ok = q->unpacked_entry == entry || unpack(d, entry);

        if (ok) {
            memcpy(dst, q->unpacked + in, len);
        }
        return ok;
    }
    if ((entry & READS_ZERO) != 0) {
        memset(dst, 0, len);
        return true;
    }
    if (at == 0) {
        return backing_read(d, off, dst, len);
    }
    return at % q->cluster == 0 && disk_file_read(d, at + in, dst, len, true);
}

static bool qcow2_read(DiskImage *d, uint64_t off, uint8_t *dst, size_t len)
{
    Qcow2 *q = d->state;
    bool   ok = true;

    while (ok && len > 0) {
        size_t n = MIN(len, q->cluster - (off & (q->cluster - 1)));

        ok = part_read(d, off, dst, n);
        off += n;
        dst += n;
        len -= n;
    }
    return ok;
}

/* ---- writing ---- */

/* The place of the L2 table of @off, one that only the active L1 table refers to; 0: the file or the tables fail. */
static uint64_t own_l2(DiskImage *d, uint64_t off)
{
    Qcow2   *q = d->state;
    uint64_t i = off >> q->cluster_bits >> l2_bits(q), old = q->l1[i];
    uint8_t  entry[8];

    if ((old & COPIED) != 0 && (old & OFFSET_MASK) != 0) {
        return old & OFFSET_MASK;
    }
    uint64_t at = allocate(d);
    uint8_t *shared = (old & OFFSET_MASK) != 0 ? table_get(d, old & OFFSET_MASK) : NULL;

    if (at == 0 || (shared == NULL && (old & OFFSET_MASK) != 0)) {
        return 0;
    }
    if (shared != NULL) {
        memcpy(q->buf, shared, q->cluster);
    }
    be64_put(entry, at | COPIED);
    if (!table_new(d, at, shared != NULL ? q->buf : NULL) || !disk_file_write(d, q->l1_at + i * 8, entry, 8)) {
        return 0;
    }
    q->l1[i] = at | COPIED;
    return release_entry(d, old & OFFSET_MASK) ? at : 0;
}

/* Part of one cluster; what else is in the cluster comes with it when it moves. */
static bool part_write(DiskImage *d, uint64_t off, const uint8_t *src, size_t len)
{
    Qcow2   *q = d->state;
    size_t   in = off & (q->cluster - 1), i = (size_t)(off >> q->cluster_bits & ((1ull << l2_bits(q)) - 1)) * 8;
    uint64_t l2 = own_l2(d, off), old, at;
    bool     here;

    if (l2 == 0 || !entry_get(d, off, &old)) {
        return false;
    }
    here = (old & COMPRESSED) == 0 && (old & COPIED) != 0 && (old & OFFSET_MASK) != 0;
    if (here && (old & OFFSET_MASK) % q->cluster != 0) {
        return false;
    }
    if (here && (old & READS_ZERO) == 0) {
        return disk_file_write(d, (old & OFFSET_MASK) + in, src, len);
    }
    at = here ? old & OFFSET_MASK : allocate(d);
    /* The last cluster of an image may end behind it: what is there is not read from below. */
    size_t inside = (size_t)MIN((uint64_t)q->cluster, d->size - (off - in));

    memset(q->buf + inside, 0, q->cluster - inside);
    if (at == 0 || !part_read(d, off - in, q->buf, inside)) {
        return false;
    }
    memcpy(q->buf + in, src, len);
    uint8_t *table = disk_file_write(d, at, q->buf, q->cluster) ? table_get(d, l2) : NULL;

    if (table == NULL) {
        return false;
    }
    be64_put(table + i, at | COPIED);
    return table_write(d, l2, table, i, 8) && (here || release_entry(d, old));
}

static bool qcow2_write(DiskImage *d, uint64_t off, const uint8_t *src, size_t len)
{
    Qcow2 *q = d->state;
    bool   ok = true;

    while (ok && len > 0) {
        size_t n = MIN(len, q->cluster - (off & (q->cluster - 1)));

        ok = part_write(d, off, src, n);
        off += n;
        src += n;
        len -= n;
    }
    return ok;
}

/* ---- opening ---- */

typedef struct Header {
    uint8_t  bytes[HEADER_V3 + 8]; /* zero where the file's is shorter */
    uint32_t version, length;
    uint64_t incompatible;
} Header;

static bool read_header(DiskImage *d, Header *h, GError **error)
{
    if (!disk_file_read(d, 0, h->bytes, sizeof(h->bytes), true) || memcmp(h->bytes, "QFI\xfb", 4) != 0) {
        return disk_image_fail(d, error, "it is not a qcow2 image; add format=raw if it has the sectors themselves");
    }
    h->version = be32_get(h->bytes + 4);
    h->length = h->version == 2 ? HEADER_V2 : be32_get(h->bytes + 100);
    if (h->version < 2 || h->version > 3 || (h->version == 3 && (h->length < HEADER_V3 || h->length > 65536))) {
        return disk_image_fail(d, error, "its header is that of version %u with %u bytes; convert it (qemu-img)",
                               h->version, h->length);
    }
    memset(h->bytes + MIN(h->length, sizeof(h->bytes)), 0, sizeof(h->bytes) - MIN(h->length, sizeof(h->bytes)));
    h->incompatible = be64_get(h->bytes + 72);
    return true;
}

/* What this program cannot do with it. */
static bool check_features(const DiskImage *d, const Header *h, GError **error)
{
    static const struct {
        uint64_t    bit;
        const char *what;
    } refused[] = {
        { DATA_FILE, "an external data file" },
        { EXTENDED_L2, "extended L2 entries (subclusters)" },
        { ~(uint64_t)(DIRTY | CORRUPT | DATA_FILE | COMPRESSION_TYPE | EXTENDED_L2), "features that are not known" },
    };

    for (unsigned i = 0; i < ARRAY_LEN(refused); i++) {
        if ((h->incompatible & refused[i].bit) != 0) {
            return disk_image_fail(d, error, "it has %s; convert it (qemu-img convert -O qcow2)", refused[i].what);
        }
    }
    if (be32_get(h->bytes + 32) != 0) {
        return disk_image_fail(d, error, "it is encrypted; convert it (qemu-img convert -O qcow2)");
    }
    if (h->bytes[104] != 0) {
        return disk_image_fail(d, error, "it is compressed by another method than zlib; convert it (qemu-img convert)");
    }
    if (!d->readonly && (h->incompatible & (DIRTY | CORRUPT)) != 0) {
        return disk_image_fail(d, error, "it is marked as %s; repair it (qemu-img check -r all), or add readonly=on",
                               (h->incompatible & CORRUPT) != 0 ? "corrupt" : "not closed cleanly");
    }
    return true;
}

/* A table of 64-bit entries. */
static uint64_t *read_first_level(DiskImage *d, uint64_t at, uint64_t n)
{
    uint64_t *table = g_new(uint64_t, n);

    if (!disk_file_read(d, at, table, n * 8, false)) {
        g_free(table);
        return NULL;
    }
    for (uint64_t i = 0; i < n; i++) {
        table[i] = be64_get(&table[i]);
    }
    return table;
}

static bool read_tables(DiskImage *d, const Header *h, GError **error)
{
    Qcow2   *q = d->state;
    uint64_t n_refs = (uint64_t)be32_get(h->bytes + 56) << q->cluster_bits >> 3;
    uint64_t need = ((d->size - 1) >> q->cluster_bits >> l2_bits(q)) + 1;

    q->n_l1 = be32_get(h->bytes + 36);
    q->l1_at = be64_get(h->bytes + 40);
    q->refs_at = be64_get(h->bytes + AT_REFS);
    if (q->n_l1 < need || q->n_l1 > L1_MAX_BYTES / 8 || n_refs == 0 || n_refs > REFS_MAX_BYTES / 8 ||
        q->l1_at % q->cluster != 0 || q->refs_at % q->cluster != 0 || q->l1_at >= MAX_FILE || q->refs_at >= MAX_FILE) {
        return disk_image_fail(d, error, "its header is damaged: the tables it names cannot be");
    }
    q->n_refs = (uint32_t)n_refs;
    q->l1 = read_first_level(d, q->l1_at, q->n_l1);
    q->refs = q->l1 != NULL ? read_first_level(d, q->refs_at, n_refs) : NULL;
    return q->refs != NULL || disk_image_fail(d, error, "it is damaged: its tables are not in the file");
}

/* The format that the header names for the backing file, or NULL. */
static char *backing_format(DiskImage *d, const Header *h)
{
    uint64_t at = h->length;
    uint8_t  head[8];

    for (unsigned i = 0; i < 64 && disk_file_read(d, at, head, 8, false) && be32_get(head) != 0; i++) {
        uint32_t len = be32_get(head + 4);

        if (be32_get(head) == EXT_BACKING_FORMAT && len < 32) {
            char name[32] = { 0 };

            return disk_file_read(d, at + 8, name, len, false) ? g_strdup(name) : NULL;
        }
        at += 8 + (((uint64_t)len + 7) & ~7ull);
    }
    return NULL;
}

static bool open_backing(DiskImage *d, const Header *h, GError **error)
{
    uint64_t at = be64_get(h->bytes + 8);
    uint32_t len = be32_get(h->bytes + 16);
    char     name[NAME_MAX_LEN + 1] = { 0 };

    if (at == 0) {
        return d->trusted_backing == NULL ||
               disk_image_fail(d, error, "it stands on no other image; leave backing= out");
    }
    if (len == 0 || len > NAME_MAX_LEN || at >= MAX_FILE || !disk_file_read(d, at, name, len, false)) {
        return disk_image_fail(d, error, "its header is damaged: the name of its backing file is not in the file");
    }
    g_autofree char *format = backing_format(d, h);
    g_autofree char *valid = g_utf8_make_valid(name, -1);

    return disk_image_open_backing(d, valid, format, error);
}

static bool qcow2_open(DiskImage *d, GError **error)
{
    Header      h;
    struct stat st;

    if (!read_header(d, &h, error) || !check_features(d, &h, error)) {
        return false;
    }
    Qcow2   *q = d->state = g_new0(Qcow2, 1);
    uint32_t bits = be32_get(h.bytes + 20), order = h.version == 2 ? 4 : be32_get(h.bytes + 96);

    d->size = be64_get(h.bytes + 24);
    if (bits < 9 || bits > 21 || order > 6 || d->size == 0 || d->size > MAX_SIZE || fstat(d->fd, &st) != 0) {
        return disk_image_fail(d, error, "its header is damaged: clusters of 2^%u bytes, counts of 2^%u bits, "
                               "%" G_GUINT64_FORMAT " bytes for the guest", bits, order, d->size);
    }
    if (!d->readonly && !S_ISREG(st.st_mode)) {
        return disk_image_fail(d, error, "it is not a regular file and cannot grow; add readonly=on or snapshot=on");
    }
    if (d->size % BLOCKDEV_SECTOR != 0 && d->depth == 0) {
        return disk_image_fail(d, error, "a guest would see %" G_GUINT64_FORMAT " bytes, not a multiple of the %d-byte "
                               "sector; enlarge it (qemu-img resize)", d->size, BLOCKDEV_SECTOR);
    }
    q->cluster_bits = bits;
    q->cluster = (size_t)1 << bits;
    q->count_bits = 1u << order;
    q->buf = g_malloc(q->cluster);
    q->next = ((uint64_t)st.st_size + q->cluster - 1) >> bits;
    if (!read_tables(d, &h, error) || !open_backing(d, &h, error)) {
        return false;
    }
    /* Extensions that do not know of our writes are not true any more; their bits say so. */
    if (!d->readonly && h.version == 3 && be64_get(h.bytes + AT_AUTOCLEAR) != 0) {
        static const uint8_t none[8];

        return disk_file_write(d, AT_AUTOCLEAR, none, 8) || disk_image_fail(d, error, "it cannot be written");
    }
    return true;
}

static void qcow2_close(DiskImage *d)
{
    Qcow2 *q = d->state;

    if (q == NULL) {
        return;
    }
    for (unsigned i = 0; i < TABLES; i++) {
        g_free(q->tables[i].bytes);
    }
    g_free(q->l1);
    g_free(q->refs);
    g_free(q->buf);
    g_free(q->unpacked);
    g_free(q);
}

const DiskFormat qcow2_format = { "qcow2", qcow2_open, qcow2_read, qcow2_write, qcow2_close };
