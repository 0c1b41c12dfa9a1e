#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""damage.py FILE N COMMAND...: writes N damaged copies of the kernel $KERNEL to FILE, one after the other, and runs COMMAND.

Headers lie (counts, offsets, sizes, addresses, magic numbers), files are cut. COMMAND must end by itself, with one line on
standard error that says something of the file or its guest, and without a signal.
"""
import os
import random
import struct
import subprocess
import sys

out, count, command = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
name = os.environ["KERNEL"]
with open(name, "rb") as f:
    whole = f.read()
dice = random.Random(name)
EDGES = [0, 1, 7, 0x7F, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFF000, 0x100000, 0xC0000000]


def fields():
    """Where the loaders look: ELF header and program headers, the setup header, the multiboot header."""
    if whole[:4] == b"\x7fELF":
        wide = whole[4] == 2
        yield from range(0, 64 if wide else 52, 2)
        table = struct.unpack_from("<Q" if wide else "<I", whole, 32 if wide else 28)[0]
        yield from range(table, table + (56 if wide else 32) * 4, 4)
    else:
        yield from range(0x1F1, 0x268)
    at = whole.find(b"\x02\xb0\xad\x1b", 0, 8192)
    if at >= 0:
        yield from range(at, at + 32, 4)


places = [p for p in fields() if p + 8 <= len(whole)]


def damaged(i):
    data = bytearray(whole)
    if i % 7 == 6:
        return data[: dice.randrange(len(data))]
    for _ in range(1 + i % 3):
        at = dice.choice(places)
        if dice.random() < 0.3:
            data[at] ^= 1 << dice.randrange(8)
        else:
            width = dice.choice("BHIQ")
            value = dice.choice(EDGES) & (256 ** struct.calcsize(width) - 1)
            struct.pack_into("<" + width, data, at, value if width != "Q" or dice.random() < 0.5 else value << 32)
    return data


refused = 0
for i in range(count):
    with open(out, "wb") as f:
        f.write(damaged(i))
    r = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=200)
    lines = r.stderr.decode(errors="replace").splitlines()
    wrong = None
    if r.returncode < 0 or r.returncode > 255:
        wrong = "was killed"
    elif r.returncode == 125 and len(lines) != 1:
        wrong = "did not say why in one line"
    elif any(w in r.stderr for w in (b"killed by", b"Sanitizer", b"ended with status")):
        wrong = "the monitor did not end well"
    if wrong:
        print(f"{name}, {i}: {wrong} (status {r.returncode}): {lines}")
        os.replace(out, out + ".bad")
        sys.exit(1)
    refused += r.returncode == 125 and out.encode() in r.stderr
print(f"{name}: {count} tried, {refused} refused by name")
