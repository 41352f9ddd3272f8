/*
 * Configuration files (-readconfig, -writeconfig): command-line options as text, in QEMU's manner. A group is one
 * option: `[device "ID"]` with `driver = "NAME"`, `[netdev "ID"]` and `[machine]` with `type`, `[chardev "ID"]` with
 * `backend`, `[drive "ID"]`, and so on. `[options]` holds those that are one value, by their names: `seed = "5"`. Lines
 * that start with # or ; are comments; quotes around a value may be left out.
 */
#ifndef BAILEY_CONFIG_FILE_H
#define BAILEY_CONFIG_FILE_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

enum { CONFIG_FILE_MAX = 1 << 20 };

/* Takes one option without its dash, with its value as on the command line. False with a sentence ends the reading. */
typedef bool ConfigOption(void *opaque, const char *option, const char *value, GError **error);

/**
 * config_text_read - the options of a file's text, in its order.
 * @name: of the file, for messages
 * Returns false with a sentence that names file and line.
 */
bool config_text_read(const char *name, const char *text, size_t len, ConfigOption *each, void *opaque, GError **error);

/* config_file_read - the same of a file of at most CONFIG_FILE_MAX bytes. */
bool config_file_read(const char *path, ConfigOption *each, void *opaque, GError **error);

/**
 * config_put - appends an option in the file's form, which config_text_read() gives back.
 * Returns false with a sentence when its value does not fit on a line.
 */
bool config_put(GString *to, const char *option, const char *value, GError **error);

#endif
