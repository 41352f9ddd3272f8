/*
 * One client of the VNC server: bytes in, bytes out; no sockets and no clock. Source: RFC 6143, The Remote Framebuffer
 * Protocol, and the registry of its extensions. Versions 3.3, 3.7 and 3.8; security types None and VNC Authentication;
 * encodings Raw and Zlib, pseudo-encodings DesktopSize, ExtendedDesktopSize, Cursor and QEMU's extended key events. Not
 * there: colour maps, clipboards, encryption.
 *
 * The client is hostile: what it sends is checked message by message, what we keep of it is bounded, and nothing is
 * made for it that it has not asked for since it took the last of it.
 */
#ifndef BAILEY_DISPLAY_RFB_H
#define BAILEY_DISPLAY_RFB_H

#include "display/display.h"

typedef struct Rfb Rfb;

enum { RFB_PASSWORD_MAX = 8, RFB_CHALLENGE_LEN = 16 };

/* rfb_new - @password: RFB_PASSWORD_MAX characters or fewer, NULL: none is asked for; @challenge: random, per client */
Rfb *rfb_new(const char *password, const uint8_t challenge[RFB_CHALLENGE_LEN]);

/* rfb_free - what the client holds down is released. */
void rfb_free(Rfb *r);

/**
 * rfb_receive - what the client sent. Its keys and pointer reach the guest from in here.
 * Returns NULL, or why the connection has to end, for a message.
 */
const char *rfb_receive(Rfb *r, const uint8_t *data, size_t len);

/* rfb_output - what is to be sent to the client; the caller removes what it has sent. */
GByteArray *rfb_output(Rfb *r);

/* rfb_is_open - the client got in: it has said what it is and who it is. */
bool rfb_is_open(const Rfb *r);

/* rfb_look_at - which head the client sees, NULL: none; also when that shows another picture. */
void rfb_look_at(Rfb *r, DisplayHead *h);

/* Its pixels, or its cursor, changed. */
void rfb_damaged(Rfb *r, const pixman_box32_t *box);
void rfb_cursor(Rfb *r, bool new_shape);

/* rfb_waits - the client has asked for an update that it did not get yet. */
bool rfb_waits(const Rfb *r);

/* rfb_has_news - there is something to tell. */
bool rfb_has_news(const Rfb *r);

/* rfb_update - the update, if the client waits and there are news; not before it took what is in rfb_output(). */
void rfb_update(Rfb *r);

/* rfb_key_of - Linux's KEY_* of an X11 keysym on a US keyboard, 0: none; rfb_key_of_xt - of a PC's scan code. */
unsigned rfb_key_of(uint32_t keysym);
unsigned rfb_key_of_xt(uint32_t code);

#endif
