/*
 * Random programs on two CPUs side by side, one as machine code and one by the portable executor: registers, memory,
 * exceptions and time must be the same after every slice, wherever slices end; the second sometimes keeps nothing from
 * one instruction to the next. The programs branch back and forth and call, often enough that regions form; they store
 * to their own code, access across pages and into holes, read the time from a device and have it interrupt them after a
 * count of instructions. Around some of them the world changes while they run: mappings and permissions, owners of
 * pages, address spaces, code by DMA, breakpoints and watchpoints. Some are long, or hundreds of loops of accesses, so
 * that regions share what there are few of. Fixed seeds.
 *
 *   BAILEY_TEST_PROGRAMS=N   that many programs, instead of as many as take a few seconds
 *   BAILEY_TEST_FIRST=N      from that one
 */
#include <glib.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bits.h"
#include "bytes.h"
#include "cpu/a64/decode.h"
#include "cpu/ir/block.h"
#include "tests/diff/insn_run.h"

enum {
    N_PROGRAMS = 150,
    WORDS = 400, LONG_WORDS = 3000,         /* of a program, into a second page, or more */
    LOOP_WORDS = 10,
    PROGRAM = BOX_DATA + 0x100000 - 0x300,  /* in memory that it may write */
    DEVICE = BOX_DATA + 0x400000,           /* beyond a hole */
    TABLES = BOX_DATA + 0x800000,           /* of the address spaces */
    AGAIN = 0x2000000,                      /* there is data once more, where tables have no other places for it */
    SPACES = 2, SPACE_TABLES = 0x5000,
    SLICES = 60,
    LONG_SLICE = 6000,
    /* registers that instructions use in roles and do not write, but by write-back */
    R_COUNT = 18, R_CODE = 19, R_WORD = 20, R_INDEX = 21, R_OWN = 22, R_DEVICE = 23, R_DATA = 24, /* to 28 */
};

/* The program at hand. */
static unsigned n_words;
static bool     is_loops; /* many small ones of accesses alone */

/* ---- instructions ---- */

typedef enum Class { ALU, VECTOR, MEMORY, BRANCH, N_CLASSES } Class;

typedef struct Choice {
    const A64Pattern *pattern;
    uint32_t          mask, value;
} Choice;

static GArray *choices[N_CLASSES]; /* Choice */

/* DDI 0487, "A64 instruction set encoding": op0. */
static int class_of(uint32_t value)
{
    unsigned op0 = value >> 25 & 15;

    return op0 >> 1 == 4 || (op0 & 7) == 5 ? ALU
           : (op0 & 5) == 4                ? MEMORY
           : (op0 & 7) == 7                ? VECTOR
           : op0 >> 1 == 5                 ? BRANCH
                                           : -1;
}

/* System registers and instructions come from a list of their own: some need parts that the box does not have. */
static bool is_excluded(const A64Pattern *p)
{
    static const char *const names[] = { "msr", "mrs", "sys", "sysl", "msr_imm" };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(p->name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void add_choice(const A64Pattern *p, void *opaque)
{
    Choice c = { .pattern = p };

    insn_constants(p->pattern, &c.mask, &c.value);
    if (!is_excluded(p) && class_of(c.value) >= 0) {
        g_array_append_val(choices[class_of(c.value)], c);
    }
}

static const uint32_t system_words[] = {
    0xd503201f, /* NOP */
    0xd503203f, /* YIELD */
    0xd503205f, /* WFE */
    0xd503207f, /* WFI */
    0xd5033fdf, /* ISB */
    0xd5033bbf, /* DMB ISH */
    0xd503305f, /* CLREX */
    0xd500401f, /* CFINV */
    0xd53b4203, /* MRS x3, NZCV */
    0xd51b4204, /* MSR NZCV, x4 */
    0xd53b4405, /* MRS x5, FPCR */
    0xd51b4405, /* MSR FPCR, x5 */
    0xd51b441f, /* MSR FPCR, xzr */
    0xd53b4426, /* MRS x6, FPSR */
    0xd51b4427, /* MSR FPSR, x7 */
    0xd53be047, /* MRS x7, CNTVCT_EL0 */
    0xd53be047, /* twice as often */
    0xd51bd048, /* MSR TPIDR_EL0, x8 */
    0xd53bd049, /* MRS x9, TPIDR_EL0 */
    0xd50b7438, /* DC ZVA, x24 */
    0xd50b7536, /* IC IVAU, x22 */
    0xd50342df, /* MSR DAIFSet, #2 */
    0xd50342ff, /* MSR DAIFClr, #2 */
};

static uint32_t put_field(uint32_t insn, unsigned lsb, unsigned len, uint32_t v)
{
    return (uint32_t)deposit64(insn, lsb, len, v);
}

static uint32_t spare(uint32_t insn, unsigned lsb)
{
    unsigned reg = insn >> lsb & 31;

    return reg >= R_COUNT && reg < 29 ? put_field(insn, lsb, 5, reg - R_COUNT) : insn;
}

/* Not far, and not out of the program. */
static uint32_t random_offset(unsigned at)
{
    int to = (int)at + (int)(insn_rnd() % 48) - 28;

    return (uint32_t)(CLAMP(to, 0, (int)n_words - 1) - (int)at);
}

/* Base and offset of an access, mostly to data. */
static uint32_t fit_memory(uint32_t insn)
{
    static const uint8_t bases[] = { R_DATA, R_DATA, R_DATA, R_DATA + 1, R_DATA + 1, R_DATA + 2, R_DATA + 2,
                                     R_DATA + 3, R_DATA + 4, R_DATA + 4, 31, 31, R_DEVICE };

    if ((insn & 0x3b000000) == 0x18000000) {
        return put_field(spare(insn, 0), 5, 19, (insn_rnd() & 63) - 32); /* literal */
    }
    insn = put_field(insn, 5, 5, bases[insn_rnd() % ARRAY_LEN(bases)]);
    insn = insn & BIT(26) ? insn : spare(spare(insn, 0), 10);
    if ((insn & 0x3b200c00) == 0x38200800 || (insn & 0xbe000000) == 0x0c000000) {
        insn = put_field(insn, 16, 5, R_INDEX); /* register offset, or after structures */
    } else if ((insn & 0x3f000000) == 0x08000000 || (insn & 0x3b200c00) == 0x38200000) {
        insn = spare(insn, 16); /* status, or what an atomic adds */
    } else if ((insn & 0x3b000000) == 0x39000000) {
        insn = put_field(insn, 10, 12, insn >> 10 & 63);
    } else if ((insn & 0x3a000000) == 0x28000000) {
        insn = put_field(insn, 15, 7, (insn >> 15 & 15) - 8);
    }
    return insn;
}

/* 0: another one, please. */
static uint32_t fit_branch(uint32_t insn, unsigned at)
{
    if ((insn & 0x7c000000) == 0x14000000) {
        return put_field(insn, 0, 26, random_offset(at));
    }
    if ((insn & 0x7e000000) == 0x36000000) {
        return put_field(insn, 5, 14, random_offset(at));
    }
    if ((insn & 0x7e000000) == 0x34000000 || (insn & 0xff000010) == 0x54000000) {
        return put_field(insn, 5, 19, random_offset(at));
    }
    if ((insn & 0xfe000000) == 0xd6000000) {
        return put_field(insn, 5, 5, insn_rnd() & 1 ? 30 : R_CODE);
    }
    return insn_rnd() % 16 == 0 ? insn : 0; /* exceptions, hints, barriers */
}

/* STR of the word in R_WORD over one of the program's, or SUBS and B.NE back: what random words rarely make. */
static uint32_t special_word(unsigned at, uint32_t before)
{
    if ((before & 0xfffffc00) == (0xf1000400 & 0xfffffc00) && (before >> 5 & 31) == R_COUNT) {
        return 0x54000001 | (random_offset(at) & 0x7ffff) << 5; /* B.NE */
    }
    switch (insn_rnd() % 8) {
    case 0: return 0xb9000000 | (uint32_t)(insn_rnd() % 64) << 10 | R_OWN << 5 | R_WORD; /* STR w20, [x22, #...] */
    case 1: return 0x10000000 | (random_offset(at) & 0x7ffff) << 5 | R_CODE;             /* ADR x19, ... */
    case 2: return system_words[insn_rnd() % ARRAY_LEN(system_words)];
    case 3: return 0x94000000 | (random_offset(at) & 0x3ffffff);                         /* BL */
    default: return 0xf1000400 | R_COUNT << 5 | R_COUNT;                                 /* SUBS x18, x18, #1 */
    }
}

/* One after the other, loops of accesses: all of them become regions. */
static uint32_t loop_word(unsigned at)
{
    unsigned i = at % LOOP_WORDS;

    if (i == LOOP_WORDS - 2) {
        return 0xf1000400 | R_COUNT << 5 | R_COUNT; /* SUBS x18, x18, #1 */
    }
    return i == LOOP_WORDS - 1 ? 0x54000001 | ((1u - LOOP_WORDS) & 0x7ffff) << 5 : 0; /* B.NE */
}

/* ADC, ADCS, SBC or SBCS, where there may be a carry that the host has, too; else 0. */
static uint32_t carrying_word(uint32_t before)
{
    bool carries = (before & 0x3f000000) == 0x2b000000 || (before & 0x3fe0fc00) == 0x3a000000;

    return carries && insn_rnd() & 1 ? spare(((uint32_t)insn_rnd() & 0xe01f03ff) | 0x1a000000, 0) : 0;
}

static uint32_t random_word(unsigned at, uint32_t before)
{
    static const uint8_t classes[] = { ALU,    ALU,    ALU,    ALU,    MEMORY, MEMORY,
                                       MEMORY, VECTOR, VECTOR, BRANCH, BRANCH, N_CLASSES };

    uint32_t carrying = carrying_word(before);

    if (is_loops && loop_word(at) != 0) {
        return loop_word(at);
    }
    if (!is_loops && carrying != 0) {
        return carrying;
    }
    for (;;) {
        unsigned class = is_loops ? MEMORY : classes[insn_rnd() % ARRAY_LEN(classes)];

        if (class == N_CLASSES || (class != MEMORY && (before & 0xfffffc00) == (0xf1000400 & 0xfffffc00))) {
            return special_word(at, before);
        }
        const Choice *c = &g_array_index(choices[class], Choice, insn_rnd() % choices[class]->len);
        uint32_t      insn = ((uint32_t)insn_rnd() & ~c->mask) | c->value;

        insn = class == MEMORY ? fit_memory(insn) : class == BRANCH ? fit_branch(insn, at) : spare(insn, 0);
        if (insn != 0 && a64_decode(insn, NULL) == c->pattern) {
            return insn;
        }
    }
}

/* ---- one of the two CPUs ---- */

typedef struct Side {
    A64Box    *box;
    ClockTimer timer;
    uint64_t   random;  /* what the world around the program decides; the same for both */
    uint64_t   log;     /* of everything that the outside saw */
    unsigned   n_exceptions, n_irqs, n_device, n_changes;
    uint8_t   *tables;  /* of the address spaces; NULL: the world does not change */
    unsigned   space;
    bool       forgets; /* every translation and all code, after each instruction */
    CpuWatch   watch;   /* .len 0: none */
    uint64_t   breakpoint;
} Side;

static uint64_t decide(Side *s)
{
    s->random = s->random * 6364136223846793005ull + 1442695040888963407ull;
    return s->random >> 24;
}

static void note(Side *s, uint64_t v)
{
    s->log = (s->log ^ v) * 0x9e3779b97f4a7c15ull;
    s->log ^= s->log >> 29;
}

/* ---- the world around it ---- */

/* A page of data or of the program. */
static unsigned random_page(Side *s)
{
    static const uint16_t pages[] = { 0, 1, 2, 3, 4, 5, 0xff, 0xff, 0x100, 0x100, 0x101, 0x102, 0x1ff };

    return pages[decide(s) % ARRAY_LEN(pages)];
}

/* As at first: present, read, written and executed at EL0, of one ASID. */
static uint64_t own_page(unsigned page) { return (BOX_DATA + page * 0x1000ull) | 3 | 0x40 | 0x300 | 0x400 | 0x800; }

/* Read-only, not there, device memory, not executable, guarded, for EL1 alone, what lies elsewhere: code where it is
 * data, or in another place. */
static uint64_t random_mapping(Side *s, unsigned page)
{
    uint64_t own = own_page(page);

    switch (decide(s) % 16) {
    case 0: case 1: return own | 0x80;
    case 2: return 0;
    case 3: return own | 1 << 2;
    case 4: return own | BIT(54);
    case 5: case 6: return own | BIT(50);
    case 7: return own & ~0x40ull;
    case 8: case 9: return own_page(page < 0xff ? random_page(s) : 0xff + (unsigned)(decide(s) % 4));
    default: return own;
    }
}

static void remap(Side *s)
{
    unsigned page = random_page(s), again = decide(s) & 1;
    uint8_t *table = s->tables + decide(s) % SPACES * SPACE_TABLES + (3 + again) * 0x1000;

    le64_put(table + page * 8, random_mapping(s, page));
    cpu_flush_va(&s->box->cpu->cpu, NULL, NULL, BOX_DATA + again * AGAIN + page * 0x1000, 0x1000);
}

static void change_owner(Side *s)
{
    uint64_t pa = BOX_DATA + random_page(s) * 0x1000;

    owners_set(s->box->owners, pa, 0x1000, decide(s) % 3 == 0 ? OWNER_REALM : OWNER_NONSECURE);
}

/* A word of the program to another place in it, or into data. */
static void dma(Side *s)
{
    uint64_t to = decide(s) & 1 ? PROGRAM + 4 * (decide(s) % n_words) : BOX_DATA + (decide(s) & 0x5ffc);

    memmove(s->box->data + (to - BOX_DATA), s->box->data + (PROGRAM - BOX_DATA) + 4 * (decide(s) % n_words), 4);
    memory_dirty(s->box->memory, to, 4);
}

static void end_debugging(Side *s)
{
    if (s->watch.len != 0) {
        cpu_watch_remove(s->box->engine, &s->watch);
    }
    if (s->breakpoint != 0) {
        cpu_break_remove(s->box->engine, s->breakpoint);
    }
    s->watch.len = s->breakpoint = 0;
}

static void debug(Side *s)
{
    end_debugging(s);
    if (decide(s) & 1) {
        s->watch = (CpuWatch){ BOX_DATA + (decide(s) & 0x5fff), 1 + (decide(s) & 15), 1 + decide(s) % 3 };
        cpu_watch_insert(s->box->engine, &s->watch);
    } else {
        s->breakpoint = PROGRAM + 4 * (decide(s) % n_words);
        cpu_break_insert(s->box->engine, s->breakpoint);
    }
}

/* @running: from within an instruction. */
static void change_world(Side *s, bool running)
{
    unsigned kind = decide(s) % 16;

    if (s->tables == NULL) {
        return;
    }
    s->n_changes++;
    if (kind < 8) {
        remap(s);
    } else if (kind < 10) {
        change_owner(s);
    } else if (kind < 12) {
        dma(s);
    } else if (kind == 12) {
        cpu_flush_contexts(&s->box->cpu->cpu, NULL, NULL);
    } else if (kind == 13 && !running) {
        debug(s);
    } else if (!running) {
        s->space = (unsigned)(decide(s) % SPACES);
        s->box->cpu->el2.ttbr0 = (TABLES + s->space * SPACE_TABLES) | (uint64_t)s->space << 48;
    }
}

/* The code and the device as they are, data page by page. */
static void make_spaces(Side *s)
{
    const uint8_t *table_2 = s->box->code + BOX_CODE_SIZE + 0x2000;

    s->tables = memory_add_ram(s->box->memory, "tables", TABLES, SPACES * SPACE_TABLES, NULL)->host;
    for (unsigned i = 0; i < SPACES; i++) {
        uint8_t *t = s->tables + i * SPACE_TABLES;
        uint64_t pa = TABLES + i * SPACE_TABLES;

        le64_put(t, (pa + 0x1000) | 3);
        le64_put(t + 0x1000, (pa + 0x2000) | 3);
        memcpy(t + 0x2000, table_2, 0x1000);
        le64_put(t + 0x2000 + ((uint64_t)BOX_DATA >> 21) * 8, (pa + 0x3000) | 3);
        le64_put(t + 0x2000 + ((uint64_t)(BOX_DATA + AGAIN) >> 21) * 8, (pa + 0x4000) | 3);
        for (unsigned page = 0; page < 512; page++) {
            le64_put(t + 0x3000 + 8 * page, own_page(page));
            le64_put(t + 0x4000 + 8 * page, own_page(page));
        }
    }
    s->box->cpu->el2.ttbr0 = TABLES;
}

static void fires(void *opaque)
{
    a64_set_line(((Side *)opaque)->box->cpu, A64_LINE_IRQ, true);
}

/* Reads give the time. Writes interrupt at once or in a while. */
static MemResult device_read(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t *value)
{
    Side *s = opaque;

    s->n_device++;
    note(s, off << 8 | size);
    *value = (uint64_t)clock_now(s->box->clock);
    return off < 0x800 ? MEM_OK : MEM_SLAVE;
}

static MemResult device_write(void *opaque, uint64_t off, unsigned size, MemAttrs attrs, uint64_t value)
{
    Side *s = opaque;

    s->n_device++;
    note(s, off << 8 | size | 0x80);
    note(s, value);
    if (decide(s) % 4 == 0) {
        change_world(s, true);
    }
    timer_set(&s->timer, clock_now(s->box->clock) + (int64_t)(value & 0x3f));
    return MEM_OK;
}

static const MmioOps device_ops = { device_read, device_write };

static int64_t runner_now(void *opaque) { return cpu_now(&((Side *)opaque)->box->cpu->cpu); }

static void runner_recut(void *opaque)
{
    Side *s = opaque;

    cpu_set_deadline(&s->box->cpu->cpu, clock_next_deadline(s->box->clock));
}

/* Registers in their roles, and somewhere in the program, until an interrupt ends what may be an endless loop. */
static void restart(Side *s)
{
    A64Cpu *cpu = s->box->cpu;
    uint64_t bases[] = { BOX_DATA + 0xff0 + (decide(s) & 31), BOX_DATA + 0x2000 + (decide(s) & 0xff8),
                         BOX_DATA + 0x5000, BOX_DATA + BOX_DATA_SIZE - 64, BOX_DATA + 0x3000 + (decide(s) & 0x3f0) };

    cpu->x[R_COUNT] = decide(s) & 0xfff;
    cpu->x[R_CODE] = PROGRAM + 4 * (decide(s) % n_words);
    cpu->x[R_WORD] = le32_get(s->box->data + (PROGRAM - BOX_DATA) + 4 * (decide(s) % n_words));
    cpu->x[R_INDEX] = decide(s) & 31;
    cpu->x[R_OWN] = PROGRAM + 4 * (decide(s) % n_words);
    if (s->tables != NULL && decide(s) % 4 == 0) {
        bases[decide(s) % 3] += AGAIN;
    }
    cpu->x[R_DEVICE] = DEVICE + 8 * (decide(s) & 3);
    memcpy(&cpu->x[R_DATA], bases, sizeof(bases));
    cpu->x[30] = PROGRAM + 4 * (decide(s) % n_words);
    cpu->sp = BOX_DATA + 0x4000;
    if (decide(s) % 4 == 0) {
        change_world(s, false);
    }
    a64_enter(cpu, PAS_NONSECURE, PROGRAM + 4 * (decide(s) % n_words), (uint64_t)cpu->nzcv << 28);
    timer_set(&s->timer, clock_now(s->box->clock) + (int64_t)(decide(s) % (decide(s) % 8 == 0 ? 30000 : 500)));
}

/* An exception reached EL2: on with the next instruction, or anywhere. */
static void take_exception(Side *s)
{
    A64Cpu            *cpu = s->box->cpu;
    const A64Exception *e = &s->box->exc;
    uint64_t            next = e->return_pc + (e->kind == A64_EXC_SYNC && a64_box_ec(s->box) != 0x15 ? 4 : 0);

    note(s, e->esr);
    note(s, e->far_valid ? e->far : 0);
    note(s, e->return_pc);
    s->n_exceptions++;
    if (e->kind == A64_EXC_IRQ) {
        s->n_irqs++;
        a64_set_line(cpu, A64_LINE_IRQ, false);
    }
    s->box->caught = false;
    if (next - PROGRAM >= 4 * n_words || e->kind == A64_EXC_IRQ || decide(s) % 8 == 0) {
        restart(s);
    } else {
        a64_enter(cpu, PAS_NONSECURE, next, (uint64_t)cpu->nzcv << 28);
    }
}

static void run_side(Side *s, uint64_t n)
{
    Cpu   *cpu = &s->box->cpu->cpu;
    Clock *clock = s->box->clock;

    while (n > 0) {
        int64_t now = clock_now(clock), deadline = clock_next_deadline(clock);

        if (deadline <= now) {
            clock_advance(clock, now);
            continue;
        }
        uint64_t used = 0;
        clock_set_runner(clock, runner_now, runner_recut, s);
        if (s->forgets) {
            cpu_flush_contexts(cpu, NULL, NULL);
        }
        CpuStop stop = cpu_run(cpu, now, s->forgets ? 1 : MIN(n, (uint64_t)(deadline - now)), &used);
        clock_set_runner(clock, NULL, NULL, NULL);
        clock_advance(clock, now + (int64_t)used);
        n -= used;
        if (stop != CPU_STOP_TIME) {
            note(s, (uint64_t)clock_now(clock) << 4 | stop);
        }
        if (s->box->caught) {
            take_exception(s);
        } else if (stop == CPU_STOP_BREAK) {
            end_debugging(s);
        } else if (stop == CPU_STOP_WAIT) {
            a64_set_line(s->box->cpu, A64_LINE_IRQ, true);
        }
    }
}

/* ---- programs ---- */

static void side_init(Side *s, const char *accel, const char *cache, unsigned max_block, uint64_t seed, bool changes)
{
    *s = (Side){ .random = seed };
    g_setenv("BAILEY_TEST_ACCEL", accel, true);
    g_setenv("BAILEY_TEST_CACHE", cache, true);
    g_setenv("BAILEY_TEST_HOT", is_loops ? "15" : "100", true);
    s->box = insn_box_new();
    cpu_engine_set_max_block(s->box->engine, max_block);
    timer_init(&s->timer, s->box->clock, fires, s);
    memory_add_mmio(s->box->memory, "device", DEVICE, 0x1000, &device_ops, s);
    s->box->cpu->el2.cnthctl |= 3; /* EL0PCTEN, EL0VCTEN */
    /* A block of MAIR attribute 1, which is Device-nGnRnE; as a64_box.c maps the others. */
    uint8_t *table_2 = s->box->code + BOX_CODE_SIZE + 0x2000;
    le64_put(table_2 + ((uint64_t)DEVICE >> 21) * 8, DEVICE | 1 | 1 << 2 | 1 << 6 | 3 << 8 | 1 << 10);
    if (changes) {
        make_spaces(s);
    }
    for (unsigned i = 0; i < 31; i++) {
        s->box->cpu->x[i] = decide(s);
    }
}

static void side_deinit(Side *s)
{
    timer_deinit(&s->timer);
    a64_box_free(s->box);
}

/* One state, for comparison and explanation. */
typedef struct State {
    GArray    *values; /* uint64_t */
    GPtrArray *names;  /* char * */
} State;

static void add_value(void *opaque, const char *name, uint64_t value)
{
    State *st = opaque;

    g_array_append_val(st->values, value);
    g_ptr_array_add(st->names, g_strdup(name));
}

static State state_of(const Side *s)
{
    const A64Cpu *cpu = s->box->cpu;
    State         st = { g_array_new(FALSE, FALSE, 8), g_ptr_array_new_with_free_func(g_free) };

    for (size_t i = 0; i < A64_N_REGS; i++) {
        const IrReg *r = &a64_regs[i];
        unsigned     size = r->type == IR_FLAGS ? 4 : ir_type_bits(r->type) / 8;

        for (unsigned k = 0; k < size; k += 8) {
            uint64_t v = 0;

            memcpy(&v, (const uint8_t *)cpu + r->offset + k, MIN(size, 8));
            add_value(&st, r->name, v);
        }
    }
    cpu->cpu.guest->other_state(&cpu->cpu, add_value, &st);
    add_value(&st, "time", (uint64_t)clock_now(s->box->clock));
    add_value(&st, "what the outside saw", s->log);
    return st;
}

static void state_free(State *st)
{
    g_array_free(st->values, TRUE);
    g_ptr_array_free(st->names, TRUE);
}

static bool same_state(const Side *a, const Side *b, bool say)
{
    State x = state_of(a), y = state_of(b);
    bool  same = memcmp(x.values->data, y.values->data, x.values->len * 8) == 0;

    for (guint i = 0; say && i < x.values->len; i++) {
        uint64_t v = g_array_index(x.values, uint64_t, i), w = g_array_index(y.values, uint64_t, i);

        if (v != w) {
            print_error("  %s is 0x%" PRIx64 " with jit, 0x%" PRIx64 " with interp\n", (char *)x.names->pdata[i], v, w);
        }
    }
    state_free(&x);
    state_free(&y);
    if (memcmp(a->box->data, b->box->data, BOX_DATA_SIZE) != 0) {
        same = false;
        for (unsigned i = 0; say && i < BOX_DATA_SIZE; i++) {
            if (a->box->data[i] != b->box->data[i]) {
                print_error("  memory differs first at 0x%x\n", BOX_DATA + i);
                break;
            }
        }
    }
    return same;
}

static void explain(uint64_t program, unsigned slice, uint64_t n, const Side *a, const Side *b)
{
    print_error("program %" PRIu64 ", slice %u of %" PRIu64 " instructions:\n", program, slice, n);
    same_state(a, b, true);
    for (int i = -6; i < 2; i++) {
        uint64_t at = b->box->cpu->pc + 4 * (uint64_t)(int64_t)i;
        char     text[160];

        if (at - PROGRAM < 4 * n_words) {
            uint32_t insn = le32_get(b->box->data + (at - BOX_DATA));

            a64_disassemble(at, insn, text, sizeof(text));
            print_error("  0x%" PRIx64 ": %08x  %s\n", at, insn, text);
        }
    }
}

typedef struct Totals {
    uint64_t exceptions, irqs, device, changes, insns, regions, flushes;
} Totals;

static void add_totals(Totals *t, const Side *s)
{
    CpuEngineStats stats;

    cpu_engine_stats(s->box->engine, &stats);
    t->exceptions += s->n_exceptions;
    t->irqs += s->n_irqs;
    t->device += s->n_device;
    t->changes += s->n_changes;
    t->insns += cpu_insns(&s->box->cpu->cpu);
    t->regions += stats.regions;
    t->flushes += stats.flushes;
}

static bool run_program(uint64_t program, Totals *totals)
{
    static const unsigned max_blocks[] = { 64, 64, 64, 256, 1, 2, 7 };
    Side     jit, interp;
    uint32_t word = 0;
    bool     same = true;

    insn_seed = program * 0x9e3779b97f4a7c15ull + 1;
    uint64_t seed = insn_rnd();
    bool     changes = program % 3 != 0;

    n_words = program % 5 == 1 ? LONG_WORDS : WORDS;
    is_loops = program % 10 == 1;
    side_init(&jit, "jit", program % 4 == 0 ? "0x100000" : "0", max_blocks[insn_rnd() % ARRAY_LEN(max_blocks)], seed,
              changes);
    side_init(&interp, "interp", "0", 64, seed, changes);
    for (unsigned i = 0; i < n_words; i++) {
        word = random_word(i, word);
        le32_put(jit.box->data + (PROGRAM - BOX_DATA) + 4 * i, word);
    }
    interp.forgets = program / 2 % 6 == 0;
    memcpy(interp.box->data, jit.box->data, BOX_DATA_SIZE);
    restart(&jit);
    restart(&interp);
    for (unsigned i = 0; same && i < SLICES; i++) {
        uint64_t n = 1 + insn_rnd() % (insn_rnd() & 1 ? 200 : LONG_SLICE);

        run_side(&jit, n);
        run_side(&interp, n);
        same = same_state(&jit, &interp, false);
        if (!same) {
            explain(program, i, n, &jit, &interp);
        }
    }
    add_totals(totals, &jit);
    side_deinit(&jit);
    side_deinit(&interp);
    return same;
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    return g_getenv(name) != NULL ? g_ascii_strtoull(g_getenv(name), NULL, 10) : otherwise;
}

static void test_programs(void **state)
{
    uint64_t first = number_from("BAILEY_TEST_FIRST", 0), n = number_from("BAILEY_TEST_PROGRAMS", N_PROGRAMS), bad = 0;
    Totals   t = { 0 };

    for (unsigned c = 0; c < N_CLASSES; c++) {
        choices[c] = g_array_new(FALSE, FALSE, sizeof(Choice));
    }
    a64_pattern_foreach(add_choice, NULL);
    for (uint64_t p = first; p < first + n && bad < 5; p++) {
        bad += !run_program(p, &t);
    }
    print_message("%" PRIu64 " instructions, %" PRIu64 " exceptions, %" PRIu64 " interrupts, %" PRIu64
                  " device accesses, %" PRIu64 " changes, %" PRIu64 " regions\n",
                  t.insns, t.exceptions, t.irqs, t.device, t.changes, t.regions);
    assert_int_equal(bad, 0);
    assert_true(t.exceptions > 100 * n && t.irqs > 50 * n && t.device > n && t.regions > n); /* they do much */
    assert_true(t.changes > n);
    for (unsigned c = 0; c < N_CLASSES; c++) {
        g_array_free(choices[c], TRUE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_programs) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
