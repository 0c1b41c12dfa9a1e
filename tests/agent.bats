#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The agent as an ordinary process in private namespaces, called over a unix socket with messages that
# protoc encodes. The containers are real; what they need of a whole guest is tested in guests.

load agent/box

setup_file() { box_make build/host/bin/agent-soak; }
setup() { box_check; }

@test "command line: help, version, unknown option, bad setting" {
	run "$AGENT" --version
	[ "$output" = "kihon-agent $(cat "$ROOT/VERSION")" ]
	run "$AGENT" --help
	[ "$status" -eq 0 ] && has --config
	run "$AGENT" --nonsense
	[ "$status" -eq 2 ] && [ "${#lines[@]}" -eq 1 ]
	echo 'log_level = "loud"' >"$BATS_TEST_TMPDIR/c"
	run "$AGENT" --config "$BATS_TEST_TMPDIR/c"
	[ "$status" -eq 1 ] && [ "${#lines[@]}" -eq 1 ] && has log_level=loud
	run "$AGENT" --server tcp://nowhere
	[ "$status" -eq 1 ] && [ "${#lines[@]}" -eq 1 ]
}

@test "health, version and details" {
	inside '
		agent_start
		build/host/bin/agent-client $SOCKET grpc.Health Check </dev/null | protoc --decode=grpc.HealthCheckResponse lib/rpc/proto/health.proto
		build/host/bin/agent-client $SOCKET grpc.Health Version </dev/null | protoc --decode=grpc.VersionCheckResponse lib/rpc/proto/health.proto
		call GetGuestDetails "mem_block_size: true mem_hotplug_probe: true"
		finish'
	has 'status: SERVING'
	has "agent_version: \"$(cat "$ROOT/VERSION")\""
	has 'supports_seccomp: true'
	has 'storage_handlers: "image_guest_pull"'
}

@test "every method of the protocol is answered" {
	inside '
		agent_start
		for m in $(sed -nE "s/^\trpc (\w+).*/\1/p" $PROTO); do
			case $m in DestroySandbox | SetPolicy | SetGuestDateTime) continue ;; esac # the clock is not ours to set
			call $m "" 500 >/dev/null 2>/run/err
			s=$?
			[ $s -eq 0 ] || [ $s -gt 64 ] || { echo "$m: $s"; cat /run/err; exit 1; }
			grep -q UNIMPLEMENTED /run/err && echo "$m: $(cat /run/err)"
		done
		finish'
	hasnt "StartContainer: UNIMPLEMENTED"
}

@test "the order of calls of a Kata runtime" {
	inside '
		agent_start
		sandbox || exit
		grep " /run/kata-containers/sandbox/shm " /proc/mounts
		quiet GetGuestDetails "mem_block_size: true mem_hotplug_probe: true" || exit
		container c2 sh -c "echo hi; echo oops >&2; exit 3" || exit
		start c2 || exit
		call GetOOMEvent "" 2000 2>/dev/null & oom=$!
		output c2 stderr c2 >/run/stderr & e=$!; output c2 "" c2 >/run/stdout
		wait $e
		echo "out $(cat /run/stdout) err $(cat /run/stderr)"
		echo "exit $(wait_exit c2 c2)"
		quiet SignalProcess "container_id: \"c2\" signal: 9"; echo "signal $?"
		wait_exit c2 c2; echo "second wait $?"
		remove c2; echo "remove $?"
		quiet RemoveStaleVirtiofsShareMounts; echo "stale $?"
		nothing_left || exit
		finish; echo "agent $?"
		grep kata-containers /proc/mounts; true'
	has 'noexec,relatime,size=65536k'
	has 'out hi err oops'
	has 'exit 3'
	has 'signal 0'
	has 'second wait 69' # NOT_FOUND
	has 'remove 0'
	has 'stale 0'
	has 'agent 0'
}

@test "both names of the init process, and the two ends of a stream" {
	inside '
		agent_start
		sandbox
		container c1 sh -c "echo one; read x; echo two; sleep 1000" && start c1
		call ReadStdout "container_id: \"c1\" len: 100"
		quiet WriteStdin "container_id: \"c1\" data: \"\\n\""
		call ReadStdout "container_id: \"c1\" exec_id: \"c1\" len: 100"
		quiet SignalProcess "container_id: \"c1\" exec_id: \"c1\" signal: 9"
		call ReadStdout "container_id: \"c1\" len: 100"; echo "end $?"
		finish
		rm /run/agent.sock
		agent_start "eof = \"empty\""
		sandbox
		container c1 echo one && start c1
		call ReadStdout "container_id: \"c1\" len: 100"
		call ReadStdout "container_id: \"c1\" len: 100"; echo "empty end $?"
		finish'
	has 'data: "one\n"'
	has 'data: "two\n"'
	has 'read meet eof'
	has 'end 77' # INTERNAL
	has 'empty end 0'
}

@test "exec: output, status, waiters, environment" {
	inside '
		agent_start
		sandbox
		container c1 sleep 1000 && start c1
		quiet ExecProcess "container_id: \"c1\" exec_id: \"e1\" process { User {} Args: \"/bin/sh\" Args: \"-c\" Args: \"echo in \$X; read y; exit 5\" Env: \"PATH=/bin\" Env: \"X=exec\" Cwd: \"/\" }" || exit
		before=$(settled agent_fds)
		wait_exit c1 e1 >/run/w1 & w1=$!; wait_exit c1 e1 >/run/w2 & w2=$!
		until_true eval "[ \$(agent_fds) -eq $((before + 2)) ]" && sleep 0.5
		quiet WriteStdin "container_id: \"c1\" exec_id: \"e1\" data: \"\\n\""
		wait $w1 $w2
		echo "waiters $(cat /run/w1 /run/w2 | tr "\n" " ")"
		wait_exit c1 e1; echo "later $?"
		output c1 "" e1
		quiet ExecProcess "container_id: \"c1\" exec_id: \"e2\" process { Args: \"/nonexistent\" Cwd: \"/\" }"; echo "missing $?"
		quiet ExecProcess "container_id: \"c1\" exec_id: \"e2\" process { Args: \"/bin/true\" Cwd: \"/\" }"; echo "again $?"
		quiet ExecProcess "container_id: \"c9\" exec_id: \"e3\" process { Args: \"/bin/true\" }"; echo "nowhere $?"
		remove c1; nothing_left || exit
		finish'
	has 'waiters 5 5'
	has 'later 69'
	has 'in exec'
	has 'missing 69'
	has 'nowhere 69'
}

@test "input, its two ways to end, and a program that does not read" {
	inside '
		agent_start
		sandbox
		for how in "CloseStdin" "WriteStdin"; do
			container c1 sh -c "cat; echo end" && start c1
			call WriteStdin "container_id: \"c1\" data: \"some input\\n\""
			quiet $how "container_id: \"c1\""; echo "$how $?"
			output c1
			wait_exit c1 >/dev/null; remove c1
		done
		container c1 sleep 1000 && start c1
		head -c 200000 /dev/zero | tr "\\0" x >/run/big
		call WriteStdin "container_id: \"c1\" data: \"$(cat /run/big)\"" 500; echo "full pipe $?"
		quiet SignalProcess "container_id: \"c1\" signal: 9"
		wait_exit c1 >/dev/null
		call WriteStdin "container_id: \"c1\" data: \"x\""; echo "dead $?"
		finish'
	has 'len: 11'
	has 'CloseStdin 0'
	has 'WriteStdin 0'
	[ "$(grep -c '^some input$' <<<"$output")" -eq 2 ]
	has 'full pipe 68' # DEADLINE_EXCEEDED
	has 'dead 73' # FAILED_PRECONDITION
}

@test "terminal: size, both directions, and none" {
	inside '
		agent_start
		sandbox
		container c1 -t sh -c "stty -echo; echo ready; read x; stty size; echo got \$x" && start c1
		call ReadStdout "container_id: \"c1\" len: 100"
		quiet TtyWinResize "container_id: \"c1\" row: 33 column: 77"; echo "resize $?"
		quiet WriteStdin "container_id: \"c1\" data: \"word\\n\""
		output c1
		echo "exit $(wait_exit c1)"
		remove c1
		container c1 sleep 1000 && start c1
		quiet TtyWinResize "container_id: \"c1\" row: 33 column: 77"; echo "no terminal $?"
		finish'
	has 'ready\r\n'
	has 'resize 0'
	has '33 77'
	has 'got word'
	has 'exit 0'
	has 'no terminal 78' # UNAVAILABLE
}

@test "signals: 128 and the number, SIGTERM nobody handles, all at once" {
	inside '
		agent_start
		sandbox
		container c1 sleep 1000 && start c1
		quiet SignalProcess "container_id: \"c1\" exec_id: \"c1\" signal: 15"
		echo "default $(wait_exit c1)"; remove c1
		container c1 sh -c "trap \"exit 9\" TERM; echo ready; while :; do sleep 0.1; done" && start c1
		quiet ReadStdout "container_id: \"c1\" len: 100"
		quiet SignalProcess "container_id: \"c1\" signal: 15"
		echo "handled $(wait_exit c1)"; remove c1
		container c1 sh -c "sleep 1000 & sleep 1000 & echo ready; wait" && start c1
		quiet ReadStdout "container_id: \"c1\" len: 100"
		quiet SignalProcess "container_id: \"c1\" signal: 9"; echo "all $?"
		echo "killed $(wait_exit c1)"
		quiet SignalProcess "container_id: \"c1\" signal: 99"; echo "no signal $?"
		remove c1; nothing_left || exit
		finish'
	has 'default 137'
	has 'handled 9'
	has 'all 0'
	has 'killed 137'
	has 'no signal 67'
}

@test "a lot of output arrives whole" {
	inside '
		agent_start
		sandbox
		container c1 sh -c "yes 0123456789abcdef | head -c 3000000" && start c1
		output c1 | sha256sum
		yes 0123456789abcdef | head -c 3000000 | sha256sum
		echo "exit $(wait_exit c1)"
		finish'
	[ "${lines[0]}" = "${lines[1]}" ]
	has 'exit 0'
}

@test "what fails leaves nothing" {
	inside '
		agent_start
		container c1 true; echo "no sandbox $?"
		quiet CreateSandbox "sandbox_id: \"sb\" storages { driver: \"initdata\" mount_point: \"/x\" }"; echo "init-data $?"
		: >/run/resolv.conf && mount --bind /run/resolv.conf /etc/resolv.conf
		quiet CreateSandbox "sandbox_id: \"sb\" dns: \"nameserver 192.0.2.1\" storages { driver: \"nonsense\" mount_point: \"/x\" }"; echo "bad sandbox $?"
		quiet CreateSandbox "sandbox_id: \"sb\" dns: \"nameserver 192.0.2.2\" storages { driver: \"nonsense\" mount_point: \"/x\" }"; echo "bad sandbox $?"
		cat /etc/resolv.conf
		sandbox
		sandbox; echo "second sandbox $?"
		container c1 /nonexistent; echo "no program $?"
		container c1 -e "storages { driver: \"nonsense\" mount_point: \"/x\" }" true; echo "no driver $?"
		container c1 -e "storages { driver: \"ephemeral\" fstype: \"tmpfs\" mount_point: \"/run/a\" } storages { driver: \"blk\" source: \"1g\" mount_point: \"/run/b\" }" true; echo "no device $?"
		container c1 -e "storages { driver: \"virtio-fs\" source: \"nothing\" fstype: \"virtiofs\" mount_point: \"/run/c\" }" true; echo "no share $?"
		container c1 -e "storages { driver: \"ephemeral\" fstype: \"tmpfs\" options: \"loop\" mount_point: \"/run/c\" }" true; echo "loop $?"
		container ../evil true; echo "bad id $?"
		container c1 sleep 1000 && container c1 true; echo "twice $?"
		start c1 && start c1; echo "started twice $?"
		remove c1
		grep -E " /run/[abc] " /proc/mounts
		nothing_left || exit
		finish'
	has 'no sandbox 73'
	has 'second sandbox 70'
	[ "$(grep -c '^bad sandbox 67$' <<<"$output")" -eq 2 ]
	has 'init-data 76'
	has 'nameserver 192.0.2.2'
	has 'no program 69'
	has 'no driver 67'
	has 'no device 67'
	has 'loop 67'
	has 'bad id 67'
	has 'twice 70'
	has 'started twice 73'
	hasnt ' /run/a '
}

@test "shared namespaces: host name and shared memory; processes are apart" {
	inside '
		agent_start
		call CreateSandbox "sandbox_id: \"sb\" hostname: \"pod-name\""
		run_all c1 sh -c "hostname; ls -l /proc/self/ns/ipc; echo pid \$\$"
		run_all c2 sh -c "hostname; ls -l /proc/self/ns/ipc; echo pid \$\$"
		hostname
		finish'
	[ "$(grep -c '^pod-name$' <<<"$output")" -eq 2 ]
	[ "$(grep -o 'ipc:\[[0-9]*\]' <<<"$output" | sort -u | wc -l)" -eq 1 ]
	[ "$(grep -c '^pid 1$' <<<"$output")" -eq 2 ]
}

@test "images: pulled by another user, layers shared, defaults taken, nothing left" {
	inside '
		agent_start "image_puller = \"$PULLER\""
		sandbox
		image() { # ID REFERENCE [FIELDS OF THE PROCESS]
			quiet CreateContainer "container_id: \"$1\" storages { driver: \"image_guest_pull\" source: \"$2\"
				fstype: \"overlay\" mount_point: \"/run/kata-containers/$1/rootfs\" }
				OCI { Version: \"1.0.2\" Process { User {} Env: \"BOTH=spec\" ${3-} } Root { Path: \"/run/kata-containers/$1/rootfs\" }
				Annotations { key: \"io.kihon.image-defaults\" value: \"true\" }
				Mounts { destination: \"/proc\" source: \"proc\" type: \"proc\" }
				Linux { CgroupsPath: \"/$TAG/$1\" Namespaces { Type: \"mount\" } } }"
		}
		image c1 good/1 && start c1 && output c1
		image c2 two/2 "Args: \"env; cat /proc/mounts; echo x >/written; cat /written; printf cwd; ls -d \$PWD\"" && start c2 && output c2
		echo "uid $(cat /run/kata-containers/image/uid)"
		stat -c "owner %u mode %a" /run/kata-containers/image/layer-1.erofs
		echo "layers $(grep -c " /run/kata-containers/layers/" /proc/mounts)"
		remove c1
		echo "layers $(grep -c " /run/kata-containers/layers/" /proc/mounts)"
		remove c2
		for bad in bad/x garbage/x endless/x outside/x link/x size/x broken/x; do
			image c3 $bad "Args: \"true\""; echo "$bad $?"
		done
		nothing_left || exit
		finish
		losetup -a | grep kata-containers; true'
	has 'the image says so'
	has FROM=image
	has BOTH=spec
	hasnt BOTH=image
	has 'overlay / overlay rw'
	has 'cwd/tmp'
	has 'uid 900'
	has 'owner 0 mode 444'
	has $'layers 2\nlayers 2'
	has 'fake-puller: no such image: bad/x'
	has 'bad/x 77'
	has 'garbage/x 67'
	has 'is not in the store'
	has 'link/x '
	has 'is not the file that was announced'
	hasnt 'size/x 0'
	hasnt 'broken/x 0'
	hasnt 'link/x 0'
	hasnt 'outside/x 0'
}

@test "a client that goes away takes its calls along, and nothing else" {
	inside '
		agent_start "image_puller = \"$PULLER\""
		sandbox
		container c1 sleep 1000 && start c1
		for m in WaitProcess ReadStdout; do
			call $m "container_id: \"c1\" len: 1" >/dev/null 2>&1 &
			until_true pgrep -x agent-client >/dev/null
			sleep 0.2; pkill agent-client; wait $!
		done
		call CreateContainer "container_id: \"c2\" storages { driver: \"image_guest_pull\" source: \"slow/x\" mount_point: \"/run/kata-containers/c2/rootfs\" }
			OCI { Process { Args: \"true\" } Root { Path: \"/\" } Linux {} }" 700; echo "slow $?"
		sleeping() { ps -eo comm,args | grep -c "^sleep .*sleep 1000"; }
		until_true eval "[ \$(sleeping) -eq 1 ]"
		echo "sleeping $(sleeping)"
		quiet SignalProcess "container_id: \"c1\" signal: 9"; echo "alive $?"
		echo "killed $(wait_exit c1)"
		remove c1
		nothing_left || exit
		finish'
	has 'slow 68'
	has 'sleeping 1' # the puller is gone
	has 'alive 0'
	has 'killed 137'
}

@test "storages: ephemeral, local, overlayfs, counted over containers" {
	inside '
		agent_start
		sandbox
		mkdir -p /run/low /run/kata-containers/shared/containers
		echo lower >/run/low/file
		s="storages { driver: \"ephemeral\" source: \"tmpfs\" fstype: \"tmpfs\" options: \"size=1m\" options: \"fsgid=77\" mount_point: \"/run/e\" }
		   storages { driver: \"local\" options: \"mode=0750\" mount_point: \"/run/l\" }
		   storages { driver: \"overlayfs\" source: \"overlay\" fstype: \"overlay\" options: \"lowerdir=/run/low\" options: \"io.katacontainers.fs-opt.overlay-rw\" mount_point: \"/run/o\" }"
		container c1 -e "$s" sleep 1000 || exit
		stat -c "%n %g %a" /run/e /run/l
		grep -E " /run/[eo] " /proc/mounts
		cat /run/o/file; echo new >/run/o/new && cat /run/kata-containers/c1/upper/new
		container c2 -e "$s" sleep 1000 || exit
		remove c1; echo "one gone: $(grep -cE " /run/[eo] " /proc/mounts)"
		call UpdateEphemeralMounts "storages { driver: \"ephemeral\" source: \"tmpfs\" fstype: \"tmpfs\" options: \"size=2m\" options: \"nosuid\" mount_point: \"/run/e\" }" && grep " /run/e " /proc/mounts
		remove c2; echo "both gone: $(grep -cE " /run/[eo] " /proc/mounts)"
		nothing_left || exit
		finish'
	has '/run/e 77 '
	has '/run/l 0 750'
	has 'size=1024k'
	has lower
	has new
	has 'one gone: 2'
	has 'nosuid,relatime,size=2048k'
	has 'both gone: 0'
}

@test "a small shared volume is followed by a copy, a large one is bound" {
	inside '
		agent_start
		sandbox
		mkdir -p /run/share/..1 /run/large
		echo one >/run/share/..1/key; ln -s ..1 /run/share/..data; ln -s ..data/key /run/share/key
		touch /run/large/{1..17}
		w=/run/kata-containers/shared/containers/watchable
		s="storages { driver: \"watchable-bind\" source: \"/run/share\" fstype: \"bind\" mount_point: \"$w/small\" }
		   storages { driver: \"watchable-bind\" source: \"/run/large\" fstype: \"bind\" mount_point: \"$w/large\" }"
		container c1 -e "$s" sleep 1000 || exit
		echo "first $(cat $w/small/key)"; ls $w/large | wc -l
		mkdir /run/share/..2; echo two >/run/share/..2/key
		ln -s ..2 /run/share/.new; mv -T /run/share/.new /run/share/..data; rm -r /run/share/..1
		touch /run/large/18
		until_true eval "[ \"\$(cat $w/small/key)\" = two ] && [ ! -e $w/small/..1 ] && [ \$(ls $w/large | wc -l) -eq 18 ]"
		echo "then $(cat $w/small/key)"; ls $w/large | wc -l; ls -A $w/small | tr "\n" " "
		remove c1; echo "gone: $(grep -c watchable /proc/mounts)"
		nothing_left || exit
		finish'
	has 'first one'
	has $'\n17\n'
	has 'then two'
	has $'\n18\n'
	has '..2 ..data key '
	has 'gone: 0'
}

@test "files are copied into the shared folder, and nowhere else" {
	inside '
		agent_start
		sandbox
		d=/run/kata-containers/shared/containers
		piece() { quiet CopyFile "path: \"$1\" file_size: 11 file_mode: 33188 dir_mode: 493 uid: 7 gid: 8 offset: $2 data: \"$3\""; }
		piece $d/a/b/file 0 "hello "; ls -A $d/a/b
		piece $d/a/b/file 6 world; cat $d/a/b/file; echo; stat -c "%u %g %a" $d/a/b/file
		quiet CopyFile "path: \"$d/link\" file_mode: 41471 data: \"/etc\""; readlink $d/link
		quiet CopyFile "path: \"$d/dir\" file_mode: 16832 uid: 3"; stat -c "%F %u %a" $d/dir
		piece /etc/evil 0 x; echo "outside $?"
		piece $d/../../../etc/evil 0 x; echo "dots $?"
		piece $d/link/evil 0 x; ls /etc/evil* 2>/dev/null && echo escaped; echo "through a link $(ls $d/etc 2>/dev/null)"
		quiet CopyFile "path: \"$d/big\" file_size: 5 file_mode: 33188 data: \"123456\""; echo "too much $?"
		quiet CopyFile "path: \"$d/neg\" file_size: 5 offset: -1 file_mode: 33188 data: \"1\""; echo "negative $?"
		finish'
	has '.file.kihon-part'
	has 'hello world'
	has '7 8 644'
	has $'\n/etc\n'
	has 'directory 3 700'
	has 'outside 67'
	has 'dots 67'
	hasnt escaped
	has 'too much 67'
	has 'negative 67'
}

@test "network calls, compared with ip" {
	inside '
		agent_start
		ip link add dm0 type veth peer name dm1 || { echo "no veth links"; exit 0; }
		ip link set dm1 up
		mac=$(ip -o link show dm0 | sed -E "s/.*ether ([0-9a-f:]+).*/\1/")
		call UpdateInterface "interface { device: \"eth0\" name: \"eth0\" IPAddresses { address: \"192.0.2.5\" mask: \"24\" } mtu: 1400 hwAddr: \"$mac\" }"
		ip -4 addr show eth0
		call UpdateRoutes "routes { Routes { dest: \"\" gateway: \"192.0.2.1\" device: \"eth0\" } Routes { dest: \"198.51.100.0/24\" device: \"eth0\" scope: 253 } }"
		ip route
		quiet AddARPNeighbors "neighbors { ARPNeighbors { toIPAddress { address: \"192.0.2.9\" } device: \"eth0\" lladdr: \"02:00:00:00:00:09\" state: 128 } }"
		ip neigh
		call ListInterfaces
		call UpdateInterface "interface { name: \"eth9\" hwAddr: \"02:99:99:99:99:99\" }"; echo "missing $?"
		finish'
	[[ $output == *"no veth links"* ]] && skip "no veth network links"
	has 'inet 192.0.2.5/24'
	has 'mtu 1400'
	has 'default via 192.0.2.1 dev eth0'
	has '198.51.100.0/24 dev eth0'
	has '192.0.2.9 dev eth0 lladdr 02:00:00:00:00:09 PERMANENT'
	has 'name: "eth0"'
	hasnt 'missing 0'
}

@test "statistics and metrics" {
	inside '
		agent_start
		sandbox
		container c1 sh -c "i=0; while [ \$i -lt 20000 ]; do i=\$((i+1)); done; sleep 1000" && start c1
		until_true eval "call StatsContainer \"container_id: \\\"c1\\\"\" | grep -q total_usage"
		call StatsContainer "container_id: \"c1\"" | grep -A4 -E "cpu_usage|network_stats"
		call GetMetrics | sed "s/\\\\n/\n/g" | grep -E "^# TYPE" | sort | uniq -c
		call GetVolumeStats "volume_guest_path: \"/run\""
		finish'
	has 'total_usage: '
	has 'name: "lo"'
	for m in agent_scrape_count agent_threads agent_total_time agent_total_vm agent_total_rss agent_proc_status \
		agent_io_stat agent_proc_stat guest_load guest_tasks guest_cpu_time guest_vm_stat guest_netdev_stat \
		guest_diskstat guest_meminfo guest_filesystem_bytes guest_filesystem_inodes; do
		has "# TYPE kata_$m "
	done
	has 'unit: BYTES'
	has 'unit: INODES'
}

@test "memory is small when idle, and SIGTERM ends the agent" {
	[ -z "${KIHON_TEST_AGENT-}" ] || skip "this agent is made to need more memory"
	inside '
		agent_start
		build/host/bin/agent-client $SOCKET grpc.Health Check </dev/null >/dev/null
		awk "/RssAnon/ { print \"anon\", \$2 }" /proc/$AGENT_PID/status
		kill $AGENT_PID; wait $AGENT_PID; echo "exit $?"'
	has 'exit 0'
	[ "$(sed -n 's/^anon //p' <<<"$output")" -le 512 ]
}

@test "policy: from a file, from the host, and one that cannot be read" {
	inside '
		cat >/run/policy.json <<-END
			{"schema": 1, "allow": {"CreateSandboxRequest": true, "DestroySandboxRequest": true, "SetPolicyRequest": true,
			 "StartContainerRequest": true, "RemoveContainerRequest": true,
			 "CreateContainerRequest": [{"name": "only true", "where": {"OCI/Process/Args": ["true"], "storages": {"absent": true}}}]}}
		END
		agent_start "policy_file = \"/run/policy.json\""
		sandbox; echo "sandbox $?"
		container c1 true; echo "allowed $?"
		container c2 sleep 1; echo "denied $?"
		call GetMetrics >/dev/null; echo "unnamed $?"
		build/host/bin/agent-client $SOCKET grpc.Health Check </dev/null >/dev/null; echo "health $?"
		call SetPolicy "policy: \"{\\\"schema\\\": 1, \\\"allow\\\": {\\\"GetMetricsRequest\\\": true, \\\"SetPolicyRequest\\\": true}}\""; echo "set $?"
		call GetMetrics >/dev/null; echo "named $?"
		call SetPolicy "policy: \"package agent_policy\\ndefault CreateContainerRequest := true\""; echo "rego $?"
		call GetMetrics >/dev/null; echo "closed $?"
		kill $AGENT_PID; wait $AGENT_PID; rm /run/agent.sock
		echo "{" >/run/policy.json
		agent_start "policy_file = \"/run/policy.json\""
		sandbox; echo "broken $?"
		kill $AGENT_PID; wait $AGENT_PID'
	has 'sandbox 0'
	has 'allowed 0'
	has 'denied 71' # PERMISSION_DENIED
	has 'rule "only true": OCI/Process/Args does not match'
	has 'unnamed 71'
	has 'health 0'
	has 'set 0'
	has 'named 0'
	has 'rego 67'
	has 'closed 71'
	has 'broken 71'
}

@test "log port: JSON lines to who connects, and back again" {
	inside '
		agent_start "log_vport = 1025" "log_level = \"debug\""
		sleep 1000 | tests/agent/port-client.py /run/agent.sock.1025 >/run/records & c=$!
		sandbox
		until_true eval "run_all c1 true >/dev/null && [ \$(grep -c . /run/records) -gt 1 ]"
		kill $c; pkill port-client; sleep 0.2
		container c3 true
		python3 -c "import json; r = [json.loads(l) for l in open(\"/run/records\")]; print(sorted({x[\"source\"] for x in r}), len(r) > 1)"
		grep -c "no container\|process .*c1. of c1" /run/agent.log
		finish'
	has "['agent'] True"
}

@test "debug console: a shell on a pty, gone with its connection" {
	inside '
		agent_start "debug_console = true" "debug_console_vport = 1026"
		printf "tty | sed s,^,on,; echo num \$((6*7)); exit\\n" | tests/agent/port-client.py /run/agent.sock.1026 >/run/out
		grep -ao "on/dev/pts/[0-9]\|^num 42" /run/out
		sleep 1000 | tests/agent/port-client.py /run/agent.sock.1026 >/dev/null &
		until_count 2 "debug console was opened" /run/agent.log
		echo "shells $(pgrep -P $AGENT_PID | wc -l)"
		pkill -f port-client
		until_true never pgrep -P $AGENT_PID
		echo "shells $(pgrep -P $AGENT_PID | wc -l)"
		finish'
	has 'num 42'
	has on/dev/pts/
	has $'shells 1\nshells 0'
}

@test "streams by connections of the host" {
	inside '
		agent_start "passfd_listener_port = 1027" "log_level = \"debug\""
		sandbox
		p=/run/agent.sock.1027
		head -c 2000000 /dev/urandom >/run/in
		tests/agent/port-client.py $p kihon-1 </run/in >/dev/null &
		sleep 1000 | tests/agent/port-client.py $p kihon-2 >/run/out & o=$!
		sleep 1000 | tests/agent/port-client.py $p kihon-3 >/run/err & e=$!
		until_count 3 "a stream connection" /run/agent.log
		container c1 -e "stdin_port: 1 stdout_port: 2 stderr_port: 3" sh -c "cat; echo problem >&2; exit 4" && start c1
		echo "exit $(wait_exit c1)"
		pkill sleep; wait $o $e
		cmp /run/in /run/out && echo same; cat /run/err
		remove c1
		container c1 -e "stdout_port: 9" true; echo "nobody there $?"
		finish'
	has 'exit 4'
	has same
	has problem
	has 'nobody there 69'
}

@test "cycles leave no growth behind, and a thousand calls wait at once" {
	[ -z "${KIHON_TEST_AGENT-}" ] || skip "this agent is made to need more memory"
	inside '
		agent_start
		sandbox
		state() { echo "$(awk "/RssAnon/ { print \$2 }" /proc/$AGENT_PID/status) $(ls /proc/$AGENT_PID/fd | wc -l) $(wc -l </proc/mounts) $(ps -e | wc -l)"; }
		build/host/bin/agent-soak cycles $SOCKET $TREE $TAG 20 >/dev/null || exit
		before=$(settled state)
		build/host/bin/agent-soak cycles $SOCKET $TREE $TAG 100 || exit
		echo "before $before"
		echo "after $(settled state)"
		container c1 sleep 1000 && start c1
		build/host/bin/agent-soak blocked $SOCKET c1 1000 >/dev/null; echo "blocked $?"
		remove c1
		nothing_left || exit
		finish'
	has 'blocked 0'
	read -r _ b_kb b_fd b_mounts b_ps < <(grep ^before <<<"$output")
	read -r _ a_kb a_fd a_mounts a_ps < <(grep ^after <<<"$output")
	[ "$a_fd" -le "$b_fd" ] && [ "$a_mounts" -eq "$b_mounts" ] && [ "$a_ps" -eq "$b_ps" ]
	[ "$a_kb" -le $((b_kb + 64)) ]
}

@test "without descriptors or memory the answer is an error, and the agent lives" {
	[ -z "${KIHON_TEST_AGENT-}" ] || skip "this agent is made to need more memory"
	inside '
		agent_start
		sandbox
		container c1 sleep 1000 && start c1
		prlimit --pid $AGENT_PID --nofile=$(($(settled agent_fds) + 2)):
		container c2 true; echo "no descriptors $?"
		quiet ExecProcess "container_id: \"c1\" exec_id: \"e1\" process { Args: \"/bin/true\" Cwd: \"/\" }"; echo "no descriptors $?"
		prlimit --pid $AGENT_PID --nofile=1024:
		quiet ExecProcess "container_id: \"c1\" exec_id: \"e1\" process { Args: \"/bin/true\" Cwd: \"/\" }"; echo "again $?"
		wait_exit c1 e1
		vm=$(awk "/VmSize/ { printf \"%d\", \$2 * 1024 }" /proc/$AGENT_PID/status)
		prlimit --pid $AGENT_PID --as=$((vm + 200000)):
		head -c 2000000 /dev/zero | tr "\\0" x >/run/big
		call CopyFile "path: \"/run/kata-containers/shared/containers/x\" file_size: 2000000 file_mode: 33188 data: \"$(cat /run/big)\"" >/dev/null; echo "no memory $?"
		prlimit --pid $AGENT_PID --as=unlimited:
		printf "path: \"/run/kata-containers/shared/containers/x\" file_size: 100000 file_mode: 33188 data: \"%s\"" "$(head -c 100000 /run/big)" >/run/text
		quiet CopyFile "$(cat /run/text)"; echo "memory $?"
		remove c1
		nothing_left || exit
		finish; echo "agent $?"'
	[ "$(grep -c '^no descriptors [1-9]' <<<"$output")" -eq 2 ]
	has 'again 0'
	hasnt 'no memory 0'
	has 'memory 0'
	has 'agent 0'
}

@test "hooks of the guest's own image run around a container" {
	inside '
		agent_start
		mkdir -p /run/hooks/{prestart,poststart,poststop}
		for h in prestart poststart poststop; do
			printf "#!/bin/sh\n(echo; echo \"point \$1\"; cat) >>/run/hooks/log\n" >/run/hooks/$h/10-log
			chmod 755 /run/hooks/$h/10-log
			echo "not executable" >/run/hooks/$h/20-text
		done
		quiet CreateSandbox "sandbox_id: \"sb\" guest_hook_path: \"/run/hooks\""
		container c1 sleep 1000 && start c1
		until_count 1 "point poststart" /run/hooks/log
		remove c1
		cat /run/hooks/log
		nothing_left || exit
		finish'
	tr -d ' \n' <<<"$output" | grep -E 'pointprestart.*"status":"creat.*pointpoststart.*"status":"running".*pointpoststop.*"status":"stopped"'
}

@test "a volume grows with its device" {
	command -v mkfs.ext4 >/dev/null || skip "mkfs.ext4 is not installed"
	inside '
		agent_start
		sandbox
		truncate -s 32M /run/disk && mkfs.ext4 -q /run/disk && mkdir /run/vol
		mount -o loop /run/disk /run/vol || { echo "no loop devices"; exit 0; }
		truncate -s 64M /run/disk && losetup -c "$(findmnt -no SOURCE /run/vol)"
		call GetVolumeStats "volume_guest_path: \"/run/vol\"" | grep -m1 total
		quiet ResizeVolume "volume_guest_path: \"/run/vol\" size: 67108864"; echo "resize $?"
		call GetVolumeStats "volume_guest_path: \"/run/vol\"" | grep -m1 total
		quiet ResizeVolume "volume_guest_path: \"/run/vol\" size: 1000000"; echo "shrink $?"
		quiet ResizeVolume "volume_guest_path: \"/run\" size: 1099511627776"; echo "tmpfs $?"
		umount /run/vol
		finish'
	[[ $output == *"no loop devices"* ]] && skip "no loop devices"
	[[ $output == *"growing volume"*"not permitted"* ]] && skip "ext4 grows only with CAP_SYS_RESOURCE"
	has 'resize 0'
	has 'shrink 67'
	has 'tmpfs 76'
	[ "$(sed -n 's/ *total: //p' <<<"$output" | sort -nu | wc -l)" -eq 2 ]
}
