#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What Kata's agent does, by the expectations of its own unit tests and by what its runtimes send, where a recorded run
# does not show it: CopyFile in all combinations, storages as the Go runtime words them, network calls, requests that
# lack a part. And requests that mean ill: each ends with one line and changes nothing. The agent is an ordinary process.

load agent/box

setup_file() { box_make; }
setup() { box_check; }

# What the tests inside begin with: an agent with a sandbox; try METHOD TEXT: "name: status", where the error is one line.
BEGIN='
	agent_start
	sandbox
	d=/run/kata-containers/shared/containers
	try() {
		local out status
		out=$(quiet "$2" "$3" 2>&1)
		status=$?
		[ "$(wc -l <<<"$out")" -eq 1 ] || echo "$1: more than a line"
		[ "$status" -eq 0 ] || [ -n "$out" ] || echo "$1: no words"
		echo "$1: $status"
	}
	# bare ID PROCESS LINUX SPEC REQUEST: CreateContainer with hardly anything but these fields.
	bare() {
		quiet CreateContainer "container_id: \"$1\" ${5-} OCI { Version: \"1.0.2\" Root { Path: \"$TREE\" } ${4-}
			Process { User {} ${2-Args: \"true\" Cwd: \"/\"} }
			Linux { CgroupsPath: \"/$TAG/$1\" Namespaces { Type: \"mount\" } ${3-} } }"
	}
	# refused NAME ARGUMENT...: as bare; nothing may come of it.
	refused() {
		local out status name=$1
		shift
		out=$(bare c9 "$@" 2>&1)
		status=$?
		[ "$(wc -l <<<"$out")" -eq 1 ] || echo "$name: more than a line"
		echo "$name: $status"
		[ "$status" -ne 0 ] || remove c9
	}
'

@test "CopyFile: files, folders and links take each other's place" {
	inside "$BEGIN"'
		copy() { try "$1" CopyFile "path: \"$d/$2\" file_mode: $3 ${4-}"; }
		what() { stat -c "%F %a" "$d/$1"; }
		file=33188 folder=16877 link=41471
		copy empty f $file; what f
		copy again f 33152 "data: \"Hello!\" file_size: 6"; what f; cat $d/f; echo
		copy parents a/b $file "dir_mode: 493"; what a
		copy "old parent" a/c 33169 "dir_mode: 448"; what a; what a/c
		copy "folder over file" a/b $folder; what a/b
		touch $d/a/b/x; mkdir -p $d/a/b/y/z
		copy "file over folder" a/b $file; what a/b
		copy "folder again" a 16873; what a; ls $d/a
		copy "link" a/link $link "data: \"/etc/passwd\""; readlink $d/a/link
		copy "link over link" a/link $link "data: \"/etc\""; readlink $d/a/link
		copy "file over link" a/link 33152 "data: \"Hello!\" file_size: 6"; what a/link
		mkdir -p $d/full/of/things
		copy "link over folder" full $link "data: \"a\""; readlink $d/full
		copy "folder over link" full $folder; what full
		copy "set-id folder" x/y 17912 "dir_mode: 2029 uid: 4 gid: 5"; what x/y; stat -c "%u %g" $d/x/y
		copy "set-id file" x/s 36333 "uid: 4"; what x/s
		copy "trailing slash" x/z/ $folder; what x/z
		copy "dots in names" "x/..data..1/f.." $file; ls -A $d/x
		copy "first half" x/chunked $file "data: \"Hello \" file_size: 11"; ls $d/x/chunked 2>/dev/null
		copy "second half" x/chunked $file "data: \"World\" offset: 6 file_size: 11"; cat $d/x/chunked; echo
		copy "a.tmp" v/a.tmp $file "data: \"kept\" file_size: 4"; copy "a" v/a $file "data: \"ab\" file_size: 2"; cat $d/v/a.tmp; echo
		long=$(printf %0255d 0)
		copy "long half" "v/$long" $file "data: \"12\" file_size: 3"; copy "long rest" "v/$long" $file "data: \"3\" offset: 2 file_size: 3"
		cat "$d/v/$long"; echo; ls -A $d/v | wc -l
		finish' | tee "$BATS_TEST_TMPDIR/out"
	diff - <(grep -v '^STATUS' "$BATS_TEST_TMPDIR/out") <<-'END'
		empty: 0
		regular empty file 644
		again: 0
		regular file 600
		Hello!
		parents: 0
		directory 755
		old parent: 0
		directory 755
		regular empty file 621
		folder over file: 0
		directory 755
		file over folder: 0
		regular empty file 644
		folder again: 0
		directory 751
		b
		c
		link: 0
		/etc/passwd
		link over link: 0
		/etc
		file over link: 0
		regular file 600
		link over folder: 0
		a
		folder over link: 0
		directory 755
		set-id folder: 0
		directory 2770
		4 5
		set-id file: 0
		regular empty file 6755
		trailing slash: 0
		directory 755
		dots in names: 0
		..data..1
		s
		y
		z
		first half: 0
		second half: 0
		Hello World
		a.tmp: 0
		a: 0
		kept
		long half: 0
		long rest: 0
		123
		3
	END
}

@test "CopyFile: what leads out, is no file, or is in the way" {
	inside "$BEGIN"'
		copy() { try "$1" CopyFile "path: \"$2\" file_mode: ${3-33188} ${4-}"; }
		mkdir -p $d/v /run/outside
		ln -s /run/outside $d/out; ln -s /nowhere $d/dangling; ln -s ../../../../../.. $d/up
		copy outside /etc/evil
		copy beside /run/kata-containers/shared/containersx/evil
		copy dots $d/../evil
		copy "dots within" $d/a/../b
		copy "dots at the end" $d/v/.. 16877
		copy "the folder itself" $d 16877
		copy "itself, with a slash" $d/ 16877
		copy "dot" $d/. 16877
		copy "too long a name" $d/$(printf %0256d 0)
		copy "zero byte" "$d/a\\000b"
		copy fifo $d/fifo 4516
		copy device $d/device 8612 "data: \"x\""
		copy socket $d/socket 49572
		copy "no target" $d/l1 41471
		copy "zero byte in a target" $d/l2 41471 "data: \"a\\000b\""
		copy "more than announced" $d/big 33188 "file_size: 5 data: \"123456\""
		copy "before the start" $d/neg 33188 "file_size: 5 offset: -1 data: \"1\""
		copy "negative size" $d/neg 33188 "file_size: -5"
		copy "beyond all numbers" $d/neg 33188 "file_size: 9223372036854775807 offset: 9223372036854775807 data: \"1\""
		copy "through a dangling link" $d/dangling/f
		copy "through a link" $d/out/f; ls /run/outside
		copy "up and up" $d/up/f; ls /f /run/f 2>/dev/null
		# What a container that may write to the folder puts in the way of the pieces.
		copy half $d/v/a 33188 "file_size: 3 data: \"ab\""
		rm $d/v/.a.kihon-part; mkfifo $d/v/.a.kihon-part
		copy "a fifo in the way" $d/v/a 33188 "file_size: 3 offset: 2 data: \"c\""
		rm $d/v/.a.kihon-part; ln -s /run/outside/evil $d/v/.a.kihon-part
		copy "a link in the way" $d/v/a 33188 "file_size: 3 offset: 2 data: \"c\""
		copy "from the start" $d/v/a 33188 "file_size: 3 data: \"abc\""; cat $d/v/a; echo; ls -A /run/outside
		call GetGuestDetails >/dev/null && echo alive
		ls -A $d; find /etc /run -name evil
		finish' >"$BATS_TEST_TMPDIR/out"
	diff - "$BATS_TEST_TMPDIR/out" <<-'END'
		outside: 67
		beside: 67
		dots: 67
		dots within: 67
		dots at the end: 67
		the folder itself: 67
		itself, with a slash: 67
		dot: 67
		too long a name: 67
		zero byte: 67
		fifo: 67
		device: 67
		socket: 67
		no target: 67
		zero byte in a target: 67
		more than announced: 67
		before the start: 67
		negative size: 67
		beyond all numbers: 67
		through a dangling link: 69
		through a link: 69
		up and up: 0
		half: 0
		a fifo in the way: 77
		a link in the way: 77
		from the start: 0
		abc
		alive
		dangling
		f
		out
		up
		v
	END
}

@test "storages: several options in one string, as the Go runtime sends huge pages" {
	inside "$BEGIN"'
		e=/run/kata-containers/sandbox/ephemeral
		container c1 -e "storages { driver: \"ephemeral\" source: \"tmpfs\" fstype: \"tmpfs\" mount_point: \"$e/t\"
			options: \"size=1m,mode=700,,nosuid\" options: \"fsgid=5,noexec\" }" true; echo "tmpfs $?"
		grep "$e/t" /proc/mounts; stat -c "%g %a" $e/t
		# An option of the agent keeps its commas, and so does a quoted word.
		container c2 -e "storages { driver: \"ephemeral\" source: \"tmpfs\" fstype: \"tmpfs\" mount_point: \"$e/x\"
			options: \"X-kata.what=a,size=junk\" }" true; echo "ours $?"
		container c3 -e "storages { driver: \"ephemeral\" source: \"tmpfs\" fstype: \"tmpfs\" mount_point: \"$e/q\"
			options: \"uid=\\\"1,size=2m\\\"\" }" true; echo "quoted $?"
		container c4 -e "storages { driver: \"ephemeral\" source: \"nodev\" fstype: \"hugetlbfs\" mount_point: \"$e/h\"
			options: \"pagesize=4096,size=\" }" true; echo "no size $?"
		if [ -d /sys/kernel/mm/hugepages/hugepages-2048kB ] && container c5 -e "storages { driver: \"ephemeral\" source: \"nodev\"
			fstype: \"hugetlbfs\" mount_point: \"$e/h\" options: \"pagesize=2097152,size=2097152\" }" true; then
			grep "$e/h" /proc/mounts; remove c5
		else
			echo "no huge pages"
		fi
		quiet UpdateEphemeralMounts "storages { driver: \"ephemeral\" source: \"shm\" fstype: \"tmpfs\" options: \"remount,size=1048576\"
			mount_point: \"/run/kata-containers/sandbox/shm\" }"; echo "remount $?"; grep sandbox/shm /proc/mounts
		quiet UpdateEphemeralMounts "storages { driver: \"ephemeral\" source: \"shm\" fstype: \"tmpfs\" mount_point: \"/run/kata-containers/sandbox/shm\" }"
		echo "nothing to change $?"; grep -c "sandbox/shm .*nosuid,nodev,noexec.*size=1024k" /proc/mounts
		# A slash at the end, as the Rust runtime has it: the same storage, mounted once.
		s="storages { driver: \"virtio-fs\" source: \"x\" fstype: \"tmpfs\" mount_point: \"$d"
		container c6 -e "$s/\" }" true && container c7 -e "$s\" }" true; echo "slash $? $(grep -c " $d " /proc/mounts)"
		remove c6; grep -c " $d " /proc/mounts
		remove c7; grep -c " $d " /proc/mounts
		for c in c1 c2; do remove $c; done
		nothing_left && finish'
	has 'tmpfs 0'
	has 'rw,nosuid,noexec,relatime,size=1024k,mode=700'
	has '5 2700'
	has 'ours 0'
	hasnt 'quoted 0'
	has 'needs the options pagesize= and size='
	[[ $output == *"no huge pages"* ]] || has 'pagesize=2M,size=2097152'
	has 'remount 0'
	has 'nosuid,nodev,noexec,relatime,size=1024k' # attributes that no word names stay
	has 'nothing to change 0'
	has $'slash 0 1\n1\n0'
}

@test "storages: an overlay of more lower folders than fsconfig takes" {
	inside "$BEGIN"'
		lower=
		for i in 1 2 3 4 5 6; do
			p=/run/layers/$(printf %064d $i)
			mkdir -p $p
			cp -a $TREE/. $p/
			echo $i >$p/f$i
			lower=$lower:$p
		done
		root=/run/kata-containers/c1/rootfs
		storage="storages { driver: \"overlayfs\" source: \"overlay\" fstype: \"overlay\" mount_point: \"$root\""
		run_all c1 -r $root -e "$storage options: \"io.katacontainers.fs-opt.overlay-rw\" options: \"lowerdir=${lower#:}\" options: \"nodev\" }" \
			sh -c "cat /f?; echo new >/new; cat /new"
		grep -c c1/rootfs /proc/mounts
		for i in $(seq 60); do lower=$lower:/run/layers/$(printf %064d 1); done
		container c2 -e "${storage//c1/c2} options: \"lowerdir=${lower#:}\" }" true; echo "too many $?"
		nothing_left && finish'
	has $'1\n2\n3\n4\n5\n6\nnew\nexit 0\n0\n'
	has 'the kernel takes 4095'
	has 'too many 67'
}

@test "storages: mount points that lead elsewhere" {
	inside "$BEGIN"'
		mkdir -p /run/target $d
		ln -s /run/target $d/evil
		for m in $d/evil $d/evil/sub $d/evil/a/b $d/evil/../x relative /run/a/.. ""; do
			for driver in "driver: \"ephemeral\" fstype: \"tmpfs\" source: \"tmpfs\"" "driver: \"local\" options: \"mode=777\"" \
				"driver: \"overlayfs\" options: \"lowerdir=/run/target\"" "driver: \"watchable-bind\" source: \"/run/target\"" \
				"driver: \"virtio-fs\" fstype: \"tmpfs\" source: \"x\""; do
				refused "$m, ${driver%% [a-z]*:*}" "" "" "" "storages { $driver mount_point: \"$m\" }"
			done
		done | sort | uniq -c | grep -v ": 67$"
		grep -c target /proc/mounts; ls -A /run/target; stat -c %a /run/target
		quiet UpdateEphemeralMounts "storages { driver: \"ephemeral\" fstype: \"tmpfs\" source: \"x\" options: \"size=1m\" mount_point: \"$d/evil\" }"; echo "remount $?"
		for s in "driver: \"\"" "driver: \"bind\"" "driver: \"9p\"" "driver: \"local\" options: \"mode=99\"" "driver: \"local\" options: \"fsgid=-1\"" \
			"driver: \"ephemeral\" fstype: \"tmpfs\" options: \"loop\"" "driver: \"ephemeral\" fstype: \"tmpfs\" options: \"size=1m,loop\"" \
			"driver: \"ephemeral\" fstype: \"tmpfs\" source: \"x\" options: \"source=/etc\"" "driver: \"ephemeral\" fstype: \"no such\"" \
			"driver: \"mmioblk\" source: \"/dev/../etc\"" "driver: \"blk\" source: \"1/2/zz\"" "driver: \"blk\" source: \"/dev/a b/c\"" \
			"driver: \"scsi\" source: \"0:0;reboot\"" "driver: \"image_guest_pull\" source: \"--help\"" "driver: \"overlayfs\" options: \"lowerdir=/nowhere\""; do
			refused "$s" "" "" "" "storages { $s mount_point: \"/run/x\" }"
		done | grep ": 0$\|more than"
		ls -d /run/x 2>/dev/null; grep -c /run/x /proc/mounts
		nothing_left && finish'
	[ "$output" = $'0\n755\nINVALID_ARGUMENT: the mount point /run/kata-containers/shared/containers/evil leads through a symbolic link\nremount 67\n0' ]
}

@test "requests that lack a part, or have one more than needed" {
	inside "$BEGIN"'
		container c1 sleep 1000 && start c1
		exec_in c1 7 true; echo "an id of one character $(wait_exit c1 7)"
		try "no exec id" ExecProcess "container_id: \"c1\" process { Args: \"true\" Cwd: \"/\" }"
		try "no process" ExecProcess "container_id: \"c1\" exec_id: \"e1\""
		try "no resources" UpdateContainer "container_id: \"c1\""
		try "no resources, no container" UpdateContainer "container_id: \"c9\""
		try "no interface" UpdateInterface ""
		try "no routes" UpdateRoutes ""
		try "no neighbours" AddARPNeighbors ""
		try "a neighbour without an address" AddARPNeighbors "neighbors { ARPNeighbors { device: \"lo\" } }"
		try "no specification" CreateContainer "container_id: \"c2\""
		try "no Linux part" CreateContainer "container_id: \"c2\" OCI { Version: \"1.0.2\" Process { Args: \"true\" Cwd: \"/\" } Root { Path: \"$TREE\" } }"
		try "no signal" SignalProcess "container_id: \"c1\" signal: 0"
		try "signal 65" SignalProcess "container_id: \"c1\" signal: 65"
		try "signal -1" SignalProcess "container_id: \"c1\" signal: 4294967295"
		try "no terminal" TtyWinResize "container_id: \"c1\" row: 1 column: 1"
		try "another sandbox" CreateSandbox "sandbox_id: \"c3\""
		try "a module by option" CreateSandbox "kernel_modules { name: \"-r\" }"
		# No version; variables that are none; namespaces of the host; a pid namespace, which Kata drops.
		quiet CreateContainer "container_id: \"c2\" OCI { Root { Path: \"$TREE\" }
			Process { User {} Args: \"env\" Cwd: \"/not/there\" Env: \"PATH=/bin\" Env: \"FOO\" Env: \"=x\" Env: \"\" Env: \"EMPTY=\" }
			Linux { CgroupsPath: \"$TAG:slice:c2\" Namespaces { Type: \"mount\" } Namespaces { Type: \"pid\" Path: \"/proc/1/ns/pid\" }
				Namespaces { Type: \"ipc\" Path: \"/proc/999999/ns/ipc\" } Namespaces { Type: \"uts\" Path: \"/nowhere\" } } }"
		find /sys/fs/cgroup -path "*/$TAG/slice/c2" -printf "systemd: %P\n" | sed "s|$TAG|TAG|; s|unified/||"
		start c2; output c2; echo "exit $(wait_exit c2)"; remove c2
		remove c1
		find /sys/fs/cgroup -type d -path "*/$TAG/slice" -exec rmdir {} +
		nothing_left && finish'
	local line
	for line in 'an id of one character 0' 'no exec id: 67' 'no process: 67' 'no resources: 0' 'no resources, no container: 69' \
		'no interface: 67' 'no routes: 67' 'no neighbours: 67' 'a neighbour without an address: 67' 'no specification: 67' \
		'no Linux part: 67' 'no signal: 0' 'signal 65: 67' 'signal -1: 67' 'no terminal: 78' 'another sandbox: 70' 'exit 0'; do
		has "$line"
	done
	hasnt 'more than a line'
	has 'systemd: TAG/slice/c2'
	[ "$(grep -E '^[A-Z]+=|FOO' <<<"$output" | sort | tr '\n' ' ')" = 'EMPTY= HOME=/ PATH=/bin ' ]
}

@test "UpdateRoutes: the list is all there is, but for the kernel's own routes" {
	inside "$BEGIN"'
		ip link add dm0 type veth peer name dm1 || { echo "no veth links"; exit 0; }
		ip link set dm1 up
		mac=$(ip -o link show dm0 | sed -E "s/.*ether ([0-9a-f:]+).*/\1/")
		quiet UpdateInterface "interface { device: \"eth0\" name: \"eth0\" IPAddresses { address: \"192.0.2.5\" mask: \"24\" } hwAddr: \"$mac\" }"
		ip route add 203.0.113.0/24 via 192.0.2.9
		ip route add default via 192.0.2.7 metric 50
		ip route add 198.51.100.0/24 dev lo
		routes="Routes { dest: \"\" gateway: \"192.0.2.1\" device: \"eth0\" } Routes { dest: \"192.0.2.0/24\" device: \"eth0\" scope: 253 }
			Routes { dest: \"198.18.0.0/15\" gateway: \"192.0.2.1\" device: \"eth0\" mtu: 1300 }"
		for i in 1 2; do quiet UpdateRoutes "routes { $routes }"; echo "all $?"; ip -4 route | sed "s/ *$//"; done
		try unreachable UpdateRoutes "routes { Routes { gateway: \"10.0.0.1\" device: \"eth0\" } }"
		try "no such link" UpdateRoutes "routes { Routes { gateway: \"192.0.2.1\" device: \"eth9\" } }"
		try "no address" UpdateRoutes "routes { Routes { dest: \"192.0.2.0/33\" device: \"eth0\" } }"
		quiet UpdateRoutes "routes {}"; echo "none $?"; ip -4 route | sed "s/ *$//"
		finish'
	[[ $output == *"no veth links"* ]] && skip "no veth network links"
	local kept='192.0.2.0/24 dev eth0 proto kernel scope link src 192.0.2.5' lo='198.51.100.0/24 dev lo scope link'
	local all=$'all 0\n'"default via 192.0.2.1 dev eth0"$'\n'"$kept"$'\n'"198.18.0.0/15 via 192.0.2.1 dev eth0 mtu 1300"$'\n'"$lo"
	[ "$output" = "$all"$'\n'"$all"$'\nunreachable: 77\nno such link: 77\nno address: 67\nnone 0\n'"$kept"$'\n'"$lo" ]
}

@test "shared mounts: of a container that mounted something, of one that did not, and of none" {
	inside "$BEGIN"'
		name="Annotations { key: \"io.kubernetes.cri.container-name\" value: \"app\" }"
		container c1 -s "$name Mounts { destination: \"/tmp\" source: \"tmpfs\" type: \"tmpfs\" }" sh -c "echo of app >/tmp/f; exec sleep 1000" && start c1
		from() { echo "shared_mounts { name: \"m\" src_ctr: \"$1\" src_path: \"$2\" dst_ctr: \"x\" dst_path: \"$3\" }"; }
		run_all c2 -e "$(from app /tmp /run/of/app) $(from nobody /tmp /run/of/nobody)" sh -c "while ! cat /run/of/app/f; do sleep 0.1; done; ls /run/of"
		refused relative "" "" "" "$(from app tmp /mnt)"
		refused nowhere "" "" "" "$(from app /tmp "")"
		grep -c "no container .*nobody" /run/agent.log
		remove c1
		nothing_left && finish'
	has $'of app\napp\nexit 0'
	has $'relative: 67\nnowhere: 67\n1'
}

@test "specifications that mean ill: one line each, and the guest is as before" {
	inside "$BEGIN"'
		before=$(cat /proc/sys/kernel/core_pattern; ls -A / /run; cut -d" " -f2,3 /proc/mounts)
		sysctl() { refused "sysctl $1" "" "Sysctl { key: \"$1\" value: \"1\" }"; }
		for k in ../../sysrq-trigger kernel/../sysrq-trigger /proc/sysrq-trigger net.ipv4..conf "" "kernel.core_pattern\\000x" no.such.one; do sysctl "$k"; done
		rule() { refused "rule $1" "" "Resources { Devices { $1 } }"; }
		rule "Allow: true Type: \"x\" Access: \"rwm\""
		rule "Allow: true Type: \"c\" Major: 99999999999 Minor: 1 Access: \"rwm\""
		rule "Allow: true Type: \"c\" Major: 1 Minor: 3 Access: \"rwx\""
		device() { refused "device $1" "" "Devices { $1 }"; }
		device "Path: \"x\" Type: \"c\" Major: 1 Minor: 3"
		device "Path: \"\" Type: \"c\" Major: 1 Minor: 3"
		device "Path: \"/dev/x\" Type: \"z\" Major: 1 Minor: 3"
		device "Path: \"/proc/x\" Type: \"c\" Major: 1 Minor: 3"
		group() { out=$(quiet CreateContainer "container_id: \"c9\" OCI { Version: \"1.0.2\" Root { Path: \"$TREE\" } Process { User {} Args: \"true\" Cwd: \"/\" }
			Linux { CgroupsPath: \"$1\" Namespaces { Type: \"mount\" } } }" 2>&1); echo "group $1: $?"; }
		for p in ../../x /$TAG/../../x /$TAG/a/./b // / "/$TAG/a\\nb"; do group "$p"; done
		mount() { refused "mount $1" "" "" "Mounts { $1 }"; }
		mount "destination: \"\" source: \"/run\" type: \"bind\" options: \"rbind\""
		mount "destination: \"/\" source: \"/run\" type: \"bind\" options: \"rbind\""
		mount "destination: \"/m\" source: \"\" type: \"bind\" options: \"rbind\""
		mount "destination: \"/m\" source: \"/run/not/there\" type: \"bind\" options: \"rbind\""
		mount "destination: \"/m\" source: \"x\" type: \"no such\""
		mount "destination: \"/m\" source: \"/run\" type: \"bind\" options: \"rbind,size=3\""
		process() { refused "process $1" "$1"; }
		process "Cwd: \"/\""
		process "Args: \"\" Cwd: \"/\""
		process "Args: \"/not/there\" Cwd: \"/\""
		process "Args: \"true\" Cwd: \"a/b\""
		process "Args: \"true\\000x\" Cwd: \"/\""
		process "Args: \"true\" Cwd: \"/\" Rlimits { Type: \"RLIMIT_NONE\" Soft: 1 Hard: 1 }"
		process "Args: \"true\" Cwd: \"/\" OOMScoreAdj: 1001"
		refused "namespace" "" "Namespaces { Type: \"nonsense\" }"
		refused "namespace twice" "" "Namespaces { Type: \"mount\" }"
		refused "namespace path" "" "Namespaces { Type: \"network\" Path: \"/etc/passwd\" }"
		refused "mappings" "" "UIDMappings { Size: 4294967295 } Namespaces { Type: \"user\" }"
		refused "propagation" "" "RootfsPropagation: \"everywhere\""
		refused "masked" "" "MaskedPaths: \"proc/x\""
		refused "seccomp" "" "Seccomp { DefaultAction: \"SCMP_ACT_NONE\" }"
		[ "$before" = "$(cat /proc/sys/kernel/core_pattern; ls -A / /run; cut -d" " -f2,3 /proc/mounts)" ] && echo "as before"
		nothing_left && finish' >"$BATS_TEST_TMPDIR/out"
	grep -E ': 0$|more than' "$BATS_TEST_TMPDIR/out" && false
	[ "$(grep -c ': [67][0-9]$' "$BATS_TEST_TMPDIR/out")" -gt 30 ]
	[ "$(tail -1 "$BATS_TEST_TMPDIR/out")" = 'as before' ]
}

@test "SetPolicy: what is no policy closes the guest, and another one opens it only where that is allowed" {
	inside "$BEGIN"'
		try_policy() { try "$1" SetPolicy "policy: \"$(sed "s/\"/\\\\\"/g" <<<"$2")\""; }
		asks() { try "$1" GetGuestDetails ""; }
		asks "before"
		try_policy "narrow" "{\"schema\": 1, \"allow\": {\"SetPolicyRequest\": true, \"GuestDetailsRequest\": true, \"CopyFileRequest\": [{\"name\": \"shared\", \"where\": {\"path\": {\"prefix\": \"$d/\"}}}]}}"
		asks "allowed"
		try "below" CopyFile "path: \"$d/a\" file_mode: 33188"
		try "out of it" CopyFile "path: \"$d/../../evil\" file_mode: 33188"
		try "not named" GetMetrics ""
		try_policy "without SetPolicy" "{\"schema\": 1, \"allow\": {\"GuestDetailsRequest\": true}}"
		try_policy "too late" "{\"schema\": 1, \"allow\": {\"SetPolicyRequest\": true}}"
		asks "still"
		kill $AGENT_PID; wait $AGENT_PID; rm /run/agent.sock
		open="{\"schema\": 1, \"allow\": {\"SetPolicyRequest\": true, \"GuestDetailsRequest\": true}}"
		for bad in "" "{" "[]" "package agent_policy" "# no words" "${open/1/2}" "$open $open" "{\"schema\": 1, \"allow\": {\"NoRequest\": true}}" \
			"{\"schema\": 1, \"allow\": {\"GuestDetailsRequest\": false, \"GuestDetailsRequest\": true}}" \
			"$(printf "[%.0s" {1..2000})" "$(printf "{\"schema\": 1, \"allow\": {}, \"a\": \"%01100000d\"}" 0)"; do
			echo "$open" >/run/policy.json
			agent_start "policy_file = \"/run/policy.json\""
			asks "open"
			try_policy "no policy ${bad:0:30}" "$bad"
			asks "closed"
			try_policy "nor another" "$open"
			kill $AGENT_PID; wait $AGENT_PID; rm /run/agent.sock
		done' 200 >"$BATS_TEST_TMPDIR/out"
	cut -c1-100 "$BATS_TEST_TMPDIR/out"
	diff - <(grep -v '^no policy' "$BATS_TEST_TMPDIR/out" | uniq -c | sed 's/^ *//' | head -9) <<-'END'
		1 before: 0
		1 narrow: 0
		1 allowed: 0
		1 below: 0
		1 out of it: 71
		1 not named: 71
		1 without SetPolicy: 0
		1 too late: 71
		1 still: 0
	END
	[ "$(grep -c '^open: 0' "$BATS_TEST_TMPDIR/out")" -eq 11 ]
	[ "$(grep -c '^no policy.*: 67' "$BATS_TEST_TMPDIR/out")" -eq 11 ]
	[ "$(grep -c '^closed: 71' "$BATS_TEST_TMPDIR/out")" -eq 11 ]
	[ "$(grep -c '^nor another: 71' "$BATS_TEST_TMPDIR/out")" -eq 11 ]
}
