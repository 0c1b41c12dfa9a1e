#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The bytes of each format, frozen: a root of every kind of file, its list, programs and archive written here, gives
# the digests in tests/data/golden-images. A change of them is a change of the format: say so in the commit. What a
# packer made is unpacked first, for its bytes are those of its library's version.

bats_require_minimum_version 1.5.0
load image

setup_file() {
	image_suite
	image_kernel "$KERNEL"
	mkdir -p "$KIHON_DATA"/rootfs/profiles "$KIHON_DATA"/guest/bin "$KIHON_DATA"/kernel-config
	cat >"$KIHON_DATA/rootfs/profiles/golden.files" <<-'END'
		dir /bin 0755 0 0
		dir /dev 0755 0 0
		nod /dev/console 0600 0 5 c 5 1
		nod /dev/disk 0660 0 6 b 259 300
		pipe /pipe 0640 1 2
		slink /init bin/program 0777 0 0
		file /bin/program guest:bin/program 0755 0 0
		file /bin/large guest:bin/large 04755 70000 70001
		file /empty - 0644 0 0
		cmdline golden=1
	END
	printf 'program' >"$KIHON_DATA/guest/bin/program"
	seq 400000 >"$KIHON_DATA/guest/bin/large"
	echo '[]' >"$KIHON_DATA/guest/packages.json"
	cd "$BATS_FILE_TMPDIR"
	python3 - <<-'END'
		import io, tarfile
		with tarfile.open("extra.tar", "w", format=tarfile.PAX_FORMAT) as t:
		    def add(name, kind, data=b"", **more):
		        i = tarfile.TarInfo(name)
		        i.type, i.mode, i.size = kind, 0o755 if kind == tarfile.DIRTYPE else 0o640, len(data)
		        for k, v in more.items():
		            setattr(i, k, v)
		        t.addfile(i, io.BytesIO(data))
		    add("d", tarfile.DIRTYPE, uid=7)
		    add("d/a", tarfile.REGTYPE, b"content\n", uid=1000, gid=1000)
		    add("d/b", tarfile.LNKTYPE, linkname="d/a", uid=1000, gid=1000)
		    for n in range(300):
		        add("many/name-%d" % n, tarfile.REGTYPE, b"%d" % n)
	END
}

setup() {
	export SOURCE_DATE_EPOCH=1700000000
	cd "$BATS_TEST_TMPDIR"
}

# golden NAME FILE: FILE has the digest that the table has for NAME.
golden() {
	local want got
	want=$(awk -v n="$1" '$1 == n { print $2 }' "$ROOT/tests/data/golden-images")
	got=$(sha256sum <"$2" | cut -d' ' -f1)
	[ "$want" = "$got" ] || { echo "$1 $got"; return 1; }
}

build() { "$TOOL" build -q --profile golden --kernel "$KERNEL" --extra "$BATS_FILE_TMPDIR/extra.tar" "$@"; }

@test "erofs, plain and with a hash tree" {
	build -o a
	build --verity -o b
	fsck.erofs a/rootfs.erofs
	golden erofs a/rootfs.erofs
	golden erofs-verity b/rootfs.erofs
}

@test "ext4, with a hash tree, and of a size" {
	build --format ext4 -o a
	build --format ext4 --verity -o b
	build --format ext4 --size 24M -o c
	e2fsck -fn a/rootfs.ext4
	e2fsck -fn c/rootfs.ext4
	golden ext4 a/rootfs.ext4
	golden ext4-verity b/rootfs.ext4
	golden ext4-24M c/rootfs.ext4
}

@test "kata disks" {
	build --format kata -o a
	build --format kata --verity -o b
	build --format kata --root-fs ext4 -o c
	golden kata a/kata-containers.img
	golden kata-verity b/kata-containers.img
	golden kata-verity-line b/root_hash.txt
	golden kata-ext4 c/kata-containers.img
}

@test "the archive of an initrd, whatever packs it" {
	local m
	build --format initrd --compress none -o none
	golden cpio none/rootfs.cpio
	for m in gzip zstd lz4; do
		build --format initrd --compress $m -o $m
	done
	gzip -dc gzip/rootfs.cpio.gz >a
	golden cpio a
	zstd -dcq zstd/rootfs.cpio.zst >a
	golden cpio a
	lz4 -dcq lz4/rootfs.cpio.lz4 >a
	golden cpio a
}

@test "image.lock, but for the version of these programs" {
	build -o a
	sed "s/\"$(cat "$ROOT/VERSION")\"/\"V\"/" a/image.lock >lock
	golden lock lock
}
