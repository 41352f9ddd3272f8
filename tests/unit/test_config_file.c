/*
 * Configuration files: what each line means, the sentence each bad one gets, and that what is written reads back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "bits.h"
#include "config_file.h"
#include "options.h"

static bool append_option(void *opaque, const char *option, const char *value, GError **error)
{
    g_string_append_printf(opaque, "-%s %s\n", option, value);
    return true;
}

/* A file, and the options it stands for. */
static const struct {
    const char *text, *options;
} good[] = {
    { "", "" },
    { "# nothing\n\n; here\n", "" },
    { "[device \"net\"]\n  driver = \"virtio-net-pci\"\n  netdev = \"n0\"\n",
      "-device virtio-net-pci,id=net,netdev=n0\n" },
    { "[device]\ndriver=virtio-rng-pci\n[device]\ndriver=virtio-rng-pci",
      "-device virtio-rng-pci\n-device virtio-rng-pci\n" },
    { "[netdev \"n0\"]\r\n  type = \"user\"\r\n  hostfwd = \":1-:2\"\n  hostfwd = \":3-:4\"\n",
      "-netdev user,id=n0,hostfwd=:1-:2,hostfwd=:3-:4\n" },
    { "[drive \"d0\"]\nfile = \"a,b=c.img\"\nsnapshot = \"on\"\n", "-drive id=d0,file=a,,b=c.img,snapshot=on\n" },
    { "[chardev \"c0\"]\npath = \"s\"\nbackend = \"socket\"\n", "-chardev socket,id=c0,path=s\n" },
    { "[machine]\n  type = \"cca\"\n  boot = \"host\"\n  kernel = \"Image\"\n  append = \"a=\"b\" c,d\"\n",
      "-kernel Image\n-append a=\"b\" c,d\n-M cca,boot=host\n" },
    { "[machine]\n  boot = host\n", "-M cca,boot=host\n" },
    { "[machine]\n  firmware = \"x.fd\"\n", "-bios x.fd\n" },
    { "[memory]\nsize = \"2G\"\n[smp-opts]\ncpus = \"2\"\n[rtc]\nbase = \"utc\"\n[accel]\naccel=\"jit\"",
      "-m size=2G\n-smp cpus=2\n-rtc base=utc\n-accel jit\n" },
    { "[options]\nseed = \"5\"\nappend = \"console=ttyAMA0 x\"\n nographic = on\n",
      "-seed 5\n-append console=ttyAMA0 x\n-nographic on\n" },
    { "[fsdev \"f\"]\nfsdriver = \"local\"\npath = \"x\"", "-fsdev local,id=f,path=x\n" },
};

static void test_good(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        g_autoptr(GString) got = g_string_new(NULL);

        assert_true(config_text_read("f", good[i].text, strlen(good[i].text), append_option, got, NULL));
        assert_string_equal(got->str, good[i].options);
    }
}

static const struct {
    const char *text, *sentence;
} bad[] = {
    { "[device \"net\"]\nnetdev = \"n0\"\n\n[drive]\n",
      "-readconfig: 'f', line 1: [device] has no driver; add a line driver = \"...\"" },
    { "[device\n", "-readconfig: 'f', line 1: '[device' begins no group; write [NAME] or [NAME \"ID\"]" },
    { "[device \"]\n", "-readconfig: 'f', line 1: '[device \"]' begins no group; write [NAME] or [NAME \"ID\"]" },
    { "[", "-readconfig: 'f', line 1: '[' begins no group; write [NAME] or [NAME \"ID\"]" },
    { "[frob]\n", "-readconfig: 'f', line 1: there is no group [frob]; options that are one value go to [options]" },
    { "[options \"x\"]\n", "-readconfig: 'f', line 1: [options] takes no \"x\"; leave it out" },
    { "\nseed = \"5\"\n",
      "-readconfig: 'f', line 2: 'seed' comes before the first group; begin one, such as [options]" },
    { "[options]\nseed\n", "-readconfig: 'f', line 2: 'seed' is no line of a configuration; write KEY = \"VALUE\"" },
    { "[options]\n= \"5\"\n",
      "-readconfig: 'f', line 2: '= \"5\"' is no line of a configuration; write KEY = \"VALUE\"" },
    { "[options]\nse ed = 5\n",
      "-readconfig: 'f', line 2: 'se ed' is not the name of a key; write KEY = \"VALUE\"" },
    { "[options]\nseed = \"5\n", "-readconfig: 'f', line 2: the value of seed has one quote; end it with another" },
    { "[options]\nseed = \"\n", "-readconfig: 'f', line 2: the value of seed has one quote; end it with another" },
    { "[device]\ndriver = \"a,b\"\n",
      "-readconfig: 'f', line 2: driver = \"a,b\" is not one name; give other keys lines of their own" },
    { "[device]\ndriver = a\ndriver = b\n",
      "-readconfig: 'f', line 3: driver = \"b\" is not one name; give other keys lines of their own" },
};

static void test_bad(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        g_autoptr(GString) got = g_string_new(NULL);
        GError            *error = NULL;

        assert_false(config_text_read("f", bad[i].text, strlen(bad[i].text), append_option, got, &error));
        assert_string_equal(error->message, bad[i].sentence);
        g_error_free(error);
    }
}

static Options *parse_line(const char *line, GError **error)
{
    g_auto(GStrv) argv = g_strsplit(line, "|", -1);

    return options_parse((int)g_strv_length(argv), argv, error);
}

/* Files and the command line add up, in their order; what is written starts the same machine. */
static void test_round_trip(void **state)
{
    char   path[] = "/tmp/bailey-config-XXXXXX", again[] = "/tmp/bailey-config-XXXXXX";
    GError *error = NULL;

    close(mkstemp(path));
    close(mkstemp(again));
    g_autofree char *first = g_strdup_printf(
        "bailey|-kernel|Image|-M|cca,boot=host|-m|2G|-nographic|-append|a b,c|-drive|file=x,,y,id=d0|"
        "-device|virtio-net-pci,netdev=d0|-device|virtio-rng-pci|-serial|none|-seed|7|-writeconfig|%s", path);
    Options *o = parse_line(first, &error);

    assert_non_null(o);
    assert_true(options_write_config(o, &error));
    options_free(o);
    g_autofree char *second = g_strdup_printf("bailey|-seed|6|-serial|stdio|-readconfig|%s|-m|3G|-writeconfig|%s", path,
                                              again);
    o = parse_line(second, &error);
    assert_non_null(o);
    assert_string_equal(o->kernel, "Image");
    assert_int_equal(o->boot, BOOT_HOST);
    assert_int_equal(o->ram_size, 3ull << 30);
    assert_true(o->nographic);
    assert_string_equal(o->append, "a b,c");
    assert_int_equal(o->seed, 7);
    assert_int_equal(o->serials->len, 2);
    assert_string_equal(option_list_get(o->drives->pdata[0], "file"), "x,y");
    assert_string_equal(((OptionList *)o->devices->pdata[0])->driver, "virtio-net-pci");
    assert_string_equal(((OptionList *)o->devices->pdata[1])->driver, "virtio-rng-pci");
    assert_true(options_write_config(o, &error));
    options_free(o);
    g_autofree char *third = g_strdup_printf("bailey|-readconfig|%s", again);
    o = parse_line(third, &error);
    assert_non_null(o);
    assert_int_equal(o->ram_size, 3ull << 30);
    assert_int_equal(o->serials->len, 2);
    options_free(o);
    unlink(path);
    unlink(again);
}

/* The option's own sentence, led by where it stands. */
static void test_bad_option(void **state)
{
    static const char *const rows[][2] = {
        { "[options]\nsmp = \"9\"\n",
          "line 2: -smp: '9' is not a number of CPUs from 1 to 8; for example -smp 2" },
        { "[options]\nfrob = \"9\"\n",
          "line 2: there is no 'frob' in configuration files; --help lists the options" },
        { "[options]\nreadconfig = \"x\"\n",
          "line 2: there is no 'readconfig' in configuration files; --help lists the options" },
        { "[options]\nnographic = \"x\"\n",
          "line 2: nographic = \"x\" is neither on nor off; for example nographic = \"on\"" },
        { "\n[device]\ndriver = e1000\n", "line 2: -device: there is no device 'e1000'; '-device help' lists them" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char    path[] = "/tmp/bailey-config-XXXXXX";
        GError *error = NULL;

        close(mkstemp(path));
        assert_true(g_file_set_contents(path, rows[i][0], -1, NULL));
        g_autofree char *line = g_strdup_printf("bailey|-kernel|Image|-readconfig|%s", path);
        g_autofree char *sentence = g_strdup_printf("-readconfig: '%s', %s", path, rows[i][1]);

        assert_null(parse_line(line, &error));
        assert_string_equal(error->message, sentence);
        g_error_free(error);
        unlink(path);
    }
    GError *error = NULL;

    assert_null(parse_line("bailey|-readconfig|/nonexistent", &error));
    assert_string_equal(error->message, "-readconfig: cannot read '/nonexistent': No such file or directory; name a "
                                        "text file of up to a MiB");
    g_error_free(error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good), cmocka_unit_test(test_bad), cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_bad_option),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
