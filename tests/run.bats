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
	export XDG_RUNTIME_DIR=$(mktemp -d /tmp/kihon-run.XXXXXX)
	cd "$BATS_TEST_TMPDIR"
}

teardown() {
	local left
	left=$(ls "$XDG_RUNTIME_DIR/kihon" 2>/dev/null)
	rm -rf "$XDG_RUNTIME_DIR"
	[ -z "$left" ] || { echo "left behind: $left"; return 1; }
}

# kihon_run OPTION... IMAGE COMMAND...: $status, $output, $stderr (without the line about emulation).
kihon_run() {
	run --separate-stderr timeout 280 "$KIHON" run --timeout 240s $ACCESS "$@"
	stderr=$(grep -v 'emulating' <<<"$stderr" || true)
	echo "status $status, output: $output, stderr: $stderr"
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
		'trap "echo interrupted; exit 5" INT; tty; sleep 1; stty size; echo "ready>"; read x; echo "got $x"; while :; do sleep 1; done'
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
	[[ "$stderr" == *polic* ]]
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
	local i
	for i in {1..200}; do grep -qx ignored out && break; sleep 0.1; done
	grep -qx ignored out
	kill -INT "$pid"
	finish
	[ "$status" -eq 130 ]
}

@test "the time limit ends a container that does not" {
	run --separate-stderr timeout 100 "$KIHON" run --timeout 8s $ACCESS "$IMAGE" sleep 1000
	echo "$stderr"
	[ "$status" -eq 125 ]
	[[ "$stderr" == *"time was up"* ]]
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
