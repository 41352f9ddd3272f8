/*
 * The device core: register tables, properties, options, DMA.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bytes.h"
#include "device.h"
#include "dma.h"

typedef struct Toy {
    Device   dev;
    uint32_t plain, masked, array[4];
    uint64_t wide;
    uint32_t hidden;
    uint64_t last_write;
    unsigned last_index;
    bool     flag;
    uint64_t number, size;
    char    *text;
    uint8_t  mac[6];
} Toy;

static uint64_t read_index(Device *dev, const Reg *reg, unsigned index)
{
    return 0x100 + index;
}

static void note_write(Device *dev, const Reg *reg, unsigned index, uint64_t value)
{
    ((Toy *)dev)->last_write = value;
    ((Toy *)dev)->last_index = index;
}

static const Reg toy_regs[] = {
    { 0x00, "PLAIN",  FIELD(Toy, plain),  0x11,       ~0u,        NULL,       NULL },
    { 0x04, "MASKED", FIELD(Toy, masked), 0xf0,       0x0ff0,     NULL,       note_write },
    { 0x08, "WIDE",   FIELD(Toy, wide),   0,          ~0ull,      NULL,       NULL,       0, 0, 8 },
    { 0x10, "ARRAY",  FIELD_ELEMENTS(Toy, array), 7,          ~0u,        NULL,       note_write, 4, 8 },
    { 0x30, "ID",     NO_FIELD,           0xabcd1234, 0,          NULL,       NULL },
    { 0x40, "INDEX",  NO_FIELD,           0,          0xff,       read_index, note_write, 2, 4 },
};

static const Field toy_fields[] = { FIELD_RESET(Toy, hidden, 5) };

static const Prop toy_props[] = {
    { "flag", PROP_BOOL, offsetof(Toy, flag), "on", "a flag" },
    { "number", PROP_UINT, offsetof(Toy, number), "3", "a number" },
    { "size", PROP_SIZE, offsetof(Toy, size), NULL, "a size" },
    { "text", PROP_STRING, offsetof(Toy, text), NULL, "a text" },
    { "mac", PROP_MAC, offsetof(Toy, mac), NULL, "an address" },
};

DEVICE(toy, .name = "toy", .bus = "pci", .state_size = sizeof(Toy), .mmio_size = 0x100,
       .access = ACCESS_ANY, .regs = toy_regs, .n_regs = ARRAY_LEN(toy_regs), .fields = toy_fields,
       .n_fields = ARRAY_LEN(toy_fields), .props = toy_props, .n_props = ARRAY_LEN(toy_props));
DEVICE(strict, .name = "strict", .bus = "sysbus", .state_size = sizeof(Toy), .mmio_size = 0x100,
       .access = ACCESS_32, .regs = toy_regs, .n_regs = 2);

/* A write, then a read; what the read gives. */
typedef struct AccessCase {
    const char *name;
    const char *cls;
    uint64_t    woff;
    unsigned    wsize; /* 0: no write */
    uint64_t    value;
    MemResult   wresult;
    uint64_t    roff;
    unsigned    rsize;
    MemResult   rresult;
    uint64_t    expect;
} AccessCase;

/* name, class, write (offset, size, value, result), read (offset, size, result, value) */
static const AccessCase access_cases[] = {
    { "reset value", "toy", 0, 0, 0, MEM_OK, 0x00, 4, MEM_OK, 0x11 },
    { "plain keeps all bits", "toy", 0x00, 4, 0xdeadbeef, MEM_OK, 0x00, 4, MEM_OK, 0xdeadbeef },
    { "mask keeps the other bits", "toy", 0x04, 4, 0xffffffff, MEM_OK, 0x04, 4, MEM_OK, 0x0ff0 },
    { "mask can clear", "toy", 0x04, 4, 0, MEM_OK, 0x04, 4, MEM_OK, 0 },
    { "byte write leaves neighbours", "toy", 0x01, 1, 0x22, MEM_OK, 0x00, 4, MEM_OK, 0x2211 },
    { "half read of the upper half", "toy", 0x00, 4, 0x12345678, MEM_OK, 0x02, 2, MEM_OK, 0x1234 },
    { "8-byte register", "toy", 0x08, 8, 0x1122334455667788, MEM_OK, 0x08, 8, MEM_OK, 0x1122334455667788 },
    { "its upper half alone", "toy", 0x0c, 4, 0x99, MEM_OK, 0x08, 8, MEM_OK, 0x9900000000 },
    { "8 bytes over two registers", "toy", 0x00, 8, 0xff000000042, MEM_OK, 0x00, 8, MEM_OK, 0xff000000042 },
    { "array element", "toy", 0x18, 4, 9, MEM_OK, 0x18, 4, MEM_OK, 9 },
    { "its neighbour is untouched", "toy", 0x18, 4, 9, MEM_OK, 0x10, 4, MEM_OK, 7 },
    { "hole of the array", "toy", 0x14, 4, 9, MEM_OK, 0x14, 4, MEM_OK, 0 },
    { "constant", "toy", 0x30, 4, 1, MEM_OK, 0x30, 4, MEM_OK, 0xabcd1234 },
    { "index reaches the handler", "toy", 0, 0, 0, MEM_OK, 0x44, 4, MEM_OK, 0x101 },
    { "undefined reads zero", "toy", 0xf0, 4, 1, MEM_OK, 0xf0, 4, MEM_OK, 0 },
    { "far beyond reads zero", "toy", 1ull << 40, 8, 1, MEM_OK, 1ull << 40, 8, MEM_OK, 0 },
    { "width not allowed", "strict", 0x00, 1, 1, MEM_SLAVE, 0x00, 8, MEM_SLAVE, 0 },
    { "not aligned", "strict", 0x02, 4, 1, MEM_SLAVE, 0x01, 4, MEM_SLAVE, 0 },
};

static void test_access(void **state)
{
    MemAttrs attrs = { .pas = PAS_NONSECURE };

    for (size_t i = 0; i < ARRAY_LEN(access_cases); i++) {
        const AccessCase *c = &access_cases[i];
        Device           *dev = device_new(device_class_find(c->cls), "d", NULL, 1);
        uint64_t          value = 0;

        print_message("%s\n", c->name);
        assert_true(device_realize(dev, NULL));
        if (c->wsize != 0) {
            assert_int_equal(device_mmio_ops.write(dev, c->woff, c->wsize, attrs, c->value), c->wresult);
        }
        assert_int_equal(device_mmio_ops.read(dev, c->roff, c->rsize, attrs, &value), c->rresult);
        assert_int_equal(value, c->expect);
        device_free(dev);
    }
}

static void test_write_handler(void **state)
{
    Device  *dev = device_new(device_class_find("toy"), "d", NULL, 1);
    Toy     *t = (Toy *)dev;
    MemAttrs attrs = { .requester = 9 };

    assert_int_equal(device_reg_write(dev, 0x44, 4, attrs, 0x1ff), MEM_OK);
    assert_int_equal(t->last_write, 0xff); /* the mask came first */
    assert_int_equal(t->last_index, 1);
    assert_int_equal(dev->attrs.requester, 9);
    assert_int_equal(device_reg_write(dev, 0x28, 4, attrs, 0x77), MEM_OK);
    assert_int_equal(t->array[3], 0x77);
    assert_int_equal(t->last_index, 3);
    t->hidden = 0;
    device_reset(dev);
    assert_int_equal(t->array[3], 7);
    assert_int_equal(t->hidden, 5);
    device_free(dev);
}

typedef struct PropCase {
    const char *option;
    const char *error; /* part of the sentence; NULL: accepted */
} PropCase;

static const PropCase prop_cases[] = {
    { "toy", NULL },
    { "toy,flag=off,number=0x10,size=64K,text=a,,b,mac=52:54:00:00:00:01", NULL },
    { "toy,flag", NULL },
    { "toy,id=x,bus=y,addr=3", NULL },
    { "toy,flag=maybe", "takes on or off" },
    { "toy,number=12z", "takes a number" },
    { "toy,number=-1", "takes a number" },
    { "toy,size=big", "takes a size" },
    { "toy,mac=1:2:3", "takes six" },
    { "toy,mac=01:00:00:00:00:01", "takes six" },
    { "toy,colour=red", "has no property 'colour'" },
    { "nothing", "no device 'nothing'" },
    { "strict", "no device 'strict'" }, /* the board's own */
};

static void test_properties(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(prop_cases); i++) {
        GError *error = NULL;
        Device *dev = device_from_option(prop_cases[i].option, NULL, 1, &error);

        print_message("%s\n", prop_cases[i].option);
        if (prop_cases[i].error == NULL) {
            assert_non_null(dev);
            device_free(dev);
        } else {
            assert_null(dev);
            assert_non_null(strstr(error->message, prop_cases[i].error));
            g_error_free(error);
        }
    }
    Device *dev = device_from_option(prop_cases[1].option, NULL, 1, NULL);
    Toy    *t = (Toy *)dev;

    assert_false(t->flag);
    assert_int_equal(t->number, 16);
    assert_int_equal(t->size, 65536);
    assert_string_equal(t->text, "a,b");
    assert_int_equal(t->mac[5], 1);
    device_free(dev);
}

/* ---- DMA ---- */

static DmaResult pages(void *opaque, const DmaRequest *req, DmaTarget *out)
{
    unsigned *calls = opaque;

    (*calls)++;
    if (req->iova >= 0x5000) {
        return DMA_FAULT;
    }
    out->pa = 0x40000000 + (req->iova ^ 0x1000); /* pages change places in pairs */
    out->len = 0x1000 - (req->iova & 0xfff);
    out->pas = PAS_NONSECURE;
    return DMA_OK;
}

static void test_dma(void **state)
{
    Owners  *owners = owners_new();
    Memory  *m = memory_new(owners);
    unsigned calls = 0;
    DmaPort  port = { .memory = m, .translate = pages, .opaque = &calls, .requester = 8, .enabled = true };
    uint8_t  buf[0x3000], back[0x3000];
    MemAttrs attrs = { .pas = PAS_NONSECURE };

    memory_add_ram(m, "ram", 0x40000000, 0x10000, NULL);
    for (unsigned i = 0; i < sizeof(buf); i++) {
        buf[i] = (uint8_t)(i * 7);
    }
    assert_int_equal(dma_write(&port, 0x800, buf, 0x2000), DMA_OK);
    assert_int_equal(calls, 3);
    assert_int_equal(port.bytes_written[PAS_NONSECURE], 0x2000);
    assert_int_equal(dma_read(&port, 0x800, back, 0x2000), DMA_OK);
    assert_memory_equal(buf, back, 0x2000);
    assert_int_equal(memory_read(m, 0x40001800, attrs, back, 0x800), MEM_OK); /* the first page's place */
    assert_memory_equal(buf, back, 0x800);

    assert_int_equal(dma_write(&port, 0x4ff0, buf, 0x20), DMA_FAULT);
    assert_int_equal(dma_write(&port, ~0ull - 4, buf, 0x20), DMA_ABORT); /* wraps */
    port.enabled = false;
    assert_int_equal(dma_write(&port, 0, buf, 4), DMA_ABORT);
    port.enabled = true;
    port.translate = NULL;
    assert_int_equal(dma_read(&port, 0x10, buf, 4), DMA_ABORT); /* nothing there */
    owners_set(owners, 0x40002000, 0x1000, OWNER_REALM);
    assert_int_equal(dma_read(&port, 0x40001ff0, back, 0x20), DMA_GPF);
    assert_int_equal(dma_msi(&port, 0x40000002, 1), DMA_ABORT); /* not aligned */
    memory_free(m);
    owners_free(owners);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_access),
        cmocka_unit_test(test_write_handler),
        cmocka_unit_test(test_properties),
        cmocka_unit_test(test_dma),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
