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
		run timeout 300 qemu-system-x86_64 -M "$machine" -accel tcg -cpu max -nodefaults -no-user-config \
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
	[ "$status" -eq 3 ]
	[[ $output == *"CONFIG_NO_SUCH_SYMBOL: wanted y, got nothing"*"fragment mine.config"* ]]
	[[ $output != *"CONFIG_MODULES"* ]]
}

@test "a fragment that cannot be read, or a line that is none, is named" {
	run build_kernel --kernel-config /nonexistent.config
	[ "$status" -eq 3 ]
	[[ $output == *"/nonexistent.config"* ]]
	printf 'CONFIG_A=y\nCONFIG_B = y\n' >"$BATS_TEST_TMPDIR/bad.config"
	run build_kernel --kernel-config "$BATS_TEST_TMPDIR/bad.config"
	[ "$status" -eq 3 ]
	[[ $output == *"bad.config line 2"* ]]
}

@test "a directory that is no kernel source is refused" {
	run build_kernel --kernel-source "$BATS_TEST_TMPDIR"
	[ "$status" -eq 3 ]
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

@test "the fragments in no profile: every symbol takes beside those of container" {
	run build_kernel --configure-only --kernel-config "$ROOT/kernel-config/fragments/xfs.config" --kernel-config "$ROOT/kernel-config/fragments/vfio.config" \
		-o "$BATS_TEST_TMPDIR/both"
	echo "$output"
	[ "$status" -eq 0 ]
	grep -qx CONFIG_XFS_FS=y "$BATS_TEST_TMPDIR/both/kernel.config"
	grep -qx CONFIG_VFIO_IOMMU_TYPE1=y "$BATS_TEST_TMPDIR/both/kernel.config"
	! grep -qE '^CONFIG_(XFS_FS|VFIO)=' "$KERNEL/kernel.config" || false
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
	for i in $(seq 1200); do
		grep -qs '^  CC' "$cache"/kihon/kernel/objects/*/build.log && break
		sleep 0.1
	done
	kill -TERM "$pid"
	wait "$pid" || status=$?
	cat "$BATS_TEST_TMPDIR/said"
	[ "$status" -eq 143 ]
	grep -q 'interrupted: run the same command again' "$BATS_TEST_TMPDIR/said"
	[ ! -e "$BATS_TEST_TMPDIR/out" ]
	[ -z "$(find "$cache/kihon/kernel" -name kernel.json)" ]
	for i in $(seq 600); do
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

# ---- kata-image-tool kernel

tool() { "$ROOT/build/host/bin/kata-image-tool" kernel "$@"; }

@test "verb: the profiles are those of build-kernel, with their fragments" {
	make -s -C "$ROOT" build/host/bin/kata-image-tool >&2
	diff <(tool --list | sed -n 's/^    //p') <(build_kernel --list)
	tool --list --json | jq -e '.profiles | map(select(.name == "unikernel-net"))[0].fragments
		| startswith("base ") and endswith(" net-small")'
	[ "$(tool --list --json | jq '[.profiles[] | select(.name | startswith("unikernel"))] | length')" -le 8 ]
}

@test "verb: --why names fragment, line, reason and profiles, and who overrides whom" {
	local file=$ROOT/kernel-config/fragments
	tool --why CONFIG_FS_DAX --json >"$BATS_TEST_TMPDIR/j"
	cd "$BATS_TEST_TMPDIR"
	jq -e '.symbol == "CONFIG_FS_DAX" and (.fragments | length) == 1 and .fragments[0].fragment == "pmem"
		and (.fragments[0].reason | startswith("FS_DAX hangs on ZONE_DEVICE"))
		and (.fragments[0].profiles | split(" ") | index("container"))' j
	[ "$(sed -n "$(jq '.fragments[0].line' j)p" "$file/pmem.config")" = CONFIG_FS_DAX=y ]
	tool --why INOTIFY_USER --json | jq -r '.fragments[] | "\(.fragment) \(.value): \(.profiles // "") / \(.overridden_in // "")"' >got
	diff - got <<-'END'
		base y: container debug trace / kvm-host unikernel unikernel-disk unikernel-net unikernel-q35 unikernel-server
		server y: unikernel-q35 unikernel-server / 
		size n: kvm-host unikernel unikernel-disk unikernel-net / unikernel-q35 unikernel-server
	END
	printf '# Mine alone.\nCONFIG_FS_DAX=n\n' >mine.config
	tool --why FS_DAX --kernel-config mine.config --json |
		jq -e '.fragments[1] | .fragment == "mine.config" and .value == "n" and .reason == "Mine alone."'
	# One symbol under two names, and one that only newer kernels have.
	tool --why RETPOLINE --json | jq -e '.fragments[0].fragment == "hardening" and .fragments[0].value == "y"'
	tool --why EROFS_FS_BACKED_BY_FILE --json | jq -e '.fragments[0].since == "6.12"'
}

@test "verb: --why of a symbol that no fragment names says who selects it in the kernel's configuration" {
	build_kernel --source-tree >/dev/null || skip "the kernel's source is not unpacked"
	build_kernel --cached >/dev/null || skip "the kernel is not in the cache"
	cd "$BATS_TEST_TMPDIR"
	tool --why JBD2 --json >j
	jq -e '.fragments == [] and .kernel == {"profile": "container", "value": "y"}
		and ([.selected_by[] | [.symbol, .value, .file]] == [["EXT4_FS", "y", "fs/ext4/Kconfig"]])' j
	grep -q 'select JBD2' "$(build_kernel --source-tree)/fs/ext4/Kconfig"
	tool --why JBD2 | grep -q 'no fragment names it'
	run tool --why NO_SUCH_SYMBOL
	[ "$status" -eq 3 ] && [ "${#lines[@]}" -eq 1 ] && [[ $output == *CONFIG_NO_SUCH_SYMBOL* ]]
}

@test "verb: --why reads the Kconfig files of any tree, once each and none outside" {
	local t=$BATS_TEST_TMPDIR/tree
	mkdir -p "$t/arch/x86"
	printf 'VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 0\n' >"$t/Makefile"
	touch "$t/Kbuild"
	printf 'config OUTSIDE\n\tselect MYSYM\n' >"$t/../outside"
	cat >"$t/Kconfig" <<-'END'
		source "arch/$(SRCARCH)/Kconfig"
		source "Kconfig"
		source "../outside"
		source "missing"
		source "$(OTHER)/Kconfig"
		config A
			bool "A"
			select MYSYM if B && \
				C
			help
			  Not meant:
			  select MYSYM

			  imply MYSYM
			depends on Q
		config D
			tristate
			imply MYSYM
		if D
			select MYSYM
		endif
		config MYSYMBOL
			select OTHER
	END
	cat >"$t/arch/x86/Kconfig" <<-'END'
		# comment: config NOT
		menuconfig MYSYM
			bool "What it is"
			depends on A || \
			  B
			default y if D
	END
	cd "$BATS_TEST_TMPDIR"
	tool --why MYSYM --kernel-source tree --json >j
	jq -c '[.selected_by[] | [.symbol, .statement, .condition, .file]]' j
	[ "$(jq -c '[.selected_by[] | [.symbol, .statement, (.condition // "" | gsub("[ \t]+"; " ")), .file, .line]]' j)" = \
		'[["A","select","B && C","Kconfig",9],["D","imply","","Kconfig",18]]' ]
	[ "$(jq -c '[.kconfig[] | [.statement, (.text | gsub("[ \t]+"; " ")), .file]]' j)" = \
		'[["prompt","\"What it is\"","arch/x86/Kconfig"],["depends on","A || B","arch/x86/Kconfig"],["default","y if D","arch/x86/Kconfig"]]' ]
	run tool --why OUTSIDE --kernel-source tree
	[ "$status" -eq 3 ]
	run tool --why NOT --kernel-source tree
	[ "$status" -eq 3 ]
}

@test "verb: --diff of profiles, files and folders" {
	cd "$BATS_TEST_TMPDIR"
	tool --diff unikernel unikernel-net --json >j
	jq -e '.symbols | map(.symbol) | index("CONFIG_VIRTIO_NET") and index("CONFIG_INET")' j
	printf 'CONFIG_A=y\nCONFIG_B=1\n' >a.config
	printf '# CONFIG_A is not set\nCONFIG_B=2\nCONFIG_C="x"\n' >b.config
	[ "$(tool --diff ./a.config ./b.config --json | jq -c '[.symbols[] | [.symbol, .a, .b]]')" = \
		'[["CONFIG_A","y","n"],["CONFIG_B","1","2"],["CONFIG_C","n","\"x\""]]' ]
	tool --diff "$KERNEL" "$KERNEL" --json | jq -e '.differences == 0 and (.sizes | length == 2)'
	run tool --diff container nothing
	[ "$status" -eq 2 ] && [[ $output == *"no kernel profile 'nothing'"* ]]
	echo rubbish >c.config
	run tool --diff ./a.config ./c.config
	[ "$status" -eq 3 ] && [[ $output == *'line 1'* ]]
	run tool --diff ./a.config ./missing
	[ "$status" -eq 4 ]
}

@test "verb: -o takes the kernel from the cache, whole or not at all" {
	cd "$BATS_TEST_TMPDIR"
	tool --offline -o out --json >j
	jq -e '.output == "out" and .profile == "container" and (.files | length) == 4' j
	local f
	for f in vmlinux bzImage kernel.config kernel.json; do cmp "out/$f" "$KERNEL/$f"; done
	[ -z "$(ls -A out | grep '^\.')" ]
	run tool -q --offline -o out
	[ "$status" -eq 0 ] && [ -z "$output" ]
	run tool -o /proc/nowhere
	[ "$status" -eq 4 ] && [ "${#lines[@]}" -eq 1 ]
	printf 'CONFIG_A=y\nCONFIG_B = y\n' >bad.config
	run tool --kernel-config bad.config -o x
	[ "$status" -eq 3 ] && [[ $output == *'bad.config line 2'* ]] && [ ! -e x ]
	run tool --kernel-source nowhere -o x
	[ "$status" -eq 4 ] && [ ! -e x ]
	run tool --profile nope -o x
	[ "$status" -eq 2 ] && [ ! -e x ]
	for f in "" "--list --why A" "--diff container" "--why" "extra" "--why A=B"; do
		# shellcheck disable=SC2086
		run tool $f
		echo "$f: $output"
		[ "$status" -eq 2 ] && [ "${#lines[@]}" -eq 1 ]
	done
}

@test "verb: interrupted, it leaves nothing, and the builder is gone" {
	cd "$BATS_TEST_TMPDIR"
	mkdir data && cp -r "$ROOT/kernel-config" "$ROOT/rootfs" data/
	cat >data/kernel-config/build-kernel <<-SH
		#!/bin/bash
		trap 'kill %1; echo gone >>"$BATS_TEST_TMPDIR/log"; exit 143' TERM
		sleep 100 & echo started >>"$BATS_TEST_TMPDIR/log"; wait
	SH
	local pid status=0 i
	: >log
	KIHON_DATA=$BATS_TEST_TMPDIR/data env --default-signal=INT "$ROOT/build/host/bin/kata-image-tool" kernel -o out 2>err 3>&- &
	pid=$!
	for i in $(seq 1200); do
		grep -q started log && break
		sleep 0.05
	done
	kill -INT $pid
	wait $pid || status=$?
	cat err log
	[ $status -eq 130 ]
	grep -q interrupted err
	grep -q gone log
	[ ! -e out ]
}

@test "the kernels for single programs: every symbol takes" {
	export -f build_kernel
	printf '%s\n' net disk server q35 |
		xargs -P 2 -I {} bash -c 'build_kernel --configure-only --profile unikernel-{} -o "$BATS_TEST_TMPDIR/{}"'
	cd "$BATS_TEST_TMPDIR"
	grep -qx CONFIG_VIRTIO_NET=y net/kernel.config
	lacks net/kernel.config CONFIG_EXT4_FS=y
	grep -qx CONFIG_EXT4_FS=y disk/kernel.config
	lacks disk/kernel.config CONFIG_NET=y
	grep -qx CONFIG_SYSVIPC=y server/kernel.config
	lacks server/kernel.config CONFIG_PCI=y
	grep -qx CONFIG_VIRTIO_PCI=y q35/kernel.config
}

@test "unikernel-net: gets an address by DHCP in 32 MiB, within its size" {
	local k
	k=$(build_kernel --cached --profile unikernel-net) || {
		[ -n "${KIHON_FULL-}" ] || skip "builds one more kernel (make check-full)"
		build_kernel --profile unikernel-net -o "$BATS_TEST_TMPDIR/k"
		k=$BATS_TEST_TMPDIR/k
	}
	[ "$(stat -c %s "$k/bzImage")" -le $((3 << 20)) ]
	mkdir "$BATS_TEST_TMPDIR/root" && cd "$BATS_TEST_TMPDIR/root"
	mkdir bin proc dev
	cp "$(command -v busybox)" bin/busybox
	cat >init <<-'SH'
		#!/bin/busybox sh
		/bin/busybox mount -t proc proc /proc
		/bin/busybox ifconfig eth0
		/bin/busybox ifconfig lo
		/bin/busybox reboot -f
	SH
	chmod +x init
	find . | cpio -o -H newc --quiet | gzip -n >../initrd
	KERNEL=$k GUEST=$BATS_TEST_TMPDIR
	for _ in 1 2; do
		run timeout 300 qemu-system-x86_64 -M microvm,acpi=off,rtc=on -accel tcg -cpu max -m 32 -nodefaults -no-user-config \
			-display none -serial stdio -no-reboot -kernel "$k/vmlinux" -initrd ../initrd \
			-netdev user,id=n -device virtio-net-device,netdev=n -global virtio-mmio.force-legacy=off \
			-append "console=ttyS0 quiet panic=-1 reboot=t tsc_early_khz=$(early_khz) tsc=reliable no_timer_check ip=dhcp rdinit=/init" </dev/null
		[[ $output != *'inet addr:10.0.2.15'* ]] || break
	done
	echo "$output"
	[[ $output == *'inet addr:10.0.2.15'* && $output == *'inet addr:127.0.0.1'* ]]
}
