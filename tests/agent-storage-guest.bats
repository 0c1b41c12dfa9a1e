#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# dm-verity under layers and volumes, the pause container and PCI devices, in a booted guest: hash trees are
# veritysetup's, partitions sfdisk's, and what holds is the kernel's word. One guest for all; the last test ends it.

setup_file() {
	export ROOT=$BATS_TEST_DIRNAME/.. GUEST
	cd "$ROOT" || return
	GUEST=$(mktemp -d /tmp/kihon-sg.XXXXXX)
	make -s kernel PROFILE=container >&2
	make -s build/host/bin/kihon build/host/bin/kata-image-tool build/host/bin/agent-client \
		build/guest/bin/kihon-agent build/guest/bin/kihon-pull build/guest/bin/pause >&2
	. tests/agent/guest.sh
	make_disks
	make_pause
	guest_image "$GUEST/extra"
	local disk slot=10 more=()
	for disk in disk upper.ext4 one plain512 broken panic; do
		more+=(-drive "if=none,id=$disk,format=raw,file=$GUEST/$disk$([ $disk = upper.ext4 ] || echo ,readonly=on)"
			-device "virtio-blk-pci,drive=$disk,addr=0x$slot")
		slot=$((slot + 1))
	done
	truncate -s 1M "$GUEST/scsi"
	more+=(-device virtio-scsi-pci,addr=0x16 -drive "if=none,id=scsi,format=raw,file=$GUEST/scsi" -device scsi-hd,drive=scsi,scsi-id=3,lun=5)
	more+=(-drive "if=none,id=sha512,format=raw,file=$GUEST/sha512,readonly=on" -device virtio-blk-pci,drive=sha512,addr=0x17)
	guest_qemu "${more[@]}"
	guest_boot --machine q35 --memory 512M && sandbox && look_begin
}

teardown_file() {
	. "$ROOT/tests/agent/guest.sh"
	guest_end
	rm -rf "$GUEST"
}

setup() {
	cd "$ROOT" || return
	. tests/agent/guest.sh
	TREE=/run/kata-containers/c1/rootfs
	. "$GUEST/hashes"
}

# tree FILE NAME [OPTION...]: veritysetup's hash tree behind the file's own blocks; NAME_root and NAME_at in $GUEST/hashes.
tree() {
	local file=$1 name=$2 size
	shift 2
	truncate -s %4096 "$file"
	size=$(stat -c %s "$file")
	echo "${name}_at=$size" >>"$GUEST/hashes"
	PATH=$PATH:/sbin:/usr/sbin veritysetup format --hash-offset="$size" "$@" "$file" "$file" |
		sed -n "s/^Root hash:[[:space:]]*/${name}_root=/p" >>"$GUEST/hashes"
}

make_disks() (
	cd "$GUEST" || return
	local a sectors text=$'label: gpt\n' at=2048
	mkdir -p base/{bin,etc,proc,sys,dev,run,tmp} mid/etc top/etc
	cp "$(command -v busybox)" base/bin/busybox
	for a in sh cat ls echo touch wc dd; do ln -s busybox base/bin/$a; done
	echo base >base/etc/name
	echo mid >mid/etc/mid
	echo top >top/etc/name
	head -c 1M /dev/urandom >base/etc/big
	for a in base mid top; do
		mkfs.erofs --quiet -Enoinline_data $a.erofs $a >/dev/null
		cp $a.erofs $a.verity
	done
	cp base.erofs one && cp base.erofs plain512 && cp base.erofs sha512
	tree base.verity base --data-blocks=$(($(stat -c %s base.erofs) / 4096))
	tree mid.verity mid --data-blocks=$(($(stat -c %s mid.erofs) / 4096)) --salt=-
	tree top.verity top --data-blocks=$(($(stat -c %s top.erofs) / 4096))
	tree one one --data-blocks=$(($(stat -c %s base.erofs) / 4096)) --salt=0badcafe
	tree sha512 sha512 --hash=sha512 --data-blocks=$(($(stat -c %s base.erofs) / 4096))
	tree plain512 plain --no-superblock --data-blocks=$(($(stat -c %s base.erofs) / 512)) --data-block-size=512 --hash-block-size=1024 --salt=aa
	truncate -s 16M disk.part
	for a in top mid base; do
		sectors=$(($(stat -c %s $a.verity) / 512))
		text+="start=$at, size=$sectors"$'\n'
		dd if=$a.verity of=disk.part bs=512 seek=$at conv=notrunc status=none
		at=$(((at + sectors + 2047) / 2048 * 2048))
	done
	printf '%s' "$text" | PATH=$PATH:/sbin:/usr/sbin sfdisk -q disk.part
	mv disk.part disk
	truncate -s 8M upper.ext4
	mkfs.ext4 -q -F upper.ext4 2>/dev/null
	# One byte of the big file: its blocks are where its content is found.
	cp one broken
	python3 - broken base/etc/big <<-'END'
		import sys
		disk, big = bytearray(open(sys.argv[1], "rb").read()), open(sys.argv[2], "rb").read()
		disk[disk.index(big[:4096]) + (512 << 10)] ^= 1
		open(sys.argv[1], "wb").write(disk)
	END
	cp broken panic
)

make_pause() {
	mkdir -p "$GUEST/extra/pause_bundle/rootfs/bin"
	cp "$(command -v busybox)" "$GUEST/extra/pause_bundle/rootfs/bin/busybox"
	jq -n '{ociVersion: "1.0.2", root: {path: "rootfs"}, process: {cwd: "/", user: {uid: 7, gid: 8}, env: ["WHO=the guest"],
		args: ["/bin/busybox", "sh", "-c", "echo $WHO; busybox id; echo x >/new || echo cannot write"]}}' \
		>"$GUEST/extra/pause_bundle/config.json"
}

# storage SLOT TYPE OPTION...: the text of one, for the mount point of c1.
storage() {
	local o text="storages { driver: \"blk\" source: \"$1\" fstype: \"$2\" mount_point: \"$TREE\""
	shift 2
	for o; do text+=" options: \"$o\""; done
	echo "$text } "
}
verity() { echo "X-kata.dmverity-enabled=true X-kata.dmverity.roothash=$1 X-kata.dmverity.hashoffset=$2"; }
# part NUMBER ROOT OFFSET: a verified layer of the first disk.
part() { storage 10 erofs ro X-kata.overlay-lower X-kata.multi-layer=true X-kata.gpt-partitioned=true X-kata.partition-number="$1" $(verity "$2" "$3"); }
devices() { look 'for d in /sys/block/dm-*; do [ ! -e $d ] || cat $d/dm/name; done'; }

has() { [[ $output == *"$1"* ]] || { echo "missing: $1"; false; }; }
hasnt() { [[ $output != *"$1"* ]] || { echo "not expected: $1"; false; }; }

# refused WORDS COMMAND...: the creation fails with one line that has the words, and leaves nothing in the guest.
refused() {
	run container c1 "${@:2}"
	echo "$output"
	[ "$status" -ne 0 ] && [ "${#lines[@]}" -eq 1 ] && has "$1"
	gone
}

# gone: no device-mapper device and no mount of c1's. Both go a moment after the answer.
gone() {
	local i left
	for ((i = 0; i < 100; i++)); do
		left=$(devices; look 'grep -c kata-containers/c1 /proc/self/mounts; true')
		[ "$left" != 0 ] || return 0
		sleep 0.5
	done
	echo "left: $left"
	return 1
}

@test "verified partitions under one overlay, a disk above" {
	run container c1 -e "$(part 1 "$top_root" "$top_at"; part 2 "$mid_root" "$mid_at"; part 3 "$base_root" "$base_at")$(
		storage 11 ext4 rw X-kata.overlay-upper X-kata.multi-layer=true 'X-kata.mkdir.path={{ mount 0 }}/upper:0755')" \
		/bin/sh -c 'cat /etc/name /etc/mid; wc -c </etc/big; echo new >/etc/new; ls /etc'
	[ "$status" -eq 0 ] || { echo "$output"; false; }
	run devices
	echo "$output"
	[ "${#lines[@]}" -eq 3 ]
	[[ ${lines[0]} == kata-verity-vd?[123]-* ]]
	run look 'grep c1/multi-layer /proc/self/mounts'
	[ "$(grep -c '^/dev/dm-[0-9]* .*/multi-layer/[012] erofs ro' <<<"$output")" -eq 3 ]
	start c1
	run output c1
	[ "$output" = $'top\nmid\n1048576\nbig\nmid\nname\nnew' ]
	[ "$(wait_exit c1)" = 0 ]
	remove c1
	gone
}

@test "a verified volume by itself: superblock, salt of the options, SHA-512, blocks of 512 bytes without a superblock" {
	local o
	for o in "$(storage 12 erofs ro $(verity "$one_root" "$one_at"))" \
		"$(storage 12 erofs $(verity "$one_root" "$one_at") X-kata.dmverity.salt=0badcafe X-kata.dmverity.algorithm=sha256)" \
		"$(storage 17 erofs $(verity "$sha512_root" "$sha512_at"))" \
		"$(storage 13 erofs $(verity "$plain_root" "$plain_at") X-kata.dmverity.no-superblock=true X-kata.dmverity.salt=aa X-kata.dmverity.blocksize=512 X-kata.dmverity.hashsize=1024)"; do
		run run_all c1 -e "$o" /bin/sh -c 'cat /etc/name; echo x >/etc/x || echo read-only'
		echo "$output"
		[ "${lines[0]}" = base ] && has read-only
		gone
	done
}

@test "what does not hold is not mounted, whichever layer it is" {
	local wrong=${top_root//[0-7]/8}
	refused 'does not hold against its root hash' -e "$(storage 12 erofs ro $(verity "$wrong" "$one_at"))" /bin/sh
	refused 'does not hold against its root hash' -e "$(part 1 "$top_root" "$top_at"; part 2 "$mid_root" "$mid_at"; part 3 "$top_root" "$base_at")" /bin/sh
	refused 'does not hold against its root hash' -e "$(part 1 "$wrong" "$top_at"; part 2 "$mid_root" "$mid_at"; part 3 "$base_root" "$base_at")" /bin/sh
	refused 'another salt' -e "$(storage 12 erofs ro $(verity "$one_root" "$one_at") X-kata.dmverity.salt=00)" /bin/sh
	refused 'superblock is not there' -e "$(storage 12 erofs ro $(verity "$one_root" 4096))" /bin/sh
	refused 'not within' -e "$(storage 12 erofs ro $(verity "$one_root" $((1 << 40))) X-kata.dmverity.no-superblock=true)" /bin/sh
	refused 'does not take the table' -e "$(storage 12 erofs ro $(verity "$one_root${one_root:0:32}" "$one_at") X-kata.dmverity.no-superblock=true X-kata.dmverity.algorithm=sha384)" /bin/sh
	refused 'does not hold against its root hash' -e "$(storage 17 erofs ro $(verity "${sha512_root//[0-7]/8}" "$sha512_at"))" /bin/sh
	refused '/bin/not-there' -e "$(part 1 "$top_root" "$top_at"; part 3 "$base_root" "$base_at")" /bin/not-there
	refused 'has no partition 4' -e "$(part 4 "$top_root" "$top_at")" /bin/sh
}

@test "a block that was changed cannot be read; the guest and the rest of the layer go on" {
	run run_all c1 -e "$(storage 14 erofs ro $(verity "$one_root" "$one_at"))" \
		/bin/sh -c 'cat /etc/name; dd if=/etc/big bs=4096 skip=128 count=1 of=/dev/null; echo "status $?"; dd if=/etc/big bs=4096 count=1 2>/dev/null | wc -c; cat /etc/name'
	echo "$output"
	[ "${lines[0]}" = base ] && has 'status 1' && has $'\n4096\nbase'
	gone
	until_true grep -q 'device-mapper: verity:.*data block .* is corrupted' "$GUEST/console"
}

@test "the pause container" {
	local meta='driver_options: "image_guest_pull={\"metadata\":{\"io.kubernetes.cri.container-type\":\"sandbox\"}}"'
	run run_all c1 -e "storages { driver: \"image_guest_pull\" $meta source: \"pause\" fstype: \"overlay\" mount_point: \"$TREE\" }" \
		-s 'Annotations { key: "io.kubernetes.cri.container-type" value: "sandbox" }' /bin/evil
	echo "$output"
	[ "${lines[0]}" = 'the guest' ] && has 'uid=7 gid=8' && has 'cannot write' && has 'exit 0'
	gone
}

@test "PCI devices for the guest's drivers are named as they are here; for containers this kernel has no driver" {
	local device='devices { type: "vfio-pci-gk" id: "gpu" container_path: "/dev/vfio/7" options: "0000:3b:00.0=10" options: "0000:3B:00.1=11" }'
	container c1 -e "$(storage 12 erofs ro $(verity "$one_root" "$one_at"))$device" \
		-p 'Env: "PCIDEVICE_A=0000:3b:00.1,0000:3b:00.0,0000:99:00.0" Env: "PCIDEVICE_A_INFO=0000:3b:00.0"' \
		/bin/sh -c 'echo $PCIDEVICE_A $PCIDEVICE_A_INFO; cat'
	start c1
	quiet ExecProcess 'container_id: "c1" exec_id: "e1" process { User {} Args: "/bin/sh" Args: "-c" Args: "echo $PCIDEVICE_B" Env: "PCIDEVICE_B=0000:3b:00.0" Cwd: "/" }'
	run output c1 '' e1
	[ "$output" = 0000:00:10.0 ]
	quiet CloseStdin 'container_id: "c1" exec_id: "c1"'
	run output c1
	[ "$output" = '0000:00:11.0,0000:00:10.0,0000:99:00.0 0000:3b:00.0' ]
	remove c1
	refused 'this guest'\''s kernel has no driver vfio-pci' -e "${device/vfio-pci-gk/vfio-pci}" /bin/sh
	refused 'did not appear' -e "${device/=10/=1e}" /bin/sh
	refused 'DDDD:BB:SS.F=PCI-PATH' -e "${device/=10/}" /bin/sh
}

@test "a SCSI disk for a container alone: by id and LUN" {
	local device='devices { type: "scsi" id: "3:5" container_path: "/dev/xyz" }'
	run run_all c1 -e "$(storage 12 erofs ro $(verity "$one_root" "$one_at"))$device" \
		-l 'Devices { Path: "/dev/xyz" Type: "b" Major: 1 Minor: 1 FileMode: 384 }' \
		/bin/sh -c 'dd if=/dev/zero of=/dev/xyz bs=1M 2>/dev/null; echo written by the guest | dd of=/dev/xyz conv=notrunc,fsync 2>/dev/null; dd if=/dev/xyz bs=512 2>/dev/null | wc -c'
	echo "$output"
	[ "${lines[0]}" = 1048576 ]
	[ "$(head -n 1 "$GUEST/scsi")" = 'written by the guest' ]
	refused 'no SCSI address' -e "${device/3:5/3-5}" /bin/sh
}

@test "a changed block ends the guest where that was asked for" {
	container c1 -e "$(storage 15 erofs ro $(verity "$one_root" "$one_at") X-kihon.dmverity.on-corruption=panic)" \
		/bin/sh -c 'dd if=/etc/big bs=4096 skip=128 count=1 of=/dev/null'
	start c1
	until_gone "$(<"$GUEST/pid")"
	grep -q 'Kernel panic - not syncing: dm-verity device corrupted' "$GUEST/console"
}
