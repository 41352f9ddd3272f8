/*
 * The machine around the device: a root complex with one root port and the card, enumerated. There is no memory, so
 * whatever the device would read or write by itself is refused.
 */
#include "tool/spdm_device.h"

#include <string.h>

#include "bits.h"
#include "bytes.h"
#include "clock.h"
#include "device.h"
#include "hw/pci/doe.h"
#include "hw/pci/pci.h"
#include "hw/tdisp/dsm.h"
#include "log.h"
#include "memory.h"
#include "spdm/record.h"

enum {
    PORT = 0x0008, CARD = 0x0100, /* requester IDs */
    MEM32 = 0x10000000, MEM32_SIZE = 0x1000000,
    CONTROL = 0x08, STATUS = 0x0c, WRITE = 0x10, READ = 0x14, /* of the DOE capability */
    WORD = 4,
};
#define MEM64         0x8000000000ull
#define CONTROL_ABORT BIT(0)
#define CONTROL_GO    BIT(31)
#define STATUS_BUSY   BIT(0)
#define STATUS_ERROR  BIT(2)
#define STATUS_READY  BIT(31)

struct SpdmDevice {
    Clock   *clock;
    Owners  *owners;
    Memory  *memory;
    PciHost *host;
    unsigned doe; /* offset of the mailbox */
};

static uint32_t get(SpdmDevice *d, unsigned reg) { return pci_host_config_read(d->host, CARD, d->doe + reg, WORD); }

static void put(SpdmDevice *d, unsigned reg, uint32_t value)
{
    pci_host_config_write(d->host, CARD, d->doe + reg, WORD, value);
}

static bool plug(SpdmDevice *d, const char *option, uint64_t seed, GError **error)
{
    Device *dev = device_from_option(option, d->clock, seed, error);

    return dev != NULL && pci_plug_option(d->host, dev, error);
}

/* Gives each memory BAR of the card an address in the port's windows; a 64-bit one takes two registers. */
static void place_bars(SpdmDevice *d, const PciDevice *card)
{
    uint64_t at[2] = { MEM32, MEM64 };

    for (unsigned i = 0; i < PCI_N_BARS; i++) {
        bool     is_64 = (card->bars[i].flags & PCI_BAR_MEM64) != 0;
        uint64_t size = card->bars[i].size, *next = &at[is_64];

        if (size == 0) {
            continue;
        }
        *next = align_up(*next, size);
        pci_host_config_write(d->host, CARD, PCI_BAR0 + WORD * i, WORD, (uint32_t)*next);
        if (is_64) {
            pci_host_config_write(d->host, CARD, PCI_BAR0 + WORD * (i + 1), WORD, (uint32_t)(*next >> 32));
        }
        *next += size;
    }
}

static void set_port(SpdmDevice *d, unsigned off, uint32_t value)
{
    pci_host_config_write(d->host, PORT, off, WORD, value);
}

static void enumerate(SpdmDevice *d)
{
    set_port(d, PCI_PRIMARY_BUS, 0x00010100);
    set_port(d, PCI_MEMORY_BASE, MEM32 >> 16 | (MEM32 + MEM32_SIZE - 0x100000));
    set_port(d, PCI_PREF_MEMORY_BASE, 0);
    set_port(d, PCI_PREF_BASE_UPPER32, (uint32_t)(MEM64 >> 32));
    set_port(d, PCI_PREF_LIMIT_UPPER32, (uint32_t)(MEM64 >> 32));
    set_port(d, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    place_bars(d, pci_host_find(d->host, CARD));
    pci_host_config_write(d->host, CARD, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    d->doe = pci_find_ext_cap(pci_host_find(d->host, CARD), PCI_EXT_CAP_DOE);
}

SpdmDevice *spdm_device_new(const char *properties, uint64_t seed, GError **error)
{
    SpdmDevice *d = g_new0(SpdmDevice, 1);
    char       *card = g_strdup_printf("tdisp-nic,id=nic0,bus=rp0%s%s", properties != NULL ? "," : "",
                                       properties != NULL ? properties : "");

    d->clock = clock_new();
    d->owners = owners_new();
    d->memory = memory_new(d->owners);
    d->host = pci_host_new(&(PciHostConfig){
        .name = "pcie.0",
        .up = { .memory = d->memory, .dma_memory = d->memory },
        .last_bus = 1,
        .mem32 = { MEM32, MEM32_SIZE },
        .mem64 = { MEM64, MEM32_SIZE },
    });
    if (plug(d, "pcie-root-port,id=rp0", seed, error) && plug(d, card, seed, error)) {
        pci_host_reset(d->host);
        enumerate(d);
    } else {
        spdm_device_free(d);
        d = NULL;
    }
    g_free(card);
    return d;
}

void spdm_device_free(SpdmDevice *d)
{
    if (d != NULL) {
        pci_host_free(d->host);
        memory_free(d->memory);
        owners_free(d->owners);
        clock_free(d->clock);
        g_free(d);
    }
}

/* PCI Express Base Specification 6.0, "Data Object Exchange (DOE)": the words of the answer, until there is no more. */
static void read_answer(SpdmDevice *d, GByteArray *reply)
{
    while (get(d, STATUS) & STATUS_READY) {
        uint8_t word[WORD];

        le32_put(word, get(d, READ));
        g_byte_array_append(reply, word, WORD);
        put(d, READ, 0);
    }
}

/* A mailbox that takes its time: the peer's, too. */
static void wait_for_mailbox(SpdmDevice *d)
{
    while (get(d, STATUS) & STATUS_BUSY) {
        int64_t next_ns = clock_next_deadline(d->clock);

        g_usleep((gulong)(next_ns - clock_now(d->clock)) / 1000);
        clock_advance(d->clock, next_ns);
    }
}

static void exchange_object(SpdmDevice *d, const uint8_t *object, size_t len, GByteArray *reply)
{
    for (size_t at = 0; at < len; at += WORD) {
        uint8_t word[WORD] = { 0 };

        memcpy(word, object + at, MIN(len - at, (size_t)WORD));
        put(d, WRITE, le32_get(word));
    }
    put(d, CONTROL, CONTROL_GO);
    wait_for_mailbox(d);
    read_answer(d, reply);
    if (get(d, STATUS) & STATUS_ERROR) {
        LOG(DOE, "the mailbox reports an error in an object of %zu bytes", len);
        put(d, CONTROL, CONTROL_ABORT);
        g_byte_array_set_size(reply, 0);
    }
}

/* Past the mailbox. A packet that carries no SPDM gets no answer. */
static void exchange_packet(SpdmDevice *d, SpdmTransport t, const uint8_t *packet, size_t len, GByteArray *reply)
{
    uint8_t    answer[SPDM_RECORD_MAX], wrapped[SPDM_RECORD_MAX + SPDM_PACKET_OVERHEAD];
    ByteWriter w = bw_init(wrapped, sizeof(wrapped));
    bool       secured;
    SpdmSpan   msg;

    if (!spdm_packet_unwrap(t, packet, len, &secured, &msg)) {
        LOG(SPDM, "a packet of %zu bytes carries no SPDM", len);
        return;
    }
    size_t n = dsm_message(dsm_of(pci_host_find(d->host, CARD)), t, secured, msg.data, msg.len, answer, sizeof(answer));

    if (n != 0) {
        spdm_packet_wrap(t, secured, answer, n, &w);
        g_byte_array_append(reply, wrapped, (guint)w.pos);
    }
}

void spdm_device_exchange(SpdmDevice *d, SpdmTransport transport, const uint8_t *packet, size_t len,
                          GByteArray *reply)
{
    g_byte_array_set_size(reply, 0);
    if (transport == SPDM_OVER_DOE) {
        exchange_object(d, packet, len, reply);
    } else {
        exchange_packet(d, transport, packet, len, reply);
    }
}

void spdm_device_want_key_update(SpdmDevice *d, uint32_t session_id)
{
    spdm_responder_want_key_update(&dsm_of(pci_host_find(d->host, CARD))->responder, session_id);
}
