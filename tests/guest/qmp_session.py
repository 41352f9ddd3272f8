#!/usr/bin/env python3
"""QMP as programs use it: qmp_session.py BAILEY GUESTS [OPTION...], in a folder of its own."""
import json, socket, subprocess, sys, time

bailey, guests, options = sys.argv[1], sys.argv[2], sys.argv[3:]
PATIENCE_S = 60


def check(what, got, want):
    if got != want:
        sys.exit("FAIL: %s: %r, not %r" % (what, got, want))


class Schema:
    """query-qmp-schema, and whether what is said fits it."""
    json_types = {"string": str, "int": int, "boolean": bool, "value": object}

    def __init__(self, rows):
        self.rows = {(r["meta-type"] in ("command", "event"), r["name"]): r for r in rows}
        check("each has a row", len(self.rows), len(rows))
        for r in rows:
            names = [r.get("arg-type"), r.get("ret-type"), r.get("element-type")]
            if r["meta-type"] == "object":
                names += [m["type"] for m in r["members"]]
            for name in filter(None, names):
                check("type of " + r["name"], (False, name) in self.rows, True)

    def check(self, what, type_name, value):
        t = self.rows[False, type_name]
        if t["meta-type"] == "builtin":
            want = self.json_types[t["json-type"]]
            good = isinstance(value, want) and (want is not int or not isinstance(value, bool))
        elif t["meta-type"] == "enum":
            good = value in t["values"]
        elif t["meta-type"] == "array":
            good = isinstance(value, list)
            for element in value if good else []:
                self.check(what, t["element-type"], element)
        else:
            good = isinstance(value, dict) and not set(value) - {m["name"] for m in t["members"]}
            for m in t["members"] if good else []:
                if m["name"] in value or "default" not in m:
                    self.check("%s.%s" % (what, m["name"]), m["type"], value.get(m["name"]))
        if not good:
            sys.exit("FAIL: %s is no %s: %r" % (what, type_name, value))


class Machine:
    def __init__(self, image, *more):
        self.p = subprocess.Popen(
            [bailey, "-M", "cca,boot=host", "-m", "64M", "-kernel", "%s/%s.img" % (guests, image), "-serial", "null",
             "-qmp", "unix:q.sock,server=on,wait=off", *options, *more], stdin=subprocess.DEVNULL)

    def ends(self, status):
        check("exit status", self.p.wait(PATIENCE_S), status)


def call(path="q.sock"):
    end = time.time() + PATIENCE_S
    while True:
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(PATIENCE_S)
        try:
            s.connect(path)
            return s
        except OSError:
            if time.time() > end:
                sys.exit("FAIL: nobody answers at " + path)
            time.sleep(0.02)


class Qmp:
    def __init__(self, s=None):
        self.s = s or call()
        self.f = self.s.makefile("rw")
        self.schema = None
        check("greeting", list(self.get()["QMP"]), ["version", "capabilities"])
        check("negotiation", self.do("qmp_capabilities"), {})
        self.schema = Schema(self.do("query-qmp-schema"))

    def get(self):
        line = self.f.readline()
        answer = json.loads(line) if line else None
        if answer and "event" in answer and self.schema:
            event = answer["event"]
            self.schema.check(event, self.schema.rows[True, event]["arg-type"], answer.get("data", {}))
        return answer

    def put(self, text):
        self.s.sendall(text.encode())

    def do(self, command, **arguments):
        """What a command returns; events before it are kept out."""
        self.put(json.dumps({"execute": command, "arguments": arguments, "id": command}))
        while True:
            answer = self.get()
            if answer is None:
                sys.exit("FAIL: no answer to " + command)
            if "event" not in answer:
                check("id", answer.get("id"), command)
                if "return" in answer and self.schema:
                    self.schema.check(command, self.schema.rows[True, command]["ret-type"], answer["return"])
                return answer["return"] if "return" in answer else answer["error"]["class"]

    def event(self, name):
        answer = self.get()
        check("event", answer and answer.get("event"), name)
        return answer.get("data")

    def monitor(self, line):
        return self.do("human-monitor-command", **{"command-line": line})


def monitor_says(m, text):
    got = ""
    while text not in got:
        more = m.recv(4096)
        if not more:
            sys.exit("FAIL: the monitor did not say '%s' but '%s'" % (text, got))
        got += more.decode()


open("disk.img", "wb").truncate(1 << 20)

# ---- one after another; the second waits; one goes amid a command; the machine stays as it is ----
m = Machine("spin", "-S", "-monitor", "unix:m.sock", "-device", "pcie-root-port,id=rp", "-drive",
            "file=disk.img,id=d0,format=raw", "-device", "virtio-blk-pci,drive=d0,bus=rp,id=blk", "-device",
            "pcie-root-port,id=slot,hotplug=on")
first = Qmp()
check("status", first.do("query-status")["status"], "prelaunch")
check("breakpoint", first.monitor("break exc sync el2"), "event 1: exc sync el2\n")
waiting = call()  # accepted by the kernel, served when the first has gone
first.put('{"execute": "cont", "argu')
first.s.close()
first.f.close()
waiting.close()
second = Qmp()
check("a command half said is not done", second.do("query-status")["running"], False)
check("breakpoints go", second.monitor("info break"), "there are no breakpoints on events\n")

# ---- the monitor beside it ----
people = call("m.sock")
monitor_says(people, "(bailey) ")
people.sendall(b"cont\n")
second.event("RESUME")
monitor_says(people, "(bailey) ")
check("status", second.do("query-status"), {"running": True, "singlestep": False, "status": "running"})

# ---- what there is ----
names = [c["name"] for c in second.do("query-commands")]
check("commands in order", names, sorted(names))
check("commands of the schema", [n for is_call, n in second.schema.rows if is_call and n.islower()], names)
for name in names:
    if name.startswith("query-"):
        second.do(name)  # and the answer fits
check("CPUs", [c["cpu-index"] for c in second.do("query-cpus-fast")], [0])
block = second.do("query-block")
check("drives", [(b["device"], b["inserted"]["drv"], b["inserted"]["image"]["virtual-size"]) for b in block],
      [("d0", "raw", 1 << 20)])
check("on no other image", (block[0]["inserted"]["backing_file_depth"], block[0]["inserted"]["ro"]), (0, False))
bus = second.do("query-pci")[0]
port = bus["devices"][0]
check("ports", (port["qdev_id"], port["slot"], port["id"], port["class_info"]["class"]),
      ("rp", 1, {"device": 12, "vendor": 0x1b36}, 0x0604))
check("below it", [d["qdev_id"] for d in port["pci_bridge"]["devices"]], ["blk"])
check("chardevs", [c["filename"] for c in second.do("query-chardev") if c["filename"] != "null"],
      ["unix:m.sock,server=on,wait=off", "unix:q.sock,server=on,wait=off"])

# ---- objects ----
check("objects", [p["name"] for p in second.do("qom-list", path="/machine/peripheral")], ["type", "rp", "blk", "slot"])
check("a property", second.do("qom-get", path="/machine/peripheral/blk", property="drive"), "d0")
check("a class", second.do("qom-get", path="slot", property="type"), "pcie-root-port")
check("a switch", second.do("qom-get", path="slot", property="hotplug"), True)
check("a CPU", second.do("qom-get", path=second.do("query-cpus-fast")[0]["qom-path"], property="type"),
      second.do("query-cpu-definitions")[0]["typename"])
for path in "moon", "/machine/peripheral/moon", "/machine/cpu[1]", "/machine/cpu[", "/moon", "":
    check("no object", second.do("qom-list", path=path), "DeviceNotFound")
check("no property", second.do("qom-get", path="blk", property="moon"), "GenericError")
for t in second.do("qom-list-types", implements="device", abstract=False):
    second.do("device-list-properties", typename=t["name"])
check("no class", second.do("device-list-properties", typename="moon"), "DeviceNotFound")

# ---- a device that comes; the guest does not hear that it should give it back ----


def below(n):
    return [d["qdev_id"] for d in second.do("query-pci")[0]["devices"][n]["pci_bridge"]["devices"]]


check("empty", below(1), [])
check("no such class", second.do("device_add", driver="moon", bus="slot"), "GenericError")
check("no slot", second.do("device_add", driver="virtio-rng-pci", id="rng", bus="rp"), "GenericError")
check("no property", second.do("device_add", driver="virtio-rng-pci", id="rng", bus="slot", x=[1]), "GenericError")
check("comes", second.do("device_add", driver="virtio-rng-pci", id="rng", bus="slot"), {})
check("there", below(1), ["rng"])
check("full", second.do("device_add", driver="virtio-rng-pci", id="rng2", bus="slot"), "GenericError")
check("asked for", second.do("device_del", id="rng"), {})
check("still there", below(1), ["rng"])
check("not in a slot", second.do("device_del", id="blk"), "GenericError")
check("not there", second.do("device_del", id="moon"), "DeviceNotFound")

# ---- a reset from outside: both are still there, and the guest goes on ----
people.sendall(b"system_reset\ninfo clock\n")
check("reset", second.event("RESET"), {"guest": False, "reason": "host-qmp-system-reset"})
monitor_says(people, " ns, ")
check("status", second.do("query-status")["status"], "running")
check("as the command line has it", below(1), [])
check("unknown", second.do("system_wakeup"), "CommandNotFound")
second.put('{"execute": "system_powerdown"}')
second.event("POWERDOWN")
check("power button", second.get(), {"return": {}})
people.sendall(b"quit\n")
check("end", second.event("SHUTDOWN"), {"guest": False, "reason": "host-qmp-quit"})
check("nothing follows", second.get(), None)
m.ends(0)

# ---- as a QEMU harness writes it: both on -chardev, which outlive a reset, and it listens ----
server = socket.socket(socket.AF_UNIX)
server.bind("harness.sock")
server.listen(1)
p = subprocess.Popen(
    [bailey, "-M", "cca,boot=host", "-m", "64M", "-kernel", guests + "/spin.img", "-serial", "null", "-S", "-chardev",
     "socket,id=mon,path=harness.sock", "-mon", "chardev=mon,mode=control", "-chardev",
     "socket,id=people,path=m.sock,server=on,wait=off", "-mon", "people", *options], stdin=subprocess.DEVNULL)
server.settimeout(PATIENCE_S)
harness = server.accept()[0]
q = Qmp(harness)
check("labels", sorted(c["label"] for c in q.do("query-chardev") if c["label"] != "null"), ["mon", "people"])
people = call("m.sock")
monitor_says(people, "(bailey) ")
check("reset", q.do("system_reset"), {})
q.event("RESET")
check("status", q.do("query-status")["status"], "prelaunch")
people.sendall(b"info status\nquit\n")
monitor_says(people, "stopped")
q.event("SHUTDOWN")
check("exit status", p.wait(PATIENCE_S), 0)
p = subprocess.run([bailey, "-M", "cca,boot=host", "-m", "64M", "-kernel", guests + "/spin.img", "-chardev",
                    "null,id=c", "-serial", "chardev:c", "-mon", "c,mode=control"], stdin=subprocess.DEVNULL,
                   capture_output=True, timeout=PATIENCE_S)
check("somebody else's", (p.returncode, b"-qmp: something else receives what comes there" in p.stderr), (2, True))

# ---- as QEMU's own library of harnesses starts it: a socket that is there already, a console, words for no defaults ----
ours, its = socket.socketpair()
server = socket.socket(socket.AF_UNIX)
server.bind("console.sock")
server.listen(1)
server.settimeout(PATIENCE_S)
p = subprocess.Popen(
    [bailey, "-name", "guest=first,debug-threads=on", "-no-user-config", "-nodefaults", "-display", "none", "-vga", "none",
     "-chardev", "socket,id=mon,fd=%d" % its.fileno(), "-mon", "chardev=mon,mode=control", "-S", "-machine", "cca,boot=host",
     "-chardev", "socket,id=console,path=console.sock", "-serial", "chardev:console", "-m", "64M", "-kernel",
     guests + "/hello.img", *options], stdin=subprocess.DEVNULL, pass_fds=[its.fileno()])
its.close()
ours.settimeout(PATIENCE_S)
q = Qmp(ours)
check("name", q.do("query-name"), {"name": "first"})
console = server.accept()[0].makefile()
check("go", q.do("cont"), {})
check("console", console.readline(), "hello\n")
q.event("SHUTDOWN")
check("exit status", p.wait(PATIENCE_S), 0)
ours, its = socket.socketpair()  # a serial port there, which a reset of the guest leaves connected
p = subprocess.Popen([bailey, "-machine", "cca,boot=host", "-m", "64M", "-kernel", guests + "/reset.img", "-chardev",
                      "socket,id=c,fd=%d" % its.fileno(), "-serial", "chardev:c", *options], stdin=subprocess.DEVNULL,
                     pass_fds=[its.fileno()])
its.close()
ours.settimeout(PATIENCE_S)
console = ours.makefile()
check("before and after a reset", [console.readline() for _ in range(2)], ["hello\n"] * 2)
p.terminate()
check("exit status", p.wait(PATIENCE_S), 0)
p = subprocess.run([bailey, "-nodefaults", "-machine", "cca,boot=host", "-m", "64M", "-kernel", guests + "/hello.img",
                    *options], stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_S)
check("no serial port of its own", (p.returncode, p.stdout, p.stderr), (0, b"", b""))

# ---- the guest's own: power-off, reset, reset that ends the run, a signal ----
m = Machine("hello", "-S")
q = Qmp()
q.put('{"execute": "cont"}')
q.event("RESUME")
check("answer", q.get(), {"return": {}})
check("off", q.event("SHUTDOWN"), {"guest": True, "reason": "guest-shutdown"})
m.ends(0)

m = Machine("reset", "-S")
q = Qmp()
q.put('{"execute": "cont"}')
q.event("RESUME")
check("answer", q.get(), {"return": {}})
for _ in range(3):
    check("reset", q.event("RESET"), {"guest": True, "reason": "guest-reset"})
check("stop", q.do("stop"), {})
m.p.terminate()
check("signal", q.event("SHUTDOWN"), {"guest": False, "reason": "host-signal"})
m.ends(0)

m = Machine("reset", "-S", "-no-reboot")
q = Qmp()
q.put('{"execute": "cont"}')
q.event("RESUME")
check("answer", q.get(), {"return": {}})
check("reset that ends", q.event("SHUTDOWN"), {"guest": True, "reason": "guest-reset"})
m.ends(0)
print("QMP: callers, monitor, resets, ends")
