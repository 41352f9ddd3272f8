/*
 * Character back ends: stdio, files, pseudo-terminals, sockets, nothing. One struct for all: descriptors to read and
 * write, a small input buffer that waits for the guest, and pending output for a slow reader.
 */
#define _GNU_SOURCE /* posix_openpt(), ptsname_r() */
#include "chardev.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <gio/gunixsocketaddress.h>
#include <glib-unix.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "bits.h"
#include "device.h"
#include "live.h"
#include "log.h"
#include "options.h"

enum {
    INPUT_MAX = 4096,
    PENDING_MAX = 1 << 20, /* output kept for a peer that does not read; beyond it is lost */
    MAX_OBSERVERS = 4,
    ESCAPE = 0x01,         /* Ctrl-A */
};

/* Where a socket that connects itself again connects to. */
typedef struct Redial {
    char         *path;       /* unix */
    char         *host;       /* tcp */
    uint16_t      port;
    unsigned      seconds;    /* between two attempts */
    guint         timer;      /* 0: none runs */
    GCancellable *attempt;    /* NULL: none goes on */
} Redial;

struct Chardev {
    char                *id; /* NULL: not in the list */
    char                *where; /* the text it was made from */
    unsigned             refs;
    bool                 kept; /* over resets of the machine, by whoever is at it */
    int                  fd_in, fd_out, fd_listen; /* -1: none */
    int                  fd_slave; /* of a pseudo-terminal: with it open, the terminal outlives its users */
    bool                 is_socket, is_pty, is_stdio, owns_fds;
    Redial              *redial;  /* NULL: a socket whose other side went stays alone */
    bool                 live;    /* input may still come */
    bool                 escape;  /* Ctrl-A was the last byte */
    guint                watch_in, watch_out, watch_listen;
    char                *unlink_path; /* of a listening socket or of the link to a pseudo-terminal */
    uint8_t              input[INPUT_MAX];
    size_t               input_len;
    GByteArray          *pending;
    const ChardevClient *client;
    void                *opaque;
    struct {
        ChardevObserver *fn;
        void            *opaque;
    } observers[MAX_OBSERVERS];
    unsigned             n_observers;
    bool                 delivering;
};

static GPtrArray *all; /* every Chardev that exists */
static void (*quit_fn)(void *opaque);
static void *quit_opaque;

/* ---- the terminal ---- */

static struct termios saved_tty;
static bool           tty_is_raw;

static void tty_restore(void)
{
    if (tty_is_raw) {
        tty_is_raw = false;
        tcsetattr(STDIN_FILENO, TCSANOW, &saved_tty);
    }
}

/* A signal that ends the program gives the terminal back first. tcsetattr is async-signal-safe. */
static void on_fatal_signal(int sig)
{
    tty_restore();
    signal(sig, SIG_DFL);
    raise(sig);
}

static void tty_make_raw(void)
{
    static bool   registered;
    struct termios t;

    if (tty_is_raw || tcgetattr(STDIN_FILENO, &saved_tty) != 0) {
        return;
    }
    t = saved_tty;
    t.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    t.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN | ISIG);
    t.c_cflag = (t.c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8;
    t.c_cc[VMIN] = 1;
    t.c_cc[VTIME] = 0;
    if (tcsetattr(STDIN_FILENO, TCSANOW, &t) != 0) {
        return;
    }
    tty_is_raw = true;
    if (!registered) {
        static const int fatal[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGABRT, SIGSEGV, SIGBUS };

        registered = true;
        atexit(tty_restore);
        for (unsigned i = 0; i < ARRAY_LEN(fatal); i++) {
            signal(fatal[i], on_fatal_signal);
        }
    }
}

/* ---- liveness ---- */

static void set_live(Chardev *c, bool live)
{
    if (c->live != live) {
        c->live = live;
        live_add(live ? 1 : -1);
    }
}

bool chardev_any_live(void)
{
    for (guint i = 0; all != NULL && i < all->len; i++) {
        if (((Chardev *)all->pdata[i])->live) {
            return true;
        }
    }
    return false;
}

void chardev_set_quit(void (*quit)(void *opaque), void *opaque)
{
    quit_fn = quit;
    quit_opaque = opaque;
}

/* ---- input ---- */

static void watch_input(Chardev *c);

/* Hands over what the client takes; the rest stays. Clients may ask for more from inside receive(). */
static void deliver(Chardev *c)
{
    if (c->delivering) {
        return;
    }
    c->delivering = true;
    while (c->input_len > 0 && c->client != NULL) {
        size_t n = MIN(c->client->can_receive(c->opaque), c->input_len);

        if (n == 0) {
            break;
        }
        uint8_t part[INPUT_MAX];

        memcpy(part, c->input, n);
        c->input_len -= n;
        memmove(c->input, c->input + n, c->input_len);
        c->client->receive(c->opaque, part, n);
    }
    c->delivering = false;
    watch_input(c);
}

static void append_input(Chardev *c, uint8_t byte)
{
    if (c->input_len < INPUT_MAX) {
        c->input[c->input_len++] = byte;
    }
}

/* What follows Ctrl-A on stdio, as with QEMU's -nographic. */
static void escape_command(Chardev *c, uint8_t byte)
{
    switch (byte) {
    case 'x':
        if (quit_fn != NULL) {
            quit_fn(quit_opaque);
        }
        break;
    case 'h':
        fprintf(stderr, "\r\nC-a x  exit\r\nC-a h  this help\r\nC-a C-a  send C-a\r\n");
        break;
    case ESCAPE:
        append_input(c, ESCAPE);
        break;
    default:
        append_input(c, ESCAPE);
        append_input(c, byte);
        break;
    }
}

void chardev_input(Chardev *c, const void *data, size_t len)
{
    const uint8_t *bytes = data;

    for (size_t i = 0; i < len; i++) {
        if (c->escape) {
            c->escape = false;
            escape_command(c, bytes[i]);
        } else if (c->is_stdio && bytes[i] == ESCAPE) {
            c->escape = true;
        } else {
            append_input(c, bytes[i]);
        }
    }
    deliver(c);
}

static void drop_watch(guint *id)
{
    if (*id != 0) {
        g_source_remove(*id);
        *id = 0;
    }
}

static void redial_later(Chardev *c);

static void tell_peer(Chardev *c, bool here)
{
    if (c->client != NULL && c->client->peer_changed != NULL) {
        c->client->peer_changed(c->opaque, here);
    }
}

static void listen_for_peer(Chardev *c);

void chardev_hang_up(Chardev *c)
{
    bool had_peer = c->is_socket && c->fd_in >= 0;

    drop_watch(&c->watch_in);
    drop_watch(&c->watch_out);
    if (had_peer) {
        close(c->fd_in);
        c->fd_in = c->fd_out = -1;
        g_byte_array_set_size(c->pending, 0);
    }
    set_live(c, c->fd_listen >= 0 || c->redial != NULL);
    listen_for_peer(c);
    if (had_peer) {
        tell_peer(c, false);
        redial_later(c);
    }
}

static gboolean on_readable(gint fd, GIOCondition cond, gpointer opaque)
{
    Chardev *c = opaque;
    uint8_t  buf[INPUT_MAX / 2]; /* an escape may turn one byte into two */
    ssize_t  n = read(fd, buf, MIN(sizeof(buf), (INPUT_MAX - c->input_len) / 2));

    if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
        return G_SOURCE_CONTINUE;
    }
    if (n <= 0) {
        chardev_hang_up(c);
        return G_SOURCE_CONTINUE; /* which removed the source */
    }
    chardev_input(c, buf, (size_t)n);
    return G_SOURCE_CONTINUE;
}

/* Reads from the outside only while the guest has taken all that came before. */
static void watch_input(Chardev *c)
{
    bool want = c->fd_in >= 0 && c->live && c->client != NULL && c->input_len == 0;

    if (want && c->watch_in == 0) {
        c->watch_in = g_unix_fd_add(c->fd_in, G_IO_IN | G_IO_HUP | G_IO_ERR, on_readable, c);
    } else if (!want) {
        drop_watch(&c->watch_in);
    }
}

bool chardev_set_client(Chardev *c, const ChardevClient *client, void *opaque)
{
    if (client != NULL && c->client != NULL) {
        return false;
    }
    c->client = client;
    c->opaque = opaque;
    watch_input(c);
    return true;
}

void chardev_accept_input(Chardev *c)
{
    deliver(c);
}

/* ---- output ---- */

void chardev_add_observer(Chardev *c, ChardevObserver *observer, void *opaque)
{
    if (c->n_observers < MAX_OBSERVERS) {
        c->observers[c->n_observers].fn = observer;
        c->observers[c->n_observers++].opaque = opaque;
    }
}

/* Files and terminals: all of it goes out now, even if the terminal is slow. */
static void write_all(int fd, const uint8_t *p, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, p, len);

        if (n < 0 && errno == EAGAIN) {
            struct pollfd pfd = { .fd = fd, .events = POLLOUT };

            (void)poll(&pfd, 1, 1000);
        } else if (n < 0 && errno != EINTR) {
            return; /* a full disk or a closed pipe: the guest's output is lost */
        } else if (n > 0) {
            p += n;
            len -= (size_t)n;
        }
    }
}

/* What a socket or a pseudo-terminal takes now, which may be less, or nothing (-1). */
static ssize_t put(const Chardev *c, const uint8_t *p, size_t len)
{
    return c->is_socket ? send(c->fd_out, p, len, MSG_NOSIGNAL | MSG_DONTWAIT) : write(c->fd_out, p, len);
}

static gboolean on_writable(gint fd, GIOCondition cond, gpointer opaque)
{
    Chardev *c = opaque;
    ssize_t  n = put(c, c->pending->data, c->pending->len);

    if (n > 0) {
        g_byte_array_remove_range(c->pending, 0, (guint)n);
    }
    if (c->pending->len == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        g_byte_array_set_size(c->pending, 0);
        c->watch_out = 0;
        return G_SOURCE_REMOVE;
    }
    return G_SOURCE_CONTINUE;
}

static void write_queued(Chardev *c, const uint8_t *p, size_t len)
{
    ssize_t n = c->pending->len == 0 ? put(c, p, len) : 0;

    if (n < 0) {
        n = 0;
    }
    if ((size_t)n < len && c->pending->len + len - (size_t)n <= PENDING_MAX) {
        g_byte_array_append(c->pending, p + n, (guint)(len - (size_t)n));
        if (c->watch_out == 0) {
            c->watch_out = g_unix_fd_add(c->fd_out, G_IO_OUT | G_IO_HUP | G_IO_ERR, on_writable, c);
        }
    }
}

void chardev_write(Chardev *c, const void *data, size_t len)
{
    for (unsigned i = 0; i < c->n_observers; i++) {
        c->observers[i].fn(c->observers[i].opaque, data, len);
    }
    if (c->fd_out < 0) {
        return;
    }
    if (c->is_socket || c->is_pty) {
        write_queued(c, data, len);
    } else {
        write_all(c->fd_out, data, len);
    }
}

/* ---- opening ---- */

static Chardev *chardev_alloc(void)
{
    Chardev *c = g_new0(Chardev, 1);

    c->refs = 1;
    c->fd_in = c->fd_out = c->fd_listen = c->fd_slave = -1;
    c->pending = g_byte_array_new();
    if (all == NULL) {
        all = g_ptr_array_new();
    }
    g_ptr_array_add(all, c);
    return c;
}

static bool open_file(Chardev *c, const char *path, bool append, GError **error)
{
    c->fd_out = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (append ? O_APPEND : O_TRUNC), 0666);
    c->owns_fds = true;
    if (c->fd_out < 0) {
        g_set_error(error, BAILEY_ERROR, 0,
                    "cannot write to '%s' (from -serial or -chardev file): %s; name a file in a "
                    "folder you may write to",
                    path, g_strerror(errno));
        return false;
    }
    return true;
}

static bool open_stdio(Chardev *c, bool raw, GError **error)
{
    for (guint i = 0; i < all->len; i++) {
        if (((Chardev *)all->pdata[i])->is_stdio) {
            g_set_error(error, BAILEY_ERROR, 0,
                        "stdio can be connected only once; use chardev:ID to share it, or null");
            return false;
        }
    }
    c->is_stdio = true;
    c->fd_in = STDIN_FILENO;
    c->fd_out = STDOUT_FILENO;
    set_live(c, true);
    if (raw && isatty(STDIN_FILENO)) {
        tty_make_raw();
    }
    return true;
}

static void take_peer(Chardev *c, int fd)
{
    c->fd_in = c->fd_out = fd;
    set_live(c, true);
    watch_input(c);
    tell_peer(c, true);
}

static gboolean on_connection(gint fd, GIOCondition cond, gpointer opaque)
{
    Chardev *c = opaque;
    int      peer = accept(fd, NULL, NULL);

    if (peer >= 0) {
        c->watch_listen = 0; /* one at a time: the next waits until this one has hung up */
        take_peer(c, peer);
        return G_SOURCE_REMOVE;
    }
    return G_SOURCE_CONTINUE;
}

/* A server without a peer takes the next one. */
static void listen_for_peer(Chardev *c)
{
    if (c->fd_listen >= 0 && c->fd_in < 0 && c->watch_listen == 0) {
        c->watch_listen = g_unix_fd_add(c->fd_listen, G_IO_IN, on_connection, c);
    }
}

/* Binds and listens, or connects; returns the descriptor or -1 with errno. */
static int socket_open(int family, const struct sockaddr *addr, socklen_t len, bool server)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;

    if (fd < 0) {
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (server ? bind(fd, addr, len) == 0 && listen(fd, 1) == 0 : connect(fd, addr, len) == 0) {
        return fd;
    }
    int saved = errno;

    close(fd);
    errno = saved;
    return -1;
}

static int unix_open(const char *path, bool server)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };

    if (strlen(path) >= sizeof(a.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(a.sun_path, path);
    if (server) {
        unlink(path);
    }
    return socket_open(AF_UNIX, (struct sockaddr *)&a, sizeof(a), server);
}

static int tcp_open(const char *host, const char *port, bool server)
{
    struct addrinfo  hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct addrinfo *list, *a;
    int              fd = -1;

    if (getaddrinfo(*host != '\0' ? host : NULL, port, &hints, &list) != 0) {
        errno = EADDRNOTAVAIL;
        return -1;
    }
    for (a = list; a != NULL && fd < 0; a = a->ai_next) {
        fd = socket_open(a->ai_family, a->ai_addr, a->ai_addrlen, server);
    }
    freeaddrinfo(list);
    return fd;
}

/* A new pseudo-terminal, raw as a serial line is; its name goes to stderr, and to a link at @link unless NULL. What
 * nobody reads waits in it. */
static bool open_pty(Chardev *c, const char *link, GError **error)
{
    struct termios t;
    char           name[64];
    const char    *what = "make a pseudo-terminal";

    c->is_pty = c->owns_fds = true;
    c->fd_in = c->fd_out = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    bool ok = c->fd_in >= 0 && grantpt(c->fd_in) == 0 && unlockpt(c->fd_in) == 0 &&
              ptsname_r(c->fd_in, name, sizeof(name)) == 0;

    if (ok) {
        c->fd_slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
        ok = c->fd_slave >= 0 && tcgetattr(c->fd_slave, &t) == 0;
    }
    if (ok) {
        cfmakeraw(&t);
        ok = tcsetattr(c->fd_slave, TCSANOW, &t) == 0;
    }
    if (ok && link != NULL) {
        what = "link to a pseudo-terminal";
        ok = symlink(name, link) == 0;
        c->unlink_path = ok ? g_strdup(link) : NULL;
    }
    if (!ok) {
        g_set_error(error, BAILEY_ERROR, 0, "cannot %s%s%s: %s; %s", what, link != NULL ? " at " : "",
                    link != NULL ? link : "", g_strerror(errno),
                    link != NULL ? "name a path where nothing is yet, in a folder you may write to"
                                 : "use a socket: unix:PATH,server=on,wait=off");
        return false;
    }
    log_notice("the pseudo-terminal%s%s is %s%s%s", c->id != NULL ? " of " : "", c->id != NULL ? c->id : "", name,
               link != NULL ? ", also " : "", link != NULL ? link : "");
    set_live(c, true);
    return true;
}

/* What a socket back end was asked for. */
typedef struct SocketSpec {
    const char *path;        /* unix */
    const char *host, *port; /* tcp */
    const char *fd;          /* a socket that the caller of the program has connected */
    bool        server, wait;
    bool        side_said;   /* server= is in the text */
    unsigned    reconnect_s; /* 0: never */
} SocketSpec;

/* ---- connecting again ---- */

/* An attempt ended, well or not, or the Chardev is gone and nothing of it may be touched. */
static void on_redialled(GObject *client, GAsyncResult *result, gpointer opaque)
{
    GError            *error = NULL;
    GSocketConnection *link = g_socket_client_connect_finish(G_SOCKET_CLIENT(client), result, &error);
    bool               gone = g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    Chardev           *c = opaque;

    g_clear_error(&error);
    if (!gone) {
        int fd = link != NULL ? dup(g_socket_get_fd(g_socket_connection_get_socket(link))) : -1;

        g_clear_object(&c->redial->attempt);
        if (fd >= 0) {
            take_peer(c, fd);
        } else {
            redial_later(c);
        }
    }
    g_clear_object(&link);
}

static gboolean redial_now(gpointer opaque)
{
    Chardev            *c = opaque;
    Redial             *r = c->redial;
    GSocketClient      *client = g_socket_client_new();
    GSocketConnectable *to = r->path != NULL ? G_SOCKET_CONNECTABLE(g_unix_socket_address_new(r->path))
                                             : g_network_address_new(r->host, r->port);

    r->timer = 0;
    r->attempt = g_cancellable_new();
    g_socket_client_set_enable_proxy(client, FALSE);
    g_socket_client_connect_async(client, to, r->attempt, on_redialled, c);
    g_object_unref(to);
    g_object_unref(client);
    return G_SOURCE_REMOVE;
}

static void redial_later(Chardev *c)
{
    if (c->redial != NULL && c->redial->timer == 0 && c->redial->attempt == NULL) {
        c->redial->timer = g_timeout_add_seconds(c->redial->seconds, redial_now, c);
    }
}

static bool redial_init(Chardev *c, const SocketSpec *s, GError **error)
{
    if (s->server) {
        g_set_error(error, BAILEY_ERROR, 0, "reconnect= is for the side that connects, and server=on waits for the "
                    "other one again by itself; leave it out");
        return false;
    }
    uint16_t port = s->path == NULL ? (uint16_t)strtoul(s->port, NULL, 10) : 0;

    c->redial = g_new0(Redial, 1);
    *c->redial = (Redial){ .path = g_strdup(s->path), .port = port, .seconds = s->reconnect_s,
                           .host = g_strdup(s->host == NULL || *s->host == '\0' ? "localhost" : s->host) };
    return true;
}

static void redial_free(Redial *r)
{
    if (r->timer != 0) {
        g_source_remove(r->timer);
    }
    if (r->attempt != NULL) {
        g_cancellable_cancel(r->attempt); /* its end does not look at the Chardev */
        g_object_unref(r->attempt);
    }
    g_free(r->path);
    g_free(r->host);
    g_free(r);
}

/* A socket that whoever started the program has left open for it, as test harnesses do. */
static bool open_fd(Chardev *c, const SocketSpec *s, GError **error)
{
    guint64   n;
    int       type, accepts;
    socklen_t len = sizeof(type);

    if (s->server || s->reconnect_s != 0 || s->path != NULL || s->port != NULL) {
        g_set_error(error, BAILEY_ERROR, 0, "fd=%s is a connected socket; leave out path, host, port, server and "
                    "reconnect", s->fd);
        return false;
    }
    if (!g_ascii_string_to_unsigned(s->fd, 10, 0, INT_MAX, &n, NULL) ||
        getsockopt((int)n, SOL_SOCKET, SO_TYPE, &type, &len) != 0 || type != SOCK_STREAM ||
        getsockopt((int)n, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &len) != 0 || accepts) {
        g_set_error(error, BAILEY_ERROR, 0, "fd=%s is not the number of a connected stream socket, which is to be open "
                    "when the program is started", s->fd);
        return false;
    }
    fcntl((int)n, F_SETFD, FD_CLOEXEC);
    /* The number stays open: a machine that is made anew asks for it again. */
    int fd = fcntl((int)n, F_DUPFD_CLOEXEC, 0);

    if (fd < 0) {
        g_set_error(error, BAILEY_ERROR, 0, "cannot use the socket fd=%s: %s", s->fd, g_strerror(errno));
        return false;
    }
    c->is_socket = c->owns_fds = true;
    take_peer(c, fd);
    return true;
}

static bool port_is_one(const SocketSpec *s, GError **error)
{
    if (s->path != NULL || g_ascii_string_to_unsigned(s->port, 10, 1, 65535, NULL, NULL)) {
        return true;
    }
    g_set_error(error, BAILEY_ERROR, 0, "the port '%s' of socket %s:%s is no number from 1 to 65535", s->port, s->host,
                s->port);
    return false;
}

static bool open_socket(Chardev *c, const SocketSpec *s, GError **error)
{
    if (!port_is_one(s, error)) {
        return false;
    }
    if (s->reconnect_s != 0 && !redial_init(c, s, error)) {
        return false;
    }
    int fd = s->path != NULL ? unix_open(s->path, s->server) : tcp_open(s->host, s->port, s->server);

    if (fd < 0 && c->redial != NULL) {
        c->is_socket = c->owns_fds = true;
        set_live(c, true);
        redial_later(c);
        return true;
    }
    if (fd < 0) {
        g_set_error(error, BAILEY_ERROR, 0, "cannot %s socket %s%s%s: %s; check the address%s",
                    s->server ? "listen on" : "connect to", s->path != NULL ? s->path : s->host,
                    s->path != NULL ? "" : ":", s->path != NULL ? "" : s->port, g_strerror(errno),
                    s->server      ? ""
                    : s->side_said ? ", and that the other side listens already"
                                   : ", or add server=on to wait for the other side");
        return false;
    }
    c->is_socket = c->owns_fds = true;
    if (!s->server) {
        take_peer(c, fd);
        return true;
    }
    c->fd_listen = fd;
    c->unlink_path = g_strdup(s->path);
    set_live(c, true);
    if (s->wait) {
        log_notice("waiting for a connection to %s%s%s", s->path != NULL ? s->path : s->host,
                   s->path != NULL ? "" : ":", s->path != NULL ? "" : s->port);
        int peer = accept(fd, NULL, NULL);

        if (peer >= 0) {
            take_peer(c, peer);
        }
    }
    listen_for_peer(c);
    return true;
}

static bool keys_known(const OptionList *l, GError **error)
{
    static const char *const known[] = { "id",     "path", "host",   "port",      "server", "wait",
                                         "nowait", "mux",  "signal", "reconnect", "append", "fd" };

    for (guint i = 0; i < l->keys->len; i++) {
        bool ok = false;

        for (unsigned k = 0; k < ARRAY_LEN(known); k++) {
            ok |= strcmp(l->keys->pdata[i], known[k]) == 0;
        }
        if (!ok) {
            g_set_error(error, BAILEY_ERROR, 0,
                        "'%s' in '%s' is not known to -chardev and -serial; use id, path, host, "
                        "port, fd, server, wait, reconnect, append or mux",
                        (char *)l->keys->pdata[i], l->text);
            return false;
        }
    }
    return true;
}

/* tcp:HOST:PORT; the last colon parts them. */
static bool open_tcp_text(Chardev *c, SocketSpec *s, const char *text, GError **error)
{
    const char *colon = strrchr(text, ':');

    if (colon == NULL || colon[1] == '\0') {
        g_set_error(error, BAILEY_ERROR, 0, "'tcp:%s' has no port; write tcp:HOST:PORT", text);
        return false;
    }
    char *host = g_strndup(text, (gsize)(colon - text));

    s->host = host;
    s->port = colon + 1;
    bool ok = open_socket(c, s, error);

    g_free(host);
    return ok;
}

/* reconnect=SECONDS */
static bool reconnect_of(const OptionList *l, unsigned *seconds, GError **error)
{
    const char *text = option_list_get(l, "reconnect");
    char       *end;
    gulong      n = text != NULL ? strtoul(text, &end, 10) : 0;

    *seconds = (unsigned)n;
    if (text == NULL || (g_ascii_isdigit(*text) && *end == '\0' && n <= 3600)) {
        return true;
    }
    g_set_error(error, BAILEY_ERROR, 0, "reconnect=%s in '%s' is not a number of seconds from 0 (never) to 3600", text,
                l->text);
    return false;
}

static bool open_backend(Chardev *c, const OptionList *l, bool raw, GError **error)
{
    const char *d = l->driver;
    SocketSpec  s = {
         .path = option_list_get(l, "path"),
         .host = option_list_get(l, "host"),
         .port = option_list_get(l, "port"),
         .fd = option_list_get(l, "fd"),
         .side_said = option_list_get(l, "server") != NULL,
    };
    bool nowait = false, append = false;

    if (!option_list_bool(l, "-chardev", "server", &s.server, error) ||
        !option_list_bool(l, "-chardev", "append", &append, error) || !reconnect_of(l, &s.reconnect_s, error) ||
        !option_list_bool(l, "-chardev", "nowait", &nowait, error)) {
        return false;
    }
    s.wait = !nowait;
    if (!option_list_bool(l, "-chardev", "wait", &s.wait, error)) {
        return false;
    }
    if (strcmp(d, "null") == 0 || strcmp(d, "none") == 0) {
        return true;
    }
    if (strcmp(d, "stdio") == 0 || strcmp(d, "mon:stdio") == 0) {
        return open_stdio(c, raw, error);
    }
    if (g_str_has_prefix(d, "file:")) {
        return open_file(c, d + strlen("file:"), append, error);
    }
    if (strcmp(d, "file") == 0 && s.path != NULL) {
        return open_file(c, s.path, append, error);
    }
    if (strcmp(d, "pty") == 0) {
        return open_pty(c, s.path, error);
    }
    if (g_str_has_prefix(d, "unix:")) {
        s.path = d + strlen("unix:");
        return open_socket(c, &s, error);
    }
    if (g_str_has_prefix(d, "tcp:")) {
        return open_tcp_text(c, &s, d + strlen("tcp:"), error);
    }
    if (strcmp(d, "socket") == 0 && s.fd != NULL) {
        return open_fd(c, &s, error);
    }
    if (strcmp(d, "socket") == 0 && (s.path != NULL || (s.port != NULL))) {
        s.host = s.host != NULL ? s.host : "";
        return open_socket(c, &s, error);
    }
    g_set_error(error, BAILEY_ERROR, 0,
                "'%s' names no character device; use stdio, null, none, pty, file:PATH, unix:PATH, "
                "tcp:HOST:PORT, or socket with path=, port= or fd=",
                l->text);
    return false;
}

Chardev *chardev_find(const char *id)
{
    for (guint i = 0; all != NULL && i < all->len; i++) {
        Chardev *c = all->pdata[i];

        if (c->id != NULL && strcmp(c->id, id) == 0) {
            return c;
        }
    }
    return NULL;
}

void chardev_foreach(void (*fn)(void *opaque, Chardev *c, const char *id, const char *where), void *opaque)
{
    for (guint i = 0; all != NULL && i < all->len; i++) {
        Chardev *c = all->pdata[i];

        fn(opaque, c, c->id, c->where);
    }
}

bool chardev_has_client(const Chardev *c) { return c->client != NULL; }
bool chardev_has_peer(const Chardev *c) { return !c->is_socket || c->fd_in >= 0; }

/* chardev:ID - another user of one that exists. */
static Chardev *share(const char *id, GError **error)
{
    Chardev *c = chardev_find(id);

    if (c == NULL) {
        g_set_error(error, BAILEY_ERROR, 0, "there is no -chardev with id=%s; add one", id);
    } else {
        c->refs++;
    }
    return c;
}

Chardev *chardev_new(const char *spec, bool raw, GError **error)
{
    if (g_str_has_prefix(spec, "chardev:")) {
        return share(spec + strlen("chardev:"), error);
    }
    OptionList *l = option_list_parse(spec);
    const char *id = option_list_get(l, "id");
    Chardev    *c = id != NULL ? chardev_find(id) : NULL;

    if (c != NULL && c->kept && strcmp(c->where, spec) == 0) {
        option_list_free(l);
        return c;
    }
    c = NULL;
    if (id != NULL && chardev_find(id) != NULL) {
        g_set_error(error, BAILEY_ERROR, 0, "-chardev id=%s is there twice; give each an id of its own", id);
    } else if (keys_known(l, error)) {
        c = chardev_alloc();
        c->id = g_strdup(id);
        c->where = g_strdup(spec);
        if (!open_backend(c, l, raw, error)) {
            chardev_free(c);
            c = NULL;
        }
    }
    option_list_free(l);
    return c;
}

void chardev_free(Chardev *c)
{
    if (c == NULL || --c->refs > 0) {
        return;
    }
    set_live(c, false);
    drop_watch(&c->watch_in);
    drop_watch(&c->watch_out);
    drop_watch(&c->watch_listen);
    if (c->owns_fds && c->fd_in >= 0) {
        close(c->fd_in);
    }
    if (c->owns_fds && c->fd_out >= 0 && c->fd_out != c->fd_in) {
        close(c->fd_out);
    }
    if (c->fd_listen >= 0) {
        close(c->fd_listen);
    }
    if (c->fd_slave >= 0) {
        close(c->fd_slave);
    }
    g_clear_pointer(&c->redial, redial_free);
    if (c->unlink_path != NULL) {
        unlink(c->unlink_path);
    }
    if (c->is_stdio) {
        tty_restore();
    }
    g_ptr_array_remove(all, c);
    if (all->len == 0) {
        g_clear_pointer(&all, g_ptr_array_unref);
    }
    g_byte_array_free(c->pending, TRUE);
    g_free(c->unlink_path);
    g_free(c->where);
    g_free(c->id);
    g_free(c);
}

void chardev_keep(Chardev *c, bool keep) { c->kept = keep; }

void chardev_free_all(void)
{
    for (guint i = all != NULL ? all->len : 0; i-- > 0;) {
        Chardev *c = all->pdata[i];

        if (c->id != NULL && !c->kept) {
            c->refs = 1;
            chardev_free(c);
        }
        if (all == NULL) {
            break;
        }
    }
    tty_restore();
}
