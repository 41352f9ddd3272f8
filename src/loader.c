/*
 * The arm64 Image header and the boot layout. Linux Documentation/arch/arm64/booting.rst: sections 2 "Setup the
 * device tree" and 4 "Call the kernel image".
 */
#include "loader.h"

#include <inttypes.h>
#include <string.h>

#include "bits.h"
#include "bytes.h"
#include "device.h"
#include "files.h"

#define IMAGE_MAGIC        0x644d5241u /* "ARM\x64" at offset 56 */
#define IMAGE_HEADER_SIZE  64
#define PE_DOS_MAGIC       0x5a4du /* "MZ" */
#define PE_OFFSET_AT       0x3c
#define PE_MAGIC           0x4550u /* "PE", two zero bytes */
#define PE_HEADER_SIZE     24      /* signature and file header; the optional header follows */
#define PE_SECTION_SIZE    40
#define IMAGE_FLAG_BE      1u
#define LAYOUT_ALIGN       (2ull << 20)
#define DTB_MAX_SIZE       (2ull << 20)
#define DTB_MAGIC          0xd00dfeedu
#define DTB_HEADER_SIZE    40
#define DTB_VERSION        17
#define STREAM_MAX_SIZE    (1ull << 30) /* of what cannot be mapped: a pipe, say */

/* The host's copy of a plain file, without one of our own; NULL for anything else. */
static GBytes *map_file(const char *path)
{
    GMappedFile *f = g_mapped_file_new(path, FALSE, NULL);
    GBytes      *b = f == NULL || g_mapped_file_get_length(f) == 0 ? NULL : g_mapped_file_get_bytes(f);

    g_clear_pointer(&f, g_mapped_file_unref);
    return b;
}

GBytes *loader_read_file(const char *path, const char *option, GError **error)
{
    char  *data;
    gsize  len;
    GError *cause = NULL;
    GBytes *mapped = map_file(path);

    if (mapped != NULL) {
        return mapped;
    }
    if (!file_read(path, STREAM_MAX_SIZE, &data, &len, &cause)) {
        g_set_error(error, BAILEY_ERROR, 1, "cannot read '%s' (from %s): %s; name a readable file", path,
                    option, cause->message);
        g_error_free(cause);
        return NULL;
    }
    return g_bytes_new_take(data, len);
}

/* What a file without an Image header seems to be. */
static const char *other_format(const uint8_t *p, gsize len)
{
    if (len >= 2 && p[0] == 0x1f && p[1] == 0x8b) {
        return "it is gzip-compressed; unpack it first";
    }
    if (len >= 8 && memcmp(p, "MZ", 2) == 0 && memcmp(p + 4, "zimg", 4) == 0) {
        return "it is a compressed EFI image; unpack the payload first";
    }
    if (len >= 4 && memcmp(p, "\x7f" "ELF", 4) == 0) {
        return "it is an ELF file; use arch/arm64/boot/Image";
    }
    return "it has no arm64 Image header; use arch/arm64/boot/Image";
}

/* Bytes a file with an EFI stub must have: the end of its last PE section, or 0 when it has no PE header. Microsoft
 * "PE Format", "File Headers", "Section Table". An Image's own header does not tell its size in the file. */
static uint64_t pe_file_size(const uint8_t *p, gsize len)
{
    uint64_t pe = le32_get(p + PE_OFFSET_AT), end = 0;

    if (le16_get(p) != PE_DOS_MAGIC || pe + PE_HEADER_SIZE > len || le32_get(p + pe) != PE_MAGIC) {
        return 0;
    }
    uint64_t section = pe + PE_HEADER_SIZE + le16_get(p + pe + 20);
    for (unsigned n = le16_get(p + pe + 6); n != 0 && section + PE_SECTION_SIZE <= len; n--) {
        end = MAX(end, (uint64_t)le32_get(p + section + 20) + le32_get(p + section + 16));
        section += PE_SECTION_SIZE;
    }
    return end;
}

/* Size in memory (BSS included) and offset of a kernel image, or a sentence. */
static bool check_image(GBytes *kernel, uint64_t *text_offset, uint64_t *image_size, GError **error)
{
    gsize          len;
    const uint8_t *p = g_bytes_get_data(kernel, &len);

    if (len < IMAGE_HEADER_SIZE || le32_get(p + 56) != IMAGE_MAGIC) {
        g_set_error(error, BAILEY_ERROR, 1, "cannot start the kernel image (from -kernel): %s", other_format(p, len));
        return false;
    }
    *text_offset = le64_get(p + 8);
    *image_size = le64_get(p + 16);
    uint64_t flags = le64_get(p + 24);
    if (flags & IMAGE_FLAG_BE) {
        g_set_error(error, BAILEY_ERROR, 1,
                    "cannot start the kernel image (from -kernel): it is big-endian; build a little-endian one");
        return false;
    }
    if (pe_file_size(p, len) > len) {
        g_set_error(error, BAILEY_ERROR, 1,
                    "cannot start the kernel image (from -kernel): it is cut off: the file has %zu of %" PRIu64
                    " bytes; copy the file again",
                    len, pe_file_size(p, len));
        return false;
    }
    if (*image_size == 0) { /* kernels before 3.17 */
        *image_size = len;
    }
    if (*image_size < len || *image_size > 1ull << 40 || *text_offset >= LAYOUT_ALIGN || *text_offset % 4096 != 0) {
        g_set_error(error, BAILEY_ERROR, 1,
                    "cannot start the kernel image (from -kernel): its header is damaged (image size %" PRIu64
                    ", file size %zu, text offset %" PRIu64 "); copy the file again",
                    *image_size, len, *text_offset);
        return false;
    }
    return true;
}

static bool check_fits(const char *what, uint64_t end, uint64_t ram_base, uint64_t ram_size, GError **error)
{
    if (end - ram_base > ram_size) {
        g_set_error(error, BAILEY_ERROR, 1,
                    "the %s does not fit into the guest's memory: %" PRIu64 " MiB are needed, -m gives %" PRIu64
                    " MiB; raise -m",
                    what, (end - ram_base + (1 << 20) - 1) >> 20, ram_size >> 20);
        return false;
    }
    return true;
}

bool loader_place(BootLayout *l, GBytes *kernel, GBytes *initrd, uint64_t ram_base, uint64_t ram_size,
                  GError **error)
{
    uint64_t text_offset, image_size;

    memset(l, 0, sizeof(*l));
    if (!check_image(kernel, &text_offset, &image_size, error)) {
        return false;
    }
    l->entry = align_up(ram_base, LAYOUT_ALIGN) + text_offset;
    l->end = align_up(l->entry + image_size, LAYOUT_ALIGN);
    if (!check_fits("kernel", l->end, ram_base, ram_size, error)) {
        return false;
    }
    l->piece[0] = (LoadPiece){ "kernel", l->entry, g_bytes_ref(kernel) };
    l->piece[1] = (LoadPiece){ "initrd", l->end, NULL };
    if (initrd != NULL) {
        l->piece[1].bytes = g_bytes_ref(initrd);
        l->end = align_up(l->end + g_bytes_get_size(initrd), LAYOUT_ALIGN);
    }
    l->dtb_addr = l->end;
    if (!check_fits("initrd", l->end, ram_base, ram_size, error)) {
        loader_free(l);
        return false;
    }
    return true;
}

/* "Devicetree Specification", "Header": both blocks lie inside. What they say is the guest's to judge. */
static bool dtb_is_whole(const uint8_t *p, gsize len)
{
    if (len < DTB_HEADER_SIZE || be32_get(p) != DTB_MAGIC) {
        return false;
    }
    uint64_t total = be32_get(p + 4), at_struct = be32_get(p + 8), at_strings = be32_get(p + 12);

    return total >= DTB_HEADER_SIZE && total <= len && be32_get(p + 20) >= DTB_VERSION &&
           be32_get(p + 24) <= DTB_VERSION && at_strings + be32_get(p + 32) <= total &&
           at_struct + be32_get(p + 36) <= total;
}

bool loader_place_dtb(BootLayout *l, GBytes *dtb, uint64_t ram_base, uint64_t ram_size, GError **error)
{
    gsize          len;
    const uint8_t *p = g_bytes_get_data(dtb, &len);

    if (!dtb_is_whole(p, len) || len > DTB_MAX_SIZE) {
        g_set_error(error, BAILEY_ERROR, 1,
                    "the device tree (from -dtb) is damaged: it has no valid header, is cut off, or is larger than "
                    "2 MiB; make it with dtc");
        return false;
    }
    l->piece[2] = (LoadPiece){ "dtb", l->dtb_addr, g_bytes_ref(dtb) };
    l->end = l->dtb_addr + align_up(len, LAYOUT_ALIGN);
    return check_fits("device tree", l->end, ram_base, ram_size, error);
}

void loader_free(BootLayout *l)
{
    for (size_t i = 0; i < ARRAY_LEN(l->piece); i++) {
        if (l->piece[i].bytes != NULL) {
            g_bytes_unref(l->piece[i].bytes);
        }
    }
    memset(l, 0, sizeof(*l));
}

/* ---- images for any address: ELF files and raw bytes ---- */

/* System V ABI, "ELF Header", "Program Header", 64-bit little-endian; "ELF for the Arm 64-bit Architecture". */
enum {
    ELF_HEADER_SIZE = 64,
    ELF_PHENTSIZE = 56,
    ELF_CLASS_64 = 2,
    ELF_DATA_LE = 1,
    ELF_EXEC = 2,
    ELF_DYN = 3,
    ELF_AARCH64 = 183,
    ELF_PT_LOAD = 1,
};

static bool is_elf(const uint8_t *p, gsize len)
{
    return len >= 4 && memcmp(p, "\x7f" "ELF", 4) == 0;
}

static bool damaged(const char *name, const char *what, GError **error)
{
    g_set_error(error, BAILEY_ERROR, 1, "cannot load the ELF file '%s': %s", name, what);
    return false;
}

static bool elf_header_ok(const uint8_t *p, gsize len, const char *name, GError **error)
{
    if (len < ELF_HEADER_SIZE) {
        return damaged(name, "it is cut off; copy the file again", error);
    }
    if (p[4] != ELF_CLASS_64 || p[5] != ELF_DATA_LE || le16_get(p + 18) != ELF_AARCH64) {
        return damaged(name, "it is not for little-endian AArch64; build it for that", error);
    }
    if (le16_get(p + 16) != ELF_EXEC && le16_get(p + 16) != ELF_DYN) {
        return damaged(name, "it is not linked; give an executable", error);
    }
    if (le16_get(p + 54) != ELF_PHENTSIZE) {
        return damaged(name, "its header is damaged; copy the file again", error);
    }
    return true;
}

static bool add_segment(LoadImage *im, LoadSegment s, const char *name, GError **error)
{
    if (s.addr + s.size < s.addr) {
        return damaged(name, "a segment lies across the end of the address space; link it elsewhere", error);
    }
    if (im->n == LOADER_MAX_SEGMENTS) {
        return damaged(name, "it has too many segments; link it with fewer than 17", error);
    }
    im->segment[im->n++] = s;
    return true;
}

static bool take_elf(LoadImage *im, const uint8_t *p, gsize len, const char *name, GError **error)
{
    if (!elf_header_ok(p, len, name, error)) {
        return false;
    }
    uint64_t at = le64_get(p + 32);
    unsigned n = le16_get(p + 56);

    im->entry = le64_get(p + 24);
    for (; n != 0; n--, at += ELF_PHENTSIZE) {
        if (at > len || len - at < ELF_PHENTSIZE) {
            return damaged(name, "its program headers are cut off; copy the file again", error);
        }
        uint64_t off = le64_get(p + at + 8), paddr = le64_get(p + at + 24);
        uint64_t file_size = le64_get(p + at + 32), mem_size = le64_get(p + at + 40);

        if (le32_get(p + at) != ELF_PT_LOAD || mem_size == 0) {
            continue;
        }
        if (off > len || file_size > len - off || file_size > mem_size) {
            return damaged(name, "a segment is cut off; copy the file again", error);
        }
        if (!add_segment(im, (LoadSegment){ paddr, mem_size, p + off, file_size }, name, error)) {
            return false;
        }
    }
    return im->n != 0 || damaged(name, "it has nothing to load", error);
}

bool loader_image(LoadImage *im, GBytes *file, uint64_t addr, bool raw, const char *name, GError **error)
{
    gsize          len;
    const uint8_t *p = g_bytes_get_data(file, &len);
    bool           ok;

    *im = (LoadImage){ .file = g_bytes_ref(file), .entry = addr };
    ok = is_elf(p, len) && !raw ? take_elf(im, p, len, name, error)
                                : add_segment(im, (LoadSegment){ addr, len, p, len }, name, error);
    if (!ok) {
        loader_image_free(im);
    }
    return ok;
}

void loader_image_free(LoadImage *im)
{
    g_clear_pointer(&im->file, g_bytes_unref);
    im->n = 0;
}

GBytes *loader_image_flat(const LoadImage *im, uint64_t max, uint64_t *addr)
{
    uint64_t first = UINT64_MAX, end = 0;

    for (unsigned i = 0; i < im->n; i++) {
        first = MIN(first, im->segment[i].addr);
        end = MAX(end, im->segment[i].addr + im->segment[i].size);
    }
    if (end <= first || end - first > max) {
        return NULL;
    }
    uint8_t *bytes = g_malloc0(end - first);
    for (unsigned i = 0; i < im->n; i++) {
        const LoadSegment *s = &im->segment[i];

        if (s->len != 0) {
            memcpy(bytes + (s->addr - first), s->data, s->len);
        }
        memset(bytes + (s->addr - first) + s->len, 0, s->size - s->len);
    }
    *addr = first;
    return g_bytes_new_take(bytes, end - first);
}
