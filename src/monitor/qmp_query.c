/*
 * QMP's queries: members and words are those of QEMU's schema, as far as there is something here that they mean. What
 * the schema demands and Bailey has not (paths in an object model) is made up in the shape that programs expect.
 */
#include <unistd.h>

#include "blockdev.h"
#include "hw/pci/pci.h"
#include "monitor/qmp_int.h"
#include "options.h"

/* The QEMU whose words these are: programs look at it to know what they may ask. The package says whose they are. */
enum { QEMU_MAJOR = 7, QEMU_MINOR = 2, QEMU_MICRO = 0 };

QMP_OBJECT(VersionTriple, { "major", "int" }, { "minor", "int" }, { "micro", "int" });
QMP_OBJECT(VersionInfo, { "qemu", "VersionTriple" }, { "package", "str" });

QMP_COMMAND(query_version, .name = "query-version", .returns = "VersionInfo")
{
    JsonObject *o = json_object_new(), *qemu = json_object_new();

    json_object_set_int_member(qemu, "micro", QEMU_MICRO);
    json_object_set_int_member(qemu, "minor", QEMU_MINOR);
    json_object_set_int_member(qemu, "major", QEMU_MAJOR);
    json_object_set_object_member(o, "qemu", qemu);
    json_object_set_string_member(o, "package", "bailey " BAILEY_VERSION);
    return qmp_object(o);
}

static void put_command(void *opaque, const QmpCommand *c)
{
    JsonObject *o = json_object_new();

    json_object_set_string_member(o, "name", c->name);
    json_array_add_object_element(opaque, o);
}

QMP_OBJECT(CommandInfo, { "name", "str" });

QMP_COMMAND(query_commands, .name = "query-commands", .returns = "[CommandInfo]")
{
    JsonArray *all = json_array_new();

    qmp_foreach(put_command, all);
    return qmp_array(all);
}

QMP_ENUM(RunState, "paused", "prelaunch", "running");
QMP_OBJECT(StatusInfo, { "running", "bool" }, { "singlestep", "bool" }, { "status", "RunState" });

QMP_COMMAND(query_status, .name = "query-status", .returns = "StatusInfo")
{
    JsonObject *o = json_object_new();
    bool        paused = machine_is_paused(qmp_mon(q)->on.machine);

    json_object_set_boolean_member(o, "running", !paused);
    json_object_set_boolean_member(o, "singlestep", FALSE);
    json_object_set_string_member(o, "status", !paused ? "running" : qmp_was_started(q) ? "paused" : "prelaunch");
    return qmp_object(o);
}

QMP_OBJECT(NameInfo, { "name", "str", true });

QMP_COMMAND(query_name, .name = "query-name", .returns = "NameInfo")
{
    JsonObject *o = json_object_new();

    if (qmp_mon(q)->on.name != NULL) {
        qmp_set_text(o, "name", qmp_mon(q)->on.name);
    }
    return qmp_object(o);
}

QMP_OBJECT(KvmInfo, { "enabled", "bool" }, { "present", "bool" });

QMP_COMMAND(query_kvm, .name = "query-kvm", .returns = "KvmInfo")
{
    JsonObject *o = json_object_new();

    json_object_set_boolean_member(o, "enabled", FALSE);
    json_object_set_boolean_member(o, "present", FALSE);
    return qmp_object(o);
}

QMP_ENUM(SysEmuTarget, "aarch64");
QMP_OBJECT(TargetInfo, { "arch", "SysEmuTarget" });

QMP_COMMAND(query_target, .name = "query-target", .returns = "TargetInfo")
{
    JsonObject *o = json_object_new();

    json_object_set_string_member(o, "arch", "aarch64");
    return qmp_object(o);
}

QMP_OBJECT(CpuInstanceProperties, { "core-id", "int", true });
QMP_OBJECT(CpuInfoFast, { "cpu-index", "int" }, { "qom-path", "str" }, { "thread-id", "int" },
           { "props", "CpuInstanceProperties", true }, { "target", "SysEmuTarget" });

QMP_COMMAND(query_cpus_fast, .name = "query-cpus-fast", .returns = "[CpuInfoFast]")
{
    const MonMachine *on = &qmp_mon(q)->on;
    JsonArray        *all = json_array_new();

    for (unsigned i = 0; i < on->n_cpus; i++) {
        g_autofree char *path = g_strdup_printf("/machine/cpu[%u]", i);
        JsonObject      *o = json_object_new(), *props = json_object_new();

        json_object_set_int_member(props, "core-id", i);
        json_object_set_int_member(o, "cpu-index", i);
        json_object_set_string_member(o, "qom-path", path);
        json_object_set_int_member(o, "thread-id", getpid()); /* one thread runs them all */
        json_object_set_object_member(o, "props", props);
        json_object_set_string_member(o, "target", "aarch64");
        json_array_add_object_element(all, o);
    }
    return qmp_array(all);
}

QMP_OBJECT(MachineInfo, { "name", "str" }, { "is-default", "bool", true }, { "cpu-max", "int" },
           { "hotpluggable-cpus", "bool" }, { "numa-mem-supported", "bool" }, { "deprecated", "bool" },
           { "default-cpu-type", "str", true });

/* As -M help has them. */
QMP_COMMAND(query_machines, .name = "query-machines", .returns = "[MachineInfo]")
{
    JsonArray  *all = json_array_new();
    JsonObject *o = json_object_new();

    json_object_set_string_member(o, "name", "cca");
    json_object_set_boolean_member(o, "is-default", TRUE);
    json_object_set_int_member(o, "cpu-max", OPTIONS_MAX_CPUS);
    json_object_set_boolean_member(o, "hotpluggable-cpus", FALSE);
    json_object_set_boolean_member(o, "numa-mem-supported", FALSE);
    json_object_set_boolean_member(o, "deprecated", FALSE);
    json_object_set_string_member(o, "default-cpu-type", QMP_CPU_TYPE);
    json_array_add_object_element(all, o);
    return qmp_array(all);
}

QMP_OBJECT(CurrentMachineParams, { "wakeup-suspend-support", "bool" });

QMP_COMMAND(query_current_machine, .name = "query-current-machine", .returns = "CurrentMachineParams")
{
    JsonObject *o = json_object_new();

    json_object_set_boolean_member(o, "wakeup-suspend-support", FALSE);
    return qmp_object(o);
}

QMP_OBJECT(CpuDefinitionInfo, { "name", "str" }, { "static", "bool" }, { "typename", "str" }, { "deprecated", "bool" });

QMP_COMMAND(query_cpu_definitions, .name = "query-cpu-definitions", .returns = "[CpuDefinitionInfo]")
{
    JsonArray  *all = json_array_new();
    JsonObject *o = json_object_new();

    json_object_set_string_member(o, "name", "max");
    json_object_set_boolean_member(o, "static", FALSE);
    json_object_set_string_member(o, "typename", QMP_CPU_TYPE);
    json_object_set_boolean_member(o, "deprecated", FALSE);
    json_array_add_object_element(all, o);
    return qmp_array(all);
}

QMP_OBJECT(UuidInfo, { "UUID", "str" });

/* No option gives the machine one: QEMU's answer then. */
QMP_COMMAND(query_uuid, .name = "query-uuid", .returns = "UuidInfo")
{
    JsonObject *o = json_object_new();

    json_object_set_string_member(o, "UUID", "00000000-0000-0000-0000-000000000000");
    return qmp_object(o);
}

/* ---- what there never is ---- */

QMP_OBJECT(IOThreadInfo, { "id", "str" }, { "thread-id", "int" });

QMP_COMMAND(query_iothreads, .name = "query-iothreads", .returns = "[IOThreadInfo]")
{
    return qmp_array(json_array_new()); /* one thread does everything */
}

QMP_OBJECT(JobInfo, { "id", "str" }, { "type", "str" }, { "status", "str" });

QMP_COMMAND(query_jobs, .name = "query-jobs", .returns = "[JobInfo]")
{
    return qmp_array(json_array_new()); /* no command goes on behind its answer */
}

/* ---- back ends ---- */

/* What QEMU's schema demands beside: writes go through the host's cache, and nothing is limited or watched. */
static void put_policy(JsonObject *inserted)
{
    static const char *const limits[] = { "bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr", "write_threshold" };
    JsonObject              *cache = json_object_new();

    json_object_set_boolean_member(cache, "writeback", TRUE);
    json_object_set_boolean_member(cache, "direct", FALSE);
    json_object_set_boolean_member(cache, "no-flush", FALSE);
    json_object_set_object_member(inserted, "cache", cache);
    json_object_set_string_member(inserted, "detect_zeroes", "off");
    for (size_t i = 0; i < G_N_ELEMENTS(limits); i++) {
        json_object_set_int_member(inserted, limits[i], 0);
    }
}

static void put_drive(void *opaque, Blockdev *b)
{
    JsonObject *o = json_object_new(), *inserted = json_object_new(), *image = json_object_new();

    qmp_set_text(image, "filename", blockdev_path(b));
    json_object_set_string_member(image, "format", blockdev_format(b));
    json_object_set_int_member(image, "virtual-size", (gint64)blockdev_size(b));
    qmp_set_text(inserted, "file", blockdev_path(b));
    json_object_set_string_member(inserted, "drv", blockdev_format(b));
    json_object_set_boolean_member(inserted, "ro", blockdev_readonly(b));
    json_object_set_boolean_member(inserted, "encrypted", FALSE);
    json_object_set_int_member(inserted, "backing_file_depth", blockdev_backing_depth(b));
    put_policy(inserted);
    json_object_set_object_member(inserted, "image", image);
    qmp_set_text(o, "device", blockdev_id(b));
    json_object_set_string_member(o, "type", "unknown");
    json_object_set_boolean_member(o, "removable", FALSE);
    json_object_set_boolean_member(o, "locked", FALSE);
    json_object_set_object_member(o, "inserted", inserted);
    json_array_add_object_element(opaque, o);
}

QMP_OBJECT(ImageInfo, { "filename", "str" }, { "format", "str" }, { "virtual-size", "int" });
QMP_OBJECT(BlockdevCacheInfo, { "writeback", "bool" }, { "direct", "bool" }, { "no-flush", "bool" });
QMP_ENUM(BlockdevDetectZeroesOptions, "off");
QMP_OBJECT(BlockDeviceInfo, { "file", "str" }, { "drv", "str" }, { "ro", "bool" }, { "encrypted", "bool" },
           { "backing_file_depth", "int" }, { "detect_zeroes", "BlockdevDetectZeroesOptions" }, { "bps", "int" },
           { "bps_rd", "int" }, { "bps_wr", "int" }, { "iops", "int" }, { "iops_rd", "int" }, { "iops_wr", "int" },
           { "cache", "BlockdevCacheInfo" }, { "write_threshold", "int" }, { "image", "ImageInfo" });
QMP_OBJECT(BlockInfo, { "device", "str" }, { "type", "str" }, { "removable", "bool" }, { "locked", "bool" },
           { "inserted", "BlockDeviceInfo", true });

QMP_COMMAND(query_block, .name = "query-block", .returns = "[BlockInfo]")
{
    JsonArray *all = json_array_new();

    blockdev_foreach(put_drive, all);
    return qmp_array(all);
}

/* Those without an ID are called by what they were made from: QEMU makes up serial0. */
static void put_chardev(void *opaque, Chardev *c, const char *id, const char *where)
{
    JsonObject *o = json_object_new();

    qmp_set_text(o, "label", id != NULL ? id : where);
    qmp_set_text(o, "filename", where);
    json_object_set_boolean_member(o, "frontend-open", chardev_has_client(c));
    json_array_add_object_element(opaque, o);
}

QMP_OBJECT(ChardevInfo, { "label", "str" }, { "filename", "str" }, { "frontend-open", "bool" });

QMP_COMMAND(query_chardev, .name = "query-chardev", .returns = "[ChardevInfo]")
{
    JsonArray *all = json_array_new();

    chardev_foreach(put_chardev, all);
    return qmp_array(all);
}

/* ---- memory ---- */

static void add_ram(void *opaque, const MemRegion *r)
{
    *(uint64_t *)opaque += r->kind == MEM_RAM ? r->size : 0;
}

QMP_OBJECT(MemoryInfo, { "base-memory", "int" }, { "plugged-memory", "int", true });

QMP_COMMAND(query_memory_size_summary, .name = "query-memory-size-summary", .returns = "MemoryInfo")
{
    JsonObject *o = json_object_new();
    uint64_t    size = 0;

    memory_foreach_region(machine_memory(qmp_mon(q)->on.machine), add_ram, &size);
    json_object_set_int_member(o, "base-memory", (gint64)size);
    json_object_set_int_member(o, "plugged-memory", 0);
    return qmp_object(o);
}

/* ---- PCI ---- */

static JsonArray *functions_of(const PciBus *bus);

static JsonObject *pci_ids(const PciDevice *pd)
{
    JsonObject *o = json_object_new();

    json_object_set_int_member(o, "device", pci_get(pd, PCI_DEVICE_ID, 2));
    json_object_set_int_member(o, "vendor", pci_get(pd, PCI_VENDOR_ID, 2));
    return o;
}

static JsonArray *pci_regions(const PciDevice *pd)
{
    JsonArray *all = json_array_new();

    for (unsigned n = 0; n < PCI_N_BARS; n++) {
        const PciBar *bar = &pd->bars[n];
        JsonObject   *o;

        if (bar->size == 0) {
            continue;
        }
        o = json_object_new();
        json_object_set_int_member(o, "bar", n);
        json_object_set_string_member(o, "type", bar->flags & PCI_BAR_IO ? "io" : "memory");
        json_object_set_int_member(o, "address", bar->mapped ? (gint64)bar->base : -1);
        json_object_set_int_member(o, "size", (gint64)bar->size);
        if (!(bar->flags & PCI_BAR_IO)) {
            json_object_set_boolean_member(o, "prefetch", (bar->flags & PCI_BAR_PREFETCH) != 0);
            json_object_set_boolean_member(o, "mem_type_64", (bar->flags & PCI_BAR_MEM64) != 0);
        }
        json_array_add_object_element(all, o);
    }
    return all;
}

static void put_range(JsonObject *o, const char *name, uint64_t base, uint64_t limit)
{
    JsonObject *range = json_object_new();

    json_object_set_int_member(range, "base", (gint64)base);
    json_object_set_int_member(range, "limit", (gint64)limit);
    json_object_set_object_member(o, name, range);
}

static uint64_t upper(const PciDevice *pd, unsigned off) { return (uint64_t)pci_get(pd, off, 4) << 32; }

static JsonObject *pci_bridge(const PciDevice *pd)
{
    JsonObject *o = json_object_new(), *bus = json_object_new();

    json_object_set_int_member(bus, "number", pci_get(pd, PCI_PRIMARY_BUS, 1));
    json_object_set_int_member(bus, "secondary", pci_get(pd, PCI_SECONDARY_BUS, 1));
    json_object_set_int_member(bus, "subordinate", pci_get(pd, PCI_SUBORDINATE_BUS, 1));
    put_range(bus, "io_range", (pci_get(pd, PCI_IO_BASE, 1) & 0xf0) << 8,
              (pci_get(pd, PCI_IO_BASE + 1, 1) & 0xf0) << 8 | 0xfff);
    put_range(bus, "memory_range", (pci_get(pd, PCI_MEMORY_BASE, 2) & 0xfff0) << 16,
              (pci_get(pd, PCI_MEMORY_LIMIT, 2) & 0xfff0) << 16 | 0xfffff);
    put_range(bus, "prefetchable_range",
              upper(pd, PCI_PREF_BASE_UPPER32) | (pci_get(pd, PCI_PREF_MEMORY_BASE, 2) & 0xfff0) << 16,
              upper(pd, PCI_PREF_LIMIT_UPPER32) | (pci_get(pd, PCI_PREF_MEMORY_LIMIT, 2) & 0xfff0) << 16 | 0xfffff);
    json_object_set_object_member(o, "bus", bus);
    json_object_set_array_member(o, "devices", functions_of(pd->secondary));
    return o;
}

static JsonObject *pci_function(const PciDevice *pd)
{
    JsonObject *o = json_object_new(), *class = json_object_new();

    json_object_set_int_member(class, "class", pci_get(pd, PCI_CLASS_DEVICE, 2));
    if (pd->dev.cls->desc != NULL) {
        json_object_set_string_member(class, "desc", pd->dev.cls->desc);
    }
    json_object_set_int_member(o, "bus", pd->bus->number);
    json_object_set_int_member(o, "slot", pd->devfn >> 3);
    json_object_set_int_member(o, "function", pd->devfn & 7);
    json_object_set_object_member(o, "class_info", class);
    json_object_set_object_member(o, "id", pci_ids(pd));
    json_object_set_int_member(o, "irq_pin", pci_get(pd, PCI_INTERRUPT_PIN, 1));
    qmp_set_text(o, "qdev_id", pd->dev.id);
    json_object_set_array_member(o, "regions", pci_regions(pd));
    if (pd->secondary != NULL) {
        json_object_set_object_member(o, "pci_bridge", pci_bridge(pd));
    }
    return o;
}

static JsonArray *functions_of(const PciBus *bus)
{
    JsonArray *all = json_array_new();

    for (unsigned i = 0; i < G_N_ELEMENTS(bus->functions); i++) {
        if (bus->functions[i] != NULL) {
            json_array_add_object_element(all, pci_function(bus->functions[i]));
        }
    }
    return all;
}

QMP_OBJECT(PciMemoryRange, { "base", "int" }, { "limit", "int" });
QMP_OBJECT(PciBusInfo, { "number", "int" }, { "secondary", "int" }, { "subordinate", "int" },
           { "io_range", "PciMemoryRange" }, { "memory_range", "PciMemoryRange" },
           { "prefetchable_range", "PciMemoryRange" });
QMP_OBJECT(PciBridgeInfo, { "bus", "PciBusInfo" }, { "devices", "[PciDeviceInfo]", true });
QMP_OBJECT(PciMemoryRegion, { "bar", "int" }, { "type", "str" }, { "address", "int" }, { "size", "int" },
           { "prefetch", "bool", true }, { "mem_type_64", "bool", true });
QMP_OBJECT(PciDeviceClass, { "class", "int" }, { "desc", "str", true });
QMP_OBJECT(PciDeviceId, { "device", "int" }, { "vendor", "int" });
QMP_OBJECT(PciDeviceInfo, { "bus", "int" }, { "slot", "int" }, { "function", "int" },
           { "class_info", "PciDeviceClass" }, { "id", "PciDeviceId" }, { "irq_pin", "int" }, { "qdev_id", "str" },
           { "pci_bridge", "PciBridgeInfo", true }, { "regions", "[PciMemoryRegion]" });
QMP_OBJECT(PciInfo, { "bus", "int" }, { "devices", "[PciDeviceInfo]" });

static void put_root(JsonArray *all, PciHost *host)
{
    JsonObject *o = json_object_new();
    PciBus     *root = pci_host_root(host);

    json_object_set_int_member(o, "bus", root->number);
    json_object_set_array_member(o, "devices", functions_of(root));
    json_array_add_object_element(all, o);
}

/* The machine's buses, and those that a Realm has beside them. */
QMP_COMMAND(query_pci, .name = "query-pci", .returns = "[PciInfo]")
{
    const MonMachine *on = &qmp_mon(q)->on;
    JsonArray        *all = json_array_new();

    if (on->pci != NULL) {
        put_root(all, on->pci);
    }
    if (on->realm_pci != NULL) {
        put_root(all, on->realm_pci);
    }
    return qmp_array(all);
}
