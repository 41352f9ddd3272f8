/*
 * A hostile guest and careless programs of the host at the socket device: the input is a list of steps that send
 * packets with few ports, give receive buffers or none, connect at the host, write, read, end and leave. Nothing may
 * crash, leak, wait or grow.
 */
#define _GNU_SOURCE /* accept4() */
#include "bits.h"
#include "bytes.h"
#include "unit/virtio_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { MAX_STEPS = 200, N_HOST = 4, HDR = 44, CID = 7, FIRST_PORT = 1 << 30 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[] = "/tmp/bailey-fuzz-vsock-XXXXXX";
static int  host[N_HOST]; /* 0: not open */
static int  server[2]; /* of streams, of messages */

static struct sockaddr_un address(const char *name)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };

    snprintf(a.sun_path, sizeof(a.sun_path), "%s/%s", dir, name);
    return a;
}

static void clean_up(void)
{
    static const char *const names[] = { "s", "s_seqpacket", "s_1", "s_2" };

    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        unlink(address(names[i]).sun_path);
    }
    rmdir(dir);
}

static VirtioRig *set_up(void)
{
    if (mkdtemp(dir) == NULL) {
        abort();
    }
    atexit(clean_up);
    g_autofree char *option = g_strdup_printf("virtio-vsock-pci,id=v,guest-cid=%d,socket=%s/s", CID, dir);

    for (unsigned i = 0; i < ARRAY_LEN(server); i++) {
        struct sockaddr_un a = address(i == 0 ? "s_1" : "s_2");

        server[i] = socket(AF_UNIX, (i == 0 ? SOCK_STREAM : SOCK_SEQPACKET) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (bind(server[i], (struct sockaddr *)&a, sizeof(a)) != 0 || listen(server[i], 4) != 0) {
            abort();
        }
    }
    return vr_new(rig_new(), option, 3 /* streams and messages */);
}

/* A packet, mostly of the guest to a port that may be connected. */
static void send_packet(VirtioRig *v, ByteReader *r)
{
    uint8_t    how = br_u8(r), head[HDR];
    ByteWriter w = bw_init(head, sizeof(head));
    uint32_t   len = br_u8(r) * (how & 0x40 ? 300u : 1u);
    uint8_t    op = br_u8(r);

    bw_u64(&w, how & 0x80 ? br_u8(r) : CID);
    bw_u64(&w, (how & 0x30) == 0x30 ? br_u8(r) : 2);
    bw_u32(&w, how & 3);
    bw_u32(&w, how & 4 ? FIRST_PORT + (br_u8(r) & 3) : (how >> 3 & 3));
    bw_u32(&w, len);
    bw_u16(&w, how == 0xff ? br_u16(r) : op & 0x80 ? 2 : 1);
    bw_u16(&w, op & 15);
    bw_u32(&w, br_u8(r) & 3);
    bw_u32(&w, (uint32_t)br_u8(r) << (br_u8(r) & 31));
    bw_u32(&w, br_u8(r) & 0x80 ? br_u32(r) : br_u8(r));
    for (unsigned i = 0; i < HDR; i += 4) {
        rig_write(v->pci, VR_BUFFERS + i, 4, le32_get(head + i));
    }
    vr_desc(v, VR_QUEUE(1), 0, VR_BUFFERS, HDR + len - (how == 0xfe), 0, 0);
    vr_offer(v, 1, 0, true);
}

static void host_step(VirtioRig *v, unsigned what, ByteReader *r)
{
    uint8_t  which = br_u8(r);
    int     *fd = &host[which % N_HOST];
    uint8_t  buf[256] = { 0 };
    char     line[32];

    if (what == 0 && *fd == 0) {
        struct sockaddr_un a = address(which & 0x40 ? "s_seqpacket" : "s");

        *fd = socket(AF_UNIX, (which & 0x40 ? SOCK_SEQPACKET : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (connect(*fd, (struct sockaddr *)&a, sizeof(a)) == 0) {
            snprintf(line, sizeof(line), "CONNECT %u\n", which >> 2 & 3);
            (void)send(*fd, line, strlen(line) - (which == 0xff), MSG_NOSIGNAL);
        }
    } else if (what == 1 && *fd == 0) {
        *fd = MAX(accept4(server[which >> 6 & 1], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), 0);
    } else if (*fd == 0) {
        return;
    } else if (what == 2) {
        (void)send(*fd, buf, br_u8(r), MSG_NOSIGNAL);
    } else if (what == 3) {
        (void)!read(*fd, buf, br_u8(r));
    } else if (what == 4) {
        shutdown(*fd, br_u8(r) % 3);
    } else {
        close(*fd);
        *fd = 0;
    }
}

static void hear_all(void)
{
    for (unsigned i = 0; i < 50 && g_main_context_iteration(NULL, FALSE); i++) {
    }
}

static void step(VirtioRig *v, ByteReader *r)
{
    uint8_t op = br_u8(r);

    switch (op & 15) {
    case 0:
    case 1:
    case 2:
        for (unsigned n = op >> 4; n > 0; n--) {
            vr_desc(v, VR_QUEUE(0), n, VR_BUFFERS + 0x40000, 44 + br_u8(r) * 16u, VIRTQ_DESC_WRITE, 0);
            vr_offer(v, 0, (uint16_t)n, n == 1);
        }
        break;
    case 3:
        hear_all();
        break;
    case 4:
        vr_start(v, 0);
        break;
    case 5:
    case 6:
    case 7:
    case 8:
    case 9:
    case 10:
        host_step(v, (op & 15) - 5u, r);
        break;
    default:
        send_packet(v, r);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static VirtioRig *v;
    ByteReader        r = br_init(data, size);

    if (v == NULL) {
        v = set_up();
    }
    vr_start(v, 0);
    for (unsigned n = 0; n < MAX_STEPS && br_left(&r) != 0; n++) {
        v->pci->n_msi = 0;
        step(v, &r);
    }
    for (unsigned i = 0; i < N_HOST; i++) {
        if (host[i] != 0) {
            close(host[i]);
            host[i] = 0;
        }
    }
    for (unsigned i = 0; i < ARRAY_LEN(server); i++) {
        for (int fd; (fd = accept4(server[i], NULL, NULL, SOCK_CLOEXEC)) >= 0;) {
            close(fd);
        }
    }
    hear_all();
    vr_start(v, 0); /* ends connections */
    hear_all();
    return 0;
}
