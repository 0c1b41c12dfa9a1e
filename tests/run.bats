#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# kihon run with real guests that pull from a real registry: status, streams, signals, terminal, refusals.

bats_require_minimum_version 1.5.0

setup_file() {
	ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	export ROOT
	cd "$ROOT"
	make -s kernel PROFILE=container >&2
	make -s guest build/host/bin/kihon build/host/bin/kata-image-tool >&2
	export KIHON=$ROOT/build/host/bin/kihon
	export KIHON_IMAGE_DIR=$BATS_FILE_TMPDIR/image
	build/host/bin/kata-image-tool build --quiet --profile container -o "$KIHON_IMAGE_DIR" >&2
	. tests/registry.bash
	registry_start "$BATS_FILE_TMPDIR/registry" --user tester --password "pass word"
	registry_push_busybox busybox:1
	export IMAGE=10.0.2.2:$REGISTRY_PORT/busybox:1 REGISTRY_PID REGISTRY_CA REGISTRY_AUTHFILE REGISTRY_DIR REGISTRY_PORT
	export ACCESS="--ca $REGISTRY_CA --authfile $REGISTRY_AUTHFILE"
}

teardown_file() {
	. "$ROOT/tests/registry.bash"
	registry_stop
}

setup() {
	. "$ROOT/tests/wait.bash"
	export XDG_RUNTIME_DIR=$(mktemp -d /tmp/kihon-run.XXXXXX)
	cd "$BATS_TEST_TMPDIR"
}

teardown() {
	local left
	left=$(ls "$XDG_RUNTIME_DIR/kihon" 2>/dev/null)
	rm -rf "$XDG_RUNTIME_DIR"
	[ -z "${WICKED_PID-}" ] || kill "$WICKED_PID" 2>/dev/null || true
	[ -z "$left" ] || { echo "left behind: $left"; return 1; }
}

# kihon_run OPTION... IMAGE COMMAND...: $status, $output, $stderr (without the line about emulation). Twice at most: an
# emulated guest on a loaded machine may lose a timer interrupt, and stand still.
kihon_run() {
	local try
	for try in 1 2; do
		run --separate-stderr timeout 280 "$KIHON" run --timeout 240s $ACCESS "$@"
		[[ $stderr == *"time was up"* || $stderr == *"did not come up in time"* ]] || break
	done
	stderr=$(grep -v 'emulating' <<<"$stderr" || true)
	echo "status $status, output: $output, stderr: $stderr"
}

# one_line STATUS WORDS ARGUMENT...: kihon run ARGUMENT... fails so, with one line that has these words.
one_line() {
	kihon_run "${@:3}"
	[ "$status" -eq "$1" ]
	[ -z "$output" ]
	[ "$(wc -l <<<"$stderr")" -eq 1 ]
	[[ "$stderr" == "kihon: "*"$2"* ]]
}

# image_variant TAG UMOCI-CONFIG-OPTION...: busybox:TAG, the same image with another configuration.
image_variant() {
	local layout=$REGISTRY_DIR/busybox-layout
	. "$ROOT/tests/registry.bash"
	export REGISTRY=127.0.0.1:$REGISTRY_PORT
	umoci config --image "$layout:latest" --tag "$@"
	registry_copy "oci:$layout:$1" "busybox:$1"
}

# Starts the registry of tests/pull/server.py, whose repositories misbehave: $WICKED_PORT, $WICKED_PID.
wicked_registry() {
	local layout=$BATS_FILE_TMPDIR/wicked
	[ -d "$layout" ] || TMPDIR=$BATS_FILE_TMPDIR python3 "$ROOT/tests/pull/images.py" "$layout"
	python3 "$ROOT/tests/pull/server.py" "$layout" "$REGISTRY_DIR/server.pem" "$REGISTRY_DIR/server.key" ports log 3>&- &
	WICKED_PID=$!
	until_true test -e ports
	read -r WICKED_PORT _ <ports
}

@test "output, errors and exit status of a container are its own" {
	kihon_run --json-timings t.json "$IMAGE" sh -c 'echo to stdout; echo to stderr >&2; exit 7'
	[ "$status" -eq 7 ]
	[ "$output" = "to stdout" ]
	[ "$stderr" = "to stderr" ]
	jq -e '.boot_ms > 0 and .pull_ms > 0 and .run_ms >= 0 and .exit_status == 7' t.json
}

@test "a container sees itself alone, with the usual limits" {
	kihon_run --env A=1 --env 'B=two words' --workdir /tmp "$IMAGE" sh -c '
		echo "pid $$, $A, $B, $(pwd), $(id -u)"
		grep CapEff /proc/self/status
		touch /proc/sysrq-trigger 2>/dev/null && echo writable
		ls /dev | tr "\n" " "; echo; kill -9 $$'
	[ "$status" -eq 0 ] || [ "$status" -eq 137 ]
	[ "${lines[0]}" = "pid 1, 1, two words, /tmp, 0" ]
	[[ "$output" == *00000000a80425fb* ]]
	[[ "$output" != *writable* ]]
	[[ "$output" != *vda* ]]
}

@test "standard input goes in with -i, and only then; much of it, unharmed" {
	head -c 3000000 /dev/urandom >data
	kihon_run -i "$IMAGE" sha256sum <data
	[ "$status" -eq 0 ]
	[ "${output%% *}" = "$(sha256sum <data | cut -d' ' -f1)" ]
	kihon_run "$IMAGE" cat <data
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	run bash -c "(sleep 1; echo piped) | timeout 280 '$KIHON' run -i $ACCESS $IMAGE cat 2>/dev/null"
	[ "$output" = piped ]
}

@test "much output, unharmed; a reader that goes away ends the container" {
	run bash -c "timeout 280 '$KIHON' run $ACCESS $IMAGE sh -c 'head -c 5000000 /dev/zero' 2>/dev/null | sha256sum"
	[ "${output%% *}" = "$(head -c 5000000 /dev/zero | sha256sum | cut -d' ' -f1)" ]
	run bash -c "set -o pipefail; timeout 280 '$KIHON' run $ACCESS $IMAGE yes 2>/dev/null | head -1"
	[ "$output" = y ]
	[ "$status" -eq 141 ]
}

@test "-t gives a terminal, of the right size; keys go in with -it" {
	cat >drive.py <<-'PY'
		import fcntl, os, pty, struct, sys, termios
		pid, fd = pty.fork()
		if pid == 0:
		    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 101, 0, 0))
		    os.execvp(sys.argv[1], sys.argv[1:])
		seen = b""
		typed = interrupted = False
		while True:
		    try:
		        part = os.read(fd, 4096)
		    except OSError:
		        break
		    if not part:
		        break
		    seen += part
		    if b"ready>" in seen and not typed:
		        typed = True
		        os.write(fd, b"words\r")
		    if b"got words" in seen and not interrupted:
		        interrupted = True
		        os.write(fd, b"\x03")  # Ctrl-C: for the container, not for kihon
		print(seen.decode(errors="replace"))
		sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
	PY
	run timeout 280 python3 drive.py "$KIHON" run -it $ACCESS "$IMAGE" sh -c \
		'trap "echo interrupted; exit 5" INT; tty; while [ "$(stty size)" = "0 0" ]; do sleep 0.1; done; stty size; echo "ready>"; read x; echo "got $x"; while :; do sleep 1; done'
	echo "$output"
	[ "$status" -eq 5 ]
	[[ "$output" == *"/dev/pts/0"* ]]
	[[ "$output" == *"33 101"* ]]
	[[ "$output" == *"got words"* ]]
	[[ "$output" == *"interrupted"* ]]
}

@test "there is no such program: 127; it cannot be executed: 126" {
	kihon_run "$IMAGE" nosuchprogram
	[ "$status" -eq 127 ]
	[ "$(wc -l <<<"$stderr")" -eq 1 ]
	[[ "$stderr" == *nosuchprogram* ]]
	kihon_run "$IMAGE" /etc
	[ "$status" -eq 126 ]
	[ "$(wc -l <<<"$stderr")" -eq 1 ]
}

@test "an image that is not there, a wrong password, a certificate nobody knows: 125 and one line" {
	kihon_run "10.0.2.2:$REGISTRY_PORT/nothing:here" true
	[ "$status" -eq 125 ]
	[ "$(wc -l <<<"$stderr")" -eq 1 ]
	[[ "$stderr" == *nothing* ]]
	sed 's/"auth":"[^"]*"/"auth":"dGVzdGVyOndyb25n"/g' "$REGISTRY_AUTHFILE" >wrong.json
	ACCESS="--ca $REGISTRY_CA --authfile wrong.json" kihon_run "$IMAGE" true
	[ "$status" -eq 125 ]
	[ "$(wc -l <<<"$stderr")" -eq 1 ]
	[[ "$stderr" != *dGVzdGVy* ]]
	ACCESS="--authfile $REGISTRY_AUTHFILE" kihon_run "$IMAGE" true
	[ "$status" -eq 125 ]
	[ "$(wc -l <<<"$stderr")" -eq 1 ]
	[[ "$stderr" == *ertificate* ]]
}

@test "a policy that rejects is obeyed" {
	echo '{"default":[{"type":"reject"}]}' >policy.json
	kihon_run --policy policy.json "$IMAGE" true
	[ "$status" -eq 125 ]
	[ "$(wc -l <<<"$stderr")" -eq 1 ]
	[[ "$stderr" == *"the image policy rejects it"* ]]
	printf '{"default":[{"type":"reject"}],"transports":{"docker":{"10.0.2.2:%s":[{"type":"insecureAcceptAnything"}]}}}' "$REGISTRY_PORT" >policy.json
	kihon_run --policy policy.json "$IMAGE" true
	[ "$status" -eq 0 ]
	echo '{"schema":1,"allow":{}}' >agent.json
	kihon_run --agent-policy agent.json "$IMAGE" true
	[ "$status" -eq 125 ]
	[[ "$stderr" == *CreateSandbox* ]]
}

# start COMMAND...: in the background, until the container has written to its output; $pid.
start() {
	rm -f out
	"$KIHON" run --timeout 240s $ACCESS "$IMAGE" "$@" >out 2>err 3>&- &
	pid=$!
	local i
	for i in {1..1200}; do [ -s out ] && return; kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
	cat err
	return 1
}

finish() {
	status=0
	wait "$pid" || status=$?
	echo "status $status: $(cat out err)"
}

@test "signals go to the process; a second one ends the guest" {
	start sh -c 'trap "echo caught; exit 9" TERM; echo up; while :; do sleep 1; done'
	kill -TERM "$pid"
	finish
	[ "$status" -eq 9 ]
	grep -qx caught out
	start sh -c 'trap "echo ignored" INT; echo up; while :; do sleep 1; done'
	kill -INT "$pid"
	until_true grep -qx ignored out
	kill -INT "$pid"
	finish
	[ "$status" -eq 130 ]
}

@test "the time limit ends a container that does not" {
	run --separate-stderr timeout 100 "$KIHON" run --timeout 20s $ACCESS "$IMAGE" sleep 1000
	echo "$stderr"
	[ "$status" -eq 125 ]
	# A machine that stood still may not have come so far.
	[[ "$stderr" == *"time was up"* || "$stderr" == *"did not come up in time"* ]]
}

@test "without a network: no link but lo, and no pull either" {
	kihon_run --net none "$IMAGE" true
	[ "$status" -eq 125 ]
	[ "$(wc -l <<<"$stderr")" -eq 1 ]
}

@test "q35 with two processors" {
	kihon_run --machine q35 --cpus 2 --memory 512M "$IMAGE" sh -c 'nproc; grep MemTotal /proc/meminfo'
	[ "$status" -eq 0 ]
	[ "${lines[0]}" = 2 ]
}

@test "two guests at once do not meet" {
	"$KIHON" run $ACCESS "$IMAGE" sh -c 'echo one; sleep 2; exit 1' >one 2>/dev/null 3>&- &
	local first=$!
	kihon_run "$IMAGE" sh -c 'echo two; exit 2'
	[ "$status" -eq 2 ]
	[ "$output" = two ]
	status=0
	wait "$first" || status=$?
	[ "$status" -eq 1 ]
	[ "$(cat one)" = one ]
}

@test "the image's user by name, working directory, environment and entry point; what the command line changes" {
	image_variant user --config.user nobody:nogroup --config.workingdir /made/here --config.env PATH=/bin \
		--config.env FROM=image --config.entrypoint /bin/sh --config.entrypoint -c \
		--config.cmd 'id -un; id -gn; pwd; echo $FROM $HOME; sleep 100 & kill -9 $!; wait $!'
	kihon_run "10.0.2.2:$REGISTRY_PORT/busybox:user"
	[ "$status" -eq 137 ]
	[ "${lines[*]}" = "nobody nogroup /made/here image /" ]
	kihon_run --env FROM=here --workdir /tmp "10.0.2.2:$REGISTRY_PORT/busybox:user" 'id -un; pwd; echo $FROM; exit 4'
	[ "$status" -eq 4 ]
	[ "${lines[*]}" = "nobody /tmp here" ]
}

@test "images that name no command, or a user that is not there: 125 and one line" {
	image_variant nocmd --clear config.cmd --clear config.entrypoint
	one_line 125 "no command" "10.0.2.2:$REGISTRY_PORT/busybox:nocmd"
	image_variant baduser --config.user nosuch
	one_line 125 "nosuch" "10.0.2.2:$REGISTRY_PORT/busybox:baduser" id
}

@test "hostile archives, damaged and cut layers are refused in the guest, in one line that names the image" {
	wicked_registry
	one_line 125 "a tar header of" "10.0.2.2:$WICKED_PORT/plain:hostile-header" true
	one_line 125 "a path longer than" "10.0.2.2:$WICKED_PORT/plain:hostile-deep" true
	one_line 125 "the layer's blob ends after" "10.0.2.2:$WICKED_PORT/short:rich" true
	[[ "$stderr" == *"10.0.2.2:$WICKED_PORT/short:rich"* ]]
	one_line 125 "the layer's blob does not have its digest" "10.0.2.2:$WICKED_PORT/flip:rich-zstd" true ||
		one_line 125 "damaged" "10.0.2.2:$WICKED_PORT/flip:rich-zstd" true
	# What wants out by a link stays inside: the image is good, the program is not there.
	one_line 127 "/nothing" "10.0.2.2:$WICKED_PORT/plain:contained-symlink" /nothing
}

@test "a registry that falls silent in the middle of a layer: the time limit ends it" {
	wicked_registry
	run --separate-stderr timeout 100 "$KIHON" run --timeout 20s $ACCESS "10.0.2.2:$WICKED_PORT/hang:rich" true
	echo "$status $stderr"
	[ "$status" -eq 125 ]
	[[ "$stderr" == *"time was up"* || "$stderr" == *"did not come up in time"* ]]
}

@test "a layer that the registry's disk corrupted" {
	local digest file
	image_variant corrupt --config.cmd /bin/true
	digest=$(skopeo inspect --raw "oci:$REGISTRY_DIR/busybox-layout:latest" | jq -r '.layers[0].digest')
	file=$(echo "$REGISTRY_DIR"/data/docker/registry/v2/blobs/sha256/*/"${digest#sha256:}"/data)
	cp "$file" good
	printf '\377' | dd of="$file" bs=1 seek=100000 conv=notrunc status=none
	kihon_run "10.0.2.2:$REGISTRY_PORT/busybox:corrupt" true
	cp good "$file"
	[ "$status" -eq 125 ]
	[ "$(wc -l <<<"$stderr")" -eq 1 ]
	[[ "$stderr" == *"layer 1 of 1 (${digest:0:19}"* ]]
}

@test "guests that do not come up: a root without programs, a root that is none, a device that never answers" {
	cp -r "$KIHON_IMAGE_DIR" broken
	head -c "$(stat -c %s broken/rootfs.erofs)" /dev/zero >broken/rootfs.erofs
	one_line 125 "panicked: VFS" --image-dir broken "$IMAGE" true
	python3 - "$KIHON_IMAGE_DIR/rootfs.erofs" broken/rootfs.erofs <<-'PY'
		import sys
		with open(sys.argv[1], "rb") as f:
		    data = f.read()
		with open(sys.argv[2], "wb") as f:
		    f.write(data.replace(b"\x7fELF", b"\x7fFLE"))
	PY
	one_line 125 "panicked: No working init" --image-dir broken "$IMAGE" true
	# The vsock device's process is stopped before QEMU speaks to it: QEMU itself would wait for ever.
	mkdir bin
	printf '#!/bin/bash\nkill -STOP $(pgrep -P $PPID kihon-vsock | tee %s)\nexec %s "$@"\n' "$PWD/stopped" \
		"$(command -v qemu-system-x86_64)" >bin/qemu-system-x86_64
	chmod +x bin/qemu-system-x86_64
	PATH=$PWD/bin:$PATH run --separate-stderr timeout 100 "$KIHON" run --timeout 5s $ACCESS "$IMAGE" true
	echo "$stderr"
	[ "$status" -eq 125 ]
	[[ "$stderr" == *"did not come up in time"* ]]
	until_gone "$(cat stopped)"
}

@test "output to a full disk, and QEMU killed under a running container: 125 and one line" {
	for _ in 1 2; do
		run --separate-stderr bash -c "timeout 280 '$KIHON' run --timeout 240s $ACCESS $IMAGE echo hello >/dev/full"
		[[ $stderr == *"time was up"* ]] || break
	done
	echo "$status $stderr"
	[ "$status" -eq 125 ]
	[[ "$stderr" == *"standard output"*"No space left"* ]]
	start sh -c 'echo up; while :; do sleep 1; done'
	kill -KILL "$(pgrep -P "$pid" qemu-system)"
	finish
	[ "$status" -eq 125 ]
	grep -q 'QEMU was killed by signal 9' err
}

@test "an image converted to EROFS layers shows the guest the same tree" {
	local layout=$REGISTRY_DIR/busybox-layout kit=$ROOT/build/host/bin/kata-image-tool look before
	umoci unpack --rootless --image "$layout:latest" bundle >/dev/null
	rm bundle/rootfs/bin/yes
	mkdir -p bundle/rootfs/data/deep
	head -c 5000000 /dev/urandom >bundle/rootfs/data/big
	cp bundle/rootfs/data/big bundle/rootfs/data/deep/copy
	ln bundle/rootfs/data/big bundle/rootfs/data/hard
	ln -s ../big bundle/rootfs/data/deep/link
	umoci repack --image "$layout:layers" bundle >/dev/null
	. "$ROOT/tests/registry.bash"
	export REGISTRY=127.0.0.1:$REGISTRY_PORT
	registry_copy "oci:$layout:layers" busybox:layers
	"$kit" convert --quiet --verity --dedupe --ca "$REGISTRY_CA" --authfile "$REGISTRY_AUTHFILE" \
		"$REGISTRY/busybox:layers" "$REGISTRY/busybox:erofs"
	look='cd /; find bin data -exec stat -c "%n %F %a %u:%g %s %Y %h" {} + | sort; sha256sum data/big data/deep/copy'
	kihon_run "10.0.2.2:$REGISTRY_PORT/busybox:layers" sh -c "$look"
	[ "$status" -eq 0 ]
	before=$output
	kihon_run "10.0.2.2:$REGISTRY_PORT/busybox:erofs" sh -c "$look"
	[ "$status" -eq 0 ]
	[[ "$output" == *data/deep/copy* && "$output" != *bin/yes* ]]
	diff <(echo "$before") <(echo "$output")
}
