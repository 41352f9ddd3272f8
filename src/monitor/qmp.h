/*
 * QMP: how programs control the machine, by JSON objects over a socket. Greeting, negotiation, framing, IDs, classes of
 * errors and events are those of QEMU's protocol specification; commands register themselves (qmp_int.h). A connection
 * outlives resets of the guest, for which the machine is made anew. Not offered: out-of-band execution, commands beside
 * one another.
 */
#ifndef BAILEY_MONITOR_QMP_H
#define BAILEY_MONITOR_QMP_H

#include "chardev.h"
#include "monitor/monitor.h"

typedef struct Qmp Qmp;

/* qmp_new - a server on @chardev, which is freed with it, or now when there is an error: another one is its client. No
 * machine is attached yet. */
Qmp *qmp_new(Chardev *chardev, GError **error);

/**
 * qmp_open - the server that -qmp asks for.
 * @where: stdio, chardev:ID, or tcp:ADDR:PORT or unix:PATH with server= and wait= behind it, as chardev_new() has them
 * Returns NULL with a sentence in @error.
 */
Qmp *qmp_open(const char *where, GError **error);

void qmp_free(Qmp *q);

/* qmp_attach - the machine that commands are about from now on. qmp_detach - it has ended; commands come when there is
 * another one. What it ended by is told by an event: RESET, or SHUTDOWN when no other machine follows. */
void qmp_attach(Qmp *q, const MonMachine *on);
void qmp_detach(Qmp *q, bool restarts, bool by_guest, const char *reason);

#endif
