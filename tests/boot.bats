#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# kihon boot with real guests: the vsock device against Linux's driver, DAX, exit status, the ends of a guest.

bats_require_minimum_version 1.5.0

setup_file() {
	ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	export ROOT
	make -s -C "$ROOT" kernel PROFILE=container >&2
	make -s -C "$ROOT" build/host/bin/kihon build/host/bin/erofs-pack build/guest/bin/kihon-init test-guests >&2
	export KIHON=$ROOT/build/host/bin/kihon
	export FILES=$BATS_FILE_TMPDIR
	mkdir -p "$FILES"/vsock/{dev,proc} "$FILES"/dax/{dev,proc,sbin} "$FILES"/app/{bin,etc/kihon,dev,proc,sys,run,tmp}
	cp "$ROOT/build/guest/test/vsock-guest" "$FILES/vsock/init"
	cp "$ROOT/build/guest/test/dax-guest" "$FILES/dax/sbin/init"
	head -c 32M /dev/urandom >"$FILES/dax/big"
	cp "$(command -v busybox)" "$FILES/app/bin/busybox"
	cp "$ROOT/build/guest/bin/kihon-init" "$FILES/app/init"
	image vsock initrd
	image app initrd
	image dax erofs
}

# image NAME FORMAT: an image folder $FILES/NAME.img of the tree $FILES/NAME and the container kernel.
image() {
	local dir=$FILES/$1.img h=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
	mkdir -p "$dir"
	cp "$ROOT/build/kernel/container/vmlinux" "$dir/vmlinux"
	if [ "$2" = initrd ]; then
		(cd "$FILES/$1" && find . | cpio -o -H newc --quiet) >"$dir/root"
	else
		"$ROOT/build/host/bin/erofs-pack" --all-root "$FILES/$1" "$dir/root" >&2
	fi
	cat >"$dir/image.json" <<-JSON
		{"schema":1,"name":"$1","version":"0.1.0","profile":"container","arch":"x86_64","timestamp":0,
		"kernel":{"vmlinux":"vmlinux","version":"6.12"},"rootfs":{"file":"root","format":"$2"},
		"cmdline":"","agent":{"version":"0.1.0","min_version":"0.1.0","protocol":"0.0.1"},
		"files":[{"name":"vmlinux","size":$(stat -c %s "$dir/vmlinux"),"sha256":"$h"},
		{"name":"root","size":$(stat -c %s "$dir/root"),"sha256":"$h"}],"packages":[]}
	JSON
}

setup() {
	. "$ROOT/tests/wait.bash"
	export XDG_RUNTIME_DIR=$(mktemp -d /tmp/kihon-boot.XXXXXX)
	cd "$BATS_TEST_TMPDIR"
}

teardown() {
	local left
	[ -z "$pid" ] || kill -TERM "$pid" 2>/dev/null && wait "$pid"
	left=$(ls "$XDG_RUNTIME_DIR/kihon" 2>/dev/null)
	rm -rf "$XDG_RUNTIME_DIR"
	[ -z "$left" ] || { echo "left behind: $left"; return 1; }
}

# start_guest OPTION...: the vsock guest in the background; $pid, $socket.
start_guest() {
	"$KIHON" boot --timeout 200s --verbose --net none "$@" "$FILES/vsock.img" >console 2>&1 3>&- &
	pid=$!
	until_true has_socket || { cat console; return 1; }
	socket=$(echo "$XDG_RUNTIME_DIR"/kihon/*/vsock)
}

has_socket() { [ -S "$(echo "$XDG_RUNTIME_DIR"/kihon/*/vsock)" ] || ! kill -0 "$pid"; }

checks() {
	local c
	for c; do
		run python3 "$ROOT/tests/vsock-check.py" "$socket" "$c"
		echo "$output"
		[ "$status" -eq 0 ] || { tail -20 console; return 1; }
	done
}

ends_well() { # the guest powered off by itself
	checks power_off
	status=0
	wait "$pid" || status=$?
	pid=
	[ "$status" -eq 0 ]
}

@test "microvm: streams both ways, refusals, calls from the guest, many streams" {
	start_guest
	checks echo refused to_guest from_guest both_ways guest_calls many
	ends_well
}

@test "microvm, two processors: the same" {
	start_guest --cpus 2
	checks echo refused to_guest from_guest both_ways guest_calls many
	ends_well
}

@test "q35: the same over PCI" {
	start_guest --machine q35
	checks echo refused to_guest from_guest both_ways guest_calls many
	ends_well
}

# The figures of dax-guest for a machine, in $mount $statx $cached $pagetables.
dax_guest() {
	run --separate-stderr timeout 150 "$KIHON" boot --verbose --net none --timeout 120s --machine "$1" "$FILES/dax.img"
	echo "$output" "$stderr"
	[ "$status" -eq 0 ]
	local line
	line=$(tr -d '\r' <<<"$output" | grep '^dax-guest: mount')
	read -r _ _ mount _ statx _ cached _ pagetables _ <<<"$line"
}

@test "q35: the root is mapped, not copied: the page cache does not grow, nor do page tables" {
	dax_guest q35
	[ "$mount" -eq 1 ]
	[ "$statx" -eq 1 ]
	[ "$cached" -lt 1024 ]
	[ "$pagetables" -le 16 ]
}

@test "microvm: the same root on a disk is copied into the page cache" {
	dax_guest microvm
	[ "$mount" -eq 0 ]
	[ "$statx" -eq 0 ]
	[ "$cached" -ge 32000 ]
}

@test "the image file is not written to" {
	local before
	before=$(sha256sum <"$FILES/dax.img/root")
	dax_guest q35
	[ "$(sha256sum <"$FILES/dax.img/root")" = "$before" ]
}

@test "a single-application image: its program's output and exit status" {
	run --separate-stderr timeout 120 "$KIHON" boot --verbose --net none --timeout 100s \
		--append 'kihon.exec=/bin/busybox kihon.arg=sh kihon.arg=-c kihon.arg="echo in the guest; exit 7"' "$FILES/app.img"
	echo "$output" "$stderr"
	[ "$status" -eq 7 ]
	[[ "$output" == *"in the guest"* ]]
	run timeout 120 "$KIHON" boot --machine q35 --net none --timeout 100s \
		--append 'kihon.exec=/bin/busybox kihon.arg=sh kihon.arg=-c kihon.arg="exit 9"' "$FILES/app.img"
	[ "$status" -eq 9 ]
}

@test "a guest without a root: its kernel's last word in one line" {
	cpio -o -H newc --quiet >none.cpio </dev/null
	run timeout 120 "$KIHON" boot --net none --timeout 100s --initrd none.cpio "$FILES/vsock.img"
	echo "$output"
	[ "$status" -eq 125 ]
	[[ "$output" == *"kernel panicked: "* ]]
}

@test "a kernel that is none" {
	cp -r "$FILES/vsock.img" bad.img
	head -c "$(stat -c %s bad.img/vmlinux)" /dev/urandom >bad.img/vmlinux
	run timeout 200 "$KIHON" boot --timeout 150s bad.img
	echo "$output"
	[ "$status" -eq 125 ]
	[ "$(grep -vc emulating <<<"$output")" -eq 1 ]
}

@test "a kernel that is cut short: one line, before anything is started" {
	for kernel in vmlinux bzImage; do
		for bytes in 40 4096 3000000; do
			head -c "$bytes" "$ROOT/build/kernel/container/$kernel" >cut
			run -125 timeout 200 "$KIHON" boot --timeout 150s --kernel cut "$FILES/vsock.img"
			echo "$output"
			[ "$(grep -vc emulating <<<"$output")" -eq 1 ]
			[[ "$kernel$bytes" == bzImage40 || "$output" == *"cut is cut short"* ]]
		done
	done
}

@test "Ctrl-C ends a guest and leaves nothing" {
	start_guest
	checks echo
	kill -INT "$pid"
	status=0
	wait "$pid" || status=$?
	pid=
	[ "$status" -eq 130 ]
	[ -z "$(ls "$XDG_RUNTIME_DIR/kihon")" ]
}
