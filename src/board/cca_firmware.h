/*
 * Non-secure firmware above the monitor (-bios, -drive if=pflash): the flash chips it lies in and what it reads from
 * fw_cfg. It enters at NS-EL2 at the first byte of the first chip, with the machine's device tree at the start of RAM.
 */
#ifndef BAILEY_BOARD_CCA_FIRMWARE_H
#define BAILEY_BOARD_CCA_FIRMWARE_H

#include <glib.h>
#include <stdbool.h>

#include "board/cca.h"
#include "device.h"
#include "options.h"

/* cca_flash_drives - which of @drives (of Blockdev) with if=pflash holds which chip; NULL: none. Those are the chip's
 * content and get what is programmed. False with a sentence (a wrong command line). */
bool cca_flash_drives(const Options *o, const GPtrArray *drives, Blockdev *of_chip[CCA_MAX_FLASH], GError **error);

/* cca_flash_bios - -bios into a chip, from its first byte on. */
bool cca_flash_bios(PflashCells *cells, const Options *o, GError **error);

/* cca_firmware_items - ACPI tables; -kernel, -initrd and -append, for firmware that starts them itself.
 * @n_uarts: serial ports that the tables tell of
 * @fw_cfg: NULL when the board has none: it is an error then to have these options */
bool cca_firmware_items(Device *fw_cfg, const CcaBoard *board, const Options *o, unsigned n_uarts, GError **error);

#endif
