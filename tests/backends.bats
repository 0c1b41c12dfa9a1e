#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What a user can rely on whatever runs a guest: tests/backends/cases.sh with QEMU here; the same file runs with the
# built-in monitor in the nested host (tests/nested/steps/long-backends-*).

setup_file() {
	cd "$BATS_TEST_DIRNAME/.."
	make -s kernel PROFILE=unikernel-net >&2
	make -s kernel PROFILE=container >&2
	make -s guest build/host/bin/kihon build/host/bin/kata-image-tool build/image/container/image.json >&2
	export FILES=$BATS_FILE_TMPDIR/files RESULT=$BATS_FILE_TMPDIR/tap CONTAINER=$PWD/build/image/container
	mkdir "$FILES"
	tests/nested/make-backends "$FILES" >&2
	. tests/registry.bash
	registry_start "$BATS_FILE_TMPDIR/registry"
	registry_push_busybox busybox:1
	export REGISTRY_PID REGISTRY_DIR
	export KIHON=$PWD/build/host/bin/kihon XDG_RUNTIME_DIR=$BATS_FILE_TMPDIR OPTIONS="--accel tcg"
	export REGISTRY=10.0.2.2:$REGISTRY_PORT CA=$REGISTRY_CA
	# Two at a time, each with files of its own: a case looks for what is left of its guest by their names.
	cp -rl "$FILES" "$FILES-b"
	mkdir "$BATS_FILE_TMPDIR"/{a,b}
	(cd "$BATS_FILE_TMPDIR/b" && sh "$FILES-b/cases.sh" qemu "$FILES-b" ends files only >"$RESULT-b" 2>&1 3>&- || true) &
	(cd "$BATS_FILE_TMPDIR/a" && sh "$FILES/cases.sh" qemu "$FILES" program run >"$RESULT" 2>&1 3>&- || true)
	wait $!
	cat "$RESULT-b" >>"$RESULT"
	cat "$RESULT" >&2
}

teardown_file() {
	. "$BATS_TEST_DIRNAME/registry.bash"
	registry_stop
}

# well NAME...: these cases ended well, and were not skipped.
well() {
	local name
	cat "$RESULT"
	for name; do
		grep -q "^ok [0-9]* $name$" "$RESULT"
	done
}

@test "qemu: a program's end and output" { well status killed out_of_memory output words no_program verbose; }
@test "qemu: a machine's size, and what is none" { well cpus memory wrong_cpus wrong_memory; }
@test "qemu: with a network and without" { well net_none net_user; }
@test "qemu: the ends of a guest" { well off reset panic timeout interrupt monitor_killed kihon_killed; }
@test "qemu: kernels and images that are none" {
	well kernel_absent kernel_folder kernel_empty kernel_text kernel_cut bzimage_cut initrd_absent image_absent image_cut
}
@test "qemu: a multiboot kernel" { well multiboot; }
@test "qemu: containers" { well run_streams run_no_program run_no_image run_out_of_memory; }
@test "qemu: what only one back end has is said" { well stats machine cpu_model; }

# Any KVM does for what needs no Linux, PVM included.
@test "builtin: ends, a multiboot kernel, kernels and images that are none" {
	{ : 3<>/dev/kvm; } 2>/dev/null || skip "/dev/kvm cannot be opened"
	cd "$BATS_TEST_TMPDIR"
	BARE=1 OPTIONS="--accel kvm" run sh "$FILES/cases.sh" builtin "$FILES" files timeout interrupt monitor_killed kihon_killed wrong_cpus wrong_memory
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "every case is looked at above" {
	[ "$(grep -c '^ok' "$RESULT")" -eq "$(grep -oE '\bwell [a-z_ ]+' "$BATS_TEST_FILENAME" | sed 's/well//' | wc -w)" ]
	[ "$(grep -c '^1\.\.[1-9]' "$RESULT")" -eq 2 ]
	! grep -q '^not ok' "$RESULT"
}
