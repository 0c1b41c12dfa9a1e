#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints a tree, one line an entry: what two file systems must agree on. tree-dump.py DIR"""

import hashlib
import os
import stat
import sys


def content(path):
    h = hashlib.sha256()
    with open(path, "rb") as f:
        while True:
            data = f.read(1 << 20)
            if not data:
                return h.hexdigest()
            h.update(data)


def describe(path, rel, first_names):
    st = os.lstat(path)
    out = [rel, oct(st.st_mode), "%d:%d" % (st.st_uid, st.st_gid)]
    if not stat.S_ISDIR(st.st_mode):
        out.append("mtime=%d" % st.st_mtime_ns)  # who changes a directory decides its time
        if st.st_nlink > 1:
            out.append("same=%r" % first_names.setdefault((st.st_dev, st.st_ino), rel))
    if stat.S_ISREG(st.st_mode):
        out.append("%d %s" % (st.st_size, content(path)))
    elif stat.S_ISLNK(st.st_mode):
        out.append("->%r" % os.readlink(path))
    elif stat.S_ISCHR(st.st_mode) or stat.S_ISBLK(st.st_mode):
        out.append("%d:%d" % (os.major(st.st_rdev), os.minor(st.st_rdev)))
    for name in sorted(os.listxattr(path, follow_symlinks=False)):
        if not name.startswith("trusted.overlay."):
            out.append("{%s=%r}" % (name, os.getxattr(path, name, follow_symlinks=False)))
    return " ".join(repr(o) if o is rel else str(o) for o in out)


def main():
    root = os.fsencode(sys.argv[1])
    names = []
    for folder, dirs, files in os.walk(root):
        names += [os.path.join(folder, n) for n in dirs + files]
    first_names = {}
    for path in sorted(names):
        print(describe(path, path[len(root):], first_names))


main()
