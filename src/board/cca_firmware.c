/*
 * What Non-secure firmware finds on the machine beside the devices that a kernel drives too: flash chips and fw_cfg
 * items, as EDK2's ArmVirtQemu and U-Boot's qemu_arm64 know them from QEMU's virt board.
 */
#include "board/cca_firmware.h"

#include <inttypes.h>
#include <string.h>

#include "blockdev.h"
#include "board/cca_acpi.h"
#include "hw/fw_cfg.h"
#include "loader.h"

/* ---- flash ---- */

/* Which drive holds which chip: by unit=, else in their order. */
static bool sort_drives(const GPtrArray *drives, Blockdev *of_chip[CCA_MAX_FLASH], GError **error)
{
    for (guint i = 0; i < drives->len; i++) {
        Blockdev *b = drives->pdata[i];
        int       unit = blockdev_unit(b);

        if (strcmp(blockdev_interface(b), "pflash") != 0) {
            continue;
        }
        if (unit < 0) {
            for (unit = 0; unit < CCA_MAX_FLASH && of_chip[unit] != NULL; unit++) {
            }
        }
        if (unit >= CCA_MAX_FLASH) {
            g_set_error(error, BAILEY_ERROR, 0,
                        "-drive '%s': the machine has %d flash chips, units 0 (firmware) and 1 (variables); leave out "
                        "what is not one of them", blockdev_id(b), CCA_MAX_FLASH);
            return false;
        }
        if (of_chip[unit] != NULL) {
            g_set_error(error, BAILEY_ERROR, 0, "-drive: '%s' and '%s' both are flash unit %d; give one another unit=",
                        blockdev_id(of_chip[unit]), blockdev_id(b), unit);
            return false;
        }
        of_chip[unit] = b;
    }
    return true;
}

bool cca_flash_drives(const Options *o, const GPtrArray *drives, Blockdev *of_chip[CCA_MAX_FLASH], GError **error)
{
    if (!sort_drives(drives, of_chip, error)) {
        return false;
    }
    if (of_chip[0] != NULL && o->bios != NULL) {
        g_set_error(error, BAILEY_ERROR, 0, "-bios and the drive '%s' both are the firmware; leave one out, or give "
                                            "the drive unit=1", blockdev_id(of_chip[0]));
        return false;
    }
    if (of_chip[0] == NULL && o->bios == NULL && o->firmware) {
        g_set_error(error, BAILEY_ERROR, 0, "-drive if=pflash: there are variables but no firmware; add -bios, or a "
                                            "drive with if=pflash,unit=0");
        return false;
    }
    return true;
}

bool cca_flash_bios(PflashCells *cells, const Options *o, GError **error)
{
    GBytes *bios = loader_read_file(o->bios, "-bios", error);

    if (bios == NULL) {
        return false;
    }
    gsize       len;
    const void *data = g_bytes_get_data(bios, &len);
    bool        ok = len != 0 && len <= pflash_cells_size(cells);

    if (ok) {
        memcpy(pflash_cells_bytes(cells), data, len);
    } else {
        g_set_error(error, BAILEY_ERROR, 1,
                    "cannot start '%s' (from -bios): it has %zu bytes and the flash %" PRIu64
                    " MiB; name a firmware image for QEMU's virt board", o->bios, len, pflash_cells_size(cells) >> 20);
    }
    g_bytes_unref(bios);
    return ok;
}

/* ---- fw_cfg ---- */

static bool add_file(Device *fw_cfg, const char *path, const char *option, uint16_t size_key, uint16_t data_key,
                     GError **error)
{
    GBytes *file = loader_read_file(path, option, error);

    if (file == NULL) {
        return false;
    }
    if (g_bytes_get_size(file) > UINT32_MAX) {
        g_set_error(error, BAILEY_ERROR, 1, "cannot pass '%s' (from %s) to the firmware: it is larger than 4 GiB; name "
                                            "a smaller file", path, option);
        g_bytes_unref(file);
        return false;
    }
    fw_cfg_add_u32(fw_cfg, size_key, (uint32_t)g_bytes_get_size(file));
    fw_cfg_add_bytes(fw_cfg, data_key, file);
    g_bytes_unref(file);
    return true;
}

static void add_acpi(Device *fw_cfg, const CcaBoard *board, const Options *o, unsigned n_uarts)
{
    CcaAcpi t = cca_acpi_build(board, o->smp, n_uarts);

    fw_cfg_add_file(fw_cfg, "etc/acpi/rsdp", t.rsdp->data, t.rsdp->len);
    fw_cfg_add_file(fw_cfg, "etc/acpi/tables", t.tables->data, t.tables->len);
    fw_cfg_add_file(fw_cfg, "etc/table-loader", t.loader->data, t.loader->len);
    cca_acpi_free(&t);
}

bool cca_firmware_items(Device *fw_cfg, const CcaBoard *board, const Options *o, unsigned n_uarts, GError **error)
{
    if (fw_cfg != NULL) {
        add_acpi(fw_cfg, board, o, n_uarts);
    }
    if (o->kernel == NULL) {
        return true;
    }
    if (fw_cfg == NULL) {
        g_set_error(error, BAILEY_ERROR, 1, "-kernel: the %s board has no way to pass a kernel to firmware; leave out "
                                            "-bios, or -kernel", o->board);
        return false;
    }
    fw_cfg_add_u32(fw_cfg, FW_CFG_CMDLINE_SIZE, (uint32_t)strlen(o->append) + 1);
    fw_cfg_add_string(fw_cfg, FW_CFG_CMDLINE_DATA, o->append);
    return add_file(fw_cfg, o->kernel, "-kernel", FW_CFG_KERNEL_SIZE, FW_CFG_KERNEL_DATA, error) &&
           (o->initrd == NULL ||
            add_file(fw_cfg, o->initrd, "-initrd", FW_CFG_INITRD_SIZE, FW_CFG_INITRD_DATA, error));
}
