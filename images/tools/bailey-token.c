/* bailey-token: asks the kernel's configfs-tsm interface for an attestation token.
 *
 *   bailey-token CHALLENGE-HEX FILE
 *
 * The challenge is 32 to 64 bytes; a shorter one than 64 is filled with zeros at the end, as the kernel's
 * provider does. Source: Linux, ABI document "configfs-tsm-report".
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REPORT "/sys/kernel/config/tsm/report/bailey"

static int fail(const char *what)
{
    fprintf(stderr, "bailey-token: %s: %s\n", what, strerror(errno));
    return 1;
}

static size_t parse_hex(const char *s, uint8_t *out, size_t room)
{
    size_t n = 0;
    unsigned byte;

    while (s[0] && s[1] && n < room && sscanf(s, "%2x", &byte) == 1) {
        out[n++] = (uint8_t)byte;
        s += 2;
    }
    return *s ? 0 : n;
}

/* The provider runs when outblob is read; the file gives the whole token, whatever the size of the reads. */
static int copy(int from, int to)
{
    uint8_t buf[4096];
    ssize_t n, total = 0;

    while ((n = read(from, buf, sizeof(buf))) > 0) {
        if (write(to, buf, (size_t)n) != n) {
            return -1;
        }
        total += n;
    }
    return n < 0 || total == 0 ? -1 : 0;
}

static int get_token(const uint8_t *challenge, size_t len, const char *path)
{
    int in = open(REPORT "/inblob", O_WRONLY);
    if (in < 0 || write(in, challenge, len) != (ssize_t)len || close(in) != 0) {
        return fail("cannot write the challenge");
    }
    int token = open(REPORT "/outblob", O_RDONLY);
    int out = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (token < 0 || out < 0) {
        return fail(token < 0 ? "outblob" : path);
    }
    if (copy(token, out) != 0) {
        return fail("the kernel gave no token");
    }
    return 0;
}

int main(int argc, char **argv)
{
    uint8_t challenge[64] = { 0 };

    if (argc != 3) {
        fprintf(stderr, "usage: bailey-token CHALLENGE-HEX FILE\n");
        return 2;
    }
    if (parse_hex(argv[1], challenge, sizeof(challenge)) < 32) {
        fprintf(stderr, "bailey-token: the challenge must be 32 to 64 bytes in hexadecimal digits\n");
        return 2;
    }
    if (mkdir(REPORT, 0700) != 0 && errno != EEXIST) {
        return fail("cannot make a report in configfs");
    }
    int st = get_token(challenge, sizeof(challenge), argv[2]);
    rmdir(REPORT);
    return st;
}
