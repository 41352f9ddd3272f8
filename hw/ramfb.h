/*
 * A picture that firmware keeps in memory, class "ramfb" of bus "fw_cfg": the file "etc/ramfb", which firmware writes,
 * says where and how. Source: QEMU's documentation of the file; formats by their codes in "drm_fourcc.h".
 */
#ifndef BAILEY_HW_RAMFB_H
#define BAILEY_HW_RAMFB_H

#include "device.h"

/**
 * ramfb_plug - realize the device and add its file.
 * @fw_cfg: the board's; NULL: it has none, or nothing reads it
 * Returns false with a sentence, and the device is freed.
 */
bool ramfb_plug(Device *dev, Device *fw_cfg, Memory *memory, GError **error);

#endif
