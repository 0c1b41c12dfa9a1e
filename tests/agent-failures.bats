#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The agent when something is missing: memory, descriptors, processes, room on a disk, or a helper that is
# killed, at every step of a container's life (tests/agent/agent-inject.c). The answer is an error, nothing is
# left behind, the next request is served. With KIHON_FULL every step, else some.

load agent/box

setup_file() {
	box_make build/host/bin/agent-inject build/host/bin/kihon-agent-inject
	# How far the steps that are tried are apart.
	export STEP=7
	[ -z "${KIHON_FULL-}" ] || STEP=1
}

setup() { box_check; }

# failures WAY SCENARIO STEP MODE...
failures() {
	local way=$1 name=$2 step=$3
	shift 3
	inside ". tests/agent/inject.sh
		bad=0
		for m in $*; do inject $way $name \$m 1 $step || bad=1; done
		exit \$bad" 1200
	[ "$(grep -c "^$name .* 0 bad$" <<<"$output")" -eq $# ]
	hasnt ' 0 points'
}

@test "a container's life without memory, descriptors or processes" {
	failures same container "$STEP" memory files
	failures same container 1 fork
}

@test "a container's life on a full disk" {
	failures same container 1 disk disk-on
}

@test "a container's life while its helpers fail" {
	failures same container "$STEP" helper-memory helper-files helper-disk
}

@test "a container's life while its helpers are killed" {
	failures same container $((STEP * 6 - 5)) helper-kill
}

@test "the pulling of an image" {
	failures same image "$STEP" memory files helper-memory helper-files
	failures same image 1 fork disk
	failures same image $((STEP * 6 - 5)) helper-kill
}

@test "the other calls" {
	failures same calls "$STEP" memory files helper-memory helper-files
	failures same calls 1 fork disk
	failures same calls $((STEP * 2 - 1)) helper-kill
}

@test "the making of a sandbox" {
	failures fresh sandbox "$STEP" memory files helper-memory helper-files
	failures fresh sandbox 1 fork
	failures fresh sandbox "$STEP" helper-disk
	failures fresh sandbox $((STEP * 2 - 1)) helper-kill
}

@test "the start of the agent: it serves, or it ends with a line" {
	failures start start $((STEP / 2 + 1)) memory files
}

@test "what is missing stays missing for a while" {
	[ -n "${KIHON_FULL-}" ] || skip "each step waits for a time limit: with KIHON_FULL"
	failures same container 1 fork-on
	failures same container 3 files-on
	failures same container 5 memory-on
}
