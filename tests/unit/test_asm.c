/*
 * The x86-64 emitter against a disassembler: every function, every register in every place, the forms of addresses and
 * the boundaries of immediates; then lengths, labels, patches and the end of the buffer. test_asm_run.c runs the code.
 */
#include <capstone/capstone.h>
#include <glib.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bits.h"
#include "cpu/jit/asm.h"
#include "cpu/jit/asm_sse.h"

#define RUNNING 0x40000000 /* where the code would run; nothing here does */
#define REGS    16

static uint8_t  code[0x2000];
static Asm      a;
static csh      capstone;
static cs_insn *insn;

static const char *const        r64[] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                          "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15" };
static const char *const        r32[] = { "eax", "ecx", "edx",  "ebx",  "esp",  "ebp",  "esi",  "edi",
                                          "r8d", "r9d", "r10d", "r11d", "r12d", "r13d", "r14d", "r15d" };
static const char *const        r16[] = { "ax",  "cx",  "dx",   "bx",   "sp",   "bp",   "si",   "di",
                                          "r8w", "r9w", "r10w", "r11w", "r12w", "r13w", "r14w", "r15w" };
static const char *const        r8[] = { "al",  "cl",  "dl",   "bl",   "spl",  "bpl",  "sil",  "dil",
                                         "r8b", "r9b", "r10b", "r11b", "r12b", "r13b", "r14b", "r15b" };
static const char *const *const by_size[] = { r8, r16, r32, r64 };
static const char *const        size_ptr[] = { "byte", "word", "dword", "qword" };

static const char *r(bool w, unsigned n)
{
    return w ? r64[n] : r32[n];
}

static const char *ptr(bool w)
{
    return w ? "qword" : "dword";
}

/* ---- the oracle ---- */

/* Numbers in one form: hexadecimal, outside of addresses only as many bits as the operand has. */
static char *canonical(const char *text, unsigned bits)
{
    GString *out = g_string_new(NULL);
    uint64_t mask = bits == 64 ? UINT64_MAX : (1ull << bits) - 1;
    bool     in_address = false;

    for (const char *p = text; *p != '\0';) {
        bool starts = p == text || strchr(" ,[", p[-1]) != NULL;

        in_address = *p == '[' || (in_address && *p != ']');
        if (starts && (g_ascii_isdigit(*p) || (*p == '-' && g_ascii_isdigit(p[1])))) {
            char    *end;
            uint64_t v = *p == '-' ? (uint64_t)strtoll(p, &end, 0) : strtoull(p, &end, 0);

            g_string_append_printf(out, "0x%" PRIx64, in_address ? v : v & mask);
            p = end;
        } else {
            g_string_append_c(out, *p++);
        }
    }
    return g_string_free(out, FALSE);
}

/* What stands in @code from @from on, "; " between instructions; checks that all bytes belong to one. */
static char *disassemble(const uint8_t *from)
{
    GString       *out = g_string_new(NULL);
    size_t         left = (size_t)(a.p - from);
    uint64_t       at = (uint64_t)(from - code) + RUNNING;
    const uint8_t *p = from;

    while (left != 0) {
        if (!cs_disasm_iter(capstone, &p, &left, &at, insn)) {
            g_string_append_printf(out, "(cannot decode from byte %zu on)", (size_t)(p - from));
            break;
        }
        g_string_append_printf(out, "%s%s%s%s", out->len != 0 ? "; " : "", insn->mnemonic,
                               insn->op_str[0] != '\0' ? " " : "", insn->op_str);
    }
    return g_strchomp(g_string_free(out, FALSE));
}

static void start(void)
{
    X86Host host = a.host;

    asm_init(&a, code, sizeof(code), (intptr_t)RUNNING - (intptr_t)code);
    a.host = host;
}

static int set_up(void **state)
{
    assert_int_equal(cs_open(CS_ARCH_X86, CS_MODE_64, &capstone), CS_ERR_OK);
    insn = cs_malloc(capstone);
    return 0;
}

static int begin(void **state)
{
    a.host = (X86Host){ 0 };
    start();
    return 0;
}

static int tear_down(void **state)
{
    cs_free(insn, 1);
    return cs_close(&capstone) == CS_ERR_OK ? 0 : -1;
}

/* Fails unless the code since start(), disassembled to @raw, is @want; starts anew. */
static void check_same(unsigned bits, const char *want, const char *raw)
{
    g_autofree char *got = canonical(raw, bits);
    g_autofree char *wanted = canonical(want, bits);

    if (strcmp(got, wanted) != 0) {
        GString *bytes = g_string_new(NULL);

        for (uint8_t *p = code; p < a.p; p++) {
            g_string_append_printf(bytes, " %02x", *p);
        }
        fail_msg("wanted \"%s\", got \"%s\" from%s", wanted, got, bytes->str);
    }
    start();
}

static void G_GNUC_PRINTF(2, 3) check(unsigned bits, const char *format, ...)
{
    g_autofree char *raw = disassemble(code);
    g_autofree char *want = NULL;
    va_list          args;

    va_start(args, format);
    want = g_strdup_vprintf(format, args);
    va_end(args);
    assert_false(a.full);
    check_same(bits, want, raw);
}

/* An address as the disassembler writes it. */
static const char *mem_text(X86Mem m)
{
    static char text[80];
    GString    *s = g_string_new("[");

    if (m.base != X86_NO_REG) {
        g_string_append(s, r64[m.base]);
    }
    if (m.index != X86_NO_REG) {
        g_string_append_printf(s, "%s%s", m.base != X86_NO_REG ? " + " : "", r64[m.index]);
        if (m.scale != 0) {
            g_string_append_printf(s, "*%d", 1 << m.scale);
        }
    }
    if (s->len == 1) {
        g_string_append_printf(s, "0x%" PRIx64, (uint64_t)(int64_t)m.disp);
    } else if (m.disp != 0) {
        g_string_append_printf(s, " %c 0x%" PRIx64, m.disp < 0 ? '-' : '+', (uint64_t)llabs((long long)m.disp));
    }
    g_string_append_c(s, ']');
    g_strlcpy(text, s->str, sizeof(text));
    g_string_free(s, TRUE);
    return text;
}

static const int32_t disps[] = { 0, 1, -1, 127, 128, -128, -129, INT32_MAX, INT32_MIN };
static const int32_t imms[] = { 0, 1, -1, 127, 128, -128, -129, 255, 256, 0x7fff, 0x8000, INT32_MAX, INT32_MIN };

/* The i-th of some addresses: every register as a base with every displacement, then as an index, then no base. */
#define N_MEMS (REGS * ARRAY_LEN(disps) + REGS + 2)
static X86Mem some_mem(unsigned i)
{
    unsigned n = i - REGS * ARRAY_LEN(disps);

    if (i < REGS * ARRAY_LEN(disps)) {
        return X86_AT((X86Reg)(i % REGS), disps[i / REGS]);
    }
    if (n < REGS) {
        X86Reg index = n == RSP ? R12 : (X86Reg)n;

        return X86_INDEX((X86Reg)((n + 5) % REGS), index, (uint8_t)(n % 4), disps[n % ARRAY_LEN(disps)]);
    }
    return n == REGS ? X86_INDEX(X86_NO_REG, R13, 3, 0x1000) : X86_AT(X86_NO_REG, 0x1000);
}

/* ---- registers ---- */

static const char *const alu_names[] = { "add", "or", "adc", "sbb", "and", "sub", "xor", "cmp" };
static const char *const cc_names[] = { "o", "no", "b", "ae", "e", "ne", "be", "a",
                                        "s", "ns", "p", "np", "l", "ge", "le", "g" };

typedef struct TwoRegs {
    const char *name;
    void (*emit)(Asm *a, bool w, X86Reg x, X86Reg y);
} TwoRegs;

static const TwoRegs two_regs[] = {
    { "test", asm_test_rr }, { "mov", asm_mov_rr },  { "imul", asm_imul_rr }, { "bsr", asm_bsr },
    { "bsf", asm_bsf },      { "lzcnt", asm_lzcnt }, { "tzcnt", asm_tzcnt },  { "popcnt", asm_popcnt },
};

static void check_two_regs(bool w, X86Reg x, X86Reg y)
{
    for (unsigned i = 0; i < ARRAY_LEN(two_regs); i++) {
        two_regs[i].emit(&a, w, x, y);
        check(64, "%s %s, %s", two_regs[i].name, r(w, x), r(w, y));
    }
    for (unsigned op = 0; op < 8; op++) {
        asm_alu_rr(&a, (X86Alu)op, w, x, y);
        check(64, "%s %s, %s", alu_names[op], r(w, x), r(w, y));
    }
    asm_cmov(&a, (X86Cond)(y & 15), w, x, y);
    check(64, "cmov%s %s, %s", cc_names[y & 15], r(w, x), r(w, y));
    asm_rorx(&a, w, x, y, 13);
    check(64, "rorx %s, %s, 13", r(w, x), r(w, y));
    for (unsigned i = 0; i < ARRAY_LEN(imms); i++) {
        asm_imul_rri(&a, w, x, y, imms[i]);
        check(w ? 64 : 32, "imul %s, %s, %d", r(w, x), r(w, y), imms[i]);
    }
}

/* The two registers of an exchange stand in either order. */
static void check_xchg(bool w, X86Reg x, X86Reg y)
{
    bool short_form = (x == RAX) != (y == RAX);

    asm_xchg(&a, w, x, y);
    assert_int_equal(asm_size(&a), (short_form ? 1 : 2) + (w || x >= R8 || y >= R8));
    check(64, "xchg %s, %s", r(w, short_form ? RAX : x), r(w, short_form && x == RAX ? y : short_form ? x : y));
}

static void check_extensions(X86Reg d, X86Reg s)
{
    asm_zext(&a, 0, d, s);
    check(64, "movzx %s, %s", r32[d], r8[s]);
    asm_zext(&a, 1, d, s);
    check(64, "movzx %s, %s", r32[d], r16[s]);
    asm_zext(&a, 2, d, s);
    check(64, "mov %s, %s", r32[d], r32[s]);
    for (unsigned w = 0; w < 2; w++) {
        asm_sext(&a, 0, w, d, s);
        check(64, "movsx %s, %s", r(w, d), r8[s]);
        asm_sext(&a, 1, w, d, s);
        check(64, "movsx %s, %s", r(w, d), r16[s]);
        asm_sext(&a, 2, w, d, s);
        check(64, "%s %s, %s", w ? "movsxd" : "mov", r(w, d), r32[s]);
    }
    for (unsigned size = 0; size < 4; size++) {
        asm_crc32c(&a, size, d, s);
        check(64, "crc32 %s, %s", r(size == 3, d), by_size[size][s]);
    }
}

static void test_two_registers(void **state)
{
    for (unsigned x = 0; x < REGS; x++) {
        for (unsigned y = 0; y < REGS; y++) {
            for (unsigned w = 0; w < 2; w++) {
                check_two_regs(w, (X86Reg)x, (X86Reg)y);
                check_xchg(w, (X86Reg)x, (X86Reg)y);
            }
            check_extensions((X86Reg)x, (X86Reg)y);
        }
    }
}

/* BMI: three registers. The last two stand the other way round in all but ANDN and MULX. */
static void check_three_regs(bool w, X86Reg d, X86Reg s, X86Reg n)
{
    static const char *const names[] = { [SH_SHL] = "shlx", [SH_SHR] = "shrx", [SH_SAR] = "sarx" };

    for (unsigned op = SH_SHL; op <= SH_SAR; op += op == SH_SHR ? 2 : 1) {
        asm_shiftx(&a, (X86Shift)op, w, d, s, n);
        check(64, "%s %s, %s, %s", names[op], r(w, d), r(w, s), r(w, n));
    }
    asm_bextr(&a, w, d, s, n);
    check(64, "bextr %s, %s, %s", r(w, d), r(w, s), r(w, n));
    asm_bzhi(&a, w, d, s, n);
    check(64, "bzhi %s, %s, %s", r(w, d), r(w, s), r(w, n));
    asm_pext(&a, w, d, s, n);
    check(64, "pext %s, %s, %s", r(w, d), r(w, s), r(w, n));
    asm_andn(&a, w, d, s, n);
    check(64, "andn %s, %s, %s", r(w, d), r(w, s), r(w, n));
    asm_mulx(&a, w, d, s, n);
    check(64, "mulx %s, %s, %s", r(w, d), r(w, s), r(w, n));
}

static void test_three_registers(void **state)
{
    for (unsigned i = 0; i < REGS * REGS * REGS; i++) {
        for (unsigned w = 0; w < 2; w++) {
            check_three_regs(w, (X86Reg)(i / 256), (X86Reg)(i / 16 % 16), (X86Reg)(i % 16));
        }
    }
}

static void check_shifts(bool w, X86Reg d)
{
    static const char *const names[] = { "rol", "ror", NULL, NULL, "shl", "shr", NULL, "sar" };

    for (unsigned op = 0; op < 8; op++) {
        if (names[op] == NULL) {
            continue;
        }
        for (unsigned n = 0; n < (w ? 64 : 32); n++) {
            asm_shift_ri(&a, (X86Shift)op, w, d, n);
            check(64, "%s %s, %u", names[op], r(w, d), n);
        }
        asm_shift_cl(&a, (X86Shift)op, w, d);
        check(64, "%s %s, cl", names[op], r(w, d));
    }
}

static void check_one_reg(bool w, X86Reg d)
{
    asm_not(&a, w, d);
    check(64, "not %s", r(w, d));
    asm_neg(&a, w, d);
    check(64, "neg %s", r(w, d));
    asm_bswap(&a, w, d);
    check(64, "bswap %s", r(w, d));
    for (unsigned sign = 0; sign < 2; sign++) {
        asm_mul(&a, w, sign, d);
        check(64, "%s %s", sign ? "imul" : "mul", r(w, d));
        asm_div(&a, w, sign, d);
        check(64, "%s %s", sign ? "idiv" : "div", r(w, d));
    }
    asm_bt_ri(&a, w, d, w ? 63 : 31);
    check(64, "bt %s, %u", r(w, d), w ? 63 : 31);
    for (unsigned i = 0; i < ARRAY_LEN(imms); i++) {
        for (unsigned op = 0; op < 8; op++) {
            asm_alu_ri(&a, (X86Alu)op, w, d, imms[i]);
            check(w ? 64 : 32, "%s %s, %d", alu_names[op], r(w, d), imms[i]);
        }
        asm_test_ri(&a, w, d, imms[i]);
        if (imms[i] >= 0 && imms[i] < 128) {
            check(8, "test %s, %d", r8[d], imms[i]);
        } else { /* a clear sign bit: the flags are the same with 32 bits */
            check(w ? 64 : 32, "test %s, %d", r(w && imms[i] < 0, d), imms[i]);
        }
    }
    check_shifts(w, d);
}

static void test_one_register(void **state)
{
    for (unsigned d = 0; d < REGS; d++) {
        check_one_reg(false, (X86Reg)d);
        check_one_reg(true, (X86Reg)d);
        for (unsigned cc = 0; cc < 16; cc++) {
            asm_setcc(&a, (X86Cond)cc, (X86Reg)d);
            check(64, "set%s %s", cc_names[cc], r8[d]);
        }
        asm_push(&a, (X86Reg)d);
        check(64, "push %s", r64[d]);
        asm_pop(&a, (X86Reg)d);
        check(64, "pop %s", r64[d]);
        asm_jmp_r(&a, (X86Reg)d);
        check(64, "jmp %s", r64[d]);
        asm_call_r(&a, (X86Reg)d);
        check(64, "call %s", r64[d]);
        asm_lea_code(&a, (X86Reg)d, (void *)(uintptr_t)(RUNNING + 7 + 0x1234));
        check(64, "lea %s, [rip + 0x1234]", r64[d]);
        asm_lea_code(&a, (X86Reg)d, (void *)(uintptr_t)(RUNNING + 7 - 8));
        check(64, "lea %s, [rip - 8]", r64[d]);
    }
}

static void test_move_immediate(void **state)
{
    static const struct {
        uint64_t imm;
        unsigned size; /* without a REX prefix that only the register asks for */
    } rows[] = {
        { 0, 5 },
        { 0x7fffffff, 5 },
        { 0x80000000, 5 },
        { 0xffffffff, 5 },
        { 0x100000000, 10 },
        { 0x7fffffffffffffff, 10 },
        { 0x8000000000000000, 10 },
        { 0xffffffff7fffffff, 10 },
        { 0xffffffff80000000, 7 },
        { UINT64_MAX, 7 },
    };

    for (unsigned d = 0; d < REGS; d++) {
        for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
            asm_mov_ri(&a, (X86Reg)d, rows[i].imm);
            assert_int_equal(asm_size(&a), rows[i].size + (rows[i].size == 5 && d >= R8));
            check(64, "%s %s, 0x%" PRIx64, rows[i].size == 10 ? "movabs" : "mov", r(rows[i].size != 5, d), rows[i].imm);
        }
    }
}

static void test_no_operands(void **state)
{
    static const struct {
        void (*emit)(Asm *a);
        const char *text;
    } rows[] = { { asm_cmc, "cmc" },   { asm_stc, "stc" }, { asm_clc, "clc" },
                 { asm_lahf, "lahf" }, { asm_ret, "ret" }, { asm_ud2, "ud2" } };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        rows[i].emit(&a);
        check(64, "%s", rows[i].text);
    }
    asm_cqo(&a, true);
    check(64, "cqo");
    asm_cqo(&a, false);
    check(64, "cdq");
    asm_u8(&a, 0x90);
    asm_u32(&a, 0x90c3c990);
    check(64, "nop; nop; leave; ret; nop");
    asm_u64(&a, 0x9090909090c3c990);
    check(64, "nop; leave; ret; nop; nop; nop; nop; nop");
}

/* ---- memory ---- */

/* The length of ModRM, SIB and displacement: no longer than the address needs. */
static size_t mem_size(X86Mem m)
{
    size_t sib = m.index != X86_NO_REG || m.base == RSP || m.base == R12 || m.base == X86_NO_REG;
    size_t disp = m.base == X86_NO_REG                            ? 4
                  : m.disp == 0 && m.base != RBP && m.base != R13 ? 0
                  : m.disp >= -128 && m.disp <= 127               ? 1
                                                                  : 4;

    return 1 + sib + disp;
}

/* All of them: any base, any index, any scale, any form of displacement. */
static void check_address(X86Mem m)
{
    bool rex = m.base == X86_NO_REG ? false : m.base >= R8;

    rex |= m.index != X86_NO_REG && m.index >= R8;
    asm_lea(&a, true, RDX, m);
    assert_int_equal(asm_size(&a), 2 + mem_size(m));
    check(64, "lea rdx, %s", mem_text(m));
    if (m.base != X86_NO_REG || m.index != X86_NO_REG) { /* of a constant the disassembler shows just what remains */
        asm_lea(&a, false, RDX, m);
        assert_int_equal(asm_size(&a), 1 + rex + mem_size(m));
        check(64, "lea edx, %s", mem_text(m));
    }
    asm_load(&a, 3, false, true, R9, m);
    check(64, "mov r9, qword ptr %s", mem_text(m));
    for (unsigned avx = 0; avx < 2; avx++) {
        a.host.avx = avx;
        asm_load_x(&a, 4, 9, m);
        check(64, "%smovups xmm9, xmmword ptr %s", avx ? "v" : "", mem_text(m));
    }
}

static void test_addresses(void **state)
{
    for (unsigned base = 0; base <= REGS; base++) {
        for (unsigned index = 0; index <= REGS; index++) {
            for (unsigned i = 0; i < 4 * ARRAY_LEN(disps); i++) {
                X86Mem m = { base == REGS ? X86_NO_REG : (X86Reg)base, index == REGS ? X86_NO_REG : (X86Reg)index,
                             (uint8_t)(i % 4), disps[i / 4] };

                if (index == RSP || (index == REGS && m.scale != 0)) {
                    continue;
                }
                check_address(m);
            }
        }
    }
}

static void check_loads(X86Reg g, X86Mem m)
{
    const char *at = mem_text(m);

    for (unsigned size = 0; size < 4; size++) {
        for (unsigned w = 0; w < 2; w++) {
            const char *sign_name = size == 2 && w ? "movsxd" : size >= 2 ? "mov" : "movsx";

            asm_load(&a, size, false, w, g, m);
            check(64, "%s %s, %s ptr %s", size >= 2 ? "mov" : "movzx", r(size == 3, g), size_ptr[size], at);
            asm_load(&a, size, true, w, g, m);
            check(64, "%s %s, %s ptr %s", sign_name, r(w || size == 3, g), size_ptr[size], at);
        }
    }
}

static void check_stores(X86Reg g, X86Mem m)
{
    const char *at = mem_text(m);

    for (unsigned size = 0; size < 4; size++) {
        asm_store(&a, size, m, g);
        check(64, "mov %s ptr %s, %s", size_ptr[size], at, by_size[size][g]);
        for (unsigned i = 0; i < ARRAY_LEN(imms); i++) {
            asm_store_i(&a, size, m, imms[i]);
            check(8u << size, "mov %s ptr %s, %d", size_ptr[size], at, imms[i]);
        }
    }
}

static void check_alu_memory(bool w, X86Reg g, X86Mem m)
{
    const char *at = mem_text(m);

    for (unsigned op = 0; op < 8; op++) {
        asm_alu_rm(&a, (X86Alu)op, w, g, m);
        check(64, "%s %s, %s ptr %s", alu_names[op], r(w, g), ptr(w), at);
        asm_alu_mr(&a, (X86Alu)op, w, m, g);
        check(64, "%s %s ptr %s, %s", alu_names[op], ptr(w), at, r(w, g));
        asm_alu_mi(&a, (X86Alu)op, w, m, imms[g % ARRAY_LEN(imms)]);
        check(w ? 64 : 32, "%s %s ptr %s, %d", alu_names[op], ptr(w), at, imms[g % ARRAY_LEN(imms)]);
    }
    for (unsigned i = 0; i < ARRAY_LEN(imms); i++) {
        bool byte = imms[i] >= 0 && imms[i] < 128, wide = w && imms[i] < 0;

        asm_test_mi(&a, w, m, imms[i]);
        check(byte ? 8 : wide ? 64 : 32, "test %s ptr %s, %d", byte ? "byte" : ptr(wide), at, imms[i]);
    }
    asm_cmov_m(&a, (X86Cond)(g & 15), w, g, m);
    check(64, "cmov%s %s, %s ptr %s", cc_names[g & 15], r(w, g), ptr(w), at);
}

static void check_sse_memory(unsigned x, X86Mem m)
{
    static const struct {
        unsigned    size;
        const char *name, *ptr;
    } rows[] = { { 2, "movss", "dword" }, { 3, "movsd", "qword" }, { 4, "movups", "xmmword" } };
    const char *at = mem_text(m), *v = a.host.avx ? "v" : "";

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        asm_load_x(&a, rows[i].size, (X86Xmm)x, m);
        check(64, "%s%s xmm%u, %s ptr %s", v, rows[i].name, x, rows[i].ptr, at);
        asm_store_x(&a, rows[i].size, m, (X86Xmm)x);
        check(64, "%s%s %s ptr %s, xmm%u", v, rows[i].name, rows[i].ptr, at, x);
    }
}

static void test_memory(void **state)
{
    for (unsigned i = 0; i < N_MEMS; i++) {
        X86Mem m = some_mem(i);

        for (unsigned g = 0; g < REGS; g++) {
            check_loads((X86Reg)g, m);
            check_stores((X86Reg)g, m);
            check_alu_memory(g & 1, (X86Reg)g, m);
            a.host.avx = g & 1;
            check_sse_memory((g + i) % REGS, m);
        }
        asm_jmp_m(&a, m);
        check(64, "jmp qword ptr %s", mem_text(m));
        asm_ldmxcsr(&a, m);
        check(64, "ldmxcsr dword ptr %s", mem_text(m));
        asm_stmxcsr(&a, m);
        check(64, "stmxcsr dword ptr %s", mem_text(m));
    }
}

/* ---- lengths that the disassembler does not show ---- */

static void test_lengths(void **state)
{
    static const struct {
        X86Reg   d;
        bool     w;
        int32_t  imm;
        unsigned add, test, imul;
    } rows[] = {
        { RAX, false, 127, 3, 2, 3 }, { RAX, false, -128, 3, 5, 3 }, { RAX, false, 128, 5, 5, 6 },
        { RAX, true, 127, 4, 2, 4 },  { RAX, true, -129, 6, 6, 7 },  { RCX, false, 127, 3, 3, 3 },
        { RCX, false, 128, 6, 6, 6 }, { RCX, true, 128, 7, 6, 7 },   { RCX, true, -1, 4, 7, 4 },
        { RSI, false, 1, 3, 4, 3 },   { R8, false, 1, 4, 4, 4 },     { R8, true, INT32_MAX, 7, 7, 7 },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        start();
        asm_alu_ri(&a, ALU_ADD, rows[i].w, rows[i].d, rows[i].imm);
        assert_int_equal(asm_size(&a), rows[i].add);
        start();
        asm_test_ri(&a, rows[i].w, rows[i].d, rows[i].imm);
        assert_int_equal(asm_size(&a), rows[i].test);
        start();
        asm_imul_rri(&a, rows[i].w, rows[i].d, rows[i].d, rows[i].imm);
        assert_int_equal(asm_size(&a), rows[i].imul);
    }
    start();
}

static void test_align(void **state)
{
    for (unsigned bytes = 1; bytes <= 64; bytes *= 2) {
        for (unsigned before = 0; before < 64; before++) {
            g_autofree char *text = NULL;
            uint8_t         *from;

            start();
            a.to_run += 3; /* what counts is where it runs */
            for (unsigned i = 0; i < before; i++) {
                asm_u8(&a, 0xc3);
            }
            from = a.p;
            asm_align(&a, bytes);
            assert_int_equal((uintptr_t)asm_here(&a) % bytes, 0);
            assert_true(a.p - from < bytes);
            text = disassemble(from);
            for (const char *p = text; *p != '\0'; p = strchr(p, ';') ? strchr(p, ';') + 2 : "") {
                assert_true(g_str_has_prefix(p, "nop"));
            }
        }
    }
    start();
}

/* ---- jumps ---- */

static void nothing(unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        asm_u8(&a, 0xc3);
    }
}

/* Runs what follows @skip bytes of padding against @format. */
static void check_from(unsigned skip, const char *want)
{
    g_autofree char *got = disassemble(code + skip);

    assert_string_equal(got, want);
    start();
}

static void test_backward_jumps(void **state)
{
    for (unsigned distance = 0; distance < 300; distance++) {
        g_autofree char *jmp = g_strdup_printf("jmp 0x%x", RUNNING), *call = g_strdup_printf("call 0x%x", RUNNING);
        AsmLabel         l;

        for (unsigned cc = 0; cc < 16; cc++) {
            g_autofree char *jcc = g_strdup_printf("j%s 0x%x", cc_names[cc], RUNNING);

            l = ASM_LABEL;
            asm_bind(&a, &l);
            nothing(distance);
            asm_jcc(&a, (X86Cond)cc, &l);
            assert_int_equal(asm_size(&a) - distance, distance + 2 <= 128 ? 2 : 6);
            check_from(distance, jcc);
        }
        l = ASM_LABEL;
        asm_bind(&a, &l);
        nothing(distance);
        asm_jmp(&a, &l);
        assert_int_equal(asm_size(&a) - distance, distance + 2 <= 128 ? 2 : 5);
        check_from(distance, jmp);
        l = ASM_LABEL;
        asm_bind(&a, &l);
        nothing(distance);
        asm_call(&a, &l);
        assert_int_equal(asm_size(&a) - distance, 5);
        check_from(distance, call);
    }
}

static void test_forward_jumps(void **state)
{
    AsmLabel         l = ASM_LABEL, other = ASM_LABEL, unused = ASM_LABEL;
    g_autofree char *want =
        g_strdup_printf("jmp 0x%x; jne 0x%x; jb 0x%x; call 0x%x; jmp 0x%x; ret; jmp 0x%x; jg 0x%x", RUNNING + 28,
                        RUNNING + 28, RUNNING + 27, RUNNING + 28, RUNNING + 27, RUNNING + 28, RUNNING + 27);

    asm_jmp(&a, &l);           /* 0 */
    asm_jcc(&a, CC_NE, &l);    /* 5 */
    asm_jcc(&a, CC_B, &other); /* 11 */
    asm_call(&a, &l);          /* 17 */
    asm_jmp(&a, &other);       /* 22 */
    asm_bind(&a, &other);      /* 27 */
    asm_ret(&a);
    asm_bind(&a, &l); /* 28 */
    asm_bind(&a, &unused);
    asm_jmp(&a, &l); /* bound: both are backward now */
    asm_jcc(&a, CC_G, &other);
    assert_int_equal(l.fixup, -1);
    assert_int_equal(l.pos, 28);
    check_from(0, want);
}

static void test_jumps_elsewhere(void **state)
{
    static const int64_t targets[] = { 0, 4, 5, 6, 100, -100, 0x7fffff00, -0x3fffff00 };

    for (unsigned i = 0; i < ARRAY_LEN(targets); i++) {
        uint64_t    to = (uint64_t)(RUNNING + targets[i]);
        const void *p = (const void *)(uintptr_t)to;

        asm_jmp_to(&a, p);
        assert_int_equal(asm_size(&a), 5);
        check(64, "jmp 0x%" PRIx64, to);
        asm_call_to(&a, p);
        assert_int_equal(asm_size(&a), 5);
        check(64, "call 0x%" PRIx64, to);
        for (unsigned cc = 0; cc < 16; cc++) {
            asm_jcc_to(&a, (X86Cond)cc, p);
            assert_int_equal(asm_size(&a), 6);
            check(64, "j%s 0x%" PRIx64, cc_names[cc], to);
        }
    }
}

static void test_patches(void **state)
{
    const void *here = (const void *)(uintptr_t)RUNNING, *there = (const void *)(uintptr_t)(RUNNING + 0x1234567);

    asm_call_to(&a, here);
    asm_call_to(&a, here);
    asm_mov_rr(&a, true, RAX, RCX);
    asm_patch_entry(code, a.to_run, there, false);
    asm_patch_entry(code + 5, a.to_run, there, true);
    check_from(0, "jmp 0x41234567; call 0x41234567; mov rax, rcx");

    asm_mov_ri(&a, RAX, UINT64_MAX / 3);
    asm_ret(&a);
    asm_patch_entry(code, a.to_run, there, false);
    assert_memory_equal(code + 5, "\x55\x55\x55\x55\x55\xc3", 6); /* only five bytes are written */
    a.p = code + 5;
    check_from(0, "jmp 0x41234567");

    a.p = code;
    asm_jcc_to(&a, CC_B, here);
    asm_mov_rr(&a, true, RAX, RCX);
    asm_patch_branch(code, a.to_run, there);
    check_from(0, "jb 0x41234567; mov rax, rcx");
}

/* ---- SSE ---- */

typedef struct SseRow {
    const char *name;
    X86Sse      op;
    SseForm     form;
} SseRow;

static const SseRow sse_rows[] = {
#define X(name, prefix, map, op, w, form, flags) { #name, { prefix, map, op, w, flags }, form },
    X86_SSE_TABLE(X)
#undef X
};

#define IMM 0x93 /* names no comparison of its own: see mnemonic() */

static bool vex(const SseRow *row)
{
    return (row->op.flags & X86_ONLY_VEX) != 0 || (a.host.avx && (row->op.flags & X86_ONLY_LEGACY) == 0);
}

/* The name in small letters, with AVX's V; the suffixes that tell forms of one instruction apart go. Comparisons are
 * written with the predicate in the name. */
static const char *mnemonic(const SseRow *row)
{
    static char text[40];
    char       *suffix;
    const char *v = vex(row) && row->name[0] != 'V' ? "v" : "";

    if (row->op.op == 0xc2) {
        g_snprintf(text, sizeof(text), "%scmpunord%s", v, row->name + 3);
    } else {
        g_snprintf(text, sizeof(text), "%s%s", v, row->name);
    }
    suffix = strchr(text, '_');
    if (suffix != NULL) {
        *suffix = '\0';
    }
    for (char *p = text; *p != '\0'; p++) {
        *p = g_ascii_tolower(*p);
    }
    return text;
}

static uint8_t imm_of(const SseRow *row)
{
    return row->op.op == 0xc2 ? 3 : IMM;
}

static const char *imm_text(const SseRow *row)
{
    return row->op.op == 0xc2 ? "" : ", 0x93";
}

/* Without the sizes of operands in memory, which follow from the instruction; an X at the name's end is one too. */
static void check_sized(const char *want)
{
    g_autofree char *raw = disassemble(code);
    g_autoptr(GRegex) sizes = g_regex_new("[a-z]+ ptr |(?<=2ps|2dq)x(?= )", 0, 0, NULL);
    g_autofree char *got = g_regex_replace(sizes, raw, -1, 0, "", 0, NULL);

    assert_false(a.full);
    check_same(64, want, got);
}

static void G_GNUC_PRINTF(1, 2) check_sse(const char *format, ...)
{
    g_autofree char *want = NULL;
    va_list          args;

    va_start(args, format);
    want = g_strdup_vprintf(format, args);
    va_end(args);
    check_sized(want);
}

/* VEX of two operands that merges names d twice. */
static const char *merge_text(const SseRow *row, unsigned d)
{
    static char text[16];

    text[0] = '\0';
    if (vex(row) && (row->op.flags & X86_MERGES) != 0) {
        g_snprintf(text, sizeof(text), "xmm%u, ", d);
    }
    return text;
}

static void check_sse_1(const SseRow *row, unsigned d, unsigned s)
{
    X86Mem m = some_mem((d * 10 + s) % N_MEMS);

    if (row->form == SSE_1M) {
        asm_sse1_m(&a, row->op, (X86Xmm)d, m);
        check_sse("%s %s, xmm%u", mnemonic(row), mem_text(m), d);
    } else if (row->form == SSE_1) {
        asm_sse1(&a, row->op, (X86Xmm)d, (X86Xmm)s);
        check_sse("%s xmm%u, %sxmm%u", mnemonic(row), d, merge_text(row, d), s);
        asm_sse1_m(&a, row->op, (X86Xmm)d, m);
        check_sse("%s xmm%u, %s%s", mnemonic(row), d, merge_text(row, d), mem_text(m));
    } else {
        asm_sse1_i(&a, row->op, (X86Xmm)d, (X86Xmm)s, IMM);
        check_sse("%s xmm%u, %sxmm%u, 0x93", mnemonic(row), d, merge_text(row, d), s);
        asm_sse1_mi(&a, row->op, (X86Xmm)d, m, IMM);
        check_sse("%s xmm%u, %s%s, 0x93", mnemonic(row), d, merge_text(row, d), mem_text(m));
    }
}

/* What asm_sse2 and asm_sse2_i with these registers must write; NULL: nothing can do it. */
static char *sse_2_text(const SseRow *row, unsigned d, unsigned x, unsigned y, const char *imm)
{
    bool commutes = (row->op.flags & X86_COMMUTES) != 0;

    if (vex(row)) {
        bool turn = commutes && y >= 8 && x < 8; /* one byte shorter */

        return g_strdup_printf("%s xmm%u, xmm%u, xmm%u%s", mnemonic(row), d, turn ? y : x, turn ? x : y, imm);
    }
    if (d == x) {
        return g_strdup_printf("%s xmm%u, xmm%u%s", mnemonic(row), d, y, imm);
    }
    if (d == y) {
        return commutes ? g_strdup_printf("%s xmm%u, xmm%u%s", mnemonic(row), d, x, imm) : NULL;
    }
    return g_strdup_printf("%smovaps xmm%u, xmm%u; %s xmm%u, xmm%u%s", a.host.avx ? "v" : "", d, x, mnemonic(row), d, y,
                           imm);
}

static void check_sse_2_regs(const SseRow *row, unsigned d, unsigned x, unsigned y)
{
    bool             with_imm = row->form == SSE_2I;
    g_autofree char *want = sse_2_text(row, d, x, y, with_imm ? imm_text(row) : "");

    if (want == NULL) {
        return;
    }
    if (with_imm) {
        asm_sse2_i(&a, row->op, (X86Xmm)d, (X86Xmm)x, (X86Xmm)y, imm_of(row));
    } else {
        asm_sse2(&a, row->op, (X86Xmm)d, (X86Xmm)x, (X86Xmm)y);
    }
    check_sized(want);
}

static void check_sse_2_mem(const SseRow *row, unsigned d, unsigned x, X86Mem m)
{
    g_autofree char *move = g_strdup_printf("%smovaps xmm%u, xmm%u; ", a.host.avx ? "v" : "", d, x);
    g_autofree char *first = g_strdup_printf("xmm%u, ", x);
    const char      *imm = "";

    if (row->form == SSE_2I) {
        asm_sse2_mi(&a, row->op, (X86Xmm)d, (X86Xmm)x, m, imm_of(row));
        imm = imm_text(row);
    } else {
        asm_sse2_m(&a, row->op, (X86Xmm)d, (X86Xmm)x, m);
    }
    check_sse("%s%s xmm%u, %s%s%s", vex(row) || d == x ? "" : move, mnemonic(row), d, vex(row) ? first : "",
              mem_text(m), imm);
}

static void check_sse_2(const SseRow *row, unsigned d, unsigned x, unsigned y)
{
    if (row->form != SSE_2M) {
        check_sse_2_regs(row, d, x, y);
    }
    if (row->form != SSE_2R) {
        check_sse_2_mem(row, d, x, some_mem((d * 10 + y) % N_MEMS));
    }
}

static void check_fma(const SseRow *row, unsigned d, unsigned x, unsigned y)
{
    X86Mem m = some_mem((d * 10 + y) % N_MEMS);

    asm_fma(&a, row->op, (X86Xmm)d, (X86Xmm)x, (X86Xmm)y);
    check_sse("%s xmm%u, xmm%u, xmm%u", mnemonic(row), d, x, y);
    asm_fma_m(&a, row->op, (X86Xmm)d, (X86Xmm)x, m);
    check_sse("%s xmm%u, xmm%u, %s", mnemonic(row), d, x, mem_text(m));
}

static void check_blendv(const SseRow *row, unsigned d, unsigned x, unsigned y)
{
    unsigned mask = vex(row) ? (d + 3) % REGS : 0;

    if (vex(row)) {
        asm_blendv(&a, row->op, (X86Xmm)d, (X86Xmm)x, (X86Xmm)y, (X86Xmm)mask);
        check_sse("%s xmm%u, xmm%u, xmm%u, xmm%u", mnemonic(row), d, x, y, mask);
    } else if (d != 0 && (d != y || d == x)) {
        g_autofree char *want = sse_2_text(row, d, x, y, "");

        asm_blendv(&a, row->op, (X86Xmm)d, (X86Xmm)x, (X86Xmm)y, 0);
        check_sized(want);
    }
}

static void check_sse_general(const SseRow *row, unsigned reg, unsigned rm)
{
    X86Mem m = some_mem((reg * 10 + rm) % N_MEMS);
    bool   inserts = (row->op.flags & X86_MERGES) != 0;

    switch (row->form) {
    case SSE_GX:
        asm_sse_gx(&a, row->op, (uint8_t)reg, (uint8_t)rm);
        check_sse("%s %s, xmm%u", mnemonic(row), r(row->op.w, reg), rm);
        break;
    case SSE_XG:
        asm_sse_gx(&a, row->op, (uint8_t)reg, (uint8_t)rm);
        check_sse("%s xmm%u, %s%s", mnemonic(row), reg, merge_text(row, reg), r(row->op.w, rm));
        break;
    case SSE_XX_I:
        asm_sse_gx_i(&a, row->op, (uint8_t)reg, (uint8_t)rm, 4);
        check_sse("%s xmm%u, xmm%u, 4", mnemonic(row), rm, reg);
        break;
    default:
        asm_sse_gx_i(&a, row->op, (uint8_t)reg, (uint8_t)rm, 1);
        if (inserts) {
            check_sse("%s xmm%u, %s%s, 1", mnemonic(row), reg, merge_text(row, reg), r(row->op.w, rm));
        } else {
            check_sse("%s %s, xmm%u, 1", mnemonic(row), r(row->op.w, rm), reg);
        }
        asm_sse1_mi(&a, row->op, (X86Xmm)reg, m, 1);
        if (inserts) {
            check_sse("%s xmm%u, %s%s, 1", mnemonic(row), reg, merge_text(row, reg), mem_text(m));
        } else {
            check_sse("%s %s, xmm%u, 1", mnemonic(row), mem_text(m), reg);
        }
        break;
    }
}

static void check_sse_row(const SseRow *row, unsigned d, unsigned x, unsigned y)
{
    switch (row->form) {
    case SSE_1:
    case SSE_1I:
    case SSE_1M:
        check_sse_1(row, d, y);
        break;
    case SSE_2:
    case SSE_2I:
    case SSE_2R:
    case SSE_2M:
        check_sse_2(row, d, x, y);
        break;
    case SSE_FMA:
        check_fma(row, d, x, y);
        break;
    case SSE_BLENDV:
        check_blendv(row, d, x, y);
        break;
    default:
        check_sse_general(row, d, y);
        break;
    }
}

/* Every register in every place, and every way in which two places can be one register. */
static void check_sse_registers(const SseRow *row)
{
    for (unsigned n = 0; n < REGS; n++) {
        check_sse_row(row, n, (n + 5) % REGS, (n + 11) % REGS);
        check_sse_row(row, (n + 11) % REGS, n, (n + 5) % REGS);
        check_sse_row(row, n, n, (n + 9) % REGS);
        check_sse_row(row, n, (n + 9) % REGS, n);
        check_sse_row(row, (n + 9) % REGS, n, n);
        check_sse_row(row, n, n, n);
    }
}

static void test_sse(void **state)
{
    for (unsigned avx = 0; avx < 2; avx++) {
        a.host.avx = avx;
        for (unsigned i = 0; i < ARRAY_LEN(sse_rows); i++) {
            check_sse_registers(&sse_rows[i]);
        }
    }
}

static void test_sse_shifts(void **state)
{
    static const struct {
        const char *name;
        uint8_t     op, ext;
    } rows[] = {
        { "psrlw", X86_PSRLW_I }, { "psraw", X86_PSRAW_I },   { "psllw", X86_PSLLW_I }, { "psrld", X86_PSRLD_I },
        { "psrad", X86_PSRAD_I }, { "pslld", X86_PSLLD_I },   { "psrlq", X86_PSRLQ_I }, { "psrldq", X86_PSRLDQ_I },
        { "psllq", X86_PSLLQ_I }, { "pslldq", X86_PSLLDQ_I },
    };

    for (unsigned i = 0; i < ARRAY_LEN(rows) * REGS * REGS; i++) {
        unsigned    d = i / REGS % REGS, s = i % REGS;
        const char *name = rows[i / (REGS * REGS)].name;
        uint8_t     op = rows[i / (REGS * REGS)].op, ext = rows[i / (REGS * REGS)].ext;

        a.host.avx = true;
        asm_sse_shift_i(&a, op, ext, (X86Xmm)d, (X86Xmm)s, 13);
        check(64, "v%s xmm%u, xmm%u, 13", name, d, s);
        a.host.avx = false;
        asm_sse_shift_i(&a, op, ext, (X86Xmm)d, (X86Xmm)s, 13);
        if (d == s) {
            check(64, "%s xmm%u, 13", name, d);
        } else {
            check(64, "movaps xmm%u, xmm%u; %s xmm%u, 13", d, s, name, d);
        }
    }
}

static void check_sse_moves(unsigned d, unsigned s)
{
    const char *v = a.host.avx ? "v" : "";

    asm_movx(&a, (X86Xmm)d, (X86Xmm)s);
    if (d != s) {
        assert_int_equal(asm_size(&a), a.host.avx ? (d >= 8 && s >= 8 ? 5 : 4) : (d >= 8 || s >= 8 ? 4 : 3));
        check(64, "%smovaps xmm%u, xmm%u", v, d, s);
    }
    asm_movq_xx(&a, (X86Xmm)d, (X86Xmm)s);
    check(64, "%smovq xmm%u, xmm%u", v, d, s);
    asm_movq_xr(&a, true, (X86Xmm)d, (X86Reg)s);
    check(64, "%smovq xmm%u, %s", v, d, r64[s]);
    asm_movq_xr(&a, false, (X86Xmm)d, (X86Reg)s);
    check(64, "%smovd xmm%u, %s", v, d, r32[s]);
    asm_movq_rx(&a, true, (X86Reg)d, (X86Xmm)s);
    check(64, "%smovq %s, xmm%u", v, r64[d], s);
    asm_movq_rx(&a, false, (X86Reg)d, (X86Xmm)s);
    check(64, "%smovd %s, xmm%u", v, r32[d], s);
}

static void test_sse_moves(void **state)
{
    for (unsigned i = 0; i < 2 * REGS * REGS; i++) {
        a.host.avx = i & 1;
        check_sse_moves(i / 2 / REGS, i / 2 % REGS);
    }
}

/* ---- no room ---- */

/* Some of everything: long and short instructions, alignment, labels in both directions. */
static void emit_much(Asm *to)
{
    AsmLabel back = ASM_LABEL, forward = ASM_LABEL;

    asm_bind(to, &back);
    asm_mov_ri(to, R9, 0x123456789abcdef);
    asm_jcc(to, CC_E, &forward);
    asm_alu_mi(to, ALU_ADD, true, X86_INDEX(R12, R13, 3, 0x12345678), 0x12345678);
    asm_u8(to, 0x90);
    asm_sse2_i(to, X86_PALIGNR, 9, 10, 11, 5);
    asm_call(to, &forward);
    asm_u64(to, 0x9090909090909090);
    asm_lea_code(to, RAX, asm_here(to));
    asm_crc32c(to, 1, RAX, R9);
    asm_jmp(to, &back);
    asm_bind(to, &forward);
    asm_align(to, 16);
    asm_jmp_to(to, asm_here(to));
    asm_ret(to);
}

static void test_full(void **state)
{
    static uint8_t whole[256], part[256 + 16];
    size_t         needed;
    Asm            full;

    a.host.avx = false;
    asm_init(&full, whole, sizeof(whole), RUNNING - (intptr_t)whole);
    full.host = a.host;
    emit_much(&full);
    needed = asm_size(&full);
    assert_false(full.full);
    for (size_t size = 0; size <= needed + 1; size++) {
        memset(part, 0xee, sizeof(part));
        asm_init(&full, part, size, RUNNING - (intptr_t)part);
        full.host = a.host;
        emit_much(&full);
        assert_int_equal(full.full, size < needed);
        assert_true(asm_size(&full) <= size);
        for (size_t i = size; i < sizeof(part); i++) {
            assert_int_equal(part[i], 0xee);
        }
        if (!full.full) {
            assert_memory_equal(part, whole, needed);
        }
    }
}

static void test_host(void **state)
{
    Asm fresh;

    assert_true(asm_host_ok()); /* as the tests that run code need it too */
    asm_init(&fresh, code, sizeof(code), 0);
    assert_int_equal(fresh.host.avx, __builtin_cpu_supports("avx") != 0);
    assert_int_equal(fresh.host.avx2, __builtin_cpu_supports("avx2") != 0);
    assert_int_equal(fresh.host.fma, __builtin_cpu_supports("fma") != 0);
    assert_int_equal(fresh.host.bmi1, __builtin_cpu_supports("bmi") != 0);
    assert_int_equal(fresh.host.bmi2, __builtin_cpu_supports("bmi2") != 0);
    assert_int_equal(fresh.host.aes, __builtin_cpu_supports("aes") != 0);
    assert_int_equal(fresh.host.pclmul, __builtin_cpu_supports("pclmul") != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_two_registers, begin), cmocka_unit_test_setup(test_three_registers, begin),
        cmocka_unit_test_setup(test_one_register, begin),  cmocka_unit_test_setup(test_move_immediate, begin),
        cmocka_unit_test_setup(test_no_operands, begin),   cmocka_unit_test_setup(test_addresses, begin),
        cmocka_unit_test_setup(test_memory, begin),        cmocka_unit_test_setup(test_lengths, begin),
        cmocka_unit_test_setup(test_align, begin),         cmocka_unit_test_setup(test_backward_jumps, begin),
        cmocka_unit_test_setup(test_forward_jumps, begin), cmocka_unit_test_setup(test_jumps_elsewhere, begin),
        cmocka_unit_test_setup(test_patches, begin),       cmocka_unit_test_setup(test_sse, begin),
        cmocka_unit_test_setup(test_sse_shifts, begin),    cmocka_unit_test_setup(test_sse_moves, begin),
        cmocka_unit_test_setup(test_full, begin),          cmocka_unit_test_setup(test_host, begin),
    };

    return cmocka_run_group_tests_name("asm", tests, set_up, tear_down);
}
