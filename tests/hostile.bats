#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Guests that break the rules of the built-in monitor's devices (tests/vmm/hostile.c): the process stays healthy, its memory
# bounded, its end clean. KIHON_FULL: longer.

setup_file() {
	cd "$BATS_TEST_DIRNAME/.."
	make -s vmm-guests build/host/bin/kihon >&2
}

setup() {
	cd "$BATS_TEST_DIRNAME/.."
	{ : 3<>/dev/kvm; } 2>/dev/null || skip "/dev/kvm cannot be opened"
	. tests/wait.bash
	GUEST=build/host/test/vmm/hostile
	truncate -s 4M "$BATS_TEST_TMPDIR/disk" "$BATS_TEST_TMPDIR/image"
}

# machine OPTION...: 64 MiB of memory; all that the monitor may have beside it is 256 MiB of addresses.
machine() {
	(
		ulimit -v $(((64 + 256) * 1024))
		exec timeout 300 build/host/bin/vm-run --jail --timeout 280s --memory 64M --disk "$BATS_TEST_TMPDIR/disk" \
			--pmem "$BATS_TEST_TMPDIR/image" --vsock "$BATS_TEST_TMPDIR/vsock" "$@" "$GUEST"
	)
}

# survives WAY...: the guest ends by itself, after it found the devices answering.
survives() {
	local way
	for way; do
		rm -f "$BATS_TEST_TMPDIR/vsock"
		run machine --cmdline "$way ${KIHON_FULL:+2000}"
		echo "$way: $status $output"
		[[ $status == 0 && $output == *"hostile: alive"*"vm-run: exit 0" ]]
	done
}

@test "hostile: requests that change while the device reads them" {
	survives scribble scribble-rng scribble-vsock scribble-pmem
}

@test "hostile: chains that loop, tables in tables, addresses of devices, of read-only images, of nothing" {
	survives wild wild-vsock wild-pmem wild-rng
}

@test "hostile: sizes that no queue has, queues switched under load, resets during requests" {
	survives sizes resets
}

@test "hostile: the rings as the place of the data" {
	survives own-rings own-rings-rng
}

@test "hostile: packets for everybody, more entropy than there is, interrupts of all kinds" {
	survives packets entropy interrupts
}

@test "hostile: configuration space, while the machine is paused again and again" {
	survives config config-vsock
	rm "$BATS_TEST_TMPDIR/vsock"
	run machine --cmdline "config 500" --pauses 20
	echo "$output"
	[[ $status == 0 && $output == *"hostile: alive"* ]]
}

@test "hostile: what kihon gives a guest: balloon, memory that grows, console, empty slots" {
	[[ -e build/image/container/image.json ]] || skip "there is no guest image: make image"
	local way rounds=20
	[[ -z ${KIHON_FULL-} ]] || rounds=1000
	for way in wild-mem plug wild-balloon scribble-balloon config-balloon wild-console scribble-console config-console packets; do
		XDG_RUNTIME_DIR=$BATS_TEST_TMPDIR run timeout 300 build/host/bin/kihon boot --vmm builtin --accel kvm --net none -m 64M \
			--memory-max 128M --balloon --console hvc0 --slots 2 --kernel "$GUEST" --append "$way $rounds" build/image/container
		echo "$way: $status $output"
		[[ $status == 0 && $output == "" ]]
		[[ ! -d $BATS_TEST_TMPDIR/kihon || -z $(ls "$BATS_TEST_TMPDIR/kihon") ]]
	done
}

@test "hostile: rings in an image that is attached and detached" {
	[[ -e build/image/container/image.json ]] || skip "there is no guest image: make image"
	export XDG_RUNTIME_DIR=$BATS_TEST_TMPDIR
	# Descriptors: 64 bytes at 16 MiB, to be written.
	printf '\0\0\0\1\0\0\0\0\100\0\0\0\2\0\0\0%.0s' {1..65536} >"$BATS_TEST_TMPDIR/rings"
	timeout 100 build/host/bin/kihon boot --vmm builtin --accel kvm --net none -m 64M --slots 2 --verbose --kernel "$GUEST" \
		--append "image-rings 15" build/image/container >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	local pid=$! i name status=0
	until_true eval 'name=$(ls "$BATS_TEST_TMPDIR/kihon" 2>/dev/null) && build/host/bin/kihon volume ls "$name" >/dev/null 2>&1'
	for i in 1 2 3 4 5; do
		# Nobody answers there, and so the guest is not told.
		timeout 100 build/host/bin/kihon volume attach --pmem --id "v$i" "$name" "$BATS_TEST_TMPDIR/rings" || break
		timeout 100 build/host/bin/kihon volume detach --force "$name" "v$i" || break
	done
	wait "$pid" || status=$?
	cat "$BATS_TEST_TMPDIR/out"
	echo "$i attached, status $status"
	[[ $i -ge 2 && $status == 0 && $(<"$BATS_TEST_TMPDIR/out") == *"hostile: alive"* ]]
}

@test "hostile: two processors at the same registers, with interrupts for each other, and pauses" {
	GUEST=build/host/test/vmm/crowd
	run machine --cpus 2 --pauses 10
	echo "$output"
	[[ $output != *"crowd: alone"* ]] || skip "no second processor starts on this KVM"
	[[ $status == 0 && $output == *"crowd: alive"*"vm-run: exit 0" ]]
}

@test "hostile: a console that nobody reads keeps neither the guest nor its end" {
	mkfifo "$BATS_TEST_TMPDIR/pipe"
	exec 4<>"$BATS_TEST_TMPDIR/pipe"
	machine --cmdline console >&4 2>"$BATS_TEST_TMPDIR/err"
	exec 4>&-
	cat "$BATS_TEST_TMPDIR/err"
	[[ $(<"$BATS_TEST_TMPDIR/err") == "vm-run: exit 0" ]]
}

@test "hostile: a saved machine whose file was changed is refused in one line" {
	local machine=(--memory 32M --disk "$BATS_TEST_TMPDIR/disk") saved=$BATS_TEST_TMPDIR/saved at size
	timeout 200 build/host/bin/vm-run --save "$saved" "${machine[@]}" build/host/test/vmm/spin >"$BATS_TEST_TMPDIR/out" 3>&- &
	until_true test -s "$BATS_TEST_TMPDIR/out"
	kill -USR1 "$(pgrep -P $! vm-run)"
	wait $!
	size=$(stat -c %s "$saved.state")
	run timeout 100 build/host/bin/vm-run --restore "$saved" --timeout 100ms "${machine[@]}" build/host/test/vmm/spin
	echo "$output"
	[[ $output == "vm-run: failed: no end in time" ]]
	cp "$saved.state" "$saved.whole"
	for ((at = 0; at < size; at += size / 40)); do
		cp "$saved.whole" "$saved.state"
		printf "\\x$(printf %x $(($(od -An -tu1 -j "$at" -N 1 "$saved.state") ^ 16)))" |
			dd of="$saved.state" bs=1 seek="$at" conv=notrunc status=none
		run timeout 100 build/host/bin/vm-run --restore "$saved" --timeout 100ms "${machine[@]}" build/host/test/vmm/spin
		echo "$at: $status $output"
		[[ $status == 125 && ${#lines[@]} == 1 && $output == *snapshot* ]]
	done
}
