/*
 * NVMe controller: registers, enabling, each admin command with its refusals, data by every shape of PRPs, queues that
 * fill up, interrupts, and what a driver does wrong.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "blockdev.h"
#include "bytes.h"
#include "hw/nvme/nvme_int.h"
#include "pci_rig.h"

enum {
    ASQ = 0x10000, ACQ = 0x12000, SQ1 = 0x14000, CQ1 = 0x18000, DATA = 0x100000, LIST = 0x200000, /* in RAM */
    ENTRIES = 16,
    DISK = 1 << 20,
    REG_CC = 0x14, REG_CSTS = 0x1c, REG_AQA = 0x24, REG_ASQ = 0x28, REG_ACQ = 0x30,
    CC_ON = 0x00460001,
};

typedef struct Rig {
    PciRig    *p;
    PciDevice *pd;
    Nvme      *n;
    char       path[32];
    uint16_t   tail[2], head[2], phase[2], cid;
} Rig;

static uint64_t reg(const Rig *r, unsigned off) { return r->pd->bars[NVME_BAR].base + off; }
static void     set_reg(Rig *r, unsigned off, uint32_t v) { rig_write(r->p, reg(r, off), 4, v); }
static uint32_t get_reg(Rig *r, unsigned off) { return (uint32_t)rig_read(r->p, reg(r, off), 4); }

static void bell(Rig *r, unsigned q, bool cq, uint32_t v) { set_reg(r, 0x1000 + 8 * q + 4 * cq, v); }

static uint8_t disk_byte(unsigned at) { return (uint8_t)(at * 7 + at / 512); }

static Rig *rig(const char *drive_words)
{
    Rig  *r = g_new0(Rig, 1);
    char *text, *bytes = g_malloc(DISK);

    strcpy(r->path, "/tmp/bailey-nvme-XXXXXX");
    int fd = mkstemp(r->path);

    for (unsigned i = 0; i < DISK; i++) {
        bytes[i] = (char)disk_byte(i);
    }
    assert_int_equal(write(fd, bytes, DISK), DISK);
    close(fd);
    text = g_strdup_printf("file=%s,id=d0%s", r->path, drive_words);
    assert_non_null(blockdev_new(text, NULL));
    r->p = rig_new();
    r->pd = rig_add(r->p, "nvme,id=disk,drive=d0,serial=12345");
    r->n = (Nvme *)r->pd;
    pci_host_reset(r->p->host);
    rig_place(r->p, r->pd);
    g_free(text);
    g_free(bytes);
    return r;
}

static void done(Rig *r)
{
    rig_free(r->p);
    blockdev_free_all();
    unlink(r->path);
    g_free(r);
}

static void enable(Rig *r)
{
    memset(r->tail, 0, sizeof(r->tail));
    memset(r->head, 0, sizeof(r->head));
    r->phase[0] = r->phase[1] = 1;
    for (unsigned i = 0; i < 0x10000; i += 8) { /* old completions must not look new */
        rig_write(r->p, RIG_RAM + ASQ + i, 8, 0);
    }
    set_reg(r, REG_AQA, (ENTRIES - 1) << 16 | (ENTRIES - 1));
    rig_write(r->p, reg(r, REG_ASQ), 8, RIG_RAM + ASQ);
    rig_write(r->p, reg(r, REG_ACQ), 8, RIG_RAM + ACQ);
    set_reg(r, REG_CC, CC_ON);
    assert_int_equal(get_reg(r, REG_CSTS), 1);
}

typedef struct Command {
    uint8_t  opcode;
    uint32_t nsid, dw10, dw11, dw12;
    uint64_t prp1, prp2;
    uint8_t  flags;
} Command;

static void submit(Rig *r, unsigned q, const Command *c)
{
    uint64_t at = RIG_RAM + (q == 0 ? ASQ : SQ1) + 64u * r->tail[q];
    uint8_t  e[64] = { c->opcode, c->flags };

    le16_put(e + 2, ++r->cid);
    le32_put(e + 4, c->nsid);
    le64_put(e + 24, c->prp1);
    le64_put(e + 32, c->prp2);
    le32_put(e + 40, c->dw10);
    le32_put(e + 44, c->dw11);
    le32_put(e + 48, c->dw12);
    for (unsigned i = 0; i < 64; i += 8) {
        rig_write(r->p, at + i, 8, le64_get(e + i));
    }
    r->tail[q] = (uint16_t)((r->tail[q] + 1) % ENTRIES);
}

/* The next completion's status, ~0 when there is none. */
static uint32_t completion(Rig *r, unsigned q, uint32_t *result)
{
    uint64_t at = RIG_RAM + (q == 0 ? ACQ : CQ1) + 16u * r->head[q];
    uint16_t status = (uint16_t)rig_read(r->p, at + 14, 2);

    if ((status & 1) != r->phase[q]) {
        return ~0u;
    }
    assert_int_equal(rig_read(r->p, at + 10, 2), q);
    *result = (uint32_t)rig_read(r->p, at, 4);
    r->head[q] = (uint16_t)((r->head[q] + 1) % ENTRIES);
    r->phase[q] ^= r->head[q] == 0;
    bell(r, q, true, r->head[q]);
    return status >> 1;
}

static uint32_t run(Rig *r, unsigned q, const Command *c, uint32_t *result)
{
    submit(r, q, c);
    bell(r, q, false, r->tail[q]);
    return completion(r, q, result);
}

static void make_queues(Rig *r)
{
    uint32_t result;

    assert_int_equal(run(r, 0, &(Command){ 0x05, 0, (ENTRIES - 1) << 16 | 1, 3, 0, RIG_RAM + CQ1, 0 }, &result), 0);
    assert_int_equal(run(r, 0, &(Command){ 0x01, 0, (ENTRIES - 1) << 16 | 1, 1 << 16 | 1, 0, RIG_RAM + SQ1, 0 },
                         &result), 0);
}

/* ---- registers ---- */

static void test_registers(void **state)
{
    Rig *r = rig("");

    assert_int_equal(rig_cfg_read(r->p, pci_bdf(r->pd), PCI_REVISION_ID, 4) >> 8, 0x010802);
    assert_int_equal(rig_read(r->p, reg(r, 0), 8), 0x00000020140100ffull);
    assert_int_equal(get_reg(r, 0x08), 0x00010400);
    assert_int_equal(get_reg(r, REG_CSTS), 0);
    assert_int_equal(rig_read(r->p, reg(r, 0), 2), 0); /* no narrow accesses */
    set_reg(r, 0, 0);
    set_reg(r, 0x0c, 5);
    assert_int_equal(get_reg(r, 0x0c), 5);
    set_reg(r, 0x10, 4);
    assert_int_equal(get_reg(r, 0x10), 1);
    bell(r, 0, false, 1); /* nobody listens yet */
    enable(r);
    set_reg(r, REG_AQA, 0);
    assert_int_equal(get_reg(r, REG_AQA), 0x000f000f);
    set_reg(r, REG_CC, CC_ON | 1 << 14);
    assert_int_equal(get_reg(r, REG_CSTS), 1 | 2 << 2); /* shut down */
    set_reg(r, REG_CC, 0);
    assert_int_equal(get_reg(r, REG_CSTS), 0);
    done(r);
}

static void test_enable(void **state)
{
    static const struct { const char *name; uint32_t cc, aqa, csts; } rows[] = {
        { "as it should be", CC_ON, 0x000f000f, 1 },
        { "smallest queues", CC_ON, 0x00010001, 1 },
        { "other page size", CC_ON | 1 << 7, 0x000f000f, 2 },
        { "other command set", CC_ON | 6 << 4, 0x000f000f, 2 },
        { "other arbitration", CC_ON | 1 << 11, 0x000f000f, 2 },
        { "submission queue of one", CC_ON, 0x000f0000, 2 },
        { "completion queue of one", CC_ON, 0x0000000f, 2 },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        Rig *r = rig("");

        print_message("%s\n", rows[i].name);
        set_reg(r, REG_AQA, rows[i].aqa);
        set_reg(r, REG_CC, rows[i].cc);
        assert_int_equal(get_reg(r, REG_CSTS), rows[i].csts);
        set_reg(r, REG_CC, 0);
        assert_int_equal(get_reg(r, REG_CSTS), 0);
        enable(r);
        done(r);
    }
}

/* ---- admin commands ---- */

static const struct AdminRow {
    const char *name;
    Command     c; /* prp1: offset from RAM */
    uint32_t    status, result;
} admin_rows[] = {
    /* name                            opcode nsid  dw10 dw11 dw12 prp1 */
    { "identify controller",          { 0x06, 0, 1, 0, 0, DATA, 0 }, 0, 0 },
    { "identify namespace",           { 0x06, 1, 0, 0, 0, DATA, 0 }, 0, 0 },
    { "identify common namespace",    { 0x06, ~0u, 0, 0, 0, DATA, 0 }, 0, 0 },
    { "identify namespace 0",         { 0x06, 0, 0, 0, 0, DATA, 0 }, 0x400b, 0 },
    { "identify namespace 2",         { 0x06, 2, 0, 0, 0, DATA, 0 }, 0x400b, 0 },
    { "identify active namespaces",   { 0x06, 0, 2, 0, 0, DATA, 0 }, 0, 0 },
    { "active namespaces from the end", { 0x06, ~0u, 2, 0, 0, DATA, 0 }, 0x400b, 0 },
    { "identify descriptors",         { 0x06, 1, 3, 0, 0, DATA, 0 }, 0, 0 },
    { "identify descriptors of 7",    { 0x06, 7, 3, 0, 0, DATA, 0 }, 0x400b, 0 },
    { "identify something else",      { 0x06, 0, 6, 0, 0, DATA, 0 }, 0x4002, 0 },
    { "identify, PRP not of dwords",  { 0x06, 0, 1, 0, 0, DATA + 1, 0 }, 0x4013, 0 },
    { "error log",                    { 0x02, 0, 15 << 16 | 1, 0, 0, DATA, 0 }, 0, 0 },
    { "SMART log",                    { 0x02, ~0u, 127 << 16 | 2, 0, 0, DATA, 0 }, 0, 0 },
    { "firmware log from its middle", { 0x02, 0, 127 << 16 | 3, 0, 8, DATA, 0 }, 0, 0 },
    { "log page that is not there",   { 0x02, 0, 7, 0, 0, DATA, 0 }, 0x4109, 0 },
    { "log beyond its end",           { 0x02, 0, 3, 0, 516, DATA, 0 }, 0x4002, 0 },
    { "log too long",                 { 0x02, 0, 2 | 0xffffu << 16, 1, 0, DATA, 0 }, 0x4002, 0 },
    { "number of queues",             { 0x09, 0, 7, 0x003f003f, 0, 0, 0 }, 0, 0x00070007 },
    { "number of queues 65536",       { 0x09, 0, 7, 0xffff, 0, 0, 0 }, 0x4002, 0 },
    { "queues, asked for",            { 0x0a, 0, 7, 0, 0, 0, 0 }, 0, 0x00070007 },
    { "temperature threshold",        { 0x09, 0, 4, 333, 0, 0, 0 }, 0, 0 },
    { "temperature, asked for",       { 0x0a, 0, 4, 0, 0, 0, 0 }, 0, 333 },
    { "lower temperature threshold",  { 0x09, 0, 4, 1u << 20 | 280, 0, 0, 0 }, 0, 0 },
    { "lower, asked for",             { 0x0a, 0, 4, 1u << 20, 0, 0, 0 }, 0, 280 },
    { "lower, default",               { 0x0a, 0, 0x104, 1u << 20, 0, 0, 0 }, 0, 0 },
    { "upper, asked for again",       { 0x0a, 0, 4, 0, 0, 0, 0 }, 0, 333 },
    { "threshold of a reserved type", { 0x09, 0, 4, 2u << 20 | 280, 0, 0, 0 }, 0x4002, 0 },
    { "threshold of sensor 1",        { 0x09, 0, 4, 1u << 16 | 280, 0, 0, 0 }, 0x4002, 0 },
    { "sensor 1, asked for",          { 0x0a, 0, 4, 1u << 16, 0, 0, 0 }, 0x4002, 0 },
    { "thresholds of all sensors",    { 0x09, 0, 4, 0xfu << 16 | 333, 0, 0, 0 }, 0, 0 },
    { "all sensors, asked for",       { 0x0a, 0, 4, 0xfu << 16, 0, 0, 0 }, 0x4002, 0 },
    { "temperature, default",         { 0x0a, 0, 0x104, 0, 0, 0, 0 }, 0, 343 },
    { "temperature, changeable",      { 0x0a, 0, 0x304, 0, 0, 0, 0 }, 0, 4 },
    { "write cache off",              { 0x09, 0, 6, 0, 0, 0, 0 }, 0x410e, 0 },
    { "power state 1",                { 0x09, 0, 2, 1, 0, 0, 0 }, 0x4002, 0 },
    { "feature saved",                { 0x09, 0, 1u << 31 | 4, 0, 0, 0, 0 }, 0x410d, 0 },
    { "feature that is not there",    { 0x09, 0, 3, 0, 0, 0, 0 }, 0x4002, 0 },
    { "feature 0, asked for",         { 0x0a, 0, 0, 0, 0, 0, 0 }, 0x4002, 0 },
    { "completion queue 0",           { 0x05, 0, 15 << 16, 1, 0, CQ1, 0 }, 0x4101, 0 },
    { "completion queue 9",           { 0x05, 0, 15 << 16 | 9, 1, 0, CQ1, 0 }, 0x4101, 0 },
    { "completion queue of one",      { 0x05, 0, 1, 1, 0, CQ1, 0 }, 0x4102, 0 },
    { "completion queue of 257",      { 0x05, 0, 256 << 16 | 1, 1, 0, CQ1, 0 }, 0x4102, 0 },
    { "completion queue in pieces",   { 0x05, 0, 15 << 16 | 1, 0, 0, CQ1, 0 }, 0x4002, 0 },
    { "completion queue off a page",  { 0x05, 0, 15 << 16 | 1, 1, 0, CQ1 + 64, 0 }, 0x4013, 0 },
    { "vector without MSI-X",         { 0x05, 0, 15 << 16 | 1, 1 << 16 | 3, 0, CQ1, 0 }, 0x4108, 0 },
    { "submission queue before",      { 0x01, 0, 15 << 16 | 1, 1 << 16 | 1, 0, SQ1, 0 }, 0x4100, 0 },
    { "completion queue",             { 0x05, 0, 15 << 16 | 1, 3, 0, CQ1, 0 }, 0, 0 },
    { "completion queue again",       { 0x05, 0, 15 << 16 | 1, 3, 0, CQ1, 0 }, 0x4101, 0 },
    { "submission queue to 0",        { 0x01, 0, 15 << 16 | 1, 1, 0, SQ1, 0 }, 0x4101, 0 },
    { "submission queue",             { 0x01, 0, 15 << 16 | 1, 1 << 16 | 1, 0, SQ1, 0 }, 0, 0 },
    { "completion queue in use",      { 0x04, 0, 1, 0, 0, 0, 0 }, 0x410c, 0 },
    { "submission queue deleted",     { 0x00, 0, 1, 0, 0, 0, 0 }, 0, 0 },
    { "submission queue gone",        { 0x00, 0, 1, 0, 0, 0, 0 }, 0x4101, 0 },
    { "admin queue deleted",          { 0x00, 0, 0, 0, 0, 0, 0 }, 0x4101, 0 },
    { "completion queue deleted",     { 0x04, 0, 1, 0, 0, 0, 0 }, 0, 0 },
    { "abort",                        { 0x08, 0, 1, 0, 0, 0, 0 }, 0, 1 },
    { "opcode that is not there",     { 0x84, 0, 0, 0, 0, 0, 0 }, 0x4001, 0 },
};

static void test_admin(void **state)
{
    Rig *r = rig("");

    enable(r);
    for (unsigned i = 0; i < ARRAY_LEN(admin_rows); i++) {
        Command  c = admin_rows[i].c;
        uint32_t result = 0, status;

        c.prp1 += RIG_RAM;
        status = run(r, 0, &c, &result);
        if (status != admin_rows[i].status || result != admin_rows[i].result) {
            fail_msg("%s: status 0x%x, result 0x%x", admin_rows[i].name, status, result);
        }
    }
    done(r);
}

/* 310 kelvins, and what SMART says of them between thresholds. */
static void test_temperature(void **state)
{
    static const struct { uint32_t over, under; uint8_t warning; } rows[] = {
        { 343, 0, 0 }, { 310, 0, 2 }, { 311, 309, 0 }, { 343, 310, 2 }, { 0xffff, 0xffff, 2 }, { 343, 273, 0 },
    };
    Rig     *r = rig("");
    uint32_t result;

    enable(r);
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(run(r, 0, &(Command){ 0x09, 0, 4, rows[i].over, 0, 0, 0 }, &result), 0);
        assert_int_equal(run(r, 0, &(Command){ 0x09, 0, 4, 1u << 20 | rows[i].under, 0, 0, 0 }, &result), 0);
        assert_int_equal(run(r, 0, &(Command){ 0x02, ~0u, 127 << 16 | 2, 0, 0, RIG_RAM + DATA, 0 }, &result), 0);
        assert_int_equal(rig_read(r->p, RIG_RAM + DATA, 1), rows[i].warning);
    }
    done(r);
}

static void test_identify(void **state)
{
    static const struct { const char *words; uint8_t read_only; } rows[] = { { "", 0 }, { ",readonly=on", 1 } };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        Rig     *r = rig(rows[i].words);
        uint64_t b = RIG_RAM + DATA;
        uint32_t result;

        enable(r);
        assert_int_equal(run(r, 0, &(Command){ 0x06, 0, 1, 0, 0, b, 0 }, &result), 0);
        assert_int_equal(rig_read(r->p, b + 4, 8), 0x2020203534333231ull); /* "12345   " */
        assert_int_equal(rig_read(r->p, b + 77, 1), NVME_MDTS);
        assert_int_equal(rig_read(r->p, b + 516, 4), 1);
        assert_int_equal(run(r, 0, &(Command){ 0x06, 1, 0, 0, 0, b, 0 }, &result), 0);
        assert_int_equal(rig_read(r->p, b, 8), DISK / 512);
        assert_int_equal(rig_read(r->p, b + 99, 1), rows[i].read_only);
        assert_int_equal(rig_read(r->p, b + 128, 4), 9 << 16);
        assert_int_equal(run(r, 0, &(Command){ 0x06, 0, 2, 0, 0, b, 0 }, &result), 0);
        assert_int_equal(rig_read(r->p, b, 8), 1);
        done(r);
    }
}

/* ---- data ---- */

/* Pages of a transfer lie at every other page from DATA on; lists at LIST. */
static uint64_t page_at(unsigned i) { return RIG_RAM + DATA + 0x2000 * i; }

/* Fills in PRPs for @len bytes whose first begins @first bytes into its page and whose list begins @list_at bytes into
 * its page. */
static void map(Rig *r, Command *c, size_t len, unsigned first, unsigned list_at)
{
    unsigned pages = (unsigned)((first + len + 4095) / 4096);
    uint64_t at = RIG_RAM + LIST + list_at;

    c->prp1 = page_at(0) + first;
    c->prp2 = pages <= 1 ? 0 : pages == 2 ? page_at(1) : at;
    for (unsigned i = 1; pages > 2 && i < pages; i++) {
        if (at % 4096 == 4088 && i + 1 < pages) { /* the list goes on two pages further */
            rig_write(r->p, at, 8, at - 4088 + 0x2000);
            at = at - 4088 + 0x2000;
        }
        rig_write(r->p, at, 8, page_at(i));
        at += 8;
    }
}

static uint8_t mapped_byte(Rig *r, unsigned first, size_t i)
{
    return (uint8_t)rig_read(r->p, page_at((unsigned)((first + i) / 4096)) + (first + i) % 4096, 1);
}

static void test_data(void **state)
{
    static const struct { const char *name; unsigned blocks, first, list_at; } rows[] = {
        { "one block", 1, 0, 0 },           { "a block in the page", 1, 512, 0 },
        { "one page", 8, 0, 0 },            { "two pages by an offset", 8, 0x804, 0 },
        { "two pages", 16, 0, 0 },          { "list", 24, 0, 0 },
        { "list, offset", 24, 0xffc, 0x20 }, { "largest", 256, 0, 0 },
        { "largest, offset", 256, 4, 0 },   { "list that ends with its page", 24, 0, 4080 },
        { "list over two pages", 256, 0x200, 4072 }, { "list of a pointer alone", 256, 0, 4088 },
    };
    Rig *r = rig("");

    enable(r);
    make_queues(r);
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        size_t   len = 512u * rows[i].blocks;
        uint32_t lba = 3 + i, result;
        Command  c = { .opcode = 2, .nsid = 1, .dw10 = lba, .dw12 = rows[i].blocks - 1 };

        print_message("%s\n", rows[i].name);
        map(r, &c, len, rows[i].first, rows[i].list_at);
        assert_int_equal(run(r, 1, &c, &result), 0);
        for (size_t k = 0; k < len; k += 61) {
            assert_int_equal(mapped_byte(r, rows[i].first, k), disk_byte((unsigned)(512 * lba + k)));
        }
        c.opcode = 1; /* the same data somewhere else, and back by one page at a time */
        c.dw10 = 1024;
        assert_int_equal(run(r, 1, &c, &result), 0);
        for (unsigned b = 0; b < rows[i].blocks; b += 64) {
            c = (Command){ .opcode = 2, .nsid = 1, .dw10 = 1024 + b, .dw12 = 0, .prp1 = RIG_RAM + LIST + 0x10000 };
            assert_int_equal(run(r, 1, &c, &result), 0);
            assert_int_equal(rig_read(r->p, c.prp1 + 9, 1), disk_byte(512 * (lba + b) + 9));
        }
    }
    done(r);
}

/* Only the first list may begin within its page: the next one would else be as short, and so on. */
static void test_next_list(void **state)
{
    static const struct { unsigned offset; uint32_t status; } rows[] = {
        { 0, 0 }, { 8, 0x4013 }, { 4, 0x4013 }, { 4088, 0x4013 },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        Rig     *r = rig("");
        Command  c = { .opcode = 2, .nsid = 1, .dw12 = 31 };
        uint32_t result;

        enable(r);
        make_queues(r);
        map(r, &c, 16384, 0, 4088);
        rig_write(r->p, RIG_RAM + LIST + 4088, 8, RIG_RAM + LIST + 0x2000 + rows[i].offset);
        assert_int_equal(run(r, 1, &c, &result), rows[i].status);
        done(r);
    }
}

static void test_refused(void **state)
{
    static const struct { const char *name, *words; Command c; uint32_t status; } rows[] = {
        { "flush", "", { 0, 1, 0, 0, 0, 0, 0 }, 0 },
        { "flush of all", "", { 0, ~0u, 0, 0, 0, 0, 0 }, 0 },
        { "flush of another", "", { 0, 2, 0, 0, 0, 0, 0 }, 0x400b },
        { "read of another", "", { 2, 2, 0, 0, 0, RIG_RAM + DATA, 0 }, 0x400b },
        { "last block", "", { 2, 1, DISK / 512 - 1, 0, 0, RIG_RAM + DATA, 0 }, 0 },
        { "behind the last block", "", { 2, 1, DISK / 512, 0, 0, RIG_RAM + DATA, 0 }, 0x4080 },
        { "across the end", "", { 2, 1, DISK / 512 - 1, 0, 1, RIG_RAM + DATA, 0 }, 0x4080 },
        { "block numbers that wrap", "", { 2, 1, ~0u, ~0u, 1, RIG_RAM + DATA, 0 }, 0x4080 },
        { "more than MDTS", "", { 2, 1, 0, 0, 256, RIG_RAM + DATA, 0 }, 0x4002 },
        { "second page not aligned", "", { 2, 1, 0, 0, 15, RIG_RAM + DATA, RIG_RAM + DATA + 8 }, 0x4013 },
        { "list not aligned", "", { 2, 1, 0, 0, 23, RIG_RAM + DATA, RIG_RAM + LIST + 4 }, 0x4013 },
        { "no memory there", "", { 2, 1, 0, 0, 0, 0x1000, 0 }, 0x4004 },
        { "no memory at the list", "", { 2, 1, 0, 0, 23, RIG_RAM + DATA, 0x1000 }, 0x4004 },
        { "write to a read-only drive", ",readonly=on", { 1, 1, 0, 0, 0, RIG_RAM + DATA, 0 }, 0x4020 },
        { "write with force unit access", "", { 1, 1, 0, 0, 1u << 30, RIG_RAM + DATA, 0 }, 0 },
        { "opcode that is not there", "", { 9, 1, 0, 0, 0, RIG_RAM + DATA, 0 }, 0x4001 },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        Rig     *r = rig(rows[i].words);
        uint32_t result;

        enable(r);
        make_queues(r);
        assert_int_equal(run(r, 1, &(Command){ 2, 1, 0, 0, 0, RIG_RAM + DATA, 0 }, &result), 0);
        uint32_t status = run(r, 1, &rows[i].c, &result);

        if (status != rows[i].status) {
            fail_msg("%s: status 0x%x", rows[i].name, status);
        }
        assert_int_equal(run(r, 1, &(Command){ 2, 1, 0, 0, 0, RIG_RAM + DATA, 0 }, &result), 0);
        done(r);
    }
}

/* ---- queues and interrupts ---- */

/* More commands than the completion queue holds: they wait, and go on when there is room. */
static void test_full(void **state)
{
    Rig     *r = rig("");
    uint32_t result;

    enable(r);
    make_queues(r);
    r->n->cq[1].size = 4;
    for (unsigned i = 0; i < 10; i++) {
        submit(r, 1, &(Command){ .nsid = 1 });
    }
    bell(r, 1, false, r->tail[1]);
    assert_int_equal(r->n->sq[1].head, 3);
    for (unsigned i = 0; i < 10; i++) {
        uint64_t at = RIG_RAM + CQ1 + 16 * (i % 4);

        assert_int_equal(rig_read(r->p, at + 14, 2), i / 4 % 2 == 0);
        assert_int_equal(rig_read(r->p, at + 12, 2), r->cid - 9 + i);
        bell(r, 1, true, (i + 1) % 4);
    }
    assert_int_equal(r->n->sq[1].head, 10);
    (void)result;
    done(r);
}

static void test_interrupts(void **state)
{
    Rig     *r = rig("");
    unsigned msix = pci_find_cap(r->pd, PCI_CAP_MSIX);
    uint32_t result;
    Command  flush = { .nsid = 1 };

    enable(r); /* INTx first: the line goes up with an entry and down when it was taken */
    make_queues(r);
    submit(r, 1, &flush);
    bell(r, 1, false, r->tail[1]);
    assert_true(r->p->intx[(r->pd->devfn >> 3) & 3]);
    set_reg(r, 0x0c, 1);
    assert_false(r->p->intx[(r->pd->devfn >> 3) & 3]);
    set_reg(r, 0x10, 1);
    assert_true(r->p->intx[(r->pd->devfn >> 3) & 3]);
    assert_int_equal(completion(r, 1, &result), 0);
    assert_false(r->p->intx[(r->pd->devfn >> 3) & 3]);

    set_reg(r, REG_CC, 0);
    for (unsigned v = 0; v < 3; v++) {
        uint64_t e = r->pd->bars[NVME_BAR_MSIX].base + 16 * v;

        rig_write(r->p, e, 8, RIG_DOORBELL);
        rig_write(r->p, e + 8, 8, 100 + v);
    }
    rig_cfg_write(r->p, pci_bdf(r->pd), msix + 2, 2, 1 << 15);
    enable(r);
    r->p->n_msi = 0;
    assert_int_equal(run(r, 0, &(Command){ 0x05, 0, 15 << 16 | 1, 2 << 16 | 3, 0, RIG_RAM + CQ1, 0 }, &result), 0);
    assert_int_equal(run(r, 0, &(Command){ 0x01, 0, 15 << 16 | 1, 1 << 16 | 1, 0, RIG_RAM + SQ1, 0 }, &result), 0);
    assert_int_equal(run(r, 1, &flush, &result), 0);
    assert_int_equal(r->p->n_msi, 3);
    assert_int_equal(r->p->msi[0].data, 100);
    assert_int_equal(r->p->msi[2].data, 102);
    assert_false(r->p->intx[(r->pd->devfn >> 3) & 3]);
    done(r);
}

/* Asynchronous Event Requests wait; a doorbell that is wrong takes one, and no other before its log is read. */
static void test_events(void **state)
{
    Rig     *r = rig("");
    uint32_t result;

    enable(r);
    for (unsigned i = 0; i < NVME_EVENTS; i++) {
        assert_int_equal(run(r, 0, &(Command){ .opcode = 0x0c }, &result), ~0u);
    }
    assert_int_equal(run(r, 0, &(Command){ .opcode = 0x0c }, &result), 0x4105);
    bell(r, 5, false, 1);
    assert_int_equal(completion(r, 0, &result), 0);
    assert_int_equal(result, 0x00010000); /* invalid doorbell register, error log */
    bell(r, 0, false, ENTRIES);
    assert_int_equal(completion(r, 0, &result), ~0u);
    assert_int_equal(run(r, 0, &(Command){ 0x02, 0, 15 << 16 | 1, 0, 0, RIG_RAM + DATA, 0 }, &result), 0);
    bell(r, 0, false, ENTRIES);
    assert_int_equal(completion(r, 0, &result), 0);
    assert_int_equal(result, 0x00010100); /* invalid value */
    done(r);
}

/* Memory that does not answer at a queue is fatal; FLR and CC.EN=0 make the controller new. */
static void test_fatal(void **state)
{
    Rig     *r = rig("");
    uint32_t result;

    enable(r);
    r->n->sq[0].addr = 0x1000;
    bell(r, 0, false, 1);
    assert_int_equal(get_reg(r, REG_CSTS), 3);
    set_reg(r, REG_CC, 0);
    assert_int_equal(get_reg(r, REG_CSTS), 0);
    enable(r);
    r->n->cq[0].addr = 0x1000;
    submit(r, 0, &(Command){ .opcode = 0x08 });
    bell(r, 0, false, r->tail[0]);
    assert_int_equal(get_reg(r, REG_CSTS), 3);
    rig_cfg_write(r->p, pci_bdf(r->pd), r->pd->exp_cap + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_FLR);
    rig_place(r->p, r->pd);
    assert_int_equal(get_reg(r, REG_CSTS), 0);
    assert_int_equal(get_reg(r, REG_CC), 0);
    enable(r);
    assert_int_equal(run(r, 0, &(Command){ .opcode = 0x08 }, &result), 0);
    done(r);
}

/* Data that goes to the controller's own doorbells, or to its configuration space: nothing of its is there. */
static void test_own_requests(void **state)
{
    Rig     *r = rig("");
    uint64_t ecam = RIG_ECAM + ((uint64_t)pci_bdf(r->pd) << 12);
    uint32_t result;

    enable(r);
    make_queues(r);
    assert_int_equal(run(r, 1, &(Command){ 2, 1, 0, 0, 0, reg(r, 0x1000), 0 }, &result), 0x4004);
    assert_int_equal(run(r, 1, &(Command){ 1, 1, 0, 0, 0, reg(r, 0x1000), 0 }, &result), 0x4004);
    assert_int_equal(run(r, 1, &(Command){ 2, 1, 0, 0, 0, ecam, 0 }, &result), 0x4004);
    assert_int_equal(run(r, 1, &(Command){ 1, 1, 0, 0, 0, ecam, 0 }, &result), 0x4004);
    assert_int_equal(get_reg(r, REG_CSTS), 1);
    assert_int_equal(run(r, 0, &(Command){ .opcode = 0x08 }, &result), 0);
    done(r);
}

/* "Fused operations" are not offered, nor are SGLs: whoever asks for them is refused, whatever the command. */
static void test_flags(void **state)
{
    static const struct { const char *name; unsigned queue; uint8_t opcode, flags; uint16_t status; } rows[] = {
        { "first of two fused", 1, 0x00, 1, 0x4002 },  { "second of two fused", 1, 0x01, 2, 0x4002 },
        { "reserved kind of fusing", 1, 0x02, 3, 0x4002 }, { "fused admin command", 0, 0x08, 1, 0x4002 },
        { "SGL where there is no data", 1, 0x00, 0x40, 0x4002 }, { "plain", 1, 0x00, 0, 0 },
    };
    Rig     *r = rig("");
    uint32_t result;

    enable(r);
    make_queues(r);
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        Command c = { .opcode = rows[i].opcode, .nsid = 1, .flags = rows[i].flags, .prp1 = RIG_RAM + DATA };

        print_message("%s\n", rows[i].name);
        assert_int_equal(run(r, rows[i].queue, &c, &result), rows[i].status);
    }
    /* And the number of queues is agreed on before there are any. */
    assert_int_equal(run(r, 0, &(Command){ 0x09, 0, 7, 0x00070007, 0, 0, 0 }, &result), 0x400c);
    done(r);
}

static void test_properties(void **state)
{
    static const struct { const char *option, *says; } rows[] = {
        { "nvme", "needs drive=ID" },
        { "nvme,drive=d9", "none called 'd9'" },
        { "nvme,drive=d0,tdisp=on", "below a pcie-root-port" },
        { "nvme,drive=d0,tamper=drop", "tamper=drop of device nvme needs a security manager: add tdisp=on" },
        { "virtio-blk-pci,drive=d0,ide-fault=mac", "ide-fault=mac of device virtio-blk-pci needs" },
    };
    Rig *r = rig("");

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        GError *error = NULL;
        Device *dev = device_from_option(rows[i].option, r->p->clock, 1, &error);

        assert_non_null(dev);
        assert_false(pci_plug_option(r->p->host, dev, &error));
        if (strstr(error->message, rows[i].says) == NULL) {
            fail_msg("says: %s", error->message);
        }
        g_error_free(error);
    }
    done(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registers), cmocka_unit_test(test_enable),     cmocka_unit_test(test_admin),
        cmocka_unit_test(test_identify),  cmocka_unit_test(test_data),       cmocka_unit_test(test_refused),
        cmocka_unit_test(test_next_list),
        cmocka_unit_test(test_full),      cmocka_unit_test(test_interrupts), cmocka_unit_test(test_events),
        cmocka_unit_test(test_fatal),     cmocka_unit_test(test_own_requests), cmocka_unit_test(test_flags),
        cmocka_unit_test(test_temperature),
        cmocka_unit_test(test_properties),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
