/*
 * What the device measures of itself. There is no firmware behind it, so ROM and firmware are texts that name
 * a version; the hardware configuration is read from configuration space. The expected values are in
 * images/reference/tdisp-nic.ref, made without this file. Source: DMTF DSP0274 1.2, "DMTF measurement
 * specification format".
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "hw/tdisp/dsm_int.h"
#include "log.h"

enum {
    FIRMWARE_SVN = 1,
    MODE_NORMAL = 1 << 2, /* "Device mode": normal operation, in capabilities and state */
    INDEX_FIRMWARE = 2,
    INDEX_BOOT = 6,
    INDEX_DEVICE_MODE = 0xfe,
};

static size_t put_text(Dsm *dsm, const char *format, ...) __attribute__((format(printf, 2, 3)));

static size_t put_text(Dsm *dsm, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int len = vsnprintf((char *)dsm->measured, sizeof(dsm->measured), format, args);

    va_end(args);
    g_assert(len > 0 && (size_t)len < sizeof(dsm->measured)); /* class names are ours, and short */
    return (size_t)len;
}

static size_t rom(Dsm *dsm)
{
    return put_text(dsm, "bailey %s rom 1", dsm->pd->dev.cls->name);
}

static size_t firmware(Dsm *dsm)
{
    return put_text(dsm, "bailey %s firmware 1.0%s", dsm->pd->dev.cls->name,
                    tamper_measures_wrongly(&dsm->faults) ? ", tampered with" : "");
}

/* Identity: vendor, device, subsystem vendor, subsystem (2 bytes each), revision and class (4). Then each
 * BAR: number, type bits of the register (1 byte each), size (8). */
static size_t hardware(Dsm *dsm)
{
    PciDevice *pd = dsm->pd;
    ByteWriter w = bw_init(dsm->measured, sizeof(dsm->measured));

    bw_u32(&w, pci_get(pd, PCI_VENDOR_ID, 4));
    bw_u32(&w, pci_get(pd, PCI_SUBSYSTEM_VENDOR_ID, 4));
    bw_u32(&w, pci_get(pd, PCI_REVISION_ID, 4));
    for (unsigned i = 0; i < PCI_N_BARS; i++) {
        if (pd->bars[i].size != 0) {
            bw_u8(&w, (uint8_t)i);
            bw_u8(&w, (uint8_t)pd->bars[i].flags);
            bw_u64(&w, pd->bars[i].size);
        }
    }
    return w.pos;
}

static size_t firmware_version(Dsm *dsm)
{
    return put_text(dsm, "1.0");
}

static size_t security_version(Dsm *dsm)
{
    le64_put(dsm->measured, FIRMWARE_SVN);
    return 8;
}

static size_t device_mode(Dsm *dsm)
{
    le32_put(dsm->measured, MODE_NORMAL);
    le32_put(dsm->measured + 4, MODE_NORMAL);
    memset(dsm->measured + 8, 0, 8); /* debug was never active */
    return 16;
}

/* The log has what it is made of: log_get(). */
static size_t boot(Dsm *dsm)
{
    return 0;
}

static const struct Measured {
    uint8_t index, kind;
    bool    raw_only, tcb;
    size_t (*value)(Dsm *dsm);
} measured[] = {
    /* index               kind                        raw    TCB    value */
    { 1,                  SPDM_MEAS_IMMUTABLE_ROM,    false, true,  rom },
    { INDEX_FIRMWARE,     SPDM_MEAS_MUTABLE_FIRMWARE, false, true,  firmware },
    { 3,                  SPDM_MEAS_HARDWARE_CONFIG,  false, true,  hardware },
    { 4,                  SPDM_MEAS_FIRMWARE_VERSION, true,  false, firmware_version },
    { 5,                  SPDM_MEAS_SECURITY_VERSION, true,  false, security_version },
    { INDEX_BOOT,         SPDM_MEAS_HASH_EXTEND,      false, false, boot },
    { INDEX_DEVICE_MODE,  SPDM_MEAS_DEVICE_MODE,      true,  false, device_mode },
};

bool measure_get(void *opaque, unsigned n, SpdmMeasurement *m)
{
    Dsm *dsm = opaque;

    if (n >= ARRAY_LEN(measured)) {
        return false;
    }
    const struct Measured *x = &measured[n];

    *m = (SpdmMeasurement){
        .index = x->index, .kind = x->kind, .raw_only = x->raw_only, .tcb = x->tcb, .value = dsm->measured,
        .len = (uint16_t)x->value(dsm),
    };
    return true;
}

/* What ran, in order: ROM, then firmware and its version. */
bool log_get(void *opaque, unsigned n, SpdmLogEntry *entry)
{
    static const struct {
        uint8_t kind;
        size_t (*value)(Dsm *dsm);
    } ran[] = {
        { SPDM_MEAS_IMMUTABLE_ROM, rom },
        { SPDM_MEAS_MUTABLE_FIRMWARE, firmware },
        { SPDM_MEAS_FIRMWARE_VERSION, firmware_version },
    };
    Dsm *dsm = opaque;

    if (n >= ARRAY_LEN(ran)) {
        return false;
    }
    *entry = (SpdmLogEntry){ .index = INDEX_BOOT, .kind = ran[n].kind, .value = dsm->measured,
                             .len = (uint16_t)ran[n].value(dsm) };
    return true;
}

void measure_firmware(Dsm *dsm, SpdmMeasurement *m)
{
    bool there = measure_get(dsm, INDEX_FIRMWARE - 1, m);

    g_assert(there && m->index == INDEX_FIRMWARE);
}

void measure_firmware_changed(Dsm *dsm)
{
    LOG(SPDM, "%s: tamper: the firmware measures as another one", dsm->pd->dev.id);
    spdm_responder_measurement_changed(&dsm->responder, INDEX_FIRMWARE);
    if (dsm->spdm.capabilities & SPDM_CAP_MEL) {
        spdm_responder_measurement_changed(&dsm->responder, INDEX_BOOT);
    }
}
