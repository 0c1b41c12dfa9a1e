#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Cycles of create, start, exec, kill, delete, through the agent and through kihon-oci: nothing grows. `make soak`
# makes 10,000 of each and prints the table (build/test-results/soak.tap); `make check` makes a few.

load agent/box

setup_file() {
	box_make build/host/bin/agent-soak build/host/bin/kihon-oci
	export CYCLES=50
	[ -z "${KIHON_SOAK-}" ] || CYCLES=${KIHON_SOAK_CYCLES-10000}
}

setup() { box_check; }

# Rows of numbers under one heading: what the last has, the first has too, but for some KiB of memory.
no_growth() {
	local first last i
	mapfile -t rows < <(grep -E '^ *[0-9]+( +[0-9]+){4,}$' <<<"$output")
	[ "${#rows[@]}" -ge 3 ] || return 1
	[ -z "${KIHON_SOAK-}" ] || sed 's/^/# /' <<<"$output" >&3
	read -ra first <<<"${rows[0]}"
	read -ra last <<<"${rows[-1]}"
	[ "${last[1]}" -le $((first[1] + 64)) ] || return 1
	for ((i = 2; i < ${#first[@]}; i++)); do
		[ "${last[i]}" -le "${first[i]}" ] || return 1
	done
}

# What every row begins with, and what it counts of the machine.
LOOK='
	root=$(awk "\$3 == \"cgroup2\" { print \$2; exit }" /proc/mounts)
	machine() { echo "$(wc -l </proc/mounts) $(find "$root/$TAG" -type d 2>/dev/null | wc -l) $(ps -e -o stat= | wc -l)"; }'

@test "the agent" {
	inside "$LOOK"'
		agent_start
		sandbox
		now() { echo "$(awk "/^Anonymous:/ { print \$2 }" /proc/$AGENT_PID/smaps_rollup) $(agent_fds) $(machine)"; }
		row() { printf "%7s %9s %11s %6s %6s %9s\n" "$1" $(settled now); }
		go() { build/host/bin/agent-soak cycles $SOCKET $TREE $TAG "$1" >/dev/null || exit; }
		printf "%7s %9s %11s %6s %6s %9s\n" cycles "anon/KiB" descriptors mounts groups processes
		go 30; row 30
		for i in 1 2 3 4 5; do go $((CYCLES / 5)); row $((30 + CYCLES / 5 * i)); done
		nothing_left || exit
		finish' 3600
	no_growth
}

@test "kihon-oci" {
	inside "$LOOK"'
		mkdir /run/bundle
		oci=build/host/bin/kihon-oci
		$oci spec -b /run/bundle
		jq --arg root "$TREE" --arg group "/$TAG/soak" ".process.args = [\"/bin/sleep\", \"1000\"] | .process.terminal = false |
			.root = {path: \$root} | .linux.cgroupsPath = \$group | del(.linux.resources)" /run/bundle/config.json >/run/c &&
			mv /run/c /run/bundle/config.json
		once() { $oci create -b /run/bundle soak </dev/null >/dev/null && $oci start soak && $oci exec soak /bin/true &&
			$oci kill soak KILL && $oci delete --force soak; }
		go() { local i; for ((i = 0; i < $1; i++)); do once || { echo "failed in cycle $i"; exit 1; }; done; }
		now() { echo "$(find /run -xdev | wc -l) $(machine)"; }
		row() { printf "%7s %9s %11s %6s %6s %9s\n" "$1" 0 $(settled now); }
		printf "%7s %9s %11s %6s %6s %9s\n" cycles "anon/KiB" "files/run" mounts groups processes
		go 5; row 5
		for i in 1 2 3 4 5; do go $((CYCLES / 5)); row $((5 + CYCLES / 5 * i)); done
		find "$root/$TAG" -depth -type d -exec rmdir {} + 2>/dev/null; true' 3600
	no_growth
}
