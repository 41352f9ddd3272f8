/* bailey-verify: decides whether a locked device is the one we want, from the evidence the kernel module
 * collected.
 *
 *   bailey-verify --tsm DIR --device DIR --root FILE.pem --reference FILE [--work DIR]
 *   bailey-verify --print-reference MEASUREMENTS
 *
 * --tsm       folder with certificates, measurements, report, vca, info and nonce (the function's tsm/ in sysfs)
 * --device    the PCI function's folder in sysfs, for its IDs and BARs
 * --root      the one root certificate we trust
 * --reference lines "INDEX KIND HEX": every measurement the device must report, and no other
 *
 * Each check prints one line and all are made, whatever the first says; status 0 only when all pass.
 * Signatures are left to the openssl command. Sources: DMTF DSP0274 "Certificate chain",
 * "GET_MEASUREMENTS", "Signature generation"; TDISP 1.0 "Device interface report"; RMM specification
 * DEN0137 1.1 "RsiVdevInfo type".
 *
 * Certificate dates are not checked: a Realm has no clock but the host's, and the host is not trusted.
 */
#define _GNU_SOURCE                         /* memmem */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_FILE     65536
#define MAX_CERTS    8
#define MAX_BLOCKS   64
#define MAX_RANGES   16
#define N_BARS       6
#define SHA384_LEN   48
#define P384_POINT   97                     /* 04 || x || y */
#define P384_SIG     96
#define NONCE_LEN    32

typedef struct { uint8_t *data; size_t len; } Bytes;

/* A reader that stays failed once it runs out; reads then give zero. */
typedef struct { const uint8_t *p; size_t left; bool failed; } Cursor;

typedef struct { unsigned index, kind; Bytes value; } Block;

static const char *work;
static bool all_ok = true;

/* ---- small things ---- */

static bool __attribute__((format(printf, 3, 4))) check(const char *name, bool ok, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    printf("BAILEY: verify %s %s ", name, ok ? "ok" : "FAIL");
    vprintf(format, args);
    printf("\n");
    fflush(stdout);
    va_end(args);
    all_ok = all_ok && ok;
    return ok;
}

static void __attribute__((noreturn)) die(const char *what, const char *path)
{
    printf("BAILEY: verify input FAIL %s %s: %s\n", what, path, strerror(errno));
    exit(1);
}

static const char *join(const char *dir, const char *name)
{
    static char path[8][512];
    static unsigned next;
    char *p = path[next++ % 8];

    snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
    return p;
}

/* Room for one file. Everything read is needed until the end, so nothing is given back. */
static uint8_t *file_room(void)
{
    static uint8_t *rooms[32];
    static unsigned n;

    return n < sizeof(rooms) / sizeof(rooms[0]) ? rooms[n++] = malloc(MAX_FILE) : NULL;
}

static Bytes read_file(const char *path)
{
    Bytes b = { .data = file_room() };
    int   fd = open(path, O_RDONLY);
    ssize_t n = 1;

    if (fd < 0 || b.data == NULL) {
        die("cannot read", path);
    }
    while (b.len < MAX_FILE && (n = read(fd, b.data + b.len, MAX_FILE - b.len)) > 0) {
        b.len += (size_t)n;
    }
    if (n < 0) {
        die("cannot read", path);
    }
    close(fd);
    return b;
}

static void write_file(const char *path, const void *data, size_t len)
{
    FILE *f = fopen(path, "w");

    if (f == NULL || fwrite(data, 1, len, f) != len || fclose(f) != 0) {
        die("cannot write", path);
    }
}

static uint64_t take(Cursor *c, unsigned n)
{
    uint64_t v = 0;

    if (c->left < n) {
        c->failed = true;
        c->left = 0;
        return 0;
    }
    for (unsigned i = 0; i < n; i++) {
        v |= (uint64_t)c->p[i] << (8 * i);
    }
    c->p += n;
    c->left -= n;
    return v;
}

static const uint8_t *take_bytes(Cursor *c, size_t n)
{
    const uint8_t *p = c->p;

    if (c->left < n) {
        c->failed = true;
        c->left = 0;
        return NULL;
    }
    c->p += n;
    c->left -= n;
    return p;
}

static bool from_hex(const char *s, uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned byte;
        if (!isxdigit((unsigned char)s[2 * i]) || sscanf(s + 2 * i, "%2x", &byte) != 1) {
            return false;
        }
        out[i] = (uint8_t)byte;
    }
    return true;
}

/* Runs openssl; its standard output goes to a file in the work folder. True when it ends with status 0. */
static bool openssl(const char *output, const char *const argv[])
{
    int   status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        int fd = open(join(work, output), O_WRONLY | O_CREAT | O_TRUNC, 0600);
        if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0) {
            _exit(127);
        }
        setenv("OPENSSL_CONF", "/dev/null", 1);
        execvp("openssl", (char *const *)argv);
        _exit(127);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Digests of files, by one openssl run for all of them (a run costs more than the hashing). */
static bool digests(const char *option, const char *const paths[], unsigned n, uint8_t out[][64])
{
    const char *argv[16] = { "openssl", "dgst", option, "-r" };
    size_t      len = strcmp(option, "-sha256") == 0 ? 32 : strcmp(option, "-sha384") == 0 ? 48 : 64;
    char        line[512];
    unsigned    i = 0;

    for (unsigned j = 0; j < n; j++) {
        argv[4 + j] = paths[j];
    }
    argv[4 + n] = NULL;
    if (!openssl("digests", argv)) {
        return false;
    }
    FILE *f = fopen(join(work, "digests"), "r");
    while (f != NULL && i < n && fgets(line, sizeof(line), f) != NULL) {
        memset(out[i], 0, 64);
        if (!from_hex(line, out[i], len)) {
            break;
        }
        i++;
    }
    if (f != NULL) {
        fclose(f);
    }
    return i == n;
}

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void write_pem(FILE *f, const uint8_t *der, size_t len)
{
    fprintf(f, "-----BEGIN CERTIFICATE-----\n");
    for (size_t i = 0; i < len; i += 3) {
        size_t   n = len - i < 3 ? len - i : 3;
        uint32_t v = (uint32_t)der[i] << 16 | (n > 1 ? der[i + 1] << 8 : 0) | (n > 2 ? der[i + 2] : 0);
        fputc(base64[v >> 18], f);
        fputc(base64[v >> 12 & 63], f);
        fputc(n > 1 ? base64[v >> 6 & 63] : '=', f);
        fputc(n > 2 ? base64[v & 63] : '=', f);
        if (i % 48 == 45 || i + 3 >= len) {
            fputc('\n', f);
        }
    }
    fprintf(f, "-----END CERTIFICATE-----\n");
}

/* The bytes between the BEGIN and END lines of the first object in a PEM text. */
static Bytes read_pem(const char *path)
{
    Bytes    text = read_file(path), out = { .data = file_room() };
    uint32_t v = 0;
    unsigned bits = 0;

    if (out.data == NULL) {
        die("no memory for", path);
    }
    uint8_t *begin = memmem(text.data, text.len, "-----BEGIN", 10);
    uint8_t *p = begin ? memchr(begin, '\n', (size_t)(text.data + text.len - begin)) : NULL;
    for (; p != NULL && p < text.data + text.len && *p != '-'; p++) {
        const char *digit = *p ? strchr(base64, *p) : NULL;      /* line ends and = are none */
        if (digit != NULL) {
            v = v << 6 | (uint32_t)(digit - base64);
            bits += 6;
        }
        if (bits >= 8) {
            bits -= 8;
            out.data[out.len++] = (uint8_t)(v >> bits);
        }
    }
    return out;
}

/* ---- certificates ---- */

/* Length of the DER object at the cursor, header included; 0 if it does not fit. */
static size_t der_len(const Cursor *c)
{
    size_t len, header = 2;

    if (c->left < 2 || c->p[0] != 0x30) {
        return 0;
    }
    len = c->p[1];
    if (len >= 0x80) {
        unsigned n = len & 0x7f;
        if (n == 0 || n > 3 || c->left < 2 + n) {
            return 0;
        }
        len = 0;
        for (unsigned i = 0; i < n; i++) {
            len = len << 8 | c->p[2 + i];
        }
        header += n;
    }
    return len <= c->left - header ? header + len : 0;
}

/* The certificate object: DER certificates end to end, from root to leaf. (The header and root digest of DSP0274
 * "Certificate chain" are not part of what the RMM has its host keep.) */
static unsigned split_chain(const Bytes *blob, Bytes certs[MAX_CERTS])
{
    Cursor   c = { blob->data, blob->len, false };
    unsigned n = 0;

    while (!c.failed && c.left > 0 && n < MAX_CERTS) {
        size_t len = der_len(&c);
        if (len == 0) {
            return 0;
        }
        certs[n].data = (uint8_t *)(uintptr_t)take_bytes(&c, len);
        certs[n++].len = len;
    }
    return !c.failed && c.left == 0 ? n : 0;
}

static void write_certs(const char *name, const Bytes *certs, unsigned n)
{
    FILE *f = fopen(join(work, name), "w");

    if (f == NULL) {
        die("cannot write", name);
    }
    for (unsigned i = 0; i < n; i++) {
        write_pem(f, certs[i].data, certs[i].len);
    }
    fclose(f);
}

/* The leaf's public key as the point that the host gave to the RMM; to the file "key" and, as PEM,
 * "leaf-key.pem". */
static bool extract_key(void)
{
    const char *const argv[] = {"openssl", "x509", "-in", join(work, "leaf.pem"), "-noout", "-pubkey", NULL};

    if (!openssl("leaf-key.pem", argv)) {
        return false;
    }
    Bytes spki = read_pem(join(work, "leaf-key.pem"));     /* SubjectPublicKeyInfo ends with the point */
    if (spki.len < P384_POINT || spki.data[spki.len - P384_POINT] != 4) {
        return false;
    }
    write_file(join(work, "key"), spki.data + spki.len - P384_POINT, P384_POINT);
    return true;
}

/* DMTF DSP0274, "Leaf certificate": the key may sign, and where purposes are listed, not for a requester alone. */
static bool may_sign(void)
{
    const char *argv[] = { "openssl", "x509", "-noout", "-ext", "keyUsage,extendedKeyUsage", "-in",
                           join(work, "leaf.pem"), NULL };

    if (!openssl("usage", argv)) {
        return false;
    }
    Bytes text = read_file(join(work, "usage"));
    char *usage = calloc(1, text.len + 1);
    bool  ok = usage != NULL;

    if (ok) {
        memcpy(usage, text.data, text.len);
        ok = strstr(usage, "Digital Signature") != NULL &&
             (strstr(usage, "1.3.6.1.4.1.412.274.4") == NULL || strstr(usage, "1.3.6.1.4.1.412.274.3") != NULL);
    }
    free(usage);
    return ok;
}

/* A number from a file of the function's folder: what configuration space says, which is what drivers go by. */
static unsigned read_id(const char *device, const char *name)
{
    const char *path = join(device, name);
    FILE       *f = fopen(path, "r");
    unsigned    id;

    if (f == NULL || fscanf(f, "%x", &id) != 1) {
        die("cannot read", path);
    }
    fclose(f);
    return id;
}

/* PCI Express Base Specification 6.0, "CMA-SPDM": an alternative name of the leaf says which device it is for. Without
 * that, the host could show any device whose maker's root we trust as another one. */
static bool is_for_device(const char *device, char ids[80])
{
    snprintf(ids, 80, "Vendor=%04x:Device=%04x:CC=%06x:REV=%02x:SSVID=%04x:SSID=%04x", read_id(device, "vendor"),
             read_id(device, "device"), read_id(device, "class"), read_id(device, "revision"),
             read_id(device, "subsystem_vendor"), read_id(device, "subsystem_device"));

    const char *argv[] = { "openssl", "x509", "-noout", "-ext", "subjectAltName", "-in", join(work, "leaf.pem"), NULL };
    if (!openssl("names", argv)) {
        return false;
    }
    Bytes text = read_file(join(work, "names"));
    char *names = calloc(1, text.len + 1), *name = NULL;
    bool  ok = false;

    if (names != NULL) {
        memcpy(names, text.data, text.len);
        name = strstr(names, ": 2.23.147");             /* PCI-SIG's; how the text follows depends on the version */
        name = name != NULL ? strstr(name, "Vendor=") : NULL;
    }
    if (name != NULL) {
        name[strcspn(name, ",\n")] = 0;
        ok = strncmp(name, ids, strlen(ids)) == 0 &&
             strchr(":", name[strlen(ids)]) != NULL;    /* the end, or a serial number: a leaf may be for one device */
    }
    free(names);
    return ok;
}

static void check_chain(const char *tsm, const char *device, const char *root_pem)
{
    char     ids[80];
    Bytes    blob = read_file(join(tsm, "certificates")), root = read_pem(root_pem);
    Bytes    certs[MAX_CERTS];
    unsigned n = split_chain(&blob, certs);

    if (!check("chain-format", n >= 2, "%u certificates in %zu bytes", n, blob.len)) {
        return;
    }
    write_certs("inter.pem", certs + 1, n - 2);
    write_certs("leaf.pem", certs + n - 1, 1);

    check("root-trusted", root.len == certs[0].len && memcmp(root.data, certs[0].data, root.len) == 0,
          "the chain's root is %s", root_pem);

    const char *argv[] = {
        "openssl", "verify", "-no_check_time", "-x509_strict",          "-no-CApath",           "-no-CAstore",
        "-CAfile", root_pem, "-untrusted",     join(work, "inter.pem"), join(work, "leaf.pem"), NULL};
    if (n == 2) {
        argv[8] = argv[10];                                /* no certificate between root and leaf */
        argv[9] = NULL;
    }
    check("chain-signatures", openssl("verify", argv), "openssl verify up to %s", root_pem);
    argv[2] = "-x509_strict";                              /* once more, and the dates matter */
    check("chain-dates", openssl("verify", argv), "by this machine's clock, which the host sets");
    check("leaf-usage", may_sign(), "for signatures, of an SPDM responder");
    check("leaf-device", is_for_device(device, ids), "for %s", ids);
    check("leaf-key", extract_key(), "a P-384 key");
}

/* ---- what the RMM saw ---- */

/* RsiVdevInfo: offsets of what we use. */
enum {
    INFO_HASH = 0x10,
    INFO_TDISP = 0x30,
    INFO_STATE = 0x38,
    INFO_VCA = 0x40,
    INFO_CERT = 0x80,
    INFO_KEY = 0xc0,
    INFO_MEAS = 0x100,
    INFO_REPORT = 0x140,
    INFO_LEN = 0x200,
    VDEV_LOCKED = 1
};

/* 1.1-alp12 ("rdev") does not tell all digests; the module says which dialect it is. */
static bool is_told(const char *tsm, unsigned offset)
{
    char  dialect[8] = "";
    FILE *f = fopen(join(tsm, "dialect"), "r");

    if (f != NULL) {
        (void)!fgets(dialect, sizeof(dialect), f);
        fclose(f);
    }
    return strcmp(dialect, "rdev\n") != 0 || (offset != INFO_VCA && offset != INFO_KEY);
}

static void check_info(const char *tsm)
{
    static const struct { const char *name, *file; unsigned offset; } rows[] = {
        { "digest-vca", "vca", INFO_VCA },                   { "digest-chain", "certificates", INFO_CERT },
        { "digest-measurements", "measurements", INFO_MEAS }, { "digest-report", "report", INFO_REPORT },
        { "digest-key", NULL, INFO_KEY },
    };
    enum { N = sizeof(rows) / sizeof(rows[0]) };
    Bytes       info = read_file(join(tsm, "info"));
    const char *paths[N];
    char        names[N][512];
    uint8_t     digest[N][64];

    if (!check("info-format", info.len == INFO_LEN && info.data[INFO_HASH] <= 1, "%zu bytes", info.len)) {
        return;
    }
    check("info-state", info.data[INFO_STATE] == VDEV_LOCKED, "RMM says state %u", info.data[INFO_STATE]);
    for (unsigned i = 0; i < N; i++) {
        snprintf(names[i], sizeof(names[i]), "%s",
                 rows[i].file ? join(tsm, rows[i].file) : join(work, "key"));
        paths[i] = names[i];
    }
    if (!digests(info.data[INFO_HASH] ? "-sha512" : "-sha256", paths, N, digest)) {
        check("digests", false, "cannot compute them");
        return;
    }
    for (unsigned i = 0; i < N; i++) {
        if (!is_told(tsm, rows[i].offset)) {
            printf("BAILEY: note %s is not told by the RMM in this dialect\n", rows[i].name);
            continue;
        }
        bool same = memcmp(digest[i], info.data + rows[i].offset, 64) == 0;
        check(rows[i].name, same, "against the RMM's, %s", info.data[INFO_HASH] ? "SHA-512" : "SHA-256");
    }
}

/* ---- measurements ---- */

typedef struct {
    Block          blocks[MAX_BLOCKS];
    unsigned       n_blocks, version;
    const uint8_t *nonce;                       /* of the signed request */
    const uint8_t *signature;
    size_t         signed_len;                  /* bytes of the object before the signature */
} Measurements;

/* DSP0274 "Measurement block format" and "DMTF measurement specification format". */
static void parse_record(Cursor *c, unsigned n, Measurements *m)
{
    for (unsigned i = 0; i < n && !c->failed; i++) {
        unsigned index = (unsigned)take(c, 1), spec = (unsigned)take(c, 1), size = (unsigned)take(c, 2);
        unsigned kind = (unsigned)take(c, 1), len = (unsigned)take(c, 2);
        const uint8_t *value = take_bytes(c, len);

        if (spec != 1 || size != len + 3 || m->n_blocks == MAX_BLOCKS) {
            c->failed = true;
        } else if (!c->failed) {
            m->blocks[m->n_blocks++] = (Block){ index, kind, { (uint8_t *)(uintptr_t)value, len } };
        }
    }
    c->failed = c->failed || c->left != 0;
}

/* One request and its response; the last pair is the signed one. */
static void parse_pair(Cursor *c, const uint8_t *start, Measurements *m)
{
    m->version = (unsigned)take(c, 1);
    bool is_request = take(c, 1) == 0xe0;
    bool is_signed = take(c, 1) & 1;
    take(c, 1);                                            /* Param2: which measurement */
    if (is_signed) {
        m->nonce = take_bytes(c, NONCE_LEN);
        take(c, 1);                                        /* slot */
    }
    bool is_response = take(c, 1) == m->version && take(c, 1) == 0x60;
    take(c, 2);
    unsigned n = (unsigned)take(c, 1);
    size_t   len = take(c, 3);
    Cursor   record = { take_bytes(c, len), len, false };
    if (!is_request || !is_response || c->failed) {
        c->failed = true;
        return;
    }
    parse_record(&record, n, m);
    take_bytes(c, NONCE_LEN);
    take_bytes(c, take(c, 2));                             /* opaque data */
    if (is_signed) {
        m->signed_len = (size_t)(c->p - start);
        m->signature = take_bytes(c, P384_SIG);
        c->failed = c->failed || c->left != 0;
    }
    c->failed = c->failed || record.failed;
}

static bool parse_measurements(const Bytes *object, Measurements *m)
{
    Cursor c = { object->data, object->len, false };

    memset(m, 0, sizeof(*m));
    while (!c.failed && c.left > 0) {
        parse_pair(&c, object->data, m);
    }
    return !c.failed && m->n_blocks > 0;
}

/* r || s to the DER form that openssl wants. */
static size_t der_signature(const uint8_t *rs, uint8_t out[P384_SIG + 16])
{
    size_t n = 2;

    for (unsigned half = 0; half < 2; half++) {
        const uint8_t *p = rs + half * 48;
        size_t         len = 48;

        while (len > 1 && *p == 0) {
            p++;
            len--;
        }
        bool pad = *p & 0x80;
        out[n++] = 0x02;
        out[n++] = (uint8_t)(len + pad);
        if (pad) {
            out[n++] = 0;
        }
        memcpy(out + n, p, len);
        n += len;
    }
    out[0] = 0x30;
    out[1] = (uint8_t)(n - 2);
    return n;
}

/* DSP0274 "Signature generation" for 1.2: prefix || context || Hash(L1/L2), hashed again to sign. */
static bool check_signature(const char *tsm, const Bytes *object, const Measurements *m)
{
    static const char purpose[] = "responder-measurements signing";
    uint8_t message[64 + 36 + SHA384_LEN] = { 0 }, sig[P384_SIG + 16], digest[1][64];
    Bytes   vca = read_file(join(tsm, "vca"));
    FILE   *f = fopen(join(work, "l1l2"), "w");
    char    prefix[32];

    if (f == NULL || fwrite(vca.data, 1, vca.len, f) != vca.len ||
        fwrite(object->data, 1, m->signed_len, f) != m->signed_len || fclose(f) != 0) {
        die("cannot write", "l1l2");
    }
    const char *const path[] = { join(work, "l1l2") };
    if (!digests("-sha384", path, 1, digest)) {
        return false;
    }
    snprintf(prefix, sizeof(prefix), "dmtf-spdm-v1.%u.*", m->version & 0xf);
    for (unsigned i = 0; i < 4; i++) {
        memcpy(message + 16 * i, prefix, 16);
    }
    memcpy(message + 64 + 36 - strlen(purpose), purpose, strlen(purpose));
    memcpy(message + 64 + 36, digest[0], SHA384_LEN);
    write_file(join(work, "message"), message, sizeof(message));
    write_file(join(work, "signature"), sig, der_signature(m->signature, sig));
    const char *const argv[] = {"openssl",
                                "dgst",
                                "-sha384",
                                "-verify",
                                join(work, "leaf-key.pem"),
                                "-signature",
                                join(work, "signature"),
                                join(work, "message"),
                                NULL};
    return openssl("dgst", argv);
}

static const Block *find_block(const Measurements *m, unsigned index)
{
    for (unsigned i = 0; i < m->n_blocks; i++) {
        if (m->blocks[i].index == index) {
            return &m->blocks[i];
        }
    }
    return NULL;
}

/* One line of the reference file; false with a sentence when the device does not match it. */
static bool check_reference_line(const char *line, const Measurements *m)
{
    unsigned index, kind;
    char     hex[2049];
    uint8_t  value[1024];

    if (sscanf(line, "%u %i %2048s", &index, (int *)&kind, hex) != 3) {
        return check("reference", false, "the line '%.40s' is not INDEX KIND HEX", line);
    }
    size_t len = strlen(hex) / 2;
    if (!from_hex(hex, value, len)) {
        return check("reference", false, "measurement %u: bad hexadecimal digits", index);
    }
    const Block *b = find_block(m, index);
    if (b == NULL) {
        return check("measurement", false, "%u: the device reports none", index);
    }
    bool same = b->kind == kind && b->value.len == len && memcmp(b->value.data, value, len) == 0;
    return check("measurement", same, "%u kind %#x, %zu bytes, against the reference", index, kind, len);
}

static void check_reference(const char *path, const Measurements *m)
{
    char     line[4096];
    unsigned n = 0;
    FILE    *f = fopen(path, "r");

    if (f == NULL) {
        die("cannot read", path);
    }
    while (fgets(line, sizeof(line), f) != NULL) {
        line[strcspn(line, "\n")] = 0;
        if (line[0] != '#' && line[0] != 0) {
            check_reference_line(line, m);
            n++;
        }
    }
    fclose(f);
    check("measurement-count", n == m->n_blocks, "%u reported, %u in the reference", m->n_blocks, n);
}

static void check_measurements(const char *tsm, const char *reference)
{
    Bytes        object = read_file(join(tsm, "measurements"));
    Bytes        hex = read_file(join(tsm, "nonce"));
    uint8_t      nonce[NONCE_LEN];
    Measurements m;

    if (!check("measurements-format", parse_measurements(&object, &m), "%zu bytes", object.len)) {
        return;
    }
    check("measurements-version", m.version == 0x12, "SPDM %#x", m.version);
    check("measurements-signed", m.signature != NULL, "the last response");
    if (m.signature != NULL) {
        bool fresh = hex.len >= 2 * NONCE_LEN && from_hex((char *)hex.data, nonce, NONCE_LEN) &&
                     memcmp(nonce, m.nonce, NONCE_LEN) == 0;
        check("measurements-nonce", fresh, "the one we chose");
        check("measurements-signature", check_signature(tsm, &object, &m), "ECDSA P-384 by the leaf key");
    }
    check_reference(reference, &m);
}

static int print_reference(const char *path)
{
    Bytes        object = read_file(path);
    Measurements m;

    if (!parse_measurements(&object, &m)) {
        fprintf(stderr, "bailey-verify: %s holds no GET_MEASUREMENTS and MEASUREMENTS\n", path);
        return 1;
    }
    printf("# INDEX KIND HEX: the measurements a device must report\n");
    for (unsigned i = 0; i < m.n_blocks; i++) {
        printf("%u %#04x ", m.blocks[i].index, m.blocks[i].kind);
        for (size_t j = 0; j < m.blocks[i].value.len; j++) {
            printf("%02x", m.blocks[i].value.data[j]);
        }
        printf("\n");
    }
    return 0;
}

/* ---- interface report ---- */

typedef struct { uint64_t start, end; bool memory; } Bar;     /* end: last byte, as sysfs says it */

static void read_bars(const char *device, Bar bars[N_BARS])
{
    const char *path = join(device, "resource");
    FILE       *f = fopen(path, "r");
    uint64_t    flags;

    if (f == NULL) {
        die("cannot read", path);
    }
    for (unsigned i = 0; i < N_BARS; i++) {
        if (fscanf(f, "%" SCNx64 " %" SCNx64 " %" SCNx64, &bars[i].start, &bars[i].end, &flags) != 3) {
            die("cannot understand", path);
        }
        bars[i].memory = flags & 0x200;                       /* IORESOURCE_MEM */
    }
    fclose(f);
}

static void check_report(const char *tsm, const char *device)
{
    Bytes    object = read_file(join(tsm, "report"));
    Cursor   c = { object.data, object.len, false };
    Bar      bars[N_BARS];
    unsigned tee = 0;
    bool     ok = true;

    read_bars(device, bars);
    take_bytes(&c, 0xc);                                      /* interface info, MSI-X, LNR, TPH */
    uint64_t n = take(&c, 4);
    if (!check("report-format", !c.failed && n > 0 && n <= MAX_RANGES && c.left >= n * 16,
               "%" PRIu64 " ranges", n)) {
        return;
    }
    for (uint64_t i = 0; i < n; i++) {
        uint64_t start = take(&c, 8) << 12, len = take(&c, 4) << 12;
        unsigned attributes = (unsigned)take(&c, 2), id = (unsigned)take(&c, 2);
        bool     inside = id < N_BARS && bars[id].memory && len > 0 && start >= bars[id].start &&
                      start <= bars[id].end && len - 1 <= bars[id].end - start;

        printf("BAILEY: range BAR %u %#" PRIx64 "+%#" PRIx64 " %s\n", id, start, len,
               attributes & 4 ? "not TEE" : "TEE");
        ok = ok && inside;
        tee += !(attributes & 4);
    }
    check("report-ranges", ok, "each inside the BAR it names");
    check("report-tee", tee > 0, "%u ranges of TEE memory", tee);
}

static const char *option(int argc, char **argv, const char *name, const char *fallback)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], name) == 0) {
            return argv[i + 1];
        }
    }
    if (fallback == NULL) {
        fprintf(stderr, "bailey-verify: option %s is missing\n", name);
        exit(2);
    }
    return fallback;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--print-reference") == 0) {
        return print_reference(argv[2]);
    }
    const char *tsm = option(argc, argv, "--tsm", NULL), *device = option(argc, argv, "--device", NULL);
    const char *root = option(argc, argv, "--root", NULL),
               *reference = option(argc, argv, "--reference", NULL);

    char own[48];                               /* several functions may be verified at the same time */

    snprintf(own, sizeof(own), "/run/bailey-verify-%d", (int)getpid());
    work = option(argc, argv, "--work", own);
    if (mkdir(work, 0700) != 0 && errno != EEXIST) {
        die("cannot make", work);
    }
    check_chain(tsm, device, root);
    check_info(tsm);
    check_measurements(tsm, reference);
    check_report(tsm, device);
    check("result", all_ok, "%s", all_ok ? "the device may be accepted" : "the device must not be accepted");
    return all_ok ? 0 : 1;
}
