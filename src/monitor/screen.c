/* Commands about what the guest shows. */
#include "display/display.h"
#include "monitor/monitor.h"

MON_COMMAND(screendump, .name = "screendump", .args = "FILE [DISPLAY]",
            .help = "write what the guest shows as PNG; DISPLAY: id of the device, for others than the first",
            .min_args = 1, .max_args = 2)
{
    return display_screendump(argv[0], argc > 1 ? argv[1] : NULL, error);
}
