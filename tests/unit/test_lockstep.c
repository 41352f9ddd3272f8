/*
 * The comparison of lockstep runs: two processes with a toy machine each, one of which is made to go wrong after a
 * known number of instructions. The report must name that number and what is wrong; two that agree must agree.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <glib.h>
#include <glib/gstdio.h>

#include "bits.h"
#include "cpu/lockstep.h"
#include "lockstep.h"
#include "machine.h"
#include "toy_guest.h"

enum { CODE = 0x10000, DATA = 0x20000, ELSEWHERE = 0x300000, TOTAL = 200000, SLICE = 30000, STATUS = 7 };

typedef enum Wrong { NOTHING, REGISTER, VECTOR, MEMORY, MEMORY_AT_END, DEATH, EARLY_END, TIME_OUT } Wrong;

/* What goes wrong with the side that claims to be the JIT, once @at instructions were executed. */
static struct {
    Wrong    what;
    uint64_t at;
} wrong;

static const uint32_t program[] = {
    TOY(TOY_ADDI, 1, 1, 1), TOY(TOY_ST, 1, 2, 0), TOY(TOY_ADD, 3, 3, 1), TOY(TOY_B, 0, 0, -3),
};

static ToyMachine *machine_make(void)
{
    ToyMachine *m = toy_machine_new();

    toy_map(m, CODE, CODE, 0x1000);
    toy_map(m, DATA, DATA, 0x1000);
    toy_load(m, CODE, program, ARRAY_LEN(program));
    m->cpu->s.pc = CODE;
    m->cpu->s.x[2] = DATA;
    return m;
}

static void poke(ToyMachine *m)
{
    memory_write(m->memory, ELSEWHERE, (MemAttrs){ .pas = PAS_NONSECURE }, "x", 1);
}

static void go_wrong(ToyMachine *m)
{
    switch (wrong.what) {
    case REGISTER: m->cpu->s.x[5] = 0xbad; break;
    case VECTOR: m->cpu->s.v[2][1] = 0xbad; break;
    case MEMORY: poke(m); break;
    case DEATH: raise(SIGKILL); break;
    default: break;
    }
}

/* As cpu_run(); what goes wrong does so in the middle of it. */
static uint64_t run_piece(ToyMachine *m, uint64_t budget, bool bad)
{
    uint64_t done = cpu_insns(&m->cpu->cpu), first = 0, rest = 0;

    if (bad && done < wrong.at && done + budget >= wrong.at) {
        cpu_run(&m->cpu->cpu, (int64_t)done, wrong.at - done, &first);
        go_wrong(m);
    }
    if (budget > first) {
        cpu_run(&m->cpu->cpu, (int64_t)(done + first), budget - first, &rest);
    }
    return first + rest;
}

static int run_machine(const Options *o)
{
    ToyMachine *m = machine_make();
    Cpu        *cpu = &m->cpu->cpu;
    bool        bad = o->cpu.accel == CPU_ACCEL_JIT;
    uint64_t    total = bad && wrong.what == EARLY_END ? wrong.at : TOTAL;

    for (uint64_t end = SLICE; cpu_insns(cpu) < total;) {
        uint64_t budget = lockstep_before(o->side, cpu, MIN(end, total) - cpu_insns(cpu));
        uint64_t used = run_piece(m, budget, bad);

        lockstep_after(o->side, cpu, CPU_STOP_TIME, used, (int64_t)cpu_insns(cpu));
        end += cpu_insns(cpu) == end ? SLICE : 0;
    }
    if (bad && wrong.what == MEMORY_AT_END) {
        poke(m);
    }
    lockstep_end(o->side, m->memory, cpu_insns(cpu), bad && wrong.what == TIME_OUT ? EXIT_TIMEOUT : STATUS);
    toy_machine_free(m);
    return STATUS;
}

static Options *options_of(const char *const *args, size_t n)
{
    char    *argv[16] = { (char *)"bailey", (char *)"-kernel", (char *)"none", (char *)"-accel", (char *)"lockstep" };
    GError  *error = NULL;
    Options *o;

    for (size_t i = 0; i < n; i++) {
        argv[5 + i] = (char *)args[i];
    }
    o = options_parse((int)(5 + n), argv, &error);
    assert_non_null(o);
    return o;
}

/* What a lockstep run says, to be freed; *@status becomes its status. */
static char *lockstep(int *status)
{
    Options *o = options_of(NULL, 0);
    char    *path = NULL, *text = NULL;
    int      fd = g_file_open_tmp("bailey-lockstep-XXXXXX", &path, NULL), saved = dup(STDERR_FILENO);

    assert_true(fd >= 0);
    fflush(NULL);
    dup2(fd, STDERR_FILENO);
    *status = lockstep_main(o, run_machine);
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(fd);
    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_unlink(path);
    g_free(path);
    options_free(o);
    return text;
}

static const struct {
    const char *name;
    Wrong       what;
    uint64_t    at;
    int         status;
    const char *says;
} rows[] = {
    { "nothing is wrong", NOTHING, 0, STATUS, "both the same: 200000 instructions, 7 states, 2 pages of memory\n" },
    { "a register", REGISTER, 123456, 1,
      "first difference after 123455 instructions of CPU 0 at pc 0x1000c (the next 1): x5 is 0xbad with jit" },
    { "a register after the first instruction", REGISTER, 1, 1,
      "first difference after 0 instructions of CPU 0 at pc 0x10000 (the next 1): x5 is 0xbad with jit" },
    { "a register at the end of a run", REGISTER, 2 * SLICE, 1,
      "first difference after 59999 instructions of CPU 0 at pc 0x1000c (the next 1): x5 is 0xbad with jit" },
    { "half a vector register", VECTOR, 77777, 1, "after 77776 instructions of CPU 0 at pc 0x10000 (the next 1): v2" },
    { "memory, long before the end", MEMORY, 50003, 1,
      "after 50002 instructions of CPU 0 at pc 0x10008 (the next 1): the hash of memory is 0x" },
    { "memory behind the CPU's back", MEMORY_AT_END, 0, 1, "but memory does, first at 0x300000\n" },
    { "death", DEATH, 70000, 1, "jit was ended by signal 9 (Killed)\n" },
    { "death, and where", DEATH, 70000, 1, "after 69999 instructions of CPU 0 at pc 0x1000c (the next 1): jit died" },
    { "fewer instructions", EARLY_END, 150001, 1, "jit ended its run after 1 instructions at 0x10004" },
    { "fewer whole runs", EARLY_END, 5 * SLICE, 1, "jit ended with status 7 after 150000 instructions" },
    { "the wall's clock", TIME_OUT, 0, EXIT_TIMEOUT, "ended from outside; the same until then: 7 states\n" },
};

static void test_reports(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int status = 0;

        wrong.what = rows[i].what;
        wrong.at = rows[i].at;
        char *text = lockstep(&status);
        if (strstr(text, rows[i].says) == NULL || status != rows[i].status) {
            fail_msg("%s: status %d, and it said: %s", rows[i].name, status, text);
        }
        g_free(text);
    }
}

/* The instructions of a piece are told once, in order. */
static void test_trace(void **state)
{
    int status;

    wrong.what = REGISTER;
    wrong.at = 100003;
    char *text = lockstep(&status), *list = strstr(text, "the instructions:\n");
    assert_non_null(list);
    assert_string_equal(list, "the instructions:\n    0x10008: op 4\n");
    g_free(text);
}

/* ---- what does not go with it ---- */

static const struct {
    const char *args[4];
    const char *sentence; /* NULL: it does */
} allowed_rows[] = {
    { { NULL }, NULL },
    { { "-netdev", "none,id=n0", "-serial", "file:x" }, NULL },
    { { "-drive", "file=x,id=d0,snapshot=on" }, NULL },
    { { "-clock", "host" }, "-accel lockstep: -clock host does not go with it" },
    { { "-s" }, "-accel lockstep: -gdb does not go with it" },
    { { "-netdev", "user,id=n0" }, "-accel lockstep: a -netdev other than none does not go with it" },
    { { "-display", "none" }, NULL },
    { { "-display", "vnc=:1" }, "-accel lockstep: -display vnc does not go with it" },
    { { "-chardev", "socket,id=c0,path=x" }, "-accel lockstep: a -chardev socket does not go with it" },
    { { "-drive", "file=x,id=d0" }, "-accel lockstep: a -drive that is written (give it snapshot=on) does not go" },
};

static void test_allowed(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(allowed_rows); i++) {
        GError  *error = NULL;
        size_t   n = 0;

        while (n < 4 && allowed_rows[i].args[n] != NULL) {
            n++;
        }
        Options *o = options_of(allowed_rows[i].args, n);
        bool     ok = lockstep_allowed(o, &error);
        assert_int_equal(ok, allowed_rows[i].sentence == NULL);
        if (!ok) {
            assert_true(g_str_has_prefix(error->message, allowed_rows[i].sentence));
            g_error_free(error);
        }
        options_free(o);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reports),
        cmocka_unit_test(test_trace),
        cmocka_unit_test(test_allowed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
