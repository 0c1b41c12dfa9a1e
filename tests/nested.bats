#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The built-in VMM under KVM, in an emulated host: the short steps of tests/nested (make check-nested has all).

setup_file() {
	cd "$BATS_TEST_DIRNAME/.."
	export CONSOLE=$BATS_FILE_TMPDIR/console RESULT=$BATS_FILE_TMPDIR/tap
	make -s nested >&2
	local all=
	[ -z "$KIHON_FULL" ] || all=--all
	# An emulated machine on a loaded host may lose a timer interrupt: docs/kernel.md.
	tests/nested/run $all --log "$CONSOLE" >"$RESULT" 2>&1 || grep -q '^1\.\.' "$RESULT" ||
		tests/nested/run $all --log "$CONSOLE" >"$RESULT" 2>&1 || true
	cat "$RESULT" >&2
}

# Every step of a group came out well, or was skipped for a reason that is shown.
@test "nested: the host came up and ran every step" {
	cat "$RESULT"
	grep -q '^1\.\.[1-9]' "$RESULT"
	grep -q '^ok [0-9]* kvm-hello$' "$RESULT"
}

@test "nested: the jail, whole, with static programs" {
	cat "$RESULT"
	grep -q '^ok [0-9]* jail$' "$RESULT"
}

@test "nested: no step failed" {
	grep -A 60 '^not ok' "$RESULT" && return 1
	return 0
}

@test "a program that is missing, and a wrong option, are one line" {
	cd "$BATS_TEST_DIRNAME/.."
	run tests/nested/run --bogus
	[ "$status" -eq 2 ] && [ "${#lines[@]}" -eq 1 ]
	run tests/nested/run --only no-such-step
	[ "$status" -eq 1 ] && [ "${#lines[@]}" -eq 1 ]
}
