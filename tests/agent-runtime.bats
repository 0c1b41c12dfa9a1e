#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A runtime written a second time (tests/agent/runtime.py) drives an agent: in the orders of calls of Kata's Go and
# Rust runtimes, with every method, and as a client that disconnects, is slow, or lies.

load agent/box

setup_file() { box_make; }

setup() {
	box_check
	command -v python3 >/dev/null || skip "python3 is not installed"
}

# runtime WAY: against an agent of its own, which must be as it was; or, where the calls end it, end well.
runtime() {
	inside '
		agent_start
		fds() { ls /proc/$AGENT_PID/fd | wc -l; }
		before=$(fds)
		timeout 250 python3 tests/agent/runtime.py '"$1"' /run/agent.sock "$TREE" "/$TAG" || exit
		for ((i = 0; i < 600; i++)); do
			[ -e /proc/$AGENT_PID/stat ] && [ "$(ps -o stat= -p $AGENT_PID | cut -c1)" != Z ] || break
			[ "'"${2-ends}"'" = ends ] || [ "$(fds)" -gt "$before" ] || break
			sleep 0.1
		done
		if [ "'"${2-ends}"'" = ends ]; then wait $AGENT_PID || exit; else echo "descriptors $before $(fds)"; kill $AGENT_PID; fi
		nothing_left
		find /sys/fs/cgroup -depth -type d -name "$TAG" -exec rmdir {} + 2>/dev/null; true'
}

@test "the calls of the Go runtime" { runtime go; }

@test "the calls of the Rust runtime" { runtime rust; }

@test "a pod of two containers, and a process put into one" { runtime exec; }

@test "every method with a good message" {
	# The clock is the whole machine's.
	printf '#!/bin/sh\nexec setpriv --bounding-set=-sys_time --inh-caps=-sys_time "%s" "$@"\n' "$AGENT" >"$BATS_TEST_TMPDIR/agent"
	chmod 755 "$BATS_TEST_TMPDIR/agent"
	AGENT=$BATS_TEST_TMPDIR/agent runtime good
	has 'good: 44 methods'
}

@test "every method with an empty message, and with hostile ones" {
	printf '#!/bin/sh\nexec setpriv --bounding-set=-sys_time --inh-caps=-sys_time "%s" "$@"\n' "$AGENT" >"$BATS_TEST_TMPDIR/agent"
	chmod 755 "$BATS_TEST_TMPDIR/agent"
	AGENT=$BATS_TEST_TMPDIR/agent runtime hostile stays
	has 'hostile: 546 messages answered'
	read -r _ before after < <(grep ^descriptors <<<"$output")
	[ "$after" -le "$before" ]
}

@test "a client that goes away in the middle" { runtime disconnect; }

@test "a slow client, and one that does not read its answers" { runtime slow; }

@test "a client that lies" { runtime lie; }
