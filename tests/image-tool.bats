#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# kata-image-tool: images byte for byte, what fsck.erofs and cpio say of them, bad input, interruption.
#
# Most tests use a data folder of their own, with small programs and a kernel that only has a version.

load image

setup_file() {
	image_suite
	image_data "$DATA"
	image_kernel "$KERNEL"
}

setup() {
	export KIHON_DATA=$DATA
	unset SOURCE_DATE_EPOCH
	cd "$BATS_TEST_TMPDIR"
}

build() { "$TOOL" build --kernel "$KERNEL" "$@"; }

@test "two builds in different folders, umasks and times are the same bytes" {
	build -q -o one
	sleep 1
	mkdir -p far/away
	(umask 077 && cd far/away && TZ=Asia/Tokyo LC_ALL=C build -q -o ./two)
	diff -r one far/away/two
	[ "$(stat -c %a far/away/two/rootfs.erofs)" = 644 ]
	leaves_nothing .
}

@test "the kernel's tools take the root: fsck.erofs, and the time and owner of everything" {
	build -q -o one
	fsck.erofs one/rootfs.erofs
	dump.erofs one/rootfs.erofs | grep -q 'created: *Thu Jan  1 00:00:00 1970'
	[ $(($(stat -c %s one/rootfs.erofs) % 2097152)) -eq 0 ]
	mkdir out
	fsck.erofs --extract=out --no-preserve one/rootfs.erofs
	[ "$(cat out/usr/bin/kihon-agent)" = agent ]
	[ "$(readlink out/sbin/init)" = /usr/bin/kihon-agent ]
	[ "$(readlink out/init)" = /usr/bin/kihon-agent ]
	[ -f out/etc/resolv.conf ] && [ ! -s out/etc/resolv.conf ]
	cmp out/usr/bin/kihon-pull "$DATA/guest/bin/kihon-pull"
	dump.erofs --path=/root one/rootfs.erofs | grep -q 'Access: 0700'
	dump.erofs --path=/usr/bin/kihon-agent one/rootfs.erofs | grep -q 'Uid: 0 *Gid: 0'
}

@test "a large program begins on a 2 MiB boundary, for huge pages" {
	build -q -o one
	local at
	at=$(dump.erofs -e --path=/usr/bin/kihon-pull one/rootfs.erofs | awk -F'[|:]' '/^ *0:/ { split($4, a, "[.][.]"); print a[1] + 0 }')
	echo "at $at"
	[ $((at % 2097152)) -eq 0 ]
}

@test "SOURCE_DATE_EPOCH is the time of files and image.json, and a wrong one is refused" {
	SOURCE_DATE_EPOCH=1700000000 build -q -o one
	[ "$(jq .timestamp one/image.json)" = 1700000000 ]
	dump.erofs one/rootfs.erofs | grep -q '2023'
	SOURCE_DATE_EPOCH=yesterday run build -q -o two
	one_line 2 'SOURCE_DATE_EPOCH=yesterday'
	[ ! -e two ]
}

@test "image.json names every file with its size and digest, and only the packages that are linked" {
	build -q -o one
	local name size sha
	while read -r name size sha; do
		[ "$(stat -c %s "one/$name")" = "$size" ]
		echo "$sha  one/$name" | sha256sum --check --status
	done < <(jq -r '.files[] | "\(.name) \(.size) \(.sha256)"' one/image.json)
	[ "$(jq -c '[.files[].name]' one/image.json)" = '["vmlinux","bzImage","rootfs.erofs"]' ]
	[ "$(jq -c '[.packages[].name]' one/image.json)" = '["ca-certificates","musl","zlib"]' ]
	[ "$(jq -r .kernel.version one/image.json)" = 6.12.0-test ]
	[ "$(jq -r .version one/image.json)" = "$(cat "$ROOT/VERSION")" ]
	[[ $(jq -r .cmdline one/image.json) == 'ro rootfstype=erofs '* ]]
}

@test "--json prints image.json with where it is and how long it took; inspect reads the same" {
	build -q --json -o one >out.json
	[ "$(jq -r .output out.json)" = one ]
	[ "$(jq '.milliseconds >= 0' out.json)" = true ]
	diff <(jq -S .image out.json) <(jq -S . one/image.json)
	diff <("$TOOL" inspect --json one) one/image.json
	"$TOOL" inspect one | grep -q 'Linux 6.12.0-test'
}

@test "an initrd has the same content: cpio lists it, hard links and devices too" {
	mkdir -p tree/d
	echo one >tree/d/a
	ln tree/d/a tree/d/b
	mkfifo tree/p
	build -q --format initrd --extra tree -o rd
	build -q --format initrd --extra tree -o rd2
	diff -r rd rd2
	[ "$(jq -r .rootfs.format rd/image.json)" = initrd ]
	zcat rd/rootfs.cpio.gz | cpio -t --quiet | LC_ALL=C sort >listed
	build -q --extra tree -o ero
	mkdir out && fsck.erofs --extract=out --no-preserve ero/rootfs.erofs
	(cd out && find . -mindepth 1 -printf '%P\n' | LC_ALL=C sort) >expected
	diff expected listed
	mkdir un && (cd un && zcat ../rd/rootfs.cpio.gz | cpio -idm --quiet --no-preserve-owner 2>/dev/null || true)
	[ un/d/a -ef un/d/b ] && [ "$(cat un/d/b)" = one ]
	[ -p un/p ]
	cmp un/usr/bin/kihon-pull "$DATA/guest/bin/kihon-pull"
	zcat rd/rootfs.cpio.gz | cpio -tv --quiet | grep -q '^drwxrwxrwt .* tmp$'
	zcat rd/rootfs.cpio.gz | cpio -tv --quiet | grep -q '^crw------- .* 5, *1 .* dev/console'
}

@test "an initrd cannot keep extended attributes and says so" {
	mkdir tree && echo x >tree/f
	setfattr -n user.x -v y tree/f 2>/dev/null || skip "no extended attributes in $BATS_TEST_TMPDIR"
	run build -q --format initrd --extra tree -o rd
	one_line 3 'extended attributes'
	[ ! -e rd ]
	build -q --extra tree -o ero
}

@test "--extra lays folders over the root, all owned by root; --agent replaces the agent" {
	mkdir -p tree/etc tree/app
	echo mine >tree/etc/hostname
	echo other >agent2
	chmod 700 tree
	build -q --extra tree --agent agent2 -o one
	mkdir out && fsck.erofs --extract=out --no-preserve one/rootfs.erofs
	[ "$(cat out/etc/hostname)" = mine ]
	[ -d out/app ]
	[ "$(cat out/usr/bin/kihon-agent)" = other ]
	dump.erofs --path=/ one/rootfs.erofs | grep -q 'rwxr-xr-x'
	run build -q --extra nowhere -o two
	one_line 4 nowhere
}

@test "unknown verbs, options, formats and profiles are usage errors" {
	run "$TOOL" bake
	[ "$status" -eq 2 ] && [[ $output == *bake* ]]
	run "$TOOL" build --wat -o x
	[ "$status" -eq 2 ] && [[ $output == *wat* ]]
	run "$TOOL" build --format ext4 -o x
	[ "$status" -eq 2 ] && [[ $output == *ext4* ]]
	run "$TOOL" build
	one_line 2 '-o DIR'
	run build -q --profile nope -o x
	one_line 2 "'nope'; profiles: container, debug, trace, unikernel"
	run build -q --profile ../../etc/passwd -o x
	[ "$status" -eq 2 ]
	[ ! -e x ]
}

@test "a file list with a mistake is named with its line" {
	local d=$BATS_TEST_TMPDIR/data
	cp -r "$DATA" "$d"
	export KIHON_DATA=$d
	bad() {
		printf '# list\n%s\n' "$1" >"$d/rootfs/profiles/bad.files"
		run build -q --profile bad -o x
		one_line "$3" "$2"
		[[ $output == *'bad.files line 2'* ]]
		[ ! -e x ]
	}
	bad 'mkdir /x 0755 0 0' "unknown directive 'mkdir'" 3
	bad 'dir /x 0799 0 0' "no mode '0799'" 3
	bad 'dir /x 0755 root 0' "no user id 'root'" 3
	bad 'dir /x' "wrong number of words" 3
	bad 'nod /x 0600 0 0 x 1 3' "neither c nor b" 3
	bad 'file /x guest:bin/none 0755 0 0' "make guest" 4
	bad 'include bad' "too deep" 3
	bad 'dir /../x 0755 0 0' ".." 3
}

@test "missing guest programs, kernels and data are named with what to do" {
	run build -q --agent nothing -o x
	one_line 4 nothing
	run "$TOOL" build -q --kernel nowhere -o x
	one_line 4 nowhere
	mkdir empty
	echo 'no kernel' >empty/vmlinux
	run "$TOOL" build -q --kernel empty -o x
	one_line 3 'no Linux kernel'
	KIHON_DATA=/nonexistent run build -q -o x
	one_line 4 KIHON_DATA
	[ ! -e x ]
}

@test "an output that cannot be written, a full disk, a second build" {
	echo file >f
	run build -q -o f/sub
	[ "$status" -ne 0 ] && [ "${#lines[@]}" -eq 1 ]
	run build -q -o /proc/nothing
	one_line 4 /proc/nothing
	build -q -o one
	run flock one "$TOOL" build --kernel "$KERNEL" -q -o one
	one_line 4 'another build'
	if [ "$(id -u)" -eq 0 ] && mkdir small && mount -t tmpfs -o size=1m none small 2>/dev/null; then
		run build -q -o small/image
		left=$(ls -A small)
		umount small
		one_line 4 small
		[ -z "$left" ]
	fi
}

@test "a file size limit ends in a line, not in a signal" {
	build -q -o one
	cp -r one before
	run bash -c "ulimit -f 100; exec '$TOOL' build --kernel '$KERNEL' -q -o one"
	[ "$status" -ne 0 ] && [ "$status" -lt 128 ] && [ "${#lines[@]}" -eq 1 ]
	diff -r before one
	leaves_nothing one
}

@test "interrupted while the kernel is built: the old image stays, the builder is gone, the next run works" {
	local d=$BATS_TEST_TMPDIR/data pid
	cp -r "$DATA" "$d"
	mkdir -p "$d/kernel-config"
	cat >"$d/kernel-config/build-kernel" <<-SH
		#!/bin/bash
		trap 'kill %1; echo gone >>"$BATS_TEST_TMPDIR/log"; exit 143' TERM
		sleep 100 & echo started \$\$ >>"$BATS_TEST_TMPDIR/log"; wait
	SH
	chmod +x "$d/kernel-config/build-kernel"
	export KIHON_DATA=$d
	build -q -o one
	cp -r one before
	for sig in INT TERM; do
		: >log
		# A shell starts background jobs with SIGINT ignored; env undoes that.
		env --default-signal=INT "$TOOL" build -q -o one 2>err 3>&- &
		pid=$!
		until grep -q started log; do sleep 0.05; done
		kill -$sig $pid
		status=0
		wait $pid || status=$?
		[ $status -eq $((128 + $(kill -l $sig))) ]
		grep -q interrupted err
		grep -q gone log
		diff -r before one
		leaves_nothing one
	done
	# Killed without a chance to clean up: the next build does.
	: >log
	"$TOOL" build -q -o one 3>&- &
	pid=$!
	until grep -q started log; do sleep 0.05; done
	kill -KILL $pid
	wait $pid || true
	kill "$(sed -n 's/started //p' log)"
	ls -A one | grep -q '^.build-'
	build -q -o one
	leaves_nothing one
	diff -r before one
}

@test "a kernel builder that fails is named with its last words" {
	local d=$BATS_TEST_TMPDIR/data
	cp -r "$DATA" "$d"
	mkdir -p "$d/kernel-config"
	printf '#!/bin/sh\necho working >&2\necho "build-kernel: flex is missing" >&2\nexit 1\n' >"$d/kernel-config/build-kernel"
	chmod +x "$d/kernel-config/build-kernel"
	KIHON_DATA=$d run "$TOOL" build -q -o x
	one_line 4 'flex is missing'
	[ ! -e x ]
}

@test "verify finds a changed, cut and missing file, and a changed structure" {
	build -q -o one
	"$TOOL" verify one
	printf X | dd of=one/rootfs.erofs bs=1 seek=1200 conv=notrunc status=none
	run "$TOOL" verify one
	one_line 5 rootfs.erofs
	build -q -o one
	truncate -s -1 one/bzImage
	run "$TOOL" verify one
	one_line 5 bzImage
	rm one/bzImage
	run "$TOOL" verify one
	[ "$status" -ne 0 ] && [[ $output == *bzImage* ]]
	run "$TOOL" verify .
	one_line 4 'no guest image'
}

@test "other schemas, paths as names and damaged descriptions are refused" {
	build -q -o one
	cp one/image.json good.json
	refuse() {
		jq "$1" good.json >one/image.json
		run "$TOOL" inspect one
		one_line 3 "$2"
	}
	refuse '.schema = 2' 'newer Kihon'
	refuse '.schema = 0' 'older Kihon'
	refuse 'del(.schema)' schema
	refuse '.files[0].name = "../../etc/shadow"' name
	refuse '.rootfs.file = "nothing"' 'not among'
	refuse '.cmdline = "a\nb"' 'control characters'
	refuse '.files[0].sha256 = "00"' sha256
	head -c 100 good.json >one/image.json
	run "$TOOL" inspect one
	one_line 3 JSON
}

@test "the real image: built offline from what is there, small enough, and verified" {
	unset KIHON_DATA
	for f in guest/bin/kihon-agent guest/bin/kihon-pull guest/bin/pause kernel/container/vmlinux; do
		[ -e "$ROOT/build/$f" ] || skip "build/$f is not built"
	done
	"$TOOL" build -q --offline -o one
	"$TOOL" verify one
	fsck.erofs one/rootfs.erofs
	[ "$(stat -c %s one/rootfs.erofs)" -le $((8 << 20)) ]
	[ $(($(stat -c %b one/rootfs.erofs) * 512)) -le $((6 << 20)) ]
	[ "$(jq -r '.packages[0].name' one/image.json)" = linux ]
	[ "$(jq -r '.packages[] | select(.name == "musl") | .sha256 | length' one/image.json)" = 64 ]
}
