#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What engines and people expect of a runtime's command line beyond the specification: the words of exec, kill,
# update, list and ps, states that forbid a verb, statuses, one line for what is not supported; bad input.

bats_require_minimum_version 1.5.0

load oci/setup

# A running container that sleeps.
sleeper() {
	edit '.process.args = ["sleep", "1000"]' "$@"
	oci run -d -b "$B" "$ID" </dev/null >/dev/null 2>&1 3>&-
}

# refused STATUS WORDS COMMAND...: one line with the words, the status, nothing on stdout.
refused() {
	local want=$1 words=$2
	shift 2
	run --separate-stderr "$@"
	[ "$status" -eq "$want" ] || { echo "status $status: $stderr"; return 1; }
	[ -z "$output" ] || { echo "stdout: $output"; return 1; }
	[[ "$stderr" == *"$words"* ]] || { echo "stderr: $stderr"; return 1; }
	[ "${#stderr_lines[@]}" -eq 1 ]
}

@test "exec: what cannot be executed is status 255, the command's own status otherwise" {
	sleeper
	refused 255 "not found" oci exec "$ID" no-such-program
	refused 255 "Permission denied" oci exec "$ID" /etc
	refused 255 "No such file" oci exec --cwd /nowhere "$ID" true
	refused 255 "not UID" oci exec --user ann "$ID" true
	refused 255 "a command or --process" oci exec "$ID"
	refused 255 "does not exist" oci exec "$ID-none" true
	echo '{"cwd": "/"}' >"$B/p.json"
	refused 255 "args is empty" oci exec -p "$B/p.json" "$ID"
	echo 'nonsense' >"$B/p.json"
	refused 255 "not JSON" oci exec -p "$B/p.json" "$ID"
	for code in 0 1 42 255; do
		run oci exec "$ID" sh -c "exit $code"
		[ "$status" -eq "$code" ]
	done
}

@test "exec: environment, directory, user, groups, capabilities" {
	edit '.process.env = ["PATH=/bin", "A=old"] | .process.cwd = "/etc"'
	sleeper
	[ "$(oci exec "$ID" pwd)" = /etc ]
	[ "$(oci exec -e A=new -e B=2 --cwd /tmp "$ID" sh -c 'echo $A $B $(pwd)')" = "new 2 /tmp" ]
	[ "$(oci exec --user 7 "$ID" id -u)" = 7 ]
	[ "$(oci exec --user 7:8 -g 9 -g 10 "$ID" sh -c 'echo $(id -u) $(id -g) $(id -G)')" = "7 8 8 9 10" ]
	[ "$(oci exec --cap CAP_NET_ADMIN "$ID" grep CapEff /proc/self/status | cut -f2)" = 0000000020001420 ]
	run --separate-stderr oci exec --cap CAP_NONSENSE "$ID" echo there
	[ "$status" -eq 0 ] && [ "$output" = there ] && [[ "$stderr" == *CAP_NONSENSE*"left out"* ]]
	[ "$(oci exec "$ID" -- echo -n x)" = x ] || [ "$(oci exec "$ID" echo -n x)" = x ]
}

@test "exec: the processors of execCPUAffinity" {
	edit '.process.execCPUAffinity = {"initial": "0", "final": "0"}'
	sleeper
	[ "$(oci exec "$ID" grep Cpus_allowed_list /proc/self/status | cut -f2)" = 0 ]
	# The first process is not meant.
	[ "$(oci exec "$ID" grep Cpus_allowed_list /proc/1/status | cut -f2)" = "$(grep Cpus_allowed_list /proc/self/status | cut -f2)" ]
	for list in x 1- 3-1 0,,1 0,- 99999 " 0"; do
		jq -n --arg l "$list" '{cwd: "/", args: ["true"], env: ["PATH=/bin"], execCPUAffinity: {final: $l}}' >"$B/p.json"
		refused 255 "is not a list of processors" oci exec -p "$B/p.json" "$ID"
	done
}

@test "exec: in a created container, and a terminal of its own" {
	script 'sleep 1000'
	oci create -b "$B" "$ID" </dev/null >/dev/null 2>&1 3>&-
	[ "$(oci exec "$ID" echo early)" = early ]
	local i
	# A command may be over before its terminal is looked at.
	for i in 1 2 3 4 5 6 7 8 9 10; do [[ "$(oci exec -t "$ID" tty </dev/null)" == /dev/pts/0* ]] || return; done
	refused 255 "needs --console-socket" oci exec -t -d "$ID" true
}

@test "kill: names, numbers, all, and those that are none" {
	script 'trap "echo \$0 got USR1; exit 3" USR1; echo ready; while :; do sleep 0.05; done'
	"$WORK/private" "$OCI" --root "$ROOT" run -b "$B" "$ID" </dev/null >"$B/out" 2>&1 3>&- &
	local pid=$!
	until_true grep -q ready "$B/out"
	refused 1 "is not a signal" oci kill "$ID" NONSENSE
	refused 1 "is not a signal" oci kill "$ID" 65
	refused 1 "is not a signal" oci kill "$ID" -- -1
	oci kill "$ID" 0
	oci kill --all "$ID" CONT
	oci kill "$ID" sigusr1
	status=0
	wait "$pid" || status=$?
	[ "$status" -eq 3 ]
}

@test "kill --all reaches what the first process left behind" {
	edit '.linux.namespaces |= map(select(.type != "pid"))'
	script 'sleep 1000 & sleep 1000 & echo $! > /data/'"$ID"'; exit 0'
	oci create -b "$B" --pid-file "$B/pid" "$ID" </dev/null >/dev/null 2>&1 3>&-
	oci start "$ID"
	wait_status stopped
	local left
	left=$(cat "$WORK/rootfs/data/$ID")
	rm "$WORK/rootfs/data/$ID"
	kill -0 "$left"
	refused 1 "not running" oci kill "$ID" KILL
	oci kill --all "$ID" KILL
	until_gone "$left"
}

@test "verbs in the wrong state" {
	script 'sleep 1000'
	for verb in state start pause resume delete; do refused 1 "does not exist" oci "$verb" "$ID"; done
	refused 1 "does not exist" oci kill "$ID" TERM
	oci create -b "$B" "$ID" </dev/null >/dev/null 2>&1 3>&-
	refused 1 "exists already" oci create -b "$B" "$ID"
	refused 1 "cannot be resumed" oci resume "$ID"
	oci pause "$ID"
	refused 1 "cannot be paused" oci pause "$ID"
	refused 1 "cannot be started" oci start "$ID"
	refused 255 "is paused" oci exec "$ID" true
	oci resume "$ID"
	oci start "$ID"
	refused 1 "cannot be started" oci start "$ID"
	refused 1 "not stopped" oci delete "$ID"
	oci kill "$ID" KILL
	wait_status stopped
	refused 1 "cannot be started" oci start "$ID"
	refused 255 "is stopped" oci exec "$ID" true
	oci delete "$ID"
	oci delete --force "$ID"
}

@test "a paused container: delete --force, exec --ignore-paused" {
	sleeper
	oci pause "$ID"
	oci exec --ignore-paused "$ID" echo later >"$B/out" 2>&1 </dev/null 3>&- &
	local pid=$!
	sleep 0.3
	[ ! -s "$B/out" ]
	oci resume "$ID"
	wait "$pid"
	[ "$(cat "$B/out")" = later ]
	oci pause "$ID"
	oci delete --force "$ID"
	[ -z "$(ls -A "$ROOT")" ]
}

@test "exec --cgroup: a group below the container's, and none elsewhere" {
	sleeper
	"$WORK/private" mkdir "/sys/fs/cgroup/$ID/sub"
	oci exec -d --cgroup sub --pid-file "$B/pid" "$ID" sleep 1000 </dev/null >/dev/null 2>&1 3>&-
	grep -q "^0::.*/$ID/sub\$" "/proc/$(cat "$B/pid")/cgroup"
	refused 255 "opening the cgroup" oci exec --cgroup nowhere "$ID" true
	refused 255 "is not a sub cgroup path" oci exec --cgroup ../.. "$ID" true
}

@test "what needs CRIU is refused, whatever its options" {
	refused 1 "checkpoint is not supported" oci checkpoint --image-path /x --leave-running "$ID"
	refused 1 "restore is not supported" oci restore --detach "$ID"
}

@test "list, ps, events, update: their forms" {
	sleeper
	oci exec -d --pid-file "$B/pid" "$ID" sleep 1000 </dev/null >/dev/null 2>&1 3>&-
	[ "$(oci list -q -f json)" = "$ID" ]
	[ "$(oci list --format json | jq -r '.[0].status')" = running ]
	[ "$(oci ps --format json "$ID" | jq -c 'sort')" = "$(jq -nc --argjson a "$(oci state "$ID" | jq .pid)" --argjson b "$(cat "$B/pid")" '[$a, $b] | sort')" ]
	oci ps "$ID" -o pid,comm | grep -q sleep
	oci events --stats "$ID" | jq -e '.type == "stats" and .id == "'"$ID"'" and (.data.cpu.usage.total | type) == "number"'
	echo '{"devices": [{"allow": true, "type": "c", "major": 1, "minor": 11, "access": "rw"}]}' | oci update -r - "$ID"
	echo nonsense >"$B/res.json"
	refused 1 "not JSON" oci update -r "$B/res.json" "$ID"
	refused 1 "is not a number" oci update --memory lots "$ID"
	echo '{"network": {"classID": 5}}' >"$B/res.json"
	refused 1 "has no network.classID" oci update -r "$B/res.json" "$ID"
}

@test "what is not supported is named" {
	edit '.process.args = ["true"]'
	cp "$B/config.json" "$B/good.json"
	while IFS='|' read -r words filter; do
		jq "$filter" "$B/good.json" >"$B/config.json"
		refused 1 "$words" oci run -b "$B" "$ID"
		[ -z "$(ls -A "$ROOT")" ]
	done <<-'END'
		linux.intelRdt|.linux.intelRdt = {"closID": "x"}
		linux.memoryPolicy|.linux.memoryPolicy = {"mode": "MPOL_BIND", "nodes": "0"}
		linux.netDevices|.linux.netDevices = {"eth0": {"name": "e"}}
		personality|.linux.personality = {"domain": "LINUX", "flags": ["ADDR_NO_RANDOMIZE"]}
		scheduler policy|.process.scheduler = {"policy": "SCHED_NONSENSE"}
		I/O priority class|.process.ioPriority = {"class": "NONSENSE", "priority": 1}
		no cpu.realtimeRuntime|.linux.resources = {"cpu": {"realtimeRuntime": 1000}}
	END
}

@test "bad JSON, long ids, odd ids" {
	for text in '' '{' '[]' '"x"' '{"ociVersion": 1}' '{"ociVersion": "1.0.0"} x' "$(printf '{"a":%0100000d}' 0 | tr 0 '[')"; do
		printf %s "$text" >"$B/config.json"
		run --separate-stderr oci create -b "$B" "$ID"
		[ "$status" -eq 1 ] && [ "${#stderr_lines[@]}" -eq 1 ] && [ -z "$output" ]
	done
	head -c 5000000 /dev/zero | tr '\0' ' ' >"$B/config.json"
	refused 1 "" oci create -b "$B" "$ID"
	[ -z "$(ls -A "$ROOT")" ]
	spec
	local long
	long=$(printf 'a%.0s' $(seq 200))
	[ "$(edit '.process.args = ["echo", "ran"]'; oci run -b "$B" "$long")" = ran ]
	for id in "$(printf 'a%.0s' $(seq 2000))" .. a/b 'a b' "$(printf 'a\nb')" ''; do
		run oci create -b "$B" "$id"
		[ "$status" -ne 0 ]
	done
	[ -z "$(ls -A "$ROOT")" ]
}

@test "without a mount namespace: mounts, further processes, nothing left" {
	edit '.linux.namespaces |= map(select(.type != "mount"))'
	sleeper
	[ "$(oci exec "$ID" cat /etc/passwd | head -1)" = root:x:0:0:root:/root:/bin/sh ]
	[ "$(oci exec "$ID" sh -c 'test -e /usr && echo outside; ls /')" = "$(ls "$WORK/rootfs")" ]
	oci delete --force "$ID"
	! grep -q "$WORK/rootfs" /proc/self/mountinfo
	# In one namespace from the beginning to the end: there it can be seen that the mounts go.
	run "$WORK/private" bash -c "'$OCI' --root '$ROOT' run -d -b '$B' '$ID' </dev/null >/dev/null 2>&1
		grep -c '$WORK/rootfs' /proc/self/mountinfo; '$OCI' --root '$ROOT' delete -f '$ID'; grep -c '$WORK/rootfs' /proc/self/mountinfo"
	[ "${lines[0]}" -gt 3 ] && [ "${lines[1]}" -eq 0 ]
}

@test "without a mount namespace: what was mounted on the root before stays" {
	mkdir "$B/own"
	cp -a "$WORK/rootfs/." "$B/own"
	edit '.linux.namespaces |= map(select(.type != "mount")) | .root.path = "own"'
	run "$WORK/private" bash -c "mount --bind '$B/own' '$B/own'; '$OCI' --root '$ROOT' run -b '$B' '$ID'; grep -c '$B/own' /proc/self/mountinfo"
	[ "${lines[0]}" -eq 1 ]
	edit '.process.args = ["no-such-program"]'
	run "$WORK/private" bash -c "mount --bind '$B/own' '$B/own'; '$OCI' --root '$ROOT' run -b '$B' '$ID' 2>/dev/null; grep -c '$B/own' /proc/self/mountinfo"
	[ "${lines[0]}" -eq 1 ]
}

@test "id mappings of a mount without a user namespace do not touch other processes" {
	mkdir "$B/src"
	touch "$B/src/f"
	edit ".mounts += [{\"destination\": \"/data\", \"source\": \"$B/src\", \"options\": [\"rbind\"],
		\"uidMappings\": [{\"containerID\": 0, \"hostID\": 1000, \"size\": 5}],
		\"gidMappings\": [{\"containerID\": 0, \"hostID\": 2000, \"size\": 5}]}]"
	script 'stat -c %u:%g /data/f'
	run oci run -b "$B" "$ID"
	[ "$output" = 1000:2000 ]
}

@test "features are what the runtime does" {
	run oci features
	[ "$(jq -r '.linux.seccomp.supportedFlags == .linux.seccomp.knownFlags' <<<"$output")" = true ]
	[ "$(jq -c '[.linux.intelRdt.enabled, .linux.netDevices.enabled, .linux.cgroup.v1, .linux.cgroup.v2, .linux.mountExtensions.idmap.enabled]' <<<"$output")" = '[false,false,false,true,true]' ]
	[[ "$(jq -r '.annotations["io.github.seccomp.libseccomp.version"]' <<<"$output")" =~ ^2\.[0-9]+\.[0-9]+$ ]]
	# Every option named can be given.
	local words
	words=$(jq -c '.mountOptions - ["bind", "rbind", "idmap", "ridmap", "remount", "tmpcopyup", "mand", "nomand", "acl"]' <<<"$output")
	edit '.process.args = ["true"]'
	cp "$B/config.json" "$B/good.json"
	jq --argjson w "$words" '.mounts += [{destination: "/tmp", type: "tmpfs", source: "tmpfs"}] + [$w[] | {destination: ("/tmp/" + .), type: "tmpfs", source: "tmpfs", options: [.]}]' "$B/good.json" >"$B/config.json"
	oci run -b "$B" "$ID"
}
