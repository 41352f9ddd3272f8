/*
 * A server of 9P2000.L: messages in, messages out, of one client that is hostile. It knows nothing of virtio. Source:
 * the 9P2000 manual pages (intro(5) and those it names) and the protocol description of 9P2000.L. Not served:
 * authentication (EOPNOTSUPP), as a client expects of a server that has none.
 */
#ifndef BAILEY_HW_VIRTIO_P9_H
#define BAILEY_HW_VIRTIO_P9_H

#include "fsdev.h"

typedef struct P9 P9;

enum {
    P9_HEADER = 7,              /* size, type, tag of a message */
    P9_ERROR_LEN = P9_HEADER + 4,
    P9_MSIZE_MAX = 512 << 10,   /* the longest message, either way */
    P9_MAX_FIDS = 1 << 18,      /* a client that caches has one for each name it knows */
    P9_PATHS_MAX = 64 << 20,    /* bytes of their paths */
    P9_MAX_OPEN = 512,          /* of them, with a descriptor of the host's */
    P9_ATTRS_MAX = 16 << 20,    /* bytes of extended attributes that are being read or written */
    P9_NAMES_MAX = 64 << 20,    /* bytes of names in directories that are being read */
};

/* p9_new - a server of one folder, which outlives it. */
P9  *p9_new(Fsdev *fs);
void p9_free(P9 *s);

/* p9_reset - the client is gone: nothing of it stays. */
void p9_reset(P9 *s);

/**
 * p9_serve - answers one message.
 * @msg: as it came, of @len bytes; what is behind the size that it says is not looked at
 * @room: for the answer, at least P9_ERROR_LEN and at most P9_MSIZE_MAX bytes
 * Returns the answer's length; 0: what came is too short to have one.
 */
size_t p9_serve(P9 *s, const uint8_t *msg, size_t len, uint8_t *reply, size_t room);

#endif
