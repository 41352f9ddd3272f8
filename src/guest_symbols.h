/*
 * Which function the guest is in: the files of -symbols, and by how much the addresses of what runs differ from theirs.
 *
 * A file whose offset was given is looked into with that offset by whoever runs. One without is a kernel's when it has
 * the symbol _text at a kernel's address: each world and level may run that kernel (host, Realm) at an offset of
 * its own, chosen at random when it started, which is found out when an address of it is first asked for. Other
 * files without an offset are used as they are.
 */
#ifndef BAILEY_GUEST_SYMBOLS_H
#define BAILEY_GUEST_SYMBOLS_H

#include "cpu/a64/a64.h"
#include "symbols.h"

typedef struct GuestSymbols GuestSymbols;

/**
 * guest_symbols_new - read the files of all -symbols options.
 * @specs: texts "FILE[,offset=N]"; @n of them. offset: what is added to the file's addresses, 64 bits, may wrap
 * Returns NULL with a sentence.
 */
GuestSymbols *guest_symbols_new(const char *const *specs, size_t n, GError **error);
void          guest_symbols_free(GuestSymbols *g);

/**
 * guest_symbols_locate - which file an address of running code is of.
 * @cpu: whose world, level and translation it is meant in; only read
 * @addr: virtual, without pointer authentication code
 * @file_addr: the address as @returned file has it
 * Returns NULL: no file has it (as far as is known yet: a kernel that has just started cannot be found).
 */
Symbols *guest_symbols_locate(GuestSymbols *g, const A64Cpu *cpu, uint64_t addr, uint64_t *file_addr);

/* guest_symbols_find - the function that @addr is in, and how far behind its start. False: not known. */
bool guest_symbols_find(GuestSymbols *g, const A64Cpu *cpu, uint64_t addr, Symbol *out, uint64_t *offset);

/* guest_symbols_foreach_file - each file, in the order of the options. */
void guest_symbols_foreach_file(GuestSymbols *g, void (*fn)(void *opaque, Symbols *file), void *opaque);

#endif
