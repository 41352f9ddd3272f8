/* Commands by which a user lets the guest run and stops it. A debugger's user has its own, which it must know of. */
#include "monitor/monitor.h"

static bool may_control(const Mon *m, GError **error)
{
    return m->controls || mon_fail(error, "the debugger says when the guest runs; use its own command");
}

MON_COMMAND(stop, .name = "stop", .args = "", .help = "stop the guest; no guest time passes")
{
    if (!may_control(m, error)) {
        return false;
    }
    machine_pause(m->on.machine, true);
    return true;
}

MON_COMMAND(cont, .name = "cont", .args = "", .help = "let the guest go on")
{
    if (!may_control(m, error)) {
        return false;
    }
    machine_pause(m->on.machine, false);
    return true;
}

MON_COMMAND(quit, .name = "quit", .args = "", .help = "end the program")
{
    if (!may_control(m, error)) {
        return false;
    }
    machine_stop(m->on.machine, EXIT_GUEST_OFF, "quit by the user");
    return true;
}

MON_COMMAND(info_status, .name = "info status", .args = "", .help = "whether the guest runs")
{
    g_string_append(out, machine_is_paused(m->on.machine) ? "stopped\n" : "running\n");
    return true;
}
