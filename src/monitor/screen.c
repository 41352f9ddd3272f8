/* Commands about what the guest shows, and the keys of its keyboard. */
#include <string.h>

#include "display/display.h"
#include "monitor/monitor.h"

enum { KEYS_MAX = 8 }; /* at once */

MON_COMMAND(screendump, .name = "screendump", .args = "FILE [DISPLAY]",
            .help = "write what the guest shows as PNG; DISPLAY: id of the device, for others than the first",
            .min_args = 1, .max_args = 2)
{
    return display_screendump(argv[0], argc > 1 ? argv[1] : NULL, error);
}

MON_COMMAND(info_display, .name = "info display", .args = "", .help = "displays, and what they show")
{
    if (display_head_need(NULL, error) == NULL) {
        return false;
    }
    display_describe(out);
    return true;
}

MON_COMMAND(sendkey, .name = "sendkey", .args = "KEY[-KEY]...",
            .help = "press keys of the guest's keyboard, and release them: a, ret, shift-a, ctrl-alt-delete",
            .min_args = 1, .max_args = 1)
{
    g_auto(GStrv) names = g_strsplit(argv[0], "-", -1);
    unsigned      code[KEYS_MAX], n = g_strv_length(names);

    if (n > KEYS_MAX) {
        return mon_fail(error, "'%s' are more keys than %d; press fewer at once", argv[0], KEYS_MAX);
    }
    for (unsigned i = 0; i < n; i++) {
        code[i] = input_key_named(names[i]);
        if (code[i] == 0) {
            return mon_fail(error, "there is no key '%s'; keys are named as QEMU's monitor does it: a, 1, ret, spc, "
                            "minus, f1, shift, ctrl", names[i]);
        }
    }
    for (unsigned i = 0; i < n; i++) {
        if (!input_key(code[i], true)) {
            return mon_fail(error, "the guest has no keyboard; add -device virtio-keyboard-pci");
        }
    }
    while (n-- > 0) {
        (void)input_key(code[n], false);
    }
    return true;
}
