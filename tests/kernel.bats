#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# kernel-config: profiles, fragments, the build script, and what the kernel does when it is booted.

setup_file() {
	export ROOT=$BATS_TEST_DIRNAME/..
	export KERNEL=$ROOT/build/kernel/container
	make -s -C "$ROOT" kernel PROFILE=container >&2
	# What the probing guest finds: an EROFS image in its initramfs, on an ext4 disk and as pmem.
	export GUEST=$BATS_FILE_TMPDIR/guest
	mkdir -p "$GUEST/erofs" "$GUEST/disk"
	cd "$GUEST"
	echo hello >erofs/hello
	mkfs.erofs -Enoinline_data -T0 probe.erofs erofs >/dev/null 2>&1
	truncate -s %2M probe.erofs
	cp probe.erofs disk/
	mke2fs -q -t ext4 -d disk disk.ext4 16M
	cp "$ROOT/build/guest/test/probe-init" init
	printf 'init\nprobe.erofs\n' | cpio -o -H newc --quiet >probe.cpio
}

build_kernel() { "$ROOT/kernel-config/build-kernel" "$@"; }

# boot MACHINE WORDS OPTION...: the guest's console in $output. Twice at most: an emulated boot on a loaded
# machine may lose a timer interrupt (docs/kernel.md).
boot() {
	local machine=$1 words=$2
	shift 2
	local try
	for try in 1 2; do
		run timeout 100 qemu-system-x86_64 -M "$machine" -accel tcg -cpu max -nodefaults -no-user-config \
			-display none -serial stdio -no-reboot -kernel "$KERNEL/vmlinux" -initrd "$GUEST/probe.cpio" \
			-append "console=ttyS0 quiet panic=-1 tsc_early_khz=$(early_khz) tsc=reliable no_timer_check $words" "$@" </dev/null
		[[ $output != *'probe end'* ]] || return 0
	done
	echo "$output"
	return 1
}

# lacks FILE TEXT: a function, because bats does not see a bare `! grep` fail.
lacks() { ! grep -qaF -- "$2" "$1"; }

# Every probe succeeded or found that the machine has no such device.
nothing_failed() {
	echo "$output"
	! grep -q '^probe .* failed' <<<"$output"
}

# What TCG's guests see as the speed of their TSC.
early_khz() { awk '/^cpu MHz/ { printf "%d", $4 * 1000; exit }' /proc/cpuinfo; }

@test "the profiles are listed, container among them" {
	run build_kernel --list
	[ "$status" -eq 0 ]
	[[ $output == *"container "*"unikernel "* ]]
}

@test "wrong usage exits 2 with one line" {
	local arguments
	for arguments in --bogus --profile --jobs=0 "--jobs many" extra; do
		# shellcheck disable=SC2086
		run build_kernel $arguments
		[ "$status" -eq 2 ]
		[ "${#lines[@]}" -eq 1 ]
	done
}

@test "an unknown profile is refused by name, with those that are known" {
	run build_kernel --profile nope
	[ "$status" -eq 1 ]
	[[ $output == *"no kernel profile 'nope'"*container* ]]
	run build_kernel --profile ../profiles/container
	[ "$status" -eq 1 ]
}

@test "a symbol that cannot take is named with what was wanted, what came and who asked" {
	printf 'CONFIG_NO_SUCH_SYMBOL=y\nCONFIG_MODULES=y\nCONFIG_X86_64=n\n' >"$BATS_TEST_TMPDIR/mine.config"
	run build_kernel --configure-only --kernel-config "$BATS_TEST_TMPDIR/mine.config"
	[ "$status" -eq 1 ]
	[[ $output == *"CONFIG_NO_SUCH_SYMBOL: wanted y, got nothing"*"fragment mine.config"* ]]
	[[ $output != *"CONFIG_MODULES"* ]]
}

@test "a fragment that cannot be read, or a line that is none, is named" {
	run build_kernel --kernel-config /nonexistent.config
	[ "$status" -eq 1 ]
	[[ $output == *"/nonexistent.config"* ]]
	printf 'CONFIG_A=y\nCONFIG_B = y\n' >"$BATS_TEST_TMPDIR/bad.config"
	run build_kernel --kernel-config "$BATS_TEST_TMPDIR/bad.config"
	[ "$status" -eq 1 ]
	[[ $output == *"bad.config line 2"* ]]
}

@test "a directory that is no kernel source is refused" {
	run build_kernel --kernel-source "$BATS_TEST_TMPDIR"
	[ "$status" -eq 1 ]
	[[ $output == *"not a Linux source tree"* ]]
}

@test "an output directory that cannot be written ends in one line" {
	run build_kernel -o /proc/nowhere
	[ "$status" -eq 1 ]
	[ "${#lines[@]}" -eq 1 ]
}

@test "debug and unikernel: every symbol takes" {
	run build_kernel --configure-only --profile debug -o "$BATS_TEST_TMPDIR/debug"
	echo "$output"
	[ "$status" -eq 0 ]
	grep -qx CONFIG_KALLSYMS_ALL=y "$BATS_TEST_TMPDIR/debug/kernel.config"
	run build_kernel --configure-only --profile unikernel -o "$BATS_TEST_TMPDIR/unikernel"
	echo "$output"
	[ "$status" -eq 0 ]
	! grep -qE '^CONFIG_(NET|PCI|ACPI)=' "$BATS_TEST_TMPDIR/unikernel/kernel.config"
}

@test "from the cache: no compiler is run, no network is needed" {
	mkdir "$BATS_TEST_TMPDIR/bin"
	printf '#!/bin/sh\nexit 1\n' >"$BATS_TEST_TMPDIR/bin/make"
	chmod +x "$BATS_TEST_TMPDIR/bin/make"
	PATH=$BATS_TEST_TMPDIR/bin:$PATH run unshare -n "$ROOT/kernel-config/build-kernel" --offline
	echo "$output"
	[ "$status" -eq 0 ]
	cmp "$output/vmlinux" "$KERNEL/vmlinux"
}

@test "an interrupted build says so, leaves no result and no process" {
	local cache=$BATS_TEST_TMPDIR/cache source pid status=0 i
	mkdir -p "$cache/kihon/kernel/source"
	# The unpacked source is lent, so that compiling begins at once.
	build_kernel --configure-only
	for source in "${XDG_CACHE_HOME:-$HOME/.cache}"/kihon/kernel/source/[0-9a-f]*; do
		ln -s "$source" "$cache/kihon/kernel/source/"
	done
	XDG_CACHE_HOME=$cache "$ROOT/kernel-config/build-kernel" -o "$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/said" 3>&- &
	pid=$!
	for i in $(seq 300); do
		grep -qs '^  CC' "$cache"/kihon/kernel/work/*/build.log && break
		sleep 0.1
	done
	kill -TERM "$pid"
	wait "$pid" || status=$?
	cat "$BATS_TEST_TMPDIR/said"
	[ "$status" -eq 143 ]
	grep -q 'interrupted: run the same command again' "$BATS_TEST_TMPDIR/said"
	[ ! -e "$BATS_TEST_TMPDIR/out" ]
	[ -z "$(find "$cache/kihon/kernel" -name kernel.json)" ]
	for i in $(seq 50); do
		pgrep -f "O=$cache" >/dev/null || return 0
		sleep 0.1
	done
	pgrep -af "O=$cache"
	return 1
}

@test "container: vmlinux has the PVH note, bzImage its limit, neither our paths" {
	readelf -n "$KERNEL/vmlinux" | grep -q 'Xen.*0x00000012'
	[ "$(stat -c %s "$KERNEL/bzImage")" -le $((5 << 20)) ]
	lacks "$KERNEL/vmlinux" "$HOME/"
	lacks "$KERNEL/vmlinux" kihon/kernel/
}

@test "container: kernel.json says what the kernel was made of" {
	[ "$(jq -r .config_sha256 "$KERNEL/kernel.json")" = "$(sha256sum <"$KERNEL/kernel.config" | cut -d' ' -f1)" ]
	jq -e '.version and .source_package and .source_version and .key and .compiler
		and (.source_sha256 | length == 64)' "$KERNEL/kernel.json"
}

@test "container boots on microvm without ACPI, with everything the agent needs" {
	boot microvm,acpi=off,rtc=on "reboot=t" -m 256 -global virtio-mmio.force-legacy=off \
		-drive "file=$GUEST/disk.ext4,if=none,id=d,format=raw,readonly=on" -device virtio-blk-device,drive=d \
		-device virtio-serial-device -device virtserialport,chardev=null,name=probe -chardev null,id=null \
		-device virtio-rng-device
	nothing_failed
	[[ $output == *'probe erofs-file-ext4 ok'* && $output == *'probe ports ok'* && $output == *'probe hwrng ok'* ]]
	[[ $output =~ probe\ cgroup\ ok\ [^$'\n']*cpuset\ cpu\ io\ memory ]]
}

@test "container boots on microvm with ACPI and powers off" {
	boot microvm,acpi=on "" -m 256
	nothing_failed
}

@test "container boots on q35, where an EROFS root on virtio-pmem is DAX" {
	boot q35 "" -m 256,maxmem=1G -smp 2 \
		-object "memory-backend-file,id=m,mem-path=$GUEST/probe.erofs,size=2M,share=on,readonly=on" \
		-device virtio-pmem-pci,memdev=m -device virtio-serial-pci -device virtconsole,chardev=null -chardev null,id=null
	nothing_failed
	[[ $output == *'probe pmem ok'* && $output == *'probe hvc ok'* && $output == *'probe cpus ok 0-1'* ]]
}

@test "unikernel: bzImage within its limit" {
	[ -n "${KIHON_FULL-}" ] || skip "builds a second kernel (make check-full)"
	build_kernel --profile unikernel -o "$BATS_TEST_TMPDIR"
	[ "$(stat -c %s "$BATS_TEST_TMPDIR/bzImage")" -le $((2 << 20)) ]
}
