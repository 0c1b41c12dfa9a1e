#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# kihon-oci against the clauses of the OCI runtime specification: tests/oci/validation, whose cases are those of
# opencontainers/runtime-tools' validation programs and more. With KIHON_FULL the runtimes of the machine are
# measured too, and no case may pass with crun alone. The programs themselves are in no Debian package
# (golang-github-opencontainers-runtime-tools-dev has the libraries only): to run them as well, build a checkout
# (golang-go; make runtimetest validation-executables) and name it in KIHON_RUNTIME_TOOLS.

bats_require_minimum_version 1.5.0

setup_file() {
	make -s -C "$BATS_TEST_DIRNAME/.." build/guest/bin/kihon-oci >&2
}

setup() {
	cd "$BATS_TEST_DIRNAME/.." || return
	[ "$(id -u)" = 0 ] || skip "needs root"
	[ -x /bin/busybox ] || skip "needs busybox-static"
	unshare -m sh -c 'umount -R /sys/fs/cgroup 2>/dev/null; mount -t cgroup2 cgroup2 /sys/fs/cgroup' 2>/dev/null || skip "no cgroup2 here"
}

@test "every clause holds" {
	env -u KIHON_RUNTIME_TOOLS tests/oci/validation build/guest/bin/kihon-oci >"$BATS_TEST_TMPDIR/tap" 2>/dev/null ||
		{ grep -A 3 '^not ok' "$BATS_TEST_TMPDIR/tap"; false; }
	[ "$(grep -c '^ok' "$BATS_TEST_TMPDIR/tap")" -ge 70 ]
}

@test "no case passes with crun and fails here" {
	[ -n "${KIHON_FULL-}" ] || skip "set KIHON_FULL for the comparison"
	command -v crun >/dev/null || skip "no crun"
	env -u KIHON_RUNTIME_TOOLS tests/oci/validation crun build/guest/bin/kihon-oci >/dev/null 2>"$BATS_TEST_TMPDIR/table" || true
	run grep -E '^[^ ]+ +pass +FAIL' "$BATS_TEST_TMPDIR/table"
	[ -z "$output" ]
	[ "$(grep -cE '^[^ ]+ +(pass|FAIL|skip) +pass' "$BATS_TEST_TMPDIR/table")" -ge 70 ]
}

@test "the harness sees a runtime that does nothing" {
	printf '#!/bin/sh\nexit 0\n' >"$BATS_TEST_TMPDIR/nothing"
	chmod +x "$BATS_TEST_TMPDIR/nothing"
	for name in create hooks_stdin process_user mounts linux_masked_paths linux_ns_fail; do
		run tests/oci/validation --only "$name" "$BATS_TEST_TMPDIR/nothing"
		[ "$status" -eq 1 ]
		[[ "$output" == *"not ok 1 $name"* ]]
	done
}

@test "the programs of runtime-tools" {
	[ -n "${KIHON_RUNTIME_TOOLS-}" ] || skip "KIHON_RUNTIME_TOOLS names no built checkout (they are in no Debian package)"
	tests/oci/validation build/guest/bin/kihon-oci crun 2>&1 >/dev/null | grep '^runtime-tools' >"$BATS_TEST_TMPDIR/table"
	cat "$BATS_TEST_TMPDIR/table"
	run grep -E 'FAIL +pass' "$BATS_TEST_TMPDIR/table"
	[ -z "$output" ]
}
