#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes an OCI layout with the images that tests/pull.bats pulls: ordinary, odd, wrong and hostile ones.

	images.py DIR
	images.py DIR --large MIB	one image "large": four layers of source-like text and noise, MIB in all

Each image is a tag of the layout. Layers are made with Python's tarfile and GNU tar, so that nothing of the
project's own is compared with itself."""

import gzip
import hashlib
import io
import json
import os
import random
import subprocess
import sys
import tarfile
import tempfile

OCI = "application/vnd.oci.image."
LAYER = OCI + "layer.v1.tar"


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Layout:
    def __init__(self, path):
        self.path = path
        self.tags = []
        os.makedirs(path + "/blobs/sha256")
        with open(path + "/oci-layout", "w") as f:
            f.write('{"imageLayoutVersion":"1.0.0"}')

    def blob(self, data, media_type, digest=None):
        digest = digest or sha256(data)
        with open(self.path + "/blobs/sha256/" + digest[7:], "wb") as f:
            f.write(data)
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    def tag(self, name, descriptor):
        self.tags.append({**descriptor, "annotations": {"org.opencontainers.image.ref.name": name}})
        with open(self.path + "/index.json", "w") as f:
            json.dump({"schemaVersion": 2, "manifests": self.tags}, f)

    def manifest(self, layers, arch="amd64", diff_ids=None, os_name="linux", config=None):
        """layers: (plain tar, stored bytes, media type)."""
        ids = [sha256(plain) for plain, _, _ in layers] if diff_ids is None else diff_ids
        conf = {"architecture": arch, "os": os_name, "rootfs": {"type": "layers", "diff_ids": ids}}
        conf["config"] = config or {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin", "ODD=a\"b\\c"]}
        doc = {"schemaVersion": 2, "mediaType": OCI + "manifest.v1+json",
               "config": self.blob(json.dumps(conf).encode(), OCI + "config.v1+json"),
               "layers": [self.blob(stored, media) for _, stored, media in layers]}
        return self.blob(json.dumps(doc).encode(), doc["mediaType"])

    def image(self, name, layers, **kw):
        self.tag(name, self.manifest(layers, **kw))


class Tar:
    """A layer: members in the order of the calls."""

    def __init__(self, format=tarfile.PAX_FORMAT):
        self.out = io.BytesIO()
        self.tar = tarfile.open(fileobj=self.out, mode="w", format=format, encoding="utf-8",
                                errors="surrogateescape")

    def add(self, name, type=tarfile.REGTYPE, data=b"", mode=0o644, uid=0, gid=0, mtime=1600000000,
            link="", dev=(0, 0), xattrs=None):
        t = tarfile.TarInfo(name)
        t.type, t.mode, t.uid, t.gid, t.mtime, t.linkname = type, mode, uid, gid, mtime, link
        t.devmajor, t.devminor = dev
        t.size = len(data)
        t.pax_headers = {"SCHILY.xattr." + k: v for k, v in (xattrs or {}).items()}
        self.tar.addfile(t, io.BytesIO(data))
        return self

    def dir(self, name, mode=0o755, **kw):
        return self.add(name, tarfile.DIRTYPE, mode=mode, **kw)

    def sym(self, name, link, **kw):
        return self.add(name, tarfile.SYMTYPE, mode=0o777, link=link, **kw)

    def hard(self, name, link, **kw):
        return self.add(name, tarfile.LNKTYPE, link=link, **kw)

    def bytes(self):
        self.tar.close()
        return self.out.getvalue()


def plain(tar):
    data = tar if isinstance(tar, bytes) else tar.bytes()
    return (data, data, LAYER)


def gz(tar, members=1):
    data = tar if isinstance(tar, bytes) else tar.bytes()
    step = max(1, (len(data) + members - 1) // members)
    parts = [gzip.compress(data[i:i + step], 6, mtime=0) for i in range(0, len(data), step)]
    return (data, b"".join(parts), LAYER + "+gzip")


def zst(tar, frames=1):
    """Frames with skippable ones after each, as zstd:chunked images have them."""
    data = tar if isinstance(tar, bytes) else tar.bytes()
    step = max(1, (len(data) + frames - 1) // frames)
    out = b""
    for i in range(0, len(data), step):
        out += subprocess.run(["zstd", "-q", "-c"], input=data[i:i + step], stdout=subprocess.PIPE,
                              check=True).stdout
        out += b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"skip!"
    return (data, out, LAYER + "+zstd")


def sparse_tar(forms):
    """GNU tar's sparse forms, for which Python has no writer."""
    all_forms = {"gnu": ["--format=gnu"], "pax00": ["--format=pax", "--sparse-version=0.0"],
                 "pax01": ["--format=pax", "--sparse-version=0.1"],
                 "pax10": ["--format=pax", "--sparse-version=1.0"]}
    with tempfile.TemporaryDirectory() as d:
        with open(d + "/sparse", "wb") as f:
            for i in range(60):
                f.seek(i * 65536)
                f.write(bytes([97 + i % 26]) * 4096)
            f.truncate(5000000)
        os.utime(d + "/sparse", (1600000000, 1600000000))
        out = b""
        for name in forms:
            tar = subprocess.run(["tar", "-c", "-b1", "--sparse", *all_forms[name], "--owner=:0", "--group=:0",
                                  "--mode=0644", "--transform=s/sparse/sparse-%s/" % name,
                                  "-C", d, "sparse"], stdout=subprocess.PIPE, check=True).stdout
            assert tar[-1024:] == bytes(1024)
            out += tar[:-1024]
        return out + bytes(1024)


CAP_NET_RAW = "\x01\x00\x00\x02\x00\x20" + "\x00" * 14  # vfs_cap_data, revision 2, effective


def rich_layers():
    rnd = random.Random(1)
    one = Tar()
    one.dir("./").dir("bin").dir("tmp", mode=0o1777).dir("usr").dir("usr/lib", mode=0o711, uid=3, gid=4)
    one.sym("lib", "usr/lib").dir("etc").dir("replaced-by-file").add("replaced-by-file/x", data=b"x")
    one.dir("opaque").add("opaque/old", data=b"old").dir("opaque/olddir").add("opaque/olddir/x")
    one.dir("gone").add("gone/a").dir("gone/b").add("gone/b/c")
    one.add("gone-file", data=b"x").add("replaced-by-dir", data=b"x").add("kept", data=b"kept")
    one.add("bin/setuid", data=b"s", mode=0o4755, uid=0).add("bin/setgid", data=b"s", mode=0o2711, gid=50)
    one.add("bin/ping", data=b"p", mode=0o755, uid=7, gid=8, xattrs={"security.capability": CAP_NET_RAW})
    one.add("xattrs", data=b"x", xattrs={"user.a": "1", "user.long": "v" * 3000, "user.z": "two\nlines"})
    one.dir("xattr-dir", xattrs={"user.dir": "yes"})
    one.add("odd-owner", data=b"o", uid=1000000, gid=2000000000)
    one.add("old", mtime=-86400.5).add("new", mtime=4102444800.25).add("fraction", mtime=1.123456789)
    one.add("big", data=rnd.randbytes(3 << 20) if hasattr(rnd, "randbytes") else os.urandom(3 << 20))
    one.add("empty").sym("dangling", "/nowhere/at/all").sym("up", "../../../etc")
    one.hard("big-again", "big").hard("etc/kept-too", "kept")
    one.add("name-" + "n" * 240).dir("d" * 150).add("d" * 150 + "/" + "f" * 150, data=b"deep")
    one.add("caf\u00e9").add("not-utf8-\udcff\udcfe", data=b"bytes").add("line\nbreak").add(" blank ")
    one.add("fifo", tarfile.FIFOTYPE).add("null", tarfile.CHRTYPE, dev=(1, 3), mode=0o666)
    one.add("disk", tarfile.BLKTYPE, dev=(8, 300), mode=0o660)
    for i in range(500):
        one.add("etc/file-%03d" % i, data=rnd.getrandbits(64).to_bytes(8, "little") * (i % 700))

    two = Tar(format=tarfile.GNU_FORMAT)
    two.add(".wh.gone").add(".wh.gone-file").add(".wh.replaced-by-file").add("replaced-by-file", data=b"f")
    two.add(".wh.replaced-by-dir").dir("replaced-by-dir").add("replaced-by-dir/in", data=b"in")
    two.dir("opaque", mode=0o700).add("opaque/new", data=b"new").add("opaque/.wh..wh..opq")
    two.add("tmp/implicit/parents", data=b"i")  # neither tmp nor implicit has an entry
    two.add("lib/through-the-link", data=b"l")
    two.add("usr/lib/beside", data=b"b")
    two.add("long-" + "l" * 200, data=b"long").sym("long-link", "t" * 180)
    two.dir("etc", mode=0o750, gid=9)  # attributes replaced, content kept

    three = Tar(format=tarfile.USTAR_FORMAT)
    three.dir("gone").add("gone/back", data=b"again")
    three.add("etc/.wh.file-001").add("etc/file-002", data=b"changed").hard("etc/linked", "etc/file-002")
    return [one.bytes(), two.bytes(), three.bytes(), sparse_tar(["pax00", "pax01", "pax10"])]


def good(layout):
    one, two, three, four = rich_layers()
    layout.image("rich", [gz(one), gz(two, members=3), plain(three), gz(four)],
                 config={"Entrypoint": ["/entry", "a b"], "Cmd": ["c"], "WorkingDir": "/w", "User": "1:2",
                         "Env": ["A=b", "Q=\"x\""]})
    layout.image("rich-zstd", [zst(one, frames=3), zst(two), zst(three), zst(four)])
    layout.image("sparse-gnu", [gz(sparse_tar(["gnu", "pax10"]))])  # umoci does not know GNU's
    same = gz(Tar().dir("d").add("d/f", data=b"same"))
    other = gz(Tar().add("d/.wh.f"))
    layout.image("doubles", [same, other, same])
    layout.image("empty-layer", [gz(bytes(1024)), same])
    layout.image("no-layers", [])
    layout.image("many", [gz(Tar().add("f%03d" % i, data=b"x")) for i in range(60)])
    layout.image("base-a", [gz(Tar().dir("tmp", mode=0o1777)), gz(Tar().add("tmp/x", data=b"x"))])
    layout.image("base-b", [gz(Tar().dir("tmp", mode=0o700, uid=5)), gz(Tar().add("tmp/x", data=b"x"))])

    here = layout.manifest([gz(Tar().add("arch", data=b"amd64"))])
    there = layout.manifest([gz(Tar().add("arch", data=b"arm64"))], arch="arm64")
    layout.tag("other-arch", there)
    index = {"schemaVersion": 2, "mediaType": OCI + "index.v1+json", "manifests": [
        {**there, "platform": {"os": "linux", "architecture": "arm64"}},
        {**here, "platform": {"os": "linux", "architecture": "amd64"}}]}
    layout.tag("index", layout.blob(json.dumps(index).encode(), index["mediaType"]))
    index["manifests"] = index["manifests"][:1]
    layout.tag("index-without", layout.blob(json.dumps(index).encode(), index["mediaType"]))


def wrong(layout):
    """Images that must be refused."""
    fine = gz(Tar().add("f", data=b"x" * 10000))
    data, stored, media = fine
    layout.image("bad-diffid", [fine], diff_ids=["sha256:" + "0" * 64])
    layout.image("bad-count", [fine], diff_ids=[])
    layout.image("bad-gzip", [(data, stored[:40] + b"XXXX" + stored[44:], media)])
    layout.image("cut-gzip", [(data, stored[:-10], media)])
    layout.image("gzip-rubbish", [(data, stored + b"rubbish", media)])
    layout.image("not-gzip", [(data, data, media)])
    layout.image("unknown-type", [(data, stored, LAYER + "+xz")])
    layout.image("encrypted", [(data, stored, media + "+encrypted")])
    layout.image("windows", [fine], os_name="windows")
    layout.image("not-tar", [gz(b"this is no archive" * 100)])
    layout.image("cut-tar", [gz(data[:700])])
    layout.image("zip-bomb", [gz(bytes(300 << 20))])
    manifest = layout.manifest([fine])
    nested = {"schemaVersion": 2, "mediaType": OCI + "index.v1+json", "manifests": [
        {**manifest, "platform": {"os": "linux", "architecture": "amd64"}}]}
    inner = layout.blob(json.dumps(nested).encode(), nested["mediaType"])
    nested["manifests"] = [{**inner, "platform": {"os": "linux", "architecture": "amd64"}}]
    layout.tag("index-of-index", layout.blob(json.dumps(nested).encode(), nested["mediaType"]))


def hostile(layout):
    """Archives that want out, or want too much. contained-*: may be pulled, must stay inside."""
    layout.image("contained-dotdot", [gz(Tar().add("../../../../escaped", data=b"x"))])
    layout.image("contained-absolute", [gz(Tar().add("/escaped", data=b"x"))])
    layout.image("contained-symlink", [gz(Tar().sym("out", "/").add("out/escaped", data=b"x"))])
    layout.image("contained-lower-symlink", [gz(Tar().sym("out", "../../..")),
                                             gz(Tar().add("out/escaped", data=b"x"))])
    layout.image("contained-hardlink", [gz(Tar().add("escaped", data=b"x").hard("h", "../../escaped"))])
    layout.image("hostile-hardlink", [gz(Tar().hard("h", "../../../../etc/passwd"))])
    layout.image("hostile-whiteout", [gz(Tar().add("d/.wh.."))])
    layout.image("hostile-deep", [gz(Tar().add("d/" * 10000 + "x"))])
    layout.image("hostile-loop", [gz(Tar().sym("a", "b").sym("b", "a").add("a/x"))])
    t = tarfile.TarInfo("x")
    t.type, t.size = tarfile.XHDTYPE, 4 << 30
    layout.image("hostile-header", [gz(t.tobuf(tarfile.GNU_FORMAT) + bytes(4096))])
    t = tarfile.TarInfo("huge")
    t.size = 1 << 60
    layout.image("hostile-size", [gz(t.tobuf(tarfile.GNU_FORMAT) + bytes(4096))])
    t = tarfile.TarInfo("f")
    t.type = b"Z"
    layout.image("hostile-type", [gz(t.tobuf(tarfile.GNU_FORMAT) + bytes(1024))])
    many = Tar(format=tarfile.USTAR_FORMAT)
    for i in range(3000):
        many.add("f%d" % i)
    layout.image("hostile-many", [gz(many)])


def large(layout, mib):
    """As a language's image is: many files of a few KiB, some large ones."""
    rnd = random.Random(5)
    words = [bytes(rnd.choice(b"abcdefghijklmnopqrstuvwxyz_(){};\n ") for _ in range(rnd.randint(2, 12)))
             for _ in range(5000)]
    text = b" ".join(rnd.choice(words) for _ in range(600000))
    pool = text + bytes(rnd.getrandbits(8) for _ in range(1 << 20)) * 4
    pool += pool
    layers = []
    for share, size in ((0.5, 16000), (0.2, 8000), (0.2, 600000), (0.1, 30000)):
        t = Tar()
        for k in range(int(share * mib * (1 << 20) / size)):
            if k % 100 == 0:
                t.dir("l%d-%03d" % (len(layers), k // 100))
            at = rnd.randrange(len(pool) // 2)
            t.add("l%d-%03d/file-%d" % (len(layers), k // 100, k), data=pool[at:at + rnd.randrange(2 * size)])
        layers.append(gz(t))
    layout.image("large", layers)


def main():
    layout = Layout(sys.argv[1])
    if sys.argv[2:3] == ["--large"]:
        return large(layout, int(sys.argv[3]))
    good(layout)
    wrong(layout)
    hostile(layout)
    return None


if __name__ == "__main__":
    main()
