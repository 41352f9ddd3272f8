"""The monitor's terminal, key by key: monitor_terminal.py BAILEY OPTION... What a key does shows before the next."""
import os, pty, select, sys, termios, time

PATIENCE_S = 30
pid, fd = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm"
    os.execv(sys.argv[1], sys.argv[1:])
PROMPT = b"(bailey) "


def until(text):
    seen, end = b"", time.time() + PATIENCE_S
    while text not in seen:
        if time.time() > end or not select.select([fd], [], [], end - time.time())[0]:
            sys.exit("FAIL: the terminal shows %r, not %r" % (seen, text))
        seen += os.read(fd, 4096)


def key(text, shows):
    os.write(fd, text)
    until(shows)


until(PROMPT)
for _ in range(2):  # each line gives the terminal back to the one before, who is to have it again
    if termios.tcgetattr(fd)[3] & termios.ICANON:
        sys.exit("FAIL: keys wait for the end of their line")
    key(b"info st", b"info st")
    key(b"\t", b"atus ")
    key(b"\n", b"stopped\r\n" + PROMPT)
    key(b"\033[A", b"info status")
    key(b"\n", b"stopped\r\n" + PROMPT)
    key(b"info ", b"info ")
    key(b"\t\t", PROMPT + b"info ")  # behind the names
    key(b"\025", b"\033[K")
    key(b"system_reset\n", PROMPT)
os.write(fd, b"quit\n")
if os.waitpid(pid, 0)[1] != 0:
    sys.exit("FAIL: the end")
