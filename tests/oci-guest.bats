#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# kihon-oci inside a booted guest, where cgroup v2 has all its controllers and "/" is the initial ramfs:
# limits as the kernel took them, and as they bite. One boot; the tests judge what it printed.

setup_file() {
	export ROOT=$BATS_TEST_DIRNAME/..
	export KERNEL=$ROOT/build/kernel/container
	make -s -C "$ROOT" kernel PROFILE=container >&2
	make -s -C "$ROOT" build/guest/bin/kihon-init build/guest/bin/kihon-oci >&2
	export TREE=$BATS_FILE_TMPDIR/tree OUT=$BATS_FILE_TMPDIR/out
	local a c
	mkdir -p "$TREE"/{bin,etc/kihon,proc,sys,dev,run,tmp,b/rootfs/{bin,proc,sys,dev,tmp,etc}}
	cp "$ROOT/build/guest/bin/kihon-init" "$TREE/init"
	cp "$ROOT/build/guest/bin/kihon-oci" "$TREE/bin/"
	cp "$(command -v busybox)" "$TREE/bin/busybox"
	cp "$(command -v busybox)" "$TREE/b/rootfs/bin/busybox"
	for a in sh cat ls grep sleep kill echo mkdir id dd head wc mount sort touch mknod true; do
		ln -s busybox "$TREE/bin/$a"
		ln -s busybox "$TREE/b/rootfs/bin/$a"
	done
	"$ROOT/build/guest/bin/kihon-oci" spec -b "$TREE"
	# config NAME FILTER: a bundle's configuration.
	config() {
		jq ".process.terminal = false | .root.readonly = false | .process.env = [\"PATH=/bin\"] | $2" \
			"$TREE/config.json" >"$TREE/b/$1.json"
	}
	config plain '.process.args = ["sh", "-c", "cat /proc/self/cgroup; ls /sys/fs/cgroup | grep -c cgroup.procs; (echo 1 > /sys/fs/cgroup/cgroup.freeze) 2>&1; while read a b c r p rest; do echo mount $p; done < /proc/self/mountinfo; ls /"]'
	config limits '.process.args = ["sleep", "1000"] | .linux.resources += {
		"memory": {"limit": 67108864, "reservation": 33554432, "swap": 134217728},
		"cpu": {"shares": 2048, "quota": 25000, "period": 50000, "cpus": "0", "mems": "0"},
		"pids": {"limit": 33}, "blockIO": {"weight": 500},
		"unified": {"memory.high": "60000000", "cgroup.max.depth": "5"}}'
	config oom '.process.args = ["sh", "-c", "exec dd if=/dev/zero of=/dev/null bs=64M count=1"] | .linux.resources.memory = {"limit": 16777216, "swap": 16777216}'
	config pids '.process.args = ["sh", "-c", "for i in 1 2 3 4 5; do sleep 1000 >/dev/null 2>&1 & done; echo all"] | .linux.resources.pids = {"limit": 4}'
	config devices '.process.args = ["sh", "-c", "head -c 1 /tmp/kmsg > /dev/null; echo kmsg $?; head -c 2 /dev/zero | wc -c; mknod /tmp/mine c 1 11 && echo made"] |
		.linux.devices = [{"path": "/tmp/kmsg", "type": "c", "major": 1, "minor": 11, "fileMode": 438}] |
		.process.capabilities |= map_values(. + ["CAP_MKNOD", "CAP_SYSLOG"])'
	config nodev '.process.args = ["sh", "-c", "mknod /tmp/kmsg c 1 11; head -c 1 /tmp/kmsg; echo kmsg $?"] | .process.capabilities |= map_values(. + ["CAP_MKNOD", "CAP_SYSLOG"])'
	config inner '.process.args = ["sh", "-c", "mkdir /sys/fs/cgroup/in; echo 1 > /sys/fs/cgroup/in/cgroup.procs; echo +pids > /sys/fs/cgroup/cgroup.subtree_control; touch /tmp/ready; sleep 1000"] |
		(.mounts[] | select(.type == "cgroup") | .options) = ["rw", "nosuid"] | .process.capabilities |= map_values(. + ["CAP_SYS_ADMIN"])'
	config small '.process.args = ["sleep", "1000"] | .linux.resources.memory = {"limit": 16777216, "swap": 16777216}'
	config nofile '.linux.resources.unified = {"memory.nothing": "1"}'
	config nocontroller '.linux.resources.unified = {"foo.bar": "1"}'
	config badres '.linux.resources.rdma = {"mlx": {"hcaHandles": 1}}'
	cat >"$TREE/etc/script" <<'END'
#!/bin/sh
C=/sys/fs/cgroup
oci() { kihon-oci --root /run/oci "$@"; }
section() { echo "== $1"; }
section plain; oci run -b /b -f /b/plain.json plain </dev/null 2>&1
section limits; oci run -d -b /b -f /b/limits.json limits </dev/null >/dev/null 2>&1
for f in memory.max memory.low memory.high memory.swap.max cpu.weight cpu.max pids.max cpuset.cpus cpuset.mems io.weight io.bfq.weight cgroup.max.depth; do
	[ -e $C/limits/$f ] && echo "$f $(cat $C/limits/$f)"
done
section update; oci update --memory 128M --memory-swap -1 --pids-limit 44 --cpu-quota 10000 --cpu-period 20000 --cpu-share 1024 limits
for f in memory.max memory.swap.max pids.max cpu.max cpu.weight; do [ -e $C/limits/$f ] && echo "$f $(cat $C/limits/$f)"; done
echo '{"pids": {"limit": 55}, "memory": {"limit": 1000000, "checkBeforeUpdate": true}}' | oci update -r - limits; echo "refused $?"
section keep; oci update --cpu-period 40000 limits; cat $C/limits/cpu.max; oci update --memory -1 limits; cat $C/limits/memory.max
section events; oci events --stats limits
section delete; oci delete -f limits; ls -d $C/limits 2>&1; ls /run/oci | wc -l
section oom; oci run -b /b -f /b/oom.json oom </dev/null; echo "code $?"
section ooms; oci run -d -b /b -f /b/small.json small </dev/null >/dev/null 2>&1; oci events --interval 60s small >/run/events &
i=0; while [ ! -s /run/events ] && [ $i -lt 600 ]; do sleep 0.1; i=$((i + 1)); done
oci exec small dd if=/dev/zero of=/dev/null bs=64M count=1 </dev/null; echo "code $?"
i=0; while ! grep -q oom /run/events && [ $i -lt 600 ]; do sleep 0.1; i=$((i + 1)); done
oci delete -f small; wait; grep -c stats /run/events; grep oom /run/events
section pids; oci run -b /b -f /b/pids.json pids </dev/null 2>&1
section devices; oci run -b /b -f /b/devices.json devices </dev/null 2>&1
section nodev; oci run -b /b -f /b/nodev.json nodev </dev/null 2>&1
section inner; oci run -d -b /b -f /b/inner.json inner </dev/null >/dev/null 2>&1
i=0; while [ ! -e /b/rootfs/tmp/ready ] && [ $i -lt 600 ]; do sleep 0.1; i=$((i + 1)); done
oci exec inner cat /proc/self/cgroup </dev/null; oci exec --cgroup / inner true </dev/null; echo "there $?"; oci delete -f inner; ls -d $C/inner 2>&1
section badres; oci run -b /b -f /b/badres.json badres </dev/null; echo "code $?"; ls -d $C/badres 2>&1
section unified; oci run -b /b -f /b/nofile.json nofile </dev/null; oci run -b /b -f /b/nocontroller.json nocontroller </dev/null; ls -d $C/no* 2>&1
section after; ls -d $C/*/ 2>/dev/null | wc -l; busybox ps | grep -c '[k]ihon-oci'; grep -c . /proc/mounts
section end
END
	printf 'exec /bin/sh\narg /etc/script\n' >"$TREE/etc/kihon/init.conf"
	(cd "$TREE" && find . | LC_ALL=C sort | cpio -o -H newc --quiet) >"$BATS_FILE_TMPDIR/initrd"
	local try
	# An emulated boot on a loaded machine may lose a timer interrupt (docs/kernel.md).
	for try in 1 2; do
		timeout 400 qemu-system-x86_64 -M microvm,acpi=off -accel tcg -cpu max -m 512 -nodefaults -no-user-config \
			-display none -serial stdio -no-reboot -global virtio-mmio.force-legacy=off \
			-kernel "$KERNEL/vmlinux" -initrd "$BATS_FILE_TMPDIR/initrd" \
			-append "console=ttyS0 quiet panic=-1 reboot=t" </dev/null | tr -d '\r' >"$OUT"
		grep -q '^== end' "$OUT" && break
	done
	true
}

setup() {
	grep -q '^== end' "$OUT" || {
		tail -40 "$OUT"
		return 1
	}
}

# part NAME: what the section printed, in $output.
part() {
	output=$(awk -v n="== $1" '$0 == n { on = 1; next } /^== / { on = 0 } on' "$OUT")
	echo "$output"
}

has() {
	grep -qxE -- "$1" <<<"$output"
}

@test "the root is moved over the initial ramfs; nothing of the machine is left to see" {
	part plain
	has '0::/'
	has 1
	has '.*cgroup.freeze: Read-only file system'
	[ "$(grep ^mount <<<"$output" | sort | tr '\n' ' ')" = "mount / mount /dev mount /dev/mqueue mount /dev/pts mount /dev/shm mount /proc mount /proc/acpi mount /proc/bus mount /proc/fs mount /proc/irq mount /proc/kcore mount /proc/keys mount /proc/sys mount /proc/sysrq-trigger mount /proc/timer_list mount /sys mount /sys/fs/cgroup " ] ||
		grep -q '^mount /sys/fs/cgroup$' <<<"$output"
	! grep -qE '^mount /(run|b|tmp)' <<<"$output"
	! has init
}

@test "limits are what the kernel has" {
	part limits
	has 'memory.max 67108864'
	has 'memory.low 33554432'
	has 'memory.high 59998208'
	! grep -q '^memory.swap.max' <<<"$output" || has 'memory.swap.max 67108864'
	has 'cpu.weight 79'
	has 'cpu.max 25000 50000'
	has 'pids.max 33'
	has 'cpuset.cpus 0'
	has 'cpuset.mems 0'
	grep -qE '^io\.(bfq\.)?weight default (4950|500)$' <<<"$output"
	has 'cgroup.max.depth 5'
}

@test "update changes them, and refuses a limit below the usage when asked to look" {
	part update
	has 'memory.max 134217728'
	! grep -q '^memory.swap.max' <<<"$output" || has 'memory.swap.max max'
	has 'pids.max 44'
	has 'cpu.max 10000 20000'
	has 'cpu.weight 39'
	has 'refused [01]'
}

@test "a new period keeps the quota, memory may lose its limit" {
	part keep
	[ "$output" = "10000 40000
max" ]
}

@test "events tells that a process was killed for want of memory" {
	part ooms
	has 'code 137'
	has '\{"type":"oom","id":"small"\}'
	[ "$(grep -c '"oom"' <<<"$output")" -eq 1 ]
}

@test "statistics" {
	part events
	jq -e '.type == "stats" and .data.pids.current == 1 and .data.memory.usage.usage > 0 and .data.cpu.usage.total > 0' <<<"$output"
}

@test "delete leaves nothing" {
	part delete
	has 'ls: .*limits: No such file or directory'
	has 0
}

@test "a container beyond its memory is killed" {
	part oom
	has 'code 137'
}

@test "a container beyond its number of processes cannot fork" {
	part pids
	grep -q "can't fork" <<<"$output"
	! has all
}

@test "devices: only those of the specification open" {
	part devices
	has 'made'
	has 2
	has 'kmsg 0'
	part nodev
	grep -q "kmsg.*Operation not permitted" <<<"$output"
	has 'kmsg 1'
}

@test "a container that divides its own cgroup still takes further processes" {
	part inner
	has '0::/in'
	has 'there 255'
	has 'ls: .*inner: No such file or directory'
}

@test "a controller that is not there is named, and nothing stays" {
	part badres
	grep -q '"rdma"' <<<"$output"
	has 'code 1'
	has 'ls: .*badres: No such file or directory'
}

@test "unified resources: what is missing is said, and nothing stays" {
	part unified
	grep -q 'memory.nothing.*No such file' <<<"$output"
	grep -q 'the requested cgroup controller `foo` is not available' <<<"$output"
	has 'ls: .*: No such file or directory'
}

@test "after all of it: no cgroups, no processes, no mounts" {
	part after
	[ "$(head -2 <<<"$output" | tr '\n' ' ')" = "0 0 " ]
}
