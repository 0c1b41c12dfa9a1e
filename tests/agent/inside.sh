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
. tests/agent/calls.sh

# agent_start [TOML LINE...]: an agent with these settings, ready to be called.
agent_start() {
	local i
	printf '%s\n' "server_addr = \"$SOCKET\"" "$@" >/run/agent.toml
	"$AGENT" --config /run/agent.toml 2>/run/agent.log &
	AGENT_PID=$!
	for ((i = 0; i < 200; i++)); do
		[ -S /run/agent.sock ] && return
		sleep 0.02
	done
	cat /run/agent.log
	return 1
}

# until_count N WORDS FILE: waits until N lines of the file have the words.
until_count() {
	local i
	for ((i = 0; i < 100; i++)); do
		[ "$(grep -c "$2" "$3")" -ge "$1" ] && return
		sleep 0.1
	done
	echo "\"$2\" was not seen $1 times"
	return 1
}

# nothing_left: no process but ours and the agent, no mount, folder or control group of a container.
nothing_left() {
	local left
	left=$(ps -eo pid=,ppid=,args= | awk -v me=$$ -v agent="$AGENT_PID" \
		'$1 != 1 && $1 != me && $1 != agent && $2 == agent')
	[ -z "$left" ] || { echo "processes left: $left"; return 1; }
	if grep -E ' /run/kata-containers/(layers|c[0-9])' /proc/mounts; then echo "mounts left"; return 1; fi
	left=$(find /run/kata-containers -maxdepth 1 -name 'c[0-9]*' 2>/dev/null)
	for i in 1 2 3 4 5 6 7 8 9 10; do # the folder goes in a helper, after the answer
		[ -n "$left" ] || break
		sleep 0.1
		left=$(find /run/kata-containers -maxdepth 1 -name 'c[0-9]*' 2>/dev/null)
	done
	[ -z "$left" ] || { echo "folders left: $left"; return 1; }
	left=$(find /sys/fs/cgroup -type d -path "*/$TAG/c*" 2>/dev/null)
	[ -z "$left" ] || { echo "control groups left: $left"; return 1; }
}

finish() {
	quiet DestroySandbox
	wait "$AGENT_PID"
	find /sys/fs/cgroup -depth -type d -name "$TAG" -exec rmdir {} + 2>/dev/null
	true
}
