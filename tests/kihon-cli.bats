#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# kihon's command line: wrong use, missing things, monitors that fail or hang. QEMU is a script here; real
# boots are in boot.bats.

setup_file() {
	ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	export ROOT
	make -s -C "$ROOT" build/host/bin/kihon >&2
	export KIHON=$ROOT/build/host/bin/kihon
}

setup() {
	. "$ROOT/tests/wait.bash"
	cd "$BATS_TEST_TMPDIR"
	# The sockets' paths must be short.
	export XDG_RUNTIME_DIR=$(mktemp -d /tmp/kihon-cli.XXXXXX)
	export IMAGE=$BATS_TEST_TMPDIR/image
	unset KIHON_IMAGE_DIR
	mkdir -p bin "$IMAGE"
	export PATH=$BATS_TEST_TMPDIR/bin:$PATH
	image_json erofs
	echo kernel >"$IMAGE/vmlinux"
	truncate -s 2M "$IMAGE/rootfs.erofs"
}

teardown() {
	# Whatever a test did: no folder, no process.
	local left
	left=$(ls "$XDG_RUNTIME_DIR/kihon" 2>/dev/null)
	rm -rf "$XDG_RUNTIME_DIR"
	[ -z "$left" ] || { echo "left behind: $left"; return 1; }
	until_true never pgrep -f "$BATS_TEST_TMPDIR/bin/qemu-system-x86_64"
}

image_json() { # FORMAT [SIZE]
	local h=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
	cat >"$IMAGE/image.json" <<-JSON
		{"schema":1,"name":"t","version":"0.1.0","profile":"container","arch":"x86_64","timestamp":0,
		"kernel":{"vmlinux":"vmlinux","version":"6.12"},"rootfs":{"file":"rootfs.erofs","format":"$1"},
		"cmdline":"from.image=1","agent":{"version":"0.1.0","min_version":"0.1.0","protocol":"0.0.1"},
		"files":[{"name":"vmlinux","size":7,"sha256":"$h"},{"name":"rootfs.erofs","size":${2:-2097152},"sha256":"$h"}],
		"packages":[]}
	JSON
}

# fake_qemu TEXT: a script in QEMU's place; its arguments go to the file args.
fake_qemu() {
	printf '#!/bin/bash\nprintf "%%s\\n" "$@" >%s/args\n%s\n' "$BATS_TEST_TMPDIR" "$1" >bin/qemu-system-x86_64
	chmod +x bin/qemu-system-x86_64
}

one_line() { # what kihon itself said, and nothing else, in one line
	[ "$(grep -c '^kihon' <<<"$output")" -eq 1 ]
	[ "$(wc -l <<<"$output")" -eq 1 ]
}

quiet() { grep -v 'emulating' <<<"$output"; }

@test "no verb, an unknown verb, an unknown option: status 2 and one line" {
	run "$KIHON" nonsense
	[ "$status" -eq 2 ]
	one_line
	run "$KIHON" run --nonsense
	[ "$status" -eq 2 ]
	one_line
	run "$KIHON" run
	[ "$status" -eq 2 ]
	one_line
	run "$KIHON" boot --machine pdp11 "$IMAGE"
	[ "$status" -eq 2 ]
	one_line
	run "$KIHON" boot a b
	[ "$status" -eq 2 ]
	one_line
}

@test "values that no guest can have: status 2" {
	fake_qemu 'exit 0'
	local o
	for o in --cpus=0 --cpus=33 --cpus=x --memory=1M --memory=100000001 --memory=x --timeout=soon --net=other --accel=warp; do
		run "$KIHON" boot $o "$IMAGE"
		echo "$o: $status $output"
		[ "$status" -eq 2 ]
		one_line
	done
	run "$KIHON" run --image-dir "$IMAGE" --env =x img
	[ "$status" -eq 2 ]
	one_line
}

@test "every verb has a help and the program a version" {
	local v
	for v in run boot doctor volume network resize; do
		run "$KIHON" $v --help
		[ "$status" -eq 0 ]
		[[ "$output" == *"Usage: kihon $v"*"xit status"* ]]
	done
	run "$KIHON" --version
	[ "$status" -eq 0 ]
	[[ "$output" == *"$(cat "$ROOT/VERSION")"* ]]
}

@test "a missing image folder, a folder that is no image, an image with a hole" {
	fake_qemu 'exit 0'
	run "$KIHON" boot "$BATS_TEST_TMPDIR/nowhere"
	[ "$status" -eq 125 ]
	one_line
	[[ "$output" == *nowhere*kata-image-tool* ]]
	mkdir empty
	run "$KIHON" run --image-dir empty img
	[ "$status" -eq 125 ]
	one_line
	[[ "$output" == *image.json* ]]
	truncate -s 1M "$IMAGE/rootfs.erofs"
	run "$KIHON" boot "$IMAGE"
	[ "$status" -eq 125 ]
	one_line
	[[ "$output" == *rootfs.erofs*1048576*2097152* ]]
	rm "$IMAGE/rootfs.erofs"
	run "$KIHON" boot "$IMAGE"
	[ "$status" -eq 125 ]
	one_line
	[[ "$output" == *rootfs.erofs* ]]
	image_json tape
	run "$KIHON" boot "$IMAGE"
	[ "$status" -eq 125 ]
	one_line
}

@test "no QEMU in PATH" {
	PATH=$BATS_TEST_TMPDIR/bin run "$KIHON" boot "$IMAGE"
	[ "$status" -eq 125 ]
	one_line
	[[ "$output" == *"qemu-system-x86_64 is not in PATH"*qemu-system-x86* ]]
}

@test "a runtime folder that cannot be, or is somebody else's" {
	fake_qemu 'exit 0'
	XDG_RUNTIME_DIR=$IMAGE/vmlinux run "$KIHON" boot "$IMAGE"
	[ "$status" -eq 125 ]
	one_line
	[[ "$output" == *XDG_RUNTIME_DIR* ]]
	mkdir -m 0777 "$XDG_RUNTIME_DIR/kihon"
	chmod 0777 "$XDG_RUNTIME_DIR/kihon"
	run "$KIHON" boot "$IMAGE"
	[ "$status" -eq 125 ]
	one_line
	chmod 0700 "$XDG_RUNTIME_DIR/kihon"
	local long
	long=$BATS_TEST_TMPDIR/$(printf 'x%.0s' {1..90})
	mkdir "$long"
	XDG_RUNTIME_DIR=$long run "$KIHON" boot "$IMAGE"
	[ "$status" -eq 125 ]
	one_line
	[[ "$output" == *"too long"* ]]
}

@test "QEMU fails at start: its own words, once" {
	fake_qemu 'echo "qemu-system-x86_64: cannot find the moon" >&2; exit 1'
	run "$KIHON" boot "$IMAGE"
	[ "$status" -eq 125 ]
	[ "$(quiet)" = "kihon: QEMU: cannot find the moon" ]
	fake_qemu 'kill -SEGV $$'
	run "$KIHON" boot "$IMAGE"
	[ "$status" -eq 125 ]
	[[ "$(quiet)" == *"signal 11"* ]]
}

@test "a guest without vsock is fatal although QEMU goes on" {
	fake_qemu 'echo "qemu-system-x86_64: -device x: Error starting vhost: 22" >&2; exec sleep 1000'
	run timeout 100 "$KIHON" boot "$IMAGE"
	[ "$status" -eq 125 ]
	[[ "$(quiet)" == *"Error starting vhost"* ]]
}

@test "a monitor that hangs ends with the time limit" {
	fake_qemu 'exec -a "$0" sleep 1000'
	run timeout 100 "$KIHON" boot --timeout 500ms "$IMAGE"
	[ "$status" -eq 125 ]
	[[ "$(quiet)" == *"in time"* ]]
	run timeout 100 "$KIHON" run --timeout 500ms --image-dir "$IMAGE" img
	[ "$status" -eq 125 ]
	[ "$(quiet)" = "kihon: the guest did not come up in time; its console: (nothing)" ]
}

@test "a guest that ends before its agent: the last of its console" {
	fake_qemu '
	for a; do [[ $a == socket,id=console,fd=* ]] && fd=${a##*=}; done
	printf "one\r\ntwo\r\nKernel panic - not syncing: no working init\r\nend\r\n" >&$fd'
	run timeout 100 "$KIHON" run --image-dir "$IMAGE" img
	[ "$status" -eq 125 ]
	[ "$(quiet)" = "kihon: the guest's kernel panicked: no working init" ]
	run timeout 100 "$KIHON" boot "$IMAGE"
	[ "$status" -eq 125 ]
	fake_qemu '
	for a; do [[ $a == socket,id=console,fd=* ]] && fd=${a##*=}; done
	printf "one\ntwo \033[31mred\nthree\n" >&$fd'
	run timeout 100 "$KIHON" run --image-dir "$IMAGE" img
	[ "$status" -eq 125 ]
	[ "$(quiet)" = "kihon: the guest ended too early; its console: one|two [31mred|three" ]
}

@test "the exit port's line is the exit status" {
	fake_qemu '
	for a; do [[ $a == socket,id=exit,fd=* ]] && fd=${a##*=}; done
	printf "exit 42\n" >&$fd'
	run "$KIHON" boot "$IMAGE"
	[ "$status" -eq 42 ]
	grep -qx 'virtserialport,chardev=exit,nr=1,name=kihon.exit' args
	local bad
	for bad in 'exit 256' 'exit -1' 'exit' 'exit x' 'leave 3'; do
		fake_qemu "
		for a; do [[ \$a == socket,id=exit,fd=* ]] && fd=\${a##*=}; done
		printf '$bad\n' >&\$fd"
		run "$KIHON" boot "$IMAGE"
		[ "$status" -eq 0 ]
	done
}

@test "the console goes to standard output with --verbose only" {
	fake_qemu '
	for a; do [[ $a == socket,id=console,fd=* ]] && fd=${a##*=}; done
	printf "from the guest\n" >&$fd'
	run bash -c "'$KIHON' boot '$IMAGE' 2>/dev/null"
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	run bash -c "'$KIHON' boot --verbose '$IMAGE' 2>/dev/null"
	[ "$output" = "from the guest" ]
}

@test "arguments: sandbox, read-only root, shared memory, the image's words, commas in names" {
	fake_qemu 'exit 0'
	run "$KIHON" boot --append 'my.word=1' --cpus 2 --memory 64M "$IMAGE"
	[ "$status" -eq 0 ]
	grep -qx 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny' args
	grep -qx 'memory-backend-memfd,id=ram,size=64M,share=on' args
	grep -qx 'virtio-mmio.force-legacy=off' args
	grep -q "file=$IMAGE/rootfs.erofs,readonly=on" args
	grep -q 'root=/dev/vda.*from.image=1 my.word=1$' args
	mv "$IMAGE" "$BATS_TEST_TMPDIR/a,b"
	run "$KIHON" boot --machine q35 "$BATS_TEST_TMPDIR/a,b"
	[ "$status" -eq 0 ]
	grep -qx "memory-backend-file,id=root,mem-path=$BATS_TEST_TMPDIR/a,,b/rootfs.erofs,size=2097152,share=on,readonly=on" args
	grep -qx 'virtio-pmem-pci,memdev=root' args
	grep -q 'root=/dev/pmem0 rootfstype=erofs rootflags=dax=always ro' args
	run "$KIHON" boot --net none "$BATS_TEST_TMPDIR/a,b"
	! grep -q netdev args
	IMAGE=$BATS_TEST_TMPDIR/a,b image_json erofs 3000000
	truncate -s 3000000 "$BATS_TEST_TMPDIR/a,b/rootfs.erofs"
	run "$KIHON" boot --machine q35 "$BATS_TEST_TMPDIR/a,b"
	[ "$status" -eq 125 ]
	[[ "$(quiet)" == *"2 MiB"* ]]
}

@test "secrets are on a disk without a name, and nowhere else" {
	local secret=c2VjcmV0OnBhc3N3b3Jk
	echo "{\"auths\":{\"reg\":{\"auth\":\"$secret\"}}}" >auth.json
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -subj /CN=ca -out ca.pem -days 1 2>/dev/null
	fake_qemu "
	env >$BATS_TEST_TMPDIR/env
	for a; do [[ \$a == fd=*,set=0 ]] && fd=\${a#fd=} && fd=\${fd%,set=0}; done
	cat <&\$fd >$BATS_TEST_TMPDIR/disk
	echo x >&\$fd || echo refused >$BATS_TEST_TMPDIR/readonly
	readlink /proc/\$\$/fd/\$fd >$BATS_TEST_TMPDIR/link
	grep -rl $secret $XDG_RUNTIME_DIR >$BATS_TEST_TMPDIR/found"
	run timeout 100 "$KIHON" run --image-dir "$IMAGE" --ca ca.pem --authfile auth.json img
	[ "$status" -eq 125 ] # this guest has no agent
	[ "$(head -c 8 disk)" = initdata ]
	[ $(($(stat -c %s disk) % 512)) -eq 0 ]
	tail -c +17 disk | gunzip 2>/dev/null | grep -q "$secret"
	tail -c +17 disk | gunzip 2>/dev/null | grep -q 'extra_root_certificates'
	[ "$(cat readonly)" = refused ]
	[[ "$(cat link)" == *"(deleted)" ]]
	[ ! -s found ]
	! grep -q "$secret" args env
	[[ "$output" != *"$secret"* ]]
}

@test "secret files that cannot be" {
	fake_qemu 'exit 0'
	run "$KIHON" run --image-dir "$IMAGE" --ca nowhere.pem img
	[ "$status" -eq 125 ]
	one_line
	echo nothing >ca.pem
	run "$KIHON" run --image-dir "$IMAGE" --ca ca.pem img
	[ "$status" -eq 125 ]
	one_line
	[[ "$output" == *"no PEM certificate"* ]]
	truncate -s 2M big
	run "$KIHON" run --image-dir "$IMAGE" --authfile big img
	[ "$status" -eq 125 ]
	one_line
	[ ! -e args ]
}

# start_hanging VERB...: in the background, until its monitor runs; its pid in $pid.
start_hanging() {
	fake_qemu 'echo $$ >pid; exec -a "$0" sleep 1000'
	"$KIHON" "$@" 2>err &
	pid=$!
	until_true test -s pid
	qemu=$(cat pid)
	until_true pgrep -P "$pid" kihon-vsock >/dev/null
	vsock=$(pgrep -P "$pid" kihon-vsock)
}

finish() { # its status in $status
	status=0
	wait "$pid" || status=$?
	echo "status $status: $(<err)"
}

@test "signals end the guest: status 128 + signal, nothing left" {
	local s
	for s in INT:130 TERM:143 HUP:129 QUIT:131; do
		rm -f pid
		start_hanging boot "$IMAGE"
		kill -"${s%:*}" "$pid"
		finish
		[ "$status" -eq "${s#*:}" ]
		until_gone "$qemu" "$vsock"
	done
	rm -f pid
	start_hanging run --image-dir "$IMAGE" img
	kill -TERM "$pid"
	finish
	[ "$status" -eq 143 ]
	until_gone "$qemu" "$vsock"
}

@test "kihon killed outright: its processes die with it, the next one cleans up" {
	start_hanging boot "$IMAGE"
	[ -n "$vsock" ]
	kill -KILL "$pid"
	until_gone "$qemu" "$vsock"
	[ "$(ls "$XDG_RUNTIME_DIR/kihon" | wc -l)" -eq 1 ]
	fake_qemu 'exit 0'
	run "$KIHON" boot "$IMAGE"
	echo "status $status: $output"
	[ "$status" -eq 0 ]
	[ -z "$(ls "$XDG_RUNTIME_DIR/kihon")" ]
}

@test "a running guest's folder is not cleaned up by another" {
	start_hanging boot "$IMAGE"
	fake_qemu 'exit 0'
	run "$KIHON" boot "$IMAGE"
	[ "$status" -eq 0 ]
	[ "$(ls "$XDG_RUNTIME_DIR/kihon" | wc -l)" -eq 1 ]
	[ -S "$XDG_RUNTIME_DIR"/kihon/*/vsock ]
	kill -TERM "$pid"
	wait "$pid" || true
}

@test "the vsock device's death is the guest's" {
	start_hanging boot "$IMAGE"
	kill -KILL "$vsock"
	finish
	[ "$status" -eq 125 ]
	grep -q 'the vsock device failed' err
	until_gone "$qemu"
}

@test "a monitor that speaks nonsense to the vsock device: one line" {
	fake_qemu '
	for a; do [[ $a == socket,id=vsock,fd=* ]] && fd=${a##*=}; done
	printf "\\x63\\0\\0\\0\\x01\\0\\0\\0\\0\\0\\0\\0" >&$fd
	exec -a "$0" sleep 1000'
	run timeout 100 "$KIHON" boot "$IMAGE"
	[ "$status" -eq 125 ]
	[ "$(quiet)" = "kihon: the vsock device failed: vhost-user: message 99 is not known" ]
	fake_qemu '
	for a; do [[ $a == socket,id=vsock,fd=* ]] && fd=${a##*=}; done
	head -c 100 /dev/zero >&$fd
	exec -a "$0" sleep 1000'
	run timeout 100 "$KIHON" boot "$IMAGE"
	[ "$status" -eq 125 ]
	[[ "$(quiet)" == *"flags 0x0"* ]]
}

@test "the vsock device's process has a filter, no capabilities and few descriptors" {
	start_hanging boot "$IMAGE"
	until_true grep -q 'Seccomp:.2' /proc/$vsock/status
	grep -q 'NoNewPrivs:.1' /proc/$vsock/status
	grep -q 'CapEff:.0000000000000000' /proc/$vsock/status
	ls -l /proc/$vsock/fd
	[ "$(ls /proc/$vsock/fd | wc -l)" -le 6 ] # stderr, QEMU, listener, epoll, timer
	kill -TERM "$pid"
	wait "$pid" || true
}

@test "one line says that it emulates" {
	fake_qemu 'exit 0'
	run "$KIHON" boot --accel tcg "$IMAGE"
	[ "$status" -eq 0 ]
	one_line
	[[ "$output" == *"not a security boundary"* ]]
	grep -qx 'tcg,thread=single' args
}

@test "doctor tells what is there and what is not" {
	fake_qemu 'echo "QEMU emulator version 99"'
	run "$KIHON" doctor --image-dir "$IMAGE"
	[ "$status" -eq 0 ]
	[[ "$output" == *"ok   qemu       QEMU emulator version 99"* ]]
	[[ "$output" == *"ok   image      $IMAGE"* && "$output" =~ (ok|no)"   tee        ".*(sev|SEV|tdx) ]]
	run "$KIHON" doctor --image-dir nowhere
	[ "$status" -eq 125 ]
	[[ "$output" == *"no   image"* ]]
	PATH=$BATS_TEST_TMPDIR/nobin run "$KIHON" doctor --image-dir "$IMAGE"
	[ "$status" -eq 125 ]
	[[ "$output" == *"no   qemu"* ]]
}

@test "devices that are asked for: QEMU's words for them" {
	fake_qemu "for i in {1..600}; do [ -s $BATS_TEST_TMPDIR/shareargs ] && break; sleep 0.1; done"
	printf '#!/bin/bash\n[ "$1" = --help ] && { echo "--shared-dir DIR"; exit; }\nprintf "%%s\\n" "$@" >%s/shareargs\nexec sleep 1000\n' \
		"$BATS_TEST_TMPDIR" >bin/virtiofsd
	chmod +x bin/virtiofsd
	mkdir 'a,folder'
	run "$KIHON" boot --accel tcg --balloon --huge-pages --prefault --console hvc0 --share 'a,folder:t,ag' "$IMAGE"
	[ "$status" -eq 0 ]
	cat args
	grep -qx 'memory-backend-memfd,id=ram,size=512M,share=on,hugetlb=on,hugetlbsize=2M,prealloc=on' args
	grep -qx 'virtio-balloon-device,deflate-on-oom=on,free-page-reporting=on' args
	grep -qx 'vhost-user-fs-device,chardev=share0,tag=t,,ag' args
	grep -qx 'virtconsole,chardev=console,nr=0' args
	grep -qx null args
	grep -q 'console=hvc0' args
	grep -qx -- --fd=3 shareargs
	grep -qx "$PWD/a,folder" shareargs
	until_true never pgrep -f "$BATS_TEST_TMPDIR/bin/virtiofsd"
}

@test "devices that cannot be: one line" {
	fake_qemu 'exit 0'
	local o
	echo file >file
	mkdir folder
	for o in --memory-max=1G --slots=1 --share=folder --share=folder: --share=:tag --console=tty1 --slots=x \
		--share=folder:0123456789012345678901234567890123456 '--share=folder:a --share=folder:a'; do
		run "$KIHON" boot --vmm qemu --accel tcg $o "$IMAGE"
		echo "$o: $status $output"
		[ "$status" -eq 2 ]
		one_line
	done
	for o in --share=nowhere:t --share=file:t; do
		run "$KIHON" boot --vmm qemu --accel tcg $o "$IMAGE"
		echo "$o: $status $output"
		[ "$status" -eq 125 ]
		one_line
	done
	printf '# CONFIG_VIRTIO_BALLOON is not set\nCONFIG_ACPI=y\n' >"$IMAGE/kernel.config"
	sed -i 's/"version":"6.12"/"version":"6.12","config":"kernel.config"/' "$IMAGE/image.json"
	sed -i 's/"files":\[/"files":[{"name":"kernel.config","size":49,"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},/' "$IMAGE/image.json"
	run "$KIHON" boot --vmm qemu --accel tcg --balloon "$IMAGE"
	[ "$status" -eq 2 ]
	one_line
	[[ "$output" == *CONFIG_VIRTIO_BALLOON* ]]
}

@test "a virtiofsd that fails ends the guest with its own words" {
	fake_qemu 'exec sleep 1000'
	printf '#!/bin/bash\n[ "$1" = --help ] && exit\necho "fuse: it cannot be" >&2\nexit 1\n' >bin/virtiofsd
	chmod +x bin/virtiofsd
	mkdir folder
	run timeout 100 "$KIHON" boot --accel tcg --share folder:t "$IMAGE"
	[ "$status" -eq 125 ]
	[[ "$(quiet)" == *"the share t failed: virtiofsd: fuse: it cannot be"* ]]
}

@test "volumes and sizes of guests that are not, or cannot" {
	fake_qemu 'exec sleep 1000'
	local o
	for o in 'volume attach 0123 file' 'volume detach 0123 id' 'volume ls 0123' 'volume ls ..' 'volume eject 0123' \
		'volume attach 0123' 'volume ls 0123 more' 'resize 0123 --memory 1G' 'resize 0123' 'resize'; do
		run "$KIHON" $o
		echo "$o: $status $output"
		[ "$status" -eq 2 ]
		one_line
	done
	start_hanging boot "$IMAGE"
	local id
	id=$(ls "$XDG_RUNTIME_DIR/kihon")
	echo words >words
	for o in "volume attach $id words" "volume ls $id" "resize $id --memory 1G"; do
		run "$KIHON" $o
		echo "$o: $status $output"
		[ "$status" -eq 125 ]
		one_line
		[[ "$output" == *"only the built-in monitor"* ]]
	done
	for o in ../x 'a b' 012345678901234567890 ''; do
		run "$KIHON" volume attach "$id" --id "$o" file
		[ "$status" -eq 2 ]
		one_line
	done
	kill -TERM "$pid"
	wait "$pid" || true
}
