/*
 * Which function the guest is in: the files of -symbols, and by how much the addresses of what runs differ from theirs.
 *
 * A file whose offset was given is looked into with that offset, whoever runs. One without is a kernel's when it has
 * the symbol _text at a kernel's address: each world may run that kernel (host, Realm) at an offset of its own, chosen
 * at random when it started. That is found out while the guest runs: whoever wants names asks for the CPU's world then,
 * and for names by that number when it likes, at the end of the run even. Other files without an offset are used as
 * they are.
 */
#ifndef BAILEY_GUEST_SYMBOLS_H
#define BAILEY_GUEST_SYMBOLS_H

#include "cpu/a64/a64.h"
#include "symbols.h"

typedef struct GuestSymbols GuestSymbols;

/* guest_symbols_new - no files yet. */
GuestSymbols *guest_symbols_new(void);
void          guest_symbols_free(GuestSymbols *g);

/**
 * guest_symbols_add - read a file.
 * @offset: what is added to the file's addresses; NULL: not given
 * Returns false with a sentence.
 */
bool guest_symbols_add(GuestSymbols *g, const char *path, const uint64_t *offset, GError **error);

/* guest_symbols_world - the world whose code the CPU runs: a number that stays its own. Looks for its kernel, now and
 * then, as long as that has not been found. */
unsigned guest_symbols_world(GuestSymbols *g, A64Cpu *cpu);

/* guest_symbols_restart - the machine starts anew: kernels that were found are gone, worlds get new numbers. */
void guest_symbols_restart(GuestSymbols *g);

/**
 * guest_symbols_locate - which file an address of running code is of.
 * @world: as guest_symbols_world() said; 0: none in particular, kernels without an offset are not looked into
 * @privileged: not of EL0: an address in the lower half is the kernel's too, which begins there
 * @addr: virtual, without tag and pointer authentication code
 * @file_addr: the address as the file has it
 * Returns NULL: no file has it (as far as is known).
 */
Symbols *guest_symbols_locate(const GuestSymbols *g, unsigned world, bool privileged, uint64_t addr,
                              uint64_t *file_addr);

/* guest_symbols_find - the symbol that @addr is in, and how far behind its start. False: not known. */
bool guest_symbols_find(const GuestSymbols *g, unsigned world, bool privileged, uint64_t addr, Symbol *out,
                        uint64_t *offset);

/* guest_symbols_foreach_file - each file, in the order of the options. */
void guest_symbols_foreach_file(GuestSymbols *g, void (*fn)(void *opaque, Symbols *file), void *opaque);

#endif
