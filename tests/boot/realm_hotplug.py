"""A Realm with a shell, and a card in its slot by QMP: realm_hotplug.py SOCKET BAILEY OPTION... Prints its console."""
import json, os, socket, subprocess, sys

path, command = sys.argv[1], sys.argv[2:]
guest = subprocess.Popen([*command, "-qmp", "unix:%s,server=on,wait=off" % path], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE)
said = b""


def check(what, good):
    if not good:
        sys.exit("FAIL: " + what)


def until(text):
    global said
    while text not in said:
        more = os.read(guest.stdout.fileno(), 4096)
        check("the guest ended before it said %r" % text, more)
        said += more
        sys.stdout.buffer.write(more)
    said = said.split(text, 1)[1]


def tell(line):  # what is typed must not look like what is waited for
    guest.stdin.write(line.encode() + b"; echo do''ne\n")
    guest.stdin.flush()
    until(b"done\r\n")


def listen(wanted):
    while True:
        line = qmp.readline()
        check("QMP ended", line)
        answer = json.loads(line)
        if wanted in answer and (wanted != "event" or answer["event"] == "DEVICE_DELETED"):
            return answer[wanted] if wanted == "return" else answer
        check("QMP: " + line, "error" not in answer or wanted == "error")


def do(name, wanted="return", **arguments):
    qmp.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
    qmp.flush()
    return listen(wanted)


until(b"~ # ")
s = socket.socket(socket.AF_UNIX)
s.settimeout(60)
s.connect(path)
qmp = s.makefile("rw")
do("qmp_capabilities")
do("device_add", "error", driver="tdisp-nic", id="n2", netdev="n0", bus="slot")
do("device_add", "error", driver="virtio-rng-pci", id="nic", bus="slot")
do("device_add", driver="virtio-rng-pci", id="rng", bus="slot")
tell("until [ -e /sys/bus/pci/devices/0000:02:00.0/driver ]; do usleep 100000; done; dmesg | tail -n 20")
check("the card at QMP", [d["qdev_id"] for d in do("query-pci")[1]["devices"][0]["pci_bridge"]["devices"]] == ["rng"])
text = do("human-monitor-command", **{"command-line": "info pci"})
check("info pci: " + text, "emulated by the built-in host for its Realm:\n00:10.0 slot: pcie-root-port" in text and
      "\n02:00.0 rng: virtio-rng-pci" in text)
do("device_del", id="rng")
check("the event", listen("event")["data"]["device"] == "rng")
tell("ls /sys/bus/pci/devices")
check("it is still there", [d["qdev_id"] for d in do("query-pci")[1]["devices"]] == ["slot"])
do("system_reset")
until(b"~ # ")
do("device_add", driver="virtio-rng-pci", id="rng", bus="slot")
do("quit")
sys.exit(guest.wait())
