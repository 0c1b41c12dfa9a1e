#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The suites of the agent as a process, once more: built with AddressSanitizer and UndefinedBehaviorSanitizer, and
# under valgrind. A report of theirs is a failure, also where the agent went on.

setup_file() {
	export ROOT=$BATS_TEST_DIRNAME/..
	[ -n "${KIHON_FULL-}" ] || return 0
	nice make -s -C "$ROOT" -j2 ASAN=1 build/asan/bin/kihon-agent >&2
	nice make -s -C "$ROOT" -j2 build/host/bin/kihon-agent >&2
}

setup() {
	[ -n "${KIHON_FULL-}" ] || skip "several minutes: with KIHON_FULL"
	[ "$(id -u)" -eq 0 ] || skip "needs root for namespaces"
	REPORTS=$BATS_TEST_TMPDIR/reports
	mkdir -m 777 "$REPORTS"
	cd "$ROOT" || return
}

# suites AGENT [FILTER]: all of them, or some tests, with this one.
suites() {
	local s failed=0
	chmod 755 "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR"
	for s in agent agent-runtime; do
		KIHON_TEST_AGENT=$1 KIHON_FULL='' bats --tap -f "${2-.}" "tests/$s.bats" >"$BATS_TEST_TMPDIR/$s.tap" </dev/null || failed=1
		grep -A 20 '^not ok' "$BATS_TEST_TMPDIR/$s.tap" || true
	done
	for s in "$REPORTS"/*; do
		# valgrind also tells of system calls that it does not know.
		grep -qE 'ERROR: |runtime error|Invalid |ninitialised|definitely lost' "$s" 2>/dev/null || continue
		head -60 "$s"
		failed=1
	done
	[ "$failed" -eq 0 ]
}

@test "with AddressSanitizer and UndefinedBehaviorSanitizer" {
	export ASAN_OPTIONS=log_path=$REPORTS/asan:detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1:log_path=$REPORTS/ubsan
	suites "$ROOT/build/asan/bin/kihon-agent"
}

@test "under valgrind" {
	command -v valgrind >/dev/null || skip "valgrind is not installed"
	printf '#!/bin/sh\nexec valgrind --quiet --error-exitcode=99 --trace-children=no --child-silent-after-fork=yes %s "%s" "$@"\n' \
		"--leak-check=full --show-leak-kinds=definite --log-file=$REPORTS/valgrind.%p" \
		"$ROOT/build/host/bin/kihon-agent" >"$BATS_TEST_TMPDIR/by-valgrind"
	chmod 755 "$BATS_TEST_TMPDIR/by-valgrind"
	# What helpers mount with, Debian's valgrind does not know: no containers.
	suites "$BATS_TEST_TMPDIR/by-valgrind" 'health, version|every method of the protocol|hostile'
}
