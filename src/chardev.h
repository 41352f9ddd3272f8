/*
 * Character devices: what a guest's serial port or console is connected to (-serial, -chardev). Output goes
 * out as it is written; input arrives as events of the GLib main loop, between CPU slices, so that its place
 * in guest time is well defined. Names and option words are QEMU's.
 */
#ifndef BAILEY_CHARDEV_H
#define BAILEY_CHARDEV_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Chardev Chardev;

/* The guest side: a PL011, a virtio console. */
typedef struct ChardevClient {
    size_t (*can_receive)(void *opaque); /* bytes it takes now; input waits while this is 0 */
    void   (*receive)(void *opaque, const uint8_t *data, size_t len);
    void   (*peer_changed)(void *opaque, bool here); /* a socket's other side came or went; may be NULL */
} ChardevClient;

/* Sees every byte the guest writes, before it goes out (-expect, -fail-on, tests). */
typedef void ChardevObserver(void *opaque, const uint8_t *data, size_t len);

/**
 * chardev_new - one back end from option text.
 * @spec: stdio | null | none | pty[,path=LINK] | file:PATH[,append=on] |
 *        unix:PATH[,server=on][,wait=off][,reconnect=SECONDS] |
 *        tcp:HOST:PORT[,server=on][,wait=off][,reconnect=SECONDS] (-serial form) or
 *        BACKEND,id=ID[,path=|host=|port=|fd=|server=|wait=|reconnect=|append=|mux=] (-chardev form; BACKEND also
 *        "socket"), or chardev:ID for one made before.
 * @raw: stdio only: put a terminal into raw mode until chardev_free or exit (-nographic and -serial stdio)
 * Returns NULL with a sentence in @error. Escape on stdio: Ctrl-A x quits, Ctrl-A h helps, Ctrl-A Ctrl-A
 * sends one.
 */
Chardev *chardev_new(const char *spec, bool raw, GError **error);

/* chardev_find - the one made with id=@id, or NULL. */
Chardev *chardev_find(const char *id);

/* chardev_foreach - calls @fn for all that there are, in order of their making; @where: the text that one was made
 * from. */
void chardev_foreach(void (*fn)(void *opaque, Chardev *c, const char *id, const char *where), void *opaque);

/* chardev_has_client - something in the machine, or a user's front end, receives what comes in. */
bool chardev_has_client(const Chardev *c);

/* chardev_has_peer - what is written is not lost: a socket has its other side, others always do. */
bool chardev_has_peer(const Chardev *c);

void chardev_free(Chardev *c);

/* chardev_keep - one with an id outlives chardev_free_all() until this is taken back, and chardev_new() finds it. */
void chardev_keep(Chardev *c, bool keep);

/* chardev_free_all - at exit: all that were made with an id; gives the terminal back. */
void chardev_free_all(void);

/* chardev_set_client - who receives; false when someone else already does. @client NULL lets go. */
bool chardev_set_client(Chardev *c, const ChardevClient *client, void *opaque);

/* chardev_write - guest output; never blocks the guest: a socket without a peer drops it. */
void chardev_write(Chardev *c, const void *data, size_t len);

/* chardev_hang_up - drops a socket's other side, and what is still to be sent to it; a server waits for the next. */
void chardev_hang_up(Chardev *c);

/* chardev_accept_input - the client has room again. Input may be delivered from inside this call. */
void chardev_accept_input(Chardev *c);

/* chardev_input - put @len bytes in as if the outside had sent them (tests, replay). */
void chardev_input(Chardev *c, const void *data, size_t len);

void chardev_add_observer(Chardev *c, ChardevObserver *observer, void *opaque);

/* chardev_set_quit - what Ctrl-A x does, for all of them. */
void chardev_set_quit(void (*quit)(void *opaque), void *opaque);

/* chardev_any_live - whether input can still come from a live outside source (each counts in live.h). */
bool chardev_any_live(void);

#endif
