#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes DIR/image.json of a guest image whose files are there.

	describe.py DIR ROOT-FILE FORMAT [CMDLINE]
"""
import hashlib
import json
import os
import sys

directory, root, form = sys.argv[1:4]
cmdline = sys.argv[4] if len(sys.argv) > 4 else "ro"


def described(name):
    with open(os.path.join(directory, name), "rb") as f:
        data = f.read()
    return {"name": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


names = sorted(n for n in os.listdir(directory) if n not in ("image.json", "image.json.sig"))
image = {
    "schema": 1, "name": "kihon-test", "version": "0.1.0", "profile": "container", "arch": "x86_64", "timestamp": 1700000000,
    "kernel": {"vmlinux": "vmlinux", "version": "6.12.0-test"},
    "rootfs": {"file": root, "format": form}, "cmdline": cmdline,
    "agent": {"version": "0.1.0", "min_version": "0.1.0", "protocol": "0.0.1"},
    "files": [described(n) for n in names],
    "packages": [
        {"name": "linux", "version": "6.12.1-1~x1", "source": "linux-source-6.12", "licence": "GPL-2.0-only WITH Linux-syscall-note",
         "sha256": "1" * 64},
        {"name": "libgcc", "version": "12.2.0-14", "source": "gcc-12", "licence": "GPL-3.0-or-later WITH GCC-exception-3.1"},
        {"name": "musl", "version": "1:1.2.3-1+deb", "source": "musl", "licence": "MIT", "sha256": "2" * 64}],
}
with open(os.path.join(directory, "image.json"), "w") as f:
    json.dump(image, f)
