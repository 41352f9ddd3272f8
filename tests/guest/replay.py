#!/usr/bin/env python3
"""Replays the sessions that a page of docs/ shows: replay.py PAGE BAILEY GUESTS [OPTION...]

A session is an indented block whose first lines are a command that begins with build/bailey. Lines that begin with
'(bailey) ' are typed into the monitor, those with '-> ' are sent to QMP; the lines below, for QMP with '<- ' in front,
are what comes back. '...' stands for anything: in a line, as a line of its own for any lines, and as a string of JSON
for any value. Times of QMP's events are not compared.
"""
import json, os, re, shlex, socket, subprocess, sys, time

PATIENCE_S = 60
PROMPT = "(bailey) "


def sessions(page):
    block = []
    for line in open(page).read().split("\n") + ["end"]:
        if line.startswith("    "):
            block.append(line[4:])
        elif line.strip() == "" and block:
            block.append("")
        else:
            if block and block[0].startswith("build/bailey") and any(map(is_input, block)):
                yield [l for l in block if l]
            block = []


def is_input(line):
    return line.startswith((PROMPT, "-> "))


class Fail(Exception):
    pass


def connect(path, process):
    end = time.time() + PATIENCE_S
    while time.time() < end:
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(PATIENCE_S)
        try:
            s.connect(path)
            return s
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.02)
    raise Fail("nobody answers at " + path)


def alike(want, got):
    """Whether two lists of lines are the same but for what '...' stands for."""
    pattern = "".join(
        "(?:.*\n)*?" if line == "..." else ".*".join(map(re.escape, line.split("..."))) + "\n" for line in want)
    return re.fullmatch(pattern, "".join(line + "\n" for line in got)) is not None


class Monitor:
    def __init__(self, s):
        self.s, self.heard = s, ""
        self.until_prompt()

    def until_prompt(self):
        while PROMPT not in self.heard:
            more = self.s.recv(4096)
            if not more:
                break
            self.heard += more.decode()
        text, _, self.heard = self.heard.partition(PROMPT)
        return text.split("\n")

    def exchange(self, line, want):
        self.s.sendall((line[len(PROMPT):] + "\n").encode())
        got = [l for l in self.until_prompt() if l]
        if any(l.startswith("stopped: ") for l in want):
            got += [l for l in self.until_prompt() if l]
        if not alike(want, got):
            raise Fail("%s\nshould say:\n%s\nand said:\n%s" % (line, "\n".join(want), "\n".join(got)))


class Qmp:
    def __init__(self, s):
        self.f = s.makefile("rw")

    @staticmethod
    def same(want, got):
        if want == "...":
            return True
        if isinstance(want, dict) and isinstance(got, dict):
            return want.keys() == got.keys() and all(Qmp.same(want[k], got[k]) for k in want if k != "timestamp")
        if isinstance(want, list) and isinstance(got, list):
            return len(want) == len(got) and all(map(Qmp.same, want, got))
        return want == got

    def exchange(self, line, want):
        if line is not None:
            self.f.write(line[3:] + "\n")
            self.f.flush()
        for w in want:
            got = self.f.readline()
            if not Qmp.same(json.loads(w[3:]), json.loads(got or "null")):
                raise Fail("%s\nshould say:\n%s\nand said:\n%s" % (line, w, got))


def replay(lines, bailey, guests, options):
    command = ""
    while not is_input(lines[0]) and not lines[0].startswith("<- "):
        command += lines.pop(0).rstrip("\\") + " "
    words = [bailey if w == "build/bailey" else w.replace("build/tests/guest", guests) for w in shlex.split(command)]
    path = re.search(r"unix:([^, ]+)", command).group(1)
    process = subprocess.Popen(words[:1] + options + words[1:], stdin=subprocess.DEVNULL)
    try:
        front = (Qmp if "-qmp" in words else Monitor)(connect(path, process))
        asked, want = None, []
        for line in lines + [None]:
            if line is not None and not is_input(line):
                want.append(line)
                continue
            if asked is not None or want:
                front.exchange(asked, want)
            asked, want = line, []
        try:
            status = process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise Fail("the machine goes on; end it with quit")
        if status != 0:
            raise Fail("exit status %d" % status)
    finally:
        process.kill()
        process.wait()


def main():
    page, bailey, guests = sys.argv[1:4]
    n = 0
    for lines in sessions(page):
        n += 1
        try:
            replay(list(lines), bailey, guests, sys.argv[4:])
        except Fail as e:
            sys.exit("FAIL: session %d of %s: %s" % (n, os.path.basename(page), e))
    print("%d sessions" % n)


main()
