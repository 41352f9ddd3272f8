/* Test files of `bailey test`: which cases they make, and the sentence for each thing that is wrong in one. */
#include <glib/gstdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "bits.h"
#include "tool/matrix.h"

static char *file;

static GPtrArray *load(const char *text, GError **error)
{
    assert_true(g_file_set_contents(file, text, -1, NULL));
    return matrix_load(file, error);
}

/* name: args|expect|fail_on|trace|timeout|status, a case a line. */
static char *as_text(const GPtrArray *cases)
{
    GString *s = g_string_new(NULL);

    for (guint i = 0; i < cases->len; i++) {
        const MatrixCase *c = cases->pdata[i];
        g_autofree char  *args = g_strjoinv(",", c->args);

        g_string_append_printf(s, "%s: %s|%s|%s|%s|%u|%d\n", c->name, args, c->expect ? c->expect : "",
                               c->fail_on ? c->fail_on : "", c->trace, c->timeout_s, c->status);
        assert_true(g_str_has_prefix(c->name, c->test));
    }
    return g_string_free(s, FALSE);
}

#define AXES "[axis a]\nx = -x\ny =\n[axis b]\n1.0 = -one 'two words'\n2 = ${MATRIX_TEST}\n"

static const struct {
    const char *name, *text, *cases;
} good[] = {
    { "one", "[test t]\nargs = -m 1G\n", "t: -m,1G|||guest_errors|120|0\n" },
    { "nothing but a name", "[test t]\n", "t: |||guest_errors|120|0\n" },
    { "axes", AXES "[test t]\nmatrix = a; b\nargs = -k\n",
      "t/x/1.0: -k,-x,-one,two words|||guest_errors|120|0\nt/x/2: -k,-x,a b|||guest_errors|120|0\n"
      "t/y/1.0: -k,-one,two words|||guest_errors|120|0\nt/y/2: -k,a b|||guest_errors|120|0\n" },
    { "the other way round", AXES "[test t]\nmatrix=b;a;\n",
      "t/1.0/x: -one,two words,-x|||guest_errors|120|0\nt/1.0/y: -one,two words|||guest_errors|120|0\n"
      "t/2/x: a b,-x|||guest_errors|120|0\nt/2/y: a b|||guest_errors|120|0\n" },
    { "skip", AXES "[test t]\nmatrix=a;b\nskip=*/x/* t/y/2\n", "t/y/1.0: -one,two words|||guest_errors|120|0\n" },
    { "only", AXES "[test t]\nmatrix=a\nonly=*y\n", "t/y: |||guest_errors|120|0\n" },
    { "defaults", "[defaults]\nargs=-a\nexpect=login:\ntimeout=9\ntrace=\nstatus=3\n"
                  "[test t]\n[test u]\nargs=-b\nexpect=> \ntimeout=8\ntrace=rmi,rsi\nstatus=0\n",
      "t: -a|login:|||9|3\nu: -a,-b|>||rmi,rsi|8|0\n" },
    { "a regular expression's backslash", "[test t]\nfail-on=Oops: \\d+\\.$\n",
      "t: ||Oops: \\d+\\.$|guest_errors|120|0\n" },
    { "a variable in a word, others as they are", "[test t]\nargs=-k=${MATRIX_TEST}/x $y ${ '${MATRIX_TEST}'\n",
      "t: -k=a b/x,$y,${,a b|||guest_errors|120|0\n" },
};

static void test_good(void **state)
{
    g_setenv("MATRIX_TEST", "a b", TRUE);
    for (unsigned i = 0; i < ARRAY_LEN(good); i++) {
        GError    *error = NULL;
        GPtrArray *cases = load(good[i].text, &error);

        print_message("%s\n", good[i].name);
        assert_null(error);
        g_autofree char *text = as_text(cases);

        assert_string_equal(text, good[i].cases);
        g_ptr_array_free(cases, TRUE);
    }
}

static const struct {
    const char *text, *error;
} bad[] = {
    { "", "has no test to run" },
    { "x", "docs/ci.md shows such a file" },
    { "[axis a]\nx=\n", "has no test to run" },
    { "[test t]\nonly=nothing\n", "has no test to run" },
    { "[test t]\nargz=-m\n", "[test t] has the key 'argz'; it can have args," },
    { "[defaults]\nbanana=1\n[test t]\n", "[defaults] has the key 'banana'" },
    { "[tests t]\n", "the group [tests t] is not known" },
    { "[test ]\n", "the group [test ] is not known" },
    { "[test ../x]\n", "is not known" },
    { "[test a/b]\n", "is not known" },
    { "[test -x]\n", "is not known" },
    { "[axis a]\n../x=1\n[test t]\n", "[axis a] has the choice '../x'" },
    { "[axis a]\n[test t]\n", "[axis a] has no choices" },
    { "[test t]\nmatrix=a\n", "names an axis that is not there; add [axis a]" },
    { "[test t]\ntimeout=0\n", "[test t] timeout=0 is not a number from 1 to 1000000" },
    { "[test t]\ntimeout=1m\n", "timeout=1m is not a number" },
    { "[test t]\nstatus=256\n", "status=256 is not a number from 0 to 255" },
    { "[test t]\nfail-on=(\n", "fail-on=( is not a regular expression" },
    { "[test t]\nargs=-append 'quiet\n", "args=-append 'quiet: " },
    { "[test t]\nargs=${MATRIX_NOT_SET}\n", "names ${MATRIX_NOT_SET}, which is not set; set it in front" },
    { "[test t]\nargs=-a\n[test u]\n [test t] \nargs=-b\n",
      "line 4, '[test t]', begins a group that is there already; rename or remove one" },
    { "[axis a]\nx=-a\n# x=-c\n x =-b\n[test t]\nmatrix=a\n",
      "line 4, 'x =-b', has a key that its group has already; rename or remove one" },
    { "[axis a]\nx=${MATRIX_NOT_SET}\n[test t]\nmatrix=a\n", "[axis a] names ${MATRIX_NOT_SET}" },
};

static void test_bad(void **state)
{
    g_unsetenv("MATRIX_NOT_SET");
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        GError    *error = NULL;
        GPtrArray *cases = load(bad[i].text, &error);

        print_message("%s\n", bad[i].text);
        assert_null(cases);
        assert_non_null(strstr(error->message, bad[i].error));
        assert_non_null(strstr(error->message, file));
        g_error_free(error);
    }
}

/* Ten axes of ten choices are refused before they fill the memory. */
static void test_too_many(void **state)
{
    GString *s = g_string_new("[test t]\nmatrix=a;b;c;d;e;f;g;h;i;j\n");
    GError  *error = NULL;

    for (char a = 'a'; a <= 'j'; a++) {
        g_string_append_printf(s, "[axis %c]\n0=\n1=\n2=\n3=\n4=\n5=\n6=\n7=\n8=\n9=\n", a);
    }
    assert_null(load(s->str, &error));
    assert_non_null(strstr(error->message, "[test t] makes more than 10000 cases"));
    g_clear_error(&error);
    g_string_free(s, TRUE);
    assert_null(matrix_load("/nonexistent/x.test", &error));
    assert_non_null(strstr(error->message, "/nonexistent/x.test"));
    g_error_free(error);
}

static int setup(void **state)
{
    int fd = g_file_open_tmp("matrix-XXXXXX", &file, NULL);

    return g_close(fd, NULL) ? 0 : -1;
}

static int teardown(void **state)
{
    g_unlink(file);
    g_free(file);
    return 0;
}

int main(void)
{
#define T(fn) cmocka_unit_test(fn)
    const struct CMUnitTest tests[] = { T(test_good), T(test_bad), T(test_too_many) };

    return cmocka_run_group_tests(tests, setup, teardown);
}
