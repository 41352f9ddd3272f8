/*
 * Folders of the host that a guest shares (-fsdev, -virtfs): files by their paths below the folder. The guest is
 * hostile: a path is walked name by name from the folder, no symbolic link of it is ever followed here (the guest
 * follows them, in its own view), and nothing but regular files and directories is opened.
 *
 * With security_model=none a file is what it is on the host: it belongs to whoever runs Bailey, whatever the guest
 * makes of its owner, and has no set-user-ID, set-group-ID or sticky bit; there are no device nodes. With mapped-xattr
 * owner, mode, links and nodes of the guest are kept in extended attributes, as QEMU keeps them.
 *
 * Extended attributes of the guest: user.* are the host's of that name, but for those that keep what is mapped. ACLs
 * are the host's with none; with mapped-xattr they are kept in attributes, and so are security.* and trusted.*, which
 * there are none of with none: the host would act on them.
 */
#ifndef BAILEY_FSDEV_H
#define BAILEY_FSDEV_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

typedef struct Fsdev Fsdev;

enum { FSDEV_NAME_MAX = 255, FSDEV_PATH_MAX = 4095, FSDEV_ATTR_MAX = 64 << 10 };

/**
 * fsdev_new - a folder from the text of -fsdev.
 * @option: local,id=ID,path=FOLDER[,security_model=none|mapped-xattr][,readonly=on]
 * Returns NULL with a sentence in @error.
 */
Fsdev *fsdev_new(const char *option, GError **error);

/* fsdev_find - the one made with id=@id, or NULL. */
Fsdev *fsdev_find(const char *id);
void   fsdev_free_all(void);

bool fsdev_readonly(const Fsdev *f);

/* fsdev_name_ok - whether @name can be that of an entry: not empty, ".", "..", nor too long, and without '/'. */
bool fsdev_name_ok(const char *name);

/*
 * Paths lead from the folder down: "" is the folder, "a/b" an entry of its entry a; each name is one of
 * fsdev_name_ok(). All that follow return 0 or an error of the host (errno.h); those that change something give EROFS
 * when readonly=on.
 */

/* fsdev_stat - of an entry itself, not of what a link names. fsdev_fstat: of an open file. */
int fsdev_stat(Fsdev *f, const char *path, struct stat *st);
int fsdev_fstat(Fsdev *f, int fd, struct stat *st);

/* fsdev_open - a regular file or a directory. @flags: O_RDONLY, O_WRONLY or O_RDWR, O_TRUNC, O_APPEND, O_(D)SYNC */
int fsdev_open(Fsdev *f, const char *path, int flags, int *fd);

/* Who owns what is made, and its permissions. */
typedef struct FsdevOwner {
    uint32_t uid, gid;
    mode_t   mode;
} FsdevOwner;

/* fsdev_create - a new regular file, opened. It must not be there. */
int fsdev_create(Fsdev *f, const char *path, int flags, const FsdevOwner *o, int *fd);
int fsdev_mkdir(Fsdev *f, const char *path, const FsdevOwner *o);
/* fsdev_mknod - @o->mode has the type. */
int fsdev_mknod(Fsdev *f, const char *path, const FsdevOwner *o, dev_t rdev);
int fsdev_symlink(Fsdev *f, const char *path, const char *target, const FsdevOwner *o);
int fsdev_readlink(Fsdev *f, const char *path, char target[FSDEV_PATH_MAX + 1]);
int fsdev_link(Fsdev *f, const char *path, const char *new_path);
int fsdev_rename(Fsdev *f, const char *path, const char *new_path);
int fsdev_unlink(Fsdev *f, const char *path, bool directory);

int fsdev_chmod(Fsdev *f, const char *path, mode_t mode);
/* fsdev_chown - (uint32_t)-1: stays as it is. */
int fsdev_chown(Fsdev *f, const char *path, uint32_t uid, uint32_t gid);
int fsdev_utimes(Fsdev *f, const char *path, const struct timespec times[2]);
int fsdev_truncate(Fsdev *f, const char *path, uint64_t size);
int fsdev_statvfs(Fsdev *f, struct statvfs *st);

/**
 * fsdev_attr_get - an extended attribute, of at most FSDEV_ATTR_MAX bytes.
 * @value: receives what the caller frees
 */
int fsdev_attr_get(Fsdev *f, const char *path, const char *name, GByteArray **value);

/* fsdev_attr_list - the names of all, each with its NUL, sorted by their bytes; of which the caller frees @names. */
int fsdev_attr_list(Fsdev *f, const char *path, GByteArray **names);

/* fsdev_attr_set - @flags: XATTR_CREATE, XATTR_REPLACE, or 0. fsdev_attr_remove: of one that is there. */
int fsdev_attr_set(Fsdev *f, const char *path, const char *name, const void *value, size_t len, int flags);
int fsdev_attr_remove(Fsdev *f, const char *path, const char *name);

/**
 * fsdev_list - the names in a directory that is open, sorted by their bytes, without "." and "..".
 * @max: bytes that they may have, with their ends; more are ENOMEM
 * @names: receives an array of char *, the caller's, which frees them
 */
int fsdev_list(Fsdev *f, int fd, size_t max, GPtrArray **names);

#endif
