/*
 * A hostile program at -qmp: bytes that come in as they are, after a negotiation that may also be left out (the first
 * byte's bit 0). Lines that begin with ':' are commands of the monitor, and get their request around them.
 */
#include <stdlib.h>
#include <string.h>

#include "monitor/qmp.h"
#include "tests/unit/mon_rig.h"

enum { CHUNK = 2048 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void put(Chardev *line, const void *data, size_t len)
{
    const uint8_t *p = data;

    while (len > 0) {
        size_t n = MIN(len, CHUNK);

        chardev_input(line, p, n);
        p += n;
        len -= n;
    }
}

static void put_text(Chardev *line, const char *text) { put(line, text, strlen(text)); }

/* A command of the monitor, in a string of JSON. */
static void put_command(Chardev *line, const uint8_t *text, size_t len)
{
    put_text(line, "{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":\"");
    for (size_t i = 0; i < len; i++) {
        char byte[8];

        g_snprintf(byte, sizeof(byte), "\\u%04x", text[i]);
        put_text(line, byte);
    }
    put_text(line, "\"}}\n");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    MonRig   rig;
    Chardev *line = chardev_new("null", false, NULL);
    Qmp     *qmp = qmp_new(line, NULL);

    mon_rig_init(&rig);
    qmp_attach(qmp, &rig.on);
    if (len > 0 && !(data[0] & 1)) {
        put_text(line, "{\"execute\":\"qmp_capabilities\"}");
    }
    while (len > 0 && !machine_is_stopping(rig.machine)) {
        const uint8_t *end = memchr(data, '\n', len);
        size_t         n = end != NULL ? (size_t)(end - data) : len;

        if (n > 0 && data[0] == ':') {
            put_command(line, data + 1, n - 1);
        } else {
            put(line, data, n);
            put_text(line, "\n");
        }
        n += end != NULL;
        data += n;
        len -= n;
    }
    qmp_detach(qmp, false, true, "guest-shutdown");
    qmp_free(qmp);
    mon_rig_free(&rig);
    return 0;
}
