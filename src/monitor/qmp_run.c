/* QMP's commands that agree on the protocol, let the guest run, stop it and end it, and show its picture. */
#include <string.h>

#include "display/display.h"
#include "monitor/qmp_int.h"

QMP_COMMAND(qmp_capabilities, .name = "qmp_capabilities", .args = { { "enable", "[str]", true } },
            .negotiates = true)
{
    if (json_object_has_member(args, "enable") &&
        json_array_get_length(json_object_get_array_member(args, "enable")) != 0) {
        return qmp_fail(error, QMP_GENERIC, "no capability can be enabled: the greeting offers none");
    }
    qmp_negotiated(q);
    return qmp_nothing();
}

QMP_COMMAND(stop, .name = "stop")
{
    machine_pause(qmp_mon(q)->on.machine, true);
    return qmp_nothing();
}

QMP_COMMAND(cont, .name = "cont")
{
    machine_pause(qmp_mon(q)->on.machine, false);
    return qmp_nothing();
}

QMP_COMMAND(quit, .name = "quit")
{
    mon_quit(qmp_mon(q));
    return qmp_nothing();
}

QMP_COMMAND(system_reset, .name = "system_reset")
{
    mon_system_reset(qmp_mon(q));
    return qmp_nothing();
}

QMP_EVENT(POWERDOWN);

QMP_COMMAND(system_powerdown, .name = "system_powerdown")
{
    if (!mon_powerdown(qmp_mon(q), error)) {
        return NULL;
    }
    qmp_event(q, "POWERDOWN", NULL);
    return qmp_nothing();
}

QMP_COMMAND(screendump, .name = "screendump",
            .args = { { "filename", "str" },
                      { "device", "str", true },
                      { "format", "str", true } })
{
    const char *device = json_object_get_string_member_with_default(args, "device", NULL);
    const char *format = json_object_get_string_member_with_default(args, "format", "png");

    if (strcmp(format, "png") != 0) {
        return qmp_fail(error, QMP_GENERIC, "screendump: format '%s' is not offered; leave it out, or say png", format);
    }
    return display_screendump(json_object_get_string_member(args, "filename"), device, error) ? qmp_nothing() : NULL;
}

/* As QEMU has it: what goes wrong is text as well. */
QMP_COMMAND(human_monitor_command, .name = "human-monitor-command",
            .args = { { "command-line", "str" }, { "cpu-index", "int", true } }, .returns = "str")
{
    g_autoptr(GString) out = g_string_new(NULL);
    g_autofree char   *valid = NULL;
    JsonNode          *answer = json_node_new(JSON_NODE_VALUE);
    Mon               *m = qmp_mon(q);
    unsigned           before = m->cpu;

    if (json_object_has_member(args, "cpu-index")) {
        gint64 n = json_object_get_int_member(args, "cpu-index");

        if (n < 0 || n >= m->on.n_cpus) {
            json_node_unref(answer);
            return qmp_fail(error, QMP_GENERIC, "there is no CPU %" G_GINT64_FORMAT "; they are 0 to %u", n,
                            m->on.n_cpus - 1);
        }
        m->cpu = (unsigned)n;
    }
    mon_run(m, json_object_get_string_member(args, "command-line"), out);
    if (json_object_has_member(args, "cpu-index")) {
        m->cpu = before;
    }
    valid = g_utf8_make_valid(out->str, -1);
    json_node_set_string(answer, valid);
    return answer;
}
