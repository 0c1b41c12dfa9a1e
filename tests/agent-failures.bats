#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The agent when something is missing: memory, descriptors, processes, room on a disk, or a helper that is
# killed, at every step of a container's life (tests/agent/agent-inject.c). The answer is an error, nothing is
# left behind, the next request is served. With KIHON_FULL every step, else some.

load agent/box

setup_file() {
	box_make build/host/bin/agent-inject build/host/bin/kihon-agent-inject
	# How far the steps that are tried are apart.
	export STEP=7
	[ -z "${KIHON_FULL-}" ] || STEP=1
}

setup() { box_check; }

# failures WAY SCENARIO STEP MODE...
failures() {
	local way=$1 name=$2 step=$3
	shift 3
	inside ". tests/agent/inject.sh
		bad=0
		for m in $*; do inject $way $name \$m 1 $step || bad=1; done
		exit \$bad" 1200
	[ "$(grep -c "^$name .* 0 bad$" <<<"$output")" -eq $# ]
	hasnt ' 0 points'
}

@test "a container's life without memory, descriptors or processes" {
	failures same container "$STEP" memory files
	failures same container 1 fork
}

@test "a container's life on a full disk" {
	failures same container 1 disk disk-on
}

@test "a container's life while its helpers fail" {
	failures same container "$STEP" helper-memory helper-files helper-disk
}

@test "a container's life while its helpers are killed" {
	failures same container $((STEP * 6 - 5)) helper-kill
}

@test "the pulling of an image" {
	failures same image "$STEP" memory files helper-memory helper-files
	failures same image 1 fork disk
	failures same image $((STEP * 6 - 5)) helper-kill
}

@test "the other calls" {
	failures same calls "$STEP" memory files helper-memory helper-files
	failures same calls 1 fork disk
	failures same calls $((STEP * 2 - 1)) helper-kill
}

@test "the making of a sandbox" {
	failures fresh sandbox "$STEP" memory files helper-memory helper-files
	failures fresh sandbox 1 fork
	failures fresh sandbox "$STEP" helper-disk
	failures fresh sandbox $((STEP * 2 - 1)) helper-kill
}

@test "the start of the agent: it serves, or it ends with a line" {
	failures start start $((STEP / 2 + 1)) memory files
}

@test "a full file system: blocks, then inodes; and room again" {
	inside '
		agent_start "image_puller = \"$PULLER\""
		sandbox
		d=/run/kata-containers/shared/containers
		copy() { quiet CopyFile "path: \"$d/$1\" file_size: 100000 file_mode: 33188 data: \"$(head -c 100000 /dev/zero | tr "\\0" x)\""; }
		container c1 sleep 1000 && start c1
		used=$(df --output=used /run | tail -1)
		mount -o remount,size=$((used + 64))k /run
		dd if=/dev/zero of=/run/fill bs=4k 2>/dev/null
		copy big; echo "blocks $?"
		container c2 -e "storages { driver: \"image_guest_pull\" source: \"good/1\" fstype: \"overlay\" mount_point: \"/run/kata-containers/c2/rootfs\" }" true; echo "blocks $?"
		quiet ExecProcess "container_id: \"c1\" exec_id: \"e1\" process { Args: \"/bin/true\" Cwd: \"/\" }"; echo "exec $?"
		rm /run/fill; mount -o remount,size=50%,nr_inodes=$(($(df --output=iused /run | tail -1) + 1)) /run
		touch /run/one /run/two 2>/dev/null
		container c2 true; echo "inodes $?"
		copy small; echo "inodes $?"
		rm -f /run/one; mount -o remount,nr_inodes=100000 /run
		copy big; echo "room $?"
		run_all c2 echo again
		remove c1
		nothing_left || exit
		finish; echo "agent $?"'
	[ "$(grep -c '^blocks [1-9]' <<<"$output")" -eq 2 ]
	[ "$(grep -c '^inodes [1-9]' <<<"$output")" -eq 2 ]
	has 'exec 0'
	has 'room 0'
	has again
	has 'agent 0'
}

@test "no process to be had in the control group" {
	inside '
		for g in /sys/fs/cgroup/pids "$(awk "\$3 == \"cgroup2\" { print \$2; exit }" /proc/mounts)"; do
			mkdir -p "$g/$TAG-pids" 2>/dev/null && [ -e "$g/$TAG-pids/pids.max" ] && break
			rmdir "$g/$TAG-pids" 2>/dev/null; g=
		done
		[ "$g" ] || { echo "no pids controller"; exit 0; }
		agent_start
		sandbox
		container c1 sleep 1000 && start c1
		echo $AGENT_PID >"$g/$TAG-pids/cgroup.procs" && echo 1 >"$g/$TAG-pids/pids.max" || { echo "no pids controller"; exit 0; }
		container c2 true; echo "none $?"
		quiet ExecProcess "container_id: \"c1\" exec_id: \"e1\" process { Args: \"/bin/true\" Cwd: \"/\" }"; echo "none $?"
		call GetVolumeStats "volume_guest_path: \"/run\"" >/dev/null; echo "none $?"
		call RemoveContainer "container_id: \"c1\"" 1000 >/dev/null; echo "none $?"
		call GetGuestDetails >/dev/null; echo "alive $?"
		echo max >"$g/$TAG-pids/pids.max"
		# What could not be undone is undone now, behind the answers.
		until_true container c2 echo again 2>/dev/null
		start c2 && output c2 && remove c2
		nothing_left || exit
		finish; echo "agent $?"
		rmdir "$g/$TAG-pids"'
	[[ $output == *"no pids controller"* ]] && skip "no pids controller to be had"
	[ "$(grep -c '^none [1-9]' <<<"$output")" -eq 4 ]
	has 'alive 0'
	has again
	has 'agent 0'
}

@test "what is missing stays missing for a while" {
	[ -n "${KIHON_FULL-}" ] || skip "each step waits for a time limit: with KIHON_FULL"
	failures same container 1 fork-on
	failures same container 3 files-on
	failures same container 5 memory-on
}
