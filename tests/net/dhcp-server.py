#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A DHCP server for tests/net.bats: answers as its MODE says, writes what it was asked to a log.

dhcp-server.py DEVICE SERVER_ADDRESS CLIENT_ADDRESS LOG MODE
Modes: plain, rapid, routes, silent (not before the third DISCOVER), nak (the first REQUEST is refused),
short (T1 after 15 s), lost (short, and renewals are refused), noise (garbage before every answer).
"""
import os
import socket
import struct
import sys

device, server, client, log_path, mode = sys.argv[1:6]
DISCOVER, OFFER, REQUEST, ACK, NAK = 1, 2, 3, 5, 6
NAMES = {1: "discover", 3: "request", 4: "decline", 7: "release"}


def options_of(message):
    found, at = {}, 240
    while at < len(message) and message[at] != 255:
        if message[at] == 0:
            at += 1
            continue
        size = message[at + 1]
        found[message[at]] = message[at + 2:at + 2 + size]
        at += 2 + size
    return found


def reply(request, kind, extra=b""):
    head = struct.pack("!BBBB", 2, 1, 6, 0) + request[4:8] + bytes(4) + request[12:16]
    yiaddr = bytes(4) if kind == NAK else socket.inet_aton(client)
    head += yiaddr + bytes(8) + request[28:44] + bytes(192) + bytes([99, 130, 83, 99])
    options = bytes([53, 1, kind, 54, 4]) + socket.inet_aton(server)
    if kind != NAK:
        lease, renew = (120, 15) if mode in ("short", "lost") else (3600, 1800)
        options += struct.pack("!BBIBBI", 51, 4, lease, 58, 4, renew)
        options += bytes([1, 4, 255, 255, 255, 0, 3, 4]) + socket.inet_aton(server)
        options += bytes([6, 4]) + socket.inet_aton(server) + bytes([15, 12]) + b"example.test"
        options += bytes([26, 2]) + struct.pack("!H", 1400)
    return head + options + extra + b"\xff"


def main():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
    s.bind(("", 67))
    log = open(log_path, "w", buffering=1)
    log.write("listening\n")
    seen = {}
    while True:
        request, sender = s.recvfrom(2048)
        options = options_of(request)
        kind = options.get(53, b"\0")[0]
        seen[kind] = seen.get(kind, 0) + 1
        renewing = request[12:16] != bytes(4)
        log.write("%s%s%s from %s\n" % (NAMES.get(kind, str(kind)), " renewing" if renewing else "",
                                        " rapid" if 80 in options else "", sender[0]))
        to = (sender[0] if renewing else "255.255.255.255", 68)
        if mode == "noise":
            for junk in (b"", b"\x02\x01\x06\x00", os.urandom(400), reply(request, ACK)[:250],
                         reply(request, OFFER)[:-1] + b"\x79\xff\x00\xff"):
                s.sendto(junk, to)
            # Somebody else's transaction.
            s.sendto(request[:4] + bytes(4) + reply(request, ACK)[8:], to)
        if mode == "silent" and seen.get(DISCOVER, 0) < 3:
            continue
        if kind == DISCOVER and mode == "rapid":
            s.sendto(reply(request, ACK, bytes([80, 0])), to)
        elif kind == DISCOVER:
            s.sendto(reply(request, OFFER), to)
        elif kind == REQUEST and (mode == "nak" and seen[REQUEST] == 1 or mode == "lost" and renewing):
            s.sendto(reply(request, NAK), to)
        elif kind == REQUEST:
            extra = b""
            if mode == "routes":
                # 169.254.9.9/32 on the link, a default route through it, 172.30/16 by the server.
                extra = bytes([121, 9 + 5 + 7, 32, 169, 254, 9, 9, 0, 0, 0, 0, 0, 169, 254, 9, 9,
                               16, 172, 30]) + socket.inet_aton(server)
            s.sendto(reply(request, ACK, extra), to)


main()
