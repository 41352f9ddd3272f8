/*
 * Appends to byte arrays; what is known only later (lengths) is put in when its part ends.
 */
#include "acpi.h"

#include <string.h>

#include "bytes.h"

/* ---- fields ---- */

static void put(GByteArray *a, const void *p, size_t len)
{
    g_byte_array_append(a, p, (guint)len);
}

static void put_le(GByteArray *a, uint64_t v, unsigned size)
{
    uint8_t b[8];

    le64_put(b, v);
    put(a, b, size);
}

void acpi_u8(GByteArray *a, uint8_t v) { put_le(a, v, 1); }
void acpi_u16(GByteArray *a, uint16_t v) { put_le(a, v, 2); }
void acpi_u32(GByteArray *a, uint32_t v) { put_le(a, v, 4); }
void acpi_u64(GByteArray *a, uint64_t v) { put_le(a, v, 8); }

void acpi_zero(GByteArray *a, unsigned n)
{
    for (; n != 0; n--) {
        acpi_u8(a, 0);
    }
}

/* A text of exactly @len bytes, filled up with @fill. */
static void put_text(GByteArray *a, const char *text, size_t len, char fill)
{
    for (size_t i = 0; i < len; i++) {
        acpi_u8(a, (uint8_t)(i < strlen(text) ? text[i] : fill));
    }
}

void acpi_gas(GByteArray *a, uint64_t addr, unsigned width)
{
    acpi_u8(a, 0); /* system memory */
    acpi_u8(a, (uint8_t)(width * 8));
    acpi_u8(a, 0);
    acpi_u8(a, (uint8_t)(width == 1 ? 1 : width == 2 ? 2 : width == 4 ? 3 : width == 8 ? 4 : 0));
    acpi_u64(a, addr);
}

/* ---- tables ---- */

uint32_t acpi_table(GByteArray *a, const char signature[4], uint8_t revision)
{
    while (a->len % 8 != 0) {
        acpi_u8(a, 0);
    }
    uint32_t at = a->len;

    put(a, signature, 4);
    acpi_u32(a, 0); /* length */
    acpi_u8(a, revision);
    acpi_u8(a, 0); /* checksum */
    put_text(a, "BAILEY", 6, ' ');
    put_text(a, "BAILEY", 8, ' ');
    acpi_u32(a, 1);
    put_text(a, "BLY", 4, ' ');
    acpi_u32(a, 1);
    return at;
}

void acpi_table_end(GByteArray *a, uint32_t table)
{
    le32_put(a->data + table + 4, a->len - table);
}

/* ---- AML ---- */

void aml_op(GByteArray *a, uint8_t op) { acpi_u8(a, op); }

static void put_opcode(GByteArray *a, uint16_t opcode)
{
    if (opcode > 0xff) {
        acpi_u8(a, (uint8_t)(opcode >> 8));
    }
    acpi_u8(a, (uint8_t)opcode);
}

uint32_t aml_begin(GByteArray *a, uint16_t opcode)
{
    put_opcode(a, opcode);
    return a->len;
}

/* "Package Length Encoding": the length counts its own bytes; one byte holds 6 bits, more hold 4 and 8 each. */
void aml_end(GByteArray *a, uint32_t at)
{
    uint32_t len = a->len - at;
    unsigned extra = len + 1 < 1u << 6 ? 0 : len + 2 < 1u << 12 ? 1 : len + 3 < 1u << 20 ? 2 : 3;
    uint8_t  b[4] = { 0 };

    len += extra + 1;
    if (extra == 0) {
        b[0] = (uint8_t)len;
    } else {
        b[0] = (uint8_t)(extra << 6 | (len & 15));
        for (unsigned i = 1; i <= extra; i++) {
            b[i] = (uint8_t)(len >> (4 + 8 * (i - 1)));
        }
    }
    acpi_zero(a, extra + 1);
    memmove(a->data + at + extra + 1, a->data + at, a->len - at - extra - 1);
    memcpy(a->data + at, b, extra + 1);
}

/* "Name Objects Encoding". */
void aml_path(GByteArray *a, const char *path)
{
    if (*path == '\\') {
        acpi_u8(a, (uint8_t)*path++);
    }
    if (strlen(path) == 8) {
        acpi_u8(a, 0x2e); /* DualNamePrefix */
    }
    put(a, path, strlen(path));
}

void aml_int(GByteArray *a, uint64_t v)
{
    static const uint8_t prefix[] = { [1] = 0x0a, [2] = 0x0b, [4] = 0x0c, [8] = 0x0e };
    unsigned             size = v <= 0xff ? 1 : v <= 0xffff ? 2 : v <= 0xffffffff ? 4 : 8;

    if (v <= 1) {
        acpi_u8(a, (uint8_t)v); /* ZeroOp, OneOp */
        return;
    }
    acpi_u8(a, prefix[size]);
    put_le(a, v, size);
}

void aml_string(GByteArray *a, const char *text)
{
    acpi_u8(a, 0x0d);
    put(a, text, strlen(text) + 1);
}

void aml_name(GByteArray *a, const char *name)
{
    acpi_u8(a, 0x08);
    aml_path(a, name);
}

void aml_name_int(GByteArray *a, const char *name, uint64_t v)
{
    aml_name(a, name);
    aml_int(a, v);
}

void aml_name_string(GByteArray *a, const char *name, const char *text)
{
    aml_name(a, name);
    aml_string(a, text);
}

/* "EISAID": three letters of 5 bits, four hexadecimal digits; the bytes in big-endian order. */
void aml_name_eisa(GByteArray *a, const char *name, const char *id)
{
    uint32_t v = (uint32_t)(id[0] - '@') << 26 | (uint32_t)(id[1] - '@') << 21 | (uint32_t)(id[2] - '@') << 16;

    for (unsigned i = 0; i < 4; i++) {
        v |= (uint32_t)g_ascii_xdigit_value(id[3 + i]) << (12 - 4 * i);
    }
    aml_name(a, name);
    acpi_u8(a, 0x0c);
    acpi_u32(a, GUINT32_SWAP_LE_BE(v));
}

/* ---- resources ---- */

/* A Buffer whose size comes when it ends: always as a word, so that its place is known. */
uint32_t aml_resources(GByteArray *a, const char *name)
{
    aml_name(a, name);
    uint32_t at = aml_begin(a, AML_BUFFER);

    acpi_u8(a, 0x0b);
    acpi_u16(a, 0);
    return at;
}

void aml_resources_end(GByteArray *a, uint32_t at)
{
    acpi_u8(a, 0x79); /* end tag; checksum 0: none */
    acpi_u8(a, 0);
    le16_put(a->data + at + 1, (uint16_t)(a->len - at - 3));
    aml_end(a, at);
}

void aml_memory(GByteArray *a, uint32_t base, uint32_t size)
{
    acpi_u8(a, 0x86); /* 32-bit Fixed Memory Range Descriptor */
    acpi_u16(a, 9);
    acpi_u8(a, 1); /* writable */
    acpi_u32(a, base);
    acpi_u32(a, size);
}

void aml_interrupt(GByteArray *a, uint32_t intid)
{
    acpi_u8(a, 0x89); /* Extended Interrupt Descriptor */
    acpi_u16(a, 6);
    acpi_u8(a, 1); /* consumer, level, active high, exclusive */
    acpi_u8(a, 1);
    acpi_u32(a, intid);
}

void aml_gpio_interrupt(GByteArray *a, unsigned pin, const char *controller)
{
    enum { HEAD = 23, PIN = 2 }; /* bytes of the descriptor before the pins, and of each of these */
    uint16_t end = (uint16_t)(HEAD + PIN + strlen(controller) + 1);

    acpi_u8(a, 0x8c); /* GPIO Connection Descriptor */
    acpi_u16(a, end - 3);
    acpi_u8(a, 1);          /* revision */
    acpi_u8(a, 0);          /* an interrupt */
    acpi_u16(a, 1);         /* consumer */
    acpi_u16(a, 1);         /* edge, active high, exclusive */
    acpi_u8(a, 2);          /* pulled down */
    acpi_u16(a, 0);         /* drive strength */
    acpi_u16(a, 0);         /* debouncing */
    acpi_u16(a, HEAD);
    acpi_u8(a, 0);
    acpi_u16(a, HEAD + PIN);
    acpi_u16(a, end);       /* vendor's data: none */
    acpi_u16(a, 0);
    acpi_u16(a, (uint16_t)pin);
    put(a, controller, strlen(controller) + 1);
}

void aml_buses(GByteArray *a, unsigned n)
{
    acpi_u8(a, 0x88); /* Word Address Space Descriptor */
    acpi_u16(a, 13);
    acpi_u8(a, 2);               /* bus numbers */
    acpi_u8(a, 1 << 3 | 1 << 2); /* producer, both ends fixed, positive decode */
    acpi_u8(a, 0);
    acpi_u16(a, 0);
    acpi_u16(a, 0);
    acpi_u16(a, (uint16_t)(n - 1));
    acpi_u16(a, 0);
    acpi_u16(a, (uint16_t)n);
}

void aml_window(GByteArray *a, unsigned kind, bool producer, uint64_t base, uint64_t size, uint64_t translation)
{
    static const uint8_t type_flags[] = {
        [AML_WINDOW_MEMORY] = 1, /* read-write, not cacheable */
        [AML_WINDOW_IO] = 3 | 1 << 4, /* the entire range; the other side is memory */
    };

    acpi_u8(a, 0x8a); /* QWord Address Space Descriptor */
    acpi_u16(a, 43);
    acpi_u8(a, (uint8_t)kind);
    acpi_u8(a, (uint8_t)(1 << 3 | 1 << 2 | !producer)); /* both ends fixed, positive decode */
    acpi_u8(a, type_flags[kind]);
    acpi_u64(a, 0); /* granularity */
    acpi_u64(a, base);
    acpi_u64(a, base + size - 1);
    acpi_u64(a, translation);
    acpi_u64(a, size);
}

/* ---- the table loader ---- */

enum { LOADER_ENTRY = 128, LOADER_NAME = 56, CMD_ALLOCATE = 1, CMD_POINTER = 2, CMD_CHECKSUM = 3, ZONE_HIGH = 1 };

static void end_entry(GByteArray *loader)
{
    while (loader->len % LOADER_ENTRY != 0) {
        acpi_u8(loader, 0);
    }
}

void acpi_load(GByteArray *loader, const char *name, uint32_t align)
{
    acpi_u32(loader, CMD_ALLOCATE);
    put_text(loader, name, LOADER_NAME, '\0');
    acpi_u32(loader, align);
    acpi_u8(loader, ZONE_HIGH);
    end_entry(loader);
}

void acpi_point(GByteArray *loader, const char *name, const char *to, uint32_t at, uint8_t size)
{
    acpi_u32(loader, CMD_POINTER);
    put_text(loader, name, LOADER_NAME, '\0');
    put_text(loader, to, LOADER_NAME, '\0');
    acpi_u32(loader, at);
    acpi_u8(loader, size);
    end_entry(loader);
}

void acpi_checksum(GByteArray *loader, const char *name, uint32_t at, uint32_t from, uint32_t len)
{
    acpi_u32(loader, CMD_CHECKSUM);
    put_text(loader, name, LOADER_NAME, '\0');
    acpi_u32(loader, at);
    acpi_u32(loader, from);
    acpi_u32(loader, len);
    end_entry(loader);
}
