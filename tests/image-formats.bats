#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Formats of kata-image-tool beside plain EROFS: what veritysetup, e2fsck, sfdisk and the kernel say of them.

bats_require_minimum_version 1.5.0

setup_file() {
	ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	export ROOT
	make -s -C "$ROOT" build/host/bin/kata-image-tool >&2
	export TOOL=$ROOT/build/host/bin/kata-image-tool FILES=$BATS_FILE_TMPDIR
	export KERNEL=$ROOT/build/kernel/container
	if [ ! -e "$KERNEL/vmlinux" ]; then
		KERNEL=$FILES/kernel
		mkdir "$KERNEL"
		printf 'x Linux version 6.12.0-test (a@b) y' >"$KERNEL/vmlinux"
	fi
	# A program of the root's own that says that it runs: the boot tests look for its line.
	mkdir -p "$FILES/extra/bin"
	cp "$(command -v busybox)" "$FILES/extra/bin/busybox"
	ln -s busybox "$FILES/extra/bin/sh"
	head -c 5000000 /dev/urandom >"$FILES/extra/big"
	cat >"$FILES/extra/hello" <<-'SH'
		#!/bin/sh
		/bin/busybox cat /big >/dev/null && echo "root is read" >/dev/console
		/bin/busybox reboot -f
	SH
	chmod +x "$FILES/extra/hello"
}

setup() { cd "$BATS_TEST_TMPDIR"; }

build() { "$TOOL" build -q --kernel "$KERNEL" --extra "$FILES/extra" "$@"; }
member() { jq -r "$2" "$1/image.json"; }

# flip FILE BYTE: one bit of it.
flip() { python3 -c 'import sys; f=open(sys.argv[1],"r+b"); f.seek(int(sys.argv[2])); b=f.read(1)[0]; f.seek(-1,1); f.write(bytes([b^4]))' "$1" "$2"; }

# boot DIR: the guest's console, as it is with the words of image.json.
boot() {
	[ -e "$ROOT/build/kernel/container/vmlinux" ] || skip "build/kernel/container is not built"
	command -v qemu-system-x86_64 >/dev/null || skip "qemu-system-x86_64 is not installed"
	timeout 300 qemu-system-x86_64 -M microvm,acpi=off,rtc=on -accel tcg -cpu max -m 256 -nodefaults -no-user-config \
		-display none -no-reboot -serial stdio -kernel "$KERNEL/vmlinux" \
		-drive "if=none,id=d,format=raw,readonly=on,file=$1/$(member "$1" .rootfs.file)" -device virtio-blk-device,drive=d \
		-append "console=ttyS0 reboot=t panic=-1 init=/hello $(member "$1" .rootfs.words_blk)" </dev/null 2>&1
}

@test "every format is the same bytes twice, and verify takes it" {
	local f
	for f in "erofs --verity" ext4 "ext4 --verity" kata "kata --verity" "kata --verity --root-fs ext4"; do
		# shellcheck disable=SC2086
		build --format $f -o one
		# shellcheck disable=SC2086
		(umask 077 && TZ=Asia/Tokyo build --format $f -o two)
		diff -r one two
		"$TOOL" verify one
		"$TOOL" inspect --json one | cmp - one/image.json
		rm -r one two
	done
}

@test "ext4: e2fsck finds nothing, and its files are those of the EROFS root" {
	build --format ext4 -o e
	e2fsck -fn e/rootfs.ext4
	[ $(($(stat -c %s e/rootfs.ext4) % 2097152)) -eq 0 ]
	debugfs -R 'cat /big' e/rootfs.ext4 2>/dev/null | cmp - "$FILES/extra/big"
	debugfs -R 'stat /hello' e/rootfs.ext4 2>/dev/null | grep -q 'Mode:  0755'
	[[ $(member e .rootfs.words_pmem) == 'root=/dev/pmem0 rootfstype=ext4 rootflags=dax=always ro' ]]
}

@test "verity: veritysetup verifies the appended tree, and no flipped bit" {
	build --format erofs --verity -o v
	local file=v/rootfs.erofs
	check() {
		veritysetup verify --no-superblock --hash=sha256 --data-blocks="$(member v .verity.data_blocks)" \
			--hash-offset="$(member v .verity.hash_offset)" --salt="$(member v .verity.salt)" \
			"$file" "$file" "$(member v .verity.root_hash)"
	}
	check
	flip "$file" 1000000
	run ! check
	run "$TOOL" verify v
	[ "$status" -eq 5 ]
}

@test "kata: partitions as sfdisk reads them in both tables, root and hash tree where they say" {
	build --format kata --verity --root-fs ext4 -o k
	local disk=k/kata-containers.img start size hash line
	[ $(($(stat -c %s $disk) % 2097152)) -eq 0 ]
	read -r start size < <(sfdisk -J $disk | jq -r '.partitiontable.partitions[0] | "\(.start) \(.size)"')
	hash=$(sfdisk -J $disk | jq '.partitiontable.partitions[1].start')
	[ "$start" -eq 6144 ]
	tail -c +2097153 $disk >pmem
	[ "$(sfdisk -J pmem | jq -c '[.partitiontable.partitions[].start]')" = "[2048,$((hash - 4096))]" ]
	dd if=$disk of=root bs=512 skip="$start" count="$size" status=none
	e2fsck -fn root
	dd if=$disk of=tree bs=512 skip="$hash" status=none
	line=$(cat k/root_hash.txt)
	[[ $line =~ ^root_hash=([0-9a-f]+),salt=([0-9a-f]+),data_blocks=([0-9]+),data_block_size=4096,hash_block_size=4096$ ]]
	veritysetup verify --no-superblock --hash=sha256 --data-blocks="${BASH_REMATCH[3]}" --salt="${BASH_REMATCH[2]}" \
		root tree "${BASH_REMATCH[1]}"
	"$TOOL" inspect k | grep -q "root at 3145728, $((size * 512)) bytes; hash tree at $((hash * 512))"
}

@test "options that do not go together are refused, and nothing is left" {
	run build --format initrd --verity -o x
	[ "$status" -eq 2 ] && [ ! -e x ]
	run build --format ext4 --root-fs erofs -o x
	[ "$status" -eq 2 ] && [ ! -e x ]
}

@test "boot: the kernel mounts ext4 and reads it" {
	build --format ext4 -o e
	run boot e
	[[ $output == *'root is read'* ]]
}

@test "boot: a verity root in Kata's disk, by the words of image.json; a flipped bit stops the guest" {
	build --format kata --verity -o k
	run boot k
	echo "$output" | tail -20
	[[ $output == *'root is read'* ]]
	local at
	at=$(grep -obUaF "$(head -c 200 "$FILES/extra/hello" | sed -n 2p)" k/kata-containers.img | head -1 | cut -d: -f1)
	[ -n "$at" ]
	flip k/kata-containers.img "$at"
	run boot k
	echo "$output" | tail -20
	[[ $output != *'root is read'* ]]
	[[ $output == *'is corrupted'* ]]
}

# comes_up FORMAT MACHINE OPTION...: builds the image, and the agent in it says that it listens.
comes_up() {
	local image=$BATS_TEST_TMPDIR/image machine=$1 i
	shift
	rm -rf "$image" "$image.log"
	"$ROOT/build/host/bin/kata-image-tool" build -q "$@" -o "$image"
	: >"$image.log"
	"$ROOT/build/host/bin/kihon" boot --accel tcg --machine "$machine" --timeout 250s --verbose "$image" >"$image.log" 2>&1 3>&- &
	for ((i = 0; i < 500; i++)); do
		! grep -q listening "$image.log" || break
		sleep 0.5
	done
	kill $! || true
	wait $! || true
	grep listening "$image.log"
}

@test "kihon boots each format by the words of its image.json" {
	comes_up microvm --format ext4
	comes_up q35 --format kata --verity
}
