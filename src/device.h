/*
 * What a device model is: a register table, a state struct, read/write where something special happens,
 * reset, and one registration. The bus checks width and alignment, applies writable masks, traces by name,
 * resets and saves from the same tables. A device sees offsets, never its address, and takes time, entropy,
 * DMA and interrupts from handles it was given, so a test can supply them.
 */
#ifndef BAILEY_DEVICE_H
#define BAILEY_DEVICE_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bits.h"
#include "clock.h"
#include "entropy.h"
#include "memory.h"

typedef struct Device Device;
typedef struct DeviceClass DeviceClass;
typedef struct DmaPort DmaPort;

/* A level signal from a device to whoever the board connected it to. */
typedef struct IrqLine {
    void (*set)(void *opaque, unsigned n, bool level);
    void    *opaque;
    unsigned n;
    bool     level; /* last level sent */
} IrqLine;

static inline void irq_set(IrqLine *l, bool level)
{
    if (l->set != NULL && level != l->level) {
        l->level = level;
        l->set(l->opaque, l->n, level);
    }
}

/* One member of a state struct. The only description of it: reset, snapshot, info and -device NAME,help. */
typedef struct Field {
    const char *name;
    uint32_t    offset;
    uint16_t    size;  /* of one element: 1, 2, 4, 8; or any size for FIELD_BYTES */
    uint32_t    count; /* 1, or elements of an array */
    bool        bytes; /* opaque bytes: shown in hexadecimal, reset to zero */
    uint64_t    reset; /* each element's reset value */
} Field;

#define FIELD_RESET(type, member, value)                                                               \
    { #member, offsetof(type, member), sizeof(((type *)0)->member), 1, false, value }
#define FIELD_ARRAY(type, member, value)                                                                   \
    { #member, offsetof(type, member), sizeof(((type *)0)->member[0]), ARRAY_LEN(((type *)0)->member), \
      false, value }
#define FIELD_BYTES(type, member)                                                                      \
    { #member, offsetof(type, member), sizeof(((type *)0)->member), 1, true, 0 }

/* Where a register keeps its value. */
typedef struct RegField {
    uint32_t offset;
    uint8_t  size; /* 0: nowhere */
} RegField;

#define NO_FIELD { 0, 0 }
#define FIELD(type, member) { offsetof(type, member), sizeof(((type *)0)->member) }
/* The member is an array; for registers with count. */
#define FIELD_ELEMENTS(type, member) { offsetof(type, member), sizeof(((type *)0)->member[0]) }

typedef struct Reg Reg;

/* One register of a flat register block. Registers of regular arrays set count and stride. */
struct Reg {
    uint32_t    offset;
    const char *name;
    RegField    field;
    uint64_t    reset;
    uint64_t    writable; /* bits a guest write changes in the field */
    uint64_t  (*on_read)(Device *dev, const Reg *reg, unsigned index);
    void      (*on_write)(Device *dev, const Reg *reg, unsigned index, uint64_t value);
    uint16_t    count, stride; /* 0: one register; index runs 0..count-1 */
    uint8_t     width;         /* bytes; 0: the class's natural width */
};

/* Widths a device takes, or'ed. */
enum { ACCESS_8 = 1, ACCESS_16 = 2, ACCESS_32 = 4, ACCESS_64 = 8, ACCESS_ANY = 15 };

/* A -device property. */
typedef enum PropType { PROP_BOOL, PROP_UINT, PROP_SIZE, PROP_STRING, PROP_MAC } PropType;

typedef struct Prop {
    const char *name;
    PropType    type;
    uint32_t    offset;   /* of the member: bool, uint64_t, uint64_t, char * (g_malloc), uint8_t[6] */
    const char *def;      /* text of the default, NULL for none */
    const char *help;
} Prop;

struct DeviceClass {
    const char  *name;
    const char  *desc;
    const char  *bus;       /* "sysbus" (board only) or "pci" */
    size_t       state_size;
    uint64_t     mmio_size; /* sysbus: bytes of the register block */
    unsigned     access;    /* ACCESS_* or'ed */
    const Reg   *regs;
    size_t       n_regs;
    const Field *fields;    /* members that no register names */
    size_t       n_fields;
    const Prop  *props;
    size_t       n_props;

    /* After properties are set; builds host-side resources. */
    bool (*realize)(Device *dev, GError **error);
    void (*unrealize)(Device *dev);
    /* After fields went to their reset values. */
    void (*reset)(Device *dev);
    /* For offsets no register covers; NULL: guest_error, reads as zero. */
    MemResult (*read)(Device *dev, uint64_t off, unsigned size, MemAttrs attrs, uint64_t *value);
    MemResult (*write)(Device *dev, uint64_t off, unsigned size, MemAttrs attrs, uint64_t value);
    /* Whether the device, with the properties it has, is one to be assigned to a trusted guest: it belongs below a root
     * port of the machine. NULL: no. */
    bool (*assignable)(const Device *dev);
};

/* First member of every device's state struct. */
struct Device {
    const DeviceClass *cls;
    char              *id;      /* -device id=, or made from the class name */
    Clock             *clock;
    DmaPort           *dma;     /* NULL: cannot master the bus */
    Entropy            entropy; /* this device's own generator */
    MemAttrs           attrs;   /* of the access being served */
    char *bus_name, *addr;      /* -device bus=, addr=: read by the bus it is plugged into; NULL: any */
    uint16_t          *reg_index;       /* by offset >> reg_shift: one plus the register's number, 0: none */
    uint64_t           reg_end;
    uint8_t            reg_shift;
    bool               realized;
};

/* Domain of the GErrors of core and devices; the message is what the user reads. */
#define BAILEY_ERROR g_quark_from_static_string("bailey")


/* DEVICE(pl031, .name = "pl031", ...); - registers a class for device_class_find() and -device help. */
#define DEVICE(ident, ...)                                                                             \
    static const DeviceClass ident##_class = { __VA_ARGS__ };                                          \
    static const DeviceClass *const ident##_class_ptr                                                  \
        __attribute__((used, section("bailey_devices"))) = &ident##_class

const DeviceClass *device_class_find(const char *name);

/* Calls @fn for every class in order of name. */
void device_class_foreach(void (*fn)(const DeviceClass *cls, void *opaque), void *opaque);

/**
 * device_new - a device with its properties at their defaults.
 * @seed: the machine's -seed, for the device's own generator
 */
Device *device_new(const DeviceClass *cls, const char *id, Clock *clock, uint64_t seed);

/* device_set - one property from text; false with a sentence naming the property and what it takes. */
bool device_set(Device *dev, const char *name, const char *value, GError **error);

/**
 * device_from_option - a device from the text of -device:
 * NAME[,id=ID][,bus=BUS][,addr=ADDR][,PROPERTY=VALUE]... Not realized yet. A doubled comma stands for a comma
 * in a value; a property without "=" is set to "on".
 */
Device *device_from_option(const char *text, Clock *clock, uint64_t seed, GError **error);

/* device_realize - after properties; on failure the device may only be freed. */
bool device_realize(Device *dev, GError **error);
void device_reset(Device *dev);
void device_free(Device *dev);

/* The MmioOps that serve a device's register table; the opaque is the Device. */
extern const MmioOps device_mmio_ops;

/* device_mmio_read, device_mmio_write - the same by offset, for register blocks behind a BAR. */
MemResult device_reg_read(Device *dev, uint64_t off, unsigned size, MemAttrs attrs, uint64_t *value);
MemResult device_reg_write(Device *dev, uint64_t off, unsigned size, MemAttrs attrs, uint64_t value);

/* device_help - properties of a class to stdout (-device NAME,help). */
void device_help(const DeviceClass *cls);

#endif
