/*
 * Names of running code: a kernel at an address of its own choice is found by its header through the MMU, its stack is
 * read by frame pointers with authentication codes in return addresses, before and after it has switched the MMU on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <glib/gstdio.h>

#include "a64_machine.h"
#include "guest/guest_symbols.h"
#include "guest/profile.h"

#define TEXT        0xffffc32432a00000ull /* where it runs, */
#define LINKED      0xffff800080000000ull /* where it was linked, */
#define TEXT_PA     0x40400000ull         /* and where it lies, 2 MiB */
#define IMAGE_SIZE  0x200000ull
#define TABLES      0x40100000ull
#define STACK       (TEXT + 0x1f0000)
#define SIGNED(va)  ((va) & ~0x002a000000000000ull) /* bits 54:48 have a code */

#define TCR_48     (16ull | 16ull << 16 | 2ull << 30 /* TG1: 4 KiB */ | 5ull << 32)
#define BLOCK      (1ull | 1ull << 10 /* AF */)
#define SCR_NS_RW  (1ull | 1ull << 10)

static const char list[] = "ffff800080000000 T _text\n"
                           "ffff800080010000 T start_kernel\n"
                           "ffff800080010100 T rest_init\n"
                           "ffff800080010200 t leaf\n"
                           "ffff800080010300 T _end\n";

typedef struct Rig {
    TestMachine   t;
    GuestSymbols *symbols;
    char         *path; /* of the list, then of the profile */
} Rig;

static unsigned index_of(uint64_t va, unsigned shift) { return (unsigned)(va >> shift & 511); }

static void write_file(const char *path, const char *text)
{
    assert_true(g_file_set_contents(path, text, -1, NULL));
}

static void rig_init(Rig *r)
{
    TestMachine *t = &r->t;
    int          fd;

    test_machine_init(t);
    test_poke64(t, TABLES + index_of(TEXT, 39) * 8ull, (TABLES + 0x1000) | 3);
    test_poke64(t, TABLES + 0x1000 + index_of(TEXT, 30) * 8ull, (TABLES + 0x2000) | 3);
    test_poke64(t, TABLES + 0x2000 + index_of(TEXT, 21) * 8ull, TEXT_PA | BLOCK);
    test_poke64(t, TEXT_PA + 16, IMAGE_SIZE);
    test_poke64(t, TEXT_PA + 56, 0x644d5241); /* "ARM\x64" */
    t->cpu->el3.scr = SCR_NS_RW;
    t->cpu->el2.hcr = HCR_RW;
    t->cpu->el = 1;
    t->cpu->security = PAS_NONSECURE;
    t->cpu->el1.tcr = TCR_48;
    t->cpu->el1.ttbr1 = TABLES;
    t->cpu->el1.sctlr = SCTLR_M;
    a64_context_changed(t->cpu);
    fd = g_file_open_tmp("test_guest_symbols_XXXXXX", &r->path, NULL);
    assert_true(fd >= 0);
    close(fd);
    write_file(r->path, list);
    r->symbols = guest_symbols_new();
    assert_true(guest_symbols_add(r->symbols, r->path, NULL, NULL));
}

static void rig_free(Rig *r)
{
    g_unlink(r->path);
    g_free(r->path);
    guest_symbols_free(r->symbols);
    test_machine_free(&r->t);
}

static void test_find(void **state)
{
    Rig      r;
    Symbol   sym;
    uint64_t offset;

    rig_init(&r);
    r.t.cpu->pc = TEXT + 0x10208;
    unsigned world = guest_symbols_world(r.symbols, r.t.cpu);
    assert_true(guest_symbols_find(r.symbols, world, true, TEXT + 0x10208, &sym, &offset));
    assert_string_equal(sym.name, "leaf");
    assert_int_equal(offset, 8);
    /* before its MMU is on */
    assert_true(guest_symbols_find(r.symbols, world, true, TEXT_PA + 0x10004, &sym, &offset));
    assert_string_equal(sym.name, "start_kernel");
    assert_false(guest_symbols_find(r.symbols, world, false, TEXT_PA + 0x10004, &sym, &offset)); /* a program */
    assert_false(guest_symbols_find(r.symbols, world, true, LINKED + 0x10208, &sym, &offset));
    assert_false(guest_symbols_find(r.symbols, 0, true, TEXT + 0x10208, &sym, &offset));
    assert_int_equal(guest_symbols_world(r.symbols, r.t.cpu), world);
    guest_symbols_restart(r.symbols);
    assert_int_not_equal(guest_symbols_world(r.symbols, r.t.cpu), world);
    rig_free(&r);
}

/* The kernel is named from when its MMU is on, not some questions later. */
static void test_early(void **state)
{
    Rig      r;
    Symbol   sym;
    uint64_t offset;

    rig_init(&r);
    r.t.cpu->el1.sctlr = 0;
    r.t.cpu->pc = TEXT_PA + 0x10004;
    a64_context_changed(r.t.cpu);
    unsigned world = guest_symbols_world(r.symbols, r.t.cpu);
    assert_false(guest_symbols_find(r.symbols, world, true, TEXT + 0x10208, &sym, &offset));
    r.t.cpu->el1.sctlr = SCTLR_M;
    r.t.cpu->pc = TEXT + 0x10208;
    a64_context_changed(r.t.cpu);
    assert_int_equal(guest_symbols_world(r.symbols, r.t.cpu), world);
    assert_true(guest_symbols_find(r.symbols, world, true, TEXT + 0x10208, &sym, &offset));
    assert_string_equal(sym.name, "leaf");
    rig_free(&r);
}

/* Another world has not found its kernel because this one has. */
static void test_worlds(void **state)
{
    Rig      r;
    Symbol   sym;
    uint64_t offset;

    rig_init(&r);
    r.t.cpu->pc = TEXT + 0x10208;
    unsigned world = guest_symbols_world(r.symbols, r.t.cpu);
    r.t.cpu->el1.sctlr = 0; /* a guest of VMID 7, at its start */
    r.t.cpu->el2.hcr |= HCR_VM;
    r.t.cpu->el2.vttbr = 7ull << 48;
    r.t.cpu->pc = 0x1000;
    a64_context_changed(r.t.cpu);
    unsigned guest = guest_symbols_world(r.symbols, r.t.cpu);
    assert_int_not_equal(guest, world);
    assert_false(guest_symbols_find(r.symbols, guest, true, TEXT + 0x10208, &sym, &offset));
    assert_true(guest_symbols_find(r.symbols, world, true, TEXT + 0x10208, &sym, &offset));
    rig_free(&r);
}

/* A frame record, by physical address. */
static void put_frame(Rig *r, uint64_t va, uint64_t next, uint64_t link)
{
    test_poke64(&r->t, va - TEXT + TEXT_PA, next);
    test_poke64(&r->t, va - TEXT + TEXT_PA + 8, link);
}

static void expect_profile(Rig *r, Profile *p, const char *text)
{
    char *said = NULL;

    assert_true(profile_write(p, NULL));
    assert_true(g_file_get_contents(r->path, &said, NULL, NULL));
    assert_string_equal(said, text);
    g_free(said);
}

static void test_stack(void **state)
{
    Rig r;

    rig_init(&r);
    A64Cpu  *cpu = r.t.cpu;
    Profile *p = profile_new(r.path, 100, r.symbols);

    put_frame(&r, STACK, STACK + 32, SIGNED(TEXT + 0x10120));
    put_frame(&r, STACK + 32, 0, SIGNED(TEXT + 0x10044));
    cpu->pc = TEXT + 0x10208;
    cpu->x[29] = STACK;
    cpu->x[30] = TEXT + 0x10210; /* leaf() has made a call of its own */
    assert_int_equal(profile_turn(p, &cpu->cpu, 1000), 100);
    cpu->cpu.n_insns = 60;
    assert_int_equal(profile_turn(p, &cpu->cpu, 1000), 40);
    assert_int_equal(profile_turn(p, &cpu->cpu, 7), 7);
    cpu->cpu.n_insns = 100;
    assert_int_equal(profile_turn(p, &cpu->cpu, 1000), 100);
    cpu->cpu.n_insns = 200; /* in a function without a frame: x30 has its caller */
    cpu->x[29] = STACK + 32;
    cpu->x[30] = SIGNED(TEXT + 0x10130);
    assert_int_equal(profile_turn(p, &cpu->cpu, 1000), 100);
    cpu->cpu.n_insns = 350; /* a frame that leads to itself, no sample twice */
    put_frame(&r, STACK + 64, STACK + 64, TEXT + 0x10044);
    cpu->x[29] = STACK + 64;
    cpu->x[30] = TEXT + 0x10044;
    assert_int_equal(profile_turn(p, &cpu->cpu, 1000), 50);
    cpu->cpu.n_insns = 400; /* no frames there */
    cpu->x[29] = 0x1000;
    cpu->x[30] = 0;
    assert_int_equal(profile_turn(p, &cpu->cpu, 1000), 100);
    expect_profile(&r, p,
                   "nonsecure;cpu0;EL1;leaf 1\n"
                   "nonsecure;cpu0;EL1;start_kernel;rest_init;leaf 2\n"
                   "nonsecure;cpu0;EL1;start_kernel;start_kernel;start_kernel;start_kernel;start_kernel;leaf 1\n");
    profile_free(p);
    rig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_early),
        cmocka_unit_test(test_worlds),
        cmocka_unit_test(test_stack),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
