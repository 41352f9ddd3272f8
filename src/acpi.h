/*
 * ACPI tables as bytes: headers and their lengths, fields, AML, and the commands by which firmware puts tables into
 * memory (the table loader of the fw_cfg interface). Knows no machine. ACPI specification 6.5, chapters 5.2 "ACPI
 * System Description Tables" and 20 "ACPI Machine Language Specification".
 */
#ifndef BAILEY_ACPI_H
#define BAILEY_ACPI_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* ---- fields: little-endian, appended ---- */

void acpi_u8(GByteArray *a, uint8_t v);
void acpi_u16(GByteArray *a, uint16_t v);
void acpi_u32(GByteArray *a, uint32_t v);
void acpi_u64(GByteArray *a, uint64_t v);
void acpi_zero(GByteArray *a, unsigned n);

/* acpi_gas - Generic Address Structure of memory at @addr, accessed @width bytes at a time; "Generic Address
 * Structure". */
void acpi_gas(GByteArray *a, uint64_t addr, unsigned width);

/* ---- tables ---- */

enum { ACPI_HEADER = 36 };

/* acpi_table - a table begins at the next 8-byte boundary: its header, without length and checksum. Returns its
 * offset, for acpi_table_end(). */
uint32_t acpi_table(GByteArray *a, const char signature[4], uint8_t revision);

/* acpi_table_end - the table ends here: puts its length into the header. The loader makes the checksum. */
void acpi_table_end(GByteArray *a, uint32_t table);

/* ---- AML: "AML Grammar Definition" ---- */

/* aml_begin - a term that holds others, from its opcode (0x5b00 + n: extended); fixed arguments follow, then its
 * terms. Returns what aml_end() needs to put its package length in. */
uint32_t aml_begin(GByteArray *a, uint16_t opcode);
void     aml_end(GByteArray *a, uint32_t at);

enum { AML_SCOPE = 0x10, AML_BUFFER = 0x11, AML_PACKAGE = 0x12, AML_METHOD = 0x14, AML_IF = 0xa0, AML_ELSE = 0xa1,
       AML_DEVICE = 0x5b82 };

/* aml_path - "_HID" or "\\_SB_", each segment of four characters. */
void aml_path(GByteArray *a, const char *path);
void aml_int(GByteArray *a, uint64_t v);          /* the shortest encoding */
void aml_string(GByteArray *a, const char *text);
void aml_op(GByteArray *a, uint8_t op);           /* a bare opcode */

/* Name (@name, value). Of aml_name() the value follows as the caller's next term. */
void aml_name_int(GByteArray *a, const char *name, uint64_t v);
void aml_name_string(GByteArray *a, const char *name, const char *text);
void aml_name_eisa(GByteArray *a, const char *name, const char *id); /* EISAID: "PNP0A08" */
void aml_name(GByteArray *a, const char *name);

/* Resource templates: begin, descriptors, end. "Resource Data Types for ACPI". */
uint32_t aml_resources(GByteArray *a, const char *name);
void     aml_resources_end(GByteArray *a, uint32_t at);
void     aml_memory(GByteArray *a, uint32_t base, uint32_t size);    /* 32-bit fixed, read-write */
void     aml_interrupt(GByteArray *a, uint32_t intid);               /* level, high, exclusive */
void     aml_gpio_interrupt(GByteArray *a, unsigned pin, const char *controller); /* rising edge, exclusive; its path */
void     aml_buses(GByteArray *a, unsigned n);                       /* buses 0 to @n - 1 below a host bridge */

/* aml_window - an address space: QWord descriptor. Producer: what a bridge passes on; else the device's own.
 * @translation: what is added to an address below the bridge for the one above it */
enum { AML_WINDOW_MEMORY, AML_WINDOW_IO };
void aml_window(GByteArray *a, unsigned kind, bool producer, uint64_t base, uint64_t size, uint64_t translation);

/* ---- the table loader: QEMU's fw_cfg interface, "etc/table-loader" ---- */

/* acpi_load - get memory for the file @name. */
void acpi_load(GByteArray *loader, const char *name, uint32_t align);

/* acpi_point - @size bytes at @at of file @name hold an offset into file @to: add where that was put. */
void acpi_point(GByteArray *loader, const char *name, const char *to, uint32_t at, uint8_t size);

/* acpi_checksum - make bytes [@from, @from + @len) of file @name sum to 0 by the one at @at. */
void acpi_checksum(GByteArray *loader, const char *name, uint32_t at, uint32_t from, uint32_t len);

#endif
