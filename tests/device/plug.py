#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plugs devices into a running QEMU: plug.py QMP_SOCKET CONSOLE_FILE TEXT COMMAND...

Waits until CONSOLE_FILE holds TEXT, then gives each COMMAND (JSON) to QEMU and prints what it returns, if anything.
Ends with 1 and one line when QEMU refuses or the text does not come within 250 seconds.
"""
import json
import socket
import sys
import time

path, console, text, commands = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
deadline = time.monotonic() + 250
while text not in open(console, errors="replace").read():
    if time.monotonic() > deadline:
        sys.exit("plug.py: %s does not hold %r" % (console, text))
    time.sleep(0.05)
s = socket.socket(socket.AF_UNIX)
s.connect(path)
lines = s.makefile("rw")
lines.readline()
for command in ['{"execute":"qmp_capabilities"}'] + commands:
    lines.write(command + "\n")
    lines.flush()
    answer = {}
    while "return" not in answer and "error" not in answer:
        answer = json.loads(lines.readline())
    if "error" in answer:
        sys.exit("plug.py: %s: %s" % (command, answer["error"]["desc"]))
    if answer["return"]:
        print(json.dumps(answer["return"]))
