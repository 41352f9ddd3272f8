/*
 * Virtio: hostile chains, the transport's rules, and each device doing its work.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "blockdev.h"
#include "bytes.h"
#include "chardev.h"
#include "hw/virtio/virtio_net.h"
#include "virtio_rig.h"

#define F_INDIRECT VIRTIO_F_INDIRECT_DESC
#define BUF        VR_BUFFERS
#define TABLE      (VR_BUFFERS + 0x8000)
#define N          VIRTQ_DESC_NEXT
#define W          VIRTQ_DESC_WRITE
#define IND        VIRTQ_DESC_INDIRECT

typedef struct D {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, next;
} D;

/* Chains for the entropy device, which fills what is writable. */
typedef struct ChainCase {
    const char *name;
    uint16_t    head;
    uint64_t    features;
    D           desc[4];     /* of the queue's table, from 0 */
    D           indirect[4]; /* of the table at TABLE */
    bool        broken;
    uint32_t    used_len;
} ChainCase;

static const ChainCase chain_cases[] = {
    { "one buffer", 0, 0, { { BUF, 64, W, 0 } }, { { 0 } }, false, 64 },
    { "two buffers", 0, 0, { { BUF, 64, N | W, 2 }, { 0 }, { BUF + 64, 36, W, 0 } }, { { 0 } }, false, 100 },
    { "readable then writable", 0, 0, { { BUF, 8, N, 1 }, { BUF, 8, W, 0 } }, { { 0 } }, false, 8 },
    { "empty buffer", 0, 0, { { BUF, 0, W, 0 } }, { { 0 } }, false, 0 },
    { "larger than the device wants", 0, 0, { { BUF, 0x10000, W, 0 } }, { { 0 } }, false, 4096 },
    { "head outside the table", 16, 0, { { BUF, 8, W, 0 } }, { { 0 } }, true, 0 },
    { "next outside the table", 0, 0, { { BUF, 8, N | W, 16 } }, { { 0 } }, true, 0 },
    { "loop onto itself", 0, 0, { { BUF, 8, N | W, 0 } }, { { 0 } }, true, 0 },
    { "loop of two", 0, 0, { { BUF, 8, N | W, 1 }, { BUF, 8, N | W, 0 } }, { { 0 } }, true, 0 },
    { "writable before readable", 0, 0, { { BUF, 8, N | W, 1 }, { BUF, 8, 0, 0 } }, { { 0 } }, true, 0 },
    { "address wraps", 0, 0, { { ~0ull - 3, 8, W, 0 } }, { { 0 } }, true, 0 },
    { "nothing at the address", 0, 0, { { 0x1000, 8, W, 0 } }, { { 0 } }, true, 0 },
    { "end outside RAM", 0, 0, { { RIG_RAM + RIG_RAM_SIZE - 4, 8, W, 0 } }, { { 0 } }, true, 0 },
    { "indirect",
      0, F_INDIRECT, { { TABLE, 32, IND, 0 } }, { { BUF, 8, N | W, 1 }, { BUF + 8, 8, W, 0 } }, false, 16 },
    { "indirect after a direct one",
      0, F_INDIRECT, { { BUF, 4, N | W, 1 }, { TABLE, 16, IND, 0 } }, { { BUF, 8, W, 0 } },
      false, 12 },
    { "indirect not agreed on", 0, 0, { { TABLE, 16, IND, 0 } }, { { BUF, 8, W, 0 } }, true, 0 },
    { "indirect with next", 0, F_INDIRECT, { { TABLE, 16, IND | N, 1 } }, { { BUF, 8, W, 0 } }, true, 0 },
    { "indirect of no entries", 0, F_INDIRECT, { { TABLE, 0, IND, 0 } }, { { 0 } }, true, 0 },
    { "indirect of an odd length", 0, F_INDIRECT, { { TABLE, 17, IND, 0 } }, { { BUF, 8, W, 0 } }, true, 0 },
    { "indirect longer than the queue",
      0, F_INDIRECT, { { TABLE, 17 * 16, IND, 0 } }, { { BUF, 8, W, 0 } }, true, 0 },
    { "indirect in indirect", 0, F_INDIRECT, { { TABLE, 32, IND, 0 } }, { { TABLE, 16, IND, 0 } }, true, 0 },
    { "indirect loop", 0, F_INDIRECT, { { TABLE, 32, IND, 0 } }, { { BUF, 8, N | W, 0 } }, true, 0 },
    { "indirect next outside", 0, F_INDIRECT, { { TABLE, 32, IND, 0 } }, { { BUF, 8, N | W, 2 } }, true, 0 },
    { "indirect table outside RAM", 0, F_INDIRECT, { { 0x1000, 16, IND, 0 } }, { { 0 } }, true, 0 },
    { "indirect table wraps", 0, F_INDIRECT, { { ~0ull - 15, 32, IND, 0 } }, { { 0 } }, true, 0 },
};

static void test_chains(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(chain_cases); i++) {
        const ChainCase *c = &chain_cases[i];
        VirtioRig       *r = vr_new(rig_new(), "virtio-rng-pci,id=rng", c->features);

        print_message("%s\n", c->name);
        for (unsigned k = 0; k < 4; k++) {
            vr_desc(r, VR_QUEUE(0), k, c->desc[k].addr, c->desc[k].len, c->desc[k].flags, c->desc[k].next);
            vr_desc(r, TABLE, k, c->indirect[k].addr, c->indirect[k].len, c->indirect[k].flags,
                    c->indirect[k].next);
        }
        vr_offer(r, 0, c->head, true);
        assert_int_equal((vr_status(r) & VIRTIO_STATUS_NEEDS_RESET) != 0, c->broken);
        assert_int_equal(vr_used_idx(r, 0), c->broken ? 0 : 1);
        assert_int_equal(r->pci->n_msi, 1); /* of the queue, or of the configuration */
        assert_int_equal(r->pci->msi[0].data, c->broken ? 0 : 1);
        if (!c->broken) {
            assert_int_equal(vr_used_len(r, 0, 0), c->used_len);
        }
        /* A reset mends it, and the next request works. */
        vr_start(r, 0);
        vr_desc(r, VR_QUEUE(0), 0, BUF, 8, W, 0);
        vr_offer(r, 0, 0, true);
        assert_int_equal(vr_used_idx(r, 0), 1);
        vr_free(r);
    }
}

static void test_ring_rules(void **state)
{
    VirtioRig *r = vr_new(rig_new(), "virtio-rng-pci,id=rng", 0);

    vr_desc(r, VR_QUEUE(0), 0, BUF, 8, W, 0);
    rig_write(r->pci, VR_AVAIL(0) + 2, 2, VR_QUEUE_SIZE + 1); /* index runs ahead */
    rig_write(r->pci, r->bar + 0x3000, 2, 0);
    assert_int_equal(vr_status(r) & VIRTIO_STATUS_NEEDS_RESET, VIRTIO_STATUS_NEEDS_RESET);

    vr_start(r, 0);
    r->pci->n_msi = 0;
    rig_write(r->pci, VR_AVAIL(0), 2, 1); /* no interrupts, please */
    vr_desc(r, VR_QUEUE(0), 0, BUF, 8, W, 0);
    vr_offer(r, 0, 0, true);
    assert_int_equal(vr_used_idx(r, 0), 1);
    assert_int_equal(r->pci->n_msi, 0);

    vr_start(r, VIRTIO_F_EVENT_IDX);
    vr_desc(r, VR_QUEUE(0), 0, BUF, 8, W, 0);
    rig_write(r->pci, VR_AVAIL(0) + 4 + 2 * VR_QUEUE_SIZE, 2, 2); /* interrupt at the third */
    for (unsigned i = 0; i < 4; i++) {
        vr_offer(r, 0, 0, true);
        /* The first is always told: there was none before it. */
        assert_int_equal(r->pci->n_msi, i == 0 || i == 1 ? 1 : 2);
        /* The device wants to hear of the next one. */
        assert_int_equal(rig_read(r->pci, VR_USED(0) + 4 + 8 * VR_QUEUE_SIZE, 2), i + 1);
    }
    vr_free(r);
}

/* A function without bus mastering waits; it is not broken by it. */
static void test_no_master(void **state)
{
    VirtioRig *r = vr_new(rig_new(), "virtio-rng-pci,id=rng", 0);
    uint16_t   bdf = pci_bdf(&r->v->pci);

    vr_desc(r, VR_QUEUE(0), 0, BUF, 8, W, 0);
    rig_cfg_write(r->pci, bdf, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    vr_offer(r, 0, 0, true);
    assert_int_equal(vr_status(r), 15);
    rig_cfg_write(r->pci, bdf, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    rig_write(r->pci, r->bar + 0x3000, 2, 0);
    assert_int_equal(vr_used_idx(r, 0), 1);
    vr_free(r);
}

static void common(VirtioRig *r, unsigned off, unsigned size, uint64_t value)
{
    rig_write(r->pci, r->bar + off, size, value);
}

static void test_transport(void **state)
{
    VirtioRig *r = vr_new(rig_new(), "virtio-rng-pci,id=rng", 0);
    uint16_t   bdf = pci_bdf(&r->v->pci);
    unsigned   cfg = r->v->pci_cfg_cap;

    assert_int_equal(rig_cfg_read(r->pci, bdf, 0, 4), 0x10441af4);
    common(r, 0x14, 1, 0);
    common(r, 0x00, 4, 1);
    assert_int_equal(rig_read(r->pci, r->bar + 4, 4), 3); /* VERSION_1 and ACCESS_PLATFORM */
    common(r, 0x00, 4, 2);
    assert_int_equal(rig_read(r->pci, r->bar + 4, 4), 0);
    common(r, 0x14, 1, 11); /* without VERSION_1 */
    assert_int_equal(vr_status(r), 3);
    common(r, 0x14, 1, 15);
    assert_int_equal(vr_status(r), 3);
    common(r, 0x08, 4, 1);
    common(r, 0x0c, 4, 1u << 31); /* a feature that was not offered */
    common(r, 0x14, 1, 11);
    assert_int_equal(vr_status(r), 3);
    common(r, 0x16, 2, 0);
    common(r, 0x18, 2, 3); /* not a power of two */
    assert_int_equal(rig_read(r->pci, r->bar + 0x18, 2), 64);
    common(r, 0x18, 2, 128); /* more than the queue has */
    assert_int_equal(rig_read(r->pci, r->bar + 0x18, 2), 64);
    common(r, 0x1a, 2, 9); /* no such vector */
    assert_int_equal(rig_read(r->pci, r->bar + 0x1a, 2), 0xffff);
    common(r, 0x20, 8, 8); /* not aligned */
    common(r, 0x1c, 2, 1);
    assert_int_equal(rig_read(r->pci, r->bar + 0x1c, 2), 0);
    assert_int_equal(vr_status(r) & VIRTIO_STATUS_NEEDS_RESET, VIRTIO_STATUS_NEEDS_RESET);
    common(r, 0x16, 2, 77); /* no such queue */
    assert_int_equal(rig_read(r->pci, r->bar + 0x18, 2), 0);
    common(r, 0x1c, 2, 1);
    /* Accesses of any kind anywhere in the BAR. */
    for (uint64_t off = 0; off < 0x4000; off += 4) {
        for (unsigned size = 1; size <= 8; size *= 2) {
            if (is_aligned(off, size)) {
                (void)rig_read(r->pci, r->bar + off, size);
                rig_write(r->pci, r->bar + off, size, ~0ull);
            }
        }
    }
    /* The window through configuration space. */
    common(r, 0x14, 1, 0);
    rig_cfg_write(r->pci, bdf, cfg + 4, 1, 4);
    rig_cfg_write(r->pci, bdf, cfg + 8, 4, 0x14);
    rig_cfg_write(r->pci, bdf, cfg + 12, 4, 1);
    rig_cfg_write(r->pci, bdf, cfg + 16, 4, 3);
    assert_int_equal(vr_status(r), 3);
    assert_int_equal(rig_cfg_read(r->pci, bdf, cfg + 16, 4), 3);
    rig_cfg_write(r->pci, bdf, cfg + 8, 4, 0xfffffff0);
    assert_int_equal(rig_cfg_read(r->pci, bdf, cfg + 16, 1), 0xff);
    rig_cfg_write(r->pci, bdf, cfg + 4, 1, 99);
    (void)rig_cfg_read(r->pci, bdf, cfg + 16, 4);
    vr_free(r);
}

static void test_intx(void **state)
{
    VirtioRig *r = vr_new(rig_new(), "virtio-rng-pci,id=rng", 0);
    PciDevice *pd = &r->v->pci;

    rig_cfg_write(r->pci, pci_bdf(pd), pd->msix.cap + 2, 2, 0);
    vr_desc(r, VR_QUEUE(0), 0, BUF, 8, W, 0);
    vr_offer(r, 0, 0, true);
    assert_true(r->pci->intx[1]);
    assert_int_equal(rig_read(r->pci, r->bar + 0x1000, 1), 1);
    assert_false(r->pci->intx[1]);
    assert_int_equal(rig_read(r->pci, r->bar + 0x1000, 1), 0);
    vr_free(r);
}

static void test_rng_repeats(void **state)
{
    uint64_t first[2];

    for (unsigned i = 0; i < 2; i++) {
        VirtioRig *r = vr_new(rig_new(), "virtio-rng-pci,id=rng", 0);

        vr_desc(r, VR_QUEUE(0), 0, BUF, 8, W, 0);
        vr_offer(r, 0, 0, true);
        first[i] = rig_read(r->pci, BUF, 8);
        vr_free(r);
    }
    assert_int_not_equal(first[0], 0);
    assert_int_equal(first[0], first[1]);
}

/* ---- network ---- */

enum { RX, TX };

static void put_frame(VirtioRig *r, uint64_t at, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        rig_write(r->pci, at + 12 + i, 1, i * 3);
    }
}

static void test_net(void **state)
{
    PciRig    *p = rig_new();
    VirtioRig *r;

    assert_non_null(netdev_new("loop,id=n0", p->clock, NULL));
    r = vr_new(p, "virtio-net-pci,id=net,netdev=n0", BIT(15)); /* mergeable buffers */
    VirtioNet *n = (VirtioNet *)r->v;
    uint64_t   tx = BUF, rx = BUF + 0x10000;

    assert_int_equal(rig_read(p, r->bar + 0x2000, 4) & 0xffffff, 0x005452);
    assert_int_equal(rig_read(p, r->bar + 0x2006, 2), 1);
    put_frame(r, tx, 1000);
    vr_desc(r, VR_QUEUE(TX), 0, tx, 12, N, 1);
    vr_desc(r, VR_QUEUE(TX), 1, tx + 12, 1000, 0, 0);
    vr_offer(r, TX, 0, true);
    assert_int_equal(vr_used_idx(r, TX), 1);
    rig_run(p, 100000);
    assert_int_equal(vr_used_idx(r, RX), 0); /* no buffer yet: it waits */
    for (uint16_t i = 0; i < 3; i++) {
        vr_desc(r, VR_QUEUE(RX), i, rx + 0x1000u * i, 400, W, 0);
        vr_offer(r, RX, i, true);
        rig_run(p, 100000);
    }
    assert_int_equal(vr_used_idx(r, RX), 0); /* the first buffer was too small for it: the frame was lost */
    assert_int_equal(n->rx_dropped, 1);
    vr_offer(r, TX, 0, true);
    rig_run(p, 100000);
    assert_int_equal(vr_used_idx(r, RX), 3); /* spread over three */
    assert_int_equal(vr_used_len(r, RX, 0), 400);
    assert_int_equal(vr_used_len(r, RX, 2), 1012 - 800);
    assert_int_equal(rig_read(p, rx + 10, 2), 3);
    assert_int_equal(rig_read(p, rx + 12 + 5, 1), 15);
    assert_int_equal(rig_read(p, rx + 0x1000, 1), (uint8_t)((400 - 12) * 3));
    /* Too short, too long, an offload nobody offered: not sent, but returned. */
    vr_desc(r, VR_QUEUE(TX), 2, tx, 12, 0, 0);
    vr_offer(r, TX, 2, true);
    vr_desc(r, VR_QUEUE(TX), 2, tx, 0x20000, 0, 0);
    vr_offer(r, TX, 2, true);
    rig_write(p, tx + 1, 1, 4);
    vr_offer(r, TX, 0, true);
    assert_int_equal(vr_used_idx(r, TX), 5);
    assert_int_equal(n->tx_frames, 2);
    assert_int_equal(vr_status(r), 15);
    vr_free(r);
}

/* Merged buffers around the ends of both rings, many offered at once and few taken. */
static void test_net_rounds(void **state)
{
    PciRig    *p = rig_new();
    VirtioRig *r;
    uint64_t   rx = BUF + 0x10000;
    uint16_t   offered = 0, used = 0;

    assert_non_null(netdev_new("loop,id=n0", p->clock, NULL));
    r = vr_new(p, "virtio-net-pci,id=net,netdev=n0", BIT(15)); /* mergeable buffers */
    put_frame(r, BUF, 1000);
    vr_desc(r, VR_QUEUE(TX), 0, BUF, 12 + 1000, 0, 0);
    for (unsigned round = 0; round < 60; round++) {
        while ((uint16_t)(offered - used) < VR_QUEUE_SIZE) { /* descriptors in another order than slots */
            uint16_t d = (uint16_t)(offered * 5u % VR_QUEUE_SIZE);

            vr_desc(r, VR_QUEUE(RX), d, rx + 0x1000u * d, 400, W, 0);
            rig_write(p, rx + 0x1000u * d, 8, ~0ull);
            vr_offer(r, RX, d, false);
            offered++;
        }
        for (unsigned k = 0; k <= round % 5; k++) {
            vr_offer(r, TX, 0, true);
        }
        rig_run(p, 100000);
        assert_int_equal((uint16_t)(vr_used_idx(r, RX) - used), 3 * (round % 5 + 1));
        for (unsigned k = 0; used != vr_used_idx(r, RX); k++, used++) {
            uint64_t at = VR_USED(RX) + 4 + 8 * (used % VR_QUEUE_SIZE);
            unsigned d = used * 5u % VR_QUEUE_SIZE, part = k % 3;

            assert_int_equal(rig_read(p, at, 4), d);
            assert_int_equal(rig_read(p, at + 4, 4), part == 2 ? 1012 - 800 : 400);
            assert_int_equal(rig_read(p, rx + 0x1000u * d, 1), part == 0 ? 0 : (uint8_t)((400 * part - 12) * 3));
        }
    }
    assert_int_equal(vr_status(r), 15);
    assert_int_equal(((VirtioNet *)r->v)->rx_dropped, 0);
    vr_free(r);
}

static void test_net_checksum(void **state)
{
    PciRig    *p = rig_new();
    VirtioRig *r;

    assert_non_null(netdev_new("loop,id=n0", p->clock, NULL));
    r = vr_new(p, "virtio-net-pci,id=net,netdev=n0,mac=52:54:00:aa:bb:cc", BIT(0));

    for (unsigned i = 0; i < 72; i += 8) {
        rig_write(p, BUF + i, 8, 0);
    }
    rig_write(p, BUF, 1, 1);      /* NEEDS_CSUM */
    rig_write(p, BUF + 6, 2, 34); /* from the transport header */
    rig_write(p, BUF + 8, 2, 6);
    rig_write(p, BUF + 12 + 34, 2, 0x3412);     /* big-endian 0x1234 */
    rig_write(p, BUF + 12 + 34 + 6, 2, 0x0100); /* seed 0x0001 */
    vr_desc(r, VR_QUEUE(RX), 0, BUF + 0x1000, 2000, W, 0);
    vr_offer(r, RX, 0, true);
    vr_desc(r, VR_QUEUE(TX), 0, BUF, 12 + 60, 0, 0);
    vr_offer(r, TX, 0, true);
    rig_run(p, 100000);
    assert_int_equal(vr_used_len(r, RX, 0), 72);
    assert_int_equal(rig_read(p, BUF + 0x1000 + 12 + 40, 2), 0xcaed); /* ~0x1235 in memory order */
    rig_write(p, BUF + 6, 2, 60); /* beyond the frame */
    vr_offer(r, TX, 0, true);
    assert_int_equal(((VirtioNet *)r->v)->tx_frames, 1);
    vr_free(r);
}

enum { CSUM = BIT(0), GUEST_CSUM = BIT(1), GUEST_TSO4 = BIT(7), GUEST_TSO6 = BIT(8), HOST_TSO4 = BIT(11) };

/* Segmentation both ways: what the driver sends comes back by the loop as it takes it. */
typedef struct TsoCase {
    const char *name;
    uint64_t    features;
    unsigned    sent, received; /* frames; 0 sent: refused */
    uint8_t     flags, gso;     /* of the first that comes */
} TsoCase;

static const TsoCase tso_cases[] = {
    { "one large one", CSUM | GUEST_CSUM | GUEST_TSO4 | GUEST_TSO6 | HOST_TSO4, 1, 1, 1, 1 },
    { "cut for the driver", CSUM | GUEST_CSUM | HOST_TSO4, 1, 3, 2, 0 },
    { "cut, and nothing in the header", CSUM | HOST_TSO4, 1, 3, 0, 0 },
    { "not agreed on", CSUM | GUEST_CSUM | GUEST_TSO4, 0, 0, 0, 0 },
};

static void test_net_segments(void **state)
{
    static const uint8_t head[] = {
        1, 1, 54, 0, 0xe8, 3, 34, 0, 16, 0, 0, 0, /* needs its checksum, TCPv4, 54 bytes of headers, parts of 1000 */
        0x52, 0x54, 0, 1, 2, 3, 0x52, 0x54, 0, 4, 5, 6, 8, 0, /* Ethernet */
        0x45, 0, 0x08, 0xfc, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 2, 15, 10, 0, 2, 2, /* 2300 bytes */
        0x10, 0, 0x20, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0, /* TCP */
    };

    for (size_t i = 0; i < ARRAY_LEN(tso_cases); i++) {
        const TsoCase *c = &tso_cases[i];
        PciRig        *p = rig_new();

        print_message("%s\n", c->name);
        assert_non_null(netdev_new("loop,id=n0", p->clock, NULL));
        VirtioRig *r = vr_new(p, "virtio-net-pci,id=net,netdev=n0", c->features);
        VirtioNet *n = (VirtioNet *)r->v;
        uint64_t   rx = BUF + 0x10000;

        assert_int_equal(vr_status(r), 15);
        for (size_t b = 0; b < sizeof(head); b++) {
            rig_write(p, BUF + b, 1, head[b]);
        }
        for (uint16_t k = 0; k < 4; k++) {
            vr_desc(r, VR_QUEUE(RX), k, rx + 0x1000u * k, 4096, W, 0);
            vr_offer(r, RX, k, true);
        }
        vr_desc(r, VR_QUEUE(TX), 0, BUF, 12 + 14 + 2300, 0, 0);
        vr_offer(r, TX, 0, true);
        rig_run(p, 100000);
        assert_int_equal(n->tx_frames, c->sent);
        assert_int_equal(vr_used_idx(r, RX), c->received);
        if (c->received != 0) {
            assert_int_equal(rig_read(p, rx, 1), c->flags);
            assert_int_equal(rig_read(p, rx + 1, 1), c->gso);
            assert_int_equal(vr_used_len(r, RX, 0), 12 + (c->received == 1 ? 14 + 2300 : 1054));
            assert_int_equal(rig_read(p, rx + 2, 2), c->gso != 0 ? 54 : 0);
        }
        vr_free(r);
    }
    /* "Feature bit requirements": segmentation is nothing without checksums. */
    for (unsigned i = 0; i < 3; i++) {
        static const uint64_t alone[] = { GUEST_TSO4, GUEST_TSO6, HOST_TSO4 | GUEST_CSUM };
        PciRig               *p = rig_new();
        VirtioRig            *r = vr_new(p, "virtio-net-pci,id=net", alone[i]);

        assert_int_equal(vr_status(r) & (VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_DRIVER_OK), 0);
        vr_free(r);
    }
}

/* ---- disk ---- */

typedef struct BlkCase {
    const char *name;
    uint32_t    type;
    uint64_t    sector;
    uint32_t    len; /* of the data */
    uint8_t     status;
} BlkCase;

static const BlkCase blk_cases[] = {
    { "read", 0, 0, 512, 0 },
    { "read of the last sector", 0, 15, 512, 0 },
    { "read past the end", 0, 15, 1024, 1 },
    { "sector number far outside", 0, ~0ull, 512, 1 },
    { "length not whole sectors", 0, 0, 100, 1 },
    { "write", 1, 3, 1024, 0 },
    { "write past the end", 1, 16, 512, 1 },
    { "flush", 4, 0, 0, 0 },
    { "identity", 8, 0, 20, 0 },
    { "identity without room", 8, 0, 8, 1 },
    { "unknown", 99, 0, 0, 2 },
};

static void test_blk(void **state)
{
    char       path[] = "/tmp/bailey-test-XXXXXX";
    int        fd = mkstemp(path);
    char       text[128];
    uint8_t    data[512];
    PciRig    *p = rig_new();
    VirtioRig *r;

    memset(data, 0x5a, sizeof(data));
    for (unsigned i = 0; i < 16; i++) {
        assert_int_equal(write(fd, data, 512), 512);
    }
    snprintf(text, sizeof(text), "file=%s,id=d0,snapshot=on", path);
    Blockdev *b = blockdev_new(text, NULL);

    assert_non_null(b);
    r = vr_new(p, "virtio-blk-pci,id=disk,drive=d0", 0);
    assert_int_equal(rig_read(p, r->bar + 0x2000, 8), 16);
    for (uint16_t i = 0; i < ARRAY_LEN(blk_cases); i++) {
        const BlkCase *c = &blk_cases[i];
        bool           in = c->type != 1;

        print_message("%s\n", c->name);
        rig_write(p, BUF, 4, c->type);
        rig_write(p, BUF + 8, 8, c->sector);
        rig_write(p, BUF + 0x2000, 1, 0xff);
        rig_write(p, BUF + 0x1000, 8, 0x1122334455667788);
        vr_desc(r, VR_QUEUE(0), 0, BUF, 16, N, 1);
        vr_desc(r, VR_QUEUE(0), 1, BUF + 0x1000, c->len, (uint16_t)(N | (in ? W : 0)), 2);
        vr_desc(r, VR_QUEUE(0), 2, BUF + 0x2000, 1, W, 0);
        vr_offer(r, 0, 0, true);
        assert_int_equal(vr_used_idx(r, 0), i + 1);
        assert_int_equal(rig_read(p, BUF + 0x2000, 1), c->status);
        if (c->type == 0 && c->status == 0) {
            assert_int_equal(rig_read(p, BUF + 0x1000, 4), 0x5a5a5a5a);
            assert_int_equal(vr_used_len(r, 0, i), c->len + 1);
        }
    }
    assert_true(blockdev_read(b, 3 * 512, data, 512)); /* the write is there, in memory */
    assert_int_equal(le64_get(data), 0x1122334455667788);
    assert_int_equal(pread(fd, data, 8, 3 * 512), 8); /* and not in the file */
    assert_int_equal(data[0], 0x5a);
    vr_desc(r, VR_QUEUE(0), 0, BUF, 15, N, 2); /* a header that is too short */
    vr_offer(r, 0, 0, true);
    assert_int_equal(vr_status(r) & VIRTIO_STATUS_NEEDS_RESET, VIRTIO_STATUS_NEEDS_RESET);
    vr_free(r);
    blockdev_free_all();
    close(fd);
    unlink(path);
}

/* A driver whose buffers lie over the next request and its own available ring: each sector read offers a request for
 * the next one, round the disk for ever. They are served in turns, and a reset ends it. */
static void test_blk_without_end(void **state)
{
    enum { SECTORS = 65536, TURN_MAX = 20000 };
    const uint64_t at = VR_AVAIL(0) - 16; /* the header, and behind it the ring */
    char           path[] = "/tmp/bailey-test-XXXXXX", text[128];
    int            fd = mkstemp(path);
    uint8_t        sector[512] = { 0 };
    PciRig        *p = rig_new();
    VirtioRig     *r;
    uint16_t       served, before;

    for (unsigned i = 0; i < SECTORS; i++) {
        le64_put(sector + 8, (i + 1) % SECTORS);
        le16_put(sector + 18, (uint16_t)(i + 2));
        assert_int_equal(write(fd, sector, sizeof(sector)), sizeof(sector));
    }
    snprintf(text, sizeof(text), "file=%s,id=d0,snapshot=on", path);
    assert_non_null(blockdev_new(text, NULL));
    r = vr_new(p, "virtio-blk-pci,id=disk,drive=d0", 0);
    rig_write(p, at, 8, 0);
    rig_write(p, at + 8, 8, 0);
    vr_desc(r, VR_QUEUE(0), 0, at, 16, N, 1);
    vr_desc(r, VR_QUEUE(0), 1, at, 512, N | W, 2);
    vr_desc(r, VR_QUEUE(0), 2, BUF, 1, W, 0);
    vr_offer(r, 0, 0, true);
    served = vr_used_idx(r, 0);
    assert_in_range(served, 1, TURN_MAX);
    for (unsigned i = 0; i < 10; i++) {
        before = served;
        rig_run(p, 2000);
        served = vr_used_idx(r, 0);
        assert_in_range((uint16_t)(served - before), 1, 2 * TURN_MAX);
    }
    vr_start(r, 0);
    rig_run(p, 100000);
    assert_int_equal(vr_used_idx(r, 0), 0);
    vr_free(r);
    blockdev_free_all();
    close(fd);
    unlink(path);
}

/* ---- console ---- */

static void collect(void *opaque, const uint8_t *data, size_t len)
{
    g_string_append_len(opaque, (const char *)data, (gssize)len);
}

static void test_console(void **state)
{
    PciRig    *p = rig_new();
    Chardev   *c = chardev_new("null,id=c0", false, NULL);
    GString   *out = g_string_new(NULL);
    VirtioRig *r;

    chardev_add_observer(c, collect, out);
    chardev_input(c, "early", 5); /* waits for the driver */
    r = vr_new(p, "virtio-console-pci,id=con,chardev=c0", 0);
    vr_desc(r, VR_QUEUE(RX), 0, BUF, 3, W, 0);
    vr_desc(r, VR_QUEUE(RX), 1, BUF + 16, 100, W, 0);
    vr_offer(r, RX, 0, true);
    assert_int_equal(rig_read(p, BUF, 1), 'e');
    assert_int_equal(vr_used_len(r, RX, 0), 3);
    vr_offer(r, RX, 1, true);
    assert_int_equal(vr_used_len(r, RX, 1), 2);
    assert_int_equal(rig_read(p, BUF + 16, 2), 'l' | 'y' << 8);
    rig_write(p, BUF + 0x100, 8, 0x6f6c6c6568); /* "hello" */
    vr_desc(r, VR_QUEUE(TX), 0, BUF + 0x100, 5, 0, 0);
    vr_offer(r, TX, 0, true);
    assert_string_equal(out->str, "hello");
    g_string_free(out, TRUE);
    vr_free(r);
    chardev_free_all();
}

/* What cannot be connected says what to do. */
static void test_connect_errors(void **state)
{
    static const struct {
        const char *option, *error;
    } cases[] = {
        { "virtio-net-pci,netdev=n9", "no -netdev with that id" },
        { "virtio-blk-pci", "needs drive=ID" },
        { "virtio-blk-pci,drive=d9", "none called 'd9'" },
        { "virtio-console-pci,chardev=c9", "no -chardev with that id" },
    };
    PciRig *p = rig_new();

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        GError *error = NULL;
        Device *dev = device_from_option(cases[i].option, p->clock, 1, &error);

        assert_false(pci_plug_option(p->host, dev, &error));
        assert_non_null(strstr(error->message, cases[i].error));
        g_error_free(error);
    }
    rig_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chains),
        cmocka_unit_test(test_ring_rules),
        cmocka_unit_test(test_no_master),
        cmocka_unit_test(test_transport),
        cmocka_unit_test(test_intx),
        cmocka_unit_test(test_rng_repeats),
        cmocka_unit_test(test_net),
        cmocka_unit_test(test_net_rounds),
        cmocka_unit_test(test_net_checksum),
        cmocka_unit_test(test_net_segments),
        cmocka_unit_test(test_blk),
        cmocka_unit_test(test_blk_without_end),
        cmocka_unit_test(test_console),
        cmocka_unit_test(test_connect_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
