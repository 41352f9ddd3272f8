/*
 * The command line: what each option sets, and the one sentence each bad value gets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bits.h"
#include "options.h"

enum { MAX_ARGS = 13 };

static Options *parse(const char *const *args, GError **error)
{
    char *argv[MAX_ARGS + 2] = { (char *)"bailey" };
    int   n = 1;

    while (args[n - 1] != NULL) {
        argv[n] = (char *)args[n - 1];
        n++;
    }
    Options *o = options_parse(n, argv, error);

    if (o != NULL && !options_open_trace(o, error)) {
        g_clear_pointer(&o, options_free);
    }
    return o;
}

/* ---- good lines ---- */

typedef struct GoodRow {
    const char *args[MAX_ARGS];
    size_t      at;     /* of the member, a 64-bit number, unsigned, bool or string */
    enum { U64, UINT, BOOL, TEXT } kind;
    uint64_t    number;
    const char *text;
} GoodRow;

#define K "-kernel", "Image"
#define M_U64(m)  offsetof(Options, m), U64
#define M_UINT(m) offsetof(Options, m), UINT
#define M_BOOL(m) offsetof(Options, m), BOOL
#define M_TEXT(m) offsetof(Options, m), TEXT

static const GoodRow good_rows[] = {
    { { K }, M_TEXT(machine), 0, "cca" },
    { { K }, M_UINT(boot), BOOT_REALM, NULL },
    { { K }, M_TEXT(cpu_model), 0, "max" },
    { { K }, M_UINT(smp), 1, NULL },
    { { K }, M_U64(ram_size), 1ull << 30, NULL },
    { { K }, M_U64(rtc_base_s), 1767225600, NULL },
    { { K }, M_U64(seed), 0, NULL },
    { { K }, M_TEXT(append), 0, "" },
    { { K }, M_BOOL(clock_host), 0, NULL },
    { { K, "-M", "cca,boot=host" }, M_UINT(boot), BOOT_HOST, NULL },
    { { K, "-M", "cca,entry=ns-el1" }, M_UINT(entry), ENTRY_NS_EL1, NULL },
    { { K, "-M", "cca,entry=ns-el2" }, M_UINT(boot), BOOT_HOST, NULL },
    { { K, "-M", "cca,entry=realm" }, M_UINT(boot), BOOT_REALM, NULL },
    { { K, "-M", "cca" }, M_TEXT(board), 0, "virt" },
    { { K, "-M", "cca,board=fvp" }, M_TEXT(board), 0, "fvp" },
    { { K, "-machine", "type=cca,boot=realm" }, M_UINT(boot), BOOT_REALM, NULL },
    { { "-M", "cca,boot=host,dumpdtb=x.dtb" }, M_TEXT(dumpdtb), 0, "x.dtb" },
    { { K, "-M", "cca,host-fault=bar-write" }, M_TEXT(host_fault), 0, "bar-write" },
    { { K, "-M", "cca,rmm=1.1-alp12" }, M_TEXT(rmm), 0, "1.1-alp12" },
    { { K, "-M", "cca,pmu=8" }, M_UINT(realm_pmu), 8, NULL },
    { { K, "-M", "cca" }, M_UINT(realm_pmu), 0, NULL },
    { { K, "-M", "cca,vfs=1:3:8" }, M_UINT(realm_vfs), 0x85, NULL },
    { { K, "-M", "cca" }, M_UINT(realm_vfs), 0, NULL },
    { { K, "-smp", "8" }, M_UINT(smp), 8, NULL },
    { { K, "-smp", "cpus=4" }, M_UINT(smp), 4, NULL },
    { { K, "-m", "512" }, M_U64(ram_size), 512 << 20, NULL },
    { { K, "-m", "size=2G" }, M_U64(ram_size), 2ull << 30, NULL },
    { { K, "-m", "0x80M" }, M_U64(ram_size), 128 << 20, NULL },
    { { "--kernel", "Image" }, M_TEXT(kernel), 0, "Image" },
    { { K, "-kernel", "Other" }, M_TEXT(kernel), 0, "Other" },
    { { K, "-initrd", "i" }, M_TEXT(initrd), 0, "i" },
    { { K, "-append", "a=b,c \"d\"" }, M_TEXT(append), 0, "a=b,c \"d\"" },
    { { K, "-dtb", "d" }, M_TEXT(dtb), 0, "d" },
    { { K }, M_BOOL(firmware), 0, NULL },
    { { "-bios", "f" }, M_TEXT(bios), 0, "f" },
    { { "-bios", "f" }, M_BOOL(firmware), 1, NULL },
    { { "-bios", "f" }, M_UINT(boot), BOOT_HOST, NULL },
    { { K, "-bios", "f", "-M", "cca,boot=host" }, M_UINT(boot), BOOT_HOST, NULL },
    { { "-drive", "if=pflash,file=f", "-drive", "file=d" }, M_UINT(boot), BOOT_HOST, NULL },
    { { K, "-drive", "if=virtio,file=f" }, M_BOOL(firmware), 0, NULL },
    { { K }, M_UINT(cpu.accel), CPU_ACCEL_AUTO, NULL },
    { { K, "-accel", "interp" }, M_UINT(cpu.accel), CPU_ACCEL_INTERP, NULL },
    { { K, "-accel", "jit" }, M_UINT(cpu.accel), CPU_ACCEL_JIT, NULL },
    { { K, "-accel", "jit,cache-size=1M" }, M_U64(cpu.cache_size), 1 << 20, NULL },
    { { K, "-accel", "interp,cache-size=16" }, M_U64(cpu.cache_size), 16 << 20, NULL },
    { { K, "-accel", "jit,cache-size=1M", "-accel", "jit" }, M_U64(cpu.cache_size), 0, NULL },
    { { K, "-accel", "jit,perf-map=on" }, M_BOOL(cpu.perf_map), 1, NULL },
    { { K, "-accel", "jit,perf-map=off" }, M_BOOL(cpu.perf_map), 0, NULL },
    { { K, "-accel", "lockstep,cache-size=1G" }, M_BOOL(lockstep), 1, NULL },
    { { K, "-accel", "lockstep", "-accel", "jit" }, M_BOOL(lockstep), 0, NULL },
    { { K, "-clock", "host" }, M_BOOL(clock_host), 1, NULL },
    { { K, "-clock", "virtual" }, M_BOOL(clock_host), 0, NULL },
    { { K, "-rtc", "base=1970-01-01T00:00:10" }, M_U64(rtc_base_s), 10, NULL },
    { { K, "-rtc", "base=2106-02-07T06:28:15" }, M_U64(rtc_base_s), UINT32_MAX, NULL },
    { { K, "-rtc", "base=1970-01-02" }, M_U64(rtc_base_s), 86400, NULL },
    { { K, "-rtc", "base=1970-01-01T01:00:00+01:00" }, M_U64(rtc_base_s), 0, NULL },
    { { K, "-seed", "18446744073709551615" }, M_U64(seed), UINT64_MAX, NULL },
    { { K, "-gdb", "unix:/tmp/x" }, M_TEXT(gdb), 0, "unix:/tmp/x" },
    { { K, "-monitor", "unix:/tmp/x" }, M_TEXT(monitor), 0, "unix:/tmp/x" },
    { { K, "-s" }, M_TEXT(gdb), 0, "tcp:127.0.0.1:1234" },
    { { K, "-s", "-S" }, M_BOOL(start_stopped), 1, NULL },
    { { K, "-no-reboot" }, M_BOOL(no_reboot), 1, NULL },
    { { K, "-nographic" }, M_BOOL(nographic), 1, NULL },
    { { K, "-expect", "login:" }, M_TEXT(expect), 0, "login:" },
    { { K, "-fail-on", "Kernel panic|Oops" }, M_TEXT(fail_on), 0, "Kernel panic|Oops" },
    { { K, "-timeout", "60" }, M_UINT(timeout_s), 60, NULL },
    { { K, "-result", "r.json" }, M_TEXT(result), 0, "r.json" },
};

static bool matches(const Options *o, const GoodRow *row)
{
    const char *at = (const char *)o + row->at;

    switch (row->kind) {
    case U64: return *(const uint64_t *)at == row->number;
    case UINT: return *(const unsigned *)at == row->number;
    case BOOL: return *(const bool *)at == row->number;
    default: return strcmp(*(char *const *)at, row->text) == 0;
    }
}

static void test_good(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(good_rows); i++) {
        GError  *error = NULL;
        Options *o = parse(good_rows[i].args, &error);
        char    *line = g_strjoinv(" ", (char **)good_rows[i].args);

        if (o == NULL) {
            fail_msg("%s: %s", line, error->message);
        }
        if (!matches(o, &good_rows[i])) {
            fail_msg("%s: not the value", line);
        }
        g_free(line);
        options_free(o);
    }
}

/* ---- bad lines ---- */

typedef struct BadRow {
    const char *args[MAX_ARGS];
    const char *sentence;
} BadRow;

static const BadRow bad_rows[] = {
    { { NULL }, "no -kernel given: name an arm64 Image to start, or see --help" },
    { { "-M", "cca,dumpdtb=x" }, "no -kernel given: name an arm64 Image to start, or see --help" },
    { { "-bios", "f", "-M", "cca,boot=realm" },
      "-bios: firmware starts as the Normal-world host, not in a Realm; leave out boot= and entry= of -M" },
    { { "-drive", "if=pflash,file=f", "-M", "cca,entry=realm" },
      "-drive if=pflash: firmware starts as the Normal-world host, not in a Realm; leave out boot= and entry= of -M" },
    { { K, "-M", "cca,pmu=9" },
      "-M: pmu=9 is not a number of event counters from 1 to 8; for a Realm without performance monitors leave it "
      "out" },
    { { K, "-M", "cca,pmu=on" },
      "-M: pmu=on is not a number of event counters from 1 to 8; for a Realm without performance monitors leave it "
      "out" },
    { { K, "-M", "cca,link-ide=maybe" }, "-M: there is no link-ide=maybe; use link-ide=on or link-ide=off" },
    { { K, "-M", "cca,link-ide=on,boot=host" },
      "-M: link-ide= is about what the built-in host does, and this run has none; leave it out" },
    { { K, "-M", "cca,vfs=9" },
      "-M: vfs=9 does not name virtual functions by numbers from 1 to 8; for example vfs=1 or vfs=1:3" },
    { { K, "-M", "cca,vfs=1:" },
      "-M: vfs=1: does not name virtual functions by numbers from 1 to 8; for example vfs=1 or vfs=1:3" },
    { { K, "-M", "cca,vfs=1,boot=host" },
      "-M: vfs= is about what the built-in host gives its Realm, and this run has none; a kernel as host turns virtual "
      "functions on by itself, leave vfs= out" },
    { { K, "-M", "cca,pmu=4,boot=host" },
      "-M: pmu= is about the built-in host's Realm, and this run has none; the machine's own CPUs always have "
      "performance monitors, leave pmu= out" },
    { { K, "-M", "cca,host-fault=busy,boot=host" },
      "-M: host-fault= is what the built-in host does wrong, and in this run another host has its place; leave out "
      "host-fault=, or boot= and entry=" },
    { { K, "-frob" }, "there is no option '-frob'; --help lists them" },
    { { K, "Image" }, "there is no option 'Image'; --help lists them" },
    { { K, "-" }, "there is no option '-'; --help lists them" },
    { { K, "" }, "there is no option ''; --help lists them" },
    { { K, "-m" }, "-m needs an argument: -m SIZE" },
    { { "-kernel" }, "-kernel needs an argument: -kernel FILE" },
    { { K, "-M", "virt" }, "-M: there is no machine 'virt'; '-M help' lists them (cca)" },
    { { K, "-M", "" }, "-M: there is no machine ''; '-M help' lists them (cca)" },
    { { K, "-M", "cca,board=juno" }, "-M: there is no board=juno; use board=virt or board=fvp" },
    { { K, "-M", "cca,entry=el3" }, "-M: there is no entry=el3; use entry=ns-el2, entry=ns-el1 or entry=realm" },
    { { K, "-M", "cca,entry=realm,boot=host" },
      "-M: boot= and entry= in one; entry= says it for payloads of -device loader, leave boot= out" },
    { { K, "-M", "cca,boot=el3" }, "-M: there is no boot=el3; use boot=realm or boot=host" },
    { { K, "-M", "cca,gic-version=3" }, "-M: the cca machine has no key 'gic-version'; '-M help' lists them" },
    { { K, "-cpu", "cortex-a72" }, "-cpu: there is no model 'cortex-a72'; use -cpu max" },
    { { K, "-name", "guest=" }, "-name: 'guest=' has no name; for example -name guest=first" },
    { { K, "-name", "debug-threads=on" }, "-name: 'debug-threads=on' has no name; for example -name guest=first" },
    { { K, "-vga", "std" }, "-vga: 'std' is not offered; use none, and -device virtio-gpu-pci for a display" },
    { { K, "-smp", "0" }, "-smp: '0' is not a number of CPUs from 1 to 8; for example -smp 2" },
    { { K, "-smp", "9" }, "-smp: '9' is not a number of CPUs from 1 to 8; for example -smp 2" },
    { { K, "-smp", "two" }, "-smp: 'two' is not a number of CPUs from 1 to 8; for example -smp 2" },
    { { K, "-smp", "-1" }, "-smp: '-1' is not a number of CPUs from 1 to 8; for example -smp 2" },
    { { K, "-smp", "2,sockets=2" }, "-smp: '2,sockets=2' is not a number of CPUs from 1 to 8; for example -smp 2" },
    { { K, "-m", "" }, "-m: '' is not a memory size from 64M to 64G in steps of 2M; for example -m 1G" },
    { { K, "-m", "63M" }, "-m: '63M' is not a memory size from 64M to 64G in steps of 2M; for example -m 1G" },
    { { K, "-m", "65G" }, "-m: '65G' is not a memory size from 64M to 64G in steps of 2M; for example -m 1G" },
    { { K, "-m", "1X" }, "-m: '1X' is not a memory size from 64M to 64G in steps of 2M; for example -m 1G" },
    { { K, "-m", "1.5G" }, "-m: '1.5G' is not a memory size from 64M to 64G in steps of 2M; for example -m 1G" },
    { { K, "-m", "-1G" }, "-m: '-1G' is not a memory size from 64M to 64G in steps of 2M; for example -m 1G" },
    { { K, "-m", " -1G" }, "-m: ' -1G' is not a memory size from 64M to 64G in steps of 2M; for example -m 1G" },
    { { K, "-m", "99999999999999999999" },
      "-m: '99999999999999999999' is not a memory size from 64M to 64G in steps of 2M; for example -m 1G" },
    { { K, "-m", "17592186044417" },
      "-m: '17592186044417' is not a memory size from 64M to 64G in steps of 2M; for example -m 1G" },
    { { K, "-m", "1G,slots=2" }, "-m: '1G,slots=2' is not a memory size from 64M to 64G in steps of 2M; "
                                 "for example -m 1G" },
    { { K, "-device", "e1000" }, "-device: there is no device 'e1000'; '-device help' lists them" },
    { { K, "-device", "pl011" }, "-device: there is no device 'pl011'; '-device help' lists them" },
    { { K, "-netdev", "" }, "-netdev: '' names no type; for example -netdev user,id=n0" },
    { { K, "-drive", ",x" }, "-drive: ',x' names no type; for example -drive file=disk.img,format=raw,id=d0" },
    { { K, "-virtfs", "local,path=x" },
      "-virtfs: 'local,path=x' has no mount_tag; for example -virtfs local,path=folder,mount_tag=share" },
    { { K, "-virtfs", "proxy,mount_tag=x" },
      "-virtfs: 'proxy,mount_tag=x' has no kind 'local'; for example -virtfs local,path=folder,mount_tag=share" },
    { { K, "-fsdev", "" }, "-fsdev: '' names no type; for example -fsdev local,id=f0,path=folder" },
    { { K, "-chardev", "" },
      "-chardev: '' names no type; for example -chardev socket,id=c0,path=/tmp/serial,server=on" },
    { { K, "-serial", "none", "-serial", "none", "-serial", "none", "-serial", "none", "-serial", "none" },
      "-serial: 'none' is one too many, no machine has more than 4 serial ports; leave it out" },
    { { K, "-d", "smmu,frob" }, "-d: there is no trace category 'frob'; '-d help' lists them" },
    { { K, "-d", "smmu,rmi:realm=0" }, "-d: 'rmi:realm=0' does not begin with a category and a Realm's VMID, 1 to "
                                       "65535; for example rmi:realm=1" },
    { { K, "-dfilter", "1..2,3" }, "-dfilter: '3' does not begin with a range of addresses; write FIRST..LAST, "
                                   "START+LENGTH or END-LENGTH, such as 0x40000000+0x1000, and a comma between two" },
    { { K, "-trace", ",with=exc" }, "-trace: ',with=exc' does not begin with the name of a file to write; for example "
                                    "-trace run.json" },
    { { K, "-D", "/nonexistent/x" },
      "-D: cannot write the trace file '/nonexistent/x': No such file or directory; name another" },
    { { K, "-accel", "kvm" },
      "-accel: 'kvm' is not offered; use jit (machine code), interp (the portable executor) or lockstep (both, "
      "compared)" },
    { { K, "-accel", "jit,thread=multi" }, "-accel: there is no key 'thread'; '-accel help' lists them" },
    { { K, "-accel", "jit,cache-size=1023K" },
      "-accel: cache-size=1023K is not a size from 1M to 1G; for example cache-size=64M" },
    { { K, "-accel", "interp,perf-map=on" },
      "-accel: perf-map=on names machine code, and interp makes none; use -accel jit,perf-map=on" },
    { { K, "-accel", "jit,perf-map=maybe" }, "-accel: perf-map=maybe is neither on nor off; for example perf-map=on" },
    { { K, "-accel", "jit,cache-size" },
      "-accel: cache-size=on is not a size from 1M to 1G; for example cache-size=64M" },
    { { K, "-clock", "rt" }, "-clock: 'rt' is not a clock; use virtual (counted time, runs repeat) or host" },
    { { K, "-rtc", "utc" }, "-rtc: 'utc' is neither base=utc nor a date from 1970 to 2106; for example "
                            "-rtc base=2026-01-01T00:00:00" },
    { { K, "-rtc", "base=noon" }, "-rtc: 'base=noon' is neither base=utc nor a date from 1970 to 2106; for example "
                                  "-rtc base=2026-01-01T00:00:00" },
    { { K, "-rtc", "base=1969-12-31" }, "-rtc: 'base=1969-12-31' is neither base=utc nor a date from 1970 to 2106; "
                                        "for example -rtc base=2026-01-01T00:00:00" },
    { { K, "-rtc", "base=utc,clock=vm" }, "-rtc: 'base=utc,clock=vm' is neither base=utc nor a date from 1970 to "
                                          "2106; for example -rtc base=2026-01-01T00:00:00" },
    { { K, "-seed", "x" }, "-seed: 'x' is not a number from 0 to 2^64 - 1; for example -seed 1" },
    { { K, "-seed", "-1" }, "-seed: '-1' is not a number from 0 to 2^64 - 1; for example -seed 1" },
    { { K, "-seed", "18446744073709551616" },
      "-seed: '18446744073709551616' is not a number from 0 to 2^64 - 1; for example -seed 1" },
    { { K, "-display", "gtk" },
      "-display: 'gtk' is not offered; use none, or vnc=:N for a VNC server on this machine" },
    { { K, "-display", "none,vnc=:1" },
      "-display: 'none,vnc=:1' is not offered; use none, or vnc=:N for a VNC server on this machine" },
    { { K, "-display", "head=gpu" },
      "-display: 'head=gpu' is not offered; use none, or vnc=:N for a VNC server on this machine" },
    { { K, "-S" }, "-S: nothing could start the guest again; add -s, -gdb, -monitor or -qmp, or leave it out" },
    { { K, "-mon", "mode=control" }, "-mon: 'mode=control' names no -chardev, or a mode that is neither readline nor "
                                     "control; for example -mon chardev=ID,mode=control" },
    { { K, "-mon", "chardev=m,mode=pretty" },
      "-mon: 'chardev=m,mode=pretty' names no -chardev, or a mode that is neither readline nor control; for example "
      "-mon chardev=ID,mode=control" },
    { { K, "-expect", "" }, "-expect: the text is empty; name what the guest will print" },
    { { K, "-fail-on", "(" },
      "-fail-on: '(' is not a regular expression (Error while compiling regular expression \342\200\230(\342\200\231 "
      "at char 1: missing terminating )); a backslash makes a special character plain" },
    { { K, "-timeout", "0" },
      "-timeout: '0' is not a number of seconds from 1 to 1000000; for example -timeout 60" },
    { { K, "-timeout", "1h" },
      "-timeout: '1h' is not a number of seconds from 1 to 1000000; for example -timeout 60" },
};

static void test_bad(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(bad_rows); i++) {
        GError  *error = NULL;
        Options *o = parse(bad_rows[i].args, &error);

        if (o != NULL) {
            fail_msg("taken, though: %s", bad_rows[i].sentence);
        }
        assert_string_equal(error->message, bad_rows[i].sentence);
        g_error_free(error);
    }
}

/* ---- lists ---- */

static void test_lists(void **state)
{
    static const char *const args[] = { K, "-netdev", "user,id=n0,hostfwd=tcp::1-:2", "-device",
                                        "virtio-net-pci,netdev=n0", NULL };
    GError  *error = NULL;
    Options *o = parse(args, &error);

    assert_non_null(o);
    assert_int_equal(o->netdevs->len, 1);
    assert_int_equal(o->devices->len, 1);
    const OptionList *l = o->netdevs->pdata[0];
    assert_string_equal(l->driver, "user");
    assert_string_equal(option_list_get(l, "hostfwd"), "tcp::1-:2");
    assert_null(option_list_get(l, "frob"));
    options_free(o);
}

/* -virtfs is -fsdev and a device; commas in a path stay what they are. */
static void test_virtfs(void **state)
{
    static const char *const args[] = { K, "-virtfs", "local,path=a,,b,mount_tag=t,readonly=on", "-virtfs",
                                        "local,id=mine,path=c,mount_tag=u", NULL };
    GError  *error = NULL;
    Options *o = parse(args, &error);

    assert_non_null(o);
    assert_int_equal(o->fsdevs->len, 2);
    assert_int_equal(o->devices->len, 2);
    assert_string_equal(((OptionList *)o->fsdevs->pdata[0])->text, "local,path=a,,b,readonly=on,id=virtfs0");
    assert_string_equal(((OptionList *)o->devices->pdata[0])->text, "virtio-9p-pci,fsdev=virtfs0,mount_tag=t");
    assert_string_equal(((OptionList *)o->fsdevs->pdata[1])->text, "local,path=c,id=mine");
    assert_string_equal(((OptionList *)o->devices->pdata[1])->text, "virtio-9p-pci,fsdev=mine,mount_tag=u");
    options_free(o);
}

static void test_list_text(void **state)
{
    OptionList *l = option_list_parse("file=a,,b.img,snapshot,id=,x=y=z,");

    assert_string_equal(l->driver, "");
    assert_string_equal(option_list_get(l, "file"), "a,b.img");
    assert_string_equal(option_list_get(l, "snapshot"), "on");
    assert_string_equal(option_list_get(l, "id"), "");
    assert_string_equal(option_list_get(l, "x"), "y=z");
    assert_string_equal(l->text, "file=a,,b.img,snapshot,id=,x=y=z,");
    option_list_free(l);
}

/* Options that print something and end: status 0, and what follows them is not looked at. */
static void test_help(void **state)
{
    static const char *const lines[][3] = {
        { "--help" }, { "-h" }, { "--version" }, { "-M", "help" }, { "-cpu", "help" }, { "-d", "help" },
        { "-device", "help" }, { "-device", "virtio-net-pci,help" }, { "-man" }, { "-help", "-frob" },
        { "-netdev", "help" }, { "-serial", "help" }, { "-chardev", "help" }, { "-drive", "help" },
        { "-fsdev", "help" }, { "-virtfs", "help" }, { "-display", "help" },
    };

    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        GError  *error = NULL;
        Options *o = parse(lines[i], &error);

        assert_non_null(o);
        assert_true(o->help_only);
        options_free(o);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good), cmocka_unit_test(test_bad),  cmocka_unit_test(test_lists),
        cmocka_unit_test(test_list_text), cmocka_unit_test(test_virtfs), cmocka_unit_test(test_help),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
