/*
 * The socket: connect, one frame out, one frame in, each within a time.
 */
#include "hw/tdisp/brain.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bytes.h"
#include "device.h"
#include "log.h"
#include "spdm/record.h"

enum { HEADER_LEN = 12, NORMAL = 1, CONTINUE = 0xfffd, OVER_DOE = 2, FRAME_MAX = HEADER_LEN + 8 + SPDM_RECORD_MAX + 4 };

struct Brain {
    int   fd; /* -1: gone */
    char *spec, *device;
    int   patience_ms;
};

/* Until the descriptor is ready for that; false and errno when it is not in time. */
static bool wait_for(const Brain *b, short events, gint64 deadline_us)
{
    struct pollfd p = { .fd = b->fd, .events = events };
    gint64        left;
    int           n;

    do {
        left = (deadline_us - g_get_monotonic_time()) / 1000;
        n = poll(&p, 1, left > 0 ? (int)left : 0);
    } while (n < 0 && errno == EINTR);
    if (n == 0) {
        errno = ETIMEDOUT;
    }
    return n > 0;
}

static bool connect_to(Brain *b, const struct sockaddr *addr, socklen_t len)
{
    int       e = 0;
    socklen_t e_len = sizeof(e);

    b->fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (b->fd >= 0 && (connect(b->fd, addr, len) == 0 ||
                       (errno == EINPROGRESS &&
                        wait_for(b, POLLOUT, g_get_monotonic_time() + 1000 * (gint64)b->patience_ms) &&
                        getsockopt(b->fd, SOL_SOCKET, SO_ERROR, &e, &e_len) == 0 && (errno = e) == 0))) {
        return true;
    }
    e = errno;
    if (b->fd >= 0) {
        close(b->fd);
    }
    b->fd = -1;
    errno = e;
    return false;
}

static bool connect_unix(Brain *b, const char *path)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };

    if (strlen(path) >= sizeof(a.sun_path)) {
        errno = ENAMETOOLONG;
        return false;
    }
    strcpy(a.sun_path, path);
    return connect_to(b, (const struct sockaddr *)&a, sizeof(a));
}

static bool connect_tcp(Brain *b, const char *address)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
    const char           *colon = strrchr(address, ':');
    char                 *host = g_strndup(address, (gsize)(colon - address));
    struct addrinfo      *all = NULL;
    bool                  ok = false;

    errno = EADDRNOTAVAIL;
    if (getaddrinfo(host, colon + 1, &hints, &all) == 0) {
        for (const struct addrinfo *a = all; a != NULL && !ok; a = a->ai_next) {
            ok = connect_to(b, a->ai_addr, a->ai_addrlen);
        }
        freeaddrinfo(all);
    }
    g_free(host);
    return ok;
}

Brain *brain_new(const char *spec, const char *device, int patience_ms, GError **error)
{
    const char *address = g_str_has_prefix(spec, "socket:") ? spec + strlen("socket:") : "";
    bool        local = g_str_has_prefix(address, "unix:");
    Brain      *b;

    if (strchr(address, ':') == NULL) {
        g_set_error(error, BAILEY_ERROR, 0, "spdm=%s of device %s: give socket:ADDRESS:PORT or socket:unix:PATH of an "
                    "SPDM responder, or leave spdm= out for the device's own", spec, device);
        return NULL;
    }
    b = g_new0(Brain, 1);
    *b = (Brain){ .fd = -1, .spec = g_strdup(spec), .device = g_strdup(device), .patience_ms = patience_ms };
    if (!(local ? connect_unix(b, address + strlen("unix:")) : connect_tcp(b, address))) {
        g_set_error(error, BAILEY_ERROR, 0, "spdm=%s of device %s: cannot connect: %s; start the responder first",
                    spec, device, g_strerror(errno));
        brain_free(b);
        return NULL;
    }
    return b;
}

static bool send_all(const Brain *b, const uint8_t *p, size_t len, gint64 deadline_us)
{
    while (len != 0) {
        ssize_t n;

        if (!wait_for(b, POLLOUT, deadline_us)) {
            return false;
        }
        n = send(b->fd, p, len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            return false;
        }
        p += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

static bool receive_all(const Brain *b, uint8_t *p, size_t len, gint64 deadline_us)
{
    while (len != 0) {
        ssize_t n;

        if (!wait_for(b, POLLIN, deadline_us)) {
            return false;
        }
        n = recv(b->fd, p, len, 0);
        if (n == 0) {
            errno = ECONNRESET;
            return false;
        }
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            return false;
        }
        p += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

static void frame_header(uint8_t *frame, uint32_t command, size_t len)
{
    be32_put(frame, command);
    be32_put(frame + 4, OVER_DOE);
    be32_put(frame + 8, (uint32_t)len);
}

/* The connection is no use any more. */
static size_t leave(Brain *b, const char *why)
{
    log_error("spdm=%s of device %s: %s; the device is silent from here on", b->spec, b->device, why);
    close(b->fd);
    b->fd = -1;
    return 0;
}

/* What is wrong with a frame's header, or NULL. */
static const char *header_error(const uint8_t *header)
{
    if (be32_get(header) != NORMAL) {
        return "the responder sent a frame of another command";
    }
    if (be32_get(header + 4) != OVER_DOE) {
        return "the responder answers over another transport than PCI DOE: choose that there";
    }
    if (be32_get(header + 8) > FRAME_MAX - HEADER_LEN) {
        return "the responder's answer is longer than an SPDM message";
    }
    return NULL;
}

size_t brain_exchange(Brain *b, bool secured, const uint8_t *req, size_t len, uint8_t *rsp, size_t cap)
{
    uint8_t     frame[FRAME_MAX];
    ByteWriter  w = bw_init(frame + HEADER_LEN, sizeof(frame) - HEADER_LEN);
    gint64      deadline = g_get_monotonic_time() + 1000 * (gint64)b->patience_ms;
    bool        answer_secured;
    const char *why;
    SpdmSpan    msg;

    if (b->fd < 0) {
        return 0;
    }
    spdm_packet_wrap(SPDM_OVER_DOE, secured, req, len, &w);
    if (!bw_ok(&w)) {
        guest_error("%s: an object of %zu bytes is longer than an SPDM message", b->device, len);
        return 0;
    }
    frame_header(frame, NORMAL, w.pos);
    if (!send_all(b, frame, HEADER_LEN + w.pos, deadline) || !receive_all(b, frame, HEADER_LEN, deadline)) {
        return leave(b, errno == ETIMEDOUT ? "the responder did not answer in time" : g_strerror(errno));
    }
    if ((why = header_error(frame)) != NULL) {
        return leave(b, why);
    }
    len = be32_get(frame + 8);
    if (!receive_all(b, frame, len, deadline)) {
        return leave(b, errno == ETIMEDOUT ? "the responder's answer ended in the middle" : g_strerror(errno));
    }
    if (len == 0) {
        return 0; /* it is silent, and says so */
    }
    if (!spdm_packet_unwrap(SPDM_OVER_DOE, frame, len, &answer_secured, &msg) || msg.len > cap) {
        return leave(b, "the responder's answer is no data object of SPDM");
    }
    memcpy(rsp, msg.data, msg.len);
    return answer_secured == secured ? msg.len : 0; /* the mailbox answers in the request's type */
}

void brain_free(Brain *b)
{
    if (b != NULL) {
        if (b->fd >= 0) {
            uint8_t frame[HEADER_LEN];

            frame_header(frame, CONTINUE, 0);
            (void)send(b->fd, frame, sizeof(frame), MSG_NOSIGNAL | MSG_DONTWAIT);
            close(b->fd);
        }
        g_free(b->spec);
        g_free(b->device);
        g_free(b);
    }
}
