/*
 * A card and its eight virtual functions under random events: requests of their owner, in and out of turn, what a
 * hostile host does to registers, keys, stream and session. A small model says which interface is in which state. After
 * each event every one of them is tried: who reaches its TEE registers, and what leaves it. PCI Express Base
 * Specification 6.0, "TDI State Machine", "TLP Rules". SEED=N STEPS=N repeats a run.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "nic_rig.h"

#include "bytes.h"
#include "hw/pci/root_port.h"
#include "hw/pci/sriov.h"

enum { N_VFS = 8, N = 1 + N_VFS, CARD = 0, EXT_TAG = 1 << 8, DEFAULT_STEPS = 4000 };

typedef struct Storm {
    NicRig     *r;
    PciDevice  *pd[N];
    TdispClient client[N];
    TdiState    state[N];  /* the model's */
    uint16_t    flags[N];  /* of the last LOCK */
    bool        secure;    /* so is the stream, with keys of the session */
    unsigned    key_set;
    Entropy     dice;
    unsigned    n_broken, n_run, n_refreshed;
} Storm;

static uint32_t draw(Storm *s, uint32_t below)
{
    uint8_t b[4];

    entropy_bytes(&s->dice, b, sizeof(b));
    return le32_get(b) % below;
}

static bool held(const Storm *s, unsigned i) { return s->state[i] == TDI_CONFIG_LOCKED || s->state[i] == TDI_RUN; }

static void breaks(Storm *s, unsigned i)
{
    s->n_broken += held(s, i);
    s->state[i] = held(s, i) ? TDI_ERROR : s->state[i];
}

static void breaks_all(Storm *s)
{
    for (unsigned i = 0; i < N; i++) {
        breaks(s, i);
    }
}

static uint16_t rid(unsigned i) { return (uint16_t)(RIG_NIC + i); }
static uint32_t get(Storm *s, unsigned i, unsigned off) { return pci_host_config_read(s->r->host, rid(i), off, 2); }
static void     put(Storm *s, unsigned i, unsigned off, uint32_t v)
{
    pci_host_config_write(s->r->host, rid(i), off, 2, v);
}

/* ---- what the owner does ---- */

static SpdmResult ask(Storm *s, unsigned i, TdispOp op)
{
    NicRig *r = s->r;

    r->tdi = s->client[i];
    SpdmResult result = rig_tdisp(r, op);
    s->client[i] = r->tdi;
    return result;
}

static void lock(Storm *s, unsigned i)
{
    static const uint16_t flags[] = { 0, TDISP_LOCK_MSIX, TDISP_LOCK_NO_FW_UPDATE };
    uint16_t              wanted = flags[draw(s, ARRAY_LEN(flags))];
    bool                  works = s->state[i] == TDI_CONFIG_UNLOCKED && s->secure;

    s->client[i].lock_flags = wanted;
    s->client[i].stream_id = RIG_STREAM;
    assert_int_equal(ask(s, i, TDISP_OP_LOCK) == SPDM_DONE, works);
    if (works) {
        s->state[i] = TDI_CONFIG_LOCKED;
        s->flags[i] = wanted;
    }
}

static void start(Storm *s, unsigned i)
{
    bool works = s->state[i] == TDI_CONFIG_LOCKED;

    assert_int_equal(ask(s, i, TDISP_OP_START) == SPDM_DONE, works);
    s->state[i] = works ? TDI_RUN : s->state[i];
    s->n_run += works;
}

static void start_with_another_nonce(Storm *s, unsigned i)
{
    bool locked = s->state[i] == TDI_CONFIG_LOCKED;

    s->r->tdi = s->client[i];
    assert_int_equal(rig_tdisp_raw(s->r, TDISP_START_INTERFACE, s->client[(i + 1) % N].nonce, TDISP_NONCE_LEN),
                     locked ? TDISP_INVALID_NONCE : TDISP_INVALID_INTERFACE_STATE);
}

static void stop(Storm *s, unsigned i)
{
    assert_int_equal(ask(s, i, TDISP_OP_STOP), SPDM_DONE);
    s->state[i] = TDI_CONFIG_UNLOCKED;
}

static void report(Storm *s, unsigned i)
{
    assert_int_equal(ask(s, i, TDISP_OP_REPORT) == SPDM_DONE, held(s, i));
}

/* The key set that is not in use, receivers first; nobody notices. */
static void refresh(Storm *s, unsigned i)
{
    IdeCap  *port = root_port_ide(s->r->port);
    uint8_t  iv[IDE_IV_LEN] = { IDE_INITIAL_IFV };
    unsigned set = s->key_set ^ 1;

    if (!s->secure) {
        return;
    }
    entropy_bytes(&s->r->entropy, s->r->keys, sizeof(s->r->keys));
    assert_int_equal(rig_ide_op(s->r, IDE_KM_KEYS, (uint8_t)set), SPDM_DONE);
    for (unsigned k = 0; k < 2 * IDE_N_SUB; k++) {
        assert_true(ide_key_prog(port, 0, set, k & 1 ? IDE_RX : IDE_TX, k / 2, s->r->keys[k / 2][k & 1], iv));
    }
    for (unsigned k = 0; k < IDE_N_SUB; k++) {
        assert_true(ide_key_go(port, 0, set, IDE_RX, k));
    }
    assert_int_equal(rig_ide_op(s->r, IDE_KM_GO, (uint8_t)set), SPDM_DONE);
    for (unsigned k = 0; k < IDE_N_SUB; k++) {
        assert_true(ide_key_go(port, 0, set, IDE_TX, k));
    }
    assert_int_equal(rig_ide_op(s->r, IDE_KM_STOP, (uint8_t)s->key_set), SPDM_DONE);
    for (unsigned k = 0; k < 2 * IDE_N_SUB; k++) {
        assert_true(ide_key_stop(port, 0, s->key_set, k & 1 ? IDE_RX : IDE_TX, k / 2));
    }
    s->key_set = set;
    s->n_refreshed++;
}

/* ---- what the host does ---- */

/* It makes the stream anew, the way a connection begins. */
static void close_stream(Storm *s)
{
    unsigned port = root_port_ide(s->r->port)->off + 0x0c + 8 + 4; /* control of the first selective block */

    pci_host_config_write(s->r->host, RIG_PORT, port, 4, 0);
    rig_write(s->r, rig_ide(s->r, 0) + 4, 4, 0);
    breaks_all(s);
    s->secure = false;
}

static void open_stream(Storm *s, unsigned i)
{
    close_stream(s);
    rig_key_stream(s->r);
    s->secure = true;
    s->key_set = 0;
}

static void mac_failure(Storm *s, unsigned i)
{
    ide_fail(&dsm_of(s->r->nic)->ide, 0, false);
    breaks_all(s);
    s->secure = false;
}

static void stop_a_key(Storm *s, unsigned i)
{
    if (s->secure) {
        assert_int_equal(rig_ide_op(s->r, IDE_KM_STOP, (uint8_t)s->key_set), SPDM_DONE);
        breaks_all(s);
        s->secure = false;
    }
}

static void new_session(Storm *s, unsigned i)
{
    assert_int_equal(rig_op(s->r, SPDM_OP_END_SESSION, NULL), SPDM_DONE);
    breaks_all(s);
    s->secure = false;
    assert_int_equal(rig_op(s->r, SPDM_OP_SESSION, NULL), SPDM_DONE);
}

static void master_off(Storm *s, unsigned i)
{
    uint32_t command = get(s, i, PCI_COMMAND);

    put(s, i, PCI_COMMAND, command & ~(uint32_t)PCI_COMMAND_MASTER);
    put(s, i, PCI_COMMAND, command);
    breaks(s, i);
}

static void msix_control(Storm *s, unsigned i)
{
    unsigned at = s->pd[i]->msix.cap + 2u;

    put(s, i, at, get(s, i, at) ^ 1u << 15);
    if (s->flags[i] & TDISP_LOCK_MSIX) {
        breaks(s, i);
    }
}

static void move_bar(Storm *s, unsigned i)
{
    rig_write(s->r, PCI_BAR0 + 4, 4, 0x99);
    rig_write(s->r, PCI_BAR0 + 4, 4, RIG_BAR0 >> 32);
    breaks(s, CARD);
}

static void device_control(Storm *s, unsigned i)
{
    unsigned at = s->pd[CARD]->exp_cap + (unsigned)PCI_EXP_DEVCTL;

    put(s, CARD, at, get(s, CARD, at) ^ EXT_TAG);
    breaks_all(s);
}

static void vf_bars(Storm *s, unsigned i)
{
    unsigned at = pci_find_ext_cap(s->r->nic, PCI_EXT_CAP_SRIOV) + SRIOV_VF_BAR0;
    uint32_t was = rig_read(s->r, at, 4);

    rig_write(s->r, at, 4, was + 0x80000);
    rig_write(s->r, at, 4, was);
    breaks_all(s);
}

static void reset_vf(Storm *s, unsigned i)
{
    if (i != CARD) {
        put(s, i, s->pd[i]->exp_cap + (unsigned)PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_FLR);
        put(s, i, PCI_COMMAND, PCI_COMMAND_MASTER);
        breaks(s, i);
    }
}

/* Writes that change nothing that counts. */
static void harmless(Storm *s, unsigned i)
{
    put(s, i, PCI_COMMAND, get(s, i, PCI_COMMAND) ^ PCI_COMMAND_SERR);
    put(s, i, PCI_INTERRUPT_LINE, draw(s, 256));
    put(s, i, s->pd[i]->exp_cap + (unsigned)PCI_EXP_DEVSTA, 0xffff);
    rig_write(s->r, rig_ide(s->r, 1) + 0x0c, 4, draw(s, 0xffff) << 8); /* another stream */
    if (i != CARD) {
        pci_host_config_write(s->r->host, rid(i), PCI_BAR0, 4, draw(s, ~0u));
    }
}

typedef void Event(Storm *s, unsigned i);

/* Of one interface, or harmless; and those that end all locks, which come seldom. */
static Event *const events[] = {
    lock, lock, lock, start, start, start, start_with_another_nonce, stop, stop, report, refresh, master_off,
    msix_control, move_bar, reset_vf, harmless,
};
static Event *const ends[] = { open_stream, mac_failure, stop_a_key, new_session, device_control, vf_bars };

static void any_event(Storm *s)
{
    unsigned i = draw(s, N);

    if (!s->secure && draw(s, 4) == 0) {
        open_stream(s, i);
    } else if (draw(s, 40) == 0) {
        ends[draw(s, ARRAY_LEN(ends))](s, i);
    } else {
        events[draw(s, ARRAY_LEN(events))](s, i);
    }
}

/* ---- what must hold ---- */

static uint64_t engine(Storm *s, unsigned i, bool mirror, unsigned reg, Pas pas)
{
    uint64_t v;

    assert_int_equal(pci_bar_read(s->pd[i], TDISP_NIC_BAR_ENGINE, (mirror ? ENGINE_MIRROR : 0) + reg, 8,
                                  (MemAttrs){ .pas = pas }, &v), MEM_OK);
    return v;
}

/* By the mirror, which answers in every state. */
static uint64_t transfer(Storm *s, unsigned i, uint64_t address)
{
    const uint64_t values[][2] = { { ENGINE_ADDR, address }, { ENGINE_LEN, 8 }, { ENGINE_CMD, ENGINE_WRITE } };

    for (unsigned k = 0; k < ARRAY_LEN(values); k++) {
        assert_int_equal(pci_bar_write(s->pd[i], TDISP_NIC_BAR_ENGINE, ENGINE_MIRROR + values[k][0], 8,
                                       (MemAttrs){ .pas = PAS_NONSECURE }, values[k][1]), MEM_OK);
    }
    return engine(s, i, true, ENGINE_STATUS, PAS_NONSECURE);
}

static void check(Storm *s, unsigned i)
{
    TdiState state = s->state[i];
    unsigned before = s->r->n_requests;
    bool     sends = state == TDI_RUN || state == TDI_CONFIG_UNLOCKED;

    assert_int_equal(dsm_tdi(s->pd[i])->state, state);
    assert_true(!held(s, i) || s->secure);
    assert_int_equal(engine(s, i, false, ENGINE_ID, PAS_REALM) == ENGINE_MAGIC, state == TDI_RUN);
    assert_int_equal(engine(s, i, false, ENGINE_ID, PAS_NONSECURE) == ENGINE_MAGIC, state == TDI_CONFIG_UNLOCKED);
    assert_int_equal(transfer(s, i, state == TDI_RUN ? RIG_PRIVATE : RIG_SHARED) == ENGINE_OK, sends);
    assert_int_equal(s->r->n_requests - before, sends);
    assert_true(!sends || (s->r->last.trusted == (state == TDI_RUN) && s->r->last.requester == rid(i)));
}

/* ---- a run ---- */

static void open_storm(Storm *s, uint64_t seed)
{
    NicRig *r = rig_new("vfs=8");

    *s = (Storm){ .r = r };
    entropy_init(&s->dice, seed, "storm");
    rig_enable_vfs(r, N_VFS);
    for (unsigned i = 0; i < N; i++) {
        s->pd[i] = pci_host_find(r->host, rid(i));
        tdisp_client_init(&s->client[i], rid(i));
    }
    rig_connect(r);
    open_stream(s, CARD);
}

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text != NULL ? strtoull(text, NULL, 0) : otherwise;
}

static void test_storm(void **state)
{
    uint64_t seed = number("SEED", 1), steps = number("STEPS", DEFAULT_STEPS);
    Storm    s;

    open_storm(&s, seed);
    for (uint64_t n = 0; n < steps; n++) {
        any_event(&s);
        for (unsigned i = 0; i < N; i++) {
            check(&s, i);
        }
    }
    print_message("%u times RUN, %u locks broken, %u times new keys\n", s.n_run, s.n_broken, s.n_refreshed);
    assert_true(steps < DEFAULT_STEPS ||
                (s.n_run > steps / 100 && s.n_broken > steps / 40 && s.n_refreshed > steps / 50));
    rig_free(s.r);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_storm) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
