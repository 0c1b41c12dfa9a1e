#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Devices that are asked for: a real virtiofsd, a balloon and a virtio console with a Linux under QEMU; volumes, sizes and
# counters with a bare-metal guest of the built-in monitor. Linux there: tests/nested/steps/{long-share,volume,long-resize}.

setup_file() {
	ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	export ROOT
	make -s -C "$ROOT" kernel PROFILE=container >&2
	make -s -C "$ROOT" vmm-guests build/host/bin/kihon >&2
	export KIHON=$ROOT/build/host/bin/kihon
}

setup() {
	. "$ROOT/tests/wait.bash"
	export XDG_RUNTIME_DIR=$(mktemp -d /tmp/kihon-dev.XXXXXX)
	cd "$BATS_TEST_TMPDIR"
	pid=
}

teardown() {
	local left
	if [ -n "$pid" ]; then
		kill -TERM "$pid" 2>/dev/null || true
		wait "$pid" || true
	fi
	left=$(ls "$XDG_RUNTIME_DIR/kihon" 2>/dev/null)
	rm -rf "$XDG_RUNTIME_DIR"
	[ -z "$left" ] || { echo "left behind: $left"; return 1; }
	until_true never pgrep -f "virtiofsd.*$BATS_TEST_TMPDIR"
}

# image FORMAT ROOT: an image folder with the container kernel.
image() {
	local h=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
	mkdir -p image
	ln -s "$ROOT/build/kernel/container/vmlinux" image/vmlinux
	cp "$2" image/root
	cat >image/image.json <<-JSON
		{"schema":1,"name":"t","version":"0.1.0","profile":"container","arch":"x86_64","timestamp":0,
		"kernel":{"vmlinux":"vmlinux","version":"6.12"},"rootfs":{"file":"root","format":"$1"},
		"cmdline":"","agent":{"version":"0.1.0","min_version":"0.1.0","protocol":"0.0.1"},
		"files":[{"name":"vmlinux","size":$(stat -Lc %s image/vmlinux),"sha256":"$h"},
		{"name":"root","size":$(stat -c %s image/root),"sha256":"$h"}],"packages":[]}
	JSON
}

@test "a Linux reads and writes a folder of the host's, has a balloon, and speaks on hvc0" {
	PATH=$PATH:/usr/libexec:/usr/lib/qemu type -P virtiofsd || skip "virtiofsd is not installed"
	[ "$EUID" -eq 0 ] || skip "this virtiofsd may want root"
	mkdir -p tree/bin tree/mnt tree/proc tree/dev tree/sys shared
	cp "$(command -v busybox)" tree/bin/busybox
	cat >tree/init <<-'INIT'
		#!/bin/busybox sh
		b=/bin/busybox
		$b mount -t devtmpfs devtmpfs /dev
		$b mount -t proc proc /proc
		$b mount -t sysfs sysfs /sys
		exec >/dev/console 2>&1
		$b mount -t virtiofs a-tag /mnt && echo "the folder says: $($b cat /mnt/word)"
		$b dd if=/mnt/large of=/mnt/copy bs=64k 2>/dev/null
		$b ls -l /mnt/.. >/mnt/above
		$b cat /sys/bus/virtio/drivers/virtio_balloon/*/features
		$b cat /proc/consoles
		$b umount /mnt
		$b poweroff -f
	INIT
	chmod +x tree/init
	(cd tree && find . | cpio -o -H newc --quiet) >root
	image initrd root
	echo "good morning" >shared/word
	echo "not to be seen" >secret
	head -c 4M /dev/urandom >shared/large
	run timeout 300 "$KIHON" boot --vmm qemu --accel tcg --net none --verbose --timeout 280s --share "$PWD/shared:a-tag" --balloon --console hvc0 image
	echo "$output"
	[ "$status" -eq 0 ]
	[[ "$output" == *"the folder says: good morning"* ]]
	[[ "$output" == *$'\n'"hvc0 "* ]]
	# virtio 1.2 §5.5.3: DEFLATE_ON_OOM is bit 2, PAGE_REPORTING bit 5.
	grep -qE '^..1..1' <<<"$output"
	cmp shared/large shared/copy
	! grep -q secret shared/above
}

# start_spinner OPTION...: a guest that spins, on the built-in monitor, in the background: $pid, $id.
start_spinner() {
	{ : 3<>/dev/kvm; } 2>/dev/null || skip "/dev/kvm cannot be opened"
	: >root
	truncate -s 2M root
	[ -e image ] || image erofs root
	"$KIHON" boot --vmm builtin --accel kvm --net none -m 64M --kernel "$ROOT/build/host/test/vmm/spin" "$@" image >console 2>&1 3>&- &
	pid=$!
	for _ in {1..400}; do
		id=$(ls "$XDG_RUNTIME_DIR/kihon" 2>/dev/null) && [ -S "$XDG_RUNTIME_DIR/kihon/$id/control" ] &&
			"$KIHON" stats "$id" 2>/dev/null | grep -q '"io":[1-9]' && return
		kill -0 $pid || { cat console; return 1; }
		sleep 0.2
	done
	cat console
	return 1
}

one_line() {
	[ "$(grep -c '^kihon' <<<"$output")" -eq 1 ]
	[ "$(wc -l <<<"$output")" -eq 1 ]
}

@test "a guest has a control group of its own, gone with it" {
	local own at first
	start_spinner
	first=$id
	own=$(sed -n 's/^0:://p' /proc/$$/cgroup)
	at=$(awk '/ - cgroup2 / { print $5; exit }' /proc/self/mountinfo)$own
	mkdir "$at/may-be-made" 2>/dev/null || skip "no group of cgroup v2 may be made here"
	rmdir "$at/may-be-made"
	[ "$(pgrep -P $pid | while read -r p; do sed -n 's/^0:://p' "/proc/$p/cgroup"; done | sort -u)" = "${own%/}/kihon-$id" ]
	local monitors
	mapfile -t monitors < <(pgrep -P $pid)
	kill -9 $pid
	wait $pid || true
	until_gone "${monitors[@]}"
	# The next one takes away what it left.
	start_spinner
	[ -e "$at/kihon-$id" ]
	[ ! -e "$at/kihon-$first" ]
	kill -TERM $pid
	wait $pid || true
	[ ! -e "$at/kihon-$id" ]
}

@test "volumes come to a guest that runs and leave it" {
	start_spinner --slots 2
	truncate -s 4M one two three
	# Nobody in this guest looks: it is said, and the volume is there.
	run "$KIHON" volume attach "$id" one
	echo "$output"
	[ "$status" -eq 0 ]
	[[ "$output" == *"no agent answers"*$'\n'one ]]
	run "$KIHON" volume attach "$id" --pmem --id second two
	[ "$status" -eq 0 ]
	[ "$("$KIHON" volume ls "$id" | sed 's/ [0-9]*$//; s/ [0-9]* / /')" = $'one disk\nsecond pmem read-only' ]
	run "$KIHON" volume attach "$id" three
	[ "$status" -eq 125 ]
	one_line
	[[ "$output" == *"no empty slot"*--slots* ]]
	run "$KIHON" volume detach "$id" three
	[ "$status" -eq 2 ]
	one_line
	"$KIHON" stats "$id" | grep -q '"name":"blk"'
	"$KIHON" volume detach "$id" second
	"$KIHON" volume detach "$id" one
	[ -z "$("$KIHON" volume ls "$id")" ]
	! "$KIHON" stats "$id" | grep -q '"name":"blk"'
	for i in {1..20}; do
		"$KIHON" volume attach "$id" --id "v$i" -r one 2>/dev/null
		"$KIHON" volume attach "$id" --id "p$i" --pmem two 2>/dev/null
		"$KIHON" volume detach "$id" "v$i"
		"$KIHON" volume detach "$id" "p$i"
	done
	kill -0 $pid
}

@test "a file is one guest's to write to; what is no disk is refused" {
	start_spinner --slots 3
	truncate -s 4M disk
	"$KIHON" volume attach "$id" disk 2>/dev/null
	for o in '' --read-only --pmem; do
		run "$KIHON" volume attach "$id" --id other $o disk
		echo "$output"
		[ "$status" -eq 125 ]
		one_line
		[[ "$output" == *locked* ]]
	done
	run flock -n -x disk true
	[ "$status" -ne 0 ]
	"$KIHON" volume detach "$id" disk
	flock -n -x disk true
	"$KIHON" volume attach "$id" --id a -r disk 2>/dev/null
	"$KIHON" volume attach "$id" --id b -r disk 2>/dev/null
	run "$KIHON" volume attach "$id" --id c disk
	[ "$status" -eq 125 ]
	: >empty
	mkfifo pipe
	for o in empty pipe nowhere /dev/null; do
		run timeout 100 "$KIHON" volume attach "$id" --pmem --id c "$o"
		echo "$o: $status $output"
		[ "$status" -eq 125 ]
		one_line
	done
}

@test "a folder comes to a guest that runs and leaves it, and its virtiofsd with it" {
	PATH=$PATH:/usr/libexec:/usr/lib/qemu type -P virtiofsd || skip "virtiofsd is not installed"
	[ "$EUID" -eq 0 ] || skip "this virtiofsd may want root"
	start_spinner --shared-memory --slots 1
	mkdir folder
	for o in --pmem --read-only; do
		run "$KIHON" volume attach "$id" $o folder
		echo "$output"
		[ "$status" -eq 2 ]
		one_line
	done
	run "$KIHON" volume attach "$id" folder
	echo "$output"
	[ "$status" -eq 0 ]
	pgrep -f "virtiofsd.*$PWD/folder"
	"$KIHON" stats "$id" | grep -q '"name":"fs"'
	[ "$("$KIHON" volume ls "$id" | cut -d' ' -f1,2)" = "folder fs" ]
	"$KIHON" volume detach "$id" folder
	until_true never pgrep -f "virtiofsd.*$PWD/folder"
	"$KIHON" volume attach "$id" --id again folder 2>/dev/null
	# One slot: refused, and nobody serves the folder for nothing.
	mkdir other
	run "$KIHON" volume attach "$id" other
	[ "$status" -eq 125 ]
	until_true never pgrep -f "virtiofsd.*$PWD/other"
	[ -z "$(ls "$XDG_RUNTIME_DIR/kihon/$id" | grep share)" ]
	kill -TERM "$pid"
	wait "$pid" || true
	pid=
	until_true never pgrep -f "virtiofsd.*$PWD/folder"
	start_spinner --slots 1
	run "$KIHON" volume attach "$id" folder
	echo "$output"
	[ "$status" -eq 2 ]
	one_line
	[[ "$output" == *--shared-memory* ]]
}

@test "sizes that a guest can and cannot have; requests that are no requests" {
	start_spinner --memory-max 192M --balloon
	for o in 65M 1G 16M 193M; do
		run "$KIHON" resize "$id" --memory "$o"
		echo "$o: $status $output"
		[ "$status" -eq 2 ]
		one_line
	done
	# Its processor does not know of the device.
	run "$KIHON" resize "$id" --memory 128M --timeout 1s
	[ "$status" -eq 125 ]
	[[ "$output" == *"has 64 MiB, and is still asked for 128"* ]]
	[ "$("$KIHON" resize "$id" --memory 64M)" = "64 MiB" ]
	command -v python3 >/dev/null || skip "python3, which speaks nonsense here, is not installed"
	local before
	before=$(ls /proc/"$(pgrep -P $pid | head -n 1)"/fd | wc -l)
	python3 - "$XDG_RUNTIME_DIR/kihon/$id/control" <<-'PY'
		import os, random, socket, sys
		random.seed(5)
		for i in range(300):
		    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
		    s.connect(sys.argv[1])
		    size = random.choice([1, 16, 24, 55, 56, 57, 64, 4096])
		    data = bytearray(os.urandom(size))
		    if i % 2 and size >= 8: data[0:8] = bytes([1, 0, 0, 0, random.randrange(8), 0, 0, 0])
		    fds = [0] * random.randrange(4)
		    socket.send_fds(s, [bytes(data)], fds) if fds else s.send(data)
		    s.settimeout(100)
		    if i % 3: s.recv(8192)
		    s.close()
		idle = []
		for i in range(40):
		    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
		    s.connect(sys.argv[1])
		    idle.append(s)
	PY
	[ "$("$KIHON" resize "$id" --memory 64M)" = "64 MiB" ]
	until_true eval '[ "$(ls /proc/"$(pgrep -P $pid | head -n 1)"/fd | wc -l)" -le "$before" ]'
}
