/*
 * The 9P2000.L server. A fid is a path below the shared folder, and a descriptor while it is open; when the client
 * renames something, the paths of its fids follow. Numbers of files (qid.path, which the guest shows as inode) count by
 * first sight, directories are listed in order of their names, sizes of directories and blocks of files do not depend
 * on the host's file system, so that what a guest sees of equal folders is equal but for times and free space.
 */
#define _GNU_SOURCE /* F_OFD_SETLK */
#include "hw/virtio/p9.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "bits.h"
#include "bytes.h"

enum {
    RLERROR = 7,
    TSTATFS = 8, TLOPEN = 12, TLCREATE = 14, TSYMLINK = 16, TMKNOD = 18, TRENAME = 20, TREADLINK = 22, TGETATTR = 24,
    TSETATTR = 26, TXATTRWALK = 30, TXATTRCREATE = 32, TREADDIR = 40, TFSYNC = 50, TLOCK = 52, TGETLOCK = 54,
    TLINK = 70, TMKDIR = 72, TRENAMEAT = 74, TUNLINKAT = 76,
    TVERSION = 100, TATTACH = 104, TFLUSH = 108, TWALK = 110, TREAD = 116, TWRITE = 118, TCLUNK = 120, TREMOVE = 122,

    QID_DIR = 0x80, QID_LINK = 0x02,
    QID_LEN = 13,
    MSIZE_MIN = 4096,
    MAX_WALK = 16,
    FS_MAGIC = 0x01021997,
    GETATTR_BASIC = 0x7ff,
    DIR_SIZE = 4096,
    IO_HEADER = P9_HEADER + 4,
    DIRENT_HEADER = QID_LEN + 8 + 1 + 2,
    AT_REMOVE_DIR = 0x200,
};

/* Open flags of the protocol: Linux's numbers on most architectures, whatever those of the host are. */
enum { L_ACCESS = 3, L_TRUNC = 01000, L_APPEND = 02000, L_DSYNC = 010000, L_SYNC = 04000000 };

enum { SET_MODE = 1, SET_UID = 2, SET_GID = 4, SET_SIZE = 8, SET_ATIME = 0x10, SET_MTIME = 0x20, SET_ATIME_TO = 0x80,
       SET_MTIME_TO = 0x100 };

enum { L_LOCK_READ, L_LOCK_WRITE, L_LOCK_NONE, L_LOCK_SUCCESS = 0, L_LOCK_BLOCKED = 1 };

typedef struct Fid {
    uint32_t   id, uid;
    char      *path;
    int        fd;     /* -1: not open */
    uint64_t   number; /* qid.path of what is open: it may have no name any more */
    bool       is_dir; /* what is open */
    GPtrArray *names;  /* of a directory that is being read; NULL: not yet */
    size_t     names_len;
    GByteArray *attr;  /* what it is in place of a file: an extended attribute of one, or the names of all; else NULL */
    char      *attr_name;  /* of one that is written, and set when the fid is given up; NULL: it is read */
    size_t     attr_len;   /* that it is to have */
    uint32_t   attr_flags;
} Fid;

struct P9 {
    Fsdev      *fs;
    uint32_t    msize;
    GHashTable *fids;    /* id -> Fid */
    size_t      paths_len; /* of all fids */
    unsigned    n_open;
    size_t      names_len; /* of all fids */
    size_t      attrs_len; /* of all fids */
    GHashTable *numbers; /* Inode -> its number */
    uint64_t    next_number;
    ByteReader  in;
    ByteWriter  out;
    char        link[FSDEV_PATH_MAX + 1];
};

/* ---- numbers of files ---- */

typedef struct Inode {
    uint64_t dev, ino;
    uint64_t number;
} Inode;

static guint inode_hash(gconstpointer p)
{
    const Inode *i = p;
    uint64_t     h = (i->ino ^ i->dev << 40) * 0x9e3779b97f4a7c15ull;

    return (guint)(h >> 32);
}

static gboolean inode_equal(gconstpointer a, gconstpointer b)
{
    const Inode *x = a, *y = b;

    return x->dev == y->dev && x->ino == y->ino;
}

static uint64_t number_of(P9 *s, const struct stat *st)
{
    Inode  key = { st->st_dev, st->st_ino, 0 };
    Inode *found = g_hash_table_lookup(s->numbers, &key);

    if (found == NULL) {
        found = g_new(Inode, 1);
        *found = (Inode){ key.dev, key.ino, s->next_number++ };
        g_hash_table_add(s->numbers, found);
    }
    return found->number;
}

/* The last name of a file is about to go: its number is not to be another one's, and not to be kept for ever. */
static void forget_number(P9 *s, const struct stat *st)
{
    Inode key = { st->st_dev, st->st_ino, 0 };

    if (S_ISDIR(st->st_mode) || st->st_nlink <= 1) {
        g_hash_table_remove(s->numbers, &key);
    }
}

/* ---- fids ---- */

static void names_drop(P9 *s, Fid *f)
{
    g_clear_pointer(&f->names, g_ptr_array_unref);
    s->names_len -= f->names_len;
    f->names_len = 0;
}

static void fid_close(P9 *s, Fid *f)
{
    if (f->fd >= 0) {
        close(f->fd);
        f->fd = -1;
        s->n_open--;
    }
    names_drop(s, f);
}

static Fid *fid_find(P9 *s, uint32_t id)
{
    return g_hash_table_lookup(s->fids, GUINT_TO_POINTER(id));
}

static void fid_drop(P9 *s, Fid *f)
{
    fid_close(s, f);
    if (f->attr != NULL) {
        s->attrs_len -= f->attr_len;
        g_byte_array_unref(f->attr);
        g_free(f->attr_name);
    }
    g_hash_table_remove(s->fids, GUINT_TO_POINTER(f->id));
    s->paths_len -= strlen(f->path);
    g_free(f->path);
    g_free(f);
}

/* The fid is another path's now; takes @path over. */
static int fid_set_path(P9 *s, Fid *f, char *path)
{
    size_t len = s->paths_len - strlen(f->path) + strlen(path);

    if (len > P9_PATHS_MAX) {
        g_free(path);
        return ENFILE;
    }
    s->paths_len = len;
    g_free(f->path);
    f->path = path;
    return 0;
}

/* A new fid; takes @path over. */
static int fid_add(P9 *s, uint32_t id, uint32_t uid, char *path)
{
    bool full = g_hash_table_size(s->fids) >= P9_MAX_FIDS || s->paths_len + strlen(path) > P9_PATHS_MAX;
    Fid *f;

    if (full || fid_find(s, id) != NULL) {
        g_free(path);
        return full ? ENFILE : EBADF;
    }
    f = g_new0(Fid, 1);
    *f = (Fid){ .id = id, .uid = uid, .path = path, .fd = -1 };
    s->paths_len += strlen(path);
    g_hash_table_insert(s->fids, GUINT_TO_POINTER(id), f);
    return 0;
}

void p9_reset(P9 *s)
{
    GList *all = g_hash_table_get_values(s->fids);

    for (GList *f = all; f != NULL; f = f->next) {
        fid_drop(s, f->data);
    }
    g_list_free(all);
}

/* Whether the fid is at or below @path, which has @len bytes. */
static bool is_below(const Fid *f, const char *path, size_t len)
{
    return strncmp(f->path, path, len) == 0 && (f->path[len] == '\0' || f->path[len] == '/');
}

/* Fids at or below @from are at or below @to now. */
static void fids_moved(P9 *s, const char *from, const char *to)
{
    size_t         len = strlen(from);
    GHashTableIter i;
    gpointer       value;

    g_hash_table_iter_init(&i, s->fids);
    while (g_hash_table_iter_next(&i, NULL, &value)) {
        Fid *f = value;

        if (is_below(f, from, len)) {
            (void)fid_set_path(s, f, g_strconcat(to, f->path + len, NULL));
        }
    }
}

/* Whether all their paths have room when they do. */
static bool can_move(P9 *s, const char *from, const char *to)
{
    size_t         len = strlen(from), more = strlen(to) > len ? strlen(to) - len : 0, all = s->paths_len;
    GHashTableIter i;
    gpointer       value;

    g_hash_table_iter_init(&i, s->fids);
    while (more != 0 && g_hash_table_iter_next(&i, NULL, &value)) {
        all += is_below(value, from, len) ? more : 0;
    }
    return all <= P9_PATHS_MAX;
}

static int fid_stat(P9 *s, const Fid *f, struct stat *st)
{
    return f->fd >= 0 ? fsdev_fstat(s->fs, f->fd, st) : fsdev_stat(s->fs, f->path, st);
}

/* ---- reading and writing messages ---- */

/* The fid that comes next in the message, of a file or of an attribute. */
static int get_any_fid(P9 *s, Fid **f)
{
    uint32_t id = br_u32(&s->in);

    *f = br_ok(&s->in) ? fid_find(s, id) : NULL;
    return *f == NULL ? EBADF : 0;
}

/* The same for what only files take. */
static int get_fid(P9 *s, Fid **f)
{
    int why = get_any_fid(s, f);

    return why == 0 && (*f)->attr != NULL ? EBADF : why;
}

/* A string; NULL: it is not whole, or has a NUL in it. */
static char *get_string(P9 *s)
{
    size_t         len = (size_t)br_u16(&s->in);
    const uint8_t *text = br_take(&s->in, len);

    return text != NULL && memchr(text, '\0', len) == NULL ? g_strndup((const char *)text, len) : NULL;
}

/* The path of a name below @dir; NULL: it has no such, or none that is short enough. */
static char *join(const char *dir, const char *name, int *why)
{
    *why = name == NULL ? EINVAL
           : strlen(name) > FSDEV_NAME_MAX || strlen(dir) + 1 + strlen(name) > FSDEV_PATH_MAX ? ENAMETOOLONG
           : !fsdev_name_ok(name) ? EINVAL : 0;
    return *why != 0 ? NULL : *dir == '\0' ? g_strdup(name) : g_strconcat(dir, "/", name, NULL);
}

/* The path of the name that comes next in the message, below a fid. */
static char *get_path(P9 *s, const Fid *dir, int *why)
{
    g_autofree char *name = get_string(s);

    return join(dir->path, name, why);
}

static char *parent_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? g_strdup("") : g_strndup(path, (gsize)(slash - path));
}

static void put_string(P9 *s, const char *text)
{
    bw_u16(&s->out, (uint16_t)strlen(text));
    bw_bytes(&s->out, text, strlen(text));
}

static void put_qid(P9 *s, const struct stat *st, uint64_t number)
{
    uint64_t mtime = (uint64_t)st->st_mtim.tv_sec * 1000000000u + (uint64_t)st->st_mtim.tv_nsec;

    bw_u8(&s->out, S_ISDIR(st->st_mode) ? QID_DIR : S_ISLNK(st->st_mode) ? QID_LINK : 0);
    bw_u32(&s->out, (uint32_t)(mtime ^ mtime >> 32 ^ (uint64_t)st->st_size << 8)); /* version: other when changed */
    bw_u64(&s->out, number);
}

/* The qid of what was just made. */
static int put_new_qid(P9 *s, const char *path)
{
    struct stat st;
    int         why = fsdev_stat(s->fs, path, &st);

    if (why == 0) {
        put_qid(s, &st, number_of(s, &st));
    }
    return why;
}

/* ---- the messages: each returns 0, its answer being in s->out, or an error ---- */

static int t_version(P9 *s)
{
    uint32_t         msize = br_u32(&s->in);
    g_autofree char *version = get_string(s);

    if (version == NULL || msize < MSIZE_MIN) {
        return EINVAL;
    }
    p9_reset(s);
    s->msize = MIN(msize, (uint32_t)P9_MSIZE_MAX);
    bw_u32(&s->out, s->msize);
    put_string(s, strcmp(version, "9P2000.L") == 0 ? version : "unknown");
    return 0;
}

static int t_attach(P9 *s)
{
    uint32_t         id = br_u32(&s->in);
    uint32_t         afid = br_u32(&s->in);
    g_autofree char *uname = get_string(s), *aname = get_string(s);
    uint32_t         uid = br_u32(&s->in);
    struct stat      st;
    int              why = uname == NULL || aname == NULL || !br_ok(&s->in) || afid != UINT32_MAX ? EINVAL
                     : *aname != '\0' && strcmp(aname, "/") != 0 ? ENOENT : fsdev_stat(s->fs, "", &st);

    if (why == 0) {
        why = fid_add(s, id, uid == UINT32_MAX ? 0 : uid, g_strdup(""));
    }
    if (why == 0) {
        put_qid(s, &st, number_of(s, &st));
    }
    return why;
}

static int t_flush(P9 *s)
{
    return 0; /* every message is answered before the next is looked at */
}

/* One step of a walk; *@path is replaced. */
static int walk_step(P9 *s, char **path, struct stat *st)
{
    g_autofree char *name = get_string(s);
    char            *next;
    int              why = 0;

    next = name != NULL && strcmp(name, "..") == 0 ? parent_of(*path) : join(*path, name, &why);
    why = why == 0 ? fsdev_stat(s->fs, next, st) : why;
    if (why != 0) {
        g_free(next);
        return why;
    }
    g_free(*path);
    *path = next;
    return 0;
}

/* The first name must be there, or the walk is an error; else the answer has as many qids as were reached, and the new
 * fid is made when that is all. */
static int t_walk(P9 *s)
{
    Fid        *f;
    int         why = get_fid(s, &f);
    uint32_t    id = br_u32(&s->in);
    unsigned    n = br_u16(&s->in), done = 0;
    uint8_t    *count = bw_take(&s->out, 2);
    struct stat st;

    why = !br_ok(&s->in) || n > MAX_WALK || count == NULL ? EINVAL : why;
    if (why == 0 && f->fd >= 0 && id == f->id) {
        why = EBUSY;
    }
    if (why != 0) {
        return why;
    }
    char *path = g_strdup(f->path);

    for (; done < n && (why = walk_step(s, &path, &st)) == 0; done++) {
        put_qid(s, &st, number_of(s, &st));
    }
    le16_put(count, (uint16_t)done);
    if (done < n) {
        g_free(path);
        return done == 0 ? why : 0;
    }
    if (id == f->id) {
        return fid_set_path(s, f, path);
    }
    return fid_add(s, id, f->uid, path);
}

/* An attribute that was written is set now. No bytes and "replace" is how clients remove one; an ACL is never empty. */
static int set_attr(P9 *s, const Fid *f)
{
    bool remove = f->attr_len == 0 && (f->attr_flags == XATTR_REPLACE || g_str_has_prefix(f->attr_name, "system."));

    return remove                        ? fsdev_attr_remove(s->fs, f->path, f->attr_name)
           : f->attr->len != f->attr_len ? EINVAL /* not all of it came */
                                         : fsdev_attr_set(s->fs, f->path, f->attr_name, f->attr->data, f->attr_len,
                                                          (int)f->attr_flags);
}

static int t_clunk(P9 *s)
{
    Fid *f;
    int  why = get_any_fid(s, &f);

    if (why == 0) {
        why = f->attr_name != NULL ? set_attr(s, f) : 0;
        fid_drop(s, f);
    }
    return why;
}

static int remove_path(P9 *s, const char *path, bool directory)
{
    struct stat st;
    int         why = fsdev_stat(s->fs, path, &st);

    why = why == 0 ? fsdev_unlink(s->fs, path, directory) : why;
    if (why == 0) {
        forget_number(s, &st);
    }
    return why;
}

/* The fid is gone afterwards, whether or not the file is. */
static int t_remove(P9 *s)
{
    Fid        *f;
    struct stat st;
    int         why = get_any_fid(s, &f);

    if (why != 0) {
        return why;
    }
    why = f->attr != NULL ? EINVAL : fsdev_stat(s->fs, f->path, &st);
    why = why == 0 ? remove_path(s, f->path, S_ISDIR(st.st_mode)) : why;
    fid_drop(s, f);
    return why;
}

static int t_statfs(P9 *s)
{
    struct statvfs v;
    Fid           *f;
    int            why = get_fid(s, &f);

    why = why == 0 ? fsdev_statvfs(s->fs, &v) : why;
    if (why != 0) {
        return why;
    }
    bw_u32(&s->out, FS_MAGIC);
    bw_u32(&s->out, (uint32_t)v.f_bsize);
    bw_u64(&s->out, v.f_frsize != 0 ? v.f_blocks * (v.f_frsize / MIN(v.f_frsize, v.f_bsize)) : v.f_blocks);
    bw_u64(&s->out, v.f_bfree);
    bw_u64(&s->out, v.f_bavail);
    bw_u64(&s->out, v.f_files);
    bw_u64(&s->out, v.f_ffree);
    bw_u64(&s->out, 0); /* fsid */
    bw_u32(&s->out, FSDEV_NAME_MAX);
    return 0;
}

static int open_flags(uint32_t l)
{
    static const int access[] = { O_RDONLY, O_WRONLY, O_RDWR, O_RDWR };

    return access[l & L_ACCESS] | (l & L_TRUNC ? O_TRUNC : 0) | (l & L_APPEND ? O_APPEND : 0) |
           (l & L_SYNC ? O_SYNC : 0) | (l & L_DSYNC ? O_DSYNC : 0);
}

/* What an opened fid answers: qid, and no unit of its own for reads and writes. */
static int opened(P9 *s, Fid *f, int fd)
{
    struct stat st;

    s->n_open++;
    f->fd = fd;
    if (fsdev_fstat(s->fs, fd, &st) != 0) {
        fid_close(s, f);
        return EIO;
    }
    f->is_dir = S_ISDIR(st.st_mode);
    f->number = number_of(s, &st);
    put_qid(s, &st, f->number);
    bw_u32(&s->out, 0);
    return 0;
}

static int t_lopen(P9 *s)
{
    Fid     *f;
    int      why = get_fid(s, &f), fd;
    uint32_t flags = br_u32(&s->in);

    why = why != 0 || !br_ok(&s->in) || f->fd >= 0 ? EBADF : s->n_open >= P9_MAX_OPEN ? EMFILE : 0;
    why = why == 0 ? fsdev_open(s->fs, f->path, open_flags(flags), &fd) : why;
    return why == 0 ? opened(s, f, fd) : why;
}

static int t_lcreate(P9 *s)
{
    Fid             *f;
    int              why = get_fid(s, &f), fd;
    g_autofree char *name = get_string(s), *path = NULL;
    uint32_t         flags = br_u32(&s->in);
    uint32_t         mode = br_u32(&s->in), gid = br_u32(&s->in);

    why = why != 0 || f->fd >= 0 ? EBADF : !br_ok(&s->in) ? EINVAL : s->n_open >= P9_MAX_OPEN ? EMFILE : 0;
    path = why == 0 ? join(f->path, name, &why) : NULL;
    if (why == 0) {
        const FsdevOwner o = { f->uid, gid, mode & 07777 };

        why = fsdev_create(s->fs, path, open_flags(flags) & ~O_TRUNC, &o, &fd);
    }
    if (why != 0) {
        return why;
    }
    why = fid_set_path(s, f, g_steal_pointer(&path)); /* the fid is the file now */
    if (why != 0) {
        close(fd);
        return why;
    }
    return opened(s, f, fd);
}

static int t_symlink(P9 *s)
{
    Fid             *f;
    int              why = get_fid(s, &f);
    g_autofree char *name = get_string(s), *target = get_string(s), *path = NULL;
    uint32_t         gid = br_u32(&s->in);

    why = why != 0 ? why : !br_ok(&s->in) || target == NULL ? EINVAL
          : *target == '\0' ? ENOENT : strlen(target) > FSDEV_PATH_MAX ? ENAMETOOLONG : 0;
    path = why == 0 ? join(f->path, name, &why) : NULL;
    if (why == 0) {
        const FsdevOwner o = { f->uid, gid, 0 };

        why = fsdev_symlink(s->fs, path, target, &o);
    }
    return why == 0 ? put_new_qid(s, path) : why;
}

static int t_mknod(P9 *s)
{
    Fid             *f;
    int              why = get_fid(s, &f);
    g_autofree char *path = why == 0 ? get_path(s, f, &why) : NULL;
    uint32_t         mode = br_u32(&s->in), major = br_u32(&s->in), minor = br_u32(&s->in), gid = br_u32(&s->in);

    if (why == 0 && br_ok(&s->in)) {
        const FsdevOwner o = { f->uid, gid, mode };

        why = fsdev_mknod(s->fs, path, &o, makedev(major, minor));
        return why == 0 ? put_new_qid(s, path) : why;
    }
    return why != 0 ? why : EINVAL;
}

static int t_mkdir(P9 *s)
{
    Fid             *f;
    int              why = get_fid(s, &f);
    g_autofree char *path = why == 0 ? get_path(s, f, &why) : NULL;
    uint32_t         mode = br_u32(&s->in), gid = br_u32(&s->in);

    if (why == 0 && br_ok(&s->in)) {
        const FsdevOwner o = { f->uid, gid, mode & 07777 };

        why = fsdev_mkdir(s->fs, path, &o);
        return why == 0 ? put_new_qid(s, path) : why;
    }
    return why != 0 ? why : EINVAL;
}

/* What a rename replaces loses its number. */
static int rename_path(P9 *s, const char *from, const char *to)
{
    struct stat st, old;
    bool        replaces = fsdev_stat(s->fs, to, &st) == 0;
    int         why = fsdev_stat(s->fs, from, &old);

    why = why == 0 && !can_move(s, from, to) ? ENFILE : why;
    why = why == 0 ? fsdev_rename(s->fs, from, to) : why;
    if (why == 0 && !(replaces && st.st_dev == old.st_dev && st.st_ino == old.st_ino)) {
        if (replaces) {
            forget_number(s, &st);
        }
        fids_moved(s, from, to);
    }
    return why;
}

static int t_rename(P9 *s)
{
    Fid *f, *dir;
    int  why = get_fid(s, &f), why_dir = get_fid(s, &dir);

    if (why != 0 || why_dir != 0 || *f->path == '\0') {
        return why != 0 ? why : why_dir != 0 ? why_dir : EBUSY;
    }
    g_autofree char *to = get_path(s, dir, &why), *from = g_strdup(f->path);

    return why == 0 ? rename_path(s, from, to) : why;
}

static int t_renameat(P9 *s)
{
    Fid             *old_dir, *dir;
    int              why = get_fid(s, &old_dir), why_dir;
    g_autofree char *from = why == 0 ? get_path(s, old_dir, &why) : NULL;

    why_dir = get_fid(s, &dir);
    if (why != 0 || why_dir != 0) {
        return why != 0 ? why : why_dir;
    }
    g_autofree char *to = get_path(s, dir, &why);

    return why == 0 ? rename_path(s, from, to) : why;
}

static int t_unlinkat(P9 *s)
{
    Fid             *dir;
    int              why = get_fid(s, &dir);
    g_autofree char *path = why == 0 ? get_path(s, dir, &why) : NULL;
    uint32_t         flags = br_u32(&s->in);

    return why != 0 ? why : !br_ok(&s->in) ? EINVAL : remove_path(s, path, (flags & AT_REMOVE_DIR) != 0);
}

static int t_link(P9 *s)
{
    Fid *dir, *f;
    int  why = get_fid(s, &dir), why_f = get_fid(s, &f);

    if (why != 0 || why_f != 0) {
        return why != 0 ? why : why_f;
    }
    g_autofree char *to = get_path(s, dir, &why);

    return why == 0 ? fsdev_link(s->fs, f->path, to) : why;
}

static int t_readlink(P9 *s)
{
    Fid *f;
    int  why = get_fid(s, &f);

    why = why == 0 ? fsdev_readlink(s->fs, f->path, s->link) : why;
    if (why == 0) {
        put_string(s, s->link);
    }
    return why;
}

static void put_time(P9 *s, const struct timespec *t)
{
    bw_u64(&s->out, (uint64_t)t->tv_sec);
    bw_u64(&s->out, (uint64_t)t->tv_nsec);
}

static int t_getattr(P9 *s)
{
    Fid        *f;
    struct stat st;
    int         why = get_fid(s, &f);

    br_skip(&s->in, 8); /* what it wants: it gets all */
    why = why == 0 ? fid_stat(s, f, &st) : why;
    if (why != 0) {
        return why;
    }
    uint64_t size = S_ISDIR(st.st_mode) ? DIR_SIZE : (uint64_t)st.st_size;

    bw_u64(&s->out, GETATTR_BASIC);
    put_qid(s, &st, f->fd >= 0 ? f->number : number_of(s, &st));
    bw_u32(&s->out, st.st_mode);
    bw_u32(&s->out, st.st_uid);
    bw_u32(&s->out, st.st_gid);
    bw_u64(&s->out, st.st_nlink);
    bw_u64(&s->out, S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode) ? st.st_rdev : 0);
    bw_u64(&s->out, size);
    bw_u64(&s->out, 4096);
    bw_u64(&s->out, size / 512 + (size % 512 != 0));
    put_time(s, S_ISLNK(st.st_mode) ? &st.st_mtim : &st.st_atim); /* to read a link changes the host's */
    put_time(s, &st.st_mtim);
    put_time(s, &st.st_ctim);
    bw_zero(&s->out, 8 + 8 + 8 + 8); /* time of birth, generation, data version: none */
    return 0;
}

/* A time that is set to now is the host's, as that of every write is. */
static struct timespec get_time(P9 *s, uint32_t valid, uint32_t set, uint32_t given)
{
    uint64_t sec = br_u64(&s->in), nsec = br_u64(&s->in);

    return (valid & set) == 0     ? (struct timespec){ .tv_nsec = UTIME_OMIT }
           : (valid & given) == 0 ? (struct timespec){ .tv_nsec = UTIME_NOW }
                                  : (struct timespec){ (time_t)sec, (long)(nsec % 1000000000) };
}

static int t_setattr(P9 *s)
{
    Fid            *f;
    int             why = get_fid(s, &f);
    uint32_t        valid = br_u32(&s->in), mode = br_u32(&s->in), uid = br_u32(&s->in), gid = br_u32(&s->in);
    uint64_t        size = br_u64(&s->in);
    struct timespec times[2] = { get_time(s, valid, SET_ATIME, SET_ATIME_TO) };

    times[1] = get_time(s, valid, SET_MTIME, SET_MTIME_TO);
    why = why == 0 && !br_ok(&s->in) ? EINVAL : why;
    if (why == 0 && (valid & SET_MODE)) {
        why = fsdev_chmod(s->fs, f->path, mode & 07777);
    }
    if (why == 0 && (valid & (SET_UID | SET_GID))) {
        why = fsdev_chown(s->fs, f->path, valid & SET_UID ? uid : UINT32_MAX, valid & SET_GID ? gid : UINT32_MAX);
    }
    if (why == 0 && (valid & SET_SIZE)) {
        bool by_fd = f->fd >= 0 && (fcntl(f->fd, F_GETFL) & O_ACCMODE) != O_RDONLY && size <= INT64_MAX;

        why = !by_fd ? fsdev_truncate(s->fs, f->path, size) : ftruncate(f->fd, (off_t)size) < 0 ? errno : 0;
    }
    if (why == 0 && (valid & (SET_ATIME | SET_MTIME))) {
        why = fsdev_utimes(s->fs, f->path, times);
    }
    return why;
}

/* ---- extended attributes ---- */

/* The fid is that of an attribute from now on; takes @attr over. */
static int become_attr(P9 *s, Fid *f, GByteArray *attr, size_t len)
{
    if (s->attrs_len + len > P9_ATTRS_MAX) {
        g_byte_array_unref(attr);
        return ENOSPC;
    }
    f->attr = attr;
    f->attr_len = len;
    s->attrs_len += len;
    return 0;
}

/* A new fid to read an attribute by, or with no name the names of all. */
static int t_xattrwalk(P9 *s)
{
    Fid             *f;
    int              why = get_fid(s, &f);
    uint32_t         id = br_u32(&s->in);
    g_autofree char *name = get_string(s);
    GByteArray      *attr = NULL;

    if (why != 0 || name == NULL) {
        return why != 0 ? why : EINVAL;
    }
    why = *name == '\0' ? fsdev_attr_list(s->fs, f->path, &attr) : fsdev_attr_get(s->fs, f->path, name, &attr);
    if (why != 0) {
        return why;
    }
    why = fid_add(s, id, f->uid, g_strdup(f->path));
    if (why != 0) {
        g_byte_array_unref(attr);
        return why;
    }
    bw_u64(&s->out, attr->len);
    why = become_attr(s, fid_find(s, id), attr, attr->len);
    if (why != 0) {
        fid_drop(s, fid_find(s, id));
    }
    return why;
}

/* The fid becomes one to write an attribute by. */
static int t_xattrcreate(P9 *s)
{
    Fid             *f;
    int              why = get_fid(s, &f);
    g_autofree char *name = get_string(s);
    uint64_t         len = br_u64(&s->in);
    uint32_t         flags = br_u32(&s->in);

    if (why != 0 || !br_ok(&s->in) || name == NULL || f->fd >= 0 || (flags & ~(XATTR_CREATE | XATTR_REPLACE))) {
        return why != 0 ? why : EINVAL;
    }
    if (len > FSDEV_ATTR_MAX || fsdev_readonly(s->fs)) {
        return len > FSDEV_ATTR_MAX ? E2BIG : EROFS;
    }
    why = become_attr(s, f, g_byte_array_new(), (size_t)len);
    if (why == 0) {
        f->attr_name = g_steal_pointer(&name);
        f->attr_flags = flags;
    }
    return why;
}

static int read_attr(P9 *s, const Fid *f, uint64_t off, size_t n)
{
    size_t from = (size_t)MIN(off, (uint64_t)f->attr->len);

    n = MIN(n, f->attr->len - from);
    bw_u32(&s->out, (uint32_t)n);
    if (n != 0) { /* an empty array has no memory */
        bw_bytes(&s->out, f->attr->data + from, n);
    }
    return 0;
}

/* Bytes come one after the other. */
static int write_attr(P9 *s, Fid *f, uint64_t off, const uint8_t *data, uint32_t count)
{
    if (f->attr_name == NULL || off != f->attr->len || count > f->attr_len - f->attr->len) {
        return f->attr_name == NULL ? EBADF : EINVAL;
    }
    g_byte_array_append(f->attr, data, count);
    bw_u32(&s->out, count);
    return 0;
}

/* ---- content ---- */

/* Bytes that the answer to a read of @count may have. */
static size_t read_room(const P9 *s, uint32_t count)
{
    size_t room = MIN(s->out.cap, (size_t)s->msize);

    return MIN((size_t)count, room > IO_HEADER ? room - IO_HEADER : 0);
}

static int t_read(P9 *s)
{
    Fid     *f;
    int      why = get_any_fid(s, &f);
    uint64_t off = br_u64(&s->in);
    size_t   n = read_room(s, br_u32(&s->in));

    if (why == 0 && f->attr != NULL && br_ok(&s->in)) {
        return f->attr_name == NULL ? read_attr(s, f, off, n) : EBADF;
    }
    if (why != 0 || f->fd < 0 || !br_ok(&s->in) || off > INT64_MAX) {
        return why != 0 || f->fd < 0 ? EBADF : EINVAL;
    }
    uint8_t *len = bw_take(&s->out, 4);
    ssize_t  got = len != NULL ? pread(f->fd, s->out.data + s->out.pos, n, (off_t)off) : -1;

    if (got < 0) {
        return len != NULL ? errno : EINVAL;
    }
    le32_put(len, (uint32_t)got);
    (void)bw_take(&s->out, (size_t)got);
    return 0;
}

static int t_write(P9 *s)
{
    Fid           *f;
    int            why = get_any_fid(s, &f);
    uint64_t       off = br_u64(&s->in);
    uint32_t       count = br_u32(&s->in);
    const uint8_t *data = br_take(&s->in, count);

    if (why == 0 && f->attr != NULL && data != NULL) {
        return write_attr(s, f, off, data, count);
    }
    if (why != 0 || f->fd < 0 || data == NULL || off > INT64_MAX) {
        return why != 0 || f->fd < 0 ? EBADF : EINVAL;
    }
    ssize_t n = pwrite(f->fd, data, count, (off_t)off);

    bw_u32(&s->out, (uint32_t)n);
    return n < 0 ? errno : 0;
}

static int t_fsync(P9 *s)
{
    Fid     *f;
    int      why = get_fid(s, &f);
    uint32_t data_only = br_left(&s->in) >= 4 ? br_u32(&s->in) : 0; /* older clients do not send it */

    if (why != 0 || f->fd < 0) {
        return EBADF;
    }
    return (data_only ? fdatasync(f->fd) : fsync(f->fd)) < 0 ? errno : 0;
}

/* Entry @i of a directory's listing: its name, and what it is. False: it is gone. */
static bool entry_at(P9 *s, const Fid *f, uint64_t i, const char **name, struct stat *st)
{
    g_autofree char *path = NULL;
    int              why = 0;

    *name = i == 0 ? "." : i == 1 ? ".." : f->names->pdata[i - 2];
    path = i == 0 ? g_strdup(f->path) : i == 1 ? parent_of(f->path) : join(f->path, *name, &why);
    return path != NULL && fsdev_stat(s->fs, path, st) == 0;
}

static int list_names(P9 *s, Fid *f)
{
    names_drop(s, f);
    int why = fsdev_list(s->fs, f->fd, P9_NAMES_MAX - s->names_len, &f->names);

    for (guint i = 0; why == 0 && i < f->names->len; i++) {
        f->names_len += strlen(f->names->pdata[i]) + 1;
    }
    s->names_len += f->names_len;
    return why;
}

/* The offset that an entry has is where the next one is found; offset 0 looks at the directory anew. */
static int t_readdir(P9 *s)
{
    Fid     *f;
    int      why = get_fid(s, &f);
    uint64_t at = br_u64(&s->in);
    size_t   room = read_room(s, br_u32(&s->in));

    if (why != 0 || f->fd < 0 || !f->is_dir || !br_ok(&s->in)) {
        return why != 0 || f->fd < 0 ? EBADF : !f->is_dir ? ENOTDIR : EINVAL;
    }
    if ((at == 0 || f->names == NULL) && (why = list_names(s, f)) != 0) {
        return why;
    }
    uint8_t *len = bw_take(&s->out, 4);
    size_t   start = s->out.pos;

    for (; at < 2ull + f->names->len; at++) {
        const char *name;
        struct stat st;

        if (!entry_at(s, f, at, &name, &st)) {
            continue;
        }
        if (s->out.pos - start + DIRENT_HEADER + strlen(name) > room) {
            if (s->out.pos == start) {
                return EINVAL; /* an empty answer would be the end */
            }
            break;
        }
        put_qid(s, &st, number_of(s, &st));
        bw_u64(&s->out, at + 1);
        bw_u8(&s->out, (uint8_t)(st.st_mode >> 12)); /* as DT_DIR and its like */
        put_string(s, name);
    }
    if (len != NULL) {
        le32_put(len, (uint32_t)(s->out.pos - start));
    }
    return 0;
}

/* ---- locks: of the open file, against the host's other programs; the guest's are sorted out by the guest ---- */

static int get_lock(P9 *s, uint8_t type, struct flock *l)
{
    static const short types[] = { [L_LOCK_READ] = F_RDLCK, [L_LOCK_WRITE] = F_WRLCK, [L_LOCK_NONE] = F_UNLCK };
    uint64_t           start = br_u64(&s->in), len = br_u64(&s->in);

    if (!br_ok(&s->in) || type >= ARRAY_LEN(types) || start > INT64_MAX || len > INT64_MAX) {
        return EINVAL;
    }
    *l = (struct flock){ .l_type = types[type], .l_whence = SEEK_SET, .l_start = (off_t)start, .l_len = (off_t)len };
    return 0;
}

static int t_lock(P9 *s)
{
    Fid         *f;
    int          why = get_fid(s, &f);
    uint8_t      type = br_u8(&s->in);
    struct flock l;

    br_skip(&s->in, 4); /* flags: whether it would wait, which the client does by asking again */
    why = why == 0 ? get_lock(s, type, &l) : why;
    if (why != 0 || f->fd < 0) {
        return why != 0 ? why : EBADF;
    }
    int r = fcntl(f->fd, F_OFD_SETLK, &l);

    if (r < 0 && errno != EAGAIN && errno != EACCES) {
        return errno;
    }
    bw_u8(&s->out, r < 0 ? L_LOCK_BLOCKED : L_LOCK_SUCCESS);
    return 0;
}

static int t_getlock(P9 *s)
{
    Fid             *f;
    int              why = get_fid(s, &f);
    uint8_t          type = br_u8(&s->in);
    struct flock     l;
    uint32_t         process;
    g_autofree char *client = NULL;

    why = why == 0 ? get_lock(s, type, &l) : why;
    process = br_u32(&s->in);
    client = get_string(s);
    if (why != 0 || f->fd < 0 || client == NULL) {
        return why != 0 ? why : f->fd < 0 ? EBADF : EINVAL;
    }
    if (fcntl(f->fd, F_OFD_GETLK, &l) < 0) {
        return errno;
    }
    bw_u8(&s->out, l.l_type == F_RDLCK ? L_LOCK_READ : l.l_type == F_WRLCK ? L_LOCK_WRITE : L_LOCK_NONE);
    bw_u64(&s->out, (uint64_t)l.l_start);
    bw_u64(&s->out, (uint64_t)l.l_len);
    bw_u32(&s->out, process);
    put_string(s, client);
    return 0;
}

/* ---- one message ---- */

static const struct {
    uint8_t type;
    int   (*serve)(P9 *s);
} messages[] = {
    { TSTATFS, t_statfs },   { TLOPEN, t_lopen },     { TLCREATE, t_lcreate }, { TSYMLINK, t_symlink },
    { TMKNOD, t_mknod },     { TRENAME, t_rename },   { TREADLINK, t_readlink }, { TGETATTR, t_getattr },
    { TSETATTR, t_setattr }, { TREADDIR, t_readdir }, { TFSYNC, t_fsync },     { TLOCK, t_lock },
    { TGETLOCK, t_getlock }, { TLINK, t_link },       { TMKDIR, t_mkdir },     { TRENAMEAT, t_renameat },
    { TUNLINKAT, t_unlinkat }, { TVERSION, t_version }, { TATTACH, t_attach }, { TFLUSH, t_flush },
    { TWALK, t_walk },       { TREAD, t_read },       { TWRITE, t_write },     { TCLUNK, t_clunk },
    { TREMOVE, t_remove },   { TXATTRWALK, t_xattrwalk }, { TXATTRCREATE, t_xattrcreate },
};

static void put_header(uint8_t *reply, size_t len, uint8_t type, uint16_t tag)
{
    le32_put(reply, (uint32_t)len);
    reply[4] = type;
    le16_put(reply + 5, tag);
}

size_t p9_serve(P9 *s, const uint8_t *msg, size_t len, uint8_t *reply, size_t room)
{
    if (len < P9_HEADER || room < P9_ERROR_LEN) {
        return 0;
    }
    uint32_t size = le32_get(msg);
    uint8_t  type = msg[4];
    uint16_t tag = le16_get(msg + 5);
    int      why = size < P9_HEADER || size > len ? EINVAL : EOPNOTSUPP;

    s->in = br_init(msg, why == EINVAL ? 0 : size);
    s->out = bw_init(reply, room);
    br_skip(&s->in, P9_HEADER);
    (void)bw_take(&s->out, P9_HEADER);
    for (size_t i = 0; why == EOPNOTSUPP && i < ARRAY_LEN(messages); i++) {
        if (messages[i].type == type) {
            why = messages[i].serve(s);
            break;
        }
    }
    if (why == 0 && !bw_ok(&s->out)) {
        why = EMSGSIZE;
    }
    if (why != 0) {
        put_header(reply, P9_ERROR_LEN, RLERROR, tag);
        le32_put(reply + P9_HEADER, (uint32_t)why);
        return P9_ERROR_LEN;
    }
    put_header(reply, s->out.pos, (uint8_t)(type + 1), tag);
    return s->out.pos;
}

P9 *p9_new(Fsdev *fs)
{
    P9 *s = g_new0(P9, 1);

    s->fs = fs;
    s->msize = P9_MSIZE_MAX;
    s->next_number = 1;
    s->fids = g_hash_table_new(NULL, NULL);
    s->numbers = g_hash_table_new_full(inode_hash, inode_equal, g_free, NULL);
    return s;
}

void p9_free(P9 *s)
{
    if (s != NULL) {
        p9_reset(s);
        g_hash_table_destroy(s->fids);
        g_hash_table_destroy(s->numbers);
        g_free(s);
    }
}
