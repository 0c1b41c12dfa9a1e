#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The built-in monitor with bare-metal guests (tests/vmm) straight on /dev/kvm, PVM included. Linux guests: tests/nested.bats.

setup_file() {
	cd "$BATS_TEST_DIRNAME/.."
	make -s vmm-guests build/host/bin/kihon >&2
}

setup() {
	cd "$BATS_TEST_DIRNAME/.."
	. tests/wait.bash
	{ : 3<>/dev/kvm; } 2>/dev/null || skip "/dev/kvm cannot be opened"
	GUESTS=build/host/test/vmm
}

# machine GUEST OPTION...
machine() {
	local guest=$1
	shift
	run timeout 200 build/host/bin/vm-run --timeout 150s "$@" "$GUESTS/$guest"
	echo "$output"
}

@test "vmm: a 64-bit guest is told its words and ends with its status" {
	machine hello --cmdline "some words" --jail
	[[ $output == *"hello: some words"* && $output == *"exit 7" ]]
}

@test "vmm: multiboot, entered in 32 bits" {
	machine multiboot
	[[ $output == "m"* && $output == *"exit 0" ]]
}

@test "vmm: a stranger's multiboot kernel is told its words, memory and module" {
	echo "of the module" >"$BATS_TEST_TMPDIR/module"
	machine stranger --memory 64M --jail --cmdline "one two=3" --initrd "$BATS_TEST_TMPDIR/module"
	[[ $output == "stranger one two=3"*"upper 64512"*"modules 1"*"of the module"*"exit 0" ]]
	machine stranger --memory 5G --cmdline x
	[[ $output == *"upper 3144704"*"modules 0"*"exit 0" ]]
	[[ -e build/image/container/image.json ]] || skip "there is no guest image: make image"
	run timeout 200 build/host/bin/kihon boot --vmm builtin --accel kvm -m 64M --net none --verbose --append last=1 \
		--kernel "$GUESTS/stranger" --initrd "$BATS_TEST_TMPDIR/module" build/image/container
	echo "$output"
	[[ $status == 0 && $output == *"last=1"*"of the module"* ]]
}

# QEMU loads multiboot kernels, too: the same file, told the same memory by the list.
@test "vmm: QEMU runs the stranger's kernel as we do" {
	command -v qemu-system-x86_64 >/dev/null || skip "qemu-system-x86_64 is not installed"
	echo "of the module" >"$BATS_TEST_TMPDIR/module"
	run timeout 200 qemu-system-x86_64 -M pc -accel tcg -m 64 -display none -nodefaults -serial stdio -append "one two=3" \
		-kernel "$GUESTS/stranger" -initrd "$BATS_TEST_TMPDIR/module" -device isa-debug-exit,iobase=0xf4,iosize=4 </dev/null
	echo "$output"
	# isa-debug-exit ends with (0 << 1) | 1.
	[[ $status == 1 && $output == *"/stranger one two=3"*"upper "*"modules 1"*"of the module"* ]]
}

# Files that lie: each is refused in one line that names it, or is a machine that comes to an end; nobody crashes, and
# nothing hangs but a guest.
@test "vmm: damaged kernels are refused in one line, or run" {
	[[ -e build/image/container/image.json ]] || skip "there is no guest image: make image"
	local kind kernels=("$GUESTS/hello" "$GUESTS/multiboot" "$GUESTS/stranger" build/image/container/bzImage build/image/container/vmlinux)
	for kind in "${kernels[@]}"; do
		KERNEL=$kind python3 tests/vmm/damage.py "$BATS_TEST_TMPDIR/kernel" 14 build/host/bin/kihon boot --vmm builtin --accel kvm -m 64M \
			--net none --timeout 300ms --kernel "$BATS_TEST_TMPDIR/kernel" build/image/container
	done
}

@test "vmm: a driver by the book finds the virtio-mmio device, and breaks it and nothing else" {
	machine virtio --jail
	[[ $output == *"virtio: fine"* && $output == *"exit 0"* ]]
}

@test "vmm: a triple fault is a reset, ACPI's sleep register is power-off" {
	machine fault
	[[ $output == *"reset: triple fault" ]]
	machine off
	[[ $output == *"power-off" ]]
}

@test "vmm: a guest that floods ports and devices leaves a healthy monitor" {
	truncate -s 4M "$BATS_TEST_TMPDIR/disk"
	machine flood --jail --cpus 2 --disk "$BATS_TEST_TMPDIR/disk" --pmem "$BATS_TEST_TMPDIR/disk"
	[[ $output == *"flood: alive"* && $output == *"exit 0" ]]
}

@test "vmm: a guest that spins is paused and goes on, and is ended" {
	run timeout 200 build/host/bin/vm-run --timeout 3s --pauses 10 "$GUESTS/spin"
	[[ $output == "spin"* && $output == *"no end in time" ]]
}

@test "vmm: kihon boot --vmm builtin: output, status, one line for what cannot be" {
	kernel=(--accel kvm -m 64M --net none --kernel "$GUESTS/hello")
	[[ -e build/image/container/image.json ]] || skip "there is no guest image: make image"
	run timeout 200 build/host/bin/kihon boot --vmm builtin --verbose "${kernel[@]}" build/image/container
	echo "$output"
	[[ $status == 7 && $output == *"hello: console=ttyS0"* ]]
	run build/host/bin/kihon boot --vmm builtin "${kernel[@]}" --machine q35 build/image/container
	[[ $status == 2 && ${#lines[@]} == 1 ]]
	run build/host/bin/kihon boot --vmm builtin --accel tcg build/image/container
	[[ $status == 125 && $output == *"--vmm qemu"* && ${#lines[@]} == 1 ]]
	printf 'no kernel' >"$BATS_TEST_TMPDIR/none"
	run build/host/bin/kihon boot --vmm builtin --accel kvm --kernel "$BATS_TEST_TMPDIR/none" build/image/container
	[[ $status == 125 && $output == *"none that can be booted"* && ${#lines[@]} == 1 ]]
}

@test "vmm: a processor model that the host lacks is refused, one that it has is given" {
	for model in host x86-64-v2 x86-64-v3; do
		[[ -e build/image/container/image.json ]] || skip "there is no guest image: make image"
		run timeout 200 build/host/bin/kihon boot --vmm builtin --accel kvm --net none -m 64M --cpu "$model" --no-jail \
			--kernel "$GUESTS/cpuid" build/image/container
		echo "$model: $status $output"
		case $model in
		host) [[ $status -le 2 ]] ;;
		x86-64-v2) [[ $status == 1 || $output == *"is no x86-64-v2: CPUID leaf"* ]] ;;
		x86-64-v3) [[ $status == 2 || $output == *"is no x86-64-v3: CPUID leaf"* ]] ;;
		esac
	done
}

# network_guest OPTION...: a guest with a user network that spins, in the background: $kihon, $passt.
network_guest() {
	[[ -e build/image/container/image.json ]] || skip "there is no guest image: make image"
	XDG_RUNTIME_DIR=$BATS_TEST_TMPDIR build/host/bin/kihon boot --vmm builtin --accel kvm -m 64M --net user "$@" \
		--kernel "$GUESTS/spin" build/image/container 2>"$BATS_TEST_TMPDIR/err" 3>&- &
	kihon=$!
	until_true passt_runs
	passt=$(pgrep -P "$kihon" passt) || skip "passt does not run here: $(<"$BATS_TEST_TMPDIR/err")"
	# Once it is closed in, it stays.
	sleep 0.5
	kill -0 "$passt" || skip "passt does not run here: $(<"$BATS_TEST_TMPDIR/err")"
}
# Or nobody waits for it any more.
passt_runs() {
	local p
	! is_gone "$kihon" || return 0
	p=$(pgrep -P "$kihon" passt) && [[ $(readlink "/proc/$p/exe") == *passt* ]]
}

@test "vmm: a user network is passt, which goes with the guest and with kihon" {
	network_guest
	tr '\0' ' ' <"/proc/$passt/cmdline" | grep -e '--address 10.0.2.15 .*--gateway 10.0.2.2 .*--dns-forward 10.0.2.3'
	kill -TERM "$kihon"
	status=0
	wait "$kihon" || status=$?
	[[ $status == 143 ]]
	until_gone "$passt"
	network_guest
	kill -KILL "$kihon"
	until_gone "$passt"
}

@test "vmm: without passt, with one that fails, and when it dies: one line, and the guest is no more" {
	network_guest
	kill -KILL "$passt"
	status=0
	wait "$kihon" || status=$?
	cat "$BATS_TEST_TMPDIR/err"
	[[ $status == 125 && $(<"$BATS_TEST_TMPDIR/err") == "kihon: the guest's network failed: passt was killed by signal 9"* ]]
	mkdir "$BATS_TEST_TMPDIR/bin"
	cp -l "$GUESTS/spin" "$BATS_TEST_TMPDIR/spin" || cp "$GUESTS/spin" "$BATS_TEST_TMPDIR/spin"
	network=(-m 64M --accel kvm --vmm builtin --kernel "$BATS_TEST_TMPDIR/spin" build/image/container)
	PATH=$BATS_TEST_TMPDIR/bin run build/host/bin/kihon boot "${network[@]}"
	[[ $status == 125 && $output == *"passt"*"--net none"* && ${#lines[@]} == 1 ]]
	printf '#!/bin/sh\necho first >&2\necho second >&2\nexit 1\n' >"$BATS_TEST_TMPDIR/bin/passt"
	chmod +x "$BATS_TEST_TMPDIR/bin/passt"
	PATH=$BATS_TEST_TMPDIR/bin run /usr/bin/timeout 100 build/host/bin/kihon boot "${network[@]}"
	echo "$output"
	[[ $status == 125 && $output == *"network failed: passt: first; second" && ${#lines[@]} == 1 ]]
	until_true never pgrep -f "kernel $BATS_TEST_TMPDIR/spin"
}

@test "vmm: kihon killed at random moments leaves no process and no socket" {
	[[ -e build/image/container/image.json ]] || skip "there is no guest image: make image"
	# Others may run the same guest.
	cp "$GUESTS/spin" "$BATS_TEST_TMPDIR/spin"
	for pause in 0.01 0.03 0.05 0.1 0.2; do
		XDG_RUNTIME_DIR=$BATS_TEST_TMPDIR build/host/bin/kihon boot --vmm builtin --accel kvm -m 64M \
			--kernel "$BATS_TEST_TMPDIR/spin" build/image/container 3>&- &
		pid=$!
		sleep "$pause"
		kill -KILL "$pid"
		wait "$pid" || true
	done
	until_true never pgrep -f "kernel $BATS_TEST_TMPDIR/spi[n]"
}
