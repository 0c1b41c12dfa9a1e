#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Adds to the layout of tests/pull/images.py what tests/convert.bats needs besides: images.py DIR
images.py --layer FILE DIR makes a layout with one image, "x", whose layer is that EROFS image."""

import json
import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "pull"))
import images  # noqa: E402
from images import OCI, Layout, Tar, good, gz, hostile, wrong  # noqa: E402


def small_files(rnd, n):
    return [rnd.getrandbits(8 * k).to_bytes(k, "little") for k in (rnd.randrange(1, 20000) for _ in range(n))]


def aligned(layout):
    """Files of 2 MiB and more between small ones, and the same content several times."""
    rnd = random.Random(7)
    files = small_files(rnd, 60)
    huge = [rnd.getrandbits(8 * k).to_bytes(k, "little") for k in (2 << 20, (2 << 20) + 5, 5000000)]
    t = Tar().dir("d")
    for i, data in enumerate(files):
        t.add("d/f%02d" % i, data=data)
        if i % 20 == 10:
            t.add("d/huge%d" % (i // 20), data=huge[i // 20])
            t.add("d/again%d" % (i // 20), data=huge[i // 20])
        t.add("d/copy%02d" % i, data=files[i // 2])
    t.add("d/f00", data=files[1])  # replaced, while others have the content of the first
    layout.image("aligned", [gz(t), gz(Tar().add("d/copy00", data=files[3]))])


def chunks(layout):
    """Files that have parts in common, at places where pieces begin and where they do not."""
    rnd = random.Random(3)
    a = rnd.getrandbits(8 * (3 << 20)).to_bytes(3 << 20, "little")
    piece = 65536
    t = Tar().dir("d")
    for name, data in (("a", a), ("b", a[:20 * piece] + b"different" + a[20 * piece + 9:]), ("prefix", a[:5 * piece]),
                       ("shorter", a[:5 * piece - 100]), ("suffix", a[-3 * piece:]), ("zeros", bytes(10 * piece + 5)),
                       ("zeros2", bytes(10 * piece + 5)), ("same", a), ("longer", a + b"x"), ("s1", b"small"),
                       ("s2", b"small"), ("one", b"s"), ("empty", b""), ("shifted", b"-" + a)):
        t.add("d/" + name, data=data)
    t.hard("d/hard", "d/b").add("d/a", data=b"replaced, while others have its blocks")
    layout.image("chunks", [gz(t), gz(Tar().add("d/up", data=a[:6 * piece]))])


def odd(layout):
    """Not wrong, but easily done wrong."""
    layout.image("repeated", [gz(Tar().add("a", data=b"1").add("a", data=b"2").dir("d").add("d/x").add("d", data=b"f"))])
    layout.image("newline", [gz(Tar().add("two\nlines", data=b"x").sym("l\n", "two\nlines"))])
    layout.image("nothing-to-hide", [gz(Tar().dir("./").dir("d").add("d/.wh.x").add("d/.wh..wh..opq").add(".wh.y").add("d/z"))])
    data, stored, media = gz(Tar().add("f", data=b"x"))
    manifest = layout.manifest([(data, stored, media)], config={"Healthcheck": {"Interval": 2 * 10**15}, "Labels": {"a": "\u00e9\n"}})
    doc = json.load(open("%s/blobs/sha256/%s" % (layout.path, manifest["digest"][7:])))
    doc["annotations"] = {"org.opencontainers.image.title": "kept", "containerd.io/snapshot/x": "dropped"}
    layout.tag("annotated", layout.blob(json.dumps(doc).encode(), doc["mediaType"]))


def damaged(layout):
    """Documents and blobs that do not hold what leads to them."""
    layout.image("bad-newline", [gz(Tar().hard("a\nb", "c\nd"))])
    layout.image("bad-cycle", [gz(Tar().hard("a", "b").hard("b", "a"))])
    layer = gz(Tar().add("f", data=b"x" * 10000))
    m = layout.manifest([layer])
    layout.tag("bad-size", {**m, "size": m["size"] + 1})
    layout.tag("bad-huge", {**m, "size": 1 << 39})
    doc = json.load(open("%s/blobs/sha256/%s" % (layout.path, m["digest"][7:])))
    for name, change in (("layer-size", {"size": doc["layers"][0]["size"] + 5}), ("negative", {"size": -1}),
                         ("missing", {"digest": "sha256:" + "1" * 64}), ("digest", {"digest": "sha256:../../x"})):
        other = json.loads(json.dumps(doc))
        other["layers"][0].update(change)
        layout.tag("bad-" + name, layout.blob(json.dumps(other).encode(), doc["mediaType"]))
    layout.tag("bad-json", layout.blob(b'{"schemaVersion":2,', OCI + "manifest.v1+json"))
    flipped = gz(Tar().add("g", data=b"y" * 9999))
    layout.image("bad-flipped", [flipped])
    path = "%s/blobs/sha256/%s" % (layout.path, images.sha256(flipped[1])[7:])
    data = bytearray(open(path, "rb").read())
    data[5] ^= 1
    open(path, "wb").write(data)


def main():
    if sys.argv[1] == "--layer":
        data = open(sys.argv[2], "rb").read()
        return Layout(sys.argv[3]).image("x", [(data, data, "application/vnd.erofs.layer.v1")])
    layout = Layout(sys.argv[1])
    for part in (good, aligned, chunks, odd, wrong, hostile, damaged):
        part(layout)
    return None


main()
