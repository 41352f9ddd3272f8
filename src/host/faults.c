/*
 * What the built-in host does wrong when told to (-M cca,host-fault=), so that a user sees what the protection is worth
 * and what a guest does about a host that lies, is slow or gives up. Each fault is a row of faults[]: its name, what
 * its parameter means, the place where it acts, and a function that spoils what the host is about to do there.
 */
#include "host/faults.h"

#include <string.h>

#include "host/host_int.h"
#include "host/impostor.h"
#include "log.h"

#define NOT_NAMED (~0ull)
#define EVERYTHING "any" /* names each fault, and commits none before the Realm asks for it */
#define HUGE_SIZE (1ull << 40)
/* A BAR that was moved is outside every window of the board: nothing else is in its way. */
#define MOVED_BIT 0x80000000u

enum { NAME_REGS = 4, FIRST_NAME_REG = 2 };

/* What the number behind a fault's name means. */
typedef enum FaultArg {
    ARG_TIMES,  /* so often, from the first occasion on */
    ARG_NTH,    /* on this occasion, counted from 1 */
    ARG_NUMBER, /* always, with this number */
    ARG_ALWAYS, /* none: always */
    ARG_OBJECT, /* an object by name: always */
    ARG_STATE,  /* a state by name: when the interface gets there; none: when the Realm asks */
    ARG_ASKED,  /* none: when the Realm asks; what its argument is, the help says */
} FaultArg;

typedef struct Fault {
    const char    *name;
    FaultArg       arg;
    uint64_t       preset; /* when none is given */
    HostFaultPlace place;
    bool         (*commit)(Host *h, HostDeed *deed, uint64_t arg); /* false: this was no occasion */
    const char    *help;
} Fault;

/* ---- answers of the RHI ---- */

static bool be_busy(Host *h, HostDeed *deed, uint64_t arg)
{
    deed->answer = RHI_BUSY;
    return true;
}

static bool blame_device(Host *h, HostDeed *deed, uint64_t arg)
{
    deed->answer = RHI_DEVICE;
    return true;
}

static bool refuse_lock(Host *h, HostDeed *deed, uint64_t arg)
{
    deed->answer = RHI_ACCESS_FAILED;
    return deed->locks;
}

static bool pretend(Host *h, HostDeed *deed, uint64_t arg)
{
    deed->answer = RHI_SUCCESS;
    return true;
}

static bool not_yet(Host *h, HostDeed *deed, uint64_t arg) { return true; }

static bool abort_late(Host *h, HostDeed *deed, uint64_t arg)
{
    deed->answer = RHI_ABORT_COMPLETED;
    return true;
}

/* ---- objects ---- */

static GByteArray *spoilt_copy(Host *h, const GByteArray *o)
{
    g_clear_pointer(&h->faults.spoilt, g_byte_array_unref);
    h->faults.spoilt = g_byte_array_new();
    g_byte_array_append(h->faults.spoilt, o->data, o->len);
    return h->faults.spoilt;
}

static bool flip_object(Host *h, HostDeed *deed, uint64_t object)
{
    if (deed->object != object || !deed->reads) {
        return false;
    }
    GByteArray *copy = spoilt_copy(h, deed->bytes);

    copy->data[copy->len / 2] ^= 1;
    deed->bytes = copy;
    return true;
}

static bool cut_object(Host *h, HostDeed *deed, uint64_t object)
{
    if (deed->object != object || !deed->reads) {
        return false;
    }
    GByteArray *copy = spoilt_copy(h, deed->bytes);

    g_byte_array_set_size(copy, copy->len / 2);
    deed->bytes = copy;
    return true;
}

static bool understate_object(Host *h, HostDeed *deed, uint64_t object)
{
    if (deed->object != object || deed->reads) {
        return false;
    }
    deed->size /= 2;
    return true;
}

static bool overstate_object(Host *h, HostDeed *deed, uint64_t object)
{
    if (deed->object != object || deed->reads) {
        return false;
    }
    deed->size = HUGE_SIZE;
    return true;
}

/* ---- which VDEV ---- */

static bool name_none(Host *h, HostDeed *deed, uint64_t arg)
{
    deed->vdev = 0;
    return true;
}

/* Another device's VDEV; when there is none, a granule that is no VDEV. */
static bool name_other(Host *h, HostDeed *deed, uint64_t arg)
{
    uint64_t other = deed->d->pf->pdev;

    for (unsigned i = 0; i < h->n_devices; i++) {
        if (&h->devices[i] != deed->d && h->devices[i].vdev != 0) {
            other = h->devices[i].vdev;
        }
    }
    deed->vdev = other;
    return true;
}

/* ---- mappings ---- */

static bool map_nothing(Host *h, HostDeed *deed, uint64_t arg)
{
    deed->pages = 0;
    deed->rejects = true;
    return true;
}

static bool map_some(Host *h, HostDeed *deed, uint64_t pages)
{
    deed->pages = MIN(deed->pages, pages);
    deed->rejects = true;
    return true;
}

static bool map_few(Host *h, HostDeed *deed, uint64_t pages)
{
    deed->pages = MIN(deed->pages, pages);
    return true;
}

/* Another page of the BAR in place of the first one. If the RMM took it for right, it would stay. */
static bool map_another(Host *h, HostDeed *deed, uint64_t arg)
{
    A64Cpu  *cpu = deed->hc->cpu;
    HostBar *b = host_pass_bar(deed->d->f, deed->base);
    uint64_t wrong = b == NULL ? 0 : deed->base == b->base ? b->base + PAGE_SIZE : b->base;

    if (b == NULL || b->size <= PAGE_SIZE || b->assigned[(deed->base - b->base) / PAGE_SIZE] ||
        b->assigned[(wrong - b->base) / PAGE_SIZE] || !host_device_map_page(h, cpu, deed->d, deed->base, wrong)) {
        return false;
    }
    uint64_t x0 = host_device_validate(h, deed->hc, deed->d, deed->base, deed->base + PAGE_SIZE);

    LOG(HOST, "fault map-wrong-pa: VALIDATE_MAPPING answers status %u index %u", RMI_RETURN_STATUS(x0),
        RMI_RETURN_INDEX(x0));
    if (x0 != RMI_SUCCESS) {
        host_device_unmap_page(h, cpu, deed->base, wrong);
    }
    deed->pages = 0;
    deed->rejects = x0 != RMI_SUCCESS;
    return true;
}

/* ---- messages ---- */

static bool flip_message(Host *h, HostDeed *deed, uint64_t arg)
{
    HostRelay *r = &deed->d->job.relay;
    size_t     len = 0;

    (void)relay_payload(r, &len);
    r->object[8 + len / 2] ^= 1;
    return true;
}

static bool lose_message(Host *h, HostDeed *deed, uint64_t arg)
{
    deed->d->job.relay.state = RELAY_FAILED;
    return true;
}

static bool abort_conversation(Host *h, HostDeed *deed, uint64_t arg)
{
    deed->d->job.abort = deed->d->job.vdev;
    return deed->d->job.vdev;
}

/* ---- configuration space, registers ---- */

static unsigned command_of(const HostDevice *d) { return host_config_read(d->f, PCI_COMMAND, 2); }

/* The BAR of the MSI-X table: what the Realm maps stays where it is, so it sees the ERROR state and no abort. */
static bool write_bar(Host *h, HostDeed *deed, uint64_t arg)
{
    HostFunction       *f = deed->d->f;
    const HostFunction *of;
    unsigned            bar = f->msix.vectors != NULL ? f->msix.bar : 0, reg = host_pci_bar_register(f, bar, &of);

    if (f->bars[bar].size == 0) {
        return false;
    }
    host_config_write(of, reg, 4, host_config_read(of, reg, 4) ^ MOVED_BIT);
    return true;
}

static bool write_command(Host *h, HostDeed *deed, uint64_t arg)
{
    host_config_write(deed->d->f, PCI_COMMAND, 2, command_of(deed->d) & ~(unsigned)PCI_COMMAND_MASTER);
    return true;
}

static bool reset_function(Host *h, HostDeed *deed, uint64_t arg)
{
    HostFunction *f = deed->d->f;
    unsigned      at = f->exp_cap + PCI_EXP_DEVCTL;

    if (f->exp_cap == 0) {
        return false;
    }
    host_config_write(f, at, 2, host_config_read(f, at, 2) | PCI_EXP_DEVCTL_FLR);
    return true;
}

/* The port holds its bus in reset: nothing behind it answers any more. */
static bool unplug(Host *h, HostDeed *deed, uint64_t arg)
{
    const HostFunction *port = deed->d->pf->port;

    host_config_write(port, PCI_BRIDGE_CONTROL, 2,
                      host_config_read(port, PCI_BRIDGE_CONTROL, 2) | PCI_BRIDGE_CTL_BUS_RESET);
    return true;
}

static bool take_registers(Host *h, HostDeed *deed, uint64_t arg)
{
    return host_device_unmap_all(h, deed->hc->cpu, deed->d);
}

/* ---- when the Realm asks ---- */

static bool is_private(Host *h, uint64_t ipa)
{
    return host_is_ram(h, ipa) && *host_page(h, ipa) == HOST_PAGE_PRIVATE;
}

/* The lie is complete: the page is mapped for T=0 requests at its IPA. It stays until the run ends. */
static bool map_private(Host *h, HostDeed *deed, uint64_t arg)
{
    uint64_t ipa = align_down(deed->arg, PAGE_SIZE);

    deed->answer = !is_private(h, ipa)                  ? RHI_INPUT
                   : host_smmu_map(h, ipa, ipa, false) ? RHI_SUCCESS
                                                       : RHI_DEVICE;
    return true;
}

static bool take_memory(Host *h, HostDeed *deed, uint64_t arg)
{
    uint64_t ipa = align_down(deed->arg, PAGE_SIZE);

    deed->answer = !is_private(h, ipa)                             ? RHI_INPUT
                   : host_take_page(h, deed->hc->cpu, ipa) ? RHI_SUCCESS
                                                           : RHI_DEVICE;
    return true;
}

static bool begin(Host *h, HostDeed *deed, HostJobKind kind)
{
    if (deed->d == NULL || host_device_is_busy(h, deed->d)) {
        deed->answer = deed->d == NULL ? RHI_INVALID_VDEV : RHI_BUSY;
    } else {
        host_device_begin(h, deed->d, kind);
        host_device_wait(deed->hc, deed->d);
    }
    return true;
}

static bool refresh_keys(Host *h, HostDeed *deed, uint64_t arg) { return begin(h, deed, HOST_JOB_REFRESH); }
static bool reconnect(Host *h, HostDeed *deed, uint64_t arg) { return begin(h, deed, HOST_JOB_RECONNECT); }

static bool become_device(Host *h, HostDeed *deed, uint64_t arg)
{
    deed->d->pf->impostor = impostor_new(deed->d->pf->f, h->cfg.options->seed);
    return true;
}

/* ---- the table ---- */

static const Fault faults[] = {
    { "substitute-key", ARG_ALWAYS, 1, FAULT_AT_CONNECT, become_device,
      "answers in the device's place, with another key than its certificate's" },
    { "busy", ARG_TIMES, 1, FAULT_AT_CALL, be_busy, "answers BUSY to a call that needs the device" },
    { "device-error", ARG_TIMES, 1, FAULT_AT_CALL, blame_device, "answers DEVICE to such a call" },
    { "refuse-lock", ARG_TIMES, 1, FAULT_AT_CALL, refuse_lock, "answers ACCESS_FAILED to a lock" },
    { "pretend", ARG_TIMES, 1, FAULT_AT_CALL, pretend, "answers SUCCESS to such a call and does nothing" },
    { "incomplete", ARG_TIMES, 1, FAULT_AT_TURN, not_yet,
      "lets the Realm come again before it works on what was asked" },
    { "late-abort", ARG_TIMES, 1, FAULT_AT_ABORT, abort_late,
      "answers an abort with ABORT_COMPLETED, when all is done already" },
    { "object-flip", ARG_OBJECT, RHI_INTERFACE_REPORT, FAULT_AT_OBJECT, flip_object,
      "hands it out with one bit changed" },
    { "object-short", ARG_OBJECT, RHI_INTERFACE_REPORT, FAULT_AT_OBJECT, cut_object,
      "hands out half of what it said the object has" },
    { "object-grow", ARG_OBJECT, RHI_INTERFACE_REPORT, FAULT_AT_OBJECT, understate_object,
      "says half the size, as if the object grew before it is read" },
    { "object-huge", ARG_OBJECT, RHI_INTERFACE_REPORT, FAULT_AT_OBJECT, overstate_object, "says that it has 1 TiB" },
    { "complete-omit", ARG_TIMES, 1, FAULT_AT_NAME, name_none, "leaves VDEV_COMPLETE out" },
    { "complete-other", ARG_TIMES, 1, FAULT_AT_NAME, name_other, "names another VDEV" },
    { "map-reject", ARG_TIMES, 1, FAULT_AT_MAP, map_nothing, "maps no page of the device's registers" },
    { "map-partial", ARG_NUMBER, 1, FAULT_AT_MAP, map_some, "maps so many pages and refuses the rest" },
    { "map-few", ARG_NUMBER, 1, FAULT_AT_MAP, map_few, "maps so many pages at a time" },
    { "map-wrong-pa", ARG_TIMES, 1, FAULT_AT_MAP, map_another,
      "maps another page of the device in the place of the first" },
    { "message-flip", ARG_NTH, 1, FAULT_AT_ANSWER, flip_message, "changes a bit of an SPDM message of the device" },
    { "message-lost", ARG_NTH, 1, FAULT_AT_ANSWER, lose_message, "loses such a message" },
    { "message-abort", ARG_NTH, 1, FAULT_AT_ANSWER, abort_conversation,
      "aborts the VDEV's conversation at such a message" },
    { "bar-write", ARG_STATE, 0, FAULT_AT_STATE, write_bar, "moves a BAR of the function" },
    { "command-write", ARG_STATE, 0, FAULT_AT_STATE, write_command, "clears Bus Master Enable of the function" },
    { "flr", ARG_STATE, 0, FAULT_AT_STATE, reset_function, "resets the function" },
    { "unplug", ARG_STATE, 0, FAULT_AT_STATE, unplug, "holds the bus below the port in reset: the device is gone" },
    { "unmap", ARG_STATE, 0, FAULT_AT_STATE, take_registers, "takes the registers that were mapped for the Realm" },
    { "map-private", ARG_ASKED, 0, FAULT_WHEN_ASKED, map_private,
      "maps a private page (argument: IPA) for the device's Non-secure DMA" },
    { "page-remove", ARG_ASKED, 0, FAULT_WHEN_ASKED, take_memory, "destroys a private page (argument: IPA)" },
    { "key-refresh", ARG_ASKED, 0, FAULT_WHEN_ASKED, refresh_keys,
      "gives the IDE stream new keys (argument: VDEV ID)" },
    { "reconnect", ARG_ASKED, 0, FAULT_WHEN_ASKED, reconnect,
      "disconnects the device and connects it again (argument: VDEV ID)" },
};
G_STATIC_ASSERT(ARRAY_LEN(faults) <= HOST_MAX_FAULTS);

static const char *const object_names[] = {
    [RHI_CERTIFICATE] = "certificate", [RHI_MEASUREMENTS] = "measurements", [RHI_INTERFACE_REPORT] = "report",
    [RHI_VCA] = "vca",
};
static const char *const state_names[] = {
    [0] = "asked", [FAULT_STATE_UNLOCKED] = "unlocked", [FAULT_STATE_LOCKED] = "locked", [FAULT_STATE_RUN] = "run",
};

/* ---- command line ---- */

static int find_word(const char *const *words, size_t n, const char *word)
{
    for (size_t i = 0; i < n; i++) {
        if (words[i] != NULL && strcmp(words[i], word) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static const Fault *find_fault(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        if (strcmp(faults[i].name, name) == 0) {
            return &faults[i];
        }
    }
    return NULL;
}

static const char *arg_form(FaultArg arg)
{
    static const char *const forms[] = {
        [ARG_TIMES] = "[=TIMES]", [ARG_NTH] = "[=NTH]", [ARG_NUMBER] = "[=PAGES]", [ARG_ALWAYS] = "",
        [ARG_OBJECT] = "[=OBJECT]", [ARG_STATE] = "[=STATE]", [ARG_ASKED] = "",
    };

    return forms[arg];
}

/* False when @text is no parameter of such a fault. */
static bool parse_arg(FaultArg kind, const char *text, uint64_t *arg)
{
    int word = kind == ARG_OBJECT  ? find_word(object_names, ARRAY_LEN(object_names), text)
               : kind == ARG_STATE ? find_word(state_names, ARRAY_LEN(state_names), text)
                                   : -1;

    if (kind == ARG_OBJECT || kind == ARG_STATE) {
        *arg = (uint64_t)word;
        return word >= 0;
    }
    return kind != ARG_ALWAYS && kind != ARG_ASKED &&
           g_ascii_string_to_unsigned(text, 10, 0, UINT32_MAX, arg, NULL);
}

static bool parse_one(char *text, HostFaults *out, GError **error)
{
    char        *value = strchr(text, '=');
    const Fault *f;

    if (strcmp(text, EVERYTHING) == 0) {
        out->named = UINT32_MAX;
        return true;
    }
    if (value != NULL) {
        *value++ = '\0';
    }
    f = find_fault(text);
    if (f == NULL) {
        g_set_error(error, BAILEY_ERROR, 0, "host-fault=: there is no fault '%s'; -M cca,host-fault=help lists them",
                    text);
        return false;
    }
    uint64_t *arg = &out->arg[f - faults];

    *arg = f->preset;
    out->named |= 1u << (f - faults);
    if (value != NULL && !parse_arg(f->arg, value, arg)) {
        g_set_error(error, BAILEY_ERROR, 0, "host-fault=: '%s' is no parameter of '%s'; use %s%s, "
                    "-M cca,host-fault=help says more", value, f->name, f->name, arg_form(f->arg));
        return false;
    }
    return true;
}

bool host_faults_parse(const char *names, HostFaults *out, GError **error)
{
    char **each = names != NULL ? g_strsplit(names, "+", -1) : NULL;
    bool   ok = true;

    *out = (HostFaults){ 0 };
    if (names != NULL && each[0] == NULL) {
        g_set_error_literal(error, BAILEY_ERROR, 0, "host-fault=: names no fault; -M cca,host-fault=help lists them");
        ok = false;
    }
    for (unsigned i = 0; ok && each != NULL && each[i] != NULL; i++) {
        ok = parse_one(each[i], out, error);
    }
    g_strfreev(each);
    return ok;
}

static void append_words(GString *s, const char *title, const char *const *words, size_t n)
{
    g_string_append_printf(s, "%s:", title);
    for (size_t i = 0; i < n; i++) {
        if (words[i] != NULL) {
            g_string_append_printf(s, " %s", words[i]);
        }
    }
    g_string_append_c(s, '\n');
}

char *host_faults_help(void)
{
    GString *s = g_string_new("What the built-in host does wrong (-M cca,host-fault=NAME[=PARAMETER][+NAME...]):\n");

    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        g_autofree char *name = g_strconcat(faults[i].name, arg_form(faults[i].arg), NULL);

        g_string_append_printf(s, "  %-25s %s\n", name, faults[i].help);
    }
    g_string_append_printf(s, "  %-25s %s\n", EVERYTHING, "each of these, but only when the Realm asks for it");
    append_words(s, "OBJECT, by default report", object_names, ARRAY_LEN(object_names));
    append_words(s, "STATE of the interface, by default asked (when the Realm says so)", state_names,
                 ARRAY_LEN(state_names));
    g_string_append(s, "TIMES and PAGES, by default 1: 0 waits until the Realm asks. NTH message, by default 1.\n");
    return g_string_free(s, FALSE);
}

/* ---- places ---- */

/* Whether @arg says that this is the occasion; used up by it. */
static bool is_due(const Fault *f, uint64_t *arg, const HostDeed *deed)
{
    if (f->arg == ARG_NTH && *arg > 1) {
        --*arg;
        return false;
    }
    return *arg != 0 && (f->arg != ARG_STATE || *arg == deed->state);
}

bool host_fault_at(Host *h, HostFaultPlace place, HostDeed *deed)
{
    bool any = false;

    for (size_t i = 0; h->faults.named != 0 && i < ARRAY_LEN(faults); i++) {
        const Fault *f = &faults[i];
        uint64_t    *arg = &h->faults.arg[i];

        if (f->place != place || !is_due(f, arg, deed) || !f->commit(h, deed, *arg)) {
            continue;
        }
        LOG(HOST, "fault %s: %04x", f->name, deed->d->f->bdf);
        *arg -= f->arg == ARG_TIMES || f->arg == ARG_NTH;
        any = true;
    }
    return any;
}

uint64_t host_fault_call(Host *h, HostCpu *hc, const uint64_t gprs[31])
{
    char         name[8 * NAME_REGS + 1] = { 0 };
    const Fault *f;

    for (unsigned i = 0; i < NAME_REGS; i++) {
        le64_put((uint8_t *)name + 8 * i, gprs[FIRST_NAME_REG + i]);
    }
    f = find_fault(name);
    if (f == NULL || !(h->faults.named >> (f - faults) & 1)) {
        return NOT_NAMED;
    }
    HostDeed deed = { .hc = hc, .arg = gprs[1], .answer = RHI_SUCCESS, .d = host_device_find(h, gprs[1]) };

    if (f->place != FAULT_AT_STATE && f->place != FAULT_WHEN_ASKED) {
        h->faults.arg[f - faults] = gprs[1];
        return RHI_SUCCESS;
    }
    LOG(HOST, "fault %s: asked for with 0x%llx", f->name, (unsigned long long)gprs[1]);
    if (f->place == FAULT_AT_STATE && deed.d == NULL) {
        return RHI_INVALID_VDEV;
    }
    return f->commit(h, &deed, 0) ? deed.answer : RHI_INPUT;
}

void host_faults_drop(Host *h)
{
    g_clear_pointer(&h->faults.spoilt, g_byte_array_unref);
}
