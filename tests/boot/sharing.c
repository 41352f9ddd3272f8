/*
 * Both ends of a connection between guest and host, for the test `sharing`: built for the guest (vsock) and for the
 * host (Unix sockets).
 *
 *   sharing echo vsock PORT | unix PATH            takes one connection and sends back what comes
 *   sharing send vsock PORT | unix PATH PORT       sends a MiB, hears it back, and says whether it is the same
 *   sharing mirror, sharing messages               the same with messages of many lengths (SOCK_SEQPACKET)
 *
 * And what a folder keeps of a file beside its content:
 *
 *   sharing attributes FILE     extended attributes
 *   sharing acl FILE            lets user 1000 write there, and sees that 1001 may not
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

enum { TOTAL = 1 << 20, PART = 50000, HOST = 2 };

static void die(const char *what)
{
    perror(what);
    exit(1);
}

/* Connected, or with @listening the one that connected to us. */
static int reach(int family, int kind, const void *address, socklen_t len, int listening)
{
    int fd = socket(family, kind, 0);

    if (fd < 0) {
        die("socket");
    }
    if (!listening) {
        if (connect(fd, address, len) != 0) {
            die("connect");
        }
        return fd;
    }
    if (bind(fd, address, len) != 0 || listen(fd, 1) != 0) {
        die("listen");
    }
    printf("sharing: listening\n");
    fflush(stdout);
    fd = accept(fd, NULL, NULL);
    if (fd < 0) {
        die("accept");
    }
    return fd;
}

static uint8_t byte_at(uint32_t i)
{
    return (uint8_t)(i * 2654435761u >> 24);
}

static void echo(int fd)
{
    static uint8_t part[PART];
    ssize_t        n;

    while ((n = read(fd, part, sizeof(part))) > 0) {
        for (ssize_t done = 0, w; done < n; done += w) {
            w = write(fd, part + done, (size_t)(n - done));
            if (w <= 0) {
                die("write");
            }
        }
    }
    printf("sharing: echo done\n");
}

static void send_all(int fd)
{
    static uint8_t out[TOTAL], in[PART];
    uint32_t       sent = 0, got = 0;

    for (uint32_t i = 0; i < TOTAL; i++) {
        out[i] = byte_at(i);
    }
    for (;;) {
        struct pollfd p = { .fd = fd, .events = POLLIN | (sent < TOTAL ? POLLOUT : 0) };

        if (poll(&p, 1, 30000) != 1) {
            die("poll");
        }
        if (p.revents & POLLOUT) {
            ssize_t n = send(fd, out + sent, TOTAL - sent < PART ? TOTAL - sent : PART, MSG_DONTWAIT);

            sent += n > 0 ? (uint32_t)n : 0;
            if (sent == TOTAL) {
                shutdown(fd, SHUT_WR);
            }
        }
        if (p.revents & (POLLIN | POLLHUP)) {
            ssize_t n = read(fd, in, sizeof(in));

            if (n <= 0) {
                break;
            }
            for (ssize_t i = 0; i < n; i++) {
                if (in[i] != byte_at(got + (uint32_t)i)) {
                    printf("sharing: byte %u is wrong\n", got + (uint32_t)i);
                    exit(1);
                }
            }
            got += (uint32_t)n;
        }
    }
    printf("sharing: %u bytes came back\n", got);
    exit(got == TOTAL ? 0 : 1);
}

/* Messages go back as they come. */
static void mirror(int fd)
{
    static uint8_t message[100000];
    ssize_t        n;
    unsigned       total = 0;

    while ((n = recv(fd, message, sizeof(message), 0)) > 0) {
        if (send(fd, message, (size_t)n, 0) != n) {
            die("send");
        }
        total++;
    }
    printf("sharing: mirrored %u messages\n", total);
}

static void messages(int fd)
{
    static const unsigned lens[] = { 1, 2, 1000, 4052, 4053, 65535, 65536, 65537, 90000, 3 };
    static uint8_t        out[100000], in[sizeof(out)];
    unsigned              right = 0;

    for (unsigned i = 0; i < sizeof(out); i++) {
        out[i] = byte_at(i);
    }
    for (unsigned i = 0; i < sizeof(lens) / sizeof(lens[0]); i += 2) { /* two on the way */
        if (send(fd, out, lens[i], 0) != lens[i] || send(fd, out, lens[i + 1], 0) != lens[i + 1]) {
            die("send");
        }
        for (unsigned k = i; k < i + 2; k++) {
            ssize_t n = recv(fd, in, sizeof(in), 0);

            right += n == lens[k] && memcmp(in, out, lens[k]) == 0;
        }
    }
    printf("sharing: %u messages came back\n", right);
}

/* The line that a host's program says to the device's socket, and the answer. */
static void greet(int fd, int kind, const char *port)
{
    char line[64];
    int  n = snprintf(line, sizeof(line), "CONNECT %s\n", port);

    if (write(fd, line, (size_t)n) != n) {
        die("CONNECT");
    }
    for (n = 0; n == 0 || line[n - 1] != '\n';) {
        ssize_t got = recv(fd, line + n, kind == SOCK_STREAM ? 1 : sizeof(line) - 1, 0);

        if (got <= 0 || (n += (int)got) == sizeof(line) - 1) {
            die("OK");
        }
    }
    line[n] = '\0';
    printf("sharing: %s", line);
}

static void attributes(const char *file)
{
    static char big[20000], back[sizeof(big)];
    char        names[100];

    memset(big, 'b', sizeof(big));
    if (setxattr(file, "user.small", "value", 5, XATTR_CREATE) != 0 || setxattr(file, "user.gone", "x", 1, 0) != 0 ||
        setxattr(file, "user.empty", "", 0, 0) != 0 || removexattr(file, "user.gone") != 0) {
        die("setxattr");
    }
    if (getxattr(file, "user.small", back, sizeof(back)) != 5 || memcmp(back, "value", 5) != 0 ||
        getxattr(file, "user.empty", back, sizeof(back)) != 0 || getxattr(file, "user.gone", back, sizeof(back)) >= 0) {
        die("getxattr");
    }
    ssize_t n = listxattr(file, names, sizeof(names));

    printf("sharing: attributes");
    for (ssize_t i = 0; i < n; i += (ssize_t)strlen(names + i) + 1) {
        printf(" %s", names + i);
    }
    /* Long ones are for file systems of the host that have room for them. */
    n = setxattr(file, "user.big", big, sizeof(big), 0) == 0 ? getxattr(file, "user.big", back, sizeof(back)) : -1;
    printf(", a long one %s\n", n == sizeof(big) && memcmp(big, back, sizeof(big)) == 0 ? "comes back"
                                : errno == ENOSPC || errno == E2BIG                     ? "has no room"
                                                                                        : "does not");
}

/* Whether @user may write there. */
static int may_write(const char *file, uid_t user)
{
    pid_t pid = fork();
    int   status;

    if (pid == 0) {
        _exit(setgid(user) == 0 && setuid(user) == 0 && open(file, O_WRONLY) >= 0 ? 0 : 1);
    }
    return waitpid(pid, &status, 0) == pid && status == 0;
}

static void acl(const char *file)
{
    /* Version 2; entries of tag, permissions, ID: the owner, user 1000, the group, the mask, others. */
    static const struct {
        uint32_t version;
        struct { uint16_t tag, perm; uint32_t id; } entry[5];
    } list = { 2, { { 1, 6, ~0u }, { 2, 6, 1000 }, { 4, 0, ~0u }, { 16, 6, ~0u }, { 32, 0, ~0u } } };

    if (setxattr(file, "system.posix_acl_access", &list, sizeof(list), 0) != 0) {
        die("the ACL");
    }
    printf("sharing: by its ACL user 1000 %s, 1001 %s\n", may_write(file, 1000) ? "writes" : "does not",
           may_write(file, 1001) ? "writes" : "does not");
}

int main(int argc, char **argv)
{
    int listening = argc > 1 && (strcmp(argv[1], "echo") == 0 || strcmp(argv[1], "mirror") == 0);
    int kind = argc > 1 && argv[1][0] == 'm' ? SOCK_SEQPACKET : SOCK_STREAM, fd;

    if (argc == 3) {
        (strcmp(argv[1], "acl") == 0 ? acl : attributes)(argv[2]);
        return 0;
    }
    if (argc < 4) {
        return 2;
    }
    if (strcmp(argv[2], "vsock") == 0) {
        struct sockaddr_vm a = { .svm_family = AF_VSOCK, .svm_cid = listening ? VMADDR_CID_ANY : HOST,
                                 .svm_port = (unsigned)atoi(argv[3]) };

        fd = reach(AF_VSOCK, kind, &a, sizeof(a), listening);
    } else {
        struct sockaddr_un a = { .sun_family = AF_UNIX };

        snprintf(a.sun_path, sizeof(a.sun_path), "%s", argv[3]);
        fd = reach(AF_UNIX, kind, &a, sizeof(a), listening);
        if (argc > 4) {
            greet(fd, kind, argv[4]);
        }
    }
    if (kind == SOCK_SEQPACKET) {
        (listening ? mirror : messages)(fd);
    } else {
        (listening ? echo : send_all)(fd);
    }
    return 0;
}
