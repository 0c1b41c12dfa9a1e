#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Storages of several layers, on loop devices: the agent as an ordinary process in private namespaces, as in
# agent.bats. dm-verity, which most build machines lack, is tested in a guest (agent-storage-guest.bats).

load agent/box

setup_file() {
	box_make
	export FILES=$BATS_FILE_TMPDIR TREE=/run/kata-containers/c1/rootfs
	make_layers
}

# Three layers, lowest first, and a writable disk. In containerd's layers a whiteout is a device 0:0.
make_layers() {
	local a
	cd "$FILES" || return
	mkdir -p base/{bin,etc,proc,sys,dev,run,tmp} mid/etc/hidden top/etc
	cp "$(command -v busybox)" base/bin/busybox
	for a in sh cat ls echo rm stat touch; do ln -s busybox base/bin/$a; done
	echo base >base/etc/name
	echo gone >base/etc/gone
	echo mid >mid/etc/name
	echo mid >mid/etc/mid
	echo top >top/etc/name
	[ "$(id -u)" -ne 0 ] || mknod top/etc/gone c 0 0
	for a in base mid top; do
		chmod 755 $a
		mkfs.erofs --quiet -Enoinline_data $a.erofs $a >/dev/null
	done
	truncate -s 8M upper.ext4
	mkfs.ext4 -q -F upper.ext4 2>/dev/null
	# One disk, the topmost layer first; the second table begins where the runtime's does, at a MiB.
	truncate -s 16M disk
	local sectors text=$'label: gpt\n' at=2048
	for a in top mid base; do
		sectors=$(($(stat -c %s $a.erofs) / 512))
		text+="start=$at, size=$sectors"$'\n'
		dd if=$a.erofs of=disk.part bs=512 seek=$at conv=notrunc status=none
		at=$(((at + sectors + 2047) / 2048 * 2048))
	done
	cp disk.part disk && truncate -s 16M disk
	printf '%s' "$text" | PATH=$PATH:/sbin:/usr/sbin sfdisk -q --no-reread disk
}

setup() {
	box_check
	local d
	d=$(losetup -r -f --show "$FILES/base.erofs" 2>/dev/null) || skip "there are no loop devices here"
	losetup -d "$d"
	grep -qw erofs /proc/filesystems || skip "this kernel has no erofs"
}

teardown() {
	local d
	for d in $(losetup -n -O NAME,BACK-FILE | awk -v dir="$BATS_RUN_TMPDIR/" 'index($2, dir) == 1 { print $1 }'); do
		partx -d "$d" 2>/dev/null # or they would stay with the number
		losetup -d "$d"
	done
}

# What each script begins with.
export OURS='
	attach() { losetup -f --show "$@"; }
	# storage DRIVER SOURCE TYPE OPTION...: its text, for the mount point of c1.
	storage() {
		local o text="storages { driver: \"$1\" source: \"$2\" fstype: \"$3\" mount_point: \"$TREE\""
		shift 3
		for o; do text+=" options: \"$o\""; done
		echo "$text } "
	}
	lower() { storage blk "$1" erofs ro X-kata.overlay-lower X-kata.multi-layer=true "${@:2}"; }
	upper() { storage blk "$1" ext4 rw X-kata.overlay-upper X-kata.multi-layer=true "${@:2}"; }
	part() { lower "$1" X-kata.gpt-partitioned=true X-kata.partition-number=$2; }
	three() { lower $(attach -r $FILES/top.erofs); lower $(attach -r $FILES/mid.erofs); lower $(attach -r $FILES/base.erofs); }
	SHOW="cat /etc/name /etc/mid; ls /etc; echo new >/etc/new; rm /etc/mid; stat -c %a /"
	refused() { container "$@" 2>&1 && { echo "not refused"; exit 1; }; nothing_left; }'

@test "layers on devices of their own, an upper disk, directories in it" {
	cp "$FILES/upper.ext4" "$FILES/own.ext4"
	inside 'eval "$OURS"
		agent_start; sandbox
		dev=$(attach $FILES/own.ext4)
		run_all c1 -e "$(upper $dev "X-kata.mkdir.path={{ mount 0 }}/upper:0755" "X-kata.mkdir.path={{ mount 0 }}/more/x:0750:7:8")$(three)" /bin/sh -c "$SHOW"
		nothing_left
		finish'
	has $'top\nmid\n'
	hasnt gone
	has 'exit 0'
	run debugfs -R 'cat /upper/etc/new' "$FILES/own.ext4"
	has new
	run debugfs -R 'stat /upper/etc/mid' "$FILES/own.ext4"
	has 'Type: character'
	run debugfs -R 'stat /more/x' "$FILES/own.ext4"
	has 'Mode:  0750' && has 'User:     7   Group:     8'
}

@test "an upper disk that was used before, and one whose links lead out of it" {
	cp "$FILES/upper.ext4" "$FILES/used.ext4"
	cp "$FILES/upper.ext4" "$FILES/links.ext4"
	cp "$FILES/upper.ext4" "$FILES/work.ext4"
	debugfs -w -R "symlink upper /run/escape" "$FILES/links.ext4" 2>/dev/null
	debugfs -w -R "symlink more /run/escape" "$FILES/links.ext4" 2>/dev/null
	debugfs -w -R "symlink work /run/escape" "$FILES/work.ext4" 2>/dev/null
	inside 'eval "$OURS"
		agent_start; sandbox
		mkdir /run/escape
		low=$(attach -r $FILES/base.erofs); used=$(attach $FILES/used.ext4)
		run_all c1 -e "$(upper $used)$(lower $low)" /bin/sh -c "echo one >/etc/one; busybox chmod 751 /; stat -c %a /"
		run_all c1 -e "$(upper $used)$(lower $low)" /bin/sh -c "cat /etc/one; stat -c %a /"
		links=$(attach $FILES/links.ext4)
		refused c1 -e "$(upper $links)$(lower $low)" /bin/sh
		refused c1 -e "$(upper $(attach $FILES/work.ext4))$(lower $low)" /bin/sh
		refused c1 -e "$(upper $links "X-kata.mkdir.path={{ mount 0 }}/more/x")$(lower $low)" /bin/sh
		[ -z "$(ls /run/escape)" ] || echo escaped
		finish'
	has $'751\nexit 0\none\n751\n'
	has "upper layer's \"upper\" is no directory"
	has "upper layer's \"work\" is no directory"
	hasnt escaped
}

@test "without an upper disk the container writes to memory; the mounts are where Kata has them" {
	inside 'eval "$OURS"
		agent_start; sandbox
		container c1 -e "$(three)" /bin/sh -c "$SHOW" && start c1 && output c1
		grep -c " /run/kata-containers/c1/multi-layer/[012] erofs ro" /proc/mounts
		cat /run/kata-containers/c1/multi-layer/upper/upper/etc/new
		wait_exit c1; remove c1
		nothing_left
		finish'
	has $'\n3\nnew\n0'
}

@test "partitions of one disk" {
	inside 'eval "$OURS"
		agent_start; sandbox
		dev=$(attach -r -P $FILES/disk)
		run_all c1 -e "$(part $dev 1; part $dev 2; part $dev 3)" /bin/sh -c "$SHOW"
		echo "no partitions known"
		partx -d $dev; losetup -d $dev
		dev=$(attach -r $FILES/disk)
		run_all c1 -e "$(part $dev 1; part $dev 2; part $dev 3)" /bin/sh -c "$SHOW"
		nothing_left
		finish'
	hasnt gone
	[ "$(grep -c '^top$' <<<"$output")" -eq 2 ] && [ "$(grep -c 'exit 0' <<<"$output")" -eq 2 ]
}

@test "partitions that are damaged, missing, elsewhere or named twice" {
	inside 'eval "$OURS"
		agent_start; sandbox
		dev=$(attach -r $FILES/disk)
		refused c1 -e "$(part $dev 1; part $dev 9)" /bin/sh
		refused c1 -e "$(part $dev 2; part $dev 1; part $dev 2)" /bin/sh
		cp $FILES/disk $FILES/bad
		printf x | dd of=$FILES/bad bs=1 seek=$((512 + 60)) conv=notrunc status=none
		printf x | dd of=$FILES/bad bs=1 seek=$(((16 << 20) - 512 + 60)) conv=notrunc status=none
		refused c1 -e "$(part $(attach -r $FILES/bad) 1)" /bin/sh
		refused c1 -e "$(part $(attach -r $FILES/top.erofs) 1)" /bin/sh
		# The kernel knows another partition of that number than the table has.
		dev=$(attach -r $FILES/disk)
		addpart $dev 2 64 8 || PATH=$PATH:/sbin:/usr/sbin addpart $dev 2 64 8
		refused c1 -e "$(part $dev 1; part $dev 2)" /bin/sh
		finish'
	has 'has no partition 9'
	has 'partition 2 of /dev/loop'
	has 'checksum does not hold'
	has 'there is no partition table'
	has 'is not where the partition table'
}

@test "options and layers that cannot be: one line, nothing left" {
	inside 'eval "$OURS"
		agent_start; sandbox
		dev=$(attach -r $FILES/top.erofs); low=$(attach -r $FILES/base.erofs); up=$(attach $FILES/upper.ext4)
		refused c1 -e "$(upper $up)" /bin/sh
		refused c1 -e "$(lower $dev; upper $up; upper $low)" /bin/sh
		refused c1 -e "$(lower $dev; lower $dev)" /bin/sh
		refused c1 -e "$(lower $dev X-kata.dmverity-enabled=true)" /bin/sh
		refused c1 -e "$(lower $dev X-kata.dmverity.nonsense=1)" /bin/sh
		refused c1 -e "$(lower $dev X-kata.dmverity.salt=00 X-kata.dmverity.salt=11)" /bin/sh
		refused c1 -e "$(lower $dev X-kata.gpt-partitioned=true)" /bin/sh
		refused c1 -e "$(lower $dev X-kata.partition-number=0 X-kata.gpt-partitioned=true)" /bin/sh
		refused c1 -e "$(lower $dev "X-kata.mkdir.path={{ mount 7 }}/x")" /bin/sh
		refused c1 -e "$(lower $dev; upper $up X-kata.mkfs=true)" /bin/sh
		refused c1 -e "$(lower $dev; lower $up)" /bin/sh
		refused c1 -e "$(lower $dev; storage virtio-fs share erofs X-kata.overlay-lower)" /bin/sh
		refused c1 -e "$(storage blk $dev xfs X-kata.multi-layer=true)" /bin/sh
		refused c1 -e "$(lower $dev; lower /dev/not-there)" /bin/sh
		refused c1 -e "$(lower $dev; upper $up "X-kata.mkdir.path=/../../../../etc/x" ro)" /bin/sh
		[ ! -e /etc/x ] && finish'
	has 'there is no lower layer'
	has 'two upper layers'
	has 'is two layers'
	has 'needs the option X-kata.dmverity.roothash='
	has 'nothing about a hash tree is ignored'
	has 'twice, with different values'
	has 'go together'
	has 'from 1 to 255'
	has '{{ mount 0 }} and'
	has 'formats no disks'
	has 'gives no layers'
	has 'neither upper nor lower'
	has 'did not appear'
}

@test "128 layers, partitions of one disk: mounted, shown, gone" {
	local i sectors text=$'label: gpt\n' at=2048
	cd "$BATS_TEST_TMPDIR" || return
	truncate -s 64M many
	for ((i = 1; i <= 127; i++)); do
		mkdir -p "$i/etc" && echo "$i" >"$i/etc/n$i" && echo "$i" >"$i/etc/top"
		mkfs.erofs --quiet "$i.erofs" "$i" >/dev/null
	done
	cp "$FILES/base.erofs" 128.erofs
	for ((i = 1; i <= 128; i++)); do
		truncate -s %4096 "$i.erofs"
		sectors=$(($(stat -c %s "$i.erofs") / 512))
		text+="start=$at, size=$sectors"$'\n'
		dd if="$i.erofs" of=many bs=512 seek=$at conv=notrunc status=none
		at=$((at + sectors))
	done
	printf '%s' "$text" | PATH=$PATH:/sbin:/usr/sbin sfdisk -q many >/dev/null
	MANY=$PWD/many inside 'eval "$OURS"
		agent_start; sandbox
		dev=$(attach -r $MANY)
		all=$(for ((i = 1; i <= 128; i++)); do part $dev $i; done)
		run_all c1 -e "$all" /bin/sh -c "ls /etc | grep -c ^n; cat /etc/top"
		nothing_left
		partx -d $dev
		finish'
	has $'128\n1\nexit 0'
}

@test "a root file system or a verified disk is not another one's" {
	inside 'eval "$OURS"
		agent_start; sandbox
		container c1 -e "$(lower $(attach -r $FILES/base.erofs))" /bin/sh
		container c2 -e "$(lower $(attach -r $FILES/top.erofs))" /bin/sh && echo shared
		container c2 -e "$(storage blk $(attach -r $FILES/top.erofs) erofs ro X-kata.dmverity.roothash=$(printf %064d 1))" /bin/sh && echo shared
		remove c1
		V="X-kata.dmverity.roothash=$(printf %064d 1)"
		refused c1 -e "$(storage virtio-fs share virtiofs ro $V)" /bin/sh
		refused c1 -e "$(storage local none local X-kata.dmverity-enabled=true)" /bin/sh
		refused c1 -e "$(storage blk /dev/loop0 erofs ro $V | sed s,rootfs,..,)" /bin/sh
		nothing_left; finish' 2>&1
	hasnt shared
	[ "$(grep -c 'is there already, and is another one' <<<"$output")" -eq 2 ]
	[ "$(grep -c 'dm-verity cannot protect' <<<"$output")" -eq 2 ]
	has 'must be absolute, without'
}

@test "ten thousand layers" {
	inside 'eval "$OURS"
		agent_start; sandbox
		text=$(lower /dev/loop9)
		printf -v many "%10000s" ""
		quiet CreateContainer "container_id: \"c1\" ${many// /$text}" 2>&1 | cut -c 1-300
		quiet CreateContainer "container_id: \"c1\" ${many// /$text} OCI { Version: \"1.0.2\" Process { Args: \"x\" Cwd: \"/\" User {} } Root { Path: \"$TREE\" } Linux {} }" 2>&1 | cut -c 1-300
		call GetGuestDetails "" >/dev/null && nothing_left && finish'
	has '10000 layers: the kernel stacks at most 500'
}

@test "a verified disk where the kernel has no device-mapper is not mounted" {
	[ ! -e /dev/mapper/control ] || skip "this kernel has device-mapper: the guest's test does it"
	inside 'eval "$OURS"
		agent_start; sandbox
		dev=$(attach -r $FILES/top.erofs)
		V="X-kata.dmverity.roothash=$(printf %064d 1) X-kata.dmverity.hashoffset=4096 X-kata.dmverity.no-superblock=true"
		refused c1 -e "$(lower $dev $V)" /bin/sh
		refused c1 -e "$(storage blk $dev erofs ro $V)" /bin/sh
		refused c1 -e "$(lower $dev ${V% *})" /bin/sh
		finish'
	[ "$(grep -c 'no device-mapper' <<<"$output")" -eq 2 ]
	has 'the verity superblock is not there'
}

@test "a sandbox's container where the guest has no pause container" {
	[ ! -e /pause_bundle ] || skip "this machine has a /pause_bundle"
	inside 'eval "$OURS"
		agent_start; sandbox
		pull() { echo "storages { driver: \"image_guest_pull\" driver_options: \"image_guest_pull={\\\"metadata\\\":{\\\"$1\\\":\\\"sandbox\\\"}}\"
			source: \"pause\" fstype: \"overlay\" mount_point: \"$TREE\" }"; }
		refused c1 -e "$(pull io.kubernetes.cri.container-type)" /bin/sh
		refused c1 -e "$(pull io.kubernetes.cri-o.ContainerType)" /bin/sh
		finish'
	[ "$(grep -c 'no pause container: /pause_bundle/rootfs is not there' <<<"$output")" -eq 2 ]
}

@test "the bundle has the container's config.json" {
	inside 'eval "$OURS"
		agent_start; sandbox
		container c1 -e "$(three)" /bin/sh -c "$SHOW"
		stat -c "mode %a" /run/kata-containers/c1/config.json
		jq -c "[.process.args, .root.path, [.linux.namespaces[].type]]" /run/kata-containers/c1/config.json
		remove c1; nothing_left
		finish'
	has 'mode 600'
	has '["/bin/sh","-c","cat /etc/name'
	has '"/run/kata-containers/c1/rootfs",["ipc","uts","mount","pid","cgroup"]'
}
