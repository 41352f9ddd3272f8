/*
 * Registers as the debugger sees them: those of its own architecture description, every system register of the CPU's
 * table, and those of the world that a CPU does not run now.
 */
#ifndef BAILEY_GDB_REGS_H
#define BAILEY_GDB_REGS_H

#include <glib.h>

#include "monitor/monitor.h"

typedef struct GdbRegs GdbRegs;

GdbRegs *gdb_regs_new(void);
void     gdb_regs_free(GdbRegs *r);

/* gdb_regs_xml - the target description. */
const char *gdb_regs_xml(const GdbRegs *r);

/* gdb_regs_general - how many registers, from 0 on, answer to 'g': those of the architecture description. */
unsigned gdb_regs_general(void);

/* gdb_regs_read - register @n of the session's CPU, in hexadecimal; "xx..." where it does not exist now. False: there
 * is no register of that number. */
bool gdb_regs_read(const GdbRegs *r, Mon *mon, unsigned n, GString *out);

/* gdb_regs_write - from hexadecimal. False: no such register, too few digits, or it cannot be written. */
bool gdb_regs_write(const GdbRegs *r, Mon *mon, unsigned n, const char *hex);

/* put_hex, get_hex - bytes to and from hexadecimal text; get_hex() returns how many, at most @cap. */
void   put_hex(GString *s, const void *data, size_t len);
size_t get_hex(const char *text, uint8_t *dst, size_t cap);

#endif
