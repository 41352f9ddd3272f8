/*
 * The rig: a hierarchy with one root port and the card, enumerated as a host would.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "nic_rig.h"

#include "bytes.h"
#include "hw/pci/doe.h"
#include "hw/pci/root_port.h"
#include "hw/pci/sriov.h"

enum {
    DOE_CONTROL = 0x08,
    DOE_STATUS = 0x0c,
    DOE_WRITE = 0x10,
    DOE_READ = 0x14,
    IDE_SEL_BLOCKS = 0x0c + 8, /* behind one link block */
    IDE_SEL_CONTROL = 4,
    IDE_RID1 = 0x0c,
    IDE_RID2 = 0x10,
    IDE_ENABLE = 1,
    IDE_DEFAULT = 1 << 22,
    IDE_TEE_LIMITED = 1 << 23, /* at both ends: T=0 goes beside the stream, whatever becomes of it */
    IDE_CONTROL = IDE_DEFAULT | IDE_TEE_LIMITED,
};

#define DOE_GO    0x80000000u
#define DOE_READY 0x80000000u

static DmaResult translate(void *opaque, const DmaRequest *req, DmaTarget *out)
{
    NicRig *r = opaque;

    r->last = *req;
    r->n_requests++;
    *out = (DmaTarget){ req->iova, 4096 - (req->iova & 4095), req->trusted ? PAS_REALM : PAS_NONSECURE };
    return r->answer;
}

/* @device: words of -device */
static Device *card(NicRig *r, const char *device, const char *bus)
{
    char   *text = g_strdup_printf("%s,id=nic0,bus=%s", device, bus);
    GError *error = NULL;
    Device *dev = device_from_option(text, r->clock, 1, &error);

    assert_null(error);
    assert_non_null(dev);
    g_free(text);
    return dev;
}

static void set_port(NicRig *r, unsigned off, uint32_t value)
{
    pci_host_config_write(r->host, RIG_PORT, off, 4, value);
}

static void enumerate(NicRig *r)
{
    set_port(r, PCI_PRIMARY_BUS, 0x00010100);
    set_port(r, PCI_BAR0, 0x10100000);
    set_port(r, PCI_MEMORY_BASE, 0x10001000);
    set_port(r, PCI_PREF_MEMORY_BASE, 0);
    set_port(r, PCI_PREF_BASE_UPPER32, (uint32_t)(RIG_BAR0 >> 32));
    set_port(r, PCI_PREF_LIMIT_UPPER32, (uint32_t)(RIG_BAR0 >> 32));
    set_port(r, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    rig_write(r, PCI_BAR0, 4, (uint32_t)RIG_BAR0);
    rig_write(r, PCI_BAR0 + 4, 4, (uint32_t)(RIG_BAR0 >> 32));
    rig_write(r, PCI_BAR0 + 8, 4, (uint32_t)RIG_BAR2);
    rig_write(r, PCI_BAR0 + 16, 4, (uint32_t)RIG_BAR4);
    rig_write(r, PCI_BAR0 + 20, 4, (uint32_t)(RIG_BAR4 >> 32));
    rig_write(r, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static NicRig *empty_rig(void)
{
    NicRig *r = g_new0(NicRig, 1);
    GError *error = NULL;

    r->clock = clock_new();
    r->owners = owners_new();
    r->memory = memory_new(r->owners);
    assert_non_null(memory_add_ram(r->memory, "ram", RIG_RAM, 0x10000, &error));
    owners_set(r->owners, RIG_PRIVATE, 4096, OWNER_REALM);
    r->host = pci_host_new(&(PciHostConfig){
        .name = "pcie.0",
        .up = { .memory = r->memory, .dma_memory = r->memory, .translate = translate, .opaque = r },
        .last_bus = 3,
        .mem32 = { 0x10000000, 0x10000000 },
        .mem64 = { RIG_BAR0, 0x100000000 },
    });
    assert_true(pci_plug(pci_host_root(r->host),
                         device_new(device_class_find("pcie-root-port"), "rp0", r->clock, 1), -1, &error));
    return r;
}

static char *nic_words(const char *option)
{
    return g_strdup_printf("tdisp-nic%s%s", option != NULL ? "," : "", option != NULL ? option : "");
}

NicRig *rig_new(const char *option)
{
    char   *device = nic_words(option);
    NicRig *r = rig_new_of(device);

    g_free(device);
    return r;
}

NicRig *rig_new_of(const char *device)
{
    NicRig *r = empty_rig();
    GError *error = NULL;

    if (!pci_plug_option(r->host, card(r, device, "rp0"), &error)) {
        fail_msg("%s", error->message);
    }
    pci_host_reset(r->host);
    enumerate(r);
    r->port = pci_host_find(r->host, RIG_PORT);
    r->nic = pci_host_find(r->host, RIG_NIC);
    assert_non_null(r->nic);
    entropy_init(&r->entropy, 1, "module");
    spdm_requester_init(&r->requester, &r->entropy);
    tdisp_client_init(&r->tdi, RIG_NIC);
    return r;
}

void rig_free(NicRig *r)
{
    pci_host_free(r->host);
    memory_free(r->memory);
    owners_free(r->owners);
    clock_free(r->clock);
    g_free(r);
}

char *rig_refusal(const char *option, const char *bus)
{
    NicRig *r = empty_rig();
    GError *error = NULL;
    char   *device = nic_words(option);

    assert_false(pci_plug_option(r->host, card(r, device, bus), &error));
    g_free(device);
    char *text = g_strdup(error->message);

    g_error_free(error);
    rig_free(r);
    return text;
}

/* ---- configuration space and BARs ---- */

uint32_t rig_read(NicRig *r, unsigned off, unsigned size)
{
    return pci_host_config_read(r->host, RIG_NIC, off, size);
}

void rig_write(NicRig *r, unsigned off, unsigned size, uint32_t value)
{
    pci_host_config_write(r->host, RIG_NIC, off, size, value);
}

unsigned rig_doe(NicRig *r)
{
    unsigned last = 0;

    for (unsigned off = 0x100; off != 0; off = rig_read(r, off, 4) >> 20) {
        last = (rig_read(r, off, 4) & 0xffff) == PCI_EXT_CAP_DOE ? off : last;
    }
    return last;
}

static unsigned sel_block(PciDevice *pd, unsigned sel)
{
    unsigned first = pci_find_ext_cap(pd, PCI_EXT_CAP_IDE) + IDE_SEL_BLOCKS;

    return first + sel * (20 + 12 * (pci_get(pd, first, 4) & 0xf));
}

unsigned rig_ide(NicRig *r, unsigned sel)
{
    return sel_block(r->nic, sel);
}

uint64_t rig_bar_read(NicRig *r, unsigned bar, uint64_t off, unsigned size, Pas pas)
{
    uint64_t value;

    assert_int_equal(pci_bar_read(r->nic, bar, off, size, (MemAttrs){ .pas = pas }, &value), MEM_OK);
    return value;
}

void rig_bar_write(NicRig *r, unsigned bar, uint64_t off, unsigned size, Pas pas, uint64_t value)
{
    assert_int_equal(pci_bar_write(r->nic, bar, off, size, (MemAttrs){ .pas = pas }, value), MEM_OK);
}

void rig_enable_vfs(NicRig *r, unsigned n)
{
    static const uint64_t bars[] = { RIG_BAR0 + 0x20000, 0, RIG_BAR2 + 0x10000, 0, RIG_BAR0 + 0x40000 };
    unsigned              at = pci_find_ext_cap(r->nic, PCI_EXT_CAP_SRIOV);

    pci_host_config_write(r->host, RIG_PORT, pci_find_cap(r->port, PCI_CAP_EXP) + PCI_EXP_DEVCTL2, 2,
                          PCI_EXP_DEVCTL2_ARI);
    for (unsigned i = 0; i < ARRAY_LEN(bars); i += 2) {
        rig_write(r, at + SRIOV_VF_BAR0 + 4 * i, 4, (uint32_t)bars[i]);
        rig_write(r, at + SRIOV_VF_BAR0 + 4 * (i + 1), 4, (uint32_t)(bars[i] >> 32));
    }
    rig_write(r, at + SRIOV_NUM_VFS, 2, n);
    rig_write(r, at + SRIOV_CONTROL, 2, SRIOV_CONTROL_VF_ENABLE | SRIOV_CONTROL_VF_MSE | SRIOV_CONTROL_ARI);
    for (unsigned i = 1; i <= n; i++) {
        pci_host_config_write(r->host, (uint16_t)(RIG_NIC + i), PCI_COMMAND, 2, PCI_COMMAND_MASTER);
    }
}

/* ---- the mailbox ---- */

static void write_word(NicRig *r, uint32_t word)
{
    uint8_t bytes[4];

    le32_put(bytes, word);
    if (r->heard != NULL) {
        g_byte_array_append(r->heard, bytes, sizeof(bytes));
    }
    rig_write(r, rig_doe(r) + DOE_WRITE, 4, word);
}

static uint32_t read_word(NicRig *r)
{
    uint32_t word = rig_read(r, rig_doe(r) + DOE_READ, 4);
    uint8_t  bytes[4];

    le32_put(bytes, word);
    if (r->heard != NULL) {
        g_byte_array_append(r->heard, bytes, sizeof(bytes));
    }
    rig_write(r, rig_doe(r) + DOE_READ, 4, 0);
    return word;
}

size_t rig_exchange(NicRig *r, uint8_t type, const uint8_t *req, size_t len, uint8_t *rsp, size_t cap)
{
    unsigned doe = rig_doe(r), n = (unsigned)((len + 3) / 4), got;
    uint8_t  padded[SPDM_MSG_MAX + 4] = { 0 };

    memcpy(padded, req, len);
    write_word(r, DOE_VENDOR_PCISIG | (uint32_t)type << 16);
    write_word(r, n + 2);
    for (unsigned i = 0; i < n; i++) {
        write_word(r, le32_get(padded + 4 * i));
    }
    rig_write(r, doe + DOE_CONTROL, 4, DOE_GO);
    if (!(rig_read(r, doe + DOE_STATUS, 4) & DOE_READY)) {
        return 0;
    }
    assert_int_equal(read_word(r), DOE_VENDOR_PCISIG | (uint32_t)type << 16);
    got = read_word(r) - 2;
    assert_true(4 * (size_t)got <= cap);
    for (unsigned i = 0; i < got; i++) {
        assert_true(rig_read(r, doe + DOE_STATUS, 4) & DOE_READY);
        le32_put(rsp + 4 * i, read_word(r));
    }
    assert_int_equal(rig_read(r, doe + DOE_STATUS, 4), 0);
    return 4 * (size_t)got;
}

/* ---- the module ---- */

static SpdmResult step(NicRig *r)
{
    uint8_t req[SPDM_MSG_MAX], rsp[SPDM_MSG_MAX + 64];
    bool    secured;
    size_t  len = spdm_requester_next(&r->requester, req, sizeof(req), &secured);

    if (len == 0) {
        return SPDM_FAILED;
    }
    len = rig_exchange(r, secured ? DOE_TYPE_SECURED_SPDM : DOE_TYPE_SPDM, req, len, rsp, sizeof(rsp));
    if (len == 0) {
        spdm_requester_abort(&r->requester);
        return SPDM_FAILED;
    }
    return spdm_requester_response(&r->requester, rsp, len, secured);
}

SpdmResult rig_op(NicRig *r, SpdmOp op, const SpdmOpArgs *args)
{
    SpdmResult result = SPDM_CONTINUE;

    if (spdm_requester_start(&r->requester, op, args) != NULL) {
        return SPDM_FAILED;
    }
    while (result == SPDM_CONTINUE) {
        result = step(r);
    }
    return result;
}

static SpdmResult send_pci(NicRig *r, uint8_t protocol, const uint8_t *msg, size_t len)
{
    SpdmOpArgs args = { .protocol = protocol, .message = msg, .len = len };

    return rig_op(r, SPDM_OP_VENDOR, &args);
}

SpdmResult rig_ide_stream(NicRig *r, IdeKmOp op, uint8_t stream_id, uint8_t key_set)
{
    uint8_t       msg[IDE_KM_MSG_MAX];
    IdeKmSequence q;
    SpdmResult    result = SPDM_CONTINUE;

    ide_km_sequence_start(&q, op, 0, stream_id, key_set, r->keys);
    while (result == SPDM_CONTINUE) {
        size_t len = ide_km_sequence_next(&q, msg, sizeof(msg));

        if (send_pci(r, SPDM_PCI_PROTOCOL_IDE_KM, msg, len) != SPDM_DONE) {
            return SPDM_FAILED;
        }
        SpdmSpan reply = spdm_requester_vendor_reply(&r->requester);

        result = ide_km_sequence_response(&q, reply.data, reply.len);
    }
    return result;
}

SpdmResult rig_ide_op(NicRig *r, IdeKmOp op, uint8_t key_set)
{
    return rig_ide_stream(r, op, RIG_STREAM, key_set);
}

uint32_t rig_tdisp_raw(NicRig *r, uint8_t code, const void *payload, size_t len)
{
    uint8_t msg[64] = { 0x10, code };

    le32_put(msg + 4, r->tdi.function_id);
    memcpy(msg + 16, payload, len);
    assert_int_equal(send_pci(r, SPDM_PCI_PROTOCOL_TDISP, msg, 16 + len), SPDM_DONE);
    SpdmSpan reply = spdm_requester_vendor_reply(&r->requester);

    assert_true(reply.len >= 16);
    return ((const uint8_t *)reply.data)[1] == TDISP_ERROR ? le32_get((const uint8_t *)reply.data + 16) : 0;
}

SpdmResult rig_tdisp(NicRig *r, TdispOp op)
{
    uint8_t    msg[64];
    SpdmResult result = SPDM_CONTINUE;

    tdisp_client_start(&r->tdi, op);
    while (result == SPDM_CONTINUE) {
        size_t len = tdisp_client_next(&r->tdi, msg, sizeof(msg));

        if (send_pci(r, SPDM_PCI_PROTOCOL_TDISP, msg, len) != SPDM_DONE) {
            return SPDM_FAILED;
        }
        SpdmSpan reply = spdm_requester_vendor_reply(&r->requester);

        result = tdisp_client_response(&r->tdi, reply.data, reply.len);
    }
    return result;
}

void rig_connect(NicRig *r)
{
    SpdmPublicKey key;
    SpdmSpan      chain;

    assert_int_equal(rig_op(r, SPDM_OP_CONNECT, NULL), SPDM_DONE);
    chain = spdm_requester_chain(&r->requester);
    assert_null(spdm_chain_check((const uint8_t *)chain.data + 52, chain.len - 52, NULL, 0,
                                 SPDM_CHAIN_OF_RESPONDER, -1, &key));
    assert_int_equal(spdm_requester_set_public_key(&r->requester, &key), SPDM_KEY_OK);
    assert_int_equal(rig_op(r, SPDM_OP_SESSION, NULL), SPDM_DONE);
}

/* The monitor's part: the root port sends with what the card receives with. */
static void key_port(NicRig *r)
{
    IdeCap *ide = root_port_ide(r->port);
    uint8_t iv[IDE_IV_LEN] = { IDE_INITIAL_IFV };

    for (unsigned i = 0; i < 2 * IDE_N_SUB; i++) {
        unsigned sub = i / 2, card_tx = i & 1;

        assert_true(ide_key_prog(ide, 0, 0, card_tx ? IDE_RX : IDE_TX, sub, r->keys[sub][card_tx], iv));
        assert_true(ide_key_go(ide, 0, 0, card_tx ? IDE_RX : IDE_TX, sub));
    }
    root_port_set_tdisp(r->port, true, 1);
}

void rig_enable_stream(NicRig *r)
{
    const uint16_t    bdf[] = { RIG_PORT, RIG_NIC };
    PciDevice *const  pd[] = { r->port, r->nic };

    for (unsigned i = 0; i < 2; i++) {
        unsigned block = sel_block(pd[i], 0);

        pci_host_config_write(r->host, bdf[i], block + IDE_RID1, 4, 0x00ffff00);
        pci_host_config_write(r->host, bdf[i], block + IDE_RID2, 4, 1);
        pci_host_config_write(r->host, bdf[i], block + IDE_SEL_CONTROL, 4, IDE_CONTROL);
        pci_host_config_write(r->host, bdf[i], block + IDE_SEL_CONTROL, 4, IDE_CONTROL | IDE_ENABLE);
    }
}

void rig_key_stream(NicRig *r)
{
    entropy_bytes(&r->entropy, r->keys, sizeof(r->keys));
    assert_int_equal(rig_ide_op(r, IDE_KM_KEYS, 0), SPDM_DONE);
    assert_int_equal(rig_ide_op(r, IDE_KM_GO, 0), SPDM_DONE);
    key_port(r);
    rig_enable_stream(r);
    assert_int_equal(ide_state(root_port_ide(r->port), 0), IDE_SECURE);
}

void rig_go_to(NicRig *r, TdiState state, uint16_t lock_flags)
{
    rig_connect(r);
    rig_key_stream(r);
    assert_int_equal(rig_tdisp(r, TDISP_OP_PROBE), SPDM_DONE);
    r->tdi.lock_flags = lock_flags;
    r->tdi.stream_id = RIG_STREAM;
    if (state != TDI_CONFIG_UNLOCKED && rig_tdisp(r, TDISP_OP_LOCK) != SPDM_DONE) {
        fail_msg("lock: %s", r->tdi.error);
    }
    if (state == TDI_RUN || state == TDI_ERROR) {
        assert_int_equal(rig_tdisp(r, TDISP_OP_START), SPDM_DONE);
    }
    if (state == TDI_ERROR) {
        rig_write(r, PCI_BAR0 + 16, 4, (uint32_t)RIG_BAR4 + 0x4000);
        rig_write(r, PCI_BAR0 + 16, 4, (uint32_t)RIG_BAR4);
    }
    assert_int_equal(rig_state(r), state);
}

TdiState rig_state(const NicRig *r)
{
    return dsm_tdi(r->nic)->state;
}
