/*
 * TCP to and from a peer outside: "bench-guest serve" there. BENCH_PEER=ADDRESS:PORT says where it is. n is MiB.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <glob.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

enum { CHUNK = 256 << 10, SEND = 's', RECEIVE = 'r' };

/* What a client sends first. */
typedef struct Request {
    uint8_t  what; /* SEND: it sends so much and gets one byte back; RECEIVE: it is sent so much */
    uint64_t bytes;
} __attribute__((packed)) Request;

static uint8_t chunk[CHUNK];

static void stop(const char *what)
{
    perror(what);
    exit(1);
}

static void put_all(int fd, const void *p, uint64_t len)
{
    const uint8_t *b = p;

    while (len > 0) {
        ssize_t n = write(fd, b, len);
        if (n <= 0) {
            stop("net: write");
        }
        b += n;
        len -= (uint64_t)n;
    }
}

static void get_all(int fd, void *p, uint64_t len)
{
    uint8_t *b = p;

    while (len > 0) {
        ssize_t n = read(fd, b, len);
        if (n <= 0) {
            stop("net: read");
        }
        b += n;
        len -= (uint64_t)n;
    }
}

static void pour(int fd, uint64_t bytes)
{
    for (; bytes > 0; bytes -= bytes < CHUNK ? bytes : CHUNK) {
        put_all(fd, chunk, bytes < CHUNK ? bytes : CHUNK);
    }
}

static void drain(int fd, uint64_t bytes)
{
    while (bytes > 0) {
        ssize_t n = read(fd, chunk, CHUNK);
        if (n <= 0) {
            stop("net: read");
        }
        bytes -= (uint64_t)n;
    }
}

/* What the stream goes through, as the kernel has it: MTU of the virtio card and the features that both sides agreed on
 * and that a stream is the faster for. */
static void tell_card(void)
{
    static const struct { unsigned bit; const char *name; } offloads[] = { /* VIRTIO 1.2, "Network Device" */
        { 0, "csum" }, { 1, "guest_csum" }, { 7, "guest_tso4" }, { 8, "guest_tso6" }, { 11, "host_tso4" },
        { 12, "host_tso6" }, { 15, "mrg_rxbuf" },
    };
    const char *separator = "";
    char        bits[128] = "", path[256], mtu[16] = "";
    glob_t      found;
    FILE       *f;

    if (glob("/sys/class/net/*/device/features", 0, NULL, &found) != 0) {
        return; /* the host's program */
    }
    f = fopen(found.gl_pathv[0], "r");
    if (f == NULL || fgets(bits, sizeof(bits), f) == NULL) {
        stop("net: features of the card");
    }
    fclose(f);
    snprintf(path, sizeof(path), "%.*smtu", (int)(strstr(found.gl_pathv[0], "device/") - found.gl_pathv[0]),
             found.gl_pathv[0]);
    f = fopen(path, "r");
    if (f == NULL || fscanf(f, "%15s", mtu) != 1) {
        stop("net: MTU of the card");
    }
    fclose(f);
    globfree(&found);
    printf("CARD: %s ", mtu);
    for (unsigned i = 0; i < sizeof(offloads) / sizeof(offloads[0]); i++) {
        if (offloads[i].bit < strlen(bits) && bits[offloads[i].bit] == '1') {
            printf("%s%s", separator, offloads[i].name);
            separator = "+";
        }
    }
    printf("%s\n", *separator == '\0' ? "none" : "");
}

static int reach_peer(void)
{
    const char        *peer = getenv("BENCH_PEER"), *colon = peer == NULL ? NULL : strchr(peer, ':');
    struct sockaddr_in at = { .sin_family = AF_INET };
    char               address[64];
    int                fd = socket(AF_INET, SOCK_STREAM, 0);

    tell_card();
    if (colon == NULL || colon - peer >= (int)sizeof(address)) {
        fprintf(stderr, "net: BENCH_PEER=ADDRESS:PORT is not set\n");
        exit(1);
    }
    memcpy(address, peer, (size_t)(colon - peer));
    address[colon - peer] = '\0';
    at.sin_port = htons((uint16_t)atoi(colon + 1));
    inet_aton(address, &at.sin_addr);
    for (int i = 0; connect(fd, (struct sockaddr *)&at, sizeof(at)) != 0; i++) {
        if (i == 100) { /* the peer may be a guest that still boots */
            stop("net: connect");
        }
        usleep(100000);
    }
    return fd;
}

static uint64_t send_stream(uint64_t n)
{
    Request r = { SEND, n << 20 };
    int     fd = reach_peer();
    uint8_t done;

    put_all(fd, &r, sizeof(r));
    pour(fd, r.bytes);
    get_all(fd, &done, 1);
    close(fd);
    return r.bytes;
}

static uint64_t receive_stream(uint64_t n)
{
    Request r = { RECEIVE, n << 20 };
    int     fd = reach_peer();

    put_all(fd, &r, sizeof(r));
    drain(fd, r.bytes);
    close(fd);
    return r.bytes;
}

int bench_serve(uint16_t port)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };
    socklen_t          len = sizeof(at);
    int                listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;

    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(listener, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(listener, 4) != 0 ||
        getsockname(listener, (struct sockaddr *)&at, &len) != 0) {
        stop("net: listen");
    }
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
    for (;;) {
        Request r;
        int     fd = accept(listener, NULL, NULL);

        if (fd < 0) {
            stop("net: accept");
        }
        get_all(fd, &r, sizeof(r));
        if (r.what == SEND) {
            drain(fd, r.bytes);
            put_all(fd, chunk, 1);
        } else {
            pour(fd, r.bytes);
        }
        close(fd);
    }
}

const Program net_programs[] = {
    { "net", "net-send", send_stream, 64 },
    { "net", "net-receive", receive_stream, 64 },
    { NULL },
};
