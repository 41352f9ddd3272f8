/*
 * Any text as a configuration file: what it reads as is written, and once that came back it stays as it is.
 */
#include "config_file.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool put(void *opaque, const char *option, const char *value, GError **error)
{
    return config_put(opaque, option, value, error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GString) first = g_string_new(NULL), second = g_string_new(NULL), third = g_string_new(NULL);

    if (config_text_read("f", (const char *)data, size, put, first, NULL) &&
        config_text_read("f", first->str, first->len, put, second, NULL) &&
        (!config_text_read("f", second->str, second->len, put, third, NULL) || !g_string_equal(second, third))) {
        abort();
    }
    return 0;
}
