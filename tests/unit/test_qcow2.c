/*
 * qcow2 images, against qemu-img: it makes them, what is read must be what it put there, and after random writes here
 * it must find nothing wrong in them and read what was written. Also what is refused, and with which words.
 */
#include <glib/gstdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "bits.h"
#include "blockdev.h"
#include "bytes.h"

static char *dir;

/* Runs a command line in the folder, with @words for %s; false when it fails. */
static bool sh(const char *fmt, ...) G_GNUC_PRINTF(1, 2);

static bool sh(const char *fmt, ...)
{
    va_list ap;
    int     status = -1;

    va_start(ap, fmt);
    g_autofree char *line = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    g_autofree char *whole = g_strdup_printf("cd '%s' && { %s; } >log 2>&1 </dev/null", dir, line);
    const char      *argv[] = { "sh", "-c", whole, NULL };

    assert_true(g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, &status, NULL));
    if (status != 0) {
        g_autofree char *log = g_build_filename(dir, "log", NULL), *text = NULL;

        g_file_get_contents(log, &text, NULL, NULL);
        print_message("'%s' said: %s\n", line, text);
    }
    return status == 0;
}

static uint32_t state;

static uint32_t rnd(uint32_t n)
{
    state = state * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)(state >> 4) * n >> 28);
}

static void fill(uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        p[i] = (uint8_t)rnd(256);
    }
}

static char *path_of(const char *name) { return g_build_filename(dir, name, NULL); }

static void put_file(const char *name, const uint8_t *bytes, size_t len)
{
    g_autofree char *path = path_of(name);

    assert_true(g_file_set_contents(path, (const char *)bytes, (gssize)len, NULL));
}

static Blockdev *open_drive(const char *name, const char *words, GError **error)
{
    g_autofree char *option = g_strdup_printf("file=%s/%s,id=d%s", dir, name, words);

    return blockdev_new(option, error);
}

/* ---- what is read and written ---- */

#define MODEL_MAX (4u << 20)

typedef struct Model {
    const char *name;
    const char *make;    /* commands that make disk.qcow2, with base.raw (random, 1 MiB + 512) and zero.raw there */
    uint32_t    size;    /* of the disk */
    uint32_t    from;    /* bytes of base.raw that it shows at its start */
    bool        leaks;   /* it has clusters that our writes make useless */
} Model;

#define CREATE "qemu-img create -f qcow2 "

static const Model models[] = {
    { "empty", CREATE "disk.qcow2 4M", MODEL_MAX, 0 },
    { "version 2", CREATE "-o compat=0.10 disk.qcow2 4M", MODEL_MAX, 0 },
    { "smallest clusters", CREATE "-o cluster_size=512 disk.qcow2 4M", MODEL_MAX, 0 },
    { "largest clusters", CREATE "-o cluster_size=2M disk.qcow2 4M", MODEL_MAX, 0 },
    { "counts of a bit", CREATE "-o refcount_bits=1,cluster_size=512 disk.qcow2 4M", MODEL_MAX, 0 },
    { "counts of 4 bits", CREATE "-o refcount_bits=4,cluster_size=1k disk.qcow2 4M", MODEL_MAX, 0 },
    { "counts of 64 bits: blocks, and a longer table of them",
      CREATE "-o refcount_bits=64,cluster_size=512 disk.qcow2 4M", MODEL_MAX, 0 },
    { "with all tables", CREATE "-o preallocation=metadata disk.qcow2 4M", MODEL_MAX, 0 },
    { "lazy counts", CREATE "-o lazy_refcounts=on disk.qcow2 4M", MODEL_MAX, 0 },
    { "not whole clusters", CREATE "disk.qcow2 70144", 70144, 0 },
    { "on a raw image, shorter", CREATE "-b base.raw -F raw -o cluster_size=4k disk.qcow2 2M", 2u << 20,
      (1u << 20) + 512 },
    { "on a raw image, longer", CREATE "-b base.raw -F raw disk.qcow2 512k", 512u << 10, 512u << 10 },
    { "on an image on an image",
      "qemu-img convert -O qcow2 base.raw a.qcow2; " CREATE "-b a.qcow2 -F qcow2 b.qcow2; "
      CREATE "-b b.qcow2 -F qcow2 disk.qcow2 2M", 2u << 20, (1u << 20) + 512 },
    { "compressed", "qemu-img convert -c -O qcow2 base.raw disk.qcow2", (1u << 20) + 512, (1u << 20) + 512 },
    { "compressed, small clusters", "head -c 1M /dev/zero | tr '\\0' x > x.raw; cat x.raw base.raw > y.raw; "
      "qemu-img convert -c -O qcow2 -o cluster_size=2k,compat=0.10 base.raw disk.qcow2", (1u << 20) + 512,
      (1u << 20) + 512 },
    { "zeroes over a backing file", CREATE "-b base.raw -F raw disk.qcow2 1M; "
      "qemu-io -c 'write -z 0 1M' disk.qcow2", 1u << 20, 0 },
    { "zeroes in place",
      "qemu-img convert -O qcow2 base.raw disk.qcow2; qemu-io -c 'write -z 0 1049088' disk.qcow2",
      (1u << 20) + 512, 0 },
    { "a dirty bitmap, not kept", CREATE "disk.qcow2 1M; qemu-img bitmap --add disk.qcow2 b", 1u << 20, 0, true },
};

/* What qemu-img shows of the disk. */
static void read_back(uint8_t *bytes, size_t len)
{
    g_autofree char *path = path_of("back.raw"), *back = NULL;
    gsize            n;

    assert_true(sh("qemu-img convert -O raw disk.qcow2 back.raw"));
    assert_true(g_file_get_contents(path, &back, &n, NULL));
    assert_int_equal(n, len);
    memcpy(bytes, back, len);
}

static void compare(Blockdev *b, const uint8_t *model, size_t len)
{
    g_autofree uint8_t *got = g_malloc(len);

    assert_true(blockdev_read(b, 0, got, len));
    for (size_t i = 0; i < len; i++) {
        if (got[i] != model[i]) {
            fail_msg("byte 0x%zx is 0x%02x, not 0x%02x", i, got[i], model[i]);
        }
    }
}

/* Writes of all lengths all over the disk, or in a part of it, and reads. */
static void storm(Blockdev *b, uint8_t *model, uint32_t size, unsigned n)
{
    static uint8_t buf[100000];

    for (unsigned i = 0; i < n; i++) {
        uint32_t len = 1 + rnd(rnd(4) == 0 ? sizeof(buf) : 700), at;

        len = MIN(len, size);
        at = rnd(size - len + 1);
        if (rnd(3) == 0) {
            assert_true(blockdev_read(b, at, buf, len));
            assert_memory_equal(buf, model + at, len);
        } else {
            fill(buf, len);
            memcpy(model + at, buf, len);
            assert_true(blockdev_write(b, at, buf, len));
        }
    }
}

static uint8_t base[(1 << 20) + 512], shown[MODEL_MAX], back[MODEL_MAX], kept[MODEL_MAX];

static void test_models(void **unused)
{
    for (unsigned i = 0; i < ARRAY_LEN(models); i++) {
        const Model *m = &models[i];
        GError      *error = NULL;

        print_message("%s\n", m->name);
        state = i + 1;
        assert_true(sh("rm -f *.qcow2; %s", m->make));
        memset(shown, 0, sizeof(shown));
        memcpy(shown, base, m->from);
        for (unsigned turn = 0; turn < 3; turn++) {
            Blockdev *b = open_drive("disk.qcow2", turn == 1 ? ",format=qcow2,snapshot=on" : ",format=qcow2", &error);

            assert_null(error);
            assert_int_equal(blockdev_size(b), m->size);
            compare(b, shown, m->size);
            memcpy(kept, shown, m->size);
            storm(b, shown, m->size, turn == 0 ? 40 : 120);
            assert_true(blockdev_flush(b));
            compare(b, shown, m->size);
            blockdev_free_all();
            if (turn == 1) { /* nothing of it has come into the file */
                memcpy(shown, kept, m->size);
            }
            /* 3: clusters that nothing refers to, as those of a bitmap that is not true any more. */
            assert_true(sh("qemu-img check disk.qcow2 || [ $? = %u ]", m->leaks ? 3 : 0));
            read_back(back, m->size);
            assert_memory_equal(back, shown, m->size);
        }
    }
}

/* An internal snapshot keeps what the disk was when it was made. */
static void test_internal_snapshots(void **unused)
{
    static const char *const options[] = { "cluster_size=64k", "cluster_size=512", "cluster_size=4k,refcount_bits=8" };

    for (unsigned i = 0; i < ARRAY_LEN(options); i++) {
        static uint8_t at_snapshot[2][1 << 20];
        const uint32_t size = 1 << 20;

        state = 100 + i;
        memset(shown, 0, size);
        assert_true(sh("rm -f *.qcow2; " CREATE "-o %s disk.qcow2 1M", options[i]));
        for (unsigned s = 0; s < 3; s++) {
            Blockdev *b = open_drive("disk.qcow2", ",format=qcow2", NULL);

            storm(b, shown, size, 60);
            compare(b, shown, size);
            blockdev_free_all();
            assert_true(sh("qemu-img check disk.qcow2"));
            if (s < 2) {
                memcpy(at_snapshot[s], shown, size);
                assert_true(sh("qemu-img snapshot -c s%u disk.qcow2", s));
            }
        }
        read_back(back, size);
        assert_memory_equal(back, shown, size);
        for (unsigned s = 2; s-- > 0;) {
            assert_true(sh("qemu-img snapshot -a s%u disk.qcow2 && qemu-img check disk.qcow2", s));
            read_back(back, size);
            assert_memory_equal(back, at_snapshot[s], size);
        }
        assert_true(sh("qemu-img snapshot -d s0 disk.qcow2 && qemu-img snapshot -d s1 disk.qcow2 && "
                       "qemu-img check disk.qcow2"));
    }
}

/* ---- what is refused ---- */

typedef struct Patch {
    uint32_t at;
    uint8_t  len;
    uint64_t value; /* big-endian */
} Patch;

typedef struct Refusal {
    const char *name, *make, *words, *error; /* error NULL: it opens */
    Patch       patch[2];
} Refusal;

#define PLAIN  CREATE "disk.qcow2 1M"
#define ITSELF CREATE "-u -b disk.qcow2 -F qcow2 x.qcow2 1M; mv x.qcow2 disk.qcow2"
#define Q      ",format=qcow2"

static const Refusal refusals[] = {
    { "format not said", PLAIN, "", "it looks like qcow2, but a guest can make a raw image look so; say which", {} },
    { "raw said", PLAIN "; truncate -s %512 disk.qcow2", ",format=raw", NULL, {} },
    { "another format", PLAIN, ",format=vmdk", "its format is vmdk, which is not supported", {} },
    { "not qcow2", "cp base.raw disk.qcow2", Q, "it is not a qcow2 image", {} },
    { "nothing", ": > disk.qcow2", Q, "it is not a qcow2 image", {} },
    { "version 4", PLAIN, Q, "its header is that of version 4", { { 4, 4, 4 } } },
    { "version 1", PLAIN, Q, "its header is that of version 1", { { 4, 4, 1 } } },
    { "header length", PLAIN, Q, "version 3 with 103 bytes", { { 100, 4, 103 } } },
    { "longer header", PLAIN, Q, "version 3 with 65537 bytes", { { 100, 4, 65537 } } },
    { "encrypted", PLAIN, Q, "it is encrypted", { { 32, 4, 1 } } },
    { "data file", CREATE "-o data_file=data.raw disk.qcow2 1M", Q, "it has an external data file", {} },
    { "extended L2", CREATE "-o extended_l2=on disk.qcow2 1M", Q, "it has extended L2 entries", {} },
    { "zstd", PLAIN, Q, "compressed by another method", { { 104, 1, 1 }, { 72, 8, 8 } } },
    { "an unknown feature", PLAIN, Q, "features that are not known", { { 72, 8, 1ull << 40 } } },
    { "dirty", PLAIN, Q, "it is marked as not closed cleanly; repair it", { { 72, 8, 1 } } },
    { "dirty, only read", PLAIN, Q ",readonly=on", NULL, { { 72, 8, 1 } } },
    { "corrupt", PLAIN, Q, "it is marked as corrupt", { { 72, 8, 2 } } },
    { "corrupt, in a snapshot", PLAIN, Q ",snapshot=on", NULL, { { 72, 8, 2 } } },
    { "clusters of 256 bytes", PLAIN, Q, "clusters of 2^8 bytes", { { 20, 4, 8 } } },
    { "clusters of 4 MiB", PLAIN, Q, "clusters of 2^22 bytes", { { 20, 4, 22 } } },
    { "counts of 128 bits", PLAIN, Q, "counts of 2^7 bits", { { 96, 4, 7 } } },
    { "no size", PLAIN, Q, "0 bytes for the guest", { { 24, 8, 0 } } },
    { "endless", PLAIN, Q, "its header is damaged", { { 24, 8, ~0ull } } },
    { "half a sector", PLAIN, Q, "1048577 bytes, not a multiple of the 512-byte sector", { { 24, 8, (1 << 20) + 1 } } },
    { "larger than its tables", PLAIN, Q, "the tables it names cannot be", { { 24, 8, 1ull << 40 } } },
    { "a huge table", PLAIN, Q, "the tables it names cannot be", { { 36, 4, 0xffffffff } } },
    { "a table between clusters", PLAIN, Q, "the tables it names cannot be", { { 40, 8, 0x30200 } } },
    { "a table outside the file", PLAIN, Q, "its tables are not in the file", { { 40, 8, 1ull << 50 } } },
    { "no counts", PLAIN, Q, "the tables it names cannot be", { { 56, 4, 0 } } },
    { "many counts", PLAIN, Q, "the tables it names cannot be", { { 56, 4, 0x10000 } } },
    { "counts outside the file", PLAIN, Q, "its tables are not in the file", { { 48, 8, 1ull << 50 } } },
    { "backing name outside the file", PLAIN, Q, "the name of its backing file is not in the file",
      { { 8, 8, 1ull << 50 }, { 16, 4, 5 } } },
    { "backing name too long", PLAIN, Q, "the name of its backing file is not in the file",
      { { 8, 8, 0x200 }, { 16, 4, 1024 } } },
    { "backing file elsewhere", CREATE "-u -b /etc/passwd -F raw disk.qcow2 1M", Q,
      "its backing file '/etc/passwd' is not there, or not in the image's own folder; if you trust the image", {} },
    { "by a way up", CREATE "-u -b ../../../../../../etc/passwd -F raw disk.qcow2 1M", Q,
      "not in the image's own folder", {} },
    { "by a link", "ln -sf /etc/passwd link; " CREATE "-u -b link -F raw disk.qcow2 1M", Q,
      "not in the image's own folder", {} },
    { "backing file gone", CREATE "-u -b nothing -F raw disk.qcow2 1M", Q,
      "its backing file 'nothing' is not there", {} },
    { "elsewhere, trusted", CREATE "-u -b /nowhere/x -F raw disk.qcow2 1M", Q ",backing=/etc/passwd", NULL, {} },
    { "trusted, but none is needed", PLAIN, Q ",backing=/etc/passwd", "it stands on no other image", {} },
    { "backing format not said", "cp base.raw b; printf 'QFI\\373' | dd of=b conv=notrunc; "
      CREATE "-u -b b -F raw disk.qcow2 1M", Q, "in the image that stands on it (qemu-img rebase -u -F)",
      { { 112, 4, 0x12345678 } } }, /* the extension with the format is another */
    { "backing format unknown", CREATE "-u -b base.raw -F vpc disk.qcow2 1M", Q, "its format is vpc", {} },
    { "on itself", ITSELF, Q, "another process writes to it", {} },
    { "on itself, only read", ITSELF, Q ",readonly=on",
      "more than 16 images stand on each other", {} },
};

static void apply(const Patch *p)
{
    g_autofree char *path = path_of("disk.qcow2");
    FILE            *f = fopen(path, "r+b");
    uint8_t          bytes[8];

    assert_non_null(f);
    be64_put(bytes, p->value << (64 - 8 * p->len));
    assert_int_equal(fseek(f, p->at, SEEK_SET), 0);
    assert_int_equal(fwrite(bytes, p->len, 1, f), 1);
    assert_int_equal(fclose(f), 0);
}

static void test_refusals(void **unused)
{
    for (unsigned i = 0; i < ARRAY_LEN(refusals); i++) {
        const Refusal *r = &refusals[i];
        GError        *error = NULL;

        print_message("%s\n", r->name);
        assert_true(sh("rm -f *.qcow2; %s", r->make));
        for (unsigned p = 0; p < ARRAY_LEN(r->patch) && r->patch[p].len != 0; p++) {
            apply(&r->patch[p]);
        }
        Blockdev *b = open_drive("disk.qcow2", r->words, &error);

        if (r->error == NULL && b == NULL) {
            fail_msg("said: %s", error->message);
        }
        assert_int_equal(b != NULL, r->error == NULL);
        if (r->error != NULL) {
            if (strstr(error->message, r->error) == NULL) {
                fail_msg("said: %s", error->message);
            }
            assert_non_null(strstr(error->message, "disk image '"));
            g_error_free(error);
        }
        blockdev_free_all();
    }
}

/* ---- tables that are damaged fail accesses, and only those ---- */

typedef struct Damage {
    const char *name;
    Patch       patch;      /* in a disk of 1 MiB with 64 KiB clusters: L1 at 0x30000, L2 at 0x40000, data behind */
    bool        reads, writes;
} Damage;

static const Damage damages[] = {
    { "none", { 0x40000, 0, 0 }, true, true },
    { "L2 outside the file", { 0x30000, 8, 1ull << 63 | 1ull << 40 }, false, false },
    { "L2 between clusters", { 0x30000, 8, 1ull << 63 | 0x40200 }, false, false },
    { "shared L2 outside the file", { 0x30000, 8, 1ull << 40 }, false, false },
    { "data between clusters", { 0x40000, 8, 1ull << 63 | 0x50200 }, false, false },
    { "data behind the file's end is zero", { 0x40000, 8, 1ull << 63 | 1ull << 40 }, true, true },
    { "compressed garbage", { 0x40000, 8, 1ull << 62 | 0x50000 }, false, false },
    { "compressed, outside the file", { 0x40000, 8, 1ull << 62 | 1ull << 45 }, false, false },
    { "compressed, as long as can be", { 0x40000, 8, 1ull << 62 | 0xffull << 54 | 0x50001 }, false, false },
    { "counts outside the file", { 0x10000, 8, 1ull << 40 }, true, true }, /* nothing has to be counted */
};

static void test_damage(void **unused)
{
    for (unsigned i = 0; i < ARRAY_LEN(damages); i++) {
        const Damage *d = &damages[i];
        uint8_t       bytes[1024];

        print_message("%s\n", d->name);
        assert_true(sh("rm -f *.qcow2; " PLAIN "; qemu-io -c 'write -P 7 0 128k' disk.qcow2"));
        if (d->patch.len != 0) {
            apply(&d->patch);
        }
        Blockdev *b = open_drive("disk.qcow2", Q, NULL);

        assert_non_null(b);
        assert_int_equal(blockdev_read(b, 1024, bytes, sizeof(bytes)), d->reads);
        assert_int_equal(blockdev_write(b, 1024, bytes, sizeof(bytes)), d->writes);
        if (d->patch.at == 0x40000) { /* the next cluster is not touched by that */
            assert_true(blockdev_read(b, 65536, bytes, sizeof(bytes)));
            assert_int_equal(bytes[0], 7);
            assert_true(blockdev_write(b, 65536, bytes, sizeof(bytes)));
        }
        blockdev_free_all();
    }
}

static int setup(void **unused)
{
    dir = g_dir_make_tmp("qcow2-XXXXXX", NULL);
    if (!sh("command -v qemu-img && command -v qemu-io")) {
        print_message("SKIP: qemu-img and qemu-io of Debian's qemu-utils are not installed\n");
        exit(77);
    }
    state = 1;
    fill(base, sizeof(base));
    put_file("base.raw", base, sizeof(base));
    return 0;
}

static int teardown(void **unused)
{
    sh("rm -f *");
    g_rmdir(dir);
    g_free(dir);
    return 0;
}

int main(void)
{
#define T(fn) cmocka_unit_test(fn)
    const struct CMUnitTest tests[] = { T(test_models), T(test_internal_snapshots), T(test_refusals), T(test_damage) };

    return cmocka_run_group_tests(tests, setup, teardown);
}
