/*
 * The Interrupt Translation Service of GICv3 (IHI 0069, "The Interrupt Translation Service", "ITS
 * commands", "ITS register map"). All tables are in guest memory and nothing is cached, so the guest may
 * scribble over them at any time: every entry is checked when it is used. A command with a wrong argument
 * is ignored and named in the trace (IMPLEMENTATION DEFINED: GITS_TYPER.SEIS is 0); a queue that is not
 * memory stalls.
 *
 * Limits: 16-bit DeviceID, EventID and ICID, targets by processor number (GITS_TYPER.PTA 0), no collections
 * without memory (HCC 0), flat and two-level tables.
 */
#include <inttypes.h>
#include <string.h>

#include "bytes.h"
#include "hw/gicv3_int.h"

enum {
    ITS_DEVICE_BITS = 16,
    ITS_EVENT_BITS = 16,
    ITS_ENTRY_SIZE = 8,    /* of every table */
    ITS_COMMAND_SIZE = 32,
    ITS_DEVICES = 0,       /* GITS_BASER<n> */
    ITS_COLLECTIONS = 1,
};

#define ENTRY_VALID        BIT(63)
#define CTLR_ENABLED       BIT(0)
#define CTLR_QUIESCENT     BIT(31)
#define QUEUE_STALLED      BIT(0)
#define QUEUE_OFFSET       0xfffe0ull
#define CBASER_WRITABLE    0xb8effffffffffcffull
#define BASER_INDIRECT     BIT(62)
#define BASER_WRITABLE     0xf8e0ffffffffffffull
#define ADDR_4K            0x000ffffffffff000ull

/* Our layout of the tables (private to an ITS):
 *   device:     63 valid, 51:8 address of its ITT, 4:0 EventID bits - 1
 *   ITT:        63 valid, 47:32 ICID, 23:0 INTID
 *   collection: 63 valid, 15:0 processor number */
#define DTE_ITT_ADDR       0x000fffffffffff00ull

typedef struct ItsCommand {
    uint64_t dw[4];
} ItsCommand;

static uint32_t cmd_device(const ItsCommand *c) { return (uint32_t)(c->dw[0] >> 32); }
static uint32_t cmd_event(const ItsCommand *c) { return (uint32_t)c->dw[1]; }
static uint32_t cmd_icid(const ItsCommand *c) { return (uint32_t)(c->dw[2] & 0xffff); }
static uint64_t rdbase(uint64_t dw) { return extract64(dw, 16, 35); }

void its_reset(Its *its)
{
    *its = (Its){ 0 };
}

/* ---- tables ---- */

static bool read64(Gic *gic, uint64_t addr, uint64_t *value)
{
    uint8_t raw[8];

    if (!gic_read(gic, addr, raw, sizeof(raw))) {
        return false;
    }
    *value = le64_get(raw);
    return true;
}

static bool write64(Gic *gic, uint64_t addr, uint64_t value)
{
    uint8_t raw[8];

    le64_put(raw, value);
    return gic_write(gic, addr, raw, sizeof(raw));
}

static uint64_t baser_page(uint64_t baser)
{
    static const uint64_t size[4] = { 0x1000, 0x4000, 0x10000, 0x10000 };

    return size[extract64(baser, 8, 2)];
}

/* With 64 KiB pages, bits 15:12 are address bits 51:48. */
static uint64_t baser_addr(uint64_t baser)
{
    if (baser_page(baser) == 0x10000) {
        return (baser & 0x0000ffffffff0000ull) | extract64(baser, 12, 4) << 48;
    }
    return baser & 0x0000fffffffff000ull;
}

/* Where entry @id of a table is. False: no table, beyond it, or the second level is not there. */
static bool table_entry(Gic *gic, unsigned table, uint32_t id, uint64_t *addr)
{
    uint64_t baser = gic->its.baser[table], page = baser_page(baser), per_page = page / ITS_ENTRY_SIZE, l1;
    uint64_t bytes = (extract64(baser, 0, 8) + 1) * page, base = baser_addr(baser);

    if ((baser & ENTRY_VALID) == 0) {
        return false;
    }
    if ((baser & BASER_INDIRECT) == 0) {
        *addr = base + (uint64_t)id * ITS_ENTRY_SIZE;
        return (uint64_t)id * ITS_ENTRY_SIZE < bytes;
    }
    if (id / per_page * 8 >= bytes || !read64(gic, base + id / per_page * 8, &l1) ||
        (l1 & ENTRY_VALID) == 0) {
        return false;
    }
    *addr = align_down(l1 & ADDR_4K, page) + id % per_page * ITS_ENTRY_SIZE;
    return true;
}

/* ---- lookups: each returns NULL, or the name of the error as the specification ends it
 * ("..._DEVICE_OOR") ---- */

static const char *find_device(Gic *gic, uint32_t device, uint64_t *dte)
{
    uint64_t addr;

    if (device >> ITS_DEVICE_BITS != 0 || !table_entry(gic, ITS_DEVICES, device, &addr)) {
        return "DEVICE_OOR";
    }
    return read64(gic, addr, dte) && (*dte & ENTRY_VALID) ? NULL : "UNMAPPED_DEVICE";
}

/* The address of an event's entry in the ITT of its device. */
static const char *find_event(Gic *gic, uint32_t device, uint32_t event, uint64_t *addr)
{
    uint64_t    dte;
    const char *error = find_device(gic, device, &dte);

    if (error != NULL) {
        return error;
    }
    if (event >> ITS_EVENT_BITS != 0 || (uint64_t)event >> (extract64(dte, 0, 5) + 1) != 0) {
        return "ID_OOR";
    }
    *addr = (dte & DTE_ITT_ADDR) + (uint64_t)event * ITS_ENTRY_SIZE;
    return NULL;
}

static const char *find_interrupt(Gic *gic, uint32_t device, uint32_t event, uint64_t *addr, uint64_t *ite)
{
    const char *error = find_event(gic, device, event, addr);

    if (error != NULL) {
        return error;
    }
    return read64(gic, *addr, ite) && (*ite & ENTRY_VALID) ? NULL : "UNMAPPED_INTERRUPT";
}

static const char *find_collection(Gic *gic, uint32_t icid, GicCpu **cpu)
{
    uint64_t addr, cte;

    if (!table_entry(gic, ITS_COLLECTIONS, icid, &addr)) {
        return "COLLECTION_OOR";
    }
    if (!read64(gic, addr, &cte) || (cte & ENTRY_VALID) == 0) {
        return "UNMAPPED_COLLECTION";
    }
    *cpu = gicv3_cpu(gic, (unsigned)extract64(cte, 0, 16));
    return *cpu != NULL ? NULL : "PROCNUM_OOR";
}

/* Device and event to the LPI and the redistributor it goes to. */
static const char *translate(Gic *gic, uint32_t device, uint32_t event, uint32_t *intid, GicCpu **cpu)
{
    uint64_t    addr, ite;
    const char *error = find_interrupt(gic, device, event, &addr, &ite);

    if (error != NULL) {
        return error;
    }
    *intid = (uint32_t)extract64(ite, 0, 24);
    return find_collection(gic, (uint32_t)extract64(ite, 32, 16), cpu);
}

/* ---- commands: each returns NULL or the error ---- */

static const char *cmd_mapd(Gic *gic, const ItsCommand *c)
{
    uint64_t addr, dte, size = extract64(c->dw[1], 0, 5);
    bool     valid = (c->dw[2] & ENTRY_VALID) != 0;

    if (cmd_device(c) >> ITS_DEVICE_BITS != 0 || !table_entry(gic, ITS_DEVICES, cmd_device(c), &addr)) {
        return "DEVICE_OOR";
    }
    if (valid && size >= ITS_EVENT_BITS) {
        return "ITTSIZE_OOR";
    }
    dte = valid ? ENTRY_VALID | (c->dw[2] & DTE_ITT_ADDR) | size : 0;
    return write64(gic, addr, dte) ? NULL : "DEVICE_OOR";
}

static const char *cmd_mapc(Gic *gic, const ItsCommand *c)
{
    uint64_t addr, cpu = rdbase(c->dw[2]);
    bool     valid = (c->dw[2] & ENTRY_VALID) != 0;

    if (!table_entry(gic, ITS_COLLECTIONS, cmd_icid(c), &addr)) {
        return "COLLECTION_OOR";
    }
    if (valid && cpu >= gic->config.n_cpus) {
        return "PROCNUM_OOR";
    }
    return write64(gic, addr, valid ? ENTRY_VALID | cpu : 0) ? NULL : "COLLECTION_OOR";
}

static const char *map_event(Gic *gic, const ItsCommand *c, uint32_t intid)
{
    uint64_t    addr, collection;
    const char *error = find_event(gic, cmd_device(c), cmd_event(c), &addr);

    if (error != NULL) {
        return error;
    }
    if (!table_entry(gic, ITS_COLLECTIONS, cmd_icid(c), &collection)) {
        return "COLLECTION_OOR";
    }
    if (intid < GIC_FIRST_LPI || intid >> GIC_ID_BITS != 0) {
        return "PHYSICALID_OOR";
    }
    return write64(gic, addr, ENTRY_VALID | (uint64_t)cmd_icid(c) << 32 | intid) ? NULL : "UNMAPPED_DEVICE";
}

static const char *cmd_mapti(Gic *gic, const ItsCommand *c)
{
    return map_event(gic, c, (uint32_t)(c->dw[1] >> 32));
}

static const char *cmd_mapi(Gic *gic, const ItsCommand *c)
{
    return map_event(gic, c, cmd_event(c));
}

static const char *cmd_movi(Gic *gic, const ItsCommand *c)
{
    uint64_t    addr, ite;
    uint32_t    intid;
    GicCpu     *from, *to;
    const char *error = find_interrupt(gic, cmd_device(c), cmd_event(c), &addr, &ite);

    if (error != NULL || (error = find_collection(gic, (uint32_t)extract64(ite, 32, 16), &from)) != NULL ||
        (error = find_collection(gic, cmd_icid(c), &to)) != NULL) {
        return error;
    }
    if (!write64(gic, addr, deposit64(ite, 32, 16, cmd_icid(c)))) {
        return "UNMAPPED_INTERRUPT";
    }
    intid = (uint32_t)extract64(ite, 0, 24);
    if (from != to && gic_lpi_pending(from, intid) && gic_lpi_set_pending(to, intid, true)) {
        gic_lpi_set_pending(from, intid, false);
    }
    return NULL;
}

static const char *cmd_movall(Gic *gic, const ItsCommand *c)
{
    uint64_t from = rdbase(c->dw[2]), to = rdbase(c->dw[3]);

    if (from >= gic->config.n_cpus || to >= gic->config.n_cpus) {
        return "PROCNUM_OOR";
    }
    gic_lpi_move_all(&gic->cpus[from], &gic->cpus[to]);
    return NULL;
}

static const char *cmd_discard(Gic *gic, const ItsCommand *c)
{
    uint64_t    addr, ite;
    GicCpu     *cpu;
    const char *error = find_interrupt(gic, cmd_device(c), cmd_event(c), &addr, &ite);

    if (error != NULL) {
        return error;
    }
    if (find_collection(gic, (uint32_t)extract64(ite, 32, 16), &cpu) == NULL) {
        gic_lpi_set_pending(cpu, (uint32_t)extract64(ite, 0, 24), false);
    }
    return write64(gic, addr, 0) ? NULL : "UNMAPPED_INTERRUPT";
}

static const char *cmd_inv(Gic *gic, const ItsCommand *c)
{
    uint32_t    intid;
    GicCpu     *cpu;
    const char *error = translate(gic, cmd_device(c), cmd_event(c), &intid, &cpu);

    if (error == NULL) {
        gic_lpi_invalidate(cpu, intid);
    }
    return error;
}

static const char *cmd_invall(Gic *gic, const ItsCommand *c)
{
    GicCpu     *cpu;
    const char *error = find_collection(gic, cmd_icid(c), &cpu);

    if (error == NULL) {
        gic_lpi_invalidate_all(cpu);
    }
    return error;
}

static const char *set_pending(Gic *gic, uint32_t device, uint32_t event, bool pending)
{
    uint32_t    intid;
    GicCpu     *cpu;
    const char *error = translate(gic, device, event, &intid, &cpu);

    if (error != NULL) {
        return error;
    }
    /* Not an error of the ITS in the specification: the redistributor has no such LPI. */
    return gic_lpi_set_pending(cpu, intid, pending) ? NULL : "LPI_OOR";
}

static const char *cmd_int(Gic *gic, const ItsCommand *c)
{
    return set_pending(gic, cmd_device(c), cmd_event(c), true);
}

static const char *cmd_clear(Gic *gic, const ItsCommand *c)
{
    return set_pending(gic, cmd_device(c), cmd_event(c), false);
}

/* Every command has its effect before the next one starts. */
static const char *cmd_sync(Gic *gic, const ItsCommand *c)
{
    return rdbase(c->dw[2]) < gic->config.n_cpus ? NULL : "PROCNUM_OOR";
}

static const struct {
    uint8_t     code;
    const char *name;
    const char *(*run)(Gic *gic, const ItsCommand *c);
} commands[] = {
    { 0x01, "MOVI", cmd_movi },   { 0x03, "INT", cmd_int },         { 0x04, "CLEAR", cmd_clear },
    { 0x05, "SYNC", cmd_sync },   { 0x08, "MAPD", cmd_mapd },       { 0x09, "MAPC", cmd_mapc },
    { 0x0a, "MAPTI", cmd_mapti }, { 0x0b, "MAPI", cmd_mapi },       { 0x0c, "INV", cmd_inv },
    { 0x0d, "INVALL", cmd_invall }, { 0x0e, "MOVALL", cmd_movall }, { 0x0f, "DISCARD", cmd_discard },
};

static void run_command(Gic *gic, const ItsCommand *c)
{
    const char *name = "unknown", *error = "COMMAND_OOR";

    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (commands[i].code == (c->dw[0] & 0xff)) {
            name = commands[i].name;
            error = commands[i].run(gic, c);
        }
    }
    LOG(IRQ, "its %s %016" PRIx64 " %016" PRIx64 " %016" PRIx64 ": %s", name, c->dw[0], c->dw[1], c->dw[2],
        error == NULL ? "done" : error);
    if (error != NULL) {
        gic->its.last_error = error;
        guest_error("its: %s command ignored: %s", name, error);
    }
}

static uint64_t queue_size(const Its *its)
{
    return (extract64(its->cbaser, 0, 8) + 1) * 0x1000;
}

/* Runs what is between GITS_CREADR and GITS_CWRITER: at most one queue of commands, each of bounded work. */
static void run_queue(Gic *gic)
{
    Its     *its = &gic->its;
    uint64_t base = its->cbaser & ADDR_4K;

    if (its->running || (its->ctlr & CTLR_ENABLED) == 0 || (its->cbaser & ENTRY_VALID) == 0 || its->stalled ||
        its->cwriter >= queue_size(its) || its->creadr >= queue_size(its)) {
        return;
    }
    its->running = true;
    while (its->creadr != its->cwriter) {
        uint8_t    raw[ITS_COMMAND_SIZE];
        ItsCommand c;

        if (!gic_read(gic, base + its->creadr, raw, sizeof(raw))) {
            guest_error("its: command queue at 0x%" PRIx64 " is not memory", base);
            its->stalled = true;
            break;
        }
        for (unsigned i = 0; i < 4; i++) {
            c.dw[i] = le64_get(raw + i * 8);
        }
        run_command(gic, &c);
        its->creadr = (its->creadr + ITS_COMMAND_SIZE) % queue_size(its);
    }
    its->running = false;
    gic_update_all(gic);
}

bool gicv3_its_msi(Gic *gic, uint32_t devid, uint32_t eventid)
{
    const char *error;
    uint32_t    intid;
    GicCpu     *cpu;

    if (!gic->config.has_its || (gic->its.ctlr & CTLR_ENABLED) == 0) {
        return false;
    }
    error = translate(gic, devid, eventid, &intid, &cpu);
    if (error != NULL || !gic_lpi_set_pending(cpu, intid, true)) {
        LOG(IRQ, "its: message of device 0x%x, event %u dropped: %s", devid, eventid,
            error != NULL ? error : "no such LPI");
        return false;
    }
    LOG(IRQ, "its: device 0x%x, event %u: LPI %u of cpu %u", devid, eventid, intid, cpu->index);
    gic_update(cpu);
    return true;
}

/* ---- registers ---- */

static uint64_t read_ctlr(const GicView *v, unsigned index)
{
    return v->gic->its.ctlr | CTLR_QUIESCENT;
}

static void write_ctlr(const GicView *v, unsigned index, uint64_t value)
{
    v->gic->its.ctlr = (uint32_t)(value & CTLR_ENABLED);
    run_queue(v->gic);
}

static uint64_t read_typer(const GicView *v, unsigned index)
{
    return BIT(0) | (ITS_ENTRY_SIZE - 1) << 4 | (ITS_EVENT_BITS - 1) << 8 | (ITS_DEVICE_BITS - 1) << 13;
}

static uint64_t read_cbaser(const GicView *v, unsigned index)
{
    return v->gic->its.cbaser;
}

static void write_cbaser(const GicView *v, unsigned index, uint64_t value)
{
    Its *its = &v->gic->its;

    if ((its->ctlr & CTLR_ENABLED) == 0) {
        its->cbaser = value & CBASER_WRITABLE;
        its->creadr = 0;
        its->stalled = false;
    }
}

static uint64_t read_cwriter(const GicView *v, unsigned index)
{
    return v->gic->its.cwriter;
}

static void write_cwriter(const GicView *v, unsigned index, uint64_t value)
{
    Its *its = &v->gic->its;

    its->cwriter = value & QUEUE_OFFSET;
    if (value & BIT(0)) { /* Retry */
        its->stalled = false;
    }
    if (its->cwriter >= queue_size(its)) {
        guest_error("its: GITS_CWRITER 0x%" PRIx64 " beyond the queue", its->cwriter);
    }
    run_queue(v->gic);
}

static uint64_t read_creadr(const GicView *v, unsigned index)
{
    return v->gic->its.creadr | (v->gic->its.stalled ? QUEUE_STALLED : 0);
}

/* Type 1 devices, type 4 collections; the other six registers are RES0. */
static uint64_t read_baser(const GicView *v, unsigned index)
{
    static const uint64_t type[] = { 1, 4 };

    if (index >= ARRAY_LEN(type)) {
        return 0;
    }
    return v->gic->its.baser[index] | type[index] << 56 | (ITS_ENTRY_SIZE - 1ull) << 48;
}

static void write_baser(const GicView *v, unsigned index, uint64_t value)
{
    Its *its = &v->gic->its;

    if (index < ARRAY_LEN(its->baser) && (its->ctlr & CTLR_ENABLED) == 0) {
        its->baser[index] = value & BASER_WRITABLE;
    }
}

static const GicReg its_regs[] = {
    { 0x0000, "GITS_CTLR", 1, 4, false, 0, read_ctlr, write_ctlr },
    { 0x0004, "GITS_IIDR", 1, 4, false, GIC_IIDR },
    { 0x0008, "GITS_TYPER", 1, 8, false, 0, read_typer },
    { 0x0010, "GITS_MPAMIDR", 1, 4 },
    { 0x0080, "GITS_CBASER", 1, 8, false, 0, read_cbaser, write_cbaser },
    { 0x0088, "GITS_CWRITER", 1, 8, false, 0, read_cwriter, write_cwriter },
    { 0x0090, "GITS_CREADR", 1, 8, false, 0, read_creadr },
    { 0x0100, "GITS_BASER", 8, 8, false, 0, read_baser, write_baser },
    GIC_ID_REGS(0x94),
};

static MemResult its_mmio_read(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t *value)
{
    Gic *gic = opaque;

    *value = 0;
    if (!gic->config.has_its || off >= 0x10000) {
        return MEM_OK; /* the translation frame is write-only */
    }
    return gic_frame_read(its_regs, ARRAY_LEN(its_regs), (GicView){ gic, NULL }, off, size, value);
}

static MemResult its_mmio_write(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t value)
{
    Gic *gic = opaque;

    if (!gic->config.has_its) {
        return MEM_OK;
    }
    if (off == GITS_TRANSLATER_OFFSET && (size == 4 || size == 2)) {
        /* IMPLEMENTATION DEFINED: a CPU's write is ignored, it has no DeviceID. */
        if (attrs.is_device && gic->in_dma == 0) {
            gicv3_its_msi(gic, attrs.requester, (uint32_t)value);
        }
        return MEM_OK;
    }
    if (off >= 0x10000) {
        return MEM_OK;
    }
    return gic_frame_write(its_regs, ARRAY_LEN(its_regs), (GicView){ gic, NULL }, off, size, value);
}

const MmioOps gicv3_its_ops = { its_mmio_read, its_mmio_write };
