/*
 * The built-in host's life: images and layout, the first steps, one step after the other.
 */
#include "host/host.h"

#include <inttypes.h>

#include "host/host_int.h"
#include "log.h"

#define FIRST_VIRTUAL_SLOT 16

/* Kernel and initrd of the options. */
static bool place_kernel(const Options *o, BootLayout *l, GError **error)
{
    uint64_t ram = cca_board(o)->ram[0].base;
    GBytes  *kernel = loader_read_file(o->kernel, "-kernel", error), *initrd = NULL;
    bool     ok = kernel != NULL;

    if (ok && o->initrd != NULL) {
        initrd = loader_read_file(o->initrd, "-initrd", error);
        ok = initrd != NULL;
    }
    ok = ok && loader_place(l, kernel, initrd, ram, o->ram_size, error);
    g_clear_pointer(&kernel, g_bytes_unref);
    g_clear_pointer(&initrd, g_bytes_unref);
    return ok;
}

/* A payload in the kernel's place, at its own addresses; the device tree goes behind it. */
static bool place_payload(const Options *o, const LoadImage *im, BootLayout *l, GError **error)
{
    uint64_t ram = cca_board(o)->ram[0].base, addr = 0;
    GBytes  *bytes = loader_image_flat(im, o->ram_size, &addr);

    *l = (BootLayout){ .entry = im->entry };
    if (bytes == NULL || addr < ram || addr % PAGE_SIZE != 0 || addr - ram > o->ram_size - g_bytes_get_size(bytes)) {
        g_set_error(error, BAILEY_ERROR, 1,
                    "-device loader: the payload is not inside the Realm's memory, 0x%" PRIx64 " to 0x%" PRIx64
                    ", or does not start at a page; link or place it there, or raise -m",
                    ram, ram + o->ram_size - 1);
        g_clear_pointer(&bytes, g_bytes_unref);
        return false;
    }
    l->piece[0] = (LoadPiece){ "payload", addr, bytes };
    l->dtb_addr = align_up(addr + g_bytes_get_size(bytes), BLOCK_SIZE);
    return true;
}

PciHost *host_emulated_pci(const Host *h) { return h->vpci; }
Device *host_gpio(const Host *h) { return h->gpio; }

unsigned host_n_uarts(const Options *o)
{
    unsigned n = 1;

    while (n < o->serials->len && n < CCA_MAX_UARTS && cca_board(o)->uart[n].base != 0) {
        n++;
    }
    return n;
}

bool host_realm_layout(const Options *o, const LoadImage *payload, BootLayout *l, GError **error)
{
    const CcaBoard *board = cca_board(o);
    GBytes         *dtb = NULL;
    bool            ok = payload != NULL ? place_payload(o, payload, l, error) : place_kernel(o, l, error);

    if (ok && o->dtb != NULL) {
        dtb = loader_read_file(o->dtb, "-dtb", error);
        ok = dtb != NULL;
    } else if (ok) {
        const LoadPiece *initrd = &l->piece[1];
        CcaTree          t = {
                     .board = board,
                     .n_cpus = o->smp,
                     .ram = { { board->ram[0].base, o->ram_size } },
                     .bootargs = o->append,
                     .initrd_start = initrd->bytes != NULL ? initrd->addr : 0,
                     .initrd_end = initrd->bytes != NULL ? initrd->addr + g_bytes_get_size(initrd->bytes) : 0,
                     .realm = true,
                     .realm_pmu = o->realm_pmu != 0,
                     .n_uarts = host_n_uarts(o),
                     .seed = o->seed + 1,
        };

        dtb = cca_tree_build(&t);
    }
    ok = ok && loader_place_dtb(l, dtb, board->ram[0].base, o->ram_size, error);
    g_clear_pointer(&dtb, g_bytes_unref);
    return ok;
}

GBytes *host_realm_tree(const Options *o, const LoadImage *payload, GError **error)
{
    BootLayout l = { 0 };
    GBytes    *dtb = host_realm_layout(o, payload, &l, error) ? g_bytes_ref(l.piece[2].bytes) : NULL;

    loader_free(&l);
    return dtb;
}

static void take_memory(Host *h)
{
    const Options *o = h->cfg.options;

    h->ram_base = h->cfg.board->ram[0].base;
    h->ram_size = o->ram_size;
    h->blocks = g_new0(HostBlock, h->ram_size / BLOCK_SIZE);
    h->pages = g_new0(uint8_t, h->ram_size / PAGE_SIZE);
    h->free = h->ram_base + h->ram_size;
    h->free_end = h->cfg.ram_base + h->cfg.ram_size;
    h->spare = g_array_new(FALSE, FALSE, sizeof(uint64_t));
}

Host *host_new(const HostConfig *cfg, GError **error)
{
    Host *h = g_new0(Host, 1);

    h->cfg = *cfg;
    h->dialect = &rmm_dialects[cfg->dialect];
    h->n_recs = cfg->n_cpus;
    take_memory(h);
    if (!host_faults_parse(cfg->options->host_fault, &h->faults, error) ||
        !host_realm_layout(cfg->options, cfg->payload, &h->layout, error) || !host_devices_init(h, error)) {
        host_free(h);
        return NULL;
    }
    for (unsigned i = 0; i < h->n_recs; i++) {
        h->cpus[i].cpu = cfg->cpus[i];
        cfg->cpus[i]->off = false;
        monitor_set_builtin_host(cfg->monitor, cfg->cpus[i]);
    }
    host_gic_init(h);
    return h;
}

void host_free(Host *h)
{
    host_devices_drop(h);
    host_faults_drop(h);
    host_devices_free(h);
    loader_free(&h->layout);
    g_array_free(h->spare, TRUE);
    g_free(h->blocks);
    g_free(h->pages);
    g_free(h);
}

bool host_step(void *opaque, Cpu *cpu)
{
    Host    *h = opaque;
    HostCpu *hc = &h->cpus[cpu->index];

    if (h->phase == HOST_RUN) {
        return host_run_step(h, hc);
    }
    if (h->phase > HOST_RUN && h->phase != HOST_FAILED) {
        return host_end_step(h, hc);
    }
    return cpu->index == 0 && host_realm_step(h, hc->cpu);
}

static char *first_free_slot(Host *h)
{
    for (unsigned slot = FIRST_VIRTUAL_SLOT; slot < 32; slot++) {
        if (pci_host_find(h->vpci, (uint16_t)(slot << 3)) == NULL) {
            return g_strdup_printf("%02x", slot);
        }
    }
    return NULL; /* the bus finds a place in the lower half, or says that it is full */
}

/* Emulated functions take the upper half of bus 0, so that they never meet physical ones, which keep their
 * place. */
bool host_plug(Host *h, Device *dev, GError **error)
{
    if (dev->bus_name == NULL && dev->addr == NULL) {
        dev->addr = first_free_slot(h);
    }
    return pci_plug_option(h->vpci, dev, error);
}

void host_report(const Host *h, GString *json)
{
    g_string_append(json, ",\n  \"rhi\": {");
    for (unsigned i = 0; i < ARRAY_LEN(h->rhi_counts); i++) {
        if (h->rhi_counts[i] != 0) {
            g_string_append_printf(json, "%s\n    \"0x%08x\": %" PRIu64,
                                   json->str[json->len - 1] == '{' ? "" : ",", RHI_FID(i), h->rhi_counts[i]);
        }
    }
    g_string_append(json, "\n  },\n  \"rec_exits\": [");
    for (unsigned i = 0; i < h->n_recs; i++) {
        g_string_append_printf(json, "%s%" PRIu64, i == 0 ? "" : ", ", h->cpus[i].n_exits);
    }
    g_string_append(json, "]");
}
