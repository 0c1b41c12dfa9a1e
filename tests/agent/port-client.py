#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""port-client PATH [NAME]: connects a unix socket (bound to the abstract NAME first) to PATH, sends what comes on
stdin as it comes, prints what is received until the other side ends.

port-client --vsock PATH PORT FILE: the same for a guest's vsock port, through the socket of its vsock device; this
side's own port is written to FILE. Ends with 1 when the guest refuses."""
import os
import socket
import sys
import threading

s = socket.socket(socket.AF_UNIX)


def dial_guest(path, port, file):
    s.connect(path)
    s.sendall(b"CONNECT %s\n" % port.encode())
    line = b""
    try:
        while not line.endswith(b"\n"):
            c = s.recv(1)
            if not c:
                sys.exit(1)
            line += c
    except ConnectionResetError:
        sys.exit(1)
    with open(file + ".new", "wb") as f:
        f.write(line.split()[1])
    os.rename(file + ".new", file)


if sys.argv[1] == '--vsock':
    dial_guest(*sys.argv[2:])
else:
    if len(sys.argv) > 2:
        s.bind('\0' + sys.argv[2])
    s.connect(sys.argv[1])


def send():
    while data := os.read(0, 65536):
        s.sendall(data)
    s.shutdown(socket.SHUT_WR)


threading.Thread(target=send, daemon=True).start()
while data := s.recv(65536):
    os.write(1, data)
