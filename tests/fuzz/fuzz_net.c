/*
 * Frames of a hostile peer and of a hostile guest: what comes over a socket (-netdev stream) and what goes there, and
 * what cuts and joins segments. The first byte says whether headers go with the frames and what the guest takes; the
 * rest is the frames of the guest, then what the peer sends, then frames to join as slirp's are.
 */
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bytes.h"
#include "netdev.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static unsigned what_it_takes;
static size_t   total;

static bool ready(void *opaque) { return true; }

static void receive(void *opaque, const uint8_t *frame, size_t len, const NetOffload *o)
{
    uint8_t    hdr[NET_OFFLOAD_LEN];
    NetOffload again;

    g_assert(len > 0 && len <= NET_FRAME_MAX);
    g_assert(!o->needs_checksum || (what_it_takes & NETDEV_TAKES_CHECKSUM));
    g_assert(o->gso == NET_GSO_NONE || (what_it_takes & (NETDEV_TAKES_TSO4 | NETDEV_TAKES_TSO6)));
    net_offload_put(o, frame, len, hdr);
    g_assert(net_offload_get(&again, hdr) && again.gso == o->gso);
    total += len + frame[len - 1]; /* all of it is readable */
}

static unsigned takes(void *opaque) { return what_it_takes; }

static const NetdevClient client = { ready, receive, takes };

static int call(const char *path)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    int                fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    g_strlcpy(un.sun_path, path, sizeof(un.sun_path));
    g_assert(connect(fd, (struct sockaddr *)&un, sizeof(un)) == 0);
    return fd;
}

static void run(Clock *clock)
{
    for (unsigned i = 0; i < 4; i++) {
        while (g_main_context_iteration(NULL, FALSE)) {
        }
        clock_advance(clock, clock_now(clock) + 1000000);
    }
}

/* Whole frames of the input, each led by its length in two bytes: joined as slirp's are. */
static void join_all(const uint8_t *data, size_t len)
{
    static uint8_t frame[NET_FRAME_MAX];
    size_t         has = 0;
    NetOffload     o = { .valid = true };

    while (len >= 2) {
        size_t n = MIN(le16_get(data), len - 2);

        if (has == 0 || !net_offload_join(frame, &has, &o, data + 2, n)) {
            memcpy(frame, data + 2, n);
            has = n;
            o = (NetOffload){ .valid = true };
        }
        g_assert(has <= NET_FRAME_MAX);
        data += 2 + n;
        len -= 2 + n;
    }
}

/* Frames of the input, each led by its length in two bytes and what is left to do on it: as virtio-net lets a driver's
 * pass. The peer reads now and then. */
static void send_all(Netdev *n, int fd, const uint8_t *data, size_t len)
{
    static uint8_t frame[NET_FRAME_MAX], there[1 << 16];

    for (size_t part; len > 2 + NET_OFFLOAD_LEN; data += 2 + part, len -= 2 + part) {
        NetOffload o;

        part = MAX(NET_OFFLOAD_LEN, MIN(le16_get(data), len - 2));
        size_t size = part - NET_OFFLOAD_LEN;

        if (size == 0 || !net_offload_get(&o, data + 2) || (o.gso != NET_GSO_NONE && !o.needs_checksum) ||
            (o.needs_checksum && (size_t)o.start + o.offset + 2 > size)) {
            continue;
        }
        memcpy(frame, data + 2 + NET_OFFLOAD_LEN, size);
        netdev_send(n, frame, size, &o);
        while ((data[0] & 1) != 0 && recv(fd, there, sizeof(there), 0) > 0) {
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char dir[] = "/tmp/bailey-fuzz-XXXXXX";

    if (len < 1) {
        return 0;
    }
    if (g_mkdtemp(dir) == NULL) {
        abort();
    }
    g_autofree char *path = g_strdup_printf("%s/wire", dir);
    g_autofree char *option = g_strdup_printf("stream,id=n,server=on,addr.type=unix,addr.path=%s,vnet-hdr=%s", path,
                                              data[0] & 1 ? "on" : "off");
    Clock           *clock = clock_new();
    Netdev          *n = netdev_new(option, clock, NULL);

    what_it_takes = data[0] >> 1 & 7;
    g_assert(n != NULL && netdev_set_client(n, &client, NULL));
    int fd = call(path);
    run(clock);
    send_all(n, fd, data + 1, len - 1); /* before the peer may be sent away */
    run(clock);
    for (size_t at = 1; at < len;) {
        size_t  part = MIN(len - at, 1 + (size_t)data[0] * 16);
        ssize_t sent = send(fd, data + at, part, MSG_NOSIGNAL);

        if (sent <= 0) {
            break;
        }
        at += (size_t)sent;
        run(clock);
    }
    close(fd);
    run(clock);
    netdev_free_all();
    clock_free(clock);
    join_all(data + 1, len - 1);
    rmdir(dir);
    return 0;
}
