#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Bad input that no other suite has: outputs that cannot be written, descriptors that are closed, names that are none,
# tools that are missing, builds that are interrupted. Nothing here boots; what needs a guest is in run.bats.

bats_require_minimum_version 1.5.0

setup_file() {
	ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	export ROOT
	make -s -C "$ROOT" build/host/bin/kihon build/host/bin/kata-image-tool build/host/bin/kihon-pull >&2
	export KIHON=$ROOT/build/host/bin/kihon TOOL=$ROOT/build/host/bin/kata-image-tool PULL=$ROOT/build/host/bin/kihon-pull
	export IMAGE=$BATS_FILE_TMPDIR/image
	mkdir "$IMAGE"
	echo kernel >"$IMAGE/vmlinux"
	truncate -s 2M "$IMAGE/rootfs.erofs"
	local v r
	v=$(sha256sum <"$IMAGE/vmlinux") r=$(sha256sum <"$IMAGE/rootfs.erofs")
	cat >"$IMAGE/image.json" <<-JSON
		{"schema":1,"name":"t","version":"0.1.0","profile":"container","arch":"x86_64","timestamp":0,
		"kernel":{"vmlinux":"vmlinux","version":"6.12"},"rootfs":{"file":"rootfs.erofs","format":"erofs"},
		"cmdline":"","agent":{"version":"0.1.0","min_version":"0.1.0","protocol":"0.0.1"},
		"files":[{"name":"vmlinux","size":7,"sha256":"${v%% *}"},{"name":"rootfs.erofs","size":2097152,"sha256":"${r%% *}"}],
		"packages":[]}
	JSON
}

setup() {
	cd "$BATS_TEST_TMPDIR"
	export XDG_RUNTIME_DIR=$(mktemp -d /tmp/kihon-bad.XXXXXX)
	export KIHON_IMAGE_DIR=$IMAGE
}

teardown() {
	local left
	left=$(ls "$XDG_RUNTIME_DIR/kihon" 2>/dev/null)
	rm -rf "$XDG_RUNTIME_DIR"
	[ -z "$left" ] || { echo "left behind: $left"; return 1; }
}

# one_line STATUS WORDS COMMAND: fails so, with one line that has these words.
one_line() {
	run bash -c "$3"
	echo "$3: status $status: $output"
	[ "$status" -eq "$1" ]
	[ "${#lines[@]}" -eq 1 ]
	[[ "$output" == *"$2"* ]]
}

@test "what was printed and went nowhere is a failure" {
	[ -c /dev/full ] || skip "no /dev/full"
	one_line 4 "standard output: No space left" "'$TOOL' inspect '$IMAGE' >/dev/full"
	one_line 4 "standard output: No space left" "'$TOOL' inspect --json '$IMAGE' >/dev/full"
	one_line 4 "standard output: No space left" "'$PULL' --help >/dev/full"
	one_line 125 "standard output: No space left" "'$KIHON' run --help >/dev/full"
	one_line 125 "standard output: No space left" "'$KIHON' --version >/dev/full"
}

@test "a closed standard output is not taken for another file" {
	one_line 4 "standard output: Bad file descriptor" "'$TOOL' inspect '$IMAGE' >&-"
	one_line 125 "standard output: Bad file descriptor" "'$KIHON' --help >&-"
	# All three closed: what it opens must not be 0, 1 or 2.
	printf '#!/bin/bash\nreadlink /proc/self/fd/{0,1,2} >%s/fds\n' "$PWD" >qemu-system-x86_64
	chmod +x qemu-system-x86_64
	run bash -c "PATH=$PWD:\$PATH exec '$KIHON' boot --timeout 20s '$IMAGE' <&- >&- 2>&-"
	cat fds
	! grep -Eq 'socket|memfd|eventpoll|signalfd|vmlinux|rootfs|kihon' fds
}

@test "a reader that goes away ends a listing without a word" {
	run bash -c "'$TOOL' inspect --json '$IMAGE' | true; echo \${PIPESTATUS[0]}"
	[[ "$output" == 0 || "$output" == 141 ]]
}

@test "a name that is no image reference is refused before a guest is booted" {
	local name
	for name in 'https://quay.io/x' 'HTTP://x' '' 'x:' 'x@sha256:abc' "$(printf 'x%.0s' {1..600})" $'a\nb'; do
		run "$KIHON" run "$name" true
		echo "$name: $status $output"
		[ "$status" -eq 125 ]
		[ "${#lines[@]}" -eq 1 ]
	done
	[ ! -e "$XDG_RUNTIME_DIR/kihon" ]
}

@test "less memory than a kernel needs is refused before a guest is booted" {
	one_line 2 "at least 48" "'$KIHON' boot --memory 32M '$IMAGE'"
}

@test "a build without a compiler names the packages, in one line, and writes nothing" {
	local f
	mkdir bin
	for f in bash sh env cat cp mv rm mkdir mktemp dirname basename sha256sum sort tr cut grep sed awk head tail nproc \
		readlink realpath flock stat find xargs dpkg-query dpkg-architecture apt-get uname date tee wc ls chmod ln; do
		ln -s "$(command -v $f)" bin/$f 2>/dev/null || true
	done
	export XDG_CACHE_HOME=$PWD/cache
	one_line 4 "apt-get install gcc binutils" "PATH=$PWD/bin '$TOOL' build -q --offline -o out"
	[ ! -e out ]
}

@test "outputs in places that cannot be" {
	export XDG_CACHE_HOME=$PWD/cache
	mkfifo fifo
	one_line 4 fifo "'$TOOL' build -q --kernel '$IMAGE' -o fifo"
	[ -p fifo ]
	one_line 4 "" "'$TOOL' build -q --kernel '$IMAGE' -o /dev/null"
	[ -c /dev/null ]
	one_line 4 "" "'$TOOL' build -q --kernel '$IMAGE' -o '$(printf 'x%.0s' {1..300})'"
}

@test "arguments that are no file where a file is meant" {
	local o
	for o in --ca --authfile --policy --agent-policy; do
		one_line 125 "" "'$KIHON' run $o / busybox true"
		one_line 125 "nowhere" "'$KIHON' run $o nowhere busybox true"
		one_line 125 "" "'$KIHON' run $o /dev/zero busybox true"
	done
}

@test "a pipe that nobody writes to is waited for by nobody" {
	mkfifo fifo
	mkdir image
	mkfifo image/image.json
	local o
	for o in --kernel --initrd; do
		one_line 125 "fifo is not a file" "timeout 100 '$KIHON' boot --vmm qemu --accel tcg --net none $o fifo '$IMAGE'"
	done
	one_line 125 "not JSON" "timeout 100 '$KIHON' boot image"
	for o in inspect verify measure sbom; do
		one_line 3 "not JSON" "timeout 100 '$TOOL' $o image"
	done
	for o in inspect 'pack -o out'; do
		one_line 3 fifo "timeout 100 '$TOOL' $o fifo"
	done
	[ ! -e out ]
}
