#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The built-in monitor with bare-metal guests (tests/vmm) straight on /dev/kvm, PVM included. Linux guests: tests/nested.bats.

setup_file() {
	cd "$BATS_TEST_DIRNAME/.."
	make -s vmm-guests build/host/bin/kihon >&2
}

setup() {
	cd "$BATS_TEST_DIRNAME/.."
	{ : 3<>/dev/kvm; } 2>/dev/null || skip "/dev/kvm cannot be opened"
	GUESTS=build/host/test/vmm
}

# machine GUEST OPTION...
machine() {
	local guest=$1
	shift
	run timeout 60 build/host/bin/vm-run --timeout 30s "$@" "$GUESTS/$guest"
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

@test "vmm: a driver by the book finds the virtio-mmio device, and breaks it and nothing else" {
	machine virtio --jail
	[[ $output == *"virtio: fine"* && $output == *"exit 0" ]]
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
	run timeout 60 build/host/bin/vm-run --timeout 1s --pauses 10 "$GUESTS/spin"
	[[ $output == "spin"* && $output == *"no end in time" ]]
}

@test "vmm: kihon boot --vmm builtin: output, status, one line for what cannot be" {
	kernel=(--accel kvm -m 64M --kernel "$GUESTS/hello")
	[[ -e build/image/container/image.json ]] || skip "there is no guest image: make image"
	run timeout 60 build/host/bin/kihon boot --vmm builtin --verbose "${kernel[@]}" build/image/container
	echo "$output"
	[[ $status == 7 && $output == *"hello: console=ttyS0"* ]]
	run build/host/bin/kihon boot --vmm builtin "${kernel[@]}" --net user build/image/container
	[[ $status == 2 && $output == *"no user network"* && ${#lines[@]} == 1 ]]
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
		run timeout 60 build/host/bin/kihon boot --vmm builtin --accel kvm -m 64M --cpu "$model" --no-jail \
			--kernel "$GUESTS/cpuid" build/image/container
		echo "$model: $status $output"
		case $model in
		host) [[ $status -le 2 ]] ;;
		x86-64-v2) [[ $status == 1 || $output == *"is no x86-64-v2: CPUID leaf"* ]] ;;
		x86-64-v3) [[ $status == 2 || $output == *"is no x86-64-v3: CPUID leaf"* ]] ;;
		esac
	done
}

@test "vmm: kihon killed at random moments leaves no process and no socket" {
	[[ -e build/image/container/image.json ]] || skip "there is no guest image: make image"
	for pause in 0.01 0.03 0.05 0.1 0.2; do
		XDG_RUNTIME_DIR=$BATS_TEST_TMPDIR build/host/bin/kihon boot --vmm builtin --accel kvm -m 64M \
			--kernel "$GUESTS/spin" build/image/container 3>&- &
		pid=$!
		sleep "$pause"
		kill -KILL "$pid"
		wait "$pid" || true
	done
	for _ in {1..50}; do
		pgrep -f "kernel $GUESTS/spi[n]" >/dev/null || return 0
		sleep 0.1
	done
	pgrep -af "kernel $GUESTS/spi[n]"
	return 1
}
