# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The calls that agent-inject repeats with failures, beside inside.sh: each function fills a folder with
# setup/, run/ and undo/ (see agent-inject.c).
INJECTED=build/host/bin/kihon-agent-inject

# request FILE TEXT: the request of the method that FILE (NN-METHOD[@MS]) names.
request() {
	local method=${1##*/} type
	method=${method#*-}
	read -r type _ < <(types "${method%@*}")
	mkdir -p "${1%/*}"
	printf '%s' "$2" | protoc --encode="$type" $PROTO >"$1"
}

# process WORDS...: the fields of a Process.
words() {
	local w
	for w in "$@"; do printf ' Args: "%s"' "$w"; done
}

SHM='driver: "ephemeral" source: "shm" fstype: "tmpfs" options: "mode=1777" options: "size=1048576"'

setup_sandbox() {
	request "$1/setup/01-CreateSandbox" "sandbox_id: \"sb\" storages { $SHM mount_point: \"/run/kata-containers/sandbox/shm\" }"
}

# create_text EXTRA ROOT WORDS...: CreateContainer of c1.
create_text() {
	local extra=$1 root=$2
	shift 2
	printf '%s' "container_id: \"c1\" $extra OCI { Version: \"1.0.2\"
		Process { User {} $(words "$@") Env: \"PATH=/bin\" Cwd: \"/\" Capabilities { Bounding: \"CAP_KILL\" } Rlimits { Type: \"RLIMIT_NOFILE\" Hard: 64 Soft: 64 } }
		Root { Path: \"$root\" }
		Mounts { destination: \"/proc\" source: \"proc\" type: \"proc\" options: \"nosuid\" }
		Mounts { destination: \"/dev\" source: \"tmpfs\" type: \"tmpfs\" options: \"mode=755\" }
		Mounts { destination: \"/dev/pts\" source: \"devpts\" type: \"devpts\" options: \"newinstance\" options: \"ptmxmode=0666\" }
		Mounts { destination: \"/run\" source: \"/run/kata-containers/sandbox/shm\" type: \"bind\" options: \"rbind\" }
		Annotations { key: \"a\" value: \"b\" }
		Linux { CgroupsPath: \"/$TAG/c1\" MaskedPaths: \"/proc/kcore\" ReadonlyPaths: \"/proc/sys\"
			Namespaces { Type: \"ipc\" } Namespaces { Type: \"uts\" } Namespaces { Type: \"mount\" } } }"
}

# A whole life with storages, a second process, and a terminal.
scenario_container() {
	local d=$1/run c='container_id: "c1"'
	setup_sandbox "$1"
	request "$d/01-CreateContainer" "$(create_text "
		storages { $SHM mount_point: \"/run/e\" }
		storages { driver: \"local\" options: \"mode=0750\" mount_point: \"/run/kata-containers/local\" }" "$TREE" sleep 1000)"
	request "$d/02-StartContainer" "$c"
	request "$d/03-ExecProcess" "$c exec_id: \"e1\" process { Args: \"/bin/echo\" Args: \"hi\" Cwd: \"/\" }"
	request "$d/04-ReadStdout" "$c exec_id: \"e1\" len: 100"
	request "$d/05-WaitProcess" "$c exec_id: \"e1\""
	request "$d/06-ExecProcess" "$c exec_id: \"e2\" process { Terminal: true Args: \"/bin/true\" Cwd: \"/\" }"
	request "$d/07-WaitProcess" "$c exec_id: \"e2\""
	request "$d/08-SignalProcess" "$c signal: 9"
	request "$d/09-WaitProcess@2000" "$c"
	request "$d/10-RemoveContainer" "$c"
	request "$1/undo/01-RemoveContainer" "$c"
}

# An image of two layers.
scenario_image() {
	local d=$1/run c='container_id: "c1"'
	setup_sandbox "$1"
	request "$d/01-CreateContainer" "$(create_text "
		storages { driver: \"image_guest_pull\" source: \"two/2\" fstype: \"overlay\" mount_point: \"/run/kata-containers/c1/rootfs\" }" \
		/run/kata-containers/c1/rootfs true)"
	request "$d/02-StartContainer" "$c"
	request "$d/03-WaitProcess@2000" "$c"
	request "$d/04-RemoveContainer" "$c"
	request "$1/undo/01-RemoveContainer" "$c"
}

# Everything else, on a container that is there.
scenario_calls() {
	local d=$1/run c='container_id: "c1"' shared=/run/kata-containers/shared/containers
	setup_sandbox "$1"
	request "$1/setup/02-CreateContainer" "$(create_text "storages { $SHM mount_point: \"/run/e\" }" "$TREE" cat)"
	request "$1/setup/03-StartContainer" "$c"
	request "$d/01-StatsContainer" "$c"
	request "$d/02-GetMetrics" ""
	request "$d/03-GetGuestDetails" "mem_block_size: true mem_hotplug_probe: true"
	request "$d/04-ListInterfaces" ""
	request "$d/05-ListRoutes" ""
	request "$d/06-UpdateEphemeralMounts" "storages { $SHM mount_point: \"/run/e\" }"
	request "$d/07-GetVolumeStats" 'volume_guest_path: "/run"'
	request "$d/08-CopyFile" "path: \"$shared/f\" file_size: 4 file_mode: 33188 dir_mode: 493 data: \"abcd\""
	request "$d/09-PauseContainer" "$c"
	request "$d/10-ResumeContainer" "$c"
	request "$d/11-UpdateContainer" "$c resources {}"
	request "$d/12-WriteStdin" "$c data: \"some\\n\""
	request "$d/13-ReadStdout@1000" "$c len: 100"
	request "$d/14-RemoveStaleVirtiofsShareMounts" ""
	request "$d/15-AddARPNeighbors" 'neighbors { ARPNeighbors { toIPAddress { address: "192.0.2.9" } device: "lo" lladdr: "02:00:00:00:00:09" state: 128 } }'
	request "$1/undo/01-ResumeContainer" "$c"
	request "$1/undo/02-CopyFile" "path: \"$shared/f\" file_size: 4 file_mode: 33188 dir_mode: 493 data: \"abcd\""
	request "$1/undo/03-WriteStdin" "$c data: \"x\\n\""
	request "$1/undo/04-ReadStdout@1000" "$c len: 100"
}

# The sandbox's beginning and end.
scenario_sandbox() {
	local text="sandbox_id: \"sb\" hostname: \"pod\" dns: \"nameserver 192.0.2.1\" storages { $SHM mount_point: \"/run/kata-containers/sandbox/shm\" }"
	request "$1/run/01-CreateSandbox" "$text"
	request "$1/undo/01-CreateSandbox" "$text"
	request "$1/undo/02-DestroySandbox" ""
}

scenario_start() {
	mkdir -p "$1/run"
	request "$1/undo/01-DestroySandbox" ""
}

# inject WAY SCENARIO MODE FIRST STEP [LAST]
inject() {
	local way=$1 name=$2 dir=/run/inject-$2 root
	shift 2
	if [ ! -d "$dir" ]; then
		mkdir -p "$dir"
		printf '%s\n' "server_addr = \"$SOCKET\"" "image_puller = \"$PULLER\"" >"$dir/agent.toml"
		"scenario_$name" "$dir"
	fi
	root=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
	INJECT_CGROUP=$root/$TAG build/host/bin/agent-inject "$way" "$INJECTED" "$dir" "$@" 2>/run/inject.err | sed "s/^/$name /"
	local status=${PIPESTATUS[0]}
	grep -a '^agent-inject:' /run/inject.err
	return "$status"
}
