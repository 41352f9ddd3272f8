/*
 * Shared folders. Every access walks its path from the folder's descriptor with O_NOFOLLOW for each name, so there is
 * no path, and no moment between a check and its use, at which a link could lead elsewhere.
 */
#define _GNU_SOURCE /* O_PATH, O_NOATIME */
#include "fsdev.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "bits.h"
#include "bytes.h"
#include "device.h"
#include "options.h"

enum { PERMISSIONS = 0777, MODE_BITS = 07777 };

struct Fsdev {
    char *id;
    int   root;
    bool  readonly, mapped;
};

/* An entry: its directory and its name there. */
typedef struct Place {
    int         dir; /* ours to close */
    const char *name;
} Place;

static GPtrArray *all;

/* ---- paths ---- */

bool fsdev_name_ok(const char *name)
{
    size_t len = strlen(name);

    return len > 0 && len <= FSDEV_NAME_MAX && strchr(name, '/') == NULL && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0;
}

/* A directory's descriptor for the walk only; -1 with errno. */
static int step(int dir, const char *name)
{
    return openat(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int reach(const Fsdev *f, const char *path, Place *p)
{
    p->dir = step(f->root, ".");
    p->name = *path == '\0' ? "." : path;
    for (const char *slash; p->dir >= 0 && (slash = strchr(p->name, '/')) != NULL; p->name = slash + 1) {
        g_autofree char *name = g_strndup(p->name, (gsize)(slash - p->name));
        int              next = step(p->dir, name), why = errno;

        close(p->dir);
        p->dir = next;
        errno = why;
    }
    return p->dir < 0 ? errno : 0;
}

/* The same for an entry that is to be changed, which the folder itself cannot be with @below. */
static int reach_to_change(const Fsdev *f, const char *path, bool below, Place *p)
{
    p->dir = -1;
    return f->readonly ? EROFS : below && *path == '\0' ? EBUSY : reach(f, path, p);
}

/* Closes the place and turns a system call's result into 0 or its error. */
static int leave(Place *p, int result)
{
    int why = result < 0 ? errno : 0;

    if (p->dir >= 0) {
        close(p->dir);
    }
    return why;
}

/* ---- what mapped-xattr keeps (numbers are little-endian) ---- */

static const char attr_uid[] = "user.virtfs.uid", attr_gid[] = "user.virtfs.gid", attr_mode[] = "user.virtfs.mode",
                  attr_rdev[] = "user.virtfs.rdev";

/* Extended attributes have no call by directory and name: the path leads through the directory's descriptor. */
typedef struct AttrPath {
    char text[64 + FSDEV_NAME_MAX];
} AttrPath;

static AttrPath attr_path(const Place *p)
{
    AttrPath a;

    snprintf(a.text, sizeof(a.text), "/proc/self/fd/%d/%s", p->dir, p->name);
    return a;
}

static bool attr_get(const Place *p, int fd, const char *name, uint64_t *value, size_t size)
{
    uint8_t b[8];
    ssize_t n = p != NULL ? lgetxattr(attr_path(p).text, name, b, sizeof(b)) : fgetxattr(fd, name, b, sizeof(b));

    if (n != (ssize_t)size) {
        return false;
    }
    *value = le_get(b, size);
    return true;
}

static int attr_set(const Place *p, const char *name, uint64_t value, size_t size)
{
    uint8_t b[8];

    le_put(b, value, size);
    return lsetxattr(attr_path(p).text, name, b, size, 0);
}

/* The guest's view of a file, of which the host's is in @st. */
static void map_stat(const Fsdev *f, const Place *p, int fd, struct stat *st)
{
    uint64_t v;

    if (!f->mapped || !(S_ISREG(st->st_mode) || S_ISDIR(st->st_mode))) {
        return;
    }
    if (attr_get(p, fd, attr_uid, &v, 4)) {
        st->st_uid = (uid_t)v;
    }
    if (attr_get(p, fd, attr_gid, &v, 4)) {
        st->st_gid = (gid_t)v;
    }
    if (attr_get(p, fd, attr_mode, &v, 4)) {
        mode_t type = S_ISDIR(st->st_mode) || (v & S_IFMT) == 0 || (v & S_IFMT) == S_IFDIR ? st->st_mode & S_IFMT
                                                                                           : (mode_t)v & S_IFMT;

        st->st_mode = type | ((mode_t)v & MODE_BITS);
    }
    if (attr_get(p, fd, attr_rdev, &v, 8)) {
        st->st_rdev = (dev_t)v;
    }
}

/* Owner and permissions of what was just made; @type: what it is for the guest. */
static int set_owner(const Fsdev *f, const Place *p, const FsdevOwner *o, mode_t type)
{
    if (!f->mapped) {
        return type == S_IFLNK ? 0 : fchmodat(p->dir, p->name, o->mode & PERMISSIONS, AT_SYMLINK_NOFOLLOW);
    }
    return attr_set(p, attr_uid, o->uid, 4) == 0 && attr_set(p, attr_gid, o->gid, 4) == 0 &&
                   attr_set(p, attr_mode, type | (o->mode & MODE_BITS), 4) == 0
               ? 0
               : -1;
}

/* Finishes making an entry, which goes again when its owner cannot be kept. */
static int made(const Fsdev *f, Place *p, const FsdevOwner *o, mode_t type, int result)
{
    if (result >= 0 && set_owner(f, p, o, type) < 0) {
        int why = errno;

        unlinkat(p->dir, p->name, type == S_IFDIR ? AT_REMOVEDIR : 0);
        errno = why;
        result = -1;
    }
    return leave(p, result);
}

/* ---- looking ---- */

static int stat_at(const Fsdev *f, const Place *p, struct stat *st)
{
    int r = fstatat(p->dir, p->name, st, AT_SYMLINK_NOFOLLOW);

    if (r == 0) {
        map_stat(f, p, -1, st);
    }
    return r;
}

int fsdev_stat(Fsdev *f, const char *path, struct stat *st)
{
    Place p;
    int   why = reach(f, path, &p);

    return why != 0 ? why : leave(&p, stat_at(f, &p, st));
}

int fsdev_fstat(Fsdev *f, int fd, struct stat *st)
{
    if (fstat(fd, st) < 0) {
        return errno;
    }
    map_stat(f, NULL, fd, st);
    return 0;
}

int fsdev_statvfs(Fsdev *f, struct statvfs *st)
{
    return fstatvfs(f->root, st) < 0 ? errno : 0;
}

/* Reading leaves no trace in the times of a file that is ours, so that the next run sees the same. */
static int open_quietly(int dir, const char *name, int flags)
{
    int fd = openat(dir, name, flags | O_NOATIME | O_CLOEXEC);

    return fd < 0 && errno == EPERM ? openat(dir, name, flags | O_CLOEXEC) : fd;
}

/* What is to be opened must be a file or a directory before and after: opening anything else may do something. */
static int open_at(const Fsdev *f, const Place *p, int flags)
{
    struct stat st;

    if (stat_at(f, p, &st) < 0) {
        return -1;
    }
    int fd = S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)
                 ? open_quietly(p->dir, p->name, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)
                 : -1;

    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
        errno = ENXIO;
    } else if (fd >= 0 && (fstat(fd, &st) < 0 || !(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)))) {
        close(fd);
        fd = -1;
        errno = ENXIO;
    }
    return fd;
}

int fsdev_open(Fsdev *f, const char *path, int flags, int *fd)
{
    bool  changes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC) != 0;
    Place p;
    int   why = changes ? reach_to_change(f, path, false, &p) : reach(f, path, &p);

    if (why != 0) {
        return why;
    }
    *fd = open_at(f, &p, flags);
    return leave(&p, *fd);
}

int fsdev_readlink(Fsdev *f, const char *path, char target[FSDEV_PATH_MAX + 1])
{
    struct stat st;
    Place       p;
    int         why = reach(f, path, &p), fd = -1;
    ssize_t     n = -1;

    if (why != 0) {
        return why;
    }
    if (fstatat(p.dir, p.name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode)) { /* a link of mapped-xattr */
        map_stat(f, &p, -1, &st);
        fd = S_ISLNK(st.st_mode) ? openat(p.dir, p.name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) : -1;
        errno = S_ISLNK(st.st_mode) ? errno : EINVAL;
        n = fd >= 0 ? read(fd, target, FSDEV_PATH_MAX) : -1;
    } else {
        n = readlinkat(p.dir, p.name, target, FSDEV_PATH_MAX);
    }
    target[MAX(n, 0)] = '\0';
    why = leave(&p, n < 0 ? -1 : 0);
    if (fd >= 0) {
        close(fd);
    }
    return why;
}

static int by_bytes(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int fsdev_list(Fsdev *f, int fd, size_t max, GPtrArray **names)
{
    int            mine = open_quietly(fd, ".", O_RDONLY | O_DIRECTORY); /* with a position of its own */
    DIR           *dir = mine >= 0 ? fdopendir(mine) : NULL;
    GPtrArray     *list = g_ptr_array_new_with_free_func(g_free);
    struct dirent *e;
    size_t         used = 0;
    int            why = 0;

    errno = dir == NULL ? errno : 0;
    while (dir != NULL && (e = readdir(dir)) != NULL && used <= max) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            g_ptr_array_add(list, g_strdup(e->d_name));
            used += strlen(e->d_name) + 1;
        }
        errno = 0;
    }
    why = used > max ? ENOMEM : errno;
    if (dir != NULL) {
        closedir(dir);
    }
    if (why != 0) {
        g_ptr_array_free(list, TRUE);
        return why;
    }
    g_ptr_array_sort(list, by_bytes);
    *names = list;
    return 0;
}

/* ---- making ---- */

int fsdev_create(Fsdev *f, const char *path, int flags, const FsdevOwner *o, int *fd)
{
    Place p;
    int   why = reach_to_change(f, path, true, &p);

    *fd = -1;
    if (why != 0) {
        return why;
    }
    *fd = openat(p.dir, p.name, flags | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC, 0600);
    why = made(f, &p, o, S_IFREG, *fd);
    if (why != 0 && *fd >= 0) {
        close(*fd);
        *fd = -1;
    }
    return why;
}

int fsdev_mkdir(Fsdev *f, const char *path, const FsdevOwner *o)
{
    Place p;
    int   why = reach_to_change(f, path, true, &p);

    return why != 0 ? why : made(f, &p, o, S_IFDIR, mkdirat(p.dir, p.name, 0700));
}

/* A regular file that stands for something else in the guest, with @text in it. */
static int put_file(const Place *p, const char *text)
{
    int  fd = openat(p->dir, p->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    int  why = errno;

    if (fd >= 0) {
        close(fd);
    }
    if (fd >= 0 && !ok) {
        unlinkat(p->dir, p->name, 0);
    }
    errno = why;
    return ok ? 0 : -1;
}

int fsdev_mknod(Fsdev *f, const char *path, const FsdevOwner *o, dev_t rdev)
{
    mode_t type = o->mode & S_IFMT;
    bool   device = type == S_IFCHR || type == S_IFBLK;
    Place  p;
    int    why = reach_to_change(f, path, true, &p);

    if (why != 0) {
        return why;
    }
    if (!device && type != S_IFIFO && type != S_IFSOCK && type != S_IFREG) {
        errno = EINVAL;
        return leave(&p, -1);
    }
    if (!f->mapped && device) {
        errno = EPERM; /* a node of the host's devices is not the guest's to make */
        return leave(&p, -1);
    }
    if (!f->mapped) {
        return made(f, &p, o, type, mknodat(p.dir, p.name, type | 0600, 0));
    }
    int r = put_file(&p, "");

    if (r == 0 && device && attr_set(&p, attr_rdev, rdev, 8) < 0) {
        why = errno;
        unlinkat(p.dir, p.name, 0);
        errno = why;
        r = -1;
    }
    return made(f, &p, o, type, r);
}

int fsdev_symlink(Fsdev *f, const char *path, const char *target, const FsdevOwner *o)
{
    FsdevOwner link = { o->uid, o->gid, 0777 };
    Place      p;
    int        why = reach_to_change(f, path, true, &p);

    return why != 0 ? why : made(f, &p, &link, S_IFLNK, f->mapped ? put_file(&p, target)
                                                                  : symlinkat(target, p.dir, p.name));
}

/* Both places of an operation on two. */
static int reach_both(const Fsdev *f, const char *path, const char *new_path, Place *from, Place *to)
{
    int why = reach_to_change(f, path, true, from);

    to->dir = -1;
    if (why == 0 && (why = reach_to_change(f, new_path, true, to)) != 0) {
        (void)leave(from, 0);
    }
    return why;
}

int fsdev_link(Fsdev *f, const char *path, const char *new_path)
{
    Place from, to;
    int   why = reach_both(f, path, new_path, &from, &to);

    if (why == 0) {
        why = leave(&from, linkat(from.dir, from.name, to.dir, to.name, 0)); /* of a link: the link itself */
        (void)leave(&to, 0);
    }
    return why;
}

int fsdev_rename(Fsdev *f, const char *path, const char *new_path)
{
    Place from, to;
    int   why = reach_both(f, path, new_path, &from, &to);

    if (why == 0) {
        why = leave(&from, renameat(from.dir, from.name, to.dir, to.name));
        (void)leave(&to, 0);
    }
    return why;
}

int fsdev_unlink(Fsdev *f, const char *path, bool directory)
{
    Place p;
    int   why = reach_to_change(f, path, true, &p);

    return why != 0 ? why : leave(&p, unlinkat(p.dir, p.name, directory ? AT_REMOVEDIR : 0));
}

/* ---- changing ---- */

int fsdev_chmod(Fsdev *f, const char *path, mode_t mode)
{
    struct stat st;
    Place       p;
    int         why = reach_to_change(f, path, false, &p);

    if (why != 0) {
        return why;
    }
    int r = stat_at(f, &p, &st);

    if (r == 0) {
        r = f->mapped ? attr_set(&p, attr_mode, (st.st_mode & S_IFMT) | (mode & MODE_BITS), 4)
                      : fchmodat(p.dir, p.name, mode & PERMISSIONS, AT_SYMLINK_NOFOLLOW);
    }
    return leave(&p, r);
}

int fsdev_chown(Fsdev *f, const char *path, uint32_t uid, uint32_t gid)
{
    struct stat st;
    Place       p;
    int         why = reach_to_change(f, path, false, &p), r = 0;

    if (why != 0) {
        return why;
    }
    if (!f->mapped) {
        r = stat_at(f, &p, &st); /* must be there; it stays whose it is */
    } else {
        r = uid != UINT32_MAX ? attr_set(&p, attr_uid, uid, 4) : 0;
        r = r == 0 && gid != UINT32_MAX ? attr_set(&p, attr_gid, gid, 4) : r;
    }
    return leave(&p, r);
}

int fsdev_utimes(Fsdev *f, const char *path, const struct timespec times[2])
{
    Place p;
    int   why = reach_to_change(f, path, false, &p);

    return why != 0 ? why : leave(&p, utimensat(p.dir, p.name, times, AT_SYMLINK_NOFOLLOW));
}

int fsdev_truncate(Fsdev *f, const char *path, uint64_t size)
{
    int fd, why = size > INT64_MAX ? EFBIG : fsdev_open(f, path, O_WRONLY, &fd);

    if (why == 0) {
        why = ftruncate(fd, (off_t)size) < 0 ? errno : 0;
        close(fd);
    }
    return why;
}

/* ---- the guest's extended attributes ---- */

static const char kept[] = "user.virtfs."; /* names of what is kept begin with it, and are not the guest's */

/* Whether it is in a namespace that is kept. */
static bool is_kept(const char *name)
{
    return g_str_has_prefix(name, "security.") || g_str_has_prefix(name, "trusted.") ||
           g_str_has_prefix(name, "system.posix_acl_");
}

static bool is_acl(const char *name)
{
    return strcmp(name, "system.posix_acl_access") == 0 || strcmp(name, "system.posix_acl_default") == 0;
}

/* The host's name of what the guest calls @name; @absent: the error when it has none. */
static int attr_host_name(const Fsdev *f, const char *name, int absent, char host[XATTR_NAME_MAX + 1])
{
    bool   user = g_str_has_prefix(name, "user.") && name[5] != '\0', keep = f->mapped && is_kept(name);
    size_t len = strlen(name) + (keep ? strlen(kept) : 0);

    if (g_str_has_prefix(name, kept)) {
        return absent;
    }
    if (!user && !keep && !is_acl(name)) {
        return EOPNOTSUPP;
    }
    if (len > XATTR_NAME_MAX) {
        return ERANGE;
    }
    g_snprintf(host, XATTR_NAME_MAX + 1, "%s%s", keep ? kept : "", name);
    return 0;
}

int fsdev_attr_get(Fsdev *f, const char *path, const char *name, GByteArray **value)
{
    char  host[XATTR_NAME_MAX + 1];
    Place p;
    int   why = attr_host_name(f, name, ENODATA, host);

    why = why == 0 ? reach(f, path, &p) : why;
    if (why != 0) {
        return why;
    }
    GByteArray *v = g_byte_array_new();

    g_byte_array_set_size(v, FSDEV_ATTR_MAX);
    ssize_t n = lgetxattr(attr_path(&p).text, host, v->data, v->len);

    why = leave(&p, n < 0 ? -1 : 0);
    if (why != 0) {
        g_byte_array_unref(v);
        return why;
    }
    g_byte_array_set_size(v, (guint)n);
    *value = v;
    return 0;
}

/* What the guest calls the host's @name; NULL: it has no name for it. */
static const char *attr_guest_name(const Fsdev *f, const char *name)
{
    if (g_str_has_prefix(name, kept)) {
        return f->mapped && is_kept(name + strlen(kept)) ? name + strlen(kept) : NULL;
    }
    return g_str_has_prefix(name, "user.") || (!f->mapped && is_acl(name)) ? name : NULL;
}

int fsdev_attr_list(Fsdev *f, const char *path, GByteArray **names)
{
    g_autofree char *host = g_malloc(FSDEV_ATTR_MAX);
    g_autoptr(GPtrArray) list = g_ptr_array_new();
    Place p;
    int   why = reach(f, path, &p);

    if (why != 0) {
        return why;
    }
    ssize_t n = llistxattr(attr_path(&p).text, host, FSDEV_ATTR_MAX);

    why = leave(&p, n < 0 ? -1 : 0);
    if (why != 0) {
        return why;
    }
    for (const char *name = host; name < host + n; name += strlen(name) + 1) {
        const char *guest = attr_guest_name(f, name);

        if (guest != NULL) {
            g_ptr_array_add(list, (gpointer)guest);
        }
    }
    g_ptr_array_sort(list, by_bytes); /* the host's file system has an order of its own */
    *names = g_byte_array_new();
    for (guint i = 0; i < list->len; i++) {
        g_byte_array_append(*names, list->pdata[i], (guint)strlen(list->pdata[i]) + 1);
    }
    return 0;
}

int fsdev_attr_set(Fsdev *f, const char *path, const char *name, const void *value, size_t len, int flags)
{
    char  host[XATTR_NAME_MAX + 1];
    Place p;
    int   why = f->readonly ? EROFS : attr_host_name(f, name, EPERM, host);

    why = why == 0 ? reach_to_change(f, path, false, &p) : why;
    return why != 0 ? why : leave(&p, lsetxattr(attr_path(&p).text, host, value, len, flags));
}

int fsdev_attr_remove(Fsdev *f, const char *path, const char *name)
{
    char  host[XATTR_NAME_MAX + 1];
    Place p;
    int   why = f->readonly ? EROFS : attr_host_name(f, name, EPERM, host);

    why = why == 0 ? reach_to_change(f, path, false, &p) : why;
    return why != 0 ? why : leave(&p, lremovexattr(attr_path(&p).text, host));
}

/* ---- options ---- */

bool fsdev_readonly(const Fsdev *f) { return f->readonly; }

Fsdev *fsdev_find(const char *id)
{
    for (guint i = 0; all != NULL && i < all->len; i++) {
        if (strcmp(((Fsdev *)all->pdata[i])->id, id) == 0) {
            return all->pdata[i];
        }
    }
    return NULL;
}

static bool check_keys(const OptionList *l, GError **error)
{
    static const char *const known[] = { "id", "path", "security_model", "readonly", NULL };
    const char              *id = option_list_get(l, "id"), *model = option_list_get(l, "security_model");

    for (guint i = 0; i < l->keys->len; i++) {
        if (!g_strv_contains(known, l->keys->pdata[i])) {
            g_set_error(error, BAILEY_ERROR, 0,
                        "'%s' in -fsdev %s is not known; use id, path, security_model or readonly",
                        (char *)l->keys->pdata[i], l->text);
            return false;
        }
    }
    if (strcmp(l->driver, "local") != 0) {
        g_set_error(error, BAILEY_ERROR, 0, "-fsdev has no kind '%s'; use local,id=ID,path=FOLDER", l->driver);
    } else if (id == NULL || fsdev_find(id) != NULL) {
        g_set_error(error, BAILEY_ERROR, 0, "-fsdev %s needs an id of its own; add id=NAME and name it in -device",
                    l->text);
    } else if (option_list_get(l, "path") == NULL) {
        g_set_error(error, BAILEY_ERROR, 0, "-fsdev %s names no folder; add path=FOLDER", l->text);
    } else if (model != NULL && strcmp(model, "none") != 0 && strcmp(model, "mapped-xattr") != 0) {
        g_set_error(error, BAILEY_ERROR, 0, "-fsdev %s: there is no security_model=%s; use none or mapped-xattr",
                    l->text, model);
    } else {
        return true;
    }
    return false;
}

static void fsdev_free(Fsdev *f)
{
    if (f->root >= 0) {
        close(f->root);
    }
    g_free(f->id);
    g_free(f);
}

Fsdev *fsdev_new(const char *option, GError **error)
{
    OptionList *l = option_list_parse(option);
    Fsdev      *f = NULL;
    bool        readonly = false;

    if (check_keys(l, error) && option_list_bool(l, "-fsdev", "readonly", &readonly, error)) {
        const char *path = option_list_get(l, "path");

        f = g_new0(Fsdev, 1);
        f->id = g_strdup(option_list_get(l, "id"));
        f->readonly = readonly;
        f->mapped = g_strcmp0(option_list_get(l, "security_model"), "mapped-xattr") == 0;
        f->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (f->root < 0) {
            g_set_error(error, BAILEY_ERROR, 0, "cannot share the folder '%s' (from -fsdev or -virtfs): %s; name a "
                                                "folder that you may read", path, g_strerror(errno));
            fsdev_free(f);
            f = NULL;
        }
    }
    if (f != NULL) {
        all = all != NULL ? all : g_ptr_array_new_with_free_func((GDestroyNotify)fsdev_free);
        g_ptr_array_add(all, f);
    }
    option_list_free(l);
    return f;
}

void fsdev_free_all(void)
{
    g_clear_pointer(&all, g_ptr_array_unref);
}
