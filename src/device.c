/*
 * The device core: classes found in their linker section, properties from text, and the one place that serves
 * register tables (width, alignment, masks, trace, reset).
 */
#include "device.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "log.h"
#include "options.h"

/* Bounds of the section that DEVICE() fills; weak, so that a program without devices links. */
extern const DeviceClass *const __start_bailey_devices[] __attribute__((weak));
extern const DeviceClass *const __stop_bailey_devices[] __attribute__((weak));

/* ---- classes ---- */

static int by_name(gconstpointer a, gconstpointer b)
{
    const DeviceClass *ca = *(const DeviceClass *const *)a, *cb = *(const DeviceClass *const *)b;

    return strcmp(ca->name, cb->name);
}

const DeviceClass *device_class_find(const char *name)
{
    for (const DeviceClass *const *c = __start_bailey_devices; c < __stop_bailey_devices; c++) {
        if (strcmp((*c)->name, name) == 0) {
            return *c;
        }
    }
    return NULL;
}

void device_class_foreach(void (*fn)(const DeviceClass *cls, void *opaque), void *opaque)
{
    GPtrArray *all = g_ptr_array_new();

    for (const DeviceClass *const *c = __start_bailey_devices; c < __stop_bailey_devices; c++) {
        g_ptr_array_add(all, (gpointer)*c);
    }
    g_ptr_array_sort(all, by_name); /* link order is no order */
    for (guint i = 0; i < all->len; i++) {
        fn(all->pdata[i], opaque);
    }
    g_ptr_array_free(all, TRUE);
}

/* ---- properties ---- */

static const char *const prop_takes[] = {
    [PROP_BOOL] = "on or off",
    [PROP_UINT] = "a number",
    [PROP_SIZE] = "a size such as 4096, 64K or 1G",
    [PROP_STRING] = "text",
    [PROP_MAC] = "six hexadecimal bytes such as 52:54:00:12:34:56",
};

static bool parse_uint(const char *text, uint64_t *value)
{
    char *end;

    errno = 0;
    *value = strtoull(text, &end, 0);
    return errno == 0 && end != text && *end == '\0' && strchr(text, '-') == NULL;
}

static bool parse_mac(const char *text, uint8_t mac[6])
{
    unsigned b[6];
    char     rest;

    if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &rest) != 6 ||
        (b[0] & 1) != 0) { /* a group address cannot be a card's own */
        return false;
    }
    for (unsigned i = 0; i < 6; i++) {
        mac[i] = (uint8_t)b[i];
    }
    return true;
}

static bool prop_parse(Device *dev, const Prop *p, const char *text)
{
    void *member = (char *)dev + p->offset;

    switch (p->type) {
    case PROP_BOOL:
        return option_parse_bool(text, member);
    case PROP_UINT:
        return parse_uint(text, member);
    case PROP_SIZE:
        return option_parse_size(text, 0, member);
    case PROP_MAC:
        return parse_mac(text, member);
    case PROP_STRING:
        g_free(*(char **)member);
        *(char **)member = g_strdup(text);
        return true;
    }
    return false;
}

static char *prop_names(const DeviceClass *cls)
{
    GString *s = g_string_new("id, bus, addr");

    for (size_t i = 0; i < cls->n_props; i++) {
        g_string_append_printf(s, ", %s", cls->props[i].name);
    }
    return g_string_free(s, FALSE);
}

bool device_set(Device *dev, const char *name, const char *value, GError **error)
{
    const DeviceClass *cls = dev->cls;

    for (size_t i = 0; i < cls->n_props; i++) {
        const Prop *p = &cls->props[i];

        if (strcmp(p->name, name) == 0) {
            if (prop_parse(dev, p, value)) {
                return true;
            }
            g_set_error(error, BAILEY_ERROR, 0, "cannot set %s=%s of device %s: it takes %s", name, value,
                        cls->name, prop_takes[p->type]);
            return false;
        }
    }
    char *names = prop_names(cls);

    g_set_error(error, BAILEY_ERROR, 0, "device %s has no property '%s'; it has: %s", cls->name, name, names);
    g_free(names);
    return false;
}

void device_help(const DeviceClass *cls)
{
    printf("%s: %s\n", cls->name, cls->desc != NULL ? cls->desc : "");
    for (size_t i = 0; i < cls->n_props; i++) {
        const Prop *p = &cls->props[i];

        printf("  %s=<%s>  %s", p->name, prop_takes[p->type], p->help != NULL ? p->help : "");
        printf(p->def != NULL ? " (default: %s)\n" : "\n", p->def);
    }
}

/* ---- register tables ---- */

/* Bytes of a register that does not name its width. */
static unsigned natural_width(const DeviceClass *cls)
{
    return cls->access & ACCESS_32 ? 4 : cls->access & ACCESS_64 ? 8 : cls->access & ACCESS_16 ? 2 : 1;
}

static unsigned reg_width(const DeviceClass *cls, const Reg *r)
{
    return r->width != 0 ? r->width : natural_width(cls);
}

static unsigned reg_count(const Reg *r)
{
    return r->count != 0 ? r->count : 1;
}

/* Slots of the index are as wide as the narrowest register. */
static unsigned slot_size(const DeviceClass *cls)
{
    unsigned size = natural_width(cls);

    for (size_t i = 0; i < cls->n_regs; i++) {
        size = MIN(size, reg_width(cls, &cls->regs[i]));
    }
    return size;
}

static uint64_t table_end(const DeviceClass *cls)
{
    uint64_t end = 0;

    for (size_t i = 0; i < cls->n_regs; i++) {
        const Reg *r = &cls->regs[i];

        end = MAX(end, r->offset + (uint64_t)(reg_count(r) - 1) * r->stride + reg_width(cls, r));
    }
    return end;
}

/* The table turned around: for each slot, one plus the number of its register; 0 where there is none. */
static uint16_t *build_index(const DeviceClass *cls)
{
    unsigned  slot = slot_size(cls);
    uint64_t  n = table_end(cls) / slot;
    uint16_t *index = g_new0(uint16_t, n);

    for (size_t i = 0; i < cls->n_regs; i++) {
        const Reg *r = &cls->regs[i];

        for (unsigned k = 0; k < reg_count(r); k++) {
            uint64_t first = (r->offset + (uint64_t)k * r->stride) / slot;

            for (uint64_t s = first; s < first + reg_width(cls, r) / slot; s++) {
                index[s] = (uint16_t)(i + 1);
            }
        }
    }
    return index;
}

/* The register that holds @off, its element number and the offset inside it; NULL when no register is
 * there. */
static const Reg *find_reg(const Device *dev, uint64_t off, unsigned *element, unsigned *inside)
{
    const DeviceClass *cls = dev->cls;

    if (dev->reg_index == NULL || off >= dev->reg_end) {
        return NULL;
    }
    unsigned n = dev->reg_index[off >> dev->reg_shift];

    if (n == 0) {
        return NULL;
    }
    const Reg *r = &cls->regs[n - 1];
    uint64_t   rel = off - r->offset;

    *element = r->stride != 0 ? (unsigned)(rel / r->stride) : 0;
    *inside = (unsigned)(rel - (uint64_t)*element * r->stride);
    return r;
}

static void *reg_member(Device *dev, const Reg *r, unsigned element)
{
    return (char *)dev + r->field.offset + (size_t)element * r->field.size;
}

/* Members are host integers; only sizes 1, 2, 4, 8 occur. */
static uint64_t member_get(const void *p, unsigned size)
{
    switch (size) {
    case 1:
        return *(const uint8_t *)p;
    case 2:
        return *(const uint16_t *)p;
    case 4:
        return *(const uint32_t *)p;
    default:
        return *(const uint64_t *)p;
    }
}

static void member_set(void *p, unsigned size, uint64_t v)
{
    switch (size) {
    case 1:
        *(uint8_t *)p = (uint8_t)v;
        break;
    case 2:
        *(uint16_t *)p = (uint16_t)v;
        break;
    case 4:
        *(uint32_t *)p = (uint32_t)v;
        break;
    default:
        *(uint64_t *)p = v;
        break;
    }
}

static uint64_t reg_value(Device *dev, const Reg *r, unsigned element)
{
    if (r->on_read != NULL) {
        return r->on_read(dev, r, element);
    }
    /* No field: a constant (an identification register) or write-only. */
    return r->field.size == 0 ? r->reset : member_get(reg_member(dev, r, element), r->field.size);
}

static bool access_ok(Device *dev, uint64_t off, unsigned size, const char *what)
{
    if ((dev->cls->access & size) == 0 || !is_aligned(off, size)) {
        guest_error("%s: %s of %u bytes at 0x%" PRIx64 " is not allowed", dev->id, what, size, off);
        return false;
    }
    return true;
}

MemResult device_reg_read(Device *dev, uint64_t off, unsigned size, MemAttrs attrs, uint64_t *value)
{
    const DeviceClass *cls = dev->cls;
    unsigned           element, inside;

    *value = 0;
    if (!access_ok(dev, off, size, "read")) {
        return MEM_SLAVE;
    }
    dev->attrs = attrs;
    const Reg *r = find_reg(dev, off, &element, &inside);

    if (r == NULL) {
        if (cls->read != NULL) {
            return cls->read(dev, off, size, attrs, value);
        }
        guest_error("%s: read of undefined offset 0x%" PRIx64, dev->id, off);
        return MEM_OK;
    }
    unsigned width = reg_width(cls, r);

    if (size > width) { /* two neighbours in one access, low one first */
        uint64_t lo, hi;

        (void)device_reg_read(dev, off, size / 2, attrs, &lo);
        MemResult st = device_reg_read(dev, off + size / 2, size / 2, attrs, &hi);

        *value = lo | hi << (4 * size);
        return st;
    }
    *value = extract64(reg_value(dev, r, element), inside * 8, size * 8);
    LOG(MMIO, "%s: read %s[%u] = 0x%" PRIx64, dev->id, r->name, element, *value);
    return MEM_OK;
}

/* Applies the mask to the stored value and lets the device act. */
static void reg_store(Device *dev, const Reg *r, unsigned element, uint64_t v)
{
    if (r->field.size != 0) {
        void    *member = reg_member(dev, r, element);
        uint64_t old = member_get(member, r->field.size);

        v = (old & ~r->writable) | (v & r->writable);
        member_set(member, r->field.size, v);
    } else {
        v &= r->writable;
    }
    if (r->on_write != NULL) {
        r->on_write(dev, r, element, v);
    }
}

MemResult device_reg_write(Device *dev, uint64_t off, unsigned size, MemAttrs attrs, uint64_t value)
{
    const DeviceClass *cls = dev->cls;
    unsigned           element, inside;

    if (!access_ok(dev, off, size, "write")) {
        return MEM_SLAVE;
    }
    dev->attrs = attrs;
    const Reg *r = find_reg(dev, off, &element, &inside);

    if (r == NULL) {
        if (cls->write != NULL) {
            return cls->write(dev, off, size, attrs, value);
        }
        guest_error("%s: write to undefined offset 0x%" PRIx64, dev->id, off);
        return MEM_OK;
    }
    unsigned width = reg_width(cls, r);

    if (size > width) {
        (void)device_reg_write(dev, off, size / 2, attrs, extract64(value, 0, size * 4));
        return device_reg_write(dev, off + size / 2, size / 2, attrs, extract64(value, size * 4, size * 4));
    }
    LOG(MMIO, "%s: write %s[%u] = 0x%" PRIx64, dev->id, r->name, element, value);
    if (size < width) { /* the other bytes keep what is stored */
        uint64_t old = r->field.size != 0 ? member_get(reg_member(dev, r, element), r->field.size) : 0;

        value = deposit64(old, inside * 8, size * 8, value);
    }
    reg_store(dev, r, element, value);
    return MEM_OK;
}

static MemResult mmio_read(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t *value)
{
    return device_reg_read(opaque, off, size, attrs, value);
}

static MemResult mmio_write(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t value)
{
    return device_reg_write(opaque, off, size, attrs, value);
}

const MmioOps device_mmio_ops = { mmio_read, mmio_write };

/* ---- life ---- */

static void reset_registers(Device *dev)
{
    for (size_t i = 0; i < dev->cls->n_regs; i++) {
        const Reg *r = &dev->cls->regs[i];

        for (unsigned k = 0; r->field.size != 0 && k < reg_count(r); k++) {
            member_set(reg_member(dev, r, k), r->field.size, r->reset);
        }
    }
}

static void reset_fields(Device *dev)
{
    for (size_t i = 0; i < dev->cls->n_fields; i++) {
        const Field *f = &dev->cls->fields[i];
        char        *member = (char *)dev + f->offset;

        if (f->bytes) {
            memset(member, 0, (size_t)f->size * f->count);
            continue;
        }
        for (uint32_t k = 0; k < f->count; k++) {
            member_set(member + (size_t)k * f->size, f->size, f->reset);
        }
    }
}

void device_reset(Device *dev)
{
    reset_registers(dev);
    reset_fields(dev);
    if (dev->cls->reset != NULL) {
        dev->cls->reset(dev);
    }
}

Device *device_new(const DeviceClass *cls, const char *id, Clock *clock, uint64_t seed)
{
    Device *dev = g_malloc0(cls->state_size);

    dev->cls = cls;
    dev->id = g_strdup(id != NULL ? id : cls->name);
    dev->clock = clock;
    entropy_init(&dev->entropy, seed, dev->id);
    if (cls->n_regs != 0) {
        dev->reg_index = build_index(cls);
        dev->reg_end = table_end(cls);
        dev->reg_shift = (uint8_t)__builtin_ctz(slot_size(cls));
    }
    for (size_t i = 0; i < cls->n_props; i++) {
        if (cls->props[i].def != NULL) {
            (void)prop_parse(dev, &cls->props[i], cls->props[i].def);
        }
    }
    reset_registers(dev);
    reset_fields(dev);
    return dev;
}

/* One key of -device: those of every device, then the class's own. */
static bool set_option(Device *dev, const char *key, const char *value, GError **error)
{
    char **common = strcmp(key, "bus") == 0 ? &dev->bus_name : strcmp(key, "addr") == 0 ? &dev->addr : NULL;

    if (common != NULL) {
        g_free(*common);
        *common = g_strdup(value);
        return true;
    }
    return strcmp(key, "id") == 0 || device_set(dev, key, value, error);
}

Device *device_from_option(const char *text, Clock *clock, uint64_t seed, GError **error)
{
    OptionList        *l = option_list_parse(text);
    const DeviceClass *cls = device_class_find(l->driver);
    Device            *dev = NULL;

    if (cls == NULL || cls->bus == NULL || strcmp(cls->bus, "sysbus") == 0) {
        g_set_error(error, BAILEY_ERROR, 0, "there is no device '%s' to add; -device help lists them",
                    l->driver);
    } else {
        dev = device_new(cls, option_list_get(l, "id"), clock, seed);
    }
    for (guint i = 0; dev != NULL && i < l->keys->len; i++) {
        if (!set_option(dev, l->keys->pdata[i], l->values->pdata[i], error)) {
            device_free(dev);
            dev = NULL;
        }
    }
    option_list_free(l);
    return dev;
}

bool device_realize(Device *dev, GError **error)
{
    if (dev->cls->realize != NULL && !dev->cls->realize(dev, error)) {
        return false;
    }
    dev->realized = true;
    device_reset(dev);
    return true;
}

void device_free(Device *dev)
{
    if (dev == NULL) {
        return;
    }
    if (dev->realized && dev->cls->unrealize != NULL) {
        dev->cls->unrealize(dev);
    }
    for (size_t i = 0; i < dev->cls->n_props; i++) {
        if (dev->cls->props[i].type == PROP_STRING) {
            g_free(*(char **)((char *)dev + dev->cls->props[i].offset));
        }
    }
    g_free(dev->reg_index);
    g_free(dev->id);
    g_free(dev->bus_name);
    g_free(dev->addr);
    g_free(dev);
}
