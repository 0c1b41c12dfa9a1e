# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What runs inside the private namespaces of tests/agent.bats: starts an agent and talks to it. What
# goes over the wire is encoded and decoded by protoc. Expects ROOT (the project), TREE (a root file
# system with busybox), AGENT (the program) and TAG (names its control groups).
set -u
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs /run
ip link set lo up
PROTO=lib/rpc/proto/agent.proto
SOCKET=unix:///run/agent.sock
cd "$ROOT" || exit 1

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

# types METHOD: its request and answer types, from the .proto itself.
types() {
	sed -nE "s/^\trpc $1\((\S+)\) returns \((\S+)\);/\1 \2/p" $PROTO | sed -E 's/(^| )([A-Z])/\1grpc.\2/g'
}

# call METHOD [TEXT [TIMEOUT_MS]]: makes a call, prints the answer as text. Status as agent-client's.
call() {
	local method=$1 text=${2-} ms=${3-0} request answer status out
	read -r request answer < <(types "$method")
	out=$(mktemp)
	printf '%s' "$text" | protoc --encode="$request" $PROTO |
		build/host/bin/agent-client $SOCKET grpc.AgentService "$method" "$ms" >"$out"
	status=${PIPESTATUS[2]}
	[ "$status" -ne 0 ] || protoc --decode="$answer" $PROTO <"$out"
	rm -f "$out"
	return "$status"
}

# quiet METHOD ...: the same, without the answer.
quiet() { call "$@" >/dev/null; }

# sandbox: the call with which a Kata 3.5.0 runtime begins.
sandbox() {
	quiet CreateSandbox 'sandbox_id: "c2" storages { driver: "ephemeral" source: "shm" fstype: "tmpfs"
		options: "noexec" options: "nosuid" options: "nodev" options: "mode=1777" options: "size=67108864"
		mount_point: "/run/kata-containers/sandbox/shm" }'
}

# container ID [-t] [-e FIELDS] COMMAND...: CreateContainer. Resources are left out: the control groups
# of a build machine are not ours to limit.
container() {
	local id=$1 terminal='' extra='' args='' w
	shift
	if [ "${1-}" = -t ]; then terminal='Terminal: true'; shift; fi
	if [ "${1-}" = -e ]; then extra=$2; shift 2; fi
	for w in "$@"; do args+=" Args: \"$(printf '%s' "$w" | sed 's/["\\]/\\&/g')\""; done
	quiet CreateContainer "container_id: \"$id\" exec_id: \"$id\" $extra OCI {
		Version: \"1.0.2-dev\"
		Process { $terminal User {} $args Env: \"PATH=/bin\" Cwd: \"/\" }
		Root { Path: \"$TREE\" }
		Mounts { destination: \"/proc\" source: \"proc\" type: \"proc\" options: \"nosuid\" }
		Mounts { destination: \"/dev\" source: \"tmpfs\" type: \"tmpfs\" options: \"mode=755\" }
		Mounts { destination: \"/dev/pts\" source: \"devpts\" type: \"devpts\" options: \"newinstance\" options: \"ptmxmode=0666\" }
		Linux { CgroupsPath: \"/$TAG/$id\"
			Namespaces { Type: \"ipc\" } Namespaces { Type: \"uts\" } Namespaces { Type: \"mount\" } } }"
}

start() { quiet StartContainer "container_id: \"$1\""; }
remove() { quiet RemoveContainer "container_id: \"$1\""; }

# output ID [stderr [EXEC_ID]]: everything up to the end of the stream.
output() {
	local method=ReadStdout err=/run/output.$BASHPID text
	[ "${2-}" = stderr ] && method=ReadStderr
	printf 'container_id: "%s" exec_id: "%s" len: 32768' "$1" "${3-}" |
		protoc --encode=grpc.ReadStreamRequest $PROTO |
		build/host/bin/agent-client --drain $SOCKET grpc.AgentService $method 2>"$err"
	text=$(<"$err")
	rm -f "$err"
	case $text in '' | 'INTERNAL: read meet eof') ;; *) echo "output: $text" >&2; return 1 ;; esac
}

# wait_exit ID [EXEC_ID]: prints the exit status.
wait_exit() {
	local text
	text=$(call WaitProcess "container_id: \"$1\" exec_id: \"${2-}\"") || return
	echo "${text#status: }" | sed 's/^$/0/'
}

# run_all ID [-t] [-e FIELDS] COMMAND...: a whole life; output, then "exit N".
run_all() {
	local id=$1
	container "$@" && start "$id" && output "$id" && echo "exit $(wait_exit "$id")" && remove "$id"
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
