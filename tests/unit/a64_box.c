#include "tests/unit/a64_box.h"

#include <glib.h>
#include <string.h>

#include "bytes.h"
#include "tests/unit/accel.h"

enum { TABLE_0 = BOX_CODE + BOX_CODE_SIZE, TABLE_1 = TABLE_0 + 0x1000, TABLE_2 = TABLE_1 + 0x1000 };

/* Block descriptor: valid, AF, inner shareable, attribute 0. DDI 0487, "VMSAv8-64 descriptor formats". */
enum { BLOCK = 1, TABLE = 3, BLOCK_AF = 1 << 10, BLOCK_SH = 3 << 8, AP_EL0 = 1 << 6, AP_RO = 2 << 6 };

static bool catch_exception(void *opaque, A64Cpu *cpu, const A64Exception *exc)
{
    A64Box *box = opaque;

    box->exc = *exc;
    box->caught = true;
    cpu_request_stop(&cpu->cpu);
    return true;
}

/* 48-bit addresses: a table of 512 GiB entries, one of 1 GiB, one of 2 MiB. */
static void make_tables(A64Box *box)
{
    uint8_t *tables = box->code + BOX_CODE_SIZE, *table_2 = tables + 0x2000;
    uint64_t normal = BLOCK | BLOCK_AF | BLOCK_SH | AP_EL0;

    le64_put(tables, TABLE_1 | TABLE);
    le64_put(tables + 0x1000, TABLE_2 | TABLE);
    le64_put(table_2 + (BOX_CODE >> 21) * 8, BOX_CODE | normal | AP_RO);
    le64_put(table_2 + (BOX_DATA >> 21) * 8, BOX_DATA | normal);
}

static void set_registers(A64Cpu *cpu)
{
    /* HCR_EL2: E2H, TGE, RW, API, APK. SCR_EL3: NS, HCE, RW, API, APK. */
    cpu->el2.hcr = BIT(34) | BIT(27) | BIT(31) | BIT(41) | BIT(40);
    cpu->el3.scr |= BIT(0) | BIT(8) | BIT(10) | BIT(17) | BIT(16);
    cpu->el3.cptr = 0;
    cpu->el2.cptr = 3 << 20; /* FPEN */
    cpu->el2.mair = 0xff;
    cpu->el2.ttbr0 = TABLE_0;
    /* TCR_EL2: T0SZ and T1SZ 16, write-back inner shareable walks, no TTBR1 walks, 48-bit output. */
    cpu->el2.tcr = 16 | 1 << 8 | 1 << 10 | 3 << 12 | 16 << 16 | BIT(23) | 5ull << 32;
    /* SCTLR_EL2: M, C, UMA, I, DZE, UCT, nTWI, nTWE, SPAN, UCI. */
    cpu->el2.sctlr =
        BIT(0) | BIT(2) | BIT(9) | BIT(12) | BIT(14) | BIT(15) | BIT(16) | BIT(18) | BIT(23) | BIT(26);
}

A64Box *a64_box_new(void)
{
    A64Box *box = g_new0(A64Box, 1);

    box->owners = owners_new();
    box->memory = memory_new(box->owners);
    box->clock = clock_new();
    box->code = memory_add_ram(box->memory, "code", BOX_CODE, 0x200000, NULL)->host;
    box->data = memory_add_ram(box->memory, "data", BOX_DATA, BOX_DATA_SIZE, NULL)->host;
    box->engine = test_engine_new(box->memory, box->owners);
    box->cpu = a64_cpu_new(box->engine, box->memory, box->clock, 0, 0, NULL);
    box->cpu->firmware.exception = catch_exception;
    box->cpu->firmware.opaque = box;
    make_tables(box);
    set_registers(box->cpu);
    a64_box_enter(box, 0, BOX_CODE);
    return box;
}

void a64_box_free(A64Box *box)
{
    a64_cpu_free(box->cpu);
    cpu_engine_free(box->engine);
    clock_free(box->clock);
    memory_free(box->memory);
    owners_free(box->owners);
    g_free(box);
}

void a64_box_code(A64Box *box, uint64_t pc, const uint32_t *words, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        le32_put(box->code + (pc - BOX_CODE) + 4 * i, words[i]);
    }
    memory_dirty(box->memory, pc, 4 * n);
}

void a64_box_enter(A64Box *box, unsigned el, uint64_t pc)
{
    a64_enter(box->cpu, PAS_NONSECURE, pc, el << 2 | (el != 0) | 0xf << 6);
}

bool a64_box_run(A64Box *box, uint64_t budget)
{
    uint64_t used = 0;

    box->caught = false;
    cpu_run(&box->cpu->cpu, clock_now(box->clock), budget, &used);
    clock_advance(box->clock, clock_now(box->clock) + (int64_t)used);
    return box->caught;
}
