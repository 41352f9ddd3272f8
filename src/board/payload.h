/*
 * Payloads of the command line: -device loader puts files and values into memory before the machine starts, and says
 * where CPUs begin.
 */
#ifndef BAILEY_BOARD_PAYLOAD_H
#define BAILEY_BOARD_PAYLOAD_H

#include "loader.h"
#include "memory.h"
#include "options.h"

/* One -device loader. */
typedef struct Payload {
    LoadImage image;      /* n is 0: it only says where a CPU starts */
    bool      starts;     /* @cpu begins at image.entry */
    unsigned  cpu;
} Payload;

/* payload_is - whether a -device is one. */
bool payload_is(const OptionList *l);

/**
 * payload_new - read what a -device loader says.
 * @n_cpus: of the machine
 * Returns NULL with a sentence; @bad_option tells whether the command line is wrong, or a file.
 */
Payload *payload_new(const OptionList *l, unsigned n_cpus, bool *bad_option, GError **error);
void     payload_free(Payload *p);

/**
 * payload_load - put its bytes where they go.
 * @keeps: tells of an address that it is not to be written: flash that kept its content over a reset
 * False with a sentence: part of it is no memory, or belongs to the firmware.
 */
bool payload_load(const Payload *p, Memory *m, bool (*keeps)(void *opaque, uint64_t addr), void *opaque,
                  GError **error);

/* payload_overlaps - whether its bytes touch [@base, @base + @size). */
bool payload_overlaps(const Payload *p, uint64_t base, uint64_t size);

#endif
