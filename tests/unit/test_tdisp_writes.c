/*
 * Every register write that the host can make to a function whose interface is locked or running: each bit or byte of
 * its 4 KiB of configuration space by itself, each double word as zeros, ones and complement. What moves an interface
 * to ERROR, and whose, is written here once more, from the specification: PCI Express Base Specification 6.0, TDISP,
 * "TDI Error Conditions" and the table of registers that are tracked for modification. For each model that carries a
 * security manager, and for a card with eight virtual functions.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nic_rig.h"

#include "blockdev.h"
#include "bytes.h"
#include "hw/pci/doe.h"
#include "hw/pci/sriov.h"

enum { N_VFS = 8, CARD = 0, DISK = 65536, WINDOW_TYPE = 5, IDE_STATUS_WORD = 2 };

typedef struct Row {
    const char *device; /* words of -device */
    unsigned    n_vfs;  /* on, and locked like the card */
    unsigned    target; /* 0: the function, n: VF n */
    TdiState    state;  /* of the target; others are in the other one of LOCKED and RUN */
    uint16_t    flags;
    bool        by_bit; /* each bit by itself, not only each byte */
} Row;

typedef struct Box {
    const Row *row;
    NicRig    *r;
    PciDevice *pd;      /* the target */
    unsigned   window, ide_end;
} Box;

static uint16_t rid(unsigned tdi) { return (uint16_t)(RIG_NIC + tdi); }

static uint32_t get(const Box *b, unsigned off, unsigned size)
{
    return pci_host_config_read(b->r->host, rid(b->row->target), off, size);
}

static void put(const Box *b, unsigned off, unsigned size, uint32_t value)
{
    pci_host_config_write(b->r->host, rid(b->row->target), off, size, value);
}

/* ---- the interfaces ---- */

static TdiState wanted_state(const Row *row, unsigned tdi)
{
    bool same = tdi == row->target || (tdi & 1);

    return same ? row->state : row->state == TDI_RUN ? TDI_CONFIG_LOCKED : TDI_RUN;
}

static TdiState state_of(const Box *b, unsigned tdi)
{
    return dsm_tdi(tdi == CARD ? b->r->nic : b->r->nic->sriov->vfs[tdi - 1])->state;
}

/* Those that are not where they should be: by STOP, LOCK and, if they run, START. */
static void lock_all(const Box *b)
{
    NicRig *r = b->r;

    for (unsigned i = 0; i <= b->row->n_vfs; i++) {
        TdiState wanted = wanted_state(b->row, i);

        if (state_of(b, i) == wanted) {
            continue;
        }
        tdisp_client_init(&r->tdi, rid(i));
        assert_int_equal(rig_tdisp(r, TDISP_OP_PROBE), SPDM_DONE);
        assert_int_equal(rig_tdisp(r, TDISP_OP_STOP), SPDM_DONE);
        r->tdi.lock_flags = b->row->flags;
        r->tdi.stream_id = RIG_STREAM;
        if (rig_tdisp(r, TDISP_OP_LOCK) != SPDM_DONE) {
            fail_msg("lock: %s", r->tdi.error);
        }
        assert_true(wanted == TDI_CONFIG_LOCKED || rig_tdisp(r, TDISP_OP_START) == SPDM_DONE);
        assert_int_equal(state_of(b, i), wanted);
    }
}

/* ---- making it ---- */

/* The vendor capability that is a window into virtio's BARs; 0: there is none. */
static unsigned find_window(const PciDevice *pd)
{
    for (unsigned c = pci_get(pd, PCI_CAPABILITY_LIST, 1); c != 0; c = pci_get(pd, c + 1, 1)) {
        if (pci_get(pd, c, 1) == PCI_CAP_VENDOR && pci_get(pd, c + 3, 1) == WINDOW_TYPE) {
            return c;
        }
    }
    return 0;
}

static void open_box(Box *b, const Row *row)
{
    *b = (Box){ .row = row, .r = rig_new_of(row->device) };
    if (row->n_vfs != 0) {
        rig_enable_vfs(b->r, row->n_vfs);
    }
    b->pd = row->target == CARD ? b->r->nic : b->r->nic->sriov->vfs[row->target - 1];
    b->window = find_window(b->pd);
    b->ide_end = rig_ide(b->r, 1);
    rig_go_to(b->r, TDI_CONFIG_UNLOCKED, row->flags);
    lock_all(b);
}

/* ---- what breaks a lock ---- */

typedef enum Reach { NOBODY, TARGET, EVERYBODY } Reach;

/* Bits of byte @off that were changed, of those that @mask has, in a register at @reg. */
static bool changed(unsigned off, uint8_t bits, unsigned reg, unsigned len, uint64_t mask)
{
    return off >= reg && off - reg < len && (bits & (len > 8 ? 0xff : (uint8_t)(mask >> 8 * (off - reg)))) != 0;
}

/* A byte at @off was @old, was written as @written, and is @now. */
static Reach reach_of_byte(const Box *b, unsigned off, uint8_t old, uint8_t written, uint8_t now)
{
    const PciDevice *pd = b->pd;
    unsigned         exp = pd->exp_cap, sriov = pci_find_ext_cap(pd, PCI_EXT_CAP_SRIOV), ide = rig_ide(b->r, 0);
    uint8_t          diff = old ^ now;
    bool             card = b->row->target == CARD;
    Reach            all = card ? EVERYBODY : TARGET;

    if (changed(off, written, exp + PCI_EXP_DEVCTL, 2, 1 << 15) ||            /* Initiate FLR */
        (pd->pm_cap != 0 && off == pd->pm_cap + 4u && (written & 3) == 3) || /* D3hot */
        changed(off, diff, exp + PCI_EXP_DEVCTL, 2, 1 << 8 | 1 << 9 | 1 << 11) ||
        (sriov != 0 && changed(off, diff, sriov + 4, SRIOV_SIZE - 4, 0)) ||
        (card && off >= ide && off < b->ide_end && diff != 0 && (off - ide) / 4 != IDE_STATUS_WORD)) {
        return all;
    }
    if (changed(off, old & ~now, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER) ||
        changed(off, diff, PCI_BAR0, 4 * PCI_N_BARS, 0) ||
        ((b->row->flags & TDISP_LOCK_MSIX) && changed(off, diff, pd->msix.cap + 2u, 2, 0xffff)) ||
        (b->window != 0 && changed(off, diff, b->window + 4, 12, 0))) {
        return TARGET;
    }
    return NOBODY;
}

/* Registers whose write cannot be taken back by another one. */
static bool lasts(const Box *b, unsigned off)
{
    return (b->row->target == CARD && off >= rig_ide(b->r, 0) && off < b->ide_end) ||
           (off & ~3u) == b->pd->exp_cap + (unsigned)PCI_EXP_DEVCTL ||
           (b->pd->pm_cap != 0 && (off & ~3u) == b->pd->pm_cap + 4u) ||
           off - pci_find_ext_cap(b->r->nic, PCI_EXT_CAP_SRIOV) < SRIOV_SIZE;
}

static void check(const Box *b, unsigned off, uint32_t value, Reach reach)
{
    for (unsigned i = 0; i <= b->row->n_vfs; i++) {
        bool     hit = reach == EVERYBODY || (reach == TARGET && i == b->row->target);
        TdiState want = hit ? TDI_ERROR : wanted_state(b->row, i);

        if (state_of(b, i) != want) {
            fail_msg("%s: 0x%x written to 0x%x of function %u: interface %u is %s, not %s", b->row->device, value, off,
                     b->row->target, i, tdi_state_name(state_of(b, i)), tdi_state_name(want));
        }
    }
}

static void try_write(Box *b, unsigned off, unsigned size, uint32_t value)
{
    uint32_t old = get(b, off, size), now;
    Reach    reach = NOBODY;

    put(b, off, size, value);
    now = pci_get(b->pd, off, size);
    for (unsigned i = 0; i < size; i++) {
        uint8_t was = (uint8_t)(old >> 8 * i), written = (uint8_t)(value >> 8 * i), is = (uint8_t)(now >> 8 * i);
        Reach   of = reach_of_byte(b, off + i, was, written, is);

        reach = of > reach ? of : reach;
    }
    check(b, off, value, reach);
    if (reach != NOBODY && lasts(b, off)) {
        rig_free(b->r);
        open_box(b, b->row);
        return;
    }
    put(b, off, size, old);
    if (reach != NOBODY) {
        put(b, pci_find_ext_cap(b->r->nic, PCI_EXT_CAP_DOE) + 8, 4, 1); /* what was written to the mailbox goes */
        lock_all(b);
    } else if (now != old) {
        check(b, off, old, NOBODY);
    }
}

static void try_all(const Row *row)
{
    Box      b;

    print_message("%s, %u VFs, function %u in %s, lock flags %u\n", row->device, row->n_vfs, row->target,
                  tdi_state_name(row->state), row->flags);
    open_box(&b, row);
    for (unsigned off = 0; off < PCI_CONFIG_SIZE; off++) {
        for (unsigned bit = 0; bit < (row->by_bit ? 8 : 1); bit++) {
            try_write(&b, off, 1, get(&b, off, 1) ^ (row->by_bit ? 1u << bit : 0xff));
        }
        if (off % 4 == 0) {
            try_write(&b, off, 4, 0);
            try_write(&b, off, 4, ~0u);
            try_write(&b, off, 4, ~get(&b, off, 4));
        }
    }
    rig_free(b.r);
}

/* ---- tests ---- */

static void test_card(void **state)
{
    try_all(&(Row){ "tdisp-nic", 0, CARD, TDI_RUN, 0, true });
    try_all(&(Row){ "tdisp-nic", 0, CARD, TDI_CONFIG_LOCKED, TDISP_LOCK_MSIX, false });
}

static void test_disks(void **state)
{
    char  path[] = "/tmp/bailey-tdisp-XXXXXX";
    int   fd = mkstemp(path);
    char *text = g_strdup_printf("file=%s,id=d0", path);

    assert_int_equal(ftruncate(fd, DISK), 0);
    close(fd);
    assert_non_null(blockdev_new(text, NULL));
    try_all(&(Row){ "nvme,drive=d0,tdisp=on", 0, CARD, TDI_RUN, TDISP_LOCK_MSIX, false });
    try_all(&(Row){ "virtio-blk-pci,drive=d0,tdisp=on", 0, CARD, TDI_RUN, TDISP_LOCK_MSIX, false });
    g_free(text);
    blockdev_free_all();
    unlink(path);
}

/* The card and eight VFs, some locked and some running: whom a write to one of them breaks. */
static void test_virtual_functions(void **state)
{
    try_all(&(Row){ "tdisp-nic,vfs=8", N_VFS, CARD, TDI_RUN, 0, false });
    try_all(&(Row){ "tdisp-nic,vfs=8", N_VFS, 3, TDI_RUN, TDISP_LOCK_MSIX, true });
    try_all(&(Row){ "tdisp-nic,vfs=8", N_VFS, 8, TDI_CONFIG_LOCKED, 0, true });
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_card),
        cmocka_unit_test(test_disks),
        cmocka_unit_test(test_virtual_functions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
