/* Keys by the names that QEMU's monitor has for them; numbers are Linux's, "linux/input-event-codes.h". */
#include <string.h>

#include "bits.h"
#include "display/display.h"

static const struct {
    const char *name;
    uint8_t     code;
} names[] = {
    { "esc", 1 },           { "minus", 12 },     { "equal", 13 },        { "backspace", 14 },
    { "tab", 15 },          { "bracket_left", 26 }, { "bracket_right", 27 }, { "ret", 28 },
    { "ctrl", 29 },         { "semicolon", 39 }, { "apostrophe", 40 },   { "grave_accent", 41 },
    { "shift", 42 },        { "backslash", 43 }, { "comma", 51 },        { "dot", 52 },
    { "slash", 53 },        { "shift_r", 54 },   { "alt", 56 },          { "spc", 57 },
    { "caps_lock", 58 },    { "f1", 59 },        { "f2", 60 },           { "f3", 61 },
    { "f4", 62 },           { "f5", 63 },        { "f6", 64 },           { "f7", 65 },
    { "f8", 66 },           { "f9", 67 },        { "f10", 68 },          { "num_lock", 69 },
    { "scroll_lock", 70 },  { "f11", 87 },       { "f12", 88 },          { "kp_enter", 96 },
    { "ctrl_r", 97 },       { "print", 99 },     { "sysrq", 99 },        { "alt_r", 100 },
    { "home", 102 },        { "up", 103 },       { "pgup", 104 },        { "left", 105 },
    { "right", 106 },       { "end", 107 },      { "down", 108 },        { "pgdn", 109 },
    { "insert", 110 },      { "delete", 111 },   { "pause", 119 },       { "meta_l", 125 },
    { "meta_r", 126 },      { "menu", 127 },
};

/* Keys of letters and digits, in rows as they are on the keyboard. */
static const struct {
    const char *keys;
    uint8_t     first;
} rows[] = { { "1234567890", 2 }, { "qwertyuiop", 16 }, { "asdfghjkl", 30 }, { "zxcvbnm", 44 } };

unsigned input_key_named(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(rows) && name[0] != '\0' && name[1] == '\0'; i++) {
        const char *at = strchr(rows[i].keys, name[0]);

        if (at != NULL) {
            return rows[i].first + (unsigned)(at - rows[i].keys);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(names[i].name, name) == 0) {
            return names[i].code;
        }
    }
    return 0;
}
