/*
 * Shared folders: the 9P server's answers, and above all that no path, name or link leads a client out of the folder.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#include "bits.h"
#include "bytes.h"
#include "device.h"
#include "hw/virtio/p9.h"
#include "virtio_rig.h"

enum {
    LOPEN = 12, LCREATE = 14, SYMLINK = 16, MKNOD = 18, RENAME = 20, READLINK = 22, GETATTR = 24, SETATTR = 26,
    XATTRWALK = 30, XATTRCREATE = 32, READDIR = 40, FSYNC = 50, LOCK = 52, GETLOCK = 54, LINK = 70, MKDIR = 72,
    RENAMEAT = 74,
    UNLINKAT = 76, VERSION = 100, AUTH = 102, ATTACH = 104, WALK = 110, READ = 116, WRITE = 118, CLUNK = 120,
    REMOVE = 122,
};

#define NOFID 0xffffffffu

/* A client of a server on a folder DIR/in, beside which there is DIR/out with a file "secret". */
typedef struct Client {
    char    dir[64];
    P9     *s;
    uint8_t msg[8192], reply[8192];
    size_t  len, room;
} Client;

static void shell(const Client *c, const char *command)
{
    g_autofree char *text = g_strdup_printf("cd '%s' && %s", c->dir, command);

    assert_int_equal(system(text), 0);
}

/* Sends a message: b, w, d, q are numbers of 1, 2, 4 and 8 bytes, s is a string, r a length and so many bytes. The
 * answer is in c->reply. Returns 0 or the error. */
static int ask(Client *c, uint8_t type, const char *format, ...)
{
    ByteWriter w = bw_init(c->msg, sizeof(c->msg));
    va_list    ap;

    bw_u32(&w, 0);
    bw_u8(&w, type);
    bw_u16(&w, 0x1234);
    va_start(ap, format);
    for (; *format != '\0'; format++) {
        if (*format == 'q') {
            bw_u64(&w, va_arg(ap, uint64_t));
        } else if (*format == 's') {
            const char *text = va_arg(ap, const char *);

            bw_u16(&w, (uint16_t)strlen(text));
            bw_bytes(&w, text, strlen(text));
        } else if (*format == 'r') {
            size_t n = va_arg(ap, unsigned);

            bw_u32(&w, (uint32_t)n);
            bw_bytes(&w, va_arg(ap, const void *), n);
        } else {
            bw_le(&w, va_arg(ap, unsigned), *format == 'b' ? 1 : *format == 'w' ? 2 : 4);
        }
    }
    va_end(ap);
    le32_put(c->msg, (uint32_t)w.pos);
    c->len = p9_serve(c->s, c->msg, w.pos, c->reply, c->room);
    assert_true(c->len >= P9_HEADER && c->len <= c->room);
    assert_int_equal(le32_get(c->reply), c->len);
    assert_int_equal(le16_get(c->reply + 5), 0x1234);
    if (c->reply[4] == 7) {
        assert_int_equal(c->len, P9_ERROR_LEN);
        return (int)le32_get(c->reply + P9_HEADER);
    }
    assert_int_equal(c->reply[4], type + 1);
    return 0;
}

static const uint8_t *body(const Client *c) { return c->reply + P9_HEADER; }

static Client *client_new(const char *more)
{
    Client *c = g_new0(Client, 1);

    strcpy(c->dir, "/tmp/bailey-p9-XXXXXX");
    assert_non_null(mkdtemp(c->dir));
    shell(c, "mkdir in out in/sub && echo secret > out/secret && echo hello > in/file && ln -s ../out in/up && "
             "ln -s /etc/passwd in/abs && mkfifo in/pipe && touch in/sub/b in/sub/a in/sub/c");
    g_autofree char *option = g_strdup_printf("local,id=f,path=%s/in%s", c->dir, more);

    c->s = p9_new(fsdev_new(option, NULL));
    c->room = sizeof(c->reply);
    assert_int_equal(ask(c, VERSION, "ds", 8192, "9P2000.L"), 0);
    assert_int_equal(ask(c, ATTACH, "ddssd", 0, NOFID, "root", "", 0), 0);
    return c;
}

static void client_free(Client *c)
{
    shell(c, "test \"$(cat out/secret)\" = secret && test \"$(ls out)\" = secret");
    p9_free(c->s);
    fsdev_free_all();
    shell(c, "rm -rf in out");
    rmdir(c->dir);
    g_free(c);
}

/* A fid for a path of one name. */
static void walk(Client *c, unsigned fid, const char *name)
{
    assert_int_equal(ask(c, WALK, "ddws", 0, fid, 1, name), 0);
}

/* ---- out of the folder: every way is closed ---- */

static void test_confined(void **state)
{
    static const char *const models[] = { "", ",security_model=mapped-xattr" };
    static const char *const names[] = { ".", "", "/", "../out", "sub/..", "/etc", "up/secret", "a\nb/..", "sub/" };

    for (unsigned m = 0; m < ARRAY_LEN(models); m++) {
        Client *c = client_new(models[m]);

        /* The parent of the folder is the folder. */
        assert_int_equal(ask(c, WALK, "ddwss", 0, 1, 2, "..", ".."), 0);
        assert_int_equal(ask(c, WALK, "ddws", 1, 2, 1, "out"), ENOENT);
        assert_int_equal(ask(c, WALK, "ddwsss", 0, 3, 3, "sub", "..", ".."), 0);
        assert_int_equal(ask(c, WALK, "ddws", 3, 4, 1, "out"), ENOENT);
        /* Names are one name. */
        for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
            assert_int_equal(ask(c, WALK, "ddws", 0, 5, 1, names[i]), EINVAL);
            assert_int_equal(ask(c, MKDIR, "dsdd", 0, names[i], 0755, 0), EINVAL);
            assert_int_equal(ask(c, SYMLINK, "dssd", 0, names[i], "x", 0), EINVAL);
            assert_int_equal(ask(c, MKNOD, "dsdddd", 0, names[i], 0100644, 0, 0, 0), EINVAL);
            assert_int_equal(ask(c, UNLINKAT, "dsd", 0, names[i], 0x200), EINVAL);
            assert_int_equal(ask(c, RENAMEAT, "dsds", 0, "file", 0, names[i]), EINVAL);
            assert_int_equal(ask(c, RENAMEAT, "dsds", 0, names[i], 0, "new"), EINVAL);
            assert_int_equal(ask(c, WALK, "ddw", 0, 6, 0), 0);
            assert_int_equal(ask(c, LCREATE, "dsddd", 6, names[i], 2, 0644, 0), EINVAL);
            assert_int_equal(ask(c, CLUNK, "d", 6), 0);
            walk(c, 6, "file");
            assert_int_equal(ask(c, LINK, "dds", 0, 6, names[i]), EINVAL);
            assert_int_equal(ask(c, RENAME, "dds", 6, 0, names[i]), EINVAL);
            assert_int_equal(ask(c, CLUNK, "d", 6), 0);
        }
        assert_int_equal(ask(c, UNLINKAT, "dsd", 0, "..", 0x200), EINVAL);
        assert_int_equal(ask(c, RENAMEAT, "dsds", 0, "..", 0, "new"), EINVAL);
        /* Links are the client's to follow: here they are what they are. */
        walk(c, 7, "up");
        assert_int_equal(body(c)[2], 0x02); /* the qid of a link */
        assert_int_equal(ask(c, READLINK, "d", 7), 0);
        assert_memory_equal(body(c), "\x06\0../out", 8);
        assert_int_equal(ask(c, WALK, "ddws", 7, 8, 1, "secret"), ENOTDIR);
        assert_int_equal(ask(c, WALK, "ddwss", 0, 8, 2, "up", "secret"), 0); /* reached the first name only */
        assert_int_equal(le16_get(body(c)), 1);
        assert_int_equal(ask(c, CLUNK, "d", 8), EBADF); /* so there is no such fid */
        assert_int_equal(ask(c, LOPEN, "dd", 7, 0), ENXIO);
        assert_int_equal(ask(c, LOPEN, "dd", 7, 0200000), ENXIO);
        assert_int_equal(ask(c, WALK, "ddw", 7, 9, 0), 0);
        assert_int_equal(ask(c, LCREATE, "dsddd", 9, "planted", 1, 0644, 0), ENOTDIR);
        assert_int_equal(ask(c, MKDIR, "dsdd", 7, "planted", 0755, 0), ENOTDIR);
        assert_int_equal(ask(c, UNLINKAT, "dsd", 7, "secret", 0), ENOTDIR);
        assert_int_equal(ask(c, RENAMEAT, "dsds", 7, "secret", 0, "stolen"), ENOTDIR);
        assert_int_equal(ask(c, SETATTR, "ddddd" "qqqqq", 7, 8, 0, 0, 0, 0ull, 0ull, 0ull, 0ull, 0ull), ENXIO);
        walk(c, 10, "abs");
        assert_int_equal(ask(c, LOPEN, "dd", 10, 0), ENXIO);
        assert_int_equal(ask(c, WALK, "ddwss", 0, 11, 2, "sub", "a"), 0);
        /* A directory that becomes a link between two messages. */
        shell(c, "mv in/sub in/was && ln -s ../out in/sub");
        assert_int_equal(ask(c, GETATTR, "dq", 11, 0x7ffull), ENOTDIR);
        assert_int_equal(ask(c, LOPEN, "dd", 11, 0), ENOTDIR);
        /* What would hold up or do something on the host is not opened. */
        walk(c, 12, "pipe");
        assert_int_equal(ask(c, LOPEN, "dd", 12, 0), ENXIO);
        assert_int_equal(ask(c, LOPEN, "dd", 12, 1), ENXIO);
        client_free(c);
    }
}

/* ---- the work ---- */

static void test_files(void **state)
{
    Client *c = client_new("");
    char    data[] = "some text";

    assert_int_equal(ask(c, WALK, "ddw", 0, 1, 0), 0);
    assert_int_equal(ask(c, LCREATE, "dsddd", 1, "new", 2, 06755, 0), 0);
    assert_int_equal(ask(c, WRITE, "dqr", 1, 3ull, (unsigned)sizeof(data), data), 0);
    assert_int_equal(le32_get(body(c)), sizeof(data));
    assert_int_equal(ask(c, READ, "dqd", 1, 0ull, 100), 0);
    assert_int_equal(le32_get(body(c)), 3 + sizeof(data));
    assert_memory_equal(body(c) + 4, "\0\0\0some text", 3 + sizeof(data));
    assert_int_equal(ask(c, FSYNC, "dd", 1, 1), 0);
    assert_int_equal(ask(c, LOCK, "dbdqqds", 1, 1, 0, 0ull, 0ull, 7, "me"), 0);
    assert_int_equal(body(c)[0], 0);
    /* Another opening of it meets the lock, as a program of the host would. */
    walk(c, 2, "new");
    assert_int_equal(ask(c, LOPEN, "dd", 2, 2), 0);
    assert_int_equal(ask(c, LOCK, "dbdqqds", 2, 0, 0, 0ull, 0ull, 8, "you"), 0);
    assert_int_equal(body(c)[0], 1);
    assert_int_equal(ask(c, GETLOCK, "dbqqds", 2, 0, 0ull, 0ull, 8, "you"), 0);
    assert_int_equal(body(c)[0], 1);
    /* Gone by name, still there for who has it open. */
    assert_int_equal(ask(c, UNLINKAT, "dsd", 0, "new", 0), 0);
    assert_int_equal(ask(c, GETATTR, "dq", 1, 0x7ffull), 0);
    assert_int_equal(le32_get(body(c) + 8 + 13), S_IFREG | 0755); /* without set-user-ID */
    assert_int_equal(ask(c, SETATTR, "ddddd" "qqqqq", 1, 8, 0, 0, 0, 2ull, 0ull, 0ull, 0ull, 0ull), 0);
    assert_int_equal(ask(c, READ, "dqd", 2, 0ull, 100), 0);
    assert_int_equal(le32_get(body(c)), 2);
    assert_int_equal(ask(c, LOPEN, "dd", 2, 0), EBADF); /* twice */
    client_free(c);
}

static void test_names_follow(void **state)
{
    Client *c = client_new("");

    assert_int_equal(ask(c, WALK, "ddwss", 0, 1, 2, "sub", "a"), 0);
    assert_int_equal(ask(c, RENAMEAT, "dsds", 0, "sub", 0, "moved"), 0);
    assert_int_equal(ask(c, GETATTR, "dq", 1, 0ull), 0);
    walk(c, 2, "moved");
    assert_int_equal(ask(c, RENAME, "dds", 1, 0, "top"), 0);
    shell(c, "test -e in/top");
    assert_int_equal(ask(c, RENAME, "dds", 2, 2, "inside"), EINVAL); /* into itself */
    assert_int_equal(ask(c, REMOVE, "d", 1), 0);
    assert_int_equal(ask(c, GETATTR, "dq", 1, 0ull), EBADF);
    assert_int_equal(ask(c, REMOVE, "d", 2), ENOTEMPTY);
    assert_int_equal(ask(c, CLUNK, "d", 2), EBADF); /* remove ends the fid either way */
    assert_int_equal(ask(c, UNLINKAT, "dsd", 0, "file", 0x200), ENOTDIR);
    assert_int_equal(ask(c, UNLINKAT, "dsd", 0, "moved", 0), EISDIR);
    assert_int_equal(ask(c, REMOVE, "d", 0), EBUSY);
    client_free(c);
}

/* Names in the order of their bytes, whatever the host's; numbers by first sight; sizes that depend on nothing. */
static void test_directory(void **state)
{
    static const char expected[] = ".|..|a|b|c|";
    Client           *c = client_new("");
    g_autoptr(GString) names = g_string_new(NULL);
    uint64_t          at = 0, number[5];
    unsigned          n = 0;

    walk(c, 1, "sub");
    assert_int_equal(ask(c, LOPEN, "dd", 1, 0200000), 0);
    for (;;) {
        assert_int_equal(ask(c, READDIR, "dqd", 1, at, 60), 0); /* two entries at a time */
        ByteReader r = br_init(body(c) + 4, le32_get(body(c)));

        if (r.len == 0) {
            break;
        }
        while (br_left(&r) > 0) {
            br_skip(&r, 5);
            number[n++] = br_u64(&r);
            at = br_u64(&r);
            assert_int_equal(br_u8(&r), n <= 2 ? 4 : 8);
            size_t len = (size_t)br_u16(&r);
            g_string_append_len(names, (const char *)br_take(&r, len), (gssize)len);
            g_string_append_c(names, '|');
        }
        assert_true(br_ok(&r));
    }
    assert_string_equal(names->str, expected);
    assert_int_equal(number[1], 1);             /* the folder was seen first */
    assert_int_equal(number[3], number[2] + 1);
    assert_int_equal(number[4], number[2] + 2);
    assert_int_equal(ask(c, READDIR, "dqd", 1, 0ull, 20), EINVAL);
    assert_int_equal(ask(c, READDIR, "dqd", 1, ~0ull, 200), 0);
    assert_int_equal(le32_get(body(c)), 0);
    assert_int_equal(ask(c, GETATTR, "dq", 1, 0ull), 0);
    assert_int_equal(le64_get(body(c) + 8 + 13 + 12 + 16), 4096);
    /* Reading leaves no trace for the next run. */
    shell(c, "touch -a -d 2001-01-01 in/sub in/file");
    assert_int_equal(ask(c, READDIR, "dqd", 1, 0ull, 200), 0);
    walk(c, 2, "file");
    assert_int_equal(ask(c, LOPEN, "dd", 2, 0), 0);
    assert_int_equal(ask(c, READ, "dqd", 2, 0ull, 100), 0);
    shell(c, "test \"$(stat -c %x in/sub in/file | cut -c1-4 | sort -u)\" = 2001");
    assert_int_equal(ask(c, READ, "dqd", 1, 0ull, 100), EISDIR);
    client_free(c);
}

static void test_mapped(void **state)
{
    Client  *c = client_new(",security_model=mapped-xattr");
    uint8_t  v[8];
    g_autofree char *file = g_strdup_printf("%s/in/n", c->dir);

    assert_int_equal(ask(c, ATTACH, "ddssd", 20, NOFID, "u", "", 7), 0);
    if (ask(c, MKNOD, "dsdddd", 20, "n", S_IFCHR | 04640, 1, 3, 9) == EOPNOTSUPP) {
        client_free(c);
        skip(); /* the file system of /tmp has no extended attributes */
    }
    walk(c, 1, "n");
    assert_int_equal(ask(c, GETATTR, "dq", 1, 0ull), 0);
    assert_int_equal(le32_get(body(c) + 21), S_IFCHR | 04640);
    assert_int_equal(le32_get(body(c) + 25), 7);
    assert_int_equal(le32_get(body(c) + 29), 9);
    assert_int_equal(le64_get(body(c) + 41), 0x103);
    assert_int_equal(getxattr(file, "user.virtfs.mode", v, 8), 4); /* as QEMU has it */
    assert_int_equal(le32_get(v), S_IFCHR | 04640);
    shell(c, "test -f in/n && test $(stat -c %a in/n) = 600"); /* on the host nothing but a file */
    assert_int_equal(ask(c, LOPEN, "dd", 1, 0), ENXIO);
    assert_int_equal(ask(c, SETATTR, "ddddd" "qqqqq", 1, 3, 0107777, 5, 0, 0ull, 0ull, 0ull, 0ull, 0ull), 0);
    assert_int_equal(ask(c, GETATTR, "dq", 1, 0ull), 0);
    assert_int_equal(le32_get(body(c) + 21), S_IFCHR | 07777); /* the type stays */
    assert_int_equal(le32_get(body(c) + 25), 5);
    assert_int_equal(ask(c, SYMLINK, "dssd", 0, "l", "/etc/passwd", 0), 0);
    walk(c, 2, "l");
    assert_int_equal(ask(c, READLINK, "d", 2), 0);
    assert_memory_equal(body(c) + 2, "/etc/passwd", 11);
    assert_int_equal(ask(c, LOPEN, "dd", 2, 0), ENXIO);
    shell(c, "test ! -L in/l");
    client_free(c);
}

/* Sets an attribute of in/file as a client does: a fid becomes it, is written, and given up. */
static int set_attr(Client *c, const char *name, const char *value, unsigned flags)
{
    unsigned len = (unsigned)strlen(value);

    walk(c, 90, "file");
    int why = ask(c, XATTRCREATE, "dsqd", 90, name, (uint64_t)len, flags);

    if (why == 0 && len != 0) {
        assert_int_equal(ask(c, WRITE, "dqr", 90, 0ull, 1u, value), 0);
        assert_int_equal(ask(c, WRITE, "dqr", 90, 1ull, len - 1, value + 1), 0);
    }
    int clunked = ask(c, CLUNK, "d", 90);
    return why != 0 ? why : clunked;
}

/* Expects one, or with no name the names of all, NUL written as '|'. */
static void expect_attr(Client *c, const char *name, const char *value)
{
    walk(c, 90, "file");
    assert_int_equal(ask(c, XATTRWALK, "dds", 90, 91, name), 0);
    size_t len = (size_t)le64_get(body(c));

    assert_int_equal(ask(c, READ, "dqd", 91, 0ull, 1000), 0);
    assert_int_equal(le32_get(body(c)), len);
    g_autofree char *said = g_strndup((const char *)body(c) + 4, len);

    for (size_t i = 0; i < len; i++) {
        said[i] = body(c)[4 + i] == '\0' ? '|' : (char)body(c)[4 + i];
    }
    assert_string_equal(said, value);
    assert_int_equal(ask(c, READ, "dqd", 91, ~0ull, 1000), 0);
    assert_int_equal(le32_get(body(c)), 0);
    assert_int_equal(ask(c, CLUNK, "d", 91), 0);
    assert_int_equal(ask(c, CLUNK, "d", 90), 0);
}

static void test_attributes(void **state)
{
    static const char *const models[] = { "", ",security_model=mapped-xattr" };

    for (unsigned mapped = 0; mapped < ARRAY_LEN(models); mapped++) {
        Client          *c = client_new(models[mapped]);
        g_autofree char *file = g_strdup_printf("%s/in/file", c->dir);

        if (set_attr(c, "user.b", "two", 0) == EOPNOTSUPP) {
            client_free(c);
            skip(); /* the file system of /tmp has no extended attributes */
        }
        assert_int_equal(setxattr(file, "user.virtfs.gid", "\0\0\0\0", 4, 0), 0);
        assert_int_equal(set_attr(c, "user.a", "one", XATTR_CREATE), 0);
        assert_int_equal(set_attr(c, "user.a", "one", XATTR_CREATE), EEXIST);
        assert_int_equal(set_attr(c, "user.c", "x", XATTR_REPLACE), ENODATA);
        expect_attr(c, "user.a", "one");
        expect_attr(c, "", "user.a|user.b|");
        assert_int_equal(getxattr(file, "user.b", NULL, 0), 3); /* the host's, too */
        /* What keeps owners is not the guest's, nor what the host would act on. */
        assert_int_equal(set_attr(c, "user.virtfs.uid", "root", 0), EPERM);
        assert_int_equal(set_attr(c, "user.virtfs.gid", "", XATTR_REPLACE), EPERM);
        assert_int_equal(ask(c, XATTRWALK, "dds", 0, 5, "user.virtfs.gid"), ENODATA);
        assert_int_equal(set_attr(c, "user.", "x", 0), EOPNOTSUPP);
        assert_int_equal(set_attr(c, "x", "x", 0), EOPNOTSUPP);
        assert_int_equal(set_attr(c, "security.capability", "cap", 0), mapped ? 0 : EOPNOTSUPP);
        assert_int_equal(set_attr(c, "trusted.x", "t", 0), mapped ? 0 : EOPNOTSUPP);
        assert_int_equal(getxattr(file, "security.capability", NULL, 0), -1);
        if (mapped) {
            expect_attr(c, "security.capability", "cap");
            expect_attr(c, "", "security.capability|trusted.x|user.a|user.b|");
            assert_int_equal(set_attr(c, "system.posix_acl_access", "any", 0), 0);
            expect_attr(c, "system.posix_acl_access", "any");
            assert_int_equal(set_attr(c, "system.posix_acl_access", "", 0), 0); /* no ACL is empty: it goes */
            assert_int_equal(ask(c, XATTRWALK, "dds", 0, 5, "system.posix_acl_access"), ENODATA);
        } else {
            int why = set_attr(c, "system.posix_acl_access", "any", 0); /* the host's: it looks at it, if it has any */

            assert_true(why == EINVAL || why == EOPNOTSUPP);
        }
        /* An empty one, and one less. */
        assert_int_equal(set_attr(c, "user.b", "", 0), 0);
        expect_attr(c, "user.b", "");
        assert_int_equal(set_attr(c, "user.b", "", XATTR_REPLACE), 0);
        assert_int_equal(ask(c, XATTRWALK, "dds", 0, 5, "user.b"), ENODATA);
        /* A fid that is one takes nothing else; half of one is not set. */
        walk(c, 1, "file");
        assert_int_equal(ask(c, XATTRCREATE, "dsqd", 1, "user.h", 4ull, 0), 0);
        assert_int_equal(ask(c, LOPEN, "dd", 1, 0), EBADF);
        assert_int_equal(ask(c, WALK, "ddw", 1, 2, 0), EBADF);
        assert_int_equal(ask(c, GETATTR, "dq", 1, 0ull), EBADF);
        assert_int_equal(ask(c, XATTRWALK, "dds", 1, 2, ""), EBADF);
        assert_int_equal(ask(c, READ, "dqd", 1, 0ull, 10), EBADF);
        assert_int_equal(ask(c, WRITE, "dqr", 1, 1ull, 1u, "x"), EINVAL);
        assert_int_equal(ask(c, WRITE, "dqr", 1, 0ull, 5u, "xxxxx"), EINVAL);
        assert_int_equal(ask(c, WRITE, "dqr", 1, 0ull, 2u, "xx"), 0);
        assert_int_equal(ask(c, CLUNK, "d", 1), EINVAL);
        assert_int_equal(getxattr(file, "user.h", NULL, 0), -1);
        assert_int_equal(ask(c, XATTRWALK, "dds", 0, 0, ""), EBADF); /* there already */
        client_free(c);
    }
}

/* A client that begins attributes and never ends is stopped. */
static void test_attribute_room(void **state)
{
    Client  *c = client_new("");
    unsigned fid = 1;
    int      why = 0;

    assert_int_equal(ask(c, WALK, "ddw", 0, 1, 0), 0);
    assert_int_equal(ask(c, XATTRCREATE, "dsqd", 1, "user.x", FSDEV_ATTR_MAX + 1ull, 0), E2BIG);
    for (; why == 0; fid++) {
        why = ask(c, XATTRCREATE, "dsqd", fid, "user.x", (uint64_t)FSDEV_ATTR_MAX, 0);
        assert_int_equal(ask(c, WALK, "ddw", 0, fid + 1, 0), 0);
    }
    assert_int_equal(why, ENOSPC);
    assert_int_equal(fid - 2, P9_ATTRS_MAX / FSDEV_ATTR_MAX);
    assert_int_equal(ask(c, CLUNK, "d", 1), EINVAL);
    assert_int_equal(ask(c, XATTRCREATE, "dsqd", fid, "user.x", (uint64_t)FSDEV_ATTR_MAX, 0), 0);
    client_free(c);
}

static void test_readonly(void **state)
{
    Client *c = client_new(",readonly=on");

    walk(c, 1, "file");
    assert_int_equal(ask(c, LOPEN, "dd", 1, 1), EROFS);
    assert_int_equal(ask(c, LOPEN, "dd", 1, 01000), EROFS);
    assert_int_equal(ask(c, SETATTR, "ddddd" "qqqqq", 1, 1, 0, 0, 0, 0ull, 0ull, 0ull, 0ull, 0ull), EROFS);
    assert_int_equal(ask(c, SETATTR, "ddddd" "qqqqq", 1, 2, 0, 0, 0, 0ull, 0ull, 0ull, 0ull, 0ull), EROFS);
    assert_int_equal(ask(c, SETATTR, "ddddd" "qqqqq", 1, 8, 0, 0, 0, 0ull, 0ull, 0ull, 0ull, 0ull), EROFS);
    assert_int_equal(ask(c, SETATTR, "ddddd" "qqqqq", 1, 0x20, 0, 0, 0, 0ull, 0ull, 0ull, 0ull, 0ull), EROFS);
    assert_int_equal(ask(c, XATTRCREATE, "dsqd", 1, "user.x", 1ull, 0), EROFS);
    assert_int_equal(ask(c, LINK, "dds", 0, 1, "x"), EROFS);
    assert_int_equal(ask(c, RENAME, "dds", 1, 0, "x"), EROFS);
    assert_int_equal(ask(c, MKDIR, "dsdd", 0, "x", 0755, 0), EROFS);
    assert_int_equal(ask(c, SYMLINK, "dssd", 0, "x", "y", 0), EROFS);
    assert_int_equal(ask(c, MKNOD, "dsdddd", 0, "x", S_IFIFO, 0, 0, 0), EROFS);
    assert_int_equal(ask(c, UNLINKAT, "dsd", 0, "file", 0), EROFS);
    assert_int_equal(ask(c, LOPEN, "dd", 1, 0), 0);
    assert_int_equal(ask(c, READ, "dqd", 1, 0ull, 100), 0);
    assert_memory_equal(body(c) + 4, "hello\n", 6);
    assert_int_equal(ask(c, WRITE, "dqr", 1, 0ull, 1u, "x"), EBADF);
    client_free(c);
}

/* ---- bounds ---- */

static void test_hostile(void **state)
{
    Client *c = client_new("");
    char    name[300];
    uint8_t whole[64] = { 0 };

    assert_int_equal(p9_serve(c->s, whole, 6, c->reply, c->room), 0); /* too short to have an answer */
    assert_int_equal(p9_serve(c->s, whole, 64, c->reply, 10), 0);
    le32_put(whole, 65); /* longer than it is */
    whole[4] = VERSION;
    assert_int_equal(p9_serve(c->s, whole, 64, c->reply, c->room), P9_ERROR_LEN);
    assert_int_equal(le32_get(c->reply + P9_HEADER), EINVAL);
    assert_int_equal(ask(c, VERSION, "ds", 4095, "9P2000.L"), EINVAL);
    assert_int_equal(ask(c, AUTH, "dssd", 1, "", "", 0), EOPNOTSUPP);
    assert_int_equal(ask(c, 255, ""), EOPNOTSUPP);
    assert_int_equal(ask(c, WALK, "ddw", 0, 1, 17), EINVAL);
    assert_int_equal(ask(c, WALK, "ddw", 0, 1, 1), EINVAL); /* and the name is missing */
    assert_int_equal(ask(c, WALK, "ddw", 5, 1, 0), EBADF);
    assert_int_equal(ask(c, WALK, "ddw", 0, 0, 0), 0);
    assert_int_equal(ask(c, ATTACH, "ddssd", 0, NOFID, "", "", 0), EBADF); /* there already */
    assert_int_equal(ask(c, ATTACH, "ddssd", 1, NOFID, "", "/etc", 0), ENOENT);
    memset(name, 'x', sizeof(name));
    name[256] = '\0';
    assert_int_equal(ask(c, MKDIR, "dsdd", 0, name, 0755, 0), ENAMETOOLONG);
    assert_int_equal(ask(c, MKNOD, "dsdddd", 0, "dev", S_IFBLK | 0600, 8, 0, 0), EPERM);
    assert_int_equal(ask(c, MKNOD, "dsdddd", 0, "what", 0170000, 8, 0, 0), EINVAL);
    walk(c, 1, "file");
    assert_int_equal(ask(c, READ, "dqd", 1, 0ull, 1), EBADF); /* not open */
    assert_int_equal(ask(c, LOPEN, "dd", 1, 2), 0);
    assert_int_equal(ask(c, READ, "dqd", 1, ~0ull, 1), EINVAL);
    assert_int_equal(ask(c, WRITE, "dqd", 1, 0ull, 0xffffffff), EINVAL); /* more than there is */
    assert_int_equal(ask(c, READDIR, "dqd", 1, 0ull, 100), ENOTDIR);
    assert_int_equal(ask(c, SETATTR, "ddddd" "qqqqq", 1, 8, 0, 0, 0, ~0ull, 0ull, 0ull, 0ull, 0ull), EFBIG);
    assert_int_equal(ask(c, LOCK, "dbdqqds", 1, 3, 0, 0ull, 0ull, 7, "me"), EINVAL);
    c->room = 12; /* no room for what was asked for */
    assert_int_equal(ask(c, READ, "dqd", 1, 0ull, 0xffffffff), 0);
    assert_int_equal(le32_get(body(c)), 1);
    assert_int_equal(ask(c, GETATTR, "dq", 1, 0ull), EMSGSIZE);
    c->room = sizeof(c->reply);
    /* As many fids as there may be, and as many of them open. */
    unsigned fid = 2;

    for (; fid < P9_MAX_OPEN + 10; fid++) {
        walk(c, fid, "file");
        assert_int_equal(ask(c, LOPEN, "dd", fid, 0), fid - 1 < P9_MAX_OPEN ? 0 : EMFILE);
    }
    for (int why = 0; why == 0; fid += why == 0) {
        why = ask(c, WALK, "ddw", 0, fid, 0);
    }
    assert_int_equal(fid, P9_MAX_FIDS);
    assert_int_equal(ask(c, VERSION, "ds", 8192, "9P2000.u"), 0);
    assert_memory_equal(body(c) + 6, "unknown", 7);
    assert_int_equal(ask(c, CLUNK, "d", 0), EBADF); /* a session begins with nothing */
    client_free(c);
}

/* A path cannot grow for ever. */
static void test_deep(void **state)
{
    Client  *c = client_new("");
    char     name[251] = { 0 };
    unsigned depth = 0;
    int      why;

    memset(name, 'd', 250);
    assert_int_equal(ask(c, WALK, "ddw", 0, 1, 0), 0);
    while ((why = ask(c, MKDIR, "dsdd", 1, name, 0755, 0)) == 0) {
        assert_int_equal(ask(c, WALK, "ddws", 1, 1, 1, name), 0);
        depth++;
    }
    assert_int_equal(why, ENAMETOOLONG);
    assert_int_equal(depth, FSDEV_PATH_MAX / 251);
    /* Nor can those of all fids, by walks or by a new name of what is above them. */
    unsigned fid = 2;

    while ((why = ask(c, WALK, "ddw", 1, fid, 0)) == 0) {
        fid++;
    }
    assert_int_equal(why, ENFILE);
    assert_int_equal(fid, P9_PATHS_MAX / (depth * 251 - 1) + 1);
    name[250] = '\0';
    g_autofree char *longer = g_strconcat(name, "x", NULL);

    assert_int_equal(ask(c, RENAMEAT, "dsds", 0, name, 0, longer), ENFILE);
    assert_int_equal(ask(c, RENAMEAT, "dsds", 0, name, 0, "short"), 0);
    assert_int_equal(ask(c, GETATTR, "dq", fid - 1, 0ull), 0);
    client_free(c);
}

static void test_options(void **state)
{
    static const char *const rows[][2] = {
        { "local,id=x", "-fsdev local,id=x names no folder; add path=FOLDER" },
        { "local,path=/tmp", "-fsdev local,path=/tmp needs an id of its own; add id=NAME and name it in -device" },
        { "proxy,id=x,path=/tmp", "-fsdev has no kind 'proxy'; use local,id=ID,path=FOLDER" },
        { "local,id=x,path=/tmp,security_model=passthrough",
          "-fsdev local,id=x,path=/tmp,security_model=passthrough: there is no security_model=passthrough; use none or "
          "mapped-xattr" },
        { "local,id=x,path=/tmp,writeout=immediate",
          "'writeout' in -fsdev local,id=x,path=/tmp,writeout=immediate is not known; use id, path, security_model or "
          "readonly" },
        { "local,id=x,path=/nonexistent",
          "cannot share the folder '/nonexistent' (from -fsdev or -virtfs): No such file or directory; name a folder "
          "that you may read" },
        { "local,id=x,path=/dev/null", "cannot share the folder '/dev/null' (from -fsdev or -virtfs): Not a directory; "
                                       "name a folder that you may read" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        GError *error = NULL;

        assert_null(fsdev_new(rows[i][0], &error));
        assert_string_equal(error->message, rows[i][1]);
        g_error_free(error);
    }
}

/* ---- the device ---- */

static void test_device(void **state)
{
    Client    *c = client_new("");
    VirtioRig *r = vr_new(rig_new(), "virtio-9p-pci,fsdev=f,mount_tag=share", 0);
    uint8_t    msg[19];
    ByteWriter w = bw_init(msg, sizeof(msg));

    assert_int_equal(rig_read(r->pci, r->bar + 0x2000, 2), 5);
    assert_int_equal(rig_read(r->pci, r->bar + 0x2002, 4), le32_get("shar"));
    bw_u32(&w, 21);
    bw_u8(&w, VERSION);
    bw_u16(&w, 0xffff);
    bw_u32(&w, 8192);
    bw_u16(&w, 8);
    bw_bytes(&w, "9P2000", 6);
    for (unsigned i = 0; i < sizeof(msg); i++) {
        rig_write(r->pci, VR_BUFFERS + i, 1, msg[i]);
    }
    rig_write(r->pci, VR_BUFFERS + 19, 1, '.');
    rig_write(r->pci, VR_BUFFERS + 20, 1, 'L');
    vr_desc(r, VR_QUEUE(0), 0, VR_BUFFERS, 21, VIRTQ_DESC_NEXT, 1);
    vr_desc(r, VR_QUEUE(0), 1, VR_BUFFERS + 0x1000, 8, VIRTQ_DESC_NEXT | VIRTQ_DESC_WRITE, 2);
    vr_desc(r, VR_QUEUE(0), 2, VR_BUFFERS + 0x2000, 64, VIRTQ_DESC_WRITE, 0);
    vr_offer(r, 0, 0, true);
    assert_int_equal(vr_used_len(r, 0, 0), 21);
    assert_int_equal(rig_read(r->pci, VR_BUFFERS + 0x1004, 1), VERSION + 1);
    assert_int_equal(rig_read(r->pci, VR_BUFFERS + 0x1000, 4), 21);
    /* No room for an answer: the device stops. */
    vr_desc(r, VR_QUEUE(0), 1, VR_BUFFERS + 0x1000, 8, VIRTQ_DESC_WRITE, 0);
    vr_offer(r, 0, 0, true);
    assert_true(vr_status(r) & VIRTIO_STATUS_NEEDS_RESET);
    vr_free(r);
    client_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_confined), cmocka_unit_test(test_files),   cmocka_unit_test(test_names_follow),
        cmocka_unit_test(test_directory), cmocka_unit_test(test_mapped), cmocka_unit_test(test_readonly),
        cmocka_unit_test(test_hostile),  cmocka_unit_test(test_deep),    cmocka_unit_test(test_options),
        cmocka_unit_test(test_device),   cmocka_unit_test(test_attributes), cmocka_unit_test(test_attribute_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
