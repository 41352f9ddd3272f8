/*
 * The VNC server, -display vnc=: sockets and the pace of updates; the protocol is rfb.h's. All clients see and use one
 * display. It outlives a reset of the machine.
 */
#ifndef BAILEY_DISPLAY_VNC_H
#define BAILEY_DISPLAY_VNC_H

#include "options.h"

typedef struct Vnc Vnc;

/**
 * vnc_new - listen.
 * @l: of -display: vnc=:N, ADDR:N (TCP port 5900 + N) or unix:PATH; password-file=FILE; head=ID of a device
 * Returns NULL with a sentence: an address beyond this machine needs a password.
 */
Vnc *vnc_new(const OptionList *l, GError **error);

/* vnc_free - accepts NULL. */
void vnc_free(Vnc *s);

#endif
