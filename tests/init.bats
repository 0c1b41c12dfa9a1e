#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# kihon-init as pid 1: it sets a guest up, runs one program, reports its exit status and ends the machine.
# The program is busybox, so what is seen is what an ordinary program sees.

setup_file() {
	export ROOT=$BATS_TEST_DIRNAME/..
	export KERNEL=$ROOT/build/kernel/container
	make -s -C "$ROOT" kernel PROFILE=container >&2
	make -s -C "$ROOT" build/guest/bin/kihon-init build/guest/test/net-driver build/guest/test/device-driver >&2
	export TREE=$BATS_FILE_TMPDIR/tree
	mkdir -p "$TREE"/{bin,etc/kihon,proc,sys,dev,run,tmp,srv}
	cp "$ROOT/build/guest/bin/kihon-init" "$TREE/init"
	cp "$ROOT"/build/guest/test/{net,device}-driver "$TREE/bin/"
	cp "$(command -v busybox)" "$TREE/bin/busybox"
	local a
	for a in sh cat ls ip id hostname sleep kill env mount date; do ln -s busybox "$TREE/bin/$a"; done
	: >"$TREE/etc/resolv.conf"
	echo guest-of-kihon >"$TREE/etc/hostname"
}

# script TEXT: the guest's program is a shell that runs it.
script() {
	mkdir -p "$BATS_TEST_TMPDIR/etc/kihon"
	printf '#!/bin/sh\n%s\n' "$1" >"$BATS_TEST_TMPDIR/etc/script"
	printf '# from %s\nexec /bin/sh\narg /etc/script\n' "$BATS_TEST_NAME" >"$BATS_TEST_TMPDIR/etc/kihon/init.conf"
}

pack() {
	(cd "$TREE" && find . | LC_ALL=C sort | cpio -o -H newc --quiet)
	if [ -d "$BATS_TEST_TMPDIR/etc" ]; then
		(cd "$BATS_TEST_TMPDIR" && find etc -type f | cpio -o -H newc --quiet)
	fi
}

# qemu MACHINE WORDS OPTION...: the guest's console in $output, its report in $report. Twice at most: an
# emulated boot on a loaded machine may lose a timer interrupt (docs/kernel.md).
qemu() {
	local machine=$1 words=$2 bus=device try
	shift 2
	[[ $machine == q35* ]] && bus=pci
	for try in 1 2; do
		: >"$BATS_TEST_TMPDIR/report"
		run timeout 300 qemu-system-x86_64 -M "$machine" -accel tcg -cpu max -m 256 -nodefaults \
			-no-user-config -display none -serial stdio -no-reboot -global virtio-mmio.force-legacy=off \
			-kernel "$KERNEL/vmlinux" -append "console=ttyS0 quiet panic=-1 $words" \
			-device "virtio-serial-$bus" -chardev "file,id=e,path=$BATS_TEST_TMPDIR/report" \
			-device virtserialport,chardev=e,name=kihon.exit "$@" </dev/null
		[ "$status" -eq 124 ] || break
	done
	output=${output//$'\r'/}
	echo "$output"
	report=$(<"$BATS_TEST_TMPDIR/report")
	echo "report: $report"
	[ "$status" -eq 0 ]
}

boot() {
	pack >"$BATS_TEST_TMPDIR/initrd"
	qemu microvm,acpi=off "reboot=t $1" -initrd "$BATS_TEST_TMPDIR/initrd" "${@:2}"
}

line() { grep -qxF -- "$1" <<<"$output"; }

@test "the program finds an ordinary machine, and its exit status reaches the host" {
	script '
	while read -r dev at type flags rest; do echo "mount $at $type $flags"; done </proc/mounts
	for l in /dev/ptmx /dev/fd /dev/stdout; do echo "link $l $(busybox readlink $l)"; done
	echo hello >/dev/stderr; echo "name $(hostname)"
	echo "controllers $(cat /sys/fs/cgroup/cgroup.subtree_control)"
	echo "score $(cat /proc/self/oom_score_adj) $(cat /proc/1/oom_score_adj)"
	echo "files $(ulimit -n) core $(ulimit -c) mask $(umask)"
	echo "env $(env | busybox sort | busybox tr "\n" " ")"
	echo "signals $(busybox grep -E "Sig(Blk|Ign)" /proc/self/status | busybox tr -d "\n\t")"
	echo "fds $(busybox ls /proc/self/fd | busybox tr "\n" " ")"
	echo "lo $(ip -o addr show lo | busybox grep -c 127.0.0.1/8)"
	echo "oops $(cat /proc/sys/kernel/panic_on_oops)"
	echo "year $(date +%Y)"
	busybox tty
	exit 7'
	boot "kihon.marks stray=word strayflag"
	[ "$report" = "exit 7" ]
	line "mount /proc proc rw,nosuid,nodev,noexec,relatime"
	line "mount /sys sysfs rw,nosuid,nodev,noexec,relatime"
	line "mount /sys/fs/cgroup cgroup2 rw,nosuid,nodev,noexec,relatime,nsdelegate"
	line "mount /dev/shm tmpfs rw,nosuid,nodev,noexec,relatime"
	line "mount /run tmpfs rw,nosuid,nodev,relatime,mode=755"
	line "mount /dev/pts devpts rw,nosuid,noexec,relatime,gid=5,mode=620,ptmxmode=666"
	grep -q '^mount /dev devtmpfs rw,nosuid' <<<"$output"
	line "link /dev/ptmx pts/ptmx"
	line "link /dev/fd /proc/self/fd"
	line hello
	line "name guest-of-kihon"
	for c in cpu memory pids io; do grep -q "^controllers .*\b$c\b" <<<"$output"; done
	line "score 0 -1000"
	line "files 1024 core 0 mask 0022"
	# The kernel's stray words are not the program's environment.
	line "env HOME=/ PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin PWD=/ SHLVL=1 TERM=linux "
	line "signals SigBlk:0000000000000000SigIgn:0000000000000000"
	line "fds 0 1 2 3 "
	line "lo 1"
	line "oops 1"
	[ "$(grep -oP '^year \K.*' <<<"$output")" -ge 2024 ]
	line "/dev/console"
	grep -qE '^kihon-mark init [0-9]+ [0-9]+$' <<<"$output"
	grep -qE '^kihon-mark exec [0-9]+ [0-9]+$' <<<"$output"
	grep -q 'reboot: Restarting system' <<<"$output"
}

@test "the last line of the program is not lost, and marks are silent unless asked for" {
	script 'i=0; while [ $i -lt 200 ]; do echo "line $i of the program that writes much at its end"; i=$((i + 1)); done'
	boot ""
	[ "$report" = "exit 0" ]
	line "line 199 of the program that writes much at its end"
	! grep -q kihon-mark <<<"$output"
}

@test "q35 powers off by ACPI" {
	script 'echo on q35'
	pack >"$BATS_TEST_TMPDIR/initrd"
	qemu q35 "" -initrd "$BATS_TEST_TMPDIR/initrd"
	line "on q35"
	[ "$report" = "exit 0" ]
	grep -q 'reboot: Power down' <<<"$output"
}

@test "a read-only EROFS root: /tmp, /run and /dev can be written" {
	script 'for d in /tmp /run /dev/shm; do echo x >$d/file && echo "wrote $d"; done
	busybox ls -ld /tmp /dev/shm | busybox cut -c1-10; echo x >/file; exit 3'
	cp -a "$TREE" "$BATS_TEST_TMPDIR/root"
	cp -r "$BATS_TEST_TMPDIR/etc/." "$BATS_TEST_TMPDIR/root/etc/"
	mkfs.erofs -Enoinline_data "$BATS_TEST_TMPDIR/root.erofs" "$BATS_TEST_TMPDIR/root" >/dev/null 2>&1
	qemu microvm,acpi=off "reboot=t root=/dev/vda ro rootfstype=erofs init=/init" \
		-drive "if=none,id=r,format=raw,readonly=on,file=$BATS_TEST_TMPDIR/root.erofs" -device virtio-blk-device,drive=r
	[ "$report" = "exit 3" ]
	line "wrote /tmp"
	line "wrote /run"
	line "wrote /dev/shm"
	[ "$(grep -cx drwxrwxrwt <<<"$output")" -eq 2 ]
	grep -q 'file: Read-only file system' <<<"$output"
}

@test "kernel words name the program, its arguments, environment, folder and user" {
	script 'exit 99'
	boot 'kihon.exec=/bin/sh kihon.arg=-c kihon.arg="id -u; id -g; pwd; echo $GREETING; ls /proc/self/fd >/dev/null; cat /proc/self/oom_score_adj; exit 42" kihon.env="GREETING=good day" kihon.cwd=/srv kihon.user=1234:2345'
	[ "$report" = "exit 42" ]
	line 1234
	line 2345
	line /srv
	line "good day"
	line 0
}

@test "a death by signal is 128 and the signal, and what is left behind does not hold up the end" {
	script '(trap "" TERM HUP; sleep 1000) & kill -KILL $$'
	boot ""
	[ "$report" = "exit 137" ]
}

@test "orphans are reaped while the program runs" {
	script 'for i in 1 2 3 4 5 6 7 8; do (sh -c "sleep 0.1 &" &); done; sleep 1
	zombies() { cat /proc/[0-9]*/stat 2>/dev/null | busybox grep -c ") Z "; }
	i=0; while [ "$(zombies)" -gt 0 ] && [ $i -lt 50 ]; do sleep 1; i=$((i + 1)); done
	echo "zombies $(zombies)"'
	boot ""
	line "zombies 0"
	[ "$report" = "exit 0" ]
}

@test "SIGTERM to pid 1 asks the program to end" {
	script 'trap "echo asked; exit 5" TERM; kill -TERM 1; while :; do sleep 0.1; done'
	boot ""
	line asked
	[ "$report" = "exit 5" ]
}

@test "a program that is missing is 127, one that cannot be run 126, each with one line" {
	boot kihon.exec=/bin/nope
	[ "$report" = "exit 127" ]
	grep -q 'cannot start /bin/nope: No such file or directory' <<<"$output"
	boot kihon.exec=/etc/hostname
	[ "$report" = "exit 126" ]
	grep -q 'cannot start /etc/hostname: Permission denied' <<<"$output"
}

@test "without a program, or with a broken init.conf, it is 125 and one line says why" {
	boot ""
	[ "$report" = "exit 125" ]
	grep -q 'no program to run: put `exec PATH` into /etc/kihon/init.conf' <<<"$output"
	script 'exit 0'
	echo 'colour blue' >>"$BATS_TEST_TMPDIR/etc/kihon/init.conf"
	boot ""
	[ "$report" = "exit 125" ]
	grep -q '/etc/kihon/init.conf: line 4: unknown key "colour"' <<<"$output"
}

@test "without the exit port the status is on the console" {
	script 'exit 9'
	pack >"$BATS_TEST_TMPDIR/initrd"
	run timeout 300 qemu-system-x86_64 -M microvm,acpi=off -accel tcg -cpu max -m 128 -nodefaults -no-user-config \
		-display none -serial stdio -no-reboot -kernel "$KERNEL/vmlinux" -initrd "$BATS_TEST_TMPDIR/initrd" \
		-append "console=ttyS0 quiet panic=-1 reboot=t" </dev/null
	echo "$output"
	grep -q 'the program ended with status 9' <<<"$output"
}

@test "the unikernel profile runs it too, in 64 MiB" {
	[ -n "${KIHON_FULL:-}" ] || skip "builds a second kernel: make check-full"
	"$ROOT/kernel-config/build-kernel" --profile unikernel -o "$BATS_TEST_TMPDIR/kernel"
	KERNEL=$BATS_TEST_TMPDIR/kernel
	script 'echo small; exit 4'
	boot "" -m 64
	line small
	[ "$report" = "exit 4" ]
	! grep -q warn <<<"$output"
}

@test "DHCP in a guest, from QEMU's server" {
	script 'net-driver start ip=dhcp 20000 0; ip -o -4 addr show eth0; ip route; cat /run/resolv.conf'
	boot "" -netdev user,id=n,ipv6=off -device virtio-net-device,netdev=n
	line ready
	grep -q 'inet 10.0.2.15/24' <<<"$output"
	grep -q 'default via 10.0.2.2 dev eth0' <<<"$output"
	line "nameserver 10.0.2.3"
}

@test "devices plugged in behind a bridge are found by PCI path, those that were there too" {
	script 'device-driver 60000 block 04 block 05/00 net 05/01 && echo all found'
	pack >"$BATS_TEST_TMPDIR/initrd"
	truncate -s 1M "$BATS_TEST_TMPDIR/disk1" "$BATS_TEST_TMPDIR/disk2"
	local console=$BATS_TEST_TMPDIR/console socket=$BATS_TEST_TMPDIR/qmp
	: >"$console"
	timeout 300 qemu-system-x86_64 -M q35 -accel tcg -cpu max -m 256 -nodefaults -no-user-config -display none \
		-chardev "file,id=con,path=$console" -serial chardev:con -no-reboot -qmp "unix:$socket,server=on,wait=off" \
		-kernel "$KERNEL/vmlinux" -initrd "$BATS_TEST_TMPDIR/initrd" -append "console=ttyS0 quiet panic=-1" \
		-drive "if=none,id=d1,format=raw,file=$BATS_TEST_TMPDIR/disk1" -device virtio-blk-pci,drive=d1,addr=4 \
		-device pci-bridge,id=bridge,chassis_nr=1,addr=5,shpc=on \
		-drive "if=none,id=d2,format=raw,file=$BATS_TEST_TMPDIR/disk2" -netdev user,id=n </dev/null &
	local pid=$!
	python3 "$ROOT/tests/device/plug.py" "$socket" "$console" waiting \
		'{"execute":"device_add","arguments":{"driver":"virtio-blk-pci","drive":"d2","bus":"bridge","addr":"0"}}' \
		'{"execute":"device_add","arguments":{"driver":"virtio-net-pci","netdev":"n","bus":"bridge","addr":"1"}}' ||
		{ kill "$pid"; cat "$console"; false; }
	wait "$pid"
	output=$(tr -d '\r' <"$console")
	echo "$output"
	line "device 04 vda"
	line "device 05/00 vdb"
	line "device 05/01 eth0"
	line "all found"
}
