# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the suites that run an agent as an ordinary process share: a root file system of busybox, private
# namespaces, and words for looking at what came out. bats' setup_file and setup call box_make and box_check.

# box_make TARGET...: builds these and what is always needed.
box_make() {
	export ROOT=$BATS_TEST_DIRNAME/..
	make -s -C "$ROOT" build/host/bin/kihon-agent build/host/bin/agent-client "$@" >&2
	export AGENT=${KIHON_TEST_AGENT-$ROOT/build/host/bin/kihon-agent} TAG=kihon-test-$$
	export TREE=$BATS_FILE_TMPDIR/tree
	mkdir -p "$TREE"/{bin,etc,proc,sys,dev,run,tmp}
	cp "$(command -v busybox)" "$TREE/bin/busybox"
	local a
	for a in sh cat echo sleep id env ls stty yes head wc hostname kill touch mkdir printf true; do
		ln -s busybox "$TREE/bin/$a"
	done
	chmod 755 "$BATS_FILE_TMPDIR" "$BATS_RUN_TMPDIR"
	mkdir -m 755 "$BATS_FILE_TMPDIR/pull"
	cp "$ROOT/tests/agent/fake-puller" "$BATS_FILE_TMPDIR/pull/"
	mkfs.erofs -Enoinline_data "$BATS_FILE_TMPDIR/pull/layer.erofs" "$TREE" >/dev/null
	export PULLER=$BATS_FILE_TMPDIR/pull/fake-puller
}

box_check() {
	[ "$(id -u)" -eq 0 ] || skip "needs root for namespaces"
	unshare --mount --uts --ipc --pid --net --fork true 2>/dev/null || skip "namespaces cannot be made here"
	command -v protoc >/dev/null || skip "protoc is not installed"
}

# inside SCRIPT [SECONDS]: runs it beside an agent's helper functions; $output and $status are its.
inside() {
	run timeout "${2-300}" unshare --mount --uts --ipc --pid --net --fork --mount-proc --kill-child \
		bash -c '. "$ROOT/tests/agent/inside.sh"'$'\n'"$1"
	echo "$output"
	[ "$status" -eq 0 ]
}

has() { [[ $output == *"$1"* ]] || { echo "missing: $1"; false; }; }
hasnt() { [[ $output != *"$1"* ]] || { echo "not expected: $1"; false; }; }
