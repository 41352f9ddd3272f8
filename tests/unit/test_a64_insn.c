/*
 * Base A64 instructions one by one: registers, flags and memory before and after, and the exceptions they
 * raise. A value that a row does not name is the same after as before.
 */
#include <glib.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "bits.h"
#include "bytes.h"
#include "cpu/a64/crypto.h"
#include "cpu/a64/decode.h"
#include "tests/unit/a64_box.h"

enum { N = 8, Z = 4, C = 2, V = 1, NONE = 16 /* no flag: a row's out only */ };

#define ZERO 0x6f72657a6f72657aull /* stands for 0 in a row's out */

enum { BRK = 0xd4200000, MAX_WORDS = 8, MEM_WORDS = 8, MEM = BOX_DATA + 32 };

typedef struct A64Values {
    uint32_t nzcv;
    uint64_t sp, x[31];
    uint64_t v[4][2];
    uint64_t mem[MEM_WORDS]; /* from BOX_DATA */
} A64Values;

typedef struct A64Case {
    const char *name;
    uint32_t    code[MAX_WORDS];
    A64Values   in, out;
} A64Case;

static const A64Case cases[] = {
    /* name                               code            in, out */
    {"add x0, x1, #1", {0x91000420}, {.x[1] = 41}, {.x[0] = 42}},
    {"cmp w1, #1", {0x7100043f}, {.x[1] = 0}, {.nzcv = N}},
    {"cmp x1, #1", {0xf100043f}, {.x[1] = 1}, {.nzcv = Z | C}},
    {"cmp x1, x2", {0xeb02003f}, {.x[1] = BIT(63), .x[2] = 1}, {.nzcv = C | V}},
    {"adds w0, w1, w2", {0x2b020020}, {.x[1] = 0xffffffff, .x[2] = 1}, {.x[0] = ZERO, .nzcv = Z | C}},
    {"adds x0, x1, x2", {0xab020020}, {.x[1] = ~BIT(63), .x[2] = 1}, {.x[0] = BIT(63), .nzcv = N | V}},
    {"adc x0, x1, x2", {0x9a020020}, {.x[1] = 1, .x[2] = 2, .nzcv = C}, {.x[0] = 4}},
    {"sbcs w0, w1, w2", {0x7a020020}, {.x[1] = 0, .x[2] = 0, .nzcv = 0}, {.x[0] = 0xffffffff, .nzcv = N}},
    {"sbcs x0, x1, x2", {0xfa020020}, {.x[1] = 5, .x[2] = 3, .nzcv = C}, {.x[0] = 2, .nzcv = C}},
    {"add x0, sp, w2, sxtb #3", {0x8b228fe0}, {.sp = 0x1000, .x[2] = 0xff}, {.x[0] = 0xff8}},
    {"sub x0, x1, w2, uxth #1", {0xcb222420}, {.x[1] = 0x20000, .x[2] = 0xf8000}, {.x[0] = 0x10000}},
    {"and x0, x1, #0xff00ff00ff00ff00", {0x92089c20}, {.x[1] = -1ull}, {.x[0] = 0xff00ff00ff00ff00}},
    {"orr w0, wzr, #0x80000001", {0x320107e0}, {0}, {.x[0] = 0x80000001}},
    {"ands x0, x1, #1", {0xf2400020}, {.x[1] = 2}, {.x[0] = ZERO, .nzcv = Z}},
    {"bics x0, x1, x2, lsr #4", {0xea621020}, {.x[1] = 0xf0, .x[2] = 0xf00}, {.x[0] = ZERO, .nzcv = Z}},
    {"eon w0, w1, w2, ror #8", {0x4ae22020}, {.x[1] = 0, .x[2] = 0xff}, {.x[0] = 0xffffff}},
    {"mvn x0, x1", {0xaa2103e0}, {.x[1] = -1ull}, {.x[0] = ZERO}},
    {"movn w0, #0", {0x12800000}, {0}, {.x[0] = 0xffffffff}},
    {"movk x0, #0x1234, lsl #32", {0xf2c24680}, {.x[0] = -1ull}, {.x[0] = 0xffff1234ffffffff}},
    {"asr w0, w1, #31", {0x131f7c20}, {.x[1] = 0x80000000}, {.x[0] = 0xffffffff}},
    {"lsl x0, x1, #63", {0xd3410020}, {.x[1] = 3}, {.x[0] = BIT(63)}},
    {"ubfiz x0, x1, #4, #8", {0xd37c1c20}, {.x[1] = 0xabc}, {.x[0] = 0xbc0}},
    {"sbfx w0, w1, #4, #4", {0x13041c20}, {.x[1] = 0x80}, {.x[0] = 0xfffffff8}},
    {"bfxil x0, x1, #4, #8", {0xb3442c20}, {.x[0] = 0x1111, .x[1] = 0xabc0}, {.x[0] = 0x11bc}},
    {"bfi w0, w1, #8, #8", {0x33181c20}, {.x[0] = 0xffffffffffffffff, .x[1] = 0}, {.x[0] = 0xffff00ff}},
    {"extr x0, x1, x2, #8", {0x93c22020}, {.x[1] = 0x12, .x[2] = 0x3456}, {.x[0] = 0x1200000000000034}},
    {"ror w0, w1, #4", {0x13811020}, {.x[1] = 0xf}, {.x[0] = 0xf0000000}},
    {"lsl w0, w1, w2", {0x1ac22020}, {.x[1] = 1, .x[2] = 33}, {.x[0] = 2}},
    {"asr x0, x1, x2", {0x9ac22820}, {.x[1] = BIT(63), .x[2] = 127}, {.x[0] = -1ull}},
    {"udiv w0, w1, w2", {0x1ac20820}, {.x[1] = 7, .x[2] = 0}, {.x[0] = ZERO}},
    {"sdiv x0, x1, x2", {0x9ac20c20}, {.x[1] = BIT(63), .x[2] = -1ull}, {.x[0] = BIT(63)}},
    {"sdiv w0, w1, w2", {0x1ac20c20}, {.x[1] = 0xfffffff9, .x[2] = 2}, {.x[0] = 0xfffffffd}},
    {"madd w0, w1, w2, w3", {0x1b020c20}, {.x[1] = 0x10000, .x[2] = 0x10000, .x[3] = 5}, {.x[0] = 5}},
    {"msub x0, x1, x2, x3", {0x9b028c20}, {.x[1] = 3, .x[2] = 4, .x[3] = 20}, {.x[0] = 8}},
    {"smaddl x0, w1, w2, x3", {0x9b220c20}, {.x[1] = 0xffffffff, .x[2] = 2, .x[3] = 1}, {.x[0] = -1ull}},
    {"umulh x0, x1, x2", {0x9bc27c20}, {.x[1] = -1ull, .x[2] = -1ull}, {.x[0] = -2ull}},
    {"smulh x0, x1, x2", {0x9b427c20}, {.x[1] = -1ull, .x[2] = 2}, {.x[0] = -1ull}},
    {"rbit w0, w1", {0x5ac00020}, {.x[1] = 1}, {.x[0] = 0x80000000}},
    {"rev16 x0, x1", {0xdac00420}, {.x[1] = 0x0102030405060708}, {.x[0] = 0x0201040306050807}},
    {"rev32 x0, x1", {0xdac00820}, {.x[1] = 0x0102030405060708}, {.x[0] = 0x0403020108070605}},
    {"rev w0, w1", {0x5ac00820}, {.x[1] = 0x01020304}, {.x[0] = 0x04030201}},
    {"clz w0, w1", {0x5ac01020}, {.x[1] = 0}, {.x[0] = 32}},
    {"cls x0, x1", {0xdac01420}, {.x[1] = -1ull}, {.x[0] = 63}},
    {"cls w0, w1", {0x5ac01420}, {.x[1] = 0x00ffffff}, {.x[0] = 7}},
    {"rbit x1, x1; clz x0, x1", {0xdac00021, 0xdac01020}, {.x[1] = 0x5000}, {.x[0] = 12, .x[1] = 0xaull << 48}},
    {"rbit w1, w1; clz w1, w1", {0x5ac00021, 0x5ac01021}, {.x[1] = 1ull << 32}, {.x[1] = 32}},
    {"csel x0, x1, x2, hi", {0x9a828020}, {.x[1] = 1, .x[2] = 2, .nzcv = C}, {.x[0] = 1}},
    {"csel x0, x1, x2, hi", {0x9a828020}, {.x[1] = 1, .x[2] = 2, .nzcv = C | Z}, {.x[0] = 2}},
    {"csinc w0, w1, w2, eq", {0x1a820420}, {.x[1] = 1, .x[2] = 0xffffffff, .nzcv = 0}, {.x[0] = ZERO}},
    {"cset x0, lt", {0x9a9fa7e0}, {.nzcv = N}, {.x[0] = 1}},
    {"csetm w0, ge", {0x5a9fb3e0}, {.nzcv = N | V}, {.x[0] = 0xffffffff}},
    {"csneg x0, x1, x2, al", {0xda82e420}, {.x[1] = 5}, {.x[0] = 5}},
    {"ccmp x1, #1, #8, eq", {0xfa410828}, {.x[1] = 1, .nzcv = Z}, {.nzcv = Z | C}},
    {"ccmp x1, #1, #8, ne", {0xfa411828}, {.x[1] = 1, .nzcv = Z}, {.nzcv = N}},
    {"ccmn w1, w2, #0, al", {0x3a42e020}, {.x[1] = 0xffffffff, .x[2] = 1}, {.nzcv = Z | C}},
    {"crc32cx w0, w1, x2", {0x9ac25c20}, {.x[1] = 0, .x[2] = 1}, {.x[0] = 0x493c7d27}},
    {"rmif x1, #4, #6", {0xba020426}, {.x[1] = 0x60, .nzcv = N | Z | C | V}, {.nzcv = N | Z | C | V}},
    {"setf8 w1", {0x3a00082d}, {.x[1] = 0x80, .nzcv = C}, {.nzcv = N | C | V}},
    {"setf8 w1", {0x3a00082d}, {.x[1] = 0xfffffe00, .nzcv = N | V}, {.nzcv = Z}},
    {"setf16 w1", {0x3a00482d}, {.x[1] = 0x17fff, .nzcv = C}, {.nzcv = C | V}},
    {"cfinv", {0xd500401f}, {.nzcv = C}, {.nzcv = NONE}},
    {"axflag", {0xd500405f}, {.nzcv = C | V}, {.nzcv = Z}},
    {"xaflag", {0xd500403f}, {.nzcv = 0}, {.nzcv = N}},
    {"xaflag", {0xd500403f}, {.nzcv = Z}, {.nzcv = C | V}},
    {"xaflag", {0xd500403f}, {.nzcv = Z | C}, {.nzcv = Z | C}},
    {"msr dit, #1; mrs x0, dit", {0xd503415f, 0xd53b42a0}, {0}, {.x[0] = BIT(24)}},
    {"msr dit, x1; mrs x0, dit; msr dit, #0; mrs x2, dit",
     {0xd51b42a1, 0xd53b42a0, 0xd503405f, 0xd53b42a2},
     {.x[1] = ~0ull},
     {.x[0] = BIT(24), .x[2] = ZERO}},
    {"msr ssbs, #1; mrs x0, ssbs; msr ssbs, x1; mrs x2, ssbs",
     {0xd503413f, 0xd53b42c0, 0xd51b42c1, 0xd53b42c2},
     {.x[1] = ~BIT(12)},
     {.x[0] = BIT(12), .x[2] = ZERO}},
    {"adr x0, .+16", {0x10000080}, {0}, {.x[0] = BOX_CODE + 16}},
    {"adrp x0, .+4096", {0xb0000000}, {0}, {.x[0] = BOX_CODE + 4096}},
    {"ldr x0, .+8", {0x58000040}, {0}, {.x[0] = 0xd4200000d4200000}},
    {"mrs x0, nzcv", {0xd53b4200}, {.nzcv = N | V}, {.x[0] = 0x90000000}},
    {"msr nzcv, x1", {0xd51b4201}, {.x[1] = 0x60000000}, {.nzcv = Z | C}},

    {"ldrsb w0, [x1, #1]!",
     {0x38c01c20},
     {.x[1] = MEM, .mem[4] = 0x8000},
     {.x[0] = 0xffffff80, .x[1] = MEM + 1}},
    {"ldrsw x0, [x1], #-4",
     {0xb89fc420},
     {.x[1] = MEM, .mem[4] = 0x80000000},
     {.x[0] = 0xffffffff80000000, .x[1] = MEM - 4}},
    {"ldr x0, [x1, w2, sxtw #3]", {0xf862d820}, {.x[1] = MEM, .x[2] = 0xffffffff, .mem[3] = 7}, {.x[0] = 7}},
    {"strh w2, [x1, #6]", {0x79000c22}, {.x[1] = MEM, .x[2] = 0x12345678}, {.mem[4] = 0x5678ull << 48}},
    {"ldp w0, w2, [x1, #8]",
     {0x29410820},
     {.x[1] = MEM, .mem[5] = 0x8000000000000001},
     {.x[0] = 1, .x[2] = 0x80000000}},
    {"ldpsw x0, x2, [x1]",
     {0x69400820},
     {.x[1] = MEM, .mem[4] = 0x80000000fffffffe},
     {.x[0] = -2ull, .x[2] = 0xffffffff80000000}},
    {"stp x2, x3, [x1, #-16]!",
     {0xa9bf0c22},
     {.x[1] = MEM, .x[2] = 2, .x[3] = 3},
     {.x[1] = MEM - 16, .mem[2] = 2, .mem[3] = 3}},
    {"ldr q1, [x1]", {0x3dc00021}, {.x[1] = MEM, .mem[4] = 5, .mem[5] = 6}, {.v[1] = {5, 6}}},
    {"ldr b1, [x1, #3]",
     {0x3d400c21},
     {.x[1] = MEM, .mem[4] = 0x12345678, .v[1] = {-1ull, -1ull}},
     {.v[1] = {0x12, ZERO}}},
    {"str s1, [x1]", {0xbd000021}, {.x[1] = MEM, .v[1] = {0x1122334455667788, 9}}, {.mem[4] = 0x55667788}},
    {"ldp d1, d2, [x1]",
     {0x6d400821},
     {.x[1] = MEM, .mem[4] = 1, .mem[5] = 2, .v[1] = {3, 4}},
     {.v[1] = {1, ZERO}, .v[2] = {2, 0}}},
    {"ldur x0, [x1, #-8]", {0xf85f8020}, {.x[1] = MEM, .mem[3] = 9}, {.x[0] = 9}},
    {"ldur x0, [x1, #-8] unaligned",
     {0xf85f8020},
     {.x[1] = MEM + 1, .mem[3] = 0x900, .mem[4] = 1},
     {.x[0] = 0x0100000000000009}},
    {"ldtr w0, [x1]", {0xb8400820}, {.x[1] = MEM, .mem[4] = 9}, {.x[0] = 9}},
    {"ldar w0, [x1]", {0x88dffc20}, {.x[1] = MEM, .mem[4] = 0x1ffffffff}, {.x[0] = 0xffffffff}},
    {"ldar w0, [x1] unaligned in 16 bytes", {0x88dffc20}, {.x[1] = MEM + 1, .mem[4] = 0x100}, {.x[0] = 1}},
    {"stlrb w2, [x1]", {0x089ffc22}, {.x[1] = MEM, .x[2] = 0x1ff}, {.mem[4] = 0xff}},
    {"ldapr x0, [x1]", {0xf8bfc020}, {.x[1] = MEM, .mem[4] = 4}, {.x[0] = 4}},
    {"ldapursb x0, [x1, #1]", {0x19801020}, {.x[1] = MEM, .mem[4] = 0x8000}, {.x[0] = -128ull}},
    {"ldadd w2, w0, [x1]",
     {0xb8220020},
     {.x[1] = MEM, .x[2] = 1, .mem[4] = 0x5ffffffff},
     {.x[0] = 0xffffffff, .mem[4] = 0x500000000}},
    {"ldsmaxb w2, w0, [x1]",
     {0x38224020},
     {.x[1] = MEM, .x[2] = 0x17f, .mem[4] = 0x3380},
     {.x[0] = 0x80, .mem[4] = 0x337f}},
    {"ldclral x2, x0, [x1]",
     {0xf8e21020},
     {.x[1] = MEM, .x[2] = 0xf, .mem[4] = 0xff},
     {.x[0] = 0xff, .mem[4] = 0xf0}},
    {"swph w2, w0, [x1]",
     {0x78228020},
     {.x[1] = MEM, .x[2] = 0x12345, .mem[4] = 0x98765},
     {.x[0] = 0x8765, .mem[4] = 0x92345}},
    {"cas w0, w2, [x1] equal",
     {0x88a07c22},
     {.x[0] = 0x100000005, .x[1] = MEM, .x[2] = 6, .mem[4] = 5},
     {.x[0] = 5, .mem[4] = 6}},
    {"cas w0, w2, [x1] different",
     {0x88a07c22},
     {.x[0] = 4, .x[1] = MEM, .x[2] = 6, .mem[4] = 5},
     {.x[0] = 5}},
    {"casp x2, x3, x4, x5, [x1] equal",
     {0x48227c24},
     {.x[1] = MEM, .x[2] = 1, .x[3] = 2, .x[4] = 3, .x[5] = 4, .mem[4] = 1, .mem[5] = 2},
     {.mem[4] = 3, .mem[5] = 4}},
    {"casp x2, x3, x4, x5, [x1] different",
     {0x48227c24},
     {.x[1] = MEM, .x[2] = 1, .x[3] = 2, .x[4] = 3, .x[5] = 4, .mem[4] = 1, .mem[5] = 9},
     {.x[3] = 9}},
    {"dc zva, x1",
     {0xd50b7421},
     {.x[1] = MEM + 3, .mem = {1, 2, 3, 4, 5, 6, 7, 8}},
     {.mem = {ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO}}},

    /* Exclusives. */
    {"ldxr, stxr pass",
     {0xc85f7c20, 0xc8037c22},
     {.x[1] = MEM, .x[2] = 8, .x[3] = 7, .mem[4] = 4},
     {.x[0] = 4, .x[3] = ZERO, .mem[4] = 8}},
    {"stxr without ldxr", {0xc8037c22}, {.x[1] = MEM, .x[2] = 8, .x[3] = 7, .mem[4] = 4}, {.x[3] = 1}},
    {"ldxr, clrex, stxr",
     {0xc85f7c20, 0xd5033f5f, 0xc8037c22},
     {.x[1] = MEM, .x[2] = 8, .mem[4] = 4},
     {.x[0] = 4, .x[3] = 1}},
    {"ldxr, str, stxr",
     {0xc85f7c20, 0xf9000021, 0xc8037c22},
     {.x[1] = MEM, .x[2] = 8, .mem[4] = 4},
     {.x[0] = 4, .x[3] = 1, .mem[4] = MEM}},
    {"ldxr, stxr elsewhere",
     {0xc85f7c20, 0x91002021, 0xc8037c22},
     {.x[1] = MEM, .x[2] = 8, .mem[4] = 4, .mem[5] = 4},
     {.x[0] = 4, .x[1] = MEM + 8, .x[3] = 1}},
    {"ldxr, stxr of half of it",
     {0xc85f7c20, 0x88037c22},
     {.x[1] = MEM, .x[2] = 8, .mem[4] = 4},
     {.x[0] = 4, .x[3] = 1}},
    {"ldxr, load elsewhere, stxr",
     {0xc85f7c20, 0xf9400424, 0xc8037c22},
     {.x[1] = MEM, .x[2] = 8, .mem[4] = 4, .mem[5] = 5},
     {.x[0] = 4, .x[4] = 5, .x[3] = ZERO, .mem[4] = 8}},
    {"ldxrb, stxrb of more bits",
     {0x085f7c20, 0x08037c22},
     {.x[1] = MEM, .x[2] = 0x108, .x[3] = 7, .mem[4] = 0x1104},
     {.x[0] = 4, .x[3] = ZERO, .mem[4] = 0x1108}},
    {"ldxr, stxr, stxr",
     {0xc85f7c20, 0xc8037c22, 0xc8037c22},
     {.x[1] = MEM, .x[2] = 8, .mem[4] = 4},
     {.x[0] = 4, .x[3] = 1, .mem[4] = 8}},
    {"ldxp, stxp of words",
     {0x887f0820, 0x88251023},
     {.x[1] = MEM, .x[3] = 3, .x[4] = 4, .x[5] = 9, .mem[4] = 1ull << 32},
     {.x[0] = ZERO, .x[2] = 1, .x[5] = ZERO, .mem[4] = 4ull << 32 | 3}},
    {"ldaxp, stlxp of doublewords",
     {0xc87f8820, 0xc8259023},
     {.x[1] = MEM, .x[3] = 3, .x[4] = 4, .x[5] = 9, .mem[4] = 1, .mem[5] = 2},
     {.x[0] = 1, .x[2] = 2, .x[5] = ZERO, .mem[4] = 3, .mem[5] = 4}},

    /* Branches: the words skipped would be seen in x0. */
    {"b over mov", {0x14000002, 0xd2800020}, {0}, {0}},
    {"b.eq taken", {0x54000040, 0xd2800020}, {.nzcv = Z}, {0}},
    {"b.eq not taken", {0x54000040, 0xd2800020}, {0}, {.x[0] = 1}},
    {"cbnz w1 of high bits", {0x35000041, 0xd2800020}, {.x[1] = BIT(32)}, {.x[0] = 1}},
    {"cbz x1", {0xb4000041, 0xd2800020}, {.x[1] = BIT(32)}, {.x[0] = 1}},
    {"tbnz x1, #32", {0xb7000041, 0xd2800020}, {.x[1] = BIT(32)}, {0}},
    {"bl, ret", {0x94000003, 0xd2800020, 0x14000002, 0xd65f03c0}, {0}, {.x[0] = 1, .x[30] = BOX_CODE + 4}},
    {"blr x30", {0xd63f03c0, 0xd2800020}, {.x[30] = BOX_CODE + 8}, {.x[30] = BOX_CODE + 4}},
    {"br x16", {0xd61f0200, 0xd2800020}, {.x[16] = BOX_CODE + 8}, {0}},
    {"loop: subs, b.ne",
     {0x8b010000, 0xf1000421, 0x54ffffc1},
     {.x[1] = 100},
     {.x[0] = 5050, .x[1] = ZERO, .nzcv = Z | C}},

    /* System registers that EL0 has. */
    {"msr, mrs tpidr_el0", {0xd51bd041, 0xd53bd040}, {.x[1] = 77}, {.x[0] = 77}},
    {"msr, mrs fpcr: existing bits", {0xd51b4401, 0xd53b4400}, {.x[1] = -1ull}, {.x[0] = 0x07c80000}},
    {"msr, mrs fpsr: existing bits", {0xd51b4421, 0xd53b4420}, {.x[1] = -1ull}, {.x[0] = 0x0800009f}},
    {"nop, yield, csdb, dmb, dsb, isb, sb",
     {0xd503201f, 0xd503203f, 0xd503229f, 0xd5033bbf, 0xd5033f9f, 0xd5033fdf, 0xd50330ff},
     {0},
     {0}},
    /* Keys are off: pointer authentication leaves pointers alone; XPAC does not need them. */
    {"pacia x0, x1; autia", {0xdac10020, 0xdac11020}, {.x[0] = 0x123456, .x[1] = 1}, {0}},
    {"xpaci x0", {0xdac143e0}, {.x[0] = 0x7f5a000012345678}, {.x[0] = 0x12345678}},
    {"xpacd x0 upper", {0xdac147e0}, {.x[0] = 0x80ff801234567890}, {.x[0] = 0xffff801234567890}},
};

/* ---- running rows ---- */

static uint64_t before(unsigned i, uint64_t in)
{
    return in != 0 ? in : 0x1111000000000000ull + i; /* something to be kept */
}

static uint64_t after(uint64_t old, uint64_t out)
{
    return out == ZERO ? 0 : out != 0 ? out : old;
}

static void set_values(A64Box *box, const A64Values *in)
{
    A64Cpu *cpu = box->cpu;

    for (unsigned i = 0; i < 31; i++) {
        cpu->x[i] = in->x[i];
    }
    cpu->sp = before(31, in->sp);
    cpu->nzcv = in->nzcv;
    memset(cpu->v, 0, sizeof(cpu->v));
    memcpy(cpu->v, in->v, sizeof(in->v));
    for (unsigned i = 0; i < MEM_WORDS; i++) {
        le64_put(box->data + 8 * i, in->mem[i]);
    }
}

static void expect(const A64Case *c, const char *what, unsigned i, uint64_t got, uint64_t want)
{
    if (got != want) {
        fail_msg("%s: %s%u is 0x%" PRIx64 ", not 0x%" PRIx64, c->name, what, i, got, want);
    }
}

static void check_values(A64Box *box, const A64Case *c)
{
    const A64Cpu *cpu = box->cpu;
    uint32_t      flags = c->out.nzcv == 0 ? c->in.nzcv : c->out.nzcv & 15;

    for (unsigned i = 0; i < 31; i++) {
        expect(c, "x", i, cpu->x[i], after(c->in.x[i], c->out.x[i]));
    }
    expect(c, "sp", 0, cpu->sp, after(before(31, c->in.sp), c->out.sp));
    expect(c, "nzcv", 0, cpu->nzcv, flags);
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned half = 0; half < 2; half++) {
            expect(c, "v", i, cpu->v[i][half], after(c->in.v[i][half], c->out.v[i][half]));
        }
    }
    for (unsigned i = 0; i < MEM_WORDS; i++) {
        expect(c, "mem", i, le64_get(box->data + 8 * i), after(c->in.mem[i], c->out.mem[i]));
    }
}

/* The row's words, then BRK: always the same count, so that a row sees nothing of the one before. */
static void put_code(A64Box *box, const uint32_t *code)
{
    uint32_t words[MAX_WORDS + 2];

    for (unsigned i = 0; i < ARRAY_LEN(words); i++) {
        words[i] = i < MAX_WORDS && code[i] != 0 ? code[i] : BRK;
    }
    a64_box_code(box, BOX_CODE, words, ARRAY_LEN(words));
}

static void test_rows(void **state)
{
    A64Box *box = a64_box_new();

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        put_code(box, cases[i].code);
        a64_box_enter(box, 0, BOX_CODE);
        set_values(box, &cases[i].in);
        if (!a64_box_run(box, 1000) || a64_box_ec(box) != 0x3c) {
            fail_msg("%s: did not end at BRK (EC 0x%x)", cases[i].name, a64_box_ec(box));
        }
        check_values(box, &cases[i]);
    }
    a64_box_free(box);
}

/* ---- exceptions ---- */

typedef struct ExcCase {
    const char *name;
    unsigned    el;
    uint32_t    code[MAX_WORDS];
    uint64_t    x0, sp;
    unsigned    ec;
    uint32_t    iss;
    uint64_t    return_pc; /* relative to BOX_CODE */
    uint64_t    sctlr;     /* bits of SCTLR_EL2 that are set as well */
} ExcCase;

enum { SA = 1 << 3, SA0 = 1 << 4, A_CHECK = 1 << 1 };

static const ExcCase exc_cases[] = {
    {"svc", 0, {0xd503201f, 0xd4024681}, 0, 0, 0x15, 0x1234, 8, 0},
    {"hvc at EL2", 2, {0xd4000022}, 0, 0, 0x16, 1, 4, 0},
    {"hvc at EL0 is undefined", 0, {0xd4000022}, 0, 0, 0, 0, 0, 0},
    {"smc at EL0 is undefined", 0, {0xd4000023}, 0, 0, 0, 0, 0, 0},
    {"brk", 0, {0xd503201f, 0xd4200540}, 0, 0, 0x3c, 42, 4, 0},
    {"udf", 0, {0xd503201f, 0x0000002a}, 0, 0, 0, 0, 4, 0},
    {"hlt", 0, {0xd4400000}, 0, 0, 0, 0, 0, 0},
    {"reserved: add with shift 3", 0, {0x8bc00000}, 0, 0, 0, 0, 0, 0},
    {"eret at EL0", 0, {0xd69f03e0}, 0, 0, 0, 0, 0, 0},
    {"mrs currentel at EL0", 0, {0xd5384240}, 0, 0, 0, 0, 0, 0},
    {"msr spsel at EL0", 0, {0xd50041bf}, 0, 0, 0, 0, 0, 0},
    {"msr pstate field that is none", 2, {0xd500405f | 7 << 5}, 0, 0, 0, 0, 0, 0},
    {"br to a misaligned address", 0, {0xd61f0000}, BOX_CODE + 0x102, 0, 0x22, 0, 0x102, 0},
    {"ldr with misaligned sp, checked", 0, {0xf94003e1}, 0, MEM + 8, 0x26, 0, 0, SA0},
    {"second access with misaligned sp", 0, {0xf94003e1, 0xd10023ff, 0xf94003e1}, 0, MEM, 0x26, 0, 8, SA0},
    {"sp stays aligned",
     0,
     {0xf94003e1, 0xa9bf03e1, 0xf94003e1, 0xa8c103e1, 0xf94003e1, BRK},
     0,
     MEM,
     0x3c,
     0,
     20,
     SA0},
    {"misaligned sp, not checked", 0, {0xf94003e1, BRK}, 0, MEM + 8, 0x3c, 0, 4, SA},
    {"misaligned ldr, checked", 0, {0xf9400001}, MEM + 4, 0, 0x24, 0x21, 0, A_CHECK},
    {"ldaxr across 16 bytes", 0, {0xc85ffc01}, MEM + 12, 0, 0x24, 0x21, 0, 0},
    {"stlr across 16 bytes", 0, {0xc89ffc01}, MEM + 12, 0, 0x24, 0x61, 0, 0},
    {"ldaddh at the end of 16 bytes", 0, {0x78210002}, MEM + 15, 0, 0x24, 0x61, 0, 0},
    {"ldxp of doublewords, misaligned", 0, {0xc87f0402}, MEM + 8, 0, 0x24, 0x21, 0, 0},
    {"stxr across 16 bytes", 0, {0xc8027c01}, MEM + 12, 0, 0x24, 0x61, 0, 0},
};

static void test_exceptions(void **state)
{
    A64Box  *box = a64_box_new();
    uint64_t sctlr = box->cpu->el2.sctlr;

    for (size_t i = 0; i < ARRAY_LEN(exc_cases); i++) {
        const ExcCase *c = &exc_cases[i];
        A64Values      in = { .x[0] = c->x0, .sp = c->sp };
        A64Case        shown = { .name = c->name };

        box->cpu->el2.sctlr = sctlr | c->sctlr;
        put_code(box, c->code);
        a64_box_enter(box, c->el, BOX_CODE);
        set_values(box, &in);
        assert_true(a64_box_run(box, 1000));
        expect(&shown, "EC", 0, a64_box_ec(box), c->ec + (c->el == 2 && (c->ec == 0x24)));
        /* Of a data abort: WnR and the fault status. */
        expect(&shown, "ISS", 0, box->exc.esr & (c->ec == 0x24 ? 0x7f : 0x1ffffff), c->iss);
        expect(&shown, "return address", 0, box->exc.return_pc, BOX_CODE + c->return_pc);
        expect(&shown, "x1", 0, box->cpu->x[1], 0);
    }
    a64_box_free(box);
}

/* ---- what takes more than a row ---- */

static uint64_t run_to_brk(A64Box *box, unsigned el, const uint32_t *code)
{
    put_code(box, code);
    a64_box_enter(box, el, BOX_CODE);
    assert_true(a64_box_run(box, 1000));
    assert_int_equal(a64_box_ec(box), 0x3c);
    return box->cpu->x[0];
}

static void test_levels(void **state)
{
    A64Box *box = a64_box_new();
    A64Cpu *cpu = box->cpu;

    assert_int_equal(run_to_brk(box, 2, (const uint32_t[MAX_WORDS]){0xd5384240}),
                     2 << 2); /* mrs x0, currentel */
    /* msr daifclr, #15; msr daifset, #7; mrs x0, daif */
    assert_int_equal(run_to_brk(box, 2, (const uint32_t[MAX_WORDS]){0xd5034fff, 0xd50347df, 0xd53b4220}),
                     7 << 6);
    /* msr daifset, #2 alone does not leave the block; the register still reads right */
    assert_int_equal(run_to_brk(box, 2, (const uint32_t[MAX_WORDS]){0xd5034fff, 0xd50342df, 0xd53b4220}),
                     2 << 6);
    /* mov x1, #64; msr sp_el0, x1; msr spsel, #0; mov x0, sp; msr spsel, #1 */
    assert_int_equal(
        run_to_brk(box, 2,
                   (const uint32_t[MAX_WORDS]){0xd2800801, 0xd5184101, 0xd50040bf, 0x910003e0, 0xd50041bf}),
        64);
    assert_int_equal(cpu->el1.sp_el0, 64);
    /* msr tpidr_el1, x1; mrs x2, tpidr_el1; msr tpidr_el2, x2; mrs x0, tpidr_el2 */
    assert_int_equal(
        run_to_brk(box, 2, (const uint32_t[MAX_WORDS]){0xd518d081, 0xd538d082, 0xd51cd042, 0xd53cd040}), 64);
    /* adr x1, +20; msr elr_el2, x1; mov x1, #0x3c0 (EL0t, masked); msr spsr_el2, x1; eret; brk #0; target:
     * brk */
    put_code(box, (const uint32_t[MAX_WORDS]){0x100000c1, 0xd51c4021, 0xd2807801, 0xd51c4001, 0xd69f03e0,
                                              0xd4200020});
    a64_box_enter(box, 2, BOX_CODE);
    assert_true(a64_box_run(box, 1000));
    assert_int_equal(box->exc.return_pc, BOX_CODE + 24);
    assert_int_equal(cpu->el, 0);
    a64_box_free(box);
}

/* LDTR at EL2 of a host acts as EL0: a page of EL2 alone is not for it, unless PSTATE.UAO. */
static void test_unprivileged(void **state)
{
    A64Box  *box = a64_box_new();
    uint8_t *entry = box->code + BOX_CODE_SIZE + 0x2000 + (BOX_DATA >> 21) * 8;

    le64_put(entry, le64_get(entry) & ~BIT(6));
    le64_put(box->data, 77);
    box->cpu->x[1] = BOX_DATA;
    assert_int_equal(run_to_brk(box, 2, (const uint32_t[MAX_WORDS]){ 0xf9400020 }), 77); /* ldr x0, [x1] */
    put_code(box, (const uint32_t[MAX_WORDS]){ 0xf8400820 });                            /* ldtr x0, [x1] */
    a64_box_enter(box, 2, BOX_CODE);
    assert_true(a64_box_run(box, 10));
    assert_int_equal(a64_box_ec(box), 0x25);
    assert_int_equal(box->exc.far, BOX_DATA);
    box->cpu->x[0] = 0;
    /* msr uao, #1; ldtr x0, [x1] */
    assert_int_equal(run_to_brk(box, 2, (const uint32_t[MAX_WORDS]){ 0xd500417f, 0xf8400820 }), 77);
    a64_box_free(box);
}

/* Software step: one instruction, then EC 0x32 with ISV. */
static void test_software_step(void **state)
{
    A64Box *box = a64_box_new();
    A64Cpu *cpu = box->cpu;

    /* add x0, x0, #1; b.al +8; udf; add x0, x0, #1 */
    put_code(box, (const uint32_t[MAX_WORDS]){ 0x91000400, 0x5400004e, 1, 0x91000400 });
    cpu->el1.mdscr = 1;
    cpu->el1.oslsr = 0;
    cpu->x[0] = 0;
    uint64_t pc = BOX_CODE;
    static const uint64_t next[] = { BOX_CODE + 4, BOX_CODE + 12, BOX_CODE + 16 };
    for (size_t i = 0; i < ARRAY_LEN(next); i++) {
        a64_box_enter(box, 0, pc);
        cpu->ss = true;
        assert_true(a64_box_run(box, 10));
        assert_int_equal(a64_box_ec(box), 0x32);
        assert_int_equal(box->exc.esr & 0x1ffffff, 1 << 24 | 0x22);
        assert_int_equal(box->exc.return_pc, next[i]);
        assert_int_equal(cpu->x[0], 1 + i / 2);
        pc = next[i];
    }
    /* With PSTATE.SS 0 nothing is executed. */
    a64_box_enter(box, 0, BOX_CODE);
    assert_true(a64_box_run(box, 10));
    assert_int_equal(a64_box_ec(box), 0x32);
    assert_int_equal(box->exc.return_pc, BOX_CODE);
    a64_box_free(box);
}

/* A tagged branch target: the tag never reaches the pc. */
static void test_tagged_target(void **state)
{
    A64Box *box = a64_box_new();

    box->cpu->el2.tcr |= BIT(37); /* TBI0 */
    a64_context_changed(box->cpu);
    box->cpu->x[2] = 0x5a00000000000000 | (BOX_CODE + 8);
    /* br x2; udf; adr x0, . */
    assert_int_equal(run_to_brk(box, 0, (const uint32_t[MAX_WORDS]){0xd61f0040, 1, 0x10000000}),
                     BOX_CODE + 8);
    assert_int_equal(box->exc.return_pc, BOX_CODE + 12);
    a64_box_free(box);
}

/* Signing and authentication with keys on: a signed pointer authenticates, any other faults (FEAT_FPAC). */
static void test_pointer_authentication(void **state)
{
    A64Box *box = a64_box_new();
    A64Cpu *cpu = box->cpu;

    cpu->el2.sctlr |= BIT(31) | BIT(30) | BIT(27) | BIT(13); /* EnIA, EnIB, EnDA, EnDB */
    for (unsigned key = 0; key < 5; key++) {
        cpu->el1.apkey[key][0] = 0x0123456789abcdef * (key + 1);
        cpu->el1.apkey[key][1] = 0xfedcba9876543210 + key;
    }
    cpu->x[0] = BOX_CODE + 8;
    cpu->x[1] = 99;
    uint64_t signed_ptr = run_to_brk(box, 0, (const uint32_t[MAX_WORDS]){ 0xdac10020 }); /* pacia x0, x1 */
    assert_true(signed_ptr != BOX_CODE + 8);
    assert_int_equal(signed_ptr & mask64(48), BOX_CODE + 8);
    assert_int_equal(signed_ptr & BIT(55), 0);
    /* autia x0, x1 */
    assert_int_equal(run_to_brk(box, 0, (const uint32_t[MAX_WORDS]){ 0xdac11020 }), BOX_CODE + 8);
    cpu->x[0] = signed_ptr;
    assert_int_equal(run_to_brk(box, 0, (const uint32_t[MAX_WORDS]){0xdac143e0}),
                     BOX_CODE + 8); /* xpaci x0 */
    /* braa x0, x1 jumps over udf */
    cpu->x[0] = signed_ptr;
    run_to_brk(box, 0, (const uint32_t[MAX_WORDS]){ 0xd71f0801, 0x00000001 });
    assert_int_equal(box->exc.return_pc, BOX_CODE + 8);
    /* The wrong key, B: EC 0x1c, ISS 1, nothing changed. */
    cpu->x[0] = signed_ptr;
    put_code(box, (const uint32_t[MAX_WORDS]){ 0xdac11420 });
    a64_box_enter(box, 0, BOX_CODE);
    assert_true(a64_box_run(box, 10));
    assert_int_equal(a64_box_ec(box), 0x1c);
    assert_int_equal(box->exc.esr & 0x1ffffff, 1);
    assert_int_equal(cpu->x[0], signed_ptr);
    /* paciasp; autiasp through the hint space; pacga gives the upper half only */
    cpu->x[30] = 0x1234;
    run_to_brk(box, 0, (const uint32_t[MAX_WORDS]){ 0xd503233f, 0xd50323bf });
    assert_int_equal(cpu->x[30], 0x1234);
    uint64_t mac = run_to_brk(box, 0, (const uint32_t[MAX_WORDS]){ 0x9ac13040 });
    assert_int_equal(mac & mask64(32), 0);
    assert_true(mac != 0);
    a64_box_free(box);
}

/* AddPAC() of the specification's text, with key A of instructions or data. */
static uint64_t add_pac(const A64Cpu *cpu, bool data, uint64_t ptr, uint64_t modifier)
{
    uint64_t tcr = cpu->el2.tcr;
    bool     tbi[2];

    for (unsigned n = 0; n < 2; n++) {
        tbi[n] = (tcr & BIT(37 + n)) && (data || !(tcr & BIT(51 + n)));
    }
    bool     upper = tbi[0] || tbi[1] ? ptr >> 55 & 1 : ptr >> 63, top = tbi[ptr >> 55 & 1];
    unsigned tsz = tcr >> (upper ? 16 : 0) & 63, bottom = 64 - (tsz < 16 ? 16 : tsz > 48 ? 48 : tsz);
    uint64_t field = (top ? mask64(56) : ~0ull) & ~mask64(bottom);
    uint64_t extended = upper ? ptr | field : ptr & ~field;
    unsigned key = data ? 2 : 0;
    uint64_t code = pac_compute(cpu->el1.apkey[key][0], cpu->el1.apkey[key][1], extended, modifier);

    return deposit64(ptr ^ (code & field), 55, 1, upper);
}

/* Where codes sit follows TCR; after as many layouts as the block key has numbers, helpers do the same. */
static void test_pac_layouts(void **state)
{
    static const uint64_t tbis[] = { 0, BIT(37), BIT(38), BIT(37) | BIT(38), BIT(37) | BIT(51),
                                     BIT(37) | BIT(38) | BIT(52) };
    static const uint64_t ptrs[] = { 0x0000123456789abc, 0xffff923456789abc, 0x5a00123456789abc, 0xa5ff923456789abc,
                                     0x0080000000001000, 0x8000000000001000, 0xffffffff00001000 };
    A64Box *box = a64_box_new();
    A64Cpu *cpu = box->cpu;

    for (unsigned key = 0; key < 4; key++) {
        cpu->el1.apkey[key][0] = 0x0123456789abcdef * (key + 1);
        cpu->el1.apkey[key][1] = 0xfedcba9876543210 + key;
    }
    for (unsigned i = 0; i < 4 * ARRAY_LEN(tbis); i++) {
        cpu->el2.tcr = tbis[i / 4] | (i & 1 ? 16 : 25) | (i & 2 ? 16 : 40) << 16;
        cpu->el2.sctlr = BIT(31) | BIT(27); /* EnIA, EnDA; the MMU off */
        for (unsigned n = 0; n < 2 * ARRAY_LEN(ptrs); n++) {
            bool     data = n & 1;
            uint32_t aut[MAX_WORDS] = { data ? 0xdac11820 : 0xdac11020 };
            uint64_t ptr = ptrs[n / 2], want = add_pac(cpu, data, ptr, 99);

            cpu->x[0] = ptr;
            cpu->x[1] = 99;
            assert_int_equal(run_to_brk(box, 0, (const uint32_t[MAX_WORDS]){ data ? 0xdac10820 : 0xdac10020 }), want);
            cpu->x[0] = want;
            uint64_t stripped = run_to_brk(box, 0, (const uint32_t[MAX_WORDS]){ data ? 0xdac147e0 : 0xdac143e0 });
            if (stripped == ptr) { /* it was canonical: the code is good */
                cpu->x[0] = want;
                assert_int_equal(run_to_brk(box, 0, aut), ptr);
            }
            cpu->x[0] = want ^ BIT(53);
            put_code(box, aut);
            a64_box_enter(box, 0, BOX_CODE);
            assert_true(a64_box_run(box, 10));
            assert_int_equal(a64_box_ec(box), 0x1c);
            assert_int_equal(box->exc.esr & 0x1ffffff, data ? 2 : 0);
        }
    }
    a64_box_free(box);
}

/* The page's GP bit is what makes BTYPE matter. */
static void test_branch_targets(void **state)
{
    static const struct {
        const char *name;
        uint32_t    branch, target;
        unsigned    ec;
    } rows[] = {
        { "br to nop", 0xd61f0040, 0xd503201f, 0x0d },
        { "br to bti j", 0xd61f0040, 0xd503249f, 0x3c },
        { "br to bti c", 0xd61f0040, 0xd503245f, 0x0d },
        { "br x16 to bti c", 0xd61f0200, 0xd503245f, 0x3c },
        { "br to bti jc", 0xd61f0040, 0xd50324df, 0x3c },
        { "blr to bti c", 0xd63f0040, 0xd503245f, 0x3c },
        { "blr to bti j", 0xd63f0040, 0xd503249f, 0x0d },
        { "blr to paciasp", 0xd63f0040, 0xd503233f, 0x3c },
        { "blr to brk", 0xd63f0040, 0xd4200000, 0x3c },
        { "ret to nop", 0xd65f0040, 0xd503201f, 0x3c },
    };
    A64Box  *box = a64_box_new();
    uint8_t *entry = box->code + BOX_CODE_SIZE + 0x2000 + (BOX_CODE >> 21) * 8;

    le64_put(entry, le64_get(entry) | BIT(50));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        put_code(box, (const uint32_t[MAX_WORDS]){ rows[i].branch, 0xd503201f, rows[i].target });
        a64_box_enter(box, 0, BOX_CODE);
        box->cpu->x[2] = box->cpu->x[16] = BOX_CODE + 8;
        assert_true(a64_box_run(box, 10));
        if (a64_box_ec(box) != rows[i].ec) {
            fail_msg("%s: EC 0x%x, not 0x%x", rows[i].name, a64_box_ec(box), rows[i].ec);
        }
        if (rows[i].ec == 0x0d) {
            assert_int_equal(box->exc.return_pc, BOX_CODE + 8);
            assert_int_equal(box->exc.esr & 3, (rows[i].branch >> 21 & 1) != 0 ? 2
                                               : rows[i].branch == 0xd61f0200  ? 1
                                                                               : 3);
        } else if (rows[i].target != BRK) {
            assert_int_equal(box->cpu->btype, 0);
        }
    }
    a64_box_free(box);
}

/* The syndrome bits of single accesses. */
static void test_access_syndrome(void **state)
{
    static const struct {
        const char *name;
        uint32_t    insn, iss;
    } rows[] = {
        { "ldr w3, [x1, #4]", 0xb9400423, 1u << 24 | 2u << 22 | 3 << 16 },
        { "ldrsb x5, [x1]", 0x39800025, 1u << 24 | 1 << 21 | 5 << 16 | 1 << 15 },
        { "str x7, [x1, x2]", 0xf8226827, 1u << 24 | 3u << 22 | 7 << 16 | 1 << 15 },
        { "ldar w0, [x1]", 0x88dffc20, 1u << 24 | 2u << 22 | 1 << 14 },
        { "ldr x0, [x1], #8", 0xf8408420, 0 },
        { "ldp x0, x1, [x2]", 0xa9400440, 0 },
        { "ldxr x0, [x1]", 0xc85f7c20, 0 },
        { "ldr q0, [x1]", 0x3dc00020, 0 },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (a64_access_iss(rows[i].insn) != rows[i].iss) {
            fail_msg("%s: 0x%x, not 0x%x", rows[i].name, a64_access_iss(rows[i].insn), rows[i].iss);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_exceptions),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_unprivileged),
        cmocka_unit_test(test_software_step),
        cmocka_unit_test(test_tagged_target),
        cmocka_unit_test(test_pointer_authentication),
        cmocka_unit_test(test_pac_layouts),
        cmocka_unit_test(test_branch_targets),
        cmocka_unit_test(test_access_syndrome),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
