/*
 * TAP interfaces. No script is run: who may make an interface and connects it to a bridge does so before.
 */
#include "netdev_tap.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "device.h"
#include "log.h"

enum { AT_ONCE = 64 /* frames, before others in the main loop have their turn */ };

struct NetTap {
    const NetStreamClient *client;
    void                  *opaque;
    int                    fd;
    bool                   vnet_hdr;
    guint                  watch; /* 0: not now */
    uint8_t                input[NET_OFFLOAD_LEN + NET_FRAME_MAX];
};

/* ---- to the guest ---- */

static gboolean on_readable(gint fd, GIOCondition cond, gpointer opaque)
{
    NetTap *t = opaque;
    size_t  hdr = t->vnet_hdr ? NET_OFFLOAD_LEN : 0;

    for (unsigned i = 0; i < AT_ONCE; i++) {
        if (!t->client->can_receive(t->opaque)) {
            t->watch = 0; /* what comes waits in the interface's queue */
            return G_SOURCE_REMOVE;
        }
        ssize_t    n = read(fd, t->input, sizeof(t->input));
        NetOffload o = { 0 };

        if (n < 0) {
            break;
        }
        if ((size_t)n > hdr && (hdr == 0 || net_offload_get(&o, t->input))) {
            t->client->receive(t->opaque, t->input + hdr, (size_t)n - hdr, &o);
        }
    }
    return G_SOURCE_CONTINUE;
}

void net_tap_accept_input(NetTap *t)
{
    if (t->watch == 0) {
        t->watch = g_unix_fd_add(t->fd, G_IO_IN, on_readable, t);
    }
}

/* ---- from the guest ---- */

static void write_frame(NetTap *t, const uint8_t *frame, size_t len, const NetOffload *o)
{
    uint8_t      hdr[NET_OFFLOAD_LEN];
    struct iovec v[2] = { { hdr, sizeof(hdr) }, { (void *)frame, len } };

    if (t->vnet_hdr) {
        net_offload_put(o, frame, len, hdr);
    }
    (void)!writev(t->fd, v + !t->vnet_hdr, 1 + t->vnet_hdr); /* what it does not take is lost, as on a wire */
}

static void write_whole(void *opaque, const uint8_t *frame, size_t len)
{
    static const NetOffload whole = { .valid = true };

    write_frame(opaque, frame, len, &whole);
}

void net_tap_send(NetTap *t, uint8_t *frame, size_t len, const NetOffload *o)
{
    if (t->vnet_hdr) {
        write_frame(t, frame, len, o);
    } else if (!net_offload_finish(frame, len, o, write_whole, t)) {
        guest_error("netdev: a frame of %zu bytes is not what its header says; it is dropped", len);
    }
}

/* ---- opening ---- */

static bool fail(const OptionList *l, GError **error, const char *what, const char *mend)
{
    g_set_error(error, BAILEY_ERROR, 0, "-netdev %s: %s: %s; %s", l->text, what, g_strerror(errno), mend);
    return false;
}

static bool open_interface(NetTap *t, const OptionList *l, const char *name, GError **error)
{
    struct ifreq r = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };

    if (*name == '\0' || strlen(name) >= sizeof(r.ifr_name)) {
        errno = EINVAL;
        return fail(l, error, "ifname= is no name of an interface", "it has up to 15 characters");
    }
    strcpy(r.ifr_name, name);
    t->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (t->fd < 0) {
        return fail(l, error, "cannot open /dev/net/tun", "load the kernel's module tun, or use -netdev user");
    }
    return ioctl(t->fd, TUNSETIFF, &r) == 0 ||
           fail(l, error, "cannot use that interface",
                "make it first, for you: ip tuntap add dev NAME mode tap user YOU; and use it once");
}

static bool take_fd(NetTap *t, const OptionList *l, const char *text, GError **error)
{
    struct ifreq r;
    char        *end;
    long         fd = strtol(text, &end, 10);

    if (*text == '\0' || *end != '\0' || fd < 0 || fd > INT_MAX || ioctl((int)fd, TUNGETIFF, &r) != 0 ||
        (r.ifr_flags & (IFF_TAP | IFF_NO_PI)) != (IFF_TAP | IFF_NO_PI)) {
        errno = errno != 0 ? errno : EINVAL;
        return fail(l, error, "fd= is no open TAP interface without packet information",
                    "open /dev/net/tun with IFF_TAP and IFF_NO_PI, and do not close it");
    }
    t->vnet_hdr = (r.ifr_flags & IFF_VNET_HDR) != 0;
    t->fd = fcntl((int)fd, F_DUPFD_CLOEXEC, 0); /* what we were given stays open for the machine after a reset */
    (void)fcntl((int)fd, F_SETFD, FD_CLOEXEC);
    return fcntl(t->fd, F_SETFL, O_RDWR | O_NONBLOCK) == 0 ||
           fail(l, error, "cannot use fd=", "allow more open files");
}

/* The header's length, and what the kernel may leave to us: what the guest does not take, the network back end does. */
static bool set_up_header(NetTap *t, const OptionList *l, GError **error)
{
    int len = NET_OFFLOAD_LEN;

    return !t->vnet_hdr || (ioctl(t->fd, TUNSETVNETHDRSZ, &len) == 0 &&
                            ioctl(t->fd, TUNSETOFFLOAD, (unsigned long)(TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6)) == 0) ||
           fail(l, error, "the interface takes no offloads", "use one of a newer kernel");
}

static bool is_no(const OptionList *l, const char *key)
{
    const char *v = option_list_get(l, key);

    return v == NULL || strcmp(v, "no") == 0;
}

NetTap *net_tap_new(const OptionList *l, const NetStreamClient *client, void *opaque, GError **error)
{
    const char *name = option_list_get(l, "ifname"), *fd = option_list_get(l, "fd");
    NetTap     *t = g_new0(NetTap, 1);
    bool        ok = false;

    t->client = client;
    t->opaque = opaque;
    t->fd = -1;
    t->vnet_hdr = true;
    errno = 0;
    if ((name == NULL) == (fd == NULL)) {
        g_set_error(error, BAILEY_ERROR, 0, "-netdev %s: a TAP interface is ifname=NAME or fd=NUMBER, one of them",
                    l->text);
    } else if (!is_no(l, "script") || !is_no(l, "downscript")) {
        g_set_error(error, BAILEY_ERROR, 0, "-netdev %s: no script is run; bring the interface up yourself, and leave "
                                            "script= and downscript= out or say no", l->text);
    } else {
        ok = (name != NULL ? open_interface(t, l, name, error) : take_fd(t, l, fd, error)) &&
             set_up_header(t, l, error);
    }
    if (!ok) {
        net_tap_free(t);
        return NULL;
    }
    net_tap_accept_input(t);
    client->live(opaque, true);
    return t;
}

void net_tap_free(NetTap *t)
{
    if (t == NULL) {
        return;
    }
    if (t->watch != 0) {
        g_source_remove(t->watch);
    }
    if (t->fd >= 0) {
        close(t->fd);
    }
    g_free(t);
}
