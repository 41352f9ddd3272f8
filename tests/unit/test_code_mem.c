/*
 * Memory for generated code: in both ways it can be had, code runs, nothing is ever writable and executable at once,
 * and what is unused costs nothing. Hosts that forbid the first way, or both, are played by a system call filter.
 */
#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "bits.h"
#include "cpu/jit/code_mem.h"

#define SIZE (64u << 20)

typedef bool Init(CodeMem *m, size_t size, char *why, size_t why_len);

static Init *const ways[] = { code_mem_init, code_mem_init_toggling };

static void init(CodeMem *m, Init *way, size_t size)
{
    char why[200];

    if (!way(m, size, why, sizeof(why))) {
        fail_msg("%s", why);
    }
}

/* mov $value, %eax; ret */
static void write_constant(CodeMem *m, size_t at, uint32_t value)
{
    uint8_t code[6] = { 0xb8, 0, 0, 0, 0, 0xc3 };

    memcpy(code + 1, &value, 4);
    code_mem_begin(m);
    memcpy(m->write + at, code, sizeof(code));
    code_mem_end(m);
}

static uint32_t run(const CodeMem *m, size_t at)
{
    return ((uint32_t(*)(void))(uintptr_t)(m->run + at))();
}

/* ---- what the kernel says of a mapping ---- */

typedef struct Mapping {
    char   perms[5];
    size_t rss_kib;
} Mapping;

/* Of the mapping that @at is in; fails when any mapping is both writable and executable. */
static Mapping look(const void *at)
{
    FILE   *f = fopen("/proc/self/smaps", "r");
    char    line[1024], perms[5];
    Mapping found = { 0 };
    bool    inside = false;

    assert_non_null(f);
    while (fgets(line, sizeof(line), f) != NULL) {
        uintptr_t from, to;
        size_t    kib;

        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &from, &to, perms) == 3) {
            assert_false(strchr(perms, 'w') != NULL && strchr(perms, 'x') != NULL);
            inside = from <= (uintptr_t)at && (uintptr_t)at < to;
            if (inside) {
                memcpy(found.perms, perms, sizeof(perms));
            }
        } else if (inside && sscanf(line, "Rss: %zu kB", &kib) == 1) {
            found.rss_kib = kib;
        }
    }
    fclose(f);
    return found;
}

static void check_perms(const void *at, const char *want)
{
    Mapping m = look(at);

    assert_memory_equal(m.perms, want, 3);
}

/* ---- rows ---- */

static void test_runs(void **state)
{
    for (unsigned i = 0; i < ARRAY_LEN(ways); i++) {
        CodeMem m;

        init(&m, ways[i], SIZE);
        assert_int_equal(m.size, SIZE);
        assert_int_equal(m.used, 0);
        write_constant(&m, 0, 41);
        write_constant(&m, SIZE - 6, 42);
        assert_int_equal(run(&m, 0), 41);
        assert_int_equal(run(&m, SIZE - 6), 42);
        write_constant(&m, 0, 43); /* over code that has run */
        assert_int_equal(run(&m, 0), 43);
        code_mem_free(&m);
        assert_null(m.write);
        code_mem_free(&m); /* of nothing: harmless */
    }
}

static void test_sizes(void **state)
{
    CodeMem m;

    init(&m, code_mem_init, 1);
    assert_true(m.size > 1 && m.size % (size_t)sysconf(_SC_PAGESIZE) == 0);
    code_mem_free(&m);
}

static void test_dual_protection(void **state)
{
    CodeMem m;

    init(&m, code_mem_init, SIZE);
    if (m.toggles) {
        code_mem_free(&m);
        skip(); /* this host forbids it */
    }
    assert_ptr_not_equal(m.write, m.run);
    check_perms(m.write, "rw-");
    check_perms(m.run, "r-x");
    code_mem_begin(&m);
    check_perms(m.write, "rw-");
    check_perms(m.run, "r-x");
    code_mem_end(&m);
    code_mem_free(&m);
}

static void test_toggling_protection(void **state)
{
    CodeMem m;

    init(&m, code_mem_init_toggling, SIZE);
    assert_true(m.toggles);
    assert_ptr_equal(m.write, m.run);
    check_perms(m.run, "r-x");
    code_mem_begin(&m);
    check_perms(m.run, "rw-");
    code_mem_begin(&m); /* nests */
    code_mem_end(&m);
    check_perms(m.run, "rw-");
    code_mem_end(&m);
    check_perms(m.run, "r-x");
    code_mem_free(&m);
}

static void test_reset(void **state)
{
    for (unsigned i = 0; i < ARRAY_LEN(ways); i++) {
        CodeMem m;

        init(&m, ways[i], SIZE);
        assert_int_equal(look(m.write).rss_kib, 0); /* nothing is touched before it is used */
        code_mem_begin(&m);
        memset(m.write, 0xc3, 8u << 20);
        m.used = 8u << 20;
        code_mem_end(&m);
        assert_true(look(m.write).rss_kib >= 8u << 10);
        code_mem_reset(&m);
        assert_int_equal(m.used, 0);
        assert_int_equal(look(m.write).rss_kib, 0);
        assert_int_equal(look(m.run).rss_kib, 0);
        assert_int_equal(m.run[0], 0);
        write_constant(&m, 0, 44);
        assert_int_equal(run(&m, 0), 44);
        code_mem_free(&m);
    }
}

static void test_no_memory(void **state)
{
    for (unsigned i = 0; i < ARRAY_LEN(ways); i++) {
        CodeMem m;
        char    why[300] = "";

        assert_false(ways[i](&m, (size_t)1 << 47, why, sizeof(why))); /* all of the address space */
        assert_null(m.write);
        assert_non_null(strstr(why, "134217728 MiB"));
        assert_non_null(strstr(why, "Cannot allocate memory"));
        code_mem_free(&m);
    }
}

/* ---- hosts that forbid ---- */

/* From now on refuses PROT_EXEC to mmap() and, when @all, to mprotect(). False: this host does not let us. */
static bool forbid(bool all)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, all ? SYS_mprotect : SYS_mmap, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])), /* the protection, of both */
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { ARRAY_LEN(filter), filter };

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

enum { GOOD, BAD, CANNOT };

static int on_hardened_host(bool all)
{
    CodeMem m;
    char    why[300] = "";
    bool    ok;

    if (!forbid(all)) {
        return CANNOT;
    }
    ok = code_mem_init(&m, SIZE, why, sizeof(why));
    if (all) {
        return !ok && m.write == NULL && strstr(why, "Permission denied") != NULL ? GOOD : BAD;
    }
    if (!ok || !m.toggles) {
        return BAD;
    }
    write_constant(&m, 0, 45);
    return run(&m, 0) == 45 ? GOOD : BAD;
}

static void check_hardened(bool all)
{
    int   status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        _exit(on_hardened_host(all));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == CANNOT) {
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), GOOD);
}

static void test_host_forbids_dual(void **state)
{
    check_hardened(false);
}

static void test_host_forbids_all(void **state)
{
    check_hardened(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_dual_protection),
        cmocka_unit_test(test_toggling_protection),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_host_forbids_dual),
        cmocka_unit_test(test_host_forbids_all),
    };

    return cmocka_run_group_tests_name("code_mem", tests, NULL, NULL);
}
