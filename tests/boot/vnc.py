#!/usr/bin/env python3
"""A VNC client for tests. vnc.py UNIX-SOCKET COMMAND...: commands in order:
  raw | zlib        the encoding from now on
  picture FILE      wait for a whole update and write it as PPM
  wait N            updates until at least N pixels are not black
  pixel X Y RRGGBB  updates until the pixel has that colour
  type TEXT         keys of the characters, and \\n
  point X Y BUTTONS
  size W H          wish for that size, and wait for the server's answer
"""
import socket
import struct
import sys
import time
import zlib

DEADLINE_S = 120


class Client:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(DEADLINE_S)
        self.socket.connect(path)
        self.inflater = zlib.decompressobj()
        assert self.read(12) == b"RFB 003.008\n"
        self.socket.sendall(b"RFB 003.008\n")
        assert self.read(self.read(1)[0]) == b"\1", "the server asks for a password"
        self.socket.sendall(b"\1")
        assert self.read(4) == bytes(4)
        self.socket.sendall(b"\1")
        self.width, self.height = struct.unpack(">HH", self.read(4))
        self.read(16)
        self.name = self.read(struct.unpack(">I", self.read(4))[0]).decode()
        self.pixels = bytearray(4 * self.width * self.height)
        self.encodings(0)
        self.sizes = []  # (reason, status) of each ExtendedDesktopSize

    def read(self, n):
        data = b""
        while len(data) < n:
            part = self.socket.recv(min(n - len(data), 1 << 20))
            assert part, "the server hung up"
            data += part
        return data

    def encodings(self, first):
        self.socket.sendall(struct.pack(">BxHiii", 2, 3, first, -223, -308))

    def update(self, incremental):
        """One update; changes of the size are part of it."""
        self.socket.sendall(struct.pack(">BBHHHH", 3, incremental, 0, 0, self.width, self.height))
        kind, rects = struct.unpack(">BxH", self.read(4))
        assert kind == 0, f"message {kind} instead of an update"
        for _ in range(rects):
            x, y, w, h, encoding = struct.unpack(">HHHHi", self.read(12))
            if encoding in (-223, -308):
                if encoding == -308:
                    self.read(16 * self.read(4)[0])
                    self.sizes.append((x, y))
                if (w, h) != (self.width, self.height):
                    self.width, self.height = w, h
                    self.pixels = bytearray(4 * w * h)
                continue
            if encoding == 6:
                data = self.inflater.decompress(self.read(struct.unpack(">I", self.read(4))[0]))
            else:
                data = self.read(4 * w * h)
            assert len(data) == 4 * w * h, "a rectangle of another length"
            for row in range(h):
                at = 4 * ((y + row) * self.width + x)
                self.pixels[at:at + 4 * w] = data[4 * w * row:4 * w * (row + 1)]

    def colours(self):
        return bytes(b for i in range(0, len(self.pixels), 4) for b in self.pixels[i:i + 3][::-1])

    def wait(self, count):
        end = time.time() + DEADLINE_S
        self.update(0)
        while True:
            lit = sum(1 for i in range(0, len(self.pixels), 4) if any(self.pixels[i:i + 3]))
            if lit >= count:
                return
            assert time.time() < end, f"only {lit} pixels are not black"
            self.update(1)

    def pixel(self, x, y, colour):
        end = time.time() + DEADLINE_S
        self.update(0)
        while True:
            at = 4 * (y * self.width + x)
            now = self.pixels[at:at + 3][::-1].hex()
            if now == colour:
                return
            assert time.time() < end, f"pixel {x}, {y} is {now} and not {colour}"
            self.socket.settimeout(10)
            try:
                self.update(1)
            except socket.timeout:
                sys.exit(f"vnc.py: pixel {x}, {y} is {now} and not {colour}, and no update comes")

    def picture(self, path):
        self.update(0)
        with open(path, "wb") as f:
            f.write(b"P6\n%d %d\n255\n" % (self.width, self.height) + self.colours())

    def type(self, text):
        for c in text.replace("\\n", "\n"):
            keysym = 0xFF0D if c == "\n" else ord(c)
            for down in (1, 0):
                self.socket.sendall(struct.pack(">BBxxI", 4, down, keysym))
                time.sleep(0.02)

    def size(self, width, height):
        self.socket.sendall(struct.pack(">BxHHBxIHHHHI", 251, width, height, 1, 0, 0, 0, width, height, 0))
        while (1, 4) not in self.sizes:
            self.update(1)

    def point(self, x, y, buttons):
        self.socket.sendall(struct.pack(">BBHH", 5, buttons, x, y))


def main(path, words):
    client = Client(path)
    while words:
        word = words.pop(0)
        if word in ("raw", "zlib"):
            client.encodings(6 if word == "zlib" else 0)
        elif word in ("picture", "type"):
            getattr(client, word)(words.pop(0))
        elif word == "wait":
            client.wait(int(words.pop(0)))
        elif word == "pixel":
            client.pixel(int(words.pop(0)), int(words.pop(0)), words.pop(0))
        elif word == "size":
            client.size(*(int(words.pop(0)) for _ in range(2)))
        elif word == "point":
            client.point(*(int(words.pop(0)) for _ in range(3)))
        else:
            sys.exit(f"vnc.py: there is no command {word}")
    client.socket.settimeout(DEADLINE_S)
    client.update(0)  # the server has taken all before it answers
    print(f"{client.name}: {client.width}x{client.height}")


main(sys.argv[1], sys.argv[2:])
