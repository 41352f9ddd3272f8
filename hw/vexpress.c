/*
 * Versatile Express system registers (Arm DUI 0447, "Register summary"; Fast Models Reference, "VE_SysRegs") and the
 * power controller of the FVP Base models (Fast Models Reference, "Base_PowerController"). Not modelled: switches,
 * cards, displays and oscillators; changing power states, which is the monitor's business.
 */
#include "hw/vexpress.h"

#include "log.h"

#define NS_PER_100HZ 10000000
#define NS_24MHZ(ns) ((uint64_t)(ns) * 24 / 1000)

/* SYS_CFGCTRL. */
#define CFG_START    BIT(31)
#define CFG_WRITE    BIT(30)
#define CFG_FUNCTION(v) ((unsigned)((v) >> 20 & 0x3f))
enum { FUNCTION_RESET = 5, FUNCTION_SHUTDOWN = 8, FUNCTION_REBOOT = 9 };
enum { CFGSTAT_COMPLETE = 1, CFGSTAT_ERROR = 2 };

typedef struct VeSysregs {
    Device   dev;
    void   (*event)(void *opaque, bool reset);
    void    *opaque;
    uint32_t id, led, flags, nvflags, cfg_data, cfg_ctrl, cfg_stat;
} VeSysregs;

static uint64_t read_sys_id(Device *dev, const Reg *reg, unsigned i) { return ((VeSysregs *)dev)->id; }

static uint64_t read_100hz(Device *dev, const Reg *reg, unsigned i)
{
    return (uint32_t)(clock_show(dev->clock) / NS_PER_100HZ);
}

static uint64_t read_24mhz(Device *dev, const Reg *reg, unsigned i)
{
    return (uint32_t)NS_24MHZ(clock_show(dev->clock));
}

/* SYS_FLAGS, SYS_NVFLAGS: reads, and writes of ones set; the address after it clears. */
static uint64_t read_flags(Device *dev, const Reg *reg, unsigned i) { return ((VeSysregs *)dev)->flags; }
static uint64_t read_nvflags(Device *dev, const Reg *reg, unsigned i) { return ((VeSysregs *)dev)->nvflags; }

static void set_flags(Device *dev, const Reg *reg, unsigned i, uint64_t v) { ((VeSysregs *)dev)->flags |= (uint32_t)v; }
static void set_nvflags(Device *dev, const Reg *reg, unsigned i, uint64_t v)
{
    ((VeSysregs *)dev)->nvflags |= (uint32_t)v;
}

static void clear_flags(Device *dev, const Reg *reg, unsigned i, uint64_t v)
{
    ((VeSysregs *)dev)->flags &= ~(uint32_t)v;
}

static void clear_nvflags(Device *dev, const Reg *reg, unsigned i, uint64_t v)
{
    ((VeSysregs *)dev)->nvflags &= ~(uint32_t)v;
}

/* A request to the motherboard's controller: done at once, or an error when it has no such function. */
static void write_cfg_ctrl(Device *dev, const Reg *reg, unsigned i, uint64_t value)
{
    VeSysregs *s = (VeSysregs *)dev;
    unsigned   function = CFG_FUNCTION(value);
    bool       known = function == FUNCTION_RESET || function == FUNCTION_SHUTDOWN || function == FUNCTION_REBOOT;

    s->cfg_ctrl = (uint32_t)(value & ~CFG_START);
    if ((value & CFG_START) == 0) {
        return;
    }
    s->cfg_stat = CFGSTAT_COMPLETE | (known && (value & CFG_WRITE) ? 0 : CFGSTAT_ERROR);
    if ((s->cfg_stat & CFGSTAT_ERROR) != 0) {
        guest_error("%s: the motherboard has no function %u for that", dev->id, function);
    } else if (s->event != NULL) {
        s->event(s->opaque, function != FUNCTION_SHUTDOWN);
    }
}

static const Reg sysregs_regs[] = {
    { 0x000, "SYS_ID",         NO_FIELD, 0, 0, read_sys_id, NULL },
    { 0x004, "SYS_SW",         NO_FIELD, 0, 0, NULL, NULL },
    { 0x008, "SYS_LED",        FIELD(VeSysregs, led), 0, 0xff, NULL, NULL },
    { 0x024, "SYS_100HZ",      NO_FIELD, 0, 0, read_100hz, NULL },
    { 0x030, "SYS_FLAGS",      NO_FIELD, 0, ~0u, read_flags, set_flags },
    { 0x034, "SYS_FLAGSCLR",   NO_FIELD, 0, ~0u, NULL, clear_flags },
    { 0x038, "SYS_NVFLAGS",    NO_FIELD, 0, ~0u, read_nvflags, set_nvflags },
    { 0x03c, "SYS_NVFLAGSCLR", NO_FIELD, 0, ~0u, NULL, clear_nvflags },
    { 0x05c, "SYS_24MHZ",      NO_FIELD, 0, 0, read_24mhz, NULL },
    { 0x0a0, "SYS_CFGDATA",    FIELD(VeSysregs, cfg_data), 0, ~0u, NULL, NULL },
    { 0x0a4, "SYS_CFGCTRL",    FIELD(VeSysregs, cfg_ctrl), 0, ~0u, NULL, write_cfg_ctrl },
    { 0x0a8, "SYS_CFGSTAT",    FIELD(VeSysregs, cfg_stat), 0, 3, NULL, NULL },
};

static const Field sysregs_fields[] = { FIELD_RESET(VeSysregs, flags, 0), FIELD_RESET(VeSysregs, nvflags, 0) };

DEVICE(ve_sysregs, .name = "ve-sysregs", .desc = "Versatile Express system registers", .bus = "sysbus",
       .state_size = sizeof(VeSysregs), .mmio_size = 0x1000, .access = ACCESS_32, .regs = sysregs_regs,
       .n_regs = ARRAY_LEN(sysregs_regs), .fields = sysregs_fields, .n_fields = ARRAY_LEN(sysregs_fields));

void ve_sysregs_connect(Device *dev, uint32_t id, void (*event)(void *opaque, bool reset), void *opaque)
{
    VeSysregs *s = (VeSysregs *)dev;

    s->id = id;
    s->event = event;
    s->opaque = opaque;
}

/* ---- power controller ---- */

/* PSYSR: the levels of a CPU that have power; all ones: there is no such CPU. */
#define PSYSR_L2      BIT(31)
#define PSYSR_L1      BIT(30)
#define PSYSR_L0      BIT(29)
#define PSYSR_INVALID 0xffffffffu

typedef struct FvpPwrc {
    Device   dev;
    bool   (*exists)(void *opaque, uint32_t mpidr, bool *is_on);
    void    *opaque;
    uint32_t asked; /* the CPU that PSYSR tells of */
} FvpPwrc;

/* A write names the CPU, a read tells of it. Its clusters have power: a CPU runs, or nobody could ask. */
static uint64_t read_psysr(Device *dev, const Reg *reg, unsigned i)
{
    const FvpPwrc *s = (FvpPwrc *)dev;
    bool           is_on = false;

    if (s->exists == NULL || !s->exists(s->opaque, s->asked, &is_on)) {
        return PSYSR_INVALID;
    }
    return PSYSR_L2 | PSYSR_L1 | (is_on ? PSYSR_L0 : 0);
}

static void write_psysr(Device *dev, const Reg *reg, unsigned i, uint64_t value)
{
    ((FvpPwrc *)dev)->asked = (uint32_t)value;
}

static void write_power(Device *dev, const Reg *reg, unsigned i, uint64_t value)
{
    guest_error("%s: write to %s: power states are the monitor's; use PSCI", dev->id, reg->name);
}

static const Reg pwrc_regs[] = {
    { 0x000, "PPOFFR", NO_FIELD, 0, ~0u, NULL, write_power },
    { 0x004, "PPONR",  NO_FIELD, 0, ~0u, NULL, write_power },
    { 0x008, "PCOFFR", NO_FIELD, 0, ~0u, NULL, write_power },
    { 0x00c, "PWKUPR", NO_FIELD, 0, ~0u, NULL, write_power },
    { 0x010, "PSYSR",  NO_FIELD, 0, 0xffffff, read_psysr, write_psysr },
};

static const Field pwrc_fields[] = { FIELD_RESET(FvpPwrc, asked, 0) };

DEVICE(fvp_pwrc, .name = "fvp-pwrc", .desc = "power controller of the FVP's clusters", .bus = "sysbus",
       .state_size = sizeof(FvpPwrc), .mmio_size = 0x1000, .access = ACCESS_32, .regs = pwrc_regs,
       .n_regs = ARRAY_LEN(pwrc_regs), .fields = pwrc_fields, .n_fields = ARRAY_LEN(pwrc_fields));

void fvp_pwrc_connect(Device *dev, bool (*exists)(void *opaque, uint32_t mpidr, bool *is_on), void *opaque)
{
    FvpPwrc *s = (FvpPwrc *)dev;

    s->exists = exists;
    s->opaque = opaque;
}
