/*
 * The DOE mailbox by script: each row is a sequence of register accesses and what they give.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pci_rig.h"
#include "pci_toy.h"

enum { CAPABILITIES = 4, CONTROL = 8, STATUS = 12, WRITE = 16, READ = 20 };

#define READY 0x80000000u
#define ERROR 0x4u
#define GO    0x80000000u
#define ABORT 1u

/* One step: 'w' word into the mailbox, 'c' control, 's' status equals, 'r' front word equals, 'p' pop. */
typedef struct Step {
    char     op;
    uint32_t value;
} Step;

typedef struct DoeCase {
    const char *name;
    Step        steps[24];
} DoeCase;

#define HEAD(type, len) { 'w', 0x0001 | (type) << 16 }, { 'w', len }
#define SEND            { 'c', GO }

static const DoeCase cases[] = {
    { "DOE Discovery of index 0",
      { HEAD(0, 3), { 'w', 0 }, SEND, { 's', READY }, { 'r', 1 }, { 'p' }, { 'r', 3 }, { 'p' },
                                { 's', READY }, { 'r', 0x01000001 }, { 'p' }, { 's', 0 } } },
    { "DOE Discovery of index 1, version 2",
      { HEAD(0, 3), { 'w', 0x201 }, SEND, { 'p' }, { 'p' }, { 'r', 0x02070001 } } },
    { "DOE Discovery of the last", { HEAD(0, 3), { 'w', 2 }, SEND, { 'p' }, { 'p' }, { 'r', 0x00011234 } } },
    { "DOE Discovery past the end", { HEAD(0, 3), { 'w', 3 }, SEND, { 'p' }, { 'p' }, { 'r', 0x00ffffff } } },
    { "DOE Discovery too long", { HEAD(0, 4), { 'w', 0 }, { 'w', 0 }, SEND, { 's', ERROR } } },
    { "echo",
      { HEAD(7, 3), { 'w', 0x44332211 }, SEND, { 's', READY }, { 'r', 0x00070001 }, { 'p' }, { 'r', 4 },
        { 'p' }, { 'r', 0x44332211 }, { 'p' }, { 'r', 0x44332211 }, { 's', READY }, { 'p' }, { 's', 0 },
        { 'r', 0 } } },
    { "echo without payload", { HEAD(7, 2), SEND, { 's', READY }, { 'p' }, { 'p' }, { 'r', 0xeeeeeeee } } },
    { "second object after the first",
      { HEAD(7, 3), { 'w', 1 }, SEND, { 'p' }, { 'p' }, { 'p' }, { 'p' }, HEAD(7, 3),
                                         { 'w', 2 }, SEND, { 'p' }, { 'p' }, { 'r', 2 } } },
    { "unknown type is dropped", { HEAD(9, 2), SEND, { 's', 0 }, HEAD(7, 2), SEND, { 's', READY } } },
    { "unknown vendor is dropped", { { 'w', 0x00072222 }, { 'w', 2 }, SEND, { 's', 0 } } },
    { "Go with nothing written", { SEND, { 's', ERROR } } },
    { "Go after one word", { { 'w', 0x00070001 }, SEND, { 's', ERROR } } },
    { "length 1", { HEAD(7, 1), SEND, { 's', ERROR } } },
    { "length too large", { HEAD(7, 5), { 'w', 0 }, SEND, { 's', ERROR } } },
    { "length too small", { HEAD(7, 2), { 'w', 0 }, SEND, { 's', ERROR } } },
    { "length 0 means the maximum", { HEAD(7, 0), { 'w', 0 }, SEND, { 's', ERROR } } },
    { "Go while a reply waits", { HEAD(7, 2), SEND, HEAD(7, 2), SEND, { 's', ERROR }, { 'r', 0 } } },
    { "pop of an empty mailbox", { { 'p' }, { 's', ERROR } } },
    { "pop past the end",
      { HEAD(7, 2), SEND, { 'p' }, { 'p' }, { 'p' }, { 'p' }, { 's', 0 }, { 'p' }, { 's', ERROR } } },
    { "error is deaf until Abort",
      { { 'p' }, HEAD(7, 2), SEND, { 's', ERROR }, { 'c', ABORT }, { 's', 0 }, HEAD(7, 2),
                                     SEND, { 's', READY } } },
    { "Abort in the middle of writing",
      { HEAD(7, 3), { 'c', ABORT }, { 's', 0 }, HEAD(7, 2), SEND, { 's', READY } } },
    { "Abort in the middle of reading",
      { HEAD(7, 2), SEND, { 'p' }, { 'c', ABORT }, { 's', 0 }, { 'r', 0 } } },
    { "Abort and Go together abort", { HEAD(7, 2), { 'c', GO | ABORT }, { 's', 0 } } },
};

static void run(PciRig *r, unsigned off, const Step *s)
{
    switch (s->op) {
    case 'w':
        rig_cfg_write(r, 8, off + WRITE, 4, s->value);
        break;
    case 'c':
        rig_cfg_write(r, 8, off + CONTROL, 4, s->value);
        break;
    case 's':
        assert_int_equal(rig_cfg_read(r, 8, off + STATUS, 4), s->value);
        break;
    case 'r':
        assert_int_equal(rig_cfg_read(r, 8, off + READ, 4), s->value);
        break;
    case 'p':
        rig_cfg_write(r, 8, off + READ, 4, 0);
        break;
    }
}

static void test_scripts(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        PciRig *r = rig_new();
        PciToy *t = (PciToy *)rig_add(r, "pci-toy,id=t");

        print_message("%s\n", cases[i].name);
        for (const Step *s = cases[i].steps; s->op != 0; s++) {
            run(r, t->doe.off, s);
        }
        rig_free(r);
    }
}

/* ---- registers ---- */

typedef struct RegisterCase {
    const char *name;
    unsigned    off;
    uint32_t    write, expect; /* written as a whole to an idle mailbox; what it reads then */
    uint32_t    status;        /* and DOE Status */
} RegisterCase;

static const RegisterCase registers[] = {
    { "DOE Capabilities", CAPABILITIES, ~0u, 1 | 3 << 1, 0 }, /* interrupts, by vector 3; read-only */
    { "DOE Control", CONTROL, 0x7ffffffc, 0, 0 },             /* reserved bits */
    { "DOE Control, interrupt enable", CONTROL, 2, 2, 0 },
    { "DOE Control, Abort", CONTROL, ABORT | 2, 2, 0 },
    { "DOE Control, Go", CONTROL, GO, 0, ERROR },             /* with nothing to go */
    { "DOE Status", STATUS, ~0u, 0, 0 },
    { "DOE Write Data Mailbox", WRITE, 0x12345678, 0, 0 },
    { "DOE Read Data Mailbox", READ, 0x12345678, 0, ERROR },  /* a pop, of nothing */
};

static void test_registers(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(registers); i++) {
        const RegisterCase *c = &registers[i];
        PciRig             *r = rig_new();
        unsigned            off = ((PciToy *)rig_add(r, "pci-toy,id=t"))->doe.off;

        print_message("%s\n", c->name);
        rig_cfg_write(r, 8, off + c->off, 4, c->write);
        assert_int_equal(rig_cfg_read(r, 8, off + c->off, 4), c->expect);
        assert_int_equal(rig_cfg_read(r, 8, off + STATUS, 4), c->status);
        rig_free(r);
    }
}

/* Bytes and words of registers: reads give their part, writes act as their part. */
static void test_narrow(void **state)
{
    static const struct {
        unsigned off, size;
        uint32_t expect;
    } reads[] = {
        { READ, 2, 0x0001 }, { READ + 2, 2, 0x0007 }, { READ + 2, 1, 0x07 }, { READ + 3, 1, 0 }, { STATUS, 1, 0 },
        { STATUS + 3, 1, 0x80 }, { STATUS + 2, 2, 0x8000 }, { CONTROL, 1, 2 }, { CONTROL + 2, 2, 0 },
    };
    PciRig  *r = rig_new();
    unsigned off = ((PciToy *)rig_add(r, "pci-toy,id=t"))->doe.off;
    Step     ask[] = { HEAD(7, 2) };

    for (unsigned i = 0; i < ARRAY_LEN(ask); i++) {
        run(r, off, &ask[i]);
    }
    rig_cfg_write(r, 8, off + CONTROL, 1, 2);
    rig_cfg_write(r, 8, off + CONTROL + 3, 1, 0x80); /* Go, which leaves the enable alone */
    run(r, off, &(Step){ 's', READY | 2 });
    rig_cfg_write(r, 8, off + STATUS + 1, 1, 0xff);
    run(r, off, &(Step){ 's', READY | 2 });
    rig_cfg_write(r, 8, off + STATUS, 1, 2); /* clears the interrupt */
    for (size_t i = 0; i < ARRAY_LEN(reads); i++) {
        assert_int_equal(rig_cfg_read(r, 8, off + reads[i].off, reads[i].size), reads[i].expect);
    }
    rig_cfg_write(r, 8, off + READ, 2, 0); /* no pop */
    run(r, off, &(Step){ 's', ERROR | 2 });
    rig_cfg_write(r, 8, off + CONTROL, 1, ABORT);
    run(r, off, &(Step){ 's', 2 });
    rig_free(r);
}

static void test_padding_and_silence(void **state)
{
    PciRig  *r = rig_new();
    PciToy  *t = (PciToy *)rig_add(r, "pci-toy,id=t");
    unsigned off = t->doe.off;
    Step     ask[] = { HEAD(7, 3), { 'w', 0x44332211 }, SEND };

    t->reply_len = 5; /* padded to two words with zeros */
    for (unsigned i = 0; i < ARRAY_LEN(ask); i++) {
        run(r, off, &ask[i]);
    }
    for (unsigned i = 0; i < 3; i++) {
        run(r, off, &(Step){ 'p' });
    }
    run(r, off, &(Step){ 'r', 0x00000011 });
    run(r, off, &(Step){ 'c', ABORT });
    t->reply_len = 0;
    for (unsigned i = 0; i < ARRAY_LEN(ask); i++) {
        run(r, off, &ask[i]);
    }
    run(r, off, &(Step){ 's', 0 });
    rig_free(r);
}

/* The largest object there is, and one word more. */
static void test_maximum(void **state)
{
    PciRig *r = rig_new();
    PciToy *t = (PciToy *)rig_add(r, "pci-toy,id=t");

    t->reply_len = 4 * (DOE_MAX_DW - 2);
    for (unsigned round = 0; round < 2; round++) {
        pci_host_config_write(r->host, 8, t->doe.off + WRITE, 4, 0x00070001);
        pci_host_config_write(r->host, 8, t->doe.off + WRITE, 4, 0);
        for (unsigned i = 2; i < DOE_MAX_DW + round; i++) {
            pci_host_config_write(r->host, 8, t->doe.off + WRITE, 4, i);
        }
        pci_host_config_write(r->host, 8, t->doe.off + CONTROL, 4, GO);
        if (round == 0) {
            assert_int_equal(t->doe.out_dw, DOE_MAX_DW);
            run(r, t->doe.off, &(Step){ 's', READY });
            run(r, t->doe.off, &(Step){ 'p' });
            run(r, t->doe.off, &(Step){ 'r', 0 });
            run(r, t->doe.off, &(Step){ 'c', ABORT });
        } else {
            run(r, t->doe.off, &(Step){ 's', ERROR });
        }
    }
    rig_free(r);
}

static void test_interrupt(void **state)
{
    PciRig    *r = rig_new();
    PciDevice *pd = rig_add(r, "pci-toy,id=t");
    unsigned   off = ((PciToy *)pd)->doe.off;
    Step       ask[] = { { 'c', 2 }, HEAD(7, 2), { 'c', GO | 2 }, { 's', READY | 2 } };

    rig_place(r, pd);
    assert_int_equal(rig_cfg_read(r, 8, off + 4, 4), 1 | 3 << 1);
    rig_write(r, pd->bars[1].base + 48, 8, RIG_DOORBELL);
    rig_write(r, pd->bars[1].base + 60, 4, 0);
    rig_cfg_write(r, 8, pd->msix.cap + 2, 2, 0x8000);
    for (unsigned i = 0; i < ARRAY_LEN(ask); i++) {
        run(r, off, &ask[i]);
    }
    assert_int_equal(r->n_msi, 1);
    rig_cfg_write(r, 8, off + STATUS, 4, 2);
    run(r, off, &(Step){ 's', READY });
    rig_cfg_write(r, 8, off + WRITE, 1, 0); /* not a double word */
    run(r, off, &(Step){ 's', ERROR | 2 });
    run(r, off, &(Step){ 'c', ABORT | 2 }); /* that an interrupt was sent is for software to clear */
    run(r, off, &(Step){ 's', 2 });
    pci_reset_function(pd, PCI_RESET_FLR);
    run(r, off, &(Step){ 's', 0 });
    rig_free(r);
}

/* A mailbox that was slowed down: Busy until the machine's time has come. */
static void test_slow(void **state)
{
    enum { DELAY_NS = 5000000, BUSY = 1, INT = 2 };
    PciRig    *r = rig_new();
    PciDevice *pd = rig_add(r, "pci-toy,id=t");
    Doe       *doe = &((PciToy *)pd)->doe;
    Step       ask[] = { HEAD(7, 2), { 'c', GO | 2 }, { 's', BUSY }, { 'r', 0 } };
    static const struct {
        const char *name;
        Step        step; /* while it is Busy */
        uint32_t    then, later; /* DOE Status, and when the time has come */
    } rows[] = {
        { "nothing", { 's', BUSY }, BUSY, READY | INT },
        { "written to", { 'w', 0 }, ERROR | INT, ERROR | INT },
        { "Go", { 'c', GO | 2 }, ERROR | INT, ERROR | INT },
        { "pop", { 'p', 0 }, ERROR | INT, ERROR | INT },
        { "Abort", { 'c', ABORT | 2 }, INT, INT },
        { "Abort, interrupts disabled", { 'c', ABORT }, 0, 0 },
    };
    int64_t now = 0;

    doe_slow_down(doe, DELAY_NS);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        print_message("%s\n", rows[i].name);
        for (unsigned s = 0; s < ARRAY_LEN(ask); s++) {
            run(r, doe->off, &ask[s]);
        }
        clock_advance(r->clock, now + DELAY_NS - 1);
        run(r, doe->off, &rows[i].step);
        run(r, doe->off, &(Step){ 's', rows[i].then });
        clock_advance(r->clock, now += DELAY_NS);
        run(r, doe->off, &(Step){ 's', rows[i].later });
        run(r, doe->off, &(Step){ 'c', ABORT });
        rig_cfg_write(r, 8, doe->off + STATUS, 4, INT);
    }
    for (unsigned s = 0; s < ARRAY_LEN(ask); s++) {
        run(r, doe->off, &ask[s]);
    }
    pci_reset_function(pd, PCI_RESET_FLR);
    run(r, doe->off, &(Step){ 's', 0 });
    clock_advance(r->clock, now + DELAY_NS);
    run(r, doe->off, &(Step){ 's', 0 });
    rig_free(r);
}

/* ---- two mailboxes in one function ---- */

static size_t answer_9(void *opaque, const DoeProtocol *proto, const uint8_t *req, size_t req_len, uint8_t *rsp,
                       size_t rsp_cap)
{
    memset(rsp, 9, 4);
    return 4;
}

static void test_two_mailboxes(void **state)
{
    static const DoeProtocol nine = { 0x0001, 9, "nine", answer_9 };
    PciRig   *r = rig_new();
    PciToy   *t = (PciToy *)rig_add(r, "pci-toy,id=t");
    unsigned  first = t->doe.off, off;
    Doe       second;
    const Step steps[][16] = {
        /* each lists its own */
        { HEAD(0, 3), { 'w', 1 }, SEND, { 'p' }, { 'p' }, { 'r', 0x00090001 }, { 'c', ABORT } },
        /* what the other speaks is nothing to it */
        { HEAD(7, 2), SEND, { 's', 0 }, HEAD(9, 2), SEND, { 's', READY } },
    };
    Step first_steps[] = { HEAD(7, 3), { 'w', 0x11 }, SEND, { 's', READY } };

    doe_init(&second, &t->pci, 1, &nine, 1, PCI_MSIX_NONE, NULL);
    off = second.off;
    assert_int_not_equal(off, first);
    assert_int_equal(rig_cfg_read(r, 8, off, 2), PCI_EXT_CAP_DOE);
    assert_int_equal(rig_cfg_read(r, 8, off + 2, 2) & 0xf, 1); /* version */
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        for (const Step *s = steps[i]; s->op != 0; s++) {
            run(r, off, s);
        }
    }
    for (unsigned s = 0; s < ARRAY_LEN(first_steps); s++) {
        run(r, first, &first_steps[s]);
    }
    run(r, off, &(Step){ 'c', ABORT }); /* of one: the other's answer stays */
    run(r, off, &(Step){ 'p' });
    run(r, off, &(Step){ 's', ERROR });
    run(r, first, &(Step){ 's', READY });
    run(r, first, &(Step){ 'r', 0x00070001 });
    rig_free(r);
    doe_deinit(&second);
}

typedef struct Listed {
    unsigned n_objects, n_registers;
} Listed;

static void check_listed(void *opaque, const char *kind, const char *name, unsigned number)
{
    Listed *l = opaque;
    bool    found = strcmp(kind, "object") == 0;

    l->n_objects += found;
    l->n_registers += !found;
    for (size_t i = 0; i < ARRAY_LEN(registers) && !found; i++) {
        found = strcmp(registers[i].name, name) == 0 && registers[i].off == number;
    }
    if (!found) {
        fail_msg("%s is listed, and no row here has it", name);
    }
}

/* Every register of the capability but its header, and every protocol. */
static void test_conformance(void **state)
{
    PciRig *r = rig_new();
    Doe    *doe = &((PciToy *)rig_add(r, "pci-toy,id=t"))->doe;
    Listed  l = { 0 };

    doe_conformance(doe->proto, doe->n_proto, check_listed, &l);
    assert_int_equal(l.n_objects, 3);
    assert_int_equal(l.n_registers, 5);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scripts),
        cmocka_unit_test(test_registers),
        cmocka_unit_test(test_narrow),
        cmocka_unit_test(test_padding_and_silence),
        cmocka_unit_test(test_maximum),
        cmocka_unit_test(test_interrupt),
        cmocka_unit_test(test_slow),
        cmocka_unit_test(test_two_mailboxes),
        cmocka_unit_test(test_conformance),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
