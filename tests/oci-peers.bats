#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Programs that people run containers with, kihon-oci as their runtime: podman as root and as an ordinary user, its pods,
# buildah, and containerd by way of runc's shim. What they say of a container is compared with what they say of one
# that runc made, where that is installed (it is a dependency of theirs), else with what is known.

bats_require_minimum_version 1.5.0

load oci/setup
load oci/podman

teardown_file() {
	podman_end
	[ ! -e "$WORK/containerd.pid" ] || kill "$(<"$WORK/containerd.pid")" 2>/dev/null || true
	rm -rf "$WORK"
}

# alike FUNCTION: prints the same with kihon-oci as with runc; ids and runtimes' names do not count.
alike() {
	local r
	for r in kihon-oci runc; do
		[ "$r" = kihon-oci ] || command -v runc >/dev/null || continue
		(set +eET && trap - ERR && RUNTIME=$r && "$1") </dev/null 2>&1 | sed -E "s/[0-9a-f]{64}/ID/g; s/(Error: )?$r: /RUNTIME: /g" >"$BATS_TEST_TMPDIR/$r"
	done
	[ ! -e "$BATS_TEST_TMPDIR/runc" ] || diff "$BATS_TEST_TMPDIR/kihon-oci" "$BATS_TEST_TMPDIR/runc"
	output=$(<"$BATS_TEST_TMPDIR/kihon-oci")
	echo "$output"
}

has() { [[ $output == *"$1"* ]] || { echo "missing: $1"; false; }; }

options() {
	podman_ "${P[@]}" --hostname hh --sysctl kernel.msgmax=65000 test/busybox cat /proc/sys/kernel/hostname /proc/sys/kernel/msgmax
	podman_ "${P[@]}" --oom-score-adj 500 --shm-size 5m test/busybox sh -c 'cat /proc/self/oom_score_adj; mount | grep /dev/shm'
	podman_ "${P[@]}" --device /dev/full:/dev/f2:rw test/busybox sh -c 'exec 2>&1; echo x >/dev/f2; ls -l /dev/f2 | cut -c1-10'
	podman_ "${P[@]}" --security-opt mask=/etc/passwd --security-opt no-new-privileges test/busybox sh -c 'wc -c </etc/passwd; grep NoNew /proc/self/status'
	podman_ "${P[@]}" --group-add 55 -u ann --cap-drop all --cap-add net_raw test/busybox sh -c 'id; grep Cap /proc/self/status'
	podman_ "${P[@]}" --uidmap 0:100000:5000 test/busybox sh -c 'cat /proc/self/uid_map; id -u; stat -c %u /etc/passwd'
	podman_ "${P[@]}" --read-only --read-only-tmpfs=false -v "$WORK/rootfs:/data:ro,rslave" test/busybox sh -c 'exec 2>&1; touch /tmp/x; touch /data/x'
	podman_ "${P[@]}" --entrypoint '["/bin/echo", "a"]' test/busybox b c
	podman_ "${P[@]}" --ulimit nofile=100:200 --ulimit nproc=50:60 test/busybox sh -c 'ulimit -n; ulimit -Hn'
	podman_ "${P[@]}" --privileged test/busybox grep CapEff /proc/self/status
	podman_ "${P[@]}" --cgroupns host test/busybox sh -c 'grep ^0 /proc/self/cgroup | sed s/libpod-.*/X/'
	podman_ "${P[@]}" --mount type=image,src=test/busybox,dst=/im test/busybox ls /im/etc
	podman_ "${P[@]}" --timeout 1 test/busybox sleep 20 || echo "status $?"
	podman_ run --rm "${LIMITS[@]}" test/busybox mount -t tmpfs none /tmp || echo "status $?"
	podman_ "${P[@]}" test/busybox no-such-program >/dev/null 2>&1 || echo "status $?"
}

@test "podman: what options of run make of a container" {
	podman_setup
	alike options
	has $'hh\n65000'
	has 'uid=1000(ann) gid=1000(ann) groups=55,1000(ann)'
	has 'status 127'
}

life() {
	podman_ run -d --name one "${LIMITS[@]}" test/busybox sh -c 'trap "echo got; exit 4" TERM; echo up; while :; do sleep 0.1; done'
	until podman_ logs one 2>/dev/null | grep -q up; do sleep 0.2; done
	podman_ exec -t one tty
	podman_ exec -d one sh -c 'echo x >/tmp/d'
	until podman_ exec one cat /tmp/d; do sleep 0.2; done
	podman_ exec -u ann -w /data -e Q=7 one sh -c 'id -u; pwd; echo $Q'
	podman_ exec --privileged one grep CapEff /proc/self/status
	podman_ exec one no-such-program >/dev/null 2>&1 || echo "status $?"
	podman_ exec one sh -c 'kill -9 $$' || echo "status $?"
	echo hi | podman_ exec -i one cat
	podman_ exec --preserve-fds 1 one head -c 4 /proc/self/fd/3 3<"$WORK/rootfs/etc/passwd"
	podman_ pause one && podman_ ps -a --format '{{.State}}'
	podman_ unpause one
	podman_ stop -t 5 one && podman_ logs one
	podman_ inspect one --format '{{.State.ExitCode}} {{.State.Status}} {{.State.OOMKilled}}'
	podman_ start one && podman_ kill one && podman_ wait one
	podman_ rm one
	podman_ create --name two "${LIMITS[@]}" test/busybox sh -c 'echo a; exit 5'
	podman_ init two && podman_ ps -a --format '{{.State}}'
	podman_ start -a two || echo "status $?"
	podman_ start -a two || echo "status $?"
	podman_ rm two
}

@test "podman: exec, stop, kill, pause, start again" {
	podman_setup
	podman_ "${P[@]}" -t test/busybox tty
	alike life
	has $'up\ngot\n4 exited false'
	has $'Initialized\na\nstatus 5\na\nstatus 5'
}

pod() {
	# Without --share-parent=false this podman makes the pod's cgroup with a filter that lets nobody use a device.
	podman_ pod create --name pd --network none --share-parent=false
	podman_ run -d --pod pd --name one test/busybox sleep 1000
	podman_ run -d --pod pd --name two test/busybox sleep 1000
	podman_ exec one cat /proc/sys/kernel/hostname
	podman_ exec one ls /proc/self/ns
	podman_ pod ps --format '{{.Status}} {{.NumberOfContainers}}'
	[ "$(podman_ exec one readlink /proc/self/ns/net)" = "$(podman_ exec two readlink /proc/self/ns/net)" ] && echo same
	podman_ pod pause pd && podman_ pod unpause pd
	podman_ pod stop -t 0 pd && podman_ pod start pd && podman_ pod kill pd
	podman_ pod rm -ft0 pd
}

@test "podman: a pod shares its namespaces" {
	podman_setup
	alike pod
	has $'pd\n'
	has 'Running 3'
	has same
}

@test "podman: a runtime's error comes through, once" {
	podman_setup
	run podman_ "${P[@]}" test/busybox /etc
	echo "$output"
	[ "$status" -eq 126 ]
	[ "${#lines[@]}" -eq 1 ]
	[[ $output == *'open executable "/etc": Permission denied'* ]]
}

user_life() {
	rootless run --rm --network none test/busybox sh -c 'id; cat /proc/self/uid_map; ls -l /dev/null | cut -c1-10'
	rootless run --rm --network none -t test/busybox tty
	rootless run --rm --network none --userns keep-id test/busybox id -u
	rootless run --rm --network none -u ann --cap-drop all test/busybox sh -c 'id; grep Cap /proc/self/status'
	rootless run --rm --network none --device /dev/full test/busybox sh -c 'exec 2>&1; echo x >/dev/full'
	rootless run --rm --network none --read-only --tmpfs /t test/busybox sh -c 'exec 2>&1; touch /t/y && echo ok; touch /x'
	rootless run --rm --network none --privileged test/busybox grep CapEff /proc/self/status
	rootless run --rm --network none test/busybox no-such-program >/dev/null 2>&1 || echo "status $?"
	rootless run -d --name bg --network none test/busybox sh -c 'trap "exit 4" TERM; echo up; while :; do sleep 0.1; done'
	until rootless logs bg 2>/dev/null | grep -q up; do sleep 0.2; done
	rootless exec bg sh -c 'echo in; exit 6' || echo "status $?"
	rootless exec -t bg tty
	rootless stop -t 5 bg && rootless inspect bg --format '{{.State.ExitCode}}'
	rootless start bg && rootless kill bg && rootless wait bg
	rootless rm -f bg
}

@test "podman of an ordinary user" {
	rootless_setup
	alike user_life
	has 'uid=0(root)'
	has $'0      61234          1\n'
	has 'crw-rw-rw-'
	has $'in\nstatus 6'
	[ -z "$(ls -A "$WORK/user/run/kihon-oci")" ]
}

@test "podman of an ordinary user: a limit that cannot be had is an error" {
	rootless_setup
	"$WORK/private" test ! -e /sys/fs/cgroup/memory.max || skip "the group's files are here"
	run rootless run --rm --network none --memory 50m test/busybox true
	echo "$output"
	[ "$status" -ne 0 ]
	[[ $output == *cgroup* ]]
}

@test "buildah: run and bud" {
	podman_setup
	command -v buildah >/dev/null || skip "no buildah"
	cat >"$B/Containerfile" <<-'END'
	FROM localhost/test/busybox
	RUN echo built >/built && id -u
	RUN --mount=type=tmpfs,target=/t touch /t/x && ls /t
	USER ann
	WORKDIR /data
	RUN echo "$(id -u) $(pwd)"
	CMD ["/bin/cat", "/built"]
	END
	run buildah_ bud --runtime "$OCI" --isolation oci --network none -t built -f "$B/Containerfile" "$B"
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *$'\n0\n'* ]] && [[ $output == *$'\nx\n'* ]] && [[ $output == *$'\n1000 /data\n'* ]]
	# A warning for all capabilities at once, not one for each.
	[ "$(grep -c ambient <<<"$output")" -le 3 ]
	[ "$(podman_ "${P[@]}" built)" = built ]
	local c
	c=$(buildah_ from localhost/test/busybox 2>/dev/null)
	[ "$(echo typed | buildah_ run --runtime "$OCI" --isolation oci --network none "$c" cat 2>/dev/null)" = typed ]
	run buildah_ run --runtime "$OCI" --isolation oci --network none "$c" sh -c 'exit 7'
	[ "$status" -eq 7 ]
	run buildah_ bud --runtime "$OCI" --isolation oci --network none - <<<$'FROM localhost/test/busybox\nRUN exit 9'
	[ "$status" -eq 9 ] || [ "$status" -eq 1 ]
	buildah_ rm -a >/dev/null
}

# ---- containerd

ctr_() { timeout 200 ctr -a "$WORK/containerd.sock" "$@"; }

containerd_setup() {
	local i
	podman_setup
	command -v containerd >/dev/null && command -v ctr >/dev/null && command -v containerd-shim-runc-v2 >/dev/null ||
		skip "no containerd (it is not in rootfs/deps.list: the package excludes other builds of it)"
	[ -e "$WORK/containerd.pid" ] && return
	cat >"$WORK/containerd.toml" <<-END
	version = 2
	root = "$WORK/containerd"
	state = "$WORK/containerd-run"
	disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
	[grpc]
	address = "$WORK/containerd.sock"
	[ttrpc]
	address = "$WORK/containerd.sock.ttrpc"
	# Its garbage collector may take an index that has no name yet.
	[plugins."io.containerd.gc.v1.scheduler"]
	startup_delay = "1h"
	schedule_delay = "1h"
	END
	"$WORK/private" containerd -c "$WORK/containerd.toml" >"$WORK/containerd.log" 2>&1 </dev/null 3>&- &
	echo $! >"$WORK/containerd.pid"
	podman_ save --format oci-archive -o "$WORK/oci.tar" localhost/test/busybox >/dev/null 2>&1
	for ((i = 0; i < 600; i++)); do
		ctr_ version >/dev/null 2>&1 && break
		sleep 0.1
	done
	ctr_ images import --snapshotter native --index-name localhost/test/busybox:latest "$WORK/oci.tar" >/dev/null
}

# Without a share of the processors, for which a host may lack the controller; ctr leaves standard input open.
ctr_run() {
	ctr_ run --snapshotter native --cpu-shares 0 --runc-binary "$(command -v "${RUNTIME/kihon-oci/$OCI}")" --runc-root "$WORK/ctr" "$@"
}

ctr_life() {
	local image=localhost/test/busybox:latest
	ctr_run --rm $image c1 echo hello
	ctr_run --rm $image c2 sh -c 'exit 7' || echo "status $?"
	ctr_run --rm --privileged $image c3 grep CapEff /proc/self/status
	ctr_run --rm --read-only $image c4 touch /x || echo "status $?"
	ctr_run --rm --cap-add CAP_SYS_ADMIN --seccomp --env A=b --cwd /data $image c5 sh -c 'echo $A; pwd; grep -E "Cap|Seccomp:" /proc/self/status'
	ctr_run --rm --uidmap 0:100000:5000 --gidmap 0:100000:5000 $image c6 cat /proc/self/uid_map
	ctr_run --rm --net-host --mount "type=bind,src=$WORK/rootfs,dst=/data,options=rbind:ro" --device /dev/full $image c7 \
		sh -c 'exec 2>&1; touch /data/x; echo x >/dev/full'
	ctr_run --rm $image c8 no-such-program >/dev/null 2>&1 || echo "status $?"
	ctr_run -d $image c9 sleep 1000
	ctr_ tasks exec --exec-id e1 c9 sh -c 'echo exec; exit 5' || echo "status $?"
	ctr_ tasks pause c9 && ctr_ tasks ls | awk '$1 == "c9" { print $3 }'
	ctr_ tasks resume c9 && ctr_ tasks ps c9 | wc -l
	ctr_ tasks kill -s 9 c9
	until ctr_ tasks ls | grep -q 'c9 .*STOPPED'; do sleep 0.1; done
	ctr_ tasks delete c9 2>/dev/null || echo "status $?"
	ctr_ containers rm c9
}

@test "containerd: ctr run, exec, pause, kill, delete through runc's shim" {
	containerd_setup
	alike ctr_life
	has hello
	has 'status 7'
	has $'exec\nstatus 5\nPAUSED\n2'
	[ -z "$(ls -A "$WORK/ctr/default" 2>/dev/null)" ]
}

@test "containerd: a terminal" {
	containerd_setup
	command -v script >/dev/null || skip "no script"
	local out
	out=$(timeout 200 script -qec "ctr -a $WORK/containerd.sock run --rm --snapshotter native --cpu-shares 0 --runc-binary $OCI \
		--runc-root $WORK/ctr -t localhost/test/busybox:latest tt tty" /dev/null </dev/null)
	[[ $out == *"/dev/pts/0"* ]]
}
