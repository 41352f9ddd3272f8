/*
 * Host side of the oracle: passes records through files to the arm64 program under the user-mode emulator.
 * CMake defines ORACLE_PROGRAM and ORACLE_EMULATOR when it found a cross compiler and the emulator.
 */
#include "tests/diff/oracle.h"

#include <glib.h>
#include <glib/gstdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#ifdef ORACLE_PROGRAM

static void run_program(const char *in_path, const char *out_path)
{
    char   *argv[] = { ORACLE_EMULATOR, "-cpu", "max", ORACLE_PROGRAM, (char *)in_path, (char *)out_path,
                       NULL };
    GError *err    = NULL;
    int     status = 0;

    if (!g_spawn_sync(NULL, argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, NULL, NULL, &status, &err) ||
        !g_spawn_check_wait_status(status, &err)) {
        fail_msg("oracle: %s", err->message);
    }
}

bool oracle_run(const OracleIn *in, OracleOut *out, size_t n)
{
    char  *dir      = g_dir_make_tmp("bailey-oracle-XXXXXX", NULL);
    char  *in_path  = g_build_filename(dir, "in", NULL);
    char  *out_path = g_build_filename(dir, "out", NULL);
    char  *data     = NULL;
    size_t len      = 0;

    assert_true(g_file_set_contents(in_path, (const char *)in, (gssize)(n * sizeof(*in)), NULL));
    run_program(in_path, out_path);
    assert_true(g_file_get_contents(out_path, &data, &len, NULL));
    assert_int_equal(len, n * sizeof(*out));
    memcpy(out, data, len);
    g_unlink(in_path);
    g_unlink(out_path);
    g_rmdir(dir);
    g_free(data);
    g_free(out_path);
    g_free(in_path);
    g_free(dir);
    return true;
}

#else

bool oracle_run(const OracleIn *in, OracleOut *out, size_t n)
{
    (void)in, (void)out, (void)n;
    print_message("skipped: no oracle; install qemu-user and gcc-aarch64-linux-gnu, then run cmake again\n");
    return false;
}

#endif
