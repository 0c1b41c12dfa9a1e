# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What runs inside the private namespaces of tests/agent.bats: starts an agent and talks to it (calls.sh).
# Expects ROOT (the project), TREE (a root file system with busybox), AGENT (the program) and TAG (names its
# control groups).
set -u
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs /run
ip link set lo up
SOCKET=unix:///run/agent.sock
cd "$ROOT" || exit 1
. tests/wait.bash
. tests/agent/calls.sh

# agent_start [TOML LINE...]: an agent with these settings, ready to be called.
agent_start() {
	local i
	printf '%s\n' "server_addr = \"$SOCKET\"" "$@" >/run/agent.toml
	"$AGENT" --config /run/agent.toml 2>/run/agent.log &
	AGENT_PID=$!
	for ((i = 0; i < 3000; i++)); do
		listens && return
		kill -0 "$AGENT_PID" 2>/dev/null || break
		sleep 0.02
	done
	cat /run/agent.log
	return 1
}

# A socket file is there before anybody may connect to it: SO_ACCEPTCON of unix(7) is flag 10000.
listens() { grep -qE ' 00010000 0001 01 .* /run/agent.sock$' /proc/net/unix; }

# until_count N WORDS FILE: waits until N lines of the file have the words.
until_count() { until_true has_lines "$@"; }
has_lines() { [ "$(grep -c "$2" "$3")" -ge "$1" ]; }

# nothing_left: soon there is no process of the agent's, no mount, folder or control group of a container: some of it goes
# in a helper, after the answer.
nothing_left() {
	until_true is_nothing_left >/dev/null || { echo "left: $(leavings)"; return 1; }
}
is_nothing_left() { [ -z "$(leavings)" ]; }
leavings() {
	ps -eo pid=,ppid=,args= | awk -v agent="$AGENT_PID" '$2 == agent { print "process", $0 }'
	grep -E ' /run/kata-containers/(layers|c[0-9])' /proc/mounts
	find /run/kata-containers -maxdepth 1 -name 'c[0-9]*' 2>/dev/null
	find /sys/fs/cgroup -type d -path "*/$TAG/c*" 2>/dev/null
}

# settled COMMAND...: what it prints, once that is the same three times in a row.
settled() {
	local i now before='' same=0
	for ((i = 0; i < 300 && same < 2; i++)); do
		now=$("$@")
		[ "$now" = "$before" ] && same=$((same + 1)) || same=0
		before=$now
		sleep 0.1
	done
	echo "$now"
}
agent_fds() { ls "/proc/$AGENT_PID/fd" | wc -l; }

finish() {
	quiet DestroySandbox
	wait "$AGENT_PID"
	find /sys/fs/cgroup -depth -type d -name "$TAG" -exec rmdir {} + 2>/dev/null
	true
}
