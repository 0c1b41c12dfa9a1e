#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# build --format ext4 and kata: large trees as e2fsck, debugfs and the kernel see them; sizes asked for.

bats_require_minimum_version 1.5.0
load image

setup_file() {
	image_suite build/host/bin/ext4-pack
	export PACK=$ROOT/build/host/bin/ext4-pack
	image_data "$KIHON_DATA"
	image_kernel "$KERNEL"
}

setup() {
	unset SOURCE_DATE_EPOCH
	cd "$BATS_TEST_TMPDIR"
}

teardown() {
	! mountpoint -q "$BATS_TEST_TMPDIR/mnt" || umount "$BATS_TEST_TMPDIR/mnt"
}

build() { "$TOOL" build -q --kernel "$KERNEL" "$@"; }

# mounted IMAGE: at mnt; or skips.
mounted() {
	[ "$(id -u)" -eq 0 ] || skip "only root can mount"
	mkdir -p mnt
	mount -t ext4 -o loop,ro "$1" mnt 2>/dev/null || skip "this machine cannot mount ext4 from a file"
}

# listing DIR: everything about every file in it but times of access.
listing() {
	(cd "$1" && find . -printf '%P %y %m %U %G %n %s %T@ %l\n' | sed -E 's/ d ([0-7]+ [0-9]+ [0-9]+ [0-9]+) [0-9]+/ d \1 -/' | LC_ALL=C sort)
}

@test "50,000 names in a directory: indexed, clean, all of them found" {
	mkdir tree tree/many tree/some
	(cd tree/many && seq -f 'a-file-with-a-name-that-takes-room-so-that-one-block-of-index-is-not-enough-%.0f' 50000 | xargs touch)
	(cd tree/some && seq -f 'file-%.0f' 600 | xargs touch)
	"$PACK" tree e
	e2fsck -fn e
	[ "$(debugfs -R 'ls -p /many' e 2>/dev/null | grep -c a-file-with)" -eq 50000 ]
	debugfs -R 'htree_dump /many' e 2>/dev/null >dump
	grep -q 'Indirect levels: 1' dump
	grep -q 'Hash Version: 1' dump
	debugfs -R 'htree_dump /some' e 2>/dev/null | grep -q 'Indirect levels: 0'
	debugfs -R 'stat /many' e 2>/dev/null | grep -q 'Flags: 0x81000'
	# debugfs looks names up through libext2fs, block by block; the kernel does by hash.
	mounted e
	listing tree >want
	listing mnt >got
	diff want got
	[ ! -e mnt/many/nothing ]
}

@test "the kernel's mount is the source: types, owners, links, xattrs, devices, large and long names" {
	mkdir -p tree/d/e
	seq 1000000 >tree/large
	truncate -s 200M tree/sparse
	echo x >>tree/sparse
	ln tree/large tree/d/hard
	ln -s ../large tree/d/soft
	ln -s "$(printf 'l%.0s' {1..100})" tree/d/long
	mkfifo tree/pipe
	: >"tree/$(printf 'n%.0s' {1..255})"
	chmod 4711 tree/large
	chown 70000:70001 tree/d 2>/dev/null || true
	mknod tree/null c 1 3 2>/dev/null || true
	mknod tree/disk b 259 300 2>/dev/null || true
	setfattr -n user.x -v value tree/large 2>/dev/null || true
	setfattr -n user.long -v "$(printf 'v%.0s' {1..3000})" tree/d 2>/dev/null || true
	"$PACK" tree e
	e2fsck -fn e
	mounted e
	diff <(listing tree) <(listing mnt)
	diff -r --no-dereference tree/d mnt/d
	cmp tree/large mnt/large
	cmp tree/sparse mnt/sparse
	xattrs() { (cd "$1" && find . | LC_ALL=C sort | xargs -d '\n' getfattr -hd 2>/dev/null); }
	diff <(xattrs tree) <(xattrs mnt)
	[ ! -e tree/disk ] || [ "$(stat -c '%t %T' mnt/disk)" = "$(stat -c '%t %T' tree/disk)" ]
}

@test "zeros that fill 64 KiB are holes, whether the source has holes or not" {
	mkdir tree full
	truncate -s 20G tree/large
	printf x | dd of=tree/large bs=1 seek=5000000000 conv=notrunc status=none
	truncate -s 100000 tree/zeros
	printf '%070000d' 0 | tr 0 '\0' >tree/short
	python3 - <<-'END'
		import os
		with open("tree/many", "wb") as f:
		    for i in range(2000):
		        f.write(b"%065536d" % i if i % 2 else b"\0" * 65536)
		    f.truncate(2000 * 65536 + 5000)
	END
	{ printf '%0200000d' 0 | tr 0 '\0'; echo end; } >tree/end
	"$PACK" tree e
	e2fsck -fn e
	[ "$(stat -c %s e)" -lt 80000000 ]
	debugfs -R 'stat /zeros' e 2>/dev/null | grep -q 'Blockcount: 0$'
	debugfs -R 'stat /short' e 2>/dev/null | grep -q 'Blockcount: 0$'
	debugfs -R 'stat /end' e 2>/dev/null | grep -q 'Blockcount: 8$'
	debugfs -R 'dump /many many' e 2>/dev/null
	cmp tree/many many
	# The same bytes from a copy without holes.
	"$PACK" full empty
	rm tree/large
	cp --sparse=never -p tree/* full/
	touch -r tree full
	"$PACK" tree e1
	"$PACK" full e2
	cmp e1 e2
	mounted e
	cmp tree/many mnt/many
	cmp tree/end mnt/end
	cmp tree/zeros mnt/zeros
	[ "$(dd if=mnt/large bs=1 skip=5000000000 count=1 status=none)" = x ]
	[ "$(stat -c %s mnt/large)" -eq $((20 << 30)) ]
}

@test "names that hash alike, and of all lengths, stay findable" {
	mkdir tree
	python3 - <<-'END'
		import os
		for n in range(1, 256):
		    for i in range(12):
		        open("tree/" + (str(i) + "x" * 255)[:n if n > len(str(i)) else len(str(i))], "w").close()
		for i in range(3000):
		    open("tree/\u00e9\u4e2d%d" % i, "w").close()
	END
	"$PACK" tree e
	e2fsck -fn e
	[ "$(debugfs -R 'ls -p /' e 2>/dev/null | grep -c '^/')" -eq $(($(find tree | wc -l) + 1)) ]
	mounted e
	local f
	for f in tree/*; do [ -e "mnt/${f#tree/}" ]; done
	diff <(listing tree) <(listing mnt)
}

@test "--size: a file system of that size with room in it; too little names what is needed" {
	local o size
	for o in "ext4" "ext4 --verity" "kata" "kata --verity" "kata --root-fs ext4" "kata --root-fs ext4 --verity"; do
		# shellcheck disable=SC2086
		build --format $o --size 40M -o x
		[ "$(stat -c %s x/rootfs.ext4 x/kata-containers.img 2>/dev/null)" -eq $((40 << 20)) ]
		[ "$(jq .rootfs.size x/image.json)" -eq $((40 << 20)) ]
		"$TOOL" verify x
		rm -r x
		# shellcheck disable=SC2086
		run build --format $o --size 1M -o x
		one_line 3 'give that or more'
		[ ! -e x ]
		size=$(sed -E 's/.*the files need ([0-9]+M);.*/\1/' <<<"$output")
		# shellcheck disable=SC2086
		build --format $o --size "$size" -o x
		[ $(($(stat -c %s x/rootfs.ext4 x/kata-containers.img 2>/dev/null) >> 20)) -eq "${size%M}" ]
		rm -r x
	done
	build --format ext4 --size 40M -o x
	e2fsck -fn x/rootfs.ext4
	[ "$(dumpe2fs -h x/rootfs.ext4 2>/dev/null | awk '/^Free blocks/ { print $3 }')" -gt 5000 ]
	[ "$(dumpe2fs -h x/rootfs.ext4 2>/dev/null | awk '/^Free inodes/ { print $3 }')" -gt 1000 ]
	run build --size 40M -o y
	one_line 2 '--size is for'
}
