#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Talks to tests/guests/vsock-guest.c through the unix socket of its vsock device.

usage: vsock-check.py SOCKET CHECK; prints one line, exits 0 when all is as it should be."""
import hashlib
import os
import socket
import sys
import threading
import time

path, check = sys.argv[1:3]
SIZE = 8 << 20
DEADLINE = time.monotonic() + 90


def dial(port, verb="CONNECT"):
    """A connected stream, or None when the guest refused."""
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(90)
    line = b""
    try:
        s.connect(path)
        s.sendall(f"{verb} {port}\n".encode())
        while not line.endswith(b"\n"):
            c = s.recv(1)
            if not c:
                return None
            line += c
    except (ConnectionResetError, BrokenPipeError, ConnectionRefusedError):
        return None
    assert line.startswith(b"OK ") and int(line[3:]) > 0, line
    return s


def wait_for(port):
    while time.monotonic() < DEADLINE:
        s = dial(port)
        if s:
            return s
        time.sleep(0.02)
    sys.exit(f"port {port} of the guest does not answer")


def read_all(s):
    parts = []
    while True:
        part = s.recv(65536)
        if not part:
            return b"".join(parts)
        parts.append(part)


def echo():
    s = wait_for(1024)
    s.sendall(b"hello")
    assert s.recv(16) == b"hello"
    s.shutdown(socket.SHUT_WR)
    assert read_all(s) == b""
    assert dial(1024, "connect")


def refused():
    wait_for(1024)
    start = time.monotonic()
    assert dial(9999) is None
    assert time.monotonic() - start < 80  # at once, not after the guest's own time limit


def to_guest():
    s = wait_for(1025)
    s.sendall(b"a" * SIZE)
    s.shutdown(socket.SHUT_WR)
    assert int(read_all(s)) == SIZE


def from_guest():
    s = wait_for(1026)
    s.sendall(b"%d\n" % SIZE)
    time.sleep(1)  # a host that is slow: the guest must wait for it
    got = read_all(s)
    assert len(got) == SIZE and got.count(b"x") == SIZE


def both_ways():
    s = wait_for(1024)
    sent = os.urandom(1 << 20) * 4
    def writer():
        s.sendall(sent)
        s.shutdown(socket.SHUT_WR)
    t = threading.Thread(target=writer)
    t.start()
    got = read_all(s)
    t.join()
    assert hashlib.sha256(got).digest() == hashlib.sha256(sent).digest()


def guest_calls():
    wait_for(1024)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path + "_5000")
    listener.listen(1)
    s = dial(1027)
    s.sendall(b"5000\n")
    caller, _ = listener.accept()
    assert read_all(caller) == b"from the guest\n"
    assert read_all(s) == b"connected\n"
    s = dial(1027)
    s.sendall(b"5001\n")
    assert read_all(s).startswith(b"refused ")


def many():
    wait_for(1024)
    streams = [wait_for(1024) for _ in range(150)]
    for i, s in enumerate(streams):
        s.sendall(b"%d" % i)
    for i, s in enumerate(streams):
        assert s.recv(16) == b"%d" % i
        s.close()
    # Streams that ended leave room for others.
    for _ in range(150):
        wait_for(1024).close()


def power_off():
    wait_for(1028)


globals()[check]()
print(f"{check}: as it should be")
