#include "host_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "hw/pci/root_port.h"
#include "spdm/pki.h"

enum { N_VECTORS = 4, TEE_STREAM = 0, MESSAGES = 3, CHUNK = 400, KEEP_AT = 2048 };

static HostRig *the_rig; /* the stubs below have no other way to it */

/* ---- what the host calls outside its room and the devices' ---- */

Clock *machine_clock(Machine *m) { return the_rig->clock; }
void   machine_wake(Machine *m) { }

void machine_stop(Machine *m, MachineExit status, const char *reason)
{
    the_rig->rmm.stopped = "stopped";
    print_message("stopped: %s\n", reason);
}

void machine_keep_memory_hash(Machine *m) {}

void machine_note_step(Machine *m, const char *name)
{
    if (the_rig->rmm.n_steps < RIG_N_STEPS) {
        the_rig->rmm.steps[the_rig->rmm.n_steps++] = name;
    }
}

void    monitor_set_builtin_host(Monitor *m, A64Cpu *cpu) { }
GBytes *cca_tree_build(const CcaTree *t) { return NULL; }
GBytes *loader_read_file(const char *path, const char *option, GError **error) { return NULL; }
void    loader_free(BootLayout *l) { }
GBytes *loader_image_flat(const LoadImage *im, uint64_t max, uint64_t *addr) { return NULL; }

bool loader_place(BootLayout *l, GBytes *kernel, GBytes *initrd, uint64_t base, uint64_t size, GError **error)
{
    return false;
}

bool loader_place_dtb(BootLayout *l, GBytes *dtb, uint64_t base, uint64_t size, GError **error)
{
    return false;
}

/* ---- the made-up RMM ---- */

static gpointer key_of(uint64_t page) { return GSIZE_TO_POINTER(page >> 12); }

static bool is_realm_page(uint64_t pa)
{
    return owners_get(the_rig->owners, pa) == OWNER_REALM;
}

static uint64_t give(uint64_t pa, bool to_realm)
{
    if (is_realm_page(pa) == to_realm) {
        return RMI_ERROR_INPUT;
    }
    owners_set(the_rig->owners, pa, PAGE_SIZE, to_realm ? OWNER_REALM : OWNER_NONSECURE);
    the_rig->rmm.n_delegated += to_realm ? 1 : -1;
    return RMI_SUCCESS;
}

static uint64_t put_in(GHashTable *t, uint64_t page)
{
    return g_hash_table_add(t, key_of(page)) ? 0 : RMI_ERROR_RTT;
}
static uint64_t take_out(GHashTable *t, uint64_t page)
{
    return g_hash_table_remove(t, key_of(page)) ? 0 : RMI_ERROR_RTT;
}

/* @next_state: of PDEV or VDEV when it is over; @object: what it leaves, 4: nothing. */
static uint64_t converse(FakeRmm *f, int next_state, unsigned object, bool secured)
{
    f->left = MESSAGES;
    f->sent = 0;
    f->next_state = next_state;
    f->object = object;
    f->secured = secured;
    f->in_flight = false;
    return RMI_SUCCESS;
}

static void put_message(HostRig *r, uint64_t page, unsigned n, size_t len)
{
    uint8_t bytes[PAGE_SIZE];

    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)(n * 31 + i);
    }
    memory_write(r->memory, page, host_attrs, bytes, len);
}

/* The device sent back what it got: words, so padded. */
static bool is_echo(HostRig *r, uint64_t page, unsigned n, size_t len)
{
    uint8_t bytes[PAGE_SIZE];

    memory_read(r->memory, page, host_attrs, bytes, len);
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != (uint8_t)(n * 31 + i)) {
            return false;
        }
    }
    return true;
}

/* The next piece of the certificates goes through the response page, as the RMM's plain text does. */
static uint64_t cache_certificates(HostRig *r, uint64_t comm, uint64_t resp)
{
    static SpdmIdentity id;
    Entropy             entropy;
    const char         *error;

    entropy_init(&entropy, 1, "rig");
    assert_true(spdm_identity_load(spdm_test_pem(SPDM_TEST_DEVICE, SPDM_KEY_P384), &entropy, &id, &error));
    size_t at = (r->rmm.sent - 1) * CHUNK;
    size_t len = r->rmm.left == 0 ? id.certs_len - at : CHUNK;

    memory_write(r->memory, resp + 16, host_attrs, id.certs + at, len);
    host_put64(r->h, comm + RMI_COMM_CACHE_OBJ_ID, RMI_OBJECT_CERTIFICATE);
    host_put64(r->h, comm + RMI_COMM_CACHE_RSP_OFFSET, 16);
    host_put64(r->h, comm + RMI_COMM_CACHE_RSP_LEN, len);
    return RMI_COMM_CACHE_RSP;
}

static uint64_t cache_object(HostRig *r, uint64_t comm, uint64_t req)
{
    static const char words[] = "plain request ";

    memory_write(r->memory, req + KEEP_AT, host_attrs, words, strlen(words));
    host_put64(r->h, comm + RMI_COMM_CACHE_OBJ_ID, r->rmm.object);
    host_put64(r->h, comm + RMI_COMM_CACHE_REQ_OFFSET, KEEP_AT);
    host_put64(r->h, comm + RMI_COMM_CACHE_REQ_LEN, strlen(words));
    host_put64(r->h, comm + RMI_COMM_CACHE_RSP_OFFSET, 4);
    host_put64(r->h, comm + RMI_COMM_CACHE_RSP_LEN, 8);
    return RMI_COMM_CACHE_REQ | RMI_COMM_CACHE_RSP;
}

static size_t message_len(unsigned n) { return 20 + 4 * n; }

static uint64_t communicate(HostRig *r, int *state, int error, uint64_t comm)
{
    FakeRmm *f = &r->rmm;
    uint64_t req = host_get64(r->h, comm + RMI_COMM_REQ_ADDR),
             resp = host_get64(r->h, comm + RMI_COMM_RESP_ADDR);
    unsigned status = host_get64(r->h, comm + RMI_COMM_STATUS) & 0xff;
    uint64_t flags = 0;

    assert_int_equal(status != RMI_COMM_NONE, f->in_flight);
    if (status == RMI_COMM_RESPONSE) {
        size_t len = host_get64(r->h, comm + RMI_COMM_RESP_LEN);

        f->broken |= len != message_len(f->sent) || !is_echo(r, resp, f->sent, len);
        f->left--;
        flags |= f->object == RMI_OBJECT_CERTIFICATE ? cache_certificates(r, comm, resp)
                 : f->object < 4                     ? cache_object(r, comm, req)
                                                     : 0;
    }
    f->in_flight = false;
    if (status == RMI_COMM_ERROR) {
        *state = error;
    } else if (f->left != 0) {
        f->sent++;
        put_message(r, req, f->sent, message_len(f->sent));
        host_put64(r->h, comm + RMI_COMM_REQ_LEN, message_len(f->sent));
        host_put64(r->h, comm + RMI_COMM_PROTOCOL, f->secured ? RMI_PROTOCOL_SECURE_SPDM : RMI_PROTOCOL_SPDM);
        f->in_flight = true;
        flags |= RMI_COMM_SEND | RMI_COMM_WAIT;
    } else if (f->next_state >= 0) {
        *state = f->next_state;
    }
    host_put64(r->h, comm + RMI_COMM_EXIT_FLAGS, flags);
    return RMI_SUCCESS;
}

/* Both ends of the stream get the same keys. */
static void key_stream(HostRig *r)
{
    static const uint8_t key[IDE_KEY_LEN] = { 1 }, iv[IDE_IV_LEN] = { 1 };
    IdeCap              *end[2] = { root_port_ide(pci_host_find(r->pci, RIG_PORT)), &r->dev->ide };

    for (unsigned e = 0; e < 2; e++) {
        int sel = ide_find_stream(end[e], TEE_STREAM);

        assert_true(sel >= 0);
        for (unsigned n = 0; n < 2 * IDE_N_SUB; n++) {
            assert_true(ide_key_prog(end[e], (unsigned)sel, 0, n & 1, n / 2, key, iv));
            assert_true(ide_key_go(end[e], (unsigned)sel, 0, n & 1, n / 2));
        }
    }
}

static uint64_t set_pubkey(HostRig *r, uint64_t params)
{
    memory_read(r->memory, params + RMI_KEY_KEY, host_attrs, r->rmm.key, sizeof(r->rmm.key));
    assert_int_equal(host_get64(r->h, params + RMI_KEY_LEN), sizeof(r->rmm.key));
    r->rmm.pdev = RMI_PDEV_HAS_KEY;
    key_stream(r);
    return converse(&r->rmm, RMI_PDEV_READY, 4, true);
}

static uint64_t stop_pdev(HostRig *r)
{
    if (r->rmm.vdev >= 0) {
        return RMI_ERROR_DEVICE;
    }
    r->rmm.pdev = RMI_PDEV_STOPPING;
    return converse(&r->rmm, RMI_PDEV_STOPPED, 4, true);
}

static uint64_t refresh(FakeRmm *f)
{
    f->pdev = RMI_PDEV_COMMUNICATING;
    return converse(f, RMI_PDEV_READY, 4, true);
}

static uint64_t create_pdev(HostRig *r, uint64_t pdev, uint64_t p)
{
    assert_true(is_realm_page(pdev));
    assert_int_equal(host_get64(r->h, p + RMI_PDEV_ID), RIG_DEV);
    assert_int_equal(host_get64(r->h, p + RMI_PDEV_ROOT_ID), RIG_PORT);
    assert_int_equal(host_get64(r->h, p + RMI_PDEV_NUM_AUX), 2);
    assert_int_equal(host_get64(r->h, p + RMI_PDEV_NCOH_NUM_ADDR), 3);
    assert_true(is_realm_page(host_get64(r->h, p + RMI_PDEV_AUX + 8)));
    r->rmm.pdev = RMI_PDEV_NEW;
    return converse(&r->rmm, RMI_PDEV_NEEDS_KEY, RMI_OBJECT_CERTIFICATE, false);
}

static uint64_t create_vdev(HostRig *r, uint64_t vdev, uint64_t p)
{
    if (r->rmm.vdev >= 0 || !is_realm_page(vdev)) {
        return RMI_ERROR_INPUT;
    }
    assert_int_equal(host_get64(r->h, p + RMI_VDEV_ID), RIG_VDEV);
    r->rmm.vdev = RMI_VDEV_NEW;
    return converse(&r->rmm, RMI_VDEV_UNLOCKED, 4, true);
}

static uint64_t queue(HostRig *r, unsigned from, int to, unsigned object)
{
    return (int)from == r->rmm.vdev ? converse(&r->rmm, to, object, true) : RMI_ERROR_DEVICE;
}

static uint64_t measure(HostRig *r, uint64_t params)
{
    memory_read(r->memory, params, host_attrs, r->rmm.params, PAGE_SIZE);
    return queue(r, RMI_VDEV_LOCKED, -1, RMI_OBJECT_MEASUREMENTS);
}

static uint64_t destroy(FakeRmm *f)
{
    if (f->vdev != RMI_VDEV_UNLOCKED && f->vdev != RMI_VDEV_ERROR && f->vdev != RMI_VDEV_NEW) {
        return RMI_ERROR_DEVICE;
    }
    f->vdev = -1;
    return RMI_SUCCESS;
}

static uint64_t answer(HostRig *r, uint32_t fid, uint64_t *x)
{
    FakeRmm *f = &r->rmm;

    switch (fid) {
    case RMI_FID_GRANULE_DELEGATE: return give(x[1], true);
    case RMI_FID_GRANULE_UNDELEGATE: return give(x[1], false);
    case RMI_FID_RTT_READ_ENTRY: x[1] = x[3]; return RMI_SUCCESS;
    case RMI_FID_RTT_MAP_UNPROTECTED: return put_in(f->aliases, x[2]);
    case RMI_FID_RTT_UNMAP_UNPROTECTED: return take_out(f->aliases, x[2]);
    case RMI_FID_PDEV_AUX_COUNT: x[1] = 2; return RMI_SUCCESS;
    case RMI_FID_VDEV_AUX_COUNT: x[1] = 1; return RMI_SUCCESS;
    case RMI_FID_PDEV_CREATE: return create_pdev(r, x[1], x[2]);
    case RMI_FID_PDEV_COMMUNICATE: return communicate(r, &f->pdev, RMI_PDEV_ERROR, x[2]);
    case RMI_FID_PDEV_GET_STATE: x[1] = (uint64_t)f->pdev; return RMI_SUCCESS;
    case RMI_FID_PDEV_SET_PUBKEY: return set_pubkey(r, x[2]);
    case RMI_FID_PDEV_ABORT: return f->in_flight ? converse(f, f->next_state, f->object, f->secured) : RMI_ERROR_DEVICE;
    case RMI_FID_PDEV_STOP: return stop_pdev(r);
    case RMI_FID_PDEV_DESTROY: return f->pdev == RMI_PDEV_STOPPED ? RMI_SUCCESS : RMI_ERROR_DEVICE;
    case RMI_FID_PDEV_IDE_KEY_REFRESH: return refresh(f);
    case RMI_FID_VDEV_CREATE: return create_vdev(r, x[3], x[4]);
    case RMI_FID_VDEV_COMMUNICATE: return communicate(r, &f->vdev, RMI_VDEV_ERROR, x[4]);
    case RMI_FID_VDEV_GET_STATE: x[1] = (uint64_t)f->vdev; return RMI_SUCCESS;
    case RMI_FID_VDEV_LOCK: return queue(r, RMI_VDEV_UNLOCKED, RMI_VDEV_LOCKED, 4);
    case RMI_FID_VDEV_START: return queue(r, RMI_VDEV_LOCKED, RMI_VDEV_STARTED, 4);
    case RMI_FID_VDEV_UNLOCK: return converse(f, RMI_VDEV_UNLOCKED, 4, true);
    case RMI_FID_VDEV_GET_INTERFACE_REPORT: return queue(r, RMI_VDEV_LOCKED, -1, RMI_OBJECT_INTERFACE_REPORT);
    case RMI_FID_VDEV_GET_MEASUREMENTS: return measure(r, x[4]);
    case RMI_FID_VDEV_ABORT: f->vdev = RMI_VDEV_ERROR; return RMI_SUCCESS;
    case RMI_FID_VDEV_DESTROY: return destroy(f);
    case RMI_FID_VDEV_COMPLETE: f->completed = x[2]; return RMI_SUCCESS;
    case RMI_FID_VDEV_MAP:
        f->wrong_pa = x[3] != x[5];
        return is_realm_page(x[5]) ? put_in(f->assigned, x[3]) : RMI_ERROR_INPUT;
    case RMI_FID_VDEV_UNMAP: x[1] = x[2]; f->wrong_pa = false; return take_out(f->assigned, x[2]);
    case RMI_FID_VDEV_VALIDATE_MAPPING:
        if (f->wrong_pa) {
            return RMI_ERROR_RTT;
        }
        f->validated_base = x[5];
        f->validated_top = x[6];
        return RMI_SUCCESS;
    default: fail_msg("RMI 0x%x is not expected", fid); return SMC_UNKNOWN;
    }
}

bool monitor_host_smc(Monitor *m, A64Cpu *cpu)
{
    uint32_t fid = (uint32_t)cpu->x[0] & 0xffff;

    cpu->x[0] = fid == the_rig->rmm.refuse ? RMI_ERROR_DEVICE : answer(the_rig, fid, cpu->x);
    return false;
}

/* ---- the device ---- */

static size_t echo(void *opaque, const DoeProtocol *proto, const uint8_t *req, size_t len, uint8_t *rsp,
                   size_t cap)
{
    RigDevice *d = opaque;

    d->n_objects++;
    memcpy(rsp, req, len);
    return d->silent ? 0 : len;
}

static MemResult bar_read(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t *value)
{
    *value = off;
    return MEM_OK;
}

static MemResult bar_write(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t value)
{
    return MEM_OK;
}

static void config_written(PciDevice *pd, const PciConfigWrite *w)
{
    ((RigDevice *)pd)->n_bar_writes +=
        w->off >= PCI_BAR0 && w->off < PCI_BAR0 + 4 * PCI_N_BARS && w->old != w->now;
}

static bool rig_device_realize(Device *dev, GError **error)
{
    static const PciHooks    hooks = { .config_written = config_written };
    static const MmioOps     ops = { bar_read, bar_write };
    static const PciIds      ids = { .vendor = 0x1234, .device = 1, .class_code = 0xff0000 };
    static const DoeProtocol proto[] = { { DOE_VENDOR_PCISIG, DOE_TYPE_SPDM, "plain", echo },
                                         { DOE_VENDOR_PCISIG, DOE_TYPE_SECURED_SPDM, "secured", echo } };
    static const IdeConfig   ide = { .n_sel = 1, .n_addr = 1, .ide_km = true, .tee_limited = true };
    RigDevice               *d = (RigDevice *)dev;
    PciDevice               *pd = &d->pci;

    pci_set_ids(pd, &ids);
    pci_add_bar(pd, 0, 0x4000, PCI_BAR_MEM64 | PCI_BAR_PREFETCH, &ops);
    pci_add_bar(pd, 2, 0x1000, PCI_BAR_MEM32, NULL);
    pci_add_bar(pd, 4, 0x1000, PCI_BAR_MEM32, &ops);
    pci_add_msix(pd, N_VECTORS, 2, 0, 2, 0x800);
    pci_add_exp(pd, PCI_EXP_ENDPOINT, PCI_EXP_DEVCAP_TEE_IO | PCI_EXP_DEVCAP_FLR);
    pd->hooks = &hooks;
    doe_init(&d->doe, pd, 2, proto, d->talks_secured ? 2 : 1, PCI_MSIX_NONE, d);
    ide_init(&d->ide, pd, &ide, NULL, d);
    root_port_set_endpoint_ide(pd, &d->ide);
    return true;
}

static void rig_device_unrealize(Device *dev)
{
    doe_deinit(&((RigDevice *)dev)->doe);
}

static const Prop rig_device_props[] = {
    { "secured", PROP_BOOL, offsetof(RigDevice, talks_secured), "on", "offers secured objects" },
};

DEVICE(rig_device, .name = "rig-device", .bus = "pci", .state_size = sizeof(RigDevice),
       .props = rig_device_props, .n_props = ARRAY_LEN(rig_device_props), .realize = rig_device_realize,
       .unrealize = rig_device_unrealize);

/* ---- the machine ---- */

static void no_line(void *opaque, unsigned cpu, GicLine line, bool level) { }

static PciDevice *plug(HostRig *r, const char *text)
{
    GError *error = NULL;
    Device *dev = device_from_option(text, r->clock, 1, &error);

    assert_non_null(dev);
    assert_true(pci_plug_option(r->pci, dev, &error));
    return pci_device(dev);
}

static void add_machine(HostRig *r)
{
    GicConfig gic = {.n_cpus = 1,
                     .n_spis = CCA_N_SPIS,
                     .has_its = true,
                     .memory = r->memory,
                     .pas = PAS_NONSECURE,
                     .set_line = no_line};
    SmmuConfig smmu = { .memory = r->memory, .sid_bits = 16 };

    r->gic = gicv3_new(&gic);
    smmu.irq[SMMU_IRQ_EVTQ] =
        (IrqLine){.set = gicv3_spi_input, .opaque = r->gic, .n = 32 + cca_virt.spi_smmu[SMMU_IRQ_EVTQ]};
    r->smmu = smmu_new(&smmu);
    PciHostConfig pci = {
        .name = "pcie.0",
        .up = {.memory = r->memory, .dma_memory = r->memory, .translate = smmu_translate, .opaque = r->smmu},
        .last_bus = 255,
        .mem32 = {cca_virt.pci_mmio.base, cca_virt.pci_mmio.size},
        .mem64 = {cca_virt.pci_high.base, cca_virt.pci_high.size},
    };

    memory_add_mmio(r->memory, "gicd", RIG_GICD, cca_virt.gicd.size, &gicv3_dist_ops, r->gic);
    memory_add_mmio(r->memory, "gicr", RIG_GICR, CCA_GICR_STRIDE, &gicv3_redist_ops, r->gic);
    memory_add_mmio(r->memory, "its", RIG_ITS, cca_virt.its.size, &gicv3_its_ops, r->gic);
    memory_add_mmio(r->memory, "smmu", cca_virt.smmu.base, cca_virt.smmu.size, &smmu_ns_ops, r->smmu);
    r->pci = pci_host_new(&pci);
    plug(r, "pcie-root-port,id=p1");
}

static void add_host(HostRig *r)
{
    Host   *h = g_new0(Host, 1);
    GError *error = NULL;

    r->h = h;
    r->options.serials = g_ptr_array_new();
    h->cfg = (HostConfig){
        .options = &r->options, .board = &cca_virt, .memory = r->memory, .gic = r->gic, .pci = r->pci,
        .serial = r->serial, .dialect = RMM_1_1_ALP17,
    };
    h->dialect = &rmm_dialects[RMM_1_1_ALP17];
    h->da = true;
    h->n_recs = 1;
    h->ram_base = RIG_RAM;
    h->ram_size = RIG_REALM_SIZE;
    h->blocks = g_new0(HostBlock, RIG_REALM_SIZE / BLOCK_SIZE);
    h->pages = g_new0(uint8_t, RIG_REALM_SIZE / PAGE_SIZE);
    h->free = RIG_RAM + RIG_REALM_SIZE;
    h->free_end = RIG_RAM + RIG_RAM_SIZE;
    h->spare = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    assert_true(host_devices_init(h, &error));
    r->hc = &h->cpus[0];
    r->hc->cpu = r->cpu;
    host_gic_init(h);
    r->hc->run = host_alloc(h);
    h->phase = HOST_DEVICES;
}

HostRig *host_rig_new(void)
{
    HostRig *r = g_new0(HostRig, 1);

    the_rig = r;
    r->clock = clock_new();
    r->owners = owners_new();
    r->memory = memory_new(r->owners);
    r->cpu = g_new0(A64Cpu, 1);
    r->rmm.aliases = g_hash_table_new(NULL, NULL);
    r->rmm.assigned = g_hash_table_new(NULL, NULL);
    r->rmm.pdev = r->rmm.vdev = -1;
    memory_add_ram(r->memory, "ram", RIG_RAM, RIG_RAM_SIZE, NULL);
    add_machine(r);
    r->dev = (RigDevice *)plug(r, "rig-device,bus=p1");
    add_host(r);
    return r;
}

void host_rig_free(HostRig *r)
{
    host_free(r->h);
    pci_host_free(r->pci);
    smmu_free(r->smmu);
    gicv3_free(r->gic);
    g_hash_table_destroy(r->rmm.aliases);
    g_hash_table_destroy(r->rmm.assigned);
    memory_free(r->memory);
    owners_free(r->owners);
    clock_free(r->clock);
    g_ptr_array_unref(r->options.serials);
    g_free(r->cpu);
    g_free(r);
}

void host_rig_connect(HostRig *r)
{
    for (unsigned n = 0; r->h->phase == HOST_DEVICES; n++) {
        assert_true(n < 20000);
        if (!host_realm_step(r->h, r->cpu)) {
            clock_advance(r->clock, clock_next_deadline(r->clock));
        }
    }
    r->hc->state = HOST_REC_READY;
}

uint64_t host_rig_call(HostRig *r, uint16_t imm, uint64_t gprs[31])
{
    uint64_t status;

    host_call(r->h, r->hc, imm, gprs);
    for (unsigned n = 0; r->hc->state == HOST_REC_DEVICE; n++) {
        assert_true(n < 20000);
        if (host_device_step(r->h, r->cpu, r->hc->device, &status)) {
            r->hc->state = HOST_REC_READY;
            gprs[0] = status;
        } else if (host_device_sleeps(r->h, r->hc->device)) {
            clock_advance(r->clock, clock_next_deadline(r->clock));
        }
    }
    return gprs[0];
}

uint64_t host_rig_rhi(HostRig *r, uint32_t fn, uint64_t a1, uint64_t a2)
{
    uint64_t gprs[31] = { RHI_FID(fn), a1, a2 };

    return host_rig_call(r, 0, gprs);
}

void host_rig_share(HostRig *r, uint64_t ipa, bool shared)
{
    *host_page(r->h, ipa) = shared ? HOST_PAGE_SHARED : HOST_PAGE_NONE;
    if (shared) {
        assert_true(host_smmu_map(r->h, ipa | SHARED_BIT, ipa, false));
    } else {
        host_smmu_unmap(r->h, ipa | SHARED_BIT);
    }
}

uint64_t host_rig_read(HostRig *r, uint64_t ipa, unsigned size)
{
    uint64_t value = 0;

    assert_int_equal(host_mmio(r->h, 0, ipa, size, false, &value), MEM_OK);
    return value;
}

void host_rig_write(HostRig *r, uint64_t ipa, unsigned size, uint64_t value)
{
    assert_int_equal(host_mmio(r->h, 0, ipa, size, true, &value), MEM_OK);
}

bool host_rig_noted(const HostRig *r, const char *step)
{
    for (unsigned i = 0; i < r->rmm.n_steps; i++) {
        if (strcmp(r->rmm.steps[i], step) == 0) {
            return true;
        }
    }
    return false;
}
