#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The agent as a guest's first process on a machine with PCI and ACPI: disks, shares and memory that are there or come
# later, network, swap, clock, and the end. One boot; Kata's own messages over vsock; what came of them is looked up
# by busybox in the guest's mount namespace, by QMP, and in the disks' files on the host.

bats_require_minimum_version 1.5.0

setup_file() {
	ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	cd "$ROOT"
	(GUEST='' && . tests/agent/guest.sh && guest_build)
	GUEST=$(mktemp -d /tmp/kihon-agent.XXXXXX) # the sockets' paths must be short
	export ROOT GUEST
	. tests/agent/guest.sh
	make_extra "$GUEST/extra"
	guest_image "$GUEST/extra"
	make_disks
	start_share
	guest_qemu "${MACHINE[@]}"
	guest_boot --machine q35 --cpus 2 \
		--append "maxcpus=1 agent.log=debug agent.hotplug_timeout=30 agent.debug_console agent.debug_console_vport=1026"
	call CreateSandbox 'sandbox_id: "sb" hostname: "pod-name" dns: "nameserver 192.0.2.7" dns: "search example.org"
		kernel_modules { name: "first" parameters: "a=1" parameters: "b" } kernel_modules { name: "second" }
		guest_hook_path: "/test/hooks"
		storages { driver: "ephemeral" source: "shm" fstype: "tmpfs" options: "noexec" options: "nosuid" options: "nodev"
			options: "mode=1777" options: "size=67108864" mount_point: "/run/kata-containers/sandbox/shm" }'
	look_begin
}

teardown_file() {
	. "$ROOT/tests/agent/guest.sh"
	guest_end
	kill "$(<"$GUEST/fs.pid")" 2>/dev/null || true
	rm -rf "$GUEST"
}

# Beside the tools: a modprobe and hooks that leave a word, and the host's iptables with its libraries.
make_extra() {
	local f
	mkdir -p "$1"/{sbin,usr/sbin,test/hooks/{prestart,poststop}}
	printf '#!/bin/sh\necho "$*" >>/run/modprobe.log\n' >"$1/sbin/modprobe"
	for f in prestart poststop; do
		printf '#!/bin/sh\n/test/bin/cat >/run/hook.%s\n' $f >"$1/test/hooks/$f/10-state"
		chmod 755 "$1/test/hooks/$f/10-state"
	done
	chmod 755 "$1/sbin/modprobe"
	command -v xtables-nft-multi >/dev/null || return 0
	cp -L "$(command -v xtables-nft-multi)" "$1/usr/sbin/xtables-nft-multi"
	for f in iptables-save iptables-restore; do ln -s xtables-nft-multi "$1/usr/sbin/$f"; done
	for f in $(ldd "$1/usr/sbin/xtables-nft-multi" | grep -o '/[^ ]*') /usr/lib/x86_64-linux-gnu/xtables/libxt_{standard,tcp}.so; do
		mkdir -p "$1${f%/*}" && cp -L "$f" "$1$f"
	done
}

make_disks() {
	local d
	for d in pci port bridge scsi direct; do
		truncate -s 64M "$GUEST/$d" && mkfs.ext4 -q "$GUEST/$d"
	done
	for d in pmem nvdimm; do
		truncate -s 32M "$GUEST/$d" && mkfs.ext4 -q -b 4096 "$GUEST/$d"
	done
	head -c 1M /dev/urandom >"$GUEST/raw"
	for d in swap1 swap2; do
		head -c 32M /dev/zero >"$GUEST/$d" && chmod 600 "$GUEST/$d" && mkswap -q "$GUEST/$d"
	done
	MACHINE=(-machine nvdimm=on -m slots=4,maxmem=8G
		-drive "if=none,id=pci,format=raw,file=$GUEST/pci" -device virtio-blk-pci,drive=pci,addr=0x10
		-drive "if=none,id=raw,format=raw,file=$GUEST/raw" -device virtio-blk-pci,drive=raw,addr=0x11
		-drive "if=none,id=direct,format=raw,file=$GUEST/direct" -device virtio-blk-pci,drive=direct,addr=0x12
		-drive "if=none,id=swap1,format=raw,file=$GUEST/swap1" -device virtio-blk-pci,drive=swap1,addr=0x13
		-drive "if=none,id=swap2,format=raw,file=$GUEST/swap2" -device virtio-blk-pci,drive=swap2,addr=0x14
		-device pcie-root-port,id=port1,addr=0x15,chassis=1 -device pcie-root-port,id=port2,addr=0x16,chassis=2
		-device pci-bridge,id=bridge,chassis_nr=9,addr=0x17,shpc=on
		-device virtio-scsi-pci,id=scsi,addr=0x18
		-object "memory-backend-file,id=pmem,mem-path=$GUEST/pmem,size=32M,share=on"
		-device virtio-pmem-pci,memdev=pmem,addr=0x19)
}

# start_share: virtiofsd, where it runs, and its device.
start_share() {
	mkdir -p "$GUEST/share/passthrough/c1" && echo "from the host" >"$GUEST/share/passthrough/c1/file"
	/usr/lib/qemu/virtiofsd "--socket-path=$GUEST/fs.sock" -o "source=$GUEST/share" -o sandbox=chroot \
		>"$GUEST/fs.log" 2>&1 </dev/null 3>&- &
	echo $! >"$GUEST/fs.pid"
	until [ -S "$GUEST/fs.sock" ]; do
		kill -0 "$(<"$GUEST/fs.pid")" 2>/dev/null || return 0
		sleep 0.1
	done
	MACHINE+=(-chardev "socket,id=fs,path=$GUEST/fs.sock" -device vhost-user-fs-pci,chardev=fs,tag=kataShared,addr=0x1a)
}

setup() {
	cd "$ROOT"
	. tests/agent/guest.sh
	SHARED=/run/kata-containers/shared/containers
}

teardown() {
	[ -n "$BATS_TEST_COMPLETED" ] || remove c1 2>/dev/null || true
}

has() { [[ $output == *"$1"* ]] || { echo "missing: $1 in: $output"; false; }; }

# disk DRIVE FILE DEVICE-OPTIONS: plugs a disk in.
disk() {
	qmp blockdev-add "{\"driver\":\"raw\",\"node-name\":\"$1\",\"file\":{\"driver\":\"file\",\"filename\":\"$GUEST/$1\"}}"
	qmp device_add "{\"id\":\"dev-$1\",\"drive\":\"$1\",$2}"
}

# volume DRIVER SOURCE NAME [FIELDS]: the storage of an ext4 volume at $SHARED/NAME.
volume() { echo "storages { driver: \"$1\" source: \"$2\" fstype: \"ext4\" mount_point: \"$SHARED/$3\" ${4-} }"; }

# bound NAME: the mount that shows it in a container as /vol.
bound() { echo "Mounts { destination: \"/vol\" source: \"$SHARED/$1\" type: \"bind\" options: \"rbind\" options: \"rw\" }"; }

# writes ID STORAGE NAME: a container's life that leaves a file on the volume, where the host's debugfs finds it.
writes() {
	run run_all "$1" -e "$2" -s "$(bound "$3")" sh -c "mount | grep ' /vol '; echo $1 was here >/vol/file && sync"
	echo "$output"
	has "exit 0"
	! look "grep ' $SHARED/$3 ' /proc/self/mounts" || false
	[ "$(debugfs -R 'cat file' "$GUEST/$3" 2>/dev/null)" = "$1 was here" ]
	e2fsck -fn "$GUEST/$3"
}

@test "sandbox: host name, DNS, modules, kept namespaces, hooks of the image" {
	run look 'cat /etc/resolv.conf /run/modprobe.log; grep -c sandbox-ns /proc/self/mounts'
	[ "$output" = $'nameserver 192.0.2.7\nsearch example.org\n-v first a=1 b\n-v second\n2' ]
	[ "$(in_container look hostname)" = pod-name ]
	look 'cat /run/hook.prestart' | jq -e '.id == "look" and .ociVersion == "1.0.2-dev" or .id == "look"'
	run look 'stat -f -c %T /run/kata-containers/sandbox/shm; grep " /run/kata-containers/sandbox/shm " /proc/self/mounts'
	has 'noexec'
}

@test "details: the size of memory blocks is sysfs's" {
	run call GetGuestDetails 'mem_block_size: true mem_hotplug_probe: true'
	echo "$output"
	has "mem_block_size_bytes: $((16#$(look 'cat /sys/devices/system/memory/block_size_bytes')))"
	has 'init_daemon: true'
	has 'support_mem_hotplug_probe: true'
}

@test "blk: a disk by its PCI path" {
	writes c1 "$(volume blk 10 pci)" pci
}

@test "blk: a disk behind a PCIe port, plugged in after it was asked for" {
	(sleep 0.5 && disk port '"driver":"virtio-blk-pci","bus":"port1"') &
	writes c1 "$(volume blk 15/00 port)" port
	wait
}

@test "blk: a disk behind a PCI bridge" {
	disk bridge '"driver":"virtio-blk-pci","bus":"bridge","addr":"3"'
	writes c1 "$(volume blk 17/03 bridge)" bridge
}

@test "blk: a disk that does not come: the caller's deadline ends the wait, and nothing stays" {
	local spec='OCI { Version: "1.0.2" Process { Args: "true" Cwd: "/" } Root { Path: "/" } Linux { CgroupsPath: "/test/c1" Namespaces { Type: "mount" } } }' f i
	for f in "$(volume blk 1b nothing)" 'devices { type: "blk" id: "1b" container_path: "/dev/xvda" }'; do
		run call CreateContainer "container_id: \"c1\" $f $spec" 300
		echo "$output"
		[ "$status" -eq 68 ] # DEADLINE_EXCEEDED
		for i in {1..600}; do
			run container c1 nothing
			[ "$status" -ne 69 ] || break # NOT_FOUND is the program: the name is free
			sleep 0.1
		done
		[ "$status" -eq 69 ]
		! look "ls -d /sys/fs/cgroup/test/c1" || false
	done
}

@test "scsi: a disk by id and LUN" {
	disk scsi '"driver":"scsi-hd","bus":"scsi.0","scsi-id":1,"lun":3'
	writes c1 "$(volume scsi 1:3 scsi)" scsi
}

@test "nvdimm: virtio-pmem with DAX, whose bytes are the host's file's" {
	local words="DAX for containers $RANDOM"
	container c1 -e "$(volume nvdimm /dev/pmem1 pmem 'options: "dax"')" -s "$(bound pmem)" sleep 1000
	start c1
	run in_container c1 "mount | grep ' /vol '; echo '$words' >/vol/file; sync; guest-look dax /vol/file"
	echo "$output"
	[[ ${lines[0]} =~ ^/dev/pmem1\ on\ /vol\ type\ ext4\ .*dax=always ]]
	[ "${lines[1]}" = 1 ]
	grep -aq "$words" "$GUEST/pmem" # while it is mounted
	[ "$(in_container c1 'guest-look dax /bin/busybox')" = 1 ] # the image itself
	remove c1
	e2fsck -fn "$GUEST/pmem"
}

# Without the information block that Kata's images have (tests/kata-disk.bats) Linux gives an NVDIMM no DAX.
@test "nvdimm: an ACPI NVDIMM that is plugged in" {
	qmp object-add "{\"qom-type\":\"memory-backend-file\",\"id\":\"nvdimm\",\"mem-path\":\"$GUEST/nvdimm\",\"size\":33554432,\"share\":true}"
	qmp device_add '{"driver":"nvdimm","id":"dev-nvdimm","memdev":"nvdimm"}'
	writes c1 "$(volume nvdimm /dev/pmem2 nvdimm)" nvdimm
	[ "$(qmp query-memory-devices | jq -r '.[] | select(.data.id == "dev-nvdimm") | .type')" = nvdimm ]
	[[ $(look 'readlink /sys/class/block/pmem2') == */LNXSYSTM:00/* ]]
}

@test "virtio-fs: the host's folder, both ways, and mounted once" {
	[ -e "$GUEST/fs.sock" ] || skip "virtiofsd does not run here: $(head -c 200 "$GUEST/fs.log")"
	local s='storages { driver: "virtio-fs" source: "kataShared" fstype: "virtiofs" options: "nodev" mount_point: "/run/kata-containers/shared/containers" }'
	container share -e "$s" -s "$(bound passthrough/c1)" sleep 1000
	start share
	[ "$(look "grep -c ' $SHARED virtiofs ' /proc/self/mounts")" = 1 ]
	run in_container share 'cat /vol/file; echo "from the guest" >/vol/new; mount | grep " /vol "'
	echo "$output"
	has "from the host"
	has "kataShared on /vol type virtiofs"
	[ "$(cat "$GUEST/share/passthrough/c1/new")" = "from the guest" ]
	echo later >"$GUEST/share/passthrough/c1/later"
	[ "$(in_container share 'cat /vol/later')" = later ]
	cp -a "$GUEST/tree/test/rootfs" "$GUEST/share/passthrough/c1/rootfs"
	run run_all c1 -r "$SHARED/passthrough/c1/rootfs" sh -c 'mount | grep " on / "; echo words >/new; rm /bin/yes'
	echo "$output"
	has 'kataShared on / type virtiofs (rw'
	[ "$(<"$GUEST/share/passthrough/c1/rootfs/new")" = words ] && [ ! -e "$GUEST/share/passthrough/c1/rootfs/bin/yes" ]
	quiet RemoveStaleVirtiofsShareMounts
	quiet CopyFile "path: \"$SHARED/passthrough/sub/copied\" file_size: 4 file_mode: 33152 dir_mode: 493 uid: 7 gid: 8 data: \"copy\""
	[ "$(stat -c '%u %g %a' "$GUEST/share/passthrough/sub/copied") $(cat "$GUEST/share/passthrough/sub/copied")" = "7 8 600 copy" ]
	remove share
}

@test "watchable-bind: a small folder of the share is followed, where inotify works" {
	[ -e "$GUEST/fs.sock" ] || skip "virtiofsd does not run here: $(head -c 200 "$GUEST/fs.log")"
	local w=$SHARED/watchable/conf
	mkdir -p "$GUEST/share/conf" && echo one >"$GUEST/share/conf/key"
	container c1 -e "storages { driver: \"virtio-fs\" source: \"kataShared\" fstype: \"virtiofs\" mount_point: \"$SHARED\" }
		storages { driver: \"watchable-bind\" source: \"$SHARED/conf\" fstype: \"bind\" mount_point: \"$w\" }" \
		-s "$(bound watchable/conf)" sh -c 'mount | grep -o " on /vol type [a-z]*"; cat /vol/key; exec guest-look watch /vol'
	start c1
	until_output c1 watching
	grep -q 'on /vol type tmpfs' "$GUEST/out"
	[ "$(in_container c1 'cat /vol/key')" = one ]
	echo two >"$GUEST/share/conf/key.new" && mv "$GUEST/share/conf/key.new" "$GUEST/share/conf/key"
	until_output c1 came
	until_output c1 ' key'
	[ "$(in_container c1 'cat /vol/key')" = two ]
	remove c1
}

@test "overlayfs: the image's folder is a container's writable root" {
	run run_all c1 -e "storages { driver: \"overlayfs\" source: \"overlay\" fstype: \"overlay\" options: \"lowerdir=$TREE\"
		options: \"io.katacontainers.fs-opt.overlay-rw\" mount_point: \"/run/kata-containers/c1/rootfs\" }" \
		-r /run/kata-containers/c1/rootfs sh -c 'mount | grep " on / "; echo new >/new; cat /new; rm /bin/yes; ls /bin/yes 2>&1'
	echo "$output"
	[[ ${lines[0]} == "overlay on / type overlay (rw,"* ]]
	[ "${lines[1]}" = new ]
	has 'No such file'
	look "ls $TREE/bin/yes"
}

@test "the image's own pause container holds a sandbox, and ends when it is told to" {
	local at=/run/kata-containers/pause/rootfs type=io.kubernetes.cri.container-type
	container pause -r $at -s "Annotations { key: \"$type\" value: \"sandbox\" }" \
		-e 'storages { driver: "image_guest_pull" source: "pause" fstype: "overlay" mount_point: "'$at'"
			driver_options: "image_guest_pull={\"metadata\":{\"'$type'\":\"sandbox\"}}" }' /bin/evil
	start pause
	# It waits for signals; until then nothing would tell it of one.
	until_true look "for p in /proc/[0-9]*; do case \$(cat \$p/cmdline 2>/dev/null) in /pause) grep -q '^34 ' \$p/syscall && exit 0 ;; esac; done; exit 1"
	run look 'for p in /proc/[0-9]*; do [ "$(cat $p/cmdline 2>/dev/null)" != /pause ] || grep Uid $p/status; done'
	echo "$output"
	[ "$output" = $'Uid:\t65535\t65535\t65535\t65535' ]
	quiet SignalProcess 'container_id: "pause" signal: 15'
	run wait_exit pause
	echo "exit $output"
	[ "$output" = 0 ]
	remove pause
}

@test "ephemeral: tmpfs with a size and a group; local" {
	container c1 -e "storages { driver: \"ephemeral\" source: \"tmpfs\" fstype: \"tmpfs\" options: \"size=1048576\" options: \"fsgid=77\"
		mount_point: \"/run/kata-containers/sandbox/ephemeral/e\" }
		storages { driver: \"local\" options: \"mode=0750\" options: \"fsgid=78\" mount_point: \"$SHARED/local\" }" \
		-s "Mounts { destination: \"/vol\" source: \"/run/kata-containers/sandbox/ephemeral/e\" type: \"bind\" options: \"rbind\" }" sleep 1000
	start c1
	run in_container c1 'stat -c "%g %a" /vol; head -c 2000000 /dev/zero >/vol/big; stat -c %s /vol/big'
	echo "$output"
	[ "${lines[0]}" = "77 3777" ]
	[ "${lines[-1]}" = 1048576 ] # full
	[ "$(look "stat -c '%g %a' $SHARED/local")" = "78 2750" ]
	quiet UpdateEphemeralMounts 'storages { driver: "ephemeral" source: "tmpfs" fstype: "tmpfs" options: "size=2097152" options: "noexec"
		mount_point: "/run/kata-containers/sandbox/ephemeral/e" }'
	[[ $(look 'grep /ephemeral/e /proc/self/mounts') == *noexec*size=2048k* ]]
	[ "$(in_container c1 'head -c 2000000 /dev/zero >/vol/big; stat -c %s /vol/big')" = 2000000 ]
	remove c1
}

# huge NAME SIZE: a volume of huge pages of 2 MiB at $EPHEMERAL/NAME.
huge() {
	echo "storages { driver: \"ephemeral\" source: \"nodev\" fstype: \"hugetlbfs\" options: \"pagesize=2097152\" options: \"size=$2\"
		mount_point: \"/run/kata-containers/sandbox/$1\" }"
}

pages() { look "awk '/^HugePages_$1/ { print \$2 }' /proc/meminfo"; }

@test "ephemeral: huge pages are reserved, and the container's mapping takes them" {
	container c1 -e "$(huge huge 8388608)" \
		-s 'Mounts { destination: "/vol" source: "/run/kata-containers/sandbox/huge" type: "bind" options: "rbind" }' sleep 1000
	start c1
	[ "$(in_container c1 'awk "/HugePages_Total/ { print \$2 }" /proc/meminfo')" = 4 ]
	run in_container c1 'mount | grep " /vol "; truncate -s 4M /vol/pages; ls -l /vol'
	echo "$output"
	has 'pagesize=2M,size=8388608'
	# A second volume of this page size, while the first is still empty: the pages of both are there.
	container c2 -e "$(huge other 4194304)" \
		-s 'Mounts { destination: "/vol" source: "/run/kata-containers/sandbox/other" type: "bind" options: "rbind" }' sleep 1000
	[ "$(pages Total)" = 6 ]
	remove c2
	# The next finds the pages of the one that has gone.
	container c2 -e "$(huge third 4194304)" sleep 1000
	[ "$(pages Total)" = 6 ]
	remove c2
	# One that cannot be had leaves the number as it was, and nothing mounted.
	run container c2 -e "$(huge large 99999999999)" true
	echo "$output"
	[ "$status" -ne 0 ] && [ "${#lines[@]}" -eq 1 ]
	has 'more huge pages of 2097152 bytes only'
	[ "$(pages Total)" = 6 ]
	! look 'grep sandbox/large /proc/self/mounts' || false
	run container c2 -e 'storages { driver: "ephemeral" source: "nodev" fstype: "hugetlbfs" options: "pagesize=4096" options: "size=8192"
		mount_point: "/run/kata-containers/sandbox/huge2" }' true
	has 'no huge pages of 4096 bytes'
	remove c1
	look 'echo 0 >/proc/sys/vm/nr_hugepages'
}

@test "fs_group: always, and only when the root of the volume is another's" {
	local group='fs_group { group_id: 4321 group_change_policy:'
	run_all c1 -e "$(volume blk 10 pci)" -s "$(bound pci)" -p "$(caps CAP_CHOWN)" sh -c 'mkdir -p /vol/d; touch /vol/d/f; chgrp -R 0 /vol'
	run run_all c1 -e "$(volume blk 10 pci "$group Always }")" -s "$(bound pci)" -p "$(caps CAP_CHOWN)" sh -c 'stat -c "%g" /vol /vol/d /vol/d/f; chgrp 5 /vol/d/f'
	echo "$output"
	[ "$output" = $'4321\n4321\n4321\nexit 0' ]
	run run_all c1 -e "$(volume blk 10 pci "$group OnRootMismatch }")" -s "$(bound pci)" -p "$(caps CAP_CHOWN)" sh -c 'stat -c "%g" /vol/d/f; chgrp 6 /vol'
	echo "$output"
	[ "$output" = $'5\nexit 0' ]
	run run_all c1 -e "$(volume blk 10 pci "$group OnRootMismatch }")" -s "$(bound pci)" stat -c %g /vol/d/f
	echo "$output"
	[ "$output" = $'4321\nexit 0' ]
}

@test "direct-assigned: the volume grows with its disk, and says so" {
	container c1 -e "$(volume blk 12 direct)" -s "$(bound direct)" sleep 1000
	start c1
	local before after
	before=$(call GetVolumeStats "volume_guest_path: \"$SHARED/direct\"" | awk '/total:/ { print $2; exit }')
	[ "$before" -eq "$(in_container c1 'stat -f -c "%b %S" /vol | awk "{ print \$1 * \$2 }"')" ]
	qmp block_resize "{\"device\":\"direct\",\"size\":$((128 << 20))}"
	quiet ResizeVolume "volume_guest_path: \"$SHARED/direct\" size: $((128 << 20))"
	after=$(call GetVolumeStats "volume_guest_path: \"$SHARED/direct\"" | awk '/total:/ { print $2; exit }')
	echo "before $before after $after"
	[ "$after" -gt $((before * 18 / 10)) ]
	remove c1
	e2fsck -fn "$GUEST/direct"
	[ "$(dumpe2fs -h "$GUEST/direct" 2>/dev/null | awk '/^Block count:/ { print $3 }')" -ge 130000 ] # of 1 KiB
}

@test "a raw block device is the container's alone" {
	local dev='Devices { Path: "/dev/xvda" Type: "b" Major: 8 Minor: 99 FileMode: 432 }'
	run run_all c1 -e 'devices { type: "blk" id: "11" container_path: "/dev/xvda" }' -l "$dev" sh -c 'stat -c %A /dev/xvda; sha256sum /dev/xvda'
	echo "$output"
	[ "${lines[0]}" = brw-rw---- ]
	has "$(sha256sum <"$GUEST/raw" | cut -d' ' -f1)"
	local numbers
	numbers=$(look 'for d in /sys/block/vd*; do [ "$(cat $d/size)" = 2048 ] && cat $d/dev; done; true')
	run run_all c2 -p "$(caps CAP_MKNOD)" sh -c "mknod /dev/mine b ${numbers/:/ }; head -c 1 /dev/mine 2>&1"
	echo "$output"
	has 'Operation not permitted'
}

@test "swap: on a disk by PCI path, and by name" {
	local name
	quiet AddSwap 'PCIPath: 19'
	run look 'cat /proc/swaps'
	[ "${#lines[@]}" -eq 2 ]
	name=$(look 'basename $(ls -d /sys/bus/pci/devices/0000:00:14.0/virtio*/block/*)')
	quiet AddSwapPath "path: \"/dev/$name\""
	run look 'cat /proc/swaps'
	echo "$output"
	[ "${#lines[@]}" -eq 3 ]
	has "/dev/$name"
	run call AddSwapPath 'path: "/dev/nothing"'
	[ "$status" -eq 69 ]
}

# Linux gives an emulated machine no processors to plug in (acpi_is_processor_usable()): one that is there and offline.
@test "a processor comes online, and containers may use it" {
	[ "$(look 'cat /sys/devices/system/cpu/online')" = 0 ]
	quiet OnlineCPUMem 'wait: true nb_cpus: 2 cpu_only: true'
	[ "$(look 'cat /sys/devices/system/cpu/online')" = 0-1 ]
	[ "$(qmp query-cpus-fast | jq length)" -eq 2 ]
	run run_all c1 nproc
	[ "${lines[0]}" = 2 ]
	run call OnlineCPUMem 'wait: true nb_cpus: 3 cpu_only: true' 500
	[ "$status" -eq 68 ]
}

@test "memory that is plugged in comes online, and vsock goes on" {
	local before after
	before=$(look 'awk "/MemTotal/ { print \$2 }" /proc/meminfo')
	qmp object-add '{"qom-type":"memory-backend-memfd","id":"more","size":268435456,"share":true}'
	qmp device_add '{"driver":"pc-dimm","id":"dimm1","memdev":"more","addr":5368709120}'
	quiet OnlineCPUMem 'wait: true nb_cpus: 1'
	after=$(look 'awk "/MemTotal/ { print \$2 }" /proc/meminfo')
	echo "before $before after $after"
	[ $((after - before)) -ge 250000 ]
	[ "$(run_all c1 sh -c 'head -c 3000000 /dev/zero | tr "\0" x' | wc -c)" -ge 3000000 ]
	run call MemHotplugByProbe 'memHotplugProbeAddr: 5368709120'
	echo "$output"
	[ "$status" -eq 70 ] # ALREADY_EXISTS: the DIMM's
}

@test "network: a card behind its PCI path, addresses, routes, neighbours, traffic" {
	qmp netdev_add '{"type":"user","id":"net1","net":"10.9.9.0/24"}'
	qmp device_add '{"driver":"virtio-net-pci","id":"nic1","netdev":"net1","bus":"port2","mac":"02:00:00:00:09:01","romfile":""}'
	run call UpdateInterface 'interface { device: "eth7" name: "eth7" IPAddresses { address: "10.9.9.15" mask: "24" }
		IPAddresses { family: v6 address: "fd00:9::15" mask: "64" } mtu: 1400 hwAddr: "02:00:00:00:09:01" devicePath: "16/00" }'
	echo "$output"
	[ "$status" -eq 0 ]
	run look 'ip addr show eth7'
	echo "$output"
	has 'mtu 1400'
	has 'UP'
	has 'inet 10.9.9.15/24'
	has 'inet6 fd00:9::15/64'
	run call UpdateRoutes 'routes { Routes { dest: "" gateway: "10.0.2.2" device: "eth0" } Routes { dest: "10.9.9.0/24" device: "eth7" scope: 253 }
		Routes { dest: "198.51.100.0/24" gateway: "10.9.9.2" device: "eth7" mtu: 1300 } }'
	[ "$status" -eq 0 ]
	run look 'ip route'
	echo "$output"
	has 'default via 10.0.2.2 dev eth0'
	has '198.51.100.0/24 via 10.9.9.2 dev eth7'
	quiet AddARPNeighbors 'neighbors { ARPNeighbors { toIPAddress { address: "10.9.9.77" } device: "eth7" lladdr: "02:00:00:00:09:77" state: 128 } }'
	[[ $(look 'ip neigh show dev eth7') == *"10.9.9.77 lladdr 02:00:00:00:09:77"*PERMANENT* ]]
	run call ListInterfaces
	has 'name: "eth7"'
	has 'address: "10.9.9.15"'
	run call ListRoutes
	has 'gateway: "10.9.9.2"'
	mkdir -p "$GUEST/www" && echo "over the new card" >"$GUEST/www/page"
	python3 -u -m http.server -b 127.0.0.1 -d "$GUEST/www" 0 >"$GUEST/http.log" 2>&1 3>&- &
	echo $! >"$GUEST/http.pid"
	until_true grep -q port "$GUEST/http.log"
	run run_all c1 wget -qO- "http://10.9.9.2:$(sed -nE 's/.* port ([0-9]+).*/\1/p' "$GUEST/http.log")/page"
	kill "$(<"$GUEST/http.pid")"
	echo "$output"
	has "over the new card"
}

@test "statistics have the counters of the guest's interfaces" {
	container c1 sleep 1000 && start c1
	run call StatsContainer 'container_id: "c1"'
	local kernel stats
	kernel=$(look 'cat /sys/class/net/eth7/statistics/rx_bytes')
	stats=$(awk '/name: "eth7"/ { on = 1 } on && /rx_bytes/ { print $2; exit }' <<<"$output")
	echo "kernel $kernel stats $stats"
	[ "$stats" -gt 0 ] && [ "$kernel" -ge "$stats" ] && [ "$kernel" -le $((stats + 20000)) ]
	remove c1
}

@test "iptables: rules go in and come out" {
	look 'test -x /usr/sbin/iptables-save' || skip "iptables is not installed on this host"
	local rules='*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -s 192.0.2.1/32 -p tcp -j DROP\nCOMMIT\n'
	run call SetIPTables "data: \"$rules\""
	echo "$output"
	[ "$status" -eq 0 ]
	run call GetIPTables ''
	echo "$output"
	has '-A INPUT -s 192.0.2.1/32 -p tcp -j DROP'
	run call SetIPTables 'data: "*filter\nnonsense\nCOMMIT\n"'
	[ "$status" -eq 77 ]
	run call GetIPTables 'is_ipv6: true'
	[ "$status" -eq 76 ] # UNIMPLEMENTED: not put into this image
}

@test "ports: a debug console when asked for, no log port when not" {
	run bash -c "printf 'echo pid \$\$ tty \$(/test/bin/tty); exit\n' |
		timeout 100 tests/agent/port-client.py --vsock '$GUEST/vsock' 1026 '$GUEST/peer'"
	echo "$output"
	[[ $output =~ pid\ [0-9]+\ tty\ /dev/pts/[0-9] ]]
	run timeout 100 tests/agent/port-client.py --vsock "$GUEST/vsock" 1025 "$GUEST/peer" </dev/null
	[ "$status" -eq 1 ]
}

@test "clock and entropy" {
	local now
	quiet SetGuestDateTime 'Sec: 2000000000 Usec: 500000'
	now=$(look 'date +%s')
	[ "$now" -ge 2000000000 ] && [ "$now" -lt 2000000600 ]
	quiet SetGuestDateTime "Sec: $(date +%s)"
	run call SetGuestDateTime '' # a time is missing: 1970 is not meant
	[ "$status" -eq 67 ] && has 'no time to set'
	[ "$(look 'date +%s')" -ge 1700000000 ]
	run call SetGuestDateTime 'Sec: 1700000000 Usec: 1000000'
	[ "$status" -eq 67 ]
	quiet ReseedRandomDev 'data: "0123456789abcdef0123456789abcdef"'
	quiet ReseedRandomDev ''
	run call ReseedRandomDev "data: \"$(head -c 5000 /dev/zero | tr '\0' x)\""
	[ "$status" -eq 67 ]
	in_container look 'head -c 16 /dev/random | wc -c'
}

@test "metrics: what Prometheus can read, under Kata's names" {
	call GetMetrics | python3 -c '
import re, sys
text = sys.stdin.read()
text = text[text.index("\"") + 1:text.rindex("\"")].encode().decode("unicode_escape")
types, seen = {}, set()
for line in text.splitlines():
    if line.startswith("# TYPE "):
        name, kind = line.split()[2:]
        assert name not in types and kind in ("counter", "gauge"), line
        types[name] = kind
    elif not line.startswith("#"):
        m = re.fullmatch(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(\{([a-z_]+=\"(\\.|[^\"\\\n])*\",?)*\})? (-?[0-9.e+-]+)", line)
        assert m, line
        float(m[5])
        assert m[1] in types, line
        assert (m[1], m[2]) not in seen, line
        seen.add((m[1], m[2]))
agent = "scrape_count threads total_time total_vm total_rss proc_status io_stat proc_stat"
guest = "load tasks cpu_time vm_stat netdev_stat diskstat meminfo filesystem_bytes filesystem_inodes"
want = {"kata_agent_" + n for n in agent.split()} | {"kata_guest_" + n for n in guest.split()}
assert want <= {n for n, _ in seen}, want - {n for n, _ in seen}
print(len(seen), "samples")'
}

@test "metrics: input and output of the agent are the kernel's numbers" {
	local before after said
	before=$(look 'awk "/^read_bytes/ { print \$2 }" /proc/1/io')
	said=$(call GetMetrics | grep -o 'kata_agent_io_stat{item=..read_bytes..} [0-9]*' | awk '{ print $2 }')
	after=$(look 'awk "/^read_bytes/ { print \$2 }" /proc/1/io')
	echo "$before $said $after"
	[ "$before" -le "$said" ] && [ "$said" -le "$after" ] && [ "$after" -gt 0 ]
}

@test "the end: storages are gone, disks clean, the guest powers off" {
	quiet DestroySandbox
	local i pid
	pid=$(<"$GUEST/pid")
	until_gone "$pid"
	tail -5 "$GUEST/console"
	! grep -qE 'panicked|stopped|BUG|Oops' "$GUEST/console" || false
	for i in pci port bridge scsi direct pmem nvdimm; do e2fsck -fn "$GUEST/$i" || return; done
}
