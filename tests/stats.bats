#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Statistics of guests where there are none to be had; those of guests that run are tested in the nested host
# (tests/nested/steps/stats).

setup_file() {
	ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	make -s -C "$ROOT" build/host/bin/kihon >&2
	export KIHON=$ROOT/build/host/bin/kihon
}

setup() {
	export XDG_RUNTIME_DIR=$BATS_TEST_TMPDIR
}

@test "stats: a guest that does not run here" {
	run "$KIHON" stats abc
	[ "$status" -eq 2 ]
	[ "$output" = "kihon: no guest 'abc' runs here (in $BATS_TEST_TMPDIR/kihon)" ]
	run "$KIHON" stats ../abc
	[ "$status" -eq 2 ]
}

@test "stats: a guest of a monitor that keeps none" {
	mkdir -p -m 700 "$BATS_TEST_TMPDIR/kihon/abcdef012345"
	run "$KIHON" stats --prometheus abcdef012345
	[ "$status" -eq 125 ]
	[ "$output" = "kihon: guest abcdef012345 has no statistics: only the built-in monitor keeps them" ]
}
