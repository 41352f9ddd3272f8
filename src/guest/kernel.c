/*
 * Where a Linux kernel is whose addresses were chosen at random when it started. Documentation/arch/arm64/booting.rst
 * describes the header at _text.
 */
#include "guest/kernel.h"

#include <string.h>

#include "bits.h"
#include "bytes.h"

enum {
    HEADER_IMAGE_SIZE = 16,
    HEADER_MAGIC = 56,
    HEADER_LEN = 64,
    IMAGE_ALIGN = 64 << 10,   /* of _text, and what its header is padded to */
    IMAGE_MAX = 256 << 20,
};

/* Bytes at an intermediate address of the CPU's current regime. */
static bool read_ipa(const A64Cpu *cpu, Pas pas, uint64_t ipa, void *dst, size_t len)
{
    Memory *memory = cpu->cpu.memory;
    A64Walk walk = { .pa = ipa, .pas = pas };
    bool    nested = cpu->el < 2 && (cpu->el2.hcr & 1 /* VM */);

    if (nested) {
        a64_stage2_walk(memory, cpu->el2.vtcr, cpu->el2.vttbr, pas, ipa, false, false, true, false, &walk);
    }
    const MemRegion *r = walk.fault == A64_FAULT_NONE ? memory_find(memory, walk.pa) : NULL;
    return r != NULL && r->host != NULL &&
           memory_read(memory, walk.pa, (MemAttrs){ .pas = walk.pas }, dst, len) == MEM_OK;
}

/* Whether the image at @ipa is one that reaches up to @inside: its size; 0: it is none. */
static uint64_t image_size(const A64Cpu *cpu, Pas pas, uint64_t ipa, uint64_t inside)
{
    uint8_t header[HEADER_LEN];

    if (!read_ipa(cpu, pas, ipa, header, sizeof(header)) || memcmp(header + HEADER_MAGIC, "ARM\x64", 4) != 0) {
        return 0;
    }
    uint64_t size = le64_get(header + HEADER_IMAGE_SIZE);
    return inside - ipa < size ? size : 0;
}

/* The image that holds what @va, in the kernel's half of the addresses, leads to. Its pages follow each other. */
static bool find_around(A64Cpu *cpu, uint64_t va, GuestKernel *k)
{
    A64Walk at, head;

    if (va >> 55 == 0 || !a64_regime_walk(cpu, va, &at)) {
        return false;
    }
    for (uint64_t ipa = align_down(at.ipa, IMAGE_ALIGN), n = 0; n < IMAGE_MAX / IMAGE_ALIGN && ipa != 0;
         ipa -= IMAGE_ALIGN, n++) {
        uint64_t size = image_size(cpu, at.ipa_pas, ipa, at.ipa);

        if (size != 0) {
            *k = (GuestKernel){ .text = va - (at.ipa - ipa), .ipa = ipa, .size = size, .pas = at.ipa_pas };
            /* A second mapping of vectors or a module's pages lead elsewhere. */
            return a64_regime_walk(cpu, k->text + IMAGE_ALIGN, &head) && head.ipa == ipa + IMAGE_ALIGN;
        }
    }
    return false;
}

bool guest_kernel_find(A64Cpu *cpu, uint64_t addr, GuestKernel *out)
{
    const uint64_t anchors[] = { addr,    cpu->el1.vbar, cpu->el2.vbar, cpu->pc,
                                 cpu->el1.elr, cpu->el2.elr,  cpu->x[30] };

    for (size_t i = 0; i < ARRAY_LEN(anchors); i++) {
        if (find_around(cpu, anchors[i], out)) {
            return true;
        }
    }
    return false;
}
