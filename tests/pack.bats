#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# kata-image-tool pack: programs, folders and OCI images as guests of one program. What is in an image is
# looked at with cpio, fsck.erofs and umoci's idea of it; what it does, by booting it.

bats_require_minimum_version 1.5.0

setup_file() {
	ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	export ROOT
	[ -e "$ROOT/build/kernel/unikernel/vmlinux" ] || make -s -C "$ROOT" kernel PROFILE=unikernel >&2
	make -s -C "$ROOT" build/host/bin/kata-image-tool build/host/bin/kihon build/guest/bin/kihon-init \
		build/guest/tools/guest-cc >&2
	export TOOL=$ROOT/build/host/bin/kata-image-tool KIHON=$ROOT/build/host/bin/kihon
	export CC=$ROOT/build/guest/tools/guest-cc FILES=$BATS_FILE_TMPDIR KERNEL=$ROOT/build/kernel/unikernel
	cat >"$FILES/hello.c" <<-'C'
		#include <stdio.h>
		#include <stdlib.h>
		#include <string.h>
		#include <unistd.h>
		#include <signal.h>
		int main(int argc, char **argv)
		{
			char cwd[256], byte;
			printf("hello from %s\n", argv[0]);
			for (int i = 1; i < argc; i++)
				printf("arg %d <%s>\n", i, argv[i]);
			printf("env <%s>\n", getenv("GREETING") ? getenv("GREETING") : "");
			printf("cwd %s uid %d gid %d\n", getcwd(cwd, sizeof(cwd)), getuid(), getgid());
			printf("stdin %zd\n", read(0, &byte, 1));
			fflush(stdout);
			fprintf(stderr, "to stderr\n");
			if (argc > 1 && strcmp(argv[1], "kill") == 0)
				raise(SIGKILL);
			return argc > 1 ? atoi(argv[1]) : 0;
		}
	C
	"$CC" -Os -s -o "$FILES/hello" "$FILES/hello.c"
	printf '#include <sys/socket.h>\nint main(void) { return socket(AF_INET, SOCK_STREAM, 0) < 0; }\n' >"$FILES/net.c"
	"$CC" -Os -o "$FILES/net" "$FILES/net.c"
	"$CC" -Os -s -o "$FILES/net-stripped" "$FILES/net.c"
	# A root with busybox, for folders and layers.
	mkdir -p "$FILES/root"/{bin,etc,srv}
	cp "$(command -v busybox)" "$FILES/root/bin/busybox"
	ln -s busybox "$FILES/root/bin/sh"
	ln -s /bin/busybox "$FILES/root/bin/cat"
	printf 'root:x:0:0::/:/bin/sh\nweb:x:1234:2345::/srv:/bin/sh\n' >"$FILES/root/etc/passwd"
	printf 'root:x:0:\nweb:x:2345:\nother:x:77:\n' >"$FILES/root/etc/group"
}

setup() {
	export XDG_RUNTIME_DIR=$(mktemp -d /tmp/kihon-pack.XXXXXX)
	cd "$BATS_TEST_TMPDIR"
}

teardown() {
	local left
	left=$(ls "$XDG_RUNTIME_DIR/kihon" 2>/dev/null)
	rm -rf "$XDG_RUNTIME_DIR"
	[ -z "$left" ] || { echo "left behind: $left"; return 1; }
}

pack() { "$TOOL" pack -q --kernel "$KERNEL" "$@"; }
member() { jq -r "$2" "$1/image.json"; }

# boot DIR OPTION...: $status, what the program wrote in $output. Twice at most: an emulated boot on a loaded
# machine may lose a timer interrupt (docs/kernel.md).
boot() {
	local try
	command -v qemu-system-x86_64 >/dev/null || skip "qemu-system-x86_64 is not installed"
	for try in 1 2; do
		run --separate-stderr "$KIHON" boot --timeout 150s --memory 64M "${@:2}" "$1" </dev/null
		[[ $stderr == *"did not end in time"* ]] || break
	done
	echo "status $status"
	echo "$output"
	echo "$stderr"
}

line() { grep -qxF -- "$1" <<<"$output"; }

# refused STATUS WORDS ARGUMENT...: pack fails with one line that holds the words, and leaves nothing.
refused() {
	local want=$1 words=$2
	shift 2
	rm -rf out
	run "$TOOL" pack -q --kernel "$KERNEL" "$@"
	echo "$status: $output"
	[ "$status" -eq "$want" ]
	[ "$(wc -l <<<"$output")" -eq 1 ]
	[[ $output == *"$words"* ]]
	[ ! -e out ]
}

@test "a static program runs, and its output and status come back as they are" {
	pack "$FILES/hello" -o out -e GREETING="good day" -- 42 "two words" 'back\slash' $'new\nline'
	boot out
	[ "$status" -eq 42 ]
	[ "${lines[0]}" = "hello from /bin/hello" ]
	line "arg 1 <42>"
	line "arg 2 <two words>"
	line 'arg 3 <back\slash>'
	[[ $output == *$'arg 4 <new\nline>'* ]]
	line "env <good day>"
	line "cwd / uid 0 gid 0"
	line "stdin 0"
	line "to stderr"
	[[ $output != *$'\r'* ]]
	[ "${lines[-1]}" = "to stderr" ]
	[ "$(member out .program)" = /bin/hello ]
	"$TOOL" verify out
}

@test "statuses 0 and 1, and a death by signal; 24 MiB of memory; at most 2.5 MiB" {
	pack "$FILES/hello" -o out
	[ $(($(stat -c %s out/bzImage) + $(stat -c %s out/rootfs.cpio.gz))) -le $((2500 * 1024)) ]
	[ "$(member out .memory_min)" -le 24 ]
	boot out --memory 24M
	[ "$status" -eq 0 ]
	pack "$FILES/hello" -o out --cmd "hello 1"
	boot out --memory 24M
	[ "$status" -eq 1 ]
	# Without a report the end is a failure, not status 0.
	pack "$FILES/root" -o out --cmd "busybox reboot -f"
	boot out
	[ "$status" -eq 125 ]
	[[ $stderr == *"ended without the exit status of /bin/busybox"* ]]
	# A child holds the port, which only one can have open.
	pack "$FILES/root" -o out --cmd 'sh -c "for p in /dev/vport*; do exec 9>\$p; done; busybox sleep 1000 & exit 7"'
	boot out
	[ "$status" -eq 7 ]
	pack "$FILES/hello" -o out --cmd kill
	boot out
	[ "$status" -eq 137 ]
	run -2 "$KIHON" boot --timeout 60s --memory 8M out
	[[ $output == *"at least $(member out .memory_min)"* ]]
}

@test "the same source gives the same bytes, wherever, whoever and whenever" {
	pack "$FILES/hello" -o one --cmd "a b"
	mkdir elsewhere
	cp "$FILES/hello" elsewhere/hello
	(cd elsewhere && umask 077 && TZ=Asia/Tokyo pack ./hello -o ../two --cmd '["a","b"]')
	diff -r one two
	local f
	for f in initrd erofs; do
		cp -r "$FILES/root" "root-$f"
		touch "root-$f/srv"
		pack "$FILES/root" -o "one-$f" --format $f --cmd "sh -c true"
		pack "root-$f" -o "two-$f" --format $f --cmd sh --cmd -c --cmd true
		diff -r "one-$f" "two-$f"
	done
}

@test "what is in an initrd and in a disk, as cpio and fsck.erofs see it" {
	pack "$FILES/root" -o out --cmd /bin/sh
	gzip -dc out/rootfs.cpio.gz | cpio -tv --quiet >list
	cat list
	grep -qE '^crw------- .* 5, +1 .* dev/console$' list
	grep -qE '^-rwxr-xr-x .* root +root .* \.kihon/init$' list
	grep -qE ' init -> /\.kihon/init$' list
	grep -qE ' bin/sh -> busybox$' list
	grep -qE '^drwxrwxrwt .* tmp$' list
	grep -q ' \.kihon/licences/musl$' list
	pack "$FILES/root" -o out --cmd /bin/sh --format erofs
	fsck.erofs --extract=tree out/rootfs.erofs >/dev/null
	diff -r --no-dereference "$FILES/root/bin" tree/bin
	cmp "$ROOT/build/guest/bin/kihon-init" tree/.kihon/init
	[ ! -e out/rootfs.cpio.gz ] || [ "$(member out .rootfs.file)" = rootfs.erofs ]
}

@test "a folder with busybox, from an initrd and from a read-only disk" {
	pack "$FILES/root" -o ram --workdir /srv --user web:other \
		--cmd 'sh -c "busybox id -u; busybox id -g; busybox pwd; echo x >/tmp/f && cat /tmp/f; exit 7"'
	boot ram
	[ "$status" -eq 7 ]
	[ "$output" = $'1234\n77\n/srv\nx' ]
	pack "$FILES/root" -o disk --format erofs --cmd 'sh -c "echo y >/tmp/f && cat /tmp/f; echo z >/f || exit 3"'
	boot disk
	[ "$status" -eq 3 ]
	line y
	[[ $output == *"Read-only file system"* ]]
}

@test "a script, with its interpreter" {
	cp -r "$FILES/root" root
	printf '#!/bin/sh\necho "script $0 $1"\nexit 9\n' >root/start
	chmod 755 root/start
	pack root -o out -- /start word
	boot out
	[ "$status" -eq 9 ]
	[ "$output" = "script /start word" ]
	mv root/start root/run
	refused 3 "the guest mounts a file system of its own on /run" root -o out --cmd /run
	mkdir root/dev
	cp root/bin/busybox root/dev/sh
	printf '#!/dev/sh\n' >root/run
	mv root/run root/start
	refused 3 "/dev/sh cannot be run: the guest mounts" root -o out --cmd /start
	mv root/start root/run
	printf '#!/bin/bash\n' >root/run
	mv root/run root/start
	refused 3 'a script for "/bin/bash", which is not there' root -o out --cmd /start
}

@test "a dynamic program with the loader and libraries of its folder; what is missing is named" {
	mkdir -p root/{lib64,lib,app}
	printf 'int half(int x) { return x / 2; }\n' >half.c
	gcc -shared -fPIC -Wl,-soname,libhalf.so.1 -o root/lib/libhalf.so.1 half.c
	ln -s libhalf.so.1 libhalf.so
	printf 'int half(int); int main(void) { return half(46); }\n' >main.c
	gcc -o root/app/main main.c root/lib/libhalf.so.1
	refused 3 "loaded by /lib64/ld-linux-x86-64.so.2, which is not there" root -o out --cmd /app/main
	cp -L /lib64/ld-linux-x86-64.so.2 root/lib64/
	refused 3 "libc.so.6 (for /app/main)" root -o out --cmd /app/main
	mkdir -p root/lib/x86_64-linux-gnu
	cp -L "$(gcc -print-file-name=libc.so.6)" root/lib/x86_64-linux-gnu/
	mv root/lib/libhalf.so.1 .
	refused 3 "lacks libhalf.so.1 (for /app/main)" root -o out --cmd /app/main
	mv libhalf.so.1 root/lib/
	pack root -o out --cmd /app/main
	boot out
	[ "$status" -eq 23 ]
	refused 3 "is dynamically linked (loaded by /lib64/ld-linux-x86-64.so.2" root/app/main -o out
	[[ $output == *-static* ]]
}

@test "an OCI image: layers, whiteouts, and what its config runs" {
	command -v umoci >/dev/null || skip "umoci is not installed"
	umoci init --layout img
	umoci new --image img:v1
	umoci unpack --rootless --image img:v1 bundle
	cp -r "$FILES/root/." bundle/rootfs/
	mkdir bundle/rootfs/{gone,opaque}
	echo old | tee bundle/rootfs/gone/a bundle/rootfs/opaque/old bundle/rootfs/file >/dev/null
	ln bundle/rootfs/file bundle/rootfs/linked
	umoci repack --image img:v1 bundle
	rm -r bundle && umoci unpack --rootless --image img:v1 bundle
	rm -r bundle/rootfs/gone bundle/rootfs/opaque bundle/rootfs/file
	mkdir bundle/rootfs/opaque
	echo new >bundle/rootfs/opaque/new
	printf '#!/bin/sh\ncat /linked /opaque/*; busybox ls -d /gone /file; echo "$A $B"; busybox pwd; busybox id -u; exit "$1"\n' >bundle/rootfs/start
	chmod 755 bundle/rootfs/start
	umoci repack --image img:v1 bundle
	umoci config --image img:v1 --config.entrypoint /start --config.cmd 11 --config.env A=a --config.env B=b \
		--config.workingdir /srv/deep --config.user web
	pack img:v1 -o out --env B=c
	gzip -dc out/rootfs.cpio.gz | cpio -t --quiet | grep -vE '^(\.kihon|init$|dev|proc|sys|run$|tmp$|srv/deep)' | sort >ours
	rm -r bundle && umoci unpack --rootless --image img:v1 bundle
	(cd bundle/rootfs && find . -mindepth 1 | sed 's/^..//' | sort) >theirs
	diff theirs ours
	boot out
	[ "$status" -eq 11 ]
	line old
	line new
	line "a c"
	line /srv/deep
	line 1234
	[ "$(grep -c '^old$' <<<"$output")" -eq 1 ]
	# From an archive, another command.
	skopeo copy -q oci:img:v1 oci-archive:img.tar:v1
	pack oci-archive:img.tar:v1 -o archive --env B=c
	diff -r out archive
	pack img.tar -o archive --user 0 --cmd 'sh -c "exit 13"'
	boot archive
	[ "$status" -eq 13 ]
	refused 3 'no user "nobody-here"' img:v1 -o out --user nobody-here
}

@test "an image of a registry, and none when offline" {
	command -v docker-registry >/dev/null || skip "docker-registry is not installed"
	. "$BATS_TEST_DIRNAME/registry.bash"
	registry_start "$BATS_TEST_TMPDIR/registry"
	registry_push_busybox box:1
	pack "$REGISTRY/box:1" --ca "$REGISTRY_CA" -o out --cmd 'sh -c "exit 5"'
	run "$TOOL" pack -q --kernel "$KERNEL" --offline "$REGISTRY/box:1" --ca "$REGISTRY_CA" -o two --cmd sh
	registry_stop
	echo "$output"
	[ "$status" -ne 0 ]
	[ ! -e two ]
	boot out
	[ "$status" -eq 5 ]
}

@test "a WebAssembly module: alone, in a folder, as an artifact" {
	command -v wasm2c >/dev/null || skip "wasm2c (wabt) is not installed"
	cat >m.wat <<-'WAT'
		(module
		  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
		  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
		  (memory (export "memory") 1)
		  (data (i32.const 8) "hi from wasm\n")
		  (func (export "_start")
		    (i32.store (i32.const 0) (i32.const 8))
		    (i32.store (i32.const 4) (i32.const 13))
		    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 40)))
		    (call $exit (i32.const 17))))
	WAT
	wat2wasm m.wat -o m.wasm
	pack m.wasm -o out
	[ "$(member out .program)" = /bin/m ]
	boot out
	[ "$status" -eq 17 ]
	[ "$output" = "hi from wasm" ]
	# Only bytes of the module and of our layer are in it: a folder's program is the same one.
	mkdir -p root/app art/blobs/sha256
	cp m.wasm root/app/ && chmod 755 root/app/m.wasm
	pack root -o two --cmd /app/m.wasm
	gzip -dc out/rootfs.cpio.gz | cpio -i --to-stdout --quiet bin/m >one.elf
	gzip -dc two/rootfs.cpio.gz | cpio -i --to-stdout --quiet app/m.wasm | cmp - one.elf
	# An artifact.
	blob() { local d; d=$(sha256sum <"$1" | cut -d' ' -f1); cp "$1" "art/blobs/sha256/$d"; echo "\"digest\":\"sha256:$d\",\"size\":$(stat -c %s "$1")"; }
	printf '{}' >config
	printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"%s",%s},"layers":[{"mediaType":"%s",%s}]}' \
		application/vnd.wasm.config.v0+json "$(blob config)" application/wasm "$(blob m.wasm)" >manifest
	printf '{"imageLayoutVersion":"1.0.0"}' >art/oci-layout
	printf '{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json",%s}]}' "$(blob manifest)" >art/index.json
	pack art -o three
	gzip -dc three/rootfs.cpio.gz | cpio -i --to-stdout --quiet bin/art | cmp - one.elf
	printf '\0asm\1\0\0\0junk' >broken.wasm
	rm -rf two
	run "$TOOL" pack -q --kernel "$KERNEL" broken.wasm -o two
	[ "$status" -eq 3 ]
	[ "$(wc -l <<<"$output")" -eq 1 ]
	[ ! -e two ]
}

@test "q35 and its disk return the status as microvm does" {
	[ -e "$ROOT/build/kernel/container/vmlinux" ] || skip "build/kernel/container is not built"
	KERNEL=$ROOT/build/kernel/container
	pack "$FILES/hello" -o out --format erofs -- 34
	boot out --machine q35 --memory 128M
	[ "$status" -eq 34 ]
	[ "${lines[0]}" = "hello from /bin/hello" ]
	[[ $output != *$'\r'* ]]
}

# data DIR: Kihon's data with a builder of kernels that takes what is there and notes the profile.
data() {
	mkdir -p "$1"
	cp -r "$ROOT/kernel-config" "$ROOT/rootfs" "$1/"
	ln -s "$ROOT/build/guest" "$1/guest"
	cat >"$1/kernel-config/build-kernel" <<-SH
		#!/bin/bash
		while [ \$# -gt 0 ]; do [ "\$1" != --profile ] || echo "\$2" >>"$PWD/asked"; [ "\$1" != -o ] || out=\$2; shift; done
		mkdir -p "\$out" && cp "$KERNEL"/* "\$out"
	SH
}

@test "--kernel auto takes the smallest kernel that has what the program needs, and says why" {
	data data
	export KIHON_DATA=$PWD/data
	asked() { tail -1 asked; }
	"$TOOL" pack --kernel auto "$FILES/hello" -o out --json 2>log >json
	[ "$(asked)" = unikernel ]
	[ "$(jq -r .kernel json)" = unikernel ]
	local p
	for p in net net-stripped; do
		"$TOOL" pack --kernel auto "$FILES/$p" -o out 2>log
		[ "$(asked)" = unikernel-net ]
		grep -q 'the program needs: sockets' log
	done
	"$TOOL" pack --kernel auto --machine q35 "$FILES/hello" -o out 2>log
	[ "$(asked)" = unikernel-q35 ]
	"$TOOL" pack -q "$FILES/hello" -o out
	[ "$(asked)" = unikernel ]
	"$TOOL" pack "$FILES/net" -o out 2>log
	[ "$(asked)" = unikernel ]
	grep -q 'sockets, which the kernel unikernel does not have' log
	run "$TOOL" pack -q --kernel nonsense "$FILES/hello" -o two
	[ "$status" -eq 2 ]
	[[ $output == *"neither auto nor a profile"* ]]
	[ ! -e two ]
}

@test "wrong usage: status 2 and one line" {
	refused 2 "SOURCE is missing" -o out
	refused 2 "-o DIR is missing" "$FILES/hello"
	refused 2 "is not NAME=VALUE" "$FILES/hello" -o out --env nonsense
	refused 2 "is not NAME=VALUE" "$FILES/hello" -o out --env =x
	refused 2 "a quote is not closed" "$FILES/hello" -o out --cmd 'a "b'
	refused 2 "--cmd is empty" "$FILES/hello" -o out --cmd ' '
	refused 2 "JSON" "$FILES/hello" -o out --cmd '["a"'
	refused 2 "something else than strings" "$FILES/hello" -o out --cmd '["a",1]'
	refused 2 "one of them" "$FILES/hello" -o out --cmd a -- b
	refused 2 "is not absolute" "$FILES/hello" -o out --workdir srv
	refused 2 "does not say what to run; use --cmd" "$FILES/root" -o out
	refused 2 "" "$FILES/hello" -o out --format ext9
}

@test "programs that are none, or for others: status 3 and one line" {
	local n
	for n in 3 16 40 63 100 500; do
		head -c $n "$FILES/hello" >cut
		refused 3 "" cut -o out
	done
	[[ $output == *"cut short"* ]]
	: >empty
	refused 3 "neither a program" empty -o out
	printf '#!/bin/sh\n' >script
	refused 3 "is a script" script -o out
	cp "$FILES/hello" arm && printf '\xb7' | dd of=arm bs=1 seek=18 conv=notrunc status=none
	refused 3 "is for arm64" arm -o out
	cp "$FILES/hello" small && printf '\x01' | dd of=small bs=1 seek=4 conv=notrunc status=none
	refused 3 "64-bit" small -o out
	echo 'int x;' >o.c && gcc -c -o o.o o.c
	refused 3 "object file" o.o -o out
	head -c 5000 /dev/urandom | sed 's/^/x/' >junk
	refused 3 "" junk -o out
	mkfifo pipe
	refused 3 "neither a file nor a folder" pipe -o out
	refused 3 "No such file" ./nothing -o out
	refused 3 "No such file" nothing -o out
	tar -cf not-an-image.tar "$FILES/hello.c" 2>/dev/null
	refused 3 "" not-an-image.tar -o out
}

@test "folders with hostile names, links in circles, and no program" {
	cp -r "$FILES/root" root
	refused 3 "has no program nothing in the folders of PATH" root -o out --cmd nothing
	refused 3 "has no program /bin/nothing" root -o out --cmd /bin/nothing
	refused 3 "is not executable" root -o out --cmd /etc/passwd
	refused 3 "is no file" root -o out --cmd /etc
	ln -s loop2 root/bin/loop1
	ln -s loop1 root/bin/loop2
	refused 3 "leads in a circle" root -o out --cmd /bin/loop1
	ln -s ../../../../bin/busybox root/bin/up
	mkdir -p "root/.kihon" root/$'new\nline'
	echo hostile >root/.kihon/init.conf
	cp "$FILES/hello" root/$'new\nline'/$'pro\ngram'
	pack root -o out --cmd '["/new\nline/pro\ngram", "3"]'
	! gzip -dc out/rootfs.cpio.gz | grep -qa hostile
	boot out
	[ "$status" -eq 3 ]
	pack root -o out --cmd "/bin/up true"
	# proc, sys and dev as links lead nowhere.
	rm -rf root/proc && ln -s /etc root/proc
	pack root -o out --cmd "sh -c 'test -e /proc/self/fd/0 && exit 6'"
	boot out
	[ "$status" -eq 6 ]
}

@test "the output may lie in the folder, and is no part of it" {
	cp -r "$FILES/root" root
	pack root -o root/out --cmd sh
	cp root/out/rootfs.cpio.gz first
	pack root -o root/out --cmd sh
	cmp first root/out/rootfs.cpio.gz
}

@test "no room and Ctrl-C leave nothing" {
	run bash -c "ulimit -f 500; exec $TOOL pack -q --kernel $KERNEL $FILES/hello -o out"
	echo "$status $output"
	[ "$status" -eq 4 ]
	[ ! -e out ]
	cp -r "$FILES/root" root
	head -c 300M /dev/zero | tr '\0' x >root/big
	. "$ROOT/tests/wait.bash"
	env --default-signal=INT "$TOOL" pack -q --kernel "$KERNEL" root -o out --cmd sh >log 2>&1 3>&- &
	local pid=$!
	until_true eval '[ -n "$(ls -d out/.build-*/* 2>/dev/null)" ]'
	kill -INT $pid
	local status=0
	wait $pid || status=$?
	cat log
	[ "$status" -eq 130 ]
	[ ! -e out/image.json ]
	[ -z "$(ls -A out 2>/dev/null)" ]
}

@test "kihon run refuses an image of one program" {
	pack "$FILES/hello" -o out
	run "$KIHON" run --image-dir out docker.io/library/busybox true
	[ "$status" -eq 125 ]
	[[ $output == *"an image of one program (/bin/hello)"* ]]
	run "$KIHON" boot --machine q35 out
	[ "$status" -eq 2 ]
	[[ $output == *"no PCI or ACPI"* ]]
}

@test "other kernels: q35 with PCI, and a network" {
	[ -n "${KIHON_FULL:-}" ] || skip "builds two more kernels: make check-full"
	"$TOOL" pack -q --kernel auto --machine q35 "$FILES/hello" -o out --cmd 21
	boot out --machine q35 --memory 128M
	[ "$status" -eq 21 ]
	[ "${lines[0]}" = "hello from /bin/hello" ]
	"$TOOL" pack -q --kernel auto "$FILES/net" -o out
	boot out
	[ "$status" -eq 0 ]
}
