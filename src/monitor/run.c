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

void mon_quit(Mon *m) { machine_stop_from_outside(m->on.machine, EXIT_GUEST_OFF, "quit by the user"); }

/* main.c ends the run instead when -no-reboot says so. */
void mon_system_reset(Mon *m) { machine_stop_from_outside(m->on.machine, EXIT_RESTART, "reset by the user"); }

bool mon_powerdown(Mon *m, GError **error)
{
    if (m->on.powerdown == NULL) {
        return mon_fail(error, "this machine has no power button; shut down from within the guest, or quit");
    }
    return m->on.powerdown(m->on.board, error);
}

MON_COMMAND(quit, .name = "quit", .args = "", .help = "end the program")
{
    if (!may_control(m, error)) {
        return false;
    }
    mon_quit(m);
    return true;
}

MON_COMMAND(system_reset, .name = "system_reset", .args = "", .help = "start the machine anew, as a reset by the guest")
{
    if (!may_control(m, error)) {
        return false;
    }
    mon_system_reset(m);
    return true;
}

MON_COMMAND(system_powerdown, .name = "system_powerdown", .args = "", .help = "press the guest's power button")
{
    return mon_powerdown(m, error);
}

MON_COMMAND(info_status, .name = "info status", .args = "", .help = "whether the guest runs")
{
    g_string_append(out, machine_is_paused(m->on.machine) ? "stopped\n" : "running\n");
    return true;
}
