/* rim: computes, from the input files alone, the Realm Initial Measurement that a Realm's token must show.
 *
 *   rim --kernel IMAGE [--initrd FILE] --dtb FILE --mem SIZE [--smp N] [layout options]
 *
 * It follows the measured steps of the built-in host in their order and shares no code with rmm/ or
 * src/host: agreement of the two says that each of them is right about what was loaded. Source: RMM
 * specification DEN0137 "Realm Initial Measurement", "RmmMeasurementDescriptorData", "...Rec", "...Ripas".
 *
 * The recipe, fixed: REALM_CREATE; RTT_INIT_RIPAS over all RAM in ascending order, one descriptor per 2 MiB
 * entry, or per 4 KiB entry where the 2 MiB area holds image data; DATA_CREATE of every page of kernel,
 * initrd and device tree in ascending order, measured; REC_CREATE, of which only the runnable REC counts;
 * REALM_ACTIVATE.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE    4096ull
#define BLOCK   (2ull << 20)
#define N_IMAGES 3

typedef struct {
    const char *name, *path;
    uint8_t    *data;
    uint64_t    len, ipa;
} Image;

/* What the host chooses; options, so that another host's choice can be measured too. */
typedef struct {
    const EVP_MD *md;
    uint8_t       hash;                         /* RmiHashAlgorithm: 0 SHA-256, 1 SHA-512 */
    uint64_t      flags, ram, mem, smp;
    uint32_t      ipa_bits, sve_vl, bps, wps, pmu;
    uint64_t      entry, dtb;
} Recipe;

static uint8_t  rim[EVP_MAX_MD_SIZE];           /* left aligned, rest zero */
static unsigned digest_len;

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fprintf(stderr, "rim: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    exit(1);
}

static void put_le(uint8_t *p, uint64_t v, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        p[i] = (uint8_t)(v >> (8 * i));
    }
}

static void hash(const Recipe *r, const void *data, size_t len, uint8_t out[EVP_MAX_MD_SIZE])
{
    memset(out, 0, EVP_MAX_MD_SIZE);
    if (EVP_Digest(data, len, out, &digest_len, r->md, NULL) != 1) {
        die("the hash function failed");
    }
}

/* "RmiRealmParams": only these fields are measured. */
static void measure_realm(const Recipe *r)
{
    uint8_t params[PAGE] = { 0 };

    put_le(params + 0x00, r->flags, 8);
    put_le(params + 0x08, r->ipa_bits, 4);
    put_le(params + 0x10, r->sve_vl, 4);
    put_le(params + 0x18, r->bps, 4);
    put_le(params + 0x20, r->wps, 4);
    put_le(params + 0x28, r->pmu, 4);
    params[0x30] = r->hash;
    hash(r, params, sizeof(params), rim);
}

/* Extends the RIM by one 256-byte descriptor: type, length, old RIM, then what the type says. */
static void extend(const Recipe *r, uint8_t type, const void *body, size_t len)
{
    uint8_t d[256] = { type };

    put_le(d + 0x08, sizeof(d), 8);
    memcpy(d + 0x10, rim, 64);
    memcpy(d + 0x50, body, len);
    hash(r, d, sizeof(d), rim);
}

static void measure_ripas(const Recipe *r, uint64_t base, uint64_t top)
{
    uint8_t body[16];

    put_le(body, base, 8);
    put_le(body + 8, top, 8);
    extend(r, 2, body, sizeof(body));
}

static void measure_page(const Recipe *r, uint64_t ipa, const uint8_t *content)
{
    uint8_t body[16 + EVP_MAX_MD_SIZE];

    put_le(body, ipa, 8);
    put_le(body + 8, 1, 8);                      /* flags: content measured */
    hash(r, content, PAGE, body + 16);
    extend(r, 0, body, sizeof(body));
}

/* "RmiRecParams": flags, pc and gprs are measured. */
static void measure_rec(const Recipe *r)
{
    uint8_t params[PAGE] = { 0 }, content[EVP_MAX_MD_SIZE];

    put_le(params + 0x000, 1, 8);                /* runnable */
    put_le(params + 0x200, r->entry, 8);
    put_le(params + 0x300, r->dtb, 8);           /* x0 */
    hash(r, params, sizeof(params), content);
    extend(r, 1, content, sizeof(content));
}

static bool area_has_data(const Image *images, uint64_t area)
{
    for (unsigned i = 0; i < N_IMAGES; i++) {
        if (images[i].len != 0 && images[i].ipa < area + BLOCK && images[i].ipa + images[i].len > area) {
            return true;
        }
    }
    return false;
}

static void measure_ram(const Recipe *r, const Image *images)
{
    for (uint64_t area = r->ram; area < r->ram + r->mem; area += BLOCK) {
        uint64_t step = area_has_data(images, area) ? PAGE : BLOCK;
        for (uint64_t base = area; base < area + BLOCK; base += step) {
            measure_ripas(r, base, base + step);
        }
    }
}

static void measure_image(const Recipe *r, const Image *image)
{
    for (uint64_t off = 0; off < image->len; off += PAGE) {
        uint8_t  page[PAGE] = { 0 };             /* the last page is filled with zeros */
        uint64_t n = image->len - off < PAGE ? image->len - off : PAGE;
        memcpy(page, image->data + off, n);
        measure_page(r, image->ipa + off, page);
    }
}

/* ---- input ---- */

static void read_image(Image *image)
{
    FILE *f;
    long  len;

    if (image->path == NULL) {
        return;
    }
    f = fopen(image->path, "rb");
    if (f == NULL || fseek(f, 0, SEEK_END) != 0 || (len = ftell(f)) <= 0 || fseek(f, 0, SEEK_SET) != 0) {
        die("cannot read %s '%s': %s", image->name, image->path, f ? "it is empty" : strerror(errno));
    }
    image->len = (uint64_t)len;
    image->data = malloc(image->len);
    if (image->data == NULL || fread(image->data, 1, image->len, f) != image->len) {
        die("cannot read %s '%s'", image->name, image->path);
    }
    fclose(f);
}

static uint64_t get_le64(const uint8_t *p)
{
    uint64_t v = 0;

    for (unsigned i = 8; i-- > 0;) {
        v = v << 8 | p[i];
    }
    return v;
}

static uint64_t block_up(uint64_t a) { return (a + BLOCK - 1) & ~(BLOCK - 1); }

/* Linux, "Booting AArch64 Linux": text_offset at 8, image_size at 16, magic at 56. */
static void lay_out(Recipe *r, Image images[N_IMAGES])
{
    const Image *kernel = &images[0];

    if (kernel->len < 64 || memcmp(kernel->data + 56, "ARMd", 4) != 0) {
        die("kernel '%s' is not an arm64 Image", kernel->path);
    }
    uint64_t text_offset = get_le64(kernel->data + 8), size = get_le64(kernel->data + 16);
    if (text_offset > r->mem || size > r->mem || kernel->len > r->mem) {
        die("kernel '%s' does not fit into %" PRIu64 " bytes of memory", kernel->path, r->mem);
    }
    images[0].ipa = block_up(r->ram) + text_offset;
    images[1].ipa = block_up(images[0].ipa + (size > kernel->len ? size : kernel->len));
    images[2].ipa = images[1].len ? block_up(images[1].ipa + images[1].len) : images[1].ipa;
    r->entry = images[0].ipa;
    r->dtb = images[2].ipa;
    if (images[2].ipa + images[2].len > r->ram + r->mem) {
        die("kernel, initrd and device tree do not fit into %" PRIu64 " bytes of memory", r->mem);
    }
}

static uint64_t number(const char *option, const char *s, bool with_unit)
{
    char    *end;
    uint64_t v = strtoull(s, &end, 0);
    unsigned shift = 0;

    if (with_unit && *end != '\0') {
        shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 99;
        end++;
    }
    if (end == s || *end != '\0' || shift > 30 || v > UINT64_MAX >> 30) {
        die("option --%s: '%s' is not a number%s", option, s, with_unit ? " with K, M or G" : "");
    }
    return v << shift;
}

static void parse_options(int argc, char **argv, Recipe *r, Image images[N_IMAGES])
{
    static const struct option options[] = {
        {"kernel", 1, NULL, 'k'},   {"initrd", 1, NULL, 'i'}, {"dtb", 1, NULL, 'd'},
        {"mem", 1, NULL, 'm'},      {"smp", 1, NULL, 'c'},    {"ram-base", 1, NULL, 'b'},
        {"ipa-bits", 1, NULL, 'a'}, {"flags", 1, NULL, 'f'},  {"bps", 1, NULL, 'B'},
        {"wps", 1, NULL, 'W'},      {"sve-vl", 1, NULL, 's'}, {"pmu", 1, NULL, 'p'},
        {"hash", 1, NULL, 'h'},     {NULL, 0, NULL, 0},
    };
    int c, which = 0;

    while ((c = getopt_long(argc, argv, "", options, &which)) != -1) {
        const char *name = options[which].name;
        switch (c) {
        case 'k': images[0].path = optarg; break;
        case 'i': images[1].path = optarg; break;
        case 'd': images[2].path = optarg; break;
        case 'm': r->mem = number(name, optarg, true); break;
        case 'c': r->smp = number(name, optarg, false); break;
        case 'b': r->ram = number(name, optarg, false); break;
        case 'a': r->ipa_bits = (uint32_t)number(name, optarg, false); break;
        case 'f': r->flags = number(name, optarg, false); break;
        case 'B': r->bps = (uint32_t)number(name, optarg, false); break;
        case 'W': r->wps = (uint32_t)number(name, optarg, false); break;
        case 's': r->sve_vl = (uint32_t)number(name, optarg, false); break;
        case 'p': r->pmu = (uint32_t)number(name, optarg, false); break;
        case 'h':
            r->hash = strcmp(optarg, "sha512") == 0;
            if (!r->hash && strcmp(optarg, "sha256") != 0) {
                die("option --hash: '%s' is neither sha256 nor sha512", optarg);
            }
            r->md = r->hash ? EVP_sha512() : EVP_sha256();
            break;
        default: exit(2);
        }
    }
    if (images[0].path == NULL || images[2].path == NULL || r->mem == 0) {
        die("options --kernel, --dtb and --mem are needed");
    }
    if (r->mem % BLOCK != 0 || r->ram % BLOCK != 0 || r->smp < 1) {
        die("--mem and --ram-base must be multiples of 2 MiB, --smp at least 1");
    }
}

int main(int argc, char **argv)
{
    Image  images[N_IMAGES] = { { .name = "kernel" }, { .name = "initrd" }, { .name = "device tree" } };
    Recipe r = { .md = EVP_sha256(), .flags = 1 << 3,       /* DA: the Realm may have devices */
                 .ram = 0x40000000, .smp = 1, .ipa_bits = 48, .bps = 1, .wps = 1 };

    parse_options(argc, argv, &r, images);
    for (unsigned i = 0; i < N_IMAGES; i++) {
        read_image(&images[i]);
    }
    lay_out(&r, images);
    measure_realm(&r);
    measure_ram(&r, images);
    for (unsigned i = 0; i < N_IMAGES; i++) {               /* ascending by layout */
        measure_image(&r, &images[i]);
    }
    measure_rec(&r); /* RECs 1 to smp-1 are not runnable: not measured */
    for (unsigned i = 0; i < digest_len; i++) {
        printf("%02x", rim[i]);
    }
    printf("\n");
    for (unsigned i = 0; i < N_IMAGES; i++) {
        free(images[i].data);
    }
    return 0;
}
