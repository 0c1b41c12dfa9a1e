#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The static checks of `make lint`, one test.

@test "make lint finds nothing" {
	run make -s lint
	echo "$output"
	[ "$status" -eq 0 ]
	! grep -q '^not ok' <<<"$output"
}
