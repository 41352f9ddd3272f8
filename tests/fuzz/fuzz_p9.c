/*
 * A hostile client against the 9P server: the input is a list of messages, put together from formats with few fids and
 * few names, so that they meet, or raw. Nothing may crash, leak, wait, or reach what is beside the folder.
 */
#include "bits.h"
#include "bytes.h"
#include "hw/virtio/p9.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_MESSAGES = 64, BUFFER = 8192 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* f: a fid, s: a name, d, q: numbers, b: a byte, n: names with their count, r: bytes with their length */
static const struct {
    uint8_t     type;
    const char *format;
} messages[] = {
    { 8, "f" },        { 12, "fd" },    { 14, "fsddd" }, { 16, "fssd" }, { 18, "fsdddd" },  { 20, "ffs" },
    { 22, "f" },       { 24, "fq" },    { 26, "fdddd" "qqqqq" },         { 40, "fqd" },     { 50, "fd" },
    { 52, "fbdqqds" }, { 54, "fbqqds" }, { 70, "ffs" },  { 72, "fsdd" }, { 74, "fsfs" },    { 76, "fsd" },
    { 100, "ds" },     { 104, "fdssd" }, { 110, "ffn" }, { 116, "fqd" }, { 118, "fqr" },    { 120, "f" },
    { 122, "f" },      { 30, "ffs" },   { 32, "fsqd" },
};

static const char *const names[] = {
    "a", "b", "dir", "up", "..", "pipe", "../out", "", "user.a", "user.virtfs.uid", "security.capability",
    "system.posix_acl_access",
};

static void put_name(ByteWriter *w, ByteReader *r)
{
    uint8_t     how = br_u8(r);
    const char *name = names[how % ARRAY_LEN(names)];

    if (how < 0xf0) {
        bw_u16(w, (uint16_t)strlen(name));
        bw_bytes(w, name, strlen(name));
    } else {
        size_t         len = how & 15;
        const uint8_t *raw = br_take(r, len);

        bw_u16(w, (uint16_t)len);
        bw_bytes(w, raw, raw != NULL ? len : 0);
    }
}

/* Numbers are small, or near their ends. */
static uint64_t number(ByteReader *r)
{
    uint8_t how = br_u8(r);

    return how < 0xc0 ? how : how < 0xe0 ? br_u32(r) : how < 0xf0 ? ~0ull - (how & 15) : br_u64(r);
}

static void put_field(ByteWriter *w, ByteReader *r, char kind)
{
    switch (kind) {
    case 'f':
        bw_u32(w, br_u8(r) & 7);
        break;
    case 's':
        put_name(w, r);
        break;
    case 'n': {
        unsigned n = br_u8(r) & 3;

        bw_u16(w, (uint16_t)n);
        for (unsigned i = 0; i < n; i++) {
            put_name(w, r);
        }
        break;
    }
    case 'r': {
        size_t         len = br_u8(r), has = MIN(len, br_left(r));
        const uint8_t *raw = br_take(r, has);

        bw_u32(w, (uint32_t)len); /* which may be more than there is */
        bw_bytes(w, raw, raw != NULL ? has : 0);
        break;
    }
    default:
        bw_le(w, number(r), kind == 'b' ? 1 : kind == 'd' ? 4 : 8);
        break;
    }
}

static void send_message(P9 *s, ByteReader *r)
{
    static uint8_t msg[BUFFER], reply[BUFFER];
    ByteWriter     w = bw_init(msg, sizeof(msg));
    uint8_t        op = br_u8(r);
    size_t         room = op & 0x80 ? P9_ERROR_LEN + br_u8(r) : sizeof(reply);

    op &= 0x7f;
    bw_u32(&w, 0);
    bw_u8(&w, op < ARRAY_LEN(messages) ? messages[op].type : br_u8(r));
    bw_u16(&w, 0);
    if (op < ARRAY_LEN(messages)) {
        for (const char *f = messages[op].format; *f != '\0'; f++) {
            put_field(&w, r, *f);
        }
    } else {
        put_field(&w, r, 'r');
    }
    le32_put(msg, (uint32_t)w.pos);
    size_t n = p9_serve(s, msg, w.pos, reply, room);

    if (n < P9_HEADER || n > room || le32_get(reply) != n) {
        abort();
    }
}

static void empty(int at)
{
    DIR           *d = fdopendir(openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct dirent *e;

    while (d != NULL && (e = readdir(d)) != NULL) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || unlinkat(at, e->d_name, 0) == 0) {
            continue;
        }
        int below = openat(at, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (below >= 0) {
            (void)fchmod(below, 0700);
            empty(below);
            close(below);
        }
        (void)unlinkat(at, e->d_name, AT_REMOVEDIR);
    }
    if (d != NULL) {
        closedir(d);
    }
}

static char dir[] = "/tmp/bailey-fuzz-p9-XXXXXX";

static void clean_up(void)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd >= 0) {
        empty(fd);
        close(fd);
    }
    rmdir(dir);
}

/* A folder "in", what is beside it, and a link between; the folder's descriptor. */
static int set_up(void)
{
    static const char *const more[] = { "", ",security_model=mapped-xattr", ",readonly=on" };
    int                      at = mkdtemp(dir) != NULL ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

    if (at < 0 || mkdirat(at, "in", 0700) != 0 || mkdirat(at, "out", 0700) != 0) {
        abort();
    }
    close(openat(at, "out/a", O_CREAT | O_WRONLY, 0600));
    atexit(clean_up);
    for (unsigned i = 0; i < ARRAY_LEN(more); i++) {
        g_autofree char *option = g_strdup_printf("local,id=f%u,path=%s/in%s", i, dir, more[i]);

        if (fsdev_new(option, NULL) == NULL) {
            abort();
        }
    }
    int in = openat(at, "in", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    close(at);
    return in;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t hello[] = { 21, 0, 0, 0, 100, 0, 0, 0, 32, 0, 0, 8, 0,
                                     '9', 'P', '2', '0', '0', '0', '.', 'L' };
    static const uint8_t attach[] = { 23, 0, 0, 0, 104, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0 };
    static int           in;
    uint8_t              reply[64];
    ByteReader           r = br_init(data, size);
    char                 id[] = { 'f', (char)('0' + br_u8(&r) % 3), '\0' };
    struct stat          st;

    if (in == 0) {
        in = set_up();
    }
    P9 *s = p9_new(fsdev_find(id));

    (void)symlinkat("../out", in, "up");
    (void)mkfifoat(in, "pipe", 0600);
    (void)p9_serve(s, hello, sizeof(hello), reply, sizeof(reply));
    (void)p9_serve(s, attach, sizeof(attach), reply, sizeof(reply));
    for (unsigned i = 0; i < MAX_MESSAGES && br_left(&r) > 0; i++) {
        send_message(s, &r);
    }
    p9_free(s);
    empty(in);
    (void)fchmod(in, 0700);
    if (fstatat(in, "../out/a", &st, 0) != 0 || st.st_size != 0 || (st.st_mode & 0777) != 0600 || st.st_nlink != 1 ||
        fstatat(in, "../out/b", &st, 0) == 0) {
        abort(); /* it got out */
    }
    return 0;
}
