/*
 * Names of keys. A client tells what a key means on its user's keyboard (an X11 keysym); the guest hears which key of a
 * US keyboard has that meaning. Clients that know QEMU's extension tell the key itself, by the scan code of a PC's.
 * Numbers: "keysymdef.h" of X11, "linux/input-event-codes.h".
 */
#include "bits.h"
#include "display/rfb.h"

/* Keys of the characters from space to tilde; a character and its shifted partner are on one key. */
static const uint8_t ascii[0x7f - 0x20] = {
    57, 2,  40, 4,  5,  6,  8,  40, 10, 11, 9,  13, 51, 12, 52, 53, /* space to slash */
    11, 2,  3,  4,  5,  6,  7,  8,  9,  10, 39, 39, 51, 13, 52, 53, /* 0 to ? */
    3,  30, 48, 46, 32, 18, 33, 34, 35, 23, 36, 37, 38, 50, 49, 24, /* @ to O */
    25, 16, 19, 31, 20, 22, 47, 17, 45, 21, 44, 26, 43, 27, 7,  12, /* P to _ */
    41, 30, 48, 46, 32, 18, 33, 34, 35, 23, 36, 37, 38, 50, 49, 24, /* ` to o */
    25, 16, 19, 31, 20, 22, 47, 17, 45, 21, 44, 26, 43, 27, 41,     /* p to ~ */
};

static const struct {
    uint16_t keysym;
    uint8_t  code;
} others[] = {
    { 0xff08, 14 },  /* BackSpace */
    { 0xff09, 15 },  /* Tab */
    { 0xfe20, 15 },  /* ISO_Left_Tab */
    { 0xff0d, 28 },  /* Return */
    { 0xff13, 119 }, /* Pause */
    { 0xff14, 70 },  /* Scroll_Lock */
    { 0xff15, 99 },  /* Sys_Req */
    { 0xff1b, 1 },   /* Escape */
    { 0xff50, 102 }, /* Home */
    { 0xff51, 105 }, /* Left */
    { 0xff52, 103 }, /* Up */
    { 0xff53, 106 }, /* Right */
    { 0xff54, 108 }, /* Down */
    { 0xff55, 104 }, /* Page_Up */
    { 0xff56, 109 }, /* Page_Down */
    { 0xff57, 107 }, /* End */
    { 0xff61, 99 },  /* Print */
    { 0xff63, 110 }, /* Insert */
    { 0xff67, 127 }, /* Menu */
    { 0xff6b, 119 }, /* Break */
    { 0xff7f, 69 },  /* Num_Lock */
    { 0xff8d, 96 },  /* KP_Enter */
    { 0xff95, 71 },  /* KP_Home, and the rest of the keypad without Num_Lock */
    { 0xff96, 75 },  { 0xff97, 72 },  { 0xff98, 77 }, { 0xff99, 80 }, { 0xff9a, 73 }, { 0xff9b, 81 },
    { 0xff9c, 79 },  { 0xff9d, 76 },  { 0xff9e, 82 }, { 0xff9f, 83 },
    { 0xffaa, 55 },  /* KP_Multiply */
    { 0xffab, 78 },  /* KP_Add */
    { 0xffad, 74 },  /* KP_Subtract */
    { 0xffae, 83 },  /* KP_Decimal */
    { 0xffaf, 98 },  /* KP_Divide */
    { 0xffb0, 82 },  /* KP_0 to KP_9 */
    { 0xffb1, 79 },  { 0xffb2, 80 },  { 0xffb3, 81 }, { 0xffb4, 75 }, { 0xffb5, 76 }, { 0xffb6, 77 },
    { 0xffb7, 71 },  { 0xffb8, 72 },  { 0xffb9, 73 },
    { 0xffbe, 59 },  /* F1 to F12 */
    { 0xffbf, 60 },  { 0xffc0, 61 },  { 0xffc1, 62 }, { 0xffc2, 63 }, { 0xffc3, 64 }, { 0xffc4, 65 },
    { 0xffc5, 66 },  { 0xffc6, 67 },  { 0xffc7, 68 }, { 0xffc8, 87 }, { 0xffc9, 88 },
    { 0xffe1, 42 },  /* Shift_L */
    { 0xffe2, 54 },  /* Shift_R */
    { 0xffe3, 29 },  /* Control_L */
    { 0xffe4, 97 },  /* Control_R */
    { 0xffe5, 58 },  /* Caps_Lock */
    { 0xffe7, 125 }, /* Meta_L */
    { 0xffe8, 126 }, /* Meta_R */
    { 0xffe9, 56 },  /* Alt_L */
    { 0xffea, 100 }, /* Alt_R */
    { 0xfe03, 100 }, /* ISO_Level3_Shift */
    { 0xffeb, 125 }, /* Super_L */
    { 0xffec, 126 }, /* Super_R */
    { 0xffff, 111 }, /* Delete */
};

unsigned rfb_key_of(uint32_t keysym)
{
    if (keysym >= 0x20 && keysym < 0x7f) {
        return ascii[keysym - 0x20];
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        if (others[i].keysym == keysym) {
            return others[i].code;
        }
    }
    return 0;
}

/* Scan codes of set 1 up to F12 are Linux's numbers; those with a prefix 0xe0 come with bit 7 set. */
unsigned rfb_key_of_xt(uint32_t code)
{
    static const uint8_t prefixed[0x80] = {
        [0x1c] = 96,  [0x1d] = 97,  [0x35] = 98,  [0x37] = 99,  [0x38] = 100, [0x46] = 119, [0x47] = 102,
        [0x48] = 103, [0x49] = 104, [0x4b] = 105, [0x4d] = 106, [0x4f] = 107, [0x50] = 108, [0x51] = 109,
        [0x52] = 110, [0x53] = 111, [0x5b] = 125, [0x5c] = 126, [0x5d] = 127,
    };

    return code < 0x59 ? code : code >= 0x80 && code < 0x100 ? prefixed[code - 0x80] : 0;
}
