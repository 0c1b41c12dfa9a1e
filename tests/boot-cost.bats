#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What a boot costs, counted in instructions: nothing here depends on how fast or busy this machine is.

setup_file() {
	export ROOT=$BATS_TEST_DIRNAME/..
	export KERNEL=$ROOT/build/kernel/container
	make -s -C "$ROOT" kernel PROFILE=container >&2
	export IMAGE=$BATS_FILE_TMPDIR/image
	(cd "$ROOT" && build/host/bin/kata-image-tool build --quiet --profile container --offline -o "$IMAGE") >&2
	export COUNTED=$BATS_FILE_TMPDIR/counted.json
	"$ROOT/tests/bench/boot/check" --kernel "$KERNEL" --root "$IMAGE/rootfs.erofs" >"$COUNTED" 2>"$COUNTED.err" || true
}

@test "the agent listens within 1.3 times the boot of a bare init" {
	cat "$COUNTED" "$COUNTED.err"
	jq -e '.ratio >= 1 and .ratio <= 1.3' "$COUNTED"
}

@test "no boot cost grew by more than 1 %" {
	cat "$COUNTED" "$COUNTED.err"
	[ "$(jq .expected "$COUNTED")" != null ] ||
		skip "expected.json has no numbers for this kernel with this QEMU (tests/bench/boot/check --store)"
	jq -e '.grown == []' "$COUNTED"
}

@test "a boot costs the same twice" {
	local first second
	first=$("$ROOT/tests/bench/boot/run" --kernel "$KERNEL/vmlinux" --root "$IMAGE/rootfs.erofs" --until listening)
	second=$("$ROOT/tests/bench/boot/run" --kernel "$KERNEL/vmlinux" --root "$IMAGE/rootfs.erofs" --until listening)
	echo "$first, then $second"
	[ -n "$first" ]
	[ "$first" = "$second" ]
}

@test "a guest that never comes up ends the count in one line, and leaves no machine behind" {
	head -c 2M /dev/zero >"$BATS_TEST_TMPDIR/nothing"
	run "$ROOT/tests/bench/boot/run" --kernel "$KERNEL/vmlinux" --root "$BATS_TEST_TMPDIR/nothing" --timeout 150
	echo "$output"
	[ "$status" -eq 1 ]
	[[ $output == *"never came to the mark 'init'"*panic* ]]
	. "$ROOT/tests/wait.bash"
	until_true never pgrep -f "$BATS_TEST_TMPDIR/nothing"
}
