"""A guest with a shell, its button pressed by the monitor: power_button.py SOCKET BAILEY OPTION... Prints its console."""
import os, socket, subprocess, sys

path, command = sys.argv[1], sys.argv[2:]
guest = subprocess.Popen([*command, "-monitor", "unix:" + path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
said = b""


def until(text):
    global said
    while text not in said:
        more = os.read(guest.stdout.fileno(), 4096)
        if not more:
            sys.stdout.buffer.write(said)
            sys.exit("FAIL: the guest ended before it said %r" % text)
        said += more
        sys.stdout.buffer.write(more)


until(b"~ # ")
# One event, of 24 bytes; what is typed must not look like what is waited for.
guest.stdin.write(b"for m in $(cat /etc/modules); do case $m in evdev|gpio_keys) insmod /lib/modules/$m.ko;; esac; done; "
                  b"dmesg | grep -i 'gpio-keys\\|power button'; (sleep 1; echo wai''ts) & "
                  b"dd if=/dev/input/event0 bs=24 count=1 2> /dev/null | od -An -tx1; poweroff -f\n")
guest.stdin.flush()
until(b"waits")
people = socket.socket(socket.AF_UNIX)
people.connect(path)
people.sendall(b"system_powerdown\n")
rest = guest.communicate()[0]
sys.stdout.buffer.write(rest)
sys.exit(guest.returncode)
