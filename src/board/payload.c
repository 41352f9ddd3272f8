/*
 * -device loader: QEMU's generic loader by its words ("Generic Loader" of its documentation): file= or data= for an
 * address, cpu-num= for the CPU that starts there. Memory that belongs to the firmware model cannot be loaded.
 */
#include "board/payload.h"

#include <inttypes.h>
#include <string.h>

#include "bits.h"
#include "bytes.h"
#include "device.h"

enum { PAGE_SIZE = 4096, MAX_DATA = 8 };

/* What the keys say. */
typedef struct LoaderDevice {
    Device   dev;
    char    *file;
    uint64_t addr, cpu, data, data_len;
    bool     raw, big;
} LoaderDevice;

static const Prop loader_props[] = {
    { "file", PROP_STRING, offsetof(LoaderDevice, file), NULL, "ELF image, or raw bytes for addr=" },
    { "cpu-num", PROP_UINT, offsetof(LoaderDevice, cpu), NULL, "the CPU that starts there; absent: none" },
    { "force-raw", PROP_BOOL, offsetof(LoaderDevice, raw), "off", "load an ELF file as raw bytes" },
    { "data", PROP_UINT, offsetof(LoaderDevice, data), NULL, "a number to store at addr=, instead of file=" },
    { "data-len", PROP_UINT, offsetof(LoaderDevice, data_len), NULL, "its bytes, 1 to 8" },
    { "data-be", PROP_BOOL, offsetof(LoaderDevice, big), "off", "store it big-endian" },
};

DEVICE(loader, .name = "loader", .desc = "puts a file or number into memory, starts a CPU there", .bus = "loader",
       .state_size = sizeof(LoaderDevice), .props = loader_props, .n_props = ARRAY_LEN(loader_props));

bool payload_is(const OptionList *l)
{
    return strcmp(l->driver, "loader") == 0;
}

static bool wrong(GError **error, const char *what)
{
    g_set_error(error, BAILEY_ERROR, 1, "-device loader: %s", what);
    return false;
}

/* Keys that make sense together; addr= is a key of every device, and kept as text. */
static bool check(LoaderDevice *d, const OptionList *l, unsigned n_cpus, GError **error)
{
    bool data = option_list_get(l, "data") != NULL, cpu = option_list_get(l, "cpu-num") != NULL;
    bool addr = d->dev.addr != NULL;

    if (addr && !option_parse_size(d->dev.addr, 0, &d->addr)) {
        return wrong(error, "addr= takes a number, such as addr=0x88000000");
    }
    if (d->file != NULL && data) {
        return wrong(error, "file= and data= in one; use two loaders");
    }
    if (d->file == NULL && (!addr || (!data && !cpu))) {
        return wrong(error, "give file=, or addr= with data= or cpu-num=; for example "
                            "-device loader,file=payload.bin,addr=0x88000000,cpu-num=0");
    }
    if (data && (d->data_len == 0 || d->data_len > MAX_DATA)) {
        return wrong(error, "data= needs data-len= from 1 to 8");
    }
    if (data && d->data_len < MAX_DATA && d->data >> 8 * d->data_len != 0) {
        return wrong(error, "data= has more bytes than data-len= says");
    }
    if (cpu && d->cpu >= n_cpus) {
        g_set_error(error, BAILEY_ERROR, 1,
                    "-device loader: there is no CPU %" PRIu64 ", the machine has %u; raise -smp", d->cpu, n_cpus);
        return false;
    }
    return true;
}

static GBytes *number_bytes(const LoaderDevice *d)
{
    uint8_t b[MAX_DATA];

    for (unsigned i = 0; i < d->data_len; i++) {
        b[i] = (uint8_t)(d->data >> 8 * (d->big ? d->data_len - 1 - i : i));
    }
    return g_bytes_new(b, d->data_len);
}

static bool read_image(Payload *p, const LoaderDevice *d, GError **error)
{
    GBytes *bytes = d->file != NULL      ? loader_read_file(d->file, "-device loader", error)
                    : d->data_len != 0 ? number_bytes(d)
                                       : NULL;
    bool    ok = true;

    if (bytes != NULL) {
        ok = loader_image(&p->image, bytes, d->addr, d->raw || d->file == NULL,
                          d->file != NULL ? d->file : "data=", error);
        g_bytes_unref(bytes);
    } else if (d->file != NULL) {
        ok = false;
    } else {
        p->image.entry = d->addr;
    }
    return ok;
}

Payload *payload_new(const OptionList *l, unsigned n_cpus, bool *bad_option, GError **error)
{
    LoaderDevice *d = (LoaderDevice *)device_from_option(l->text, NULL, 0, error);
    Payload      *p = g_new0(Payload, 1);
    bool          ok = d != NULL && check(d, l, n_cpus, error);

    *bad_option = !ok;
    if (ok) {
        p->starts = option_list_get(l, "cpu-num") != NULL;
        p->cpu = (unsigned)d->cpu;
        ok = read_image(p, d, error);
    }
    if (d != NULL) {
        device_free(&d->dev);
    }
    if (!ok) {
        g_clear_pointer(&p, payload_free);
    }
    return p;
}

void payload_free(Payload *p)
{
    loader_image_free(&p->image);
    g_free(p);
}

bool payload_overlaps(const Payload *p, uint64_t base, uint64_t size)
{
    for (unsigned i = 0; i < p->image.n; i++) {
        if (ranges_overlap(p->image.segment[i].addr, p->image.segment[i].size, base, size)) {
            return true;
        }
    }
    return false;
}

/* All of it is memory or flash, and the Normal world's. */
static bool may_load(const LoadSegment *s, Memory *m)
{
    uint64_t end = s->addr + s->size;

    for (uint64_t at = s->addr; at < end;) {
        const MemRegion *r = memory_find(m, at);

        if (r == NULL || r->kind == MEM_MMIO || owners_get(memory_owners(m), at) != OWNER_NONSECURE) {
            return false;
        }
        at = align_down(at, PAGE_SIZE) + PAGE_SIZE;
    }
    return true;
}

static bool load_segment(const LoadSegment *s, Memory *m)
{
    static const uint8_t zeroes[PAGE_SIZE];
    bool                 ok = memory_load(m, s->addr, s->data, s->len);

    for (uint64_t at = s->len; ok && at < s->size; at += PAGE_SIZE) {
        ok = memory_load(m, s->addr + at, zeroes, MIN(PAGE_SIZE, s->size - at));
    }
    return ok;
}

bool payload_load(const Payload *p, Memory *m, bool (*keeps)(void *opaque, uint64_t addr), void *opaque,
                  GError **error)
{
    for (unsigned i = 0; i < p->image.n; i++) {
        const LoadSegment *s = &p->image.segment[i];

        if (!may_load(s, m)) {
            g_set_error(error, BAILEY_ERROR, 1,
                        "-device loader: 0x%" PRIx64 " to 0x%" PRIx64 " is not all memory of the Normal world or "
                        "flash; choose another address, or raise -m",
                        s->addr, s->addr + s->size - 1);
            return false;
        }
        if (!keeps(opaque, s->addr)) {
            (void)load_segment(s, m); /* cannot fail: it is memory */
        }
    }
    return true;
}
