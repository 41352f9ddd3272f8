/*
 * The capture is a pcap file with times in nanoseconds, each record one data object from its DOE header on. Link type
 * 292 is what DMTF's spdm-dump takes for PCI_DOE (doc/spdm_dump.md there).
 *
 * A line of the key log is "DHE_SECRET SessionID secret", both hexadecimal: with the messages of the capture, all
 * keys of the session follow from it (DMTF DSP0274, "Key schedule"). Lines are in the order of KEY_EXCHANGE.
 *
 * Both files are whole after each write, because a run may end at any time.
 */
#include "hw/tdisp/capture.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "bytes.h"
#include "device.h"
#include "log.h"

/* The libpcap savefile format, "pcap-savefile" manual page. */
enum { FILE_HEADER = 24, RECORD_HEADER = 16 };

#define PCAP_MAGIC_NS 0xa1b23c4du
#define NS_PER_S      1000000000

/* Gives a file up that cannot be written any more: the disk is full, mostly. */
static void put(const Capture *c, FILE **f, const char *what, const void *data, size_t len)
{
    if (fwrite(data, 1, len, *f) != len || fflush(*f) != 0) {
        log_warning("%s= of device %s ends early: %s", what, c->device, g_strerror(errno));
        (void)fclose(*f);
        *f = NULL;
    }
}

static bool open_one(const Capture *c, FILE **f, const char *prop, const char *path, GError **error)
{
    if (path == NULL) {
        return true;
    }
    *f = fopen(path, "wb");
    if (*f == NULL) {
        g_set_error(error, BAILEY_ERROR, 0, "cannot write %s=%s of device %s: %s; name a file in a directory that is "
                    "there and can be written", prop, path, c->device, g_strerror(errno));
    }
    return *f != NULL;
}

bool capture_open(Capture *c, const char *device, const char *pcap, const char *keylog, GError **error)
{
    uint8_t    header[FILE_HEADER];
    ByteWriter w = bw_init(header, sizeof(header));

    *c = (Capture){ .device = device };
    if (!open_one(c, &c->pcap, "spdm-pcap", pcap, error) || !open_one(c, &c->keylog, "spdm-keylog", keylog, error)) {
        capture_close(c);
        return false;
    }
    bw_u32(&w, PCAP_MAGIC_NS);
    bw_u16(&w, 2); /* version 2.4 */
    bw_u16(&w, 4);
    bw_zero(&w, 8); /* time zone, accuracy: unused */
    bw_u32(&w, CAPTURE_SNAPLEN);
    bw_u32(&w, CAPTURE_LINKTYPE);
    if (c->pcap != NULL) {
        put(c, &c->pcap, "spdm-pcap", header, w.pos);
    }
    return true;
}

void capture_close(Capture *c)
{
    if (c->pcap != NULL) {
        (void)fclose(c->pcap);
    }
    if (c->keylog != NULL) {
        (void)fclose(c->keylog);
    }
    *c = (Capture){ 0 };
}

void capture_object(Capture *c, int64_t now_ns, const uint8_t *object, size_t len)
{
    uint8_t     record[RECORD_HEADER];
    ByteWriter  w = bw_init(record, sizeof(record));
    size_t      kept = MIN(len, (size_t)CAPTURE_SNAPLEN);
    GByteArray *whole;

    if (c->pcap == NULL) {
        return;
    }
    bw_u32(&w, (uint32_t)(now_ns / NS_PER_S));
    bw_u32(&w, (uint32_t)(now_ns % NS_PER_S));
    bw_u32(&w, (uint32_t)kept);
    bw_u32(&w, (uint32_t)len);
    whole = g_byte_array_append(g_byte_array_new(), record, sizeof(record));
    g_byte_array_append(whole, object, (guint)kept);
    put(c, &c->pcap, "spdm-pcap", whole->data, whole->len);
    g_byte_array_unref(whole);
}

void capture_secret(Capture *c, uint32_t session_id, const char *kind, const uint8_t *secret, size_t len)
{
    GString *line;

    if (c->keylog == NULL) {
        return;
    }
    line = g_string_new(NULL);
    g_string_printf(line, "%s %08" PRIx32 " ", kind, session_id);
    for (size_t i = 0; i < len; i++) {
        g_string_append_printf(line, "%02x", secret[i]);
    }
    g_string_append_c(line, '\n');
    put(c, &c->keylog, "spdm-keylog", line->str, line->len);
    g_string_free(line, TRUE);
}
