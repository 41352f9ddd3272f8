/*
 * ACPI tables: the loader's commands carried out as firmware would, then every table found from the RSDP: checksums,
 * lengths, and the fields that kernels act on. With a folder as argument the tables are written there, for iasl
 * (tests/acpi_iasl).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "acpi.h"
#include "bits.h"
#include "board/cca_acpi.h"
#include "bytes.h"

/* ---- the loader ---- */

enum { ENTRY = 128, NAME = 56, N_CPUS = 3 };

typedef struct File {
    const char *name;
    uint64_t    addr; /* where firmware put it */
    GByteArray *bytes;
} File;

typedef struct Firmware {
    File file[2];
} Firmware;

static File *file_of(Firmware *f, const uint8_t *name)
{
    for (size_t i = 0; i < ARRAY_LEN(f->file); i++) {
        if (strncmp(f->file[i].name, (const char *)name, NAME) == 0) {
            return &f->file[i];
        }
    }
    fail_msg("the loader names a file '%.55s'", (const char *)name);
    return NULL;
}

static void run_entry(Firmware *f, const uint8_t *e)
{
    File    *to = file_of(f, e + 4);
    uint32_t at, from, len;
    uint8_t  sum = 0;

    switch (le32_get(e)) {
    case 1:
        assert_int_equal(to->addr, 0); /* once */
        assert_int_not_equal(le32_get(e + 4 + NAME), 0);
        to->addr = to == &f->file[0] ? 0x17fff0000 : 0x12340000;
        break;
    case 2:
        at = le32_get(e + 4 + 2 * NAME);
        assert_int_equal(e[4 + 2 * NAME + 4], 8);
        assert_true(at + 8 <= to->bytes->len);
        File *pointee = file_of(f, e + 4 + NAME);
        assert_true(pointee->addr != 0 && le64_get(to->bytes->data + at) < pointee->bytes->len);
        le64_put(to->bytes->data + at, le64_get(to->bytes->data + at) + pointee->addr);
        break;
    case 3:
        at = le32_get(e + 4 + NAME);
        from = le32_get(e + 8 + NAME);
        len = le32_get(e + 12 + NAME);
        assert_true(from + len <= to->bytes->len && at < to->bytes->len);
        to->bytes->data[at] = 0;
        for (uint32_t i = 0; i < len; i++) {
            sum = (uint8_t)(sum + to->bytes->data[from + i]);
        }
        to->bytes->data[at] = (uint8_t)-sum;
        break;
    default:
        fail_msg("the loader has a command %u", le32_get(e));
    }
}

static Firmware load(CcaAcpi *t)
{
    Firmware f = { { { "etc/acpi/tables", 0, t->tables }, { "etc/acpi/rsdp", 0, t->rsdp } } };

    assert_int_equal(t->loader->len % ENTRY, 0);
    for (uint32_t i = 0; i < t->loader->len; i += ENTRY) {
        run_entry(&f, t->loader->data + i);
    }
    return f;
}

/* ---- tables ---- */

static uint8_t sum_of(const uint8_t *p, uint32_t len)
{
    uint8_t sum = 0;

    while (len-- != 0) {
        sum = (uint8_t)(sum + *p++);
    }
    return sum;
}

static const uint8_t *at_address(const Firmware *f, uint64_t addr)
{
    const File *t = &f->file[0];

    assert_true(addr >= t->addr && addr - t->addr + ACPI_HEADER <= t->bytes->len);
    const uint8_t *p = t->bytes->data + (addr - t->addr);

    assert_true(addr - t->addr + le32_get(p + 4) <= t->bytes->len);
    assert_int_equal(sum_of(p, le32_get(p + 4)), 0);
    return p;
}

/* From the RSDP, as a kernel does; the DSDT by way of the FADT. */
static const uint8_t *find_table(const Firmware *f, const char *signature)
{
    const uint8_t *rsdp = f->file[1].bytes->data, *xsdt;

    assert_memory_equal(rsdp, "RSD PTR ", 8);
    assert_int_equal(sum_of(rsdp, 20), 0);
    assert_int_equal(sum_of(rsdp, le32_get(rsdp + 20)), 0);
    xsdt = at_address(f, le64_get(rsdp + 24));
    assert_memory_equal(xsdt, "XSDT", 4);
    for (uint32_t i = ACPI_HEADER; i < le32_get(xsdt + 4); i += 8) {
        const uint8_t *t = at_address(f, le64_get(xsdt + i));

        if (memcmp(t, signature, 4) == 0) {
            return t;
        }
        if (strcmp(signature, "DSDT") == 0 && memcmp(t, "FACP", 4) == 0) {
            return at_address(f, le64_get(t + 140));
        }
    }
    fail_msg("there is no table %s", signature);
    return NULL;
}

typedef struct FieldRow {
    const char *table;
    uint32_t    offset, size;
    uint64_t    value;
    const char *name;
} FieldRow;

static const FieldRow rows[] = {
    { "FACP", 4, 4, 276, "length" },
    { "FACP", 112, 4, 0x100030, "hardware-reduced, no fixed buttons" },
    { "FACP", 129, 2, 1, "PSCI by SMC" },
    { "FACP", 40, 4, 0, "no 32-bit DSDT" },
    { "APIC", 4, 4, 44 + 80 * N_CPUS + 24 + 16 + 20, "length" },
    { "APIC", 44, 2, 0x500b, "GICC and its length" },
    { "APIC", 44 + 80 + 8, 4, 1, "UID of the second CPU" },
    { "APIC", 44 + 80 + 12, 4, 1, "enabled" },
    { "APIC", 44 + 56, 4, 25, "maintenance interrupt" },
    { "APIC", 44 + 2 * 80 + 68, 8, 2, "MPIDR of the third CPU" },
    { "APIC", 44 + 3 * 80 + 8, 8, 0x08000000, "distributor" },
    { "APIC", 44 + 3 * 80 + 20, 1, 3, "GICv3" },
    { "APIC", 44 + 3 * 80 + 24 + 4, 8, 0x080a0000, "redistributors" },
    { "APIC", 44 + 3 * 80 + 24 + 12, 4, 3 * 0x20000, "of three CPUs" },
    { "APIC", 44 + 3 * 80 + 24 + 16 + 8, 8, 0x08080000, "ITS" },
    { "GTDT", 4, 4, 104, "length" },
    { "GTDT", 48, 4, 29, "secure timer" },
    { "GTDT", 56, 4, 30, "physical timer" },
    { "GTDT", 64, 4, 27, "virtual timer" },
    { "GTDT", 72, 4, 26, "EL2 timer" },
    { "GTDT", 96, 4, 28, "virtual EL2 timer" },
    { "MCFG", 44, 8, 0x4010000000, "ECAM" },
    { "MCFG", 54, 2, 0xff00, "buses" },
    { "IORT", 4, 4, 48 + 24 + 88 + 56, "length" },
    { "IORT", 36, 4, 3, "nodes" },
    { "IORT", 48, 4, 0x00001800, "ITS group, 24 bytes, revision 0" },
    { "IORT", 72, 4, 0x01005804, "SMMUv3, 88 bytes, revision 1" },
    { "IORT", 72 + 16, 8, 0x09050000, "SMMU" },
    { "IORT", 72 + 44, 4, 32 + 74, "event queue" },
    { "IORT", 72 + 68 + 12, 4, 48, "goes on to the ITS" },
    { "IORT", 160, 4, 0x01003802, "root complex, 56 bytes, revision 1" },
    { "IORT", 160 + 36 + 4, 4, 0xffff, "all requesters" },
    { "IORT", 160 + 36 + 12, 4, 72, "go on to the SMMU" },
    { "SPCR", 4, 4, 80, "length" },
    { "SPCR", 36, 1, 3, "PL011" },
    { "SPCR", 44, 8, 0x09000000, "its address" },
    { "SPCR", 54, 4, 33, "its interrupt" },
    { "DBG2", 44 + 12, 4, 0x00038000, "serial port, PL011" },
    { "DBG2", 44 + 26, 8, 0x09000000, "its address" },
    { "PPTT", 4, 4, 36 + 20 * (1 + N_CPUS), "length" },
    { "PPTT", 36, 8, 0x100001400, "node of 20 bytes: package" },
    { "PPTT", 76, 8, 0xa00001400, "node of 20 bytes: leaf with an identifier" },
    { "PPTT", 84, 8, 0x100000024, "in the package; UID of the second CPU" },
    { "DSDT", 8, 1, 2, "64-bit integers" },
};

static void test_tables(void **state)
{
    CcaAcpi  t = cca_acpi_build(&cca_virt, N_CPUS, 2);
    Firmware f = load(&t);

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const FieldRow *r = &rows[i];
        const uint8_t  *table = find_table(&f, r->table);

        assert_true(r->offset + r->size <= le32_get(table + 4));
        if (le_get(table + r->offset, r->size) != r->value) {
            fail_msg("%s, %s: 0x%llx", r->table, r->name, (unsigned long long)le_get(table + r->offset, r->size));
        }
    }
    cca_acpi_free(&t);
}

/* ---- AML ---- */

typedef struct LengthRow {
    uint32_t    content;
    const char *bytes; /* of the package length */
    uint32_t    n;
} LengthRow;

static const LengthRow length_rows[] = {
    { 0, "\x01", 1 },
    { 62, "\x3f", 1 },
    { 63, "\x41\x04", 2 }, /* 65 = 0x041 */
    { 4093, "\x4f\xff", 2 },
    { 4094, "\x81\x00\x01", 3 }, /* 4097 = 0x1001 */
    { 0xffffc, "\x8f\xff\xff", 3 },
    { 0xffffd, "\xc1\x00\x00\x01", 4 }, /* 0x100001 */
};

static void test_package_length(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(length_rows); i++) {
        const LengthRow *r = &length_rows[i];
        GByteArray      *a = g_byte_array_new();
        uint32_t         at = aml_begin(a, AML_SCOPE);

        for (uint32_t k = 0; k < r->content; k++) {
            acpi_u8(a, 0x55);
        }
        aml_end(a, at);
        assert_int_equal(a->len, 1 + r->n + r->content);
        assert_memory_equal(a->data + at, r->bytes, r->n);
        for (uint32_t k = at + r->n; k < a->len; k++) {
            assert_int_equal(a->data[k], 0x55);
        }
        g_byte_array_unref(a);
    }
}

static void check_bytes(GByteArray *a, const char *bytes, size_t n)
{
    assert_int_equal(a->len, n);
    assert_memory_equal(a->data, bytes, n);
    g_byte_array_set_size(a, 0);
}

static void test_objects(void **state)
{
    GByteArray *a = g_byte_array_new();

    aml_int(a, 0);
    aml_int(a, 1);
    aml_int(a, 0xff);
    aml_int(a, 0x100);
    aml_int(a, 0x10000);
    aml_int(a, 0x100000000);
    check_bytes(a, "\x00\x01\x0a\xff\x0b\x00\x01\x0c\x00\x00\x01\x00\x0e\x00\x00\x00\x00\x01\x00\x00\x00", 21);
    aml_name_eisa(a, "_HID", "PNP0A08");
    check_bytes(a, "\x08_HID\x0c\x41\xd0\x0a\x08", 10);
    aml_name_string(a, "_HID", "ARMH0011");
    check_bytes(a, "\x08_HID\x0d" "ARMH0011\0", 15);
    aml_path(a, "\\_SB_PCI0");
    check_bytes(a, "\\\x2e_SB_PCI0", 10);
    uint32_t crs = aml_resources(a, "_CRS");
    aml_interrupt(a, 33);
    aml_resources_end(a, crs);
    check_bytes(a, "\x08_CRS\x11\x0f\x0b\x0b\x00\x89\x06\x00\x01\x01\x21\x00\x00\x00\x79\x00", 21);
    g_byte_array_unref(a);
}

/* ---- for iasl ---- */

static int write_tables(const char *folder)
{
    static const char *const names[] = { "FACP", "APIC", "GTDT", "MCFG", "IORT", "SPCR", "DBG2", "PPTT", "DSDT" };
    CcaAcpi                  t = cca_acpi_build(&cca_virt, N_CPUS, 2);
    Firmware                 f = load(&t);
    bool                     ok = true;

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const uint8_t *table = find_table(&f, names[i]);
        char          *path = g_strdup_printf("%s/%s.aml", folder, names[i]);

        ok &= g_file_set_contents(path, (const char *)table, le32_get(table + 4), NULL);
        g_free(path);
    }
    cca_acpi_free(&t);
    return ok ? 0 : 1;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_package_length),
        cmocka_unit_test(test_objects),
    };

    return argc > 1 ? write_tables(argv[1]) : cmocka_run_group_tests(tests, NULL, NULL);
}
