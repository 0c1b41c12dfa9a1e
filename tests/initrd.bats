#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# build --format initrd: what cpio, bsdtar, gzip, zstd, lz4 and the kernel say of it.

bats_require_minimum_version 1.5.0
load image

setup_file() {
	image_suite
	export TREE=$BATS_FILE_TMPDIR/tree
	image_data "$DATA"
	image_kernel "$KERNEL"
	mkdir -p "$TREE/d/e"
	echo one >"$TREE/d/a"
	ln "$TREE/d/a" "$TREE/d/b"
	ln "$TREE/d/a" "$TREE/z"
	ln -s a "$TREE/d/s"
	ln "$TREE/d/s" "$TREE/d/s2"
	mkfifo "$TREE/p"
	: >"$TREE/d/empty"
	seq 100000 >"$TREE/d/e/big"
	for i in 1 2 3; do printf '%*s' "$i" '' >"$TREE/d/e/odd$i"; done
}

setup() {
	export KIHON_DATA=$DATA
	unset SOURCE_DATE_EPOCH
	cd "$BATS_TEST_TMPDIR"
}

build() { "$TOOL" build -q --format initrd --kernel "$KERNEL" --extra "$TREE" "$@"; }

@test "gzip, zstd, lz4 and none hold the same archive, the same bytes each time" {
	build --compress none -o none
	build --compress gzip -o gzip
	build --compress zstd -o zstd
	build --compress lz4 -o lz4
	gzip -dc gzip/rootfs.cpio.gz | cmp - none/rootfs.cpio
	zstd -dcq zstd/rootfs.cpio.zst | cmp - none/rootfs.cpio
	lz4 -dcq lz4/rootfs.cpio.lz4 | cmp - none/rootfs.cpio
	local m
	for m in none gzip zstd lz4; do
		(umask 077 && TZ=Asia/Tokyo build --compress $m -o again)
		diff -r $m again
		rm -r again
		"$TOOL" verify $m
	done
}

@test "LZ4 has the legacy frame's magic number, and levels change the size" {
	build --compress lz4 -o a
	[ "$(head -c 4 a/rootfs.cpio.lz4 | od -An -tx1 | tr -d ' ')" = 02214c18 ]
	build --compress gzip,1 -o one
	build --compress gzip,9 -o nine
	[ "$(stat -c %s nine/rootfs.cpio.gz)" -lt "$(stat -c %s one/rootfs.cpio.gz)" ]
	[ "$(jq -r .rootfs.compress nine/image.json)" = gzip,9 ]
}

@test "hard links: one inode number, the content behind the last name; symbolic links each have their target" {
	SOURCE_DATE_EPOCH=1700000000 build --compress none -o i
	newc_entries <i/rootfs.cpio >entries
	cat entries
	[ "$(awk '$8 == "d/a" || $8 == "d/b" || $8 == "z" { print $1, $3 }' entries | sort -u | wc -l)" -eq 1 ]
	[ "$(awk '$8 == "d/a" { print $3, $5 }' entries)" = "3 0" ]
	[ "$(awk '$8 == "d/b" { print $3, $5 }' entries)" = "3 0" ]
	[ "$(awk '$8 == "z" { print $3, $5 }' entries)" = "3 4" ]
	[ "$(awk '$8 == "d/s" || $8 == "d/s2" { print $5 }' entries | uniq)" = 1 ]
	[ "$(awk '$8 == "dev/console" { print $2, $6, $7 }' entries)" = "20600 5 1" ]
	[ "$(awk '{ print $4 }' entries | sort -u)" = 1700000000 ]
	# Other files have numbers of their own, sorted names, and a directory comes before what is in it.
	[ "$(awk '$3 == 1 { print $1 }' entries | sort | uniq -d | wc -l)" -eq 0 ]
}

@test "cpio unpacks the very tree" {
	build --compress none -o i
	mkdir out
	(cd out && cpio -idm --quiet --no-preserve-owner <../i/rootfs.cpio 2>/dev/null || true)
	local f
	for f in $(cd "$TREE" && find . -type f); do cmp "$TREE/$f" "out/$f"; done
	[ out/d/a -ef out/d/b ] && [ out/d/a -ef out/z ]
	[ "$(readlink out/d/s)" = a ] && [ "$(readlink out/d/s2)" = a ]
	[ -p out/p ] && [ ! -s out/d/empty ]
	cpio -tv --quiet <i/rootfs.cpio | grep -q '^prw-r--r-- .* p$'
}

@test "bsdtar lists what cpio lists, links and devices as such" {
	command -v bsdtar >/dev/null || skip "bsdtar (libarchive-tools) is not installed"
	build --compress lz4 -o i
	bsdtar -tf i/rootfs.cpio.lz4 | LC_ALL=C sort >by-bsdtar
	lz4 -dcq i/rootfs.cpio.lz4 | cpio -t --quiet | LC_ALL=C sort >by-cpio
	diff by-bsdtar by-cpio
	bsdtar -tvf i/rootfs.cpio.lz4 >verbose
	grep -qE '^crw------- .* 5,1 .* dev/console$' verbose
	grep -qE ' d/b link to d/a$' verbose
}

@test "what does not go together is named with what does" {
	run build --compress xz -o x
	one_line 2 'gzip, zstd, lz4, none'
	run build --compress gzip,10 -o x
	one_line 2 'the levels of gzip are 1 to 9'
	run build --compress zstd, -o x
	one_line 2 'the levels of zstd are 1 to 19'
	run build --compress none,3 -o x
	one_line 2 'none has no levels'
	run build --verity -o x
	one_line 2 'block device'
	run build --size 8M -o x
	one_line 2 '--size is for'
	run "$TOOL" build -q --format ext4 --compress lz4 --kernel "$KERNEL" -o x
	one_line 2 'does not go with ext4'
	run "$TOOL" build -q --format erofs --compress gzip --kernel "$KERNEL" -o x
	one_line 2 'does not go with erofs'
	[ ! -e x ]
}

@test "a kernel that cannot unpack it is named by the symbol that is not set" {
	cp -r "$KERNEL" k
	printf 'CONFIG_BLK_DEV_INITRD=y\nCONFIG_RD_GZIP=y\n# CONFIG_RD_LZ4 is not set\n' >k/kernel.config
	"$TOOL" build -q --format initrd --kernel k -o ok
	run "$TOOL" build -q --format initrd --compress lz4 --kernel k -o x
	one_line 3 'CONFIG_RD_LZ4 is not set'
	run "$TOOL" build -q --format ext4 --kernel k -o x
	one_line 3 'CONFIG_EXT4_FS is not set'
	run "$TOOL" build -q --verity --kernel k -o x
	one_line 3 'CONFIG_EROFS_FS is not set'
	[ ! -e x ]
}

@test "extended attributes cannot be kept, and the file is named" {
	mkdir tree && echo x >tree/f
	setfattr -n user.x -v y tree/f 2>/dev/null || skip "no extended attributes in $BATS_TEST_TMPDIR"
	run build --extra tree -o x
	one_line 3 '/f has extended attributes'
	[ ! -e x ]
	# However long its path, and whatever is in it.
	local deep=tree
	for _ in 1 2 3 4 5; do deep+=/$(printf 'n%.0s' {1..250}); done
	mkdir -p "$deep" && setfattr -x user.x tree/f
	echo x >"$deep/"$'a\tb' && setfattr -n user.x -v y "$deep/"$'a\tb'
	run build --extra tree -o x
	one_line 3 'nnn... has extended attributes, which an initrd cannot hold; use --format erofs'
}

@test "a file with the trailer's name, which the kernel would leave out, is refused; further down it is none" {
	mkdir -p tree/d
	: >'tree/d/TRAILER!!!'
	build --compress none --extra tree -o x
	cpio -t --quiet <x/rootfs.cpio | grep -qx 'd/TRAILER!!!'
	rm -r x
	mkdir 'tree/TRAILER!!!'
	run build --extra tree -o x
	one_line 3 '/TRAILER!!! has the name that ends an initrd'
	[ ! -e x ]
	leaves_nothing .
}

@test "times that eight digits cannot hold are the nearest" {
	local kernel=$ROOT/build/kernel/unikernel
	[ -e "$kernel/vmlinux" ] || skip "build/kernel/unikernel is not built"
	command -v umoci >/dev/null || skip "umoci is not installed"
	command -v busybox >/dev/null || skip "busybox is not installed"
	cp -r "$DATA" data
	printf 'init' >data/guest/bin/kihon-init
	python3 - "$(command -v busybox)" <<-'PY'
		import sys, tarfile
		with tarfile.open("layer.tar", "w", format=tarfile.PAX_FORMAT) as t:
		    for name, mtime in ("before-1970", -1), ("after-2106", 1 << 33), ("between", 1 << 31):
		        member = tarfile.TarInfo(name)
		        member.mtime = mtime
		        t.addfile(member)
		    t.add(sys.argv[1], "busybox")
	PY
	umoci init --layout img
	umoci new --image img:v1
	umoci raw add-layer --image img:v1 layer.tar
	umoci config --image img:v1 --config.entrypoint /busybox
	KIHON_DATA=$PWD/data "$TOOL" pack -q --kernel "$kernel" -o i img:v1
	gzip -dc i/rootfs.cpio.gz | newc_entries >entries
	[ "$(awk '$8 == "before-1970" { print $4 }' entries)" = 0 ]
	[ "$(awk '$8 == "after-2106" { print $4 }' entries)" = 4294967295 ]
	[ "$(awk '$8 == "between" { print $4 }' entries)" = 2147483648 ]
}

@test "boot: the kernel unpacks each of them" {
	local kernel=$ROOT/build/kernel/container m said
	[ -e "$kernel/vmlinux" ] || skip "build/kernel/container is not built"
	command -v qemu-system-x86_64 >/dev/null || skip "qemu-system-x86_64 is not installed"
	mkdir -p tree/bin
	cp "$(command -v busybox)" tree/bin/busybox
	seq 500000 >tree/big
	ln tree/big tree/bigger
	cat >tree/hello <<-SH
		#!/bin/busybox sh
		/bin/busybox mkdir -p /proc /dev && /bin/busybox mount -t devtmpfs none /dev
		echo "\$(/bin/busybox sha256sum /big | /bin/busybox cut -c1-64) \$(/bin/busybox stat -c %h /bigger) links" >/dev/console
		/bin/busybox reboot -f
	SH
	chmod +x tree/hello
	for m in gzip zstd lz4; do
		"$TOOL" build -q --format initrd --compress $m --kernel "$kernel" --extra tree -o $m
		said=$(timeout 300 qemu-system-x86_64 -M microvm,acpi=off,rtc=on -accel tcg -cpu max -m 256 -nodefaults -no-user-config \
			-display none -no-reboot -serial stdio -kernel $m/vmlinux -initrd "$(echo $m/rootfs.cpio.*)" \
			-append "console=ttyS0 reboot=t panic=-1 rdinit=/hello" </dev/null 2>&1)
		[[ $said == *"$(sha256sum <tree/big | cut -c1-64) 2 links"* ]] || { echo "$m: $said" | tail -20; return 1; }
	done
}
