#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# 50 machines of the built-in monitor at once, in the nested host (tests/nested/steps/long-fifty). Only for `make soak`
# (KIHON_SOAK): an emulated processor takes minutes to boot them.

@test "50 machines answer, half of them is killed, nothing is left" {
	[ -n "${KIHON_SOAK-}" ] || skip "make soak makes 50 machines"
	cd "$BATS_TEST_DIRNAME/.."
	command -v qemu-system-x86_64 >/dev/null || skip "qemu-system-x86_64 is missing"
	make -s nested >&2
	: >"$BATS_TEST_TMPDIR/soak"
	run tests/nested/run --only long-fifty --memory 3072 --timeout 3200 --add "$BATS_TEST_TMPDIR/soak"
	sed 's/^/# /' <<<"$output" >&3
	[ "$status" -eq 0 ]
	[[ "$output" == *"ok 1 long-fifty"*"nothing is left"* ]]
}
