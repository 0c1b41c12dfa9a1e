# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Calls to an agent for shell tests, in the working folder of the project. What goes over the wire is encoded and
# decoded by protoc. Expects SOCKET (the agent's address), TREE (a root file system with busybox, as the agent sees
# it) and TAG (names the control groups of its containers).
PROTO=lib/rpc/proto/agent.proto

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

# container ID [OPTION...] COMMAND...: CreateContainer. -t: a terminal; -e, -p, -s, -l FIELDS: further fields of the
# request, of the process, of the specification, of its Linux part; -r PATH: another root than $TREE. Resources are left
# out: the control groups of a build machine are not ours to limit.
container() {
	local id=$1 terminal='' request='' process='' spec='' linux='' root=$TREE args='' OPTIND=1 o
	shift
	while getopts te:p:s:l:r: o; do
		case $o in
		t) terminal='Terminal: true' ;;
		e) request=$OPTARG ;;
		p) process=$OPTARG ;;
		s) spec=$OPTARG ;;
		l) linux=$OPTARG ;;
		r) root=$OPTARG ;;
		*) return 1 ;;
		esac
	done
	shift $((OPTIND - 1))
	quiet CreateContainer "container_id: \"$id\" exec_id: \"$id\" $request OCI {
		Version: \"1.0.2-dev\"
		Process { $terminal User {} $(words "$@") Env: \"PATH=/bin\" Cwd: \"/\" $process }
		Root { Path: \"$root\" }
		Mounts { destination: \"/proc\" source: \"proc\" type: \"proc\" options: \"nosuid\" }
		Mounts { destination: \"/dev\" source: \"tmpfs\" type: \"tmpfs\" options: \"mode=755\" }
		Mounts { destination: \"/dev/pts\" source: \"devpts\" type: \"devpts\" options: \"newinstance\" options: \"ptmxmode=0666\" }
		$spec
		Linux { CgroupsPath: \"/$TAG/$id\" $linux
			Namespaces { Type: \"ipc\" } Namespaces { Type: \"uts\" } Namespaces { Type: \"mount\" } } }"
}

# words WORD...: as the Args of a process.
words() {
	local w
	for w in "$@"; do
		w=${w//\\/\\\\}
		w=${w//\"/\\\"}
		printf ' Args: "%s"' "${w//$'\n'/\\n}"
	done
}

# exec_in ID EXEC_ID COMMAND...: ExecProcess.
exec_in() {
	quiet ExecProcess "container_id: \"$1\" exec_id: \"$2\" process { User {} $(words "${@:3}") Env: \"PATH=/bin\" Cwd: \"/\" }"
}

start() { quiet StartContainer "container_id: \"$1\""; }
remove() { quiet RemoveContainer "container_id: \"$1\""; }

# output ID [stderr [EXEC_ID]]: everything up to the end of the stream.
output() {
	local method=ReadStdout err text
	err=$(mktemp)
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

# run_all ID [OPTION...] COMMAND...: a whole life; output, then "exit N".
run_all() {
	local id=$1
	container "$@" && start "$id" && output "$id" && echo "exit $(wait_exit "$id")" && remove "$id"
}
