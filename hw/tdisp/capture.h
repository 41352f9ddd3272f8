/*
 * What goes over a DOE mailbox as a pcap file, and the secrets of its SPDM sessions as a text file, for dissectors
 * of others. Time is the machine's: the files repeat from run to run.
 */
#ifndef BAILEY_HW_TDISP_CAPTURE_H
#define BAILEY_HW_TDISP_CAPTURE_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
    CAPTURE_LINKTYPE = 292,  /* PCI_DOE, as DMTF's spdm-dump has it */
    CAPTURE_SNAPLEN = 65536, /* longer objects are cut, with their length kept; spdm-dump takes no longer ones */
};

/* Two files that may be open or not. All zeros: neither. */
typedef struct Capture {
    const char *device;
    FILE       *pcap, *keylog;
} Capture;

/**
 * capture_open - begin the files, which must not exist or are overwritten.
 * @device: its class, for messages; must stay
 * @pcap, @keylog: paths; NULL: no such file
 * Returns false, with a sentence that names the property and neither file open, when one cannot be written.
 */
bool capture_open(Capture *c, const char *device, const char *pcap, const char *keylog, GError **error);

/* capture_close - end them; closed ones are left alone. */
void capture_close(Capture *c);

/* capture_object - one whole data object, header included, as it was written or can be read at @now_ns. */
void capture_object(Capture *c, int64_t now_ns, const uint8_t *object, size_t len);

/* capture_secret - one line of the key log: the secret that session @session_id is derived from.
 * @kind: "DHE_SECRET" or "PSK" */
void capture_secret(Capture *c, uint32_t session_id, const char *kind, const uint8_t *secret, size_t len);

#endif
