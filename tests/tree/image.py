#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes an OCI layout with the image of tests/tree.bats, tag `tree`.

	image.py DIR TREE-LIST

It has the layers of tests/pull/images.py's `rich`, and three more: a folder `t`, what changes it, and the program
that lists it all."""

import os
import random
import sys
import tarfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "pull"))
sys.dont_write_bytecode = True
import images  # noqa: E402

# vfs_cap_data, revision 2: net_bind_service permitted, not effective
CAP_BIND = "\x00\x00\x00\x02\x00\x04" + "\x00" * 14


def below():
    rnd = random.Random(3)
    t = images.Tar()
    t.dir(".", mode=0o1751, gid=7, xattrs={"user.root": "the image's"})
    # What the engine mounts on: with it there, it makes nothing in the container's root and /etc.
    t.dir("proc").dir("sys").dir("dev").add("etc/resolv.conf")
    t.dir("t", mtime=1500000000.5)
    t.add("t/huge", data=rnd.randbytes(5 << 20)).hard("t/huge-too", "t/huge")
    t.add("t/secret", data=b"secret", mode=0).dir("t/closed", mode=0).add("t/closed/in", data=b"in")
    t.add("t/cap", data=b"c", mode=0o750, gid=5, xattrs={"security.capability": CAP_BIND, "user.x": "y"})
    t.add("t/all-bits", data=b"b", mode=0o7777, uid=9).dir("t/sgid", mode=0o2775, gid=100)
    t.dir("t/dir-to-link").add("t/dir-to-link/a", data=b"a").sym("t/link-to-dir", "dir-to-link")
    t.add("t/file-to-link", data=b"f").sym("t/link-to-file", "file-to-link").add("t/file-to-fifo")
    t.dir("t/opq").dir("t/opq/b").add("t/opq/a", data=b"a").add("t/opq/b/c", data=b"c").add("t/opq/b/d")
    t.dir("t/w").dir("t/w/gone").add("t/w/gone/x").add("t/w/gone-file").add("t/w/stays", data=b"s")
    t.add("t/one", data=b"1").hard("t/two", "t/one").hard("t/three", "t/one")
    t.add("t/changed", data=b"old", xattrs={"user.old": "1"})
    t.add("t/\udc80\udcff", data=b"8").sym("t/odd-target", "\udcfe/x").add("t/" + "x" * 255, data=b"long")
    t.sym("t/far", "u" * 1000).dir("t/marked", xattrs={"user.dir": "1", "user.empty": ""})
    t.add("t/tty", tarfile.CHRTYPE, dev=(5, 0), mode=0o620).add("t/loop", tarfile.BLKTYPE, dev=(7, 1048575))
    return t.bytes()


def above():
    t = images.Tar()
    t.dir("t", mtime=1500000001.25, mode=0o751)
    t.add("t/.wh.dir-to-link").sym("t/dir-to-link", "/t/w")
    t.dir("t/link-to-dir", mode=0o700).add("t/link-to-dir/new", data=b"n")
    t.sym("t/file-to-link", "w/stays").add("t/link-to-file", data=b"now a file").add("t/file-to-fifo", tarfile.FIFOTYPE)
    t.dir("t/opq").dir("t/opq/b").add("t/opq/b/.wh..wh..opq").add("t/opq/b/e", data=b"e")
    t.add("t/w/.wh.gone").add("t/w/.wh.gone-file").add("t/w/new", data=b"w")
    t.add("t/.wh.two")  # one and three are left
    t.add("t/changed", data=b"new and longer", mode=0o600)
    t.dir("t/marked", mode=0o500, xattrs={"user.dir": "2"})
    return t.bytes()


def main():
    with open(sys.argv[2], "rb") as f:
        program = images.Tar().add("tree-list", data=f.read(), mode=0o755).bytes()
    one, two, three, four = images.rich_layers()
    layers = [images.gz(one), images.gz(two), images.plain(three), images.gz(four), images.gz(below()),
              images.gz(above()), images.gz(program)]
    images.Layout(sys.argv[1]).image("tree", layers, config={"Entrypoint": ["/tree-list"]})


if __name__ == "__main__":
    main()
