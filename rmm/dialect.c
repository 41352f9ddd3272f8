/*
 * The rows of the dialects. RMM specification (Arm DEN0137): 1.0-rel0; 1.1-alp12, the first with device assignment that
 * kernels speak; 1.1-alp17, which reworked it.
 */
#include "rmm/dialect.h"

#include <string.h>


static const RmmDialectId default_dialect = RMM_1_1_ALP17;

#define EXITS_1_0                                                                                      \
    [RMI_EXIT_SYNC] = "SYNC", [RMI_EXIT_IRQ] = "IRQ", [RMI_EXIT_FIQ] = "FIQ", [RMI_EXIT_PSCI] = "PSCI", \
    [RMI_EXIT_RIPAS_CHANGE] = "RIPAS_CHANGE", [RMI_EXIT_HOST_CALL] = "HOST_CALL", [RMI_EXIT_SERROR] = "SERROR"

#define REALM_FLAGS_1_0 (RMI_REALM_FLAG_LPA2 | RMI_REALM_FLAG_SVE | RMI_REALM_FLAG_PMU)

const RmmDialect rmm_dialects[RMM_N_DIALECTS] = {
    [RMM_1_0] = {
        .name = "1.0",
        .document = "1.0-rel0",
        .rmi_versions = { RMI_ABI_VERSION(1, 0) },
        .realm_flags = REALM_FLAGS_1_0,
        .exits = { EXITS_1_0 },
    },
    [RMM_1_1_ALP12] = {
        .name = "1.1-alp12",
        .document = "1.1-alp12",
        .rmi_versions = { RMI_ABI_VERSION(1, 0), RMI_ABI_VERSION(1, 1) },
        .realm_flags = REALM_FLAGS_1_0 | RMI_REALM_FLAG_DA,
        .realm_planes = true,
        .token_mec = true,
        .da = true,
        .rdev = true,
        .pdev_flags = RMI_PDEV_FLAG_SPDM | RMI_PDEV12_FLAG_IDE,
        .comm_req_len = RMI_COMM12_REQ_LEN,
        .comm_timeout = RMI_COMM12_TIMEOUT,
        .exit_vdev_id = RMI_EXIT_VDEV_ID_1,
        .exit_vdev = RMI_EXIT12_VDEV,
        .exit_vdev_action = RMI_EXIT12_VDEV_ACTION,
        .exit_dev_mem_base = RMI_EXIT12_DEV_MEM_BASE,
        .exit_dev_mem_top = RMI_EXIT12_DEV_MEM_TOP,
        .exit_dev_mem_pa = RMI_EXIT12_DEV_MEM_PA,
        .exits = { EXITS_1_0, [RMI_EXIT_VDEV_REQUEST] = "VDEV_REQUEST", [RMI_EXIT12_VDEV_COMM] = "VDEV_COMM",
                   [RMI_EXIT12_DEV_MEM_MAP] = "DEV_MEM_MAP" },
    },
    [RMM_1_1_ALP17] = {
        .name = "1.1-alp17",
        .document = "1.1-alp17",
        .rmi_versions = { RMI_ABI_VERSION(1, 0), RMI_ABI_VERSION(1, 1) },
        .realm_flags = REALM_FLAGS_1_0 | RMI_REALM_FLAG_DA,
        .realm_planes = true,
        .token_mec = true,
        .da = true,
        .pdev_flags = RMI_PDEV_FLAG_SPDM | RMI_PDEV_FLAG_NCOH_IDE,
        .pdev_flags_also = RMI_PDEV_FLAG_NCOH_ADDR,
        .comm_req_len = RMI_COMM_REQ_LEN,
        .comm_req_delay = RMI_COMM_REQ_DELAY,
        .comm_timeout = RMI_COMM_TIMEOUT,
        .exit_vdev_id = RMI_EXIT_VDEV_ID_1,
        .exit_dev_mem_base = RMI_EXIT_DEV_MEM_BASE,
        .exit_dev_mem_top = RMI_EXIT_DEV_MEM_TOP,
        .exit_dev_mem_pa = RMI_EXIT_DEV_MEM_PA,
        .exits = { EXITS_1_0, [RMI_EXIT_VDEV_REQUEST] = "VDEV_REQUEST", [RMI_EXIT_VDEV_MAP] = "VDEV_MAP" },
    },
};

bool rmm_dialect_parse(const char *name, RmmDialectId *id, GError **error)
{
    g_autoptr(GString) known = g_string_new(NULL);

    *id = default_dialect;
    if (name == NULL) {
        return true;
    }
    for (unsigned i = 0; i < RMM_N_DIALECTS; i++) {
        if (strcmp(rmm_dialects[i].name, name) == 0) {
            *id = (RmmDialectId)i;
            return true;
        }
        g_string_append_printf(known, "%s%s", i == 0 ? "" : ", ", rmm_dialects[i].name);
    }
    g_set_error(error, g_quark_from_static_string("bailey"), 0,
                "rmm=%s (from -M): there is no RMM dialect '%s'; choose from %s", name, name, known->str);
    return false;
}
