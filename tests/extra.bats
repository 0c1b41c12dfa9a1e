#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# build --extra: archives and folders over the root, and the ones that are refused.

bats_require_minimum_version 1.5.0
load image

setup_file() {
	image_suite
	image_data "$KIHON_DATA"
	image_kernel "$KERNEL"
}

setup() {
	unset SOURCE_DATE_EPOCH
	cd "$BATS_TEST_TMPDIR"
}

build() { "$TOOL" build -q --kernel "$KERNEL" "$@"; }

# archive FILE MEMBER...: a MEMBER is TYPE:NAME[:LINK-OR-CONTENT], TYPE one of f d l h c p.
archive() {
	python3 - "$@" <<'END'
import io, sys, tarfile
types = {"f": tarfile.REGTYPE, "d": tarfile.DIRTYPE, "l": tarfile.SYMTYPE, "h": tarfile.LNKTYPE,
         "c": tarfile.CHRTYPE, "p": tarfile.FIFOTYPE}
with tarfile.open(sys.argv[1], "w", format=tarfile.PAX_FORMAT) as t:
    for m in sys.argv[2:]:
        kind, name, rest = (m.split(":", 2) + [""])[:3]
        i = tarfile.TarInfo(name)
        i.type, i.mode, i.uid, i.gid, i.mtime = types[kind], 0o751 if kind == "d" else 0o640, 1000, 1001, 1234567890
        if kind in "lh":
            i.linkname = rest
        if kind == "c":
            i.devmajor, i.devminor = 1, 3
        data = rest.encode() if kind == "f" else b""
        i.size = len(data)
        if name.endswith("cap"):
            i.pax_headers = {"SCHILY.xattr.user.k": "v"}
        t.addfile(i, io.BytesIO(data))
END
}

# refused WORDS ARCHIVE-OR-FOLDER
refused() {
	run build --extra "$2" -o x
	one_line 3 "$1"
	[ ! -e x ]
}

@test "an archive keeps owners, modes, devices, links and xattrs; times are the build's" {
	archive a.tar d:app f:app/run:hello h:app/same:app/run l:app/link:run c:app/null p:app/pipe f:app/cap:x f:deep/er/f:y
	build --extra a.tar -o one
	dump.erofs --path=/app/run one/rootfs.erofs >said
	cat said
	grep -q 'Uid: 1000 *Gid: 1001' said
	grep -q 'Access: 0640' said
	grep -q 'Links: 2' said
	dump.erofs --path=/app one/rootfs.erofs | grep -q 'Access: 0751'
	dump.erofs --path=/deep/er one/rootfs.erofs | grep -q 'Uid: 0 *Gid: 0 *Access: 0755'
	fsck.erofs one/rootfs.erofs
	build --format ext4 --extra a.tar -o e
	e2fsck -fn e/rootfs.ext4
	debugfs -R 'stat app/null' e/rootfs.ext4 2>/dev/null | grep -q 'major/minor number: 01:03'
	debugfs -R 'cat app/same' e/rootfs.ext4 2>/dev/null | grep -qx hello
	debugfs -R 'stat app/run' e/rootfs.ext4 2>/dev/null | grep -q 'mtime: 0x00000000'
	debugfs -R 'stat app/pipe' e/rootfs.ext4 2>/dev/null | grep -q 'Type: FIFO'
	debugfs -R 'ea_get app/cap user.k' e/rootfs.ext4 2>/dev/null | grep -q v
}

@test "plain, gzip and zstd archives give the same root" {
	mkdir t && seq 100000 >t/f
	tar --owner=0 --group=0 --mtime=@0 -C t -cf a.tar .
	gzip -k a.tar
	zstd -qk a.tar
	build --extra a.tar -o plain
	build --extra a.tar.gz -o gz
	build --extra a.tar.zst -o zst
	cmp plain/rootfs.erofs gz/rootfs.erofs
	cmp plain/rootfs.erofs zst/rootfs.erofs
	# The same folder gives the same root, for it is all root's and 0644 here.
	build --extra t -o folder
	cmp plain/rootfs.erofs folder/rootfs.erofs
}

@test "later ones lie over earlier ones; parents that are links of the root are followed inside it" {
	archive a.tar f:etc/hostname:one f:etc/a:a
	archive b.tar f:./etc/hostname:two f:/bin/tool:x
	mkdir -p t/etc && echo three >t/etc/b
	build --extra a.tar --extra t --extra b.tar -o one
	fsck.erofs --extract=out --no-preserve one/rootfs.erofs
	[ "$(cat out/etc/hostname)" = two ] && [ "$(cat out/etc/a)" = a ] && [ "$(cat out/etc/b)" = three ]
	[ -x "$(readlink -f out/bin)" ] || [ -d out/bin ]
	[ -e out/bin/tool ] || [ -e out/usr/bin/tool ]
}

@test "hard links that form a circle, or lead to nothing, are refused" {
	archive a.tar h:a:b h:b:a
	refused 'hard link to what the archive does not hold' a.tar
	archive a.tar h:a:a
	refused 'hard link to what the archive does not hold' a.tar
	archive a.tar h:a:etc/passwd
	refused 'hard link to what the archive does not hold' a.tar
	archive a.tar d:d h:a:d
	refused 'a.tar' a.tar
}

@test "paths that an archive has twice, or as folder and file, are refused; a folder may come again" {
	archive a.tar f:a/b:1 f:a/b:2
	refused '"a/b" is in the archive twice' a.tar
	archive a.tar f:a:1 f:./a:2
	refused 'in the archive twice' a.tar
	archive a.tar f:a:1 d:a
	refused 'in the archive twice' a.tar
	archive a.tar f:a/b:1 f:a:2
	refused 'as a folder and as something else' a.tar
	archive a.tar d:a f:a/b:1 d:a
	build --extra a.tar -o one
}

@test "names with newlines are refused, in archives and folders, and are told without one" {
	archive a.tar $'f:a\nb:1'
	refused 'has a newline in it' a.tar
	archive a.tar f:a:1 $'h:b:a\n'
	refused 'has a newline in it' a.tar
	mkdir -p t/d
	: >t/d/$'x\ny'
	refused 'has a newline in it' t
}

@test "paths that leave the root, files below files and a root that is no folder are refused" {
	archive a.tar f:../x:1
	refused 'leaves the root' a.tar
	archive a.tar f:a/../../x:1
	refused 'leaves the root' a.tar
	archive a.tar f:a:1 f:a/b:2
	refused 'a.tar' a.tar
	archive a.tar f:.:1
	refused 'a.tar' a.tar
	archive a.tar l:a:b l:b:a f:a/f:1
	refused 'a.tar' a.tar
	archive a.tar "f:$(printf 'n%.0s' {1..256}):1"
	refused 'a.tar' a.tar
	archive a.tar "f:$(printf 'd/%.0s' {1..3000})f:1"
	refused 'a.tar' a.tar
}

@test "what is no archive, cut short, or packed wrongly is refused" {
	archive good.tar f:a:"$(seq 10000)" f:b:x
	: >empty
	refused 'the archive is empty' empty
	head -c 3000 /dev/urandom >noise
	refused noise noise
	head -c 2000 good.tar >cut
	refused cut cut
	gzip -k good.tar
	head -c 200 good.tar.gz >cut.gz
	refused cut.gz cut.gz
	cp good.tar.gz flipped.gz
	printf '\377' | dd of=flipped.gz bs=1 seek=100 conv=notrunc status=none
	refused flipped.gz flipped.gz
	refused 'neither a folder nor an archive' /dev/null
	mkfifo fifo
	refused 'neither a folder nor an archive' fifo
	run build --extra nowhere -o x
	one_line 4 nowhere
}

@test "a sparse member stays sparse, and one larger than the disk is an error, not a full disk" {
	truncate -s 64M hole
	echo end >>hole
	tar -Scf s.tar hole
	build --extra s.tar -o one
	[ "$(fsck.erofs --extract=out --no-preserve one/rootfs.erofs >&2; sha256sum <out/hole)" = "$(sha256sum <hole)" ]
}
