/* Back ends and their keys, for people; who takes them checks them: netdev.c, chardev.c, blockdev.c, fsdev.c, vnc.c. */
#include "option_help.h"

#include <stdio.h>
#include <string.h>

#include "bits.h"

#define CHARDEVS \
    "  stdio                            the terminal; Ctrl-A x ends\n" \
    "  pty[,path=LINK]                  a new pseudo-terminal, for screen or minicom\n" \
    "  file:PATH[,append=on]            a file\n" \
    "  unix:PATH[,server=on][,wait=off] a Unix socket that it connects to, or others with server=on\n" \
    "  tcp:HOST:PORT[,...]              the same over TCP\n" \
    "      reconnect=SECONDS            of a socket that connects: tried again\n" \
    "  null, none                       nowhere\n"

static const struct {
    const char *option, *text;
} helps[] = {
    { "netdev",
      "Network back ends (-netdev NAME,id=ID[,key=value...]), for the netdev=ID of a -device:\n"
      "  user      libslirp: the guest is 10.0.2.15, the host 10.0.2.2; hostfwd=tcp::2222-:22, restrict=on, net=,\n"
      "            host=, dns=, dhcpstart=, hostname=, tftp=, bootfile=, ipv4=, ipv6=\n"
      "  stream    frames over a socket: server=on, addr.type=unix,addr.path=PATH or\n"
      "            addr.type=inet,addr.host=HOST,addr.port=PORT, vnet-hdr=on\n"
      "  socket    the same over TCP in QEMU's older words: listen=[HOST]:PORT or connect=HOST:PORT\n"
      "  tap       an interface of the host: ifname=NAME, or fd=N for an open one\n"
      "  loop      every frame comes back\n"
      "  none      nothing is connected\n" },
    { "serial",
      "Where a serial port goes (-serial BACKEND), one option for each port:\n" CHARDEVS
      "  chardev:ID                       a -chardev\n" },
    { "chardev",
      "Character back ends (-chardev BACKEND,id=ID), for -serial chardev:ID, -mon and the chardev=ID of a -device:\n"
      CHARDEVS
      "  socket,path=PATH[,...]           unix:PATH in QEMU's words; with host= and port= tcp:\n" },
    { "drive",
      "Disk images (-drive key=value,...):\n"
      "  file=PATH                 the image\n"
      "  format=raw|qcow2          raw when not given\n"
      "  if=virtio|none|pflash     virtio makes the disk; none: for the drive=ID of a -device; pflash: firmware\n"
      "  id=ID                     its name for drive=ID\n"
      "  unit=N                    of pflash: 0 has firmware, 1 its variables\n"
      "  snapshot=on               writes are gone at the end\n"
      "  readonly=on               there are none\n"
      "  backing=PATH              the file that a qcow2 image stands on, where it lies in another folder\n" },
    { "fsdev",
      "Shared folders (-fsdev local,id=ID,key=value,...), for the fsdev=ID of a virtio-9p-pci:\n"
      "  path=FOLDER                           what is shared\n"
      "  readonly=on                           nothing is changed\n"
      "  security_model=none|mapped-xattr      files as they are, or owners and modes kept in extended attributes\n" },
    { "virtfs",
      "Shared folders (-virtfs local,path=FOLDER,mount_tag=TAG[,key=value...]): -fsdev and its device in one; the\n"
      "guest mounts it by 'mount -t 9p -o trans=virtio TAG /mnt'. -fsdev help has the other keys.\n" },
    { "display",
      "Viewers of what -device virtio-gpu-pci or ramfb shows (-display NAME):\n"
      "  none                      the default; screendump of the monitor takes pictures all the same\n"
      "  vnc=:N                    VNC on TCP port 5900 + N of this machine; vnc=ADDRESS:N, vnc=unix:PATH\n"
      "      password-file=FILE    VNC authentication with its first line\n"
      "      head=ID               of that display\n" },
};

bool option_help(const char *option)
{
    for (size_t i = 0; i < ARRAY_LEN(helps); i++) {
        if (strcmp(helps[i].option, option) == 0) {
            fputs(helps[i].text, stdout);
            return true;
        }
    }
    return false;
}
