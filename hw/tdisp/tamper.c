/*
 * The table of what a device can do wrong. Forged evidence is chosen when the device is made, the rest is done to
 * whole messages behind the responder, which stays the one that a good device has.
 */
#include "hw/tdisp/tamper.h"

#include <inttypes.h>
#include <string.h>

#include "device.h"
#include "log.h"

#define NS_PER_MS 1000000ll

typedef struct TamperName {
    const char *name;
    bool        has_n;         /* takes a parameter */
    uint64_t    def, min, max; /* of it; the first when it is left out */
    enum { COUNTS_NOTHING, COUNTS_MESSAGES, COUNTS_RECORDS } counts; /* since power on */
} TamperName;

static const TamperName names[N_TAMPER] = {
    [TAMPER_WRONG_ROOT] = { "wrong-root", false, 0, 0, 0 },
    [TAMPER_EXPIRED] = { "expired", false, 0, 0, 0 },
    [TAMPER_WRONG_USAGE] = { "wrong-usage", false, 0, 0, 0 },
    [TAMPER_WRONG_SIGNATURE] = { "wrong-signature", false, 0, 0, 0 },
    [TAMPER_WRONG_MEASUREMENT] = { "wrong-measurement", true, 0, 0, UINT32_MAX, COUNTS_MESSAGES }, /* answered before */
    [TAMPER_SILENT] = { "silent", true, 0, 0, UINT32_MAX, COUNTS_MESSAGES },   /* messages that it still answers */
    [TAMPER_DROP] = { "drop", true, 1, 1, UINT32_MAX, COUNTS_MESSAGES },       /* the message that it does not answer */
    [TAMPER_BAD_MAC] = { "bad-mac", true, 1, 1, UINT32_MAX, COUNTS_RECORDS },  /* the record, of those that it sends */
    [TAMPER_SLOW] = { "slow", true, 100, 1, 3600000 },           /* milliseconds */
    [TAMPER_NOT_READY] = { "not-ready", true, 1, 1, UINT8_MAX }, /* times */
};

const char *tamper_name(TamperKind kind) { return names[kind].name; }

static bool refuse(const char *device, const char *item, const char *why, GError **error)
{
    g_set_error(error, BAILEY_ERROR, 0, "tamper=%s of device %s %s; use " TAMPER_NAMES ", more than one joined by "
                "'+'", item, device, why);
    return false;
}

static bool parse_one(Tamper *t, const char *device, const char *item, GError **error)
{
    const char *equals = strchr(item, '=');
    size_t      len = equals != NULL ? (size_t)(equals - item) : strlen(item);

    for (unsigned i = 0; i < N_TAMPER; i++) {
        const TamperName *name = &names[i];
        guint64           n = name->def;

        if (strlen(name->name) != len || memcmp(name->name, item, len) != 0) {
            continue;
        }
        if (equals != NULL && !(name->has_n && g_ascii_string_to_unsigned(equals + 1, 10, name->min, name->max, &n,
                                                                          NULL))) {
            return refuse(device, item, name->has_n ? "has a wrong number" : "takes no number", error);
        }
        t->on[i] = true;
        t->n[i] = n;
        return true;
    }
    return refuse(device, item, "is not known", error);
}

bool tamper_parse(Tamper *t, const char *device, const char *text, GError **error)
{
    char **items = text != NULL ? g_strsplit(text, "+", -1) : NULL;
    bool   ok = true;

    *t = (Tamper){ 0 };
    if (text != NULL && *text == '\0') {
        ok = refuse(device, text, "names nothing", error);
    }
    for (unsigned i = 0; ok && items != NULL && items[i] != NULL; i++) {
        ok = parse_one(t, device, items[i], error);
    }
    if (ok && t->on[TAMPER_WRONG_ROOT] + t->on[TAMPER_EXPIRED] + t->on[TAMPER_WRONG_USAGE] > 1) {
        ok = refuse(device, text, "names more than one kind of certificate", error);
    }
    g_strfreev(items);
    return ok;
}

bool tamper_inject(Tamper *t, const char *device, const char *text, GError **error)
{
    Tamper added;

    if (!tamper_parse(&added, device, text, error)) {
        return false;
    }
    if (tamper_pki(&added) != SPDM_TEST_DEVICE) {
        return refuse(device, text, "is about certificates, which it got when it was made; give it to -device", error);
    }
    for (unsigned i = 0; i < N_TAMPER; i++) {
        if (added.on[i]) {
            t->on[i] = true;
            t->n[i] = added.n[i] + (names[i].counts == COUNTS_MESSAGES  ? t->messages
                                    : names[i].counts == COUNTS_RECORDS ? t->records
                                                                        : 0);
        }
    }
    return true;
}

SpdmTestPki tamper_pki(const Tamper *t)
{
    return t->on[TAMPER_WRONG_ROOT]    ? SPDM_TEST_WRONG_ROOT
           : t->on[TAMPER_EXPIRED]     ? SPDM_TEST_EXPIRED
           : t->on[TAMPER_WRONG_USAGE] ? SPDM_TEST_WRONG_USAGE
                                       : SPDM_TEST_DEVICE;
}

size_t tamper_answer(Tamper *t, const char *id, bool secured, uint8_t *answer, size_t len)
{
    uint64_t nth = ++t->messages;

    if ((t->on[TAMPER_SILENT] && nth > t->n[TAMPER_SILENT]) || (t->on[TAMPER_DROP] && nth == t->n[TAMPER_DROP])) {
        LOG(SPDM, "%s: tamper: no answer to message %" PRIu64, id, nth);
        return 0;
    }
    if (secured && len != 0 && ++t->records == t->n[TAMPER_BAD_MAC]) {
        LOG(SPDM, "%s: tamper: the tag of record %" PRIu64 " is spoilt", id, t->records);
        answer[len - 1] ^= 1; /* a record ends with its tag */
    }
    return len;
}

bool tamper_measures_wrongly(const Tamper *t)
{
    return t->on[TAMPER_WRONG_MEASUREMENT] && t->messages >= t->n[TAMPER_WRONG_MEASUREMENT];
}

bool tamper_measures_otherwise(const Tamper *t)
{
    return tamper_measures_wrongly(t) && t->messages == t->n[TAMPER_WRONG_MEASUREMENT];
}

int64_t tamper_delay_ns(const Tamper *t) { return (int64_t)t->n[TAMPER_SLOW] * NS_PER_MS; }

uint8_t tamper_not_ready(const Tamper *t) { return (uint8_t)t->n[TAMPER_NOT_READY]; }
