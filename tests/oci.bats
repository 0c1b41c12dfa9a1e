#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# kihon-oci as a command: the OCI life cycle, options of runc and crun, bad input; what a container
# sees compared with crun on the same bundle; podman with it as its runtime.
# Commands run in a mount namespace with cgroup2 alone on /sys/fs/cgroup, so that hosts with version 1
# hierarchies are like others (crun refuses a mix, and so the comparison would not be fair).

bats_require_minimum_version 1.5.0

load oci/setup
load oci/podman

teardown_file() {
	podman_end
	rm -rf "$WORK"
}

@test "run: output, exit code, nothing left" {
	script 'echo out; echo err >&2; exit 7'
	run --separate-stderr oci run -b "$B" "$ID"
	[ "$status" -eq 7 ]
	[ "$output" = out ]
	[ "$stderr" = err ]
	[ -z "$(ls -A "$ROOT")" ]
	[ ! -e "/sys/fs/cgroup/$ID" ] && [ ! -e "/sys/fs/cgroup/unified/$ID" ]
}

@test "run: a signal's death is 128 and more" {
	edit '.linux.namespaces |= map(select(.type != "pid"))'
	script 'kill -9 $$'
	run oci run -b "$B" "$ID"
	[ "$status" -eq 137 ]
}

@test "run: stdin arrives, signals are passed on" {
	script 'cat'
	[ "$(echo hello | oci run -b "$B" "$ID")" = hello ]
	script 'trap "echo got; exit 5" TERM; echo ready; while :; do sleep 0.1; done'
	"$WORK/private" "$OCI" --root "$ROOT" run -b "$B" "$ID" >"$B/out" 3>&- &
	local pid=$!
	until_true grep -q ready "$B/out"
	kill -TERM "$pid"
	status=0
	wait "$pid" || status=$?
	[ "$status" -eq 5 ]
	grep -q got "$B/out"
}

@test "create, start, kill, delete, and the states between" {
	edit '.annotations = {"org.test": "yes"}'
	script 'echo started > /data/mark-$HOSTNAME; exec sleep 1000'
	edit '.process.env += ["HOSTNAME=lifecycle"]'
	oci create -b "$B" --pid-file "$B/pid" "$ID" </dev/null >/dev/null 3>&-
	[ "$(oci state "$ID" | jq -r .status)" = created ]
	[ "$(oci state "$ID" | jq -r .pid)" = "$(cat "$B/pid")" ]
	[ "$(oci state "$ID" | jq -r .bundle)" = "$(realpath "$B")" ]
	[ "$(oci state "$ID" | jq -r '.annotations["org.test"]')" = yes ]
	[ ! -e "$WORK/rootfs/data/mark-lifecycle" ]
	oci start "$ID"
	[ "$(oci state "$ID" | jq -r .status)" = running ]
	until_true test -e "$WORK/rootfs/data/mark-lifecycle"
	rm "$WORK/rootfs/data/mark-lifecycle"
	run oci start "$ID"
	[ "$status" -eq 1 ]
	[[ "$output" == *"cannot be started: it is running"* ]]
	run oci delete "$ID"
	[ "$status" -eq 1 ]
	[[ "$output" == *"not stopped"* ]]
	oci kill "$ID" KILL
	wait_status stopped
	[ "$(oci state "$ID" | jq -r .pid)" = 0 ]
	run oci kill "$ID" KILL
	[ "$status" -eq 1 ]
	[[ "$output" == *"not running"* ]]
	run oci start "$ID"
	[ "$status" -eq 1 ]
	oci delete "$ID"
	run oci state "$ID"
	[ "$status" -eq 1 ]
	[[ "$output" == *"does not exist"* ]]
}

@test "changes of config.json after create change nothing" {
	script 'echo first'
	oci create -b "$B" "$ID" </dev/null >"$B/out" 2>&1 3>&-
	script 'echo second'
	oci start "$ID"
	wait_status stopped
	[ "$(cat "$B/out")" = first ]
}

@test "an id is taken once, and checked" {
	script 'sleep 1000'
	oci create -b "$B" "$ID" </dev/null >/dev/null 2>&1 3>&-
	run oci create -b "$B" "$ID"
	[ "$status" -eq 1 ]
	[[ "$output" == *"exists already"* ]]
	[ "$(oci state "$ID" | jq -r .status)" = created ]
	oci delete "$ID"
	for id in ../x . .. a/b "a b" ''; do
		run oci create -b "$B" "$id"
		[ "$status" -ne 0 ]
	done
	[ -z "$(ls -A "$ROOT")" ]
}

@test "delete --force ends a running one; without one it is silent" {
	script 'sleep 1000'
	oci run -d -b "$B" --pid-file "$B/pid" "$ID" </dev/null >/dev/null 2>&1 3>&-
	oci delete --force "$ID"
	is_gone "$(cat "$B/pid")"
	oci delete --force nobody
	run oci delete nobody
	[ "$status" -eq 1 ]
}

@test "bad bundles: one line, status 1, nothing left" {
	run oci create -b /nowhere "$ID"
	[ "$status" -eq 1 ] && [ "${#lines[@]}" -eq 1 ]
	echo '{' >"$B/config.json"
	run oci create -b "$B" "$ID"
	[ "$status" -eq 1 ] && [ "${#lines[@]}" -eq 1 ]
	[[ "$output" == *"not JSON"* ]]
	spec '.process.args = ["no-such-program"]'
	run oci create -b "$B" "$ID"
	[ "$status" -eq 1 ] && [ "${#lines[@]}" -eq 1 ]
	[[ "$output" == *'executable file not found in $PATH'* ]]
	spec '.mounts += [{"destination": "/data", "type": "bind", "source": "/no/such", "options": ["rbind"]}]'
	run oci create -b "$B" "$ID"
	[ "$status" -eq 1 ] && [ "${#lines[@]}" -eq 1 ]
	[[ "$output" == *"/no/such"* ]]
	spec '.process.terminal = true'
	run oci create -b "$B" "$ID"
	[ "$status" -eq 1 ]
	[[ "$output" == *"--console-socket"* ]]
	spec '.root.path = "nothing"'
	run oci create -b "$B" "$ID"
	[ "$status" -eq 1 ]
	rm "$B/config.json"
	mkfifo "$B/config.json"
	run timeout 100 "$WORK/private" "$OCI" --root "$ROOT" create -b "$B" "$ID"
	[ "$status" -eq 1 ] && [ "${#lines[@]}" -eq 1 ]
	[[ "$output" == *"not JSON"* ]]
	[ -z "$(ls -A "$ROOT")" ]
	[ ! -e "/sys/fs/cgroup/$ID" ] && [ ! -e "/sys/fs/cgroup/unified/$ID" ]
}

@test "usage errors are status 2" {
	run "$OCI" nonsense
	[ "$status" -eq 2 ]
	run "$OCI" create --nonsense x
	[ "$status" -eq 2 ]
	run "$OCI" --log-format=xml list
	[ "$status" -eq 2 ]
	run "$OCI" create
	[ "$status" -eq 2 ]
	"$OCI" --version | grep -q kihon-oci
	"$OCI" --help | grep -q -- --systemd-cgroup
}

@test "--log gets errors as JSON that engines read" {
	spec '.process.args = ["nothing"]'
	run "$WORK/private" "$OCI" --root "$ROOT" --log "$B/log" --log-format json create -b "$B" "$ID"
	[ "$status" -eq 1 ]
	[ "$(jq -r .level "$B/log")" = error ]
	[[ "$(jq -r .msg "$B/log")" == *"executable file not found"* ]]
}

@test "exec: output, exit code, environment, user, directory" {
	script 'sleep 1000'
	oci run -d -b "$B" "$ID" </dev/null >/dev/null 2>&1 3>&-
	run oci exec "$ID" sh -c 'echo hi; exit 3'
	[ "$status" -eq 3 ] && [ "$output" = hi ]
	run oci exec -e A=b --cwd /etc -u 1000:1000 -g 7 "$ID" sh -c 'echo $A $(pwd) $(id -u):$(id -g) $(grep Groups /proc/self/status | { read -r x y; echo $y; })'
	[ "$output" = "b /etc 1000:1000 7" ]
	run oci exec "$ID" nothing-here
	[ "$status" -eq 255 ]
	[[ "$output" == *"executable file not found"* ]]
	echo '{"cwd": "/tmp", "args": ["pwd"], "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}}' >"$B/p.json"
	[ "$(oci exec --process "$B/p.json" "$ID")" = /tmp ]
	[ "$(echo in | oci exec "$ID" cat)" = in ]
	oci exec -d --pid-file "$B/pid" "$ID" sleep 500 </dev/null >/dev/null 2>&1 3>&-
	[ "$(tr '\0' ' ' <"/proc/$(cat "$B/pid")/cmdline")" = "sleep 500 " ]
	run oci exec "$ID" sh -c 'kill -9 $$'
	[ "$status" -eq 137 ]
}

@test "exec: capabilities and no_new_privs are the container's, or those asked for" {
	script 'sleep 1000'
	oci run -d -b "$B" "$ID" </dev/null >/dev/null 2>&1 3>&-
	[ "$(oci exec "$ID" grep -E '^(Cap(Bnd|Eff|Prm)|NoNew)' /proc/self/status)" = "$(oci exec "$ID" grep -E '^(Cap(Bnd|Eff|Prm)|NoNew)' /proc/1/status)" ]
	oci exec --cap CAP_SYS_ADMIN "$ID" grep CapEff /proc/self/status | grep -q 0000000020200420
}

@test "list, ps, pause, resume, events" {
	script 'sleep 1000'
	oci run -d -b "$B" --pid-file "$B/pid" "$ID" </dev/null >/dev/null 2>&1 3>&-
	[ "$(oci list -q)" = "$ID" ]
	oci list | grep -E "^$ID +$(cat "$B/pid") +running "
	[ "$(oci list -f json | jq -r '.[0].id')" = "$ID" ]
	[ "$(oci ps -f json "$ID" | jq length)" -ge 1 ]
	oci ps "$ID" | grep -q 'sleep 1000'
	oci pause "$ID"
	[ "$(oci state "$ID" | jq -r .status)" = paused ]
	run oci pause "$ID"
	[ "$status" -eq 1 ]
	run oci exec "$ID" true
	[ "$status" -eq 255 ]
	oci resume "$ID"
	[ "$(oci state "$ID" | jq -r .status)" = running ]
	run oci resume "$ID"
	[ "$status" -eq 1 ]
	oci events --stats "$ID" | jq -e '.type == "stats" and .data.cpu.usage.total > 0'
}

@test "console socket: the terminal's master arrives" {
	edit '.process.terminal = true | .process.consoleSize = {"height": 11, "width": 22}'
	script 'tty; stty size; read x; echo "<$x>"'
	python3 - "$B/console" >"$B/out" <<'END' &
import array, os, socket, sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1] + ".new"); s.listen(1); os.rename(sys.argv[1] + ".new", sys.argv[1])
c, _ = s.accept()
_, anc, _, _ = c.recvmsg(64, socket.CMSG_SPACE(4))
fd = array.array("i", anc[0][2])[0]
os.write(fd, b"typed\n")
while True:
    try: data = os.read(fd, 4096)
    except OSError: break
    if not data: break
    sys.stdout.buffer.write(data); sys.stdout.flush()
END
	until_true test -S "$B/console"
	oci create -b "$B" --console-socket "$B/console" "$ID" </dev/null >/dev/null 2>&1 3>&-
	oci start "$ID"
	wait %1
	tr -d '\r' <"$B/out" >"$B/clean"
	grep -qx /dev/pts/0 "$B/clean"
	grep -qx '11 22' "$B/clean"
	grep -qx '<typed>' "$B/clean"
}

@test "--preserve-fds and LISTEN_FDS" {
	script 'ls -l /proc/self/fd | grep -c "3 -> /etc/hostname"'
	output=$(oci run --preserve-fds 1 -b "$B" "$ID" 3</etc/hostname)
	[ "$output" = 1 ]
	script 'echo $LISTEN_FDS $LISTEN_PID; ls /proc/self/fd/3'
	output=$(LISTEN_FDS=1 oci run -b "$B" "$ID" 3</etc/hostname)
	[ "$output" = "$(printf '1 1\n/proc/self/fd/3')" ]
}

@test "spec --rootless, features" {
	mkdir "$B/r"
	"$OCI" spec --rootless -b "$B/r"
	jq -e '.linux.uidMappings[0].size == 1' "$B/r/config.json"
	run "$OCI" spec -b "$B/r"
	[ "$status" -eq 1 ]
	"$OCI" features | jq -e '(.hooks | length == 6) and .linux.cgroup.v2 and (.linux.cgroup.v1 | not)
		and (.linux.namespaces | length == 8) and (.mountOptions | index("rro"))'
}

@test "rootless: a user without any privilege" {
	if ! setpriv --reuid 65534 --regid 65534 --clear-groups unshare -U true 2>/dev/null; then
		skip "user namespaces are not allowed here"
	fi
	local dir=$BATS_TEST_TMPDIR/rl
	mkdir -p "$dir/run"
	cp -a "$WORK/rootfs" "$dir/rootfs"
	chown -R 65534:65534 "$dir"
	chmod 755 "$BATS_TEST_TMPDIR" "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR" 2>/dev/null || true
	local p=$dir
	while [ "$p" != / ]; do
		[ -x "$p" ] && chmod o+x "$p"
		p=$(dirname "$p")
	done
	local user=(setpriv --reuid 65534 --regid 65534 --clear-groups env XDG_RUNTIME_DIR="$dir/run")
	cp "$OCI" "$dir/kihon-oci"
	"${user[@]}" "$dir/kihon-oci" spec --rootless -b "$dir"
	jq '.process.terminal = false | .root.readonly = false | .process.args = ["sh", "-c", "id -u; touch /data/made; cat /proc/self/uid_map"]' "$dir/config.json" >"$dir/c" && cat "$dir/c" >"$dir/config.json"
	run "${user[@]}" "$dir/kihon-oci" --cgroup-manager=disabled run -b "$dir" rootless
	echo "$output"
	[ "$status" -eq 0 ]
	[ "${lines[0]}" = 0 ]
	[ "$(stat -c %u "$dir/rootfs/data/made")" = 65534 ]
}

@test "the runtime's own file is out of reach" {
	local before
	before=$(sha256sum "$OCI")
	# The container makes the runtime execute itself, and tries to write to it.
	edit '.process.args = ["/proc/self/exe", "--version"]' '.process.capabilities |= map_values(["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_SYS_ADMIN"])' '.linux.maskedPaths = []'
	run oci run -b "$B" "$ID"
	script 'sleep 1000'
	oci create -b "$B" --pid-file "$B/pid" "$ID" </dev/null >/dev/null 2>&1 3>&-
	[[ "$(readlink "/proc/$(cat "$B/pid")/exe")" == "/memfd:kihon-oci"* ]]
	oci exec "$ID" sh -c 'echo x >> /proc/1/exe; exec 3<>/proc/1/exe; true' 2>/dev/null || true
	[ "$(sha256sum "$OCI")" = "$before" ]
}

@test "seccomp notifications reach the agent with the process state" {
	edit '.linux.seccomp = {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "'"$B"'/agent", "listenerMetadata": "meta",
		"syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]}'
	script 'mkdir /x 2>&1; echo done'
	python3 - "$B/agent" >"$B/state" <<'END' &
import array, ctypes, fcntl, os, socket, struct, sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1] + ".new"); s.listen(1); os.rename(sys.argv[1] + ".new", sys.argv[1])
c, _ = s.accept()
data, anc, _, _ = c.recvmsg(65536, socket.CMSG_SPACE(4))
fd = array.array("i", anc[0][2])[0]
sys.stdout.write(data.decode()); sys.stdout.flush()
buf = bytearray(80)
fcntl.ioctl(fd, 0xc0502100, buf)                       # SECCOMP_IOCTL_NOTIF_RECV
ident = struct.unpack_from("Q", buf)[0]
fcntl.ioctl(fd, 0xc0182101, bytearray(struct.pack("QqiI", ident, 0, -71, 0)))  # EPROTO
END
	until_true test -S "$B/agent"
	run timeout 100 "$WORK/private" "$OCI" --root "$ROOT" run -b "$B" "$ID"
	[ "$status" -eq 0 ]
	[[ "$output" == *"Protocol error"* ]]
	[[ "$output" == *"done"* ]]
	[ "$(jq -r '.metadata, .fds[0], .state.id' "$B/state" | tr '\n' ' ')" = "meta seccompFd $ID " ]
}

# ---- beside crun ----

# Both runtimes on the same bundle. (Of what covers parts of /proc and /sys only ro or rw is compared:
# ours keeps nosuid, nodev and noexec, crun loses them; and the two signals that glibc keeps for itself
# stay ignored under crun where its caller, make for one, has them so.) The container's words must be the same.
same_as_crun() {
	script "$1"
	local ours theirs
	ours=$(oci run -b "$B" "$ID")
	theirs=$("$WORK/private" crun --root "$ROOT-crun" run -b "$B" "$ID" | sed '/^SigIgn:/s/0000000180000000$/0000000000000000/')
	if [ "$ours" != "$theirs" ]; then
		diff <(echo "$ours") <(echo "$theirs") | sed 's/^/# /' >&3
		return 1
	fi
	[ -n "$ours" ]
}

@test "beside crun: capabilities, ids, limits, seccomp" {
	command -v crun >/dev/null || skip "no crun"
	same_as_crun 'grep -E "^(Cap|NoNew|Seccomp:|Groups|Uid|Gid|Umask|SigBlk|SigIgn)" /proc/self/status; cat /proc/self/limits; id; umask; env | sort; pwd'
	edit '.process.user = {"uid": 1000, "gid": 1000, "additionalGids": [5, 6], "umask": 7} | .process.noNewPrivileges = false
		| .process.capabilities.ambient = ["CAP_KILL"] | .process.capabilities.inheritable = ["CAP_KILL"] | .process.oomScoreAdj = 50
		| .linux.seccomp = {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"], "syscalls": [{"names": ["swapon", "bpf"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]}'
	same_as_crun 'grep -E "^(Cap|NoNew|Seccomp:|Groups|Uid|Gid|Umask|SigBlk|SigIgn)" /proc/self/status; id; umask; env | sort; cat /proc/self/oom_score_adj'
}

@test "beside crun: mounts and their options" {
	command -v crun >/dev/null || skip "no crun"
	mkdir -p "$B/v/sub"
	edit '.mounts += [{"destination": "/data", "type": "bind", "source": "'"$B"'/v", "options": ["rbind", "ro", "nosuid", "noexec"]},
		{"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nodev", "noatime", "size=1m"]}]'
	same_as_crun 'while read a b c root point opts rest; do case $point in /proc/*|/sys/*) opts=${opts%%,*};; esac; echo "$point $opts"; done < /proc/self/mountinfo | sort'
}

@test "beside crun: /dev" {
	command -v crun >/dev/null || skip "no crun"
	edit '.linux.devices = [{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 432, "uid": 1, "gid": 2}]'
	same_as_crun 'cd /dev; for f in *; do stat -c "%n %F %t:%T %a %u:%g" $f; done | grep -v console; readlink ptmx; readlink fd'
}

@test "beside crun: masked and read-only paths" {
	command -v crun >/dev/null || skip "no crun"
	same_as_crun 'for p in /proc/kcore /proc/keys /sys/firmware; do cat $p 2>/dev/null | wc -c; ls $p 2>/dev/null | wc -l; done; for p in /proc/sys/kernel/hostname /proc/sysrq-trigger /proc/bus/x; do (echo 1 > $p) 2>&1 | grep -c Read-only; done; (touch /sys/x) 2>&1 | grep -c Read-only'
}

@test "beside crun: the state has its members" {
	command -v crun >/dev/null || skip "no crun"
	script 'sleep 1000'
	oci create -b "$B" "$ID" </dev/null >/dev/null 2>&1 3>&-
	"$WORK/private" crun --root "$ROOT-crun" create -b "$B" "$ID-crun" </dev/null >/dev/null 2>&1 3>&-
	oci state "$ID" | jq -S 'keys | map(select(. != "annotations"))' >"$B/ours"
	"$WORK/private" crun --root "$ROOT-crun" state "$ID-crun" | jq -S 'keys | map(select(. != "systemd-scope" and . != "annotations"))' >"$B/theirs"
	"$WORK/private" crun --root "$ROOT-crun" delete -f "$ID-crun"
	diff "$B/ours" "$B/theirs"
}

# ---- podman: oci-peers.bats has more ----

@test "podman run with it as the runtime: output, exit codes" {
	podman_setup
	run podman_ "${P[@]}" test/busybox echo hello
	[ "$output" = hello ]
	run podman_ "${P[@]}" test/busybox sh -c 'exit 9'
	[ "$status" -eq 9 ]
	run -127 podman_ "${P[@]}" test/busybox no-such-program
	run podman_ "${P[@]}" test/busybox /etc
	[ "$status" -eq 126 ]
	run podman_ "${P[@]}" -u 1000 -e X=y -w /tmp test/busybox sh -c 'echo $(id -u) $X $(pwd)'
	[ "$output" = "1000 y /tmp" ]
	[ "$(echo typed | podman_ "${P[@]}" -i test/busybox cat)" = typed ]
	run podman_ "${P[@]}" -t test/busybox tty
	[[ "$output" == /dev/pts/0* ]]
}

@test "podman: default seccomp profile, read-only, volumes, tmpfs, hooks of a detached container" {
	podman_setup
	mkdir -p "$B/vol"
	run podman_ run --rm "${LIMITS[@]}" test/busybox grep Seccomp: /proc/self/status
	[[ "$output" == *2 ]]
	run podman_ "${P[@]}" --read-only --tmpfs /tmp -v "$B/vol:/data:rw" test/busybox sh -c 'touch /x 2>&1; touch /tmp/y /data/z && echo ok'
	[[ "$output" == *"Read-only file system"* ]] && [[ "$output" == *ok ]]
	[ -e "$B/vol/z" ]
	podman_ "${P[@]}" -d --name bg test/busybox sh -c 'trap "exit 4" TERM; while :; do sleep 0.1; done'
	[ "$(podman_ exec bg echo inside)" = inside ]
	run podman_ exec bg sh -c 'exit 6'
	[ "$status" -eq 6 ]
	podman_ pause bg
	podman_ unpause bg
	podman_ top bg | grep -q sleep
	podman_ stop -t 5 bg
}

@test "podman: what a container sees is what it sees with crun" {
	podman_setup
	command -v crun >/dev/null || skip "no crun"
	local probe='grep -E "^(Cap|NoNew|Seccomp:)" /proc/self/status; while read a b c root point opts rest; do case $point in /etc/*|/run/*) ;; /proc/*|/sys/*) echo "$point ${opts%%,*}";; *) echo "$point $opts";; esac; done < /proc/self/mountinfo | sort; ls /dev | sort; env | sort | grep -v HOSTNAME; cat /proc/self/limits'
	for extra in "" "--cap-drop=all --cap-add=kill -u 1000:1000" "--privileged" "--read-only" "--ipc=host --uts=host"; do
		# shellcheck disable=SC2086
		ours=$(RUNTIME=kihon-oci podman_ "${P[@]}" --cgroups disabled $extra test/busybox sh -c "$probe")
		# shellcheck disable=SC2086
		theirs=$(RUNTIME=crun podman_ "${P[@]}" --cgroups disabled $extra test/busybox sh -c "$probe")
		[ -n "$ours" ]
		if [ "$ours" != "$theirs" ]; then
			echo "# with \"$extra\":" >&3
			diff <(echo "$ours") <(echo "$theirs") | sed 's/^/# /' >&3
			return 1
		fi
	done
}
