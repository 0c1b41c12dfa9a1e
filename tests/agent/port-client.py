#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""port-client PATH [NAME]: connects a unix socket (bound to the abstract NAME first) to PATH, sends what comes on
stdin as it comes, prints what is received until the other side ends."""
import os
import socket
import sys
import threading

s = socket.socket(socket.AF_UNIX)
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
