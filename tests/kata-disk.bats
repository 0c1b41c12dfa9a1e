#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The disk of --format kata under the machine and the kernel words that Kata's runtimes give it: an NVDIMM on q35, or
# virtio-blk, and dm-verity from kernel_verity_params.

bats_require_minimum_version 1.5.0

setup_file() {
	ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	export ROOT
	export KERNEL=$ROOT/build/kernel/container TREE=$BATS_FILE_TMPDIR/tree
	[ -e "$KERNEL/vmlinux" ] || return 0
	make -s -C "$ROOT" build/host/bin/kata-image-tool >&2
	export TOOL=$ROOT/build/host/bin/kata-image-tool
	mkdir -p "$TREE/bin"
	cp "$(command -v busybox)" "$TREE/bin/busybox"
	head -c 5000000 /dev/urandom >"$TREE/big"
	cat >"$TREE/hello" <<-'SH'
		#!/bin/busybox sh
		/bin/busybox mount -t proc none /proc
		{
			/bin/busybox grep ' / ' /proc/mounts
			/bin/busybox grep MemTotal /proc/meminfo
			echo "sum $(/bin/busybox sha256sum /big)"
		} >/dev/console 2>&1
		/bin/busybox reboot -f
	SH
	chmod +x "$TREE/hello"
}

setup() {
	[ -e "$KERNEL/vmlinux" ] || skip "build/kernel/container is not built"
	command -v qemu-system-x86_64 >/dev/null || skip "qemu-system-x86_64 is not installed"
	cd "$BATS_TEST_TMPDIR"
}

build() { "$TOOL" build -q --kernel "$KERNEL" --extra "$TREE" --format kata "$@"; }

# The counter's speed, so that an emulated guest does not have to measure it (docs/kernel.md).
early_khz() { awk '/^cpu MHz/ { printf "%d", $4 * 1000; exit }' /proc/cpuinfo; }

# boot KERNEL WORDS OPTION...: the console in $output. Twice at most: an emulated boot on a loaded machine may lose a
# timer interrupt (docs/kernel.md).
boot() {
	local kernel=$1 words=$2 try
	shift 2
	for try in 1 2; do
		run timeout 300 qemu-system-x86_64 -accel tcg -cpu max -nodefaults -no-user-config -display none -no-reboot \
			-serial stdio -kernel "$kernel" "$@" -append "console=ttyS0 reboot=k panic=1 systemd.unit=kata-containers.target \
			systemd.mask=systemd-networkd.service tsc=reliable no_timer_check tsc_early_khz=$(early_khz) net.ifnames=0 \
			init=/hello $words" </dev/null
		[[ $output != *"sum "* ]] || break
	done
	echo "$output" | tail -25
	[[ $output == *"sum $(sha256sum <"$TREE/big" | cut -d' ' -f1)"* ]]
}

# As Kata's Go runtime plugs an image with disable_image_nvdimm = false, and memory beside it: QEMU lays the DIMM right
# behind the image, where Linux takes it on a multiple of 128 MiB only.
nvdimm() {
	local kernel=$1 words=$2 disk=$3 size
	size=$(stat -c %s "$disk")
	boot "$kernel" "$words" -M q35,nvdimm=on -m 256M,slots=2,maxmem=2G \
		-object "memory-backend-file,id=mem0,mem-path=$disk,size=$size,readonly=on" \
		-device nvdimm,id=nv0,memdev=mem0,unarmed=on \
		-object memory-backend-ram,id=mem1,size=256M -device pc-dimm,id=dimm1,memdev=mem1
	[[ $output =~ MemTotal:\ +([0-9]+) ]]
}

blk() {
	local kernel=$1 words=$2 disk=$3
	boot "$kernel" "$words" -M q35 -m 256M -drive "if=none,id=d,format=raw,readonly=on,file=$disk" \
		-device virtio-blk-pci,drive=d
}

@test "erofs on an NVDIMM: the DAX block makes /dev/pmem0, its first partition is the root, mounted with DAX" {
	build -o k
	nvdimm k/vmlinux "root=/dev/pmem0p1 rootflags=dax ro rootfstype=erofs" k/kata-containers.img
	[ "${BASH_REMATCH[1]}" -gt 400000 ] # 256 MiB, and 256 MiB of the DIMM
	[[ $output =~ /dev/root\ /\ erofs\ ro,[^$'\n']*dax ]]
}

@test "ext4 on an NVDIMM, with the words that Kata gives ext4" {
	build --root-fs ext4 -o k
	nvdimm k/bzImage "root=/dev/pmem0p1 rootflags=dax,data=ordered,errors=remount-ro ro rootfstype=ext4" k/kata-containers.img
	[ "${BASH_REMATCH[1]}" -gt 400000 ]
	[[ $output =~ /dev/root\ /\ ext4\ ro,[^$'\n']*dax ]]
}

@test "measured, on virtio-blk: the words made of root_hash.txt as Kata makes them" {
	build --verity --root-fs ext4 -o k
	local -A p
	local pair
	for pair in $(tr ',' ' ' <k/root_hash.txt); do p[${pair%%=*}]=${pair#*=}; done
	blk k/vmlinux "dm-mod.create=\"dm-verity,,,ro,0 $((p[data_blocks] * p[data_block_size] / 512)) verity 1 /dev/vda1 /dev/vda2 \
${p[data_block_size]} ${p[hash_block_size]} ${p[data_blocks]} 0 sha256 ${p[root_hash]} ${p[salt]}\" \
root=/dev/dm-0 rootflags=data=ordered,errors=remount-ro ro rootfstype=ext4" k/kata-containers.img
	[[ $output =~ /dev/root\ /\ ext4\ ro ]]
}
