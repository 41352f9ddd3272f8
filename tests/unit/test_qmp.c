/* QMP's framing, negotiation, errors and events, as bytes on a line: QEMU, "QMP protocol specification". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "monitor/qmp.h"
#include "monitor/qmp_frame.h"
#include "tests/unit/mon_rig.h"

static MonRig   rig;
static Chardev *line;
static Qmp     *qmp;
static GString *said;

static void hear(void *opaque, const uint8_t *data, size_t len)
{
    g_string_append_len(said, (const char *)data, (gssize)len);
}

/* What the other side sees, up to where it ends; times of events are left out. */
static char *heard(void)
{
    g_autoptr(GRegex) times = g_regex_new("\"timestamp\":\\{[^}]*\\},", 0, 0, NULL);
    char             *text = g_regex_replace_literal(times, said->str, -1, 0, "", 0, NULL);

    g_string_truncate(said, 0);
    return text;
}

static void put(const char *text) { chardev_input(line, text, strlen(text)); }

static void expect(const char *want)
{
    g_autofree char *got = heard();

    assert_string_equal(got, want);
}

static int setup(void **state)
{
    said = g_string_new(NULL);
    mon_rig_init(&rig);
    line = chardev_new("null", false, NULL);
    chardev_add_observer(line, hear, NULL);
    qmp = qmp_new(line, NULL);
    qmp_attach(qmp, &rig.on);
    return 0;
}

static int teardown(void **state)
{
    qmp_free(qmp);
    mon_rig_free(&rig);
    g_string_free(said, TRUE);
    return 0;
}

static void negotiate(void)
{
    put("{\"execute\":\"qmp_capabilities\"}");
    g_string_truncate(said, 0);
}

#define GENERIC(desc) "{\"error\":{\"class\":\"GenericError\",\"desc\":\"" desc "\"}}\r\n"
#define NOT_FOUND(desc) "{\"error\":{\"class\":\"CommandNotFound\",\"desc\":\"" desc "\"}}\r\n"
#define BAD(why) GENERIC("this is no JSON: " why)

static void test_negotiation(void **state)
{
    expect("{\"QMP\":{\"version\":{\"qemu\":{\"micro\":0,\"minor\":2,\"major\":7},\"package\":\"bailey 0.1.0\"},"
           "\"capabilities\":[]}}\r\n");
    put("{\"execute\":\"query-status\"}");
    expect(NOT_FOUND("'query-status' comes before the negotiation; begin with qmp_capabilities"));
    machine_pause(rig.machine, false); /* no event yet */
    machine_pause(rig.machine, true);
    put("{\"execute\":\"qmp_capabilities\",\"arguments\":{\"enable\":[\"oob\"]}}");
    expect(GENERIC("no capability can be enabled: the greeting offers none"));
    put("{\"execute\":\"qmp_capabilities\",\"arguments\":{\"enable\":[]},\"id\":{\"a\":[1,null]}}");
    expect("{\"return\":{},\"id\":{\"a\":[1,null]}}\r\n");
    put("{\"execute\":\"qmp_capabilities\"}");
    expect(NOT_FOUND("'qmp_capabilities' has been there already, and may come once"));
}

typedef struct Row {
    const char *name, *in, *out;
} Row;

#define DEEP8 "[[[[[[[["
#define STATUS "{\"return\":{\"running\":false,\"singlestep\":false,\"status\":\"prelaunch\"}}\r\n"

static const Row rows[] = {
    { "a command", "{\"execute\":\"query-status\"}", STATUS },
    { "single quotes", "{'execute':'query-status'}", STATUS },
    { "nothing between two", "{\"execute\":\"query-status\"}{\"execute\":\"query-status\"}", STATUS STATUS },
    { "lines in a command", " {\r\n\t\"execute\" :\n\"query-status\" } \n", STATUS },
    { "brackets in a string", "{\"execute\":\"}{\\\"]\"}",
      NOT_FOUND("there is no command '}{\\\"]'; query-commands lists them") },
    { "an ID of an error", "{\"execute\":\"moon\",\"id\":7}",
      "{\"error\":{\"class\":\"CommandNotFound\",\"desc\":\"there is no command 'moon'; query-commands lists them\"},"
      "\"id\":7}\r\n" },
    { "no object", "[1]", GENERIC("a command is a JSON object: { \\\"execute\\\": \\\"query-commands\\\" }") },
    { "a number that is none", "{\"execute\":\"stop\",\"id\":[{\"x\":-1e999}]}",
      GENERIC("a number in the command is beyond what a double holds") },
    { "no execute", "{\"id\":1}",
      "{\"error\":{\"class\":\"GenericError\",\"desc\":\"the request has no member 'execute'\"},\"id\":1}\r\n" },
    { "execute is no string", "{\"execute\":1}", GENERIC("the member 'execute' of a request is to be of type string") },
    { "arguments are no object", "{\"execute\":\"stop\",\"arguments\":[]}",
      GENERIC("the member 'arguments' of a request is to be of type object") },
    { "another member", "{\"exec-oob\":\"stop\"}",
      GENERIC("a request has no member 'exec-oob'; write execute, arguments, id") },
    { "an argument is missing", "{\"execute\":\"human-monitor-command\"}",
      GENERIC("human-monitor-command needs the argument 'command-line'") },
    { "an argument too many", "{\"execute\":\"stop\",\"arguments\":{\"x\":1}}", GENERIC("stop takes no argument 'x'") },
    { "an argument's type", "{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":null}}",
      GENERIC("the argument 'command-line' of human-monitor-command is to be of type string") },
    { "a CPU that is not there",
      "{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":\"\",\"cpu-index\":2}}",
      GENERIC("there is no CPU 2; they are 0 to 1") },
    { "a command of the monitor",
      "{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":\"info status\"}}",
      "{\"return\":\"stopped\\n\"}\r\n" },
    { "one that fails", "{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":\"moon\"}}",
      "{\"return\":\"error: there is no command 'moon'; 'help' lists them\\n\"}\r\n" },
    { "a picture of no display", "{\"execute\":\"screendump\",\"arguments\":{\"filename\":\"x.png\"}}",
      GENERIC("the machine has no display; add -device virtio-gpu-pci, or -device ramfb for firmware") },
    { "a picture of another kind",
      "{\"execute\":\"screendump\",\"arguments\":{\"filename\":\"x.ppm\",\"format\":\"ppm\"}}",
      GENERIC("screendump: format 'ppm' is not offered; leave it out, or say png") },
    { "no power button", "{\"execute\":\"system_powerdown\"}",
      GENERIC("this machine has no power button; shut down from within the guest, or quit") },
    { "an event before its answer", "{\"execute\":\"cont\"}{\"execute\":\"stop\"}",
      "{\"event\":\"RESUME\"}\r\n{\"return\":{}}\r\n{\"event\":\"STOP\"}\r\n{\"return\":{}}\r\n" },
    { "CPUs", "{\"execute\":\"query-target\"}", "{\"return\":{\"arch\":\"aarch64\"}}\r\n" },
    { "memory", "{\"execute\":\"query-memory-size-summary\"}",
      "{\"return\":{\"base-memory\":1048576,\"plugged-memory\":0}}\r\n" },
    { "chardevs", "{\"execute\":\"query-chardev\"}",
      "{\"return\":[{\"label\":\"null\",\"filename\":\"null\",\"frontend-open\":true}]}\r\n" },

    { "a path that is none", "{\"execute\":\"qom-get\",\"arguments\":{\"path\":[1],\"property\":\"type\"}}",
      GENERIC("the argument 'path' of qom-get is to be of type string") },
    { "objects", "{\"execute\":\"qom-list\",\"arguments\":{\"path\":\"/\"}}",
      "{\"return\":[{\"name\":\"type\",\"type\":\"string\"},"
      "{\"name\":\"machine\",\"type\":\"child<cca-machine>\"}]}\r\n" },
    { "no such object", "{\"execute\":\"qom-get\",\"arguments\":{\"path\":\"/machine/cpu[2]\",\"property\":\"type\"}}",
      "{\"error\":{\"class\":\"DeviceNotFound\",\"desc\":"
      "\"there is nothing at '/machine/cpu[2]'; qom-list begins at / and /machine/peripheral\"}}\r\n" },

    /* What is no JSON ends with its line; what follows is served. */
    { "words", "quit\n{\"execute\":\"query-status\"}", BAD("a command is a JSON object, which begins with {") STATUS },
    { "a comment", "{/*\"*/\"execute\":\"stop\"}\n{\"execute\":\"query-status\"}",
      BAD("a character that is none of JSON's") STATUS },
    { "a line end in a string", "{\"execute\":\"query-\n{\"execute\":\"query-status\"}",
      BAD("a control character in a string; write it as \\\\u and its number") STATUS },
    { "no UTF-8", "{\"execute\":\"\xff\"}", GENERIC("the command is no UTF-8") },
    { "brackets that do not fit", "{\"a\":1]{\"execute\":\"query-status\"}",
      BAD("<data>:1:6: Parse error: unexpected number `1', expected string constant") STATUS },
    { "32 brackets", "{\"execute\":\"query-status\",\"id\":" DEEP8 DEEP8 DEEP8 "[[[[[[[]]]]]]]" "]]]]]]]]" "]]]]]]]]"
      "]]]]]]]]" "}",
      "{\"return\":{\"running\":false,\"singlestep\":false,\"status\":\"prelaunch\"},\"id\":" DEEP8 DEEP8 DEEP8
      "[[[[[[[]]]]]]]" "]]]]]]]]" "]]]]]]]]" "]]]]]]]]" "}\r\n" },
    { "33 brackets", "{\"id\":" DEEP8 DEEP8 DEEP8 DEEP8, BAD("values are nested too deep") },
};

static void test_rows(void **state)
{
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        print_message("%s\n", rows[i].name);
        teardown(state);
        setup(state);
        negotiate();
        put(rows[i].in);
        expect(rows[i].out);
    }
}

/* What the ID becomes is the library's; that the answer is JSON is ours. */
static void test_half_a_character(void **state)
{
    negotiate();
    put("{\"execute\":\"stop\",\"id\":\"\\ud800 z\"}");
    assert_true(g_str_has_prefix(said->str, "{\"return\":{},\"id\":\""));
    assert_true(g_utf8_validate(said->str, -1, NULL));
}

static void test_too_long(void **state)
{
    g_autofree char *much = g_strnfill(QMP_FRAME_MAX, 'x');

    negotiate();
    put("{\"execute\":\"");
    for (size_t at = 0; at < QMP_FRAME_MAX; at += 2048) { /* a Chardev's buffer holds so much at a time */
        chardev_input(line, much + at, 2048);
    }
    expect(BAD("the command is longer than 64 KiB"));
    put("\"}\n{\"execute\":\"query-status\"}");
    expect(STATUS);
}

/* What stands behind a command that ends the machine is for the one that follows, and so are breakpoints: what happens
 * while that is made meets none. */
static void test_reset(void **state)
{
    const Event made = { .kind = EVENT_GRANULE, .name = "RD", .number = 0x40000000, .text = "a granule" };

    negotiate();
    put("{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":\"break granule 0x40000000\"}}"
        "{\"execute\":\"cont\"}");
    g_string_truncate(said, 0);
    put("{\"execute\":\"system_reset\"}{\"execute\":\"query-status\"}");
    expect("{\"return\":{}}\r\n");
    qmp_detach(qmp, true, false, "host-qmp-system-reset");
    expect("{\"event\":\"RESET\",\"data\":{\"guest\":false,\"reason\":\"host-qmp-system-reset\"}}\r\n");
    mon_rig_free(&rig);
    event_tell(&made);
    mon_rig_init(&rig);
    event_tell(&made);
    qmp_attach(qmp, &rig.on);
    expect("{\"return\":{\"running\":false,\"singlestep\":false,\"status\":\"paused\"}}\r\n");
    put("{\"execute\":\"cont\"}");
    event_tell(&made);
    expect("{\"event\":\"RESUME\"}\r\n{\"return\":{}}\r\n{\"event\":\"STOP\"}\r\n");
    put("{\"execute\":\"quit\"}");
    expect("{\"return\":{}}\r\n");
    assert_true(machine_is_stopping(rig.machine));
    assert_true(machine_stopped_from_outside(rig.machine));
    assert_string_equal(machine_stop_reason(rig.machine), "quit by the user");
    qmp_detach(qmp, false, false, "host-qmp-quit");
    expect("{\"event\":\"SHUTDOWN\",\"data\":{\"guest\":false,\"reason\":\"host-qmp-quit\"}}\r\n");
}

/* A breakpoint on an event. */
static void test_break(void **state)
{
    const Event reached = { .kind = EVENT_EXC, .name = "sync", .number = 2, .text = "taken" };

    negotiate();
    put("{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":\"break exc sync el2\"}}"
        "{\"execute\":\"cont\"}");
    g_string_truncate(said, 0);
    event_tell(&reached);
    expect("{\"event\":\"STOP\"}\r\n");
    assert_true(machine_is_paused(rig.machine));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_negotiation, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(test_half_a_character, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_long, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reset, setup, teardown),
        cmocka_unit_test_setup_teardown(test_break, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
