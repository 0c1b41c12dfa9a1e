#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Containers in a guest, through the agent: what the engine promises about namespaces, limits, rights, terminals and
# signals, where "/" is a real root and cgroup v2 has all its controllers; the agent's ports; a policy that came with
# init-data. One boot on a machine without PCI. What is expected is read from the kernel, in the container and outside.

bats_require_minimum_version 1.5.0

setup_file() {
	ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	cd "$ROOT"
	(GUEST='' && . tests/agent/guest.sh && guest_build)
	GUEST=$(mktemp -d /tmp/kihon-agent.XXXXXX) # the sockets' paths must be short
	export ROOT GUEST
	. tests/agent/guest.sh
	guest_image
	truncate -s 16M "$GUEST/disk" && mkfs.ext4 -q "$GUEST/disk"
	init_data >"$GUEST/init-data"
	guest_qemu -drive "if=none,id=disk,format=raw,file=$GUEST/disk" -device virtio-blk-device,drive=disk \
		-drive "if=none,id=init,format=raw,readonly=on,file=$GUEST/init-data" -device virtio-blk-device,drive=init
	# Of 512 MiB the kernel leaves out the last 128: memory that somebody may name to it later.
	guest_boot --memory 512M --append "mem=384M agent.log=debug agent.log_vport=1025 agent.passfd_listener_port=1027 agent.debug_console_vport=1026"
	call CreateSandbox 'sandbox_id: "sb" storages { driver: "ephemeral" source: "shm" fstype: "tmpfs" options: "mode=1777"
		options: "size=1048576" mount_point: "/run/kata-containers/sandbox/shm" }'
	look_begin
}

teardown_file() {
	. "$ROOT/tests/agent/guest.sh"
	guest_end
	rm -rf "$GUEST"
}

# policy [NAME RULE]...: an allow-list with all requests but GetDiagnosticData, the named ones with these rules.
policy() {
	sed -nE 's/^\trpc \w+\((\w+)\) .*/\1/p' lib/rpc/proto/agent.proto | sort -u | grep -v GetDiagnosticData |
		jq -Rsc --argjson rules "${1-null}" '{schema: 1, allow: ((split("\n")[:-1] | map({(.): true}) | add) + $rules)}'
}

# init_data: the disk, with a policy under which only root may be run beside a container's first process.
init_data() {
	policy '{"ExecProcessRequest": [{"name": "as root only", "where": {"process/User/UID": 0}}]}' | python3 -c '
import gzip, json, sys
z = gzip.compress(("version = \"0.1.0\"\nalgorithm = \"sha256\"\n[data]\n\"agent-policy.json\" = %s\n" % json.dumps(sys.stdin.read())).encode())
sys.stdout.buffer.write(b"initdata" + len(z).to_bytes(8, "little") + z + bytes(4096 - (16 + len(z)) % 4096))'
}

setup() {
	cd "$ROOT"
	. tests/agent/guest.sh
	SHARED=/run/kata-containers/shared/containers
	C=/sys/fs/cgroup/test
}

teardown() {
	[ -n "$BATS_TEST_COMPLETED" ] || remove c1 2>/dev/null || true
}

# until_waits NAME: until the process of that name waits for a signal; rt_sigtimedwait is system call 128.
until_waits() {
	until_true look "for p in /proc/[0-9]*; do case \$(cat \$p/comm 2>/dev/null) in $1) grep -q '^128 ' \$p/syscall && exit 0 ;; esac; done; exit 1"
}

has() { [[ $output == *"$1"* ]] || { echo "missing: $1 in: $output"; false; }; }

@test "policy of the init-data disk: what it does not allow is denied, with the rule's name" {
	run call GetDiagnosticData 'log_type: "termination_log" container_id: "look"'
	echo "$output"
	[ "$status" -eq 71 ] # PERMISSION_DENIED
	has GetDiagnosticDataRequest
	run call ExecProcess 'container_id: "look" exec_id: "e1" process { User { UID: 5 } Args: "true" Cwd: "/" }'
	echo "$output"
	[ "$status" -eq 71 ]
	has 'rule "as root only": process/User/UID'
}

@test "ports: no debug console unless asked for, refused at once" {
	run timeout 100 tests/agent/port-client.py --vsock "$GUEST/vsock" 1026 "$GUEST/port" </dev/null
	[ "$status" -eq 1 ]
}

@test "ports: records as JSON lines on the log port, while somebody listens" {
	sleep 1000 | tests/agent/port-client.py --vsock "$GUEST/vsock" 1025 "$GUEST/port" >"$GUEST/records" 3>&- &
	until_true test -s "$GUEST/port"
	rm "$GUEST/port"
	until_true eval 'run_all c1 true >/dev/null && grep -q c1 "$GUEST/records"'
	kill %1
	cat "$GUEST/records"
	jq -es 'length > 0 and all(.[]; .level and .msg and .source == "agent")' "$GUEST/records"
}

@test "ports: streams by connections of the host" {
	local n
	head -c 300000 /dev/urandom >"$GUEST/in"
	for n in in out err; do
		if [ $n = in ]; then cat "$GUEST/in"; else exec sleep 1000; fi 3>&- |
			tests/agent/port-client.py --vsock "$GUEST/vsock" 1027 "$GUEST/port.$n" >"$GUEST/got.$n" 3>&- &
		until_true test -s "$GUEST/port.$n"
	done
	until_true container c1 -e "stdin_port: $(<"$GUEST/port.in") stdout_port: $(<"$GUEST/port.out") stderr_port: $(<"$GUEST/port.err")" \
		sh -c 'cat; echo problem >&2; exit 4'
	start c1
	[ "$(wait_exit c1)" = 4 ]
	until_true cmp -s "$GUEST/in" "$GUEST/got.out"
	until_true eval '[ "$(<"$GUEST/got.err")" = problem ]'
	kill $(jobs -p) 2>/dev/null || true
	remove c1
}

@test "mmioblk: a disk by its name" {
	local name
	name=$(look 'for d in /sys/block/vd*; do [ "$(cat $d/size)" = 32768 ] && basename $d; done; true')
	run run_all c1 -e "storages { driver: \"mmioblk\" source: \"/dev/$name\" fstype: \"ext4\" mount_point: \"$SHARED/vol\" }" \
		-s "Mounts { destination: \"/vol\" source: \"$SHARED/vol\" type: \"bind\" options: \"rbind\" }" sh -c 'echo words >/vol/file'
	[ "$output" = "exit 0" ]
	[ "$(debugfs -R 'cat file' "$GUEST/disk" 2>/dev/null)" = words ]
	e2fsck -fn "$GUEST/disk"
	run container c1 -e "storages { driver: \"mmioblk\" source: \"/dev/vdz\" fstype: \"ext4\" mount_point: \"$SHARED/vol\" }" true
	echo "$output"
	[ "$status" -ne 0 ]
	has '/dev/vdz'
}

@test "namespaces: a container has its own, but the network is the guest's" {
	local inside outside ns
	container c1 sleep 1000 && start c1
	inside=$(in_container c1 'cd /proc/self/ns && for n in mnt pid ipc uts cgroup net user; do echo $n $(readlink $n); done')
	outside=$(look 'cd /proc/1/ns && for n in mnt pid ipc uts cgroup net user; do echo $n $(readlink $n); done')
	for ns in mnt pid ipc uts cgroup; do
		[ "$(grep "^$ns " <<<"$inside")" != "$(grep "^$ns " <<<"$outside")" ]
	done
	for ns in net user; do [ "$(grep "^$ns " <<<"$inside")" = "$(grep "^$ns " <<<"$outside")" ]; done
	run in_container c1 'echo /proc/[0-9]*; cat /proc/self/cgroup; ls /; mount | grep -c kata'
	echo "$output"
	has '/proc/1 '
	[[ $output != *'/proc/50 '* && $output != *init* ]]
	has '0::/'
	remove c1
}

@test "memory: beyond its limit a container is killed, and GetOOMEvent names it" {
	call GetOOMEvent '' 300000 >"$GUEST/oom" 3>&- &
	local waiter=$!
	container c1 -l 'Resources { Memory { Limit: 33554432 Swap: 33554432 } }' guest-look eat 100
	[ "$(look "cat $C/c1/memory.max")" = 33554432 ]
	start c1
	[ "$(wait_exit c1)" = 137 ]
	wait "$waiter"
	[ "$(<"$GUEST/oom")" = 'container_id: "c1"' ]
	remove c1
}

@test "processes and processor time: beyond the limits nothing forks, and time is taken away" {
	container c1 -l 'Resources { Pids { Limit: 5 } CPU { Quota: 5000 Period: 100000 Shares: 512 } }' sh -c 'while :; do :; done'
	start c1
	run look "cat $C/c1/pids.max $C/c1/cpu.max $C/c1/cpu.weight"
	[ "$output" = $'5\n5000 100000\n20' ]
	until_true eval '[ "$(look "awk \"/nr_throttled/ { print \\\$2 }\" $C/c1/cpu.stat")" -gt 2 ]'
	run call StatsContainer 'container_id: "c1"'
	[ "$(awk '/throttled_periods/ { print $2 }' <<<"$output")" -gt 2 ]
	quiet UpdateContainer 'container_id: "c1" resources { CPU { Quota: -1 } }'
	[ "$(look "cat $C/c1/cpu.max")" = "max 100000" ]
	run in_container c1 'exec 2>/dev/null; for i in 1 2 3 4; do sleep 1000 >/dev/null & done; echo all'
	[[ $output != *all* ]]
	remove c1
}

@test "pause, resume, update" {
	local before
	container c1 -s 'Mounts { destination: "/dev/shm" source: "/run/kata-containers/sandbox/shm" type: "bind" options: "rbind" }' \
		sh -c 'i=0; while :; do i=$((i + 1)); echo $i >/dev/shm/n; usleep 10000; done'
	start c1
	until_true look 'test -s /run/kata-containers/sandbox/shm/n'
	quiet PauseContainer 'container_id: "c1"'
	[ "$(look "grep -c 'frozen 1' $C/c1/cgroup.events")" = 1 ]
	before=$(look 'cat /run/kata-containers/sandbox/shm/n')
	sleep 0.5
	[ "$(look 'cat /run/kata-containers/sandbox/shm/n')" = "$before" ]
	quiet ResumeContainer 'container_id: "c1"'
	until_true eval '[ "$(look "cat /run/kata-containers/sandbox/shm/n")" -gt "$before" ]'
	quiet UpdateContainer 'container_id: "c1" resources { Memory { Limit: 50331648 } Pids { Limit: 44 } CPU { Shares: 2048 } }'
	run look "cat $C/c1/memory.max $C/c1/pids.max $C/c1/cpu.weight"
	[ "$output" = $'50331648\n44\n79' ]
	run call UpdateContainer 'container_id: "nobody" resources { Pids { Limit: 4 } }'
	[ "$status" -eq 69 ]
	remove c1
}

@test "statistics are those of the control group's files" {
	container c1 -l 'Resources { Memory { Limit: 67108864 } Pids { Limit: 9 } }' guest-look eat 20
	start c1
	quiet ReadStdout 'container_id: "c1" len: 10'
	run call StatsContainer 'container_id: "c1"'
	local usage
	usage=$(look "cat $C/c1/memory.current")
	python3 - "$usage" "$output" <<-'END'
		import re, sys
		usage, text = int(sys.argv[1]), sys.argv[2]
		memory = text[text.index("memory_stats"):]
		said = int(re.search(r"usage \{\s+usage: (\d+)", memory)[1])
		assert abs(usage - said) < 4 << 20 and said > 20 << 20, (usage, said)
		assert int(re.search(r"limit: (\d+)", memory)[1]) == 67108864
		pids = text[text.index("pids_stats"):]
		assert re.search(r"current: 1\s+limit: 9", pids), pids
		assert int(re.search(r"total_usage: (\d+)", text)[1]) > 0
	END
	remove c1
}

@test "system calls: a filter answers with an error or kills, the others pass" {
	local filter='Seccomp { DefaultAction: "SCMP_ACT_ALLOW" Architectures: "SCMP_ARCH_X86_64"'
	run run_all c1 -l "$filter Syscalls { Names: \"mkdir\" Names: \"mkdirat\" Action: \"SCMP_ACT_ERRNO\" errnoret: 28 } }" \
		sh -c 'grep Seccomp: /proc/self/status; mkdir /tmp/d 2>&1'
	echo "$output"
	[[ ${lines[0]} =~ ^Seccomp:.*2$ ]]
	has 'No space left on device'
	run run_all c1 -l "$filter Syscalls { Names: \"uname\" Action: \"SCMP_ACT_KILL_PROCESS\" } }" uname
	echo "$output"
	has 'exit 159' # SIGSYS
}

@test "rights: capabilities, no_new_privs, user, groups, limits of resources, score" {
	run run_all c1 -p "$(caps CAP_CHOWN CAP_KILL) NoNewPrivileges: true OOMScoreAdj: 321 Rlimits { Type: \"RLIMIT_NOFILE\" Soft: 77 Hard: 88 }" sh -c '
		grep -E "Cap(Bnd|Eff|Prm|Inh|Amb)|NoNewPrivs" /proc/self/status; cat /proc/self/oom_score_adj; ulimit -Sn; ulimit -Hn; chroot / true 2>&1'
	echo "$output"
	[ "$(grep -cE 'Cap(Bnd|Eff|Prm):.0000000000000021$' <<<"$output")" -eq 3 ]
	[ "$(grep -cE 'Cap(Inh|Amb):.0000000000000000$' <<<"$output")" -eq 2 ]
	has $'NoNewPrivs:\t1'
	has $'321\n77\n88'
	has 'Operation not permitted'
	run call CreateContainer "container_id: \"c1\" OCI { Version: \"1.0.2\" Process { User { UID: 1001 GID: 1002 AdditionalGids: 7 AdditionalGids: 8 }
		Args: \"id\" Env: \"PATH=/bin\" Cwd: \"/tmp\" } Root { Path: \"$TREE\" }
		Mounts { destination: \"/dev\" source: \"tmpfs\" type: \"tmpfs\" } Linux { CgroupsPath: \"/test/c1\" Namespaces { Type: \"mount\" } } }"
	echo "$output"
	start c1
	run output c1
	[ "$output" = 'uid=1001 gid=1002 groups=7,8' ]
	remove c1
}

@test "files: read-only root, masked and read-only paths, tmpfs with a size" {
	run run_all c1 -s 'Mounts { destination: "/tmp" source: "tmpfs" type: "tmpfs" options: "size=64k" options: "noexec" }' \
		-l 'MaskedPaths: "/proc/interrupts" MaskedPaths: "/proc/bus" ReadonlyPaths: "/proc/sys"' sh -c '
		touch /x 2>&1; wc -c </proc/interrupts; ls /proc/bus | wc -l; echo 1 2>&1 >/proc/sys/vm/panic_on_oom
		head -c 100000 /dev/zero >/tmp/big; stat -c %s /tmp/big; cp /bin/busybox /tmp/b 2>/dev/null; mount | grep -c "on /tmp type tmpfs (rw,noexec"'
	echo "$output"
	[ "$(grep -c 'Read-only file system' <<<"$output")" -eq 2 ]
	has $'\n0\n0\n'
	has $'\n65536\n1\n'
}

@test "user namespace: root inside is nobody outside" {
	# The image is the guest's, whose files root inside does not own.
	container c1 -l 'UIDMappings { HostID: 100000 ContainerID: 0 Size: 65536 } GIDMappings { HostID: 200000 ContainerID: 0 Size: 65536 }
		Namespaces { Type: "user" }' sleep 1000
	start c1
	run in_container c1 'id -u; cat /proc/self/uid_map /proc/self/gid_map | tr -s " "; touch /proc/sysrq-trigger 2>&1 >/dev/null; hostname evil 2>&1'
	echo "$output"
	[ "${lines[0]}" = 0 ]
	has ' 0 100000 65536'
	has ' 0 200000 65536'
	[ "$(look "for p in \$(grep -l '/c1\$' /proc/[0-9]*/cgroup); do awk '/^Uid/ { print \$2 }' \${p%/*}/status; done; true")" = 100000 ]
	remove c1
}

@test "sysctls are the namespace's" {
	run run_all c1 -l 'Sysctl { key: "kernel.msgmax" value: "9000" } Sysctl { key: "net.ipv4.ip_unprivileged_port_start" value: "80" }' \
		cat /proc/sys/kernel/msgmax /proc/sys/net/ipv4/ip_unprivileged_port_start
	[ "$output" = $'9000\n80\nexit 0' ]
	[ "$(look 'cat /proc/sys/kernel/msgmax')" != 9000 ] # the guest's own
}

@test "devices: the usual ones open, others do not" {
	run run_all c1 -p "$(caps CAP_MKNOD CAP_SYS_ADMIN)" -l 'Resources { Devices { Allow: false Access: "rwm" } Devices { Allow: true Type: "c" Major: 1 Minor: 3 Access: "rw" } }' \
		sh -c 'for d in null zero full random urandom tty; do test -c /dev/$d && echo -n "$d "; done; echo
		head -c 4 /dev/zero | wc -c; mknod /tmp/m c 1 11 2>&1; mknod /dev/shm-mem c 1 1 2>&1; head -c 1 /dev/shm-mem 2>&1' 
	echo "$output"
	has 'null zero full random urandom tty'
	has $'\n4\n'
	has 'not permitted'
}

@test "input: all of it, and its two ways to end" {
	local how
	for how in CloseStdin WriteStdin; do
		container c1 sh -c 'wc -c; echo end' && start c1
		[ "$(call WriteStdin "container_id: \"c1\" data: \"$(head -c 50000 /dev/zero | tr '\0' x)\"")" = "len: 50000" ]
		quiet $how 'container_id: "c1"'
		run output c1
		[ "$output" = $'50000\nend' ]
		remove c1
	done
}

@test "terminal: its size, and SIGWINCH when that changes" {
	container c1 -t sh -c 'stty -echo; trap "stty size; exit 6" WINCH; tty; echo ready; while :; do usleep 50000; done'
	start c1
	until_output c1 ready
	grep -q /dev/pts/0 "$GUEST/out"
	quiet TtyWinResize 'container_id: "c1" row: 41 column: 123'
	run output c1
	has '41 123'
	[ "$(wait_exit c1)" = 6 ]
	remove c1
	container c1 sleep 1000 && start c1
	run call TtyWinResize 'container_id: "c1" row: 1 column: 1'
	[ "$status" -eq 78 ] # UNAVAILABLE
	remove c1
}

@test "signals: handled, not handled, to all" {
	container c1 sh -c 'trap "echo one" USR1; trap "exit 9" TERM; echo ready; while :; do usleep 50000; done'
	start c1
	quiet ReadStdout 'container_id: "c1" len: 100'
	quiet SignalProcess 'container_id: "c1" exec_id: "c1" signal: 10'
	[[ $(call ReadStdout 'container_id: "c1" len: 100') == *one* ]]
	exec_in c1 e1 sleep 1000
	quiet SignalProcess 'container_id: "c1" exec_id: "e1" signal: 2'
	[ "$(wait_exit c1 e1)" = 130 ]
	quiet SignalProcess 'container_id: "c1" signal: 15'
	[ "$(wait_exit c1)" = 9 ]
	remove c1
	container c1 guest-look await
	start c1
	until_waits guest-look
	quiet SignalProcess 'container_id: "c1" signal: 15'
	[ "$(wait_exit c1)" = 7 ]
	remove c1
	container c1 sh -c 'sleep 1000 & sleep 1000' && start c1
	quiet SignalProcess 'container_id: "c1" signal: 9'
	[ "$(wait_exit c1)" = 137 ]
	[ -z "$(look "cat $C/c1/cgroup.procs")" ]
	remove c1
}

@test "files are copied in pieces, with their modes; links and folders, too" {
	local d=$SHARED/copied at
	head -c 2500000 /dev/urandom >"$GUEST/file"
	for at in 0 1048576 2097152; do
		printf 'path: "%s/a/file" file_size: 2500000 file_mode: 33248 dir_mode: 448 uid: 7 gid: 8 offset: %d data: "%s"' "$d" $at \
			"$(tail -c +$((at + 1)) "$GUEST/file" | head -c 1048576 | od -An -v -to1 | tr -d '\n' | tr ' ' '\\')" |
			protoc --encode=grpc.CopyFileRequest $PROTO |
			build/host/bin/agent-client $SOCKET grpc.AgentService CopyFile
	done
	quiet CopyFile "path: \"$d/link\" file_mode: 41471 data: \"a/file\""
	quiet CopyFile "path: \"$d/dir\" file_mode: 17407 uid: 3"
	run look "sha256sum <$d/link; stat -c '%u %g %a' $d/a/file $d/dir; stat -c %a $d/a; ls $d/a"
	echo "$output"
	[ "${lines[0]%% *}" = "$(sha256sum <"$GUEST/file" | cut -d' ' -f1)" ]
	[ "${lines[1]}" = "7 8 740" ]
	[ "${lines[2]}" = "3 0 1777" ]
	[ "${lines[3]}" = 700 ]
	[ "${lines[4]}" = file ]
}

@test "SetPolicy: another policy holds at once; the message that a container left" {
	quiet SetPolicy "policy: \"$(policy '{"GetDiagnosticDataRequest": true}' | sed 's/"/\\"/g')\""
	quiet CopyFile "path: \"$SHARED/message\" file_mode: 33206"
	container c1 -s "Annotations { key: \"io.kubernetes.container.terminationMessagePath\" value: \"/dev/termination-log\" }
		Mounts { destination: \"/dev/termination-log\" source: \"$SHARED/message\" type: \"bind\" options: \"rbind\" }" \
		sh -c 'echo last words >/dev/termination-log'
	start c1
	[ "$(wait_exit c1)" = 0 ]
	run call GetDiagnosticData 'log_type: "termination_log" container_id: "c1"'
	echo "$output"
	has 'last words'
	remove c1
}

@test "memory named by its address comes in, once" {
	local before after
	before=$(look 'awk "/MemTotal/ { print \$2 }" /proc/meminfo')
	quiet MemHotplugByProbe 'memHotplugProbeAddr: 402653184'
	quiet OnlineCPUMem 'wait: true nb_cpus: 1'
	after=$(look 'awk "/MemTotal/ { print \$2 }" /proc/meminfo')
	echo "before $before after $after"
	[ $((after - before)) -ge 120000 ]
	look 'cat /sys/devices/system/memory/memory3/state' | grep -q online
	container c1 /bin/guest-look eat 400 && start c1
	until_output c1 eaten
	remove c1
	run call MemHotplugByProbe 'memHotplugProbeAddr: 402653184'
	echo "$output"
	[ "$status" -eq 70 ] # ALREADY_EXISTS
	run call MemHotplugByProbe 'memHotplugProbeAddr: 402657280'
	[ "$status" -eq 67 ] # INVALID_ARGUMENT: not where a block of memory begins
}

@test "cycles leave nothing in the guest" {
	local n=20
	[ -z "${KIHON_FULL-}" ] || n=200
	state() { look 'awk "/RssAnon/ { print \$2 }" /proc/1/status; ls /proc/1/fd | wc -l; wc -l </proc/1/mounts; ls -d /sys/fs/cgroup/test/* | wc -l'; }
	look "cp -a $TREE /run/soak"
	build/host/bin/agent-soak cycles $SOCKET /run/soak test 2
	local before after
	before=($(state))
	build/host/bin/agent-soak cycles $SOCKET /run/soak test $n
	after=($(state))
	look 'rm -r /run/soak'
	echo "before ${before[*]} after ${after[*]}"
	[ "${after[0]}" -le $((before[0] + 64)) ]
	[ "${after[1]}" -le $((before[1] + 8)) ] # connections of the moment
	[ "${after[*]:2}" = "${before[*]:2}" ]
}

@test "SetPolicy: Rego is refused, and from then on everything is" {
	run call SetPolicy 'policy: "package agent_policy\ndefault CreateContainerRequest := true"'
	[ "$status" -eq 67 ]
	for method in GetMetrics CreateContainer DestroySandbox SetPolicy; do
		run call $method ''
		[ "$status" -eq 71 ]
	done
	build/host/bin/agent-client $SOCKET grpc.Health Check </dev/null >/dev/null
	kill -0 "$(<"$GUEST/pid")"
}
