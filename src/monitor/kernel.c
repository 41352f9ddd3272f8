/*
 * Where a Linux kernel is whose addresses were chosen at random when it started. Documentation/arch/arm64/booting.rst
 * describes the header at _text; Documentation/admin-guide/kdump/vmcoreinfo.rst the note in which a kernel says by how
 * much its addresses differ from those of its symbol file.
 */
#include <inttypes.h>
#include <string.h>

#include "bits.h"
#include "bytes.h"
#include "monitor/monitor.h"

enum {
    PAGE_BYTES = 4096,
    HEADER_IMAGE_SIZE = 16,
    HEADER_MAGIC = 56,
    HEADER_LEN = 64,
    IMAGE_ALIGN = 64 << 10,   /* of _text, and what its header is padded to */
    IMAGE_MAX = 256 << 20,
};

typedef struct Kernel {
    uint64_t text, ipa; /* of _text */
    Pas      pas;
} Kernel;

/* Bytes at an intermediate address of the CPU's current regime. */
static bool read_ipa(Mon *m, Pas pas, uint64_t ipa, void *dst, size_t len)
{
    const A64Cpu *cpu = mon_a64(m);
    Memory       *memory = machine_memory(m->on.machine);
    A64Walk       walk = { .pa = ipa, .pas = pas };
    bool          nested = cpu->el < 2 && (cpu->el2.hcr & 1 /* VM */);

    if (nested) {
        a64_stage2_walk(memory, cpu->el2.vtcr, cpu->el2.vttbr, pas, ipa, false, false, true, false, &walk);
    }
    const MemRegion *r = walk.fault == A64_FAULT_NONE ? memory_find(memory, walk.pa) : NULL;
    return r != NULL && r->host != NULL &&
           memory_read(memory, walk.pa, (MemAttrs){ .pas = walk.pas }, dst, len) == MEM_OK;
}

/* Whether the image at @ipa is one that reaches up to @inside. */
static bool is_image(Mon *m, Pas pas, uint64_t ipa, uint64_t inside)
{
    uint8_t header[HEADER_LEN];

    return read_ipa(m, pas, ipa, header, sizeof(header)) && memcmp(header + HEADER_MAGIC, "ARM\x64", 4) == 0 &&
           inside - ipa < le64_get(header + HEADER_IMAGE_SIZE);
}

/* The image that holds what @va, in the kernel's half of the addresses, leads to. Its pages follow each other. */
static bool find_around(Mon *m, uint64_t va, Kernel *k)
{
    A64Walk at, head;

    if (va >> 55 == 0 || !a64_regime_walk(mon_a64(m), va, &at)) {
        return false;
    }
    for (uint64_t ipa = align_down(at.ipa, IMAGE_ALIGN), n = 0; n < IMAGE_MAX / IMAGE_ALIGN && ipa != 0;
         ipa -= IMAGE_ALIGN, n++) {
        if (is_image(m, at.ipa_pas, ipa, at.ipa)) {
            *k = (Kernel){ .text = va - (at.ipa - ipa), .ipa = ipa, .pas = at.ipa_pas };
            /* A second mapping of vectors or a module's pages lead elsewhere. */
            return a64_regime_walk(mon_a64(m), k->text + IMAGE_ALIGN, &head) && head.ipa == ipa + IMAGE_ALIGN;
        }
    }
    return false;
}

static bool find_kernel(Mon *m, Kernel *k)
{
    const A64Cpu  *cpu = mon_a64(m);
    const uint64_t anchors[] = { cpu->el1.vbar, cpu->el2.vbar, cpu->pc, cpu->el1.elr, cpu->el2.elr, cpu->x[30] };

    for (size_t i = 0; i < ARRAY_LEN(anchors); i++) {
        if (find_around(m, anchors[i], k)) {
            return true;
        }
    }
    return false;
}

/* ---- the kernel's own note ---- */

typedef struct Search {
    Mon          *mon;
    const Kernel *kernel;
    bool          found;
    uint64_t      offset;
} Search;

/* The value of "KEY=0x..." or "KEY=..." (hexadecimal) in a note. */
static bool note_value(const char *note, const char *key, uint64_t *value)
{
    const char *at = strstr(note, key);

    if (at != NULL) {
        *value = g_ascii_strtoull(at + strlen(key), NULL, 16);
    }
    return at != NULL;
}

/* A page of memory that may be the note of the kernel that is looked for, and of no other that runs here. */
static void look_at_page(Search *s, const uint8_t *page)
{
    char     note[PAGE_BYTES + 1];
    uint64_t voffset, offset;

    if (memcmp(page, "OSRELEASE=", 10) != 0) {
        return;
    }
    memcpy(note, page, PAGE_BYTES);
    note[PAGE_BYTES] = '\0';
    if (note_value(note, "\nNUMBER(kimage_voffset)=", &voffset) && voffset == s->kernel->text - s->kernel->ipa &&
        note_value(note, "\nKERNELOFFSET=", &offset)) {
        s->found = true;
        s->offset = offset;
    }
}

static void look_at_region(void *opaque, const MemRegion *r)
{
    Search *s = opaque;
    Owners *owners = machine_owners(s->mon->on.machine);

    for (uint64_t at = 0; r->kind == MEM_RAM && at + PAGE_BYTES <= r->size && !s->found; at += PAGE_BYTES) {
        if (owners_allow(owners, r->base + at, s->kernel->pas)) {
            look_at_page(s, r->host + at);
        }
    }
}

MON_COMMAND(kernel_offset, .name = "kernel-offset", .args = "[LINKED]",
            .help = "where the running Linux kernel is; LINKED: what its symbol file says of _text", .max_args = 1)
{
    Kernel   k;
    uint64_t linked;

    if (argc == 1 && !mon_number(argv[0], &linked, error)) {
        return false;
    }
    if (!find_kernel(m, &k)) {
        return mon_fail(error,
                        "CPU %u runs no Linux kernel now, or one that has not switched its MMU on; go on a while, or "
                        "choose another CPU",
                        m->cpu);
    }
    Search s = { .mon = m, .kernel = &k };
    if (argc == 1) {
        s.found = true;
        s.offset = k.text - linked;
    } else {
        memory_foreach_region(machine_memory(m->on.machine), look_at_region, &s);
    }
    g_string_append_printf(out, "_text is 0x%" PRIx64 ", at 0x%" PRIx64 " of the %s space%s\n", k.text, k.ipa,
                           pas_name(k.pas), mon_a64(m)->el < 2 ? " (as the guest has it)" : "");
    if (s.found) {
        g_string_append_printf(out, "offset 0x%" PRIx64 "; in gdb: add-symbol-file vmlinux -o 0x%" PRIx64 "\n",
                               s.offset, s.offset);
    } else {
        g_string_append(out, "the kernel has not noted its offset yet; go on a while, or give the address of _text in "
                             "its symbol file: kernel-offset 0x...\n");
    }
    return true;
}
