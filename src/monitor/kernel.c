/*
 * Where the Linux kernel is that runs, for people. Documentation/admin-guide/kdump/vmcoreinfo.rst describes the note in
 * which a kernel says by how much its addresses differ from those of its symbol file.
 */
#include <inttypes.h>
#include <string.h>

#include "guest/kernel.h"
#include "monitor/monitor.h"

enum { PAGE_BYTES = 4096 };

/* ---- the kernel's own note ---- */

typedef struct Search {
    Mon               *mon;
    const GuestKernel *kernel;
    bool               found;
    uint64_t           offset;
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
    GuestKernel k;
    uint64_t    linked;

    if (argc == 1 && !mon_number(argv[0], &linked, error)) {
        return false;
    }
    if (!guest_kernel_find(mon_a64(m), 0, &k)) {
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
